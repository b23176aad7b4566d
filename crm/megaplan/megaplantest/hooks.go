package megaplantest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// streamOf is the stream an entity's events belong to; "" means none: there is
// no stream of calls.
var streamOf = map[string]string{"ContractorHuman": "contractors", "ContractorCompany": "contractors", "Deal": "deals", "Todo": "events",
	"Employee": "employees", "Comment": "comments"}

// Hook is an event on its way to an application.
type Hook struct {
	URI  string
	UUID string // of the event
	Body []byte
	due  time.Time
	left int // attempts after a refusal
}

const keptHooks = 5000

// event notes what happened for every application that wants to know.
func (s *Server) event(what string, e *entity) {
	stream := streamOf[e.ct]
	if stream == "" || s.planting {
		return
	}
	for _, a := range s.order["Integration"] {
		wants, _ := a.data["subscribedStreams"].([]any)
		uri := str(a.data["streamUri"])
		if uri == "" || a.data["isEnabled"] != true || !slices.ContainsFunc(wants, func(x any) bool { return x == stream }) {
			continue
		}
		r := &renderer{s: s, met: map[string]bool{}}
		uuid := newUUID()
		body, err := json.Marshal(object{"event": what, "data": r.entity(e, nil, 0),
			"accountInfo": object{"uuid": uuid, "integrationUuid": a.data["uuid"], "model": e.ct}})
		if err != nil || len(s.hooks) >= keptHooks {
			return
		}
		h := Hook{URI: uri, UUID: uuid, Body: body, due: s.now().Add(s.quirks.HookDelay), left: s.quirks.HookRetries}
		s.hooks = append(s.hooks, h)
		if s.quirks.HooksDouble {
			s.hooks = append(s.hooks, h)
		}
	}
}

// Hooks returns the events that are not sent yet.
func (s *Server) Hooks() []Hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.hooks)
}

// SendHooks sends the events that are due; what is refused is kept as long as
// Quirks.HookRetries says (nobody knows whether Megaplan repeats). It returns
// how many were taken.
func (s *Server) SendHooks(ctx context.Context, client *http.Client) (taken int, err error) {
	s.mu.Lock()
	now := s.now()
	var due, later []Hook
	for _, h := range s.hooks {
		if h.due.After(now) {
			later = append(later, h)
		} else {
			due = append(due, h)
		}
	}
	s.hooks = later
	if s.quirks.HooksReversed {
		slices.Reverse(due)
	}
	s.mu.Unlock()
	for _, h := range due {
		if !strings.HasPrefix(h.URI, "https://") {
			continue // plain addresses are not served (2.6)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URI, bytes.NewReader(h.Body))
		if err != nil {
			return taken, err
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body) // the answer is not looked at
			_ = res.Body.Close()
			if res.StatusCode/100 == 2 {
				taken++
				continue
			}
		}
		if h.left--; h.left >= 0 {
			s.mu.Lock()
			s.hooks = append(s.hooks, h)
			s.mu.Unlock()
		}
	}
	return taken, nil
}
