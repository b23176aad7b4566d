package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// SQLite parses a statement each time it is run, which took a fifth of the
// daemon's CPU under load; pgx keeps them by itself. Both types below keep
// statements that were parsed once.

// keptStatements bounds them; a statement with a list of another length is
// another one.
const keptStatements = 400

// preparer is a pool or a connection.
type preparer interface {
	PreparexContext(ctx context.Context, q string) (*sqlx.Stmt, error)
}

// kept is a bounded set of statements. Beyond the bound one runs unprepared.
type kept struct {
	mu   sync.Mutex
	list map[string]*sqlx.Stmt
}

// get returns the statement of q, nil if it is not to be kept.
func (k *kept) get(ctx context.Context, p preparer, q string) (*sqlx.Stmt, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.list[q]; s != nil {
		return s, nil
	}
	if len(k.list) >= keptStatements {
		return nil, nil
	}
	s, err := p.PreparexContext(ctx, q)
	if err != nil {
		return nil, err
	}
	if k.list == nil {
		k.list = map[string]*sqlx.Stmt{}
	}
	k.list[q] = s
	return s, nil
}

func (k *kept) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, s := range k.list {
		errs = append(errs, s.Close())
	}
	k.list = nil
	return errors.Join(errs...)
}

// statements is the read pool with its statements.
type statements struct {
	db *sqlx.DB
	kept
}

// reader runs what only reads.
func (db *DB) reader() sqlx.QueryerContext {
	if db.reads != nil {
		return db.reads
	}
	return db.r
}

// QueryContext is for sqlx.QueryerContext.
func (s *statements) QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	st, err := s.get(ctx, s.db, q)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return s.db.QueryContext(ctx, q, args...)
	}
	return st.QueryContext(ctx, args...)
}

// QueryxContext is for sqlx.SelectContext.
func (s *statements) QueryxContext(ctx context.Context, q string, args ...any) (*sqlx.Rows, error) {
	st, err := s.get(ctx, s.db, q)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return s.db.QueryxContext(ctx, q, args...)
	}
	return st.QueryxContext(ctx, args...)
}

// QueryRowxContext is for sqlx.GetContext.
func (s *statements) QueryRowxContext(ctx context.Context, q string, args ...any) *sqlx.Row {
	st, err := s.get(ctx, s.db, q)
	if err != nil || st == nil {
		return s.db.QueryRowxContext(ctx, q, args...) // tells the error, too
	}
	return st.QueryRowxContext(ctx, args...)
}

// writer is SQLite's one writing connection with its statements. Transactions
// are begun and ended by statements of their own, because database/sql parses
// the statements of a Tx anew.
type writer struct {
	db *sqlx.DB

	turn sync.Mutex // one transaction at a time
	conn *sqlx.Conn
	kept
}

// once runs f in a transaction.
func (w *writer) once(ctx context.Context, f func(*tx) error) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.conn == nil {
		c, err := w.db.Connx(ctx)
		if err != nil {
			return err
		}
		w.conn = c
	}
	ended := false
	defer func() {
		if !ended { // an error, or a panic on its way up
			w.undo()
		}
	}()
	// A BEGIN whose context ends meanwhile may have begun and still tell an
	// error: it is undone, or every later transaction would fail.
	if _, err := w.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := f(&tx{ExtContext: w, ctx: ctx}); err != nil {
		return err
	}
	// Not ended early by ctx: whether it is committed must be known.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	_, err := w.ExecContext(end, "COMMIT")
	ended = err == nil
	return err
}

// undo rolls back. A connection that cannot is given up, and with it what it
// had begun.
func (w *writer) undo() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := w.conn.ExecContext(ctx, "ROLLBACK")
	if err == nil || strings.Contains(err.Error(), "no transaction is active") {
		return // a full disk, for one, rolls back by itself
	}
	_ = w.kept.close()
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn }) // takes it out of the pool
	_ = w.conn.Close()
	w.conn = nil
}

func (w *writer) close() error {
	w.turn.Lock()
	defer w.turn.Unlock()
	err := w.kept.close()
	if w.conn != nil {
		err = errors.Join(err, w.conn.Close())
		w.conn = nil
	}
	return err
}

// ExecContext runs a statement of the transaction.
func (w *writer) ExecContext(ctx context.Context, q string, args ...any) (sql.Result, error) {
	st, err := w.get(ctx, w.conn, q)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return w.conn.ExecContext(ctx, q, args...)
	}
	return st.ExecContext(ctx, args...)
}

// QueryContext is for sqlx.QueryerContext.
func (w *writer) QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	st, err := w.get(ctx, w.conn, q)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return w.conn.QueryContext(ctx, q, args...)
	}
	return st.QueryContext(ctx, args...)
}

// QueryxContext is for sqlx.SelectContext.
func (w *writer) QueryxContext(ctx context.Context, q string, args ...any) (*sqlx.Rows, error) {
	st, err := w.get(ctx, w.conn, q)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return w.conn.QueryxContext(ctx, q, args...)
	}
	return st.QueryxContext(ctx, args...)
}

// QueryRowxContext is for sqlx.GetContext.
func (w *writer) QueryRowxContext(ctx context.Context, q string, args ...any) *sqlx.Row {
	st, err := w.get(ctx, w.conn, q)
	if err != nil || st == nil {
		return w.conn.QueryRowxContext(ctx, q, args...)
	}
	return st.QueryRowxContext(ctx, args...)
}

// DriverName, Rebind and BindNamed make it a sqlx.ExtContext.
func (w *writer) DriverName() string { return w.db.DriverName() }

// Rebind changes nothing for SQLite.
func (w *writer) Rebind(q string) string { return q }

// BindNamed is not used by us.
func (w *writer) BindNamed(q string, arg any) (string, []any, error) { return w.db.BindNamed(q, arg) }
