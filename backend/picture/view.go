package picture

import (
	"context"
	"encoding/binary"
	"image"
	"math/bits"

	"daypass/backend/wire"
)

// The view frame's message kinds and operation types, as the page reads them.
const (
	viewFrame   = 1
	viewShape   = 2
	viewPointer = 3

	viewHead = 16

	viewCopy    = 1
	viewSolid   = 2
	viewPalette = 3
	viewRaw     = 4
)

// Bounds of what waits for the page as operations. Beyond them the page lags,
// and the damaged part of the surface is cheaper and newer.
const (
	maxPendingUpdates = 4
	maxPendingBytes   = 4 << 20
	maxPendingOps     = 60000
)

// viewState is what the page has not been told yet. Either the operations
// since the last frame, in order (direct), or the tiles they touched.
type viewState struct {
	ops     []byte // operations in the view's layout
	nops    int
	updates int
	lagging bool // ops were given up; dirty has all

	full        bool // the whole surface is to be painted
	dirty       []uint64
	dirtyStride int // words a row of tiles
	any         bool

	seq uint32 // of the last frame

	shape      []byte // the last cursor shape's message, nil before the first
	shapeNew   bool
	pointer    wire.PicturePointer
	pointerNew bool
	pointerOwn bool // a pointer went out after the last frame: the frame's turn
}

// resize forgets everything and paints w x h anew.
func (v *viewState) resize(w, h int) {
	tx, ty := (w+63)/64, (h+63)/64
	v.dirtyStride = (tx + 63) / 64
	v.dirty = make([]uint64, v.dirtyStride*ty)
	v.clear()
	v.full = true
}

func (v *viewState) clear() {
	v.ops, v.nops, v.updates = v.ops[:0], 0, 0
	v.lagging, v.full, v.any = false, false, false
	clear(v.dirty)
}

// touch marks the tiles of r.
func (v *viewState) touch(r image.Rectangle) {
	v.any = true
	for ty := r.Min.Y / 64; ty <= (r.Max.Y-1)/64; ty++ {
		row := v.dirty[ty*v.dirtyStride : (ty+1)*v.dirtyStride]
		for tx := r.Min.X / 64; tx <= (r.Max.X-1)/64; tx++ {
			row[tx/64] |= 1 << (tx % 64)
		}
	}
}

// room reports whether another operation of n bytes may wait as such.
func (v *viewState) room(n int) bool {
	if v.lagging || v.full {
		return false
	}
	if len(v.ops)+n > maxPendingBytes || v.nops >= maxPendingOps || v.updates >= maxPendingUpdates {
		v.ops, v.nops, v.lagging = v.ops[:0], 0, true
		return false
	}
	return true
}

// Next blocks until the page can be told something newer, then appends one
// view message (frame, cursor shape or pointer position) to dst[:0] and
// returns it. A frame always brings the page to the newest state: by the
// updates' own operations when it kept up, else by the damaged parts of the
// surface. The error is ctx's. One goroutine calls it.
func (s *Screen) Next(ctx context.Context, dst []byte) ([]byte, error) {
	for {
		if out, ok := s.take(dst[:0]); ok {
			return out, nil
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Invalidate makes the next frame a full repaint and repeats the cursor: a
// page attached anew.
func (s *Screen) Invalidate() {
	s.mu.Lock()
	if s.surface != nil {
		s.view.clear()
		s.view.full = true
	}
	s.view.shapeNew = s.view.shape != nil
	s.view.pointerNew = s.view.shape != nil
	s.mu.Unlock()
	s.notify()
}

func (s *Screen) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Screen) take(dst []byte) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &s.view
	frame := v.any || v.full
	switch {
	case v.shapeNew:
		v.shapeNew = false
		return append(dst, v.shape...), true
	case v.pointerNew && (!frame || !v.pointerOwn):
		v.pointerNew, v.pointerOwn = false, true
		visible := byte(0)
		if v.pointer.Visible {
			visible = 1
		}
		dst = append(dst, viewPointer, visible)
		dst = binary.LittleEndian.AppendUint16(dst, v.pointer.X)
		return binary.LittleEndian.AppendUint16(dst, v.pointer.Y), true
	case frame:
		v.pointerOwn = false
		return s.takeFrame(dst), true
	}
	return nil, false
}

// takeFrame appends a frame of all that is pending; mu is held.
func (s *Screen) takeFrame(dst []byte) []byte {
	v := &s.view
	v.seq++
	flags := byte(0)
	if v.full {
		flags = 1
	}
	le := binary.LittleEndian
	b := s.surface.Rect
	dst = append(dst, viewFrame, flags)
	dst = le.AppendUint16(dst, uint16(b.Dx()))
	dst = le.AppendUint16(dst, uint16(b.Dy()))
	dst = le.AppendUint16(dst, 0) // nops, below
	dst = le.AppendUint32(dst, v.seq)
	dst = le.AppendUint32(dst, 0)
	var n int
	switch {
	case v.full:
		dst, n = appendRaw(dst, s.surface, b), 1
	case v.lagging:
		dst, n = s.appendDirty(dst)
	default:
		dst, n = append(dst, v.ops...), v.nops
	}
	le.PutUint16(dst[6:], uint16(n))
	v.clear()
	return dst
}

// appendDirty appends the dirty tiles as runs of each row; mu is held.
func (s *Screen) appendDirty(dst []byte) ([]byte, int) {
	v, n := &s.view, 0
	b := s.surface.Rect
	rows := len(v.dirty) / v.dirtyStride
	for ty := range rows {
		row := v.dirty[ty*v.dirtyStride : (ty+1)*v.dirtyStride]
		for x := 0; x < len(row)*64; {
			rest := row[x/64] >> (x % 64)
			if rest == 0 {
				x = (x/64 + 1) * 64
				continue
			}
			x += bits.TrailingZeros64(rest)
			end := x
			for end < len(row)*64 && row[end/64]>>(end%64)&1 != 0 {
				end++
			}
			r := image.Rect(x*64, ty*64, end*64, ty*64+64).Intersect(b)
			dst = appendRaw(dst, s.surface, r)
			n++
			x = end
		}
	}
	return dst, n
}

func appendViewOp(dst []byte, t, aux uint8, r image.Rectangle, a, b uint16) []byte {
	return wire.AppendPictureOp(dst, wire.PictureOp{
		Type: t, Aux: aux, X: uint16(r.Min.X), Y: uint16(r.Min.Y),
		W: uint16(r.Dx()), H: uint16(r.Dy()), A: a, B: b,
	})
}

// appendRaw appends r of the surface as a raw operation.
func appendRaw(dst []byte, m *image.RGBA, r image.Rectangle) []byte {
	dst = appendViewOp(dst, viewRaw, 0, r, 0, 0)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		i := m.PixOffset(r.Min.X, y)
		dst = append(dst, m.Pix[i:i+r.Dx()*4]...)
	}
	return dst
}
