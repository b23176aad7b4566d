package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/casefile"
	"callbridge/store"
)

// CaseFile writes a call with everything that is stored of it, personal data
// masked (F-19).
func (a *App) CaseFile(ctx context.Context, id string) ([]byte, error) {
	return CaseFile(ctx, a.db, id, a.cfg.CountryOf, a.opts.Version)
}

// CaseFile is the same for a store that no daemon runs on.
func CaseFile(ctx context.Context, db *store.DB, id string, country func(pbx string) string, program string) ([]byte, error) {
	call, err := db.Call(ctx, id)
	if err != nil {
		return nil, notFound(err)
	}
	f := casefile.File{Program: program, MadeAt: bridge.At(time.Now()), Country: country(call.PBX), Call: call}
	events, err := db.Events(ctx, call.ID)
	if err != nil {
		return nil, err
	}
	links, err := linksAround(ctx, db, &call)
	if err != nil {
		return nil, err
	}
	ours := casefile.Channels(events)
	events = append(events, links...)
	// The rules are asked while events come in: their order is part of the case.
	slices.SortStableFunc(events, func(a, b bridge.Event) int { return a.At.Compare(b.At.Time) })
	for _, e := range events {
		e = casefile.Prune(e, ours)
		row := casefile.Event{Event: e}
		if json.Valid(e.Raw) {
			row.Raw = e.Raw
		}
		f.Events = append(f.Events, row)
	}
	rows, err := db.Deliveries(ctx, store.DeliveryFilter{CallID: call.ID, Limit: 10000})
	if err != nil {
		return nil, err
	}
	for _, d := range rows {
		f.Version = max(f.Version, d.RuleVersion)
		tries, err := db.Attempts(ctx, d.ID)
		if err != nil {
			return nil, err
		}
		act := casefile.Action{Delivery: d}
		for _, t := range tries {
			act.Tries = append(act.Tries, casefile.Attempt{At: t.At, TookMS: t.TookMS, Code: t.Code, Request: t.Request, Response: t.Response, Error: t.Error})
		}
		f.Actions = append(f.Actions, act)
	}
	if f.Settings, err = settingsOf(ctx, db, f.Version); err != nil {
		return nil, err
	}
	if err := cardsOf(ctx, db, &f); err != nil {
		return nil, err
	}
	names, err := namesIn(ctx, db, &call)
	if err != nil {
		return nil, err
	}
	return casefile.Encode(f, names)
}

// EventsOf returns the events of a call, with the losses and returns of the link
// while it lived.
func EventsOf(ctx context.Context, db *store.DB, call *bridge.Call) ([]bridge.Event, error) {
	events, err := db.Events(ctx, call.ID)
	if err != nil {
		return nil, err
	}
	links, err := linksAround(ctx, db, call)
	if err != nil {
		return nil, err
	}
	ours := casefile.Channels(events)
	for _, l := range links {
		events = append(events, casefile.Prune(l, ours))
	}
	return events, nil
}

// linksAround returns when the PBX could not be seen while the call lived: it
// is filed under no call, and the record's gaps come from it.
func linksAround(ctx context.Context, db *store.DB, call *bridge.Call) ([]bridge.Event, error) {
	since := call.StartedAt.Add(-time.Minute)
	loose, err := db.LooseEvents(ctx, call.PBX, since)
	if err != nil {
		return nil, err
	}
	var out []bridge.Event
	for _, e := range loose {
		if e.Kind != bridge.LinkLost && e.Kind != bridge.LinkUp {
			continue
		}
		if !call.EndedAt.IsZero() && e.At.After(call.EndedAt.Add(time.Minute)) && e.From.IsZero() {
			continue
		}
		out = append(out, e)
	}
	return out, nil
}

// settingsOf returns what decided, without passwords and users.
func settingsOf(ctx context.Context, db *store.DB, version int64) (bridge.Settings, error) {
	var s bridge.Settings
	var err error
	if version > 0 {
		s, err = db.SettingsVersion(ctx, version)
	} else {
		s, _, err = db.Settings(ctx)
	}
	if err != nil {
		return s, fmt.Errorf("settings version %d: %w", version, err)
	}
	s.Users, s.Credentials = nil, nil
	for i := range s.Integrations {
		s.Integrations[i].Credentials, s.Integrations[i].CredentialsID = nil, ""
	}
	return s, nil
}

func cardsOf(ctx context.Context, db *store.DB, f *casefile.File) error {
	rings, err := db.Rings(ctx, f.Call.ID)
	if err != nil {
		return err
	}
	for _, r := range rings {
		f.Rings = append(f.Rings, casefile.Ring{Extension: r.Extension, At: r.At, Tabs: r.Tabs, DND: r.DND})
	}
	shown, err := db.Receipts(ctx, f.Call.ID)
	if err != nil {
		return err
	}
	for _, r := range shown {
		f.Shown = append(f.Shown, casefile.Shown{Extension: r.Extension, At: r.ShownAt, MS: r.LatencyMS})
	}
	return nil
}

// namesIn returns the names that may stand in the file: of the client as the
// CRMs know him, of his company, of the CRMs' employees.
func namesIn(ctx context.Context, db *store.DB, call *bridge.Call) ([]string, error) {
	var out []string
	add := func(full string) {
		out = append(out, full)
		for _, part := range strings.Fields(full) {
			if len([]rune(part)) > 3 {
				out = append(out, part)
			}
		}
	}
	s, _, err := db.Settings(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range s.Employees {
		add(e.Name)
	}
	for _, u := range s.Users {
		add(u.Name)
	}
	for _, in := range s.Integrations {
		staff, _, err := db.Staff(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		for _, p := range staff {
			add(p.Name)
		}
	}
	if call.Client != "" {
		rows, err := db.ContactsByNumber(ctx, call.Client)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			add(r.Name)
			add(r.Company)
			add(r.Manager)
		}
	}
	return out, nil
}
