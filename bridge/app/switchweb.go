package app

import (
	"context"
	"errors"

	"callbridge/bridge"
	"callbridge/bridge/web"
	"callbridge/store"
)

// switcher is the switchboard as the pages see it. What it changes is in force
// at once.
type switcher struct{ a *App }

func (s switcher) board() Switchboard { return Switchboard{DB: s.a.db, Zone: s.a.zone} }

func missingIntegration(err error) error {
	if errors.Is(err, ErrNoIntegration) {
		return web.ErrNotFound
	}
	return err
}

func ledgerRows(rows []store.LedgerRow) []web.LedgerRow {
	out := make([]web.LedgerRow, len(rows))
	for i, r := range rows {
		out[i] = web.LedgerRow{Day: r.Day, Integration: r.Integration, Planned: r.Planned, States: r.ByState}
	}
	return out
}

func (s switcher) Standing(ctx context.Context, id string) (web.Standing, error) {
	st, err := s.board().Standing(ctx, id)
	if err != nil {
		return web.Standing{}, missingIntegration(err)
	}
	all, err := (site(s)).integrations(ctx)
	if err != nil {
		return web.Standing{}, err
	}
	out := web.Standing{FirstRefused: st.State.FirstRefused, ResendFrom: bridge.At(st.From), HeldCalls: st.Held.Calls,
		WouldSend: st.Send.Deliveries, WouldExpire: st.Held.Older, HeldByRight: st.Held.Blocked,
		Requests: st.Send.Requests, Minutes: st.Send.Minutes, Days: ledgerRows(st.Days)}
	for _, in := range all {
		if in.ID == id {
			out.Integration = in
		}
	}
	if t := s.a.targetOf(id); t != nil {
		out.Module, out.ModuleError = t.moduleSays()
	}
	return out, nil
}

func (s switcher) turned(ctx context.Context, d Switched, err error, on bool) (web.Switched, error) {
	if err != nil {
		return web.Switched{}, missingIntegration(err)
	}
	out := web.Switched{Active: on, Sent: d.Released.Waiting, Expired: d.Released.Expired, Popups: d.Released.Popups,
		Held: d.Held + d.Released.Held, Minutes: d.Took.Minutes, Before: ledgerRows(d.Before), After: ledgerRows(d.After)}
	return out, s.a.loadSettings(ctx)
}

func (s switcher) Activate(ctx context.Context, id, by string, resend bool) (web.Switched, error) {
	d, err := s.board().Activate(ctx, id, by, resend)
	s.a.log.Info("an integration is activated", "integration", id, "by", by, "resend", resend, "sent", d.Released.Waiting, "expired", d.Released.Expired)
	return s.turned(ctx, d, err, true)
}

func (s switcher) Deactivate(ctx context.Context, id, by string) (web.Switched, error) {
	d, err := s.board().Deactivate(ctx, id)
	s.a.log.Warn("an integration is switched off by hand", "integration", id, "by", by, "held", d.Held)
	return s.turned(ctx, d, err, false)
}

func (s switcher) Resend(ctx context.Context, id string, q web.ResendQuery) (web.Resent, error) {
	p, err := s.board().Resend(ctx, ResendRequest{Again: q.Again,
		ResendFilter: store.ResendFilter{Integration: id, CallID: q.CallID, From: q.From, To: q.To}}, q.DryRun)
	if err != nil {
		return web.Resent{}, missingIntegration(err)
	}
	s.a.wakeTargets(map[string]bool{id: true})
	return web.Resent{Calls: p.Calls, Deliveries: p.Cost.Deliveries, ByKind: p.ByKind, Unchanged: p.Same, Dropped: p.Dropped,
		Requests: p.Cost.Requests, Minutes: p.Cost.Minutes, Held: p.Held, Sent: p.Sent}, nil
}
