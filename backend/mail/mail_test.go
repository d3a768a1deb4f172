package mail

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daypass/backend/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const link = "https://support.example.com/s/ZY1P6E5J4AX9ME6EJAD53A1ZNM#5S1DQNZ1H75E7AMQKA9QMD3CQ4"

func invitation(lang string) Invitation {
	return Invitation{
		Language: lang, To: "anna.weber@example.com", Name: "Anna Weber", Technician: "Mia Roth", Company: "Contoso IT",
		Subject: "Drucker <b>4711</b>", Note: "As we said on the phone,\r\nplease close <i>everything</i> first.", Link: link, Expires: time.Date(2026, 3, 4, 15, 6, 0, 0, time.UTC),
	}
}

func TestInvitationSaysEverythingInBothLanguages(t *testing.T) {
	for lang, want := range map[string][]string{
		English: {"Hello Anna Weber,", "Mia Roth", "Contoso IT", "security code", "Stop", "24 hours", "4 March 2026, 15:06", "hang up", "do nothing", "passwords, bank details or money"},
		German:  {"Guten Tag Anna Weber,", "Mia Roth", "Contoso IT", "Sicherheitscode", "Stopp", "24 Stunden", "04.03.2026, 15:06", "legen Sie auf", "tun Sie einfach nichts", "Passwörtern, Bankdaten oder Geld"},
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
		if !strings.Contains(m.Text, "on the phone,\nplease close <i>everything</i> first.\n") || !strings.Contains(m.HTML, "on the phone,<br>\nplease close &lt;i&gt;") {
			t.Errorf("%s: the technician's own words are not there as typed", lang)
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

func TestCheck(t *testing.T) {
	ok := Server{Host: "smtp.example.com", Port: 587, Security: StartTLS, User: "u", From: "a@example.com"}
	if err := ok.Check(); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(*Server){
		"host": func(s *Server) { s.Host = "a b" }, "no host": func(s *Server) { s.Host = "" }, "port": func(s *Server) { s.Port = 0 },
		"big port": func(s *Server) { s.Port = 70000 }, "security": func(s *Server) { s.Security = "x" }, "from": func(s *Server) { s.From = "x" },
		"open": func(s *Server) { s.Security, s.User = None, "" }, "open password accepted": func(s *Server) { s.Security, s.Unprotected = None, true },
		"open password": func(s *Server) { s.Security = None }, "user": func(s *Server) { s.User = "a\r\nb" }, "url": func(s *Server) { s.Host = "smtp://x" },
	} {
		s := ok
		f(&s)
		if err := s.Check(); fault.KindOf(err) != fault.Invalid || fault.Of(err).Message == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, f := range map[string]func(*Server){
		"here":      func(s *Server) { s.Host, s.Security = "localhost", None },
		"here, v6":  func(s *Server) { s.Host, s.Security = "::1", None },
		"accepted":  func(s *Server) { s.Security, s.User, s.Unprotected = None, "", true },
		"with name": func(s *Server) { s.From = "Support <support@example.com>" },
	} {
		s := ok
		f(&s)
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
