package app

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// health is how a CRM has been answering. Tries become rare in a long outage,
// so what counts is that nothing succeeded since, and not how often it failed.
type health struct {
	mu    sync.Mutex
	since time.Time // first failure after the last good answer; zero: all is well
	code  int       // of the last one, 0: no answer
	times int
}

// failingAfter is how long a CRM may fail before it is shown: a restart of its
// server is none of anybody's business.
const failingAfter = time.Minute

// saw takes over the answer to one request. A refusal is an answer.
func (h *health) saw(code int, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case code > 0 && code < 500:
		h.since, h.times = time.Time{}, 0
		return
	case h.since.IsZero():
		h.since = now
	}
	h.code = code
	h.times++
}

// trouble says since when the CRM fails, and how; ok is false if it works.
func (h *health) trouble(now time.Time) (since time.Time, text string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() || h.times < 2 || now.Sub(h.since) < failingAfter {
		return time.Time{}, "", false
	}
	if h.code == 0 {
		return h.since, "the CRM does not answer", true
	}
	return h.since, fmt.Sprintf("the CRM answers every request with %d %s", h.code, http.StatusText(h.code)), true
}
