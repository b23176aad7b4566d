package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/rules"
	"callbridge/bridge/setting"
	"callbridge/bridge/web"
	"callbridge/crm"
	"callbridge/store"
)

// admin is the app as the settings pages see it.
type admin struct{ a *App }

func (x admin) Settings(ctx context.Context) (bridge.Settings, int64, error) {
	return x.a.db.Settings(ctx)
}

func (x admin) Version(ctx context.Context, v int64) (bridge.Settings, error) {
	s, err := x.a.db.SettingsVersion(ctx, v)
	return s, notFound(err)
}

func (x admin) Versions(ctx context.Context) ([]web.SettingsVersion, error) {
	rows, err := x.a.db.SettingsVersions(ctx)
	out := make([]web.SettingsVersion, len(rows))
	for i, r := range rows {
		out[i] = web.SettingsVersion{Version: r.Version, At: r.At, By: r.By, Note: r.Note}
	}
	return out, err
}

func (x admin) Kinds() []web.Kind {
	var out []web.Kind
	for _, d := range x.a.opts.Drivers {
		out = append(out, web.Kind{Name: d.Name, Title: d.Title, Fields: d.Fields})
	}
	return out
}

func (x admin) fields() map[string][]setting.Field {
	out := map[string][]setting.Field{}
	for _, d := range x.a.opts.Drivers {
		out[d.Name] = d.Fields
	}
	return out
}

// Complete gives masked secrets and empty passwords their stored values, hashes
// new passwords, and says what is wrong.
func (x admin) Complete(ctx context.Context, s bridge.Settings) (bridge.Settings, []setting.Problem, error) {
	stored, _, err := x.a.db.Settings(ctx)
	if err != nil {
		return s, nil, err
	}
	s, list := config.Merge(s, stored)
	list = append(list, config.CheckSettings(&s, x.fields(), x.a.cfg.Country)...)
	s.Users = slices.Clone(s.Users)
	for i := range s.Users {
		u := &s.Users[i]
		if u.Password == "" {
			continue
		}
		hash, err := web.HashPassword(u.Password)
		if err != nil {
			if at := fmt.Sprintf("users[%d].password", i); !slices.ContainsFunc(list, func(p setting.Problem) bool { return p.Path == at }) {
				list = append(list, setting.Problem{Path: at, Text: err.Error()})
			}
			continue
		}
		u.PasswordHash, u.Password = hash, ""
	}
	return s, list, nil
}

// Save keeps s as the next version and puts it in force. Whose password
// changed, or who is gone, is signed out everywhere.
func (x admin) Save(ctx context.Context, by, note string, base int64, s bridge.Settings) (int64, error) {
	was, _, err := x.a.db.Settings(ctx)
	if err != nil {
		return 0, err
	}
	v, err := x.a.db.SaveSettingsAfter(ctx, by, s, note, base)
	if errors.Is(err, store.ErrConflict) {
		return 0, web.ErrConflict
	}
	if err != nil {
		return 0, err
	}
	for _, u := range was.Users {
		i := slices.IndexFunc(s.Users, func(n bridge.User) bool { return strings.EqualFold(n.Login, u.Login) })
		if i >= 0 && s.Users[i].PasswordHash == u.PasswordHash {
			if n := s.Users[i]; n.HideClients != u.HideClients || n.Extension != u.Extension || n.Role != u.Role {
				x.a.hub.KickUser(u.Login) // he comes back with the rights he has now
			}
			continue
		}
		if err := x.a.db.DeleteSessionsOf(ctx, u.Login); err != nil {
			return v, err
		}
		x.a.hub.KickUser(u.Login)
	}
	return v, x.a.loadSettings(ctx)
}

// Try asks the CRM with credentials that are not saved yet.
func (x admin) Try(ctx context.Context, in bridge.Integration) (crm.Report, error) {
	d, ok := x.a.drivers[in.Kind]
	if !ok {
		return crm.Report{}, fmt.Errorf("kind %q is not known", in.Kind)
	}
	client, err := d.Open(crm.Env{Integration: in.ID, HTTP: &http.Client{Transport: x.a.opts.Transport, Timeout: 15 * time.Second},
		Log: x.a.log.With("integration", in.ID), Zone: x.a.zone, Country: x.a.cfg.Country, PublicURL: x.a.cfg.PublicURL, Now: time.Now,
		Observe: func(string, int, time.Duration) {}}, setting.Values(in.Credentials))
	if err != nil {
		return crm.Report{}, err
	}
	return client.Check(ctx)
}

// DryRun compares the rules of next with those in force on stored calls.
func (x admin) DryRun(ctx context.Context, next bridge.Settings, days, most int) (rules.DryRun, error) {
	present, _, err := x.a.db.Settings(ctx)
	if err != nil {
		return rules.DryRun{}, err
	}
	calls, err := StoredCalls(ctx, x.a.db, time.Now().AddDate(0, 0, -days))
	if err != nil {
		return rules.DryRun{}, err
	}
	return rules.Compare(calls, present.Integrations, next.Integrations, most), nil
}

// Text writes settings for reading, secrets masked.
func (x admin) Text(s bridge.Settings) (string, error) {
	b, err := config.ExportSettings(s, x.fields())
	return string(b), err
}
