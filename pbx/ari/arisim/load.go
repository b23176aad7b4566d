package arisim

import (
	"container/heap"
	"context"
	"fmt"
	"strings"
	"time"
)

// LoadCall is one call of a load run.
type LoadCall struct {
	Scenario   string
	Client     string            // digits
	Extensions map[string]string // recorded phone → phone that plays it
	Speed      float64           // default 1
	// Mark is the step whose sending is told to LoadOptions.Marked; below 0: none.
	Mark int
}

// LoadOptions is what Load plays.
type LoadOptions struct {
	Rate  float64            // calls a second
	Calls int                // how many begin
	Next  func(int) LoadCall // the i-th call
	// Marked is told when the marked step of the i-th call was sent.
	Marked func(i int, at time.Time)
	// Late is told by how much each frame was sent after its time.
	Late func(time.Duration)
}

// LoadSum is what Load sent.
type LoadSum struct {
	Calls, Frames int
	Took          time.Duration
}

// Load plays very many calls at once from one goroutine and returns when all
// are over, or ctx ends. Unlike Begin's its channels are not to be seen by
// requests, so it is for measuring and not for gaps. Frames that no client
// wants are not even made.
func (s *Sim) Load(ctx context.Context, o LoadOptions) (LoadSum, error) {
	scripts := map[string]*script{}
	var sum LoadSum
	began := time.Now()
	var due moments
	for begun := 0; begun < o.Calls || len(due) > 0; {
		at := time.Time{}
		if len(due) > 0 {
			at = due[0].at
		}
		if begun < o.Calls {
			if next := began.Add(time.Duration(float64(begun) / o.Rate * float64(time.Second))); at.IsZero() || next.Before(at) {
				c := o.Next(begun)
				sc := scripts[c.Scenario]
				if sc == nil {
					var err error
					if sc, err = s.script(c.Scenario); err != nil {
						return sum, err
					}
					scripts[c.Scenario] = sc
				}
				heap.Push(&due, &moment{at: next, i: begun, mark: c.Mark, cast: s.cast(sc, c, next)})
				begun++
				continue
			}
		}
		if wait := time.Until(at); wait > 0 {
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return sum, ctx.Err()
			}
		} else if sum.Frames&1023 == 0 && ctx.Err() != nil {
			return sum, ctx.Err()
		}
		m := due[0]
		now := time.Now()
		if s.say(m.cast, &m.cast.sc.steps[m.step]) {
			sum.Frames++
			if o.Late != nil {
				o.Late(now.Sub(m.at))
			}
		}
		if m.step == m.mark && o.Marked != nil {
			o.Marked(m.i, now)
		}
		if m.step++; m.step == len(m.cast.sc.steps) {
			heap.Pop(&due)
			sum.Calls++
			continue
		}
		m.at = m.cast.real(m.cast.sc.steps[m.step].at)
		heap.Fix(&due, 0)
	}
	sum.Took = time.Since(began)
	return sum, nil
}

// say sends one frame to those who want it and says whether anybody did.
func (s *Sim) say(c *cast, st *step) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := false
	for _, cl := range s.apps {
		wanted = wanted || !cl.disallowed[st.kind]
	}
	if wanted {
		s.publish(st.kind, c.render(make([]byte, 0, 1400), st.text), "")
	}
	return wanted
}

func (s *Sim) cast(sc *script, o LoadCall, at time.Time) *cast {
	if o.Speed <= 0 {
		o.Speed = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &cast{sc: sc, uuids: map[int]string{}, numbers: map[string]string{}, phones: o.Extensions, client: strings.TrimPrefix(o.Client, "+"),
		speed: o.Speed, acts: []act{{base: at}}, newUUID: newUUID, newNumber: func() string { s.number++; return hex8(s.number - 1) }}
	for range sc.ids {
		c.ids = append(c.ids, s.nextID())
	}
	return c
}

// Frames returns the frames of a recorded call in order, one per step.
func (s *Sim) Frames(scenario string) ([][]byte, error) {
	sc, err := s.script(scenario)
	if err != nil {
		return nil, fmt.Errorf("frames: %w", err)
	}
	c := s.cast(sc, LoadCall{}, time.Now())
	var out [][]byte
	for i := range sc.steps {
		out = append(out, c.render(nil, sc.steps[i].text))
	}
	return out, nil
}

// moment is when a call has its next step.
type moment struct {
	at      time.Time
	i, step int
	mark    int
	cast    *cast
}

type moments []*moment

func (m moments) Len() int           { return len(m) }
func (m moments) Less(i, j int) bool { return m[i].at.Before(m[j].at) }
func (m moments) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }

// Push and Pop are for container/heap.
func (m *moments) Push(x any) { *m = append(*m, x.(*moment)) }

// Pop takes the last one.
func (m *moments) Pop() any {
	old := *m
	x := old[len(old)-1]
	*m = old[:len(old)-1]
	return x
}
