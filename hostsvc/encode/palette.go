package encode

import (
	"image"

	"daypass/hostsvc/screen"
)

// palette finds the colours of a small rectangle: an open hash of 1024 places
// that is cleared by counting generations.
type palette struct {
	colours [256]uint32
	n       int
	gen     uint32
	slots   [1024]slot
}

type slot struct {
	colour uint32
	gen    uint32
	index  uint8
}

func place(c uint32) uint32 { return c * 0x9e3779b1 >> 22 }

// gather collects the colours of r and returns their number, 0 for more than
// 256.
func (p *palette) gather(f *screen.Frame, r image.Rectangle) int {
	p.gen++
	if p.gen == 0 {
		p.slots = [1024]slot{}
		p.gen = 1
	}
	p.n = 0
	last := ^uint32(0)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for _, c := range f.Row(y, r.Min.X, r.Max.X) {
			if c == last {
				continue
			}
			last = c
			if !p.add(c) {
				return 0
			}
		}
	}
	return p.n
}

func (p *palette) add(c uint32) bool {
	for i := place(c); ; i++ {
		s := &p.slots[i&1023]
		if s.gen != p.gen {
			if p.n == 256 {
				return false
			}
			*s = slot{colour: c, gen: p.gen, index: uint8(p.n)}
			p.colours[p.n] = c
			p.n++
			return true
		}
		if s.colour == c {
			return true
		}
	}
}

func (p *palette) index(c uint32) uint8 {
	for i := place(c); ; i++ {
		if s := &p.slots[i&1023]; s.colour == c && s.gen == p.gen {
			return s.index
		}
	}
}

// appendIndices appends the packed rows of r, whose colours were gathered.
func (p *palette) appendIndices(dst []byte, f *screen.Frame, r image.Rectangle, bits int) []byte {
	w := r.Dx()
	last, li := ^uint32(0), uint8(0)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := f.Row(y, r.Min.X, r.Max.X)
		switch bits {
		case 8:
			for _, c := range row {
				if c != last {
					last, li = c, p.index(c)
				}
				dst = append(dst, li)
			}
		case 4:
			for x := 0; x < w; x += 2 {
				if c := row[x]; c != last {
					last, li = c, p.index(c)
				}
				b := li << 4
				if x+1 < w {
					if c := row[x+1]; c != last {
						last, li = c, p.index(c)
					}
					b |= li
				}
				dst = append(dst, b)
			}
		default:
			second := p.colours[1]
			for x := 0; x < w; x += 8 {
				b := byte(0)
				for i, c := range row[x:min(x+8, w)] {
					if c == second {
						b |= 0x80 >> i
					}
				}
				dst = append(dst, b)
			}
		}
	}
	return dst
}
