package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/config"
	"callbridge/pbx/ari/aristream"
)

// TestF03ShowEvents: a call is told event by event, raw and as it was read, and
// why its outcome is what it is.
func TestF03ShowEvents(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "callbridge.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\ndatabase: %q\ntime_zone: UTC\ncountry: RU\nsecret_key_file: %q\n", "sqlite:"+filepath.Join(dir, "a.db"), filepath.Join(dir, "key"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(conf, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	key, err := secretKey(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{Config: cfg, Key: key, Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := aristream.Open("in_missed_caller_hangs_up")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "stream.jsonl")
	f, err := os.Create(file)
	if err == nil {
		_, err = f.ReadFrom(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Close(), r.Close() // read back next
	events, err := readStream(file, "office", []string{"trunk"})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Replay(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, out, errOut := call(t, "", "calls", "list", "-json", "-c", conf)
	var c bridge.Call
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		t.Fatalf("%v: %s%s", err, out, errOut)
	}
	code, out, errOut := call(t, "", "calls", "show", c.ID, "-events", "-c", conf)
	for _, want := range []string{"raw: {", `"type":"ChannelHangupRequest"`, `outcome: "missed"`, `rang: ["101"]`, "without it another", "Why\n  missed (caller_hung_up): who called hung up"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, no %q in:\n%s%s", code, want, out, errOut)
		}
	}
	var told explained
	code, out, _ = call(t, "", "calls", "show", c.ID, "-events", "-json", "-c", conf)
	if err := json.Unmarshal([]byte(out), &told); code != 0 || err != nil || told.Call.ID != c.ID || len(told.Events) < 8 || len(told.Events[0].Raw) == 0 || told.Why == "" {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	if code, out, _ := call(t, "", "calls", "gaps", "-c", conf); code != 0 || !strings.Contains(out, "No gaps") {
		t.Errorf("gaps: %d %s", code, out)
	}
}
