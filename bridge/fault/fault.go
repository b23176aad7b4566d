// Package fault holds the kinds of error that decide what happens next. One
// value drives retry, state and metric; no function returns a bool beside it.
package fault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind says what the caller does next. It is also a metric label, so the list
// is closed.
type Kind uint8

const (
	Temporary   Kind = iota // network, 5xx: the same request may work later; also every unknown error
	RateLimited             // told to slow down; After says how long
	Auth                    // credentials refused
	Forbidden               // this right is missing; Op names it
	Uncertain               // sent, the answer never came: it may have been done
	Gone                    // the object we point to no longer exists there
	Invalid                 // refused data: repeating changes nothing
)

var names = [...]string{"temporary", "rate_limited", "auth", "forbidden", "uncertain", "gone", "invalid"}

// String is the metric label.
func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return names[Temporary]
}

// Kinds returns the closed list.
func Kinds() []Kind {
	return []Kind{Temporary, RateLimited, Auth, Forbidden, Uncertain, Gone, Invalid}
}

// Error is what every adapter returns for a failed call to the outside.
type Error struct {
	Kind   Kind
	Op     string        // "retailcrm: create customer"
	Status int           // HTTP status, 0 if there was no answer
	After  time.Duration // RateLimited: wait at least this long; 0 if the server did not say
	Err    error         // never contains a secret
}

func (e *Error) Error() string {
	s := e.Op + ": " + e.Kind.String()
	if e.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// New makes an Error from a text.
func New(k Kind, op, format string, args ...any) *Error {
	return &Error{Kind: k, Op: op, Err: fmt.Errorf(format, args...)}
}

// KindOf finds the kind of err; an error of unknown kind is Temporary.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Temporary
}

// After returns how long the server asked to wait, 0 if it did not.
func After(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.After
	}
	return 0
}

// IsStopped says that our own context ended: nothing is known against the
// other side, and no attempt is to be counted.
func IsStopped(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled)
}
