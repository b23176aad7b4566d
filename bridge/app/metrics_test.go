package app

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"callbridge/bridge"
	"callbridge/bridge/config"
)

// world of one PBX and one integration, where nothing has happened yet.
func newTestMetrics(read func(context.Context) (ledgerNow, error)) (*metrics, *prometheus.Registry) {
	reg := prometheus.NewPedanticRegistry()
	m := newMetrics(reg)
	newCardMetrics(reg)
	m.openPBX("office")
	m.openIntegration("crm")
	m.build.WithLabelValues("1.2.3").Set(1)
	if read == nil {
		read = func(context.Context) (ledgerNow, error) {
			return ledgerNow{counts: map[string]map[bridge.DeliveryState]int64{"crm": {}}, oldest: map[string]time.Duration{}}, nil
		}
	}
	reg.MustRegister(newGauges(read, func() []pbxNow { return []pbxNow{{id: "office"}} },
		func() []integrationNow { return []integrationNow{{id: "crm"}} }))
	return m, reg
}

// ofTheDesign are the series of design.md section 5 (connected agents is the
// hub's and stands in the test of the whole program), and those F-23 needs.
var ofTheDesign = []string{
	"events_received_total", "calls_total", "event_to_card_seconds", "cards_sent_total", "cards_confirmed_total", "cards_dropped_total",
	"routing_seconds", "deliveries", "delivery_attempts_total", "delivery_seconds", "delivery_oldest_waiting_seconds", "integration_active", "integration_held",
	"employee_sync_timestamp_seconds", "employee_sync_age_seconds", "employees", "employee_issues", "employee_list_refused",
	"pbx_last_event_age_seconds", "pbx_connected", "gaps_repaired_total", "ledger_imbalance", "store_readable", "build_info",
}

func TestMetricsAreThereAtZeroAndLint(t *testing.T) {
	m, reg := newTestMetrics(nil)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, f := range families {
		have[f.GetName()] = true
	}
	for _, name := range append(slices.Clone(ofTheDesign), "go:go_goroutines", "go:process_cpu_seconds_total") {
		full, ok := strings.CutPrefix(name, "go:")
		if !ok {
			full = "callbridge_" + name
		}
		if !have[full] {
			t.Errorf("%s is not there before anything has happened", full)
		}
	}
	// Requests appear with the first one: their operations are the adapters' own words.
	m.request("crm", "find client", 200)
	want := `
# HELP callbridge_calls_total Calls that ended, by direction and outcome.
# TYPE callbridge_calls_total counter
callbridge_calls_total{direction="in",outcome="answered"} 0
callbridge_calls_total{direction="in",outcome="missed"} 0
callbridge_calls_total{direction="internal",outcome="answered"} 0
callbridge_calls_total{direction="internal",outcome="missed"} 0
callbridge_calls_total{direction="out",outcome="answered"} 0
callbridge_calls_total{direction="out",outcome="failed"} 0
# HELP callbridge_crm_requests_total Requests to CRMs, by operation and HTTP status (0: no answer).
# TYPE callbridge_crm_requests_total counter
callbridge_crm_requests_total{code="200",integration="crm",operation="find client"} 1
# HELP callbridge_deliveries Rows of the ledger by state.
# TYPE callbridge_deliveries gauge
callbridge_deliveries{integration="crm",state="done"} 0
callbridge_deliveries{integration="crm",state="expired"} 0
callbridge_deliveries{integration="crm",state="failed"} 0
callbridge_deliveries{integration="crm",state="held"} 0
callbridge_deliveries{integration="crm",state="skipped"} 0
callbridge_deliveries{integration="crm",state="trying"} 0
callbridge_deliveries{integration="crm",state="waiting"} 0
# HELP callbridge_delivery_oldest_waiting_seconds Age of the oldest row that waits.
# TYPE callbridge_delivery_oldest_waiting_seconds gauge
callbridge_delivery_oldest_waiting_seconds{integration="crm"} 0
# HELP callbridge_ledger_imbalance Planned actions that have no row, or rows nobody planned; must be 0.
# TYPE callbridge_ledger_imbalance gauge
callbridge_ledger_imbalance 0
# HELP callbridge_employee_list_refused 1 if the CRM's last list of employees was empty or had shrunken, so that the old one stays in force.
# TYPE callbridge_employee_list_refused gauge
callbridge_employee_list_refused{integration="crm"} 0
# HELP callbridge_pbx_connected 1 if events come in from the PBX.
# TYPE callbridge_pbx_connected gauge
callbridge_pbx_connected{pbx="office"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "callbridge_calls_total", "callbridge_crm_requests_total", "callbridge_deliveries",
		"callbridge_delivery_oldest_waiting_seconds", "callbridge_ledger_imbalance", "callbridge_employee_list_refused", "callbridge_pbx_connected"); err != nil {
		t.Error(err)
	}
}

// TestMetricLabelsAreBounded feeds what a faulty PBX, CRM or tracker could say:
// no label may take it over.
func TestMetricLabelsAreBounded(t *testing.T) {
	m, reg := newTestMetrics(nil)
	for i := range 200 {
		odd := strings.Repeat("x", i) + "+79161234567"
		m.event("office", bridge.EventKind(odd))
		m.call(bridge.Direction(odd), bridge.Outcome(odd))
		m.request("crm", "find client", 600+i)
		m.request("crm", "find client", -i)
	}
	names := map[string]bool{"pbx": true, "kind": true, "direction": true, "outcome": true, "integration": true, "action": true, "result": true,
		"state": true, "operation": true, "code": true, "version": true}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "callbridge_") {
			continue
		}
		if n := len(f.GetMetric()); n > 120 {
			t.Errorf("%s has %d series", f.GetName(), n)
		}
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if !names[l.GetName()] {
					t.Errorf("%s has the label %s", f.GetName(), l.GetName())
				}
				if strings.Contains(l.GetValue(), "7916") {
					t.Errorf("%s{%s=%q} holds what a stranger said", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
	if n := testutil.ToFloat64(m.events.WithLabelValues("office", string(bridge.UnknownEvent))); n != 200 {
		t.Errorf("%v unknown events, want 200", n)
	}
	if n := testutil.ToFloat64(m.requests.WithLabelValues("crm", "find client", "0")); n != 400 {
		t.Errorf("%v requests without an answer, want 400", n)
	}
}

// TestClosedIntegrationLeavesNoSeries: a removed integration must not go on to
// raise alarms.
func TestClosedIntegrationLeavesNoSeries(t *testing.T) {
	m, reg := newTestMetrics(nil)
	m.request("crm", "find client", 500)
	m.closeIntegration("crm")
	for _, name := range []string{"callbridge_delivery_attempts_total", "callbridge_delivery_seconds", "callbridge_crm_requests_total"} {
		if n, err := testutil.GatherAndCount(reg, name); err != nil || n != 0 {
			t.Errorf("%s has %d series, %v", name, n, err)
		}
	}
}

// TestUnreadableStoreHidesNothingElse: what needs no database is shown all the same.
func TestUnreadableStoreHidesNothingElse(t *testing.T) {
	_, reg := newTestMetrics(func(context.Context) (ledgerNow, error) { return ledgerNow{}, errors.New("disk") })
	want := `
# HELP callbridge_pbx_connected 1 if events come in from the PBX.
# TYPE callbridge_pbx_connected gauge
callbridge_pbx_connected{pbx="office"} 0
# HELP callbridge_store_readable 1 if the ledger could be read for this scrape.
# TYPE callbridge_store_readable gauge
callbridge_store_readable 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "callbridge_pbx_connected", "callbridge_store_readable", "callbridge_ledger_imbalance"); err != nil {
		t.Error(err)
	}
}

// TestCountingTheLedgerHasAPrice: a count that took long is shown again, and
// the next one comes after fifty times as long.
func TestCountingTheLedgerHasAPrice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts, trouble := 0, error(nil)
		count := func(context.Context) (ledgerNow, error) {
			counts++
			time.Sleep(200 * time.Millisecond)
			return ledgerNow{imbalance: int64(counts)}, trouble
		}
		var c ledgerCache
		for range 100 { // a scrape each second
			if _, err := c.get(t.Context(), count); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if counts != 10 {
			t.Errorf("%d counts in 100 s of 200 ms each, want 10", counts)
		}
		trouble = errors.New("disk")
		time.Sleep(time.Minute)
		if _, err := c.get(t.Context(), count); err == nil {
			t.Error("the old count hides that the store cannot be read")
		}
	})
}

func TestMetricsToken(t *testing.T) {
	a := &App{reg: prometheus.NewRegistry()}
	ask := func(header string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		w := httptest.NewRecorder()
		a.metricsHandler().ServeHTTP(w, r)
		return w.Code
	}
	a.live.Store(&config.Config{})
	if code := ask(""); code != http.StatusOK {
		t.Errorf("without a token in the configuration: %d", code)
	}
	a.live.Store(&config.Config{Metrics: config.Metrics{Token: "s3cret"}})
	for header, want := range map[string]int{"": 401, "Bearer": 401, "Bearer wrong": 401, "Basic s3cret": 401, "s3cret": 401, "Bearer s3cret": 200, "bearer  s3cret": 200} {
		if code := ask(header); code != want {
			t.Errorf("Authorization %q: %d, want %d", header, code, want)
		}
	}
}
