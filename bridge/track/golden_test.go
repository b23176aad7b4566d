package track_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callbridge/bridge"
	"callbridge/bridge/track"
	"callbridge/pbx/ari"
	"callbridge/pbx/ari/aristream"
)

var opts = track.Options{OwnNumber: func(string) string { return "74951234567" }}

// events decodes a recorded stream; stored keeps only what the daemon stores.
func events(t testing.TB, name string, stored bool) []bridge.Event {
	t.Helper()
	lines, err := aristream.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	d := ari.NewDecoder(ari.DecodeOptions{PBX: "office", Trunks: []string{"trunk"}})
	var list []bridge.Event
	for _, l := range lines {
		if l.Event == nil {
			continue
		}
		e, useful, err := d.Decode(l.Event)
		if err != nil {
			t.Fatalf("%s line %d: %v", name, l.N, err)
		}
		if useful || !stored {
			list = append(list, e)
		}
	}
	return list
}

// later are streams with a gap: what the events do not tell must come from
// the PBX's answers after it.
var later = map[string]bool{"ws_lost_answer_unseen": true, "ws_lost_end_unseen": true, "ws_lost_start_unseen": true,
	"crash_midcall": true}

// names are the streams whose records follow from the events alone.
func names() []string {
	return slices.DeleteFunc(aristream.Names(), func(n string) bool { return later[n] })
}

func noVariables(list []bridge.Event) []bridge.Event {
	return slices.DeleteFunc(slices.Clone(list), func(e bridge.Event) bool { return e.Kind == bridge.VariableSet })
}

// TestRecordedCalls proves that the records of real calls are right: whatever
// the PBX tells besides, with the events that are stored alone, with the
// variables filtered out at the PBX, and event by event (D-01, F-7).
func TestRecordedCalls(t *testing.T) {
	want := aristream.Expected()
	for _, name := range names() {
		t.Run(name, func(t *testing.T) {
			all := events(t, name, false)
			compare(t, "all events", track.Calls(all, opts), want[name], true)
			stored := events(t, name, true)
			compare(t, "stored events", track.Calls(stored, opts), want[name], true)
			// Without variables nobody tells the file of a PBX that gives no call id.
			filtered := track.Calls(noVariables(stored), opts)
			compare(t, "filtered events", filtered, want[name], len(name) < 6 || name[:6] != "plain/")
			if diff := cmp.Diff(track.Calls(all, opts), track.Calls(stored, opts)); diff != "" {
				t.Errorf("the calls differ without the events that are not stored:\n%s", diff)
			}
		})
	}
}

func compare(t *testing.T, what string, got, want []bridge.Call, recordings bool) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d calls, want %d: %+v", what, len(got), len(want), got)
	}
	for i := range got {
		if diff := cmp.Diff(comparable(got[i], recordings), comparable(want[i], recordings)); diff != "" {
			t.Errorf("%s: call %d (- got, + want):\n%s", what, i, diff)
		}
		near(t, what+": wait_ms", got[i].WaitMS, want[i].WaitMS)
		near(t, what+": talk_ms", got[i].TalkMS, want[i].TalkMS)
	}
}

// comparable drops what the expected records do not hold.
func comparable(c bridge.Call, recordings bool) bridge.Call {
	c.ID, c.PBX, c.Queue, c.ClickID, c.ClientName, c.Cause = "", "", "", "", "", 0
	c.Legs, c.WaitMS, c.TalkMS = nil, nil, nil
	c.StartedAt, c.AnsweredAt, c.EndedAt = bridge.Time{}, bridge.Time{}, bridge.Time{}
	c.Gaps = nil
	c.Transfers = slices.Clone(c.Transfers)
	for i := range c.Transfers {
		c.Transfers[i].At = bridge.Time{}
	}
	if len(c.Recordings) == 0 || !recordings {
		c.Recordings = nil
	}
	return c
}

func near(t *testing.T, what string, got, want *int64) {
	t.Helper()
	if (got == nil) != (want == nil) {
		t.Errorf("%s: %s, want %s", what, text(got), text(want))
		return
	}
	if got != nil && (*got-*want > 30 || *want-*got > 30) {
		t.Errorf("%s: %d, want %d", what, *got, *want)
	}
}

func text(p *int64) string {
	if p == nil {
		return "none"
	}
	return fmt.Sprint(*p)
}
