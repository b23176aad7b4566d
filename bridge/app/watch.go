package app

import (
	"context"
	"slices"
	"time"

	"callbridge/bridge"
	"callbridge/pbx/cdr"
)

const (
	// watchEvery is how often calls are looked at that say nothing any more.
	watchEvery = time.Minute
	// watchSilence is for how long a call must have said nothing. Most are
	// simply talks.
	watchSilence = 2 * time.Minute
)

// snapshotter is a PBX that can be asked what there is.
type snapshotter interface {
	Snapshot(ctx context.Context) (bridge.Snapshot, bridge.Time, error)
}

// watch ends calls whose end a PBX never told although the link was there
// (Asterisk drops events under load): it asks what exists, and if a call of
// ours is not there any more, the tracker learns it (D-29).
func (a *App) watch(p *phoneSystem) {
	src, ok := p.stream.(snapshotter)
	if !ok {
		return
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-a.links.Done():
			return
		case <-tick.C:
		}
		silent := silentCalls(a.core.liveCalls(), p.id, time.Now())
		if len(silent) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(a.links, repairTime)
		snap, at, err := src.Snapshot(ctx)
		cancel()
		if err != nil {
			continue // the link's own trouble, which shows elsewhere
		}
		gone := slices.ContainsFunc(silent, func(c bridge.Call) bool {
			return !slices.ContainsFunc(snap.Channels, func(ch bridge.Channel) bool { return ch.ID == c.PBXCallID || ch.Group == c.PBXCallID })
		})
		if !gone {
			continue
		}
		up := bridge.Event{PBX: p.id, Kind: bridge.LinkUp, At: at, Seen: bridge.At(time.Now()), Value: bridge.Watched, Snapshot: &snap}
		up.ID = "watched:" + digest(&up)
		if p.log == nil {
			a.core.emit(up)
			continue
		}
		first := at // the log may know how they ended
		for i := range silent {
			if silent[i].StartedAt.Before(first.Time) {
				first = silent[i].StartedAt
			}
		}
		a.repairs.Go(func() { a.ask(p, first, up) })
	}
}

// ask lets the log tell of calls that ended unseen; up ends them in any case.
func (a *App) ask(p *phoneSystem, from bridge.Time, up bridge.Event) {
	p.repairing.Lock()
	defer p.repairing.Unlock()
	a.writer.flush()
	g := gap{p: p, from: from, to: up.At, now: up.Snapshot}
	err := a.whatLived(&g)
	var found cdr.Result
	if err == nil {
		found, err = a.readLog(&g)
	}
	if err != nil {
		a.log.Warn("the PBX's call log could not be asked about calls whose end was not told", "pbx", p.id, "err", err)
	}
	a.core.emitTogether(append(found.Events, up))
}

// silentCalls are the calls of a PBX in which nothing has happened for long.
func silentCalls(live []bridge.Call, pbx string, now time.Time) []bridge.Call {
	return slices.DeleteFunc(live, func(c bridge.Call) bool {
		last := c.StartedAt
		for _, l := range c.Legs {
			for _, t := range []bridge.Time{l.DialledAt, l.RingAt, l.AnswerAt, l.EndAt} {
				if t.After(last.Time) {
					last = t
				}
			}
		}
		return c.PBX != pbx || now.Sub(last.Time) < watchSilence
	})
}
