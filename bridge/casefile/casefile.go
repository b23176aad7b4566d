// Package casefile is a call in one file (F-19): the raw events, what the
// rules decided with which settings, what was asked of the CRMs and answered,
// and who saw the card. Personal data is masked, consistently: the same number
// or name is the same everywhere in the file, so the masked events give the
// masked call record when they are played back.
package casefile

import (
	"encoding/json"
	"errors"
	"fmt"

	"callbridge/bridge"
)

// Format is the version of the file.
const Format = 1

// File is one case.
type File struct {
	Format  int         `json:"callbridge_case"`
	Program string      `json:"program"`
	MadeAt  bridge.Time `json:"made_at"`
	Country string      `json:"country"` // of numbers written without one
	Call    bridge.Call `json:"call"`
	Events  []Event     `json:"events"`
	// Settings are those of Version, without credentials and users.
	Version  int64           `json:"settings_version"`
	Settings bridge.Settings `json:"settings"`
	Actions  []Action        `json:"actions"`
	Rings    []Ring          `json:"rings"`
	Shown    []Shown         `json:"shown"`
}

// Event is an event with what came over the wire.
type Event struct {
	bridge.Event
	Raw json.RawMessage `json:"raw,omitempty"`
}

// Action is a delivery with its attempts.
type Action struct {
	bridge.Delivery
	Tries []Attempt `json:"tries,omitempty"`
}

// Attempt is one try.
type Attempt struct {
	At       bridge.Time `json:"at"`
	TookMS   int64       `json:"took_ms"`
	Code     int         `json:"code"`
	Request  string      `json:"request,omitempty"`
	Response string      `json:"response,omitempty"`
	Error    string      `json:"error,omitempty"`
}

// Ring says who was there when a phone began to ring.
type Ring struct {
	Extension string      `json:"extension"`
	At        bridge.Time `json:"at"`
	Tabs      int         `json:"tabs"`
	DND       bool        `json:"dnd"`
}

// Shown says that a browser showed the card.
type Shown struct {
	Extension string      `json:"extension"`
	At        bridge.Time `json:"at"`
	MS        int64       `json:"ms"`
}

// Encode masks f and writes it. names are people's names that are known to
// stand in it.
func Encode(f File, names []string) ([]byte, error) {
	f.Format = Format
	plain, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("case file: %w", err)
	}
	m := newMask(&f, names)
	masked, err := m.document(plain)
	if err != nil {
		return nil, fmt.Errorf("case file: %w", err)
	}
	return append(masked, '\n'), nil
}

// Is says whether data looks like a case file.
func Is(data []byte) bool {
	var head struct {
		Format int `json:"callbridge_case"`
	}
	return json.Unmarshal(data, &head) == nil && head.Format > 0
}

// Decode reads a file that Encode wrote.
func Decode(data []byte) (File, error) {
	var f File
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("case file: %w", err)
	}
	if f.Format != Format {
		return f, fmt.Errorf("case file: format %d is not known to this program, which writes %d", f.Format, Format)
	}
	if len(f.Events) == 0 {
		return f, errors.New("case file: it has no events, they were removed with age")
	}
	return f, nil
}

// Facts returns the events with what came over the wire, for the tracker.
func (f *File) Facts() []bridge.Event {
	out := make([]bridge.Event, len(f.Events))
	for i, e := range f.Events {
		out[i] = e.Event
		out[i].Raw = e.Raw
	}
	return out
}

// Prune cuts what an event tells of the rest of the PBX: a snapshot holds the
// calls of everybody. ours are the channels of this call.
func Prune(e bridge.Event, ours map[string]bool) bridge.Event {
	if e.Snapshot == nil {
		return e
	}
	s := bridge.Snapshot{StartedAt: e.Snapshot.StartedAt, Partial: e.Snapshot.Partial, Channels: []bridge.Channel{}}
	for _, c := range e.Snapshot.Channels {
		if ours[c.ID] {
			s.Channels = append(s.Channels, c)
		}
	}
	for _, r := range e.Snapshot.Rooms {
		var in []string
		for _, id := range r.Members {
			if ours[id] {
				in = append(in, id)
			}
		}
		if len(in) > 0 {
			r.Members = in
			s.Rooms = append(s.Rooms, r)
		}
	}
	e.Snapshot, e.Raw = &s, nil
	return e
}

// Channels returns the ids of all channels events name.
func Channels(events []bridge.Event) map[string]bool {
	out := map[string]bool{}
	for i := range events {
		for _, c := range channelsOf(&events[i]) {
			out[c.ID] = true
		}
	}
	return out
}

func channelsOf(e *bridge.Event) []*bridge.Channel {
	var out []*bridge.Channel
	for _, c := range []*bridge.Channel{e.Leg, e.Peer} {
		if c != nil {
			out = append(out, c)
		}
	}
	for i := range e.More {
		out = append(out, &e.More[i])
	}
	if e.Snapshot != nil {
		for i := range e.Snapshot.Channels {
			out = append(out, &e.Snapshot.Channels[i])
		}
	}
	return out
}
