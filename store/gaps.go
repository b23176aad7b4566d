package store

import (
	"context"
	"encoding/json"
	"time"

	"callbridge/bridge"
)

// CallByPBXID returns the call a PBX knows by that id and that began at about
// that time; the zero Call if there is none.
func (db *DB) CallByPBXID(ctx context.Context, pbx string, since time.Time, id string) (bridge.Call, error) {
	var data []string
	err := db.read(ctx, "call by the PBX's id", &data, `SELECT data FROM calls WHERE pbx = ? AND started_at >= ? AND started_at <= ? AND merged_into = ''`,
		pbx, milli(since.Add(-2*time.Second)), milli(since.Add(2*time.Second)))
	if err != nil {
		return bridge.Call{}, err
	}
	for _, s := range data {
		var c bridge.Call
		if err := json.Unmarshal([]byte(s), &c); err != nil {
			return bridge.Call{}, db.wrap("call by the PBX's id", err)
		}
		if c.PBXCallID == id {
			return c, nil
		}
	}
	return bridge.Call{}, nil
}
