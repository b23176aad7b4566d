package megaplantest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"callbridge/crm/sandbox"
)

// ask sends one request with the static token.
func ask(t *testing.T, s *Server, method, path, body string, header ...string) (int, map[string]any) {
	t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer app")
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, req)
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s %s: the answer is no JSON: %s", method, path, rec.Body)
	}
	return rec.Code, out
}

func query(path, q string) string { return "/api/v3" + path + "?" + url.QueryEscape(q) }

func account() *Server {
	return New(Options{Token: "app", Seed: Seed{
		Employees: []Employee{{FirstName: "Иван", Email: "ivan@example.ru", Extension: "101"}, {FirstName: "Анна", Email: "anna@example.ru"}},
		Clients: []Client{{FirstName: "Пётр", Phones: []string{"+7 916 123-45-67"}, Responsible: "ivan@example.ru"},
			{FirstName: "Павел", Phones: []string{"79161234567"}, Responsible: "ivan@example.ru"}},
	}})
}

func TestRefusals(t *testing.T) {
	const human = "1000003"
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"unknown route", "GET", "/api/v3/telephony", "", 404, ""},
		{"other root", "GET", "/rest/employee", "", 404, ""},
		{"other method", "PUT", "/api/v3/todo", "", 405, ""},
		{"client without kind", "POST", "/api/v3/contractor", `{"name":"x"}`, 405, ""},
		{"trailing slash", "GET", "/api/v3/employee/", "", 200, ""},
		{"query of keys", "GET", "/api/v3/employee?limit=10", "", 422, "JSON object"},
		{"unknown query key", "GET", query("/todo", `{"from":1}`), "", 422, `There is extra field "from"`},
		{"employee filter by department", "GET", query("/employee", `{"department":1}`), "", 422, "department"},
		{"unknown field asked", "GET", query("/deal", `{"fields":["deadline"]}`), "", 422, "have not this fields"},
		{"unknown field of employee", "GET", query("/employee", `{"fields":["salary"]}`), "", 422, "have not this fields"},
		{"limit 0", "GET", query("/employee", `{"limit":0}`), "", 422, "limit"},
		{"limit as text", "GET", query("/employee", `{"limit":"10"}`), "", 422, "limit"},
		{"sort without content type", "GET", query("/contractor", `{"sortBy":[{"field":"name","desc":true}]}`), "", 422, "SortField[]"},
		{"sort by what is not sortable", "GET", query("/contractor", `{"sortBy":[{"contentType":"SortField","fieldName":"description","desc":true}]}`), "", 422, "not sortable"},
		{"page after no type", "GET", query("/contractor", `{"pageAfter":{"contentType":"Contractor","id":"`+human+`"}}`), "", 422, "Contractor"},
		{"page after nobody", "GET", query("/contractor", `{"pageAfter":{"contentType":"ContractorHuman","id":"5"}}`), "", 422, "not found"},
		{"page after", "GET", query("/contractor", `{"pageAfter":{"contentType":"ContractorHuman","id":"`+human+`"},"limit":1}`), "", 200, ""},
		{"filter of another kind", "GET", query("/todo", `{"filter":{"contentType":"CrmFilter"}}`), "", 422, "TodoFilter"},
		{"comparison", "GET", query("/todo", `{"filter":{"contentType":"TodoFilter","config":{"contentType":"FilterConfig","termGroup":{"contentType":"FilterTermGroup","join":"and","terms":[{"contentType":"FilterTermRef","field":"responsible","comparison":"is","value":[]}]}}}}`), "", 422, "FilterTerm"},
		{"body without content type header", "POST", "/api/v3/todo", "{", 422, "Syntax"},
		{"todo without name", "POST", "/api/v3/todo", `{"contentType":"Todo"}`, 422, "name"},
		{"todo with unknown property", "POST", "/api/v3/todo", `{"name":"x","deadline":1}`, 422, "extra field"},
		{"todo of another type", "POST", "/api/v3/todo", `{"contentType":"Task","name":"x"}`, 422, "Task"},
		{"link without type", "POST", "/api/v3/todo", `{"name":"x","responsible":{"id":"1000001"}}`, 422, "'stdClass' is not assignable to"},
		{"link to nobody", "POST", "/api/v3/todo", `{"name":"x","responsible":{"contentType":"Employee","id":"77"}}`, 422, "not found"},
		{"link to the wrong kind", "POST", "/api/v3/todo", `{"name":"x","relations":[{"contentType":"Employee","id":"1000001"}]}`, 422, "Employee"},
		{"when without types", "POST", "/api/v3/todo", `{"name":"x","when":{"from":"2026-03-05"}}`, 422, "IntervalDates|IntervalTime"},
		{"when with bare bounds", "POST", "/api/v3/todo", `{"name":"x","when":{"contentType":"IntervalTime","from":{"value":"2026-03-05T10:00:00Z"}}}`, 422, "stdClass"},
		{"month 12", "POST", "/api/v3/todo", `{"name":"x","when":{"contentType":"IntervalDates","from":{"contentType":"DateOnly","year":2026,"month":12,"day":1}}}`, 422, "between 0 and 11"},
		{"unknown type of contact", "POST", "/api/v3/contractorHuman", `{"contactInfo":[{"contentType":"ContactInfo","type":"fax","value":"1"}]}`, 422, "type"},
		{"company without name", "POST", "/api/v3/contractorCompany", `{"description":"x"}`, 422, "name"},
		{"computed name", "POST", "/api/v3/contractorHuman", `{"name":"x"}`, 422, "name"},
		{"deal without scheme", "POST", "/api/v3/deal", `{"name":"x"}`, 422, "program"},
		{"call of unknown type", "POST", "/api/v3/callInfo", `{"type":"incoming"}`, 422, "type"},
		{"history as an object", "POST", "/api/v3/callInfo/history", `{"contentType":"CallInfo"}`, 422, "CallInfo[]"},
		{"provider without id", "GET", "/api/v3/callInfo/provider", "", 422, "providerId"},
		{"unknown provider id", "GET", query("/callInfo/provider", `{"providerId":"x"}`), "", 404, ""},
		{"nobody's page", "GET", "/api/v3/contractor/5", "", 404, ""},
		{"other id in the body", "POST", "/api/v3/contractorHuman/" + human, `{"id":"5"}`, 422, "id"},
		{"id as a number", "POST", "/api/v3/contractorHuman/" + human, `{"id":` + human + `,"firstName":"x"}`, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, out := ask(t, account(), c.method, c.path, c.body)
			b, _ := json.Marshal(out)
			text := strings.NewReplacer(`\"`, `"`, `\u0026`, "&").Replace(string(b))
			if status != c.status || !strings.Contains(text, c.says) {
				t.Errorf("%d %s, want %d with %q", status, b, c.status, c.says)
			}
			if meta := out["meta"].(map[string]any); meta["status"] != float64(c.status) {
				t.Errorf("meta %v", meta)
			}
		})
	}
}

func TestBodyMustBeJSONByItsHeader(t *testing.T) {
	if status, _ := ask(t, account(), "POST", "/api/v3/todo", `{"name":"x"}`, "Content-Type", "text/plain"); status != 422 {
		t.Errorf("status %d", status)
	}
}

func TestPaginationIsAnEmptyArrayForOneEntity(t *testing.T) {
	_, out := ask(t, account(), "GET", "/api/v3/currentUser", "")
	if p, ok := out["meta"].(map[string]any)["pagination"].([]any); !ok || len(p) != 0 {
		t.Errorf("meta %v", out["meta"])
	}
	_, out = ask(t, account(), "GET", query("/employee", `{"limit":1}`), "")
	p := out["meta"].(map[string]any)["pagination"].(map[string]any)
	if p["count"] != 2.0 || p["hasMoreNext"] != true || p["hasMorePrev"] != false {
		t.Errorf("pagination %v", p)
	}
}

func TestUnknownFilterFieldIsIgnored(t *testing.T) {
	filter := `{"filter":{"contentType":"CrmFilter","id":null,"config":{"contentType":"FilterConfig","termGroup":{"contentType":"FilterTermGroup","join":"and","terms":[{"contentType":"FilterTermString","field":"FIELD","comparison":"equals","value":"Павел"}]}}}}`
	for field, want := range map[string]int{"phones": 2, "firstName": 1} {
		_, out := ask(t, account(), "GET", query("/contractor", strings.Replace(filter, "FIELD", field, 1)), "")
		if got := out["data"].([]any); len(got) != want {
			t.Errorf("%s: %d clients, want %d", field, len(got), want)
		}
	}
}

func TestRelatedEntityIsFullOnceThenALink(t *testing.T) {
	path := query("/contractor", `{"fields":["responsibles"]}`)
	_, out := ask(t, account(), "GET", path, "")
	var sizes []int
	for _, c := range out["data"].([]any) {
		sizes = append(sizes, len(c.(map[string]any)["responsibles"].([]any)[0].(map[string]any)))
	}
	if len(sizes) != 2 || sizes[0] <= 2 || sizes[1] != 2 {
		t.Errorf("sizes %v, want the first in full and the second a link", sizes)
	}
	_, out = ask(t, account(), "GET", path, "", "X-USE-INCLUDED-RESPONSE", "true")
	if n := len(out["included"].([]any)); n != 1 {
		t.Errorf("%d included", n)
	}
}

func TestTodoUpdateWithoutIDMakesAnother(t *testing.T) {
	s := account()
	ask(t, s, "POST", "/api/v3/todo", `{"name":"a"}`)
	_, out := ask(t, s, "POST", "/api/v3/todo/1", `{"name":"b"}`)
	if id := out["data"].(map[string]any)["id"]; id != "2" {
		t.Errorf("id %v, want another todo", id)
	}
	ask(t, s, "POST", "/api/v3/todo/1", `{"id":"1","name":"c"}`)
	if n := sandbox.Count(s, "task"); n != 2 {
		t.Errorf("%d todos", n)
	}
}

func TestTodoReadsLate(t *testing.T) {
	now := time.Date(2026, 3, 5, 10, 0, 0, 0, time.UTC)
	s := New(Options{Token: "app", Now: func() time.Time { return now }})
	s.Change(func(q *Quirks) { q.TodoLag = 5 * time.Second })
	ask(t, s, "POST", "/api/v3/todo", `{"name":"a"}`)
	ask(t, s, "POST", "/api/v3/todo/1", `{"id":"1","name":"b"}`)
	for _, want := range []string{"a", "b"} {
		_, out := ask(t, s, "GET", "/api/v3/todo/1", "")
		if got := out["data"].(map[string]any)["name"]; got != want {
			t.Errorf("name %v, want %s", got, want)
		}
		now = now.Add(5 * time.Second)
	}
}

func TestTransitionOnlyAlongTheScheme(t *testing.T) {
	s := account()
	ask(t, s, "POST", "/api/v3/deal", `{"contentType":"Deal","program":{"contentType":"Program","id":"1"}}`)
	_, out := ask(t, s, "GET", "/api/v3/deal/1", "")
	moves := out["data"].(map[string]any)["possibleTransitions"].([]any)
	last := moves[len(moves)-1].(map[string]any)["id"].(string) // Отказ
	body := `{"contentType":"ProgramTransition","id":"` + last + `"}`
	if status, _ := ask(t, s, "POST", "/api/v3/deal/1/applyTransition", body); status != 200 {
		t.Fatalf("status %d", status)
	}
	if status, _ := ask(t, s, "POST", "/api/v3/deal/1/applyTransition", body); status != 403 {
		t.Errorf("a lost deal was moved on: %d", status)
	}
}

func TestSetContractorFillsTheRightSide(t *testing.T) {
	s := account()
	ask(t, s, "POST", "/api/v3/callInfo", `{"type":"out","state":"calling","toPhone":"79161234567"}`)
	ask(t, s, "POST", "/api/v3/callInfo/1/todos", `{"name":"x"}`)
	_, out := ask(t, s, "POST", "/api/v3/callInfo/1/setContractor", `{"contentType":"ContractorHuman","id":"1000003"}`)
	if to := out["data"].(map[string]any)["toUser"].(map[string]any); to["id"] != "1000003" {
		t.Errorf("toUser %v", to)
	}
	if o := s.Objects(); o[len(o)-2].Value("client") != "Пётр" && o[len(o)-1].Value("client") != "Пётр" {
		t.Errorf("the client is not in the call's todo: %+v", o)
	}
}

func TestTokenEndpoint(t *testing.T) {
	s := account()
	for _, c := range []struct {
		body, ctype string
		status      int
		code        string
	}{
		{"grant_type=password&username=bot@example.ru&password=secret", "application/x-www-form-urlencoded", 200, ""},
		{`{"grant_type":"password","username":"bot@example.ru","password":"secret"}`, "application/json", 200, ""},
		{"--b\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\npassword\r\n--b--\r\n", "multipart/form-data; boundary=b", 400, "invalid_request"},
		{"grant_type=password&username=bot@example.ru&password=wrong", "application/x-www-form-urlencoded", 400, "invalid_grant"},
		{"grant_type=code", "application/x-www-form-urlencoded", 400, "unsupported_grant_type"},
		{"grant_type=refresh_token&refresh_token=dead", "application/x-www-form-urlencoded", 400, "invalid_grant"},
	} {
		status, out := ask(t, s, http.MethodPost, "/api/v3/auth/access_token", c.body, "Content-Type", c.ctype)
		if code, _ := out["error"].(string); status != c.status || code != c.code {
			t.Errorf("%s: %d %v", c.body, status, out)
		}
	}
	if status, _ := ask(t, s, "GET", "/api/v3/currentUser", "", "Authorization", "Bearer nobody"); status != 401 {
		t.Errorf("an unknown token gave %d", status)
	}
}

func TestPasswordLeakIsSeen(t *testing.T) {
	s := account()
	ask(t, s, "POST", "/api/v3/auth/access_token", "grant_type=password&username=bot@example.ru&password=secret", "Content-Type", "application/x-www-form-urlencoded")
	if l := s.PasswordLeaks(); l != nil {
		t.Errorf("leaks %v", l)
	}
	ask(t, s, "GET", query("/employee", `{"q":"secret"}`), "")
	if l := s.PasswordLeaks(); len(l) != 1 {
		t.Errorf("leaks %v", l)
	}
}

func TestResetKeepsTheSeedAndForgetsTheRest(t *testing.T) {
	s := account()
	before := len(s.Objects())
	ask(t, s, "POST", "/api/v3/todo", `{"name":"a"}`)
	s.SetFault(sandbox.Broken, true)
	s.Reset()
	if n := len(s.Objects()); n != before {
		t.Errorf("%d objects, want %d", n, before)
	}
	if status, _ := ask(t, s, "GET", "/api/v3/currentUser", ""); status != 200 {
		t.Errorf("status %d", status)
	}
}
