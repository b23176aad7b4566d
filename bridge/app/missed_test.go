package app

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
)

// F-6, D-31: two missed calls are one entry with two tasks; when somebody has
// talked to the client, the entry closes and so do the tasks, with the reason.
// What happened while nobody kept the list is caught up.
func TestF06MissedEntryClosesItsTasks(t *testing.T) {
	b := openBureau(t, bureauSeed(), func(s *bridge.Settings) {
		s.Integrations[0].WorkingHours = &bridge.WorkingHours{From: "00:00", To: "24:00", Days: []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}}
		s.Integrations[0].Calls.Missed = &bridge.MissedRule{Within: bridge.Duration(time.Hour)}
	})
	if err := b.returns.catchUp(t.Context()); err != nil { // writes down that the list begins now
		t.Fatal(err)
	}
	stop := b.keepReturns()
	open := func(ext string) []bridge.MissedEntry {
		list, err := b.returns.Open(t.Context(), ext)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	b.rings("79161234567", "101").after(time.Second).ends()
	b.settled(1)
	b.rings("79161234567", "102").after(time.Second).ends()
	b.settled(2)
	b.eventually("one entry counts both", func() string {
		if l := open(""); len(l) != 1 || l[0].Count != 2 || l[0].Client != bureauClient || l[0].DueAt.IsZero() {
			return fmt.Sprintf("%+v", l)
		}
		return ""
	})
	if len(open("101")) != 1 || len(open("102")) != 1 || len(open("103")) != 0 {
		t.Error("the entry is for those whose phones rang (D-26)")
	}
	if n := len(b.made("task")); n != 2 {
		t.Fatalf("%d tasks", n)
	}

	stop() // the list is not kept for a while
	b.talk("79161234567", "101")
	b.settled(3)
	if l := open(""); len(l) != 1 {
		t.Fatalf("%+v", l)
	}
	b.returns.take() // as if the program had been started anew
	if err := b.returns.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l := open(""); len(l) != 0 {
		t.Errorf("still open: %+v", l)
	}
	all := b.settled(3)
	closed := 0
	for _, d := range all {
		if d.Action.Kind == bridge.ActCloseTask && d.State == bridge.Done && strings.Contains(d.Action.Reason, "Иван Петров") {
			closed++
		}
	}
	if closed != 2 {
		t.Errorf("%d tasks were closed, want 2: %+v", closed, all)
	}
	for _, o := range b.made("task") {
		if o.Value("finished") == "" || !strings.Contains(o.Value("result"), "клиент позвонил снова и поговорил с Иван Петров") {
			t.Errorf("the task is open: %+v", o)
		}
	}
	done, err := b.returns.Closed(t.Context(), time.Now().Add(-time.Hour))
	if err != nil || len(done) != 1 || done[0].Closed != bridge.CameThrough || done[0].ClosedBy != "101" {
		t.Errorf("%+v %v", done, err)
	}
	if err := b.returns.catchUp(t.Context()); err != nil { // again changes nothing
		t.Fatal(err)
	}
	if l := open(""); len(l) != 0 {
		t.Errorf("opened again: %+v", l)
	}
	if n, err := b.db.LedgerImbalance(t.Context()); err != nil || n != 0 {
		t.Errorf("imbalance %v %v", n, err)
	}

	// By hand.
	defer b.keepReturns()()
	b.rings("79031112233", "101").after(time.Second).ends()
	b.eventually("the other client waits", func() string {
		if l := open(""); len(l) != 1 {
			return fmt.Sprintf("%+v", l)
		}
		return ""
	})
	id := open("")[0].ID
	if _, err := b.returns.Close(t.Context(), id, "103", "petr"); err == nil {
		t.Error("closed by somebody whom it does not concern")
	}
	if e, err := b.returns.Close(t.Context(), id, "101", "ivan"); err != nil || e.Closed != bridge.ClosedByHand || len(open("")) != 0 {
		t.Errorf("%+v %v", e, err)
	}
}

// keepReturns runs the list until the returned function is called.
func (b *bureau) keepReturns() (stop func()) {
	ctx, cancel := contextOf(b.t)
	done := make(chan struct{})
	go func() { defer close(done); b.returns.run(ctx) }()
	return func() { cancel(); <-done }
}

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}
