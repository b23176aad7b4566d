package store

import (
	"context"
	"encoding/json"
	"time"

	"callbridge/bridge"
)

// Gap is a time in which a PBX could not be seen.
type Gap struct {
	PBX    string
	From   bridge.Time
	To     bridge.Time // zero: it goes on
	Reason string
	Calls  int // that may lack facts because of it
}

// Gaps lists the gaps since a moment, newest first, with the calls that have
// them in their records.
func (db *DB) Gaps(ctx context.Context, since time.Time) ([]Gap, error) {
	events, err := db.events(ctx, `call_id = '' AND kind IN ('link_lost', 'link_up') AND at >= ? ORDER BY at, id LIMIT 5000`, milli(since))
	if err != nil {
		return nil, err
	}
	var out []Gap
	open := map[string]int{} // by PBX: index into out
	for _, e := range events {
		i, lost := open[e.PBX]
		switch {
		case e.Kind == bridge.LinkLost && !lost:
			from := e.From
			if from.IsZero() {
				from = e.At
			}
			open[e.PBX] = len(out)
			out = append(out, Gap{PBX: e.PBX, From: from, To: e.To, Reason: e.Value})
		case e.Kind == bridge.LinkUp && lost:
			if out[i].To.IsZero() {
				out[i].To = e.At
			}
			delete(open, e.PBX)
		}
	}
	var data []string
	if len(out) > 0 {
		err = db.read(ctx, "calls with gaps", &data, `SELECT data FROM calls WHERE started_at >= ? AND merged_into = '' AND data LIKE '%"gaps":[{%' ORDER BY started_at DESC LIMIT 2000`, milli(since.Add(-4*time.Hour)))
	}
	for _, s := range data {
		var c bridge.Call
		if err := json.Unmarshal([]byte(s), &c); err != nil {
			return nil, db.wrap("calls with gaps", err)
		}
		for _, g := range c.Gaps {
			for i := range out {
				if out[i].PBX == c.PBX && (out[i].To.IsZero() || !g.From.After(out[i].To.Time)) && !g.To.Before(out[i].From.Time) {
					out[i].Calls++
					break
				}
			}
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out, err
}
