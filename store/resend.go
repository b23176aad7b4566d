package store

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"callbridge/bridge"
)

// HeldSummary is what an activation would do with the held deliveries of an
// integration.
type HeldSummary struct {
	Calls   int64                       // that have any
	Send    map[bridge.ActionKind]int64 // of calls since the window's start
	Older   int64                       // of calls before it
	Popups  int64                       // never sent later
	Blocked int64                       // of kinds for which a right is missing
}

// HeldSummary counts the held deliveries on both sides of from.
func (db *DB) HeldSummary(ctx context.Context, integration string, from time.Time) (HeldSummary, error) {
	var rows []struct {
		Kind    string `db:"kind"`
		Fresh   bool   `db:"fresh"`
		Blocked bool   `db:"blocked"`
		N       int64  `db:"n"`
	}
	sum := HeldSummary{Send: map[bridge.ActionKind]int64{}}
	err := db.read(ctx, "held deliveries", &rows, `SELECT kind, fresh, blocked, COUNT(*) AS n FROM (SELECT kind, call_at >= ? AS fresh,
		kind IN (SELECT kind FROM held_kinds WHERE integration = ?) AS blocked FROM deliveries
		WHERE integration = ? AND state IN ('held', 'failed', 'expired') AND state = 'held') x GROUP BY kind, fresh, blocked`, milli(from), integration, integration)
	if err != nil {
		return sum, err
	}
	for _, r := range rows {
		switch {
		case r.Blocked:
			sum.Blocked += r.N
		case r.Kind == string(bridge.ActPopup):
			sum.Popups += r.N
		case r.Fresh:
			sum.Send[bridge.ActionKind(r.Kind)] += r.N
		default:
			sum.Older += r.N
		}
	}
	err = db.readOne(ctx, "held calls", &sum.Calls, `SELECT COUNT(DISTINCT call_id) FROM deliveries
		WHERE integration = ? AND state IN ('held', 'failed', 'expired') AND state = 'held'`, integration)
	return sum, err
}

// LedgerOf is Ledger for one integration.
func (db *DB) LedgerOf(ctx context.Context, integration, fromDay string) ([]LedgerRow, error) {
	rows, err := db.Ledger(ctx, fromDay, "")
	return slices.DeleteFunc(rows, func(r LedgerRow) bool { return r.Integration != integration }), err
}

// OpenByKind counts the deliveries of an integration that wait or are tried:
// those that go at once, and those of its backlog.
func (db *DB) OpenByKind(ctx context.Context, integration string) (fresh, backlog map[bridge.ActionKind]int64, err error) {
	var rows []struct {
		Kind    string `db:"kind"`
		Backlog int64  `db:"backlog"`
		N       int64  `db:"n"`
	}
	err = db.read(ctx, "open deliveries", &rows, `SELECT d.kind, l.backlog, COUNT(*) AS n FROM deliveries d
		JOIN lanes l ON l.integration = d.integration AND l.client = d.client
		WHERE d.integration = ? AND d.`+openStates+` GROUP BY d.kind, l.backlog`, integration)
	fresh, backlog = map[bridge.ActionKind]int64{}, map[bridge.ActionKind]int64{}
	for _, r := range rows {
		if r.Backlog != 0 {
			backlog[bridge.ActionKind(r.Kind)] += r.N
		} else {
			fresh[bridge.ActionKind(r.Kind)] += r.N
		}
	}
	return fresh, backlog, err
}

// ResendFilter chooses what is sent again. Calls are chosen by their start:
// From included, To not; zero times choose all.
type ResendFilter struct {
	Integration string
	CallID      string
	From, To    time.Time
}

func (f ResendFilter) where(at, call string) (string, []any) {
	cond, args := ``, []any{}
	if !f.From.IsZero() {
		cond, args = cond+` AND `+at+` >= ?`, append(args, milli(f.From))
	}
	if !f.To.IsZero() {
		cond, args = cond+` AND `+at+` < ?`, append(args, milli(f.To))
	}
	if f.CallID != "" {
		cond, args = cond+` AND `+call+` = ?`, append(args, f.CallID)
	}
	return cond, args
}

// MissingRow is a delivery that was wanted and did not come to pass.
type MissingRow struct {
	ID     int64             `db:"id"`
	CallID string            `db:"call_id"`
	Kind   bridge.ActionKind `db:"kind"`
}

// Missing lists the failed and expired deliveries that can be sent later,
// oldest call first. Pop-ups are none of them.
func (db *DB) Missing(ctx context.Context, f ResendFilter) ([]MissingRow, error) {
	cond, args := f.where(`d.call_at`, `d.call_id`)
	var out []MissingRow
	err := db.read(ctx, "missing deliveries", &out, `SELECT d.id, d.call_id, d.kind FROM deliveries d JOIN calls c ON c.id = d.call_id
		WHERE d.integration = ? AND d.state IN ('held', 'failed', 'expired') AND d.state IN ('failed', 'expired') AND d.wanted AND d.kind <> 'popup'
		AND c.merged_into = ''`+cond+` ORDER BY d.call_at, d.id`, append([]any{f.Integration}, args...)...)
	return out, err
}

// EndedCalls gives the calls a filter chooses to f, oldest first: those that
// ended, with the outside or not. With unplanned only those for which nothing
// was ever planned at their end in the filter's integration.
func (db *DB) EndedCalls(ctx context.Context, f ResendFilter, unplanned bool, each func(bridge.Call) error) error {
	cond, args := f.where(`c.started_at`, `c.id`)
	if unplanned {
		cond += ` AND NOT EXISTS (SELECT 1 FROM plans p WHERE p.call_id = c.id AND p.integration = ? AND p.moment = 'end')`
		args = append(args, f.Integration)
	}
	at, id := int64(-1<<62), ""
	for {
		var rows []struct {
			ID   string `db:"id"`
			At   int64  `db:"started_at"`
			Data string `db:"data"`
		}
		err := db.read(ctx, "calls", &rows, `SELECT c.id, c.started_at, c.data FROM calls c WHERE c.merged_into = '' AND c.outcome <> ''
			AND (c.started_at > ? OR (c.started_at = ? AND c.id > ?))`+cond+` ORDER BY c.started_at, c.id LIMIT 500`,
			append([]any{at, at, id}, args...)...)
		if err != nil {
			return err
		}
		for _, r := range rows {
			var c bridge.Call
			if err := json.Unmarshal([]byte(r.Data), &c); err != nil {
				return fmt.Errorf("store: call %s: %w", r.ID, err)
			}
			if err := each(c); err != nil {
				return err
			}
			at, id = r.At, r.ID
		}
		if len(rows) < 500 {
			return nil
		}
	}
}

// Resend is Retry for many: what it sets waiting goes after fresh deliveries,
// oldest call first.
func (db *DB) Resend(ctx context.Context, ids []int64) (int64, error) {
	var total int64
	for part := range slices.Chunk(sortedIDs(ids), 500) {
		var n int64
		err := db.write(ctx, "resend", func(t *tx) (err error) {
			n, err = t.retry(part, true)
			return err
		})
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Replanned says what planning calls again with the present rules came to.
type Replanned struct {
	New      int64 // actions that had no row
	Reopened int64 // rows that had failed, expired, or were not wanted before
	Dropped  int64 // rows that are not wanted any more
	Same     int64 // done or under way: an action is carried out once
	ByKind   map[bridge.ActionKind]int64
}

// Replan plans a call again for an integration. Rows that are done or on their
// way stay as they are. Rows that failed or expired, and rows that the rules
// did not want then, take the present action and go out; what the rules want
// no more is skipped. New actions become rows. With dry nothing is changed and
// the result says what would be. Doing it twice changes nothing the second time.
func (db *DB) Replan(ctx context.Context, p Plan, actions []bridge.Action, client string, dry bool) (Replanned, error) {
	var out Replanned
	err := db.write(ctx, "replan", func(t *tx) (err error) {
		out, err = t.replan(p, actions, client, dry)
		return err
	})
	return out, err
}

type replanRow struct {
	laneRow
	Key    string `db:"action_key"`
	State  string `db:"state"`
	Action string `db:"action"`
}

func (t *tx) replan(p Plan, actions []bridge.Action, client string, dry bool) (out Replanned, err error) {
	out.ByKind = map[bridge.ActionKind]int64{}
	held, err := t.holdsOf([]string{p.Integration})
	if err != nil {
		return out, err
	}
	var rows []replanRow
	if err := t.all(&rows, `SELECT id, integration, client, call_at, action_key, state, action FROM deliveries WHERE call_id = ? AND integration = ?`,
		p.CallID, p.Integration); err != nil {
		return out, err
	}
	have := make(map[string]replanRow, len(rows))
	for _, r := range rows {
		have[r.Key] = r
	}
	now := time.Now().UnixMilli()
	fresh := Plan{CallID: p.CallID, Integration: p.Integration, Trigger: p.Trigger, RuleVersion: p.RuleVersion, Day: p.Day}
	var list []bridge.Delivery
	for _, a := range actions {
		if a.Kind == bridge.ActPopup {
			continue
		}
		old, there := have[clean(a.Key)]
		switch {
		case !there:
			d := bridge.Delivery{Integration: p.Integration, CallID: p.CallID, Client: client, Action: a, RuleVersion: p.RuleVersion,
				State: bridge.Waiting, Backlog: true, CreatedAt: bridge.AtMilli(now)}
			if a.Wanted {
				out.New++
				out.ByKind[a.Kind]++
			} else {
				d.State, d.Note = bridge.Skipped, a.Reason
			}
			list, fresh.Keys = append(list, d), append(fresh.Keys, a.Key)
			continue
		case !reopens(old, a):
			out.Same++
			continue
		}
		state, note := bridge.Waiting, held.note(p.Integration, a.Kind)
		switch {
		case !a.Wanted:
			state, note = bridge.Skipped, a.Reason
			out.Dropped++
		default:
			if note != "" {
				state = bridge.Held
			}
			out.Reopened++
			out.ByKind[a.Kind]++
		}
		if dry {
			continue
		}
		data, err := json.Marshal(a)
		if err != nil {
			return out, err
		}
		if state == bridge.Waiting {
			if err := t.queueBacklog([]laneRow{old.laneRow}, true); err != nil {
				return out, err
			}
		}
		done := int64(0)
		if state == bridge.Skipped {
			done = now
		}
		if err := t.exec(`UPDATE deliveries SET action = ?, kind = ?, wanted = ?, rule_version = ?, state = ?, look = (look OR attempts > 0), attempts = 0,
			next_at = ?, lease_until = 0, done_at = ?, error_kind = '', error = '', note = ? WHERE id = ? AND state = ?`,
			string(data), string(a.Kind), a.Wanted, p.RuleVersion, string(state), now, done, clean(note), old.ID, old.State); err != nil {
			return out, err
		}
	}
	if dry || len(list) == 0 {
		return out, nil
	}
	return out, t.plan(Batch{Deliveries: list, Plans: []Plan{fresh}}, nil)
}

// reopens says whether a row takes the present action.
func reopens(old replanRow, a bridge.Action) bool {
	var was bridge.Action
	if err := json.Unmarshal([]byte(old.Action), &was); err != nil {
		return true
	}
	switch bridge.DeliveryState(old.State) {
	case bridge.Refused, bridge.Expired:
		return true
	case bridge.Skipped:
		// One that was wanted was skipped for a fact found in the CRM, or by
		// hand; only another rule is a reason to ask again.
		if !was.Wanted {
			return a.Wanted
		}
		return a.Wanted && !sameWish(was, a)
	}
	return false
}

// sameWish says whether two actions want the same thing, for whatever reason.
func sameWish(a, b bridge.Action) bool {
	for _, x := range []*bridge.Action{&a, &b} {
		x.Trigger, x.Rule, x.Reason, x.Version = "", "", "", 0
	}
	return reflect.DeepEqual(a, b)
}

// NextBacklogCall returns the start of the earliest call after a time whose
// record waits in the backlog of an integration, besides the deliveries given;
// false if there is none.
func (db *DB) NextBacklogCall(ctx context.Context, integration string, after time.Time, besides []int64) (time.Time, bool, error) {
	list, args := in(append([]int64{0}, besides...))
	var at int64
	err := db.readOne(ctx, "next call of the backlog", &at, `SELECT COALESCE(MIN(d.call_at), 0) FROM deliveries d
		JOIN lanes l ON l.integration = d.integration AND l.client = d.client AND l.backlog = 1
		WHERE d.integration = ? AND d.`+openStates+` AND d.kind = 'call' AND d.call_at > ? AND d.id NOT IN `+list,
		append([]any{integration, milli(after)}, args...)...)
	return fromMilli(at), err == nil && at != 0, err
}
