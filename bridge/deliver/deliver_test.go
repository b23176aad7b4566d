package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

var (
	contact = bridge.Action{Kind: bridge.ActContact, Responsible: "last_talked"}
	task    = bridge.Action{Kind: bridge.ActTask, Title: "Перезвонить {{.Client.Phone}}", Due: bridge.Duration(4 * time.Hour), Responsible: "default"}
	process = bridge.Action{Kind: bridge.ActProcess, Scheme: "8", Responsible: "talked"}
)

// during runs the worker for a stretch of virtual time.
func (b *bench) during(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	b.worker.Run(ctx)
}

func fail(k fault.Kind, after time.Duration) func(string) error {
	return func(op string) error {
		return &fault.Error{Kind: k, Op: "test: " + op, After: after, Err: errors.New("scripted")}
	}
}

func TestActionsOfACallRunInOrderWithRealIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ids := b.call("A", "+79161234567", "101", contact, task)
		b.during(t, time.Minute)
		for _, id := range ids {
			if r := b.row(id); r.State != bridge.Done || r.ObjectID == "" || r.Attempts != 1 {
				t.Errorf("%s: %+v", r.Action.Kind, r)
			}
		}
		// D-12: the task points to the contact that was made a moment before.
		if want := "create task ccallbridge:A:contact"; !slices.Contains(b.crm.log, want) {
			t.Errorf("no %q in %q", want, b.crm.log)
		}
		if got := b.crm.contacts[0].Responsible; got != "7" {
			t.Errorf("responsible %q, want 7 (who talked)", got)
		}
	})
}

func TestF5LostAnswerMakesNoSecondObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ids := b.call("A", "+79161234567", "", contact, task)
		lost := func(string) error { return &fault.Error{Kind: fault.Uncertain, Op: "test", Err: errStored} }
		b.crm.script = []func(string) error{nil, lost, nil, lost} // find, create contact; find again, create task
		b.during(t, 10*time.Minute)
		if n := len(b.crm.contacts); n != 1 {
			t.Errorf("%d contacts, want 1", n)
		}
		if n := len(b.crm.keys); n != 1 {
			t.Errorf("%d tasks, want 1: %v", n, b.crm.keys)
		}
		for _, id := range ids {
			if r := b.row(id); r.State != bridge.Done || r.Attempts != 2 {
				t.Errorf("%s: state %s after %d attempts", r.Action.Kind, r.State, r.Attempts)
			}
		}
	})
}

func TestF5D20HundredCallsOfOneNumberMakeOneContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for i := range 100 {
			b.call(fmt.Sprintf("A%03d", i), "+79161234567", "", contact)
			b.call(fmt.Sprintf("B%03d", i), bridge.Number(fmt.Sprintf("+7916000%04d", i)), "", contact)
		}
		b.during(t, time.Hour)
		if n := len(b.crm.contacts); n != 101 {
			t.Errorf("%d contacts, want 101", n)
		}
		if b.crm.overlap {
			t.Error("two creations of one number ran at once")
		}
	})
}

func TestErrorKindsDecideWhatComesNext(t *testing.T) {
	for name, tc := range map[string]struct {
		script []func(string) error
		want   bridge.DeliveryState
		tries  int
		held   string
		within time.Duration
	}{
		"temporary goes on":          {[]func(string) error{fail(fault.Temporary, 0), fail(fault.Temporary, 0)}, bridge.Done, 3, "", time.Hour},
		"rate limit is no attempt":   {[]func(string) error{fail(fault.RateLimited, 40*time.Second)}, bridge.Done, 1, "", time.Hour},
		"invalid stops":              {[]func(string) error{nil, fail(fault.Invalid, 0)}, bridge.Refused, 1, "", time.Hour},
		"auth holds":                 {[]func(string) error{fail(fault.Auth, 0)}, bridge.Held, 0, "auth", time.Hour},
		"forbidden holds the kind":   {[]func(string) error{nil, fail(fault.Forbidden, 0)}, bridge.Held, 1, "forbidden", time.Hour},
		"gone asks again":            {[]func(string) error{nil, fail(fault.Gone, 0)}, bridge.Done, 2, "", time.Hour},
		"unknown error is temporary": {[]func(string) error{func(string) error { return errors.New("what?") }}, bridge.Done, 2, "", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.crm.script = tc.script
				id := b.call("A", "+79161234567", "", task)[0]
				b.during(t, tc.within)
				r := b.row(id)
				if r.State != tc.want || r.Attempts != tc.tries {
					t.Fatalf("state %s after %d attempts (%s), want %s after %d", r.State, r.Attempts, r.Error, tc.want, tc.tries)
				}
				if got := strings.Join(b.counts.held, ","); got != tc.held {
					t.Fatalf("held %q, want %q", got, tc.held)
				}
			})
		})
	}
}

func TestF8NothingIsTriedAfterTheFirstRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.crm.script = []func(string) error{fail(fault.Auth, 0)}
		b.worker.slots = 1
		var ids []int64
		for i := range 20 {
			ids = append(ids, b.call(fmt.Sprint(i), bridge.Number(fmt.Sprintf("+7916000%04d", i)), "", task)...)
		}
		b.during(t, time.Hour)
		if n := len(b.crm.log); n != 1 {
			t.Errorf("%d requests, want the first only: %q", n, b.crm.log)
		}
		for _, id := range ids {
			if r := b.row(id); r.State != bridge.Held {
				t.Errorf("row %d is %s, want held", id, r.State)
			}
		}
	})
}

func TestTemporaryTroubleOutlastsThreeDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		down := time.Now().Add(80 * time.Hour)
		for range 200 {
			b.crm.script = append(b.crm.script, func(op string) error {
				if time.Now().Before(down) {
					return fail(fault.Temporary, 0)(op)
				}
				return nil
			})
		}
		id := b.call("A", "+79161234567", "", task)[0]
		b.during(t, 90*time.Hour)
		if r := b.row(id); r.State != bridge.Done {
			t.Fatalf("after 90 hours: %s, %d attempts", r.State, r.Attempts)
		}
	})
}

func TestM435KnownClientIsDecidedAtDelivery(t *testing.T) {
	yes, no := true, false
	for name, tc := range map[string]struct {
		known   *bool
		there   bool
		contact bool // the call makes the contact itself
		want    bridge.DeliveryState
	}{
		"new client wanted and new":         {&no, false, false, bridge.Done},
		"new client wanted, made by us":     {&no, false, true, bridge.Done},
		"new client wanted, was there":      {&no, true, true, bridge.Skipped},
		"known client wanted and there":     {&yes, true, false, bridge.Done},
		"known client wanted, made by us":   {&yes, false, true, bridge.Skipped},
		"known client wanted, nobody there": {&yes, false, false, bridge.Skipped},
		"anybody":                           {nil, false, false, bridge.Done},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				if tc.there {
					b.crm.contacts = []crm.Contact{{ID: "old", Phones: []bridge.Number{"+79161234567"}}}
				}
				p := process
				p.Known = tc.known
				actions := []bridge.Action{p}
				if tc.contact {
					actions = []bridge.Action{contact, p}
				}
				ids := b.call("A", "+79161234567", "101", actions...)
				b.during(t, time.Minute)
				r := b.row(ids[len(ids)-1])
				if r.State != tc.want {
					t.Fatalf("%s (%s), want %s", r.State, r.Note, tc.want)
				}
				if r.State == bridge.Skipped && r.Note == "" {
					t.Fatal("skipped without a reason")
				}
			})
		})
	}
}

func TestDecision9OpenProcessIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.crm.contacts = []crm.Contact{{ID: "old", Phones: []bridge.Number{"+79161234567"}}}
		b.crm.open = []crm.Deal{{ID: "5", Pipeline: "3"}, {ID: "6", Pipeline: "8", Name: "Окна"}}
		p := process
		p.AttachOpen = true
		id := b.call("A", "+79161234567", "101", p)[0]
		b.during(t, time.Minute)
		if r := b.row(id); r.State != bridge.Skipped || r.ObjectID != "6" || !strings.Contains(r.Note, "Окна") {
			t.Fatalf("%+v", r)
		}
	})
}

func TestWithheldNumberMakesNoContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ids := b.call("A", "", "", contact, task)
		b.during(t, time.Minute)
		if r := b.row(ids[0]); r.State != bridge.Skipped {
			t.Errorf("contact: %s", r.State)
		}
		if r := b.row(ids[1]); r.State != bridge.Done {
			t.Errorf("task: %s %s", r.State, r.Error)
		}
	})
}

func TestStopGivesRowsBackToBeLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		b.crm.script = []func(string) error{nil, func(string) error {
			cancel()
			return &fault.Error{Kind: fault.Uncertain, Op: "test", Err: context.Canceled}
		}}
		id := b.call("A", "+79161234567", "", task)[0]
		b.worker.Run(ctx)
		if r := b.row(id); r.State != bridge.Waiting || !r.Look || r.Attempts != 0 {
			t.Fatalf("%+v", r)
		}
	})
}

func TestD24SeveralContactsTheOldestIsUsed(t *testing.T) {
	at := func(day int) bridge.Time { return bridge.At(time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)) }
	list := []crm.Contact{{ID: "9", CreatedAt: at(3)}, {ID: "10", CreatedAt: at(2)}, {ID: "8", CreatedAt: at(2)}}
	for range 6 {
		list = append(list[1:], list[0])
		if got := Choose(list); got.ID != "8" {
			t.Fatalf("chose %s of %v", got.ID, list)
		}
	}
}
