package track

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
)

// rank orders events of the same millisecond, so that every set of events has
// one order, and one in which causes stand before effects.
func rank(k bridge.EventKind) int {
	switch k {
	case bridge.ChannelBegan:
		return 0
	case bridge.VariableSet, bridge.ChannelNumber, bridge.DigitPressed:
		return 1
	case bridge.RouteAsked:
		return 2
	case bridge.RouteEnded:
		return 3
	case bridge.Dialling:
		return 4
	case bridge.DialProgress:
		return 5
	case bridge.ChannelRinging, bridge.DialRinging:
		return 6
	case bridge.DialAnswered:
		return 7
	case bridge.ChannelUp:
		return 8
	case bridge.HoldBegan:
		return 10
	case bridge.HoldEnded:
		return 11
	case bridge.BlindTransfer, bridge.AttendedXfer:
		return 12
	case bridge.RoomsMerged, bridge.RoomEntered, bridge.RoomLeft:
		return 13
	case bridge.Hangup:
		return 14
	case bridge.DialEnded:
		return 15
	case bridge.ChannelEnded:
		return 16
	}
	return 20
}

// order is the one order of events: by the PBX's clock, then causes before
// effects, then by id.
func order(a, b *bridge.Event) int {
	if c := a.At.Compare(b.At.Time); c != 0 {
		return c
	}
	if c := cmp.Compare(rank(a.Kind), rank(b.Kind)); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// channel is everything the events of a call tell about one channel.
type channel struct {
	id, group  string
	ext, trunk string
	helper     bool
	incoming   bool
	dir        bridge.Direction // what the operator's dialplan said of it
	since      bridge.Time
	told       bool // since is what the PBX told

	// As the first event showed them; dialplans overwrite them later.
	number, name, exten string

	dialled    bridge.Time // somebody began to dial it
	dialledBy  string      // "" if the PBX itself did
	dialString string
	dialNumber string // its own and the connected number when it was dialled
	dialOther  string
	originated bool // the PBX dialled it for nobody: click-to-call
	progress   bool
	ring       bridge.Time
	answer     bridge.Time // a Dial was answered by it
	up         bool
	upAt       bridge.Time // its side was connected; zero if only seen so later
	began      bool        // its beginning was seen
	dialEnd    bridge.Time
	dialResult string
	hang       bridge.Time // its own side asked for the end
	hangApp    string      // what it was doing then
	softApp    string      // what it was doing when the PBX ended it
	hangCause  int
	end        bridge.Time
	cause      int
	lost       bool        // it was gone when we came back; end is when we last saw the call
	seen       bridge.Time // the last time an event showed it
	unseen     bool        // its end stands in the PBX's call log only
	held       bool
	holds      int
	left       bridge.Time // its phone handed the call over; zero: it did not
	voicemail  bool
}

// facts are what the events of a call tell, in any order.
type facts struct {
	chans      []channel
	dir        bridge.Direction
	did, ext   string
	queue      string
	calling    bool // somebody called somebody: it is a call
	restart    bool // the PBX hung up because it stops
	last       bridge.Time
	positive   bridge.Time // the last time the call got further
	transfers  []*bridge.Event
	recordings []recorded
	rooms      []*bridge.Room // as snapshots showed them
	meetings   []meeting
	steps      []step
}

// recorded is a sound file; channel and since are "" and zero if it is told
// when it is complete.
type recorded struct {
	name, channel string
	since, until  bridge.Time
}

// meeting is who was in a room together.
type meeting struct {
	at      bridge.Time
	members []string
}

func (f *facts) reset() {
	clear(f.chans)
	clear(f.transfers)
	clear(f.rooms)
	clear(f.meetings)
	*f = facts{chans: f.chans[:0], transfers: f.transfers[:0], rooms: f.rooms[:0], recordings: f.recordings[:0],
		meetings: f.meetings[:0], steps: f.steps[:0]}
}

func (f *facts) find(id string) *channel {
	for i := range f.chans {
		if f.chans[i].id == id {
			return &f.chans[i]
		}
	}
	return nil
}

// see notes what an event shows of a channel. Events come in order, so the
// first non-empty value is the earliest.
func (f *facts) see(v *bridge.Channel, at bridge.Time) *channel {
	if v == nil || v.ID == "" {
		return nil
	}
	c := f.find(v.ID)
	if c == nil {
		f.chans = append(f.chans, channel{id: v.ID, since: at, number: v.Number, name: v.CallerNm, exten: v.Exten})
		c = &f.chans[len(f.chans)-1]
	}
	if !c.told && !v.Since.IsZero() {
		// The first word counts: in a pick-up two channels exchange their
		// creation times (recorded: in_pickup).
		c.since, c.told = v.Since, true
	}
	latest(&c.seen, at)
	if c.group == "" {
		c.group = v.Group
	}
	if c.ext == "" {
		c.ext = v.Extension
	}
	if c.trunk == "" {
		c.trunk = v.Trunk
	}
	c.helper = c.helper || v.Helper
	c.incoming = c.incoming || v.Incoming
	c.up = c.up || v.State == "up"
	switch d := bridge.Direction(v.Dir); d {
	case bridge.In, bridge.Out, bridge.Internal:
		c.dir = cmp.Or(c.dir, d)
		f.dir = cmp.Or(f.dir, d)
	}
	if f.did == "" {
		f.did = v.DID
	}
	if f.ext == "" {
		f.ext = v.Ext
	}
	if v.App != "" && !c.helper {
		f.app(c, v)
	}
	return c
}

// app notes queue and voicemail, which only the dialplan application tells.
func (f *facts) app(c *channel, v *bridge.Channel) {
	switch strings.ToLower(v.App) {
	case "queue":
		if f.queue == "" {
			f.queue, _, _ = strings.Cut(v.AppData, ",")
		}
	case "voicemail":
		c.voicemail = true
	}
}

func earliest(t *bridge.Time, at bridge.Time) {
	if t.IsZero() || at.Before(t.Time) {
		*t = at
	}
}

func latest(t *bridge.Time, at bridge.Time) {
	if at.After(t.Time) {
		*t = at
	}
}

// add takes the next event, in order.
func (f *facts) add(e *bridge.Event) {
	leg, peer := f.see(e.Leg, e.At), f.see(e.Peer, e.At)
	if leg != nil && peer != nil {
		leg = f.find(e.Leg.ID) // the slice may have moved
	}
	for i := range e.More {
		f.see(&e.More[i], e.At)
	}
	if len(e.More) > 0 {
		if leg != nil {
			leg = f.find(e.Leg.ID)
		}
		if peer != nil {
			peer = f.find(e.Peer.ID)
		}
	}
	latest(&f.last, e.At)
	f.step(e, leg)
	switch e.Kind {
	case bridge.ChannelBegan:
		if leg != nil {
			leg.began = true
		}
	case bridge.ChannelRinging:
		if leg != nil {
			earliest(&leg.ring, e.At)
			latest(&f.positive, e.At)
		}
	case bridge.ChannelUp:
		if leg != nil {
			leg.up = true
			earliest(&leg.upAt, e.At)
		}
	case bridge.RoomEntered, bridge.RoomsMerged:
		if len(e.Members) > 1 {
			f.meetings = append(f.meetings, meeting{e.At, e.Members})
		}
	case bridge.Dialling, bridge.DialProgress, bridge.DialRinging, bridge.DialAnswered, bridge.DialEnded:
		f.dial(e, leg, peer)
	case bridge.HoldBegan, bridge.HoldEnded:
		if leg != nil {
			leg.held = e.Kind == bridge.HoldBegan
			if leg.held {
				leg.holds++
			}
		}
	case bridge.BlindTransfer, bridge.AttendedXfer:
		if leg == nil || e.Result == bridge.TransferFailed {
			break
		}
		earliest(&leg.left, e.At)
		if len(e.More) > 0 {
			if second := f.find(e.More[0].ID); second != nil {
				earliest(&second.left, e.At)
			}
		}
		f.transfers = append(f.transfers, e)
		latest(&f.positive, e.At)
	case bridge.Hangup:
		switch {
		case leg == nil:
		case e.Soft:
			// Q.850 4 is what a PBX gives that is told to stop.
			f.restart = f.restart || e.Cause == 4
			leg.softApp = e.Leg.App
		case leg.hang.IsZero():
			leg.hang, leg.hangCause, leg.hangApp = e.At, e.Cause, e.Leg.App
		}
	case bridge.ChannelEnded:
		if leg != nil && leg.end.IsZero() {
			leg.end, leg.cause, leg.unseen = e.At, e.Cause, e.Name == bridge.FromCallLog
		}
	case bridge.VariableSet:
		if e.Name == "recording" && leg != nil {
			f.record(recorded{name: e.Value, channel: leg.id, since: e.At})
		}
	case bridge.RecordingDone:
		f.record(recorded{name: e.Name, until: e.At})
	}
}

func (f *facts) record(r recorded) {
	if r.name == "" || slices.ContainsFunc(f.recordings, func(o recorded) bool { return o.name == r.name }) {
		return
	}
	f.recordings = append(f.recordings, r)
}

func (f *facts) dial(e *bridge.Event, leg, peer *channel) {
	if peer == nil {
		return
	}
	if leg != nil && !leg.helper {
		f.calling = true
	}
	if peer.dialled.IsZero() && e.Kind != bridge.DialAnswered { // who picks a call up answers undialled
		peer.dialled, peer.dialString = e.At, e.Dialled
		if e.Kind != bridge.Dialling {
			// The beginning was not seen: it was when the PBX made the channel.
			peer.dialled, peer.dialString = peer.since, clean(e.Peer.Exten)
		}
		peer.dialNumber, peer.dialOther = e.Peer.Number, e.Peer.Other
		if leg != nil {
			peer.dialledBy = leg.id
		} else {
			f.calling = true
			peer.originated = true
		}
	}
	switch e.Kind {
	case bridge.Dialling:
		latest(&f.positive, e.At)
	case bridge.DialProgress:
		peer.progress = true
	case bridge.DialRinging:
		earliest(&peer.ring, e.At)
		latest(&f.positive, e.At)
	case bridge.DialAnswered:
		earliest(&peer.answer, e.At)
		latest(&f.positive, e.At)
	case bridge.DialEnded:
		// A queue tells the end of a loser twice: of one that rang too long as
		// not answered and as cancelled, in the same moment.
		switch {
		case peer.dialEnd.IsZero():
			peer.dialEnd, peer.dialResult = e.At, e.Result
		case e.Result == bridge.DialNoAnswer && peer.dialResult == bridge.DialCancelled && e.At.Sub(peer.dialEnd) < 100*time.Millisecond:
			peer.dialResult = e.Result
		}
	}
}

// over is when this leg's part ended; zero while it lives.
func (c *channel) over() bridge.Time {
	if c.answer.IsZero() && !c.dialEnd.IsZero() && (c.end.IsZero() || c.dialEnd.Before(c.end.Time)) {
		return c.dialEnd
	}
	return c.end
}

// older orders channels: by creation, the one that came in first, then by the
// number at the end of the id, which counts up.
func older(a, b *channel) int {
	if c := a.since.Compare(b.since.Time); c != 0 {
		return c
	}
	if a.incoming != b.incoming {
		if a.incoming {
			return -1
		}
		return 1
	}
	return natural(a.id, b.id)
}

// natural compares ids so that x.9 stands before x.10.
func natural(a, b string) int {
	i, j := strings.LastIndexByte(a, '.'), strings.LastIndexByte(b, '.')
	if c := strings.Compare(a[:i+1], b[:j+1]); c != 0 {
		return c
	}
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}
