package desk

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"daypass/backend/fault"
	"daypass/backend/faultpoint"
	"daypass/backend/grant"
	"daypass/backend/mail"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
	"daypass/backend/store"
)

// Invite is what the technician enters for a new session.
type Invite struct {
	Email    string `json:"email"`
	Name     string `json:"name"`
	Subject  string `json:"subject"`
	Language string `json:"language"`
	Note     string `json:"note,omitempty"` // own words, several lines
}

// Preview is the mail as the customer will see it.
type Preview struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

// LimitError is a limit with who holds the places, for the page.
type LimitError struct {
	Holders []Holder
	Err     error
}

// Holder is a session that holds a place.
type Holder struct {
	ID         string `json:"id"`
	Label      string `json:"label"`
	Technician string `json:"technician"`
	State      string `json:"state"`
	Since      int64  `json:"since"`
	Mine       bool   `json:"mine"`
}

// Error returns the limit's words.
func (e *LimitError) Error() string { return e.Err.Error() }

// Unwrap returns the fault.
func (e *LimitError) Unwrap() error { return e.Err }

// Details returns JSON {"holders": [...]}.
func (e *LimitError) Details() string {
	b, err := json.Marshal(struct {
		Holders []Holder `json:"holders"`
	}{e.Holders})
	if err != nil {
		return ""
	}
	return string(b)
}

func plain(s string, limit int) (string, bool) {
	s = strings.TrimSpace(s)
	return s, len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 // bidi controls hide what a text says
	})
}

func (in Invite) customer() (session.Customer, error) {
	var c session.Customer
	var err error
	if c.Email, err = mail.ParseAddress(in.Email); err != nil {
		return c, err
	}
	var ok bool
	if c.Name, ok = plain(in.Name, session.MaxName); !ok {
		return c, fault.New(fault.Invalid, "session.name", "The name is too long or holds characters that cannot be shown.", "Use 80 characters at most.")
	}
	if c.Subject, ok = plain(in.Subject, session.MaxSubject); !ok {
		return c, fault.New(fault.Invalid, "session.subject", "The case is too long or holds characters that cannot be shown.", "Use 120 characters at most.")
	}
	if c.Note = strings.TrimSpace(in.Note); len(c.Note) > session.MaxNote || !utf8.ValidString(c.Note) {
		return c, fault.New(fault.Invalid, "session.note", "Your own words are too long.", "Use 1,000 characters at most.")
	}
	switch in.Language {
	case mail.English, mail.German:
		c.Language = in.Language
	case "":
		c.Language = mail.English
	default:
		return c, fault.New(fault.Invalid, "session.language", "This language is not known.", "Choose English or German.")
	}
	return c, nil
}

// Preview writes the invitation with a link that shows where the real one will
// be.
func (d *Desk) Preview(in Invite) (Preview, error) {
	if in.Email == "" {
		in.Email = "customer@example.com" // nothing is entered yet, the text does not show it
	}
	c, err := in.customer()
	if err != nil {
		return Preview{}, err
	}
	var m mail.Message
	err = d.look(func() error {
		base := d.server.URL
		if base == "" {
			return notReady()
		}
		m, err = d.write(c, base+"/s/…", time.Now().Add(session.InviteLimit))
		return err
	})
	return Preview{Subject: m.Subject, Text: m.Text, HTML: m.HTML}, err
}

func (d *Desk) write(c session.Customer, link string, expires time.Time) (mail.Message, error) {
	in := mail.Invitation{
		Language: c.Language, To: c.Email, Name: c.Name, Subject: c.Subject, Note: c.Note, Link: link, Expires: expires.Local(),
		Technician: "", Company: "",
	}
	if d.profile != nil {
		in.Technician, in.Company = d.profile.Name, d.profile.Company
	}
	return mail.Write(in)
}

// leaves waits for the end of a session that holds a place and was ended here:
// the word of it may still be on its way to the server. It reports whether one
// has arrived.
func (d *Desk) leaves(ctx context.Context, holders []rendezvous.Holder) bool {
	for waited := false; ; waited = true {
		var arrives <-chan struct{}
		err := d.look(func() error {
			for _, h := range holders {
				if l := d.live[h.ID]; l != nil && l.ended != nil && l.ending {
					arrives = l.delivered
				}
			}
			return nil
		})
		if err != nil || arrives == nil {
			return waited && err == nil
		}
		select {
		case <-arrives:
		case <-ctx.Done():
			return false
		}
	}
}

// Create makes a session and its link. The secret is on the disk before the
// session is shown.
func (d *Desk) Create(ctx context.Context, in Invite) (Session, error) {
	c, err := in.customer()
	if err != nil {
		return Session{}, err
	}
	var sig Signaling
	if err := d.look(func() error {
		if d.phase != PhaseReady || d.sig == nil {
			return notReady()
		}
		if !d.server.Online {
			return fault.New(fault.Offline, "session.create", "The server is out of reach.", "Check your connection; Daypass keeps trying.")
		}
		sig = d.sig
		return nil
	}); err != nil {
		return Session{}, err
	}
	cctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	faultpoint.Hit("console/creates", "")
	s, err := sig.CreateSession(cctx, rendezvous.NewSession{Subject: c.Label(), Language: c.Language})
	var limit *rendezvous.LimitError
	if errors.As(err, &limit) && d.leaves(cctx, limit.Holders) {
		limit = nil
		s, err = sig.CreateSession(cctx, rendezvous.NewSession{Subject: c.Label(), Language: c.Language})
	}
	if err != nil {
		if errors.As(err, &limit) {
			e := &LimitError{Err: err, Holders: []Holder{}}
			for _, h := range limit.Holders {
				e.Holders = append(e.Holders, Holder{ID: h.ID.String(), Label: h.Label, Technician: h.Technician, State: h.State, Since: ms(h.Since), Mine: h.Mine})
			}
			return Session{}, e
		}
		return Session{}, err
	}
	faultpoint.Hit("console/created", "")
	var out Session
	err = d.do(func() error {
		if d.profile == nil {
			return notReady()
		}
		u, err := url.Parse(d.server.URL)
		if err != nil {
			return err
		}
		secret := pairing.NewSecret()
		budget := pairing.NewBudget()
		x, fx := session.Create(s.ID, d.profile.Name, c, time.Now(), s.Expires)
		l := &live{
			row:    store.Row{Session: x, ConsoleKey: grant.KeyOf(d.dev.Ed)},
			secret: &secret, budget: budget, srv: &s, hosts: map[rendezvous.Instance]*waiting{},
			link: pairing.Link{Server: u, Session: s.ID, Secret: secret}.String(),
		}
		if err := d.keepLink(l); err != nil {
			l.wipe()
			return err
		}
		faultpoint.Hit("console/link stored", "")
		entries, head := d.entries(l, fx, time.Now())
		if err := d.store.Save(d.ctx, l.row, entries); err != nil {
			d.forget(linkName(s.ID))
			l.wipe()
			return err
		}
		faultpoint.Hit("console/session stored", "")
		l.head, l.row.Head = head, head
		delete(d.foreign, s.ID)
		d.live[s.ID] = l
		d.refreshSoon()
		out = d.show(l)
		return nil
	})
	if err != nil {
		// The place must not stay taken by a session that nobody can use.
		d.abandon(sig, s.ID)
		return Session{}, err
	}
	return out, nil
}

func (d *Desk) abandon(sig Signaling, id grant.ID) {
	var dev *pairing.Device
	if err := d.look(func() error { dev = d.dev; return nil }); err != nil {
		return
	}
	signed, err := grant.Sign(dev.Ed, grant.ContextEnded, grant.Ended{Session: id, By: grant.ByCancel, At: sig.Now().UTC().Truncate(time.Millisecond)})
	if err != nil {
		d.log.Error("sign", "error", err)
		return
	}
	d.async(func(ctx context.Context) {
		if err := retry(ctx, func(ctx context.Context) error { return sig.End(ctx, id, signed) }); err != nil {
			d.log.Warn("a session that could not be stored was not cancelled at the server", "session", id, "error", err)
		}
		d.post(d.refreshSoon)
	})
}

// invitation returns the session and its mail while the link is of use.
func (d *Desk) invitation(id string) (*live, mail.Message, error) {
	l, err := d.get(id)
	if err != nil {
		return nil, mail.Message{}, err
	}
	if !l.row.Session.State.Open() || l.link == "" {
		return nil, mail.Message{}, fault.New(fault.Conflict, "session.link", "The link cannot be used any more.", "It opens one session once. Start a new session for another one.")
	}
	m, err := d.write(l.row.Session.Customer, l.link, l.row.Session.Invite)
	return l, m, err
}

// interrupted is what became of a mail that was on its way when the console
// ended: nobody knows, so it is never sent a second time by itself.
func interrupted() error {
	return fault.New(fault.Cancelled, mail.OpUnsure, "Daypass ended while the invitation was being sent; nobody knows whether it went out.",
		"Ask the customer whether it arrived, or send it again: the link is the same in both mails.")
}

// SendMail sends the invitation and returns at once; what becomes of it is in
// the snapshot. That it is being sent is on the disk before the first byte
// leaves: after a crash it counts as not sent and is offered again.
func (d *Desk) SendMail(id string) error {
	return d.do(func() error {
		l, m, err := d.invitation(id)
		if err != nil {
			return err
		}
		if l.row.Session.Mail.State == session.MailSending {
			return fault.New(fault.Conflict, "mail.send", "The invitation is being sent already.", "Wait for the answer of the mail server.")
		}
		send, byServer, err := d.carrier(l, m)
		if err != nil {
			return err
		}
		if err := d.applyStored(l, session.MailResult{State: session.MailSending, To: m.To, Server: byServer}); err != nil {
			return err
		}
		faultpoint.Hit("console/mail intended", "")
		l.mail++
		n := l.mail
		d.async(func(ctx context.Context) {
			err := send(ctx)
			faultpoint.Hit("console/mail sent", "")
			d.post(func() {
				if l.mail != n {
					return // sent again meanwhile
				}
				f := session.MailResult{State: session.MailSent, To: m.To, Server: byServer}
				if err != nil {
					f.State, f.Err, f.Said = session.MailFailed, err, mail.Reply(err)
				}
				d.must(l, f)
				faultpoint.Hit("console/mail noted", "")
			})
		})
		return nil
	})
}

// carrier says how the invitation goes out: over the mail server of this
// console, or by the company's server where its policy says so.
func (d *Desk) carrier(l *live, m mail.Message) (send func(context.Context) error, byServer bool, err error) {
	if d.byServer() {
		sig, id, c := d.sig, l.id(), l.row.Session.Customer
		in := rendezvous.SendInvitation{To: m.To, Name: c.Name, Subject: c.Subject, Note: c.Note, Language: c.Language, Link: l.link}
		return func(ctx context.Context) error { return sent(sig.SendInvitation(ctx, id, in)) }, true, nil
	}
	if d.mailSet.Host == "" {
		return nil, false, fault.New(fault.Conflict, "mail.send", "No mail server is set up.", "Set it up in Settings, Mail, or open the mail program, or copy the link.")
	}
	sender := d.sender()
	return func(ctx context.Context) error { return d.cfg.SendMail(ctx, sender, m) }, false, nil
}

// byServer says whether the company's policy is that its server sends.
func (d *Desk) byServer() bool {
	return d.sig != nil && d.profile != nil && d.profile.Mail == rendezvous.MailServer
}

// sent says of a sending by the server that nobody knows of it where its answer
// did not come.
func sent(err error) error {
	if errors.Is(err, rendezvous.ErrMailUnsure) || fault.KindOf(err) == fault.Offline && !errors.Is(err, rendezvous.ErrMail) {
		return fault.Wrap(err, fault.Offline, mail.OpUnsure, "The answer of the company's server did not come; nobody knows whether it sent the invitation.",
			"Ask the customer whether it arrived, or send it again: the link is the same in both mails.")
	}
	return err
}

// sender is the way over the mail server of this console.
func (d *Desk) sender() mail.Sender {
	password, _ := d.cfg.Vault.Get(mailPassword)
	defer clear(password)
	out := mail.Sender{Server: d.mailSet, Password: string(password)}
	if d.profile != nil {
		out.Name, out.ReplyTo = d.profile.Name, d.profile.Email
		if strings.HasSuffix(out.ReplyTo, embeddedDomain) {
			out.ReplyTo = "" // nobody reads it
		}
	}
	return out
}

// OpenMailProgram opens the technician's mail program with the text ready.
func (d *Desk) OpenMailProgram(id string) error {
	var address, to string
	var l *live
	if err := d.look(func() error {
		var m mail.Message
		var err error
		if l, m, err = d.invitation(id); err != nil {
			return err
		}
		address, to = mail.MailTo(m, l.link), m.To
		return nil
	}); err != nil {
		return err
	}
	if err := d.cfg.System.OpenMail(address); err != nil {
		return fault.Wrap(err, fault.Unsupported, "mail.open", "No mail program could be opened.", "Copy the link and send it yourself.")
	}
	return d.do(func() error { return d.apply(l, session.MailResult{State: session.MailOpened, To: to}) })
}

// CopyLink puts the link on the clipboard.
func (d *Desk) CopyLink(id string) error {
	var link string
	var l *live
	if err := d.look(func() error {
		var err error
		if l, _, err = d.invitation(id); err == nil {
			link = l.link
		}
		return err
	}); err != nil {
		return err
	}
	if err := d.cfg.System.SetClipboardText(link); err != nil {
		return fault.Wrap(err, fault.Unsupported, "session.copy", "The clipboard did not take the link.", "Try again, or send the mail.")
	}
	return d.do(func() error { return d.apply(l, session.MailResult{State: session.MailCopied}) })
}

// Correct changes the customer's address or name. The link stays; who got the
// earlier mail still has it, so the page says that cancelling is safer where
// the address was somebody else's.
func (d *Desk) Correct(id, email, name string) error {
	return d.do(func() error {
		l, err := d.get(id)
		if err != nil {
			return err
		}
		c := l.row.Session.Customer
		next, err := Invite{Email: email, Name: name, Subject: c.Subject, Language: c.Language, Note: c.Note}.customer()
		if err != nil {
			return err
		}
		return d.applyStored(l, session.Correct{Email: next.Email, Name: next.Name})
	})
}

const mailPassword = "mail:password"

func (d *Desk) readMail(v string) {
	if v == "" {
		return
	}
	var s mail.Server
	if err := json.Unmarshal([]byte(v), &s); err != nil {
		d.log.Warn("mail settings cannot be read", "error", err)
		return
	}
	d.mailSet = s
}

// MailSettings returns the mail server and whether a password is kept.
func (d *Desk) MailSettings() (mail.Server, bool, error) {
	var s mail.Server
	has := false
	err := d.look(func() error {
		s = d.mailSet
		b, ok := d.cfg.Vault.Get(mailPassword)
		clear(b)
		has = ok
		return nil
	})
	return s, has, err
}

// SaveMail stores the mail server. An empty password keeps the one that is
// kept as long as server and user are the same; it must not be sent to another
// server.
func (d *Desk) SaveMail(s mail.Server, password string) error {
	if s != (mail.Server{}) {
		if err := s.Check(); err != nil {
			return err
		}
	}
	if len(password) > 1024 {
		return fault.New(fault.Invalid, "mail.settings", "The password is too long.", "")
	}
	return d.do(func() error {
		if d.store == nil || d.dev == nil {
			return notReady()
		}
		switch {
		case password != "":
			if err := d.cfg.Vault.Put(mailPassword, []byte(password)); err != nil {
				return err
			}
		case s.User == "" || s.Host != d.mailSet.Host || s.User != d.mailSet.User:
			if err := d.cfg.Vault.Delete(mailPassword); err != nil {
				return err
			}
		}
		v := ""
		if s != (mail.Server{}) {
			b, err := json.Marshal(s)
			if err != nil {
				return err
			}
			v = string(b)
		}
		if err := d.store.SetSetting(d.ctx, "mail", v); err != nil {
			return err
		}
		d.mailSet = s
		return nil
	})
}

// TestMail sends a test message and returns when the server took it. How far it
// is is in the snapshot; StopTest gives it up. One at a time.
func (d *Desk) TestMail(ctx context.Context, to string) error {
	to, err := mail.ParseAddress(to)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var sender mail.Sender
	var lang string
	if err := d.do(func() error {
		switch {
		case d.mailSet.Host == "":
			return fault.New(fault.Conflict, "mail.test", "No mail server is set up.", "Enter and save it first.")
		case d.stopTest != nil:
			return fault.New(fault.Conflict, "mail.test", "A test message is on its way already.", "Wait for it, or stop it.")
		}
		sender, lang = d.sender(), d.settings.Language
		d.stopTest, d.testing = cancel, mail.Connecting
		return nil
	}); err != nil {
		return err
	}
	sender.Progress = func(at mail.Stage) { d.post(func() { d.testing = at }) }
	stop := context.AfterFunc(d.ctx, cancel) // the console closes
	defer stop()
	err = d.cfg.SendMail(ctx, sender, mail.TestMessage(to, sender.Name, lang))
	if derr := d.do(func() error { d.stopTest, d.testing = nil, ""; return nil }); derr != nil {
		return derr
	}
	if said := mail.Reply(err); said != "" {
		return &saidError{err, said}
	}
	return err
}

// StopTest gives up the test message that is on its way.
func (d *Desk) StopTest() error {
	return d.do(func() error {
		if d.stopTest != nil {
			d.stopTest()
		}
		return nil
	})
}

// saidError is an error of a mail server with its own words for the folded
// part.
type saidError struct {
	error
	said string
}

// Unwrap returns the error.
func (e *saidError) Unwrap() error { return e.error }

// Details returns what the mail server said.
func (e *saidError) Details() string { return e.said }
