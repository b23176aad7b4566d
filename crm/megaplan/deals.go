package megaplan

import (
	"cmp"
	"context"
	"strings"

	"callbridge/bridge/fault"
	"callbridge/bridge/phone"
	"callbridge/crm"
)

type deal struct {
	thing
	Number  crm.Text        `json:"number"`
	Program maybe[thing]    `json:"program"`
	State   maybe[thing]    `json:"state"`
	Manager maybe[employee] `json:"manager"`
	Result  crm.Text        `json:"result"`
	Price   maybe[money]    `json:"price"`
	Dropped crm.Text        `json:"isDropped"`
}

type money struct {
	Value    crm.Text `json:"value"`
	Currency crm.Text `json:"currency"`
}

// open: what is hidden by the account's settings does not close a deal.
func (d *deal) open() bool {
	result := cmp.Or(d.Result, d.State.get().Type)
	return !d.Dropped.Bool() && (result == "" || result == "active")
}

// OpenDeals lists the client's deals that are not over.
func (c *client) OpenDeals(ctx context.Context, contact crm.ContactID) ([]crm.Deal, error) {
	all, err := c.dealsOf(ctx, contact)
	if err != nil {
		return nil, err
	}
	var out []crm.Deal
	for i := range all {
		d := &all[i]
		if d.ID == "" || !d.open() {
			continue
		}
		out = append(out, crm.Deal{ID: crm.ObjectID(d.ID), Name: string(cmp.Or(d.Name, d.Number)), Pipeline: string(d.Program.get().ID), PipelineName: string(d.Program.get().Name),
			Stage: string(d.State.get().Name), Responsible: crm.UserID(d.Manager.get().ID), Sum: d.Price.get().Value.Float(),
			Currency: string(d.Price.get().Currency), URL: c.dealURL(string(d.ID))})
	}
	return out, nil
}

func (c *client) dealsOf(ctx context.Context, contact crm.ContactID) ([]deal, error) {
	return list(ctx, c, "list deals", "/contractor/"+pathID(string(contact))+"/deals", object{"fields": dealFields, "sortBy": newestFirst}, 5,
		func(d deal) thing { return d.thing })
}

var dealFields = []string{"name", "number", "program", "state", "manager", "result", "price", "description"}

// CreateDeal makes a process of the scheme (M-4.5).
func (c *client) CreateDeal(ctx context.Context, key crm.Key, n crm.NewDeal) (crm.Made, error) {
	program, err := c.program(ctx, n.Pipeline)
	if err != nil {
		return crm.Made{}, err
	}
	person, err := c.contactLink(ctx, n.Contact, n.ContactKind)
	if err != nil {
		return crm.Made{}, err
	}
	if key.Look {
		id, err := c.findDeal(ctx, key, n.Contact, program)
		if err != nil {
			return crm.Made{}, err
		}
		if id != "" {
			return crm.Made{ID: crm.ObjectID(id), URL: c.dealURL(id), Found: true}, nil
		}
	}
	text := paragraph(n.Text) + pairs(n.Source)
	if n.Record != nil {
		text += anchor("Запись разговора", n.Record.RecordURL)
	}
	body := object{"contentType": "Deal", "program": link("Program", program), "description": text + marker(key.ID),
		"name": cmp.Or(n.Title, "Звонок "+phone.Format(n.Phone, "ru"))}
	if n.Responsible != "" {
		body["manager"] = link("Employee", string(n.Responsible))
	}
	if person != nil {
		body["contractor"] = person
	}
	list := "/program/" + pathID(program) + "/fields"
	optional, err := c.customFields(ctx, list, n.Fields, false)
	if err != nil {
		return crm.Made{}, err
	}
	made, err := c.post(ctx, "create deal", "/deal", merged(body, optional))
	if len(optional) > 0 && err != nil && fault.KindOf(err) == fault.Invalid {
		c.env.Log.WarnContext(ctx, "Megaplan refuses the deal's additional fields; made without them", "integration", c.env.Integration, "err", err)
		c.cache.forget(list)
		made, err = c.post(ctx, "create deal", "/deal", body)
	}
	if err != nil {
		err = c.gone(ctx, err, n.Contact)
		return crm.Made{}, c.explain(err, "a process", "Настройки → Сделки → the fields of the scheme")
	}
	return crm.Made{ID: crm.ObjectID(made.ID), URL: c.dealURL(string(made.ID))}, nil
}

// findDeal looks for the deal an earlier attempt made: among the client's,
// then among the newest of the scheme. The client may have got his contact
// since that attempt.
func (c *client) findDeal(ctx context.Context, key crm.Key, contact crm.ContactID, program string) (string, error) {
	find := func(all []deal) string {
		for i := range all {
			if marked(string(all[i].Description), key.ID) {
				return string(all[i].ID)
			}
		}
		return ""
	}
	if contact != "" {
		all, err := c.dealsOf(ctx, contact)
		if id := find(all); id != "" || err != nil {
			return id, err
		}
	}
	all, err := list(ctx, c, "find deal", "/deal", object{"fields": dealFields, "sortBy": newestFirst,
		"filter": object{"contentType": "TradeFilter", "id": nil, "program": link("Program", program)}}, 10,
		func(d deal) thing { return d.thing })
	return find(all), err
}

// program finds the scheme by id or name; "" means the one of the settings,
// else the one used last.
func (c *client) program(ctx context.Context, want string) (string, error) {
	want = cmp.Or(strings.TrimSpace(want), strings.TrimSpace(c.v.Get(fieldProgram)))
	if want != "" && strings.Trim(want, "0123456789") == "" {
		return want, nil
	}
	if want == "" {
		var last thing
		_, err := c.do(ctx, request{op: "read scheme", path: "/deal/lastUsedProgram"}, &last)
		switch k := fault.KindOf(err); {
		case err == nil && last.ID != "":
			return string(last.ID), nil
		case err != nil && k != fault.Invalid && k != fault.Forbidden && k != fault.Gone:
			return "", err // passing trouble must not choose another scheme
		}
	}
	all, err := remembered[thing](ctx, c, "read schemes", "/program", false)
	if err != nil {
		return "", err
	}
	var names []string
	for _, p := range all {
		if p.ID != "" && (want == "" || strings.EqualFold(string(p.Name), want)) {
			return string(p.ID), nil
		}
		names = append(names, string(p.Name))
	}
	return "", fault.New(fault.Invalid, "megaplan: read schemes", "there is no scheme %q; the account has %s", want, strings.Join(names, ", "))
}
