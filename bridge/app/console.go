package app

import (
	"context"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/web"
)

// names lists our lines, in the spelling calls have, and the employees.
func (s site) names() ([]bridge.Line, []bridge.Employee) {
	p := s.a.plan.Load()
	lines := make([]bridge.Line, len(p.settings.Lines))
	for i, l := range p.settings.Lines {
		l.Number = s.a.lineNumber("", l.Number)
		lines[i] = l
	}
	return lines, p.employees
}

// stats counts what the overview shows.
func (s site) stats(ctx context.Context, from, to time.Time, slot time.Duration) (web.Stats, error) {
	var out web.Stats
	slots, err := s.a.db.CallSlots(ctx, from, to, slot)
	if err != nil {
		return out, err
	}
	for _, x := range slots {
		out.Slots = append(out.Slots, web.SlotCount{Slot: x.Slot, Direction: x.Direction, Outcome: x.Outcome, Count: x.Count})
	}
	waits, err := s.a.db.Waits(ctx, from, to, web.WaitLimits())
	if err != nil {
		return out, err
	}
	for _, x := range waits {
		out.Waits = append(out.Waits, web.WaitCount{Bucket: x.Bucket, Outcome: x.Outcome, Count: x.Count})
	}
	if out.Missed, out.Returned, err = s.a.db.Returned(ctx, from, to); err != nil {
		return out, err
	}
	out.Latency, err = s.a.db.CardLatencies(ctx, from, to)
	return out, err
}

// Note and Notes make site a web.Audit.
func (s site) Note(ctx context.Context, by, what, object string) error {
	return s.a.db.AddAudit(ctx, by, what, object)
}

func (s site) Notes(ctx context.Context, before int64, limit int) ([]web.AuditNote, error) {
	rows, err := s.a.db.Audit(ctx, before, limit)
	out := make([]web.AuditNote, len(rows))
	for i, r := range rows {
		out[i] = web.AuditNote{ID: r.ID, At: r.At, By: r.By, What: r.What, Object: r.Object}
	}
	return out, err
}

// consoleDeps are what the card's work and the console's own lists need.
func (a *App) consoleDeps(d *web.Deps) {
	d.Desk, d.Outcomes, d.Play, d.Personal = cardDesk{a}, a.outcomes, a.playCall, personal{a}
	d.Tokens, d.Gaps = tokens{a}, site{a}.gaps
}

func (s site) gaps(ctx context.Context, since time.Time) ([]web.Gap, error) {
	rows, err := s.a.db.Gaps(ctx, since)
	out := make([]web.Gap, len(rows))
	for i, g := range rows {
		out[i] = web.Gap(g)
	}
	return out, err
}

// tokens are the store's as the console sees them.
type tokens struct{ a *App }

func (t tokens) List(ctx context.Context) ([]web.Token, error) {
	rows, err := t.a.db.Tokens(ctx)
	out := make([]web.Token, len(rows))
	for i, r := range rows {
		out[i] = web.Token{ID: r.TokenHash, Login: r.Login, Label: r.Label, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt}
	}
	return out, err
}

func (t tokens) Give(ctx context.Context, login, label string, life time.Duration) (string, error) {
	return NewToken(ctx, t.a.db, login, label, life)
}

func (t tokens) Withdraw(ctx context.Context, id string) (string, error) {
	login, err := t.a.db.WithdrawToken(ctx, id)
	return login, notFound(err)
}
