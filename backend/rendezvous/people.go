package rendezvous

import (
	"context"
	"net/http"
	"net/url"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

// The types of people management; see protocol.
type (
	// Person is somebody of the company.
	Person = protocol.Person
	// PendingInvite is an invitation of a person that can still be used.
	PendingInvite = protocol.PendingInvite
	// People are the company's persons and pending invitations.
	People = protocol.People
	// Invite is an invitation of a person.
	Invite = protocol.Invite
	// OneTime is a code that works once: never log it.
	OneTime = protocol.OneTime
	// JoinInfo says what a code is for.
	JoinInfo = protocol.JoinInfo
	// SetPerson changes a person.
	SetPerson = protocol.SetPerson
	// PersonChanged is the person after the change.
	PersonChanged = protocol.PersonChanged
	// Computer is a computer where a person is signed in.
	Computer = protocol.Console
	// TOTPStarted is a second factor that waits for its first code.
	TOTPStarted = protocol.TOTPStarted
	// Company is the company's policy.
	Company = protocol.Company
	// SetCompany changes the company's policy.
	SetCompany = protocol.SetCompany
	// SessionFilter chooses from the company's sessions.
	SessionFilter = protocol.SessionFilter
	// SessionPage is a page of the company's sessions.
	SessionPage = protocol.SessionPage
	// AuditFilter chooses from the company's audit entries.
	AuditFilter = protocol.AuditFilter
	// AuditEntry is one entry of the audit chain.
	AuditEntry = protocol.AuditEntry
	// AuditPage is a page of the company's audit entries.
	AuditPage = protocol.AuditPage
	// AuditVerdict says whether the server's audit chain is whole.
	AuditVerdict = protocol.AuditVerdict
)

// Roles and policies; see protocol.
const (
	RoleTechnician = protocol.RoleTechnician
	RoleLead       = protocol.RoleLead
	RoleAdmin      = protocol.RoleAdmin
	TOTPLeads      = protocol.TOTPLeads
	TOTPEveryone   = protocol.TOTPEveryone
	MailConsole    = protocol.MailConsole
	MailServer     = protocol.MailServer
	MinPassword    = protocol.MinPassword
)

// What is answered besides ErrEnrol by every request below that an account's
// role does not allow: fault.Denied.

// People returns who is in the company, and pending invitations. Leads and
// admins.
func (c *Client) People(ctx context.Context) (People, error) {
	var p People
	return p, c.out(ctx, "people.list", http.MethodGet, "/people", nil, &p)
}

// Invite makes an invitation of a colleague. Its code is shown this once.
// Admins. Faults: Conflict (the address has an account), Invalid.
func (c *Client) Invite(ctx context.Context, in Invite) (OneTime, error) {
	var o OneTime
	return o, c.out(ctx, "people.invite", http.MethodPost, "/people/invite", in, &o)
}

// RevokeInvite ends a pending invitation. Admins. Idempotent.
func (c *Client) RevokeInvite(ctx context.Context, id grant.ID) error {
	return c.out(ctx, "people.uninvite", http.MethodPost, "/people/invites/"+id.String()+"/revoke", struct{}{}, nil)
}

// LookInvite says what a code is for, without using it. Needs no sign-in.
// Faults: NotFound, Expired, Conflict (it was used), Limit.
func (c *Client) LookInvite(ctx context.Context, code string) (JoinInfo, error) {
	var j JoinInfo
	return j, c.call.call(ctx, "account.look", http.MethodPost, protocol.Base+"/join/look", "", protocol.Look{Code: code}, &j)
}

// AcceptInvite is what a person gives to use a code.
type AcceptInvite struct {
	Code        string
	Name        string // empty: as invited; ignored for a reset
	Password    string // ≥ MinPassword characters
	TOTP        string // reset of an account with a second factor
	ConsoleName string // name of this computer
}

// AcceptInvite uses a code: it sets the password and signs in. Profile.Enrol
// then says whether a second factor must be set up first. Faults: as
// LookInvite; Invalid (the password), SignedOut with ErrTOTP.
func (c *Client) AcceptInvite(ctx context.Context, in AcceptInvite) (Profile, error) {
	var out protocol.SignedIn
	body := protocol.Join{Code: in.Code, Name: in.Name, Password: in.Password, TOTP: in.TOTP, Console: in.ConsoleName}
	if err := c.call.call(ctx, "account.join", http.MethodPost, protocol.Base+"/join", "", body, &out); err != nil {
		return Profile{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return out.Profile, c.save(out.Tokens)
}

func personPath(id grant.ID, what string) string { return "/people/" + id.String() + what }

// SetPerson changes name, roles, rights or being switched on. Switching off
// ends the person's sign-ins and live sessions at once; PersonChanged says how
// many. Admins. Faults: Conflict (the last admin), NotFound, Invalid.
func (c *Client) SetPerson(ctx context.Context, id grant.ID, in SetPerson) (PersonChanged, error) {
	var p PersonChanged
	return p, c.out(ctx, "people.set", http.MethodPost, personPath(id, ""), in, &p)
}

// ResetPassword ends a person's password and sign-ins and makes a code with
// which the person sets a new one. Admins, for others.
func (c *Client) ResetPassword(ctx context.Context, id grant.ID) (OneTime, error) {
	var o OneTime
	return o, c.out(ctx, "people.reset", http.MethodPost, personPath(id, "/reset"), struct{}{}, &o)
}

// ResetTOTP removes a person's second factor and recovery codes and ends the
// sign-ins; where one is demanded, the next sign-in sets up a new one. Admins,
// for others.
func (c *Client) ResetTOTP(ctx context.Context, id grant.ID) error {
	return c.out(ctx, "people.totp", http.MethodPost, personPath(id, "/totp/reset"), struct{}{}, nil)
}

// Consoles returns where a person is signed in. One's own, or as an admin.
func (c *Client) Consoles(ctx context.Context, person grant.ID) ([]Computer, error) {
	var l protocol.Consoles
	err := c.out(ctx, "consoles.list", http.MethodGet, personPath(person, "/consoles"), nil, &l)
	return l.Consoles, err
}

// RevokeConsole ends a console's sign-ins, its socket and its live sessions at
// once, and returns how many sessions ended. One's own, or as an admin.
func (c *Client) RevokeConsole(ctx context.Context, console grant.ID) (ended int, err error) {
	var r protocol.Revoked
	err = c.out(ctx, "consoles.revoke", http.MethodPost, "/consoles/"+console.String()+"/revoke", struct{}{}, &r)
	return r.Ended, err
}

// ChangePassword sets another password and ends every other sign-in of the
// person. Faults: SignedOut (old is wrong), Invalid (new), Limit.
func (c *Client) ChangePassword(ctx context.Context, old, new string) error {
	return c.out(ctx, "account.password", http.MethodPost, "/password", protocol.ChangePassword{Old: old, New: new}, nil)
}

// StartTOTP makes the secret of a new second factor; ConfirmTOTP puts it into
// force. password is asked for, and totp (a one-time or recovery code), where
// there is a second factor already.
func (c *Client) StartTOTP(ctx context.Context, password, totp string) (TOTPStarted, error) {
	var s TOTPStarted
	return s, c.out(ctx, "account.totp", http.MethodPost, "/totp/start", protocol.Proving{Password: password, TOTP: totp}, &s)
}

// ConfirmTOTP puts the second factor into force by its first code and returns
// new recovery codes, to be shown this once. Faults: SignedOut with ErrTOTP
// (the code is wrong), Conflict (nothing was started).
func (c *Client) ConfirmTOTP(ctx context.Context, code string) ([]string, error) {
	var r protocol.RecoveryCodes
	err := c.out(ctx, "account.totp", http.MethodPost, "/totp/confirm", protocol.TOTPConfirm{Code: code}, &r)
	return r.Codes, err
}

// RemoveTOTP removes one's second factor. Faults: Denied (it is demanded),
// SignedOut (password or code is wrong).
func (c *Client) RemoveTOTP(ctx context.Context, password, totp string) error {
	return c.out(ctx, "account.totp", http.MethodPost, "/totp/remove", protocol.Proving{Password: password, TOTP: totp}, nil)
}

// NewRecoveryCodes replaces one's recovery codes, used or not.
func (c *Client) NewRecoveryCodes(ctx context.Context, password, totp string) ([]string, error) {
	var r protocol.RecoveryCodes
	err := c.out(ctx, "account.totp", http.MethodPost, "/totp/codes", protocol.Proving{Password: password, TOTP: totp}, &r)
	return r.Codes, err
}

// Company returns the company's policy. Everybody.
func (c *Client) Company(ctx context.Context) (Company, error) {
	var p Company
	return p, c.out(ctx, "company.get", http.MethodGet, "/company", nil, &p)
}

// SetCompany changes the company's policy. Admins. Sessions that were activated
// keep what was signed for them.
func (c *Client) SetCompany(ctx context.Context, in SetCompany) (Company, error) {
	var p Company
	return p, c.out(ctx, "company.set", http.MethodPost, "/company", in, &p)
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// CompanySessions returns all sessions of the company, newest first, by pages.
// Leads. A lead ends one with End and a grant.Ended By lead.
func (c *Client) CompanySessions(ctx context.Context, f SessionFilter) (SessionPage, error) {
	var p SessionPage
	return p, c.out(ctx, "company.sessions", http.MethodGet, withQuery("/company/sessions", f.Values()), nil, &p)
}

// Audit returns the company's audit entries, newest first, by pages. Admins.
func (c *Client) Audit(ctx context.Context, f AuditFilter) (AuditPage, error) {
	var p AuditPage
	return p, c.out(ctx, "audit.list", http.MethodGet, withQuery("/audit", f.Values()), nil, &p)
}

// VerifyAudit has the server check its whole chain and checkpoints. Admins.
func (c *Client) VerifyAudit(ctx context.Context) (AuditVerdict, error) {
	var v AuditVerdict
	return v, c.out(ctx, "audit.verify", http.MethodGet, "/audit/verify", nil, &v)
}
