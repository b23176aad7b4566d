package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/web"
	"callbridge/crm/megaplan/megaplantest"
)

const appUUID = "0f0f0f2e-0000-4000-8000-000000000001"

// embedded is a bureau whose Megaplan has our application, and a PBX that
// takes orders.
func embedded(t *testing.T, change func(*bridge.Settings)) (*bureau, *desk) {
	t.Helper()
	seed := bureauSeed()
	seed.Applications = []megaplantest.Application{{UUID: appUUID, Name: "Callbridge", PageURI: "https://calls.example.ru/hooks/mp/widget"}}
	b := openBureau(t, seed, func(s *bridge.Settings) {
		s.Integrations[0].Credentials["application"] = appUUID
		withUsers(t, s)
		if change != nil {
			change(s)
		}
	})
	orders := &desk{}
	b.pbxs = append(b.pbxs, &phoneSystem{id: "office", stream: orders, status: func() linkStatus { return linkStatus{connected: true} }})
	return b, orders
}

// visit opens one of our pages as a browser without a cookie of ours.
func (v *clerk) visit(method, path string, cookie string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", "en")
	r.Header.Set("Sec-Fetch-Site", "cross-site") // a frame of the CRM's site
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	w := httptest.NewRecorder()
	v.pages.ServeHTTP(w, r)
	return w
}

// M-0.5, M-0.13, M-2.1.6: our page inside Megaplan signs in whoever Megaplan
// says it is, as the agent of his extension, and calls the client's numbers.
func TestM05M013WidgetInsideMegaplan(t *testing.T) {
	b, orders := embedded(t, func(s *bridge.Settings) {
		s.Integrations[0].ClickToCall = bridge.ClickToCall{Number: bureauLine}
	})
	v := b.clerk("admin")
	ivan, _ := b.targetOf("mp").ByExtension("101")
	open := func(method, user string, more url.Values) *httptest.ResponseRecorder {
		asked := url.Values{"applicationUuid": {appUUID}, "userSign": {b.mega.Sign(user)}}
		for k, x := range more {
			asked[k] = x
		}
		if method == http.MethodPost {
			return v.visit(method, "/hooks/mp/widget", "", asked)
		}
		return v.visit(method, "/hooks/mp/widget?"+asked.Encode(), "", nil)
	}
	for _, method := range []string{"GET", "POST"} {
		w := open(method, string(ivan.User), url.Values{"phone": {"8 916 123-45-67, 79035554433"}})
		to := w.Header().Get("Location")
		if w.Code != 303 || !strings.HasPrefix(to, "/agent/call?phone=") || strings.Contains(to, "userSign") {
			t.Fatalf("%s: %d %s %s", method, w.Code, to, w.Body)
		}
		cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
		page := v.visit("GET", to, cookie, nil)
		if page.Code != 200 || !strings.Contains(page.Body.String(), `data-call="&#43;79161234567"`) || !strings.Contains(page.Body.String(), `data-call="&#43;79035554433"`) {
			t.Errorf("%d %s", page.Code, page.Body)
		}
		if page := v.visit("GET", "/agent", cookie, nil); page.Code != 200 || !strings.Contains(page.Body.String(), `data-extension="101"`) {
			t.Errorf("M-0.13: %d", page.Code)
		}
		// An agent and nothing more, whatever else he is here.
		if page := v.visit("GET", "/settings", cookie, nil); page.Code != 403 {
			t.Errorf("the console opened inside the CRM: %d", page.Code)
		}
		// The click, as the page sends it.
		csrf := regexp.MustCompile(`name="csrf" content="([^"]+)"`).FindStringSubmatch(page.Body.String())
		r := httptest.NewRequest("POST", "/api/v1/calls", strings.NewReader(`{"request_id":"w-`+method+`","number":"+79161234567"}`))
		r.Header.Set("Cookie", cookie)
		r.Header.Set("X-CSRF-Token", csrf[1])
		done := httptest.NewRecorder()
		v.pages.ServeHTTP(done, r)
		o := orders.orders
		if done.Code != 202 || len(o) == 0 || o[len(o)-1].Extension != "101" || o[len(o)-1].Client != "+79161234567" {
			t.Errorf("%d %s: %+v", done.Code, done.Body, o)
		}
		b.clickMu.Lock()
		clear(b.clicked) // the phone is free again
		b.clickMu.Unlock()
	}
	// Who is not good enough, and what he is told.
	unlisted := b.mega.AddEmployee(megaplantest.Employee{FirstName: "Вера", Email: "vera@example.ru"})
	if err := b.syncOnce(t.Context(), b.targetOf("mp")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, says string
		w          func() *httptest.ResponseRecorder
	}{
		{"invented sign", "did not confirm", func() *httptest.ResponseRecorder {
			return v.visit("GET", "/hooks/mp/widget?userSign=invented", "", nil)
		}},
		{"invented sign, told by 403", "did not confirm", func() *httptest.ResponseRecorder {
			b.mega.Change(func(q *megaplantest.Quirks) { q.SignForbidden = true })
			return v.visit("GET", "/hooks/mp/widget?userSign=invented", "", nil)
		}},
		{"no sign", "did not confirm", func() *httptest.ResponseRecorder { return v.visit("GET", "/hooks/mp/widget", "", nil) }},
		{"another application", "did not confirm", func() *httptest.ResponseRecorder {
			return open("GET", string(ivan.User), url.Values{"applicationUuid": {"11111111-0000-4000-8000-000000000001"}})
		}},
		{"no extension", "no extension", func() *httptest.ResponseRecorder { return open("GET", unlisted, nil) }},
		{"no such integration", "no such integration", func() *httptest.ResponseRecorder { return v.visit("GET", "/hooks/none/widget", "", nil) }},
	} {
		if w := c.w(); w.Code != 403 || !strings.Contains(w.Body.String(), c.says) || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
	// Whoever loses his extension is signed out at once.
	w := open("GET", string(ivan.User), nil)
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	if page := v.visit("GET", "/agent", cookie, nil); page.Code != 200 {
		t.Fatal(page.Code)
	}
	b.targetOf("mp").setStaff(nil, nil, time.Now())
	if page := v.visit("GET", "/agent", cookie, nil); page.Code != 303 {
		t.Errorf("he is still in: %d", page.Code)
	}
}

// M-0.5, M-5.1: a signed address calls, for a button of any CRM.
func TestM05M51SignedAddressCalls(t *testing.T) {
	b, orders := embedded(t, nil)
	v := b.clerk("admin")
	link := func(in map[string]any) (out web.CallLink) {
		t.Helper()
		code, body := v.do("POST", "/api/v1/call-links", in)
		if code != 201 || json.Unmarshal([]byte(body), &out) != nil || !strings.HasPrefix(out.URL, "https://calls.example.ru/hooks/mp/call?") {
			t.Fatalf("%d %s", code, body)
		}
		out.URL = strings.TrimPrefix(out.URL, "https://calls.example.ru")
		return out
	}
	free := func() {
		b.clickMu.Lock()
		clear(b.clicked)
		b.clickMu.Unlock()
	}
	mine := link(map[string]any{"integration": "mp", "extension": "101", "days": 30})
	if d := time.Until(mine.Until.Time); d < 29*24*time.Hour || d > 31*24*time.Hour {
		t.Errorf("good for %v", d)
	}
	// A person: the page that opens orders nothing yet; its form does.
	path := mine.URL + "&phone=" + url.QueryEscape("8 916 123-45-67")
	w := v.visit("GET", path, "", nil)
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(w.Body.String())
	if w.Code != 200 || id == nil || len(orders.orders) != 0 {
		t.Fatalf("%d %s %+v", w.Code, w.Body, orders.orders)
	}
	for range 2 { // sent again it rings nobody (D-19)
		if w = v.visit("POST", path, "", url.Values{"id": {id[1]}}); w.Code != 200 || !strings.Contains(w.Body.String(), "101") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if o := orders.orders; len(o) != 1 || o[0].Extension != "101" || o[0].Client != "+79161234567" {
		t.Errorf("orders %+v", o)
	}
	// A program.
	free()
	anybody := link(map[string]any{"integration": "mp"})
	olga, _ := b.targetOf("mp").ByExtension("102")
	for i, who := range []string{"extension=102", "user=" + string(olga.User), "email=OLGA@example.ru"} {
		free()
		code, body := v.do("POST", anybody.URL+"&"+who, url.Values{"phone": {"+79161234567"}, "id": {fmt.Sprint("p", i)}})
		if o := orders.orders; code != 202 || !strings.Contains(body, `"request_id"`) || o[len(o)-1].Extension != "102" {
			t.Errorf("%s: %d %s", who, code, body)
		}
	}
	free()
	only := link(map[string]any{"integration": "mp", "extension": "101", "number": "+79035554433"})
	if code, body := v.do("POST", only.URL+"&phone=%2B79161234567", url.Values{}); code != 202 {
		t.Errorf("%d %s", code, body)
	}
	if o := orders.orders; o[len(o)-1].Client != "+79035554433" {
		t.Errorf("the signed number was replaced: %+v", o[len(o)-1])
	}
	count := len(orders.orders)
	for _, c := range []struct {
		name, url, code string
		status          int
	}{
		{"another phone", strings.Replace(mine.URL, "ext=101", "ext=102", 1), "link_wrong", 403},
		{"any phone", strings.Replace(mine.URL, "ext=101", "ext=any", 1) + "&extension=102", "link_wrong", 403},
		{"longer", regexp.MustCompile(`until=\d+`).ReplaceAllString(mine.URL, "until=9999999999"), "link_wrong", 403},
		{"another integration", strings.Replace(mine.URL, "/hooks/mp/", "/hooks/none/", 1), "link_wrong", 403},
		{"no signature", "/hooks/mp/call?ext=101&until=9999999999", "link_wrong", 403},
		{"stranger", anybody.URL + "&extension=999", "no_extension", 422},
		{"nobody named", anybody.URL, "no_extension", 422},
		{"no number", mine.URL + "&phone=", "missing", 422},
		{"no digits", mine.URL + "&phone=hello", "unknown_number", 422},
	} {
		if !strings.Contains(c.url, "phone=") {
			c.url += "&phone=%2B79161234567"
		}
		if code, body := v.do("POST", c.url, url.Values{}); code != c.status || !strings.Contains(body, `"`+c.code+`"`) {
			t.Errorf("%s: %d %s", c.name, code, body)
		}
	}
	if l, err := b.Follow("mp", query(t, mine.URL), time.Now().AddDate(0, 0, 31)); err == nil {
		t.Errorf("an expired address is good: %+v", l)
	}
	// Raised, the number of links withdraws them all.
	s, _, err := b.db.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Integrations[0].ClickToCall.Links = 1
	if _, err := b.Apply(t.Context(), "test", "", s); err != nil {
		t.Fatal(err)
	}
	if code, body := v.do("POST", path, url.Values{}); code != 403 || !strings.Contains(body, "link_wrong") {
		t.Errorf("withdrawn: %d %s", code, body)
	}
	if len(orders.orders) != count {
		t.Errorf("orders %+v", orders.orders[count:])
	}
	for _, in := range []map[string]any{{"integration": "none"}, {"integration": "mp", "extension": "999"}, {"integration": "mp", "days": -1}, {"integration": "mp", "number": "x"}} {
		if code, _ := v.do("POST", "/api/v1/call-links", in); code != 404 && code != 422 {
			t.Errorf("%v: %d", in, code)
		}
	}
	if code, _ := b.clerk("boss").do("POST", "/api/v1/call-links", map[string]any{"integration": "mp"}); code != 403 {
		t.Errorf("a supervisor made one: %d", code)
	}
}

func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// M-5.1, M-5.2: which number the client sees.
func TestM51M52NumberOfTheClick(t *testing.T) {
	for _, c := range []struct {
		name, own, number string
		override          bool
		want              string
	}{
		{"the employee's own line", "+74950000101", "+74951234567", false, "74950000101"},
		{"no line of his own: M-5.1", "", "+74951234567", false, "74951234567"},
		{"overridden: M-5.2", "+74950000101", "+74951234567", true, "74951234567"},
		{"nothing set: the PBX decides", "", "", false, ""},
		{"own line only", "+74950000101", "", false, "74950000101"},
	} {
		b, orders := embedded(t, func(s *bridge.Settings) {
			s.Employees[0].Line = c.own
			s.Integrations[0].ClickToCall = bridge.ClickToCall{Number: c.number, OverrideCallerID: c.override}
			// Another CRM's number does not count where this one has its own.
			other := s.Integrations[0]
			other.ID, other.ClickToCall = "mp2", bridge.ClickToCall{}
			if c.number != "" && !c.override {
				other.ClickToCall.Number = "+74959999999"
			}
			s.Integrations = []bridge.Integration{other, s.Integrations[0]}
		})
		if _, err := b.Dial(t.Context(), web.Click{RequestID: "x", Extension: "101", Number: "+79161234567", Integration: "mp"}); err != nil {
			t.Fatal(err)
		}
		if o := orders.orders; len(o) != 1 || o[0].CallerID != c.want {
			t.Errorf("%s: %+v, want %q", c.name, o, c.want)
		}
	}
}

// M-2.1.1 to M-2.1.5, M-6.3, M-6.4: one page says what to click in Megaplan,
// what to try afterwards and what has worked, and compares the extensions.
func TestM21M63M64SetupPage(t *testing.T) {
	b, _ := embedded(t, func(s *bridge.Settings) {
		s.Employees = append(s.Employees, bridge.Employee{Extension: "109", Email: "nobody@example.ru"})
	})
	v := b.clerk("admin")
	v.lang = "ru"
	_, page := v.do("GET", "/integrations/mp/setup", nil)
	for _, want := range []string{"«Директора» или «Админы»", "Подключение к телефонии по API", "«Пользователи»", "Синхронизировать сейчас", "https://calls.example.ru/hooks/mp/widget",
		"M-0.1<", "M-0.9<", "M-0.4, M-0.10", "Сверьте внутренние номера", "109"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(page, `tag done`) {
		t.Error("something worked before any call")
	}
	b.talk("79161234567", "101")
	b.settled(1)
	if _, page = v.do("GET", "/integrations/mp/setup", nil); strings.Count(page, "tag done") < 4 { // card, history, contact, communication
		t.Errorf("what worked is not told: %d", strings.Count(page, "tag done"))
	}
	if code, page := v.do("POST", "/integrations/mp/setup", url.Values{"extension": {"101"}, "days": {"30"}}); code != 200 || !strings.Contains(page, "sig=") {
		t.Errorf("%d", code)
	}
	if code, _ := b.clerk("boss").do("POST", "/integrations/mp/setup", url.Values{}); code != 403 {
		t.Errorf("a supervisor: %d", code)
	}
}
