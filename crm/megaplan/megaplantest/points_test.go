package megaplantest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"callbridge/crm/sandbox"
)

// TestPointsOfTheReference goes through the rules of the reference's last part,
// by their numbers. What TestRefusals and its neighbours show at length is only
// touched here.
func TestPointsOfTheReference(t *testing.T) {
	const human, other, ivan = "1000003", "1000004", "1000001"
	data := func(out map[string]any) map[string]any { m, _ := out["data"].(map[string]any); return m }
	items := func(out map[string]any) []any { l, _ := out["data"].([]any); return l }
	status := func(t *testing.T, s *Server, want int, method, path, body string, header ...string) map[string]any {
		t.Helper()
		got, out := ask(t, s, method, path, body, header...)
		if got != want {
			b, _ := json.Marshal(out)
			t.Errorf("%s %s %s: %d %s, want %d", method, path, body, got, b, want)
		}
		return out
	}
	const api = "/api/v3"
	for n, point := range map[int]func(*testing.T, *Server){
		1: func(t *testing.T, s *Server) {
			status(t, s, 200, "GET", api+"/currentUser/", "")
			status(t, s, 404, "GET", api+"/telephony", "")
			status(t, s, 405, "DELETE", api+"/currentUser", "")
			status(t, s, 405, "GET", "/api/file", "")
		},
		2: func(t *testing.T, s *Server) {
			status(t, s, 422, "GET", api+"/employee?limit=10", "")
			for _, q := range []string{url.QueryEscape(`{"q": "a b"}`), strings.ReplaceAll(url.QueryEscape(`{"q": "a b"}`), "+", "%20")} {
				status(t, s, 200, "GET", api+"/contractor?"+q, "")
			}
		},
		3: func(t *testing.T, s *Server) {
			status(t, s, 422, "POST", api+"/todo", `{"name":"x"}`, "Content-Type", "text/plain")
			status(t, s, 422, "POST", "/api/file", `{}`)
			var form bytes.Buffer
			w := multipart.NewWriter(&form)
			part, err := w.CreateFormFile("files[]", "запись.wav")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = part.Write([]byte("RIFF"))
			_ = w.Close()
			out := status(t, s, 200, "POST", "/api/file", form.String(), "Content-Type", w.FormDataContentType())
			f := items(out)[0].(map[string]any)
			if f["id"] != "1" || f["extension"] != "wav" || f["size"] != 4.0 {
				t.Errorf("%v", f)
			}
			req := httptest.NewRequest("GET", f["path"].(string), nil)
			req.Header.Set("Authorization", "Bearer app")
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, req)
			if rec.Code != 200 || rec.Body.String() != "RIFF" {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			if out := status(t, s, 200, "GET", api+"/attache/shareUrl/1", ""); data(out)["link"] == "" {
				t.Errorf("%v", out)
			}
		},
		4: func(t *testing.T, s *Server) {
			out := status(t, s, 200, "POST", api+"/todo", `{"name":"x","when":{"contentType":"IntervalTime","from":{"contentType":"DateTime","value":"2026-03-05T13:00:00+03:00"},"to":{"contentType":"DateTime","value":"2026-03-05T15:00:00+03:00"}}}`)
			from := data(out)["when"].(map[string]any)["from"].(map[string]any)["value"]
			if data(out)["id"] != "1" || from != "2026-03-05T10:00:00+00:00" || fmt.Sprint(out["meta"].(map[string]any)["pagination"]) != "[]" {
				t.Errorf("%v", out)
			}
			page := status(t, s, 200, "GET", query("/employee", `{"limit":1}`), "")["meta"].(map[string]any)["pagination"].(map[string]any)
			for _, k := range []string{"count", "limit", "currentPage", "hasMoreNext", "hasMorePrev"} {
				if _, ok := page[k]; !ok {
					t.Errorf("no %s in %v", k, page)
				}
			}
			status(t, s, 422, "POST", api+"/contractorHuman", `{"birthday":{"contentType":"DateOnly","year":2026,"month":12,"day":1}}`)
		},
		5: func(t *testing.T, s *Server) {
			out := status(t, s, 200, "GET", query("/contractor", `{"fields":["responsibles"]}`), "", "X-USE-INCLUDED-RESPONSE", "true")
			if len(out["included"].([]any)) != 1 {
				t.Errorf("%v", out)
			}
		},
		6: func(t *testing.T, s *Server) {
			out := status(t, s, 401, "GET", api+"/currentUser", "", "Authorization", "Bearer nobody")
			if out["meta"].(map[string]any)["status"] != 401.0 {
				t.Errorf("%v", out)
			}
			s.Change(func(q *Quirks) { q.OAuthRefusal = true })
			if out := status(t, s, 401, "GET", api+"/currentUser", "", "Authorization", ""); out["error"] == "" || out["meta"] != nil {
				t.Errorf("%v", out)
			}
		},
		7: func(t *testing.T, s *Server) {
			const form = "application/x-www-form-urlencoded"
			login := func(body string) (int, map[string]any) {
				return ask(t, s, "POST", tokenPath, body, "Content-Type", form)
			}
			_, first := login("grant_type=password&username=bot@example.ru&password=secret")
			if first["expires_in"] != 172800.0 || first["meta"] != nil {
				t.Errorf("%v", first)
			}
			again := "grant_type=refresh_token&refresh_token=" + first["refresh_token"].(string)
			if code, _ := login(again); code != 200 {
				t.Error(code)
			}
			if code, out := login(again); code != 400 || out["error"] != "invalid_grant" {
				t.Errorf("a used refresh token: %d %v", code, out)
			}
			s.Change(func(q *Quirks) { q.TokenRefusal = 401 })
			if code, _ := login(again); code != 401 {
				t.Error(code)
			}
			if code, out := login("grant_type=x"); code != 400 || out["error"] != "unsupported_grant_type" {
				t.Error(code, out)
			}
			if code, out := login("grant_type=password&username=a"); code != 400 || out["error"] != "invalid_request" {
				t.Error(code, out)
			}
		},
		8: func(t *testing.T, s *Server) {
			token := func(password string) string {
				_, out := ask(t, s, "POST", tokenPath, "grant_type=password&username=bot@example.ru&password="+password, "Content-Type", "application/x-www-form-urlencoded")
				a, _ := out["access_token"].(string)
				return "Bearer " + a
			}
			old := token("secret")
			s.SetPassword("second", false)
			status(t, s, 200, "GET", api+"/currentUser", "", "Authorization", old)
			s.SetPassword("third", true)
			status(t, s, 401, "GET", api+"/currentUser", "", "Authorization", old)
			fresh := token("third")
			s.ExpireTokens()
			status(t, s, 401, "GET", api+"/currentUser", "", "Authorization", fresh)
			s.SwitchOff(true)
			status(t, s, 403, "GET", api+"/currentUser", "")
		},
		9: func(t *testing.T, s *Server) { status(t, s, 200, "GET", api+"/currentUser", "") },
		10: func(t *testing.T, s *Server) {
			app := s.AddApplication(Application{Name: "Callbridge"})
			check := api + "/integration/" + app + "/checkUserSign/"
			if out := status(t, s, 200, "GET", check+s.Sign(ivan), ""); data(out)["id"] != ivan {
				t.Errorf("%v", out)
			}
			status(t, s, 404, "GET", check+"unknown", "")
			s.Change(func(q *Quirks) { q.SignForbidden = true })
			status(t, s, 403, "GET", check+"unknown", "")
			status(t, s, 404, "GET", api+"/integration/none/checkUserSign/x", "")
		},
		11: func(t *testing.T, s *Server) {
			for _, path := range []string{"/deal", "/todo", "/contractor", "/callInfo"} { // empty lists, too
				status(t, s, 422, "GET", query(path, `{"fields":["nonsense"]}`), "")
				status(t, s, 422, "GET", query(path, `{"nonsense":1}`), "")
			}
		},
		12: func(t *testing.T, s *Server) {
			for _, body := range []string{`{"name":"x","nonsense":1}`, `{"contentType":"Task","name":"x"}`, `{"name":"x","responsible":{"id":"1000001"}}`} {
				status(t, s, 422, "POST", api+"/todo", body)
			}
		},
		13: func(t *testing.T, s *Server) {
			status(t, s, 422, "POST", api+"/todo", `{"name":"x","responsible":{"contentType":"Employee","id":"77"}}`)
			status(t, s, 404, "GET", api+"/contractorHuman/77", "")
			status(t, s, 422, "POST", api+"/todo", `{"name":"x","category":{"contentType":"Employee","id":"1000001"}}`)
		},
		14: func(t *testing.T, s *Server) {
			for _, by := range []string{`[{"field":"name","desc":true}]`, `[{"contentType":"SortField","fieldName":"name"}]`, `[{"contentType":"SortField","fieldName":"description","desc":true}]`} {
				status(t, s, 422, "GET", query("/deal", `{"sortBy":`+by+`}`), "")
			}
			status(t, s, 200, "GET", query("/deal", `{"sortBy":[{"contentType":"SortField","fieldName":"timeUpdated","desc":true}]}`), "")
		},
		15: func(t *testing.T, s *Server) {
			status(t, s, 422, "GET", query("/contractor", `{"pageAfter":{"contentType":"Contractor","id":"`+human+`"}}`), "")
			after := query("/contractor", `{"limit":1,"pageAfter":{"contentType":"ContractorHuman","id":"`+human+`"}}`)
			for included, want := range map[bool]string{false: other, true: human} {
				s.Change(func(q *Quirks) { q.PageAfterIncluded = included })
				if out := status(t, s, 200, "GET", after, ""); items(out)[0].(map[string]any)["id"] != want {
					t.Errorf("included %t: %v", included, out)
				}
			}
		},
		16: func(t *testing.T, s *Server) {
			filter := func(term string) string {
				return query("/deal", `{"filter":{"contentType":"TradeFilter","id":null,"config":{"contentType":"FilterConfig","termGroup":{"contentType":"FilterTermGroup","join":"and","terms":[`+term+`]}}}}`)
			}
			for _, price := range []string{"100", "200"} {
				status(t, s, 200, "POST", api+"/deal", `{"program":{"contentType":"Program","id":"1"},"price":{"contentType":"Money","value":`+price+`}}`)
			}
			number := func(comparison, value string) string {
				return filter(`{"contentType":"FilterTermNumber","field":"price","comparison":"` + comparison + `","value":` + value + `}`)
			}
			for path, want := range map[string]int{number("more", "150"): 1, number("less_eq", "200"): 2, number("one_of", "[100,7]"): 1,
				number("interval", `{"contentType":"IntervalNumbers","from":150,"to":250}`): 1, number("not_equals", "100"): 1,
				filter(`{"contentType":"FilterTermString","field":"nonsense","comparison":"equals","value":"x"}`): 2} {
				if out := status(t, s, 200, "GET", path, ""); len(items(out)) != want {
					t.Errorf("%s: %d", path, len(items(out)))
				}
			}
			for _, path := range []string{number("is", "1"), number("more", `"x"`), number("interval", "5"),
				filter(`{"contentType":"FilterTermDate","field":"timeUpdated","comparison":"equals","value":{"contentType":"FilterTermDateValue","mode":"someday"}}`)} {
				status(t, s, 422, "GET", path, "")
			}
			status(t, s, 200, "GET", filter(`{"contentType":"FilterTermDate","field":"timeUpdated","comparison":"equals","value":{"contentType":"FilterTermDateValue","mode":"past","unit":"day","value":3}}`), "")
			if out := status(t, s, 200, "GET", query("/deal", `{"q":"nothing like it"}`), ""); len(items(out)) != 2 {
				t.Errorf("q on deals: %v", out)
			}
			if out := status(t, s, 200, "GET", query("/employee", `{"q":"nothing like it","filter":{}}`), ""); len(items(out)) != 2 {
				t.Errorf("q on employees: %v", out)
			}
			status(t, s, 422, "GET", query("/employee", `{"status":1}`), "")
		},
		17: func(t *testing.T, s *Server) {
			for path, body := range map[string]string{"/callInfo": `{"state":"ringing"}`, "/contractorHuman": `{"gender":"x"}`, "/contractorCompany": `{}`, "/todo": `{}`, "/deal": `{"name":"x"}`} {
				status(t, s, 422, "POST", api+path, body)
			}
		},
		18: func(t *testing.T, s *Server) {
			s.Change(func(q *Quirks) { q.RequiredClient = []string{"email"} })
			status(t, s, 422, "POST", api+"/contractorHuman", `{"firstName":"x"}`)
			id := s.AddProgram(Program{Name: "Строгая", States: []string{"А"}, Fields: []Field{{Name: "Category9CustomFieldX", Label: "X", Required: true}}})
			body := `{"program":{"contentType":"Program","id":"` + id + `"}}`
			status(t, s, 422, "POST", api+"/deal", body)
		},
		19: func(t *testing.T, s *Server) {
			good := `{"name":"x","when":{"contentType":"IntervalDates","from":{"contentType":"DateOnly","year":2026,"month":0,"day":5}}}`
			status(t, s, 200, "POST", api+"/todo", good)
			status(t, s, 422, "POST", api+"/todo", strings.Replace(good, `"contentType":"DateOnly",`, "", 1))
			s.Change(func(q *Quirks) { q.RejectWhen = true })
			status(t, s, 422, "POST", api+"/todo", good)
		},
		20: func(t *testing.T, s *Server) {
			status(t, s, 200, "POST", api+"/todo", `{"name":"a"}`)
			if out := status(t, s, 200, "POST", api+"/todo/1", `{"name":"b"}`); data(out)["id"] != "2" {
				t.Errorf("%v", out)
			}
		},
		21: func(t *testing.T, s *Server) {
			status(t, s, 405, "POST", api+"/contractor", `{}`)
			status(t, s, 200, "POST", api+"/deal", `{"program":{"contentType":"Program","id":"1"}}`)
			status(t, s, 200, "POST", api+"/deal/1/auditors", `{"contentType":"Employee","id":"`+ivan+`"}`)
			status(t, s, 404, "DELETE", api+"/deal/1/auditors/Employee/"+ivan, "")
			if out := status(t, s, 200, "GET", api+"/deal/1/auditors", ""); len(items(out)) != 1 {
				t.Errorf("%v", out)
			}
			status(t, s, 200, "DELETE", api+"/deal/1/auditors/"+ivan, "")
		},
		22: func(t *testing.T, s *Server) {
			route := func(phone string) map[string]any {
				return data(status(t, s, 200, "GET", query("/callRoute", `{"phone":"`+phone+`"}`), ""))
			}
			if r := route("+7 (916) 123-45-67"); len(r["users"].([]any)) != 2 || len(r["employees"].([]any)) != 1 {
				t.Errorf("%v", r)
			}
			if r := route("79990000000"); len(r["users"].([]any))+len(r["employees"].([]any)) != 0 {
				t.Errorf("%v", r)
			}
			out := status(t, s, 200, "GET", query("/contractorHuman/possibleDuplicates", `{"contactInfo":[{"contentType":"ContactInfo","type":"phone","value":"+7 916 123 45 67"}]}`), "")
			if len(items(out)) != 2 {
				t.Errorf("%v", out)
			}
		},
		23: func(t *testing.T, s *Server) {
			in := func(state string) string {
				return `{"contentType":"CallInfo","providerId":"p","type":"in","state":"` + state + `","toUser":{"contentType":"Employee","id":"` + ivan + `"}}`
			}
			status(t, s, 200, "POST", api+"/callInfo", in("calling"))
			status(t, s, 200, "POST", api+"/callInfo/provider", in("talking"))
			status(t, s, 200, "POST", api+"/callInfo/history", "["+in("talking")+"]")
			status(t, s, 422, "POST", api+"/callInfo/history", in("talking"))
			status(t, s, 422, "GET", query("/callInfo/provider", `{}`), "")
			w := s.Widget()
			if len(w) != 2 || !w[0].Created || w[1].State != "talking" || sandbox.Count(s, "call") != 1 {
				t.Errorf("%+v", w)
			}
			out := status(t, s, 200, "GET", api+"/callInfo/1", "")
			if data(out)["state"] != "finished" {
				t.Errorf("history left %v", data(out)["state"])
			}
			status(t, s, 200, "POST", api+"/callInfo", in("calling"))
			if out := status(t, s, 200, "GET", query("/callInfo/provider", `{"providerId":"p"}`), ""); data(out)["id"] != "2" {
				t.Errorf("not the newest: %v", data(out))
			}
			s.Change(func(q *Quirks) { q.CallMakesTodo = true })
			status(t, s, 200, "POST", api+"/callInfo", in("calling"))
			if out := status(t, s, 200, "GET", api+"/callInfo/3/todos", ""); len(items(out)) != 1 {
				t.Errorf("%v", out)
			}
		},
		24: func(t *testing.T, s *Server) {
			status(t, s, 200, "POST", api+"/deal", `{"program":{"contentType":"Program","id":"1"}}`)
			moves := data(status(t, s, 200, "GET", api+"/deal/1", ""))["possibleTransitions"].([]any)
			body := `{"contentType":"ProgramTransition","id":"` + moves[len(moves)-1].(map[string]any)["id"].(string) + `"}`
			if out := status(t, s, 200, "POST", api+"/deal/1/applyTransition", body); data(out)["result"] != "negative" {
				t.Errorf("%v", data(out)["result"])
			}
			status(t, s, 403, "POST", api+"/deal/1/applyTransition", body)
			s.Change(func(q *Quirks) { q.TransitionInvalid = true })
			status(t, s, 422, "POST", api+"/deal/1/applyTransition", body)
			out := status(t, s, 200, "GET", api+"/deal/1/statusHistory", "")
			if h := items(out); len(h) != 2 || h[1].(map[string]any)["fromStatus"] == nil {
				t.Errorf("%v", out)
			}
		},
		25: func(t *testing.T, s *Server) {
			note := `{"contentType":"Comment","content":"<p>a &amp; b</p>"}`
			if out := status(t, s, 200, "POST", api+"/contractorHuman/"+human+"/comments", note); data(out)["content"] != "<p>a &amp; b</p>" {
				t.Errorf("%v", out)
			}
			s.Change(func(q *Quirks) { q.CommentsFail = true })
			status(t, s, 500, "POST", api+"/contractor/"+human+"/comments", note)
			status(t, s, 500, "POST", api+"/bulk/getEntitiesByLinks", `[{"contentType":"Employee","id":"`+ivan+`"}]`)
			out := status(t, s, 200, "POST", api+"/bulk/getEntitiesByLinks", `[{"contentType":"ContractorHuman","id":"`+human+`"},{"contentType":"Deal","id":"9"}]`)
			if len(items(out)) != 1 {
				t.Errorf("%v", out)
			}
			out = status(t, s, 200, "POST", api+"/bulk", `{"contentType":"BulkApiCall","calls":[{"contentType":"ApiCall","method":"GET","url":"/api/v3/deal/9","body":null},{"contentType":"ApiCall","method":"POST","url":"/api/v3/todo","body":"{\"name\":\"x\"}"}]}`)
			if l := items(out); len(l) != 2 || l[0].(map[string]any)["status"] != 404.0 || l[1].(map[string]any)["status"] != 200.0 {
				t.Errorf("%v", out)
			}
			status(t, s, 422, "POST", api+"/bulk", `{"contentType":"BulkApiCall","calls":[{"contentType":"ApiCall","method":"POST","url":"/api/v3/todo","body":{}}]}`)
		},
		26: func(t *testing.T, s *Server) {
			s.Change(func(q *Quirks) { q.TodoLag = time.Hour })
			status(t, s, 200, "POST", api+"/todo", `{"name":"a"}`)
			status(t, s, 200, "POST", api+"/todo/1", `{"id":"1","name":"b"}`)
			if out := status(t, s, 200, "GET", api+"/todo/1", ""); data(out)["name"] != "a" {
				t.Errorf("%v", data(out))
			}
		},
		27: func(t *testing.T, s *Server) {
			status(t, s, 422, "POST", api+"/contractorHuman", `{"Category183CustomFieldX":"1"}`)
			id := s.AddProgram(Program{Name: "Со своим полем", States: []string{"А"}, Fields: []Field{{Name: "Category9CustomFieldX", Label: "X"}}})
			field := `,"Category9CustomFieldX":"1"}`
			status(t, s, 200, "POST", api+"/deal", `{"program":{"contentType":"Program","id":"`+id+`"}`+field)
			status(t, s, 422, "POST", api+"/deal", `{"program":{"contentType":"Program","id":"1"}`+field)
		},
		28: func(t *testing.T, s *Server) {
			var got []string
			refuse := 0
			hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var e struct {
					Event       string
					AccountInfo struct{ UUID, IntegrationUUID, Model string }
					Data        struct{ ID string }
				}
				if err := json.NewDecoder(r.Body).Decode(&e); err != nil || e.AccountInfo.UUID == "" {
					t.Errorf("%v %+v", err, e)
				}
				if refuse > 0 {
					refuse--
					w.WriteHeader(500)
					return
				}
				got = append(got, e.Event+" "+e.AccountInfo.Model+" "+e.Data.ID)
			}))
			defer hook.Close()
			send := func(want ...string) {
				t.Helper()
				got = nil
				if _, err := s.SendHooks(t.Context(), hook.Client()); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%q, want %q", got, want)
				}
			}
			s.AddApplication(Application{Name: "x", StreamURI: hook.URL + "/hooks", Streams: []string{"deals"}})
			status(t, s, 200, "POST", api+"/todo", `{"name":"of no stream"}`)
			status(t, s, 200, "POST", api+"/deal", `{"program":{"contentType":"Program","id":"1"}}`)
			status(t, s, 200, "POST", api+"/deal/1", `{"id":"1","name":"b"}`)
			send("on_after_create Deal 1", "on_after_update Deal 1", "on_after_update Deal 1") // its first state is a change
			s.Change(func(q *Quirks) { q.HooksReversed, q.HooksDouble = true, true })
			status(t, s, 200, "POST", api+"/deal/1", `{"id":"1","name":"c"}`)
			status(t, s, 200, "DELETE", api+"/deal/1", "")
			send("on_after_drop Deal 1", "on_after_drop Deal 1", "on_after_update Deal 1", "on_after_update Deal 1")
			s.Change(func(q *Quirks) { *q = Quirks{} })
			refuse = 1
			status(t, s, 200, "POST", api+"/deal", `{"program":{"contentType":"Program","id":"1"}}`)
			send("on_after_update Deal 2") // the refused one is lost by default
			s.Change(func(q *Quirks) { q.HookRetries, q.HookDelay = 1, time.Hour })
			status(t, s, 200, "POST", api+"/deal/2", `{"id":"2","name":"c"}`)
			send() // late
			if len(s.Hooks()) != 1 {
				t.Errorf("%+v", s.Hooks())
			}
			s.Change(func(q *Quirks) { q.HookDelay = 0 })
			refuse = 1
			status(t, s, 200, "POST", api+"/deal/2", `{"id":"2","name":"d"}`)
			send()
			send("on_after_update Deal 2") // repeated
		},
		29: func(t *testing.T, s *Server) {
			for _, f := range []sandbox.Fault{{Status: 429, RetryAfter: "7"}, {Status: 429, RetryAfter: "Wed, 21 Oct 2026 07:28:00 GMT"}, {Status: 500}, {Status: 502, HTML: true}} {
				s.FailNext(1, "POST /api/v3/todo", f)
				rec := httptest.NewRecorder()
				req := httptest.NewRequest("POST", api+"/todo", strings.NewReader(`{"name":"x"}`))
				s.ServeHTTP(rec, req)
				if rec.Code != f.Status || rec.Header().Get("Retry-After") != f.RetryAfter {
					t.Errorf("%+v: %d %v", f, rec.Code, rec.Header())
				}
			}
			s.FailNext(1, "POST /api/v3/todo", sandbox.Fault{AfterApply: true})
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the connection was not cut")
					}
				}()
				req := httptest.NewRequest("POST", api+"/todo", strings.NewReader(`{"name":"x"}`))
				req.Header.Set("Authorization", "Bearer app")
				req.Header.Set("Content-Type", "application/json")
				s.ServeHTTP(httptest.NewRecorder(), req)
			}()
			if n := sandbox.Count(s, "task"); n != 1 {
				t.Errorf("%d todos", n)
			}
		},
		30: func(t *testing.T, s *Server) {
			status(t, s, 200, "GET", query("/employee", `{"limit": 1}`), "")
			log := s.RequestLog()
			if l := log[len(log)-1]; l.Query() != `{"limit": 1}` || l.Header.Get("Authorization") == "" || s.PasswordLeaks() != nil {
				t.Errorf("%+v", l)
			}
		},
	} {
		t.Run(fmt.Sprintf("point %d", n), func(t *testing.T) { point(t, account()) })
	}
}
