package screen

import (
	"image"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestCopyChangedTellsExactlyWhereItWas(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	dst, src := NewFrame(200, 150), NewFrame(200, 150)
	for range 300 {
		want := slices.Clone(dst.Pix)
		for range rng.IntN(4) {
			i := rng.IntN(len(src.Pix))
			src.Pix[i] = rng.Uint32() & 0xffffff
		}
		r := image.Rect(rng.IntN(100), rng.IntN(100), 100+rng.IntN(150), 100+rng.IntN(100))
		got := copyChanged(dst, src, r)
		for y := range 150 {
			for x := range 200 {
				i, in := y*200+x, slices.ContainsFunc(got, func(g image.Rectangle) bool { return image.Pt(x, y).In(g) })
				switch {
				case !image.Pt(x, y).In(r):
					if in || dst.Pix[i] != want[i] {
						t.Fatalf("%d,%d is outside %v", x, y, r)
					}
				case dst.Pix[i] != src.Pix[i]:
					t.Fatalf("%d,%d was not copied", x, y)
				case want[i] != src.Pix[i] && !in:
					t.Fatalf("%d,%d changed and was not told: %v", x, y, got)
				}
			}
		}
		for _, g := range got {
			if g.Dx() > tile || g.Dy() > tile || !g.In(r) {
				t.Fatalf("told %v of %v", g, r)
			}
		}
		copy(src.Pix, dst.Pix)
	}
}

// What a rotated display's texture holds comes out upright, whole or by parts.
func TestTurnedTextures(t *testing.T) {
	upright := NewFrame(5, 3)
	for i := range upright.Pix {
		upright.Pix[i] = uint32(i + 1)
	}
	// The texture of a display that is turned by n quarters clockwise shows
	// the upright picture turned back.
	size := image.Pt(5, 3)
	tex := slices.Clone(upright.Pix)
	for turn := 1; turn <= 4; turn++ {
		for _, r := range []image.Rectangle{{Max: size}, image.Rect(1, 0, 3, 2), image.Rect(size.X-1, size.Y-1, size.X, size.Y)} {
			f := NewFrame(5, 3)
			at := turnInto(f, r, size, turn, func(y int) []uint32 {
				row := slices.Clone(tex[y*size.X : (y+1)*size.X])
				for i := range row {
					row[i] |= 0xff000000
				}
				return row
			})
			if area(at) != area(r) {
				t.Errorf("turn %d of %v lies at %v", turn, r, at)
			}
			for y := range 3 {
				for x := range 5 {
					want := uint32(0)
					if image.Pt(x, y).In(at) {
						want = upright.Pix[y*5+x]
					}
					if f.Pix[y*5+x] != want {
						t.Fatalf("turn %d of %v: pixel %d,%d is %x, want %x", turn, r, x, y, f.Pix[y*5+x], want)
					}
				}
			}
		}
		// One quarter back.
		next := make([]uint32, len(tex))
		for y := range size.X {
			for x := range size.Y {
				next[y*size.Y+x] = tex[x*size.X+size.X-1-y]
			}
		}
		tex, size = next, image.Pt(size.Y, size.X)
	}
}

func TestCursorsOfWindows(t *testing.T) {
	c := colorCursor([]uint32{0x80112233, 0, 0xff445566, 0}, []uint32{0, 0, 0, 0}, 2, 2, 2, 2)
	if want := []byte{0x11, 0x22, 0x33, 0x80, 0, 0, 0, 0, 0x44, 0x55, 0x66, 0xff, 0, 0, 0, 0}; !slices.Equal(c.RGBA, want) {
		t.Errorf("with alpha: %x", c.RGBA)
	}
	c = colorCursor([]uint32{0x112233, 0, 0xffffff, 0}, []uint32{0, 0xffffff, 0xffffff, 0}, 2, 2, 2, 2)
	if want := []byte{0x11, 0x22, 0x33, 255, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 255}; !slices.Equal(c.RGBA, want) {
		t.Errorf("by its mask: %x", c.RGBA)
	}
	on := uint32(0xffffff)
	// black, white, transparent, inverting; then an inverting beside a transparent.
	c = maskCursor([]uint32{0, 0, on, on, 0, on, 0, on}, 4, 1)
	if want := []byte{0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 255}; !slices.Equal(c.RGBA, want) {
		t.Errorf("two masks: %x", c.RGBA)
	}
}

func TestDisplaysHaveNumbersAndAPrimary(t *testing.T) {
	if a, b := idOf(`\\.\DISPLAY1`), idOf(`\\.\DISPLAY2`); a == b || a == 0 || idOf("") == 0 {
		t.Error(a, b)
	}
	got := primaryFirst([]Display{{ID: 1}, {ID: 2, Primary: true}, {ID: 3, Primary: true}})
	if got[0].ID != 2 || !got[0].Primary || got[1].Primary || got[2].Primary {
		t.Error(got)
	}
	if got := primaryFirst([]Display{{ID: 7}}); !got[0].Primary {
		t.Error(got)
	}
}
