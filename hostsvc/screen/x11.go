//go:build linux || freebsd || openbsd || netbsd

package screen

import (
	"cmp"
	"encoding/binary"
	"errors"
	"image"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"daypass/backend/fault"

	sysv "github.com/gen2brain/shm"
	"github.com/kbinani/screenshot"
)

// Default returns the source of the desktop this process runs in: the X
// server of $DISPLAY. It fails with ErrWayland or ErrNoDisplay.
func Default(log *slog.Logger) (Source, error) {
	return openX11(os.Getenv("DISPLAY"), log)
}

// x11Source is a desktop under an X server.
type x11Source struct {
	display string
	log     *slog.Logger

	noShared bool // read through the floor; set before any Open

	randr extension // ok from 1.5 on

	mu sync.Mutex
	// mu guards all following
	conn     *xconn // nil after Close
	captures map[*x11Capture]struct{}
}

func openX11(display string, log *slog.Logger) (*x11Source, error) {
	if display == "" {
		if os.Getenv("WAYLAND_DISPLAY") != "" || os.Getenv("XDG_SESSION_TYPE") == "wayland" {
			return nil, ErrWayland
		}
		return nil, ErrNoDisplay
	}
	c, err := dialX(display, func([]byte) {})
	if err != nil {
		return nil, noDisplay(err)
	}
	s := &x11Source{display: display, log: log, conn: c, captures: map[*x11Capture]struct{}{}}
	if s.randr = c.extension("RANDR"); s.randr.ok {
		major, minor, err := c.version(s.randr, 1, 5)
		s.randr.ok = err == nil && (major > 1 || minor >= 5)
	}
	if s.isXwayland() {
		c.close()
		return nil, ErrWayland
	}
	return s, nil
}

// isXwayland reports whether the X server is only the compatibility layer of a
// Wayland desktop, which shows X programs and black.
func (s *x11Source) isXwayland() bool {
	const name = "XWAYLAND"
	if s.conn.extension(name).ok {
		return true
	}
	if !s.randr.ok {
		return false
	}
	mons, err := s.conn.monitors(s.randr)
	if err != nil {
		return false
	}
	for _, m := range mons {
		if strings.HasPrefix(s.conn.atomName(m.name), name) {
			return true
		}
	}
	return false
}

func (s *x11Source) Displays() ([]Display, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil, ErrNoDisplay
	}
	w, h, err := s.conn.size()
	if err != nil {
		return nil, noDisplay(err)
	}
	desktop := image.Rect(0, 0, w, h)
	var list []Display
	if s.randr.ok {
		mons, err := s.conn.monitors(s.randr)
		if err != nil {
			return nil, noDisplay(err)
		}
		for _, m := range mons {
			b := image.Rect(m.x, m.y, m.x+m.w, m.y+m.h).Intersect(desktop)
			if !b.Empty() {
				list = append(list, Display{ID: m.name, Name: s.conn.atomName(m.name), Bounds: b, Primary: m.primary, Scale: 1})
			}
		}
	}
	if len(list) == 0 {
		list = []Display{{ID: 1, Name: "Desktop", Bounds: desktop, Scale: 1}}
	}
	primary := max(slices.IndexFunc(list, func(d Display) bool { return d.Primary }), 0)
	for i := range list {
		list[i].Primary = i == primary
	}
	slices.SortStableFunc(list, func(a, b Display) int {
		if a.Primary != b.Primary {
			if a.Primary {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Bounds.Min.X, b.Bounds.Min.X), cmp.Compare(a.Bounds.Min.Y, b.Bounds.Min.Y))
	})
	return list, nil
}

func noDisplay(err error) error {
	return fault.Wrap(err, ErrNoDisplay.Kind, ErrNoDisplay.Op, ErrNoDisplay.Message, ErrNoDisplay.Hint)
}

// pick finds a display by id, 0 meaning the primary one.
func pick(list []Display, id uint32) (Display, error) {
	for _, d := range list {
		if d.ID == id || id == 0 && d.Primary {
			return d, nil
		}
	}
	return Display{}, fault.New(fault.NotFound, "screen.open", "This display is not connected any more.", "Choose another display.")
}

func (s *x11Source) Open(id uint32) (Capture, error) {
	list, err := s.Displays()
	if err != nil {
		return nil, err
	}
	d, err := pick(list, id)
	if err != nil {
		return nil, err
	}
	c, err := newX11Capture(s, d)
	if err != nil {
		return nil, err
	}
	// A change between the list and the capture's first event has no event.
	if list, err = s.Displays(); err != nil {
		c.shut()
		return nil, err
	}
	if now, err := pick(list, d.ID); err != nil || now != d {
		c.mu.Lock()
		c.changed = true
		c.mu.Unlock()
		c.signal()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		c.shut()
		return nil, ErrNoDisplay
	}
	s.captures[c] = struct{}{}
	return c, nil
}

func (s *x11Source) Close() error {
	s.mu.Lock()
	conn, caps := s.conn, s.captures
	s.conn, s.captures = nil, map[*x11Capture]struct{}{}
	s.mu.Unlock()
	for c := range caps {
		c.shut()
	}
	if conn != nil {
		conn.close()
	}
	return nil
}

// x11Capture watches one monitor over a connection of its own: XDamage says
// when and what, MIT-SHM reads it. Damage is reported as delta rectangles: the
// event itself carries the area, so a change is known without asking back, and
// an area that was reported stays silent until the next Grab subtracts it.
type x11Capture struct {
	src    *x11Source
	info   Display
	conn   *xconn
	ready  chan struct{}
	damage uint32  // the damage object
	logind *logind // nil: not asked

	// The extensions, once their versions were agreed.
	extDamage, extFixes, extShm, extRandr, extPower, extSaver extension

	grabbing sync.Mutex // held over every use of seg and data
	seg      uint32
	data     []byte // the shared segment, nil when kbinani reads instead
	floor    image.Point

	mu sync.Mutex
	// mu guards all following
	prepared bool // events count
	rects    []image.Rectangle
	taken    []image.Rectangle
	cursor   bool
	changed  bool
	state    error
	closed   bool

	done    chan struct{} // closed by shut
	stopped sync.WaitGroup
}

func newX11Capture(s *x11Source, d Display) (c *x11Capture, err error) {
	c = &x11Capture{src: s, info: d, ready: make(chan struct{}, 1), done: make(chan struct{})}
	if c.conn, err = dialX(s.display, c.event); err != nil {
		return nil, noDisplay(err)
	}
	if err = c.prepare(); err != nil {
		c.conn.close()
		c.release()
		return nil, err
	}
	state := c.look()
	c.mu.Lock()
	c.prepared = true
	c.rects = []image.Rectangle{{Max: d.Bounds.Size()}}
	c.cursor = true
	c.state = state
	c.mu.Unlock()
	c.signal()
	c.stopped.Add(1)
	go c.power()
	return c, nil
}

// prepare agrees on the extensions and asks for their events.
func (c *x11Capture) prepare() error {
	x := c.conn
	fail := func(what string, err error) error {
		return fault.Wrap(err, fault.Unsupported, "screen.open", "The remote computer's X server lacks "+what+", which Daypass needs to see the screen.", "Use another desktop session on that computer.")
	}
	use := func(e *extension, name string, major, minor uint32) error {
		*e = x.extension(name)
		if !e.ok {
			return fail(name, nil)
		}
		if _, _, err := x.version(*e, major, minor); err != nil {
			return fail(name, err)
		}
		return nil
	}
	if err := use(&c.extFixes, "XFIXES", 4, 0); err != nil {
		return err
	}
	if err := use(&c.extDamage, "DAMAGE", 1, 1); err != nil {
		return err
	}
	const (
		deltaRectangles = 1
		cursorNotify    = 1
		eventMask       = 1 << 11
		structureNotify = 1 << 17
		randrMask       = 1 | 2 | 4 // screen, crtc and output changes
	)
	c.damage = x.newID()
	if err := x.do(words(c.extDamage.major, 1, c.damage, x.root, deltaRectangles)); err != nil {
		return fail("DAMAGE", err)
	}
	if err := x.do(words(c.extFixes.major, 3, x.root, cursorNotify)); err != nil {
		return fail("XFIXES", err)
	}
	if err := x.do(words(2, 0, x.root, eventMask, structureNotify)); err != nil {
		return fail("the root window's events", err)
	}
	if c.src.randr.ok {
		if err := use(&c.extRandr, "RANDR", 1, 5); err != nil {
			return err
		}
		if err := x.do(words(c.extRandr.major, 4, x.root, randrMask)); err != nil {
			return fail("RANDR", err)
		}
	}
	c.initShared()
	if c.extPower = x.extension("DPMS"); c.extPower.ok {
		r, err := x.ask(words(c.extPower.major, 1))
		c.extPower.ok = err == nil && r[8] != 0
	}
	if c.extSaver = x.extension("MIT-SCREEN-SAVER"); c.extSaver.ok {
		_, err := x.ask(words(c.extSaver.major, 0, 1|1<<8))
		c.extSaver.ok = err == nil
	}
	c.logind = openLogind()
	return nil
}

// initShared prepares the persistent segment; without it kbinani reads.
func (c *x11Capture) initShared() {
	err := errors.New("pixel format")
	if c.conn.plain && !c.src.noShared {
		err = c.attach()
	}
	if err == nil {
		return
	}
	c.src.log.Warn("screen: no shared memory with the X server, capture will be slow", "cause", err)
	// kbinani counts from the first Xinerama screen.
	if e := c.conn.extension("XINERAMA"); e.ok {
		if r, err := c.conn.ask(words(e.major, 5)); err == nil && len(r) >= 36 {
			c.floor = image.Pt(int(int16(binary.LittleEndian.Uint16(r[32:]))), int(int16(binary.LittleEndian.Uint16(r[34:]))))
		}
	}
}

func (c *x11Capture) attach() error {
	if c.extShm = c.conn.extension("MIT-SHM"); !c.extShm.ok {
		return errors.New("no MIT-SHM")
	}
	id, err := sysv.Get(sysv.IPC_PRIVATE, area(c.info.Bounds)*4, sysv.IPC_CREAT|0o600)
	if err != nil {
		return err
	}
	data, err := sysv.At(id, 0, 0)
	if err != nil {
		return errors.Join(err, sysv.Rm(id))
	}
	seg := c.conn.newID()
	err = c.conn.do(words(c.extShm.major, 1, seg, uint32(id), 0))
	// Marked for removal once both sides are attached: nothing stays behind
	// however this process ends.
	if e := sysv.Rm(id); err == nil {
		err = e
	}
	if err != nil {
		return errors.Join(err, sysv.Dt(data))
	}
	c.seg, c.data = seg, data
	return nil
}

func (c *x11Capture) Display() Display       { return c.info }
func (c *x11Capture) Ready() <-chan struct{} { return c.ready }

func (c *x11Capture) signal() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// event turns one event of the server into damage; nil is the connection's end.
// The connection's reading goroutine calls it.
func (c *x11Capture) event(ev []byte) {
	le := binary.LittleEndian
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.prepared || c.closed:
		// Before, everything counts as damaged at the end.
		return
	case ev == nil:
		c.state, c.changed = ErrNoDisplay, true
	case ev[0]&0x7f == c.extDamage.event:
		at := image.Pt(int(int16(le.Uint16(ev[16:]))), int(int16(le.Uint16(ev[18:]))))
		r := image.Rectangle{Min: at, Max: at.Add(image.Pt(int(le.Uint16(ev[20:])), int(le.Uint16(ev[22:]))))}
		r = r.Intersect(c.info.Bounds).Sub(c.info.Bounds.Min)
		if r.Empty() {
			return
		}
		c.rects = Add(c.rects, r)
	case ev[0]&0x7f == c.extFixes.event+1:
		c.cursor = true
	case c.extRandr.ok && (ev[0]&0x7f == c.extRandr.event || ev[0]&0x7f == c.extRandr.event+1):
		c.changed = true
	case ev[0]&0x7f == 22 && le.Uint32(ev[8:]) == c.conn.root: // ConfigureNotify
		c.changed = true
	default:
		return
	}
	c.signal()
}

// power looks now and then whether the display sleeps or is locked: neither
// has an event of its own everywhere.
func (c *x11Capture) power() {
	defer c.stopped.Done()
	t := time.NewTicker(2 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-t.C:
			c.check()
		}
	}
}

// look asks whether the picture is true.
func (c *x11Capture) look() error {
	if c.extPower.ok {
		r, err := c.conn.ask(words(c.extPower.major, 7))
		if err == nil && r[10] != 0 && binary.LittleEndian.Uint16(r[8:]) != 0 {
			return ErrOff
		}
	}
	if c.extSaver.ok {
		r, err := c.conn.ask(words(c.extSaver.major, 1, c.conn.root))
		if err == nil && r[1] == 1 {
			return ErrOff
		}
	}
	if c.logind.locked() {
		return ErrLocked
	}
	return nil
}

func (c *x11Capture) check() {
	state := c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(c.state, ErrNoDisplay) && c.changed || errors.Is(c.state, state) {
		return
	}
	if state == nil {
		// Nobody may have drawn anew what is visible again.
		c.rects = Add(c.rects, image.Rectangle{Max: c.info.Bounds.Size()})
	}
	c.state = state
	c.signal()
}

func (c *x11Capture) Take() Damage {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken, c.rects = c.rects, c.taken[:0]
	d := Damage{Rects: c.taken, Cursor: c.cursor, Changed: c.changed, State: c.state}
	c.cursor, c.changed = false, false
	return d
}

func (c *x11Capture) Grab(dst *Frame, rects []image.Rectangle) error {
	c.grabbing.Lock()
	defer c.grabbing.Unlock()
	if c.isClosed() {
		return ErrNoDisplay
	}
	if c.data == nil {
		if err := c.conn.do(words(c.extDamage.major, 3, c.damage, 0, 0)); err != nil {
			return noDisplay(err)
		}
		return c.grabFloor(dst, rects)
	}
	for _, r := range rects {
		if r.Empty() || !r.In(dst.Bounds()) || area(r)*4 > len(c.data) {
			return changedErr(nil)
		}
	}
	for first := true; len(rects) > 0; first = false {
		n, err := c.grabBatch(dst, rects, first)
		if err != nil {
			if c.isClosed() || errors.Is(err, errXClosed) {
				return ErrNoDisplay
			}
			return changedErr(err)
		}
		rects = rects[n:]
	}
	return nil
}

// grabBatch reads as many rectangles as the segment holds with one write to the
// server. The first batch subtracts the damage just before it reads: from there
// on every change is reported again, and nothing can slip between.
func (c *x11Capture) grabBatch(dst *Frame, rects []image.Rectangle, subtract bool) (int, error) {
	const allPlanes, zPixmap = 0xffffffff, 2
	var calls [maxRects]*xcall
	var at [maxRects]int
	o := c.info.Bounds.Min
	n, used := 0, 0
	x := c.conn
	x.mu.Lock()
	if subtract {
		x.put(words(c.extDamage.major, 3, c.damage, 0, 0), false, false)
	}
	for n < len(rects) && n < maxRects && used+area(rects[n])*4 <= len(c.data) {
		r := rects[n]
		pos := uint32(uint16(o.X+r.Min.X)) | uint32(uint16(o.Y+r.Min.Y))<<16
		calls[n] = x.put(words(c.extShm.major, 4, x.root, pos, uint32(r.Dx())|uint32(r.Dy())<<16, allPlanes, zPixmap, c.seg, uint32(used)), true, false)
		at[n] = used
		used += area(r) * 4
		n++
	}
	err := x.flush()
	x.mu.Unlock()
	if err != nil {
		return 0, errXClosed
	}
	for i := range n {
		if _, e := calls[i].wait(); e != nil {
			err = e
		} else if err == nil {
			copyIn(dst, rects[i], c.data[at[i]:])
		}
	}
	return n, err
}

func changedErr(err error) error {
	return fault.Wrap(err, fault.Conflict, "screen.grab", "The display changed its size.", "The picture is opened again by itself.")
}

// copyIn copies a ZPixmap of r's size into dst, dropping the padding byte.
func copyIn(dst *Frame, r image.Rectangle, data []byte) {
	w := r.Dx()
	src := unsafe.Slice((*uint32)(unsafe.Pointer(&data[0])), w*r.Dy())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := dst.Row(y, r.Min.X, r.Max.X)
		s := src[:len(row)]
		for i, v := range s {
			row[i] = v & 0xffffff
		}
		src = src[w:]
	}
}

// grabFloor reads through kbinani, which opens the display of the environment
// for each call.
func (c *x11Capture) grabFloor(dst *Frame, rects []image.Rectangle) error {
	if c.src.display != os.Getenv("DISPLAY") {
		return ErrNoDisplay
	}
	o := c.info.Bounds.Min.Sub(c.floor)
	for _, r := range rects {
		if !r.In(dst.Bounds()) || r.Empty() {
			return changedErr(nil)
		}
		m, err := screenshot.Capture(o.X+r.Min.X, o.Y+r.Min.Y, r.Dx(), r.Dy())
		if err != nil {
			return noDisplay(err)
		}
		copyRGBA(dst, r, m)
	}
	return nil
}

func (c *x11Capture) Cursor() (Cursor, error) {
	if c.isClosed() {
		return Cursor{}, ErrNoDisplay
	}
	r, err := c.conn.ask(words(c.extFixes.major, 4))
	if err != nil {
		return Cursor{}, noDisplay(err)
	}
	le := binary.LittleEndian
	cur := Cursor{Size: image.Pt(int(le.Uint16(r[12:])), int(le.Uint16(r[14:]))), Hot: image.Pt(int(le.Uint16(r[16:])), int(le.Uint16(r[18:])))}
	if len(r) < 32+cur.Size.X*cur.Size.Y*4 || cur.Size.X == 0 || cur.Size.Y == 0 {
		return Cursor{}, nil
	}
	cur.Hot.X, cur.Hot.Y = min(cur.Hot.X, cur.Size.X-1), min(cur.Hot.Y, cur.Size.Y-1)
	cur.RGBA = make([]byte, cur.Size.X*cur.Size.Y*4)
	opaque := false
	for i := range cur.Size.X * cur.Size.Y {
		v := le.Uint32(r[32+4*i:])
		a := v >> 24
		if a == 0 {
			continue
		}
		opaque = true
		straight := func(p uint32) byte { return byte(min(255, ((p&255)*255+a/2)/a)) }
		*(*[4]byte)(cur.RGBA[i*4:]) = [4]byte{straight(v >> 16), straight(v >> 8), straight(v), byte(a)}
	}
	if !opaque {
		return Cursor{}, nil
	}
	return cur, nil
}

func (c *x11Capture) Pointer() (image.Point, bool, error) {
	if c.isClosed() {
		return image.Point{}, false, ErrNoDisplay
	}
	r, err := c.conn.ask(words(38, 0, c.conn.root))
	if err != nil {
		return image.Point{}, false, noDisplay(err)
	}
	p := image.Pt(int(int16(binary.LittleEndian.Uint16(r[16:]))), int(int16(binary.LittleEndian.Uint16(r[18:]))))
	return p.Sub(c.info.Bounds.Min), r[1] != 0 && p.In(c.info.Bounds), nil
}

func (c *x11Capture) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// release gives the segment back; grabbing is held or nobody else knows c.
func (c *x11Capture) release() {
	if c.data != nil {
		if err := sysv.Dt(c.data); err != nil {
			c.src.log.Warn("screen: shared memory not released", "cause", err)
		}
		c.data = nil
	}
	c.logind.close()
}

// shut ends the capture and waits for its goroutines.
func (c *x11Capture) shut() {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if was {
		return
	}
	close(c.done)
	c.conn.close()
	c.stopped.Wait()
	c.grabbing.Lock()
	defer c.grabbing.Unlock()
	c.release()
	c.signal()
}

func (c *x11Capture) Close() error {
	c.src.mu.Lock()
	delete(c.src.captures, c)
	c.src.mu.Unlock()
	c.shut()
	return nil
}

var (
	_ Source  = (*x11Source)(nil)
	_ Capture = (*x11Capture)(nil)
)
