package app

import (
	"context"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/deliver"
	"callbridge/crm"
)

// arm gives an active integration its worker, before anybody can see it.
func (a *App) arm(t *target, active bool) {
	t.active = active
	if !active {
		return
	}
	t.worker = deliver.NewWorker(deliver.Target{Settings: t.settings, Title: t.driver.Title, Client: t.client, Book: t.book,
		People: t, Lines: a.line, Employee: a.employee, Zone: t.zone,
		RecordURL: func(c *bridge.Call) string { return a.recordURL(c) }, Follow: a.followAttempts(),
	}, ledger{a.db}, watched{a.metrics, t}, a.log, time.Now, a.opts.Parallel)
}

// usable says whether the CRM may be asked: the integration is active and its
// credentials have not been refused since.
func (t *target) usable() bool { return t.active && !t.dead() }

// dead says that the worker has ended because the credentials were refused.
func (t *target) dead() bool { return t.worker != nil && t.worker.Held() }

// asking marks a question to the CRM beside the deliveries. It stops before its
// next request once the credentials are refused.
func (t *target) asking(ctx context.Context, p crm.Priority) context.Context {
	ctx = crm.WithPriority(ctx, p)
	if t.worker != nil {
		ctx = crm.WithGate(ctx, t.worker.Gate)
	}
	return ctx
}

// refused holds the integration if err says that the credentials are refused:
// whoever finds it out first, nobody else needs to.
func (t *target) refused(ctx context.Context, op string, err error) {
	if t.worker != nil {
		t.worker.Refuse(ctx, op, err)
	}
}
