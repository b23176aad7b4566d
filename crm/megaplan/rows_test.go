package megaplan_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRowsNameTestsThatExist keeps ROWS.md true.
func TestRowsNameTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("ROWS.md")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join("..", "..")
	read := map[string]string{}
	tests := func(dir string) string {
		if _, ok := read[dir]; !ok {
			files, _ := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*_test.go"))
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
	row := regexp.MustCompile(`^\| (M-[0-9.]+) \| (.+) \|$`)
	name := regexp.MustCompile(`(?:([a-z0-9/]+): )?(?:Test[A-Za-z0-9]+(?:, )?)+`)
	seen := 0
	for line := range strings.Lines(string(text)) {
		m := row.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		seen++
		for _, part := range name.FindAllStringSubmatch(m[2], -1) {
			dir := part[1]
			if dir == "" {
				dir = "bridge/app"
			}
			for _, test := range regexp.MustCompile(`Test[A-Za-z0-9]+`).FindAllString(part[0], -1) {
				if !strings.Contains(tests(dir), "func "+test+"(") {
					t.Errorf("%s: there is no %s in %s", m[1], test, dir)
				}
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d rows were read", seen)
	}
}
