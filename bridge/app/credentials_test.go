package app

import (
	"encoding/json"
	"strings"
	"testing"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/setting"
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

// M-1.5, M-2.1.4: "check" says in plain words what is wrong and what to click.
func TestM15CheckSaysWhatIsWrong(t *testing.T) {
	b := openBureau(t, bureauSeed(), func(s *bridge.Settings) { withUsers(t, s) })
	v := b.clerk("admin")
	check := func() (out struct {
		OK                       bool
		Account, Problem, Detail string
		Lines                    []struct {
			What, Help string
			OK         bool
		}
	}) {
		t.Helper()
		code, body := v.do("POST", "/api/v1/integrations/mp/check", nil)
		if code != 200 || json.Unmarshal([]byte(body), &out) != nil {
			t.Fatalf("%d %s", code, body)
		}
		return out
	}
	if c := check(); !c.OK || c.Account == "" || len(c.Lines) < 7 {
		t.Errorf("all well: %+v", c)
	}
	b.mega.Restrict("callUserConfig")
	c := check()
	said := ""
	for _, l := range c.Lines {
		if !l.OK {
			said += l.What + ": " + l.Help
		}
	}
	if c.OK || !strings.Contains(said, "telephony settings") || !strings.Contains(said, "Телефония") {
		t.Errorf("a right is missing: %+v", c)
	}
	b.mega.SetPassword("another", true)
	if c := check(); c.OK || !strings.Contains(c.Problem, "refuses login, password or key") {
		t.Errorf("wrong password: %+v", c)
	}
	if code, page := v.do("POST", "/integrations/mp/check", nil); code != 200 || !strings.Contains(page, "refuses login, password or key") {
		t.Errorf("page: %d", code)
	}
	if code, _ := b.clerk("boss").do("POST", "/api/v1/integrations/mp/check", nil); code != 403 {
		t.Errorf("a supervisor: %d", code)
	}
}
