package megaplan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/setting"
	"callbridge/crm"
	"callbridge/crm/crmtest"
	"callbridge/crm/megaplan"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/sandbox"
)

const (
	number = bridge.Number("+79161234567")
	callID = "01JD0000000000000000000001"
)

// adapter is everything the Megaplan adapter can do.
type adapter interface {
	crm.Client
	crm.Popper
	crm.CallLogger
	crm.Communicator
	crm.Tasker
	crm.TaskCloser
	crm.DealMaker
	crm.FieldWriter
	crm.Directory
	crm.Router
}

// rig is a fake account with a client to it.
type rig struct {
	adapter
	t      *testing.T
	f      *megaplantest.Server
	values setting.Values

	mu      sync.Mutex
	state   []byte
	saves   int
	saveErr error
}

// bubble runs a test in virtual time. more changes the settings.
func bubble(t *testing.T, f func() *megaplantest.Server, more setting.Values, test func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, f: f(), values: setting.Values{"url": "https://mp000000.megaplan.example", "username": login, "password": password}}
		for k, v := range more {
			r.values[k] = v
		}
		r.restart()
		test(t, r)
		if leaks := r.f.PasswordLeaks(); leaks != nil {
			t.Errorf("the password was sent to %v", leaks)
		}
	})
}

// restart opens the adapter anew, with what was saved.
func (r *rig) restart() {
	r.t.Helper()
	c, err := megaplan.Driver.Open(crm.Env{Integration: "mp", HTTP: &http.Client{Transport: sandbox.Transport(r.f)},
		Zone: time.FixedZone("MSK", 3*3600), Country: "RU", Accounts: func(string) crm.Account {
			return crm.NewAccount(r.state, func(_ context.Context, b []byte) error {
				r.mu.Lock()
				defer r.mu.Unlock()
				if r.saveErr != nil {
					return r.saveErr
				}
				r.state, r.saves = bytes.Clone(b), r.saves+1
				return nil
			})
		}}, r.values)
	if err != nil {
		r.t.Fatal(err)
	}
	r.adapter = c.(adapter)
}

func (r *rig) ctx() context.Context { return r.t.Context() }

func key(action string) crm.Key { return crm.Key{ID: "callbridge:" + callID + ":" + action} }

func again(action string) crm.Key {
	return crm.Key{ID: "callbridge:" + callID + ":" + action, Look: true}
}

// made returns the objects of a kind that were not there from the start.
func (r *rig) made(kind string) []sandbox.Object {
	var out []sandbox.Object
	for _, o := range r.f.Objects() {
		if o.Kind == kind && !o.Seed {
			out = append(out, o)
		}
	}
	return out
}

// one returns the only such object.
func (r *rig) one(kind string) sandbox.Object {
	r.t.Helper()
	all := r.made(kind)
	if len(all) != 1 {
		r.t.Fatalf("%d objects of kind %s, want 1: %+v", len(all), kind, all)
	}
	return all[0]
}

func (r *rig) wantField(o sandbox.Object, name, want string) {
	r.t.Helper()
	if got := o.Value(name); got != want {
		r.t.Errorf("%s %s: %s is %q, want %q", o.Kind, o.ID, name, got, want)
	}
}

func wantKind(t *testing.T, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != want {
		t.Fatalf("error %v, want kind %v", err, want)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// bodies returns the decoded bodies of the requests "METHOD path".
func (r *rig) bodies(what string) []any {
	var out []any
	for _, l := range r.f.RequestLog() {
		if l.Method+" "+strings.TrimPrefix(l.Path, "/api/v3") != what {
			continue
		}
		var v any
		if json.Unmarshal(l.Body, &v) == nil {
			out = append(out, v)
		}
	}
	return out
}

// queries returns the decoded queries of a path.
func (r *rig) queries(path string) []map[string]any {
	r.t.Helper()
	var out []map[string]any
	for _, l := range r.f.RequestLog() {
		if l.Path != "/api/v3"+path || l.RawQuery == "" {
			continue
		}
		text, err := url.QueryUnescape(l.RawQuery)
		if err != nil {
			r.t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			r.t.Fatalf("the query of %s is no JSON object: %s", path, text)
		}
		out = append(out, v)
	}
	return out
}

func (r *rig) count(what string) int {
	n := 0
	for _, q := range r.f.Requests() {
		if q == what {
			n++
		}
	}
	return n
}

// logins returns the grant types of the requests for tokens.
func (r *rig) logins() []string {
	var out []string
	for _, l := range r.f.RequestLog() {
		if strings.HasSuffix(l.Path, "/auth/access_token") {
			v, _ := url.ParseQuery(string(l.Body))
			out = append(out, v.Get("grant_type"))
		}
	}
	return out
}

func (r *rig) wantLogins(want ...string) {
	r.t.Helper()
	if got := r.logins(); !slices.Equal(got, want) {
		r.t.Errorf("requests for tokens %v, want %v", got, want)
	}
	r.f.ClearLog()
}

// record is an incoming call that rang at ext.
func record(outcome bridge.Outcome, ext, user string, rang ...string) crm.CallRecord {
	r := crmtest.Record(number, "", crm.UserID(user))
	r.Call.Outcome, r.Call.Rang, r.Call.AnsweredBy = outcome, rang, nil
	if outcome == "" {
		r.Call.EndedAt = bridge.Time{}
	}
	r.Agent = crm.Person{Extension: ext, User: crm.UserID(user)}
	return r
}

var errDisk = errors.New("disk full")
