package web

import (
	"context"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
)

// TestD30WhyNoCard goes through the reasons an employee saw nothing.
func TestD30WhyNoCard(t *testing.T) {
	w := newWorld(t)
	s := &server{d: w.deps}
	at := bridge.At(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
	call := func(legs ...bridge.Leg) *bridge.Call { return &bridge.Call{ID: "c", StartedAt: at, Legs: legs} }
	rang := bridge.Leg{Extension: "101", RingAt: at}
	ivan := Phone{Users: []string{"ivan"}, Mapped: []Mapped{{"megaplan-main", true, true}}}
	ring := func(tabs int) []Ring { return []Ring{{Extension: "101", At: at, Tabs: tabs}} }
	gap := call()
	gap.Gaps = []bridge.Gap{{From: at, To: at}}
	own := call()
	own.Agent = "101"
	popup := func(state bridge.DeliveryState, note string) []bridge.Delivery {
		return []bridge.Delivery{{Integration: "megaplan-main", State: state, Note: note, Action: bridge.Action{Kind: bridge.ActPopup, Trigger: bridge.OnRing, Extension: "101"}}}
	}
	for name, tc := range map[string]struct {
		f       whyFacts
		verdict string
		codes   string
	}{
		"seen":          {whyFacts{call: call(rang), rings: ring(2), shown: []shownView{{Extension: "101", User: "ivan", MS: 43}}, phone: ivan}, "was on the screen", "rang user tabs shown"},
		"not signed in": {whyFacts{call: call(rang), rings: ring(0), phone: ivan}, "not open in any browser", "rang user tabs.none"},
		"frozen":        {whyFacts{call: call(rang), rings: ring(1), phone: ivan}, "no browser confirmed", "unconfirmed"},
		"nobody's":      {whyFacts{call: call(rang), rings: ring(0)}, "No user has this extension", "nobody"},
		"did not ring":  {whyFacts{call: call(bridge.Leg{Extension: "101", Result: bridge.LegBusy}), phone: ivan}, "did not ring: busy", "silent"},
		"not dialled":   {whyFacts{call: call(bridge.Leg{Extension: "102", RingAt: at}), phone: ivan}, "went to others", "never"},
		"not seen":      {whyFacts{call: gap, phone: ivan}, "could not be seen", "gap"},
		"his own call":  {whyFacts{call: own, phone: ivan}, "does not tell", "own"},
		"before":        {whyFacts{call: call(rang), phone: ivan}, "does not tell", "tabs.unknown"},
		"cards off":     {whyFacts{call: call(rang), rings: ring(1), phone: Phone{Users: []string{"ivan"}, Card: bridge.CardNever}}, "cards are off", "rang card.never"},
		"at the answer": {whyFacts{call: call(rang), rings: ring(1), phone: Phone{Users: []string{"ivan"}, Card: bridge.CardAtAnswer}}, "comes at the answer", "card.answer"},
		"dnd":           {whyFacts{call: call(rang), rings: []Ring{{Extension: "101", Tabs: 1, DND: true}}, phone: ivan}, "no browser confirmed", "dnd"},
		"M-2.1.6":       {whyFacts{call: call(rang), rings: ring(0), phone: Phone{Users: []string{"ivan"}, Mapped: []Mapped{{"megaplan-main", false, true}}}}, "not open", "map.no"},
		"CRM said no":   {whyFacts{call: call(rang), rings: ring(0), phone: ivan, deliveries: popup(bridge.Skipped, "too late: the call is over")}, "not open", "crm.no"},
		"CRM shown":     {whyFacts{call: call(rang), rings: ring(0), phone: ivan, deliveries: popup(bridge.Done, "")}, "not open", "crm.yes"},
	} {
		tc.f.extension = "101"
		got := s.whyCard(en, tc.f)
		var codes []string
		for _, f := range got.Findings {
			codes = append(codes, f.Code)
			if strings.Contains(f.Text, "{") || f.Text == "" || strings.HasPrefix(f.Text, "why.") {
				t.Errorf("%s: %q", name, f.Text)
			}
		}
		if !strings.Contains(got.Verdict, tc.verdict) || !strings.Contains(strings.Join(codes, " "), tc.codes) || got.Seen != (name == "seen") {
			t.Errorf("%s: %q %v, want %q %q", name, got.Verdict, codes, tc.verdict, tc.codes)
		}
		if ru.t("why.rang") == "" || s.whyCard(ru, tc.f).Verdict == got.Verdict {
			t.Errorf("%s: not told in Russian", name)
		}
	}
}

func TestWhyPageAndAPI(t *testing.T) {
	w := newWorld(t)
	w.history()
	w.start(t, func(d *Deps) {
		d.Rings = func(_ context.Context, id string) ([]Ring, error) {
			if id != "c1" {
				return nil, nil
			}
			return []Ring{{Extension: "101", At: w.calls[0].StartedAt, Tabs: 1}, {Extension: "102", At: w.calls[0].StartedAt}}, nil
		}
		d.Phones = func(ext string) Phone {
			return Phone{Users: []string{map[string]string{"101": "ivan", "102": "maria"}[ext]}, Mapped: []Mapped{{"retail", false, true}}}
		}
		d.CaseFile = func(_ context.Context, id string) ([]byte, error) { return []byte(`{"callbridge_case":1}`), nil }
	})
	b := w.signIn(t, "admin")
	a := b.get("/calls/c1/why", "Accept-Language", "ru")
	for _, want := range []string{"Карточка была на экране", "не было открыто ни в одном браузере", "Начался канал", "HTTP 503", "Service Unavailable", "calls.contact"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	got := decode[struct {
		Cards     []CardWhy
		Decisions []struct {
			Tries []Attempt
		}
		Events []bridge.Event
	}](t, b.get("/api/v1/calls/c1/why?extension=102"), 200)
	if len(got.Cards) != 1 || got.Cards[0].Seen || got.Cards[0].Extension != "102" || len(got.Decisions) != 4 || len(got.Decisions[1].Tries) != 1 || len(got.Events) != 4 {
		t.Errorf("%+v", got)
	}
	for _, path := range []string{"/calls/c1/case", "/api/v1/calls/c1/case"} {
		if a := b.get(path); a.status != 200 || !strings.Contains(a.body, "callbridge_case") || !strings.Contains(a.header.Get("Content-Disposition"), "case-c1.json") {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
	if a := b.get("/calls/none/case"); a.status != 404 {
		t.Errorf("%d", a.status)
	}
}
