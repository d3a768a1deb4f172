package peer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous/protocol"
)

// repeat paces a message that is sent again until it is answered: quickly at
// first, at once when the mailbox comes back, slowly when nobody is there.
type repeat struct {
	at, began time.Time
	every     time.Duration
	offline   bool
	sent      int
}

func (r *repeat) reset(now time.Time) { *r = repeat{at: now, began: now, every: askEvery} }

// due reports whether to send now, and arms the next time.
func (r *repeat) due(now time.Time, online bool) bool {
	if now.Before(r.at) {
		return false
	}
	if !online {
		r.offline = true
		r.at = now.Add(250 * time.Millisecond)
		return false
	}
	if r.offline {
		r.offline, r.began, r.every = false, now, askEvery
	}
	r.sent++
	r.at = now.Add(r.every)
	limit := askQuick
	if now.Sub(r.began) > 30*time.Second {
		limit = askSlowest
	}
	r.every = min(r.every+r.every/2, limit)
	return true
}

// nego is the console's negotiation.
type nego struct {
	nid       nid
	d         dialer
	ask       []byte
	repeat    repeat
	challenge []byte
	host      [16]byte // process of the host that made the challenge
	preparing bool
	conn      *conn // that will be offered
	restart   bool
	offerAt   time.Time // not later
	offer     []byte
	early     [][]byte // candidates that came before the answer
}

// abandonOffer is how often an offer is repeated to a reachable server before
// the negotiation starts over: the host was restarted in between.
const abandonOffer = 8

func (l *Link) tickConsole(now time.Time) {
	needed := l.cur == nil || l.cur.stale
	if l.nego == nil {
		if needed && !now.Before(l.retryAt) {
			l.begin(now)
		}
		if l.nego == nil {
			return
		}
	}
	n := l.nego
	if n.offer == nil {
		l.advance(n, now)
		if l.nego != n {
			return
		}
	}
	if n.challenge != nil && n.offer == nil {
		return // waits for first candidates
	}
	if !n.repeat.due(now, l.cfg.Mailbox.Online()) {
		return
	}
	if n.offer == nil {
		l.box.send("ask", n.ask)
		return
	}
	if n.repeat.sent > abandonOffer {
		l.startOver(n, now)
		return
	}
	l.box.send("offer", n.offer)
}

// startOver gives up an offer that nobody will answer.
func (l *Link) startOver(n *nego, now time.Time) {
	l.log.Debug("offer not answered, starting over")
	if n.restart && l.cur == n.conn {
		l.drop() // its description cannot be taken back
	}
	l.dropNego()
	l.retryAt = now
}

func (l *Link) nextConsole(at func(time.Time)) {
	n := l.nego
	switch {
	case n == nil:
		if l.cur == nil || l.cur.stale {
			at(l.retryAt)
		}
	case n.challenge != nil && n.offer == nil:
		at(n.offerAt) // zero while the connection is being prepared
	default:
		at(n.repeat.at)
	}
}

// begin asks the host for its challenge; with no connection that an ICE restart
// could save, the new one is prepared meanwhile.
func (l *Link) begin(now time.Time) {
	d, err := l.newDialer()
	if err != nil {
		l.finish(fault.Wrap(err, fault.Internal, "peer.handshake", "The connection could not be prepared.", "Try again."))
		return
	}
	n := &nego{d: d}
	nonce := d.Nonce()
	copy(n.nid[:], nonce[:])
	n.ask = sigMsg(sigAsk, n.nid, nonce[:])
	n.repeat.reset(now)
	l.nego = n
	if l.cur == nil {
		l.prepareConn(n)
	}
}

func (l *Link) prepareConn(n *nego) {
	if n.preparing {
		return
	}
	n.preparing = true
	l.fetch(func(servers []protocol.ICEServer) {
		if l.nego != n || n.conn != nil {
			return
		}
		c, err := l.newConn(n.nid, servers)
		if err == nil {
			n.conn = c
			err = describe(c, false)
		}
		if err != nil {
			l.failed(n, err)
			return
		}
		n.offerAt = time.Now().Add(gatherWait)
	})
}

// failed: n cannot go on because of ourselves.
func (l *Link) failed(n *nego, err error) {
	l.log.Warn("negotiation failed", "cause", err)
	if n.restart && l.cur == n.conn {
		l.drop()
	}
	l.dropNego()
	l.failures++
	l.retryAt = time.Now().Add(backoff(l.failures))
	l.setState(errNoWay(err))
}

// dropNego gives the negotiation up, and its connection unless it is in use.
func (l *Link) dropNego() {
	n := l.nego
	l.nego = nil
	if n != nil && n.conn != nil && n.conn != l.cur {
		n.conn.stop()
	}
}

// describe makes the local offer and starts gathering.
func describe(c *conn, restart bool) error {
	c.beginGathering()
	return c.pc.gather(restart)
}

func (c *conn) beginGathering() {
	c.trickle, c.gathered, c.local, c.sealed, c.inSDP, c.remote = nil, false, nil, nil, "", 0
}

// gotChallenge: the host is there.
func (l *Link) gotChallenge(s signal) {
	n := l.nego
	if n == nil || n.nid != s.nid || n.challenge != nil || !n.d.CheckChallenge(s.body) {
		return
	}
	n.challenge, n.host = s.body, s.instance
	now := time.Now()
	if n.conn == nil {
		c := l.cur
		if c != nil && !c.stale {
			l.dropNego() // it came back by itself
			return
		}
		if c != nil && c.isOpen && !c.broken && c.restarts < maxRestarts && s.instance == l.peer && s.conn == c.id &&
			c.pc.up() {
			n.conn, n.restart = c, true
			c.restarts++
			if err := describe(c, true); err != nil {
				l.failed(n, err)
				return
			}
			n.offerAt = now.Add(gatherWait)
		} else {
			l.prepareConn(n)
		}
	}
	l.advance(n, now)
}

// advance sends the offer once there is a challenge and something to offer.
func (l *Link) advance(n *nego, now time.Time) {
	if n.offer != nil || n.challenge == nil || n.conn == nil || (!n.conn.gathered && now.Before(n.offerAt)) {
		return
	}
	c := n.conn
	sdp, err := c.pc.local()
	if err != nil {
		l.failed(n, err)
		return
	}
	kind := offerNew
	if n.restart {
		kind = offerRestart
	}
	c.inSDP = sdp
	m, err := n.d.Offer(n.challenge, offerBody(kind, c.id, sdp))
	if err != nil {
		l.failed(n, err)
		return
	}
	l.epoch.Store(n.d.Epoch())
	n.offer = sigMsg(sigOffer, n.nid, m)
	n.repeat.reset(now)
	n.repeat.due(now, true)
	l.box.send("offer", n.offer)
	l.log.Debug("offer", "restart", n.restart, "epoch", n.d.Epoch())
}

// gotAnswer: the handshake is complete.
func (l *Link) gotAnswer(s signal) {
	n := l.nego
	if n == nil || n.nid != s.nid || n.offer == nil {
		return
	}
	p, err := n.d.Answer(s.body)
	if err != nil {
		l.log.Debug("answer refused", "cause", err)
		return
	}
	result, sdp, err := parseAnswer(p)
	now := time.Now()
	c := n.conn
	if err == nil && result == answerGone {
		l.log.Debug("host has another connection by now")
		if n.restart && l.cur == c {
			l.drop()
		}
		l.dropNego()
		l.retryAt = now
		return
	}
	if err == nil {
		err = c.checkSDP(sdp, n.restart)
	}
	if err != nil {
		l.hostile(c, err)
		return
	}
	if !n.restart {
		c.keys = n.d
	}
	if err := c.pc.remote(sdp); err != nil {
		l.failed(n, err)
		return
	}
	c.pc.connect()
	l.nego = nil
	if n.restart {
		l.retryAt = now.Add(restartTimeout)
	} else {
		l.swap(c)
	}
	l.startTrickle(c, n.d, n.nid)
	for _, m := range n.early {
		l.remoteCandidate(c, m)
	}
}

// checkSDP looks at what the authenticated peer describes, before pion does.
func (c *conn) checkSDP(sdp string, restart bool) error {
	if sdp == "" || len(sdp) > maxSDP {
		return errSignal
	}
	n := strings.Count(sdp, "a=candidate:")
	if n > maxCandidates {
		return fmt.Errorf("%d candidates in a description", n)
	}
	c.remote = n
	if !restart {
		return nil
	}
	_, peer := c.certs()
	want := fingerprint(peer)
	for line := range strings.Lines(sdp) {
		f, ok := strings.CutPrefix(strings.TrimSpace(line), "a=fingerprint:")
		if !ok {
			continue
		}
		if alg, hex, ok := strings.Cut(f, " "); !ok || !strings.EqualFold(alg, "sha-256") || !strings.EqualFold(hex, want) {
			return errBinding
		}
	}
	return nil
}

// ---- host -------------------------------------------------------------------

// answer is the host's negotiation.
type answer struct {
	nid     nid
	a       answerer
	conn    *conn  // being made, not in use yet
	offered bool   // the offer was accepted
	reply   []byte // the answer, to be sent again
}

func (l *Link) needsConsole() bool {
	c := l.cur
	return c == nil || (c.isOpen && c.stale)
}

func (l *Link) tickHost(now time.Time) {
	if l.needsConsole() && l.want.due(now, l.cfg.Mailbox.Online()) {
		l.box.send("want", sigMsg(sigWant, nid{}, l.instance[:]))
	}
}

func (l *Link) nextHost(at func(time.Time)) {
	if l.needsConsole() {
		at(l.want.at)
	}
}

func (l *Link) gotAsk(s signal) {
	a := l.answering
	if a == nil || a.nid != s.nid {
		if a != nil && a.conn != nil {
			a.conn.stop()
		}
		n, err := l.newAnswerer()
		if err != nil {
			l.finish(fault.Wrap(err, fault.Internal, "peer.handshake", "The connection could not be prepared.", "Try again."))
			return
		}
		a = &answer{nid: s.nid, a: n}
		l.answering = a
		l.fetch(func([]protocol.ICEServer) {}) // will be wanted soon
	}
	if a.offered {
		return
	}
	ch, err := a.a.Challenge([pairing.NonceSize]byte(s.body))
	if err != nil {
		l.log.Debug("ask refused", "cause", err)
		return
	}
	var conn nid
	if l.cur != nil && l.cur.isOpen {
		conn = l.cur.id
		if !l.cur.stale {
			l.cur.doubted(time.Now())
		}
	}
	l.box.send("challenge", sigMsg(sigChallenge, s.nid, l.instance[:], conn[:], ch))
}

func (l *Link) gotOffer(s signal) {
	a := l.answering
	if a == nil || a.nid != s.nid {
		return
	}
	if a.offered {
		if a.reply != nil {
			l.box.send("answer", a.reply)
		}
		return
	}
	p, err := a.a.Offer(s.body)
	if err != nil {
		l.log.Debug("offer refused", "cause", err)
		return
	}
	a.offered = true
	l.epoch.Store(a.a.Epoch())
	kind, id, sdp, err := parseOffer(p)
	if err != nil {
		l.log.Warn("offer refused", "cause", err)
		return
	}
	if kind == offerRestart {
		c := l.cur
		if c == nil || c.id != id || !c.isOpen || c.bye || !c.pc.up() {
			l.reply(a, answerGone, "")
			return
		}
		if err := c.checkSDP(sdp, true); err != nil {
			l.hostile(c, err)
			return
		}
		n := c.remote
		c.beginGathering()
		c.remote = n
		c.restarts++
		c.stale = true // until something is heard on the new path
		c.silent.Store(true)
		if !l.accept(a, c, sdp) {
			l.lost(c, errors.New("ICE restart could not be answered"))
			return
		}
		l.want.reset(time.Now().Add(restartTimeout))
		l.startTrickle(c, a.a, a.nid)
		return
	}
	l.fetch(func(servers []protocol.ICEServer) {
		if l.answering != a {
			return
		}
		c, err := l.newConn(id, servers)
		if err != nil {
			l.log.Warn("no connection could be made", "cause", err)
			l.reply(a, answerGone, "")
			return
		}
		a.conn = c
		if err := c.checkSDP(sdp, false); err != nil {
			l.hostile(c, err)
			return
		}
		c.keys = a.a
		if !l.accept(a, c, sdp) {
			a.conn = nil
			c.stop()
			return
		}
		a.conn = nil
		l.swap(c)
		l.startTrickle(c, a.a, a.nid)
	})
}

// accept applies an offer to c and sends the answer.
func (l *Link) accept(a *answer, c *conn, sdp string) bool {
	err := c.pc.remote(sdp)
	var d string
	if err == nil {
		d, err = c.pc.local()
	}
	if err == nil {
		// Sealing the answer completes the handshake; it must be complete
		// before pion may connect and the tag be checked.
		c.inSDP = d
		m, serr := a.a.Answer(append([]byte{answerOK}, d...))
		if serr != nil {
			err = serr
		} else {
			a.reply = sigMsg(sigAnswer, a.nid, m)
		}
	}
	if err == nil {
		err = c.pc.gather(false)
	}
	if err != nil {
		l.log.Warn("offer could not be applied", "cause", err)
		if a.reply == nil {
			l.reply(a, answerGone, "")
		}
		return false
	}
	c.pc.connect()
	l.box.send("answer", a.reply)
	return true
}

func (l *Link) reply(a *answer, result byte, sdp string) {
	m, err := a.a.Answer(append([]byte{result}, sdp...))
	if err != nil {
		l.log.Warn("answer", "cause", err)
		return
	}
	a.reply = sigMsg(sigAnswer, a.nid, m)
	l.box.send("answer", a.reply)
}

// ---- both -------------------------------------------------------------------

// receive handles a message of the mailbox. Junk is dropped: the server may
// send anything.
func (l *Link) receive(b []byte) {
	s, err := parseSignal(b)
	if err != nil {
		l.log.Debug("mailbox", "cause", err)
		return
	}
	if l.closing {
		return
	}
	if l.role == pairing.RoleConsole {
		switch s.kind {
		case sigChallenge:
			l.gotChallenge(s)
		case sigAnswer:
			l.gotAnswer(s)
		case sigCandidate:
			l.gotCandidate(s)
		case sigWant:
			l.gotWant(s)
		}
		return
	}
	switch s.kind {
	case sigAsk:
		l.gotAsk(s)
	case sigOffer:
		l.gotOffer(s)
	case sigCandidate:
		l.gotCandidate(s)
	}
}

// gotWant: the host asks for an attempt. What the console does about it depends
// on what it sees itself.
func (l *Link) gotWant(s signal) {
	now := time.Now()
	if n := l.nego; n != nil {
		if n.offer == nil && n.challenge == nil && now.Sub(n.repeat.began) > time.Second {
			n.repeat.reset(now)
		}
		// It was started again: whoever knew the challenge is gone. Not at once, so that
		// words which anybody could have sent do not keep us from waiting for an answer.
		if n.offer != nil && s.instance != n.host && now.Sub(n.repeat.began) > askEvery/2 {
			l.startOver(n, now)
		}
		return
	}
	switch c := l.cur; {
	case c == nil || c.stale:
		if s.instance != l.peer || (c != nil && c.restarts == 0) {
			l.retryAt = now
		}
	case c.isOpen:
		c.doubted(now) // stale soon, if the host is right
	}
}

func (l *Link) gatheringDone(c *conn) {
	c.gathered = true
	if n := l.nego; n != nil && n.conn == c {
		l.advance(n, time.Now())
	}
}

func (l *Link) localCandidate(c *conn, s string) {
	if c.stopped || len(c.local) >= maxCandidates || s == "" || len(s) > maxCandidate {
		return
	}
	c.local = append(c.local, s)
	if c.trickle != nil {
		l.sendCandidate(c, s)
	}
}

// startTrickle begins to send candidates under the keys of a handshake that is
// complete.
func (l *Link) startTrickle(c *conn, k keys, id nid) {
	c.trickle, c.nid = k, id
	c.repeats, c.repeatAt = 4, time.Now().Add(candidateAgain)
	for _, s := range c.local {
		l.sendCandidate(c, s)
	}
}

func (l *Link) sendCandidate(c *conn, s string) {
	if strings.Contains(c.inSDP, strings.TrimPrefix(s, "candidate:")) {
		return
	}
	m, err := c.trickle.Seal([]byte(s))
	if err != nil {
		l.log.Warn("candidate", "cause", err)
		return
	}
	m = sigMsg(sigCandidate, c.nid, m)
	c.sealed = append(c.sealed, m)
	l.box.send(candidateKey(c.nid, len(c.sealed)-1), m)
}

func candidateKey(n nid, i int) string { return string(n[:]) + string(rune('a'+i)) }

func (l *Link) gotCandidate(s signal) {
	if c := l.cur; c != nil && c.trickle != nil && c.nid == s.nid {
		l.remoteCandidate(c, s.body)
		return
	}
	if n := l.nego; n != nil && n.nid == s.nid && n.offer != nil && len(n.early) < maxCandidates {
		n.early = append(n.early, s.body)
	}
}

func (l *Link) remoteCandidate(c *conn, m []byte) {
	b, err := c.trickle.Open(m)
	if err != nil || len(b) > maxCandidate {
		return // not of this handshake, or repeated
	}
	if c.remote++; c.remote > maxCandidates {
		l.log.Debug("too many candidates")
		return
	}
	if err := c.pc.add(string(b)); err != nil {
		l.log.Debug("candidate refused", "cause", err)
	}
}
