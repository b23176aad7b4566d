package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestFirstAdmin is what the first start asks for: an admin, then a token.
func TestFirstAdmin(t *testing.T) {
	conf := write(t, "callbridge.yaml", "listen: 127.0.0.1:0\n")
	if code, out, errOut := call(t, "", "users", "-c", conf); code != exitOK || !strings.Contains(out, "users add LOGIN --role admin") {
		t.Fatalf("%d %s %s", code, out, errOut)
	}
	if code, _, errOut := call(t, "correct horse\n", "users", "add", "anna", "--role", "admin", "-c", conf); code != exitOK {
		t.Fatalf("%d %s", code, errOut)
	}
	file := write(t, "password", "another horse\n")
	if code, _, errOut := call(t, "", "users", "add", "ivan", "--extension", "101", "--password-file", file, "-c", conf); code != exitOK {
		t.Fatalf("%d %s", code, errOut)
	}
	if _, out, _ := call(t, "", "users", "-c", conf); !strings.Contains(out, "anna") || !strings.Contains(out, "101") {
		t.Errorf("%s", out)
	}
	for what, tc := range map[string]struct {
		in   string
		args []string
		code int
		want string
	}{
		"there already":  {"correct horse\n", []string{"add", "Anna", "--role", "admin"}, exitFailed, "already"},
		"short password": {"short\n", []string{"add", "olga", "--role", "admin"}, exitFailed, "at least 8"},
		"no extension":   {"correct horse\n", []string{"add", "olga"}, exitUsage, "extension"},
		"no such role":   {"correct horse\n", []string{"add", "olga", "--role", "king"}, exitUsage, "role"},
		"nobody":         {"", []string{"remove", "olga"}, exitFailed, "no user"},
		"no login":       {"", []string{"add"}, exitUsage, "login"},
		"too long":       {"", []string{"token", "anna", "--days", "0"}, exitUsage, "days"},
	} {
		code, _, errOut := call(t, tc.in, append(append([]string{"users"}, tc.args...), "-c", conf)...)
		if code != tc.code || !strings.Contains(errOut, tc.want) {
			t.Errorf("%s: %d %s", what, code, errOut)
		}
	}
	if code, out, errOut := call(t, "", "users", "token", "anna", "-c", conf); code != exitOK || len(strings.TrimSpace(out)) < 40 {
		t.Errorf("%d %s %s", code, out, errOut)
	}
	if code, _, errOut := call(t, "", "users", "remove", "ivan", "-c", conf); code != exitOK {
		t.Errorf("%d %s", code, errOut)
	}
}

func TestDryrunCommand(t *testing.T) {
	dir := t.TempDir()
	conf := write(t, "callbridge.yaml", "database: sqlite:"+filepath.Join(dir, "d.db")+"\nsecret_key_file: "+filepath.Join(dir, "key")+"\n")
	settings := write(t, "settings.yaml", "integrations:\n  - id: m\n    kind: megaplan\n    active: true\n    credentials: {url: https://mp000000.megaplan.ru, username: a@example.ru, password: secret-secret}\n")
	code, out, errOut := call(t, "", "dryrun", settings, "-c", conf)
	if code != exitOK || !strings.Contains(out, "0 calls of 7 days; nothing was sent") || !strings.Contains(out, "Nothing would have been otherwise") {
		t.Errorf("%d %s %s", code, out, errOut)
	}
	for _, args := range [][]string{{}, {settings, "-days", "0"}, {filepath.Join(dir, "none")}} {
		if code, _, errOut := call(t, "", append([]string{"dryrun", "-c", conf}, args...)...); code != exitUsage || errOut == "" {
			t.Errorf("%v: %d %s", args, code, errOut)
		}
	}
	bad := write(t, "settings.yaml", "integrations: [{id: m, kind: none}]\n")
	if code, _, errOut := call(t, "", "dryrun", bad, "-c", conf); code != exitUsage || !strings.Contains(errOut, "integrations[0].kind") {
		t.Errorf("%d %s", code, errOut)
	}
}
