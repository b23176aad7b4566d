package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callbridge/bridge"
)

// refusedWith checks an API error's status, code and field, and that it has words.
func refusedWith(t *testing.T, a answer, status int, code, field string) {
	t.Helper()
	var e struct{ Error apiError }
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatalf("not JSON: %s", a.body)
	}
	if a.status != status || e.Error.Code != code || e.Error.Field != field {
		t.Errorf("got %d %q %q, want %d %q %q", a.status, e.Error.Code, e.Error.Field, status, code, field)
	}
	if e.Error.Text == "" || strings.HasPrefix(e.Error.Text, "error.") {
		t.Errorf("no words: %s", a.body)
	}
}

func decode[T any](t *testing.T, a answer, status int) T {
	t.Helper()
	var v T
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// TestOpenAPIDescribesEveryRoute compares the document with the mux.
func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	raw, err := files.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths      map[string]map[string]struct{ Responses map[string]any }
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"GET /metrics": true}
	for _, r := range (&server{}).routes() {
		want[strings.Replace(r.pattern, "{$}", "", 1)] = true
	}
	got := map[string]bool{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			got[strings.ToUpper(method)+" "+path] = true
			if len(op.Responses) == 0 {
				t.Errorf("%s %s has no answers", method, path)
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		for k := range want {
			if !got[k] {
				t.Errorf("not documented: %s", k)
			}
		}
		for k := range got {
			if !want[k] {
				t.Errorf("documented, but there is no such route: %s", k)
			}
		}
	}
	for name, v := range map[string]any{"Call": bridge.Call{}, "Delivery": bridge.Delivery{}, "Integration": Integration{}, "PBX": PBX{}} {
		for i := range reflect.TypeOf(v).NumField() {
			field, _, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
			if field != "-" && doc.Components.Schemas[name].Properties[field] == nil {
				t.Errorf("%s: field %q is not documented", name, field)
			}
		}
	}
	for ref := range strings.SplitSeq(string(raw), `"$ref": "#/components/schemas/`) {
		name, _, _ := strings.Cut(ref, `"`)
		if _, ok := doc.Components.Schemas[name]; !ok && !strings.HasPrefix(ref, "{") {
			t.Errorf("schema %q is missing", name)
		}
	}
}

func TestEveryRouteAsksWhoYouAre(t *testing.T) {
	w := newWorld(t).start(t, nil)
	nobody, agent := w.browser(t), w.signIn(t, "ivan")
	for _, r := range (&server{}).routes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		path = strings.NewReplacer("{$}", "", "{id}", "c1", "{pbx}", "office").Replace(path)
		if r.who == public || r.who == proven { // proven: embed_test.go
			continue
		}
		a := nobody.do(method, path, "{}")
		page := !strings.HasPrefix(path, "/api/") && path != "/agent/recent"
		switch {
		case page && method == "GET" && (a.status != 303 || !strings.HasPrefix(a.header.Get("Location"), "/login?next=")):
			t.Errorf("%s without sign-in: %d to %s", r.pattern, a.status, a.header.Get("Location"))
		case (!page || method != "GET") && a.status != 401:
			t.Errorf("%s without sign-in: %d", r.pattern, a.status)
		}
		if r.who == console || r.who == admins {
			if a := agent.do(method, path, "{}"); a.status != 403 && !(path == "/" && a.header.Get("Location") == "/agent") {
				t.Errorf("%s as an agent: %d", r.pattern, a.status)
			}
		}
		if method != "GET" {
			token := agent.csrf
			agent.csrf = ""
			if a := agent.do(method, path, "{}"); a.status != 403 || !strings.Contains(a.body, "csrf") && !strings.Contains(a.body, "устарела") {
				t.Errorf("%s without the page's token: %d %s", r.pattern, a.status, a.body)
			}
			agent.csrf = token
			for _, h := range [][2]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
				if a := agent.do(method, path, "{}", h[0], h[1]); a.status != 403 {
					t.Errorf("%s from another site (%s): %d", r.pattern, h[0], a.status)
				}
			}
		}
	}
}

func TestBearerToken(t *testing.T) {
	w := newWorld(t)
	w.history()
	w.start(t, nil)
	b := w.browser(t)
	refusedWith(t, b.do("POST", "/api/v1/session", `{"login":"ivan","password":"wrong"}`), 401, "wrong_password", "")
	refusedWith(t, b.do("POST", "/api/v1/session", `{"password":"x"}`), 422, "missing", "login")
	refusedWith(t, b.do("POST", "/api/v1/session", `{"login":"ivan"}`), 422, "missing", "password")
	refusedWith(t, b.do("POST", "/api/v1/session", `{"login":5,"password":"x"}`), 422, "wrong_type", "login")
	refusedWith(t, b.do("POST", "/api/v1/session", `{"login":"nopw","password":""}`), 422, "missing", "password")
	refusedWith(t, b.do("POST", "/api/v1/session", `{"login":"nopw","password":"anything1"}`), 401, "wrong_password", "")
	got := decode[struct{ Token, Role string }](t, b.do("POST", "/api/v1/session", fmt.Sprintf(`{"login":"ivan","password":%q}`, password)), 201)
	if got.Role != "agent" || len(got.Token) < 32 {
		t.Fatalf("%+v", got)
	}
	auth := []string{"Authorization", "Bearer " + got.Token}
	if me := decode[struct{ Login, Extension string }](t, b.get("/api/v1/me", auth...), 200); me.Login != "ivan" || me.Extension != "101" {
		t.Errorf("%+v", me)
	}
	// A token is not sent by a browser on its own: it needs no page token.
	if a := b.do("PUT", "/api/v1/me/dnd", `{"on":true}`, auth...); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	refusedWith(t, b.get("/api/v1/me", "Authorization", "Bearer nonsense"), 401, "sign_in", "")
	refusedWith(t, b.get("/api/v1/me", "Authorization", "Basic aXZhbjp4"), 401, "sign_in", "")
	w.mu.Lock()
	delete(w.users, "ivan")
	w.mu.Unlock()
	refusedWith(t, b.get("/api/v1/me", auth...), 401, "sign_in", "")
}

func TestDial(t *testing.T) {
	w := newWorld(t).start(t, nil)
	b := w.signIn(t, "ivan")
	for _, tc := range []struct {
		name, body  string
		status      int
		code, field string
	}{
		{"no id", `{"number":"+79161234567"}`, 422, "missing", "request_id"},
		{"id with a space", `{"request_id":"a b","number":"+79161234567"}`, 422, "bad_request_id", "request_id"},
		{"long id", `{"request_id":"` + strings.Repeat("x", 65) + `","number":"+79161234567"}`, 422, "bad_request_id", "request_id"},
		{"no number", `{"request_id":"a"}`, 422, "missing", "number"},
		{"a name", `{"request_id":"a","number":"Анна"}`, 422, "unknown_number", "number"},
		{"a long number", `{"request_id":"a","number":"` + strings.Repeat("1", 41) + `"}`, 422, "unknown_number", "number"},
		{"a number that is no text", `{"request_id":"a","number":79161234567}`, 422, "wrong_type", "number"},
		{"an unknown field", `{"request_id":"a","number":"+79161234567","phone":"x"}`, 422, "unknown_field", "phone"},
		{"another phone", `{"request_id":"a","number":"+79161234567","extension":"102"}`, 403, "not_your_phone", "extension"},
		{"not JSON", `number=1`, 400, "not_json", ""},
		{"two values", `{"request_id":"a","number":"+79161234567"} {}`, 400, "not_json", ""},
		{"too long", `{"number":"` + strings.Repeat("1", bodyLimit) + `"}`, 413, "too_long", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refusedWith(t, b.do("POST", "/api/v1/calls", tc.body), tc.status, tc.code, tc.field)
		})
	}
	if len(w.clicks) != 0 {
		t.Fatalf("a refused order was dialled: %+v", w.clicks)
	}

	type accepted struct {
		RequestID string `json:"request_id"`
		Call      Dialled
	}
	order := `{"request_id":"click-1","number":" 8 (916) 123-45-67 "}`
	if got := decode[accepted](t, b.do("POST", "/api/v1/calls", order), 202); got.RequestID != "click-1" || got.Call.PBXCallID != "pbx-click-1" {
		t.Errorf("%+v", got)
	}
	if got := decode[accepted](t, b.do("POST", "/api/v1/calls", order), 202); !got.Call.Repeated {
		t.Errorf("D-19: %+v", got)
	}
	if want := (Click{"click-1", "101", "8 (916) 123-45-67", "ivan", ""}); len(w.clicks) != 1 || w.clicks[0] != want {
		t.Errorf("dialled %+v", w.clicks)
	}

	for code, status := range map[string]int{"no_phone": 409, "do_not_disturb": 409, "busy": 409, "pbx_unreachable": 409, "unknown_number": 422, "unknown_extension": 422} {
		w.refusal = refusal(code)
		field := map[string]string{"unknown_number": "number", "unknown_extension": "extension"}[code]
		refusedWith(t, b.do("POST", "/api/v1/calls", `{"request_id":"r","number":"101"}`), status, code, field)
	}
	w.refusal = refusal("something_new")
	if a := b.do("POST", "/api/v1/calls", `{"request_id":"r","number":"101"}`); a.status != 409 || !strings.Contains(a.body, "refused: something_new") {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.refusal = errors.New("a socket broke")
	if a := b.do("POST", "/api/v1/calls", `{"request_id":"r","number":"101"}`); a.status != 500 || strings.Contains(a.body, "socket") {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.refusal = nil
	refusedWith(t, w.signIn(t, "noext").do("POST", "/api/v1/calls", `{"request_id":"r","number":"101"}`), 422, "no_extension", "extension")
	if a := w.signIn(t, "admin").do("POST", "/api/v1/calls", `{"request_id":"r2","number":"+79161234567","extension":"102"}`); a.status != 202 {
		t.Errorf("an admin may use any phone: %d %s", a.status, a.body)
	}
}

func TestDND(t *testing.T) {
	w := newWorld(t).start(t, nil)
	b := w.signIn(t, "ivan")
	refusedWith(t, b.do("PUT", "/api/v1/me/dnd", `{}`), 422, "missing", "on")
	refusedWith(t, b.do("PUT", "/api/v1/me/dnd", `{"on":"yes"}`), 422, "wrong_type", "on")
	if a := b.do("PUT", "/api/v1/me/dnd", `{"on":true}`); a.status != 200 || !w.dnd["101"] || !w.hub.DND("101") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if me := decode[struct{ DND bool }](t, b.get("/api/v1/me"), 200); !me.DND {
		t.Error("me does not show it")
	}
	w.refusal = refusal("pbx_unreachable")
	refusedWith(t, b.do("PUT", "/api/v1/me/dnd", `{"on":false}`), 409, "pbx_unreachable", "")
	w.refusal = nil
	refusedWith(t, w.signIn(t, "noext").do("PUT", "/api/v1/me/dnd", `{"on":true}`), 409, "no_extension", "")
}

type callList struct {
	Calls []bridge.Call
	Next  string
}

func ids(list []bridge.Call) string {
	var out []string
	for _, c := range list {
		out = append(out, c.ID)
	}
	return strings.Join(out, " ")
}

func TestCalls(t *testing.T) {
	w := newWorld(t)
	w.history()
	w.live = []bridge.Call{{ID: "l1", Direction: bridge.In, Legs: []bridge.Leg{{Extension: "101"}}}, {ID: "l2", Direction: bridge.In, Legs: []bridge.Leg{{Extension: "103"}}}}
	w.start(t, nil)
	admin, ivan, maria := w.signIn(t, "admin"), w.signIn(t, "ivan"), w.signIn(t, "maria")
	if got := decode[callList](t, admin.get("/api/v1/calls"), 200); len(got.Calls) != 8 || got.Next != "" {
		t.Errorf("%s %q", ids(got.Calls), got.Next)
	}
	page := decode[callList](t, admin.get("/api/v1/calls?limit=3"), 200)
	next := decode[callList](t, admin.get("/api/v1/calls?limit=3&before="+page.Next), 200)
	if ids(page.Calls) != "c1 c2 c3" || ids(next.Calls) != "c4 c5 c6" {
		t.Errorf("pages %s, %s", ids(page.Calls), ids(next.Calls))
	}
	if got := decode[callList](t, maria.get("/api/v1/calls"), 200); ids(got.Calls) != "c1 c2 c3 c8" {
		t.Errorf("D-26: maria sees %s", ids(got.Calls))
	}
	refusedWith(t, maria.get("/api/v1/calls?extension=101"), 403, "not_your_phone", "extension")
	if got := decode[callList](t, w.signIn(t, "noext").get("/api/v1/calls"), 200); len(got.Calls) != 0 {
		t.Errorf("without an extension: %s", ids(got.Calls))
	}
	if got := decode[callList](t, admin.get("/api/v1/calls?live=1"), 200); len(got.Calls) != 2 {
		t.Errorf("live %s", ids(got.Calls))
	}
	if got := decode[callList](t, ivan.get("/api/v1/calls?live=1"), 200); ids(got.Calls) != "l1" {
		t.Errorf("live for ivan %s", ids(got.Calls))
	}
	if got := decode[callList](t, admin.get("/api/v1/calls?outcome=missed&direction=in&client=%2B79265550111&from=2026-01-01&to=2036-01-01T00:00:00Z"), 200); ids(got.Calls) != "c2" {
		t.Errorf("chosen %s", ids(got.Calls))
	}
	if q := w.queries[len(w.queries)-1]; q.From.Year() != 2026 || q.To.Year() != 2036 {
		t.Errorf("times %v %v", q.From, q.To)
	}
	for _, tc := range [][3]string{{"limit=0", "bad_limit", "limit"}, {"limit=501", "bad_limit", "limit"}, {"limit=x", "bad_limit", "limit"},
		{"direction=up", "bad_value", "direction"}, {"outcome=fine", "bad_value", "outcome"}, {"client=Анна", "unknown_number", "client"},
		{"from=yesterday", "bad_time", "from"}, {"to=1", "bad_time", "to"}, {"before=" + strings.Repeat("x", 200), "bad_key", "before"}} {
		refusedWith(t, admin.get("/api/v1/calls?"+tc[0]), 422, tc[1], tc[2])
	}

	full := decode[map[string]any](t, admin.get("/api/v1/calls/c1"), 200)
	if full["id"] != "c1" || len(full["deliveries"].([]any)) != 4 || len(full["shown"].([]any)) != 1 || full["talk_ms"].(float64) != 93000 {
		t.Errorf("%v", full)
	}
	refusedWith(t, admin.get("/api/v1/calls/none"), 404, "not_found", "")
	refusedWith(t, ivan.get("/api/v1/calls/c8"), 404, "not_found", "")
	if own := decode[map[string]any](t, maria.get("/api/v1/calls/c1"), 200); len(own["deliveries"].([]any)) != 0 || len(own["shown"].([]any)) != 0 {
		t.Errorf("an agent sees %v", own)
	}
}

func TestConsoleAPI(t *testing.T) {
	w := newWorld(t)
	w.history()
	w.start(t, nil)
	b := w.signIn(t, "boss")
	type deliveries struct {
		Deliveries []bridge.Delivery
		Next       string
	}
	if got := decode[deliveries](t, b.get("/api/v1/deliveries?state=failed"), 200); len(got.Deliveries) != 1 || got.Deliveries[0].ID != 3 {
		t.Errorf("%+v", got)
	}
	if got := decode[deliveries](t, b.get("/api/v1/deliveries?limit=2"), 200); len(got.Deliveries) != 2 || got.Next != "2" {
		t.Errorf("%+v", got)
	}
	refusedWith(t, b.get("/api/v1/deliveries?state=lost"), 422, "bad_value", "state")
	refusedWith(t, b.get("/api/v1/deliveries?before=-1"), 422, "bad_key", "before")
	type ledger struct {
		Ledger []struct {
			Day       string
			Imbalance int64
		}
		Imbalance int64
	}
	if got := decode[ledger](t, b.get("/api/v1/ledger"), 200); len(got.Ledger) != 2 || got.Imbalance != 0 || got.Ledger[0].Day != "2026-11-22" {
		t.Errorf("%+v", got)
	}
	w.balance[0].Planned += 3
	if got := decode[ledger](t, b.get("/api/v1/ledger"), 200); got.Imbalance != 3 {
		t.Errorf("%+v", got)
	}
	refusedWith(t, b.get("/api/v1/ledger?from=today"), 422, "bad_day", "from")
	if got := decode[struct{ Integrations, PBX []any }](t, b.get("/api/v1/integrations"), 200); len(got.Integrations) != 2 || len(got.PBX) != 1 {
		t.Errorf("%+v", got)
	}
	if a := w.browser(t).get("/api/v1/openapi.json"); a.status != 200 || !json.Valid([]byte(a.body)) {
		t.Errorf("%d", a.status)
	}
}

func TestHealth(t *testing.T) {
	w := newWorld(t).start(t, nil)
	b := w.browser(t)
	if a := b.get("/healthz"); a.status != 200 || !strings.Contains(a.body, `"ok":true`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.get("/readyz"); a.status != 200 || !strings.Contains(a.body, `"missing":[]`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.missing = []string{"the PBX office is not connected"}
	if a := b.get("/readyz"); a.status != 503 || !strings.Contains(a.body, "the PBX office is not connected") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.get("/metrics"); a.status != 200 || !strings.Contains(a.body, "callbridge_") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRouteAnswer(t *testing.T) {
	w := newWorld(t).start(t, nil)
	b := w.browser(t)
	w.route = func(_ context.Context, q RouteQuestion) (RouteAnswer, error) {
		switch {
		case q.PBX != "office":
			return RouteAnswer{}, ErrNotFound
		case q.Secret != "s3cret":
			return RouteAnswer{}, ErrForbidden
		case q.Number == "boom":
			panic("boom")
		case q.Number == "broken":
			return RouteAnswer{}, errors.New("broken")
		}
		return RouteAnswer{Extension: "103", Reason: "personal manager"}, nil
	}
	if a := b.get("/hooks/office/route?number=79161234567&line=74951234567", "Authorization", "Bearer s3cret"); a.status != 200 || a.body != "103" || a.header.Get("X-Callbridge-Reason") != "personal manager" {
		t.Errorf("%d %q", a.status, a.body)
	}
	if a := b.get("/hooks/office/route?number=1&secret=s3cret"); a.body != "103" {
		t.Errorf("%d %q", a.status, a.body)
	}
	refusedWith(t, b.get("/hooks/office/route?number=1"), 401, "wrong_secret", "")
	refusedWith(t, b.get("/hooks/other/route?number=1"), 404, "not_found", "")
	for _, n := range []string{"boom", "broken"} {
		if a := b.get("/hooks/office/route?secret=s3cret&number=" + n); a.status != 200 || a.body != "" || a.header.Get("X-Callbridge-Reason") != "error" {
			t.Errorf("%s: %d %q: the call must go on", n, a.status, a.body)
		}
	}
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	w.route = func(context.Context, RouteQuestion) (RouteAnswer, error) { <-hang; return RouteAnswer{}, nil }
	began := time.Now()
	if a := b.get("/hooks/office/route?number=1"); a.status != 200 || a.body != "" || time.Since(began) > 2*time.Second {
		t.Errorf("%d %q after %s", a.status, a.body, time.Since(began))
	}
}

func TestCardsSocket(t *testing.T) {
	w := newWorld(t).start(t, nil)
	token := decode[struct{ Token string }](t, w.browser(t).do("POST", "/api/v1/session", fmt.Sprintf(`{"login":"ivan","password":%q}`, password)), 201).Token
	address := strings.Replace(w.server.URL, "http", "ws", 1) + "/api/v1/cards"
	if _, resp, err := websocket.DefaultDialer.Dial(address, nil); err == nil || resp.StatusCode != 401 {
		t.Errorf("without sign-in: %v", err)
	}
	if _, resp, err := websocket.DefaultDialer.Dial(address, http.Header{"Authorization": {"Bearer " + token}, "Origin": {"https://evil.example"}}); err == nil || resp.StatusCode != 403 {
		t.Errorf("from another site: %v", err)
	}
	c, _, err := websocket.DefaultDialer.Dial(address, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var m struct {
		Type string
		Seq  int
		Card struct{ ID string }
	}
	if err := c.ReadJSON(&m); err != nil || m.Type != "snapshot" || m.Seq != 1 {
		t.Fatalf("%+v %v", m, err)
	}
	w.ring("r1")
	if err := c.ReadJSON(&m); err != nil || m.Type != "card" || m.Card.ID != "r1" || m.Seq != 2 {
		t.Fatalf("%+v %v", m, err)
	}
	if a := w.browser(t).get("/api/v1/cards", "Authorization", "Bearer "+token); a.status != 400 {
		t.Errorf("no handshake: %d", a.status)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	w := newWorld(t).start(t, func(d *Deps) { d.Dialer, d.Presence, d.Route, d.Metrics = nil, nil, nil, nil })
	b := w.signIn(t, "ivan")
	refusedWith(t, b.do("POST", "/api/v1/calls", `{"request_id":"a","number":"+79161234567"}`), 501, "no_dialer", "")
	refusedWith(t, b.do("PUT", "/api/v1/me/dnd", `{"on":true}`), 501, "no_presence", "")
	refusedWith(t, b.get("/hooks/office/route"), 404, "not_found", "")
	if a := b.get("/agent"); strings.Contains(a.body, `id="dial"`) || strings.Contains(a.body, `id="dnd"`) {
		t.Error("the page offers what the PBX cannot do")
	}
	if a := b.get("/nothing"); a.status != 404 {
		t.Errorf("%d", a.status)
	}
}
