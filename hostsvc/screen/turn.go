package screen

import "image"

// How far a display's picture is turned clockwise from the texture that the
// system hands out, as DXGI_MODE_ROTATION numbers it; 0 and 1 are not at all.
const (
	turned90  = 2
	turned180 = 3
	turned270 = 4
)

// turnInto copies r of a texture of the given size into frame, turned as the
// display is, and returns where it came to lie. row returns a row of the
// texture; pixels' upper bytes are dropped.
func turnInto(frame *Frame, r image.Rectangle, size image.Point, turn int, row func(y int) []uint32) image.Rectangle {
	var place func(x, y int) (int, int)
	switch turn {
	case turned90:
		place = func(x, y int) (int, int) { return size.Y - 1 - y, x }
	case turned180:
		place = func(x, y int) (int, int) { return size.X - 1 - x, size.Y - 1 - y }
	case turned270:
		place = func(x, y int) (int, int) { return y, size.X - 1 - x }
	default:
		for y := r.Min.Y; y < r.Max.Y; y++ {
			from, to := row(y)[r.Min.X:r.Max.X], frame.Row(y, r.Min.X, r.Max.X)
			for i, v := range from {
				to[i] = v & 0xffffff
			}
		}
		return r
	}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for i, v := range row(y)[r.Min.X:r.Max.X] {
			x, y := place(r.Min.X+i, y)
			frame.Pix[y*frame.W+x] = v & 0xffffff
		}
	}
	x0, y0 := place(r.Min.X, r.Min.Y)
	x1, y1 := place(r.Max.X-1, r.Max.Y-1)
	return image.Rect(min(x0, x1), min(y0, y1), max(x0, x1)+1, max(y0, y1)+1)
}
