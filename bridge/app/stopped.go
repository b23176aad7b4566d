package app

import (
	"time"

	"callbridge/bridge"
	"callbridge/bridge/track"
	"callbridge/store"
)

// stopAfter is how long a phone has to be silent before the CRM is told. Most
// phones stop because somebody answered or the client hung up, and the CRM
// hears that anyway.
const stopAfter = 700 * time.Millisecond

// stop is a phone that stopped ringing in a call that went on.
type stop struct{ call, ext string }

// watchStopped looks again, a moment later, at the phones that stopped ringing:
// the CRM's window of an employee whose phone is silent must not stay open
// until somebody else's phone rings (D-10).
func (c *core) watchStopped(ch *track.Change) {
	if ch.Call.Ended() || ch.Answered() || len(ch.Joined()) > 0 {
		return
	}
	for _, ext := range ch.Stopped() {
		time.AfterFunc(stopAfter, func() {
			c.mu.Lock()
			c.stops = append(c.stops, stop{ch.Call.ID, ext})
			c.mu.Unlock()
			select {
			case c.wake <- struct{}{}:
			default:
			}
		})
	}
}

// allStops asks the rules about phones that are silent still.
func (c *core) allStops() {
	c.mu.Lock()
	stops := c.stops
	c.stops = nil
	c.mu.Unlock()
	p := c.plan()
	for _, s := range stops {
		call, live := c.liveCall(s.call)
		if !live || !silent(&call, s.ext) {
			continue
		}
		var b store.Batch
		c.ask(p, &call, bridge.OnStop, s.ext, &b)
		c.writer.add(b)
	}
}

// silent says whether ext takes no part in the call, and nobody answered since
// it rang: who answers takes the call away from the others.
func silent(call *bridge.Call, ext string) bool {
	var rang bridge.Time
	for i := range call.Legs {
		l := &call.Legs[i]
		if l.Extension != ext {
			continue
		}
		if l.EndAt.IsZero() || !l.AnswerAt.IsZero() {
			return false
		}
		rang = l.RingAt
	}
	for i := range call.Legs {
		if a := call.Legs[i].AnswerAt; !a.IsZero() && !rang.IsZero() && a.After(rang.Time) {
			return false
		}
	}
	return !rang.IsZero()
}
