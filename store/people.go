package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callbridge/bridge"
)

const contactColumns = `number, integration, id, kind, name, company, responsible, manager, url, several, updated_at, others, dealer, deal, deals_at`

type contactRow struct {
	ContactRow
	Updated int64 `db:"updated_at"`
	DealsMS int64 `db:"deals_at"`
}

func (r contactRow) row() ContactRow {
	r.ContactRow.UpdatedAt, r.ContactRow.DealsAt = bridge.AtMilli(r.Updated), bridge.AtMilli(r.DealsMS)
	return r.ContactRow
}

// SaveContact keeps what a CRM knows of a number, "nobody" (ID "") included.
func (db *DB) SaveContact(ctx context.Context, c ContactRow) error {
	if c.Number == "" || c.Integration == "" {
		return errors.New("store: save contact: number and integration are needed")
	}
	if c.UpdatedAt.IsZero() {
		c.UpdatedAt = bridge.At(time.Now())
	}
	return db.share(ctx, "save contact", func(t *tx) error {
		return t.exec(`INSERT INTO contacts (`+contactColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number, integration) DO UPDATE SET
			id = excluded.id, kind = excluded.kind, name = excluded.name, company = excluded.company, responsible = excluded.responsible,
			manager = excluded.manager, url = excluded.url, several = excluded.several, updated_at = excluded.updated_at,
			others = excluded.others, dealer = excluded.dealer, deal = excluded.deal, deals_at = excluded.deals_at`,
			string(c.Number), c.Integration, clean(c.ID), clean(c.Kind), clean(c.Name), clean(c.Company), clean(c.Responsible), clean(c.Manager), clean(c.URL),
			c.Several, c.UpdatedAt.Milli(), clean(c.Others), clean(c.Dealer), clean(c.Deal), c.DealsAt.Milli())
	})
}

// Contact returns what a CRM knows of a number; ErrNotFound if we never looked.
func (db *DB) Contact(ctx context.Context, integration string, n bridge.Number) (ContactRow, error) {
	var r contactRow
	err := db.readOne(ctx, "contact", &r, `SELECT `+contactColumns+` FROM contacts WHERE number = ? AND integration = ?`, string(n), integration)
	return r.row(), err
}

// ContactsByNumber returns what all integrations know of a number.
func (db *DB) ContactsByNumber(ctx context.Context, n bridge.Number) ([]ContactRow, error) {
	var rows []contactRow
	err := db.read(ctx, "contacts", &rows, `SELECT `+contactColumns+` FROM contacts WHERE number = ? ORDER BY integration`, string(n))
	out := make([]ContactRow, len(rows))
	for i, r := range rows {
		out[i] = r.row()
	}
	return out, err
}

// ForgetContact removes it, because the CRM says it is gone.
func (db *DB) ForgetContact(ctx context.Context, integration string, n bridge.Number) error {
	return db.share(ctx, "forget contact", func(t *tx) error {
		return t.exec(`DELETE FROM contacts WHERE number = ? AND integration = ?`, string(n), integration)
	})
}

// SaveStaff replaces the employee list of an integration in one step. An empty
// list is refused with ErrEmptyStaff (D-07); whether a shrunken one is
// believed is for the caller to say.
func (db *DB) SaveStaff(ctx context.Context, integration string, rows []StaffRow, at time.Time) error {
	if len(rows) == 0 {
		return db.wrap("save employees of "+integration, ErrEmptyStaff)
	}
	list := make([][]any, len(rows))
	for i, r := range rows {
		if r.User == "" {
			return fmt.Errorf("store: save employees of %s: an employee has no id", integration)
		}
		list[i] = []any{integration, clean(r.User), clean(r.Email), clean(r.Name), clean(r.Extension), r.Active, r.Manager}
	}
	return db.write(ctx, "save employees", func(t *tx) error {
		// Locks the integration's row, so that two nodes' lists do not mix.
		if err := t.exec(`INSERT INTO integrations (id, staff_at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET staff_at = excluded.staff_at`, integration, milli(at)); err != nil {
			return err
		}
		if err := t.exec(`DELETE FROM staff WHERE integration = ?`, integration); err != nil {
			return err
		}
		return t.insert(`staff (integration, user_id, email, name, extension, active, manager)`, `ON CONFLICT DO NOTHING`, list)
	})
}

// Staff returns the employees of an integration, by id, and when they were
// synced (zero time: never).
func (db *DB) Staff(ctx context.Context, integration string) ([]StaffRow, time.Time, error) {
	var at int64
	err := db.readOne(ctx, "employees", &at, `SELECT staff_at FROM integrations WHERE id = ?`, integration)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, time.Time{}, err
	}
	var rows []StaffRow
	err = db.read(ctx, "employees", &rows, `SELECT user_id, email, name, extension, active, manager FROM staff WHERE integration = ? ORDER BY user_id`, integration)
	return rows, fromMilli(at), err
}

// CreateSession keeps a session; its TokenHash must be new.
func (db *DB) CreateSession(ctx context.Context, s Session) error {
	return db.write(ctx, "create session", func(t *tx) error {
		return t.exec(`INSERT INTO sessions (token_hash, login, created_at, seen_at, expires_at, label) VALUES (?, ?, ?, ?, ?, ?)`,
			s.TokenHash, clean(s.Login), s.CreatedAt.Milli(), s.SeenAt.Milli(), s.ExpiresAt.Milli(), clean(s.Label))
	})
}

// Session returns a session that has not expired at now, else ErrNotFound.
func (db *DB) Session(ctx context.Context, tokenHash string, now time.Time) (Session, error) {
	var r struct {
		Login   string `db:"login"`
		Created int64  `db:"created_at"`
		Seen    int64  `db:"seen_at"`
		Expires int64  `db:"expires_at"`
	}
	err := db.readOne(ctx, "session", &r, `SELECT login, created_at, seen_at, expires_at FROM sessions WHERE token_hash = ? AND expires_at > ?`, tokenHash, milli(now))
	if err != nil {
		return Session{}, err
	}
	return Session{TokenHash: tokenHash, Login: r.Login, CreatedAt: bridge.AtMilli(r.Created), SeenAt: bridge.AtMilli(r.Seen), ExpiresAt: bridge.AtMilli(r.Expires)}, nil
}

// TouchSession moves a session's last use and its end.
func (db *DB) TouchSession(ctx context.Context, tokenHash string, seen, expires time.Time) error {
	return db.share(ctx, "touch session", func(t *tx) error {
		return t.exec(`UPDATE sessions SET seen_at = ?, expires_at = ? WHERE token_hash = ?`, milli(seen), milli(expires), tokenHash)
	})
}

// DeleteSession signs a browser out.
func (db *DB) DeleteSession(ctx context.Context, tokenHash string) error {
	return db.write(ctx, "delete session", func(t *tx) error {
		return t.exec(`DELETE FROM sessions WHERE token_hash = ?`, tokenHash)
	})
}

// DeleteSessionsOf signs all browsers of a user out.
func (db *DB) DeleteSessionsOf(ctx context.Context, login string) error {
	return db.write(ctx, "delete sessions", func(t *tx) error {
		return t.exec(`DELETE FROM sessions WHERE login = ?`, login)
	})
}

// ExpireSessions removes sessions that ended before now and returns how many.
func (db *DB) ExpireSessions(ctx context.Context, now time.Time) (n int64, err error) {
	err = db.write(ctx, "expire sessions", func(t *tx) (err error) {
		n, err = t.changed(`DELETE FROM sessions WHERE expires_at <= ?`, milli(now))
		return err
	})
	return n, err
}

type clickRow struct {
	RequestID string `db:"request_id"`
	By        string `db:"by_login"`
	Extension string `db:"extension"`
	Number    string `db:"number"`
	Created   int64  `db:"created_at"`
	Finished  int64  `db:"finished_at"`
	PBXCallID string `db:"pbx_call_id"`
	Code      string `db:"code"`
	Message   string `db:"message"`
}

// ClaimClick registers a click-to-call order once (D-19): created is true for
// the one caller who may place the call; everybody else gets the order as it
// stands.
func (db *DB) ClaimClick(ctx context.Context, requestID, by, extension, number string) (click Click, created bool, err error) {
	if requestID == "" {
		return Click{}, false, errors.New("store: claim click: the request id is missing")
	}
	err = db.write(ctx, "claim click", func(t *tx) error {
		n, err := t.changed(`INSERT INTO clicks (request_id, by_login, extension, number, created_at, finished_at, pbx_call_id, code, message)
			VALUES (?, ?, ?, ?, ?, 0, '', '', '') ON CONFLICT DO NOTHING`, clean(requestID), clean(by), clean(extension), clean(number), time.Now().UnixMilli())
		if err != nil {
			return err
		}
		created = n == 1
		var r clickRow
		err = t.one(&r, `SELECT request_id, by_login, extension, number, created_at, finished_at, pbx_call_id, code, message FROM clicks WHERE request_id = ?`, clean(requestID))
		click = Click{r.RequestID, r.By, r.Extension, r.Number, bridge.AtMilli(r.Created), bridge.AtMilli(r.Finished), r.PBXCallID, r.Code, r.Message}
		return err
	})
	return click, created && err == nil, err
}

// FinishClick keeps what became of a click: the PBX's id of the call, or the
// code and text of the refusal.
func (db *DB) FinishClick(ctx context.Context, requestID, pbxCallID, code, text string) error {
	return db.write(ctx, "finish click", func(t *tx) error {
		n, err := t.changed(`UPDATE clicks SET finished_at = ?, pbx_call_id = ?, code = ?, message = ? WHERE request_id = ?`,
			time.Now().UnixMilli(), clean(pbxCallID), clean(code), clean(text), clean(requestID))
		if err == nil && n == 0 {
			err = fmt.Errorf("click %s: %w", requestID, ErrNotFound)
		}
		return err
	})
}

// SetDoNotDisturb keeps the switch of an extension, with who set it and when.
func (db *DB) SetDoNotDisturb(ctx context.Context, d DoNotDisturb) error {
	if d.At.IsZero() {
		d.At = bridge.At(time.Now())
	}
	return db.write(ctx, "do not disturb", func(t *tx) error {
		return t.exec(`INSERT INTO do_not_disturb (extension, is_on, at, by_login) VALUES (?, ?, ?, ?)
			ON CONFLICT (extension) DO UPDATE SET is_on = excluded.is_on, at = excluded.at, by_login = excluded.by_login`,
			clean(d.Extension), d.On, d.At.Milli(), clean(d.By))
	})
}

// DoNotDisturb returns all switches that were ever set, by extension.
func (db *DB) DoNotDisturb(ctx context.Context) (map[string]DoNotDisturb, error) {
	var rows []struct {
		Extension string `db:"extension"`
		On        bool   `db:"is_on"`
		At        int64  `db:"at"`
		By        string `db:"by_login"`
	}
	err := db.read(ctx, "do not disturb", &rows, `SELECT extension, is_on, at, by_login FROM do_not_disturb`)
	out := make(map[string]DoNotDisturb, len(rows))
	for _, r := range rows {
		out[r.Extension] = DoNotDisturb{r.Extension, r.On, bridge.AtMilli(r.At), r.By}
	}
	return out, err
}

// SaveReceipts keeps that browsers showed cards. Of several receipts of one
// login for one card the first that was shown stays.
func (db *DB) SaveReceipts(ctx context.Context, rs []Receipt) error {
	if len(rs) == 0 {
		return nil
	}
	return db.share(ctx, "save receipts", func(t *tx) error {
		for _, r := range rs {
			err := t.exec(`INSERT INTO receipts (call_id, extension, login, sent_at, shown_at, latency_ms) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT (call_id, extension, login) DO UPDATE SET sent_at = excluded.sent_at, shown_at = excluded.shown_at, latency_ms = excluded.latency_ms
				WHERE receipts.shown_at = 0`, clean(r.CallID), clean(r.Extension), clean(r.Login), r.SentAt.Milli(), r.ShownAt.Milli(), r.LatencyMS)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Receipts returns the receipts of a call.
func (db *DB) Receipts(ctx context.Context, callID string) ([]Receipt, error) {
	var rows []struct {
		Extension string `db:"extension"`
		Login     string `db:"login"`
		Sent      int64  `db:"sent_at"`
		Shown     int64  `db:"shown_at"`
		Latency   int64  `db:"latency_ms"`
	}
	err := db.read(ctx, "receipts", &rows, `SELECT extension, login, sent_at, shown_at, latency_ms FROM receipts WHERE call_id = ? ORDER BY sent_at, extension, login`, callID)
	out := make([]Receipt, len(rows))
	for i, r := range rows {
		out[i] = Receipt{callID, r.Extension, r.Login, bridge.AtMilli(r.Sent), bridge.AtMilli(r.Shown), r.Latency}
	}
	return out, err
}
