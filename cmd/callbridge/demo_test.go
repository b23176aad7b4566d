package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"callbridge/bridge/web"
	"callbridge/bridge/web/webtest"
	"callbridge/crm/sandbox"
	"callbridge/pbx"
	"callbridge/pbx/ari/arisim"
)

// newDemo starts what `callbridge demo` starts, with calls only on demand.
func newDemo(t *testing.T) *demoRun {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newDemoAt(t, l)
}

func newDemoAt(t *testing.T, l net.Listener) *demoRun {
	t.Helper()
	d, err := startDemo(t.Context(), slog.New(slog.NewTextHandler(t.Output(), nil)), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	eventually(t, "the daemon is ready", func() bool { return len(d.app.Ready(t.Context())) == 0 })
	return d
}

// eventually waits for a condition, at most a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}

func signIn(b *webtest.Browser, base, login, password string) {
	b.Go(base + "/login")
	b.Click(`button[name=lang]`) // Chromium asks for English; choose Russian
	b.Until(`document.documentElement.lang === "ru"`)
	b.Type(`[name=login]`, login)
	b.Type(`[name=password]`, password)
	b.Click(`.signin .primary`)
}

// TestDemoInBrowser is a person who opens the demo: the card of a real recorded
// call comes and goes, a click makes a call, and the objects are in both CRMs.
func TestDemoInBrowser(t *testing.T) {
	d := newDemo(t)
	base := "http://" + d.app.Addr()
	b := webtest.Open(t, 1280, 800)
	signIn(b, base, "ivan", "demoivan")
	b.See(`#cards`)
	b.Until(`document.querySelector("#link").dataset.state === "online"`)
	b.Shot("demo-agent-quiet")

	// Maria, whom both CRMs know, calls the main line; phone 101 rings and talks.
	done := make(chan error, 1)
	go func() {
		_, err := d.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Client: "79161234567", Speed: 0.5})
		done <- err
	}()
	b.Until(`document.querySelector(".card")?.innerText.includes("Мария")`)
	b.Until(`document.querySelector(".card")?.innerText.includes("Сайт")`)
	b.Shot("demo-agent-card")
	b.See(`.card.ended`) // who talked may still look at it
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b.Until(`document.querySelector("#recent")?.innerText.includes("916 123-45-67") || document.querySelector("#recent")?.innerText.includes("Мария")`)
	for _, s := range []sandbox.Sandbox{d.world.megaplan, d.world.retailcrm} {
		eventually(t, "a call in "+s.Title(), func() bool { return made(s, "call") == 1 })
	}
	eventually(t, "the communication in Megaplan", func() bool { return made(d.world.megaplan, "communication") == 1 })

	// A call that is missed takes its card with it (D-10).
	go func() {
		_, err := d.sim.Play(t.Context(), "in_missed_caller_hangs_up", arisim.PlayOptions{Client: "79161234567", Speed: 0.5})
		done <- err
	}()
	b.See(`.card:not(.ended)`)
	b.Until(`!document.querySelector(".card:not(.ended)")`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b.Until(`document.querySelector("#recent").innerText.includes("Пропущен")`)

	// A click calls a stranger: first the own phone, then him.
	b.Type(`#number`, "8 (921) 999-88-77")
	b.Click(`#dial button[type=submit], #dial .primary`)
	b.Until(`document.querySelector(".card")?.innerText.includes("921 999-88-77")`)
	b.Shot("demo-agent-click")
	eventually(t, "the outbound call in retailCRM", func() bool { return made(d.world.retailcrm, "call") == 3 })
	if errs := b.Errors(); len(errs) > 0 {
		t.Errorf("the pages threw %v", errs)
	}

	b.Go(d.crms[0].url + "/?lang=ru")
	b.Shot("demo-megaplan")

	// M-0.5, M-0.13: our page inside the client's card of Megaplan calls him.
	maria := ""
	for _, o := range d.world.megaplan.Objects() {
		if o.Kind == "contact" && strings.Contains(o.Title, "Мария") {
			maria = o.ID
		}
	}
	b.Go(d.crms[0].url + "/_sandbox/object/" + maria + "?lang=ru")
	b.See(`iframe`)
	b.Until(`document.querySelector("iframe").contentWindow.length === 0 && performance.getEntriesByType("resource").some((r) => r.initiatorType === "iframe" && r.responseEnd > 0)`)
	b.Shot("demo-megaplan-widget")
	b.Go(webtest.Eval[string](b, `document.querySelector("iframe").src`))
	b.Until(`location.pathname === "/agent/call" && document.querySelector("[data-call]").innerText.includes("916 123-45-67")`)
	b.Click(`[data-call]`)
	b.See(`.say.good`)
	b.Shot("demo-megaplan-widget-calling")
	eventually(t, "the call from the widget", func() bool { return made(d.world.retailcrm, "call") == 4 })
	b.Go(d.crms[1].url + "/?lang=ru")
	b.Shot("demo-retailcrm")
	b.Go(base + "/agent") // signed in by the widget still
	b.See(`#cards`)
	b.Size(390, 844)
	b.Shot("demo-agent-phone")
}

// made counts the objects of a kind that were not there from the start.
func made(s sandbox.Sandbox, kind string) int {
	n := 0
	for _, o := range s.Objects() {
		if o.Kind == kind && !o.Seed {
			n++
		}
	}
	return n
}

// TestConsoleOfTheDemo shows an admin what became of a call and why.
func TestConsoleOfTheDemo(t *testing.T) {
	d := newDemo(t)
	for _, s := range []string{"in_noanswer", "in_answered", "out_busy"} {
		if _, err := d.sim.Play(t.Context(), s, arisim.PlayOptions{Client: "79219998877", Speed: 20}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "three calls in retailCRM", func() bool { return made(d.world.retailcrm, "call") == 3 })
	eventually(t, "the call-back task in Megaplan", func() bool { return made(d.world.megaplan, "task") == 1 })
	base := "http://" + d.app.Addr()
	b := webtest.Open(t, 1280, 900)
	signIn(b, base, "admin", "demoadmin")
	b.Until(`document.querySelectorAll("tr[data-href^='/calls/']").length >= 3`)
	b.Shot("demo-console")
	b.Go(base + webtest.Eval[string](b, `document.querySelectorAll("tr[data-href^='/calls/']")[2].dataset.href`))
	b.Until(`document.querySelector("main").innerText.includes("calls.tasks[0]")`)
	b.Shot("demo-console-call")
	if errs := b.Errors(); len(errs) > 0 {
		t.Errorf("the pages threw %v", errs)
	}
}

func TestDemoListensOnLoopbackOnly(t *testing.T) {
	var out, errOut strings.Builder
	if code := run(t.Context(), []string{"demo", "-listen", "0.0.0.0:8080"}, nil, &out, &errOut); code != exitUsage {
		t.Fatalf("exit code %d, want %d: %s", code, exitUsage, errOut.String())
	}
}

// TestOutsideSurfaceOfTheDemo asks the addresses that scripts and Prometheus ask.
func TestOutsideSurfaceOfTheDemo(t *testing.T) {
	d := newDemo(t)
	for path, want := range map[string]string{"/healthz": "", "/readyz": `"ready":true`, "/metrics": "callbridge_ledger_imbalance 0", "/api/v1/openapi.json": `"openapi"`} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.app.Addr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body strings.Builder
		if err := res.Write(&body); err != nil {
			t.Fatal(err)
		}
		cancel()
		if res.StatusCode != http.StatusOK || !strings.Contains(body.String(), want) {
			t.Errorf("%s: %s, without %q", path, res.Status, want)
		}
	}
}

// TestD19ClickRingsAPhoneOnce orders calls as a nervous finger does.
func TestD19ClickRingsAPhoneOnce(t *testing.T) {
	d := newDemo(t)
	click := func(id, number string) (web.Dialled, string) {
		r, err := d.app.Dial(t.Context(), web.Click{RequestID: id, Extension: "101", Number: number, User: "ivan"})
		if refused, ok := errors.AsType[*pbx.Refusal](err); ok {
			return r, refused.Code
		}
		if err != nil {
			t.Fatal(err)
		}
		return r, ""
	}
	first, code := click("r1", "+79219998877")
	if code != "" || first.PBXCallID == "" {
		t.Fatalf("%+v refused: %s", first, code)
	}
	if again, code := click("r1", "+79219998877"); code != "" || !again.Repeated || again.PBXCallID != first.PBXCallID {
		t.Errorf("the same request again: %+v %s", again, code)
	}
	for id, number := range map[string]string{"r2": "+79219998877", "r3": "+79035554433"} {
		if _, code := click(id, number); code != "busy" {
			t.Errorf("a second order while the phone rings: %q, want busy", code)
		}
	}
	for id, number := range map[string]string{"r4": "101", "r5": "102", "r6": "mother", "r7": ""} {
		if _, code := click(id, number); code != "unknown_number" {
			t.Errorf("%q: %q, want unknown_number", number, code)
		}
	}
	if n := len(d.sim.Live()); n == 0 || n > 2 {
		t.Errorf("%d channels live, want those of one call", n)
	}
}
