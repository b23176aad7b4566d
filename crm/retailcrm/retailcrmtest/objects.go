package retailcrmtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"callbridge/crm/sandbox"
)

// Objects lists the account for the sandbox page and for counting.
func (f *Fake) Objects() []sandbox.Object {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []sandbox.Object
	for _, u := range f.users {
		out = append(out, sandbox.Object{Kind: "user", ID: fmt.Sprint(u.ID), Title: strings.TrimSpace(u.First + " " + u.Last), CreatedAt: u.at, Seed: true,
			Fields: []sandbox.Field{{Name: "email", Value: u.Email}, {Name: "code", Value: u.Extension}}})
	}
	add := func(kind, id, title string, at time.Time, seed bool, data object) {
		out = append(out, sandbox.Object{Kind: kind, ID: id, Title: title, CreatedAt: at, Seed: seed, Fields: fields(data)})
	}
	for _, e := range f.customers {
		title := strings.TrimSpace(str(e.data["firstName"]) + " " + str(e.data["lastName"]))
		add("contact", fmt.Sprint(e.id()), title, e.at, e.seed, e.data)
	}
	for _, c := range f.calls {
		add("call", str(c.data["externalId"]), str(c.data["type"])+" "+str(c.data["phone"])+" "+str(c.data["result"]), c.at, false, c.data)
	}
	for _, e := range f.tasks {
		add("task", fmt.Sprint(e.id()), str(e.data["text"]), e.at, false, e.data)
	}
	for _, e := range f.orders {
		add("deal", fmt.Sprint(e.id()), str(e.data["number"])+" "+str(e.data["firstName"]), e.at, false, e.data)
	}
	for _, e := range f.notes {
		add("note", fmt.Sprint(e.id()), str(e.data["text"]), e.at, false, e.data)
	}
	for i, e := range f.events {
		add("popup", fmt.Sprint(i+1), str(e.data["type"])+" "+str(e.data["phone"]), e.at, false, e.data)
	}
	slices.SortStableFunc(out, func(a, b sandbox.Object) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return out
}

// fields writes an object flat: nested values as JSON, without what the page shows elsewhere.
func fields(o object) []sandbox.Field {
	var out []sandbox.Field
	for _, k := range slices.Sorted(maps.Keys(o)) {
		var s string
		switch v := o[k].(type) {
		case string:
			s = v
		case object, []any:
			b, _ := json.Marshal(v)
			if s = string(b); s == "[]" || s == "{}" {
				continue
			}
		default:
			b, _ := json.Marshal(v)
			s = string(b)
		}
		if k == "id" || s == "" {
			continue
		}
		out = append(out, sandbox.Field{Name: k, Value: s})
	}
	return out
}
