package encode

import (
	"image"
	"slices"
	"time"
	"unsafe"

	"daypass/backend/wire"
)

// Copies are searched in damage of at least this many pixels a side.
const (
	minCopySide = 24
	minCopyArea = 64 * 48
	// stripe is the width in which moved content is verified; edges of a moved
	// area that do not fill one go as tiles.
	stripe = 16
	// minRun is the fewest rows of a stripe that make a copy.
	minRun = 6
	// searchFilms is after how many searches in vain, and from then on how
	// often, a film is searched for copies: it may be a page with photographs
	// that began to scroll.
	searchFilms = 8
	// maxCopies bounds the operations of one offset.
	maxCopies = 48
)

// finder finds content that moved between sent and cur. Row hashes of a few
// narrow columns vote for vertical offsets; when they explain little, hashes of
// short pixel runs vote for offsets in any direction. Candidates are verified
// pixel by pixel, so a wrong vote costs time, never truth.
type finder struct {
	table []hashRow
	votes []int32
	feats [256]feature
	score map[image.Point]int
	runs  []image.Rectangle
	open  []int
}

type hashRow struct {
	hash uint64
	y    int32 // first row with that hash; -1: none, -2: more than one
}

type feature struct {
	hash uint64
	at   image.Point
	used bool
}

const hashMul = 0x9e3779b97f4a7c15

// hashRun hashes the pixels of a row, four bytes each.
func hashRun(p []uint32) uint64 {
	q := unsafe.Slice((*uint64)(unsafe.Pointer(&p[0])), len(p)/2)
	h := uint64(len(p))
	for _, v := range q {
		h = (h ^ v) * hashMul
		h ^= h >> 29
	}
	return h
}

// copies finds what moved inside the damage, appends copy operations and does
// them on sent.
func (e *encoder) copies(rects []image.Rectangle, now time.Time) {
	if len(rects) == 0 {
		return
	}
	box, sum := rects[0], 0
	for _, r := range rects {
		box = box.Union(r)
		sum += area(r)
	}
	if area(box) <= 2*sum {
		e.copiesIn(box, now)
		return
	}
	for _, r := range rects {
		e.copiesIn(r, now)
	}
}

func (e *encoder) copiesIn(box image.Rectangle, now time.Time) {
	if box.Dx() < minCopySide || box.Dy() < minCopySide || area(box) < minCopyArea {
		return
	}
	film := e.films(box, now)
	if film && e.missed >= searchFilms {
		// Looked for in vain: not again before as many frames have passed.
		if e.missed++; e.missed%searchFilms != 0 {
			return
		}
	}
	found := e.search(box, now)
	switch {
	case found:
		e.missed = 0
	case film:
		e.missed++
	}
}

// search reports whether something in box moved, and moves it.
func (e *encoder) search(box image.Rectangle, now time.Time) bool {
	changed := 0
	if d := e.vertical(box); d != 0 {
		changed = e.move(box, image.Pt(0, d), now)
	}
	if changed*4 < area(box) {
		if d := e.anyway(box); d != (image.Point{}) {
			changed += e.move(box, d, now)
		}
	}
	return changed > 0
}

// films reports whether most of box is a film now: tiles that change all the
// time and were coded as motion. Nothing in there is found again.
func (e *encoder) films(box image.Rectangle, now time.Time) bool {
	since := now.Add(-motionGap).UnixNano()
	n, all := 0, 0
	for ty := box.Min.Y / tile; ty*tile < box.Max.Y; ty++ {
		for tx := box.Min.X / tile; tx*tile < box.Max.X; tx++ {
			all++
			if t := &e.tiles[ty*e.cols+tx]; t.lossy && t.streak >= motionStreak && t.last >= since {
				n++
			}
		}
	}
	return 2*n > all
}

// vertical votes for the vertical offset of most rows, 0 for none.
func (e *encoder) vertical(box image.Rectangle) int {
	f := &e.find
	h := box.Dy()
	size := 1
	for size < 2*h {
		size *= 2
	}
	if len(f.table) < size {
		f.table = make([]hashRow, size)
	}
	if len(f.votes) < 2*h+1 {
		f.votes = make([]int32, 2*h+1)
	}
	votes := f.votes[:2*h+1]
	clear(votes)
	table := f.table[:size]
	width := min(64, box.Dx()) &^ 1
	const samples = 5
	step := max((box.Dx()-width)/samples, 1)
	for i, n := 0, 0; n <= samples && box.Min.X+i+width <= box.Max.X; i, n = i+step, n+1 {
		x := box.Min.X + i
		for j := range table {
			table[j].y = -1
		}
		for y := range h {
			v := hashRun(e.sent.Row(box.Min.Y+y, x, x+width))
			for j := v; ; j++ {
				t := &table[j&uint64(size-1)]
				if t.y == -1 {
					t.hash, t.y = v, int32(y)
					break
				}
				if t.hash == v {
					t.y = -2
					break
				}
			}
		}
		for y := range h {
			v := hashRun(e.cur.Row(box.Min.Y+y, x, x+width))
			for j := v; ; j++ {
				t := &table[j&uint64(size-1)]
				if t.y == -1 {
					break
				}
				if t.hash == v {
					if t.y >= 0 {
						votes[y-int(t.y)+h]++
					}
					break
				}
			}
		}
	}
	votes[h] = 0 // what stayed
	best, n := 0, int32(minRun-1)
	for i, v := range votes {
		if v > n {
			best, n = i-h, v
		}
	}
	return best
}

const (
	featLen  = 8
	rollMul  = 0x2545f4914f6cdd1d
	featGrid = 12 // features a side
)

// anyway votes for an offset in any direction, the zero point for none.
func (e *encoder) anyway(box image.Rectangle) image.Point {
	f := &e.find
	if area(box) < 96*96 || box.Dx() < 3*featLen {
		return image.Point{}
	}
	for i := range f.feats {
		f.feats[i].used = false
	}
	var filter [1024]uint64 // 64 Ki bits
	count := 0
	for gy := range featGrid {
		for gx := range featGrid {
			x := box.Min.X + (box.Dx()-featLen)*(2*gx+1)/(2*featGrid)
			y := box.Min.Y + box.Dy()*(2*gy+1)/(2*featGrid)
			// A little search for a place that has something to recognise.
			for try := range 12 {
				xx, yy := x+try%4*3, y+try/4*5
				if xx+featLen > box.Max.X || yy >= box.Max.Y {
					continue
				}
				p := e.cur.Row(yy, xx, xx+featLen)
				if !distinct(p) || string(e.cur.Bytes(yy, xx, xx+featLen)) == string(e.sent.Bytes(yy, xx, xx+featLen)) {
					continue
				}
				h := roll(p)
				k := mix(h)
				s := &f.feats[k&255]
				if s.used {
					break
				}
				*s = feature{hash: h, at: image.Pt(xx, yy), used: true}
				filter[k>>48&0xffff/64] |= 1 << (k >> 48 & 63)
				count++
				break
			}
		}
	}
	if count < 4 {
		return image.Point{}
	}
	if f.score == nil {
		f.score = map[image.Point]int{}
	}
	clear(f.score)
	out := uint64(1)
	for range featLen {
		out *= rollMul
	}
	hits := 0
	for y := box.Min.Y; y < box.Max.Y && hits < 4096; y++ {
		row := e.sent.Row(y, box.Min.X, box.Max.X)
		h := roll(row[:featLen])
		for x := 0; ; x++ {
			k := mix(h)
			if filter[k>>48&0xffff/64]>>(k>>48&63)&1 != 0 {
				if s := &f.feats[k&255]; s.used && s.hash == h {
					hits++
					f.score[s.at.Sub(image.Pt(box.Min.X+x, y))]++
				}
			}
			if x+featLen >= len(row) {
				break
			}
			h = h*rollMul + uint64(row[x+featLen]) + 1 - out*(uint64(row[x])+1)
		}
	}
	delete(f.score, image.Point{})
	best, n := image.Point{}, max(2, count/16)
	for d, v := range f.score {
		if v > n || v == n && best != (image.Point{}) && (d.Y < best.Y || d.Y == best.Y && d.X < best.X) {
			best, n = d, v
		}
	}
	return best
}

// distinct reports whether a run is worth recognising.
func distinct(p []uint32) bool {
	n := 0
	for i := 1; i < len(p); i++ {
		if p[i] != p[i-1] {
			n++
		}
	}
	return n >= 3
}

func roll(p []uint32) uint64 {
	h := uint64(0)
	for _, v := range p[:featLen] {
		h = h*rollMul + uint64(v) + 1
	}
	return h
}

func mix(h uint64) uint64 {
	h *= hashMul
	return h ^ h>>32
}

// move verifies the offset d over box, appends the copies and does them on
// sent. It returns how many pixels they cover.
func (e *encoder) move(box image.Rectangle, d image.Point, now time.Time) int {
	f := &e.find
	// Where the source lies inside the frame.
	box = box.Intersect(e.sent.Bounds().Add(d))
	f.runs, f.open = f.runs[:0], f.open[:0]
	var next []int
	for x0 := box.Min.X; x0 < box.Max.X; x0 += stripe {
		x1 := min(x0+stripe, box.Max.X)
		next = next[:0]
		start, useful := -1, false
		for y := box.Min.Y; y <= box.Max.Y; y++ {
			match := y < box.Max.Y && string(e.cur.Bytes(y, x0, x1)) == string(e.sent.Bytes(y-d.Y, x0-d.X, x1-d.X))
			if match {
				if start < 0 {
					start, useful = y, false
				}
				useful = useful || !e.same(y, x0, x1)
				continue
			}
			if start >= 0 && useful && y-start >= minRun {
				next = append(next, e.find.grow(image.Rect(x0, start, x1, y)))
			}
			start = -1
		}
		f.open = append(f.open[:0], next...)
	}
	out := f.runs[:0]
	for _, r := range f.runs {
		if area(r) >= 256 {
			out = append(out, r)
		}
	}
	if len(out) > maxCopies {
		slices.SortFunc(out, func(a, b image.Rectangle) int { return area(b) - area(a) })
		out = out[:maxCopies]
	}
	// The order of memmove: what is read is not yet written.
	slices.SortFunc(out, func(a, b image.Rectangle) int {
		if v := a.Min.Y - b.Min.Y; v != 0 && d.Y != 0 {
			if d.Y > 0 {
				return -v
			}
			return v
		}
		if v := a.Min.X - b.Min.X; v != 0 {
			if d.X > 0 {
				return -v
			}
			return v
		}
		return a.Min.Y - b.Min.Y
	})
	sum := 0
	for _, r := range out {
		e.copy(r, d, now)
		sum += area(r)
	}
	return sum
}

// grow joins a run to the rectangle at its left when they nearly agree, and
// returns the index of the rectangle it is in.
func (f *finder) grow(r image.Rectangle) int {
	for _, i := range f.open {
		o := f.runs[i]
		y0, y1 := max(o.Min.Y, r.Min.Y), min(o.Max.Y, r.Max.Y)
		if o.Max.X == r.Min.X && (y1-y0)*8 >= max(o.Dy(), r.Dy())*7 {
			f.runs[i] = image.Rect(o.Min.X, y0, r.Max.X, y1)
			return i
		}
	}
	f.runs = append(f.runs, r)
	return len(f.runs) - 1
}

// copy appends one copy operation and does it on sent.
func (e *encoder) copy(r image.Rectangle, d image.Point, now time.Time) {
	from := r.Sub(d)
	e.plain = wire.AppendPictureOp(e.plain, wire.PictureOp{
		Type: wire.OpCopy, X: uint16(r.Min.X), Y: uint16(r.Min.Y), W: uint16(r.Dx()), H: uint16(r.Dy()),
		A: uint16(from.Min.X), B: uint16(from.Min.Y),
	})
	e.est += 6
	row := func(y int) {
		copy(e.sent.Row(y, r.Min.X, r.Max.X), e.sent.Row(y-d.Y, from.Min.X, from.Max.X))
	}
	if d.Y > 0 {
		for y := r.Max.Y - 1; y >= r.Min.Y; y-- {
			row(y)
		}
	} else {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			row(y)
		}
	}
	if e.lossy == 0 {
		return
	}
	// What comes from a lossy place is lossy.
	ns := now.UnixNano()
	for ty := from.Min.Y / tile; ty*tile < from.Max.Y; ty++ {
		for tx := from.Min.X / tile; tx*tile < from.Max.X; tx++ {
			if !e.tiles[ty*e.cols+tx].lossy {
				continue
			}
			to := image.Rect(tx*tile, ty*tile, tx*tile+tile, ty*tile+tile).Intersect(from).Add(d)
			for y := to.Min.Y / tile; y*tile < to.Max.Y; y++ {
				for x := to.Min.X / tile; x*tile < to.Max.X; x++ {
					t := &e.tiles[y*e.cols+x]
					e.mark(t, true)
					t.last = ns
				}
			}
		}
	}
}
