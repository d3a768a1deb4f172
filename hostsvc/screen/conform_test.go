//go:build linux

package screen_test

import (
	"log/slog"
	"testing"

	"daypass/hostsvc/screen"
	"daypass/hostsvc/screen/screentest"
)

func TestX11PassesTheSuite(t *testing.T) {
	name := screen.StartXvfb(t, "800x600")
	t.Setenv("DISPLAY", name)
	t.Setenv("XDG_SESSION_TYPE", "x11")
	screentest.Run(t, func(t *testing.T) screentest.Rig {
		s, err := screen.Default(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		fill, point := screen.NewPainter(t, name)
		return screentest.Rig{Source: s, Fill: fill, Point: point}
	})
}

func TestX11FloorPassesTheSuite(t *testing.T) {
	name := screen.StartXvfb(t, "800x600")
	t.Setenv("DISPLAY", name)
	t.Setenv("XDG_SESSION_TYPE", "x11")
	screentest.Run(t, func(t *testing.T) screentest.Rig {
		s, err := screen.Default(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		screen.WithoutSharedMemory(s)
		fill, point := screen.NewPainter(t, name)
		return screentest.Rig{Source: s, Fill: fill, Point: point}
	})
}
