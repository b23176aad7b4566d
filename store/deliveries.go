package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
)

// openStates stands literally in statements, so that the planners see that
// the partial index of open rows holds all they look for.
const openStates = `state IN ('waiting', 'trying')`

const deliveryColumns = `d.id, d.integration, d.call_id, d.seq, d.client, d.action, d.rule_version, d.state, d.attempts, d.look, d.ticket,
	d.created_at, d.next_at, d.lease_until, d.done_at, d.object_id, d.object_url, d.error_kind, d.error, d.note`

type deliveryRow struct {
	ID          int64  `db:"id"`
	Integration string `db:"integration"`
	CallID      string `db:"call_id"`
	Seq         int    `db:"seq"`
	Client      string `db:"client"`
	Action      string `db:"action"`
	RuleVersion int64  `db:"rule_version"`
	State       string `db:"state"`
	Attempts    int    `db:"attempts"`
	Look        bool   `db:"look"`
	Ticket      int64  `db:"ticket"`
	CreatedAt   int64  `db:"created_at"`
	NextAt      int64  `db:"next_at"`
	LeaseUntil  int64  `db:"lease_until"`
	DoneAt      int64  `db:"done_at"`
	ObjectID    string `db:"object_id"`
	ObjectURL   string `db:"object_url"`
	ErrorKind   string `db:"error_kind"`
	Error       string `db:"error"`
	Note        string `db:"note"`
	Merged      string `db:"merged"` // this and the rest only Claim asks for
	CallAt      int64  `db:"call_at"`
	Backlog     bool   `db:"backlog"`
}

func (r *deliveryRow) delivery() (bridge.Delivery, error) {
	d := bridge.Delivery{
		ID: r.ID, Integration: r.Integration, CallID: r.CallID, Seq: r.Seq, Client: r.Client, RuleVersion: r.RuleVersion,
		State: bridge.DeliveryState(r.State), Attempts: r.Attempts, Look: r.Look, Ticket: r.Ticket,
		CreatedAt: bridge.AtMilli(r.CreatedAt), NextAt: bridge.AtMilli(r.NextAt), LeaseUntil: bridge.AtMilli(r.LeaseUntil), DoneAt: bridge.AtMilli(r.DoneAt),
		ObjectID: r.ObjectID, ObjectURL: r.ObjectURL, ErrorKind: r.ErrorKind, Error: r.Error, Note: r.Note, Backlog: r.Backlog,
	}
	if err := json.Unmarshal([]byte(r.Action), &d.Action); err != nil {
		return d, fmt.Errorf("action of delivery %d: %w", r.ID, err)
	}
	return d, nil
}

func deliveriesOf(rows []deliveryRow) ([]bridge.Delivery, error) {
	out := make([]bridge.Delivery, 0, len(rows))
	for i := range rows {
		d, err := rows[i].delivery()
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// Deliveries returns deliveries in the order of their ids, which within a call
// is the order of its actions.
func (db *DB) Deliveries(ctx context.Context, f DeliveryFilter) ([]bridge.Delivery, error) {
	var where []string
	var args []any
	add := func(cond string, vs ...any) {
		where = append(where, cond)
		args = append(args, vs...)
	}
	if f.CallID != "" {
		add(`d.call_id = ?`, f.CallID)
	}
	if f.Integration != "" {
		add(`d.integration = ?`, f.Integration)
	}
	switch f.State {
	case "":
	case bridge.Waiting, bridge.Trying:
		add(`d.`+openStates+` AND d.state = ?`, string(f.State))
	case bridge.Held, bridge.Refused, bridge.Expired:
		add(`d.state IN ('held', 'failed', 'expired') AND d.state = ?`, string(f.State))
	default:
		add(`d.state = ?`, string(f.State))
	}
	if f.Kind != "" {
		add(`d.kind = ?`, string(f.Kind))
	}
	if f.Client != "" {
		add(`d.client = ?`, f.Client)
	}
	if f.Day != "" {
		add(`d.day = ?`, f.Day)
	}
	if len(f.IDs) > 0 {
		list, vs := in(f.IDs)
		add(`d.id IN `+list, vs...)
	}
	order := ` ORDER BY d.id`
	if f.Newest {
		order += ` DESC`
	}
	if f.After != 0 {
		if f.Newest {
			add(`d.id < ?`, f.After)
		} else {
			add(`d.id > ?`, f.After)
		}
	}
	q := `SELECT ` + deliveryColumns + ` FROM deliveries d`
	if len(where) > 0 {
		q += ` WHERE ` + strings.Join(where, ` AND `)
	}
	var rows []deliveryRow
	if err := db.read(ctx, "deliveries", &rows, q+order+` LIMIT ?`, append(args, limit(f.Limit, 10000))...); err != nil {
		return nil, err
	}
	out, err := deliveriesOf(rows)
	return out, db.wrap("deliveries", err)
}

func limit(n, most int) int {
	if n <= 0 {
		return 100
	}
	return min(n, most)
}

// Finish writes the outcome of an attempt: state, attempts, look, next try,
// object, error and note are taken from d as they are. ErrLeaseLost if d is no
// longer the caller's. Two states are corrected by what is true now: a row
// that wants to wait in a held integration is held, and one that wants to be
// held where nothing is held (any more) waits. Calls from many workers share
// one transaction.
func (db *DB) Finish(ctx context.Context, d bridge.Delivery) error {
	if err := isOutcome(&d); err != nil {
		return err
	}
	return db.share(ctx, "finish delivery", func(t *tx) error { return t.finish(d) })
}

// FinishNext is Finish, and in the same transaction takes for lease what is to
// be done next for the same client, as Claim would; nil if that is nothing, or
// stands in a backlog, whose order is among all clients. A worker that stays
// with a client saves the wait for a claim.
func (db *DB) FinishNext(ctx context.Context, d bridge.Delivery, now time.Time, lease time.Duration) (*bridge.Delivery, error) {
	if d.State == bridge.Waiting || d.State == bridge.Held || d.Backlog {
		return nil, db.Finish(ctx, d)
	}
	if err := isOutcome(&d); err != nil {
		return nil, err
	}
	var row *deliveryRow
	err := db.share(ctx, "finish delivery", func(t *tx) (err error) {
		if err = t.finish(d); err == nil {
			row, err = t.nextOf(d.Integration, d.Client, milli(now), milli(now.Add(lease)))
		}
		return err
	})
	if err != nil || row == nil {
		return nil, err
	}
	next, err := row.delivery()
	return &next, db.wrap("finish delivery", err)
}

// nextOf takes the client's next delivery if it is fresh and due.
func (t *tx) nextOf(integration, client string, now, until int64) (*deliveryRow, error) {
	if held, err := t.isHeld(integration); err != nil || held {
		return nil, err
	}
	heads, err := t.heads(integration, []string{client})
	if err != nil {
		return nil, err
	}
	h, ok := heads[client]
	if !ok || h.State != string(bridge.Waiting) || h.NextAt > now || h.Merged != "" || h.Backlog {
		return nil, nil
	}
	h.State, h.LeaseUntil, h.Ticket = string(bridge.Trying), until, h.Ticket+1
	if err := t.setLanes([][]any{{integration, client, until, h.ID}}); err != nil {
		return nil, err
	}
	return &h, t.exec(`UPDATE deliveries SET state = 'trying', lease_until = ?, ticket = ticket + 1 WHERE id = ?`, until, h.ID)
}

func isOutcome(d *bridge.Delivery) error {
	if d.State == bridge.Trying || !slices.Contains(bridge.DeliveryStates(), d.State) {
		return fmt.Errorf("store: finish delivery %d: %q is no outcome", d.ID, d.State)
	}
	return nil
}

func (t *tx) finish(d bridge.Delivery) error {
	now := time.Now().UnixMilli()
	if d.State == bridge.Waiting || d.State == bridge.Held {
		held, err := t.holdsOf([]string{d.Integration})
		if err != nil {
			return err
		}
		why := held.note(d.Integration, d.Action.Kind)
		switch {
		case d.State == bridge.Waiting && why != "":
			d.State = bridge.Held
			if d.Note == "" {
				d.Note = why
			}
		case d.State == bridge.Held && why == "":
			d.State, d.NextAt = bridge.Waiting, bridge.Time{}
		}
	}
	next, due, done := d.NextAt.Milli(), now, int64(0)
	switch d.State {
	case bridge.Waiting:
		if next == 0 {
			next = now
		}
		due = next
	case bridge.Held:
	default:
		if done = d.DoneAt.Milli(); done == 0 {
			done = now
		}
	}
	// The lane first, then the row: the order of all transactions.
	if err := t.setLanes([][]any{{d.Integration, d.Client, due, int64(0)}}); err != nil {
		return err
	}
	if d.Backlog && d.State != bridge.Waiting {
		// The rest of an old call comes before the calls after it.
		err := t.exec(`UPDATE lanes SET due_at = COALESCE((SELECT MIN(o.call_at) FROM deliveries o WHERE o.integration = lanes.integration
			AND o.client = lanes.client AND o.`+openStates+` AND o.id <> ?), lanes.due_at) WHERE integration = ? AND client = ? AND backlog = 1`,
			d.ID, d.Integration, d.Client)
		if err != nil {
			return err
		}
	}
	n, err := t.changed(`UPDATE deliveries SET state = ?, attempts = ?, look = ?, next_at = ?, lease_until = 0, done_at = ?,
		object_id = ?, object_url = ?, error_kind = ?, error = ?, note = ? WHERE id = ? AND ticket = ? AND state = 'trying'`,
		string(d.State), d.Attempts, d.Look, next, done, clean(d.ObjectID), clean(d.ObjectURL), clean(d.ErrorKind), clean(d.Error), clean(d.Note), d.ID, d.Ticket)
	if err == nil && n == 0 {
		err = fmt.Errorf("delivery %d: %w", d.ID, ErrLeaseLost)
	}
	return err
}

// Retry sets deliveries that failed, expired or were skipped although the
// rules wanted them waiting again (Held, if their integration is), and returns
// how many. One that was tried before is looked up first. Deliveries the rules
// never wanted, and those of merged calls, stay as they are.
func (db *DB) Retry(ctx context.Context, ids []int64) (int64, error) {
	var total int64
	for part := range slices.Chunk(sortedIDs(ids), 500) {
		var n int64
		err := db.write(ctx, "retry", func(t *tx) (err error) {
			n, err = t.retry(part, false)
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

func (t *tx) retry(ids []int64, backlog bool) (int64, error) {
	list, args := in(ids)
	var rows []struct {
		laneRow
		Kind string `db:"kind"`
	}
	err := t.all(&rows, `SELECT d.id, d.integration, d.client, d.call_at, d.kind FROM deliveries d JOIN calls c ON c.id = d.call_id
		WHERE d.id IN `+list+` AND d.state IN ('failed', 'expired', 'skipped') AND d.wanted AND c.merged_into = '' ORDER BY d.id`, args...)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	var names []string
	for _, r := range rows {
		names = append(names, r.Integration)
	}
	slices.Sort(names)
	held, err := t.holdsOf(slices.Compact(names))
	if err != nil {
		return 0, err
	}
	// Rows with the same fate go together.
	byNote := map[string][]laneRow{}
	for _, r := range rows {
		why := held.note(r.Integration, bridge.ActionKind(r.Kind))
		byNote[why] = append(byNote[why], r.laneRow)
	}
	var total int64
	for _, why := range sorted(byNote) {
		if backlog && why == "" {
			if err := t.queueBacklog(byNote[why], true); err != nil {
				return 0, err
			}
		}
		n, err := t.reopen(byNote[why], why, "'failed', 'expired', 'skipped'", backlog)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// reopen sets rows waiting, or held for a reason. queued: their lanes know.
func (t *tx) reopen(rows []laneRow, why, from string, queued bool) (int64, error) {
	now := time.Now().UnixMilli()
	state := bridge.Waiting
	if why != "" {
		state = bridge.Held
	} else if !queued {
		if err := t.wake(rows, now); err != nil {
			return 0, err
		}
	}
	list, args := in(idsOf(rows))
	return t.changed(`UPDATE deliveries SET state = ?, attempts = 0, look = (look OR attempts > 0), next_at = ?, lease_until = 0, done_at = 0, note = ?
		WHERE id IN `+list+` AND state IN (`+from+`)`, append([]any{string(state), now, clean(why)}, args...)...)
}

// SkipDeliveries gives up waiting, held, failed and expired deliveries, with
// who did it and why in note, and returns how many. One that a worker has
// right now is not touched.
func (db *DB) SkipDeliveries(ctx context.Context, ids []int64, note string) (int64, error) {
	const from = "'waiting', 'held', 'failed', 'expired'"
	var total int64
	for part := range slices.Chunk(sortedIDs(ids), 500) {
		var n int64
		err := db.write(ctx, "skip", func(t *tx) error {
			var rows []laneRow
			list, args := in(part)
			err := t.all(&rows, `SELECT id, integration, client FROM deliveries WHERE id IN `+list+` AND state IN (`+from+`) ORDER BY id`, args...)
			if err != nil {
				return err
			}
			n, err = t.close(rows, bridge.Skipped, note, from)
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// close ends rows that are in one of the states from.
func (t *tx) close(rows []laneRow, state bridge.DeliveryState, note, from string) (int64, error) {
	now := time.Now().UnixMilli()
	var total int64
	for part := range slices.Chunk(rows, 500) {
		if err := t.wake(part, now); err != nil {
			return 0, err
		}
		list, args := in(idsOf(part))
		n, err := t.changed(`UPDATE deliveries SET state = ?, done_at = ?, note = ? WHERE id IN `+list+` AND state IN (`+from+`)`,
			append([]any{string(state), now, clean(note)}, args...)...)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func mergedNote(older string) string { return "the call is part of call " + older }

func sortedIDs(ids []int64) []int64 {
	out := slices.Clone(ids)
	slices.Sort(out)
	return slices.Compact(out)
}

func idsOf(rows []laneRow) []int64 {
	out := make([]int64, len(rows))
	for i, r := range rows {
		out[i] = r.ID
	}
	return out
}

const (
	attemptText = 16 << 10 // most bytes kept of a request or an answer
	attemptKeep = 50       // most attempts kept of a delivery
)

// AddAttempt keeps one try for the page "why". a.N is given by the store.
func (db *DB) AddAttempt(ctx context.Context, a Attempt) error {
	return db.share(ctx, "keep attempt", func(t *tx) error {
		var n int64
		err := t.one(&n, `INSERT INTO attempts (delivery_id, n, at, took_ms, request, response, code, error_kind, error)
			SELECT ?, COALESCE(MAX(n), 0) + 1, ?, ?, ?, ?, ?, ?, ? FROM attempts WHERE delivery_id = ? RETURNING n`,
			a.DeliveryID, a.At.Milli(), a.TookMS, cut(a.Request), cut(a.Response), a.Code, clean(a.ErrorKind), cut(a.Error), a.DeliveryID)
		if err != nil || n <= attemptKeep {
			return err
		}
		return t.exec(`DELETE FROM attempts WHERE delivery_id = ? AND n <= ?`, a.DeliveryID, n-attemptKeep)
	})
}

func cut(s string) string {
	if len(s) > attemptText {
		s = s[:attemptText] + "…"
	}
	return clean(s)
}

// Attempts returns the tries of a delivery, oldest first.
func (db *DB) Attempts(ctx context.Context, deliveryID int64) ([]Attempt, error) {
	var rows []struct {
		Attempt
		AtMS int64 `db:"at"`
	}
	err := db.read(ctx, "attempts", &rows, `SELECT delivery_id, n, at, took_ms, request, response, code, error_kind, error
		FROM attempts WHERE delivery_id = ? ORDER BY n`, deliveryID)
	out := make([]Attempt, len(rows))
	for i, r := range rows {
		out[i] = r.Attempt
		out[i].At = bridge.AtMilli(r.AtMS)
	}
	return out, err
}

// NextDue says when Claim may find something next; false if nothing is open or
// the integration is held. It may be too early, never too late.
func (db *DB) NextDue(ctx context.Context, integration string) (time.Time, bool, error) {
	var due int64
	err := db.readOne(ctx, "next due", &due, `SELECT due_at FROM (
		SELECT * FROM (SELECT due_at FROM lanes WHERE integration = ? AND backlog = 0 ORDER BY due_at LIMIT 1) f
		UNION ALL SELECT * FROM (SELECT due_at FROM lanes WHERE integration = ? AND backlog = 1 ORDER BY due_at LIMIT 1) b) x
		WHERE NOT EXISTS (SELECT 1 FROM integrations WHERE id = ? AND held_since > 0) ORDER BY due_at LIMIT 1`, integration, integration, integration)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, false, nil
	}
	return fromMilli(max(due, 1)), err == nil, err
}
