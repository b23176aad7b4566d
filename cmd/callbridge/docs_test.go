package main

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"callbridge/bridge/app"
)

// TestDocsNameWhatIsThere: every link of the documents leads somewhere, every
// command they show exists, every CRM has its steps in both languages, and the
// pictures are those of a page.
func TestDocsNameWhatIsThere(t *testing.T) {
	var docs []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../deploy/*.md", "../../deploy/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, found...)
	}
	if len(docs) < 12 {
		t.Fatalf("only %v", docs)
	}
	known := map[string]bool{"help": true, "COMMAND": true}
	for _, c := range commands() {
		known[c.name] = true
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	command := regexp.MustCompile("(?m)(?:^ *|`)callbridge ([a-zA-Z-]+)")
	pictures := 0
	for _, doc := range docs {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			b, err := os.ReadFile(filepath.Join(filepath.Dir(doc), target))
			if err != nil {
				t.Errorf("%s links to %s, which is not there", doc, target)
				continue
			}
			if strings.HasSuffix(target, ".png") {
				pictures++
				if p, err := png.DecodeConfig(bytes.NewReader(b)); err != nil || p.Width < 1000 {
					t.Errorf("%s: %s is no picture of a page: %+v, %v", doc, target, p, err)
				}
			}
		}
		for _, m := range command.FindAllStringSubmatch(string(text), -1) {
			if !known[m[1]] {
				t.Errorf("%s shows `callbridge %s`, which does not exist", doc, m[1])
			}
		}
	}
	if pictures == 0 {
		t.Error("the README shows no picture")
	}
	for _, name := range []string{"docs/megaplan", "docs/retailcrm", "deploy/asterisk/README"} {
		for _, end := range []string{".md", ".ru.md"} {
			if _, err := os.Stat("../../" + name + end); err != nil {
				t.Error(err)
			}
		}
	}
	for _, d := range app.Drivers() {
		if _, err := os.Stat("../../docs/" + d.Name + ".ru.md"); err != nil {
			t.Errorf("%s has no steps: %v", d.Title, err)
		}
	}
}

// TestTheExampleAdapterCompiles: the adapter the guide shows fits the interfaces of today.
func TestTheExampleAdapterCompiles(t *testing.T) {
	text, err := os.ReadFile("../../docs/adapters.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(text), "   ```go\n")
	code, _, closed := strings.Cut(code, "   ```\n")
	if !ok || !closed || !strings.Contains(code, "package simple") {
		t.Fatal("the guide shows no adapter")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	source := write(t, "simple.go", strings.ReplaceAll(code, "\n   ", "\n"))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "crm/simple/simple.go"): source}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", write(t, "overlay.json", string(overlay)), "./crm/simple")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
