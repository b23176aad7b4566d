package main

import (
	"fmt"
	"strings"
	"testing"

	"callbridge/bridge/web/webtest"
	"callbridge/pbx/ari/arisim"
)

// look takes pictures of the page as people have it: wide and narrow, light and
// dark; it must never be wider than the window.
func look(t *testing.T, b *webtest.Browser, name string) {
	t.Helper()
	b.Shot(name)
	b.Dark()
	b.Size(390, 844)
	b.Shot(name + "-390-dark")
	if wide := webtest.Eval[float64](b, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("%s: at 390 px the page is %v px wide", name, wide)
	}
	b.Light()
	b.Size(1280, 900)
}

// TestSettingsInTheConsole is an admin who connects a CRM from nothing, changes
// a rule after a look at what it would do, and goes back.
func TestSettingsInTheConsole(t *testing.T) {
	d := newDemo(t)
	for _, s := range []string{"in_missed_caller_hangs_up", "in_answered"} {
		if _, err := d.sim.Play(t.Context(), s, arisim.PlayOptions{Client: "79117770011", Speed: 20}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the calls are over", func() bool {
		return made(d.world.megaplan, "task") == 1 && made(d.world.megaplan, "communication") == 2
	})
	base := "http://" + d.app.Addr()
	b := webtest.Open(t, 1280, 900)
	signIn(b, base, "admin", "demoadmin")
	b.Click(`.tabs a[href="/settings"]`)
	b.See(`a[href="/settings/users"]`)
	look(t, b, "settings")

	// Connect a second Megaplan account: a wrong password is told, the right one answers.
	b.Click(`a[href="/settings/integrations/new?kind=megaplan"]`)
	b.Until(`location.pathname === "/settings/credentials/new"`)
	b.Type(`#f-name`, "Второй офис")
	b.Type(`#f-url`, d.crms[0].url)
	b.Type(`#f-username`, "bot@example.ru")
	b.Type(`#f-password`, "wrong-password")
	b.Click(`button[value=check]`)
	b.See(`.note.bad`)
	look(t, b, "settings-connect-refused")
	webtest.Eval[bool](b, `(document.querySelector("#f-password").value = "", true)`)
	b.Type(`#f-password`, megaplanPassword)
	b.Click(`button[value=check]`)
	b.See(`.note.good`)
	look(t, b, "settings-connect-checked")
	b.Click(`button[value=save]`)
	b.Until(`location.search.includes("credentials=megaplan-main")`)
	look(t, b, "settings-connect-parameters")
	webtest.Eval[bool](b, `(document.querySelector("#f-resp").value = "nobody", true)`)
	b.Click(`button[value=save]`)
	b.See(`#f-resp[aria-invalid]`)
	b.Shot("settings-connect-invalid")
	webtest.Eval[bool](b, `(document.querySelector("#f-resp").value = "ivan@example.ru", true)`)
	b.Click(`button[value=save]`)
	b.Until(`location.pathname === "/settings/integrations/megaplan-2/rules"`)
	if n := len(d.app.Integrations()); n != 3 || d.app.Integrations()[2].Active || d.app.Integrations()[2].CredentialsID != "megaplan-main" || d.app.Integrations()[2].Credentials["password"] != megaplanPassword {
		t.Errorf("M-6.1: %d integrations, the new one %+v", n, d.app.Integrations()[2])
	}

	// A rule for answered calls on the first account: look first, then save.
	b.Go(base + "/settings/integrations/megaplan-main/rules")
	b.Until(`document.querySelector("main").innerText.includes("входящий, пропущен → дело")`)
	look(t, b, "settings-rules")
	webtest.Eval[bool](b, `(document.querySelector("#values").open = true, document.querySelector("#values").scrollIntoView(), true)`)
	look(t, b, "settings-rules-values")
	webtest.Eval[bool](b, `(() => { const n = 'tasks[1]'; document.getElementsByName(n + '.direction')[0].value = 'in';
		document.querySelector('input[name="' + n + '.outcome"][value=answered]').checked = true; document.getElementsByName(n + '.due')[0].value = '2,5';
		document.getElementsByName(n + '.title')[0].value = 'Записать итог'; return true; })()`)
	asked := objects(d)
	b.Click(`button[value=preview]`)
	b.See(`.dry table`)
	if got := b.Text(`.dry`); !strings.Contains(got, "Проверено на звонках последних 7 дней: 2") || !strings.Contains(got, "создалось бы") {
		t.Errorf("F-4: %q", got)
	}
	if now := objects(d); now != asked {
		t.Errorf("F-4: the dry run made objects: %d, then %d", asked, now)
	}
	look(t, b, "settings-rules-dry")
	b.Click(`button[value=save]`)
	b.See(`.note.good`)
	tasks := d.app.Integrations()[0].Calls.Tasks
	if len(tasks) != 2 || tasks[1].Title != "Записать итог" || fmt.Sprint(tasks[1].Outcome) != "[answered]" || tasks[0].Title != "Перезвонить: {{phone .Client.Phone}}" {
		t.Errorf("%+v", tasks)
	}

	// The version says what changed, and there is a way back (F-21).
	b.Go(base + "/settings/versions/4")
	b.Until(`document.querySelector(".plus")?.innerText !== undefined && document.querySelector(".diff").innerText.includes("Записать итог")`)
	look(t, b, "settings-version")
	if strings.Contains(b.Text(`main`), megaplanPassword) {
		t.Error("a secret is shown")
	}
	b.Go(base + "/settings/versions/3")
	b.Click(`main form .primary`)
	b.Until(`location.pathname === "/settings/versions"`)
	if n := len(d.app.Integrations()[0].Calls.Tasks); n != 1 {
		t.Errorf("%d task rules after the way back", n)
	}

	// What to click in Megaplan, what has worked, and an address for a button.
	b.Go(base + "/integrations/megaplan-main/setup")
	b.See(`#trials .tag.done`)
	look(t, b, "setup")
	b.Click(`#links button`)
	b.Until(`document.querySelector("#made")?.innerText.includes("/hooks/megaplan-main/call?ext=any")`)
	look(t, b, "setup-link")

	// Lists: a row is added, nothing else goes; then who did all that.
	for _, list := range []string{"employees", "lines", "users"} {
		b.Go(base + "/settings/" + list)
		b.See(`.editable`)
		look(t, b, "settings-"+list)
	}
	n := webtest.Eval[float64](b, `document.querySelectorAll(".editable tbody tr").length - 3`)
	b.Type(fmt.Sprintf(`[name="users[%d].login"]`, int(n)), "boss")
	b.Type(fmt.Sprintf(`[name="users[%d].password"]`, int(n)), "boss-password")
	b.Click(`button[value=save]`)
	b.See(`[aria-invalid]`) // an agent needs an extension
	webtest.Eval[bool](b, fmt.Sprintf(`(document.getElementsByName("users[%d].role")[0].value = "supervisor", true)`, int(n)))
	b.Type(fmt.Sprintf(`[name="users[%d].password"]`, int(n)), "boss-password")
	b.Click(`button[value=save]`)
	b.See(`.note.good`)
	b.Go(base + "/settings/audit")
	b.Until(`document.querySelectorAll("tbody tr").length >= 5`)
	b.Shot("settings-audit")
	if errs := b.Errors(); len(errs) > 0 {
		t.Errorf("the pages threw %v", errs)
	}
	other := webtest.Open(t, 1280, 900)
	signIn(other, base, "boss", "boss-password")
	other.See(`.tiles`)
	other.Go(base + "/settings")
	other.Until(`document.querySelector("main").innerText.includes("права администратора")`)
	other.Go(base + "/login?lang=en")
	other.Go(base + "/")
	other.See(`.figure`)
	other.Shot("console-en")
}

// objects is how many objects both CRMs hold.
func objects(d *demoRun) int {
	return len(d.world.megaplan.Objects()) + len(d.world.retailcrm.Objects())
}
