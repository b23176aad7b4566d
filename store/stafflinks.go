package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"callbridge/bridge"
)

// StaffLink joins an employee of ours to a user of a CRM.
type StaffLink struct {
	Extension string `db:"extension"`
	Email     string `db:"email"`
	User      string `db:"user_id"`
}

// SaveStaffLinks replaces the links of an integration.
func (db *DB) SaveStaffLinks(ctx context.Context, integration string, links []StaffLink, at time.Time) error {
	rows := make([][]any, len(links))
	for i, l := range links {
		rows[i] = []any{integration, clean(l.Extension), clean(l.Email), clean(l.User), milli(at)}
	}
	return db.write(ctx, "save links of employees", func(t *tx) error {
		if err := t.exec(`DELETE FROM staff_links WHERE integration = ?`, integration); err != nil || len(rows) == 0 {
			return err
		}
		return t.insert(`staff_links (integration, extension, email, user_id, since)`, `ON CONFLICT DO NOTHING`, rows)
	})
}

// StaffLinks returns them, by extension.
func (db *DB) StaffLinks(ctx context.Context, integration string) ([]StaffLink, error) {
	var rows []StaffLink
	err := db.read(ctx, "links of employees", &rows, `SELECT extension, email, user_id FROM staff_links WHERE integration = ? ORDER BY extension`, integration)
	return rows, err
}

// StaffAlarm is a list of employees that was not believed (D-07).
type StaffAlarm struct {
	At       bridge.Time
	Was, Now int
	Gone     []string // names
	Text     string
}

// SaveStaffAlarm keeps the alarm of an integration; nil clears it.
func (db *DB) SaveStaffAlarm(ctx context.Context, integration string, a *StaffAlarm) error {
	return db.write(ctx, "staff alarm", func(t *tx) error {
		if a == nil {
			return t.exec(`DELETE FROM staff_alarms WHERE integration = ?`, integration)
		}
		b, err := json.Marshal(struct {
			Gone []string
			Text string
		}{a.Gone, a.Text})
		if err != nil {
			return err
		}
		return t.exec(`INSERT INTO staff_alarms (integration, at, was, now, gone) VALUES (?, ?, ?, ?, ?) ON CONFLICT (integration) DO UPDATE SET
			at = excluded.at, was = excluded.was, now = excluded.now, gone = excluded.gone`, integration, a.At.Milli(), a.Was, a.Now, clean(string(b)))
	})
}

// StaffAlarm returns the alarm of an integration, nil if there is none.
func (db *DB) StaffAlarm(ctx context.Context, integration string) (*StaffAlarm, error) {
	var r struct {
		At   int64  `db:"at"`
		Was  int    `db:"was"`
		Now  int    `db:"now"`
		Gone string `db:"gone"`
	}
	err := db.readOne(ctx, "staff alarm", &r, `SELECT at, was, now, gone FROM staff_alarms WHERE integration = ?`, integration)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var more struct {
		Gone []string
		Text string
	}
	if err := json.Unmarshal([]byte(r.Gone), &more); err != nil {
		return nil, db.wrap("staff alarm", err)
	}
	return &StaffAlarm{At: bridge.AtMilli(r.At), Was: r.Was, Now: r.Now, Gone: more.Gone, Text: more.Text}, nil
}
