package rules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// M-4.4, M-4.5: every value of a template is documented in both languages, and
// each documented one can be written.
func TestEveryValueOfATemplateIsDocumented(t *testing.T) {
	list := Values()
	if len(list) != len(meanings) {
		t.Errorf("%d values, %d meanings", len(list), len(meanings))
	}
	for _, v := range list {
		if v.EN == "" || v.RU == "" {
			t.Errorf("%s is not documented", v.Name)
		}
		if err := Check(v.Name); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
	for _, text := range []string{"{{phone .Client.Phone}}", `{{date "02.01.2006" .Call.Started}}`, "{{minutes .Call.Talk}}", "{{.Source.utm_source}}"} {
		if err := Check(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	file := filepath.Join("..", "..", "deploy", "templates.md")
	if *update {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(text), "| value |")
		if err := os.WriteFile(file, []byte(head+ValuesTable()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || !strings.HasSuffix(string(text), ValuesTable()) {
		t.Errorf("deploy/templates.md is out of date (%v): go test ./bridge/rules -run Template -update", err)
	}
}
