package card

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"callbridge/bridge"
)

// Everything in this file runs under the hub's lock.

// refresh brings all cards of a call up to date and sends what changed.
func (h *Hub) refresh(l *live) {
	want := Wanted(&l.call)
	shown := h.shown(&l.call, want)
	now := time.Now()
	// The cards that go come first: nobody sees two owners of one call.
	for ext, s := range l.cards {
		if _, ok := shown[ext]; !ok {
			h.drop(l, ext, leftBecause(&l.call, ext, s.card.State))
		}
	}
	for ext, state := range shown {
		h.put(l, ext, state, want, now)
	}
	h.schedule(l, now)
}

// shown leaves out the cards their owners do not want, or not yet.
func (h *Hub) shown(c *bridge.Call, want map[string]State) map[string]State {
	out := make(map[string]State, len(want))
	for ext, state := range want {
		switch h.o.Moment(ext) {
		case bridge.CardNever:
			continue
		case bridge.CardAtAnswer:
			if state == Ringing && c.Agent != ext { // his own click rings, too
				continue
			}
		}
		out[ext] = state
	}
	return out
}

// put makes or changes one card and sends it if anything on it is new.
func (h *Hub) put(l *live, ext string, state State, want map[string]State, now time.Time) {
	next := h.build(l, ext, state, want)
	s := l.cards[ext]
	if s == nil {
		s = &shown{}
		l.cards[ext] = s
		if h.cards[ext] == nil {
			h.cards[ext] = map[string]*shown{}
		}
		h.cards[ext][l.id] = s
	} else if s.card.State == state {
		if s.dead || s.infoSeen == l.infoSeen && same(&s.card, &next) {
			return
		}
		next.Since = s.card.Since // the timer of a state does not jump
	}
	if s.card.State != state {
		s.dead = false
		if state == Ringing || state == Dialling {
			s.until = now.Add(h.o.RingMax)
		} else {
			s.until = now.Add(h.o.TalkMax)
		}
	}
	s.card, s.infoSeen, s.body, s.arrived = next, l.infoSeen, nil, l.arrived
	s.expires = earlier(now.Add(h.step(state)), s.until)
	if len(h.byExt[ext]) > 0 {
		f := &frame{body: append([]byte(`"type":"card","card":`), append(h.encode(s), '}')...), kind: kindCard, arrived: l.arrived}
		for c := range h.byExt[ext] {
			if c.nameless && f.nameless == nil {
				f.nameless = append([]byte(`"type":"card","card":`), append(h.encode(s.withoutNames()), '}')...)
			}
		}
		h.send(ext, f)
	}
}

// step is how far ahead a browser is told the expiry. A talk needs it less
// often: it makes no noise.
func (h *Hub) step(s State) time.Duration {
	if s == Talking || s == OnHold {
		return 5 * h.o.Step
	}
	return h.o.Step
}

// drop removes one card.
func (h *Hub) drop(l *live, ext string, why Why) {
	s := l.cards[ext]
	delete(l.cards, ext)
	delete(h.cards[ext], l.id)
	if len(h.cards[ext]) == 0 {
		delete(h.cards, ext)
	}
	if s != nil && !s.dead {
		h.sendGone(l, ext, why)
	}
}

// sendGone tells tabs to take a card away; of a call that failed or was missed
// also the reason.
func (h *Hub) sendGone(l *live, ext string, why Why) {
	if len(h.byExt[ext]) == 0 {
		return
	}
	q, _ := json.Marshal(l.id)
	body := append([]byte(`"type":"gone","id":`), q...)
	body = append(body, `,"why":"`+string(why)+`"`...)
	if l.call.Reason != "" {
		q, _ = json.Marshal(l.call.Reason)
		body = append(append(body, `,"reason":`...), q...)
	}
	h.send(ext, &frame{body: append(body, '}'), kind: kindGone})
}

// forget removes an ended call.
func (h *Hub) forget(l *live) {
	l.timer.Stop()
	for ext := range l.cards {
		h.drop(l, ext, Ended)
	}
	h.unlinkPhone(l)
	delete(h.calls, l.id)
}

func (h *Hub) unlinkPhone(l *live) {
	if set := h.byPhone[l.client]; set != nil {
		delete(set, l.id)
		if len(set) == 0 {
			delete(h.byPhone, l.client)
		}
	}
}

// schedule sets the call's timer to the next moment at which something is due.
func (h *Hub) schedule(l *live, now time.Time) {
	next := now.Add(h.o.TalkMax) // a call in a menu or queue, without a card
	for _, s := range l.cards {
		if !s.dead {
			next = earlier(next, h.renewAt(s))
		}
	}
	l.timer.Reset(max(next.Sub(now), time.Millisecond))
}

// renewAt is when a card's expiry is extended: in good time before browsers
// hide it, or at its end if it will not be extended.
func (h *Hub) renewAt(s *shown) time.Time {
	if !s.expires.Before(s.until) {
		return s.until
	}
	return s.expires.Add(-h.step(s.card.State) / 3)
}

// due is the timer of a call. It takes the lock itself.
func (h *Hub) due(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.calls[id]
	if l == nil || h.closed {
		return
	}
	now := time.Now()
	alive := false
	for ext, s := range l.cards {
		switch {
		case s.dead:
			continue
		case !now.Before(s.until):
			s.dead = true
			h.sendGone(l, ext, Expired)
			h.metrics.Expired()
			continue
		case !now.Before(h.renewAt(s)):
			s.expires = earlier(now.Add(h.step(s.card.State)), s.until)
			q, _ := json.Marshal(id)
			body := append([]byte(`"type":"keep","id":`), q...)
			body = append(body, `,"expires_at":`...)
			body = append(strconv.AppendInt(body, s.expires.UnixMilli(), 10), '}')
			h.send(ext, &frame{body: body, kind: kindState})
		}
		alive = true
	}
	if !alive && now.Sub(l.call.StartedAt.Time) >= h.o.TalkMax {
		h.forget(l)
		return
	}
	h.schedule(l, now)
}

// build makes the card of one phone.
func (h *Hub) build(l *live, ext string, state State, want map[string]State) Card {
	c := &l.call
	k := Card{ID: c.ID, Extension: ext, State: state, Direction: c.Direction, Client: c.Client,
		ClientName: c.ClientName, Line: c.Line, Queue: c.Queue, StartedAt: c.StartedAt, Info: l.info}
	switch {
	case c.Client != "":
		k.ClientText = h.o.Format(string(c.Client))
	case c.Direction != bridge.Internal:
		k.ClientText = c.ClientRaw
	}
	if c.Line != "" {
		k.LineText = h.o.Format(c.Line)
	}
	for other, s := range want {
		if other == ext {
			continue
		}
		switch s {
		case Ringing:
			k.AlsoRings = append(k.AlsoRings, h.person(other))
		case Talking, OnHold:
			k.AlsoTalks = append(k.AlsoTalks, h.person(other))
		}
	}
	sortPeople(k.AlsoRings)
	sortPeople(k.AlsoTalks)
	for i := range c.Legs {
		g := &c.Legs[i]
		if g.Extension == ext && g.EndAt.IsZero() {
			k.Since = g.RingAt
			if state == Talking || state == OnHold {
				k.Since = g.AnswerAt
			}
		} else if c.Direction == bridge.Internal && c.Agent == ext && k.To == "" {
			k.To = g.Extension
		}
	}
	if k.Since.IsZero() {
		k.Since = c.StartedAt
	}
	for i := range c.Transfers {
		if t := &c.Transfers[i]; t.To == ext && t.From != "" {
			p := h.person(t.From)
			k.From = &p
		}
	}
	if k.From == nil && c.Direction == bridge.Internal && c.Agent != "" && c.Agent != ext {
		p := h.person(c.Agent)
		k.From = &p
	}
	k.Busy = h.busy(c.Client, c.ID, ext)
	return k
}

// busy lists who has the client on the phone: in calls other than except, on
// phones other than own.
func (h *Hub) busy(n bridge.Number, except, own string) []Person {
	if n == "" || len(h.byPhone[n]) > oneClient {
		return nil
	}
	var out []Person
	for id, o := range h.byPhone[n] {
		if id == except {
			continue
		}
		for ext, s := range Wanted(&o.call) {
			p := h.person(ext)
			if s != Ringing && ext != own && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	sortPeople(out)
	return out
}

func (h *Hub) person(ext string) Person { return Person{Extension: ext, Name: h.o.Name(ext)} }

// encode returns the card as JSON with its expiry, kept for the next snapshot.
func (h *Hub) encode(s *shown) []byte {
	if s.body == nil {
		b, err := json.Marshal(&s.card)
		if err != nil {
			// A Card holds plain values only; a float that is no number is
			// the one thing that cannot be written.
			h.o.Log.Error("a card cannot be encoded", "call", s.card.ID, "err", err)
			s.card.Info = nil
			b, _ = json.Marshal(&s.card)
		}
		s.body = b[:len(b)-1]
	}
	out := make([]byte, 0, len(s.body)+48)
	out = append(out, s.body...)
	if !s.arrived.IsZero() {
		out = strconv.AppendInt(append(out, `,"arrived_at":`...), s.arrived.UnixMilli(), 10)
	}
	out = append(out, `,"expires_at":`...)
	return append(strconv.AppendInt(out, s.expires.UnixMilli(), 10), '}')
}

// snapshot is the first message of a connection.
func (h *Hub) snapshot(ext string, nameless bool) []byte {
	list := make([]*shown, 0, len(h.cards[ext]))
	for _, s := range h.cards[ext] {
		if !s.dead {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *shown) int { return a.card.StartedAt.Compare(b.card.StartedAt.Time) })
	b := []byte(`"type":"snapshot","dnd":` + strconv.FormatBool(h.dnd[ext]) + `,"cards":[`)
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if nameless {
			s = s.withoutNames()
		}
		b = append(b, h.encode(s)...)
	}
	return append(b, "]}"...)
}

// send queues one message for all tabs of an extension. A tab whose queue is
// full is dropped; it comes back and gets a snapshot (D-32).
func (h *Hub) send(ext string, f *frame) {
	for c := range h.byExt[ext] {
		select {
		case c.out <- f:
		default:
			h.metrics.Dropped()
			h.remove(c)
			c.kick(CloseResync, "resync")
		}
	}
}

// remove takes a tab out of the lists; twice is harmless.
func (h *Hub) remove(c *client) {
	take := func(m map[string]map[*client]struct{}, key string) {
		delete(m[key], c)
		if len(m[key]) == 0 {
			delete(m, key)
		}
	}
	take(h.byExt, c.who.Extension)
	take(h.byUser, c.who.User)
}

func sortPeople(p []Person) {
	slices.SortFunc(p, func(a, b Person) int {
		if a.Extension < b.Extension {
			return -1
		}
		if a.Extension > b.Extension {
			return 1
		}
		return 0
	})
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// same compares all but the moment and what infoSeen stands for.
func same(a, b *Card) bool {
	return a.State == b.State && a.Direction == b.Direction && a.Client == b.Client && a.ClientText == b.ClientText &&
		a.ClientName == b.ClientName && a.Line == b.Line && a.LineText == b.LineText && a.Queue == b.Queue && a.To == b.To &&
		a.StartedAt.Equal(b.StartedAt.Time) &&
		slices.Equal(a.AlsoRings, b.AlsoRings) && slices.Equal(a.AlsoTalks, b.AlsoTalks) && slices.Equal(a.Busy, b.Busy) &&
		(a.From == nil) == (b.From == nil) && (a.From == nil || *a.From == *b.From)
}
