package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
)

// SlotCount is how many calls began in one slot of time with one outcome.
type SlotCount struct {
	Slot      int              `db:"slot"`
	Direction bridge.Direction `db:"direction"`
	Outcome   bridge.Outcome   `db:"outcome"`
	Count     int64            `db:"n"`
}

// CallSlots counts the calls that began in [from, to) by slot of the given
// length since from, direction and outcome. Living calls have the outcome "".
func (db *DB) CallSlots(ctx context.Context, from, to time.Time, slot time.Duration) ([]SlotCount, error) {
	var rows []SlotCount
	// The numbers stand in the text: PostgreSQL does not see that an expression
	// with parameters is the one it groups by.
	expr := `(started_at - ` + strconv.FormatInt(milli(from), 10) + `) / ` + strconv.FormatInt(max(1, slot.Milliseconds()), 10)
	err := db.read(ctx, "call slots", &rows, `SELECT `+expr+` AS slot, direction, outcome, COUNT(*) AS n FROM calls
		WHERE started_at >= ? AND started_at < ? AND merged_into = '' GROUP BY `+expr+`, direction, outcome ORDER BY 1, 2, 3`, milli(from), milli(to))
	return rows, err
}

// WaitCount is how many inbound calls waited up to a limit.
type WaitCount struct {
	Bucket  int            `db:"bucket"` // index of the limit; one more: longer than all
	Outcome bridge.Outcome `db:"outcome"`
	Count   int64          `db:"n"`
}

// Waits counts the inbound calls of [from, to) by how long the client waited.
// limits are rising.
func (db *DB) Waits(ctx context.Context, from, to time.Time, limits []time.Duration) ([]WaitCount, error) {
	wait := `CAST(json_extract(data, '$.wait_ms') AS BIGINT)`
	if db.postgres {
		wait = `CAST(CAST(data AS json) ->> 'wait_ms' AS BIGINT)`
	}
	var bucket strings.Builder
	bucket.WriteString(`CASE`)
	for i, l := range limits {
		bucket.WriteString(` WHEN w < ` + strconv.FormatInt(l.Milliseconds(), 10) + ` THEN ` + strconv.Itoa(i))
	}
	bucket.WriteString(` ELSE ` + strconv.Itoa(len(limits)) + ` END`)
	var rows []WaitCount
	err := db.read(ctx, "waits", &rows, `SELECT `+bucket.String()+` AS bucket, outcome, COUNT(*) AS n FROM (
		SELECT outcome, `+wait+` AS w FROM calls WHERE started_at >= ? AND started_at < ? AND merged_into = '' AND direction = 'in' AND outcome <> '') t
		WHERE w IS NOT NULL GROUP BY `+bucket.String()+`, outcome ORDER BY 1, 2`, milli(from), milli(to))
	return rows, err
}

// Returned counts the clients with a missed call in [from, to), and of them
// those with whom somebody has talked since.
func (db *DB) Returned(ctx context.Context, from, to time.Time) (missed, returned int64, err error) {
	var r struct {
		Missed   int64 `db:"missed"`
		Returned int64 `db:"returned"`
	}
	err = db.readOne(ctx, "returned", &r, `SELECT COUNT(*) AS missed, COALESCE(SUM(CASE WHEN EXISTS (SELECT 1 FROM calls b WHERE b.client = m.client
			AND b.client <> '' AND b.started_at > m.at AND b.outcome = 'answered' AND b.merged_into = '') THEN 1 ELSE 0 END), 0) AS returned
		FROM (SELECT client, MAX(started_at) AS at FROM calls WHERE started_at >= ? AND started_at < ? AND merged_into = ''
			AND direction = 'in' AND outcome = 'missed' AND client <> '' GROUP BY client) m`, milli(from), milli(to))
	return r.Missed, r.Returned, err
}

// CardLatencies returns how many ms after the event the cards of [from, to)
// were on the screen, rising; of very many the newest.
func (db *DB) CardLatencies(ctx context.Context, from, to time.Time) ([]int64, error) {
	var ms []int64
	err := db.read(ctx, "card latencies", &ms, `SELECT latency_ms FROM receipts WHERE shown_at <> 0 AND shown_at >= ? AND shown_at < ?
		ORDER BY shown_at DESC LIMIT 10000`, milli(from), milli(to))
	slices.Sort(ms)
	return ms, err
}
