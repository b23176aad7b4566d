package track_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbridge/bridge"
	"callbridge/bridge/track"
)

// invented makes events of bytes: a few channels, rooms and links, in any
// combination, also such as no PBX would ever tell.
func invented(data []byte) []bridge.Event {
	kinds := []bridge.EventKind{bridge.ChannelBegan, bridge.ChannelRinging, bridge.ChannelUp, bridge.ChannelEnded, bridge.Hangup,
		bridge.Dialling, bridge.DialRinging, bridge.DialAnswered, bridge.DialEnded, bridge.RoomEntered, bridge.RoomsMerged, bridge.BlindTransfer,
		bridge.AttendedXfer, bridge.HoldBegan, bridge.HoldEnded, bridge.VariableSet, bridge.RouteAsked, bridge.RecordingDone, bridge.LinkLost, bridge.LinkUp}
	channels := []bridge.Channel{
		{ID: "p.1", Trunk: "trunk", Incoming: true, Number: "79161234567", Exten: "74951234567"},
		{ID: "p.2", Extension: "101", Number: "101"},
		{ID: "p.3", Extension: "102", Incoming: true, Exten: "103", State: "up"},
		{ID: "p.4", Trunk: "trunk", Group: "p.3", State: "ringing"},
		{ID: "p.5", Helper: true, Pair: "Local/1"},
		{ID: "p.6", Helper: true, Pair: "Local/1", Incoming: true},
		{ID: "cb-7", Extension: "103", State: "up"},
		{ID: "p.8", Extension: "101", Group: "p.1", App: "Queue", AppData: "sales,t"},
	}
	t0 := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	channel := func(b byte) *bridge.Channel {
		c := channels[int(b)%len(channels)]
		c.Since = bridge.At(t0.Add(time.Duration(int(b)%len(channels)) * time.Second))
		return &c
	}
	var list []bridge.Event
	for n := 0; n+3 < len(data) && n < 4*64; n += 4 {
		k, a, b, w := data[n], data[n+1], data[n+2], data[n+3]
		e := bridge.Event{ID: fmt.Sprintf("e%d", n), PBX: "office", Kind: kinds[int(k)%len(kinds)], At: bridge.At(t0.Add(time.Duration(w) * 100 * time.Millisecond))}
		switch e.Kind {
		case bridge.LinkLost:
			e.From, e.To = bridge.At(e.At.Add(-time.Duration(a)*time.Second)), e.At
		case bridge.LinkUp:
			e.Snapshot = &bridge.Snapshot{StartedAt: bridge.At(t0.Add(-time.Hour + time.Duration(b)*time.Minute)), Partial: b%2 == 1}
			for bit := range channels {
				if a>>bit&1 == 1 {
					e.Snapshot.Channels = append(e.Snapshot.Channels, *channel(byte(bit)))
				}
			}
			if len(e.Snapshot.Channels) > 1 {
				e.Snapshot.Rooms = []bridge.Room{{ID: "r", Since: e.At, Members: []string{e.Snapshot.Channels[0].ID, e.Snapshot.Channels[1].ID}}}
			}
		case bridge.RoomEntered, bridge.RoomsMerged:
			e.Leg, e.Room, e.Members = channel(a), fmt.Sprintf("r%d", b%3), []string{channel(a).ID, channel(b).ID}
		default:
			e.Leg = channel(a)
			if b%3 != 0 {
				e.Peer = channel(b)
			}
			if e.Kind == bridge.AttendedXfer {
				e.More = []bridge.Channel{*channel(b), *channel(w)}
			}
			e.Cause, e.Soft = int(b), k > 128
			e.Result = []string{bridge.DialBusy, bridge.DialNoAnswer, bridge.DialCancelled, bridge.TransferDone, bridge.TransferFailed}[int(b)%5]
		}
		list = append(list, e)
	}
	return list
}

// FuzzTracker: any events, in any order and twice, give the same calls (F-7);
// fed one by one too, and what was told last of a call is the call.
func FuzzTracker(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 5, 0, 1, 1, 7, 0, 1, 9, 9, 0, 1, 10, 4, 0, 0, 40, 3, 0, 0, 41, 3, 1, 0, 41})
	f.Add([]byte{0, 2, 0, 0, 12, 2, 4, 8, 18, 9, 0, 20, 19, 255, 0, 21, 19, 3, 2, 30, 3, 2, 0, 50})
	f.Add([]byte{5, 3, 4, 1, 5, 4, 5, 1, 10, 1, 2, 2, 11, 6, 1, 3, 16, 0, 0, 4})
	keep := opts
	keep.Keep = 24 * time.Hour
	f.Fuzz(func(t *testing.T, data []byte) {
		events := invented(data)
		want := track.Calls(events, keep)
		back := slices.Clone(events)
		slices.Reverse(back)
		if diff := cmp.Diff(want, track.Calls(append(back, events...), keep)); diff != "" {
			t.Fatalf("backwards and again:\n%s", diff)
		}
		calls, filed := map[string]bridge.Call{}, map[string]string{}
		feed(t, track.New(keep), events, calls, filed)
		if diff := cmp.Diff(want, list(calls)); diff != "" {
			t.Fatalf("one by one:\n%s", diff)
		}
		for i := range want {
			if c := &want[i]; c.Ended() && (c.Outcome == "" || c.EndedAt.Before(c.StartedAt.Time) && len(c.Gaps) == 0) {
				t.Logf("odd: %+v", *c) // such clocks do not exist; it must only not fail
			}
		}
	})
}
