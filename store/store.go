// Package store keeps everything Callbridge must not lose: events, calls,
// planned actions and what became of them, settings, and the small tables
// around them. It is the only place with SQL. The same statements run on
// SQLite (modernc, WAL, synced, one writer) and on PostgreSQL (pgx).
package store

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"callbridge/bridge"
)

// DB is an open store. It is safe for use by many goroutines.
type DB struct{}

var errLater = errors.New("store: not written yet")

// Open opens the database named by dsn, "sqlite:path" or "postgres://…", and
// brings its schema up to date. key (32 bytes) encrypts what is secret. It
// fails with a sentence for people: a newer database, a wrong key, a locked or
// unwritable file.
func Open(ctx context.Context, dsn string, key []byte, log *slog.Logger) (*DB, error) {
	return nil, errLater
}

// Close ends all connections; what was committed stays.
func (db *DB) Close() error { return nil }

// Ping proves that the database can be read and written now.
func (db *DB) Ping(ctx context.Context) error { return errLater }

// Commit writes b in one transaction: all of it or nothing.
func (db *DB) Commit(ctx context.Context, b Batch) error { return errLater }

// OpenCalls returns the living calls of a PBX with their events, oldest first.
func (db *DB) OpenCalls(ctx context.Context, pbx string) ([]OpenCall, error) { return nil, errLater }

// LastEventAt returns the PBX's time of its newest stored event, the zero time if there is none.
func (db *DB) LastEventAt(ctx context.Context, pbx string) (time.Time, error) {
	return time.Time{}, errLater
}

// Call returns a call; a merged one's id gives the call it went into. ErrNotFound if there is none.
func (db *DB) Call(ctx context.Context, id string) (bridge.Call, error) {
	return bridge.Call{}, errLater
}

// Calls returns calls, newest first, and the cursor of the next page ("" = the last).
func (db *DB) Calls(ctx context.Context, f CallFilter) ([]bridge.Call, string, error) {
	return nil, "", errLater
}

// CallsOfClient returns the newest calls with a client.
func (db *DB) CallsOfClient(ctx context.Context, number bridge.Number, limit int) ([]bridge.Call, error) {
	return nil, errLater
}

// Events returns the events of a call in the PBX's order, with Raw.
func (db *DB) Events(ctx context.Context, callID string) ([]bridge.Event, error) {
	return nil, errLater
}

// Deliveries returns deliveries by id.
func (db *DB) Deliveries(ctx context.Context, f DeliveryFilter) ([]bridge.Delivery, error) {
	return nil, errLater
}

// Claim takes up to n due deliveries of an integration for lease.
func (db *DB) Claim(ctx context.Context, integration string, now time.Time, lease time.Duration, n int) ([]bridge.Delivery, error) {
	return nil, errLater
}

// Finish writes the outcome of an attempt. d.LeaseUntil must be as Claim gave it.
func (db *DB) Finish(ctx context.Context, d bridge.Delivery) error { return errLater }

// NextDue says when Claim may find something next; false if nothing is open.
func (db *DB) NextDue(ctx context.Context, integration string) (time.Time, bool, error) {
	return time.Time{}, false, errLater
}

// HoldIntegration stops an integration and holds what waits; it returns how many.
func (db *DB) HoldIntegration(ctx context.Context, id string, since time.Time, reason string) (int64, error) {
	return 0, errLater
}

// ReleaseIntegration starts it again; held deliveries of calls started at or after resendFrom wait again,
// the others expire. A zero resendFrom resends none.
func (db *DB) ReleaseIntegration(ctx context.Context, id string, resendFrom time.Time) (Released, error) {
	return Released{}, errLater
}

// HoldKind holds one kind of action of an integration.
func (db *DB) HoldKind(ctx context.Context, integration string, kind bridge.ActionKind, reason string) (int64, error) {
	return 0, errLater
}

// ReleaseKind lets a kind go on.
func (db *DB) ReleaseKind(ctx context.Context, integration string, kind bridge.ActionKind) (int64, error) {
	return 0, errLater
}

// HeldKinds lists the kinds of an integration that are held.
func (db *DB) HeldKinds(ctx context.Context, integration string) ([]HeldKind, error) {
	return nil, errLater
}

// Retry sets failed, expired and wanted-but-skipped deliveries waiting again.
func (db *DB) Retry(ctx context.Context, ids []int64) (int64, error) { return 0, errLater }

// SkipDeliveries gives up waiting, held, failed and expired deliveries.
func (db *DB) SkipDeliveries(ctx context.Context, ids []int64, note string) (int64, error) {
	return 0, errLater
}

// AddAttempt keeps one try for the page "why".
func (db *DB) AddAttempt(ctx context.Context, a Attempt) error { return errLater }

// Attempts returns the tries of a delivery, oldest first.
func (db *DB) Attempts(ctx context.Context, deliveryID int64) ([]Attempt, error) {
	return nil, errLater
}

// Ledger returns the equation for the days fromDay…toDay (both included).
func (db *DB) Ledger(ctx context.Context, fromDay, toDay string) ([]LedgerRow, error) {
	return nil, errLater
}

// LedgerImbalance returns the sum of all absolute imbalances; it must be 0.
func (db *DB) LedgerImbalance(ctx context.Context) (int64, error) { return 0, errLater }

// DeliveryCounts returns the gauges.
func (db *DB) DeliveryCounts(ctx context.Context) ([]DeliveryCount, error) { return nil, errLater }

// OldestWaiting returns when the oldest open delivery of each integration was made.
func (db *DB) OldestWaiting(ctx context.Context) (map[string]time.Time, error) { return nil, errLater }

// SaveContact keeps what a CRM knows of a number.
func (db *DB) SaveContact(ctx context.Context, c ContactRow) error { return errLater }

// Contact returns it, ErrNotFound if we never looked.
func (db *DB) Contact(ctx context.Context, integration string, n bridge.Number) (ContactRow, error) {
	return ContactRow{}, errLater
}

// ContactsByNumber returns what all integrations know of a number.
func (db *DB) ContactsByNumber(ctx context.Context, n bridge.Number) ([]ContactRow, error) {
	return nil, errLater
}

// ForgetContact removes it (fault.Gone).
func (db *DB) ForgetContact(ctx context.Context, integration string, n bridge.Number) error {
	return errLater
}

// SaveSettings keeps s as the next version.
func (db *DB) SaveSettings(ctx context.Context, by string, s bridge.Settings, note string) (int64, error) {
	return 0, errLater
}

// Settings returns the newest settings and their version; zero and 0 if there are none yet.
func (db *DB) Settings(ctx context.Context) (bridge.Settings, int64, error) {
	return bridge.Settings{}, 0, errLater
}

// SettingsVersion returns one version.
func (db *DB) SettingsVersion(ctx context.Context, version int64) (bridge.Settings, error) {
	return bridge.Settings{}, errLater
}

// SettingsVersions lists all versions, newest first.
func (db *DB) SettingsVersions(ctx context.Context) ([]SettingsInfo, error) { return nil, errLater }

// IntegrationState returns what is known of an integration.
func (db *DB) IntegrationState(ctx context.Context, id string) (IntegrationState, error) {
	return IntegrationState{}, errLater
}

// SaveIntegrationToken keeps the adapter's state.
func (db *DB) SaveIntegrationToken(ctx context.Context, id string, token []byte) error {
	return errLater
}

// MarkRefused remembers the first rejection since the integration was last good.
func (db *DB) MarkRefused(ctx context.Context, id string, at time.Time) error { return errLater }

// SaveCheck keeps the report (JSON) of the last check.
func (db *DB) SaveCheck(ctx context.Context, id string, at time.Time, report string) error {
	return errLater
}

// SaveStaff replaces the employee list of an integration.
func (db *DB) SaveStaff(ctx context.Context, integration string, rows []StaffRow, at time.Time) error {
	return errLater
}

// Staff returns the list and when it was synced (zero time: never).
func (db *DB) Staff(ctx context.Context, integration string) ([]StaffRow, time.Time, error) {
	return nil, time.Time{}, errLater
}

// CreateSession keeps a session.
func (db *DB) CreateSession(ctx context.Context, s Session) error { return errLater }

// Session returns a session that has not expired at now, else ErrNotFound.
func (db *DB) Session(ctx context.Context, tokenHash string, now time.Time) (Session, error) {
	return Session{}, errLater
}

// TouchSession moves its last use and its end.
func (db *DB) TouchSession(ctx context.Context, tokenHash string, seen, expires time.Time) error {
	return errLater
}

// DeleteSession signs a browser out.
func (db *DB) DeleteSession(ctx context.Context, tokenHash string) error { return errLater }

// DeleteSessionsOf signs all browsers of a user out.
func (db *DB) DeleteSessionsOf(ctx context.Context, login string) error { return errLater }

// ExpireSessions removes sessions that ended before now.
func (db *DB) ExpireSessions(ctx context.Context, now time.Time) (int64, error) { return 0, errLater }

// ClaimClick registers a click once: created is true for the one caller who may place the call.
func (db *DB) ClaimClick(ctx context.Context, requestID, by, extension, number string) (click Click, created bool, err error) {
	return Click{}, false, errLater
}

// FinishClick keeps what became of a click.
func (db *DB) FinishClick(ctx context.Context, requestID, pbxCallID, code, text string) error {
	return errLater
}

// SetDoNotDisturb keeps the switch of an extension.
func (db *DB) SetDoNotDisturb(ctx context.Context, d DoNotDisturb) error { return errLater }

// DoNotDisturb returns all switches that were ever set, by extension.
func (db *DB) DoNotDisturb(ctx context.Context) (map[string]DoNotDisturb, error) {
	return nil, errLater
}

// SaveReceipts keeps receipts.
func (db *DB) SaveReceipts(ctx context.Context, rs []Receipt) error { return errLater }

// Receipts returns the receipts of a call.
func (db *DB) Receipts(ctx context.Context, callID string) ([]Receipt, error) { return nil, errLater }

// Purge removes what is older than r says, in small transactions.
func (db *DB) Purge(ctx context.Context, r Retention) (Purged, error) { return Purged{}, errLater }
