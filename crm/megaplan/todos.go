package megaplan

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"callbridge/bridge/fault"
	"callbridge/bridge/phone"
	"callbridge/bridge/setting"
	"callbridge/crm"
)

// A communication and a task are both a Todo; its category tells them apart (6.1).
const (
	masterCall = "call"
	masterTodo = "todo"
)

type category struct {
	thing
	Master crm.Text `json:"masterType"`
}

// category returns the id of the category that calls or tasks get.
func (c *client) category(ctx context.Context, master string, fresh bool) (string, error) {
	field := map[string]setting.Field{masterCall: fieldCommunication, masterTodo: fieldTask}[master]
	want := strings.TrimSpace(c.v.Get(field))
	all, err := remembered[category](ctx, c, "read categories", "/todoCategory", fresh)
	if err != nil {
		return "", err
	}
	for _, k := range all {
		named := string(k.ID) == want || strings.EqualFold(string(k.Name), want)
		if k.ID != "" && (want == "" && string(k.Master) == master || want != "" && named) {
			return string(k.ID), nil
		}
	}
	if want != "" {
		return "", fault.New(fault.Invalid, "megaplan: read categories", "there is no category %q; correct %s in the settings of the integration", want, field.Name)
	}
	return "", fault.New(fault.Invalid, "megaplan: read categories", "there is no category of type %s; name one in %s of the integration's settings", master, field.Name)
}

// todo is what a communication and a task have in common.
type todo struct {
	op, master  string
	name, text  string // text is HTML
	responsible crm.UserID
	from, to    time.Time // both zero: no time
	contact     crm.ContactID
	kind        string
	call        string // providerId of the call it is about
	is          string // id of the todo that is to become this one; "": a new one
	logged      bool   // Megaplan may have made one for the call by itself
}

// CreateCommunication writes a todo of the type call, with the client in it (M-4.3).
func (c *client) CreateCommunication(ctx context.Context, key crm.Key, r crm.CallRecord, responsible crm.UserID) (crm.Made, error) {
	from := r.Call.StartedAt.Time
	if from.IsZero() {
		from = c.env.Now()
	}
	return c.createTodo(ctx, key, todo{op: "create communication", master: masterCall, logged: true,
		name: cmp.Or(r.Title, "Звонок "+phone.Format(r.Call.Client, "ru")),
		text: paragraph(r.Text) + anchor("Запись разговора", r.RecordURL), responsible: responsible,
		from: from, to: from.Add(max(r.Length, time.Minute)), contact: r.Contact, kind: r.Kind, call: providerID(key)})
}

// taskTime is how long before its due time a task stands in the calendar.
const taskTime = 30 * time.Minute

// CreateTask writes a todo that ends when it is due (M-4.4).
func (c *client) CreateTask(ctx context.Context, key crm.Key, t crm.NewTask) (crm.Made, error) {
	td := todo{op: "create task", master: masterTodo, name: cmp.Or(t.Title, "Перезвонить "+phone.Format(t.Phone, "ru")),
		text: paragraph(t.Text), responsible: t.Responsible, contact: t.Contact, kind: t.ContactKind, call: providerID(key)}
	if t.Record != nil {
		td.text += anchor("Запись разговора", t.Record.RecordURL)
	}
	if !t.Due.IsZero() {
		td.from, td.to = t.Due.Add(-taskTime), t.Due
	}
	return c.createTodo(ctx, key, td)
}

func (c *client) createTodo(ctx context.Context, key crm.Key, t todo) (crm.Made, error) {
	person, err := c.contactLink(ctx, t.contact, t.kind)
	if err != nil {
		return crm.Made{}, err
	}
	if key.Look {
		id, err := c.findTodo(ctx, key, t)
		if err != nil {
			return crm.Made{}, err
		}
		if id != "" {
			return crm.Made{ID: crm.ObjectID(id), URL: c.todoURL(id), Found: true}, nil
		}
	}
	if t.logged {
		id, err := c.ownTodo(ctx, t)
		if err != nil {
			return crm.Made{}, err
		}
		t.is = id
	}
	made, err := c.tryTodo(ctx, key, t, person, false)
	if err != nil && errors.Is(err, about("category")) {
		made, err = c.tryTodo(ctx, key, t, person, true) // ids of categories differ and change
	}
	if err != nil {
		return crm.Made{}, c.gone(ctx, err, t.contact)
	}
	return crm.Made{ID: crm.ObjectID(made), URL: c.todoURL(made)}, nil
}

// tryTodo makes the todo. Whether an account takes `when` at creation is not
// known beforehand: if it does not, the todo is made without it, with the
// times in its text, and `when` is tried by a change (6.4). The todo is never
// lost because of it, and what was learned is kept for a day.
func (c *client) tryTodo(ctx context.Context, key crm.Key, t todo, person object, fresh bool) (string, error) {
	category, err := c.category(ctx, t.master, fresh)
	if err != nil {
		return "", err
	}
	body := object{"contentType": "Todo", "name": t.name, "category": link("TodoCategory", category)}
	if t.responsible != "" {
		body["responsible"] = link("Employee", string(t.responsible))
	}
	var relations []any
	if person != nil {
		relations = append(relations, person)
		body["participants"] = []any{object{"contentType": "Participant", "subject": person}}
	}
	if id := c.calls.get(t.call); id != "" {
		relations = append(relations, link("CallInfo", id))
	}
	if relations != nil {
		body["relations"] = relations
	}
	how := c.v.Get(fieldWhen)
	auto := how == "auto"
	if auto {
		how = cmp.Or(c.auth.fact(ctx, factWhen), "create")
	}
	if t.to.IsZero() {
		how = "never"
	}
	body["description"] = t.text + marker(key.ID)
	path := "/todo"
	if t.is != "" {
		// The id belongs into the body, or another todo comes of it (1.6 no. 8).
		path, body["id"] = "/todo/"+pathID(t.is), t.is
	}
	span := intervalTime(t.from.In(c.env.Zone), t.to.In(c.env.Zone))
	if how == "create" {
		made, err := c.post(ctx, t.op, path, merged(body, object{"when": span}))
		if err == nil || !aboutWhen(err) {
			return string(made.ID), err
		}
		how = "update"
	}
	if !t.to.IsZero() {
		zone := func(x time.Time) string { return x.In(c.env.Zone).Format("02.01.2006 15:04") }
		body["description"] = t.text + paragraph("Время: "+zone(t.from)+" – "+zone(t.to)) + marker(key.ID)
	}
	made, err := c.post(ctx, t.op, path, body)
	if err != nil || how != "update" {
		return string(made.ID), err
	}
	_, err = c.do(ctx, request{op: "set time", method: http.MethodPost, path: "/todo/" + pathID(string(made.ID)),
		body: object{"contentType": "Todo", "id": string(made.ID), "when": span}}, nil)
	switch {
	case err == nil && auto:
		c.auth.learn(ctx, factWhen, "update")
	case err != nil && auto && fault.KindOf(err) == fault.Invalid:
		c.auth.learn(ctx, factWhen, "never")
	case err != nil:
		c.env.Log.WarnContext(ctx, "the time of a todo could not be set; it stands in its text", "integration", c.env.Integration, "err", err)
	}
	return string(made.ID), nil
}

// ownTodo returns the communication that Megaplan itself made for the call, ""
// if it makes none. Nobody knows whether it does (reference, part 9), so one
// call a day is looked at; where it does, every one.
func (c *client) ownTodo(ctx context.Context, t todo) (string, error) {
	call := c.calls.get(t.call)
	if call == "" || c.auth.fact(ctx, factOwn) == "no" {
		return "", nil
	}
	all, err := list(ctx, c, "find communication of the call", "/callInfo/"+pathID(call)+"/todos", object{"all": true, "fields": []string{"description", "category"}}, 5, func(x callTodo) thing { return x.thing })
	if k := fault.KindOf(err); err != nil && (k == fault.Gone || k == fault.Forbidden || k == fault.Invalid) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	is, id := "no", ""
	for _, x := range all {
		// What a person wrote, and what is ours, is never written over.
		if k := x.Category.get(); x.Description == "" && string(k.Master) == masterCall {
			is, id = "yes", string(x.ID)
			break
		}
	}
	c.auth.learn(ctx, factOwn, is)
	return id, nil
}

// callTodo is a todo of a call.
type callTodo struct {
	thing
	Category maybe[category] `json:"category"`
}

func aboutWhen(err error) bool {
	return fault.KindOf(err) == fault.Invalid &&
		(errors.Is(err, about("when")) || errors.Is(err, about("IntervalTime")) || errors.Is(err, about("IntervalDates")))
}

// findTodo looks for the todo an earlier attempt made: among those of the
// client, then among the newest of all. The client may have got his contact,
// and with it another responsible, since that attempt.
func (c *client) findTodo(ctx context.Context, key crm.Key, t todo) (string, error) {
	look := func(path string, q object, pages int) (string, error) {
		q["fields"] = []string{"description"}
		all, err := list(ctx, c, "find todo", path, q, pages, func(x thing) thing { return x })
		if err != nil {
			return "", err
		}
		for _, x := range all {
			if marked(string(x.Description), key.ID) {
				return string(x.ID), nil
			}
		}
		return "", nil
	}
	if t.contact != "" {
		id, err := look("/contractor/"+pathID(string(t.contact))+"/todos", object{"all": true}, 20)
		if id != "" || err != nil {
			return id, err
		}
	}
	return look("/todo", object{"sortBy": newestFirst}, 10)
}
