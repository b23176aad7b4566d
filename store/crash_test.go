package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
	"callbridge/store/storetest"
)

// childDSN turns the test binary into a daemon that only stores, to be killed.
const childDSN = "CALLBRIDGE_TEST_STORE"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childDSN); dsn != "" {
		if err := child(dsn); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	storetest.Main(m)
}

// per is how many calls a batch of the child has.
const per = 5

// child stores batch after batch, works off deliveries between, and says what
// it was told is stored.
func child(dsn string) error {
	ctx := context.Background()
	db, err := store.Open(ctx, dsn, storetest.Key(), nil)
	if err != nil {
		return err
	}
	first, err := strconv.Atoi(os.Getenv(childDSN + "_FROM"))
	if err != nil {
		return err
	}
	fmt.Println("open")
	for i := first; ; i++ {
		if err := db.Commit(ctx, load(i*per, per, phases-1, time.Unix(1700000000, 0))); err != nil {
			return err
		}
		fmt.Println("stored", i)
		ds, err := db.Claim(ctx, "mega", time.Now(), time.Millisecond, 3)
		if err != nil {
			return err
		}
		for _, d := range ds {
			d.State = bridge.Done
			if err := db.Finish(ctx, d); err != nil {
				return err
			}
			fmt.Println("done", d.ID)
		}
	}
}

// TestKilledInTheMiddle kills the child with -9 while it stores, again and
// again on one database: what it was told is stored is there whole, what it
// was not told is there whole or not at all, and the ledger balances.
func TestKilledInTheMiddle(t *testing.T) {
	both(t, func(t *testing.T, dsn string) {
		first, done := 0, map[int64]bool{}
		stored := 0 // batches known to be stored
		for range 8 {
			last := killed(t, dsn, first, done)
			if last >= 0 {
				stored = last + 1
			}
			db, err := store.Open(t.Context(), dsn, storetest.Key(), nil)
			if err != nil {
				t.Fatal(err)
			}
			first = whole(t, db, stored, done)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			stored = first
		}
		if first < 8 {
			t.Errorf("only %d batches were stored", first)
		}
	})
}

// killed runs a child, kills it after some lines, and returns the last batch
// it reported (-1: none).
func killed(t *testing.T, dsn string, first int, done map[int64]bool) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDSN+"="+dsn, fmt.Sprintf("%s_FROM=%d", childDSN, first))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last, lines, most := -1, bufio.NewScanner(out), 5+rand.IntN(60)
	for n := 0; lines.Scan(); n++ {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "stored":
			last, err = strconv.Atoi(rest)
		case "done":
			var id int64
			id, err = strconv.ParseInt(rest, 10, 64)
			done[id] = true
		case "error":
			t.Fatal(rest)
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == most {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // killed, as it should be
	return last
}

// whole checks the store and returns how many batches it has.
func whole(t *testing.T, db *store.DB, atLeast int, done map[int64]bool) int {
	t.Helper()
	var calls []bridge.Call
	f := store.CallFilter{Limit: 1000}
	for {
		page, next, err := db.Calls(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, page...)
		if f.Before = next; next == "" {
			break
		}
	}
	if len(calls)%per != 0 || len(calls) < atLeast*per {
		t.Fatalf("%d calls, at least %d whole batches were reported", len(calls), atLeast)
	}
	for _, c := range calls {
		events, err := db.Events(t.Context(), c.ID)
		if err != nil || len(events) != 4 {
			t.Fatalf("call %s has %d events, %v", c.ID, len(events), err)
		}
		ds, err := db.Deliveries(t.Context(), store.DeliveryFilter{CallID: c.ID})
		if err != nil || len(ds) != 6 {
			t.Fatalf("call %s has %d deliveries, %v", c.ID, len(ds), err)
		}
		for _, d := range ds {
			if done[d.ID] && d.State != bridge.Done {
				t.Fatalf("delivery %d was done and is %s", d.ID, d.State)
			}
		}
	}
	if n, err := db.LedgerImbalance(t.Context()); err != nil || n != 0 {
		t.Fatalf("imbalance %d, %v", n, err)
	}
	return len(calls) / per
}
