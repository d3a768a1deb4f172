// Package desk runs a console: its vault, store and server, and every live
// session from invitation to removal: activation, link, Remote Control,
// clipboard, end. One goroutine owns all state; everything else posts to it. It
// must not know windows or pages: it is asked by backend/console and answers
// with one coalesced Snapshot.
package desk

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"daypass/backend/account"
	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/historykey"
	"daypass/backend/mail"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/backend/store"
)

// Signaling is the console's side of the signaling server; *rendezvous.Client
// implements it. Its methods are called from many goroutines.
type Signaling interface {
	Directory
	SignIn(context.Context, rendezvous.SignIn) (rendezvous.Profile, error)
	SignOut(context.Context) error
	SignedIn() bool
	Profile(context.Context) (rendezvous.Profile, error)
	Health(context.Context) (rendezvous.Health, error)
	CreateSession(context.Context, rendezvous.NewSession) (rendezvous.Session, error)
	Sessions(context.Context) (rendezvous.SessionList, error)
	Session(context.Context, grant.ID) (rendezvous.Session, error)
	SetState(ctx context.Context, id grant.ID, from, to string) error
	Claim(context.Context, grant.ID) (rendezvous.Session, error)
	Activate(context.Context, grant.ID, grant.Signed) (grant.Signed, error)
	End(context.Context, grant.ID, grant.Signed) error
	ICE(context.Context, grant.ID) ([]rendezvous.ICEServer, error)
	SendInvitation(context.Context, grant.ID, rendezvous.SendInvitation) error
	OpenMailbox(context.Context) Mailbox
	Now() time.Time
	Close()
}

// Mailbox is one socket for all sessions; *rendezvous.ConsoleMailbox.
type Mailbox interface {
	Send(context.Context, rendezvous.Envelope) error
	Receive() <-chan rendezvous.Envelope
	Events() <-chan rendezvous.ConsoleEvent
	Online() bool
	Close() error
}

// client adapts *rendezvous.Client.
type client struct{ *rendezvous.Client }

func (c client) OpenMailbox(ctx context.Context) Mailbox { return c.Open(ctx) }

// Link is the connection to one host; *peer.Link implements it.
type Link interface {
	State() peer.State
	Events() <-chan peer.Event
	Stats() peer.Stats
	Control() peer.Channel
	Input() peer.Channel
	Picture() peer.Channel
	SetBusy(bool)
	Close(ctx context.Context, reason string) error
}

// Source gives view frames; *picture.Screen implements it.
type Source interface {
	Next(ctx context.Context, dst []byte) ([]byte, error)
	Invalidate()
}

// Stream is one page's view of one Source; *view.Stream.
type Stream interface {
	Close()
	// Paint returns how long the page takes to paint a frame, 0 if unknown.
	Paint() time.Duration
}

// Ticket tells the page where its stream is.
type Ticket struct {
	Socket string `json:"socket"`
	Path   string `json:"path"`
	Token  string `json:"token"`
}

// EmbedConfig is what the server inside the console is started with.
type EmbedConfig struct {
	DataDir string
	LAN     string // address to let others in at; "" for loopback only
}

// Embedded is the server inside the console.
type Embedded interface {
	URL() string // for links: what others can reach
	Close(ctx context.Context) error
}

// System is what the desk needs of the window and the operating system.
type System interface {
	// Emit gives the page a new snapshot. It is called from one goroutine.
	Emit(Snapshot)
	ClipboardText() (string, error)
	SetClipboardText(string) error
	// OpenMail opens the mail program with a mailto address.
	OpenMail(address string) error
}

// Config is what a desk needs. Dir, Vault and System are required.
type Config struct {
	Dir     string // profile, exists, 0700
	Version string
	Lab     bool // vault in memory, said in every snapshot
	// Fatal, if set, is why the console cannot run; it is all the page shows.
	Fatal  error
	Vault  *account.Vault
	System System
	Log    *slog.Logger // nil: silent
	// Embed starts the server inside the console, CreateAdmin makes its first
	// account before. nil where there is none.
	Embed       func(context.Context, EmbedConfig) (Embedded, error)
	CreateAdmin func(ctx context.Context, dataDir, email, name, company string) (signInEmail, password string, err error)
	// LANAddresses lists this computer's addresses for the LAN switch.
	LANAddresses func() []LANAddress
	// OpenView makes a stream for the page; input gets each message of the page.
	OpenView func(Source, func([]byte) error) (Stream, Ticket, error)

	// Notify shows a short text on the desktop; nil: there is no way to. It is
	// called from a goroutine of its own and may take its time.
	Notify func(title, text string) error

	// Seams; nil is the real thing.
	NewSignaling func(rendezvous.ConsoleConfig) Signaling
	Dial         func(context.Context, peer.Config) Link
	SendMail     func(context.Context, mail.Sender, mail.Message) error
	// RemovalWait is how long the host's last word is awaited before the
	// session counts as unconfirmed; 0: two minutes.
	RemovalWait time.Duration
}

// Desk is a running console. Its methods may be called from any goroutine but
// the one of System.Emit.
type Desk struct {
	cfg      Config
	log      *slog.Logger
	ctx      context.Context
	cancel   context.CancelFunc
	inbox    chan func()
	wg       sync.WaitGroup // everything started by the desk
	loop     chan struct{}  // closed when the loop has ended
	syncWake chan struct{}  // cap 1
	emit     chan Snapshot  // cap 1

	// What follows belongs to the loop.
	phase     string
	fatal     *Fault
	vaultNote *Fault
	store     *store.Store
	dev       *pairing.Device
	sig       Signaling
	mailbox   Mailbox
	boxNow    atomic.Pointer[Mailbox] // the same, for other goroutines
	stopSrv   context.CancelFunc
	srvGone   chan struct{}       // closed when the present server's goroutines ended
	history   *HistoryKey         // nil before the server was asked
	recovery  *historykey.Console // made and not kept yet
	pruned    time.Time           // when the store was looked through for what is not kept any more
	embedded  Embedded
	server    Server
	local     bool // the server is on this computer or network: loopback candidates are wanted
	health    rendezvous.Health
	profile   *rendezvous.Profile
	company   *rendezvous.Company // of the profile; nil: not read yet
	signedOut *SignedOut          // why the person has to sign in again
	joining   string              // the one-time code that was looked at
	handOut   *handOut
	limits    Limits
	live      map[grant.ID]*live
	foreign   map[grant.ID]rendezvous.Session
	notices   []Notice
	mailSet   mail.Server
	testing   mail.Stage         // of the test message on its way, "" none
	stopTest  context.CancelFunc // of the same
	skew      time.Duration      // believable time less that of this computer
	settings  Settings
	ui        *UI
	rev       int64
	dirty     bool
	emitAt    time.Time
	emitting  bool
	closing   bool
	tempData  string // folder of the embedded server that is removed at the end
	lanKnown  []LANAddress
	lanAt     time.Time
}

// New starts a desk. It returns at once; the rest happens behind the phase
// "starting". Close it.
func New(cfg Config) *Desk {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.NewSignaling == nil {
		cfg.NewSignaling = func(c rendezvous.ConsoleConfig) Signaling { return client{rendezvous.NewClient(c)} }
	}
	if cfg.Dial == nil {
		cfg.Dial = func(ctx context.Context, c peer.Config) Link { return peer.Dial(ctx, c) }
	}
	if cfg.SendMail == nil {
		cfg.SendMail = func(ctx context.Context, s mail.Sender, m mail.Message) error { return s.Send(ctx, m) }
	}
	if cfg.RemovalWait == 0 {
		cfg.RemovalWait = 2 * time.Minute
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &Desk{
		cfg: cfg, log: cfg.Log, ctx: ctx, cancel: cancel, inbox: make(chan func(), 64), loop: make(chan struct{}),
		emit: make(chan Snapshot, 1), syncWake: make(chan struct{}, 1), phase: PhaseStarting, live: map[grant.ID]*live{}, foreign: map[grant.ID]rendezvous.Session{},
		settings: Settings{Appearance: "system", Language: mail.English},
	}
	go d.run()
	d.wg.Go(d.emitter)
	if cfg.Fatal != nil {
		d.post(func() { d.fail(cfg.Fatal) })
		return d
	}
	d.wg.Go(d.start)
	return d
}

// run is the loop that owns the state.
func (d *Desk) run() {
	defer close(d.loop)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	flush := time.NewTimer(time.Hour)
	defer flush.Stop()
	for {
		select {
		case f := <-d.inbox:
			f()
		case <-tick.C:
			d.tick()
		case <-flush.C:
			d.emitting = false
			if d.dirty {
				d.flush()
			}
		case <-d.ctx.Done():
			return
		}
		if d.dirty && !d.emitting {
			// The first change goes out at once, what follows within 50 ms of it.
			wait := 50*time.Millisecond - time.Since(d.emitAt)
			if wait <= 0 {
				d.flush()
			} else {
				d.emitting = true
				flush.Reset(wait)
			}
		}
	}
}

func (d *Desk) flush() {
	d.dirty = false
	d.emitAt = time.Now()
	d.rev++
	s := d.snapshot()
	for {
		select {
		case d.emit <- s:
			return
		default:
		}
		select {
		case <-d.emit: // an older one that nobody took
		default:
		}
	}
}

func (d *Desk) emitter() {
	for {
		select {
		case s := <-d.emit:
			d.cfg.System.Emit(s)
		case <-d.ctx.Done():
			return
		}
	}
}

// post runs f in the loop, later. After Close it does nothing.
func (d *Desk) post(f func()) {
	select {
	case d.inbox <- func() { f(); d.dirty = true }:
	case <-d.ctx.Done():
	}
}

var errClosed = fault.New(fault.Cancelled, "console", "Daypass is closing.", "")

// do runs f in the loop and returns its error.
func (d *Desk) do(f func() error) error {
	ch := make(chan error, 1)
	select {
	case d.inbox <- func() { d.dirty = true; ch <- f() }:
	case <-d.ctx.Done():
		return errClosed
	}
	select {
	case err := <-ch:
		return err
	case <-d.loop:
		select {
		case err := <-ch:
			return err
		default:
			return errClosed
		}
	}
}

// look is do for reading: it makes no new snapshot.
func (d *Desk) look(f func() error) error {
	ch := make(chan error, 1)
	select {
	case d.inbox <- func() { ch <- f() }:
	case <-d.ctx.Done():
		return errClosed
	}
	select {
	case err := <-ch:
		return err
	case <-d.loop:
		return errClosed
	}
}

// Snapshot returns what the page shows now.
func (d *Desk) Snapshot() (Snapshot, error) {
	var s Snapshot
	err := d.look(func() error { s = d.snapshot(); return nil })
	return s, err
}

// LiveSessions returns how many sessions of this console would go on if it
// closed now.
func (d *Desk) LiveSessions() int {
	n := 0
	if err := d.look(func() error {
		for _, l := range d.live {
			if l.row.Session.State.Live() {
				n++
			}
		}
		return nil
	}); err != nil {
		return 0
	}
	return n
}

// Close ends everything of this program; the sessions go on. It waits until
// all goroutines have ended, a few seconds at most.
func (d *Desk) Close() {
	if err := d.do(func() error {
		d.closing = true
		for _, l := range d.live {
			if l.row.Session.State.Live() {
				d.note(l, "console", "console_closed", "Console closed; the session goes on.")
			}
			d.dropLink(l, "console closed")
			l.wipe()
		}
		return nil
	}); err != nil {
		return // already closed
	}
	d.disconnectServer()
	d.cancel()
	<-d.loop
	d.wg.Wait()
	if d.store != nil {
		if err := d.store.Close(); err != nil {
			d.log.Warn("store not closed cleanly", "error", err)
		}
	}
	d.closeEmbedded()
	if d.tempData != "" {
		if err := os.RemoveAll(d.tempData); err != nil {
			d.log.Warn("temporary server data not removed", "error", err)
		}
	}
	d.cfg.Vault.Close()
}

// start opens store and vault and goes on to the server.
func (d *Desk) start() {
	st, err := store.Open(d.ctx, filepath.Join(d.cfg.Dir, "daypass.db"))
	if err != nil {
		d.post(func() { d.fail(err) })
		return
	}
	var server string
	read := func(key string, into *string) {
		if err != nil {
			return
		}
		var v string
		if v, err = st.Setting(d.ctx, key); v != "" {
			*into = v
		}
	}
	var appearance, language, mailJSON string
	read("server", &server)
	read("appearance", &appearance)
	read("language", &language)
	read("mail", &mailJSON)
	if err != nil {
		err = errors.Join(err, st.Close())
		d.post(func() { d.fail(err) })
		return
	}
	d.wg.Go(func() {
		if err := st.Check(d.ctx); err != nil && d.ctx.Err() == nil {
			d.post(func() { d.notice("store-damaged", "error", err) })
		}
	})
	d.post(func() {
		d.store = st
		if appearance != "" {
			d.settings.Appearance = appearance
		}
		if language != "" {
			d.settings.Language = language
		}
		d.readMail(mailJSON)
	})
	v := d.cfg.Vault
	switch {
	case d.cfg.Lab:
		v.UseMemory()
		d.post(d.unlocked)
	case v.Kind() != account.Locked:
		d.post(d.unlocked)
	case v.NeedsPassphrase():
		d.post(func() { d.phase = PhaseUnlock })
	default:
		d.keyring()
	}
}

// keyring asks the keyring, says so if it is slow, and goes on when it answers.
func (d *Desk) keyring() {
	ctx, cancel := context.WithTimeout(d.ctx, 2*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.cfg.Vault.OpenKeyring(ctx) }()
	slow := time.NewTimer(account.Probe)
	defer slow.Stop()
	for {
		select {
		case err := <-done:
			d.post(func() {
				if d.phase != PhaseStarting && d.phase != PhaseUnlock || d.dev != nil {
					return // the person chose something else meanwhile
				}
				if err != nil {
					d.log.Info("no keyring", "error", err)
					d.phase, d.vaultNote = PhaseUnlock, FaultOf(err)
					return
				}
				d.unlocked()
			})
			return
		case <-slow.C:
			d.post(func() {
				if d.phase == PhaseStarting {
					d.phase = PhaseUnlock
					d.vaultNote = FaultOf(fault.New(fault.Unsupported, "vault.open", "The keyring of this computer does not answer.",
						"Unlock it if it asks, choose a passphrase instead, or keep nothing this time."))
				}
			})
		case <-d.ctx.Done():
			return
		}
	}
}

func (d *Desk) fail(err error) {
	d.log.Error("cannot go on", "error", err)
	d.phase, d.fatal = PhaseFatal, FaultOf(err)
}

// Unlock opens the vault with the passphrase it was sealed with.
func (d *Desk) Unlock(pass string) error {
	return d.openVault(func() error { return d.cfg.Vault.OpenPassphrase(pass) })
}

// SetPassphrase makes a vault sealed with a new passphrase.
func (d *Desk) SetPassphrase(pass string) error {
	if d.cfg.Vault.Exists() {
		return fault.New(fault.Conflict, "vault.passphrase", "There are secrets on this computer already.", "Unlock them, or go on without keeping anything.")
	}
	return d.openVault(func() error { return d.cfg.Vault.OpenPassphrase(pass) })
}

// UseMemory goes on without keeping secrets.
func (d *Desk) UseMemory() error {
	return d.openVault(func() error { d.cfg.Vault.UseMemory(); return nil })
}

func (d *Desk) openVault(open func() error) error {
	if err := d.look(func() error {
		if d.phase != PhaseUnlock {
			return fault.New(fault.Conflict, "vault.open", "Your secrets are unlocked already.", "")
		}
		return nil
	}); err != nil {
		return err
	}
	if err := open(); err != nil { // takes a moment: not in the loop
		return err
	}
	return d.do(func() error {
		if d.dev == nil {
			d.unlocked()
		}
		return nil
	})
}

// unlocked goes on when the vault is open.
func (d *Desk) unlocked() {
	d.vaultNote = nil
	v := d.cfg.Vault
	if b, ok := v.Get("device"); ok {
		dev, err := pairing.ParseDevice(b)
		clear(b)
		if err != nil {
			d.fail(err)
			return
		}
		d.dev = dev
	} else {
		d.dev = pairing.NewDevice()
		b, err := d.dev.MarshalBinary()
		if err == nil {
			err = v.Put("device", b)
			clear(b)
		}
		if err != nil {
			d.fail(err)
			return
		}
	}
	if err := d.loadSessions(); err != nil {
		d.fail(err)
		return
	}
	server, err := d.store.Setting(d.ctx, "server")
	if err != nil {
		d.fail(err)
		return
	}
	if d.cfg.Lab {
		server = "" // the lab says which
	}
	switch {
	case server == "embedded" && d.cfg.Embed != nil:
		lan, err := d.store.Setting(d.ctx, "lan")
		if err != nil {
			d.fail(err)
			return
		}
		d.phase = PhaseStarting
		d.wg.Go(func() {
			if err := d.useEmbedded(lan); err != nil {
				d.post(func() {
					d.phase = PhaseWelcome
					d.notice("server", "error", err)
				})
			}
		})
	case server != "" && server != "embedded":
		u, err := url.Parse(server)
		if err != nil {
			d.phase = PhaseWelcome
			return
		}
		d.connect(u, "remote")
	default:
		d.phase = PhaseWelcome
	}
}

// notice shows err until it is dismissed or the same is cleared.
func (d *Desk) notice(id, level string, err error) {
	d.log.Warn("notice", "id", id, "error", err)
	n := Notice{ID: id, Level: level, Fault: *FaultOf(err)}
	for i := range d.notices {
		if d.notices[i].ID == id {
			d.notices[i] = n
			return
		}
	}
	d.notices = append(d.notices, n)
}

func (d *Desk) clearNotice(id string) {
	d.notices = slices.DeleteFunc(d.notices, func(n Notice) bool { return n.ID == id })
}

// DismissNotice removes a notice.
func (d *Desk) DismissNotice(id string) error {
	return d.do(func() error { d.clearNotice(id); return nil })
}

// SetAppearance chooses "system", "light" or "dark".
func (d *Desk) SetAppearance(a string) error {
	if !slices.Contains([]string{"system", "light", "dark"}, a) {
		return fault.New(fault.Invalid, "settings.appearance", "This appearance is not known.", "")
	}
	return d.setting("appearance", a, func() { d.settings.Appearance = a })
}

// SetLanguage chooses "en" or "de".
func (d *Desk) SetLanguage(l string) error {
	if l != mail.English && l != mail.German {
		return fault.New(fault.Invalid, "settings.language", "This language is not known.", "")
	}
	return d.setting("language", l, func() { d.settings.Language = l })
}

func (d *Desk) setting(key, value string, then func()) error {
	return d.do(func() error {
		if d.store == nil {
			return notReady()
		}
		if err := d.store.SetSetting(d.ctx, key, value); err != nil {
			return err
		}
		then()
		return nil
	})
}

func notReady() error {
	return fault.New(fault.Conflict, "console", "Daypass is not ready for this yet.", "Sign in first, or wait a moment.")
}

// async runs f outside the loop; the desk waits for it at the end. ctx is done
// when the desk closes.
func (d *Desk) async(f func(ctx context.Context)) { d.wg.Go(func() { f(d.ctx) }) }
