package desk_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daypass/backend/account"
	"daypass/backend/desk"
	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/mail"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/backend/store"
	"daypass/backend/wire"
	"daypass/signaling/server"
	"daypass/signaling/signalingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that would otherwise hang; it says nothing of speed.
const patience = 60 * time.Second

// ring is a keyring in memory; it outlives a desk, as a real one does.
type ring struct {
	mu   sync.Mutex
	keys map[string]string
	err  error
}

func (r *ring) Get(u string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.keys[u]; ok {
		return s, nil
	}
	return "", cmpErr(r.err, account.ErrNoKey)
}

func (r *ring) Set(u, s string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	r.keys[u] = s
	return nil
}
func (r *ring) Delete(string) error { return nil }

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// window is a page that remembers the newest snapshot, and a clipboard.
type window struct {
	mu    sync.Mutex
	last  desk.Snapshot
	clip  string
	mails []string
	fail  error
}

func (w *window) Emit(s desk.Snapshot) { w.mu.Lock(); w.last = s; w.mu.Unlock() }
func (w *window) ClipboardText() (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clip, w.fail
}

func (w *window) SetClipboardText(s string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clip = s
	return w.fail
}

func (w *window) OpenMail(a string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mails = append(w.mails, a)
	return w.fail
}

type fakeStream struct {
	stop context.CancelFunc
	done chan struct{}
}

func (s *fakeStream) Close()               { s.stop(); <-s.done }
func (s *fakeStream) Paint() time.Duration { return time.Millisecond }

// bench is one technician's computer: profile and keyring survive restarts.
type bench struct {
	t     *testing.T
	dir   string
	ring  *ring
	win   *window
	d     *desk.Desk
	cfg   func(*desk.Config)
	input func([]byte) error // of the page's stream
	sent  []mail.Message
	mu    sync.Mutex
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir(), ring: &ring{keys: map[string]string{}}, win: &window{}}
	t.Cleanup(func() {
		if b.d != nil {
			b.d.Close()
		}
	})
	return b
}

func (b *bench) up() {
	b.t.Helper()
	var log *slog.Logger
	if os.Getenv("DESK_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	cfg := desk.Config{
		Dir: b.dir, Version: "test", Vault: account.New(b.dir, b.ring), System: b.win, Log: log,
		LANAddresses: func() []desk.LANAddress { return nil }, RemovalWait: 30 * time.Second,
		OpenView: func(src desk.Source, input func([]byte) error) (desk.Stream, desk.Ticket, error) {
			ctx, cancel := context.WithCancel(context.Background())
			s := &fakeStream{cancel, make(chan struct{})}
			b.mu.Lock()
			b.input = input
			b.mu.Unlock()
			go func() {
				defer close(s.done)
				var buf []byte
				for {
					m, err := src.Next(ctx, buf)
					if err != nil {
						return
					}
					buf = m
				}
			}()
			return s, desk.Ticket{Path: "/view/", Token: "t"}, nil
		},
		SendMail: func(_ context.Context, _ mail.Sender, m mail.Message) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.sent = append(b.sent, m)
			if strings.Contains(m.To, "wrong") {
				return fault.New(fault.Invalid, "mail.send", "The mail server does not take this address.", "Correct it.")
			}
			return nil
		},
	}
	if b.cfg != nil {
		b.cfg(&cfg)
	}
	b.d = desk.New(cfg)
}

func (b *bench) down() { b.d.Close(); b.d = nil }

func (b *bench) snap() desk.Snapshot {
	b.t.Helper()
	s, err := b.d.Snapshot()
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// until waits for a snapshot that fulfils ok.
func (b *bench) until(what string, ok func(desk.Snapshot) bool) desk.Snapshot {
	b.t.Helper()
	for end := time.Now().Add(patience); ; {
		s := b.snap()
		if ok(s) {
			return s
		}
		if time.Now().After(end) {
			j, _ := json.MarshalIndent(s, "", " ")
			b.t.Fatalf("waited in vain for: %s\n%s", what, j)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (b *bench) session(what, id string, ok func(desk.Session) bool) desk.Session {
	b.t.Helper()
	var out desk.Session
	b.until(what, func(s desk.Snapshot) bool {
		for _, x := range s.Sessions {
			if x.ID == id && ok(x) {
				out = x
				return true
			}
		}
		return false
	})
	return out
}

// ready starts the desk and signs it in to the server.
func (b *bench) ready(s *signalingtest.Server) {
	b.t.Helper()
	b.up()
	b.until("welcome", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseWelcome })
	if err := b.d.UseServer(s.URL()); err != nil {
		b.t.Fatal(err)
	}
	b.until("sign in", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseSignIn })
	if err := b.d.SignIn(s.Account.Email, s.Account.Password, ""); err != nil {
		b.t.Fatal(err)
	}
	b.online()
}

func (b *bench) online() {
	b.t.Helper()
	b.until("online", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseReady && x.Server.Online })
}

func (b *bench) create() desk.Session {
	b.t.Helper()
	x, err := b.d.Create(b.t.Context(), desk.Invite{Email: "anna@example.com", Name: "Anna Weber", Subject: "printer", Language: "de"})
	if err != nil {
		b.t.Fatal(err)
	}
	return x
}

// host is a customer's computer: real mailbox, activation and link, without
// screen or window.
type host struct {
	t    *testing.T
	box  *rendezvous.HostMailbox
	dev  *pairing.Device
	link pairing.Link
	cfg  rendezvous.HostConfig

	act  *pairing.HostActivation
	conn *peer.Link
	c    chan []byte // class C
	got  chan wire.Control
	in   chan []byte
	pin  *pairing.Pin
	ev   chan pairing.Event
	code chan pairing.Code
	done chan struct{}
}

type hostBox struct{ h *host }

func (b hostBox) Send(ctx context.Context, m []byte) error { return b.h.box.Send(ctx, m) }
func (b hostBox) Receive() <-chan []byte                   { return b.h.c }
func (b hostBox) Online() bool                             { return true }

func newHost(t *testing.T, link string) *host {
	t.Helper()
	l, err := pairing.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{
		t: t, dev: pairing.NewDevice(), link: l, c: make(chan []byte, 64), got: make(chan wire.Control, 256), in: make(chan []byte, 256),
		ev: make(chan pairing.Event, 64), code: make(chan pairing.Code), done: make(chan struct{}),
	}
	h.cfg = rendezvous.HostConfig{Server: l.Server, Session: l.Session, Instance: rendezvous.NewInstance(), Key: h.dev.Ed}
	h.act, err = pairing.NewHostActivation(h.dev, l.Secret, l.Session, pairing.HostReport{Computer: "PC-ANNA", OS: "Debian 12", User: "anna"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	h.box = rendezvous.DialHost(h.cfg)
	go h.run()
	t.Cleanup(h.stop)
	return h
}

// say says something for the record, as the host's n-th word.
func (h *host) say(n uint64, kind string, d journal.Details) {
	h.t.Helper()
	s, err := grant.Sign(h.dev.Ed, journal.ContextFact, journal.NewFact(h.link.Session, n, time.Now(), "customer", kind, "as the customer did it", d))
	if err != nil {
		h.t.Fatal(err)
	}
	h.send(&wire.RecordFact{Fact: s})
}

func (h *host) stop() {
	h.box.Close()
	<-h.done
	if h.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		h.conn.Close(ctx, "test over")
		h.conn = nil
	}
}

// run carries the activation.
func (h *host) run() {
	defer close(h.done)
	send := func(ms [][]byte) {
		for _, m := range ms {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			h.box.Send(ctx, m)
			cancel()
		}
	}
	send([][]byte{h.act.Hello()})
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case m, ok := <-h.box.Receive():
			if !ok {
				return
			}
			if m[0] == 'C' {
				select {
				case h.c <- m:
				default:
				}
				continue
			}
			out, ev, _ := h.act.Handle(m)
			send(out)
			if ev.Kind != pairing.None {
				h.ev <- ev
			}
		case c := <-h.code:
			out, err := h.act.Enter(c, grant.View|grant.Control|grant.Clipboard)
			if err != nil {
				h.t.Errorf("enter: %v", err)
			}
			send(out)
		case <-h.box.Events():
		case <-again.C:
			send(h.act.Pending())
		}
	}
}

func (h *host) until(k pairing.EventKind) pairing.Event {
	h.t.Helper()
	late := time.After(patience)
	for {
		select {
		case e := <-h.ev:
			if e.Kind == k {
				return e
			}
		case <-late:
			h.t.Fatalf("event %d did not come", k)
		}
	}
}

func (h *host) enter(digits string) {
	h.t.Helper()
	c, err := pairing.ParseCode(digits)
	if err != nil {
		h.t.Fatal(err)
	}
	h.code <- c
}

// activate signs and listens.
func (h *host) activate() {
	h.t.Helper()
	pin, transcript, err := h.act.Result()
	if err != nil {
		h.t.Fatal(err)
	}
	h.pin = pin
	h.until0(func(ctx context.Context) error {
		act, err := grant.Sign(h.dev.Ed, grant.ContextActivated, grant.Activated{
			Session: h.link.Session, TechnicianKey: pin.PeerEd, HostKey: grant.KeyOf(h.dev.Ed), Transcript: transcript[:],
		})
		if err != nil {
			return err
		}
		_, err = rendezvous.RetryActivate(ctx, func(ctx context.Context) (grant.Signed, error) { return h.box.Activate(ctx, act) })
		return err
	})
	h.listen()
}

func (h *host) until0(f func(context.Context) error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f(ctx); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) listen() {
	h.t.Helper()
	hello, err := wire.AppendControl(nil, &wire.HostHello{
		Version: wire.Version, Program: "test", Computer: "PC-ANNA", Rights: h.pin.Rights, ExpiresMS: 1000,
		Displays: []wire.DisplayInfo{{ID: 1, Name: "one", Width: 640, Height: 480, Primary: true}, {ID: 2, Name: "two", Width: 800, Height: 600}},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	pin := *h.pin
	conn := peer.Listen(context.Background(), peer.Config{Device: h.dev, Pin: &pin, Epochs: &pairing.MemoryEpochs{}, Mailbox: hostBox{h}, LAN: true, Hello: hello})
	h.conn = conn
	go func() {
		for range conn.Events() {
		}
	}()
	go func() {
		for b := range conn.Control().Receive() {
			if m, err := wire.ParseControl(b); err != nil {
				h.t.Errorf("console sent: %v", err)
			} else {
				h.got <- m
			}
		}
	}()
	go func() {
		for b := range conn.Input().Receive() {
			h.in <- b
		}
	}()
	go func() {
		for range conn.Picture().Receive() {
		}
	}()
}

func (h *host) send(m wire.Control) {
	h.t.Helper()
	b, err := wire.AppendControl(nil, m)
	if err == nil {
		err = h.conn.Control().Send(b)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// expect waits for a control message of type M.
func expect[M wire.Control](h *host) M {
	h.t.Helper()
	late := time.After(patience)
	for {
		select {
		case m := <-h.got:
			if x, ok := m.(M); ok {
				return x
			}
		case <-late:
			var m M
			h.t.Fatalf("%T did not come", m)
		}
	}
}

// remove is the host's last word, over link and server.
func (h *host) remove(clean bool, lines ...string) {
	h.t.Helper()
	s := h.sendRemoved(clean, lines, lines)
	h.until0(func(ctx context.Context) error { return h.box.Removed(ctx, s) })
}

// sendRemoved signs one list and sends another, over the link alone.
func (h *host) sendRemoved(clean bool, signed, lines []string) grant.Signed {
	h.t.Helper()
	sum := grant.HashReport(signed)
	s, err := grant.Sign(h.dev.Ed, grant.ContextRemoved, grant.Removed{Session: h.link.Session, At: time.Now().UTC(), Clean: clean, Report: sum[:]})
	if err != nil {
		h.t.Fatal(err)
	}
	if h.conn != nil {
		h.send(&wire.Removed{Removed: s, Lines: lines})
	}
	return s
}

// pair brings a session to active, over everything that is real.
func pair(b *bench, x desk.Session) *host {
	b.t.Helper()
	h := newHost(b.t, x.Link)
	h.until(pairing.NeedCode)
	y := b.session("code", x.ID, func(s desk.Session) bool { return s.Code != nil && s.Code.Digits != "" })
	if len(y.Code.Digits) != 8 || len(y.Waiting) != 1 || !y.Waiting[0].Chosen || y.Waiting[0].Computer != "PC-ANNA" {
		b.t.Fatalf("%+v", y)
	}
	h.enter(y.Code.Digits)
	h.until(pairing.Confirmed)
	h.activate()
	b.session("open", x.ID, func(s desk.Session) bool {
		return s.State == "active" && s.LinkState == "open" && len(s.Remote.Displays) == 2
	})
	return h
}

func kinds(t *testing.T, b *bench, id string) string {
	t.Helper()
	g, err := grant.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	es, v, err := b.d.Timeline(g)
	if err != nil || !v.OK {
		t.Fatalf("%v %+v", err, v)
	}
	out := []string{}
	for _, e := range es {
		out = append(out, e.Kind)
	}
	return strings.Join(out, " ")
}

func TestASessionFromInvitationToRemoval(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	if x.State != "invited" || !x.Verbs.Cancel || !x.Verbs.Resend || x.Verbs.Remote || !strings.HasPrefix(x.Link, s.URL()+"/s/") {
		t.Fatalf("%+v", x)
	}
	h := pair(b, x)
	y := b.session("active", x.ID, func(s desk.Session) bool { return s.Verbs.Remote })
	if y.Link != "" || y.Verbs.Cancel || !y.Verbs.End || y.Host.Computer != "PC-ANNA" || y.Presence != "online" ||
		strings.Join(y.Rights, " ") != "view control clipboard" || y.Fingerprints == nil || y.Code != nil {
		t.Fatalf("%+v", y)
	}

	// Remote Control, its gate, displays, clipboard.
	ticket, err := b.d.OpenRemote(x.ID, true)
	if err != nil || ticket.Token == "" {
		t.Fatal(err)
	}
	if o := expect[*wire.Open](h); !o.ViewOnly {
		t.Fatalf("%+v", o)
	}
	h.send(&wire.Opened{Display: 1, Codec: "jpeg"})
	key, err := wire.AppendInput(nil, &wire.Input{Kind: wire.InputKey, Usage: 4, Down: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.input(key); err != nil {
		t.Fatal(err)
	}
	if err := b.d.SetViewOnly(x.ID, false); err != nil {
		t.Fatal(err)
	}
	expect[*wire.Open](h)
	if m := <-h.in; m[0] != byte(wire.InputRelease) {
		t.Fatalf("first comes %x", m)
	}
	if err := b.input(key); err != nil {
		t.Fatal(err)
	}
	if m := <-h.in; !bytes.Equal(m, key) {
		t.Fatalf("%x", m)
	}
	select {
	case m := <-h.in:
		t.Fatalf("input of the view-only time arrived too: %x", m)
	default:
	}
	if err := b.input([]byte{9, 9}); err == nil {
		t.Fatal("what the page may not send went through")
	}
	if err := b.d.SelectDisplay(x.ID, 2); err != nil {
		t.Fatal(err)
	}
	if d := expect[*wire.Display](h); d.Display != 2 {
		t.Fatal(d)
	}
	if err := b.d.SelectDisplay(x.ID, 7); fault.KindOf(err) != fault.NotFound {
		t.Fatal(err)
	}
	b.win.clip = "grüße an den Host"
	if err := b.d.SendClipboard(x.ID); err != nil {
		t.Fatal(err)
	}
	if c := expect[*wire.Clip](h); c.Text != "grüße an den Host" || !c.Last {
		t.Fatalf("%+v", c)
	}
	if err := b.d.FetchClipboard(x.ID); err != nil {
		t.Fatal(err)
	}
	get := expect[*wire.ClipGet](h)
	h.send(&wire.Clip{ID: get.ID - 1, Last: true, Text: "old"})
	h.send(&wire.Clip{ID: get.ID, Text: "from "})
	h.send(&wire.Clip{ID: get.ID, Part: 1, Last: true, Text: "the host"})
	b.session("clipboard", x.ID, func(s desk.Session) bool { return s.Remote.ClipboardText == "from the host" })
	if c, _ := b.win.ClipboardText(); c != "from the host" {
		t.Fatal(c)
	}

	// The customer takes control away, and stops.
	h.say(1, "rights", journal.Details{Rights: []string{"view"}, Allowed: grant.View})
	h.send(&wire.RightsNow{Rights: grant.View})
	b.session("rights", x.ID, func(s desk.Session) bool { return len(s.Rights) == 1 })
	if err := b.d.Chord(x.ID, "alt-tab"); fault.KindOf(err) != fault.Denied {
		t.Fatal(err)
	}
	if err := b.d.SendClipboard(x.ID); fault.KindOf(err) != fault.Denied {
		t.Fatal(err)
	}
	h.say(3, "paused", journal.Details{}) // before the second: it is not taken
	h.say(1, "rights", journal.Details{}) // known already
	h.say(2, "paused", journal.Details{By: "customer"})
	h.send(&wire.Paused{By: "customer"})
	b.session("paused", x.ID, func(s desk.Session) bool { return s.Remote.Paused == "customer" })

	if err := b.d.End(x.ID); err != nil {
		t.Fatal(err)
	}
	end := expect[*wire.End](h)
	var ended grant.Ended
	if err := grant.Open(h.pin.PeerEd, grant.ContextEnded, end.Ended, &ended); err != nil || ended.By != grant.ByTechnician {
		t.Fatal(err)
	}
	h.remove(true, "removed: program", "removed: folder")
	y = b.session("removed", x.ID, func(s desk.Session) bool { return s.State == "removed" })
	if y.Removal.State != "clean" || len(y.Removal.Lines) != 2 || !y.Verbs.PutAway || y.Verbs.End {
		t.Fatalf("%+v", y)
	}
	if id, err := grant.ParseID(x.ID); err != nil || !b.d.RemovalSigned(id) {
		t.Error("the host's signature over its removal was not kept")
	}
	k := kinds(t, b, x.ID)
	for _, want := range []string{"created answered chosen code_shown activated", "remote_opened", "clipboard_sent clipboard_fetched rights paused", "end_requested", "removed"} {
		if !strings.Contains(k, want) {
			t.Errorf("record lacks %q: %s", want, k)
		}
	}
	for _, e := range filesUnder(t, b.dir) {
		if strings.Contains(e, x.Link[strings.IndexByte(x.Link, '#')+1:]) {
			t.Error("the link's secret is on the disk")
		}
	}
	if err := b.d.PutAway(x.ID); err != nil {
		t.Fatal(err)
	}
	b.until("put away", func(s desk.Snapshot) bool { return len(s.Sessions) == 0 })
	page, err := b.d.History(store.Query{Text: "pc-anna", Limit: 10})
	if err != nil || page.Total != 1 || page.Rows[0].Session.ID.String() != x.ID {
		t.Fatal(page.Total, err)
	}
}

func filesUnder(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	list, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if b, err := os.ReadFile(f); err == nil {
			out = append(out, string(b))
		}
	}
	return out
}

func TestConsoleRestartedInMidSession(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	h := pair(b, x)
	if b.d.LiveSessions() != 1 {
		t.Fatal("closing would not ask")
	}
	b.down()
	b.up()
	b.online()
	b.session("back", x.ID, func(s desk.Session) bool { return s.State == "active" && s.LinkState == "open" })
	if _, err := b.d.OpenRemote(x.ID, false); err != nil {
		t.Fatal(err)
	}
	expect[*wire.Open](h)
	if k := kinds(t, b, x.ID); !strings.Contains(k, "console_closed console_back connected") {
		t.Error(k)
	}
	// The customer ends this one.
	signed, err := grant.Sign(h.dev.Ed, grant.ContextEnded, grant.Ended{Session: h.link.Session, By: grant.ByCustomer, At: time.Now().UTC()})
	if err != nil {
		t.Fatal(err)
	}
	h.send(&wire.End{Ended: signed})
	b.session("ending", x.ID, func(s desk.Session) bool { return s.State == "ending" && s.EndedBy == "customer" })
	h.until0(func(ctx context.Context) error { return h.box.End(ctx, signed) })
	h.remove(false, "still there: a file")
	y := b.session("removed", x.ID, func(s desk.Session) bool { return s.State == "removed" })
	if y.Removal.State != "unclean" {
		t.Fatalf("%+v", y.Removal)
	}
}

// A host that holds another record, signed by a console that it made up, does not
// get it in the place of ours.
func TestAHostCannotReplaceTheRecordByOneOfItsOwn(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	h := pair(b, x)
	before := kinds(t, b, x.ID)
	_, forger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e := journal.Head{}.Next(h.link.Session, time.Now(), "technician", "created", "The technician took everything.")
	e.Sign(journal.Console, forger)
	e.Sign(journal.Host, h.dev.Ed)
	expect[*wire.RecordAsk](h)
	h.send(&wire.RecordHave{Head: e.Head()})
	if ask := expect[*wire.RecordAsk](h); ask.From != 1 {
		t.Fatalf("asked from %d", ask.From)
	}
	h.send(&wire.Record{Entries: []journal.Entry{e}})
	// What the host truly says comes after it, and finds the record as it was.
	h.say(1, "paused", journal.Details{By: "customer"})
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		k := kinds(t, b, x.ID)
		if !strings.HasPrefix(k, before) || time.Now().After(end) {
			t.Fatalf("before %s\nafter %s", before, k)
		}
		if strings.Contains(k, "paused") {
			return
		}
	}
}

func TestServerGoneDoesNotDisturbARunningSession(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	h := pair(b, x)
	s.Down(t)
	b.until("offline", func(x desk.Snapshot) bool { return !x.Server.Online && x.Server.OfflineSince > 0 })
	if _, err := b.d.OpenRemote(x.ID, false); err != nil {
		t.Fatal(err)
	}
	expect[*wire.Open](h)
	if _, err := b.d.Create(t.Context(), desk.Invite{Email: "b@example.com"}); fault.KindOf(err) != fault.Offline {
		t.Fatal(err)
	}
	// The end works without the server and reaches it later.
	if err := b.d.End(x.ID); err != nil {
		t.Fatal(err)
	}
	expect[*wire.End](h)
	s.Up(t)
	b.online()
	h.remove(true, "all")
	b.session("removed", x.ID, func(s desk.Session) bool { return s.State == "removed" })
	b.until("place free", func(x desk.Snapshot) bool { return x.Limits.Mine.Used == 0 })
}

func TestAServerThatLostTheSessionIsSaidAndEndsNothingHere(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	old, dir := filepath.Join(t.TempDir(), "old"), filepath.Join(t.TempDir(), "new")
	if err := server.Backup(t.Context(), s.Config.DataDir, old); err != nil {
		t.Fatal(err)
	}
	x := b.create()
	h := pair(b, x)
	s.Down(t)
	if err := server.Restore(t.Context(), old, dir); err != nil {
		t.Fatal(err)
	}
	s.Config.DataDir, s.Config.Listen = dir, s.Address.Host
	s.Up(t)
	b.online()
	y := b.session("told", x.ID, func(s desk.Session) bool { return s.Fault != nil })
	if y.State != "active" || !strings.Contains(y.Fault.Message, "does not know this session") || !y.Verbs.End {
		t.Fatalf("%+v %+v", y, y.Fault)
	}
	if _, err := b.d.OpenRemote(x.ID, false); err != nil { // the link goes on
		t.Fatal(err)
	}
	expect[*wire.Open](h)
	if err := b.d.End(x.ID); err != nil {
		t.Fatal(err)
	}
	expect[*wire.End](h)
	h.sendRemoved(true, []string{"removed: all"}, []string{"removed: all"})
	b.session("removed", x.ID, func(s desk.Session) bool { return s.State == "removed" && s.Removal.State == "clean" })
}

func TestAScreenLockedInMidSessionIsSaidAndComesBack(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	h := pair(b, x)
	if _, err := b.d.OpenRemote(x.ID, false); err != nil {
		t.Fatal(err)
	}
	expect[*wire.Open](h)
	h.send(&wire.Opened{Display: 1, Codec: "jpeg"})
	for _, c := range []struct {
		state wire.PictureState
		words string
	}{{wire.PictureLocked, "locked"}, {wire.PictureOff, "switched off"}, {wire.PictureLive, ""}} {
		if err := h.conn.Picture().Send(wire.AppendPictureState(nil, c.state)); err != nil {
			t.Fatal(err)
		}
		y := b.session("state of the screen", x.ID, func(s desk.Session) bool {
			f := s.Remote.Blocked
			return c.words == "" && f == nil || c.words != "" && f != nil && strings.Contains(f.Message, c.words)
		})
		if f := y.Remote.Blocked; f != nil && f.Hint == "" {
			t.Errorf("%+v says no way on", f)
		}
	}
}

func TestAComputerThatFailedAfterTheCodeMayComeAnew(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	h := newHost(t, x.Link)
	h.until(pairing.NeedCode)
	y := b.session("code", x.ID, func(s desk.Session) bool { return s.Code != nil && s.Code.Digits != "" })
	h.enter(y.Code.Digits)
	h.until(pairing.Confirmed)
	if err := h.box.Close(); err != nil { // its disk was full: it never told the server
		t.Fatal(err)
	}
	again := pair(b, x) // another code, another pin
	b.session("active", x.ID, func(s desk.Session) bool { return s.State == "active" && s.LinkState == "open" })
	if !strings.Contains(kinds(t, b, x.ID), "confirmation_lost") {
		t.Error(kinds(t, b, x.ID))
	}
	again.send(&wire.Paused{By: "customer"})
	b.session("the new link", x.ID, func(s desk.Session) bool { return s.Remote.Paused == "customer" })
}

func TestAListThatTheHostDidNotSignIsLeftOut(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	h := pair(b, x)
	if err := b.d.End(x.ID); err != nil {
		t.Fatal(err)
	}
	expect[*wire.End](h)
	h.sendRemoved(true, []string{"removed: the program"}, []string{"removed: the program", "removed: what was never there"})
	y := b.session("removed", x.ID, func(s desk.Session) bool { return s.State == "removed" })
	if len(y.Removal.Lines) != 0 || !strings.Contains(kinds(t, b, x.ID), "removal_list_refused removed") {
		t.Errorf("%+v; %s", y.Removal, kinds(t, b, x.ID))
	}
}

func TestWrongCodesCostTriesAndLock(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	h := newHost(t, x.Link)
	wrong := pairing.NewCode()
	for n := range 9 {
		if n%3 == 0 {
			h.until(pairing.NeedCode)
		} else {
			h.until(pairing.WrongCode)
		}
		y := b.session("code", x.ID, func(s desk.Session) bool {
			return s.Code != nil && s.Code.Digits != "" && s.Code.SessionTriesLeft == 9-n
		})
		if y.Code.Digits == wrong.Digits() {
			t.Skip("one in ten million: the wrong code is the right one")
		}
		h.enter(wrong.Digits())
		switch n {
		case 2, 5:
			y := b.session("expired", x.ID, func(s desk.Session) bool { return s.Code != nil && s.Code.State == "expired" })
			if !y.Verbs.NewCode || y.Code.Digits != "" {
				t.Fatalf("%+v", y)
			}
			if err := b.d.NewCode(x.ID); err != nil {
				t.Fatal(err)
			}
		case 8:
			y := b.session("locked", x.ID, func(s desk.Session) bool { return s.State == "ended" })
			if y.EndedBy != "lock" {
				t.Fatalf("%+v", y)
			}
		default:
			y := b.session("wrong", x.ID, func(s desk.Session) bool {
				return s.Code != nil && s.Code.State == "wrong" && s.Code.SessionTriesLeft == 8-n
			})
			if y.Code.TriesLeft != 2-n%3 {
				t.Fatalf("%+v", y.Code)
			}
		}
	}
	b.until("place free", func(x desk.Snapshot) bool { return x.Limits.Mine.Used == 0 })
}

func TestTwoComputersOnOneLinkWaitForAChoice(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	one := newHost(t, x.Link)
	one.until(pairing.NeedCode)
	two := newHost(t, x.Link)
	y := b.session("two", x.ID, func(s desk.Session) bool { return len(s.Waiting) == 2 })
	if y.Code != nil || y.Waiting[0].Chosen || y.Waiting[1].Chosen {
		t.Fatalf("a code is shown while two computers wait: %+v", y)
	}
	if err := b.d.Choose(x.ID, two.cfg.Instance.String()); err != nil {
		t.Fatal(err)
	}
	one.until(pairing.OtherChosen)
	two.until(pairing.NeedCode)
	y = b.session("code", x.ID, func(s desk.Session) bool { return s.Code != nil && s.Code.Digits != "" })
	two.enter(y.Code.Digits)
	two.until(pairing.Confirmed)
	two.activate()
	b.session("active", x.ID, func(s desk.Session) bool { return s.State == "active" && s.LinkState == "open" })
}

func TestMailWrongAddressCorrectAndResend(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x, err := b.d.Create(t.Context(), desk.Invite{Email: "wrong@example.com", Name: "Anna"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.d.SendMail(x.ID); fault.KindOf(err) != fault.Conflict {
		t.Fatal("sent without a mail server", err)
	}
	if err := b.d.SaveMail(mail.Server{Host: "smtp.example.com", Port: 587, Security: mail.StartTLS, User: "mia", From: "mia@example.com"}, "secret"); err != nil {
		t.Fatal(err)
	}
	if err := b.d.SendMail(x.ID); err != nil {
		t.Fatal(err)
	}
	y := b.session("failed", x.ID, func(s desk.Session) bool { return s.Mail.State == "failed" })
	if y.Mail.Fault == nil || !y.Verbs.Correct {
		t.Fatalf("%+v", y)
	}
	if err := b.d.Correct(x.ID, "not an address", ""); fault.KindOf(err) != fault.Invalid {
		t.Fatal(err)
	}
	if err := b.d.Correct(x.ID, "anna@example.com", "Anna Weber"); err != nil {
		t.Fatal(err)
	}
	if err := b.d.SendMail(x.ID); err != nil {
		t.Fatal(err)
	}
	y = b.session("sent", x.ID, func(s desk.Session) bool { return s.Mail.State == "sent" })
	b.mu.Lock()
	last := b.sent[len(b.sent)-1]
	b.mu.Unlock()
	if last.To != "anna@example.com" || !strings.Contains(last.Text, y.Link) || !strings.Contains(last.Text, "Mia Roth") {
		t.Fatalf("%+v", last)
	}
	if err := b.d.CopyLink(x.ID); err != nil || b.win.clip != y.Link {
		t.Fatal(err)
	}
	if err := b.d.OpenMailProgram(x.ID); err != nil || len(b.win.mails) != 1 || !strings.HasPrefix(b.win.mails[0], "mailto:anna@example.com?") {
		t.Fatal(err)
	}
	// A password that is kept is not sent to another server.
	if err := b.d.SaveMail(mail.Server{Host: "smtp.evil.example", Port: 587, Security: mail.StartTLS, User: "mia", From: "mia@example.com"}, ""); err != nil {
		t.Fatal(err)
	}
	if _, has, err := b.d.MailSettings(); has || err != nil {
		t.Fatal("the password went along", err)
	}
	if err := b.d.Cancel(x.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.d.CopyLink(x.ID); fault.KindOf(err) != fault.Conflict {
		t.Fatal(err)
	}
	b.until("place free", func(x desk.Snapshot) bool { return x.Limits.Mine.Used == 0 })
}

func TestLimitNamesWhoHoldsThePlace(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	_, err := b.d.Create(t.Context(), desk.Invite{Email: "b@example.com"})
	f := desk.FaultOf(err)
	var d struct{ Holders []desk.Holder }
	if f == nil || f.Kind != "limit" || json.Unmarshal([]byte(f.Details), &d) != nil || len(d.Holders) != 1 || d.Holders[0].ID != x.ID || !d.Holders[0].Mine {
		t.Fatalf("%+v", f)
	}
}

func TestNoKeyringAsksAndGoesOn(t *testing.T) {
	b := newBench(t)
	b.ring.err = errors.New("no bus")
	b.up()
	s := b.until("unlock", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseUnlock && x.Vault.Note != nil })
	if s.Vault.Note.Kind != "unsupported" || s.Vault.Sealed {
		t.Fatalf("%+v", s.Vault)
	}
	if err := b.d.SetPassphrase("korrekt pferd"); err != nil {
		t.Fatal(err)
	}
	b.until("welcome", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseWelcome && x.Vault.Kind == "passphrase" })
	b.down()
	b.up()
	b.until("unlock", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseUnlock && x.Vault.Sealed })
	if err := b.d.Unlock("falsches pferd"); fault.KindOf(err) != fault.Denied {
		t.Fatal(err)
	}
	if err := b.d.Unlock("korrekt pferd"); err != nil {
		t.Fatal(err)
	}
	b.until("welcome", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseWelcome })
	b.down()
	b.up()
	b.until("unlock", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseUnlock })
	if err := b.d.UseMemory(); err != nil {
		t.Fatal(err)
	}
	b.until("welcome", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseWelcome && x.Vault.Kind == "memory" })
}

// embedded wires the server inside, as the root does.
func embedded(c *desk.Config) {
	c.CreateAdmin = func(ctx context.Context, dir, email, name, company string) (string, string, error) {
		a, err := server.CreateLocal(ctx, dir, email, name, company)
		return a.Email, a.Password, err
	}
	c.Embed = func(ctx context.Context, e desk.EmbedConfig) (desk.Embedded, error) {
		return server.Start(ctx, server.Config{DataDir: e.DataDir, Listen: "127.0.0.1:0", Embedded: true, TURN: server.TURNConfig{Listen: "127.0.0.1:0"}})
	}
}

func TestThisComputerNeedsNoAccountAndIsFoundAgain(t *testing.T) {
	b := newBench(t)
	b.cfg = embedded
	b.up()
	b.until("welcome", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseWelcome })
	if err := b.d.UseThisComputer(); err != nil {
		t.Fatal(err)
	}
	b.online()
	x := b.create()
	u, err := url.Parse(x.Link)
	if err != nil || u.Hostname() != "127.0.0.1" {
		t.Fatal(x.Link)
	}
	p, err := b.d.Preview(desk.Invite{Email: "anna@example.com", Language: "de"})
	if err != nil || !strings.Contains(p.Text, "Sicherheitscode") || strings.Contains(p.Text, x.Link) {
		t.Fatal(err)
	}
	b.down()
	b.up()
	b.online()
	y := b.session("back", x.ID, func(s desk.Session) bool { return s.State == "invited" })
	if y.Link != x.Link {
		t.Errorf("the link changed from %s to %s", x.Link, y.Link)
	}
	pair(b, y)
}

func TestMemoryOnlyUsesAServerThatIsGoneAfterwards(t *testing.T) {
	b := newBench(t)
	b.cfg = embedded
	b.ring.err = errors.New("no bus")
	b.up()
	b.until("unlock", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseUnlock && x.Vault.Note != nil })
	if err := b.d.UseMemory(); err != nil {
		t.Fatal(err)
	}
	if err := b.d.UseThisComputer(); err != nil {
		t.Fatal(err)
	}
	b.online()
	b.down()
	if left, _ := filepath.Glob(filepath.Join(b.dir, "server-*")); len(left) != 0 {
		t.Fatal(left)
	}
}

func TestAFatalStoreIsSaidInTheWindow(t *testing.T) {
	b := newBench(t)
	if err := os.Mkdir(filepath.Join(b.dir, "daypass.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.up()
	s := b.until("fatal", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseFatal })
	if s.Fatal.Message == "" || s.Fatal.Hint == "" {
		t.Fatalf("%+v", s.Fatal)
	}
}

func TestServerAddresses(t *testing.T) {
	b := newBench(t)
	b.up()
	b.until("welcome", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseWelcome })
	for _, a := range []string{"", "http://example.com", "ftp://example.com", "https://u:p@example.com", "https://example.com/path", "https://example.com?x", "javascript:alert(1)", strings.Repeat("a", 400), "http://8.8.8.8"} {
		if err := b.d.UseServer(a); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", a, err)
		}
	}
	if err := b.d.UseServer("http://127.0.0.1:1"); fault.KindOf(err) != fault.Offline {
		t.Errorf("a server that is not there: %v", err)
	}
}
