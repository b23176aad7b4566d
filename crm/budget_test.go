package crm_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

// ask makes one request of a priority and says how long it waited.
func ask(t *testing.T, a *crm.API, p crm.Priority) time.Duration {
	t.Helper()
	began := time.Now()
	if err := a.Do(crm.WithPriority(t.Context(), p), crm.Request{Op: "x", Path: "/x"}, nil); err != nil {
		t.Error(err)
	}
	return time.Since(began)
}

// TestF15ResendOfThirtyThousandDelaysNobody: while 30,000 requests of a resend
// wait, an urgent and a fresh one go out at once, and the resend takes the time
// its rate dictates.
func TestF15ResendOfThirtyThousandDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []time.Time
		var mu sync.Mutex
		a := api(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			sent = append(sent, time.Now())
			mu.Unlock()
			answer(200, nil, "{}")(w, r)
		}, crm.APIOptions{Limits: []crm.Limit{{Prefix: "/", PerSecond: 8, Burst: 2}}})
		const many = 30_000
		began := time.Now()
		var wg sync.WaitGroup
		for range 6 { // as many as a worker lets into the CRM at once
			wg.Go(func() {
				for range many / 6 {
					ask(t, a, crm.Backfill)
				}
			})
		}
		others := 0
		var worst time.Duration
		for range 400 {
			time.Sleep(9 * time.Second)
			p := []crm.Priority{crm.Urgent, crm.Fresh}[others%2]
			worst = max(worst, ask(t, a, p))
			others++
		}
		if worst > 0 {
			t.Errorf("somebody waited %v behind the resend", worst)
		}
		wg.Wait()
		took, want := time.Since(began), time.Duration(float64(many+others)/8*float64(time.Second))
		if took > want*105/100 {
			t.Errorf("the resend took %v, its rate dictates %v", took, want)
		}
		for i := 10; i < len(sent); i++ {
			if d := sent[i].Sub(sent[i-10]); d < time.Second-time.Millisecond {
				t.Fatalf("11 requests within %v", d)
			}
		}
		t.Logf("%d requests of a resend in %v (%.1f %% over the rate), %d others, none waited", many, took.Round(time.Second), 100*(float64(took)/float64(want)-1), others)
	})
}

// TestF15UrgentBeforeFreshBeforeBackfill is about who goes first when all wait.
func TestF15UrgentBeforeFreshBeforeBackfill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api(answer(200, nil, "{}"), crm.APIOptions{Limits: []crm.Limit{{Prefix: "/", PerSecond: 1}}})
		ask(t, a, crm.Fresh)
		var mu sync.Mutex
		var order []crm.Priority
		var wg sync.WaitGroup
		for _, p := range []crm.Priority{crm.Backfill, crm.Fresh, crm.Backfill, crm.Urgent, crm.Fresh} {
			wg.Go(func() {
				ask(t, a, p)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, p)
			})
			synctest.Wait()
		}
		wg.Wait()
		for i, want := range []crm.Priority{crm.Urgent, crm.Fresh, crm.Fresh, crm.Backfill, crm.Backfill} {
			if order[i] != want {
				t.Fatalf("went in the order %v", order)
			}
		}
	})
}

// TestF15TheServersOwnWordSlowsTheBudget: after "slow down" nothing goes out for
// so long, then less than before, and in time as much as before again.
func TestF15TheServersOwnWordSlowsTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := true
		a := api(func(w http.ResponseWriter, r *http.Request) {
			if busy {
				answer(429, map[string]string{"Retry-After": "7"}, "")(w, r)
				return
			}
			answer(200, nil, "{}")(w, r)
		}, crm.APIOptions{Limits: []crm.Limit{{Prefix: "/", PerSecond: 10}}})
		time.Sleep(time.Minute)
		if err := a.Do(t.Context(), crm.Request{Op: "x", Path: "/x"}, nil); fault.KindOf(err) != fault.RateLimited {
			t.Fatal(err)
		}
		busy = false
		if d := ask(t, a, crm.Urgent); d < 7*time.Second {
			t.Errorf("sent again after %v, told to wait 7 s", d)
		}
		second := func() int {
			n := 0
			for end := time.Now().Add(time.Second); time.Now().Before(end); n++ {
				ask(t, a, crm.Fresh)
			}
			return n
		}
		if n := second(); n > 8 {
			t.Errorf("%d in the second after the trouble", n)
		}
		time.Sleep(5 * time.Minute)
		if n := second(); n < 10 {
			t.Errorf("only %d a second after five quiet minutes", n)
		}
	})
}

// TestR12GateStopsBeforeSending: a closed gate is a refusal, and nothing goes out.
func TestR12GateStopsBeforeSending(t *testing.T) {
	hits := 0
	a := api(func(w http.ResponseWriter, r *http.Request) { hits++; answer(200, nil, "{}")(w, r) }, crm.APIOptions{})
	closed := errors.New("closed")
	err := a.Do(crm.WithGate(t.Context(), func() error { return closed }), crm.Request{Op: "x", Path: "/x"}, nil)
	if fault.KindOf(err) != fault.Auth || !errors.Is(err, closed) || hits != 0 {
		t.Errorf("%v, %d requests", err, hits)
	}
}

// TestBudgetForgetsWhoGaveUp: a request whose time ran out takes no token.
func TestBudgetForgetsWhoGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api(answer(200, nil, "{}"), crm.APIOptions{Limits: []crm.Limit{{Prefix: "/", PerSecond: 1}}})
		ask(t, a, crm.Fresh)
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if err := a.Do(ctx, crm.Request{Op: "x", Path: "/x"}, nil); fault.KindOf(err) != fault.RateLimited {
				t.Error(err)
			}
			cancel()
		}
		if d := ask(t, a, crm.Fresh); d > 600*time.Millisecond {
			t.Errorf("waited %v behind those who gave up", d)
		}
	})
}
