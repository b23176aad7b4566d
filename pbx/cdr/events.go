package cdr

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
)

// Input is everything a repair depends on.
type Input struct {
	PBX      string
	From, To bridge.Time // the gap, by the PBX's clock
	// Earlier are gaps before it whose records may have come late, or after the
	// program died: a call of theirs that nobody knows is still missing.
	Earlier []Span
	Records []Record
	// Open are the calls that lived when the gap began.
	Open []Seen
	// Whole are the ids (linkedid) of calls that are known besides: the log has
	// nothing to add to them.
	Whole map[string]bool
	// Snapshot is what the PBX has now; its channels have not ended.
	Snapshot *bridge.Snapshot
	// Channel says what a channel's name means: phone, outside line or helper.
	Channel func(name string) bridge.Channel
}

// Span is a time in which nothing was seen.
type Span struct{ From, To bridge.Time }

// Seen is a call of which we saw the beginning.
type Seen struct {
	CallID string
	Events []bridge.Event
}

// Result is what the log tells of the gap.
type Result struct {
	Events  []bridge.Event
	Closed  []string // ids of open calls that are closed by it
	Added   []string // the PBX's ids of calls nobody had seen
	Unknown []string // ids of open calls that are gone, and of which the log knows nothing
}

// known is a channel we have seen.
type known struct {
	bridge.Channel
	call             *Seen
	answered, ended  bool
	dialled, settled bool
	seen             bridge.Time // until then it was as the flags say
}

// since moves a time, which the log cuts to the second or takes from the
// caller, behind the moment at which it had not happened yet.
func (k *known) since(t bridge.Time) bridge.Time {
	if t.Before(k.seen.Time) {
		return k.seen
	}
	return t
}

type repair struct {
	in    *Input
	byID  map[string]*known
	names map[string]*known
	alive map[string]bool // ids in the snapshot
	seen  bridge.Time     // the last we saw of the call at hand; zero if nothing
	res   Result
}

// Events turns the records of a gap into events. It is a pure function.
func Events(in Input) Result {
	r := &repair{in: &in, byID: map[string]*known{}, names: map[string]*known{}, alive: map[string]bool{}}
	closed := map[string]bool{}
	gone := map[string]bool{} // open calls of which nothing lives
	for i := range in.Open {
		gone[in.Open[i].CallID] = true
		for j := range in.Open[i].Events {
			r.learn(&in.Open[i], &in.Open[i].Events[j])
		}
	}
	if in.Snapshot != nil {
		for i := range in.Snapshot.Channels {
			c := &in.Snapshot.Channels[i]
			r.alive[c.ID] = true
			k := r.see(nil, c)
			if k.call == nil && c.Group != "" && r.byID[c.Group] != nil {
				k.call = r.byID[c.Group].call
			}
			if k.call != nil {
				delete(gone, k.call.CallID)
			}
		}
	}
	for _, g := range groups(in.Records) {
		call, lives := r.find(g)
		switch {
		case call == nil && (in.Whole[g[0].Group] || in.Whole[g[0].ID] || !in.unseen(g)):
			continue
		case lives && call == nil:
			continue // a call that began in the gap and goes on: the snapshot tells it
		case call == nil:
			r.res.Added = append(r.res.Added, cmp.Or(g[0].Group, g[0].ID, g[0].Channel))
		case !lives && !closed[call.CallID]:
			closed[call.CallID] = true
			r.res.Closed = append(r.res.Closed, call.CallID)
		}
		r.group(g, call, lives)
	}
	for i := range in.Open {
		if id := in.Open[i].CallID; gone[id] && !closed[id] {
			r.res.Unknown = append(r.res.Unknown, id)
		}
	}
	return r.res
}

// unseen says whether a call of which we know nothing was in a gap. Without an
// id nobody can say whether we know it: it must have begun there.
func (in *Input) unseen(g []Record) bool {
	first, last := span(g)
	named := cmp.Or(g[0].Group, g[0].ID) != ""
	for _, gap := range append(slices.Clone(in.Earlier), Span{in.From, in.To}) {
		if !last.Add(time.Second).Before(gap.From.Time) && !first.After(gap.To.Time) && (named || !first.Add(time.Second).Before(gap.From.Time)) {
			return true
		}
	}
	return false
}

// learn notes the channels an event shows.
func (r *repair) learn(call *Seen, e *bridge.Event) {
	leg, peer := r.see(call, e.Leg), r.see(call, e.Peer)
	for i := range e.More {
		r.see(call, &e.More[i])
	}
	for _, k := range []*known{leg, peer} {
		if k != nil && e.At.After(k.seen.Time) {
			k.seen = e.At
		}
	}
	switch e.Kind {
	case bridge.ChannelEnded:
		if leg != nil {
			leg.ended = true
		}
	case bridge.Dialling:
		if peer != nil {
			peer.dialled = true
		}
	case bridge.DialAnswered:
		if peer != nil {
			peer.answered = true
		}
	case bridge.DialEnded:
		if peer != nil {
			peer.settled = true
		}
	}
}

func (r *repair) see(call *Seen, c *bridge.Channel) *known {
	if c == nil || c.ID == "" {
		return nil
	}
	k := r.byID[c.ID]
	if k == nil {
		k = &known{Channel: *c, call: call}
		r.byID[c.ID] = k
	}
	if k.call == nil {
		k.call = call
	}
	if c.Name != "" {
		r.names[c.Name] = k
	}
	return k
}

// find says whether records are of a call we know, and whether it goes on.
func (r *repair) find(g []Record) (call *Seen, lives bool) {
	for i := range g {
		for _, k := range []*known{r.byID[g[i].ID], r.byID[g[i].Group], r.names[g[i].Channel], r.names[g[i].Other]} {
			if k == nil {
				continue
			}
			if k.call != nil {
				call = k.call
			}
			lives = lives || r.alive[k.ID]
		}
	}
	if call != nil && !lives {
		for _, k := range r.byID {
			lives = lives || k.call == call && !k.Helper && r.alive[k.ID]
		}
	}
	return call, lives
}

// groups puts together the records of one call: by linkedid where it is
// logged, else by the channels they share.
func groups(list []Record) [][]Record {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Record) int {
		return cmp.Or(a.Start.Compare(b.Start.Time), cmp.Compare(a.Sequence, b.Sequence))
	})
	var out [][]Record
	at := map[string]int{} // key → place in out
	for _, r := range list {
		keys := []string{"g" + r.Group}
		if r.Group == "" {
			keys = []string{"n" + pair(r.Channel)}
			if r.Other != "" {
				keys = append(keys, "n"+pair(r.Other))
			}
			if r.ID != "" {
				keys = append(keys, "i"+r.ID)
			}
		}
		place := -1
		for _, k := range keys {
			p, ok := at[k]
			switch {
			case !ok:
			case place < 0:
				place = p
			case p != place:
				out[place] = append(out[place], out[p]...)
				out[p] = nil
				for k, v := range at {
					if v == p {
						at[k] = place
					}
				}
			}
		}
		if place < 0 {
			place = len(out)
			out = append(out, nil)
		}
		out[place] = append(out[place], r)
		for _, k := range keys {
			at[k] = place
		}
	}
	return slices.DeleteFunc(out, func(g []Record) bool { return len(g) == 0 })
}

// pair is the same for the two ends of a helper.
func pair(name string) string {
	if n := len(name) - 2; n > 0 && name[n] == ';' {
		return name[:n]
	}
	return name
}

func span(g []Record) (first, last bridge.Time) {
	first = g[0].Start
	for i := range g {
		if g[i].Start.Before(first.Time) {
			first = g[i].Start
		}
		if g[i].End.After(last.Time) {
			last = g[i].End
		}
	}
	return first, last
}

// group makes the events of one call.
func (r *repair) group(g []Record, call *Seen, lives bool) {
	r.seen = bridge.Time{}
	if call != nil {
		for i := range call.Events {
			if at := call.Events[i].At; at.After(r.seen.Time) {
				r.seen = at
			}
		}
	}
	ends, last := map[string]bridge.Time{}, map[string]int{}
	ids := map[string]string{}
	for i := range g {
		ids[g[i].Channel] = g[i].ID
	}
	root := cmp.Or(g[0].Group, g[0].ID)
	for i := range g {
		for _, name := range []string{g[i].Channel, g[i].Other} {
			if name == "" {
				continue
			}
			if !g[i].End.Before(ends[name].Time) {
				ends[name], last[name] = g[i].End, i
			}
			if k := r.byID[ids[name]]; k != nil && r.names[name] == nil {
				r.names[name] = k
			}
			if r.names[name] == nil {
				c := r.in.Channel(name)
				c.Name, c.Group = name, g[i].Group
				c.ID = ids[name]
				if c.ID == "" { // the log names the other side only
					c.ID = "cdr-" + root + "-" + name + "-" + stamp(g[0].Start)
				}
				k := &known{Channel: c, call: call}
				r.byID[c.ID], r.names[name] = k, k
				if name == g[i].Channel {
					r.begin(&g[i], k)
				}
			}
		}
	}
	for i := range g {
		if a := r.names[g[i].Channel]; (g[i].App == "Queue" || g[i].App == "VoiceMail") && !a.Helper {
			c := a.copy()
			c.App, c.AppData = g[i].App, g[i].AppData
			r.add(&g[i], bridge.Event{Kind: bridge.VariableSet, At: r.inGap(g[i].End), Leg: c})
		}
		if g[i].Other != "" && g[i].End.Add(time.Second).After(r.begun().Time) {
			r.dial(g, i)
		}
	}
	for _, name := range order(ends) {
		k, rec := r.names[name], &g[last[name]]
		if k.ended || r.alive[k.ID] {
			continue
		}
		k.ended = true
		r.end(k, rec, ends[name])
	}
	if call == nil || lives {
		return
	}
	// The call's other channels are gone too, at its end at the latest.
	_, over := span(g)
	var rest []*known
	for _, k := range r.byID {
		if k.call == call && !k.ended {
			rest = append(rest, k)
		}
	}
	slices.SortFunc(rest, func(a, b *known) int { return strings.Compare(a.ID, b.ID) })
	for _, k := range rest {
		k.ended = true
		r.end(k, &g[len(g)-1], over)
	}
}

func order(m map[string]bridge.Time) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// begun is the beginning of the first gap.
func (r *repair) begun() bridge.Time {
	from := r.in.From
	for _, g := range r.in.Earlier {
		if g.From.Before(from.Time) {
			from = g.From
		}
	}
	return from
}

// begin tells of a channel nobody saw: it came in, unless we asked for it.
func (r *repair) begin(rec *Record, k *known) {
	c := &k.Channel
	c.Since = rec.Start
	c.Incoming = !c.Helper && !strings.HasPrefix(c.ID, "cb-")
	c.Number, c.CallerNm, c.Exten = rec.Source, rec.Name, rec.Dialled
	if c.Extension != "" {
		c.Number = c.Extension // dialplans overwrite it with the company's number
	}
	if c.Trunk != "" && digits(rec.Dialled) < 6 {
		c.Exten = "" // a transfer's target, not our number
	}
	r.add(rec, bridge.Event{Kind: bridge.ChannelBegan, At: rec.Start, Leg: k.copy()})
	c.Incoming = false
	if !rec.Answer.IsZero() {
		up := k.copy()
		up.State = "up"
		r.add(rec, bridge.Event{Kind: bridge.ChannelUp, At: clamp(rec.Answer, rec.Start, rec.End), Leg: up})
	}
}

// dial tells what became of the channel that was called.
func (r *repair) dial(g []Record, i int) {
	rec := &g[i]
	a, b := r.names[rec.Channel], r.names[rec.Other]
	begun := r.inGap(rec.Start)
	if !b.dialled {
		b.dialled = true
		b.Since = rec.Start
		switch {
		case b.Extension != "":
			b.Number, b.Other = b.Extension, a.Number
		case b.Trunk != "":
			b.Number, b.Other = rec.Dialled, rec.Source
		}
		dialled := b.Extension
		if b.Trunk != "" {
			dialled = rec.Dialled
		}
		r.add(rec, bridge.Event{Kind: bridge.Dialling, At: begun, Leg: a.copy(), Peer: b.copy(), Dialled: dialled})
		if rec.Disposition == "ANSWERED" || rec.Disposition == "NO ANSWER" && rec.End.After(rec.Start.Time) {
			r.add(rec, bridge.Event{Kind: bridge.DialRinging, At: begun, Leg: a.copy(), Peer: b.copy()}) // inferred
		}
	}
	if r.alive[b.ID] || b.answered || b.settled {
		return
	}
	if rec.Disposition == "ANSWERED" {
		b.answered = true
		r.add(rec, bridge.Event{Kind: bridge.DialAnswered, At: b.since(r.answer(g, i)), Leg: a.copy(), Peer: b.copy()})
		return
	}
	e := bridge.Event{Kind: bridge.DialEnded, At: b.since(r.inGap(rec.End)), Leg: a.copy(), Peer: b.copy(), Result: bridge.DialNoAnswer}
	switch rec.Disposition {
	case "BUSY":
		e.Result = bridge.DialBusy
	case "CONGESTION":
		e.Result = bridge.DialCongestion
	case "FAILED":
		e.Result = bridge.DialUnavailable
	case "NO ANSWER":
		for j := range g {
			if g[j].Disposition == "ANSWERED" && g[j].Channel == rec.Channel && g[j].Start == rec.Start && g[j].Other != "" {
				e.Result = bridge.DialCancelled // another was quicker
			}
		}
	}
	b.settled = true
	r.add(rec, e)
}

// answer is when the called side answered: the record's answer, but not before
// the phones that lost stopped ringing (the caller of a queue was answered by
// the queue).
func (r *repair) answer(g []Record, i int) bridge.Time {
	rec := &g[i]
	at := rec.Answer
	for j := range g {
		if j != i && g[j].Channel == rec.Channel && g[j].Disposition != "ANSWERED" && g[j].Other != "" &&
			!g[j].Start.Before(rec.Start.Time) && g[j].End.After(at.Time) && !g[j].End.After(rec.End.Time) {
			at = g[j].End
		}
	}
	return r.inGap(clamp(at, rec.Start, rec.End))
}

// end tells that a channel is gone. Who ended it is not known.
func (r *repair) end(k *known, rec *Record, at bridge.Time) {
	cause := map[string]int{"ANSWERED": 16, "BUSY": 17, "CONGESTION": 34}[rec.Disposition]
	r.add(rec, bridge.Event{Kind: bridge.ChannelEnded, Name: bridge.FromCallLog, At: k.since(r.inGap(at)), Leg: k.copy(), Cause: cause})
}

// inGap moves a time, which the log cuts to the second, behind what we saw of
// the call, and into the gap.
func (r *repair) inGap(t bridge.Time) bridge.Time {
	for _, from := range []bridge.Time{r.seen, r.in.From} {
		if t.Before(from.Time) && from.Sub(t) < time.Second {
			return from
		}
	}
	return t
}

func clamp(t, from, to bridge.Time) bridge.Time {
	if t.Before(from.Time) {
		return from
	}
	if t.After(to.Time) {
		return to
	}
	return t
}

// copy is the channel for an event of ours. What the operator's dialplan said
// stands in the events that were seen; the times of a log would put it before.
func (k *known) copy() *bridge.Channel {
	c := k.Channel
	c.Dir, c.DID, c.Ext = "", "", ""
	return &c
}

func (r *repair) add(rec *Record, e bridge.Event) {
	e.PBX = r.in.PBX
	peer := ""
	if e.Peer != nil {
		peer = "-" + e.Peer.ID
	}
	e.ID = fmt.Sprintf("cdr:%s:%s%s:%s", e.Kind, e.Leg.ID, peer, stamp(e.At))
	e.Raw, _ = json.Marshal(rec) // strings and times cannot fail
	r.res.Events = append(r.res.Events, e)
}

func stamp(t bridge.Time) string { return fmt.Sprint(t.Milli()) }

func digits(s string) int {
	n := 0
	for _, c := range s {
		if c >= '0' && c <= '9' {
			n++
		}
	}
	return n
}
