package retailcrm

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/phone"
	"callbridge/crm"
)

func invalid(op, format string, args ...any) error {
	return fault.New(fault.Invalid, "retailcrm: "+op, format, args...)
}

// customer is a client as the CRM shows it; any field may be missing (D-09).
type customer struct {
	ID         crm.Text   `json:"id"`
	FirstName  crm.Text   `json:"firstName"`
	LastName   crm.Text   `json:"lastName"`
	Patronymic crm.Text   `json:"patronymic"`
	ManagerID  crm.Text   `json:"managerId"`
	CreatedAt  crm.Text   `json:"createdAt"`
	Phones     []phoneRow `json:"phones"`
}

type phoneRow struct {
	Number crm.Text `json:"number"`
}

func (c *client) contact(cu customer) crm.Contact {
	out := crm.Contact{ID: crm.ContactID(cu.ID), Kind: "person", Name: joinName(cu.FirstName, cu.Patronymic, cu.LastName),
		Responsible: crm.UserID(cu.ManagerID), URL: c.customerURL(crm.ContactID(cu.ID)), CreatedAt: c.when(cu.CreatedAt)}
	if cu.ManagerID.Int() == 0 {
		out.Responsible = ""
	}
	for _, p := range cu.Phones {
		if n, k := phone.Parse(string(p.Number), c.env.Country); k == phone.Public && !slices.Contains(out.Phones, n) {
			out.Phones = append(out.Phones, n)
		}
	}
	return out
}

func joinName(parts ...crm.Text) string {
	var out []string
	for _, p := range parts {
		if s := strings.TrimSpace(string(p)); s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

// FindContacts searches by name, which is how the CRM searches numbers, and
// compares every hit, because parts of numbers match too.
func (c *client) FindContacts(ctx context.Context, n bridge.Number) ([]crm.Contact, error) {
	if n == "" {
		return nil, nil // empty numbers find nothing (D-08)
	}
	for _, text := range c.searchTexts(n) {
		q := url.Values{"filter[name]": {text}}
		rows, err := list[customer](ctx, c, "find customers", "/api/v5/customers", "customers", q)
		if err != nil {
			return nil, err
		}
		var out []crm.Contact
		for _, cu := range rows {
			if cu.ID != "" && slices.ContainsFunc(cu.Phones, func(p phoneRow) bool {
				return phone.Same(string(p.Number), n, c.env.Country)
			}) {
				out = append(out, c.contact(cu))
			}
		}
		if len(out) > 0 {
			slices.SortStableFunc(out, func(a, b crm.Contact) int {
				return cmp.Or(a.CreatedAt.Compare(b.CreatedAt.Time), cmp.Compare(crm.Text(a.ID).Int(), crm.Text(b.ID).Int()))
			})
			return out, nil
		}
	}
	return nil, nil
}

// searchTexts are the forms of n to search by, in turn, until one finds it.
// The number without its country is a part of every spelling; a server that
// compares whole numbers finds it by all digits.
func (c *client) searchTexts(n bridge.Number) []string {
	full := n.Digits()
	national := full
	if d, ok := strings.CutPrefix(full, "7"); ok && len(full) == 11 {
		national = d
	}
	switch c.vals.Get(fieldSearch) {
	case "national":
		return []string{national}
	case "digits":
		return []string{full}
	case "plus":
		return []string{string(n)}
	}
	if national == full {
		return []string{full}
	}
	return []string{national, full}
}

// CreateContact keeps the key as the customer's externalId.
func (c *client) CreateContact(ctx context.Context, key crm.Key, nc crm.NewContact) (crm.Contact, error) {
	const op = "create customer"
	if key.Look {
		if found, err := c.byKey(ctx, key); err != nil || found != nil {
			return deref(found), err
		}
	}
	doc := map[string]any{"externalId": key.ID, "firstName": nc.Name}
	if strings.TrimSpace(nc.Name) == "" {
		doc["firstName"] = phone.Format(nc.Phone, "ru")
	}
	if nc.Phone != "" {
		doc["phones"] = []map[string]string{{"number": c.number(nc.Phone)}}
	}
	if id := userID(nc.Responsible); id != 0 {
		doc["managerId"] = id
	}
	if err := fill(doc, customerFields, nc.Fields); err != nil {
		return crm.Contact{}, invalid(op, "%v", err)
	}
	addSource(doc, nc.Source)
	var ans struct {
		ID crm.Text `json:"id"`
	}
	err := c.post(ctx, op, "/api/v5/customers/create", "customer", doc, nil, &ans)
	if fault.KindOf(err) == fault.Invalid && err != nil && !key.Look {
		// "There is one with this externalId" has no known text, so look.
		if found, e := c.byKey(ctx, key); e == nil && found != nil {
			return *found, nil
		}
	}
	if err != nil {
		return crm.Contact{}, err
	}
	if ans.ID == "" {
		return crm.Contact{}, lost(op, true, "id")
	}
	c.addNote(ctx, string(ans.ID), nc)
	out := crm.Contact{ID: crm.ContactID(ans.ID), Kind: "person", Name: doc["firstName"].(string), Responsible: nc.Responsible,
		URL: c.customerURL(crm.ContactID(ans.ID)), CreatedAt: bridge.At(c.env.Now())}
	if nc.Phone != "" {
		out.Phones = []bridge.Number{nc.Phone}
	}
	return out, nil
}

func deref(c *crm.Contact) crm.Contact {
	if c == nil {
		return crm.Contact{}
	}
	return *c
}

// byKey finds the customer an earlier attempt made; nil if there is none.
func (c *client) byKey(ctx context.Context, key crm.Key) (*crm.Contact, error) {
	const op = "look for customer"
	var ans struct {
		Customer *customer `json:"customer"`
	}
	err := c.get(ctx, op, "customers", "externalId", key.ID, &ans)
	switch {
	case err != nil && fault.KindOf(err) == fault.Gone:
		return nil, nil
	case err != nil:
		return nil, err
	case ans.Customer == nil || ans.Customer.ID == "":
		return nil, lost(op, false, "customer")
	}
	out := c.contact(*ans.Customer)
	return &out, nil
}

// addNote writes the note of a new customer. The customer is there already,
// so a failure is only logged: repeating the action would not bring the note.
func (c *client) addNote(ctx context.Context, id string, nc crm.NewContact) {
	if nc.Note == "" {
		return
	}
	if _, err := c.postNote(ctx, crm.NewNote{Text: nc.Note, Author: nc.Responsible, Contact: crm.ContactID(id)}); err != nil && c.env.Log != nil {
		c.env.Log.WarnContext(ctx, "the note of a new customer was not written", "integration", c.env.Integration, "err", err)
	}
}

// UpdateContact writes fields of a customer: names of its own fields,
// utm_* for the source, anything else is a custom field's code.
func (c *client) UpdateContact(ctx context.Context, id crm.ContactID, fields map[string]string) error {
	const op = "edit customer"
	doc := map[string]any{}
	if err := fill(doc, customerFields, fields); err != nil {
		return invalid(op, "%v", err)
	}
	if len(doc) == 0 {
		return nil
	}
	extra := url.Values{"by": {"id"}}
	return c.post(ctx, op, "/api/v5/customers/"+url.PathEscape(string(id))+"/edit", "customer", doc, extra, nil)
}

// confirmGone turns a refusal of something that belongs to a customer into
// Gone when that customer no longer exists: the refusal's text is not known.
func (c *client) confirmGone(ctx context.Context, err error, contact crm.ContactID) error {
	if err == nil || contact == "" || fault.KindOf(err) != fault.Invalid {
		return err
	}
	e := c.get(ctx, "look for customer", "customers", "id", string(contact), nil)
	if e != nil && fault.KindOf(e) == fault.Gone {
		return e
	}
	return err
}
