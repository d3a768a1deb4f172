//go:build linux

package screen_test

import (
	"errors"
	"fmt"
	"image"
	"log/slog"
	"testing"

	"daypass/backend/fault"
	"daypass/hostsvc/screen"
	"daypass/hostsvc/screen/screentest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(tb testing.TB, display string) screen.Source {
	tb.Helper()
	if t, ok := tb.(*testing.T); ok {
		t.Setenv("DISPLAY", display)
		t.Setenv("XDG_SESSION_TYPE", "x11")
	}
	s, err := screen.Default(slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func TestX11PassesTheSuite(t *testing.T) {
	name := screentest.Xvfb(t, "800x600")
	screentest.Run(t, func(t *testing.T) screentest.Rig {
		s, x := open(t, name), screentest.NewX(t, name)
		return screentest.Rig{Source: s, Fill: x.Fill, Point: x.Point}
	})
}

func TestX11FloorPassesTheSuite(t *testing.T) {
	name := screentest.Xvfb(t, "800x600")
	screentest.Run(t, func(t *testing.T) screentest.Rig {
		s, x := open(t, name), screentest.NewX(t, name)
		screen.WithoutSharedMemory(s)
		return screentest.Rig{Source: s, Fill: x.Fill, Point: x.Point}
	})
}

func TestWithoutADisplay(t *testing.T) {
	t.Setenv("DISPLAY", "")
	t.Setenv("WAYLAND_DISPLAY", "")
	t.Setenv("XDG_SESSION_TYPE", "tty")
	if _, err := screen.Default(slog.New(slog.DiscardHandler)); !errors.Is(err, screen.ErrNoDisplay) || err.Error() != screen.ErrNoDisplay.Error() {
		t.Errorf("no display: %v", err)
	}
	t.Setenv("XDG_SESSION_TYPE", "wayland")
	if _, err := screen.Default(slog.New(slog.DiscardHandler)); err == nil || err.Error() != screen.ErrWayland.Error() {
		t.Errorf("wayland: %v", err)
	}
	for _, bad := range []string{"nonsense", ":x", ":1.y", ":-3", ":99999999999"} {
		t.Setenv("DISPLAY", bad)
		if _, err := screen.Default(slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("display %q opened", bad)
		}
	}
}

func TestAServerThatDiesIsSaid(t *testing.T) {
	var c screen.Capture
	t.Run("server", func(t *testing.T) {
		name := screentest.Xvfb(t, "320x200")
		t.Setenv("DISPLAY", name)
		s, err := screen.Default(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if c, err = s.Open(0); err != nil {
			t.Fatal(err)
		}
		c.Take()
		<-c.Ready()
	}) // its end stops the server
	<-c.Ready()
	d := c.Take()
	if !d.Changed || !errors.Is(d.State, screen.ErrNoDisplay) {
		t.Errorf("%+v", d)
	}
	f := screen.NewFrame(320, 200)
	if c.Grab(f, []image.Rectangle{f.Bounds()}) == nil {
		t.Error("a dead server was read")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkX11Grab(b *testing.B) {
	name := screentest.Xvfb(b, "1920x1080")
	b.Setenv("DISPLAY", name)
	x := screentest.NewX(b, name)
	s := open(b, name)
	c, err := s.Open(0)
	if err != nil {
		b.Fatal(err)
	}
	f := screen.NewFrame(1920, 1080)
	for _, r := range []image.Rectangle{image.Rect(0, 0, 16, 16), image.Rect(100, 100, 356, 164), f.Bounds()} {
		b.Run(fmt.Sprintf("%dx%d", r.Dx(), r.Dy()), func(b *testing.B) {
			for b.Loop() {
				if err := c.Grab(f, []image.Rectangle{r}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	// From a drawing request to its pixels in the frame.
	b.Run("drawn to grabbed", func(b *testing.B) {
		i := uint32(0)
		for b.Loop() {
			i++
			x.Fill(image.Rect(1, 1, 6, 6), i)
			<-c.Ready()
			if d := c.Take(); len(d.Rects) > 0 {
				if err := c.Grab(f, d.Rects); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// What stands between is told apart by errors.Is, also when it carries a cause:
// a locked screen is not a missing one.
func TestStatesAreToldApart(t *testing.T) {
	all := []*fault.Error{screen.ErrLocked, screen.ErrOff, screen.ErrNoDisplay, screen.ErrWayland}
	for _, a := range all {
		caused := fault.Wrap(errors.New("cause"), a.Kind, a.Op, a.Message, a.Hint)
		for _, b := range all {
			if errors.Is(a, b) != (a == b) || errors.Is(caused, b) != (a == b) {
				t.Errorf("%q is %q", a.Message, b.Message)
			}
		}
	}
}
