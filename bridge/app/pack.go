package app

import (
	"slices"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/track"
	"callbridge/pbx/cdr"
)

// emitTogether gives the core events that are known at one moment and count as
// one: a call that began and ended while we did not see the PBX must not pop
// up, ring and vanish again.
func (c *core) emitTogether(events []bridge.Event) { c.emitLate(nil, events) }

// pack is events that count as one, and calls they may belong to that the
// tracker may have forgotten.
type pack struct {
	calls  []cdr.Seen
	events []bridge.Event
}

// emitLate is emitTogether for what is learned of calls long after their end.
func (c *core) emitLate(calls []cdr.Seen, events []bridge.Event) {
	c.mu.Lock()
	c.packs = append(c.packs, pack{calls, events})
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// allPacks works off the packs and says whether there were any.
func (c *core) allPacks() bool {
	c.mu.Lock()
	packs := c.packs
	c.packs = nil
	c.mu.Unlock()
	for _, p := range packs {
		for _, call := range p.calls {
			c.tracker.Restore(call.CallID, call.Events) // one it knows stays as it is
		}
		var events []bridge.Event
		for _, e := range p.events {
			if e, _, ok := c.accept(e); ok {
				events = append(events, e)
			}
		}
		if len(events) > 0 {
			c.apply(events, time.Now())
		}
	}
	return len(packs) > 0
}

// together joins changes of the same call: from the state before the first to
// that after the last.
func together(all, more []track.Change) []track.Change {
	for _, m := range more {
		if i := slices.IndexFunc(all, func(a track.Change) bool { return a.Call.ID == m.Call.ID }); i >= 0 {
			m.Was, m.Events = all[i].Was, append(all[i].Events, m.Events...)
			m.Merged = append(all[i].Merged, m.Merged...)
			all[i] = m
			continue
		}
		// A call that went into this one is no call of its own any more.
		for _, id := range m.Merged {
			all = slices.DeleteFunc(all, func(a track.Change) bool {
				if a.Call.ID != id {
					return false
				}
				m.Events = append(m.Events, a.Events...)
				return true
			})
		}
		all = append(all, m)
	}
	return all
}
