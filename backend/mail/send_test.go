package mail

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"daypass/backend/fault"
	"daypass/test/smtpd"
)

const password = "s3cret-ümlaut"

// serve starts a real SMTP server and returns a sender that suits it.
func serve(t *testing.T, cfg smtpd.Config) (*smtpd.Server, Sender) {
	t.Helper()
	x, err := smtpd.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	s := Sender{
		Server:   Server{Host: "localhost", Port: x.Port, Security: map[smtpd.Security]Security{smtpd.StartTLS: StartTLS, smtpd.TLS: TLS, smtpd.Plain: None}[cfg.Security], User: cfg.User, From: "support@contoso.example"},
		Password: cfg.Password, Name: "Mia Röth", ReplyTo: "mia.roeth@contoso.example", RootCAs: x.Pool(),
	}
	return x, s
}

func secured(sec smtpd.Security, mechanisms ...string) smtpd.Config {
	return smtpd.Config{Security: sec, User: "mia", Password: password, Mechanisms: mechanisms}
}

func TestTheMailArrivesWholeHoweverTheServerWantsIt(t *testing.T) {
	for name, cfg := range map[string]smtpd.Config{
		"starttls, plain": secured(smtpd.StartTLS, "PLAIN"),
		"starttls, login": secured(smtpd.StartTLS, "LOGIN"),
		"starttls, cram":  secured(smtpd.StartTLS, "CRAM-MD5", "PLAIN"),
		"tls, plain":      secured(smtpd.TLS, "PLAIN"),
		"tls, scram":      secured(smtpd.TLS, "SCRAM-SHA-256", "LOGIN"),
		"here, plain":     secured(smtpd.Plain, "PLAIN"),
		"here, nobody":    {Security: smtpd.Plain},
	} {
		t.Run(name, func(t *testing.T) {
			x, s := serve(t, cfg)
			var stages []Stage
			s.Progress = func(at Stage) { stages = append(stages, at) }
			in := invitation(German)
			in.Name, in.Company = "Jörg Müßig", "Contoso Übersee GmbH"
			m, err := Write(in)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Send(t.Context(), m); err != nil {
				t.Fatal(fault.Of(err), err)
			}
			if len(stages) != 3 || stages[0] != Connecting || stages[1] != SigningIn || stages[2] != HandingIn {
				t.Errorf("stages %v", stages)
			}
			if len(x.Mails()) != 1 {
				t.Fatalf("%d mails", len(x.Mails()))
			}
			got := x.Mails()[0]
			if got.From != "support@contoso.example" || len(got.To) != 1 || got.To[0] != m.To || got.User != cfg.User || got.TLS != (cfg.Security != smtpd.Plain) {
				t.Fatalf("%q to %q as %q, TLS %v", got.From, got.To, got.User, got.TLS)
			}
			if cfg.User != "" && got.How != cfg.Mechanisms[0] {
				t.Errorf("signed in by %s", got.How)
			}
			check(t, got.Data, m)
			if bytes.Contains(got.Data, []byte(password)) {
				t.Error("the password is in the mail")
			}
		})
	}
}

// check reads the mail as a mail program does.
func check(t *testing.T, data []byte, m Message) {
	t.Helper()
	for l := range bytes.SplitSeq(data, []byte("\r\n")) {
		if len(l) > 998 || bytes.ContainsFunc(l, func(r rune) bool { return r > 126 || r == '\n' || r == '\r' }) {
			t.Fatalf("a line that not every server carries: %q", l)
		}
	}
	msg, err := netmail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	dec := new(mime.WordDecoder)
	if s, err := dec.DecodeHeader(msg.Header.Get("Subject")); err != nil || s != m.Subject {
		t.Errorf("subject %q %v", s, err)
	}
	for h, want := range map[string]string{"From": "support@contoso.example", "Reply-To": "mia.roeth@contoso.example"} {
		l, err := msg.Header.AddressList(h)
		if err != nil || len(l) != 1 || l[0].Name != "Mia Röth" || l[0].Address != want {
			t.Errorf("%s: %v %v", h, l, err)
		}
	}
	if d, err := msg.Header.Date(); err != nil || time.Since(d).Abs() > time.Minute {
		t.Errorf("date %v %v", d, err)
	}
	if id := msg.Header.Get("Message-Id"); !strings.HasPrefix(id, "<") || !strings.HasSuffix(id, "@contoso.example>") || len(id) < 40 {
		t.Errorf("Message-ID %q", id)
	}
	for _, h := range []string{"User-Agent", "X-Mailer", "Auto-Submitted", "Precedence"} {
		if v := msg.Header.Get(h); v != "" {
			t.Errorf("%s: %s", h, v)
		}
	}
	typ, p, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || typ != "multipart/alternative" {
		t.Fatalf("%s %v", typ, err)
	}
	parts := multipart.NewReader(msg.Body, p["boundary"])
	for i, want := range []string{m.Text, m.HTML} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		typ, p, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil || typ != []string{"text/plain", "text/html"}[i] || !strings.EqualFold(p["charset"], "utf-8") {
			t.Errorf("part %d is %s %v %v", i, typ, p, err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(strings.ReplaceAll(string(body), "\r\n", "\n")); got != strings.TrimSpace(want) {
			t.Errorf("a part changed on its way:\n%s", got)
		}
	}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		t.Errorf("more than two parts: %v", err)
	}
}

func TestSendSaysWhatIsWrong(t *testing.T) {
	past := time.Now().Add(-time.Hour)
	type mod func(*Sender, *Message)
	for name, c := range map[string]struct {
		cfg  smtpd.Config
		mod  mod
		kind fault.Kind
		says string
	}{
		"wrong password":   {secured(smtpd.StartTLS), func(s *Sender, _ *Message) { s.Password = "wrong" }, fault.SignedOut, "does not take the user name and password"},
		"wrong, cram":      {secured(smtpd.StartTLS, "CRAM-MD5"), func(s *Sender, _ *Message) { s.Password = "wrong" }, fault.SignedOut, "does not take the user name and password"},
		"wrong, scram":     {secured(smtpd.TLS, "SCRAM-SHA-256"), func(s *Sender, _ *Message) { s.Password = "wrong" }, fault.SignedOut, "does not take the user name and password"},
		"no password":      {secured(smtpd.StartTLS), func(s *Sender, _ *Message) { s.Server.User = "" }, fault.SignedOut, "wants a user name"},
		"no sign-in there": {smtpd.Config{Security: smtpd.StartTLS}, func(s *Sender, _ *Message) { s.Server.User = "mia" }, fault.Unsupported, "offers no sign-in"},
		"token only":       {secured(smtpd.StartTLS, "XOAUTH2"), nil, fault.Unsupported, "offers no sign-in"},
		"app password":     {smtpd.Config{User: "mia", Password: password, Refuse: &smtp.SMTPError{Code: 534, Message: "5.7.9 Application-specific password required"}}, nil, fault.SignedOut, "app password"},
		"microsoft":        {smtpd.Config{User: "mia", Password: password, Refuse: &smtp.SMTPError{Code: 535, Message: "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."}}, nil, fault.Denied, "Microsoft 365"},
		"busy sign-in":     {smtpd.Config{User: "mia", Password: password, Refuse: &smtp.SMTPError{Code: 421, Message: "Too many"}}, nil, fault.Offline, "cannot take mail just now"},
		"sender":           {secured(smtpd.StartTLS), func(s *Sender, _ *Message) { s.Server.From = "nobody@contoso.example" }, fault.Denied, "send as this sender"},
		"recipient":        {secured(smtpd.StartTLS), func(_ *Sender, m *Message) { m.To = "unknown@example.com" }, fault.Invalid, "unknown@example.com"},
		"mailbox full":     {secured(smtpd.StartTLS), func(_ *Sender, m *Message) { m.To = "full@example.com" }, fault.Full, "full"},
		"greylisting":      {secured(smtpd.StartTLS), func(_ *Sender, m *Message) { m.To = "later@example.com" }, fault.Offline, "asked again later"},
		"relaying":         {secured(smtpd.StartTLS), func(_ *Sender, m *Message) { m.To = "relay@example.com" }, fault.Denied, "other companies"},
		"relaying, 454":    {secured(smtpd.StartTLS), func(_ *Sender, m *Message) { m.To = "postfix@example.com" }, fault.Denied, "other companies"},
		"spam":             {secured(smtpd.StartTLS), func(_ *Sender, m *Message) { m.To = "spam@example.com" }, fault.Denied, "refused the mail"},
		"cut":              {secured(smtpd.StartTLS), func(_ *Sender, m *Message) { m.To = "cut@example.com"; m.Text = strings.Repeat("long ", 400_000) }, fault.Offline, ""},
		"lost":             {secured(smtpd.TLS), func(_ *Sender, m *Message) { m.To = "lost@example.com" }, fault.Offline, "nobody knows whether"},
		"too large":        {smtpd.Config{MaxBytes: 2000}, nil, fault.Denied, "too large"},
		"no encryption":    {smtpd.Config{Security: smtpd.Plain}, func(s *Sender, _ *Message) { s.Server.Security = StartTLS }, fault.Hostile, "does not offer encryption"},
		"tls wanted":       {secured(smtpd.StartTLS), func(s *Sender, _ *Message) { s.Server.Security = None }, fault.Unsupported, "no password without encryption"},
		"not tls":          {secured(smtpd.StartTLS), func(s *Sender, _ *Message) { s.Server.Security = TLS }, fault.Unsupported, "does not speak TLS from the start"},
		"old tls":          {smtpd.Config{Security: smtpd.TLS, OldTLS: true}, nil, fault.Unsupported, "could not agree on an encryption"},
		"old starttls":     {smtpd.Config{OldTLS: true}, nil, fault.Unsupported, "could not agree on an encryption"},
		"strange issuer":   {secured(smtpd.StartTLS), func(s *Sender, _ *Message) { s.RootCAs = x509.NewCertPool() }, fault.Hostile, "does not trust"},
		"strange, tls":     {secured(smtpd.TLS), func(s *Sender, _ *Message) { s.RootCAs = x509.NewCertPool() }, fault.Hostile, "does not trust"},
		"other name":       {secured(smtpd.StartTLS), func(s *Sender, _ *Message) { s.Server.Host = "127.0.0.1" }, fault.Hostile, "is for localhost, not for 127.0.0.1"},
		"named otherwise":  {smtpd.Config{Names: []string{"mx.other.example"}}, nil, fault.Hostile, "for mx.other.example, not for localhost"},
		"expired":          {smtpd.Config{NotAfter: past}, nil, fault.Hostile, "expired"},
		"nobody there":     {secured(smtpd.StartTLS), func(s *Sender, _ *Message) { s.Server.Port = 1 }, fault.Offline, "Nothing answers at this port"},
		"no such name":     {secured(smtpd.StartTLS), func(s *Sender, _ *Message) { s.Server.Host = "mail.invalid" }, fault.Offline, "name"},
		"bad settings":     {secured(smtpd.StartTLS), func(s *Sender, _ *Message) { s.Server.Security, s.Server.Host = None, "mail.example" }, fault.Invalid, "password would travel"},
	} {
		t.Run(name, func(t *testing.T) {
			x, s := serve(t, c.cfg)
			m, err := Write(invitation(English))
			if err != nil {
				t.Fatal(err)
			}
			if c.mod != nil {
				c.mod(&s, &m)
			}
			err = s.Send(t.Context(), m)
			e := fault.Of(err)
			if e == nil || e.Kind != c.kind || e.Hint == "" || !strings.Contains(e.Message+" "+e.Hint, c.says) {
				t.Fatalf("%v: %v / %v (%v)", e.Kind, e.Message, e.Hint, err)
			}
			var logged bytes.Buffer
			slog.New(slog.NewTextHandler(&logged, nil)).Error("x", "error", err)
			if strings.Contains(logged.String(), password) || strings.Contains(logged.String(), "5S1DQNZ1H75E7AMQKA9QMD3CQ4") {
				t.Fatal("a secret is in the error")
			}
			if len(x.Mails()) != 0 {
				t.Fatal("sent all the same")
			}
		})
	}
}

func TestAServerThatWantsToBeAskedLaterTakesTheSecondMail(t *testing.T) {
	x, s := serve(t, secured(smtpd.StartTLS))
	m := TestMessage("later@example.com", "Mia", English)
	err := s.Send(t.Context(), m)
	if got := Reply(err); !strings.HasPrefix(got, "451") || !strings.Contains(got, "Greylisted") {
		t.Fatalf("the server's own words: %q", got)
	}
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if len(x.Mails()) != 1 {
		t.Fatal("not there")
	}
}

func TestAProgramsMailSaysSo(t *testing.T) {
	x, s := serve(t, smtpd.Config{Security: smtpd.TLS})
	s.Auto, s.ReplyTo, s.Name = true, "SUPPORT@contoso.example", `Doe, "J" <x>`
	if err := s.Send(t.Context(), TestMessage("anna@example.com", "Mia", German)); err != nil {
		t.Fatal(err)
	}
	msg, err := netmail.ReadMessage(bytes.NewReader(x.Mails()[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	if msg.Header.Get("Auto-Submitted") != "auto-generated" || msg.Header.Get("Reply-To") != "" {
		t.Error(msg.Header)
	}
	if l, err := msg.Header.AddressList("From"); err != nil || len(l) != 1 || l[0].Name != s.Name {
		t.Errorf("%v %v", l, err)
	}
}

// A server that accepts and says nothing; sending ends with its context.
func TestASilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan net.Conn, 8)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			held <- c
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for len(held) > 0 {
			(<-held).Close()
		}
	})
	for _, sec := range []Security{StartTLS, TLS} {
		s := Sender{Server: Server{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: sec, From: "a@example.com"}}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := s.Send(ctx, TestMessage("a@example.com", "M", German))
		cancel()
		if e := fault.Of(err); e == nil || e.Kind != fault.Offline || !strings.Contains(e.Message, "did not answer in time") {
			t.Errorf("%s: %v", sec, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		s.Progress = func(at Stage) {
			if at == SigningIn {
				cancel()
			}
		}
		if err := s.Send(ctx, TestMessage("a@example.com", "M", German)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", sec, err)
		}
		cancel()
	}
}
