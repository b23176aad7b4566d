package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/trace"
	"callbridge/store"
)

// writer puts what the core produced into the store: what came together while
// the last transaction was on its way goes into the next one, unless it is so
// much that a transaction would last long. What could not be stored stays in
// memory, in order, and is tried again.
type writer struct {
	log     *slog.Logger
	commit  func(context.Context, store.Batch) error
	metrics *metrics
	// stored is told, after the commit, which integrations have new work.
	stored func(map[string]bool)

	mu      sync.Mutex
	pending []*load // in order; only the last one grows
	trouble error
	wake    chan struct{}
	idle    *sync.Cond
	busy    bool
	giveUp  context.Context // set when the program ends: until then all is stored

	trace *trace.Tracer // nil: calls are not followed
}

// full is how many events a transaction has at most, about: a backlog is
// stored piece by piece, each of them whole.
const full = 4096

// load is what one transaction stores.
type load struct {
	store.Batch
	calls    map[string]int // index into Calls
	followed []handed       // what of it is followed
}

// handed is one thing that was given to the writer and is followed.
type handed struct {
	under trace.Mark
	at    time.Time
}

func newWriter(log *slog.Logger, m *metrics, commit func(context.Context, store.Batch) error, stored func(map[string]bool)) *writer {
	w := &writer{log: log, metrics: m, commit: commit, stored: stored, wake: make(chan struct{}, 1)}
	w.idle = sync.NewCond(&w.mu)
	return w
}

// add never blocks. follow are the spans of the calls in b whose way is followed.
func (w *writer) add(b store.Batch, follow ...trace.Mark) {
	w.mu.Lock()
	if n := len(w.pending); n == 0 || len(w.pending[n-1].Events) >= full {
		w.pending = append(w.pending, &load{calls: map[string]int{}})
	}
	p := w.pending[len(w.pending)-1]
	for _, m := range follow {
		p.followed = append(p.followed, handed{m, time.Now()})
	}
	p.Events = append(p.Events, b.Events...)
	for _, c := range b.Calls {
		if i, ok := p.calls[c.ID]; ok {
			p.Calls[i] = c // only the newest state of a call is written
			continue
		}
		p.calls[c.ID] = len(p.Calls)
		p.Calls = append(p.Calls, c)
	}
	if len(b.Merged) > 0 {
		if p.Merged == nil {
			p.Merged = map[string]string{}
		}
		maps.Copy(p.Merged, b.Merged)
	}
	p.Deliveries = append(p.Deliveries, b.Deliveries...)
	p.Plans = append(p.Plans, b.Plans...)
	w.metrics.backlog.Set(float64(w.waiting()))
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take returns what is to be stored next, nil if there is nothing.
func (w *writer) take() *load {
	w.mu.Lock()
	defer w.mu.Unlock()
	var next *load
	if !w.empty() {
		next = w.pending[0]
		w.pending = w.pending[1:]
	}
	w.busy = next != nil
	w.metrics.backlog.Set(float64(w.waiting()))
	if next == nil {
		w.idle.Broadcast()
	}
	return next
}

// waiting is how many events wait to be stored. The lock is held.
func (w *writer) waiting() int {
	n := 0
	for _, p := range w.pending {
		n += len(p.Events)
	}
	return n
}

// hasWork says whether there is anything to commit: calls come with their
// events, deliveries may come alone.
func hasWork(b *store.Batch) bool { return len(b.Events)+len(b.Deliveries) > 0 }

// run commits until ctx ends, and then what is left, as long as finish allows.
func (w *writer) run(ctx context.Context) {
	for {
		if next := w.take(); next != nil {
			if !w.store(ctx, next) {
				w.putBack(next)
				return
			}
			continue
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			if next := w.take(); next != nil {
				w.putBack(next) // it came in this moment
				continue
			}
			return
		}
	}
}

// putBack makes next the first to be stored again.
func (w *writer) putBack(next *load) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append([]*load{next}, w.pending...)
	w.busy = false
	w.idle.Broadcast()
}

// finish says how long what is left may still be stored once run's context
// has ended.
func (w *writer) finish(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.giveUp = ctx
	w.idle.Broadcast()
}

// until is the end of all patience: nil while there is none.
func (w *writer) until() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.giveUp
}

// store commits next, however long it takes. It gives up only when the program
// ends and its time is over.
func (w *writer) store(ctx context.Context, next *load) bool {
	wait := 100 * time.Millisecond
	for {
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		if end := w.until(); end != nil {
			stop := context.AfterFunc(end, cancel)
			defer stop()
		}
		err := w.commit(cctx, next.Batch)
		cancel()
		if err == nil {
			for _, f := range next.followed {
				w.trace.Past(trace.At(ctx, f.under), "store", f.at, time.Now(), trace.Number("events", len(next.Events)))
			}
			w.done(next.Batch)
			return true
		}
		w.metrics.commitFails.Inc()
		w.setTrouble(err)
		if wait == 100*time.Millisecond {
			w.log.Error("events could not be stored; they stay in memory and are tried again", "events", len(next.Events), "err", err)
		}
		over := make(<-chan struct{})
		if end := w.until(); end != nil {
			over = end.Done()
		}
		select {
		case <-over:
			return false
		case <-time.After(wait):
			wait = min(wait*2, 5*time.Second)
		}
	}
}

// left says what could not be stored before the program ended; nil is nothing.
func (w *writer) left() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.waiting(); n > 0 {
		return fmt.Errorf("%d events could not be stored before the end; the next start asks the PBX and its call log what happened: %w", n,
			cmp.Or(w.trouble, errors.New("there was no time left")))
	}
	return nil
}

func (w *writer) done(b store.Batch) {
	w.setTrouble(nil)
	touched := map[string]bool{}
	for _, d := range b.Deliveries {
		if d.State == bridge.Waiting {
			touched[d.Integration] = true
		}
	}
	if len(touched) > 0 {
		w.stored(touched)
	}
	w.mu.Lock()
	w.busy = false
	if w.empty() {
		w.idle.Broadcast()
	}
	w.mu.Unlock()
}

// empty says that nothing is to be stored. The lock is held.
func (w *writer) empty() bool {
	return len(w.pending) == 0 || len(w.pending) == 1 && !hasWork(&w.pending[0].Batch)
}

func (w *writer) setTrouble(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && w.trouble != nil {
		w.log.Info("events are stored again")
	}
	w.trouble = err
}

// state returns how many events wait to be stored, and the trouble if any.
func (w *writer) state() (waiting int, trouble error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting(), w.trouble
}

// flush waits until everything added so far is stored, or until the program
// has to end without that.
func (w *writer) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for (w.busy || !w.empty()) && w.giveUp == nil {
		w.idle.Wait()
	}
}
