package fonts_test

import (
	"testing"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/vector"

	"daypass/hostsvc/consent/fonts"
	"daypass/hostsvc/consent/ttf"
)

// TestNothingIsLost compares each character with the fonts as they are
// published.
func TestNothingIsLost(t *testing.T) {
	for name, x := range map[string]struct {
		open func() (*ttf.Font, error)
		full []byte
	}{"regular": {fonts.Regular, goregular.TTF}, "bold": {fonts.Bold, gobold.TTF}} {
		f, err := x.open()
		if err != nil {
			t.Fatal(err)
		}
		full, err := ttf.Parse(x.full)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for r := rune(0); r <= 0xffff; r++ {
			g := full.Index(r)
			if f.Index(r) != g || f.Advance(g) != full.Advance(g) {
				t.Fatalf("%s %U: glyph %d of width %d, published %d of %d", name, r, f.Index(r), f.Advance(g), g, full.Advance(g))
			}
			if g == 0 {
				continue
			}
			n++
			var a, b path
			if f.Draw(&a, g, 0, 0, 1) != nil || full.Draw(&b, g, 0, 0, 1) != nil || len(a.s) != len(b.s) {
				t.Fatalf("%s %U: another outline", name, r)
			}
			for i := range a.s {
				if a.s[i] != b.s[i] {
					t.Fatalf("%s %U: another outline", name, r)
				}
			}
		}
		if n < 600 {
			t.Errorf("%s has %d characters", name, n)
		}
	}
}

var _ ttf.Path = (*vector.Rasterizer)(nil)

type path struct{ s []float32 }

func (p *path) MoveTo(x, y float32)       { p.s = append(p.s, 0, x, y) }
func (p *path) LineTo(x, y float32)       { p.s = append(p.s, 1, x, y) }
func (p *path) QuadTo(a, b, x, y float32) { p.s = append(p.s, 2, a, b, x, y) }
func (p *path) ClosePath()                {}
