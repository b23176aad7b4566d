package deliver

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

// pen holds calls of a backlog until enough are together for one request. A
// call in the pen takes no slot, so that the work before and after it goes on.
type pen struct {
	since time.Time // the first of them came
	rows  []penned
	last  time.Time // calls up to here are not waited for any more
}

// penned is a call that is ready to be sent.
type penned struct {
	job   *job
	keyed crm.KeyedCall
	began time.Time
}

const (
	// penWait is how long a call waits for others.
	penWait = 3 * time.Second
	// penLimit is how long later calls wait for an earlier one that does not come,
	// because something before it has failed.
	penLimit = 15 * time.Second
)

// order says which call of a backlog is to be sent next; a store that can tell
// keeps the CRM's history in the order of the calls.
type order interface {
	// NextBacklogCall is the start of the earliest call after a time that waits
	// in the backlog, besides the rows given; ok is false if there is none.
	NextBacklogCall(ctx context.Context, integration string, after time.Time, besides []int64) (at time.Time, ok bool, err error)
}

// batches returns the client's way to log many calls at once, nil if it has none.
func (w *Worker) batches(d bridge.Delivery) crm.BatchLogger {
	if !d.Backlog || d.Action.Kind != bridge.ActCall {
		return nil
	}
	b, ok := w.target.Client.(crm.BatchLogger)
	if !ok || b.BatchSize() < 2 {
		return nil
	}
	return b
}

// errPenned says that a call was put into the pen and goes on from there.
var errPenned = errors.New("waits for others")

// pennedUp puts a call that is ready into the pen.
func (w *Worker) pennedUp(j *job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pen.rows) == 0 {
		w.pen.since = w.now()
	}
	w.pen.rows = append(w.pen.rows, penned{job: j, keyed: crm.KeyedCall{Key: j.key(), Record: j.record()}, began: w.now()})
	return errPenned
}

// penDue is how long the pen can still wait; ok is false if it is empty.
func (w *Worker) penDue() (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pen.rows) == 0 {
		return 0, false
	}
	return max(w.pen.since.Add(penWait).Sub(w.now()), 50*time.Millisecond), true
}

// ripe takes out of the pen what is to be sent now, oldest call first: no call
// before one that started earlier and is still on its way. quiet says that
// nothing more will come by itself.
func (w *Worker) ripe(ctx context.Context, quiet bool) []penned {
	w.mu.Lock()
	rows, since, last, size := slices.Clone(w.pen.rows), w.pen.since, w.pen.last, 1
	w.mu.Unlock()
	if len(rows) == 0 {
		return nil
	}
	if b := w.batches(rows[0].job.row); b != nil {
		size = b.BatchSize()
	}
	age := w.now().Sub(since)
	if len(rows) < size && !quiet && age < penWait {
		return nil
	}
	slices.SortStableFunc(rows, func(a, b penned) int {
		return cmp.Or(a.job.call.StartedAt.Compare(b.job.call.StartedAt.Time), cmp.Compare(a.job.row.ID, b.job.row.ID))
	})
	n := len(rows)
	if o, ok := w.store.(order); ok {
		ids := make([]int64, len(rows))
		for i, r := range rows {
			ids[i] = r.job.row.ID
		}
		at, more, err := o.NextBacklogCall(ctx, w.target.Settings.ID, last, ids)
		switch {
		case err != nil || !more:
		case age >= penLimit:
			last = at // it does not come: the others go without it
		default:
			n, _ = slices.BinarySearchFunc(rows, at, func(p penned, t time.Time) int {
				if p.job.call.StartedAt.After(t) {
					return 1
				}
				return -1
			})
		}
	}
	out := rows[:min(n, size)]
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pen.last = last
	w.pen.rows = slices.DeleteFunc(w.pen.rows, func(p penned) bool {
		return slices.ContainsFunc(out, func(o penned) bool { return o.job == p.job })
	})
	if len(out) > 0 {
		w.pen.since = w.now()
	}
	return out
}

// send carries out a batch and writes down what became of each call.
func (w *Worker) send(ctx context.Context, rows []penned) {
	if w.isHeld() {
		w.giveBack(ctx, rows)
		return
	}
	b := w.batches(rows[0].job.row)
	trace := &crm.Trace{}
	began := w.now()
	actx, cancel := context.WithTimeout(crm.WithPriority(crm.WithGate(crm.WithTrace(ctx, trace), w.Gate), crm.Backfill), attemptLimit)
	calls, ends := make([]crm.KeyedCall, len(rows)), make([]ending, len(rows))
	for i, r := range slices.Backward(rows) {
		calls[i] = r.keyed
		fctx, end := w.follow(actx, &r.job.row)
		if ends[i] = end; i == 0 {
			actx = fctx // the one request for all of them is followed with the first
		}
	}
	made, err := b.LogCalls(actx, calls)
	cancel()
	if err == nil && len(made) != len(rows) {
		err = fault.New(fault.Uncertain, "log calls", "%d answers for %d calls", len(made), len(rows))
	}
	if err != nil && len(rows) > 1 && fault.KindOf(err) == fault.Invalid {
		// One of them is refused, and so all are: each for itself then.
		for i, r := range rows {
			ends[i](bridge.Waiting, fault.Invalid.String())
			w.send(ctx, []penned{r})
		}
		return
	}
	for i, r := range rows {
		err := err
		if not, ok := errors.AsType[*crm.NotKept](err); ok {
			err = r.job.skip("%s", not.Why)
		} else if err == nil {
			r.job.made(made[i])
		}
		w.close(ctx, r.job.close(err), err, trace, began, ends[i])
	}
}

// giveBack returns calls of the pen untried: the worker ends.
func (w *Worker) giveBack(ctx context.Context, rows []penned) {
	for _, r := range rows {
		d := r.job.row
		d.State, d.NextAt, d.LeaseUntil = bridge.Waiting, bridge.At(w.now()), bridge.Time{}
		if w.isHeld() {
			d.State, d.Note = bridge.Held, heldNote
		}
		w.finish(ctx, d)
	}
}

// emptyPen gives everything in the pen back.
func (w *Worker) emptyPen(ctx context.Context) {
	w.mu.Lock()
	rows := w.pen.rows
	w.pen.rows = nil
	w.mu.Unlock()
	w.giveBack(ctx, rows)
}
