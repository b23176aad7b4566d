package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/deploy/asterisk/bench"
)

// TestE2E makes real calls and looks at what agents see, what is kept, and
// what the CRMs hold in the end.
func TestE2E(t *testing.T) {
	b := bench.Start(t)
	p := company(t, b)
	ivan, olga := p.browser(t, "ivan"), p.browser(t, "olga")

	for _, c := range []struct {
		name     string
		scenario string
		options  bench.Options
		click    string // number ivan clicks
		ring     card.State
		want     bridge.Call
		objects  []string // kinds of which each CRM has one more in the end
	}{
		{
			name: "a client calls and ivan answers", scenario: "in_answered",
			options: bench.Options{Client: "79161234567", Ring: time.Second, Talk: 1500 * time.Millisecond}, ring: card.Ringing,
			want: bridge.Call{Direction: bridge.In, Outcome: bridge.Answered, Client: "+79161234567", Line: "+" + bench.MainLine,
				Rang: []string{"101"}, AnsweredBy: []string{"101"}, HungUpBy: bridge.ByClient},
			objects: []string{"contact", "call"},
		},
		{
			name: "a client gives up", scenario: "in_missed_caller_hangs_up",
			options: bench.Options{Client: "79031112233", Talk: time.Second}, ring: card.Ringing,
			want: bridge.Call{Direction: bridge.In, Outcome: bridge.Missed, Reason: bridge.CallerHungUp, Client: "+79031112233",
				Line: "+" + bench.MainLine, Rang: []string{"101"}, HungUpBy: bridge.ByClient},
			objects: []string{"contact", "call", "task"},
		},
		{
			name: "ivan calls a client", scenario: "out_answered",
			options: bench.Options{Client: "79055554433", Ring: time.Second, Talk: time.Second}, ring: card.Dialling,
			want: bridge.Call{Direction: bridge.Out, Outcome: bridge.Answered, Client: "+79055554433", Line: "+" + bench.MainLine,
				Agent: "101", AnsweredBy: []string{"101"}, HungUpBy: bridge.ByAgent},
			objects: []string{"contact", "call"},
		},
		{
			name: "ivan clicks to call", scenario: "c2c", click: "8 (909) 777-88-99",
			options: bench.Options{Client: "79097778899", Ring: time.Second, Talk: time.Second}, ring: card.Ringing,
			want: bridge.Call{Direction: bridge.Out, Outcome: bridge.Answered, Client: "+79097778899", Line: "+" + bench.MainLine,
				Agent: "101", Rang: []string{"101"}, AnsweredBy: []string{"101"}, HungUpBy: bridge.ByAgent, ClickID: "e2e-1"},
			objects: []string{"contact", "call"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := map[string]map[string]int{"megaplan": p.count("megaplan"), "retailcrm": p.count("retailcrm")}
			playing := b.Begin(t, c.scenario, c.options)
			if c.click != "" {
				order := map[string]string{"request_id": "e2e-1", "number": c.click}
				for range 2 { // an impatient click is one call (D-19)
					if err := p.do(ivan.token, http.MethodPost, "/api/v1/calls", order, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			// The first card of a click may come a moment before Asterisk has
			// told whom it is for.
			shown := *ivan.until(t, func(m message) bool {
				return m.Type == "card" && m.Card.State == c.ring && m.Card.Client == c.want.Client
			}).Card
			if shown.Direction != c.want.Direction {
				t.Errorf("the card shows an %s call", shown.Direction)
			}
			if c.want.Outcome == bridge.Answered {
				ivan.card(t, card.Talking)
			}
			ivan.gone(t, shown.ID)
			playing.Wait(t)

			got := p.settled(t, shown.ID)
			same(t, &got.Call, &c.want)
			for crm, had := range before {
				has := p.count(crm)
				kinds := c.objects
				if crm == "megaplan" { // keeps communications besides calls
					kinds = append(slices.Clone(kinds), "communication")
				}
				for _, kind := range kinds {
					if has[kind] != had[kind]+1 {
						t.Errorf("%s has %d more of %s, want 1; objects: %v", crm, has[kind]-had[kind], kind, has)
					}
				}
			}
			if c.want.Outcome == bridge.Answered {
				p.plays(t, got.ID)
			}
			var printed bridge.Call
			text := p.run("calls", "show", shown.ID, "--json", "-c", "callbridge.yaml")
			if err := json.Unmarshal([]byte(text), &printed); err != nil {
				t.Fatalf("calls show --json: %v: %s", err, text)
			}
			same(t, &printed, &c.want)
		})
	}

	// Cards are for those whose phone rings, and nobody else's (D-26).
	for {
		select {
		case m := <-olga.got:
			if m.Type == "card" {
				t.Errorf("olga got a card of ivan's: %+v", m.Card)
			}
			continue
		default:
		}
		break
	}
	balanced(t, p)
}

// TestE2EKilledInMidCall: a killed program goes on with the call it was in.
func TestE2EKilledInMidCall(t *testing.T) {
	b := bench.Start(t)
	p := company(t, b)
	ivan := p.browser(t, "ivan")
	playing := b.Begin(t, "in_answered", bench.Options{Ring: 500 * time.Millisecond, Talk: 6 * time.Second})
	shown := ivan.card(t, card.Talking)
	p.eventually("the answer is stored", func() error { return p.get(p.admin, "/api/v1/calls/"+shown.ID, nil) })
	p.stop(syscall.SIGKILL)
	p.serve()
	again := p.browser(t, "ivan")
	again.gone(t, shown.ID)
	playing.Wait(t)
	p.patience = 100 * time.Second // what was being sent is free again when its lease runs out
	got := p.settled(t, shown.ID)
	same(t, &got.Call, &bridge.Call{Direction: bridge.In, Outcome: bridge.Answered, Client: "+" + bench.Client,
		Line: "+" + bench.MainLine, Rang: []string{"101"}, AnsweredBy: []string{"101"}, HungUpBy: bridge.ByClient})
	if len(got.Gaps) == 0 {
		t.Error("the record does not say that something may be missing")
	}
	for crm := range p.crms {
		if has := p.count(crm); has["contact"] != 1 || has["call"] != 1 {
			t.Errorf("%s has %v, want one contact and one call", crm, has)
		}
	}
	balanced(t, p)
}

// same compares what can be known beforehand; times and ids differ by run.
func same(t *testing.T, got, want *bridge.Call) {
	t.Helper()
	check := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("direction", got.Direction, want.Direction)
	check("outcome", got.Outcome, want.Outcome)
	check("reason", got.Reason, want.Reason)
	check("client", got.Client, want.Client)
	check("line", got.Line, want.Line)
	check("agent", got.Agent, want.Agent)
	check("hung up by", got.HungUpBy, want.HungUpBy)
	check("click", strings.HasSuffix(got.ClickID, want.ClickID) && (got.ClickID == "") == (want.ClickID == ""), true)
	check("rang", strings.Join(got.Rang, " "), strings.Join(want.Rang, " "))
	check("answered by", strings.Join(got.AnsweredBy, " "), strings.Join(want.AnsweredBy, " "))
	check("recorded", len(got.Recordings) > 0, want.Outcome == bridge.Answered)
	check("talk", got.TalkMS != nil && *got.TalkMS > 500, want.Outcome == bridge.Answered)
}

// balanced: the ledger accounts for everything (F-1).
func balanced(t *testing.T, p *program) {
	t.Helper()
	var out struct {
		Imbalance int
		Ledger    []struct {
			Integration string
			Planned     int
		}
	}
	if err := p.get(p.admin, "/api/v1/ledger", &out); err != nil {
		t.Fatal(err)
	}
	if out.Imbalance != 0 {
		t.Errorf("the ledger lacks %d deliveries", out.Imbalance)
	}
	var seen []string
	for _, l := range out.Ledger {
		if l.Planned > 0 {
			seen = append(seen, l.Integration)
		}
	}
	for crm := range p.crms {
		if !slices.Contains(seen, crm) {
			t.Errorf("the ledger has nothing of %s: %v", crm, out.Ledger)
		}
	}
}
