package protocol

import (
	"encoding/json"
	"time"

	"daypass/backend/grant"
)

// Roles. They add up: everybody is a technician; a lead also sees and ends the
// company's sessions; an admin also looks after people, policy and audit.
const (
	RoleTechnician = "technician"
	RoleLead       = "lead"
	RoleAdmin      = "admin"
)

// Who needs a second factor besides leads and admins, who always do.
const (
	TOTPLeads    = "leads"    // nobody besides
	TOTPEveryone = "everyone" // technicians, too
)

// Who sends the invitation of a customer.
const (
	MailConsole = "console" // the technician's console: the server never sees the link's password
	MailServer  = "server"  // the server: it then knows the password, and only the spoken code protects
)

// CodeEnrol says that a second factor must be set up before anything else is
// allowed: only profile, sign-out, password and TOTP requests are answered.
const CodeEnrol = "enrol"

// Bounds of what people choose.
const (
	MinPassword = 12   // characters
	MaxPassword = 1024 // bytes
	MaxPlaces   = 64   // live sessions of a company or a person
	MaxPage     = 100  // entries of one answer
	MaxDays     = 30   // life of an invitation of a person
)

// Person is somebody of the company.
type Person struct {
	ID       grant.ID     `json:"id"`
	Email    string       `json:"email"`
	Name     string       `json:"name"`
	Roles    []string     `json:"roles"`
	Rights   grant.Rights `json:"rights"`   // the person's own entitlements
	Entitled grant.Rights `json:"entitled"` // what new sessions get: Rights, the company's, and what this version can do
	Disabled bool         `json:"disabled"`
	TOTP     bool         `json:"totp"`      // has a second factor
	MustTOTP bool         `json:"must_totp"` // role or policy demand one
	Reset    bool         `json:"reset"`     // waits for a new password, by a code that was handed out
	Local    bool         `json:"local"`     // the account of the computer that the server runs on, inside the console
	Self     bool         `json:"self"`
	Created  time.Time    `json:"created"`
	LastSeen time.Time    `json:"last_seen"` // latest sign-in or renewal; zero: never
	Consoles int          `json:"consoles"`  // signed in now
	Live     []Holder     `json:"live"`
}

// PendingInvite is an invitation of a person that can still be used.
type PendingInvite struct {
	ID      grant.ID     `json:"id"`
	Email   string       `json:"email"`
	Name    string       `json:"name"`
	Roles   []string     `json:"roles"`
	Rights  grant.Rights `json:"rights"`
	By      string       `json:"by"` // name of who invited
	Created time.Time    `json:"created"`
	Expires time.Time    `json:"expires"`
}

// People answers GET Base/people.
type People struct {
	People  []Person        `json:"people"` // by name
	Invites []PendingInvite `json:"invites"`
}

// Invite is the body of POST Base/people/invite. An earlier invitation of the
// same address ends.
type Invite struct {
	Email  string       `json:"email"`
	Name   string       `json:"name"` // may be empty: the person says it
	Roles  []string     `json:"roles"`
	Rights grant.Rights `json:"rights"`
	Days   int          `json:"days,omitempty"` // 1..MaxDays; 0: 7
}

// OneTime answers invite and reset: a code that works once. Only its hash is
// stored, so this is the only time it can be seen.
type OneTime struct {
	ID      grant.ID  `json:"id"`
	Code    string    `json:"code"` // 20 characters of Crockford base32 in groups of five
	Link    string    `json:"link"` // the server's address with the code behind #
	Email   string    `json:"email"`
	Expires time.Time `json:"expires"`
}

// Look is the body of POST Base/join/look: what is this code for?
type Look struct {
	Code string `json:"code"`
}

// JoinInfo answers look.
type JoinInfo struct {
	Company string    `json:"company"`
	Email   string    `json:"email"`
	Name    string    `json:"name"`
	Roles   []string  `json:"roles"`
	Reset   bool      `json:"reset"` // a new password for an account that exists, not a new colleague
	TOTP    bool      `json:"totp"`  // Reset: the second factor is asked for; else: it will have to be set up
	Expires time.Time `json:"expires"`
}

// Join is the body of POST Base/join; it answers SignedIn.
type Join struct {
	Code     string `json:"code"`
	Name     string `json:"name,omitempty"` // empty: as invited. Ignored for a reset
	Password string `json:"password"`
	TOTP     string `json:"totp,omitempty"` // reset of an account with a second factor: one-time or recovery code
	Console  string `json:"console"`
}

// SetPerson is the body of POST Base/people/{id}. Nil leaves as it is.
type SetPerson struct {
	Name     *string       `json:"name,omitempty"`
	Roles    *[]string     `json:"roles,omitempty"`
	Rights   *grant.Rights `json:"rights,omitempty"`
	Disabled *bool         `json:"disabled,omitempty"` // true ends the person's sign-ins and live sessions
}

// PersonChanged answers SetPerson.
type PersonChanged struct {
	Person Person `json:"person"`
	Ended  int    `json:"ended"` // live sessions that ended by it
}

// Console is one computer where a person is or was signed in.
type Console struct {
	ID       grant.ID  `json:"id"`
	Name     string    `json:"name"`
	Created  time.Time `json:"created"` // first sign-in
	LastSeen time.Time `json:"last_seen"`
	Online   bool      `json:"online"` // its socket is open
	This     bool      `json:"this"`   // the one that asks
	Sessions int       `json:"sessions"`
}

// Consoles answers GET Base/people/{id}/consoles: those signed in, newest first.
type Consoles struct {
	Consoles []Console `json:"consoles"`
}

// Revoked answers a revocation.
type Revoked struct {
	Ended int `json:"ended"` // live sessions of that console, which ended with it
}

// ChangePassword is the body of POST Base/password. Every other sign-in of the
// person ends.
type ChangePassword struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// Proving is the body of requests that ask who is sitting there.
type Proving struct {
	Password string `json:"password"`
	TOTP     string `json:"totp,omitempty"` // or a recovery code; needed where there is a second factor
}

// TOTPStarted answers POST Base/totp/start.
type TOTPStarted struct {
	Secret string `json:"secret"` // base32 (RFC 4648, no padding), for typing
	URI    string `json:"uri"`    // otpauth://totp/…, for a QR code
}

// TOTPConfirm is the body of POST Base/totp/confirm.
type TOTPConfirm struct {
	Code string `json:"code"` // that the authenticator shows now
}

// RecoveryCodes answers confirm and codes: each signs in once instead of the
// second factor. Only hashes are stored.
type RecoveryCodes struct {
	Codes []string `json:"codes"`
}

// Contact is whom a colleague may ask: an admin or a lead.
type Contact struct {
	Name string `json:"name"`
	Role string `json:"role"` // RoleAdmin or RoleLead; an admin who is a lead, too, is there twice
}

// MaxContacts bounds Company.Contacts.
const MaxContacts = 16

// Company is the company's policy.
type Company struct {
	Name          string       `json:"name"`
	MaxSessions   int          `json:"max_sessions"`    // live sessions, 1..MaxPlaces
	MaxPerProfile int          `json:"max_per_profile"` // of one person
	Rights        grant.Rights `json:"rights"`          // the most that anybody's sessions get
	Offered       grant.Rights `json:"offered"`         // what this server's version can do; read only
	TOTP          string       `json:"totp"`            // TOTPLeads or TOTPEveryone
	Mail          string       `json:"mail"`            // MailConsole or MailServer
	HistoryMonths int          `json:"history_months"`  // how long the history is kept after a session's end, 0 (for good) .. MaxHistoryMonths
	Used          int          `json:"used"`            // places taken now; read only
	Contacts      []Contact    `json:"contacts"`        // by name, MaxContacts at most; read only
}

// SetCompany is the body of POST Base/company; it answers Company. Nil leaves
// as it is. Sessions that were activated keep what was signed for them.
type SetCompany struct {
	Name          *string       `json:"name,omitempty"`
	MaxSessions   *int          `json:"max_sessions,omitempty"`
	MaxPerProfile *int          `json:"max_per_profile,omitempty"`
	Rights        *grant.Rights `json:"rights,omitempty"`
	TOTP          *string       `json:"totp,omitempty"`
	Mail          *string       `json:"mail,omitempty"`
	HistoryMonths *int          `json:"history_months,omitempty"`
}

// SessionFilter is the query of GET Base/company/sessions. Zero fields do not
// filter.
type SessionFilter struct {
	Live       bool      // only live ones
	States     []string  // any of these
	Technician grant.ID  // person
	Text       string    // part of label or technician's name, ≤ 120 bytes
	From, To   time.Time // created in [From, To)
	Before     string    // SessionPage.Next of the page before
	Limit      int       // 1..MaxPage; 0: 50
}

// SessionPage answers GET Base/company/sessions, newest first.
type SessionPage struct {
	Sessions []Session `json:"sessions"`
	Next     string    `json:"next,omitempty"` // empty: no more
}

// AuditFilter is the query of GET Base/audit. Zero fields do not filter.
type AuditFilter struct {
	Kind     string    // beginning of the kind: "session.", "person.", "console.signin"
	Person   grant.ID  // who did it, or whom it is about
	Session  grant.ID  // about this session
	From, To time.Time // in [From, To)
	Before   int64     // entries before this number
	Limit    int       // 1..MaxPage; 0: 50
}

// AuditEntry is one entry of the company.
type AuditEntry struct {
	Seq       int64           `json:"seq"`
	At        time.Time       `json:"at"`
	Kind      string          `json:"kind"`
	ActorKind string          `json:"actor_kind"`        // console, host, server, local (a command on the server's own computer)
	Actor     string          `json:"actor,omitempty"`   // name of the person, where one did it
	Person    string          `json:"person,omitempty"`  // name of whom it is about
	Session   string          `json:"session,omitempty"` // ID; empty: none
	Label     string          `json:"label,omitempty"`   // of the session
	Detail    json.RawMessage `json:"detail"`
	Hash      string          `json:"hash"` // hexadecimal
}

// AuditPage answers GET Base/audit, newest first.
type AuditPage struct {
	Entries []AuditEntry `json:"entries"`
	Next    int64        `json:"next,omitempty"` // for AuditFilter.Before; 0: no more
}

// AuditVerdict answers GET Base/audit/verify: the whole chain of the server,
// with its signed checkpoints.
type AuditVerdict struct {
	OK          bool      `json:"ok"`
	Entries     int       `json:"entries"`
	Checkpoints int       `json:"checkpoints"`
	Problem     string    `json:"problem,omitempty"` // what is wrong first
	At          time.Time `json:"at"`
	Key         grant.Key `json:"key"` // that signs the checkpoints
}
