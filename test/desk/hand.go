package desk

import (
	"fmt"
	"image"
	"image/color"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

// This file is the hand on the desk's own keyboard and mouse, key by key and
// button by button: the X server takes what comes by XTEST as it takes what
// comes from the devices.

const (
	keyPause   = 3 * time.Millisecond // between two keys: faster than any hand
	mousePause = 10 * time.Millisecond
)

func (d *Desk) fake(kind, detail byte, x, y int) {
	d.t.Helper()
	d.handOnce.Do(func() { d.handErr = xtest.Init(d.x) })
	if d.handErr != nil {
		d.t.Fatalf("desk %s: %v", d.name, d.handErr)
	}
	if err := xtest.FakeInputChecked(d.x, kind, detail, 0, d.root, int16(x), int16(y), 0).Check(); err != nil {
		d.t.Fatalf("desk %s: %v", d.name, err)
	}
}

// Down presses keys by their X keycode and leaves them down.
func (d *Desk) Down(codes ...byte) {
	d.t.Helper()
	for _, c := range codes {
		d.fake(xproto.KeyPress, c, 0, 0)
		time.Sleep(keyPause)
	}
}

// Up lets keys go.
func (d *Desk) Up(codes ...byte) {
	d.t.Helper()
	for _, c := range codes {
		d.fake(xproto.KeyRelease, c, 0, 0)
		time.Sleep(keyPause)
	}
}

// Move puts the pointer at a place on the screen.
func (d *Desk) Move(p image.Point) {
	d.t.Helper()
	d.fake(xproto.MotionNotify, 0, p.X, p.Y)
	time.Sleep(mousePause)
}

// Button presses or lets go a mouse button by its X number: 1 left, 2 middle,
// 3 right, 4 to 7 the wheel up, down, left and right, 8 back, 9 forward.
func (d *Desk) Button(b byte, down bool) {
	d.t.Helper()
	kind := byte(xproto.ButtonRelease)
	if down {
		kind = xproto.ButtonPress
	}
	d.fake(kind, b, 0, 0)
	time.Sleep(mousePause)
}

// Layout sets the keyboard layout, as setxkbmap takes it.
func (d *Desk) Layout(args ...string) {
	d.t.Helper()
	d.Output("setxkbmap", args...)
}

// Held asks the X server which keys (X keycodes) and mouse buttons (1 to 5) are
// down. It reads "" when there is none.
func (d *Desk) Held() string {
	d.t.Helper()
	k, err := xproto.QueryKeymap(d.x).Reply()
	if err != nil {
		d.t.Fatal(err)
	}
	p, err := xproto.QueryPointer(d.x, d.root).Reply()
	if err != nil {
		d.t.Fatal(err)
	}
	var out []string
	for i := range 256 {
		if k.Keys[i/8]>>(i%8)&1 == 1 {
			out = append(out, fmt.Sprintf("key %d", i))
		}
	}
	for b := range 5 {
		if p.Mask>>(8+b)&1 == 1 {
			out = append(out, fmt.Sprintf("button %d", b+1))
		}
	}
	return strings.Join(out, ", ")
}

// Pointer is where the mouse is.
func (d *Desk) Pointer() image.Point {
	d.t.Helper()
	p, err := xproto.QueryPointer(d.x, d.root).Reply()
	if err != nil {
		d.t.Fatal(err)
	}
	return image.Pt(int(p.RootX), int(p.RootY))
}

// Pad is a window that writes down what the mouse does on it, and what the
// keyboard does while it has the focus.
type Pad struct {
	d   *Desk
	c   *xgb.Conn
	win xproto.Window

	mu   sync.Mutex
	said []string
}

// Pad opens one over a part of the screen, above all other windows. cursor, if
// not nil, is what the pointer looks like there.
func (d *Desk) Pad(at image.Rectangle, cursor func(c *xgb.Conn) (xproto.Cursor, error)) *Pad {
	d.t.Helper()
	c, err := xgb.NewConnDisplay(d.Display)
	if err != nil {
		d.t.Fatal(err)
	}
	check := func(err error) {
		d.t.Helper()
		if err != nil {
			c.Close()
			d.t.Fatal(err)
		}
	}
	p := &Pad{d: d, c: c}
	p.win, err = xproto.NewWindowId(c)
	check(err)
	mask, values := uint32(xproto.CwBackPixel|xproto.CwOverrideRedirect|xproto.CwEventMask), []uint32{
		0xdfe8d0, 1,
		xproto.EventMaskButtonPress | xproto.EventMaskButtonRelease | xproto.EventMaskPointerMotion | xproto.EventMaskKeyPress | xproto.EventMaskKeyRelease,
	}
	if cursor != nil {
		cur, err := cursor(c)
		check(err)
		mask, values = mask|xproto.CwCursor, append(values, uint32(cur))
	}
	s := xproto.Setup(c).DefaultScreen(c)
	check(xproto.CreateWindowChecked(c, s.RootDepth, p.win, s.Root, int16(at.Min.X), int16(at.Min.Y), uint16(at.Dx()), uint16(at.Dy()), 0,
		xproto.WindowClassInputOutput, s.RootVisual, mask, values).Check())
	check(xproto.MapWindowChecked(c, p.win).Check())
	go p.listen()
	return p
}

func (p *Pad) listen() {
	for {
		ev, err := p.c.WaitForEvent()
		if ev == nil && err == nil {
			return
		}
		var line string
		switch e := ev.(type) {
		case xproto.ButtonPressEvent:
			line = fmt.Sprintf("press %d at %d,%d", e.Detail, e.RootX, e.RootY)
		case xproto.ButtonReleaseEvent:
			line = fmt.Sprintf("release %d at %d,%d", e.Detail, e.RootX, e.RootY)
		case xproto.MotionNotifyEvent:
			line = fmt.Sprintf("move to %d,%d", e.RootX, e.RootY)
		case xproto.KeyPressEvent:
			line = fmt.Sprintf("key %d", e.Detail)
		case xproto.KeyReleaseEvent:
			line = fmt.Sprintf("key up %d", e.Detail)
		default:
			continue
		}
		p.mu.Lock()
		p.said = append(p.said, line)
		p.mu.Unlock()
	}
}

// Said is what was written down since the last Forget.
func (p *Pad) Said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.said...)
}

// Forget begins a clean page.
func (p *Pad) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = nil
}

// Focus gives the pad the keyboard.
func (p *Pad) Focus() {
	p.d.t.Helper()
	if err := xproto.SetInputFocusChecked(p.c, xproto.InputFocusParent, p.win, xproto.TimeCurrentTime).Check(); err != nil {
		p.d.t.Fatal(err)
	}
}

// Close takes the window away.
func (p *Pad) Close() {
	xproto.DestroyWindow(p.c, p.win)
	p.c.Sync()
	p.c.Close()
}

// SetClipboard puts text into the clipboard, as a program that was copied from.
func (d *Desk) SetClipboard(text string) {
	d.t.Helper()
	d.StartWith(nil, strings.NewReader(text), nil, "xclip", "-quiet", "-selection", "clipboard", "-i")
	d.Until("the text in the clipboard", 5*time.Second, func() bool { return d.Clipboard() == text })
}

// Size is the size of the screen now.
func (d *Desk) Size() image.Point {
	d.t.Helper()
	g, err := xproto.GetGeometry(d.x, xproto.Drawable(d.root)).Reply()
	if err != nil {
		d.t.Fatal(err)
	}
	return image.Pt(int(g.Width), int(g.Height))
}

// Resize changes the resolution, to at most what the desk began with.
func (d *Desk) Resize(w, h int) {
	d.t.Helper()
	name := fmt.Sprintf("desk-%dx%d", w, h)
	d.Output("xrandr", "--newmode", name, "1", strconv.Itoa(w), strconv.Itoa(w+1), strconv.Itoa(w+2), strconv.Itoa(w+3), strconv.Itoa(h), strconv.Itoa(h+1), strconv.Itoa(h+2), strconv.Itoa(h+3))
	d.Output("xrandr", "--addmode", "screen", name)
	d.Output("xrandr", "--output", "screen", "--mode", name)
	d.Until("the resolution", 5*time.Second, func() bool { return d.Size() == image.Pt(w, h) })
}

// Cursor is what the pointer looks like now, and its hot spot.
func (d *Desk) Cursor() (*image.RGBA, image.Point) {
	d.t.Helper()
	if err := xfixes.Init(d.x); err != nil {
		d.t.Fatal(err)
	}
	if _, err := xfixes.QueryVersion(d.x, 4, 0).Reply(); err != nil {
		d.t.Fatal(err)
	}
	r, err := xfixes.GetCursorImage(d.x).Reply()
	if err != nil {
		d.t.Fatal(err)
	}
	img := image.NewRGBA(image.Rect(0, 0, int(r.Width), int(r.Height)))
	for i, p := range r.CursorImage {
		img.Pix[4*i], img.Pix[4*i+1], img.Pix[4*i+2], img.Pix[4*i+3] = byte(p>>16), byte(p>>8), byte(p), byte(p>>24)
	}
	return img, image.Pt(int(r.Xhot), int(r.Yhot))
}

// SolidCursor makes a square pointer of one colour for a Pad; transparent when
// its alpha is 0.
func SolidCursor(side, hotX, hotY int, c color.RGBA) func(*xgb.Conn) (xproto.Cursor, error) {
	return func(x *xgb.Conn) (xproto.Cursor, error) {
		pix, err := xproto.NewPixmapId(x)
		if err != nil {
			return 0, err
		}
		gc, err := xproto.NewGcontextId(x)
		if err != nil {
			return 0, err
		}
		id, err := xproto.NewCursorId(x)
		if err != nil {
			return 0, err
		}
		on := uint32(0)
		if c.A != 0 {
			on = 1
		}
		root := xproto.Setup(x).DefaultScreen(x).Root
		xproto.CreatePixmap(x, 1, pix, xproto.Drawable(root), uint16(side), uint16(side))
		xproto.CreateGC(x, gc, xproto.Drawable(pix), xproto.GcForeground, []uint32{on})
		xproto.PolyFillRectangle(x, xproto.Drawable(pix), gc, []xproto.Rectangle{{Width: uint16(side), Height: uint16(side)}})
		wide := func(v uint8) uint16 { return uint16(v) * 257 }
		return id, xproto.CreateCursorChecked(x, id, pix, pix, wide(c.R), wide(c.G), wide(c.B), 0, 0, 0, uint16(hotX), uint16(hotY)).Check()
	}
}
