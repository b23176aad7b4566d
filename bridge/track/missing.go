package track

import (
	"slices"

	"callbridge/bridge"
)

// What follows is for events that never came: a link that was cut, or a PBX
// that dropped one under load. What others prove is taken from them; what
// nothing proves is said to be unknown, never guessed.

// met takes it for an answer that two were in a room together, where the
// answer itself was not seen; a call taken from a parking place has none.
func (f *facts) met(root *channel) {
	for i := range f.chans {
		c := &f.chans[i]
		if c.originated && c.up && c.answer.IsZero() && !c.helper {
			c.answer = c.upAt // nobody else could have been quicker
		}
	}
	for _, m := range f.meetings {
		for _, id := range m.members {
			c := f.find(id)
			if c == nil || c == root || c.helper || !c.answer.IsZero() || c.ext == "" && c.trunk == "" {
				continue
			}
			switch {
			case !c.incoming && !c.dialled.IsZero() && c.up:
				c.answer = m.at
				if !c.upAt.IsZero() && c.upAt.Before(m.at.Time) {
					c.answer = c.upAt
				}
			case c.incoming && c.ext != "" && root.trunk != "" && root.incoming && slices.Contains(m.members, root.id):
				c.answer = m.at
			}
		}
	}
}

// unknown names the members of the record that nothing seen proves. lost says
// that the end of the first channel was not seen.
func (r *reducer) unknown(call *bridge.Call, root *channel, lost bool) []string {
	var out []string
	say := func(name string) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if call.Direction == bridge.In {
		if call.Line == "" {
			say("line")
		}
		if call.ClientRaw == "" && !root.began {
			say("client")
		}
	}
	if call.Direction == bridge.Out && call.ClientRaw == "" {
		say("client")
		if call.Line == "" {
			say("line")
		}
	}
	if call.Direction == bridge.Out && call.Agent == "" {
		say("agent") // whose call it was, and so whether anybody talked
		say("outcome")
		say("reason")
	}
	if lost {
		say("ended_at")
		if call.Outcome == bridge.Answered {
			say("talk_ms")
		} else {
			say("outcome")
			say("wait_ms")
		}
	}
	for _, l := range r.legs {
		switch {
		case !l.lost:
		case !l.answer.IsZero():
			say("legs") // until when he talked
			if len(call.AnsweredBy) > 1 {
				say("longest_talked")
			}
		case l.cause == 0 && l.dialResult != bridge.DialBusy && l.dialResult != bridge.DialCancelled && call.Outcome != bridge.Answered:
			say("legs") // why he did not
			say("reason")
		}
	}
	if call.Reason == bridge.ReasonUnknown {
		say("reason")
	}
	if call.HungUpBy == "" {
		say("hung_up_by")
	}
	if call.Cause == 0 && root.lost {
		say("cause")
	}
	if root.group == "" && call.Outcome == bridge.Answered && call.Direction != bridge.Internal && len(call.Recordings) == 0 {
		say("recordings") // such a PBX tells of a file by a variable only
	}
	if r.handedOver(call, root) {
		say("transfers")
		say("legs") // until when the one before talked to the client
		say("longest_talked")
	}
	slices.Sort(out)
	return out
}

// handedOver says that another phone was called after somebody had answered,
// and no transfer tells why.
func (r *reducer) handedOver(call *bridge.Call, root *channel) bool {
	if call.AnsweredAt.IsZero() {
		return false
	}
	for _, l := range r.legs {
		if l == root || l.ext == "" || l.dialled.IsZero() || !l.dialled.After(call.AnsweredAt.Time) {
			continue
		}
		told := slices.ContainsFunc(r.f.transfers, func(e *bridge.Event) bool {
			return !l.dialled.After(e.At.Time) || e.At.Before(l.dialled.Time)
		})
		if !told {
			return true
		}
	}
	return false
}
