package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

// Worker delivers to one integration. Different integrations have different
// workers, so that the trouble of one never delays another (F-16).
type Worker struct {
	target Target
	store  Store
	obs    Observer
	log    *slog.Logger
	now    func() time.Time
	slots  int
	idle   atomic.Int64

	wake  chan struct{}
	freed chan struct{}

	mu      sync.Mutex
	paused  time.Time // rate limited until then
	held    bool      // credentials refused: nothing is tried any more
	backlog int       // slots taken by deliveries of a backlog
	flying  map[int64]bool
	pen     pen
}

// NewWorker makes a worker; slots is how many clients are served side by side.
func NewWorker(t Target, s Store, obs Observer, log *slog.Logger, now func() time.Time, slots int) *Worker {
	w := &Worker{target: t, store: s, obs: obs, now: now, slots: max(slots, 1),
		log:  log.With("integration", t.Settings.ID),
		wake: make(chan struct{}, 1), freed: make(chan struct{}, 1), flying: map[int64]bool{}}
	w.LookAgain(idle)
	return w
}

// Wake tells the worker that there is something new to do. It never blocks.
func (w *Worker) Wake() { poke(w.wake) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// idle is how long the worker sleeps when nothing at all is waiting. What
// another process makes due (callbridge deliveries retry) waits at most this.
const idle = 3 * time.Second

// LookAgain changes that time: for worlds in which weeks pass.
func (w *Worker) LookAgain(every time.Duration) { w.idle.Store(int64(every)) }

// Run works until ctx ends or the credentials are refused. It returns after
// the attempts under way have been written down.
func (w *Worker) Run(ctx context.Context) {
	busy := make(chan struct{}, w.slots)
	var wg sync.WaitGroup
	defer func() { wg.Wait(); w.emptyPen(context.WithoutCancel(ctx)) }()
	for ctx.Err() == nil && !w.isHeld() {
		wait := w.pauseLeft()
		if wait <= 0 {
			free := w.slots - len(busy)
			rows, err := w.claim(ctx, free)
			w.took(rows, 1)
			if err != nil {
				if ctx.Err() != nil {
					return
				}
				w.log.Error("deliveries cannot be read; trying again", "err", err)
				wait = 2 * time.Second
			}
			for _, d := range rows {
				busy <- struct{}{}
				wg.Go(func() {
					defer func() { w.took([]bridge.Delivery{d}, -1); <-busy; poke(w.freed) }()
					w.serve(ctx, d)
				})
			}
			if batch := w.ripe(ctx, len(rows) == 0 && w.backlogRuns() == 0); len(batch) > 0 {
				wg.Go(func() {
					defer poke(w.freed)
					w.send(ctx, batch)
				})
			}
			if err == nil {
				if len(rows) > 0 && len(rows) == free {
					wait = -1 // all slots taken: only a freed one helps
				} else {
					wait = w.untilDue(ctx)
				}
			}
		}
		if due, ok := w.penDue(); ok && (wait < 0 || due < wait) {
			wait = due
		}
		if !w.sleep(ctx, wait) {
			return
		}
	}
}

func (w *Worker) claim(ctx context.Context, n int) ([]bridge.Delivery, error) {
	if n <= 0 {
		return nil, nil
	}
	w.mu.Lock()
	backlog := w.slots - w.reserve() - w.backlog
	w.mu.Unlock()
	rows, err := w.store.ClaimUpTo(ctx, w.target.Settings.ID, w.now(), lease, n, max(backlog, 0))
	return slices.DeleteFunc(rows, func(d bridge.Delivery) bool { return !w.takeOff(d.ID) }), err
}

// takeOff marks a delivery as under way. It is false for one that we are
// carrying out at this moment: a clock that was set forward ends leases of the
// living, and what they do must not be done twice.
func (w *Worker) takeOff(id int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flying[id] {
		return false
	}
	w.flying[id] = true
	return true
}

func (w *Worker) landed(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.flying, id)
}

func (w *Worker) backlogRuns() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.backlog
}

// reserve is how many slots a backlog leaves free for fresh deliveries (F-15).
func (w *Worker) reserve() int { return w.slots / 4 }

// took counts slots taken (by 1) or freed (by -1) by deliveries of a backlog.
func (w *Worker) took(rows []bridge.Delivery, by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range rows {
		if r.Backlog {
			w.backlog += by
		}
	}
}

func (w *Worker) untilDue(ctx context.Context) time.Duration {
	at, ok, err := w.store.NextDue(ctx, w.target.Settings.ID)
	if err != nil || !ok {
		return time.Duration(w.idle.Load())
	}
	d := at.Sub(w.now())
	if d <= 0 {
		// Due, yet not claimed: an earlier row of the same client is under
		// way, and its end wakes us.
		d = time.Second
	}
	return min(d, time.Duration(w.idle.Load()))
}

// sleep waits for d (or only for a freed slot if d < 0), a wake-up or the end.
func (w *Worker) sleep(ctx context.Context, d time.Duration) bool {
	var timer <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	wake := w.wake
	if d < 0 {
		wake = nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-w.freed:
	case <-timer:
	}
	return true
}

func (w *Worker) isHeld() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held
}

// Held says that the credentials were refused: the worker has ended, and
// nothing may be asked of the CRM until the integration is activated again.
func (w *Worker) Held() bool { return w.isHeld() }

// errClosed is why a request was not sent.
var errClosed = errors.New("the CRM refused the credentials a moment ago")

// Gate is for crm.WithGate: it lets requests pass until the credentials are
// refused, so that those under way stop before their next request.
func (w *Worker) Gate() error {
	if w.isHeld() {
		return errClosed
	}
	return nil
}

// Refuse holds the integration because a request outside of deliveries, such
// as a look-up for a card, found the credentials refused. Every other error is
// ignored.
func (w *Worker) Refuse(ctx context.Context, op string, err error) {
	if err == nil || fault.KindOf(err) != fault.Auth || errors.Is(err, errClosed) {
		return
	}
	w.hold(context.WithoutCancel(ctx), clip(err.Error(), 500), "op", op)
	poke(w.freed) // the worker may sleep
}

// hold stops everything against the CRM and stores the hold, once.
func (w *Worker) hold(ctx context.Context, reason string, what ...any) {
	w.mu.Lock()
	first := !w.held
	w.held = true
	w.mu.Unlock()
	if !first {
		return
	}
	w.log.Error("the CRM refuses the credentials; everything is held until the integration is activated again", append(what, "err", reason)...)
	id := w.target.Settings.ID
	if err := w.store.HoldIntegration(ctx, id, w.now(), reason); err != nil {
		w.log.Error("the hold could not be stored", "err", err)
	}
	w.obs.Held(id, "auth")
}

func (w *Worker) pauseLeft() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.paused.Sub(w.now())
}

// serve makes an attempt, and then what is to be done next for the same client.
func (w *Worker) serve(ctx context.Context, d bridge.Delivery) {
	for next := &d; next != nil; {
		id := next.ID
		next = w.one(ctx, *next)
		w.landed(id)
		if next != nil && !w.takeOff(next.ID) {
			return
		}
	}
}

// one makes one attempt and writes down what became of it. It returns what is
// to be done next for the same client, if it may go on with that.
func (w *Worker) one(ctx context.Context, d bridge.Delivery) *bridge.Delivery {
	began := w.now()
	if w.isHeld() {
		// Refused while this row was on its way to us: give it back untried.
		d.State, d.LeaseUntil = bridge.Held, bridge.Time{}
		d.Note = heldNote
		w.finish(ctx, d)
		return nil
	}
	trace := &crm.Trace{}
	ctx, end := w.follow(ctx, &d)
	marked := crm.WithGate(crm.WithTrace(ctx, trace), w.Gate)
	if d.Backlog {
		marked = crm.WithPriority(marked, crm.Backfill)
	}
	actx, cancel := context.WithTimeout(crm.WithRequestID(marked, requestID(&d)), attemptLimit)
	row, err := w.perform(actx, d)
	cancel()
	if errors.Is(err, errPenned) {
		end(bridge.Waiting, "")
		return nil
	}
	return w.close(ctx, row, err, trace, began, end)
}

// ending is told what became of an attempt.
type ending func(state bridge.DeliveryState, kind string)

// follow tells who wants to know that an attempt begins.
func (w *Worker) follow(ctx context.Context, d *bridge.Delivery) (context.Context, ending) {
	if w.target.Follow == nil {
		return ctx, func(bridge.DeliveryState, string) {}
	}
	return w.target.Follow(ctx, d)
}

const heldNote = "credentials refused: held until the integration is active again"

// close writes down what became of an attempt, and what follows for others. It
// returns what is to be done next for the same client, if that is free to go.
func (w *Worker) close(ctx context.Context, row bridge.Delivery, err error, trace *crm.Trace, began time.Time, end ending) *bridge.Delivery {
	now := w.now()
	d := row
	if fault.IsStopped(ctx, err) {
		// The program is stopping. What was sent may have been done.
		d.State, d.Look = bridge.Waiting, true
		d.NextAt, d.LeaseUntil = bridge.At(now), bridge.Time{}
		w.finish(ctx, d)
		end(d.State, "stopped")
		return nil
	}
	v := judge(row, err, now)
	w.apply(ctx, v)
	// Both together share one transaction, and one wait for the disk.
	var both sync.WaitGroup
	both.Go(func() { w.record(ctx, v.row, trace, began, now) })
	var next *bridge.Delivery
	if ctx.Err() != nil || w.isHeld() || w.pauseLeft() > 0 {
		w.finish(ctx, v.row)
	} else {
		next = w.finishNext(ctx, v.row)
	}
	both.Wait()
	result := string(v.row.State)
	if err != nil {
		result = v.row.ErrorKind
	}
	w.obs.Delivered(d.Integration, d.Action.Kind, result, now.Sub(began))
	end(v.row.State, v.row.ErrorKind)
	return next
}

// apply carries out what a verdict means beyond its own row.
func (w *Worker) apply(ctx context.Context, v verdict) {
	ctx = context.WithoutCancel(ctx)
	id := w.target.Settings.ID
	switch {
	case v.hold:
		w.hold(ctx, v.row.Error, "call", v.row.CallID, "action", v.row.Action.Kind)
	case v.holdKind:
		w.log.Error("a right is missing in the CRM; actions of this kind are held", "action", v.row.Action.Kind, "err", v.row.Error)
		if err := w.store.HoldKind(ctx, id, v.row.Action.Kind, v.row.Error); err != nil {
			w.log.Error("the hold could not be stored", "err", err)
		}
		w.obs.Held(id, "forbidden")
	case v.pause > 0 && !v.row.Backlog: // a backlog out of turn does not stop the others; the budget does if it must
		w.mu.Lock()
		if until := w.now().Add(v.pause); until.After(w.paused) {
			w.paused = until
		}
		w.mu.Unlock()
	case v.forgotten:
		if err := w.target.Book.Forget(ctx, bridge.Number(v.row.Client)); err != nil {
			w.log.Error("a contact that is gone could not be forgotten", "err", err)
		}
	}
	if v.row.State == bridge.Refused {
		// What the CRM said stands in the ledger: it may name the client.
		w.log.Warn("refused by the CRM; kept for repair", "call", v.row.CallID, "action", v.row.Action.Kind, "kind", v.row.ErrorKind,
			"delivery", v.row.ID, "request", requestID(&v.row))
	}
}

// requestID names an attempt's requests to the CRM after the row of the ledger.
func requestID(d *bridge.Delivery) string { return fmt.Sprintf("cb-delivery-%d", d.ID) }

// finish writes the row even while the program stops. If that fails, the lease
// runs out and the row is taken again, looking first.
func (w *Worker) finish(ctx context.Context, d bridge.Delivery) {
	fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := w.store.Finish(fctx, d); err != nil {
		w.log.Error("an outcome could not be stored; the action will be looked up and tried again",
			"call", d.CallID, "action", d.Action.Kind, "err", err)
	}
}

// finishNext is finish for a row after which the client's next may follow.
func (w *Worker) finishNext(ctx context.Context, d bridge.Delivery) *bridge.Delivery {
	fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	next, err := w.store.FinishNext(fctx, d, w.now(), lease)
	if err != nil {
		w.log.Error("an outcome could not be stored; the action will be looked up and tried again",
			"call", d.CallID, "action", d.Action.Kind, "err", err)
	}
	return next
}

func (w *Worker) record(ctx context.Context, d bridge.Delivery, trace *crm.Trace, began, now time.Time) {
	ex := trace.Exchanges()
	if len(ex) == 0 && d.Error == "" {
		return
	}
	fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := w.store.AddAttempt(fctx, Attempt{DeliveryID: d.ID, N: d.Attempts, At: began, Took: now.Sub(began),
		Trace: ex, ErrorKind: d.ErrorKind, Error: d.Error})
	if err != nil {
		w.log.Warn("the trace of an attempt could not be stored", "call", d.CallID, "err", err)
	}
}
