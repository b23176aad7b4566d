package track_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbridge/bridge"
	"callbridge/bridge/track"
	"callbridge/pbx/ari"
	"callbridge/pbx/ari/aristream"
)

var opts = track.Options{OwnNumber: func(string) string { return "74951234567" }}

// events decodes a recorded stream; stored keeps only what the daemon stores.
// The loss of the websocket and the answers after it become LinkLost and
// LinkUp, as the adapter makes them.
func events(t testing.TB, name string, stored bool) []bridge.Event {
	t.Helper()
	lines, err := aristream.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	d := ari.NewDecoder(ari.DecodeOptions{PBX: "office", Trunks: []string{"trunk"}})
	var list []bridge.Event
	var last bridge.Time // by the PBX's clock
	var lastT time.Duration
	lost, channels := false, []byte(nil)
	for _, l := range lines {
		at := bridge.Time{Time: last.Add(l.T - lastT)}
		switch {
		case strings.Contains(l.Note, "dropped on purpose"), strings.Contains(l.Note, "close 1006"):
			lost = true
		case l.REST != nil && l.REST.Path == "/channels":
			channels = l.REST.Body
		case l.REST != nil && l.REST.Path == "/bridges" && lost:
			snap, err := d.Snapshot(nil, channels, l.REST.Body)
			if err != nil {
				t.Fatal(err)
			}
			if last.IsZero() { // not an event was seen before: the first start of the daemon
				at = bridge.At(time.Date(2026, 11, 22, 5, 23, 17, 0, time.UTC))
			}
			snap.StartedAt = bridge.AtMilli(1795300000000)
			if name == "crash_midcall" || name == "restart_midcall" {
				snap.StartedAt = bridge.At(at.Add(-time.Second))
			}
			if !last.IsZero() {
				list = append(list, bridge.Event{ID: "lost", PBX: "office", Kind: bridge.LinkLost, At: at, From: last, To: at})
			}
			list = append(list, bridge.Event{ID: "up", PBX: "office", Kind: bridge.LinkUp, At: at, Snapshot: &snap})
			lost = false
		}
		if l.Event == nil {
			continue
		}
		e, useful, err := d.Decode(l.Event)
		if err != nil {
			t.Fatalf("%s line %d: %v", name, l.N, err)
		}
		if !e.At.IsZero() {
			last, lastT = e.At, l.T
		}
		if useful || !stored {
			list = append(list, e)
		}
	}
	return list
}

// endUnseen are streams in which the end of the call fell into a gap.
var endUnseen = map[string]string{"ws_lost_end_unseen": track.GapLinkLost, "crash_midcall": track.GapRestarted}

func names() []string { return aristream.Names() }

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

// unprepared are the events of a PBX without channelvars: no call ids, nothing
// from the operator's dialplan.
func unprepared(list []bridge.Event) []bridge.Event {
	list = noVariables(list)
	bare := func(c *bridge.Channel) *bridge.Channel {
		if c == nil {
			return nil
		}
		v := *c
		v.Group, v.Dir, v.DID, v.Ext = "", "", "", ""
		return &v
	}
	for i := range list {
		e := &list[i]
		e.Leg, e.Peer = bare(e.Leg), bare(e.Peer)
		e.More = slices.Clone(e.More)
		for j := range e.More {
			e.More[j] = *bare(&e.More[j])
		}
		if e.Snapshot != nil {
			s := *e.Snapshot
			s.Channels = slices.Clone(s.Channels)
			for j := range s.Channels {
				s.Channels[j] = *bare(&s.Channels[j])
			}
			e.Snapshot = &s
		}
	}
	return list
}

// TestUnpreparedPBX: the records are the same when the PBX tells neither call
// ids nor variables; who dials, answers and talks to whom is enough.
func TestUnpreparedPBX(t *testing.T) {
	want := aristream.Expected()
	for _, name := range names() {
		t.Run(name, func(t *testing.T) {
			compare(t, "unprepared", track.Calls(unprepared(events(t, name, true)), opts), want[name], false)
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
		if reason := endUnseen[t.Name()[strings.LastIndexByte(t.Name(), '/')+1:]]; reason != "" {
			if g := got[i].Gaps; len(g) != 1 || g[0].Reason != reason || g[0].To.Before(g[0].From.Time) {
				t.Errorf("%s: gaps %v, want one of reason %s", what, g, reason)
			}
			continue // talked until some time in the gap
		}
		near(t, what+": talk_ms", got[i].TalkMS, want[i].TalkMS)
	}
}

// comparable drops what the expected records do not hold.
func comparable(c bridge.Call, recordings bool) bridge.Call {
	c.ID, c.PBX, c.Queue, c.ClickID, c.ClientName, c.Cause = "", "", "", "", "", 0
	c.TalkedFirst, c.TalkedLast, c.TalkedLongest, c.Path, c.Unknown = "", "", "", nil, nil
	c.Legs, c.WaitMS, c.TalkMS = nil, nil, nil
	c.StartedAt, c.AnsweredAt, c.EndedAt = bridge.Time{}, bridge.Time{}, bridge.Time{}
	c.Gaps = nil
	c.Transfers = slices.Clone(c.Transfers)
	for i := range c.Transfers {
		c.Transfers[i].At = bridge.Time{}
	}
	if len(c.Recordings) == 0 || !recordings {
		c.Recordings = nil // their names are told by variables or made of call ids
	}
	c.Recordings = slices.Clone(c.Recordings)
	for i := range c.Recordings {
		c.Recordings[i].Extension = ""
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
