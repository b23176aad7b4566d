package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"callbridge/bridge"
)

// moment names a plan.
type moment struct{ call, integration, trigger string }

// plan writes the plans and their deliveries.
func (t *tx) plan(b Batch, calls []bridge.Call) error {
	if len(b.Plans) == 0 && len(b.Deliveries) == 0 {
		return nil
	}
	held, err := t.heldNow(b)
	if err != nil {
		return fmt.Errorf("held integrations: %w", err)
	}
	days, err := t.savePlans(b.Plans)
	if err != nil {
		return fmt.Errorf("plans: %w", err)
	}
	starts := make(map[string]int64, len(calls))
	for _, c := range calls {
		starts[c.ID] = c.StartedAt.Milli()
	}
	if err := t.saveDeliveries(b.Deliveries, held, days, starts); err != nil {
		return fmt.Errorf("deliveries: %w", err)
	}
	return nil
}

type planRow struct {
	Call        string `db:"call_id"`
	Integration string `db:"integration"`
	Moment      string `db:"moment"`
	Day         string `db:"day"`
	Keys        string `db:"keys"`
}

// savePlans adds the plans' keys to what is planned and returns the day of
// each plan. A key is counted once per call, whatever the moment: planning
// again after a crash, for a second phone that rings, or the same action at
// answer and at end, all keep the equation true.
func (t *tx) savePlans(plans []Plan) (map[moment]string, error) {
	days := make(map[moment]string, len(plans))
	keys := map[moment][]string{} // of plans the batch changes
	known := map[string]bool{}    // integration and key
	order, seen := []Plan{}, map[moment]bool{}
	stored := map[moment]bool{}
	var calls []string
	for _, p := range plans {
		calls = append(calls, p.CallID)
	}
	slices.Sort(calls)
	for part := range slices.Chunk(slices.Compact(calls), 500) {
		var rows []planRow
		list, args := in(part)
		err := t.all(&rows, `SELECT call_id, integration, moment, day, keys FROM plans WHERE call_id IN `+list+` ORDER BY call_id, integration, moment`+t.forUpdate("FOR UPDATE"), args...)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			m := moment{r.Call, r.Integration, r.Moment}
			var had []string
			if err := json.Unmarshal([]byte(r.Keys), &had); err != nil {
				return nil, fmt.Errorf("call %s: %w", r.Call, err)
			}
			days[m], keys[m], stored[m] = r.Day, had, true
			for _, k := range had {
				known[r.Integration+" "+k] = true
			}
		}
	}
	changed := map[moment]bool{}
	for _, p := range plans {
		m := moment{p.CallID, p.Integration, string(p.Trigger)}
		if _, ok := days[m]; !ok {
			days[m] = p.Day
		}
		if !seen[m] {
			seen[m] = true
			order = append(order, p)
		}
		for _, k := range p.Keys {
			if k = clean(k); !known[p.Integration+" "+k] {
				known[p.Integration+" "+k] = true
				keys[m], changed[m] = append(keys[m], k), true
			}
		}
	}
	var fresh [][]any
	for _, p := range order {
		m := moment{p.CallID, p.Integration, string(p.Trigger)}
		data, err := json.Marshal(keys[m])
		switch {
		case err != nil:
			return nil, err
		case !stored[m]:
			fresh = append(fresh, []any{m.call, m.integration, m.trigger, days[m], p.RuleVersion, len(keys[m]), string(data)})
		case changed[m]:
			err := t.exec(`UPDATE plans SET n = ?, keys = ? WHERE call_id = ? AND integration = ? AND moment = ?`, len(keys[m]), string(data), m.call, m.integration, m.trigger)
			if err != nil {
				return nil, err
			}
		}
	}
	return days, t.insert(`plans (call_id, integration, moment, day, rule_version, n, keys)`, ``, fresh)
}

// holds says which integrations and kinds are held.
type holds map[string]*hold

type hold struct {
	reason string // "" = the integration is active
	kinds  map[string]string
}

// note returns why a delivery has to wait, "" if it has not.
func (h holds) note(integration string, kind bridge.ActionKind) string {
	x := h[integration]
	switch {
	case x == nil:
		return ""
	case x.reason != "":
		return x.reason
	default:
		return x.kinds[string(kind)]
	}
}

// heldNow reads the holds of the batch's integrations and keeps them from
// changing until the transaction ends.
func (t *tx) heldNow(b Batch) (holds, error) {
	var ids []string
	for _, d := range b.Deliveries {
		ids = append(ids, d.Integration)
	}
	slices.Sort(ids)
	return t.holdsOf(slices.Compact(ids))
}

func (t *tx) holdsOf(ids []string) (holds, error) {
	out := holds{}
	if len(ids) == 0 {
		return out, nil
	}
	rows := make([][]any, len(ids))
	for i, id := range ids {
		rows[i] = []any{id}
	}
	if err := t.insert(`integrations (id)`, `ON CONFLICT DO NOTHING`, rows); err != nil {
		return nil, err
	}
	list, args := in(ids)
	var states []struct {
		ID     string `db:"id"`
		Since  int64  `db:"held_since"`
		Reason string `db:"held_reason"`
	}
	if err := t.all(&states, `SELECT id, held_since, held_reason FROM integrations WHERE id IN `+list+` ORDER BY id`+t.forUpdate("FOR SHARE"), args...); err != nil {
		return nil, err
	}
	for _, s := range states {
		h := &hold{kinds: map[string]string{}}
		if s.Since != 0 {
			h.reason = cmp.Or(s.Reason, "the integration is off")
		}
		out[s.ID] = h
	}
	var kinds []struct {
		ID     string `db:"integration"`
		Kind   string `db:"kind"`
		Reason string `db:"reason"`
	}
	if err := t.all(&kinds, `SELECT integration, kind, reason FROM held_kinds WHERE integration IN `+list, args...); err != nil {
		return nil, err
	}
	for _, k := range kinds {
		out[k.ID].kinds[k.Kind] = cmp.Or(k.Reason, "a right is missing")
	}
	return out, nil
}

// saveDeliveries inserts what is new. The order of the list is the order of a
// call's actions.
func (t *tx) saveDeliveries(list []bridge.Delivery, held holds, days map[moment]string, starts map[string]int64) error {
	if len(list) == 0 {
		return nil
	}
	if err := t.startsOf(list, starts); err != nil {
		return err
	}
	last, err := t.count("delivery", len(list))
	if err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	var rows, lanes [][]any
	for i := range list {
		d := &list[i]
		start, ok := starts[d.CallID]
		if !ok {
			return fmt.Errorf("%s of integration %s is for a call that is not stored", d.Action.Key, d.Integration)
		}
		day, err := t.dayOf(d, days)
		if err != nil {
			return err
		}
		action, err := json.Marshal(d.Action)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Action.Key, err)
		}
		state, note, next := cmp.Or(d.State, bridge.Waiting), d.Note, cmp.Or(d.NextAt.Milli(), now)
		if why := held.note(d.Integration, d.Action.Kind); why != "" && state == bridge.Waiting {
			state, note = bridge.Held, why
		}
		var done int64
		if state == bridge.Waiting {
			if d.Backlog {
				lanes = append(lanes, []any{d.Integration, clean(d.Client), start, int64(1)})
			} else {
				lanes = append(lanes, []any{d.Integration, clean(d.Client), next, int64(0)})
			}
		} else if state != bridge.Held {
			done = cmp.Or(d.DoneAt.Milli(), now)
		}
		rows = append(rows, []any{last + int64(i) + 1, d.Integration, clean(d.Action.Key), clean(d.CallID), start, d.Seq, clean(d.Client), day,
			string(d.Action.Kind), d.Action.Wanted, string(action), d.RuleVersion, string(state), d.Attempts, d.Look,
			cmp.Or(d.CreatedAt.Milli(), now), next, int64(0), done, clean(d.ObjectID), clean(d.ObjectURL), d.ErrorKind, clean(d.Error), clean(note)})
	}
	err = t.insert(`deliveries (id, integration, action_key, call_id, call_at, seq, client, day, kind, wanted, action, rule_version, state,
		attempts, look, created_at, next_at, lease_until, done_at, object_id, object_url, error_kind, error, note)`,
		`ON CONFLICT (integration, action_key) DO NOTHING`, rows)
	if err != nil {
		return err
	}
	return t.openLanes(lanes)
}

// dayOf returns the day of the delivery's plan, so that both sides of the
// ledger stand on the same day.
func (t *tx) dayOf(d *bridge.Delivery, days map[moment]string) (string, error) {
	m := moment{d.CallID, d.Integration, string(d.Action.Trigger)}
	if day, ok := days[m]; ok {
		return day, nil
	}
	var day string
	err := t.one(&day, `SELECT day FROM plans WHERE call_id = ? AND integration = ? AND moment = ?`, m.call, m.integration, m.trigger)
	if err != nil {
		return "", fmt.Errorf("%s of integration %s has no plan: %w", d.Action.Key, d.Integration, err)
	}
	days[m] = day
	return day, nil
}

// startsOf adds the starts of calls that are not in the batch.
func (t *tx) startsOf(list []bridge.Delivery, starts map[string]int64) error {
	var missing []string
	for _, d := range list {
		if _, ok := starts[d.CallID]; !ok && !slices.Contains(missing, d.CallID) {
			missing = append(missing, d.CallID)
		}
	}
	for part := range slices.Chunk(missing, 500) {
		var rows []struct {
			ID string `db:"id"`
			At int64  `db:"started_at"`
		}
		ids, args := in(part)
		if err := t.all(&rows, `SELECT id, started_at FROM calls WHERE id IN `+ids, args...); err != nil {
			return err
		}
		for _, r := range rows {
			starts[r.ID] = r.At
		}
	}
	return nil
}

// count gives out n numbers and returns the last one given before.
func (t *tx) count(name string, n int) (int64, error) {
	var last int64
	err := t.one(&last, `UPDATE counters SET last = last + ? WHERE name = ? RETURNING last`, n, name)
	return last - int64(n), err
}
