package bridge

import (
	"encoding/json"
)

// Event is one thing a PBX told us: stored raw and parsed, never changed
// afterwards. The same fact told twice has the same ID.
type Event struct {
	ID   string    `json:"id"`  // unique per PBX; a digest of the content if the PBX gives none
	PBX  string    `json:"pbx"` // id of the PBX in the configuration
	Kind EventKind `json:"kind"`
	At   Time      `json:"at"`            // the PBX's clock
	Seen Time      `json:"seen,omitzero"` // when it reached us; not part of the fact
	// Raw is what came over the wire; nil for what we concluded ourselves.
	Raw json.RawMessage `json:"-"`

	// Leg is the channel the event is about, Peer the other one (see the kind).
	Leg  *Channel `json:"leg,omitempty"`
	Peer *Channel `json:"peer,omitempty"`
	// More holds further channels of the fact (legs of an attended transfer).
	More []Channel `json:"more,omitempty"`

	Result  string   `json:"result,omitempty"`  // dial result, transfer result
	Dialled string   `json:"dialled,omitempty"` // what was dialled: number, exten, transfer target
	Room    string   `json:"room,omitempty"`    // id of the mixing room (Asterisk: bridge)
	Room2   string   `json:"room2,omitempty"`
	Members []string `json:"members,omitempty"` // channel ids in the room after the change
	Cause   int      `json:"cause,omitempty"`   // Q.850
	SIP     int      `json:"sip,omitempty"`     // SIP status, if told
	Soft    bool     `json:"soft,omitempty"`    // the PBX's own doing, not the party's
	Name    string   `json:"name,omitempty"`    // variable, recording, device, type of the vendor's event
	Value   string   `json:"value,omitempty"`
	Args    []string `json:"args,omitempty"`
	// From and To bound a gap (LinkLost) in which nothing was seen.
	From Time `json:"from,omitzero"`
	To   Time `json:"to,omitzero"`
	// Snapshot is what exists in the PBX after a reconnect (LinkUp).
	Snapshot *Snapshot `json:"snapshot,omitempty"`
}

// EventKind is the closed list of what PBXs tell.
type EventKind string

const (
	ChannelBegan   EventKind = "channel_began"     // Leg exists; Leg.Incoming says it came in
	ChannelRinging EventKind = "channel_ringing"   // Leg rings at its far end
	ChannelUp      EventKind = "channel_up"        // Leg's own side is connected: NOT an answer by a person
	ChannelNumber  EventKind = "channel_number"    // caller or connected number of Leg changed
	ChannelEnded   EventKind = "channel_ended"     // Leg is gone, with Cause
	Hangup         EventKind = "hangup"            // Leg's side asked for the end (Soft: the PBX did)
	Dialling       EventKind = "dialling"          // Leg (may be nil) dials Peer
	DialRinging    EventKind = "dial_ringing"      // Peer rings
	DialProgress   EventKind = "dial_progress"     // Peer's side can be heard before it answers
	DialAnswered   EventKind = "dial_answered"     // Peer answered Leg
	DialEnded      EventKind = "dial_ended"        // Peer did not answer: Result; forwarded: to More[0], Dialled
	RoomEntered    EventKind = "room_entered"      // Leg joined Room; no Members if those in it do not hear each other
	RoomLeft       EventKind = "room_left"         // Leg left Room
	RoomsMerged    EventKind = "rooms_merged"      // Room2 went into Room
	BlindTransfer  EventKind = "blind_transfer"    // Leg sends Peer to Dialled
	AttendedXfer   EventKind = "attended_transfer" // Leg (first) and More: second leg, transferee, target
	HoldBegan      EventKind = "hold_began"
	HoldEnded      EventKind = "hold_ended"
	DigitPressed   EventKind = "digit_pressed" // Leg's side pressed Value in a menu
	VariableSet    EventKind = "variable_set"  // Name is "dir", "did", "ext" (also in Leg.Dir, DID, Ext) or "recording" (Value: file name)
	RouteAsked     EventKind = "route_asked"   // the dialplan waits for "who takes this call?"; Args
	RouteEnded     EventKind = "route_ended"
	RecordingBegan EventKind = "recording_began"
	RecordingDone  EventKind = "recording_done" // Name; of Leg or of Room
	DeviceState    EventKind = "device_state"   // Name (extension or device), Value
	Registration   EventKind = "registration"   // Name (extension), Value: online, offline
	LinkLost       EventKind = "link_lost"      // we saw nothing From…To (To may come with LinkUp), because of Value
	LinkUp         EventKind = "link_up"        // link is (again) there, with Snapshot; At by the PBX's clock
	UnknownEvent   EventKind = "unknown"        // Name is the vendor's; kept raw and counted
	Unimportant    EventKind = "unimportant"    // Name is the vendor's; known, and of no use to us
)

// Stored says whether events of this kind are kept and given to the tracker.
// The others tell nothing a call's record needs: the same calls come out
// without them.
func (k EventKind) Stored() bool {
	switch k {
	case ChannelNumber, RoomLeft, RouteEnded, RecordingBegan, DeviceState, Registration, Unimportant:
		return false
	}
	return true
}

// FromCallLog is the Name of a ChannelEnded that was not seen, but stands in
// the PBX's call log: the end is right, and nobody knows who ended it. It is
// also that of the LinkUp that ends a gap after the call log was read; the one
// before it has a partial snapshot.
const FromCallLog = "call_log"

// Results of DialEnded, and of transfers.
const (
	DialBusy        = "busy"
	DialNoAnswer    = "no_answer"
	DialCancelled   = "cancelled"   // another answered, or the caller left
	DialForwarded   = "forwarded"   // the phone named another target
	DialCongestion  = "congestion"  // the line or the provider refused
	DialUnavailable = "unavailable" // not reachable
	TransferDone    = "success"
	TransferFailed  = "failed"
)

// Channel is one connection of the PBX as an event shows it. What the event
// does not tell is empty.
type Channel struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"` // vendor's name, for people
	// Group is the PBX's own id of the call this channel belongs to (linkedid); "" if not told.
	Group string `json:"group,omitempty"`
	// Exactly one of Extension, Trunk and Helper is set when the adapter could tell.
	Extension string `json:"extension,omitempty"` // the phone
	Trunk     string `json:"trunk,omitempty"`     // the outside line
	Helper    bool   `json:"helper,omitempty"`    // made by the PBX for itself (Local/…)
	// Pair is the same for the two ends of a helper, which belong to one call.
	// It may come again after the PBX restarted.
	Pair string `json:"pair,omitempty"`

	Incoming bool   `json:"incoming,omitempty"` // it called the PBX
	State    string `json:"state,omitempty"`    // down, ring, ringing, up
	Number   string `json:"number,omitempty"`   // its own caller number
	CallerNm string `json:"caller_name,omitempty"`
	Other    string `json:"other,omitempty"` // connected number
	Exten    string `json:"exten,omitempty"` // where it is in the dialplan
	Context  string `json:"context,omitempty"`
	App      string `json:"app,omitempty"` // dialplan application it runs: Queue, Dial, …
	AppData  string `json:"app_data,omitempty"`
	Since    Time   `json:"since,omitzero"` // creation
	// What the operator's dialplan tells us (CB_DIR, CB_DID, CB_EXT).
	Dir string `json:"dir,omitempty"`
	DID string `json:"did,omitempty"`
	Ext string `json:"ext,omitempty"`
}

// Snapshot is what the PBX has at one moment.
type Snapshot struct {
	StartedAt Time      `json:"started_at,omitzero"` // start of the PBX itself
	Channels  []Channel `json:"channels"`
	Rooms     []Room    `json:"rooms,omitempty"`
	// Partial says that what is missing here need not be over: somebody is still
	// finding out how it ended, and will tell with a whole snapshot.
	Partial bool `json:"partial,omitempty"`
}

// Room is a mixing room and who is in it.
type Room struct {
	ID      string   `json:"id"`
	Since   Time     `json:"since,omitzero"`
	Members []string `json:"members"`
}
