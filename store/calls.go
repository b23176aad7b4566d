package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
)

// OpenCalls returns the living calls of a PBX with all their events, oldest
// first: what the tracker needs to go on after a restart.
func (db *DB) OpenCalls(ctx context.Context, pbx string) ([]OpenCall, error) {
	var data []string
	err := db.read(ctx, "open calls", &data, `SELECT data FROM calls WHERE pbx = ? AND outcome = '' AND merged_into = '' ORDER BY started_at, id`, pbx)
	if err != nil {
		return nil, err
	}
	out := make([]OpenCall, 0, len(data))
	for _, s := range data {
		var o OpenCall
		if err := json.Unmarshal([]byte(s), &o.Call); err != nil {
			return nil, db.wrap("open calls", err)
		}
		if o.Events, err = db.Events(ctx, o.Call.ID); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// LooseEvents returns the events of a PBX since a moment that are filed under
// no call, in the PBX's order: the state of the link, and facts that may yet
// turn out to belong to a call.
func (db *DB) LooseEvents(ctx context.Context, pbx string, since time.Time) ([]bridge.Event, error) {
	return db.events(ctx, `call_id = '' AND pbx = ? AND at >= ? ORDER BY at, id LIMIT 100000`, pbx, bridge.At(since).Milli())
}

// LastEventAt returns the PBX's time of its newest stored event, the zero time
// if there is none.
func (db *DB) LastEventAt(ctx context.Context, pbx string) (time.Time, error) {
	var at int64
	err := db.readOne(ctx, "last event", &at, `SELECT at FROM events WHERE pbx = ? ORDER BY at DESC LIMIT 1`, pbx)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	return fromMilli(at), err
}

// Call returns a call; a merged one's id gives the call it went into.
// ErrNotFound if there is none.
func (db *DB) Call(ctx context.Context, id string) (bridge.Call, error) {
	var c bridge.Call
	var row struct {
		Merged string `db:"merged_into"`
		Data   string `db:"data"`
	}
	for range 3 { // chains are flattened when calls merge; one step is the rule
		if err := db.readOne(ctx, "call", &row, `SELECT merged_into, data FROM calls WHERE id = ?`, id); err != nil {
			return c, err
		}
		if row.Merged == "" {
			break
		}
		id = row.Merged
	}
	return c, db.wrap("call", json.Unmarshal([]byte(row.Data), &c))
}

// Cursor is where a page of Calls begins: after the call with this start and id.
func Cursor(startedAt bridge.Time, id string) string {
	return strconv.FormatInt(startedAt.Milli(), 10) + "-" + id
}

// Calls returns calls in falling order of start and id, and the cursor of the
// next page ("" = this is the last).
func (db *DB) Calls(ctx context.Context, f CallFilter) ([]bridge.Call, string, error) {
	from := `calls c`
	where, args := []string{`c.merged_into = ''`}, []any{}
	add := func(cond string, vs ...any) {
		where = append(where, cond)
		args = append(args, vs...)
	}
	time := `c.started_at`
	if f.Extension != "" {
		// The start stands in both tables; the index is over this one.
		from, time = `call_extensions x JOIN calls c ON c.id = x.call_id`, `x.started_at`
		add(`x.extension = ?`, f.Extension)
	}
	if f.Before != "" {
		ms, id, ok := strings.Cut(f.Before, "-")
		at, err := strconv.ParseInt(ms, 10, 64)
		if err != nil || !ok {
			return nil, "", fmt.Errorf("store: calls: %q is no cursor", f.Before)
		}
		add(time+` <= ? AND (`+time+` < ? OR c.id < ?)`, at, at, id)
	}
	if !f.From.IsZero() {
		add(time+` >= ?`, milli(f.From))
	}
	if !f.To.IsZero() {
		add(time+` < ?`, milli(f.To))
	}
	if f.Client != "" {
		add(`c.client = ? AND c.client <> ''`, string(f.Client))
	}
	if f.Digits != "" {
		// A search for something without a digit finds nothing.
		add(`c.client LIKE ?`, "%"+cmp.Or(digits(f.Digits), "none")+"%")
	}
	for col, v := range map[string]string{"pbx": f.PBX, "line": f.Line, "outcome": string(f.Outcome), "direction": string(f.Direction)} {
		if v != "" {
			add(`c.`+col+` = ?`, v)
		}
	}
	if f.Open {
		add(`c.outcome = ''`)
	}
	n := limit(f.Limit, 1000)
	id := `c.id`
	if f.Extension != "" {
		id = `x.call_id`
	}
	var data []string
	err := db.read(ctx, "calls", &data, `SELECT c.data FROM `+from+` WHERE `+strings.Join(where, ` AND `)+
		` ORDER BY `+time+` DESC, `+id+` DESC LIMIT ?`, append(args, n+1)...)
	if err != nil {
		return nil, "", err
	}
	more := len(data) > n
	if more {
		data = data[:n]
	}
	out := make([]bridge.Call, len(data))
	for i, s := range data {
		if err := json.Unmarshal([]byte(s), &out[i]); err != nil {
			return nil, "", db.wrap("calls", err)
		}
	}
	if !more {
		return out, "", nil
	}
	last := out[n-1]
	return out, Cursor(last.StartedAt, last.ID), nil
}

// digits keeps the digits of a text, so that nothing in it is a LIKE pattern.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// CallsOfClient returns the newest calls with a client; none for "".
func (db *DB) CallsOfClient(ctx context.Context, number bridge.Number, limit int) ([]bridge.Call, error) {
	if number == "" {
		return nil, nil
	}
	calls, _, err := db.Calls(ctx, CallFilter{Client: number, Limit: limit})
	return calls, err
}

// Events returns the events of a call in the PBX's order, with Raw.
func (db *DB) Events(ctx context.Context, callID string) ([]bridge.Event, error) {
	return db.events(ctx, `call_id = ? ORDER BY at, id`, callID)
}

func (db *DB) events(ctx context.Context, where string, args ...any) ([]bridge.Event, error) {
	var rows []struct {
		Parsed string `db:"parsed"`
		Raw    []byte `db:"raw"`
	}
	if err := db.read(ctx, "events", &rows, `SELECT parsed, raw FROM events WHERE `+where, args...); err != nil {
		return nil, err
	}
	out := make([]bridge.Event, len(rows))
	for i, r := range rows {
		if err := json.Unmarshal([]byte(r.Parsed), &out[i]); err != nil {
			return nil, db.wrap("events", err)
		}
		if len(r.Raw) > 0 {
			out[i].Raw = r.Raw
		}
	}
	return out, nil
}
