// Package host is the program on the customer's computer: from the link to the
// activation, through every connection of the session, to the removal of
// itself. It holds the authority over what the technician may do: rights, Stop,
// the bar, the lease. It must not know toolkits, capture, encoding, injection or
// the transport from the inside; each is behind a small interface that main
// fills in.
//
// One goroutine owns each session's state; everything that may block runs
// beside it and posts its result. Input does not pass through it: see gate.
package host

import (
	"context"
	"crypto/ed25519"
	"errors"
	"image"
	"log/slog"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/lease"
	"daypass/hostsvc/removal"
	"daypass/hostsvc/screen"
)

// Offered is what this version can do; offers are cut to it.
const Offered = grant.View | grant.Control | grant.Clipboard

// Times. Each bounds a wait that a person would otherwise sit through.
const (
	infoTimeout    = 10 * time.Second // for the server to tell about an invitation
	wrongFile      = 10 * time.Second // for a present console to know our link
	resendEvery    = 2 * time.Second  // activation messages
	barTimeout     = consent.HiddenLimit
	barPoll        = 250 * time.Millisecond
	awayLimit      = 30 * time.Second // Remote Control closes when the link is away for longer
	clipTimeout    = 3 * time.Second
	goodbyeTimeout = 2 * time.Second
	reportTimeout  = 10 * time.Minute // the last page stays at most so long
	typedTimeout   = 10 * time.Second // for a link on the input, before an earlier session is taken up
	blockedEvery   = time.Second
	deafAfter      = 2 * time.Second  // of an interruption, for input
	keepTimeout    = 5 * time.Second  // for writing what brings the program back
	rebootTimeout  = 30 * time.Second // for the system to take the request
	inputPerSecond = 1000             // input messages; more are dropped
)

// Times that tests shorten.
var (
	noticedAfter    = 3 * time.Second  // an interruption is shown
	rebootCountdown = 30 * time.Second // for the customer to refuse
	tellTimeout     = 20 * time.Second // for the server and the console to take the removal
	goneAfter       = time.Minute      // a server says for so long that there is no such session
	regrantTimeout  = 20 * time.Second // for the server to have both sides of an interrupted activation
)

// Mailbox is the host's half of the signaling server; *rendezvous.HostMailbox
// implements it.
type Mailbox interface {
	Info(ctx context.Context) (rendezvous.HostInfo, error)
	Send(ctx context.Context, body []byte) error
	Receive() <-chan []byte
	Events() <-chan rendezvous.HostEvent
	Online() bool
	ServerTime() (time.Time, bool)
	Activate(ctx context.Context, act grant.Signed) (grant.Signed, error)
	End(ctx context.Context, ended grant.Signed) error
	Removed(ctx context.Context, removed grant.Signed) error
	ICE(ctx context.Context) ([]rendezvous.ICEServer, error)
	Close() error
}

// Link is the connection to the console; *peer.Link implements it.
type Link interface {
	Events() <-chan peer.Event
	Control() peer.Channel
	Input() peer.Channel
	Picture() peer.Channel
	SetBusy(busy bool)
	Close(ctx context.Context, reason string) error
}

// Injector moves the pointer and presses keys. Apply and ReleaseAll are never
// called at the same time.
type Injector interface {
	// Apply does what m says on the display with these bounds.
	Apply(m wire.Input, display image.Rectangle) error
	// ReleaseAll lets go of everything that Apply holds down.
	ReleaseAll() error
	// Blocked returns why the system does not let input through now, in words
	// for the technician, or nil. It is asked once a second.
	Blocked() error
	Close() error
}

// Clipboard is the desktop's text clipboard.
type Clipboard interface {
	Get(ctx context.Context) (string, error)
	Set(ctx context.Context, text string) error
	Close() error
}

// System is this computer, as the host uses it. Every field is required.
type System struct {
	Report    func() pairing.HostReport
	Displays  func() error // refuses what cannot work here at all: ErrNoDisplay, ErrWayland of screen
	Screen    func() (screen.Source, error)
	Injector  func() (Injector, error)
	Clipboard func() (Clipboard, error)
	// Serve is the host half of the picture path (encode.Serve).
	Serve   func(ctx context.Context, src screen.Source, display uint32, out Sender, feedback <-chan []byte, log *slog.Logger) error
	Connect func(rendezvous.HostConfig) Mailbox
	Listen  func(context.Context, peer.Config) Link
	Clock   func() lease.Reading
}

// Sender is where the picture goes.
type Sender interface {
	Send(b []byte) error
	Buffered() int
}

// Config is one run of the program.
type Config struct {
	System  System
	View    consent.View
	Link    *pairing.Link // from the program's file name; nil: ask
	Renamed bool          // the name was to carry a link and does not
	// Typed is closed at the end of an input that may bring a link before it is
	// asked for; nil where a window asks.
	Typed   <-chan struct{}
	Base    string // folder for lock and state, mode 0700; made if missing and removed when empty
	Display string // what tells displays apart, for the lock
	// Program is the downloaded executable, which is removed at the end; ""
	// where it must stay (a build folder, a package).
	Program     string
	Version     string
	Lab         bool          // a lab build: there may be no bar, and it says so
	ReceiptPath func() string // where a receipt goes when the customer chose nothing
	// Marks lists what cannot be seen in the file system and must be as before
	// when the program is gone; nil: nothing is looked at.
	Marks removal.Marks
	// Keep brings the program back after a restart; nil where nothing does.
	Keep Keeper
	// Resume takes up the session that an earlier process began, and nothing else:
	// the service starts it, not a person.
	Resume bool
	// NoDesktop says why there is no desktop, when the service has found none.
	// Then keys, signaling, the day and the removal go on and nothing is shown.
	NoDesktop *fault.Error
	Log       *slog.Logger
}

// run is one run of the program; its goroutine owns it.
type run struct {
	cfg     Config
	log     *slog.Logger
	actions <-chan consent.Action
	model   consent.Model
	lock    *Lock
	bin     bool          // the program is to be removed even without a session
	invited *pairing.Link // what this start is about, as far as it is known; nil: nobody can be told anything
	waits   Mailbox       // of the invitation that is being answered
}

// errLeave says that the customer closed the window.
var errLeave = errors.New("host: the customer left")

// Run runs the program until the session is over and removed, the customer
// leaves, or ctx ends (then an activated session stays and is taken up by the
// next Run). What it refuses it shows, and returns as a *fault.Error after the
// customer has seen it.
func Run(ctx context.Context, cfg Config) error {
	r := &run{cfg: cfg, log: cfg.Log, actions: cfg.View.Actions(), invited: cfg.Link}
	if cfg.Lab {
		r.log.Warn("This is a lab build: the customer may see no bar while the screen is shared. It must not be given to customers.")
	}
	r.show(func(m *consent.Model) { m.Screen = consent.Starting })
	if err := r.main(ctx); !errors.Is(err, errLeave) && ctx.Err() == nil {
		return err
	}
	return nil // to leave, and to be told to stop, is no failure
}

// show changes the model and shows it.
func (r *run) show(f func(*consent.Model)) {
	old := r.model
	f(&r.model)
	now := time.Now()
	r.model.Now = now
	if old.Screen != r.model.Screen || old.Progress != r.model.Progress || r.model.Since.IsZero() {
		r.model.Since = now
	}
	r.model.Events = append([]consent.Line(nil), r.model.Events...)
	r.cfg.View.Show(r.model)
}

func (r *run) main(ctx context.Context) (err error) {
	dir, err := prepareBase(r.cfg.Base)
	if err != nil {
		return r.refuse(ctx, consent.RefusedFault, err)
	}
	r.cfg.Base = dir
	if r.lock, err = Acquire(dir, r.cfg.Display); err != nil {
		var busy *Busy
		if errors.As(err, &busy) {
			r.show(func(m *consent.Model) { m.Other = busy.Holder })
			return r.refuse(ctx, consent.AlreadyThere, err)
		}
		defer removeEmpty(dir)
		return r.refuse(ctx, consent.RefusedFault, err)
	}
	defer r.tidy()
	if err := r.cfg.System.Displays(); err != nil && r.cfg.Resume {
		if r.cfg.NoDesktop == nil { // what a person would be told in a window
			r.cfg.NoDesktop = fault.Of(err)
		}
	} else if err != nil {
		return r.refuse(ctx, refusalOfDisplay(err), err)
	}
	if r.cfg.Resume {
		return r.takeUp(ctx)
	}
	link, renamed := r.cfg.Link, r.cfg.Renamed
	if st := r.leftover(ctx); st != nil {
		l, resume, err := r.earlier(ctx, st, link)
		if err != nil {
			return err
		}
		if resume {
			if again, err := r.resume(ctx, st); !again {
				return err
			}
		}
		link = l
	}
	for {
		if link == nil {
			if link, err = r.askLink(ctx, renamed); err != nil {
				return err
			}
		}
		r.invited = link
		again, err := r.invitation(ctx, *link)
		switch {
		case err != nil:
			return err
		case again == askAgain:
			link, renamed, r.invited = nil, true, nil
		case again == done:
			return nil
		}
	}
}

// takeUp serves the session that an earlier process began, if it goes on.
func (r *run) takeUp(ctx context.Context) error {
	st := r.leftover(ctx)
	if st == nil {
		return nil
	}
	_, err := r.resume(ctx, st)
	return err
}

// next is what follows an invitation.
type next int

const (
	done next = iota
	retry
	askAgain
)

func refusalOfDisplay(err error) consent.Refusal {
	switch {
	case errors.Is(err, screen.ErrWayland):
		return consent.Wayland
	case errors.Is(err, screen.ErrNoDisplay):
		return consent.NoDisplay
	case fault.KindOf(err) == fault.Unsupported:
		return consent.SystemUnsupported
	}
	return consent.RefusedFault
}

// refuse shows why the program cannot go on, waits until the customer has seen
// it, and returns the fault.
func (r *run) refuse(ctx context.Context, why consent.Refusal, err error) error {
	for r.refused(ctx, why, err) {
	}
	return fault.Of(err)
}

// refused is refuse, and true when the customer wants to try again.
func (r *run) refused(ctx context.Context, why consent.Refusal, err error) (again bool) {
	switch r.asked(ctx, why, err) {
	case consent.Retry:
		return true
	case consent.EndAndRemove:
		r.bin = true
	}
	return false
}

// asked shows why the program cannot go on and returns what the customer
// chose: Retry, EndAndRemove, or Leave.
func (r *run) asked(ctx context.Context, why consent.Refusal, err error) consent.ActionKind {
	f := fault.Of(err)
	r.log.Warn("refused", "kind", f.Kind, "op", f.Op, "cause", f.Err)
	r.show(func(m *consent.Model) {
		m.Screen, m.Refusal, m.Fault, m.Watching, m.Doing = consent.Refused, why, f, false, 0
	})
	defer r.telling(ctx, why)()
	timeout := time.NewTimer(reportTimeout)
	defer timeout.Stop()
	for {
		select {
		case <-ctx.Done():
			return consent.Leave
		case <-timeout.C:
			return consent.Leave
		case a, ok := <-r.actions:
			if !ok {
				return consent.Leave
			}
			switch a.Kind {
			case consent.Cancel:
				return consent.EndAndRemove
			case consent.Retry, consent.EndAndRemove, consent.Leave:
				return a.Kind
			}
		}
	}
}

// tidy takes back what a run without a session put on the computer.
func (r *run) tidy() {
	r.lock.Release()
	if r.bin && r.cfg.Program != "" {
		removeProgram(r.cfg.Program, r.log)
	}
	removeEmpty(r.cfg.Base)
}

// askLink asks for the link until there is one.
func (r *run) askLink(ctx context.Context, renamed bool) (*pairing.Link, error) {
	r.show(func(m *consent.Model) {
		m.Screen, m.Link = consent.AskLink, consent.LinkAsk
		if renamed {
			m.Link = consent.LinkFile
		}
	})
	for {
		a, err := r.action(ctx)
		if err != nil {
			return nil, err
		}
		switch a.Kind {
		case consent.SubmitLink:
			l, err := pairing.ParseLink(a.Text)
			if err == nil {
				return &l, nil
			}
			r.show(func(m *consent.Model) { m.Link = linkState(a.Text) })
		case consent.Cancel, consent.EndAndRemove:
			r.bin = true
			return nil, errLeave
		case consent.Leave:
			return nil, errLeave
		}
	}
}

// action waits for the customer.
func (r *run) action(ctx context.Context) (consent.Action, error) {
	select {
	case <-ctx.Done():
		return consent.Action{}, ctx.Err()
	case a, ok := <-r.actions:
		if !ok {
			return a, errLeave
		}
		return a, nil
	}
}

// invitation goes from a link to the end of its session.
func (r *run) invitation(ctx context.Context, link pairing.Link) (next, error) {
	dev := pairing.NewDevice()
	p := &pair{
		run: r, link: link, dev: dev, instance: rendezvous.NewInstance(),
		serverName: link.Server.Hostname(),
	}
	p.box = r.connect(link, dev.Ed, p.instance)
	r.waits = p.box
	keep := false
	defer func() {
		r.waits = nil
		if !keep {
			r.hangUp(p.box)
		}
	}()
	for {
		info, err := p.info(ctx)
		if err == nil {
			p.told = info
			break
		}
		if errors.Is(err, errLeave) || ctx.Err() != nil {
			return done, err
		}
		if fault.KindOf(err) == fault.NotFound {
			return askAgain, nil // a file of another server or of a session that never was: ask for the link
		}
		if !r.refused(ctx, refusalOf(err), err) {
			return done, fault.Of(err)
		}
	}
	st, again, err := p.pair(ctx)
	if err != nil || again == askAgain {
		return again, err
	}
	keep, r.waits = true, nil
	return done, r.serve(ctx, st, p.box, p.act)
}

func (r *run) connect(link pairing.Link, key ed25519.PrivateKey, instance rendezvous.Instance) Mailbox {
	return r.cfg.System.Connect(rendezvous.HostConfig{
		Server: link.Server, Session: link.Session, Instance: instance, Key: key, Log: r.log,
	})
}

func (r *run) hangUp(box Mailbox) {
	if err := box.Close(); err != nil {
		r.log.Debug("mailbox not closed", "cause", err)
	}
}

// refusalOf finds the page for a fault of the server.
func refusalOf(err error) consent.Refusal {
	switch fault.KindOf(err) {
	case fault.Offline:
		return consent.ServerUnreachable
	case fault.Expired:
		return consent.LinkExpired
	case fault.Denied:
		return consent.CompanySuspended
	case fault.NotFound, fault.Conflict:
		return consent.LinkUsed
	case fault.Unsupported:
		return consent.SystemUnsupported
	}
	return consent.RefusedFault
}
