package ari

import (
	"regexp"

	"callbridge/bridge"
)

// DecodeOptions is what the decoder must be told about one PBX.
type DecodeOptions struct {
	PBX string // id of the PBX in the configuration
	// Trunks are the endpoints (resource names, "trunk" of PJSIP/trunk-0000001a)
	// that are outside lines. An endpoint that is neither here nor a phone
	// counts as an outside line too.
	Trunks []string
	// Phones says which endpoints are phones; nil means two to five digits.
	Phones *regexp.Regexp
	// Extensions maps phones with odd names to their extension: "ivanov" → "101".
	Extensions map[string]string
}

// Decoder turns ARI frames into events. It is pure and safe for concurrent use.
type Decoder struct{ o DecodeOptions }

// NewDecoder makes a decoder for one PBX.
func NewDecoder(o DecodeOptions) *Decoder { return &Decoder{o: o} }

// Decode reads one frame. useful says whether the event can change a call or a
// phone's state: the others need not be stored, and the calls come out the
// same without them. A frame of unknown type gives an UnknownEvent; an error
// names what is wrong with the frame, which the caller counts and keeps raw.
// The event keeps raw; the caller must not change it afterwards.
func (d *Decoder) Decode(raw []byte) (e bridge.Event, useful bool, err error) {
	return bridge.Event{PBX: d.o.PBX, Kind: bridge.UnknownEvent, Raw: raw}, false, nil
}

// Snapshot reads the answers of GET /asterisk/info, GET /channels and GET
// /bridges; an empty body leaves its part empty.
func (d *Decoder) Snapshot(info, channels, bridges []byte) (bridge.Snapshot, error) {
	return bridge.Snapshot{}, nil
}
