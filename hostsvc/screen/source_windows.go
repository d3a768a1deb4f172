package screen

import (
	"errors"
	"image"
	"log/slog"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"daypass/backend/fault"

	"golang.org/x/sys/windows"
)

// Default returns the source of the desktop this process runs in. Each capture
// reads by Desktop Duplication where the system lets it, else by GDI, and
// changes between them as the desktop does.
func Default(log *slog.Logger) (Source, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &winSource{log: log, captures: map[*winCapture]struct{}{}}, nil
}

type winSource struct {
	log *slog.Logger
	// floor leaves Desktop Duplication out; for tests.
	floor bool

	mu sync.Mutex
	// mu guards all following
	closed   bool
	captures map[*winCapture]struct{}
}

// monitors calls back into Go, of which the process has a fixed number: one for
// all, under a lock.
var monitors struct {
	sync.Mutex
	list []Display
	back uintptr
}

func listMonitors() ([]Display, error) {
	monitors.Lock()
	defer monitors.Unlock()
	if monitors.back == 0 {
		monitors.back = windows.NewCallback(func(h, _, _, _ uintptr) uintptr {
			in := monitorInfo{size: uint32(unsafe.Sizeof(monitorInfo{}))}
			if ok, _, _ := procMonitorInfo.Call(h, uintptr(unsafe.Pointer(&in))); ok == 0 {
				return 1
			}
			d := Display{Name: windows.UTF16ToString(in.device[:]), Bounds: in.monitor.image(), Primary: in.flags&monitorPrimary != 0, Scale: scaleOf(h)}
			d.ID = idOf(d.Name)
			if !d.Bounds.Empty() {
				monitors.list = append(monitors.list, d)
			}
			return 1
		})
	}
	monitors.list = nil
	if ok, _, err := procEnumMonitors.Call(0, 0, monitors.back, 0); ok == 0 {
		return nil, fault.Wrap(err, fault.Unsupported, ErrNoDisplay.Op, ErrNoDisplay.Message, ErrNoDisplay.Hint)
	}
	if len(monitors.list) == 0 {
		return nil, ErrNoDisplay
	}
	return primaryFirst(monitors.list), nil
}

// scaleOf returns how many pixels of a monitor make one of the user's.
func scaleOf(monitor uintptr) float64 {
	if procDpiForMonitor.Find() != nil { // before Windows 8.1
		return 1
	}
	var x, y uint32
	if hr, _, _ := procDpiForMonitor.Call(monitor, dpiEffective, uintptr(unsafe.Pointer(&x)), uintptr(unsafe.Pointer(&y))); hr != 0 || x == 0 {
		return 1
	}
	return float64(x) / 96
}

func (s *winSource) Displays() ([]Display, error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, ErrNoDisplay
	}
	return listMonitors()
}

func (s *winSource) Open(id uint32) (Capture, error) {
	list, err := s.Displays()
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		if d.ID != id && (id != 0 || !d.Primary) {
			continue
		}
		c := &winCapture{
			src: s, info: d, ready: make(chan struct{}, 1), done: make(chan struct{}),
			last: NewFrame(d.Bounds.Dx(), d.Bounds.Dy()), cursor: true,
		}
		c.rects = []image.Rectangle{c.last.Bounds()}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, ErrNoDisplay
		}
		s.captures[c] = struct{}{}
		s.mu.Unlock()
		first := make(chan error, 1)
		c.stopped.Go(func() { c.run(first) })
		if err := <-first; err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return c, nil
	}
	return nil, fault.New(fault.NotFound, "screen.open", "This display is not connected any more.", "Choose another display.")
}

func (s *winSource) Close() error {
	s.mu.Lock()
	s.closed = true
	caps := s.captures
	s.captures = map[*winCapture]struct{}{}
	s.mu.Unlock()
	for c := range caps {
		c.shut()
	}
	return nil
}

// grabber is one way to read a display. The OS thread that made it uses it.
type grabber interface {
	// next waits, at most for wait, until something changed and copies it into
	// frame, which is what the grabber read before. It returns the changed
	// areas, few or many. errLost says that it has to be made anew.
	next(frame *Frame, wait time.Duration) ([]image.Rectangle, error)
	// name is for the log.
	name() string
	close()
}

// errLost says that a way of reading ended with the desktop it read: it was
// switched, its mode was changed, or a program took the whole display.
var errLost = errors.New("screen: the desktop was switched")

// winCapture reads one display in a goroutine of its own, which stays on one OS
// thread: a thread belongs to a desktop.
type winCapture struct {
	src   *winSource
	info  Display
	ready chan struct{}

	mu sync.Mutex
	// mu guards all following
	last    *Frame // what was read
	rects   []image.Rectangle
	taken   []image.Rectangle
	cursor  bool
	shape   uintptr // the cursor's handle at the last look
	changed bool
	state   error
	closed  bool

	done    chan struct{}
	stopped sync.WaitGroup
}

func (c *winCapture) Display() Display       { return c.info }
func (c *winCapture) Ready() <-chan struct{} { return c.ready }

const (
	lookEvery  = 500 * time.Millisecond // at the desktop's name and the display's place
	betterTry  = 15 * time.Second       // Desktop Duplication again after it was refused
	waitAtMost = 100 * time.Millisecond // so that a close is quick
)

// run reads until it is closed; first gets the first outcome.
func (c *winCapture) run(first chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread, moved to some desktop, ends with the goroutine
	var (
		desk   desktop
		g      grabber
		looked time.Time
		better time.Time
		next   = NewFrame(c.last.W, c.last.H)
	)
	defer func() {
		if g != nil {
			g.close()
		}
	}()
	answer := func(err error) {
		if first != nil {
			first <- err
			first = nil
		}
	}
	for {
		select {
		case <-c.done:
			answer(ErrNoDisplay)
			return
		default:
		}
		now := time.Now()
		if now.Sub(looked) >= lookEvery {
			looked = now
			moved, err := desk.follow()
			if errors.Is(err, errProtected) {
				if g != nil {
					g.close()
					g = nil
				}
				answer(nil)
				c.note(nil, ErrLocked, false)
				looked = time.Time{}
				if !c.pause(200 * time.Millisecond) {
					return
				}
				continue
			}
			if err != nil {
				c.src.log.Debug("desktop not followed", "cause", err)
			}
			if moved {
				c.src.log.Debug("desktop", "name", desk.name)
			}
			if (moved || g != nil && g.name() == "gdi" && !c.src.floor && now.After(better)) && g != nil {
				// Made anew, while the last picture stays.
				g.close()
				g = nil
			}
			if !c.samePlace() {
				answer(nil)
				c.note(nil, nil, true)
				if !c.pause(lookEvery) {
					return
				}
				continue
			}
		}
		if g == nil {
			g, better = c.open(now)
			if g == nil {
				answer(nil)
				c.note(nil, ErrLocked, false)
				looked = time.Time{}
				if !c.pause(200 * time.Millisecond) {
					return
				}
				continue
			}
			c.src.log.Debug("screen read", "by", g.name(), "display", c.info.Name)
		}
		rects, err := g.next(next, waitAtMost)
		if err != nil {
			c.src.log.Debug("screen not read", "by", g.name(), "cause", err)
			g.close()
			g, looked = nil, time.Time{}
			if !errors.Is(err, errLost) {
				// The secure desktop (a locked session, a question for an
				// administrator) cannot be read by this process.
				answer(nil)
				c.note(nil, ErrLocked, false)
				if !c.pause(200 * time.Millisecond) {
					return
				}
			}
			continue
		}
		c.take(next, rects)
		answer(nil)
	}
}

// open makes the best grabber there is now; a nil one says there is none. The
// time is when a better one is worth a try.
func (c *winCapture) open(now time.Time) (grabber, time.Time) {
	if !c.src.floor {
		g, err := newDuplication(c.info)
		if err == nil {
			return g, time.Time{}
		}
		c.src.log.Debug("no desktop duplication", "cause", err)
	}
	g, err := newGDI(c.info.Bounds)
	if err != nil {
		c.src.log.Debug("no GDI", "cause", err)
		return nil, now
	}
	return g, now.Add(betterTry)
}

func (c *winCapture) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.done:
		return false
	case <-t.C:
		return true
	}
}

// samePlace reports whether the display still is what was opened.
func (c *winCapture) samePlace() bool {
	list, err := listMonitors()
	if err != nil {
		return false
	}
	for _, d := range list {
		if d.ID == c.info.ID {
			return d.Bounds == c.info.Bounds
		}
	}
	return false
}

// take makes what differs between what was read now and before into damage.
func (c *winCapture) take(next *Frame, rects []image.Rectangle) {
	var shape uintptr
	if in, err := cursorInfo(); err == nil {
		shape = in.handle()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	news := false
	if c.state != nil {
		c.state = nil
		c.rects = append(c.rects[:0], c.last.Bounds())
		rects = []image.Rectangle{c.last.Bounds()}
		news = true
	}
	for _, r := range rects {
		if changed := copyChanged(c.last, next, r); len(changed) > 0 {
			news = true
			for _, x := range changed {
				c.rects = Add(c.rects, x)
			}
		}
	}
	if shape != c.shape {
		c.shape, c.cursor, news = shape, true, true
	}
	if news || len(c.rects) > 0 || c.cursor {
		c.signal()
	}
}

func (c *winCapture) note(rects []image.Rectangle, state error, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range rects {
		c.rects = Add(c.rects, r)
	}
	if changed == c.changed && state == c.state && rects == nil {
		return
	}
	c.changed = c.changed || changed
	if state != nil {
		c.state = state
	}
	c.signal()
}

// signal is called with mu held.
func (c *winCapture) signal() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *winCapture) Take() Damage {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken, c.rects = c.rects, c.taken[:0]
	d := Damage{Rects: c.taken, Cursor: c.cursor, Changed: c.changed, State: c.state}
	c.cursor = false
	return d
}

// Grab hands out what was read last: every later change is told by a later
// Take.
func (c *winCapture) Grab(dst *Frame, rects []image.Rectangle) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrNoDisplay
	}
	if c.state != nil {
		return c.state
	}
	for _, r := range rects {
		if c.changed || !r.In(c.last.Bounds()) || !r.In(dst.Bounds()) {
			return fault.New(fault.Conflict, "screen.grab", "The display changed its size.", "The picture is opened again by itself.")
		}
		for y := r.Min.Y; y < r.Max.Y; y++ {
			copy(dst.Row(y, r.Min.X, r.Max.X), c.last.Row(y, r.Min.X, r.Max.X))
		}
	}
	return nil
}

func (c *winCapture) Cursor() (Cursor, error) { return readCursor() }

func (c *winCapture) Pointer() (image.Point, bool, error) {
	var p struct{ X, Y int32 }
	if ok, _, err := procCursorPos.Call(uintptr(unsafe.Pointer(&p))); ok == 0 {
		return image.Point{}, false, fault.Wrap(err, fault.Unsupported, "screen.pointer", "The position of the remote pointer is not known.", "")
	}
	at := image.Pt(int(p.X), int(p.Y))
	return at.Sub(c.info.Bounds.Min), at.In(c.info.Bounds), nil
}

func (c *winCapture) shut() {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if !was {
		close(c.done)
	}
	c.stopped.Wait()
}

func (c *winCapture) Close() error {
	c.src.mu.Lock()
	delete(c.src.captures, c)
	c.src.mu.Unlock()
	c.shut()
	return nil
}
