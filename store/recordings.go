package store

import (
	"context"
	"time"

	"callbridge/bridge"
)

// RecordingState is where a sound file stands.
type RecordingState string

const (
	RecordingWaiting RecordingState = "waiting" // not there, or not complete
	RecordingReady   RecordingState = "ready"
	RecordingNone    RecordingState = "none" // never came
)

// RecordingRow is one sound file of a call: the n-th of its record.
type RecordingRow struct {
	CallID  string         `db:"call_id"`
	N       int            `db:"n"`
	PBX     string         `db:"pbx"`
	Name    string         `db:"name"`
	State   RecordingState `db:"state"`
	Size    int64          `db:"size"` // at the last look
	Tries   int            `db:"tries"`
	NextAt  bridge.Time    `db:"-"`
	ReadyAt bridge.Time    `db:"-"`
}

type recordingRow struct {
	RecordingRow
	Next  int64 `db:"next_at"`
	Ready int64 `db:"ready_at"`
}

const recordingColumns = `call_id, n, pbx, name, state, size, tries, next_at, ready_at`

func (db *DB) recordings(ctx context.Context, where string, args ...any) ([]RecordingRow, error) {
	var rows []recordingRow
	if err := db.read(ctx, "recordings", &rows, `SELECT `+recordingColumns+` FROM recordings WHERE `+where, args...); err != nil {
		return nil, err
	}
	out := make([]RecordingRow, len(rows))
	for i, r := range rows {
		out[i] = r.RecordingRow
		out[i].NextAt, out[i].ReadyAt = bridge.AtMilli(r.Next), bridge.AtMilli(r.Ready)
	}
	return out, nil
}

// AwaitRecordings begins to wait for the sound files of calls; those waited
// for already stay as they are.
func (db *DB) AwaitRecordings(ctx context.Context, calls []bridge.Call, at time.Time) error {
	var rows [][]any
	for _, c := range calls {
		for i, r := range c.Recordings {
			rows = append(rows, []any{clean(c.ID), i, clean(c.PBX), clean(r.Name), string(RecordingWaiting), 0, 0, milli(at), 0})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return db.share(ctx, "await recordings", func(t *tx) error {
		return t.insert(`recordings (`+recordingColumns+`)`, `ON CONFLICT DO NOTHING`, rows)
	})
}

// DueRecordings returns up to n files that are to be looked at.
func (db *DB) DueRecordings(ctx context.Context, at time.Time, n int) ([]RecordingRow, error) {
	return db.recordings(ctx, `state = 'waiting' AND next_at <= ? ORDER BY next_at LIMIT ?`, milli(at), n)
}

// NextRecording says when the next file is to be looked at; the zero time if
// none is awaited.
func (db *DB) NextRecording(ctx context.Context) (time.Time, error) {
	list, err := db.recordings(ctx, `state = 'waiting' ORDER BY next_at LIMIT 1`)
	if err != nil || len(list) == 0 {
		return time.Time{}, err
	}
	return list[0].NextAt.Time, nil
}

// Recordings returns the files of a call.
func (db *DB) Recordings(ctx context.Context, callID string) ([]RecordingRow, error) {
	return db.recordings(ctx, `call_id = ? ORDER BY n`, callID)
}

// CallsWithRecordings returns up to n ids of calls from before a time that have
// a complete recording, after an id, in the order of the ids.
func (db *DB) CallsWithRecordings(ctx context.Context, before time.Time, after string, n int) ([]string, error) {
	var ids []string
	err := db.read(ctx, "calls with recordings", &ids, `SELECT DISTINCT r.call_id FROM recordings r JOIN calls c ON c.id = r.call_id
		WHERE r.state = 'ready' AND c.started_at < ? AND r.call_id > ? ORDER BY r.call_id LIMIT ?`, milli(before), after, n)
	return ids, err
}

// SaveRecordings writes down what a look at files showed, and in the same
// transaction the deliveries that come of it.
func (db *DB) SaveRecordings(ctx context.Context, rows []RecordingRow, b Batch) error {
	return db.share(ctx, "save recordings", func(t *tx) error {
		for _, r := range rows {
			err := t.exec(`UPDATE recordings SET state = ?, size = ?, tries = ?, next_at = ?, ready_at = ? WHERE call_id = ? AND n = ?`,
				string(r.State), r.Size, r.Tries, r.NextAt.Milli(), r.ReadyAt.Milli(), clean(r.CallID), r.N)
			if err != nil {
				return err
			}
		}
		return t.plan(b, nil)
	})
}
