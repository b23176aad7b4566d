package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"callbridge/bridge"
)

// SaveSettings keeps s as the next version and returns its number. The whole
// document is encrypted, not only the passwords in it: names, addresses and
// password hashes are nobody's business either.
func (db *DB) SaveSettings(ctx context.Context, by string, s bridge.Settings, note string) (int64, error) {
	return db.saveSettings(ctx, by, s, note, func(int64) error { return nil })
}

// saveSettings asks may, with the number of the newest version, under the lock.
func (db *DB) saveSettings(ctx context.Context, by string, s bridge.Settings, note string, may func(last int64) error) (int64, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return 0, db.wrap("save settings", err)
	}
	var version int64
	err = db.write(ctx, "save settings", func(t *tx) error {
		// Counted under a lock: two admins who save at once get two versions.
		if err := t.exec(`INSERT INTO counters (name, last) VALUES ('settings', 0) ON CONFLICT DO NOTHING`); err != nil {
			return err
		}
		last, err := t.count("settings", 1)
		if err != nil {
			return err
		}
		if err := may(last); err != nil {
			return err
		}
		version = last + 1
		return t.exec(`INSERT INTO settings (version, at, by_login, note, data) VALUES (?, ?, ?, ?, ?)`,
			version, time.Now().UnixMilli(), clean(by), clean(note), db.box.seal(settingsPurpose(version), data))
	})
	return version, err
}

func settingsPurpose(version int64) string { return fmt.Sprintf("settings version %d", version) }

// Settings returns the newest settings and their version; zero and 0 if there
// are none yet.
func (db *DB) Settings(ctx context.Context) (bridge.Settings, int64, error) {
	var version int64
	err := db.readOne(ctx, "settings", &version, `SELECT version FROM settings ORDER BY version DESC LIMIT 1`)
	if errors.Is(err, ErrNotFound) {
		return bridge.Settings{}, 0, nil
	}
	if err != nil {
		return bridge.Settings{}, 0, err
	}
	s, err := db.SettingsVersion(ctx, version)
	return s, version, err
}

// SettingsVersion returns one version, ErrNotFound if there is none.
func (db *DB) SettingsVersion(ctx context.Context, version int64) (bridge.Settings, error) {
	var s bridge.Settings
	var sealed []byte
	if err := db.readOne(ctx, "settings", &sealed, `SELECT data FROM settings WHERE version = ?`, version); err != nil {
		return s, err
	}
	data, err := db.box.open(settingsPurpose(version), sealed)
	if err != nil {
		return s, db.wrap("settings", err)
	}
	return s, db.wrap("settings", json.Unmarshal(data, &s))
}

// SettingsVersions lists all versions, newest first.
func (db *DB) SettingsVersions(ctx context.Context) ([]SettingsInfo, error) {
	var rows []struct {
		Version int64  `db:"version"`
		At      int64  `db:"at"`
		By      string `db:"by_login"`
		Note    string `db:"note"`
	}
	err := db.read(ctx, "settings versions", &rows, `SELECT version, at, by_login, note FROM settings ORDER BY version DESC`)
	out := make([]SettingsInfo, len(rows))
	for i, r := range rows {
		out[i] = SettingsInfo{r.Version, bridge.AtMilli(r.At), r.By, r.Note}
	}
	return out, err
}

// IntegrationState returns what is known of an integration. One that was never
// seen is active.
func (db *DB) IntegrationState(ctx context.Context, id string) (IntegrationState, error) {
	var r struct {
		Since   int64  `db:"held_since"`
		Reason  string `db:"held_reason"`
		First   int64  `db:"first_refused"`
		Checked int64  `db:"checked_at"`
		Report  string `db:"report"`
	}
	err := db.readOne(ctx, "integration state", &r, `SELECT held_since, held_reason, first_refused, checked_at, report FROM integrations WHERE id = ?`, id)
	if errors.Is(err, ErrNotFound) {
		return IntegrationState{Active: true}, nil
	}
	if err != nil {
		return IntegrationState{}, err
	}
	return IntegrationState{Active: r.Since == 0, HeldSince: bridge.AtMilli(r.Since), HeldReason: r.Reason,
		FirstRefused: bridge.AtMilli(r.First), CheckedAt: bridge.AtMilli(r.Checked), Report: r.Report}, nil
}

// MarkRefused remembers the first rejection since the integration was last
// good (F-8); later ones do not move it, ReleaseIntegration clears it.
func (db *DB) MarkRefused(ctx context.Context, id string, at time.Time) error {
	return db.write(ctx, "mark refused", func(t *tx) error {
		return t.exec(`INSERT INTO integrations (id, first_refused) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET first_refused =
			CASE WHEN integrations.first_refused = 0 OR integrations.first_refused > excluded.first_refused THEN excluded.first_refused ELSE integrations.first_refused END`,
			id, milli(at))
	})
}

// SaveCheck keeps the report (JSON) of the last check.
func (db *DB) SaveCheck(ctx context.Context, id string, at time.Time, report string) error {
	return db.write(ctx, "save check", func(t *tx) error {
		return t.exec(`INSERT INTO integrations (id, checked_at, report) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at, report = excluded.report`,
			id, milli(at), clean(report))
	})
}
