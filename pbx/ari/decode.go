package ari

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

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

var defaultPhones = regexp.MustCompile(`^\d{2,5}$`)

// Decoder turns ARI frames into events. It is pure and safe for concurrent use.
type Decoder struct {
	o      DecodeOptions
	trunks map[string]bool
}

// NewDecoder makes a decoder for one PBX.
func NewDecoder(o DecodeOptions) *Decoder {
	if o.Phones == nil {
		o.Phones = defaultPhones
	}
	d := &Decoder{o: o, trunks: map[string]bool{}}
	for _, t := range o.Trunks {
		d.trunks[t] = true
	}
	return d
}

// Decode reads one frame. useful is e.Kind.Stored(): the other events need not
// be kept, and the calls come out the same without them. A frame of unknown
// type gives an UnknownEvent; an error names what is wrong with the frame,
// which the caller counts and keeps raw. The event keeps raw; the caller must
// not change it afterwards.
func (d *Decoder) Decode(raw []byte) (e bridge.Event, useful bool, err error) {
	typ, variable, err := peek(raw)
	if err != nil {
		return bridge.Event{}, false, fmt.Errorf("ARI frame: %w", err)
	}
	sum := sha256.Sum256(raw)
	e = bridge.Event{ID: hex.EncodeToString(sum[:16]), PBX: d.o.PBX, Kind: bridge.Unimportant, Name: typ, Raw: raw}
	if ignored[typ] || typ == "ChannelVarset" && variableName(variable) == "" {
		return e, false, nil
	}
	var f wireFrame
	if err := json.Unmarshal(raw, &f); err != nil {
		return bridge.Event{}, false, fmt.Errorf("ARI frame %s: %w", typ, err)
	}
	at, err := parseTime(f.Timestamp)
	if err != nil && f.Timestamp != "" {
		return bridge.Event{}, false, fmt.Errorf("ARI frame %s: timestamp: %w", typ, err)
	}
	e.At = at
	if err := d.fill(&e, &f); err != nil {
		return bridge.Event{}, false, fmt.Errorf("ARI frame %s: %w", typ, err)
	}
	if e.At.IsZero() && e.Kind != bridge.UnknownEvent && e.Kind != bridge.Unimportant {
		return bridge.Event{}, false, fmt.Errorf("ARI frame %s: no timestamp", typ)
	}
	return e, e.Kind.Stored(), nil
}

// Channel says what a channel's name tells: phone, outside line or helper.
func (d *Decoder) Channel(name string) bridge.Channel {
	return *d.channel(&wireChannel{ID: name, Name: name})
}

// ignored are the types that say nothing we use; they are not decoded beyond
// their type. Most of the traffic of an unfiltered connection is here.
var ignored = map[string]bool{
	"ChannelDialplan": true, "ChannelUserevent": true,
	"ChannelTalkingStarted": true, "ChannelTalkingFinished": true, "ChannelToneDetected": true,
	"BridgeCreated": true, "BridgeDestroyed": true, "BridgeVideoSourceChanged": true,
	"PlaybackStarted": true, "PlaybackContinuing": true, "PlaybackFinished": true,
	"TextMessageReceived": true, "RESTResponse": true, "RecordingFailed": true,
	"ApplicationReplaced": true, "ApplicationMoveFailed": true,
	"ApplicationRegistered": true, "ApplicationUnregistered": true,
}

// menus are the applications in which a digit is a choice. Elsewhere digits
// are a talk's own affair, or whole numbers (Read: contracts, cards, codes),
// which are nobody's business: they are dropped unread.
var menus = map[string]bool{"waitexten": true, "background": true, "backgrounddetect": true}

// fill sets what the type of the frame tells.
func (d *Decoder) fill(e *bridge.Event, f *wireFrame) error {
	e.Name = ""
	switch f.Type {
	case "ChannelCreated":
		e.Kind = bridge.ChannelBegan
	case "ChannelStateChange":
		switch {
		case f.Channel == nil:
		case f.Channel.State == "Ringing":
			e.Kind = bridge.ChannelRinging
		case f.Channel.State == "Up":
			e.Kind = bridge.ChannelUp
		default:
			e.Kind, e.Name = bridge.Unimportant, f.Type
		}
	case "ChannelCallerId", "ChannelConnectedLine":
		e.Kind = bridge.ChannelNumber
	case "ChannelHangupRequest":
		e.Kind, e.Cause, e.SIP, e.Soft = bridge.Hangup, f.Cause, f.TechCause, f.Soft
	case "ChannelDestroyed":
		e.Kind, e.Cause, e.SIP = bridge.ChannelEnded, f.Cause, f.TechCause
	case "ChannelHold":
		e.Kind = bridge.HoldBegan
	case "ChannelUnhold":
		e.Kind = bridge.HoldEnded
	case "ChannelDtmfReceived":
		e.Kind, e.Value = bridge.DigitPressed, f.Digit
		if f.Channel != nil && !menus[strings.ToLower(f.Channel.Dialplan.App)] {
			e.Kind, e.Name, e.Value, e.Raw = bridge.Unimportant, f.Type, "", nil
			return nil
		}
	case "ChannelVarset":
		return d.variable(e, f)
	case "StasisStart":
		e.Kind, e.Args = bridge.RouteAsked, f.Args
	case "StasisEnd":
		e.Kind = bridge.RouteEnded
	case "ChannelEnteredBridge", "ChannelLeftBridge":
		e.Kind = bridge.RoomEntered
		if f.Type == "ChannelLeftBridge" {
			e.Kind = bridge.RoomLeft
		}
		if f.Bridge == nil {
			return errors.New("no bridge")
		}
		e.Room, e.Members = f.Bridge.ID, f.Bridge.members()
	case "BridgeMerged":
		if f.Bridge == nil || f.BridgeFrom == nil {
			return errors.New("no bridge")
		}
		e.Kind, e.Room, e.Room2 = bridge.RoomsMerged, f.Bridge.ID, f.BridgeFrom.ID
		e.Members = append(f.Bridge.members(), f.BridgeFrom.members()...)
		return nil
	case "Dial":
		return d.dial(e, f)
	case "BridgeBlindTransfer":
		e.Kind, e.Dialled, e.Result = bridge.BlindTransfer, f.Exten, transferResult(f.Result)
		e.Peer = d.channel(f.Transferee)
	case "BridgeAttendedTransfer":
		return d.attended(e, f)
	case "RecordingStarted", "RecordingFinished":
		return recording(e, f)
	case "DeviceStateChanged":
		if f.DeviceState == nil {
			return errors.New("no device_state")
		}
		e.Kind, e.Name, e.Value = bridge.DeviceState, d.device(f.DeviceState.Name), strings.ToLower(f.DeviceState.State)
		return nil
	case "PeerStatusChange", "ContactStatusChange", "EndpointStateChange":
		if f.Endpoint == nil {
			return errors.New("no endpoint")
		}
		e.Kind, e.Name, e.Value = bridge.Registration, f.Endpoint.Resource, f.Endpoint.State
		if x := d.o.Extensions[e.Name]; x != "" {
			e.Name = x
		}
		return nil
	default:
		e.Kind, e.Name = bridge.UnknownEvent, f.Type
		e.Leg = d.channel(f.Channel)
		return nil
	}
	if e.Leg = d.channel(f.Channel); e.Leg == nil {
		return errors.New("no channel")
	}
	return nil
}

// variableName maps the variables we use to the names of bridge.VariableSet,
// the others to "". Dialplans set inherited variables with underscores.
func variableName(v string) string {
	switch strings.TrimLeft(v, "_") {
	case "CB_DIR":
		return "dir"
	case "CB_DID":
		return "did"
	case "CB_EXT":
		return "ext"
	case "MIXMONITOR_FILENAME":
		return "recording"
	}
	return ""
}

func (d *Decoder) variable(e *bridge.Event, f *wireFrame) error {
	e.Kind, e.Name, e.Value = bridge.VariableSet, variableName(f.Variable), f.Value
	if e.Leg = d.channel(f.Channel); e.Leg == nil {
		e.Kind, e.Name = bridge.Unimportant, f.Type // a global variable
		return nil
	}
	switch e.Name {
	case "dir":
		e.Leg.Dir = f.Value
	case "did":
		e.Leg.DID = f.Value
	case "ext":
		e.Leg.Ext = f.Value
	case "recording":
		// The path is the PBX's own affair; files are known by name.
		e.Value = path.Base(strings.ReplaceAll(f.Value, `\`, "/"))
	}
	return nil
}

func (d *Decoder) dial(e *bridge.Event, f *wireFrame) error {
	if e.Peer = d.channel(f.Peer); e.Peer == nil {
		return errors.New("no peer")
	}
	e.Leg = d.channel(f.Caller) // absent when ARI placed the call
	switch f.DialStatus {
	case "":
		e.Kind, e.Dialled = bridge.Dialling, dialled(f.DialString)
	case "RINGING":
		e.Kind = bridge.DialRinging
	case "PROGRESS", "PROCEEDING":
		e.Kind = bridge.DialProgress
		if f.DialStatus == "PROCEEDING" { // only "100 Trying"
			e.Kind, e.Name = bridge.Unimportant, f.Type
		}
	case "ANSWER":
		e.Kind = bridge.DialAnswered
	default:
		e.Kind = bridge.DialEnded
		switch f.DialStatus {
		case "BUSY":
			e.Result = bridge.DialBusy
		case "CONGESTION":
			e.Result = bridge.DialCongestion
		case "CANCEL", "DONTCALL", "TORTURE":
			e.Result = bridge.DialCancelled
		case "CHANUNAVAIL", "INVALIDARGS":
			e.Result = bridge.DialUnavailable
		default:
			e.Result = bridge.DialNoAnswer
		}
		if to := d.channel(f.Forwarded); to != nil || f.Forward != "" {
			e.Result, e.Dialled = bridge.DialForwarded, dialled(f.Forward)
			if to != nil {
				e.More = []bridge.Channel{*to}
			}
		}
	}
	return nil
}

// dialled takes the number out of a dial string: "79161234567@trunk",
// "PJSIP/101", "Local/101@from-queue/n", "trunk/79161234567".
func dialled(s string) string {
	s, _, _ = strings.Cut(s, "@")
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		s = s[i+1:]
	}
	return strings.TrimPrefix(s, "sip:")
}

func (d *Decoder) attended(e *bridge.Event, f *wireFrame) error {
	e.Kind, e.Result = bridge.AttendedXfer, transferResult(f.Result)
	if e.Leg = d.channel(f.FirstLeg); e.Leg == nil {
		return errors.New("no transferer_first_leg")
	}
	// The order of More is fixed; who is missing is an empty channel.
	e.More = make([]bridge.Channel, 3)
	for i, c := range []*wireChannel{f.SecondLeg, f.Transferee, f.Target} {
		if v := d.channel(c); v != nil {
			e.More[i] = *v
		}
	}
	return nil
}

func transferResult(s string) string {
	if s == "Success" || s == "" {
		return bridge.TransferDone
	}
	return bridge.TransferFailed
}

func recording(e *bridge.Event, f *wireFrame) error {
	if f.Recording == nil {
		return errors.New("no recording")
	}
	e.Kind = bridge.RecordingBegan
	if f.Type == "RecordingFinished" {
		e.Kind = bridge.RecordingDone
	}
	e.Name = f.Recording.Name
	if f.Recording.Format != "" && path.Ext(e.Name) != "."+f.Recording.Format {
		e.Name += "." + f.Recording.Format
	}
	switch kind, id, _ := strings.Cut(f.Recording.TargetURI, ":"); kind {
	case "bridge":
		e.Room = id
	case "channel":
		e.Leg = &bridge.Channel{ID: id}
	}
	return nil
}

// device names a phone by its extension, anything else as the PBX does.
func (d *Decoder) device(name string) string {
	tech, res, ok := strings.Cut(name, "/")
	if !ok || helpers[tech] {
		return name
	}
	c := bridge.Channel{}
	d.classify(&c, tech, res)
	if c.Extension != "" {
		return c.Extension
	}
	return name
}

// parseTime reads Asterisk's times: milliseconds, and an offset without colon
// in the PBX's own zone (reference/ari.md 3), which RFC 3339 does not allow.
func parseTime(s string) (bridge.Time, error) {
	t, err := time.Parse("2006-01-02T15:04:05.000-0700", s)
	if err != nil {
		return bridge.Time{}, fmt.Errorf("%q is not like 2026-11-22T05:01:24.006+0000", s)
	}
	return bridge.At(t), nil
}
