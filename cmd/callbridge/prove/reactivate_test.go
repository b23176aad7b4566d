package prove

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/deliver"
	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/crm/sandbox"
	"callbridge/store"
	"callbridge/store/storetest"
)

// TestKeyChangedUnderLoad is the break the buffer exists for: the API key is
// changed while calls come in, the program is killed -9 again and again, two
// days pass, the key is mended, and the integration is activated with the box.
// The CRM ends with each call of the window exactly once, in order, the very
// first refused one included. More kills on demand:
//
//	go test ./cmd/callbridge/prove -run TestKeyChangedUnderLoad -kills 200 -seed 7 -v
func TestKeyChangedUnderLoad(t *testing.T) {
	n, s := 5, uint64(21)
	if *kills > 0 {
		n = *kills
	}
	if *seed != 0 {
		s = *seed
	}
	w := newWorld(t, s, "")
	w.start()
	w.ready()
	stop := w.load()
	w.until("calls are in the CRM", func() bool { return len(w.uploaded()) >= 5 })
	w.retail.SetKey("another key")
	w.until("the integration is off", w.off)
	var from time.Time // since when nobody listens
	refused := 0
	for i := range n {
		pause(time.Duration(200+w.rnd.IntN(400)) * time.Millisecond)
		from = time.Now()
		w.kill()
		if i == 0 {
			refused = w.refused() // no worker of that life is left that could still ask
			w.retail.ClearLog()
		}
		w.start()
		w.ready()
		w.down = append(w.down, span{from, time.Now()})
	}
	pause(300 * time.Millisecond)
	stop()
	w.until("all calls are over", w.allOver)
	w.stop()
	var first bridge.Time
	w.store(func(db *store.DB) error {
		st, err := db.IntegrationState(t.Context(), retailID)
		first = st.FirstRefused
		return err
	})
	before := len(w.uploaded())

	const days = 2
	from = time.Now()
	must(t, storetest.MoveBack(t.Context(), w.dsn, days))
	must(t, os.Truncate(w.calls, 0)) // its records would be of today

	// Today calls come in still. Then the key is mended and the box ticked.
	w.start()
	w.ready()
	w.down = append(w.down, span{from, time.Now()})
	already := w.in(bridge.Held)
	stop = w.load()
	w.until("calls of today are held", func() bool { return w.in(bridge.Held) >= already+20 })
	stop()
	if tried := w.retail.RequestLog(); len(tried) > 0 {
		t.Errorf("%d requests were sent to the dead account, such as %s %s", len(tried), tried[0].Method, tried[0].Path)
	}
	w.patiently(func(db *store.DB) error {
		all, _, err := db.Settings(t.Context())
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all.Integrations, func(in bridge.Integration) bool { return in.ID == retailID })
		all.Integrations[i].Credentials["api_key"] = "another key"
		_, err = db.SaveSettings(t.Context(), "prove", all, "the new key")
		return err
	})
	window := deliver.ResendFrom(time.Now(), moscow(t))
	if at := first.AddDate(0, 0, -days); at.Before(window) {
		t.Errorf("the first refusal, %v, is not in the window from %v on", at, window)
	}
	said := w.command("integrations", "activate", retailID, "--resend")
	w.until("what was held is delivered", func() bool { return w.allOver() && w.settledAll() })

	var calls []bridge.Call
	w.patiently(func(db *store.DB) (err error) {
		calls, _, err = db.Calls(t.Context(), store.CallFilter{Limit: 10000})
		return err
	})
	got := w.uploaded()
	w.once(got)
	w.inOrder(got[before:])
	have := map[string]bool{}
	for _, o := range got {
		have[o.Value("externalId")] = true
	}
	kept := 0
	for _, c := range calls {
		if c.Client == "" || c.Direction != bridge.In && c.Direction != bridge.Out {
			continue // such calls retailCRM has no place for
		}
		if kept++; !have["callbridge:"+c.ID+":call"] {
			w.wrong("call %s of %v is not in the CRM", c.ID, c.StartedAt)
		}
	}
	if len(got) != kept || len(got)-before < 20 {
		t.Errorf("%d calls in the CRM, %d of them by the resend; %d are stored", len(got), len(got)-before, kept)
	}
	// All of it again changes nothing.
	w.command("resend", "-integration", retailID, "-again")
	w.until("the repetition is through", w.settledAll)
	if again := len(w.uploaded()); again != len(got) {
		t.Errorf("sent twice: %d calls instead of %d", again, len(got))
	}
	w.stop()
	w.ledger()
	sum := w.compare()
	t.Logf("%s", strings.TrimSpace(strings.SplitN(said, "\n", 2)[0]))
	t.Logf("%d kills, %d days; %d calls before the break, %d requests refused, none sent while it was off; %d calls resent, each exactly once and in order; %v",
		n, days, before, refused, len(got)-before, sum)
}

func moscow(t *testing.T) *time.Location {
	t.Helper()
	z, err := time.LoadLocation("Europe/Moscow")
	must(t, err)
	return z
}

// load lets calls come in until the function it returns is called; their ends
// are awaited.
func (w *world) load() func() {
	ctx, quiet := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.play(ctx, 60*time.Millisecond)
	}()
	return func() { quiet(); <-done }
}

// uploaded are the calls in the CRM, in the order they came.
func (w *world) uploaded() []sandbox.Object {
	var out []sandbox.Object
	for _, o := range w.retail.Objects() {
		if o.Kind == "call" {
			out = append(out, o)
		}
	}
	return out
}

// refused counts the requests with the old key.
func (w *world) refused() (n int) {
	for _, r := range w.retail.RequestLog() {
		if r.Status == 403 && r.Header.Get("X-Api-Key") == retailcrmtest.DefaultKey {
			n++
		}
	}
	return n
}

// gauge reads a metric of the running program, from outside: opening the
// database again and again would get into its way. Missing is -1.
func (w *world) gauge(series string) float64 {
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	res, err := client.Get(w.url + "/metrics")
	if err != nil {
		return -1
	}
	defer func() { _ = res.Body.Close() }()
	for in := bufio.NewScanner(res.Body); in.Scan(); {
		if v, ok := strings.CutPrefix(in.Text(), series+" "); ok {
			if n, err := strconv.ParseFloat(v, 64); err == nil {
				return n
			}
		}
	}
	return -1
}

func (w *world) off() bool {
	return w.gauge(`callbridge_integration_held{integration="`+retailID+`"}`) == 1
}

func (w *world) in(state bridge.DeliveryState) float64 {
	return w.gauge(fmt.Sprintf(`callbridge_deliveries{integration=%q,state=%q}`, retailID, state))
}

func (w *world) settledAll() bool {
	return w.in(bridge.Waiting) == 0 && w.in(bridge.Trying) == 0 && w.in(bridge.Held) == 0
}

// patiently opens the database beside the running program; on a slow machine
// it may be locked for long.
func (w *world) patiently(do func(*store.DB) error) {
	w.t.Helper()
	w.until("the database is free", func() bool {
		db, err := store.Open(w.t.Context(), w.dsn, w.key, slog.New(slog.DiscardHandler))
		if err == nil {
			err = errors.Join(do(db), db.Close())
		}
		if err != nil && !strings.Contains(err.Error(), "locked") {
			w.t.Fatalf("seed %d: %v", w.seed, err)
		}
		return err == nil
	})
}

func (w *world) once(list []sandbox.Object) {
	w.t.Helper()
	n := map[string]int{}
	for _, o := range list {
		n[o.Value("externalId")]++
	}
	for key, times := range n {
		if times > 1 {
			w.wrong("%s is there %d times", key, times)
		}
	}
}

// inOrder checks that calls came oldest first, by the start the CRM was told.
func (w *world) inOrder(list []sandbox.Object) {
	w.t.Helper()
	last := ""
	for i, o := range list {
		at := o.Value("date")
		if at < last {
			w.wrong("call %d of the resend began %s, after one of %s", i, at, last)
		}
		last = max(last, at)
	}
}

// command runs the program as an operator does, beside the running one; if the
// database was busy for too long, again.
func (w *world) command(args ...string) (said string) {
	w.t.Helper()
	w.until(strings.Join(args, " "), func() bool {
		cmd := exec.Command(binary(w.t), append(args[:len(args):len(args)], "-c", filepath.Join(w.dir, "callbridge.yaml"))...)
		out, err := cmd.CombinedOutput()
		if said = string(out); err != nil && !strings.Contains(said, "locked") {
			w.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return err == nil
	})
	return said
}

// TestMoveBackLeavesNothingInThePresent: what the proof with days rests on.
func TestMoveBackLeavesNothingInThePresent(t *testing.T) {
	w := newWorld(t, 1, "")
	at := time.Now()
	key := "callbridge:c1:call"
	w.store(func(db *store.DB) error {
		return db.Commit(t.Context(), store.Batch{
			Calls:      []bridge.Call{{ID: "c1", PBX: "office", Client: "+79161234567", Direction: bridge.In, Outcome: bridge.Missed, StartedAt: bridge.At(at), EndedAt: bridge.At(at)}},
			Deliveries: []bridge.Delivery{{Integration: retailID, CallID: "c1", Client: "+79161234567", State: bridge.Waiting, CreatedAt: bridge.At(at), Action: bridge.Action{Key: key, Kind: bridge.ActCall, Trigger: bridge.OnEnd, Wanted: true}}},
			Plans:      []store.Plan{{CallID: "c1", Integration: retailID, Trigger: bridge.OnEnd, Keys: []string{key}, Day: at.Format(time.DateOnly)}}})
	})
	must(t, storetest.MoveBack(t.Context(), w.dsn, 2))
	w.store(func(db *store.DB) error {
		c, err := db.Call(t.Context(), "c1")
		must(t, err)
		rows, err := db.Ledger(t.Context(), "", "")
		must(t, err)
		ds, err := db.Deliveries(t.Context(), store.DeliveryFilter{CallID: "c1"})
		must(t, err)
		want := at.AddDate(0, 0, -2)
		b, err := json.Marshal(c)
		must(t, err)
		if c.StartedAt.Milli() != bridge.At(want).Milli() || len(rows) != 1 || rows[0].Day != want.Format(time.DateOnly) || rows[0].Imbalance != 0 ||
			ds[0].CreatedAt.Milli() != bridge.At(want).Milli() || strings.Contains(fmt.Sprintf("%s %+v", b, ds), at.UTC().Format(time.DateOnly)) {
			t.Errorf("%s\n%+v\n%+v", b, rows, ds)
		}
		return nil
	})
}
