package storetest

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"callbridge/store"
)

// PassTime is some hours at once for deliveries: whatever waits for its next
// try is due. leases ends those of workers that died, too.
func PassTime(ctx context.Context, dsn string, leases bool) (err error) {
	driver, name := "pgx", dsn
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, name = "sqlite", "file:"+path+"?_pragma=busy_timeout(60000)&_txlock=immediate"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	list := []string{`UPDATE deliveries SET next_at = 0 WHERE state IN ('waiting', 'trying') AND state = 'waiting' AND next_at > 0`,
		`UPDATE lanes SET due_at = 0 WHERE due_at > 0`}
	if leases {
		list = append(list, `UPDATE deliveries SET lease_until = 0 WHERE state IN ('waiting', 'trying') AND state = 'trying'`, `UPDATE accounts SET turn_until = 0 WHERE turn_until > 0`)
	}
	for _, q := range list {
		for try := 0; ; try++ {
			_, err := db.ExecContext(ctx, q)
			if err == nil {
				break
			}
			if try == 9 || !strings.Contains(err.Error(), "40P01") { // met the workers the other way round
				return err
			}
		}
	}
	return nil
}

var _ = store.ErrNotFound // its import registers both drivers
