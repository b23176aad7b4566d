package store

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"callbridge/bridge"
)

// Plans returns how the engine would carry out the two statements of Claim,
// and what each call that ends asks for the list of missed ones.
func (db *DB) Plans(ctx context.Context) ([]string, error) {
	var out []string
	queries := map[string][]any{sqlDue: {"mega", 0, int64(1 << 60), 10}, sqlHeads + "(?, ?)": {"mega", "+79160000001", "+79160000002"}}
	if !db.postgres { // which rightly reads a table without rows from its beginning
		queries[sqlSameContact] = []any{"+79160000001", "+79160000001"}
	}
	for q, args := range queries {
		how := "EXPLAIN QUERY PLAN "
		if db.postgres {
			how = "EXPLAIN "
		}
		rows, err := db.w.QueryContext(ctx, db.w.Rebind(how+q), args...)
		if err != nil {
			return nil, err
		}
		var text []string
		for rows.Next() {
			var line string
			var a, b, c int
			into := []any{&line}
			if !db.postgres {
				into = []any{&a, &b, &c, &line}
			}
			if err := rows.Scan(into...); err != nil {
				return nil, err
			}
			text = append(text, line)
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		out = append(out, strings.Join(text, "\n"))
	}
	return out, nil
}

// Exec runs a statement of a test, on SQLite by the one connection that writes.
func (db *DB) Exec(ctx context.Context, q string) error {
	if db.writer != nil {
		db.writer.turn.Lock()
		defer db.writer.turn.Unlock()
		_, err := db.writer.ExecContext(ctx, q)
		return err
	}
	_, err := db.w.ExecContext(ctx, q)
	return err
}

// Steps lists the versions of the schema.
func Steps() ([]int64, error) {
	files, err := migrations.ReadDir("migrations")
	var out []int64
	for _, f := range files {
		n, _, _ := strings.Cut(f.Name(), "_")
		v, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, err
}

// OpenAt opens an empty database as the program of an earlier version made it.
func OpenAt(ctx context.Context, dsn string, key []byte, version int64) (*DB, error) {
	b, err := newBox(key)
	if err != nil {
		return nil, err
	}
	db := &DB{box: b, log: slog.New(slog.DiscardHandler)}
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		err = db.openSQLite(path)
	} else {
		err = db.openPostgres(dsn)
	}
	if err != nil {
		return nil, err
	}
	p, err := db.provider()
	if err != nil {
		return nil, err
	}
	_, err = p.UpTo(ctx, version)
	return db, err
}

// UpTo brings an older schema on, not necessarily to the newest.
func (db *DB) UpTo(ctx context.Context, version int64) error {
	p, err := db.provider()
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, version)
	return err
}

// Schema describes every table and column, in the words of the engine.
func (db *DB) Schema(ctx context.Context) ([]string, error) {
	q := `SELECT m.name || '.' || p.name || ' ' || p.type || ' ' || p."notnull" FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table'
		UNION SELECT 'index ' || name || ' ' || COALESCE(sql, '') FROM sqlite_master WHERE type = 'index' ORDER BY 1`
	if db.postgres {
		q = `SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable FROM information_schema.columns WHERE table_schema = current_schema()
			UNION SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1`
	}
	var out []string
	return out, db.w.SelectContext(ctx, &out, q)
}

// Seal encrypts as the database does.
func (db *DB) Seal(version int64, plain []byte) []byte {
	return db.box.seal(settingsPurpose(version), plain)
}

// ExecArgs runs a statement of a test with arguments.
func (db *DB) ExecArgs(ctx context.Context, q string, args ...any) error {
	_, err := db.w.ExecContext(ctx, db.w.Rebind(q), args...)
	return err
}

// Blot is what scrub makes of a text.
func Blot(n bridge.Number, text string) string {
	_, re := spelling(n)
	return re.ReplaceAllString(text, blot)
}
