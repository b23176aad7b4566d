package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/route"
	"callbridge/bridge/web"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/sandbox"
)

// slowRoad is the way to a CRM that can be closed: requests then hang.
type slowRoad struct {
	next   http.RoundTripper
	closed atomic.Bool
}

func (s *slowRoad) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.closed.Load() {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return s.next.RoundTrip(r)
}

func routed(t *testing.T, client string, change func(*bridge.Settings)) (*bureau, *slowRoad) {
	t.Helper()
	seed := bureauSeed()
	seed.Programs = []megaplantest.Program{{Name: "Продажа", States: []string{"Новая", "Оплачено"}, Won: []string{"Оплачено"}}}
	if client != "" {
		seed.Clients = []megaplantest.Client{{FirstName: "Мария", Phones: []string{client}, Responsible: "anna@example.ru"}}
	}
	mega := megaplantest.New(megaplantest.Options{Seed: seed})
	road := &slowRoad{next: sandbox.Transport(mega)}
	return openBureauWith(t, mega, road, func(s *bridge.Settings) {
		s.Integrations[0].Calls.PersonalManager = true
		if change != nil {
			change(s)
		}
	}), road
}

func (b *bureau) ask() route.Answer {
	b.t.Helper()
	return b.router.Answer(b.t.Context(), route.Question{PBX: "office", Client: bureauClient, Line: bureauLine})
}

// M-4.6, M-0.4: open process's manager, contact's responsible, who talked last.
func TestM46M04OrderOfPersonalManagers(t *testing.T) {
	b, _ := routed(t, "79161234567", func(s *bridge.Settings) {
		s.Integrations[0].Calls.Processes = []bridge.ProcessRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered}}, Responsible: "talked"}}
		s.Integrations[0].Calls.Tasks = nil
	})
	if a := b.ask(); a.Extension != "104" || !strings.Contains(a.Why, "responsible of contact") {
		t.Errorf("a client with a responsible: %+v", a)
	}
	// A talk with Olga makes a process that is hers: from then on it is first.
	b.talk("79161234567", "102")
	b.settled(1)
	b.eventually("the process is in the index", func() string {
		target := b.targetOf("mp")
		if err := b.refresh(t.Context(), target, bureauClient); err != nil {
			return err.Error()
		}
		if a := b.ask(); a.Extension != "102" || !strings.Contains(a.Why, "open process") {
			return fmt.Sprintf("%+v", a)
		}
		return ""
	})
	// She does not want to be disturbed: the contact's own responsible is next.
	b.hub.SetDND("102", true)
	a := b.ask()
	if a.Extension != "104" || len(a.Steps) != 2 || a.Steps[0].Skipped != "do not disturb" {
		t.Errorf("with do-not-disturb: %+v", a)
	}
	// He is not registered, and in a third call Olga's colleague is on the phone: nobody.
	b.phones.apply(bridge.Event{PBX: "office", Kind: bridge.Registration, Name: "104", Value: "offline"})
	if a := b.ask(); a.Extension != "" || a.Steps[1].Skipped != "the phone is not registered" || !strings.Contains(a.Why, "default scenario") {
		t.Errorf("nobody can: %+v", a)
	}
	// Won processes do not count.
	b.hub.SetDND("102", false)
	for _, o := range b.made("deal") {
		b.mega.MoveDeal(o.ID, "Оплачено")
	}
	b.phones.apply(bridge.Event{PBX: "office", Kind: bridge.Registration, Name: "104", Value: "online"})
	if err := b.refresh(t.Context(), b.targetOf("mp"), bureauClient); err != nil {
		t.Fatal(err)
	}
	b.eventually("the index forgets the closed process", func() string {
		e, _ := b.targetOf("mp").book.Known(t.Context(), bureauClient)
		if e.Dealer != "" {
			return e.Deal
		}
		return ""
	})
	if a := b.ask(); a.Extension != "104" {
		t.Errorf("after the process is won: %+v", a)
	}
}

func TestM46WhoTalkedLastAndBusyPhones(t *testing.T) {
	b, _ := routed(t, "", nil)
	if a := b.ask(); a.Extension != "" || !strings.Contains(a.Why, "nobody found") {
		t.Errorf("a stranger: %+v", a)
	}
	b.talk("79161234567", "103")
	b.settled(1)
	if a := b.ask(); a.Extension != "103" {
		t.Errorf("after a talk with 103: %+v", a)
	}
	b.rings("79035554433", "103").after(time.Second).answers("103")
	b.eventually("103 is on the phone", func() string {
		if a := b.ask(); a.Extension != "" || !strings.Contains(a.Why, "on the phone") {
			return fmt.Sprintf("%+v", a)
		}
		return ""
	})
}

// M-4.6: who is dismissed in the CRM, or not in its telephony settings, is
// skipped with that reason.
func TestM462OffAndUnlistedAreSkipped(t *testing.T) {
	for name, e := range map[string]megaplantest.Employee{
		"does not work there any more": {FirstName: "Вера", Email: "vera@example.ru", Extension: "107", Dismissed: true},
		"no extension in Megaplan":     {FirstName: "Вера", Email: "vera@example.ru"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := routed(t, "", nil)
			b.mega.AddEmployee(e)
			b.mega.AddClient(megaplantest.Client{FirstName: "Мария", Phones: []string{"79161234567"}, Responsible: "vera@example.ru"})
			if err := b.syncOnce(t.Context(), b.targetOf("mp")); err != nil {
				t.Fatal(err)
			}
			if a := b.ask(); a.Extension != "" || !strings.Contains(a.Why, name) {
				t.Errorf("%+v", a)
			}
		})
	}
}

// F-13: with the CRM hanging the index still answers, and quickly.
func TestF13IndexAnswersWhileTheCRMHangs(t *testing.T) {
	b, road := routed(t, "79161234567", nil)
	if a := b.ask(); a.Extension != "104" {
		t.Fatalf("first: %+v", a)
	}
	road.closed.Store(true)
	var took []time.Duration
	for range 200 {
		a := b.ask()
		if a.Extension != "104" {
			t.Fatalf("with the CRM hanging: %+v", a)
		}
		took = append(took, a.Took)
	}
	slices.Sort(took)
	t.Logf("200 answers from the index: p50 %v, p99 %v", took[100], took[198])
	if took[198] > 200*time.Millisecond {
		t.Errorf("p99 is %v", took[198])
	}
	// Of a client of whom nothing is known it is said in time, too.
	a := b.router.Answer(t.Context(), route.Question{PBX: "office", Client: "+79990000000", Line: bureauLine})
	if a.Extension != "" || a.Took > 1100*time.Millisecond || !strings.Contains(a.Why, "no answer from a CRM") {
		t.Errorf("unknown client: %+v", a)
	}
	road.closed.Store(false)
}

// The reason of a decision is stored and shown with its call.
func TestM46ReasonIsShownWithTheCall(t *testing.T) {
	b, _ := routed(t, "79161234567", nil)
	r := b.rings("79161234567", "104")
	b.asked(bridge.Event{PBX: "office", Kind: bridge.RouteAsked, Leg: &r.trunk, Args: []string{"route", strings.TrimPrefix(bureauLine, "+"), "79161234567"}})
	r.after(time.Second).answers("104").after(time.Second).ends()
	b.settled(1)
	calls, err := b.allCalls()
	if err != nil || len(calls) != 1 {
		t.Fatal(err, calls)
	}
	b.eventually("the decision is stored", func() string {
		got, err := (site{b.App}).routes(t.Context(), calls[0])
		if err != nil || len(got) != 1 || got[0].Extension != "104" || len(got[0].Steps) != 1 || !got[0].Steps[0].Chosen || !strings.Contains(got[0].Why, "responsible of contact") {
			return fmt.Sprintf("%+v %v", got, err)
		}
		return ""
	})
}

// The question over HTTP: secret, answer, and the reason with the call.
func TestM010QuestionOverHTTP(t *testing.T) {
	b, _ := routed(t, "79161234567", nil)
	b.pbxs = append(b.pbxs, &phoneSystem{id: "office", kind: "asterisk", routeSecret: "a-long-route-secret"})
	defer func() { b.pbxs = nil }()
	s := site{b.App}
	q := web.RouteQuestion{PBX: "office", Number: "8 (916) 123-45-67", Line: "74951234567", CallID: "g1"}
	if _, err := s.route(t.Context(), q); err != web.ErrForbidden {
		t.Errorf("without the secret: %v", err)
	}
	q.Secret = "a-long-route-secret"
	a, err := s.route(t.Context(), q)
	if err != nil || a.Extension != "104" || !strings.Contains(a.Reason, "responsible of contact") {
		t.Errorf("%+v, %v", a, err)
	}
	b.eventually("the decision is stored", func() string {
		got, err := s.routes(context.WithoutCancel(t.Context()), bridge.Call{PBX: "office", PBXCallID: "g1", Client: bureauClient})
		if err != nil || len(got) != 1 {
			return fmt.Sprint(got, err)
		}
		return ""
	})
}

// M-0.9: a switch turned in the PBX is ours at once, and kept.
func TestM09DoNotDisturbFromThePBX(t *testing.T) {
	b, _ := routed(t, "", nil)
	tell := func(value string) {
		b.core.emit(bridge.Event{ID: value, PBX: "office", Kind: bridge.DeviceState, Name: "Stasis:dnd-101", Value: value, At: bridge.At(time.Now())})
	}
	for value, want := range map[string]bool{"busy": true, "not_inuse": false} {
		if value == "not_inuse" {
			tell("busy")
		}
		tell(value)
		b.eventually(value, func() string {
			all, err := b.db.DoNotDisturb(t.Context())
			if err != nil || b.hub.DND("101") != want || all["101"].On != want {
				return fmt.Sprintf("hub %t, store %+v, %v", b.hub.DND("101"), all["101"], err)
			}
			return ""
		})
	}
}
