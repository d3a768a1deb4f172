// Package fault is the one shape an error takes when it crosses a boundary of
// Daypass: a machine-readable kind, the operation, words for a person and what
// that person can do now. It must not know anything else of the product; every
// other package may import it.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Kind is the machine-readable class of an error. It travels to the page and
// over the signaling API, so values never change meaning.
type Kind string

// The kinds. Unknown errors become Internal and are never shown raw.
const (
	Offline     Kind = "offline"     // the other side or the server cannot be reached; trying again may help
	Denied      Kind = "denied"      // who asks may not do this
	SignedOut   Kind = "signed_out"  // credentials are missing, wrong or no longer valid
	Limit       Kind = "limit"       // a policy limit or rate limit is reached
	Expired     Kind = "expired"     // the session, code or link is over
	NotFound    Kind = "not_found"   // the object does not exist (any more)
	Conflict    Kind = "conflict"    // the state does not allow it, or somebody was faster
	Invalid     Kind = "invalid"     // what was given cannot be used as it is
	Unsupported Kind = "unsupported" // this system, file or version cannot do it
	Hostile     Kind = "hostile"     // the peer or server broke the protocol
	Corrupt     Kind = "corrupt"     // stored data failed its check
	Full        Kind = "full"        // no space is left to store what must be stored
	Cancelled   Kind = "cancelled"   // the person or the program gave it up
	Internal    Kind = "internal"    // a defect of ours, or an error nobody classified
)

// Error is an error with words for a person. The zero value is not useful; use
// New or Wrap. An Error is immutable after it was made and safe to share.
type Error struct {
	Kind    Kind   // machine-readable class
	Op      string // operation in the program's words, "session.create"; for logs and details
	Message string // what happened, one plain sentence for a person
	Hint    string // what to do now, one plain sentence; may be empty
	Err     error  // cause, for logs and folded details; may be nil
}

// New returns an error without a cause. message says what happened, hint what
// to do now.
func New(kind Kind, op, message, hint string) *Error {
	return &Error{Kind: kind, Op: op, Message: message, Hint: hint}
}

// Wrap is New with a cause. A nil cause is allowed.
func Wrap(err error, kind Kind, op, message, hint string) *Error {
	return &Error{Kind: kind, Op: op, Message: message, Hint: hint, Err: err}
}

// Error returns operation, message and cause, for logs. People see Message and
// Hint instead.
func (e *Error) Error() string {
	s := e.Message
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s = fmt.Sprintf("%s (%v)", s, e.Err)
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same kind that names no
// operation or the same one, so that errors.Is(err, &Error{Kind: Limit}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && (t.Op == "" || t.Op == e.Op)
}

// Of returns the first *Error in err's chain. An error that carries none is
// given a kind: Cancelled for a cancelled context, Offline for a deadline,
// Internal otherwise, with words that do not leak the cause. Of(nil) is nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return Wrap(err, Cancelled, "", "This was cancelled.", "")
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(err, Offline, "", "There was no answer in time.", "Check the connection and try again.")
	}
	return Wrap(err, Internal, "", "Something in Daypass went wrong.", "Try again. If it happens again, send us the details.")
}

// KindOf returns the kind of err, or "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	return Of(err).Kind
}
