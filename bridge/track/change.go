package track

import (
	"slices"

	"callbridge/bridge"
)

// Change is what one event did to one call. The calls in it are not changed
// afterwards and may be kept.
type Change struct {
	Call bridge.Call // after the event
	Was  bridge.Call // before it; the zero Call if it is new
	// Merged are the ids of calls that turned out to be part of this one; they
	// are no calls of their own any more.
	Merged []string
	// Events are the ids of the events that belong to Call since this change:
	// the new one, those that came before it was known to be a call, and those
	// of merged calls.
	Events []string
}

// Changed says whether the record is another than before.
func (c *Change) Changed() bool {
	return len(c.Merged) > 0 || !Equal(&c.Call, &c.Was)
}

// New says that the call was not known before.
func (c *Change) New() bool { return c.Was.ID == "" }

// Rings are the extensions that began to ring with this change.
func (c *Change) Rings() []string { return without(ringing(&c.Call), ringing(&c.Was)) }

// Stopped are the extensions that rang before and do not ring any more, also
// because they answered.
func (c *Change) Stopped() []string { return without(ringing(&c.Was), ringing(&c.Call)) }

// Answered says that client and employee began to talk with this change.
func (c *Change) Answered() bool {
	return !c.Call.AnsweredAt.IsZero() && c.Was.AnsweredAt.IsZero()
}

// Joined are the extensions that began to talk with this change in a call
// that others had answered before: after a transfer, or besides.
func (c *Change) Joined() []string {
	if c.Was.AnsweredAt.IsZero() || c.Call.Ended() {
		return nil
	}
	talks := func(l *bridge.Leg) bool { return !l.AnswerAt.IsZero() && l.EndAt.IsZero() }
	return without(who(&c.Call, talks), who(&c.Was, talks))
}

// Turned are the extensions that put the other side on hold with this change,
// or took it back.
func (c *Change) Turned() []string {
	if c.Call.Ended() {
		return nil
	}
	held := func(l *bridge.Leg) bool { return l.Held }
	now, was := who(&c.Call, held), who(&c.Was, held)
	return append(without(now, was), without(was, now)...)
}

// who lists the extensions of legs for which is holds.
func who(c *bridge.Call, is func(*bridge.Leg) bool) []string {
	var list []string
	for i := range c.Legs {
		if is(&c.Legs[i]) {
			list = add(list, c.Legs[i].Extension)
		}
	}
	return list
}

// Ended says that the call ended with this change.
func (c *Change) Ended() bool { return c.Call.Ended() && !c.Was.Ended() }

// ringing are the extensions that ring at the moment.
func ringing(c *bridge.Call) []string {
	var list []string
	for i := range c.Legs {
		l := &c.Legs[i]
		if !l.RingAt.IsZero() && l.AnswerAt.IsZero() && l.EndAt.IsZero() {
			list = add(list, l.Extension)
		}
	}
	return list
}

func without(a, b []string) []string {
	var list []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			list = append(list, s)
		}
	}
	return list
}

// Equal says whether two records are the same.
func Equal(a, b *bridge.Call) bool {
	return a.ID == b.ID && a.PBX == b.PBX && a.Direction == b.Direction && a.Outcome == b.Outcome &&
		a.Reason == b.Reason && a.Client == b.Client && a.ClientRaw == b.ClientRaw && a.ClientName == b.ClientName &&
		a.Line == b.Line && a.Queue == b.Queue && a.Agent == b.Agent && a.ClickID == b.ClickID &&
		a.HungUpBy == b.HungUpBy && a.Cause == b.Cause && a.StartedAt == b.StartedAt &&
		a.AnsweredAt == b.AnsweredAt && a.EndedAt == b.EndedAt && same(a.WaitMS, b.WaitMS) && same(a.TalkMS, b.TalkMS) &&
		a.PBXCallID == b.PBXCallID && slices.Equal(a.Rang, b.Rang) && slices.Equal(a.AnsweredBy, b.AnsweredBy) &&
		a.TalkedFirst == b.TalkedFirst && a.TalkedLast == b.TalkedLast && a.TalkedLongest == b.TalkedLongest &&
		slices.Equal(a.Path, b.Path) && slices.Equal(a.Unknown, b.Unknown) &&
		slices.Equal(a.Transfers, b.Transfers) && slices.Equal(a.Recordings, b.Recordings) && slices.Equal(a.Gaps, b.Gaps) &&
		slices.EqualFunc(a.Legs, b.Legs, func(x, y bridge.Leg) bool {
			if !same(x.TalkMS, y.TalkMS) {
				return false
			}
			x.TalkMS, y.TalkMS = nil, nil
			return x == y
		})
}

func same(a, b *int64) bool {
	return a == b || a != nil && b != nil && *a == *b
}
