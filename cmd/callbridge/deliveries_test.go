package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

// parkedLedger is a database with one integration and three calls: for each a
// task, of which the first is done and the others were refused by the CRM.
func parkedLedger(t *testing.T) (conf, day string) {
	t.Helper()
	dir := t.TempDir()
	key := filepath.Join(dir, "callbridge.key")
	conf = write(t, "callbridge.yaml", fmt.Sprintf("database: sqlite:%s\ntime_zone: Europe/Moscow\nsecret_key_file: %s\n", filepath.Join(dir, "callbridge.db"), key))
	settings := write(t, "settings.yaml", `
integrations:
  - {id: shop, kind: retailcrm, active: true, credentials: {url: "https://demo.retailcrm.test", api_key: k, site: shop}}
`)
	if code, out, errOut := call(t, "", "apply", "-c", conf, settings); code != exitOK {
		t.Fatalf("apply: %d %s %s", code, out, errOut)
	}
	cfg, err := (&cli{}).load(conf)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := secretKey(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), cfg.Database.Reveal(), secret, slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	day = now.Format(time.DateOnly)
	var b store.Batch
	for i := range 3 {
		id := fmt.Sprintf("call-%d", i)
		b.Calls = append(b.Calls, bridge.Call{ID: id, PBX: "office", Direction: bridge.In, Outcome: bridge.Missed, Client: "+79161234567", StartedAt: bridge.At(now), EndedAt: bridge.At(now)})
		a := bridge.Action{Key: "callbridge:" + id + ":task-0", Kind: bridge.ActTask, Trigger: bridge.OnEnd, Rule: "calls.tasks[0]", Wanted: true, Reason: "a missed call", Title: "Call back"}
		b.Deliveries = append(b.Deliveries, bridge.Delivery{Integration: "shop", CallID: id, Client: "+79161234567", Action: a, State: bridge.Waiting, CreatedAt: bridge.At(now)})
		b.Plans = append(b.Plans, store.Plan{CallID: id, Integration: "shop", Trigger: bridge.OnEnd, Keys: []string{a.Key}, Day: day})
	}
	if err := db.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		rows, err := db.Claim(t.Context(), "shop", time.Now().Add(time.Second), time.Minute, 1)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%v %v", rows, err)
		}
		d := rows[0]
		d.State, d.ObjectID, d.Attempts, d.DoneAt = bridge.Done, "77", 1, bridge.At(now)
		if i > 0 {
			d.State, d.ObjectID, d.ErrorKind, d.Error = bridge.Refused, "", "invalid", "retailcrm: create task: Task is not loaded (performerId)"
			if err := db.AddAttempt(t.Context(), store.Attempt{DeliveryID: d.ID, At: bridge.At(now), Code: 400, TookMS: 12,
				Request: "POST /api/v5/tasks/create\ntask={\"phone\":\"7916•••\"}", Response: `{"success":false,"errorMsg":"Task is not loaded"}`}); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Finish(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return conf, day
}

// TestF1DeliveriesCommand: the equation per day, one parked delivery with
// request, answer and what to do, and repair and retry of one or many.
func TestF1DeliveriesCommand(t *testing.T) {
	conf, day := parkedLedger(t)
	try := func(args ...string) (int, string) {
		t.Helper()
		code, out, errOut := call(t, "", append([]string{"deliveries", "-c", conf}, args...)...)
		return code, out + errOut
	}
	if code, out := try("ledger"); code != exitOK || !strings.Contains(out, day) || !strings.Contains(out, "ok") || !strings.Contains(out, "CAME IN") {
		t.Errorf("ledger: %d %s", code, out)
	}
	code, out := try("ledger", "--json", "-integration", "shop", "-from", day, "-to", day)
	var row store.LedgerRow
	if err := json.Unmarshal([]byte(out), &row); err != nil || code != exitOK || row.Planned != 3 || row.ByState[bridge.Refused] != 2 || row.ByState[bridge.Done] != 1 || row.Imbalance != 0 {
		t.Errorf("ledger --json: %d %v %s", code, err, out)
	}
	code, out = try("list", "--json", "-state", "failed", "-day", day)
	var ids []string
	for line := range strings.Lines(out) {
		var d bridge.Delivery
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, fmt.Sprint(d.ID))
	}
	if code != exitOK || len(ids) != 2 {
		t.Fatalf("list: %d %s", code, out)
	}
	if code, out := try("show", ids[0]); code != exitOK || !strings.Contains(out, "POST /api/v5/tasks/create") || !strings.Contains(out, "Task is not loaded") ||
		!strings.Contains(out, "read its answer below") || !strings.Contains(out, "HTTP 400, 12 ms") {
		t.Errorf("show: %d %s", code, out)
	}
	if code, out := try("repair", ids[0], "-set", "responsible=olga@example.ru", "-set", "title=Call {{.Client.Phone}}", "-set", "due=4h"); code != exitOK || !strings.Contains(out, "corrected and waiting") {
		t.Errorf("repair: %d %s", code, out)
	}
	if code, out := try("show", "--json", ids[0]); code != exitOK || !strings.Contains(out, `"responsible":"olga@example.ru"`) || !strings.Contains(out, "corrected by command line: title, responsible, due") {
		t.Errorf("after the repair: %d %s", code, out)
	}
	for name, args := range map[string][]string{
		"repair of one that waits": {"repair", ids[0], "-set", "title=x"},
		"wrong template":           {"repair", ids[1], "-set", "title={{.Nothing}}"},
		"wrong responsible":        {"repair", ids[1], "-set", "responsible=somebody"},
		"no such delivery":         {"show", "4711"},
	} {
		if code, out := try(args...); code != exitFailed {
			t.Errorf("%s: %d %s", name, code, out)
		}
	}
	for name, args := range map[string][]string{
		"retry all of nothing": {"retry", "-all"}, "retry of nothing": {"retry"}, "repair without -set": {"repair", ids[0]},
		"a wrong -set": {"repair", ids[0], "-set", "colour=red"}, "a wrong day": {"ledger", "-from", "yesterday"}, "a wrong verb": {"mend"},
	} {
		if code, out := try(args...); code != exitUsage {
			t.Errorf("%s: %d %s", name, code, out)
		}
	}
	if code, out := try("retry", "-all", "-integration", "shop"); code != exitOK || !strings.Contains(out, "1 deliveries wait again") {
		t.Errorf("retry -all: %d %s", code, out)
	}
	if code, out := try("skip", "-note", "not needed", ids[1]); code != exitOK || !strings.Contains(out, "1 of 1") {
		t.Errorf("skip: %d %s", code, out)
	}
	if code, out := try("ledger"); code != exitOK {
		t.Errorf("ledger at the end: %d %s", code, out)
	}
}
