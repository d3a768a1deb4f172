// Package rendezvous is the client of the signaling server, in two halves: the
// host's mailbox for one session, and the console's client with its sign-in,
// its sessions and one mailbox for all of them. It reconnects by itself, keeps
// what was not taken, and tells in words what went wrong. It must not know what
// a message contains, how a session is paired, or how the two ends talk once
// they see each other; and nothing it carries may need to be kept from the
// server, which reads all of it.
package rendezvous

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

// The types of the protocol that callers see.
type (
	// Instance is one running host program.
	Instance = protocol.Instance
	// ICEServer is one STUN or TURN server.
	ICEServer = protocol.ICEServer
	// Tokens are a console's sign-in: store them, and never log them.
	Tokens = protocol.Tokens
	// Profile is who is signed in.
	Profile = protocol.Profile
	// Limits are the places of a profile and of its company.
	Limits = protocol.Limits
	// Usage is how many places are taken.
	Usage = protocol.Usage
	// Health is what the server says of itself.
	Health = protocol.Health
	// NewSession is what the server learns of a new session.
	NewSession = protocol.NewSession
	// Session is a session as its console sees it.
	Session = protocol.Session
	// Knock is a program that was turned away.
	Knock = protocol.Knock
	// SessionList is the sessions one may see, and the places taken.
	SessionList = protocol.SessionList
	// Holder is a session that holds a place.
	Holder = protocol.Holder
)

// States of a session on the server; see protocol.
const (
	Invited     = protocol.Invited
	Answered    = protocol.Answered
	Pairing     = protocol.Pairing
	Active      = protocol.Active
	Ending      = protocol.Ending
	Ended       = protocol.Ended
	Removed     = protocol.Removed
	Unconfirmed = protocol.Unconfirmed
)

// NewInstance returns a random Instance.
func NewInstance() Instance { return protocol.NewInstance() }

// ParseInstance reads the 26 characters of Instance.String.
func ParseInstance(s string) (Instance, error) { return protocol.ParseInstance(s) }

// HostInfo is what anybody with the link may know of an invitation.
type HostInfo struct {
	Session             grant.ID
	State               string
	Company, Technician string // display names, as the server vouches for them
	Language            string // "en" or "de"
	Expires             time.Time
	ServerKey           grant.Key
	Now                 time.Time // the server's time
	LAN                 bool      // the server runs without an internet; loopback and LAN addresses are wanted
}

// LimitError says that no place is free, and who holds them. It unwraps to a
// *fault.Error of kind Limit.
type LimitError struct {
	Holders []Holder
	Scope   string // "profile" or "company"
	fault   *fault.Error
}

// Error returns the fault's text.
func (e *LimitError) Error() string { return e.fault.Error() }

// Unwrap returns the *fault.Error.
func (e *LimitError) Unwrap() error { return e.fault }

// ErrNotYet is the cause of the fault.Conflict that Activate returns until the
// other side has activated as well.
var ErrNotYet = errors.New("rendezvous: the other side has not activated yet")

// ErrTOTP is the cause of the fault.SignedOut that SignIn returns when a
// one-time code is needed or wrong.
var ErrTOTP = errors.New("rendezvous: a one-time code is needed")

// ErrEnrol is the cause of the fault.Denied that every request returns until
// the second factor, which role or policy demand, is set up.
var ErrEnrol = errors.New("rendezvous: a second factor must be set up first")

// RetryActivate calls activate until it succeeds, until ctx is done, or until
// it fails otherwise than by ErrNotYet or by the server being out of reach.
// Activation is idempotent, so that every repetition is safe.
func RetryActivate(ctx context.Context, activate func(context.Context) (grant.Signed, error)) (grant.Signed, error) {
	wait := 200 * time.Millisecond
	for {
		g, err := activate(ctx)
		if err == nil || !errors.Is(err, ErrNotYet) && fault.KindOf(err) != fault.Offline {
			return g, err
		}
		select {
		case <-ctx.Done():
			return grant.Signed{}, fault.Of(ctx.Err())
		case <-time.After(jitter(wait)):
		}
		wait = min(wait*2, 3*time.Second)
	}
}

// jitter returns d times something between 0.5 and 1.5, so that clients that
// were cut off together do not come back together.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d+1)
}
