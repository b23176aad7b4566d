package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/track"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/crm/sandbox"
	"callbridge/store"
)

// hosts carries requests to the simulated CRM of their host.
type hosts map[string]http.RoundTripper

func (h hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	if t, ok := h[r.URL.Hostname()]; ok {
		return t.RoundTrip(r)
	}
	return nil, fmt.Errorf("no such host %q", r.URL.Hostname())
}

// firm is the program with a real store and both simulated CRMs, in virtual time.
type firm struct {
	*App
	t      *testing.T
	mega   *megaplantest.Server
	retail *retailcrmtest.Fake
	log    *journal
	calls  []bridge.Call
}

const (
	mp = "mp"
	rc = "rc"
)

// journal is the log of a program that goes on writing while it is read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) Reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Reset()
}

// openFirm starts it; zone is that of both integrations, wires stand between it
// and the CRMs.
func openFirm(t *testing.T, zone string, change func(*bridge.Settings), wires ...func(http.RoundTripper) http.RoundTripper) *firm {
	t.Helper()
	f := &firm{t: t, log: &journal{},
		mega: megaplantest.New(megaplantest.Options{Seed: megaplantest.Seed{Employees: []megaplantest.Employee{
			{FirstName: "Иван", LastName: "Петров", Email: "ivan@example.ru", Extension: "101"}}}}),
		retail: retailcrmtest.New(retailcrmtest.Options{Zone: zone, Unlimited: true, Users: []retailcrmtest.User{
			{Email: "ivan@example.ru", First: "Иван", Last: "Петров", Extension: "101"}}})}
	cfg := config.Default()
	cfg.Database = config.Secret("sqlite:" + filepath.Join(t.TempDir(), "callbridge.db"))
	cfg.TimeZone, cfg.PublicURL = zone, "https://calls.example.ru"
	var wire http.RoundTripper = hosts{"megaplan.localhost": sandbox.Transport(f.mega), "demo.retailcrm.test": sandbox.Transport(f.retail)}
	for _, w := range wires {
		wire = w(wire)
	}
	a, err := New(t.Context(), Options{Config: cfg, Key: bytes.Repeat([]byte{7}, 32), Log: slog.New(slog.NewTextHandler(f.log, nil)), Transport: wire})
	if err != nil {
		t.Fatal(err)
	}
	f.App = a
	rules := bridge.CallRules{Contact: &bridge.ContactRule{},
		Communications: []bridge.CallRule{{Direction: bridge.In}},
		Tasks:          []bridge.TaskRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}}, Title: "{{.Call.ID}}"}}}
	s := bridge.Settings{
		Integrations: []bridge.Integration{
			{ID: mp, Kind: "megaplan", Active: true, DefaultResponsible: "ivan@example.ru", Calls: rules,
				Credentials: map[string]string{"url": "http://megaplan.localhost", "username": "bot@example.ru", "password": "secret"}},
			{ID: rc, Kind: "retailcrm", Active: true, DefaultResponsible: "ivan@example.ru", Calls: rules,
				Credentials: map[string]string{"url": "https://demo.retailcrm.test", "api_key": retailcrmtest.DefaultKey, "site": "shop"}}},
		Employees: []bridge.Employee{{Extension: "101", Email: "ivan@example.ru"}},
	}
	if change != nil {
		change(&s)
	}
	if _, err := a.Apply(t.Context(), "test", "", s); err != nil {
		t.Fatal(err)
	}
	a.startPath()
	a.startTargets()
	synctest.Wait()
	time.Sleep(2 * time.Second) // the employees are read
	synctest.Wait()
	return f
}

func (f *firm) close() {
	if err := f.Stop(context.WithoutCancel(f.t.Context())); err != nil {
		f.t.Error(err)
	}
}

// call is an inbound call that rang at 101 and ends now; the odd ones were missed.
func (f *firm) call(client string) bridge.Call {
	f.t.Helper()
	n := len(f.calls)
	now := time.Now()
	talk, wait := int64(20000), int64(5000)
	ring := bridge.Call{ID: fmt.Sprintf("%04d", n), PBX: "office", Direction: bridge.In, Client: bridge.Number(client), ClientRaw: client, Line: "+74951234567",
		StartedAt: bridge.At(now.Add(-30 * time.Second)), Rang: []string{"101"},
		Legs: []bridge.Leg{{Extension: "101", RingAt: bridge.At(now.Add(-29 * time.Second))}}}
	end := ring
	end.Legs = slices.Clone(ring.Legs)
	end.Legs[0].EndAt, end.EndedAt, end.WaitMS = bridge.At(now), bridge.At(now), &wait
	end.Outcome, end.Reason = bridge.Missed, bridge.CallerHungUp
	if n%2 == 0 {
		end.Outcome, end.Reason, end.AnsweredBy, end.TalkMS = bridge.Answered, "", []string{"101"}, &talk
		end.AnsweredAt, end.Legs[0].AnswerAt, end.Legs[0].Result = bridge.At(now.Add(-24*time.Second)), bridge.At(now.Add(-24*time.Second)), bridge.LegAnswered
	}
	var b store.Batch
	f.core.collect(&track.Change{Call: ring}, &b)
	f.core.collect(&track.Change{Call: end, Was: ring}, &b)
	b.Events = []store.EventRow{{CallID: end.ID, Event: bridge.Event{ID: end.ID, PBX: "office", Kind: bridge.ChannelBegan, At: end.StartedAt, Seen: end.StartedAt}}}
	f.writer.add(b)
	f.calls = append(f.calls, end)
	return end
}

// settle lets what is due happen.
func (f *firm) settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (f *firm) board() Switchboard { return Switchboard{DB: f.db, Zone: f.zone} }

func (f *firm) state(id string) store.IntegrationState {
	f.t.Helper()
	st, err := f.db.IntegrationState(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	return st
}

// written counts the calls in each CRM by our id of the call; Megaplan has none
// but the start, so its list is of those.
func (f *firm) retailCalls() []string {
	var out []string
	for _, o := range f.retail.Objects() {
		if o.Kind == "call" {
			out = append(out, strings.TrimSuffix(strings.TrimPrefix(o.ID, "callbridge:"), ":call"))
		}
	}
	return out
}

// made counts everything both CRMs hold.
func (f *firm) made() string {
	var out []string
	for _, s := range []sandbox.Sandbox{f.mega, f.retail} {
		for _, kind := range []string{"contact", "call", "communication", "task", "deal", "popup"} {
			out = append(out, fmt.Sprintf("%s %s %d", s.Title(), kind, sandbox.Count(s, kind)))
		}
	}
	return strings.Join(out, ", ")
}

func (f *firm) balanced() {
	f.t.Helper()
	n, err := f.db.LedgerImbalance(context.WithoutCancel(f.t.Context()))
	if err != nil || n != 0 {
		f.t.Errorf("the ledger does not balance by %d (%v)", n, err)
	}
}

// TestR12R13R14R15HeldForThreeDaysEverythingArrivesOnce: both CRMs refuse the
// credentials in mid-stream. Nothing is lost, nothing is tried, and after the
// reactivation each call of the window arrives exactly once and in order.
func TestR12R13R14R15HeldForThreeDaysEverythingArrivesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10 * time.Hour) // 13:00 in Moscow
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		for n := range 4 {
			f.call(fmt.Sprintf("+7916000000%d", n%3))
			f.settle(time.Minute)
		}
		f.settle(time.Minute)
		if n := len(f.retailCalls()); n != 4 {
			t.Fatalf("%d calls before the trouble, want 4: %s", n, f.made())
		}

		f.mega.SetFault(sandbox.Credentials, true)
		f.retail.SetFault(sandbox.Credentials, true)
		f.mega.ClearLog()
		f.retail.ClearLog()
		broke := time.Now()
		first := f.call("+79160000000")
		f.settle(10 * time.Second)
		known := map[string]int{}
		for id, s := range map[string]interface{ RequestLog() []sandbox.Logged }{rc: f.retail, mp: f.mega} {
			st := f.state(id)
			if st.Active || st.FirstRefused.IsZero() || st.HeldReason == "" {
				t.Errorf("%s is not held: %+v", id, st)
			}
			// retailCRM is asked nothing more; Megaplan is asked for a new token
			// once, by refresh and by login, before it is believed, and what was
			// on its way at that moment (the lookup's two requests and the route)
			// arrives too.
			asked := map[string]int{}
			for _, r := range s.RequestLog() {
				asked[r.Method]++
				known[id]++
			}
			most := map[string]map[string]int{rc: {"GET": 1, "POST": 1}, mp: {"GET": 3, "POST": 2}}[id]
			if asked["GET"] > most["GET"] || asked["POST"] > most["POST"] {
				t.Errorf("%s: %v after the first refusal: %v", id, asked, s.RequestLog())
			}
		}
		if !strings.Contains(f.log.String(), "refuses the credentials") {
			t.Error("nobody was told")
		}
		for _, n := range f.integrationsNow() {
			if n.active {
				t.Errorf("the metric says that %s is active", n.id)
			}
		}
		if err := f.loadSettings(t.Context()); err != nil { // what watchSettings does within a second
			t.Fatal(err)
		}
		// Three days pass: a call every three hours.
		for time.Since(broke) < 72*time.Hour {
			f.settle(3 * time.Hour)
			f.call(fmt.Sprintf("+7916000000%d", len(f.calls)%5))
		}
		f.settle(time.Minute)
		for id, s := range map[string]interface{ RequestLog() []sandbox.Logged }{rc: f.retail, mp: f.mega} {
			if n := len(s.RequestLog()); n > known[id] {
				t.Errorf("%s: %d requests to the dead account in three days", id, n-known[id])
			}
		}
		f.balanced()

		f.mega.ClearFaults()
		f.retail.ClearFaults()
		popups := sandbox.Count(f.retail, "popup")
		var window []string
		from := time.Date(2000, 1, 2, 0, 0, 0, 0, f.zone) // broke on the 1st, now it is the 4th
		for _, c := range f.calls {
			if !c.StartedAt.Before(from) {
				window = append(window, c.ID)
			}
		}
		site := switcher{f.App}
		for _, id := range []string{rc, mp} {
			st, err := site.Standing(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if st.WouldSend == 0 || st.WouldExpire == 0 || len(st.Days) < 4 || st.State != "held" || !st.Box() {
				t.Errorf("%+v", st)
			}
			d, err := site.Activate(t.Context(), id, "anna", true)
			if err != nil {
				t.Fatal(err)
			}
			if d.Sent != st.WouldSend || d.Expired != st.WouldExpire || d.Popups == 0 {
				t.Errorf("%s: said %d and %d, did %+v", id, st.WouldSend, st.WouldExpire, d)
			}
		}
		f.settle(30 * time.Minute)
		got := f.retailCalls()[4:]
		if !slices.Equal(got, window) {
			t.Errorf("retailCRM has\n%v, want the window in order\n%v", got, window)
		}
		if n := sandbox.Count(f.mega, "call"); n != 4+len(window) {
			t.Errorf("Megaplan has %d calls, want %d", n, 4+len(window))
		}
		if n := sandbox.Count(f.retail, "popup"); n != popups {
			t.Errorf("%d pop-ups of calls that are over", n-popups)
		}
		if slices.Contains(got, first.ID) {
			t.Error("the first refused call is older than the window and was sent by itself")
		}
		f.balanced()

		// What expired can be sent by hand (F-9): the first refused call too.
		for _, id := range []string{rc, mp} {
			p, err := f.board().Resend(t.Context(), ResendRequest{ResendFilter: store.ResendFilter{Integration: id}}, false)
			if err != nil || p.Cost.Deliveries == 0 || p.Cost.Requests == 0 {
				t.Fatalf("%+v, %v", p, err)
			}
		}
		f.wakeTargets(map[string]bool{rc: true, mp: true})
		f.settle(30 * time.Minute)
		all := f.retailCalls()
		if slices.Sort(all); len(all) != len(f.calls) || len(slices.Compact(all)) != len(f.calls) {
			t.Errorf("%d calls in retailCRM, want each of %d once", len(all), len(f.calls))
		}
		if n := sandbox.Count(f.mega, "call"); n != len(f.calls) {
			t.Errorf("%d calls in Megaplan, want %d", n, len(f.calls))
		}
		f.balanced()

		// F-9: everything again, twice, changes nothing.
		before := f.made()
		for range 2 {
			for _, again := range []bool{false, true} {
				for _, id := range []string{rc, mp} {
					p, err := f.board().Resend(t.Context(), ResendRequest{Again: again, ResendFilter: store.ResendFilter{Integration: id}}, false)
					if err != nil || p.Cost.Deliveries != 0 || again && p.Same == 0 {
						t.Errorf("%s again %v: %+v, %v", id, again, p, err)
					}
				}
				f.wakeTargets(map[string]bool{rc: true, mp: true})
				f.settle(10 * time.Minute)
			}
		}
		if after := f.made(); after != before {
			t.Errorf("a replay changed\n%s into\n%s", before, after)
		}
		f.balanced()
	})
}

// TestR14WithoutTheBoxNothingIsSent: what was held expires, and is not lost.
func TestR14WithoutTheBoxNothingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		f.retail.SetFault(sandbox.Credentials, true)
		for range 5 {
			f.call("+79160000001")
			f.settle(time.Minute)
		}
		f.retail.ClearFaults()
		d, err := switcher{f.App}.Activate(t.Context(), rc, "anna", false)
		if err != nil || d.Sent != 0 || d.Expired == 0 {
			t.Fatalf("%+v, %v", d, err)
		}
		f.settle(10 * time.Minute)
		if n := len(f.retailCalls()); n != 0 {
			t.Errorf("%d calls were sent", n)
		}
		f.call("+79160000001")
		f.settle(time.Minute)
		if n := len(f.retailCalls()); n != 1 {
			t.Errorf("%d calls after the reactivation, want the new one", n)
		}
		f.balanced()
	})
}

// TestR12AnyQuestionHoldsTheIntegration: a look-up for a card finds the refusal
// before any delivery does.
func TestR12AnyQuestionHoldsTheIntegration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		f.retail.SetFault(sandbox.Credentials, true)
		f.retail.ClearLog()
		f.lookups.remote(f.targetOf(rc), "x", "+79160000001")
		f.lookups.remote(f.targetOf(rc), "y", "+79160000002")
		f.settle(5 * time.Second)
		if f.state(rc).Active || !f.state(mp).Active {
			t.Errorf("retail %+v, megaplan %+v", f.state(rc), f.state(mp))
		}
		if n := len(f.retail.RequestLog()); n != 1 {
			t.Errorf("%d requests, want the refused one", n)
		}
	})
}

// TestR13TroubleOfTheServerNeverDeactivates: 5xx, time-outs and "slow down"
// wait and go on by themselves.
func TestR13TroubleOfTheServerNeverDeactivates(t *testing.T) {
	for _, fault := range []string{sandbox.Broken, sandbox.Busy, sandbox.Slow, sandbox.Cut} {
		synctest.Test(t, func(t *testing.T) {
			f := openFirm(t, "Europe/Moscow", nil)
			defer f.close()
			f.retail.SetFault(fault, true)
			f.mega.SetFault(fault, true)
			for range 3 {
				f.call("+79160000001")
				f.settle(20 * time.Minute)
			}
			if !f.state(rc).Active || !f.state(mp).Active {
				t.Fatalf("%s: retail %+v, megaplan %+v", fault, f.state(rc), f.state(mp))
			}
			f.retail.ClearFaults()
			f.mega.ClearFaults()
			f.settle(3 * time.Hour)
			if n, m := len(f.retailCalls()), sandbox.Count(f.mega, "call"); n != 3 || m != 3 {
				t.Errorf("%s: %d and %d calls, want 3: %s", fault, n, m, f.made())
			}
			f.balanced()
		})
	}
}

// TestR14ActivatedWithinTheSameSecond: held and activated again before anybody
// looked, the integration works all the same.
func TestR14ActivatedWithinTheSameSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		f.housework.Go(func() { f.watchSettings(f.work) })
		f.retail.SetFault(sandbox.Credentials, true)
		f.call("+79160000001")
		f.settle(300 * time.Millisecond)
		if f.state(rc).Active {
			t.Fatal("not held yet")
		}
		f.retail.ClearFaults()
		if _, err := f.board().Activate(t.Context(), rc, "command line", true); err != nil { // beside the daemon
			t.Fatal(err)
		}
		f.settle(time.Minute)
		if n := len(f.retailCalls()); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}
