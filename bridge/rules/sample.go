package rules

import (
	"time"

	"callbridge/bridge"
)

// sample is a call for checking templates, with every value present.
func sample() Data {
	wait, talk := int64(5300), int64(125000)
	start := time.Date(2026, 11, 22, 5, 1, 23, 0, time.UTC)
	return NewData(bridge.Call{ID: "01JSAMPLE", Direction: bridge.In, Outcome: bridge.Missed, Reason: bridge.AbandonedQueue,
		Client: "+79161234567", ClientRaw: "79161234567", ClientName: "Пётр", Line: "+74951234567", Queue: "sales", Rang: []string{"101"},
		StartedAt: bridge.At(start), EndedAt: bridge.At(start.Add(time.Minute)), WaitMS: &wait, TalkMS: &talk},
		About{Line: bridge.Line{Number: "+74951234567", Name: "Сайт", Source: map[string]string{"utm_source": "yandex"}},
			Agent: bridge.Employee{Extension: "101", Email: "ivan@example.ru", Name: "Иван Петров"}, Name: func(string) string { return "Иван Петров" }, RecordURL: "https://calls.example.ru/r/1"})
}

// Preview fills a template with a made-up call, for the settings page.
func Preview(tmpl string) (string, error) { return Expand(tmpl, sample()) }
