// Package broker carries sealed messages between a console and its hosts over
// WebSockets and knows who is online. A mailbox keeps at most
// protocol.MaxMailbox messages for protocol.MessageTTL, so that a peer that
// reconnects gets what it missed; a reader that is too slow is disconnected. It
// must not know what a message contains, nor the rules of sessions (package
// directory), which it only asks where a message goes.
package broker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"daypass/backend/faultpoint"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

const (
	writeTimeout = 10 * time.Second
	checkEvery   = 2 * time.Second // while a receipt is owed
	maxReplies   = 64              // answers that wait to be written
	forgetAfter  = 10 * time.Minute
)

// Config configures a Broker.
type Config struct {
	Lookup func(ctx context.Context, id grant.ID) (store.Session, error)
	View   func(store.Session) protocol.Session
	Told   func(id grant.ID, i protocol.Instance) // an ended session's host has been told; called without locks
	Log    *slog.Logger
}

// Broker holds mailboxes and sockets. Its methods may be called from any
// goroutine.
type Broker struct {
	cfg  Config
	boot string
	done chan struct{} // closed by Close
	wg   sync.WaitGroup

	mu       sync.Mutex // guards all following, and every box
	draining bool
	consoles map[grant.Key]*box
	hosts    map[address]*box
	routes   map[grant.ID]*route
}

type address struct {
	session  grant.ID
	instance protocol.Instance
}

// route is where messages of a session go. It is made on first use and kept
// while somebody of the session is known.
type route struct {
	session store.Session
	hosts   map[protocol.Instance]*box
	knock   time.Time // when a stranger was turned away last
}

// knockEvery is how often a session's console is told of programs that are
// turned away.
const knockEvery = time.Minute

// Knocked tells the session's console that a program with its link was turned
// away. Programs that were there before are none: the technician knows them.
func (br *Broker) Knocked(ctx context.Context, id grant.ID, i protocol.Instance, now time.Time) {
	r, err := br.route(ctx, id)
	if err != nil {
		return
	}
	br.mu.Lock()
	defer br.mu.Unlock()
	if r.hosts[i] != nil || now.Sub(r.knock) < knockEvery {
		return
	}
	r.knock = now
	if c := br.consoles[r.session.ConsoleKey]; c != nil {
		c.mark(id)
	}
}

type message struct {
	seq  uint64
	from address
	body []byte
	at   time.Time
	sent bool // on the present socket
	when time.Time
}

// box is one mailbox and its socket, if any.
type box struct {
	console bool
	key     grant.Key // console
	addr    address   // host
	sock    *sock     // nil: offline
	since   time.Time // of being online or offline
	queue   []message
	seq     uint64
	client  string // who sent last, and what was taken of it
	lastID  uint32
	replies []protocol.Frame

	// Events to tell, each at most once in line.
	hello   bool
	order   []grant.ID // console: sessions
	dirty   map[grant.ID]bool
	present bool // host: tell whether the console is there
	claim   bool // host: tell who asks to go on with the session
	over    bool // host: tell the end
	leave   bool // console: the sign-in ended; close once what happened is told
}

type sock struct {
	wake   chan struct{}
	cancel context.CancelCauseFunc
	heard  atomic.Int64 // unix nano
}

// closing is a cause that becomes a close frame.
type closing struct {
	code   websocket.StatusCode
	reason string
}

func (c *closing) Error() string { return fmt.Sprintf("broker: close %d %s", c.code, c.reason) }

// New returns a Broker; Close it.
func New(cfg Config) *Broker {
	var b [8]byte
	rand.Read(b[:])
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	br := &Broker{
		cfg: cfg, boot: hex.EncodeToString(b[:]), done: make(chan struct{}),
		consoles: map[grant.Key]*box{}, hosts: map[address]*box{}, routes: map[grant.ID]*route{},
	}
	br.wg.Go(br.tidy)
	return br
}

func (b *box) poke() {
	if b.sock != nil {
		select {
		case b.sock.wake <- struct{}{}:
		default:
		}
	}
}

// mark puts a session's change in line. mu is held.
func (b *box) mark(id grant.ID) {
	if !b.dirty[id] {
		b.dirty[id] = true
		b.order = append(b.order, id)
	}
	b.poke()
}

// expire drops what nobody collected in time. mu is held.
func (b *box) expire(now time.Time) {
	for len(b.queue) > 0 && now.Sub(b.queue[0].at) > protocol.MessageTTL {
		b.queue = b.queue[1:]
	}
}

// push stores a message. mu is held.
func (b *box) push(from address, body []byte, now time.Time) bool {
	b.expire(now)
	if len(b.queue) >= protocol.MaxMailbox {
		return false
	}
	b.seq++
	b.queue = append(b.queue, message{seq: b.seq, from: from, body: body, at: now})
	b.poke()
	return true
}

// route returns the session's route, asking the directory the first time.
func (br *Broker) route(ctx context.Context, id grant.ID) (*route, error) {
	br.mu.Lock()
	r := br.routes[id]
	br.mu.Unlock()
	if r != nil {
		return r, nil
	}
	s, err := br.cfg.Lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	br.mu.Lock()
	defer br.mu.Unlock()
	return br.put(s), nil
}

// put stores the newest state of a session and tells who is concerned: whoever
// brings it first, a change or a socket that was opened between the change and
// the word of it. mu is held.
func (br *Broker) put(s store.Session) *route {
	r := br.routes[s.ID]
	if r == nil {
		r = &route{session: s, hosts: map[protocol.Instance]*box{}}
		br.routes[s.ID] = r
		return r
	}
	if s.Rev > r.session.Rev {
		before := r.session
		r.session = s
		br.tell(r, before)
	}
	return r
}

// Changed takes a session's new state and tells who is concerned.
func (br *Broker) Changed(s store.Session) {
	br.mu.Lock()
	defer br.mu.Unlock()
	r := br.put(s)
	br.tell(r, r.session) // also when it was known already, or nobody asked before
}

// tell puts in line what a route that was in the state before has to say. mu is
// held.
func (br *Broker) tell(r *route, before store.Session) {
	told := map[grant.Key]bool{{}: true}
	for _, k := range []grant.Key{r.session.ConsoleKey, r.session.ClaimKey, before.ConsoleKey, before.ClaimKey} {
		if c := br.consoles[k]; c != nil && !told[k] {
			c.mark(r.session.ID)
		}
		told[k] = true
	}
	moved := r.session.ConsoleKey != before.ConsoleKey
	for _, h := range r.hosts {
		if moved {
			h.present = true
			h.poke()
		}
		if r.session.Claimed(time.Now()) && r.session.ClaimUntil != before.ClaimUntil {
			h.claim = true
			h.poke()
		}
	}
	if !protocol.Live(r.session.State) {
		for _, h := range r.hosts {
			if r.session.State == protocol.Removed {
				h.over = false
				continue
			}
			h.over = true
			h.poke()
		}
		return
	}
	if !r.session.HostKey.IsZero() {
		// Chosen: the others are closed and learn the reason when they come back.
		for i, h := range r.hosts {
			if i != r.session.HostInstance && h.key != r.session.HostKey && h.sock != nil {
				h.sock.cancel(&closing{protocol.CloseOver, "another computer was chosen"})
			}
		}
	}
}

// Presence is who of a session is online.
type Presence struct {
	Host    bool      // the activated host, or any before activation
	Since   time.Time // zero: never seen since the start
	Waiting []protocol.Instance
}

// Presence returns who of a session is online.
func (br *Broker) Presence(s store.Session) Presence {
	br.mu.Lock()
	defer br.mu.Unlock()
	return br.presence(s)
}

func (br *Broker) presence(s store.Session) Presence {
	var p Presence
	r := br.routes[s.ID]
	if r == nil {
		return p
	}
	for i, h := range r.hosts {
		if !s.HostKey.IsZero() && h.key != s.HostKey {
			continue
		}
		if h.sock != nil {
			p.Waiting = append(p.Waiting, i)
			if !p.Host || h.since.Before(p.Since) {
				p.Since = h.since
			}
			p.Host = true
		} else if !p.Host && h.since.After(p.Since) {
			p.Since = h.since
		}
	}
	if !s.HostKey.IsZero() {
		p.Waiting = nil
	}
	return p
}

// View is a session as its console sees it, presence included.
func (br *Broker) View(s store.Session) protocol.Session {
	br.mu.Lock()
	defer br.mu.Unlock()
	return br.view(s)
}

func (br *Broker) view(s store.Session) protocol.Session {
	v := br.cfg.View(s)
	p := br.presence(s)
	v.HostOnline, v.HostSince, v.Waiting = p.Host, p.Since, p.Waiting
	if r := br.routes[s.ID]; r != nil && !r.knock.IsZero() {
		v.Knock = &protocol.Knock{At: r.knock}
	}
	return v
}

// Online returns the instances of a session that are connected.
func (br *Broker) Online(id grant.ID) []protocol.Instance {
	br.mu.Lock()
	defer br.mu.Unlock()
	var out []protocol.Instance
	if r := br.routes[id]; r != nil {
		for i, h := range r.hosts {
			if h.sock != nil {
				out = append(out, i)
			}
		}
	}
	return out
}

// leaveWithin is how long a console whose sign-in ended may take to read why.
const leaveWithin = time.Second

// CloseConsole disconnects a console whose sign-in ended. It is told first what
// happened to its sessions; nothing is taken from it any more.
func (br *Broker) CloseConsole(key grant.Key) {
	br.mu.Lock()
	defer br.mu.Unlock()
	c := br.consoles[key]
	if c == nil || c.sock == nil {
		return
	}
	s := c.sock
	c.leave = true
	c.queue = nil
	c.poke()
	time.AfterFunc(leaveWithin, func() { s.cancel(&closing{protocol.CloseOver, "signed out"}) })
}

// ConsoleOnline reports whether a console's socket is open.
func (br *Broker) ConsoleOnline(key grant.Key) bool {
	br.mu.Lock()
	defer br.mu.Unlock()
	c := br.consoles[key]
	return c != nil && c.sock != nil && !c.leave
}

// Sockets returns how many sockets are open.
func (br *Broker) Sockets() int {
	br.mu.Lock()
	defer br.mu.Unlock()
	n := 0
	for _, c := range br.consoles {
		if c.sock != nil {
			n++
		}
	}
	for _, h := range br.hosts {
		if h.sock != nil {
			n++
		}
	}
	return n
}

// Drain asks every client to come back, spread over the given time, and lets
// nobody in any more.
func (br *Broker) Drain(spread time.Duration) {
	br.mu.Lock()
	defer br.mu.Unlock()
	br.draining = true
	n := 0
	bye := func(b *box) {
		if b.sock != nil {
			n++
			ms := 500 + (time.Duration(n) * 50 * time.Millisecond % max(spread, time.Millisecond)).Milliseconds()
			b.sock.cancel(&closing{protocol.CloseGoingAway, fmt.Sprintf("retry=%d", ms)})
		}
	}
	for _, c := range br.consoles {
		bye(c)
	}
	for _, h := range br.hosts {
		bye(h)
	}
}

// Close ends what Drain left and waits for every goroutine.
func (br *Broker) Close() {
	br.Drain(time.Second)
	br.mu.Lock()
	select {
	case <-br.done:
	default:
		close(br.done)
	}
	br.mu.Unlock()
	br.wg.Wait()
}

// tidy forgets mailboxes that nobody came for.
func (br *Broker) tidy() {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-br.done:
			return
		case now := <-t.C:
			br.forget(now)
		}
	}
}

func (br *Broker) forget(now time.Time) {
	br.mu.Lock()
	defer br.mu.Unlock()
	gone := func(b *box) bool {
		b.expire(now)
		return b.sock == nil && now.Sub(b.since) > forgetAfter && len(b.queue) == 0
	}
	for a, h := range br.hosts {
		if r := br.routes[a.session]; gone(h) && (r == nil || !protocol.Live(r.session.State) || r.session.HostKey.IsZero()) {
			delete(br.hosts, a)
			if r != nil {
				delete(r.hosts, a.instance)
			}
		}
	}
	for k, c := range br.consoles {
		if gone(c) {
			delete(br.consoles, k)
		}
	}
	for id, r := range br.routes {
		if c := br.consoles[r.session.ConsoleKey]; len(r.hosts) == 0 && (c == nil || c.sock == nil) {
			delete(br.routes, id)
		}
	}
}

// ErrDraining says that the server is about to restart.
var ErrDraining = errors.New("broker: draining")

// attach gives the box a new socket; an older one of the same box is replaced.
// mu is held.
func (b *box) attach(client string, cancel context.CancelCauseFunc) *sock {
	if b.sock != nil {
		b.sock.cancel(&closing{protocol.CloseReplaced, "a newer connection"})
	}
	s := &sock{wake: make(chan struct{}, 1), cancel: cancel}
	s.heard.Store(time.Now().UnixNano())
	b.sock, b.since, b.replies, b.hello, b.leave = s, time.Now(), nil, true, false
	if client != b.client {
		b.client, b.lastID = client, 0
	}
	for i := range b.queue {
		b.queue[i].sent = false
	}
	s.wake <- struct{}{}
	return s
}

// ServeConsole accepts a console's socket and serves it until it ends. mine are
// the sessions to tell at once. client names the program's run.
func (br *Broker) ServeConsole(ctx context.Context, accept Accept, key grant.Key, client string, mine []store.Session) error {
	return br.serve(ctx, accept, client, func() *box {
		b := br.consoles[key]
		if b == nil {
			b = &box{console: true, key: key, dirty: map[grant.ID]bool{}}
			br.consoles[key] = b
		}
		b.order, b.dirty = nil, map[grant.ID]bool{}
		for _, s := range mine {
			br.put(s)
			b.mark(s.ID)
		}
		return b
	})
}

// ServeHost accepts a host's socket and serves it until it ends.
func (br *Broker) ServeHost(ctx context.Context, accept Accept, s store.Session, i protocol.Instance, key grant.Key, client string) error {
	return br.serve(ctx, accept, client, func() *box {
		r, a := br.put(s), address{s.ID, i}
		b := br.hosts[a]
		if b == nil {
			b = &box{addr: a, key: key}
			br.hosts[a] = b
		}
		r.hosts[i] = b
		b.present, b.claim = true, r.session.Claimed(time.Now())
		b.over = !protocol.Live(r.session.State)
		return b
	})
}

// Accept completes the WebSocket handshake; ping is called whenever the client
// pings.
type Accept func(ping func()) (*websocket.Conn, error)

// online tells the other side that b came or went. mu is held.
func (br *Broker) online(b *box) {
	if b.console {
		for _, r := range br.routes {
			if r.of(b.key) {
				for _, h := range r.hosts {
					h.present = true
					h.poke()
				}
			}
		}
		return
	}
	if r := br.routes[b.addr.session]; r != nil {
		for _, k := range r.keys() {
			if c := br.consoles[k]; c != nil {
				c.mark(b.addr.session)
			}
		}
	}
}

// keys are the consoles that the session's host talks to: its own, and the one
// that asks to go on with it.
func (r *route) keys() []grant.Key {
	k := []grant.Key{r.session.ConsoleKey}
	if r.session.Claimed(time.Now()) && r.session.ClaimKey != r.session.ConsoleKey {
		k = append(k, r.session.ClaimKey)
	}
	return k
}

func (r *route) of(key grant.Key) bool { return slices.Contains(r.keys(), key) }

func (br *Broker) serve(ctx context.Context, accept Accept, client string, get func() *box) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	br.mu.Lock()
	if br.draining {
		br.mu.Unlock()
		return ErrDraining
	}
	br.wg.Add(1)
	br.mu.Unlock()
	defer br.wg.Done()

	var s *sock
	var ready atomic.Pointer[sock]
	conn, err := accept(func() {
		if s := ready.Load(); s != nil {
			s.heard.Store(time.Now().UnixNano())
		}
	})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(protocol.MaxMessage)

	br.mu.Lock()
	b := get()
	s = b.attach(client, cancel)
	ready.Store(s)
	br.online(b)
	if br.draining {
		cancel(&closing{protocol.CloseGoingAway, "retry=1000"})
	}
	br.mu.Unlock()

	var wg sync.WaitGroup
	// Reading ends only with the connection: cancelling a read would lose the
	// close frame that says why.
	wg.Go(func() { cancel(br.read(ctx, conn, b, s)) })
	cancel(br.write(ctx, conn, b, s)) // here: thousands of sockets are waited for, and a goroutine each counts
	cause := context.Cause(ctx)
	br.mu.Lock()
	if b.sock == s {
		b.sock, b.since = nil, time.Now()
		br.online(b)
	}
	br.mu.Unlock()
	var c *closing
	if errors.As(cause, &c) {
		conn.Close(c.code, c.reason) // waits for the answer, 5 s at most
	}
	conn.CloseNow()
	wg.Wait()
	return cause
}

func (br *Broker) read(ctx context.Context, conn *websocket.Conn, b *box, s *sock) error {
	limit := rate.NewLimiter(20, 60)
	for {
		// The context is not given to Read: see serve.
		typ, raw, err := conn.Read(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		s.heard.Store(time.Now().UnixNano())
		// A client that sends too fast is read slower.
		if err := limit.Wait(ctx); err != nil {
			return context.Cause(ctx)
		}
		if typ != websocket.MessageBinary {
			return &closing{protocol.CloseProtocol, "binary messages only"}
		}
		f, err := protocol.ParseFrame(raw, b.console)
		if err != nil {
			return &closing{protocol.CloseProtocol, "malformed message"}
		}
		switch f.Op {
		case protocol.OpReceived:
			br.received(b, s, f.Seq)
		case protocol.OpSend:
			faultpoint.Message("server/takes", f.Body)
			res := br.send(ctx, b, f)
			faultpoint.Message("server/taken", f.Body)
			br.mu.Lock()
			if b.sock == s {
				b.replies = append(b.replies, protocol.Frame{Op: protocol.OpTaken, ID: f.ID, Result: res})
				b.poke()
			}
			slow := len(b.replies) > maxReplies
			br.mu.Unlock()
			if slow {
				return &closing{protocol.CloseSlow, "answers are not read"}
			}
		default:
			return &closing{protocol.CloseProtocol, "unexpected message"}
		}
	}
}

func (br *Broker) received(b *box, s *sock, seq uint64) {
	br.mu.Lock()
	defer br.mu.Unlock()
	if b.sock != s {
		return
	}
	for len(b.queue) > 0 && b.queue[0].seq <= seq && b.queue[0].sent {
		b.queue[0].body = nil
		b.queue = b.queue[1:]
	}
}

// send stores a message for the other side.
func (br *Broker) send(ctx context.Context, b *box, f protocol.Frame) protocol.Result {
	to := b.addr
	if b.console {
		to = address{f.Session, f.Instance}
	}
	r, err := br.route(ctx, to.session)
	if err != nil {
		return protocol.Unknown
	}
	br.mu.Lock()
	defer br.mu.Unlock()
	if b.leave {
		return protocol.Unknown
	}
	if f.ID <= b.lastID {
		return protocol.Taken // sent again after a reconnect
	}
	if !protocol.Live(r.session.State) && r.session.State != protocol.Ending {
		return protocol.Unknown
	}
	var dst *box
	if b.console {
		if !r.of(b.key) {
			return protocol.Unknown
		}
		dst = br.hosts[to]
		if dst == nil && to.instance == r.session.HostInstance && !r.session.HostKey.IsZero() {
			// The activated host has not come since the server started: keep it for it.
			dst = &box{addr: to, key: r.session.HostKey}
			br.hosts[to] = dst
			r.hosts[to.instance] = dst
		}
		if dst == nil {
			return protocol.Unknown
		}
	} else {
		if !r.session.HostKey.IsZero() && r.session.HostKey != b.key {
			return protocol.Unknown
		}
		// A claim has two consoles listening; what is for the other one each
		// drops, it cannot read it. One that does not collect must not keep the
		// other from hearing.
		res := protocol.Full
		for _, k := range r.keys() {
			dst = br.consoles[k]
			if dst == nil {
				dst = &box{console: true, key: k, since: time.Now(), dirty: map[grant.ID]bool{}}
				br.consoles[k] = dst
			}
			if br.fits(dst, to) && dst.push(to, f.Body, time.Now()) {
				res = protocol.Taken
			}
		}
		if res == protocol.Taken {
			b.lastID = f.ID
		}
		return res
	}
	if !br.fits(dst, to) || !dst.push(to, f.Body, time.Now()) {
		return protocol.Full
	}
	b.lastID = f.ID
	return protocol.Taken
}

// fits keeps one host on the link from filling the console's whole mailbox: no
// sender has more than half of it. mu is held.
func (br *Broker) fits(dst *box, from address) bool {
	if !dst.console {
		return true
	}
	dst.expire(time.Now())
	n := 0
	for _, m := range dst.queue {
		if m.from == from {
			n++
		}
	}
	return n < protocol.MaxMailbox/2
}

// next returns the next frame to write, nil for none. told: the frame tells the
// host the end.
func (br *Broker) next(b *box, s *sock) (f *protocol.Frame, told bool, err error) {
	br.mu.Lock()
	defer br.mu.Unlock()
	if b.sock != s {
		return nil, false, &closing{protocol.CloseReplaced, "a newer connection"}
	}
	event := func(e protocol.Event) (*protocol.Frame, bool, error) {
		j, err := json.Marshal(e)
		if err != nil {
			return nil, false, err
		}
		return &protocol.Frame{Op: protocol.OpEvent, Body: j}, false, nil
	}
	if b.hello {
		b.hello = false
		return event(protocol.Event{Hello: &protocol.Hello{Boot: br.boot, Time: time.Now().UTC()}})
	}
	if len(b.replies) > 0 {
		r := b.replies[0]
		b.replies = b.replies[1:]
		return &r, false, nil
	}
	for len(b.order) > 0 {
		id := b.order[0]
		b.order = b.order[1:]
		delete(b.dirty, id)
		if r := br.routes[id]; r != nil {
			v := br.view(r.session)
			return event(protocol.Event{Session: &v})
		}
	}
	if b.leave {
		return nil, false, &closing{protocol.CloseOver, "signed out"}
	}
	if b.present && !b.console {
		b.present = false
		on := false
		if r := br.routes[b.addr.session]; r != nil {
			for _, k := range r.keys() {
				c := br.consoles[k]
				on = on || c != nil && c.sock != nil
			}
		}
		return event(protocol.Event{Console: &on})
	}
	if b.claim {
		b.claim = false
		if r := br.routes[b.addr.session]; r != nil && r.session.Claimed(time.Now()) && b.key == r.session.HostKey {
			return event(protocol.Event{Claim: r.session.ClaimOffer})
		}
	}
	if b.over {
		b.over = false
		if r := br.routes[b.addr.session]; r != nil && r.session.EndedFact != nil {
			f, _, err := event(protocol.Event{Ended: r.session.EndedFact})
			return f, true, err
		}
	}
	now := time.Now()
	b.expire(now)
	for i := range b.queue {
		m := &b.queue[i]
		if m.sent {
			if now.Sub(m.when) > protocol.AckWithin {
				return nil, false, &closing{protocol.CloseSlow, "messages are not collected"}
			}
			continue
		}
		m.sent, m.when = true, now
		return &protocol.Frame{Op: protocol.OpDeliver, Seq: m.seq, Session: m.from.session, Instance: m.from.instance, Body: m.body}, false, nil
	}
	return nil, false, nil
}

// owed reports whether the box has messages that its reader has not received.
func (br *Broker) owed(b *box) bool {
	br.mu.Lock()
	defer br.mu.Unlock()
	return len(b.queue) > 0
}

func (br *Broker) write(ctx context.Context, conn *websocket.Conn, b *box, s *sock) error {
	check := time.NewTimer(checkEvery)
	defer check.Stop()
	for {
		for {
			f, told, err := br.next(b, s)
			if err != nil {
				return err
			}
			if f == nil {
				break
			}
			wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
			faultpoint.Message("server/delivers", f.Body)
			err = conn.Write(wctx, websocket.MessageBinary, f.Append(nil, b.console))
			faultpoint.Message("server/delivered", f.Body)
			cancel()
			if err != nil {
				return err
			}
			if told && br.cfg.Told != nil {
				br.cfg.Told(b.addr.session, b.addr.instance)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		// Thousands of sockets are idle: each looks at the clock when it may be
		// silent for too long, and more often only while it owes a receipt.
		quiet := protocol.SilentAfter - time.Since(time.Unix(0, s.heard.Load()))
		if quiet < 0 {
			return fmt.Errorf("broker: nothing heard for %s", protocol.SilentAfter)
		}
		if br.owed(b) {
			quiet = min(quiet, checkEvery)
		}
		check.Reset(quiet + time.Millisecond)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.wake:
		case <-check.C:
		}
	}
}
