package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func testLedger(t *testing.T, dsn func(testing.TB) string) {
	ctx := t.Context()
	t.Run("the equation and the gauges", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79160000001")
		b := store.Batch{Calls: []bridge.Call{c}}
		planned(&b, c, "mega", "contact", "call", "task", "process")
		b.Deliveries[3].State, b.Deliveries[3].Note = bridge.Skipped, "rule calls.processes[0] does not want it"
		planned(&b, c, "retail", "call")
		commit(t, db, b)
		finish(t, db, claim(t, db, "mega", 0, 1)[0], bridge.Done)
		if _, err := db.HoldIntegration(ctx, "retail", time.Now(), "off"); err != nil {
			t.Fatal(err)
		}
		rows, err := db.Ledger(ctx, day, day)
		want := []store.LedgerRow{
			{Integration: "mega", Day: day, Planned: 4, ByState: map[bridge.DeliveryState]int64{bridge.Done: 1, bridge.Skipped: 1, bridge.Waiting: 2}},
			{Integration: "retail", Day: day, Planned: 1, ByState: map[bridge.DeliveryState]int64{bridge.Held: 1}}}
		if diff := cmp.Diff(want, rows); err != nil || diff != "" {
			t.Error(diff, err)
		}
		if rows, err := db.Ledger(ctx, "2026-11-23", ""); err != nil || len(rows) != 0 {
			t.Errorf("other days: %+v, %v", rows, err)
		}
		counts, err := db.DeliveryCounts(ctx)
		wantCounts := []store.DeliveryCount{{Integration: "mega", State: bridge.Done, Count: 1}, {Integration: "mega", State: bridge.Skipped, Count: 1},
			{Integration: "mega", State: bridge.Waiting, Count: 2}, {Integration: "retail", State: bridge.Held, Count: 1}}
		if diff := cmp.Diff(wantCounts, counts); err != nil || diff != "" {
			t.Error(diff, err)
		}
		oldest, err := db.OldestWaiting(ctx)
		if err != nil || len(oldest) != 1 || time.Since(oldest["mega"]) > time.Minute {
			t.Errorf("oldest waiting %v, %v", oldest, err)
		}
	})
	t.Run("an imbalance shows", func(t *testing.T) {
		db := Open(t, dsn(t))
		c := call("c1", 0, "+79160000001")
		b := store.Batch{Calls: []bridge.Call{c}}
		planned(&b, c, "mega", "contact", "call")
		b.Deliveries = b.Deliveries[:1] // one got lost on the way
		commit(t, db, b)
		if n, err := db.LedgerImbalance(ctx); err != nil || n != 1 {
			t.Errorf("imbalance %d, %v", n, err)
		}
	})
	t.Run("purge takes both sides and nothing that is open", func(t *testing.T) {
		db := Open(t, dsn(t))
		var b store.Batch
		for i := range 6 {
			c := ended(call(fmt.Sprintf("c%d", i), i, bridge.Number(fmt.Sprintf("+7916000000%d", i))), bridge.Missed)
			if i == 2 {
				c.Outcome = ""
			}
			b.Calls = append(b.Calls, c)
			b.Events = append(b.Events, event(fmt.Sprintf("e%d", i), i, c.ID))
			if i > 0 {
				planned(&b, c, "mega", "call")
			}
		}
		commit(t, db, b)
		for _, d := range claim(t, db, "mega", 0, 10) {
			if d.CallID == "c1" {
				finish(t, db, d, bridge.Waiting)
				continue
			}
			must(t, db.AddAttempt(ctx, store.Attempt{DeliveryID: d.ID, At: at(0)}))
			finish(t, db, d, bridge.Done)
		}
		got, err := db.Purge(ctx, store.Retention{Events: at(4).Time, Attempts: at(1).Time, Calls: at(5).Time})
		if want := (store.Purged{Events: 3, Attempts: 4, Calls: 3}); err != nil || got != want {
			t.Errorf("purged %+v, %v", got, err)
		}
		calls, _, _ := db.Calls(ctx, store.CallFilter{})
		if ids := fmt.Sprint(idsOf(calls)); ids != "[c5 c2 c1]" {
			t.Errorf("left %s", ids)
		}
		if open, _ := db.OpenCalls(ctx, "office"); len(open) != 1 || len(open[0].Events) != 1 {
			t.Errorf("the living call lost its events: %+v", open)
		}
		balanced(t, db)
	})
	t.Run("F-1 whatever happens, it balances and nothing gets stuck", func(t *testing.T) {
		// All runs share a database; each has its own integrations and calls.
		db, run := Open(t, dsn(t)), 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			anything(t, rt, db, run)
		})
	})
}

// anything does random things to a store and checks the equation, the order
// per client, and that in the end everything can be brought to an end.
func anything(t *testing.T, rt *rapid.T, db *store.DB, run int) {
	ctx := t.Context()
	ok := func(err error) {
		rt.Helper()
		if err != nil {
			rt.Fatal(err)
		}
	}
	var calls []bridge.Call
	leased := map[int64]bridge.Delivery{}
	integrations, clock := []string{fmt.Sprintf("mega%d", run), fmt.Sprintf("retail%d", run)}, 0
	integration := rapid.SampledFrom(integrations)
	take := func(id string, n int) {
		ds, err := db.Claim(ctx, id, later(clock), 10*time.Second, n)
		ok(err)
		seen := map[string]bool{}
		for _, d := range ds {
			if seen[d.Client] {
				rt.Fatalf("two rows of %s at once", d.Client)
			}
			seen[d.Client] = true
			leased[d.ID] = d
		}
	}
	end := func(d bridge.Delivery, s bridge.DeliveryState) {
		d.State, d.NextAt = s, bridge.At(later(clock))
		if err := db.Finish(ctx, d); err != nil && !isLost(err) {
			rt.Fatal(err)
		}
		delete(leased, d.ID)
	}
	someIDs := func() []int64 {
		ds, err := db.Deliveries(ctx, store.DeliveryFilter{Integration: integration.Draw(rt, "integration"), Limit: 1000})
		ok(err)
		var ids []int64
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, 30), 0, 6).Draw(rt, "ids") {
			if i < len(ds) {
				ids = append(ids, ds[i].ID)
			}
		}
		return ids
	}
	rt.Repeat(map[string]func(*rapid.T){
		"commit": func(rt *rapid.T) {
			var b store.Batch
			for range rapid.IntRange(1, 3).Draw(rt, "calls") {
				c := call(fmt.Sprintf("run%d-%d", run, len(calls)), rapid.IntRange(0, 100).Draw(rt, "start"), bridge.Number(rapid.SampledFrom([]string{"", "+79160000001", "+79160000002"}).Draw(rt, "client")))
				if len(calls) > 0 && rapid.Bool().Draw(rt, "again") {
					c = rapid.SampledFrom(calls).Draw(rt, "call")
				} else {
					calls = append(calls, c)
				}
				b.Calls = append(b.Calls, c)
				names := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"contact", "call", "task", "process"}), rapid.ID[string]).Draw(rt, "names")
				plannedOn(&b, c, integration.Draw(rt, "integration"), rapid.SampledFrom([]bridge.Trigger{bridge.OnRing, bridge.OnEnd}).Draw(rt, "on"), prefixed(rt, names)...)
			}
			ok(db.Commit(ctx, b))
		},
		"merge": func(rt *rapid.T) {
			if len(calls) < 2 {
				return
			}
			i := rapid.IntRange(1, len(calls)-1).Draw(rt, "younger")
			ok(db.Commit(ctx, store.Batch{Merged: map[string]string{calls[i].ID: calls[rapid.IntRange(0, i-1).Draw(rt, "older")].ID}}))
		},
		"claim": func(rt *rapid.T) { take(integration.Draw(rt, "integration"), rapid.IntRange(1, 5).Draw(rt, "n")) },
		"time":  func(rt *rapid.T) { clock += rapid.IntRange(1, 15).Draw(rt, "seconds") },
		"finish": func(rt *rapid.T) {
			if len(leased) == 0 {
				return
			}
			var ids []int64
			for id := range leased {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			end(leased[rapid.SampledFrom(ids).Draw(rt, "id")], rapid.SampledFrom([]bridge.DeliveryState{bridge.Done, bridge.Waiting, bridge.Held, bridge.Refused, bridge.Skipped}).Draw(rt, "state"))
		},
		"hold": func(rt *rapid.T) {
			_, err := db.HoldIntegration(ctx, integration.Draw(rt, "integration"), later(clock), "off")
			ok(err)
		},
		"release": func(rt *rapid.T) {
			_, err := db.ReleaseIntegration(ctx, integration.Draw(rt, "integration"), at(rapid.IntRange(0, 100).Draw(rt, "from")).Time)
			ok(err)
		},
		"hold kind": func(rt *rapid.T) {
			_, err := db.HoldKind(ctx, integration.Draw(rt, "integration"), bridge.ActTask, "no right")
			ok(err)
		},
		"release kind": func(rt *rapid.T) {
			_, err := db.ReleaseKind(ctx, integration.Draw(rt, "integration"), bridge.ActTask)
			ok(err)
		},
		"retry": func(rt *rapid.T) {
			_, err := db.Retry(ctx, someIDs())
			ok(err)
		},
		"skip": func(rt *rapid.T) {
			_, err := db.SkipDeliveries(ctx, someIDs(), "by hand")
			ok(err)
		},
		"": func(rt *rapid.T) {
			for _, id := range integrations {
				ds, err := db.Deliveries(ctx, store.DeliveryFilter{Integration: id, State: bridge.Trying, Limit: 1000})
				ok(err)
				trying := map[string]bool{}
				for _, d := range ds {
					if trying[d.Client] {
						rt.Fatalf("two rows of %s are being tried", d.Client)
					}
					trying[d.Client] = true
				}
			}
		},
	})
	n, err := db.LedgerImbalance(ctx)
	ok(err)
	if n != 0 {
		rt.Fatalf("out of balance by %d", n)
	}
	for _, id := range integrations {
		_, err := db.ReleaseIntegration(ctx, id, base)
		ok(err)
		_, err = db.ReleaseKind(ctx, id, bridge.ActTask)
		ok(err)
		for clock += 100; ; {
			leased = map[int64]bridge.Delivery{}
			if take(id, 100); len(leased) == 0 {
				break
			}
			for _, d := range leased {
				end(d, bridge.Done)
			}
		}
		ds, err := db.Deliveries(ctx, store.DeliveryFilter{Integration: id, Limit: 10000})
		ok(err)
		for _, d := range ds {
			if d.State == bridge.Waiting || d.State == bridge.Trying || d.State == bridge.Held {
				rt.Fatalf("stuck: %+v", d)
			}
		}
	}
}

// prefixed adds the trigger's phones, so that one moment gets new keys now and then.
func prefixed(rt *rapid.T, names []string) []string {
	out := slices.Clone(names)
	for i := range out {
		out[i] += rapid.SampledFrom([]string{"", "2"}).Draw(rt, "suffix")
	}
	return out
}
