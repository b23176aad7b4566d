package store

import (
	"context"
	"fmt"
)

// RotateKey encrypts every secret anew with another key, in one transaction:
// all of it or nothing. Nobody else may use the database meanwhile; programs
// that have it open with the old key fail at their next secret. Afterwards this
// DB uses the new key.
func (db *DB) RotateKey(ctx context.Context, key []byte) error {
	next, err := newBox(key)
	if err != nil {
		return err
	}
	err = db.write(ctx, "rotate key", func(t *tx) error {
		var settings []struct {
			Version int64  `db:"version"`
			Data    []byte `db:"data"`
		}
		if err := t.all(&settings, `SELECT version, data FROM settings`+t.forUpdate("FOR UPDATE")); err != nil {
			return err
		}
		for _, s := range settings {
			purpose := settingsPurpose(s.Version)
			plain, err := db.box.open(purpose, s.Data)
			if err != nil {
				return err
			}
			if err := t.exec(`UPDATE settings SET data = ? WHERE version = ?`, next.seal(purpose, plain), s.Version); err != nil {
				return err
			}
		}
		var accounts []struct {
			ID    string `db:"id"`
			State []byte `db:"state"`
		}
		if err := t.all(&accounts, `SELECT id, state FROM accounts WHERE state IS NOT NULL`+t.forUpdate("FOR UPDATE")); err != nil {
			return err
		}
		for _, k := range accounts {
			plain, err := db.box.open(accountPurpose(k.ID), k.State)
			if err != nil {
				return err
			}
			if err := t.exec(`UPDATE accounts SET state = ? WHERE id = ?`, next.seal(accountPurpose(k.ID), plain), k.ID); err != nil {
				return err
			}
		}
		n, err := t.changed(`UPDATE meta SET value = ? WHERE name = 'key_id' AND value = ?`, next.id, db.box.id)
		if err == nil && n != 1 {
			err = fmt.Errorf("%w: it was changed meanwhile", ErrWrongKey)
		}
		return err
	})
	if err == nil {
		db.box = next
	}
	return err
}
