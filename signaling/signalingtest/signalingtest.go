// Package signalingtest starts a real signaling server for tests of other
// packages and signs a console in to it. It must not be imported by programs.
package signalingtest

import (
	"context"
	"crypto/ed25519"
	"net/url"
	"sync"
	"testing"
	"time"

	"daypass/backend/grant"
	"daypass/backend/rendezvous"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/server"
)

// Server is a server with one account.
type Server struct {
	*server.Server
	Config  server.Config
	Account server.Account
	Address *url.URL
}

// Start starts a server on loopback, with data in a temporary directory, and
// ends it with the test. change may alter the configuration first.
func Start(t testing.TB, change ...func(*server.Config)) *Server {
	t.Helper()
	cfg := server.Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Embedded: true, TURN: server.TURNConfig{Listen: "127.0.0.1:0"}}
	for _, f := range change {
		f(&cfg)
	}
	a, err := server.CreateLocal(t.Context(), cfg.DataDir, "mia@example.org", "Mia Roth", "Contoso IT")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Config: cfg, Account: a}
	s.Up(t)
	t.Cleanup(func() { s.Down(t) })
	return s
}

// Up starts the server again after Down, on the same data and port.
func (s *Server) Up(t testing.TB) {
	t.Helper()
	var err error
	if s.Server, err = server.Start(t.Context(), s.Config); err != nil {
		t.Fatal(err)
	}
	if s.Address, err = url.Parse(s.URL()); err != nil {
		t.Fatal(err)
	}
}

// Down drains and ends the server.
func (s *Server) Down(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// Console returns a client with a new key, signed in to the account.
func (s *Server) Console(t testing.TB) (*rendezvous.Client, ed25519.PrivateKey) {
	t.Helper()
	return s.ConsoleOf(t, s.Account)
}

// ConsoleOf is Console for another account of the server.
func (s *Server) ConsoleOf(t testing.TB, a server.Account) (*rendezvous.Client, ed25519.PrivateKey) {
	t.Helper()
	key := Key(t)
	c := rendezvous.NewClient(rendezvous.ConsoleConfig{Server: s.Address, Key: key, Tokens: &Memory{}})
	t.Cleanup(c.Close)
	if _, err := c.SignIn(t.Context(), rendezvous.SignIn{Email: a.Email, Password: a.Password, TOTP: Code(t, a.TOTPSeed, 0), ConsoleName: "test"}); err != nil {
		t.Fatal(err)
	}
	return c, key
}

// Code returns the one-time code of a seed, so many steps of 30 s from now;
// nothing for no seed. Each works once, and those one step away do, too.
func Code(t testing.TB, seed string, steps int64) string {
	t.Helper()
	if seed == "" {
		return ""
	}
	b, err := protocol.ParseSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return protocol.TOTPCode(b, protocol.TOTPStep(time.Now())+steps)
}

// Host returns a host's mailbox with a new key and instance, closed with the
// test.
func (s *Server) Host(t testing.TB, id grant.ID) (*rendezvous.HostMailbox, rendezvous.HostConfig) {
	t.Helper()
	cfg := rendezvous.HostConfig{Server: s.Address, Session: id, Instance: rendezvous.NewInstance(), Key: Key(t)}
	m := rendezvous.DialHost(cfg)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, cfg
}

// Key returns a new Ed25519 key.
func Key(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Activate brings a session to active: both sides' words about the same
// transcript.
func Activate(t testing.TB, c *rendezvous.Client, console ed25519.PrivateKey, m *rendezvous.HostMailbox, host ed25519.PrivateKey, id grant.ID) grant.Signed {
	t.Helper()
	act := grant.Activated{Session: id, TechnicianKey: grant.KeyOf(console), HostKey: grant.KeyOf(host), Transcript: make([]byte, 32)}
	a, err := grant.Sign(console, grant.ContextActivated, act)
	if err != nil {
		t.Fatal(err)
	}
	b, err := grant.Sign(host, grant.ContextActivated, act)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Activate(t.Context(), b); err == nil {
		t.Fatal("one side alone activated a session")
	}
	g, err := c.Activate(t.Context(), id, a)
	if err != nil {
		t.Fatal(err)
	}
	again, err := rendezvous.RetryActivate(t.Context(), func(ctx context.Context) (grant.Signed, error) { return m.Activate(ctx, b) })
	if err != nil || string(again.Body) != string(g.Body) {
		t.Fatalf("host's repetition: %v", err)
	}
	return g
}

// Memory is a rendezvous.TokenStore that forgets at the end of the test.
type Memory struct {
	mu sync.Mutex
	t  rendezvous.Tokens
}

var _ rendezvous.TokenStore = (*Memory)(nil)

// Load returns what was saved.
func (m *Memory) Load() (rendezvous.Tokens, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.t, nil
}

// Save keeps t.
func (m *Memory) Save(t rendezvous.Tokens) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.t = t
	return nil
}
