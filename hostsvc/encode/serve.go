package encode

import (
	"context"
	"errors"
	"image"
	"log/slog"
	"math/rand/v2"
	"time"

	"daypass/backend/fault"
	"daypass/backend/wire"
	"daypass/hostsvc/screen"
)

const (
	// The pointer is looked at this often: while it moves, and while it rests.
	pointerBusy = 50 * time.Millisecond
	pointerIdle = 250 * time.Millisecond
	// reopenEvery is how often a capture that failed is tried again.
	reopenEvery = time.Second
	// stallTime without any acknowledgement, with nothing left to hand to the
	// network, means that the connection lost what was under way.
	stallTime = 3 * time.Second

	// A program draws one change with several requests, often a fraction of a
	// millisecond apart. They are one update: a second one would be shown a
	// whole frame of the console's window later. Damage is captured when none
	// came for quietTime, and at the latest settleTime after its first.
	quietTime  = 600 * time.Microsecond
	settleTime = 2500 * time.Microsecond
)

// Serve watches a display of src (0: the primary one) and sends its picture to
// out until ctx ends. feedback carries the console's messages of the Picture
// channel; Serve owns what it receives. It is the whole host half of the
// picture path: one goroutine, the caller's. It begins with the console's
// hello, follows changes of resolution and of displays by itself, falling back
// to the primary display, starts again after the connection was away, and says
// pauses (locked, off) to the console. The error is ctx's, or a *fault.Error:
// ErrWayland when capture cannot work at all, Hostile when the console broke
// the protocol, Offline when feedback was closed.
func Serve(ctx context.Context, src screen.Source, display uint32, out Sender, feedback <-chan []byte, log *slog.Logger) error {
	s := &server{src: src, display: display, out: out, log: log, motion: &jpegCodec{}, stream: rand.Uint32()}
	defer s.close()
	return s.run(ctx, feedback)
}

// server is the state of one Serve; its goroutine owns all of it.
type server struct {
	src     screen.Source
	display uint32
	out     Sender
	log     *slog.Logger
	motion  MotionCodec

	cap     screen.Capture // nil while there is none
	enc     *encoder       // nil while there is none
	shown   screen.Display
	retryAt time.Time // open again then, when cap is nil

	hello   bool   // the console is there and wants a picture
	offered uint32 // motion codecs it decodes; without ours all is lossless
	begin   bool   // a new stream is due
	stream  uint32 // begins anywhere: another Serve before may have used 1
	seq     uint32
	flow    flow
	retries int // streams begun since the last acknowledgement

	damage []image.Rectangle // not yet captured
	began  time.Time         // of the damage: its first event
	latest time.Time         // of the damage: its last event
	left   []image.Rectangle // captured, and not yet encoded

	state   wire.PictureState
	told    wire.PictureState
	cursor  bool // its shape is to be sent
	pointer wire.PicturePointer
	moved   time.Time // of the pointer
	lookAt  time.Time // at the pointer, next

	msg []byte
}

func (s *server) close() {
	if s.cap != nil {
		if err := s.cap.Close(); err != nil {
			s.log.Warn("picture: capture not closed", "cause", err)
		}
		s.cap = nil
	}
}

func (s *server) run(ctx context.Context, feedback <-chan []byte) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next, err := s.step(time.Now())
		if err != nil {
			return err
		}
		var ready <-chan struct{}
		if s.cap != nil {
			ready = s.cap.Ready()
		}
		timer.Reset(max(time.Until(next), 0))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m, ok := <-feedback:
			for ok {
				if err := s.heard(m); err != nil {
					return err
				}
				select {
				case m, ok = <-feedback:
					continue
				default:
				}
				break
			}
			if !ok {
				return fault.New(fault.Offline, "picture.serve", "The console is gone.", "")
			}
		case <-ready:
			s.take()
		case <-timer.C:
		}
	}
}

// heard handles one message of the console.
func (s *server) heard(m []byte) error {
	switch wire.PictureMessageKind(m) {
	case wire.PictureHelloKind:
		h, err := wire.ParsePictureHello(m)
		if err != nil {
			return err
		}
		s.offered = h.Motion
		s.hello, s.begin = true, true
	case wire.PictureRefreshKind:
		r, err := wire.ParsePictureRefresh(m)
		if err != nil {
			return err
		}
		// One that asks for the stream before this one was answered already.
		if r.Stream == s.stream {
			s.begin = true
		}
	case wire.PictureAckKind:
		a, err := wire.ParsePictureAck(m)
		if err != nil {
			return err
		}
		if a.Stream != s.stream {
			return nil
		}
		s.retries = 0
		if !s.flow.ack(a.Seq, time.Now()) {
			return fault.New(fault.Hostile, "picture.serve", "The console broke the picture protocol.", "Open the remote view again.")
		}
	default:
		return fault.New(fault.Hostile, "picture.serve", "The console broke the picture protocol.", "Open the remote view again.")
	}
	return nil
}

// take collects what the capture noticed.
func (s *server) take() {
	d := s.cap.Take()
	if len(d.Rects) > 0 {
		s.latest = time.Now()
		if len(s.damage) == 0 {
			s.began = s.latest
		}
	}
	for _, r := range d.Rects {
		s.damage = screen.Add(s.damage, r)
	}
	s.cursor = s.cursor || d.Cursor
	s.state = stateOf(d.State)
	if d.Changed || s.state == wire.PictureNoDisplay {
		s.drop(time.Time{})
	}
}

func stateOf(err error) wire.PictureState {
	switch {
	case err == nil:
		return wire.PictureLive
	case errors.Is(err, screen.ErrLocked):
		return wire.PictureLocked
	case errors.Is(err, screen.ErrOff):
		return wire.PictureOff
	case errors.Is(err, screen.ErrNoDisplay):
		return wire.PictureNoDisplay
	}
	return wire.PictureFailed
}

// drop gives the capture up; it is opened again not before retry.
func (s *server) drop(retry time.Time) {
	s.close()
	s.retryAt = retry
	s.damage, s.left = s.damage[:0], s.left[:0]
}

// open opens the display, or the primary one when it is gone.
func (s *server) open(now time.Time) error {
	c, err := s.src.Open(s.display)
	if fault.KindOf(err) == fault.NotFound {
		c, err = s.src.Open(0)
	}
	if err != nil {
		if errors.Is(err, screen.ErrWayland) {
			return err
		}
		s.state = stateOf(err)
		s.retryAt = now.Add(reopenEvery)
		return nil
	}
	d := c.Display()
	w, h := d.Bounds.Dx(), d.Bounds.Dy()
	if !wire.ValidPictureSize(w, h) {
		_ = c.Close()
		s.state = wire.PictureFailed
		s.retryAt = now.Add(reopenEvery)
		return nil
	}
	s.cap, s.shown = c, d
	if s.enc == nil || s.enc.cur.W != w || s.enc.cur.H != h {
		if s.enc, err = newEncoder(w, h); err != nil {
			return err
		}
	}
	s.begin, s.cursor = true, true
	s.take()
	return nil
}

// step does all that can be done now and returns when it wants to be called
// again if nothing happens.
func (s *server) step(now time.Time) (next time.Time, err error) {
	next = now.Add(time.Hour)
	if !s.hello {
		return next, nil
	}
	if s.cap == nil {
		if now.Before(s.retryAt) {
			s.tellState()
			return s.retryAt, nil
		}
		if err := s.open(now); err != nil {
			return next, err
		}
		if s.cap == nil {
			s.tellState()
			return s.retryAt, nil
		}
	}
	if !s.tellState() {
		return s.away(now), nil
	}
	if s.begin && !s.beginStream() {
		return s.away(now), nil
	}
	if s.cursor && !s.sendCursor() {
		return s.away(now), nil
	}
	if d, ok := s.sendUpdate(now); !ok {
		return s.away(now), nil
	} else if d > 0 {
		next = now.Add(d)
	}
	if s.cap == nil {
		return now, nil
	}
	if !now.Before(s.lookAt) && !s.sendPointer(now) {
		return s.away(now), nil
	}
	next = earlier(next, s.lookAt)
	if len(s.flow.open) > 0 {
		stall := s.flow.open[0].at.Add(stallTime << min(s.retries, 4))
		if !now.Before(stall) && s.out.Buffered() == 0 {
			s.log.Info("picture: no acknowledgement, beginning again")
			s.begin = true
			s.retries++
			return now, nil
		}
		if now.Before(stall) {
			next = earlier(next, stall)
		} else {
			next = earlier(next, now.Add(stallTime))
		}
	}
	return next, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// away notes that the connection refused a message: all begins again.
func (s *server) away(now time.Time) time.Time {
	s.begin = true
	s.told = wire.PictureLive
	return now.Add(reopenEvery)
}

func (s *server) tellState() bool {
	if s.state == s.told {
		return true
	}
	s.msg = wire.AppendPictureState(s.msg[:0], s.state)
	if s.out.Send(s.msg) != nil {
		return false
	}
	s.told = s.state
	return true
}

// beginStream sends a config and makes everything damaged.
func (s *server) beginStream() bool {
	s.stream++
	s.seq = 0
	s.flow.reset()
	s.msg = wire.AppendPictureConfig(s.msg[:0], wire.PictureConfig{
		Width: s.enc.cur.W, Height: s.enc.cur.H, Motion: s.motion.ID(), Stream: s.stream, Display: s.shown.ID,
	})
	if s.out.Send(s.msg) != nil {
		return false
	}
	s.enc.restart()
	s.enc.motion = nil
	if s.offered&(1<<s.motion.ID()) != 0 {
		s.enc.motion = s.motion
	}
	s.begin, s.cursor = false, true
	s.pointer = wire.PicturePointer{}
	s.lookAt = time.Time{}
	s.damage = append(s.damage[:0], s.enc.cur.Bounds())
	s.left = s.left[:0]
	return true
}

// sendUpdate captures, encodes and sends what changed, if the window has room.
// It returns how long to wait when only time is missing, 0 when an event will
// come (damage or an acknowledgement).
func (s *server) sendUpdate(now time.Time) (time.Duration, bool) {
	refineAt, lossy := s.enc.nextRefine()
	refine := lossy && !now.Before(refineAt)
	if len(s.damage) == 0 && len(s.left) == 0 && !refine && s.seq > 0 {
		if lossy {
			return refineAt.Sub(now), true
		}
		return 0, true
	}
	room := s.flow.room()
	if b := s.out.Buffered(); b > 0 {
		room = min(room, s.flow.window()-b)
	}
	if room <= 0 {
		if len(s.flow.open) == 0 {
			return updateEvery, true // only the network's queue is full
		}
		return 0, true
	}
	if d := s.settling(now); d > 0 {
		return d, true
	}
	// What is left of a frame goes on at once.
	free := len(s.left) > 0 && len(s.damage) == 0
	if d := s.flow.wait(now); d > 0 && !free {
		return d, true
	}
	rects := s.left
	if len(s.damage) > 0 {
		if err := s.cap.Grab(s.enc.cur, s.damage); err != nil {
			s.log.Debug("picture: grab failed", "cause", err)
			if fault.KindOf(err) != fault.Conflict {
				s.state = stateOf(err)
			}
			s.drop(now.Add(updateEvery))
			return updateEvery, true
		}
		for _, r := range s.damage {
			rects = screen.Add(rects, r)
		}
		s.damage = s.damage[:0]
	}
	grabbed := time.Now()
	s.enc.thin = s.flow.thin()
	u, rest, ok, err := s.enc.encode(rects, grabbed, min(max(room, minWindow), maxUpdate), refine, s.seq == 0, s.pressing)
	if err != nil {
		s.log.Warn("picture: encoder failed", "cause", err)
		s.begin = true
		return updateEvery, true
	}
	s.left = append(s.left[:0], rest...)
	if !ok {
		return s.soon(), true
	}
	done := time.Now()
	if u.motion {
		s.enc.quality = s.flow.quality(s.enc.quality)
	}
	s.seq++
	head := wire.PictureUpdate{
		Packed: uint32(len(u.packed)), Plain: uint32(u.plain), Aside: uint32(len(u.aside)),
		Capture: micros(grabbed.Sub(now)), Encode: micros(done.Sub(grabbed)), RTT: micros(s.flow.rtt),
	}
	s.flow.sent(s.seq, u.size()+wire.PictureFirstSize, done, free)
	if !s.sendParts(head, u) {
		return 0, false
	}
	return s.soon(), true
}

// settling is how long to wait for more of the damage that came just now.
func (s *server) settling(now time.Time) time.Duration {
	if len(s.damage) == 0 || s.seq == 0 {
		return 0
	}
	return min(s.latest.Add(quietTime).Sub(now), s.began.Add(settleTime).Sub(now))
}

// pressing reports whether the display changed while an update is encoded,
// elsewhere than in the moving regions that are left of it: a film's next
// frame is no reason to tear this one.
func (s *server) pressing(left []image.Rectangle) bool {
	if s.cap == nil || len(s.cap.Ready()) == 0 {
		return false
	}
	<-s.cap.Ready()
	s.take()
	if s.cap == nil {
		return true
	}
	box := image.Rectangle{}
	for _, r := range left {
		box = box.Union(r)
	}
	for _, r := range s.damage {
		if !r.In(box) {
			return true
		}
	}
	return false
}

// soon is when the next update may go if something is left already.
func (s *server) soon() time.Duration {
	if len(s.left) > 0 {
		return time.Nanosecond
	}
	if at, ok := s.enc.nextRefine(); ok {
		return max(time.Until(at), time.Millisecond)
	}
	return 0
}

func micros(d time.Duration) uint32 { return uint32(min(max(d.Microseconds(), 0), 1<<31)) }

// sendParts cuts an update into messages.
func (s *server) sendParts(head wire.PictureUpdate, u update) bool {
	a, b := u.packed, u.aside
	for i := 0; ; i++ {
		p := wire.PicturePart{First: i == 0, Index: uint16(i), Stream: s.stream, Seq: s.seq, Update: head}
		room := wire.MaxPictureMessage - wire.PicturePartSize
		if p.First {
			room = wire.MaxPictureMessage - wire.PictureFirstSize
		}
		x := a[:min(room, len(a))]
		a = a[len(x):]
		y := b[:min(room-len(x), len(b))]
		b = b[len(y):]
		p.Last = len(a)+len(b) == 0
		p.Payload = x
		s.msg = append(wire.AppendPicturePart(s.msg[:0], p), y...)
		if s.out.Send(s.msg) != nil {
			return false
		}
		if p.Last {
			return true
		}
	}
}

// sendCursor sends the cursor's shape. A system that cannot tell it sends none.
func (s *server) sendCursor() bool {
	s.cursor = false
	c, err := s.cap.Cursor()
	if err != nil {
		s.log.Debug("picture: no cursor", "cause", err)
		return true
	}
	c = fit(c)
	s.msg = wire.AppendPictureShape(s.msg[:0], wire.PictureShape{Width: c.Size.X, Height: c.Size.Y, HotX: c.Hot.X, HotY: c.Hot.Y, RGBA: c.RGBA})
	return s.out.Send(s.msg) == nil
}

// fit shrinks a cursor that is larger than the protocol's by whole factors.
func fit(c screen.Cursor) screen.Cursor {
	k := (max(c.Size.X, c.Size.Y) + wire.MaxPictureCursor - 1) / wire.MaxPictureCursor
	if k <= 1 {
		return c
	}
	o := screen.Cursor{Size: image.Pt(c.Size.X/k, c.Size.Y/k)}
	if o.Size.X == 0 || o.Size.Y == 0 {
		return screen.Cursor{}
	}
	o.Hot = image.Pt(min(c.Hot.X/k, o.Size.X-1), min(c.Hot.Y/k, o.Size.Y-1))
	o.RGBA = make([]byte, 0, o.Size.X*o.Size.Y*4)
	for y := range o.Size.Y {
		for x := range o.Size.X {
			i := (y*k*c.Size.X + x*k) * 4
			o.RGBA = append(o.RGBA, c.RGBA[i:i+4]...)
		}
	}
	return o
}

// sendPointer looks where the pointer is and says it when it moved.
func (s *server) sendPointer(now time.Time) bool {
	p, ok, err := s.cap.Pointer()
	if err != nil {
		s.lookAt = now.Add(pointerIdle)
		return true
	}
	ptr := wire.PicturePointer{Visible: ok}
	if ok {
		ptr.X, ptr.Y = uint16(p.X), uint16(p.Y)
	}
	if ptr != s.pointer {
		s.msg = wire.AppendPicturePointer(s.msg[:0], ptr)
		if s.out.Send(s.msg) != nil {
			return false
		}
		s.pointer, s.moved = ptr, now
	}
	every := pointerIdle
	if now.Sub(s.moved) < time.Second {
		every = pointerBusy
	}
	s.lookAt = now.Add(every)
	return true
}
