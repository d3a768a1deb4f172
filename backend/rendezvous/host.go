package rendezvous

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

// HostConfig configures DialHost. Server, Session, Instance and Key are needed.
type HostConfig struct {
	Server   *url.URL
	Session  grant.ID
	Instance Instance
	Key      ed25519.PrivateKey // the host's device key: signs requests, and is the HostKey of Activated
	Dialer   *net.Dialer        // nil: the usual one
	Log      *slog.Logger       // nil: silent
}

// HostEvent is how things stand; each replaces the one before.
type HostEvent struct {
	Online         bool
	ConsolePresent bool
	Ended          *grant.Signed // grant.Ended, by the technician's key or the server's: verify before use
	Claim          *grant.Signed // grant.Offer to another console, by the server's key: verify before use
	Rejected       *fault.Error  // this program cannot go on with this session; kept until the server takes it again
	ServerTime     time.Time     // zero before the first contact
}

// HostMailbox is the host's side of one session's mailbox.
type HostMailbox struct {
	cfg    HostConfig
	call   *caller
	sock   *socket
	recv   chan []byte
	events chan HostEvent
	cancel context.CancelFunc
	done   chan struct{}

	mu    sync.Mutex // guards state, and writing to events
	state HostEvent
}

// DialHost starts connecting in the background and keeps at it, with jitter,
// until Close. It never blocks.
func DialHost(cfg HostConfig) *HostMailbox {
	ctx, cancel := context.WithCancel(context.Background())
	m := &HostMailbox{
		cfg: cfg, call: newCaller(cfg.Server, cfg.Key, cfg.Dialer, cfg.Log),
		recv: make(chan []byte, protocol.MaxMailbox), events: make(chan HostEvent, 1), cancel: cancel, done: make(chan struct{}),
	}
	s := newSocket(false, m.call.log)
	path := m.path("/socket") + "&client=" + clientID()
	s.dial = func(ctx context.Context) (*websocket.Conn, error) { return m.call.dial(ctx, "host.connect", path, "") }
	s.deliver = func(ctx context.Context, f protocol.Frame) error {
		select {
		case m.recv <- append([]byte(nil), f.Body...):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.event = func(e protocol.Event) {
		m.change(func(st *HostEvent) {
			if e.Hello != nil {
				m.call.setTime(e.Hello.Time)
			}
			if e.Console != nil {
				st.ConsolePresent = *e.Console
			}
			if e.Ended != nil {
				st.Ended = e.Ended
			}
			if e.Claim != nil {
				st.Claim = e.Claim
			}
			if e.Rejected != nil {
				st.Rejected = fault.Of(toError("host.connect", *e.Rejected))
			}
		})
	}
	s.online = func(on bool, err error) {
		m.change(func(st *HostEvent) {
			st.Online = on
			switch {
			case on:
				st.Rejected = nil
			case err != nil:
				st.Rejected = fault.Of(err)
			}
			if !on {
				st.ConsolePresent = false
			}
		})
	}
	m.sock = s
	go func() {
		defer close(m.done)
		defer close(m.events)
		defer close(m.recv)
		s.run(ctx)
	}()
	return m
}

func clientID() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// change updates the state and replaces what waits in events.
func (m *HostMailbox) change(f func(*HostEvent)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.state)
	m.state.ServerTime = m.call.now()
	select {
	case <-m.events:
	default:
	}
	m.events <- m.state // cap 1, just emptied, written under mu only
}

func (m *HostMailbox) path(what string) string {
	return protocol.Base + "/host/" + m.cfg.Session.String() + what + "?instance=" + m.cfg.Instance.String()
}

// Info asks for the invitation. Faults: NotFound (no such session), Expired
// (over or lapsed), Denied (the company is suspended), Offline.
func (m *HostMailbox) Info(ctx context.Context) (HostInfo, error) {
	var in protocol.Invitation
	if err := m.call.call(ctx, "host.info", http.MethodGet, protocol.Base+"/invitations/"+m.cfg.Session.String(), "", nil, &in); err != nil {
		return HostInfo{}, err
	}
	if in.Session != m.cfg.Session {
		return HostInfo{}, fault.New(fault.Hostile, "host.info", "The server answered for another session.", "Check the link.")
	}
	return HostInfo{
		Session: in.Session, State: in.State, Company: in.Company, Technician: in.Technician, Language: in.Language,
		Expires: in.Expires, ServerKey: in.ServerKey, Now: in.Now, LAN: in.LAN,
	}, nil
}

// Send hands body (≤ protocol.MaxBody bytes, copied) to the server for the
// console, and returns when the server took it. While offline it waits for ctx.
// At most 32 messages wait; more senders block. Faults: Offline (ctx's
// deadline), Cancelled, Limit (the console does not collect), NotFound (the
// session is over).
func (m *HostMailbox) Send(ctx context.Context, body []byte) error {
	return m.sock.send(ctx, "host.send", protocol.Frame{Body: body})
}

// Receive returns the messages from the console, in order, each once as long
// as this program and the server live. The buffers belong to the receiver. The
// channel is closed by Close.
func (m *HostMailbox) Receive() <-chan []byte { return m.recv }

// Events returns the state whenever it changes; what was not read is replaced
// by the newest. Closed by Close.
func (m *HostMailbox) Events() <-chan HostEvent { return m.events }

// Online reports whether the socket is open.
func (m *HostMailbox) Online() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Online
}

// ServerTime returns the server's time as last learned and carried on by the
// monotonic clock, and false before the first contact.
func (m *HostMailbox) ServerTime() (time.Time, bool) {
	m.call.mu.Lock()
	known := !m.call.their.IsZero()
	m.call.mu.Unlock()
	return m.call.now(), known
}

// Activate brings the host's signed grant.Activated (under ContextActivated, by
// the key of the config) and returns the server's signed grant once the console
// has brought its own. Until then it fails with a fault.Conflict that wraps
// ErrNotYet: see RetryActivate. It is idempotent.
func (m *HostMailbox) Activate(ctx context.Context, act grant.Signed) (grant.Signed, error) {
	var out protocol.Fact
	err := m.call.call(ctx, "host.activate", http.MethodPost, m.path("/activate"), "", protocol.Fact{Fact: act}, &out)
	return out.Fact, err
}

// End brings the host's signed grant.Ended (By customer or expiry). Idempotent;
// ending what is already over succeeds.
func (m *HostMailbox) End(ctx context.Context, ended grant.Signed) error {
	return m.call.call(ctx, "host.end", http.MethodPost, m.path("/end"), "", protocol.Fact{Fact: ended}, nil)
}

// Removed brings the host's signed grant.Removed, its last act. Idempotent.
func (m *HostMailbox) Removed(ctx context.Context, removed grant.Signed) error {
	return m.call.call(ctx, "host.removed", http.MethodPost, m.path("/removed"), "", protocol.Fact{Fact: removed}, nil)
}

// ICE returns the STUN and TURN servers for this session; the credentials end
// with it. Only an active session has any.
func (m *HostMailbox) ICE(ctx context.Context) ([]ICEServer, error) {
	var out protocol.ICE
	err := m.call.call(ctx, "host.ice", http.MethodGet, m.path("/ice"), "", nil, &out)
	return out.Servers, err
}

// Close ends the mailbox and waits for its goroutines.
func (m *HostMailbox) Close() error {
	m.cancel()
	<-m.done
	m.call.close()
	return nil
}
