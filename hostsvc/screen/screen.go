// Package screen sees what the customer's displays show: which displays there
// are, what changed on one of them, its pixels, its cursor. It is the only
// package that knows a window system's capture. It must not know how pictures
// are encoded, sent or shown, nor who watches.
package screen

import (
	"image"
	"unsafe"

	"daypass/backend/fault"
)

// Display is one monitor.
type Display struct {
	ID      uint32          // stable while the monitor stays connected; never 0
	Name    string          // the system's name for it, for people
	Bounds  image.Rectangle // physical pixels in the desktop's coordinates
	Primary bool            // exactly one display is
	Scale   float64         // pixels of the display for one of the user's; 1 when unknown
}

// Source opens displays of one desktop. All methods may be called from any
// goroutine.
type Source interface {
	// Displays lists the displays now, the primary one first. It fails with
	// ErrNoDisplay or ErrWayland, or another *fault.Error.
	Displays() ([]Display, error)
	// Open starts watching a display, 0 meaning the primary one. A display
	// that is not there any more is an error of kind NotFound. Each capture
	// is independent and must be closed by the caller.
	Open(id uint32) (Capture, error)
	// Close ends the source and makes calls of its captures fail. It may be
	// called twice.
	Close() error
}

// Capture watches one display. One goroutine uses it at a time, but Close,
// which may be called from any goroutine and twice. Coordinates are the
// display's: (0,0) is its top left pixel.
type Capture interface {
	// Display returns the display as it was when it was opened.
	Display() Display
	// Ready has a value when Take has something new; it is never closed.
	// The channel holds one value and coalesces. Receiving costs nothing
	// while nothing happens.
	Ready() <-chan struct{}
	// Take returns what happened since the last Take and never waits. The
	// first one damages the whole display. Whatever changes a pixel before
	// a Grab is in a Take before it or after it, never in none. Damage that
	// was taken is the caller's to grab: until some Grab, further changes
	// inside it may not be said again.
	Take() Damage
	// Grab reads the rectangles (inside the display) from the display into
	// dst, which has the display's size. Pixels are what the display shows
	// at some moment after the call began. It fails with an error of kind
	// Conflict when the display changed its size (Damage.Changed follows),
	// and with the faults of Take's State.
	Grab(dst *Frame, rects []image.Rectangle) error
	// Cursor returns the cursor's image. The caller owns it.
	Cursor() (Cursor, error)
	// Pointer returns the pointer's position on the display; ok is false
	// when it is not on it.
	Pointer() (p image.Point, ok bool, err error)
	// Close releases all the capture holds.
	Close() error
}

// Damage is what happened to a display. Rects are owned by the capture until
// the next Take.
type Damage struct {
	Rects   []image.Rectangle // areas whose pixels may have changed, inside the display, few and merged
	Cursor  bool              // the cursor's shape may have changed
	Changed bool              // size, position or presence of the display changed: close, ask Displays, open again
	State   error             // nil while the picture is true; ErrLocked, ErrOff, ErrNoDisplay or another fault otherwise
}

// Empty reports whether nothing happened.
func (d Damage) Empty() bool {
	return len(d.Rects) == 0 && !d.Cursor && !d.Changed && d.State == nil
}

// Cursor is a cursor's shape. A cursor of no size is hidden.
type Cursor struct {
	Size image.Point
	Hot  image.Point // inside Size
	RGBA []byte      // Size.X*Size.Y*4, straight alpha
}

// Frame holds pixels as 0x00RRGGBB, row by row. The zero value is empty.
type Frame struct {
	W, H int
	Pix  []uint32 // W*H
}

// NewFrame returns a black frame of w x h pixels.
func NewFrame(w, h int) *Frame { return &Frame{W: w, H: h, Pix: make([]uint32, w*h)} }

// Row returns the pixels [x0,x1) of row y.
func (f *Frame) Row(y, x0, x1 int) []uint32 { return f.Pix[y*f.W+x0 : y*f.W+x1] }

// Bytes returns the pixels [x0,x1) of row y as bytes in memory order, for
// comparing and hashing only.
func (f *Frame) Bytes(y, x0, x1 int) []byte {
	if x1 <= x0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&f.Pix[y*f.W+x0])), (x1-x0)*4)
}

// Bounds returns the frame's rectangle.
func (f *Frame) Bounds() image.Rectangle { return image.Rect(0, 0, f.W, f.H) }

// What can stand between a display and its picture. Each has an operation of
// its own, so that errors.Is tells them apart.
var (
	// ErrLocked says that the session is locked.
	ErrLocked = fault.New(fault.Unsupported, "screen.locked", "The remote computer's session is locked.", "Ask the customer to unlock it.")
	// ErrOff says that the display sleeps.
	ErrOff = fault.New(fault.Unsupported, "screen.off", "The remote computer's display is switched off to save power.", "Move the pointer or press a key to wake it.")
	// ErrNoDisplay says that there is no display at all.
	ErrNoDisplay = fault.New(fault.Unsupported, "screen.none", "The remote computer has no display that could be shown.", "Ask the customer to log in at the desktop and start the program there.")
	// ErrWayland says that the desktop does not let programs see the screen.
	ErrWayland = fault.New(fault.Unsupported, "screen.wayland", "The remote computer's desktop runs on Wayland, which does not let Daypass see the screen.", "Ask the customer to log out and choose an X11 (Xorg) session at the login screen.")
)
