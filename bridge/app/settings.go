package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

// settingsEvery is how often the store is asked for a newer version of the
// settings: `callbridge apply` and `integrations activate` write there.
const settingsEvery = time.Second

// loadSettings reads the newest settings and puts them in force: rules at once,
// integrations that changed are opened anew, the others go on undisturbed.
func (a *App) loadSettings(ctx context.Context) error {
	s, version, err := a.db.Settings(ctx)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	s = s.Resolved()
	states := map[string]store.IntegrationState{}
	for _, in := range s.Integrations {
		st, err := a.db.IntegrationState(ctx, in.ID)
		if err != nil {
			return fmt.Errorf("integration %s: %w", in.ID, err)
		}
		states[in.ID] = st
	}
	next := &inForce{settings: s, employees: s.Employees, names: map[string]string{}, moments: map[string]bridge.CardMoment{}, lines: map[string]bridge.Line{}}
	next.version = version
	for _, e := range s.Employees {
		next.names[e.Extension] = e.Name
	}
	for _, u := range s.Users {
		if u.Extension != "" && next.names[u.Extension] == "" {
			next.names[u.Extension] = u.Name
		}
	}
	for _, l := range s.Lines {
		next.lines[a.lineNumber("", l.Number)] = l
	}
	for _, in := range s.Integrations {
		zone := a.zone
		if z, err := time.LoadLocation(in.TimeZone); err == nil && in.TimeZone != "" {
			zone = z
		}
		next.integrations = append(next.integrations, planned{settings: in, zone: zone, active: in.Active && states[in.ID].Active, off: offNote(states[in.ID])})
	}
	a.plan.Store(next)
	return a.swapTargets(ctx, s, states)
}

// popupNoUse goes on from why an integration is off.
const popupNoUse = ", and a pop-up later would be of no use"

// offNote says in the ledger why an integration takes nothing now.
func offNote(st store.IntegrationState) string {
	if st.Refused() {
		return "the CRM refuses the credentials: held until the integration is activated again"
	}
	return "the integration is off"
}

// swapTargets opens what is new or changed first and swaps last.
func (a *App) swapTargets(ctx context.Context, s bridge.Settings, states map[string]store.IntegrationState) error {
	next, broken, order := map[string]*target{}, map[string]error{}, []string{}
	var opened, closed []*target
	a.targetMu.RLock()
	old := maps.Clone(a.byID)
	a.targetMu.RUnlock()
	for _, in := range s.Integrations {
		order = append(order, in.ID)
		st := states[in.ID]
		if t := old[in.ID]; t != nil && t.print != "" && t.print == fingerprint(in, s.Employees, st) && !(t.dead() && st.Active) {
			next[in.ID] = t
			continue
		}
		t, err := a.openTarget(ctx, in, s.Employees, st)
		if err != nil {
			// One integration that cannot be opened must not stop the others.
			a.log.Error("an integration cannot be opened; its deliveries wait", "integration", in.ID, "err", err)
			broken[in.ID] = err
			continue
		}
		a.arm(t, in.Active && st.Active)
		next[in.ID] = t
		opened = append(opened, t)
	}
	for id, t := range old {
		if next[id] != t {
			closed = append(closed, t)
		}
	}
	a.targetMu.Lock()
	a.byID, a.order, a.broken = next, order, broken
	started := a.started
	a.targetMu.Unlock()
	for _, t := range closed {
		t.close()
		if now := next[t.settings.ID]; t.active && !t.dead() && (now == nil || !now.active) {
			a.housework.Go(func() { a.switchOff(t) }) // switched off by hand: the CRM is told
		}
		if next[t.settings.ID] == nil {
			a.metrics.closeIntegration(t.settings.ID)
		}
	}
	if started {
		for _, t := range opened {
			a.startTarget(t)
		}
	}
	return nil
}

func (a *App) startTargets() {
	a.targetMu.Lock()
	a.started = true
	a.targetMu.Unlock()
	for _, t := range a.targets() {
		a.startTarget(t)
	}
}

func (a *App) closeTargets() {
	for _, t := range a.targets() {
		t.close()
	}
}

// targets returns the integrations that could be opened, in the order of the settings.
func (a *App) targets() []*target {
	a.targetMu.RLock()
	defer a.targetMu.RUnlock()
	out := make([]*target, 0, len(a.order))
	for _, id := range a.order {
		if t := a.byID[id]; t != nil {
			out = append(out, t)
		}
	}
	return out
}

func (a *App) targetOf(id string) *target {
	a.targetMu.RLock()
	defer a.targetMu.RUnlock()
	return a.byID[id]
}

func (a *App) openTrouble(id string) error {
	a.targetMu.RLock()
	defer a.targetMu.RUnlock()
	return a.broken[id]
}

// wakeTargets tells workers that rows were stored for them.
func (a *App) wakeTargets(ids map[string]bool) {
	for id := range ids {
		if t := a.targetOf(id); t != nil && t.worker != nil {
			t.worker.Wake()
		}
	}
}

// watchSettings puts newer settings and changed states in force.
func (a *App) watchSettings(ctx context.Context) {
	seen, _ := a.stamp(ctx) // after a failure the first round loads once too often
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(settingsEvery):
		}
		now, err := a.stamp(ctx)
		if err != nil || now == seen {
			continue
		}
		was := a.plan.Load().version
		if err := a.loadSettings(ctx); err != nil {
			if !errors.Is(err, context.Canceled) && err.Error() != told { // tried again each time, told once
				told = err.Error()
				a.log.Error("new settings could not be put in force; the old ones stay", "err", err)
			}
			continue
		}
		seen, told = now, ""
		if v := a.plan.Load().version; v != was { // else only the state of an integration changed
			a.log.Info("settings are in force", "version", v)
		}
		ids := map[string]bool{}
		for _, t := range a.targets() {
			ids[t.settings.ID] = true
		}
		a.wakeTargets(ids)
	}
}

// stamp changes whenever settings or the state of an integration change.
func (a *App) stamp(ctx context.Context) (string, error) {
	_, version, err := a.db.Settings(ctx)
	if err != nil {
		return "", err
	}
	s := fmt.Sprint(version)
	for _, id := range slices.Sorted(maps.Keys(a.ids())) {
		st, err := a.db.IntegrationState(ctx, id)
		if err != nil {
			return "", err
		}
		// A worker that has ended counts too: held and activated again within
		// one look, the integration needs a new one.
		t := a.targetOf(id)
		s += fmt.Sprintf(" %s=%t,%d,%t", id, st.Active, st.HeldSince.Milli(), t != nil && t.dead())
	}
	return s, nil
}

func (a *App) ids() map[string]bool {
	out := map[string]bool{}
	for _, in := range a.plan.Load().settings.Integrations {
		out[in.ID] = true
	}
	return out
}

// accountDays is how long tokens stay that were never renewed: used ones are
// renewed every few days.
const accountDays = 90

// retention removes what is older than the configuration keeps, once an hour.
func (a *App) retention(ctx context.Context) {
	for {
		now := time.Now()
		days := func(n int) time.Time {
			if n <= 0 {
				return time.Time{}
			}
			return now.AddDate(0, 0, -n)
		}
		k := a.live.Load().Keep
		p, err := a.db.Purge(ctx, store.Retention{Events: days(k.EventDays), Attempts: days(k.AttemptDays), Calls: days(k.CallDays),
			Cards: days(k.CardDays), Contacts: days(k.ContactDays), Missed: days(k.MissedDays), Clicks: days(k.ClickDays), Audit: days(k.AuditDays)})
		if err != nil && ctx.Err() == nil {
			a.log.Warn("old data could not be removed", "err", err)
		} else if p.Calls+p.Events > 0 {
			a.log.Info("old data removed", "calls", p.Calls, "events", p.Events, "attempts", p.Attempts)
		}
		if err := a.db.PurgeAccounts(ctx, days(accountDays)); err != nil && ctx.Err() == nil {
			a.log.Warn("tokens of accounts that are not used any more could not be removed", "err", err)
		}
		if _, err := a.db.ExpireSessions(ctx, now); err != nil && ctx.Err() == nil {
			a.log.Warn("old sessions could not be removed", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Hour):
		}
	}
}
