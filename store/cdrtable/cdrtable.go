// Package cdrtable reads the call log that Asterisk keeps in a table:
// cdr_sqlite3_custom, cdr_adaptive_odbc and cdr_pgsql. The columns are the
// operator's; whatever is there is returned by its name.
package cdrtable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "modernc.org/sqlite"             // driver "sqlite"
)

// longest is how long a call may last to be found: the tables have an index
// on the beginning of calls at most.
const longest = 12 * time.Hour

// most bounds what is read for one gap.
const most = 200_000

var plain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

// Table is one call log.
type Table struct {
	db    *sql.DB
	name  string
	zone  *time.Location
	start string // its column with the beginning of a call
	pg    bool
}

// Open prepares the table of a database named as sqlite:path or postgres://….
// Nothing is written, and there is no network before Read. Times without a
// zone are in zone.
func Open(dsn, table string, zone *time.Location) (*Table, error) {
	if table == "" {
		table = "cdr"
	}
	if !plain.MatchString(table) {
		return nil, fmt.Errorf("call log: %q is no name of a table", table)
	}
	t := &Table{name: table, zone: zone}
	var err error
	switch file, lite := strings.CutPrefix(dsn, "sqlite:"); {
	case lite:
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("call log: %w", err) // opening would make an empty database
		}
		name := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(file)
		t.db, err = sql.Open("sqlite", "file:"+name+"?mode=ro&_pragma=busy_timeout(2000)&_pragma=query_only(1)")
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		t.pg = true
		t.db, err = sql.Open("pgx", dsn)
	default:
		return nil, errors.New("call log: the database must be named as sqlite:path or postgres://user@host/name")
	}
	if err != nil {
		return nil, fmt.Errorf("call log: %w", err)
	}
	t.db.SetMaxOpenConns(1)
	t.db.SetConnMaxIdleTime(time.Minute)
	return t, nil
}

// Close ends the connection.
func (t *Table) Close() error { return t.db.Close() }

// Read returns the rows of calls that began before to, and not long before
// from, as values by lower-case column.
func (t *Table) Read(ctx context.Context, from, to time.Time) ([]map[string]string, error) {
	if t.start == "" {
		if err := t.look(ctx); err != nil {
			return nil, err
		}
	}
	mark := [2]string{"?", "?"}
	if t.pg {
		mark = [2]string{"$1", "$2"}
	}
	// The zone counts for columns that have one, the others ignore it.
	const layout = "2006-01-02 15:04:05-07:00"
	rows, err := t.db.QueryContext(ctx, `SELECT * FROM `+t.name+` WHERE `+t.start+` >= `+mark[0]+` AND `+t.start+` <= `+mark[1]+
		` ORDER BY `+t.start+` DESC LIMIT `+fmt.Sprint(most), from.Add(-longest).In(t.zone).Format(layout), to.Add(time.Second).In(t.zone).Format(layout))
	if err != nil {
		return nil, fmt.Errorf("call log: %w", err)
	}
	defer func() { _ = rows.Close() }()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, fmt.Errorf("call log: %w", err)
	}
	values, into := make([]any, len(types)), make([]any, len(types))
	for i := range values {
		into[i] = &values[i]
	}
	var out []map[string]string
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("call log: %w", err)
		}
		row := make(map[string]string, len(types))
		for i, c := range types {
			row[strings.ToLower(c.Name())] = text(values[i], strings.HasSuffix(c.DatabaseTypeName(), "TZ"))
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("call log: %w", err)
	}
	slices.Reverse(out)
	return out, nil
}

// look finds out what the beginning of a call is called here.
func (t *Table) look(ctx context.Context) error {
	rows, err := t.db.QueryContext(ctx, `SELECT * FROM `+t.name+` LIMIT 0`)
	if err != nil {
		return fmt.Errorf("call log: %w", err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return fmt.Errorf("call log: %w", err)
	}
	for _, want := range []string{"start", "calldate"} {
		for _, n := range names {
			if strings.EqualFold(n, want) {
				t.start = `"` + n + `"`
				return nil
			}
		}
	}
	return fmt.Errorf("call log: table %s has neither a column start nor calldate", t.name)
}

// text writes a value as Asterisk's text backends do. A time without a zone
// comes from the driver as if it were UTC.
func text(v any, zoned bool) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return string(v)
	case time.Time:
		if zoned {
			return v.Format(time.RFC3339Nano)
		}
		return v.Format("2006-01-02 15:04:05.999999999")
	}
	return fmt.Sprint(v)
}
