package arisim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"callbridge/pbx/ari/aristream"
)

// Caller is an invented client of the demo.
type Caller struct {
	Number string // digits
	Name   string // as the provider gives it; may be empty
}

// LoopOptions says what Loop plays.
type LoopOptions struct {
	Clients []Caller
	Lines   []string      // numbers the clients call; empty: as recorded
	Phones  []string      // extensions that take part; default: all of the PBX
	Every   time.Duration // mean time between two beginnings; default 12 s
	Speed   float64       // default 0.35: a phone rings 4 s, a talk lasts 7 s
	Mix     []Weighted    // default: DefaultMix
	Seed    uint64        // the same seed gives the same row of calls; 0: another each time
}

// Weighted is a scenario and how often it comes.
type Weighted struct {
	Scenario string
	Weight   int
}

// DefaultMix is a pleasant working day: most calls are answered, some are
// missed, some go out, a few are transferred.
func DefaultMix() []Weighted {
	return []Weighted{
		{"in_answered", 6}, {"in_answered_agent_hangs_up", 4}, {"in_missed_caller_hangs_up", 3}, {"in_noanswer", 1},
		{"in_busy", 1}, {"in_hold", 1}, {"group_102_answers", 2}, {"queue_answered", 2}, {"queue_abandoned", 1},
		{"ivr_answered", 1}, {"xfer_blind", 1}, {"xfer_attended", 1}, {"out_answered", 3}, {"out_answered_client_hangs_up", 1},
		{"out_noanswer", 1}, {"out_busy", 1}, {"in_anonymous", 1}, {"internal_answered", 1},
	}
}

// Loop plays calls until ctx ends. A phone takes part in one call at a time,
// and a client too; if none is free, that turn is left out.
func (s *Sim) Loop(ctx context.Context, o LoopOptions) error {
	if len(o.Clients) == 0 {
		return errors.New("simulated Asterisk: no clients who could call")
	}
	if o.Every <= 0 {
		o.Every = 12 * time.Second
	}
	if o.Speed <= 0 {
		o.Speed = 0.35
	}
	if len(o.Phones) == 0 {
		o.Phones = s.opt.Phones
	}
	if len(o.Mix) == 0 {
		o.Mix = DefaultMix()
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	total := 0
	for _, w := range o.Mix {
		if !slices.Contains(aristream.Names(), w.Scenario) { // cut when its turn comes
			return fmt.Errorf("simulated Asterisk: no recorded call %q", w.Scenario)
		}
		if w.Weight < 0 {
			return fmt.Errorf("simulated Asterisk: weight of %s is below zero", w.Scenario)
		}
		total += w.Weight
	}
	if total == 0 {
		return errors.New("simulated Asterisk: the mix has no weights")
	}
	l := &loop{sim: s, o: o, total: total, rnd: rand.New(rand.NewPCG(o.Seed, 1)), busy: map[*Playing]string{}}
	defer l.wg.Wait()
	for first := true; ; first = false {
		wait := time.Duration(float64(o.Every) * (0.7 + 0.6*l.rnd.Float64()))
		if first {
			wait = min(wait, 2*time.Second)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		l.turn(ctx)
	}
}

type loop struct {
	sim   *Sim
	o     LoopOptions
	total int
	rnd   *rand.Rand
	wg    sync.WaitGroup

	mu   sync.Mutex
	busy map[*Playing]string // call → client
	last int                 // client of the turn before
}

// turn starts one call.
func (l *loop) turn(ctx context.Context) {
	sc, err := l.sim.script(l.pick())
	if err != nil {
		return
	}
	free := l.freePhones()
	if len(free) < len(sc.phones) {
		return
	}
	l.rnd.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	phones := map[string]string{}
	for i, ext := range sc.phones {
		phones[ext] = free[i]
	}
	client, ok := l.freeClient()
	if !ok {
		return
	}
	opt := PlayOptions{Client: client.Number, ClientName: client.Name, Extensions: phones, Speed: l.o.Speed}
	if len(l.o.Lines) > 0 {
		opt.Line = l.o.Lines[0]
		if sc.inbound {
			opt.Line = l.o.Lines[l.rnd.IntN(len(l.o.Lines))]
		}
	}
	p, err := l.sim.Begin(ctx, sc.name, opt)
	if err != nil {
		return
	}
	l.mu.Lock()
	l.busy[p] = client.Number
	l.mu.Unlock()
	l.wg.Go(func() {
		<-p.end
		l.mu.Lock()
		delete(l.busy, p)
		l.mu.Unlock()
	})
}

func (l *loop) pick() string {
	n := l.rnd.IntN(l.total)
	for _, w := range l.o.Mix {
		if n -= w.Weight; n < 0 {
			return w.Scenario
		}
	}
	return l.o.Mix[0].Scenario
}

// freePhones returns the phones that are online and in no call, a click-to-call included.
func (l *loop) freePhones() []string {
	s := l.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	var taken []string
	for p := range s.plays {
		for _, e := range p.cast.sc.phones {
			taken = append(taken, p.cast.phone(e))
		}
	}
	var free []string
	for _, e := range l.o.Phones {
		if s.phones[e] == "online" && s.states["Stasis:dnd-"+e] != "BUSY" && !slices.Contains(taken, e) {
			free = append(free, e)
		}
	}
	return free
}

// freeClient returns a client who is in no call, if possible not the last one.
func (l *loop) freeClient() (Caller, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.rnd.IntN(len(l.o.Clients))
	for i := range l.o.Clients {
		n := (from + i) % len(l.o.Clients)
		c := l.o.Clients[n]
		if n == l.last && len(l.o.Clients) > 1 {
			continue
		}
		taken := false
		for _, number := range l.busy {
			taken = taken || number == c.Number
		}
		if !taken {
			l.last = n
			return c, true
		}
	}
	return Caller{}, false
}
