package app

import (
	"context"
	"encoding/json"
	"errors"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/web"
	"callbridge/store"
)

// personal is the store as the page of personal data sees it (F-22).
type personal struct{ a *App }

func (p personal) Search(ctx context.Context, n bridge.Number) (web.PersonalSummary, error) {
	p.a.writer.flush()
	got, err := p.a.db.SearchPersonal(ctx, n)
	return web.PersonalSummary(got), err
}

func (p personal) Export(ctx context.Context, n bridge.Number) ([]byte, error) {
	p.a.writer.flush()
	got, err := p.a.db.ExportPersonal(ctx, n)
	if err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(got, "", "  ")
	return append(b, '\n'), err
}

// Erase refuses while the call path may still tell of the number: a call lives
// here before the store has it.
func (p personal) Erase(ctx context.Context, n bridge.Number) (web.Erased, error) {
	p.a.writer.flush()
	for _, c := range p.a.core.liveCalls() {
		if c.Client == n {
			return web.Erased{}, web.ErrInUse
		}
	}
	got, err := p.a.db.Erase(ctx, n)
	if errors.Is(err, store.ErrInUse) {
		return web.Erased{}, web.ErrInUse
	}
	return web.Erased(got), err
}

func (p personal) Retention() []web.Kept { return Retention(p.a.live.Load().Keep) }

// Retention lists how long each kind of data is kept.
func Retention(k config.Keep) []web.Kept {
	return []web.Kept{{Kind: "events", Days: k.EventDays}, {Kind: "attempts", Days: k.AttemptDays}, {Kind: "calls", Days: k.CallDays}, {Kind: "cards", Days: k.CardDays},
		{Kind: "contacts", Days: k.ContactDays}, {Kind: "missed", Days: k.MissedDays}, {Kind: "clicks", Days: k.ClickDays}, {Kind: "audit", Days: k.AuditDays}}
}
