package peer

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"

	"daypass/backend/fault"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous/protocol"
)

// Link is the connection to the other side of one session, over as many
// PeerConnections as it takes. See the package comment. Its methods are safe
// for concurrent use. Whoever made it must Close it.
type Link struct {
	cfg      Config
	log      *slog.Logger
	role     pairing.Role
	instance [16]byte
	start    time.Time
	ice      []ice.AgentOption
	cert     tls.Certificate
	certDER  []byte

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // outbox, pump, closing connections, fetches
	done   chan struct{}  // everything has ended

	qmu  sync.Mutex
	q    []func()
	wake chan struct{}

	state  atomic.Int32
	busy   atomic.Bool
	rtt    atomic.Int64 // smoothed, ns
	last   atomic.Int64
	active atomic.Pointer[conn] // for Stats
	opens  atomic.Int64
	revive atomic.Int64
	epoch  atomic.Uint64

	ctl    *stream
	lanes  [channels]*lane // lanes[control] is nil
	box    *outbox
	events chan Event

	// The rest belongs to the Link's goroutine.
	over      bool
	everOpen  bool
	peer      [16]byte // instance; zero while none is known
	cur       *conn    // answered: connecting, open or stale
	path      string
	nego      *nego     // console: the one negotiation
	answering *answer   // host: the latest negotiation
	retryAt   time.Time // console: no negotiation before
	failures  int       // console: new connections in a row that did not open
	want      repeat    // host: asks the console
	ackAt     time.Time
	closing   bool
	closeBy   time.Time
	reason    string
	servers   []protocol.ICEServer
	serversAt time.Time
	fetching  []func([]protocol.ICEServer)
}

// Dial starts the console's side, which offers and keeps trying until Close or
// the end of ctx. It returns at once; an unusable Config gives a Link that
// closes with a fault.
func Dial(ctx context.Context, cfg Config) *Link { return start(ctx, cfg, pairing.RoleConsole) }

// Listen starts the host's side, which answers, like Dial.
func Listen(ctx context.Context, cfg Config) *Link { return start(ctx, cfg, pairing.RoleHost) }

func start(ctx context.Context, cfg Config, role pairing.Role) *Link {
	l := &Link{
		cfg: cfg, log: cfg.Log, role: role, start: time.Now(),
		done: make(chan struct{}), wake: make(chan struct{}, 1), events: make(chan Event, 1),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	rand.Read(l.instance[:]) // never fails (crypto/rand, Go 1.24)
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.ctl = newStream(l)
	l.lanes[input] = newLane(l, labels[input], inputLimit, 1024)
	l.lanes[picture] = newLane(l, labels[picture], pictureLimit, 64)
	l.lanes[bulk] = newLane(l, labels[bulk], bulkLimit, 64)
	l.box = newOutbox(cfg.Mailbox, l.log)
	err := l.prepare()
	l.wg.Go(func() { l.ctl.pump(l.ctx.Done()) })
	if err == nil {
		l.wg.Go(func() { l.box.run(l.ctx) })
	}
	go l.run(err)
	return l
}

func (l *Link) prepare() error {
	c := &l.cfg
	if c.Mailbox == nil || len(c.Hello) > MaxHello {
		return errors.New("no mailbox, or hello too long")
	}
	if c.seams.dialer == nil && c.seams.answerer == nil {
		if c.Device == nil || c.Pin == nil || c.Epochs == nil || c.Pin.Role != l.role {
			return errors.New("device, pin or epochs missing, or the pin is the other side's")
		}
	}
	var err error
	if l.cert, l.certDER, err = newCertificate(); err != nil {
		return err
	}
	l.ice, err = iceOptions(c)
	return err
}

// State returns the current state.
func (l *Link) State() State { return State(l.state.Load()) }

// Events returns what changes, coalesced. The channel has one receiver and is
// closed after the event of state Closed.
func (l *Link) Events() <-chan Event { return l.events }

// Control is the channel whose messages arrive exactly once and in order,
// across ICE restarts and new connections of the same two Links.
func (l *Link) Control() Channel { return l.ctl }

// Input is the channel for mouse and keyboard. It begins anew with each
// connection.
func (l *Link) Input() Channel { return l.lanes[input] }

// Picture is the channel for the picture. It begins anew with each connection.
func (l *Link) Picture() Channel { return l.lanes[picture] }

// Bulk is the channel for files. It begins anew with each connection.
func (l *Link) Bulk() Channel { return l.lanes[bulk] }

// SetBusy sets the pace of heartbeats while something is open: every 250 ms, and
// every 500 ms when no message passed for 3 s, so that a dead path is noticed
// within 1.7 s; every 2 s otherwise.
func (l *Link) SetBusy(busy bool) {
	if l.busy.Swap(busy) != busy {
		l.do(func() {
			if l.cur != nil {
				l.cur.pingSoon(time.Now())
			}
		})
	}
}

// Close says goodbye with reason (for the peer's people, cut to MaxReason
// bytes), waits until everything sent on Control has arrived, at most 2 s or
// until ctx ends, and releases everything. It returns nil when the Link is
// closed, ctx's error if that takes longer; it then goes on by itself.
func (l *Link) Close(ctx context.Context, reason string) error {
	l.do(func() { l.beginClose(reason) })
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		l.cancel()
		return ctx.Err()
	}
}

// do hands f to the Link's goroutine. It never blocks. After the end f is
// dropped.
func (l *Link) do(f func()) {
	l.qmu.Lock()
	l.q = append(l.q, f)
	l.qmu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Link) run(err error) {
	defer close(l.done)
	if err != nil {
		l.finish(fault.Wrap(err, fault.Internal, "peer.start", "The connection could not be prepared.", "Try again."))
	}
	var in <-chan []byte
	if l.cfg.Mailbox != nil {
		in = l.cfg.Mailbox.Receive()
	}
	now := time.Now()
	l.want.reset(now)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !l.over {
		select {
		case <-l.ctx.Done():
			l.finish(fault.Of(l.ctx.Err()))
			continue
		case <-l.wake:
			l.qmu.Lock()
			q := l.q
			l.q = nil
			l.qmu.Unlock()
			for _, f := range q {
				if !l.over {
					f()
				}
			}
		case m, ok := <-in:
			if !ok {
				in = nil
				continue
			}
			l.receive(m)
		case <-timer.C:
		}
		if l.over {
			continue
		}
		now := time.Now()
		l.tick(now)
		if l.over {
			continue
		}
		l.setState(nil)
		timer.Reset(max(time.Until(l.next(now)), time.Millisecond))
	}
	l.wg.Wait()
	for _, c := range l.lanes[input:] {
		close(c.in)
	}
	close(l.events)
}

// finish ends the Link at once; run then waits for what goes on.
func (l *Link) finish(err *fault.Error) {
	if l.over {
		return
	}
	l.over = true
	l.state.Store(int32(Closed))
	l.dropNego()
	if l.answering != nil && l.answering.conn != nil {
		l.answering.conn.stop()
	}
	if l.cur != nil {
		l.drop()
	}
	l.ctl.close()
	for _, c := range l.lanes[input:] {
		c.shut()
	}
	l.cancel()
	l.emit(Event{State: Closed, Err: err})
}

// emit delivers e, merged with one that was not taken yet.
func (l *Link) emit(e Event) {
	if l.cur != nil && l.cur.isOpen {
		e.Path = l.path
	}
	e.RTT = l.smoothed()
	select {
	case old := <-l.events:
		if e.Err == nil && e.State != Open {
			e.Err = old.Err
		}
		if e.PeerHello == nil {
			e.PeerHello = old.PeerHello
		}
		e.Fresh = e.Fresh || old.Fresh
		e.NewInstance = e.NewInstance || old.NewInstance
		if e.Bye == "" {
			e.Bye = old.Bye
		}
	default:
	}
	l.events <- e // capacity 1, this goroutine is the only sender
}

// setState computes the state and reports a change, or err.
func (l *Link) setState(err *fault.Error) {
	s := Connecting
	switch c := l.cur; {
	case c != nil && c.isOpen && !c.stale:
		s = Open
	case c != nil && c.isOpen && c.restarts == 0:
		s = Stale
	case l.everOpen:
		s = Reconnecting
	}
	if State(l.state.Swap(int32(s))) == s && err == nil {
		return
	}
	l.log.Debug("link", "state", s.String())
	l.ctl.change.wake()
	for _, c := range l.lanes[input:] {
		c.change.wake()
	}
	l.emit(Event{State: s, Err: err})
}

func (l *Link) smoothed() time.Duration { return time.Duration(l.rtt.Load()) }

// roundTrip is called by the control channel's reader alone.
func (l *Link) roundTrip(d time.Duration) {
	l.last.Store(int64(d))
	if old := l.rtt.Load(); old != 0 {
		d = time.Duration(old + (int64(d)-old)/8) // RFC 6298 smoothing
	}
	l.rtt.Store(int64(d))
}

func (l *Link) interval(passing bool) time.Duration {
	switch {
	case !l.busy.Load():
		return heartbeatIdle
	case !passing:
		return heartbeatQuiet
	}
	return heartbeatBusy
}

// messages counts everything that passed, heartbeats aside.
func (l *Link) messages() uint64 {
	n := l.ctl.counters.sent.Load() + l.ctl.counters.got.Load()
	for _, c := range l.lanes[input:] {
		n += c.sent.Load() + c.got.Load()
	}
	return n
}

// tick does what is due.
func (l *Link) tick(now time.Time) {
	if l.closing && !now.Before(l.closeBy) {
		l.finish(nil)
		return
	}
	if c := l.cur; c != nil {
		l.tickConn(c, now)
	}
	if !l.ackAt.IsZero() && !now.Before(l.ackAt) {
		l.ackAt = time.Time{}
		if l.cur != nil && l.cur.isOpen && l.ctl.due() {
			l.cur.send(ackFrame(l.ctl.told()))
		}
	}
	if l.closing {
		return
	}
	if l.role == pairing.RoleConsole {
		l.tickConsole(now)
	} else {
		l.tickHost(now)
	}
}

func (l *Link) tickConn(c *conn, now time.Time) {
	if !c.isOpen || c.bye {
		if !now.Before(c.by) {
			l.lost(c, errors.New("no connection in time"))
			return
		}
	}
	if c.trickle != nil && len(c.sealed) > 0 && c.repeats > 0 && (!c.isOpen || c.stale) && !now.Before(c.repeatAt) {
		c.repeats--
		c.repeatAt = now.Add(candidateAgain)
		for i, m := range c.sealed {
			l.box.send(candidateKey(c.nid, i), m)
		}
	}
	if !c.isOpen {
		return
	}
	if !now.Before(c.pingAt) {
		c.sample(now)
		c.beat(now)
	}
	if !c.stale {
		if _, stale := c.quiet(now); stale {
			l.becomeStale(c, now)
		}
	}
}

func (l *Link) becomeStale(c *conn, now time.Time) {
	if c.stale || !c.isOpen {
		return
	}
	l.log.Debug("path is stale")
	c.stale = true
	c.silent.Store(true)
	l.retryAt = now
	l.want.reset(now)
}

// revived: something was heard on a stale connection.
func (l *Link) revived(c *conn) {
	if c != l.cur || !c.stale {
		return
	}
	c.stale = false
	c.hb.Lock()
	c.oldest, c.due = time.Time{}, time.Time{} // those before count no more
	clear(c.pings)
	c.hb.Unlock()
	c.pingSoon(time.Now())
	if c.restarts > 0 {
		l.revive.Add(1)
		c.restarts = 0
	}
	if n := l.nego; n != nil && n.offer == nil && (n.conn == nil || n.conn != c) {
		l.dropNego() // only asked so far: not needed any more
	}
	l.pathChanged(c)
}

// next returns when tick has something to do.
func (l *Link) next(now time.Time) time.Time {
	t := now.Add(time.Hour)
	at := func(x time.Time) {
		if !x.IsZero() && x.Before(t) {
			t = x
		}
	}
	at(l.ackAt)
	if l.closing {
		at(l.closeBy)
	}
	if c := l.cur; c != nil {
		if !c.isOpen || c.bye {
			at(c.by)
		}
		if c.trickle != nil && len(c.sealed) > 0 && c.repeats > 0 && (!c.isOpen || c.stale) {
			at(c.repeatAt)
		}
		if c.isOpen {
			at(c.pingAt)
			if !c.stale {
				x, _ := c.quiet(now)
				at(x)
			}
		}
	}
	if l.closing {
		return t
	}
	if l.role == pairing.RoleConsole {
		l.nextConsole(at)
	} else {
		l.nextHost(at)
	}
	return t
}

// armAck is called by the pump through do: something was taken.
func (l *Link) armAck() {
	if l.ackAt.IsZero() {
		l.ackAt = time.Now().Add(ackDelay)
	}
}

// channelOpen: channel i of c is open on our side.
func (l *Link) channelOpen(c *conn, i int) {
	if c.stopped {
		return
	}
	if i == control {
		c.by = time.Now().Add(tagTimeout)
		l.sendTag(c)
	}
	l.maybeOpen(c)
}

func (l *Link) sendTag(c *conn) {
	if c.tagSent {
		return
	}
	c.tagSent = true
	ours, peer := c.certs()
	tag := c.keys.Tag(l.role, ours, peer)
	c.send(append([]byte{frameTag}, tag[:]...))
}

func (l *Link) tagVerified(c *conn) {
	if c.stopped {
		return
	}
	c.tagged = true
	l.sendTag(c)
	c.send(appendHello(l.instance, l.peer, l.ctl.mark(), l.cfg.Hello))
	l.maybeOpen(c)
}

func (l *Link) gotHello(c *conn, f *frame) {
	if c.stopped {
		return
	}
	if f.version != frameVersion {
		l.finish(fault.New(fault.Unsupported, "peer.version", "The other computer runs another version of Daypass that does not fit this one.", "Use the same version on both sides."))
		return
	}
	c.hello = f
	l.maybeOpen(c)
}

func (l *Link) maybeOpen(c *conn) {
	if c.isOpen || c != l.cur || !c.tagged || c.hello == nil {
		return
	}
	var dcs [channels]*dataChannel
	for i := range dcs {
		dcs[i] = c.dcs[i].Load()
		if dcs[i] == nil || !dcs[i].open() {
			return
		}
	}
	f := c.hello
	c.hello = nil
	e := Event{State: Open, Fresh: true, PeerHello: f.body}
	if e.PeerHello == nil {
		e.PeerHello = []byte{}
	}
	if f.instance != l.peer {
		e.NewInstance = l.peer != [16]byte{}
		l.peer = f.instance
		l.ctl.reset(!e.NewInstance)
	}
	var got uint64
	if f.known == l.instance {
		got = f.n
	}
	now := time.Now()
	c.isOpen = true
	c.pingSoon(now)
	c.heardAt.Store(int64(time.Since(l.start)))
	l.everOpen = true
	l.failures = 0
	l.opens.Add(1)
	l.active.Store(c)
	l.rtt.Store(0)
	for i, lane := range l.lanes {
		if lane != nil {
			lane.open(dcs[i])
		}
	}
	if err := l.ctl.attach(dcs[control], got); err != nil {
		l.hostile(c, err)
		return
	}
	l.path = c.currentPath()
	l.state.Store(int32(Open))
	close(c.ready)
	for _, lane := range l.lanes[input:] {
		lane.change.wake()
	}
	l.ctl.change.wake()
	l.log.Info("link open", "path", l.path, "new_instance", e.NewInstance)
	l.emit(e)
	if l.closing {
		l.sayBye(c)
	}
}

// drop stops using the current connection.
func (l *Link) drop() {
	c := l.cur
	l.cur = nil
	l.ctl.detach()
	for _, lane := range l.lanes[input:] {
		lane.shut()
	}
	c.stop()
}

// swap makes c the current connection.
func (l *Link) swap(c *conn) {
	if l.cur != nil {
		l.drop()
	}
	l.cur = c
	c.by = time.Now().Add(connectTimeout)
}

// ended: the peer, or pion, closed c.
func (l *Link) ended(c *conn, cause error) {
	c.gone = true
	l.lost(c, cause)
}

// lost: c is gone and only another connection helps.
func (l *Link) lost(c *conn, cause error) {
	if c.stopped {
		return
	}
	now := time.Now()
	if n := l.nego; n != nil && n.conn == c {
		l.nego = nil
		l.retryAt = now
	}
	if a := l.answering; a != nil && a.conn == c {
		a.conn = nil
	}
	if c != l.cur {
		c.stop()
		return
	}
	wasOpen, leaving := c.isOpen, c.bye
	l.log.Debug("connection lost", "cause", cause)
	l.drop()
	if l.closing {
		l.finish(nil)
		return
	}
	var err *fault.Error
	switch {
	case leaving:
		l.retryAt = now.Add(time.Second)
		l.want.reset(now.Add(time.Second))
	case wasOpen:
		l.retryAt = now
		l.want.reset(now)
	default:
		l.failures++
		l.retryAt = now.Add(backoff(l.failures))
		l.want.reset(now.Add(time.Second))
		err = errNoWay(cause)
	}
	l.setState(err)
}

// backoff grows from 0.2 to 5 s.
func backoff(failures int) time.Duration {
	return min(100*time.Millisecond<<min(failures, 10), 5*time.Second)
}

// hostile ends the Link: the peer, or somebody in between, broke the protocol.
func (l *Link) hostile(c *conn, cause error) {
	if c.stopped {
		return
	}
	l.log.Warn("peer broke the protocol", "cause", cause)
	l.finish(errHostile(cause))
}

func (l *Link) iceState(c *conn, s ice.ConnectionState) {
	if c.stopped {
		return
	}
	l.log.Debug("ice", "state", s.String())
	c.state = s
	now := time.Now()
	switch s {
	case ice.ConnectionStateDisconnected, ice.ConnectionStateFailed:
		if c.isOpen {
			l.becomeStale(c, now)
		} else if s == ice.ConnectionStateFailed && c == l.cur {
			l.lost(c, errors.New("ICE failed"))
		}
	case ice.ConnectionStateConnected, ice.ConnectionStateCompleted:
		if c.isOpen && c.stale {
			c.pingSoon(now) // hear at once whether it lives
		}
		l.pathChanged(c)
	}
}

func (l *Link) pathChanged(c *conn) {
	if c != l.cur || !c.isOpen {
		return
	}
	if p := c.currentPath(); p != l.path {
		l.path = p
		l.emit(Event{State: l.State()})
	}
}

func (l *Link) beginClose(reason string) {
	if l.closing {
		return
	}
	l.closing = true
	l.reason = reason
	l.closeBy = time.Now().Add(byeTimeout)
	if l.cur == nil || !l.cur.isOpen || l.cur.stale {
		l.finish(nil)
		return
	}
	l.sayBye(l.cur)
}

func (l *Link) sayBye(c *conn) {
	r := l.reason
	if len(r) > MaxReason {
		r = r[:MaxReason]
	}
	c.send(append([]byte{frameBye}, r...))
}

// gotBye: the peer closes its Link, and the connection once we acknowledge.
func (l *Link) gotBye(c *conn, reason string) {
	if c.stopped || c != l.cur {
		return
	}
	if reason == "" {
		reason = "closed"
	}
	c.bye = true
	c.by = time.Now().Add(time.Second)
	c.send([]byte{frameByeAck}) // after the event is certain: the end may follow at once
	l.emit(Event{State: l.State(), Bye: reason})
}

func (l *Link) gotByeAck(c *conn) {
	if l.closing && c == l.cur {
		l.finish(nil)
	}
}

// fetch calls f with the ICE servers, on the Link's goroutine.
func (l *Link) fetch(f func([]protocol.ICEServer)) {
	if l.cfg.ICE == nil || (!l.serversAt.IsZero() && time.Since(l.serversAt) < serversFresh && l.failures == 0) {
		f(l.servers)
		return
	}
	l.fetching = append(l.fetching, f)
	if len(l.fetching) > 1 {
		return
	}
	l.wg.Go(func() {
		ctx, cancel := context.WithTimeout(l.ctx, iceTimeout)
		s, err := l.cfg.ICE(ctx)
		cancel()
		l.do(func() {
			if err != nil {
				l.log.Warn("no STUN and TURN servers", "cause", err) // older ones, or none, may do
			} else {
				l.servers, l.serversAt = s, time.Now()
			}
			fs := l.fetching
			l.fetching = nil
			for _, f := range fs {
				if !l.over {
					f(l.servers)
				}
			}
		})
	})
}
