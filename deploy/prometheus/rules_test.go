// Package prometheus holds the alarms and the sample for Prometheus; its tests
// try them with the real promtool. That every series they name exists in the
// program, and that the right alarm fires when something breaks, is tried in
// cmd/callbridge.
package prometheus

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func rules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile("callbridge.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	var out []rule
	for _, g := range f.Groups {
		out = append(out, g.Rules...)
	}
	return out
}

func promtool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("promtool %v (make setup installs it): %v\n%s", args, err, out)
	}
	return string(out)
}

func TestRulesAndSampleAreValid(t *testing.T) {
	promtool(t, "check", "rules", "callbridge.rules.yml")
	promtool(t, "check", "config", "prometheus.yml")
	cyrillic := regexp.MustCompile(`[а-яё]`)
	for _, r := range rules(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		if len(r.Annotations["summary"]) < 20 || !cyrillic.MatchString(r.Annotations["summary_ru"]) || len(r.Annotations["runbook"]) < 60 {
			t.Errorf("%s: says too little: %v", r.Alert, r.Annotations)
		}
	}
}

const minutes = 180 // of each case

// healthy is a program with nothing wrong, as Prometheus sees it.
var healthy = [][2]string{
	{`up{job="callbridge",instance="a"}`, "1"},
	{`callbridge_pbx_connected{instance="a",pbx="office"}`, "1"},
	{`callbridge_pbx_last_event_age_seconds{instance="a",pbx="office"}`, "20"},
	{`callbridge_event_to_card_seconds_bucket{instance="a",le="0.25"}`, "0+60"},
	{`callbridge_event_to_card_seconds_bucket{instance="a",le="1"}`, "0+60"},
	{`callbridge_event_to_card_seconds_bucket{instance="a",le="+Inf"}`, "0+60"},
	{`callbridge_event_to_card_seconds_count{instance="a"}`, "0+60"},
	{`callbridge_routing_seconds_bucket{instance="a",le="0.5"}`, "0+60"},
	{`callbridge_routing_seconds_bucket{instance="a",le="2"}`, "0+60"},
	{`callbridge_routing_seconds_bucket{instance="a",le="+Inf"}`, "0+60"},
	{`callbridge_routing_seconds_count{instance="a"}`, "0+60"},
	{`callbridge_cards_dropped_total{instance="a"}`, "0"},
	{`callbridge_events_malformed_total{instance="a",pbx="office"}`, "0"},
	{`callbridge_integration_active{instance="a",integration="crm"}`, "1"},
	{`callbridge_integration_held{instance="a",integration="crm"}`, "0"},
	{`callbridge_delivery_attempts_total{instance="a",integration="crm",action="call",result="done"}`, "0+60"},
	{`callbridge_delivery_attempts_total{instance="a",integration="crm",action="call",result="temporary"}`, "0+1"},
	{`callbridge_delivery_attempts_total{instance="a",integration="crm",action="call",result="rate_limited"}`, "0+30"},
	{`callbridge_delivery_oldest_waiting_seconds{instance="a",integration="crm"}`, "3"},
	{`callbridge_deliveries{instance="a",integration="crm",state="failed"}`, "7"},
	{`callbridge_employee_list_refused{instance="a",integration="crm"}`, "0"},
	{`callbridge_employee_sync_age_seconds{instance="a",integration="crm"}`, "600"},
	{`callbridge_employee_issues{instance="a",integration="crm"}`, "0"},
	{`callbridge_ledger_imbalance{instance="a"}`, "0"},
	{`callbridge_store_readable{instance="a"}`, "1"},
	{`callbridge_store_commit_failures_total{instance="a"}`, "0"},
	{`callbridge_store_backlog_events{instance="a"}`, "5"},
	{`callbridge_pbx_overflows_total{instance="a",pbx="office"}`, "0"},
	{`callbridge_config_last_reload_successful{instance="a"}`, "1"},
	{`process_open_fds{job="callbridge",instance="a"}`, "100"},
	{`process_max_fds{job="callbridge",instance="a"}`, "1024"},
}

// cases change one thing of the healthy program, by name or name|label value,
// and name the alarm that fires in the end, if one does.
var cases = []struct {
	name   string
	change map[string]string
	alarm  string
	begin  int // minutes after midnight, UTC, of a Thursday
}{
	{"a healthy program", nil, "", 0},
	{"the program is gone", map[string]string{"up": "1x60 0x120"}, "Down", 0},
	{"the PBX is gone", map[string]string{"callbridge_pbx_connected": "1x60 0x120", "callbridge_pbx_last_event_age_seconds": "20x60 20+60x120"}, "PBXDisconnected", 0},
	{"the PBX is gone in working hours", map[string]string{"callbridge_pbx_connected": "0", "callbridge_pbx_last_event_age_seconds": "2000+60"}, "PBXDisconnected", 420},
	{"the PBX says nothing in working hours", map[string]string{"callbridge_pbx_last_event_age_seconds": "2000"}, "PBXSilent", 420},
	{"the PBX says nothing at night", map[string]string{"callbridge_pbx_last_event_age_seconds": "2000"}, "", 0},
	{"cards come late", map[string]string{"callbridge_event_to_card_seconds_bucket|0.25": "0+50"}, "CardsSlow", 0},
	{"routing is slow", map[string]string{"callbridge_routing_seconds_bucket|0.5": "0+50"}, "RoutingSlow", 0},
	{"browsers are dropped", map[string]string{"callbridge_cards_dropped_total": "0+10"}, "BrowsersDropped", 0},
	{"frames that cannot be read", map[string]string{"callbridge_events_malformed_total": "0+1"}, "FramesMalformed", 0},
	{"credentials are refused", map[string]string{"callbridge_integration_held": "0x60 1x120", "callbridge_integration_active": "1x60 0x120"}, "CredentialsRefused", 0},
	{"an admin has switched it off", map[string]string{"callbridge_integration_active": "0", "callbridge_employee_sync_age_seconds": "90000", "callbridge_employee_issues": "3"}, "", 0},
	{"a third of the attempts fails", map[string]string{"callbridge_delivery_attempts_total|temporary": "0+40"}, "CRMFailing", 0},
	{"the CRM only slows us down", map[string]string{"callbridge_delivery_attempts_total|rate_limited": "0+600"}, "", 0},
	{"deliveries are late", map[string]string{"callbridge_delivery_oldest_waiting_seconds": "3x60 60+60x120"}, "DeliveriesLate", 0},
	{"entries are refused for good", map[string]string{"callbridge_deliveries": "7x140 9x40"}, "DeliveriesParked", 0},
	{"parked entries are mended", map[string]string{"callbridge_deliveries": "7x140 5x40"}, "", 0},
	{"the list of employees is empty", map[string]string{"callbridge_employee_list_refused": "0x100 1x80"}, "EmployeeListRefused", 0},
	{"employees are old", map[string]string{"callbridge_employee_sync_age_seconds": "22000+60"}, "EmployeesOld", 0},
	{"extensions do not fit", map[string]string{"callbridge_employee_issues": "2"}, "EmployeesUnmapped", 0},
	{"the ledger does not balance", map[string]string{"callbridge_ledger_imbalance": "0x100 -1x80"}, "LedgerImbalance", 0},
	{"the database cannot be read", map[string]string{"callbridge_store_readable": "1x100 0x80"}, "StoreTrouble", 0},
	{"the database cannot be written", map[string]string{"callbridge_store_commit_failures_total": "0x100 0+10x80"}, "StoreTrouble", 0},
	{"the database cannot be written, and routing waits for it", map[string]string{"callbridge_store_commit_failures_total": "0x100 0+10x80", "callbridge_routing_seconds_bucket|0.5": "0x100 0+50x80"}, "StoreTrouble", 0},
	{"the disk is slow", map[string]string{"callbridge_store_backlog_events": "20000"}, "StoreBacklog", 0},
	{"events came too fast", map[string]string{"callbridge_pbx_overflows_total": "0x140 1x40"}, "PBXOverflow", 0},
	{"the configuration is bad", map[string]string{"callbridge_config_last_reload_successful": "1x100 0x80"}, "ReloadRefused", 0},
	{"files run out", map[string]string{"process_open_fds": "900"}, "FilesRunOut", 0},
}

// TestF23EachFaultRaisesExactlyItsAlarm lets promtool play three hours of each
// case: the alarm named fires, and no other.
func TestF23EachFaultRaisesExactlyItsAlarm(t *testing.T) {
	path, err := filepath.Abs("callbridge.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rule_files: [%s]\nevaluation_interval: 1m\ntests:\n", path)
	tried := map[string]bool{}
	for _, c := range cases {
		fmt.Fprintf(&b, "  - name: %s\n    interval: 1m\n    input_series:\n", c.name)
		used := map[string]bool{}
		for _, s := range healthy {
			name, labels, _ := strings.Cut(s[0], "{")
			values := s[1]
			for key, v := range c.change {
				if metric, label, one := strings.Cut(key, "|"); metric == name && (!one || strings.Contains(labels, `"`+label+`"`)) {
					values, used[key] = v, true
				}
			}
			if !strings.Contains(values, "x") {
				values += fmt.Sprintf("x%d", minutes)
			}
			if c.begin > 0 {
				values = fmt.Sprintf("_x%d %s", c.begin-1, values)
			}
			fmt.Fprintf(&b, "      - {series: '%s', values: '%s'}\n", s[0], values)
		}
		if len(used) != len(c.change) {
			t.Errorf("%s changes %v, and only %v is there", c.name, c.change, used)
		}
		fmt.Fprintf(&b, "    promql_expr_test:\n      - expr: 'count by (alertname) (ALERTS{alertstate=\"firing\"})'\n        eval_time: %dm\n", c.begin+150)
		if c.alarm == "" {
			b.WriteString("        exp_samples: []\n")
			continue
		}
		tried["Callbridge"+c.alarm] = true
		fmt.Fprintf(&b, "        exp_samples: [{labels: '{alertname=\"Callbridge%s\"}', value: 1}]\n", c.alarm)
	}
	for _, r := range rules(t) {
		if !tried[r.Alert] {
			t.Errorf("no case raises %s", r.Alert)
		}
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", file)
}
