package track

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"callbridge/bridge"
)

// state is what is known of one PBX.
type state struct {
	byChannel map[string]*group
	groups    map[*group]struct{}
	pairs     map[string][]pairEnd // ends of helpers by Channel.Pair
	rooms     map[string]string    // a channel that was in the room
	waiting   map[string][]*bridge.Event
	links     []*bridge.Event // LinkLost and LinkUp, in order
	clock     bridge.Time     // the PBX's latest time seen
	ended     []*group        // to be forgotten, about in order of their end
	born      []*group        // groups in order of birth, to find those of no call
}

// linkMemory bounds how long losses of the link are remembered for the calls
// that live then.
const linkMemory = 48 * time.Hour

type pairEnd struct {
	id    string
	since bridge.Time
}

// group is the channels of one call, or of what may become one.
type group struct {
	pbx    string
	chans  []string
	pairs  []string
	rooms  []string
	since  bridge.Time     // when its first channel was made
	met    bridge.Time     // when a snapshot showed it last
	events []*bridge.Event // in order
	fresh  []string        // ids of events not told in a Change yet
	dead   bool            // merged into another, or forgotten
	fixed  string          // the id it had before a restart,
	began  bridge.Time     // and when that call began

	call   bridge.Call
	isCall bool

	numbers []rawNumber

	idRoot  string      // the channel id was made of,
	idSince bridge.Time // and its creation
	id      string
}

type rawNumber struct {
	raw    string
	number bridge.Number
}

func (t *Tracker) state(pbx string) *state {
	s := t.pbx[pbx]
	if s == nil {
		s = &state{byChannel: map[string]*group{}, groups: map[*group]struct{}{}, pairs: map[string][]pairEnd{},
			rooms: map[string]string{}, waiting: map[string][]*bridge.Event{}}
		t.pbx[pbx] = s
	}
	return s
}

func (s *state) touch(at bridge.Time) { latest(&s.clock, at) }

// addLink puts a LinkLost or LinkUp into its place; known says that it was
// there. With found, the channels of its snapshot become groups (merged: those
// that went into others), so that calls whose beginning nobody saw are known.
func (s *state) addLink(e *bridge.Event, found bool) (merged map[*group][]*group, known bool) {
	i, known := slices.BinarySearchFunc(s.links, e, order)
	if known {
		return nil, true
	}
	keep := *e
	s.links = slices.Insert(s.links, i, &keep)
	for len(s.links) > 0 && s.clock.Sub(s.links[0].At) > linkMemory {
		s.links = s.links[1:]
	}
	if !found || e.Snapshot == nil {
		return nil, false
	}
	merged = map[*group][]*group{}
	for i := range e.Snapshot.Channels {
		c := &e.Snapshot.Channels[i]
		j := joiner{s: s, pbx: e.PBX}
		j.channel(c, e.At)
		if j.into != nil {
			latest(&j.into.met, e.At)
		}
		j.keep(merged)
	}
	for _, r := range e.Snapshot.Rooms {
		j := joiner{s: s, pbx: e.PBX}
		for _, id := range r.Members {
			j.join(id)
		}
		j.keep(merged)
	}
	return merged, false
}

// attach joins what a snapshot shows of known groups, without making new ones:
// its other calls are over since.
func (s *state) attach(e *bridge.Event) {
	for i := range e.Snapshot.Channels {
		c := &e.Snapshot.Channels[i]
		if s.byChannel[c.ID] != nil || s.byChannel[c.Group] != nil {
			j := joiner{s: s, pbx: e.PBX}
			j.channel(c, e.At)
		}
	}
	for _, r := range e.Snapshot.Rooms {
		if !slices.ContainsFunc(r.Members, func(id string) bool { return s.byChannel[id] != nil }) {
			continue
		}
		j := joiner{s: s, pbx: e.PBX}
		for _, id := range r.Members {
			j.join(id)
		}
	}
}

// joiner makes one group of all channels it is shown.
type joiner struct {
	s      *state
	pbx    string
	into   *group
	merged []*group // those that went into it
}

func (j *joiner) join(id string) {
	if id == "" {
		return
	}
	g := j.s.group(j.pbx, id)
	switch {
	case j.into == nil:
		j.into = g
	case j.into != g:
		j.into, g = j.s.merge(j.into, g)
		j.merged = append(j.merged, g)
	}
}

func (j *joiner) channel(c *bridge.Channel, at bridge.Time) {
	if c == nil || c.ID == "" {
		return
	}
	j.join(c.ID)
	j.join(c.Group)
	if c.Pair != "" {
		j.join(j.s.pair(j.into, c))
	}
	if !c.Since.IsZero() {
		at = c.Since
	}
	earliest(&j.into.since, at)
}

// keep adds what was merged to a list of merges that may have been merged
// themselves.
func (j *joiner) keep(merged map[*group][]*group) {
	for _, m := range j.merged {
		merged[j.into] = append(append(merged[j.into], m), merged[m]...)
		delete(merged, m)
	}
}

// insert puts an event into its group, joining the groups it shows to be one.
// It returns the group and those that went into it, and nil if the event was
// known or has no group (yet).
func (t *Tracker) insert(e *bridge.Event) (*group, []*group) {
	s := t.state(e.PBX)
	if link(e) {
		s.addLink(e, true)
		return nil, nil
	}
	if !e.Kind.Stored() || e.Kind == bridge.UnknownEvent {
		return nil, nil // a call must not depend on what is not kept or not understood
	}
	j := joiner{s: s, pbx: e.PBX}
	j.channel(e.Leg, e.At)
	j.channel(e.Peer, e.At)
	for i := range e.More {
		j.channel(&e.More[i], e.At)
	}
	if e.Kind == bridge.RoomEntered || e.Kind == bridge.RoomsMerged {
		for _, id := range e.Members {
			j.join(id)
		}
	}
	if j.into == nil && e.Room != "" {
		if id := s.rooms[e.Room]; id != "" {
			j.join(id)
		} else if e.Kind == bridge.RecordingDone && len(s.waiting) < 1000 {
			keep := *e
			s.waiting[e.Room] = append(s.waiting[e.Room], &keep)
		}
	}
	into := j.into
	if into == nil || !into.put(e) {
		return nil, nil
	}
	if e.Room != "" && e.Leg != nil && e.Kind == bridge.RoomEntered && s.rooms[e.Room] == "" {
		s.rooms[e.Room] = e.Leg.ID
		into.rooms = append(into.rooms, e.Room)
		for _, w := range s.waiting[e.Room] {
			into.put(w)
		}
		delete(s.waiting, e.Room)
	}
	return into, j.merged
}

// group returns the group of a channel, a new one if there is none.
func (s *state) group(pbx, id string) *group {
	g := s.byChannel[id]
	if g == nil {
		g = &group{pbx: pbx, chans: []string{id}}
		s.byChannel[id] = g
		s.groups[g] = struct{}{}
		s.born = append(s.born, g)
	}
	return g
}

// pair returns the other end of a helper. Its name may come again after the
// PBX restarted, so both must have been made at about the same time.
func (s *state) pair(g *group, c *bridge.Channel) (other string) {
	known := false
	for _, p := range s.pairs[c.Pair] {
		if p.id == c.ID {
			known = true
		} else if d := p.since.Sub(c.Since); d < 5*time.Second && d > -5*time.Second {
			other = p.id
		}
	}
	if !known {
		s.pairs[c.Pair] = append(s.pairs[c.Pair], pairEnd{c.ID, c.Since})
		g.pairs = append(g.pairs, c.Pair)
	}
	return other
}

// merge puts the smaller group into the larger and returns both.
func (s *state) merge(a, b *group) (into, gone *group) {
	if len(b.events) > len(a.events) {
		a, b = b, a
	}
	for _, id := range b.chans {
		s.byChannel[id] = a
	}
	a.chans = append(a.chans, b.chans...)
	a.pairs = append(a.pairs, b.pairs...)
	a.rooms = append(a.rooms, b.rooms...)
	a.numbers = append(a.numbers, b.numbers...)
	if !b.since.IsZero() {
		earliest(&a.since, b.since)
	}
	latest(&a.met, b.met)
	for _, e := range b.events {
		if i, known := slices.BinarySearchFunc(a.events, e, order); !known {
			a.events = slices.Insert(a.events, i, e)
		}
	}
	a.fresh = append(a.fresh, b.fresh...)
	if a.fixed == "" || b.fixed != "" && beganBefore(b, a) {
		a.fixed, a.began = b.fixed, b.began // the older call stays
	}
	b.dead, b.events, b.fresh = true, nil, nil
	delete(s.groups, b)
	return a, b
}

// beganBefore says whether the call that a was before a restart is older than b's.
func beganBefore(a, b *group) bool {
	if c := a.began.Compare(b.began.Time); c != 0 {
		return c < 0
	}
	return a.fixed < b.fixed
}

// put files an event; false if it was there.
func (g *group) put(e *bridge.Event) bool {
	n := len(g.events)
	i := n
	// Events nearly always come in order.
	if n > 0 && order(g.events[n-1], e) >= 0 {
		var known bool
		if i, known = slices.BinarySearchFunc(g.events, e, order); known {
			return false
		}
	}
	keep := *e
	keep.Raw = nil
	g.events = slices.Insert(g.events, i, &keep)
	g.fresh = append(g.fresh, keep.ID)
	return true
}

// callID is a ULID made of facts alone: the creation of the call's first
// channel and a digest of its id. The same events give the same id anywhere,
// and so does the PBX's call log, which cuts times to seconds: a call that is
// told by it once more, because the store was put back to an older state, is
// the same call to everybody.
func (g *group) callID(root *channel) string {
	if g.fixed != "" {
		return g.fixed
	}
	if g.idRoot != root.id || g.idSince != root.since {
		g.idRoot, g.idSince = root.id, root.since
		var id ulid.ULID
		// A time before 1970 or after 10889 has no ULID; the digest alone is unique.
		_ = id.SetTime(uint64(max(root.since.Unix(), 0)) * 1000)
		sum := sha256.Sum256([]byte(g.pbx + "\x00" + root.id))
		copy(id[6:], sum[:])
		g.id = id.String()
	}
	return g.id
}

// forget drops ended calls after a while, and events that never became a call.
func (t *Tracker) forget(s *state) {
	if !t.forgetful {
		return
	}
	for len(s.ended) > 0 {
		g := s.ended[0]
		if !g.dead && g.isCall && g.call.Ended() {
			if s.clock.Sub(g.lastAt()) < t.r.o.Keep {
				break
			}
			s.drop(g)
		}
		s.ended = s.ended[1:]
	}
	for len(s.born) > 0 {
		g := s.born[0]
		if !g.dead && !g.isCall {
			if at := g.lastAt(); !at.IsZero() && s.clock.Sub(at) < max(ghosts, t.r.o.Keep) {
				break
			}
			s.drop(g)
		}
		s.born = s.born[1:]
	}
}

func (g *group) lastAt() bridge.Time {
	at := g.met
	if n := len(g.events); n > 0 {
		latest(&at, g.events[n-1].At)
	}
	return at
}

func (s *state) drop(g *group) {
	g.dead, g.events, g.fresh = true, nil, nil // g may stand in a queue for some time
	delete(s.groups, g)
	for _, id := range g.chans {
		delete(s.byChannel, id)
	}
	for _, r := range g.rooms {
		delete(s.rooms, r)
	}
	for _, p := range g.pairs {
		ends := slices.DeleteFunc(s.pairs[p], func(e pairEnd) bool { return slices.Contains(g.chans, e.id) })
		if len(ends) == 0 {
			delete(s.pairs, p)
		} else {
			s.pairs[p] = ends
		}
	}
}
