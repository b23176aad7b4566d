package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/store"
)

// outage is a network to one CRM that can fail.
type outage struct {
	next http.RoundTripper
	host string
	down *atomic.Bool
}

func (o outage) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.down.Load() && r.URL.Hostname() == o.host {
		return nil, errors.New("no route to host")
	}
	return o.next.RoundTrip(r)
}

// soak is what TestMonthOfACompany counts every night.
type soak struct {
	routines int
	heap     uint64
	calls    int
	events   int
}

// TestMonthOfACompany lets 30 days pass in a company of 50 agents with two
// CRMs: work days, nights and week-ends, two days on which a CRM does not
// answer for hours, a changed API key that nobody notices until the next day.
// Every night all calls are over, everything is delivered, held or explained,
// the ledger balances, and nothing has grown but what is kept by rule.
func TestMonthOfACompany(t *testing.T) {
	const (
		agents  = 50
		workday = 24 // calls, so that the month fits into CI
		weekend = 4
		kept    = 14 // days
	)
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		f := openFirm(t, "Europe/Moscow", func(s *bridge.Settings) {
			s.Employees = nil
			for i := range agents {
				s.Employees = append(s.Employees, bridge.Employee{Extension: fmt.Sprint(101 + i), Email: "ivan@example.ru"})
			}
		}, func(next http.RoundTripper) http.RoundTripper { return outage{next, "megaplan.localhost", &down} })
		defer f.close()
		f.log.Reset()
		keep := *f.live.Load()
		keep.Keep.EventDays, keep.Keep.AttemptDays, keep.Keep.CallDays = kept, kept, kept
		f.live.Store(&keep)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go f.retention(ctx)
		for _, x := range f.targets() {
			x.worker.LookAgain(10 * time.Minute)
		}

		b := &bureau{App: f.App, t: t, mega: f.mega}
		r := rand.New(rand.NewPCG(30, 7))
		day := time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)
		time.Sleep(time.Until(day))
		var nights []soak
		made, clients := 0, 0
		for n := range 30 {
			today := workday
			if d := day.Weekday(); d == time.Saturday || d == time.Sunday {
				today = weekend
			}
			time.Sleep(time.Until(day.Add(8 * time.Hour)))
			for i := range today {
				switch {
				case (n == 9 || n == 16) && i == today/4:
					down.Store(true)
				case (n == 9 || n == 16) && i == today/2:
					down.Store(false)
				case n == 12 && i == today/2:
					f.retail.SetKey("another key")
				case n == 13 && i == today/4: // the admin has seen the alarm
					f.retail.SetKey(retailcrmtest.DefaultKey)
					if _, err := (switcher{f.App}).Activate(t.Context(), rc, "anna", true); err != nil {
						t.Fatal(err)
					}
					for _, x := range f.targets() {
						x.worker.LookAgain(10 * time.Minute)
					}
				}
				client := clients
				if r.IntN(3) == 0 {
					client = r.IntN(clients + 1)
				} else {
					clients++
				}
				first, second := fmt.Sprint(101+r.IntN(agents)), fmt.Sprint(101+r.IntN(agents))
				call := b.rings(fmt.Sprintf("7916%07d", client), first)
				switch {
				case i%4 == 3:
					call.after(20 * time.Second).ends()
				case i%7 == 5 && first != second:
					call.after(5*time.Second).answers(first).after(30*time.Second).passes(first, second).after(time.Minute).ends()
				default:
					call.after(5 * time.Second).answers(first).after(time.Duration(r.IntN(300)) * time.Second).ends()
				}
				made++
				time.Sleep(10 * time.Hour / time.Duration(today))
			}
			day = day.Add(24 * time.Hour)
			time.Sleep(time.Until(day.Add(-time.Hour))) // 23:00
			f.night(n)
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			calls, events := f.kept()
			nights = append(nights, soak{runtime.NumGoroutine(), m.HeapAlloc, calls, events})
		}
		if got := len(f.mega.Objects()); got < made {
			t.Errorf("%d calls, and only %d objects in Megaplan", made, got)
		}
		early, last := nights[kept+1], nights[29]
		// Some come and go (connections of the store): what grows is there every night.
		most, least := 0, nights[29].routines
		for i := range 7 {
			most, least = max(most, nights[i].routines), min(least, nights[29-i].routines)
		}
		if least > most+5 {
			t.Errorf("goroutines grow: %d at most in the first week, %d at least in the last", most, least)
		}
		if last.heap > early.heap+early.heap/2+24<<20 {
			t.Errorf("memory grows: %d KiB after %d days, %d KiB at the end", early.heap>>10, kept+1, last.heap>>10)
		}
		if last.calls > (kept+1)*workday || last.events > early.events*3/2 {
			t.Errorf("more is kept than the rule says: %+v after %d days, %+v at the end", early, kept+1, last)
		}
		t.Logf("%d calls of %d clients; after %d days %+v, at the end %+v", made, clients, kept+1, early, last)
	})
}

// night checks what must hold every night.
func (f *firm) night(day int) {
	f.t.Helper()
	if n, err := f.db.LedgerImbalance(f.t.Context()); err != nil || n != 0 {
		f.t.Errorf("day %d: the ledger is out of balance by %d, %v", day, n, err)
	}
	if open := f.core.liveCalls(); len(open) > 0 {
		f.t.Errorf("day %d: %d calls go on in the night, such as %+v", day, len(open), open[0])
	}
	counts, err := f.db.DeliveryCounts(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, c := range counts {
		switch {
		case c.Count == 0, c.State == bridge.Done, c.State == bridge.Skipped:
		case c.State == bridge.Held && c.Integration == rc && day == 12:
		default:
			f.t.Errorf("day %d: %d deliveries of %s are %s in the night", day, c.Count, c.Integration, c.State)
		}
	}
	if day != 12 && strings.Contains(f.log.String(), "panic") {
		f.t.Errorf("day %d: %s", day, f.log)
	}
	f.log.Reset()
}

// kept counts what the store has.
func (f *firm) kept() (calls, events int) {
	f.t.Helper()
	filter := store.CallFilter{Limit: 1000}
	for {
		page, next, err := f.db.Calls(f.t.Context(), filter)
		if err != nil {
			f.t.Fatal(err)
		}
		calls += len(page)
		for i := range page {
			if i%10 == 0 {
				list, err := f.db.Events(f.t.Context(), page[i].ID)
				if err != nil {
					f.t.Fatal(err)
				}
				events += len(list)
			}
		}
		if filter.Before = next; next == "" {
			return calls, events
		}
	}
}
