package ari

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/pbx"
	"callbridge/pbx/ari/arisim"
)

// route begins a call and waits until it asks for a route.
func (r *rig) route(scenario string) bridge.Event {
	r.t.Helper()
	if _, err := r.sim.Begin(r.t.Context(), scenario, arisim.PlayOptions{}); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
	asked := r.all(bridge.RouteAsked)
	if len(asked) == 0 {
		r.t.Fatal("no routing question")
	}
	return asked[len(asked)-1]
}

func TestRouteAnswered(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		q := r.route("in_answered")
		if !slices.Equal(q.Args, []string{"route", "74951234567", "79161234567"}) {
			t.Errorf("args %q", q.Args)
		}
		if err := r.pbx.AnswerRoute(t.Context(), q.Leg.ID, "103"); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		got := r.sim.Routes()
		if len(got) != 1 || got[0].Extension != "103" || !got[0].Answered || got[0].Took > 50*time.Millisecond {
			t.Errorf("routes: %+v", got)
		}
		if began := r.all(bridge.ChannelBegan); len(began) != 2 || began[1].Leg.Extension != "103" {
			t.Errorf("called: %+v", began)
		}
		if res := r.results(); !slices.Equal(res, []RouteResult{RouteAnswered}) {
			t.Errorf("results %v", res)
		}
		r.end()
	})
}

func TestRouteDefaultAndBadAnswer(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		if err := r.pbx.AnswerRoute(t.Context(), r.route("in_answered").Leg.ID, ""); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		// What is no extension must not reach Dial(), but the call must go on.
		if err := r.pbx.AnswerRoute(t.Context(), r.route("in_answered").Leg.ID, "101&PJSIP/trunk"); fault.KindOf(err) != fault.Invalid {
			t.Errorf("error %v", err)
		}
		// A caller whose own time is over does not hold the call back either.
		pass(10 * time.Second)
		q := r.route("in_answered")
		late, cancel := context.WithCancel(t.Context())
		cancel()
		_ = r.pbx.AnswerRoute(late, q.Leg.ID, "103")
		pass(10 * time.Second)
		for _, x := range r.sim.Routes() {
			if !x.Answered || x.Extension != "" || x.Took > 100*time.Millisecond {
				t.Errorf("route: %+v", x)
			}
		}
		if len(r.sim.Routes()) != 3 {
			t.Errorf("%d routes", len(r.sim.Routes()))
		}
		r.end()
	})
}

// Nobody answers: the adapter itself sends the call on within its budget, and
// an answer after that is late, which is no trouble.
func TestRouteBudgetAndTooLate(t *testing.T) {
	inBubble(t, arisim.Options{RouteWait: 5 * time.Second}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		q := r.route("in_answered")
		pass(1600 * time.Millisecond)
		got := r.sim.Routes()
		if len(got) != 1 || !got[0].Answered || got[0].Took < 1400*time.Millisecond {
			t.Fatalf("routes: %+v", got)
		}
		if err := r.pbx.AnswerRoute(t.Context(), q.Leg.ID, "103"); !errors.Is(err, pbx.ErrTooLate) {
			t.Errorf("late answer: %v", err)
		}
		if err := r.pbx.AnswerRoute(t.Context(), "gone-1.1", "103"); !errors.Is(err, pbx.ErrTooLate) {
			t.Errorf("answer for a dead call: %v", err)
		}
		if res := r.results(); !slices.Equal(res, []RouteResult{RouteTimeout, RouteLate, RouteLate}) {
			t.Errorf("results %v", res)
		}
		if strings.Contains(r.log.String(), "could not be sent on") {
			t.Error("too late is not worth a warning")
		}
		r.end()
	})
}

// Calls that were asked about when the adapter stops are let go.
func TestRouteReleasedAtStop(t *testing.T) {
	inBubble(t, arisim.Options{RouteWait: 5 * time.Second}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		r.route("in_answered")
		r.end()
		synctest.Wait()
		if got := r.sim.Routes(); len(got) != 1 || !got[0].Answered || got[0].Took > 100*time.Millisecond {
			t.Errorf("routes: %+v", got)
		}
	})
}

// What enters our application without being a routing question goes on at once.
func TestUnknownStasisArgumentsContinue(t *testing.T) {
	inBubble(t, arisim.Options{}, func(c *Config) { c.RouteArg = "who" }, func(t *testing.T, r *rig) {
		r.mustConnect()
		r.route("in_answered")
		pass(10 * time.Millisecond)
		if got := r.sim.Routes(); len(got) != 1 || !got[0].Answered {
			t.Errorf("routes: %+v", got)
		}
		if len(r.results()) != 0 {
			t.Error("it was counted as a question")
		}
		r.end()
	})
}

// A call that waits in our application when the link comes back gets no second
// StasisStart: it is sent on.
func TestWaitingInStasisAfterReconnect(t *testing.T) {
	inBubble(t, arisim.Options{RouteWait: time.Minute}, func(c *Config) { c.RouteBudget = time.Hour }, func(t *testing.T, r *rig) {
		r.mustConnect()
		r.route("in_answered")
		r.sim.DropAll()
		pass(2 * time.Second)
		got := r.sim.Routes()
		if len(got) != 1 || !got[0].Answered || got[0].Took > 2*time.Second {
			t.Errorf("routes: %+v", got)
		}
		pass(10 * time.Second)
		r.end()
	})
}

func click(id string) pbx.Originate {
	return pbx.Originate{RequestID: id, Extension: "102", Client: "+79031112233", CallerID: "+74951234567"}
}

func TestOriginate(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		id, err := r.pbx.Originate(t.Context(), click("task-99"))
		if err != nil || id != "cb-task-99" {
			t.Fatalf("%q, %v", id, err)
		}
		var body string
		for _, q := range r.sim.Requests() {
			if q.Method == "POST" && q.Path == "/channels" {
				body = q.Body
			}
		}
		for _, want := range []string{`"channelId":"cb-task-99"`, `"endpoint":"PJSIP/102"`, `"extension":"79031112233"`, `"context":"click2call"`,
			`"CB_C2C":"task-99"`, `"CB_EXT":"102"`, `"__CB_DIR":"out"`, `"CB_CID":"+74951234567"`, `"timeout":25`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s is missing in %s", want, body)
			}
		}
		pass(20 * time.Second)
		began := r.all(bridge.ChannelBegan)
		if len(began) != 2 || began[0].Leg.ID != id || began[0].Leg.Extension != "102" || began[1].Leg.Group != id {
			t.Errorf("channels: %+v", began)
		}
		r.end()
	})
}

// The same request id never calls twice: while the call lives, after it, and
// when the daemon was started anew in between.
func TestD19SameRequestOneCall(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		for range 3 {
			if id, err := r.pbx.Originate(t.Context(), click("a b/c")); err != nil || id != ClickChannel("a b/c") {
				t.Fatalf("%q, %v", id, err)
			}
		}
		other := r.adapter(nil)
		if id, err := other.Originate(t.Context(), click("a b/c")); err != nil || id != ClickChannel("a b/c") {
			t.Errorf("another process: %q, %v", id, err)
		}
		pass(time.Minute)
		if _, err := r.pbx.Originate(t.Context(), click("a b/c")); err != nil {
			t.Error(err)
		}
		if n := len(r.all(bridge.ChannelBegan)); n != 2 {
			t.Errorf("%d channels began, want the two of one call", n)
		}
		other.http.CloseIdleConnections()
		r.end()
	})
}

// The answer to the order gets lost: we look, and do not order again.
func TestOriginateAnswerLost(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		r.sim.LoseAnswers(1)
		if id, err := r.pbx.Originate(t.Context(), click("t1")); err != nil || id != "cb-t1" {
			t.Errorf("%q, %v", id, err)
		}
		if n := r.count("POST", "/channels"); n != 1 {
			t.Errorf("ordered %d times", n)
		}
		pass(20 * time.Second)
		r.end()
	})
}

func TestOriginateRefusals(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		r.sim.SetPhone("105", "offline")
		if err := r.pbx.SetDoNotDisturb(t.Context(), "104", true); err != nil {
			t.Fatal(err)
		}
		order := func(ext string, client bridge.Number, raw string) pbx.Originate {
			return pbx.Originate{RequestID: "x-" + ext, Extension: ext, Client: client, ClientRaw: raw}
		}
		for name, c := range map[string]struct {
			o    pbx.Originate
			code string
		}{
			"phone offline":    {order("105", "+79031112233", ""), "no_phone"},
			"no such endpoint": {order("199", "+79031112233", ""), "unknown_extension"},
			"no extension":     {order("", "+79031112233", ""), "unknown_extension"},
			"not a phone":      {order("trunk", "+79031112233", ""), "unknown_extension"},
			"path in it":       {order("../101", "+79031112233", ""), "unknown_extension"},
			"no number":        {order("101", "", ""), "unknown_number"},
			"dial string":      {order("101", "", "101@trunk&PJSIP/1"), "unknown_number"},
			"do not disturb":   {order("104", "+79031112233", ""), "do_not_disturb"},
		} {
			_, err := r.pbx.Originate(t.Context(), c.o)
			ref, ok := errors.AsType[*pbx.Refusal](err)
			if !ok || ref.Code != c.code || ref.Text == "" {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
		}
		if n := r.count("POST", "/channels"); n != 0 {
			t.Errorf("%d orders were sent", n)
		}
		if _, err := r.pbx.Originate(t.Context(), order("101", "", "103")); err != nil {
			t.Errorf("an internal number: %v", err)
		}
		r.sim.Refuse(-1)
		r.pbx.http.CloseIdleConnections()
		_, err := r.pbx.Originate(t.Context(), click("z"))
		if ref, ok := errors.AsType[*pbx.Refusal](err); !ok || ref.Code != "pbx_unreachable" {
			t.Errorf("no connection: %v", err)
		}
		r.sim.Refuse(0)
		pass(20 * time.Second)
		r.end()
	})
}

func TestHangup(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		id, err := r.pbx.Originate(t.Context(), click("h"))
		if err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second) // both are dialled
		if err := r.pbx.Hangup(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(r.all(bridge.ChannelEnded)); n != 2 || len(r.sim.Live()) != 0 {
			t.Errorf("%d channels ended, %v live", n, r.sim.Live())
		}
		if err := r.pbx.Hangup(t.Context(), id); err != nil {
			t.Errorf("gone already: %v", err)
		}
		r.end()
	})
}

func TestPresence(t *testing.T) {
	inBubble(t, arisim.Options{Phones: []string{"101", "ivanov"}}, func(c *Config) { c.Names = map[string]string{"ivanov": "201"} }, func(t *testing.T, r *rig) {
		r.mustConnect()
		ctx := t.Context()
		for range 2 { // switching twice is the same as once
			if err := r.pbx.SetDoNotDisturb(ctx, "201", true); err != nil {
				t.Fatal(err)
			}
		}
		if !r.pbx.doNotDisturb(ctx, "201") || r.pbx.doNotDisturb(ctx, "101") {
			t.Error("do-not-disturb is not kept")
		}
		for range 2 {
			if err := r.pbx.SetDoNotDisturb(ctx, "201", false); err != nil {
				t.Fatal(err)
			}
		}
		if r.pbx.doNotDisturb(ctx, "201") {
			t.Error("do-not-disturb stays on")
		}
		r.sim.SetPhone("ivanov", "offline")
		for ext, want := range map[string]string{"101": "online", "201": "offline", "999": "unknown", "": "unknown"} {
			if got, err := r.pbx.PhoneState(ctx, ext); err != nil || got != want {
				t.Errorf("phone %q: %q, %v; want %q", ext, got, err, want)
			}
		}
		synctest.Wait()
		if reg := r.all(bridge.Registration); len(reg) != 1 || reg[0].Name != "201" || reg[0].Value != "offline" {
			t.Errorf("registration: %+v", reg)
		}
		r.end()
	})
}

func TestRecordings(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int) {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1795.1.wav", 1000)
	write("1795.2.wav", 44) // nobody talked
	write("1795.3.mp3", 500)
	secretFile := filepath.Join(filepath.Dir(dir), "outside.wav")
	if err := os.WriteFile(secretFile, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(secretFile)
	inBubble(t, arisim.Options{}, func(c *Config) { c.RecordingDir = dir }, func(t *testing.T, r *rig) {
		r.mustConnect()
		id, err := r.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Speed: 10})
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]struct {
			size int64
			kind string
		}{
			id + ".wav":   {32044, "audio/wav"},
			id:            {32044, "audio/wav"},
			"1795.1.wav":  {1000, "audio/wav"},
			"1795.1":      {1000, "audio/wav"},
			"1795.3.mp3":  {500, "audio/mpeg"},
			"/1795.1.wav": {1000, "audio/wav"},
		} {
			body, kind, size, err := r.pbx.OpenRecording(t.Context(), name)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			b, err := io.ReadAll(body)
			_ = body.Close()
			if err != nil || int64(len(b)) != size || size != want.size || kind != want.kind {
				t.Errorf("%s: %d bytes of %d, %s, %v", name, len(b), size, kind, err)
			}
		}
		for _, name := range []string{"1795.2.wav", "1795.9.wav", "../outside.wav", "..", "", "a/../../outside.wav"} {
			if _, _, _, err := r.pbx.OpenRecording(t.Context(), name); !errors.Is(err, pbx.ErrNotFound) {
				t.Errorf("%q: %v, want not found", name, err)
			}
		}
		r.end()
	})
}

func TestErrorKinds(t *testing.T) {
	inBubble(t, arisim.Options{ReadOnlyUser: "watcher"}, nil, func(t *testing.T, r *rig) {
		hang := func(p *PBX) error {
			return p.do(t.Context(), request{op: "hangup", method: "DELETE", path: "/channels/x"})
		}
		wrong := r.adapter(func(c *Config) { c.Password = "wrong" })
		readOnly := r.adapter(func(c *Config) { c.Username = "watcher" })
		check := func(name string, err error, kind fault.Kind, status int) {
			t.Helper()
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Kind != kind || f.Status != status || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v, want %v %d", name, err, kind, status)
			}
		}
		check("401", hang(wrong), fault.Auth, 401)
		check("403", hang(readOnly), fault.Forbidden, 403)
		check("404", hang(r.pbx), fault.Gone, 404)
		check("409", r.pbx.do(t.Context(), request{op: "state", method: "PUT", path: "/deviceStates/PJSIP%2F101"}), fault.Invalid, 409)
		check("400", r.pbx.do(t.Context(), request{op: "originate", method: "POST", path: "/channels", body: map[string]string{}}), fault.Invalid, 400)
		r.sim.Refuse(503)
		check("503", hang(r.pbx), fault.Temporary, 503)
		r.sim.Refuse(0)
		r.sim.LoseAnswers(1)
		check("answer lost", hang(r.pbx), fault.Uncertain, 0)
		r.sim.Stall(true)
		began := time.Now()
		check("no answer", hang(r.pbx), fault.Uncertain, 0)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("waited %v", took)
		}
		check("no answer to a question", r.pbx.do(t.Context(), request{op: "info", method: "GET", path: "/asterisk/info"}), fault.Temporary, 0)
		r.sim.Stall(false)
		r.sim.Refuse(-1)
		r.pbx.http.CloseIdleConnections()
		check("no connection", hang(r.pbx), fault.Temporary, 0)
		var out int
		r.sim.Refuse(0)
		check("not what we expect", r.pbx.do(t.Context(), request{op: "info", method: "GET", path: "/asterisk/info", out: &out}), fault.Temporary, 200)
		for _, p := range []*PBX{wrong, readOnly} {
			p.http.CloseIdleConnections()
		}
	})
}
