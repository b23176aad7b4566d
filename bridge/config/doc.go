package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fileMark makes the sample name a secret's file instead of the secret.
const fileMark = "file:"

func sampleConfig() *Config {
	c := Default()
	c.PublicURL = "https://calls.example.ru"
	c.PBX = []PBX{{ID: "office", Kind: "asterisk", URL: "http://127.0.0.1:8088/ari", Username: "callbridge",
		Password: fileMark + "ari.secret", App: DefaultApp, Trunks: []string{"trunk"}}}
	return c
}

// Doc is the sample configuration with a comment on every key, made from the
// structs themselves. Keys behind a # without a space are not needed; they
// show a value that works.
func Doc() string {
	var b strings.Builder
	b.WriteString(`# Configuration of Callbridge, as printed by: callbridge configdoc
# Unknown keys are faults. Relative paths are relative to this file. A value may
# hold environment variables: ${NAME}. Wherever a password, secret or token is
# wanted, KEY_file: FILE takes it from a file instead. Keys written as #key are
# not needed. What is not of this machine (CRM accounts, rules, employees, lines,
# users) is kept in the database: see callbridge apply.

`)
	document(&b, "", reflect.ValueOf(sampleConfig()).Elem(), "", false)
	return b.String()
}

// document writes the keys of a struct. off comments all of them out.
func document(b *strings.Builder, indent string, v reflect.Value, kind string, off bool) {
	for i, f := range keys(v) {
		if k := f.tag.Get("kind"); k != "" && k != kind {
			continue
		}
		if indent == "" && i > 0 {
			b.WriteByte('\n')
		}
		for _, line := range wrap(f.tag.Get("doc"), 86-len(indent)) {
			fmt.Fprintf(b, "%s# %s\n", indent, line)
		}
		hash := ""
		if off || f.value.IsZero() {
			hash = "#"
		}
		switch t := f.value.Type(); {
		case t == secretType:
			name, isFile := strings.CutPrefix(f.value.Interface().(Secret).Reveal(), fileMark)
			switch {
			case isFile:
				fmt.Fprintf(b, "%s%s%s_file: %s\n", indent, hash, f.name, name)
			case hash != "":
				fmt.Fprintf(b, "%s%s%s: %s\n", indent, hash, f.name, f.tag.Get("sample"))
			default:
				fmt.Fprintf(b, "%s%s: %s\n", indent, f.name, name)
			}
		case t.Kind() == reflect.Struct:
			fmt.Fprintf(b, "%s%s%s:\n", indent, hash, f.name)
			document(b, indent+"  ", f.value, kind, hash != "")
		case t == reflect.TypeFor[[]PBX]():
			fmt.Fprintf(b, "%s:\n", f.name)
			var one strings.Builder
			p := f.value.Index(0)
			document(&one, indent+"    ", p, p.Interface().(PBX).Kind, false)
			b.WriteString(dash(one.String(), indent))
		case hash != "":
			sample := f.tag.Get("sample")
			if sample == "" {
				sample = plainYAML(f.value.Interface())
			}
			fmt.Fprintf(b, "%s%s%s: %s\n", indent, hash, f.name, sample)
		default:
			fmt.Fprintf(b, "%s%s: %s\n", indent, f.name, plainYAML(f.value.Interface()))
		}
	}
}

// dash makes the first key of a block the first of a list's item.
func dash(block, indent string) string {
	lines := strings.SplitAfter(block, "\n")
	for i, l := range lines {
		if body := strings.TrimPrefix(l, indent+"    "); body != l && !strings.HasPrefix(body, "#") {
			lines[i] = indent + "  - " + body
			break
		}
	}
	return strings.Join(lines, "")
}

// plainYAML writes a value on one line.
func plainYAML(v any) string {
	n, err := encode(reflect.ValueOf(v))
	if err != nil {
		return fmt.Sprint(v)
	}
	out, err := yaml.Marshal(n)
	if err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(string(out))
}

// wrap cuts a text into lines of at most width letters.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(s) {
		if line != "" && len([]rune(line))+1+len([]rune(w)) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
