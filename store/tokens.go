package store

import (
	"context"

	"callbridge/bridge"
)

// tokenID is how much of a token's digest names it for people.
const tokenID = 16

// Tokens lists the tokens of scripts, newest first.
func (db *DB) Tokens(ctx context.Context) ([]Session, error) {
	var rows []struct {
		Hash    string `db:"token_hash"`
		Login   string `db:"login"`
		Created int64  `db:"created_at"`
		Seen    int64  `db:"seen_at"`
		Expires int64  `db:"expires_at"`
		Label   string `db:"label"`
	}
	err := db.read(ctx, "tokens", &rows, `SELECT token_hash, login, created_at, seen_at, expires_at, label FROM sessions WHERE label <> '' ORDER BY created_at DESC, token_hash LIMIT 1000`)
	out := make([]Session, len(rows))
	for i, r := range rows {
		out[i] = Session{TokenHash: r.Hash[:min(tokenID, len(r.Hash))], Login: r.Login, CreatedAt: bridge.AtMilli(r.Created), SeenAt: bridge.AtMilli(r.Seen), ExpiresAt: bridge.AtMilli(r.Expires), Label: r.Label}
	}
	return out, err
}

// WithdrawToken removes a token of a script by the id that Tokens gives, and
// returns whose it was; ErrNotFound if there is none.
func (db *DB) WithdrawToken(ctx context.Context, id string) (login string, err error) {
	if len(id) != tokenID {
		return "", ErrNotFound
	}
	err = db.write(ctx, "withdraw token", func(t *tx) error {
		var logins []string
		if err := t.all(&logins, `SELECT login FROM sessions WHERE label <> '' AND substr(token_hash, 1, 16) = ?`, id); err != nil {
			return err
		}
		if len(logins) == 0 {
			return ErrNotFound
		}
		login = logins[0]
		return t.exec(`DELETE FROM sessions WHERE label <> '' AND substr(token_hash, 1, 16) = ?`, id)
	})
	return login, err
}
