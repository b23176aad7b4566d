// Package track turns events into calls. It is a pure function of the set of
// events: their order and repetitions do not matter (D-01, F-7), nothing reads
// a clock, nothing does I/O.
package track

import (
	"time"

	"callbridge/bridge"
)

// Options is what the tracker must be told. The zero value works.
type Options struct {
	// Number makes a public number of what the PBX gave, "" if it is none. nil
	// means: seven digits or more that look international get a plus.
	Number func(pbx, raw string) bridge.Number
	// Keep is how long, in event time, an ended call is remembered for late
	// events; 0 means one minute.
	Keep time.Duration
}

// Calls reduces a set of events to its calls, in order of start.
func Calls(events []bridge.Event, o Options) []bridge.Call { return nil }

// Change is what one event did to one call.
type Change struct {
	Call bridge.Call // after the event
	Was  bridge.Call // before it; the zero Call if it is new
	// Merged are the ids of calls that turned out to be part of this one; they
	// are no calls of their own any more.
	Merged []string
	// Events are the ids of the events of a merged call, which now belong to Call.
	Events []string
}

// Tracker is Calls fed event by event. It is not safe for concurrent use.
type Tracker struct{ o Options }

// New makes an empty tracker.
func New(o Options) *Tracker { return &Tracker{o: o} }

// Add takes an event and returns the calls it changed. An event that was seen
// before, or that changes nothing, gives none.
func (t *Tracker) Add(e bridge.Event) []Change { return nil }

// Restore puts an open call back after a restart, with the id it had and the
// events stored for it. It reports no changes.
func (t *Tracker) Restore(callID string, events []bridge.Event) {}

// Open returns the calls that have not ended, in order of start.
func (t *Tracker) Open() []bridge.Call { return nil }

// CallOf returns the id of the call a channel of a PBX is part of, "" if unknown.
func (t *Tracker) CallOf(pbx, channelID string) string { return "" }

// Rings are the extensions that began to ring with this change.
func (c *Change) Rings() []string { return nil }

// Stopped are the extensions that rang before and do not ring any more.
func (c *Change) Stopped() []string { return nil }

// New says that the call was not known before.
func (c *Change) New() bool { return c.Was.ID == "" }

// Answered says that client and employee began to talk with this change.
func (c *Change) Answered() bool {
	return !c.Call.AnsweredAt.IsZero() && c.Was.AnsweredAt.IsZero()
}

// Ended says that the call ended with this change.
func (c *Change) Ended() bool { return c.Call.Ended() && !c.Was.Ended() }
