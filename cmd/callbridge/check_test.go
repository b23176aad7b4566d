package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/config"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/sandbox"
	"callbridge/pbx/ari/arisim"
)

// examine runs the doctor beside a running demo, with the configuration changed.
func examine(t *testing.T, d *demoRun, change func(*config.Config)) []app.Finding {
	t.Helper()
	cfg := *d.opts.Config
	cfg.PBX = append([]config.PBX(nil), cfg.PBX...)
	if change != nil {
		change(&cfg)
	}
	return app.Examine(t.Context(), app.Options{Config: &cfg, Key: d.opts.Key, Log: d.opts.Log, Version: "test"})
}

// applied puts changed settings in force.
func applied(t *testing.T, d *demoRun, change func(*bridge.Settings)) {
	t.Helper()
	s, err := d.settings()
	if err != nil {
		t.Fatal(err)
	}
	change(&s)
	if _, err := d.app.Apply(t.Context(), "test", "", s); err != nil {
		t.Fatal(err)
	}
}

// simulated puts another Asterisk in the place of the demo's.
func simulated(t *testing.T, o arisim.Options) func(*config.Config) {
	t.Helper()
	sim := arisim.New(o)
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := sim.Undialled(); n > 0 {
			t.Errorf("%d channels of the check were left in the PBX", n)
		}
		sim.Close()
	})
	return func(c *config.Config) { c.PBX[0].URL = sim.URL() }
}

func TestF12HealthyDemoHasNothingToSay(t *testing.T) {
	d := newDemo(t)
	for _, f := range examine(t, d, nil) {
		if f.State != app.FindingOK {
			t.Errorf("%+v", f)
		}
	}
	if n := d.sim.Undialled(); n > 0 {
		t.Errorf("%d channels of the check were left in the PBX", n)
	}
}

// TestF12EachBrokenThingIsNamed breaks one thing after another and looks for
// the line that names it and says what to do.
func TestF12EachBrokenThingIsNamed(t *testing.T) {
	d := newDemo(t)
	port := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	for _, tt := range []struct {
		name             string
		change           func(*config.Config)
		area, state, say string // the finding that must be there; say is part of What or En
	}{
		{"database", func(c *config.Config) { c.Database = "sqlite:/nowhere/callbridge.db" }, "database", "failed", "/nowhere"},
		{"no PBX", func(c *config.Config) { c.PBX = nil }, "configuration", "failed", "No telephone system"},
		{"time zone of a PBX", func(c *config.Config) { c.PBX[0].TimeZone = "Mars/Base" }, "clock", "failed", "Mars/Base"},
		{"PBX is not there", func(c *config.Config) { c.PBX[0].URL = "http://127.0.0.1:1/ari" }, "pbx office", "failed", "http.conf"},
		{"PBX password", func(c *config.Config) { c.PBX[0].Password = "wrong" }, "pbx office", "failed", "ari.conf"},
		{"a web server without ARI", func(c *config.Config) { c.PBX[0].URL = port(http.NotFound) + "/ari" }, "pbx office", "failed", "without ARI"},
		{"read-only ARI user", func(c *config.Config) {
			simulated(t, arisim.Options{ReadOnlyUser: "reader"})(c)
			c.PBX[0].Username = "reader"
		}, "pbx office", "failed", "read_only = no"},
		{"module", simulated(t, arisim.Options{Missing: []string{"app_stasis.so"}}), "pbx office", "failed", "module load app_stasis.so"},
		{"click-to-call's context", simulated(t, arisim.Options{Missing: []string{"click2call,79161234567,1"}}), "pbx office", "failed", "extensions_callbridge.conf"},
		{"routing's context", simulated(t, arisim.Options{Missing: []string{"callbridge-route,s,1"}}), "pbx office", "warning", "personal manager"},
		{"trunk", func(c *config.Config) { c.PBX[0].Trunks = []string{"provider"} }, "pbx office", "failed", "pjsip show endpoints"},
		{"phone of an employee", simulated(t, arisim.Options{Phones: []string{"101", "102", "103", "104"}}), "employees", "failed", "extension 105"},
		{"phone of nobody", simulated(t, arisim.Options{Phones: []string{"101", "102", "103", "104", "105", "106"}}), "employees", "warning", "phones 106"},
		{"PBX's clock", func(c *config.Config) {
			c.PBX[0].URL = port(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", time.Now().Add(-10*time.Minute).UTC().Format(http.TimeFormat))
				body := `{"system":{"version":"22"}}`
				if strings.HasSuffix(r.URL.Path, "/endpoints") {
					body = `[]`
				}
				_, _ = w.Write([]byte(body))
			}) + "/ari"
		}, "pbx office", "failed", "differ by -10m"},
		{"public address of another", func(c *config.Config) {
			c.PublicURL = port(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
		}, "public address", "failed", "another program"},
		{"public address unreachable", func(c *config.Config) { c.PublicURL = "http://127.0.0.1:1" }, "public address", "failed", "firewall"},
		{"no public address", func(c *config.Config) { c.PublicURL = "" }, "public address", "warning", "play recordings"},
		{"daemon", func(c *config.Config) { c.Listen = "127.0.0.1:1" }, "public address", "warning", "systemctl start"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := examine(t, d, tt.change)
			for _, f := range found {
				if f.Area == tt.area && f.State == tt.state && strings.Contains(f.What+" "+f.En, tt.say) {
					if f.En == "" || f.Ru == "" {
						t.Errorf("it does not say what to do in both languages: %+v", f)
					}
					return
				}
			}
			t.Errorf("no finding %s %s %q in %+v", tt.area, tt.state, tt.say, found)
		})
	}
}

// TestF12CRMAndPeople breaks the CRM's side.
func TestF12CRMAndPeople(t *testing.T) {
	find := func(t *testing.T, found []app.Finding, area, state, say string) {
		t.Helper()
		for _, f := range found {
			if f.Area == area && f.State == state && strings.Contains(f.What+" "+f.En, say) {
				return
			}
		}
		t.Errorf("no finding %s %s %q in %+v", area, state, say, found)
	}
	t.Run("credentials", func(t *testing.T) {
		d := newDemo(t)
		d.world.megaplan.SetFault(sandbox.Credentials, true)
		find(t, examine(t, d, nil), "crm megaplan-main", "failed", "credentials anew")
	})
	t.Run("a right", func(t *testing.T) {
		d := newDemo(t)
		d.world.megaplan.Restrict("todo")
		find(t, examine(t, d, nil), "crm megaplan-main", "failed", "todos")
	})
	t.Run("people and numbers", func(t *testing.T) {
		d := newDemo(t)
		for i := range 30 {
			d.world.megaplan.AddClient(megaplantest.Client{FirstName: "Клиент", LastName: string(rune('А' + i)), Phones: []string{"8916000" + string(rune('0'+i/10)) + string(rune('0'+i%10)) + "11"}})
		}
		applied(t, d, func(s *bridge.Settings) {
			s.Employees[4].Email = "nobody@example.ru"
			s.Integrations[1].Active = false
		})
		found := examine(t, d, nil)
		find(t, found, "crm megaplan-main", "warning", "nobody@example.ru")
		find(t, found, "crm megaplan-main", "warning", "without a country")
		find(t, found, "crm retailcrm-main", "warning", "activate retailcrm-main")
	})
	t.Run("held", func(t *testing.T) {
		d := newDemo(t)
		d.world.megaplan.SetFault(sandbox.Credentials, true)
		if _, err := d.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Client: "79161234567", Speed: 20}); err != nil {
			t.Fatal(err)
		}
		_, metrics := "", ""
		eventually(t, "the integration is held", func() bool {
			_, metrics = get(t, "http://"+d.app.Addr()+"/metrics", "")
			return strings.Contains(metrics, `callbridge_integration_held{integration="megaplan-main"} 1`)
		})
		d.world.megaplan.SetFault(sandbox.Credentials, false)
		eventually(t, "the doctor says so", func() bool {
			for _, f := range examine(t, d, nil) {
				if f.Area == "crm megaplan-main" && f.State == "failed" && strings.Contains(f.En, "--resend") {
					return true
				}
			}
			return false
		})
	})
}

// TestCheckCommand is the command line: text, JSON, exit codes.
func TestCheckCommand(t *testing.T) {
	dir := t.TempDir()
	conf := put(t, dir, "callbridge.yaml", "listen: 127.0.0.1:1\npbx:\n  - {id: office, kind: asterisk, url: 'http://127.0.0.1:1/ari', username: u, password: p}\n")
	check := func(args ...string) (int, string) {
		var out, errOut strings.Builder
		code := run(context.WithoutCancel(t.Context()), append([]string{"check", "-c", conf}, args...), nil, &out, &errOut)
		return code, out.String() + errOut.String()
	}
	code, text := check("-lang", "en")
	if code != exitFailed || !strings.Contains(text, "FAILED   answers") || !strings.Contains(text, "is http.conf enabled") || !strings.Contains(text, "ok       opens") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	if code, text = check("-lang", "ru"); code != exitFailed || !strings.Contains(text, "включён ли http.conf") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	code, text = check("--json")
	var f app.Finding
	if err := json.Unmarshal([]byte(strings.SplitN(text, "\n", 2)[0]), &f); err != nil || code != exitFailed || f.Area != "configuration" || f.State != "ok" {
		t.Errorf("exit code %d, %v:\n%s", code, err, text)
	}
	if err := os.Chmod(filepath.Join(dir, "callbridge.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, text = check("-lang", "en"); code != exitFailed || !strings.Contains(text, "chmod 600") {
		t.Errorf("a key for everybody, exit code %d:\n%s", code, text)
	}
	put(t, dir, "callbridge.yaml", "lisen: x\n")
	if code, text = check(); code != exitUsage || !strings.Contains(text, "did you mean listen?") {
		t.Errorf("a wrong configuration, exit code %d:\n%s", code, text)
	}
}
