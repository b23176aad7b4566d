package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
)

const (
	// sqlDue finds lanes to look at, sqlHeads (its list of clients follows) what
	// stands first in them. A test holds both to their indexes.
	sqlDue   = `SELECT client FROM lanes WHERE integration = ? AND backlog = ? AND due_at <= ? ORDER BY due_at LIMIT ?`
	sqlHeads = `SELECT ` + deliveryColumns + `, d.call_at, l.backlog, COALESCE((SELECT c.merged_into FROM calls c WHERE c.id = d.call_id), '') AS merged
		FROM lanes l JOIN deliveries d ON d.id = COALESCE((SELECT b.id FROM deliveries b WHERE b.id = l.busy AND b.state = 'trying'),
		(SELECT o.id FROM deliveries o WHERE o.integration = l.integration AND o.client = l.client AND o.` + openStates + ` ORDER BY o.call_at, o.id LIMIT 1))
		WHERE l.integration = ? AND l.client IN `
)

// laneRow is a delivery and the lane it stands in.
type laneRow struct {
	ID          int64  `db:"id"`
	Integration string `db:"integration"`
	Client      string `db:"client"`
	CallAt      int64  `db:"call_at"` // only where a backlog is queued
}

// Claim takes up to n due deliveries of an integration for lease. Of each
// client it takes the oldest open one (by the start of its call, then in the
// order of planning) and nothing while that one is not due or is with another
// worker: one client's actions run in order and one at a time. Held and closed
// rows block nobody. A row whose lease ran out comes back with Look set: the
// worker before may have carried it out. Nothing is claimed of a held
// integration. Clients with fresh deliveries come first, those with a backlog
// after them, by the start of their oldest call.
func (db *DB) Claim(ctx context.Context, integration string, now time.Time, lease time.Duration, n int) ([]bridge.Delivery, error) {
	return db.ClaimUpTo(ctx, integration, now, lease, n, n)
}

// ClaimUpTo is Claim with at most backlog deliveries of clients who have a
// backlog, so that these never take all the places of a worker (F-15).
func (db *DB) ClaimUpTo(ctx context.Context, integration string, now time.Time, lease time.Duration, n, backlog int) ([]bridge.Delivery, error) {
	// Most claims find nothing; they need not stand in the writer's queue.
	due, ok, err := db.NextDue(ctx, integration)
	if err != nil || !ok || milli(due) > milli(now) {
		return nil, err
	}
	var rows []deliveryRow
	err = db.share(ctx, "claim", func(t *tx) error {
		rows = rows[:0]
		if held, err := t.isHeld(integration); err != nil || held {
			return err
		}
		for class, most := range []int{n, backlog} {
			for most = min(most, n-len(rows)); most > 0; {
				got, seen, err := t.claim(integration, class, milli(now), milli(now.Add(lease)), most)
				rows = append(rows, got...)
				if err != nil {
					return err
				}
				if most -= len(got); seen == 0 {
					break
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out, err := deliveriesOf(rows)
	return out, db.wrap("claim", err)
}

func (t *tx) isHeld(integration string) (bool, error) {
	var n int
	err := t.one(&n, `SELECT COUNT(*) FROM integrations WHERE id = ? AND held_since > 0`, integration)
	return n > 0, err
}

// claim looks at up to n due lanes of a class (1: with a backlog) and takes
// their heads. Every lane it saw is no longer due afterwards, unless its head
// was closed on the way.
func (t *tx) claim(integration string, class int, now, until int64, n int) (got []deliveryRow, seen int, err error) {
	var clients []string
	err = t.all(&clients, sqlDue+t.forUpdate("FOR UPDATE SKIP LOCKED"), integration, class, now, n)
	if err != nil || len(clients) == 0 {
		return nil, 0, err
	}
	// A second statement sees what was committed before the lanes were ours.
	heads, err := t.heads(integration, clients)
	if err != nil {
		return nil, 0, err
	}
	var lanes [][]any // when they are due next, and what is being tried
	var empty []string
	for _, client := range clients {
		h, ok := heads[client]
		switch {
		case !ok:
			empty = append(empty, client)
		case h.State == string(bridge.Trying) && h.LeaseUntil > now:
			lanes = append(lanes, []any{integration, client, h.LeaseUntil, h.ID})
		case h.State == string(bridge.Waiting) && h.NextAt > now:
			lanes = append(lanes, []any{integration, client, h.NextAt, int64(0)})
		case h.Merged != "":
			if err := t.exec(`UPDATE deliveries SET state = 'skipped', done_at = ?, lease_until = 0, note = ? WHERE id = ?`, now, mergedNote(h.Merged), h.ID); err != nil {
				return nil, 0, err
			}
		default:
			h.Look = h.Look || h.State == string(bridge.Trying)
			h.State, h.LeaseUntil, h.Ticket = string(bridge.Trying), until, h.Ticket+1
			got = append(got, h)
			lanes = append(lanes, []any{integration, client, until, h.ID})
		}
	}
	if len(empty) > 0 {
		list, args := in(empty)
		if err := t.exec(`DELETE FROM lanes WHERE integration = ? AND client IN `+list, append([]any{integration}, args...)...); err != nil {
			return nil, 0, err
		}
	}
	if err := t.setLanes(lanes); err != nil || len(got) == 0 {
		return nil, len(clients), err
	}
	ids := make([]int64, len(got))
	for i := range got {
		ids[i] = got[i].ID
	}
	list, args := in(ids)
	err = t.exec(`UPDATE deliveries SET look = (look OR state = 'trying'), state = 'trying', lease_until = ?, ticket = ticket + 1 WHERE id IN `+list,
		append([]any{until}, args...)...)
	return got, len(clients), err
}

// heads finds the delivery of each client whose turn it is: the one a worker
// has or had, else the oldest open one.
func (t *tx) heads(integration string, clients []string) (map[string]deliveryRow, error) {
	out := make(map[string]deliveryRow, len(clients))
	for part := range slices.Chunk(clients, 500) {
		list, args := in(part)
		var rows []deliveryRow
		err := t.all(&rows, sqlHeads+list, append([]any{integration}, args...)...)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			out[r.Client] = r
		}
	}
	return out, nil
}

// openLanes makes lanes for new deliveries; each row is a client's integration,
// name, time and class. A lane that exists keeps its time: its head is not the
// new row. It is locked all the same, because a Claim that sees no open row yet
// would remove it. A client who calls while his backlog waits is served first.
func (t *tx) openLanes(rows [][]any) error {
	return t.insert(`lanes (integration, client, due_at, backlog)`, `ON CONFLICT (integration, client) DO UPDATE SET due_at = lanes.due_at,
		backlog = CASE WHEN excluded.backlog < lanes.backlog THEN excluded.backlog ELSE lanes.backlog END`, laneOrder(rows))
}

// queueBacklog puts the clients of rows behind the fresh ones, in the order of
// their oldest calls. With keep, a client with a lane stays in his class.
func (t *tx) queueBacklog(rows []laneRow, keep bool) error {
	lanes := make([][]any, len(rows))
	for i, r := range rows {
		lanes[i] = []any{r.Integration, r.Client, r.CallAt, int64(1)}
	}
	class := "1"
	if keep {
		class = "lanes.backlog"
	}
	return t.insert(`lanes (integration, client, due_at, backlog)`, `ON CONFLICT (integration, client) DO UPDATE SET backlog = `+class+`,
		due_at = CASE WHEN lanes.due_at < excluded.due_at THEN lanes.due_at ELSE excluded.due_at END`, laneOrder(lanes))
}

// setLanes says when lanes are due and which of their deliveries is tried.
func (t *tx) setLanes(rows [][]any) error {
	return t.insert(`lanes (integration, client, due_at, busy)`, `ON CONFLICT (integration, client) DO UPDATE SET due_at = excluded.due_at, busy = excluded.busy`, laneOrder(rows))
}

// wake has the lanes of rows looked at now. Claim itself finds out if it is
// too early.
func (t *tx) wake(rows []laneRow, now int64) error {
	lanes := make([][]any, len(rows))
	for i, r := range rows {
		lanes[i] = []any{r.Integration, r.Client, now}
	}
	return t.insert(`lanes (integration, client, due_at)`, `ON CONFLICT (integration, client) DO UPDATE SET due_at = excluded.due_at`, laneOrder(lanes))
}

// laneOrder sorts, so that nodes lock lanes in one order, and keeps the
// earliest time of each lane.
func laneOrder(rows [][]any) [][]any {
	slices.SortFunc(rows, func(a, b []any) int {
		return cmp.Or(strings.Compare(a[0].(string), b[0].(string)), strings.Compare(a[1].(string), b[1].(string)), cmp.Compare(a[2].(int64), b[2].(int64)))
	})
	return slices.CompactFunc(rows, func(a, b []any) bool { return a[0] == b[0] && a[1] == b[1] })
}

// repairLanes gives every client with open deliveries a lane. They are written
// together, so this finds nothing; should it ever, a delivery is late until
// the next start and not stuck for good.
func (db *DB) repairLanes(ctx context.Context) error {
	return db.write(ctx, "lanes", func(t *tx) error {
		n, err := t.changed(`INSERT INTO lanes (integration, client, due_at) SELECT integration, client, 0 FROM deliveries
			WHERE ` + openStates + ` GROUP BY integration, client ON CONFLICT DO NOTHING`)
		if n > 0 {
			db.log.Warn("clients with open deliveries had no place in the queue", "lanes", n)
		}
		return err
	})
}
