// Package postman sends invitations over the operator's mail server, for
// companies whose policy says that the server does so. It then sees what no
// other part of the server ever sees: the link with its password. So it exists
// only where the operator configured it, forgets each letter with its sending,
// writes neither link nor recipient to any log, and writes the mail itself, so
// that nobody can send other mail through it. It must not know how passwords
// are used: it carries the link as text.
package postman

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/mail"
)

// PerSession is how many times the invitation of one session is sent at most:
// corrected and sent again, but no way to flood a mailbox.
const PerSession = 10

// PerHour is how many invitations one person has sent at most, over all sessions:
// nobody calls so many customers, and it is no way to send other mail in bulk.
const PerHour = 60

// Patience is how long the mail server may take; it is below the time for which
// a console waits for an answer.
const Patience = 15 * time.Second

// Config is the operator's mail server. The zero value is none.
type Config struct {
	Server       mail.Server
	PasswordFile string         // holds the password and nothing else; "" for none
	RootCAs      *x509.CertPool // nil: the system's
}

// Letter is an invitation to send. All texts are plain.
type Letter struct {
	Session    grant.ID
	By         grant.ID // the technician
	Invitation mail.Invitation
	ReplyTo    string // the technician's address
}

// Postman sends. Its methods may be called from any goroutine.
type Postman struct {
	cfg      Config
	password string
	log      *slog.Logger
	now      func() time.Time

	mu    sync.Mutex
	count map[grant.ID]int
	since time.Time
	hour  map[grant.ID]int // by person
	began time.Time        // of that hour
}

// New checks the configuration and reads the password. Faults: Invalid, and
// Denied where the file cannot be read.
func New(cfg Config, log *slog.Logger) (*Postman, error) {
	if cfg.Server.Security == "" {
		cfg.Server.Security = mail.StartTLS
	}
	if cfg.Server.Port == 0 {
		cfg.Server.Port = map[mail.Security]int{mail.StartTLS: 587, mail.TLS: 465, mail.None: 25}[cfg.Server.Security]
	}
	if err := cfg.Server.Check(); err != nil {
		f := fault.Of(err)
		return nil, fault.New(fault.Invalid, "server.start", f.Message, "Check the options --smtp-….")
	}
	p := &Postman{cfg: cfg, log: log, now: time.Now, count: map[grant.ID]int{}, hour: map[grant.ID]int{}}
	if cfg.PasswordFile != "" {
		b, err := os.ReadFile(cfg.PasswordFile)
		if err != nil {
			return nil, fault.Wrap(err, fault.Denied, "server.start", "The file with the password of the mail server cannot be read.", "Check --smtp-password-file and the rights of the file.")
		}
		p.password = strings.TrimRight(string(b), "\r\n")
		clear(b)
	}
	if cfg.Server.User != "" && p.password == "" {
		return nil, fault.New(fault.Invalid, "server.start", "The mail server's user has no password.", "Give --smtp-password-file.")
	}
	return p, nil
}

var password = regexp.MustCompile(`^[0-9A-Za-z-]{20,40}$`)

// IsLink reports whether link is one to the session at one of bases (scheme and
// host, without a slash at the end), and nothing else.
func IsLink(link string, id grant.ID, bases ...string) bool {
	for _, b := range bases {
		if rest, ok := strings.CutPrefix(link, b+"/s/"+id.String()+"#"); ok {
			return password.MatchString(rest)
		}
	}
	return false
}

// Send writes and sends an invitation and returns when the mail server took it.
// Faults are in words for the technician, who cannot mend the operator's
// settings: Invalid, Full and Offline about this recipient, Limit, and
// Unsupported where the operator's mail does not work.
func (p *Postman) Send(ctx context.Context, l Letter) error {
	m, err := mail.Write(l.Invitation)
	if err != nil {
		return err
	}
	if !p.inTime(l.By) {
		return fault.New(fault.Limit, "mail.byserver", "The server has sent as many invitations for you as it does in an hour.", "Wait a while, or copy the link and send it yourself.")
	}
	if !p.mayStill(l.Session) {
		return fault.New(fault.Limit, "mail.byserver", "The server has sent this invitation often enough.", "Copy the link and send it yourself, or start a new session.")
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	err = mail.Sender{
		Server: p.cfg.Server, Password: p.password, Name: l.Invitation.Technician, ReplyTo: l.ReplyTo, Auto: true, RootCAs: p.cfg.RootCAs,
	}.Send(ctx, m)
	if err == nil {
		p.log.Info("invitation sent", "session", l.Session)
		return nil
	}
	return p.explain(l, err)
}

// mayStill counts the sendings of a session. Sessions live for two days at
// most, so the counts are forgotten after three.
func (p *Postman) mayStill(id grant.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); now.Sub(p.since) > 72*time.Hour {
		clear(p.count)
		p.since = now
	}
	p.count[id]++
	return p.count[id] <= PerSession
}

// inTime counts the sendings of a person within an hour.
func (p *Postman) inTime(who grant.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); now.Sub(p.began) > time.Hour {
		clear(p.hour)
		p.began = now
	}
	p.hour[who]++
	return p.hour[who] <= PerHour
}

// without is a mail server's answer for the log: servers like to name the
// recipient.
func without(answer, to string) string {
	if to == "" {
		return answer
	}
	return regexp.MustCompile("(?i)"+regexp.QuoteMeta(to)).ReplaceAllString(answer, "(recipient)")
}

func (p *Postman) explain(l Letter, err error) error {
	f, id := fault.Of(err), l.Session
	if errors.Is(err, context.Canceled) {
		return err
	}
	switch {
	case f.Op == mail.OpUnsure:
		p.log.Warn("invitation perhaps sent", "session", id, "kind", f.Kind)
		return fault.New(f.Kind, mail.OpUnsure, f.Message, f.Hint)
	case f.Kind == fault.Invalid, f.Kind == fault.Full, f.Kind == fault.Offline && strings.HasPrefix(mail.Reply(err), "4"):
		p.log.Info("invitation refused", "session", id, "kind", f.Kind)
		return fault.New(f.Kind, "mail.byserver", f.Message, f.Hint)
	case f.Kind == fault.Offline:
		p.log.Error("the mail server cannot be reached", "session", id, "reason", f.Message)
		return fault.New(fault.Offline, "mail.byserver", "The server could not reach its mail server.", "Try again in a few minutes. Meanwhile you can copy the link and send it yourself.")
	}
	// The operator needs the mail server's own words; they hold no link.
	p.log.Error("the operator's mail does not work", "session", id, "reason", f.Message, "answer", without(mail.Reply(err), l.Invitation.To))
	return fault.New(fault.Unsupported, "mail.byserver", "The server could not send the invitation: its own mail does not work.",
		"Tell whoever runs the server; its log says why. Meanwhile you can copy the link and send it yourself.")
}
