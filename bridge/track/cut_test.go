package track_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbridge/bridge"
	"callbridge/bridge/track"
	"callbridge/pbx/ari"
	"callbridge/pbx/ari/arisim"
)

// office is the adapter at a simulated Asterisk, and the tracker behind it.
type office struct {
	t   *testing.T
	sim *arisim.Sim

	mu    sync.Mutex
	tr    *track.Tracker
	calls map[string]bridge.Call
	lost  []bridge.Event // LinkLost
}

// inOffice runs test in virtual time.
func inOffice(t *testing.T, test func(o *office)) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{t: t, sim: arisim.New(arisim.Options{}), tr: track.New(opts), calls: map[string]bridge.Call{}}
		o.sim.StartPipe()
		defer o.sim.Close()
		p, err := ari.New(ari.Config{ID: "office", URL: o.sim.URL(), Username: o.sim.Username(), Password: o.sim.Password(), Trunks: []string{"trunk"}},
			ari.Deps{DialContext: o.sim.DialContext})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = p.Run(ctx, o.take) // ends with ctx
		}()
		synctest.Wait()
		test(o)
		stop()
		<-ended
	})
}

// take follows the calls as the daemon does.
func (o *office) take(e bridge.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.Kind == bridge.LinkLost {
		o.lost = append(o.lost, e)
	}
	if !e.Kind.Stored() {
		return
	}
	for _, c := range o.tr.Add(e) {
		for _, id := range c.Merged {
			delete(o.calls, id)
		}
		o.calls[c.Call.ID] = c.Call
	}
}

// played plays a stream to its end and returns its calls and the gaps of that
// time. cut is called once, after the step.
func (o *office) played(scenario string, step int, cut, heal func()) (calls []bridge.Call, gaps int) {
	o.mu.Lock()
	clear(o.calls)
	o.lost = nil
	o.mu.Unlock()
	began := time.Now()
	p, err := o.sim.Begin(o.t.Context(), scenario, arisim.PlayOptions{After: func(i int, _ string) {
		if i == step {
			cut()
		}
	}})
	if err != nil {
		o.t.Fatal(err)
	}
	if err := p.Wait(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	synctest.Wait() // what was sent has arrived
	heal()
	time.Sleep(20 * time.Second) // the longest pause between two attempts to connect
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if open := o.tr.Open(); len(open) > 0 {
		o.t.Errorf("%s, cut after step %d: %d calls are open: %+v", scenario, step, len(open), open[0])
	}
	for _, c := range list(o.calls) {
		if !c.StartedAt.Before(began.Truncate(time.Millisecond)) { // not an older one that was told of once more
			calls = append(calls, c)
		}
	}
	return calls, len(o.lost)
}

func nothing() {}

// way is how the link is cut, and how it comes back.
type way struct {
	how       string
	cut, heal func()
}

// TestCutAtEveryEvent cuts the socket after every single event of every stream
// that can be played, in virtual time: once for a moment, and once until the
// call is over. Each time the record is right or names its gap, the direction is right, and nothing stays
// open (F-2, D-28, D-29).
func TestCutAtEveryEvent(t *testing.T) {
	cuts := 0
	var unplayable []string
	for _, name := range names() {
		probe := arisim.New(arisim.Options{})
		frames, err := probe.Frames(name)
		probe.Close()
		if err != nil {
			if !strings.Contains(err.Error(), "several websockets") && name != "in_unknown_did" { // which has no event at all
				t.Errorf("%s: %v", name, err)
			}
			unplayable = append(unplayable, name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			inOffice(t, func(o *office) {
				var want []bridge.Call
				// What the recording itself lost ends with the next connect.
				whole := func() { o.sim.DropAll() }
				want, _ = o.played(name, -1, nothing, whole)
				wanted := o.sim.Filtered("callbridge")
				for step, f := range frames {
					kind, _, _ := strings.Cut(string(f[strings.Index(string(f), `"type":"`)+8:]), `"`)
					if slices.Contains(wanted, kind) {
						continue // is never sent: to cut after it is to cut before the next
					}
					ways := []way{
						{"for a moment", o.sim.DropAll, whole},
						{"until the call ended", func() { o.sim.Refuse(-1); o.sim.DropAll() }, func() { o.sim.Refuse(0) }},
					}
					if slow { // still at every event, by turns in the one way and the other
						ways = ways[step%2:][:1]
					}
					for _, c := range ways {
						cuts++
						got, gaps := o.played(name, step, c.cut, c.heal)
						if problem := repaired(got, want, gaps); problem != "" {
							t.Errorf("cut %s after step %d (%s): %s\ngaps: %+v", c.how, step, kind, problem, o.lost)
						}
					}
				}
			})
		})
	}
	t.Logf("%d cuts; recorded through several websockets, and so not played: %v", cuts, unplayable)
}

// repaired says what is wrong with the calls of a stream that was cut.
func repaired(got, want []bridge.Call, gaps int) string {
	if gaps == 0 {
		return "no gap was told"
	}
	for _, c := range got {
		for _, g := range c.Gaps {
			if g.Reason == "" || g.From.IsZero() || g.To.Before(g.From.Time) {
				return fmt.Sprintf("a gap without its times or reason: %+v", g)
			}
		}
	}
	if len(got) > len(want) {
		// That a pick-up or a consultation belongs to the client's call was told
		// while nobody listened: it is a call of its own then, with the gap in it.
		for _, c := range got {
			if len(c.Gaps) == 0 || c.Direction != want[0].Direction && c.Direction != bridge.Internal {
				return fmt.Sprintf("%d calls, want %d, and one has no gap or another direction: %s %s %v", len(got), len(want), c.Direction, c.Outcome, c.Gaps)
			}
		}
		return ""
	}
	for i := range got {
		w := i
		if len(got) < len(want) { // some were not seen at all: the gap itself says so
			w = slices.IndexFunc(want, func(c bridge.Call) bool { return c.Direction == got[i].Direction && c.Client == got[i].Client })
			if w < 0 {
				w = 0
			}
		}
		if got[i].Direction != want[w].Direction {
			return fmt.Sprintf("direction %s, want %s", got[i].Direction, want[w].Direction)
		}
		if len(got[i].Gaps) > 0 {
			continue
		}
		if diff := cmp.Diff(essence(got[i]), essence(want[w])); diff != "" {
			return fmt.Sprintf("no gap is named, and the record is another (- got, + want):\n%s\nended %v, unknown %v, legs %+v", diff, got[i].EndedAt, got[i].Unknown, got[i].Legs)
		}
	}
	return ""
}

// essence is what two plays of one stream have in common.
func essence(c bridge.Call) bridge.Call {
	c = comparable(c, false)
	c.Recordings, c.PBXCallID = nil, ""
	return c
}
