package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrServed means that another program works on the database already.
var ErrServed = errors.New("another callbridge serves this database")

// Own makes the caller the one program that works off deliveries of an SQLite
// file, until Close or the end of the process, and ErrServed if another one
// does. Whatever a worker had when the last owner died is then free at once,
// to be looked up first, instead of after its lease; so are accounts it logged in at. Commands that only read
// or change rows need not own anything. On PostgreSQL, where several nodes
// share the work, leases alone decide and Own does nothing.
func (db *DB) Own(ctx context.Context) (freed int64, err error) {
	if db.postgres {
		return 0, nil
	}
	db.ownMu.Lock()
	defer db.ownMu.Unlock()
	if db.owned != nil {
		return 0, nil
	}
	f, err := lockFile(db.path + ".lock")
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	err = db.write(ctx, "own", func(t *tx) error {
		// Who died in the middle of a log-in holds up nobody.
		if err := t.exec(`UPDATE accounts SET turn_until = 0 WHERE turn_until > 0`); err != nil {
			return err
		}
		// Claim sees leases that ran out, and takes them with Look set.
		freed, err = t.changed(`UPDATE deliveries SET lease_until = 0 WHERE ` + openStates + ` AND state = 'trying'`)
		if err != nil || freed == 0 {
			return err
		}
		return t.exec(`UPDATE lanes SET due_at = ? WHERE busy <> 0`, time.Now().UnixMilli())
	})
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	db.owned = f
	return freed, nil
}

// disown lets the next program in.
func (db *DB) disown() error {
	db.ownMu.Lock()
	defer db.ownMu.Unlock()
	if db.owned == nil {
		return nil
	}
	f := db.owned
	db.owned = nil
	return f.Close()
}

// ownership is the lock of an SQLite file's worker.
type ownership struct {
	path  string // of the database file
	owned *os.File
}
