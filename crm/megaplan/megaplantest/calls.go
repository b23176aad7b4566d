package megaplantest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// WidgetEvent is one message to the telephony window of a user.
type WidgetEvent struct {
	At         time.Time
	Created    bool   // the window opens; false: it changes
	Employee   string // id of who sees it; "" when nobody does
	CallID     string
	ProviderID string
	Type       string
	State      string
}

// Widget returns what the telephony windows were told, oldest first.
func (s *Server) Widget() []WidgetEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.widget)
}

const keptEvents = 5000

// tell notes that the window of the call's employee opened or changed. Who is
// not in the telephony settings has no window (M-2.1.6).
func (s *Server) tell(e *entity, created bool) {
	ev := WidgetEvent{At: s.now(), Created: created, CallID: e.id, ProviderID: fmt.Sprint(e.data["providerId"]),
		Type: str(e.data["type"]), State: str(e.data["state"])}
	sides := []string{"toUser", "fromUser"}
	if ev.Type == "out" || ev.Type == "fail" {
		slices.Reverse(sides)
	}
	for _, side := range sides {
		l, _ := e.data[side].(object)
		if l["contentType"] == "Employee" && s.listed(str(l["id"])) {
			ev.Employee = str(l["id"])
			break
		}
	}
	if len(s.widget) >= keptEvents {
		s.widget = slices.Delete(s.widget, 0, keptEvents/2)
	}
	s.widget = append(s.widget, ev)
}

func (s *Server) listed(employee string) bool {
	return s.configOf(employee) != nil
}

func (c *call) newCall() (result, *failure) {
	e, f := c.make("CallInfo")
	if f == nil {
		c.s.tell(e, true)
		if c.s.quirks.CallMakesTodo {
			c.s.ownTodo(e)
		}
	}
	return result{one: e}, f
}

// ownTodo is the communication that Megaplan itself may make for a call.
func (s *Server) ownTodo(e *entity) {
	t := object{"name": "Звонок", "relations": []any{e.link()}, "responsible": s.me.link(), "status": s.order["TodoStatus"][0].link()}
	for _, cat := range s.order["TodoCategory"] {
		if cat.data["masterType"] == "call" {
			t["category"] = cat.link()
		}
	}
	for _, side := range []string{"fromUser", "toUser"} {
		if l, _ := e.data[side].(object); slices.Contains(clientTypes, str(l["contentType"])) {
			t["participants"] = []any{object{"contentType": "Participant", "subject": l, "status": "accepted"}}
		}
	}
	s.insert("Todo", t)
}

func (c *call) changeCall() (result, *failure) {
	e, f := c.change("CallInfo")
	if f == nil {
		c.s.tell(e, false)
	}
	return result{one: e}, f
}

// byProvider returns the newest call with that id of the PBX, nil if there is none.
func (s *Server) byProvider(id any) *entity {
	for _, e := range slices.Backward(s.order["CallInfo"]) {
		if e.data["providerId"] != nil && fmt.Sprint(e.data["providerId"]) == fmt.Sprint(id) {
			return e
		}
	}
	return nil
}

func (c *call) provider() (result, *failure) {
	id, ok := c.query["providerId"]
	if !ok || id == nil || id == "" {
		return result{}, invalid("providerId", `field "providerId" is required`)
	}
	e := c.s.byProvider(id)
	if e == nil {
		return result{}, missing("CallInfo", fmt.Sprint(id))
	}
	return result{one: e}, nil
}

func (c *call) changeByProvider() (result, *failure) {
	body, f := c.entityBody()
	if f != nil {
		return result{}, f
	}
	id, ok := body["providerId"]
	if !ok || id == nil || id == "" {
		return result{}, invalid("providerId", `field "providerId" is required`)
	}
	e := c.s.byProvider(id)
	if e == nil {
		return result{}, missing("CallInfo", fmt.Sprint(id))
	}
	c.args = []string{e.id}
	return c.changeCall()
}

// history takes calls that are over: made or changed by the PBX's id, the
// windows are not told.
func (c *call) history() (result, *failure) {
	items, ok := c.body.([]any)
	if !ok {
		return result{}, invalid("", fmt.Sprintf("'%s' is not assignable to 'CallInfo[]'", typeName(c.body)))
	}
	out := []any{}
	for _, it := range items {
		body, ok := it.(object)
		if !ok || body["contentType"] != "CallInfo" {
			return result{}, invalid("", "'stdClass' is not assignable to 'CallInfo'")
		}
		var e *entity
		if id := idOf(body["id"]); id != "" {
			if e = c.s.get("CallInfo", id); e == nil {
				return result{}, invalid("id", fmt.Sprintf("CallInfo with id %q is not found", id))
			}
		} else if p := body["providerId"]; p != nil {
			e = c.s.byProvider(p)
		}
		data, f := c.s.accept("CallInfo", body, e)
		if f != nil {
			return result{}, f
		}
		data["state"] = "finished"
		if e == nil {
			e = c.s.insert("CallInfo", data)
		} else {
			e.data, e.updated = data, c.s.now()
		}
		out = append(out, e.link())
	}
	return result{raw: out}, nil
}

func (c *call) setContractor() (result, *failure) {
	e, f := c.target("CallInfo")
	if f != nil {
		return result{}, f
	}
	l, problem := link(clientTypes...)(c.s, c.body)
	if problem != "" {
		return result{}, invalid("", problem)
	}
	side := "fromUser"
	if t := e.data["type"]; t == "out" || t == "fail" {
		side = "toUser"
	}
	e.data[side] = l
	for _, t := range c.s.todosOf(e) {
		list, _ := t.data["participants"].([]any)
		t.data["participants"] = append(list, object{"contentType": "Participant", "subject": l, "status": "accepted"})
	}
	return result{one: e}, nil
}

// todosOf returns the todos in which e takes part or to which it is related.
func (s *Server) todosOf(e *entity) []*entity {
	return keep(s.order["Todo"], func(t *entity) bool {
		if refers(t.data["relations"], e.link()) {
			return true
		}
		list, _ := t.data["participants"].([]any)
		return slices.ContainsFunc(list, func(p any) bool { o, _ := p.(object); return refers(o["subject"], e.link()) })
	})
}

func (c *call) callTodos() (result, *failure) {
	e, f := c.target("CallInfo")
	if f != nil {
		return result{}, f
	}
	return result{many: c.s.todosOf(e), list: true}, nil
}

func (c *call) clientTodos() (result, *failure) {
	e, f := c.target("Contractor")
	if f != nil {
		return result{}, f
	}
	found := c.s.todosOf(e)
	if all, _ := c.query["all"].(bool); !all {
		found = keep(found, func(t *entity) bool { return t.data["timeFinished"] == nil })
	}
	return result{many: found, list: true}, nil
}

func (c *call) todos() (result, *failure) {
	found, f := c.filtered(c.s.order["Todo"], "TodoFilter")
	return result{many: found, list: true}, f
}

// newTodo makes a todo, attached to the client, call or employee of the path.
func (c *call) newTodo() (result, *failure) {
	body, f := c.entityBody()
	if f != nil {
		return result{}, f
	}
	if c.s.quirks.RejectWhen && body["when"] != nil {
		return result{}, invalid("when", "'stdClass' is not assignable to 'IntervalDates|IntervalTime'")
	}
	var owner *entity
	if len(c.args) > 0 {
		for _, ct := range []string{"Contractor", "CallInfo", "Employee"} {
			if owner = c.s.get(ct, c.args[0]); owner != nil {
				break
			}
		}
		if owner == nil {
			return result{}, missing("entity", c.args[0])
		}
	}
	e, f := c.make("Todo")
	if f != nil {
		return result{}, f
	}
	if owner != nil && owner.ct == "Employee" {
		e.data["responsible"] = owner.link()
	} else if owner != nil {
		list, _ := e.data["relations"].([]any)
		e.data["relations"] = append(list, owner.link())
	}
	if e.data["responsible"] == nil {
		e.data["responsible"] = c.s.me.link()
	}
	if e.data["status"] == nil {
		e.data["status"] = c.s.order["TodoStatus"][0].link()
	}
	return result{one: e}, nil
}

// changeTodo without an id in the body makes another todo (quirk 8).
func (c *call) changeTodo() (result, *failure) {
	if _, f := c.target("Todo"); f != nil {
		return result{}, f
	}
	body, f := c.entityBody()
	if f != nil {
		return result{}, f
	}
	if body["id"] == nil {
		c.args = nil
		return c.newTodo()
	}
	if c.s.quirks.RejectWhenOnUpdate && body["when"] != nil {
		return result{}, invalid("when", "'stdClass' is not assignable to 'IntervalDates|IntervalTime'")
	}
	e, f := c.change("Todo")
	return result{one: e}, f
}

func (c *call) todoAction() (result, *failure) {
	e, f := c.target("Todo")
	if f != nil {
		return result{}, f
	}
	body, f := c.entityBody()
	if f != nil {
		return result{}, f
	}
	switch body["contentType"] {
	case "TodoFinishActionRequest":
		e.data["timeFinished"] = dateTimeOf(c.s.now())
		e.data["status"] = c.s.order["TodoStatus"][1].link()
		if t := str(body["resultText"]); t != "" {
			e.data["resultComment"] = t
		}
	case "TodoRenewActionRequest":
		if e.data["timeFinished"] == nil {
			return result{}, forbidden("No act_renew rights for model " + e.id)
		}
		delete(e.data, "timeFinished")
		e.data["status"] = c.s.order["TodoStatus"][0].link()
	default:
		return result{}, invalid("contentType", fmt.Sprintf("'%v' is not assignable to 'TodoActionRequest'", body["contentType"]))
	}
	return result{one: e}, nil
}

func (c *call) deals() (result, *failure) {
	found, f := c.filtered(c.s.order["Deal"], "TradeFilter")
	return result{many: found, list: true}, f
}

func (c *call) clientDeals() (result, *failure) {
	e, f := c.target("Contractor")
	if f != nil {
		return result{}, f
	}
	return result{list: true, many: keep(c.s.order["Deal"], func(d *entity) bool { return refers(d.data["contractor"], e.link()) })}, nil
}

func (c *call) newDeal() (result, *failure) {
	e, f := c.make("Deal")
	if f != nil {
		return result{}, f
	}
	e.data["number"] = "П-" + e.id
	if e.data["manager"] == nil {
		e.data["manager"] = c.s.me.link()
	}
	prog, _ := e.data["program"].(object)
	states, _ := c.s.get("Program", str(prog["id"])).data["states"].([]any)
	if len(states) > 0 {
		c.s.move(e, c.s.get("ProgramState", str(states[0].(object)["id"])))
	}
	return result{one: e}, nil
}

// move puts a deal into a state and computes what depends on it.
func (s *Server) move(deal, state *entity) {
	step := object{"contentType": "DealStatusHistory", "toStatus": state.link(), "toStatusUpdated": dateTimeOf(s.now()), "toStatusUser": s.me.link()}
	if was := deal.data["state"]; was != nil {
		step["fromStatus"], step["fromStatusUpdated"] = was, deal.data["stateTimeUpdated"]
	}
	deal.steps = append(deal.steps, step)
	deal.data["state"], deal.data["result"] = state.link(), state.data["type"]
	deal.data["stateTimeUpdated"] = dateTimeOf(s.now())
	next := []any{}
	for _, t := range s.order["ProgramTransition"] {
		if refers(t.data["from"], state.link()) {
			next = append(next, t.link())
		}
	}
	deal.data["possibleTransitions"] = next
	deal.updated = s.now()
	s.event("on_after_update", deal)
}

func (c *call) statusHistory() (result, *failure) {
	deal, f := c.target("Deal")
	if f != nil {
		return result{}, f
	}
	return result{raw: append([]any{}, deal.steps...)}, nil
}

func (c *call) auditors() (result, *failure) {
	deal, f := c.target("Deal")
	if f != nil {
		return result{}, f
	}
	return result{list: true, many: keep(c.s.order["Employee"], func(e *entity) bool { return refers(deal.data["auditors"], e.link()) })}, nil
}

func (c *call) addAuditor() (result, *failure) {
	deal, f := c.target("Deal")
	if f != nil {
		return result{}, f
	}
	l, problem := link("Employee")(c.s, c.body)
	if problem != "" {
		return result{}, invalid("", problem)
	}
	list, _ := deal.data["auditors"].([]any)
	if !refers(list, l) {
		deal.data["auditors"] = append(list, l)
	}
	return result{one: deal}, nil
}

// dropAuditor takes the id alone: with a content type in the path there is no
// such route, other than elsewhere in the API.
func (c *call) dropAuditor() (result, *failure) {
	deal, f := c.target("Deal")
	if f != nil {
		return result{}, f
	}
	list, _ := deal.data["auditors"].([]any)
	gone := object{"contentType": "Employee", "id": c.args[1]}
	if !refers(list, gone) {
		return result{}, missing("Employee", c.args[1])
	}
	deal.data["auditors"] = slices.DeleteFunc(slices.Clone(list), func(x any) bool { return refers(x, gone) })
	return result{one: deal}, nil
}

func (c *call) transition() (result, *failure) {
	deal, f := c.target("Deal")
	if f != nil {
		return result{}, f
	}
	l, problem := link("ProgramTransition")(c.s, c.body)
	if problem != "" {
		return result{}, invalid("", problem)
	}
	if !refers(deal.data["possibleTransitions"], l) {
		if c.s.quirks.TransitionInvalid {
			return result{}, invalid("", "The transition is not possible from this state")
		}
		return result{}, forbidden("The transition is not possible from this state")
	}
	to, _ := c.s.get("ProgramTransition", str(l.(object)["id"])).data["to"].(object)
	c.s.move(deal, c.s.get("ProgramState", str(to["id"])))
	return result{one: deal}, nil
}

func (c *call) lastProgram() (result, *failure) {
	if ds := c.s.order["Deal"]; len(ds) > 0 {
		l, _ := ds[len(ds)-1].data["program"].(object)
		return result{one: c.s.get("Program", str(l["id"]))}, nil
	}
	if ps := c.s.order["Program"]; len(ps) > 0 {
		return result{one: ps[0]}, nil
	}
	return result{}, nil
}

func (c *call) programFields() (result, *failure) {
	e, f := c.target("Program")
	if f != nil {
		return result{}, f
	}
	return result{raw: c.s.describe("Program/" + e.id)}, nil
}

func (c *call) dealFields() (result, *failure) {
	out := []any{}
	for owner := range c.s.fields {
		if strings.HasPrefix(owner, "Program/") {
			out = append(out, c.s.describe(owner)...)
		}
	}
	return result{raw: out}, nil
}
