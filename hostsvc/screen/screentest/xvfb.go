//go:build linux || freebsd || openbsd || netbsd

package screentest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"daypass/hostsvc/screen"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/randr"
	"github.com/jezek/xgb/xproto"
)

// Need fails the test when a program is not installed: what cannot be tested is
// not skipped.
func Need(tb testing.TB, programs ...string) {
	tb.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			tb.Fatalf("%s is required for this test: build/need.sh run test", p)
		}
	}
}

// Xvfb starts an X server with a screen of that size ("640x480") on a display
// of its choice and returns its name. It ends with the test.
func Xvfb(tb testing.TB, size string) string {
	tb.Helper()
	Need(tb, "Xvfb")
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	cmd := exec.CommandContext(context.Background(), "Xvfb", "-displayfd", "3", "-screen", "0", size+"x24", "-nolisten", "tcp", "-noreset")
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // of the signal
	})
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		tb.Fatalf("Xvfb found no display: %v", err)
	}
	return ":" + strings.TrimSpace(number)
}

// X is a small X program: one window over the whole display and one that
// moves. Its methods return when the server has drawn.
type X struct {
	tb   testing.TB
	c    *xgb.Conn
	root xproto.Window
	win  xproto.Window
	top  xproto.Window
	gc   xproto.Gcontext
	W, H int
}

// NewX connects to a display and shows the black window.
func NewX(tb testing.TB, display string) *X {
	tb.Helper()
	c, err := xgb.NewConnDisplay(display)
	if err != nil {
		tb.Fatal(err)
	}
	s := xproto.Setup(c).DefaultScreen(c)
	x := &X{tb: tb, c: c, root: s.Root, W: int(s.WidthInPixels), H: int(s.HeightInPixels)}
	ids := []error{nil, nil, nil, nil}
	x.win, ids[0] = xproto.NewWindowId(c)
	x.top, ids[1] = xproto.NewWindowId(c)
	x.gc, ids[2] = xproto.NewGcontextId(c)
	font, err := xproto.NewFontId(c)
	ids[3] = err
	err = errors.Join(append(ids,
		xproto.CreateWindowChecked(c, s.RootDepth, x.win, s.Root, 0, 0, s.WidthInPixels, s.HeightInPixels, 0, xproto.WindowClassInputOutput, s.RootVisual, xproto.CwBackPixel|xproto.CwOverrideRedirect, []uint32{0, 1}).Check(),
		xproto.CreateWindowChecked(c, s.RootDepth, x.top, x.win, 10, 10, 150, 110, 3, xproto.WindowClassInputOutput, s.RootVisual, xproto.CwBackPixel|xproto.CwBorderPixel|xproto.CwOverrideRedirect, []uint32{0x2060c0, 0xffee11, 1}).Check(),
		xproto.CreateGCChecked(c, x.gc, xproto.Drawable(x.win), xproto.GcGraphicsExposures, []uint32{0}).Check(),
		xproto.MapWindowChecked(c, x.win).Check(),
	)...)
	if err != nil {
		tb.Fatal(err)
	}
	const fixed = "fixed"
	if xproto.OpenFontChecked(c, font, uint16(len(fixed)), fixed).Check() == nil {
		xproto.ChangeGC(c, x.gc, xproto.GcFont, []uint32{uint32(font)})
	}
	tb.Cleanup(c.Close)
	return x
}

func (x *X) sync() {
	if _, err := xproto.GetInputFocus(x.c).Reply(); err != nil {
		x.tb.Error(err)
	}
}

// Fill paints r in one colour.
func (x *X) Fill(r image.Rectangle, colour uint32) {
	xproto.ChangeGC(x.c, x.gc, xproto.GcForeground, []uint32{colour})
	xproto.PolyFillRectangle(x.c, xproto.Drawable(x.win), x.gc, []xproto.Rectangle{{X: int16(r.Min.X), Y: int16(r.Min.Y), Width: uint16(r.Dx()), Height: uint16(r.Dy())}})
	x.sync()
}

// Point moves the pointer.
func (x *X) Point(p image.Point) {
	xproto.WarpPointer(x.c, 0, x.root, 0, 0, 0, 0, int16(p.X), int16(p.Y))
	x.sync()
}

// Text draws a line of the server's own font.
func (x *X) Text(p image.Point, s string, ink, paper uint32) {
	s = s[:min(len(s), 250)]
	xproto.ChangeGC(x.c, x.gc, xproto.GcForeground|xproto.GcBackground, []uint32{ink, paper})
	xproto.ImageText8(x.c, byte(len(s)), xproto.Drawable(x.win), x.gc, int16(p.X), int16(p.Y), s)
	x.sync()
}

// Put draws a frame's pixels at p, 64 rows at a time.
func (x *X) Put(f *screen.Frame, p image.Point) {
	for y := 0; y < f.H; y += 64 {
		n := min(64, f.H-y)
		var data []byte
		for j := range n {
			data = append(data, f.Bytes(y+j, 0, f.W)...)
		}
		xproto.PutImage(x.c, xproto.ImageFormatZPixmap, xproto.Drawable(x.win), x.gc, uint16(f.W), uint16(n), int16(p.X), int16(p.Y+y), 0, 24, data)
	}
	x.sync()
}

// Scroll copies r by d.
func (x *X) Scroll(r image.Rectangle, d image.Point) {
	xproto.CopyArea(x.c, xproto.Drawable(x.win), xproto.Drawable(x.win), x.gc, int16(r.Min.X), int16(r.Min.Y), int16(r.Min.X+d.X), int16(r.Min.Y+d.Y), uint16(r.Dx()), uint16(r.Dy()))
	x.sync()
}

// Window shows or hides the window that moves, and moves it.
func (x *X) Window(show bool, p image.Point) {
	if show {
		xproto.ConfigureWindow(x.c, x.top, xproto.ConfigWindowX|xproto.ConfigWindowY, []uint32{uint32(p.X), uint32(p.Y)})
		xproto.MapWindow(x.c, x.top)
	} else {
		xproto.UnmapWindow(x.c, x.top)
	}
	x.sync()
}

// Read returns what the display shows, by the plain core protocol.
func (x *X) Read() *screen.Frame {
	f := screen.NewFrame(x.W, x.H)
	r, err := xproto.GetImage(x.c, xproto.ImageFormatZPixmap, xproto.Drawable(x.root), 0, 0, uint16(x.W), uint16(x.H), 0xffffffff).Reply()
	if err != nil {
		x.tb.Fatal(err)
	}
	copy(f.Pix, unsafe.Slice((*uint32)(unsafe.Pointer(&r.Data[0])), len(f.Pix)))
	for i := range f.Pix {
		f.Pix[i] &= 0xffffff
	}
	return f
}

// Resize changes the display's resolution, to at most the one it began with.
func (x *X) Resize(w, h int) {
	x.tb.Helper()
	check := func(err error) {
		x.tb.Helper()
		if err != nil {
			x.tb.Fatal(err)
		}
	}
	check(randr.Init(x.c))
	_, err := randr.QueryVersion(x.c, 1, 3).Reply()
	check(err)
	res, err := randr.GetScreenResourcesCurrent(x.c, x.root).Reply()
	check(err)
	name := fmt.Sprintf("%dx%d", w, h)
	mode, err := randr.CreateMode(x.c, x.root, randr.ModeInfo{
		Width: uint16(w), Height: uint16(h), DotClock: 1e6, Htotal: uint16(w) + 3, HsyncStart: uint16(w) + 1, HsyncEnd: uint16(w) + 2,
		Vtotal: uint16(h) + 3, VsyncStart: uint16(h) + 1, VsyncEnd: uint16(h) + 2, NameLen: uint16(len(name)),
	}, name).Reply()
	check(err)
	check(randr.AddOutputModeChecked(x.c, res.Outputs[0], mode.Mode).Check())
	_, err = randr.SetCrtcConfig(x.c, res.Crtcs[0], 0, res.ConfigTimestamp, 0, 0, 0, randr.RotationRotate0, nil).Reply()
	check(err)
	check(randr.SetScreenSizeChecked(x.c, x.root, uint16(w), uint16(h), uint32(w), uint32(h)).Check())
	_, err = randr.SetCrtcConfig(x.c, res.Crtcs[0], 0, res.ConfigTimestamp, 0, 0, mode.Mode, randr.RotationRotate0, res.Outputs[:1]).Reply()
	check(err)
	x.W, x.H = w, h
	x.sync()
}
