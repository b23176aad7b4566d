package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

// testStats proves what the overview counts.
func testStats(t *testing.T, dsn func(testing.TB) string) {
	db := Open(t, dsn(t))
	var b store.Batch
	add := func(minute int, d bridge.Direction, o bridge.Outcome, client bridge.Number, wait int64) {
		c := call(fmt.Sprintf("s%d", len(b.Calls)), minute*60, client)
		c.StartedAt = bridge.At(base.Add(time.Duration(minute) * time.Minute))
		c.Direction, c.Outcome, c.WaitMS = d, o, &wait
		if wait < 0 {
			c.WaitMS = nil
		}
		b.Calls = append(b.Calls, c)
		b.Events = append(b.Events, store.EventRow{CallID: c.ID, Event: bridge.Event{ID: "e" + c.ID, PBX: "office", Kind: bridge.ChannelBegan, At: c.StartedAt}})
	}
	add(5, bridge.In, bridge.Answered, "+79160000001", 3000)
	add(10, bridge.In, bridge.Missed, "+79160000002", 30_000)
	add(20, bridge.In, bridge.Missed, "+79160000002", 70_000) // the same caller again
	add(70, bridge.Out, bridge.Answered, "+79160000002", 900) // and the call back
	add(80, bridge.In, bridge.Missed, "+79160000003", 8000)   // nobody called back
	add(90, bridge.In, bridge.Missed, "", 1000)               // nobody can
	add(95, bridge.Internal, bridge.Answered, "", -1)
	if err := db.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	from, to := base, base.Add(2*time.Hour)
	slots, err := db.CallSlots(t.Context(), from, to, time.Hour)
	want := []store.SlotCount{{Slot: 0, Direction: "in", Outcome: "answered", Count: 1}, {Slot: 0, Direction: "in", Outcome: "missed", Count: 2},
		{Slot: 1, Direction: "in", Outcome: "missed", Count: 2}, {Slot: 1, Direction: "internal", Outcome: "answered", Count: 1}, {Slot: 1, Direction: "out", Outcome: "answered", Count: 1}}
	if err != nil || !slices.Equal(slots, want) {
		t.Errorf("slots %+v, %v", slots, err)
	}
	waits, err := db.Waits(t.Context(), from, to, []time.Duration{5 * time.Second, time.Minute})
	wantWaits := []store.WaitCount{{Bucket: 0, Outcome: "answered", Count: 1}, {Bucket: 0, Outcome: "missed", Count: 1}, {Bucket: 1, Outcome: "missed", Count: 2}, {Bucket: 2, Outcome: "missed", Count: 1}}
	if err != nil || !slices.Equal(waits, wantWaits) {
		t.Errorf("waits %+v, %v", waits, err)
	}
	if missed, returned, err := db.Returned(t.Context(), from, to); err != nil || missed != 2 || returned != 1 {
		t.Errorf("%d missed, %d returned, %v", missed, returned, err)
	}
	if missed, returned, err := db.Returned(t.Context(), to, to.Add(time.Hour)); err != nil || missed != 0 || returned != 0 {
		t.Errorf("%d missed, %d returned of nothing, %v", missed, returned, err)
	}
	at := bridge.At(base.Add(time.Minute))
	rs := []store.Receipt{{CallID: "s0", Extension: "101", Login: "ivan", SentAt: at, ShownAt: at, LatencyMS: 40}, {CallID: "s0", Extension: "102", Login: "olga", SentAt: at, ShownAt: at, LatencyMS: 7},
		{CallID: "s1", Extension: "101", Login: "ivan", SentAt: at}}
	if err := db.SaveReceipts(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
	if ms, err := db.CardLatencies(t.Context(), from, to); err != nil || !slices.Equal(ms, []int64{7, 40}) {
		t.Errorf("latencies %v, %v", ms, err)
	}
}

// testRings proves what is kept of a ring, also when its call merged.
func testRings(t *testing.T, dsn func(testing.TB) string) {
	db := Open(t, dsn(t))
	a, b := call("a", 0, "+79160000001"), call("b", 1, "+79160000001")
	must(t, db.Commit(t.Context(), store.Batch{Events: []store.EventRow{event("e1", 0, "a"), event("e2", 1, "b")}, Calls: []bridge.Call{a, b}}))
	rs := []store.Ring{{CallID: "a", Extension: "101", At: at(1), Tabs: 2}, {CallID: "b", Extension: "102", At: at(2), DND: true}}
	must(t, db.SaveRings(t.Context(), rs))
	must(t, db.SaveRings(t.Context(), append(rs, store.Ring{CallID: "a", Extension: "101", At: at(1), Tabs: 9})))
	must(t, db.SaveRings(t.Context(), nil))
	must(t, db.Commit(t.Context(), store.Batch{Events: []store.EventRow{event("e3", 3, "a")}, Calls: []bridge.Call{a}, Merged: map[string]string{"b": "a"}}))
	got, err := db.Rings(t.Context(), "a")
	want := []store.Ring{{CallID: "a", Extension: "101", At: at(1), Tabs: 2}, {CallID: "a", Extension: "102", At: at(2), DND: true}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	must(t, db.Commit(t.Context(), store.Batch{Events: []store.EventRow{event("e4", 4, "a")}, Calls: []bridge.Call{ended(a, bridge.Missed)}}))
	if _, err := db.Purge(t.Context(), store.Retention{Calls: base.Add(24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Rings(t.Context(), "a"); err != nil || len(got) > 0 {
		t.Errorf("after removal %+v, %v", got, err)
	}
}
