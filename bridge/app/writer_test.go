package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callbridge/bridge"
	"callbridge/store"
)

// disk is a store that can fail and that takes its time.
type disk struct {
	mu      sync.Mutex
	broken  bool
	took    time.Duration
	commits int
	events  []string
	calls   map[string]bridge.Call
}

func (d *disk) commit(_ context.Context, b store.Batch) error {
	time.Sleep(d.took) // virtual
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken {
		return errors.New("the disk is full")
	}
	d.commits++
	for _, e := range b.Events {
		d.events = append(d.events, e.Event.ID)
	}
	for _, c := range b.Calls {
		d.calls[c.ID] = c
	}
	return nil
}

func (d *disk) set(broken bool) { d.mu.Lock(); d.broken = broken; d.mu.Unlock() }

func event(n int) store.Batch {
	return store.Batch{Events: []store.EventRow{{Event: bridge.Event{ID: fmt.Sprintf("%06d", n)}}},
		Calls:      []bridge.Call{{ID: "one", ClientRaw: fmt.Sprint(n)}},
		Deliveries: []bridge.Delivery{{Integration: "x", State: bridge.Waiting}}}
}

func newTestWriter(d *disk, stored func(map[string]bool)) *writer {
	return newWriter(slog.New(slog.DiscardHandler), newMetrics(prometheus.NewRegistry()), d.commit, stored)
}

func TestFullDiskLosesNoEventAndBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{calls: map[string]bridge.Call{}, took: 5 * time.Millisecond, broken: true}
		woken := 0
		w := newTestWriter(d, func(ids map[string]bool) {
			if ids["x"] {
				woken++
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.run(ctx); close(done) }()
		began := time.Now()
		for n := range 10_000 {
			w.add(event(n))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("add waited %v", took)
		}
		time.Sleep(time.Minute)
		if n, err := w.state(); err == nil || n == 0 {
			t.Errorf("with a full disk: %d events wait, err %v", n, err)
		}
		if woken > 0 {
			t.Error("deliveries were announced before they were stored")
		}
		d.set(false)
		time.Sleep(10 * time.Second)
		if n, err := w.state(); err != nil || n != 0 {
			t.Errorf("after the repair: %d events wait, err %v", n, err)
		}
		cancel()
		<-done
		if len(d.events) != 10_000 || !slices.IsSorted(d.events) {
			t.Errorf("%d events stored, in order: %v", len(d.events), slices.IsSorted(d.events))
		}
		if d.calls["one"].ClientRaw != "9999" {
			t.Errorf("the newest state of the call is %q", d.calls["one"].ClientRaw)
		}
		if d.commits > 5 {
			t.Errorf("%d transactions for what came at once", d.commits)
		}
		if woken == 0 {
			t.Error("nobody was told of the deliveries")
		}
	})
}

// SIGTERM with a large backlog: it is stored piece by piece, so that the time
// there is suffices for all of it; the newest state of a call is the last.
func TestStopStoresALargeBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{calls: map[string]bridge.Call{}, took: 50 * time.Millisecond}
		w := newTestWriter(d, func(map[string]bool) {})
		ctx, cancel := context.WithCancel(t.Context())
		for n := range 200_000 {
			w.add(event(n))
		}
		done := make(chan struct{})
		go func() { w.run(ctx); close(done) }()
		end, release := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer release()
		w.finish(end)
		cancel()
		began := time.Now()
		<-done
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("the stop took %v", took)
		}
		if err := w.left(); err != nil || len(d.events) != 200_000 || !slices.IsSorted(d.events) || d.calls["one"].ClientRaw != "199999" {
			t.Errorf("%d events stored, newest state %s, %v", len(d.events), d.calls["one"].ClientRaw, err)
		}
		if d.commits < 10 {
			t.Errorf("%d transactions: one of them lasts long", d.commits)
		}
	})
}

// A disk that is full when the program ends: the stop is bounded, and says
// what is not stored.
func TestStopWithAFullDiskEndsAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{calls: map[string]bridge.Call{}, broken: true}
		w := newTestWriter(d, func(map[string]bool) {})
		ctx, cancel := context.WithCancel(t.Context())
		for n := range 10_000 {
			w.add(event(n))
		}
		done := make(chan struct{})
		go func() { w.run(ctx); close(done) }()
		waits := make(chan struct{})
		go func() { w.flush(); close(waits) }()
		time.Sleep(time.Minute)
		end, release := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer release()
		w.finish(end)
		<-waits // who waits for the store does not hold up the end
		cancel()
		began := time.Now()
		<-done
		if took := time.Since(began); took > 15*time.Second+time.Millisecond {
			t.Errorf("the stop took %v", took)
		}
		if err := w.left(); err == nil || !strings.Contains(err.Error(), "10000 events could not be stored") || !strings.Contains(err.Error(), "disk is full") {
			t.Errorf("what is left: %v", err)
		}
	})
}

func TestStopStoresWhatWasReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{calls: map[string]bridge.Call{}, took: time.Second}
		w := newTestWriter(d, func(map[string]bool) {})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.run(ctx); close(done) }()
		w.add(event(0))
		synctest.Wait() // its transaction is on its way
		for n := range 100 {
			w.add(event(n + 1))
		}
		cancel()
		<-done
		if len(d.events) != 101 {
			t.Errorf("%d events stored, want 101", len(d.events))
		}
	})
}
