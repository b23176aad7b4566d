package store

import (
	"context"
	"fmt"
	"time"
)

// purgeChunk is smaller than chunk: a call has many rows that hang on it.
const purgeChunk = 500

// Purge removes what is older than r says, in small transactions, so that
// intake never waits long for it. Nothing else in the store deletes facts
// (D-04). Both sides of the ledger go together.
func (db *DB) Purge(ctx context.Context, r Retention) (Purged, error) {
	var p Purged
	var err error
	if ms := milli(r.Events); ms > 0 {
		// Events of living calls stay: the tracker needs them after a restart.
		p.Events, err = db.purge(ctx, func(t *tx) (int64, error) {
			return t.changed(`DELETE FROM events WHERE (pbx, at, id) IN (SELECT e.pbx, e.at, e.id FROM events e WHERE e.at < ?
				AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.id = e.call_id AND c.outcome = '' AND c.merged_into = '') LIMIT ?)`, ms, purgeChunk)
		})
		if err != nil {
			return p, err
		}
	}
	if ms := milli(r.Attempts); ms > 0 {
		p.Attempts, err = db.purge(ctx, func(t *tx) (int64, error) {
			return t.changed(`DELETE FROM attempts WHERE (delivery_id, n) IN (SELECT delivery_id, n FROM attempts WHERE at < ? LIMIT ?)`, ms, purgeChunk)
		})
		if err != nil {
			return p, err
		}
	}
	if ms := milli(r.Calls); ms > 0 {
		p.Calls, err = db.purge(ctx, func(t *tx) (int64, error) { return t.purgeCalls(ms) })
		if err == nil {
			_, err = db.purge(ctx, func(t *tx) (int64, error) {
				return t.changed(`DELETE FROM route_decisions WHERE id IN (SELECT id FROM route_decisions WHERE at < ? LIMIT ?)`, ms, purgeChunk)
			})
		}
	}
	if err != nil {
		return p, err
	}
	for _, k := range []struct {
		before time.Time
		n      *int64
		table  string
		key    string
		cond   string
	}{
		{r.Cards, &p.Cards, "receipts", "call_id, extension, login", `sent_at < ?`},
		{r.Cards, &p.Cards, "rings", "call_id, extension, at", `at < ?`},
		{r.Contacts, &p.Contacts, "contacts", "number, integration", `updated_at < ?`},
		{r.Missed, &p.Missed, "missed", "id", `closed_at > 0 AND closed_at < ?`},
		{r.Clicks, &p.Clicks, "clicks", "request_id", `created_at < ?`},
		{r.Audit, &p.Audit, "audit", "id", `at < ?`},
	} {
		ms := milli(k.before)
		if ms <= 0 {
			continue
		}
		n, err := db.purge(ctx, func(t *tx) (int64, error) {
			return t.changed(`DELETE FROM `+k.table+` WHERE (`+k.key+`) IN (SELECT `+k.key+` FROM `+k.table+` WHERE `+k.cond+` LIMIT ?)`, ms, purgeChunk)
		})
		*k.n += n
		if err != nil {
			return p, fmt.Errorf("%s: %w", k.table, err)
		}
	}
	return p, nil
}

// purge repeats f until it finds nothing more.
func (db *DB) purge(ctx context.Context, f func(*tx) (int64, error)) (int64, error) {
	var total int64
	for {
		var n int64
		err := db.write(ctx, "purge", func(t *tx) (err error) {
			n, err = f(t)
			return err
		})
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

func (t *tx) purgeCalls(before int64) (int64, error) {
	var ids []string
	err := t.all(&ids, `SELECT c.id FROM calls c WHERE c.started_at < ? AND (c.outcome <> '' OR c.merged_into <> '')
		AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.call_id = c.id AND d.state IN ('waiting', 'trying', 'held')) ORDER BY c.started_at LIMIT ?`, before, purgeChunk)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	list, args := in(ids)
	for _, table := range []string{"deliveries", "plans", "receipts", "rings", "recordings", "missed_calls", "call_extensions", "events"} {
		if err := t.exec(`DELETE FROM `+table+` WHERE call_id IN `+list, args...); err != nil {
			return 0, fmt.Errorf("%s: %w", table, err)
		}
	}
	return t.changed(`DELETE FROM calls WHERE id IN `+list, args...)
}
