package picture

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"time"

	"daypass/backend/fault"
	"daypass/backend/wire"

	"github.com/klauspost/compress/zstd"
)

// motionDecoder decodes one rectangle of the motion codec into the surface.
// data is the rectangle's own; dst's bounds are the rectangle. Another codec
// is another implementation, announced in the hello and chosen by the config.
type motionDecoder interface {
	decode(dst *image.RGBA, data []byte) error
}

// decoders are the motion codecs this console has.
var decoders = map[wire.PictureCodec]motionDecoder{wire.PictureJPEG: jpegDecoder{}}

// decoder is the state of one stream. Only Packet's goroutine uses it.
type decoder struct {
	config wire.PictureConfig
	ok     bool // the stream can be applied
	seq    uint32
	motion motionDecoder

	zstd      *zstd.Decoder
	feed      feeder
	zstdReset bool // the next update begins a zstd frame

	part   uint16
	open   bool // an update is being assembled
	update wire.PictureUpdate
	data   []byte // packed and aside of the open update
	plain  []byte
}

// feeder gives the zstd decoder exactly what arrived.
type feeder struct{ b []byte }

func (f *feeder) Read(p []byte) (int, error) {
	if len(f.b) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, f.b)
	f.b = f.b[n:]
	return n, nil
}

var (
	errStream  = fault.New(fault.Hostile, "picture.apply", "The remote computer sent a picture that cannot be right.", "Close the remote view and open it again.")
	errNoCodec = fault.New(fault.Unsupported, "picture.apply", "The remote computer sends its picture in a way this console cannot show.", "Update Daypass.")
)

// Packet takes one message of Link.Picture, in the order of arrival. The
// message may be used again after it returns. An error of kind Hostile or
// Unsupported means that the host breaks the protocol and the caller should
// close the view; what is merely lost or late is asked for again by itself.
func (s *Screen) Packet(p []byte) error {
	if len(p) > wire.MaxPictureMessage {
		return errStream
	}
	err := s.packet(p)
	if err == nil && s.opts.Tap != nil {
		s.opts.Tap(p)
	}
	return err
}

func (s *Screen) packet(p []byte) error {
	switch wire.PictureMessageKind(p) {
	case wire.PictureConfigKind:
		c, err := wire.ParsePictureConfig(p)
		if err != nil {
			return err
		}
		return s.start(c)
	case wire.PicturePartKind:
		part, err := wire.ParsePicturePart(p)
		if err != nil {
			return err
		}
		return s.assemble(part, len(p))
	case wire.PictureShapeKind:
		shape, err := wire.ParsePictureShape(p)
		if err != nil {
			return err
		}
		s.setShape(shape)
		return nil
	case wire.PicturePointerKind:
		ptr, err := wire.ParsePicturePointer(p)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.view.pointer, s.view.pointerNew = ptr, true
		s.mu.Unlock()
		s.notify()
		return nil
	case wire.PictureStateKind:
		st, err := wire.ParsePictureState(p)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.stats.state = st
		s.mu.Unlock()
		return nil
	}
	return errStream
}

func (s *Screen) setShape(shape wire.PictureShape) {
	le := func(b []byte, v int) []byte { return append(b, byte(v), byte(v>>8)) }
	m := append(make([]byte, 0, 12+len(shape.RGBA)), viewShape, 0)
	m = le(le(le(le(le(m, shape.Width), shape.Height), shape.HotX), shape.HotY), 0)
	m = append(m, shape.RGBA...)
	s.mu.Lock()
	s.view.shape, s.view.shapeNew = m, true
	s.mu.Unlock()
	s.notify()
}

// start begins a stream.
func (s *Screen) start(c wire.PictureConfig) error {
	d := &s.dec
	if d.ok && c.Stream == d.config.Stream {
		return errStream
	}
	d.motion = decoders[c.Motion]
	if d.motion == nil {
		return errNoCodec
	}
	d.feed.b = nil
	if d.zstd == nil {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(wire.PictureWindow), zstd.IgnoreChecksum(true))
		if err != nil {
			return fault.Wrap(err, fault.Internal, "picture.start", "The picture decoder could not be started.", "Restart Daypass.")
		}
		d.zstd = z
	}
	d.config, d.ok, d.seq, d.open, d.data = c, true, 0, false, d.data[:0]
	d.zstdReset = true
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.surface == nil || s.surface.Rect.Dx() != c.Width || s.surface.Rect.Dy() != c.Height {
		s.surface = image.NewRGBA(image.Rect(0, 0, c.Width, c.Height))
		s.view.resize(c.Width, c.Height)
	}
	// The new stream starts from black; the page keeps the old picture until
	// the first update has painted it whole.
	for i := 0; i < len(s.surface.Pix); i += 4 {
		*(*[4]byte)(s.surface.Pix[i:]) = [4]byte{0, 0, 0, 255}
	}
	s.view.clear()
	s.view.full = false
	s.stats.config(c)
	return nil
}

// assemble adds a part and applies the update that is complete with it.
func (s *Screen) assemble(p wire.PicturePart, size int) error {
	d := &s.dec
	s.mu.Lock()
	s.stats.received(size)
	s.mu.Unlock()
	if !d.ok || p.Stream != d.config.Stream {
		// The rest of a stream that was given up, or one whose config was
		// lost with a connection.
		if d.config.Stream == 0 && !d.ok {
			s.refresh(p.Stream)
		}
		return nil
	}
	if p.First {
		if d.open || p.Seq != d.seq+1 {
			return s.giveUp()
		}
		d.open, d.part, d.update, d.data = true, 0, p.Update, d.data[:0]
		px := d.config.Width * d.config.Height
		limit := uint32(px*3 + px/8 + 1<<16)
		if u := p.Update; u.Plain > 2*limit || u.Packed > 2*limit || u.Aside > 2*limit {
			return errStream
		}
	} else {
		d.part++
		if !d.open || p.Seq != d.seq+1 || p.Index != d.part {
			return s.giveUp()
		}
	}
	total := int(d.update.Packed) + int(d.update.Aside)
	if len(d.data)+len(p.Payload) > total {
		return errStream
	}
	d.data = append(d.data, p.Payload...)
	if !p.Last {
		if len(d.data) == total && total > 0 || len(p.Payload) == 0 {
			return errStream
		}
		return nil
	}
	if len(d.data) != total {
		return errStream
	}
	began := time.Now()
	d.open = false
	d.seq = p.Seq
	if err := s.apply(); err != nil {
		d.ok = false
		return err
	}
	took := time.Since(began)
	s.send(wire.AppendPictureAck(nil, wire.PictureAck{Stream: p.Stream, Seq: p.Seq, Decode: uint32(min(took.Microseconds(), 1<<31))}))
	s.mu.Lock()
	s.stats.applied(d.update, took)
	if cap(d.data) > 4<<20 {
		d.data = nil
	}
	s.mu.Unlock()
	s.notify()
	return nil
}

// giveUp asks for a new stream.
func (s *Screen) giveUp() error {
	s.dec.ok = false
	s.mu.Lock()
	s.stats.refreshes++
	s.mu.Unlock()
	s.refresh(s.dec.config.Stream)
	return nil
}

func (s *Screen) refresh(stream uint32) {
	s.send(wire.AppendPictureRefresh(nil, wire.PictureRefresh{Stream: stream}))
}

// Refresh asks the host for a whole new picture: after the connection was made
// anew, since the Picture channel loses what was under way.
func (s *Screen) Refresh() {
	mask := uint32(0)
	for c := range decoders {
		mask |= 1 << c
	}
	s.send(wire.AppendPictureHello(nil, wire.PictureHello{Motion: mask}))
}

// send queues feedback. A full queue gives up its oldest acknowledgement:
// they are cumulative. Hellos and refreshes stay.
func (s *Screen) send(m []byte) {
	for range 4 * cap(s.feedback) {
		select {
		case s.feedback <- m:
			return
		default:
		}
		select {
		case old := <-s.feedback:
			if wire.PictureMessageKind(old) == wire.PictureAckKind {
				continue
			}
			select {
			case s.feedback <- old:
			default:
			}
		default:
		}
	}
}

// apply decompresses and applies the assembled update.
func (s *Screen) apply() error {
	d := &s.dec
	u := d.update
	d.feed.b = d.data[:u.Packed]
	aside := d.data[u.Packed:]
	if cap(d.plain) < int(u.Plain) {
		d.plain = make([]byte, u.Plain)
	}
	plain := d.plain[:u.Plain]
	if u.Plain > 0 {
		if d.zstdReset {
			if err := d.zstd.Reset(&d.feed); err != nil {
				return fault.Wrap(err, fault.Hostile, errStream.Op, errStream.Message, errStream.Hint)
			}
			d.zstdReset = false
		}
		if _, err := io.ReadFull(d.zstd, plain); err != nil {
			return fault.Wrap(err, fault.Hostile, errStream.Op, errStream.Message, errStream.Hint)
		}
	}
	if len(d.feed.b) != 0 {
		return errStream
	}
	if cap(d.plain) > 4<<20 {
		d.plain = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.room(0) // the page lags when too many updates wait already
	motion := false
	for len(plain) > 0 {
		op, payload, rest, err := wire.ParsePictureOp(plain, d.config.Width, d.config.Height)
		if err != nil {
			return err
		}
		plain = rest
		if op.Type == wire.OpMotion {
			n := int(op.A) | int(op.B)<<16
			if n > len(aside) {
				return errStream
			}
			payload, aside = aside[:n], aside[n:]
			motion = true
		}
		if err := s.applyOp(op, payload); err != nil {
			return err
		}
	}
	if len(aside) != 0 {
		return errStream
	}
	s.view.updates++
	s.stats.motion(motion)
	if d.seq == 1 {
		// The first picture of a stream covers what the page showed before.
		s.view.clear()
		s.view.full = true
	}
	return nil
}

// applyOp applies an operation to the surface and remembers it for the page;
// mu is held.
func (s *Screen) applyOp(op wire.PictureOp, payload []byte) error {
	r := op.Rect()
	m, v := s.surface, &s.view
	switch op.Type {
	case wire.OpCopy:
		copyRect(m, r, image.Pt(int(op.A), int(op.B)))
		if v.room(wire.PictureOpSize) {
			v.ops = appendViewOp(v.ops, viewCopy, 0, r, op.A, op.B)
			v.nops++
		}
	case wire.OpSolid:
		fillRect(m, r, [4]byte{payload[0], payload[1], payload[2], 255})
		if v.room(wire.PictureOpSize + 4) {
			v.ops = append(appendViewOp(v.ops, viewSolid, 0, r, 0, 0), payload...)
			v.nops++
		}
	case wire.OpPalette:
		if !paintPalette(m, r, int(op.A), int(op.Aux), payload) {
			return errStream
		}
		if v.room(wire.PictureOpSize + len(payload)) {
			v.ops = append(appendViewOp(v.ops, viewPalette, op.Aux, r, op.A, 0), payload...)
			v.nops++
		}
	case wire.OpRGB:
		paintRGB(m, r, payload)
		if v.room(wire.PictureOpSize + r.Dx()*r.Dy()*4) {
			v.ops = appendRaw(v.ops, m, r)
			v.nops++
		}
	case wire.OpMotion:
		sub, ok := m.SubImage(r).(*image.RGBA)
		if !ok {
			return errStream
		}
		if err := s.dec.motion.decode(sub, payload); err != nil {
			return err
		}
		if v.room(wire.PictureOpSize + r.Dx()*r.Dy()*4) {
			v.ops = appendRaw(v.ops, m, r)
			v.nops++
		}
	}
	v.touch(r)
	return nil
}

func copyRect(m *image.RGBA, r image.Rectangle, from image.Point) {
	n := r.Dx() * 4
	row := func(y int) {
		d := m.PixOffset(r.Min.X, r.Min.Y+y)
		o := m.PixOffset(from.X, from.Y+y)
		copy(m.Pix[d:d+n], m.Pix[o:o+n])
	}
	if from.Y < r.Min.Y {
		for y := r.Dy() - 1; y >= 0; y-- {
			row(y)
		}
		return
	}
	for y := range r.Dy() {
		row(y)
	}
}

func fillRect(m *image.RGBA, r image.Rectangle, c [4]byte) {
	i := m.PixOffset(r.Min.X, r.Min.Y)
	first := m.Pix[i : i+r.Dx()*4]
	for x := 0; x < len(first); x += 4 {
		*(*[4]byte)(first[x:]) = c
	}
	for y := r.Min.Y + 1; y < r.Max.Y; y++ {
		i := m.PixOffset(r.Min.X, y)
		copy(m.Pix[i:i+len(first)], first)
	}
}

// paintPalette reports false for an index beyond the palette.
func paintPalette(m *image.RGBA, r image.Rectangle, colours, bits int, p []byte) bool {
	var pal [256][4]byte
	for i := range pal[:1<<bits] {
		pal[i][3] = 255 // also where no colour is: the surface stays opaque
	}
	for i := range colours {
		pal[i] = [4]byte{p[i*3], p[i*3+1], p[i*3+2], 255}
	}
	p = p[colours*3:]
	w := r.Dx()
	stride := (w*bits + 7) / 8
	worst := byte(0)
	for y := range r.Dy() {
		src := p[y*stride : (y+1)*stride]
		i := m.PixOffset(r.Min.X, r.Min.Y+y)
		dst := m.Pix[i : i+w*4]
		switch bits {
		case 8:
			for x, c := range src {
				worst = max(worst, c)
				*(*[4]byte)(dst[x*4:]) = pal[c]
			}
		case 4:
			for x := range w {
				c := src[x/2] >> (4 - x%2*4) & 15
				worst = max(worst, c)
				*(*[4]byte)(dst[x*4:]) = pal[c]
			}
		default:
			for x := range w {
				*(*[4]byte)(dst[x*4:]) = pal[src[x/8]>>(7-x%8)&1]
			}
		}
	}
	return int(worst) < colours
}

func paintRGB(m *image.RGBA, r image.Rectangle, p []byte) {
	w := r.Dx()
	for y := range r.Dy() {
		i := m.PixOffset(r.Min.X, r.Min.Y+y)
		dst := m.Pix[i : i+w*4]
		src := p[y*w*3 : (y+1)*w*3]
		var a, b, c byte
		for x := 0; x < len(src); x += 3 {
			a, b, c = a+src[x], b+src[x+1], c+src[x+2]
			*(*[4]byte)(dst) = [4]byte{a, b, c, 255}
			dst = dst[4:]
		}
	}
}

// jpegDecoder decodes baseline JPEG.
type jpegDecoder struct{}

var errJPEG = errors.New("jpeg: not the image that was announced")

func (jpegDecoder) decode(dst *image.RGBA, data []byte) error {
	r := dst.Rect
	fail := func(err error) error {
		return fault.Wrap(err, fault.Hostile, errStream.Op, errStream.Message, errStream.Hint)
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return fail(err)
	}
	if c.Width != r.Dx() || c.Height != r.Dy() {
		return fail(errJPEG)
	}
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return fail(err)
	}
	ycc, ok := img.(*image.YCbCr)
	if !ok || ycc.Rect.Dx() != r.Dx() || ycc.Rect.Dy() != r.Dy() {
		return fail(errJPEG)
	}
	paintYCbCr(dst, ycc)
	return nil
}

// paintYCbCr converts JFIF (BT.601, full range) to RGBA.
func paintYCbCr(dst *image.RGBA, m *image.YCbCr) {
	w, h := dst.Rect.Dx(), dst.Rect.Dy()
	for y := range h {
		o := dst.Pix[y*dst.Stride : y*dst.Stride+w*4]
		yi := m.YOffset(m.Rect.Min.X, m.Rect.Min.Y+y)
		lum := m.Y[yi : yi+w]
		ci := m.COffset(m.Rect.Min.X, m.Rect.Min.Y+y)
		half := 0
		if m.SubsampleRatio == image.YCbCrSubsampleRatio420 || m.SubsampleRatio == image.YCbCrSubsampleRatio422 {
			half = 1
		} else if m.SubsampleRatio != image.YCbCrSubsampleRatio444 && m.SubsampleRatio != image.YCbCrSubsampleRatio440 {
			slowYCbCr(dst, m)
			return
		}
		cw := (w-1)>>half + 1
		cbs, crs := m.Cb[ci:ci+cw], m.Cr[ci:ci+cw]
		for x := range w {
			yy := int32(lum[x]) * 0x10101
			cb := int32(cbs[x>>half]) - 128
			cr := int32(crs[x>>half]) - 128
			o[x*4] = clamp8(yy + 91881*cr)
			o[x*4+1] = clamp8(yy - 22554*cb - 46802*cr)
			o[x*4+2] = clamp8(yy + 116130*cb)
			o[x*4+3] = 255
		}
	}
}

func clamp8(v int32) byte {
	if uint32(v)&0xff000000 == 0 {
		return byte(v >> 16)
	}
	return byte(^(v >> 31))
}

// slowYCbCr converts the rare subsamplings.
func slowYCbCr(dst *image.RGBA, m *image.YCbCr) {
	for y := range dst.Rect.Dy() {
		for x := range dst.Rect.Dx() {
			r, g, b, _ := m.YCbCrAt(m.Rect.Min.X+x, m.Rect.Min.Y+y).RGBA()
			*(*[4]byte)(dst.Pix[y*dst.Stride+x*4:]) = [4]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8), 255}
		}
	}
}
