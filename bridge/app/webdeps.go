package app

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/bridge/deliver"
	"callbridge/bridge/phone"
	"callbridge/bridge/route"
	"callbridge/bridge/web"
	"callbridge/store"
)

// site is the app as the pages see it.
type site struct{ a *App }

func (s site) User(_ context.Context, login string) (bridge.User, error) {
	for _, u := range s.a.plan.Load().settings.Users {
		if strings.EqualFold(u.Login, login) {
			return u, nil
		}
	}
	return bridge.User{}, web.ErrNotFound
}

func (s site) Calls(ctx context.Context, q web.CallQuery) ([]bridge.Call, string, error) {
	return s.a.db.Calls(ctx, store.CallFilter{From: q.From, To: q.To, Extension: q.Extension, Outcome: q.Outcome,
		Direction: q.Direction, Client: q.Client, Digits: q.Digits, Line: q.Line, Limit: q.Limit, Before: q.Before})
}

func (s site) Call(ctx context.Context, id string) (bridge.Call, error) {
	if c, ok := s.a.core.liveCall(id); ok {
		return c, nil
	}
	c, err := s.a.db.Call(ctx, id)
	return c, notFound(err)
}

func notFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return web.ErrNotFound
	}
	return err
}

func (s site) Events(ctx context.Context, callID string) ([]bridge.Event, error) {
	e, err := s.a.db.Events(ctx, callID)
	return e, notFound(err)
}

func (s site) Receipts(ctx context.Context, callID string) ([]card.Receipt, error) {
	rows, err := s.a.db.Receipts(ctx, callID)
	out := make([]card.Receipt, len(rows))
	for i, r := range rows {
		out[i] = card.Receipt{CallID: r.CallID, Extension: r.Extension, User: r.Login, At: r.ShownAt.Time,
			Took: time.Duration(r.LatencyMS) * time.Millisecond, Visible: true}
	}
	return out, err
}

func (s site) Deliveries(ctx context.Context, q web.DeliveryQuery) ([]bridge.Delivery, error) {
	return s.a.db.Deliveries(ctx, filterOf(q))
}

func (s site) Attempts(ctx context.Context, id int64) ([]web.Attempt, error) {
	rows, err := s.a.db.Attempts(ctx, id)
	out := make([]web.Attempt, len(rows))
	for i, r := range rows {
		out[i] = web.Attempt{At: r.At, Took: time.Duration(r.TookMS) * time.Millisecond, Code: r.Code,
			Request: r.Request, Response: r.Response, Error: r.Error}
	}
	return out, err
}

func (s site) Balance(ctx context.Context, fromDay, toDay string) ([]web.LedgerRow, error) {
	rows, err := s.a.db.Ledger(ctx, fromDay, toDay)
	out := make([]web.LedgerRow, len(rows))
	for i, r := range rows {
		out[i] = web.LedgerRow{Day: r.Day, Integration: r.Integration, Planned: r.Planned, States: r.ByState}
	}
	return out, err
}

// Begin, Find, Extend and End make site a web.Sessions over the store.
func (s site) Begin(ctx context.Context, digest, login string, now, expires time.Time) error {
	return s.a.db.CreateSession(ctx, store.Session{TokenHash: digest, Login: login, CreatedAt: bridge.At(now),
		SeenAt: bridge.At(now), ExpiresAt: bridge.At(expires)})
}

func (s site) Find(ctx context.Context, digest string, now time.Time) (string, time.Time, error) {
	x, err := s.a.db.Session(ctx, digest, now)
	return x.Login, x.ExpiresAt.Time, notFound(err)
}

func (s site) Extend(ctx context.Context, digest string, now, expires time.Time) error {
	return s.a.db.TouchSession(ctx, digest, now, expires)
}

func (s site) End(ctx context.Context, digest string) error { return s.a.db.DeleteSession(ctx, digest) }

// client is the name of a client as the CRMs told it, "" if none did.
func (s site) client(ctx context.Context, n bridge.Number) string {
	rows, err := s.a.db.ContactsByNumber(ctx, n)
	if err != nil {
		return ""
	}
	for _, r := range rows {
		if r.Name != "" {
			return r.Name
		}
	}
	return ""
}

// receipt keeps a browser's word that it showed a card (F-11).
func (a *App) receipt(r card.Receipt) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.work), 5*time.Second)
	defer cancel()
	err := a.db.SaveReceipts(ctx, []store.Receipt{{CallID: r.CallID, Extension: r.Extension, Login: r.User,
		SentAt: bridge.At(r.At.Add(-r.Took)), ShownAt: bridge.At(r.At), LatencyMS: r.Took.Milliseconds()}})
	if err != nil {
		a.log.Warn("a receipt could not be stored", "call", r.CallID, "err", err)
	}
}

func (s site) integrations(ctx context.Context) ([]web.Integration, error) {
	counts, err := s.a.db.DeliveryCounts(ctx)
	if err != nil {
		return nil, err
	}
	byID := map[string]map[bridge.DeliveryState]int{}
	for _, c := range counts {
		if byID[c.Integration] == nil {
			byID[c.Integration] = map[bridge.DeliveryState]int{}
		}
		byID[c.Integration][c.State] = int(c.Count)
	}
	var out []web.Integration
	for _, in := range s.a.plan.Load().settings.Integrations {
		st, err := s.a.db.IntegrationState(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		n := byID[in.ID]
		_, backlog, err := s.a.db.OpenByKind(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		rest := deliver.CostOf(backlog, Driver(in.Kind))
		row := web.Integration{ID: in.ID, Kind: in.Kind, Name: in.Name, Active: in.Active && st.Active, State: "active",
			Waiting: n[bridge.Waiting] + n[bridge.Trying], Held: n[bridge.Held], Failed: n[bridge.Refused],
			Backlog: int(rest.Deliveries), CatchUp: rest.Minutes, URL: in.Credentials["url"]}
		switch {
		case !st.Active:
			row.State, row.Reason, row.Since = "held", st.HeldReason, st.HeldSince
		case !in.Active:
			row.State = "inactive"
		}
		if t := s.a.targetOf(in.ID); t != nil {
			row.LastError = t.saying()
			if since, text, failing := t.health.trouble(time.Now()); failing && row.State == "active" {
				row.State, row.Reason, row.Since = "failing", text, bridge.At(since)
			}
		} else if err := s.a.openTrouble(in.ID); err != nil {
			row.LastError = err.Error()
		}
		if last, err := s.a.db.Deliveries(ctx, store.DeliveryFilter{Integration: in.ID, State: bridge.Done, Limit: 1, Newest: true}); err == nil && len(last) > 0 {
			row.LastDone = last[0].DoneAt
		}
		out = append(out, row)
	}
	return out, nil
}

func (s site) pbxs() []web.PBX {
	out := make([]web.PBX, 0, len(s.a.pbxs))
	for _, p := range s.a.pbxs {
		st := p.status()
		out = append(out, web.PBX{ID: p.id, Kind: p.kind, Connected: st.connected, Since: bridge.At(st.since),
			LastEvent: bridge.At(st.lastEvent), Error: st.problem})
	}
	return out
}

// missing says why the daemon cannot take calls; empty means ready.
func (s site) missing(ctx context.Context) []string {
	var out []string
	if err := s.a.db.Ping(ctx); err != nil {
		out = append(out, "database: "+err.Error())
	}
	if n, err := s.a.writer.state(); err != nil {
		out = append(out, "events cannot be stored and wait in memory: "+err.Error())
	} else if n > 100_000 {
		out = append(out, "the database is too slow: more than 100,000 events wait in memory")
	}
	for _, p := range s.a.pbxs {
		if st := p.status(); !st.connected {
			out = append(out, "PBX "+p.id+": "+cmpOr(st.problem, "not connected yet"))
		}
	}
	return out
}

// route answers the PBX's question over HTTP.
func (s site) route(ctx context.Context, q web.RouteQuestion) (web.RouteAnswer, error) {
	p := s.a.pbx(q.PBX)
	if p == nil {
		return web.RouteAnswer{}, web.ErrNotFound
	}
	secret := p.routeSecret
	if secret == "" || subtle.ConstantTimeCompare([]byte(secret), []byte(q.Secret)) != 1 {
		return web.RouteAnswer{}, web.ErrForbidden
	}
	n, _ := phone.Parse(q.Number, s.a.cfg.CountryOf(q.PBX))
	question := route.Question{PBX: q.PBX, Client: n, Line: s.a.lineNumber(q.PBX, q.Line)}
	ans := s.a.router.Answer(ctx, question)
	s.a.metrics.routing.Observe(ans.Took.Seconds())
	s.a.lookupWork.Go(func() { s.a.keepRoute(question, q.CallID, ans) })
	return web.RouteAnswer{Extension: ans.Extension, Reason: ans.Why}, nil
}

// routes says why a call rang where it rang.
func (s site) routes(ctx context.Context, c bridge.Call) ([]web.RouteDecision, error) {
	rows, err := s.a.db.RoutesOf(ctx, c)
	out := make([]web.RouteDecision, 0, len(rows))
	for _, r := range rows {
		var ans route.Answer
		if err := json.Unmarshal([]byte(r.Data), &ans); err != nil {
			return nil, fmt.Errorf("routing decision %s: %w", r.ID, err)
		}
		d := web.RouteDecision{At: r.At, Extension: ans.Extension, Why: ans.Why, TookMS: ans.Took.Milliseconds(), Steps: []web.RouteStep{}}
		for _, st := range ans.Steps {
			d.Steps = append(d.Steps, web.RouteStep(st))
		}
		out = append(out, d)
	}
	return out, err
}
