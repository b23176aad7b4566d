package deliver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

// TestR15WindowIsCalendarDaysOfTheZone: today and the two days before, however
// long these days are.
func TestR15WindowIsCalendarDaysOfTheZone(t *testing.T) {
	for name, tc := range map[string]struct{ zone, now, want string }{
		"in the middle of the day":        {"Europe/Moscow", "2026-11-22T12:00:00+03:00", "2026-11-20T00:00:00+03:00"},
		"a second before midnight":        {"Europe/Moscow", "2026-11-22T23:59:59+03:00", "2026-11-20T00:00:00+03:00"},
		"at midnight":                     {"Europe/Moscow", "2026-11-23T00:00:00+03:00", "2026-11-21T00:00:00+03:00"},
		"tomorrow there, today in UTC":    {"Asia/Vladivostok", "2026-11-22T20:00:00Z", "2026-11-21T00:00:00+10:00"},
		"first of a month":                {"Europe/Moscow", "2026-03-01T10:00:00+03:00", "2026-02-27T00:00:00+03:00"},
		"clocks go forward in between":    {"Europe/Berlin", "2026-03-30T00:30:00+02:00", "2026-03-28T00:00:00+01:00"},
		"clocks go back in between":       {"Europe/Berlin", "2026-10-26T00:30:00+01:00", "2026-10-24T00:00:00+02:00"},
		"on the day of the change":        {"Europe/Berlin", "2026-03-29T03:30:00+02:00", "2026-03-27T00:00:00+01:00"},
		"no midnight on the first day":    {"Africa/Cairo", "2026-04-26T12:00:00+03:00", "2026-04-24T01:00:00+03:00"},
		"midnight twice on the first day": {"America/Havana", "2026-11-03T12:00:00-05:00", "2026-11-01T00:00:00-04:00"},
	} {
		t.Run(name, func(t *testing.T) {
			zone, err := time.LoadLocation(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			now, err := time.Parse(time.RFC3339, tc.now)
			if err != nil {
				t.Fatal(err)
			}
			if got := ResendFrom(now, zone).Format(time.RFC3339); got != tc.want {
				t.Errorf("from %s, want %s", got, tc.want)
			}
		})
	}
}

// TestR12TwoInFlightOneHold: two requests are under way when the credentials
// are refused; both rows are held, one alarm is raised, and nothing more is sent.
func TestR12TwoInFlightOneHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		f := &refusing{fakeCRM: b.crm}
		b.worker.target.Client = f
		b.worker.target.Book = NewBook("x", f, b.memory, time.Now)
		b.worker.slots = 2
		var ids []int64
		for i := range 12 {
			ids = append(ids, b.call(fmt.Sprint(i), bridge.Number(fmt.Sprintf("+7916000%04d", i)), "", task)...)
		}
		b.during(t, time.Hour)
		if n := f.n.Load(); n != 2 {
			t.Errorf("%d requests, want the two that were under way", n)
		}
		for _, id := range ids {
			if r := b.row(id); r.State != bridge.Held || r.Attempts != 0 {
				t.Errorf("row %d is %s after %d attempts", id, r.State, r.Attempts)
			}
		}
		if got := strings.Join(b.counts.held, ","); got != "auth" {
			t.Errorf("alarms: %q, want one", got)
		}
	})
}

// refusing is a CRM that takes its time to refuse the credentials.
type refusing struct {
	*fakeCRM
	n atomic.Int64
}

func (f *refusing) FindContacts(context.Context, bridge.Number) ([]crm.Contact, error) {
	f.n.Add(1)
	time.Sleep(100 * time.Millisecond)
	return nil, fault.New(fault.Auth, "test", "refused")
}

// TestR14NoPopupOfAnOldCall: also not the one that takes a window away.
func TestR14NoPopupOfAnOldCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		pop := &popper{fakeCRM: b.crm}
		b.worker.target.Client = pop
		ids := b.call("A", "+79161234567", "101", bridge.Action{Kind: bridge.ActPopup, Trigger: bridge.OnEnd})
		time.Sleep(time.Hour)
		b.during(t, time.Minute)
		if r := b.row(ids[0]); r.State != bridge.Skipped || pop.n != 0 {
			t.Errorf("%s, %d pop-ups", r.State, pop.n)
		}
	})
}

type popper struct {
	*fakeCRM
	n int
}

func (p *popper) Popup(context.Context, crm.Key, bridge.Trigger, crm.CallRecord) (crm.Made, error) {
	p.n++
	return crm.Made{}, nil
}

// bulk is a CRM that takes many calls at once.
type bulk struct {
	*fakeCRM
	mu    sync.Mutex
	sizes []int
	keys  []string
	bad   string // a call it refuses
	err   error  // once, for the batch with the bad call
	dead  bool   // err is for every batch
}

func (f *bulk) BatchSize() int { return 50 }

func (f *bulk) LogCall(context.Context, crm.Key, crm.CallRecord) (crm.Made, error) {
	return crm.Made{}, fault.New(fault.Invalid, "test", "one by one")
}

func (f *bulk) LogCalls(_ context.Context, calls []crm.KeyedCall) ([]crm.Made, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hasBad := slices.ContainsFunc(calls, func(c crm.KeyedCall) bool { return c.Record.Call.ID == f.bad })
	if err := f.err; err != nil && (f.dead || hasBad) {
		if !f.dead {
			f.err = nil
		}
		return nil, err
	}
	if hasBad {
		return nil, fault.New(fault.Invalid, "test", "refused")
	}
	f.sizes = append(f.sizes, len(calls))
	var out []crm.Made
	for _, c := range calls {
		f.keys = append(f.keys, c.Record.Call.ID)
		out = append(out, crm.Made{ID: crm.ObjectID(c.Key.ID)})
	}
	return out, nil
}

// TestF15CallsOfABacklogGoInBatches: fifty in one request; one that is refused
// does not take the others with it; a lost answer loses none.
func TestF15CallsOfABacklogGoInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		f := &bulk{fakeCRM: b.crm, bad: "042", err: fault.New(fault.Uncertain, "test", "no answer")}
		b.worker.target.Client = f
		var ids []int64
		for i := range 120 {
			ids = append(ids, b.call(fmt.Sprintf("%03d", i), bridge.Number(fmt.Sprintf("+7916000%04d", i)), "", bridge.Action{Kind: bridge.ActCall})...)
			b.rows[ids[i]].Backlog = true
		}
		b.during(t, time.Hour)
		for i, id := range ids {
			want := bridge.Done
			if i == 42 {
				want = bridge.Refused
			}
			if r := b.row(id); r.State != want {
				t.Errorf("call %d: %s %s", i, r.State, r.Error)
			}
		}
		if len(f.keys) != 119 {
			t.Errorf("%d calls arrived", len(f.keys))
		}
		big := 0
		for _, n := range f.sizes {
			if n > 1 {
				big += n
			}
		}
		if big < 60 {
			t.Errorf("sizes of the batches: %v", f.sizes)
		}
	})
}

// TestF8StopEmptiesThePen: calls that wait for others are given back untried.
func TestF8StopEmptiesThePen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.worker.target.Client = &bulk{fakeCRM: b.crm, err: fault.New(fault.Auth, "test", "refused"), dead: true} // two batches may be under way
		var ids []int64
		for i := range 60 {
			ids = append(ids, b.call(fmt.Sprintf("%03d", i), bridge.Number(fmt.Sprintf("+7916000%04d", i)), "", bridge.Action{Kind: bridge.ActCall})...)
			b.rows[ids[i]].Backlog = true
		}
		b.during(t, time.Hour)
		for _, id := range ids {
			if r := b.row(id); r.State != bridge.Held || r.Attempts != 0 {
				t.Errorf("row %d is %s after %d attempts", id, r.State, r.Attempts)
			}
		}
	})
}

func TestF9CostIsSaidBefore(t *testing.T) {
	c := CostOf(map[bridge.ActionKind]int64{bridge.ActCall: 500, bridge.ActTask: 100}, crm.Driver{PerSecond: 2, Batch: 50})
	if c.Deliveries != 600 || c.Requests != 110 || c.Took != 55*time.Second || c.Minutes != 0.9 {
		t.Errorf("%+v", c)
	}
}
