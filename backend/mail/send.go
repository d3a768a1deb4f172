package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	netmail "net/mail"
	"net/textproto"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"daypass/backend/fault"
)

// Security says how the connection to the mail server is protected.
type Security string

// The protections. None is refused where a password would be sent.
const (
	StartTLS Security = "starttls" // required, not opportunistic
	TLS      Security = "tls"      // from the first byte (RFC 8314)
	None     Security = "none"
)

// Server is the company's mail server. The password is kept elsewhere.
type Server struct {
	Host     string   `json:"host"`
	Port     int      `json:"port"` // 1..65535
	Security Security `json:"security"`
	User     string   `json:"user"` // empty: no sign-in
	From     string   `json:"from"` // the technician's address
}

// Check says what is wrong with the settings, as a fault of kind Invalid.
func (s Server) Check() error {
	bad := func(m, h string) error { return fault.New(fault.Invalid, "mail.settings", m, h) }
	switch {
	case s.Host == "" || len(s.Host) > 253 || strings.ContainsAny(s.Host, " /@:\r\n\t") && net.ParseIP(s.Host) == nil:
		return bad("The name of the mail server is missing or not a name.", "It looks like smtp.example.com.")
	case s.Port < 1 || s.Port > 65535:
		return bad("The port of the mail server is not a port.", "Usual are 587 for STARTTLS and 465 for TLS.")
	case s.Security != StartTLS && s.Security != TLS && s.Security != None:
		return bad("This protection of the connection is not known.", "Choose STARTTLS or TLS.")
	case s.Security == None && s.User != "":
		return bad("Without encryption the password would travel in the open.", "Choose STARTTLS or TLS, or remove the user name.")
	case len(s.User) > 320 || strings.ContainsAny(s.User, "\r\n"):
		return bad("The user name cannot be used.", "")
	}
	if _, err := ParseAddress(s.From); err != nil {
		return bad("The sender's address is missing or not an address.", "Mails come from this address, and answers go there.")
	}
	return nil
}

// sender splits what the settings say ("Support <support@example.com>", or the
// address alone); a name given there comes before the technician's own.
func sender(name, from string) (string, string) {
	a, err := netmail.ParseAddress(from)
	if err != nil {
		return name, from
	}
	if a.Name != "" {
		name = a.Name
	}
	return name, a.Address
}

// Timeout is how long the mail server may take for a whole mail.
const Timeout = 30 * time.Second

// Sender sends over one mail server. RootCAs nil are the system's.
type Sender struct {
	Server   Server
	Password string
	Name     string // shown before the sender's address
	RootCAs  *x509.CertPool
}

// Send sends the message and returns when the server took it. Faults: Invalid
// for an address the server does not take, SignedOut for wrong credentials,
// Offline where the server does not answer, Hostile where its certificate or
// its encryption does not hold.
func (s Sender) Send(ctx context.Context, m Message) error {
	if err := s.Server.Check(); err != nil {
		return err
	}
	msg := gomail.NewMsg(gomail.WithCharset(gomail.CharsetUTF8))
	name, from := sender(s.Name, s.Server.From)
	if err := msg.FromFormat(line(name), from); err != nil {
		return fault.Wrap(err, fault.Invalid, "mail.send", "The sender's address cannot be used.", "Check the mail settings.")
	}
	if err := msg.To(m.To); err != nil {
		return fault.Wrap(err, fault.Invalid, "mail.send", "The customer's address cannot be used.", "Correct the address and send again.")
	}
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetMessageID()
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	opts := []gomail.Option{
		gomail.WithPort(s.Server.Port), gomail.WithTimeout(Timeout),
		gomail.WithTLSConfig(&tls.Config{ServerName: s.Server.Host, MinVersion: tls.VersionTLS12, RootCAs: s.RootCAs}),
		gomail.WithHELO("localhost"), // the computer's own name is nobody's business
	}
	switch s.Server.Security {
	case TLS:
		opts = append(opts, gomail.WithSSL())
	case StartTLS:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case None:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if s.Server.User != "" {
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.Server.User), gomail.WithPassword(s.Password))
	}
	c, err := gomail.NewClient(s.Server.Host, opts...)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "mail.send", "The mail settings cannot be used.", "Check them in Settings, Mail.")
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	return classify(c.DialAndSendWithContext(ctx, msg))
}

func classify(err error) error {
	if err == nil {
		return nil
	}
	const op, other = "mail.send", "Meanwhile you can copy the link and send it yourself."
	var (
		reply     *textproto.Error
		send      *gomail.SendError
		unknownCA x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		dns       *net.DNSError
		code      int
	)
	if errors.As(err, &reply) {
		code = reply.Code
	} else if errors.As(err, &send) {
		code = send.ErrorCode()
	}
	text := err.Error()
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &unknownCA), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify):
		return fault.Wrap(err, fault.Hostile, op, "The mail server's certificate is not valid for its name.", "Check the server's name in Settings, Mail, or ask whoever runs it. "+other)
	case code == 535 || code == 534 || code == 530 || strings.Contains(text, "SMTP AUTH"):
		return fault.Wrap(err, fault.SignedOut, op, "The mail server does not take the user name and password.", "Check them in Settings, Mail. Some providers want an app password.")
	case strings.Contains(text, "STARTTLS"):
		return fault.Wrap(err, fault.Hostile, op, "The mail server does not offer encryption on this port.", "Choose TLS with port 465, or ask whoever runs the server. "+other)
	case code == 550 || code == 551 || code == 553 || code == 501:
		return fault.Wrap(err, fault.Invalid, op, "The mail server does not take this address.", "Check the customer's address, correct it and send again.")
	case code == 552 || code == 452:
		return fault.Wrap(err, fault.Full, op, "The recipient's mailbox or the mail server is full.", other)
	case code >= 400 && code < 500:
		return fault.Wrap(err, fault.Offline, op, "The mail server cannot take mail just now.", "Try again in a few minutes. "+other)
	case code >= 500:
		return fault.Wrap(err, fault.Denied, op, "The mail server refused the mail.", "The details say why. "+other)
	case errors.As(err, &dns):
		return fault.Wrap(err, fault.Offline, op, "The mail server's name is not known.", "Check the name in Settings, Mail, and your connection. "+other)
	}
	return fault.Wrap(err, fault.Offline, op, "The mail server does not answer.", "Check server and port in Settings, Mail, and your connection. "+other)
}

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
