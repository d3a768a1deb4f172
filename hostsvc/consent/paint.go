//go:build linux || windows

package consent

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/vector"
)

// canvas is an image to draw on. Coordinates are pixels.
type canvas struct{ *image.RGBA }

func newCanvas(w, h int) canvas { return canvas{image.NewRGBA(image.Rect(0, 0, w, h))} }

func (c canvas) fill(r image.Rectangle, col color.RGBA) {
	draw.Draw(c.RGBA, r, image.NewUniform(col), image.Point{}, draw.Src)
}

func (c canvas) path(col color.RGBA, bounds image.Rectangle, build func(z *vector.Rasterizer, dx, dy float32)) {
	bounds = bounds.Intersect(c.Bounds())
	if bounds.Empty() {
		return
	}
	z := vector.NewRasterizer(bounds.Dx(), bounds.Dy())
	build(z, float32(-bounds.Min.X), float32(-bounds.Min.Y))
	z.Draw(c.RGBA, bounds, image.NewUniform(col), image.Point{})
}

const kappa = 0.5522847

func roundRect(z *vector.Rasterizer, x0, y0, x1, y1, r float32, reverse bool) {
	k := r * (1 - kappa)
	if !reverse {
		z.MoveTo(x0+r, y0)
		z.LineTo(x1-r, y0)
		z.CubeTo(x1-k, y0, x1, y0+k, x1, y0+r)
		z.LineTo(x1, y1-r)
		z.CubeTo(x1, y1-k, x1-k, y1, x1-r, y1)
		z.LineTo(x0+r, y1)
		z.CubeTo(x0+k, y1, x0, y1-k, x0, y1-r)
		z.LineTo(x0, y0+r)
		z.CubeTo(x0, y0+k, x0+k, y0, x0+r, y0)
	} else {
		z.MoveTo(x0+r, y0)
		z.CubeTo(x0+k, y0, x0, y0+k, x0, y0+r)
		z.LineTo(x0, y1-r)
		z.CubeTo(x0, y1-k, x0+k, y1, x0+r, y1)
		z.LineTo(x1-r, y1)
		z.CubeTo(x1-k, y1, x1, y1-k, x1, y1-r)
		z.LineTo(x1, y0+r)
		z.CubeTo(x1, y0+k, x1-k, y0, x1-r, y0)
		z.LineTo(x0+r, y0)
	}
	z.ClosePath()
}

// round fills a rectangle with corners of radius.
func (c canvas) round(r image.Rectangle, radius float64, col color.RGBA) {
	c.path(col, r, func(z *vector.Rasterizer, dx, dy float32) {
		roundRect(z, float32(r.Min.X)+dx, float32(r.Min.Y)+dy, float32(r.Max.X)+dx, float32(r.Max.Y)+dy, float32(radius), false)
	})
}

// frame strokes a rectangle inside its edges.
func (c canvas) frame(r image.Rectangle, radius, width float64, col color.RGBA) {
	c.path(col, r, func(z *vector.Rasterizer, dx, dy float32) {
		x0, y0, x1, y1 := float32(r.Min.X)+dx, float32(r.Min.Y)+dy, float32(r.Max.X)+dx, float32(r.Max.Y)+dy
		w := float32(width)
		roundRect(z, x0, y0, x1, y1, float32(radius), false)
		roundRect(z, x0+w, y0+w, x1-w, y1-w, max(0, float32(radius)-w), true)
	})
}

// arc strokes a part of a circle from the top, clockwise; fraction 1 is whole.
func (c canvas) arc(cx, cy, radius, width, fraction float64, col color.RGBA) {
	if fraction <= 0 {
		return
	}
	fraction = min(fraction, 1)
	b := image.Rect(int(cx-radius-width), int(cy-radius-width), int(cx+radius+width)+1, int(cy+radius+width)+1)
	c.path(col, b, func(z *vector.Rasterizer, dx, dy float32) {
		n := max(4, int(64*fraction))
		at := func(i int, r float64) (float32, float32) {
			a := 2*math.Pi*fraction*float64(i)/float64(n) - math.Pi/2
			return float32(cx+r*math.Cos(a)) + dx, float32(cy+r*math.Sin(a)) + dy
		}
		z.MoveTo(at(0, radius+width/2))
		for i := 1; i <= n; i++ {
			z.LineTo(at(i, radius+width/2))
		}
		for i := n; i >= 0; i-- {
			z.LineTo(at(i, radius-width/2))
		}
		z.ClosePath()
	})
}

// disc fills a circle.
func (c canvas) disc(cx, cy, radius float64, col color.RGBA) { c.arc(cx, cy, radius/2, radius, 1, col) }

// line strokes from one point to another.
func (c canvas) line(x0, y0, x1, y1, width float64, col color.RGBA) {
	l := math.Hypot(x1-x0, y1-y0)
	if l == 0 {
		return
	}
	nx, ny := float32(-(y1-y0)/l*width/2), float32((x1-x0)/l*width/2)
	b := image.Rect(int(min(x0, x1)-width), int(min(y0, y1)-width), int(max(x0, x1)+width)+1, int(max(y0, y1)+width)+1)
	c.path(col, b, func(z *vector.Rasterizer, dx, dy float32) {
		ax, ay, bx, by := float32(x0)+dx, float32(y0)+dy, float32(x1)+dx, float32(y1)+dy
		z.MoveTo(ax+nx, ay+ny)
		z.LineTo(bx+nx, by+ny)
		z.LineTo(bx-nx, by-ny)
		z.LineTo(ax-nx, ay-ny)
		z.ClosePath()
	})
}

// triangle is a path for canvas.path.
func triangle(x0, y0, x1, y1, x2, y2 float64) func(*vector.Rasterizer, float32, float32) {
	return func(z *vector.Rasterizer, dx, dy float32) {
		z.MoveTo(float32(x0)+dx, float32(y0)+dy)
		z.LineTo(float32(x1)+dx, float32(y1)+dy)
		z.LineTo(float32(x2)+dx, float32(y2)+dy)
		z.ClosePath()
	}
}

// mix is a with share of b in it, 0…1.
func mix(a, b color.RGBA, share float64) color.RGBA {
	f := func(p, q uint8) uint8 { return uint8(float64(p)*(1-share) + float64(q)*share + 0.5) }
	return color.RGBA{R: f(a.R, b.R), G: f(a.G, b.G), B: f(a.B, b.B), A: 255}
}
