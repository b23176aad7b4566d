package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"callbridge/crm/sandbox"
	"callbridge/pbx/ari/arisim"
)

const rulesFile = "../../deploy/prometheus/callbridge.rules.yml"

// TestRulesAndDashboardNameOnlyWhatExists reads the metrics of a running
// program: an alarm on a series that is not there never fires.
func TestRulesAndDashboardNameOnlyWhatExists(t *testing.T) {
	d := newDemo(t)
	if _, err := d.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Client: "79161234567", Speed: 20}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a call in Megaplan", func() bool { return made(d.world.megaplan, "call") == 1 })
	_, text := get(t, "http://"+d.app.Addr()+"/metrics", "")
	series := regexp.MustCompile(`\b(callbridge|go|process)_[a-z0-9_]+`)
	have := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "#") {
			have[series.FindString(line)] = true
		}
	}
	names := 0
	for _, file := range []string{rulesFile, "../../deploy/grafana/callbridge.json"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range series.FindAllString(string(b), -1) {
			names++
			if !have[name] {
				t.Errorf("%s names %s, which the program does not have", filepath.Base(file), name)
			}
		}
	}
	if names < 60 {
		t.Errorf("only %d names were found in the files", names)
	}
	var board struct{ Panels []struct{ Title string } }
	b, err := os.ReadFile("../../deploy/grafana/callbridge.json")
	if err == nil {
		err = json.Unmarshal(b, &board)
	}
	if err != nil || len(board.Panels) < 30 {
		t.Errorf("the dashboard has %d panels, %v", len(board.Panels), err)
	}
}

// quickRules are the shipped alarms with a minute of waiting made 300 ms; the
// limits named in change are made smaller too.
func quickRules(t *testing.T, dir string, change map[string]string) string {
	t.Helper()
	b, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^( +for: )(\d+)([smh])$`).ReplaceAllStringFunc(string(b), func(s string) string {
		key, v, _ := strings.Cut(s, ": ")
		long, err := time.ParseDuration(v)
		if err != nil {
			t.Fatal(err)
		}
		return key + ": " + strconv.FormatInt(long.Milliseconds()/200, 10) + "ms"
	})
	for from, to := range change {
		if strings.Count(text, from) != 1 {
			t.Fatalf("%q is %d times in the rules", from, strings.Count(text, from))
		}
		text = strings.Replace(text, from, to, 1)
	}
	return put(t, dir, "rules.yml", text)
}

// prometheus is a real Prometheus that scrapes the given addresses.
func prometheus(t *testing.T, rules string, targets []string) (alarms func() map[string][]string) {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close() // Prometheus takes it
	conf := put(t, dir, "prometheus.yml", fmt.Sprintf("global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\nrule_files: [%s]\nscrape_configs:\n  - job_name: callbridge\n    static_configs: [{targets: [\"%s\"]}]\n",
		rules, strings.Join(targets, `", "`)))
	cmd := exec.CommandContext(t.Context(), "prometheus", "--config.file="+conf, "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+addr, "--log.level=error")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("prometheus (make setup installs it): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // how it ends is of no interest
		if t.Failed() {
			t.Logf("prometheus said:\n%s", said.String())
		}
	})
	eventually(t, "Prometheus is ready", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/-/ready", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	// What a counter counted before the first scrape is no increase.
	eventually(t, "Prometheus has scraped them all twice", func() bool {
		_, text := get(t, "http://"+addr+"/api/v1/query?query="+url.QueryEscape(fmt.Sprintf("count(sum_over_time(up[5m]) >= 2) == %d", len(targets))), "")
		return strings.Contains(text, `"value"`)
	})
	return func() map[string][]string {
		t.Helper()
		_, text := get(t, "http://"+addr+"/api/v1/alerts", "")
		var ans struct {
			Data struct {
				Alerts []struct {
					Labels map[string]string
					State  string
				}
			}
		}
		if err := json.Unmarshal([]byte(text), &ans); err != nil {
			t.Fatal(err)
		}
		out := map[string][]string{}
		for _, a := range ans.Data.Alerts {
			if a.State == "firing" {
				out[a.Labels["instance"]] = append(out[a.Labels["instance"]], strings.TrimPrefix(a.Labels["alertname"], "Callbridge"))
			}
		}
		for _, list := range out {
			slices.Sort(list)
		}
		return out
	}
}

// TestF23PrometheusRaisesTheRightAlarm runs one program per fault, makes the
// faults, and lets one real Prometheus watch them all: each raises its own
// alarm and no other, and one with nothing wrong raises none.
func TestF23PrometheusRaisesTheRightAlarm(t *testing.T) {
	call := func(d *demoRun) {
		t.Helper()
		if _, err := d.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Client: "79161234567", Speed: 20}); err != nil {
			t.Fatal(err)
		}
	}
	faults := []struct {
		name, alarm string
		make        func(d *demoRun)
	}{
		{"nothing is wrong", "", call},
		{"the CRM refuses the credentials", "CredentialsRefused", func(d *demoRun) {
			d.world.megaplan.SetFault(sandbox.Credentials, true)
			call(d)
		}},
		{"the PBX is gone", "PBXDisconnected", func(d *demoRun) {
			d.sim.Refuse(http.StatusServiceUnavailable)
			d.sim.DropAll()
		}},
		{"the CRM lists no employees any more", "EmployeeListRefused", func(d *demoRun) {
			d.world.megaplan.ClearUsers()
			if _, _, err := d.app.SyncStaff(t.Context(), "megaplan-main"); err == nil {
				t.Error("the empty list was believed")
			}
		}},
		{"the CRM slows us down and deliveries wait", "DeliveriesLate", func(d *demoRun) {
			d.world.retailcrm.SetFault(sandbox.Busy, true)
			call(d)
		}},
		{"the CRM answers 500", "CRMFailing", func(d *demoRun) {
			d.world.megaplan.SetFault(sandbox.Broken, true)
			call(d)
		}},
		{"cards reach the agents late", "CardsSlow", func(d *demoRun) {
			watchCards(t, d, "ivan", "demoivan")
			call(d)
		}},
		{"the database cannot be written", "StoreTrouble", func(d *demoRun) {
			lockDatabase(t, d)
			call(d)
		}},
	}
	var targets []string
	runs := make([]*demoRun, len(faults))
	for i := range faults {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if faults[i].alarm == "CardsSlow" {
			l = slowSockets{l}
		}
		runs[i] = newDemoAt(t, l)
		targets = append(targets, runs[i].app.Addr())
		for _, id := range []string{"megaplan-main", "retailcrm-main"} {
			if _, _, err := runs[i].app.SyncStaff(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	alarms := prometheus(t, quickRules(t, t.TempDir(), map[string]string{
		// Where the CRM only slows us down a quarter of an hour is two seconds.
		"callbridge_delivery_oldest_waiting_seconds > 900": fmt.Sprintf(`callbridge_delivery_oldest_waiting_seconds > 900 or callbridge_delivery_oldest_waiting_seconds{instance="%s"} > 2`, targets[4]),
	}), targets)
	for i, f := range faults {
		f.make(runs[i])
	}
	right := func() (string, bool) {
		now := alarms()
		for i, f := range faults {
			var want []string
			if f.alarm != "" {
				want = []string{f.alarm}
			}
			if got := now[targets[i]]; !slices.Equal(got, want) {
				return fmt.Sprintf("%s: firing %v, want %v", f.name, got, want), false
			}
		}
		return "", true
	}
	deadline := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	// All alarms at once, and still so after a while: nothing follows late.
	for stable := 0; stable < 8; <-tick.C {
		what, ok := right()
		if stable++; !ok {
			stable = 0
		}
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}
