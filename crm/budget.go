package crm

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Priority says whose turn it is when the vendor's rate is scarce (F-15).
type Priority uint8

const (
	// Fresh is a delivery of a call that just was; also everything unmarked.
	Fresh Priority = iota
	// Urgent is somebody waiting for the answer: a routing question, a card.
	Urgent
	// Backfill is a resend. It leaves a reserve for the others.
	Backfill
)

type priorityKey struct{}

// WithPriority marks all requests made with the context.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

// PriorityOf returns the mark of a context.
func PriorityOf(ctx context.Context) Priority {
	p, _ := ctx.Value(priorityKey{}).(Priority)
	return p
}

type gateKey struct{}

// WithGate has every request made with the context ask the gate first; an
// error of the gate is the request's, and nothing is sent. Whoever finds the
// credentials refused closes the gate for all others (design.md 4.6).
func WithGate(ctx context.Context, gate func() error) context.Context {
	return context.WithValue(ctx, gateKey{}, gate)
}

// passGate asks the gate of the context, if it has one.
func passGate(ctx context.Context) error {
	if gate, ok := ctx.Value(gateKey{}).(func() error); ok {
		return gate()
	}
	return nil
}

// budget keeps a vendor's rate: a bucket of tokens that fills evenly. Whoever
// waits is served by priority and then in the order of coming. Backfill takes a
// token only from the upper half of the bucket, so that with a bucket of two or
// more an urgent or fresh request never waits for a backfill.
type budget struct {
	prefix  string
	perSec  float64 // as configured
	size    float64
	now     func() time.Time
	mu      sync.Mutex
	speed   float64 // present rate: perSec, or less after the server said "slow down"
	tokens  float64
	at      time.Time // when tokens were counted
	eased   time.Time // when speed last grew
	blocked time.Time // nothing goes out before
	waiting [3][]chan struct{}
	timer   *time.Timer
}

func newBudget(l Limit, now func() time.Time) *budget {
	size := float64(max(l.Burst, 1))
	return &budget{prefix: l.Prefix, perSec: l.PerSecond, size: size, now: now, speed: l.PerSecond, tokens: size}
}

// order is who goes first.
var order = [3]Priority{Urgent, Fresh, Backfill}

// need is how many tokens must be there for a request of this priority.
func (b *budget) need(p Priority) float64 {
	if p == Backfill {
		return min(1+max(1, b.size/2), b.size)
	}
	return 1
}

// wait returns when the request may be sent, or with the context's error.
func (b *budget) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := PriorityOf(ctx)
	turn := make(chan struct{})
	b.mu.Lock()
	b.waiting[p] = append(b.waiting[p], turn)
	b.serve()
	b.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range b.waiting[p] {
		if w == turn {
			b.waiting[p] = append(b.waiting[p][:i:i], b.waiting[p][i+1:]...)
			return ctx.Err()
		}
	}
	b.tokens = min(b.size, b.tokens+1) // it was given at the same moment: give it back
	b.serve()
	return ctx.Err()
}

// serve gives tokens to those who wait and sets the timer for the next one.
// The caller holds the lock.
func (b *budget) serve() {
	now := b.now()
	b.fill(now)
	for {
		p, ok := b.first()
		if !ok {
			return
		}
		if now.Before(b.blocked) {
			b.again(b.blocked.Sub(now))
			return
		}
		if lack := b.need(p) - b.tokens; lack > 1e-9 {
			b.again(time.Duration(lack / b.speed * float64(time.Second)))
			return
		}
		b.tokens--
		close(b.waiting[p][0])
		b.waiting[p] = b.waiting[p][1:]
	}
}

func (b *budget) first() (Priority, bool) {
	for _, p := range order {
		if len(b.waiting[p]) > 0 {
			return p, true
		}
	}
	return 0, false
}

func (b *budget) fill(now time.Time) {
	if !b.at.IsZero() && now.After(b.at) {
		b.tokens = min(b.size, b.tokens+now.Sub(b.at).Seconds()*b.speed)
	}
	if b.at.IsZero() || now.After(b.at) {
		b.at = now
	}
	for b.speed < b.perSec && now.Sub(b.eased) >= easeEvery {
		b.speed, b.eased = min(b.perSec, b.speed*1.2), b.eased.Add(easeEvery)
	}
}

// again serves once more after d. A new request sets the timer anew.
func (b *budget) again(d time.Duration) {
	if b.timer != nil {
		b.timer.Stop()
	}
	b.timer = time.AfterFunc(max(d, time.Millisecond), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.serve()
	})
}

// easeEvery is how long a slowed budget waits before it speeds up by a fifth.
const easeEvery = 30 * time.Second

// slow obeys the server: nothing goes out for d, and less afterwards.
func (b *budget) slow(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.fill(now)
	if until := now.Add(d); until.After(b.blocked) {
		b.blocked = until
	}
	if now.Sub(b.eased) >= time.Second { // one storm of refusals counts once
		b.speed, b.eased = max(b.speed*0.7, b.perSec/10), b.blocked
	}
	b.tokens = 0
}

// budgetOf returns the budget a path falls under, nil if none.
func (a *API) budgetOf(path string) *budget {
	var best *budget
	for _, b := range a.limits {
		if strings.HasPrefix(path, b.prefix) && (best == nil || len(b.prefix) > len(best.prefix)) {
			best = b
		}
	}
	return best
}
