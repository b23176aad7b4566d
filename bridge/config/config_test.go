package config

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// design is the example of the design document.
const design = `
listen: 127.0.0.1:8080
public_url: https://calls.example.ru/
database: sqlite:callbridge.db          # or postgres://user@host/callbridge
time_zone: Europe/Moscow
country: RU                             # for numbers written without a country
secret_key_file: callbridge.key         # created at the first start
pbx:
  - id: office
    kind: asterisk
    url: http://127.0.0.1:8088/ari
    username: callbridge
    password_file: ari.secret
    app: callbridge
    trunks: [trunk]                     # endpoints that are outside lines
    recordings: {dir: /var/spool/asterisk/monitor}
    cdr: {csv: /var/log/asterisk/cdr-csv/Master.csv}   # gap repair
  - {id: minsk, kind: asterisk, url: 'http://10.0.0.2:8088/ari', username: callbridge, password_file: ari.secret, route_secret_file: route.secret, country: by, time_zone: Europe/Minsk}
`

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "callbridge.yaml")
	write(t, path, design)
	write(t, filepath.Join(dir, "ari.secret"), "s3cret\n")
	write(t, filepath.Join(dir, "route.secret"), "0123456789abcdef")
	c, err := Load(path, env(nil))
	if err != nil {
		t.Fatal(err)
	}
	p := c.PBX[0]
	if p.Password.Reveal() != "s3cret" || p.ID != "office" || len(p.Trunks) != 1 || p.Recordings.Dir != "/var/spool/asterisk/monitor" {
		t.Errorf("the first PBX is %+v", p)
	}
	if c.SecretKeyFile != filepath.Join(dir, "callbridge.key") || c.Database.Reveal() != "sqlite:"+filepath.Join(dir, "callbridge.db") {
		t.Errorf("paths are not relative to the file: %s, %s", c.SecretKeyFile, c.Database.Reveal())
	}
	if c.PublicURL != "https://calls.example.ru" || c.Keep != Default().Keep || c.Log != Default().Log {
		t.Errorf("got %+v", c)
	}
	if c.CountryOf("minsk") != "BY" || c.CountryOf("office") != "RU" || c.ZoneOf("minsk").String() != "Europe/Minsk" || c.ZoneOf("office").String() != "Europe/Moscow" {
		t.Error("country or zone of a PBX is wrong")
	}
}

func TestLoadTellsAllFaultsAtOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "two.secret"), "a\nb\n")
	for _, tt := range []struct {
		name, text string
		want       []string // path and part of the text
	}{
		{"unknown keys", "lisen: :80\nnonsense: 1\n", []string{"lisen: is not known; did you mean listen? (line 1)", "nonsense: is not known; known here: listen, public_url, database"}},
		{"unknown key below", "pbx:\n  - id: a\n    kind: asterisk\n    url: http://h/ari\n    username: u\n    pasword_file: x\n",
			[]string{"pbx[0].pasword_file: is not known; did you mean password_file? (line 6)", "pbx[0].password: is missing"}},
		{"a file for what is no secret", "listen_file: x\n", []string{"listen_file: is not known; known here: listen, public_url, database, database_file"}},
		{"wrong types", "listen: [a]\nkeep: 5\npbx: {id: a}\nlog: {level: [x]}\nkeep: {call_days: many}\n",
			[]string{"listen: is a list, want a text (line 1)", `keep: is "5", want keys with values (line 2)`, "pbx: is a set of keys, want a list", "log.level: is a list", "keep: is given twice (line 5)"}},
		{"numbers", "keep: {call_days: many, event_days: 3, attempt_days: -1}\n",
			[]string{`keep.call_days: "many" is no whole number`, "keep.event_days: 3 is too short", "keep.attempt_days: -1 is no number of days"}},
		{"values", "listen: nowhere\npublic_url: calls.example.ru\ndatabase: mysql:x\ntime_zone: Mars/Base\ncountry: Russia\nlog: {level: inf, format: xml}\nsecret_key_file: ''\n",
			[]string{`listen: "nowhere" is no address`, "public_url:", "database: must begin", `time_zone: "Mars/Base" is no time zone`, `country: "RUSSIA" is no country`, `log.level: "inf" is not one of debug, info, warn, error; did you mean info?`, "log.format:", "secret_key_file: is missing"}},
		{"PBX", "pbx:\n  - {id: Office, kind: push}\n  - {id: a, kind: asterisk, url: ftp://x, phones: '(', ring_for: 1h, trunks: ['']}\n  - {id: a, kind: asterisk, url: 'http://h/ari', username: u, password: p, route_secret: short}\n",
			[]string{`pbx[0].id: "Office" is no id`, `pbx[0].kind: "push" is no kind of PBX this version can speak with; there is: asterisk`, "pbx[1].url:", "pbx[1].username: is missing", "pbx[1].password: is missing",
				"pbx[1].phones: is no pattern", "pbx[1].ring_for: 1h0m0s is out of range", "pbx[1].trunks[0]: is empty", "pbx[2].route_secret: needs at least 16", `pbx[2].id: "a" is the id of pbx[1]`}},
		{"duration", "pbx:\n  - {id: a, kind: asterisk, url: 'http://h/ari', username: u, password: p, route_budget: soon}\n", []string{`pbx[0].route_budget: "soon" cannot be read: invalid duration`}},
		{"secrets", "database: postgres://u:${DB_PASS}@h/db\nmetrics: {token_file: nowhere.secret}\npbx:\n  - {id: a, kind: asterisk, url: 'http://h/ari', username: u, password_file: two.secret}\n",
			[]string{"database: names the environment variable DB_PASS, which is not set (line 1)", "metrics.token_file: cannot be read", "pbx[0].password_file: two.secret must hold one line"}},
		{"secret twice", "metrics: {token: abc, token_file: two.secret}\n", []string{"metrics.token_file: is given twice"}},
		{"no YAML", "listen: [\n", []string{"callbridge.yaml: line"}},
		{"a text only", "hello\n", []string{"callbridge.yaml: does not begin with a key"}},
		{"two documents", "listen: :80\n---\nlisten: :81\n", []string{"callbridge.yaml: holds more than one document"}},
		{"variable without end", "listen: '${A'\n", []string{"listen: has a ${ that names no variable"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text), filepath.Join(dir, "callbridge.yaml"), env(nil))
			list, ok := err.(Problems)
			if !ok {
				t.Fatalf("got %v", err)
			}
			text := list.Error()
			for _, w := range tt.want {
				if !strings.Contains("\n"+text, "\n"+w) {
					t.Errorf("%q is missing in:\n%s", w, text)
				}
			}
			if len(list) != len(tt.want) {
				t.Errorf("%d faults, want %d:\n%s", len(list), len(tt.want), text)
			}
		})
	}
}

func TestLoadMissingFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), env(nil)); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	c, err := Parse([]byte("database: postgres://u:${DB_PASS}@h/db\nlisten: ${HOST}:${PORT}\nmetrics: {token: 'a$${b}'}\n"), "callbridge.yaml", env(map[string]string{"DB_PASS": "p", "HOST": "localhost", "PORT": "1"}))
	if err != nil || c.Database.Reveal() != "postgres://u:p@h/db" || c.Listen != "localhost:1" || c.Metrics.Token.Reveal() != "a${b}" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "pbx:\n", "~\n"} {
		if _, err := Parse([]byte(text), "callbridge.yaml", env(nil)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecretNeverShows(t *testing.T) {
	const plain = "hunter2"
	c := Default()
	c.Metrics.Token = plain
	c.PBX = []PBX{{Password: plain}}
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, c), fmt.Sprintf(verb, c.Metrics.Token), fmt.Sprintf(verb, &c.Metrics.Token))
	}
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", c.Metrics.Token, "pbx", c.PBX, "c", c)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", c.Metrics.Token, "pbx", c.PBX, "c", c)
	for _, s := range append(shown, string(j), string(y), log.String()) {
		if strings.Contains(s, plain) || strings.Contains(s, fmt.Sprintf("%x", plain)) {
			t.Errorf("the secret shows in %s", s)
		}
	}
	if Secret("").String() != "" || c.Metrics.Token.Reveal() != plain {
		t.Error("an empty secret is masked, or Reveal does not give it")
	}
}

func TestDocIsTheSampleAndLoads(t *testing.T) {
	sample := filepath.Join("..", "..", "deploy", "callbridge.sample.yaml")
	if *update {
		if err := os.WriteFile(sample, []byte(Doc()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != Doc() {
		t.Fatalf("%s is not what `callbridge configdoc` prints; run the test with -update. It prints:\n%s", sample, Doc())
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ari.secret"), "s3cret")
	write(t, filepath.Join(dir, "route.secret"), "0123456789abcdef")
	vars := env(map[string]string{"CALLBRIDGE_METRICS_TOKEN": "t", "CALLBRIDGE_TRACES_TOKEN": "t", "CALLBRIDGE_ROUTE_SECRET": "r-0123456789abcdef"})
	c, err := Parse(text, filepath.Join(dir, "callbridge.yaml"), vars)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.PBX) != 1 || c.PBX[0].Password.Reveal() != "s3cret" {
		t.Errorf("got %+v", c.PBX)
	}
	// What is commented out works too.
	all := regexp.MustCompile(`(?m)^( *)#(\S)`).ReplaceAll(text, []byte("$1$2"))
	c, err = Parse(all, filepath.Join(dir, "callbridge.yaml"), vars)
	if err != nil {
		t.Fatalf("with every comment taken away:\n%v\n%s", err, all)
	}
	if len(c.PBX) != 1 || c.PBX[0].RouteSecret != "r-0123456789abcdef" || time.Duration(c.PBX[0].RingFor) != 25*time.Second || c.Metrics.Token != "t" {
		t.Errorf("got %+v", c)
	}
}

func TestSecretKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callbridge.key")
	key, err := SecretKey(path)
	if err != nil || len(key) != 32 {
		t.Fatalf("%d bytes, %v", len(key), err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", st.Mode(), err)
	}
	again, err := SecretKey(path)
	if err != nil || !bytes.Equal(key, again) {
		t.Error("the key changed at the second start")
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left beside the key: %v, %v", left, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := SecretKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key for everybody: %v", err)
	}
	for name, text := range map[string]string{"empty": "", "short": base64.StdEncoding.EncodeToString([]byte("short")), "text": "not base64!"} {
		bad := filepath.Join(t.TempDir(), name)
		write(t, bad, text)
		if _, err := SecretKey(bad); err == nil {
			t.Errorf("%s: taken as a key", name)
		}
		if b, err := os.ReadFile(bad); err != nil || string(b) != text {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := SecretKey(filepath.Join(t.TempDir(), "none", "key")); err == nil {
		t.Error("a key in a folder that is not there")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(design)
	f.Add(Doc())
	f.Add("a: &a [x, x]\nb: [*a, *a]\npbx: *a\n")
	f.Add("pbx: &p\n  - names: *p\n")
	f.Add("listen: !!binary aGk=\n")
	f.Add("keep: {call_days: 0x10}\n<<: {listen: 1}\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse([]byte(text), filepath.Join(dir, "c.yaml"), env(map[string]string{"A": "1"}))
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v, error %v", c, err)
		}
		if err != nil && err.Error() == "" {
			t.Fatal("an empty error")
		}
	})
}
