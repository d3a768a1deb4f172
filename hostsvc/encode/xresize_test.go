//go:build linux

package encode_test

import (
	"image"
	"log/slog"
	"testing"
	"time"

	"daypass/hostsvc/screen"
	"daypass/hostsvc/screen/screentest"
)

// TestAChangedResolutionOfXIsFollowed changes the resolution of a real X server
// while it is watched, by RandR as a desktop's settings do.
func TestAChangedResolutionOfXIsFollowed(t *testing.T) {
	name := screentest.Xvfb(t, "640x480")
	t.Setenv("DISPLAY", name)
	x := screentest.NewX(t, name)
	src, err := screen.Default(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	s := start(t, src)
	defer s.stop()
	for i, size := range []image.Point{{640, 480}, {500, 300}, {333, 421}, {640, 479}} {
		if i > 0 {
			x.Resize(size.X, size.Y)
		}
		x.Fill(image.Rect(10*i, 20*i, 10*i+50, 20*i+70), uint32(0x30507*(i+3)))
		truth := x.Read()
		for end := time.Now().Add(15 * time.Second); ; {
			n := differences(truth, s.scr.Snapshot()) + differences(truth, s.canvas())
			if n == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%v: %d pixels differ", size, n)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
}
