package load

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"

	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/retailcrm/retailcrmtest"
)

// instant answers what a call needs at once and keeps nothing, so that the
// simulated CRM's own work is not measured. Everything else (employees,
// dictionaries, tokens) the strict simulation answers.
type instant struct {
	rest   http.Handler
	answer func(path string, body []byte) (string, bool)
	limit  *rate.Limiter // nil: none
	faults float64       // share of requests answered 500, or carried out and cut

	requests atomic.Int64
	created  atomic.Int64

	mu    sync.Mutex
	calls map[string]struct{}
	twice int // calls that came a second time
}

func (c *instant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.requests.Add(1)
	if c.limit != nil && !c.limit.Allow() {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	fault := c.faults > 0 && rand.Float64() < c.faults
	if fault && rand.IntN(2) == 0 {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	path := strings.TrimSuffix(r.URL.Path, "/")
	if r.Method == http.MethodGet {
		if text, ok := c.answer("GET "+path, nil); ok {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, text)
			return
		}
		c.rest.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	text, ok := c.answer("POST "+path, body)
	if !ok {
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		c.rest.ServeHTTP(w, r)
		return
	}
	if fault {
		panic(http.ErrAbortHandler) // carried out, and nobody hears of it
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, text)
}

// seen notes the call of a key.
func (c *instant) seen(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.calls[key]; ok {
		c.twice++
	}
	c.calls[key] = struct{}{}
}

func (c *instant) count() (calls, twice int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls), c.twice
}

func newRetail(users []retailcrmtest.User) *instant {
	c := &instant{rest: retailcrmtest.New(retailcrmtest.DemoOptions(users, nil)), calls: map[string]struct{}{}}
	c.answer = func(what string, body []byte) (string, bool) {
		switch what {
		case "GET /api/v5/customers":
			return `{"success":true,"pagination":{"limit":100,"totalCount":0,"currentPage":1,"totalPageCount":0},"customers":[]}`, true
		case "POST /api/v5/telephony/call/event":
			return `{"success":true,"notifiedUsers":[]}`, true
		case "POST /api/v5/telephony/calls/upload":
			if form, err := url.ParseQuery(string(body)); err == nil {
				var list []struct {
					ID string `json:"externalId"`
				}
				if json.Unmarshal([]byte(form.Get("calls")), &list) == nil {
					for _, x := range list {
						c.seen(x.ID)
					}
				}
			}
			return `{"success":true,"processedCallsCount":1,"duplicateCalls":[]}`, true
		case "POST /api/v5/customers/create", "POST /api/v5/tasks/create", "POST /api/v5/orders/create":
			return `{"success":true,"id":` + strconv.FormatInt(c.created.Add(1), 10) + `}`, true
		case "POST /api/v5/customers/notes/create":
			return `{"success":true,"id":1}`, true
		}
		return "", false
	}
	return c
}

func newMegaplan(o megaplantest.Options) *instant {
	c := &instant{rest: megaplantest.New(o), calls: map[string]struct{}{}}
	made := func(kind string) string {
		return fmt.Sprintf(`{"meta":{"status":200,"errors":[],"pagination":{}},"data":{"contentType":%q,"id":"%d"}}`, kind, c.created.Add(1)+5000000)
	}
	const none = `{"meta":{"status":200,"errors":[],"pagination":{"count":0,"limit":100,"hasMoreNext":false}},"data":[]}`
	c.answer = func(what string, body []byte) (string, bool) {
		path := strings.TrimPrefix(what[strings.IndexByte(what, ' ')+1:], "/api/v3")
		verb := what[:strings.IndexByte(what, ' ')]
		switch {
		case verb == "GET" && (path == "/contractor" || path == "/contractorHuman" || strings.HasPrefix(path, "/contractor/")):
			return none, true
		case verb == "GET" && path == "/todo":
			return none, true
		case verb == "POST" && path == "/contractorHuman":
			return made("ContractorHuman"), true
		case verb == "POST" && path == "/todo":
			return made("Todo"), true
		case verb == "POST" && path == "/deal":
			return made("Deal"), true
		case verb == "POST" && strings.HasPrefix(path, "/callInfo"):
			var v struct {
				ID    string `json:"providerId"`
				State string `json:"state"`
			}
			if path == "/callInfo" && json.Unmarshal(body, &v) == nil {
				c.seen(v.ID)
			}
			if path != "/callInfo" && path != "/callInfo/provider" {
				return fmt.Sprintf(`{"meta":{"status":200,"errors":[],"pagination":{}},"data":{"contentType":"CallInfo","id":%q}}`, path[len("/callInfo/"):]), true
			}
			if path == "/callInfo/provider" {
				return "", false
			}
			return made("CallInfo"), true
		}
		return "", false
	}
	return c
}

// limited waits like a CRM that allows so many requests a second.
func limited(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
}
