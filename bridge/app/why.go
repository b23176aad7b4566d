package app

import (
	"context"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/web"
	"callbridge/store"
)

// rang notes what we know when a phone begins to ring. It never blocks the
// core: when the store is that far behind, the note is lost and the page says
// that it does not know.
func (a *App) rang(c *bridge.Call, ext string) {
	at := bridge.At(time.Now())
	for _, l := range c.Legs {
		if l.Extension == ext && !l.RingAt.IsZero() {
			at = l.RingAt // of several rings the last
		}
	}
	select {
	case a.rings <- store.Ring{CallID: c.ID, Extension: ext, At: at, Tabs: a.hub.Tabs(ext), DND: a.hub.DND(ext)}:
	default:
	}
}

// keepRings stores what rang noted, many at once.
func (a *App) keepRings(ctx context.Context) {
	for {
		var list []store.Ring
		select {
		case r := <-a.rings:
			list = append(list, r)
		case <-ctx.Done():
			return
		}
		for more := true; more && len(list) < 500; {
			select {
			case r := <-a.rings:
				list = append(list, r)
			default:
				more = false
			}
		}
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		if err := a.db.SaveRings(sctx, list); err != nil {
			a.log.Warn("who was there to see a card could not be stored", "rings", len(list), "err", err)
		}
		cancel()
	}
}

// rings returns what was known when the phones of a call began to ring.
func (s site) rings(ctx context.Context, callID string) ([]web.Ring, error) {
	rows, err := s.a.db.Rings(ctx, callID)
	out := make([]web.Ring, len(rows))
	for i, r := range rows {
		out[i] = web.Ring{Extension: r.Extension, At: r.At, Tabs: r.Tabs, DND: r.DND}
	}
	return out, err
}

// phone says who may see the cards of a phone, here and in the CRMs.
func (s site) phone(ext string) web.Phone {
	out := web.Phone{Card: s.a.cardMoment(ext)}
	for _, u := range s.a.plan.Load().settings.Users {
		if u.Extension == ext {
			out.Users = append(out.Users, u.Login)
		}
	}
	for _, t := range s.a.targets() {
		m := t.staff.Load()
		_, ok := m.ByExtension(ext)
		out.Mapped = append(out.Mapped, web.Mapped{Integration: t.settings.ID, OK: ok, Known: m.Size() > 0 || t.staffAt.Load() > 0})
	}
	return out
}
