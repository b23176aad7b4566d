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
)

// ErrNotFound is what the interfaces return for a thing that does not exist.
var ErrNotFound = errors.New("not found")

// ErrForbidden is what Deps.Route returns for a wrong secret.
var ErrForbidden = errors.New("forbidden")

// Deps is what the pages need. Log, Key, Users, Calls, Ledger and Hub must be
// given; of the rest nil means "there is none" and its part of the pages is
// empty or answers 404.
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

	Users  Users
	Calls  Calls
	Ledger Ledger
	Hub    *card.Hub

	// Live returns the calls that have not ended.
	Live func() []bridge.Call
	// Integrations and PBXs say how each connection is.
	Integrations func(context.Context) ([]Integration, error)
	PBXs         func() []PBX
	// Missing says why the daemon cannot take calls, in words; empty = ready.
	Missing  func(context.Context) []string
	Dialer   Dialer
	Presence Presence
	// Route answers "who should take this call?". It is given 1 s.
	Route func(context.Context, RouteQuestion) (RouteAnswer, error)

	// Line and Employee give names for numbers and extensions; Number writes
	// a number for reading. They look into memory only.
	Line     func(number string) bridge.Line
	Employee func(extension string) string
	Number   func(number string) string

	// Metrics answers /metrics.
	Metrics http.Handler
	// Mount adds handlers of others by ServeMux pattern: webhooks, recordings.
	// They check who calls by themselves.
	Mount map[string]http.Handler
}

// Users knows who may sign in.
type Users interface {
	// User returns the user with this login, ErrNotFound if there is none.
	User(ctx context.Context, login string) (bridge.User, error)
}

// Calls reads stored calls.
type Calls interface {
	// Calls returns calls, newest first, at most q.Limit.
	Calls(ctx context.Context, q CallQuery) ([]bridge.Call, error)
	// Call returns one call, also a living one; ErrNotFound if there is none.
	Call(ctx context.Context, id string) (bridge.Call, error)
	// Events returns the events a call was made from, in order.
	Events(ctx context.Context, callID string) ([]bridge.Event, error)
	// Receipts says to whom its cards were shown, and how fast.
	Receipts(ctx context.Context, callID string) ([]card.Receipt, error)
}

// CallQuery chooses calls. Empty fields choose all.
type CallQuery struct {
	// Extension: calls in which this phone rang, talked or began.
	Extension string
	Direction bridge.Direction
	Outcome   bridge.Outcome
	Number    string // client: E.164, or digits that occur in it
	From, To  bridge.Time
	// Before and BeforeID are the key of the last row of the page before:
	// its StartedAt and ID. Rows come in falling order of (StartedAt, ID).
	Before   bridge.Time
	BeforeID string
	Limit    int // 1…500
}

// Ledger reads deliveries.
type Ledger interface {
	Deliveries(ctx context.Context, q DeliveryQuery) ([]bridge.Delivery, error)
	// Balance returns one row per day and integration, newest day first.
	Balance(ctx context.Context, from, to bridge.Time) ([]LedgerRow, error)
}

// DeliveryQuery chooses deliveries. Empty fields choose all.
type DeliveryQuery struct {
	CallID      string
	Integration string
	State       bridge.DeliveryState
	BeforeID    int64 // key of the page before; rows come in falling order of ID
	Limit       int   // 1…500
}

// LedgerRow is one line of the equation planned = done + waiting + … (F-1).
type LedgerRow struct {
	Day         string                       `json:"day"` // 2026-11-22 in the integration's zone
	Integration string                       `json:"integration"`
	Planned     int                          `json:"planned"`
	States      map[bridge.DeliveryState]int `json:"states"`
}

// Missing is planned minus the sum of the states. It must be 0.
func (r LedgerRow) Missing() int {
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
	// State is active, inactive, held (switched off by refused credentials) or slowed.
	State     string      `json:"state"`
	Reason    string      `json:"reason,omitempty"`
	Since     bridge.Time `json:"since,omitzero"`
	Waiting   int         `json:"waiting"`
	Held      int         `json:"held"`
	Failed    int         `json:"failed"`
	LastDone  bridge.Time `json:"last_done,omitzero"`
	LastError string      `json:"last_error,omitempty"`
	URL       string      `json:"url,omitempty"`
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
	Secret string // as sent: Bearer token or ?secret=
}

// RouteAnswer is the extension, "" for the PBX's own scenario, and why.
type RouteAnswer struct {
	Extension string
	Reason    string
}
