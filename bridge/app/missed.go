package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"callbridge/bridge"
	"callbridge/bridge/missed"
	"callbridge/bridge/rules"
	"callbridge/bridge/track"
	"callbridge/bridge/web"
	"callbridge/store"
)

// returns keeps the list of clients who wait to be called back (F-6). Calls
// come to it when they are over; what it missed while the program was down it
// finds in the store.
type returns struct {
	a *App

	mu    sync.Mutex
	queue []bridge.Call
	wake  chan struct{}
}

func newReturns(a *App) *returns { return &returns{a: a, wake: make(chan struct{}, 1)} }

// changed is called by the core for every change of a call; it never blocks.
func (r *returns) changed(ch *track.Change) {
	if !ch.Changed() || !missed.Matters(&ch.Call) {
		return
	}
	r.mu.Lock()
	r.queue = append(r.queue, ch.Call)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *returns) take() []bridge.Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queue
	r.queue = nil
	return q
}

// lookBack is how far before the last moment known to be settled calls are
// looked at again after a start: longer than a call lasts.
const lookBack = 3 * time.Hour

// run settles calls until ctx ends.
func (r *returns) run(ctx context.Context) {
	r.persist(ctx, "calls from before the start", func() error { return r.catchUp(ctx) })
	mark := time.NewTicker(time.Minute)
	defer mark.Stop()
	for {
		began := time.Now()
		calls := r.take()
		if len(calls) > 0 {
			r.a.writer.flush() // deliveries are planned for calls that are stored
		}
		r.settleAll(ctx, calls)
		if ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-mark.C:
			r.persist(ctx, "the mark", func() error { return r.a.db.SetMissedUntil(ctx, began) })
		}
	}
}

// sideBySide is how many clients are settled, and how many files looked at, at
// once: what they write shares a transaction.
const sideBySide = 16

// settleAll settles the calls of each client in their order, and clients side
// by side.
func (r *returns) settleAll(ctx context.Context, calls []bridge.Call) {
	byClient := map[bridge.Number][]int{}
	for i := range calls {
		byClient[calls[i].Client] = append(byClient[calls[i].Client], i)
	}
	var g errgroup.Group
	g.SetLimit(sideBySide)
	for _, list := range byClient {
		g.Go(func() error {
			for _, i := range list {
				r.persist(ctx, "a call", func() error { return r.settle(ctx, &calls[i]) })
			}
			return nil
		})
	}
	_ = g.Wait() // none of them returns an error: persist repeats
}

// persist repeats until it works or the program ends.
func (r *returns) persist(ctx context.Context, what string, do func() error) {
	for wait := time.Second; ctx.Err() == nil; wait = min(2*wait, time.Minute) {
		err := do()
		if err == nil || ctx.Err() != nil {
			return
		}
		r.a.log.Warn("the list of clients to call back could not be kept; it is tried again", "what", what, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// catchUp settles what ended and was not settled before the program stopped.
func (r *returns) catchUp(ctx context.Context) error {
	until, err := r.a.db.MissedUntil(ctx)
	if err == nil && until.IsZero() { // a new database, or one from before this list
		return r.a.db.SetMissedUntil(ctx, time.Now())
	}
	if err != nil {
		return err
	}
	var all []bridge.Call
	f := store.CallFilter{From: until.Add(-lookBack), Limit: 1000}
	for {
		page, next, err := r.a.db.Calls(ctx, f)
		if err != nil {
			return err
		}
		all = append(all, page...)
		if f.Before = next; next == "" {
			break
		}
	}
	for i := len(all) - 1; i >= 0; i-- { // the oldest first
		if missed.Matters(&all[i]) {
			if err := r.settle(ctx, &all[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle does what one ended call means for the list. Again changes nothing.
func (r *returns) settle(ctx context.Context, c *bridge.Call) error {
	clients, err := r.a.db.SameContact(ctx, c.Client)
	if err != nil {
		return err
	}
	f := missed.Facts{Due: r.due(c)}
	if f.Open, err = r.a.db.MissedOf(ctx, clients); err != nil {
		return err
	}
	if c.Outcome == bridge.Missed {
		if f.Counted, err = r.a.db.MissedCounted(ctx, c.ID); err != nil {
			return err
		}
		talk, err := r.a.db.TalkedAfter(ctx, clients, c.StartedAt)
		if err != nil {
			return err
		}
		f.TalkedAt = talk.AnsweredAt
	}
	return r.save(ctx, missed.Apply(c, f))
}

// due is the deadline by the integration that has the call's line: the
// earliest, if several do.
func (r *returns) due(c *bridge.Call) func(time.Time) time.Time {
	return func(t time.Time) time.Time {
		var first time.Time
		for _, in := range r.a.plan.Load().integrations {
			s := in.settings
			if s.Calls.Missed == nil || s.Calls.Missed.Within == 0 || !in.active || !rules.OnLine(s.Lines, c.Line) {
				continue
			}
			if at := s.WorkingHours.Add(t, time.Duration(s.Calls.Missed.Within), in.zone); first.IsZero() || at.Before(first) {
				first = at
			}
		}
		return first
	}
}

// save writes entries, and with those that are closed the deliveries that
// close their tasks.
func (r *returns) save(ctx context.Context, entries []bridge.MissedEntry) error {
	if len(entries) == 0 {
		return nil
	}
	var b store.Batch
	touched := map[string]bool{}
	for _, e := range entries {
		if !e.ClosedAt.IsZero() {
			if err := r.closing(ctx, e, &b, touched); err != nil {
				return err
			}
		}
	}
	if err := r.a.db.SaveMissed(ctx, entries, b); err != nil {
		return err
	}
	if len(touched) > 0 {
		r.a.wakeTargets(touched)
	}
	return nil
}

func (r *returns) closing(ctx context.Context, e bridge.MissedEntry, b *store.Batch, touched map[string]bool) error {
	who := e.ClosedBy
	if name := r.a.employee(who); name != "" {
		who = name
	}
	now := bridge.At(time.Now())
	p := r.a.plan.Load()
	for _, id := range e.Calls {
		rows, err := r.a.db.Deliveries(ctx, store.DeliveryFilter{CallID: id, Kind: bridge.ActTask})
		if err != nil {
			return err
		}
		for _, in := range p.integrations {
			if m := in.settings.Calls.Missed; m != nil && m.KeepTasks {
				continue
			}
			var keys []string
			for _, row := range rows {
				if row.Integration != in.settings.ID || !row.Action.Wanted || row.State == bridge.Skipped {
					continue
				}
				a := rules.CloseTask(row.Action, e, who, p.version)
				d := bridge.Delivery{Integration: row.Integration, CallID: id, Client: row.Client, Action: a, RuleVersion: p.version,
					State: bridge.Waiting, CreatedAt: now, NextAt: now}
				if !in.active {
					d.State, d.Note = bridge.Held, in.off
				}
				b.Deliveries = append(b.Deliveries, d)
				keys = append(keys, a.Key)
				touched[row.Integration] = true
			}
			if len(keys) > 0 {
				b.Plans = append(b.Plans, store.Plan{CallID: id, Integration: in.settings.ID, Trigger: bridge.OnReturn,
					RuleVersion: p.version, Keys: keys, Day: now.In(in.zone).Format(time.DateOnly)})
			}
		}
	}
	return nil
}

// Open returns those who wait to be called back, the most urgent first;
// extension "" gives all, else those whom that phone is to call.
func (r *returns) Open(ctx context.Context, extension string) ([]bridge.MissedEntry, error) {
	all, err := r.a.db.OpenMissed(ctx, 500)
	if err != nil || extension == "" {
		return all, err
	}
	var out []bridge.MissedEntry
	for _, e := range all {
		if missed.MayCall(&e, extension) {
			out = append(out, e)
		}
	}
	return out, nil
}

// Closed returns the entries closed since then, the latest first.
func (r *returns) Closed(ctx context.Context, since time.Time) ([]bridge.MissedEntry, error) {
	return r.a.db.ClosedMissed(ctx, since, 500)
}

// Close closes an entry by hand; one that is closed stays as it is.
func (r *returns) Close(ctx context.Context, id, extension, login string) (bridge.MissedEntry, error) {
	e, err := r.a.db.Missed(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && extension != "" && !missed.MayCall(&e, extension) {
		return e, web.ErrNotFound
	}
	if err != nil || !e.ClosedAt.IsZero() {
		return e, err
	}
	e = missed.ByHand(e, login, bridge.At(time.Now()))
	return e, r.save(ctx, []bridge.MissedEntry{e})
}
