package console

import (
	"strings"

	"daypass/backend/desk"
)

// Next says what a sign-in still needs.
type Next struct {
	Next string `json:"next"` // "" or "code"
}

// JoinInfo says what a one-time code is for.
type JoinInfo struct {
	Company   string   `json:"company"`
	Email     string   `json:"email"`
	Name      string   `json:"name"`
	Roles     []string `json:"roles"`
	Reset     bool     `json:"reset"` // a new password, not a new colleague
	TOTP      bool     `json:"totp"`
	ExpiresAt int64    `json:"expiresAt"`
}

// Join is what a person gives to use a one-time code.
type Join struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	TOTP     string `json:"totp"`
}

// Proof is who is sitting there.
type Proof struct {
	Password string `json:"password"`
	TOTP     string `json:"totp"`
}

// SignIn signs in at the chosen server. Where only the second step's code is
// missing it says so instead of failing.
func (s *Setup) SignIn(in SignIn) (Next, error) {
	if err := bounded(1024, in.Email, in.Password, in.TOTP); err != nil {
		return Next{}, err
	}
	totp := strings.TrimSpace(in.TOTP)
	err := s.desk.SignIn(strings.TrimSpace(in.Email), in.Password, totp)
	if totp == "" && desk.NeedsCode(err) {
		return Next{Next: "code"}, nil
	}
	return Next{}, crossed(err)
}

// Look reads a one-time link or code.
func (s *Setup) Look(oneTime string) (JoinInfo, error) {
	if err := bounded(1024, oneTime); err != nil {
		return JoinInfo{}, err
	}
	i, err := s.desk.LookInvite(oneTime)
	return JoinInfo{Company: i.Company, Email: i.Email, Name: i.Name, Roles: i.Roles, Reset: i.Reset, TOTP: i.TOTP, ExpiresAt: unixMilli(i.Expires)}, crossed(err)
}

// Join uses the code that Look read.
func (s *Setup) Join(in Join) error {
	if err := bounded(1024, in.Name, in.Password, in.TOTP); err != nil {
		return err
	}
	return crossed(s.desk.Join(strings.TrimSpace(in.Name), in.Password, strings.TrimSpace(in.TOTP)))
}

// Leave goes back from the second step that has to be set up to signing in.
func (s *Setup) Leave() error { return crossed(s.desk.Leave()) }

// EndOf ends a session of a colleague (leads), or of another console of the
// same person.
func (s *Sessions) EndOf(id string) error { return s.byID(id, s.desk.EndOf) }

// Refresh asks the server for all sessions now.
func (s *Sessions) Refresh() error { return crossed(s.desk.Refresh()) }

// Team is the page of colleagues, policy and audit. The server decides who may
// what.
type Team struct{ desk *desk.Desk }

// form bounds what an admin says of a person.
func form(f desk.PersonForm) error {
	if err := bounded(16, f.Roles...); err != nil {
		return err
	}
	if err := bounded(16, f.Rights...); err != nil {
		return err
	}
	if len(f.Roles) > 8 || len(f.Rights) > 16 {
		return bounded(0, "x")
	}
	return bounded(300, f.Name)
}

// People returns the company's persons and pending invitations.
func (t *Team) People() (desk.People, error) {
	p, err := t.desk.People()
	return p, crossed(err)
}

// Consoles returns where a person is signed in.
func (t *Team) Consoles(person string) ([]desk.ConsoleInfo, error) {
	if err := bounded(64, person); err != nil {
		return nil, err
	}
	c, err := t.desk.Consoles(person)
	return c, crossed(err)
}

// Invite makes an invitation of a colleague.
func (t *Team) Invite(email string, f desk.PersonForm) (desk.OneTime, error) {
	if err := bounded(300, email); err != nil {
		return desk.OneTime{}, err
	}
	if err := form(f); err != nil {
		return desk.OneTime{}, err
	}
	o, err := t.desk.InvitePerson(email, f)
	return o, crossed(err)
}

func (t *Team) oneTime(id string, f func(string) (desk.OneTime, error)) (desk.OneTime, error) {
	if err := bounded(64, id); err != nil {
		return desk.OneTime{}, err
	}
	o, err := f(id)
	return o, crossed(err)
}

func (t *Team) byID(id string, f func(string) error) error {
	if err := bounded(64, id); err != nil {
		return err
	}
	return crossed(f(id))
}

// Again makes a new link for a pending invitation.
func (t *Team) Again(invitation string) (desk.OneTime, error) {
	return t.oneTime(invitation, t.desk.InviteAgain)
}

// RevokeInvitation takes a pending invitation back.
func (t *Team) RevokeInvitation(invitation string) error {
	return t.byID(invitation, t.desk.RevokeInvitation)
}

// Change sets name, roles and rights of a person.
func (t *Team) Change(person string, f desk.PersonForm) error {
	if err := form(f); err != nil {
		return err
	}
	return t.byID(person, func(id string) error { return t.desk.ChangePerson(id, f) })
}

// SetDisabled switches an account off or on and returns how many live sessions
// ended by it.
func (t *Team) SetDisabled(person string, off bool) (int, error) {
	if err := bounded(64, person); err != nil {
		return 0, err
	}
	n, err := t.desk.SetPersonDisabled(person, off)
	return n, crossed(err)
}

// ResetPassword makes a link by which a person sets a new password.
func (t *Team) ResetPassword(person string) (desk.OneTime, error) {
	return t.oneTime(person, t.desk.ResetPassword)
}

// ResetTOTP removes a person's second step.
func (t *Team) ResetTOTP(person string) error { return t.byID(person, t.desk.ResetTOTP) }

// RevokeConsole signs a person's console out and returns how many live sessions
// ended with it.
func (t *Team) RevokeConsole(person, id string) (int, error) {
	if err := bounded(64, person, id); err != nil {
		return 0, err
	}
	n, err := t.desk.RevokeConsole(id)
	return n, crossed(err)
}

// OpenMailProgram opens the mail program with the one-time link made last.
func (t *Team) OpenMailProgram(oneTime string) error {
	return t.byID(oneTime, t.desk.OpenInvitation)
}

// Policy returns the company's rules.
func (t *Team) Policy() (desk.Policy, error) {
	p, err := t.desk.Policy()
	return p, crossed(err)
}

// SetPolicy changes the company's rules.
func (t *Team) SetPolicy(p desk.Policy) error {
	if err := bounded(300, p.Name, p.TOTP, p.Mail); err != nil {
		return err
	}
	if err := form(desk.PersonForm{Rights: p.Rights}); err != nil {
		return err
	}
	return crossed(t.desk.SetPolicy(p))
}

// Audit returns entries of the server's audit.
func (t *Team) Audit(q desk.AuditQuery) (desk.AuditPage, error) {
	if err := bounded(64, q.Kind, q.Person); err != nil {
		return desk.AuditPage{}, err
	}
	p, err := t.desk.Audit(q)
	return p, crossed(err)
}

// VerifyAudit has the server check its audit.
func (t *Team) VerifyAudit() (desk.AuditVerdict, error) {
	v, err := t.desk.VerifyAudit()
	return v, crossed(err)
}

// Account is one's own account.
type Account struct{ desk *desk.Desk }

// Consoles returns where one is signed in.
func (a *Account) Consoles() ([]desk.ConsoleInfo, error) {
	c, err := a.desk.Consoles("")
	return c, crossed(err)
}

// ChangePassword sets another password.
func (a *Account) ChangePassword(old, now string) error {
	if err := bounded(1024, old, now); err != nil {
		return err
	}
	return crossed(a.desk.ChangePassword(old, now))
}

// BeginTOTP makes the secret of a second step.
func (a *Account) BeginTOTP(p Proof) (desk.Enrolment, error) {
	if err := bounded(1024, p.Password, p.TOTP); err != nil {
		return desk.Enrolment{}, err
	}
	e, err := a.desk.BeginTOTP(p.Password, strings.TrimSpace(p.TOTP))
	return e, crossed(err)
}

// ConfirmTOTP puts the second step into force and returns the recovery codes.
func (a *Account) ConfirmTOTP(code string) ([]string, error) {
	if err := bounded(32, code); err != nil {
		return nil, err
	}
	c, err := a.desk.ConfirmTOTP(code)
	return c, crossed(err)
}

// Kept says that the recovery codes are kept.
func (a *Account) Kept() error { return crossed(a.desk.Kept()) }

// NewRecoveryCodes replaces the recovery codes.
func (a *Account) NewRecoveryCodes(p Proof) ([]string, error) {
	if err := bounded(1024, p.Password, p.TOTP); err != nil {
		return nil, err
	}
	c, err := a.desk.NewRecoveryCodes(p.Password, strings.TrimSpace(p.TOTP))
	return c, crossed(err)
}

// RemoveTOTP removes the second step.
func (a *Account) RemoveTOTP(p Proof) error {
	if err := bounded(1024, p.Password, p.TOTP); err != nil {
		return err
	}
	return crossed(a.desk.RemoveTOTP(p.Password, strings.TrimSpace(p.TOTP)))
}

// RevokeConsole signs one of one's own consoles out.
func (a *Account) RevokeConsole(id string) (int, error) {
	if err := bounded(64, id); err != nil {
		return 0, err
	}
	n, err := a.desk.RevokeConsole(id)
	return n, crossed(err)
}
