package track_test

import (
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/track"
)

// TestOlderCallKeepsItsIDAfterRestart: two calls that lived when the program
// was killed turned out to be one. The one with more events gave its id, and
// the older, which the CRM had already, was there a second time. Found by
// killing the program under load.
func TestOlderCallKeepsItsIDAfterRestart(t *testing.T) {
	const older, younger = "01M813SJDT1F87RYN5K1VQPF1H", "01M813SJK5M1PY33K8DWV0MZCB"
	t0 := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
	ev := func(id string, after time.Duration, k bridge.EventKind, leg bridge.Channel) bridge.Event {
		return bridge.Event{ID: id, PBX: "office", Kind: k, At: bridge.At(t0.Add(after)), Leg: &leg}
	}
	client := bridge.Channel{ID: "a", Group: "a", Trunk: "trunk", Incoming: true, Number: "+79161234567", Since: bridge.At(t0)}
	agent := bridge.Channel{ID: "b", Group: "b", Extension: "101", Incoming: true, Number: "101", Exten: "103", Since: bridge.At(t0.Add(time.Second))}
	tr := track.New(track.Options{})
	tr.Restore(older, []bridge.Event{ev("1", 0, bridge.ChannelBegan, client)})
	tr.Restore(younger, []bridge.Event{ev("2", time.Second, bridge.ChannelBegan, agent), ev("3", 2*time.Second, bridge.ChannelUp, agent)})
	client.State, agent.State = "up", "up"
	one := ev("4", 3*time.Second, bridge.RoomEntered, client)
	one.Room, one.Members = "r", []string{"a", "b"}
	ch := tr.Add(one)
	if len(ch) != 1 || ch[0].Call.ID != older || len(ch[0].Merged) != 1 || ch[0].Merged[0] != younger {
		t.Fatalf("the calls became %+v, want %s with %s merged into it", ch, older, younger)
	}
}
