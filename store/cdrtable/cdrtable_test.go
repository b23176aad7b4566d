package cdrtable_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbridge/store/cdrtable"
	"callbridge/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var from = time.Date(2026, 11, 22, 7, 27, 50, 0, time.UTC)

func exec(t *testing.T, driver, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func read(t *testing.T, dsn, table string) []map[string]string {
	t.Helper()
	moscow, err := time.LoadLocation("Europe/Moscow")
	if err != nil {
		t.Fatal(err)
	}
	tab, err := cdrtable.Open(dsn, table, moscow)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tab.Close() }()
	rows, err := tab.Read(t.Context(), from, from.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// cdr_sqlite3_custom: columns are text, and the start is called calldate.
func TestSQLite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "master.db")
	exec(t, "sqlite", "file:"+file, `CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY, calldate, clid, dcontext, channel, dstchannel, lastapp, lastdata, duration, billsec, disposition, amaflags, accountcode, uniqueid, userfield, test)`,
		`INSERT INTO cdr (calldate, channel, duration, billsec, disposition, uniqueid) VALUES ('2026-11-21 10:00:00','PJSIP/old-1','1','1','ANSWERED','1')`,
		`INSERT INTO cdr (calldate, channel, duration, billsec, disposition, uniqueid) VALUES ('2026-11-22 10:27:52','PJSIP/101-2','3','2','ANSWERED','2')`,
		`INSERT INTO cdr (calldate, channel, duration, billsec, disposition, uniqueid) VALUES ('2026-11-22 10:29:52','PJSIP/late-3','3','2','ANSWERED','3')`)
	rows := read(t, "sqlite:"+file, "")
	if len(rows) != 1 || rows[0]["uniqueid"] != "2" || rows[0]["calldate"] != "2026-11-22 10:27:52" || rows[0]["billsec"] != "2" || rows[0]["clid"] != "" {
		t.Errorf("%v", rows)
	}
}

// cdr_adaptive_odbc and cdr_pgsql: real types, with or without a zone.
func TestPostgres(t *testing.T) {
	dsn := storetest.PostgresDSN(t)
	exec(t, "pgx", dsn,
		`CREATE TABLE cdr_local (start timestamp, "end" timestamp, channel varchar(80), dstchannel varchar(80), billsec integer, linkedid varchar(32))`,
		`INSERT INTO cdr_local VALUES ('2026-11-22 10:27:52', '2026-11-22 10:27:55', 'PJSIP/101-2', 'PJSIP/102-3', 2, 'x'), ('2026-11-22 07:27:52', NULL, 'PJSIP/x-2', '', 2, 'early')`,
		`CREATE TABLE cdr_zoned (calldate timestamptz, channel text)`,
		`INSERT INTO cdr_zoned VALUES ('2026-11-22 07:27:52+00', 'PJSIP/101-2'), ('2026-11-22 10:27:52+00', 'PJSIP/late-2')`)
	rows := read(t, dsn, "cdr_local")
	last := rows[len(rows)-1]
	if last["linkedid"] != "x" || last["start"] != "2026-11-22 10:27:52" || last["end"] != "2026-11-22 10:27:55" || last["billsec"] != "2" {
		t.Errorf("%v", rows)
	}
	rows = read(t, dsn, "cdr_zoned")
	if len(rows) != 1 {
		t.Fatalf("%v", rows)
	}
	if at, err := time.Parse(time.RFC3339Nano, rows[0]["calldate"]); err != nil || !at.Equal(from.Add(2*time.Second)) {
		t.Errorf("%v: %v", rows, err)
	}
}

func TestRefusals(t *testing.T) {
	for dsn, table := range map[string]string{"mysql://x": "", "sqlite:/nowhere/at/all.db": "", "sqlite:x": "cdr; DROP TABLE cdr"} {
		_, err := cdrtable.Open(dsn, table, time.UTC)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s %s: %v", dsn, table, err)
		}
	}
	file := filepath.Join(t.TempDir(), "master.db")
	exec(t, "sqlite", "file:"+file, `CREATE TABLE cdr (x)`)
	tab, err := cdrtable.Open("sqlite:"+file, "", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tab.Close() }()
	if _, err := tab.Read(t.Context(), from, from); err == nil || !strings.Contains(err.Error(), "calldate") {
		t.Errorf("a table without a start: %v", err)
	}
}
