package app

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/store"
)

func (b *bureau) allCalls() ([]bridge.Call, error) {
	calls, _, err := b.db.Calls(b.t.Context(), store.CallFilter{Limit: 1000})
	return calls, err
}

func (b *bureau) allDeliveries() ([]bridge.Delivery, error) {
	return b.db.Deliveries(b.t.Context(), store.DeliveryFilter{Limit: 10000})
}

// M-4.1: the contact is there while they still talk; M-4.1.1, D-03: after the
// transfer it belongs to who talked last.
func TestM411D03ContactGoesToWhoTalkedLast(t *testing.T) {
	for name, tc := range map[string]struct{ rule, want string }{
		"last":    {"last_talked", "Смирнова Ольга"},
		"first":   {"first_talked", "Петров Иван"},
		"longest": {"longest_talked", "Смирнова Ольга"},
	} {
		t.Run(name, func(t *testing.T) {
			b := openBureau(t, bureauSeed(), func(s *bridge.Settings) { s.Integrations[0].Calls.Contact.Responsible = tc.rule })
			r := b.rings("79161234567", "101").after(time.Second).answers("101")
			b.eventually("the contact is there during the talk (M-4.1)", func() string {
				if c := b.made("contact"); len(c) != 1 || !strings.Contains(c[0].Value("responsible"), "Иван") {
					return fmt.Sprint(c)
				}
				return ""
			})
			r.after(2*time.Second).passes("101", "102").after(20 * time.Second).ends()
			all := b.settled(1)
			c := b.made("contact")
			if len(c) != 1 || !sameName(c[0].Value("responsible"), tc.want) {
				t.Errorf("the contact is %+v, want it to be %s's", c, tc.want)
			}
			// Routing knows it at once.
			if e, ok := b.targetOf("mp").book.Known(t.Context(), bureauClient); !ok || !sameName(e.Contact.Manager, tc.want) && tc.rule != "first_talked" {
				t.Errorf("index: %+v", e)
			}
			if d, ok := actionOf(all, bridge.ActOwner); ok != (tc.rule != "first_talked") {
				t.Errorf("owner action: %+v", d)
			}
		})
	}
}

// sameName compares names of people whatever their order.
func sameName(a, b string) bool {
	for _, w := range strings.Fields(b) {
		if !strings.Contains(a, w) {
			return false
		}
	}
	return a != ""
}

// A contact that was there before the call is nobody's to give away.
func TestM411ContactOfBeforeKeepsItsResponsible(t *testing.T) {
	seed := bureauSeed()
	seed.Clients = []megaplantest.Client{{FirstName: "Мария", Phones: []string{"79161234567"}, Responsible: "anna@example.ru"}}
	b := openBureau(t, seed, nil)
	b.rings("79161234567", "101").after(time.Second).answers("101").after(time.Second).passes("101", "102").after(time.Second).ends()
	d, ok := actionOf(b.settled(1), bridge.ActOwner)
	if !ok || d.State != bridge.Skipped || !strings.Contains(d.Note, "made no contact") {
		t.Errorf("%+v", d)
	}
	for _, o := range b.mega.Objects() {
		if o.Kind == "contact" && !sameName(o.Value("responsible"), "Анна") {
			t.Errorf("contact %+v", o)
		}
	}
}

// F-5, D-20: a hundred calls of one number at the same time make one contact.
func TestF5D20HundredSimultaneousCallsOneContact(t *testing.T) {
	b := openBureau(t, bureauSeed(), nil)
	var wg sync.WaitGroup
	calls := make([]*ringing, 100)
	for i := range calls {
		calls[i] = b.rings("79161234567", "101")
	}
	for _, r := range calls {
		wg.Go(func() { r.after(time.Second).answers("101").after(time.Second).ends() })
	}
	wg.Wait()
	began := time.Now()
	b.settled(100)
	t.Logf("100 calls of one number delivered in %v", time.Since(began))
	if n := len(b.made("contact")); n != 1 {
		t.Errorf("%d contacts, want 1", n)
	}
	if n := len(b.made("communication")); n != 100 {
		t.Errorf("%d communications, want 100", n)
	}
	if bad, err := b.db.LedgerImbalance(t.Context()); err != nil || bad != 0 {
		t.Errorf("ledger imbalance %d, %v", bad, err)
	}
}

// M-4.2: fields with "update always" are written on every call, the others
// only when the contact is made.
func TestM42M421M422FieldsUpdatedAlways(t *testing.T) {
	line2 := "+74957654321"
	b := openBureau(t, bureauSeed(), func(s *bridge.Settings) {
		s.Integrations[0].Calls.Fields = []bridge.FieldRule{{CRM: "utm_source", From: "source.utm_source", Update: "always"}, {CRM: "line", From: "line.number"}}
		s.Lines = append(s.Lines, bridge.Line{Number: line2, Name: "Карта", Source: map[string]string{"utm_source": "maps"}})
	})
	b.talk("79161234567", "101")
	b.settled(1)
	check := func(source string) {
		t.Helper()
		c := b.made("contact")
		if len(c) != 1 || c[0].Value("utm_source") != source || c[0].Value("line") != bureauLine {
			t.Fatalf("contact %+v, want utm_source %s and line %s", c, source, bureauLine)
		}
	}
	check("yandex")
	r := &ringing{b: b, id: "x", phones: map[string]bridge.Channel{}, at: time.Now().Add(-30 * time.Second)}
	r.trunk = bridge.Channel{ID: "tx", Trunk: "trunk", Number: "79161234567", Exten: strings.TrimPrefix(line2, "+"), Incoming: true, State: "ring", Since: bridge.At(r.at), Group: "gx"}
	r.tell(bridge.Event{Kind: bridge.ChannelBegan, Leg: &r.trunk}).also("102").after(time.Second).answers("102").after(time.Second).ends()
	b.settled(2)
	check("maps")
}

// Companies are clients, too: nothing is made beside them.
func TestM41CompanyContactIsRecognised(t *testing.T) {
	seed := bureauSeed()
	seed.Clients = []megaplantest.Client{{Company: "ООО «Ромашка»", Phones: []string{"79161234567"}, Responsible: "anna@example.ru"}}
	b := openBureau(t, seed, func(s *bridge.Settings) {
		s.Integrations[0].Calls.Fields = []bridge.FieldRule{{CRM: "utm_source", From: "source.utm_source", Update: "always"}}
	})
	b.talk("79161234567", "101")
	b.settled(1)
	if c := b.made("contact"); len(c) != 0 {
		t.Errorf("a contact was made beside the company: %+v", c)
	}
	if c := b.made("communication"); len(c) != 1 || !strings.Contains(fmt.Sprint(c[0].Fields), "Ромашка") {
		t.Errorf("communication %+v", c)
	}
	for _, o := range b.mega.Objects() {
		if o.Kind == "contact" && o.Value("utm_source") != "yandex" {
			t.Errorf("field of the company: %+v", o)
		}
	}
}

// D-24: of several contacts always the oldest is used, and the card lists all.
func TestD24AllCandidatesAreOnTheCard(t *testing.T) {
	seed := bureauSeed()
	seed.Clients = []megaplantest.Client{
		{FirstName: "Мария", Phones: []string{"79161234567"}, Responsible: "anna@example.ru"},
		{Company: "ООО «Ромашка»", Phones: []string{"8 (916) 123-45-67"}, Responsible: "olga@example.ru"},
		{FirstName: "Степан", Phones: []string{"+7 916 123 45 67"}},
	}
	b := openBureau(t, seed, nil)
	r := b.rings("79161234567", "101")
	var got card.Client
	b.eventually("the card knows the candidates", func() string {
		for _, c := range b.hub.Cards("101") {
			if c.Info != nil && len(c.Info.Clients) == 1 && c.Info.Clients[0].Found {
				got = c.Info.Clients[0]
				return ""
			}
		}
		return "no card with a client"
	})
	if got.Name != "Мария" || got.Several != 3 || len(got.Others) != 2 || !sameName(got.Others[0].Responsible, "Ольга") || got.Others[0].Company == "" || got.Others[1].Name != "Степан" {
		t.Errorf("client on the card: %+v", got)
	}
	r.after(time.Second).answers("101").after(time.Second).ends()
	b.settled(1)
	// The index keeps them: the next card has them before the CRM answers.
	row, err := b.db.Contact(t.Context(), "mp", bureauClient)
	if err != nil || len(entryOf(row).Others) != 2 || entryOf(row).Contact.Name != "Мария" {
		t.Errorf("index: %+v, %v", row, err)
	}
}
