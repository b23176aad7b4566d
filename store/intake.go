package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"callbridge/bridge"
)

// Commit writes b in one transaction: all of it or nothing. Give it many
// events and calls at once; on a synced disk the transaction costs more than
// its rows. A repeat of the same batch changes nothing.
func (db *DB) Commit(ctx context.Context, b Batch) error {
	events, err := eventRows(b.Events)
	if err != nil {
		return db.wrap("commit", err)
	}
	calls := lastOfEach(b.Calls)
	rows, err := callRows(calls)
	if err != nil {
		return db.wrap("commit", err)
	}
	return db.write(ctx, "commit", func(t *tx) error {
		if err := t.insert(`events (pbx, at, id, call_id, kind, parsed, raw)`, refile, events); err != nil {
			return fmt.Errorf("events: %w", err)
		}
		if err := t.saveCalls(calls, rows); err != nil {
			return fmt.Errorf("calls: %w", err)
		}
		if err := t.plan(b, calls); err != nil {
			return err
		}
		return t.merge(b.Merged)
	})
}

// refile files an event that belonged to no call under the call it turned out
// to belong to; everything else about an event never changes.
const refile = `ON CONFLICT (pbx, at, id) DO UPDATE SET call_id = excluded.call_id WHERE events.call_id = '' AND excluded.call_id <> ''`

// eventRows writes each event once: of repetitions the first that is filed
// under a call counts.
func eventRows(list []EventRow) ([][]any, error) {
	rows := make([][]any, 0, len(list))
	type key struct {
		pbx string
		at  int64
		id  string
	}
	seen := make(map[key]int, len(list))
	for _, r := range list {
		e := r.Event
		k := key{clean(e.PBX), e.At.Milli(), clean(e.ID)}
		if i, ok := seen[k]; ok {
			if rows[i][3] == "" {
				rows[i][3] = clean(r.CallID)
			}
			continue
		}
		seen[k] = len(rows)
		if e.ID == "" || e.PBX == "" {
			return nil, fmt.Errorf("an event of kind %s has no id or no PBX", e.Kind)
		}
		parsed, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		var raw []byte
		if len(e.Raw) > 0 {
			raw = e.Raw
		}
		rows = append(rows, []any{clean(e.PBX), e.At.Milli(), clean(e.ID), clean(r.CallID), string(e.Kind), string(parsed), raw})
	}
	return rows, nil
}

// lastOfEach keeps the newest state of each call, in the order they first came.
func lastOfEach(list []bridge.Call) []bridge.Call {
	at := make(map[string]int, len(list))
	out := make([]bridge.Call, 0, len(list))
	for _, c := range list {
		if i, ok := at[c.ID]; ok {
			out[i] = c
			continue
		}
		at[c.ID] = len(out)
		out = append(out, c)
	}
	return out
}

func callRows(calls []bridge.Call) ([][]any, error) {
	rows := make([][]any, 0, len(calls))
	for i := range calls {
		c := &calls[i]
		if c.ID == "" {
			return nil, fmt.Errorf("a call of PBX %s has no id", c.PBX)
		}
		data, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("call %s: %w", c.ID, err)
		}
		rows = append(rows, []any{clean(c.ID), clean(c.PBX), string(c.Direction), string(c.Outcome), clean(string(c.Client)),
			clean(c.Line), c.StartedAt.Milli(), string(data)})
	}
	return rows, nil
}

func (t *tx) saveCalls(calls []bridge.Call, rows [][]any) error {
	// Locked in one order by all nodes.
	slices.SortFunc(rows, func(a, b []any) int { return strings.Compare(a[0].(string), b[0].(string)) })
	err := t.insert(`calls (id, pbx, direction, outcome, client, line, started_at, data)`,
		`ON CONFLICT (id) DO UPDATE SET pbx = excluded.pbx, direction = excluded.direction, outcome = excluded.outcome,
		client = excluded.client, line = excluded.line, started_at = excluded.started_at, data = excluded.data`, rows)
	if err != nil {
		return err
	}
	return t.saveExtensions(calls)
}

// extensionsOf lists whose "my calls" a call belongs to.
func extensionsOf(c *bridge.Call) []string {
	var out []string
	add := func(ext string) {
		if ext = clean(ext); ext != "" && !slices.Contains(out, ext) {
			out = append(out, ext)
		}
	}
	add(c.Agent)
	for _, e := range c.Rang {
		add(e)
	}
	for _, e := range c.AnsweredBy {
		add(e)
	}
	for _, l := range c.Legs {
		add(l.Extension)
	}
	for _, x := range c.Transfers {
		add(x.From)
		add(x.To)
	}
	return out
}

type extensionRow struct {
	Call  string `db:"call_id"`
	Ext   string `db:"extension"`
	Start int64  `db:"started_at"`
}

// saveExtensions brings the index of calls per extension up to date. Most
// changes of a call do not touch it, so it reads first and writes differences.
func (t *tx) saveExtensions(calls []bridge.Call) error {
	for part := range slices.Chunk(calls, 500) {
		ids := make([]string, len(part))
		for i := range part {
			ids[i] = clean(part[i].ID)
		}
		var have []extensionRow
		list, args := in(ids)
		if err := t.all(&have, `SELECT call_id, extension, started_at FROM call_extensions WHERE call_id IN `+list, args...); err != nil {
			return err
		}
		old := make(map[extensionRow]bool, len(have))
		for _, r := range have {
			old[r] = true
		}
		var fresh [][]any
		for i := range part {
			c := &part[i]
			for _, ext := range extensionsOf(c) {
				r := extensionRow{clean(c.ID), ext, c.StartedAt.Milli()}
				if old[r] {
					delete(old, r)
					continue
				}
				fresh = append(fresh, []any{r.Call, r.Ext, r.Start})
			}
		}
		for r := range old { // gone, or the start of the call moved
			if err := t.exec(`DELETE FROM call_extensions WHERE call_id = ? AND extension = ?`, r.Call, r.Ext); err != nil {
				return err
			}
		}
		if err := t.insert(`call_extensions (call_id, extension, started_at)`, `ON CONFLICT DO NOTHING`, fresh); err != nil {
			return err
		}
	}
	return nil
}

// merge moves what belongs to younger calls to the older ones they are part of.
func (t *tx) merge(merged map[string]string) error {
	for _, younger := range sorted(merged) {
		older := merged[younger]
		if younger == older {
			continue
		}
		if err := t.exec(`UPDATE events SET call_id = ? WHERE call_id = ?`, older, younger); err != nil {
			return fmt.Errorf("merge %s into %s: %w", younger, older, err)
		}
		// What was merged into the younger call earlier points to the older one now.
		if err := t.exec(`UPDATE calls SET merged_into = ? WHERE merged_into = ? AND merged_into <> ''`, older, younger); err != nil {
			return fmt.Errorf("merge %s into %s: %w", younger, older, err)
		}
		if err := t.exec(`UPDATE calls SET merged_into = ? WHERE id = ?`, older, younger); err != nil {
			return fmt.Errorf("merge %s into %s: %w", younger, older, err)
		}
		if err := t.exec(`DELETE FROM call_extensions WHERE call_id = ?`, younger); err != nil {
			return fmt.Errorf("merge %s into %s: %w", younger, older, err)
		}
		var rows []laneRow
		err := t.all(&rows, `SELECT id, integration, client FROM deliveries WHERE call_id = ? AND state IN ('waiting', 'held') ORDER BY id`, younger)
		if err == nil {
			_, err = t.close(rows, bridge.Skipped, mergedNote(older), "'waiting', 'held'")
		}
		if err != nil {
			return fmt.Errorf("merge %s into %s: %w", younger, older, err)
		}
	}
	return nil
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
