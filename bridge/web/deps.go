// Package web is what people and scripts see of Callbridge: the agents' page,
// the console, the REST API with its card websocket, the routing answer, and
// the health pages. It decides nothing; what it needs it gets through the small
// interfaces in this file.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/crm"
)

// ErrNotFound is what the interfaces return for a thing that does not exist.
var ErrNotFound = errors.New("not found")

// ErrForbidden is what Deps.Route returns for a wrong secret.
var ErrForbidden = errors.New("forbidden")

// Deps is what the pages need. Key, Users, Sessions, Calls, Ledger and Hub must
// be given; of the rest nil means "there is none", and its part of the pages is
// empty or answers 404 or 501.
type Deps struct {
	Log *slog.Logger
	// Key signs sessions and tokens: at least 32 random bytes, kept over restarts.
	Key []byte
	// PublicURL is our own address as browsers see it. With https cookies
	// are marked Secure.
	PublicURL string
	// FrameAncestors are origins that may show the agent page in a frame,
	// besides our own: the CRM's address.
	FrameAncestors []string
	// SessionAge is how long a sign-in lasts without use. 0: 7 days.
	SessionAge time.Duration
	// Zone is where times on pages are shown; nil: UTC.
	Zone    *time.Location
	Version string
	// Demo is a line for the sign-in page, such as the logins of the demo.
	Demo string

	Users    Users
	Sessions Sessions
	Calls    Calls
	Ledger   Ledger
	Hub      *card.Hub

	// Live returns the calls that have not ended.
	Live func() []bridge.Call
	// Integrations and PBXs say how each connection is.
	Integrations func(context.Context) ([]Integration, error)
	PBXs         func() []PBX
	// Missing says why the daemon cannot take calls, in words; empty = ready.
	Missing func(context.Context) []string
	// Switch turns integrations on and off.
	Switch   Switcher
	Dialer   Dialer
	Presence Presence
	// Check tries an integration's address, credentials and rights.
	Check func(ctx context.Context, integration string) (crm.Report, error)
	// Employees of the CRMs.
	Employees Employees
	// Route answers "who should take this call?". It is given 1 s.
	Route func(context.Context, RouteQuestion) (RouteAnswer, error)

	// Desk does what employees ask for on a card; Outcomes are what they can say
	// came of a talk. Play writes a recording; who may hear it was made sure.
	Desk     Desk
	Outcomes func() []string
	Play     func(w http.ResponseWriter, r *http.Request, c bridge.Call, n int)

	// Repair corrects parked deliveries and tries them again.
	Repair Repairer

	// Returns lists the clients who wait to be called back.
	Returns Returns

	// Routes says why a call rang where it rang, oldest decision first.
	Routes func(context.Context, bridge.Call) ([]RouteDecision, error)
	// Line and Employee give names for numbers and extensions; Number writes
	// a number for reading. They look into memory only.
	Line     func(number string) bridge.Line
	Employee func(extension string) string
	Number   func(number string) string
	// Parse makes a number of what was typed, "" if it is none.
	Parse func(text string) bridge.Number
	// Client gives the name of a client we know, "" else. It may ask the store.
	Client func(context.Context, bridge.Number) string
	// Rings says what was known when the phones of a call began to ring, Phones
	// who may see the cards of an extension now.
	Rings  func(ctx context.Context, callID string) ([]Ring, error)
	Phones func(extension string) Phone
	// Admin reads and changes the settings.
	Admin Admin
	// Audit keeps who did what.
	Audit Audit
	// Personal searches, exports and erases what is kept about a number.
	Personal Personal
	// Tokens are those of scripts.
	Tokens Tokens
	// Gaps lists the times in which a PBX could not be seen, newest first.
	Gaps func(ctx context.Context, since time.Time) ([]Gap, error)
	// CaseFile writes a call with all that is stored of it as one JSON object,
	// personal data masked (F-19).
	CaseFile func(ctx context.Context, callID string) ([]byte, error)
	// Names lists our lines and employees, for choosing them.
	Names func() ([]bridge.Line, []bridge.Employee)
	// Stats counts the calls that began in [from, to), in slots.
	Stats func(ctx context.Context, from, to time.Time, slot time.Duration) (Stats, error)

	// Embedding is our pages inside CRMs, and addresses that order calls.
	Embedding Embedding
	// LogLevel is the level of the log, which may be changed.
	LogLevel *slog.LevelVar

	// Metrics answers /metrics.
	Metrics http.Handler
	// Mount adds handlers of others by ServeMux pattern: webhooks, recordings.
	// They check who calls by themselves.
	Mount map[string]http.Handler
}

// Audit keeps who changed what through the console and the API.
type Audit interface {
	Note(ctx context.Context, by, what, object string) error
	// Notes returns what was done, newest first, older than before (0: the newest).
	Notes(ctx context.Context, before int64, limit int) ([]AuditNote, error)
}

// AuditNote is one thing somebody did.
type AuditNote struct {
	ID     int64       `json:"id"`
	At     bridge.Time `json:"at"`
	By     string      `json:"by"`
	What   string      `json:"what"`
	Object string      `json:"object"`
}

// Users knows who may sign in.
type Users interface {
	// User returns the user with this login, ErrNotFound if there is none.
	User(ctx context.Context, login string) (bridge.User, error)
}

// Sessions keeps who is signed in, over restarts. It sees digests only: who
// reads the database cannot sign in with them. NewMemorySessions is one for
// tests and for the demo.
type Sessions interface {
	Begin(ctx context.Context, digest, login string, now, expires time.Time) error
	// Find returns ErrNotFound for a session that is not there or has expired.
	Find(ctx context.Context, digest string, now time.Time) (login string, expires time.Time, err error)
	Extend(ctx context.Context, digest string, now, expires time.Time) error
	End(ctx context.Context, digest string) error
}

// Calls reads stored calls.
type Calls interface {
	// Calls returns calls, newest first, at most q.Limit, and the key of the
	// next page, "" if this is the last.
	Calls(ctx context.Context, q CallQuery) (calls []bridge.Call, next string, err error)
	// Call returns one call, also a living one; ErrNotFound if there is none.
	Call(ctx context.Context, id string) (bridge.Call, error)
	// Events returns the events a call was made from, in order.
	Events(ctx context.Context, callID string) ([]bridge.Event, error)
	// Receipts says to whom its cards were shown, and how fast.
	Receipts(ctx context.Context, callID string) ([]card.Receipt, error)
}

// CallQuery chooses calls. Empty fields choose all.
type CallQuery struct {
	Extension string // calls in which this phone rang, talked or began
	Direction bridge.Direction
	Outcome   bridge.Outcome
	Client    bridge.Number
	Digits    string    // occur in the client's number
	Line      string    // as the call has it
	From, To  time.Time // of the start: From included, To not
	Before    string    // the key Calls returned with the page before
	Limit     int       // 1…500
}

// Ledger reads deliveries.
type Ledger interface {
	// Deliveries returns deliveries; those of one call in their order, else
	// newest first.
	Deliveries(ctx context.Context, q DeliveryQuery) ([]bridge.Delivery, error)
	// Attempts returns the tries of a delivery, oldest first, masked.
	Attempts(ctx context.Context, deliveryID int64) ([]Attempt, error)
	// Balance returns one row per day and integration for the days
	// fromDay…toDay ("2026-11-22", both included).
	Balance(ctx context.Context, fromDay, toDay string) ([]LedgerRow, error)
}

// DeliveryQuery chooses deliveries. Empty fields choose all.
type DeliveryQuery struct {
	CallID      string
	Integration string
	State       bridge.DeliveryState
	Kind        bridge.ActionKind
	Day         string // of the ledger
	IDs         []int64
	Before      int64 // last id of the page before
	Limit       int   // 1…500
}

// Attempt is one try at a delivery.
type Attempt struct {
	At       bridge.Time   `json:"at"`
	Took     time.Duration `json:"-"`
	Code     int           `json:"code"`
	Request  string        `json:"request,omitempty"`
	Response string        `json:"response,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// LedgerRow is one line of the equation planned = done + waiting + … (F-1).
type LedgerRow struct {
	Day         string                         `json:"day"` // 2026-11-22 in the integration's zone
	Integration string                         `json:"integration"`
	Planned     int64                          `json:"planned"`
	States      map[bridge.DeliveryState]int64 `json:"states"`
}

// Imbalance is planned minus the sum of the states. It must be 0.
func (r LedgerRow) Imbalance() int64 {
	n := r.Planned
	for _, v := range r.States {
		n -= v
	}
	return n
}

// Integration is how one CRM account is.
type Integration struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Active bool   `json:"active"`
	// State is active, inactive, held (switched off by refused credentials), slowed, or
	// failing (the CRM has answered nothing usable for minutes).
	State     string      `json:"state"`
	Reason    string      `json:"reason,omitempty"`
	Since     bridge.Time `json:"since,omitzero"`
	Waiting   int         `json:"waiting"`
	Held      int         `json:"held"`
	Failed    int         `json:"failed"`
	LastDone  bridge.Time `json:"last_done,omitzero"`
	LastError string      `json:"last_error,omitempty"`
	// Backlog is how many deliveries of a resend are on their way, CatchUp how
	// many minutes they take at the rate the CRM allows.
	Backlog int     `json:"backlog"`
	CatchUp float64 `json:"caught_up_in_minutes"`
	URL     string  `json:"url,omitempty"`
}

// PBX is how one phone system is.
type PBX struct {
	ID        string      `json:"id"`
	Kind      string      `json:"kind"`
	Connected bool        `json:"connected"`
	Since     bridge.Time `json:"since,omitzero"` // of the state
	LastEvent bridge.Time `json:"last_event,omitzero"`
	Error     string      `json:"error,omitempty"`
}

// Dialer places click-to-call orders.
type Dialer interface {
	// Dial rings the phone of c.Extension and then calls c.Number. The same
	// RequestID again returns the first result and rings nobody (D-19).
	// Refusals are *pbx.Refusal.
	Dial(ctx context.Context, c Click) (Dialled, error)
}

// Click is one order.
type Click struct {
	RequestID string
	Extension string
	Number    string // as typed
	User      string // who ordered it
	// Integration is where it was ordered from: its settings say which number
	// the client sees (M-5.1, M-5.2). "": from our own pages.
	Integration string
}

// Dialled is an accepted order.
type Dialled struct {
	CallID    string `json:"id,omitempty"`      // ours, if already known
	PBXCallID string `json:"pbx_id,omitempty"`  // the PBX's
	Repeated  bool   `json:"repeated,omitzero"` // the order was there already
}

// Presence switches do-not-disturb in the PBX.
type Presence interface {
	DoNotDisturb(ctx context.Context, extension string) (bool, error)
	SetDoNotDisturb(ctx context.Context, extension string, on bool) error
}

// RouteQuestion is a PBX asking who should take a call.
type RouteQuestion struct {
	PBX    string
	Number string // the client's, as the PBX gave it
	Line   string
	CallID string // the PBX's own id of the call, "" if not told
	Secret string // as sent: Bearer token or ?secret=
}

// RouteDecision is an answer that was given, with everybody considered.
type RouteDecision struct {
	At        bridge.Time `json:"at"`
	Extension string      `json:"extension"` // "" = the PBX's own scenario
	Why       string      `json:"why"`
	TookMS    int64       `json:"took_ms"`
	Steps     []RouteStep `json:"steps"`
}

// RouteStep is somebody who was considered, or a source that was not reached.
type RouteStep struct {
	Extension string `json:"extension,omitempty"`
	Name      string `json:"name,omitempty"`
	Right     string `json:"right,omitempty"`
	Chosen    bool   `json:"chosen,omitempty"`
	Skipped   string `json:"skipped,omitempty"` // why he was passed over
}

// RouteAnswer is the extension, "" for the PBX's own scenario, and why.
type RouteAnswer struct {
	Extension string
	Reason    string
}
