package app

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"callbridge/crm"
	"callbridge/store"
)

// accounts are the log-ins at CRMs. Integrations that use the same one share
// its tokens, and so do other nodes and commands on the same database (M-1.1).
type accounts struct {
	db  *store.DB
	log *slog.Logger
	me  string // tells this process from others

	mu   sync.Mutex
	byID map[string]*account
}

func newAccounts(db *store.DB, log *slog.Logger) *accounts {
	return &accounts{db: db, log: log, me: rand.Text(), byID: map[string]*account{}}
}

func (x *accounts) of(id string) crm.Account {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.byID[id]
	if a == nil {
		a = &account{of: x, id: id, turn: make(chan struct{}, 1)}
		x.byID[id] = a
	}
	return a
}

// account is one log-in. turn is held by whoever of this process changes it;
// the store keeps other processes out.
type account struct {
	of   *accounts
	id   string
	turn chan struct{}
}

// askAgain is how often the store is asked whether another process is done.
const askAgain = 200 * time.Millisecond

func (a *account) Turn(ctx context.Context) ([]byte, func(), error) {
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	for {
		state, ok, err := a.of.db.TakeAccount(ctx, a.id, a.of.me, time.Now())
		if ok {
			return state, func() { a.leave(ctx) }, nil
		}
		if err == nil {
			select {
			case <-time.After(askAgain):
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		<-a.turn
		return nil, nil, err
	}
}

// leave gives the turn on, even when the request that had it is over.
func (a *account) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := a.of.db.LeaveAccount(ctx, a.id, a.of.me); err != nil {
		a.of.log.Warn("the turn at a CRM account could not be given on; it ends by itself", "err", err)
	}
	<-a.turn
}

// Save outlives the request that brought the tokens: the old ones are dead.
func (a *account) Save(ctx context.Context, state []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return a.of.db.SaveAccount(ctx, a.id, state, time.Now())
}
