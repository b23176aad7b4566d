package main_test

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// The seams that many packages stand on: pure, and importable by all of ours.
var leaves = []string{"bridge/fault", "bridge/setting", "bridge/phone", "bridge/track", "bridge/rules"}

// Only these packages import the third-party module of the same row.
var onlyImporter = map[string]string{
	"github.com/nyaruka/phonenumbers": "bridge/phone",
	"github.com/jmoiron/sqlx":         "store",
	"github.com/pressly/goose/v3":     "store",
	"github.com/jackc/pgx/v5":         "store",
	"modernc.org/sqlite":              "store",
	"database/sql":                    "store",
	"go.opentelemetry.io":             "bridge/trace",
}

// besides are arrows beyond the general rule, each with its why.
var besides = map[string][]string{
	"bridge/web": {"bridge/card"}, // web lets the browser in, card talks to it
}

// wrongArrow says what is wrong with from importing to, "" if nothing is.
// Both are import paths without the module's name; ours tells whether to is.
func wrongArrow(from, to string, ours bool) string {
	if from == "bridge" && (ours || strings.Contains(strings.Split(to, "/")[0], ".")) {
		return "bridge imports the standard library only"
	}
	if !ours {
		for module, owner := range onlyImporter {
			if (to == module || strings.HasPrefix(to, module+"/")) && from != owner && !under(from, owner) {
				return "only " + owner + " imports it"
			}
		}
		return ""
	}
	if from == "bridge/app" || under(from, "cmd") {
		return "" // the wiring knows all
	}
	if helper(from) {
		if to == "bridge/app" {
			return "test helpers do not know the wiring"
		}
		return ""
	}
	if helper(to) {
		return "test helpers are for tests, bridge/app and cmd"
	}
	adapters := path.Dir(from) // crm of crm/megaplan
	allowed := []string{"bridge"}
	switch {
	case slices.Contains(leaves, from):
		allowed = append(allowed, leaves...)
	case under(from, "bridge"):
		allowed = append(append(allowed, leaves...), "crm", "pbx")
	case from == "crm" || from == "pbx":
		allowed = append(allowed, "bridge/setting", "bridge/fault")
	case adapters == "crm" || adapters == "pbx":
		allowed = append(allowed, adapters, "bridge/phone", "bridge/fault", "bridge/setting")
	case under(from, "store"):
		allowed = append(allowed, "store")
	case under(from, "deploy"):
		if under(to, "deploy") {
			return ""
		}
	default:
		return "nobody said what this package may import; add it to this test"
	}
	allowed = append(allowed, besides[from]...)
	if slices.Contains(allowed, to) {
		return ""
	}
	return from + " may import " + strings.Join(allowed, ", ")
}

// under says whether p is dir or a package below it.
func under(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// helper says whether p only serves tests, the demo and the sandbox.
func helper(p string) bool {
	return strings.HasSuffix(p, "test") || slices.Contains([]string{"arisim", "aristream", "sandbox"}, path.Base(p))
}

// TestImportArrows keeps imports going one way: adapters know nothing of the
// store or of each other, the bridge knows interfaces, only the wiring knows all.
func TestImportArrows(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	const module = "callbridge/"
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		from := strings.TrimPrefix(words[0], module)
		for _, imported := range words[1:] {
			to, ours := strings.CutPrefix(imported, module)
			if wrong := wrongArrow(from, to, ours); wrong != "" {
				t.Errorf("%s imports %s: %s", from, to, wrong)
			}
		}
	}
}

func TestWrongArrows(t *testing.T) {
	for _, c := range []struct {
		from, to string
		ours     bool
		ok       bool
	}{
		{"bridge", "net/http", false, true},
		{"bridge", "golang.org/x/text", false, false},
		{"bridge", "bridge/fault", true, false},
		{"bridge/rules", "bridge/phone", true, true},
		{"bridge/rules", "crm", true, false},
		{"bridge/deliver", "crm", true, true},
		{"bridge/deliver", "crm/megaplan", true, false},
		{"bridge/deliver", "store", true, false},
		{"bridge/web", "bridge/card", true, true},
		{"bridge/route", "bridge/card", true, false},
		{"crm/megaplan", "crm", true, true},
		{"crm/megaplan", "crm/retailcrm", true, false},
		{"crm/megaplan", "store", true, false},
		{"crm/megaplan", "pbx", true, false},
		{"crm/megaplan", "crm/megaplan/megaplantest", true, false},
		{"crm/megaplan/megaplantest", "crm/megaplan", true, true},
		{"bridge/app", "crm/megaplan/megaplantest", true, true},
		{"bridge/app", "store", true, true},
		{"cmd/callbridge", "bridge/app", true, true},
		{"store", "bridge", true, true},
		{"store", "bridge/rules", true, false},
		{"bridge/web", "database/sql", false, false},
		{"bridge/web", "github.com/nyaruka/phonenumbers", false, false},
		{"newthing", "bridge", true, false},
	} {
		if wrong := wrongArrow(c.from, c.to, c.ours); (wrong == "") != c.ok {
			t.Errorf("%s → %s: %q, want allowed: %v", c.from, c.to, wrong, c.ok)
		}
	}
}
