package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"testing"

	"daypass/backend/fault"
	"daypass/backend/wire"

	"github.com/klauspost/compress/zstd"
)

// host makes messages as a host does, or as a hostile one would.
type host struct {
	t      testing.TB
	zip    *zstd.Encoder
	out    bytes.Buffer
	stream uint32
	seq    uint32
}

func newHost(t testing.TB, s *Screen, w, h int) *host {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(wire.PictureWindow), zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	ho := &host{t: t, zip: z}
	ho.config(s, w, h)
	return ho
}

func (ho *host) config(s *Screen, w, h int) {
	ho.stream++
	ho.seq = 0
	ho.out.Reset()
	ho.zip.Reset(&ho.out)
	if err := s.Packet(wire.AppendPictureConfig(nil, wire.PictureConfig{Width: w, Height: h, Stream: ho.stream, Display: 4})); err != nil {
		ho.t.Fatal(err)
	}
}

// update returns the messages of one update, cut at n bytes.
func (ho *host) update(plain, aside []byte, n int) [][]byte {
	ho.out.Reset()
	if len(plain) > 0 {
		if _, err := ho.zip.Write(plain); err != nil {
			ho.t.Fatal(err)
		}
		if err := ho.zip.Flush(); err != nil {
			ho.t.Fatal(err)
		}
	}
	u := wire.PictureUpdate{Packed: uint32(ho.out.Len()), Plain: uint32(len(plain)), Aside: uint32(len(aside)), Capture: 100, Encode: 200, RTT: 300}
	data := append(bytes.Clone(ho.out.Bytes()), aside...)
	ho.seq++
	var out [][]byte
	for i := 0; ; i++ {
		cut := min(n, len(data))
		p := wire.PicturePart{First: i == 0, Last: cut == len(data), Index: uint16(i), Stream: ho.stream, Seq: ho.seq, Update: u, Payload: data[:cut]}
		out = append(out, wire.AppendPicturePart(nil, p))
		if data = data[cut:]; len(data) == 0 {
			return out
		}
	}
}

func (ho *host) send(s *Screen, plain, aside []byte) error {
	for _, m := range ho.update(plain, aside, 1000) {
		if err := s.Packet(m); err != nil {
			return err
		}
	}
	return nil
}

func op(o wire.PictureOp, payload ...byte) []byte {
	return append(wire.AppendPictureOp(nil, o), payload...)
}

func solid(x, y, w, h int, r, g, b byte) []byte {
	return op(wire.PictureOp{Type: wire.OpSolid, X: uint16(x), Y: uint16(y), W: uint16(w), H: uint16(h)}, r, g, b, 0)
}

func next(t *testing.T, s *Screen) []byte {
	t.Helper()
	b, ok := s.take(nil)
	if !ok {
		t.Fatal("nothing for the page")
	}
	return b
}

func feedback(s *Screen) []byte {
	select {
	case b := <-s.Feedback():
		return b
	default:
		return nil
	}
}

func TestOperationsReachSurfaceAndPageAsTheyAre(t *testing.T) {
	s := NewScreen(Options{})
	if h, err := wire.ParsePictureHello(feedback(s)); err != nil || h.Motion&1 == 0 {
		t.Fatal(h, err)
	}
	ho := newHost(t, s, 100, 80)
	if err := ho.send(s, solid(0, 0, 100, 80, 9, 8, 7), nil); err != nil {
		t.Fatal(err)
	}
	if a, err := wire.ParsePictureAck(feedback(s)); err != nil || a.Seq != 1 || a.Stream != 1 {
		t.Fatal(a, err)
	}
	b := next(t, s)
	if b[0] != viewFrame || b[1] != 1 || len(b) != 16+14+100*80*4 {
		t.Fatalf("the first frame has flags %d and %d bytes", b[1], len(b))
	}
	plain := op(wire.PictureOp{Type: wire.OpCopy, X: 5, Y: 6, W: 20, H: 10, A: 1, B: 2})
	plain = append(plain, solid(1, 1, 2, 2, 1, 2, 3)...)
	plain = append(plain, op(wire.PictureOp{Type: wire.OpPalette, Aux: 4, X: 10, Y: 10, W: 3, H: 1, A: 3}, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0x01, 0x20)...)
	plain = append(plain, op(wire.PictureOp{Type: wire.OpRGB, X: 20, Y: 20, W: 2, H: 1}, 10, 20, 30, 255, 1, 2)...)
	if err := ho.send(s, plain, nil); err != nil {
		t.Fatal(err)
	}
	b = next(t, s)
	var types []byte
	for v := b[16:]; len(v) > 0; {
		types = append(types, v[0])
		switch v[0] {
		case viewCopy:
			v = v[14:]
		case viewSolid:
			v = v[18:]
		case viewPalette:
			v = v[14+9+2:]
		case viewRaw:
			v = v[14+8:]
		}
	}
	if string(types) != "\x01\x02\x03\x04" || binary.LittleEndian.Uint16(b[6:]) != 4 || b[1] != 0 {
		t.Errorf("operations %v, flags %d", types, b[1])
	}
	m := s.Snapshot()
	for p, want := range map[image.Point]color.RGBA{
		{1, 1}: {1, 2, 3, 255}, {10, 10}: {1, 1, 1, 255}, {11, 10}: {2, 2, 2, 255}, {12, 10}: {3, 3, 3, 255},
		{20, 20}: {10, 20, 30, 255}, {21, 20}: {9, 21, 32, 255}, {50, 50}: {9, 8, 7, 255},
	} {
		if got := m.RGBAAt(p.X, p.Y); got != want {
			t.Errorf("%v is %v, want %v", p, got, want)
		}
	}
	if st := s.Stats(); st.Updates != 2 || st.Width != 100 || st.Display != 4 {
		t.Errorf("%+v", st)
	}
}

func TestALaggingPageGetsTheNewestStateOnce(t *testing.T) {
	s := NewScreen(Options{})
	ho := newHost(t, s, 200, 200)
	if err := ho.send(s, solid(0, 0, 200, 200, 0, 0, 0), nil); err != nil {
		t.Fatal(err)
	}
	next(t, s)
	for i := range 50 {
		if err := ho.send(s, solid(70, 5, 10, 10, byte(i), 0, 0), nil); err != nil {
			t.Fatal(err)
		}
	}
	b := next(t, s)
	if n := binary.LittleEndian.Uint16(b[6:]); n != 1 || b[16] != viewRaw || len(b) != 16+14+64*64*4 {
		t.Errorf("%d operations, first %d, %d bytes", n, b[16], len(b))
	}
	if o := 16 + 14 + (5*64+6)*4; b[o] != 49 {
		t.Errorf("the page gets state %d, not the newest", b[o])
	}
	if _, ok := s.take(nil); ok {
		t.Error("something is told twice")
	}
	s.Invalidate()
	if b := next(t, s); b[1] != 1 {
		t.Error("no full repaint after Invalidate")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Next(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestALostPartIsAskedForAgain(t *testing.T) {
	s := NewScreen(Options{})
	feedback(s)
	ho := newHost(t, s, 300, 300)
	noise := make([]byte, 0, 64*64*3)
	for i := range 64 * 64 * 3 {
		noise = append(noise, byte(i*i>>3^i*7))
	}
	parts := ho.update(op(wire.PictureOp{Type: wire.OpRGB, W: 64, H: 64}, noise...), nil, 500)
	if len(parts) < 3 {
		t.Fatalf("%d parts", len(parts))
	}
	for i, p := range parts {
		if i != 1 {
			if err := s.Packet(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r, err := wire.ParsePictureRefresh(feedback(s)); err != nil || r.Stream != 1 {
		t.Fatal(r, err)
	}
	if m := feedback(s); m != nil {
		t.Errorf("and then % x", m)
	}
	ho.config(s, 300, 300)
	if err := ho.send(s, solid(0, 0, 300, 300, 1, 1, 1), nil); err != nil {
		t.Fatal(err)
	}
	if a, err := wire.ParsePictureAck(feedback(s)); err != nil || a.Stream != 2 || a.Seq != 1 {
		t.Error(a, err)
	}
	if s.Stats().Refreshes != 1 {
		t.Error(s.Stats())
	}
}

func TestAHostileHostIsRefused(t *testing.T) {
	var small bytes.Buffer
	if err := jpeg.Encode(&small, image.NewYCbCr(image.Rect(0, 0, 16, 16), image.YCbCrSubsampleRatio420), nil); err != nil {
		t.Fatal(err)
	}
	motion := func(w, h uint16, n int) []byte {
		return op(wire.PictureOp{Type: wire.OpMotion, W: w, H: h, A: uint16(n), B: uint16(n >> 16)})
	}
	for name, c := range map[string]struct{ plain, aside []byte }{
		"rectangle outside":     {solid(90, 0, 20, 20, 0, 0, 0), nil},
		"unknown operation":     {op(wire.PictureOp{Type: 77, W: 1, H: 1}), nil},
		"half an operation":     {solid(0, 0, 20, 20, 0, 0, 0)[:15], nil},
		"index beyond palette":  {op(wire.PictureOp{Type: wire.OpPalette, Aux: 4, W: 2, H: 1, A: 3}, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0x3f), nil},
		"aside too short":       {motion(16, 16, small.Len()+1), small.Bytes()},
		"aside left over":       {motion(16, 16, small.Len()), append(bytes.Clone(small.Bytes()), 0)},
		"JPEG of another size":  {motion(17, 16, small.Len()), small.Bytes()},
		"JPEG that is none":     {motion(16, 16, 4), []byte("JPEG")},
		"JPEG that is cut":      {motion(16, 16, small.Len()/2), small.Bytes()[:small.Len()/2]},
		"only aside, unclaimed": {nil, []byte("x")},
	} {
		s := NewScreen(Options{})
		if err := newHost(t, s, 100, 80).send(s, c.plain, c.aside); fault.KindOf(err) != fault.Hostile {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A compressed part that says it is small and is not, and the reverse.
	for name, plain := range map[string]uint32{"more than said": 10, "less than said": 5000} {
		s := NewScreen(Options{})
		ho := newHost(t, s, 100, 80)
		m := ho.update(make([]byte, 4000), nil, 60000)[0]
		binary.LittleEndian.PutUint32(m[16:], plain)
		if err := s.Packet(m); fault.KindOf(err) != fault.Hostile {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A bomb: sizes far beyond what the display can need are refused before
	// anything is allocated.
	s := NewScreen(Options{})
	newHost(t, s, 100, 80)
	bomb := wire.AppendPicturePart(nil, wire.PicturePart{First: true, Stream: 1, Seq: 1, Update: wire.PictureUpdate{Packed: 100, Plain: wire.MaxPictureUpdate}, Payload: []byte{0}})
	if err := s.Packet(bomb); fault.KindOf(err) != fault.Hostile {
		t.Errorf("bomb: %v", err)
	}
	if err := s.Packet(make([]byte, wire.MaxPictureMessage+1)); fault.KindOf(err) != fault.Hostile {
		t.Errorf("message too long: %v", err)
	}
	for _, m := range [][]byte{nil, {0}, {0x82}, {99, 1, 2}} {
		if s.Packet(m) == nil {
			t.Errorf("% x accepted", m)
		}
	}
}

func TestMotionIsDecodedWithinItsRectangle(t *testing.T) {
	s := NewScreen(Options{})
	ho := newHost(t, s, 100, 80)
	img := image.NewRGBA(image.Rect(0, 0, 33, 17))
	for i := range img.Pix {
		img.Pix[i] = 200
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	if err := ho.send(s, op(wire.PictureOp{Type: wire.OpMotion, X: 40, Y: 30, W: 33, H: 17, A: uint16(b.Len())}), b.Bytes()); err != nil {
		t.Fatal(err)
	}
	m := s.Snapshot()
	for y := range 80 {
		for x := range 100 {
			in, c := image.Pt(x, y).In(image.Rect(40, 30, 73, 47)), m.RGBAAt(x, y)
			if in && (c.R < 195 || c.R > 205 || c.G < 195 || c.B > 205) || !in && c != (color.RGBA{A: 255}) {
				t.Fatalf("%d,%d is %v", x, y, c)
			}
		}
	}
}

func TestAcknowledgementsCoalesceAndNothingElseIsLost(t *testing.T) {
	s := NewScreen(Options{})
	ho := newHost(t, s, 64, 64)
	for range 100 {
		if err := ho.send(s, solid(0, 0, 1, 1, 1, 1, 1), nil); err != nil {
			t.Fatal(err)
		}
	}
	hello, last := false, uint32(0)
	for m := feedback(s); m != nil; m = feedback(s) {
		if wire.PictureMessageKind(m) == wire.PictureHelloKind {
			hello = true
		} else if a, err := wire.ParsePictureAck(m); err != nil || a.Seq <= last {
			t.Errorf("%+v %v after %d", a, err, last)
		} else {
			last = a.Seq
		}
	}
	if !hello || last != 100 {
		t.Errorf("hello %v, last acknowledgement %d", hello, last)
	}
}

func TestTheTapSeesWhatWasAccepted(t *testing.T) {
	n := 0
	s := NewScreen(Options{Tap: func([]byte) { n++ }})
	ho := newHost(t, s, 64, 64)
	if err := ho.send(s, solid(0, 0, 64, 64, 1, 1, 1), nil); err != nil {
		t.Fatal(err)
	}
	if s.Packet([]byte{77}) == nil || n != 2 {
		t.Errorf("%d messages", n)
	}
}

// FuzzPacket gives a screen hostile updates: raw messages and operations that
// were compressed properly.
func FuzzPacket(f *testing.F) {
	f.Add([]byte{1, 1, 10, 0, 10, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, solid(0, 0, 4, 4, 1, 2, 3), []byte{})
	f.Add([]byte{5, 1}, op(wire.PictureOp{Type: wire.OpMotion, W: 4, H: 4, A: 3}), []byte("abc"))
	f.Add([]byte{2, 3, 0, 0}, op(wire.PictureOp{Type: wire.OpCopy, X: 3, W: 40, H: 40}), []byte{})
	f.Add([]byte{3, 0}, op(wire.PictureOp{Type: wire.OpPalette, Aux: 8, W: 4, H: 4, A: 9}, make([]byte, 60)...), []byte{})
	f.Fuzz(func(t *testing.T, message, plain, aside []byte) {
		s := NewScreen(Options{})
		ho := newHost(t, s, 150, 90)
		_ = ho.send(s, plain, aside)
		_ = s.Packet(message)
		if out, ok := s.take(nil); ok && out[0] == viewFrame && len(out) < viewHead {
			t.Errorf("frame of %d bytes", len(out))
		}
		if m := s.Snapshot(); m != nil {
			for i := 3; i < len(m.Pix); i += 4 {
				if m.Pix[i] != 255 {
					t.Fatal("a pixel is not opaque")
				}
			}
		}
	})
}

// FuzzJPEG gives the motion decoder images.
func FuzzJPEG(f *testing.F) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, 16, 16), image.YCbCrSubsampleRatio420), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(_ *testing.T, b []byte) {
		m := image.NewRGBA(image.Rect(0, 0, 64, 48))
		_ = jpegDecoder{}.decode(m.SubImage(image.Rect(8, 8, 24, 24)).(*image.RGBA), b)
	})
}
