// Package store keeps everything Callbridge must not lose: events, calls,
// planned actions and what became of them, settings, and the small tables
// around them. It is the only place with SQL. The same statements run on
// SQLite (modernc, WAL, synced, one writer) and on PostgreSQL (pgx).
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"github.com/jmoiron/sqlx"
	_ "modernc.org/sqlite" // driver "sqlite"
)

// DB is an open store. It is safe for use by many goroutines.
type DB struct {
	w, r     *sqlx.DB // one and the same on PostgreSQL
	postgres bool
	box      *box
	log      *slog.Logger
	group    group
	past     past
	writer   *writer     // SQLite only
	reads    *statements // SQLite only
	ownMu    sync.Mutex
	ownership
}

// readers is the size of SQLite's read pool: enough for pages and metrics
// beside the worker, few enough to keep memory small.
const readers = 4

// Open opens the database named by dsn, "sqlite:path" or "postgres://…", and
// brings its schema up to date. key (32 bytes) encrypts what is secret. It
// fails with a sentence for people: a newer database, a wrong key, a locked or
// unwritable file.
func Open(ctx context.Context, dsn string, key []byte, log *slog.Logger) (*DB, error) {
	b, err := newBox(key)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	db := &DB{box: b, log: log}
	switch {
	case strings.HasPrefix(dsn, "sqlite:"):
		err = db.openSQLite(strings.TrimPrefix(dsn, "sqlite:"))
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		err = db.openPostgres(dsn)
	default:
		return nil, errors.New("store: the database must be named as sqlite:path or postgres://user@host/name")
	}
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{db.migrate, db.checkKey, db.Ping, db.repairLanes} {
		if err := step(ctx); err != nil {
			_ = db.Close() // the first error says what is wrong
			return nil, err
		}
	}
	return db, nil
}

func (db *DB) openSQLite(path string) error {
	path = strings.TrimPrefix(path, "//")
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return errors.New("store: sqlite needs the path of a file, as in sqlite:callbridge.db")
	}
	dir := filepath.Dir(path)
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return fmt.Errorf("store: the folder %s of the database does not exist", dir)
	}
	// The file holds personal data: nobody but us reads it. SQLite gives its
	// -wal and -shm files the mode of the database.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("store: open %s: %w: %w", path, ErrReadOnly, err)
	}
	_ = f.Close() // nothing was written
	name := "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" +
		"&_pragma=temp_store(MEMORY)&_pragma=wal_autocheckpoint(4000)"
	w, err := sqlx.Open("sqlite", name+"&_pragma=cache_size(-32768)&_txlock=immediate")
	if err != nil {
		return db.wrap("open", err)
	}
	w.SetMaxOpenConns(2) // the writer, and one for migrations
	r, err := sqlx.Open("sqlite", name+"&_pragma=cache_size(-4096)&_pragma=query_only(1)")
	if err != nil {
		_ = w.Close()
		return db.wrap("open", err)
	}
	r.SetMaxOpenConns(readers)
	r.SetMaxIdleConns(readers)
	db.w, db.r, db.path = w, r, path
	db.writer, db.reads = &writer{db: w}, &statements{db: r}
	return nil
}

func (db *DB) openPostgres(dsn string) error {
	p, err := sqlx.Open("pgx", dsn)
	if err != nil {
		return db.wrap("open", err)
	}
	p.SetMaxOpenConns(16)
	p.SetMaxIdleConns(8)
	p.SetConnMaxIdleTime(5 * time.Minute)
	db.w, db.r, db.postgres = p, p, true
	return nil
}

// Close ends all connections; what was committed stays.
func (db *DB) Close() error {
	var err error
	if db.writer != nil {
		err = db.writer.close()
	}
	err = errors.Join(err, db.w.Close())
	if db.r != db.w {
		err = errors.Join(err, db.r.Close())
	}
	return errors.Join(err, db.disown())
}

// Ping proves that the database can be read and written now: a full disk or a
// lost lock shows here before a call is lost.
func (db *DB) Ping(ctx context.Context) error {
	return db.write(ctx, "ping", func(t *tx) error {
		return t.exec(`INSERT INTO meta (name, value) VALUES ('pinged_at', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
			strconv.FormatInt(time.Now().UnixMilli(), 10))
	})
}

// tx is a transaction with the few helpers all statements need. Statements
// are written with ? and rebound.
type tx struct {
	sqlx.ExtContext
	ctx      context.Context
	postgres bool
}

func (t *tx) exec(q string, args ...any) error {
	_, err := t.ExecContext(t.ctx, t.Rebind(q), args...)
	return err
}

// changed runs q and returns how many rows it changed.
func (t *tx) changed(q string, args ...any) (int64, error) {
	res, err := t.ExecContext(t.ctx, t.Rebind(q), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) all(dest any, q string, args ...any) error {
	return sqlx.SelectContext(t.ctx, t, dest, t.Rebind(q), args...)
}

func (t *tx) one(dest any, q string, args ...any) error {
	return sqlx.GetContext(t.ctx, t, dest, t.Rebind(q), args...)
}

// forUpdate ends a SELECT whose rows are about to change. SQLite needs none:
// its only writer is us.
func (t *tx) forUpdate(how string) string {
	if !t.postgres {
		return ""
	}
	return " " + how
}

// insert writes many rows with few statements. tail is the ON CONFLICT part.
// Chunks have few different sizes, so that statements are prepared once.
func (t *tx) insert(into, tail string, rows [][]any) error {
	for len(rows) > 0 {
		n := 1
		for _, size := range []int{128, 32, 8} {
			if len(rows) >= size {
				n = size
				break
			}
		}
		cols := len(rows[0])
		one := "(" + strings.TrimSuffix(strings.Repeat("?,", cols), ",") + ")"
		q := "INSERT INTO " + into + " VALUES " + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + " " + tail
		args := make([]any, 0, n*cols)
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		if err := t.exec(q, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// write runs f in one transaction. PostgreSQL may ask to try again when nodes
// met in the wrong order; that is done here, a few times.
func (db *DB) write(ctx context.Context, op string, f func(*tx) error) error {
	return db.wrap(op, db.retry(ctx, f))
}

func (db *DB) retry(ctx context.Context, f func(*tx) error) error {
	var err error
	for try := range 5 {
		if try > 0 {
			if wait(ctx, time.Duration(try)*time.Duration(5+rand.IntN(20))*time.Millisecond) != nil {
				break
			}
		}
		if err = db.once(ctx, f); !again(err) {
			break
		}
	}
	return err
}

func (db *DB) once(ctx context.Context, f func(*tx) error) error {
	if db.writer != nil {
		return db.writer.once(ctx, f)
	}
	t, err := db.w.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(&tx{ExtContext: t, ctx: ctx, postgres: db.postgres}); err != nil {
		_ = t.Rollback() // err says more
		return err
	}
	return t.Commit()
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// read fills dest (a slice) from the read pool.
func (db *DB) read(ctx context.Context, op string, dest any, q string, args ...any) error {
	return db.wrap(op, sqlx.SelectContext(ctx, db.reader(), dest, db.r.Rebind(q), args...))
}

// readOne fills dest (a struct or value), ErrNotFound if there is no row.
func (db *DB) readOne(ctx context.Context, op string, dest any, q string, args ...any) error {
	err := sqlx.GetContext(ctx, db.reader(), dest, db.r.Rebind(q), args...)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("store: %s: %w", op, ErrNotFound)
	}
	return db.wrap(op, err)
}

// in makes "(?,?,?)" and the arguments of a list.
func in[T any](list []T) (string, []any) {
	args := make([]any, len(list))
	for i, v := range list {
		args[i] = v
	}
	return "(" + strings.TrimSuffix(strings.Repeat("?,", len(list)), ",") + ")", args
}

// clean makes a text that both engines accept. PostgreSQL refuses NUL and
// broken UTF-8, and one such number from a malformed frame must not cost the
// whole batch.
func clean(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// milli is t in the form of the database.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMilli is the time of a column, zero for 0.
func fromMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
