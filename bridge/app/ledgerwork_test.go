package app

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"callbridge/bridge"
)

// openParked is a firm in whose retailCRM every answered call makes an order of
// a type that the account does not have: it is refused and parked.
func openParked(t *testing.T) (*firm, *clerk) {
	f := openFirm(t, "Europe/Moscow", func(s *bridge.Settings) {
		withUsers(t, s)
		s.Integrations[1].Calls.Processes = []bridge.ProcessRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered}},
			Scheme: "no-such-type", Title: "Заказ"}}
	})
	for i := range 3 {
		f.call(fmt.Sprintf("+7916000000%d", i)) // the second was missed
	}
	f.settle(time.Minute)
	return f, clerkAt(t, f.App, "admin")
}

// TestF1LedgerAndRepairByREST: the day balances, a parked action shows what was
// asked and answered without the client's number, says what to do, and is
// corrected and retried, one or many.
func TestF1LedgerAndRepairByREST(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, v := openParked(t)
		defer f.close()
		parked := f.inState(bridge.ActProcess, bridge.Refused)
		if len(parked) != 2 {
			t.Fatalf("%d orders are parked", len(parked))
		}
		var days struct {
			Ledger []struct {
				Integration string
				Planned     int64
				States      map[string]int64
			}
		}
		code, body := v.do("GET", "/api/v1/ledger", nil)
		if err := json.Unmarshal([]byte(body), &days); err != nil || code != 200 || len(days.Ledger) == 0 {
			t.Fatalf("%d %v %s", code, err, body)
		}
		for _, d := range days.Ledger {
			sum := int64(0)
			for _, n := range d.States {
				sum += n
			}
			if sum != d.Planned || sum == 0 {
				t.Errorf("%s: %d came in, %d stand somewhere", d.Integration, d.Planned, sum)
			}
		}
		one := fmt.Sprintf("/api/v1/deliveries/%d", parked[0].ID)
		code, body = v.do("GET", one, nil)
		if code != 200 || !strings.Contains(body, "orders/create") || !strings.Contains(body, "no-such-type") || !strings.Contains(body, "Errors in the entity format") ||
			!strings.Contains(body, `"advice":"The CRM refuses the data`) || strings.Contains(body, "79160000000") && !strings.Contains(body, `"client":"+79160000000"`) {
			t.Errorf("%d %s", code, body)
		}
		var full struct {
			Tries []struct{ Request, Response string }
		}
		if err := json.Unmarshal([]byte(body), &full); err != nil || len(full.Tries) != 1 || strings.Contains(full.Tries[0].Request+full.Tries[0].Response, "9160000000") {
			t.Errorf("the request is not masked: %v %+v", err, full)
		}
		for name, tc := range map[string]struct {
			method, path string
			in           any
			code         int
		}{
			"as it is":        {"POST", "/api/v1/deliveries/retry", map[string]any{"ids": []int64{parked[0].ID}}, 200},
			"nothing named":   {"POST", "/api/v1/deliveries/retry", map[string]any{}, 422},
			"all that failed": {"POST", "/api/v1/deliveries/retry", map[string]any{"integration": rc, "state": "failed"}, 200},
			"a wrong state":   {"POST", "/api/v1/deliveries/retry", map[string]any{"integration": rc, "state": "done"}, 422},
			"nothing":         {"PATCH", one, map[string]any{}, 409},
			"no e-mail":       {"PATCH", one, map[string]any{"responsible": "somebody"}, 409},
			"no such":         {"PATCH", "/api/v1/deliveries/999999", map[string]any{"scheme": "2"}, 404},
		} {
			if code, body := v.do(tc.method, tc.path, tc.in); code != tc.code {
				t.Errorf("%s: %d %s", name, code, body)
			}
			f.settle(10 * time.Second)
		}
		if n := len(f.inState(bridge.ActProcess, bridge.Refused)); n != 2 || count(f.retail, "deal") != 0 {
			t.Errorf("%d parked after retries that cannot help, %d orders", n, count(f.retail, "deal"))
		}
		// Corrected, it goes through, once; its reason tells who corrected what.
		if code, body := v.do("PATCH", one, map[string]any{"scheme": "eshop-individual"}); code != 200 {
			t.Fatalf("%d %s", code, body)
		}
		f.settle(10 * time.Second)
		done := f.inState(bridge.ActProcess, bridge.Done)
		if len(done) != 1 || count(f.retail, "deal") != 1 || !strings.HasSuffix(done[0].Action.Reason, "corrected by admin: scheme") {
			t.Errorf("%+v, %d orders", done, count(f.retail, "deal"))
		}
		if code, body := v.do("PATCH", one, map[string]any{"scheme": "2"}); code != 409 {
			t.Errorf("one that is done was corrected: %d %s", code, body)
		}
		// The other one is given up by hand.
		if code, body := v.do("POST", "/api/v1/deliveries/skip", map[string]any{"ids": []int64{parked[1].ID}, "note": "not needed"}); code != 200 {
			t.Errorf("%d %s", code, body)
		}
		if rows := f.inState(bridge.ActProcess, bridge.Skipped); len(rows) == 0 || !strings.Contains(fmt.Sprint(rows), "skipped by admin: not needed") {
			t.Errorf("%+v", rows)
		}
		if n, err := f.db.LedgerImbalance(t.Context()); err != nil || n != 0 {
			t.Errorf("imbalance %d, %v", n, err)
		}
		boss := clerkAt(t, f.App, "boss")
		for _, path := range []string{"/api/v1/deliveries/retry", "/api/v1/deliveries/skip"} {
			if code, _ := boss.do("POST", path, map[string]any{"ids": []int64{1}}); code != 403 {
				t.Errorf("a supervisor may %s: %d", path, code)
			}
		}
	})
}

// TestF1RepairOnThePages: the same with the console's buttons, in its words.
func TestF1RepairOnThePages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, v := openParked(t)
		defer f.close()
		parked := f.inState(bridge.ActProcess, bridge.Refused)
		_, list := v.do("GET", "/deliveries?state=failed&integration="+rc, nil)
		page := fmt.Sprintf("/deliveries/%d", parked[0].ID)
		if !strings.Contains(list, page) || !strings.Contains(list, `name="id"`) || !strings.Contains(list, "Retry all that failed") {
			t.Errorf("the list has no buttons: %s", list)
		}
		_, text := v.do("GET", page, nil)
		for _, want := range []string{"What to do", "The CRM refuses the data", "no-such-type", "orders/create", `name="scheme"`, "Correct and retry"} {
			if !strings.Contains(text, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		if _, day := v.do("GET", "/ledger", nil); !strings.Contains(day, "/deliveries?integration=rc&amp;day=") || !strings.Contains(day, "state=failed") {
			t.Error("the ledger does not lead to its rows")
		}
		if code, body := v.do("POST", page, url.Values{"do": {"repair"}, "scheme": {"no-such-type"}}); code != 200 || !strings.Contains(body, "Nothing is corrected") {
			t.Errorf("%d %s", code, body)
		}
		if code, body := v.do("POST", page, url.Values{"do": {"repair"}, "scheme": {"2"}}); code != 303 {
			t.Errorf("%d %s", code, body)
		}
		// Meanwhile the rules are put right for the other: all of the integration at once.
		if code, _ := v.do("POST", "/deliveries", url.Values{"do": {"retry-all"}, "integration": {rc}, "state": {"failed"}}); code != 303 {
			t.Errorf("retry-all: %d", code)
		}
		f.settle(10 * time.Second)
		if n := len(f.inState(bridge.ActProcess, bridge.Done)); n != 1 {
			t.Errorf("%d orders are done", n)
		}
		if code, _ := v.do("POST", "/deliveries", url.Values{"do": {"skip"}, "id": {fmt.Sprint(parked[1].ID)}}); code != 303 || len(f.inState(bridge.ActProcess, bridge.Refused)) != 0 {
			t.Errorf("skip: %d", code)
		}
	})
}

// TestF1LedgerOfTodayAsMetric: what came in today, and where it stands.
func TestF1LedgerOfTodayAsMetric(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := openParked(t)
		defer f.close()
		want := map[string]float64{}
		rows, err := f.db.Ledger(t.Context(), time.Now().In(f.zone).Format(time.DateOnly), "")
		must(t, err)
		text := "# HELP callbridge_ledger_today The ledger of the present day: what came in (state planned) and where it stands.\n# TYPE callbridge_ledger_today gauge\n"
		for _, r := range rows {
			want[r.Integration] = float64(r.Planned)
			text += fmt.Sprintf("callbridge_ledger_today{integration=%q,state=\"planned\"} %d\n", r.Integration, r.Planned)
			for _, s := range bridge.DeliveryStates() {
				text += fmt.Sprintf("callbridge_ledger_today{integration=%q,state=%q} %d\n", r.Integration, s, r.ByState[s])
			}
		}
		if len(want) != 2 || want[rc] == 0 {
			t.Fatalf("%v", want)
		}
		if err := testutil.GatherAndCompare(f.reg, strings.NewReader(text), "callbridge_ledger_today"); err != nil {
			t.Error(err)
		}
	})
}
