// Package missed keeps the list of clients who wait to be called back: one
// open entry per client and line, whatever number of phones, queues and
// attempts (F-6, D-02), and it cures itself. It is pure: what it needs to know
// it is given.
package missed

import (
	"slices"
	"time"

	"callbridge/bridge"
)

// Facts are what must be known beside the call.
type Facts struct {
	// Open are the open entries of the call's client.
	Open []bridge.MissedEntry
	// Counted says that the call stands in an entry already.
	Counted bool
	// TalkedAt is when somebody last began to talk with the client, as far as
	// stored; a missed call from before is settled (it may be learned late).
	TalkedAt bridge.Time
	// Due is when a call missed at that time should be answered; nil: no deadline.
	Due func(time.Time) time.Time
}

// Matters says whether a call can open or close anything.
func Matters(c *bridge.Call) bool {
	if !c.Ended() || c.Client == "" {
		return false
	}
	return c.Direction == bridge.In || c.Direction == bridge.Out && c.Outcome == bridge.Answered
}

// Apply returns the entries that are new or changed by an ended call. The same
// call again changes nothing.
func Apply(c *bridge.Call, f Facts) []bridge.MissedEntry {
	switch {
	case !Matters(c):
		return nil
	case c.Outcome == bridge.Answered:
		return settle(c, f.Open)
	case f.Counted || f.TalkedAt.After(c.StartedAt.Time):
		return nil
	}
	due := bridge.Time{}
	if f.Due != nil {
		due = bridge.At(f.Due(c.EndedAt.Time))
	}
	for _, e := range f.Open {
		if e.Line != c.Line {
			continue
		}
		e.Calls = append(slices.Clone(e.Calls), c.ID)
		e.Count++
		e.Rang = union(e.Rang, c.Rang)
		if c.StartedAt.Before(e.FirstAt.Time) {
			e.FirstAt = c.StartedAt
			e.DueAt = earlier(e.DueAt, due)
		}
		if c.StartedAt.After(e.LastAt.Time) {
			e.LastAt = c.StartedAt
		}
		return []bridge.MissedEntry{e}
	}
	return []bridge.MissedEntry{{ID: c.ID, Client: c.Client, Line: c.Line, Count: 1, Calls: []string{c.ID},
		FirstAt: c.StartedAt, LastAt: c.StartedAt, DueAt: due, Rang: slices.Clone(c.Rang)}}
}

// settle closes what a talk answers: everything the client missed before it,
// on any line.
func settle(c *bridge.Call, open []bridge.MissedEntry) []bridge.MissedEntry {
	var out []bridge.MissedEntry
	for _, e := range open {
		switch {
		case slices.Contains(e.Calls, c.ID):
			e.Closed = bridge.WasTalkedWith
		case c.AnsweredAt.Before(e.LastAt.Time):
			continue
		case c.Direction == bridge.Out:
			e.Closed = bridge.CalledBack
		default:
			e.Closed = bridge.CameThrough
		}
		e.ClosedAt, e.ClosedBy, e.ClosingCall = c.AnsweredAt, c.FirstTalked(), c.ID
		out = append(out, e)
	}
	return out
}

// ByHand closes an entry because somebody says so.
func ByHand(e bridge.MissedEntry, login string, at bridge.Time) bridge.MissedEntry {
	e.Closed, e.ClosedBy, e.ClosedAt = bridge.ClosedByHand, login, at
	return e
}

// MayCall says whether the phone of an employee is one of those the entry is
// for: those that rang, or everybody if none did (D-26).
func MayCall(e *bridge.MissedEntry, extension string) bool {
	return len(e.Rang) == 0 || slices.Contains(e.Rang, extension)
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func earlier(a, b bridge.Time) bridge.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a.Time) {
		return b
	}
	return a
}
