package desk

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/mail"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
)

// Directory is what the signaling server answers about people, policy and
// audit; *rendezvous.Client implements it. See there for faults.
type Directory interface {
	People(context.Context) (rendezvous.People, error)
	Invite(context.Context, rendezvous.Invite) (rendezvous.OneTime, error)
	RevokeInvite(context.Context, grant.ID) error
	LookInvite(ctx context.Context, code string) (rendezvous.JoinInfo, error)
	AcceptInvite(context.Context, rendezvous.AcceptInvite) (rendezvous.Profile, error)
	SetPerson(context.Context, grant.ID, rendezvous.SetPerson) (rendezvous.PersonChanged, error)
	ResetPassword(context.Context, grant.ID) (rendezvous.OneTime, error)
	ResetTOTP(context.Context, grant.ID) error
	Consoles(context.Context, grant.ID) ([]rendezvous.Computer, error)
	RevokeConsole(context.Context, grant.ID) (ended int, err error)
	ChangePassword(ctx context.Context, old, new string) error
	StartTOTP(ctx context.Context, password, totp string) (rendezvous.TOTPStarted, error)
	ConfirmTOTP(ctx context.Context, code string) ([]string, error)
	RemoveTOTP(ctx context.Context, password, totp string) error
	NewRecoveryCodes(ctx context.Context, password, totp string) ([]string, error)
	Company(context.Context) (rendezvous.Company, error)
	SetCompany(context.Context, rendezvous.SetCompany) (rendezvous.Company, error)
	Audit(context.Context, rendezvous.AuditFilter) (rendezvous.AuditPage, error)
	VerifyAudit(context.Context) (rendezvous.AuditVerdict, error)
}

// Person is somebody of the company, as the page shows it.
type Person struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Email     string   `json:"email"`
	Roles     []string `json:"roles"`
	Rights    []string `json:"rights"`   // what an admin allows the person
	Entitled  []string `json:"entitled"` // what the person's new sessions get
	Disabled  bool     `json:"disabled"`
	TOTP      bool     `json:"totp"`
	MustTOTP  bool     `json:"mustTotp"`
	Reset     bool     `json:"reset"` // waits for a new password
	Self      bool     `json:"self"`
	CreatedAt int64    `json:"createdAt"`
	LastSeen  int64    `json:"lastSeen,omitempty"`
	Consoles  int      `json:"consoles"`
	Live      []Holder `json:"live"`
}

// Invited is a colleague who has not come yet.
type Invited struct {
	ID        string   `json:"id"`
	Email     string   `json:"email"`
	Name      string   `json:"name"`
	Roles     []string `json:"roles"`
	Rights    []string `json:"rights"`
	InvitedBy string   `json:"invitedBy"`
	CreatedAt int64    `json:"createdAt"`
	ExpiresAt int64    `json:"expiresAt"`
}

// People are the company's persons and pending invitations.
type People struct {
	People      []Person  `json:"people"`
	Invitations []Invited `json:"invitations"`
}

// ConsoleInfo is a computer where somebody is signed in.
type ConsoleInfo struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	CreatedAt int64  `json:"createdAt"`
	LastSeen  int64  `json:"lastSeen,omitempty"`
	Online    bool   `json:"online"`
	Here      bool   `json:"here"`     // this console
	Sessions  int    `json:"sessions"` // live ones, which would end with it
}

// PersonForm is what an admin says of a person. Rights are names as
// session.Names writes them.
type PersonForm struct {
	Name   string   `json:"name"`
	Roles  []string `json:"roles"`
	Rights []string `json:"rights"`
}

// OneTime is a link and a code that work once: never to be logged or stored.
type OneTime struct {
	ID        string `json:"id"`
	Link      string `json:"link"`
	Code      string `json:"code"`
	Email     string `json:"email"`
	ExpiresAt int64  `json:"expiresAt"`
}

// Policy are the company's rules. Zero is no value of any field but Months.
type Policy struct {
	Name       string   `json:"name"`
	PerPerson  int      `json:"perPerson"`
	PerCompany int      `json:"perCompany"`
	Rights     []string `json:"rights"`
	Offered    []string `json:"offered"` // read only
	TOTP       string   `json:"totp"`    // "leads" or "everyone"
	Mail       string   `json:"mail"`    // "console" or "server"
	Months     int      `json:"months"`  // how long the history is kept after a session's end, 0: for good
	Used       int      `json:"used"`    // read only
}

// AuditQuery asks for entries of the server's audit. Zero does not filter.
type AuditQuery struct {
	Kind   string `json:"kind"` // beginning of the kind
	Person string `json:"person"`
	From   int64  `json:"from"` // unix milliseconds
	To     int64  `json:"to"`
	Before int64  `json:"before"` // AuditPage.Next of the page before
}

// AuditRow is one entry.
type AuditRow struct {
	Seq       int64  `json:"seq"`
	At        int64  `json:"at"`
	Kind      string `json:"kind"`
	ActorKind string `json:"actorKind"`
	Actor     string `json:"actor"`
	Person    string `json:"person"`
	Session   string `json:"session"`
	Label     string `json:"label"`
	Detail    string `json:"detail"` // JSON
}

// AuditPage is a page of entries, newest first.
type AuditPage struct {
	Rows []AuditRow `json:"rows"`
	Next int64      `json:"next"` // 0: no more
}

// AuditVerdict says whether the server's audit is whole.
type AuditVerdict struct {
	OK          bool   `json:"ok"`
	Entries     int    `json:"entries"`
	Checkpoints int    `json:"checkpoints"`
	Problem     string `json:"problem"`
	At          int64  `json:"at"`
}

// asked runs f with the present server, outside the loop, and bounded in time.
func asked[T any](d *Desk, f func(context.Context, Signaling) (T, error)) (T, error) {
	var sig Signaling
	var none T
	if err := d.look(func() error {
		if sig = d.sig; sig == nil {
			return notReady()
		}
		return nil
	}); err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(d.ctx, serverTimeout)
	defer cancel()
	return f(ctx, sig)
}

// told is asked for what answers with nothing.
func told(d *Desk, f func(context.Context, Signaling) error) error {
	_, err := asked(d, func(ctx context.Context, s Signaling) (struct{}, error) { return struct{}{}, f(ctx, s) })
	return err
}

func personID(op, id string) (grant.ID, error) {
	g, err := grant.ParseID(id)
	if err != nil {
		return g, fault.New(fault.NotFound, op, "There is no such person.", "Look at the list again.")
	}
	return g, nil
}

func orEmpty[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func holders(list []rendezvous.Holder) []Holder {
	out := []Holder{}
	for _, h := range list {
		out = append(out, Holder{ID: h.ID.String(), Label: h.Label, Technician: h.Technician, State: h.State, Since: ms(h.Since), Mine: h.Mine})
	}
	return out
}

// People returns who is in the company. Leads and admins.
func (d *Desk) People() (People, error) {
	return asked(d, func(ctx context.Context, s Signaling) (People, error) {
		p, err := s.People(ctx)
		out := People{People: []Person{}, Invitations: []Invited{}}
		for _, x := range p.People {
			out.People = append(out.People, Person{
				ID: x.ID.String(), Name: x.Name, Email: x.Email, Roles: orEmpty(x.Roles), Rights: session.Names(x.Rights), Entitled: session.Names(x.Entitled),
				Disabled: x.Disabled, TOTP: x.TOTP, MustTOTP: x.MustTOTP, Reset: x.Reset, Self: x.Self, CreatedAt: ms(x.Created), LastSeen: ms(x.LastSeen),
				Consoles: x.Consoles, Live: holders(x.Live),
			})
		}
		for _, x := range p.Invites {
			out.Invitations = append(out.Invitations, Invited{
				ID: x.ID.String(), Email: x.Email, Name: x.Name, Roles: orEmpty(x.Roles), Rights: session.Names(x.Rights), InvitedBy: x.By,
				CreatedAt: ms(x.Created), ExpiresAt: ms(x.Expires),
			})
		}
		return out, err
	})
}

func showConsoles(list []rendezvous.Computer) []ConsoleInfo {
	out := []ConsoleInfo{}
	for _, c := range list {
		out = append(out, ConsoleInfo{
			ID: c.ID.String(), Name: c.Name, CreatedAt: ms(c.Created), LastSeen: ms(c.LastSeen), Online: c.Online, Here: c.This, Sessions: c.Sessions,
		})
	}
	return out
}

// Consoles returns where a person is signed in; "" is oneself.
func (d *Desk) Consoles(person string) ([]ConsoleInfo, error) {
	return asked(d, func(ctx context.Context, s Signaling) ([]ConsoleInfo, error) {
		if person == "" {
			p, err := s.Profile(ctx)
			if err != nil {
				return nil, err
			}
			person = p.ID
		}
		id, err := personID("consoles.list", person)
		if err != nil {
			return nil, err
		}
		list, err := s.Consoles(ctx, id)
		return showConsoles(list), err
	})
}

// RevokeConsole signs a console out and returns how many live sessions ended
// with it.
func (d *Desk) RevokeConsole(console string) (int, error) {
	return asked(d, func(ctx context.Context, s Signaling) (int, error) {
		id, err := grant.ParseID(console)
		if err != nil {
			return 0, fault.New(fault.NotFound, "consoles.revoke", "There is no such console.", "Look at the list again.")
		}
		return s.RevokeConsole(ctx, id)
	})
}

func rights(op string, list []string) (grant.Rights, error) {
	r, ok := session.ParseNames(list)
	if !ok {
		return 0, fault.New(fault.Invalid, op, "This right is not known.", "Update Daypass.")
	}
	return r, nil
}

// keep remembers a one-time link until the next, for OpenInvitation.
func (d *Desk) keep(o rendezvous.OneTime, name string, reset bool) (OneTime, error) {
	out := OneTime{ID: o.ID.String(), Link: o.Link, Code: o.Code, Email: o.Email, ExpiresAt: ms(o.Expires)}
	return out, d.look(func() error {
		m := mail.Colleague{Language: d.settings.Language, To: o.Email, Name: name, Link: o.Link, Reset: reset, Expires: o.Expires}
		if d.profile != nil {
			m.From, m.Company = d.profile.Name, d.profile.Company
		}
		d.handOut = &handOut{id: out.ID, message: m}
		return nil
	})
}

// handOut is the last one-time link that was made here. It belongs to the loop.
type handOut struct {
	id      string
	message mail.Colleague
}

// OpenInvitation opens the mail program with the one-time link made last.
func (d *Desk) OpenInvitation(id string) error {
	var m mail.Message
	var link string
	if err := d.look(func() error {
		if d.handOut == nil || d.handOut.id != id {
			return fault.New(fault.NotFound, "people.mail", "This link is not here any more.", "Make a new one.")
		}
		m, link = d.handOut.message.Write(), d.handOut.message.Link
		return nil
	}); err != nil {
		return err
	}
	if err := d.cfg.System.OpenMail(mail.MailTo(m, link)); err != nil {
		return fault.Wrap(err, fault.Unsupported, "people.mail", "The mail program could not be opened.", "Copy the link and send it yourself.")
	}
	return nil
}

// InvitePerson makes an invitation of a colleague. Admins.
func (d *Desk) InvitePerson(email string, f PersonForm) (OneTime, error) {
	r, err := rights("people.invite", f.Rights)
	if err != nil {
		return OneTime{}, err
	}
	o, err := asked(d, func(ctx context.Context, s Signaling) (rendezvous.OneTime, error) {
		return s.Invite(ctx, rendezvous.Invite{Email: strings.TrimSpace(email), Name: strings.TrimSpace(f.Name), Roles: f.Roles, Rights: r})
	})
	if err != nil {
		return OneTime{}, err
	}
	return d.keep(o, strings.TrimSpace(f.Name), false)
}

// InviteAgain makes a new link for a pending invitation; the earlier one ends.
func (d *Desk) InviteAgain(id string) (OneTime, error) {
	var name string
	o, err := asked(d, func(ctx context.Context, s Signaling) (rendezvous.OneTime, error) {
		p, err := s.People(ctx)
		if err != nil {
			return rendezvous.OneTime{}, err
		}
		i := slices.IndexFunc(p.Invites, func(x rendezvous.PendingInvite) bool { return x.ID.String() == id })
		if i < 0 {
			return rendezvous.OneTime{}, fault.New(fault.NotFound, "people.invite", "This invitation was used or has ended.", "Look at the list again.")
		}
		x := p.Invites[i]
		name = x.Name
		return s.Invite(ctx, rendezvous.Invite{Email: x.Email, Name: x.Name, Roles: x.Roles, Rights: x.Rights})
	})
	if err != nil {
		return OneTime{}, err
	}
	return d.keep(o, name, false)
}

// RevokeInvitation takes a pending invitation back.
func (d *Desk) RevokeInvitation(id string) error {
	return told(d, func(ctx context.Context, s Signaling) error {
		g, err := grant.ParseID(id)
		if err != nil {
			return fault.New(fault.NotFound, "people.uninvite", "This invitation was used or has ended.", "Look at the list again.")
		}
		return s.RevokeInvite(ctx, g)
	})
}

// ChangePerson sets name, roles and rights of a person. Admins.
func (d *Desk) ChangePerson(person string, f PersonForm) error {
	r, err := rights("people.set", f.Rights)
	if err != nil {
		return err
	}
	err = told(d, func(ctx context.Context, s Signaling) error {
		id, err := personID("people.set", person)
		if err != nil {
			return err
		}
		name := strings.TrimSpace(f.Name)
		_, err = s.SetPerson(ctx, id, rendezvous.SetPerson{Name: &name, Roles: &f.Roles, Rights: &r})
		return err
	})
	if err == nil {
		d.refreshSelf()
	}
	return err
}

// SetPersonDisabled switches a person's account off or on and returns how many
// live sessions ended by it.
func (d *Desk) SetPersonDisabled(person string, off bool) (int, error) {
	return asked(d, func(ctx context.Context, s Signaling) (int, error) {
		id, err := personID("people.set", person)
		if err != nil {
			return 0, err
		}
		c, err := s.SetPerson(ctx, id, rendezvous.SetPerson{Disabled: &off})
		return c.Ended, err
	})
}

// ResetPassword ends a person's password and makes a link for a new one.
func (d *Desk) ResetPassword(person string) (OneTime, error) {
	o, err := asked(d, func(ctx context.Context, s Signaling) (rendezvous.OneTime, error) {
		id, err := personID("people.reset", person)
		if err != nil {
			return rendezvous.OneTime{}, err
		}
		return s.ResetPassword(ctx, id)
	})
	if err != nil {
		return OneTime{}, err
	}
	return d.keep(o, "", true)
}

// ResetTOTP removes a person's second step.
func (d *Desk) ResetTOTP(person string) error {
	return told(d, func(ctx context.Context, s Signaling) error {
		id, err := personID("people.totp", person)
		if err != nil {
			return err
		}
		return s.ResetTOTP(ctx, id)
	})
}

// Policy returns the company's rules.
func (d *Desk) Policy() (Policy, error) {
	return asked(d, func(ctx context.Context, s Signaling) (Policy, error) {
		c, err := s.Company(ctx)
		return Policy{
			Name: c.Name, PerPerson: c.MaxPerProfile, PerCompany: c.MaxSessions, Rights: session.Names(c.Rights & c.Offered), Offered: session.Names(c.Offered),
			TOTP: c.TOTP, Mail: c.Mail, Months: c.HistoryMonths, Used: c.Used,
		}, err
	})
}

// SetPolicy changes what differs from the present rules. Admins.
func (d *Desk) SetPolicy(p Policy) error {
	want, err := rights("company.set", p.Rights)
	if err != nil {
		return err
	}
	err = told(d, func(ctx context.Context, s Signaling) error {
		now, err := s.Company(ctx)
		if err != nil {
			return err
		}
		var set rendezvous.SetCompany
		differ(&set.Name, strings.TrimSpace(p.Name), now.Name)
		differ(&set.MaxSessions, p.PerCompany, now.MaxSessions)
		differ(&set.MaxPerProfile, p.PerPerson, now.MaxPerProfile)
		differ(&set.TOTP, p.TOTP, now.TOTP)
		differ(&set.Mail, p.Mail, now.Mail)
		differ(&set.HistoryMonths, p.Months, now.HistoryMonths)
		// What this version cannot do is not asked about and stays as it is.
		differ(&set.Rights, want&now.Offered|now.Rights&^now.Offered, now.Rights)
		if set == (rendezvous.SetCompany{}) {
			return nil
		}
		_, err = s.SetCompany(ctx, set)
		return err
	})
	if err == nil {
		d.refreshSelf()
	}
	return err
}

func differ[T comparable](into **T, want, is T) {
	if want != is {
		*into = &want
	}
}

func milli(at int64) time.Time {
	if at <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(at)
}

// Audit returns entries of the server's audit, newest first. Admins.
func (d *Desk) Audit(q AuditQuery) (AuditPage, error) {
	return asked(d, func(ctx context.Context, s Signaling) (AuditPage, error) {
		f := rendezvous.AuditFilter{Kind: q.Kind, From: milli(q.From), To: milli(q.To), Before: max(0, q.Before)}
		if q.Person != "" {
			id, err := personID("audit.list", q.Person)
			if err != nil {
				return AuditPage{}, err
			}
			f.Person = id
		}
		p, err := s.Audit(ctx, f)
		out := AuditPage{Rows: []AuditRow{}, Next: p.Next}
		for _, e := range p.Entries {
			out.Rows = append(out.Rows, AuditRow{
				Seq: e.Seq, At: ms(e.At), Kind: e.Kind, ActorKind: e.ActorKind, Actor: e.Actor, Person: e.Person, Session: e.Session, Label: e.Label,
				Detail: string(e.Detail),
			})
		}
		return out, err
	})
}

// VerifyAudit has the server check its audit. Admins.
func (d *Desk) VerifyAudit() (AuditVerdict, error) {
	return asked(d, func(ctx context.Context, s Signaling) (AuditVerdict, error) {
		v, err := s.VerifyAudit(ctx)
		return AuditVerdict{OK: v.OK, Entries: v.Entries, Checkpoints: v.Checkpoints, Problem: v.Problem, At: ms(v.At)}, err
	})
}

// Refresh asks the server for all sessions now and returns when the page can
// know them: a lead is not told of each change at a colleague's by itself.
func (d *Desk) Refresh() error {
	var sig Signaling
	if err := d.look(func() error {
		if sig = d.sig; sig == nil || d.phase != PhaseReady {
			return notReady()
		}
		return nil
	}); err != nil {
		return err
	}
	d.refresh(d.ctx, sig)
	return nil
}

// EndOf ends a live session that is not this console's: a colleague's as a
// lead, or one's own that was begun at another console. The server tells its
// host and its console.
func (d *Desk) EndOf(id string) error {
	var ended grant.Signed
	g, err := grant.ParseID(id)
	if err != nil {
		return errGone
	}
	if err := d.look(func() error {
		f, ok := d.foreign[g]
		if !ok {
			return errGone
		}
		by := grant.ByLead
		if d.own(f) {
			if by = grant.ByTechnician; f.State != rendezvous.Active {
				by = grant.ByCancel
			}
		} else if !d.lead() {
			return fault.New(fault.Denied, "session.end", "Only leads end sessions of colleagues.", "Ask "+f.Technician+" or a lead.")
		}
		now := time.Now()
		if d.sig != nil {
			now = d.sig.Now()
		}
		ended, err = grant.Sign(d.dev.Ed, grant.ContextEnded, grant.Ended{Session: g, By: by, At: now.UTC()})
		return err
	}); err != nil {
		return err
	}
	if err := told(d, func(ctx context.Context, s Signaling) error { return s.End(ctx, g, ended) }); err != nil {
		return err
	}
	return d.do(func() error {
		delete(d.foreign, g)
		d.refreshSoon()
		return nil
	})
}

var errGone = fault.New(fault.NotFound, "session.get", "This session is over already.", "Look at the list again.")

func (d *Desk) lead() bool {
	return d.profile != nil && slices.Contains(d.profile.Roles, rendezvous.RoleLead)
}

// own reports whether a session of another console is of the same person.
func (d *Desk) own(f rendezvous.Session) bool {
	return d.profile != nil && f.TechnicianID == d.profile.ID
}

// oneTimeLink takes a link apart into the server's address and the code; a code
// alone has no address.
func oneTimeLink(text string) (server, code string, err error) {
	text = strings.TrimSpace(text)
	bad := fault.New(fault.Invalid, "account.look", "This is not a whole link or code.", "Copy it from the message you got, with everything behind the # sign.")
	if len(text) > 500 {
		return "", "", bad
	}
	if before, after, ok := strings.Cut(text, "#"); ok {
		u, err := url.Parse(before)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return "", "", bad
		}
		server, text = u.Scheme+"://"+u.Host, after
	}
	b, err := grant.DecodeCrockford(strings.ReplaceAll(text, " ", ""))
	if err != nil || len(b) != 12 {
		return "", "", bad
	}
	return server, text, nil
}

// LookInvite reads a one-time link or code and says what it is for. A link
// chooses its server.
func (d *Desk) LookInvite(text string) (rendezvous.JoinInfo, error) {
	server, code, err := oneTimeLink(text)
	if err != nil {
		return rendezvous.JoinInfo{}, err
	}
	var have string
	if err := d.look(func() error {
		if d.sig != nil {
			have = d.server.URL
		}
		return nil
	}); err != nil {
		return rendezvous.JoinInfo{}, err
	}
	switch {
	case server != "" && !sameServer(server, have):
		if err := d.UseServer(server); err != nil {
			return rendezvous.JoinInfo{}, err
		}
	case have == "":
		return rendezvous.JoinInfo{}, fault.New(fault.Invalid, "account.look", "A code alone does not say which server it is for.", "Paste the whole link, or connect to your company's server first.")
	}
	if err := d.mayChooseServer(); err != nil {
		return rendezvous.JoinInfo{}, err
	}
	info, err := asked(d, func(ctx context.Context, s Signaling) (rendezvous.JoinInfo, error) { return s.LookInvite(ctx, code) })
	if err != nil {
		return info, err
	}
	return info, d.look(func() error { d.joining = code; return nil })
}

func sameServer(a, b string) bool {
	ua, err := serverURL(a)
	return err == nil && ua.String() == b
}

// Join uses the code that LookInvite read: it sets the password and signs in.
func (d *Desk) Join(name, password, totp string) error {
	var code string
	if err := d.look(func() error {
		if code = d.joining; code == "" {
			return notReady()
		}
		return nil
	}); err != nil {
		return err
	}
	return d.signInBy(func(ctx context.Context, s Signaling) (rendezvous.Profile, error) {
		return s.AcceptInvite(ctx, rendezvous.AcceptInvite{Code: code, Name: name, Password: password, TOTP: totp, ConsoleName: computerName()})
	})
}
