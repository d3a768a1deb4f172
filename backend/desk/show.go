package desk

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
	"daypass/backend/wire"
)

func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// snapshot builds what the page shows.
func (d *Desk) snapshot() Snapshot {
	s := Snapshot{
		Rev: d.rev, Phase: d.phase, Fatal: d.fatal, Version: d.cfg.Version, Lab: d.cfg.Lab,
		Server: d.server, Limits: d.limits, Notices: slices.Clone(d.notices), Settings: d.settings, UI: d.ui,
		Vault:    Vault{Kind: string(d.cfg.Vault.Kind()), Note: d.vaultNote},
		Mail:     MailInfo{Configured: d.mailSet.Host != "", From: d.mailSet.From, ByServer: d.byServer(), Testing: string(d.testing)},
		Sessions: []Session{},
	}
	if d.skew.Abs() > skewLimit {
		s.Clock = d.skew.Milliseconds()
	}
	if s.Notices == nil {
		s.Notices = []Notice{}
	}
	s.Vault.Sealed = d.phase == PhaseUnlock && d.cfg.Vault.NeedsPassphrase()
	s.Server.LANAddresses = []LANAddress{}
	if d.server.Kind == "embedded" && d.cfg.LANAddresses != nil {
		s.Server.LANAddresses = d.lanAddresses()
	}
	s.SignedOut, s.Offered = d.signedOut, session.Names(implemented)
	if d.profile != nil {
		s.Profile = d.showProfile()
	}
	for _, l := range d.live {
		if !l.row.Session.Put && (!l.row.Session.State.Over() || !l.before || l.row.Session.State == session.Unconfirmed) {
			s.Sessions = append(s.Sessions, d.show(l))
		}
	}
	for _, f := range d.foreign {
		if rendezvous.Removed != f.State && rendezvous.Ended != f.State && rendezvous.Unconfirmed != f.State {
			s.Sessions = append(s.Sessions, d.showForeign(f))
		}
	}
	slices.SortFunc(s.Sessions, func(a, b Session) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return s
}

// implemented are the rights for which this version has something to show.
const implemented = grant.View | grant.Control | grant.Clipboard

func (d *Desk) showProfile() *Profile {
	p := d.profile
	out := &Profile{
		ID: p.ID, Name: p.Name, Email: p.Email, Company: p.Company, Roles: orEmpty(slices.Clone(p.Roles)), Rights: session.Names(p.Rights),
		TOTP: p.TOTP, MustTOTP: p.MustTOTP, Recovery: p.Recovery, Local: p.Local, Mail: p.Mail, Contacts: []Contact{},
	}
	out.CompanyRights = out.Rights
	if c := d.company; c != nil {
		out.CompanyRights = session.Names(c.Rights)
		for _, x := range c.Contacts {
			out.Contacts = append(out.Contacts, Contact{Name: x.Name, Role: x.Role})
		}
	}
	return out
}

// lanAddresses asks the system seldom.
func (d *Desk) lanAddresses() []LANAddress {
	if d.lanKnown == nil || time.Since(d.lanAt) > 10*time.Second {
		d.lanKnown, d.lanAt = d.cfg.LANAddresses(), time.Now()
		if d.lanKnown == nil {
			d.lanKnown = []LANAddress{}
		}
	}
	return d.lanKnown
}

func (d *Desk) showForeign(f rendezvous.Session) Session {
	out := Session{
		ID: f.ID.String(), Label: f.Label, Technician: f.Technician, State: f.State,
		Customer: Customer{Name: f.Label, Language: f.Language}, CreatedAt: ms(f.Created), InviteExpiresAt: ms(f.Expires),
		ActivatedAt: ms(f.Activated), EndedAt: ms(f.Ended), EndedBy: string(f.EndedBy),
		Mail: MailState{State: string(session.MailNone)}, Waiting: []Waiting{}, Rights: []string{}, Allowed: []RightState{},
	}
	if !f.Activated.IsZero() {
		out.ExpiresAt = ms(f.Expires)
	}
	out.Presence, out.PresenceSince = d.serverPresence(&f)
	out.Elsewhere = d.own(f)
	out.Verbs.End = session.State(f.State).Live() && (out.Elsewhere || d.lead())
	return out
}

func (d *Desk) serverPresence(f *rendezvous.Session) (string, int64) {
	if f == nil || !d.server.Online || f.HostSince.IsZero() {
		return "unknown", 0
	}
	if f.HostOnline {
		return "online", ms(f.HostSince)
	}
	return "offline", ms(f.HostSince)
}

func (d *Desk) show(l *live) Session {
	x := l.row.Session
	out := Session{
		ID: x.ID.String(), Label: x.Customer.Label(), Mine: true, Again: x.Again, Technician: x.Technician,
		Customer: Customer(x.Customer), State: string(x.State), CreatedAt: ms(x.Created), InviteExpiresAt: ms(x.Invite),
		ActivatedAt: ms(x.Activated), ExpiresAt: ms(x.Expires), EndedAt: ms(x.EndedAt), EndedBy: string(x.EndedBy),
		Soon: d.soon(x), Mail: MailState{State: string(x.Mail.State), At: ms(x.Mail.At), Server: x.Mail.Server}, Waiting: []Waiting{}, Rights: session.Names(x.Rights), Allowed: l.rightStates(), Fault: l.fault,
	}
	if x.Mail.State == session.MailFailed {
		out.Mail.Fault = &Fault{Kind: x.Mail.Kind, Op: x.Mail.Op, Message: x.Mail.Message, Hint: x.Mail.Hint, Details: x.Mail.Details}
	}
	if h := x.Host; h != nil && x.WasActive {
		out.Host = &Host{Computer: h.Computer, OS: h.OS, User: h.User, TimeZone: h.TimeZone, Version: h.Version}
	}
	open := x.State.Open()
	if r := x.Refused; open && r != nil && r.Why != "" && len(l.there()) == 0 {
		out.Refused = &Refused{Why: r.Why, Computer: r.Computer, At: ms(r.At)}
	}
	if open {
		if out.Link = l.link; x.Again {
			out.Link = "" // it opens nothing for anybody else
		}
		for i, w := range l.hosts {
			if r, ok := w.act.Host(); ok && l.present(i, w) {
				out.Waiting = append(out.Waiting, Waiting{Instance: i.String(), Computer: r.Computer, OS: r.OS, User: r.User, TimeZone: r.TimeZone, Since: ms(w.since), Chosen: i == l.chosen})
			}
		}
		slices.SortFunc(out.Waiting, func(a, b Waiting) int {
			return cmp.Or(cmp.Compare(a.Since, b.Since), strings.Compare(a.Instance, b.Instance))
		})
	}
	chosen := l.hosts[l.chosen] != nil
	if c := l.code; c != nil && (chosen || c.state == "locked") {
		out.Code = &Code{ExpiresAt: ms(c.expires), State: c.state}
		if l.budget != nil {
			out.Code.TriesLeft, out.Code.SessionTriesLeft = l.budget.Left, l.budget.SessionLeft
		}
		if c.state == "shown" || c.state == "wrong" {
			out.Code.Digits = c.code.Digits()
		}
	}
	d.showLink(l, &out)
	switch x.State {
	case session.Ending:
		out.Removal = &Removal{State: "pending", Lines: []string{}}
	case session.Unconfirmed:
		out.Removal = &Removal{State: "unconfirmed", Lines: []string{}}
	case session.Removed:
		out.Removal = &Removal{State: "clean", Lines: slices.Clone(x.Report)}
		if !x.Clean {
			out.Removal.State = "unclean"
		}
		if out.Removal.Lines == nil {
			out.Removal.Lines = []string{}
		}
	}
	usable := open && l.link != "" && l.pin == nil && !x.Again
	out.Verbs = Verbs{
		Cancel: open, Resend: usable, Correct: usable,
		ShowCode: out.Code != nil && out.Code.Digits != "",
		NewCode:  open && chosen && l.pin == nil && l.budget != nil && l.budget.SessionLeft > 0 && (l.code == nil || l.code.state == "expired"),
		Remote:   x.State == session.Active && l.pin != nil && x.Rights.Has(grant.View),
		End:      x.State == session.Active, PutAway: x.State.Over(), Again: x.State.Over() && x.Customer.Email != "",
		Reboot: d.mayReboot(l) == nil,
	}
	return out
}

func (d *Desk) showLink(l *live, out *Session) {
	out.Presence, out.PresenceSince = d.serverPresence(l.srv)
	c := l.conn
	if c == nil {
		return
	}
	out.LinkState = c.state.String()
	if c.state == peer.Open {
		out.Path, out.RTTMs = c.path, millis(c.rtt)
	}
	switch {
	case c.state == peer.Open:
		out.Presence, out.PresenceSince = "online", ms(c.since)
	case c.state == peer.Stale, c.state == peer.Reconnecting && out.Presence != "offline":
		out.Presence, out.PresenceSince = "reconnecting", ms(c.since)
	}
	if c.opened {
		out.Standing = &Standing{After: c.standing.After, NoDesktop: c.standing.NoDesktop}
	}
	if b := l.reboot; b != nil {
		out.Reboot = &Reboot{State: b.state, Until: ms(b.until), Since: ms(b.since)}
	}
	if l.pin != nil {
		out.Fingerprints = &Fingerprints{Ours: fingerprint(d.dev.Public()), Theirs: fingerprint(l.pin.parsed.Peer())}
	}
	r := &Remote{Displays: showDisplays(c.displays), Blocked: c.blocked, Paused: c.paused, ClipboardText: c.clipText}
	if c.remote != nil {
		r.Open, r.ViewOnly, r.Display = true, c.remote.viewOnly, c.remote.display
		if r.Blocked == nil {
			if f := c.remote.screen.State(); f != nil {
				r.Blocked = FaultOf(f)
			}
		}
	}
	out.Remote = r
}

func showDisplays(list []wire.DisplayInfo) []Display {
	out := make([]Display, 0, len(list))
	for _, x := range list {
		out = append(out, Display{ID: x.ID, Name: x.Name, Width: x.Width, Height: x.Height, Primary: x.Primary})
	}
	return out
}

// fingerprint shows 16 of the 32 bytes in groups: enough that nobody finds a
// second one.
func fingerprint(i pairing.Identity) string {
	f := i.Fingerprint()
	h := hex.EncodeToString(f[:16])
	var b strings.Builder
	for n := 0; n < len(h); n += 4 {
		if n > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(h[n : n+4])
	}
	return b.String()
}

// OpenUI asks the page to show a session's Remote Control bare and 1:1 (lab).
func (d *Desk) OpenUI(id string) error {
	return d.do(func() error {
		d.ui = &UI{Open: &UIOpen{Session: id, Tab: "control", Mode: "1:1", Bare: true}}
		return nil
	})
}
