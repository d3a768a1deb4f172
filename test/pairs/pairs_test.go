// Package pairs runs the real console core, host core and signaling server
// against each other in one process, with fake screens and people, and breaks
// the activation between them at every message. It must not know how any of
// them does its work: it sees the page's snapshot, the customer's window and
// the server's audit.
package pairs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
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
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/host"
	"daypass/hostsvc/lease"
	"daypass/hostsvc/screen"
	"daypass/signaling/directory"
	"daypass/signaling/signalingtest"
	"daypass/signaling/store"
	"daypass/signaling/store/sqlite"
)

func TestMain(m *testing.M) {
	// Each case waits for real pauses of the protocol, not for a core.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// patience bounds waits that would otherwise hang; it says nothing of speed.
const patience = 90 * time.Second

func logger(t testing.TB, who string) *slog.Logger {
	if os.Getenv("PAIRS_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("test", t.Name(), "who", who)
}

// wire is what a fault does to the messages of one side. A message of class A
// has its type in the third byte.
type wire struct {
	mu    sync.Mutex
	fault func(typ byte, nth int) verdict
	seen  map[byte]int
	dead  bool // the program was killed: nothing leaves any more
	kill  chan struct{}
}

type verdict int

const (
	pass verdict = iota
	drop
	twice
	killBefore // the program dies with the message unsent
	killAfter  // and right after it left
)

func (w *wire) send(b []byte, send func() error) error {
	w.mu.Lock()
	if w.dead {
		w.mu.Unlock()
		return errors.New("killed")
	}
	v := pass
	if len(b) > 2 && b[0] == pairing.ClassActivation {
		w.seen[b[2]]++
		if w.fault != nil {
			v = w.fault(b[2], w.seen[b[2]])
		}
	}
	if v == killBefore || v == killAfter {
		w.dead = true
		close(w.kill)
	}
	w.mu.Unlock()
	switch v {
	case drop, killBefore:
		return nil
	case twice:
		if err := send(); err != nil {
			return err
		}
	}
	return send()
}

func (w *wire) gone() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.dead }

func newWire(fault func(byte, int) verdict) *wire {
	return &wire{fault: fault, seen: map[byte]int{}, kill: make(chan struct{})}
}

// ---- the technician ----

type keys struct {
	mu sync.Mutex
	m  map[string]string
}

func (k *keys) Get(u string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, ok := k.m[u]; ok {
		return s, nil
	}
	return "", account.ErrNoKey
}

func (k *keys) Set(u, s string) error { k.mu.Lock(); defer k.mu.Unlock(); k.m[u] = s; return nil }
func (k *keys) Delete(string) error   { return nil }

type page struct{}

func (page) Emit(desk.Snapshot)             {}
func (page) ClipboardText() (string, error) { return "", nil }
func (page) SetClipboardText(string) error  { return nil }
func (page) OpenMail(string) error          { return nil }

type tech struct {
	t    testing.TB
	srv  *signalingtest.Server
	dir  string
	keys *keys
	d    *desk.Desk
	wire *wire
	name string

	removalWait time.Duration
}

func newTech(t testing.TB, srv *signalingtest.Server, name string) *tech {
	k := &tech{t: t, srv: srv, dir: t.TempDir(), keys: &keys{m: map[string]string{}}, wire: newWire(nil), name: name, removalWait: 30 * time.Second}
	t.Cleanup(func() {
		if k.d != nil {
			k.d.Close()
		}
	})
	return k
}

type techBox struct {
	desk.Mailbox
	w *wire
}

func (b techBox) Send(ctx context.Context, e rendezvous.Envelope) error {
	return b.w.send(e.Body, func() error { return b.Mailbox.Send(ctx, e) })
}

type techSig struct {
	*rendezvous.Client
	w *wire
}

func (s techSig) OpenMailbox(ctx context.Context) desk.Mailbox { return techBox{s.Open(ctx), s.w} }
func (s techSig) Activate(ctx context.Context, id grant.ID, f grant.Signed) (grant.Signed, error) {
	if s.w.gone() {
		<-ctx.Done()
		return grant.Signed{}, ctx.Err()
	}
	return s.Client.Activate(ctx, id, f)
}

// up starts the console; a first start signs it in.
func (k *tech) up() {
	k.t.Helper()
	w := k.wire
	k.d = desk.New(desk.Config{
		Dir: k.dir, Version: "test", Vault: account.New(k.dir, k.keys), System: page{}, Log: logger(k.t, k.name),
		LANAddresses: func() []desk.LANAddress { return nil }, RemovalWait: k.removalWait,
		NewSignaling: func(c rendezvous.ConsoleConfig) desk.Signaling { return techSig{rendezvous.NewClient(c), w} },
	})
	s := k.until("a console that is up", func(x desk.Snapshot) bool {
		return x.Phase == desk.PhaseWelcome || x.Phase == desk.PhaseReady && x.Server.Online
	})
	if s.Phase == desk.PhaseReady {
		return
	}
	if err := k.d.UseServer(k.srv.URL()); err != nil {
		k.t.Fatal(err)
	}
	k.until("sign in", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseSignIn })
	if err := k.d.SignIn(k.srv.Account.Email, k.srv.Account.Password, ""); err != nil {
		k.t.Fatal(err)
	}
	k.until("online", func(x desk.Snapshot) bool { return x.Phase == desk.PhaseReady && x.Server.Online })
}

func (k *tech) down() { k.d.Close(); k.d = nil }

func (k *tech) until(what string, ok func(desk.Snapshot) bool) desk.Snapshot {
	k.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		s, err := k.d.Snapshot()
		if err != nil {
			k.t.Fatal(err)
		}
		if ok(s) {
			return s
		}
		if time.Now().After(end) {
			k.t.Fatalf("%s: waited in vain for: %s\n%+v", k.name, what, s.Sessions)
		}
	}
}

func (k *tech) find(id string) (desk.Session, bool) {
	s, err := k.d.Snapshot()
	if err != nil {
		return desk.Session{}, false
	}
	for _, x := range s.Sessions {
		if x.ID == id {
			return x, true
		}
	}
	return desk.Session{}, false
}

func (k *tech) session(what, id string, ok func(desk.Session) bool) desk.Session {
	k.t.Helper()
	var out desk.Session
	k.until(what, func(desk.Snapshot) bool {
		x, found := k.find(id)
		out = x
		return found && ok(x)
	})
	return out
}

func open(x desk.Session) bool  { return x.State == "active" && x.LinkState == "open" }
func shown(x desk.Session) bool { return x.Code != nil && x.Code.Digits != "" }

// ---- the customer ----

type window struct {
	mu      sync.Mutex
	m       consent.Model
	again   bool // EnterCode was shown as a re-activation
	actions chan consent.Action
}

func (v *window) Show(m consent.Model) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.m = m
	v.again = v.again || m.Screen == consent.EnterCode && m.Again
}
func (v *window) Actions() <-chan consent.Action { return v.actions }
func (v *window) Bar() consent.BarHealth         { return consent.BarHealth{} }
func (v *window) Close() error                   { return nil }
func (v *window) model() consent.Model           { v.mu.Lock(); defer v.mu.Unlock(); return v.m }

type customer struct {
	t      testing.TB
	base   string
	link   pairing.Link
	view   *window
	wire   *wire
	cancel context.CancelFunc
	done   chan error
	typed  string
	at     time.Time
	name   string
	report string // where the receipt is saved

	offline bool // from the next start on
}

func newCustomer(t testing.TB, link, name string) *customer {
	t.Helper()
	l, err := pairing.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	c := &customer{t: t, base: filepath.Join(t.TempDir(), "daypass"), link: l, wire: newWire(nil), name: name, report: filepath.Join(t.TempDir(), "receipt.html")}
	t.Cleanup(c.down)
	return c
}

type hostBox struct {
	*rendezvous.HostMailbox
	w *wire
}

func (b hostBox) Send(ctx context.Context, m []byte) error {
	return b.w.send(m, func() error { return b.HostMailbox.Send(ctx, m) })
}

func (b hostBox) Activate(ctx context.Context, f grant.Signed) (grant.Signed, error) {
	if b.w.gone() {
		<-ctx.Done()
		return grant.Signed{}, ctx.Err()
	}
	return b.HostMailbox.Activate(ctx, f)
}

func (c *customer) up() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.done = cancel, make(chan error, 1)
	c.view = &window{actions: make(chan consent.Action, 16)}
	w, boot, log, offline := c.wire, time.Now(), logger(c.t, c.name), c.offline
	link := c.link
	none := errors.New("not here")
	cfg := host.Config{
		View: c.view, Link: &link, Base: c.base, Display: ":" + c.name, Version: "test", Lab: true, Log: log, ReceiptPath: func() string { return c.report },
		System: host.System{
			Report: func() pairing.HostReport {
				return pairing.HostReport{Computer: c.name, OS: "Debian", User: "anna", Language: "en"}
			},
			Displays:  func() error { return nil },
			Screen:    func() (screen.Source, error) { return nil, none },
			Injector:  func() (host.Injector, error) { return nil, none },
			Clipboard: func() (host.Clipboard, error) { return nil, none },
			Serve: func(ctx context.Context, _ screen.Source, _ uint32, _ host.Sender, _ <-chan []byte, _ *slog.Logger) error {
				<-ctx.Done()
				return ctx.Err()
			},
			Connect: func(h rendezvous.HostConfig) host.Mailbox {
				if offline {
					h.Server = &url.URL{Scheme: "http", Host: "127.0.0.1:1"} // nobody is there
				}
				return hostBox{rendezvous.DialHost(h), w}
			},
			Listen: func(ctx context.Context, p peer.Config) host.Link { p.LAN = true; return peer.Listen(ctx, p) },
			Clock:  func() lease.Reading { return lease.Reading{Wall: time.Now(), Mono: time.Since(boot), Boot: "b"} },
		},
	}
	go func() { c.done <- host.Run(ctx, cfg) }()
}

func (c *customer) down() {
	if c.cancel == nil {
		return
	}
	c.cancel()
	<-c.done
	c.cancel = nil
}

func (c *customer) do(a consent.Action) { a.At = time.Now(); c.view.actions <- a }

func (c *customer) until(what string, ok func(consent.Model) bool) consent.Model {
	c.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		m := c.view.model()
		if ok(m) {
			return m
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s: waited in vain for %s; shown is screen %d, refusal %d, code %d, again %v, %v", c.name, what, m.Screen, m.Refusal, m.Code, m.Again, m.Fault)
		}
	}
}

// types enters the code that the technician sees, and again if nothing came of
// it.
func (c *customer) types(x desk.Session) {
	m := c.view.model()
	if m.Screen != consent.EnterCode || m.Code == consent.CodeNew || !shown(x) || x.Code.State != "shown" || x.Code.Digits == c.typed && time.Since(c.at) < 3*time.Second {
		return
	}
	c.typed, c.at = x.Code.Digits, time.Now()
	c.do(consent.Action{Kind: consent.SubmitCode, Text: x.Code.Digits, Rights: host.Offered})
}

// begun is a session that a technician's console and anna's computer have just
// begun; both run.
func begun(t *testing.T, srv *signalingtest.Server, console string) (*tech, desk.Session, *customer) {
	t.Helper()
	k := newTech(t, srv, console)
	k.up()
	x := k.invite()
	c := newCustomer(t, x.Link, "anna")
	c.up()
	settle(t, k, x.ID, c)
	return k, x, c
}

// settle lets both people do what they see until the session is open at both.
func settle(t testing.TB, k *tech, id string, c *customer) desk.Session {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		x, found := k.find(id)
		if found && open(x) && c.view.model().Screen == consent.Connected {
			return x
		}
		if found {
			c.types(x)
		}
		if time.Now().After(end) {
			m := c.view.model()
			t.Fatalf("never connected: console %+v; customer's screen %d, progress %d, refusal %d, code %d", x, m.Screen, m.Progress, m.Refusal, m.Code)
		}
	}
}

// audit counts the kinds of the server's entries about a session, and verifies
// the chain.
func audit(t testing.TB, srv *signalingtest.Server) map[string]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(srv.Config.DataDir, "*.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	// A copy: the server keeps its own open.
	copied := filepath.Join(t.TempDir(), "copy.db")
	st, err := sqlite.Open(t.Context(), files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	if err := st.Audit(t.Context(), func(e store.Entry) error { out[e.Kind]++; return nil }); err != nil {
		t.Fatal(err)
	}
	var h struct{ Key grant.Key }
	c, _ := srv.Console(t)
	health, err := c.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.Key = health.Key
	if _, _, err := directory.Verify(t.Context(), st, h.Key); err != nil {
		t.Fatal(err)
	}
	return out
}

func (k *tech) invite() desk.Session {
	k.t.Helper()
	x, err := k.d.Create(k.t.Context(), desk.Invite{Email: "anna@example.com", Name: "Anna Weber", Subject: "printer", Language: "en"})
	if err != nil {
		k.t.Fatal(err)
	}
	return x
}

// types of the messages, by who sends them.
var (
	fromHost    = map[string]byte{"hello": 1, "share": 3, "confirm": 5, "done": 7, "ready": 9}
	fromConsole = map[string]byte{"hello": 2, "share": 4, "confirm": 6, "status": 8, "waiting": 11}
)

// revive types the code until hit has killed its side, and starts that side again
// with a wire that passes everything.
func revive(side string, k *tech, c *customer, id string, hit *wire) {
	late := time.After(patience)
	for dead := false; !dead; {
		select {
		case <-hit.kill:
			dead = true
		case <-late:
			k.t.Fatalf("the message that kills was never sent; customer's screen %d", c.view.model().Screen)
		case <-time.After(10 * time.Millisecond):
			if x, ok := k.find(id); ok {
				c.types(x)
			}
		}
	}
	if side == "console" {
		k.down()
		k.wire = newWire(nil)
		k.up()
	} else {
		c.down()
		c.wire = newWire(nil)
		c.up()
	}
}

// Every message of an activation is lost, doubled, or the last that its
// program ever sends. The customer ends up connected, by the same pairing on
// both sides, and the server activated the session once.
func TestActivationSurvivesEveryMessage(t *testing.T) {
	what := map[string]verdict{"lost": drop, "doubled": twice, "killed before": killBefore, "killed after": killAfter}
	if testing.Short() {
		what = map[string]verdict{"killed before": killBefore}
	}
	for side, types := range map[string]map[string]byte{"host": fromHost, "console": fromConsole} {
		for name, typ := range types {
			for how, v := range what {
				t.Run(fmt.Sprintf("%s/%s/%s", side, name, how), func(t *testing.T) {
					t.Parallel()
					srv := signalingtest.Start(t)
					k := newTech(t, srv, "console")
					hit := newWire(func(b byte, nth int) verdict {
						if b == typ && nth == 1 {
							return v
						}
						return pass
					})
					if side == "console" {
						k.wire = hit
					}
					k.up()
					x := k.invite()
					c := newCustomer(t, x.Link, "anna")
					if side == "host" {
						c.wire = hit
					}
					c.up()
					if v == killBefore || v == killAfter {
						revive(side, k, c, x.ID, hit)
					}
					got := settle(t, k, x.ID, c)
					if got.Host == nil || got.Host.Computer != "anna" {
						t.Fatalf("connected with %+v", got.Host)
					}
					if n := audit(t, srv); n["session.active"] != 1 || n["session.reactivated"] > 1 {
						t.Fatalf("audit %v", n)
					}
				})
			}
		}
	}
}

// Two computers on one link: the technician chooses; the other is told, and the
// code that the first was shown does not let it in any more.
func TestTwoComputersOnOneLink(t *testing.T) {
	t.Parallel()
	srv := signalingtest.Start(t)
	k := newTech(t, srv, "console")
	k.up()
	x := k.invite()
	a, b := newCustomer(t, x.Link, "first"), newCustomer(t, x.Link, "second")
	a.up()
	first := k.session("a code", x.ID, shown)
	a.until("the code's page", func(m consent.Model) bool { return m.Screen == consent.EnterCode })
	b.up()
	two := k.session("two computers", x.ID, func(x desk.Session) bool { return len(x.Waiting) == 2 && x.Code == nil })
	a.do(consent.Action{Kind: consent.SubmitCode, Text: first.Code.Digits, Rights: host.Offered})
	a.until("that the code is not good any more", func(m consent.Model) bool { return m.Code == consent.CodeNew })
	for _, w := range two.Waiting {
		if w.Computer == "second" {
			if err := k.d.Choose(x.ID, w.Instance); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.until("being told", func(m consent.Model) bool { return m.Screen == consent.Refused && m.Refusal == consent.OtherChosen })
	if got := settle(t, k, x.ID, b); got.Host.Computer != "second" {
		t.Fatalf("connected with %+v", got.Host)
	}
}

// The console is set up anew, or it is another computer: the link from the
// mail, a fresh code, and the session goes on with its end where it was.
func TestReactivation(t *testing.T) {
	t.Parallel()
	srv := signalingtest.Start(t)
	old := newTech(t, srv, "old")
	old.up()
	x := old.invite()
	c := newCustomer(t, x.Link, "anna")
	c.up()
	before := settle(t, old, x.ID, c)

	k := newTech(t, srv, "new")
	k.up()
	k.session("the session of the other console", x.ID, func(s desk.Session) bool { return !s.Mine && s.State == "active" })
	y, err := k.d.TakeOver(t.Context(), " "+x.Link+"\n")
	if err != nil {
		t.Fatal(err)
	}
	if y.ID != x.ID || !y.Again {
		t.Fatalf("%+v", y)
	}
	again, err := k.d.TakeOver(t.Context(), x.Link) // pressed twice
	if err != nil || again.ID != x.ID {
		t.Fatalf("%v", err)
	}
	m := c.until("the question", func(m consent.Model) bool { return m.Screen == consent.EnterCode && m.Again })
	if m.Technician != "Mia Roth" || m.Company != "Contoso IT" {
		t.Fatalf("who asks: %q, %q", m.Technician, m.Company)
	}
	if s, ok := old.find(x.ID); !ok || !open(s) {
		t.Fatal("the old console lost the session before the customer confirmed")
	}
	got := settle(t, k, x.ID, c)
	if got.ExpiresAt != before.ExpiresAt || got.ActivatedAt/1000 != before.ActivatedAt/1000 && got.ActivatedAt > before.ActivatedAt {
		t.Fatalf("the end moved from %d to %d (began %d, %d)", before.ExpiresAt, got.ExpiresAt, before.ActivatedAt, got.ActivatedAt)
	}
	if left := time.Until(c.view.model().Expires); left > grant.Limit {
		t.Fatalf("the customer reads %v", left)
	}
	old.session("the old console lets go", x.ID, func(s desk.Session) bool { return !s.Mine && s.LinkState == "" })
	if n := audit(t, srv); n["session.active"] != 1 || n["session.claimed"] != 1 || n["session.reactivated"] != 1 {
		t.Fatalf("audit %v", n)
	}
	// Both programs restarted: the new pairing is what they kept.
	k.down()
	c.down()
	k.up()
	c.up()
	settle(t, k, x.ID, c)
	// And it ends, with everything removed.
	if err := k.d.End(x.ID); err != nil {
		t.Fatal(err)
	}
	c.until("the end", func(m consent.Model) bool { return m.Screen == consent.Removed && m.Report.Clean && m.Report.Told })
	k.session("the receipt", x.ID, func(s desk.Session) bool { return s.State == "removed" })
}

// The customer's receipt carries both signatures over the same bytes, and says
// so where the console was away.
func TestTheReceiptIsSignedByBoth(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprintf("away=%v", away), func(t *testing.T) {
			t.Parallel()
			srv := signalingtest.Start(t)
			k := newTech(t, srv, "console")
			k.up()
			x := k.invite()
			c := newCustomer(t, x.Link, "anna")
			c.up()
			settle(t, k, x.ID, c)
			if away {
				k.down()
			}
			c.do(consent.Action{Kind: consent.EndAndRemove})
			m := c.until("the report", func(m consent.Model) bool { return m.Screen == consent.Removed })
			if m.Report.Both == away {
				t.Fatalf("both signed: %v, console away: %v", m.Report.Both, away)
			}
			c.do(consent.Action{Kind: consent.SaveReceipt})
			c.until("the saved receipt", func(m consent.Model) bool { return m.Report.SavedTo != "" })
			raw, err := os.ReadFile(strings.TrimSuffix(c.report, ".html") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var f struct {
				Receipt json.RawMessage
				Seal    grant.Signed
				Console *grant.Signed
			}
			var body struct {
				HostKey    grant.Key `json:"host_key"`
				ConsoleKey grant.Key `json:"console_key"`
			}
			if err := errors.Join(json.Unmarshal(raw, &f), json.Unmarshal(f.Receipt, &body)); err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(f.Receipt)
			check := func(key grant.Key, s grant.Signed) {
				var r grant.Receipt
				if err := grant.Open(key, grant.ContextReceipt, s, &r); err != nil || !bytes.Equal(r.SHA256, sum[:]) || r.Session.String() != x.ID {
					t.Errorf("%v: %+v", err, r)
				}
			}
			check(body.HostKey, f.Seal)
			verifies(t, c.report, away)
			page, err := os.ReadFile(c.report)
			if err != nil {
				t.Fatal(err)
			}
			if away {
				if f.Console != nil || !strings.Contains(string(page), "Signed by this computer only") {
					t.Error("the receipt claims a signature that is not there")
				}
				return
			}
			if f.Console == nil {
				t.Fatal("the console's signature is missing")
			}
			check(body.ConsoleKey, *f.Console)
			if !strings.Contains(string(page), "and by the technician’s program") {
				t.Error("the page does not say who signed")
			}
		})
	}
}

// A re-activation that the customer does not want changes nothing; so does one
// that is given up.
func TestReactivationDeclined(t *testing.T) {
	t.Parallel()
	srv := signalingtest.Start(t)
	old, x, c := begun(t, srv, "old")
	k := newTech(t, srv, "new")
	k.up()
	if _, err := k.d.TakeOver(t.Context(), x.Link); err != nil {
		t.Fatal(err)
	}
	c.until("the question", func(m consent.Model) bool { return m.Screen == consent.EnterCode && m.Again })
	c.do(consent.Action{Kind: consent.Cancel})
	c.until("the session", func(m consent.Model) bool { return m.Screen == consent.Connected && !m.Again })
	if err := k.d.Cancel(x.ID); err != nil {
		t.Fatal(err)
	}
	k.session("the other console's session again", x.ID, func(s desk.Session) bool { return !s.Mine && s.State == "active" })
	if s, ok := old.find(x.ID); !ok || !open(s) {
		t.Fatalf("the old console's session: %+v", s)
	}
	if n := audit(t, srv); n["session.reactivated"] != 0 || n["session.ended"] != 0 {
		t.Fatalf("audit %v", n)
	}
}

// A link of no session, one that is cut and one with another password open
// nothing, and the customer is not bothered.
func TestReactivationNeedsTheLink(t *testing.T) {
	t.Parallel()
	srv := signalingtest.Start(t)
	old, x, c := begun(t, srv, "old")
	k := newTech(t, srv, "new")
	k.up()
	l, err := pairing.ParseLink(x.Link)
	if err != nil {
		t.Fatal(err)
	}
	other := l
	other.Session = grant.NewID()
	if _, err := k.d.TakeOver(t.Context(), other.String()); err == nil {
		t.Fatal("a session that is not there")
	}
	if _, err := k.d.TakeOver(t.Context(), l.Server.String()+"/s/"+l.Session.String()); err == nil {
		t.Fatal("a link without its password")
	}
	l.Secret = pairing.NewSecret()
	if _, err := k.d.TakeOver(t.Context(), l.String()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second) // nothing may come of it: there is no sign to wait for
	if c.view.again || c.view.model().Screen != consent.Connected {
		t.Fatal("the customer was asked by somebody without the link")
	}
	if s, ok := old.find(x.ID); !ok || !open(s) {
		t.Fatalf("the old console's session: %+v", s)
	}
}

// Every message of a re-activation is the last that its program ever sends.
func TestReactivationSurvivesEveryMessage(t *testing.T) {
	for side, types := range map[string]map[string]byte{"host": fromHost, "console": fromConsole} {
		for name, typ := range types {
			for how, v := range map[string]verdict{"lost": drop, "killed before": killBefore, "killed after": killAfter} {
				if testing.Short() && v != killAfter {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", side, name, how), func(t *testing.T) {
					t.Parallel()
					srv := signalingtest.Start(t)
					old := newTech(t, srv, "old")
					old.up()
					x := old.invite()
					c := newCustomer(t, x.Link, "anna")
					c.up()
					before := settle(t, old, x.ID, c)
					old.down()
					k := newTech(t, srv, "new")
					hit := newWire(func(b byte, nth int) verdict {
						if b == typ && nth == 1 {
							return v
						}
						return pass
					})
					if side == "console" {
						k.wire = hit
					} else {
						c.wire.mu.Lock()
						c.wire.fault, c.wire.seen, c.wire.kill = hit.fault, map[byte]int{}, hit.kill
						c.wire.mu.Unlock()
					}
					k.up()
					if _, err := k.d.TakeOver(t.Context(), x.Link); err != nil {
						t.Fatal(err)
					}
					if v != drop {
						revive(side, k, c, x.ID, hit)
					}
					got := settle(t, k, x.ID, c)
					if got.ExpiresAt != before.ExpiresAt {
						t.Fatalf("the end moved from %d to %d", before.ExpiresAt, got.ExpiresAt)
					}
					if n := audit(t, srv); n["session.active"] != 1 || n["session.reactivated"] < 1 {
						t.Fatalf("audit %v", n)
					}
				})
			}
		}
	}
}
