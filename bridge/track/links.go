package track

import "callbridge/bridge"

// Reasons of gaps.
const (
	GapLinkLost  = "link_lost"     // the connection to the PBX was lost
	GapRestarted = "pbx_restarted" // the PBX itself was started anew
)

// links applies what we know of the times in which we saw nothing: the gaps
// of this call, and the channels that were gone when we came back (D-29). Such
// a channel ended at an unknown time; the last event of the call stands for it.
func (r *reducer) links(g *group, links []*bridge.Event) (gaps []bridge.Gap, restarted bool) {
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
				gaps = append(gaps, gap)
			}
			lost = l
			continue
		}
		if l.Snapshot == nil {
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
			restarted = restarted || l.Snapshot.StartedAt.After(c.since.Time)
		}
		gap := len(gaps) - 1
		if gap >= 0 && gaps[gap].To.IsZero() {
			gaps[gap].To = l.At
		}
		if closed {
			if gap < 0 || lost == nil || gaps[gap].From != from(lost) {
				gaps = append(gaps, bridge.Gap{From: last, To: l.At, Reason: GapLinkLost})
				gap = len(gaps) - 1
			}
			if restarted {
				gaps[gap].Reason = GapRestarted
			}
		}
		lost = nil
	}
	return gaps, restarted
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
