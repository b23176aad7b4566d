package rules

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode/utf8"

	"callbridge/bridge"
	"callbridge/bridge/phone"
)

const (
	maxTemplate = 8 << 10 // bytes of a template
	maxText     = 8 << 10 // bytes of its result; more is cut
)

// DefaultContactName is the name of a new contact when the rule gives none.
const DefaultContactName = `{{default (phone .Client.Phone) .Client.Name}}`

// DefaultText is the body of communications, tasks and processes.
const DefaultText = `{{.Call.Started}}, {{.Call.Direction}} звонок{{with .Call.Outcome}}: {{.}}{{end}}{{with .Call.Reason}} ({{.}}){{end}}
Клиент: {{with .Client.Name}}{{.}}, {{end}}{{phone .Client.Phone}}
{{- with .Line.Number}}
Линия: {{.}}{{with $.Line.Name}} ({{.}}){{end}}{{end}}
{{- with .Call.Queue}}
Очередь: {{.}}{{end}}
{{- with marks .Source}}
Источник: {{.}}{{end}}
{{- with .Call.People}}
Сотрудник: {{.}}{{end}}
{{- with .Call.Wait}}
Ожидание: {{.}}{{end}}
{{- with .Call.Talk}}
Разговор: {{.}}{{end}}
{{- with .Recording.URL}}
Запись: {{.}}{{end}}`

// defaultTitle returns the title of an object for which the rule gives none.
func defaultTitle(kind bridge.ActionKind, c *bridge.Call) string {
	const who = `{{with .Client.Name}}{{.}}, {{end}}{{phone .Client.Phone}}`
	switch {
	case c.Direction == bridge.Internal:
		return `Внутренний звонок {{.Agent.Extension}}`
	case kind == bridge.ActTask && c.Outcome == bridge.Missed:
		return `Перезвонить: ` + who
	case kind == bridge.ActTask && c.Outcome == bridge.Failed:
		return `Дозвониться: ` + who
	case c.Outcome == bridge.Missed:
		return `Пропущенный звонок: ` + who
	case c.Outcome == bridge.Failed:
		return `Не дозвонились: ` + who
	case c.Direction == bridge.Out:
		return `Исходящий звонок: ` + who
	}
	return `Входящий звонок: ` + who
}

// fieldWords are the short names of values in field rules ("from:").
var fieldWords = map[string]string{
	"client.phone": ".Client.Phone", "client.name": ".Client.Name", "client.raw": ".Client.Raw",
	"line.number": ".Line.Number", "line.name": ".Line.Name",
	"call.id": ".Call.ID", "call.direction": ".Call.Direction", "call.outcome": ".Call.Outcome", "call.reason": ".Call.Reason",
	"call.queue": ".Call.Queue", "call.started": ".Call.Started", "call.ended": ".Call.Ended", "call.wait": ".Call.Wait", "call.talk": ".Call.Talk",
	"agent.name": ".Agent.Name", "agent.extension": ".Agent.Extension", "agent.email": ".Agent.Email",
	"recording.url": ".Recording.URL",
}

var sourceKey = regexp.MustCompile(`^source\.[\pL\pN_.\-]{1,64}$`)

// fieldTemplate makes a template of what a field rule names: "source.utm_source",
// "call.id", or a template itself.
func fieldTemplate(from string) string {
	if f, ok := fieldWords[from]; ok {
		return "{{" + f + "}}"
	}
	if sourceKey.MatchString(from) {
		return fmt.Sprintf("{{index .Source %q}}", strings.TrimPrefix(from, "source."))
	}
	return from
}

// CheckField says what is wrong with the "from" of a field rule.
func CheckField(from string) error {
	if strings.Contains(from, "{{") {
		return Check(from)
	}
	if _, ok := fieldWords[from]; !ok && !sourceKey.MatchString(from) {
		return fmt.Errorf("%q is no value we know; use source.<name>, client.phone, client.name, line.number, line.name, call.id, call.started, agent.name, recording.url, or a template", from)
	}
	return nil
}

var funcs = template.FuncMap{
	// phone writes a number for people.
	"phone": func(s string) string { return phone.Format(bridge.Number(s), "ru") },
	// date writes a moment in a Go layout: {{date "02.01.2006" .Call.Started}}.
	"date": func(layout string, m Moment) string {
		if m.t.IsZero() || len(layout) > 64 {
			return ""
		}
		return m.t.Format(layout)
	},
	// default gives its first value when the second is empty.
	"default": func(instead, value any) any {
		if v := reflect.ValueOf(value); !v.IsValid() || v.IsZero() {
			return instead
		}
		return value
	},
	// marks writes all marks of a line: utm_medium=cpc, utm_source=yandex.
	"marks": func(m map[string]string) string {
		var out []string
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if m[k] != "" {
				out = append(out, k+"="+m[k])
			}
		}
		return strings.Join(out, ", ")
	},
	// minutes rounds a span up to whole minutes.
	"minutes": func(s Span) int { return int((int64(s) + 60e9 - 1) / 60e9) },
}

// builtin are the functions of text/template that cannot do harm.
var builtin = map[string]bool{"and": true, "or": true, "not": true, "eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true, "len": true, "index": true}

// Expand fills a template. Values that are missing are empty, the result is cut
// at 8 KiB. A template cannot loop, define or call anything but the functions
// above, so it always ends soon.
func Expand(tmpl string, data Data) (string, error) {
	if !strings.Contains(tmpl, "{{") {
		return cut(tmpl), nil
	}
	t, err := compile(tmpl)
	if err != nil {
		return "", err
	}
	if data.Source == nil {
		data.Source = map[string]string{}
	}
	var out limited
	if err := t.Execute(&out, data); err != nil && !errors.Is(err, errFull) {
		return "", position(err)
	}
	return cut(out.String()), nil
}

// Check says what is wrong with a template and where.
func Check(tmpl string) error {
	if len(tmpl) > maxTemplate {
		return fmt.Errorf("the template has %d bytes, at most %d are allowed", len(tmpl), maxTemplate)
	}
	t, err := compile(tmpl)
	if err != nil {
		return err
	}
	// With and without values, so that both branches of most conditions run.
	for _, d := range []Data{sample(), {Source: map[string]string{}}} {
		if err := t.Execute(&limited{}, d); err != nil && !errors.Is(err, errFull) {
			return position(err)
		}
	}
	return nil
}

func compile(tmpl string) (*template.Template, error) {
	if len(tmpl) > maxTemplate {
		return nil, fmt.Errorf("the template has %d bytes, at most %d are allowed", len(tmpl), maxTemplate)
	}
	t, err := template.New("text").Option("missingkey=zero").Funcs(funcs).Parse(tmpl)
	if err != nil {
		return nil, position(err)
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("define and block are not allowed in a template")
	}
	if t.Tree == nil {
		return t, nil // nothing but a comment
	}
	if err := (&checker{tree: t.Tree}).walk(t.Root); err != nil {
		return nil, err
	}
	return t, nil
}

// checker walks a parsed template.
type checker struct {
	tree *parse.Tree
	// inside is how many "with" stand around: there the dot is another value.
	inside int
}

func (c *checker) refuse(n parse.Node, format string, args ...any) error {
	at, _ := c.tree.ErrorContext(n)
	return fmt.Errorf("%s: %s", place(at), fmt.Sprintf(format, args...))
}

func (c *checker) walk(nodes ...parse.Node) error {
	for _, m := range nodes {
		if m == nil || reflect.ValueOf(m).IsNil() {
			continue
		}
		if err := c.node(m); err != nil {
			return err
		}
	}
	return nil
}

// node refuses what could make a template run long or large (loops, other
// templates, functions that are not ours), and values that do not exist.
func (c *checker) node(n parse.Node) error {
	switch n := n.(type) {
	case *parse.ListNode:
		return c.walk(n.Nodes...)
	case *parse.ActionNode:
		return c.walk(n.Pipe)
	case *parse.PipeNode:
		for _, cmd := range n.Cmds {
			if err := c.walk(cmd.Args...); err != nil {
				return err
			}
		}
	case *parse.ChainNode:
		return c.walk(n.Node)
	case *parse.IfNode:
		return c.walk(n.Pipe, n.List, n.ElseList)
	case *parse.WithNode:
		if err := c.walk(n.Pipe, n.ElseList); err != nil {
			return err
		}
		c.inside++
		defer func() { c.inside-- }()
		return c.walk(n.List)
	case *parse.FieldNode:
		if c.inside == 0 && !exists(n.Ident) {
			return c.refuse(n, "there is no value %s", n)
		}
	case *parse.VariableNode:
		if n.Ident[0] == "$" && !exists(n.Ident[1:]) {
			return c.refuse(n, "there is no value %s", n)
		}
	case *parse.IdentifierNode:
		if _, ours := funcs[n.Ident]; !ours && !builtin[n.Ident] {
			return c.refuse(n, "the function %s is not allowed in a template", n.Ident)
		}
	case *parse.RangeNode:
		return c.refuse(n, "range is not allowed in a template")
	case *parse.TemplateNode:
		return c.refuse(n, "template is not allowed in a template")
	}
	return nil
}

// exists says whether Data has the value a path names.
func exists(path []string) bool {
	t := reflect.TypeFor[Data]()
	for _, name := range path {
		if _, ok := t.MethodByName(name); ok {
			t = reflect.TypeFor[string]()
			continue
		}
		switch t.Kind() {
		case reflect.Struct:
			f, ok := t.FieldByName(name)
			if !ok || !f.IsExported() {
				return false
			}
			t = f.Type
		case reflect.Map:
			t = t.Elem()
		default:
			return false
		}
	}
	return true
}

// limited is a buffer that refuses to grow past maxText.
type limited struct{ bytes.Buffer }

var errFull = errors.New("the text is too long")

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxText+utf8.UTFMax {
		l.Buffer.Write(p[:max(0, maxText+utf8.UTFMax-l.Len())])
		return 0, errFull
	}
	return l.Buffer.Write(p)
}

// cut shortens s to maxText at the border of a letter.
func cut(s string) string {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "")
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

var errorText = regexp.MustCompile(`^template: (text:\d+(?::\d+)?): (?:executing "text" at )?(.*)$`)

// position turns text/template's errors into "line 2, column 7: …".
func position(err error) error {
	m := errorText.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	return fmt.Errorf("%s: %s", place(m[1]), strings.ReplaceAll(m[2], " in type rules.", " in "))
}

func place(at string) string {
	parts := strings.Split(at, ":")
	switch len(parts) {
	case 3:
		return "line " + parts[1] + ", column " + parts[2]
	case 2:
		return "line " + parts[1]
	}
	return at
}
