package app

import (
	"context"
	"time"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

// statusEvery is how often a CRM that does not report its users' statuses is asked.
const statusEvery = 30 * time.Second

// askStatuses takes over the switches that users turn in a CRM which tells
// nobody (M-0.9). Only what changed between two looks is a user's wish.
func (a *App) askStatuses(ctx context.Context, t *target) {
	lister, ok := t.client.(crm.StatusLister)
	if !ok {
		return
	}
	var before map[crm.UserID]crm.UserStatus
	for !t.dead() && pausedFor(ctx, statusEvery) {
		now, err := a.statuses(ctx, t, lister)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			t.refused(ctx, "read user statuses", err)
			a.log.Warn("the CRM did not tell what its users are doing", "integration", t.settings.ID, "kind", fault.KindOf(err).String())
			continue
		}
		for user, s := range now {
			was, known := before[user]
			who, joined := t.ByUser(user)
			on := s == crm.StatusAway
			if !known || was == s || !joined || who.Extension == "" || a.hub.DND(who.Extension) == on {
				continue
			}
			if err := a.switchDND(ctx, who.Extension, on, t.settings.ID); err != nil {
				a.log.Error("do-not-disturb could not be switched for the CRM", "integration", t.settings.ID, "err", err)
				now[user] = was // again at the next look
			}
		}
		before = now
	}
}

func (a *App) statuses(ctx context.Context, t *target, l crm.StatusLister) (map[crm.UserID]crm.UserStatus, error) {
	ctx, cancel := context.WithTimeout(t.asking(ctx, crm.Fresh), statusEvery)
	defer cancel()
	return l.Statuses(ctx)
}
