package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"callbridge/bridge"
	"callbridge/store"
	"callbridge/store/storetest"
)

// TestUpgradeFromEveryEarlierVersion fills a database as the first version made
// it, brings it to each later version on the way, and opens it with this
// program: nothing is lost, and the schema is that of a new database.
func TestUpgradeFromEveryEarlierVersion(t *testing.T) {
	steps, err := store.Steps()
	if err != nil || len(steps) == 0 {
		t.Fatal(steps, err)
	}
	both(t, func(t *testing.T, fresh string) {
		newest := storetest.Open(t, fresh)
		want, err := newest.Schema(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range steps {
			t.Run(fmt.Sprint("from ", v), func(t *testing.T) {
				dsn := storetest.SQLiteDSN(t)
				if fresh[:6] != "sqlite" {
					dsn = storetest.PostgresDSN(t)
				}
				fill(t, dsn, steps[0], v)
				db := storetest.Open(t, dsn)
				got, err := db.Schema(t.Context())
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("the schema differs from a new one's: %v\ngot  %q\nwant %q", err, got, want)
				}
				c, err := db.Call(t.Context(), "call-1")
				if err != nil || c.Client != "+79161234567" {
					t.Errorf("call %+v, %v", c, err)
				}
				events, err := db.Events(t.Context(), "call-1")
				if err != nil || len(events) != 1 || string(events[0].Raw) != `{"a":1}` {
					t.Errorf("events %+v, %v", events, err)
				}
				list, err := db.Deliveries(t.Context(), store.DeliveryFilter{CallID: "call-1"})
				if err != nil || len(list) != 1 || list[0].ObjectID != "42" {
					t.Errorf("deliveries %+v, %v", list, err)
				}
				s, version, err := db.Settings(t.Context())
				if err != nil || version != 1 || len(s.Users) != 1 || s.Users[0].Login != "admin" {
					t.Errorf("settings %+v, %d, %v", s, version, err)
				}
				row, err := db.Contact(t.Context(), "crm", "+79161234567")
				if err != nil || row.ID != "7" {
					t.Errorf("contact %+v, %v", row, err)
				}
				if n, err := db.LedgerImbalance(t.Context()); err != nil || n != 0 {
					t.Errorf("imbalance %d, %v", n, err)
				}
			})
		}
	})
}

// fill makes a database of the first version with one of everything that must
// last, and brings it to version v.
func fill(t *testing.T, dsn string, first, v int64) {
	t.Helper()
	db, err := store.OpenAt(t.Context(), dsn, storetest.Key(), first)
	if err != nil {
		t.Fatal(err)
	}
	call, err := json.Marshal(bridge.Call{ID: "call-1", PBX: "office", Direction: bridge.In, Outcome: bridge.Answered, Client: "+79161234567", StartedAt: bridge.AtMilli(1_700_000_000_000)})
	if err != nil {
		t.Fatal(err)
	}
	settings, err := json.Marshal(bridge.Settings{Users: []bridge.User{{Login: "admin"}}})
	if err != nil {
		t.Fatal(err)
	}
	action, err := json.Marshal(bridge.Action{Key: "callbridge:call-1:call", Kind: bridge.ActCall, Wanted: true})
	if err != nil {
		t.Fatal(err)
	}
	id, err := store.KeyID(storetest.Key())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		q    string
		args []any
	}{
		{`INSERT INTO meta (name, value) VALUES ('key_id', ?)`, []any{id}},
		{`INSERT INTO events (pbx, at, id, call_id, kind, parsed, raw) VALUES ('office', 1700000000000, 'e1', 'call-1', 'channel_began', ?, ?)`,
			[]any{`{"id":"e1","pbx":"office","kind":"channel_began","at":"2023-11-14T22:13:20.000Z"}`, []byte(`{"a":1}`)}},
		{`INSERT INTO calls (id, pbx, direction, outcome, client, line, started_at, data) VALUES ('call-1', 'office', 'in', 'answered', '+79161234567', '', 1700000000000, ?)`, []any{string(call)}},
		{`INSERT INTO plans (call_id, integration, moment, day, rule_version, n, keys) VALUES ('call-1', 'crm', 'end', '2023-11-15', 1, 1, ?)`, []any{`["callbridge:call-1:call"]`}},
		{`INSERT INTO deliveries (id, integration, action_key, call_id, call_at, seq, client, day, kind, wanted, action, rule_version, state, attempts, look,
			created_at, next_at, lease_until, done_at, object_id, object_url, error_kind, error, note)
			VALUES (1, 'crm', 'callbridge:call-1:call', 'call-1', 1700000000000, 1, '+79161234567', '2023-11-15', 'call', TRUE, ?, 1, 'done', 1, FALSE,
			1700000000000, 0, 0, 1700000001000, '42', '', '', '', '')`, []any{string(action)}},
		{`UPDATE counters SET last = 1 WHERE name = 'delivery'`, nil},
		{`INSERT INTO counters (name, last) VALUES ('settings', 1)`, nil},
		{`INSERT INTO settings (version, at, by_login, note, data) VALUES (1, 1700000000000, 'admin', '', ?)`, []any{db.Seal(1, settings)}},
		{`INSERT INTO contacts (number, integration, id, kind, name, company, responsible, manager, url, several, updated_at)
			VALUES ('+79161234567', 'crm', '7', 'person', 'Maria', '', '', '', '', 1, 1700000000000)`, nil},
	} {
		if err := db.ExecArgs(t.Context(), s.q, s.args...); err != nil {
			t.Fatalf("%s: %v", s.q, err)
		}
	}
	if err := db.UpTo(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
