package consent

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"os"
	"strings"
	"sync"

	"github.com/jezek/xgb/xproto"
	"golang.org/x/image/vector"

	"daypass/hostsvc/consent/fonts"
	"daypass/hostsvc/consent/ttf"
)

// systemFonts are asked for characters that the built-in fonts lack.
var systemFonts = []string{
	"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
	"/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
	"/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
	"/usr/share/fonts/google-noto/NotoSans-Regular.ttf",
	"/usr/share/fonts/TTF/DejaVuSans.ttf",
	"/usr/share/fonts/noto/NotoSans-Regular.ttf",
}

var parseFonts = sync.OnceValue(func() (f struct {
	regular, bold, other *ttf.Font
	err                  error
},
) {
	if f.regular, f.err = fonts.Regular(); f.err != nil {
		return f
	}
	if f.bold, f.err = fonts.Bold(); f.err != nil {
		return f
	}
	for _, name := range systemFonts {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if f.other, err = ttf.Parse(b); err == nil {
			break
		}
	}
	return f
})

// face is a font at one size with a second one for what it lacks.
type face struct {
	main, other *ttf.Font // other may be nil
	size        float64   // of the em, pixels
	height      int       // of a line, pixels
	ascent      int
}

// faces makes faces for one scale. Not safe for concurrent use.
type faces struct {
	scale float64
	made  map[string]*face
}

func newFonts(scale float64) (*faces, error) {
	if err := parseFonts().err; err != nil {
		return nil, fmt.Errorf("consent: fonts: %w", err)
	}
	return &faces{scale: scale, made: map[string]*face{}}, nil
}

// get returns the face of size layout units.
func (f *faces) get(size float64, bold bool) *face {
	key := fmt.Sprint(size, bold)
	if x := f.made[key]; x != nil {
		return x
	}
	p := parseFonts()
	x := &face{main: p.regular, other: p.other, size: size * f.scale}
	if bold {
		x.main = p.bold
	}
	x.ascent = int(math.Ceil(float64(x.main.Ascent) * x.of(x.main)))
	x.height = int(math.Ceil(size * 1.4 * f.scale))
	f.made[key] = x
	return x
}

// of is how many pixels one unit of the font's design has.
func (f *face) of(x *ttf.Font) float64 { return f.size / float64(x.UnitsPerEm) }

// glyph finds a character: its font and glyph, and how far it moves the pen.
func (f *face) glyph(r rune) (x *ttf.Font, glyph int, advance float64) {
	x, glyph = f.main, f.main.Index(r)
	if glyph == 0 && f.other != nil {
		if g := f.other.Index(r); g != 0 {
			x, glyph = f.other, g
		}
	}
	return x, glyph, float64(x.Advance(glyph)) * f.of(x)
}

// width is how wide s is in pixels.
func (f *face) width(s string) int {
	w := 0.0
	for _, r := range s {
		_, _, a := f.glyph(r)
		w += a
	}
	return int(math.Ceil(w))
}

// fit shortens s with an ellipsis to at most max pixels.
func (f *face) fit(s string, max int) string {
	if f.width(s) <= max {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && f.width(string(r)+"…") > max {
		r = r[:len(r)-1]
	}
	return strings.TrimRight(string(r), " ·,") + "…"
}

// wrap breaks s into lines of at most max pixels, inside words only where one
// is longer than a line.
func (f *face) wrap(s string, max int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		try := word
		if line != "" {
			try = line + " " + word
		}
		if f.width(try) <= max {
			line = try
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for f.width(word) > max {
			r := []rune(word)
			n := len(r)
			for n > 1 && f.width(string(r[:n])) > max {
				n--
			}
			lines = append(lines, string(r[:n]))
			word = string(r[n:])
		}
		line = word
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// canvas is an image to draw on. Coordinates are pixels.
type canvas struct{ *image.RGBA }

func newCanvas(w, h int) canvas { return canvas{image.NewRGBA(image.Rect(0, 0, w, h))} }

func (c canvas) fill(r image.Rectangle, col color.RGBA) {
	draw.Draw(c.RGBA, r, image.NewUniform(col), image.Point{}, draw.Src)
}

// text draws s with its top at y and returns where it ends.
func (c canvas) text(f *face, x, y int, s string, col color.RGBA) int {
	pen, base := float64(x), float64(y+(f.height+f.ascent)/2-(f.height-f.ascent)/5)
	for _, r := range s {
		src, glyph, advance := f.glyph(r)
		box := image.Rect(int(pen-f.size/2), int(base-1.5*f.size), int(pen+advance+f.size/2)+1, int(base+f.size)+1) // what sticks out is cut
		c.path(col, box, func(z *vector.Rasterizer, dx, dy float32) {
			if src.Draw(z, glyph, float32(pen)+dx, float32(base)+dy, float32(f.of(src))) != nil {
				z.Reset(z.Size().X, z.Size().Y) // a broken glyph of a system font is left out
			}
		})
		pen += advance
	}
	return int(math.Ceil(pen))
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

// put copies c to drawable at 0,0. It needs a TrueColor visual of depth 24 or
// 32 with 32 bits a pixel, which every display we capture has.
func (x *xconn) put(d xproto.Drawable, gc xproto.Gcontext, c canvas) error {
	w, h := c.Rect.Dx(), c.Rect.Dy()
	rows := max(1, (240<<10)/(4*w))
	for y := 0; y < h; y += rows {
		n := min(rows, h-y)
		b := make([]byte, 4*w*n)
		for i := range n {
			src := c.Pix[(y+i)*c.Stride : (y+i)*c.Stride+4*w]
			dst := b[4*w*i : 4*w*(i+1)]
			for p := 0; p < len(src); p += 4 {
				dst[p], dst[p+1], dst[p+2], dst[p+3] = src[p+2], src[p+1], src[p], 255
			}
		}
		xproto.PutImage(x.Conn, xproto.ImageFormatZPixmap, d, gc, uint16(w), uint16(n), 0, int16(y), 0, x.root.RootDepth, b)
	}
	return nil
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
