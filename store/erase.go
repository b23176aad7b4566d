package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"callbridge/bridge"

	"github.com/jmoiron/sqlx"
)

// ErrInUse is returned by Erase for a number of which a call goes on, was over
// a moment ago, or has an action under way: what comes next would bring back
// what was erased.
var ErrInUse = errors.New("a call with this number goes on or has just ended, or something is being written into a CRM for it; try again in a few minutes")

// eraseAfter is how long a call must be over: as long as it may still change.
const eraseAfter = 3 * time.Minute

// ErasedNote stands with deliveries that will not be made any more.
const ErasedNote = "the client's data was erased"

// Erased says what Erase removed.
type Erased struct {
	Calls      int64    `json:"calls"`
	Events     int64    `json:"events"`
	Deliveries int64    `json:"deliveries"`
	Skipped    int64    `json:"skipped"` // of them were not over
	Contacts   int64    `json:"contacts"`
	Missed     int64    `json:"missed"`
	Clicks     int64    `json:"clicks"`
	Mentions   int64    `json:"mentions"`   // rows of others in which the number stood
	Recordings []string `json:"recordings"` // files that lie with the PBX: it must remove them
}

// Erase removes all that is kept about a client's number, so that nothing of
// it is left in the database file (F-22). That calls took place stays, without
// who it was, and so do the rows of the ledger, so that it still balances;
// deliveries that are not over are skipped. What other calls say about the
// number is blotted out. It takes as long as copying the database does.
func (db *DB) Erase(ctx context.Context, n bridge.Number) (Erased, error) {
	out := Erased{Recordings: []string{}}
	if n == "" {
		return out, errors.New("store: erase: no number")
	}
	before, err := db.SearchPersonal(ctx, n)
	if err != nil {
		return out, err
	}
	out.Recordings = before.Recordings
	ids, err := db.personalCalls(ctx, n)
	if err != nil {
		return out, err
	}
	if err := db.write(ctx, "erase", func(t *tx) error {
		if err := t.eraseable(n); err != nil {
			return err
		}
		for _, id := range ids {
			if err := t.eraseCall(id, &out); err != nil {
				return fmt.Errorf("call %s: %w", id, err)
			}
		}
		return t.eraseRest(n, &out)
	}); err != nil {
		return Erased{}, err
	}
	if out.Mentions, err = db.scrub(ctx, n); err != nil {
		return out, err
	}
	return out, db.wrap("erase", db.forgetPages(ctx))
}

// eraseable refuses a number that is in use.
func (t *tx) eraseable(n bridge.Number) error {
	var used int64
	err := t.one(&used, `SELECT (SELECT COUNT(*) FROM calls WHERE client = ? AND outcome = '' AND merged_into = '') +
		(SELECT COUNT(*) FROM deliveries WHERE client = ? AND state = 'trying')`, string(n), string(n))
	if err != nil {
		return err
	}
	if used > 0 {
		return ErrInUse
	}
	var data []string
	recent := time.Now().Add(-24 * time.Hour)
	if err := t.all(&data, `SELECT data FROM calls WHERE client = ? AND started_at >= ? AND merged_into = ''`, string(n), recent.UnixMilli()); err != nil {
		return err
	}
	for _, s := range data {
		var c bridge.Call
		if err := json.Unmarshal([]byte(s), &c); err != nil {
			return err
		}
		if time.Since(c.EndedAt.Time) < eraseAfter {
			return ErrInUse
		}
	}
	return nil
}

// eraseCall leaves of a call when, how and with which of our phones it went.
func (t *tx) eraseCall(id string, out *Erased) error {
	var data string
	if err := t.one(&data, `SELECT data FROM calls WHERE id = ?`, id); err != nil {
		return err
	}
	var c bridge.Call
	if err := json.Unmarshal([]byte(data), &c); err != nil {
		return err
	}
	c.Client, c.ClientRaw, c.ClientName, c.Recordings = "", "", "", []bridge.Recording{}
	clear, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := t.exec(`UPDATE calls SET client = '', data = ? WHERE id = ?`, string(clear), id); err != nil {
		return err
	}
	out.Calls++
	n, err := t.changed(`DELETE FROM events WHERE call_id = ?`, id)
	if err != nil {
		return err
	}
	out.Events += n
	var rows []struct {
		ID     int64  `db:"id"`
		State  string `db:"state"`
		Action string `db:"action"`
	}
	if err := t.all(&rows, `SELECT id, state, action FROM deliveries WHERE call_id = ?`, id); err != nil {
		return err
	}
	for _, r := range rows {
		var a bridge.Action
		if err := json.Unmarshal([]byte(r.Action), &a); err != nil {
			return err
		}
		a.Title, a.Text, a.Fields = "", "", nil
		action, err := json.Marshal(a)
		if err != nil {
			return err
		}
		state, note := r.State, ""
		switch bridge.DeliveryState(state) {
		case bridge.Waiting, bridge.Held, bridge.Refused, bridge.Expired:
			state, note = string(bridge.Skipped), ErasedNote
			out.Skipped++
		case bridge.Skipped:
			note = ErasedNote
		}
		if err := t.exec(`UPDATE deliveries SET client = ?, action = ?, state = ?, note = ?, error = '', object_id = '', object_url = '',
			done_at = CASE WHEN done_at = 0 THEN ? ELSE done_at END, next_at = 0, ticket = ticket + 1 WHERE id = ?`,
			"call:"+id, string(action), state, note, time.Now().UnixMilli(), r.ID); err != nil {
			return err
		}
		if err := t.exec(`DELETE FROM attempts WHERE delivery_id = ?`, r.ID); err != nil {
			return err
		}
		out.Deliveries++
	}
	for _, table := range []string{"recordings", "receipts", "rings", "missed_calls"} {
		if err := t.exec(`DELETE FROM `+table+` WHERE call_id = ?`, id); err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
	}
	return nil
}

func (t *tx) eraseRest(n bridge.Number, out *Erased) (err error) {
	if out.Contacts, err = t.changed(`DELETE FROM contacts WHERE number = ?`, string(n)); err != nil {
		return err
	}
	if out.Missed, err = t.changed(`DELETE FROM missed WHERE client = ?`, string(n)); err != nil {
		return err
	}
	if out.Clicks, err = t.changed(`DELETE FROM clicks WHERE number = ?`, string(n)); err != nil {
		return err
	}
	if err = t.exec(`DELETE FROM lanes WHERE client = ?`, string(n)); err != nil {
		return err
	}
	return t.exec(`DELETE FROM route_decisions WHERE client = ?`, string(n))
}

// scrubbed are the columns in which a number may stand that belongs to another
// row: what was said or written about it. key tells the rows apart.
var scrubbed = []struct {
	name, key string
	columns   []string
}{
	{"events", "pbx || '/' || at || '/' || id", []string{"parsed", "raw"}},
	{"calls", "id", []string{"data"}},
	{"call_extensions", "call_id || '/' || extension", []string{"extension"}}, // whom a call was sent on to
	{"deliveries", "id", []string{"action", "error", "note", "object_url"}},
	{"attempts", "delivery_id || '/' || n", []string{"request", "response", "error"}},
	{"contacts", "number || '/' || integration", []string{"others", "name", "deal"}},
	{"missed", "id", []string{"data"}},
	{"route_decisions", "id", []string{"data"}},
	{"recordings", "call_id || '/' || n", []string{"name"}},
	{"clicks", "request_id", []string{"number", "message"}},
	{"audit", "id", []string{"object"}},
}

// spelling finds a number in any usual way of writing it, and nothing in which
// its digits are part of a longer one. The country may be written as 8 or 00.
func spelling(n bridge.Number) (like string, re *regexp.Regexp) {
	digits := digits(string(n))
	national := digits
	if len(digits) > 10 {
		national = digits[len(digits)-10:]
	}
	country := digits[:len(digits)-len(national)]
	const sep = `[\s().\-/\x{00a0}\x{2011}\x{2013}]{0,3}`
	each := strings.Split(national, "")
	prefix := `(?:(?:8|(?:\+|00|810)?` + regexp.QuoteMeta(country) + `)` + sep + `|\(|)`
	return "%" + strings.Join(each, "%") + "%", regexp.MustCompile(`(^|[^0-9])` + prefix + strings.Join(each, sep) + `($|[^0-9])`)
}

// blot is what stands where a number stood.
const blot = "${1}***${2}"

type mention struct {
	key    string
	values map[string]string // columns with the number blotted out
	old    map[string]string // as they were: what changed meanwhile is left alone
}

// mentions finds where a number stands besides its own rows.
func (db *DB) mentions(ctx context.Context, n bridge.Number) (map[string][]mention, error) {
	like, re := spelling(n)
	out := map[string][]mention{}
	for _, table := range scrubbed {
		found := map[string]*mention{}
		for _, column := range table.columns {
			text, cond := column, column+` LIKE ?`
			if column == "raw" { // bytes
				text, cond = `CAST(raw AS TEXT)`, `raw IS NOT NULL AND CAST(raw AS TEXT) LIKE ?`
				if db.postgres {
					text, cond = `convert_from(raw, 'UTF8')`, `raw IS NOT NULL AND encode(raw, 'escape') LIKE ?`
				}
			}
			if own := map[string]string{"calls": ` AND client <> ?`, "missed": ` AND client <> ?`, "clicks": ` AND number <> ?`, "route_decisions": ` AND client <> ?`,
				"deliveries": ` AND client <> ?`, "contacts": ` AND number <> ?`}[table.name]; own != "" {
				cond += own
			} else if table.name == "events" || table.name == "recordings" {
				cond += ` AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.id = call_id AND c.client = ?)`
			} else if table.name == "attempts" {
				cond += ` AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = delivery_id AND d.client = ?)`
			} else {
				cond += ` AND '' <> ?`
			}
			var rows []struct {
				Key   string `db:"k"`
				Value string `db:"v"`
			}
			if err := db.read(ctx, "mentions of a number", &rows, `SELECT CAST(`+table.key+` AS TEXT) AS k, `+text+` AS v FROM `+table.name+` WHERE `+cond, like, string(n)); err != nil {
				return nil, err
			}
			for _, r := range rows {
				clear := r.Value
				for range 3 { // numbers side by side share the sign between them
					clear = re.ReplaceAllString(clear, blot)
				}
				if clear == r.Value {
					continue
				}
				if found[r.Key] == nil {
					found[r.Key] = &mention{r.Key, map[string]string{}, map[string]string{}}
				}
				found[r.Key].values[column], found[r.Key].old[column] = clear, r.Value
			}
		}
		for _, m := range found {
			out[table.name] = append(out[table.name], *m)
		}
	}
	return out, nil
}

// scrub blots a number out where it stands besides its own rows.
func (db *DB) scrub(ctx context.Context, n bridge.Number) (int64, error) {
	found, err := db.mentions(ctx, n)
	if err != nil {
		return 0, err
	}
	var total int64
	err = db.write(ctx, "blot out a number", func(t *tx) error {
		total = 0
		for _, table := range scrubbed {
			for _, m := range found[table.name] {
				for column, value := range m.values {
					var now, was any = value, m.old[column]
					if column == "raw" {
						now, was = []byte(value), []byte(m.old[column])
					}
					if err := t.exec(`UPDATE `+table.name+` SET `+column+` = ? WHERE CAST(`+table.key+` AS TEXT) = ? AND `+column+` = ?`, now, m.key, was); err != nil {
						return fmt.Errorf("%s: %w", table.name, err)
					}
				}
				total++
			}
		}
		return nil
	})
	return total, err
}

// forgetPages makes the engine let go of what was deleted: SQLite writes its
// file anew and empties its log; PostgreSQL gives the room free, and what its
// own log and backups hold is up to their rules.
func (db *DB) forgetPages(ctx context.Context) error {
	if db.postgres {
		for _, table := range []string{"events", "calls", "deliveries", "attempts", "contacts", "missed", "clicks", "lanes", "route_decisions", "recordings"} {
			if _, err := db.w.ExecContext(ctx, `VACUUM `+table); err != nil {
				return err
			}
		}
		return nil
	}
	c, err := sqlx.Open("sqlite", sqliteName(db.path)+"?_pragma=busy_timeout(10000)&_pragma=secure_delete(1)")
	if err != nil {
		return err
	}
	c.SetMaxOpenConns(1)
	for try := 0; ; try++ {
		if err = rewrite(ctx, c); err == nil || !again(err) && !errors.Is(sentence(err), ErrLocked) || try == 20 {
			break
		}
		if wait(ctx, 250*time.Millisecond) != nil {
			break
		}
	}
	return errors.Join(err, c.Close())
}

// rewrite copies the database into a new file in its place. The log must be
// empty afterwards: it holds what was there before.
func rewrite(ctx context.Context, c *sqlx.DB) error {
	if _, err := c.ExecContext(ctx, `VACUUM`); err != nil {
		return err
	}
	var busy, frames, done int
	if err := c.QueryRowxContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &done); err != nil {
		return err
	}
	if busy != 0 {
		return ErrLocked
	}
	return nil
}
