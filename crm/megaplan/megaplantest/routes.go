package megaplantest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// routes is filled in by init: bulk calls find their routes in it again.
var routes []route

func init() { routes = allRoutes() }

func allRoutes() []route {
	get, post, del := http.MethodGet, http.MethodPost, http.MethodDelete
	out := []route{
		{get, "/currentUser", nil, "", func(c *call) (result, *failure) { return result{one: c.s.me}, nil }},
		{get, "/employee", []string{"filter", "q"}, "Employee", all("Employee")},
		{get, "/employee/{id}", nil, "", one("Employee")},
		{post, "/employee/{id}/todos", nil, "", (*call).newTodo},

		{get, "/callUserConfig", nil, "CallUserConfig", all("CallUserConfig")},
		{get, "/callUserConfig/{id}", nil, "", one("CallUserConfig")},
		{post, "/callUserConfig", nil, "", create("CallUserConfig")},
		{post, "/callUserConfig/{id}", nil, "", update("CallUserConfig")},
		{get, "/callUserConfig/Employee/{id}", nil, "", (*call).configOf},
		{del, "/callUserConfig/Employee/{id}", nil, "", (*call).dropConfig},
		{get, "/integration", nil, "Integration", all("Integration")},
		{get, "/integration/streams", nil, "", streams},
		{get, "/integration/{key}", nil, "", (*call).application},
		{get, "/integration/{key}/checkUserSign/{key}", nil, "", (*call).checkUserSign},
		{get, "/callRoute", []string{"phone"}, "", (*call).callRoute},

		{get, "/contractor", []string{"filter", "q"}, "*", clients(clientTypes...)},
		{get, "/contractor/{id}", nil, "", one("Contractor")},
		{del, "/contractor/{id}", nil, "", drop("Contractor")},
		{get, "/contractor/types", nil, "ContractorType", all("ContractorType")},
		{get, "/contractor/{id}/deals", []string{"filters"}, "Deal", (*call).clientDeals},
		{get, "/contractor/{id}/todos", []string{"finished", "all", "period", "filters", "q"}, "Todo", (*call).clientTodos},
		{post, "/contractor/{id}/todos", nil, "", (*call).newTodo},

		{post, "/bulk", nil, "", (*call).bulk},
		{post, "/bulk/getEntitiesByLinks", nil, "", (*call).byLinks},
		{get, "/attache/shareUrl/{id}", nil, "", (*call).shareURL},

		{post, "/callInfo", nil, "", (*call).newCall},
		{get, "/callInfo", []string{"filter"}, "CallInfo", all("CallInfo")},
		{get, "/callInfo/{id}", nil, "", one("CallInfo")},
		{post, "/callInfo/{id}", nil, "", (*call).changeCall},
		{post, "/callInfo/history", nil, "", (*call).history},
		{get, "/callInfo/history", []string{"filter"}, "CallInfo", all("CallInfo")},
		{get, "/callInfo/provider", []string{"providerId"}, "", (*call).provider},
		{post, "/callInfo/provider", nil, "", (*call).changeByProvider},
		{post, "/callInfo/{id}/setContractor", nil, "", (*call).setContractor},
		{get, "/callInfo/{id}/todos", []string{"finished", "all", "period", "filters", "q"}, "Todo", (*call).callTodos},
		{post, "/callInfo/{id}/todos", nil, "", (*call).newTodo},

		{get, "/todo", []string{"filter", "ignoreRights", "q"}, "Todo", (*call).todos},
		{post, "/todo", nil, "", (*call).newTodo},
		{get, "/todo/{id}", nil, "", one("Todo")},
		{post, "/todo/{id}", nil, "", (*call).changeTodo},
		{del, "/todo/{id}", nil, "", drop("Todo")},
		{post, "/todo/{id}/doAction", nil, "", (*call).todoAction},
		{get, "/todoCategory", nil, "TodoCategory", all("TodoCategory")},
		{get, "/todoStatus", []string{"masterType"}, "TodoStatus", all("TodoStatus")},

		{get, "/deal", []string{"filter", "status", "q"}, "Deal", (*call).deals},
		{post, "/deal", nil, "", (*call).newDeal},
		{get, "/deal/{id}", nil, "", one("Deal")},
		{post, "/deal/{id}", nil, "", update("Deal")},
		{del, "/deal/{id}", nil, "", drop("Deal")},
		{get, "/deal/{id}/statusHistory", nil, "", (*call).statusHistory},
		{get, "/deal/{id}/auditors", nil, "Employee", (*call).auditors},
		{post, "/deal/{id}/auditors", nil, "", (*call).addAuditor},
		{del, "/deal/{id}/auditors/{id}", nil, "", (*call).dropAuditor},
		{get, "/deal/lastUsedProgram", nil, "", (*call).lastProgram},
		{get, "/deal/extraFields", nil, "", (*call).dealFields},
		{post, "/deal/{id}/applyTransition", nil, "", (*call).transition},
		{get, "/program", nil, "Program", all("Program")},
		{get, "/program/{id}", nil, "", one("Program")},
		{get, "/program/{id}/fields", nil, "", (*call).programFields},
	}
	for _, ct := range clientTypes {
		path := "/" + strings.ToLower(ct[:1]) + ct[1:]
		out = append(out,
			route{get, path, []string{"filter", "q"}, "*", clients(ct)},
			route{post, path, nil, "", createClient(ct)},
			route{post, path + "/{id}", nil, "", update(ct)},
			route{get, path + "/{id}", nil, "", one(ct)},
			route{get, path + "/extraFields", nil, "", fieldsOf(ct)},
			route{get, path + "/possibleDuplicates", []string{"name", "contactInfo"}, "", duplicates(ct)},
		)
	}
	for path, ct := range map[string]string{"contractor": "Contractor", "contractorHuman": "ContractorHuman",
		"contractorCompany": "ContractorCompany", "deal": "Deal", "todo": "Todo"} {
		out = append(out,
			route{get, "/" + path + "/{id}/comments", nil, "Comment", comments(ct)},
			route{post, "/" + path + "/{id}/comments", nil, "", comment(ct)})
	}
	return out
}

func all(ct string) func(*call) (result, *failure) {
	return func(c *call) (result, *failure) { return result{many: c.s.order[ct], list: true}, nil }
}

func one(ct string) func(*call) (result, *failure) {
	return func(c *call) (result, *failure) {
		e, f := c.target(ct)
		return result{one: e}, f
	}
}

func (c *call) target(ct string) (*entity, *failure) {
	if e := c.s.get(ct, c.args[0]); e != nil {
		return e, nil
	}
	return nil, missing(ct, c.args[0])
}

func drop(ct string) func(*call) (result, *failure) {
	return func(c *call) (result, *failure) {
		e, f := c.target(ct)
		if f == nil {
			c.s.remove(e)
		}
		return result{}, f
	}
}

// entityBody returns the body as an object.
func (c *call) entityBody() (object, *failure) {
	if o, ok := c.body.(object); ok {
		return o, nil
	}
	return nil, invalid("", fmt.Sprintf("'%s' is not assignable to an entity", typeName(c.body)))
}

func create(ct string) func(*call) (result, *failure) {
	return func(c *call) (result, *failure) {
		e, f := c.make(ct)
		return result{one: e}, f
	}
}

func (c *call) make(ct string) (*entity, *failure) {
	body, f := c.entityBody()
	if f != nil {
		return nil, f
	}
	data, f := c.s.accept(ct, body, nil)
	if f != nil {
		return nil, f
	}
	for _, fl := range c.s.fields[c.s.fieldOwner(ct, body, nil)] {
		if _, ok := data[fl.Name]; fl.Required && !ok {
			return nil, invalid(fl.Name, fmt.Sprintf("field %q is required", fl.Label))
		}
	}
	return c.s.insert(ct, data), nil
}

func update(ct string) func(*call) (result, *failure) {
	return func(c *call) (result, *failure) {
		e, f := c.change(ct)
		return result{one: e}, f
	}
}

func (c *call) change(ct string) (*entity, *failure) {
	e, f := c.target(ct)
	if f != nil {
		return nil, f
	}
	body, f := c.entityBody()
	if f != nil {
		return nil, f
	}
	if id, ok := body["id"]; ok && idOf(id) != e.id {
		return nil, invalid("id", "id differs from the one in the path")
	}
	data, f := c.s.accept(ct, body, e)
	if f != nil {
		return nil, f
	}
	e.before, e.data, e.updated = e.data, data, c.s.now()
	c.s.event("on_after_update", e)
	return e, nil
}

func (c *call) dropConfig() (result, *failure) {
	res, f := c.configOf()
	if f == nil {
		c.s.remove(res.one)
	}
	return result{}, f
}

func (c *call) configOf() (result, *failure) {
	if e := c.s.configOf(c.args[0]); e != nil {
		return result{one: e}, nil
	}
	return result{}, missing("CallUserConfig", c.args[0])
}

// hasPhone compares figures only: what is kept as 8916… is not found as 7916….
func hasPhone(e *entity, phone string) bool {
	return phone != "" && slices.Contains(infos(e.data, "phone"), phone)
}

func (c *call) callRoute() (result, *failure) {
	raw, given := c.query["phone"]
	phone := digits(str(raw))
	if given && str(raw) == "" {
		return result{}, invalid("phone", "phone is not a string")
	}
	users, ask := []any{}, []any{}
	for _, ct := range append([]string{"Employee"}, clientTypes...) {
		for _, e := range c.s.order[ct] {
			if !hasPhone(e, phone) {
				continue
			}
			users = append(users, e.link())
			list, _ := e.data["responsibles"].([]any)
			for _, it := range list {
				if l, _ := it.(object); l["contentType"] == "Employee" && !slices.ContainsFunc(ask, func(x any) bool { return x.(object)["id"] == l["id"] }) {
					ask = append(ask, object{"contentType": "Employee", "id": l["id"]})
				}
			}
		}
	}
	out := object{"contentType": "CallRoute", "type": "responsible", "timeout": 20, "users": users, "employees": ask}
	if c.s.quirks.RouteObject {
		out["employees"] = nil
		if len(ask) > 0 {
			out["employees"] = ask[0]
		}
	}
	return result{raw: out}, nil
}

func clients(types ...string) func(*call) (result, *failure) {
	return func(c *call) (result, *failure) {
		var found []*entity
		for _, ct := range types {
			found = append(found, c.s.order[ct]...)
		}
		if q, ok := c.query["q"]; ok {
			found = keep(found, func(e *entity) bool {
				return strings.Contains(strings.ToLower(str(c.s.full(e)["name"])), strings.ToLower(str(q)))
			})
		}
		found, f := c.filtered(found, "CrmFilter")
		return result{many: found, list: true}, f
	}
}

func createClient(ct string) func(*call) (result, *failure) {
	return func(c *call) (result, *failure) {
		body, f := c.entityBody()
		if f != nil {
			return result{}, f
		}
		data, f := c.s.accept(ct, body, nil)
		if f != nil {
			return result{}, f
		}
		for _, name := range c.s.quirks.RequiredClient {
			ok := data[name] != nil && data[name] != ""
			if name == "phone" || name == "email" {
				ok = len(infos(data, name)) > 0
			}
			if !ok {
				return result{}, invalid(name, fmt.Sprintf("field %q is required", name))
			}
		}
		e, f := c.make(ct)
		return result{one: e}, f
	}
}

func fieldsOf(owner string) func(*call) (result, *failure) {
	return func(c *call) (result, *failure) { return result{raw: c.s.describe(owner)}, nil }
}

func (s *Server) describe(owner string) []any {
	out := []any{}
	for i, f := range s.fields[owner] {
		out = append(out, f.describe(i))
	}
	return out
}

func duplicates(ct string) func(*call) (result, *failure) {
	return func(c *call) (result, *failure) {
		var phones []string
		if raw, ok := c.query["contactInfo"]; ok {
			list, problem := listOf(contactInfo)(c.s, raw)
			if problem != "" {
				return result{}, invalid("contactInfo", problem)
			}
			phones = infos(object{"contactInfo": list}, "phone")
		}
		name := strings.ToLower(str(c.query["name"]))
		out := []any{}
		for _, e := range c.s.order[ct] {
			byName := name != "" && strings.ToLower(str(c.s.full(e)["name"])) == name
			if byName || slices.ContainsFunc(phones, func(p string) bool { return hasPhone(e, p) }) {
				out = append(out, e.link())
			}
		}
		return result{raw: out}, nil
	}
}

func comments(ct string) func(*call) (result, *failure) {
	return func(c *call) (result, *failure) {
		e, f := c.target(ct)
		if f != nil {
			return result{}, f
		}
		return result{list: true, many: keep(c.s.order["Comment"], func(x *entity) bool { return refers(x.data["subject"], e.link()) })}, nil
	}
}

func comment(ct string) func(*call) (result, *failure) {
	return func(c *call) (result, *failure) {
		e, f := c.target(ct)
		if f != nil {
			return result{}, f
		}
		if c.s.quirks.CommentsFail && ct == "Contractor" {
			return result{}, &failure{http.StatusInternalServerError, "", "Internal Server Error"}
		}
		body, f := c.entityBody()
		if f != nil {
			return result{}, f
		}
		if body["contentType"] == "CommentCreateActionRequest" {
			inner, ok := body["comment"].(object)
			if !ok {
				return result{}, invalid("comment", "'null' is not assignable to 'Comment'")
			}
			body = inner
		}
		data, f := c.s.accept("Comment", body, nil)
		if f != nil {
			return result{}, f
		}
		data["subject"], data["owner"] = e.link(), c.s.me.link()
		return result{one: c.s.insert("Comment", data)}, nil
	}
}
