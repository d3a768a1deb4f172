package desk_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"daypass/backend/desk"
	"daypass/backend/fault"
	"daypass/backend/mail"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
	"daypass/signaling/postman"
	"daypass/signaling/server"
	"daypass/signaling/signalingtest"
	"daypass/test/smtpd"
)

// mailed makes the desk send over a real mail server.
func (b *bench) mailed(x *smtpd.Server) {
	b.cfg = func(c *desk.Config) {
		c.SendMail = func(ctx context.Context, s mail.Sender, m mail.Message) error {
			s.RootCAs = x.Pool()
			return s.Send(ctx, m)
		}
	}
}

func TestMailOverARealServerFromRefusalToArrival(t *testing.T) {
	x, err := smtpd.Start(smtpd.Config{User: "mia", Password: "right"})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	s := signalingtest.Start(t)
	b := newBench(t)
	b.mailed(x)
	b.ready(s)
	srv := mail.Server{Host: "localhost", Port: x.Port, Security: mail.StartTLS, User: "mia", From: "support@contoso.example"}
	if err := b.d.SaveMail(srv, "wrong"); err != nil {
		t.Fatal(err)
	}
	err = b.d.TestMail(t.Context(), "mia@contoso.example")
	if f := desk.FaultOf(err); f == nil || f.Kind != string(fault.SignedOut) || !strings.HasPrefix(f.Details, "535") {
		t.Fatalf("%+v", f)
	}
	if err := b.d.SaveMail(srv, "right"); err != nil {
		t.Fatal(err)
	}
	if err := b.d.TestMail(t.Context(), "mia@contoso.example"); err != nil {
		t.Fatal(err)
	}
	if got := b.snap().Mail; got.Testing != "" || !got.Configured {
		t.Fatalf("%+v", got)
	}
	made, err := b.d.Create(t.Context(), desk.Invite{Email: "unknown@example.com", Name: "Anna", Language: "de", Note: "Wie besprochen."})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.d.SendMail(made.ID); err != nil {
		t.Fatal(err)
	}
	failed := b.session("refused", made.ID, func(x desk.Session) bool { return x.Mail.State == "failed" })
	if f := failed.Mail.Fault; f == nil || !strings.Contains(f.Message, "unknown@example.com") || !strings.HasPrefix(f.Details, "550") || !failed.Verbs.Resend || !failed.Verbs.Correct {
		t.Fatalf("%+v", failed.Mail.Fault)
	}
	// The reason is still there after a restart, and nothing was sent by itself.
	b.down()
	b.up()
	b.online()
	again := b.session("refused", made.ID, func(x desk.Session) bool { return x.Mail.State == "failed" })
	if f := again.Mail.Fault; f == nil || f.Details != failed.Mail.Fault.Details {
		t.Fatalf("%+v", again.Mail.Fault)
	}
	if err := b.d.Correct(made.ID, "anna@example.com", "Anna"); err != nil {
		t.Fatal(err)
	}
	if err := b.d.SendMail(made.ID); err != nil {
		t.Fatal(err)
	}
	b.session("sent", made.ID, func(x desk.Session) bool { return x.Mail.State == "sent" && x.Mail.Fault == nil })
	got := x.Mails()
	if len(got) != 2 || got[1].To[0] != "anna@example.com" {
		t.Fatalf("%d mails", len(got))
	}
	if p, err := b.d.Preview(desk.Invite{Email: "anna@example.com", Name: "Anna", Language: "de", Note: "Wie besprochen."}); err != nil || !strings.Contains(p.Text, "Wie besprochen.") || !strings.Contains(p.HTML, "Wie besprochen.") {
		t.Fatal(err)
	}
}

func TestAConsoleThatDiesWhileSendingNeverSendsTwice(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	var tries atomic.Int32
	started := make(chan struct{}, 1)
	b.cfg = func(c *desk.Config) {
		c.SendMail = func(ctx context.Context, _ mail.Sender, _ mail.Message) error {
			tries.Add(1)
			started <- struct{}{}
			<-ctx.Done() // the mail server took it, and the console dies before it hears so
			return ctx.Err()
		}
	}
	b.ready(s)
	if err := b.d.SaveMail(mail.Server{Host: "smtp.example.com", Port: 587, Security: mail.StartTLS, From: "mia@example.com"}, ""); err != nil {
		t.Fatal(err)
	}
	x := b.create()
	if err := b.d.SendMail(x.ID); err != nil {
		t.Fatal(err)
	}
	<-started
	if err := b.d.SendMail(x.ID); fault.KindOf(err) != fault.Conflict {
		t.Fatalf("a second sending beside the first: %v", err)
	}
	b.session("sending", x.ID, func(x desk.Session) bool { return x.Mail.State == "sending" })
	b.down()
	b.up()
	b.online()
	back := b.session("not known", x.ID, func(x desk.Session) bool { return x.Mail.State == "failed" })
	if f := back.Mail.Fault; f == nil || f.Op != mail.OpUnsure || !strings.Contains(f.Message, "nobody knows") || !back.Verbs.Resend {
		t.Fatalf("%+v", back.Mail.Fault)
	}
	if n := tries.Load(); n != 1 {
		t.Fatalf("sent %d times", n)
	}
}

func TestATestMessageCanBeGivenUp(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.cfg = func(c *desk.Config) {
		c.SendMail = func(ctx context.Context, s mail.Sender, _ mail.Message) error {
			s.Progress(mail.SigningIn)
			<-ctx.Done()
			return ctx.Err()
		}
	}
	b.ready(s)
	if err := b.d.SaveMail(mail.Server{Host: "smtp.example.com", Port: 587, Security: mail.StartTLS, From: "mia@example.com"}, ""); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.d.TestMail(t.Context(), "mia@example.com") }()
	b.until("its stage", func(x desk.Snapshot) bool { return x.Mail.Testing == "signing_in" })
	if err := b.d.TestMail(t.Context(), "mia@example.com"); fault.KindOf(err) != fault.Conflict {
		t.Fatalf("two at a time: %v", err)
	}
	if err := b.d.StopTest(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b.until("the end of it", func(x desk.Snapshot) bool { return x.Mail.Testing == "" })
}

// real is the client that the console itself uses.
type real struct{ *rendezvous.Client }

func (r real) OpenMailbox(ctx context.Context) desk.Mailbox { return r.Open(ctx) }

// later is a server whose clock is ahead.
type later struct {
	desk.Signaling
	ahead *atomic.Int64
}

func (l later) Now() time.Time { return l.Signaling.Now().Add(time.Duration(l.ahead.Load())) }

func TestTheEndOfASessionIsToldOnceEach(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	var ahead atomic.Int64
	told := make(chan string, 8)
	b.cfg = func(c *desk.Config) {
		c.NewSignaling = func(rc rendezvous.ConsoleConfig) desk.Signaling { return later{real{rendezvous.NewClient(rc)}, &ahead} }
		c.Notify = func(_, text string) error { told <- text; return nil }
	}
	b.ready(s)
	made := b.create()
	h := pair(b, made)
	h.stop() // the computer sleeps from here on
	x := made.ID
	at := func(left time.Duration) {
		ahead.Store(int64(24*time.Hour - left))
	}
	notice := func(text string) func(desk.Snapshot) bool {
		return func(s desk.Snapshot) bool {
			for _, n := range s.Notices {
				if n.ID == "time:"+x && strings.Contains(n.Fault.Message, text) {
					return true
				}
			}
			return false
		}
	}
	soon := func(n int) { b.t.Helper(); b.session("soon", x, func(x desk.Session) bool { return x.Soon == n }) }
	at(61 * time.Minute)
	b.until("the other clock", func(s desk.Snapshot) bool { return s.Clock > (22 * time.Hour).Milliseconds() })
	soon(0)
	at(59 * time.Minute)
	b.until("an hour", notice("Less than an hour"))
	soon(60)
	if got := <-told; !strings.Contains(got, "60 minutes") {
		t.Fatal(got)
	}
	// After a restart it is not told again; the next one is.
	b.down()
	b.up()
	b.online()
	soon(60)
	if s := b.snap(); notice("")(s) {
		t.Fatalf("told again: %+v", s.Notices)
	}
	at(9 * time.Minute)
	b.until("ten minutes", notice("Less than ten minutes"))
	if got := <-told; !strings.Contains(got, "10 minutes") {
		t.Fatal(got)
	}
	at(8 * time.Minute)
	b.until("more time went by", func(s desk.Snapshot) bool { return s.Clock > (23*time.Hour + 51*time.Minute).Milliseconds() })
	at(-time.Second)
	b.session("over", x, func(x desk.Session) bool { return x.State == "ending" && x.EndedBy == "expiry" && x.Soon == 0 })
	if s := b.snap(); notice("")(s) {
		t.Fatal("the notice outlives the session")
	}
	if len(told) != 0 {
		t.Fatalf("told once more: %s", <-told)
	}
}

func TestANewSessionWithTheSameCustomerIsPrepared(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	if b.session("there", x.ID, func(desk.Session) bool { return true }).Verbs.Again {
		t.Fatal("offered while the session is open")
	}
	if err := b.d.Cancel(x.ID); err != nil {
		t.Fatal(err)
	}
	b.session("over", x.ID, func(x desk.Session) bool { return x.State == "ended" && x.Verbs.Again })
	b.until("the server has heard it, too", func(s desk.Snapshot) bool { return s.Limits.Mine.Used == 0 })
	in, err := b.d.Again(x.ID)
	if err != nil || in != (desk.Invite{Email: "anna@example.com", Name: "Anna Weber", Subject: "printer", Language: "de"}) {
		t.Fatalf("%+v %v", in, err)
	}
	if y, err := b.d.Create(t.Context(), in); err != nil || y.ID == x.ID || y.Link == x.Link || y.State != string(session.Invited) {
		t.Fatalf("%+v %v", y, err)
	}
	if _, err := b.d.Again("ZY1P6E5J4AX9ME6EJAD53A1ZNM"); fault.KindOf(err) != fault.NotFound {
		t.Fatal(err)
	}
}

func TestTheCompanysServerSendsWhereItsPolicySaysSo(t *testing.T) {
	x, err := smtpd.Start(smtpd.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	s := signalingtest.Start(t, func(c *server.Config) {
		c.SMTP = &postman.Config{Server: mail.Server{Host: "localhost", Port: x.Port, From: "support@contoso.example"}, RootCAs: x.Pool()}
	})
	admin, _ := s.Console(t)
	policy := rendezvous.MailServer
	if _, err := admin.SetCompany(t.Context(), rendezvous.SetCompany{Mail: &policy}); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	b.cfg = func(c *desk.Config) {
		c.SendMail = func(context.Context, mail.Sender, mail.Message) error {
			t.Error("the console sent it")
			return nil
		}
	}
	b.ready(s)
	b.until("told before anything is sent", func(s desk.Snapshot) bool { return s.Mail.ByServer })
	made, err := b.d.Create(t.Context(), desk.Invite{Email: "later@example.com", Name: "Anna", Language: "en"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.d.SendMail(made.ID); err != nil {
		t.Fatal(err)
	}
	failed := b.session("asked to come later", made.ID, func(x desk.Session) bool { return x.Mail.State == "failed" })
	if f := failed.Mail.Fault; !strings.Contains(f.Message, "asked again later") || f.Op == mail.OpUnsure {
		t.Fatalf("%+v", f)
	}
	if err := b.d.SendMail(made.ID); err != nil {
		t.Fatal(err)
	}
	b.session("sent", made.ID, func(x desk.Session) bool { return x.Mail.State == "sent" && x.Mail.Server })
	if got := x.Mails(); len(got) != 1 || got[0].To[0] != "later@example.com" {
		t.Fatalf("%+v", got)
	}
	if k := kinds(t, b, made.ID); !strings.Contains(k, "mail_failed") || !strings.HasSuffix(k, "mailed") {
		t.Fatal(k)
	}
	// A server that is gone while it sends: nobody knows.
	s.Down(t)
	if err := b.d.SendMail(made.ID); err != nil {
		t.Fatal(err)
	}
	lost := b.session("unsure", made.ID, func(x desk.Session) bool { return x.Mail.State == "failed" })
	if lost.Mail.Fault.Op != mail.OpUnsure {
		t.Fatalf("%+v", lost.Mail.Fault)
	}
	s.Up(t)
}
