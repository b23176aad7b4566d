package track

import (
	"callbridge/bridge"
)

// step is a place of the dialplan, or a digit, as an event showed it.
type step struct {
	channel string
	own     bool // the PBX itself answered, or a digit was pressed
	bridge.Step
}

// maxSteps bounds the way of a client who goes round in a menu.
const maxSteps = 50

// step notes where in the dialplan a channel is. Only events that any
// connection gets are asked: where an event filter is on, the others would be
// missing, and the record another.
func (f *facts) step(e *bridge.Event, leg *channel) {
	if leg == nil || leg.helper || len(f.steps) >= maxSteps {
		return
	}
	s := step{channel: leg.id, own: e.Leg.State == "up", Step: bridge.Step{At: e.At, Context: e.Leg.Context, Exten: e.Leg.Exten}}
	switch e.Kind {
	case bridge.ChannelBegan, bridge.ChannelUp, bridge.Dialling:
	case bridge.DigitPressed:
		s.own, s.Digit = true, e.Value
	case bridge.Hangup:
		if e.Soft {
			return // the end of the dialplan, not a place of the client
		}
	default:
		return
	}
	if s.Exten == "" || s.Exten == "h" {
		return
	}
	f.steps = append(f.steps, s)
}

// path is the client's way until somebody answered him. Who was put through
// to a phone at once has none.
func (f *facts) path(call *bridge.Call, root *channel) []bridge.Step {
	if call.Direction != bridge.In || root.trunk == "" {
		return nil
	}
	var out []bridge.Step
	menu := false
	for i := range f.steps {
		s := &f.steps[i]
		if s.channel != root.id || !call.AnsweredAt.IsZero() && !s.At.Before(call.AnsweredAt.Time) {
			continue
		}
		menu = menu || s.own
		if n := len(out); n > 0 && s.Digit == "" && out[n-1].Context == s.Context && out[n-1].Exten == s.Exten {
			continue
		}
		out = append(out, s.Step)
	}
	if !menu {
		return nil
	}
	return out
}
