package arisim

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// PlayOptions changes a recorded call. What is empty stays as recorded.
type PlayOptions struct {
	Client     string            // the client's number, digits
	ClientName string            // the name the provider gives
	Line       string            // our number, digits
	Extensions map[string]string // recorded phone → phone that plays it
	Speed      float64           // 2 = twice as fast; default 1
	ChannelID  string            // id of the first channel, and so of the call
	ClickID    string            // CB_C2C of a click-to-call
	Talk       time.Duration     // how much longer than recorded the first talk lasts
	Ring       time.Duration     // how much longer than recorded it rings first
	// After is called after each step with its number and the type of its event,
	// from the goroutine that plays; what it waits for, the call waits for.
	After func(step int, event string)
}

// Playing is a call that is being played.
type Playing struct {
	sim  *Sim
	cast *cast
	ID   string // linkedid: the id of the first channel
	Name string // the scenario
	app  string // application of its routing step

	end  chan struct{} // closed when it is over
	kill chan string   // id of the channel that is to be hung up
	quit chan struct{}
	once sync.Once

	talk time.Duration // see PlayOptions
	ring time.Duration

	dialling map[int]int // peer → caller of dials without a result; -1: by ARI
	after    func(step int, event string)
	logged   logged
}

// channel is one that lives.
type channel struct {
	id     string
	play   *Playing
	raw    []byte // as recorded
	vars   map[string]string
	stasis bool
	app    string
	gone   chan struct{} // closed when it leaves the application
}

type room struct {
	play    *Playing
	raw     []byte
	members []string
}

// Play plays a recorded call and returns its linkedid when it is over.
func (s *Sim) Play(ctx context.Context, scenario string, o PlayOptions) (string, error) {
	p, err := s.Begin(ctx, scenario, o)
	if err != nil {
		return "", err
	}
	return p.ID, p.Wait(ctx)
}

// Begin starts a recorded call; its first event is out when it returns. ctx
// stops it at any place, without further events.
func (s *Sim) Begin(ctx context.Context, scenario string, o PlayOptions) (*Playing, error) {
	sc, err := s.script(scenario)
	if err != nil {
		return nil, err
	}
	if o.Speed == 0 {
		o.Speed = 1
	}
	if o.Speed < 0 {
		return nil, fmt.Errorf("speed %v: want more than 0", o.Speed)
	}
	p := &Playing{sim: s, Name: scenario, app: "callbridge", end: make(chan struct{}), kill: make(chan string, 1), quit: make(chan struct{}), talk: o.Talk, ring: o.Ring,
		dialling: map[int]int{}, after: o.After}
	if p.after == nil {
		p.after = func(int, string) {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return nil, context.Canceled
	default:
	}
	p.cast = &cast{sc: sc, uuids: map[int]string{}, numbers: map[string]string{}, phones: maps.Clone(o.Extensions),
		client: strings.TrimPrefix(o.Client, "+"), clientName: o.ClientName, line: strings.TrimPrefix(o.Line, "+"), click: o.ClickID, speed: o.Speed,
		acts: []act{{base: time.Now()}}, newUUID: newUUID,
		newNumber: func() string { s.number++; return hex8(s.number - 1) }}
	if p.cast.phones == nil {
		p.cast.phones = map[string]string{}
	}
	for i := range sc.ids {
		id := s.nextID()
		if i == 0 && o.ChannelID != "" {
			id = o.ChannelID
		}
		p.cast.ids = append(p.cast.ids, id)
	}
	if len(p.cast.ids) > 0 {
		p.ID = p.cast.ids[0]
	}
	s.plays[p] = true
	p.step(&sc.steps[0])
	s.wg.Go(func() {
		stop := context.AfterFunc(ctx, p.stop)
		defer stop()
		p.run()
	})
	return p, nil
}

// Wait returns when the call is over.
func (p *Playing) Wait(ctx context.Context) error {
	select {
	case <-p.end:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Phones returns the extensions that take part.
func (p *Playing) Phones() []string {
	p.sim.mu.Lock()
	defer p.sim.mu.Unlock()
	var list []string
	for _, e := range p.cast.sc.phones {
		list = append(list, p.cast.phone(e))
	}
	return list
}

// stop ends it where it is, without further events.
func (p *Playing) stop() { p.once.Do(func() { close(p.quit) }) }

func (p *Playing) run() {
	s := p.sim
	defer func() {
		s.mu.Lock()
		delete(s.plays, p)
		p.forget()
		s.mu.Unlock()
		if s.opt.CallLog != "" {
			p.leaveRecords()
		}
		close(p.end)
	}()
	steps := p.cast.sc.steps
	for i := range steps {
		if i == 0 {
			p.after(0, steps[0].kind)
			if !p.asked(&steps[0], next(steps, 0)) {
				return
			}
			continue
		}
		st := &steps[i]
		if !p.until(st) {
			return
		}
		if st.kind == "StasisStart" && !s.served(p.app) {
			continue // Stasis() of an application nobody serves returns at once
		}
		s.mu.Lock()
		p.step(st)
		s.mu.Unlock()
		p.after(i, st.kind)
		if !p.asked(st, next(steps, i)) {
			return
		}
	}
}

func next(steps []step, i int) *step {
	if i+1 < len(steps) {
		return &steps[i+1]
	}
	return &step{at: steps[i].at + time.Millisecond, stamp: steps[i].stamp + time.Millisecond}
}

func (s *Sim) served(app string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apps[app] != nil
}

// until waits for the time of a step; false means that the call is over.
func (p *Playing) until(st *step) bool {
	t := time.NewTimer(time.Until(p.cast.real(st.at)))
	defer t.Stop()
	select {
	case <-t.C:
	case id := <-p.kill:
		p.hangUp(id)
		return false
	case <-p.quit:
		return false
	case <-p.sim.ctx.Done():
		return false
	}
	select {
	case <-p.quit:
		return false
	default:
		return true
	}
}

// step makes one event happen. The lock is held.
func (p *Playing) step(st *step) {
	s, c := p.sim, p.cast
	p.logStep(st)
	for i := range st.channels {
		part := &st.channels[i]
		id := c.ids[part.id]
		ch := s.live[id]
		if ch == nil {
			if st.kind != "ChannelCreated" || part.key != "channel" {
				continue
			}
			ch = &channel{id: id, play: p, vars: map[string]string{}}
			s.live[id] = ch
			s.order = append(s.order, id)
		}
		ch.raw = part.raw
		switch st.kind {
		case "ChannelDestroyed":
			s.remove(ch)
		case "StasisStart":
			ch.stasis, ch.app, ch.gone = true, p.app, make(chan struct{})
		case "StasisEnd":
			ch.leave()
		}
	}
	only := ""
	switch st.kind {
	case "StasisStart", "StasisEnd":
		only = p.app
	case "Dial":
		p.dialled(st)
		if st.dial == "RINGING" && p.ring > 0 {
			c.acts = append(c.acts, act{from: st.at + time.Millisecond, base: time.Now().Add(p.ring)})
			p.ring = 0
		}
	case "BridgeDestroyed":
		if st.room != nil {
			delete(s.rooms, p.uuid(st.room.id))
		}
	}
	frame := c.render(make([]byte, 0, 1200), st.text)
	if st.room != nil && st.kind != "BridgeDestroyed" {
		r := &room{play: p, raw: st.room.raw}
		for _, i := range st.members {
			if i >= 0 {
				r.members = append(r.members, c.ids[i])
			}
		}
		if st.kind == "ChannelEnteredBridge" && len(r.members) > 1 && p.ID != "" && !slices.Contains(s.recordings, p.ID) {
			s.recordings = keepLast(s.recordings, p.ID)
		}
		if st.kind == "ChannelEnteredBridge" && len(r.members) > 1 && p.talk > 0 {
			c.acts = append(c.acts, act{from: st.at + time.Millisecond, base: time.Now().Add(p.talk)})
			p.talk = 0
		}
		s.rooms[p.uuid(st.room.id)] = r
	}
	s.publish(st.kind, frame, only)
}

func (p *Playing) uuid(i int) string {
	if _, ok := p.cast.uuids[i]; !ok {
		p.cast.uuids[i] = p.cast.newUUID()
	}
	return p.cast.uuids[i]
}

// dialled keeps which dials have no result yet.
func (p *Playing) dialled(st *step) {
	peer, caller := -1, -1
	for _, c := range st.channels {
		switch c.key {
		case "peer":
			peer = c.id
		case "caller":
			caller = c.id
		}
	}
	switch st.dial {
	case "", "RINGING", "PROGRESS", "PROCEEDING":
		p.dialling[peer] = caller
	default:
		delete(p.dialling, peer)
	}
}

// remove forgets a channel. The lock is held.
func (s *Sim) remove(ch *channel) {
	ch.leave()
	delete(s.live, ch.id)
	if i := slices.Index(s.order, ch.id); i >= 0 {
		s.order = slices.Delete(s.order, i, i+1)
	}
}

// leave takes a channel out of its application. The lock is held.
func (ch *channel) leave() {
	if ch.stasis {
		ch.stasis = false
		close(ch.gone)
	}
}

// forget removes what the call left behind, if it was stopped. The lock is held.
func (p *Playing) forget() {
	for _, id := range p.cast.ids {
		if ch := p.sim.live[id]; ch != nil && ch.play == p {
			p.sim.remove(ch)
		}
	}
	for id, r := range p.sim.rooms {
		if r.play == p {
			delete(p.sim.rooms, id)
		}
	}
}

// asked plays the routing step: the call waits until the client sends it on,
// or until the dialplan's time limit. An answer changes who is called.
func (p *Playing) asked(st, after *step) bool {
	if st.kind != "StasisStart" || len(st.channels) == 0 {
		return true
	}
	s := p.sim
	id := p.cast.ids[st.channels[0].id]
	s.mu.Lock()
	ch := s.live[id]
	if ch == nil || !ch.stasis {
		s.mu.Unlock()
		return true
	}
	gone := ch.gone
	var head struct {
		Args []string `json:"args"`
	}
	_ = json.Unmarshal(p.cast.render(nil, st.text), &head)
	s.mu.Unlock()

	began := time.Now()
	t := time.NewTimer(s.opt.RouteWait)
	defer t.Stop()
	answered := false
	select {
	case <-gone:
		answered = true
	case <-t.C:
	case victim := <-p.kill:
		p.hangUp(victim)
		return false
	case <-p.quit:
		return false
	case <-s.ctx.Done():
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ext := ch.vars["CB_ROUTE"]
	ch.leave()
	s.routes = keepLast(s.routes, Route{Channel: id, Args: head.Args, Extension: ext, Answered: answered, Took: time.Since(began)})
	p.reroute(ext)
	// Recorded time goes on from here, however long it took.
	p.cast.acts = append(p.cast.acts, act{from: max(after.at, st.at+time.Millisecond), base: time.Now()})
	return true
}

// reroute lets another phone be dialled than the recorded one.
func (p *Playing) reroute(ext string) {
	c := p.cast
	if ext == "" || c.sc.dialled == "" || p.sim.phones[ext] == "" {
		return
	}
	was := c.phone(c.sc.dialled)
	for _, other := range c.sc.phones {
		if other != c.sc.dialled && c.phone(other) == ext {
			c.phones[other] = was
		}
	}
	c.phones[c.sc.dialled] = ext
}

// hangUp ends the call early: what lives of it is destroyed in order.
func (p *Playing) hangUp(id string) {
	s := p.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := s.live[id]; ch != nil {
		s.tell("ChannelHangupRequest", map[string]any{"channel": s.json(ch), "soft": true, "cause": 16})
	}
	for peer, caller := range p.dialling {
		ch := s.live[p.cast.ids[max(peer, 0)]]
		if peer < 0 || ch == nil {
			continue
		}
		m := map[string]any{"peer": s.json(ch), "dialstatus": "CANCEL", "dialstring": "", "forward": ""}
		if caller >= 0 && s.live[p.cast.ids[caller]] != nil {
			m["caller"] = s.json(s.live[p.cast.ids[caller]])
		}
		s.tell("Dial", m)
	}
	for rid, r := range s.rooms {
		if r.play != p {
			continue
		}
		var b map[string]any
		_ = json.Unmarshal(p.cast.now(r.raw), &b)
		left := r.members
		for len(left) > 0 {
			ch := s.live[left[0]]
			left = left[1:]
			b["channels"] = append([]string{}, left...)
			if ch != nil {
				s.tell("ChannelLeftBridge", map[string]any{"bridge": b, "channel": s.json(ch)})
			}
		}
		s.tell("BridgeDestroyed", map[string]any{"bridge": b})
		delete(s.rooms, rid)
	}
	for _, cid := range p.cast.ids {
		if ch := s.live[cid]; ch != nil && ch.play == p {
			s.tell("ChannelDestroyed", map[string]any{"channel": s.json(ch), "cause": 16, "cause_txt": "Normal Clearing"})
			s.remove(ch)
		}
	}
}

// json is a channel as it is now. The lock is held.
func (s *Sim) json(ch *channel) json.RawMessage { return ch.play.cast.now(ch.raw) }

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Channels returns the ids of all channels the call has in its course.
func (p *Playing) Channels() []string { return slices.Clone(p.cast.ids) }
