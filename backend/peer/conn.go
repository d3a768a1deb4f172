package peer

import (
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"

	"daypass/backend/fault"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous/protocol"
)

// conn is one PeerConnection with its four channels. Fields without a note are
// the Link's goroutine's.
type conn struct {
	l     *Link
	id    nid
	pc    *rtc
	dead  chan struct{} // closed first when the connection is dropped
	ready chan struct{} // closed when open: messages other than tag and hello pass

	rx      sync.RWMutex // held by callbacks while they deliver
	stopped bool         // rx
	dcs     [channels]atomic.Pointer[dataChannel]

	keys      keys // of the negotiation that made the connection; set before pion starts
	tagSeen   bool // control callback only
	helloSeen bool // control callback only
	tagSent   bool
	tagged    bool
	hello     *frame
	isOpen    bool
	broken    bool // an ICE restart cannot help
	gone      bool // the peer ended it
	restarts  int  // since the path was last alive
	by        time.Time
	bye       bool // the peer said it is leaving; by says until when it may

	// Candidates of the current description.
	trickle  keys // nil until the handshake of the negotiation is complete
	nid      nid  // that negotiation
	gathered bool
	local    []string
	sealed   [][]byte
	inSDP    string
	remote   int
	repeatAt time.Time
	repeats  int

	// Heartbeats.
	pingAt   time.Time // when the next is looked at
	pingSent time.Time
	promised time.Duration // by the last heartbeat sent: when the next one comes
	pingNow  bool          // send one at the next look
	heardAt  atomic.Int64  // ns since Link.start
	silent   atomic.Bool   // stale; cleared by whoever hears something
	stale    bool
	hb       sync.Mutex
	pingID   uint32               // hb
	pings    map[uint32]time.Time // hb; unanswered, at most maxPings
	oldest   time.Time            // hb; of the oldest unanswered, zero if none
	inBytes  uint64               // of the selected pair when staleness was last looked at
	inAt     time.Time            // when inBytes last grew
	due      time.Time            // hb; when the peer's next heartbeat is due, zero if not promised
	every    time.Duration        // hb; how often the peer promised one
	passed   uint64               // messages of all channels when activity was last looked at
	busyAt   time.Time            // when passed last grew
	state    ice.ConnectionState
}

const maxPings = 64

// newConn builds the connection; the console also makes its channels.
func (l *Link) newConn(id nid, servers []protocol.ICEServer) (*conn, error) {
	c := &conn{l: l, id: id, dead: make(chan struct{}), ready: make(chan struct{}), pings: map[uint32]time.Time{}}
	pc, err := newRTC(l.role == pairing.RoleConsole, l.cert, loggers{l.log}, l.ice, servers, handlers{
		candidate: func(s string) {
			if s == "" {
				l.do(func() { l.gatheringDone(c) })
				return
			}
			l.do(func() { l.localCandidate(c, s) })
		},
		state: func(s ice.ConnectionState) { l.do(func() { l.iceState(c, s) }) },
		pair:  func() { l.do(func() { l.pathChanged(c) }) },
		end:   func(err error) { l.do(func() { l.ended(c, err) }) },
		channel: func(dc *dataChannel) {
			if l.role == pairing.RoleHost {
				for i, label := range labels {
					if dc.label == label && dc.reliable && c.dcs[i].CompareAndSwap(nil, dc) {
						c.adopt(i, dc)
						return
					}
				}
			}
			c.hostile(errors.New("unexpected data channel"))
		},
	})
	if err != nil {
		return nil, err
	}
	c.pc = pc
	if l.role == pairing.RoleConsole {
		for i, label := range labels {
			dc := pc.create(label)
			c.dcs[i].Store(dc)
			c.adopt(i, dc)
		}
	}
	return c, nil
}

func (c *conn) adopt(i int, dc *dataChannel) {
	if i == control {
		dc.onMessage = c.onControl
	} else {
		lane := c.l.lanes[i]
		dc.onMessage = func(b []byte) { c.onLane(lane, b) }
		dc.onLow = lane.change.wake
	}
	dc.onOpen = func() { c.l.do(func() { c.l.channelOpen(c, i) }) }
	dc.onClose = func(err error) {
		if errors.Is(err, io.ErrShortBuffer) {
			c.hostile(errors.New("message larger than allowed"))
			return
		}
		c.l.do(func() { c.l.ended(c, errors.New("a data channel closed")) })
	}
}

// stop drops the connection. Afterwards none of its callbacks delivers
// anything. Closing goes on in the background until the Link's end.
func (c *conn) stop() {
	select {
	case <-c.dead:
		return
	default:
	}
	close(c.dead)
	c.rx.Lock()
	c.stopped = true
	c.rx.Unlock()
	gone := c.gone
	c.l.wg.Go(func() {
		if gone {
			// pion ends its side of the association first: an abort that
			// cannot be sent any more would hold its locks for 0.4 s.
			time.Sleep(settle)
		}
		if err := c.pc.close(); err != nil {
			c.l.log.Debug("closing a connection", "cause", err)
		}
	})
}

// hostile is for callbacks: the peer broke the protocol.
func (c *conn) hostile(cause error) { c.l.do(func() { c.l.hostile(c, cause) }) }

func (c *conn) heard() {
	c.heardAt.Store(int64(time.Since(c.l.start)))
	if c.silent.CompareAndSwap(true, false) {
		c.l.do(func() { c.l.revived(c) })
	}
}

// pass waits until the connection is open. It reports false if it never will.
func (c *conn) pass() bool {
	select {
	case <-c.ready:
		return true
	default:
	}
	select {
	case <-c.ready:
		return true
	case <-c.dead:
		return false
	}
}

// onLane runs in the channel's reader.
func (c *conn) onLane(lane *lane, b []byte) {
	c.rx.RLock()
	defer c.rx.RUnlock()
	if c.stopped {
		return
	}
	if len(b) == 0 || len(b) > MaxMessage {
		c.hostile(errors.New("message of a size that is not allowed"))
		return
	}
	if !c.pass() {
		return
	}
	c.heard()
	lane.countGot(len(b))
	select {
	case lane.in <- b:
	case <-c.dead:
	}
}

// onControl runs in the control channel's reader.
func (c *conn) onControl(b []byte) {
	c.rx.RLock()
	defer c.rx.RUnlock()
	if c.stopped {
		return
	}
	f, err := parseFrame(b)
	if err != nil {
		c.hostile(err)
		return
	}
	switch {
	case !c.tagSeen:
		if f.kind != frameTag || !c.checkTag(f.tag[:]) {
			c.hostile(errBinding)
			return
		}
		c.tagSeen = true
		c.l.do(func() { c.l.tagVerified(c) })
		return
	case !c.helloSeen:
		if f.kind != frameHello {
			c.hostile(errFrame)
			return
		}
		c.helloSeen = true
		c.l.do(func() { c.l.gotHello(c, &f) })
		return
	}
	if !c.pass() {
		return
	}
	c.heard()
	ctl := c.l.ctl
	switch f.kind {
	case frameData:
		err = ctl.receive(f.n, f.body)
	case framePing:
		c.pinged(time.Duration(f.next) * time.Millisecond)
		c.send(pongFrame(f.id, ctl.told()))
		err = ctl.confirmed(f.n)
	case framePong:
		c.pong(f.id)
		err = ctl.confirmed(f.n)
	case frameAck:
		err = ctl.confirmed(f.n)
	case frameBye:
		reason := strings.ToValidUTF8(string(f.body), "\uFFFD")
		c.l.do(func() { c.l.gotBye(c, reason) })
	case frameByeAck:
		c.l.do(func() { c.l.gotByeAck(c) })
	default:
		err = errFrame
	}
	if err != nil {
		c.hostile(err)
	}
}

var errBinding = errors.New("the channel tag does not fit the certificates")

// certs returns the DER of both certificates of the DTLS connection.
func (c *conn) certs() (ours, peer []byte) {
	return c.l.certDER, c.pc.peerCertificate()
}

func (c *conn) checkTag(tag []byte) bool {
	ours, peer := c.certs()
	return c.keys.CheckTag(tag, peer, ours) || c.l.cfg.seams.noBinding
}

// send writes to the control channel. A failure means that the connection is
// going, which its own callbacks report.
func (c *conn) send(b []byte) {
	dc := c.dcs[control].Load()
	if dc == nil {
		return
	}
	if err := dc.Send(b); err != nil {
		c.l.log.Debug("control channel", "cause", err)
	}
}

// pingSoon makes the next look at heartbeats happen now, and send one.
func (c *conn) pingSoon(now time.Time) { c.pingAt, c.pingNow = now, true }

// beat sends a heartbeat if one is due, and says when to look again. While the
// console's heartbeats come often enough for the host as well, the host only
// answers them, but for one now and then that measures the round trip.
func (c *conn) beat(now time.Time) {
	if n := c.l.messages(); n != c.passed {
		c.passed, c.busyAt = n, now
	}
	every := c.l.interval(now.Sub(c.busyAt) < quietAfter)
	if c.stale {
		every = max(every, time.Second)
	}
	c.hb.Lock()
	led := c.l.role == pairing.RoleHost && !c.stale && !c.due.IsZero() && c.every <= every
	next := every
	if led {
		next = max(every, heartbeatRTT)
	}
	c.hb.Unlock()
	// No more is promised than is kept, and what was promised is kept: the peer
	// counts the connection as stale without it.
	if at := c.pingSent.Add(min(next, c.promised)); c.pingNow || !now.Before(at) {
		c.pingNow = false
		c.pingSent, c.promised = now, next
		c.ping(now, next, c.l.ctl.told())
	}
	c.pingAt = c.pingSent.Add(min(next, c.promised))
	if at := now.Add(every); at.Before(c.pingAt) {
		c.pingAt = at
	}
}

// pinged is called by the control channel's reader: the peer lives, and
// promises its next heartbeat within next.
func (c *conn) pinged(next time.Duration) {
	c.hb.Lock()
	defer c.hb.Unlock()
	c.every, c.due = next, time.Time{}
	if next > 0 {
		c.due = time.Now().Add(next)
	}
}

func (c *conn) ping(now time.Time, every time.Duration, taken uint64) {
	c.hb.Lock()
	c.pingID++
	id := c.pingID
	if len(c.pings) < maxPings {
		c.pings[id] = now
	}
	if c.oldest.IsZero() {
		c.oldest = now
	}
	c.hb.Unlock()
	c.send(pingFrame(id, uint16(every.Milliseconds()), taken))
}

func (c *conn) pong(id uint32) {
	c.hb.Lock()
	sent, ok := c.pings[id]
	for i := range c.pings { // the channel is ordered: earlier ones are answered too
		if int32(id-i) >= 0 {
			delete(c.pings, i)
		}
	}
	c.oldest = time.Time{}
	for _, t := range c.pings {
		if c.oldest.IsZero() || t.Before(c.oldest) {
			c.oldest = t
		}
	}
	c.hb.Unlock()
	if ok {
		c.l.roundTrip(time.Since(sent))
	}
}

// waiting returns since when, or from when, something should have been heard:
// the answer to the oldest unanswered heartbeat, or the one the peer promised.
func (c *conn) waiting() time.Time {
	c.hb.Lock()
	defer c.hb.Unlock()
	if c.oldest.IsZero() || !c.due.IsZero() && c.due.Before(c.oldest) {
		return c.due
	}
	return c.oldest
}

// doubted makes the next heartbeat come at once, unless one is unanswered: the
// other side believes that the path is dead.
func (c *conn) doubted(now time.Time) {
	c.hb.Lock()
	waits := !c.oldest.IsZero()
	c.hb.Unlock()
	if !waits {
		c.pingSoon(now)
	}
}

// sample notes whether any DTLS packet arrived on the selected pair since the
// last look: acknowledgements count as life too.
func (c *conn) sample(now time.Time) {
	s, ok := c.pc.agent.GetSelectedCandidatePairStats()
	if ok && s.BytesReceived != c.inBytes {
		c.inBytes, c.inAt = s.BytesReceived, now
	}
}

// quiet returns when the connection counts as stale if nothing is heard, and
// whether it does now.
func (c *conn) quiet(now time.Time) (at time.Time, stale bool) {
	w := c.waiting()
	if w.IsZero() {
		return time.Time{}, false
	}
	limit := max(staleAfter, 3*c.l.smoothed())
	at = w.Add(limit)
	if now.Before(at) {
		return at, false
	}
	// The heartbeat may queue behind bulk data: other life counts, for a while.
	heard := c.l.start.Add(time.Duration(c.heardAt.Load()))
	c.sample(now)
	if c.inAt.After(heard) {
		heard = c.inAt
	}
	if deaf := w.Add(deafAfter); now.Before(deaf) && heard.After(w) {
		if at = heard.Add(limit); now.Before(at) {
			return at, false
		}
	}
	return now, true
}

// fault words

func errNoWay(cause error) *fault.Error {
	return fault.Wrap(cause, fault.Offline, "peer.connect", "The two computers could not find a way to each other.", "Daypass keeps trying. If it lasts, one of the networks may block it.")
}

func errHostile(cause error) *fault.Error {
	if errors.Is(cause, errBinding) {
		return fault.Wrap(cause, fault.Hostile, "peer.binding", "Somebody may be listening in between: the connection did not prove that it goes straight to the paired computer.", "The connection was closed. Do not continue on this network.")
	}
	return fault.Wrap(cause, fault.Hostile, "peer.protocol", "The other computer sent something that is not allowed.", "The connection was closed for safety.")
}
