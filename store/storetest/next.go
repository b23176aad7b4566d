package storetest

import (
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"

	"github.com/google/go-cmp/cmp"
)

// testNext is FinishNext: it takes what Claim would take for the same client,
// and nothing where Claim would take nothing or look at other clients first.
func testNext(t *testing.T, dsn func(testing.TB) string) {
	start := func(t *testing.T) (*store.DB, bridge.Delivery) {
		db := Open(t, dsn(t))
		c1, c2 := call("c1", 10, "+79161234567"), call("c2", 5, "+79161234567")
		var b store.Batch
		b.Calls = []bridge.Call{c1, c2, call("c3", 0, "+79160000003")}
		planned(&b, c2, "mega", "contact", "call")
		planned(&b, c1, "mega", "contact", "call")
		planned(&b, b.Calls[2], "mega", "call")
		commit(t, db, b)
		for _, d := range claim(t, db, "mega", 0, 10) {
			if d.CallID == "c2" {
				return db, d
			}
		}
		t.Fatal("nothing to begin with")
		return nil, bridge.Delivery{}
	}
	next := func(t *testing.T, db *store.DB, d bridge.Delivery, s bridge.DeliveryState, second int) *bridge.Delivery {
		t.Helper()
		d.State = s
		d.Attempts++
		n, err := db.FinishNext(t.Context(), d, later(second), time.Minute)
		must(t, err)
		return n
	}

	t.Run("the client's rows in their order, each leased", func(t *testing.T) {
		db, d := start(t)
		var got []string
		for {
			got = append(got, strings.TrimPrefix(d.Action.Key, "callbridge:"))
			if ds := claim(t, db, "mega", 0, 10); len(ds) != 0 {
				t.Fatalf("claimed besides: %+v", ds)
			}
			n := next(t, db, d, bridge.Done, 0)
			if n == nil {
				break
			}
			d = *n
		}
		if want := []string{"c2:contact", "c2:call", "c1:contact", "c1:call"}; !cmp.Equal(want, got) {
			t.Errorf("order %v", got)
		}
		if n := states(t, db, "mega")[bridge.Done]; n != 4 {
			t.Errorf("%d done", n)
		}
		balanced(t, db)
	})
	t.Run("what it took comes back when its worker dies", func(t *testing.T) {
		db, d := start(t)
		n := next(t, db, d, bridge.Done, 0)
		if n == nil || n.State != bridge.Trying || n.Ticket == 0 {
			t.Fatalf("next %+v", n)
		}
		for _, again := range claim(t, db, "mega", 120, 10) {
			if again.CallID == "c2" && (again.ID != n.ID || !again.Look) {
				t.Errorf("came back as %+v", again)
			}
		}
	})
	t.Run("nothing after a row that waits, nor in a held integration, nor before its time", func(t *testing.T) {
		db, d := start(t)
		again := d
		again.NextAt = bridge.At(later(300))
		if n := next(t, db, again, bridge.Waiting, 0); n != nil {
			t.Errorf("after a row that waits: %+v", n)
		}
		d = claim(t, db, "mega", 400, 1)[0]
		if n, err := db.FinishNext(t.Context(), func() bridge.Delivery { d.State = bridge.Done; return d }(), time.Now().Add(-time.Hour), time.Minute); n != nil || err != nil {
			t.Errorf("before its time: %+v, %v", n, err)
		}
		d = claim(t, db, "mega", 400, 1)[0]
		_, err := db.HoldIntegration(t.Context(), "mega", time.Now(), "refused")
		must(t, err)
		if n := next(t, db, d, bridge.Done, 400); n != nil {
			t.Errorf("of a held integration: %+v", n)
		}
	})
	t.Run("a lost lease takes nothing", func(t *testing.T) {
		db, d := start(t)
		claim(t, db, "mega", 120, 10)
		d.State = bridge.Done
		if n, err := db.FinishNext(t.Context(), d, later(0), time.Minute); n != nil || !isLost(err) {
			t.Errorf("%+v, %v", n, err)
		}
	})
}
