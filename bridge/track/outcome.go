package track

import (
	"time"

	"callbridge/bridge"
)

// result says how one phone's part ended.
func (r *reducer) result(c *channel) bridge.LegResult {
	switch {
	case !c.answer.IsZero():
		return bridge.LegAnswered
	case c.dialResult == bridge.DialForwarded:
		return bridge.LegForwarded
	case c.cause == 26: // answered elsewhere
		return bridge.LegElsewhere
	case c.dialResult == bridge.DialBusy, c.cause == 17:
		return bridge.LegBusy
	case c.cause == 21:
		return bridge.LegRejected
	case c.dialResult == bridge.DialCancelled, c.dialResult == "" && r.over(c):
		if r.elsewhere(c) {
			return bridge.LegElsewhere
		}
		return bridge.LegCancelled
	case c.lost && (c.cause == 0 || !c.ring.IsZero()):
		return bridge.LegCancelled
	case c.ring.IsZero():
		return bridge.LegUnavailable
	}
	return bridge.LegNoAnswer
}

// elsewhere says whether another took the call while c was being called.
func (r *reducer) elsewhere(c *channel) bool {
	over := c.over()
	for _, l := range r.legs {
		if l != c && !l.answer.IsZero() && !l.answer.Before(c.dialled.Time) && (over.IsZero() || !l.answer.After(over.Time)) {
			return true
		}
	}
	return false
}

// over says that c, whose result was not seen, was called until there was no
// need any more: another answered, or the caller left.
func (r *reducer) over(c *channel) bool {
	if r.elsewhere(c) {
		return true
	}
	for i := range r.f.chans {
		by := &r.f.chans[i]
		if by.id == c.dialledBy && !by.hang.IsZero() && !by.hang.After(c.over().Time) {
			return true
		}
	}
	return false
}

// causeReason names what a cause of its own says; "" for the others.
func causeReason(cause int) bridge.Reason {
	switch cause {
	case 17:
		return bridge.Busy
	case 21:
		return bridge.Rejected
	case 1, 3, 22, 28:
		return bridge.BadNumber
	case 34, 38, 41, 42, 44:
		return bridge.Congestion
	case 20, 27:
		return bridge.Unavailable
	}
	return ""
}

// missed says why nobody talked to the one who called (in and internal).
func (r *reducer) missed(call *bridge.Call, root *channel) (bridge.Reason, int) {
	if root.voicemail {
		return bridge.Voicemail, root.cause // D-06: a missed call with a message
	}
	phones, live := 0, false
	for _, l := range r.legs {
		if l == root || l.dialResult == bridge.DialForwarded {
			continue
		}
		phones++
		over := l.over()
		live = live || root.hang.IsZero() || over.IsZero() || !over.Before(root.hang.Time)
	}
	if root.hang.IsZero() && r.left(root) {
		// His own hang-up was not seen. The phones were told to stop, and the
		// PBX had no reason to.
		if root.softApp == "Queue" || call.Queue != "" {
			return bridge.AbandonedQueue, root.cause
		}
		return bridge.CallerHungUp, root.cause
	}
	if !root.hang.IsZero() {
		switch {
		case root.hangApp == "Queue" || call.Queue != "" && live:
			return bridge.AbandonedQueue, root.cause
		case phones == 0 && root.up:
			return bridge.AbandonedIVR, root.cause
		case phones == 0 || live:
			return bridge.CallerHungUp, root.cause
		}
		// He hung up after the phones had said no: that is the reason.
	}
	if phones == 0 {
		switch reason := causeReason(root.cause); {
		case root.cause == 21:
			return bridge.BlockedByPBX, root.cause
		case root.cause == 3:
			return bridge.Unavailable, root.cause // no way to a phone of ours, such as one that is not registered
		case reason != "":
			return reason, root.cause
		case root.up:
			return bridge.AbandonedIVR, root.cause
		}
		return bridge.BlockedByPBX, root.cause
	}
	// One phone that rang out outweighs busy ones, and those the unreachable.
	best, reason, cause := -1, bridge.ReasonUnknown, root.cause
	for _, l := range r.legs {
		if l == root {
			continue
		}
		weight, why := 0, bridge.Unavailable
		switch r.result(l) {
		case bridge.LegNoAnswer, bridge.LegCancelled, bridge.LegElsewhere:
			weight, why = 3, bridge.NoAnswer
		case bridge.LegBusy:
			weight, why = 2, bridge.Busy
		case bridge.LegRejected:
			weight, why = 1, bridge.Rejected
		case bridge.LegForwarded:
			continue
		}
		if weight > best {
			best, reason = weight, why
			if l.cause != 0 {
				cause = l.cause
			}
		}
	}
	return reason, cause
}

// left says that the first channel went by itself although its hang-up was not
// seen: what it called was cancelled, nobody had answered, and the dialplan did
// not end the call.
func (r *reducer) left(root *channel) bool {
	if root.lost || root.softApp == "Hangup" || root.softApp == "Busy" || root.softApp == "Congestion" {
		return false
	}
	var last *channel
	for _, l := range r.legs {
		if l != root && (last == nil || l.over().After(last.over().Time)) {
			last = l
		}
	}
	return last != nil && last.dialResult == bridge.DialCancelled && last.answer.IsZero() && last.cause != 26
}

// failed says why we did not reach the client (out).
func (r *reducer) failed(root *channel) (bridge.Reason, int) {
	var client *channel // the last attempt counts: a spare line may have been tried
	for _, l := range r.legs {
		if l != root && (l.trunk != "" || root.trunk != "") {
			client = l
		}
	}
	if root.originated && root.ext != "" && root.answer.IsZero() && client == nil {
		switch {
		case !root.hang.IsZero() || root.cause == 17 || root.cause == 21:
			return bridge.AgentRejected, root.cause
		}
		return bridge.AgentNoAnswer, root.cause
	}
	if client == nil {
		switch reason := causeReason(root.cause); {
		case !root.hang.IsZero():
			return bridge.CancelledByAgent, root.cause
		case root.cause == 21:
			return bridge.BlockedByPBX, root.cause
		case reason != "":
			return reason, root.cause
		}
		return bridge.ReasonUnknown, root.cause
	}
	over := client.over()
	if !root.hang.IsZero() && (over.IsZero() || !over.Before(root.hang.Time)) || root.hang.IsZero() && r.left(root) {
		return bridge.CancelledByAgent, root.cause
	}
	if client.dialResult == bridge.DialBusy {
		return bridge.Busy, client.cause
	}
	if reason := causeReason(client.cause); reason != "" {
		return reason, client.cause
	}
	switch {
	case client.dialResult == bridge.DialCongestion:
		return bridge.Congestion, client.cause
	case client.ring.IsZero() && !client.progress && over.Sub(client.dialled).Seconds() < 1:
		return bridge.Unavailable, client.cause
	}
	cause := client.cause
	if cause == 0 {
		cause = root.cause
	}
	return bridge.NoAnswer, cause
}

// unseen corrects what cannot be known of an end that only the PBX's call log
// tells: who hung up, and whether a caller without a phone was refused or left.
func (r *reducer) unseen(call *bridge.Call, root *channel, answered bool) {
	if answered || call.Reason == bridge.Voicemail {
		return
	}
	for _, l := range r.legs {
		if l != root {
			return // what became of the phones is logged
		}
	}
	switch {
	case call.Queue != "":
		call.Reason = bridge.AbandonedQueue
	case root.up:
		call.Reason = bridge.AbandonedIVR
	case causeReason(root.cause) == "":
		call.Reason = bridge.ReasonUnknown
	}
}

// hungUpBy says whose side ended the call: the first channel of those that
// were in it to the last whose own side asked for the end. The PBX's own
// requests are marked soft and count for nobody (reference/ari.md 5.6).
func (r *reducer) hungUpBy(call *bridge.Call, root *channel, answered bool) bridge.Side {
	var first *channel
	consider := func(c *channel) {
		if !c.hang.IsZero() && (first == nil || c.hang.Before(first.hang.Time)) {
			first = c
		}
	}
	consider(root)
	if !root.left.IsZero() || first != nil && root.ext != "" && root.hang.Before(r.f.positive.Time) {
		first = nil // an employee who handed the call over did not end it
	}
	for _, l := range r.legs {
		switch {
		case l == root || !l.left.IsZero() || l.answer.IsZero():
		case l.trunk != "" || !l.hang.Before(r.f.positive.Time):
			consider(l)
		}
	}
	if first != nil {
		return side(first)
	}
	if answered {
		if r.f.restart || root.softApp == "Hangup" {
			return bridge.ByPBX
		}
		return "" // somebody did, and it was not seen
	}
	if r.left(root) {
		return side(root)
	}
	// The last of those who were called may have refused.
	var last *channel
	for _, l := range r.legs {
		if l != root && (last == nil || l.over().After(last.over().Time)) {
			last = l
		}
	}
	if last == nil {
		if root.ext != "" && root.originated && (root.cause == 17 || root.cause == 21) {
			return bridge.ByAgent // the phone of a click refused
		}
		return bridge.ByPBX
	}
	switch {
	case last.cause == 17, last.cause == 21: // busy, declined: that is who refused, whatever else was seen
	case last.hang.IsZero():
		if last.ext == "" || last.cause != 19 || !last.ring.IsZero() { // a phone that is not to be disturbed
			return bridge.ByPBX
		}
	case r.f.positive.Sub(last.hang) > atOnce:
		return bridge.ByPBX
	}
	if last.trunk != "" && call.Reason != bridge.Busy && call.Reason != bridge.Rejected {
		return bridge.ByPBX // the provider, not the client
	}
	return side(last)
}

// atOnce is by how much a phone's refusal may stand before the event that says
// that it is called: both are written by threads of their own.
const atOnce = 200 * time.Millisecond

func side(c *channel) bridge.Side {
	if c.trunk != "" {
		return bridge.ByClient
	}
	return bridge.ByAgent
}
