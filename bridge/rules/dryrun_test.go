package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
)

func dryCalls() []bridge.Call {
	var out []bridge.Call
	for i, o := range []bridge.Outcome{bridge.Answered, bridge.Missed, bridge.Missed, ""} {
		c := bridge.Call{ID: fmt.Sprint("c", i), Direction: bridge.In, Outcome: o, Client: "+79161234567", Line: "+74951234567", Rang: []string{"101"}}
		if o == bridge.Answered {
			c.AnsweredBy = []string{"101", "102"}
		}
		out = append(out, c)
	}
	return out
}

// TestF4DryRunSaysWhatWouldBeOtherwise compares rules on stored calls.
func TestF4DryRunSaysWhatWouldBeOtherwise(t *testing.T) {
	task := func(due time.Duration, o ...bridge.Outcome) []bridge.Integration {
		return []bridge.Integration{{ID: "m", Calls: bridge.CallRules{Tasks: []bridge.TaskRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: o}, Due: bridge.Duration(due)}}}}}
	}
	count := func(d DryRun, k bridge.ActionKind) DryCount {
		i := slices.IndexFunc(d.Counts, func(c DryCount) bool { return c.Kind == k })
		if i < 0 {
			t.Fatalf("nothing counted for %s: %+v", k, d)
		}
		return d.Counts[i]
	}
	same := Compare(dryCalls(), task(time.Hour, bridge.Missed), task(time.Hour, bridge.Missed), 100)
	if same.Calls != 3 || same.Touched() != 0 || len(same.Differences) != 0 || count(same, bridge.ActTask).Present != 2 {
		t.Errorf("the same rules: %+v", same)
	}
	d := Compare(dryCalls(), task(time.Hour, bridge.Missed), task(4*time.Hour, bridge.Missed, bridge.Answered), 100)
	if n := count(d, bridge.ActTask); n.Created != 1 || n.Changed != 2 || n.NotCreated != 0 || n.Next != 3 {
		t.Errorf("%+v", n)
	}
	if x := d.Differences[1]; x.Effect != WouldChange || !strings.Contains(x.Changed[0], "due: 1h0m0s → 4h0m0s") {
		t.Errorf("%+v", x)
	}
	d = Compare(dryCalls(), task(time.Hour, bridge.Missed), nil, 1)
	if n := count(d, bridge.ActTask); n.NotCreated != 2 || len(d.Differences) != 1 || d.Left != d.Touched()-1 {
		t.Errorf("an integration that goes: %+v", d)
	}
}

// TestDecisionsKeepTheFirst: a contact made at the answer stays made.
func TestDecisionsKeepTheFirst(t *testing.T) {
	in := bridge.Integration{ID: "m", Calls: bridge.CallRules{Contact: &bridge.ContactRule{}}}
	list := Decisions(dryCalls()[0], in, 7)
	i := slices.IndexFunc(list, func(a bridge.Action) bool { return a.Kind == bridge.ActContact && a.Wanted })
	if i < 0 || list[i].Trigger != bridge.OnAnswer || list[i].Version != 7 {
		t.Errorf("%+v", list)
	}
	if slices.ContainsFunc(list, func(a bridge.Action) bool { return a.Kind == bridge.ActPopup }) {
		t.Error("a window of the past is of no use")
	}
}
