// Package track turns events into calls. It is a pure function of the set of
// events: their order and repetitions do not matter (D-01, F-7), nothing reads
// a clock, nothing does I/O.
//
// Channels that belong together make a group: by the id the PBX gives the
// call, and by who dials, answers, transfers and talks to whom where it gives
// none. A group is reduced to its call from its events in one order, however
// they arrived.
package track

import (
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
)

// ClickPrefix begins the ids of channels we ask the PBX to make for
// click-to-call.
const ClickPrefix = "cb-"

// Options is what the tracker must be told. The zero value works.
type Options struct {
	// Number makes a public number of what the PBX gave, "" if it is none. nil
	// means: seven digits or more that look international get a plus.
	Number func(pbx, raw string) bridge.Number
	// OwnNumber is the number clients see when one of us calls and the PBX did
	// not say (it does as soon as the client's phone is dialled). nil: unknown.
	OwnNumber func(pbx string) string
	// Keep is how long, by the PBX's clock, an ended call is remembered for
	// late events; 0 means one minute.
	Keep time.Duration
}

// ghosts are events of no call; they are forgotten after this time.
const ghosts = 10 * time.Minute

func (o Options) defaults() Options {
	if o.Number == nil {
		o.Number = plainNumber
	}
	if o.Keep == 0 {
		o.Keep = time.Minute
	}
	return o
}

func plainNumber(_, raw string) bridge.Number {
	s := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(raw)
	plus := strings.HasPrefix(s, "+")
	s = strings.TrimPrefix(s, "+")
	if len(s) < 7 || len(s) > 15 || digits(s) != len(s) || !plus && (len(s) < 11 || s[0] == '0') {
		return ""
	}
	return bridge.Number("+" + s)
}

// Calls reduces a set of events to its calls, in order of start.
func Calls(events []bridge.Event, o Options) []bridge.Call {
	t := New(o)
	t.forgetful = false
	for i := range events {
		t.insert(&events[i])
	}
	var calls []bridge.Call
	for _, s := range t.pbx {
		for g := range s.groups {
			if c, ok := t.r.reduce(g, s.links); ok {
				calls = append(calls, c)
			}
		}
	}
	sortCalls(calls)
	return calls
}

func sortCalls(calls []bridge.Call) {
	slices.SortFunc(calls, func(a, b bridge.Call) int {
		if c := a.StartedAt.Compare(b.StartedAt.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// Tracker is Calls fed event by event. It is not safe for concurrent use.
type Tracker struct {
	pbx       map[string]*state
	r         reducer
	forgetful bool
}

// New makes an empty tracker.
func New(o Options) *Tracker {
	return &Tracker{pbx: map[string]*state{}, r: reducer{o: o.defaults()}, forgetful: true}
}

// Add takes an event and returns a change for each call it belongs to, also
// when the record stays the same (Changed says so), so that the event can be
// filed under its call. An event seen before gives none, and so does one that
// belongs to no call (yet): a later change has it in Events.
func (t *Tracker) Add(e bridge.Event) []Change {
	s := t.state(e.PBX)
	s.touch(e.At)
	var out []Change
	if link(&e) {
		merged, known := s.addLink(&e, true)
		if known {
			return nil
		}
		for g := range s.groups {
			c, ok := t.change(s, g, merged[g])
			switch {
			case !ok:
			case c.Changed():
				out = append(out, c)
			default:
				g.fresh = c.Events // nobody was told
			}
		}
		slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.Call.ID, b.Call.ID) })
	} else if g, merged := t.insert(&e); g != nil {
		if c, ok := t.change(s, g, merged); ok {
			out = append(out, c)
		}
	}
	t.forget(s)
	return out
}

// change reduces a group again and tells the difference.
func (t *Tracker) change(s *state, g *group, merged []*group) (Change, bool) {
	was, wasCall := g.call, g.isCall
	call, ok := t.r.reduce(g, s.links)
	g.call, g.isCall = call, ok
	if !ok {
		return Change{}, false
	}
	c := Change{Call: call}
	if wasCall && was.ID == call.ID {
		c.Was = was
	} else if wasCall {
		c.Merged = append(c.Merged, was.ID)
	}
	for _, m := range merged {
		switch {
		case !m.isCall:
		case m.call.ID == call.ID:
			c.Was = m.call
		default:
			c.Merged = append(c.Merged, m.call.ID)
		}
	}
	c.Events, g.fresh = g.fresh, nil
	if len(c.Merged) > 0 {
		slices.Sort(c.Merged)
		c.Events = make([]string, len(g.events))
		for i, e := range g.events {
			c.Events[i] = e.ID
		}
	}
	if call.Ended() {
		s.ended = append(s.ended, g)
	}
	return c, true
}

// Restore puts an open call back after a restart, with the id it had and the
// events stored for it; events of the PBX's link since the call began belong
// to them (a call known from a snapshot alone comes back with the next one).
// Events of the last minutes that are filed under no call are given with the
// id "": they may turn out to belong to one. It reports no changes, and false
// if the events make no call: should the next LinkUp not bring it back either,
// nothing will ever end it but Close.
func (t *Tracker) Restore(callID string, events []bridge.Event) bool {
	var last *group
	var s *state
	for i := range events {
		e := &events[i]
		s = t.state(e.PBX)
		s.touch(e.At)
		if link(e) {
			s.addLink(e, false)
		} else if g, _ := t.insert(e); g != nil {
			last = g
		}
	}
	if last == nil || callID == "" {
		return false
	}
	for i := range events {
		if events[i].Snapshot != nil {
			s.attach(&events[i])
		}
	}
	last = s.byChannel[last.chans[0]]
	// The links of the events decide what is one call, so all are in one group
	// now, unless facts are missing; the last one then has the id.
	last.fixed = callID
	last.fresh = nil
	last.call, last.isCall = t.r.reduce(last, s.links)
	last.began = last.call.StartedAt
	if last.isCall && last.call.Ended() {
		s.ended = append(s.ended, last)
	}
	return last.isCall
}

// Close ends the record of a call whose events are lost and of which nobody
// knows more by the time at: answered stays answered, else nobody knows why.
func Close(call bridge.Call, at bridge.Time) bridge.Call {
	if call.Ended() {
		return call
	}
	last := call.StartedAt
	latest(&last, call.AnsweredAt)
	call.Legs = slices.Clone(call.Legs)
	for i := range call.Legs {
		l := &call.Legs[i]
		for _, t := range []bridge.Time{l.DialledAt, l.RingAt, l.AnswerAt, l.EndAt} {
			latest(&last, t)
		}
	}
	for i := range call.Legs {
		l := &call.Legs[i]
		if !l.EndAt.IsZero() {
			continue
		}
		l.EndAt, l.Held, l.Result = last, false, bridge.LegCancelled
		if !l.AnswerAt.IsZero() {
			l.Result, l.TalkMS = bridge.LegAnswered, span(l.AnswerAt, last)
		}
	}
	call.EndedAt = last
	call.Gaps = append(slices.Clone(call.Gaps), bridge.Gap{From: last, To: at, Reason: GapLinkLost})
	if !call.AnsweredAt.IsZero() {
		call.Outcome, call.TalkMS = bridge.Answered, span(call.AnsweredAt, last)
		return call
	}
	call.Outcome, call.Reason, call.WaitMS = bridge.Missed, bridge.ReasonUnknown, span(call.StartedAt, last)
	if call.Direction == bridge.Out {
		call.Outcome = bridge.Failed
	}
	return call
}

// Open returns the calls that have not ended, in order of start.
func (t *Tracker) Open() []bridge.Call {
	var calls []bridge.Call
	for _, s := range t.pbx {
		for g := range s.groups {
			if g.isCall && !g.call.Ended() {
				calls = append(calls, g.call)
			}
		}
	}
	sortCalls(calls)
	return calls
}

// CallOf returns the id of the call a channel of a PBX is part of, "" if unknown.
func (t *Tracker) CallOf(pbx, channelID string) string {
	if s := t.pbx[pbx]; s != nil {
		if g := s.byChannel[channelID]; g != nil && g.isCall {
			return g.call.ID
		}
	}
	return ""
}

func link(e *bridge.Event) bool { return e.Kind == bridge.LinkLost || e.Kind == bridge.LinkUp }
