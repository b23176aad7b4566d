package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/crm/sandbox"
	"callbridge/pbx/ari/arisim"
	"callbridge/store"
	"callbridge/store/storetest"
)

// mix are recorded calls with a client's number. Each is one call in the end.
var mix = []string{
	"in_answered", "in_answered", "in_answered_agent_hangs_up", "in_missed_caller_hangs_up", "in_noanswer", "in_busy", "in_rejected",
	"group_102_answers", "queue_answered", "queue_abandoned", "ivr_answered", "xfer_blind", "xfer_attended",
	"out_answered", "out_answered_client_hangs_up", "out_noanswer", "out_busy", "out_cancelled", "internal_answered",
}

const (
	megaplanID = "megaplan-main"
	retailID   = "retailcrm-main"
)

// world is a company with its PBX and its CRMs, and the program, which dies
// again and again.
type world struct {
	t    *testing.T
	seed uint64
	rnd  *rand.Rand
	dir  string
	dsn  string
	url  string
	key  []byte

	sim      *arisim.Sim
	calls    string // file of the PBX's call log
	megaplan *megaplantest.Server
	retail   *retailcrmtest.Fake
	fronts   map[string]*front

	cmd *exec.Cmd
	log *os.File

	putBack bool // the store was put back to an older state
	// settling ends a moment after the first connection of all, which cannot
	// tell what was before it.
	settling time.Time

	mu     sync.Mutex
	played []*played
	down   []span // when nobody listened: from the kill to being ready again
}

type span struct{ from, to time.Time }

// played is a call the PBX had.
type played struct {
	id, scenario, client string
	channels             []string
	from, to             time.Time // to is zero while it lives
}

func newWorld(t *testing.T, seed uint64, dsn string) *world {
	return newWorldIn(t, seed, dsn, t.TempDir())
}

// newWorldIn has its files in a folder, and so on a disk, of its own.
func newWorldIn(t *testing.T, seed uint64, dsn, dir string) *world {
	w := &world{t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 1)), dir: dir, dsn: dsn, fronts: map[string]*front{}}
	people := []struct{ first, last, ext string }{{"Иван", "Петров", "101"}, {"Ольга", "Смирнова", "102"}, {"Пётр", "Сидоров", "103"}}
	mo := megaplantest.Options{Seed: megaplantest.Seed{Programs: []megaplantest.Program{{Name: "Продажи", States: []string{"Новая", "Оплачено"}, Won: []string{"Оплачено"}}}}}
	var users []retailcrmtest.User
	s := bridge.Settings{Lines: []bridge.Line{{Number: "+74951234567", Name: "Сайт"}}}
	for _, p := range people {
		mail := "user" + p.ext + "@example.ru"
		mo.Seed.Employees = append(mo.Seed.Employees, megaplantest.Employee{FirstName: p.first, LastName: p.last, Email: mail, Extension: p.ext})
		users = append(users, retailcrmtest.User{Email: mail, First: p.first, Last: p.last, Extension: p.ext})
		s.Employees = append(s.Employees, bridge.Employee{Extension: p.ext, Email: mail, Name: p.first + " " + p.last})
	}
	w.megaplan, w.retail = megaplantest.New(mo), retailcrmtest.New(retailcrmtest.DemoOptions(users, nil))
	refuse := func(status int, body string) func(http.ResponseWriter) {
		return func(rw http.ResponseWriter) {
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, body)
		}
	}
	w.fronts[megaplanID] = newFront(w.megaplan, refuse(401, `{"meta":{"status":401,"errors":[{"message":"Unauthorized"}],"pagination":[]},"data":null}`), seed)
	w.fronts[retailID] = newFront(w.retail, refuse(403, `{"success":false,"errorMsg":"Wrong \"apiKey\" value."}`), seed+1)
	urls := map[string]string{}
	for id, f := range w.fronts {
		srv := httptest.NewServer(f)
		t.Cleanup(srv.Close)
		t.Cleanup(func() { f.set(mood{}) }) // nobody hangs any more
		urls[id] = srv.URL
	}
	no := false
	minutes := 30
	missed := bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}}
	s.Integrations = []bridge.Integration{{
		ID: megaplanID, Kind: "megaplan", Active: true, DefaultResponsible: "user101@example.ru",
		Credentials: map[string]string{"url": urls[megaplanID], "username": "bot@example.ru", "password": "secret"},
		Calls: bridge.CallRules{
			Contact: &bridge.ContactRule{When: []string{"answer", "missed"}, Responsible: "last_talked"},
			Communications: []bridge.CallRule{{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered, bridge.Missed}},
				{Direction: bridge.Out, Outcome: []bridge.Outcome{bridge.Answered}}},
			CommunicationMinutes: &minutes,
			Tasks:                []bridge.TaskRule{{CallRule: missed, Responsible: "default", Title: "Перезвонить {{phone .Client.Phone}}", Due: bridge.Duration(4 * time.Hour)}},
			Processes: []bridge.ProcessRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered}, Known: &no},
				Responsible: "talked"}},
		},
	}, {
		ID: retailID, Kind: "retailcrm", Active: true, DefaultResponsible: "user101@example.ru",
		Credentials: map[string]string{"url": urls[retailID], "api_key": retailcrmtest.DefaultKey, "site": "shop"},
		Calls: bridge.CallRules{
			Contact: &bridge.ContactRule{When: []string{"answer", "missed"}, Responsible: "first_talked"},
			Tasks:   []bridge.TaskRule{{CallRule: missed, Responsible: "default", Due: bridge.Duration(time.Hour)}},
		},
	}}
	// The PBX's own call log, with exact times or cut to seconds, at once or late.
	w.calls = filepath.Join(t.TempDir(), "Master.csv") // the PBX's disk, not ours
	w.sim = arisim.New(arisim.Options{WriteTimeout: 5 * time.Second, CallLog: w.calls, CallLogExact: seed%2 == 0,
		CallLogLate: time.Duration(seed%3) * 250 * time.Millisecond})
	if err := w.sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.sim.Close)
	w.configure(s)
	return w
}

// configure writes what an admin would, and puts the settings in force.
func (w *world) configure(s bridge.Settings) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	listen := l.Addr().String()
	must(w.t, l.Close())
	w.url = "http://" + listen
	keyFile := filepath.Join(w.dir, "callbridge.key")
	w.key, err = config.SecretKey(keyFile)
	must(w.t, err)
	if w.dsn == "" {
		w.dsn = "sqlite:" + filepath.Join(w.dir, "callbridge.db")
	}
	must(w.t, os.WriteFile(filepath.Join(w.dir, "callbridge.yaml"), fmt.Appendf(nil, `
listen: %s
database: "%s"
time_zone: Europe/Moscow
country: RU
secret_key_file: %s
pbx:
  - {id: office, kind: asterisk, url: "%s", username: %s, password: %s, app: callbridge, trunks: [trunk], time_zone: UTC,
     cdr: {csv: "%s", columns: [%s]}}
`, listen, w.dsn, keyFile, w.sim.URL(), w.sim.Username(), w.sim.Password(), w.calls, strings.Join(arisim.CallLogColumns(), ", ")), 0o600))
	w.log, err = os.Create(filepath.Join(w.t.TempDir(), "log")) // of the system, on a disk of its own
	must(w.t, err)
	w.t.Cleanup(func() {
		w.kill()
		_ = w.log.Close()
		if w.t.Failed() {
			b, _ := os.ReadFile(w.log.Name())
			lines := strings.Split(string(b), "\n")
			w.t.Logf("the program's log:\n%s", strings.Join(lines[max(0, len(lines)-20):], "\n"))
		}
	})
	w.store(func(db *store.DB) error {
		_, err := db.SaveSettings(w.t.Context(), "prove", s, "")
		return err
	})
}

// store opens the database for a moment: never across a kill, so that the
// program alone recovers what it left.
func (w *world) store(do func(*store.DB) error) {
	w.t.Helper()
	var err error
	for range 30 { // on a machine that does much else one waits for the other longer than SQLite does
		var db *store.DB
		if db, err = store.Open(w.t.Context(), w.dsn, w.key, slog.New(slog.DiscardHandler)); err == nil {
			err = errors.Join(do(db), db.Close())
		}
		if !errors.Is(err, store.ErrLocked) {
			break
		}
	}
	if err != nil {
		w.t.Fatalf("seed %d: %v", w.seed, err)
	}
}

func (w *world) start() {
	w.t.Helper()
	w.cmd = exec.Command(binary(w.t), "serve", "-c", filepath.Join(w.dir, "callbridge.yaml"))
	w.cmd.Stdout, w.cmd.Stderr = w.log, w.log
	must(w.t, w.cmd.Start())
}

// ready waits until the program takes calls.
func (w *world) ready() {
	w.t.Helper()
	client := &http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	w.until("the program is ready", func() bool {
		res, err := client.Get(w.url + "/readyz")
		if err != nil {
			return false
		}
		defer func() { _ = res.Body.Close() }()
		var ans struct {
			Ready bool `json:"ready"`
		}
		return json.NewDecoder(res.Body).Decode(&ans) == nil && ans.Ready
	})
}

// until polls from outside, as a script would.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(5 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			w.undone()
			w.t.Fatalf("seed %d: never: %s", w.seed, what)
		}
	}
}

// undone tells what is not delivered.
func (w *world) undone() {
	w.t.Helper()
	w.store(func(db *store.DB) error {
		for _, state := range []bridge.DeliveryState{bridge.Waiting, bridge.Trying, bridge.Held, bridge.Refused, bridge.Expired} {
			ds, err := db.Deliveries(w.t.Context(), store.DeliveryFilter{State: state, Limit: 20})
			if err != nil {
				return err
			}
			for _, d := range ds {
				w.t.Logf("  %s %s %s, %d attempts, next %v: %s %s", d.Integration, d.Action.Key, d.State, d.Attempts, d.NextAt, d.Note, d.Error)
			}
		}
		open, _, err := db.Calls(w.t.Context(), store.CallFilter{Open: true, Limit: 20})
		for _, c := range open {
			w.t.Logf("  open: %+v", c)
		}
		return err
	})
}

func (w *world) kill() {
	if w.cmd == nil || w.cmd.ProcessState != nil {
		return
	}
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait() // killed, as it should be
}

// stop ends the program as an operator does.
func (w *world) stop() {
	w.t.Helper()
	must(w.t, w.cmd.Process.Signal(syscall.SIGTERM))
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("seed %d: the program ended with %v", w.seed, err)
	}
}

// play lets the PBX have calls until ctx ends, and then waits for their ends.
func (w *world) play(ctx context.Context, every time.Duration) {
	var wg sync.WaitGroup
	defer wg.Wait()
	r := rand.New(rand.NewPCG(w.seed, 2))
	for n := 0; ; n++ {
		select {
		case <-time.After(time.Duration(float64(every) * (0.3 + 1.4*r.Float64()))):
		case <-ctx.Done():
			return
		}
		client := n
		if r.IntN(5) == 0 {
			client = r.IntN(n + 1) // calls again
		}
		p := &played{scenario: mix[r.IntN(len(mix))], client: fmt.Sprintf("7916%07d", client), from: time.Now()}
		// Calls outlive the player's context: they end by themselves.
		c, err := w.sim.Begin(w.t.Context(), p.scenario, arisim.PlayOptions{Client: p.client, Speed: 12 + 20*r.Float64()})
		if err != nil {
			return // the world ends
		}
		p.id, p.channels = c.ID, c.Channels()
		w.mu.Lock()
		w.played = append(w.played, p)
		w.mu.Unlock()
		wg.Go(func() {
			_ = c.Wait(w.t.Context()) // its end is all we want to know
			w.mu.Lock()
			p.to = time.Now()
			w.mu.Unlock()
		})
	}
}

// moods gives both CRMs new ones.
func (w *world) moods() {
	for _, id := range []string{megaplanID, retailID} {
		w.fronts[id].set(newMood(w.rnd))
	}
}

// repair is the admin who comes in between: he activates what is held, sends
// refused actions again, and hours pass. Only what he could do by commands.
func (w *world) repair() {
	w.t.Helper()
	ctx := w.t.Context()
	w.store(func(db *store.DB) error {
		for _, id := range []string{megaplanID, retailID} {
			kinds, err := db.HeldKinds(ctx, id)
			if err != nil {
				return err
			}
			for _, k := range kinds {
				if _, err := db.ReleaseKind(ctx, id, k.Kind); err != nil {
					return err
				}
			}
			if st, err := db.IntegrationState(ctx, id); err != nil {
				return err
			} else if !st.Active {
				if _, err := db.ReleaseIntegration(ctx, id, time.Now().Add(-72*time.Hour)); err != nil {
					return err
				}
			}
			for _, state := range []bridge.DeliveryState{bridge.Refused, bridge.Expired} {
				ds, err := db.Deliveries(ctx, store.DeliveryFilter{Integration: id, State: state, Limit: 10000})
				if err != nil {
					return err
				}
				ids := make([]int64, len(ds))
				for i, d := range ds {
					ids[i] = d.ID
				}
				if _, err := db.Retry(ctx, ids); err != nil {
					return err
				}
			}
		}
		return nil
	})
	// On PostgreSQL a lease alone says that its worker died: it must not run out
	// while the worker lives, whose requests end long before it.
	dead := w.cmd == nil || w.cmd.ProcessState != nil
	must(w.t, storetest.PassTime(ctx, w.dsn, dead && !strings.HasPrefix(w.dsn, "sqlite:")))
}

// allOver says that the store knows of no call that goes on.
func (w *world) allOver() bool {
	n := 0
	w.store(func(db *store.DB) error {
		open, _, err := db.Calls(w.t.Context(), store.CallFilter{Open: true, Limit: 1})
		n = len(open)
		return err
	})
	return n == 0
}

// said is the program's log.
func (w *world) said() string {
	w.t.Helper()
	b, err := os.ReadFile(w.log.Name())
	must(w.t, err)
	return string(b)
}

func (w *world) ledger() {
	w.t.Helper()
	w.store(func(db *store.DB) error {
		n, err := db.LedgerImbalance(w.t.Context())
		if err == nil && n != 0 {
			err = fmt.Errorf("the ledger is out of balance by %d", n)
		}
		return err
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inside says that this process has a mount namespace of its own, and where
// the program is that it may run.
const inside = "CALLBRIDGE_TEST_DISK"

// binary builds the program as make build does, once.
func binary(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv(inside); bin != "" {
		return bin
	}
	bin, err := build()
	must(t, err)
	return bin
}

var folder string

var build = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(folder, "callbridge")
	cmd := exec.Command("go", "build", "-trimpath", "-o", bin, "callbridge/cmd/callbridge")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
})

var _ sandbox.Sandbox = (*megaplantest.Server)(nil)
