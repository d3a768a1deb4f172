//go:build linux

package screen

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	stdlog "log"
	"log/slog"
	"os/exec"
	"testing"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	xgb.Logger = stdlog.New(io.Discard, "", 0) // the painter's and kbinani's remarks
	goleak.VerifyTestMain(m)
}

// xvfb starts an X server on the first free display from :21 to :29. Without
// Xvfb the test fails: capture is not tested otherwise.
func xvfb(tb testing.TB, size string) string {
	tb.Helper()
	path, err := exec.LookPath("Xvfb")
	if err != nil {
		tb.Fatal("Xvfb is required for this test: apt install xvfb")
	}
	for n := 21; n <= 29; n++ {
		name := fmt.Sprintf(":%d", n)
		if c, err := dialX(name, func([]byte) {}); err == nil {
			c.close() // somebody's
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		cmd := exec.CommandContext(ctx, path, name, "-screen", "0", size+"x24", "-nolisten", "tcp", "-noreset")
		if err := cmd.Start(); err != nil {
			cancel()
			tb.Fatal(err)
		}
		gone := make(chan struct{})
		go func() { _ = cmd.Wait(); close(gone) }()
		stop := func() { cancel(); <-gone }
		for up := true; up; {
			if c, err := dialX(name, func([]byte) {}); err == nil {
				c.close()
				tb.Cleanup(stop)
				return name
			}
			select {
			case <-gone: // somebody was faster
				up = false
			case <-time.After(25 * time.Millisecond):
			}
		}
		cancel()
	}
	tb.Fatal("no free display from :21 to :29")
	return ""
}

// painter draws on a window that covers the display.
type painter struct {
	c    *xgb.Conn
	root xproto.Window
	win  xproto.Window
	gc   xproto.Gcontext
}

func newPainter(tb testing.TB, display string) *painter {
	tb.Helper()
	c, err := xgb.NewConnDisplay(display)
	if err != nil {
		tb.Fatal(err)
	}
	s := xproto.Setup(c).DefaultScreen(c)
	p := &painter{c: c, root: s.Root}
	p.win, _ = xproto.NewWindowId(c)
	p.gc, _ = xproto.NewGcontextId(c)
	err = errors.Join(
		xproto.CreateWindowChecked(c, s.RootDepth, p.win, s.Root, 0, 0, s.WidthInPixels, s.HeightInPixels, 0, xproto.WindowClassInputOutput, s.RootVisual, xproto.CwBackPixel|xproto.CwOverrideRedirect, []uint32{0, 1}).Check(),
		xproto.CreateGCChecked(c, p.gc, xproto.Drawable(p.win), 0, nil).Check(),
		xproto.MapWindowChecked(c, p.win).Check(),
	)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return p
}

func (p *painter) fill(r image.Rectangle, colour uint32) {
	xproto.ChangeGC(p.c, p.gc, xproto.GcForeground, []uint32{colour})
	xproto.PolyFillRectangle(p.c, xproto.Drawable(p.win), p.gc, []xproto.Rectangle{{X: int16(r.Min.X), Y: int16(r.Min.Y), Width: uint16(r.Dx()), Height: uint16(r.Dy())}})
	p.sync()
}

func (p *painter) sync() { _, _ = xproto.GetInputFocus(p.c).Reply() }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func BenchmarkX11Grab(b *testing.B) {
	name := xvfb(b, "1920x1080")
	p := newPainter(b, name)
	s, err := openX11(name, quiet())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	c, err := s.Open(0)
	if err != nil {
		b.Fatal(err)
	}
	f := NewFrame(1920, 1080)
	for _, r := range []image.Rectangle{image.Rect(0, 0, 16, 16), image.Rect(100, 100, 356, 164), f.Bounds()} {
		b.Run(fmt.Sprintf("%dx%d", r.Dx(), r.Dy()), func(b *testing.B) {
			for b.Loop() {
				if err := c.Grab(f, []image.Rectangle{r}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("event", func(b *testing.B) {
		i := uint32(0)
		for b.Loop() {
			i++
			c.Take()
			select {
			case <-c.Ready():
			default:
			}
			if err := c.Grab(f, []image.Rectangle{image.Rect(0, 0, 8, 8)}); err != nil {
				b.Fatal(err)
			}
			xproto.ChangeGC(p.c, p.gc, xproto.GcForeground, []uint32{i})
			xproto.PolyFillRectangle(p.c, xproto.Drawable(p.win), p.gc, []xproto.Rectangle{{X: 1, Y: 1, Width: 5, Height: 5}})
			<-c.Ready()
		}
	})
}
