package store

import (
	"context"
	"time"

	"callbridge/bridge"
)

// RouteDecision is what a PBX was answered to "who takes this call?".
type RouteDecision struct {
	ID        string
	PBX       string
	PBXCallID string // the PBX's own id of the call, "" if the question did not tell it
	Client    bridge.Number
	At        bridge.Time
	Data      string // JSON: the answer with everybody who was considered
}

// SaveRoute keeps a decision; one of the same id is there already.
func (db *DB) SaveRoute(ctx context.Context, r RouteDecision) error {
	return db.share(ctx, "save route", func(t *tx) error {
		return t.exec(`INSERT INTO route_decisions (id, pbx, pbx_call_id, client, at, data) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			clean(r.ID), clean(r.PBX), clean(r.PBXCallID), string(r.Client), r.At.Milli(), clean(r.Data))
	})
}

// routeSlack is how far apart the clocks of the PBX and of this machine may
// be when a decision has to be found by client and time.
const routeSlack = 5 * time.Second

// RoutesOf returns the decisions of a call, oldest first: by the PBX's id of
// the call, and those of questions without one by client and time.
func (db *DB) RoutesOf(ctx context.Context, c bridge.Call) ([]RouteDecision, error) {
	to := c.EndedAt
	if to.IsZero() {
		to = bridge.At(time.Now())
	}
	var rows []struct {
		ID        string `db:"id"`
		PBX       string `db:"pbx"`
		PBXCallID string `db:"pbx_call_id"`
		Client    string `db:"client"`
		At        int64  `db:"at"`
		Data      string `db:"data"`
	}
	err := db.read(ctx, "routes", &rows, `SELECT id, pbx, pbx_call_id, client, at, data FROM route_decisions
		WHERE pbx = ? AND pbx_call_id = ? AND pbx_call_id <> ''
		UNION ALL
		SELECT id, pbx, pbx_call_id, client, at, data FROM route_decisions
		WHERE pbx = ? AND client = ? AND client <> '' AND pbx_call_id = '' AND at BETWEEN ? AND ?
		ORDER BY at, id LIMIT 20`,
		c.PBX, c.PBXCallID, c.PBX, string(c.Client), milli(c.StartedAt.Add(-routeSlack)), milli(to.Add(routeSlack)))
	out := make([]RouteDecision, len(rows))
	for i, r := range rows {
		out[i] = RouteDecision{r.ID, r.PBX, r.PBXCallID, bridge.Number(r.Client), bridge.AtMilli(r.At), r.Data}
	}
	return out, err
}
