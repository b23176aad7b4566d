package store

import (
	"context"
	"encoding/json"

	"callbridge/bridge"
)

// RepairDelivery gives a parked delivery a corrected action and sets it waiting
// (held, if its integration is). It says false for one that is done, on its
// way, or not wanted. The action's key and kind stay as they are.
func (db *DB) RepairDelivery(ctx context.Context, id int64, a bridge.Action) (bool, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	done := false
	err = db.write(ctx, "repair", func(t *tx) error {
		done = false
		n, err := t.changed(`UPDATE deliveries SET action = ? WHERE id = ? AND kind = ? AND state IN ('held', 'failed', 'expired') AND wanted`,
			string(data), id, string(a.Kind))
		if err != nil || n == 0 {
			return err
		}
		done = true
		_, err = t.retry([]int64{id}, false)
		return err
	})
	return done, err
}
