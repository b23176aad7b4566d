package app

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/crm/sandbox"
	"callbridge/store"
	"callbridge/store/storetest"
)

// TestF15ThirtyThousandHeldDoNotDelayAFreshCall: with 30,000 rows of a resend
// under way, a fresh call is delivered and a card gets its client as quickly as
// without it.
func TestF15ThirtyThousandHeldDoNotDelayAFreshCall(t *testing.T) {
	// Three rows a call. Under the race detector SQLite, which is Go code here,
	// is ten times slower: there a thousand calls must do.
	calls := 10_000
	if storetest.Slow {
		calls = 1_000
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(12 * time.Hour)
		f := openFirm(t, "Europe/Moscow", func(s *bridge.Settings) { s.Integrations = s.Integrations[1:] })
		defer f.close()
		fresh := func(n int) (delivered, card time.Duration) {
			began := time.Now()
			c := f.call(fmt.Sprintf("+7926000%04d", n))
			f.lookups.remote(f.targetOf(rc), "x", bridge.Number(fmt.Sprintf("+7927000%04d", n)))
			card = time.Since(began)
			for !slices.Contains(f.retailCalls(), c.ID) && time.Since(began) < time.Minute {
				f.settle(10 * time.Millisecond)
			}
			return time.Since(began), card
		}
		type pair struct{ delivered, card time.Duration }
		worst := func() (w pair) {
			for n := range 20 {
				d, c := fresh(len(f.calls) + n)
				w = pair{max(w.delivered, d), max(w.card, c)}
				f.settle(5 * time.Second)
			}
			return w
		}
		quiet := worst()

		if _, err := f.board().Deactivate(t.Context(), rc); err != nil {
			t.Fatal(err)
		}
		var b store.Batch
		now := time.Now()
		for n := range calls {
			c := bridge.Call{ID: fmt.Sprintf("old%05d", n), PBX: "office", Direction: bridge.In, Outcome: bridge.Missed, Reason: bridge.NoAnswer,
				Client: bridge.Number(fmt.Sprintf("+7916%07d", n)), Line: "+74951234567", Rang: []string{"101"},
				StartedAt: bridge.At(now.Add(-10 * time.Hour).Add(time.Duration(n) * time.Second)), EndedAt: bridge.At(now.Add(-time.Hour))}
			b.Calls = append(b.Calls, c)
			f.core.ask(&f.plan.Load().plan, &c, bridge.OnEnd, "", &b)
			if len(b.Calls) == 1000 {
				if err := f.db.Commit(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				b = store.Batch{}
			}
		}
		d, err := switcher{f.App}.Activate(t.Context(), rc, "test", true)
		if err != nil || int(d.Sent) < 3*calls || d.Minutes < float64(calls)/400 {
			t.Fatalf("%+v, %v", d, err)
		}
		f.settle(5 * time.Second)
		began := len(f.retail.RequestLog())
		at := time.Now()
		busy := worst()
		rate := float64(len(f.retail.RequestLog())-began) / time.Since(at).Seconds()
		st, err := switcher{f.App}.Standing(t.Context(), rc)
		if err != nil || st.Backlog == 0 || st.CatchUp < float64(calls)/1000 {
			t.Errorf("the page says %d, caught up in %v min (%v)", st.Backlog, st.CatchUp, err)
		}
		t.Logf("without a resend: %v, with %d rows waiting: %v, %.1f requests/s, caught up in %.0f min", quiet, 3*calls, busy, rate, st.CatchUp)
		// The worst of both by one turn of the rate: the card's look-up and the
		// deliveries of the same call come at the same moment.
		const turn = 130 * time.Millisecond
		if busy.card > quiet.card+turn || busy.delivered > quiet.delivered+turn {
			t.Errorf("a fresh call took %v and its card %v; without the resend %v and %v", busy.delivered, busy.card, quiet.delivered, quiet.card)
		}
		if rate < 6 {
			t.Errorf("the resend goes at %.1f requests/s", rate)
		}
		if n := sandbox.Count(f.retail, "call"); n < 200 {
			t.Errorf("%d calls were sent meanwhile", n)
		}
	})
}
