package store

import (
	"context"

	"callbridge/bridge"
)

// Ring is what we knew when a phone began to ring.
type Ring struct {
	CallID    string      `json:"-"`
	Extension string      `json:"extension"`
	At        bridge.Time `json:"at"`
	Tabs      int         `json:"tabs"` // browsers connected for this phone
	DND       bool        `json:"dnd"`
}

// SaveRings keeps rings; one that is kept already stays as it is.
func (db *DB) SaveRings(ctx context.Context, list []Ring) error {
	if len(list) == 0 {
		return nil
	}
	rows := make([][]any, len(list))
	for i, r := range list {
		rows[i] = []any{clean(r.CallID), clean(r.Extension), r.At.Milli(), r.Tabs, r.DND}
	}
	return db.share(ctx, "save rings", func(t *tx) error {
		return t.insert(`rings (call_id, extension, at, tabs, dnd)`, `ON CONFLICT DO NOTHING`, rows)
	})
}

// Rings returns the rings of a call, and of those that went into it, in order.
func (db *DB) Rings(ctx context.Context, callID string) ([]Ring, error) {
	var rows []struct {
		Extension string `db:"extension"`
		At        int64  `db:"at"`
		Tabs      int    `db:"tabs"`
		DND       bool   `db:"dnd"`
	}
	err := db.read(ctx, "rings", &rows, `SELECT extension, at, tabs, dnd FROM rings
		WHERE call_id = ? OR call_id IN (SELECT id FROM calls WHERE merged_into = ? AND merged_into <> '') ORDER BY at, extension`, callID, callID)
	out := make([]Ring, len(rows))
	for i, r := range rows {
		out[i] = Ring{callID, r.Extension, bridge.AtMilli(r.At), r.Tabs, r.DND}
	}
	return out, err
}
