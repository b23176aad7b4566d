package track

import (
	"slices"
	"time"

	"callbridge/bridge"
)

// Reasons of gaps.
const (
	GapLinkLost  = "link_lost"     // the connection to the PBX was lost
	GapRestarted = "pbx_restarted" // the PBX itself was started anew
	GapRepaired  = "call_log"      // not seen either, but the PBX's call log tells the end
	GapNotTold   = "not_told"      // the link was there, but the end of the call never came
)

// lived are the links' events from the time of this call. A loss just before
// it belongs to the return that comes after it began.
func lived(g *group, links []*bridge.Event) []*bridge.Event {
	i, _ := slices.BinarySearchFunc(links, g.since, func(l *bridge.Event, t bridge.Time) int { return l.At.Compare(t.Time) })
	if i > 0 && i < len(links) && links[i-1].Kind == bridge.LinkLost {
		i--
	}
	return links[i:]
}

// snapshot notes what the PBX had of this call when we came back.
func (f *facts) snapshot(g *group, l *bridge.Event) {
	if l.Snapshot == nil {
		return
	}
	for i := range l.Snapshot.Channels {
		v := &l.Snapshot.Channels[i]
		if !slices.Contains(g.chans, v.ID) {
			continue
		}
		c := f.see(v, l.At)
		switch {
		case c.helper:
		case v.State == "up":
			f.calling = true
		case v.State == "ringing" && !c.incoming:
			if c.ring.IsZero() {
				c.ring = l.At
			}
		}
	}
	for i := range l.Snapshot.Rooms {
		r := &l.Snapshot.Rooms[i]
		if len(r.Members) < 2 || !slices.Contains(g.chans, r.Members[0]) {
			continue
		}
		room := &bridge.Room{ID: r.ID, Since: r.Since}
		for _, id := range r.Members {
			if c := f.find(id); c != nil && c.up { // up by now, not later
				room.Members = append(room.Members, id)
			}
		}
		f.rooms = append(f.rooms, room)
	}
}

// together takes it for an answer that a leg was up in a room with another
// when we came back: it happened unseen, when the room was made.
func (f *facts) together(root *channel) {
	for _, r := range f.rooms {
		for _, id := range r.Members {
			c := f.find(id)
			if c == nil || c == root || c.helper || !c.answer.IsZero() || c.incoming && c.dialled.IsZero() {
				continue
			}
			c.answer = r.Since
			latest(&c.answer, c.since)
		}
	}
}

// links applies what we know of the times in which we saw nothing: the gaps
// of this call, and the channels that were gone when we came back (D-29). Such
// a channel ended at an unknown time; the last event of the call stands for it.
func (r *reducer) links(links []*bridge.Event) (gaps []bridge.Gap, restarted bool) {
	gaps = []bridge.Gap{}
	f := &r.f
	var lost *bridge.Event // the last loss without a return
	for _, l := range links {
		if l.Kind == bridge.LinkLost {
			if r.alive(l) {
				gap := bridge.Gap{From: from(l), To: l.To, Reason: l.Value}
				if gap.Reason == "" {
					gap.Reason = GapLinkLost
				}
				if gap.Reason == GapLinkLost && r.logged(l) {
					gap.Reason = GapRepaired
				}
				gaps = append(gaps, gap)
			}
			lost = l
			continue
		}
		if l.Snapshot == nil || l.Snapshot.Partial {
			continue
		}
		since := l.At // what showed itself later than this lives
		if lost != nil {
			since = from(lost)
		}
		closed := false
		last := r.lastSeen(since)
		for i := range f.chans {
			c := &f.chans[i]
			if !c.end.IsZero() || c.seen.After(since.Time) || c.since.After(since.Time) || has(l.Snapshot, c.id) {
				continue
			}
			c.end, c.lost, closed = last, true, true
			if c.cause == 0 {
				c.cause = c.hangCause // it had said so itself
			}
			restarted = restarted || l.Snapshot.StartedAt.After(c.since.Time)
		}
		gap := len(gaps) - 1
		if gap >= 0 && gaps[gap].To.IsZero() {
			gaps[gap].To = l.At
		}
		if closed {
			if gap < 0 || lost == nil || gaps[gap].From != from(lost) {
				why := GapLinkLost
				if lost == nil {
					why = GapNotTold
				}
				gaps = append(gaps, bridge.Gap{From: last, To: l.At, Reason: why})
				gap = len(gaps) - 1
			}
			if restarted {
				gaps[gap].Reason = GapRestarted
			}
		}
		lost = nil
	}
	return r.logGap(gaps), restarted
}

// logGap says that the call log tells of the call also where its times, cut to
// seconds, lie in no gap.
func (r *reducer) logGap(gaps []bridge.Gap) []bridge.Gap {
	var from, to bridge.Time
	for i := range r.f.chans {
		if c := &r.f.chans[i]; c.unseen && !c.helper {
			earliest(&from, c.since)
			latest(&to, c.end)
		}
	}
	if to.IsZero() || slices.ContainsFunc(gaps, func(g bridge.Gap) bool { return g.Reason == GapRepaired || g.Reason == GapRestarted }) {
		return gaps
	}
	return append(gaps, bridge.Gap{From: from, To: to, Reason: GapRepaired})
}

func from(l *bridge.Event) bridge.Time {
	if l.From.IsZero() {
		return l.At
	}
	return l.From
}

// alive says whether the call lived in the gap.
func (r *reducer) alive(l *bridge.Event) bool {
	begin, living := bridge.Time{}, false
	var end bridge.Time
	for i := range r.f.chans {
		c := &r.f.chans[i]
		if c.helper {
			continue
		}
		if begin.IsZero() || c.since.Before(begin.Time) {
			begin = c.since
		}
		living = living || c.end.IsZero()
		latest(&end, c.end)
	}
	if !l.To.IsZero() && begin.After(l.To.Time) || l.To.IsZero() && begin.After(l.At.Time) {
		return false
	}
	return living || end.After(from(l).Time)
}

// logged says whether the call log tells how the call ended in the gap.
func (r *reducer) logged(l *bridge.Event) bool {
	for i := range r.f.chans {
		c := &r.f.chans[i]
		if c.unseen && !c.helper && !c.end.Before(from(l).Time) && (l.To.IsZero() || !c.end.After(l.To.Add(time.Second))) {
			return true
		}
	}
	return false
}

// lastSeen is the call's last event until then.
func (r *reducer) lastSeen(until bridge.Time) bridge.Time {
	var t bridge.Time
	for i := range r.f.chans {
		if s := r.f.chans[i].seen; !s.After(until.Time) {
			latest(&t, s)
		}
	}
	return t
}

func has(s *bridge.Snapshot, id string) bool {
	for i := range s.Channels {
		if s.Channels[i].ID == id {
			return true
		}
	}
	return false
}
