//go:build linux

package screen

import (
	"image"
	"testing"

	"github.com/jezek/xgb/xproto"
)

// StartXvfb is xvfb for the external tests.
func StartXvfb(t testing.TB, size string) string { return xvfb(t, size) }

// NewPainter is newPainter for the external tests.
func NewPainter(t testing.TB, display string) (fill func(image.Rectangle, uint32), point func(image.Point)) {
	p := newPainter(t, display)
	return p.fill, func(at image.Point) {
		xproto.WarpPointer(p.c, 0, p.root, 0, 0, 0, 0, int16(at.X), int16(at.Y))
		p.sync()
	}
}

// WithoutSharedMemory makes captures of s that are opened later read through
// the floor.
func WithoutSharedMemory(s Source) { s.(*x11Source).noShared = true }
