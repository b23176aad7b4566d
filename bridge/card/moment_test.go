package card

import (
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
)

// Every employee has his card when he wants it: at the ring, at the answer or
// never; who wants none is still named on the others'.
func TestCardAtRingAtAnswerNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		when := map[string]bridge.CardMoment{"102": bridge.CardAtAnswer, "103": bridge.CardNever}
		h := New(Options{Moment: func(ext string) bridge.CardMoment { return when[ext] }})
		defer h.Close()
		c := call("c1", rings("101"), rings("102"), rings("103"))
		h.Apply(c, time.Time{})
		if len(h.Cards("101")) != 1 || len(h.Cards("102"))+len(h.Cards("103")) != 0 {
			t.Fatalf("at the ring: %v %v %v", h.Cards("101"), h.Cards("102"), h.Cards("103"))
		}
		if also := h.Cards("101")[0].AlsoRings; len(also) != 2 {
			t.Errorf("who else rings: %v", also)
		}
		answers(c, "102")
		h.Apply(c, time.Time{})
		if got := h.Cards("102"); len(got) != 1 || got[0].State != Talking {
			t.Errorf("at the answer: %v", got)
		}

		// His own click rings at his phone: that card he wants.
		click := call("c2", rings("102"))
		click.Direction, click.Agent = bridge.Out, "102"
		h.Apply(click, time.Time{})
		if got := h.Cards("102"); len(got) != 2 {
			t.Errorf("his own click: %v", got)
		}
		if got := h.Cards("103"); len(got) != 0 {
			t.Errorf("never: %v", got)
		}
	})
}

// F-22: who may not see names gets the number only, in the snapshot and after,
// while a colleague at the same phone sees all.
func TestF22NamesAreHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Nameless: func(user string) bool { return user == "trainee" }})
		defer h.Close()
		known := Info{LineName: "Сайт", Clients: []Client{{Integration: "m", Found: true, Name: "Анна Кузнецова", Company: "ООО «Окна»", URL: "https://mp.example.ru/1",
			Others: []Candidate{{Name: "Глеб"}}, Deals: []Deal{{Name: "Окна Кузнецовой"}}}}}
		c := call("c1", rings("101"))
		c.ClientName = "Anna"
		h.Apply(c, time.Time{})
		h.Enrich("c1", known)
		plain, hidden := connect(t, h, Who{"ivan", "101"}), connect(t, h, Who{"trainee", "101"})
		synctest.Wait()
		check := func(when string) {
			t.Helper()
			if got := plain.card("c1"); got.ClientName != "Anna" || got.Info.Clients[0].Name == "" || len(got.Info.Clients[0].Deals) != 1 {
				t.Errorf("%s: who may see names gets %+v", when, got)
			}
			got := hidden.card("c1")
			if k := got.Info.Clients[0]; got.ClientName+k.Name+k.Company != "" || len(k.Others)+len(k.Deals) != 0 {
				t.Errorf("%s: a name is shown: %+v", when, got)
			}
			if got.Info.LineName != "Сайт" || got.Info.Clients[0].URL == "" || !got.Info.Clients[0].Found || got.Client == "" {
				t.Errorf("%s: more than names is hidden: %+v", when, got)
			}
		}
		check("snapshot")
		answers(c, "101")
		h.Apply(c, time.Time{})
		synctest.Wait()
		check("change")
	})
}
