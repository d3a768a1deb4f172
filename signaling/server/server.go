// Package server puts the signaling server together: storage, rules, sockets,
// page, relay, one listener for all, and an orderly start and end. It runs in a
// program of its own and inside the console. It must not know pairing or the
// link between the ends: it could not read a session if it wanted to.
package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/api"
	"daypass/signaling/broker"
	"daypass/signaling/directory"
	"daypass/signaling/page"
	"daypass/signaling/postman"
	"daypass/signaling/relay"
	"daypass/signaling/store"
	"daypass/signaling/store/sqlite"
)

// Files in the data directory.
const (
	DatabaseFile = "daypass.db"
	KeyFile      = "server.key" // 32-byte Ed25519 seed
	portFile     = "port"       // embedded: the port of the last run, so that links stay good
)

// DefaultTURNPort is the UDP port of STUN and TURN (RFC 8656 §4).
const DefaultTURNPort = 3478

// TURNConfig configures STUN and TURN. The zero value serves them on the host
// of Config.Listen, UDP port 3478 or, where that is taken or the server is
// embedded, any.
type TURNConfig struct {
	Disabled bool
	Listen   string     // UDP host:port
	Public   netip.Addr // address in relayed candidates; needed behind a 1:1 NAT
}

// Config configures Start. DataDir is needed.
type Config struct {
	DataDir     string // made with mode 0700
	Listen      string // host:port, port 0 allowed; empty: 127.0.0.1:0
	PublicURL   string // what links begin with; empty: made of the listener's address
	InsecureLAN bool   // plain HTTP on addresses other than loopback, said openly everywhere
	Downloads   string // folder of the host programs; empty: none are offered
	TLSCert     string // PEM files; both or none
	TLSKey      string
	ACME        ACMEConfig
	TURN        TURNConfig
	Log         *slog.Logger    // nil: silent
	SMTP        *postman.Config // the operator's mail server, for companies whose policy is that the server sends; nil: none
	Embedded    bool            // inside the console: keep the port of the last run, or choose one
}

// Server is a running signaling server.
type Server struct {
	cfg    Config
	log    *slog.Logger
	public *url.URL
	store  *sqlite.Store
	dir    *directory.Directory
	broker *broker.Broker
	relay  *relay.Relay
	http   *http.Server
	mux    *mux
	key    grant.Key

	draining atomic.Bool
	sweepNow chan struct{} // cap 1
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	once     sync.Once
	closeErr error
	failed   chan struct{} // closed when serving ended, with err set
	err      error
}

func words(err error, kind fault.Kind, message, hint string) error {
	return fault.Wrap(err, kind, "server.start", message, hint)
}

// Start opens the data, listens and serves until Close. ctx bounds the start
// only. Faults: Conflict (the address is in use), Denied (plain HTTP where it
// is not allowed), Corrupt, Full, Unsupported (data of a newer version),
// Invalid.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s := &Server{cfg: cfg, log: cfg.Log, sweepNow: make(chan struct{}, 1), failed: make(chan struct{})}
	st, key, err := openData(ctx, cfg.DataDir)
	if err != nil {
		return nil, err
	}
	s.store, s.key = st, grant.KeyOf(key)
	if err := s.start(ctx, key); err != nil {
		s.abandon()
		return nil, err
	}
	return s, nil
}

func (s *Server) abandon() {
	if s.cancel != nil {
		s.cancel()
	}
	if s.broker != nil {
		s.broker.Close()
	}
	if s.mux != nil {
		s.mux.Close()
	}
	if s.relay != nil {
		if err := s.relay.Close(); err != nil {
			s.log.Debug("relay", "error", err)
		}
	}
	s.wg.Wait()
	if err := s.store.Close(); err != nil {
		s.log.Error("closing the data", "error", err)
	}
}

func (s *Server) start(ctx context.Context, key ed25519.PrivateKey) error {
	cfg := s.cfg
	tlsConfig, fetch, err := certificates(cfg, s.log)
	if err != nil {
		return err
	}
	l, err := s.listen(ctx)
	if err != nil {
		return err
	}
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		l.Close()
		return words(err, fault.Invalid, "The address to listen on cannot be used.", "Give it as HOST:PORT.")
	}
	if tlsConfig == nil && !cfg.InsecureLAN && !at.Addr().Unmap().IsLoopback() {
		l.Close()
		return fault.New(fault.Denied, "server.start", "Plain HTTP is only served on loopback.",
			"Give --cert and --key, or --acme, put a TLS proxy in front of 127.0.0.1, or allow it openly with --insecure-lan.")
	}
	if s.public, err = publicURL(cfg, at, tlsConfig != nil); err != nil {
		l.Close()
		return err
	}
	s.mux = newMux(l, tlsConfig)

	s.dir = directory.New(directory.Config{
		Store: s.store, Key: key, LAN: cfg.InsecureLAN || at.Addr().Unmap().IsLoopback(), Log: s.log,
		Changed: func(x store.Session) {
			s.broker.Changed(x)
			if s.relay != nil && !protocol.Live(x.State) {
				s.relay.End(x.ID)
			}
			select {
			case s.sweepNow <- struct{}{}:
			default:
			}
		},
		Revoked: func(k grant.Key) { s.broker.CloseConsole(k) },
		Link:    func(code string) string { return s.public.String() + "/join#" + code },
		Own:     ownAddress,
	})
	s.broker = broker.New(broker.Config{
		Lookup: s.dir.Lookup, View: s.dir.View, Log: s.log,
		Told: func(id grant.ID, i protocol.Instance) {
			if err := s.dir.HostTold(context.Background(), id, i); err != nil {
				s.log.Warn("could not note that a host was told the end", "session", id, "error", err)
			}
		},
	})
	if !cfg.TURN.Disabled {
		if err := s.startRelay(ctx, at); err != nil {
			return err
		}
	}
	hostOK := s.hostOK(at)
	pg, err := page.New(page.Config{Invitation: s.invitation, Downloads: cfg.Downloads, Draining: s.draining.Load, HostOK: hostOK, Insecure: s.public.Scheme == "http", Log: s.log})
	if err != nil {
		return words(err, fault.Internal, "The deployment page could not be prepared.", "")
	}
	var ice func(grant.ID, string, time.Time, string) []protocol.ICEServer
	if s.relay != nil {
		ice = func(id grant.ID, side string, end time.Time, host string) []protocol.ICEServer {
			return s.relay.ICE(id, side, end, host, int(at.Port()), tlsConfig != nil)
		}
	}
	var post api.Post
	if cfg.SMTP != nil {
		p, err := postman.New(*cfg.SMTP, s.log)
		if err != nil {
			return err
		}
		post = p
	}
	apiHandler := api.New(api.Config{
		Post: post, Public: s.public.String(),
		Directory: s.dir, Broker: s.broker, ICE: ice, LAN: cfg.InsecureLAN || at.Addr().Unmap().IsLoopback(), Insecure: s.public.Scheme == "http",
		HostOK: hostOK, ClientIP: s.clientIP(tlsConfig != nil), Draining: s.draining.Load, Log: s.log,
	})
	root := http.NewServeMux()
	root.Handle("/healthz", apiHandler)
	root.Handle(protocol.Base+"/", apiHandler)
	root.Handle("/", pg)
	s.http = &http.Server{
		Handler: secured(s.public, root), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 40 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if _, err := s.dir.Sweep(ctx); err != nil {
		return err
	}
	head, err := s.dir.Head(ctx)
	if err != nil {
		return err
	}
	if err := s.dir.Enforce(ctx); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.wg.Go(func() { s.sweep(run) })
	s.wg.Go(func() { s.follow(run, head) })
	s.wg.Go(func() { s.mux.run() })
	if fetch != nil {
		s.wg.Go(func() { fetch(run) })
	}
	s.wg.Go(func() {
		err := s.http.Serve(s.mux.http)
		if !errors.Is(err, http.ErrServerClosed) {
			s.err = fault.Wrap(err, fault.Internal, "server.serve", "The server stopped serving.", "Start it again.")
			s.log.Error("serving ended", "error", err)
		}
		close(s.failed)
	})
	s.log.Info("serving", "url", s.public.String(), "listen", l.Addr().String(), "insecure", s.public.Scheme == "http", "relay_udp", s.relayPort())
	return nil
}

func (s *Server) relayPort() int {
	if s.relay == nil {
		return 0
	}
	return s.relay.Port()
}

// listen opens the TCP listener, for an embedded server preferably on the port
// of the last run.
func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	host, port, err := net.SplitHostPort(s.cfg.Listen)
	if err != nil {
		return nil, words(err, fault.Invalid, "The address to listen on cannot be used.", "Give it as HOST:PORT.")
	}
	file := filepath.Join(s.cfg.DataDir, portFile)
	remember := s.cfg.Embedded && (port == "0" || port == "")
	var lc net.ListenConfig
	if remember {
		if b, err := os.ReadFile(file); err == nil {
			if p, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 16); err == nil && p >= 1024 {
				if l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.FormatUint(p, 10))); err == nil {
					return l, nil
				}
				s.log.Warn("the port of the last run is taken; links made before do not work any more", "port", p)
			}
		}
	}
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE) || err != nil && strings.Contains(err.Error(), "Only one usage of each socket address"):
		return nil, words(err, fault.Conflict, "The address "+s.cfg.Listen+" is in use by another program.", "End that program or choose another port.")
	case errors.Is(err, fs.ErrPermission):
		return nil, words(err, fault.Denied, "Port "+port+" may not be used by this account.", "Choose a port above 1023.")
	case err != nil:
		return nil, words(err, fault.Invalid, "The address "+s.cfg.Listen+" cannot be listened on.", "Use an address of this computer.")
	}
	if remember {
		_, p, err := net.SplitHostPort(l.Addr().String())
		if err == nil {
			err = os.WriteFile(file, []byte(p+"\n"), 0o600)
		}
		if err != nil {
			l.Close()
			return nil, words(err, storageKind(err), "The server's settings could not be stored.", "Check the free space and the rights of "+s.cfg.DataDir+".")
		}
	}
	return l, nil
}

func publicURL(cfg Config, at netip.AddrPort, secure bool) (*url.URL, error) {
	if cfg.PublicURL != "" {
		u, err := url.Parse(cfg.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
			return nil, words(err, fault.Invalid, "The public address cannot be used.", "Give it as https://support.example.org, without a path.")
		}
		u.Path = ""
		return u, nil
	}
	if cfg.ACME.Host != "" {
		host := strings.ToLower(cfg.ACME.Host)
		if at.Port() != 443 {
			host = net.JoinHostPort(host, strconv.Itoa(int(at.Port())))
		}
		return &url.URL{Scheme: "https", Host: host}, nil
	}
	ip := at.Addr().Unmap()
	if ip.IsUnspecified() {
		ip = netip.MustParseAddr("127.0.0.1")
		if lan, err := LANAddresses(); err == nil && len(lan) > 0 {
			ip = lan[0].Address
		}
	}
	u := &url.URL{Scheme: "http", Host: netip.AddrPortFrom(ip, at.Port()).String()}
	if secure {
		u.Scheme = "https"
	}
	return u, nil
}

// hostOK says whether a request names this server by one of its names: the
// public one, the address it came in on, or in LAN mode the computer's name.
// Others would let a foreign page reach us by DNS (rebinding), or a foreign
// server have its clients' signatures replayed here.
func (s *Server) hostOK(at netip.AddrPort) func(*http.Request) bool {
	public := strings.ToLower(s.public.Hostname())
	names := map[string]bool{public: true}
	if s.cfg.InsecureLAN {
		if h, err := os.Hostname(); err == nil && h != "" {
			h = strings.ToLower(h)
			names[h], names[h+".local"] = true, true
		}
	}
	return func(r *http.Request) bool {
		host := strings.ToLower(r.Host)
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.Trim(host, "[]")
		if names[host] {
			return true
		}
		local := at.Addr()
		if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			if ap, err := netip.ParseAddrPort(a.String()); err == nil {
				local = ap.Addr()
			}
		}
		if host == "localhost" {
			return local.Unmap().IsLoopback()
		}
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.Unmap().WithZone("") == local.Unmap().WithZone("")
	}
}

// clientIP returns who a request comes from. Behind a TLS proxy on the same
// computer (loopback listener, https address) that is the last X-Forwarded-For.
func (s *Server) clientIP(ownTLS bool) func(*http.Request) netip.Addr {
	proxied := !ownTLS && s.public.Scheme == "https"
	return func(r *http.Request) netip.Addr {
		ap, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return netip.Addr{}
		}
		ip := ap.Addr().Unmap()
		if proxied && ip.IsLoopback() {
			all := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
			if f, err := netip.ParseAddr(strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:])); err == nil {
				return f.Unmap()
			}
		}
		return ip
	}
}

func (s *Server) startRelay(ctx context.Context, at netip.AddrPort) error {
	bind := at.Addr().Unmap()
	listen := s.cfg.TURN.Listen
	fallback := listen == ""
	if fallback {
		port := DefaultTURNPort
		if s.cfg.Embedded {
			port = 0
		}
		listen = netip.AddrPortFrom(bind, uint16(port)).String()
	}
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, "udp", listen)
	if err != nil && fallback {
		pc, err = lc.ListenPacket(ctx, "udp", netip.AddrPortFrom(bind, 0).String())
		if err == nil {
			s.log.Warn("UDP port 3478 is taken; STUN and TURN use another", "at", pc.LocalAddr().String())
		}
	}
	if err != nil {
		return words(err, fault.Conflict, "The UDP address for STUN and TURN cannot be used: "+listen+".", "Choose another with --turn-listen.")
	}
	public := s.cfg.TURN.Public
	if !public.IsValid() {
		public = bind
		if public.IsUnspecified() {
			public = netip.MustParseAddr("127.0.0.1")
			if ip, err := netip.ParseAddr(s.public.Hostname()); err == nil {
				public = ip.Unmap()
			} else if all, err := LANAddresses(); err == nil && len(all) > 0 {
				public = all[0].Address
			}
		}
	}
	relayed := bind
	if bind.IsUnspecified() && public.Is4() {
		relayed = netip.IPv4Unspecified() // "[::]" takes both families for TCP, but relayed sockets are of one
	}
	acl := relay.ACL{}
	own, err := localPrefixes()
	if err != nil {
		return words(errors.Join(err, pc.Close()), fault.Internal, "The addresses of this computer could not be read.", "")
	}
	for _, p := range own {
		if p.Addr() != public {
			acl.Own = append(acl.Own, p.Addr())
		}
		// LAN mode serves the network it listens on, nothing more.
		if s.cfg.InsecureLAN && !p.Addr().IsLoopback() && (p.Addr() == bind || bind.IsUnspecified()) {
			acl.Allow = append(acl.Allow, p.Masked())
		}
	}
	s.relay, err = relay.Start(relay.Config{
		UDP: pc, TCP: s.mux.turn, Public: public, Bind: relayed, ACL: acl, Log: s.log,
		Live: func(id grant.ID) bool {
			x, err := s.store.Session(context.Background(), id)
			return err == nil && x.State == protocol.Active && s.dir.Now().Before(x.Expires)
		},
	})
	if err != nil {
		return words(errors.Join(err, pc.Close()), fault.Internal, "STUN and TURN could not be started.", "")
	}
	return nil
}

// invitation tells the page how a link stands.
func (s *Server) invitation(ctx context.Context, id grant.ID) (page.Invitation, error) {
	x, err := s.dir.Lookup(ctx, id)
	switch fault.KindOf(err) {
	case "":
	case fault.NotFound:
		return page.Invitation{State: page.Unknown}, nil
	default:
		return page.Invitation{}, err
	}
	in := page.Invitation{State: page.Open, Company: x.CompanyName, Technician: x.Technician, Language: x.Language, Expires: x.Deadline()}
	switch {
	case !protocol.Live(x.State) || !s.dir.Now().Before(x.Deadline()):
		in.State = page.Over
	case x.State == protocol.Active:
		in.State = page.Used
	default:
		if _, err := s.dir.Invitation(ctx, id); fault.KindOf(err) == fault.Denied {
			in.State = page.Over
		}
	}
	return in, nil
}

// sweep ends what time ends, signs where the audit chain stands, and deletes the
// history that companies do not keep.
func (s *Server) sweep(ctx context.Context) {
	checkpoint := time.NewTicker(time.Hour)
	defer checkpoint.Stop()
	prune := func() {
		if err := s.dir.PruneHistory(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("deleting old history failed; it is tried again in an hour", "error", err)
		}
	}
	prune()
	for {
		wait, err := s.dir.Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Error("ending what time has ended failed; it is tried again", "error", err)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		case <-s.sweepNow:
		case <-checkpoint.C:
			if err := s.dir.Checkpoint(ctx); err != nil {
				s.log.Error("no checkpoint of the audit chain", "error", err)
			}
			prune()
		}
		t.Stop()
	}
}

// followEvery is how soon what a local command changed takes effect here.
const followEvery = 2 * time.Second

// follow carries out what local commands wrote.
func (s *Server) follow(ctx context.Context, seen int64) {
	t := time.NewTicker(followEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		var err error
		if seen, err = s.dir.Follow(ctx, seen); err != nil && ctx.Err() == nil {
			s.log.Error("a local command could not be carried out; it is tried again", "error", err)
		}
	}
}

// ownAddress reports whether an address is one of this computer's.
func ownAddress(from netip.Addr) bool {
	if from = from.Unmap().WithZone(""); from.IsLoopback() {
		return true
	}
	own, err := localPrefixes()
	return err == nil && slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Addr() == from })
}

// URL returns what links begin with, without a slash at the end.
func (s *Server) URL() string { return s.public.String() }

// Key returns the server's public signing key.
func (s *Server) Key() grant.Key { return s.key }

// Wait returns when the server has ended: nil after Close, else why.
func (s *Server) Wait() error {
	<-s.failed
	return s.err
}

// Close drains: health says so, sockets are asked to come back, running
// requests may end within ctx, then everything is closed. It is idempotent.
func (s *Server) Close(ctx context.Context) error {
	s.once.Do(func() {
		s.draining.Store(true)
		s.broker.Drain(3 * time.Second)
		err := s.http.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			err = s.http.Close()
		}
		s.broker.Close()
		s.cancel()
		if s.relay != nil {
			err = errors.Join(err, s.relay.Close())
		}
		s.mux.Close()
		s.wg.Wait()
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, s.dir.Checkpoint(cctx), s.store.Close())
		if err != nil {
			s.closeErr = fault.Wrap(err, fault.Internal, "server.close", "The server did not end cleanly.", "Its data is safe; look into the log.")
		}
	})
	return s.closeErr
}
