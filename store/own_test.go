package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"callbridge/store"
	"callbridge/store/storetest"
)

// TestDeadWorkersRowsAreFreeAtOnce: after kill -9 a row waited for its lease,
// 75 s, although nobody could have it any more.
func TestDeadWorkersRowsAreFreeAtOnce(t *testing.T) {
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "callbridge.db")
	first, err := store.Open(t.Context(), dsn, storetest.Key(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := first.Own(t.Context()); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if err := first.Commit(t.Context(), load(0, 1, phases-1, time.Unix(1700000000, 0))); err != nil {
		t.Fatal(err)
	}
	ds, err := first.Claim(t.Context(), "mega", time.Now(), time.Hour, 1)
	if err != nil || len(ds) != 1 || ds[0].Look {
		t.Fatal(ds, err)
	}
	second := storetest.Open(t, dsn)
	if _, err := second.Own(t.Context()); !errors.Is(err, store.ErrServed) {
		t.Fatalf("two owners: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := second.Own(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	again, err := second.Claim(t.Context(), "mega", time.Now(), time.Hour, 1)
	if err != nil || len(again) != 1 || again[0].ID != ds[0].ID || !again[0].Look {
		t.Fatalf("claimed %+v, %v; want delivery %d, to be looked up", again, err, ds[0].ID)
	}
}
