package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/bridge/rules"
	"callbridge/bridge/trace"
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
	trace   *trace.Tracer // nil: calls are not followed
	// plan is the settings in force; the core reads it once per batch.
	plan func() *plan
	// asked is called for every routing question, changed for every change of
	// a call after the cards have it. Neither may block.
	asked   func(bridge.Event)
	changed func(*track.Change)
	delay   func(*bridge.Call, bridge.ActionKind) time.Duration // before a delivery; nil: none
	linked  func(pbx string)                                    // the link to a PBX is there (again)
	// dnd is told when the PBX says that a do-not-disturb switch was turned.
	dnd func(ext string, on bool)
	// rang is told when a phone begins to ring; it must not block.
	rang    func(call *bridge.Call, ext string)
	phones  *phones
	loose   map[string]bridge.Event  // by id: of no call yet
	orphans map[string][]bridge.Call // by PBX: open in the store, unknown to the tracker

	mu    sync.Mutex
	queue []bridge.Event
	packs []pack // events that count together: see emitTogether
	stops []stop // phones that were silent for a moment
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
	off      string // why it is not active
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
		c.allStops()
		if c.allPacks() || len(events) > 0 {
			continue
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			for _, e := range c.take() {
				c.one(e)
			}
			c.allPacks()
			return
		}
	}
}

// restore puts back the calls of one PBX that lived when the program stopped.
// loose are the events since then that are filed under no call.
func (c *core) restore(pbx string, open []store.OpenCall, loose []bridge.Event, now time.Time) {
	var links, rest []bridge.Event
	for _, e := range loose {
		switch {
		case e.Kind == bridge.LinkUp || e.Kind == bridge.LinkLost:
			links = append(links, e)
		case now.Sub(e.At.Time) < looseFor:
			rest = append(rest, e)
			c.loose[e.ID] = e
		}
	}
	for _, o := range open {
		events := o.Events
		for _, l := range links {
			if !l.At.Before(o.Call.StartedAt.Time) {
				events = append(events, l)
			}
		}
		if !c.tracker.Restore(o.Call.ID, events) {
			c.orphans[pbx] = append(c.orphans[pbx], o.Call)
		}
	}
	c.tracker.Restore("", rest)
	for _, call := range c.tracker.Open() {
		if call.PBX == pbx {
			c.setLive(&call)
			c.hub.Apply(&call, now)
		}
	}
}

func (c *core) one(e bridge.Event) {
	if e, arrived, ok := c.accept(e); ok {
		c.apply([]bridge.Event{e}, arrived)
	}
}

// accept does what an event means beside its calls, and says whether it goes
// to the tracker.
func (c *core) accept(e bridge.Event) (bridge.Event, time.Time, bool) {
	c.metrics.event(e.PBX, e.Kind)
	arrived := e.Seen.Time
	if arrived.IsZero() {
		arrived = time.Now()
	}
	switch e.Kind {
	case bridge.RouteAsked:
		c.asked(e)
	case bridge.DeviceState, bridge.Registration:
		c.phones.apply(e)
		if ext, on, ok := dndOf(e); ok {
			c.dnd(ext, on)
		}
		return e, arrived, false // tells nothing of a call
	case bridge.LinkUp:
		if e.Name == bridge.FromCallLog || e.Value == bridge.Watched {
			break // told already; or the link was there all the time
		}
		c.metrics.gaps.WithLabelValues(e.PBX).Inc()
		c.phones.forget(e.PBX)
		c.linked(e.PBX)
	case bridge.UnknownEvent:
		if e.Value != "" {
			c.metrics.malformed.WithLabelValues(e.PBX).Inc()
		}
	}
	if e.ID == "" {
		e.ID = digest(&e) // an event without an id could not be stored
	}
	return e, arrived, e.Kind.Stored()
}

// apply gives events to the tracker and carries on with what they changed
// together: nobody hears of the states between them.
func (c *core) apply(events []bridge.Event, arrived time.Time) {
	var changes []track.Change
	st := c.stages(arrived)
	for i := range events {
		e := &events[i]
		more := c.tracker.Add(*e)
		if e.Kind == bridge.LinkUp && (e.Snapshot == nil || !e.Snapshot.Partial) {
			more = append(more, c.closeOrphans(e)...)
		}
		changes = together(changes, more)
	}
	st.passed(&st.tracked)
	for i := range changes {
		if changes[i].Changed() {
			c.hub.Apply(&changes[i].Call, arrived)
		}
	}
	st.passed(&st.shown)
	var b store.Batch
	for _, e := range events {
		b.Events = append(b.Events, c.file(e, changes)...)
	}
	for i := range changes {
		if changes[i].Changed() || len(changes[i].Merged) > 0 {
			c.collect(&changes[i], &b)
			c.watchStopped(&changes[i])
		}
	}
	c.writer.add(b, c.follow(st, events, changes, &b)...)
	for i := range changes {
		c.changed(&changes[i])
	}
}

// file says under which call the event belongs, and earlier ones that turned
// out to belong to one. What belongs to none yet is remembered for a while.
func (c *core) file(e bridge.Event, changes []track.Change) []store.EventRow {
	rows := []store.EventRow{{Event: e}}
	for i := range changes {
		for _, id := range changes[i].Events {
			if id == e.ID {
				rows[0].CallID = changes[i].Call.ID
			} else if old, ok := c.loose[id]; ok {
				rows = append(rows, store.EventRow{Event: old, CallID: changes[i].Call.ID})
				delete(c.loose, id)
			}
		}
	}
	if rows[0].CallID == "" && e.Leg != nil {
		c.loose[e.ID] = e
		if len(c.loose) > 4096 {
			maps.DeleteFunc(c.loose, func(_ string, old bridge.Event) bool { return e.At.Sub(old.At) > looseFor })
		}
	}
	return rows
}

// looseFor is how long an event of no call may yet turn out to belong to one.
const looseFor = 10 * time.Minute

// closeOrphans ends calls that were open in the store, but whose events are
// lost, unless the PBX's snapshot brought them back. No call stays open for ever.
func (c *core) closeOrphans(up *bridge.Event) []track.Change {
	orphans := c.orphans[up.PBX]
	delete(c.orphans, up.PBX)
	var out []track.Change
	for _, call := range orphans {
		if c.tracker.CallOf(up.PBX, call.PBXCallID) != call.ID {
			out = append(out, track.Change{Call: track.Close(call, up.At), Was: call})
		}
	}
	return out
}

// digest is an id made of the event's content.
func digest(e *bridge.Event) string {
	h := sha256.New()
	b, err := json.Marshal(e)
	if err != nil {
		b = []byte(e.Name)
	}
	h.Write(b)
	h.Write(e.Raw)
	return hex.EncodeToString(h.Sum(nil)[:16])
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
		c.metrics.call(call.Direction, call.Outcome)
	}
	p := c.plan()
	for _, ext := range ch.Rings() {
		if c.rang != nil {
			c.rang(&call, ext)
		}
		c.ask(p, &call, bridge.OnRing, ext, b)
	}
	if ch.Answered() {
		c.ask(p, &call, bridge.OnAnswer, call.LastTalked(), b)
	}
	for _, ext := range ch.Joined() {
		c.ask(p, &call, bridge.OnAnswer, ext, b)
	}
	for _, ext := range ch.Turned() {
		c.ask(p, &call, bridge.OnHold, ext, b)
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
				d.State, d.Note, d.DoneAt, d.NextAt = bridge.Skipped, in.off+popupNoUse, now, bridge.Time{}
			case !in.active:
				d.State, d.Note = bridge.Held, in.off
			}
			// The log may tell of a call for the second time, to a store that was
			// put back to an older state: what is there already is not made again.
			// Contacts are looked for in any case.
			d.Look = fromLog(call) && a.Kind != bridge.ActContact
			if d.State == bridge.Waiting && c.delay != nil {
				d.NextAt = bridge.At(now.Add(c.delay(call, a.Kind)))
			}
			b.Deliveries = append(b.Deliveries, d)
			keys = append(keys, a.Key)
		}
		b.Plans = append(b.Plans, store.Plan{CallID: call.ID, Integration: in.settings.ID, Trigger: trigger,
			RuleVersion: p.version, Keys: keys, Day: call.StartedAt.In(in.zone).Format(time.DateOnly)})
	}
}

// fromLog says that the PBX's call log told of the call, or of a part of it.
func fromLog(call *bridge.Call) bool {
	return slices.ContainsFunc(call.Gaps, func(g bridge.Gap) bool { return g.Reason == track.GapRepaired })
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
