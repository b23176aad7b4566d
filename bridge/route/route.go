// Package route answers the PBX's question "who should take this call?" within
// a hard limit: from the local index first, from the CRM if it is quick, and
// with "your default scenario" otherwise. Whatever happens, there is an answer
// (F-13, M-0.4, M-4.6).
package route

import (
	"context"
	"fmt"
	"strings"
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
	Took      time.Duration `json:"took"`
}

// Candidate is somebody who could take the call, and by what right.
type Candidate struct {
	Extension string
	Name      string
	Why       string // "responsible of contact 12 in megaplan-main"
}

// Source proposes people for a client. Local sources answer at once; a source
// that asks the CRM gets the time that is left.
type Source func(ctx context.Context, q Question) ([]Candidate, error)

// Phones says whether an extension can take a call now; why is the reason if not.
type Phones func(ctx context.Context, pbx, extension string) (free bool, why string)

// Router answers questions. It is safe for concurrent use.
type Router struct {
	Limit  time.Duration // for the whole answer; 0 means one second
	Local  []Source      // asked first, in order
	Remote []Source      // asked if no local source knows the client
	Phones Phones
	Now    func() time.Time
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
	out := make(chan Answer, 1) // buffered: a late answer is thrown away
	go func() { out <- r.find(ctx, q) }()
	var a Answer
	select {
	case a = <-out:
	case <-ctx.Done():
		a = Answer{Why: fmt.Sprintf("no answer within %d ms: default scenario", limit.Milliseconds())}
	}
	a.Took = r.Now().Sub(began)
	return a
}

func (r *Router) find(ctx context.Context, q Question) Answer {
	if q.Client == "" {
		return Answer{Why: "the caller's number is withheld: default scenario"}
	}
	var why []string
	for _, group := range [][]Source{r.Local, r.Remote} {
		for _, s := range group {
			people, err := s(ctx, q)
			if err != nil {
				why = append(why, "no answer from a CRM in time")
				continue
			}
			for _, c := range people {
				if c.Extension == "" {
					why = append(why, fmt.Sprintf("%s (%s) has no extension", c.Name, c.Why))
					continue
				}
				if free, not := r.Phones(ctx, q.PBX, c.Extension); !free {
					why = append(why, fmt.Sprintf("%s (%s) is skipped: %s", c.Extension, c.Why, not))
					continue
				}
				return Answer{Extension: c.Extension, Why: strings.Join(append(why, c.Extension+": "+c.Why), "; ")}
			}
		}
	}
	return Answer{Why: strings.Join(append(why, "nobody found: default scenario"), "; ")}
}
