package ari

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"callbridge/bridge"
	"callbridge/pbx/ari/arisim"
)

func TestFollowsCall(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		id, err := r.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Client: "79031112233"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := r.all(bridge.ChannelBegan)
		if len(began) != 2 || began[0].Leg.ID != id || began[0].Leg.Number != "79031112233" || began[1].Leg.Extension != "101" {
			t.Fatalf("channels: %+v", began)
		}
		if n := len(r.all(bridge.ChannelEnded)); n != 2 {
			t.Errorf("%d channels ended, want 2", n)
		}
		for _, e := range r.events {
			if e.PBX != "office" || e.ID == "" || e.At.IsZero() || e.Seen.IsZero() {
				t.Fatalf("incomplete event %+v", e)
			}
		}
		// The PBX names the call of each channel, so half the traffic is not needed.
		if f := r.sim.Filtered("callbridge"); !slices.Contains(f, "ChannelVarset") || !slices.Contains(f, "ChannelDialplan") {
			t.Errorf("filter: %v", f)
		}
		s := r.pbx.Status()
		if s.Version != "22.10.1" || s.Problem != "" || s.StartedAt.IsZero() || !s.Linked || s.QueueBytes != 0 {
			t.Errorf("status: %+v", s)
		}
		r.end()
		if s := r.pbx.Status(); s.Connected {
			t.Error("connected after the end")
		}
	})
}

// On a PBX that nobody prepared, variables are what links channels.
func TestPlainPBXKeepsVarsets(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		if _, err := r.sim.Play(t.Context(), "plain/in_answered", arisim.PlayOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if f := r.sim.Filtered("callbridge"); slices.Contains(f, "ChannelVarset") || !slices.Contains(f, "ChannelDialplan") {
			t.Errorf("filter: %v", f)
		}
		r.end()
	})
}

// A cut link is opened again, the filter is sent anew, and the gap and what
// lives now are told in order.
func TestReconnectTellsGapAndSnapshot(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		if n := len(r.all(bridge.LinkLost)); n != 0 {
			t.Fatalf("%d gaps on a first start", n)
		}
		p, err := r.sim.Begin(t.Context(), "in_answered", arisim.PlayOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pass(4 * time.Second) // in the talk, after the routing step
		before := time.Now()
		r.sim.DropAll()
		pass(time.Second)
		lost, up := r.all(bridge.LinkLost), r.all(bridge.LinkUp)
		if len(lost) != 1 || len(up) != 2 {
			t.Fatalf("%d gaps, %d snapshots", len(lost), len(up))
		}
		if g := lost[0]; g.To.Sub(g.From) <= 0 || g.To.Sub(g.From) > pingEvery || g.From.After(before) {
			t.Errorf("gap %v…%v, cut at %v", g.From, g.To, before)
		}
		snap := up[1].Snapshot
		if len(snap.Channels) != 2 || len(snap.Rooms) != 1 || len(snap.Rooms[0].Members) != 2 || snap.Channels[0].ID != p.ID {
			t.Errorf("snapshot: %+v", snap)
		}
		if s := r.pbx.Status(); s.Reconnects != 1 || !s.Connected {
			t.Errorf("status: %+v", s)
		}
		if f := r.sim.Filtered("callbridge"); !slices.Contains(f, "ChannelVarset") {
			t.Errorf("filter after the reconnect: %v", f)
		}
		if err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(r.all(bridge.ChannelEnded)); n != 2 {
			t.Errorf("%d channels ended, want 2", n)
		}
		r.end()
	})
}

// After a restart of Asterisk the snapshot shows its new start and no channels.
func TestRestartOfAsterisk(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		if _, err := r.sim.Begin(t.Context(), "in_answered", arisim.PlayOptions{}); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		r.sim.Refuse(-1)
		r.sim.Restart()
		pass(3 * time.Second)
		if s := r.pbx.Status(); s.Connected || s.Code != ProblemUnreachable {
			t.Errorf("status while it is down: %+v", s)
		}
		r.sim.Refuse(404)
		pass(20 * time.Second)
		if s := r.pbx.Status(); s.Code != ProblemStarting {
			t.Errorf("status while ARI loads: %+v", s)
		}
		r.sim.Refuse(503)
		pass(20 * time.Second)
		if s := r.pbx.Status(); s.Code != ProblemStarting {
			t.Errorf("status while it boots: %+v", s)
		}
		r.sim.Refuse(0)
		pass(20 * time.Second)
		up := r.all(bridge.LinkUp)
		if len(up) != 2 || len(up[1].Snapshot.Channels) != 0 || !up[1].Snapshot.StartedAt.After(up[0].Snapshot.StartedAt.Time) {
			t.Errorf("snapshots: %+v", up)
		}
		if s := r.pbx.Status(); !s.Connected || s.Problem != "" {
			t.Errorf("status: %+v", s)
		}
		r.end()
	})
}

// A lasting 404 is a wrong address, not a boot.
func TestNoARIAtAddress(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.sim.Refuse(404)
		r.run()
		pass(5 * time.Minute)
		if s := r.pbx.Status(); s.Code != ProblemNoARI {
			t.Errorf("status: %+v", s)
		}
		r.end()
	})
}

// What the daemon missed while it was off is a gap too.
func TestFirstGapBeginsAtLastStoredEvent(t *testing.T) {
	var seen bridge.Time
	inBubble(t, arisim.Options{}, func(c *Config) {
		seen = bridge.At(time.Now().Add(-time.Hour))
		c.LastSeen = seen
	}, func(t *testing.T, r *rig) {
		r.mustConnect()
		lost := r.all(bridge.LinkLost)
		if len(lost) != 1 || !lost[0].From.Equal(seen.Time) || lost[0].To.Sub(seen) < 59*time.Minute {
			t.Errorf("gaps: %+v", lost)
		}
		r.end()
	})
}

// An idle link is kept by pings; a silent one is noticed within half a minute.
func TestPingFindsDeadLink(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		pass(10 * time.Minute)
		if s := r.pbx.Status(); !s.Connected || s.Reconnects != 0 || time.Since(s.LastHeard) > 11*time.Second {
			t.Fatalf("idle link: %+v", s)
		}
		r.sim.Stall(true)
		pass(36 * time.Second)
		if s := r.pbx.Status(); s.Connected {
			t.Fatalf("dead link not noticed: %+v", s)
		}
		r.sim.Stall(false)
		pass(30 * time.Second)
		if s := r.pbx.Status(); !s.Connected {
			t.Fatalf("not connected again: %+v", s)
		}
		lost := r.all(bridge.LinkLost)
		if len(lost) != 1 || lost[0].To.Sub(lost[0].From) < 25*time.Second {
			t.Errorf("gaps: %+v", lost)
		}
		r.end()
	})
}

// Another program with our application name: we give way for half a minute,
// and say so.
func TestApplicationReplaced(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		other := r.dialRaw("callbridge")
		defer other.Close()
		pass(29 * time.Second)
		s := r.pbx.Status()
		if s.Connected || s.Code != ProblemReplaced || !strings.Contains(r.log.String(), "only one may use a name") {
			t.Errorf("status: %+v\n%s", s, r.log.String())
		}
		if s.Reconnects != 0 {
			t.Error("it fights for the name")
		}
		other.Close()
		pass(5 * time.Second)
		if s := r.pbx.Status(); !s.Connected || s.Reconnects != 1 {
			t.Errorf("status: %+v", s)
		}
		r.end()
	})
}

// dialRaw opens a websocket as another program would.
func (r *rig) dialRaw(app string) *websocket.Conn {
	r.t.Helper()
	d := websocket.Dialer{NetDialContext: r.sim.DialContext}
	auth := base64.StdEncoding.EncodeToString([]byte(r.sim.Username() + ":" + secret))
	c, _, err := d.Dial("ws://asterisk.invalid/ari/events?subscribeAll=true&app="+app, http.Header{"Authorization": {"Basic " + auth}})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// A frame that cannot be read is counted, kept raw, logged once per kind, and
// harms nothing.
func TestMalformedFrames(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		bad := []string{`{"type":"Dial"`, `[]`, `{"type":"Dial","timestamp":"yesterday"}`, `{"type":"ChannelDestroyed","channel":7}`, ``}
		for _, f := range bad {
			r.sim.SendRaw(f)
			r.sim.SendRaw(f)
		}
		r.sim.SendRaw(`{"type":"SomethingNew","timestamp":"2026-11-22T05:01:24.006+0000"}`)
		synctest.Wait()
		got := map[string]int{}
		for _, e := range r.all(bridge.UnknownEvent) {
			if e.Value != "" {
				got[string(e.Raw)]++
				if e.At.IsZero() {
					t.Errorf("no time on %s", e.Raw)
				}
			}
		}
		for _, f := range bad {
			if got[f] != 2 {
				t.Errorf("frame %q was kept %d times, want 2", f, got[f])
			}
		}
		s := r.pbx.Status()
		if !s.Connected || s.Malformed != int64(2*len(bad)) {
			t.Errorf("status: %+v", s)
		}
		if n := strings.Count(r.log.String(), "cannot be read"); n < 2 || n > 4 {
			t.Errorf("logged %d times:\n%s", n, r.log.String())
		}
		r.end()
	})
}

func TestPasswordRefused(t *testing.T) {
	inBubble(t, arisim.Options{}, func(c *Config) { c.Password = "wrong" }, func(t *testing.T, r *rig) {
		r.run()
		pass(10 * time.Minute)
		s := r.pbx.Status()
		if s.Connected || s.Code != ProblemAuth || s.Problem != "ARI user or password refused" {
			t.Errorf("status: %+v", s)
		}
		if n := strings.Count(r.log.String(), "password refused"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		r.end()
	})
}

func TestReadOnlyUserIsFound(t *testing.T) {
	inBubble(t, arisim.Options{ReadOnlyUser: "watcher"}, func(c *Config) { c.Username = "watcher" }, func(t *testing.T, r *rig) {
		r.mustConnect()
		if s := r.pbx.Status(); s.Code != ProblemReadOnly || !strings.Contains(s.Problem, "read_only = no") {
			t.Errorf("status: %+v", s)
		}
		if _, err := r.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Speed: 4}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(r.all(bridge.ChannelEnded)) != 2 {
			t.Error("it can watch all the same")
		}
		r.end()
	})
}

// The PBX cuts a reader who stands still for 100 ms. A consumer that takes a
// second for each event does not make the reader stand still.
func TestSlowConsumerDoesNotStopReader(t *testing.T) {
	inBubble(t, arisim.Options{WriteTimeout: 50 * time.Millisecond}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		r.mu.Lock()
		r.emit = func(bridge.Event) { time.Sleep(time.Second) }
		r.mu.Unlock()
		for range 3 {
			if _, err := r.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Speed: 1000}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		s := r.pbx.Status()
		if !s.Connected || s.Reconnects != 0 || s.QueueBytes == 0 {
			t.Errorf("status: %+v", s)
		}
		pass(5 * time.Second)
		if s := r.pbx.Status(); s.QueueAge < 4*time.Second {
			t.Errorf("queue age %v", s.QueueAge)
		}
		pass(5 * time.Minute)
		if s := r.pbx.Status(); !s.Connected || s.QueueBytes != 0 || s.QueueAge != 0 || s.Reconnects != 0 {
			t.Errorf("status: %+v", s)
		}
		if n := len(r.all(bridge.ChannelEnded)); n != 6 {
			t.Errorf("%d channels ended, want 6", n)
		}
		r.end()
	})
}

// A full queue is counted and ends the link; what was in it is not lost, and
// the rest is a gap.
func TestOverflowEndsLinkAndReconciles(t *testing.T) {
	inBubble(t, arisim.Options{}, func(c *Config) { c.QueueBytes = 10_000 }, func(t *testing.T, r *rig) {
		r.mustConnect()
		gate := make(chan struct{})
		r.mu.Lock()
		r.emit = func(bridge.Event) { <-gate }
		r.mu.Unlock()
		if _, err := r.sim.Play(t.Context(), "in_answered", arisim.PlayOptions{Speed: 1000}); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		close(gate)
		pass(5 * time.Second)
		s := r.pbx.Status()
		if s.Overflows != 1 || !s.Connected || s.Reconnects != 1 {
			t.Errorf("status: %+v", s)
		}
		if len(r.all(bridge.LinkLost)) != 1 || len(r.all(bridge.ChannelBegan)) == 0 {
			t.Error("the gap is not told, or the queue was thrown away")
		}
		if !strings.Contains(r.log.String(), "faster") && !strings.Contains(r.log.String(), "more events came") {
			t.Error("nothing in the log")
		}
		r.end()
	})
}

// The snapshot comes before the frames that arrived while it was taken.
func TestSnapshotComesFirst(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		if _, err := r.sim.Begin(t.Context(), "in_answered", arisim.PlayOptions{}); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		r.run()
		pass(10 * time.Second)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.events) < 3 || r.events[0].Kind != bridge.LinkUp || len(r.events[0].Snapshot.Channels) != 2 {
			t.Errorf("first event: %+v", r.events[0])
		}
		r.mu.Unlock()
		r.end()
		r.mu.Lock()
	})
}

func TestRunOnlyOnce(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		if err := r.pbx.Run(t.Context(), func(bridge.Event) {}); err == nil {
			t.Error("Run ran twice")
		}
		r.stop()
		if err := <-r.done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
}

// A PBX whose clock is wrong: gaps are in its time, as its events are.
func TestGapIsInTimeOfPBX(t *testing.T) {
	t.Parallel()
	var c clock
	now := time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)
	c.date(now.Add(5*time.Minute).Format(http.TimeFormat), now)
	if got := c.pbx(now); !got.Equal(now.Add(5 * time.Minute)) {
		t.Errorf("by the Date header: %v", got)
	}
	c.told(bridge.At(now.Add(-time.Hour)), now)
	c.date(now.Add(5*time.Minute).Format(http.TimeFormat), now)
	c.frameAt(now.Add(time.Second))
	c.lost()
	if got := c.seen(); !got.Equal(now.Add(time.Second - time.Hour)) {
		t.Errorf("by an event: %v", got)
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no scheme":        {URL: "localhost:8088/ari"},
		"password in it":   {URL: "http://u:p@localhost:8088/ari"},
		"api key in it":    {URL: "http://localhost:8088/ari?api_key=u:p"},
		"two applications": {URL: "http://localhost:8088/ari", App: "a,b"},
	} {
		if _, err := New(cfg, Deps{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(Config{URL: "https://pbx.example.ru/asterisk/ari/"}, Deps{}); err != nil {
		t.Error(err)
	}
}

func ExampleClickChannel() {
	fmt.Println(ClickChannel("task-17"))
	// Output: cb-task-17
}

// Asterisk 13 has no event filter: its 404 is no reason not to work.
func TestOldAsteriskWithoutFilter(t *testing.T) {
	inBubble(t, arisim.Options{NoFilter: true}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		if _, err := r.sim.Play(t.Context(), "asterisk16/in_answered", arisim.PlayOptions{Speed: 4}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(r.all(bridge.ChannelEnded)); n != 2 {
			t.Errorf("%d channels ended, want 2", n)
		}
		r.end()
	})
}
