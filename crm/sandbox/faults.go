package sandbox

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is one way to answer wrongly. The zero Fault answers as usual.
type Fault struct {
	Delay      time.Duration // wait first
	Hang       bool          // never answer
	Drop       bool          // cut the connection without an answer
	CutBody    bool          // carry out, then send half of the answer
	Status     int           // answer with this status and Body
	Body       string
	HTML       bool   // Body is a web page; a default one if Body is empty
	RetryAfter string // header of the answer
	// AfterApply carries the request out first. Alone it then cuts the connection.
	AfterApply bool
}

// Logged is one request the CRM got.
type Logged struct {
	At       time.Time
	Method   string
	Path     string
	RawQuery string
	Header   http.Header
	Body     []byte
	Status   int // what was answered; 0 for none
}

// Switchboard injects faults in front of a simulated CRM and keeps its request
// log. Embed it and wrap the real handler with Serve. The zero value has no
// switches; set Answers to have some.
type Switchboard struct {
	// Answers is the vendor's way to show each switch.
	Answers map[string]Fault

	mu    sync.Mutex
	on    map[string]bool
	rules []*rule
	log   []Logged
}

type rule struct {
	left  int
	match string
	fault Fault
}

// Query returns the query decoded: for a CRM that takes one JSON object, that
// object as text.
func (l Logged) Query() string {
	text, err := url.QueryUnescape(l.RawQuery)
	if err != nil {
		return l.RawQuery
	}
	return text
}

const keptRequests = 10000

// StandardFaults returns the usual switches; refused and busy are the
// vendor's own answers for wrong credentials and for "slow down".
func StandardFaults(refused, busy Fault) map[string]Fault {
	return map[string]Fault{
		Credentials: refused,
		Busy:        busy,
		Broken:      {Status: http.StatusInternalServerError, Body: "Internal Server Error"},
		Slow:        {Delay: 3 * time.Second},
		Cut:         {AfterApply: true},
	}
}

// FailNext answers the next n requests whose "METHOD /path" contains match
// with f; n < 0 means all from now on.
func (b *Switchboard) FailNext(n int, match string, f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = append(b.rules, &rule{n, match, f})
}

// ClearFaults ends every fault.
func (b *Switchboard) ClearFaults() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules, b.on = nil, nil
}

// Faults returns the switches, sorted by name.
func (b *Switchboard) Faults() []FaultSwitch {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []FaultSwitch
	for _, name := range slices.Sorted(maps.Keys(b.Answers)) {
		out = append(out, FaultSwitch{name, b.on[name]})
	}
	return out
}

// SetFault turns a switch.
func (b *Switchboard) SetFault(name string, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.Answers[name]; !ok {
		return
	}
	if b.on == nil {
		b.on = map[string]bool{}
	}
	b.on[name] = on
}

// RequestLog returns the requests so far, oldest first.
func (b *Switchboard) RequestLog() []Logged {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.log)
}

// ClearLog forgets the requests so far.
func (b *Switchboard) ClearLog() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = nil
}

// choose returns the fault for this request. A delay adds to another switch.
func (b *Switchboard) choose(what string) Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, r := range b.rules {
		if !strings.Contains(what, r.match) {
			continue
		}
		if r.left > 0 {
			if r.left--; r.left == 0 {
				b.rules = slices.Delete(b.rules, i, i+1)
			}
		}
		return r.fault
	}
	var f Fault
	for _, name := range []string{Credentials, Busy, Broken, Cut} {
		if b.on[name] {
			f = b.Answers[name]
			break
		}
	}
	if b.on[Slow] {
		f.Delay += b.Answers[Slow].Delay
	}
	return f
}

func (b *Switchboard) logged(r *http.Request, body []byte, status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.log) >= keptRequests {
		b.log = slices.Delete(b.log, 0, keptRequests/2)
	}
	b.log = append(b.log, Logged{time.Now(), r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone(), body, status})
}

// Serve answers r by next, or wrongly if a fault is set for it.
func (b *Switchboard) Serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f := b.choose(r.Method + " " + r.URL.Path)
	if f.Delay > 0 && !pause(r.Context(), f.Delay) {
		b.logged(r, body, 0)
		return
	}
	applies := f.AfterApply || f.CutBody || (!f.Hang && !f.Drop && f.Status == 0 && !f.HTML)
	rec := httptest.NewRecorder()
	if applies {
		next.ServeHTTP(rec, r)
	}
	switch {
	case f.Hang:
		b.logged(r, body, 0)
		<-r.Context().Done()
	case f.CutBody:
		b.logged(r, body, rec.Code)
		maps.Copy(w.Header(), rec.Header())
		w.Header().Set("Content-Length", strconv.Itoa(rec.Body.Len()))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case f.Status != 0 || f.HTML:
		f.answer(w)
		b.logged(r, body, max(f.Status, http.StatusOK))
	case f.Drop || f.AfterApply:
		b.logged(r, body, 0)
		panic(http.ErrAbortHandler)
	default:
		b.logged(r, body, rec.Code)
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}
}

func (f Fault) answer(w http.ResponseWriter) {
	body, ctype := f.Body, "application/json"
	if f.HTML {
		ctype = "text/html; charset=utf-8"
		if body == "" {
			body = "<!DOCTYPE html><html><body><h1>nginx</h1></body></html>"
		}
	}
	w.Header().Set("Content-Type", ctype)
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	w.WriteHeader(max(f.Status, http.StatusOK))
	_, _ = io.WriteString(w, body)
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
