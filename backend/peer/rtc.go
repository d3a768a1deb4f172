package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/sctp"
	"github.com/pion/stun/v4"

	"daypass/backend/rendezvous/protocol"
)

// rtc is a WebRTC peer connection that has data channels and nothing else:
// ICE (RFC 8445), DTLS (RFC 8261), SCTP and DCEP (RFC 8831, 8832), described as
// RFC 8829 says, so that any WebRTC stack is a possible other side. The complete
// one of pion/webrtc brings codecs, SRTP and RTCP along, a tenth of the host's
// executable, and a goroutine more on the way of each packet.
//
// Descriptions and roles are fixed: the offerer controls ICE and makes the
// channels, the answerer is the DTLS client unless the answer says otherwise.
type rtc struct {
	offerer bool
	cert    tls.Certificate
	loggers logging.LoggerFactory
	agent   *ice.Agent
	on      handlers
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup // run and the channels' readers

	mu       sync.Mutex
	closed   bool
	gathered bool
	peer     *description // the peer's latest
	running  bool
	der      []byte // the peer's certificate
	dtls     *dtls.Conn
	assoc    *sctp.Association
	channels []*dataChannel
}

// handlers are called from goroutines of the connection and must not block on
// it.
type handlers struct {
	candidate func(s string) // a local one; "" when there are no more
	state     func(ice.ConnectionState)
	pair      func()
	channel   func(*dataChannel) // the peer made one; before its first message
	end       func(error)        // it cannot be used any more; once, and not after close
}

func newRTC(offerer bool, cert tls.Certificate, lf logging.LoggerFactory, opts []ice.AgentOption, servers []protocol.ICEServer, on handlers) (*rtc, error) {
	var urls []*stun.URI
	for _, s := range servers {
		for _, u := range s.URLs {
			uri, err := stun.ParseURI(u)
			if err != nil {
				return nil, fmt.Errorf("server %q: %w", u, err)
			}
			if uri.Scheme == stun.SchemeTypeTURN || uri.Scheme == stun.SchemeTypeTURNS {
				uri.Username, uri.Password = s.Username, s.Credential
			}
			urls = append(urls, uri)
		}
	}
	a, err := ice.NewAgentWithOptions(append(opts[:len(opts):len(opts)], ice.WithUrls(urls), ice.WithLoggerFactory(lf))...)
	if err != nil {
		return nil, err
	}
	r := &rtc{offerer: offerer, cert: cert, loggers: lf, agent: a, on: on}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	err = errors.Join(
		a.OnCandidate(r.candidate),
		a.OnConnectionStateChange(on.state),
		a.OnSelectedCandidatePairChange(func(ice.Candidate, ice.Candidate) { on.pair() }),
	)
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rtc) candidate(c ice.Candidate) {
	if c == nil {
		r.mu.Lock()
		r.gathered = true
		r.mu.Unlock()
		r.on.candidate("")
		return
	}
	r.on.candidate(candidateLine(c))
}

func candidateLine(c ice.Candidate) string {
	return "candidate:" + strings.TrimPrefix(c.Marshal(), "candidate:")
}

// create makes a channel that opens with the connection. The offerer calls it
// before anything else.
func (r *rtc) create(label string) *dataChannel {
	d := newDataChannel(label, true)
	r.mu.Lock()
	r.channels = append(r.channels, d)
	r.mu.Unlock()
	return d
}

// gather begins to look for local candidates; restart forgets the old ones.
func (r *rtc) gather(restart bool) error {
	if restart {
		if err := r.agent.Restart("", ""); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.gathered = false
	r.mu.Unlock()
	return r.agent.GatherCandidates()
}

// local describes this side with the candidates known so far.
func (r *rtc) local() (string, error) {
	ufrag, pwd, err := r.agent.GetLocalUserCredentials()
	if err != nil {
		return "", err
	}
	all, err := r.agent.GetLocalCandidates()
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	setup := "active"
	if r.offerer {
		setup = "actpass"
	} else if r.peer != nil && r.peer.setup == "active" {
		setup = "passive"
	}
	gathered := r.gathered
	r.mu.Unlock()
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\r\n", a...) }
	line("v=0")
	line("o=- 1 1 IN IP4 0.0.0.0")
	line("s=-")
	line("t=0 0")
	line("a=fingerprint:sha-256 %s", fingerprint(r.cert.Certificate[0]))
	line("a=group:BUNDLE 0")
	line("m=application 9 UDP/DTLS/SCTP webrtc-datachannel")
	line("c=IN IP4 0.0.0.0")
	line("a=setup:%s", setup)
	line("a=mid:0")
	line("a=sendrecv")
	line("a=sctp-port:5000")
	line("a=max-message-size:%d", maxTransport)
	line("a=ice-ufrag:%s", ufrag)
	line("a=ice-pwd:%s", pwd)
	for i, c := range all {
		if i == maxCandidates {
			break
		}
		line("a=%s", candidateLine(c))
	}
	if gathered {
		line("a=end-of-candidates")
	}
	return b.String(), nil
}

// remote takes the peer's description: the first one, or that of an ICE
// restart. On the answerer run follows with the first.
func (r *rtc) remote(sdp string) error {
	d, err := parseDescription(sdp)
	if err != nil {
		return err
	}
	r.mu.Lock()
	first := r.peer == nil
	if !first {
		d.setup, d.fingerprint = r.peer.setup, r.peer.fingerprint // bound to the DTLS connection
	}
	r.peer = d
	r.mu.Unlock()
	if !first {
		if !r.offerer {
			if err := r.agent.Restart("", ""); err != nil {
				return err
			}
		}
		if err := r.agent.SetRemoteCredentials(d.ufrag, d.pwd); err != nil {
			return err
		}
	}
	for _, c := range d.candidates {
		if err := r.add(c); err != nil {
			return err
		}
	}
	return nil
}

// add takes one of the peer's candidates.
func (r *rtc) add(s string) error {
	c, err := ice.UnmarshalCandidate(s)
	if err != nil {
		return err
	}
	if c.Component() != ice.ComponentRTP {
		return nil // there is one component only
	}
	return r.agent.AddRemoteCandidate(c)
}

// connect starts the transports once, when both descriptions are known.
func (r *rtc) connect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running || r.closed || r.peer == nil {
		return
	}
	r.running = true
	d := *r.peer
	r.wg.Go(func() {
		err := r.run(d)
		r.mu.Lock()
		closed := r.closed
		r.mu.Unlock()
		if !closed {
			r.on.end(err)
		}
	})
}

// run connects, opens the channels and accepts the peer's until the end.
func (r *rtc) run(d description) error {
	var conn *ice.Conn
	var err error
	if r.offerer {
		conn, err = r.agent.Dial(r.ctx, d.ufrag, d.pwd)
	} else {
		conn, err = r.agent.Accept(r.ctx, d.ufrag, d.pwd)
	}
	if err != nil {
		return fmt.Errorf("ICE: %w", err)
	}
	client := !r.offerer && d.setup != "active" || r.offerer && d.setup == "passive"
	secure, err := r.secure(conn, d.fingerprint, client)
	if err != nil {
		return fmt.Errorf("DTLS: %w", err)
	}
	a, err := sctp.ClientWithOptions(
		sctp.WithNetConn(secure), sctp.WithLoggerFactory(r.loggers), sctp.WithMTU(sctpMTU), sctp.WithMaxMessageSize(min(d.maxMessage, maxTransport)),
		sctp.WithMaxReceiveBufferSize(sctpBuffer), sctp.WithRTOMax(float64(sctpRTOMax.Milliseconds())), sctp.WithMinCwnd(sctpMinCwnd),
	)
	if err != nil {
		return fmt.Errorf("SCTP: %w", err)
	}
	r.mu.Lock()
	r.assoc = a
	mine, closed := r.channels, r.closed
	r.mu.Unlock()
	if closed {
		return errors.Join(context.Canceled, a.Close())
	}
	var known []*datachannel.DataChannel
	id := uint16(1) // RFC 8832: the DTLS client has the even ones
	if client {
		id = 0
	}
	for _, c := range mine {
		dc, err := datachannel.Dial(a, id, &datachannel.Config{ChannelType: datachannel.ChannelTypeReliable, Priority: datachannel.ChannelPriorityNormal, Label: c.label, LoggerFactory: r.loggers})
		if err != nil {
			return fmt.Errorf("channel %s: %w", c.label, err)
		}
		id += 2
		known = append(known, dc)
		r.serve(c, dc)
	}
	for {
		dc, err := datachannel.Accept(a, &datachannel.Config{LoggerFactory: r.loggers}, known...)
		if err != nil {
			return fmt.Errorf("SCTP: %w", err)
		}
		if len(known) >= 2*channels {
			return errors.New("more data channels than allowed")
		}
		known = append(known, dc)
		c := newDataChannel(dc.Config.Label, dc.ChannelType == datachannel.ChannelTypeReliable)
		r.on.channel(c)
		r.serve(c, dc)
	}
}

// secure makes the DTLS connection and checks the peer's certificate against
// its description.
func (r *rtc) secure(conn *ice.Conn, want string, client bool) (*dtls.Conn, error) {
	verify := func(raw [][]byte, _ [][]*x509.Certificate) error {
		if len(raw) == 0 || !strings.EqualFold(fingerprint(raw[0]), want) {
			return errors.New("the certificate is not the one described")
		}
		r.mu.Lock()
		r.der = bytes.Clone(raw[0])
		r.mu.Unlock()
		return nil
	}
	shared := []dtls.Option{
		// Nothing uses it, but other stacks ask for it and insist.
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		dtls.WithCertificates(r.cert), dtls.WithInsecureSkipVerify(true), dtls.WithVerifyPeerCertificate(verify),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret), dtls.WithLoggerFactory(r.loggers), dtls.WithReplayProtectionWindow(dtlsReplay),
	}
	var c *dtls.Conn
	var err error
	if client {
		var opts []dtls.ClientOption
		for _, o := range shared {
			opts = append(opts, o)
		}
		c, err = dtls.ClientWithOptions(&packets{Conn: conn}, conn.RemoteAddr(), opts...)
	} else {
		opts := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert)}
		for _, o := range shared {
			opts = append(opts, o)
		}
		c, err = dtls.ServerWithOptions(&packets{Conn: conn}, conn.RemoteAddr(), opts...)
	}
	if err != nil {
		return nil, err
	}
	if err := c.HandshakeContext(r.ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	r.mu.Lock()
	r.dtls = c
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return nil, errors.Join(context.Canceled, c.Close())
	}
	return c, nil
}

// packets is an ICE connection as DTLS wants it: while an ICE restart has no
// path, packets are lost as in any network, and closing it leaves ICE alone.
type packets struct {
	*ice.Conn
	closed atomic.Bool
}

func (p *packets) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, err := p.Read(b)
		switch {
		case p.closed.Load():
			return 0, nil, net.ErrClosed
		case errors.Is(err, io.ErrShortBuffer):
			continue
		case err == nil && (n == 0 || b[0] < 20 || b[0] > 63): // not DTLS (RFC 7983)
			continue
		}
		return n, nil, err
	}
}

func (p *packets) WriteTo(b []byte, _ net.Addr) (int, error) {
	n, err := p.Write(b)
	if errors.Is(err, ice.ErrNoCandidatePairs) {
		return len(b), nil
	}
	return n, err
}

func (p *packets) Close() error {
	p.closed.Store(true)
	return p.SetReadDeadline(time.Unix(1, 0))
}

// serve opens a channel and reads it until its end.
func (r *rtc) serve(c *dataChannel, dc *datachannel.DataChannel) {
	dc.OnBufferedAmountLow(c.low)
	c.dc.Store(dc)
	c.onOpen()
	r.wg.Go(func() {
		buf := make([]byte, maxTransport)
		for {
			n, _, err := dc.ReadDataChannel(buf)
			if err != nil {
				c.onClose(err)
				return
			}
			c.onMessage(bytes.Clone(buf[:n]))
		}
	})
}

// up reports whether DTLS is connected.
func (r *rtc) up() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dtls != nil && !r.closed
}

// peerCertificate is the DER of the peer's certificate, nil before DTLS.
func (r *rtc) peerCertificate() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.der
}

// pair is the path in use, nil if there is none.
func (r *rtc) pair() *ice.CandidatePair {
	p, err := r.agent.GetSelectedCandidatePair()
	if err != nil {
		return nil
	}
	return p
}

// close ends the connection and waits until nothing of it runs.
func (r *rtc) close() error {
	r.mu.Lock()
	r.closed = true
	assoc, secure := r.assoc, r.dtls
	r.mu.Unlock()
	r.cancel()
	var err error
	if assoc != nil {
		assoc.Abort("")
	}
	if secure != nil {
		err = secure.Close()
	}
	err = errors.Join(err, r.agent.GracefulClose())
	r.wg.Wait()
	return err
}

// dataChannel is one ordered, reliable stream of messages.
type dataChannel struct {
	label    string
	reliable bool // and ordered
	dc       atomic.Pointer[datachannel.DataChannel]

	// Set before it opens.
	onMessage func([]byte)
	onOpen    func()
	onClose   func(error)
	onLow     func()
}

func newDataChannel(label string, reliable bool) *dataChannel {
	return &dataChannel{label: label, reliable: reliable, onMessage: func([]byte) {}, onOpen: func() {}, onClose: func(error) {}}
}

func (c *dataChannel) low() {
	if c.onLow != nil {
		c.onLow()
	}
}

func (c *dataChannel) open() bool { return c.dc.Load() != nil }

// Send copies b.
func (c *dataChannel) Send(b []byte) error {
	dc := c.dc.Load()
	if dc == nil {
		return io.ErrClosedPipe
	}
	_, err := dc.WriteDataChannel(b, false)
	return err
}

// BufferedAmount is what the peer has not acknowledged.
func (c *dataChannel) BufferedAmount() uint64 {
	if dc := c.dc.Load(); dc != nil {
		return dc.BufferedAmount()
	}
	return 0
}

// SetBufferedAmountLowThreshold sets when onLow is called.
func (c *dataChannel) SetBufferedAmountLowThreshold(n uint64) {
	if dc := c.dc.Load(); dc != nil {
		dc.SetBufferedAmountLowThreshold(n)
	}
}

// description is what a session description says that matters here.
type description struct {
	ufrag, pwd, fingerprint, setup string
	maxMessage                     uint32
	candidates                     []string
}

var errDescription = errors.New("session description that cannot be used")

// parseDescription reads the description of an authenticated peer.
func parseDescription(sdp string) (*description, error) {
	d := &description{maxMessage: 64 << 10} // RFC 8841
	if len(sdp) > maxSDP {
		return nil, errDescription
	}
	media := 0
	for l := range strings.Lines(sdp) {
		l = strings.TrimRight(l, "\r\n")
		if strings.HasPrefix(l, "m=") {
			media++
			if !strings.HasPrefix(l, "m=application ") || !strings.HasSuffix(l, " webrtc-datachannel") {
				return nil, errDescription
			}
		}
		a, ok := strings.CutPrefix(l, "a=")
		if !ok {
			continue
		}
		key, value, _ := strings.Cut(a, ":")
		switch key {
		case "ice-ufrag":
			d.ufrag = value
		case "ice-pwd":
			d.pwd = value
		case "setup":
			d.setup = value
		case "fingerprint":
			alg, hex, ok := strings.Cut(value, " ")
			if !ok || !strings.EqualFold(alg, "sha-256") || d.fingerprint != "" && !strings.EqualFold(hex, d.fingerprint) {
				return nil, errDescription
			}
			d.fingerprint = hex
		case "max-message-size":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return nil, errDescription
			}
			if n > 0 { // 0: any
				d.maxMessage = uint32(n)
			}
		case "candidate":
			if d.candidates = append(d.candidates, a); len(d.candidates) > maxCandidates || len(a) > maxCandidate {
				return nil, errDescription
			}
		}
	}
	if media != 1 || d.ufrag == "" || d.pwd == "" || len(d.ufrag) > 256 || len(d.pwd) > 256 || len(d.fingerprint) != 95 {
		return nil, errDescription
	}
	switch d.setup {
	case "actpass", "active", "passive":
		return d, nil
	}
	return nil, errDescription
}
