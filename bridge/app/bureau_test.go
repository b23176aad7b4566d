package app

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/sandbox"
)

// bureau is a company of four with a simulated Megaplan, a real store and the
// real call path; events come in as from a PBX.
type bureau struct {
	*App
	t    *testing.T
	mega *megaplantest.Server
	n    int
}

const (
	bureauClient = bridge.Number("+79161234567")
	bureauLine   = "+74951234567"
)

// bureauRules are the usual rules; a test changes what it is about.
func bureauRules() bridge.CallRules {
	return bridge.CallRules{
		Contact:        &bridge.ContactRule{When: []string{"answer", "missed"}, Responsible: "last_talked"},
		Communications: []bridge.CallRule{{Direction: bridge.In}, {Direction: bridge.Out}},
		Tasks:          []bridge.TaskRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}}, Due: bridge.Duration(4 * time.Hour)}},
	}
}

func bureauSeed() megaplantest.Seed {
	return megaplantest.Seed{
		Employees: []megaplantest.Employee{
			{FirstName: "Иван", LastName: "Петров", Email: "ivan@example.ru", Extension: "101"},
			{FirstName: "Ольга", LastName: "Смирнова", Email: "olga@example.ru", Extension: "102"},
			{FirstName: "Пётр", LastName: "Сидоров", Email: "petr@example.ru", Extension: "103"},
			{FirstName: "Анна", LastName: "Белова", Email: "anna@example.ru", Extension: "sip:104@pbx.example"},
		},
		ClientFields: []megaplantest.Field{{Name: "Category183CustomFieldUtmSource", Label: "utm_source"}, {Name: "Category183CustomFieldLine", Label: "line"}},
	}
}

// openBureau starts everything. change may edit the settings.
func openBureau(t *testing.T, seed megaplantest.Seed, change func(*bridge.Settings)) *bureau {
	t.Helper()
	mega := megaplantest.New(megaplantest.Options{Seed: seed})
	return openBureauWith(t, mega, sandbox.Transport(mega), change)
}

func openBureauWith(t *testing.T, mega *megaplantest.Server, transport http.RoundTripper, change func(*bridge.Settings)) *bureau {
	t.Helper()
	return openBureauOptions(t, mega, Options{Transport: transport}, change)
}

func openBureauOptions(t *testing.T, mega *megaplantest.Server, o Options, change func(*bridge.Settings)) *bureau {
	t.Helper()
	cfg := config.Default()
	cfg.Database = config.Secret("sqlite:" + filepath.Join(t.TempDir(), "callbridge.db"))
	cfg.PublicURL = "https://calls.example.ru"
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	o.Config, o.Key, o.Log = cfg, key, slog.New(slog.DiscardHandler)
	a, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b := &bureau{App: a, t: t, mega: mega}
	s := bridge.Settings{
		Integrations: []bridge.Integration{{ID: "mp", Kind: "megaplan", Active: true, DefaultResponsible: "petr@example.ru",
			Credentials: map[string]string{"url": "http://megaplan.localhost", "username": "bot@example.ru", "password": "secret"}, Calls: bureauRules()}},
		Employees: []bridge.Employee{{Extension: "101", Email: "ivan@example.ru", Name: "Иван Петров"}, {Extension: "102", Email: "olga@example.ru", Name: "Ольга Смирнова"}},
		Lines:     []bridge.Line{{Number: bureauLine, Name: "Сайт", Source: map[string]string{"utm_source": "yandex"}}},
	}
	if change != nil {
		change(&s)
	}
	if _, err := a.Apply(t.Context(), "test", "", s); err != nil {
		t.Fatal(err)
	}
	for _, target := range a.targets() {
		if err := a.syncOnce(t.Context(), target); err != nil {
			t.Fatal(err)
		}
	}
	a.startPath()
	a.startTargets()
	t.Cleanup(func() {
		if err := a.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return b
}

// ringing is a call on its way; its methods tell what happens next.
type ringing struct {
	b         *bureau
	id        string
	trunk     bridge.Channel
	phones    map[string]bridge.Channel
	at        time.Time
	told      int
	direction bridge.Direction
}

// rings begins a call of the client at these phones.
func (b *bureau) rings(client string, phones ...string) *ringing {
	b.n++
	r := &ringing{b: b, id: fmt.Sprintf("%d", b.n), phones: map[string]bridge.Channel{}, at: time.Now().Add(-time.Minute), direction: bridge.In}
	r.trunk = bridge.Channel{ID: "t" + r.id, Trunk: "trunk", Number: client, Exten: strings.TrimPrefix(bureauLine, "+"), Incoming: true, State: "ring",
		Since: bridge.At(r.at), Group: "g" + r.id}
	r.tell(bridge.Event{Kind: bridge.ChannelBegan, Leg: &r.trunk})
	for _, p := range phones {
		r.also(p)
	}
	return r
}

func (r *ringing) tell(e bridge.Event) *ringing {
	r.told++
	r.at = r.at.Add(10 * time.Millisecond)
	e.ID, e.PBX, e.At = fmt.Sprintf("%s-%03d", r.id, r.told), "office", bridge.At(r.at)
	// An event never changes once it is told; our channels do.
	if e.Leg != nil {
		leg := *e.Leg
		e.Leg = &leg
	}
	if e.Peer != nil {
		peer := *e.Peer
		e.Peer = &peer
	}
	r.b.core.emit(e)
	return r
}

// also lets one more phone ring.
func (r *ringing) also(ext string) *ringing {
	c := bridge.Channel{ID: "p" + r.id + "-" + ext + "-" + fmt.Sprint(r.told), Extension: ext, Number: ext, Exten: "s", Since: bridge.At(r.at), State: "down", Group: "g" + r.id}
	r.phones[ext] = c
	r.tell(bridge.Event{Kind: bridge.ChannelBegan, Leg: &c})
	r.tell(bridge.Event{Kind: bridge.Dialling, Leg: &r.trunk, Peer: &c})
	return r.tell(bridge.Event{Kind: bridge.DialRinging, Leg: &r.trunk, Peer: &c})
}

// after lets time pass.
func (r *ringing) after(d time.Duration) *ringing { r.at = r.at.Add(d); return r }

func (r *ringing) answers(ext string) *ringing {
	c := r.phones[ext]
	r.tell(bridge.Event{Kind: bridge.DialAnswered, Leg: &r.trunk, Peer: &c})
	for other, o := range r.phones {
		if other != ext && o.State != "up" && o.State != "gone" {
			r.stops(other, bridge.DialCancelled)
		}
	}
	c.State = "up"
	r.phones[ext] = c
	return r
}

// stops ends the ringing of one phone.
func (r *ringing) stops(ext, result string) *ringing {
	c := r.phones[ext]
	r.tell(bridge.Event{Kind: bridge.DialEnded, Leg: &r.trunk, Peer: &c, Result: result})
	r.tell(bridge.Event{Kind: bridge.ChannelEnded, Leg: &c})
	c.State = "gone"
	r.phones[ext] = c
	return r
}

// passes hands the client over from one phone to another, who answers.
func (r *ringing) passes(from, to string) *ringing {
	c := r.phones[from]
	r.tell(bridge.Event{Kind: bridge.BlindTransfer, Leg: &c, Peer: &r.trunk, Dialled: to, Result: bridge.TransferDone})
	r.tell(bridge.Event{Kind: bridge.ChannelEnded, Leg: &c, Cause: 16})
	c.State = "gone"
	r.phones[from] = c
	return r.also(to).after(time.Second).answers(to)
}

func (r *ringing) ends() *ringing {
	r.tell(bridge.Event{Kind: bridge.Hangup, Leg: &r.trunk, Cause: 16})
	for ext, c := range r.phones {
		if c.State == "gone" {
			continue
		}
		if c.State != "up" {
			r.stops(ext, bridge.DialCancelled)
			continue
		}
		r.tell(bridge.Event{Kind: bridge.ChannelEnded, Leg: &c, Cause: 16})
	}
	return r.tell(bridge.Event{Kind: bridge.ChannelEnded, Leg: &r.trunk, Cause: 16})
}

// talk is a whole call in which ext talked.
func (b *bureau) talk(client, ext string) {
	b.rings(client, ext).after(time.Second).answers(ext).after(3 * time.Second).ends()
}

// eventually waits until done has nothing to complain about.
func (b *bureau) eventually(what string, done func() string) {
	b.t.Helper()
	over, again := time.After(2*time.Minute), time.NewTicker(5*time.Millisecond)
	defer again.Stop()
	for {
		trouble := done()
		if trouble == "" {
			return
		}
		select {
		case <-over:
			b.t.Fatalf("not: %s: %s", what, trouble)
		case <-again.C:
		}
	}
}

// settled waits until n calls are over and nothing is left to deliver, and
// returns all deliveries.
func (b *bureau) settled(n int) []bridge.Delivery {
	b.t.Helper()
	var all []bridge.Delivery
	b.eventually("calls are over and delivered", func() string {
		calls, err := b.allCalls()
		if err != nil {
			return err.Error()
		}
		ended := 0
		for _, c := range calls {
			if c.Ended() {
				ended++
			}
		}
		if ended != n {
			return fmt.Sprintf("%d of %d calls are over", ended, n)
		}
		if all, err = b.allDeliveries(); err != nil {
			return err.Error()
		}
		for _, d := range all {
			if d.State != bridge.Done && d.State != bridge.Skipped {
				return fmt.Sprintf("%s is %s: %s %s", d.Action.Key, d.State, d.Error, d.Note)
			}
		}
		return ""
	})
	return all
}

// made returns what the CRM has of a kind beyond the seed.
func (b *bureau) made(kind string) []sandbox.Object {
	var out []sandbox.Object
	for _, o := range b.mega.Objects() {
		if o.Kind == kind && !o.Seed {
			out = append(out, o)
		}
	}
	return out
}

func actionOf(list []bridge.Delivery, kind bridge.ActionKind) (bridge.Delivery, bool) {
	for _, d := range list {
		if d.Action.Kind == kind {
			return d, true
		}
	}
	return bridge.Delivery{}, false
}
