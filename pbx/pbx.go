// Package pbx says what a phone system is to Callbridge. Adapters live one
// package each below it; what a vendor cannot do, its adapter simply does not
// implement (found by type assertion).
package pbx

import (
	"context"
	"errors"
	"io"
	"net/http"

	"callbridge/bridge"
)

// Stream is a PBX we listen to. Run ends with ctx or with the link; the caller
// reconnects (with back-off) and the adapter itself reports the gap as events.
// emit must not block.
type Stream interface {
	Run(ctx context.Context, emit func(bridge.Event)) error
}

// Webhook is a PBX that calls us. Parse is pure: bytes in, events out; no
// clock, no I/O, no memory.
type Webhook interface {
	Verify(r *http.Request, body []byte) error
	Parse(r *http.Request, body []byte) ([]bridge.Event, error)
}

// Originate is a click-to-call order: the employee's phone first, then the client.
type Originate struct {
	RequestID string        // the same id again must not call twice (D-19)
	Extension string        // whose phone rings first
	Client    bridge.Number // who is called then
	ClientRaw string        // what to dial if Client is empty (internal numbers)
	CallerID  string        // our number the client sees; "" = the PBX's default
}

// Originator can place calls.
type Originator interface {
	// Originate returns the PBX's id of the call as soon as the phone rings.
	// Refusals are *Refusal.
	Originate(ctx context.Context, o Originate) (pbxCallID string, err error)
}

// Refusal is a click-to-call that was refused, with a reason people understand.
type Refusal struct {
	Code string // no_phone, unknown_number, do_not_disturb, busy, pbx_unreachable, unknown_extension
	Text string // English sentence; pages translate by Code
}

func (r *Refusal) Error() string { return r.Text }

// RouteAnswerer tells the PBX who should take the call that asked with
// RouteAsked. An empty extension means "your default scenario".
type RouteAnswerer interface {
	AnswerRoute(ctx context.Context, channelID, extension string) error
}

// Presence is a PBX that knows of do-not-disturb and of registered phones.
type Presence interface {
	SetDoNotDisturb(ctx context.Context, extension string, on bool) error
	// PhoneState returns online, offline or unknown.
	PhoneState(ctx context.Context, extension string) (string, error)
}

// Hangupper can end a call of ours.
type Hangupper interface {
	Hangup(ctx context.Context, channelID string) error
}

// Transferrer sends one side of a call on to a colleague's phone; whoever it
// talked to is out of the call then (a blind transfer). At is the PBX's time at
// which it was asked. Refusals are *Refusal.
type Transferrer interface {
	Transfer(ctx context.Context, channelID, extension string) (at bridge.Time, err error)
}

// Recordings gives the sound of a call.
type Recordings interface {
	// OpenRecording returns the file; ErrNotFound if there is none (yet).
	OpenRecording(ctx context.Context, name string) (body io.ReadCloser, contentType string, size int64, err error)
}

// ErrNotFound is returned for a thing the PBX does not have.
var ErrNotFound = errors.New("the PBX has no such thing")

// ErrTooLate is returned by AnswerRoute for a call that had already gone on or
// ended. It is normal, not trouble.
var ErrTooLate = errors.New("the call has already gone on")
