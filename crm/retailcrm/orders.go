package retailcrm

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

// order is an order as the CRM shows it.
type order struct {
	ID        crm.Text `json:"id"`
	Number    crm.Text `json:"number"`
	OrderType crm.Text `json:"orderType"`
	Status    crm.Text `json:"status"`
	ManagerID crm.Text `json:"managerId"`
	FirstName crm.Text `json:"firstName"`
	TotalSumm crm.Text `json:"totalSumm"`
	Currency  crm.Text `json:"currency"`
}

func (c *client) deal(o order) crm.Deal {
	d := crm.Deal{ID: crm.ObjectID(o.ID), Name: string(o.Number), Pipeline: string(o.OrderType), Stage: string(o.Status),
		Responsible: crm.UserID(o.ManagerID), Sum: o.TotalSumm.Float(), Currency: string(o.Currency), URL: c.orderURL(crm.ObjectID(o.ID))}
	if o.ManagerID.Int() == 0 {
		d.Responsible = ""
	}
	return d
}

// dictionary is what the account calls things; it changes rarely.
type dictionary struct {
	read    time.Time
	groups  map[string]string // status to its group
	methods map[string]bool
}

const dictionaryAge = 10 * time.Minute

// dictionary reads statuses and order methods, at most every ten minutes.
func (c *client) dictionary(ctx context.Context) (dictionary, error) {
	c.mu.Lock()
	words := c.words
	c.mu.Unlock()
	if !words.read.IsZero() && c.env.Now().Sub(words.read) < dictionaryAge {
		return words, nil
	}
	type entry struct {
		Code   crm.Text  `json:"code"`
		Group  crm.Text  `json:"group"`
		Active *crm.Text `json:"active"`
	}
	var st struct {
		Statuses crm.Map[entry] `json:"statuses"`
	}
	if err := c.api.Do(ctx, crm.Request{Op: "read statuses", Path: "/api/v5/reference/statuses"}, &st); err != nil {
		return words, err
	}
	var me struct {
		Methods crm.Map[entry] `json:"orderMethods"`
	}
	if err := c.api.Do(ctx, crm.Request{Op: "read order methods", Path: "/api/v5/reference/order-methods"}, &me); err != nil {
		return words, err
	}
	if len(st.Statuses) == 0 {
		return words, lost("read statuses", false, "statuses") // every order would look open
	}
	words = dictionary{read: c.env.Now(), groups: map[string]string{}, methods: map[string]bool{}}
	for code, e := range st.Statuses {
		words.groups[code] = string(e.Group)
	}
	for code, e := range me.Methods {
		words.methods[code] = e.Active == nil || e.Active.Bool()
	}
	c.mu.Lock()
	c.words = words
	c.mu.Unlock()
	return words, nil
}

// OpenDeals returns the customer's orders that are neither done nor cancelled.
func (c *client) OpenDeals(ctx context.Context, contact crm.ContactID) ([]crm.Deal, error) {
	if contact == "" {
		return nil, nil
	}
	words, err := c.dictionary(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := list[order](ctx, c, "find orders", "/api/v5/orders", "orders", url.Values{"filter[customerId]": {string(contact)}})
	if err != nil {
		return nil, err
	}
	closed := strings.FieldsFunc(c.vals.Get(fieldClosed), func(r rune) bool { return r == ',' || r == ' ' })
	var out []crm.Deal
	for _, o := range rows {
		if o.ID != "" && !slices.Contains(closed, words.groups[string(o.Status)]) {
			out = append(out, c.deal(o))
		}
	}
	return out, nil
}

// CreateDeal makes an order; the key is its externalId.
func (c *client) CreateDeal(ctx context.Context, key crm.Key, d crm.NewDeal) (crm.Made, error) {
	const op = "create order"
	if key.Look {
		if m, err := c.orderByKey(ctx, key); err != nil || m.Found {
			return m, err
		}
	}
	doc := map[string]any{"externalId": key.ID}
	put := func(name, v string) {
		if v != "" {
			doc[name] = v
		}
	}
	put("firstName", d.ContactName)
	put("orderType", d.Pipeline)
	put("managerComment", strings.TrimSpace(d.Title+"\n"+d.Text))
	if d.Phone != "" {
		put("phone", c.number(d.Phone))
	}
	method, err := c.orderMethod(ctx, d)
	if err != nil {
		return crm.Made{}, err
	}
	put("orderMethod", method)
	if id := userID(d.Responsible); id != 0 {
		doc["managerId"] = id
	}
	if id, err := strconv.ParseInt(string(d.Contact), 10, 64); err == nil {
		doc["customer"] = map[string]any{"id": id}
	}
	if err := fill(doc, orderFields, d.Fields); err != nil {
		return crm.Made{}, invalid(op, "%v", err)
	}
	addSource(doc, d.Source)
	var ans struct {
		ID crm.Text `json:"id"`
	}
	err = c.post(ctx, op, "/api/v5/orders/create", "order", doc, nil, &ans)
	if err != nil && fault.KindOf(err) == fault.Invalid && !key.Look {
		// "There is one with this externalId" has no known text, so look.
		if m, e := c.orderByKey(ctx, key); e == nil && m.Found {
			return m, nil
		}
	}
	if err != nil {
		return crm.Made{}, c.confirmGone(ctx, err, d.Contact)
	}
	if ans.ID == "" {
		return crm.Made{}, lost(op, true, "id")
	}
	return crm.Made{ID: crm.ObjectID(ans.ID), URL: c.orderURL(crm.ObjectID(ans.ID))}, nil
}

// orderMethod is the method for this call if the account has it; "" lets the
// CRM take its default, also when the key may not read the list.
func (c *client) orderMethod(ctx context.Context, d crm.NewDeal) (string, error) {
	want := c.vals.Get(fieldMethod)
	if d.Record != nil && d.Record.Call.Outcome == bridge.Missed {
		want = c.vals.Get(fieldMissed)
	}
	words, err := c.dictionary(ctx)
	switch {
	case err != nil && fault.KindOf(err) == fault.Forbidden:
		return "", nil
	case err != nil:
		return "", err
	case !words.methods[want]:
		return "", nil
	}
	return want, nil
}

// orderByKey finds the order an earlier attempt made.
func (c *client) orderByKey(ctx context.Context, key crm.Key) (crm.Made, error) {
	const op = "look for order"
	var ans struct {
		Order *order `json:"order"`
	}
	err := c.get(ctx, op, "orders", "externalId", key.ID, &ans)
	switch {
	case isGone(err):
		return crm.Made{}, nil
	case err != nil:
		return crm.Made{}, err
	case ans.Order == nil || ans.Order.ID == "":
		return crm.Made{}, lost(op, false, "order")
	}
	id := crm.ObjectID(ans.Order.ID)
	return crm.Made{ID: id, URL: c.orderURL(id), Found: true}, nil
}
