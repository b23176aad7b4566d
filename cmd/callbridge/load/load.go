// Package load drives the daemon as many PBXs and agents would, and measures
// it: a simulated Asterisk that plays recorded calls at any rate, agents on
// real websockets, CRMs that answer at once or at a limited rate. Everything
// is on the loopback address and bounded in count and time.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/track"
	"callbridge/bridge/web"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/pbx/ari"
	"callbridge/pbx/ari/arisim"
	"callbridge/store"
)

// Options say what to measure.
type Options struct {
	Binary    string        // the program itself
	Env       []string      // of the daemon, besides ours
	Rate      float64       // calls a second
	Duration  time.Duration // for so long calls begin
	Agents    int
	Mix       []arisim.Weighted
	Speed     float64 // of the calls; 1 = as recorded
	CRMs      []string
	CRMRate   float64 // requests a second each CRM allows; 0: at once
	Faults    float64 // share of requests that CRMs answer wrongly
	Routes    float64 // routing questions a second
	Database  string  // "": SQLite in a temporary folder
	Drain     time.Duration
	Resend    bool      // the CRMs are off while calls come, and get them afterwards
	Reconnect bool      // cut all agents and let them come back at once
	Progress  io.Writer // nil: silent
}

// Limits bound what a client of this package may ask for.
const (
	maxCalls  = 2_000_000
	maxAgents = 20_000
)

// run is one measurement.
type run struct {
	o        Options
	dir      string
	dsn, url string
	key      []byte
	sim      *arisim.Sim
	crms     map[string]*instant
	agents   *agents
	marks    map[string]int // scenario → the step that makes a card
	phones   map[string][]string
	clients  int    // numbers given to clients
	admin    string // token of a session
	cmd      *exec.Cmd
	log      *os.File

	mu     sync.Mutex
	late   []time.Duration
	routes []time.Duration
	lost   int // routing questions without an answer
}

// Run measures.
func Run(ctx context.Context, o Options) (rep *Report, err error) {
	if o.Speed <= 0 {
		o.Speed = 1
	}
	if o.Rate <= 0 || o.Duration <= 0 || o.Rate*o.Duration.Seconds() > maxCalls || o.Agents < 0 || o.Agents > maxAgents {
		return nil, fmt.Errorf("a run has at most %d calls and %d agents, and a rate and a duration above 0", maxCalls, maxAgents)
	}
	r := &run{o: o, crms: map[string]*instant{}, marks: map[string]int{}, phones: map[string][]string{}}
	if r.dir, err = os.MkdirTemp("", "callbridge-load-"); err != nil {
		return nil, err
	}
	var undo []func() error
	defer func() {
		for _, f := range slices.Backward(undo) {
			err = errors.Join(err, f())
		}
	}()
	undo = append(undo, func() error { return os.RemoveAll(r.dir) })
	r.sim = arisim.New(arisim.Options{WriteTimeout: 10 * time.Second})
	if err := r.sim.Start(); err != nil {
		return nil, err
	}
	undo = append(undo, func() error { r.sim.Close(); return nil })
	if err := r.scenarios(); err != nil {
		return nil, err
	}
	s, stop, err := r.settings()
	undo = append(undo, stop)
	if err != nil {
		return nil, err
	}
	tokens, err := r.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	undo = append(undo, func() error { r.kill(); return r.log.Close() })
	start, err := r.start(ctx)
	if err != nil {
		return nil, err
	}
	rep = &Report{Options: describe(o), StartMS: start.Milliseconds()}
	if rep.RestMB, err = rssMB(r.cmd.Process.Pid); err != nil {
		return nil, err
	}
	r.agents = newAgents(r.url)
	undo = append(undo, func() error { r.agents.close(); return nil })
	if err := r.connect(ctx, tokens, rep); err != nil {
		return nil, err
	}
	return rep, r.measure(ctx, tokens, rep)
}

// scenarios finds, by the adapter's own decoder and the tracker, which frame
// of each recorded call makes the card.
func (r *run) scenarios() error {
	dec := ari.NewDecoder(ari.DecodeOptions{PBX: "office", Trunks: []string{"trunk"}})
	for _, m := range r.o.Mix {
		frames, err := r.sim.Frames(m.Scenario)
		if err != nil {
			return err
		}
		t := track.New(track.Options{})
		r.marks[m.Scenario] = -1
		seen := map[string]bool{}
		for i, f := range frames {
			e, useful, err := dec.Decode(f)
			if err != nil || !useful {
				continue
			}
			for _, ch := range t.Add(e) {
				for _, ext := range append(ch.Rings(), ch.Call.Agent) {
					if ext != "" && !seen[ext] {
						seen[ext] = true
						r.phones[m.Scenario] = append(r.phones[m.Scenario], ext)
					}
				}
				// A card is recognized by its client's number; an internal call has none.
				if len(ch.Rings()) > 0 && ch.Call.Client != "" && r.marks[m.Scenario] < 0 {
					r.marks[m.Scenario] = i
				}
			}
		}
	}
	return nil
}

func extension(i int) string { return strconv.Itoa(10000 + i) }

// settings are those of the measured company; its CRMs run until stop.
func (r *run) settings() (s bridge.Settings, stop func() error, err error) {
	var servers []*http.Server
	stop = func() error {
		var errs []error
		for _, srv := range servers {
			errs = append(errs, srv.Close())
		}
		return errors.Join(errs...)
	}
	n := max(r.o.Agents, 5)
	users := []retailcrmtest.User{}
	mo := megaplantest.Options{Seed: megaplantest.Seed{Programs: []megaplantest.Program{{Name: "Продажи", States: []string{"Новая", "Оплачено"}, Won: []string{"Оплачено"}}}}}
	for i := range n {
		ext := extension(i)
		if i < 200 { // the lists of CRMs are not what is measured
			mo.Seed.Employees = append(mo.Seed.Employees, megaplantest.Employee{FirstName: "Иван", LastName: ext, Email: ext + "@example.ru", Extension: ext})
			users = append(users, retailcrmtest.User{Email: ext + "@example.ru", First: "Иван", Last: ext, Extension: ext})
		}
		s.Users = append(s.Users, bridge.User{Login: "agent" + ext, Role: bridge.Agent, Extension: ext})
	}
	s.Users = append(s.Users, bridge.User{Login: adminLogin, Role: bridge.Admin})
	missed := bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}}
	rules := bridge.CallRules{
		Contact: &bridge.ContactRule{When: []string{"answer", "missed"}, Responsible: "last_talked"},
		Tasks:   []bridge.TaskRule{{CallRule: missed, Responsible: "default", Due: bridge.Duration(4 * time.Hour)}},
	}
	for _, kind := range r.o.CRMs {
		in := bridge.Integration{ID: kind, Kind: kind, Active: !r.o.Resend, DefaultResponsible: extension(0) + "@example.ru", Calls: rules}
		var c *instant
		switch kind {
		case "megaplan":
			c = newMegaplan(mo)
			in.Credentials = map[string]string{"username": "bot@example.ru", "password": "secret", "requests_per_second": "0"}
			in.Calls.Communications = []bridge.CallRule{{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered, bridge.Missed}},
				{Direction: bridge.Out, Outcome: []bridge.Outcome{bridge.Answered}}}
		case "retailcrm":
			c = newRetail(users)
			in.Credentials = map[string]string{"api_key": retailcrmtest.DefaultKey, "requests_per_second": "0"}
		default:
			return s, stop, fmt.Errorf("there is no simulated CRM %q", kind)
		}
		if r.o.CRMRate > 0 {
			in.Credentials["requests_per_second"] = strconv.FormatFloat(r.o.CRMRate*0.97, 'f', 2, 64)
			c.limit = limited(r.o.CRMRate)
		}
		c.faults = r.o.Faults
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return s, stop, err
		}
		in.Credentials["url"] = "http://" + l.Addr().String()
		srv := &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second}
		servers = append(servers, srv)
		go func() { _ = srv.Serve(l) }() // ends with Close
		r.crms[kind] = c
		s.Integrations = append(s.Integrations, in)
	}
	return s, stop, nil
}

// prepare writes configuration, settings and a session for each agent.
func (r *run) prepare(ctx context.Context, s bridge.Settings) ([]string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	listen := l.Addr().String()
	r.url = "http://" + listen
	if err := l.Close(); err != nil {
		return nil, err
	}
	keyFile := filepath.Join(r.dir, "callbridge.key")
	if r.key, err = config.SecretKey(keyFile); err != nil {
		return nil, err
	}
	if r.dsn = r.o.Database; r.dsn == "" {
		r.dsn = "sqlite:" + filepath.Join(r.dir, "callbridge.db")
	}
	text := fmt.Sprintf("listen: %s\ndatabase: %q\ntime_zone: Europe/Moscow\ncountry: RU\nsecret_key_file: %q\nlog: {level: warn}\npbx:\n"+
		"  - {id: office, kind: asterisk, url: %q, username: %s, password: %s, app: callbridge, trunks: [trunk], route_secret: %s}\n",
		listen, r.dsn, keyFile, r.sim.URL(), r.sim.Username(), r.sim.Password(), routeSecret)
	if err := os.WriteFile(filepath.Join(r.dir, "callbridge.yaml"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, r.dsn, r.key, nil)
	if err != nil {
		return nil, err
	}
	var tokens []string
	err = func() error {
		if calls, _, err := db.Calls(ctx, store.CallFilter{Limit: 1}); err != nil {
			return err
		} else if len(calls) > 0 {
			return errors.New("the database has calls already; a load run needs an empty one")
		}
		if _, err := db.SaveSettings(ctx, "load", s, ""); err != nil {
			return err
		}
		now := time.Now()
		session := func(login string) (string, error) {
			token := fmt.Sprintf("load-%s-%x", login, rand.Uint64())
			return token, db.CreateSession(ctx, store.Session{TokenHash: web.TokenHash(token), Login: login,
				CreatedAt: bridge.At(now), SeenAt: bridge.At(now), ExpiresAt: bridge.At(now.Add(7 * 24 * time.Hour))})
		}
		for i := range r.o.Agents {
			token, err := session("agent" + extension(i))
			if err != nil {
				return err
			}
			tokens = append(tokens, token)
		}
		r.admin, err = session(adminLogin)
		return err
	}()
	return tokens, errors.Join(err, db.Close())
}

const routeSecret = "load-route-secret-0123456789"

// start runs the daemon and says how long it took to be ready.
func (r *run) start(ctx context.Context) (time.Duration, error) {
	var err error
	if r.log, err = os.Create(filepath.Join(r.dir, "log")); err != nil {
		return 0, err
	}
	r.cmd = exec.Command(r.o.Binary, "serve", "-c", filepath.Join(r.dir, "callbridge.yaml"))
	r.cmd.Env = append(os.Environ(), r.o.Env...)
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	began := time.Now()
	if err := r.cmd.Start(); err != nil {
		return 0, err
	}
	for {
		res, err := http.Get(r.url + "/readyz")
		if err == nil {
			b, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
			_ = res.Body.Close()
			if strings.Contains(string(b), `"ready":true`) {
				return time.Since(began), nil
			}
		}
		if time.Since(began) > 30*time.Second {
			text, _ := os.ReadFile(r.log.Name())
			return 0, fmt.Errorf("the daemon is not ready after 30 s:\n%s", text[max(0, len(text)-2000):])
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kill stops the daemon; it is given time to end well.
func (r *run) kill() {
	if r.cmd == nil || r.cmd.Process == nil || r.cmd.ProcessState != nil {
		return
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	t := time.AfterFunc(20*time.Second, func() { _ = r.cmd.Process.Kill() })
	_ = r.cmd.Wait() // how it ends is not what is measured
	t.Stop()
}

func (r *run) say(format string, args ...any) {
	if r.o.Progress != nil {
		fmt.Fprintf(r.o.Progress, format, args...)
	}
}
