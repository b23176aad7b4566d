package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
	"callbridge/store/storetest"
)

// raw is as long as a usual ARI event.
var raw = []byte(`{"type":"ChannelStateChange","x":"` + strings.Repeat("0123456789", 95) + `"}`)

// phases is in how many batches a call of the load comes: its beginning,
// ringing, answer, transfer, end, and what follows the end.
const phases = 5

// load makes phase p of calls from…from+n-1: four events each (20 filtered ARI
// events in a call), the call in its new state, and at the end what two
// integrations want done.
func load(from, n, p int, start time.Time) store.Batch {
	var b store.Batch
	for i := from; i < from+n; i++ {
		at := bridge.At(start.Add(time.Duration(i)*time.Millisecond + time.Duration(p)*time.Second))
		c := bridge.Call{ID: fmt.Sprintf("01J%013d", i), PBX: "office", Direction: bridge.In, Client: bridge.Number(fmt.Sprintf("+7916%07d", i%20000)), Line: "+74951234567",
			StartedAt: bridge.At(start.Add(time.Duration(i) * time.Millisecond)), Rang: []string{fmt.Sprint(100 + i%50), fmt.Sprint(200 + i%50)}, PBXCallID: fmt.Sprintf("1700000000.%d", i),
			Legs: []bridge.Leg{{Extension: fmt.Sprint(100 + i%50), RingAt: at}, {Extension: fmt.Sprint(200 + i%50), RingAt: at}}}
		for j := range 4 {
			b.Events = append(b.Events, store.EventRow{CallID: c.ID, Event: bridge.Event{ID: fmt.Sprintf("%x-%d-%d", i*7919, p, j), PBX: "office", Kind: bridge.ChannelUp, At: at, Seen: at, Raw: raw,
				Leg: &bridge.Channel{ID: c.PBXCallID, Name: "PJSIP/101-00000001", Group: c.PBXCallID, Extension: "101", State: "up", Number: "79161234567"}}})
		}
		if p == phases-1 {
			c.Outcome, c.EndedAt, c.AnsweredBy = bridge.Answered, at, c.Rang[:1]
			for _, integration := range []string{"mega", "retail"} {
				plan := store.Plan{CallID: c.ID, Integration: integration, Trigger: bridge.OnEnd, Day: "2026-11-22"}
				for k, kind := range []bridge.ActionKind{bridge.ActContact, bridge.ActCall, bridge.ActTask} {
					key := "callbridge:" + c.ID + ":" + string(kind)
					plan.Keys = append(plan.Keys, key)
					b.Deliveries = append(b.Deliveries, bridge.Delivery{Integration: integration, CallID: c.ID, Seq: k, Client: c.ClientKey(),
						Action: bridge.Action{Key: key, Kind: kind, Trigger: bridge.OnEnd, Wanted: true, Reason: "calls.tasks[0]: in, answered", Title: "Перезвонить {{.Client.Phone}}"}})
				}
				b.Plans = append(b.Plans, plan)
			}
		}
		b.Calls = append(b.Calls, c)
	}
	return b
}

func engines(b *testing.B, f func(*testing.B, *store.DB)) {
	b.Run("sqlite", func(b *testing.B) { f(b, storetest.Open(b, storetest.SQLiteDSN(b))) })
	b.Run("postgres", func(b *testing.B) { f(b, storetest.Open(b, storetest.PostgresDSN(b))) })
}

// BenchmarkCommit stores whole calls: 20 events of 1 KB, five states, two
// plans and six deliveries each; a batch holds one phase of 100 calls, as a
// group commit of about 20 ms at 1,000 calls/s would.
func BenchmarkCommit(b *testing.B) {
	engines(b, func(b *testing.B, db *store.DB) {
		const n = 100
		start, from := time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC), 0
		for b.Loop() {
			for p := range phases {
				if err := db.Commit(b.Context(), load(from, n, p, start)); err != nil {
					b.Fatal(err)
				}
			}
			from += n
		}
		b.ReportMetric(float64(from)/b.Elapsed().Seconds(), "calls/s")
		b.ReportMetric(float64(from*phases*4)/b.Elapsed().Seconds(), "events/s")
	})
}

// backlog fills db with 30,000 deliveries of integration "mega", of 2,000
// clients in 5 calls each, and as many of "retail"; a tenth under the race
// detector. It returns how many of each.
func backlog(tb testing.TB, db *store.DB) int64 {
	tb.Helper()
	start, batches := time.Now().Add(-time.Hour), 100
	if storetest.Slow {
		batches = 10
	}
	for i := range batches {
		b := load(i*100, 100, phases-1, start)
		for j := range b.Calls {
			b.Calls[j].Client = bridge.Number(fmt.Sprintf("+7916%07d", (i*100+j)%2000))
		}
		for j := range b.Deliveries {
			b.Deliveries[j].Client = b.Calls[j/6].ClientKey()
		}
		if err := db.Commit(tb.Context(), b); err != nil {
			tb.Fatal(err)
		}
	}
	return int64(batches) * 300
}

// BenchmarkClaim claims and finishes one delivery while 30,000 of another
// integration are held, and while all 30,000 of the same one wait.
func BenchmarkClaim(b *testing.B) {
	for _, held := range []string{"other held", "none held"} {
		b.Run(held, func(b *testing.B) {
			engines(b, func(b *testing.B, db *store.DB) {
				backlog(b, db)
				if held == "other held" {
					if _, err := db.HoldIntegration(b.Context(), "retail", time.Now(), "off"); err != nil {
						b.Fatal(err)
					}
				}
				now := time.Now().Add(time.Minute)
				for b.Loop() {
					ds, err := db.Claim(b.Context(), "mega", now, time.Minute, 1)
					if err != nil || len(ds) != 1 {
						b.Fatal(len(ds), err)
					}
					b.StopTimer()
					d := ds[0] // the CRM is down: everybody waits behind his first action
					d.State, d.NextAt = bridge.Waiting, bridge.At(now.Add(-time.Second))
					if err := db.Finish(b.Context(), d); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		})
	}
}

// BenchmarkDeliver claims 32 at a time and finishes them from as many
// goroutines, as the workers of a fast CRM do.
func BenchmarkDeliver(b *testing.B) {
	engines(b, func(b *testing.B, db *store.DB) {
		backlog(b, db)
		now, n := time.Now().Add(time.Minute), 0
		for b.Loop() {
			ds, err := db.Claim(b.Context(), "mega", now, time.Minute, 64)
			if err != nil {
				b.Fatal(err)
			}
			errs := make(chan error)
			for _, d := range ds {
				go func() {
					d.State, d.NextAt = bridge.Waiting, bridge.At(now.Add(-time.Second)) // so that there is always more
					errs <- db.Finish(b.Context(), d)
				}()
			}
			for range ds {
				if err := <-errs; err != nil {
					b.Fatal(err)
				}
			}
			n += len(ds)
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "deliveries/s")
	})
}
