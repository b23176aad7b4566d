package arisim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// started is a Sim on a real port, with a request function.
func started(t *testing.T, o Options) (*Sim, func(method, path, body string) (int, string)) {
	t.Helper()
	s := New(o)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, func(method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(s.Username(), s.Password())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, strings.TrimSpace(string(b))
	}
}

func listen(t *testing.T, s *Sim, query string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(strings.Replace(s.URL(), "http", "ws", 1)+"/events?api_key="+s.Username()+":"+s.Password()+"&"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// nextEvent reads until an event of that type.
func nextEvent(t *testing.T, c *websocket.Conn, kind string) map[string]any {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		var e map[string]any
		if err := c.ReadJSON(&e); err != nil {
			t.Fatalf("waiting for %s: %v", kind, err)
		}
		if e["type"] == kind {
			return e
		}
	}
}

// The answers are those that were seen on a real Asterisk.
func TestStrictAsTheRealOne(t *testing.T) {
	t.Parallel()
	s, do := started(t, Options{})
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		text               string
	}{
		"no app":              {"GET", "/events", "", 400, "<html>"},
		"unknown channel":     {"POST", "/channels/x/continue", "", 404, "Channel not found"},
		"no endpoint":         {"POST", "/channels", `{"extension":"7900"}`, 400, "Endpoint"},
		"unknown endpoint":    {"POST", "/channels", `{"endpoint":"PJSIP/900","extension":"7900"}`, 500, `{"error":"Allocation failed"}`},
		"unknown technology":  {"POST", "/channels?endpoint=IAX2/101&extension=7", "", 500, "Allocation failed"},
		"no JSON":             {"POST", "/channels", `{`, 400, "Invalid json"},
		"device not ours":     {"PUT", "/deviceStates/PJSIP%2F101?deviceState=BUSY", "", 409, "Uncontrolled device specified"},
		"unknown state":       {"PUT", "/deviceStates/Stasis:dnd-101?deviceState=AWAY", "", 500, "Unknown device"},
		"slash not escaped":   {"GET", "/deviceStates/PJSIP/101", "", 404, ""},
		"phone's state":       {"GET", "/deviceStates/PJSIP%2F101", "", 200, "NOT_INUSE"},
		"nobody's state":      {"GET", "/deviceStates/PJSIP%2F999", "", 200, "UNKNOWN"},
		"unknown phone":       {"GET", "/endpoints/PJSIP/999", "", 404, "not found"},
		"filter without app":  {"PUT", "/applications/other/eventFilter", `{}`, 404, "Application"},
		"unknown recording":   {"GET", "/recordings/stored/x/file", "", 404, "Recording not found"},
		"recording with type": {"GET", "/recordings/stored/x.wav/file", "", 404, "Recording not found"},
	} {
		if status, text := do(c.method, c.path, c.body); status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s: %d %s, want %d %s", name, status, text, c.status, c.text)
		}
	}
	resp, err := http.Get(s.URL() + "/asterisk/info")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") != `Basic realm="Asterisk REST Interface"` {
		t.Errorf("without a password: %d %v", resp.StatusCode, resp.Header)
	}
}

func TestOriginatePlaysClickToCall(t *testing.T) {
	t.Parallel()
	s, do := started(t, Options{OriginateSpeed: 20})
	ws := listen(t, s, "app=callbridge&subscribeAll=true")
	body := `{"endpoint":"PJSIP/102","extension":"79031112233","context":"click2call","callerId":"\"x\" <79031112233>","channelId":"cb-1","variables":{"CB_C2C":"1","CB_CID":"74990001122"}}`
	if status, text := do("POST", "/channels", body); status != 200 || !strings.Contains(text, `"id":"cb-1"`) {
		t.Fatalf("%d %s", status, text)
	}
	if status, text := do("POST", "/channels", body); status != 409 || !strings.Contains(text, "already exists") {
		t.Errorf("the second time: %d %s", status, text)
	}
	dial := nextEvent(t, ws, "Dial")
	if peer := dial["peer"].(map[string]any); peer["id"] != "cb-1" || !strings.HasPrefix(peer["name"].(string), "PJSIP/102-") {
		t.Errorf("dials %v", peer)
	}
	if status, text := do("GET", "/channels/cb-1/variable?variable=CB_C2C", ""); status != 200 || text != `{"value":"1"}` {
		t.Errorf("variable: %d %s", status, text)
	}
	for range 2 {
		nextEvent(t, ws, "ChannelDestroyed")
	}
	if status, _ := do("GET", "/channels/cb-1", ""); status != 404 {
		t.Errorf("after the call: %d", status)
	}
	if status, text := do("GET", "/recordings/stored/cb-1/file", ""); status != 200 || !strings.HasPrefix(text, "RIFF") {
		t.Errorf("recording: %d", status)
	}
}

// One socket per application: the first gets one word and then nothing.
func TestApplicationReplaced(t *testing.T) {
	t.Parallel()
	s, do := started(t, Options{})
	first := listen(t, s, "app=callbridge&subscribeAll=true")
	if status, text := do("PUT", "/applications/callbridge/eventFilter", `{"disallowed":[{"type":"ChannelVarset"}]}`); status != 200 || !strings.Contains(text, "ChannelVarset") {
		t.Fatalf("%d %s", status, text)
	}
	second := listen(t, s, "app=callbridge&subscribeAll=true")
	nextEvent(t, first, "ApplicationReplaced")
	if f := s.Filtered("callbridge"); len(f) != 0 {
		t.Errorf("the filter outlived its connection: %v", f)
	}
	s.SetPhone("105", "offline")
	nextEvent(t, second, "PeerStatusChange")
	_ = first.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, b, err := first.ReadMessage(); err == nil {
		t.Errorf("the first still gets %s", b)
	}
}

// Other names get all events too, but not those of the routing step.
func TestStasisEventsGoToOneApplication(t *testing.T) {
	t.Parallel()
	s, _ := started(t, Options{RouteWait: 50 * time.Millisecond})
	owner := listen(t, s, "app=callbridge&subscribeAll=true")
	watcher := listen(t, s, "app=watcher&subscribeAll=true")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := s.Play(ctx, "in_answered", PlayOptions{Speed: 50}); err != nil {
		t.Fatal(err)
	}
	s.SendRaw(`{"type":"End"}`)
	nextEvent(t, owner, "StasisStart")
	_ = watcher.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		_, b, err := watcher.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ Type, Application string }
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == "End" {
			break
		}
		if strings.HasPrefix(e.Type, "Stasis") || e.Application != "watcher" {
			t.Errorf("the watcher gets %s of %s", e.Type, e.Application)
		}
	}
}

// A client that does not read is cut, and loses what it did not take.
func TestSlowReaderIsCut(t *testing.T) {
	t.Parallel()
	s, _ := started(t, Options{})
	listen(t, s, "app=callbridge&subscribeAll=true") // never reads
	big := `{"type":"Big","text":"` + strings.Repeat("x", 1<<20) + `"}`
	gone := func() bool { return s.Connected() == 0 }
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !gone() {
		s.SendRaw(big)
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it was not cut")
		}
	}
}
