// Package deliver carries out actions: it takes deliveries of one integration
// from the store in the order of each client, has the CRM adapter do them, and
// writes down what became of each. It never decides what is wanted; the rules
// did. What happens after an error is decided by its fault.Kind alone.
package deliver

import (
	"context"
	"time"

	"callbridge/bridge"
	"callbridge/crm"
)

// Store is what a worker needs of the store.
type Store interface {
	// Claim takes up to n rows that are due, each the oldest open one of its
	// client, and leases them to the caller: fresh ones first, then at most
	// backlog of a backlog. A row whose lease ran out comes back with Look set.
	ClaimUpTo(ctx context.Context, integration string, now time.Time, lease time.Duration, n, backlog int) ([]bridge.Delivery, error)
	// Finish writes the outcome of an attempt.
	Finish(ctx context.Context, d bridge.Delivery) error
	// FinishNext is Finish, and takes what is to be done next for the same
	// client; nil if there is nothing.
	FinishNext(ctx context.Context, d bridge.Delivery, now time.Time, lease time.Duration) (*bridge.Delivery, error)
	// NextDue says when the next row is due; ok is false if nothing waits.
	NextDue(ctx context.Context, integration string) (at time.Time, ok bool, err error)
	// HoldIntegration holds every open row of the integration.
	HoldIntegration(ctx context.Context, integration string, since time.Time, reason string) error
	// HoldKind holds every open row of one kind of action.
	HoldKind(ctx context.Context, integration string, kind bridge.ActionKind, reason string) error
	// CallRecord returns a stored call.
	CallRecord(ctx context.Context, id string) (bridge.Call, error)
	// OfCall returns the integration's deliveries of one call, oldest first.
	OfCall(ctx context.Context, integration, callID string) ([]bridge.Delivery, error)
	// AddAttempt keeps what was sent and answered, masked.
	AddAttempt(ctx context.Context, a Attempt) error
}

// Attempt is the trace of one try, for the ledger's page.
type Attempt struct {
	DeliveryID int64
	N          int
	At         time.Time
	Took       time.Duration
	Trace      []crm.Exchange
	ErrorKind  string
	Error      string
}

// People joins extensions, e-mails and CRM users of one integration.
type People interface {
	// ByExtension returns the CRM user with this phone; ok is false if the
	// CRM's telephony settings do not list it (M-2.1.6).
	ByExtension(ext string) (crm.Employee, bool)
	ByEmail(email string) (crm.Employee, bool)
	ByUser(id crm.UserID) (crm.Employee, bool)
}

// Observer counts; all methods must be quick.
type Observer interface {
	Delivered(integration string, kind bridge.ActionKind, result string, took time.Duration)
	Held(integration, reason string)
}

// Target is one integration with everything that is needed to deliver to it.
type Target struct {
	Settings bridge.Integration
	Title    string // of the CRM, for notes
	Client   crm.Client
	Book     *Book
	People   People
	Lines    func(number string) bridge.Line
	// Employee gives the name of an extension's owner, "" if unknown.
	Employee func(extension string) string
	// RecordURL returns a link the CRM can play, "" if the call has no recording.
	RecordURL func(call *bridge.Call) string
	// Follow is told when an attempt begins, and what became of it: the state
	// its row has now, and the kind of error, "" for none. nil: nobody is told.
	Follow func(ctx context.Context, d *bridge.Delivery) (context.Context, func(state bridge.DeliveryState, kind string))
	Zone   *time.Location
}

// Limits of one attempt. The lease outlasts the attempt, so that a row comes
// back only if its worker died.
const (
	attemptLimit = 45 * time.Second
	lease        = 75 * time.Second
	// giveUp is how long a row is retried after temporary trouble: longer
	// than the three days of a resend (design.md 4.7).
	giveUp = 5 * 24 * time.Hour
	// popupLimit is how old a ring may be for the CRM's own pop-up, and
	// hangupLimit how old the end of a call that takes it away again.
	popupLimit  = 90 * time.Second
	hangupLimit = 10 * time.Minute
	// lookedUp is how long what a card's look found need not be asked again.
	lookedUp = time.Minute
	// bookAge is how long a found contact is trusted without asking again.
	bookAge = 12 * time.Hour
)
