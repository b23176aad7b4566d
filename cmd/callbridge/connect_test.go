package main

import (
	"testing"
	"time"

	"callbridge/bridge/web/webtest"
	"callbridge/crm/sandbox"
	"callbridge/pbx/ari/arisim"
	"callbridge/store"
)

// TestConnectBreakAndReactivate is an admin who connects a CRM from nothing,
// makes a rule, sees a call arrive; then the password is broken in the CRM, the
// alarm says so, calls are kept; he puts it right, ticks the box, and the calls
// arrive (R-12 to R-15, M-6.1).
func TestConnectBreakAndReactivate(t *testing.T) {
	d := newDemo(t)
	none, _, err := d.app.Store().Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	none.Integrations = nil
	if _, err := d.app.Apply(t.Context(), "test", "nothing is connected", none); err != nil {
		t.Fatal(err)
	}
	missedCall := func(client string) {
		t.Helper()
		if _, err := d.sim.Play(t.Context(), "in_missed_caller_hangs_up", arisim.PlayOptions{Client: client, Speed: 20}); err != nil {
			t.Fatal(err)
		}
	}
	base, crm := "http://"+d.app.Addr(), d.crms[1].url
	retail := d.world.retailcrm
	b := webtest.Open(t, 1280, 900)
	signIn(b, base, "admin", "demoadmin")
	b.See(`.tiles`)

	// Connect: the form leads from field to field, a wrong key is told beside it.
	b.Click(`.tabs a[href="/settings"]`)
	b.Click(`a[href="/settings/integrations/new?kind=retailcrm"]`)
	b.Type(`#f-url`, crm)
	b.Type(`#f-api_key`, "not-the-key")
	b.Click(`button[value=check]`)
	b.See(`.note.bad`)
	webtest.Eval[bool](b, `(document.querySelector("#f-api_key").value = "", true)`)
	b.Type(`#f-api_key`, retail.Key())
	b.Click(`button[value=save]`)
	b.Until(`!document.querySelector("#f-api_key") && document.querySelector("#f-resp")`) // the parameters follow the account (M-1.6)
	webtest.Eval[bool](b, `(document.querySelector("#f-resp").value = "ivan@example.ru", true)`)
	b.Click(`button[value=save]`)
	b.Until(`location.pathname.endsWith("/rules") && document.querySelector("button[value=save]")`)
	webtest.Eval[bool](b, `(() => { const n = "tasks[0]", by = (x) => document.getElementsByName(n + x)[0];
		by(".direction").value = "in"; document.querySelector('input[name="tasks[0].outcome"][value=missed]').checked = true;
		by(".title").value = "Перезвонить"; by(".due").value = "4"; document.querySelector("input[name=contact]").checked = true; return true; })()`)
	b.Click(`button[value=save]`)
	b.Until(`document.querySelector("main").innerText.includes("входящий, пропущен → дело")`)
	id := d.app.Integrations()[0].ID
	page := base + "/integrations/" + id

	// Activate, and a call arrives.
	b.Go(page)
	b.Click(`#activate button`)
	b.Until(`document.querySelector("#state").innerText === "работает"`)
	missedCall("79160000001")
	eventually(t, "the task of the first call", func() bool { return made(retail, "task") == 1 })

	// The key is withdrawn in the CRM itself, on the sandbox's own page.
	toggle := func() {
		t.Helper()
		b.Go(crm + "/?lang=ru")
		b.Click(`form:has(input[name=name][value="` + sandbox.Credentials + `"]) button`)
	}
	toggle()
	b.See(`button[aria-pressed="true"]`)
	missedCall("79160000002")
	missedCall("79160000003")
	b.Go(base + "/alarms")
	b.See(`[data-alarm="CredentialsRefused"]`)
	b.Shot("connect-alarm")
	b.Go(base + "/")
	b.Until(`document.querySelector("#live .note.bad")?.innerText.includes("отклонила доступ")`)
	b.Shot("connect-overview")
	b.Click(`#live .note.bad a[href="/alarms"]`)
	b.Click(`[data-alarm="CredentialsRefused"] a`)
	b.See(`#alarm`)
	b.See(`#resend`)
	eventually(t, "both calls are kept", func() bool {
		rows, err := d.app.Store().HeldSummary(t.Context(), id, time.Now().AddDate(0, 0, -2))
		return err == nil && rows.Calls >= 2
	})
	if n := made(retail, "task"); n != 1 {
		t.Errorf("%d tasks while the key is refused", n)
	}

	// Right again: with the box the calls come, once each.
	toggle()
	b.Until(`!document.querySelector('button[aria-pressed="true"]')`)
	b.Go(page)
	b.Shot("connect-box")
	b.Click(`#resend`)
	b.Click(`#activate button`)
	b.See(`#did`)
	eventually(t, "the kept calls arrive", func() bool { return made(retail, "task") == 3 && made(retail, "contact") == 3 })
	b.Go(base + "/alarms")
	b.Gone(`[data-alarm="CredentialsRefused"]`)

	// Why did a given call make no task? The page of the call says it.
	if _, err := d.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Client: "79160000004", Speed: 20}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the answered call is stored", func() bool {
		calls, _, err := d.app.Store().Calls(t.Context(), store.CallFilter{Client: "+79160000004"})
		return err == nil && len(calls) == 1 && calls[0].Ended()
	})
	b.Go(base + "/calls?client=79160000004")
	b.Until(`document.querySelectorAll("tr[data-href]").length === 1 && document.querySelector("tr[data-href] .tag.answered")`)
	b.Click(`tr[data-href] a`)
	b.Until(`document.querySelector("main").innerText.includes("правило просит")||document.querySelector("main").innerText.includes("пропущен")`)
	b.Shot("connect-why")
	if errs := b.Errors(); len(errs) > 0 {
		t.Errorf("the pages threw %v", errs)
	}
	if n, err := d.app.Store().LedgerImbalance(t.Context()); err != nil || n != 0 {
		t.Errorf("imbalance %d %v", n, err)
	}
}
