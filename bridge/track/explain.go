package track

import (
	"encoding/json"
	"reflect"
	"slices"

	"callbridge/bridge"
)

// Reading is what one event did to the record of its call (F-3).
type Reading struct {
	Event bridge.Event `json:"event"`
	// Changes are the members of the record that it changed, as in JSON.
	Changes []FieldChange `json:"changes"`
	// Decides are the members that would be others without this very event.
	Decides []string `json:"decides,omitempty"`
}

// FieldChange is a member of the record before and after an event.
type FieldChange struct {
	Field string          `json:"field"`
	Was   json.RawMessage `json:"was,omitempty"`
	Is    json.RawMessage `json:"is,omitempty"`
}

// explained are the members worth saying which event decided them.
var explained = []string{"direction", "outcome", "reason", "client", "line", "answered_by", "hung_up_by", "transfers"}

// Explain plays the events of one call again, in the order in which the tracker
// counts them, and tells what each meant. It is the same function that made the
// record.
func Explain(events []bridge.Event, o Options) []Reading {
	list := slices.Clone(events)
	slices.SortStableFunc(list, func(a, b bridge.Event) int { return order(&a, &b) })
	t := New(o)
	t.forgetful = false
	whole := members(last(Calls(list, o)))
	was := map[string]json.RawMessage{}
	out := make([]Reading, 0, len(list))
	for i, e := range list {
		r := Reading{Event: e, Changes: []FieldChange{}}
		for _, c := range t.Add(e) {
			is := members(c.Call)
			r.Changes = append(r.Changes, changes(was, is)...)
			was = is
		}
		rest := members(last(Calls(slices.Delete(slices.Clone(list), i, i+1), o)))
		for _, f := range explained {
			if !reflect.DeepEqual(whole[f], rest[f]) {
				r.Decides = append(r.Decides, f)
			}
		}
		out = append(out, r)
	}
	return out
}

// last is the call the events make; events of one call make one, unless some
// are missing.
func last(calls []bridge.Call) bridge.Call {
	if len(calls) == 0 {
		return bridge.Call{}
	}
	return calls[0]
}

// members are the parts of a record as it is written.
func members(c bridge.Call) map[string]json.RawMessage {
	b, err := json.Marshal(c)
	m := map[string]json.RawMessage{}
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return nil // a record has no member that could not be written
	}
	for k, v := range m {
		if s := string(v); s == `""` || s == "[]" || s == "null" {
			delete(m, k)
		}
	}
	return m
}

func changes(was, is map[string]json.RawMessage) []FieldChange {
	var out []FieldChange
	for k, v := range is {
		if string(was[k]) != string(v) {
			out = append(out, FieldChange{k, was[k], v})
		}
	}
	for k, v := range was {
		if _, there := is[k]; !there {
			out = append(out, FieldChange{Field: k, Was: v})
		}
	}
	slices.SortFunc(out, func(a, b FieldChange) int {
		if a.Field < b.Field {
			return -1
		}
		return 1
	})
	return out
}

// Why says in a sentence why the outcome of an ended call is what it is.
func Why(c *bridge.Call) string {
	switch c.Outcome {
	case "":
		return "The call is not over yet."
	case bridge.Answered:
		return "Answered: client and employee talked; a line that is only up, a menu or a queue is no answer."
	}
	return string(c.Outcome) + " (" + string(c.Reason) + "): " + whys[c.Reason]
}

var whys = map[bridge.Reason]string{
	bridge.CallerHungUp:     "who called hung up while phones were still being called.",
	bridge.AbandonedIVR:     "the PBX had answered, no phone was called, and the client left.",
	bridge.AbandonedQueue:   "the client hung up while he waited in a queue.",
	bridge.NoAnswer:         "who was called rang until the PBX gave up.",
	bridge.Busy:             "who was called was busy, and nobody else rang out.",
	bridge.Rejected:         "who was called declined, and nobody else rang out or was busy.",
	bridge.Unavailable:      "no phone that was called could be reached.",
	bridge.Voicemail:        "nobody talked; the client reached the voice mail.",
	bridge.BlockedByPBX:     "the PBX refused the call itself, before any phone was called.",
	bridge.BadNumber:        "the number does not exist or is not complete.",
	bridge.Congestion:       "the provider or the line refused.",
	bridge.CancelledByAgent: "the employee hung up before the client answered.",
	bridge.AgentNoAnswer:    "the employee's phone was not picked up, so the client was not called.",
	bridge.AgentRejected:    "the employee's phone declined, so the client was not called.",
	bridge.PBXRestarted:     "the PBX was stopped or crashed during the call.",
	bridge.ReasonUnknown:    "the event that would tell was not seen; see gaps and unknown.",
}
