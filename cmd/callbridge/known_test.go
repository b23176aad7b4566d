package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A typing error in an id is told, with the ids there are; it is not "nothing".
func TestUnknownIdsAreRefused(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "callbridge.yaml")
	settings := filepath.Join(dir, "settings.yaml")
	files := map[string]string{
		conf: "listen: 127.0.0.1:0\ndatabase: sqlite:" + filepath.Join(dir, "callbridge.db") + "\ntime_zone: Europe/Moscow\ncountry: RU\nsecret_key_file: " +
			filepath.Join(dir, "callbridge.key") + "\n",
		settings: "integrations:\n  - {id: mega, kind: megaplan, credentials: {url: https://mp1.megaplan.ru, username: a@example.ru, password: b}}\n",
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"apply", "-c", conf, settings}, nil, &out, &errs); code != 0 {
		t.Fatalf("apply: %d %s", code, errs.String())
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"deliveries", "list", "-c", conf, "-integration", "nope"}, exitUsage, `there is no such integration; there are: mega`},
		{[]string{"deliveries", "list", "-c", conf, "-integration", "mega"}, 0, ""},
		{[]string{"resend", "-c", conf, "-integration", "mega", "-dry-run", "-call", "XYZ"}, exitUsage, "there is no such call"},
	} {
		out.Reset()
		errs.Reset()
		if code := run(t.Context(), c.args, nil, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%v: exit code %d, %s%s", c.args, code, out.String(), errs.String())
		}
	}
}
