package ttf_test

import (
	"image"
	"os"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"

	"daypass/hostsvc/consent/ttf"
)

// nothing is a path that is not drawn.
type nothing struct{}

func (nothing) MoveTo(_, _ float32)       {}
func (nothing) LineTo(_, _ float32)       {}
func (nothing) QuadTo(_, _, _, _ float32) {}
func (nothing) ClosePath()                {}

// size is the edge of the square on which glyphs are compared, in pixels; its
// lower quarter is below the base line.
const size = 48

func alpha(draw func(z *vector.Rasterizer)) *image.Alpha {
	z := vector.NewRasterizer(2*size, size)
	draw(z)
	a := image.NewAlpha(z.Bounds())
	z.Draw(a, a.Rect, image.Opaque, image.Point{})
	return a
}

// TestLikeTheReferenceReader compares every character of the basic plane with
// golang.org/x/image/font/sfnt.
func TestLikeTheReferenceReader(t *testing.T) {
	fonts := map[string][]byte{"Go Regular": goregular.TTF, "Go Bold": gobold.TTF}
	if b, err := os.ReadFile("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"); err == nil {
		fonts["DejaVu"] = b // has glyphs made of glyphs
	}
	for name, b := range fonts {
		t.Run(name, func(t *testing.T) {
			f, err := ttf.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			ref, err := sfnt.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			var buf sfnt.Buffer
			em := fixed.I(f.UnitsPerEm)
			if int(ref.UnitsPerEm()) != f.UnitsPerEm {
				t.Errorf("units %d, reference %d", f.UnitsPerEm, ref.UnitsPerEm())
			}
			m, err := ref.Metrics(&buf, em, font.HintingNone)
			if err != nil {
				t.Fatal(err)
			}
			if m.Ascent != fixed.I(f.Ascent) || m.Descent != fixed.I(f.Descent) {
				t.Errorf("ascent %d descent %d, reference %v %v", f.Ascent, f.Descent, m.Ascent, m.Descent)
			}
			drawn := 0
			for r := rune(0); r <= 0x1ffff; r++ {
				i, err := ref.GlyphIndex(&buf, r)
				if err != nil {
					t.Fatal(err)
				}
				g := f.Index(r)
				if g != int(i) {
					t.Fatalf("%U: glyph %d, reference %d", r, g, i)
				}
				if g == 0 {
					continue
				}
				adv, err := ref.GlyphAdvance(&buf, i, em, font.HintingNone)
				if err != nil || adv != fixed.I(f.Advance(g)) {
					t.Fatalf("%U: advance %d, reference %v %v", r, f.Advance(g), adv, err)
				}
				segs, err := ref.LoadGlyph(&buf, i, em, nil)
				if err != nil {
					t.Fatal(err)
				}
				scale := float32(size) / 2 / float32(f.UnitsPerEm)
				want := alpha(func(z *vector.Rasterizer) {
					p := func(i fixed.Point26_6) (float32, float32) {
						return size/4 + scale*float32(i.X)/64, size*3/4 + scale*float32(i.Y)/64
					}
					for _, s := range segs {
						x, y := p(s.Args[0])
						switch s.Op {
						case sfnt.SegmentOpMoveTo:
							z.ClosePath()
							z.MoveTo(x, y)
						case sfnt.SegmentOpLineTo:
							z.LineTo(x, y)
						case sfnt.SegmentOpQuadTo:
							x2, y2 := p(s.Args[1])
							z.QuadTo(x, y, x2, y2)
						}
					}
					z.ClosePath()
				})
				got := alpha(func(z *vector.Rasterizer) {
					if err := f.Draw(z, g, size/4, size*3/4, scale); err != nil {
						t.Fatalf("%U: %v", r, err)
					}
				})
				for i := range want.Pix {
					if d := int(want.Pix[i]) - int(got.Pix[i]); d < -48 || d > 48 { // curves are flattened from another start
						t.Fatalf("%U: pixel %d,%d is %d, reference %d", r, i%want.Stride, i/want.Stride, got.Pix[i], want.Pix[i])
					}
				}
				drawn++
			}
			if drawn < 500 {
				t.Errorf("%d glyphs", drawn)
			}
			t.Logf("%d glyphs", drawn)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x00\x00"))
	f.Add(goregular.TTF[:4096])
	f.Add(goregular.TTF)
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ttf.Parse(b)
		if err != nil {
			return
		}
		for _, r := range []rune{-1, 0, 'A', 'ß', 'Ж', 0xffff, 0x1f600} {
			g := x.Index(r)
			x.Advance(g)
			_ = x.Draw(nothing{}, g, 1, 2, 0.5) // any error, no panic
		}
		for g := range 64 {
			_ = x.Draw(nothing{}, g, 1, 2, 0.5)
		}
	})
}
