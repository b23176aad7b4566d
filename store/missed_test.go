package store_test

import (
	"errors"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
	"callbridge/store/storetest"
)

func TestMissedEntries(t *testing.T) {
	both(t, func(t *testing.T, dsn string) {
		db := storetest.Open(t, dsn)
		at := bridge.At(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC))
		e := bridge.MissedEntry{ID: "a", Client: "+79161234567", Line: "L", Count: 1, Calls: []string{"a"}, FirstAt: at, LastAt: at}
		later := bridge.MissedEntry{ID: "b", Client: "+79160000000", Line: "L", Count: 1, Calls: []string{"b"}, FirstAt: at, LastAt: at, DueAt: bridge.At(at.Add(-time.Hour))}
		if err := db.SaveMissed(t.Context(), []bridge.MissedEntry{e, later}, store.Batch{}); err != nil {
			t.Fatal(err)
		}
		// One open entry per client and line is the database's word too.
		twin := e
		twin.ID = "c"
		if err := db.SaveMissed(t.Context(), []bridge.MissedEntry{twin}, store.Batch{}); err == nil {
			t.Error("two open entries of one client and line")
		}
		e.Count, e.Calls = 2, []string{"a", "d"}
		if err := db.SaveMissed(t.Context(), []bridge.MissedEntry{e}, store.Batch{}); err != nil {
			t.Fatal(err)
		}
		list, err := db.OpenMissed(t.Context(), 10)
		if err != nil || len(list) != 2 || list[0].ID != "b" || list[1].Count != 2 {
			t.Errorf("%+v %v", list, err)
		}
		for id, want := range map[string]bool{"a": true, "d": true, "c": false} {
			if got, err := db.MissedCounted(t.Context(), id); got != want || err != nil {
				t.Errorf("%s counted: %v %v", id, got, err)
			}
		}
		if list, err := db.MissedOf(t.Context(), []bridge.Number{"+1", "+79161234567"}); err != nil || len(list) != 1 {
			t.Errorf("%+v %v", list, err)
		}
		e.ClosedAt, e.Closed = at, bridge.CalledBack
		if err := db.SaveMissed(t.Context(), []bridge.MissedEntry{e}, store.Batch{}); err != nil {
			t.Fatal(err)
		}
		if err := db.SaveMissed(t.Context(), []bridge.MissedEntry{twin}, store.Batch{}); err != nil {
			t.Errorf("no new entry after the old one is closed: %v", err)
		}
		if list, err := db.ClosedMissed(t.Context(), at.Add(-time.Second), 10); err != nil || len(list) != 1 || list[0].Closed != bridge.CalledBack {
			t.Errorf("%+v %v", list, err)
		}
		if _, err := db.Missed(t.Context(), "zzz"); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}

		// Numbers of one contact, talks, and the mark.
		for _, n := range []bridge.Number{"+79161234567", "+79169999999"} {
			if err := db.SaveContact(t.Context(), store.ContactRow{Integration: "m", Number: n, ID: "7"}); err != nil {
				t.Fatal(err)
			}
		}
		same, err := db.SameContact(t.Context(), "+79169999999")
		if err != nil || len(same) != 2 || same[1] != "+79161234567" {
			t.Errorf("%v %v", same, err)
		}
		c := bridge.Call{ID: "t", PBX: "office", PBXCallID: "p.1", Client: "+79161234567", Direction: bridge.Out, Outcome: bridge.Answered, StartedAt: at, AnsweredAt: at}
		if err := db.Commit(t.Context(), store.Batch{Calls: []bridge.Call{c}}); err != nil {
			t.Fatal(err)
		}
		if got, err := db.TalkedAfter(t.Context(), same, bridge.At(at.Add(-time.Minute))); err != nil || got.ID != "t" {
			t.Errorf("%+v %v", got, err)
		}
		if got, err := db.TalkedAfter(t.Context(), same, at); err != nil || got.ID != "" {
			t.Errorf("%+v %v", got, err)
		}
		if until, err := db.MissedUntil(t.Context()); err != nil || !until.IsZero() {
			t.Errorf("%v %v", until, err)
		}
		if err := db.SetMissedUntil(t.Context(), at.Time); err != nil {
			t.Fatal(err)
		}
		if until, err := db.MissedUntil(t.Context()); err != nil || !until.Equal(at.Time) {
			t.Errorf("%v %v", until, err)
		}
	})
}
