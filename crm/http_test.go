package crm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge/fault"
	"callbridge/crm"
	"callbridge/crm/sandbox"
)

func api(h http.HandlerFunc, opts crm.APIOptions) *crm.API {
	opts.Name, opts.Base = "test", "http://crm.example.test/"
	return crm.NewAPI(crm.Env{HTTP: &http.Client{Transport: sandbox.Transport(h)}}, opts)
}

func answer(status int, header map[string]string, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestKindsByStatus(t *testing.T) {
	for _, c := range []struct {
		status      int
		read, write fault.Kind
	}{
		{301, fault.Temporary, fault.Temporary}, {400, fault.Invalid, fault.Invalid}, {401, fault.Auth, fault.Auth},
		{402, fault.Forbidden, fault.Forbidden}, {403, fault.Forbidden, fault.Forbidden}, {404, fault.Gone, fault.Gone},
		{408, fault.Temporary, fault.Uncertain}, {409, fault.Invalid, fault.Invalid}, {410, fault.Gone, fault.Gone},
		{422, fault.Invalid, fault.Invalid}, {429, fault.RateLimited, fault.RateLimited},
		{500, fault.Temporary, fault.Uncertain}, {503, fault.Temporary, fault.Uncertain}, {504, fault.Temporary, fault.Uncertain},
	} {
		a := api(answer(c.status, nil, "{}"), crm.APIOptions{})
		for method, want := range map[string]fault.Kind{"GET": c.read, "POST": c.write} {
			err := a.Do(t.Context(), crm.Request{Op: "x", Method: method, Path: "/y"}, nil)
			if err == nil || fault.KindOf(err) != want {
				t.Errorf("%s %d: %v, want %v", method, c.status, err, want)
			}
		}
		safe := a.Do(t.Context(), crm.Request{Op: "x", Method: "POST", Path: "/y", Safe: true}, nil)
		if fault.KindOf(safe) != c.read {
			t.Errorf("safe POST %d: %v, want %v", c.status, safe, c.read)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for header, want := range map[string]time.Duration{
			"": 10 * time.Second, "5": 5 * time.Second, "0": time.Second, "soon": 10 * time.Second, "-3": 10 * time.Second,
			"99999999999999999999": 10 * time.Second, "200000": 24 * time.Hour,
			time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat): 90 * time.Second,
			time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat):       time.Second,
		} {
			err := api(answer(429, map[string]string{"Retry-After": header}, ""), crm.APIOptions{}).Do(t.Context(), crm.Request{Op: "x", Path: "/"}, nil)
			if got := fault.After(err); got != want {
				t.Errorf("%q: %v, want %v", header, got, want)
			}
		}
	})
}

func TestVendorsWordsWin(t *testing.T) {
	double := errors.New("there is one already")
	a := api(answer(200, nil, `{"error":"duplicate secret-1"}`), crm.APIOptions{Secrets: []string{"secret-1"}, Classify: func(a crm.Answer) *fault.Error {
		if !a.Write || a.Op != "make" || a.Path != "/make" {
			t.Errorf("%+v", a)
		}
		return &fault.Error{Kind: fault.Invalid, Err: fmt.Errorf("%w: %s", double, a.Body)}
	}})
	err := a.Do(t.Context(), crm.Request{Op: "make", Method: "POST", Path: "/make"}, nil)
	if !errors.Is(err, double) || strings.Contains(err.Error(), "secret-1") {
		t.Errorf("%v", err)
	}
	if want := "test: make: invalid (HTTP 200)"; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%q, want %q…", err, want)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	big := answer(200, nil, `{"x":"`+strings.Repeat("a", 2<<20)+`"}`)
	var out map[string]any
	err := api(big, crm.APIOptions{}).Do(t.Context(), crm.Request{Op: "x", Path: "/"}, &out)
	if err == nil || fault.KindOf(err) != fault.Temporary || len(err.Error()) > 1000 {
		t.Errorf("%v", err)
	}
	page := answer(400, nil, strings.Repeat("слово ", 1000))
	if err := api(page, crm.APIOptions{}).Do(t.Context(), crm.Request{Op: "x", Path: "/"}, nil); len(err.Error()) > 1000 {
		t.Errorf("an error of %d bytes (D-17)", len(err.Error()))
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var hits int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer other.Close()
	srv := httptest.NewServer(answer(302, map[string]string{"Location": other.URL + "/login"}, ""))
	defer srv.Close()
	a := crm.NewAPI(crm.Env{}, crm.APIOptions{Name: "test", Base: srv.URL, Authorize: func(r *http.Request) { r.Header.Set("X-API-KEY", "secret") }})
	err := a.Do(t.Context(), crm.Request{Op: "x", Method: "POST", Path: "/y"}, nil)
	if fault.KindOf(err) != fault.Temporary || hits != 0 || !strings.Contains(err.Error(), strings.TrimPrefix(other.URL, "http://")) {
		t.Errorf("%v, the key went to another host %d times", err, hits)
	}
}

func TestRatePerPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api(answer(200, nil, "{}"), crm.APIOptions{Limits: []crm.Limit{{Prefix: "/", PerSecond: 1}, {Prefix: "/fast/", PerSecond: 100, Burst: 5}}})
		run := func(path string, n int) time.Duration {
			began := time.Now()
			for range n {
				if err := a.Do(t.Context(), crm.Request{Op: "x", Path: path}, nil); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(began)
		}
		if d := run("/slow", 4); d != 3*time.Second {
			t.Errorf("4 requests at 1/s took %v", d)
		}
		if d := run("/fast/x", 105); d < 990*time.Millisecond || d > 1100*time.Millisecond {
			t.Errorf("105 requests at 100/s took %v", d)
		}
		run("/slow", 1)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		err := a.Do(ctx, crm.Request{Op: "x", Method: "POST", Path: "/slow"}, nil)
		if k := fault.KindOf(err); err == nil || k != fault.RateLimited {
			t.Errorf("a write that was never sent: %v", err)
		}
	})
}

func TestDeadlineAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, crm.APIOptions{})
		began := time.Now()
		err := a.Do(t.Context(), crm.Request{Op: "x", Method: "POST", Path: "/"}, nil)
		if fault.KindOf(err) != fault.Uncertain || time.Since(began) != 15*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err = a.Do(ctx, crm.Request{Op: "x", Method: "POST", Path: "/"}, nil)
		if fault.KindOf(err) != fault.Uncertain || !errors.Is(err, context.Canceled) || !fault.IsStopped(ctx, err) {
			t.Errorf("%v", err)
		}
		err = a.Do(ctx, crm.Request{Op: "x", Method: "POST", Path: "/"}, nil)
		if fault.KindOf(err) != fault.Temporary {
			t.Errorf("never sent: %v", err)
		}
	})
}

func TestTraceIsMaskedAndBounded(t *testing.T) {
	const secret = `p"ä+/ =1`
	a := api(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		_, _ = io.WriteString(w, `{"phone":"8 (916) 123-45-67","mail":"ivan.petrov@example.ru","name":"\u0418\u0432\u0430\u043d","at":"2026-01-02 03:04:05","e":"`+
			url.QueryEscape(secret)+`","x":"`+strings.Repeat("я", 9000)+`"}`)
	}, crm.APIOptions{Secrets: []string{secret}})
	a.AddSecret("rotated")
	tr := &crm.Trace{}
	ctx := crm.WithTrace(t.Context(), tr)
	for i := range 30 {
		req := crm.Request{Op: fmt.Sprint("op ", i), Method: "POST", Path: "/a", Query: url.Values{"q": {"+79161234567"}},
			JSON: map[string]string{"password": secret, "token": "rotated", "text": "привет"}, Hidden: i == 29}
		if err := a.Do(ctx, req, nil); err != nil {
			t.Fatal(err)
		}
	}
	all := tr.Exchanges()
	if len(all) != 20 || all[0].Op != "op 10" {
		t.Fatalf("%d exchanges, first %s", len(all), all[0].Op)
	}
	e := all[0]
	if e.Path != "/a?q=+7916***4567" {
		t.Errorf("path %q", e.Path)
	}
	for _, bad := range []string{"rotated", "123-45-67", "petrov", url.QueryEscape(secret), `p\"ä`} {
		if strings.Contains(e.Request+e.Response, bad) {
			t.Errorf("%q is shown", bad)
		}
	}
	for _, good := range []string{"Иван", "2026-01-02 03:04:05"} {
		if !strings.Contains(e.Response, good) {
			t.Errorf("%q is not shown: %.200s", good, e.Response)
		}
	}
	if len(e.Response) > 4200 || !strings.Contains(e.Request, "привет") {
		t.Errorf("%d bytes of %q", len(e.Response), e.Request)
	}
	if h := all[19]; h.Request != "" || h.Response != "" {
		t.Errorf("hidden bodies are shown: %+v", h)
	}
}

func TestObserveCountsEveryRequest(t *testing.T) {
	var got []string
	srv := httptest.NewServer(answer(418, nil, ""))
	a := crm.NewAPI(crm.Env{Observe: func(op string, code int, _ time.Duration) {
		got = append(got, fmt.Sprintf("%s %d", op, code))
	}}, crm.APIOptions{Base: srv.URL})
	_ = a.Do(t.Context(), crm.Request{Op: "x", Path: "/"}, nil)
	srv.Close()
	_ = a.Do(t.Context(), crm.Request{Op: "y", Path: "/"}, nil)
	if s := strings.Join(got, ","); s != "x 418,y 0" {
		t.Error(s)
	}
}

func TestLooseValues(t *testing.T) {
	a := api(answer(200, nil, `{"id":12345678901234567890,"n":7.5,"s":"x","b":true,"z":null,"o":{"a":1},"l":[],"m":[],"k":{"a":"1"}}`), crm.APIOptions{})
	var v struct {
		ID, N, S, B, Z, O, L, Missing crm.Text
		M, K                          crm.Map[crm.Text]
	}
	if err := a.Do(t.Context(), crm.Request{Op: "x", Path: "/"}, &v); err != nil {
		t.Fatal(err)
	}
	if v.ID != "12345678901234567890" || v.N.Float() != 7.5 || v.N.Int() != 7 || v.S != "x" || !v.B.Bool() || v.Z+v.O+v.L+v.Missing != "" ||
		v.M != nil || v.K["a"] != "1" {
		t.Errorf("%+v", v)
	}
}
