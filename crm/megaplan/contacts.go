package megaplan

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/phone"
	"callbridge/crm"

	"golang.org/x/sync/errgroup"
)

const (
	human   = "ContractorHuman"
	company = "ContractorCompany"
)

// contractor is a client, of either kind.
type contractor struct {
	thing
	FirstName    crm.Text          `json:"firstName"`
	LastName     crm.Text          `json:"lastName"`
	Company      maybe[thing]      `json:"company"`
	Responsibles many[employee]    `json:"responsibles"`
	ContactInfo  many[contactInfo] `json:"contactInfo"`
	TimeCreated  maybe[moment]     `json:"timeCreated"`
	IsDropped    crm.Text          `json:"isDropped"`
}

func (r *contractor) phones() []string {
	var out []string
	for _, ci := range r.ContactInfo {
		if ci.Type == "phone" && ci.Value != "" {
			out = append(out, string(ci.Value))
		}
	}
	return out
}

func (c *client) contact(r *contractor) crm.Contact {
	out := crm.Contact{ID: crm.ContactID(r.ID), Kind: "person", Name: string(r.Name), CreatedAt: bridge.At(at(r.TimeCreated)),
		URL: c.clientURL(crm.ContactID(r.ID)), Company: string(r.Company.get().Name)}
	if r.ContentType == company {
		out.Kind, out.Company = "company", out.Name
	}
	if out.Name == "" {
		out.Name = strings.TrimSpace(string(r.LastName + " " + r.FirstName))
	}
	for _, e := range r.Responsibles {
		if e.ContentType == "Employee" && e.ID != "" {
			out.Responsible, out.Manager = crm.UserID(e.ID), e.title()
			break
		}
	}
	for _, p := range r.phones() {
		if n, kind := phone.Parse(p, c.env.Country); kind == phone.Public && !slices.Contains(out.Phones, n) {
			out.Phones = append(out.Phones, n)
		}
	}
	return out
}

// FindContacts asks callRoute, which is made for it, and, as that may compare
// figures only, possibleDuplicates for the other spellings. Nobody knows how
// either compares, so every answer is checked against the client's numbers.
func (c *client) FindContacts(ctx context.Context, n bridge.Number) ([]crm.Contact, error) {
	found, err := c.find(ctx, n)
	if err != nil {
		return nil, err
	}
	var out []crm.Contact
	for i := range found {
		out = append(out, c.contact(&found[i]))
	}
	return out, nil
}

func (c *client) find(ctx context.Context, n bridge.Number) ([]contractor, error) {
	if n == "" {
		return nil, nil
	}
	var byRoute route
	var humans, companies many[contractor]
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		var err error
		byRoute, err = c.route(gctx, n)
		return err
	})
	if c.v.Get(fieldSearch) == "thorough" {
		q := object{"contactInfo": spelled(n)}
		for path, out := range map[string]*many[contractor]{"/contractorHuman": &humans, "/contractorCompany": &companies} {
			g.Go(func() error {
				_, err := c.do(gctx, request{op: "find client", path: path + "/possibleDuplicates", query: q}, out)
				if k := fault.KindOf(err); err != nil && (k == fault.Invalid || k == fault.Gone) {
					return nil // this account does not know the question; callRoute has answered
				}
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	seen := map[crm.Text]bool{}
	var out []contractor
	for _, r := range slices.Concat(byRoute.Users, humans, companies) {
		if r.ID == "" || seen[r.ID] || r.ContentType != human && r.ContentType != company {
			continue
		}
		seen[r.ID] = true
		if len(r.ContactInfo) == 0 { // only a link, or the short form of a list
			full, err := c.contractor(ctx, string(r.ID))
			if fault.KindOf(err) == fault.Gone && err != nil {
				continue
			}
			if err != nil {
				return nil, err
			}
			r = full
		}
		holds := func(p string) bool { return phone.Same(p, n, c.env.Country) }
		if !r.IsDropped.Bool() && slices.ContainsFunc(r.phones(), holds) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b contractor) int {
		return cmp.Or(at(a.TimeCreated).Compare(at(b.TimeCreated)), cmp.Compare(a.ID.Int(), b.ID.Int()))
	})
	return out, nil
}

// spelled lists the forms of n that differ when only figures are kept.
func spelled(n bridge.Number) []object {
	var forms []string
	for _, s := range phone.Spellings(n) {
		d := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, s)
		if !slices.Contains(forms, d) {
			forms = append(forms, d)
		}
	}
	var out []object
	for _, d := range forms {
		out = append(out, object{"contentType": "ContactInfo", "type": "phone", "value": d})
	}
	return out
}

func (c *client) contractor(ctx context.Context, id string) (contractor, error) {
	var out contractor
	_, err := c.do(ctx, request{op: "read client", path: "/contractor/" + pathID(id)}, &out)
	if out.ID == "" {
		out.ID = crm.Text(id)
	}
	return out, err
}

// CreateContact makes a person. What an account demands or refuses beyond the
// ordinary (5.6) must not lose the contact, so optional fields are left out
// in a second attempt.
func (c *client) CreateContact(ctx context.Context, key crm.Key, n crm.NewContact) (crm.Contact, error) {
	if key.Look {
		done, err := c.findMarked(ctx, key, n.Phone)
		if err != nil || done != nil {
			return deref(done), err
		}
	}
	body := object{"contentType": human, "firstName": cmp.Or(n.Name, n.Phone.Digits()), "lastName": "",
		"description": paragraph(n.Note) + pairs(n.Source) + marker(key.ID)}
	if n.Phone != "" {
		body["contactInfo"] = []any{object{"contentType": "ContactInfo", "type": "phone", "value": n.Phone.Digits(), "isMain": true}}
	}
	if n.Responsible != "" {
		body["responsibles"] = []any{link("Employee", string(n.Responsible))}
	}
	optional, err := c.customFields(ctx, "/contractorHuman/extraFields", n.Fields, false)
	if err != nil {
		return crm.Contact{}, err
	}
	made, err := c.post(ctx, "create client", "/contractorHuman", merged(body, optional))
	if len(optional) > 0 && err != nil && fault.KindOf(err) == fault.Invalid {
		c.env.Log.WarnContext(ctx, "Megaplan refuses the client's additional fields; made without them", "integration", c.env.Integration, "err", err)
		c.cache.forget("/contractorHuman/extraFields")
		made, err = c.post(ctx, "create client", "/contractorHuman", body)
	}
	if err != nil {
		return crm.Contact{}, c.explain(err, "a client", "Настройки → Клиенты → Типы клиентов")
	}
	out := crm.Contact{ID: crm.ContactID(made.ID), Kind: "person", Name: cmp.Or(n.Name, n.Phone.Digits()),
		Responsible: n.Responsible, URL: c.clientURL(crm.ContactID(made.ID))}
	if n.Phone != "" {
		out.Phones = []bridge.Number{n.Phone}
	}
	return out, nil
}

func deref(c *crm.Contact) crm.Contact {
	if c == nil {
		return crm.Contact{}
	}
	return *c
}

// findMarked looks for the client an earlier attempt made.
func (c *client) findMarked(ctx context.Context, key crm.Key, n bridge.Number) (*crm.Contact, error) {
	found, err := c.find(ctx, n)
	if err != nil {
		return nil, err
	}
	if n == "" {
		found, err = list(ctx, c, "find client", "/contractorHuman", object{"fields": []string{"description", "contactInfo", "responsibles"},
			"sortBy": newestFirst}, 1, func(r contractor) thing { return r.thing })
		if err != nil {
			return nil, err
		}
	}
	for i := range found {
		r := &found[i]
		if r.Description == "" { // the short form of a list
			if full, err := c.contractor(ctx, string(r.ID)); err == nil {
				r = &full
			} else if fault.KindOf(err) != fault.Gone {
				return nil, err
			}
		}
		if marked(string(r.Description), key.ID) {
			out := c.contact(r)
			return &out, nil
		}
	}
	return nil, nil
}

// newestFirst sorts a list; the order without it is undefined (3.2).
var newestFirst = []object{{"contentType": "SortField", "fieldName": "timeCreated", "desc": true}}

// UpdateContact writes fields (M-4.2). Names are Megaplan's own
// (Category183CustomFieldUtm), the label people see, or one of firstName,
// lastName, middleName, position, description, email and phone.
func (c *client) UpdateContact(ctx context.Context, id crm.ContactID, fields map[string]string) error {
	now, err := c.contractor(ctx, string(id))
	if err != nil {
		return err
	}
	path := "/contractorHuman"
	if now.ContentType == company {
		path = "/contractorCompany"
	}
	// The id belongs into the body, or a new object may come of it (1.6 no. 8).
	body := object{"contentType": cmp.Or(string(now.ContentType), human), "id": string(id)}
	rest := map[string]string{}
	var infos []any
	for name, value := range fields {
		switch kind := strings.ToLower(name); {
		case kind == "email" || kind == "phone":
			same := func(ci contactInfo) bool {
				return string(ci.Type) == kind && (strings.EqualFold(string(ci.Value), value) ||
					kind == "phone" && samePhone(string(ci.Value), value, c.env.Country))
			}
			if !slices.ContainsFunc(now.ContactInfo, same) {
				infos = append(infos, object{"contentType": "ContactInfo", "type": kind, "value": value})
			}
		case name == "description":
			if marked := keyIn(string(now.Description)); marked != "" {
				value += "\n[" + marked + "]" // our key stays
			}
			body[name] = paragraph(value)
		case slices.Contains([]string{"firstName", "lastName", "middleName", "position"}, name), name == "name" && path == "/contractorCompany":
			body[name] = value
		default:
			rest[name] = value
		}
	}
	if len(infos) > 0 { // is replaced as a whole (5.6)
		var all []any
		for _, ci := range now.ContactInfo {
			all = append(all, object{"contentType": "ContactInfo", "type": string(ci.Type), "value": string(ci.Value), "isMain": ci.IsMain.Bool()})
		}
		body["contactInfo"] = append(all, infos...)
	}
	custom, err := c.customFields(ctx, path+"/extraFields", rest, true)
	if err != nil {
		return err
	}
	body = merged(body, custom)
	if len(body) == 2 {
		return nil
	}
	_, err = c.do(ctx, request{op: "change client", method: http.MethodPost, path: path + "/" + pathID(string(id)), body: body}, nil)
	if err != nil && fault.KindOf(err) == fault.Invalid {
		c.cache.forget(path + "/extraFields")
	}
	return err
}

func samePhone(a, b, country string) bool {
	n, kind := phone.Parse(b, country)
	return kind == phone.Public && phone.Same(a, n, country)
}

// keyIn returns the key that stands in a description of ours.
func keyIn(description string) string {
	_, rest, ok := strings.Cut(description, "[callbridge:")
	key, _, end := strings.Cut(rest, "]")
	if !ok || !end {
		return ""
	}
	return "callbridge:" + key
}

// contactLink names the client of an action. Deliveries know the kind; if not,
// Megaplan is asked.
func (c *client) contactLink(ctx context.Context, id crm.ContactID, kind string) (object, error) {
	switch {
	case id == "":
		return nil, nil
	case kind == "person":
		return link(human, string(id)), nil
	case kind == "company":
		return link(company, string(id)), nil
	}
	r, err := c.contractor(ctx, string(id))
	if err != nil {
		return nil, err
	}
	return link(cmp.Or(string(r.ContentType), human), string(id)), nil
}

// gone turns a refusal into fault.Gone if the client it speaks of is no longer
// there: Megaplan refuses links to it with 422 like any other mistake.
func (c *client) gone(ctx context.Context, err error, id crm.ContactID) error {
	if err == nil || id == "" || fault.KindOf(err) != fault.Invalid {
		return err
	}
	if _, e := c.contractor(ctx, string(id)); e != nil && fault.KindOf(e) == fault.Gone {
		return e
	}
	return err
}

// explain says what to do about a refusal of what we may not decide.
func (c *client) explain(err error, what, where string) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Invalid {
		return err
	}
	out := *f
	out.Err = errors.Join(errors.New("Megaplan refuses "+what+"; probably the account demands a field that a call cannot fill ("+where+"): make it optional"), f.Err)
	return &out
}

func merged(a, b object) object {
	out := make(object, len(a)+len(b))
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		out[k] = v
	}
	return out
}

// pathID keeps what is no number out of the path.
func pathID(id string) string {
	if id == "" || strings.Trim(id, "0123456789") != "" {
		return "0"
	}
	return id
}
