package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	"callbridge/crm/megaplan/megaplantest"
)

// M-2.1.7, M-2.2.1, M-2.2.4: the command does what the button does; an account
// that lists far fewer people is not believed until it is said so. M-5.1: an
// address for a button is made by command, too.
func TestM217SyncImportAndCallLinkByCommand(t *testing.T) {
	seed := megaplantest.Seed{}
	for _, ext := range []string{"101", "102", "103", "104"} {
		seed.Employees = append(seed.Employees, megaplantest.Employee{FirstName: "Н" + ext, Email: "n" + ext + "@example.ru", Extension: ext})
	}
	mega := megaplantest.New(megaplantest.Options{Seed: seed})
	srv := httptest.NewServer(mega)
	defer srv.Close()
	conf := write(t, "callbridge.yaml", "listen: 127.0.0.1:0\npublic_url: https://calls.example.ru\n")
	settings := write(t, "settings.yaml", `
integrations:
  - id: mp
    kind: megaplan
    active: true
    sync_employees: true
    credentials: {url: "`+srv.URL+`", username: bot@example.ru, password: secret}
employees: [{extension: "101", email: n101@example.ru}]
`)
	if code, _, errOut := call(t, "", "apply", "-c", conf, settings); code != exitOK {
		t.Fatal(errOut)
	}
	want := func(code int, says string, args ...string) string {
		t.Helper()
		got, out, errOut := call(t, "", args...)
		if got != code || !strings.Contains(out+errOut, says) {
			t.Errorf("%v: exit code %d, want %d with %q: %s%s", args, got, code, says, out, errOut)
		}
		return out
	}
	want(exitOK, "4 extensions are joined", "sync", "-c", conf)
	want(exitOK, "3 employees imported", "sync", "-c", conf, "--import", "all", "mp")
	if out := want(exitOK, "extension", "export", "-c", conf); strings.Count(out, "@example.ru") < 4 {
		t.Errorf("not imported: %s", out)
	}
	mega.ClearUsers()
	want(exitFailed, "--take-shorter mp", "sync", "-c", conf)
	mega.AddEmployee(megaplantest.Employee{FirstName: "Новая", Email: "new@example.ru", Extension: "110"})
	want(exitFailed, "1 active employees instead of 4", "sync", "-c", conf, "mp")
	want(exitOK, "1 extensions", "sync", "-c", conf, "--take-shorter", "mp")

	out := want(exitOK, "good until", "call-link", "-c", conf, "--extension", "110", "--days", "30", "mp")
	if !strings.HasPrefix(out, "https://calls.example.ru/hooks/mp/call?ext=110&sig=") {
		t.Errorf("%q", out)
	}
	want(exitFailed, "belongs to no user of mp", "call-link", "-c", conf, "--extension", "999", "mp")
	want(exitFailed, `no integration "none"`, "call-link", "-c", conf, "none")
	want(exitUsage, "name one integration", "call-link", "-c", conf)
	want(exitUsage, "1 to 3650", "call-link", "-c", conf, "--days", "0", "mp")
}
