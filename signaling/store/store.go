// Package store is the seam between the signaling server and what keeps its
// data: companies, people, their consoles and sign-ins, sessions with their
// places, and the audit chain. It holds domain types and the contract; the
// implementation is in a package named after its technology. It must not know
// HTTP, sockets, or the rules by which a session moves from state to state
// (package directory): it makes sure that a change is whole, that nobody was
// faster, and that its audit entry is in the same transaction.
package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

// Errors of every implementation, besides *NoPlace. Others are failures of the
// storage itself.
var (
	ErrNotFound  = errors.New("store: not found")
	ErrConflict  = errors.New("store: somebody was faster, or it exists already")
	ErrFull      = errors.New("store: no space is left on the disk")
	ErrCorrupt   = errors.New("store: the database is damaged")
	ErrNewer     = errors.New("store: the database was written by a newer version")
	ErrTooMany   = errors.New("store: the company has as many of these as it may")
	ErrNotHolder = errors.New("store: who makes a history key does not hold the one before")
	ErrReuse     = errors.New("store: a refresh token was used twice")
)

// NoPlace says that a policy limit is reached.
type NoPlace struct {
	Scope   string    // "profile" or "company"
	Holders []Session // who holds the places of that scope
}

// Error names the scope.
func (e *NoPlace) Error() string { return "store: no place left for the " + e.Scope }

// Company is a customer of the server's operator.
type Company struct {
	ID            grant.ID
	Name          string
	MaxSessions   int // live sessions of the company, 1..64
	MaxPerProfile int // live sessions of one profile, 1..64
	Rights        grant.Rights
	Suspended     bool
	Policy        Policy
	Created       time.Time
}

// Profile is a person of a company.
type Profile struct {
	ID       grant.ID
	Company  Company
	Email    string
	Name     string
	Password string // encoded argon2id hash
	TOTP     []byte // seed; empty: none
	Pending  []byte // seed that waits for its first code
	Step     int64  // last time step that was accepted
	Local    bool   // the account of the server's own computer
	Roles    []string
	Rights   grant.Rights // the person's entitlements; what counts is Rights & Company.Rights
	Disabled bool
	Created  time.Time
}

// Entitled returns the rights that the person's sessions may have.
func (p Profile) Entitled() grant.Rights { return p.Rights & p.Company.Rights }

// HasRole reports whether the profile has a role.
func (p Profile) HasRole(role string) bool {
	for _, r := range p.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// Console is one installation of the console, known by its key.
type Console struct {
	ID      grant.ID
	Profile grant.ID
	Key     grant.Key
	Name    string
}

// Hash is SHA-256 of a token.
type Hash [32]byte

// HashToken returns what is stored of a token.
func HashToken(t string) Hash { return sha256.Sum256([]byte(t)) }

// NewTokens are a pair of tokens to store, as hashes, and when they end.
type NewTokens struct {
	Access, Refresh               Hash
	AccessExpires, RefreshExpires time.Time
}

// Auth is who a valid access token speaks for.
type Auth struct {
	Profile Profile
	Console Console
	Family  grant.ID // the sign-in: all tokens that came of it
}

// Session is a session as stored.
type Session struct {
	ID            grant.ID
	Company       grant.ID
	CompanyName   string // read only
	Profile       grant.ID
	Technician    string       // display name; read only
	Entitled      grant.Rights // of the person, by now; read only
	Console       grant.ID
	ConsoleKey    grant.Key // read only
	Label         string
	Language      string
	State         string
	Created       time.Time
	InviteExpires time.Time
	Activated     time.Time // zero before
	Expires       time.Time // zero before activation
	Ended         time.Time // zero before
	EndedBy       grant.EndedBy
	RemovedAt     time.Time // zero before
	HostKey       grant.Key // zero before the host activated
	HostInstance  protocol.Instance
	Offer         grant.Signed
	ActConsole    *grant.Signed
	ActHost       *grant.Signed
	Grant         *grant.Signed
	EndedFact     *grant.Signed
	RemovedFact   *grant.Signed
	Rev           int64 // rises with each change; read only

	// A claim: another console of the same profile asks to go on with the
	// active session. Zero where there is none; ClaimUntil bounds the asking.
	Claim           grant.ID  // the console
	ClaimKey        grant.Key // read only
	ClaimUntil      time.Time
	ClaimOffer      *grant.Signed
	ClaimActConsole *grant.Signed
	ClaimActHost    *grant.Signed
}

// Claimed reports whether another console may talk to the session's host at now.
func (s Session) Claimed(now time.Time) bool {
	return s.ClaimOffer != nil && s.State == protocol.Active && now.Before(s.ClaimUntil)
}

// Drop forgets the claim.
func (s *Session) Drop() {
	s.Claim, s.ClaimKey, s.ClaimUntil = grant.ID{}, grant.Key{}, time.Time{}
	s.ClaimOffer, s.ClaimActConsole, s.ClaimActHost = nil, nil, nil
}

// Deadline returns when the session ends by itself: the invitation's end before
// activation, the session's after.
func (s Session) Deadline() time.Time {
	if s.Expires.IsZero() {
		return s.InviteExpires
	}
	return s.Expires
}

// Actor is who caused a change.
type Actor struct {
	Kind string // "console", "host", "server", "local"
	ID   string // console, instance or empty
}

// Entry is one link of the audit chain.
type Entry struct {
	Seq     int64
	At      time.Time
	Company grant.ID // zero: the server itself
	Session grant.ID // zero: none
	Actor   Actor
	Kind    string // "session.create", "session.active", …
	Detail  json.RawMessage
	Prev    Hash
	Hash    Hash
}

// Sum returns the entry's hash: SHA-256 over the context, the previous hash and
// every field with its length (so that no two entries have the same bytes).
func (e Entry) Sum() Hash {
	h := sha256.New()
	put := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	put([]byte("daypass audit v1"))
	put(e.Prev[:])
	put(binary.BigEndian.AppendUint64(nil, uint64(e.Seq)))
	put(binary.BigEndian.AppendUint64(nil, uint64(e.At.UnixMilli())))
	put(e.Company[:])
	put(e.Session[:])
	put([]byte(e.Actor.Kind))
	put([]byte(e.Actor.ID))
	put([]byte(e.Kind))
	put(e.Detail)
	return Hash(h.Sum(nil))
}

// Checkpoint is a signed statement of where the chain stood.
type Checkpoint struct {
	Seq  int64
	Hash Hash
	At   time.Time
	Sig  []byte // by the server's key, see CheckpointMessage
}

// CheckpointMessage returns what a checkpoint's signature covers.
func CheckpointMessage(seq int64, hash Hash, at time.Time) []byte {
	return fmt.Appendf(nil, "daypass audit checkpoint v1\x00%d\n%x\n%d", seq, hash, at.UnixMilli())
}

// Update changes a session inside a transaction and says what to write to the
// audit chain; an empty kind means that nothing changed and nothing is stored.
// It must be free of side effects: it may be called again when somebody was
// faster.
type Update func(s *Session) (kind string, detail any, err error)

// Store keeps the server's data. Every method is one transaction and safe for
// use by several goroutines. None may be retried blindly but those that only
// read.
type Store interface {
	PeopleStore
	HistoryStore

	// CreateAdmin adds a profile with the given password hash, making its
	// company if none has that name. ErrConflict: the address is taken.
	CreateAdmin(ctx context.Context, p Profile) (Profile, error)
	ProfileByEmail(ctx context.Context, email string) (Profile, error)
	Profile(ctx context.Context, id grant.ID) (Profile, error)

	// UseTOTP marks a time step as used; false if it or a later one was.
	UseTOTP(ctx context.Context, profile grant.ID, step int64) (bool, error)

	// SignIn binds the console's key to the profile and starts a family of
	// tokens.
	SignIn(ctx context.Context, profile grant.ID, key grant.Key, name string, t NewTokens, now time.Time) (Console, error)
	// KnownConsole reports whether key has signed in as the profile before.
	KnownConsole(ctx context.Context, profile grant.ID, key grant.Key) (bool, error)
	// Access returns whom a token speaks for; ErrNotFound if it is unknown or
	// over.
	Access(ctx context.Context, access Hash, now time.Time) (Auth, error)
	// Rotate replaces a refresh token. A token that was rotated already and
	// whose successor was used revokes the family: ErrReuse, with the family. A
	// successor that was never used (the answer got lost) is replaced.
	Rotate(ctx context.Context, refresh Hash, key grant.Key, t NewTokens, now time.Time) (Console, grant.ID, error)
	Revoke(ctx context.Context, family grant.ID, now time.Time) error

	// CreateSession stores s (ID, Company, Profile, Console, Label, Language,
	// Created, InviteExpires, Offer) as invited and takes a place for the
	// profile and one for the company. *NoPlace if there is none.
	CreateSession(ctx context.Context, s Session, by Actor) (Session, error)
	Session(ctx context.Context, id grant.ID) (Session, error)
	// Sessions returns the profile's sessions (profile zero: the company's) that
	// are live or ended after since, newest first, at most 500.
	Sessions(ctx context.Context, company, profile grant.ID, since time.Time) ([]Session, error)
	// Due returns sessions that are live past their deadline, or ended before
	// ended and still without a word about removal, at most 100; and when the
	// next live one will be due (zero: none).
	Due(ctx context.Context, now, ended time.Time) ([]Session, time.Time, error)
	// Update changes a session by compare-and-set; places are given back when it
	// stops being live.
	Update(ctx context.Context, id grant.ID, by Actor, now time.Time, f Update) (Session, error)
	// Usage returns how many places are taken.
	Usage(ctx context.Context, company, profile grant.ID) (mine, all int, err error)
	// Instance binds a host program to the key it first came with. ErrConflict:
	// another key. At most max are kept a session; the one seen longest ago and
	// not in keep makes room, else ErrFull.
	Instance(ctx context.Context, session grant.ID, i protocol.Instance, key grant.Key, now time.Time, max int, keep []protocol.Instance) error

	// Head returns the newest audit entry, its zero value if there is none.
	Head(ctx context.Context) (Entry, error)
	AddCheckpoint(ctx context.Context, c Checkpoint) error
	// Audit calls f with every entry in order, then with nothing more.
	Audit(ctx context.Context, f func(Entry) error) error
	Checkpoints(ctx context.Context) ([]Checkpoint, error)

	// Backup writes a whole, consistent copy into a new file.
	Backup(ctx context.Context, file string) error
	Close() error
}
