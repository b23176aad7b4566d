package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/setting"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var drivers = map[string][]setting.Field{
	"megaplan": {{Name: "url", Required: true, URL: true}, {Name: "username", Required: true}, {Name: "password", Required: true, Secret: true}},
	"retailcrm": {{Name: "url", Required: true, URL: true, Help: "The portal's address."}, {Name: "api_key", Required: true, Secret: true},
		{Name: "type", OneOf: []string{"a", "b"}}},
}

// designSettings is the example of the design document.
const designSettings = `
integrations:
  - id: megaplan-main
    kind: megaplan
    active: true
    credentials: {url: https://mp000000.megaplan.ru, username: bot@example.ru, password: "${MEGAPLAN_PASSWORD}"}
    lines: [+74951234567]               # empty = all
    default_responsible: Ivan@Example.ru
    calls:
      contact: {when: [answer, missed], responsible: last_talked}      # or first_talked, longest_talked
      fields: [{crm: utm_source, from: source.utm_source, update: always}]
      communications: [{direction: in, outcome: [answered, missed]}, {direction: out, outcome: [answered]}]
      communication_minutes: 120
      tasks: [{direction: in, outcome: [missed], responsible: default, title: "Перезвонить {{.Client.Phone}}", due: 4h}]
      processes: [{direction: in, outcome: [answered], known: false, scheme: "8", responsible: talked}]
      personal_manager: true
    click_to_call: {number: 8 (495) 123-45-67, override_caller_id: false}
employees: [{extension: "101", email: Ivan@example.ru, name: Иван Петров}, {extension: 0102}]
lines: [{number: 84951234567, name: Сайт, source: {utm_source: yandex, utm_medium: cpc}}]
users: [{login: boss, role: admin, password: long-enough}, {login: ivan, role: agent, extension: 101, language: ru}]
`

func TestParseSettings(t *testing.T) {
	s, problems, err := ParseSettings([]byte(designSettings), env(map[string]string{"MEGAPLAN_PASSWORD": "pa$s"}), drivers, "RU")
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v %v", problems, err)
	}
	no, minutes := false, 120
	want := bridge.Settings{
		Integrations: []bridge.Integration{{ID: "megaplan-main", Kind: "megaplan", Active: true,
			Credentials:        map[string]string{"url": "https://mp000000.megaplan.ru", "username": "bot@example.ru", "password": "pa$s"},
			Lines:              []string{"+74951234567"},
			DefaultResponsible: "ivan@example.ru",
			Calls: bridge.CallRules{
				Contact:              &bridge.ContactRule{When: []string{"answer", "missed"}, Responsible: "last_talked"},
				Fields:               []bridge.FieldRule{{CRM: "utm_source", From: "source.utm_source", Update: "always"}},
				Communications:       []bridge.CallRule{{Direction: "in", Outcome: []bridge.Outcome{"answered", "missed"}}, {Direction: "out", Outcome: []bridge.Outcome{"answered"}}},
				CommunicationMinutes: &minutes,
				Tasks: []bridge.TaskRule{{CallRule: bridge.CallRule{Direction: "in", Outcome: []bridge.Outcome{"missed"}}, Responsible: "default",
					Title: "Перезвонить {{.Client.Phone}}", Due: bridge.Duration(4 * time.Hour)}},
				Processes:       []bridge.ProcessRule{{CallRule: bridge.CallRule{Direction: "in", Outcome: []bridge.Outcome{"answered"}, Known: &no}, Scheme: "8", Responsible: "talked"}},
				PersonalManager: true,
			},
			ClickToCall: bridge.ClickToCall{Number: "+74951234567"}}},
		Employees: []bridge.Employee{{Extension: "101", Email: "ivan@example.ru", Name: "Иван Петров"}, {Extension: "0102"}},
		Lines:     []bridge.Line{{Number: "+74951234567", Name: "Сайт", Source: map[string]string{"utm_source": "yandex", "utm_medium": "cpc"}}},
		Users:     []bridge.User{{Login: "boss", Role: "admin", Password: "long-enough"}, {Login: "ivan", Role: "agent", Extension: "101", Language: "ru"}},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
}

func TestParseSettingsTellsAllFaultsAtOnce(t *testing.T) {
	const in = "integrations: [{id: a, kind: megaplan, credentials: {url: 'https://x.ru', username: u, password: p}, "
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"unknown keys", "integration: []\nemployees: [{ext: 1}]\n", []string{"integration: is not known; did you mean integrations? (line 1)", "employees[0].ext: is not known; known here: extension, email, name, card, line (line 2)", "employees[0].extension: is missing"}},
		{"kind", "integrations: [{id: a b, kind: megaplam}]\n", []string{`integrations[0].id: "a b" is no id`, `integrations[0].kind: "megaplam" is not one of megaplan, retailcrm; did you mean megaplan?`}},
		{"credentials", "integrations: [{id: a, kind: retailcrm, credentials: {url: x, type: c, key: 1}}]\n",
			[]string{"integrations[0].credentials.api_key: is missing", "integrations[0].credentials.key: is not known", `integrations[0].credentials.type: "c" is not one of a, b`, `integrations[0].credentials.url: "x" is no full address`}},
		{"variable", in + "name: '${NOPE}'}]\n", []string{"integrations[0].name: names the environment variable NOPE, which is not set"}},
		{"ids", "integrations: [{id: a, kind: megaplan, credentials: {url: 'https://x.ru', username: u, password: p}}, {id: a, kind: megaplan, credentials: {url: 'https://x.ru', username: u, password: p}}]\n",
			[]string{`integrations[1].id: "a" is given in integrations[0].id already`}},
		{"numbers", in + "lines: ['8 495 1234567', +74951234567, abc], click_to_call: {override_caller_id: true}}]\nlines: [{number: nothing}]\n",
			[]string{`integrations[0].lines[1]: "+74951234567" is given in integrations[0].lines[0] already`, `integrations[0].lines[2]: "abc" is no telephone number`, "integrations[0].click_to_call.number: is missing", `lines[0].number: "nothing" is no telephone number`}},
		{"rules", in + "calls: {contact: {when: [answered], responsible: last_talker, name: '{{.Nope}}'}, tasks: [{direction: inn, outcome: [lost], reason: [bussy], due: -4h, responsible: nobody}, {direction: in, outcome: [failed]}, {direction: out, outcome: [answered], reason: [busy], title: '{{'}]}}]\n",
			[]string{
				`integrations[0].calls.contact.when[0]: "answered" is not one of answer, missed, failed; did you mean answer?`,
				`integrations[0].calls.contact.responsible: "last_talker" is neither an e-mail nor one of`,
				"integrations[0].calls.contact.name: line 1, column 2: there is no value .Nope",
				`integrations[0].calls.tasks[0].direction: "inn" is not one of in, out, internal; did you mean in?`,
				`integrations[0].calls.tasks[0].outcome[0]: "lost" is not one of`,
				`integrations[0].calls.tasks[0].reason[0]: "bussy" is not one of`,
				"integrations[0].calls.tasks[0].due: -4h0m0s is out of range",
				`integrations[0].calls.tasks[0].responsible: "nobody" is neither`,
				"integrations[0].calls.tasks[1].outcome[0]: a call of direction in is never failed, only answered or missed",
				"integrations[0].calls.tasks[2].reason: an answered call has no reason",
				"integrations[0].calls.tasks[2].title: line 1: ",
			}},
		{"fields and times", in + "time_zone: Moscow, default_responsible: ivan, calls: {communication_minutes: 5000, fields: [{crm: a, from: nope}, {crm: a, from: call.id, update: sometimes}, {from: call.id}]}}]\n",
			[]string{`integrations[0].time_zone: "Moscow" is no time zone`, `integrations[0].default_responsible: "ivan" is no e-mail address`, "integrations[0].calls.communication_minutes: 5000 is out of range",
				`integrations[0].calls.fields[0].from: "nope" is no value we know`, `integrations[0].calls.fields[1].crm: "a" is given in`, `integrations[0].calls.fields[1].update: "sometimes" is not one of always`, "integrations[0].calls.fields[2].crm: is missing"}},
		{"people", "employees: [{extension: '101', email: a@b.ru}, {extension: '101', email: A@b.ru}, {extension: 'a b', email: 'Ivan <a@c.ru>'}]\n" +
			"users: [{login: ivan, role: agent}, {login: Ivan, role: boss, password: short, language: de}, {login: '', role: admin}]\n",
			[]string{`employees[1].extension: "101" is given in employees[0].extension already`, `employees[1].email: "a@b.ru" is given in`, `employees[2].extension: "a b" is no extension`, `employees[2].email:`,
				"users[0].extension: is missing", `users[1].login: "ivan" is given in users[0].login already`, `users[1].role: "boss" is not one of`, "users[1].password: is too short", `users[1].language: "de" is not one of ru, en`, `users[2].login: "" is no login`}},
		{"D-08 empty values are no values", "employees: [{extension: '101'}, {extension: '102'}]\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, list, err := ParseSettings([]byte(tt.text), env(nil), drivers, "RU")
			if err != nil {
				t.Fatal(err)
			}
			text := Problems(list).Error()
			for _, w := range tt.want {
				if !strings.Contains("\n"+text, "\n"+w) {
					t.Errorf("%q is missing in:\n%s", w, text)
				}
			}
			if len(list) != len(tt.want) {
				t.Errorf("%d faults, want %d:\n%s", len(list), len(tt.want), text)
			}
		})
	}
	if _, _, err := ParseSettings([]byte("a: [\n"), env(nil), drivers, "RU"); err == nil {
		t.Error("broken YAML passed")
	}
	_, list, err := ParseSettings([]byte("lines: [{number: +74951234567, name: '${HOME}'}]\n"), nil, drivers, "RU")
	if err != nil || len(list) != 1 || !strings.Contains(list[0].Text, "read from files only") {
		t.Errorf("a text from the browser may read variables: %v, %v", list, err)
	}
}

func TestMerge(t *testing.T) {
	stored := bridge.Settings{
		Integrations: []bridge.Integration{{ID: "a", Kind: "megaplan", Credentials: map[string]string{"url": "https://old.ru", "password": "old"}}},
		Users:        []bridge.User{{Login: "boss", Role: "admin", PasswordHash: "$hash"}},
	}
	next := bridge.Settings{
		Integrations: []bridge.Integration{
			{ID: "a", Kind: "megaplan", Credentials: map[string]string{"url": "https://new.ru", "password": setting.Mask}},
			{ID: "b", Kind: "megaplan", Credentials: map[string]string{"password": setting.Mask}},
			{ID: "c", Kind: "megaplan", Credentials: map[string]string{"password": "fresh"}},
		},
		Users: []bridge.User{{Login: "Boss", Role: "admin", PasswordHash: setting.Mask}, {Login: "new", Role: "admin"}, {Login: "set", Role: "admin", Password: "long-enough"}},
	}
	got, problems := Merge(next, stored)
	if p := got.Integrations[0].Credentials; p["password"] != "old" || p["url"] != "https://new.ru" {
		t.Errorf("a masked secret does not keep the stored one: %v", p)
	}
	if next.Integrations[0].Credentials["password"] != setting.Mask {
		t.Error("Merge changed what it was given")
	}
	if got.Users[0].PasswordHash != "$hash" || got.Users[2].Password != "long-enough" {
		t.Errorf("users: %+v", got.Users)
	}
	var paths []string
	for _, p := range problems {
		paths = append(paths, p.Path)
	}
	if want := []string{"integrations[1].credentials.password", "users[1].password"}; !slices.Equal(paths, want) {
		t.Errorf("problems %v, want %v", problems, want)
	}
	// The same id with another kind is another account.
	next.Integrations = next.Integrations[:1]
	next.Integrations[0].Kind = "retailcrm"
	if _, problems := Merge(next, stored); len(problems) == 0 {
		t.Error("a secret went to another kind of CRM")
	}
}

// TestF21ExportReadsBack: export, parse, merge gives what was exported, and the
// text holds no secret.
func TestF21ExportReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSettings(t)
		text, err := ExportSettings(s, drivers)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "SECRET") {
			t.Fatalf("a secret in the export:\n%s", text)
		}
		back, problems, err := ParseSettings(text, env(nil), drivers, "RU")
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v %v in\n%s", problems, err, text)
		}
		back, problems = Merge(back, s)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if diff := cmp.Diff(s, back); diff != "" {
			t.Fatalf("%s\n%s", diff, text)
		}
		again, err := ExportSettings(back, drivers)
		if err != nil || string(again) != string(text) {
			t.Fatalf("the second export differs: %v", err)
		}
	})
}

func drawSettings(t *rapid.T) bridge.Settings {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("abcЖ 01:#-'\"\\{}[]$,|>&*!%@`?=~\n\t")), 0, 12, -1).Filter(func(s string) bool { return !strings.Contains(s, "{{") })
	word := rapid.SampledFrom([]string{"", "yes", "null", "~", "0x1f", "1e3", "on", "2026-11-22", "${HOME}", "$${A}", "a: b", "ё"})
	name := rapid.OneOf(text, word)
	numbers := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"+74951234567", "+78002000600", "+375291234567", "0500"}), 1, 3, rapid.ID[string])
	rule := func() bridge.CallRule {
		r := bridge.CallRule{Direction: rapid.SampledFrom([]bridge.Direction{"", bridge.In, bridge.Out, bridge.Internal}).Draw(t, "direction")}
		if rapid.Bool().Draw(t, "outcome") {
			r.Outcome = []bridge.Outcome{bridge.Answered, map[bool]bridge.Outcome{true: bridge.Failed, false: bridge.Missed}[r.Direction == bridge.Out]}
			r.Reason = []bridge.Reason{rapid.SampledFrom(bridge.Reasons()).Draw(t, "reason")}
		}
		if rapid.Bool().Draw(t, "has lines") {
			r.Lines = numbers.Draw(t, "lines")
		}
		r.Known = rapid.SampledFrom([]*bool{nil, new(bool)}).Draw(t, "known")
		return r
	}
	who := rapid.SampledFrom([]string{"", "default", "talked", "manager", "ivan@example.ru"})
	var s bridge.Settings
	for i := range rapid.IntRange(0, 2).Draw(t, "integrations") {
		in := bridge.Integration{ID: []string{"a", "b-1"}[i], Kind: "megaplan", Name: name.Draw(t, "name"), Active: rapid.Bool().Draw(t, "active"),
			Credentials: map[string]string{"url": "https://x.megaplan.ru", "username": "u", "password": "SECRET" + name.Draw(t, "password")}}
		if rapid.Bool().Draw(t, "limited") {
			in.Lines = numbers.Draw(t, "lines")
		}
		if rapid.Bool().Draw(t, "contact") {
			in.Calls.Contact = &bridge.ContactRule{When: []string{"answer"}, Responsible: who.Draw(t, "who"), Name: name.Draw(t, "contact name")}
		}
		if rapid.Bool().Draw(t, "fields") {
			in.Calls.Fields = []bridge.FieldRule{{CRM: "x" + name.Draw(t, "field"), From: "source.utm", Update: "always"}}
		}
		if rapid.Bool().Draw(t, "minutes") {
			m := rapid.IntRange(0, 1440).Draw(t, "n")
			in.Calls.CommunicationMinutes = &m
		}
		for range rapid.IntRange(0, 2).Draw(t, "communications") {
			in.Calls.Communications = append(in.Calls.Communications, rule())
		}
		for range rapid.IntRange(0, 2).Draw(t, "tasks") {
			in.Calls.Tasks = append(in.Calls.Tasks, bridge.TaskRule{CallRule: rule(), Responsible: who.Draw(t, "who"), Title: name.Draw(t, "title"), Text: name.Draw(t, "text"),
				Due: bridge.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "due"))})
		}
		for range rapid.IntRange(0, 2).Draw(t, "processes") {
			in.Calls.Processes = append(in.Calls.Processes, bridge.ProcessRule{CallRule: rule(), Responsible: who.Draw(t, "who"), Scheme: name.Draw(t, "scheme"), AttachOpen: rapid.Bool().Draw(t, "attach")})
		}
		in.Calls.Popup = rapid.SampledFrom([]*bool{nil, new(bool)}).Draw(t, "popup")
		if rapid.Bool().Draw(t, "click") {
			in.ClickToCall = bridge.ClickToCall{Number: "+74951234567", OverrideCallerID: rapid.Bool().Draw(t, "override")}
		}
		s.Integrations = append(s.Integrations, in)
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "employees") {
		s.Employees = append(s.Employees, bridge.Employee{Extension: []string{"0101", "102"}[i], Email: []string{"a@example.ru", ""}[i], Name: name.Draw(t, "employee")})
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "lines") {
		l := bridge.Line{Number: []string{"+74951234567", "0500"}[i], Name: name.Draw(t, "line")}
		if rapid.Bool().Draw(t, "source") {
			l.Source = map[string]string{"utm_source": name.Draw(t, "utm"), "yes": "no"}
		}
		s.Lines = append(s.Lines, l)
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "users") {
		s.Users = append(s.Users, bridge.User{Login: []string{"boss", "иван"}[i], Name: name.Draw(t, "user"), Role: bridge.Admin, PasswordHash: "$2a$SECRET"})
	}
	return s
}

func TestExportOfAnUnknownKindMasksEverything(t *testing.T) {
	text, err := ExportSettings(bridge.Settings{Integrations: []bridge.Integration{{ID: "a", Kind: "gone", Credentials: map[string]string{"url": "u", "key": "hunter2"}}}}, drivers)
	if err != nil || strings.Contains(string(text), "hunter2") {
		t.Errorf("%v\n%s", err, text)
	}
}

// Every key of the settings is one the decoder can fill: nothing is left out
// when a field is added to bridge.Settings.
func TestDecoderKnowsEveryType(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var visit func(v reflect.Value)
	visit = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Slice:
			visit(reflect.New(v.Type().Elem()).Elem())
		case reflect.Struct:
			if seen[v.Type()] {
				return
			}
			seen[v.Type()] = true
			for _, f := range keys(v) {
				visit(f.value)
			}
		case reflect.Map, reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		default:
			t.Errorf("no way to read a %s", v.Type())
		}
	}
	visit(reflect.ValueOf(&bridge.Settings{}).Elem())
	visit(reflect.ValueOf(&Config{}).Elem())
	if len(seen) < 15 {
		t.Errorf("only %d structs seen: %v", len(seen), slices.Collect(maps.Keys(seen)))
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add(designSettings)
	f.Add("integrations: [{calls: {tasks: [{known: null, due: 1e9h}]}}]")
	f.Add("lines: &l\n  - number: *l\n")
	f.Add("users: [{login: \"\\x00\", role: !!str admin}]")
	f.Fuzz(func(t *testing.T, text string) {
		s, problems, err := ParseSettings([]byte(text), nil, drivers, "RU")
		if err != nil || len(problems) > 0 {
			return
		}
		out, err := ExportSettings(s, drivers)
		if err != nil {
			t.Fatal(err)
		}
		back, problems, err := ParseSettings(out, nil, drivers, "RU")
		if err != nil || len(problems) > 0 {
			t.Fatalf("the export does not read back: %v %v\n%s", problems, err, out)
		}
		again, err := ExportSettings(back, drivers)
		if err != nil || string(again) != string(out) {
			t.Fatalf("the second export differs:\n%s\n%s", out, again)
		}
	})
}
