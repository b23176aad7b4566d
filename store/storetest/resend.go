package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

// testResend proves the queue of a backlog, the release of, and
// that sending again changes nothing the second time.
func testResend(t *testing.T, dsn func(testing.TB) string) {
	ctx := t.Context()
	t.Run("R15 backlog goes oldest first and behind the fresh", func(t *testing.T) {
		db := Open(t, dsn(t))
		if _, err := db.HoldIntegration(ctx, "rc", base, "refused"); err != nil {
			t.Fatal(err)
		}
		var b store.Batch
		for i, client := range []bridge.Number{"+79160000003", "+79160000001", "+79160000002"} {
			for _, n := range []int{i * 10, 100 + i*10} {
				c := ended(call(fmt.Sprintf("c%d-%d", i, n), n, client), bridge.Missed)
				b.Calls = append(b.Calls, c)
				planned(&b, c, "rc", "popup", "call", "task")
			}
		}
		old := ended(call("old", -7200, "+79160000009"), bridge.Missed)
		b.Calls = append(b.Calls, old)
		planned(&b, old, "rc", "call")
		commit(t, db, b)

		sum, err := db.HeldSummary(ctx, "rc", base)
		must(t, err)
		if sum.Calls != 7 || sum.Popups != 6 || sum.Older != 1 || sum.Send[bridge.ActCall] != 6 || sum.Send[bridge.ActTask] != 6 {
			t.Errorf("%+v", sum)
		}
		r, err := db.ReleaseIntegration(ctx, "rc", base)
		must(t, err)
		if r.Waiting != 12 || r.Expired != 1 || r.Popups != 6 || r.Held != 0 {
			t.Errorf("%+v", r)
		}
		// A call comes in: it goes first, and its client's backlog with it.
		var f store.Batch
		c := ended(call("fresh", 500, "+79160000007"), bridge.Missed)
		f.Calls = append(f.Calls, c)
		planned(&f, c, "rc", "call")
		commit(t, db, f)
		fresh, backlog, err := db.OpenByKind(ctx, "rc")
		must(t, err)
		if fresh[bridge.ActCall] != 1 || backlog[bridge.ActCall] != 6 {
			t.Errorf("fresh %v, backlog %v", fresh, backlog)
		}
		if got, err := db.ClaimUpTo(ctx, "rc", later(1), time.Minute, 5, 0); err != nil || len(got) != 1 || got[0].CallID != "fresh" || got[0].Backlog {
			t.Fatalf("%+v, %v", got, err)
		} else {
			finish(t, db, got[0], bridge.Done)
		}
		var order []string
		for {
			got, err := db.ClaimUpTo(ctx, "rc", later(2), time.Minute, 1, 1)
			must(t, err)
			if len(got) == 0 {
				break
			}
			if !got[0].Backlog {
				t.Errorf("%s is not marked as backlog", got[0].Action.Key)
			}
			order = append(order, got[0].CallID+" "+string(got[0].Action.Kind))
			finish(t, db, got[0], bridge.Done)
		}
		var want []string
		for _, n := range []int{0, 10, 20, 100, 110, 120} {
			id := fmt.Sprintf("c%d-%d", n%100/10, n)
			want = append(want, id+" call", id+" task")
		}
		if !slices.Equal(order, want) {
			t.Errorf("went in the order\n%v, want\n%v", order, want)
		}
		balanced(t, db)
	})
	t.Run("F9 a client who calls leaves the backlog", func(t *testing.T) {
		db := Open(t, dsn(t))
		_, err := db.HoldIntegration(ctx, "rc", base, "refused")
		must(t, err)
		var b store.Batch
		for i := range 3 {
			c := ended(call(fmt.Sprint("c", i), i, bridge.Number(fmt.Sprint("+7916000000", i))), bridge.Missed)
			b.Calls = append(b.Calls, c)
			planned(&b, c, "rc", "call")
		}
		commit(t, db, b)
		_, err = db.ReleaseIntegration(ctx, "rc", base)
		must(t, err)
		var f store.Batch
		c := ended(call("again", 300, "+79160000002"), bridge.Answered)
		f.Calls = append(f.Calls, c)
		planned(&f, c, "rc", "call")
		commit(t, db, f)
		for _, want := range []string{"c2", "again", "c0", "c1"} { // his own order is kept
			got := claim(t, db, "rc", 1, 1)
			if len(got) != 1 || got[0].CallID != want {
				t.Fatalf("%+v, want %s", got, want)
			}
			finish(t, db, got[0], bridge.Done)
		}
	})
	t.Run("F9 missing and again", func(t *testing.T) {
		db := Open(t, dsn(t))
		var b store.Batch
		a := ended(call("a", 0, "+79160000001"), bridge.Missed)
		n := ended(call("n", 60, "+79160000002"), bridge.Missed) // never planned for rc
		b.Calls = []bridge.Call{a, n}
		planned(&b, a, "rc", "call", "task", "process")
		commit(t, db, b)
		for _, s := range []bridge.DeliveryState{bridge.Done, bridge.Refused, bridge.Skipped} {
			finish(t, db, claim(t, db, "rc", 1, 1)[0], s)
		}
		f := store.ResendFilter{Integration: "rc"}
		rows, err := db.Missing(ctx, f)
		must(t, err)
		if len(rows) != 1 || rows[0].Kind != bridge.ActTask {
			t.Errorf("missing: %+v", rows)
		}
		var seen []string
		must(t, db.EndedCalls(ctx, f, true, func(c bridge.Call) error { seen = append(seen, c.ID); return nil }))
		if !slices.Equal(seen, []string{"n"}) {
			t.Errorf("never planned: %v", seen)
		}
		f.From, f.To = base.Add(time.Minute), base.Add(2*time.Minute)
		if rows, err := db.Missing(ctx, f); err != nil || len(rows) != 0 {
			t.Errorf("outside of the period: %+v, %v", rows, err)
		}
		// The present rules want another task, no process, and a communication.
		action := func(name string, wanted bool, title string) bridge.Action {
			return bridge.Action{Key: "callbridge:a:" + name, Kind: kindOf(name), Trigger: bridge.OnEnd, Wanted: wanted, Title: title, Reason: "test"}
		}
		plan := store.Plan{CallID: "a", Integration: "rc", Trigger: bridge.OnEnd, RuleVersion: 2, Day: day}
		actions := []bridge.Action{action("call", true, "other"), action("task", true, "new text"), action("process", false, ""),
			action("communication", true, ""), action("popup-end", true, "")}
		dry, err := db.Replan(ctx, plan, actions, "+79160000001", true)
		must(t, err)
		before := asJSON(t, all(t, db, "rc"))
		if got := asJSON(t, all(t, db, "rc")); got != before {
			t.Error("the dry run changed something")
		}
		got, err := db.Replan(ctx, plan, actions, "+79160000001", false)
		must(t, err)
		if asJSON(t, got) != asJSON(t, dry) || got.New != 1 || got.Reopened != 1 || got.Same != 2 {
			t.Errorf("%+v, the dry run said %+v", got, dry)
		}
		for _, d := range all(t, db, "rc") {
			if d.Action.Kind == bridge.ActTask && (d.Action.Title != "new text" || d.State != bridge.Waiting || d.RuleVersion != 2) {
				t.Errorf("%+v", d)
			}
		}
		for {
			open := claim(t, db, "rc", 2, 1)
			if len(open) == 0 {
				break
			}
			finish(t, db, open[0], bridge.Done)
		}
		once := asJSON(t, all(t, db, "rc"))
		again, err := db.Replan(ctx, plan, actions, "+79160000001", false)
		must(t, err)
		if again.New+again.Reopened+again.Dropped != 0 || asJSON(t, all(t, db, "rc")) != once {
			t.Errorf("the second time changed something: %+v", again)
		}
		balanced(t, db)
	})
}
