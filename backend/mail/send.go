package mail

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"

	"daypass/backend/fault"
)

// Timeout is how long the mail server may take for a whole mail.
const Timeout = 60 * time.Second

// Until the mail server answers at all, and until it has let us in.
const (
	connectLimit = 15 * time.Second
	signInLimit  = 25 * time.Second
)

// Stage is how far a sending is.
type Stage string

// The stages, in their order.
const (
	Connecting Stage = "connecting" // looking for the server and connecting
	SigningIn  Stage = "signing_in" // greeting, encryption, user and password
	HandingIn  Stage = "handing_in" // sender, recipient and the mail itself
)

// Sender sends over one mail server. It keeps nothing and may be copied.
type Sender struct {
	Server   Server
	Password string
	Name     string // shown before the sender's address
	// ReplyTo is where answers go, if that is another address than the
	// sender's; "" for none.
	ReplyTo string
	// Auto marks the mail as sent by a program (RFC 3834), so that no
	// out-of-office answers go to a mailbox which nobody reads.
	Auto    bool
	RootCAs *x509.CertPool // nil: the system's
	// Progress, if set, is called at each stage by the goroutine of Send.
	Progress func(Stage)
}

// Send sends the message and returns when the server took it: then the server
// answers for it, and what becomes of it later it tells the sender's address.
// Faults say in words what is wrong and what to do: Invalid for an address that
// is not taken, SignedOut for wrong credentials, Offline where the server does
// not answer or wants to be asked later, Hostile where its certificate or
// encryption does not hold, Denied and Full where it refuses. Where it is not
// known whether the server took the mail, the fault has the Op OpUnsure. ctx
// cuts the connection at once.
func (s Sender) Send(ctx context.Context, m Message) error {
	if err := s.Server.Check(); err != nil {
		return err
	}
	msg, err := s.compose(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	conf := &tls.Config{ServerName: s.Server.Host, MinVersion: tls.VersionTLS12, RootCAs: s.RootCAs}
	d := &dialer{implicit: s.Server.Security == TLS, conf: conf, stage: s.stage}
	defer d.release()
	opts := []gomail.Option{
		gomail.WithPort(s.Server.Port), gomail.WithTimeout(Timeout), gomail.WithTLSConfig(conf),
		gomail.WithHELO("[127.0.0.1]"), // the computer's own name and address are nobody's business
		gomail.WithDialContextFunc(d.dial), gomail.WithoutNoop(),
		// After the server took the mail nothing may fail any more.
		gomail.WithoutRset(),
	}
	if s.Server.Security == StartTLS {
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	} else {
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS)) // TLS is the dialer's
	}
	if s.Server.User != "" {
		opts = append(opts, gomail.WithUsername(s.Server.User), gomail.WithPassword(s.Password), gomail.WithOpportunisticSMTPAuth(
			gomail.SMTPAuthSCRAMSHA256PLUS, gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1PLUS, gomail.SMTPAuthSCRAMSHA1,
			gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	c, err := gomail.NewClient(s.Server.Host, opts...)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "mail.send", "The mail settings cannot be used.", "Check them in Settings, Mail.")
	}
	s.stage(Connecting)
	dctx, enough := context.WithTimeout(ctx, signInLimit)
	defer enough()
	d.watch(dctx)
	if err := c.DialWithContext(dctx); err != nil {
		return explain(dctx, err, s.Server, m.To)
	}
	d.watch(ctx)
	s.stage(HandingIn)
	if err := c.Send(msg); err != nil {
		return explain(ctx, err, s.Server, m.To)
	}
	// It is taken; how the server says good-bye changes nothing.
	_ = c.Close()
	return nil
}

func (s Sender) stage(at Stage) {
	if s.Progress != nil {
		s.Progress(at)
	}
}

func (s Sender) compose(m Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithCharset(gomail.CharsetUTF8), gomail.WithNoDefaultUserAgent())
	name, from := sender(s.Name, s.Server.From)
	msg.FromMailAddress(&netmail.Address{Name: line(name), Address: from})
	if err := msg.To(m.To); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "mail.send", "The customer's address cannot be used.", "Correct the address and send again.")
	}
	if s.ReplyTo != "" && !strings.EqualFold(s.ReplyTo, from) {
		msg.ReplyToMailAddress(&netmail.Address{Name: line(s.Name), Address: s.ReplyTo})
	}
	_, domain, _ := strings.Cut(from, "@")
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetMessageIDWithValue(rand.Text() + "@" + domain)
	if s.Auto {
		msg.SetGenHeader("Auto-Submitted", "auto-generated")
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

// dialer makes the connection, with TLS if it is implicit, and cuts it when the
// context ends: the SMTP client itself only knows deadlines.
type dialer struct {
	implicit bool
	conf     *tls.Config
	stage    func(Stage)
	mu       sync.Mutex
	stop     func() bool
	conn     net.Conn
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nd := net.Dialer{Timeout: connectLimit}
	raw, err := nd.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.conn = raw
	d.mu.Unlock()
	d.stage(SigningIn)
	if !d.implicit {
		return raw, nil
	}
	conn := tls.Client(raw, d.conf)
	hctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	if err := conn.HandshakeContext(hctx); err != nil {
		return nil, errors.Join(errHandshake, err, raw.Close())
	}
	return conn, nil
}

// watch cuts the connection when ctx is done, instead of what was watched
// before.
func (d *dialer) watch(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop != nil {
		d.stop()
	}
	d.stop = context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.conn != nil {
			d.conn.Close()
		}
	})
}

// release closes what is left open.
func (d *dialer) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop != nil {
		d.stop()
	}
	if d.conn != nil {
		d.conn.Close() // closed already where all went well
		d.conn = nil
	}
}

var errHandshake = errors.New("TLS from the first byte failed")

// TestMessage is the mail that shows that the settings work.
func TestMessage(to, technician, lang string) Message {
	if lang == German {
		return Message{
			To: to, Subject: "Testnachricht von Daypass",
			Text: "Guten Tag,\n\ndiese Nachricht zeigt, dass Daypass über Ihren Mailserver Einladungen verschicken kann. Es ist nichts weiter zu tun.\n\n" + line(technician) + "\n",
		}
	}
	return Message{
		To: to, Subject: "Test message from Daypass",
		Text: "Hello,\n\nthis message shows that Daypass can send invitations over your mail server. There is nothing else to do.\n\n" + line(technician) + "\n",
	}
}
