package directory

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

func (d *Directory) policyOf(ctx context.Context, c store.Company) (protocol.Company, error) {
	_, used, err := d.cfg.Store.Usage(ctx, c.ID, grant.ID{})
	if err != nil {
		return protocol.Company{}, stored("company.get", err)
	}
	contacts, err := d.contacts(ctx, c.ID)
	return protocol.Company{
		Contacts: contacts, Name: c.Name, MaxSessions: c.MaxSessions, MaxPerProfile: c.MaxPerProfile, Rights: c.Rights, Offered: Offered,
		TOTP: totpPolicy(c), Mail: mailPolicy(c), HistoryMonths: c.Policy.HistoryMonths, Used: used,
	}, stored("company.get", err)
}

// contacts are the company's admins and leads, by name: whoever is refused
// something is told whom to ask.
func (d *Directory) contacts(ctx context.Context, company grant.ID) ([]protocol.Contact, error) {
	list, err := d.cfg.Store.People(ctx, company, d.Now())
	out := []protocol.Contact{}
	for _, p := range list {
		for _, role := range []string{protocol.RoleAdmin, protocol.RoleLead} {
			if !p.Disabled && !p.Local && p.HasRole(role) && len(out) < protocol.MaxContacts {
				out = append(out, protocol.Contact{Name: p.Name, Role: role})
			}
		}
	}
	return out, err
}

// Company returns the policy of a's company.
func (d *Directory) Company(ctx context.Context, a store.Auth) (protocol.Company, error) {
	return d.policyOf(ctx, a.Profile.Company)
}

// SetCompany changes the policy of a's company.
func (d *Directory) SetCompany(ctx context.Context, a store.Auth, in protocol.SetCompany) (protocol.Company, error) {
	const op = "company.set"
	if err := need(a, op, protocol.RoleAdmin); err != nil {
		return protocol.Company{}, err
	}
	c, err := d.cfg.Store.ChangeCompany(ctx, a.Profile.Company.ID, actor(a), d.Now(), func(c *store.Company) (store.Change, error) {
		detail := map[string]any{}
		if in.Name != nil {
			name, err := text(op, "company's name", *in.Name, 1, 120)
			if err != nil {
				return store.Change{}, err
			}
			note(detail, "name", &c.Name, name)
		}
		for _, n := range []struct {
			name  string
			field *int
			to    *int
		}{{"max_sessions", &c.MaxSessions, in.MaxSessions}, {"max_per_profile", &c.MaxPerProfile, in.MaxPerProfile}} {
			if n.to == nil {
				continue
			}
			if *n.to < 1 || *n.to > protocol.MaxPlaces {
				return store.Change{}, fault.New(fault.Invalid, op, "This number of sessions cannot be allowed.", "Use 1 to 64.")
			}
			note(detail, n.name, n.field, *n.to)
		}
		if n := in.HistoryMonths; n != nil {
			if *n < 0 || *n > protocol.MaxHistoryMonths {
				return store.Change{}, fault.New(fault.Invalid, op, "The history cannot be kept for this number of months.", "Use 1 to 240, or 0 to keep it.")
			}
			note(detail, "history_months", &c.Policy.HistoryMonths, *n)
		}
		if in.Rights != nil {
			if err := rights(op, *in.Rights); err != nil {
				return store.Change{}, err
			}
			note(detail, "rights", &c.Rights, *in.Rights)
		}
		c.Policy.TOTP, c.Policy.Mail = totpPolicy(*c), mailPolicy(*c)
		for _, n := range []struct {
			name   string
			field  *string
			to     *string
			values [2]string
		}{
			{"totp", &c.Policy.TOTP, in.TOTP, [2]string{protocol.TOTPLeads, protocol.TOTPEveryone}},
			{"mail", &c.Policy.Mail, in.Mail, [2]string{protocol.MailConsole, protocol.MailServer}},
		} {
			if n.to == nil {
				continue
			}
			if *n.to != n.values[0] && *n.to != n.values[1] {
				return store.Change{}, fault.New(fault.Invalid, op, "This policy is not known.", "Console and server may have different versions.")
			}
			note(detail, n.name, n.field, *n.to)
		}
		if len(detail) == 0 {
			return store.Change{}, nil
		}
		return store.Change{Kind: "company.policy", Detail: detail}, nil
	})
	if errors.Is(err, store.ErrConflict) {
		return protocol.Company{}, fault.Wrap(err, fault.Conflict, op, "Another company has this name.", "Use another name.")
	}
	if err != nil {
		return protocol.Company{}, stored(op, err)
	}
	return d.policyOf(ctx, c)
}

// Page returns a page of the company's sessions, for leads, and the mark of the
// next one.
func (d *Directory) Page(ctx context.Context, a store.Auth, f protocol.SessionFilter) ([]store.Session, string, error) {
	const op = "session.page"
	if !a.Profile.HasRole(protocol.RoleLead) {
		return nil, "", fault.New(fault.Denied, op, "Only leads see the sessions of the whole company.", "Ask an administrator of your company.")
	}
	before, id, err := readMark(f.Before)
	if err != nil {
		return nil, "", err
	}
	if f.Limit == 0 {
		f.Limit = protocol.MaxPage / 2
	}
	l, err := d.cfg.Store.Page(ctx, a.Profile.Company.ID, f, before, id)
	if err != nil {
		return nil, "", stored(op, err)
	}
	next := ""
	if len(l) > f.Limit {
		l = l[:f.Limit]
		last := l[len(l)-1]
		next = strconv.FormatInt(last.Created.UnixMilli(), 10) + "-" + last.ID.String()
	}
	return l, next, nil
}

// readMark reads where the page before ended.
func readMark(s string) (time.Time, grant.ID, error) {
	if s == "" {
		return time.Time{}, grant.ID{}, nil
	}
	at, rest, _ := strings.Cut(s, "-")
	ms, err := strconv.ParseInt(at, 10, 64)
	id, err2 := grant.ParseID(rest)
	if err != nil || err2 != nil || ms <= 0 || ms > 1<<53 {
		return time.Time{}, id, fault.New(fault.Invalid, "session.page", "This page of the list does not exist.", "Load the list again.")
	}
	return time.UnixMilli(ms).UTC(), id, nil
}

// Audit returns a page of the company's audit entries, for admins.
func (d *Directory) Audit(ctx context.Context, a store.Auth, f protocol.AuditFilter) (protocol.AuditPage, error) {
	const op = "audit.list"
	out := protocol.AuditPage{Entries: []protocol.AuditEntry{}}
	if err := need(a, op, protocol.RoleAdmin); err != nil {
		return out, err
	}
	if f.Limit == 0 {
		f.Limit = protocol.MaxPage / 2
	}
	l, err := d.cfg.Store.AuditPage(ctx, store.AuditQuery{Company: a.Profile.Company.ID, AuditFilter: f})
	if err != nil {
		return out, stored(op, err)
	}
	if len(l) > f.Limit {
		l = l[:f.Limit]
		out.Next = l[len(l)-1].Seq
	}
	for _, e := range l {
		x := protocol.AuditEntry{Seq: e.Seq, At: e.At, Kind: e.Kind, ActorKind: e.Actor.Kind, Actor: e.Who, Person: e.Person, Label: e.Subject, Detail: e.Detail, Hash: hex.EncodeToString(e.Hash[:])}
		if e.Session != (grant.ID{}) {
			x.Session = e.Session.String()
		}
		out.Entries = append(out.Entries, x)
	}
	return out, nil
}

// VerifyAudit checks the whole chain, for admins; one at a time.
func (d *Directory) VerifyAudit(ctx context.Context, a store.Auth) (protocol.AuditVerdict, error) {
	const op = "audit.verify"
	out := protocol.AuditVerdict{At: d.Now(), Key: d.pub}
	if err := need(a, op, protocol.RoleAdmin); err != nil {
		return out, err
	}
	if !d.verifying.TryLock() {
		return out, fault.New(fault.Conflict, op, "The chain is being checked already.", "Wait a moment and try again.")
	}
	defer d.verifying.Unlock()
	var err error
	out.Entries, out.Checkpoints, err = Verify(ctx, d.cfg.Store, d.pub)
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.Corrupt {
		out.Problem = f.Message
		return out, nil
	}
	out.OK = err == nil
	return out, stored(op, err)
}

// Enforce ends what suspended companies still have: sessions, on the server's
// signed word, and sockets.
func (d *Directory) Enforce(ctx context.Context) error {
	list, err := d.cfg.Store.Companies(ctx)
	if err != nil {
		return stored("company.enforce", err)
	}
	for _, c := range list {
		if !c.Suspended {
			continue
		}
		live, err := d.cfg.Store.LiveOf(ctx, c.ID, grant.ID{}, grant.ID{})
		if err != nil {
			return stored("company.enforce", err)
		}
		if _, err := d.endAll(ctx, live, grant.ByServer, store.Actor{Kind: "server"}); err != nil {
			return err
		}
		if err := d.hangUp(ctx, c.ID, grant.ID{}); err != nil {
			return err
		}
	}
	return nil
}

// hangUp closes the sockets of a company's consoles, or of one person's. Those
// whose sign-in is still good come back at once.
func (d *Directory) hangUp(ctx context.Context, company, profile grant.ID) error {
	keys, err := d.cfg.Store.KeysOf(ctx, company, profile)
	if err != nil {
		return stored("company.enforce", err)
	}
	d.revoked(keys)
	return nil
}

// Head returns the number of the newest audit entry, for Follow.
func (d *Directory) Head(ctx context.Context) (int64, error) {
	e, err := d.cfg.Store.Head(ctx)
	return e.Seq, stored("audit.follow", err)
}

// Follow carries out what local commands, which are programs of their own,
// wrote since the entry after: it reads the audit chain and returns how far it
// came.
func (d *Directory) Follow(ctx context.Context, after int64) (int64, error) {
	for {
		l, err := d.cfg.Store.AuditAfter(ctx, after)
		if err != nil {
			return after, stored("audit.follow", err)
		}
		for _, e := range l {
			if e.Actor.Kind == "local" {
				if err := d.follow(ctx, e); err != nil {
					return after, err
				}
			}
			after = e.Seq
		}
		if len(l) < 500 {
			return after, nil
		}
	}
}

func (d *Directory) follow(ctx context.Context, e store.Entry) error {
	switch {
	case e.Kind == "company.suspend":
		return d.Enforce(ctx)
	case strings.HasPrefix(e.Kind, "person."):
		var about struct {
			Profile grant.ID `json:"profile"`
		}
		if err := unmarshal(e.Detail, &about); err != nil || about.Profile == (grant.ID{}) {
			return err
		}
		return d.hangUp(ctx, e.Company, about.Profile)
	}
	return nil
}
