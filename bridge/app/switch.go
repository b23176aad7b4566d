package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/deliver"
	"callbridge/bridge/rules"
	"callbridge/crm"
	"callbridge/store"
)

// Switchboard activates, deactivates and resends. It works on the store alone,
// so that the command line can use it beside a running program, or without one.
type Switchboard struct {
	DB   *store.DB
	Zone *time.Location // of integrations that have none of their own
	Now  func() time.Time
}

// ErrNoIntegration is for an id that the settings do not have.
var ErrNoIntegration = errors.New("there is no such integration")

func (s Switchboard) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s Switchboard) find(ctx context.Context, id string) (bridge.Settings, int64, *bridge.Integration, error) {
	all, version, err := s.DB.Settings(ctx)
	if err != nil {
		return all, 0, nil, err
	}
	i := slices.IndexFunc(all.Integrations, func(in bridge.Integration) bool { return in.ID == id })
	if i < 0 {
		return all, 0, nil, fmt.Errorf("%w as %q", ErrNoIntegration, id)
	}
	return all, version, &all.Integrations[i], nil
}

// ZoneOf is the zone whose calendar days count for an integration.
func (s Switchboard) ZoneOf(in bridge.Integration) *time.Location {
	if z, err := time.LoadLocation(in.TimeZone); err == nil && in.TimeZone != "" {
		return z
	}
	return s.Zone
}

// Driver returns the driver of a kind, the zero Driver if there is none.
func Driver(kind string) crm.Driver {
	for _, d := range Drivers() {
		if d.Name == kind {
			return d
		}
	}
	return crm.Driver{}
}

// Standing is how an integration stands, and what an activation would do.
type Standing struct {
	Integration bridge.Integration
	State       store.IntegrationState
	From        time.Time // start of the window of a resend
	Zone        *time.Location
	Held        store.HeldSummary
	Send        deliver.Cost // of what the box would send
	Backlog     deliver.Cost // what is on its way behind the fresh ones
	Days        []store.LedgerRow
}

// keptDays is how many days back the page shows: what is kept by default.
const keptDays = 14

// Standing describes one integration.
func (s Switchboard) Standing(ctx context.Context, id string) (Standing, error) {
	_, _, in, err := s.find(ctx, id)
	if err != nil {
		return Standing{}, err
	}
	out := Standing{Integration: *in, Zone: s.ZoneOf(*in)}
	if out.State, err = s.DB.IntegrationState(ctx, id); err != nil {
		return out, err
	}
	now := s.now()
	out.From = deliver.ResendFrom(now, out.Zone)
	if out.Held, err = s.DB.HeldSummary(ctx, id, out.From); err != nil {
		return out, err
	}
	out.Send = deliver.CostOf(out.Held.Send, Driver(in.Kind))
	_, backlog, err := s.DB.OpenByKind(ctx, id)
	if err != nil {
		return out, err
	}
	out.Backlog = deliver.CostOf(backlog, Driver(in.Kind))
	out.Days, err = s.DB.LedgerOf(ctx, id, now.In(out.Zone).AddDate(0, 0, 1-keptDays).Format(time.DateOnly))
	return out, err
}

// Switched is what an activation or deactivation did.
type Switched struct {
	Released      store.Released
	Held          int64 // by the deactivation
	Before, After []store.LedgerRow
	Took          deliver.Cost // of what goes out now
}

// Activate starts an integration again. With resend, what was held of today
// and the two days before in its zone goes out in order; everything else that
// was held expires and can still be sent by Resend while it is kept.
func (s Switchboard) Activate(ctx context.Context, id, by string, resend bool) (Switched, error) {
	all, _, in, err := s.find(ctx, id)
	if err != nil {
		return Switched{}, err
	}
	before, err := s.Standing(ctx, id)
	if err != nil {
		return Switched{}, err
	}
	out := Switched{Before: before.Days}
	if !in.Active {
		in.Active = true
		if _, err := s.DB.SaveSettings(ctx, by, all, "activate "+id); err != nil {
			return out, err
		}
	}
	var from time.Time // none of them
	if resend {
		from, out.Took = before.From, before.Send
	}
	if out.Released, err = s.DB.ReleaseIntegration(ctx, id, from); err != nil {
		return out, err
	}
	after, err := s.Standing(ctx, id)
	out.After = after.Days
	return out, err
}

// Deactivate stops an integration by hand: new calls are kept for it.
func (s Switchboard) Deactivate(ctx context.Context, id string) (Switched, error) {
	before, err := s.Standing(ctx, id)
	if err != nil {
		return Switched{}, err
	}
	out := Switched{Before: before.Days}
	if out.Held, err = s.DB.HoldIntegration(ctx, id, s.now(), store.HeldByHand); err != nil {
		return out, err
	}
	after, err := s.Standing(ctx, id)
	out.After = after.Days
	return out, err
}

// ResendRequest chooses kept calls for one integration.
type ResendRequest struct {
	store.ResendFilter
	// Again plans the calls with the present rules; otherwise only what is
	// missing is sent: what failed or expired, and calls that were never
	// planned for the integration.
	Again bool
}

// ResendPlan is what a resend sends.
type ResendPlan struct {
	Calls   int64                       `json:"calls"`
	ByKind  map[bridge.ActionKind]int64 `json:"by_kind"`
	Same    int64                       `json:"unchanged"` // done or under way already
	Dropped int64                       `json:"not_wanted_any_more,omitempty"`
	Held    bool                        `json:"held,omitempty"`                // the integration is off: they will be held
	Refused bool                        `json:"credentials_refused,omitempty"` // … because the CRM refuses the credentials
	Cost    deliver.Cost                `json:"cost"`
	Sent    bool                        `json:"sent"`
}

// Resend sends kept calls again, or with dry only says what it would send. An
// action that is done is never done twice, so doing all of it again changes
// nothing in the CRM.
func (s Switchboard) Resend(ctx context.Context, r ResendRequest, dry bool) (ResendPlan, error) {
	_, version, in, err := s.find(ctx, r.Integration)
	if err != nil {
		return ResendPlan{}, err
	}
	st, err := s.DB.IntegrationState(ctx, in.ID)
	if err != nil {
		return ResendPlan{}, err
	}
	p := ResendPlan{ByKind: map[bridge.ActionKind]int64{}, Held: !in.Active || !st.Active, Refused: st.Refused(), Sent: !dry}
	calls := map[string]bool{}
	zone := s.ZoneOf(*in)
	replan := func(c bridge.Call) error {
		actions := rules.Plan(c, bridge.OnEnd, "", *in, version)
		if len(actions) == 0 {
			return nil
		}
		got, err := s.DB.Replan(ctx, store.Plan{CallID: c.ID, Integration: in.ID, Trigger: bridge.OnEnd, RuleVersion: version,
			Day: c.StartedAt.In(zone).Format(time.DateOnly)}, actions, c.ClientKey(), dry)
		if err != nil {
			return err
		}
		if got.New+got.Reopened > 0 {
			calls[c.ID] = true
		}
		for k, n := range got.ByKind {
			p.ByKind[k] += n
		}
		p.Same += got.Same
		p.Dropped += got.Dropped
		return nil
	}
	if err := s.DB.EndedCalls(ctx, r.ResendFilter, !r.Again, replan); err != nil {
		return p, err
	}
	if !r.Again {
		rows, err := s.DB.Missing(ctx, r.ResendFilter)
		if err != nil {
			return p, err
		}
		ids := make([]int64, len(rows))
		for i, m := range rows {
			ids[i] = m.ID
			calls[m.CallID] = true
			p.ByKind[m.Kind]++
		}
		if !dry {
			if _, err := s.DB.Resend(ctx, ids); err != nil {
				return p, err
			}
		}
	}
	p.Calls = int64(len(calls))
	p.Cost = deliver.CostOf(p.ByKind, Driver(in.Kind))
	return p, nil
}
