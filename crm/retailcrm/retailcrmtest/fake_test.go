package retailcrmtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// call sends one request and returns the status and the answer as text.
func (f *Fake) call(t *testing.T, method, path string, form url.Values) (int, string) {
	t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req := httptest.NewRequest(method, path, body)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	req.Header.Set("X-API-KEY", f.key)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

func doc(name, body string) url.Values { return url.Values{name: {body}} }

func TestStrictness(t *testing.T) {
	const okCall = `"date":"2026-01-02 03:04:05","type":"in","phone":"79161234567","result":"answered","externalId":"c1"`
	for _, c := range []struct {
		name, method, path string
		form               url.Values
		status             int
		text               string
	}{
		{"versioned credentials", "GET", "/api/v5/credentials", nil, 404, "API method not found"},
		{"old telephony", "POST", "/api/v5/telephony/setting/x/edit", url.Values{}, 404, "API method not found"},
		{"wrong verb", "POST", "/api/v5/users", url.Values{}, 405, "Method Not Allowed"},
		{"nested form", "POST", "/api/v5/customers/create", url.Values{"customer[firstName]": {"x"}}, 400, "Parameter 'customer' is missing"},
		{"no JSON", "POST", "/api/v5/customers/create", doc("customer", "x"), 400, entityFormat},
		{"unknown field", "POST", "/api/v5/customers/create", doc("customer", `{"phone":"1"}`), 400, extra},
		{"phones as texts", "POST", "/api/v5/customers/create", doc("customer", `{"phones":["1"]}`), 400, "phones"},
		{"unknown manager", "POST", "/api/v5/customers/create", doc("customer", `{"managerId":99}`), 400, "managerId"},
		{"long key", "POST", "/api/v5/customers/create", doc("customer", `{"externalId":"`+strings.Repeat("x", 256)+`"}`), 400, "too long"},
		{"filter phone", "GET", "/api/v5/customers?filter%5Bphone%5D=1", nil, 400, inputParams},
		{"wrong limit", "GET", "/api/v5/customers?limit=25", nil, 400, inputParams},
		{"wrong bool", "GET", "/api/v5/users?filter%5Bactive%5D=true", nil, 400, "children[active]"},
		{"by what", "GET", "/api/v5/customers/1?by=phone", nil, 400, "by"},
		{"nobody", "GET", "/api/v5/customers/77?by=id", nil, 404, "Not found"},
		{"since and page", "GET", "/api/v5/orders/history?filter%5BsinceId%5D=1&page=2", nil, 400, "sinceId"},
		{"status word", "POST", "/api/v5/users/11/status", url.Values{"status": {"lunch"}}, 400, inputParams},
		{"event vocabulary", "POST", "/api/v5/telephony/call/event", doc("event", `{"phone":"1","type":"hangup","hangupStatus":"no answer"}`), 400, "hangupStatus"},
		{"status before the end", "POST", "/api/v5/telephony/call/event", doc("event", `{"phone":"1","type":"in","codes":["101"],"hangupStatus":"busy"}`), 400, "hangupStatus"},
		{"event for nobody", "POST", "/api/v5/telephony/call/event", doc("event", `{"phone":"1","type":"in"}`), 400, "codes"},
		{"code as number", "POST", "/api/v5/telephony/call/event", doc("event", `{"phone":"1","type":"in","codes":[101]}`), 400, "codes"},
		{"upload vocabulary", "POST", "/api/v5/telephony/calls/upload", doc("calls", `[{`+strings.Replace(okCall, "answered", "no answered", 1)+`}]`), 400, "result"},
		{"upload ISO date", "POST", "/api/v5/telephony/calls/upload", doc("calls", `[{`+strings.Replace(okCall, " 03", "T03", 1)+`}]`), 400, "date"},
		{"upload relative link", "POST", "/api/v5/telephony/calls/upload", doc("calls", `[{`+okCall+`,"recordUrl":"/r"}]`), 400, "recordUrl"},
		{"upload negative", "POST", "/api/v5/telephony/calls/upload", doc("calls", `[{`+okCall+`,"duration":-1}]`), 400, "duration"},
		{"upload one bad of two", "POST", "/api/v5/telephony/calls/upload", doc("calls", `[{`+okCall+`},{"type":"in"}]`), 400, "calls[1]"},
		{"upload 51", "POST", "/api/v5/telephony/calls/upload", doc("calls", `[`+strings.Repeat(`{},`, 50)+`{}]`), 400, entityFormat},
		{"manager of nothing", "GET", "/api/v5/telephony/manager", nil, 400, "Parameter 'phone' is missing"},
		{"details as word", "GET", "/api/v5/telephony/manager?phone=1&details=True", nil, 400, "details"},
		{"task for nobody", "POST", "/api/v5/tasks/create", doc("task", `{"text":"x"}`), 400, "performerId: This value should not be blank."},
		{"task with seconds", "POST", "/api/v5/tasks/create", doc("task", `{"text":"x","performerId":11,"datetime":"2026-01-02 03:04:05"}`), 400, "Task is not loaded"},
		{"task read name", "POST", "/api/v5/tasks/create", doc("task", `{"text":"x","performer":11}`), 400, "Task is not loaded"},
		{"order type", "POST", "/api/v5/orders/create", doc("order", `{"orderType":"x"}`), 400, "orderType"},
		{"order source", "POST", "/api/v5/orders/create", doc("order", `{"source":{"order":{}}}`), 400, "source"},
		{"order of nobody", "POST", "/api/v5/orders/create", doc("order", `{"customer":{"id":77}}`), 400, "customer"},
		{"module without client id", "POST", "/api/v5/integration-modules/m/edit", doc("integrationModule", `{"code":"m"}`), 400, "clientId"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := New(Options{})
			status, body := f.call(t, c.method, c.path, c.form)
			var v struct {
				Success  *bool
				ErrorMsg string
			}
			if err := json.Unmarshal([]byte(body), &v); err != nil || v.Success == nil || *v.Success {
				t.Errorf("envelope: %s", body)
			}
			text, _ := json.Marshal(c.text)
			if status != c.status || !strings.Contains(body, strings.Trim(string(text), `"`)) {
				t.Errorf("%d %s, want %d with %q", status, body, c.status, c.text)
			}
			if f.calls != nil || f.tasks != nil || f.orders != nil || f.customers != nil || f.events != nil {
				t.Error("something was kept")
			}
		})
	}
}

func TestKeysAndAddresses(t *testing.T) {
	f := New(Options{})
	ask := func(method, path, key string) (int, string) {
		req := httptest.NewRequest(method, path, nil)
		req.Header.Set("X-API-KEY", key)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	for _, c := range []struct{ path, key, text string }{
		{"/api/v5/users", "", `\"apiKey\" is missing.`}, {"/api/v5/users", "old", `Wrong \"apiKey\" value.`},
		{"/api/v5/users?apiKey=" + DefaultKey, "", `"success":true`}, {"/api/v5/users", DefaultKey, `"success":true`},
	} {
		if _, body := ask("GET", c.path, c.key); !strings.Contains(body, c.text) {
			t.Errorf("%s with %q: %s", c.path, c.key, body)
		}
	}
	f.Restrict("/api/users")
	if code, body := ask("GET", "/api/v5/users", DefaultKey); code != 403 || !strings.Contains(body, "Access denied.") {
		t.Error(code, body)
	}
	if _, body := ask("GET", "/api/credentials", DefaultKey); strings.Contains(body, `"/api/users"`) || !strings.Contains(body, `"/api/users/{id}"`) {
		t.Error(body)
	}
	f.Close()
	if code, body := ask("GET", "/api/v5/orders", DefaultKey); code != 404 || !strings.Contains(body, "Account does not exist.") {
		t.Error(code, body)
	}
	if code, body := ask("POST", "/api/v5/orders/create", DefaultKey); code != 405 || !strings.HasPrefix(body, "<") {
		t.Error(code, body)
	}
}

func TestSpeedLimits(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := New(Options{Now: func() time.Time { return now }})
	run := func(path string, n int) (refused int) {
		for range n {
			if code, _ := f.call(t, "GET", path, nil); code == http.StatusServiceUnavailable {
				refused++
			}
		}
		return refused
	}
	if a, b := run("/api/v5/users", 13), run("/api/v5/telephony/manager?phone=1", 45); a != 3 || b != 5 {
		t.Errorf("refused %d and %d, want 3 and 5", a, b)
	}
	now = now.Add(time.Second)
	if a := run("/api/v5/users", 10); a != 0 {
		t.Errorf("refused %d a second later", a)
	}
}

func TestShops(t *testing.T) {
	f := New(Options{Sites: []string{"a", "b"}, Unlimited: true})
	form := func(site string) url.Values {
		v := doc("customer", `{"externalId":"k"}`)
		if site != "" {
			v.Set("site", site)
		}
		return v
	}
	for site, want := range map[string]int{"": 400, "a": 201, "b": 201, "c": 400} {
		if code, body := f.call(t, "POST", "/api/v5/customers/create", form(site)); code != want {
			t.Errorf("%q: %d %s", site, code, body)
		}
	}
	if code, _ := f.call(t, "POST", "/api/v5/customers/create", form("a")); code != 400 {
		t.Error("one shop has a key twice")
	}
	if code, _ := f.call(t, "GET", "/api/v5/customers/k", nil); code != 400 {
		t.Error("a key without its shop")
	}
	if code, body := f.call(t, "GET", "/api/v5/customers/k?site=b", nil); code != 200 || !strings.Contains(body, `"customFields":[]`) {
		t.Error(code, body)
	}
}

func TestUploadedTwiceIsNamedAndKeptOnce(t *testing.T) {
	f := New(Options{})
	calls := doc("calls", `[{"date":"2026-01-02 03:04:05","type":"in","phone":"7","result":"unknown","externalId":"c1"},
		{"date":"2026-01-02 03:04:05","type":"in","phone":"7","result":"unknown","externalId":"c1"}]`)
	for i, want := range []string{`"processedCallsCount":1`, `"processedCallsCount":0`} {
		_, body := f.call(t, "POST", "/api/v5/telephony/calls/upload", calls)
		if !strings.Contains(body, want) || !strings.Contains(body, `"c1"`) {
			t.Errorf("upload %d: %s", i+1, body)
		}
	}
	if len(f.calls) != 1 {
		t.Errorf("%d calls", len(f.calls))
	}
}

func TestHistoryOfAnOrder(t *testing.T) {
	f := New(Options{})
	f.call(t, "POST", "/api/v5/orders/create", doc("order", `{"externalId":"o","items":[{"initialPrice":100.5,"quantity":2}]}`))
	edit := doc("order", `{"status":"complete","managerComment":"x"}`)
	if code, body := f.call(t, "POST", "/api/v5/orders/o/edit", edit); code != 200 || !strings.Contains(body, `"totalSumm":201`) {
		t.Fatal(code, body)
	}
	_, body := f.call(t, "GET", "/api/v5/orders/history?filter%5BsinceId%5D=0", nil)
	var v struct {
		History []struct {
			ID                 int
			Created            bool
			Field              string
			OldValue, NewValue any
			APIKey             struct{ Current bool }
			Order              object
		}
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil || len(v.History) != 3 {
		t.Fatal(err, body)
	}
	first, second := v.History[0], v.History[1]
	if !first.Created || first.Field != "status" || first.Order["totalSumm"] == nil || !first.APIKey.Current {
		t.Errorf("%+v", first)
	}
	if second.Created || second.Field != "status" || second.Order["totalSumm"] != nil || str(second.NewValue.(object)["code"]) != "complete" {
		t.Errorf("%+v", second)
	}
	if v.History[2].Field != "manager_comment" {
		t.Errorf("%+v", v.History[2])
	}
}

func TestModuleGivesUsersTheirExtensions(t *testing.T) {
	f := New(Options{})
	mod := doc("integrationModule", `{"code":"cb","integrationCode":"cb","active":true,"clientId":"secret","name":"Callbridge","baseUrl":"https://cb.example.test",
		"logo":"https://cb.example.test/l.svg","integrations":{"telephony":{"makeCallUrl":"https://cb.example.test/call","allowEdit":false,
		"additionalCodes":[{"userId":11,"code":"201"},{"userId":99,"code":"202"}],"externalPhones":[{"siteCode":"nope","externalPhone":"7"}]}}}`)
	code, body := f.call(t, "POST", "/api/v5/integration-modules/cb/edit", mod)
	if code != 201 || !strings.Contains(body, `"notExistUsersIds":[99]`) || !strings.Contains(body, `"notExistSiteCodes":["nope"]`) {
		t.Error(code, body)
	}
	if f.users[0].Extension != "201" || f.users[1].Extension != "" {
		t.Error("the list of extensions was not replaced")
	}
	if code, body = f.call(t, "GET", "/api/v5/integration-modules/cb", nil); code != 200 || strings.Contains(body, "clientId") || !strings.Contains(body, `"actions":[]`) {
		t.Error(code, body)
	}
	f.NoFunds()
	if code, _ = f.call(t, "POST", "/api/v5/integration-modules/cb/edit", mod); code != 402 {
		t.Error(code)
	}
}

func TestUnescapedPlusFindsNothing(t *testing.T) {
	f := New(Options{Customers: []Customer{{First: "x", Phones: []string{"+79161234567"}}}})
	for path, want := range map[string]bool{
		"/api/v5/customers?filter%5Bname%5D=%2B79161234567": true, "/api/v5/customers?filter%5Bname%5D=+79161234567": false,
		"/api/v5/telephony/manager?details=1&phone=%2B79161234567": true, "/api/v5/telephony/manager?details=1&phone=+79161234567": false,
	} {
		if _, body := f.call(t, "GET", path, nil); strings.Contains(body, `"firstName":"x"`) != want {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestResetKeepsOnlyTheBeginning(t *testing.T) {
	f := New(Options{Customers: []Customer{{First: "x"}}})
	f.call(t, "POST", "/api/v5/customers/create", doc("customer", `{"firstName":"y"}`))
	f.Restrict("/api/users")
	f.Reset()
	if len(f.Objects()) != 4 || len(f.denied) != 0 {
		t.Errorf("%d objects", len(f.Objects()))
	}
	if len(f.RequestLog()) != 0 {
		t.Error("the log is kept")
	}
}
