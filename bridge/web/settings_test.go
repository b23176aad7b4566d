package web

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/rules"
	"callbridge/bridge/setting"
	"callbridge/crm"
)

// desk is the settings in memory, with one kind of CRM.
type desk struct {
	versions []bridge.Settings
	notes    []string
	tried    []bridge.Integration
}

var deskFields = []setting.Field{{Name: "url", Account: true, Label: "Address", Required: true, URL: true, Help: "The full address."},
	{Name: "password", Account: true, Label: "Password", Secret: true, Required: true}, {Name: "speed", Label: "Speed"}}

func (d *desk) Settings(context.Context) (bridge.Settings, int64, error) {
	return d.versions[len(d.versions)-1], int64(len(d.versions)), nil
}

func (d *desk) Version(_ context.Context, v int64) (bridge.Settings, error) {
	if v < 1 || v > int64(len(d.versions)) {
		return bridge.Settings{}, ErrNotFound
	}
	return d.versions[v-1], nil
}

func (d *desk) Versions(context.Context) ([]SettingsVersion, error) {
	var out []SettingsVersion
	for i := range d.versions {
		out = append(out, SettingsVersion{Version: int64(i + 1), By: "admin", Note: d.notes[i]})
	}
	slices.Reverse(out)
	return out, nil
}

func (d *desk) Kinds() []Kind { return []Kind{{"megaplan", "Megaplan", deskFields}} }

func (d *desk) Complete(_ context.Context, s bridge.Settings) (bridge.Settings, []setting.Problem, error) {
	var list []setting.Problem
	for i, in := range s.Integrations {
		list = append(list, setting.Validate(fmt.Sprintf("integrations[%d].credentials.", i), deskFields, setting.Values(s.CredentialsOf(in)))...)
	}
	for i, c := range s.Credentials[min(2, len(s.Credentials)):] { // after those that are there from the start
		list = append(list, setting.Validate(fmt.Sprintf("credentials[%d].values.", i+2), deskFields, setting.Values(c.Values))...)
	}
	for i, e := range s.Employees {
		if e.Extension == "" {
			list = append(list, setting.Problem{Path: fmt.Sprintf("employees[%d].extension", i), Text: "is missing"})
		}
	}
	return s, list, nil
}

func (d *desk) Save(_ context.Context, _, note string, base int64, s bridge.Settings) (int64, error) {
	if base != int64(len(d.versions)) {
		return 0, ErrConflict
	}
	d.versions, d.notes = append(d.versions, s), append(d.notes, note)
	return base + 1, nil
}

func (d *desk) Try(_ context.Context, in bridge.Integration) (crm.Report, error) {
	d.tried = append(d.tried, in)
	if in.Credentials["password"] != "right" {
		return crm.Report{}, fault.New(fault.Auth, "desk", "refused")
	}
	return crm.Report{Account: "Acme", Lines: []crm.CheckLine{{What: "read clients", OK: true}, {What: "make tasks", Help: "click there"}}}, nil
}

func (d *desk) DryRun(_ context.Context, next bridge.Settings, _, most int) (rules.DryRun, error) {
	calls := []bridge.Call{{ID: "c1", Direction: bridge.In, Outcome: bridge.Missed, Client: "+79161234567"}}
	return rules.Compare(calls, d.versions[len(d.versions)-1].Integrations, next.Integrations, most), nil
}

func (d *desk) Text(s bridge.Settings) (string, error) {
	var b strings.Builder
	for _, in := range s.Integrations {
		fmt.Fprintf(&b, "id: %s\ntasks: %d\n", in.ID, len(in.Calls.Tasks))
	}
	for _, e := range s.Employees {
		fmt.Fprintf(&b, "extension: %s\n", e.Extension)
	}
	return b.String(), nil
}

func newDesk() *desk {
	known := true
	return &desk{notes: []string{"first"}, versions: []bridge.Settings{{
		Credentials: []bridge.Credential{{ID: "shared", Kind: "megaplan", Values: map[string]string{"password": "shared-secret"}}, {ID: "other", Kind: "gone", Values: map[string]string{"key": "shared-secret"}}},
		Integrations: []bridge.Integration{{ID: "m", Kind: "megaplan", Active: true, Credentials: map[string]string{"url": "https://mp.example.ru", "password": "old"},
			Calls: bridge.CallRules{Tasks: []bridge.TaskRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}, Lines: []string{"+74951234567"}, Known: &known}, Text: "kept"}}}}},
		Employees: []bridge.Employee{{Extension: "101", Name: "Иван", Email: "ivan@example.ru"}, {Extension: "102", Name: "Мария"}},
		Lines:     []bridge.Line{{Number: "+74951234567", Name: "Сайт", Source: map[string]string{"utm_source": "yandex", "utm_term": "окна"}}},
		Users:     []bridge.User{{Login: "admin", Role: bridge.Admin, PasswordHash: "hash"}},
	}}}
}

// page posts a form with what every settings form carries.
func (b *browser) settings(path string, base int, v url.Values) answer {
	b.t.Helper()
	v.Set("csrf", b.csrf)
	v.Set("base", fmt.Sprint(base))
	return b.form(path, v)
}

func TestD14NoSaveCanWipe(t *testing.T) {
	d := newDesk()
	w := newWorld(t).start(t, func(x *Deps) { x.Admin = d })
	b := w.signIn(t, "admin")
	last := func() bridge.Settings { return d.versions[len(d.versions)-1] }
	// An empty post, a cut one, and one without the count wipe nothing.
	if a := b.settings("/settings/employees", 1, url.Values{}); a.status != 422 || len(d.versions) != 1 {
		t.Errorf("an empty post: %d", a.status)
	}
	if a := b.settings("/settings/employees", 1, url.Values{"count": {"0"}}); a.status != 303 || len(last().Employees) != 2 {
		t.Errorf("a cut post: %d %+v", a.status, last().Employees)
	}
	if a := b.settings("/settings/integrations/m/rules", 2, url.Values{}); a.status != 422 || len(last().Integrations[0].Calls.Tasks) != 1 {
		t.Errorf("rules cut: %d", a.status)
	}
	// A row goes by its box only; others keep what the form does not show.
	a := b.settings("/settings/employees", 2, url.Values{"count": {"5"}, "employees[0].remove": {"1"}, "employees[2].extension": {"103"}, "employees[2].name": {"Олег"}})
	if a.status != 303 || len(last().Employees) != 2 || last().Employees[0].Name != "Мария" || last().Employees[1].Extension != "103" {
		t.Errorf("%d %+v", a.status, last().Employees)
	}
	if a := b.settings("/settings/lines", 3, url.Values{"count": {"4"}, "lines[0].source.utm_source": {"google"}, "lines[0].name": {"Новый"}}); a.status != 303 || last().Lines[0].Source["utm_term"] != "окна" || last().Lines[0].Source["utm_source"] != "google" || last().Lines[0].Number != "+74951234567" {
		t.Errorf("%d %+v", a.status, last().Lines)
	}
	// What is wrong stands beside the field, and what was typed stays.
	a = b.settings("/settings/employees", 4, url.Values{"count": {"5"}, "employees[1].extension": {""}, "employees[1].name": {"Безномерный"}})
	if a.status != 422 || !strings.Contains(a.body, `name="employees[1].extension"`) || !strings.Contains(a.body, "Безномерный") || !strings.Contains(a.body, "aria-invalid") {
		t.Errorf("%d", a.status)
	}
	if a := b.settings("/settings/users", 4, url.Values{"count": {"1"}, "users[0].password": {"typed-password"}, "users[0].name": {"A"}}); a.status != 303 || last().Users[0].Password != "typed-password" || last().Users[0].PasswordHash != "hash" {
		t.Errorf("%d %+v", a.status, last().Users)
	}
	// Somebody else has saved meanwhile.
	a = b.settings("/settings/employees", 2, url.Values{"count": {"5"}, "employees[0].name": {"Спорная"}})
	if a.status != 409 || !strings.Contains(a.body, "Спорная") || !strings.Contains(a.body, `name="base" value="5"`) {
		t.Errorf("a conflict: %d", a.status)
	}
}

func TestConnectForm(t *testing.T) {
	d := newDesk()
	w := newWorld(t).start(t, func(x *Deps) { x.Admin = d })
	b := w.signIn(t, "admin")
	if a := b.get("/settings/integrations/m"); a.status != 200 || strings.Contains(a.body, `"old"`) || !strings.Contains(a.body, setting.Mask) {
		t.Errorf("%d: the secret must not be shown", a.status)
	}
	path, v := "/settings/integrations/new?kind=megaplan", url.Values{"id": {"second"}, "credentials.url": {"https://mp2.example.ru"}, "credentials.password": {"right"}, "do": {"check"}}
	a := b.settings(path, 1, v)
	if a.status != 200 || !strings.Contains(a.body, "Acme") || !strings.Contains(a.body, "click there") || len(d.versions) != 1 {
		t.Errorf("%d", a.status)
	}
	if strings.Contains(a.body, "right\"") {
		t.Error("the typed secret came back readable")
	}
	// The form is sent again with the mask, as a browser does.
	kept := regexp.MustCompile(`name="kept" value="([^"]+)"`).FindStringSubmatch(a.body)
	if kept == nil {
		t.Fatal("the typed secret is lost")
	}
	v.Set("credentials.password", setting.Mask)
	v.Set("kept", kept[1])
	if w.signIn(t, "admin").settings(path, 1, v); len(d.tried) != 1 {
		t.Error("a sealed secret is good for its own sign-in only")
	}
	v.Set("do", "save")
	if a := b.settings(path, 1, v); a.status != 303 || a.header.Get("Location") != "/settings/integrations/second/rules?saved=1" {
		t.Fatalf("%d %s", a.status, a.header.Get("Location"))
	}
	made := d.versions[1].Integrations[1]
	if made.ID != "second" || made.Credentials["password"] != "right" || made.Active {
		t.Errorf("%+v", made)
	}
	if a := b.settings("/settings/integrations/m", 2, url.Values{"credentials.url": {"nonsense"}, "credentials.password": {setting.Mask}, "do": {"save"}}); a.status != 422 || !strings.Contains(a.body, "nonsense") {
		t.Errorf("%d", a.status)
	}
	if a := b.settings("/settings/integrations/m", 2, url.Values{"credentials.url": {"https://new.example.ru"}, "credentials.password": {setting.Mask}, "do": {"save"}}); a.status != 303 || d.versions[2].Integrations[0].Credentials["password"] != "old" || !d.versions[2].Integrations[0].Active {
		t.Errorf("%d %+v", a.status, d.versions[2].Integrations[0])
	}
	if a := b.get("/settings/integrations/none"); a.status != 404 {
		t.Errorf("%d", a.status)
	}
}

// M-1.1 to M-1.6: connecting begins with an account: one that is there, or a new
// one with a name, which other integrations can use; the integration's own
// settings come after it.
func TestM11AccountIsChosenOrAddedFirst(t *testing.T) {
	d := newDesk()
	w := newWorld(t).start(t, func(x *Deps) { x.Admin = d })
	b := w.signIn(t, "admin")
	a := b.get("/settings/integrations/new?kind=megaplan")
	first := "/settings/credentials/new?then=integration&kind=megaplan"
	if a.status != 303 || a.header.Get("Location") != first {
		t.Fatalf("M-1.6: %d %s", a.status, a.header.Get("Location"))
	}
	if a = b.get(first); a.status != 200 || !strings.Contains(a.body, "credentials=shared") || strings.Contains(a.body, "credentials=other") || strings.Contains(a.body, "shared-secret") || strings.Contains(a.body, "default_responsible") {
		t.Errorf("%d: the accounts of this kind are to choose from, and nothing else is asked: %s", a.status, a.body)
	}
	v := url.Values{"name": {"Офис"}, "values.url": {"https://mp2.example.ru"}, "values.password": {"wrong"}, "do": {"check"}}
	if a = b.settings(first, 1, v); a.status != 200 || !strings.Contains(a.body, "не принимает логин, пароль или ключ") || strings.Contains(a.body, "\"wrong\"") {
		t.Errorf("a wrong password: %d", a.status)
	}
	v.Set("values.password", "right")
	if a = b.settings(first, 1, v); a.status != 200 || !strings.Contains(a.body, "Acme") || !strings.Contains(a.body, "click there") || len(d.versions) != 1 {
		t.Errorf("the right one: %d %s", a.status, a.body)
	}
	v.Set("do", "save")
	a = b.settings(first, 1, v)
	next := "/settings/integrations/new?kind=megaplan&credentials=megaplan-main"
	if a.status != 303 || a.header.Get("Location") != next || len(d.versions) != 2 {
		t.Fatalf("%d %s %d", a.status, a.header.Get("Location"), len(d.versions))
	}
	if c := d.versions[1].Credentials[2]; c.Name != "Офис" || c.Kind != "megaplan" || c.Values["password"] != "right" {
		t.Errorf("%+v", c)
	}
	if a = b.get(next); a.status != 200 || !strings.Contains(a.body, "default_responsible") || strings.Contains(a.body, `name="credentials.password"`) || !strings.Contains(a.body, `name="credentials.speed"`) || !strings.Contains(a.body, "Офис") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a = b.settings(next, 2, url.Values{"id": {"second"}, "credentials_id": {"megaplan-main"}, "credentials.speed": {"3"}, "do": {"save"}}); a.status != 303 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	in := d.versions[2].Integrations[1]
	if in.CredentialsID != "megaplan-main" || len(in.Credentials) != 1 || in.Credentials["speed"] != "3" {
		t.Errorf("%+v", in)
	}
	// One of before changes over; its own password is gone.
	if a = b.settings("/settings/integrations/m", 3, url.Values{"credentials_id": {"megaplan-main"}, "do": {"save"}}); a.status != 303 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if in := d.versions[3].Integrations[0]; in.CredentialsID != "megaplan-main" || len(in.Credentials) != 0 || !in.Active || len(in.Calls.Tasks) != 1 {
		t.Errorf("%+v", in)
	}
	// The account's own page: a mask keeps the password, who uses it is told,
	// and while it is used it cannot be removed.
	own := "/settings/credentials/megaplan-main"
	if a = b.get(own); a.status != 200 || !strings.Contains(a.body, "second") || strings.Contains(a.body, `value="remove"`) || strings.Contains(a.body, `"right"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a = b.settings(own, 4, url.Values{"name": {"Главный офис"}, "values.url": {"https://mp3.example.ru"}, "values.password": {setting.Mask}, "do": {"save"}}); a.status != 303 || d.versions[4].Credentials[2].Values["password"] != "right" || d.versions[4].Credentials[2].Name != "Главный офис" {
		t.Errorf("%d %+v", a.status, d.versions[4].Credentials)
	}
	if a = b.settings(own, 5, url.Values{"do": {"remove"}}); a.status != 422 || len(d.versions) != 5 {
		t.Errorf("an account in use was removed: %d", a.status)
	}
	if a = b.settings("/settings/credentials/shared", 5, url.Values{"do": {"remove"}}); a.status != 303 || len(d.versions[5].Credentials) != 2 {
		t.Errorf("an unused one was not removed: %d", a.status)
	}
	if a = b.get("/settings/credentials/nobody"); a.status != 404 {
		t.Errorf("%d", a.status)
	}
	if a = w.signIn(t, "boss").get(own); a.status != 403 {
		t.Errorf("a supervisor: %d", a.status)
	}
}

func TestRulesForm(t *testing.T) {
	d := newDesk()
	w := newWorld(t).start(t, func(x *Deps) { x.Admin = d })
	b := w.signIn(t, "admin")
	if a := b.get("/settings/integrations/m/rules", "Accept-Language", "ru"); !strings.Contains(a.body, "входящий, пропущен, &#43;74951234567, есть в CRM → дело → по умолчанию") {
		t.Errorf("the rule is not told in words: %s", a.body)
	}
	// The table of what templates may name stands beside the form, in both languages.
	for lang, want := range map[string]string{"ru": "имя клиента в CRM", "en": "name of the client in the CRM"} {
		if a := b.get("/settings/integrations/m/rules", "Accept-Language", lang); !strings.Contains(a.body, "{{.Client.Name}}") || !strings.Contains(a.body, "{{.Recording.URL}}") || !strings.Contains(a.body, want) {
			t.Errorf("%s: the values of templates are not shown", lang)
		}
	}
	v := url.Values{"complete": {"1"}, "tasks.count": {"2"}, "communications.count": {"1"}, "processes.count": {"1"}, "fields.count": {"1"}, "popup": {"1"},
		"tasks[0].direction": {"in"}, "tasks[0].outcome": {"missed"}, "tasks[0].responsible": {"talked"}, "tasks[0].due": {"1,5"},
		"tasks[1].direction": {"any"}, "tasks[1].due": {"x"}, "communications[0].direction": {"out"}, "communications[0].known": {"no"},
		"fields[0].crm": {"utm"}, "fields[0].from": {"source.utm_source"}, "do": {"preview"}}
	if a := b.settings("/settings/integrations/m/rules", 1, v); a.status != 422 || len(d.versions) != 1 {
		t.Errorf("a due time that is no number: %d", a.status)
	}
	v.Set("tasks[1].due", "")
	if a := b.settings("/settings/integrations/m/rules", 1, v); a.status != 200 || !strings.Contains(a.body, "/calls/c1") || len(d.versions) != 1 {
		t.Errorf("preview: %d", a.status)
	}
	v.Set("do", "save")
	if a := b.settings("/settings/integrations/m/rules", 1, v); a.status != 303 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	c := d.versions[1].Integrations[0].Calls
	if len(c.Tasks) != 2 || c.Tasks[0].Text != "kept" || c.Tasks[0].Lines[0] != "+74951234567" || c.Tasks[0].Known != nil || fmt.Sprint(c.Tasks[0].Due) != fmt.Sprint(bridge.Duration(5400e9)) || c.Tasks[1].Direction != "" {
		t.Errorf("%+v", c.Tasks)
	}
	if len(c.Communications) != 1 || *c.Communications[0].Known || len(c.Fields) != 1 || c.Contact != nil || !*c.Popup || len(c.Processes) != 0 {
		t.Errorf("%+v", c)
	}
}

func TestF21VersionsAndAPI(t *testing.T) {
	d := newDesk()
	w := newWorld(t).start(t, func(x *Deps) { x.Admin = d })
	b := w.signIn(t, "admin")
	if a := b.get("/api/v1/settings"); strings.Contains(a.body, "shared-secret") || !strings.Contains(a.body, "shared") {
		t.Error("a secret of named credentials leaves the house")
	}
	got := decode[settingsIn](t, b.get("/api/v1/settings"), 200)
	if got.Version != 1 || got.Settings.Integrations[0].Credentials["password"] != setting.Mask || got.Settings.Users[0].PasswordHash != setting.Mask {
		t.Errorf("%+v", got)
	}
	dry := decode[rules.DryRun](t, b.do("POST", "/api/v1/settings/dryrun", `{"settings":{}}`), 200)
	if dry.Calls != 1 || dry.Touched() == 0 {
		t.Errorf("%+v", dry)
	}
	if a := b.do("PUT", "/api/v1/settings", `{"version":1,"note":"x","settings":{"employees":[{"extension":""}]}}`); a.status != 422 || !strings.Contains(a.body, "employees[0].extension") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if v := decode[struct{ Version int64 }](t, b.do("PUT", "/api/v1/settings", `{"version":1,"note":"x","settings":{"employees":[{"extension":"7"}]}}`), 200); v.Version != 2 {
		t.Errorf("%+v", v)
	}
	refusedWith(t, b.do("PUT", "/api/v1/settings", `{"version":1,"settings":{}}`), 409, "conflict", "version")
	if a := b.get("/settings/versions/2"); a.status != 200 || !strings.Contains(a.body, "&#43; extension: 7") || !strings.Contains(a.body, "- id: m") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.get("/settings/versions/1?against=newest"); a.status != 200 || !strings.Contains(a.body, "&#43; extension: 7") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.settings("/settings/versions/1", 1, url.Values{}); a.status != 409 {
		t.Errorf("the way back over a newer version: %d", a.status)
	}
	if a := b.settings("/settings/versions/1", 2, url.Values{}); a.status != 303 || len(d.versions) != 3 || len(d.versions[2].Integrations) != 1 {
		t.Errorf("%d", a.status)
	}
	if a := b.settings("/settings/versions/3", 3, url.Values{}); a.status != 409 {
		t.Errorf("back to what is: %d", a.status)
	}
	for _, path := range []string{"/settings/versions/9", "/settings/versions/x", "/api/v1/settings/versions/0"} {
		if a := b.get(path); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	boss := w.signIn(t, "boss")
	for _, path := range []string{"/settings", "/settings/users", "/settings/versions", "/api/v1/settings", "/api/v1/settings/versions"} {
		if a := boss.get(path); a.status != 403 {
			t.Errorf("%s as a supervisor: %d", path, a.status)
		}
	}
}

func TestDiff(t *testing.T) {
	text := func(l []diffLine) string {
		var b strings.Builder
		for _, x := range l {
			b.WriteString(x.Sign + x.Text + "|")
		}
		return b.String()
	}
	same := strings.Split("a b c d e f g h i j k l m n", " ")
	other := slices.Clone(same)
	other[1], other[12] = "B", "M"
	for _, tc := range []struct {
		a, b []string
		want string
	}{
		{same, same, ""}, {[]string{""}, []string{"x"}, "-|+x|"}, {[]string{"a", "b"}, []string{"a"}, " a|-b|"},
		{same, other, " a|-b|+B| c| d| e| …| j| k| l|-m|+M| n|"},
	} {
		if got := text(diff(tc.a, tc.b)); got != tc.want {
			t.Errorf("%v → %v: %q, want %q", tc.a, tc.b, got, tc.want)
		}
	}
}
