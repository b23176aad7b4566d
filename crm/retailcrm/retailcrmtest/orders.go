package retailcrmtest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var orderShape = shape{
	"externalId": short, "number": short, "orderType": one(typeCodes...), "orderMethod": one(methodCodes...), "status": text,
	"statusComment": text, "managerId": whole, "firstName": short, "lastName": short, "patronymic": short, "phone": short,
	"additionalPhone": short, "email": short, "call": boolean, "customerComment": text, "managerComment": text,
	"customer": objectOf(shape{"id": whole, "externalId": text, "site": text, "type": text}), "source": sourceShape,
	"items": listOf(anyObject), "customFields": customValues, "clientId": text, "createdAt": stamped("2006-01-02 15:04:05"),
}

var orderFilters = filters{
	"ids": queryInt, "externalIds": text, "numbers": text, "customer": text, "customerId": queryInt, "customerExternalId": text,
	"managers": queryInt, "orderTypes": text, "orderMethods": text, "extendedStatus": text, "sites": text,
	"createdAtFrom": stamped("2006-01-02"), "createdAtTo": stamped("2006-01-02"), "sourceName": text, "customFields": text,
}

func listOrders(r *request) reply {
	limit, page, flt, bad := r.page(orderFilters)
	if bad != nil {
		return *bad
	}
	var out []object
	for _, o := range slices.Backward(r.f.orders) {
		cust, _ := o.data["customer"].(object)
		keep := true
		for name, vals := range flt {
			switch name {
			case "ids":
				keep = keep && slices.Contains(vals, strconv.Itoa(o.id()))
			case "externalIds":
				keep = keep && slices.Contains(vals, str(o.data["externalId"]))
			case "customerId":
				keep = keep && vals[0] == strconv.Itoa(toInt(cust["id"]))
			case "customer":
				keep = keep && r.f.nameFits(cust, vals[0])
			case "extendedStatus":
				keep = keep && slices.Contains(vals, str(o.data["status"]))
			case "orderTypes":
				keep = keep && slices.Contains(vals, str(o.data["orderType"]))
			}
		}
		if keep {
			out = append(out, readable(o.data))
		}
	}
	list, p := paged(out, limit, page)
	return ok(object{"orders": list, "pagination": p})
}

func getOrder(r *request) reply {
	e, bad := r.entity(r.f.orders)
	if bad != nil {
		return *bad
	}
	return ok(object{"order": readable(e.data)})
}

func (r *request) orderErrors(doc object) (map[string]string, *entity) {
	errs := orderShape.errors(doc)
	if id, has := doc["managerId"]; has && r.f.userByID(toInt(id)) == nil {
		errs["managerId"] = "The user does not exist."
	}
	if s, has := doc["status"]; has && !hasStatus(str(s)) {
		errs["status"] = "The value you selected is not a valid choice."
	}
	var cust *entity
	if ref, has := doc["customer"].(object); has {
		if cust = r.f.reference(ref, r.form.Get("site")); cust == nil {
			errs["customer"] = "The customer does not exist."
		}
	}
	return errs, cust
}

func createOrder(r *request) reply {
	doc, bad := r.document("order")
	if bad != nil {
		return *bad
	}
	site, bad := r.site()
	if bad != nil {
		return *bad
	}
	errs, cust := r.orderErrors(doc)
	if len(errs) > 0 {
		return fail(http.StatusBadRequest, entityFormat, oneOrMany(errs))
	}
	if taken(r.f.orders, site, str(doc["externalId"])) {
		return fail(http.StatusBadRequest, "Order already exists.", nil)
	}
	r.f.nextID++
	defaults := object{"orderType": typeCodes[0], "orderMethod": methodCodes[0], "status": "new", "createdAt": r.f.stamp(), "items": []any{}}
	for k, v := range defaults {
		if _, has := doc[k]; !has {
			doc[k] = v
		}
	}
	doc["id"], doc["slug"], doc["site"], doc["statusUpdatedAt"], doc["fromApi"] = r.f.nextID, r.f.nextID, site, doc["createdAt"], true
	if str(doc["number"]) == "" {
		doc["number"] = strconv.Itoa(r.f.nextID) + "A"
	}
	doc["summ"] = total(doc["items"])
	doc["totalSumm"], doc["payments"] = doc["summ"], []any{}
	if cust != nil {
		full := copyOf(cust.data)
		full["type"] = "customer"
		doc["customer"] = full
	}
	r.f.orders = append(r.f.orders, &entity{doc, r.f.opts.Now(), false})
	r.changed("orders", "order", doc, "status", nil, object{"code": doc["status"]}, true)
	return created(object{"id": r.f.nextID, "order": readable(doc)})
}

func total(items any) float64 {
	list, _ := items.([]any)
	sum := 0.0
	for _, i := range list {
		o, _ := i.(object)
		price, _ := o["initialPrice"].(float64)
		qty, _ := o["quantity"].(float64)
		sum += price * qty
	}
	return sum
}

func editOrder(r *request) reply {
	doc, bad := r.document("order")
	if bad != nil {
		return *bad
	}
	if _, bad = r.site(); bad != nil {
		return *bad
	}
	e, bad := r.entity(r.f.orders)
	if bad != nil {
		return *bad
	}
	errs, cust := r.orderErrors(doc)
	if len(errs) > 0 {
		return fail(http.StatusBadRequest, entityFormat, oneOrMany(errs))
	}
	if cust != nil {
		doc["customer"] = copyOf(cust.data)
	}
	if s, has := doc["status"]; has && s != e.data["status"] {
		e.data["statusUpdatedAt"] = r.f.stamp()
		r.changed("orders", "order", e.data, "status", object{"code": e.data["status"]}, object{"code": s}, false)
		e.data["status"] = s
	}
	delete(doc, "status")
	r.merge("orders", "order", e, doc)
	e.data["summ"] = total(e.data["items"])
	e.data["totalSumm"] = e.data["summ"]
	return ok(object{"id": e.id(), "order": readable(e.data)})
}

// changed appends a record of the history: the whole object when it was made,
// a short one afterwards.
func (r *request) changed(kind, single string, o object, field string, from, to any, made bool) {
	f := r.f
	f.nextChange++
	rec := object{"id": f.nextChange, "createdAt": f.stamp(), "source": "api", "field": field, "oldValue": from, "newValue": to, "key": r.key}
	if made {
		rec["created"] = true
		rec[single] = copyOf(o)
	} else {
		small := object{}
		for _, k := range []string{"id", "externalId", "managerId", "site", "status"} {
			if v, has := o[k]; has {
				small[k] = v
			}
		}
		rec[single] = small
	}
	f.history[kind] = append(f.history[kind], rec)
}

func history(kind string) func(*request) reply {
	known := filters{"sinceId": queryInt, "startDate": stamped("2006-01-02 15:04:05"), "endDate": stamped("2006-01-02 15:04:05"),
		"orderId": queryInt, "orderExternalId": text, "customerId": queryInt, "customerExternalId": text, "taskId": queryInt}
	return func(r *request) reply {
		if r.q.Get("limit") == "" {
			r.q.Set("limit", "100")
		}
		limit, page, flt, bad := r.page(known)
		if bad != nil {
			return *bad
		}
		if len(flt["sinceId"]) > 0 && r.q.Has("page") {
			return fail(http.StatusBadRequest, inputParams, object{"children[page]": "sinceId and page exclude each other."})
		}
		var out []object
		for _, rec := range r.f.history[kind] {
			if s := flt["sinceId"]; len(s) > 0 && toInt(rec["id"]) <= toInt(s[0]) {
				continue
			}
			if s := flt["startDate"]; len(s) > 0 && str(rec["createdAt"]) < s[0] {
				continue
			}
			if s := flt["endDate"]; len(s) > 0 && str(rec["createdAt"]) > s[0] {
				continue
			}
			shown := copyOf(rec)
			shown["apiKey"] = object{"current": rec["key"] == r.key}
			delete(shown, "key")
			out = append(out, shown)
		}
		list, p := paged(out, limit, page)
		return ok(object{"generatedAt": r.f.stamp(), "history": list, "pagination": p})
	}
}

var taskShape = shape{
	"text": text, "commentary": text, "datetime": stamped("2006-01-02 15:04"), "performerId": whole, "complete": boolean, "phone": text,
	"phoneSite": text, "customer": objectOf(shape{"id": whole, "externalId": text, "site": text}),
	"order": objectOf(shape{"id": whole, "externalId": text, "number": text, "site": text}),
}

func createTask(r *request) reply {
	doc, bad := r.document("task")
	if bad != nil {
		return *bad
	}
	errs := taskShape.errors(doc)
	for _, k := range []string{"text", "performerId"} {
		if v, has := doc[k]; !has || v == "" {
			errs[k] = "This value should not be blank."
		}
	}
	if id, has := doc["performerId"]; has && r.f.userByID(toInt(id)) == nil {
		errs["performerId"] = "The user does not exist."
	}
	site := r.form.Get("site")
	if site != "" && !r.f.hasSite(site) || site == "" && len(r.f.opts.Sites) > 1 {
		return fail(http.StatusBadRequest, "Parameter 'site' is missing", nil)
	}
	var cust *entity
	if ref, has := doc["customer"].(object); has {
		if cust = r.f.reference(ref, site); cust == nil {
			errs["customer"] = "Set one of the following fields: id, externalId"
		}
	}
	if len(errs) > 0 {
		var list []string
		for _, k := range slices.Sorted(maps.Keys(errs)) {
			list = append(list, k+": "+errs[k])
		}
		return fail(http.StatusBadRequest, "Task is not loaded", list)
	}
	r.f.nextID++
	doc["id"], doc["createdAt"], doc["creator"], doc["performerType"] = r.f.nextID, r.f.stamp(), 1, "user"
	doc["performer"] = doc["performerId"]
	delete(doc, "performerId")
	if cust != nil {
		doc["customer"] = object{"type": "customer", "id": cust.id(), "site": cust.data["site"]}
	}
	r.f.tasks = append(r.f.tasks, &entity{doc, r.f.opts.Now(), false})
	r.changed("tasks", "task", doc, "id", nil, r.f.nextID, true)
	return created(object{"id": r.f.nextID})
}

func listTasks(r *request) reply {
	limit, page, flt, bad := r.page(filters{"ids": queryInt, "orderNumber": text, "customer": text, "performers": queryInt, "creators": queryInt,
		"status": one("performing", "completed"), "text": text, "dateFrom": stamped("2006-01-02"), "dateTo": stamped("2006-01-02"),
		"createdAtFrom": stamped("2006-01-02"), "createdAtTo": stamped("2006-01-02"),
		"completedAtFrom": stamped("2006-01-02"), "completedAtTo": stamped("2006-01-02")})
	if bad != nil {
		return *bad
	}
	var out []object
	for _, t := range slices.Backward(r.f.tasks) {
		keep := true
		for name, vals := range flt {
			switch name {
			case "performers":
				keep = keep && slices.Contains(vals, fmt.Sprint(toInt(t.data["performer"])))
			case "text":
				keep = keep && strings.Contains(str(t.data["text"]), vals[0])
			case "createdAtFrom":
				keep = keep && str(t.data["createdAt"])[:10] >= vals[0]
			case "createdAtTo":
				keep = keep && str(t.data["createdAt"])[:10] <= vals[0]
			case "ids":
				keep = keep && slices.Contains(vals, strconv.Itoa(t.id()))
			}
		}
		if keep {
			out = append(out, copyOf(t.data))
		}
	}
	list, p := paged(out, limit, page)
	return ok(object{"tasks": list, "pagination": p})
}

func getTask(r *request) reply {
	for _, t := range r.f.tasks {
		if strconv.Itoa(t.id()) == r.arg["id"] {
			return ok(object{"task": copyOf(t.data)})
		}
	}
	return fail(http.StatusNotFound, "Not found", nil)
}

// snake writes managerComment as manager_comment.
func snake(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return strings.TrimSuffix(b.String(), "_id")
}
