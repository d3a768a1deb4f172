// Package rights holds what the customer allows at this moment: for each right
// whether it is on, until when, and, for files, in which folder. It is the
// authority that the host's gate asks. It must not know who asks, how a right is
// used, or how it is shown.
package rights

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"daypass/backend/grant"
	"daypass/hostsvc/lease"
)

// Choices are the time limits that a customer is offered; 0 is the end of the
// session.
var Choices = []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 0}

// MaxScope bounds a folder's path, in bytes.
const MaxScope = 1024

// Lease is one right that is on.
type Lease struct {
	Right grant.Rights `json:"right"` // exactly one
	// Scope is the folder that Files is for, absolute; "": all of the customer's own.
	Scope string `json:"scope,omitempty"`
	// Of a lease with a time limit: its length, and the clocks when it began. Both
	// clocks count, whichever is ahead; after a restart of the computer it is over.
	For  time.Duration `json:"for,omitempty"`
	Mono time.Duration `json:"mono,omitempty"` // sleep included
	Wall time.Time     `json:"wall,omitzero"`
	Boot string        `json:"boot,omitempty"`
}

// Left is how long the lease lasts, and false where it has no limit.
func (l *Lease) Left(now lease.Reading) (time.Duration, bool) {
	if l.For == 0 {
		return 0, false
	}
	if now.Boot != l.Boot || now.Mono < l.Mono {
		return 0, true
	}
	used := max(now.Mono-l.Mono, now.Wall.Round(0).Sub(l.Wall))
	return max(0, l.For-used), true
}

// Set is the leases of a session. The zero value allows nothing. It is not safe
// for concurrent use.
type Set struct {
	Leases []Lease `json:"leases"`
}

// New is a set in which allowed is on to the end of the session.
func New(allowed grant.Rights) Set {
	var s Set
	for _, r := range each(allowed) {
		s.Leases = append(s.Leases, Lease{Right: r})
	}
	return s
}

func each(r grant.Rights) (out []grant.Rights) {
	for one := grant.Rights(1); one <= grant.All; one <<= 1 {
		if r.Has(one) {
			out = append(out, one)
		}
	}
	return out
}

// Check reports what this program would not have made.
func (s *Set) Check() error {
	var seen grant.Rights
	for _, l := range s.Leases {
		if l.Right == 0 || l.Right&(l.Right-1) != 0 || l.Right&^grant.All != 0 || seen.Has(l.Right) {
			return fmt.Errorf("rights: right %#x", uint32(l.Right))
		}
		seen |= l.Right
		if l.For < 0 || l.For > lease.Limit || l.Mono < 0 {
			return fmt.Errorf("rights: limit of %v", l.For)
		}
		if err := checkScope(l.Right, l.Scope); err != nil {
			return err
		}
	}
	return nil
}

func checkScope(r grant.Rights, scope string) error {
	switch {
	case scope == "":
		return nil
	case r != grant.Files:
		return errors.New("rights: a folder for what is no file")
	case !filepath.IsAbs(scope) || filepath.Clean(scope) != scope || len(scope) > MaxScope || strings.ContainsRune(scope, 0) || filepath.Dir(scope) == scope:
		return fmt.Errorf("rights: folder %.80q", scope)
	}
	return nil
}

// Allow switches one right on, for d or, with 0, to the end of the session, and
// replaces how it was on before. scope is for Files alone.
func (s *Set) Allow(r grant.Rights, d time.Duration, scope string, now lease.Reading) error {
	l := Lease{Right: r, Scope: scope}
	if d != 0 {
		l.For, l.Mono, l.Wall, l.Boot = d, now.Mono, now.Wall.Round(0).UTC(), now.Boot
	}
	next := Set{Leases: append(slices.DeleteFunc(slices.Clone(s.Leases), func(o Lease) bool { return o.Right == r }), l)}
	if err := next.Check(); err != nil {
		return err
	}
	*s = next
	return nil
}

// Forbid switches rights off.
func (s *Set) Forbid(r grant.Rights) {
	s.Leases = slices.DeleteFunc(slices.Clone(s.Leases), func(o Lease) bool { return r.Has(o.Right) })
}

// Keep switches off what is not in r.
func (s *Set) Keep(r grant.Rights) { s.Forbid(grant.All &^ r) }

// Allowed is what is on at now. A lease whose time is over is not, whether
// Expire has been called or not.
func (s *Set) Allowed(now lease.Reading) grant.Rights {
	var r grant.Rights
	for i := range s.Leases {
		if left, limited := s.Leases[i].Left(now); !limited || left > 0 {
			r |= s.Leases[i].Right
		}
	}
	return r
}

// Expire takes out what is over and returns it.
func (s *Set) Expire(now lease.Reading) grant.Rights {
	var over grant.Rights
	for i := range s.Leases {
		if left, limited := s.Leases[i].Left(now); limited && left <= 0 {
			over |= s.Leases[i].Right
		}
	}
	if over != 0 {
		s.Forbid(over)
	}
	return over
}

// Next is how long it takes until something is over, and false if nothing has a
// limit.
func (s *Set) Next(now lease.Reading) (time.Duration, bool) {
	next, any := time.Duration(0), false
	for i := range s.Leases {
		if left, limited := s.Leases[i].Left(now); limited && (!any || left < next) {
			next, any = left, true
		}
	}
	return next, any
}

// Of returns the lease of one right, nil when it is off.
func (s *Set) Of(r grant.Rights) *Lease {
	i := slices.IndexFunc(s.Leases, func(l Lease) bool { return l.Right == r })
	if i < 0 {
		return nil
	}
	l := s.Leases[i]
	return &l
}
