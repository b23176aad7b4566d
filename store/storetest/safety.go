package storetest

import (
	"errors"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

func isLost(err error) bool { return errors.Is(err, store.ErrLeaseLost) }

func testSafety(t *testing.T, dsn func(testing.TB) string) {
	t.Run("another key is refused", func(t *testing.T) {
		name := dsn(t)
		db := Open(t, name)
		if _, err := db.SaveSettings(t.Context(), "a", bridge.Settings{}, ""); err != nil {
			t.Fatal(err)
		}
		other := Key()
		other[0]++
		if _, err := store.Open(t.Context(), name, other, nil); !errors.Is(err, store.ErrWrongKey) {
			t.Errorf("opened with another key: %v", err)
		}
		if _, err := store.Open(t.Context(), name, []byte("short"), nil); err == nil {
			t.Error("opened with a short key")
		}
		Open(t, name) // the right one still opens it
	})
	t.Run("ping writes", func(t *testing.T) {
		db := Open(t, dsn(t))
		must(t, db.Ping(t.Context()))
	})
	t.Run("a start finds lost places in the queue", func(t *testing.T) {
		name := dsn(t)
		db := Open(t, name)
		c := call("c1", 0, "+79160000001")
		b := store.Batch{Calls: []bridge.Call{c}}
		planned(&b, c, "mega", "call")
		commit(t, db, b)
		again := Open(t, name)
		if ds := claim(t, again, "mega", 0, 5); len(ds) != 1 {
			t.Errorf("claimed %+v", ds)
		}
		if ds, err := db.Claim(t.Context(), "mega", later(0), time.Minute, 5); err != nil || len(ds) != 0 {
			t.Errorf("claimed twice: %+v, %v", ds, err)
		}
	})
}
