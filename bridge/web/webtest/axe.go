package webtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// axeFile is the library axe-core; deploy/ci/setup puts it there.
func axeFile() string {
	if p := os.Getenv("CALLBRIDGE_AXE"); p != "" {
		return p
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "callbridge", "axe-core-4.14.1.js")
}

// violation is a rule of axe-core that the page breaks.
type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Target  []any  `json:"target"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// Accessible checks the page as it stands with axe-core (WCAG 2.1 A and AA and
// its good practice) and fails the test for what is serious or critical.
func (b *Browser) Accessible(page string) { b.t.Helper(); b.axe(page, `{resultTypes: ["violations"]}`) }

// Contrast is the part of Accessible that the colours of a theme change.
func (b *Browser) Contrast(page string) {
	b.t.Helper()
	b.axe(page, `{resultTypes: ["violations"], runOnly: {type: "rule", values: ["color-contrast"]}}`)
}

func (b *Browser) axe(page, options string) {
	b.t.Helper()
	if !Eval[bool](b, `!!window.axe`) {
		source, err := os.ReadFile(axeFile())
		if err != nil {
			b.t.Fatalf("the accessibility checker is missing: %v; `make setup` fetches it", err)
		}
		Eval[bool](b, string(source)+"\n;!!window.axe")
	}
	Eval[bool](b, `(window.axeFound = "", axe.run(document, `+options+`).then(
		(r) => { window.axeFound = JSON.stringify(r.violations); }, (e) => { window.axeFound = "failed: " + e; }), true)`)
	b.Until(`window.axeFound !== ""`)
	text := Eval[string](b, `window.axeFound`)
	var found []violation
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatalf("%s: axe-core: %s", page, text)
	}
	for _, v := range found {
		if v.Impact != "serious" && v.Impact != "critical" {
			continue
		}
		var where []string
		for _, n := range v.Nodes[:min(len(v.Nodes), 5)] {
			where = append(where, fmt.Sprintf("%v %s\n      %s", n.Target, n.HTML, strings.ReplaceAll(n.Summary, "\n", " ")))
		}
		b.t.Errorf("%s: %s (%s): %s, %d places:\n    %s", page, v.ID, v.Impact, v.Help, len(v.Nodes), strings.Join(where, "\n    "))
	}
}
