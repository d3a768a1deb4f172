package rendezvous

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"daypass/backend/fault"
	"daypass/backend/rendezvous/protocol"
)

var (
	// errOver: the session or the sign-in of this socket is over.
	errOver = errors.New("rendezvous: the server ended the socket")
	// errAway: another program took this one's place, or the two do not
	// understand each other; coming back at once would only repeat it.
	errAway = errors.New("rendezvous: the server sent us away")
)

// pending is a message that the server has not taken yet.
type pending struct {
	frame  protocol.Frame
	sent   time.Time     // zero: not on the present socket
	done   chan struct{} // closed with err set
	err    error
	closed bool
}

// socket keeps one WebSocket to the server alive. run owns the connection; the
// writer and the reader of one connection are its children.
type socket struct {
	console bool
	log     *slog.Logger
	dial    func(context.Context) (*websocket.Conn, error)
	deliver func(context.Context, protocol.Frame) error // blocks until the consumer took it
	event   func(protocol.Event)
	online  func(on bool, err error) // err: why not, when the server refused

	wake chan struct{} // cap 1: the writer has something to do
	room chan struct{} // cap 1: the outbox has room

	mu     sync.Mutex // guards all following
	outbox []*pending
	nextID uint32
	boot   string
	got    uint64 // last delivery handed over
	acked  uint64 // last delivery acknowledged on this connection
	closed bool
}

func newSocket(console bool, log *slog.Logger) *socket {
	return &socket{console: console, log: log, wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// send queues f and waits until the server took it.
func (s *socket) send(ctx context.Context, op string, f protocol.Frame) error {
	if len(f.Body) == 0 || len(f.Body) > protocol.MaxBody {
		return fault.New(fault.Invalid, op, "The message is empty or too large.", "")
	}
	f.Op, f.Body = protocol.OpSend, append([]byte(nil), f.Body...)
	p := &pending{frame: f, done: make(chan struct{})}
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return fault.New(fault.Cancelled, op, "The connection to the server was closed.", "")
		}
		if len(s.outbox) < protocol.MaxMailbox {
			s.nextID++
			p.frame.ID = s.nextID
			s.outbox = append(s.outbox, p)
			free := len(s.outbox) < protocol.MaxMailbox
			s.mu.Unlock()
			if free {
				poke(s.room) // another sender may be waiting
			}
			break
		}
		s.mu.Unlock()
		select {
		case <-s.room:
		case <-ctx.Done():
			return s.late(ctx, op)
		}
	}
	poke(s.wake)
	select {
	case <-p.done:
		if p.err != nil {
			return fault.Of(fmt.Errorf("%s: %w", op, p.err))
		}
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		s.remove(p)
		s.mu.Unlock()
		return s.late(ctx, op)
	}
}

func (s *socket) late(ctx context.Context, op string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fault.Wrap(ctx.Err(), fault.Cancelled, op, "This was cancelled.", "")
	}
	return fault.Wrap(ctx.Err(), fault.Offline, op, "The server did not take the message in time.", "Check the network connection. Daypass keeps trying.")
}

// remove takes p out of the outbox. mu is held.
func (s *socket) remove(p *pending) {
	for i, o := range s.outbox {
		if o == p {
			s.outbox = append(s.outbox[:i], s.outbox[i+1:]...)
			poke(s.room)
			return
		}
	}
}

func (s *socket) finish(p *pending, err error) {
	if p.closed {
		return
	}
	p.closed, p.err = true, err
	close(p.done)
}

// run connects again and again until ctx is done.
func (s *socket) run(ctx context.Context) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = true
		for _, p := range s.outbox {
			s.finish(p, fault.New(fault.Cancelled, "", "The connection to the server was closed.", ""))
		}
		s.outbox = nil
		poke(s.room)
	}()
	wait := 250 * time.Millisecond
	for ctx.Err() == nil {
		started := time.Now()
		hint, err := s.once(ctx)
		if ctx.Err() != nil {
			return
		}
		var refused *fault.Error
		if errors.As(err, &refused) && refused.Kind != fault.Offline {
			s.online(false, refused)
		} else {
			s.online(false, nil)
		}
		s.log.Debug("socket to the server ended", "error", err, "after", time.Since(started).Round(time.Millisecond))
		if time.Since(started) > 10*time.Second {
			wait = 250 * time.Millisecond
		}
		pause := jitter(wait)
		wait = min(wait*2, 15*time.Second)
		switch {
		case hint > 0:
			pause = jitter(hint)
		case errors.Is(err, errOver):
			// Asking once more tells why, in words.
			pause = jitter(time.Second)
		case refused != nil && refused.Kind != fault.Offline || errors.Is(err, errAway):
			// The server said no: ask again, but seldom.
			pause = jitter(20 * time.Second)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// once dials, serves one connection to its end, and returns the server's hint
// when to come back.
func (s *socket) once(ctx context.Context) (time.Duration, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.CloseNow()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	helloCtx, stop := context.WithTimeout(ctx, protocol.AckWithin)
	first, err := s.read(helloCtx, conn)
	stop()
	if err != nil {
		return closeHint(err)
	}
	var e protocol.Event
	if first.Op != protocol.OpEvent || json.Unmarshal(first.Body, &e) != nil || e.Hello == nil {
		return 0, fault.New(fault.Hostile, "rendezvous.hello", "What answers at this address is not a Daypass server.", "Check the address of the server.")
	}
	s.mu.Lock()
	if e.Hello.Boot != s.boot {
		s.boot, s.got = e.Hello.Boot, 0
	}
	s.acked = 0
	for _, p := range s.outbox {
		p.sent = time.Time{}
	}
	s.mu.Unlock()
	s.event(e)
	s.online(true, nil)
	poke(s.wake)

	var wg sync.WaitGroup
	var werr error
	wg.Go(func() {
		defer cancel()
		werr = s.write(ctx, conn)
	})
	rerr := s.readAll(ctx, conn)
	cancel()
	conn.CloseNow()
	wg.Wait()
	if errors.Is(rerr, context.Canceled) && werr != nil {
		return 0, werr
	}
	return closeHint(rerr)
}

func closeHint(err error) (time.Duration, error) {
	var c websocket.CloseError
	if errors.As(err, &c) {
		switch c.Code {
		case protocol.CloseGoingAway:
			if ms, ok := strings.CutPrefix(c.Reason, "retry="); ok {
				if d, perr := time.ParseDuration(ms + "ms"); perr == nil && d > 0 && d <= time.Minute {
					return d, err
				}
			}
		case protocol.CloseOver:
			return 0, fmt.Errorf("%w: %w", errOver, err)
		case protocol.CloseReplaced, protocol.CloseProtocol:
			return 0, fmt.Errorf("%w: %w", errAway, err)
		}
	}
	return 0, err
}

func (s *socket) read(ctx context.Context, conn *websocket.Conn) (protocol.Frame, error) {
	typ, b, err := conn.Read(ctx)
	if err != nil {
		return protocol.Frame{}, err
	}
	if typ != websocket.MessageBinary {
		return protocol.Frame{}, protocol.ErrFrame
	}
	return protocol.ParseFrame(b, s.console)
}

func (s *socket) readAll(ctx context.Context, conn *websocket.Conn) error {
	for {
		f, err := s.read(ctx, conn)
		if err != nil {
			return err
		}
		switch f.Op {
		case protocol.OpTaken:
			s.taken(f)
		case protocol.OpDeliver:
			s.mu.Lock()
			old := f.Seq <= s.got
			s.mu.Unlock()
			if !old {
				if err := s.deliver(ctx, f); err != nil {
					return err
				}
				s.mu.Lock()
				s.got = f.Seq
				s.mu.Unlock()
			}
			poke(s.wake)
		case protocol.OpEvent:
			var e protocol.Event
			if err := json.Unmarshal(f.Body, &e); err != nil {
				return fmt.Errorf("rendezvous: event: %w", err)
			}
			s.event(e)
		default:
			return protocol.ErrFrame
		}
	}
}

func (s *socket) taken(f protocol.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.outbox {
		if p.frame.ID != f.ID {
			continue
		}
		s.remove(p)
		switch f.Result {
		case protocol.Taken:
			s.finish(p, nil)
		case protocol.Full:
			s.finish(p, fault.New(fault.Limit, "", "The other side has not collected its messages for a while.", "It may be offline. Daypass keeps trying."))
		case protocol.Unknown:
			s.finish(p, fault.New(fault.NotFound, "", "The other side is not part of this session any more.", ""))
		default:
			s.finish(p, fault.New(fault.Invalid, "", "The server refused the message.", ""))
		}
		return
	}
}

// write sends what is queued, acknowledges what was received, pings, and ends
// when the server does not take a message in time.
func (s *socket) write(ctx context.Context, conn *websocket.Conn) error {
	ping := time.NewTicker(protocol.PingEvery)
	defer ping.Stop()
	overdue := time.NewTicker(time.Second)
	defer overdue.Stop()
	overdue.Stop()
	armed := false
	for {
		for {
			b, waiting, err := s.next()
			if err != nil {
				return err
			}
			if waiting != armed {
				if armed = waiting; armed {
					overdue.Reset(time.Second)
				} else {
					overdue.Stop()
				}
			}
			if b == nil {
				break
			}
			wctx, cancel := context.WithTimeout(ctx, protocol.AckWithin)
			err = conn.Write(wctx, websocket.MessageBinary, b)
			cancel()
			if err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.wake:
		case <-overdue.C:
		case <-ping.C:
			pctx, cancel := context.WithTimeout(ctx, protocol.AckWithin)
			err := conn.Ping(pctx)
			cancel()
			if err != nil {
				return fmt.Errorf("rendezvous: no answer to a ping: %w", err)
			}
		}
	}
}

// next returns the next message to write, nil for none, and whether something
// awaits the server's answer.
func (s *socket) next() (b []byte, waiting bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.outbox {
		if p.sent.IsZero() {
			continue
		}
		if time.Since(p.sent) > protocol.AckWithin {
			return nil, false, errors.New("rendezvous: the server did not take a message in time")
		}
		waiting = true
	}
	if s.got > s.acked {
		s.acked = s.got
		return protocol.Frame{Op: protocol.OpReceived, Seq: s.got}.Append(nil, s.console), waiting, nil
	}
	for _, p := range s.outbox {
		if p.sent.IsZero() {
			p.sent = time.Now()
			return p.frame.Append(nil, s.console), true, nil
		}
	}
	return nil, waiting, nil
}
