package retailcrmtest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var customerShape = shape{
	"externalId": short, "isContact": boolean, "createdAt": stamped("2006-01-02 15:04:05"), "managerId": whole, "vip": boolean, "bad": boolean,
	"firstName": short, "lastName": short, "patronymic": short, "sex": one("male", "female"), "email": short,
	"phones": listOf(func(v any) string {
		o, ok := v.(object)
		if !ok {
			return notValid
		}
		if str(o["number"]) == "" || len(o) != 1 {
			return notValid
		}
		return ""
	}),
	"address": anyObject, "birthday": stamped("2006-01-02"), "source": sourceShape, "contragent": anyObject, "customFields": customValues,
	"personalDiscount": numberValue, "discountCardNumber": text, "addTags": listOf(text), "removeTags": listOf(text), "browserId": text,
}

var customerFilters = filters{
	"ids": queryInt, "externalIds": text, "name": text, "email": text, "city": text, "region": text, "notes": text, "commentary": text,
	"sites": text, "managers": queryInt, "managerGroups": text, "vip": queryBool, "bad": queryBool, "isContact": queryBool, "online": queryBool,
	"dateFrom": stamped("2006-01-02"), "dateTo": stamped("2006-01-02"), "segment": text, "sourceName": text, "mediumName": text,
	"campaignName": text, "keywordName": text, "adContentName": text, "tags": text, "customFields": text,
}

func listCustomers(r *request) reply {
	limit, page, flt, bad := r.page(customerFilters)
	if bad != nil {
		return *bad
	}
	var out []object
	for _, c := range slices.Backward(r.f.customers) { // the newest first
		keep := true
		for name, vals := range flt {
			switch name {
			case "ids":
				keep = keep && slices.Contains(vals, strconv.Itoa(c.id()))
			case "externalIds":
				keep = keep && slices.Contains(vals, str(c.data["externalId"]))
			case "name":
				keep = keep && r.f.nameFits(c.data, vals[0])
			case "email":
				keep = keep && strings.EqualFold(vals[0], str(c.data["email"]))
			case "managers":
				keep = keep && slices.Contains(vals, strconv.Itoa(toInt(c.data["managerId"])))
			case "sites":
				keep = keep && slices.Contains(vals, str(c.data["site"]))
			}
		}
		if keep {
			out = append(out, readable(c.data))
		}
	}
	list, p := paged(out, limit, page)
	return ok(object{"customers": list, "pagination": p})
}

// nameFits is filter[name]: a part of the name, or of a number's digits.
func (f *Fake) nameFits(c object, want string) bool {
	// A plus sign that was not escaped has become a blank; the real search finds nothing then.
	if strings.TrimSpace(want) == "" || strings.HasPrefix(want, " ") {
		return false
	}
	full := strings.ToLower(strings.Join([]string{str(c["lastName"]), str(c["firstName"]), str(c["patronymic"])}, " "))
	if strings.Contains(full, strings.ToLower(want)) {
		return true
	}
	d := digits(want)
	if len(d) < 4 {
		return false
	}
	list, _ := c["phones"].([]any)
	return slices.ContainsFunc(list, func(p any) bool {
		o, _ := p.(object)
		if f.opts.WholeNumbers {
			return normal(str(o["number"])) == d
		}
		return strings.Contains(digits(str(o["number"])), d)
	})
}

// readable is the object as the CRM shows it: PHP writes an empty map as a list.
func readable(o object) object {
	out := copyOf(o)
	if m, ok := out["customFields"].(object); !ok || len(m) == 0 {
		out["customFields"] = []any{}
	}
	return out
}

// one finds an object by id or externalId within its shop.
func (r *request) entity(all []*entity) (*entity, *reply) {
	by, bad := r.by()
	if bad != nil {
		return nil, bad
	}
	site := ""
	if by == "externalId" {
		if site, bad = r.site(); bad != nil {
			return nil, bad
		}
	}
	want := r.arg["externalId"]
	for _, e := range all {
		if by == "id" && strconv.Itoa(e.id()) == want || by == "externalId" && str(e.data["externalId"]) == want && str(e.data["site"]) == site {
			return e, nil
		}
	}
	rep := fail(http.StatusNotFound, "Not found", nil)
	return nil, &rep
}

func getCustomer(r *request) reply {
	e, bad := r.entity(r.f.customers)
	if bad != nil {
		return *bad
	}
	return ok(object{"customer": readable(e.data)})
}

func (f *Fake) customerErrors(doc object) map[string]string {
	errs := customerShape.errors(doc)
	if id, has := doc["managerId"]; has && f.userByID(toInt(id)) == nil {
		errs["managerId"] = "The user does not exist."
	}
	return errs
}

func taken(all []*entity, site, externalID string) bool {
	return externalID != "" && slices.ContainsFunc(all, func(e *entity) bool {
		return str(e.data["site"]) == site && str(e.data["externalId"]) == externalID
	})
}

func createCustomer(r *request) reply {
	doc, bad := r.document("customer")
	if bad != nil {
		return *bad
	}
	site, bad := r.site()
	if bad != nil {
		return *bad
	}
	if errs := r.f.customerErrors(doc); len(errs) > 0 {
		return fail(http.StatusBadRequest, entityFormat, oneOrMany(errs))
	}
	if taken(r.f.customers, site, str(doc["externalId"])) {
		return fail(http.StatusBadRequest, "Customer already exists.", nil)
	}
	r.f.nextID++
	doc["type"], doc["id"], doc["site"] = "customer", r.f.nextID, site
	if doc["createdAt"] == nil {
		doc["createdAt"] = r.f.stamp()
	}
	r.f.customers = append(r.f.customers, &entity{doc, r.f.opts.Now(), false})
	r.changed("customers", "customer", doc, "id", nil, r.f.nextID, true)
	return created(object{"id": r.f.nextID})
}

func editCustomer(r *request) reply {
	doc, bad := r.document("customer")
	if bad != nil {
		return *bad
	}
	if _, bad = r.site(); bad != nil {
		return *bad
	}
	e, bad := r.entity(r.f.customers)
	if bad != nil {
		return *bad
	}
	if errs := r.f.customerErrors(doc); len(errs) > 0 {
		return fail(http.StatusBadRequest, entityFormat, oneOrMany(errs))
	}
	r.merge("customers", "customer", e, doc)
	return ok(object{"id": e.id()})
}

// merge changes only the given fields and writes the history.
func (r *request) merge(kind, single string, e *entity, doc object) {
	for _, k := range slices.Sorted(maps.Keys(doc)) {
		v := doc[k]
		if custom, isMap := v.(object); isMap && k == "customFields" {
			old, _ := e.data[k].(object)
			if old == nil {
				old = object{}
			}
			for name, cv := range custom {
				r.changed(kind, single, e.data, "custom_"+name, old[name], cv, false)
				old[name] = cv
			}
			e.data[k] = old
			continue
		}
		r.changed(kind, single, e.data, snake(k), e.data[k], v, false)
		e.data[k] = v
	}
}

func createNote(r *request) reply {
	doc, bad := r.document("note")
	if bad != nil {
		return *bad
	}
	errs := shape{"text": filled, "managerId": whole, "customer": objectOf(shape{"id": whole, "externalId": text, "site": text})}.errors(doc)
	ref, _ := doc["customer"].(object)
	if _, has := doc["text"]; !has {
		errs["text"] = "This value should not be blank."
	}
	if r.f.reference(ref, r.form.Get("site")) == nil {
		errs["customer"] = "Set one of the following fields: id, externalId"
	}
	if len(errs) > 0 {
		return fail(http.StatusBadRequest, entityFormat, oneOrMany(errs))
	}
	r.f.nextID++
	doc["id"], doc["createdAt"] = r.f.nextID, r.f.stamp()
	r.f.notes = append(r.f.notes, &entity{doc, r.f.opts.Now(), false})
	return created(object{"id": r.f.nextID})
}

// listNotes shows the newest first; which filters the real server knows is
// taken from its client libraries.
func listNotes(r *request) reply {
	limit, page, flt, bad := r.page(filters{"ids": queryInt, "managerIds": queryInt, "customerIds": queryInt, "customerExternalIds": text,
		"createdAtFrom": stamped("2006-01-02"), "createdAtTo": stamped("2006-01-02"), "text": text})
	if bad != nil {
		return *bad
	}
	var out []object
	for _, n := range slices.Backward(r.f.notes) {
		ref, _ := n.data["customer"].(object)
		owner := r.f.reference(ref, "")
		keep := true
		for name, vals := range flt {
			switch name {
			case "customerIds":
				keep = keep && owner != nil && slices.Contains(vals, strconv.Itoa(owner.id()))
			case "ids":
				keep = keep && slices.Contains(vals, strconv.Itoa(n.id()))
			case "text":
				keep = keep && strings.Contains(str(n.data["text"]), vals[0])
			case "createdAtFrom":
				keep = keep && str(n.data["createdAt"])[:10] >= vals[0]
			case "createdAtTo":
				keep = keep && str(n.data["createdAt"])[:10] <= vals[0]
			}
		}
		if keep {
			out = append(out, copyOf(n.data))
		}
	}
	list, p := paged(out, limit, page)
	return ok(object{"notes": list, "pagination": p})
}

// reference finds the customer a document points to.
func (f *Fake) reference(ref object, site string) *entity {
	if s := str(ref["site"]); s != "" {
		site = s
	}
	if site == "" {
		site = f.opts.Sites[0]
	}
	for _, c := range f.customers {
		if id, has := ref["id"]; has {
			if c.id() == toInt(id) {
				return c
			}
			continue
		}
		if ext := str(ref["externalId"]); ext != "" && str(c.data["externalId"]) == ext && str(c.data["site"]) == site {
			return c
		}
	}
	return nil
}
