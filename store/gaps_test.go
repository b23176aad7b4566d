package store_test

import (
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
	"callbridge/store/storetest"
)

// What the repair of a gap asks: which calls of the PBX's log do we know?
func TestCallsKnownByThePBXsIDs(t *testing.T) {
	both(t, func(t *testing.T, dsn string) {
		db, err := store.Open(t.Context(), dsn, storetest.Key(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }() // the test is over
		at := bridge.At(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
		one := bridge.Call{ID: "t1", PBX: "office", PBXCallID: "p.1", StartedAt: at}
		two := bridge.Call{ID: "t2", PBX: "office", PBXCallID: "p.2", StartedAt: bridge.At(at.Add(time.Second))}
		consult := bridge.Channel{ID: "p_3%"}
		rows := []store.EventRow{{CallID: "t1", Event: bridge.Event{ID: "e", PBX: "office", Kind: bridge.ChannelBegan, At: at, Leg: &consult}},
			{Event: bridge.Event{ID: "f", PBX: "office", Kind: bridge.ChannelBegan, At: at, Leg: &bridge.Channel{ID: "p.4"}}}}
		if err := db.Commit(t.Context(), store.Batch{Events: rows, Calls: []bridge.Call{one, two}}); err != nil {
			t.Fatal(err)
		}
		if err := db.Commit(t.Context(), store.Batch{Merged: map[string]string{"t2": "t1"}}); err != nil {
			t.Fatal(err)
		}
		got, err := db.CallsByPBXID(t.Context(), "office", at.Add(-time.Second), at.Add(time.Minute))
		if err != nil || len(got) != 2 || got["p.1"] != "t1" || got["p.2"] != "t1" {
			t.Errorf("%v %v", got, err)
		}
		if got, err := db.CallsByPBXID(t.Context(), "office", at.Add(2*time.Second), at.Add(time.Minute)); err != nil || len(got) != 0 {
			t.Errorf("%v %v", got, err)
		}
		for channel, want := range map[string]string{"p_3%": "t1", "p_3": "", "px3%": "", "p.4": ""} {
			if id, err := db.CallOfChannel(t.Context(), "office", at.Add(-time.Second), at.Add(time.Second), channel); err != nil || id != want {
				t.Errorf("%s: %q %v", channel, id, err)
			}
		}
		if id, err := db.CallOfChannel(t.Context(), "office", at.Add(time.Second), at.Add(time.Minute), "p_3%"); err != nil || id != "" {
			t.Errorf("%q %v", id, err)
		}
	})
}
