package rules

import (
	"fmt"
	"reflect"
	"strings"
)

// Value is one thing a template may name, for the documentation.
type Value struct {
	Name    string // {{.Client.Phone}}
	EN, RU  string
	Example string // of a missed call
}

// meanings says what each value is; the test compares it with Data.
var meanings = map[string][2]string{
	"Client.Phone":       {"number of the client, +7…; empty when withheld", "номер клиента, +7…; пусто, если скрыт"},
	"Client.Name":        {"name of the client in the CRM, else as the network gave it", "имя клиента в CRM, иначе как его передала сеть"},
	"Client.Raw":         {"number exactly as the PBX gave it", "номер в том виде, как его передала АТС"},
	"Line.Number":        {"our number that was called", "наш номер, на который звонили"},
	"Line.Name":          {"its name in the settings", "его название в настройках"},
	"Source":             {"marks of the line: {{.Source.utm_source}}; {{marks .Source}} writes all", "метки линии: {{.Source.utm_source}}; все сразу: {{marks .Source}}"},
	"Call.ID":            {"id of the call in Callbridge", "идентификатор звонка в Callbridge"},
	"Call.Direction":     {"direction in words", "направление словами"},
	"Call.Outcome":       {"outcome in words", "исход словами"},
	"Call.Reason":        {"why it was missed or failed, in words", "почему пропущен или не состоялся, словами"},
	"Call.Queue":         {"queue it came through", "очередь, через которую он прошёл"},
	"Call.People":        {"everybody who talked, in order; if nobody did, whose phones rang", "все, кто разговаривал, по порядку; если никто — у кого звонило"},
	"Call.Started":       {"when it began; {{date \"02.01.2006\" .Call.Started}} writes it otherwise", "начало; иначе: {{date \"02.01.2006\" .Call.Started}}"},
	"Call.Ended":         {"when it ended", "конец"},
	"Call.Wait":          {"how long the client waited", "сколько клиент ждал"},
	"Call.Talk":          {"how long they talked; {{minutes .Call.Talk}} in whole minutes", "длительность разговора; в минутах: {{minutes .Call.Talk}}"},
	"Call.DirectionCode": {"in, out or internal, for comparing", "in, out или internal, для сравнений"},
	"Call.OutcomeCode":   {"answered, missed or failed, for comparing", "answered, missed или failed, для сравнений"},
	"Call.ReasonCode":    {"reason as a word of the settings", "причина словом из настроек"},
	"Agent.Name":         {"employee: who talked last, else who called, else whose phone rang last", "сотрудник: кто говорил последним, иначе кто звонил, иначе у кого звонило"},
	"Agent.Extension":    {"his extension", "его внутренний номер"},
	"Agent.Email":        {"his e-mail", "его e-mail"},
	"Recording.URL":      {"link to the recording", "ссылка на запись"},
}

// Values lists everything a template may name, in the order of Data.
func Values() []Value {
	var out []Value
	var walk func(reflect.Type, string)
	walk = func(t reflect.Type, prefix string) {
		for i := range t.NumField() {
			f := t.Field(i)
			name := prefix + f.Name
			if _, leaf := meanings[name]; !leaf && f.Type.Kind() == reflect.Struct {
				walk(f.Type, name+".")
				continue
			}
			m := meanings[name]
			v := Value{Name: "{{." + name + "}}", EN: m[0], RU: m[1]}
			if f.Type.Kind() != reflect.Map {
				v.Example, _ = Expand(v.Name, sample()) // the test sees every one
			}
			out = append(out, v)
		}
	}
	walk(reflect.TypeFor[Data](), "")
	return out
}

// ValuesTable is the list as a Markdown table.
func ValuesTable() string {
	var b strings.Builder
	b.WriteString("| value | what it is | что это | example |\n| --- | --- | --- | --- |\n")
	for _, v := range Values() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v.Name, v.EN, v.RU, v.Example)
	}
	return b.String()
}
