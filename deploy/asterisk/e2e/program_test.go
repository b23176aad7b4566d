package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/crm/sandbox"
	"callbridge/deploy/asterisk/bench"
)

const (
	adminPassword = "admin-password"
	agentPassword = "agent-password"
	routeSecret   = "route-secret-of-the-test"
)

// settings are what an admin of a small company would apply.
const settings = `
integrations:
  - id: megaplan
    kind: megaplan
    active: true
    credentials: {url: "%s", username: bot@example.ru, password: secret}
    default_responsible: ivan@example.ru
    calls: &rules
      personal_manager: true
      contact: {when: [answer, missed], responsible: last_talked}
      communications: [{direction: in, outcome: [answered, missed]}, {direction: out, outcome: [answered]}]
      tasks: [{direction: in, outcome: [missed], responsible: default, title: "Перезвонить {{.Client.Phone}}", due: 4h}]
  - id: retailcrm
    kind: retailcrm
    active: true
    credentials: {url: "%s", api_key: ` + retailcrmtest.DefaultKey + `}
    default_responsible: ivan@example.ru
    calls: *rules
employees:
  - {extension: "101", email: ivan@example.ru, name: Иван Петров}
  - {extension: "102", email: olga@example.ru, name: Ольга Смирнова}
lines:
  - {number: "+` + bench.MainLine + `", name: Сайт}
users:
  - {login: admin, role: admin, password: ` + adminPassword + `}
  - {login: ivan, role: agent, extension: "101", password: ` + agentPassword + `}
  - {login: olga, role: agent, extension: "102", password: ` + agentPassword + `}
`

// program is the real binary, with a real Asterisk before it and simulated
// CRMs behind it.
type program struct {
	t    *testing.T
	bin  string
	dir  string // configuration, database, log
	url  string
	crms map[string]sandbox.Sandbox

	patience time.Duration // of eventually

	cmd   *exec.Cmd
	ended chan error
	admin string // token
}

// company starts everything; the test's end stops it.
func company(t *testing.T, b *bench.Bench) *program {
	t.Helper()
	return companyWith(t, b, "")
}

// companyWith is company with further users, in the text of the settings.
func companyWith(t *testing.T, b *bench.Bench, users string) *program {
	t.Helper()
	p := &program{t: t, dir: t.TempDir(), bin: binary(t), patience: 2 * patience}
	mega := megaplantest.New(megaplantest.Options{Seed: megaplantest.Seed{Employees: []megaplantest.Employee{
		{FirstName: "Иван", LastName: "Петров", Email: "ivan@example.ru", Extension: "101"},
		{FirstName: "Ольга", LastName: "Смирнова", Email: "olga@example.ru", Extension: "102"},
	}, Programs: []megaplantest.Program{{Name: "Продажа", States: []string{"Новый", "Готово"}, Won: []string{"Готово"}}}}})
	retail := retailcrmtest.New(retailcrmtest.DemoOptions([]retailcrmtest.User{
		{Email: "ivan@example.ru", First: "Иван", Last: "Петров", Extension: "101"},
		{Email: "olga@example.ru", First: "Ольга", Last: "Смирнова", Extension: "102"},
	}, nil))
	p.crms = map[string]sandbox.Sandbox{"megaplan": mega, "retailcrm": retail}
	var addresses []any
	for _, crm := range []sandbox.Sandbox{mega, retail} {
		s := httptest.NewServer(crm)
		t.Cleanup(s.Close)
		addresses = append(addresses, s.URL)
	}

	listen := free(t)
	p.url = "http://" + listen
	p.file("ari.secret", b.Password)
	p.file("settings.yaml", fmt.Sprintf(settings, addresses...)+users)
	var trunks []string
	for slot := range bench.Slots {
		trunks = append(trunks, bench.TrunkOf(slot))
	}
	p.file("callbridge.yaml", fmt.Sprintf(`
listen: %s
public_url: %s
database: sqlite:callbridge.db
time_zone: Europe/Moscow
country: RU
secret_key_file: callbridge.key
pbx:
  - id: office
    kind: asterisk
    url: %s
    username: %s
    password_file: ari.secret
    app: %s
    trunks: [%s]
    ring_for: 4s
    route_secret: `+routeSecret+`
`, listen, p.url, b.URL, b.User, b.App, strings.Join(trunks, ", ")))

	p.run("apply", "-c", "callbridge.yaml", "settings.yaml")
	p.serve()
	t.Cleanup(func() {
		p.stop(syscall.SIGTERM)
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			t.Logf("log of the program:\n%s", last(string(text), 100))
		}
	})
	return p
}

// shared is a folder for all tests of this package.
var shared string

// build builds the program as make build does, once for all tests.
var build = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(shared, "callbridge")
	cmd := exec.Command("go", "build", "-trimpath", "-o", bin, "callbridge/cmd/callbridge")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
})

func binary(t *testing.T) string {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "callbridge-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// free is a loopback address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p *program) file(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// run runs a subcommand to its end and returns what it printed.
func (p *program) run(args ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.bin, args...)
	cmd.Dir = p.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		p.t.Fatalf("callbridge %s: %v\n%s%s", strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.String()
}

// serve starts the daemon and waits until it can take calls.
func (p *program) serve() {
	p.t.Helper()
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(p.bin, "serve", "-c", "callbridge.yaml")
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.dir, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }(p.cmd, p.ended)
	p.eventually("the program is ready", func() error {
		select {
		case err := <-p.ended:
			p.ended <- err
			p.t.Fatalf("the program ended: %v", err)
		default:
		}
		return p.get("", "/readyz", nil)
	})
	p.admin = p.signIn("admin", adminPassword)
}

// stop ends the daemon; with SIGTERM it must end by itself and in order.
func (p *program) stop(how syscall.Signal) {
	p.t.Helper()
	_ = p.cmd.Process.Signal(how)
	select {
	case err := <-p.ended:
		p.ended <- err
		if how == syscall.SIGTERM && err != nil {
			p.t.Errorf("the program did not stop in order: %v", err)
		}
	case <-time.After(45 * time.Second):
		_ = p.cmd.Process.Kill()
		p.t.Error("the program did not stop within 45 s")
	}
}

// eventually asks until done has nothing to complain about.
func (p *program) eventually(what string, done func() error) {
	p.t.Helper()
	over, again := time.After(p.patience), time.NewTicker(50*time.Millisecond)
	defer again.Stop()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-over:
			p.t.Fatalf("not: %s: %v", what, err)
		case <-again.C:
		}
	}
}

// get reads one answer of the REST API into out.
func (p *program) get(token, path string, out any) error {
	return p.do(token, http.MethodGet, path, nil, out)
}

func (p *program) do(token, method, path string, body, out any) error {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, text)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

func (p *program) signIn(login, password string) string {
	p.t.Helper()
	var out struct{ Token string }
	if err := p.do("", http.MethodPost, "/api/v1/session", map[string]string{"login": login, "password": password}, &out); err != nil {
		p.t.Fatal(err)
	}
	return out.Token
}

// message is what an agent's browser is told.
type message struct {
	Type  string
	Card  *card.Card
	Cards []card.Card
	ID    string // of a card that goes
	Why   card.Why
}

// browser is an agent's open page.
type browser struct {
	p     *program
	token string
	got   chan message
}

func (p *program) browser(t *testing.T, login string) *browser {
	t.Helper()
	br := &browser{p: p, token: p.signIn(login, agentPassword), got: make(chan message, 1000)}
	u, err := url.Parse(p.url + "/api/v1/cards")
	if err != nil {
		t.Fatal(err)
	}
	u.Scheme = "ws"
	conn, res, err := websocket.DefaultDialer.DialContext(t.Context(), u.String(), http.Header{"Authorization": {"Bearer " + br.token}})
	if err != nil {
		t.Fatalf("open the card socket: %v (%+v)", err, res)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		defer close(br.got)
		for {
			var m message
			if err := conn.ReadJSON(&m); err != nil {
				return
			}
			br.got <- m
		}
	}()
	if m := br.until(t, func(message) bool { return true }); m.Type != "snapshot" {
		t.Errorf("the first message is %q, not the snapshot", m.Type)
	}
	return br
}

func (br *browser) until(t *testing.T, wanted func(message) bool) message {
	t.Helper()
	limit := time.After(patience)
	var seen []string
	for {
		select {
		case m, ok := <-br.got:
			if !ok {
				t.Fatalf("the card socket was closed; before it: %v", seen)
			}
			if wanted(m) {
				return m
			}
			seen = append(seen, m.Type)
		case <-limit:
			t.Fatalf("the message did not come; others did: %v", seen)
		}
	}
}

// card waits for a card in the given state; gone for a card to vanish.
func (br *browser) card(t *testing.T, state card.State) card.Card {
	t.Helper()
	return *br.until(t, func(m message) bool { return m.Type == "card" && m.Card.State == state }).Card
}

func (br *browser) gone(t *testing.T, id string) message {
	t.Helper()
	return br.until(t, func(m message) bool { return m.Type == "gone" && m.ID == id })
}

// record is a call with what became of it.
type record struct {
	bridge.Call
	Deliveries []bridge.Delivery
}

// settled waits until a call is over and all that it led to is done.
func (p *program) settled(t *testing.T, id string) record {
	t.Helper()
	var r record
	p.eventually("call "+id+" is over and delivered", func() error {
		r = record{}
		if err := p.get(p.admin, "/api/v1/calls/"+id, &r); err != nil {
			return err
		}
		if !r.Ended() {
			return errors.New("it is not over")
		}
		done := 0
		for _, d := range r.Deliveries {
			switch d.State {
			case bridge.Done:
				done++
			case bridge.Skipped:
			default:
				return fmt.Errorf("%s: %s is %s (%s %s)", d.Integration, d.Action.Key, d.State, d.ErrorKind, d.Error)
			}
		}
		if done == 0 {
			return errors.New("nothing is delivered")
		}
		return nil
	})
	return r
}

// count is how many objects a CRM has by kind, those from the start left out.
func (p *program) count(crm string) map[string]int {
	out := map[string]int{}
	for _, o := range p.crms[crm].Objects() {
		if !o.Seed {
			out[o.Kind]++
		}
	}
	return out
}

func last(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
