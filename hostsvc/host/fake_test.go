package host

import (
	"context"
	"crypto/ed25519"
	"errors"
	"image"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/lease"
	"daypass/hostsvc/screen"
)

// ---- the customer ----

type fakeView struct {
	mu      sync.Mutex
	models  []consent.Model
	changed chan struct{}
	actions chan consent.Action
	hidden  bool
	since   time.Time
}

func newView() *fakeView {
	return &fakeView{changed: make(chan struct{}, 1), actions: make(chan consent.Action, 16)}
}

func (v *fakeView) Show(m consent.Model) {
	v.mu.Lock()
	v.models = append(v.models, m)
	v.mu.Unlock()
	select {
	case v.changed <- struct{}{}:
	default:
	}
}
func (v *fakeView) Actions() <-chan consent.Action { return v.actions }
func (v *fakeView) Bar() consent.BarHealth {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := len(v.models) > 0 && v.models[len(v.models)-1].Watching
	b := consent.BarHealth{Wanted: w, Shown: w && !v.hidden}
	if w && v.hidden {
		b.HiddenSince = v.since
	}
	return b
}
func (v *fakeView) Close() error { return nil }

func (v *fakeView) hide(on bool, since time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hidden, v.since = on, since
}

// until waits for a model that ok accepts, from the newest on.
func (v *fakeView) until(t testing.TB, what string, ok func(consent.Model) bool) consent.Model {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		v.mu.Lock()
		var m consent.Model
		if n := len(v.models); n > 0 {
			m = v.models[n-1]
		}
		v.mu.Unlock()
		if ok(m) {
			return m
		}
		select {
		case <-v.changed:
		case <-time.After(20 * time.Millisecond):
		case <-limit:
			t.Fatalf("waited for %s; shown is %+v", what, m)
		}
	}
}

func (v *fakeView) screen(t testing.TB, s consent.Screen) consent.Model {
	t.Helper()
	return v.until(t, "a screen", func(m consent.Model) bool { return m.Screen == s })
}

// ---- the server, with the console behind it ----

type fakeServer struct {
	t       testing.TB
	key     ed25519.PrivateKey
	dev     *pairing.Device // console's
	link    pairing.Link
	rights  grant.Rights
	granted grant.Rights // what is signed at activation; 0: rights
	code    pairing.Code
	silent  bool // the console does not answer hellos
	reject  bool // the console chooses another computer
	infoErr error
	iceErr  error // what the server says to the host of an active session
	actErr  error // what it says to an activation
	state   string

	mu       sync.Mutex
	act      *pairing.ConsoleActivation
	boxes    []*fakeBox
	ended    []grant.Ended
	removed  []grant.Removed
	down     bool
	hostKey  grant.Key
	budget   *pairing.Budget
	consoleP *pairing.Pin

	refused   []pairing.Why // what hosts said instead of going on
	toConsole chan []byte   // class 'C', for a real link; nil: nobody listens
}

func newServer(t testing.TB) *fakeServer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse("https://help.example.com")
	if err != nil {
		t.Fatal(err)
	}
	return &fakeServer{
		t: t, key: key, dev: pairing.NewDevice(), link: pairing.Link{Server: u, Session: grant.NewID(), Secret: pairing.NewSecret()},
		rights: grant.View | grant.Control | grant.Clipboard | grant.Terminal, code: pairing.NewCode(), budget: pairing.NewBudget(),
	}
}

type fakeBox struct {
	s      *fakeServer
	key    ed25519.PrivateKey
	in     chan []byte
	events chan rendezvous.HostEvent
	closed chan struct{}
	once   sync.Once
}

func (s *fakeServer) connect(c rendezvous.HostConfig) Mailbox {
	b := &fakeBox{s: s, key: c.Key, in: make(chan []byte, 64), events: make(chan rendezvous.HostEvent, 8), closed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.boxes = append(s.boxes, b)
	b.events <- rendezvous.HostEvent{Online: true, ConsolePresent: true}
	return b
}

func (b *fakeBox) Info(context.Context) (rendezvous.HostInfo, error) {
	if b.s.infoErr != nil {
		return rendezvous.HostInfo{}, b.s.infoErr
	}
	return rendezvous.HostInfo{Session: b.s.link.Session, State: b.s.state, Company: "Contoso IT", Technician: "Mia Roth", ServerKey: grant.KeyOf(b.s.key)}, nil
}

func (b *fakeBox) Send(_ context.Context, m []byte) error {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if m[0] == pairing.ClassConnect && s.toConsole != nil {
		s.toConsole <- append([]byte(nil), m...)
		return nil
	}
	if pairing.IsRefusal(m) {
		r, err := pairing.OpenRefusal(s.link.Secret, s.link.Session, m)
		if err != nil {
			return err
		}
		s.refused = append(s.refused, r.Why)
		return nil
	}
	if s.silent || m[0] != pairing.ClassActivation {
		return nil
	}
	if s.act == nil {
		offer, err := grant.Sign(s.key, grant.ContextOffer, grant.Offer{
			Session: s.link.Session, Company: "Contoso IT", Technician: "Mia Roth", TechnicianKey: grant.KeyOf(s.dev.Ed), Rights: s.rights, Expires: time.Now().Add(time.Hour),
		})
		if err != nil {
			return err
		}
		if s.act, err = pairing.NewConsoleActivation(s.dev, s.link.Secret, s.link.Session, offer, grant.KeyOf(s.key), s.budget, time.Now); err != nil {
			return err
		}
	}
	out, ev, _ := s.act.Handle(m)
	for _, o := range out {
		b.in <- o
	}
	switch {
	case ev.Kind == pairing.HostAnswered && s.reject:
		for _, o := range s.act.Reject() {
			b.in <- o
		}
	case ev.Kind == pairing.HostAnswered:
		o1, err1 := s.act.Choose()
		o2, err2 := s.act.SetCode(s.code, time.Now().Add(time.Hour))
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		for _, o := range append(o1, o2...) {
			b.in <- o
		}
	case ev.Kind == pairing.Done:
		p, _, err := s.act.Result()
		if err != nil {
			return err
		}
		s.consoleP = p
	}
	return nil
}

func (b *fakeBox) Receive() <-chan []byte              { return b.in }
func (b *fakeBox) Events() <-chan rendezvous.HostEvent { return b.events }
func (b *fakeBox) Online() bool                        { b.s.mu.Lock(); defer b.s.mu.Unlock(); return !b.s.down }
func (b *fakeBox) ServerTime() (time.Time, bool)       { return time.Now(), true }
func (b *fakeBox) ICE(context.Context) ([]rendezvous.ICEServer, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	return nil, b.s.iceErr
}
func (b *fakeBox) Close() error { b.once.Do(func() { close(b.closed) }); return nil }

func (b *fakeBox) Activate(_ context.Context, act grant.Signed) (grant.Signed, error) {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.actErr != nil {
		return grant.Signed{}, s.actErr
	}
	s.hostKey = grant.KeyOf(b.key)
	var a grant.Activated
	if err := grant.Open(s.hostKey, grant.ContextActivated, act, &a); err != nil {
		return grant.Signed{}, err
	}
	_, transcript, err := s.act.Result()
	if err != nil || string(transcript[:]) != string(a.Transcript) || a.HostKey != s.hostKey || a.TechnicianKey != grant.KeyOf(s.dev.Ed) {
		return grant.Signed{}, errors.New("not the console's transcript")
	}
	now, rights := time.Now(), s.rights
	if s.granted != 0 {
		rights = s.granted
	}
	return grant.Sign(s.key, grant.ContextGrant, grant.Grant{
		Session: s.link.Session, Company: "Contoso IT", Technician: "Mia Roth", TechnicianKey: a.TechnicianKey, HostKey: a.HostKey,
		Rights: rights, Issued: now, Expires: now.Add(24 * time.Hour),
	})
}

func (b *fakeBox) End(_ context.Context, e grant.Signed) error {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if b.s.down {
		return fault.New(fault.Offline, "end", "down", "")
	}
	var v grant.Ended
	if err := grant.Open(grant.KeyOf(b.key), grant.ContextEnded, e, &v); err != nil {
		return err
	}
	b.s.ended = append(b.s.ended, v)
	return nil
}

func (b *fakeBox) Removed(_ context.Context, r grant.Signed) error {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if b.s.down {
		return fault.New(fault.Offline, "removed", "down", "")
	}
	var v grant.Removed
	if err := grant.Open(grant.KeyOf(b.key), grant.ContextRemoved, r, &v); err != nil {
		return err
	}
	b.s.removed = append(b.s.removed, v)
	return nil
}

// ---- the link ----

type fakeChannel struct {
	in   chan []byte // to the host
	out  chan []byte // from the host
	full bool
}

func newChannel() *fakeChannel {
	return &fakeChannel{make(chan []byte, 1024), make(chan []byte, 4096), false}
}

func (c *fakeChannel) Send(b []byte) error {
	c.out <- append([]byte(nil), b...)
	return nil
}
func (c *fakeChannel) Receive() <-chan []byte              { return c.in }
func (c *fakeChannel) Buffered() int                       { return 0 }
func (c *fakeChannel) Writable(context.Context, int) error { return nil }

type fakeLink struct {
	events                  chan peer.Event
	control, input, picture *fakeChannel
	once                    sync.Once
	hello                   []byte
}

func newLink() *fakeLink {
	return &fakeLink{events: make(chan peer.Event, 16), control: newChannel(), input: newChannel(), picture: newChannel()}
}

func (l *fakeLink) Events() <-chan peer.Event { return l.events }
func (l *fakeLink) Control() peer.Channel     { return l.control }
func (l *fakeLink) Input() peer.Channel       { return l.input }
func (l *fakeLink) Picture() peer.Channel     { return l.picture }
func (l *fakeLink) SetBusy(bool)              {}
func (l *fakeLink) Close(context.Context, string) error {
	l.once.Do(func() { close(l.control.in); close(l.input.in); close(l.picture.in); close(l.events) })
	return nil
}

// say sends a control message as the console.
func (l *fakeLink) say(t testing.TB, m wire.Control) {
	t.Helper()
	b, err := wire.AppendControl(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	l.control.in <- b
}

// hear waits for a control message of type T from the host.
func hear[T wire.Control](t testing.TB, l *fakeLink) T {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case b := <-l.control.out:
			m, err := wire.ParseControl(b)
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := m.(T); ok {
				return v
			}
		case <-limit:
			var zero T
			t.Fatalf("the host never said %T", zero)
		}
	}
}

// ---- the computer ----

type fakeInjector struct {
	mu       sync.Mutex
	got      []wire.Input
	released int
}

func (i *fakeInjector) Apply(m wire.Input, _ image.Rectangle) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got = append(i.got, m)
	return nil
}

func (i *fakeInjector) ReleaseAll() error { i.mu.Lock(); defer i.mu.Unlock(); i.released++; return nil }
func (i *fakeInjector) Blocked() error    { return nil }
func (i *fakeInjector) Close() error      { return nil }
func (i *fakeInjector) count() int        { i.mu.Lock(); defer i.mu.Unlock(); return len(i.got) }

type fakeClip struct {
	mu   sync.Mutex
	text string
}

func (c *fakeClip) Get(context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text, nil
}

func (c *fakeClip) Set(_ context.Context, s string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = s
	return nil
}
func (c *fakeClip) Close() error { return nil }

type fakeSource struct {
	err  error
	look func() // called first by Displays; nil: nothing
}

func (s *fakeSource) Displays() ([]screen.Display, error) {
	if s.look != nil {
		s.look()
	}
	if s.err != nil {
		return nil, s.err
	}
	return []screen.Display{
		{ID: 7, Name: "one", Bounds: image.Rect(0, 0, 800, 600), Primary: true, Scale: 1},
		{ID: 8, Name: "two", Bounds: image.Rect(800, 0, 1824, 768), Scale: 1},
	}, nil
}
func (s *fakeSource) Open(uint32) (screen.Capture, error) { return nil, screen.ErrLocked }
func (s *fakeSource) Close() error                        { return nil }

// rig is one host program on one computer.
type rig struct {
	t      testing.TB
	server *fakeServer
	view   *fakeView
	link   *fakeLink
	inj    *fakeInjector
	clip   *fakeClip
	src    *fakeSource
	cfg    Config
	result chan error
	cancel context.CancelFunc

	mu      sync.Mutex
	serving map[uint32]int // display → pictures running
	clock   lease.Reading
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, server: newServer(t), view: newView(), link: newLink(), inj: &fakeInjector{}, clip: &fakeClip{}, src: &fakeSource{}, serving: map[uint32]int{}}
	r.clock = lease.Reading{Wall: time.Now(), Mono: time.Hour, Boot: "b"}
	r.cfg = Config{
		View: r.view, Base: filepath.Join(t.TempDir(), "daypass"), Display: ":1", Version: "test", Log: slog.New(slog.DiscardHandler),
		System: System{
			Report: func() pairing.HostReport {
				return pairing.HostReport{Computer: "ANNA-PC", OS: "Debian", Language: "en"}
			},
			Displays:  func() error { _, err := r.src.Displays(); return err },
			Screen:    func() (screen.Source, error) { return r.src, nil },
			Injector:  func() (Injector, error) { return r.inj, nil },
			Clipboard: func() (Clipboard, error) { return r.clip, nil },
			Serve: func(ctx context.Context, _ screen.Source, d uint32, out Sender, _ <-chan []byte, _ *slog.Logger) error {
				r.count(d, 1)
				defer r.count(d, -1)
				_ = out.Send([]byte("picture"))
				<-ctx.Done()
				return ctx.Err()
			},
			Connect: r.server.connect,
			Listen: func(_ context.Context, c peer.Config) Link {
				r.link.hello = c.Hello
				return r.link
			},
			Clock: func() lease.Reading { r.mu.Lock(); defer r.mu.Unlock(); return r.clock },
		},
	}
	l := r.server.link
	r.cfg.Link = &l
	return r
}

func (r *rig) count(d uint32, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serving[d] += n
}

func (r *rig) running(d uint32) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.serving[d]
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("never: %s", what)
}

func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.result = make(chan error, 1)
	done := make(chan struct{})
	result, cfg := r.result, r.cfg
	go func() {
		defer close(done)
		result <- Run(ctx, cfg)
	}()
	r.t.Cleanup(func() { cancel(); <-done })
}

func (r *rig) do(a consent.Action) { r.view.actions <- a }

func (r *rig) wait() error {
	r.t.Helper()
	select {
	case err := <-r.result:
		return err
	case <-time.After(30 * time.Second):
		r.t.Fatal("the program does not end")
		return nil
	}
}

// activate goes from the start to an activated session with an open link.
func (r *rig) activate() {
	r.t.Helper()
	r.start()
	r.view.screen(r.t, consent.EnterCode)
	r.do(consent.Action{Kind: consent.SubmitCode, Text: r.server.code.Grouped(), Rights: Offered})
	r.view.screen(r.t, consent.Connected)
	r.link.events <- peer.Event{State: peer.Open, PeerHello: []byte{}, NewInstance: true, Fresh: true}
	hear[*wire.HostHello](r.t, r.link)
}

func (r *rig) remote() {
	r.t.Helper()
	r.link.say(r.t, &wire.Open{})
	hear[*wire.Opened](r.t, r.link)
	r.eventually("picture", func() bool { return r.running(7) == 1 })
}

func (r *rig) input(m wire.Input) {
	r.t.Helper()
	b, err := wire.AppendInput(nil, &m)
	if err != nil {
		r.t.Fatal(err)
	}
	r.link.input.in <- b
}

func (r *rig) endedSigned(key ed25519.PrivateKey, by grant.EndedBy) grant.Signed {
	r.t.Helper()
	s, err := grant.Sign(key, grant.ContextEnded, grant.Ended{Session: r.server.link.Session, By: by, At: time.Now()})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}
