package app

import (
	"encoding/json"
	"errors"
	gonet "net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/setting"
	"callbridge/crm"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/sandbox"
)

// M-1.1 to M-1.5: one named account serves several integrations; its secrets
// are masked, and a mask keeps the stored one.
func TestM11NamedCredentialsServeSeveralIntegrations(t *testing.T) {
	b := openBureau(t, bureauSeed(), func(s *bridge.Settings) {
		in := s.Integrations[0]
		s.Credentials = []bridge.Credential{{ID: "account", Kind: "megaplan", Name: "Наш Мегаплан", Values: in.Credentials}}
		in.CredentialsID, in.Credentials = "account", nil
		other := in
		other.ID, other.Lines, other.Credentials = "mp2", []string{"+78005553535"}, map[string]string{"search": "quick"}
		s.Integrations = []bridge.Integration{in, other}
	})
	for _, id := range []string{"mp", "mp2"} {
		if rep, err := b.Check(t.Context(), id); err != nil || rep.Account == "" {
			t.Errorf("%s: %+v, %v", id, rep, err)
		}
	}
	b.talk("79161234567", "101")
	b.settled(1)
	if len(b.made("contact")) != 1 {
		t.Errorf("contacts %+v", b.made("contact"))
	}
	stored, _, err := b.db.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stored.Integrations[0].Credentials != nil || stored.Integrations[1].Credentials["password"] != "" {
		t.Error("the account's values were copied into the integrations")
	}
	text, err := config.ExportSettings(stored, Credentials())
	if err != nil || strings.Contains(string(text), "secret") || !strings.Contains(string(text), "credentials_id: account") {
		t.Errorf("export: %v\n%s", err, text)
	}
	next, faults, err := config.ParseSettings(text, nil, Credentials(), "RU")
	if err != nil || len(faults) > 0 {
		t.Fatal(err, faults)
	}
	if next, faults = config.Merge(next, stored); len(faults) > 0 || next.Credentials[0].Values["password"] != "secret" {
		t.Errorf("merged: %v %+v", faults, next.Credentials)
	}
	for name, change := range map[string]func(*bridge.Settings){
		"is not among the credentials": func(s *bridge.Settings) { s.Integrations[0].CredentialsID = "nobody" },
		"not for retailcrm":            func(s *bridge.Settings) { s.Integrations[0].Kind = "retailcrm" },
		"is missing":                   func(s *bridge.Settings) { s.Credentials[0].Values = map[string]string{"username": "a"} },
	} {
		s, _, err := b.db.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		change(&s)
		found := ""
		for _, p := range config.CheckSettings(&s, map[string][]setting.Field{"megaplan": Credentials()["megaplan"], "retailcrm": Credentials()["retailcrm"]}, "RU") {
			found += p.String() + "\n"
		}
		if !strings.Contains(found, name) {
			t.Errorf("%s: %s", name, found)
		}
	}
}

// place is a network in which an address may lead to nothing, or to something else.
type place struct {
	crm http.RoundTripper
	err error
	web bool // another site
}

func (p *place) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case p.err != nil:
		return nil, p.err
	case p.web:
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.WriteString("<!DOCTYPE html><html><body>Интернет-магазин</body></html>")
		return w.Result(), nil
	}
	return p.crm.RoundTrip(r)
}

// M-1.5, M-2.1.4: "check" says in plain words what is wrong (the address, the
// password, each right) and what to click, in both languages.
func TestM15CheckSaysWhatIsWrong(t *testing.T) {
	mega := megaplantest.New(megaplantest.Options{Seed: bureauSeed()})
	net := &place{crm: sandbox.Transport(mega)}
	b := openBureauWith(t, mega, net, func(s *bridge.Settings) { withUsers(t, s) })
	v := b.clerk("admin")
	type answer struct {
		OK                       bool
		Account, Problem, Detail string
		Lines                    []crm.CheckLine
	}
	check := func(lang string) (out answer) {
		t.Helper()
		v.lang = lang
		code, body := v.do("POST", "/api/v1/integrations/mp/check", nil)
		if code != 200 || json.Unmarshal([]byte(body), &out) != nil {
			t.Fatalf("%d %s", code, body)
		}
		return out
	}
	if c := check("en"); !c.OK || c.Account == "" || len(c.Lines) < 9 {
		t.Errorf("all well: %+v", c)
	}
	for _, right := range megaplantest.Rights {
		b.mega.Restrict(right)
	}
	for lang, want := range map[string]string{"en": "Give the user|Телефония", "ru": "Дайте пользователю|Телефония"} {
		c := check(lang)
		said := ""
		for _, l := range c.Lines {
			if l.OK || l.What == "" || l.Help == "" {
				t.Errorf("%s: %+v", lang, l)
			}
			if lang == "ru" && strings.ContainsAny(l.What, "abcdefghijklmnopqrstuvwxyz") {
				t.Errorf("not in Russian: %+v", l)
			}
			said += l.What + ": " + l.Help + "\n"
		}
		for w := range strings.SplitSeq(want, "|") {
			if c.OK || !strings.Contains(said, w) {
				t.Errorf("%s: no %q in %s", lang, w, said)
			}
		}
	}
	for _, c := range []struct {
		name, en, ru string
		breaks       func()
	}{
		{"password", "refuses login, password or key", "не принимает логин, пароль или ключ", func() { b.mega.SetPassword("another", true) }},
		{"no such address", "there is no such name on the internet", "такого имени в интернете нет", func() { net.err = &gonet.DNSError{Err: "no such host", IsNotFound: true} }},
		{"nobody there", "Nobody answers at this address", "никто не отвечает", func() { net.err = errors.New("connection refused") }},
		{"another site", "not this CRM", "не эта CRM", func() { net.err, net.web = nil, true }},
	} {
		c.breaks()
		if got := check("en"); got.OK || !strings.Contains(got.Problem, c.en) || got.Detail == "" {
			t.Errorf("%s: %+v", c.name, got)
		}
		if got := check("ru"); got.OK || !strings.Contains(got.Problem, c.ru) {
			t.Errorf("%s: %+v", c.name, got)
		}
		if code, page := v.do("POST", "/integrations/mp/check", nil); code != 200 || !strings.Contains(page, c.ru) || !strings.Contains(page, "/settings/integrations/mp") {
			t.Errorf("%s, page: %d", c.name, code)
		}
	}
	if code, _ := b.clerk("boss").do("POST", "/api/v1/integrations/mp/check", nil); code != 403 {
		t.Errorf("a supervisor: %d", code)
	}
}
