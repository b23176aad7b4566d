package rules

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"callbridge/bridge"
)

func TestExpand(t *testing.T) {
	empty := NewData(bridge.Call{ID: "C1", Direction: bridge.In}, About{})
	for _, tt := range []struct {
		name, tmpl string
		data       Data
		want       string
	}{
		{"design's example", "Перезвонить {{.Client.Phone}}", sample(), "Перезвонить +79161234567"},
		{"number for people", "{{phone .Client.Phone}}", sample(), "+7 916 123-45-67"},
		{"withheld", "{{phone .Client.Phone}}", empty, "номер скрыт"},
		{"no such source", "[{{.Source.utm_term}}]", sample(), "[]"},
		{"no source at all", "[{{.Source.utm_term}}]", Data{}, "[]"},
		{"source with a dash", `{{index .Source "utm-source"}}{{index .Source "utm_source"}}`, sample(), "yandex"},
		{"default taken", `{{default "никто" .Agent.Name}}`, empty, "никто"},
		{"default by pipe", `{{.Agent.Name | default "никто"}}`, sample(), "Иван Петров"},
		{"default of a span", `{{default "нет" .Call.Talk}}`, empty, "нет"},
		{"words", "{{.Call.Direction}}/{{.Call.Outcome}}/{{.Call.Reason}}", sample(), "входящий/пропущен/звонивший не дождался в очереди"},
		{"codes", `{{if eq .Call.OutcomeCode "missed"}}да{{end}}`, sample(), "да"},
		{"times", "{{.Call.Started}} {{.Call.Wait}} {{.Call.Talk}} {{minutes .Call.Talk}}", sample(), "22.11.2026 05:01 0:05 2:05 3"},
		{"layout", `{{date "2006-01-02" .Call.Started}}`, sample(), "2026-11-22"},
		{"no time", `[{{date "2006-01-02" .Call.Started}}{{.Call.Started}}]`, empty, "[]"},
		{"contact's name", DefaultContactName, sample(), "Пётр"},
		{"contact's name is the number", DefaultContactName, NewData(bridge.Call{Client: "+79161234567", ClientName: "79161234567"}, About{}), "+7 916 123-45-67"},
		{"contact's name is anonymous", DefaultContactName, NewData(bridge.Call{Client: "+79161234567", ClientName: "Anonymous"}, About{}), "+7 916 123-45-67"},
		{"text", DefaultText, sample(), `22.11.2026 05:01, входящий звонок: пропущен (звонивший не дождался в очереди)
Клиент: Пётр, +7 916 123-45-67
Линия: +74951234567 (Сайт)
Очередь: sales
Источник: utm_source=yandex
Сотрудник: Иван Петров, 101
Ожидание: 0:05
Разговор: 2:05
Запись: https://calls.example.ru/r/1`},
		{"text of little", DefaultText, empty, ", входящий звонок\nКлиент: номер скрыт"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Expand(tt.tmpl, tt.data)
			if err != nil || got != tt.want {
				t.Errorf("Expand gives %q, %v; want %q", got, err, tt.want)
			}
			if err := Check(tt.tmpl); err != nil {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

func TestExpandInAZoneAndInEnglish(t *testing.T) {
	moscow := time.FixedZone("MSK", 3*3600)
	d := NewData(bridge.Call{Direction: bridge.Out, StartedAt: bridge.At(time.Date(2026, 11, 22, 22, 30, 0, 0, time.UTC))}, About{Zone: moscow, Lang: "en"})
	if got, err := Expand("{{.Call.Started}} {{.Call.Direction}}", d); err != nil || got != "23.11.2026 01:30 outbound" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestCheckNamesThePlace(t *testing.T) {
	for _, tt := range []struct{ name, tmpl, want string }{
		{"open action", "one\n{{.Client.Phone", "line 2"},
		{"unknown field", "Звонок\n {{.Client.Fone}}", "line 2, column 10"},
		{"unknown field in a branch that does not run", `{{if eq .Call.ID "none"}}{{.Nope}}{{end}}`, "Nope"},
		{"unknown function", "{{upper .Client.Name}}", "line 1"},
		{"printf", `{{printf "%1000000000d" 1}}`, "printf is not allowed"},
		{"call", `{{call .Client.Name}}`, "call is not allowed"},
		{"endless loop", "{{range 1000000000}}x{{end}}", "range is not allowed"},
		{"recursion", `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`, "not allowed"},
		{"function in a branch", `{{if .Client.Name}}{{else}}{{html .Client.Name}}{{end}}`, "html is not allowed"},
		{"function in brackets", `{{len (print 1)}}`, "print is not allowed"},
		{"block", `{{block "x" .}}{{end}}`, "not allowed"},
		{"long", strings.Repeat("x", maxTemplate+1), "at most"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Check(tt.tmpl)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Check says %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestExpandIsBounded(t *testing.T) {
	d := sample()
	d.Client.Name = strings.Repeat("ы", 20000)
	got, err := Expand("{{.Client.Name}}{{.Client.Name}}", d)
	if err != nil || len(got) > maxText || !utf8.ValidString(got) || len(got) < maxText-4 {
		t.Errorf("%d bytes, %v, valid %v", len(got), err, utf8.ValidString(got))
	}
}

func TestFieldRules(t *testing.T) {
	for from, want := range map[string]string{
		"source.utm_source": "yandex", "source.utm-term": "", "client.phone": "+79161234567", "line.name": "Сайт", "call.started": "22.11.2026 05:01",
		"{{.Line.Name}}/{{.Client.Phone}}": "Сайт/+79161234567",
	} {
		if err := CheckField(from); err != nil {
			t.Errorf("CheckField(%q): %v", from, err)
		}
		if got, err := Expand(fieldTemplate(from), sample()); err != nil || got != want {
			t.Errorf("%q gives %q, %v; want %q", from, got, err, want)
		}
	}
	for _, from := range []string{"", "client", "utm_source", "source.", "source.a b", "{{.Nope}}"} {
		if CheckField(from) == nil {
			t.Errorf("CheckField(%q) finds nothing wrong", from)
		}
	}
	for word := range fieldWords {
		if err := CheckField(word); err != nil {
			t.Errorf("%s: %v", word, err)
		}
		if _, err := Expand(fieldTemplate(word), Data{}); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{DefaultText, DefaultContactName, "{{.Source.x}}", "{{range 9}}{{end}}", "{{with .Client}}{{.Phone}}{{end}}", `{{index .Source "a"}}`, "{{/* a */}}", "{{- 1 -}}", "{{$x := 1}}{{$x}}", "{{.Call.Talk.String}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, tmpl string) {
		ok := Check(tmpl) == nil
		s, err := Expand(tmpl, sample())
		if ok && err != nil {
			t.Fatalf("Check finds nothing, Expand says %v", err)
		}
		if len(s) > maxText || !utf8.ValidString(s) {
			t.Fatalf("%d bytes", len(s))
		}
	})
}
