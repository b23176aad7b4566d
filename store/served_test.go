package store_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
	"callbridge/store/storetest"
)

// A store that was put back to an older state, or that nobody served for a
// while, has the CRMs asked before anything that waits is done.
func TestResumeAfterAnOlderState(t *testing.T) {
	both(t, func(t *testing.T, dsn string) {
		path, sqlite := strings.CutPrefix(dsn, "sqlite:")
		now := time.Now()
		open := func() *store.DB {
			t.Helper()
			db, err := store.Open(t.Context(), dsn, storetest.Key(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
		resume := func(at time.Time, wantLooked int64, wantBack bool) {
			t.Helper()
			db := open()
			looked, back, err := db.Resume(t.Context(), at)
			if err != nil || looked != wantLooked || back != wantBack {
				t.Errorf("looked %d, back %v, %v; want %d %v", looked, back, err, wantLooked, wantBack)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		resume(now, 0, false)
		db := open()
		batch := load(0, 1, phases-1, now)
		for i := range batch.Deliveries {
			batch.Deliveries[i].State = bridge.Waiting
		}
		if err := db.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		ds, err := db.Deliveries(t.Context(), store.DeliveryFilter{State: bridge.Waiting, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		waiting := int64(0)
		for _, d := range ds {
			if d.Action.Kind != bridge.ActContact {
				waiting++
			}
		}
		if err := db.Close(); err != nil || waiting == 0 {
			t.Fatalf("%d wait, %v", waiting, err)
		}
		resume(now.Add(time.Minute), 0, false) // an ordinary restart
		if sqlite {
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			resume(now.Add(2*time.Minute), 0, false)
			if err := os.WriteFile(path, old, 0o600); err != nil {
				t.Fatal(err)
			}
			resume(now.Add(3*time.Minute), waiting, true)
			return
		}
		resume(now.Add(time.Hour), waiting, false)
	})
}
