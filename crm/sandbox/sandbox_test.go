package sandbox

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// box is the smallest CRM: every POST makes an object.
type box struct {
	Switchboard
	mu   sync.Mutex
	made []Object
}

func newBox() *box {
	b := &box{}
	b.Answers = StandardFaults(Fault{Status: 401}, Fault{Status: 429, RetryAfter: "7"})
	return b
}

func (b *box) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.Serve(w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			b.mu.Lock()
			b.made = append(b.made, Object{Kind: "contact", ID: "1", Title: string(body), CreatedAt: time.Now()})
			b.mu.Unlock()
		}
		_, _ = io.WriteString(w, `{"answer":"a long enough text to be cut in half"}`)
	}))
}
func (b *box) Title() string { return "Box & Co" }

func (b *box) Objects() []Object {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.made)
}

func (b *box) Reset() { b.made = nil; b.ClearFaults() }

func TestFaultsDoWhatTheySay(t *testing.T) {
	for _, c := range []struct {
		name    string
		f       Fault
		applied bool
		status  int // 0: no answer
		half    bool
	}{
		{"none", Fault{}, true, 200, false},
		{"status", Fault{Status: 500}, false, 500, false},
		{"status after apply", Fault{Status: 500, AfterApply: true}, true, 500, false},
		{"drop", Fault{Drop: true}, false, 0, false},
		{"cut after apply", Fault{AfterApply: true}, true, 0, false},
		{"half", Fault{CutBody: true}, true, 200, true},
		{"html", Fault{HTML: true}, false, 200, false},
	} {
		for _, wire := range []bool{false, true} {
			b := newBox()
			hc, base := &http.Client{Transport: Transport(b)}, "http://box.example.test"
			if wire {
				srv := httptest.NewServer(b)
				defer srv.Close()
				hc, base = srv.Client(), srv.URL
			}
			b.FailNext(1, "POST /x", c.f)
			res, err := hc.Post(base+"/x", "text/plain", strings.NewReader("hello"))
			status := 0
			var readErr error
			if err == nil {
				status = res.StatusCode
				_, readErr = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if status != c.status || (len(b.Objects()) == 1) != c.applied || (readErr != nil) != c.half {
				t.Errorf("%s (wire %v): status %d, applied %v, cut %v", c.name, wire, status, len(b.Objects()) == 1, readErr)
			}
			// The next request is as usual again.
			if res, err := hc.Post(base+"/x", "text/plain", strings.NewReader("hello")); err != nil || res.StatusCode != 200 {
				t.Errorf("%s (wire %v): the fault lasts: %v", c.name, wire, err)
			}
		}
	}
}

func TestSwitchesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox()
		hc := &http.Client{Transport: Transport(b)}
		get := func() (int, time.Duration) {
			began := time.Now()
			res, err := hc.Get("http://box.example.test/x")
			if err != nil {
				return 0, time.Since(began)
			}
			return res.StatusCode, time.Since(began)
		}
		for name, want := range map[string]int{Credentials: 401, Broken: 500, Busy: 429, Cut: 0, Slow: 200, "no such": 200} {
			b.SetFault(name, true)
			for range 2 {
				if code, took := get(); code != want || (name == Slow) != (took == 3*time.Second) {
					t.Errorf("%s: %d after %v", name, code, took)
				}
			}
			b.SetFault(name, false)
		}
		if code, _ := get(); code != 200 || len(b.RequestLog()) != 13 {
			t.Errorf("%d, %d requests logged", code, len(b.RequestLog()))
		}
	})
}

func TestPage(t *testing.T) {
	b := newBox()
	b.made = []Object{{Kind: "contact", ID: "1", Title: "<script>old", Seed: true}, {Kind: "task", ID: "2", Title: "new", Fields: []Field{{"text", "a<b"}}}}
	srv := httptest.NewServer(Handler(b))
	defer srv.Close()
	page := func(lang string) string {
		t.Helper()
		req, _ := http.NewRequest("GET", srv.URL+"/", nil)
		req.Header.Set("Accept-Language", lang)
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return string(body)
	}
	ru, en := page("ru-RU,ru;q=0.9,en;q=0.8"), page("en-US")
	for _, want := range []string{"Box &amp; Co", "Клиент", "Дело, задача", "&lt;script&gt;old", "a&lt;b", "Выполняет и рвёт соединение"} {
		if !strings.Contains(ru, want) {
			t.Errorf("the Russian page lacks %q", want)
		}
	}
	if !strings.Contains(en, "What was created") || strings.Contains(en, "ZgotmplZ") || strings.Contains(ru, "<script") {
		t.Error(en)
	}
	if strings.Index(ru, "new") > strings.Index(ru, "script&gt;old") {
		t.Error("the newest object is not first")
	}
	// The switch works, and only from the page itself.
	post := func(origin string) int {
		t.Helper()
		req, _ := http.NewRequest("POST", srv.URL+"/_sandbox/fault", strings.NewReader(url.Values{"name": {Broken}, "on": {"1"}}.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", origin)
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if code := post("https://evil.example.test"); code != http.StatusForbidden || b.Faults()[0].On {
		t.Errorf("a foreign page may turn switches: %d", code)
	}
	if code := post(srv.URL); code != 200 {
		t.Errorf("the page's own switch: %d", code)
	}
	if res, err := srv.Client().Get(srv.URL + "/api"); err != nil || res.StatusCode != 500 {
		t.Errorf("the API is not broken: %v", err)
	}
	if !strings.Contains(page("en"), `class="on"`) {
		t.Error("the page does not show the switch")
	}
	for lang, table := range words {
		for k := range words["ru"] {
			if table[k] == "" {
				t.Errorf("%s lacks %q", lang, k)
			}
		}
	}
}

// Links of objects lead people to the object; programs get the CRM's own answer.
func TestLinkOfAnObjectShowsIt(t *testing.T) {
	crm := newBox()
	crm.made = []Object{{Kind: "contact", ID: "1", Title: "Мария", CreatedAt: time.Now()}}
	h := Handler(crm)
	ask := func(path, accept string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	id := crm.Objects()[0].ID
	if code, body := ask("/crm/"+id+"/card/", "text/html,*/*"); code != http.StatusOK || !strings.Contains(body, crm.Objects()[0].Title) {
		t.Errorf("%d: %s", code, body)
	}
	if code, _ := ask("/crm/999999/card/", "text/html"); code != http.StatusNotFound {
		t.Errorf("an object that is not there: %d", code)
	}
	if _, body := ask("/crm/"+id+"/card/", "application/json"); strings.Contains(body, "<html") {
		t.Error("a program got the page")
	}
}
