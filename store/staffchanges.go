package store

import (
	"context"
	"encoding/json"
	"time"

	"callbridge/bridge"
)

// StaffChanges is what one synchronisation found changed in a CRM's list.
type StaffChanges struct {
	At   bridge.Time
	What []string // sentences
}

// keepStaffChanges is how many of them are kept per integration.
const keepStaffChanges = 50

// AddStaffChanges keeps what a synchronisation found; nothing keeps nothing.
func (db *DB) AddStaffChanges(ctx context.Context, integration string, at time.Time, what []string) error {
	if len(what) == 0 {
		return nil
	}
	b, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return db.write(ctx, "staff changes", func(t *tx) error {
		if err := t.exec(`INSERT INTO staff_changes (integration, at, changes) VALUES (?, ?, ?) ON CONFLICT (integration, at) DO UPDATE SET changes = excluded.changes`,
			integration, milli(at), clean(string(b))); err != nil {
			return err
		}
		return t.exec(`DELETE FROM staff_changes WHERE integration = ? AND at NOT IN
			(SELECT at FROM staff_changes WHERE integration = ? ORDER BY at DESC LIMIT ?)`, integration, integration, keepStaffChanges)
	})
}

// StaffChanges returns them, newest first.
func (db *DB) StaffChanges(ctx context.Context, integration string) ([]StaffChanges, error) {
	var rows []struct {
		At      int64  `db:"at"`
		Changes string `db:"changes"`
	}
	if err := db.read(ctx, "staff changes", &rows, `SELECT at, changes FROM staff_changes WHERE integration = ? ORDER BY at DESC`, integration); err != nil {
		return nil, err
	}
	out := make([]StaffChanges, len(rows))
	for i, r := range rows {
		out[i].At = bridge.AtMilli(r.At)
		if err := json.Unmarshal([]byte(r.Changes), &out[i].What); err != nil {
			return nil, db.wrap("staff changes", err)
		}
	}
	return out, nil
}

// UserStatus says that a user is shown as busy in a CRM because of a call.
type UserStatus struct {
	Integration string `db:"integration"`
	Extension   string `db:"extension"`
	User        string `db:"user_id"`
	Was         string `db:"was"` // what is to be shown again afterwards
	Since       int64  `db:"since"`
}

// SaveUserStatus keeps it, before the CRM is told.
func (db *DB) SaveUserStatus(ctx context.Context, s UserStatus) error {
	return db.write(ctx, "user status", func(t *tx) error {
		return t.exec(`INSERT INTO user_statuses (integration, extension, user_id, was, since) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (integration, extension) DO UPDATE SET user_id = excluded.user_id, was = excluded.was`,
			s.Integration, clean(s.Extension), clean(s.User), clean(s.Was), s.Since)
	})
}

// DeleteUserStatus forgets it: the CRM shows what it should.
func (db *DB) DeleteUserStatus(ctx context.Context, integration, extension string) error {
	return db.write(ctx, "user status", func(t *tx) error {
		return t.exec(`DELETE FROM user_statuses WHERE integration = ? AND extension = ?`, integration, clean(extension))
	})
}

// UserStatuses returns those of an integration, by extension.
func (db *DB) UserStatuses(ctx context.Context, integration string) ([]UserStatus, error) {
	var rows []UserStatus
	err := db.read(ctx, "user statuses", &rows, `SELECT integration, extension, user_id, was, since FROM user_statuses WHERE integration = ? ORDER BY extension`, integration)
	return rows, err
}
