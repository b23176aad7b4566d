package app

import (
	"cmp"
	"slices"
	"time"

	"callbridge/bridge"
	"callbridge/pbx/cdr"
)

// repairLatest is when the log is asked once more for records that are written
// very late: in batches (cdr.conf), or by a database that was away.
var repairLatest = []time.Duration{2 * time.Minute, 10 * time.Minute, time.Hour}

// repairLate asks the log again long after the gap.
func (a *App) repairLate(g *gap, found cdr.Result) {
	began := time.Now()
	for _, wait := range repairLatest {
		if !sleep(a.links, wait-time.Since(began)) {
			return
		}
		found = a.readLate(g, found)
	}
}

// readLate reads the log once more. The tracker forgets ended calls, so those
// that the log corrects are given back to it first.
func (a *App) readLate(g *gap, found cdr.Result) cdr.Result {
	g.p.repairing.Lock()
	defer g.p.repairing.Unlock()
	a.writer.flush()
	again, err := a.readLog(g)
	if err != nil || len(again.Events) <= len(found.Events) {
		return found
	}
	events := newOf(again.Events, found.Events)
	a.core.emitLate(concerned(g.open, events), events)
	a.told(g, again)
	return again
}

// newOf are the events of those calls of which there is something new.
func newOf(again, found []bridge.Event) []bridge.Event {
	known, fresh := map[string]bool{}, map[string]bool{}
	for i := range found {
		known[found[i].ID] = true
	}
	group := func(e *bridge.Event) string {
		if e.Leg == nil {
			return ""
		}
		return cmp.Or(e.Leg.Group, e.Leg.ID)
	}
	for i := range again {
		if !known[again[i].ID] {
			fresh[group(&again[i])] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(again), func(e bridge.Event) bool { return !fresh[group(&e)] })
}

// concerned are the calls whose channels the events are about.
func concerned(open []cdr.Seen, events []bridge.Event) []cdr.Seen {
	about := map[string]bool{}
	for i := range events {
		if c := events[i].Leg; c != nil {
			about[c.ID], about[c.Group] = true, true
		}
	}
	return slices.DeleteFunc(slices.Clone(open), func(s cdr.Seen) bool {
		return !slices.ContainsFunc(s.Events, func(e bridge.Event) bool {
			return e.Leg != nil && (about[e.Leg.ID] || e.Leg.Group != "" && about[e.Leg.Group])
		})
	})
}
