package store

import (
	"errors"
	"time"

	"callbridge/bridge"
)

// Errors callers tell apart with errors.Is. Every other error is trouble of
// the database itself, with the operation in front.
var (
	ErrNotFound   = errors.New("not found")
	ErrLeaseLost  = errors.New("the delivery is no longer ours: its lease ran out and it was taken again, or it is closed")
	ErrLocked     = errors.New("the database is locked by another program")
	ErrReadOnly   = errors.New("the database or its folder cannot be written")
	ErrFull       = errors.New("the disk is full")
	ErrNewer      = errors.New("the database was made by a newer Callbridge")
	ErrWrongKey   = errors.New("the secret key is not the one this database was made with")
	ErrEmptyStaff = errors.New("an empty employee list never replaces a good one (D-07)")
)

// EventRow is an event and the call it belongs to; CallID is "" for events
// that belong to no call (link lost, device states).
type EventRow struct {
	Event  bridge.Event
	CallID string
}

// Plan is what the rules decided at one moment of a call for one integration:
// the "came in" side of the ledger, written beside the deliveries and never
// computed from them. Planning the same moment again adds only keys that are
// new, so a replay after a crash counts nothing twice.
type Plan struct {
	CallID      string
	Integration string
	Trigger     bridge.Trigger
	RuleVersion int64
	Keys        []string // action keys of all actions, wanted or not
	Day         string   // calendar day in the integration's time zone: 2026-11-22
}

// Batch is what Commit writes in one transaction.
type Batch struct {
	Events []EventRow
	// Calls in their newest state; of two with one id the later wins.
	Calls []bridge.Call
	// Merged maps the id of a call that turned out to be part of an older one to
	// the older one's id: its events move over, its call row stays only as a
	// pointer, and its deliveries that are not done are skipped with a note.
	Merged map[string]string
	// Deliveries that are new. One whose (integration, action key) exists is
	// ignored. A Waiting one of a held integration or kind is stored as Held.
	// Each must belong to a call of the batch or of the store, and to a Plan.
	Deliveries []bridge.Delivery
	Plans      []Plan
}

// OpenCall is a call that lived when the daemon stopped, with all its events.
type OpenCall struct {
	Call   bridge.Call
	Events []bridge.Event
}

// CallFilter chooses calls; zero fields choose everything.
type CallFilter struct {
	From, To  time.Time // of the start: From included, To not
	PBX       string
	Client    bridge.Number
	Digits    string // occur in the client's number
	Extension string // rang, talked, transferred to, or began the call
	Line      string
	Outcome   bridge.Outcome
	Direction bridge.Direction
	Open      bool   // only living calls
	Limit     int    // 100 if 0, at most 1000
	Before    string // the cursor Calls returned last; "" = newest
}

// DeliveryFilter chooses deliveries; zero fields choose everything.
type DeliveryFilter struct {
	CallID      string
	Integration string
	State       bridge.DeliveryState
	Kind        bridge.ActionKind
	Client      string
	Day         string // of the ledger
	IDs         []int64
	Limit       int   // 100 if 0, at most 10000
	After       int64 // last id of the page before
	Newest      bool  // newest first; After then means "older than"
}

// Attempt is one try at a delivery: what was asked and answered, masked by the
// caller. The store cuts Request and Response to 16 KiB and keeps the last 50
// attempts of a delivery.
type Attempt struct {
	DeliveryID int64       `db:"delivery_id" json:"delivery_id"`
	N          int64       `db:"n" json:"n"` // given by the store
	At         bridge.Time `db:"-" json:"at"`
	TookMS     int64       `db:"took_ms" json:"took_ms"`
	Request    string      `db:"request" json:"request"`
	Response   string      `db:"response" json:"response"`
	Code       int         `db:"code" json:"code"`
	ErrorKind  string      `db:"error_kind" json:"error_kind,omitempty"`
	Error      string      `db:"error" json:"error,omitempty"`
}

// Released says what became of the held deliveries of an integration.
type Released struct {
	Waiting int64 // go out now, in order
	Expired int64 // too old, or not wanted again
	Held    int64 // still held, because their kind is
	Popups  int64 // skipped: nobody wants a pop-up of a call that is over
}

// HeldKind is a kind of action that waits for a right (fault.Forbidden).
type HeldKind struct {
	Kind   bridge.ActionKind
	Since  bridge.Time
	Reason string
}

// LedgerRow is the equation of F-1 for one integration and day:
// Planned = sum of ByState, and Imbalance is the difference.
type LedgerRow struct {
	Integration string                         `json:"integration"`
	Day         string                         `json:"day"`
	Planned     int64                          `json:"planned"`
	ByState     map[bridge.DeliveryState]int64 `json:"by_state"`
	Imbalance   int64                          `json:"imbalance"`
}

// DeliveryCount is one gauge.
type DeliveryCount struct {
	Integration string               `db:"integration"`
	State       bridge.DeliveryState `db:"state"`
	Count       int64                `db:"n"`
}

// ContactRow is what we know of a number in one CRM: the local index that
// cards and routing ask. ID "" means we looked and there was nobody.
type ContactRow struct {
	Integration string        `db:"integration" json:"integration"`
	Number      bridge.Number `db:"number" json:"number"`
	ID          string        `db:"id" json:"id"`
	Kind        string        `db:"kind" json:"kind,omitempty"`
	Name        string        `db:"name" json:"name,omitempty"`
	Company     string        `db:"company" json:"company,omitempty"`
	Responsible string        `db:"responsible" json:"responsible,omitempty"` // the CRM's user id
	Manager     string        `db:"manager" json:"manager,omitempty"`         // his name
	URL         string        `db:"url" json:"url,omitempty"`
	Several     int           `db:"several" json:"several,omitempty"` // how many contacts have the number, if more than one
	// Others is JSON: the contacts with the number that were not chosen (D-24).
	Others string `db:"others" json:"-"`
	// Dealer is the responsible of the contact's newest open process, Deal its
	// name, DealsAt when the CRM was asked.
	Dealer    string      `db:"dealer" json:"dealer,omitempty"`
	Deal      string      `db:"deal" json:"deal,omitempty"`
	DealsAt   bridge.Time `db:"-" json:"deals_at,omitzero"`
	UpdatedAt bridge.Time `db:"-" json:"updated_at,omitzero"`
}

// SettingsInfo is one version of the settings without its content.
type SettingsInfo struct {
	Version int64       `json:"version"`
	At      bridge.Time `json:"at"`
	By      string      `json:"by"`
	Note    string      `json:"note,omitempty"`
}

// IntegrationState is what the daemon itself knows of an integration. The
// zero state (never seen) is active.
type IntegrationState struct {
	Active       bool        `json:"active"`
	HeldSince    bridge.Time `json:"held_since,omitzero"`
	HeldReason   string      `json:"held_reason,omitempty"`
	FirstRefused bridge.Time `json:"first_refused,omitzero"` // first rejected action since it was last good
	CheckedAt    bridge.Time `json:"checked_at,omitzero"`
	Report       string      `json:"report,omitempty"` // JSON of the last check
}

// Refused says that the CRM refused the credentials; an integration that is
// off otherwise was switched off by hand.
func (s IntegrationState) Refused() bool { return !s.Active && s.HeldReason != HeldByHand }

// StaffRow is an employee as the CRM lists him.
type StaffRow struct {
	User      string `db:"user_id" json:"user"`
	Email     string `db:"email" json:"email,omitempty"`
	Name      string `db:"name" json:"name,omitempty"`
	Extension string `db:"extension" json:"extension,omitempty"`
	Active    bool   `db:"active" json:"active"`
	Manager   bool   `db:"manager" json:"manager,omitempty"`
}

// Session is a signed-in browser. TokenHash is a digest of the cookie: who
// reads the database cannot sign in with it.
type Session struct {
	TokenHash string
	Login     string
	CreatedAt bridge.Time
	SeenAt    bridge.Time
	ExpiresAt bridge.Time
	Label     string // of a script's token, for people; "" for browsers
}

// Click is a click-to-call order and what became of it.
type Click struct {
	RequestID  string      `json:"request_id"`
	By         string      `json:"by"`
	Extension  string      `json:"extension"`
	Number     string      `json:"number"`
	CreatedAt  bridge.Time `json:"created_at"`
	FinishedAt bridge.Time `json:"finished_at,omitzero"` // zero: still under way
	PBXCallID  string      `json:"pbx_call_id,omitempty"`
	Code       string      `json:"code,omitempty"` // "" = placed, else pbx.Refusal.Code
	Text       string      `json:"text,omitempty"`
}

// DoNotDisturb is the switch of one extension.
type DoNotDisturb struct {
	Extension string      `json:"extension"`
	On        bool        `json:"on"`
	At        bridge.Time `json:"at"`
	By        string      `json:"by"`
}

// Receipt says that a browser showed a card.
type Receipt struct {
	CallID    string      `json:"call_id"`
	Extension string      `json:"extension"`
	Login     string      `json:"login"`
	SentAt    bridge.Time `json:"sent_at"`
	ShownAt   bridge.Time `json:"shown_at,omitzero"`
	LatencyMS int64       `json:"latency_ms"`
}

// Retention says up to when things are removed; a zero time removes nothing
// of its kind.
type Retention struct {
	Events   time.Time // raw events, by the PBX's clock
	Attempts time.Time // requests and answers
	// Calls started before it, with everything that hangs on them. A call that
	// lives, or has a delivery waiting, trying or held, stays.
	Calls time.Time
	// Cards: who had which card on the screen, and when. Contacts: what the CRMs
	// said of a number, when last asked. Missed: entries closed before it. Clicks:
	// orders of click-to-call. Audit: who did what.
	Cards, Contacts, Missed, Clicks, Audit time.Time
}

// Purged says how many rows Purge removed.
type Purged struct{ Events, Attempts, Calls, Cards, Contacts, Missed, Clicks, Audit int64 }
