package store

import (
	"context"
	"sync"
	"time"
)

// group commits small writes of many goroutines together: while one
// transaction is synced to disk, the next writes gather and share the next
// one. A worker that finishes alone waits for nobody.
type group struct {
	mu    sync.Mutex
	queue []*member
	busy  bool
}

type member struct {
	ctx  context.Context
	f    func(*tx) error
	err  error
	done chan struct{}
}

// groupMax bounds a shared transaction, so that nobody waits long for others.
const groupMax = 256

// share runs f in a transaction that other calls of share may join. An error
// of f must not depend on being alone: it is run again by itself when the
// shared transaction fails.
func (db *DB) share(ctx context.Context, op string, f func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return db.wrap(op, err)
	}
	m := &member{ctx: ctx, f: f, done: make(chan struct{})}
	db.group.mu.Lock()
	db.group.queue = append(db.group.queue, m)
	lead := !db.group.busy
	db.group.busy = true
	db.group.mu.Unlock()
	if lead {
		go db.runGroup()
	}
	// Not ended early by ctx: the caller must know what became of its write.
	<-m.done
	return db.wrap(op, m.err)
}

func (db *DB) runGroup() {
	for {
		db.group.mu.Lock()
		n := min(len(db.group.queue), groupMax)
		if n == 0 {
			db.group.busy = false
			db.group.mu.Unlock()
			return
		}
		batch := db.group.queue[:n:n]
		db.group.queue = db.group.queue[n:]
		db.group.mu.Unlock()
		db.commitGroup(batch)
	}
}

func (db *DB) commitGroup(batch []*member) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), 30*time.Second)
	defer cancel()
	err := db.retry(ctx, func(t *tx) error {
		for _, m := range batch {
			if err := m.f(t); err != nil {
				return err
			}
		}
		return nil
	})
	for _, m := range batch {
		if err != nil {
			m.err = err
			if len(batch) > 1 {
				m.err = db.retry(ctx, m.f)
			}
		}
		close(m.done)
	}
}
