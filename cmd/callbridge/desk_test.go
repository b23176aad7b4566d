package main

import (
	"strings"
	"testing"
	"time"

	"callbridge/bridge/web/webtest"
	"callbridge/crm/sandbox"
	"callbridge/pbx/ari/arisim"
)

// TestDeskInBrowser is an agent who works with a call: he writes a note and an
// outcome while he talks, hangs up with a button, and makes a task afterwards;
// all of it is in both CRMs or where he chose.
func TestDeskInBrowser(t *testing.T) {
	d := newDemo(t)
	base := "http://" + d.app.Addr()
	b := webtest.Open(t, 1280, 900)
	signIn(b, base, "ivan", "demoivan")
	b.Until(`document.querySelector("#link").dataset.state === "online"`)
	done := make(chan error, 1)
	go func() {
		_, err := d.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Client: "79161234567", Speed: 0.4, Talk: 10 * time.Minute})
		done <- err
	}()
	b.Until(`document.querySelector(".card")?.innerText.includes("Мария")`)
	b.See(`.card .desk`)
	// A change of the card must not take what is being typed.
	b.Type(`.card .desk textarea`, "Просит счёт на ")
	b.See(`.card.talking`)
	b.Type(`.card .desk textarea`, "десять окон")
	if got := webtest.Eval[string](b, `document.querySelector(".card .desk textarea").value`); got != "Просит счёт на десять окон" {
		t.Errorf("typed text became %q", got)
	}
	b.Shot("desk-note")
	look(t, b, "desk-typing")
	webtest.Eval[bool](b, `(document.querySelector(".card .where select").value = "", true)`)
	b.Click(`.card .desk .primary`)
	b.Until(`[...document.querySelectorAll(".written li.done")].length === 2`)
	note := func(s sandbox.Sandbox) string {
		text := ""
		for _, o := range s.Objects() {
			if o.Kind == "note" {
				text += o.Title + "\n"
			}
		}
		return text
	}
	for _, s := range []sandbox.Sandbox{d.world.megaplan, d.world.retailcrm} {
		if got := note(s); !strings.Contains(got, "Просит счёт на десять окон") {
			t.Errorf("notes in %s: %q", s.Title(), got)
		}
	}

	// An outcome with one click, into the CRM that is chosen.
	b.Click(`.card .kinds label:nth-child(3)`)
	webtest.Eval[bool](b, `(document.querySelector(".card .where select").selectedIndex = 0, true)`)
	b.Click(`.card .outcomes button:first-child`)
	b.Until(`[...document.querySelectorAll(".written li.done")].length === 3`)
	b.Shot("desk-outcome")
	if a, c := note(d.world.megaplan), note(d.world.retailcrm); strings.Count(a+c, "Итог разговора: Заказ") != 1 {
		t.Errorf("outcome: %q %q", a, c)
	}

	// The choice of a colleague opens; then he hangs up from the card.
	b.Click(`.card [data-key=transfer]`)
	b.See(`.card .sendon select`)
	look(t, b, "desk-transfer")
	b.Click(`.card [data-key=hangup]`)
	b.See(`.card.ended`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	// A task after the talk, by keyboard.
	b.Click(`.card .kinds label:nth-child(2)`)
	b.Type(`.card .desk textarea`, "Отправить счёт")
	b.Click(`.card .desk .primary`)
	b.Until(`[...document.querySelectorAll(".written li.done")].length === 4`)
	b.Shot("desk-task")
	if made(d.world.megaplan, "task")+made(d.world.retailcrm, "task") != 1 {
		t.Errorf("tasks: %d %d", made(d.world.megaplan, "task"), made(d.world.retailcrm, "task"))
	}

	// What cannot be: an empty note says so beside the field.
	webtest.Eval[bool](b, `(document.querySelector(".card .desk textarea").value = " ", true)`)
	b.Click(`.card .desk .primary`)
	b.Until(`document.querySelector(".card .desk textarea").getAttribute("aria-invalid") === "true"`)
	if errs := b.Errors(); len(errs) > 0 {
		t.Errorf("the page threw %v", errs)
	}
}
