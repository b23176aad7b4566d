package store

import (
	"context"
	"strings"
)

// Plans returns how the engine would carry out the two statements of Claim.
func (db *DB) Plans(ctx context.Context) ([]string, error) {
	var out []string
	for q, args := range map[string][]any{sqlDue: {"mega", 0, int64(1 << 60), 10}, sqlHeads + "(?, ?)": {"mega", "+79160000001", "+79160000002"}} {
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

// Exec runs a statement of a test beside everything else.
func (db *DB) Exec(ctx context.Context, q string) error {
	_, err := db.w.ExecContext(ctx, q)
	return err
}
