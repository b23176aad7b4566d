package track

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
)

// reducer makes a call of facts. It is used again for the next call, so that
// reducing costs little memory.
type reducer struct {
	o Options
	f facts
	// legs are pointers into f.chans: the phones and outside lines that were
	// called or that answered, in order.
	legs []*channel
}

// reduce makes the call out of its events, in order, and of the PBX's own
// (links), in order. ok is false if the events are no call (yet).
func (r *reducer) reduce(g *group, links []*bridge.Event) (call bridge.Call, ok bool) {
	f := &r.f
	f.reset()
	links = lived(g, links)
	up := 0 // links before it are applied
	for _, e := range g.events {
		for ; up < len(links) && !links[up].At.After(e.At.Time); up++ {
			f.snapshot(g, links[up])
		}
		f.add(e)
	}
	for ; up < len(links); up++ {
		f.snapshot(g, links[up])
	}
	root := r.root()
	if root == nil {
		return call, false
	}
	if !f.isCall() {
		return call, false // a leg nobody dialled yet: it will turn out to be part of a call
	}
	f.together(root)
	f.met(root)
	gaps, restarted := r.links(links)
	r.called(root)

	call = bridge.Call{
		ID: g.callID(root), PBX: g.pbx, StartedAt: root.since,
		Rang: []string{}, AnsweredBy: []string{}, Transfers: []bridge.Transfer{}, Legs: []bridge.Leg{},
		Recordings: []bridge.Recording{}, Gaps: gaps, Queue: f.queue, PBXCallID: root.group,
	}
	if call.PBXCallID == "" {
		call.PBXCallID = root.id
	}
	if strings.HasPrefix(root.id, ClickPrefix) {
		call.ClickID = requestOf(root.id)
	}
	call.Direction = r.direction(root)
	r.parties(&call, g, root)
	answer := r.answer(&call, root)
	if answer != nil {
		call.AnsweredAt = answer.answer
	}
	ended, endedAt, lost := r.end(root)
	r.fillLegs(&call, root, endedAt)
	r.fillTransfers(&call)
	if answer != nil {
		r.fillAnswered(&call, root)
		r.fillRecordings(&call, root)
		call.TalkedFirst, call.TalkedLast, call.TalkedLongest = call.FirstTalked(), call.LastTalked(), call.LongestTalked()
		call.WaitMS = span(call.StartedAt, call.AnsweredAt)
	}
	call.Path = f.path(&call, root)
	if !ended {
		return call, true
	}
	call.EndedAt = endedAt
	switch {
	case answer != nil:
		call.Outcome = bridge.Answered
		call.Cause = root.cause
		call.TalkMS = span(call.AnsweredAt, call.EndedAt)
	case call.Direction == bridge.Out:
		call.Outcome = bridge.Failed
		call.Reason, call.Cause = r.failed(root)
	default:
		call.Outcome = bridge.Missed
		call.Reason, call.Cause = r.missed(&call, root)
	}
	if answer == nil {
		call.WaitMS = span(call.StartedAt, call.EndedAt)
	}
	if lost {
		call.Cause = 0
		if answer == nil {
			call.Reason = bridge.ReasonUnknown
			if restarted {
				call.Reason = bridge.PBXRestarted
			}
		}
	} else if root.unseen && root.hang.IsZero() {
		r.unseen(&call, root, answer != nil)
	} else {
		call.HungUpBy = r.hungUpBy(&call, root, answer != nil)
		if f.restart && answer == nil && call.HungUpBy == bridge.ByPBX {
			call.Reason = bridge.PBXRestarted
		}
	}
	call.Unknown = r.unknown(&call, root, lost)
	return call, true
}

// requestOf takes the request id out of a channel id made for a click. Ids with
// unusual signs became a digest there and stay what they are.
func requestOf(id string) string {
	req := strings.TrimPrefix(id, ClickPrefix)
	if len(req) == 33 && req[0] == 'x' && strings.Trim(req[1:], "0123456789abcdef") == "" {
		return id
	}
	return req
}

func span(from, to bridge.Time) *int64 {
	ms := to.Sub(from).Milliseconds()
	return &ms
}

// isCall says whether somebody called somebody. What is a call stays one,
// whatever is learned later.
func (f *facts) isCall() bool {
	if f.calling {
		return true
	}
	for i := range f.chans {
		if c := &f.chans[i]; !c.helper && (c.incoming || strings.HasPrefix(c.id, ClickPrefix)) {
			return true
		}
	}
	return false
}

// root is the channel the call began with: a client's before a colleague's,
// then the oldest. A consultation that was merged in is thus never the root,
// and neither is a call among colleagues that a client was connected to.
func (r *reducer) root() *channel {
	f := &r.f
	var best *channel
	class := func(c *channel) int {
		switch {
		case c.trunk != "" && c.incoming:
			return 0
		case c.ext != "" && strings.HasPrefix(c.id, ClickPrefix):
			return 1
		case c.ext != "":
			for i := range f.chans {
				if f.chans[i].trunk != "" && f.chans[i].dialledBy == c.id {
					return 1
				}
			}
		}
		return 2
	}
	bestClass := 0
	for pass := range 2 {
		for i := range f.chans {
			c := &f.chans[i]
			if c.helper || pass == 0 && !c.dialled.IsZero() && !c.originated && !c.incoming {
				continue
			}
			n := class(c)
			if best == nil || n < bestClass || n == bestClass && older(c, best) < 0 {
				best, bestClass = c, n
			}
		}
		if best != nil {
			break // else all legs were dialled by helpers: take the oldest
		}
	}
	return best
}

// called collects the legs that were called or answered, in order.
func (r *reducer) called(root *channel) {
	r.legs = r.legs[:0]
	for i := range r.f.chans {
		c := &r.f.chans[i]
		if c.helper || c.ext == "" && c.trunk == "" {
			continue
		}
		if c.dialled.IsZero() && c.answer.IsZero() && (c.ring.IsZero() || c.incoming) {
			continue
		}
		r.legs = append(r.legs, c)
	}
	slices.SortFunc(r.legs, func(a, b *channel) int {
		x, y := a.begun(), b.begun()
		if c := x.Compare(y.Time); c != 0 {
			return c
		}
		return older(a, b)
	})
}

func (c *channel) begun() bridge.Time {
	if !c.dialled.IsZero() {
		return c.dialled
	}
	if !c.answer.IsZero() {
		return c.answer
	}
	return c.ring
}

// direction is what the operator's dialplan says, else what the first channel
// and the first leg it called are (reference/ari.md 5.2). Nothing later
// changes it (D-21, D-22).
func (r *reducer) direction(root *channel) bridge.Direction {
	// A consultation that was seen before the call it belongs to says nothing of it.
	if d := cmp.Or(root.dir, r.f.dir); d != "" {
		return d
	}
	if root.trunk != "" {
		if root.originated {
			return bridge.Out
		}
		return bridge.In
	}
	for _, l := range r.legs {
		if l == root {
			continue
		}
		if l.trunk != "" {
			return bridge.Out
		}
		return bridge.Internal
	}
	// Nobody was called yet: the number tells.
	n := root.exten
	if !root.incoming {
		n = root.dialOther
		if n == "" {
			n = root.dialNumber
		}
		if n == "" || n == root.ext {
			return bridge.Out
		}
	}
	if digits(n) >= 6 {
		return bridge.Out
	}
	return bridge.Internal
}

func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

// clean drops dialplan extensions that are no numbers (s, h, i, t).
func clean(exten string) string {
	if digits(exten) == 0 {
		return ""
	}
	return exten
}

// parties fills client, line and agent.
func (r *reducer) parties(call *bridge.Call, g *group, root *channel) {
	f := &r.f
	line := f.did
	switch call.Direction {
	case bridge.In:
		call.ClientRaw, call.ClientName = root.number, root.name
		if line == "" {
			line = clean(root.exten)
		}
	case bridge.Out:
		call.Agent = r.agent(root)
		var trunk *channel
		for _, l := range r.legs {
			if l.trunk != "" {
				trunk = l
				break
			}
		}
		raw := ""
		if root.incoming {
			raw = clean(root.exten)
		}
		switch {
		case trunk == nil:
			if raw == "" && root.dialNumber != root.ext {
				raw = root.dialNumber // click-to-call: the phone shows the client's number
			}
		default:
			if (raw == "" || r.number(g, raw) == "") && clean(trunk.dialString) != "" {
				raw = trunk.dialString
			}
			if raw == "" && digits(root.exten) >= 6 && root.exten == trunk.number {
				raw = root.exten // met in the middle: where it is and who is there agree
			}
			if line == "" {
				// One of the two is the client, the other what he sees.
				line = trunk.dialOther
				if line == raw || line == call.Agent {
					line = trunk.dialNumber
				}
				if line == raw || line == call.Agent || raw == "" { // nobody told which of the two it is
					line = ""
				}
			}
		}
		call.ClientRaw = raw
		if line == "" && r.o.OwnNumber != nil {
			line = r.o.OwnNumber(g.pbx)
		}
	case bridge.Internal:
		call.Agent = r.agent(root)
		return
	}
	call.Client = r.number(g, call.ClientRaw)
	call.Line = line
	if n := r.number(g, line); n != "" {
		call.Line = string(n)
	}
}

func (r *reducer) agent(root *channel) string {
	if root.ext != "" {
		return root.ext
	}
	if r.f.ext != "" {
		return r.f.ext
	}
	for _, l := range r.legs {
		if l.ext != "" {
			return l.ext
		}
	}
	return ""
}

// number asks the normaliser, and remembers the few numbers of a call.
func (r *reducer) number(g *group, raw string) bridge.Number {
	if raw == "" {
		return ""
	}
	for i := range g.numbers {
		if g.numbers[i].raw == raw {
			return g.numbers[i].number
		}
	}
	n := r.o.Number(g.pbx, raw)
	g.numbers = append(g.numbers, rawNumber{raw, n})
	return n
}

// answer is the leg whose answer made the two sides talk: a phone's for a
// client who calls, the client's when we call (reference/ari.md 5.5). A
// channel that is only up is no answer: queues and menus do that.
func (r *reducer) answer(call *bridge.Call, root *channel) *channel {
	var best *channel
	client := false // only the client's leg counts
	if call.Direction == bridge.Out && root.trunk == "" {
		for _, l := range r.legs {
			client = client || l.trunk != ""
		}
	}
	for _, l := range r.legs {
		if l == root || l.answer.IsZero() || client && l.trunk == "" {
			continue
		}
		if l.answer.Before(root.since.Time) {
			continue // colleagues talked already when the client came
		}
		if best == nil || l.answer.Before(best.answer.Time) {
			best = l
		}
	}
	return best
}

// end says whether all channels are gone, and when that was; lost, that nobody
// saw how the first one went. The helpers' ends do not matter.
func (r *reducer) end(root *channel) (ended bool, at bridge.Time, lost bool) {
	for i := range r.f.chans {
		c := &r.f.chans[i]
		if c.helper || c.ext == "" && c.trunk == "" {
			continue
		}
		if c.end.IsZero() {
			return false, bridge.Time{}, false
		}
		latest(&at, c.end)
	}
	lost = root.lost && root.hang.IsZero()
	// The first channel's end is the call's, if the others only follow it.
	if at.Sub(root.end) <= time.Second {
		at = root.end
	}
	return true, at, lost
}
