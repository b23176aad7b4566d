package ari

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/pbx/ari/arisim"
)

// rig is an adapter that follows a simulated Asterisk in a synctest bubble.
type rig struct {
	t   *testing.T
	sim *arisim.Sim
	pbx *PBX
	log *lockedBuffer

	mu     sync.Mutex
	events []bridge.Event
	routes []RouteResult
	emit   func(bridge.Event) // called before an event is kept, if set

	stop context.CancelFunc
	done chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const secret = "s3cret-of-ari"

// inBubble runs test with a rig; change may alter the configuration.
func inBubble(t *testing.T, o arisim.Options, change func(*Config), test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Password = secret
		r := &rig{t: t, sim: arisim.New(o), log: &lockedBuffer{}, done: make(chan error, 1)}
		r.sim.StartPipe()
		defer r.sim.Close()
		r.pbx = r.adapter(change)
		r.stop = func() {}
		test(t, r)
		r.stop()
		if strings.Contains(r.log.String(), secret) {
			t.Error("the password is in the log")
		}
		r.pbx.http.CloseIdleConnections()
	})
}

func (r *rig) adapter(change func(*Config)) *PBX {
	r.t.Helper()
	cfg := Config{ID: "office", URL: r.sim.URL(), Username: r.sim.Username(), Password: secret, Trunks: []string{"trunk"}}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg, Deps{Log: slog.New(slog.NewTextHandler(r.log, nil)), DialContext: r.sim.DialContext,
		Hooks: Hooks{Route: func(res RouteResult, _ time.Duration) {
			r.mu.Lock()
			r.routes = append(r.routes, res)
			r.mu.Unlock()
		}}})
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// run starts the adapter and waits until all is quiet.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.stop = cancel
	go func() {
		r.done <- r.pbx.Run(ctx, func(e bridge.Event) {
			r.mu.Lock()
			f := r.emit
			r.mu.Unlock()
			if f != nil {
				f(e)
			}
			r.mu.Lock()
			r.events = append(r.events, e)
			r.mu.Unlock()
		})
	}()
	synctest.Wait()
}

// end stops the adapter and waits for Run to return.
func (r *rig) end() {
	r.t.Helper()
	r.stop()
	select {
	case <-r.done:
	case <-time.After(10 * time.Second):
		r.t.Fatal("Run does not end")
	}
}

// pass lets virtual time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) all(kind bridge.EventKind) []bridge.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []bridge.Event
	for _, e := range r.events {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

func (r *rig) results() []RouteResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.routes)
}

func (r *rig) mustConnect() {
	r.t.Helper()
	r.run()
	if s := r.pbx.Status(); !s.Connected {
		r.t.Fatalf("not connected: %+v", s)
	}
}

// count returns how many REST requests had that method and path.
func (r *rig) count(method, path string) int {
	n := 0
	for _, q := range r.sim.Requests() {
		if q.Method == method && strings.HasPrefix(q.Path, path) {
			n++
		}
	}
	return n
}
