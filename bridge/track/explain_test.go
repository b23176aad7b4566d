package track_test

import (
	"slices"
	"testing"

	"callbridge/bridge"
	"callbridge/bridge/track"
)

// TestExplain: each event is told with what it changed, the changes add up to
// the record, and what only one event told is told of it.
func TestExplain(t *testing.T) {
	for _, name := range []string{"in_answered", "in_missed_caller_hangs_up", "out_busy", "xfer_blind"} {
		all := events(t, name, true)
		call := track.Calls(all, opts)[0]
		readings := track.Explain(all, opts)
		if len(readings) != len(all) {
			t.Fatalf("%s: %d readings of %d events", name, len(readings), len(all))
		}
		is := map[string]string{}
		for _, r := range readings {
			for _, c := range r.Changes {
				is[c.Field] = string(c.Is)
			}
		}
		if is["outcome"] != `"`+string(call.Outcome)+`"` || is["id"] != `"`+call.ID+`"` || track.Why(&call) == "" {
			t.Errorf("%s: the changes add up to %v, want %+v", name, is, call)
		}
	}
	readings := track.Explain(events(t, "xfer_blind", true), opts)
	if i := slices.IndexFunc(readings, func(r track.Reading) bool { return r.Event.Kind == bridge.BlindTransfer }); i < 0 || !slices.Contains(readings[i].Decides, "transfers") {
		t.Error("the transfer is not told to decide the transfers")
	}
	for _, r := range bridge.Reasons() {
		if why := track.Why(&bridge.Call{Outcome: bridge.Missed, Reason: r}); why[len(why)-1] != '.' {
			t.Errorf("no sentence for %s", r)
		}
	}
}
