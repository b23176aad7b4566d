package app

import (
	"context"
	"crypto/rand"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/web"
	"callbridge/store"
)

// dryRunCalls bounds what a dry run looks at: the newest of very many calls.
const dryRunCalls = 50_000

// StoredCalls returns the calls since a moment, newest first, for a dry run.
func StoredCalls(ctx context.Context, db *store.DB, since time.Time) ([]bridge.Call, error) {
	var out []bridge.Call
	before := ""
	for len(out) < dryRunCalls {
		page, next, err := db.Calls(ctx, store.CallFilter{From: since, Limit: 1000, Before: before})
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
		if before = next; before == "" {
			break
		}
	}
	return out, nil
}

// NewToken begins a session for a script and returns its token; only a digest
// is kept.
func NewToken(ctx context.Context, db *store.DB, login, label string, life time.Duration) (string, error) {
	token, now := rand.Text()+rand.Text(), time.Now()
	err := db.CreateSession(ctx, store.Session{TokenHash: web.Digest(token), Login: login, CreatedAt: bridge.At(now), SeenAt: bridge.At(now), ExpiresAt: bridge.At(now.Add(life)), Label: label})
	return token, err
}
