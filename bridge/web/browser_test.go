package web

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/bridge/web/webtest"
)

// ring lets 101 and 102 ring for a client the CRM knows.
func (w *world) ring(id string) *bridge.Call {
	now := bridge.At(time.Now())
	c := &bridge.Call{ID: id, PBX: "office", Direction: bridge.In, Client: "+79161234567", ClientRaw: "79161234567", Line: "+74951234567", Queue: "Продажи",
		StartedAt: now, Legs: []bridge.Leg{{Extension: "101", RingAt: now}, {Extension: "102", RingAt: now}}}
	w.hub.Apply(c, time.Now())
	return c
}

func (w *world) enrich(id string) {
	w.hub.Enrich(id, card.Info{LineName: "Сайт", Source: map[string]string{"utm_source": "yandex", "utm_medium": "cpc", "utm_campaign": "okna"},
		LastCalls: []card.LastCall{{ID: "a", At: bridge.At(time.Now().Add(-26 * time.Hour)), Direction: bridge.In, Outcome: bridge.Missed},
			{ID: "b", At: bridge.At(time.Now().Add(-72 * time.Hour)), Direction: bridge.Out, Outcome: bridge.Answered, Person: "Мария Смирнова", TalkMS: 185_000}},
		Clients: []card.Client{
			{Integration: "megaplan-main", Title: "Мегаплан", Found: true, Name: "Анна Кузнецова", Company: "ООО «Светлые окна»", Responsible: "Иван Петров", ResponsibleExtension: "101",
				Several: 2, Others: []card.Candidate{{Name: "Глеб Орлов", Responsible: "Пётр Сидоров", URL: "https://mp.example.ru/crm/1002"}}, URL: "https://mp.example.ru/crm/1001", Deals: []card.Deal{{Name: "Остекление балкона", Stage: "Замер", Sum: 148_000, Currency: "RUB", URL: "https://mp.example.ru/deals/7"}}},
			{Integration: "retail", Title: "retailCRM", Found: true, Name: "Кузнецова А.", URL: "https://r.example.ru/customers/5", Deals: []card.Deal{{Name: "Заказ 5012C", Stage: "Новый", Sum: 12_500, Currency: "RUB"}}},
		}})
}

func signInPage(b *webtest.Browser, w *world, login string) {
	b.Go(w.server.URL + "/agent")
	b.Type(`[name=login]`, login)
	b.Type(`[name=password]`, password)
	b.Click(`.signin .primary`)
	b.See(`#link[data-state="online"]`)
}

func TestAgentPageInBrowser(t *testing.T) {
	w := newWorld(t)
	w.history()
	w.start(t, func(d *Deps) { d.Demo = "ivan / correct horse" })
	b := webtest.Open(t, 1280, 800)

	b.Go(w.server.URL + "/login")
	b.Click(`button[name=lang]`) // the browser asks for English; choose Russian
	b.Until(`document.querySelector(".signin .primary").innerText === "Войти"`)
	b.Shot("login")
	signInPage(b, w, "ivan")
	b.See(`#quiet`)
	b.Shot("agent-1280-quiet")
	if got := b.Text(`#recent`); !strings.Contains(got, "Анна Кузнецова") || !strings.Contains(got, "Пропущен") {
		t.Errorf("own calls: %q", got)
	}

	// A ring: the card, the title, the receipt.
	c := w.ring("r1")
	b.See(`.card.ringing[data-id=r1]`)
	w.enrich("r1")
	b.Until(`document.querySelector(".card h2").innerText === "Анна Кузнецова"`)
	if title := webtest.Eval[string](b, `document.title`); !strings.Contains(title, "Анна Кузнецова звонит") {
		t.Errorf("title %q", title)
	}
	got := b.Text(`.card`)
	for _, want := range []string{"Звонит", "+7 916 123-45-67", "ООО «Светлые окна»", "Сайт", "yandex / cpc / okna", "Продажи", "Иван Петров", "вы", "Мария Смирнова",
		"Остекление балкона", "148", "Открыть в Мегаплан", "несколько клиентов: 2", "Глеб Орлов"} {
		if !strings.Contains(got, want) {
			t.Errorf("the card does not say %q: %q", want, got)
		}
	}
	b.Shot("agent-1280-ringing")
	b.Dark()
	b.Shot("agent-1280-ringing-dark")
	b.Size(390, 844)
	b.Shot("agent-390-ringing-dark")
	b.Light()
	b.Shot("agent-390-ringing")
	if wide := webtest.Eval[float64](b, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("at 390 px the page is %v px wide", wide)
	}
	b.Size(1280, 800)
	b.Until(`document.querySelector(".timer").innerText !== ""`)
	w.mu.Lock()
	if n := len(w.receipts); n < 2 || w.receipts[1].CallID != "r1" || w.receipts[1].Took > 5*time.Second {
		t.Errorf("F-11: receipts %+v", w.receipts)
	}
	w.mu.Unlock()

	// A colleague answers: gone within a second (D-10, F-10).
	began := time.Now()
	c.Legs[1].AnswerAt, c.AnsweredBy, c.AnsweredAt = bridge.At(began), []string{"102"}, bridge.At(began)
	w.hub.Apply(c, began)
	b.Gone(`.card`)
	if took := time.Since(began); took > time.Second {
		t.Errorf("hidden after %s", took)
	}

	// He talks, with two more ringing, then the end.
	c2 := w.ring("r2")
	w.enrich("r2")
	c2.Legs[0].AnswerAt, c2.AnsweredBy, c2.AnsweredAt = bridge.At(time.Now()), []string{"101"}, bridge.At(time.Now())
	w.hub.Apply(c2, time.Now())
	b.See(`.card.talking[data-id=r2]`)
	c3 := w.ring("r3")
	b.See(`.card.ringing[data-id=r3]`)
	if first := webtest.Eval[string](b, `document.querySelector(".card").dataset.id`); first != "r3" {
		t.Errorf("what rings must stand first, it is %s", first)
	}
	b.Shot("agent-1280-two")
	c3.Outcome, c3.EndedAt = bridge.Missed, bridge.At(time.Now())
	w.hub.Apply(c3, time.Now())
	b.Gone(`[data-id=r3]`)
	c2.Outcome, c2.EndedAt = bridge.Answered, bridge.At(time.Now())
	w.hub.Apply(c2, time.Now())
	b.See(`.card.ended[data-id=r2]`)
	b.Shot("agent-1280-ended")
	b.Press(kb.Escape)
	b.Gone(`.card`)

	// His own click: the phone rings, but nobody calls him.
	click := &bridge.Call{ID: "r4", Direction: bridge.Out, Agent: "101", Client: "+79265550111", Line: "+74951234567", StartedAt: bridge.At(time.Now()),
		Legs: []bridge.Leg{{Extension: "101", RingAt: bridge.At(time.Now())}}}
	w.hub.Apply(click, time.Now())
	b.See(`.card[data-id=r4]`)
	if got, title := b.Text(`.card`), webtest.Eval[string](b, `document.title`); !strings.Contains(got, "Снимите трубку") || strings.Contains(title, "звонит") {
		t.Errorf("%q, title %q", got, title)
	}
	click.Legs[0].AnswerAt = bridge.At(time.Now())
	w.hub.Apply(click, time.Now())
	b.See(`.card.dialling`)
	b.Shot("agent-1280-dialling")
	click.Outcome, click.Reason = bridge.Failed, bridge.Busy
	w.hub.Apply(click, time.Now())
	b.See(`.card.ended`)
	if got := b.Text(`.card .pill`); got != "Занято" {
		t.Errorf("why it failed: %q", got)
	}

	if e := b.Errors(); len(e) > 0 {
		t.Errorf("the page threw %v", e)
	}
}

func TestAgentPageByKeyboard(t *testing.T) {
	w := newWorld(t)
	w.history()
	w.start(t, nil)
	b := webtest.Open(t, 1280, 800)
	signInPage(b, w, "maria") // her language is English
	if got := b.Text(`.recent h2`); got != "My calls" {
		t.Errorf("language: %q", got)
	}

	// "?" shows the keys, Esc closes them.
	b.Press("?")
	b.Until(`document.getElementById("keys").open`)
	b.Shot("agent-1280-keys")
	b.Press(kb.Escape)
	b.Until(`!document.getElementById("keys").open`)

	// "/" goes to the box; a wrong number is refused in words; a good one is dialled.
	b.Press("/")
	b.Until(`document.activeElement.id === "number"`)
	b.Press("call Anna" + kb.Enter)
	b.Until(`document.getElementById("dial-say").innerText.includes("does not look like")`)
	webtest.Eval[bool](b, `(document.getElementById("number").value = "", true)`)
	b.Press("8 (926) 555-01-11" + kb.Enter)
	b.Until(`document.getElementById("dial-say").classList.contains("good")`)
	b.Shot("agent-1280-dialled")
	w.mu.Lock()
	if len(w.clicks) != 1 || w.clicks[0].Number != "8 (926) 555-01-11" || w.clicks[0].Extension != "102" || w.clicks[0].User != "maria" || len(w.clicks[0].RequestID) < 16 {
		t.Errorf("clicks %+v", w.clicks)
	}
	w.mu.Unlock()

	// J walks the list, Enter calls back.
	b.Press(kb.Escape)
	b.Press("j")
	b.Press("j")
	b.Press(kb.Enter)
	b.Until(`document.getElementById("dial-say").classList.contains("good")`)
	w.mu.Lock()
	if len(w.clicks) != 2 || w.clicks[1].Number != "+79265550111" {
		t.Errorf("clicks %+v", w.clicks)
	}
	w.refusal = refusal("no_phone")
	w.mu.Unlock()

	// A refusal says why.
	b.Press(kb.Enter)
	b.Until(`document.getElementById("dial-say").innerText.includes("not registered")`)
	w.mu.Lock()
	w.refusal = nil
	w.mu.Unlock()

	// D switches do-not-disturb, seen by a second tab through the hub too.
	b.Press("d")
	b.Until(`document.getElementById("dnd").getAttribute("aria-checked") === "true"`)
	b.Shot("agent-1280-dnd")
	w.mu.Lock()
	if !w.dnd["102"] {
		t.Error("do-not-disturb did not reach the PBX side")
	}
	w.mu.Unlock()
	b.Size(390, 844)
	b.Shot("agent-390-quiet")
	b.Click(`.menu summary`)
	b.Shot("agent-390-menu")
	if wide := webtest.Eval[float64](b, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("at 390 px the page is %v px wide", wide)
	}

	b.Size(320, 640) // as narrow as a frame in a CRM gets
	if wide := webtest.Eval[float64](b, `document.documentElement.scrollWidth`); wide > 320 {
		t.Errorf("at 320 px the page is %v px wide", wide)
	}
	b.Shot("agent-320")

	// The connection is cut and comes back with the card that rang meanwhile (D-25).
	b.Click(`.menu summary`)
	w.hub.KickUser("maria")
	w.ring("r9")
	b.See(`.card.ringing[data-id=r9]`)
	b.See(`#link[data-state="online"]`)
	if e := b.Errors(); len(e) > 0 {
		t.Errorf("the page threw %v", e)
	}
}

func TestConsoleInBrowser(t *testing.T) {
	w := newWorld(t)
	w.history()
	w.live = []bridge.Call{{ID: "l1", Direction: bridge.In, Client: "+79161234567", Line: "+74951234567", Queue: "Продажи", StartedAt: bridge.At(time.Now().Add(-20 * time.Second)),
		Legs: []bridge.Leg{{Extension: "101", RingAt: bridge.At(time.Now())}, {Extension: "102", RingAt: bridge.At(time.Now()), AnswerAt: bridge.At(time.Now())}}}}
	w.start(t, nil)
	b := webtest.Open(t, 1280, 900)
	b.Go(w.server.URL + "/login")
	b.Click(`button[name=lang]`)
	b.Until(`document.querySelector(".signin .primary").innerText === "Войти"`)
	b.Type(`[name=login]`, "admin")
	b.Type(`[name=password]`, password)
	b.Click(`.signin .primary`)
	b.See(`.tiles`)
	b.See(`.figure.fig-calls svg`)
	b.Shot("console-overview")
	b.Dark()
	b.Shot("console-overview-dark")
	b.Light()
	w.mu.Lock()
	w.live = nil
	w.mu.Unlock()
	b.Gone(`.livecalls`) // the live part refreshes itself
	b.Go(w.server.URL + "/calls?outcome=answered")
	b.Shot("console-calls")
	b.Size(390, 844)
	b.Shot("console-calls-390")
	b.Size(1280, 900)
	b.Click(`tr[data-href="/calls/c1"] td:nth-child(3)`)
	b.See(`.story`)
	b.Shot("console-call")
	if got := b.Text(`main`); !strings.Contains(got, "43 мс") || !strings.Contains(got, "HTTP 503") || !strings.Contains(got, "calls.contact") {
		t.Errorf("the call's page: %q", got)
	}
	b.Click(`.callhead .primary`)
	b.See(`.timeline`)
	b.Shot("console-why")
	b.Size(390, 844)
	b.Shot("console-why-390")
	b.Size(1280, 900)
	b.Go(w.server.URL + "/deliveries")
	b.See(`table`)
	b.Shot("console-deliveries")
	b.Go(w.server.URL + "/ledger")
	b.See(`table`)
	b.Dark()
	b.Shot("console-ledger-dark")
	b.Size(390, 844)
	b.Go(w.server.URL + "/")
	b.Shot("console-390-dark")
	webtest.Eval[bool](b, `(document.querySelector(".figure.fig-calls").scrollIntoView(), true)`)
	b.Shot("console-390-plots-dark")
	if wide := webtest.Eval[float64](b, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("at 390 px the page is %v px wide", wide)
	}
	if e := b.Errors(); len(e) > 0 {
		t.Errorf("the page threw %v", e)
	}
}
