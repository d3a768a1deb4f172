package mail

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"daypass/backend/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const link = "https://support.example.com/s/ZY1P6E5J4AX9ME6EJAD53A1ZNM#5S1DQNZ1H75E7AMQKA9QMD3CQ4"

func invitation(lang string) Invitation {
	return Invitation{
		Language: lang, To: "anna.weber@example.com", Name: "Anna Weber", Technician: "Mia Roth", Company: "Contoso IT",
		Subject: "Drucker <b>4711</b>", Link: link, Expires: time.Date(2026, 3, 4, 15, 6, 0, 0, time.UTC),
	}
}

func TestInvitationSaysEverythingInBothLanguages(t *testing.T) {
	for lang, want := range map[string][]string{
		English: {"Hello Anna Weber,", "Mia Roth", "Contoso IT", "security code", "Stop", "24 hours", "4 March 2026, 15:06", "hang up", "do nothing"},
		German:  {"Guten Tag Anna Weber,", "Mia Roth", "Contoso IT", "Sicherheitscode", "Stopp", "24 Stunden", "04.03.2026, 15:06", "legen Sie auf", "tun Sie einfach nichts"},
	} {
		m, err := Write(invitation(lang))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(m.Text, w) {
				t.Errorf("%s: the text lacks %q", lang, w)
			}
			if !strings.Contains(m.HTML, w) {
				t.Errorf("%s: the HTML lacks %q", lang, w)
			}
		}
		if strings.Count(m.Text, link) != 1 || !strings.Contains(m.HTML, `href="`+link+`"`) {
			t.Errorf("%s: the link is not there once, whole", lang)
		}
		if strings.Contains(m.HTML, "<b>") || !strings.Contains(m.Text, "<b>4711</b>") {
			t.Errorf("%s: what the technician typed became markup", lang)
		}
		if strings.Contains(m.Text, "%!") || strings.Contains(m.HTML, "%!") {
			t.Errorf("%s: a text has the wrong number of places", lang)
		}
		if strings.Contains(m.HTML, "src=") || strings.Contains(m.HTML, "url(") {
			t.Errorf("%s: the HTML loads something", lang)
		}
	}
}

func TestNothingTypedAddsAHeaderOrALine(t *testing.T) {
	in := invitation(English)
	in.Technician, in.Company, in.Name = "Mia\r\nBcc: all@example.com", "Con\u2028toso", "Anna\n\nPS: call 555"
	m, err := Write(in)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(m.Subject, "\r\n") || strings.Contains(m.Text, "\nPS:") || strings.Contains(m.Text, "\nBcc") {
		t.Fatalf("%q", m.Subject)
	}
	in.Link = "javascript:alert(1)"
	if _, err := Write(in); err == nil {
		t.Fatal("took a link that is none")
	}
}

func TestMailToOpensWithTheWholeText(t *testing.T) {
	for _, lang := range []string{English, German} {
		m, err := Write(invitation(lang))
		if err != nil {
			t.Fatal(err)
		}
		a := MailTo(m, link)
		u, err := url.Parse(a)
		if err != nil || u.Scheme != "mailto" || u.Opaque != "anna.weber@example.com" || strings.Contains(a, "+") {
			t.Fatalf("%.80s %v", a, err)
		}
		q := u.Query()
		if q.Get("subject") != m.Subject || !strings.Contains(q.Get("body"), link) {
			t.Fatal("subject or link lost")
		}
		m.Text += strings.Repeat("long ", 3000)
		if a := MailTo(m, link); len(a) > 2000 || !strings.Contains(a, url.QueryEscape(link)) {
			t.Fatalf("%d characters", len(a))
		}
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		" anna.weber@example.com ": "anna.weber@example.com", "a+b@x.example": "a+b@x.example", "jörg@example.org": "jörg@example.org",
		"Anna Weber <anna@example.com>": "anna@example.com", "<anna@example.com>": "anna@example.com", "root@localhost": "root@localhost",
	} {
		if got, err := ParseAddress(in); err != nil || got != want {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, in := range []string{"", " ", "anna", "anna@", "@example.com", "anna@example", "a b@example.com", "a@b@c.de", "anna@example..com", "anna@.com", "a@example.com\r\nBcc: x@y.de", "a@example.com, b@example.com", strings.Repeat("a", 250) + "@example.com"} {
		if got, err := ParseAddress(in); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
}

func TestSender(t *testing.T) {
	for from, want := range map[string][2]string{
		"mia@example.com":                   {"Mia Roth", "mia@example.com"},
		"Support <support@example.com>":     {"Support", "support@example.com"},
		`"Help, Ltd" <support@example.com>`: {"Help, Ltd", "support@example.com"},
	} {
		if name, address := sender("Mia Roth", from); name != want[0] || address != want[1] {
			t.Errorf("%s: %q <%s>", from, name, address)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"anna@example.com", "A <a@b.c>", "\"x y\"@b.c", "a@[1.2.3.4]", "=?utf-8?q?x?= <a@b.c>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if len(a) > 254 || strings.ContainsAny(a, "\r\n\x00") || !strings.Contains(a, "@") {
			t.Fatalf("%q from %q", a, s)
		}
	})
}

// mailServer is a real SMTP server in this process.
type mailServer struct {
	mu   sync.Mutex
	from string
	to   []string
	data []byte
	user string
	err  error // of RCPT
}

type smtpSession struct{ s *mailServer }

func (b *mailServer) NewSession(*smtp.Conn) (smtp.Session, error) { return &smtpSession{b}, nil }

func (s *smtpSession) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *smtpSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "mia" || password != "s3cret" {
			return smtp.ErrAuthFailed
		}
		s.s.mu.Lock()
		defer s.s.mu.Unlock()
		s.s.user = user
		return nil
	}), nil
}

func (s *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.from = from
	return nil
}

func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.to = append(s.s.to, to)
	return s.s.err
}

func (s *smtpSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.data = b
	return err
}
func (s *smtpSession) Reset()        {}
func (s *smtpSession) Logout() error { return nil }

// serve starts the server; implicit is TLS from the first byte.
func serve(t *testing.T, offerTLS, implicit bool) (*mailServer, Server, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	conf := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	back := &mailServer{}
	s := smtp.NewServer(back)
	s.Domain = "localhost"
	if offerTLS {
		s.TLSConfig = conf
	} else {
		s.AllowInsecureAuth = true
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if implicit {
		l = tls.NewListener(l, conf)
	}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Close(); l.Close(); <-done })
	sec := StartTLS
	if implicit {
		sec = TLS
	}
	return back, Server{Host: "localhost", Port: port, Security: sec, User: "mia", From: "mia@contoso.example"}, pool
}

func TestSendOverStartTLSAndTLSArrivesWhole(t *testing.T) {
	for name, implicit := range map[string]bool{"starttls": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			back, srv, pool := serve(t, true, implicit)
			m, err := Write(invitation(German))
			if err != nil {
				t.Fatal(err)
			}
			if err := (Sender{Server: srv, Password: "s3cret", Name: "Mia Röth", RootCAs: pool}).Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if back.user != "mia" || back.from != srv.From || len(back.to) != 1 || back.to[0] != m.To {
				t.Fatalf("%+v", back)
			}
			msg, err := netmail.ReadMessage(bytes.NewReader(back.data))
			if err != nil {
				t.Fatal(err)
			}
			dec := new(mime.WordDecoder)
			if s, err := dec.DecodeHeader(msg.Header.Get("Subject")); err != nil || s != m.Subject {
				t.Fatalf("%q %v", s, err)
			}
			if f, err := dec.DecodeHeader(msg.Header.Get("From")); err != nil || !strings.Contains(f, "Mia Röth") {
				t.Fatalf("%q %v", f, err)
			}
			_, p, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
			if err != nil {
				t.Fatal(err)
			}
			parts := multipart.NewReader(msg.Body, p["boundary"])
			for _, want := range []string{m.Text, m.HTML} {
				part, err := parts.NextRawPart()
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(quotedprintable.NewReader(part))
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.TrimSpace(strings.ReplaceAll(string(body), "\r\n", "\n")); got != strings.TrimSpace(want) {
					t.Errorf("a part changed on its way:\n%s", got)
				}
			}
		})
	}
}

func TestSendSaysWhatIsWrong(t *testing.T) {
	m := TestMessage("anna@example.com", "Mia Roth", English)
	for name, c := range map[string]struct {
		tls  bool
		prep func(*mailServer, *Server, *Sender)
		kind fault.Kind
	}{
		"password":       {true, func(_ *mailServer, _ *Server, s *Sender) { s.Password = "wrong" }, fault.SignedOut},
		"address":        {true, func(b *mailServer, _ *Server, _ *Sender) { b.err = &smtp.SMTPError{Code: 550, Message: "no such user"} }, fault.Invalid},
		"full":           {true, func(b *mailServer, _ *Server, _ *Sender) { b.err = &smtp.SMTPError{Code: 552, Message: "mailbox full"} }, fault.Full},
		"busy":           {true, func(b *mailServer, _ *Server, _ *Sender) { b.err = &smtp.SMTPError{Code: 451, Message: "later"} }, fault.Offline},
		"refused":        {true, func(b *mailServer, _ *Server, _ *Sender) { b.err = &smtp.SMTPError{Code: 554, Message: "spam"} }, fault.Denied},
		"no encryption":  {false, func(*mailServer, *Server, *Sender) {}, fault.Hostile},
		"strange issuer": {true, func(_ *mailServer, _ *Server, s *Sender) { s.RootCAs = x509.NewCertPool() }, fault.Hostile},
		"other name":     {true, func(_ *mailServer, v *Server, _ *Sender) { v.Host = "127.0.0.1" }, fault.Hostile},
		"nobody there":   {true, func(_ *mailServer, v *Server, _ *Sender) { v.Port = 1 }, fault.Offline},
		"bad settings":   {true, func(_ *mailServer, v *Server, _ *Sender) { v.Security = None }, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			back, srv, pool := serve(t, c.tls, false)
			s := Sender{Password: "s3cret", RootCAs: pool}
			c.prep(back, &srv, &s)
			s.Server = srv
			err := s.Send(t.Context(), m)
			e := fault.Of(err)
			if e == nil || e.Kind != c.kind || e.Message == "" || e.Hint == "" {
				t.Fatalf("%v (%v)", e, err)
			}
			if strings.Contains(e.Error(), "s3cret") {
				t.Fatal("the password is in the error")
			}
			if len(back.data) != 0 {
				t.Fatal("sent all the same")
			}
		})
	}
}

func TestSendCanBeCancelled(t *testing.T) {
	_, srv, pool := serve(t, true, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (Sender{Server: srv, Password: "s3cret", RootCAs: pool}).Send(ctx, TestMessage("a@example.com", "M", German)); err == nil {
		t.Fatal("sent")
	} else if !errors.Is(err, context.Canceled) && fault.KindOf(err) != fault.Offline {
		t.Fatal(err)
	}
}

func TestCheck(t *testing.T) {
	ok := Server{Host: "smtp.example.com", Port: 587, Security: StartTLS, User: "u", From: "a@example.com"}
	if err := ok.Check(); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(*Server){
		"host": func(s *Server) { s.Host = "a b" }, "no host": func(s *Server) { s.Host = "" }, "port": func(s *Server) { s.Port = 0 },
		"big port": func(s *Server) { s.Port = 70000 }, "security": func(s *Server) { s.Security = "x" }, "from": func(s *Server) { s.From = "x" },
		"open password": func(s *Server) { s.Security = None }, "user": func(s *Server) { s.User = "a\r\nb" }, "url": func(s *Server) { s.Host = "smtp://x" },
	} {
		s := ok
		f(&s)
		if err := s.Check(); fault.KindOf(err) != fault.Invalid || fault.Of(err).Message == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
