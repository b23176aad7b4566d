package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"callbridge/bridge"
)

// Personal is everything that is kept about a client's number (F-22).
type Personal struct {
	Number    bridge.Number        `json:"number"`
	MadeAt    bridge.Time          `json:"made_at"`
	Contacts  []ContactRow         `json:"contacts"`
	Calls     []PersonalCall       `json:"calls"`
	Missed    []bridge.MissedEntry `json:"missed"`
	Clicks    []Click              `json:"clicks"`
	Routes    []PersonalRoute      `json:"routes"`
	Mentioned []PersonalMention    `json:"mentioned"` // elsewhere
}

// PersonalCall is a call with all that hangs on it.
type PersonalCall struct {
	Call       bridge.Call        `json:"call"`
	Events     []PersonalEvent    `json:"events"`
	Deliveries []PersonalDelivery `json:"deliveries"`
	Rings      []Ring             `json:"rings"`
	Shown      []Receipt          `json:"shown"`
}

// PersonalEvent is an event with what came over the wire.
type PersonalEvent struct {
	bridge.Event
	Raw string `json:"raw,omitempty"`
}

// PersonalDelivery is a delivery with its attempts.
type PersonalDelivery struct {
	bridge.Delivery
	Tries []Attempt `json:"tries"`
}

// PersonalRoute is an answer to "who takes this call?".
type PersonalRoute struct {
	At   bridge.Time     `json:"at"`
	Data json.RawMessage `json:"answer"`
}

// PersonalMention counts rows of others in which the number stands: a call in
// which it was a transfer's target, a note.
type PersonalMention struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

// PersonalSummary says how much is kept about a number.
type PersonalSummary struct {
	Number     bridge.Number `json:"number"`
	Calls      int64         `json:"calls"`
	First      bridge.Time   `json:"first,omitzero"` // start of the oldest call
	Last       bridge.Time   `json:"last,omitzero"`
	Events     int64         `json:"events"`
	Deliveries int64         `json:"deliveries"`
	Open       int64         `json:"open"`       // of them not over: erasing skips them
	Recordings []string      `json:"recordings"` // files that lie with the PBX
	Contacts   int64         `json:"contacts"`
	Missed     int64         `json:"missed"`
	Clicks     int64         `json:"clicks"`
	Mentioned  int64         `json:"mentioned"`
}

// personalCalls are the ids of the calls with a number, with those that went
// into one.
func (db *DB) personalCalls(ctx context.Context, n bridge.Number) ([]string, error) {
	var ids []string
	err := db.read(ctx, "calls of a number", &ids, `SELECT id FROM calls WHERE client = ? AND client <> ''
		UNION SELECT c.id FROM calls c JOIN calls m ON m.id = c.merged_into WHERE m.client = ? AND m.client <> '' ORDER BY 1`, string(n), string(n))
	return ids, err
}

// SearchPersonal counts what is kept about a number.
func (db *DB) SearchPersonal(ctx context.Context, n bridge.Number) (PersonalSummary, error) {
	p, err := db.ExportPersonal(ctx, n)
	out := PersonalSummary{Number: n, Calls: int64(len(p.Calls)), Contacts: int64(len(p.Contacts)), Missed: int64(len(p.Missed)), Clicks: int64(len(p.Clicks)), Recordings: []string{}}
	for _, c := range p.Calls {
		at := c.Call.StartedAt
		if out.First.IsZero() || at.Before(out.First.Time) {
			out.First = at
		}
		if at.After(out.Last.Time) {
			out.Last = at
		}
		out.Events += int64(len(c.Events))
		for _, r := range c.Call.Recordings {
			out.Recordings = append(out.Recordings, r.Name)
		}
		for _, d := range c.Deliveries {
			out.Deliveries++
			switch d.State {
			case bridge.Waiting, bridge.Trying, bridge.Held:
				out.Open++
			}
		}
	}
	for _, m := range p.Mentioned {
		out.Mentioned += m.Rows
	}
	return out, err
}

// ExportPersonal reads all that is kept about a number.
func (db *DB) ExportPersonal(ctx context.Context, n bridge.Number) (Personal, error) {
	out := Personal{Number: n, MadeAt: bridge.At(time.Now()), Contacts: []ContactRow{}, Calls: []PersonalCall{}, Missed: []bridge.MissedEntry{},
		Clicks: []Click{}, Routes: []PersonalRoute{}, Mentioned: []PersonalMention{}}
	if n == "" {
		return out, fmt.Errorf("store: personal data: no number")
	}
	contacts, err := db.ContactsByNumber(ctx, n)
	if err != nil {
		return out, err
	}
	out.Contacts = append(out.Contacts, contacts...)
	ids, err := db.personalCalls(ctx, n)
	if err != nil {
		return out, err
	}
	for _, id := range ids {
		c, err := db.personalCall(ctx, id)
		if err != nil {
			return out, err
		}
		out.Calls = append(out.Calls, c)
	}
	missed, err := db.missed(ctx, `client = ? ORDER BY last_at, id`, string(n))
	if err != nil {
		return out, err
	}
	out.Missed = append(out.Missed, missed...)
	if err := db.personalRest(ctx, n, &out); err != nil {
		return out, err
	}
	found, err := db.mentions(ctx, n)
	for _, table := range scrubbed {
		if rows := found[table.name]; len(rows) > 0 {
			out.Mentioned = append(out.Mentioned, PersonalMention{table.name, int64(len(rows))})
		}
	}
	return out, err
}

func (db *DB) personalCall(ctx context.Context, id string) (PersonalCall, error) {
	out := PersonalCall{Events: []PersonalEvent{}, Deliveries: []PersonalDelivery{}, Rings: []Ring{}, Shown: []Receipt{}}
	var data string
	if err := db.readOne(ctx, "call", &data, `SELECT data FROM calls WHERE id = ?`, id); err != nil {
		return out, err
	}
	if err := json.Unmarshal([]byte(data), &out.Call); err != nil {
		return out, db.wrap("call", err)
	}
	events, err := db.Events(ctx, id)
	if err != nil {
		return out, err
	}
	for _, e := range events {
		out.Events = append(out.Events, PersonalEvent{e, string(e.Raw)})
	}
	rows, err := db.Deliveries(ctx, DeliveryFilter{CallID: id, Limit: 10000})
	if err != nil {
		return out, err
	}
	for _, d := range rows {
		tries, err := db.Attempts(ctx, d.ID)
		if err != nil {
			return out, err
		}
		out.Deliveries = append(out.Deliveries, PersonalDelivery{d, append([]Attempt{}, tries...)})
	}
	rings, err := db.Rings(ctx, id)
	if err != nil {
		return out, err
	}
	out.Rings = append(out.Rings, rings...)
	shown, err := db.Receipts(ctx, id)
	out.Shown = append(out.Shown, shown...)
	return out, err
}

func (db *DB) personalRest(ctx context.Context, n bridge.Number, out *Personal) error {
	var clicks []struct {
		RequestID string `db:"request_id"`
		By        string `db:"by_login"`
		Extension string `db:"extension"`
		Number    string `db:"number"`
		Created   int64  `db:"created_at"`
	}
	if err := db.read(ctx, "clicks", &clicks, `SELECT request_id, by_login, extension, number, created_at FROM clicks WHERE number = ? ORDER BY created_at`, string(n)); err != nil {
		return err
	}
	for _, c := range clicks {
		out.Clicks = append(out.Clicks, Click{RequestID: c.RequestID, By: c.By, Extension: c.Extension, Number: c.Number, CreatedAt: bridge.AtMilli(c.Created)})
	}
	var routes []struct {
		At   int64  `db:"at"`
		Data string `db:"data"`
	}
	if err := db.read(ctx, "routes", &routes, `SELECT at, data FROM route_decisions WHERE client = ? AND client <> '' ORDER BY at`, string(n)); err != nil {
		return err
	}
	for _, r := range routes {
		out.Routes = append(out.Routes, PersonalRoute{bridge.AtMilli(r.At), json.RawMessage(r.Data)})
	}
	return nil
}
