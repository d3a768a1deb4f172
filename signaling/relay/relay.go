// Package relay is the server's STUN and TURN half (RFC 8489, 8656; pion/turn).
// Credentials are ephemeral: HMAC over session, side and the session's end.
// What may be relayed to is an allow rule over a deny list, because a relay
// that reaches everything reaches the operator's own network. It must not know
// what is relayed, which is DTLS between the two ends, nor how sessions are
// stored: it asks whether one is live.
package relay

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

const (
	realm         = "daypass"
	perSession    = 8    // allocations of one session, both sides and their candidates
	perServer     = 1000 // allocations in all
	allocationFor = 5 * time.Minute
)

var denied = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/128", "::1/128", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(s ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(s))
	for i, p := range s {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

// ACL decides which peers an allocation may talk to.
type ACL struct {
	Relay []netip.Addr   // addresses of relayed sockets: allowed, but only to ports that are relayed sockets (two peers that both relay meet there)
	Own   []netip.Addr   // other addresses of this server: denied
	Allow []netip.Prefix // the LAN that LAN mode serves; nothing more
}

// Allows reports whether a permission for ip may be granted.
func (a ACL) Allows(ip netip.Addr) bool {
	if !ip.IsValid() {
		return false
	}
	ip = ip.Unmap().WithZone("")
	for _, r := range a.Relay {
		if ip == r {
			return true // see relayConn.WriteTo for the port
		}
	}
	for _, o := range a.Own {
		if ip == o {
			return false
		}
	}
	if ip.IsLoopback() || ip.IsMulticast() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range a.Allow {
		if p.Contains(ip) {
			return true
		}
	}
	for _, p := range denied {
		if p.Contains(ip) {
			return false
		}
	}
	return ip.IsGlobalUnicast()
}

// Config configures Start.
type Config struct {
	UDP    net.PacketConn // owned by the relay from then on
	TCP    net.Listener   // may be nil; owned by the relay
	Public netip.Addr     // address in relayed candidates
	Bind   netip.Addr     // address to bind relayed sockets to
	ACL    ACL
	Live   func(id grant.ID) bool // is the session active
	Log    *slog.Logger
}

// Relay is a running STUN and TURN server.
type Relay struct {
	cfg    Config
	secret [32]byte
	server *turn.Server

	mu    sync.Mutex // guards all following
	conns map[*relayConn]struct{}
	ports map[netip.AddrPort]bool // of relayed sockets
}

// Start serves until Close. The secret of its credentials is new each time, so
// that a restart ends the relaying that nobody renews.
func Start(cfg Config) (*Relay, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Relay{cfg: cfg, conns: map[*relayConn]struct{}{}, ports: map[netip.AddrPort]bool{}}
	rand.Read(r.secret[:])
	r.cfg.ACL.Relay = append(r.cfg.ACL.Relay, cfg.Public.Unmap())
	lf := logging.NewDefaultLoggerFactory()
	lf.DefaultLogLevel = logging.LogLevelDisabled
	perm := func(_ net.Addr, ip net.IP) bool {
		a, ok := netip.AddrFromSlice(ip)
		return ok && r.cfg.ACL.Allows(a)
	}
	sc := turn.ServerConfig{
		Realm: realm, AuthHandler: r.auth, QuotaHandler: r.quota, LoggerFactory: lf, AllocationLifetime: allocationFor, PermissionTimeout: 5 * time.Minute,
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: cfg.UDP, RelayAddressGenerator: generator{r}, PermissionHandler: perm}},
	}
	if cfg.TCP != nil {
		sc.ListenerConfigs = []turn.ListenerConfig{{Listener: cfg.TCP, RelayAddressGenerator: generator{r}, PermissionHandler: perm}}
	}
	s, err := turn.NewServer(sc)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r.server = s
	return r, nil
}

// Port returns the UDP port.
func (r *Relay) Port() int {
	if a, ok := r.cfg.UDP.LocalAddr().(*net.UDPAddr); ok {
		return a.Port
	}
	return 0
}

// Close ends all relaying.
func (r *Relay) Close() error {
	err := r.server.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Credentials returns user and password for one side of a session, good until
// its end.
func (r *Relay) Credentials(id grant.ID, side string, end time.Time) (user, password string) {
	user = strconv.FormatInt(end.Unix(), 10) + ":" + id.String() + ":" + side
	return user, r.password(user)
}

func (r *Relay) password(user string) string {
	m := hmac.New(sha1.New, r.secret[:]) // the TURN REST convention
	m.Write([]byte(user))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// ParseUser reads the user name of a credential.
func ParseUser(user string) (id grant.ID, side string, end time.Time, err error) {
	p := strings.Split(user, ":")
	if len(p) != 3 || p[2] != "host" && p[2] != "console" {
		return id, "", end, errors.New("relay: not a user name of ours")
	}
	n, err := strconv.ParseInt(p[0], 10, 64)
	if err != nil {
		return id, "", end, fmt.Errorf("relay: %w", err)
	}
	id, err = grant.ParseID(p[1])
	return id, p[2], time.Unix(n, 0), err
}

// auth is asked on every authenticated request, so that an allocation does not
// outlive the session by more than a renewal.
func (r *Relay) auth(ra *turn.RequestAttributes) (string, []byte, bool) {
	id, _, end, err := ParseUser(ra.Username)
	if err != nil || !time.Now().Before(end) || !r.cfg.Live(id) {
		return "", nil, false
	}
	return ra.Username, turn.GenerateAuthKey(ra.Username, ra.Realm, r.password(ra.Username)), true
}

func (r *Relay) quota(user, _ string, _ net.Addr) bool {
	id, _, _, err := ParseUser(user)
	if err != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for c := range r.conns {
		if c.session == id {
			n++
		}
	}
	return n < perSession && len(r.conns) < perServer
}

// End closes the relayed sockets of a session at once.
func (r *Relay) End(id grant.ID) {
	r.mu.Lock()
	var gone []*relayConn
	for c := range r.conns {
		if c.session == id {
			gone = append(gone, c)
		}
	}
	r.mu.Unlock()
	for _, c := range gone {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			r.cfg.Log.Debug("relayed socket", "error", err)
		}
	}
}

// Allocations returns how many relayed sockets there are.
func (r *Relay) Allocations() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// ICE returns the servers for one side of a session. host is the name or
// address by which the client reaches this server; tcp the port of TURN over
// TCP there, 0 for none; secure whether that port speaks TLS.
func (r *Relay) ICE(id grant.ID, side string, end time.Time, host string, tcp int, secure bool) []protocol.ICEServer {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	at := host + ":" + strconv.Itoa(r.Port())
	user, password := r.Credentials(id, side, end)
	urls := []string{"turn:" + at + "?transport=udp"}
	if tcp != 0 {
		scheme := "turn:"
		if secure {
			scheme = "turns:"
		}
		urls = append(urls, scheme+host+":"+strconv.Itoa(tcp)+"?transport=tcp")
	}
	return []protocol.ICEServer{{URLs: []string{"stun:" + at}}, {URLs: urls, Username: user, Credential: password}}
}

// generator makes relayed sockets; only UDP, and never a connection outwards.
type generator struct{ r *Relay }

func (g generator) Validate() error {
	if !g.r.cfg.Public.IsValid() || !g.r.cfg.Bind.IsValid() {
		return errors.New("relay: no address")
	}
	return nil
}

func (g generator) AllocatePacketConn(c turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	id, _, _, err := ParseUser(c.UserID)
	if err != nil {
		return nil, nil, err
	}
	if c.Network == "udp6" != g.r.cfg.Public.Is6() {
		return nil, nil, errors.New("relay: this address family is not served")
	}
	pc, err := (&net.ListenConfig{}).ListenPacket(context.Background(), c.Network, netip.AddrPortFrom(g.r.cfg.Bind, 0).String())
	if err != nil {
		return nil, nil, err
	}
	port := uint16(pc.LocalAddr().(*net.UDPAddr).Port)
	conn := &relayConn{PacketConn: pc, r: g.r, session: id, at: netip.AddrPortFrom(g.r.cfg.Public, port)}
	g.r.mu.Lock()
	g.r.conns[conn] = struct{}{}
	g.r.ports[conn.at] = true
	g.r.mu.Unlock()
	return conn, net.UDPAddrFromAddrPort(conn.at), nil
}

var errTCP = errors.New("relay: TCP is not relayed")

func (g generator) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errTCP
}

func (g generator) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) { return nil, errTCP }

// relayConn is a relayed socket that reaches this server's own relay address
// only at other relayed sockets, never at a service that happens to run there.
type relayConn struct {
	net.PacketConn
	r       *Relay
	session grant.ID
	at      netip.AddrPort
}

func (c *relayConn) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, errTCP
	}
	ap := netip.AddrPortFrom(u.AddrPort().Addr().Unmap(), u.AddrPort().Port())
	if ap.Addr() == c.at.Addr() {
		c.r.mu.Lock()
		open := c.r.ports[ap]
		c.r.mu.Unlock()
		if !open {
			return len(b), nil // dropped, as a closed port would
		}
	}
	return c.PacketConn.WriteTo(b, to)
}

func (c *relayConn) Close() error {
	c.r.mu.Lock()
	delete(c.r.conns, c)
	delete(c.r.ports, c.at)
	c.r.mu.Unlock()
	return c.PacketConn.Close()
}
