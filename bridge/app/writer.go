package app

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/trace"
	"callbridge/store"
)

// writer puts what the core produced into the store: everything that came
// together while the last transaction was on its way goes into the next one.
// What could not be stored stays in memory, in order, and is tried again.
type writer struct {
	log     *slog.Logger
	commit  func(context.Context, store.Batch) error
	metrics *metrics
	// stored is told, after the commit, which integrations have new work.
	stored func(map[string]bool)

	mu      sync.Mutex
	pending store.Batch
	calls   map[string]int // index into pending.Calls
	trouble error
	wake    chan struct{}
	idle    *sync.Cond
	busy    bool

	trace    *trace.Tracer // nil: calls are not followed
	followed []handed      // what of pending is followed
}

// handed is one thing that was given to the writer and is followed.
type handed struct {
	under trace.Mark
	at    time.Time
}

func newWriter(log *slog.Logger, m *metrics, commit func(context.Context, store.Batch) error, stored func(map[string]bool)) *writer {
	w := &writer{log: log, metrics: m, commit: commit, stored: stored, calls: map[string]int{}, wake: make(chan struct{}, 1)}
	w.idle = sync.NewCond(&w.mu)
	return w
}

// add never blocks. follow are the spans of the calls in b whose way is followed.
func (w *writer) add(b store.Batch, follow ...trace.Mark) {
	w.mu.Lock()
	for _, m := range follow {
		w.followed = append(w.followed, handed{m, time.Now()})
	}
	p := &w.pending
	p.Events = append(p.Events, b.Events...)
	for _, c := range b.Calls {
		if i, ok := w.calls[c.ID]; ok {
			p.Calls[i] = c // only the newest state of a call is written
			continue
		}
		w.calls[c.ID] = len(p.Calls)
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
	w.metrics.backlog.Set(float64(len(p.Events)))
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer) take() (store.Batch, []handed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, followed := w.pending, w.followed
	w.pending, w.followed = store.Batch{}, nil
	w.calls = map[string]int{}
	w.busy = hasWork(&b)
	w.metrics.backlog.Set(0)
	if !w.busy {
		w.idle.Broadcast()
	}
	return b, followed
}

// hasWork says whether there is anything to commit: calls come with their
// events, deliveries may come alone.
func hasWork(b *store.Batch) bool { return len(b.Events)+len(b.Deliveries) > 0 }

// run commits until ctx ends, and then what is left, for at most five seconds.
func (w *writer) run(ctx context.Context) {
	for {
		b, followed := w.take()
		if hasWork(&b) {
			if !w.store(ctx, b, followed) {
				return
			}
			continue
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			if b, followed := w.take(); hasWork(&b) {
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
				w.store(last, b, followed)
				cancel()
			}
			return
		}
	}
}

// store commits b, however long it takes. It gives up only when the program
// ends, with one last try.
func (w *writer) store(ctx context.Context, b store.Batch, followed []handed) bool {
	wait := 100 * time.Millisecond
	for {
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		err := w.commit(cctx, b)
		cancel()
		if err == nil {
			for _, f := range followed {
				w.trace.Past(trace.At(ctx, f.under), "store", f.at, time.Now(), trace.Number("events", len(b.Events)))
			}
			w.done(b)
			return true
		}
		w.metrics.commitFails.Inc()
		w.setTrouble(err)
		if wait == 100*time.Millisecond {
			w.log.Error("events could not be stored; they stay in memory and are tried again", "events", len(b.Events), "err", err)
		}
		select {
		case <-ctx.Done():
			w.log.Error("stopping with events that could not be stored", "events", len(b.Events), "err", err)
			return false
		case <-time.After(wait):
			wait = min(wait*2, 5*time.Second)
		}
	}
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
	if !hasWork(&w.pending) {
		w.idle.Broadcast()
	}
	w.mu.Unlock()
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
	return len(w.pending.Events), w.trouble
}

// flush waits until everything added so far is stored.
func (w *writer) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.busy || hasWork(&w.pending) {
		w.idle.Wait()
	}
}
