// Package screentest has a display in memory and the suite of tests that every
// implementation of screen.Source must pass. It must not know real window
// systems: those give the suite a rig.
package screentest

import (
	"image"
	"sync"

	"daypass/backend/fault"
	"daypass/hostsvc/screen"
)

// Fake is a source with one display in memory. Its methods may be called from
// any goroutine.
type Fake struct {
	mu sync.Mutex
	// mu guards all following
	frame    *screen.Frame
	cursor   screen.Cursor
	pointer  image.Point
	state    error
	closed   bool
	captures map[*capture]struct{}
}

var _ screen.Source = (*Fake)(nil)

// New returns a black display of w x h pixels.
func New(w, h int) *Fake {
	return &Fake{
		frame:    screen.NewFrame(w, h),
		cursor:   screen.Cursor{Size: image.Pt(1, 1), RGBA: []byte{255, 255, 255, 255}},
		captures: map[*capture]struct{}{},
	}
}

// Draw lets f change pixels; f returns the rectangles it changed.
func (f *Fake) Draw(draw func(*screen.Frame) []image.Rectangle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rects := draw(f.frame)
	for c := range f.captures {
		for _, r := range rects {
			c.damage.Rects = screen.Add(c.damage.Rects, r.Intersect(f.frame.Bounds()))
		}
		c.signal()
	}
}

// Copy returns the display's pixels now.
func (f *Fake) Copy() *screen.Frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := screen.NewFrame(f.frame.W, f.frame.H)
	copy(c.Pix, f.frame.Pix)
	return c
}

// Resize makes the display another one of w x h black pixels.
func (f *Fake) Resize(w, h int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frame = screen.NewFrame(w, h)
	for c := range f.captures {
		c.damage.Changed = true
		c.signal()
	}
}

// SetState makes captures say that the picture is not true, nil that it is.
func (f *Fake) SetState(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = err
	for c := range f.captures {
		c.damage.State = err
		c.signal()
	}
}

// SetCursor changes the cursor's shape.
func (f *Fake) SetCursor(cur screen.Cursor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursor = cur
	for c := range f.captures {
		c.damage.Cursor = true
		c.signal()
	}
}

// SetPointer moves the pointer.
func (f *Fake) SetPointer(p image.Point) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pointer = p
}

// Displays implements screen.Source.
func (f *Fake) Displays() ([]screen.Display, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, screen.ErrNoDisplay
	}
	return []screen.Display{f.display()}, nil
}

func (f *Fake) display() screen.Display {
	return screen.Display{ID: 1, Name: "Memory", Bounds: f.frame.Bounds(), Primary: true, Scale: 1}
}

// Open implements screen.Source.
func (f *Fake) Open(id uint32) (screen.Capture, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, screen.ErrNoDisplay
	}
	if id > 1 {
		return nil, fault.New(fault.NotFound, "screen.open", "This display is not connected any more.", "")
	}
	c := &capture{f: f, info: f.display(), ready: make(chan struct{}, 1)}
	c.damage = screen.Damage{Rects: []image.Rectangle{f.frame.Bounds()}, Cursor: true, State: f.state}
	f.captures[c] = struct{}{}
	c.signal()
	return c, nil
}

// Close implements screen.Source.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	clear(f.captures)
	return nil
}

type capture struct {
	f     *Fake
	info  screen.Display
	ready chan struct{}

	// f.mu guards all following
	damage screen.Damage
	closed bool
}

func (c *capture) signal() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *capture) Display() screen.Display { return c.info }
func (c *capture) Ready() <-chan struct{}  { return c.ready }

func (c *capture) Take() screen.Damage {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	d := c.damage
	c.damage = screen.Damage{State: c.f.state}
	return d
}

func (c *capture) Grab(dst *screen.Frame, rects []image.Rectangle) error {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if c.closed || c.f.closed {
		return screen.ErrNoDisplay
	}
	m := c.f.frame
	for _, r := range rects {
		if !r.In(m.Bounds()) || !r.In(dst.Bounds()) || m.W != dst.W || m.H != dst.H {
			return fault.New(fault.Conflict, "screen.grab", "The display changed its size.", "")
		}
		for y := r.Min.Y; y < r.Max.Y; y++ {
			copy(dst.Row(y, r.Min.X, r.Max.X), m.Row(y, r.Min.X, r.Max.X))
		}
	}
	return nil
}

func (c *capture) Cursor() (screen.Cursor, error) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if c.closed || c.f.closed {
		return screen.Cursor{}, screen.ErrNoDisplay
	}
	return c.f.cursor, nil
}

func (c *capture) Pointer() (image.Point, bool, error) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if c.closed || c.f.closed {
		return image.Point{}, false, screen.ErrNoDisplay
	}
	return c.f.pointer, c.f.pointer.In(c.f.frame.Bounds()), nil
}

func (c *capture) Close() error {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.closed = true
	delete(c.f.captures, c)
	return nil
}
