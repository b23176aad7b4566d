package web

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"callbridge/bridge"
)

// switches is a Switcher that notes what it was told.
type switches struct {
	st   Standing
	told []string
	q    ResendQuery
}

func (s *switches) Standing(_ context.Context, id string) (Standing, error) {
	if id != "retail" {
		return Standing{}, ErrNotFound
	}
	return s.st, nil
}

func (s *switches) Activate(_ context.Context, id, by string, resend bool) (Switched, error) {
	s.told = append(s.told, "activate "+id+" "+by+map[bool]string{true: " with the box"}[resend])
	if resend {
		return Switched{Active: true, Sent: 14, Minutes: 2.5}, nil
	}
	return Switched{Active: true, Expired: 14}, nil
}

func (s *switches) Deactivate(_ context.Context, id, by string) (Switched, error) {
	s.told = append(s.told, "deactivate "+id+" "+by)
	return Switched{Held: 3}, nil
}

func (s *switches) Resend(_ context.Context, id string, q ResendQuery) (Resent, error) {
	s.told, s.q = append(s.told, "resend "+id), q
	return Resent{Calls: 5, Deliveries: 9, Requests: 20, Minutes: 1, Sent: !q.DryRun, ByKind: map[bridge.ActionKind]int64{bridge.ActCall: 5}}, nil
}

func newSwitches() *switches {
	return &switches{st: Standing{Integration: Integration{ID: "retail", Kind: "retailcrm", Name: "retailCRM", State: "held", Reason: "the API key is refused", Held: 17,
		Since: bridge.AtMilli(1767225600000)}, FirstRefused: bridge.AtMilli(1767225600000), ResendFrom: bridge.AtMilli(1767052800000),
		WouldSend: 14, WouldExpire: 3, Minutes: 2.5, Module: "failed", ModuleError: "no funds",
		Days: []LedgerRow{{Day: "2026-01-01", Planned: 17, States: map[bridge.DeliveryState]int64{bridge.Held: 17}}}}}
}

// TestR14TheBoxAppearsAfterDeactivation, with the counts, and only then; only an
// admin turns it.
func TestR14TheBoxAppearsAfterDeactivation(t *testing.T) {
	sw := newSwitches()
	w := newWorld(t).start(t, func(d *Deps) { d.Switch = sw })
	admin, boss := w.signIn(t, "admin"), w.signIn(t, "boss")
	a := admin.get("/integrations/retail", "Accept-Language", "ru")
	for _, want := range []string{"Отправить данные в CRM после повторной активации", `name="resend"`, "the API key is refused", `role="alert"`,
		"С галочкой уйдёт действий: 14", "примерно минут: 2.5", "не уйдёт само: 3", "2026-01-01", "no funds", `action="/integrations/retail/activate"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(a.body, "checked") || strings.Contains(a.body, `id="deactivate"`) {
		t.Error("the box is ticked by itself, or what is off can be switched off")
	}
	if b := boss.get("/integrations/retail").body; strings.Contains(b, `id="resend"`) || !strings.Contains(b, "17") {
		t.Error("a supervisor sees the state and may not switch")
	}
	a = admin.form("/integrations/retail/activate", url.Values{"csrf": {admin.csrf}, "resend": {"1"}})
	if a.status != 303 || !strings.HasPrefix(a.header.Get("Location"), "/integrations/retail?did=activate") {
		t.Fatalf("%d %s", a.status, a.header.Get("Location"))
	}
	if p := admin.get(a.header.Get("Location"), "Accept-Language", "en").body; !strings.Contains(p, "Actions on their way: 14") || !strings.Contains(p, "caught up in 2.5 min") {
		t.Error("the page does not say what was sent")
	}
	a = admin.form("/integrations/retail/activate", url.Values{"csrf": {admin.csrf}})
	if p := admin.get(a.header.Get("Location"), "Accept-Language", "ru").body; !strings.Contains(p, "Не отправлено: 14") || !strings.Contains(p, `action="/integrations/retail/resend"`) {
		t.Error("who forgot the box is not asked again (decision 13)")
	}
	admin.form("/integrations/retail/resend", url.Values{"csrf": {admin.csrf}})
	if sw.q.From != sw.st.ResendFrom.Time || sw.q.Again || sw.q.DryRun {
		t.Errorf("%+v", sw.q)
	}
	for _, path := range []string{"activate", "deactivate", "resend"} {
		if a := boss.form("/integrations/retail/"+path, url.Values{"csrf": {boss.csrf}}); a.status != 403 {
			t.Errorf("%s by a supervisor: %d", path, a.status)
		}
	}
	want := "activate retail admin with the box,activate retail admin,resend retail"
	if got := strings.Join(sw.told, ","); got != want {
		t.Errorf("told %q, want %q", got, want)
	}

	sw.st.Active, sw.st.State, sw.st.Held, sw.st.FirstRefused = true, "active", 0, bridge.Time{}
	if p := admin.get("/integrations/retail").body; strings.Contains(p, `id="resend"`) || !strings.Contains(p, `id="deactivate"`) {
		t.Error("the box is there while the integration is active")
	}
	if a := admin.get("/integrations/other"); a.status != 404 {
		t.Errorf("an unknown integration: %d", a.status)
	}
}

// TestR14OverREST: the same for scripts, with roles and strict bodies.
func TestR14OverREST(t *testing.T) {
	sw := newSwitches()
	w := newWorld(t).start(t, func(d *Deps) { d.Switch = sw })
	admin, boss := w.signIn(t, "admin"), w.signIn(t, "boss")
	for _, tc := range []struct {
		who                *browser
		method, path, body string
		status             int
		want               string
	}{
		{boss, "GET", "/api/v1/integrations/retail", "", 200, `"would_send":14`},
		{admin, "POST", "/api/v1/integrations/retail/activate", `{"resend":true}`, 200, `"sent":14`},
		{admin, "POST", "/api/v1/integrations/retail/activate", "", 200, `"expired":14`},
		{admin, "POST", "/api/v1/integrations/retail/activate", `{"resnd":true}`, 422, "resnd"},
		{admin, "POST", "/api/v1/integrations/retail/deactivate", "", 200, `"held":3`},
		{admin, "POST", "/api/v1/integrations/retail/resend", `{"from":"2026-01-01T00:00:00Z","dry_run":true}`, 200, `"sent":false`},
		{admin, "POST", "/api/v1/integrations/retail/resend", `{"call":"c1","again":true}`, 200, `"requests":20`},
		{admin, "POST", "/api/v1/integrations/retail/resend", `{"from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z"}`, 422, `"field":"to"`},
		{boss, "POST", "/api/v1/integrations/retail/activate", `{"resend":true}`, 403, "not_allowed"},
		{boss, "POST", "/api/v1/integrations/retail/resend", `{}`, 403, "not_allowed"},
		{admin, "GET", "/api/v1/integrations/other", "", 404, "not_found"},
	} {
		if a := tc.who.do(tc.method, tc.path, tc.body); a.status != tc.status || !strings.Contains(a.body, tc.want) {
			t.Errorf("%s %s %s: %d %s", tc.method, tc.path, tc.body, a.status, a.body)
		}
	}
	if sw.q.CallID != "c1" || !sw.q.Again {
		t.Errorf("%+v", sw.q)
	}
}
