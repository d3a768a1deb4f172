package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/stdnet"
)

// The connection policy. Each figure was measured in the NAT laboratory or over
// two network namespaces.
const (
	heartbeatBusy  = 250 * time.Millisecond // something is open and messages pass
	heartbeatQuiet = 500 * time.Millisecond // something is open; nothing passed for quietAfter
	heartbeatIdle  = 2 * time.Second        // nothing is open
	heartbeatRTT   = 5 * time.Second        // at least, where the peer's own heartbeats show that it lives
	quietAfter     = 3 * time.Second
	// staleAfter is how long a heartbeat may go unanswered, with nothing else
	// heard, before the path counts as dead.
	staleAfter = 1200 * time.Millisecond
	// deafAfter is the same while other packets still arrive: bulk data may
	// queue before the heartbeat, but not for this long.
	deafAfter = 10 * time.Second

	tagTimeout     = 5 * time.Second        // from an open control channel to a verified tag and hello
	connectTimeout = 12 * time.Second       // from the answer to an open control channel
	restartTimeout = 4 * time.Second        // from an ICE restart's answer to something heard
	gatherWait     = 100 * time.Millisecond // how long an offer waits to carry first candidates itself
	askEvery       = 500 * time.Millisecond // first repetition of an unanswered message; grows by half each time
	askSlowest     = 15 * time.Second
	askQuick       = 2 * time.Second // the slowest in the first half minute
	candidateAgain = 2 * time.Second // unanswered candidates are repeated while connecting
	ackDelay       = 100 * time.Millisecond
	settle         = 10 * time.Millisecond // between the peer's end of a connection and ours
	byeTimeout     = 2 * time.Second
	iceTimeout     = 5 * time.Second
	sendTimeout    = 5 * time.Second
	serversFresh   = 30 * time.Minute // ICE servers are reused for reconnects in this time
	maxChecks      = 60               // unanswered ICE checks of a pair, 0.2 s apart: as long as connectTimeout
	maxRestarts    = 3                // ICE restarts without success before a new connection

	// Bytes that may wait for acknowledgement. Control has a window of its own.
	inputLimit   = 64 << 10
	pictureLimit = 4 << 20
	bulkLimit    = 1 << 20

	udpBuffer = 4 << 20 // 22 → 148 Mbit/s at 50 ms
)

// Labels of the data channels.
var labels = [...]string{"control", "input", "picture", "bulk"}

const (
	control = iota
	input
	picture
	bulk
	channels
)

// The transports' figures.
const (
	sctpRTOMax   = time.Second       // 60 s (RFC 9260) gave 23 s of silence after a cut
	sctpMinCwnd  = 64 << 10          // 2.3 → 9.3 Mbit/s at 50 ms and 1 % loss
	sctpBuffer   = 8 << 20           // what a slow reader may leave lying
	sctpMTU      = 1191              // what pion/webrtc uses: fits the smallest IPv6 packet
	maxTransport = dataHead + 64<<10 // bytes of a message; larger ones end the channel
	dtlsReplay   = 512
)

// iceOptions applies the policy to ICE.
func iceOptions(cfg *Config) ([]ice.AgentOption, error) {
	lan := cfg.LAN
	o := []ice.AgentOption{
		// Without an ICE restart pion never comes back from failed; the Link
		// restarts long before. The Link's own heartbeats keep NATs open and
		// notice a dead path: the keep-alive only renews the peer's consent
		// (RFC 7675 asks for one in 5 s).
		ice.WithDisconnectedTimeout(3 * time.Second), ice.WithFailedTimeout(20 * time.Second), ice.WithKeepaliveInterval(3 * time.Second),
		ice.WithMaxBindingRequests(maxChecks),
		// How long a better kind of candidate is waited for: opens through NAT
		// in 0.22 s instead of 1.02.
		ice.WithHostAcceptanceMinWait(0), ice.WithSrflxAcceptanceMinWait(200 * time.Millisecond),
		ice.WithPrflxAcceptanceMinWait(300 * time.Millisecond), ice.WithRelayAcceptanceMinWait(time.Second),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6}),
		ice.WithDisableActiveTCP(), // a hostile peer must not make us open TCP connections
		ice.WithRemoteIPFilter(func(ip net.IP) bool { return usable(ip, lan) }),
	}
	if lan {
		o = append(o, ice.WithIncludeLoopback())
	}
	if cfg.Net != nil {
		return append(o, ice.WithNet(cfg.Net)), nil
	}
	n, err := stdnet.NewNet()
	if err != nil {
		return nil, fmt.Errorf("network interfaces: %w", err)
	}
	return append(o, ice.WithNet(bigNet{n})), nil
}

// usable reports whether a remote candidate's address may be tried.
func usable(ip net.IP, lan bool) bool {
	a, ok := netip.AddrFromSlice(ip)
	if !ok {
		return false
	}
	a = a.Unmap()
	if a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return false
	}
	return lan || !a.IsLoopback()
}

// bigNet is the system's network with large UDP buffers, and with interfaces
// that are read anew for each gathering, so that an ICE restart after a change
// of network sees the new addresses.
type bigNet struct{ *stdnet.Net }

func (n bigNet) Interfaces() ([]*transport.Interface, error) {
	fresh, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}
	return fresh.Interfaces()
}

func (n bigNet) ListenUDP(network string, a *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Net.ListenUDP(network, a)
	if err == nil {
		enlarge(c)
	}
	return c, err
}

func (n bigNet) ListenPacket(network, a string) (net.PacketConn, error) {
	c, err := n.Net.ListenPacket(network, a)
	if err == nil {
		enlarge(c)
	}
	return c, err
}

// enlarge asks for large socket buffers. A system that grants less (its
// maximum, commonly 208 KiB on Linux) is only slower.
func enlarge(c any) {
	if u, ok := c.(interface {
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
	}); ok {
		_ = u.SetReadBuffer(udpBuffer)
		_ = u.SetWriteBuffer(udpBuffer)
	}
}

// newCertificate makes the Link's DTLS certificate, self-signed, valid for the
// longest session and a clock that is a month off.
func newCertificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	now := time.Now()
	tpl := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "WebRTC"},
		NotBefore:    now.AddDate(0, -1, 0),
		NotAfter:     now.AddDate(0, 1, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, der, nil
}

// fingerprint is SHA-256 as SDP writes it (RFC 8122).
func fingerprint(der []byte) string {
	if len(der) == 0 {
		return ""
	}
	sum := sha256.Sum256(der)
	s := strings.ToUpper(hex.EncodeToString(sum[:]))
	var b strings.Builder
	for i := 0; i < len(s); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(s[i : i+2])
	}
	return b.String()
}

// loggers turns pion's log into slog's, all of it at debug level: pion warns of
// what the Link handles.
type loggers struct{ log *slog.Logger }

func (l loggers) NewLogger(scope string) logging.LeveledLogger {
	return logger{l.log.With("pion", scope)}
}

type logger struct{ log *slog.Logger }

func (logger) Trace(string)                {}
func (logger) Tracef(string, ...any)       {}
func (logger) Debug(string)                {}
func (logger) Debugf(string, ...any)       {}
func (logger) Info(string)                 {}
func (logger) Infof(string, ...any)        {}
func (l logger) Warn(m string)             { l.log.Debug(m) }
func (l logger) Warnf(f string, a ...any)  { l.log.Debug(fmt.Sprintf(f, a...)) }
func (l logger) Error(m string)            { l.log.Debug(m) }
func (l logger) Errorf(f string, a ...any) { l.log.Debug(fmt.Sprintf(f, a...)) }
