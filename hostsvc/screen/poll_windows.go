package screen

import (
	"image"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"daypass/backend/fault"

	"github.com/kbinani/screenshot"
	"golang.org/x/sys/windows"
)

// pollEvery is how often GDI is asked for the whole display: the floor, which
// has no event that says what changed.
const pollEvery = 50 * time.Millisecond

var getCursorPos = windows.NewLazySystemDLL("user32.dll").NewProc("GetCursorPos")

// Default returns the source of the desktop this process runs in.
func Default(log *slog.Logger) (Source, error) {
	return &gdiSource{log: log, captures: map[*gdiCapture]struct{}{}}, nil
}

type gdiSource struct {
	log *slog.Logger

	mu sync.Mutex
	// mu guards all following
	closed   bool
	captures map[*gdiCapture]struct{}
}

func (s *gdiSource) Displays() ([]Display, error) {
	n := screenshot.NumActiveDisplays()
	var list []Display
	for i := range n {
		b := screenshot.GetDisplayBounds(i)
		if b.Empty() {
			continue
		}
		// The primary monitor's corner is the desktop's origin.
		list = append(list, Display{ID: uint32(i) + 1, Name: "Display " + strconv.Itoa(i+1), Bounds: b, Primary: b.Min == image.Point{}, Scale: 1})
	}
	if len(list) == 0 {
		return nil, ErrNoDisplay
	}
	p := max(slices.IndexFunc(list, func(d Display) bool { return d.Primary }), 0)
	list[p].Primary = true
	list[0], list[p] = list[p], list[0]
	return list, nil
}

func (s *gdiSource) Open(id uint32) (Capture, error) {
	list, err := s.Displays()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrNoDisplay
	}
	for _, d := range list {
		if d.ID == id || id == 0 && d.Primary {
			c := &gdiCapture{src: s, info: d, ready: make(chan struct{}, 1), done: make(chan struct{}), last: NewFrame(d.Bounds.Dx(), d.Bounds.Dy())}
			c.rects = []image.Rectangle{c.last.Bounds()}
			s.captures[c] = struct{}{}
			c.stopped.Add(1)
			go c.poll()
			return c, nil
		}
	}
	return nil, fault.New(fault.NotFound, "screen.open", "This display is not connected any more.", "Choose another display.")
}

func (s *gdiSource) Close() error {
	s.mu.Lock()
	s.closed = true
	caps := s.captures
	s.captures = map[*gdiCapture]struct{}{}
	s.mu.Unlock()
	for c := range caps {
		c.shut()
	}
	return nil
}

// gdiCapture polls one display and compares it with what it was.
type gdiCapture struct {
	src   *gdiSource
	info  Display
	ready chan struct{}

	mu sync.Mutex
	// mu guards all following
	last    *Frame
	rects   []image.Rectangle
	taken   []image.Rectangle
	changed bool
	state   error
	closed  bool

	done    chan struct{}
	stopped sync.WaitGroup
}

func (c *gdiCapture) Display() Display       { return c.info }
func (c *gdiCapture) Ready() <-chan struct{} { return c.ready }

func (c *gdiCapture) poll() {
	defer c.stopped.Done()
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	next := NewFrame(c.last.W, c.last.H)
	for n := 0; ; n++ {
		c.look(next, n%20 == 0)
		select {
		case <-c.done:
			return
		case <-t.C:
		}
	}
}

// look captures once; sizes too asks whether the display is still the same.
func (c *gdiCapture) look(next *Frame, sizes bool) {
	changed := false
	if sizes {
		changed = screenshot.GetDisplayBounds(int(c.info.ID)-1) != c.info.Bounds
	}
	m, err := screenshot.CaptureRect(c.info.Bounds)
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.rects)
	switch {
	case changed:
		c.changed = true
	case err != nil:
		// The secure desktop (a locked session, a question for an
		// administrator) cannot be read.
		if c.state != nil {
			return
		}
		c.state = ErrLocked
	default:
		if c.state != nil {
			c.state = nil
			c.rects = Add(c.rects, next.Bounds())
		}
		copyRGBA(next, next.Bounds(), m)
		for y := 0; y < next.H; y += 64 {
			for x := 0; x < next.W; x += 64 {
				r := image.Rect(x, y, x+64, y+64).Intersect(next.Bounds())
				for yy := r.Min.Y; yy < r.Max.Y; yy++ {
					if string(next.Bytes(yy, r.Min.X, r.Max.X)) != string(c.last.Bytes(yy, r.Min.X, r.Max.X)) {
						c.rects = Add(c.rects, r)
						break
					}
				}
			}
		}
		copy(c.last.Pix, next.Pix)
		if len(c.rects) == before && before == 0 {
			return
		}
	}
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *gdiCapture) Take() Damage {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken, c.rects = c.rects, c.taken[:0]
	d := Damage{Rects: c.taken, Changed: c.changed, State: c.state}
	c.changed = false
	return d
}

func (c *gdiCapture) Grab(dst *Frame, rects []image.Rectangle) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrNoDisplay
	}
	for _, r := range rects {
		if !r.In(c.last.Bounds()) || !r.In(dst.Bounds()) {
			return fault.New(fault.Conflict, "screen.grab", "The display changed its size.", "The picture is opened again by itself.")
		}
		for y := r.Min.Y; y < r.Max.Y; y++ {
			copy(dst.Row(y, r.Min.X, r.Max.X), c.last.Row(y, r.Min.X, r.Max.X))
		}
	}
	return nil
}

// Cursor is not told by this floor; the console shows its own pointer.
func (c *gdiCapture) Cursor() (Cursor, error) {
	return Cursor{}, fault.New(fault.Unsupported, "screen.cursor", "The shape of the remote pointer is not known.", "")
}

func (c *gdiCapture) Pointer() (image.Point, bool, error) {
	var p struct{ X, Y int32 }
	if r, _, err := getCursorPos.Call(uintptr(unsafe.Pointer(&p))); r == 0 {
		return image.Point{}, false, fault.Wrap(err, fault.Unsupported, "screen.pointer", "The position of the remote pointer is not known.", "")
	}
	at := image.Pt(int(p.X), int(p.Y))
	return at.Sub(c.info.Bounds.Min), at.In(c.info.Bounds), nil
}

func (c *gdiCapture) shut() {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if was {
		return
	}
	close(c.done)
	c.stopped.Wait()
}

func (c *gdiCapture) Close() error {
	c.src.mu.Lock()
	delete(c.src.captures, c)
	c.src.mu.Unlock()
	c.shut()
	return nil
}
