package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/pbx"
)

// clerkWork is what the card's work and the console's lists need, in memory.
type clerkWork struct {
	written []Work
	hung    []string
	refuse  error
	tokens  []Token
	erased  []bridge.Number
	played  int
}

func (c *clerkWork) Write(_ context.Context, w Work) ([]bridge.Delivery, error) {
	if w.Integration == "none" {
		return nil, ErrNoCRM
	}
	c.written = append(c.written, w)
	return []bridge.Delivery{c.row(w)}, nil
}

func (c *clerkWork) row(w Work) bridge.Delivery {
	return bridge.Delivery{ID: 7, Integration: "m", CallID: w.CallID, State: bridge.Waiting, Action: bridge.Action{Kind: w.Kind, Text: w.Text, Trigger: bridge.OnCard, Extension: w.Extension}}
}

func (c *clerkWork) Written(_ context.Context, id string) (out []bridge.Delivery, _ error) {
	for _, w := range c.written {
		if w.CallID == id {
			out = append(out, c.row(w))
		}
	}
	return out, nil
}

func (c *clerkWork) Hangup(_ context.Context, id, ext string) error {
	c.hung = append(c.hung, id+" "+ext)
	return c.refuse
}

func (c *clerkWork) Transfer(_ context.Context, id, ext, to string) error {
	c.hung = append(c.hung, id+" "+ext+" → "+to)
	return c.refuse
}

func (c *clerkWork) List(context.Context) ([]Token, error) { return c.tokens, nil }

func (c *clerkWork) Give(_ context.Context, login, label string, life time.Duration) (string, error) {
	c.tokens = append(c.tokens, Token{ID: "0123456789abcdef", Login: login, Label: label, CreatedAt: bridge.At(time.Now()), ExpiresAt: bridge.At(time.Now().Add(life))})
	return "THE-TOKEN", nil
}

func (c *clerkWork) Withdraw(_ context.Context, id string) (string, error) {
	if len(c.tokens) == 0 || c.tokens[0].ID != id {
		return "", ErrNotFound
	}
	login := c.tokens[0].Login
	c.tokens = nil
	return login, nil
}

func (c *clerkWork) Search(_ context.Context, n bridge.Number) (PersonalSummary, error) {
	return PersonalSummary{Number: n, Calls: 3, Recordings: []string{}}, nil
}

func (c *clerkWork) Export(context.Context, bridge.Number) ([]byte, error) {
	return []byte(`{"calls":[]}`), nil
}

func (c *clerkWork) Erase(_ context.Context, n bridge.Number) (Erased, error) {
	if n == "+79265550199" {
		return Erased{}, ErrInUse
	}
	c.erased = append(c.erased, n)
	return Erased{Calls: 3, Recordings: []string{"in.wav"}}, nil
}

func (c *clerkWork) Retention() []Kept { return []Kept{{"events", 30}, {"audit", 0}} }

func (w *world) withWork(t *testing.T) *clerkWork {
	c := &clerkWork{}
	w.history()
	w.calls[0].Recordings = []bridge.Recording{{Name: "in.wav"}}
	w.start(t, func(d *Deps) {
		d.Desk, d.Tokens, d.Personal, d.Admin = c, c, c, newDesk()
		d.Play = func(rw http.ResponseWriter, _ *http.Request, _ bridge.Call, _ int) {
			c.played++
			_, _ = rw.Write([]byte("RIFF"))
		}
		d.Gaps = func(context.Context, time.Time) ([]Gap, error) {
			return []Gap{{PBX: "office", From: bridge.At(time.Now().Add(-time.Hour)), Reason: "closed", Calls: 2}}, nil
		}
	})
	return c
}

// Who had no part in a call can do nothing with it, and what is typed wrong is
// told by field.
func TestWorkFromTheCardIsGuarded(t *testing.T) {
	w := newWorld(t)
	c := w.withWork(t)
	ivan, noext := w.signIn(t, "ivan"), w.signIn(t, "noext")
	post := func(b *browser, path, body string) answer {
		t.Helper()
		return b.do("POST", "/api/v1/calls/"+path, body)
	}
	for _, x := range []struct{ body, code, field string }{
		{`{"kind":"note","text":"x"}`, "missing", "request_id"},
		{`{"request_id":"a:b","kind":"note","text":"x"}`, "bad_request_id", "request_id"},
		{`{"request_id":"a","kind":"popup","text":"x"}`, "bad_value", "kind"},
		{`{"request_id":"a","kind":"note","text":"  "}`, "missing", "text"},
		{`{"request_id":"a","kind":"note","text":"` + strings.Repeat("я", 4001) + `"}`, "too_long_text", "text"},
		{`{"request_id":"a","kind":"note","text":"x","due_at":"2030-01-01T00:00:00Z"}`, "bad_value", "due_at"},
		{`{"request_id":"a","kind":"task","text":"x","due_at":"2001-01-01T00:00:00Z"}`, "bad_time", "due_at"},
		{`{"request_id":"a","kind":"task","text":"x","integration":"none"}`, "no_crm", "integration"},
	} {
		refusedWith(t, post(ivan, "c1/work", x.body), 422, x.code, x.field)
	}
	if a := post(ivan, "c1/work", `{"request_id":"a","kind":"note","text":" любит чай "}`); a.status != 202 || len(c.written) != 1 || c.written[0].Text != "любит чай" || c.written[0].Extension != "101" {
		t.Errorf("%d %s %+v", a.status, a.body, c.written)
	}
	if a := ivan.get("/api/v1/calls/c1/work"); a.status != 200 || !strings.Contains(a.body, "любит чай") {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, path := range []string{"c8/work", "c8/hangup", "c8/transfer"} { // 102's call
		if a := post(ivan, path, map[bool]string{true: `{"request_id":"a","kind":"note","text":"x"}`, false: `{"to":"102"}`}[strings.HasSuffix(path, "work")]); a.status != 404 && a.status != 422 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if len(c.hung) != 0 {
		t.Errorf("%v", c.hung)
	}
	refusedWith(t, post(ivan, "c1/hangup", `{"extension":"102"}`), 403, "not_your_phone", "extension")
	refusedWith(t, post(ivan, "c1/transfer", `{}`), 422, "missing", "to")
	refusedWith(t, post(noext, "c1/hangup", `{}`), 422, "no_extension", "extension")
	if a := post(ivan, "c1/transfer", `{"to":"102"}`); a.status != 202 {
		t.Errorf("%d %s", a.status, a.body)
	}
	c.refuse = &pbx.Refusal{Code: "call_over", Text: "over"}
	refusedWith(t, post(ivan, "c1/hangup", `{}`), 409, "call_over", "")

	// He hears what he talked in, and nothing else.
	if a := ivan.get("/api/v1/calls/c1/recordings/0"); a.status != 200 || a.body != "RIFF" {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, path := range []string{"c1/recordings/1", "c1/recordings/x", "c8/recordings/0"} {
		if a := ivan.get("/api/v1/calls/" + path); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := w.signIn(t, "maria").get("/api/v1/calls/c1/recordings/0"); a.status != 404 || c.played != 1 {
		t.Errorf("her phone only rang: %d, played %d", a.status, c.played)
	}
}

func TestTokensPersonalAlarmsGaps(t *testing.T) {
	w := newWorld(t)
	c := w.withWork(t)
	admin, boss := w.signIn(t, "admin"), w.signIn(t, "boss")
	for _, path := range []string{"/settings/tokens", "/settings/personal", "/api/v1/tokens", "/api/v1/retention"} {
		if a := boss.get(path); a.status != 403 {
			t.Errorf("%s for a supervisor: %d", path, a.status)
		}
	}
	// Tokens: what is wrong stands beside the field and what was typed stays.
	a := admin.form("/settings/tokens", url.Values{"csrf": {admin.csrf}, "login": {"ivan"}, "label": {"Отчёты"}, "days": {"сто"}})
	if a.status != 422 || !strings.Contains(a.body, "От 1 до 3650 дней.") || !strings.Contains(a.body, `value="Отчёты"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a = admin.do("POST", "/api/v1/tokens", `{"login":"ivan","label":"Отчёты","days":30}`); a.status != 201 || !strings.Contains(a.body, "THE-TOKEN") {
		t.Errorf("%d %s", a.status, a.body)
	}
	refusedWith(t, admin.do("POST", "/api/v1/tokens", `{"login":"nobody","label":"x","days":30}`), 422, "no_user", "login")
	if a = admin.get("/settings/tokens"); !strings.Contains(a.body, "Отчёты") || strings.Contains(a.body, "THE-TOKEN") {
		t.Errorf("the list: %s", a.body)
	}
	if a = admin.do("DELETE", "/api/v1/tokens/0123456789abcdef", ""); a.status != 200 || len(c.tokens) != 0 {
		t.Errorf("%d %s", a.status, a.body)
	}

	// Personal data: nothing is erased without the box, and the number stands in no address.
	form := func(do, number, sure string) answer {
		return admin.form("/settings/personal", url.Values{"csrf": {admin.csrf}, "do": {do}, "number": {number}, "sure": {sure}})
	}
	if a = form("search", "абв", ""); a.status != 422 || !strings.Contains(a.body, "не похоже на номер") || !strings.Contains(a.body, `value="абв"`) {
		t.Errorf("%d", a.status)
	}
	if a = form("erase", "+79161234567", ""); a.status != 422 || len(c.erased) != 0 || !strings.Contains(a.body, "Отметьте") {
		t.Errorf("erased without the box: %d %v", a.status, c.erased)
	}
	if a = form("erase", "+79265550199", "1"); a.status != 409 || !strings.Contains(a.body, "только что говорили") {
		t.Errorf("%d", a.status)
	}
	if a = form("erase", "+79161234567", "1"); a.status != 200 || len(c.erased) != 1 || !strings.Contains(a.body, "in.wav") || strings.Contains(a.body, "9161234567") {
		t.Errorf("%d %v", a.status, c.erased)
	}
	refusedWith(t, admin.do("POST", "/api/v1/personal/erase", `{"number":"+79161234567"}`), 422, "missing", "sure")
	for _, path := range []string{"search", "export"} {
		if a = admin.do("POST", "/api/v1/personal/"+path, `{"number":"+79161234567"}`); a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a = admin.get("/api/v1/retention"); !strings.Contains(a.body, `{"kind":"audit","days":0}`) {
		t.Errorf("%s", a.body)
	}

	// Alarms: of the world one CRM refuses the credentials, and a delivery is parked.
	if a = boss.get("/api/v1/alarms"); !strings.Contains(a.body, `"name":"CredentialsRefused","about":"retail"`) || !strings.Contains(a.body, "DeliveriesParked") {
		t.Errorf("%s", a.body)
	}
	for path, want := range map[string]string{"/alarms": "/integrations/retail", "/gaps": "office", "/live": "Никто не разговаривает", "/calls/c1": "/api/v1/calls/c1/recordings/0"} {
		if a = boss.get(path, "Accept-Language", "ru"); a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d, no %q", path, a.status, want)
		}
	}
	if a = boss.get("/api/v1/gaps"); !strings.Contains(a.body, `"calls":2`) {
		t.Errorf("%s", a.body)
	}
}

// F-22: a user from whom names are kept meets none in lists, calls and history.
func TestF22NamesAreHiddenEverywhere(t *testing.T) {
	w := newWorld(t)
	u := w.users["ivan"]
	u.HideClients = true
	w.users["ivan"] = u
	w.history()
	w.calls[0].ClientName = "Anna K"
	w.start(t, nil)
	b := w.signIn(t, "ivan")
	for _, path := range []string{"/agent", "/agent/recent", "/api/v1/calls", "/api/v1/calls/c1", "/api/v1/missed"} {
		a := b.get(path)
		if a.status != 200 {
			t.Errorf("%s: %d", path, a.status)
		}
		for _, name := range []string{"Анна Кузнецова", "Ромашка", "Anna K"} {
			if strings.Contains(a.body, name) {
				t.Errorf("%s shows %q", path, name)
			}
		}
	}
	if a := b.get("/agent"); !strings.Contains(a.body, "916 123-45-67") {
		t.Error("numbers are hidden too")
	}
}

// Times stand in the zone of the reader's device, and days are his days.
func TestTimesAreInTheReadersZone(t *testing.T) {
	w := newWorld(t)
	w.calls = []bridge.Call{ended("z1", bridge.In, bridge.Answered, "+79161234567", 0, []string{"101"}, []string{"101"})}
	w.calls[0].StartedAt = bridge.At(time.Date(2026, 3, 1, 22, 30, 15, 0, time.UTC))
	w.start(t, nil)
	b := w.signIn(t, "admin")
	for zone, want := range map[string]string{"": "01.03.2026 22:30:15", "Asia%2FVladivostok": "02.03.2026 08:30:15", "America/New_York": "01.03.2026 17:30:15",
		"Mars%2FOlympus": "01.03.2026 22:30:15", "..%2F..%2Fetc": "01.03.2026 22:30:15"} {
		if a := b.get("/calls/z1", "Cookie", zoneCookie+"="+zone); !strings.Contains(a.body, want) {
			t.Errorf("zone %q: no %q", zone, want)
		}
	}
	b.get("/api/v1/calls?day=2026-03-02", "Cookie", zoneCookie+"=Asia/Vladivostok")
	w.mu.Lock()
	defer w.mu.Unlock()
	if q := w.queries[len(w.queries)-1]; !q.From.Equal(time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)) {
		t.Errorf("his day begins at %s", q.From)
	}
}

// The rule form holds reasons, lines and the text; a form without that part
// leaves them (D-14).
func TestRuleFormHoldsReasonsLinesAndText(t *testing.T) {
	d := newDesk()
	w := newWorld(t).start(t, func(x *Deps) { x.Admin = d })
	b := w.signIn(t, "admin")
	const path = "/settings/integrations/m/rules"
	if a := b.get(path); !strings.Contains(a.body, `name="tasks[0].line" value="&#43;74951234567" checked`) || !strings.Contains(a.body, ">kept</textarea>") || !strings.Contains(a.body, `name="tasks[0].reason" value="busy"`) {
		t.Errorf("%s", a.body)
	}
	v := url.Values{"complete": {"1"}, "do": {"save"}, "tasks.count": {"1"}, "tasks[0].direction": {"in"}, "tasks[0].outcome": {"missed"}}
	if a := b.settings(path, 1, v); a.status != 303 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if r := d.versions[1].Integrations[0].Calls.Tasks[0]; len(r.Lines) != 1 || r.Text != "kept" {
		t.Errorf("a form without the part wiped it: %+v", r)
	}
	v["tasks[0].more"], v["tasks[0].reason"], v["tasks[0].text"] = []string{"1"}, []string{"busy", "no_answer"}, []string{"Первая\r\nвторая "}
	if a := b.settings(path, 2, v); a.status != 303 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if r := d.versions[2].Integrations[0].Calls.Tasks[0]; len(r.Lines) != 0 || len(r.Reason) != 2 || r.Text != "Первая\nвторая" {
		t.Errorf("%+v", r)
	}
}
