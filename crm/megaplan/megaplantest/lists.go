package megaplantest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"
)

// call is one request on its way through the fake.
type call struct {
	s     *Server
	rt    *route
	args  []string // what stood for {…} in the route
	query object
	body  any
}

// result is what a route answers: one entity, a list of them, or raw data.
type result struct {
	one  *entity
	many []*entity
	list bool // many counts, with the parameters of lists
	raw  any
}

// route is one path with one method.
type route struct {
	method, path string
	query        []string // keys of the query beside those of lists
	list         string   // content type of a list with the usual parameters: "" none, "*" mixed clients
	serve        func(*call) (result, *failure)
}

var listKeys = []string{"limit", "pageAfter", "pageBefore", "pageWith", "fields", "onlyRequestedFields", "sortBy"}

// find chooses the route; a known path with another method is 405.
func find(method, path string) (*route, []string, *failure) {
	known := false
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i := range routes {
		args, ok := match(strings.Split(routes[i].path[1:], "/"), parts)
		if !ok {
			continue
		}
		if routes[i].method == method {
			return &routes[i], args, nil
		}
		known = true
	}
	if known {
		return nil, nil, &failure{http.StatusMethodNotAllowed, "", "Method Not Allowed"}
	}
	return nil, nil, &failure{http.StatusNotFound, "", "No route found"}
}

func match(pattern, parts []string) ([]string, bool) {
	if len(pattern) != len(parts) {
		return nil, false
	}
	var args []string
	for i, p := range pattern {
		switch {
		case p == "{id}":
			if strings.Trim(parts[i], "0123456789") != "" {
				return nil, false
			}
			args = append(args, parts[i])
		case p == "{key}":
			args = append(args, parts[i])
		case p != parts[i]:
			return nil, false
		}
	}
	return args, true
}

// checkQuery refuses unknown keys and wrong types.
func (c *call) checkQuery(rt *route) *failure {
	allowed := slices.Clone(rt.query)
	if rt.list != "" {
		allowed = append(allowed, listKeys...)
	} else {
		allowed = append(allowed, "fields", "onlyRequestedFields")
	}
	for _, k := range slices.Sorted(maps.Keys(c.query)) {
		if !slices.Contains(allowed, k) {
			return invalid("", extraField(k, strings.Trim(rt.path, "/")+"Request"))
		}
	}
	return nil
}

// asked returns the names in `fields`, nil if there are none.
func (c *call) asked() ([]string, *failure) {
	raw, ok := c.query["fields"]
	if !ok {
		return nil, nil
	}
	items, ok := raw.([]any)
	if !ok {
		return nil, invalid("fields", fmt.Sprintf("'%s' is not assignable to 'string[]'", typeName(raw)))
	}
	out := []string{}
	for _, it := range items {
		if _, ok := it.(string); !ok {
			return nil, invalid("fields", fmt.Sprintf("'%s' is not assignable to 'string'", typeName(it)))
		}
		out = append(out, it.(string))
	}
	return out, nil
}

// knownField says whether any of the types has that field, its own or custom.
func (s *Server) knownField(types []string, name string) bool {
	for _, ct := range types {
		if _, ok := schemas[ct][name]; ok || name == "id" || name == "contentType" {
			return true
		}
		for owner, fs := range s.fields {
			mine := owner == ct || ct == "Deal" && strings.HasPrefix(owner, "Program/")
			if mine && slices.ContainsFunc(fs, func(f Field) bool { return f.Name == name }) {
				return true
			}
		}
	}
	return false
}

// types are the content types an answer may hold, also when it is empty.
func (c *call) types(res result) []string {
	var types []string
	switch {
	case c.rt != nil && c.rt.list == "*":
		types = slices.Clone(clientTypes)
	case c.rt != nil && c.rt.list != "":
		types = []string{c.rt.list}
	}
	for _, e := range res.many {
		types = append(types, e.ct)
	}
	if res.one != nil {
		types = append(types, res.one.ct)
	}
	return types
}

func (c *call) render(res result, included bool) ([]byte, *failure) {
	r := &renderer{s: c.s, included: included, met: map[string]bool{}}
	meta := object{"status": http.StatusOK, "errors": []any{}, "pagination": []any{}}
	var data any
	fields, f := c.asked()
	if f != nil {
		return nil, f
	}
	alone, _ := c.query["onlyRequestedFields"].(bool)
	types := c.types(res)
	for _, name := range fields {
		if !c.s.knownField(types, name) {
			return nil, invalid("fields", fmt.Sprintf("%s have not this fields", types[0]))
		}
	}
	switch {
	case res.list:
		page, pagination, f := c.page(res.many, types)
		if f != nil {
			return nil, f
		}
		meta["pagination"] = pagination
		out := []any{}
		for _, e := range page {
			only := map[string]bool{}
			for name, p := range schemas[e.ct] {
				only[name] = p.short && !alone
			}
			for _, name := range fields {
				only[name] = true
			}
			out = append(out, r.entity(e, only, 0))
		}
		data = out
	case res.one != nil:
		var only map[string]bool
		if alone && fields != nil {
			only = map[string]bool{}
			for _, name := range fields {
				only[name] = true
			}
		}
		data = r.entity(res.one, only, 0)
	default:
		data = r.value(res.raw, 0)
	}
	env := object{"meta": meta, "data": data}
	if included {
		env["included"] = append([]any{}, r.extra...)
	}
	b, err := json.Marshal(env)
	if err != nil {
		return nil, &failure{http.StatusInternalServerError, "", err.Error()}
	}
	return b, nil
}

// page sorts and cuts a list.
func (c *call) page(all []*entity, types []string) ([]*entity, object, *failure) {
	all = slices.Clone(all)
	if f := c.sort(all, types); f != nil {
		return nil, nil, f
	}
	limit := 100
	if raw, ok := c.query["limit"]; ok {
		n, isNum := raw.(json.Number)
		i, err := n.Int64()
		if !isNum || err != nil || i < 1 {
			return nil, nil, invalid("limit", "limit is not a positive integer")
		}
		limit = int(i)
	}
	from := 0
	for _, key := range []string{"pageAfter", "pageBefore", "pageWith"} {
		raw, ok := c.query[key]
		if !ok {
			continue
		}
		i, f := c.position(key, raw, all)
		if f != nil {
			return nil, nil, f
		}
		switch key {
		case "pageAfter":
			if from = i + 1; c.s.quirks.PageAfterIncluded {
				from = i
			}
		case "pageBefore":
			from = max(0, i-limit)
			limit = min(limit, i)
		default:
			from = i - i%limit
		}
	}
	to := min(from+limit, len(all))
	page := object{"count": len(all), "limit": limit, "currentPage": 1, "hasMoreNext": to < len(all), "hasMorePrev": from > 0}
	if limit > 0 {
		page["currentPage"] = from/limit + 1
	}
	return all[from:to], page, nil
}

func (c *call) position(key string, raw any, all []*entity) (int, *failure) {
	o, _ := raw.(object)
	ct, id := str(o["contentType"]), idOf(o["id"])
	if schemas[ct] == nil {
		return 0, invalid(key, fmt.Sprintf("'%s' is not a content type", ct))
	}
	i := slices.IndexFunc(all, func(e *entity) bool { return e.ct == ct && e.id == id })
	if i < 0 {
		return 0, invalid(key, fmt.Sprintf("%s with id %q is not found", ct, id))
	}
	return i, nil
}

func (c *call) sort(all []*entity, types []string) *failure {
	raw, ok := c.query["sortBy"]
	if !ok {
		return nil
	}
	items, ok := raw.([]any)
	if !ok {
		return invalid("sortBy", "'array' is not assignable to 'SortField[]'")
	}
	for _, it := range slices.Backward(items) {
		o, _ := it.(object)
		name := str(o["fieldName"])
		desc, isBool := o["desc"].(bool)
		if o["contentType"] != "SortField" || name == "" || !isBool {
			return invalid("sortBy", "'array' is not assignable to 'SortField[]'")
		}
		if !slices.ContainsFunc(types, func(ct string) bool { return schemas[ct][name].sortable }) {
			return invalid("sortBy", fmt.Sprintf("field %q is not sortable", name))
		}
		slices.SortStableFunc(all, func(a, b *entity) int {
			d := strings.Compare(c.s.sortKey(a, name), c.s.sortKey(b, name))
			if d == 0 {
				d = cmp.Or(cmp.Compare(len(a.id), len(b.id)), strings.Compare(a.id, b.id))
			}
			if desc {
				return -d
			}
			return d
		})
	}
	return nil
}

func (s *Server) sortKey(e *entity, name string) string {
	switch v := s.full(e)[name].(type) {
	case string:
		return v
	case object:
		return str(v["value"])
	}
	return ""
}

// filtered applies an ad-hoc filter of the given type. Terms on fields that do
// not exist are ignored, as the real server does.
func (c *call) filtered(all []*entity, filterType string) ([]*entity, *failure) {
	raw, ok := c.query["filter"]
	if !ok {
		return all, nil
	}
	o, _ := raw.(object)
	if o["contentType"] != filterType {
		return nil, invalid("filter", fmt.Sprintf("'%s' is not assignable to '%s'", str(o["contentType"]), filterType))
	}
	for _, k := range slices.Sorted(maps.Keys(o)) {
		if !slices.Contains([]string{"contentType", "id", "config", "program"}, k) || k == "program" && filterType != "TradeFilter" {
			return nil, invalid("filter", extraField(k, filterType))
		}
	}
	if p, ok := o["program"].(object); ok && p["id"] != "all" {
		id := idOf(p["id"])
		all = keep(all, func(e *entity) bool { pr, _ := e.data["program"].(object); return str(pr["id"]) == id })
	}
	if o["config"] == nil {
		return all, nil
	}
	cfg, _ := o["config"].(object)
	group, _ := cfg["termGroup"].(object)
	terms, isList := group["terms"].([]any)
	join := str(group["join"])
	if cfg["contentType"] != "FilterConfig" || group["contentType"] != "FilterTermGroup" || !isList || join != "and" && join != "or" {
		return nil, invalid("filter", "'stdClass' is not assignable to 'FilterConfig'")
	}
	var tests []func(*entity) bool
	for _, t := range terms {
		test, f := c.s.term(t)
		if f != nil {
			return nil, f
		}
		if test != nil {
			tests = append(tests, test)
		}
	}
	if len(tests) == 0 {
		return all, nil
	}
	return keep(all, func(e *entity) bool {
		for _, test := range tests {
			if test(e) != (join == "and") {
				return join == "or"
			}
		}
		return join == "and"
	}), nil
}

// term compiles one term; nil means that it is ignored.
func (s *Server) term(raw any) (func(*entity) bool, *failure) {
	t, _ := raw.(object)
	field, comparison := str(t["field"]), str(t["comparison"])
	ct := str(t["contentType"])
	allowed := map[string][]string{
		"FilterTermString": {"equals", "not_equals", "contains", "not_contains", "starts_with"},
		"FilterTermRef":    {"equals", "not_equals"}, "FilterTermEnum": {"equals", "not_equals"}, "FilterTermBool": {"equals"},
		"FilterTermDate":   {"equals", "not_equals"},
		"FilterTermNumber": {"equals", "not_equals", "less", "less_eq", "more", "more_eq", "interval", "one_of", "contains", "not_contains"},
	}[ct]
	if !slices.Contains(allowed, comparison) {
		return nil, invalid("filter", fmt.Sprintf("'%s' with comparison '%s' is not assignable to 'FilterTerm'", ct, comparison))
	}
	has := func(e *entity) (any, bool) { v, ok := s.full(e)[field]; return v, ok }
	var test func(any) bool
	switch ct {
	case "FilterTermString":
		want, ok := t["value"].(string)
		if !ok {
			return nil, invalid("filter", "value is not a string")
		}
		test = func(v any) bool {
			switch strings.TrimPrefix(comparison, "not_") {
			case "contains":
				return strings.Contains(strings.ToLower(str(v)), strings.ToLower(want))
			case "starts_with":
				return strings.HasPrefix(str(v), want)
			}
			return str(v) == want
		}
	case "FilterTermBool":
		want, ok := t["value"].(bool)
		if !ok {
			return nil, invalid("filter", "value is not a boolean")
		}
		test = func(v any) bool { return v == want }
	case "FilterTermNumber":
		within, f := numbers(comparison, t["value"])
		if f != nil {
			return nil, f
		}
		test = func(v any) bool { x, ok := asNumber(v); return ok && within(x) }
	case "FilterTermDate":
		if o, _ := t["value"].(object); o["contentType"] == "FilterTermDateValue" {
			if f := dateValue(o); f != nil {
				return nil, f
			}
			return nil, nil // its reckoning from today is not imitated
		}
		from, to, f := span(t["value"])
		if f != nil {
			return nil, f
		}
		test = func(v any) bool {
			o, _ := v.(object)
			at, err := time.Parse(time.RFC3339, str(o["value"]))
			return err == nil && !at.Before(from) && at.Before(to)
		}
	default: // FilterTermRef, FilterTermEnum
		items, ok := t["value"].([]any)
		if !ok {
			return nil, invalid("filter", "value is not an array")
		}
		test = func(v any) bool { return slices.ContainsFunc(items, func(it any) bool { return refers(v, it) }) }
	}
	if !s.anyField(field) {
		return nil, nil
	}
	not := strings.HasPrefix(comparison, "not_")
	return func(e *entity) bool {
		v, ok := has(e)
		return (ok && test(v)) != not
	}, nil
}

func (s *Server) anyField(name string) bool {
	return s.knownField(slices.Collect(maps.Keys(schemas)), name)
}

// refers says whether v is, or holds, the wanted link or text.
func refers(v, want any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(it any) bool { return refers(it, want) })
	case object:
		w, _ := want.(object)
		return w != nil && str(v["contentType"]) == str(w["contentType"]) && str(v["id"]) == idOf(w["id"])
	}
	return v == want
}

// span reads the dates of a filter: whole days, months counted from 0.
func span(raw any) (from, to time.Time, f *failure) {
	day := func(v any) (time.Time, bool) {
		o, _ := v.(object)
		var n [3]int64
		for i, k := range []string{"year", "month", "day"} {
			x, ok := o[k].(json.Number)
			y, err := x.Int64()
			if !ok || err != nil {
				return time.Time{}, false
			}
			n[i] = y
		}
		return time.Date(int(n[0]), time.Month(n[1]+1), int(n[2]), 0, 0, 0, 0, time.UTC), o["contentType"] == "DateOnly"
	}
	o, _ := raw.(object)
	switch o["contentType"] {
	case "DateOnly":
		d, ok := day(o)
		if ok {
			return d, d.AddDate(0, 0, 1), nil
		}
	case "IntervalTime":
		at := func(v any) (time.Time, bool) {
			o, _ := v.(object)
			x, err := time.Parse(time.RFC3339, str(o["value"]))
			return x, err == nil && o["contentType"] == "DateTime"
		}
		a, ok1 := at(o["from"])
		b, ok2 := at(o["to"])
		if ok1 && ok2 {
			return a, b, nil
		}
	case "IntervalDates":
		a, ok1 := day(o["from"])
		b, ok2 := day(o["to"])
		if ok1 && ok2 {
			return a, b.AddDate(0, 0, 1), nil
		}
	}
	return from, to, invalid("filter", "'stdClass' is not assignable to 'IntervalDates|IntervalTime'")
}

func keep(all []*entity, ok func(*entity) bool) []*entity {
	var out []*entity
	for _, e := range all {
		if ok(e) {
			out = append(out, e)
		}
	}
	return out
}

func multipartForm(body []byte, boundary string) (map[string]string, error) {
	form, err := multipart.NewReader(bytes.NewReader(body), boundary).ReadForm(1 << 20)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for k, v := range form.Value {
		out[k] = v[0]
	}
	return out, nil
}
