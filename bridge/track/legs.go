package track

import (
	"slices"

	"callbridge/bridge"
)

// fillLegs fills legs and rang.
func (r *reducer) fillLegs(call *bridge.Call, root *channel, endedAt bridge.Time) {
	if call.Direction == bridge.Out && root.ext != "" && root.dialled.IsZero() && !call.AnsweredAt.IsZero() {
		// The phone that called: its part begins when the client answers.
		l := bridge.Leg{Extension: root.ext, AnswerAt: call.AnsweredAt, EndAt: root.end, Held: root.held && root.end.IsZero(), Holds: root.holds}
		if !l.EndAt.IsZero() {
			l.Result, l.TalkMS, l.Cause = bridge.LegAnswered, span(l.AnswerAt, l.EndAt), root.cause
		}
		call.Legs = append(call.Legs, l)
	}
	var rang []*channel
	for _, c := range r.legs {
		if c.ext == "" {
			continue
		}
		l := bridge.Leg{Extension: c.ext, DialledAt: c.dialled, RingAt: c.ring, AnswerAt: c.answer, EndAt: c.over(), Cause: c.cause, Holds: c.holds}
		if !c.ring.IsZero() {
			rang = append(rang, c)
		}
		if l.EndAt.IsZero() {
			l.Held = c.held && !c.answer.IsZero()
		} else {
			l.Result = r.result(c)
			if !l.AnswerAt.IsZero() {
				from := l.AnswerAt
				if c == root { // click-to-call: the phone waited for the client
					latest(&from, call.AnsweredAt)
				}
				to := l.EndAt
				if !c.left.IsZero() && c.left.Before(to.Time) {
					to = c.left // from then on the other talked
				}
				if (c != root || !call.AnsweredAt.IsZero()) && !from.After(to.Time) {
					l.TalkMS = span(from, to)
				}
			}
		}
		call.Legs = append(call.Legs, l)
	}
	slices.SortStableFunc(rang, func(a, b *channel) int {
		if c := a.ring.Compare(b.ring.Time); c != 0 {
			return c
		}
		return older(a, b)
	})
	for _, c := range rang {
		call.Rang = add(call.Rang, c.ext)
	}
}

func add(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// fillAnswered fills answered_by: who talked, in order.
func (r *reducer) fillAnswered(call *bridge.Call, root *channel) {
	if call.Direction == bridge.Out && root.trunk == "" {
		call.AnsweredBy = add(call.AnsweredBy, call.Agent)
	}
	var talked []talk
	for _, l := range r.legs {
		if l == root || l.ext == "" || l.answer.IsZero() {
			continue
		}
		at := l.answer
		if at.Before(call.AnsweredAt.Time) {
			// He talked to a colleague before; a transfer brought the client.
			at = bridge.Time{}
			for _, e := range r.f.transfers {
				if e.Kind == bridge.AttendedXfer && r.target(e) == l {
					at = e.At
				}
			}
		}
		if !at.IsZero() {
			talked = append(talked, talk{at, l.ext})
		}
	}
	slices.SortStableFunc(talked, func(a, b talk) int { return a.at.Compare(b.at.Time) })
	for _, l := range talked {
		call.AnsweredBy = add(call.AnsweredBy, l.ext)
	}
}

type talk struct {
	at  bridge.Time
	ext string
}

// fillTransfers tells who handed the call to whom, and whether that one took it.
func (r *reducer) fillTransfers(call *bridge.Call) {
	for i, e := range r.f.transfers {
		t := bridge.Transfer{Type: "blind", From: e.Leg.Extension, To: e.Dialled, At: e.At}
		if e.Kind == bridge.BlindTransfer {
			for _, l := range r.legs {
				after := !l.answer.IsZero() && !l.answer.Before(e.At.Time)
				next := i+1 < len(r.f.transfers) && l.answer.After(r.f.transfers[i+1].At.Time)
				t.Answered = t.Answered || after && !next
			}
		} else {
			t.Type = "attended"
			if to := r.target(e); to != nil {
				t.To = to.ext
				if t.To == "" {
					t.To = clean(to.dialString)
				}
				t.Answered = !to.answer.IsZero() || to.incoming
			}
		}
		call.Transfers = append(call.Transfers, t)
	}
}

// target is whom an attended transfer connects the client to. The PBX names
// him only if he had answered; else it is the leg called last by then.
func (r *reducer) target(e *bridge.Event) *channel {
	if len(e.More) == 3 {
		for _, i := range []int{2, 1} { // target, else the other side if the client was called second
			if c := r.f.find(e.More[i].ID); c != nil && !c.helper && c.ext != "" && c.ext != e.Leg.Extension {
				return c
			}
		}
		if c := r.f.find(e.More[2].ID); c != nil && !c.helper {
			return c
		}
	}
	for _, l := range slices.Backward(r.legs) {
		over := l.over()
		if !l.dialled.IsZero() && !l.dialled.After(e.At.Time) && l.ext != e.Leg.Extension && (over.IsZero() || over.After(e.At.Time)) {
			return l
		}
	}
	return nil
}

// fillRecordings names the files of an answered call: as the PBX told, else
// by the call's id, which is how the installation guide has them named.
func (r *reducer) fillRecordings(call *bridge.Call, root *channel) {
	list := r.f.recordings
	for i, n := range list {
		until := n.until
		for _, next := range list[i+1:] {
			if next.channel == n.channel && until.IsZero() {
				until = next.since // a channel has one recording at a time
			}
		}
		call.Recordings = append(call.Recordings, bridge.Recording{Name: n.name, Extension: r.talker(call, root, n.channel, n.since, until)})
	}
	if len(call.Recordings) > 0 || call.Direction == bridge.Internal {
		return
	}
	for i := range r.f.chans {
		if r.f.chans[i].group != "" {
			call.Recordings = append(call.Recordings, bridge.Recording{Name: call.PBXCallID + ".wav", Extension: r.talker(call, root, "", bridge.Time{}, bridge.Time{})})
			return
		}
	}
}

// talker is the phone whose talk a recording holds, "" if several talked in it.
// A zero time is no bound.
func (r *reducer) talker(call *bridge.Call, root *channel, recorded string, since, until bridge.Time) string {
	if c := r.f.find(recorded); c != nil && c.ext != "" {
		return c.ext
	}
	if call.Direction == bridge.Out && root.ext != "" && len(call.AnsweredBy) == 1 {
		return call.AnsweredBy[0]
	}
	var who []string
	for _, l := range r.legs {
		from, to := l.answer, l.over()
		if l.ext == "" || from.IsZero() || !slices.Contains(call.AnsweredBy, l.ext) ||
			!until.IsZero() && !from.Before(until.Time) || !since.IsZero() && !to.IsZero() && !to.After(since.Time) {
			continue
		}
		who = add(who, l.ext)
	}
	if len(who) != 1 {
		return ""
	}
	return who[0]
}
