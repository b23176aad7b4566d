package missed_test

import (
	"fmt"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/missed"
)

func minute(n int) bridge.Time {
	return bridge.At(time.Date(2026, 11, 20, 9, n, 0, 0, time.UTC))
}

// call is "in 5 missed line1", "out 7 answered": direction, minute, outcome.
func call(id string, dir bridge.Direction, at int, outcome bridge.Outcome, line string, rang ...string) *bridge.Call {
	c := &bridge.Call{ID: id, Direction: dir, Outcome: outcome, Client: "+79161234567", Line: line, Rang: rang,
		StartedAt: minute(at), EndedAt: bridge.At(minute(at).Add(30 * time.Second))}
	if outcome == bridge.Answered {
		c.AnsweredAt, c.AnsweredBy = bridge.At(minute(at).Add(5*time.Second)), []string{"101"}
	}
	return c
}

// list plays calls like the store does.
type list map[string]bridge.MissedEntry

func (l list) apply(c *bridge.Call) {
	f := missed.Facts{Due: func(t time.Time) time.Time { return t.Add(time.Hour) }}
	for _, e := range l {
		if e.ClosedAt.IsZero() && e.Client == c.Client {
			f.Open = append(f.Open, e)
		}
		for _, id := range e.Calls {
			f.Counted = f.Counted || id == c.ID
		}
	}
	for _, e := range missed.Apply(c, f) {
		l[e.ID] = e
	}
}

func (l list) String() string {
	s := ""
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		if e, ok := l[id]; ok {
			s += fmt.Sprintf("%s:%d%s ", id, e.Count, e.Closed)
		}
	}
	return s
}

// F-6, D-02, D-31: one entry per client and line, with a counter; it closes
// when somebody has talked to him, and only then.
func TestF06MissedCuresItself(t *testing.T) {
	for name, c := range map[string]struct {
		calls []*bridge.Call
		want  string
	}{
		"three attempts are one entry": {[]*bridge.Call{call("a", "in", 1, "missed", "L"), call("b", "in", 2, "missed", "L"), call("c", "in", 3, "missed", "L")}, "a:3 "},
		"two lines are two":            {[]*bridge.Call{call("a", "in", 1, "missed", "L"), call("b", "in", 2, "missed", "M")}, "a:1 b:1 "},
		"called back closes all":       {[]*bridge.Call{call("a", "in", 1, "missed", "L"), call("b", "in", 2, "missed", "M"), call("c", "out", 5, "answered", "")}, "a:1called_back b:1called_back "},
		"not reached closes nothing":   {[]*bridge.Call{call("a", "in", 1, "missed", "L"), call("b", "out", 5, "failed", "")}, "a:1 "},
		"the client comes through":     {[]*bridge.Call{call("a", "in", 1, "missed", "L"), call("b", "in", 2, "answered", "M")}, "a:1came_through "},
		"missed again after a talk":    {[]*bridge.Call{call("a", "in", 1, "missed", "L"), call("b", "in", 2, "answered", "L"), call("c", "in", 3, "missed", "L")}, "a:1came_through c:1 "},
		"a talk from before is none":   {[]*bridge.Call{call("a", "in", 5, "missed", "L"), call("b", "out", 1, "answered", "")}, "a:1 "},
		"it was answered after all":    {[]*bridge.Call{call("a", "in", 1, "missed", "L"), call("a", "in", 1, "answered", "L")}, "a:1was_talked_with "},
		"colleagues do not matter":     {[]*bridge.Call{call("a", "internal", 1, "missed", "L")}, ""},
		"a withheld number is nobody":  {[]*bridge.Call{{ID: "a", Direction: "in", Outcome: "missed", Line: "L"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := list{}
			for _, x := range c.calls {
				l.apply(x)
				l.apply(x) // again changes nothing
			}
			if l.String() != c.want {
				t.Errorf("got %q, want %q", l, c.want)
			}
		})
	}
}

func TestEntryKeepsWhatMatters(t *testing.T) {
	l := list{}
	l.apply(call("b", "in", 2, "missed", "L", "102"))
	l.apply(call("a", "in", 1, "missed", "L", "101", "102")) // learned later
	e := l["b"]
	if e.FirstAt != minute(1) || e.LastAt != minute(2) || e.DueAt != bridge.At(minute(1).Add(time.Hour+30*time.Second)) || len(e.Rang) != 2 {
		t.Errorf("%+v", e)
	}
	if !missed.MayCall(&e, "101") || missed.MayCall(&e, "103") || !missed.MayCall(&bridge.MissedEntry{}, "103") {
		t.Error("MayCall")
	}
	late := missed.Apply(call("z", "in", 1, "missed", "L"), missed.Facts{TalkedAt: minute(5)})
	if len(late) > 0 {
		t.Error("a missed call learned late, after somebody talked to the client, was opened")
	}
	if h := missed.ByHand(e, "ivan", minute(9)); h.Closed != bridge.ClosedByHand || h.ClosedBy != "ivan" || h.ClosedAt != minute(9) {
		t.Errorf("%+v", h)
	}
}
