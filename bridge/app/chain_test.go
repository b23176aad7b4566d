package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/track"
	"callbridge/crm/sandbox"
	"callbridge/store"
	"callbridge/store/storetest"
)

// chainRules want everything of one call: contact, call, communication, task
// and process or order.
func chainRules(s *bridge.Settings) {
	for i := range s.Integrations {
		c := &s.Integrations[i].Calls
		c.Tasks = []bridge.TaskRule{{CallRule: bridge.CallRule{Direction: bridge.In}, Title: "Перезвонить"}}
		c.Processes = []bridge.ProcessRule{{CallRule: bridge.CallRule{Direction: bridge.In}, Title: "Заказ"}}
	}
}

// plug is the power of the machine: pulled at one request to a CRM, before it
// is sent or after it was carried out, nothing of the program goes on. What is
// on the disk at that moment is all that the next start has.
type plug struct {
	next  http.RoundTripper
	mu    sync.Mutex
	n, at int
	after bool
	disk  func() error
	dead  bool
	err   error
}

var errPulled = errors.New("the machine is off")

func (p *plug) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return nil, errPulled
	}
	p.n++
	if p.n != p.at {
		p.mu.Unlock()
		return p.next.RoundTrip(r)
	}
	defer p.mu.Unlock()
	p.dead = true
	if p.after {
		res, err := p.next.RoundTrip(r)
		if err == nil {
			err = res.Body.Close()
		}
		p.err = err
	}
	p.err = errors.Join(p.err, p.disk())
	return nil, errPulled
}

func (p *plug) off() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// listens runs what Start runs beside the call path, for a firm without pages.
func (f *firm) listens(s *sounds) {
	f.pbxs = append(f.pbxs, &phoneSystem{id: "office", kind: "asterisk", stream: s, status: func() linkStatus { return linkStatus{connected: true} }})
	f.housework.Go(func() { f.recorder.run(f.work) })
}

// recorded is an answered call with a sound file that is not there yet.
func (f *firm) recorded(client string) {
	f.t.Helper()
	now := time.Now()
	talk, wait := int64(20000), int64(5000)
	at := func(d time.Duration) bridge.Time { return bridge.At(now.Add(d)) }
	c := bridge.Call{ID: "chain", PBX: "office", Direction: bridge.In, Client: bridge.Number(client), ClientRaw: client, Line: "+74951234567",
		StartedAt: at(-30 * time.Second), Rang: []string{"101"}, Legs: []bridge.Leg{{Extension: "101", RingAt: at(-29 * time.Second)}}}
	end := c
	end.Legs = []bridge.Leg{{Extension: "101", RingAt: at(-29 * time.Second), AnswerAt: at(-24 * time.Second), EndAt: at(0), Result: bridge.LegAnswered}}
	end.Outcome, end.AnsweredBy, end.AnsweredAt, end.EndedAt, end.TalkMS, end.WaitMS = bridge.Answered, []string{"101"}, at(-24*time.Second), at(0), &talk, &wait
	end.Recordings = []bridge.Recording{{Name: "chain.wav", Extension: "101"}}
	var b store.Batch
	f.core.collect(&track.Change{Call: c}, &b)
	f.core.collect(&track.Change{Call: end, Was: c}, &b)
	b.Events = []store.EventRow{{CallID: end.ID, Event: bridge.Event{ID: end.ID, PBX: "office", Kind: bridge.ChannelBegan, At: end.StartedAt, Seen: end.StartedAt}}}
	f.writer.add(b)
	synctest.Wait()
	f.recorder.changed(&track.Change{Call: end, Was: c})
}

// reopened starts the program on what was on the disk, with the same CRMs.
func (f *firm) reopened(file string, s *sounds) *firm {
	f.t.Helper()
	cfg := config.Default()
	cfg.Database = config.Secret("sqlite:" + file)
	cfg.TimeZone, cfg.PublicURL = "Europe/Moscow", "https://calls.example.ru"
	next := &firm{t: f.t, mega: f.mega, retail: f.retail, log: &journal{}}
	a, err := New(f.t.Context(), Options{Config: cfg, Key: bytes.Repeat([]byte{7}, 32), Log: slog.New(slog.NewTextHandler(next.log, nil)),
		Transport: hosts{"megaplan.localhost": sandbox.Transport(f.mega), "demo.retailcrm.test": sandbox.Transport(f.retail)}})
	must(f.t, err)
	next.App = a
	_, err = a.db.Own(f.t.Context()) // as Start does
	must(f.t, err)
	next.listens(s)
	a.startPath()
	a.startTargets()
	return next
}

// chain is what both CRMs have in the end, without ids and times.
func (f *firm) chain() string {
	var out []string
	link := func(text string) string {
		if strings.Contains(text, "https://calls.example.ru/recordings/chain/0?") {
			return "link"
		}
		return ""
	}
	for name, s := range map[string]sandbox.Sandbox{mp: f.mega, rc: f.retail} {
		for _, o := range s.Objects() {
			if o.Seed || o.Kind == "popup" {
				continue
			}
			has := ""
			if o.Kind == "call" || o.Kind == "note" { // texts of other objects name it only if it was there in time
				has = link(o.Value("record") + o.Value("recordUrl") + o.Value("text"))
			}
			out = append(out, strings.TrimSpace(name+" "+o.Kind+" "+has))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// goOn runs the program until everything is settled, for a quarter of an hour
// from began on at most, or until the plug is pulled; the sound file comes after
// three minutes, when all that was tried again has been done.
func (f *firm) goOn(began time.Time, s *sounds, p *plug) {
	f.t.Helper()
	for quiet := 0; quiet < 3 && time.Since(began) < 15*time.Minute && (p == nil || !p.off()); {
		if time.Since(began) > 3*time.Minute {
			s.set("chain.wav", 5000)
		}
		f.settle(10 * time.Second)
		rows, err := f.db.Deliveries(f.t.Context(), store.DeliveryFilter{Limit: 1000})
		must(f.t, err)
		attached := 0
		for _, d := range rows {
			if d.Action.Kind == bridge.ActRecording && d.State == bridge.Done {
				attached++
			}
		}
		if quiet++; attached < 2 || slices.ContainsFunc(rows, func(d bridge.Delivery) bool { return d.State == bridge.Waiting || d.State == bridge.Trying }) {
			quiet = 0
		}
	}
}

// TestF14StopAtEveryPoint: contact, call, communication, task, process and the
// link to a recording that comes later, in both CRMs. The machine is switched
// off at each of their requests, before it is sent and after it was carried
// out; whatever is on the disk then, the next start brings the same end.
func TestF14StopAtEveryPoint(t *testing.T) {
	run := func(t *testing.T, at int, after bool) (end string, requests int) {
		synctest.Test(t, func(t *testing.T) {
			p := &plug{at: -1}
			f := openFirm(t, "Europe/Moscow", chainRules, func(rt http.RoundTripper) http.RoundTripper { p.next = rt; return p })
			s := &sounds{files: map[string][]byte{}}
			f.listens(s)
			file := filepath.Join(t.TempDir(), "disk.db")
			p.mu.Lock()
			p.n, p.at, p.after = 0, at, after
			p.disk = func() error { _, err := f.db.Backup(context.WithoutCancel(t.Context()), file); return err }
			p.mu.Unlock()
			began := time.Now()
			f.recorded("+79161234567")
			f.goOn(began, s, p)
			if p.off() {
				must(t, p.err)
				f.close()
				f = f.reopened(file, s)
				f.goOn(began, s, nil)
			}
			defer f.close()
			end, requests = f.chain(), p.n
			rows, err := f.db.Deliveries(t.Context(), store.DeliveryFilter{Limit: 1000})
			must(t, err)
			for _, d := range rows {
				if d.State != bridge.Done && d.State != bridge.Skipped {
					t.Errorf("%s of %s is %s: %s", d.Action.Key, d.Integration, d.State, d.Error)
				}
			}
			if n, err := f.db.LedgerImbalance(t.Context()); err != nil || n != 0 {
				t.Errorf("imbalance %d, %v", n, err)
			}
		})
		return end, requests
	}
	want, n := run(t, 0, false)
	const whole = "mp call link, mp communication, mp contact, mp deal, mp task, rc call, rc contact, rc deal, rc note link, rc task"
	if want != whole || n < 15 {
		t.Fatalf("%d requests make %s, want %s", n, want, whole)
	}
	stops := 0
	for at := 1; at <= n; at++ {
		for _, after := range []bool{false, true} {
			if storetest.Slow && at%6 != 0 {
				continue // all of them only where SQLite is fast
			}
			stops++
			t.Run(fmt.Sprintf("request=%d,carried-out=%v", at, after), func(t *testing.T) {
				if got, _ := run(t, at, after); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			})
		}
	}
	t.Logf("%d requests, %d stops", n, stops)
}

// linkOf is the link to the recording that a CRM has, and until when it works.
func linkOf(t *testing.T, text string) (link string, until time.Time) {
	t.Helper()
	i := strings.LastIndex(text, "https://calls.example.ru/recordings/")
	if i < 0 {
		return "", time.Time{}
	}
	link = strings.Fields(text[i:])[0]
	u, err := url.Parse(link)
	must(t, err)
	sec, err := strconv.ParseInt(u.Query().Get("until"), 10, 64)
	must(t, err)
	return link, time.Unix(sec, 0)
}

// TestF14RecordingDaysLaterAndLinksRenewed: a sound file that comes two days
// after the call is attached in both CRMs; a year later, before the links run
// out, both get new ones, once; an old one says where to go.
func TestF14RecordingDaysLaterAndLinksRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		s := &sounds{files: map[string][]byte{}}
		f.listens(s)
		f.recorded("+79161234567")
		f.settle(time.Minute)
		off := func(on bool) {
			for _, id := range []string{mp, rc} {
				var err error
				if on {
					_, err = switcher{f.App}.Activate(t.Context(), id, "anna", true)
				} else {
					_, err = switcher{f.App}.Deactivate(t.Context(), id, "anna")
				}
				must(t, err)
			}
		}
		links := func() (mpLink, rcLink string) {
			for _, o := range f.mega.Objects() {
				if o.Kind == "call" && !o.Seed {
					mpLink, _ = linkOf(t, o.Value("record"))
				}
			}
			for _, o := range f.retail.Objects() {
				if o.Kind == "note" {
					rcLink, _ = linkOf(t, o.Value("text"))
				}
			}
			return mpLink, rcLink
		}
		off(false) // nobody works over the week-end, which spares the test two days of idling workers
		f.settle(48 * time.Hour)
		if a, b := links(); a+b != "" {
			t.Fatalf("a link to nothing: %q %q", a, b)
		}
		s.set("chain.wav", 5000)
		f.settle(2 * time.Hour)
		off(true)
		f.settle(time.Minute)
		a, b := links()
		if a == "" || b != a || count(f.retail, "note") != 1 {
			t.Fatalf("two days later: %q %q, %d notes", a, b, count(f.retail, "note"))
		}
		if n, err := f.recorder.renew(t.Context(), time.Now()); n != 0 || err != nil {
			t.Errorf("%d links are renewed at once, %v", n, err)
		}
		off(false)
		f.settle(recordingLife - linkRenewal)
		off(true)
		for i, want := range []int{2, 0} {
			if n, err := f.recorder.renew(t.Context(), time.Now()); n != want || err != nil {
				t.Errorf("look %d: %d links are renewed, %v; want %d", i, n, err, want)
			}
			f.settle(time.Minute)
		}
		a2, b2 := links()
		_, until := linkOf(t, a2)
		if a2 == a || b2 != a2 || time.Until(until) < 300*24*time.Hour || count(f.retail, "note") != 2 {
			t.Errorf("renewed: %q %q until %v, %d notes", a2, b2, until, count(f.retail, "note"))
		}
		if n, err := f.db.LedgerImbalance(t.Context()); err != nil || n != 0 {
			t.Errorf("imbalance %d, %v", n, err)
		}
		off(false)
		f.settle(2 * linkRenewal)
		mux := http.NewServeMux()
		for pattern, h := range f.mounts() {
			mux.Handle(pattern, h)
		}
		for link, code := range map[string]int{a: http.StatusGone, a2: http.StatusOK} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, strings.TrimPrefix(link, "https://calls.example.ru"), nil))
			if w.Code != code || code == http.StatusGone && !strings.Contains(w.Body.String(), "/calls/chain") {
				t.Errorf("%s: %d %s", link, w.Code, w.Body)
			}
		}
	})
}
