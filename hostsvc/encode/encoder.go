package encode

import (
	"image"
	"slices"
	"time"

	"daypass/backend/fault"
	"daypass/backend/wire"
	"daypass/hostsvc/screen"

	"github.com/klauspost/compress/zstd"
)

const (
	tile = wire.MaxPictureTile

	// motionStreak is how many changes in a row, none later than motionGap
	// after the one before, make a photographic tile a moving one.
	motionStreak = 4
	motionGap    = 250 * time.Millisecond
	// manyColours in a tile that keeps changing within a film are the film's
	// dark or plain parts, not text.
	manyColours = 112
	// restTime is how long a lossy tile must be unchanged to be refined.
	restTime = 350 * time.Millisecond

	minQuality, maxQuality = 25, 85

	// motionBand is the height of a moving region that is coded in one go, and
	// splitMotion the area from which it waits for what is exact.
	motionBand  = 2 * tile
	splitMotion = 48 << 10
)

// MotionCodec codes regions that keep changing. An implementation is chosen by
// what the console's hello offers and named in each stream's config.
type MotionCodec interface {
	// ID is what the config says.
	ID() wire.PictureCodec
	// Append appends r of f (at most MaxPictureMotion a side), coded at
	// quality 1..100, to dst.
	Append(dst []byte, f *screen.Frame, r image.Rectangle, quality int) ([]byte, error)
}

// update is one encoded update; its slices are the encoder's until the next.
type update struct {
	packed, aside []byte
	plain         int // bytes packed decompresses to
	motion        bool
}

func (u update) size() int { return len(u.packed) + len(u.aside) }

// encoder turns a display's pixels into updates of one stream. cur is what was
// captured last, sent is what the console has once it has applied all updates,
// but for tiles marked lossy, where sent is what they will be once refined.
// One goroutine uses it.
type encoder struct {
	cur, sent  *screen.Frame
	cols, rows int
	tiles      []tileState
	lossy      int         // tiles marked lossy
	motion     MotionCodec // nil: the console decodes none, all is lossless
	quality    int         // of moving regions
	thin       bool        // the link is slow: photographs go lossy at once

	zip    *zstd.Encoder
	packed sink
	plain  []byte
	aside  []byte
	est    int // estimate of the open update's bytes on the wire

	pal  palette
	find finder
	// missed counts the frames of a film since something was found in it.
	missed uint
	// film is the box of what was coded as motion at filmAt (unix ns).
	film   image.Rectangle
	filmAt int64
	moved  []image.Rectangle // moving tiles of the open update
	exact  []image.Rectangle // what the open update has without loss
	// deferred says that the last update left its motion to this one, which
	// therefore may not: motion must not starve.
	deferred bool
}

type tileState struct {
	last   int64 // unix ns of the last change
	streak uint8
	lossy  bool
}

// sink collects what the compressor writes.
type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

func newEncoder(w, h int) (*encoder, error) {
	e := &encoder{
		cur: screen.NewFrame(w, h), sent: screen.NewFrame(w, h),
		cols: (w + tile - 1) / tile, rows: (h + tile - 1) / tile,
		quality: 75,
	}
	e.tiles = make([]tileState, e.cols*e.rows)
	var err error
	e.zip, err = zstd.NewWriter(&e.packed, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(wire.PictureWindow), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "encode.start", "The picture encoder could not be started.", "Start the program again.")
	}
	return e, nil
}

// level is the compressor's effort; docs/picture.md has the measurements.
const level = zstd.SpeedDefault

// restart begins a new stream: the console's surface is black.
func (e *encoder) restart() {
	clear(e.sent.Pix)
	clear(e.tiles)
	e.lossy = 0
	e.packed.b = e.packed.b[:0]
	e.zip.Reset(&e.packed)
}

// encode makes the update that brings rects of sent to cur, at about budget
// bytes at most, and, when refine is set, refines what rests. rest is what did
// not fit. ok is false when there is nothing to send. The first update of a
// stream is always made.
//
// What is small must not wait for what moves: an update with lossless
// operations beside a large moving region leaves that region to the next one,
// and between bands of motion pressing is asked whether something new waits
// beside the moving regions; if so the bands left are rest. A nil pressing
// never presses.
func (e *encoder) encode(rects []image.Rectangle, now time.Time, budget int, refine, first bool, pressing func([]image.Rectangle) bool) (u update, rest []image.Rectangle, ok bool, err error) {
	e.plain, e.aside, e.packed.b, e.est, e.moved, e.exact = e.plain[:0], e.aside[:0], e.packed.b[:0], 0, e.moved[:0], e.exact[:0]
	var tight []image.Rectangle
	for _, r := range rects {
		if r = e.shrink(r); !r.Empty() {
			tight = append(tight, r)
		}
	}
	e.copies(tight, now)
	// The small first: it is what a person waits for.
	slices.SortFunc(tight, func(a, b image.Rectangle) int { return area(a) - area(b) })
	for i, r := range tight {
		if left := e.damaged(r, now, budget); !left.Empty() {
			rest = append(append(rest, left), tight[i+1:]...)
			break
		}
	}
	e.follow(now)
	motion := false
	if moving := join(e.moved); e.beside(moving) && sum(moving) > splitMotion && !e.deferred {
		e.deferred = true
		rest = append(rest, moving...)
	} else if e.deferred = false; len(moving) > 0 {
		left, err := e.flushMotion(moving, pressing)
		if err != nil {
			return u, rest, false, err
		}
		motion, rest = true, append(rest, left...)
	}
	if refine && e.est < budget {
		e.refine(now, budget)
	}
	if len(e.plain) == 0 && !first {
		return u, rest, false, nil
	}
	if len(e.plain) > 0 {
		if _, err = e.zip.Write(e.plain); err == nil {
			err = e.zip.Flush()
		}
		if err != nil {
			return u, rest, false, fault.Wrap(err, fault.Internal, "encode.pack", "The picture could not be compressed.", "The picture is started again by itself.")
		}
	}
	return update{packed: e.packed.b, aside: e.aside, plain: len(e.plain), motion: motion}, rest, true, nil
}

// shrink cuts r to the box of pixels that differ.
func (e *encoder) shrink(r image.Rectangle) image.Rectangle {
	r = r.Intersect(e.cur.Bounds())
	for r.Min.Y < r.Max.Y && e.same(r.Min.Y, r.Min.X, r.Max.X) {
		r.Min.Y++
	}
	for r.Min.Y < r.Max.Y && e.same(r.Max.Y-1, r.Min.X, r.Max.X) {
		r.Max.Y--
	}
	if r.Empty() {
		return image.Rectangle{}
	}
	lo, hi := r.Max.X, r.Min.X
	for y := r.Min.Y; y < r.Max.Y; y++ {
		a, b := e.cur.Row(y, r.Min.X, r.Max.X), e.sent.Row(y, r.Min.X, r.Max.X)
		// Only what is left and right of the box found so far can widen it.
		if lo > r.Min.X && !e.same(y, r.Min.X, lo) {
			x := 0
			for a[x] == b[x] {
				x++
			}
			lo = r.Min.X + x
		}
		if hi < r.Max.X && !e.same(y, hi, r.Max.X) {
			x := len(a) - 1
			for a[x] == b[x] {
				x--
			}
			hi = r.Min.X + x + 1
		}
	}
	r.Min.X, r.Max.X = lo, hi
	return r
}

func (e *encoder) same(y, x0, x1 int) bool {
	return string(e.cur.Bytes(y, x0, x1)) == string(e.sent.Bytes(y, x0, x1))
}

// accept makes sent equal cur in r.
func (e *encoder) accept(r image.Rectangle) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copy(e.sent.Row(y, r.Min.X, r.Max.X), e.cur.Row(y, r.Min.X, r.Max.X))
	}
}

// damaged encodes the changed tiles of r and returns what the budget left.
func (e *encoder) damaged(r image.Rectangle, now time.Time, budget int) image.Rectangle {
	ns := now.UnixNano()
	for ty := r.Min.Y / tile; ty*tile < r.Max.Y; ty++ {
		if e.est > budget {
			return image.Rect(r.Min.X, max(r.Min.Y, ty*tile), r.Max.X, r.Max.Y)
		}
		for tx := r.Min.X / tile; tx*tile < r.Max.X; tx++ {
			whole := image.Rect(tx*tile, ty*tile, tx*tile+tile, ty*tile+tile).Intersect(e.cur.Bounds())
			box := e.shrink(whole.Intersect(r))
			if box.Empty() {
				continue
			}
			t := &e.tiles[ty*e.cols+tx]
			switch {
			case ns-t.last > int64(motionGap):
				t.streak = 1
			case ns != t.last && t.streak < 255:
				t.streak++
			}
			t.last = ns
			n := e.pal.gather(e.cur, box)
			photo := n == 0 || n >= manyColours && whole.In(e.film) && ns-e.filmAt < int64(motionGap)
			moving := photo && t.streak >= motionStreak || n == 0 && e.thin && area(box) >= 1024
			if moving && e.motion != nil && area(box) >= 512 {
				// The whole tile moves: cut at the grid, so that regions grow
				// together and refining finds it.
				e.moved = append(e.moved, whole)
				e.est += area(whole) / 6
				continue
			}
			e.lossless(e.cur, box, n)
			e.exact = append(e.exact, box)
			e.accept(box)
			if box == whole {
				e.mark(t, false)
			}
		}
	}
	return image.Rectangle{}
}

func (e *encoder) mark(t *tileState, lossy bool) {
	if t.lossy == lossy {
		return
	}
	t.lossy = lossy
	if lossy {
		e.lossy++
	} else {
		e.lossy--
	}
}

// lossless appends the operation for r of f, whose n colours (0: too many) are
// gathered in pal.
func (e *encoder) lossless(f *screen.Frame, r image.Rectangle, n int) {
	w, h := r.Dx(), r.Dy()
	op := wire.PictureOp{X: uint16(r.Min.X), Y: uint16(r.Min.Y), W: uint16(w), H: uint16(h)}
	bits := 8
	switch {
	case n == 0:
	case n <= 2:
		bits = 1
	case n <= 16:
		bits = 4
	}
	switch {
	case n == 1:
		op.Type = wire.OpSolid
		e.plain = wire.AppendPictureOp(e.plain, op)
		c := e.pal.colours[0]
		e.plain = append(e.plain, byte(c>>16), byte(c>>8), byte(c), 0)
		e.est += 4
	case n > 0 && n*3+(w*bits+7)/8*h < w*h*3:
		op.Type, op.Aux, op.A = wire.OpPalette, uint8(bits), uint16(n)
		e.plain = wire.AppendPictureOp(e.plain, op)
		for _, c := range e.pal.colours[:n] {
			e.plain = append(e.plain, byte(c>>16), byte(c>>8), byte(c))
		}
		start := len(e.plain)
		e.plain = e.pal.appendIndices(e.plain, f, r, bits)
		e.est += 8 + (len(e.plain)-start)/3
	default:
		op.Type = wire.OpRGB
		e.plain = wire.AppendPictureOp(e.plain, op)
		e.plain = appendRGB(e.plain, f, r)
		e.est += 8 + w*h*2
	}
}

// appendRGB appends the horizontal differences of r.
func appendRGB(dst []byte, f *screen.Frame, r image.Rectangle) []byte {
	n := r.Dx() * r.Dy() * 3
	start := len(dst)
	if cap(dst)-start < n {
		grown := make([]byte, start, 2*(start+n))
		copy(grown, dst)
		dst = grown
	}
	dst = dst[:start+n]
	o := dst[start:]
	for y := r.Min.Y; y < r.Max.Y; y++ {
		last := uint32(0)
		for _, v := range f.Row(y, r.Min.X, r.Max.X) {
			_ = o[2]
			o[0], o[1], o[2] = byte(v>>16)-byte(last>>16), byte(v>>8)-byte(last>>8), byte(v)-byte(last)
			o = o[3:]
			last = v
		}
	}
	return dst
}

// flushMotion codes the moving regions, a band at a time, and returns those
// left because something presses.
func (e *encoder) flushMotion(moving []image.Rectangle, pressing func([]image.Rectangle) bool) (left []image.Rectangle, err error) {
	for i, r := range moving {
		if i > 0 && pressing != nil && pressing(moving) {
			return moving[i:], nil
		}
		start := len(e.aside)
		if e.aside, err = e.motion.Append(e.aside, e.cur, r, e.quality); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "encode.motion", "A moving part of the picture could not be encoded.", "The picture is started again by itself.")
		}
		n := len(e.aside) - start
		e.plain = wire.AppendPictureOp(e.plain, wire.PictureOp{
			Type: wire.OpMotion, X: uint16(r.Min.X), Y: uint16(r.Min.Y),
			W: uint16(r.Dx()), H: uint16(r.Dy()), A: uint16(n), B: uint16(n >> 16),
		})
		e.accept(r)
		for ty := r.Min.Y / tile; ty*tile < r.Max.Y; ty++ {
			for tx := r.Min.X / tile; tx*tile < r.Max.X; tx++ {
				e.mark(&e.tiles[ty*e.cols+tx], true)
			}
		}
	}
	return nil, nil
}

// follow remembers where a film is.
func (e *encoder) follow(now time.Time) {
	var box image.Rectangle
	for _, r := range e.moved {
		box = box.Union(r)
	}
	if ns := now.UnixNano(); !box.Empty() {
		if ns-e.filmAt < int64(motionGap) {
			box = box.Union(e.film.Intersect(box.Inset(-2 * tile)))
		}
		e.film, e.filmAt = box, ns
	}
}

// beside reports whether the open update has something exact well outside the
// box of the moving regions: not the thin edges of a film that fill no tile.
func (e *encoder) beside(moving []image.Rectangle) bool {
	var box image.Rectangle
	for _, r := range moving {
		box = box.Union(r)
	}
	box = box.Inset(-tile)
	for _, r := range e.exact {
		if !r.In(box) {
			return true
		}
	}
	return false
}

func sum(rects []image.Rectangle) (n int) {
	for _, r := range rects {
		n += area(r)
	}
	return n
}

// join merges grid tiles, given row by row, into bands.
func join(tiles []image.Rectangle) []image.Rectangle {
	const side = wire.MaxPictureMotion
	var runs []image.Rectangle
	for _, t := range tiles {
		if n := len(runs); n > 0 && runs[n-1].Max.X == t.Min.X && runs[n-1].Min.Y == t.Min.Y && runs[n-1].Max.Y == t.Max.Y && t.Max.X-runs[n-1].Min.X <= side {
			runs[n-1].Max.X = t.Max.X
			continue
		}
		runs = append(runs, t)
	}
	out := runs[:0]
next:
	for _, r := range runs {
		for i := range out {
			o := &out[i]
			if o.Min.X == r.Min.X && o.Max.X == r.Max.X && o.Max.Y == r.Min.Y && r.Max.Y-o.Min.Y <= motionBand {
				o.Max.Y = r.Max.Y
				continue next
			}
		}
		out = append(out, r)
	}
	return out
}

// refine sends tiles that rest exactly, within the budget.
func (e *encoder) refine(now time.Time, budget int) {
	if e.lossy == 0 {
		return
	}
	due := now.Add(-restTime).UnixNano()
	for i := range e.tiles {
		t := &e.tiles[i]
		if !t.lossy || t.last > due {
			continue
		}
		if e.est > budget {
			return
		}
		tx, ty := i%e.cols, i/e.cols
		r := image.Rect(tx*tile, ty*tile, tx*tile+tile, ty*tile+tile).Intersect(e.sent.Bounds())
		e.lossless(e.sent, r, e.pal.gather(e.sent, r))
		e.mark(t, false)
		t.streak = 0
	}
}

// nextRefine is when the first lossy tile will have rested; ok is false when
// all is exact.
func (e *encoder) nextRefine() (at time.Time, ok bool) {
	if e.lossy == 0 {
		return at, false
	}
	first := int64(1<<63 - 1)
	for i := range e.tiles {
		if t := &e.tiles[i]; t.lossy {
			first = min(first, t.last)
		}
	}
	return time.Unix(0, first).Add(restTime), true
}

func area(r image.Rectangle) int { return r.Dx() * r.Dy() }
