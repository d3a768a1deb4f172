package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"net/mail"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

const (
	inviteDays = 7
	resetFor   = 3 * 24 * time.Hour
	codeBytes  = 12 // of a one-time code; 20 characters of Crockford base32 hold 12.5
)

var errNoPerson = fault.New(fault.NotFound, "people.get", "There is no such person.", "Look at the list again.")

// need refuses who has none of the roles.
func need(a store.Auth, op string, roles ...string) error {
	if slices.ContainsFunc(roles, a.Profile.HasRole) {
		return nil
	}
	if slices.Contains(roles, protocol.RoleLead) {
		return fault.New(fault.Denied, op, "Only leads and administrators may do this.", "Ask an administrator of your company.")
	}
	return fault.New(fault.Denied, op, "Only administrators may do this.", "Ask an administrator of your company.")
}

func mailPolicy(c store.Company) string {
	if c.Policy.Mail == "" {
		return protocol.MailConsole
	}
	return c.Policy.Mail
}

func totpPolicy(c store.Company) string {
	if c.Policy.TOTP == "" {
		return protocol.TOTPLeads
	}
	return c.Policy.TOTP
}

// newCode returns a one-time code as it is handed out, and what is stored.
func newCode() (string, store.Hash) {
	b := make([]byte, codeBytes)
	rand.Read(b)
	s := grant.Crockford.EncodeToString(b)
	return s[:5] + "-" + s[5:10] + "-" + s[10:15] + "-" + s[15:], store.HashToken(s)
}

// roles checks roles and returns them sorted, technician included.
func roles(op string, in []string) ([]string, error) {
	out := []string{protocol.RoleTechnician}
	for _, r := range in {
		if r != protocol.RoleTechnician && r != protocol.RoleLead && r != protocol.RoleAdmin {
			return nil, fault.New(fault.Invalid, op, "This role is not known.", "Use technician, lead or admin.")
		}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	slices.Sort(out)
	return out, nil
}

func rights(op string, r grant.Rights) error {
	if r&^grant.All != 0 {
		return fault.New(fault.Invalid, op, "These rights are not known.", "Console and server may have different versions.")
	}
	return nil
}

func address(op, s string) error {
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s || len(s) > 254 {
		return fault.New(fault.Invalid, op, "This is not an e-mail address.", "Give it as somebody@example.org.")
	}
	return nil
}

// password checks a password that a person chose. Length is what counts; what
// everybody would try first is refused.
func password(op, pw string, known ...string) error {
	n := utf8.RuneCountInString(pw)
	distinct := map[rune]bool{}
	for _, r := range pw {
		distinct[r] = true
	}
	bare := strings.ToLower(strings.TrimSpace(pw))
	weak := len(distinct) < 5 || strings.Contains("12345678901234567890 abcdefghijklmnopqrstuvwxyz qwertyuiopasdfghjklzxcvbnm qwertzuiopasdfghjklyxcvbnm", bare)
	for _, k := range known {
		k = strings.ToLower(k)
		local, _, _ := strings.Cut(k, "@")
		weak = weak || k != "" && (bare == k || len(local) >= 3 && strings.Trim(strings.ReplaceAll(bare, local, ""), "0123456789!.-_ ") == "")
	}
	for _, w := range []string{"password", "passwort", "kennwort", "daypass", "letmein", "welcome", "willkommen"} {
		weak = weak || strings.Trim(strings.ReplaceAll(bare, w, ""), "0123456789!.-_ ") == ""
	}
	switch {
	case !utf8.ValidString(pw) || len(pw) > protocol.MaxPassword:
		return fault.New(fault.Invalid, op, "This password cannot be used.", "Use one that is shorter.")
	case n < protocol.MinPassword:
		return fault.New(fault.Invalid, op, "The password is too short.", "Use at least 12 characters; a few words are good.")
	case weak:
		return fault.New(fault.Invalid, op, "This password is too easy to guess.", "Use a few words that have nothing to do with you.")
	}
	return nil
}

func (d *Directory) person(p store.Person, live []store.Session, self grant.ID) protocol.Person {
	out := protocol.Person{
		ID: p.ID, Email: p.Email, Name: p.Name, Roles: p.Roles, Rights: p.Rights, Entitled: p.Entitled() & Offered, Disabled: p.Disabled,
		TOTP: len(p.TOTP) > 0, MustTOTP: mustTOTP(p.Profile), Reset: p.Reset, Local: p.Local, Self: p.ID == self,
		Created: p.Created, LastSeen: p.LastSeen, Consoles: p.Consoles, Live: []protocol.Holder{},
	}
	for _, s := range live {
		if s.Profile == p.ID {
			out.Live = append(out.Live, protocol.Holder{ID: s.ID, Label: s.Label, Technician: s.Technician, State: s.State, Since: s.Created, Mine: p.ID == self})
		}
	}
	return out
}

// People returns who is in a's company, for leads and admins; the pending
// invitations for admins.
func (d *Directory) People(ctx context.Context, a store.Auth) (protocol.People, error) {
	const op = "people.list"
	out := protocol.People{People: []protocol.Person{}, Invites: []protocol.PendingInvite{}}
	if err := need(a, op, protocol.RoleLead, protocol.RoleAdmin); err != nil {
		return out, err
	}
	company := a.Profile.Company.ID
	list, err := d.cfg.Store.People(ctx, company, d.Now())
	if err != nil {
		return out, stored(op, err)
	}
	live, err := d.cfg.Store.LiveOf(ctx, company, grant.ID{}, grant.ID{})
	if err != nil {
		return out, stored(op, err)
	}
	for _, p := range list {
		out.People = append(out.People, d.person(p, live, a.Profile.ID))
	}
	if !a.Profile.HasRole(protocol.RoleAdmin) {
		return out, nil
	}
	pending, err := d.cfg.Store.Invites(ctx, company, d.Now())
	if err != nil {
		return out, stored(op, err)
	}
	for _, o := range pending {
		out.Invites = append(out.Invites, protocol.PendingInvite{ID: o.ID, Email: o.Email, Name: o.Name, Roles: o.Roles, Rights: o.Rights, By: o.ByName, Created: o.Created, Expires: o.Expires})
	}
	return out, nil
}

func (d *Directory) handOut(o store.OneTime, code string) protocol.OneTime {
	out := protocol.OneTime{ID: o.ID, Code: code, Email: o.Email, Expires: o.Expires}
	if d.cfg.Link != nil {
		out.Link = d.cfg.Link(code)
	}
	return out
}

// Invite makes a one-time code for a new colleague.
func (d *Directory) Invite(ctx context.Context, a store.Auth, in protocol.Invite) (protocol.OneTime, error) {
	const op = "people.invite"
	if err := need(a, op, protocol.RoleAdmin); err != nil {
		return protocol.OneTime{}, err
	}
	if err := errors.Join(address(op, in.Email), rights(op, in.Rights)); err != nil {
		return protocol.OneTime{}, err
	}
	name, err := text(op, "name", in.Name, 0, 120)
	if err != nil {
		return protocol.OneTime{}, err
	}
	have, err := roles(op, in.Roles)
	if err != nil {
		return protocol.OneTime{}, err
	}
	if in.Days == 0 {
		in.Days = inviteDays
	}
	if in.Days < 1 || in.Days > protocol.MaxDays {
		return protocol.OneTime{}, fault.New(fault.Invalid, op, "An invitation is good for 1 to 30 days.", "")
	}
	code, hash := newCode()
	o := store.OneTime{
		ID: grant.NewID(), Company: a.Profile.Company.ID, Email: in.Email, Name: name, Roles: have, Rights: in.Rights, By: a.Profile.ID, Hash: hash,
		Created: d.Now(), Expires: d.Now().Add(time.Duration(in.Days) * 24 * time.Hour),
	}
	err = d.cfg.Store.Invite(ctx, o, actor(a))
	if errors.Is(err, store.ErrConflict) {
		return protocol.OneTime{}, fault.Wrap(err, fault.Conflict, op, "There is an account with this address already.", "Use another address, or reset that person's password.")
	}
	if err != nil {
		return protocol.OneTime{}, stored(op, err)
	}
	return d.handOut(o, code), nil
}

// Uninvite ends a pending invitation.
func (d *Directory) Uninvite(ctx context.Context, a store.Auth, id grant.ID) error {
	const op = "people.uninvite"
	if err := need(a, op, protocol.RoleAdmin); err != nil {
		return err
	}
	return stored(op, d.cfg.Store.Uninvite(ctx, a.Profile.Company.ID, id, actor(a), d.Now()))
}

// oneTime finds what a typed code is for. A code has 96 random bits; the limit
// of the address is for the server's sake.
func (d *Directory) oneTime(ctx context.Context, op string, from netip.Addr, typed string) (store.OneTime, store.Company, store.Hash, error) {
	address := network(from)
	if err := d.pause(op, "", address); err != nil {
		return store.OneTime{}, store.Company{}, store.Hash{}, err
	}
	wrong := fault.New(fault.NotFound, op, "This code is not known.", "Check it, letter by letter, or ask your administrator for a new one.")
	canonical, ok := readCode(typed, codeBytes)
	if !ok {
		return store.OneTime{}, store.Company{}, store.Hash{}, wrong
	}
	hash := store.HashToken(canonical)
	o, c, err := d.cfg.Store.OneTime(ctx, hash, d.Now())
	d.login.note(address, d.Now(), !errors.Is(err, store.ErrNotFound))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return o, c, hash, wrong
	case err != nil:
		return o, c, hash, stored(op, err)
	case c.Suspended:
		return o, c, hash, fault.New(fault.Denied, op, "Your company's use of this server is suspended.", "Ask whoever operates the server.")
	}
	return o, c, hash, nil
}

// Look says what a one-time code is for, without using it.
func (d *Directory) Look(ctx context.Context, from netip.Addr, code string) (protocol.JoinInfo, error) {
	const op = "account.look"
	o, c, _, err := d.oneTime(ctx, op, from, code)
	if err != nil {
		return protocol.JoinInfo{}, err
	}
	out := protocol.JoinInfo{Company: c.Name, Email: o.Email, Name: o.Name, Roles: o.Roles, Reset: o.Profile != grant.ID{}, Expires: o.Expires}
	p := store.Profile{Roles: o.Roles, Company: c}
	if out.Reset {
		if p, err = d.cfg.Store.Profile(ctx, o.Profile); err != nil {
			return out, stored(op, err)
		}
		out.Name, out.Roles, out.TOTP = p.Name, p.Roles, len(p.TOTP) > 0
		return out, nil
	}
	out.TOTP = mustTOTP(p)
	return out, nil
}

// Join uses a one-time code: it makes the account, or sets its password, and
// signs the console in.
func (d *Directory) Join(ctx context.Context, key grant.Key, from netip.Addr, in protocol.Join) (protocol.SignedIn, error) {
	const op = "account.join"
	o, c, hash, err := d.oneTime(ctx, op, from, in.Code)
	if err != nil {
		return protocol.SignedIn{}, err
	}
	p := store.Profile{ID: grant.NewID(), Name: o.Name}
	if o.Profile != (grant.ID{}) {
		if p, err = d.cfg.Store.Profile(ctx, o.Profile); err != nil {
			return protocol.SignedIn{}, stored(op, err)
		}
		if err := d.admitted(op, p, from); err != nil {
			return protocol.SignedIn{}, err
		}
	} else if in.Name != "" || p.Name == "" {
		if p.Name, err = text(op, "name", in.Name, 1, 120); err != nil {
			return protocol.SignedIn{}, err
		}
	}
	if err := password(op, in.Password, o.Email, p.Name, c.Name); err != nil {
		return protocol.SignedIn{}, err
	}
	if len(in.TOTP) > maxCode {
		return protocol.SignedIn{}, fault.New(fault.Invalid, op, "That is too long.", "Check the one-time code.")
	}
	if err := d.guarded(ctx, op, key, p, in.TOTP); err != nil {
		d.login.note(network(from), d.Now(), in.TOTP == "")
		return protocol.SignedIn{}, err
	}
	hashed, err := d.hash.make(ctx, in.Password)
	if err != nil {
		return protocol.SignedIn{}, stored(op, err)
	}
	p.Password = hashed
	out, keys, err := d.cfg.Store.Redeem(ctx, hash, p, d.Now())
	if errors.Is(err, store.ErrConflict) {
		return protocol.SignedIn{}, fault.Wrap(err, fault.Conflict, op, "There is an account with this address already.", "Sign in, or ask your administrator.")
	}
	if err != nil {
		return protocol.SignedIn{}, stored(op, err)
	}
	d.revoked(keys)
	return d.signedIn(ctx, op, out, key, in.Console)
}

func (d *Directory) revoked(keys []grant.Key) {
	if d.cfg.Revoked == nil {
		return
	}
	for _, k := range keys {
		d.cfg.Revoked(k)
	}
}

// colleague finds a person of a's company.
func (d *Directory) colleague(ctx context.Context, op string, a store.Auth, id grant.ID) (store.Profile, error) {
	p, err := d.cfg.Store.Profile(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && p.Company.ID != a.Profile.Company.ID {
		return store.Profile{}, errNoPerson
	}
	return p, stored(op, err)
}

// other is colleague for what an admin may only do to others.
func (d *Directory) other(ctx context.Context, op string, a store.Auth, id grant.ID) (store.Profile, error) {
	if err := need(a, op, protocol.RoleAdmin); err != nil {
		return store.Profile{}, err
	}
	p, err := d.colleague(ctx, op, a, id)
	if err == nil && p.ID == a.Profile.ID {
		err = fault.New(fault.Denied, op, "Nobody does this to oneself.", "Change your own password and second factor on your own page.")
	}
	if err == nil && p.Local {
		err = fault.New(fault.Denied, op, "This account belongs to the server's own computer.", "It has no password that a person types.")
	}
	return p, err
}

// SetPerson changes a person. Switching off ends the person's sign-ins and live
// sessions; ended says how many.
func (d *Directory) SetPerson(ctx context.Context, a store.Auth, id grant.ID, in protocol.SetPerson) (protocol.PersonChanged, error) {
	const op = "people.set"
	var out protocol.PersonChanged
	if err := need(a, op, protocol.RoleAdmin); err != nil {
		return out, err
	}
	if _, err := d.colleague(ctx, op, a, id); err != nil {
		return out, err
	}
	if in.Disabled != nil && *in.Disabled && id == a.Profile.ID {
		return out, fault.New(fault.Denied, op, "Nobody switches oneself off.", "Ask another administrator.")
	}
	p, keys, err := d.cfg.Store.ChangePerson(ctx, id, actor(a), d.Now(), func(p *store.Profile) (store.Change, error) {
		detail, c := about(p.ID), store.Change{Kind: "person.set"}
		if in.Name != nil {
			name, err := text(op, "name", *in.Name, 1, 120)
			if err != nil {
				return c, err
			}
			note(detail, "name", &p.Name, name)
		}
		if in.Roles != nil {
			have, err := roles(op, *in.Roles)
			if err != nil {
				return c, err
			}
			if !slices.Equal(have, p.Roles) {
				detail["roles"] = change{p.Roles, have}
				p.Roles = have
			}
		}
		if in.Rights != nil {
			if err := rights(op, *in.Rights); err != nil {
				return c, err
			}
			note(detail, "rights", &p.Rights, *in.Rights)
		}
		if in.Disabled != nil && *in.Disabled != p.Disabled {
			c.Kind, c.Revoke = "person.enable", *in.Disabled
			if *in.Disabled {
				c.Kind = "person.disable"
			}
			p.Disabled = *in.Disabled
		} else if len(detail) == 1 {
			return store.Change{}, nil
		}
		c.Detail = detail
		return c, nil
	})
	if err != nil {
		return out, stored(op, err)
	}
	if p.Disabled {
		live, err := d.cfg.Store.LiveOf(ctx, grant.ID{}, id, grant.ID{})
		if err != nil {
			return out, stored(op, err)
		}
		out.Ended, err = d.endAll(ctx, live, grant.ByLead, actor(a))
		d.revoked(keys)
		if err != nil {
			return out, err
		}
	}
	list, err := d.cfg.Store.People(ctx, p.Company.ID, d.Now())
	if err != nil {
		return out, stored(op, err)
	}
	live, err := d.cfg.Store.LiveOf(ctx, grant.ID{}, id, grant.ID{})
	for _, x := range list {
		if x.ID == id {
			out.Person = d.person(x, live, a.Profile.ID)
		}
	}
	return out, stored(op, err)
}

// change is one field before and after, for the audit chain.
type change struct {
	From any `json:"from"`
	To   any `json:"to"`
}

// note sets a field and says so, if it is another value.
func note[T comparable](detail map[string]any, name string, field *T, to T) {
	if *field != to {
		detail[name] = change{*field, to}
		*field = to
	}
}

// endAll ends live sessions and returns how many it ended.
func (d *Directory) endAll(ctx context.Context, live []store.Session, by grant.EndedBy, who store.Actor) (int, error) {
	n := 0
	for _, s := range live {
		f, err := d.sign(s.ID, by)
		if err != nil {
			return n, err
		}
		ended := false
		if _, err := d.update(ctx, "session.end", s.ID, who, func(s *store.Session) (string, any, error) {
			ended = protocol.Live(s.State)
			if !ended {
				return "", nil, nil
			}
			return d.finish(s, by, f, false)
		}); err != nil {
			return n, err
		}
		if ended {
			n++
		}
	}
	return n, nil
}

// ResetPerson ends a person's password and sign-ins and makes a code with which
// the person sets a new one. Live sessions go on: they are the customers'.
func (d *Directory) ResetPerson(ctx context.Context, a store.Auth, id grant.ID) (protocol.OneTime, error) {
	const op = "people.reset"
	p, err := d.other(ctx, op, a, id)
	if err != nil {
		return protocol.OneTime{}, err
	}
	if p.Disabled {
		return protocol.OneTime{}, fault.New(fault.Conflict, op, "This account is switched off.", "Switch it on first.")
	}
	o, code, keys, err := reset(ctx, d.cfg.Store, p, a.Profile.ID, actor(a), d.Now())
	if err != nil {
		return protocol.OneTime{}, stored(op, err)
	}
	d.revoked(keys)
	return d.handOut(o, code), nil
}

func reset(ctx context.Context, st store.Store, p store.Profile, by grant.ID, who store.Actor, now time.Time) (store.OneTime, string, []grant.Key, error) {
	code, hash := newCode()
	o := store.OneTime{
		ID: grant.NewID(), Company: p.Company.ID, Profile: p.ID, Email: p.Email, Name: p.Name, Roles: p.Roles, Rights: p.Rights, By: by, Hash: hash,
		Created: now, Expires: now.Add(resetFor),
	}
	_, keys, err := st.ChangePerson(ctx, p.ID, who, now, func(p *store.Profile) (store.Change, error) {
		p.Password = ""
		return store.Change{Kind: "person.reset", Detail: map[string]any{"profile": p.ID, "expires": o.Expires}, Revoke: true, OneTime: &o}, nil
	})
	return o, code, keys, err
}

// ResetTOTP removes a person's second factor and sign-ins.
func (d *Directory) ResetTOTP(ctx context.Context, a store.Auth, id grant.ID) error {
	const op = "people.totp"
	if _, err := d.other(ctx, op, a, id); err != nil {
		return err
	}
	_, keys, err := d.cfg.Store.ChangePerson(ctx, id, actor(a), d.Now(), func(p *store.Profile) (store.Change, error) {
		p.TOTP, p.Pending, p.Step = nil, nil, 0
		return store.Change{Kind: "person.totp_reset", Detail: about(p.ID), Revoke: true, Recovery: &[]store.Hash{}}, nil
	})
	if err != nil {
		return stored(op, err)
	}
	d.revoked(keys)
	return nil
}

// ChangePassword sets another password of one's own and ends every other
// sign-in.
func (d *Directory) ChangePassword(ctx context.Context, a store.Auth, in protocol.ChangePassword) error {
	const op = "account.password"
	if a.Profile.Local {
		return fault.New(fault.Denied, op, "This account has no password that a person types.", "The computer keeps it.")
	}
	who := "person " + a.Profile.ID.String()
	if err := d.pause(op, who, who); err != nil {
		return err
	}
	ok, err := d.hash.check(ctx, a.Profile.Password, in.Old)
	if err != nil {
		return stored(op, err)
	}
	d.login.note(who, d.Now(), ok)
	if !ok || a.Profile.Password == "" {
		return fault.New(fault.Denied, op, "The password is wrong.", "Type the password that you sign in with.")
	}
	if err := password(op, in.New, a.Profile.Email, a.Profile.Name, a.Profile.Company.Name); err != nil {
		return err
	}
	if in.New == in.Old {
		return fault.New(fault.Invalid, op, "This is the password that you have.", "Use another one.")
	}
	hashed, err := d.hash.make(ctx, in.New)
	if err != nil {
		return stored(op, err)
	}
	_, keys, err := d.cfg.Store.ChangePerson(ctx, a.Profile.ID, actor(a), d.Now(), func(p *store.Profile) (store.Change, error) {
		if p.Password != a.Profile.Password {
			return store.Change{}, store.ErrConflict
		}
		p.Password = hashed
		return store.Change{Kind: "person.password", Detail: about(p.ID), Revoke: true, Keep: a.Family}, nil
	})
	if err != nil {
		return stored(op, err)
	}
	d.revoked(keys)
	return nil
}

// Consoles returns where a person is signed in: one's own, or for admins.
// Presence is the caller's to add, by the keys.
func (d *Directory) Consoles(ctx context.Context, a store.Auth, id grant.ID) ([]store.SignedIn, error) {
	const op = "consoles.list"
	if id != a.Profile.ID {
		if err := need(a, op, protocol.RoleAdmin); err != nil {
			return nil, err
		}
		if _, err := d.colleague(ctx, op, a, id); err != nil {
			return nil, err
		}
	}
	l, err := d.cfg.Store.Consoles(ctx, id, d.Now())
	return l, stored(op, err)
}

// RevokeConsole ends a console's sign-ins, its socket and its live sessions: a
// computer that was lost must not keep its direct link to a customer.
func (d *Directory) RevokeConsole(ctx context.Context, a store.Auth, id grant.ID) (int, error) {
	const op = "consoles.revoke"
	gone := fault.New(fault.NotFound, op, "There is no such computer.", "Look at the list again.")
	c, err := d.cfg.Store.Console(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, gone
	case err != nil:
		return 0, stored(op, err)
	}
	by := grant.ByTechnician
	if c.Profile != a.Profile.ID {
		by = grant.ByLead
		if !a.Profile.HasRole(protocol.RoleAdmin) {
			return 0, gone
		}
		if _, err := d.colleague(ctx, op, a, c.Profile); err != nil {
			return 0, gone
		}
	}
	if err := d.cfg.Store.RevokeConsole(ctx, id, actor(a), d.Now()); err != nil {
		return 0, stored(op, err)
	}
	defer d.revoked([]grant.Key{c.Key}) // it is told first what ended
	live, err := d.cfg.Store.LiveOf(ctx, grant.ID{}, grant.ID{}, id)
	if err != nil {
		return 0, stored(op, err)
	}
	return d.endAll(ctx, live, by, actor(a))
}
