package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// unserved is how long a store may stand still without anybody asking why.
const unserved = 10 * time.Minute

// Resume is called when a program begins to deliver, after Own. It finds out
// whether the store may be older than what was done with it: an SQLite file
// that was put back from a backup is older than the note beside it, and any
// store that nobody served for a while may have been put back. Then whatever
// waits may be done already, so that the CRMs are asked first (looked is how
// many deliveries). back says that the store is certainly an older one.
func (db *DB) Resume(ctx context.Context, now time.Time) (looked int64, back bool, err error) {
	var last int64
	err = db.readOne(ctx, "resume", &last, `SELECT CAST(value AS BIGINT) FROM meta WHERE name = 'served_at'`)
	if errors.Is(err, ErrNotFound) {
		return 0, false, db.Served(ctx, now) // a new store
	}
	if err != nil {
		return 0, false, err
	}
	noted, err := db.noted()
	if err != nil {
		return 0, false, err
	}
	back = noted > last
	if back || now.Sub(fromMilli(last)) > unserved {
		err = db.write(ctx, "resume", func(t *tx) error {
			// Contacts are looked for in any case.
			looked, err = t.changed(`UPDATE deliveries SET look = ? WHERE state IN ('waiting', 'held') AND kind <> 'contact' AND NOT look`, true)
			return err
		})
		if err != nil {
			return 0, back, err
		}
	}
	return looked, back, db.Served(ctx, now)
}

// Served notes that the store is served now: in it and, of an SQLite file,
// beside it, in this order.
func (db *DB) Served(ctx context.Context, now time.Time) error {
	err := db.write(ctx, "served", func(t *tx) error {
		return t.exec(`INSERT INTO meta (name, value) VALUES ('served_at', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
			strconv.FormatInt(milli(now), 10))
	})
	if err != nil || db.postgres {
		return err
	}
	if err := os.WriteFile(db.path+".served", []byte(strconv.FormatInt(milli(now), 10)+"\n"), 0o600); err != nil {
		return fmt.Errorf("store: served: %w", err)
	}
	return nil
}

// noted is what the file beside the database says, 0 if there is none.
func (db *DB) noted() (int64, error) {
	if db.postgres {
		return 0, nil
	}
	b, err := os.ReadFile(db.path + ".served")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, nil // cut off by a full disk: it says nothing
	}
	return n, nil
}
