// Package ttf reads the outlines of TrueType fonts (OpenType 1.9: head, hhea,
// maxp, hmtx, cmap of formats 4 and 12, loca, glyf), enough to draw a line of
// text: no hints, no kerning, no PostScript outlines. It exists because the
// general reader brings every legacy encoding into the customer's program. It
// must not know what is written or where it is drawn.
package ttf

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrFormat is the error of everything that is not a font this package reads.
var ErrFormat = errors.New("ttf: not a TrueType font that can be read")

// Bounds that no honest glyph comes near.
const (
	maxDepth  = 8       // glyphs made of glyphs
	maxPoints = 1 << 14 // of one glyph, parts included
	maxParts  = 256
)

var be = binary.BigEndian

// Font is a parsed font. It keeps the bytes it was made of. It is safe for
// concurrent use.
type Font struct {
	// UnitsPerEm is the size of the design's square; all lengths are in its
	// units. Ascent is above the base line, Descent below it and positive.
	UnitsPerEm, Ascent, Descent int

	glyphs, metrics        int
	long                   bool // loca has 32-bit entries
	loca, glyf, hmtx, cmap []byte
	wide                   bool // cmap is a subtable of format 12, else of 4
}

// Path is what an outline is drawn on: a rasterizer. The y axis points down.
type Path interface {
	MoveTo(x, y float32)
	LineTo(x, y float32)
	QuadTo(bx, by, cx, cy float32)
	ClosePath()
}

// Parse reads a font. The font refers to b, which must not change afterwards.
// The error is ErrFormat.
func Parse(b []byte) (*Font, error) {
	if len(b) < 12 || be.Uint32(b) != 0x00010000 && string(b[:4]) != "true" {
		return nil, ErrFormat
	}
	tables := map[string][]byte{}
	n := int(be.Uint16(b[4:]))
	if len(b) < 12+16*n {
		return nil, ErrFormat
	}
	for i := range n {
		e := b[12+16*i:]
		at, size := uint64(be.Uint32(e[8:])), uint64(be.Uint32(e[12:]))
		if at+size > uint64(len(b)) {
			return nil, ErrFormat
		}
		tables[string(e[:4])] = b[at : at+size]
	}
	head, hhea, maxp := tables["head"], tables["hhea"], tables["maxp"]
	if len(head) < 54 || len(hhea) < 36 || len(maxp) < 6 {
		return nil, ErrFormat
	}
	f := &Font{
		UnitsPerEm: int(be.Uint16(head[18:])), Ascent: i16(hhea[4:]), Descent: -i16(hhea[6:]),
		glyphs: int(be.Uint16(maxp[4:])), metrics: int(be.Uint16(hhea[34:])), long: be.Uint16(head[50:]) != 0,
		loca: tables["loca"], glyf: tables["glyf"], hmtx: tables["hmtx"],
	}
	size := 2
	if f.long {
		size = 4
	}
	if f.UnitsPerEm < 16 || f.UnitsPerEm > 16384 || f.metrics < 1 || f.metrics > f.glyphs ||
		len(f.loca) < size*(f.glyphs+1) || len(f.hmtx) < 4*f.metrics || !f.characters(tables["cmap"]) {
		return nil, ErrFormat
	}
	return f, nil
}

// characters chooses the subtable for Unicode.
func (f *Font) characters(cmap []byte) bool {
	if len(cmap) < 4 {
		return false
	}
	n := int(be.Uint16(cmap[2:]))
	if len(cmap) < 4+8*n {
		return false
	}
	for i := range n {
		e := cmap[4+8*i:]
		platform, encoding, at := be.Uint16(e), be.Uint16(e[2:]), uint64(be.Uint32(e[4:]))
		if at+16 > uint64(len(cmap)) || platform != 0 && (platform != 3 || encoding != 1 && encoding != 10) {
			continue
		}
		t := cmap[at:]
		switch be.Uint16(t) {
		case 4:
			size, pairs := int(be.Uint16(t[2:])), int(be.Uint16(t[6:]))
			if f.cmap == nil && size <= len(t) && pairs%2 == 0 && 16+4*pairs <= size {
				f.cmap = t[:size]
			}
		case 12:
			groups := uint64(be.Uint32(t[12:]))
			if uint64(len(t)) >= 16+12*groups {
				f.cmap, f.wide = t[:16+12*groups], true
				return true
			}
		}
	}
	return f.cmap != nil
}

// Index returns the glyph of a character, 0 if there is none.
func (f *Font) Index(r rune) int {
	if r < 0 {
		return 0
	}
	g := 0
	if f.wide {
		g = f.index12(uint32(r))
	} else if r <= 0xffff {
		g = f.index4(uint16(r))
	}
	if g >= f.glyphs {
		return 0
	}
	return g
}

func (f *Font) index12(r uint32) int {
	lo, hi := 0, (len(f.cmap)-16)/12
	for lo < hi {
		mid := (lo + hi) / 2
		e := f.cmap[16+12*mid:]
		switch first, last := be.Uint32(e), be.Uint32(e[4:]); {
		case r < first:
			hi = mid
		case r > last:
			lo = mid + 1
		default:
			return int(min(uint64(be.Uint32(e[8:]))+uint64(r-first), math.MaxUint16))
		}
	}
	return 0
}

func (f *Font) index4(r uint16) int {
	c := f.cmap
	n := int(be.Uint16(c[6:])) // twice the number of segments
	lo, hi := 0, n/2
	for lo < hi {
		mid := (lo + hi) / 2
		if be.Uint16(c[14+2*mid:]) < r {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == n/2 {
		return 0
	}
	first, delta, at := be.Uint16(c[16+n+2*lo:]), be.Uint16(c[16+2*n+2*lo:]), 16+3*n+2*lo
	if r < first {
		return 0
	}
	offset := int(be.Uint16(c[at:]))
	if offset == 0 {
		return int(r + delta)
	}
	at += offset + 2*int(r-first)
	if at+2 > len(c) {
		return 0
	}
	if g := be.Uint16(c[at:]); g != 0 {
		return int(g + delta)
	}
	return 0
}

// Advance returns how far a glyph moves the pen.
func (f *Font) Advance(glyph int) int {
	if glyph < 0 || glyph >= f.glyphs {
		return 0
	}
	return int(be.Uint16(f.hmtx[4*min(glyph, f.metrics-1):]))
}

// Draw draws a glyph's outline on p with its origin at x, y and one design unit
// as long as scale. The error is ErrFormat; what p got then is a part.
func (f *Font) Draw(p Path, glyph int, x, y, scale float32) error {
	d := drawing{f: f, p: p}
	return d.glyph(glyph, matrix{a: scale, d: -scale, e: x, f: y}, 0)
}

// matrix maps (x, y) to (a·x + c·y + e, b·x + d·y + f).
type matrix struct{ a, b, c, d, e, f float32 }

func (m matrix) at(x, y float32) (float32, float32) { return m.a*x + m.c*y + m.e, m.b*x + m.d*y + m.f }

// of returns the matrix that applies n first.
func (m matrix) of(n matrix) matrix {
	e, f := m.at(n.e, n.f)
	return matrix{m.a*n.a + m.c*n.b, m.b*n.a + m.d*n.b, m.a*n.c + m.c*n.d, m.b*n.c + m.d*n.d, e, f}
}

type drawing struct {
	f             *Font
	p             Path
	points, parts int
}

type point struct {
	x, y float32
	on   bool
}

// data returns a glyph's bytes, none for one without an outline.
func (f *Font) data(glyph int) ([]byte, error) {
	if glyph < 0 || glyph >= f.glyphs {
		return nil, ErrFormat
	}
	var from, to uint64
	if f.long {
		from, to = uint64(be.Uint32(f.loca[4*glyph:])), uint64(be.Uint32(f.loca[4*glyph+4:]))
	} else {
		from, to = 2*uint64(be.Uint16(f.loca[2*glyph:])), 2*uint64(be.Uint16(f.loca[2*glyph+2:]))
	}
	if from > to || to > uint64(len(f.glyf)) || from < to && to-from < 10 {
		return nil, ErrFormat
	}
	return f.glyf[from:to], nil
}

func (d *drawing) glyph(glyph int, m matrix, depth int) error {
	b, err := d.f.data(glyph)
	if err != nil || len(b) == 0 {
		return err
	}
	if contours := i16(b); contours >= 0 {
		return d.simple(b[10:], contours, m)
	}
	return d.compound(b[10:], m, depth)
}

// Flags of a glyph's part.
const (
	partWords = 1 << 0
	partXY    = 1 << 1
	partScale = 1 << 3
	partMore  = 1 << 5
	partXYS   = 1 << 6
	part2x2   = 1 << 7
)

func (d *drawing) compound(b []byte, m matrix, depth int) error {
	if depth == maxDepth {
		return ErrFormat
	}
	for more := true; more; {
		d.parts++
		if len(b) < 4 || d.parts > maxParts {
			return ErrFormat
		}
		flags, glyph := be.Uint16(b), int(be.Uint16(b[2:]))
		b = b[4:]
		more = flags&partMore != 0
		t := matrix{a: 1, d: 1}
		size := 2
		if flags&partWords != 0 {
			size = 4
		}
		if flags&partXY == 0 || len(b) < size {
			return ErrFormat // places by points: no font of the last decades
		}
		if size == 4 {
			t.e, t.f = float32(i16(b)), float32(i16(b[2:]))
		} else {
			t.e, t.f = float32(int8(b[0])), float32(int8(b[1]))
		}
		b = b[size:]
		size = 0
		switch {
		case flags&partScale != 0:
			size = 2
		case flags&partXYS != 0:
			size = 4
		case flags&part2x2 != 0:
			size = 8
		}
		if len(b) < size {
			return ErrFormat
		}
		switch size {
		case 2:
			t.a = f2dot14(b)
			t.d = t.a
		case 4:
			t.a, t.d = f2dot14(b), f2dot14(b[2:])
		case 8:
			t.a, t.b, t.c, t.d = f2dot14(b), f2dot14(b[2:]), f2dot14(b[4:]), f2dot14(b[6:])
		}
		b = b[size:]
		if err := d.glyph(glyph, m.of(t), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// Flags of a point.
const (
	pointOn     = 1 << 0
	pointShortX = 1 << 1
	pointShortY = 1 << 2
	pointRepeat = 1 << 3
	pointSameX  = 1 << 4 // with short: positive
	pointSameY  = 1 << 5
)

func (d *drawing) simple(b []byte, contours int, m matrix) error {
	if contours == 0 {
		return nil
	}
	if len(b) < 2*contours+2 {
		return ErrFormat
	}
	ends := b[:2*contours]
	n := int(be.Uint16(ends[2*contours-2:])) + 1
	hints := int(be.Uint16(b[2*contours:]))
	if d.points += n; d.points > maxPoints || len(b) < 2*contours+2+hints {
		return ErrFormat
	}
	b = b[2*contours+2+hints:]
	flags := make([]byte, 0, n)
	for len(flags) < n {
		if len(b) < 1 {
			return ErrFormat
		}
		flag, times := b[0], 1
		b = b[1:]
		if flag&pointRepeat != 0 {
			if len(b) < 1 {
				return ErrFormat
			}
			times += int(b[0])
			b = b[1:]
		}
		for range min(times, n-len(flags)) {
			flags = append(flags, flag)
		}
	}
	pts := make([]point, n)
	axis := func(short, same byte, set func(p *point, v float32)) bool {
		v := 0
		for i, flag := range flags {
			switch {
			case flag&short != 0:
				if len(b) < 1 {
					return false
				}
				if flag&same != 0 {
					v += int(b[0])
				} else {
					v -= int(b[0])
				}
				b = b[1:]
			case flag&same == 0:
				if len(b) < 2 {
					return false
				}
				v += i16(b)
				b = b[2:]
			}
			set(&pts[i], float32(v))
		}
		return true
	}
	if !axis(pointShortX, pointSameX, func(p *point, v float32) { p.x = v }) || !axis(pointShortY, pointSameY, func(p *point, v float32) { p.y = v }) {
		return ErrFormat
	}
	for i := range pts {
		pts[i].x, pts[i].y = m.at(pts[i].x, pts[i].y)
		pts[i].on = flags[i]&pointOn != 0
	}
	from := 0
	for i := range contours {
		to := int(be.Uint16(ends[2*i:])) + 1
		if to < from || to > n {
			return ErrFormat
		}
		d.contour(pts[from:to])
		from = to
	}
	return nil
}

// contour draws a closed line of points; between two that are off it lies one
// that is on.
func (d *drawing) contour(pts []point) {
	if len(pts) == 0 {
		return
	}
	middle := func(a, b point) point { return point{(a.x + b.x) / 2, (a.y + b.y) / 2, true} }
	start := pts[0]
	switch last := pts[len(pts)-1]; {
	case start.on:
		pts = pts[1:]
	case last.on:
		start, pts = last, pts[:len(pts)-1]
	default:
		start = middle(start, last)
	}
	d.p.MoveTo(start.x, start.y)
	var off *point
	to := func(q point) {
		if off == nil {
			d.p.LineTo(q.x, q.y)
			return
		}
		d.p.QuadTo(off.x, off.y, q.x, q.y)
		off = nil
	}
	for i := range pts {
		q := &pts[i]
		if q.on {
			to(*q)
			continue
		}
		if off != nil {
			to(middle(*off, *q))
		}
		off = q
	}
	to(start)
	d.p.ClosePath()
}

func i16(b []byte) int { return int(int16(be.Uint16(b))) }

func f2dot14(b []byte) float32 { return float32(i16(b)) / (1 << 14) }
