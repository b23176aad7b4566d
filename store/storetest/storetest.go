// Package storetest proves what store promises, with one suite for SQLite and
// for a real PostgreSQL, and gives other tests databases of both kinds.
package storetest

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

// Key is a secret key for tests.
func Key() []byte { return []byte("0123456789abcdef0123456789abcdef") }

// SQLiteDSN names a new database file in the test's folder.
func SQLiteDSN(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "callbridge.db")
}

// Open opens dsn and closes it with the test.
func Open(t testing.TB, dsn string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), dsn, Key(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// Run proves the contract of store on the engine dsn gives new databases of.
func Run(t *testing.T, dsn func(testing.TB) string) {
	for _, c := range []struct {
		name string
		f    func(*testing.T, func(testing.TB) string)
	}{
		{"intake", testIntake},
		{"reading", testReading},
		{"claim", testClaim},
		{"next", testNext},
		{"hold", testHold},
		{"ledger", testLedger},
		{"around", testAround},
		{"stats", testStats},
		{"rings", testRings},
		{"routing", testRouting},
		{"safety", testSafety},
		{"resend", testResend},
		{"personal", testPersonal},
		{"repair", testRepair},
	} {
		t.Run(c.name, func(t *testing.T) { c.f(t, dsn) })
	}
}

// base is when the calls of the tests begin.
var base = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

const day = "2026-11-22"

// at is n seconds after base.
func at(n int) bridge.Time { return bridge.At(base.Add(time.Duration(n) * time.Second)) }

// call is a living call of a client that began at second n.
func call(id string, n int, client bridge.Number) bridge.Call {
	return bridge.Call{ID: id, PBX: "office", Direction: bridge.In, Client: client, Line: "+74951234567", StartedAt: at(n), Rang: []string{"101"}}
}

func ended(c bridge.Call, o bridge.Outcome) bridge.Call {
	c.Outcome, c.EndedAt = o, bridge.At(c.StartedAt.Add(time.Minute))
	return c
}

func event(id string, n int, callID string) store.EventRow {
	return store.EventRow{CallID: callID, Event: bridge.Event{ID: id, PBX: "office", Kind: bridge.ChannelBegan, At: at(n), Seen: at(n),
		Raw: []byte(`{"type":"x"}`), Leg: &bridge.Channel{ID: "c1", Number: "79161234567"}}}
}

// planned adds to b a plan of a call for an integration with its deliveries.
func planned(b *store.Batch, c bridge.Call, integration string, names ...string) {
	plannedOn(b, c, integration, bridge.OnEnd, names...)
}

func plannedOn(b *store.Batch, c bridge.Call, integration string, on bridge.Trigger, names ...string) {
	p := store.Plan{CallID: c.ID, Integration: integration, Trigger: on, RuleVersion: 1, Day: day}
	for i, name := range names {
		key := fmt.Sprintf("callbridge:%s:%s", c.ID, name)
		p.Keys = append(p.Keys, key)
		b.Deliveries = append(b.Deliveries, bridge.Delivery{Integration: integration, CallID: c.ID, Seq: i, Client: c.ClientKey(), RuleVersion: 1, State: bridge.Waiting,
			Action: bridge.Action{Key: key, Kind: kindOf(name), Trigger: on, Wanted: true, Reason: "test"}})
	}
	b.Plans = append(b.Plans, p)
}

// kindOf takes a name such as task2 for a task.
func kindOf(name string) bridge.ActionKind {
	for _, k := range bridge.ActionKinds() {
		if len(name) >= len(k) && name[:len(k)] == string(k) {
			return k
		}
	}
	return bridge.ActCall
}

func commit(t testing.TB, db *store.DB, b store.Batch) {
	t.Helper()
	if err := db.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// balanced fails the test if the ledger does not.
func balanced(t testing.TB, db *store.DB) {
	t.Helper()
	n, err := db.LedgerImbalance(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if n != 0 {
		rows, _ := db.Ledger(t.Context(), "", "") // the failure is reported anyway
		t.Fatalf("the ledger is out of balance by %d: %+v", n, rows)
	}
}

// claim takes up to n, at second s.
func claim(t testing.TB, db *store.DB, integration string, s, n int) []bridge.Delivery {
	t.Helper()
	ds, err := db.Claim(t.Context(), integration, later(s), time.Minute, n)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// later is a moment after everything committed now is due.
func later(s int) time.Time { return time.Now().Add(time.Duration(s+1) * time.Second) }

func finish(t testing.TB, db *store.DB, d bridge.Delivery, s bridge.DeliveryState) {
	t.Helper()
	d.State = s
	d.Attempts++
	if err := db.Finish(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// all returns every delivery of an integration in order.
func all(t testing.TB, db *store.DB, integration string) []bridge.Delivery {
	t.Helper()
	ds, err := db.Deliveries(t.Context(), store.DeliveryFilter{Integration: integration, Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// states counts the deliveries of an integration by state.
func states(t testing.TB, db *store.DB, integration string) map[bridge.DeliveryState]int {
	t.Helper()
	out := map[bridge.DeliveryState]int{}
	for _, d := range all(t, db, integration) {
		out[d.State]++
	}
	return out
}
