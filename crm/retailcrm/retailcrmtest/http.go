package retailcrmtest

import (
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// route is one method of the API. Its path without the version is also the
// name of the right.
type route struct {
	verb    string
	path    string // below /api/v5, or the whole path if plain
	plain   bool
	handler func(*request) reply
}

// right is the name in the key's settings.
func (r route) right() string {
	if r.plain {
		return r.path
	}
	return "/api" + r.path
}

type request struct {
	f    *Fake
	form url.Values // of the body
	q    url.Values
	arg  map[string]string // {x} of the path
	key  string
}

// reply is an answer; a string body is a web page.
type reply struct {
	status int
	body   any
}

func ok(body object) reply      { body["success"] = true; return reply{http.StatusOK, body} }
func created(body object) reply { body["success"] = true; return reply{http.StatusCreated, body} }
func fail(status int, msg string, errs any) reply {
	body := object{"success": false, "errorMsg": msg}
	if errs != nil {
		body["errors"] = errs
	}
	return reply{status, body}
}

const (
	entityFormat = "Errors in the entity format"
	inputParams  = "Errors in the input parameters"
)

func (f *Fake) table() []route {
	return []route{
		{verb: "GET", path: "/api/credentials", plain: true, handler: credentials},
		{verb: "GET", path: "/api/api-versions", plain: true, handler: func(*request) reply {
			return ok(object{"versions": []string{"3.0", "4.0", "5.0"}})
		}},
		{verb: "GET", path: "/api/system-info", plain: true, handler: func(r *request) reply {
			return ok(object{"systemVersion": "8.0", "publicUrl": r.f.opts.URL, "technicalUrl": r.f.opts.URL})
		}},
		{verb: "GET", path: "/settings", handler: settings},
		{verb: "GET", path: "/users", handler: listUsers},
		{verb: "GET", path: "/users/{id}", handler: getUser},
		{verb: "POST", path: "/users/{id}/status", handler: userStatus},
		{verb: "GET", path: "/user-groups", handler: userGroups},
		{verb: "GET", path: "/reference/sites", handler: sites},
		{verb: "GET", path: "/reference/statuses", handler: statuses},
		{verb: "GET", path: "/reference/status-groups", handler: statusGroups},
		{verb: "GET", path: "/reference/order-types", handler: orderTypes},
		{verb: "GET", path: "/reference/order-methods", handler: orderMethods},
		{verb: "GET", path: "/integration-modules/{code}", handler: getModule},
		{verb: "POST", path: "/integration-modules/{code}/edit", handler: editModule},
		{verb: "POST", path: "/telephony/call/event", handler: callEvent},
		{verb: "POST", path: "/telephony/calls/upload", handler: callsUpload},
		{verb: "GET", path: "/telephony/manager", handler: manager},
		{verb: "GET", path: "/customers/history", handler: history("customers")},
		{verb: "GET", path: "/customers", handler: listCustomers},
		{verb: "POST", path: "/customers/create", handler: createCustomer},
		{verb: "POST", path: "/customers/notes/create", handler: createNote},
		{verb: "GET", path: "/customers/notes", handler: listNotes},
		{verb: "GET", path: "/customers/{externalId}", handler: getCustomer},
		{verb: "POST", path: "/customers/{externalId}/edit", handler: editCustomer},
		{verb: "GET", path: "/orders/history", handler: history("orders")},
		{verb: "GET", path: "/orders", handler: listOrders},
		{verb: "POST", path: "/orders/create", handler: createOrder},
		{verb: "GET", path: "/orders/{externalId}", handler: getOrder},
		{verb: "POST", path: "/orders/{externalId}/edit", handler: editOrder},
		{verb: "GET", path: "/tasks/history", handler: history("tasks")},
		{verb: "GET", path: "/tasks", handler: listTasks},
		{verb: "POST", path: "/tasks/create", handler: createTask},
		{verb: "GET", path: "/tasks/{id}", handler: getTask},
		{verb: "POST", path: "/tasks/{id}/edit", handler: editTask},
	}
}

// answer does one request.
func (f *Fake) answer(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rep := f.handle(r)
	if page, isPage := rep.body.(string); isPage {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(rep.status)
		_, _ = io.WriteString(w, page)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(rep.status)
	_ = json.NewEncoder(w).Encode(rep.body)
}

func (f *Fake) handle(r *http.Request) reply {
	if !f.account {
		if r.Method == http.MethodPost {
			return reply{http.StatusMethodNotAllowed, "<html><head><title>405 Not Allowed</title></head><body>nginx</body></html>"}
		}
		return fail(http.StatusNotFound, "Account does not exist.", nil)
	}
	if f.tooFast(r) {
		return reply{http.StatusServiceUnavailable, "<html><head><title>503 Service Temporarily Unavailable</title></head></html>"}
	}
	rt, arg, known := f.find(r)
	if !known {
		return fail(http.StatusNotFound, "API method not found", nil)
	}
	req := &request{f: f, q: r.URL.Query(), arg: arg, form: url.Values{}}
	if r.Method == http.MethodPost {
		// Any other content type leaves the form empty, so that the field is missing.
		if ct, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); ct == "application/x-www-form-urlencoded" {
			if body, err := io.ReadAll(r.Body); err == nil {
				req.form, _ = url.ParseQuery(string(body))
			}
		}
	}
	switch req.key = apiKey(r, req); {
	case req.key == "":
		return fail(http.StatusForbidden, `"apiKey" is missing.`, nil)
	case req.key != f.key:
		return fail(http.StatusForbidden, `Wrong "apiKey" value.`, nil)
	case rt.handler == nil:
		return fail(http.StatusMethodNotAllowed, "Method Not Allowed", nil)
	case f.denied[rt.right()]:
		return fail(http.StatusForbidden, "Access denied.", nil)
	}
	return rt.handler(req)
}

func apiKey(r *http.Request, req *request) string {
	if k := r.Header.Get("X-API-KEY"); k != "" {
		return k
	}
	if k := req.q.Get("apiKey"); k != "" {
		return k
	}
	return req.form.Get("apiKey")
}

// tooFast counts requests of one second per client address: 10, and apart
// from them 40 for telephony.
func (f *Fake) tooFast(r *http.Request) bool {
	if f.opts.Unlimited {
		return false
	}
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = r.RemoteAddr
	}
	budget, limit := ip+" all", 10
	if strings.HasPrefix(r.URL.Path, "/api/v5/telephony/") {
		budget, limit = ip+" telephony", 40
	}
	now := f.opts.Now()
	recent := slices.DeleteFunc(f.arrived[budget], func(t time.Time) bool { return now.Sub(t) >= time.Second })
	if len(recent) >= limit {
		f.arrived[budget] = recent
		return true
	}
	f.arrived[budget] = append(recent, now)
	return false
}

// find matches the path. A known path with another verb is a route without handler.
func (f *Fake) find(r *http.Request) (route, map[string]string, bool) {
	path := strings.TrimSuffix(r.URL.EscapedPath(), "/")
	var otherVerb bool
	for _, rt := range f.routes {
		full := rt.path
		if !rt.plain {
			full = "/api/v5" + rt.path
		}
		arg, fits := match(full, path)
		if !fits {
			continue
		}
		if rt.verb == r.Method {
			return rt, arg, true
		}
		otherVerb = true
	}
	return route{}, nil, otherVerb
}

func match(pattern, path string) (map[string]string, bool) {
	ps, xs := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(ps) != len(xs) {
		return nil, false
	}
	arg := map[string]string{}
	for i, p := range ps {
		x, err := url.PathUnescape(xs[i])
		if err != nil {
			return nil, false
		}
		if strings.HasPrefix(p, "{") {
			arg[strings.Trim(p, "{}")] = x
		} else if p != x {
			return nil, false
		}
	}
	return arg, true
}

// document reads the JSON in a form field.
func (r *request) document(name string) (object, *reply) {
	raw := r.form.Get(name)
	if raw == "" {
		rep := fail(http.StatusBadRequest, "Parameter '"+name+"' is missing", nil)
		return nil, &rep
	}
	var v object
	if err := json.Unmarshal([]byte(raw), &v); err != nil || v == nil {
		rep := fail(http.StatusBadRequest, entityFormat, []string{name + ": This value is not valid."})
		return nil, &rep
	}
	return v, nil
}

// site is the shop of a write, or of a read by externalId.
func (r *request) site() (string, *reply) {
	s := r.form.Get("site")
	if s == "" {
		s = r.q.Get("site")
	}
	switch {
	case s == "" && len(r.f.opts.Sites) > 1:
		rep := fail(http.StatusBadRequest, "Parameter 'site' is missing", nil)
		return "", &rep
	case s == "":
		return r.f.opts.Sites[0], nil
	case !r.f.hasSite(s):
		rep := fail(http.StatusBadRequest, inputParams, object{"site": "This value is not valid."})
		return "", &rep
	}
	return s, nil
}

// by says what the id in the path is.
func (r *request) by() (string, *reply) {
	b := r.form.Get("by")
	if b == "" {
		b = r.q.Get("by")
	}
	switch b {
	case "", "externalId":
		return "externalId", nil
	case "id":
		return "id", nil
	}
	rep := fail(http.StatusBadRequest, inputParams, object{"by": "The value you selected is not a valid choice."})
	return "", &rep
}

func credentials(r *request) reply {
	var paths []string
	scopes := map[string]bool{}
	denied := map[string]bool{}
	for _, rt := range r.f.routes {
		if rt.plain {
			continue
		}
		sc := scope(rt)
		if r.f.denied[rt.right()] {
			denied[sc] = true
			continue
		}
		paths = append(paths, rt.right())
		scopes[sc] = true
	}
	var names []string
	for s := range scopes {
		if !denied[s] {
			names = append(names, s)
		}
	}
	slices.Sort(names)
	body := object{"credentials": paths, "scopes": names, "siteAccess": "access_full"}
	if len(r.f.opts.Sites) > 1 {
		body["siteAccess"], body["sitesAvailable"] = "access_selective", r.f.opts.Sites
	}
	return ok(body)
}

// scope is the permission a method belongs to.
func scope(rt route) string {
	group, _, _ := strings.Cut(strings.TrimPrefix(rt.path, "/"), "/")
	name := map[string]string{"users": "user", "user-groups": "user", "integration-modules": "integration", "customers": "customer",
		"orders": "order", "tasks": "task", "settings": "settings"}[group]
	if name == "" {
		name = group
	}
	if rt.verb == "GET" {
		return name + "_read"
	}
	return name + "_write"
}
