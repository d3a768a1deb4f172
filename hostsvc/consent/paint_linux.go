package consent

import (
	"fmt"
	"image"
	"image/color"
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
