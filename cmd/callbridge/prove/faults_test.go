package prove

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The ways in which a CRM answers wrongly. "stored" ones carry the request out
// first, which is what makes doubles of a careless client.
var faultNames = []string{
	"401", "403", "404", "409", "422", "429", "500", "502", "garbage", "html", "half", "nothing", "late", "hang",
	"stored-cut", "stored-half", "stored-500", "stored-502", "stored-garbage", "stored-html", "stored-late", "stored-hang",
}

// mood is how a CRM is during one life of the daemon.
type mood struct {
	p     float64 // share of requests answered wrongly
	kinds []string
}

// newMood draws one. Refused credentials and the like stop an integration for
// the rest of a life, so most moods are without them.
func newMood(r *rand.Rand) mood {
	m := mood{p: []float64{0, 0.05, 0.2, 0.5, 0.9}[r.IntN(5)]}
	for range 1 + r.IntN(4) {
		k := faultNames[r.IntN(len(faultNames))]
		if (k == "401" || k == "403" || k == "429") && r.IntN(3) > 0 {
			k = faultNames[len(faultNames)-1-r.IntN(8)]
		}
		m.kinds = append(m.kinds, k)
	}
	return m
}

// front stands before a simulated CRM.
type front struct {
	crm     http.Handler
	refused func(http.ResponseWriter) // the vendor's answer for wrong credentials

	mu    sync.Mutex
	rnd   *rand.Rand
	now   mood
	calm  chan struct{} // closed when the mood ends: whoever hangs goes on
	count map[string]int
	heard []string // what was asked and how it was answered, to explain a double
}

// hear notes a request for who has to find out what went wrong.
func (f *front) hear(r *http.Request, body []byte, kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	plain, err := url.QueryUnescape(string(body))
	if err != nil {
		plain = string(body)
	}
	f.heard = append(f.heard, fmt.Sprintf("%s %s %s %s: %s", time.Now().Format(time.StampMilli), r.Method, r.URL, plain, kind))
}

// about returns what was asked about a call.
func (f *front) about(id string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, s := range f.heard {
		if strings.Contains(s, id) {
			out = append(out, s)
		}
	}
	return out
}

func newFront(crm http.Handler, refused func(http.ResponseWriter), seed uint64) *front {
	return &front{crm: crm, refused: refused, rnd: rand.New(rand.NewPCG(seed, 7)), calm: make(chan struct{}), count: map[string]int{}}
}

func (f *front) set(m mood) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = m
	close(f.calm)
	f.calm = make(chan struct{})
}

func (f *front) draw() (kind string, wait time.Duration, calm chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rnd.Float64() >= f.now.p || len(f.now.kinds) == 0 {
		return "", 0, f.calm
	}
	kind = f.now.kinds[f.rnd.IntN(len(f.now.kinds))]
	f.count[kind]++
	return kind, time.Duration(f.rnd.IntN(400)) * time.Millisecond, f.calm
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the daemon died while it asked: nothing was done
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	kind, wait, calm := f.draw()
	f.hear(r, body, kind)
	pause := func(d time.Duration) {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-calm:
		case <-r.Context().Done():
		}
	}
	serve := func() *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		// A real server finishes what it began, whether or not somebody waits.
		f.crm.ServeHTTP(rec, r.WithContext(context.WithoutCancel(r.Context())))
		return rec
	}
	send := func(status int, ctype, text string) {
		w.Header().Set("Content-Type", ctype)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	half := func(rec *httptest.ResponseRecorder) {
		maps.Copy(w.Header(), rec.Header())
		w.Header().Set("Content-Length", strconv.Itoa(rec.Body.Len()))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	const page = "<!DOCTYPE html><html><body><h1>nginx</h1></body></html>"
	const junk = "{\"meta\":\x00\xff]]"
	if len(kind) > 7 && kind[:7] == "stored-" {
		rec := serve()
		switch kind {
		case "stored-cut":
			panic(http.ErrAbortHandler)
		case "stored-half":
			half(rec)
		case "stored-500":
			send(500, "text/plain", "Internal Server Error")
		case "stored-502":
			send(502, "text/html", page)
		case "stored-garbage":
			send(rec.Code, "application/json", junk)
		case "stored-html":
			send(200, "text/html", page)
		case "stored-late":
			pause(wait)
			maps.Copy(w.Header(), rec.Header())
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		case "stored-hang":
			pause(time.Hour)
			panic(http.ErrAbortHandler)
		}
		return
	}
	switch kind {
	case "401":
		f.refused(w)
	case "403", "404", "409", "422", "500":
		n, _ := strconv.Atoi(kind)
		send(n, "application/json", `{"success":false,"errorMsg":"made up","meta":{"status":`+kind+`,"errors":[{"message":"made up"}]},"data":null}`)
	case "429":
		w.Header().Set("Retry-After", "1")
		send(429, "application/json", `{}`)
	case "502":
		send(502, "text/html", page)
	case "garbage":
		send(200, "application/json", junk)
	case "html":
		send(200, "text/html", page)
	case "half":
		// Only for what changes nothing: what is carried out is "stored-half".
		if r.Method == http.MethodGet {
			half(serve())
		}
		panic(http.ErrAbortHandler)
	case "nothing":
		panic(http.ErrAbortHandler)
	case "hang":
		pause(time.Hour)
		panic(http.ErrAbortHandler)
	default:
		if kind == "late" {
			pause(wait)
		}
		rec := serve()
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}
}

func (f *front) faults() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, k := range slices.Sorted(maps.Keys(f.count)) {
		out = append(out, k+"×"+strconv.Itoa(f.count[k]))
	}
	return out
}
