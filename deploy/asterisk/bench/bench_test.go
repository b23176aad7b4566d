package bench

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// event is what these tests look at in an ARI event.
type event struct {
	Type       string
	DialStatus string
	Channel    channel
	Peer       channel
	Args       []string
	Raw        string `json:"-"`
}

type channel struct {
	ID          string
	Name        string
	ChannelVars map[string]string
	Caller      struct{ Name, Number string }
}

// recorder is a plain ARI client that keeps all events.
type recorder struct {
	t      *testing.T
	b      *Bench
	route  atomic.Pointer[string]
	events chan event
}

func record(t *testing.T, b *Bench, app string) *recorder {
	t.Helper()
	u, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Scheme, u.Path = "ws", u.Path+"/events"
	u.RawQuery = url.Values{"app": {app}, "subscribeAll": {"true"}}.Encode()
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(b.User, b.Password)
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), u.String(), req.Header)
	if err != nil {
		t.Fatalf("open ARI websocket: %v", err)
	}
	r := &recorder{t: t, b: b, events: make(chan event, 10000)}
	t.Cleanup(func() { conn.Close() })
	go func() {
		defer close(r.events)
		for {
			_, text, err := conn.ReadMessage()
			if err != nil {
				return
			}
			e := event{Raw: string(text)}
			if err := json.Unmarshal(text, &e); err != nil {
				t.Errorf("event is no JSON: %v: %s", err, text)
				return
			}
			if e.Type == "StasisStart" && len(e.Args) > 0 && e.Args[0] == "route" {
				r.answer(e.Channel.ID)
			}
			r.events <- e
		}
	}()
	return r
}

// answer settles the routing step as route says; nil keeps silent.
func (r *recorder) answer(channel string) {
	route := r.route.Load()
	if route == nil {
		return
	}
	if *route != "" {
		r.post("/channels/"+channel+"/variable", url.Values{"variable": {"CB_ROUTE"}, "value": {*route}})
	}
	r.post("/channels/"+channel+"/continue", nil)
}

func (r *recorder) post(path string, q url.Values) { r.do(http.MethodPost, path, q) }

func (r *recorder) do(method, path string, q url.Values) {
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.b.URL+path+"?"+q.Encode(), nil)
	if err != nil {
		r.t.Error(err)
		return
	}
	req.SetBasicAuth(r.b.User, r.b.Password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Error(err)
		return
	}
	res.Body.Close()
	if res.StatusCode >= 300 {
		r.t.Errorf("%s %s: %s", method, path, res.Status)
	}
}

// call collects the events of one call: until as many channels have ended as
// began, and at least one did.
func (r *recorder) call() []event {
	r.t.Helper()
	var out []event
	open := map[string]bool{}
	limit := time.After(10 * time.Second)
	for {
		select {
		case e, ok := <-r.events:
			if !ok {
				r.t.Fatal("the websocket was closed")
			}
			out = append(out, e)
			switch e.Type {
			case "ChannelCreated":
				open[e.Channel.ID] = true
			case "ChannelDestroyed":
				delete(open, e.Channel.ID)
				if len(open) == 0 {
					return out
				}
			}
		case <-limit:
			r.t.Fatalf("the call did not end; open: %v; events: %v", open, types(out))
		}
	}
}

func types(events []event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.Type)
	}
	return out
}

// dials are the final results of dialling, as "101 ANSWER".
func dials(events []event) map[string]bool {
	out := map[string]bool{}
	for _, e := range events {
		if e.Type == "Dial" {
			who := strings.TrimPrefix(e.Peer.Name, "PJSIP/")
			if i := strings.LastIndex(who, "-"); i > 0 {
				out[who[:i]+" "+e.DialStatus] = true
			}
		}
	}
	return out
}

// TestScenarios plays every scenario on one Asterisk and looks at what ARI
// tells of it: the bench itself works, and so does the sample dialplan.
func TestScenarios(t *testing.T) {
	b := Start(t)
	r := record(t, b, b.App)
	for name, want := range map[string]struct {
		route  string
		dials  []string
		dir    string // CB_DIR of the sample dialplan
		record bool   // the call leaves a sound file
		c2c    bool
		dnd    bool
		http   bool // the question comes over HTTP
	}{
		"in_answered":                {dials: []string{"101 RINGING", "101 ANSWER"}, dir: "in", record: true},
		"in_answered_agent_hangs_up": {dials: []string{"101 ANSWER"}, dir: "in", record: true},
		"in_missed_caller_hangs_up":  {dials: []string{"101 RINGING", "101 CANCEL"}, dir: "in"},
		"in_blacklisted":             {dir: "in"},
		"in_dnd_stasis":              {dials: []string{"102 ANSWER"}, dir: "in", record: true, dnd: true},
		"in_routed":                  {route: "103", dials: []string{"103 ANSWER"}, dir: "in", record: true},
		"in_routed_http":             {dials: []string{"102 ANSWER"}, dir: "in", record: true, http: true},
		"group_102_answers":          {dials: []string{"101 CANCEL", "102 ANSWER"}, dir: "in", record: true},
		"queue_answered":             {dials: []string{"101 CANCEL", "102 ANSWER"}, dir: "in", record: true},
		"xfer_blind":                 {dials: []string{"101 ANSWER", "103 ANSWER"}, dir: "in", record: true},
		"out_answered":               {dials: []string{"trunk ANSWER"}, dir: "out", record: true},
		"out_busy":                   {dials: []string{"trunk BUSY"}, dir: "out"},
		"c2c":                        {dials: []string{"101 ANSWER", "trunk ANSWER"}, dir: "out", record: true, c2c: true},
	} {
		t.Run(name, func(t *testing.T) {
			r.route.Store(&want.route)
			if want.dnd {
				r.do(http.MethodPut, "/deviceStates/Stasis:dnd-101", url.Values{"deviceState": {"BUSY"}})
			}
			if want.http {
				asked := make(chan url.Values, 1)
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					asked <- r.URL.Query()
					_, _ = w.Write([]byte("102"))
				}))
				defer s.Close()
				r.post("/asterisk/variable", url.Values{"variable": {"CALLBRIDGE_URL"}, "value": {s.URL}})
				r.post("/asterisk/variable", url.Values{"variable": {"CALLBRIDGE_SECRET"}, "value": {"se cret&"}})
				defer func() {
					if q := <-asked; q.Get("number") != Client || q.Get("line") != HTTPLine || q.Get("secret") != "se cret&" || q.Get("call") == "" {
						t.Errorf("the dialplan asked %v", q)
					}
				}()
			}
			p := b.Begin(t, name, Options{Ring: 300 * time.Millisecond, Talk: 400 * time.Millisecond, Name: "Ivan"})
			if want.c2c {
				r.post("/channels", url.Values{"endpoint": {"PJSIP/101"}, "context": {"click2call"}, "extension": {Client}, "priority": {"1"}, "callerId": {Client}, "channelId": {"cb-1"}})
			}
			p.Wait(t)
			events := r.call()
			got := dials(events)
			for _, d := range want.dials {
				if !got[d] {
					t.Errorf("no %q in %v", d, got)
				}
			}
			linked := events[len(events)-1].Channel.ChannelVars["CHANNEL(linkedid)"]
			if linked == "" {
				t.Errorf("events carry no linkedid: %s", events[len(events)-1].Raw)
			}
			dir := ""
			for _, e := range events {
				if v := e.Channel.ChannelVars["CB_DIR"]; v != "" {
					dir = v
				}
			}
			if dir != want.dir {
				t.Errorf("CB_DIR is %q, want %q", dir, want.dir)
			}
			if want.record {
				file := filepath.Join(b.Recordings, linked+".wav")
				if !wait(5*time.Second, func() bool { s, err := os.Stat(file); return err == nil && s.Size() > 44 }) {
					t.Errorf("no sound in %s", filepath.Base(file))
				}
			}
		})
	}
}

// TestRouteWithoutAnswer: neither nobody nor a silent program at the routing
// step may keep a caller; 101 rings at once, or after the two seconds the
// sample dialplan allows.
func TestRouteWithoutAnswer(t *testing.T) {
	b := Start(t)
	for _, app := range []string{"somebody-else", b.App} {
		r := record(t, b, app)
		b.Play(t, "in_answered", Options{Ring: 200 * time.Millisecond, Talk: 200 * time.Millisecond})
		if got := dials(r.call()); !got["101 ANSWER"] {
			t.Errorf("watching as %s: the call did not go on: %v", app, got)
		}
	}
}

// TestKillAndLaunch: Asterisk dies without a word and comes back with the same
// address, as tests of gaps need it.
func TestKillAndLaunch(t *testing.T) {
	b := Start(t)
	r := record(t, b, b.App)
	b.Kill(t)
	for range r.events { // until the websocket is cut
	}
	b.Launch(t)
	record(t, b, b.App)
	b.Play(t, "in_blacklisted", Options{})
}
