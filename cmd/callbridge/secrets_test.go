package main

import (
	"fmt"
	"strings"
	"testing"

	"callbridge/bridge/app"
)

// TestExportPrintsNoSecret: every credential every CRM has, in an integration
// and among the named accounts, passwords of users, from outside: neither
// export nor the list of integrations nor the daemon over REST shows one.
func TestExportPrintsNoSecret(t *testing.T) {
	values := map[string]string{"url": "https://x.example.ru", "username": "bot@example.ru", "site": "shop"}
	var settings, accounts strings.Builder
	var secrets []string
	for _, d := range app.Drivers() {
		for _, f := range d.Fields {
			if !f.Secret {
				continue
			}
			secret := "s3cret-" + d.Name + "-" + f.Name
			secrets = append(secrets, secret, "named-"+secret)
			id := strings.ReplaceAll(d.Name+"-"+f.Name, "_", "-")
			list := func(secret string) string {
				out := f.Name + ": " + secret
				for _, o := range d.Fields {
					if !o.Secret && values[o.Name] != "" && (o.Name != "username" || f.Name == "password") {
						out += ", " + o.Name + ": " + values[o.Name]
					}
				}
				return out
			}
			fmt.Fprintf(&settings, "  - {id: %s, kind: %s, active: false, credentials: {%s}}\n", id, d.Name, list(secret))
			fmt.Fprintf(&accounts, "  - {id: %s, kind: %s, name: Named, values: {%s}}\n", id, d.Name, list("named-"+secret))
		}
	}
	if len(secrets) < 6 {
		t.Fatalf("only %v", secrets)
	}
	secrets = append(secrets, "correct-horse-battery")
	conf := write(t, "callbridge.yaml", "listen: 127.0.0.1:0\n")
	file := write(t, "settings.yaml", "credentials:\n"+accounts.String()+"integrations:\n"+settings.String()+"users: [{login: admin, role: admin, password: correct-horse-battery}]\n")
	if code, out, errOut := call(t, "", "apply", "-c", conf, file); code != exitOK {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	for _, words := range [][]string{{"export"}, {"integrations", "list"}, {"integrations", "list", "--json"}, {"users", "list"}, {"users", "list", "--json"}} {
		code, out, errOut := call(t, "", append(words, "-c", conf)...)
		if code != exitOK || words[0] == "export" && !strings.Contains(out, "bot@example.ru") {
			t.Errorf("%v: exit code %d: %s%s", words, code, out, errOut)
		}
		for _, s := range secrets {
			if strings.Contains(out+errOut, s) {
				t.Errorf("%v prints %s", words, s)
			}
		}
		if strings.Contains(out, "$2a$") || strings.Contains(out, "argon2") || strings.Contains(out, "pbkdf2") {
			t.Errorf("%v prints the hash of a password:\n%s", words, out)
		}
	}
}
