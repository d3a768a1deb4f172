package store

import (
	"context"
	"errors"
	"time"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

// Errors about people and their codes.
var (
	ErrLastAdmin = errors.New("store: the company would be without an admin")
	ErrUsed      = errors.New("store: the code was used")
	ErrOver      = errors.New("store: the code is over")
)

// Policy is what a company decides about itself. The zero value is the default.
type Policy struct {
	TOTP string `json:"totp,omitempty"` // protocol.TOTP…; empty: leads
	Mail string `json:"mail,omitempty"` // protocol.Mail…; empty: console
	// HistoryMonths is how long the history is kept after a session's end; 0: for
	// good.
	HistoryMonths int `json:"history_months,omitempty"`
}

// Change is what to do besides storing what was changed, and what to write to
// the audit chain. An empty Kind means that nothing changed and nothing is
// stored.
type Change struct {
	Kind   string
	Detail any

	Revoke   bool     // end the person's sign-ins …
	Keep     grant.ID // … but this one (a family)
	Recovery *[]Hash  // replace the recovery codes; nil: keep them
	OneTime  *OneTime // a code for the person, which ends earlier ones
}

// PersonUpdate changes a person inside a transaction. It may be called again
// and must be free of side effects. What it changes of the company is ignored.
type PersonUpdate func(p *Profile) (Change, error)

// CompanyUpdate is PersonUpdate for a company; Revoke, Recovery and OneTime do
// not count.
type CompanyUpdate func(c *Company) (Change, error)

// OneTime is a code that makes or changes an account once.
type OneTime struct {
	ID      grant.ID
	Company grant.ID
	Profile grant.ID // zero: of a new colleague
	Email   string
	Name    string
	Roles   []string
	Rights  grant.Rights
	By      grant.ID // profile; zero: a local command
	ByName  string   // read only
	Hash    Hash     // of the code
	Created time.Time
	Expires time.Time
}

// Person is a profile with what is listed of it.
type Person struct {
	Profile
	LastSeen time.Time // zero: never
	Consoles int       // with a sign-in that is in force
	Reset    bool      // a code for a new password is pending
}

// SignedIn is a console with a sign-in that is in force.
type SignedIn struct {
	Console
	Created, Seen time.Time
	Sessions      int // live
}

// AuditQuery chooses entries; zero fields do not choose.
type AuditQuery struct {
	Company grant.ID
	protocol.AuditFilter
}

// Named is an entry with the names of those in it.
type Named struct {
	Entry
	Who     string // person that did it
	Person  string // whom it is about
	Subject string // label of the session
}

// PeopleStore keeps people, their codes, consoles and companies. Its contract is
// Store's.
type PeopleStore interface {
	// People returns a company's people by name.
	People(ctx context.Context, company grant.ID, now time.Time) ([]Person, error)
	// ChangePerson changes a person; what it revoked is returned. ErrLastAdmin:
	// the company would have no admin that is switched on.
	ChangePerson(ctx context.Context, id grant.ID, by Actor, now time.Time, f PersonUpdate) (Profile, []grant.Key, error)

	// Invite stores a one-time code for a new colleague and ends earlier ones of
	// the address. ErrConflict: the address has an account.
	Invite(ctx context.Context, o OneTime, by Actor) error
	// Invites returns the pending codes for new colleagues, newest first.
	Invites(ctx context.Context, company grant.ID, now time.Time) ([]OneTime, error)
	// Uninvite ends a pending code. ErrNotFound: there is none.
	Uninvite(ctx context.Context, company, id grant.ID, by Actor, now time.Time) error
	// OneTime returns what a code is for. ErrNotFound, ErrUsed, ErrOver (expired
	// or revoked).
	OneTime(ctx context.Context, code Hash, now time.Time) (OneTime, Company, error)
	// Redeem uses a code: it makes the profile p, or gives p's password to the
	// profile the code is for. Errors as OneTime; ErrConflict: the address got an
	// account by now.
	Redeem(ctx context.Context, code Hash, p Profile, now time.Time) (Profile, []grant.Key, error)

	// UseRecovery uses up a recovery code; false if there is none such. left is
	// how many remain.
	UseRecovery(ctx context.Context, profile grant.ID, code Hash, now time.Time) (ok bool, left int, err error)
	// RecoveryLeft counts unused recovery codes.
	RecoveryLeft(ctx context.Context, profile grant.ID) (int, error)

	// Consoles returns where a person is signed in, newest first.
	Consoles(ctx context.Context, profile grant.ID, now time.Time) ([]SignedIn, error)
	// Console finds a console.
	Console(ctx context.Context, id grant.ID) (Console, error)
	// RevokeConsole ends a console's sign-ins.
	RevokeConsole(ctx context.Context, id grant.ID, by Actor, now time.Time) error
	// LiveOf returns live sessions: of a console, of a person, or of a company,
	// whichever is not zero.
	LiveOf(ctx context.Context, company, profile, console grant.ID) ([]Session, error)
	// KeysOf returns the keys of a company's consoles; of one person's, if
	// profile is not zero.
	KeysOf(ctx context.Context, company, profile grant.ID) ([]grant.Key, error)

	// Companies returns all companies by name; Company finds one.
	Companies(ctx context.Context) ([]Company, error)
	Company(ctx context.Context, id grant.ID) (Company, error)
	CreateCompany(ctx context.Context, c Company, by Actor) error
	ChangeCompany(ctx context.Context, id grant.ID, by Actor, now time.Time, f CompanyUpdate) (Company, error)

	// Page returns a company's sessions, newest first, one more than f.Limit if
	// there are more. before and beforeID are creation time and ID of the last
	// one of the page before; zero: from the start.
	Page(ctx context.Context, company grant.ID, f protocol.SessionFilter, before time.Time, beforeID grant.ID) ([]Session, error)

	// AuditPage returns entries, newest first, one more than Limit if there are
	// more.
	AuditPage(ctx context.Context, q AuditQuery) ([]Named, error)
	// AuditAfter returns at most 500 entries after seq, in order.
	AuditAfter(ctx context.Context, seq int64) ([]Entry, error)
	// Note adds an entry that belongs to no other change.
	Note(ctx context.Context, company grant.ID, by Actor, now time.Time, kind string, detail any) error
}
