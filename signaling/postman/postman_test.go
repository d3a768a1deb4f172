package postman_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/mail"
	"daypass/backend/rendezvous"
	"daypass/signaling/postman"
	"daypass/signaling/server"
	"daypass/signaling/signalingtest"
	"daypass/test/smtpd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "5S1DQNZ1H75E7AMQKA9QMD3CQ4"

type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// office is a server whose operator has a mail server, and a console.
func office(t *testing.T) (*smtpd.Server, *signalingtest.Server, *rendezvous.Client, *log) {
	t.Helper()
	x, err := smtpd.Start(smtpd.Config{User: "daypass", Password: "operators-own"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("operators-own\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := &log{}
	s := signalingtest.Start(t, func(c *server.Config) {
		c.SMTP = &postman.Config{Server: mail.Server{Host: "localhost", Port: x.Port, User: "daypass", From: "Contoso support <support@contoso.example>"}, PasswordFile: file, RootCAs: x.Pool()}
		c.Log = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	c, _ := s.Console(t)
	return x, s, c, out
}

func allow(t *testing.T, c *rendezvous.Client) {
	t.Helper()
	m := rendezvous.MailServer
	if _, err := c.SetCompany(t.Context(), rendezvous.SetCompany{Mail: &m}); err != nil {
		t.Fatal(err)
	}
}

func letter(s *signalingtest.Server, id grant.ID, to string) rendezvous.SendInvitation {
	return rendezvous.SendInvitation{To: to, Name: "Jörg Müßig", Subject: "Drucker", Note: "Wie besprochen.", Language: "de", Link: s.URL() + "/s/" + id.String() + "#" + secret}
}

func TestTheServerSendsOnlyWhereThePolicySaysSoAndTellsOfIt(t *testing.T) {
	x, s, c, out := office(t)
	made, err := c.CreateSession(t.Context(), rendezvous.NewSession{Subject: "Jörg", Language: "de"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SendInvitation(t.Context(), made.ID, letter(s, made.ID, "joerg@example.com")); fault.KindOf(err) != fault.Denied {
		t.Fatalf("without the policy: %v", err)
	}
	if p, err := c.Profile(t.Context()); err != nil || p.Mail != rendezvous.MailConsole {
		t.Fatalf("the default is %q, %v", p.Mail, err)
	}
	allow(t, c)
	if p, err := c.Profile(t.Context()); err != nil || p.Mail != rendezvous.MailServer {
		t.Fatalf("the console is not told: %q, %v", p.Mail, err)
	}
	// Nothing but an invitation of this session can be sent.
	for name, f := range map[string]func(*rendezvous.SendInvitation){
		"another link": func(in *rendezvous.SendInvitation) {
			in.Link = "https://evil.example/s/" + made.ID.String() + "#" + secret
		},
		"another session": func(in *rendezvous.SendInvitation) { in.Link = s.URL() + "/s/" + grant.NewID().String() + "#" + secret },
		"no password":     func(in *rendezvous.SendInvitation) { in.Link = s.URL() + "/s/" + made.ID.String() + "#" },
		"more behind it":  func(in *rendezvous.SendInvitation) { in.Link += " and http://evil.example" },
		"two recipients":  func(in *rendezvous.SendInvitation) { in.To = "a@example.com, b@example.com" },
		"a header":        func(in *rendezvous.SendInvitation) { in.To = "a@example.com\r\nBcc: b@example.com" },
		"a language":      func(in *rendezvous.SendInvitation) { in.Language = "fr" },
		"a novel":         func(in *rendezvous.SendInvitation) { in.Note = strings.Repeat("x", 1001) },
	} {
		in := letter(s, made.ID, "joerg@example.com")
		f(&in)
		if err := c.SendInvitation(t.Context(), made.ID, in); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(x.Mails()) != 0 {
		t.Fatal("sent")
	}
	if err := c.SendInvitation(t.Context(), made.ID, letter(s, made.ID, "joerg@example.com")); err != nil {
		t.Fatal(err)
	}
	got := x.Mails()
	if len(got) != 1 || got[0].To[0] != "joerg@example.com" || !got[0].TLS || got[0].User != "daypass" {
		t.Fatalf("%+v", got)
	}
	msg, err := netmail.ReadMessage(bytes.NewReader(got[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(msg.Body)
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || subject != "Mia Roth von Contoso IT möchte Ihnen am Computer helfen" {
		t.Errorf("%q %v", subject, err)
	}
	if msg.Header.Get("Auto-Submitted") != "auto-generated" || !strings.Contains(msg.Header.Get("Reply-To"), "mia@example.org") || !bytes.Contains(body, []byte("Wie besprochen.")) {
		t.Errorf("%v", msg.Header)
	}
	// On record, once, and without what it is about.
	log, err := c.Audit(t.Context(), rendezvous.AuditFilter{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(log)
	if err != nil {
		t.Fatal(err)
	}
	all := string(b)
	if strings.Count(all, "session.mailed_by_server") != 1 || !strings.Contains(all, "knew the password") || strings.Contains(all, secret) || strings.Contains(all, "joerg@example.com") {
		t.Errorf("%s", all)
	}
	for _, never := range []string{secret, "joerg@example.com", "operators-own"} {
		if strings.Contains(out.text(), never) {
			t.Errorf("%q is in the log", never)
		}
	}
}

func TestWhatTheOperatorsMailServerSays(t *testing.T) {
	x, s, c, out := office(t)
	allow(t, c)
	made, err := c.CreateSession(t.Context(), rendezvous.NewSession{Subject: "Jörg", Language: "de"})
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]struct {
		kind fault.Kind
		err  error
		says string
	}{
		"unknown@example.com": {fault.Invalid, rendezvous.ErrMail, "unknown@example.com"},
		"later@example.com":   {fault.Offline, rendezvous.ErrMail, "later"},
		"full@example.com":    {fault.Full, rendezvous.ErrMail, "full"},
		"relay@example.com":   {fault.Unsupported, rendezvous.ErrMail, "its own mail does not work"},
		"lost@example.com":    {fault.Offline, rendezvous.ErrMailUnsure, "nobody knows"},
	} {
		err := c.SendInvitation(t.Context(), made.ID, letter(s, made.ID, to))
		if f := fault.Of(err); f == nil || f.Kind != want.kind || !errors.Is(err, want.err) || !strings.Contains(f.Message, want.says) || f.Hint == "" {
			t.Errorf("%s: %v", to, err)
		}
	}
	if !strings.Contains(out.text(), "Relay access denied") {
		t.Error("the operator is not told why")
	}
	if strings.Contains(out.text(), "@example.com") || strings.Contains(out.text(), secret) {
		t.Error("a recipient or a link is in the log")
	}
	// Not a way to fill a mailbox.
	for range postman.PerSession {
		err = c.SendInvitation(t.Context(), made.ID, letter(s, made.ID, "joerg@example.com"))
	}
	if fault.KindOf(err) != fault.Limit || len(x.Mails()) != postman.PerSession-5 {
		t.Errorf("%d mails: %v", len(x.Mails()), err)
	}
}

// A new session does not give a person another ten mails without end.
func TestAPersonSendsOnlySoManyAnHour(t *testing.T) {
	x, s, _, _ := office(t)
	c, key := s.Console(t)
	allow(t, c)
	var err error
	sent := 0
	for range postman.PerHour/postman.PerSession + 1 {
		made, cerr := c.CreateSession(t.Context(), rendezvous.NewSession{Subject: "Jörg", Language: "de"})
		if cerr != nil {
			t.Fatal(cerr)
		}
		for range postman.PerSession {
			if err = c.SendInvitation(t.Context(), made.ID, letter(s, made.ID, "joerg@example.com")); err == nil {
				sent++
			}
		}
		end, cerr := grant.Sign(key, grant.ContextEnded, grant.Ended{Session: made.ID, By: grant.ByCancel, At: time.Now().UTC()})
		if cerr == nil {
			cerr = c.End(t.Context(), made.ID, end)
		}
		if cerr != nil {
			t.Fatal(cerr)
		}
	}
	if fault.KindOf(err) != fault.Limit || sent != postman.PerHour || len(x.Mails()) != sent {
		t.Errorf("%d sent, %d came: %v", sent, len(x.Mails()), err)
	}
}

func TestAServerWithoutMailSaysSo(t *testing.T) {
	s := signalingtest.Start(t)
	c, _ := s.Console(t)
	allow(t, c)
	made, err := c.CreateSession(t.Context(), rendezvous.NewSession{Subject: "Jörg", Language: "de"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SendInvitation(t.Context(), made.ID, letter(s, made.ID, "joerg@example.com")); fault.KindOf(err) != fault.Unsupported {
		t.Fatal(err)
	}
}

func TestWrongOptionsAreSaidAtTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	for name, cfg := range map[string]postman.Config{
		"no sender":   {Server: mail.Server{Host: "localhost"}},
		"no host":     {Server: mail.Server{From: "a@example.com"}},
		"open":        {Server: mail.Server{Host: "mail.example.com", From: "a@example.com", Security: mail.None}},
		"no password": {Server: mail.Server{Host: "localhost", From: "a@example.com", User: "u"}},
		"no file":     {Server: mail.Server{Host: "localhost", From: "a@example.com", User: "u"}, PasswordFile: file},
	} {
		if _, err := postman.New(cfg, slog.New(slog.DiscardHandler)); err == nil || fault.Of(err).Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
