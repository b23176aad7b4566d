package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callbridge/bridge"
	"callbridge/pbx/ari/aristream"
)

// call runs the program in this process.
func call(t *testing.T, in string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e strings.Builder
	code = run(t.Context(), args, strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestReplayPrintsTheRightRecords puts every recorded stream through the whole
// bridge, sandbox CRMs included, and compares what is printed.
func TestReplayPrintsTheRightRecords(t *testing.T) {
	want := aristream.Expected()
	dir := t.TempDir()
	args := []string{"replay", "--json"}
	byPBX := map[string]string{}
	for name := range want {
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
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		args = append(args, file)
		byPBX[strings.ReplaceAll(name, "/", "-")] = name
	}
	code, out, errOut := call(t, "", args...)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	got := map[string][]bridge.Call{}
	dec := json.NewDecoder(strings.NewReader(out))
	dec.DisallowUnknownFields()
	for dec.More() {
		var c bridge.Call
		if err := dec.Decode(&c); err != nil {
			t.Fatalf("not a call record per line: %v", err)
		}
		got[byPBX[c.PBX]] = append(got[byPBX[c.PBX]], c)
	}
	type facts struct {
		Direction        bridge.Direction
		Outcome          bridge.Outcome
		Reason           bridge.Reason
		Client           bridge.Number
		Line, Agent      string
		Rang, AnsweredBy []string
		HungUpBy         bridge.Side
	}
	tell := func(c bridge.Call) facts {
		return facts{c.Direction, c.Outcome, c.Reason, c.Client, c.Line, c.Agent, c.Rang, c.AnsweredBy, c.HungUpBy}
	}
	near := func(a, b *int64) bool {
		return (a == nil) == (b == nil) && (a == nil || max(*a-*b, *b-*a) <= 30)
	}
	for name, calls := range want {
		if len(got[name]) != len(calls) {
			t.Errorf("%s: %d calls, want %d", name, len(got[name]), len(calls))
			continue
		}
		for i, w := range calls {
			g := got[name][i]
			if d := cmp.Diff(tell(w), tell(g)); d != "" {
				t.Errorf("%s: (-want +got)\n%s", name, d)
			}
			// The end of these fell into a gap: nobody knows when it was.
			if unseen := name == "ws_lost_end_unseen" || name == "crash_midcall"; !unseen && (!near(w.WaitMS, g.WaitMS) || !near(w.TalkMS, g.TalkMS)) {
				t.Errorf("%s: wait %v talk %v, want %v and %v", name, ms(g.WaitMS), ms(g.TalkMS), ms(w.WaitMS), ms(w.TalkMS))
			}
		}
	}
}

func ms(p *int64) any {
	if p == nil {
		return nil
	}
	return *p
}

func TestUsageErrorsExitWithTwo(t *testing.T) {
	conf := write(t, "callbridge.yaml", "listen: 127.0.0.1:0\n")
	for name, args := range map[string][]string{
		"nothing":              {},
		"unknown command":      {"srve"},
		"unknown flag":         {"serve", "-x"},
		"no settings file":     {"apply", "-c", conf},
		"missing settings":     {"apply", "-c", conf, "nowhere.yaml"},
		"missing config":       {"serve", "-c", "nowhere.yaml"},
		"calls what":           {"calls", "-c", conf, "frobnicate"},
		"deliveries not an id": {"deliveries", "-c", conf, "retry", "x"},
		"replay nothing":       {"replay"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := call(t, "", args...)
			if code != exitUsage || errOut == "" || out != "" {
				t.Fatalf("exit code %d, stdout %q, stderr %q", code, out, errOut)
			}
		})
	}
	for _, c := range commands() {
		t.Run(c.name+" --help", func(t *testing.T) {
			if code, out, _ := call(t, "", c.name, "--help"); code != exitOK || !strings.Contains(out, "callbridge "+c.name) {
				t.Fatalf("exit code %d, output %q", code, out)
			}
		})
	}
}

func TestAllFaultsOfTheConfigurationAtOnce(t *testing.T) {
	conf := write(t, "callbridge.yaml", `
lissten: 127.0.0.1:8080
country: Russia
pbx:
  - {id: office, kind: asterisk, url: 127.0.0.1, username: callbridge, trunks: trunk}
`)
	code, _, errOut := call(t, "", "serve", "-c", conf)
	if code != exitUsage {
		t.Errorf("exit code %d, want 2", code)
	}
	for _, want := range []string{"lissten", "did you mean listen", "country", "pbx[0].url", "pbx[0].password", "pbx[0].trunks"} {
		if !strings.Contains(errOut, want) {
			t.Errorf("the message does not name %q:\n%s", want, errOut)
		}
	}
}

func TestAllFaultsOfTheSettingsAtOnceAndNothingIsSaved(t *testing.T) {
	conf := write(t, "callbridge.yaml", "listen: 127.0.0.1:0\n")
	settings := write(t, "settings.yaml", `
integrations:
  - id: megaplan-main
    kind: megaplann
    calls: {tasks: [{direction: sideways, title: "{{.Client.Fone}}"}]}
employees: [{extension: "101"}, {extension: "101"}]
`)
	code, _, errOut := call(t, "", "apply", "-c", conf, settings)
	if code != exitUsage {
		t.Errorf("exit code %d, want 2", code)
	}
	for _, want := range []string{"integrations[0].kind", "integrations[0].calls.tasks[0].direction", "integrations[0].calls.tasks[0].title", "employees[1].extension"} {
		if !strings.Contains(errOut, want) {
			t.Errorf("the message does not name %q:\n%s", want, errOut)
		}
	}
	if code, out, errOut := call(t, "", "export", "-c", conf); code != exitOK || strings.Contains(out, "megaplan") {
		t.Errorf("exit code %d %s; half of it was saved: %s", code, errOut, out)
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	conf := write(t, "callbridge.yaml", "listen: "+l.Addr().String()+"\n")
	code, _, errOut := call(t, "", "serve", "-c", conf)
	if code != exitFailed || !strings.Contains(errOut, "address already in use") {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
}

func TestApplyHashesPasswordsAndExportMasksSecrets(t *testing.T) {
	conf := write(t, "callbridge.yaml", "listen: 127.0.0.1:0\n")
	settings := write(t, "settings.yaml", `
integrations:
  - id: shop
    kind: retailcrm
    active: true
    credentials: {url: https://name.retailcrm.ru, api_key: very-secret-key}
users: [{login: admin, role: admin, password: correct-horse}]
`)
	if code, out, errOut := call(t, "", "apply", "-c", conf, settings); code != exitOK || !strings.Contains(out, "Version 1") {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	code, out, errOut := call(t, "", "export", "-c", conf)
	if code != exitOK || strings.Contains(out, "very-secret-key") || strings.Contains(out, "correct-horse") || !strings.Contains(out, "login: admin") {
		t.Fatalf("exit code %d %s\n%s", code, errOut, out)
	}
	// What was exported can be applied again: a masked secret keeps the stored one.
	if code, _, errOut := call(t, out, "apply", "-c", conf, "-"); code != exitOK {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	if code, out, _ := call(t, "", "integrations", "list", "-c", conf); code != exitOK || !strings.Contains(out, "shop") || !strings.Contains(out, "active") {
		t.Fatalf("exit code %d: %s", code, out)
	}
}

func TestReplayOfABrokenStreamNamesTheLine(t *testing.T) {
	file := write(t, "broken.jsonl", "{\"t\":1,\"note\":\"begin\"}\n{\"t\":2,\"event\":{\"type\":\n")
	code, out, errOut := call(t, "", "replay", "--json", file)
	if code != exitFailed || out != "" || !strings.Contains(errOut, "line 2") {
		t.Fatalf("exit code %d, stdout %q, stderr %q", code, out, errOut)
	}
}

func TestEmptySettingsTakeNothingAwayUnasked(t *testing.T) {
	conf := write(t, "callbridge.yaml", "listen: 127.0.0.1:0\n")
	settings := write(t, "settings.yaml", "users: [{login: admin, role: admin, password: correct-horse}]\nemployees: [{extension: \"101\"}]\n")
	if code, _, errOut := call(t, "", "apply", "-c", conf, settings); code != exitOK {
		t.Fatal(errOut)
	}
	code, _, errOut := call(t, "\n", "apply", "-c", conf, "-")
	if code != exitUsage || !strings.Contains(errOut, "user admin") || !strings.Contains(errOut, "extension 101") {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	if _, out, _ := call(t, "", "export", "-c", conf); !strings.Contains(out, "admin") {
		t.Fatalf("it was taken away: %s", out)
	}
	if code, _, errOut := call(t, "", "apply", "-c", conf, "-force", "-"); code != exitOK {
		t.Fatalf("-force: exit code %d: %s", code, errOut)
	}
}

func TestLostKeyIsNotReplacedByANewOne(t *testing.T) {
	conf := write(t, "callbridge.yaml", "listen: 127.0.0.1:0\n")
	if code, _, errOut := call(t, "", "calls", "-c", conf, "list"); code != exitOK {
		t.Fatal(errOut)
	}
	key := filepath.Join(filepath.Dir(conf), "callbridge.key")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := call(t, "", "calls", "-c", conf, "list")
	if code != exitFailed || !strings.Contains(errOut, "put your copy of the key back") {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	if _, err := os.Stat(key); err == nil {
		t.Fatal("a new key was made")
	}
}

// TestSettingsSampleIsRight keeps the documented settings true: the sample is
// accepted, and names every key there is.
func TestSettingsSampleIsRight(t *testing.T) {
	for _, name := range []string{"MEGAPLAN_PASSWORD", "RETAILCRM_KEY", "ADMIN_PASSWORD", "IVAN_PASSWORD"} {
		t.Setenv(name, "correct-horse")
	}
	conf := write(t, "callbridge.yaml", "listen: 127.0.0.1:0\n")
	sample := filepath.Join("..", "..", "deploy", "settings.sample.yaml")
	if code, _, errOut := call(t, "", "apply", "-c", conf, "-check", sample); code != exitOK {
		t.Fatal(errOut)
	}
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	keysOf(reflect.TypeFor[bridge.Settings](), func(key string) {
		if !strings.Contains(string(text), key+":") && key != "password_hash" {
			missing = append(missing, key)
		}
	})
	if len(missing) > 0 {
		t.Errorf("the sample does not show the keys %q", missing)
	}
}

// keysOf walks the YAML keys of a type.
func keysOf(t reflect.Type, each func(string)) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		keysOf(t.Elem(), each)
	case reflect.Struct:
		for i := range t.NumField() {
			key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if key != "" {
				each(key)
			}
			keysOf(t.Field(i).Type, each)
		}
	}
}
