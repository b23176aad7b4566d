package crmtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTests = regexp.MustCompile(`(?:([a-z0-9/]+): )?(?:Test[A-Za-z0-9]+(?:, )?)+`)
	namedTest  = regexp.MustCompile(`Test[A-Za-z0-9]+`)
)

// Rows keeps an adapter's ROWS.md true: every test that is named for a row of
// the requirements (id is their pattern, such as M-[0-9.]+) exists where the
// table says, in bridge/app unless another folder is named. least is how many
// rows there are at least. It runs in the adapter's folder.
func Rows(t *testing.T, id string, least int) {
	t.Helper()
	text, err := os.ReadFile("ROWS.md")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join("..", "..")
	read := map[string]string{}
	tests := func(dir string) string {
		if _, ok := read[dir]; !ok {
			files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				read[dir] += string(b)
			}
		}
		return read[dir]
	}
	row := regexp.MustCompile(`^\| (` + id + `) \| (.+) \|$`)
	seen := 0
	for line := range strings.Lines(string(text)) {
		m := row.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		seen++
		named := 0
		for _, part := range namedTests.FindAllStringSubmatch(m[2], -1) {
			dir := part[1]
			if dir == "" {
				dir = "bridge/app"
			}
			for _, test := range namedTest.FindAllString(part[0], -1) {
				named++
				if !strings.Contains(tests(dir), "func "+test+"(") {
					t.Errorf("%s: there is no %s in %s", m[1], test, dir)
				}
			}
		}
		if named == 0 && !strings.Contains(m[2], "README.md") {
			t.Errorf("%s: no test is named", m[1])
		}
	}
	if seen < least {
		t.Errorf("only %d rows were read", seen)
	}
}
