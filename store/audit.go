package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callbridge/bridge"
)

// ErrConflict is what SaveSettingsAfter returns when somebody else has saved.
var ErrConflict = errors.New("somebody else has saved a newer version")

// AuditRow is one thing somebody changed.
type AuditRow struct {
	ID     int64       `json:"id"`
	At     bridge.Time `json:"at"`
	By     string      `json:"by"`
	What   string      `json:"what"`   // from a closed list: settings, token, login_link, check, case
	Object string      `json:"object"` // version, login, integration, call
}

// AddAudit writes down who did what.
func (db *DB) AddAudit(ctx context.Context, by, what, object string) error {
	return db.write(ctx, "audit", func(t *tx) error {
		last, err := t.count("audit", 1)
		if err != nil {
			return err
		}
		return t.exec(`INSERT INTO audit (id, at, by_login, what, object) VALUES (?, ?, ?, ?, ?)`, last+1, time.Now().UnixMilli(), clean(by), clean(what), clean(object))
	})
}

// Audit returns what was done, newest first; before is the last id of the page
// before, 0 for the newest.
func (db *DB) Audit(ctx context.Context, before int64, n int) ([]AuditRow, error) {
	var rows []struct {
		ID     int64  `db:"id"`
		At     int64  `db:"at"`
		By     string `db:"by_login"`
		What   string `db:"what"`
		Object string `db:"object"`
	}
	where, args := ``, []any{}
	if before > 0 {
		where, args = ` WHERE id < ?`, append(args, before)
	}
	err := db.read(ctx, "audit", &rows, `SELECT id, at, by_login, what, object FROM audit`+where+` ORDER BY id DESC LIMIT ?`, append(args, limit(n, 1000))...)
	out := make([]AuditRow, len(rows))
	for i, r := range rows {
		out[i] = AuditRow{r.ID, bridge.AtMilli(r.At), r.By, r.What, r.Object}
	}
	return out, err
}

// SaveSettingsAfter is SaveSettings for one who has seen version base: if there
// is a newer one nothing is saved and ErrConflict returned.
func (db *DB) SaveSettingsAfter(ctx context.Context, by string, s bridge.Settings, note string, base int64) (int64, error) {
	return db.saveSettings(ctx, by, s, note, func(last int64) error {
		if last != base {
			return fmt.Errorf("%w: it is %d, yours was %d", ErrConflict, last, base)
		}
		return nil
	})
}
