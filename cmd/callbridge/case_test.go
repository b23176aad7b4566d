package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/casefile"
	"callbridge/bridge/config"
	"callbridge/bridge/phone"
	"callbridge/bridge/track"
	"callbridge/pbx/ari/aristream"
	"callbridge/store"
)

// TestF19CaseFilePlaysBackToTheSameRecord exports every call of the recorded
// streams as a case file, looks for personal data in it, and plays it back.
func TestF19CaseFilePlaysBackToTheSameRecord(t *testing.T) {
	dir := t.TempDir()
	w := newWorld()
	cfg := config.Default()
	cfg.Database = config.Secret("sqlite:" + filepath.Join(dir, "a.db"))
	a, err := app.New(t.Context(), app.Options{Config: cfg, Key: make([]byte, 32), Log: slog.New(slog.DiscardHandler), Version: "test", Transport: w.transport(), Parallel: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop(t.Context()) })
	s := w.settings("http://megaplan.localhost", "http://retailcrm.localhost")
	s.Credentials = []bridge.Credential{{ID: "shared", Kind: "megaplan", Values: map[string]string{"password": megaplanPassword}}}
	s.Integrations[0].CredentialsID = "shared"
	if _, err := a.Apply(t.Context(), "test", "", s); err != nil {
		t.Fatal(err)
	}
	var events []bridge.Event
	for name := range aristream.Expected() {
		r, err := aristream.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "-")+".jsonl")
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		_, _ = f.Close(), r.Close()
		more, err := readStream(file, strings.ReplaceAll(name, "/", "-"), []string{"trunk"})
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, more...)
	}
	if err := a.Replay(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	calls, _, err := a.Store().Calls(t.Context(), store.CallFilter{Limit: 1000})
	if err != nil || len(calls) < 20 {
		t.Fatalf("%d calls, %v", len(calls), err)
	}
	how := track.Options{Number: func(_, raw string) bridge.Number { x, _ := phone.Parse(raw, "RU"); return x },
		OwnNumber: func(string) string { return demoLine }}
	for n, c := range calls {
		data, err := a.CaseFile(t.Context(), c.ID)
		if err != nil {
			t.Errorf("%s: %v", c.PBX, err)
			continue
		}
		text := string(data)
		secrets := []string{"Петров", "Смирнова", "Соколова", "Мария", "example.ru", megaplanPassword}
		if d := c.Client.Digits(); len(d) > 10 {
			secrets = append(secrets, d[len(d)-10:])
		}
		for _, s := range secrets {
			if at := strings.Index(text, s); at >= 0 {
				t.Errorf("%s: %q stands in the case file: …%s…", c.PBX, s, text[max(0, at-80):min(len(text), at+80)])
			}
		}
		file := filepath.Join(dir, "case.json")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, ok, err := readCase(file)
		if err != nil || !ok {
			t.Errorf("%s: %t %v", c.PBX, ok, err)
			continue
		}
		if len(f.Actions) == 0 {
			t.Errorf("%s: no decisions", c.PBX)
		}
		if i := slices.IndexFunc(track.Calls(f.Facts(), how), func(x bridge.Call) bool { return x.ID == c.ID }); i < 0 {
			t.Errorf("%s: the events of the case give no such call", c.PBX)
		} else if d, err := differences(f.Call, track.Calls(f.Facts(), how)[i]); err != nil || len(d) > 0 {
			t.Errorf("%s: %q %v", c.PBX, d, err)
		}
		if len(c.Gaps) == 0 && n%9 != 0 {
			continue // the whole bridge is slower than the tracker, a few will do
		}
		code, _, errOut := call(t, "", "replay", file)
		if code != exitOK {
			t.Errorf("%s: exit code %d: %s", c.PBX, code, errOut)
		}
	}
}

func TestACaseThatDiffersIsTold(t *testing.T) {
	file := write(t, "case.json", `{"callbridge_case":1,"call":{"id":"x"},"events":[]}`)
	if code, _, errOut := call(t, "", "replay", file); code != exitFailed || !strings.Contains(errOut, "no events") {
		t.Errorf("%d %s", code, errOut)
	}
	file = write(t, "case.json", `{"callbridge_case":2}`)
	if code, _, errOut := call(t, "", "replay", file); code != exitFailed || !strings.Contains(errOut, "format 2") {
		t.Errorf("%d %s", code, errOut)
	}
	want, got := bridge.Call{ID: "a", Line: "1"}, bridge.Call{ID: "a", Line: "2", Queue: "q"}
	d, err := differences(want, got)
	if err != nil || len(d) != 2 || !strings.HasPrefix(d[0], "line: 1") {
		t.Errorf("%q %v", d, err)
	}
	rows := []casefile.Action{{Delivery: bridge.Delivery{Integration: "m", Action: bridge.Action{Key: "k", Wanted: true}}}, {Delivery: bridge.Delivery{Integration: "m", Action: bridge.Action{Key: "gone"}}}}
	now := []bridge.Delivery{{Integration: "m", Action: bridge.Action{Key: "k"}}, {Integration: "m", Action: bridge.Action{Key: "new"}}}
	if d := decided(rows, now); len(d) != 3 {
		t.Errorf("%q", d)
	}
}
