package store

import (
	"context"
	"time"

	"callbridge/bridge"
)

// chunk is how many rows one transaction changes when many have to: other
// writers wait for one chunk at most.
const chunk = 2000

// HoldIntegration stops an integration: nothing is claimed any more, what
// waits is held and what is planned later will be. since is kept from the
// first hold, reason from the last. Rows that workers have are theirs to
// finish. It returns how many it held.
func (db *DB) HoldIntegration(ctx context.Context, id string, since time.Time, reason string) (int64, error) {
	err := db.write(ctx, "hold", func(t *tx) error {
		return t.exec(`INSERT INTO integrations (id, held_since, held_reason) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE
			SET held_since = CASE WHEN integrations.held_since = 0 THEN excluded.held_since ELSE integrations.held_since END,
			held_reason = excluded.held_reason`, id, max(milli(since), 1), clean(reason))
	})
	if err != nil {
		return 0, err
	}
	return db.holdRows(ctx, id, "", reason)
}

// holdRows holds what waits, of one kind or (kind "") of all.
func (db *DB) holdRows(ctx context.Context, integration string, kind bridge.ActionKind, reason string) (int64, error) {
	cond, args := "", []any{integration}
	if kind != "" {
		cond, args = ` AND kind = ?`, append(args, string(kind))
	}
	var total int64
	for {
		var n int64
		err := db.write(ctx, "hold", func(t *tx) error {
			var rows []laneRow
			err := t.all(&rows, `SELECT id, integration, client FROM deliveries WHERE integration = ? AND `+openStates+` AND state = 'waiting'`+cond+
				` ORDER BY integration, client LIMIT ?`, append(args[:len(args):len(args)], chunk)...)
			if err != nil || len(rows) == 0 {
				n = 0
				return err
			}
			if err := t.wake(rows, time.Now().UnixMilli()); err != nil {
				return err
			}
			list, ids := in(idsOf(rows))
			n, err = t.changed(`UPDATE deliveries SET state = 'held', note = ? WHERE id IN `+list+` AND state = 'waiting'`, append([]any{clean(reason)}, ids...)...)
			return err
		})
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// ReleaseIntegration starts an integration again: held deliveries of calls
// that started at or after resendFrom wait again and go out in order, older
// ones expire. A zero resendFrom sends none of them (R-14 not ticked);
// expired ones can still be sent by Retry. Kinds that are held stay so. Held
// pop-ups are never sent later.
func (db *DB) ReleaseIntegration(ctx context.Context, id string, resendFrom time.Time) (Released, error) {
	// A crash in the middle of a hold or a release leaves rows waiting.
	if _, err := db.holdRows(ctx, id, "", ""); err != nil {
		return Released{}, err
	}
	var sum Released
	var after int64
	for more := true; more; {
		var part Released
		var last int64
		err := db.write(ctx, "release", func(t *tx) (err error) {
			part, last, more, err = t.release(id, milli(resendFrom), after)
			return err
		})
		if err != nil {
			return sum, err
		}
		sum.Waiting += part.Waiting
		sum.Expired += part.Expired
		sum.Popups += part.Popups
		sum.Held, after = part.Held, last
	}
	return sum, nil
}

type heldRow struct {
	laneRow
	Kind string `db:"kind"`
}

// release frees one chunk of held rows after an id. The integration itself is
// opened with the last chunk, so that nothing goes out before all are in order.
func (t *tx) release(id string, from, after int64) (sum Released, last int64, more bool, err error) {
	if err := t.exec(`INSERT INTO integrations (id) VALUES (?) ON CONFLICT (id) DO UPDATE SET id = excluded.id`, id); err != nil {
		return sum, 0, false, err // the row is ours now: a Commit beside us waits for it
	}
	var rows []heldRow
	err = t.all(&rows, `SELECT id, integration, client, call_at, kind FROM deliveries WHERE integration = ? AND state IN ('held', 'failed', 'expired') AND state = 'held'
		AND id > ? AND kind NOT IN (SELECT kind FROM held_kinds WHERE integration = ?) ORDER BY id LIMIT ?`, id, after, id, chunk)
	if err != nil {
		return sum, 0, false, err
	}
	var fresh, old, popups []laneRow
	for _, r := range rows {
		last = r.ID
		switch {
		case r.Kind == string(bridge.ActPopup):
			popups = append(popups, r.laneRow)
		case from != 0 && r.CallAt >= from:
			fresh = append(fresh, r.laneRow)
		default:
			old = append(old, r.laneRow)
		}
	}
	if len(popups) > 0 {
		if sum.Popups, err = t.close(popups, bridge.Skipped, "a pop-up later would be of no use", "'held'"); err != nil {
			return sum, 0, false, err
		}
	}
	if sum.Waiting, err = t.free(fresh); err != nil {
		return sum, 0, false, err
	}
	if len(old) > 0 {
		if sum.Expired, err = t.close(old, bridge.Expired, "not sent after reactivation: outside the resend window", "'held'"); err != nil {
			return sum, 0, false, err
		}
	}
	if len(rows) == chunk {
		return sum, last, true, nil
	}
	if err := t.one(&sum.Held, `SELECT COUNT(*) FROM deliveries WHERE integration = ? AND state IN ('held', 'failed', 'expired') AND state = 'held'`, id); err != nil {
		return sum, 0, false, err
	}
	return sum, last, false, t.exec(`UPDATE integrations SET held_since = 0, held_reason = '', first_refused = 0 WHERE id = ?`, id)
}

// free sets held rows waiting.
func (t *tx) free(rows []laneRow) (int64, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	now := time.Now().UnixMilli()
	if err := t.queueBacklog(rows, false); err != nil {
		return 0, err
	}
	list, args := in(idsOf(rows))
	return t.changed(`UPDATE deliveries SET state = 'waiting', next_at = ?, note = '' WHERE id IN `+list+` AND state = 'held'`, append([]any{now}, args...)...)
}

// HoldKind holds one kind of action of an integration, because a right for it
// is missing; other kinds go on.
func (db *DB) HoldKind(ctx context.Context, integration string, kind bridge.ActionKind, reason string) (int64, error) {
	err := db.write(ctx, "hold kind", func(t *tx) error {
		// The same lock as a Commit's, so that no row slips in between.
		if err := t.exec(`INSERT INTO integrations (id) VALUES (?) ON CONFLICT (id) DO UPDATE SET id = excluded.id`, integration); err != nil {
			return err
		}
		return t.exec(`INSERT INTO held_kinds (integration, kind, since, reason) VALUES (?, ?, ?, ?) ON CONFLICT (integration, kind) DO UPDATE SET reason = excluded.reason`,
			integration, string(kind), time.Now().UnixMilli(), clean(reason))
	})
	if err != nil {
		return 0, err
	}
	return db.holdRows(ctx, integration, kind, reason)
}

// ReleaseKind lets a kind go on and returns how many deliveries wait again:
// none while the integration itself is held.
func (db *DB) ReleaseKind(ctx context.Context, integration string, kind bridge.ActionKind) (int64, error) {
	var total int64
	for {
		var n int64
		err := db.write(ctx, "release kind", func(t *tx) error {
			n = 0
			if err := t.exec(`INSERT INTO integrations (id) VALUES (?) ON CONFLICT (id) DO UPDATE SET id = excluded.id`, integration); err != nil {
				return err
			}
			if err := t.exec(`DELETE FROM held_kinds WHERE integration = ? AND kind = ?`, integration, string(kind)); err != nil {
				return err
			}
			if held, err := t.isHeld(integration); err != nil || held {
				return err
			}
			var rows []laneRow
			err := t.all(&rows, `SELECT id, integration, client, call_at FROM deliveries WHERE integration = ? AND state IN ('held', 'failed', 'expired') AND state = 'held'
				AND kind = ? ORDER BY id LIMIT ?`, integration, string(kind), chunk)
			if err != nil {
				return err
			}
			n, err = t.free(rows)
			return err
		})
		total += n
		if err != nil || n < chunk {
			return total, err
		}
	}
}

// HeldKinds lists the kinds of an integration that are held.
func (db *DB) HeldKinds(ctx context.Context, integration string) ([]HeldKind, error) {
	var rows []struct {
		Kind   string `db:"kind"`
		Since  int64  `db:"since"`
		Reason string `db:"reason"`
	}
	err := db.read(ctx, "held kinds", &rows, `SELECT kind, since, reason FROM held_kinds WHERE integration = ? ORDER BY kind`, integration)
	out := make([]HeldKind, len(rows))
	for i, r := range rows {
		out[i] = HeldKind{bridge.ActionKind(r.Kind), bridge.AtMilli(r.Since), r.Reason}
	}
	return out, err
}
