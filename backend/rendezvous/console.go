package rendezvous

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

// TokenStore keeps a console's sign-in, where secrets lie. Both methods may be
// called from any goroutine, never two at a time. Save with the zero Tokens
// means: forget. Load of what was never saved returns the zero Tokens.
type TokenStore interface {
	Load() (Tokens, error)
	Save(Tokens) error
}

// ConsoleConfig configures NewClient. Server, Key and Tokens are needed.
type ConsoleConfig struct {
	Server *url.URL
	Key    ed25519.PrivateKey // the console's: signs requests; tokens are bound to it
	Tokens TokenStore
	Dialer *net.Dialer  // nil: the usual one
	Log    *slog.Logger // nil: silent
}

// SignIn is what a person gives to sign in.
type SignIn struct {
	Email, Password string
	TOTP            string // may be empty
	ConsoleName     string // name of this computer, for the list of consoles
}

// Client is the console's side. Its methods may be called from any goroutine.
// Faults of all: Offline, SignedOut (sign in again), Denied, Hostile.
type Client struct {
	cfg  ConsoleConfig
	call *caller

	mu     sync.Mutex // guards all following; held while refreshing, so that one refresh serves all
	tokens Tokens
	loaded bool
}

// NewClient returns a client. It does no I/O.
func NewClient(cfg ConsoleConfig) *Client {
	return &Client{cfg: cfg, call: newCaller(cfg.Server, cfg.Key, cfg.Dialer, cfg.Log)}
}

// Close drops idle connections. Mailboxes are closed by themselves.
func (c *Client) Close() { c.call.close() }

// Now returns the server's time as last learned, else this computer's.
func (c *Client) Now() time.Time { return c.call.now() }

// ServerURL returns the address given in the config.
func (c *Client) ServerURL() *url.URL { return c.cfg.Server }

func (c *Client) save(t Tokens) error {
	c.tokens, c.loaded = t, true
	if err := c.cfg.Tokens.Save(t); err != nil {
		return fault.Wrap(err, fault.Of(err).Kind, "account.save", "The sign-in could not be stored.", "Daypass asks for it again at the next start.")
	}
	return nil
}

// token returns a valid access token, refreshing it where needed. stale is a
// token that the server refused.
func (c *Client) token(ctx context.Context, stale string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		t, err := c.cfg.Tokens.Load()
		if err != nil {
			return "", fault.Wrap(err, fault.Of(err).Kind, "account.load", "The stored sign-in could not be read.", "Sign in again.")
		}
		c.tokens, c.loaded = t, true
	}
	if c.tokens.Refresh == "" {
		return "", fault.New(fault.SignedOut, "account.token", "You are signed out.", "Sign in.")
	}
	if c.tokens.Access != "" && c.tokens.Access != stale && c.call.now().Before(c.tokens.Expires.Add(-10*time.Second)) {
		return c.tokens.Access, nil
	}
	var t protocol.Tokens
	if err := c.call.call(ctx, "account.refresh", http.MethodPost, protocol.Base+"/refresh", "", protocol.Refresh{Refresh: c.tokens.Refresh}, &t); err != nil {
		if fault.KindOf(err) == fault.SignedOut {
			return "", errors.Join(err, c.save(Tokens{}))
		}
		return "", err
	}
	if err := c.save(t); err != nil {
		// Still good for this run; the next start will have to sign in.
		c.call.log.Warn("sign-in not stored", "error", err)
	}
	return t.Access, nil
}

// do is call with a token, refreshed once.
func (c *Client) do(ctx context.Context, op, method, path string, in, out any) error {
	stale := ""
	for again := false; ; again = true {
		tok, err := c.token(ctx, stale)
		if err != nil {
			return err
		}
		err = c.call.call(ctx, op, method, path, tok, in, out)
		if !errors.Is(err, errToken) || again {
			return err
		}
		stale = tok
	}
}

// SignIn signs in and stores the tokens. Faults: SignedOut (wrong, or ErrTOTP),
// Limit (too many tries; words say how long).
func (c *Client) SignIn(ctx context.Context, in SignIn) (Profile, error) {
	var out protocol.SignedIn
	body := protocol.SignIn{Email: in.Email, Password: in.Password, TOTP: in.TOTP, Console: in.ConsoleName}
	if err := c.call.call(ctx, "account.signin", http.MethodPost, protocol.Base+"/signin", "", body, &out); err != nil {
		return Profile{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return out.Profile, c.save(out.Tokens)
}

// SignOut ends the sign-in at the server and forgets it here. It forgets even
// if the server is out of reach, and then returns that fault.
func (c *Client) SignOut(ctx context.Context) error {
	err := c.do(ctx, "account.signout", http.MethodPost, protocol.Base+"/signout", struct{}{}, nil)
	if fault.KindOf(err) == fault.SignedOut {
		err = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(err, c.save(Tokens{}))
}

// SignedIn reports whether tokens are stored; the server may think otherwise.
func (c *Client) SignedIn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		t, err := c.cfg.Tokens.Load()
		if err != nil {
			return false
		}
		c.tokens, c.loaded = t, true
	}
	return c.tokens.Refresh != ""
}

// Profile returns who is signed in.
func (c *Client) Profile(ctx context.Context) (Profile, error) {
	var p Profile
	return p, c.out(ctx, "account.profile", http.MethodGet, "/profile", nil, &p)
}

func (c *Client) out(ctx context.Context, op, method, path string, in, out any) error {
	return c.do(ctx, op, method, protocol.Base+path, in, out)
}

// Health asks the server how it is; needs no sign-in.
func (c *Client) Health(ctx context.Context) (Health, error) {
	var h Health
	err := c.call.call(ctx, "server.health", http.MethodGet, protocol.Base+"/health", "", nil, &h)
	return h, err
}

// CreateSession makes a session and takes a place for it. Faults: Limit as
// *LimitError with who holds the places; Invalid.
func (c *Client) CreateSession(ctx context.Context, in NewSession) (Session, error) {
	var s Session
	err := c.out(ctx, "session.create", http.MethodPost, "/sessions", in, &s)
	return s, err
}

// Sessions returns one's own sessions (leads: the company's), live ones and
// those that ended within the last day, newest first.
func (c *Client) Sessions(ctx context.Context) (SessionList, error) {
	var l SessionList
	err := c.out(ctx, "session.list", http.MethodGet, "/sessions", nil, &l)
	return l, err
}

func sessionPath(id grant.ID, what string) string { return "/sessions/" + id.String() + what }

// Session returns one session. Faults: NotFound.
func (c *Client) Session(ctx context.Context, id grant.ID) (Session, error) {
	var s Session
	err := c.out(ctx, "session.get", http.MethodGet, sessionPath(id, ""), nil, &s)
	return s, err
}

// SetState moves a session between Invited, Answered and Pairing, if it is
// still in from. Faults: Conflict (it is not).
func (c *Client) SetState(ctx context.Context, id grant.ID, from, to string) error {
	return c.out(ctx, "session.state", http.MethodPost, sessionPath(id, "/state"), protocol.SetState{From: from, To: to}, nil)
}

// Claim asks to go on, at this console, with a session that another console of
// the same person began, or with one whose keys this console has lost. For an
// active session the server signs an offer, Session.Claim, under which its
// customer can be asked to confirm; until then nothing changes. An invitation
// that nobody has answered is this console's at once. Idempotent. Faults:
// NotFound (no session of this person), Expired (it is over).
func (c *Client) Claim(ctx context.Context, id grant.ID) (Session, error) {
	var s Session
	err := c.out(ctx, "session.claim", http.MethodPost, sessionPath(id, "/claim"), struct{}{}, &s)
	return s, err
}

// Activate brings the console's signed grant.Activated and returns the server's
// signed grant once the host has brought its own; see HostMailbox.Activate.
func (c *Client) Activate(ctx context.Context, id grant.ID, act grant.Signed) (grant.Signed, error) {
	var out protocol.Fact
	err := c.out(ctx, "session.activate", http.MethodPost, sessionPath(id, "/activate"), protocol.Fact{Fact: act}, &out)
	return out.Fact, err
}

// End brings the console's signed grant.Ended (By technician, cancel, lock or
// lead). Idempotent; ending what is already over succeeds.
func (c *Client) End(ctx context.Context, id grant.ID, ended grant.Signed) error {
	return c.out(ctx, "session.end", http.MethodPost, sessionPath(id, "/end"), protocol.Fact{Fact: ended}, nil)
}

// ICE returns the STUN and TURN servers for a session; the credentials end with
// it. Only an active session has any.
func (c *Client) ICE(ctx context.Context, id grant.ID) ([]ICEServer, error) {
	var out protocol.ICE
	err := c.out(ctx, "session.ice", http.MethodGet, sessionPath(id, "/ice"), nil, &out)
	return out.Servers, err
}

// Envelope is a message with its address.
type Envelope struct {
	Session  grant.ID
	Instance Instance
	Body     []byte // ≤ protocol.MaxBody bytes
}

// ConsoleEvent is one change. Online and ServerTime always say how things
// stand.
type ConsoleEvent struct {
	Online     bool
	Session    *Session     // this session changed; nil: only Online did
	Fault      *fault.Error // why the server refuses the socket; SignedOut: sign in again
	ServerTime time.Time
}

// ConsoleMailbox is one socket for all sessions of the console.
type ConsoleMailbox struct {
	call   *caller
	sock   *socket
	recv   chan Envelope
	events chan ConsoleEvent
	dirty  chan struct{} // cap 1
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards all following
	now     ConsoleEvent
	state   bool       // Online or Fault changed
	order   []grant.ID // sessions to tell, oldest first
	changed map[grant.ID]*Session
}

// Open starts connecting in the background and keeps at it until Close or until
// ctx is done. A server answers a fresh socket with every live session.
func (c *Client) Open(ctx context.Context) *ConsoleMailbox {
	ctx, cancel := context.WithCancel(ctx)
	m := &ConsoleMailbox{
		call: c.call, recv: make(chan Envelope, protocol.MaxMailbox), events: make(chan ConsoleEvent), dirty: make(chan struct{}, 1),
		cancel: cancel, changed: map[grant.ID]*Session{},
	}
	s := newSocket(true, c.call.log)
	path := protocol.Base + "/console/socket?client=" + clientID()
	stale := ""
	s.dial = func(ctx context.Context) (*websocket.Conn, error) {
		for again := false; ; again = true {
			tok, err := c.token(ctx, stale)
			if err != nil {
				return nil, err
			}
			conn, err := c.call.dial(ctx, "console.connect", path, tok)
			if !errors.Is(err, errToken) || again {
				return conn, err
			}
			stale = tok
		}
	}
	s.deliver = func(ctx context.Context, f protocol.Frame) error {
		select {
		case m.recv <- Envelope{Session: f.Session, Instance: f.Instance, Body: append([]byte(nil), f.Body...)}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.event = func(e protocol.Event) {
		if e.Hello != nil {
			m.call.setTime(e.Hello.Time)
		}
		if e.Session != nil {
			m.mu.Lock()
			if _, ok := m.changed[e.Session.ID]; !ok {
				m.order = append(m.order, e.Session.ID)
			}
			m.changed[e.Session.ID] = e.Session
			m.mu.Unlock()
			poke(m.dirty)
		}
	}
	s.online = func(on bool, err error) {
		var f *fault.Error
		if err != nil {
			f = fault.Of(err)
		}
		m.mu.Lock()
		if m.now.Online != on || m.now.Fault != f {
			m.now.Online, m.now.Fault, m.state = on, f, true
		}
		m.mu.Unlock()
		poke(m.dirty)
	}
	m.sock = s
	m.wg.Go(func() { defer close(m.recv); s.run(ctx) })
	m.wg.Go(func() { defer close(m.events); m.tell(ctx) })
	return m
}

// tell hands out one change at a time; changes of one session that were not
// collected become one.
func (m *ConsoleMailbox) tell(ctx context.Context) {
	for {
		e, ok := m.take()
		if !ok {
			select {
			case <-m.dirty:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case m.events <- e:
		case <-ctx.Done():
			return
		}
	}
}

func (m *ConsoleMailbox) take() (ConsoleEvent, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.now
	e.ServerTime = m.call.now()
	if m.state {
		m.state = false
		return e, true
	}
	if len(m.order) == 0 {
		return e, false
	}
	id := m.order[0]
	m.order = slices.Delete(m.order, 0, 1)
	e.Session = m.changed[id]
	delete(m.changed, id)
	return e, true
}

// Send hands an envelope (its body is copied) to the server and returns when
// the server took it; see HostMailbox.Send.
func (m *ConsoleMailbox) Send(ctx context.Context, e Envelope) error {
	return m.sock.send(ctx, "console.send", protocol.Frame{Session: e.Session, Instance: e.Instance, Body: e.Body})
}

// Receive returns the messages from hosts, in order for each, each once as long
// as this program and the server live. Closed by Close.
func (m *ConsoleMailbox) Receive() <-chan Envelope { return m.recv }

// Events returns changes; see ConsoleEvent. Closed by Close.
func (m *ConsoleMailbox) Events() <-chan ConsoleEvent { return m.events }

// Online reports whether the socket is open.
func (m *ConsoleMailbox) Online() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now.Online
}

// Close ends the mailbox and waits for its goroutines.
func (m *ConsoleMailbox) Close() error {
	m.cancel()
	m.wg.Wait()
	return nil
}
