package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"callbridge/bridge"
	"callbridge/bridge/rules"
	"callbridge/bridge/track"
	"callbridge/pbx"
	"callbridge/store"
)

// recorder waits for the sound files of calls until they are complete, however
// long that takes and whatever is restarted meanwhile (D-13). Nobody gets a
// link before; who got the call without one gets it later.
type recorder struct {
	a *App

	mu    sync.Mutex
	queue []bridge.Call
	wake  chan struct{}
}

func newRecorder(a *App) *recorder { return &recorder{a: a, wake: make(chan struct{}, 1)} }

// looks is when a file is looked at again: soon at first, then rarely. The
// last one is repeated until recordingPatience is over.
var looks = []time.Duration{700 * time.Millisecond, 700 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second,
	2 * time.Minute, 10 * time.Minute, time.Hour}

const (
	recordingPatience = 3 * 24 * time.Hour
	// recordingHead is how long the call's own record waits for the file, so
	// that most calls arrive in the CRM with their link.
	recordingHead = 2500 * time.Millisecond
	// recordingLook bounds one look at a file.
	recordingLook = 10 * time.Second
)

// wants says whether a call has sound files that may come.
func (r *recorder) wants(c *bridge.Call) bool {
	return c.Outcome == bridge.Answered && len(c.Recordings) > 0 && r.source(c.PBX) != nil
}

func (r *recorder) source(id string) pbx.Recordings {
	if p := r.a.pbx(id); p != nil {
		if src, ok := p.stream.(pbx.Recordings); ok {
			return src
		}
	}
	return nil
}

// changed is called by the core for every change of a call; it never blocks.
func (r *recorder) changed(ch *track.Change) {
	if !ch.Changed() || !r.wants(&ch.Call) {
		return
	}
	r.mu.Lock()
	r.queue = append(r.queue, ch.Call)
	r.mu.Unlock()
	r.rouse()
}

func (r *recorder) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// delay is how long the record of a call waits for its file.
func (r *recorder) delay(c *bridge.Call, kind bridge.ActionKind) time.Duration {
	if kind != bridge.ActCall || r.a.cfg.PublicURL == "" || !r.wants(c) || time.Since(c.EndedAt.Time) > time.Minute {
		return 0
	}
	return recordingHead
}

func (r *recorder) run(ctx context.Context) {
	if err := r.catchUp(ctx); err != nil && ctx.Err() == nil {
		r.a.log.Warn("calls from before the start could not be looked through for recordings", "err", err)
	}
	for ctx.Err() == nil {
		wait, err := r.round(ctx)
		if err != nil && ctx.Err() == nil {
			r.a.log.Warn("recordings could not be awaited; it is tried again", "err", err)
			wait = 5 * time.Second
		}
		t := time.NewTimer(max(wait, 50*time.Millisecond))
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// round takes new calls, looks at what is due, and says when to come again.
func (r *recorder) round(ctx context.Context) (time.Duration, error) {
	r.mu.Lock()
	calls := r.queue
	r.queue = nil
	r.mu.Unlock()
	if err := r.a.db.AwaitRecordings(ctx, calls, time.Now().Add(looks[0])); err != nil {
		r.mu.Lock()
		r.queue = append(calls, r.queue...)
		r.mu.Unlock()
		return 0, err
	}
	due, err := r.a.db.DueRecordings(ctx, time.Now(), 200)
	if err != nil {
		return 0, err
	}
	if err := r.lookAll(ctx, due); err != nil || ctx.Err() != nil {
		return 0, err
	}
	next, err := r.a.db.NextRecording(ctx)
	if err != nil || next.IsZero() {
		return time.Hour, err
	}
	return time.Until(next), nil
}

// catchUp finds calls that ended while nobody waited for their files.
func (r *recorder) catchUp(ctx context.Context) error {
	until, err := r.a.db.MissedUntil(ctx)
	if err != nil {
		return err
	}
	if until.IsZero() { // the program has hardly lived yet
		until = time.Now()
	}
	f := store.CallFilter{From: until.Add(-lookBack), Outcome: bridge.Answered, Limit: 1000}
	for {
		page, next, err := r.a.db.Calls(ctx, f)
		if err != nil {
			return err
		}
		page = slices.DeleteFunc(page, func(c bridge.Call) bool { return !r.wants(&c) })
		if err := r.a.db.AwaitRecordings(ctx, page, time.Now()); err != nil {
			return err
		}
		if f.Before = next; next == "" {
			return nil
		}
	}
}

// lookAll looks at files side by side and writes down at once what they showed.
func (r *recorder) lookAll(ctx context.Context, due []store.RecordingRow) error {
	var (
		mu   sync.Mutex
		rows []store.RecordingRow
		b    store.Batch
		g    errgroup.Group
	)
	g.SetLimit(sideBySide)
	for _, row := range due {
		g.Go(func() error {
			row, more, err := r.look(ctx, row)
			if err != nil || ctx.Err() != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			rows = append(rows, row)
			b.Plans, b.Deliveries = append(b.Plans, more.Plans...), append(b.Deliveries, more.Deliveries...)
			return nil
		})
	}
	if err := g.Wait(); err != nil || len(rows) == 0 {
		return err
	}
	if err := r.a.db.SaveRecordings(ctx, rows, b); err != nil {
		return err
	}
	if len(b.Deliveries) > 0 {
		touched := map[string]bool{}
		for _, d := range b.Deliveries {
			touched[d.Integration] = true
		}
		r.a.wakeTargets(touched)
	}
	return nil
}

// look looks at one file: what it is like now, and the deliveries that come of
// it. It is complete when two looks in a row find it of the same size; a bare
// header never is.
func (r *recorder) look(ctx context.Context, row store.RecordingRow) (store.RecordingRow, store.Batch, error) {
	var b store.Batch
	src := r.source(row.PBX)
	size := int64(0)
	if src != nil {
		lctx, cancel := context.WithTimeout(ctx, recordingLook)
		body, _, n, err := src.OpenRecording(lctx, row.Name)
		if err == nil {
			size = n
			_ = body.Close()
		} else if !errors.Is(err, pbx.ErrNotFound) && ctx.Err() == nil {
			r.a.log.Debug("a recording could not be looked at", "pbx", row.PBX, "call", row.CallID, "err", err)
		}
		cancel()
		if ctx.Err() != nil {
			return row, b, nil
		}
	}
	call, err := r.a.db.Call(ctx, row.CallID)
	if errors.Is(err, store.ErrNotFound) { // its time of keeping is over, or it was erased
		row.State = store.RecordingNone
		return row, b, nil
	}
	if err != nil {
		return row, b, err
	}
	now := time.Now()
	complete := size > 0 && size == row.Size || size < 0 // a length nobody tells: it is served whole
	row.Size, row.Tries = size, row.Tries+1
	switch {
	case complete:
		row.State, row.ReadyAt = store.RecordingReady, bridge.At(now)
		if b, err = r.attach(ctx, &call); err != nil {
			return row, b, err
		}
	case now.Sub(call.EndedAt.Time) > recordingPatience:
		row.State = store.RecordingNone
	default:
		wait := looks[min(row.Tries, len(looks)-1)]
		if size > 0 { // it is being written
			wait = min(wait, time.Second)
		}
		row.NextAt = bridge.At(now.Add(wait))
	}
	return row, b, nil
}

// attach plans the late link for every CRM that has got the call already.
func (r *recorder) attach(ctx context.Context, call *bridge.Call) (store.Batch, error) {
	var b store.Batch
	if r.a.cfg.PublicURL == "" {
		return b, nil
	}
	rows, err := r.a.db.Deliveries(ctx, store.DeliveryFilter{CallID: call.ID, Kind: bridge.ActCall})
	if err != nil {
		return b, err
	}
	now := bridge.At(time.Now())
	p := r.a.plan.Load()
	for _, in := range p.integrations {
		for _, row := range rows {
			// What waits will have the link when it goes; what is under way may not.
			if row.Integration != in.settings.ID || !row.Action.Wanted || row.State != bridge.Done && row.State != bridge.Trying {
				continue
			}
			a := rules.AttachRecording(row.Action, p.version)
			d := bridge.Delivery{Integration: row.Integration, CallID: call.ID, Client: row.Client, Action: a, RuleVersion: p.version,
				State: bridge.Waiting, CreatedAt: now, NextAt: now}
			if !in.active {
				d.State, d.Note = bridge.Held, in.off
			}
			b.Deliveries = append(b.Deliveries, d)
			b.Plans = append(b.Plans, store.Plan{CallID: call.ID, Integration: row.Integration, Trigger: bridge.OnRecording,
				RuleVersion: p.version, Keys: []string{a.Key}, Day: now.In(in.zone).Format(time.DateOnly)})
		}
	}
	return b, nil
}

// ready returns the number of the call's first complete file, -1 if none is.
func (r *recorder) ready(ctx context.Context, callID string) int {
	rows, err := r.a.db.Recordings(ctx, callID)
	if err != nil {
		r.a.log.Warn("it could not be found out whether a call has a recording", "call", callID, "err", err)
		return -1
	}
	for _, row := range rows {
		if row.State == store.RecordingReady {
			return row.N
		}
	}
	return -1
}
