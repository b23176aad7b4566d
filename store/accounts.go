package store

import (
	"context"
	"errors"
	"time"
)

// turnTime is how long a turn at an account lasts at most: two requests for a
// token with all their patience. Whoever dies with it is not waited for longer.
const turnTime = 90 * time.Second

func accountPurpose(id string) string { return "account " + id }

// TakeAccount gives `by` the turn at an account and returns its state, nil if
// there is none. ok is false while somebody else has the turn.
func (db *DB) TakeAccount(ctx context.Context, id, by string, now time.Time) (state []byte, ok bool, err error) {
	err = db.write(ctx, "take account", func(t *tx) error {
		n, err := t.changed(`INSERT INTO accounts (id, turn_by, turn_until) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE
			SET turn_by = excluded.turn_by, turn_until = excluded.turn_until WHERE accounts.turn_until <= ? OR accounts.turn_by = excluded.turn_by`,
			id, by, milli(now.Add(turnTime)), milli(now))
		if ok = n == 1; err != nil || !ok {
			return err
		}
		var sealed []byte
		if err := t.one(&sealed, `SELECT state FROM accounts WHERE id = ?`, id); err != nil {
			return err
		}
		if state = nil; len(sealed) > 0 {
			state, err = db.box.open(accountPurpose(id), sealed)
			if errors.Is(err, ErrWrongKey) {
				state, err = nil, nil // a log-in makes new tokens; the settings say more of a wrong key
			}
		}
		return err
	})
	return state, ok && err == nil, err
}

// SaveAccount keeps the state of an account, all tokens in one transaction.
func (db *DB) SaveAccount(ctx context.Context, id string, state []byte, now time.Time) error {
	sealed := db.box.seal(accountPurpose(id), state)
	return db.write(ctx, "save account", func(t *tx) error {
		return t.exec(`INSERT INTO accounts (id, state, changed_at) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at`,
			id, sealed, milli(now))
	})
}

// LeaveAccount ends the turn of `by`.
func (db *DB) LeaveAccount(ctx context.Context, id, by string) error {
	return db.write(ctx, "leave account", func(t *tx) error {
		return t.exec(`UPDATE accounts SET turn_until = 0 WHERE id = ? AND turn_by = ?`, id, by)
	})
}

// PurgeAccounts forgets accounts that gave no new token since before: their
// tokens are dead, and nobody uses the account any more.
func (db *DB) PurgeAccounts(ctx context.Context, before time.Time) error {
	return db.write(ctx, "purge accounts", func(t *tx) error {
		return t.exec(`DELETE FROM accounts WHERE changed_at < ? AND turn_until = 0`, milli(before))
	})
}
