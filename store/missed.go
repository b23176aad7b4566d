package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"callbridge/bridge"
)

// SaveMissed writes entries of clients who wait to be called back, and in the
// same transaction the deliveries that come of it (b's plans and deliveries).
func (db *DB) SaveMissed(ctx context.Context, entries []bridge.MissedEntry, b Batch) error {
	return db.share(ctx, "save missed calls", func(t *tx) error {
		for _, e := range entries {
			data, err := json.Marshal(e)
			if err != nil {
				return err
			}
			err = t.exec(`INSERT INTO missed (id, client, line, last_at, due_at, closed_at, data) VALUES (?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (id) DO UPDATE SET last_at = excluded.last_at, due_at = excluded.due_at, closed_at = excluded.closed_at, data = excluded.data`,
				clean(e.ID), string(e.Client), clean(e.Line), e.LastAt.Milli(), e.DueAt.Milli(), e.ClosedAt.Milli(), string(data))
			if err != nil {
				return fmt.Errorf("entry %s: %w", e.ID, err)
			}
			for _, id := range e.Calls {
				if err := t.exec(`INSERT INTO missed_calls (call_id, missed) VALUES (?, ?) ON CONFLICT DO NOTHING`, clean(id), clean(e.ID)); err != nil {
					return fmt.Errorf("entry %s: %w", e.ID, err)
				}
			}
		}
		return t.plan(b, nil)
	})
}

func (db *DB) missed(ctx context.Context, where string, args ...any) ([]bridge.MissedEntry, error) {
	var data []string
	if err := db.read(ctx, "missed calls", &data, `SELECT data FROM missed WHERE `+where, args...); err != nil {
		return nil, err
	}
	out := make([]bridge.MissedEntry, len(data))
	for i, s := range data {
		if err := json.Unmarshal([]byte(s), &out[i]); err != nil {
			return nil, db.wrap("missed calls", err)
		}
	}
	return out, nil
}

// MissedOf returns the open entries of clients.
func (db *DB) MissedOf(ctx context.Context, clients []bridge.Number) ([]bridge.MissedEntry, error) {
	if len(clients) == 0 {
		return nil, nil
	}
	names := make([]string, len(clients))
	for i, c := range clients {
		names[i] = string(c)
	}
	list, args := in(names)
	return db.missed(ctx, `closed_at = 0 AND client IN `+list+` ORDER BY last_at, id`, args...)
}

// OpenMissed returns up to n open entries, the most urgent first.
func (db *DB) OpenMissed(ctx context.Context, n int) ([]bridge.MissedEntry, error) {
	return db.missed(ctx, `closed_at = 0 ORDER BY CASE WHEN due_at = 0 THEN last_at ELSE due_at END, id LIMIT ?`, n)
}

// ClosedMissed returns up to n entries closed since then, the latest first.
func (db *DB) ClosedMissed(ctx context.Context, since time.Time, n int) ([]bridge.MissedEntry, error) {
	return db.missed(ctx, `closed_at > 0 AND closed_at >= ? ORDER BY closed_at DESC, id LIMIT ?`, milli(since), n)
}

// Missed returns one entry; ErrNotFound if there is none.
func (db *DB) Missed(ctx context.Context, id string) (bridge.MissedEntry, error) {
	list, err := db.missed(ctx, `id = ?`, id)
	if err != nil {
		return bridge.MissedEntry{}, err
	}
	if len(list) == 0 {
		return bridge.MissedEntry{}, db.wrap("missed call "+id, ErrNotFound)
	}
	return list[0], nil
}

// MissedCounted says whether a call stands in an entry.
func (db *DB) MissedCounted(ctx context.Context, callID string) (bool, error) {
	var n int
	err := db.readOne(ctx, "missed calls", &n, `SELECT COUNT(*) FROM missed_calls WHERE call_id = ?`, callID)
	return n > 0, err
}

// TalkedAfter returns the first answered call with one of the clients that
// began after then; the zero Call if there is none.
func (db *DB) TalkedAfter(ctx context.Context, clients []bridge.Number, then bridge.Time) (bridge.Call, error) {
	var c bridge.Call
	names := make([]string, len(clients))
	for i, n := range clients {
		names[i] = string(n)
	}
	list, args := in(names)
	var data []string
	err := db.read(ctx, "talks", &data, `SELECT data FROM calls WHERE client IN `+list+` AND client <> '' AND started_at > ? AND outcome = 'answered'
		AND merged_into = '' ORDER BY started_at LIMIT 1`, append(args, then.Milli())...)
	if err != nil || len(data) == 0 {
		return c, err
	}
	return c, db.wrap("talks", json.Unmarshal([]byte(data[0]), &c))
}

// sqlSameContact says twice that the id is not empty, because the planner of
// SQLite uses the partial index of ids only if it reads so of b.
const sqlSameContact = `SELECT DISTINCT b.number FROM contacts a JOIN contacts b ON b.integration = a.integration AND b.id = a.id AND b.id <> ''
	WHERE a.number = ? AND a.id <> '' AND b.number <> ? ORDER BY b.number LIMIT 50`

// SameContact returns n and the other numbers of the contacts that have it.
func (db *DB) SameContact(ctx context.Context, n bridge.Number) ([]bridge.Number, error) {
	var rows []string
	err := db.read(ctx, "numbers of a contact", &rows, sqlSameContact, string(n), string(n))
	if err != nil {
		return nil, err
	}
	out := []bridge.Number{n}
	for _, r := range rows {
		out = append(out, bridge.Number(r))
	}
	return out, nil
}

const missedUntil = "missed_until"

// MissedUntil is up to when ended calls are known to stand in the list; the
// zero time if that was never written down.
func (db *DB) MissedUntil(ctx context.Context) (time.Time, error) {
	var v string
	err := db.readOne(ctx, "missed calls", &v, `SELECT value FROM meta WHERE name = ?`, missedUntil)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(v, 10, 64)
	return fromMilli(ms), db.wrap("missed calls", err)
}

// SetMissedUntil writes it down.
func (db *DB) SetMissedUntil(ctx context.Context, at time.Time) error {
	return db.share(ctx, "missed calls", func(t *tx) error {
		return t.exec(`INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
			missedUntil, strconv.FormatInt(at.UnixMilli(), 10))
	})
}
