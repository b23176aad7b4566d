package store

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"
)

// CallsByPBXID returns the ids of the calls that began from…to, by the id the
// PBX gives them; for a merged call the id of the one it went into.
func (db *DB) CallsByPBXID(ctx context.Context, pbx string, from, to time.Time) (map[string]string, error) {
	var rows []struct {
		ID     string `db:"id"`
		Merged string `db:"merged_into"`
		Data   string `db:"data"`
	}
	err := db.read(ctx, "calls by the PBX's id", &rows, `SELECT id, merged_into, data FROM calls WHERE pbx = ? AND started_at >= ? AND started_at <= ?`,
		pbx, milli(from), milli(to))
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(rows))
	for _, r := range rows {
		var c struct {
			PBXCallID string `json:"pbx_call_id"`
		}
		if err := json.Unmarshal([]byte(r.Data), &c); err != nil {
			return nil, db.wrap("calls by the PBX's id", err)
		}
		if c.PBXCallID != "" {
			out[c.PBXCallID] = cmp.Or(r.Merged, r.ID)
		}
	}
	return out, nil
}

// CallOfChannel returns the id of the call under which events from…to of a
// channel are filed, "" if there are none.
func (db *DB) CallOfChannel(ctx context.Context, pbx string, from, to time.Time, channel string) (string, error) {
	quoted, err := json.Marshal(channel)
	if err != nil {
		return "", db.wrap("call of a channel", err)
	}
	like := strings.NewReplacer(`!`, `!!`, `%`, `!%`, `_`, `!_`).Replace(`"id":` + string(quoted))
	var ids []string
	err = db.read(ctx, "call of a channel", &ids, `SELECT call_id FROM events WHERE pbx = ? AND at >= ? AND at <= ? AND call_id <> '' AND parsed LIKE ? ESCAPE '!' LIMIT 1`,
		pbx, milli(from), milli(to), "%"+like+"%")
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}
