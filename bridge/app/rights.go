package app

import (
	"context"
	"slices"
	"time"

	"callbridge/bridge"
	"callbridge/crm"
)

// regained says whether a kind of action may be tried again after a check: every
// right it needs is there. A report that names no kinds speaks for all.
func regained(rep crm.Report, kind bridge.ActionKind) bool {
	named, all := false, true
	for _, l := range rep.Lines {
		if slices.Contains(l.For, kind) {
			if !l.OK {
				return false
			}
			named = true
		}
		all = all && l.OK
	}
	return named || all
}

// giveBack releases the kinds of action that were held for want of a right
// which a check has found given. Is it missing after all, the first action
// holds its kind again.
func (a *App) giveBack(ctx context.Context, t *target, rep crm.Report) error {
	kinds, err := a.db.HeldKinds(ctx, t.settings.ID)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if !regained(rep, k.Kind) {
			continue
		}
		n, err := a.db.ReleaseKind(ctx, t.settings.ID, k.Kind)
		if err != nil {
			return err
		}
		a.log.Info("a right that was missing is given; what was held for it goes out", "integration", t.settings.ID, "action", k.Kind, "deliveries", n)
		if t.worker != nil {
			t.worker.Wake()
		}
	}
	return nil
}

// rightsEvery is how often a check looks for a right that was missing.
const rightsEvery = 15 * time.Minute

// watchRights checks an integration while something is held for want of a
// right: at once when it is activated, and then now and again.
func (a *App) watchRights(ctx context.Context, t *target) {
	for first := true; !t.dead(); first = false {
		kinds, err := a.db.HeldKinds(ctx, t.settings.ID)
		if err == nil && len(kinds) > 0 && (first || time.Since(kinds[0].Since.Time) > rightsEvery) {
			if _, err := a.checkTarget(t.asking(ctx, crm.Backfill), t); err != nil {
				t.refused(ctx, "check", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rightsEvery):
		}
	}
}
