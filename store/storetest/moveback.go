package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// MoveBack makes everything in a stopped SQLite database happen days earlier,
// as if so much time had passed since: every time of a column, and every time
// written inside a text. It knows no table by name, so that nothing is left
// behind in the present. Nothing of the program takes part in it.
func MoveBack(ctx context.Context, dsn string, days int) (err error) {
	path, ok := strings.CutPrefix(dsn, "sqlite:")
	if !ok {
		return errors.New("storetest: only SQLite databases can be moved back")
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var tables []string
	if tables, err = texts(ctx, db, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%'`); err != nil {
		return err
	}
	for _, table := range tables {
		columns, err := texts(ctx, db, fmt.Sprintf(`SELECT name FROM pragma_table_info('%s')`, table))
		if err != nil {
			return err
		}
		for _, column := range columns {
			if err := moveColumn(ctx, db, table, column, days); err != nil {
				return fmt.Errorf("%s.%s: %w", table, column, err)
			}
		}
	}
	return nil
}

func texts(ctx context.Context, db *sql.DB, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// around is how far from now a number of milliseconds must be to be a time.
const around = 60 * 24 * time.Hour

func moveColumn(ctx context.Context, db *sql.DB, table, column string, days int) error {
	now := time.Now()
	shift := time.Duration(days) * 24 * time.Hour
	// Far enough away first: a unique time must not meet one that is still to move.
	for _, step := range []time.Duration{-around * 4, around*4 - shift} {
		lo, hi := now.Add(-around), now.Add(around)
		if step > 0 {
			lo, hi = lo.Add(-around*4), hi.Add(-around*4)
		}
		if _, err := db.ExecContext(ctx, fmt.Sprintf(`UPDATE %s SET %s = %s + ? WHERE typeof(%s) = 'integer' AND %s BETWEEN ? AND ?`, table, column, column, column, column),
			step.Milliseconds(), lo.UnixMilli(), hi.UnixMilli()); err != nil {
			return err
		}
	}
	rows, err := db.QueryContext(ctx, fmt.Sprintf(`SELECT rowid, %s FROM %s WHERE typeof(%s) = 'text' AND %s LIKE '%%20__-__-__%%'`, column, table, column, column))
	if err != nil {
		return err
	}
	moved := map[int64]string{}
	for rows.Next() {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return errors.Join(err, rows.Close())
		}
		if after := moveText(text, days); after != text {
			moved[id] = after
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for id, text := range moved {
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(`UPDATE %s SET %s = ? WHERE rowid = ?`, table, column), text, id); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

var (
	moment  = regexp.MustCompile(`\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)
	onlyDay = regexp.MustCompile(`^20\d\d-\d\d-\d\d$`)
)

func moveText(text string, days int) string {
	if onlyDay.MatchString(text) {
		if t, err := time.Parse(time.DateOnly, text); err == nil {
			return t.AddDate(0, 0, -days).Format(time.DateOnly)
		}
	}
	return moment.ReplaceAllStringFunc(text, func(m string) string {
		layout := "2006-01-02T15:04:05Z07:00"
		if dot := strings.IndexByte(m, '.'); dot >= 0 {
			end := strings.IndexAny(m[dot:], "Z+-") + dot
			layout = "2006-01-02T15:04:05." + strings.Repeat("0", end-dot-1) + "Z07:00"
		}
		t, err := time.Parse(layout, m)
		if err != nil {
			return m
		}
		return t.AddDate(0, 0, -days).Format(layout)
	})
}
