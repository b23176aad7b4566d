// Package route answers the PBX's question "who should take this call?" within
// a hard limit: from the local index, after a bounded look into the CRM if the
// index does not know the client yet, and with "your default scenario"
// otherwise. Whatever happens, there is an answer (F-13, M-0.4, M-4.6).
package route

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"callbridge/bridge"
)

// Question is one call that waits to be routed.
type Question struct {
	PBX    string
	Client bridge.Number
	Line   string
}

// Answer is an extension, or "" for the PBX's default scenario, and why.
type Answer struct {
	Extension string        `json:"extension"`
	Why       string        `json:"why"`
	Steps     []Step        `json:"steps,omitempty"` // everybody who was considered, in order
	Took      time.Duration `json:"took"`
}

// Step is one thing on the way to the answer: somebody who was considered, or
// a source that could not be asked (Extension and Name empty).
type Step struct {
	Extension string `json:"extension,omitempty"`
	Name      string `json:"name,omitempty"`
	Right     string `json:"right,omitempty"` // why he could take the call
	Chosen    bool   `json:"chosen,omitempty"`
	Skipped   string `json:"skipped,omitempty"` // why he does not
}

func (s Step) String() string {
	who := cmpOr(s.Extension, s.Name)
	switch {
	case s.Chosen:
		return who + ": " + s.Right
	case who == "":
		return s.Skipped
	}
	return fmt.Sprintf("%s (%s) is skipped: %s", who, s.Right, s.Skipped)
}

// Candidate is somebody who could take the call, and by what right.
type Candidate struct {
	Extension string
	Name      string
	Why       string // "responsible of contact 12 in megaplan-main"
	Off       string // why he cannot take calls at all, "" if he can
}

// Source proposes people for a client, the best first.
type Source func(ctx context.Context, q Question) ([]Candidate, error)

// Phones says whether an extension can take a call now; why is the reason if not.
type Phones func(ctx context.Context, pbx, extension string) (free bool, why string)

// Router answers questions. It is safe for concurrent use.
type Router struct {
	Limit time.Duration // for the whole answer; 0 means one second
	// Prepare brings the index up to date where it knows nothing of the client;
	// it is given most of the limit, so that what is known can still be used.
	Prepare func(ctx context.Context, q Question) error
	Sources []Source // in order of rank
	Phones  Phones
	Now     func() time.Time
}

// Answer never fails and never takes longer than the limit.
func (r *Router) Answer(ctx context.Context, q Question) Answer {
	began := r.Now()
	limit := r.Limit
	if limit <= 0 {
		limit = time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	way := &way{}
	out := make(chan Answer, 1) // buffered: a late answer is thrown away
	go func() { out <- r.find(ctx, q, limit*7/10, way) }()
	var a Answer
	select {
	case a = <-out:
	case <-ctx.Done():
		a = way.end("", fmt.Sprintf("no answer within %d ms: default scenario", limit.Milliseconds()))
	}
	a.Took = r.Now().Sub(began)
	return a
}

func (r *Router) find(ctx context.Context, q Question, forCRM time.Duration, w *way) Answer {
	if q.Client == "" {
		return w.end("", "the caller's number is withheld: default scenario")
	}
	if r.Prepare != nil {
		done := make(chan error, 1)
		pctx, cancel := context.WithTimeout(ctx, forCRM)
		go func() { done <- r.Prepare(pctx, q) }()
		select {
		case err := <-done:
			if err != nil {
				w.add(Step{Skipped: "no answer from a CRM in time: " + err.Error()})
			}
		case <-pctx.Done():
			w.add(Step{Skipped: fmt.Sprintf("no answer from a CRM within %d ms", forCRM.Milliseconds())})
		}
		cancel()
	}
	for _, s := range r.Sources {
		people, err := s(ctx, q)
		if err != nil {
			w.add(Step{Skipped: "a source could not be asked: " + err.Error()})
		}
		for _, c := range people {
			st := Step{Extension: c.Extension, Name: c.Name, Right: c.Why, Skipped: c.Off}
			if w.has(c.Extension) {
				continue // considered by a better right already
			}
			switch {
			case c.Off != "":
			case c.Extension == "":
				st.Skipped = "no extension"
			default:
				if free, not := r.Phones(ctx, q.PBX, c.Extension); free {
					st.Chosen = true
				} else {
					st.Skipped = not
				}
			}
			w.add(st)
			if st.Chosen {
				return w.end(c.Extension, "")
			}
		}
	}
	return w.end("", "nobody found: default scenario")
}

// way is what was considered so far; the limit may cut it at any moment.
type way struct {
	mu    sync.Mutex
	steps []Step
}

func (w *way) add(s Step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, s)
}

func (w *way) has(ext string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.steps {
		if ext != "" && s.Extension == ext {
			return true
		}
	}
	return false
}

// end makes the answer of what was considered; last is a closing word.
func (w *way) end(ext, last string) Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	var why []string
	for _, s := range w.steps {
		why = append(why, s.String())
	}
	if last != "" {
		why = append(why, last)
	}
	return Answer{Extension: ext, Why: strings.Join(why, "; "), Steps: append([]Step(nil), w.steps...)}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
