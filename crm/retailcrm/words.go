package retailcrm

import "callbridge/bridge"

// The CRM has two vocabularies for how a call ended, one for pop-ups
// (telephony/call/event) and one for the history (telephony/calls/upload); no
// word of one may stand in the other. Which of our reasons becomes which word
// is inferred.

// hangupStatus is the word of the pop-up's end; "" leaves it out.
func hangupStatus(c *bridge.Call) string {
	if c.Outcome == bridge.Answered {
		return "answered"
	}
	switch c.Reason {
	case bridge.Busy:
		return "busy"
	case bridge.CallerHungUp, bridge.AbandonedIVR, bridge.AbandonedQueue, bridge.CancelledByAgent:
		return "cancel"
	case bridge.BadNumber, bridge.Congestion, bridge.BlockedByPBX:
		return "failed"
	case bridge.PBXRestarted, bridge.ReasonUnknown, "":
		return ""
	}
	return "no answered"
}

// result is the word of the call history.
func result(c *bridge.Call) string {
	if c.Outcome == bridge.Answered {
		return "answered"
	}
	switch c.Reason {
	case bridge.Busy:
		return "busy"
	case bridge.BadNumber, bridge.Congestion:
		return "failed"
	case bridge.BlockedByPBX:
		return "not allowed"
	case bridge.PBXRestarted, bridge.ReasonUnknown, "":
		return "unknown"
	}
	return "no answer"
}
