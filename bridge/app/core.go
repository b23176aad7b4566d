package app

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/bridge/rules"
	"callbridge/bridge/track"
	"callbridge/store"
)

// core is the call path: events come in from the PBXs, become calls, go to the
// cards at once and to the writer for the store. One goroutine does it, and it
// waits for nothing: no network, no disk, no browser (design.md 4.8).
type core struct {
	log     *slog.Logger
	tracker *track.Tracker
	hub     *card.Hub
	writer  *writer
	metrics *metrics
	// plan is the settings in force; the core reads it once per batch.
	plan func() *plan
	// asked is called for every routing question, changed for every change of
	// a call after the cards have it. Neither may block.
	asked   func(bridge.Event)
	changed func(*track.Change)
	linked  func(pbx string) // the link to a PBX is there (again)
	phones  *phones

	mu    sync.Mutex
	queue []bridge.Event
	wake  chan struct{}

	liveMu sync.RWMutex
	live   map[string]bridge.Call
}

// plan is what the rules need of the settings.
type plan struct {
	version      int64
	integrations []planned
}

type planned struct {
	settings bridge.Integration
	zone     *time.Location
	active   bool
}

func (c *core) emit(e bridge.Event) {
	c.mu.Lock()
	c.queue = append(c.queue, e)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *core) take() []bridge.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.queue
	c.queue = nil
	return q
}

// run processes events until ctx ends, then what is still queued.
func (c *core) run(ctx context.Context) {
	for {
		events := c.take()
		for _, e := range events {
			c.one(e)
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			for _, e := range c.take() {
				c.one(e)
			}
			return
		}
	}
}

// restore puts back the calls that lived when the program stopped.
func (c *core) restore(open []store.OpenCall) {
	for _, o := range open {
		c.tracker.Restore(o.Call.ID, o.Events)
	}
	now := time.Now()
	for _, call := range c.tracker.Open() {
		c.setLive(&call)
		c.hub.Apply(&call, now)
	}
}

func (c *core) one(e bridge.Event) {
	c.metrics.events.WithLabelValues(e.PBX, string(e.Kind)).Inc()
	arrived := e.Seen.Time
	if arrived.IsZero() {
		arrived = time.Now()
	}
	switch e.Kind {
	case bridge.RouteAsked:
		c.asked(e)
	case bridge.DeviceState, bridge.Registration:
		c.phones.apply(e)
		return // tells nothing of a call
	case bridge.LinkUp:
		c.metrics.gaps.WithLabelValues(e.PBX).Inc()
		c.linked(e.PBX)
	case bridge.UnknownEvent:
		if e.Value != "" {
			c.metrics.malformed.WithLabelValues(e.PBX).Inc()
		}
	}
	changes := c.tracker.Add(e)
	for i := range changes {
		c.hub.Apply(&changes[i].Call, arrived)
	}
	b := store.Batch{Events: []store.EventRow{{Event: e, CallID: c.callOf(e)}}}
	for i := range changes {
		c.collect(&changes[i], &b)
	}
	c.writer.add(b)
	for i := range changes {
		c.changed(&changes[i])
	}
}

func (c *core) callOf(e bridge.Event) string {
	for _, ch := range []*bridge.Channel{e.Leg, e.Peer} {
		if ch != nil {
			if id := c.tracker.CallOf(e.PBX, ch.ID); id != "" {
				return id
			}
		}
	}
	return ""
}

// collect adds to the batch what a change means: the call, merged calls, and
// the deliveries the rules want.
func (c *core) collect(ch *track.Change, b *store.Batch) {
	call := ch.Call
	b.Calls = append(b.Calls, call)
	for _, young := range ch.Merged {
		if b.Merged == nil {
			b.Merged = map[string]string{}
		}
		b.Merged[young] = call.ID
		c.hub.Drop(young)
		c.liveMu.Lock()
		delete(c.live, young)
		c.liveMu.Unlock()
	}
	c.setLive(&call)
	if ch.Ended() {
		c.metrics.calls.WithLabelValues(string(call.Direction), string(call.Outcome)).Inc()
	}
	p := c.plan()
	for _, ext := range ch.Rings() {
		c.ask(p, &call, bridge.OnRing, ext, b)
	}
	if ch.Answered() {
		c.ask(p, &call, bridge.OnAnswer, call.LastTalked(), b)
	}
	if ch.Ended() {
		c.ask(p, &call, bridge.OnEnd, "", b)
	}
}

// ask lets the rules of every integration say what they want at this moment
// of the call. What they do not want becomes a row too, with its reason (F-1).
func (c *core) ask(p *plan, call *bridge.Call, trigger bridge.Trigger, ext string, b *store.Batch) {
	now := bridge.At(time.Now())
	for _, in := range p.integrations {
		actions := rules.Plan(*call, trigger, ext, in.settings, p.version)
		if len(actions) == 0 {
			continue
		}
		keys := make([]string, 0, len(actions))
		for _, a := range actions {
			d := bridge.Delivery{Integration: in.settings.ID, CallID: call.ID, Client: call.ClientKey(), Action: a,
				RuleVersion: p.version, State: bridge.Waiting, CreatedAt: now, NextAt: now}
			switch {
			case !a.Wanted:
				d.State, d.Note, d.DoneAt, d.NextAt = bridge.Skipped, a.Reason, now, bridge.Time{}
			case !in.active && a.Kind == bridge.ActPopup:
				d.State, d.Note, d.DoneAt, d.NextAt = bridge.Skipped, "the integration is off, and a pop-up later would be of no use", now, bridge.Time{}
			case !in.active:
				d.State, d.Note = bridge.Held, "the integration is off"
			}
			b.Deliveries = append(b.Deliveries, d)
			keys = append(keys, a.Key)
		}
		b.Plans = append(b.Plans, store.Plan{CallID: call.ID, Integration: in.settings.ID, Trigger: trigger,
			RuleVersion: p.version, Keys: keys, Day: call.StartedAt.In(in.zone).Format(time.DateOnly)})
	}
}

func (c *core) setLive(call *bridge.Call) {
	c.liveMu.Lock()
	defer c.liveMu.Unlock()
	if call.Ended() {
		delete(c.live, call.ID)
		return
	}
	c.live[call.ID] = *call
}

// liveCalls returns the calls that have not ended, oldest first.
func (c *core) liveCalls() []bridge.Call {
	c.liveMu.RLock()
	out := slices.Collect(maps.Values(c.live))
	c.liveMu.RUnlock()
	slices.SortFunc(out, func(a, b bridge.Call) int { return a.StartedAt.Compare(b.StartedAt.Time) })
	return out
}

func (c *core) liveCall(id string) (bridge.Call, bool) {
	c.liveMu.RLock()
	defer c.liveMu.RUnlock()
	call, ok := c.live[id]
	return call, ok
}
