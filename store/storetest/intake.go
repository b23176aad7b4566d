package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"callbridge/bridge"
	"callbridge/store"

	"github.com/google/go-cmp/cmp"
)

func testIntake(t *testing.T, dsn func(testing.TB) string) {
	t.Run("a call with its events and deliveries comes back as it was", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79161234567")
		b := store.Batch{Calls: []bridge.Call{c}, Events: []store.EventRow{event("e2", 2, "c1"), event("e1", 1, "c1"), event("alone", 3, "")}}
		planned(&b, c, "mega", "contact", "call")
		commit(t, db, b)
		got, err := db.Call(t.Context(), "c1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asJSON(t, c), asJSON(t, got)); diff != "" {
			t.Error(diff)
		}
		events, err := db.Events(t.Context(), "c1")
		if err != nil {
			t.Fatal(err)
		}
		want := []bridge.Event{event("e1", 1, "").Event, event("e2", 2, "").Event}
		if diff := cmp.Diff(want, events); diff != "" {
			t.Error(diff)
		}
		ds := all(t, db, "mega")
		if len(ds) != 2 || ds[0].Action.Kind != bridge.ActContact || ds[1].Action.Kind != bridge.ActCall || ds[0].State != bridge.Waiting {
			t.Errorf("deliveries: %+v", ds)
		}
		if ds[0].Client != "+79161234567" || !ds[0].Action.Wanted || ds[0].RuleVersion != 1 {
			t.Errorf("delivery: %+v", ds[0])
		}
		if last, err := db.LastEventAt(t.Context(), "office"); err != nil || !last.Equal(at(3).Time) {
			t.Errorf("last event at %v, %v", last, err)
		}
		if last, err := db.LastEventAt(t.Context(), "other"); err != nil || !last.IsZero() {
			t.Errorf("last event of a silent PBX at %v, %v", last, err)
		}
		balanced(t, db)
	})

	t.Run("the same batch twice changes nothing", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79161234567")
		b := store.Batch{Calls: []bridge.Call{c, ended(c, bridge.Missed)}, Events: []store.EventRow{event("e1", 1, "c1"), event("e1", 1, "c1")}}
		planned(&b, c, "mega", "contact", "call")
		commit(t, db, b)
		commit(t, db, b)
		if events, _ := db.Events(t.Context(), "c1"); len(events) != 1 {
			t.Errorf("%d events", len(events))
		}
		if n := len(all(t, db, "mega")); n != 2 {
			t.Errorf("%d deliveries", n)
		}
		if got, _ := db.Call(t.Context(), "c1"); got.Outcome != bridge.Missed {
			t.Errorf("of two states of one call the last should stay, got %q", got.Outcome)
		}
		balanced(t, db)
	})

	t.Run("one moment may be planned in several steps", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79161234567")
		b := store.Batch{Calls: []bridge.Call{c}}
		plannedOn(&b, c, "mega", bridge.OnRing, "popup:101")
		commit(t, db, b)
		b = store.Batch{} // the second phone rings, after midnight
		plannedOn(&b, c, "mega", bridge.OnRing, "popup:101", "popup:103")
		b.Plans[0].Day = "2026-11-23"
		commit(t, db, b)
		rows, err := db.Ledger(t.Context(), day, "2026-11-30")
		if err != nil {
			t.Fatal(err)
		}
		want := []store.LedgerRow{{Integration: "mega", Day: day, Planned: 2, ByState: map[bridge.DeliveryState]int64{bridge.Waiting: 2}}}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("a batch that cannot be kept whole is not kept at all", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79161234567")
		b := store.Batch{Calls: []bridge.Call{c}, Events: []store.EventRow{event("e1", 1, "c1")}}
		planned(&b, c, "mega", "call")
		b.Plans = nil // a delivery nobody planned
		if err := db.Commit(t.Context(), b); err == nil {
			t.Fatal("committed")
		}
		b = store.Batch{Events: []store.EventRow{event("e1", 1, "c2")}}
		planned(&b, call("c2", 0, ""), "mega", "call") // a delivery of no call
		if err := db.Commit(t.Context(), b); err == nil {
			t.Fatal("committed")
		}
		if _, err := db.Call(t.Context(), "c1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("call: %v", err)
		}
		if last, _ := db.LastEventAt(t.Context(), "office"); !last.IsZero() {
			t.Error("an event was kept")
		}
		balanced(t, db)
	})

	t.Run("a call that was part of another", func(t *testing.T) { testMerged(t, dsn(t)) })

	t.Run("an event that came before its call is filed under it later, once", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79161234567")
		commit(t, db, store.Batch{Events: []store.EventRow{event("e1", 1, ""), event("e2", 2, ""), event("e0", -5, "")}})
		loose := func(from int) string {
			es, err := db.LooseEvents(t.Context(), "office", at(from).Time)
			must(t, err)
			ids := []string{}
			for _, e := range es {
				ids = append(ids, e.ID)
			}
			return fmt.Sprint(ids)
		}
		if got := loose(0); got != "[e1 e2]" {
			t.Errorf("loose: %s", got)
		}
		commit(t, db, store.Batch{Calls: []bridge.Call{c}, Events: []store.EventRow{event("e1", 1, ""), event("e1", 1, "c1"), event("e1", 1, "other")}})
		commit(t, db, store.Batch{Events: []store.EventRow{event("e1", 1, "other"), event("e1", 1, "")}}) // it stays where it is
		if got := loose(0); got != "[e2]" {
			t.Errorf("loose: %s", got)
		}
		if es, err := db.Events(t.Context(), "c1"); err != nil || len(es) != 1 {
			t.Errorf("%d events, %v", len(es), err)
		}
	})

	t.Run("calls that live are there after a restart", func(t *testing.T) {
		name := dsn(t)
		first := Open(t, name)
		c1, c2, c3 := call("c1", 5, "+79160000001"), call("c2", 0, "+79160000002"), call("c3", 0, "+79160000003")
		other := call("c4", 0, "")
		other.PBX = "cloud"
		commit(t, first, store.Batch{Calls: []bridge.Call{c1, c2, ended(c3, bridge.Missed), other},
			Events: []store.EventRow{event("e1", 6, "c1"), event("e2", 5, "c1"), event("e3", 0, "c2"), event("e4", 0, "c3")}})
		second := Open(t, name) // beside the first, as after kill -9
		open, err := second.OpenCalls(t.Context(), "office")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range open {
			ids := []string{o.Call.ID}
			for _, e := range o.Events {
				ids = append(ids, e.ID)
			}
			got = append(got, fmt.Sprint(ids))
		}
		if want := []string{"[c2 e3]", "[c1 e2 e1]"}; !slices.Equal(got, want) {
			t.Errorf("open calls %v, want %v", got, want)
		}
	})

	t.Run("bytes no database likes do not cost the batch", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79161234567")
		c.Line, c.ClientName, c.Rang = "a\x00b\xff", "x\x00\xfe", []string{"1\x0001", "\xff"}
		e := event("e\x001\xff", 1, "c1")
		e.Event.Raw = json.RawMessage("not json \x00\xff")
		e.Event.Name = "\x00\xff"
		b := store.Batch{Calls: []bridge.Call{c}, Events: []store.EventRow{e}}
		planned(&b, c, "mega", "call")
		b.Deliveries[0].Action.Text = "\x00\xff"
		b.Deliveries[0].Note = "\x00\xff"
		commit(t, db, b)
		commit(t, db, b)
		events, err := db.Events(t.Context(), "c1")
		if err != nil || len(events) != 1 || string(events[0].Raw) != "not json \x00\xff" {
			t.Errorf("events %+v, %v", events, err)
		}
		balanced(t, db)
	})

	t.Run("a big batch", func(t *testing.T) {
		db := Open(t, dsn(t))
		var b store.Batch
		for i := range 700 {
			c := ended(call(fmt.Sprintf("c%03d", i), i, bridge.Number(fmt.Sprintf("+7916%07d", i%50))), bridge.Answered)
			b.Calls = append(b.Calls, c)
			for j := range 3 {
				b.Events = append(b.Events, event(fmt.Sprintf("e%d-%d", i, j), i, c.ID))
			}
			planned(&b, c, "mega", "contact", "call")
			planned(&b, c, "retail", "call")
		}
		commit(t, db, b)
		if n := len(all(t, db, "mega")); n != 1400 {
			t.Errorf("%d deliveries", n)
		}
		balanced(t, db)
	})
}

func testMerged(t *testing.T, dsn string) {
	db := Open(t, dsn)
	older, younger := call("c1", 0, "+79161234567"), call("c2", 1, "")
	b := store.Batch{Calls: []bridge.Call{older, younger}, Events: []store.EventRow{event("e1", 0, "c1"), event("e2", 1, "c2")}}
	planned(&b, younger, "mega", "popup", "call", "task")
	planned(&b, older, "mega", "call")
	commit(t, db, b)
	ds := claim(t, db, "mega", 0, 10) // one of each client key
	if len(ds) != 2 {
		t.Fatalf("claimed %d", len(ds))
	}
	for _, d := range ds {
		if d.CallID == "c2" {
			finish(t, db, d, bridge.Done)
		}
	}
	inflight := claim(t, db, "mega", 0, 10)
	if len(inflight) != 1 || inflight[0].Action.Kind != bridge.ActCall {
		t.Fatalf("claimed %+v", inflight)
	}
	commit(t, db, store.Batch{Merged: map[string]string{"c2": "c1"}})
	if got, err := db.Call(t.Context(), "c2"); err != nil || got.ID != "c1" {
		t.Errorf("the younger id gives %s, %v", got.ID, err)
	}
	if events, _ := db.Events(t.Context(), "c1"); len(events) != 2 {
		t.Errorf("%d events moved", len(events)-1)
	}
	if calls, _, _ := db.Calls(t.Context(), store.CallFilter{}); len(calls) != 1 {
		t.Errorf("%d calls are listed", len(calls))
	}
	if open, _ := db.OpenCalls(t.Context(), "office"); len(open) != 1 || len(open[0].Events) != 2 {
		t.Errorf("open calls: %+v", open)
	}
	// A late change of the younger call does not bring it back.
	commit(t, db, store.Batch{Calls: []bridge.Call{ended(younger, bridge.Missed)}})
	if calls, _, _ := db.Calls(t.Context(), store.CallFilter{Extension: "101"}); len(calls) != 1 || calls[0].ID != "c1" {
		t.Errorf("calls of 101: %+v", calls)
	}
	// The one in flight fails and would wait; it is given up when its turn comes.
	finish(t, db, inflight[0], bridge.Waiting)
	if ds := claim(t, db, "mega", 7200, 10); len(ds) != 1 || ds[0].CallID != "c1" {
		t.Errorf("claimed %+v", ds)
	}
	got := map[bridge.DeliveryState]int{}
	for _, d := range all(t, db, "mega") {
		if d.CallID == "c2" {
			got[d.State]++
			if d.State == bridge.Skipped && d.Note == "" {
				t.Error("skipped without a note")
			}
		}
	}
	if want := map[bridge.DeliveryState]int{bridge.Done: 1, bridge.Skipped: 2}; !cmp.Equal(want, got) {
		t.Errorf("deliveries of the younger call: %v", got)
	}
	// A chain: what the older one goes into is found from the youngest.
	c0 := call("c0", -10, "+79161234567")
	commit(t, db, store.Batch{Calls: []bridge.Call{c0}, Merged: map[string]string{"c1": "c0"}})
	if got, err := db.Call(t.Context(), "c2"); err != nil || got.ID != "c0" {
		t.Errorf("the youngest id gives %s, %v", got.ID, err)
	}
	balanced(t, db)
}

func testReading(t *testing.T, dsn func(testing.TB) string) {
	db := Open(t, dsn(t))
	var b store.Batch
	for i := range 10 {
		c := ended(call(fmt.Sprintf("c%d", i), i/2*10, bridge.Number(fmt.Sprintf("+7916000000%d", i%3))), bridge.Answered)
		if i%2 == 1 {
			c.Outcome, c.Rang, c.AnsweredBy, c.Line = bridge.Missed, []string{"102", "103"}, []string{"103"}, "+74950000000"
		}
		if i == 9 {
			c.Direction, c.Outcome, c.Rang, c.AnsweredBy, c.Agent = bridge.Out, "", nil, nil, "104"
		}
		b.Calls = append(b.Calls, c)
	}
	commit(t, db, b)
	for _, c := range []struct {
		name string
		f    store.CallFilter
		want string
	}{
		{"all", store.CallFilter{}, "[c9 c8 c7 c6 c5 c4 c3 c2 c1 c0]"},
		{"from and to", store.CallFilter{From: at(10).Time, To: at(20).Time}, "[c3 c2]"},
		{"client", store.CallFilter{Client: "+79160000001"}, "[c7 c4 c1]"},
		{"digits", store.CallFilter{Digits: "000-00-02"}, "[c8 c5 c2]"},
		{"no digits", store.CallFilter{Digits: "%"}, "[]"},
		{"extension that rang", store.CallFilter{Extension: "102"}, "[c7 c5 c3 c1]"},
		{"extension that talked, missed, two", store.CallFilter{Extension: "103", Outcome: bridge.Missed, Limit: 2}, "[c7 c5]"},
		{"extension that called", store.CallFilter{Extension: "104"}, "[c9]"},
		{"line", store.CallFilter{Line: "+74950000000", From: at(25).Time}, "[c9 c7]"},
		{"outcome", store.CallFilter{Outcome: bridge.Answered}, "[c8 c6 c4 c2 c0]"},
		{"direction", store.CallFilter{Direction: bridge.Out}, "[c9]"},
		{"living", store.CallFilter{Open: true}, "[c9]"},
		{"other PBX", store.CallFilter{PBX: "cloud"}, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls, _, err := db.Calls(t.Context(), c.f)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(idsOf(calls)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	t.Run("page after page", func(t *testing.T) {
		for _, ext := range []string{"", "102"} {
			var got []string
			f, pages := store.CallFilter{Limit: 3, Extension: ext}, 0
			for {
				calls, next, err := db.Calls(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				got, pages = append(got, idsOf(calls)...), pages+1
				if next == "" {
					break
				}
				f.Before = next
			}
			want, wantPages := 10, 4
			if ext != "" {
				want, wantPages = 4, 2
			}
			slices.Sort(got)
			if got = slices.Compact(got); len(got) != want || pages != wantPages {
				t.Errorf("extension %q: %v in %d pages", ext, got, pages)
			}
		}
		if _, _, err := db.Calls(t.Context(), store.CallFilter{Before: "nonsense"}); err == nil {
			t.Error("a broken cursor was taken")
		}
	})
	t.Run("an extension that is no longer in the call", func(t *testing.T) {
		c := b.Calls[9]
		c.Agent, c.StartedAt = "105", at(500)
		commit(t, db, store.Batch{Calls: []bridge.Call{c}})
		if calls, _, _ := db.Calls(t.Context(), store.CallFilter{Extension: "104"}); len(calls) != 0 {
			t.Errorf("%v", idsOf(calls))
		}
		if calls, _, _ := db.Calls(t.Context(), store.CallFilter{Extension: "105", From: at(499).Time}); len(calls) != 1 {
			t.Errorf("%v", idsOf(calls))
		}
	})
	if calls, err := db.CallsOfClient(t.Context(), "+79160000000", 2); err != nil || fmt.Sprint(idsOf(calls)) != "[c9 c6]" {
		t.Errorf("calls of a client: %v, %v", idsOf(calls), err)
	}
	if calls, err := db.CallsOfClient(t.Context(), "", 2); err != nil || len(calls) != 0 {
		t.Errorf("calls of a withheld number: %v, %v", idsOf(calls), err)
	}
}

func idsOf(calls []bridge.Call) []string {
	out := []string{}
	for _, c := range calls {
		out = append(out, c.ID)
	}
	return out
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
