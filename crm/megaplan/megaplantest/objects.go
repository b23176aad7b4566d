package megaplantest

import (
	"fmt"
	"slices"
	"strings"

	"callbridge/crm/sandbox"
)

// Objects returns what the account holds and what its telephony windows were
// told, in the order it was made.
func (s *Server) Objects() []sandbox.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []sandbox.Object
	for _, ct := range []string{"ContractorHuman", "ContractorCompany", "CallInfo", "Todo", "Deal", "Comment"} {
		for _, e := range s.order[ct] {
			out = append(out, s.show(e))
		}
	}
	for i, w := range s.widget {
		o := sandbox.Object{Kind: "popup", ID: fmt.Sprint(i + 1), Title: w.Type + " " + w.State, CreatedAt: w.At}
		o.Fields = fields("employee", s.person("Employee", w.Employee), "call", w.CallID, "key", w.ProviderID)
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b sandbox.Object) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return out
}

func (s *Server) show(e *entity) sandbox.Object {
	d := e.data
	o := sandbox.Object{ID: e.id, CreatedAt: e.created, Seed: s.seeded[e], Title: str(s.full(e)["name"])}
	switch e.ct {
	case "CallInfo":
		o.Kind = "call"
		o.Title = strings.TrimSpace(str(d["fromPhone"]) + " → " + str(d["toPhone"]))
		o.Fields = fields("type", str(d["type"]), "state", str(d["state"]), "from", s.named(d["fromUser"]), "to", s.named(d["toUser"]),
			"fromPhone", str(d["fromPhone"]), "toPhone", str(d["toPhone"]),
			"begin", when(d["timeFrom"]), "end", when(d["timeTo"]), "record", joined(d["recordLinks"]), "key", str(d["providerId"]))
	case "Todo":
		o.Kind = "task"
		if l, _ := d["category"].(object); l != nil {
			if c := s.get("TodoCategory", str(l["id"])); c != nil && c.data["masterType"] == "call" {
				o.Kind = "communication"
			}
		}
		var with []string
		list, _ := d["participants"].([]any)
		for _, p := range list {
			with = append(with, s.named(p.(object)["subject"]))
		}
		span, _ := d["when"].(object)
		o.Fields = fields("responsible", s.named(d["responsible"]), "client", strings.Join(with, ", "),
			"begin", when(span["from"]), "end", when(span["to"]), "text", str(d["description"]),
			"finished", when(d["timeFinished"]), "result", str(d["resultComment"]))
	case "Deal":
		o.Kind = "deal"
		o.Fields = fields("number", str(d["number"]), "program", s.named(d["program"]), "state", s.named(d["state"]),
			"responsible", s.named(d["manager"]), "client", s.named(d["contractor"]), "text", str(d["description"]))
		o.Fields = append(o.Fields, s.custom(e)...)
	case "Comment":
		o.Kind, o.Title = "note", str(d["content"])
		o.Fields = fields("client", s.named(d["subject"]))
	default:
		o.Kind = "contact"
		var resp []string
		list, _ := d["responsibles"].([]any)
		for _, r := range list {
			resp = append(resp, s.named(r))
		}
		o.Fields = fields("phone", strings.Join(infos(d, "phone"), ", "), "email", strings.Join(infos(d, "email"), ", "),
			"responsible", strings.Join(resp, ", "), "text", str(d["description"]))
		o.Fields = append(o.Fields, s.custom(e)...)
	}
	return o
}

// custom shows the custom fields by their labels.
func (s *Server) custom(e *entity) []sandbox.Field {
	var out []sandbox.Field
	for _, f := range s.fields[s.fieldOwner(e.ct, e.data, nil)] {
		if v, ok := e.data[f.Name]; ok {
			out = append(out, sandbox.Field{Name: f.Label, Value: fmt.Sprint(v)})
		}
	}
	return out
}

// fields makes a list of name, value, name, value…, without empty values.
func fields(pairs ...string) []sandbox.Field {
	var out []sandbox.Field
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, sandbox.Field{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	return out
}

func (s *Server) named(l any) string {
	o, _ := l.(object)
	return s.person(str(o["contentType"]), str(o["id"]))
}

func (s *Server) person(ct, id string) string {
	e := s.get(ct, id)
	if e == nil {
		return ""
	}
	if name := str(s.full(e)["name"]); name != "" {
		return name
	}
	return ct + " " + id
}

func when(v any) string {
	o, _ := v.(object)
	return str(o["value"])
}

func joined(v any) string {
	list, _ := v.([]any)
	var out []string
	for _, it := range list {
		out = append(out, str(it))
	}
	return strings.Join(out, " ")
}
