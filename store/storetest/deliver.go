package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"

	"github.com/google/go-cmp/cmp"
)

type result[T any] struct {
	v   T
	err error
}

// together runs f n times at once.
func together[T any](n int, f func(i int) (T, error)) []result[T] {
	out := make([]result[T], n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { out[i].v, out[i].err = f(i) })
	}
	wg.Wait()
	return out
}

func testClaim(t *testing.T, dsn func(testing.TB) string) {
	t.Run("one client's actions go one by one and in order", func(t *testing.T) {
		db := Open(t, dsn(t))
		// c2 began earlier than c1 but was stored later.
		c1, c2 := call("c1", 10, "+79161234567"), call("c2", 5, "+79161234567")
		b := store.Batch{Calls: []bridge.Call{c1}}
		planned(&b, c1, "mega", "contact", "call")
		commit(t, db, b)
		b = store.Batch{Calls: []bridge.Call{c2}}
		planned(&b, c2, "mega", "contact", "call")
		planned(&b, c2, "retail", "call")
		commit(t, db, b)
		var got []string
		for {
			ds := claim(t, db, "mega", 0, 10)
			if len(ds) == 0 {
				break
			}
			if len(ds) != 1 {
				t.Fatalf("%d of one client at once", len(ds))
			}
			if again := claim(t, db, "mega", 0, 10); len(again) != 0 {
				t.Fatalf("claimed twice: %+v", again)
			}
			got = append(got, strings.TrimPrefix(ds[0].Action.Key, "callbridge:"))
			finish(t, db, ds[0], bridge.Done)
		}
		if want := []string{"c2:contact", "c2:call", "c1:contact", "c1:call"}; !cmp.Equal(want, got) {
			t.Errorf("order %v", got)
		}
		if _, ok, err := db.NextDue(t.Context(), "mega"); ok || err != nil {
			t.Errorf("something is due still: %v", err)
		}
		if _, ok, _ := db.NextDue(t.Context(), "retail"); !ok {
			t.Error("the other integration has nothing due")
		}
	})

	t.Run("F-16 a failed action delays its client only", func(t *testing.T) {
		db := Open(t, dsn(t))
		c1, c2 := call("c1", 0, "+79160000001"), call("c2", 0, "+79160000002")
		b := store.Batch{Calls: []bridge.Call{c1, c2}}
		planned(&b, c1, "mega", "contact", "call")
		planned(&b, c2, "mega", "contact", "call")
		commit(t, db, b)
		for _, d := range claim(t, db, "mega", 0, 10) {
			if d.CallID == "c2" {
				finish(t, db, d, bridge.Done)
				continue
			}
			d.NextAt, d.Error, d.ErrorKind = bridge.At(later(600)), "no answer", "temporary"
			finish(t, db, d, bridge.Waiting)
		}
		ds := claim(t, db, "mega", 0, 10)
		if len(ds) != 1 || ds[0].CallID != "c2" {
			t.Fatalf("claimed %+v", ds)
		}
		finish(t, db, ds[0], bridge.Done)
		if ds := claim(t, db, "mega", 0, 10); len(ds) != 0 {
			t.Fatalf("claimed %+v", ds)
		}
		due, ok, err := db.NextDue(t.Context(), "mega")
		if err != nil || !ok || time.Until(due) < 500*time.Second {
			t.Errorf("next due in %v, %v, %v", time.Until(due), ok, err)
		}
		ds = claim(t, db, "mega", 700, 10)
		if len(ds) != 1 || ds[0].CallID != "c1" || ds[0].Attempts != 1 || ds[0].Error != "no answer" || ds[0].Look {
			t.Errorf("claimed %+v", ds)
		}
	})

	t.Run("F-5 a lease that ran out comes back to be looked up", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79160000001")
		b := store.Batch{Calls: []bridge.Call{c}}
		planned(&b, c, "mega", "contact", "call")
		commit(t, db, b)
		first := claim(t, db, "mega", 0, 10)
		if len(first) != 1 || first[0].Look {
			t.Fatalf("first %+v", first)
		}
		if ds := claim(t, db, "mega", 30, 10); len(ds) != 0 {
			t.Fatalf("before the end of the lease: %+v", ds)
		}
		second := claim(t, db, "mega", 120, 10)
		if len(second) != 1 || second[0].ID != first[0].ID || !second[0].Look {
			t.Fatalf("after the end of the lease: %+v", second)
		}
		late := first[0]
		late.State, late.Error, late.LeaseUntil = bridge.Refused, "late", bridge.Time{}
		if err := db.Finish(t.Context(), late); !errors.Is(err, store.ErrLeaseLost) {
			t.Fatalf("late worker: %v", err)
		}
		second[0].ObjectID, second[0].ObjectURL, second[0].Note, second[0].LeaseUntil = "77", "https://x/77", "found", bridge.Time{}
		finish(t, db, second[0], bridge.Done)
		finished := second[0]
		finished.State = bridge.Refused
		if err := db.Finish(t.Context(), finished); !errors.Is(err, store.ErrLeaseLost) {
			t.Fatalf("twice: %v", err)
		}
		d := all(t, db, "mega")[0]
		if d.State != bridge.Done || d.ObjectID != "77" || d.ObjectURL != "https://x/77" || d.Note != "found" || d.Attempts != 1 || d.DoneAt.IsZero() || !d.LeaseUntil.IsZero() {
			t.Errorf("%+v", d)
		}
		finished.State = bridge.Trying
		if err := db.Finish(t.Context(), finished); err == nil {
			t.Error("trying is no outcome")
		}
	})

	t.Run("many workers, never two of one client", func(t *testing.T) { testWorkers(t, dsn(t)) })

	t.Run("attempts are kept and bounded", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "")
		b := store.Batch{Calls: []bridge.Call{c}}
		planned(&b, c, "mega", "call")
		commit(t, db, b)
		id := all(t, db, "mega")[0].ID
		for _, r := range together(60, func(i int) (int, error) {
			return 0, db.AddAttempt(t.Context(), store.Attempt{DeliveryID: id, At: at(i), TookMS: 5, Request: strings.Repeat("x", 20<<10), Response: "\x00\xff", Code: 500, ErrorKind: "temporary", Error: "e"})
		}) {
			must(t, r.err)
		}
		got, err := db.Attempts(t.Context(), id)
		if err != nil || len(got) != 50 || got[0].N != 11 || got[49].N != 60 {
			t.Fatalf("%d attempts, %v", len(got), err)
		}
		if a := got[0]; len(a.Request) > 17<<10 || a.Code != 500 || a.At.IsZero() || a.ErrorKind != "temporary" {
			t.Errorf("%+v", a)
		}
		if err := db.AddAttempt(t.Context(), store.Attempt{DeliveryID: 999}); err == nil {
			t.Error("an attempt at nothing was kept")
		}
	})

	t.Run("retry and skip", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79160000001")
		b := store.Batch{Calls: []bridge.Call{c}}
		planned(&b, c, "mega", "contact", "call", "task", "process")
		b.Deliveries[3].Action.Wanted, b.Deliveries[3].State = false, bridge.Skipped
		commit(t, db, b)
		finish(t, db, claim(t, db, "mega", 0, 1)[0], bridge.Refused)
		finish(t, db, claim(t, db, "mega", 0, 1)[0], bridge.Skipped)
		ds := all(t, db, "mega")
		ids := []int64{ds[0].ID, ds[1].ID, ds[2].ID, ds[3].ID}
		if n, err := db.Retry(t.Context(), ids); err != nil || n != 2 {
			t.Fatalf("retried %d, %v", n, err)
		}
		again := claim(t, db, "mega", 0, 9)
		if len(again) != 1 || again[0].ID != ids[0] || !again[0].Look || again[0].Attempts != 0 {
			t.Fatalf("claimed %+v", again)
		}
		if n, err := db.SkipDeliveries(t.Context(), ids, "not needed"); err != nil || n != 2 { // not the one being tried
			t.Fatalf("skipped %d, %v", n, err)
		}
		finish(t, db, again[0], bridge.Done)
		if got, want := states(t, db, "mega"), (map[bridge.DeliveryState]int{bridge.Done: 1, bridge.Skipped: 3}); !cmp.Equal(want, got) {
			t.Errorf("%v", got)
		}
		if ds := claim(t, db, "mega", 9999, 9); len(ds) != 0 {
			t.Errorf("claimed %+v", ds)
		}
		balanced(t, db)
	})

	t.Run("listing", func(t *testing.T) {
		db := Open(t, dsn(t))
		c1, c2 := call("c1", 0, "+79160000001"), call("c2", 0, "+79160000002")
		b := store.Batch{Calls: []bridge.Call{c1, c2}}
		planned(&b, c1, "mega", "contact", "call", "task")
		planned(&b, c2, "retail", "contact", "call")
		commit(t, db, b)
		count := func(f store.DeliveryFilter) int {
			ds, err := db.Deliveries(t.Context(), f)
			must(t, err)
			return len(ds)
		}
		ids := all(t, db, "mega")
		got := []int{count(store.DeliveryFilter{}), count(store.DeliveryFilter{CallID: "c2"}), count(store.DeliveryFilter{Kind: bridge.ActTask}),
			count(store.DeliveryFilter{State: bridge.Waiting}), count(store.DeliveryFilter{State: bridge.Held}), count(store.DeliveryFilter{State: bridge.Done}), count(store.DeliveryFilter{Client: "+79160000001"}),
			count(store.DeliveryFilter{After: ids[0].ID, Integration: "mega"}), count(store.DeliveryFilter{After: ids[1].ID, Integration: "mega", Newest: true}),
			count(store.DeliveryFilter{Limit: 2}), count(store.DeliveryFilter{IDs: []int64{ids[0].ID, ids[2].ID, 999}})}
		if want := []int{5, 2, 1, 5, 0, 0, 3, 2, 1, 2, 2}; !cmp.Equal(want, got) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// testWorkers has several workers drain one integration and watches that no
// client is served twice at once and each in order.
func testWorkers(t *testing.T, dsn string) {
	db := Open(t, dsn)
	other := Open(t, dsn) // a second node
	const clients, calls = 12, 8
	var b store.Batch
	for i := range calls * clients {
		c := call(fmt.Sprintf("c%04d", i), i, bridge.Number(fmt.Sprintf("+7916%07d", i%clients)))
		b.Calls = append(b.Calls, c)
		planned(&b, c, "mega", "contact", "call")
	}
	commit(t, db, b)
	var mu sync.Mutex
	busy, last, done := map[string]bool{}, map[string]int64{}, 0
	take := func(d bridge.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		if busy[d.Client] {
			return fmt.Errorf("client %s is served twice at once", d.Client)
		}
		if d.ID <= last[d.Client] {
			return fmt.Errorf("client %s: %d after %d", d.Client, d.ID, last[d.Client])
		}
		busy[d.Client], last[d.Client] = true, d.ID
		return nil
	}
	give := func(d bridge.Delivery) {
		mu.Lock()
		defer mu.Unlock()
		busy[d.Client] = false
		done++
	}
	results := together(6, func(i int) (int, error) {
		node, idle := []*store.DB{db, other}[i%2], 0
		for idle < 50 {
			ds, err := node.Claim(t.Context(), "mega", later(0), time.Hour, 3)
			if err != nil {
				return 0, err
			}
			if len(ds) == 0 {
				idle++
			}
			for _, d := range ds {
				idle = 0
				if err := take(d); err != nil {
					return 0, err
				}
			}
			for _, d := range ds {
				d.State = bridge.Done
				give(d) // before Finish: afterwards the next may be taken
				if err := node.Finish(t.Context(), d); err != nil {
					return 0, err
				}
			}
			mu.Lock()
			all := done == 2*calls*clients
			mu.Unlock()
			if all {
				return 0, nil
			}
		}
		return 0, nil
	})
	for _, r := range results {
		must(t, r.err)
	}
	for _, d := range all(t, db, "mega") {
		if d.State != bridge.Done {
			// Workers that saw nothing due for long gave up; one of them goes on.
			for ds := claim(t, db, "mega", 0, 100); len(ds) > 0; ds = claim(t, db, "mega", 0, 100) {
				for _, d := range ds {
					must(t, take(d))
					give(d)
					finish(t, db, d, bridge.Done)
				}
			}
			break
		}
	}
	if got := states(t, db, "mega"); got[bridge.Done] != 2*calls*clients {
		t.Errorf("%v", got)
	}
	balanced(t, db)
}

func testHold(t *testing.T, dsn func(testing.TB) string) {
	ctx := t.Context()
	t.Run("R-15 F-8 held calls go out again within the window, older ones expire", func(t *testing.T) {
		db := Open(t, dsn(t))
		var b store.Batch
		for i := range 10 {
			c := call(fmt.Sprintf("c%d", i), i*100, bridge.Number(fmt.Sprintf("+7916000000%d", i%2)))
			b.Calls = append(b.Calls, c)
			planned(&b, c, "mega", "call")
			planned(&b, c, "retail", "call")
		}
		commit(t, db, b)
		refused := claim(t, db, "mega", 0, 1)[0]
		if n, err := db.HoldIntegration(ctx, "mega", refused.CreatedAt.Time, "credentials refused"); err != nil || n != 9 {
			t.Fatalf("held %d, %v", n, err)
		}
		finish(t, db, refused, bridge.Held) // the first refused one is part of the resend
		c := call("c10", 1000, "+79160000000")
		late := store.Batch{Calls: []bridge.Call{c}}
		planned(&late, c, "mega", "call")
		commit(t, db, late)
		if got, want := states(t, db, "mega"), (map[bridge.DeliveryState]int{bridge.Held: 11}); !cmp.Equal(want, got) {
			t.Fatalf("held: %v", got)
		}
		for _, d := range all(t, db, "mega") {
			if d.Note == "" && d.ID != refused.ID {
				t.Errorf("%s is held without a reason", d.Action.Key)
			}
		}
		if ds := claim(t, db, "mega", 9999, 100); len(ds) != 0 {
			t.Fatalf("claimed of a held integration: %+v", ds)
		}
		if _, ok, _ := db.NextDue(ctx, "mega"); ok {
			t.Error("a held integration has something due")
		}
		if ds := claim(t, db, "retail", 0, 100); len(ds) != 2 {
			t.Errorf("the other integration is delayed: %d", len(ds))
		}
		got, err := db.ReleaseIntegration(ctx, "mega", at(300).Time)
		if want := (store.Released{Waiting: 8, Expired: 3}); err != nil || got != want {
			t.Fatalf("released %+v, %v", got, err)
		}
		var order []string
		for ds := claim(t, db, "mega", 0, 1); len(ds) > 0; ds = claim(t, db, "mega", 0, 1) {
			if ds[0].Client == "+79160000001" {
				order = append(order, ds[0].CallID)
			}
			finish(t, db, ds[0], bridge.Done)
		}
		if want := []string{"c3", "c5", "c7", "c9"}; !cmp.Equal(want, order) {
			t.Errorf("order %v", order)
		}
		// Later choice is possible: an expired one by hand.
		old, err := db.Deliveries(ctx, store.DeliveryFilter{Integration: "mega", State: bridge.Expired})
		if err != nil || len(old) != 3 {
			t.Fatalf("%d expired, %v", len(old), err)
		}
		if n, err := db.Retry(ctx, []int64{old[0].ID}); err != nil || n != 1 {
			t.Fatalf("retried %d, %v", n, err)
		}
		if ds := claim(t, db, "mega", 0, 9); len(ds) != 1 || ds[0].ID != old[0].ID {
			t.Errorf("claimed %+v", ds)
		}
		balanced(t, db)
	})

	t.Run("R-14 without the box nothing is sent", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79160000001")
		b := store.Batch{Calls: []bridge.Call{c}}
		planned(&b, c, "mega", "contact", "call")
		commit(t, db, b)
		if _, err := db.HoldIntegration(ctx, "mega", time.Now(), "off"); err != nil {
			t.Fatal(err)
		}
		got, err := db.ReleaseIntegration(ctx, "mega", time.Time{})
		if want := (store.Released{Expired: 2}); err != nil || got != want {
			t.Fatalf("released %+v, %v", got, err)
		}
		if ds := claim(t, db, "mega", 9999, 9); len(ds) != 0 {
			t.Errorf("claimed %+v", ds)
		}
		balanced(t, db)
	})

	t.Run("a missing right holds one kind, others go on", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79160000001")
		b := store.Batch{Calls: []bridge.Call{c}}
		planned(&b, c, "mega", "task", "call", "task2", "contact")
		commit(t, db, b)
		d := claim(t, db, "mega", 0, 1)[0]
		if n, err := db.HoldKind(ctx, "mega", bridge.ActTask, "may not make tasks"); err != nil || n != 1 {
			t.Fatalf("held %d, %v", n, err)
		}
		finish(t, db, d, bridge.Held)
		var order []bridge.ActionKind
		for ds := claim(t, db, "mega", 0, 1); len(ds) > 0; ds = claim(t, db, "mega", 0, 1) {
			order = append(order, ds[0].Action.Kind)
			finish(t, db, ds[0], bridge.Done)
		}
		if want := []bridge.ActionKind{bridge.ActCall, bridge.ActContact}; !cmp.Equal(want, order) {
			t.Errorf("went on with %v", order)
		}
		if ks, err := db.HeldKinds(ctx, "mega"); err != nil || len(ks) != 1 || ks[0].Kind != bridge.ActTask || ks[0].Reason != "may not make tasks" {
			t.Errorf("held kinds %+v, %v", ks, err)
		}
		c2 := call("c2", 0, "+79160000001")
		b = store.Batch{Calls: []bridge.Call{c2}}
		planned(&b, c2, "mega", "task")
		commit(t, db, b)
		// The whole integration breaks and comes back; the kind stays held.
		if _, err := db.HoldIntegration(ctx, "mega", time.Now(), "refused"); err != nil {
			t.Fatal(err)
		}
		if got, err := db.ReleaseIntegration(ctx, "mega", at(0).Time); err != nil || got != (store.Released{Held: 3}) {
			t.Fatalf("released %+v, %v", got, err)
		}
		if n, err := db.ReleaseKind(ctx, "mega", bridge.ActTask); err != nil || n != 3 {
			t.Fatalf("released %d, %v", n, err)
		}
		if ds := claim(t, db, "mega", 0, 9); len(ds) != 1 || ds[0].ID != d.ID {
			t.Errorf("claimed %+v", ds)
		}
		balanced(t, db)
	})

	t.Run("outcomes that come beside a hold", func(t *testing.T) {
		db := Open(t, dsn(t))
		c1, c2 := call("c1", 0, "+79160000001"), call("c2", 0, "+79160000002")
		b := store.Batch{Calls: []bridge.Call{c1, c2}}
		planned(&b, c1, "mega", "call")
		planned(&b, c2, "mega", "call")
		commit(t, db, b)
		ds := claim(t, db, "mega", 0, 2)
		finish(t, db, ds[0], bridge.Held) // nothing is held (yet): it must not get stuck
		if got := states(t, db, "mega"); got[bridge.Held] != 0 {
			t.Errorf("%v", got)
		}
		if _, err := db.HoldIntegration(ctx, "mega", time.Now(), "refused"); err != nil {
			t.Fatal(err)
		}
		finish(t, db, ds[1], bridge.Waiting) // it would wait in a held integration
		if got := states(t, db, "mega"); got[bridge.Held] != 2 {
			t.Errorf("%v", got)
		}
	})

	t.Run("many rows", func(t *testing.T) {
		db := Open(t, dsn(t))
		var b store.Batch
		for i := range 5000 {
			c := call(fmt.Sprintf("c%04d", i), i, bridge.Number(fmt.Sprintf("+7916%07d", i%700)))
			b.Calls = append(b.Calls, c)
			planned(&b, c, "mega", "call")
		}
		commit(t, db, b)
		if n, err := db.HoldIntegration(ctx, "mega", time.Now(), "refused"); err != nil || n != 5000 {
			t.Fatalf("held %d, %v", n, err)
		}
		got, err := db.ReleaseIntegration(ctx, "mega", at(100).Time)
		if want := (store.Released{Waiting: 4900, Expired: 100}); err != nil || got != want {
			t.Fatalf("released %+v, %v", got, err)
		}
		if ds := claim(t, db, "mega", 0, 1000); len(ds) != 700 {
			t.Errorf("%d clients are served", len(ds))
		}
		balanced(t, db)
	})
}
