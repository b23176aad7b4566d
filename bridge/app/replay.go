package app

import (
	"context"
	"fmt"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

// Apply keeps s as the newest settings and puts it in force.
func (a *App) Apply(ctx context.Context, by, note string, s bridge.Settings) (version int64, err error) {
	if version, err = a.db.SaveSettings(ctx, by, s, note); err != nil {
		return 0, err
	}
	return version, a.loadSettings(ctx)
}

// Store gives the open store to commands that print from it.
func (a *App) Store() *store.DB { return a.db }

// Replay puts recorded events through the whole bridge: tracker, cards, rules,
// store and deliveries, at once and in the order given. Time is the events'
// own. It returns when everything is stored and every delivery has come to an
// end or to its next retry. The app must not be started.
func (a *App) Replay(ctx context.Context, events []bridge.Event) error {
	writerCtx, stop := context.WithCancel(ctx)
	defer stop()
	a.writerWork.Go(func() { a.writer.run(writerCtx) })
	for _, e := range events {
		if e.Kind == bridge.RouteAsked {
			continue // nobody waits for the answer any more
		}
		a.core.one(e)
	}
	a.writer.flush()
	stop()
	a.writerWork.Wait()
	for id, err := range a.broken {
		return fmt.Errorf("integration %s: %w", id, err)
	}
	for _, t := range a.targets() {
		if err := a.syncOnce(ctx, t); err != nil {
			return fmt.Errorf("integration %s: %w", t.settings.ID, err)
		}
	}
	a.startTargets()
	return a.delivered(ctx)
}

// longestPause bounds a pause of a recording: nothing happened in it.
const longestPause = time.Minute

// ReplayPaced plays recordings one after the other with the pauses they have,
// so that call windows open and close as they did; after is told when all of
// one is delivered. The app must not be started.
func (a *App) ReplayPaced(ctx context.Context, recordings [][]bridge.Event, after func(i int) error) error {
	for id, err := range a.broken {
		return fmt.Errorf("integration %s: %w", id, err)
	}
	for _, t := range a.targets() {
		if err := a.syncOnce(ctx, t); err != nil {
			return fmt.Errorf("integration %s: %w", t.settings.ID, err)
		}
	}
	a.startPath()
	a.startTargets()
	for i, events := range recordings {
		var last time.Time
		for _, e := range events {
			if e.Kind == bridge.RouteAsked {
				continue // nobody waits for the answer any more
			}
			if pause := min(e.At.Time.Sub(last), longestPause); !last.IsZero() && pause > 0 && !pausedFor(ctx, pause) {
				return ctx.Err()
			}
			if !e.At.IsZero() {
				last = e.At.Time
			}
			a.core.emit(e)
		}
		if !pausedFor(ctx, 2*stopAfter) {
			return ctx.Err()
		}
		a.writer.flush()
		if err := a.delivered(ctx); err != nil {
			return err
		}
		if err := after(i); err != nil {
			return err
		}
	}
	return nil
}

func pausedFor(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// delivered waits until every delivery has come to an end.
func (a *App) delivered(ctx context.Context) error {
	for {
		counts, err := a.db.DeliveryCounts(ctx)
		if err != nil {
			return err
		}
		open := int64(0)
		for _, c := range counts {
			if c.State == bridge.Waiting || c.State == bridge.Trying {
				open += c.Count
			}
		}
		if open == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d deliveries are still waiting: %w", open, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
