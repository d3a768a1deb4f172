package peer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"daypass/backend/fault"
)

func errClosed(op string) *fault.Error {
	return fault.New(fault.Cancelled, op, "The connection was closed.", "")
}

func errOffline(op string) *fault.Error {
	return fault.New(fault.Offline, op, "There is no connection to the other computer right now.", "It comes back by itself.")
}

func errFull(op string) *fault.Error {
	return fault.New(fault.Limit, op, "The connection is slower than what is being sent.", "Wait a moment.")
}

func checkSize(op string, b []byte) error {
	if len(b) == 0 || len(b) > MaxMessage {
		return fault.New(fault.Invalid, op, "A message has a size that cannot be sent.", "")
	}
	return nil
}

// counters of one channel; payload only.
type counters struct{ sentBytes, gotBytes, sent, got atomic.Uint64 }

func (c *counters) traffic() Traffic {
	return Traffic{
		BytesSent: c.sentBytes.Load(), BytesReceived: c.gotBytes.Load(),
		MessagesSent: c.sent.Load(), MessagesReceived: c.got.Load(),
	}
}

func (c *counters) countSent(n int) { c.sentBytes.Add(uint64(n)); c.sent.Add(1) }
func (c *counters) countGot(n int)  { c.gotBytes.Add(uint64(n)); c.got.Add(1) }

// signal wakes everyone who waits for a condition.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// lane is Input, Picture or Bulk: a data channel while there is one. The
// sender's queue is the transport's own, bounded by limit.
type lane struct {
	counters
	op     string
	limit  uint64
	link   *Link
	dc     atomic.Pointer[dataChannel] // while open or stale
	in     chan []byte
	change broadcast // Buffered fell, or the state changed

	mu   sync.Mutex
	wait map[*int]struct{} // the max of everyone in Writable
}

func newLane(l *Link, name string, limit uint64, depth int) *lane {
	return &lane{op: "peer." + name, limit: limit, link: l, in: make(chan []byte, depth), wait: map[*int]struct{}{}}
}

func (c *lane) Send(b []byte) error {
	if err := checkSize(c.op, b); err != nil {
		return err
	}
	dc := c.dc.Load()
	if dc == nil {
		if c.link.State() == Closed {
			return errClosed(c.op)
		}
		return errOffline(c.op)
	}
	if dc.BufferedAmount()+uint64(len(b)) > c.limit {
		return errFull(c.op)
	}
	if err := dc.Send(b); err != nil { // copies
		return fault.Wrap(err, fault.Offline, c.op, "There is no connection to the other computer right now.", "It comes back by itself.")
	}
	c.countSent(len(b))
	return nil
}

func (c *lane) Receive() <-chan []byte { return c.in }

func (c *lane) Buffered() int {
	if dc := c.dc.Load(); dc != nil {
		return int(dc.BufferedAmount())
	}
	return 0
}

func (c *lane) Writable(ctx context.Context, limit int) error {
	limit = max(limit, 0)
	for {
		ch := c.change.wait()
		dc := c.dc.Load()
		switch c.link.State() {
		case Closed:
			return errClosed(c.op)
		case Open:
			if dc == nil {
				break
			}
			if dc.BufferedAmount() <= uint64(limit) {
				return nil
			}
			done := c.lower(dc, limit)
			if dc.BufferedAmount() <= uint64(limit) { // fell before the threshold was set
				done()
				return nil
			}
			select {
			case <-ch:
				done()
				continue
			case <-ctx.Done():
				done()
				return ctx.Err()
			}
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lower sets the threshold at which the transport reports; the highest one of
// all waiters, the others look again.
func (c *lane) lower(dc *dataChannel, limit int) (done func()) {
	key := &limit
	c.mu.Lock()
	c.wait[key] = struct{}{}
	high := 0
	for w := range c.wait {
		high = max(high, *w)
	}
	c.mu.Unlock()
	dc.SetBufferedAmountLowThreshold(uint64(high))
	return func() {
		c.mu.Lock()
		delete(c.wait, key)
		c.mu.Unlock()
		c.change.wake() // whoever waited for less sets the threshold anew
	}
}

// open and shut are called by the Link's goroutine.
func (c *lane) open(dc *dataChannel) {
	c.drain()
	c.dc.Store(dc)
	c.change.wake()
}

func (c *lane) shut() {
	c.dc.Store(nil)
	c.change.wake()
}

// drain drops what the previous connection left; its callbacks have ended.
func (c *lane) drain() {
	for {
		select {
		case <-c.in:
		default:
			return
		}
	}
}

// Window of the control channel: messages and bytes that the peer's program has
// not taken yet. A receiver allows the same, so a larger backlog is Hostile.
const (
	windowMessages = 512
	windowBytes    = 1 << 20
)

var errWindow = errors.New("control window exceeded")

// stream is the control channel: a numbered stream that outlives connections.
type stream struct {
	counters
	link   *Link
	out    chan []byte
	wake   chan struct{} // capacity 1: rq is not empty
	change broadcast

	mu      sync.Mutex
	dc      *dataChannel // while open or stale
	closed  bool
	seq     uint64   // of the newest in unacked, or of the last that was acknowledged
	unacked [][]byte // data frames seq-len+1 .. seq
	bytes   int      // payload in unacked
	got     uint64   // highest received
	taken   uint64   // highest given to the program
	acked   uint64   // highest taken we told the peer
	rq      [][]byte // got-len+1 .. got, not given yet
	rbytes  int
	gen     int  // instances of the peer so far: what pump holds of an older one does not count
	armed   bool // an acknowledgement is due
}

func newStream(l *Link) *stream {
	return &stream{link: l, out: make(chan []byte), wake: make(chan struct{}, 1)}
}

func (s *stream) Send(b []byte) error {
	const op = "peer.control"
	if err := checkSize(op, b); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed(op)
	}
	if len(s.unacked) >= windowMessages || s.bytes+len(b) > windowBytes {
		return errFull(op)
	}
	s.seq++
	f := dataFrame(s.seq, b)
	s.unacked = append(s.unacked, f)
	s.bytes += len(b)
	s.countSent(len(b))
	if s.dc != nil {
		// A failure means that the connection is going: the frame is sent
		// again on the next.
		if err := s.dc.Send(f); err != nil {
			s.link.log.Debug("control message waits for the next connection", "cause", err)
		}
	}
	return nil
}

func (s *stream) Receive() <-chan []byte { return s.out }

func (s *stream) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

func (s *stream) Writable(ctx context.Context, limit int) error {
	for {
		ch := s.change.wait()
		switch s.link.State() {
		case Closed:
			return errClosed("peer.control")
		case Open:
			if s.Buffered() <= max(limit, 0) {
				return nil
			}
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// mark returns what a hello says of this stream.
func (s *stream) mark() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

// reset starts the numbering again for another instance of the peer. keep
// leaves what was never sent to anyone: the first instance of all.
func (s *stream) reset(keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.taken, s.acked, s.rq, s.rbytes = 0, 0, 0, nil, 0
	s.gen++
	if !keep {
		s.seq, s.unacked, s.bytes = 0, nil, 0
	}
}

// attach begins to use a connection: what the peer has not got is sent again.
func (s *stream) attach(dc *dataChannel, peerGot uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.forget(peerGot); err != nil {
		return err
	}
	s.dc = dc
	for _, f := range s.unacked {
		if err := dc.Send(f); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dc = nil
}

// forget drops frames up to n. mu is held.
func (s *stream) forget(n uint64) error {
	if n > s.seq {
		return errors.New("acknowledges what was not sent")
	}
	for len(s.unacked) > 0 && s.seq-uint64(len(s.unacked)) < n {
		s.bytes -= len(s.unacked[0]) - dataHead
		s.unacked[0] = nil
		s.unacked = s.unacked[1:]
	}
	s.change.wake()
	return nil
}

// confirmed handles an acknowledgement.
func (s *stream) confirmed(n uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forget(n)
}

// receive takes a data frame's payload, which the stream then owns.
func (s *stream) receive(seq uint64, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case seq <= s.got:
		return nil // sent again although it had arrived
	case seq != s.got+1:
		return errors.New("gap in the control stream")
	case len(s.rq) >= windowMessages || s.rbytes+len(b) > windowBytes:
		return errWindow
	}
	s.got = seq
	s.rq = append(s.rq, b)
	s.rbytes += len(b)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// told returns the mark to put into a heartbeat.
func (s *stream) told() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked, s.armed = s.taken, false
	return s.taken
}

// due reports whether the peer waits for an acknowledgement.
func (s *stream) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dc != nil && s.taken != s.acked
}

// pump gives received messages to the program, one by one, so that what counts
// as taken was taken. It ends with the Link.
func (s *stream) pump(done <-chan struct{}) {
	defer close(s.out)
	for {
		select {
		case <-s.wake:
		case <-done:
			return
		}
		for {
			s.mu.Lock()
			if len(s.rq) == 0 {
				s.mu.Unlock()
				break
			}
			b, gen := s.rq[0], s.gen
			s.mu.Unlock()
			select {
			case s.out <- b:
			case <-done:
				return
			}
			s.countGot(len(b))
			s.mu.Lock()
			arm := false
			if gen == s.gen {
				s.rq[0] = nil
				s.rq = s.rq[1:]
				s.rbytes -= len(b)
				s.taken++
				arm = !s.armed
				s.armed = true
			}
			s.mu.Unlock()
			if arm {
				s.link.do(s.link.armAck)
			}
		}
	}
}

func (s *stream) close() {
	s.mu.Lock()
	s.closed, s.dc = true, nil
	s.unacked, s.bytes = nil, 0
	s.mu.Unlock()
	s.change.wake()
}
