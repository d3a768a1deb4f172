package wire

import (
	"bytes"
	"image"
	"testing"

	"daypass/backend/fault"
)

func pictureSamples() [][]byte {
	first := AppendPicturePart(nil, PicturePart{First: true, Stream: 3, Seq: 4, Update: PictureUpdate{Packed: 5, Plain: 6, Aside: 7, Capture: 8, Encode: 9, RTT: 10}, Payload: []byte("abc")})
	return [][]byte{
		AppendPictureConfig(nil, PictureConfig{Width: 1920, Height: 1080, Stream: 7, Display: 9}),
		first,
		AppendPicturePart(nil, PicturePart{Last: true, Index: 1, Stream: 3, Seq: 4, Payload: []byte("defgh")}),
		AppendPictureShape(nil, PictureShape{Width: 2, Height: 1, HotX: 1, RGBA: make([]byte, 8)}),
		AppendPictureShape(nil, PictureShape{}),
		AppendPicturePointer(nil, PicturePointer{Visible: true, X: 3, Y: 4}),
		AppendPictureState(nil, PictureLocked),
		AppendPictureHello(nil, PictureHello{Motion: 1}),
		AppendPictureAck(nil, PictureAck{Stream: 1, Seq: 2, Decode: 3}),
		AppendPictureRefresh(nil, PictureRefresh{Stream: 5}),
	}
}

// again parses b and appends what was understood; nil when it is refused.
func again(b []byte) []byte {
	switch PictureMessageKind(b) {
	case PictureConfigKind:
		if v, err := ParsePictureConfig(b); err == nil {
			return AppendPictureConfig(nil, v)
		}
	case PicturePartKind:
		if v, err := ParsePicturePart(b); err == nil {
			return AppendPicturePart(nil, v)
		}
	case PictureShapeKind:
		if v, err := ParsePictureShape(b); err == nil {
			return AppendPictureShape(nil, v)
		}
	case PicturePointerKind:
		if v, err := ParsePicturePointer(b); err == nil {
			return AppendPicturePointer(nil, v)
		}
	case PictureStateKind:
		if v, err := ParsePictureState(b); err == nil {
			return AppendPictureState(nil, v)
		}
	case PictureHelloKind:
		if v, err := ParsePictureHello(b); err == nil {
			return AppendPictureHello(nil, v)
		}
	case PictureAckKind:
		if v, err := ParsePictureAck(b); err == nil {
			return AppendPictureAck(nil, v)
		}
	case PictureRefreshKind:
		if v, err := ParsePictureRefresh(b); err == nil {
			return AppendPictureRefresh(nil, v)
		}
	}
	return nil
}

func TestPictureMessagesGoThere(t *testing.T) {
	for _, b := range pictureSamples() {
		if got := again(b); !bytes.Equal(got, b) {
			t.Errorf("% x became % x", b, got)
		}
		if b[0] == byte(PicturePartKind) {
			continue // its payload may have any length
		}
		if again(b[:len(b)-1]) != nil || again(append(b[:len(b):len(b)], 0)) != nil {
			t.Errorf("kind %d of another length is accepted", b[0])
		}
	}
}

func TestPictureRefusesWhatIsOutOfBounds(t *testing.T) {
	for _, c := range []PictureConfig{{Width: 0, Height: 5}, {Width: 20000, Height: 5}, {Width: 16000, Height: 16000}, {Width: 5, Height: 5, Motion: 9}} {
		if _, err := ParsePictureConfig(AppendPictureConfig(nil, c)); err == nil {
			t.Errorf("%+v accepted", c)
		}
	}
	b := AppendPictureConfig(nil, PictureConfig{Width: 5, Height: 5})
	b[1] = 2
	if _, err := ParsePictureConfig(b); fault.KindOf(err) != fault.Unsupported {
		t.Errorf("another version: %v", err)
	}
	for _, u := range []PictureUpdate{{Packed: MaxPictureUpdate + 1, Plain: 1}, {Packed: 1, Plain: MaxPictureUpdate + 1}, {Aside: MaxPictureUpdate + 1}, {Packed: 1}, {Plain: 1}} {
		if _, err := ParsePicturePart(AppendPicturePart(nil, PicturePart{First: true, Update: u})); err == nil {
			t.Errorf("%+v accepted", u)
		}
	}
	for _, o := range []PictureOp{
		{Type: OpCopy, W: 10, H: 10, A: 95},
		{Type: OpCopy, W: 10, H: 10, B: 75},
		{Type: OpCopy, X: 91, W: 10, H: 10},
		{Type: OpCopy, W: 0, H: 10},
		{Type: OpSolid, W: 10, H: 10, A: 1},
		{Type: OpPalette, Aux: 2, W: 10, H: 10, A: 2},
		{Type: OpPalette, Aux: 1, W: 10, H: 10, A: 3},
		{Type: OpPalette, Aux: 8, W: 65, H: 10, A: 3},
		{Type: OpPalette, Aux: 8, W: 64, H: 10, A: 257},
		{Type: OpRGB, W: 65, H: 10},
		{Type: OpMotion, W: 10, H: 10},
		{Type: 9, W: 10, H: 10},
	} {
		if _, _, _, err := ParsePictureOp(append(AppendPictureOp(nil, o), make([]byte, 20000)...), 100, 80); err == nil {
			t.Errorf("%+v accepted", o)
		}
	}
}

func TestPictureParsersDoNotAllocate(t *testing.T) {
	samples := pictureSamples()
	op := append(AppendPictureOp(nil, PictureOp{Type: OpSolid, W: 3, H: 3}), 1, 2, 3, 0)
	buf := make([]byte, 0, 256)
	n := testing.AllocsPerRun(100, func() {
		for _, b := range samples {
			switch PictureMessageKind(b) {
			case PicturePartKind:
				p, _ := ParsePicturePart(b)
				buf = AppendPicturePart(buf[:0], p)
			case PictureAckKind:
				a, _ := ParsePictureAck(b)
				buf = AppendPictureAck(buf[:0], a)
			case PictureConfigKind:
				c, _ := ParsePictureConfig(b)
				buf = AppendPictureConfig(buf[:0], c)
			}
		}
		if o, _, _, err := ParsePictureOp(op, 10, 10); err != nil || o.Rect() != image.Rect(0, 0, 3, 3) {
			t.Error(o, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// fuzzPicture checks that what a parser accepts appends to the same bytes.
func fuzzPicture[T any](f *testing.F, kind PictureKind, parse func([]byte) (T, error), appendTo func([]byte, T) []byte) {
	for _, b := range pictureSamples() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 {
			b[0] = byte(kind)
		}
		v, err := parse(b)
		if err != nil {
			return
		}
		if got := appendTo(nil, v); !bytes.Equal(got, b) {
			t.Errorf("% x became % x", b, got)
		}
	})
}

func FuzzParsePictureConfig(f *testing.F) {
	fuzzPicture(f, PictureConfigKind, func(b []byte) (PictureConfig, error) { return ParsePictureConfig(b) }, AppendPictureConfig)
}

func FuzzParsePicturePart(f *testing.F) {
	fuzzPicture(f, PicturePartKind, func(b []byte) (PicturePart, error) { return ParsePicturePart(b) }, AppendPicturePart)
}

func FuzzParsePictureShape(f *testing.F) {
	fuzzPicture(f, PictureShapeKind, func(b []byte) (PictureShape, error) { return ParsePictureShape(b) }, AppendPictureShape)
}

func FuzzParsePicturePointer(f *testing.F) {
	fuzzPicture(f, PicturePointerKind, func(b []byte) (PicturePointer, error) { return ParsePicturePointer(b) }, AppendPicturePointer)
}

func FuzzParsePictureState(f *testing.F) {
	fuzzPicture(f, PictureStateKind, func(b []byte) (PictureState, error) { return ParsePictureState(b) }, AppendPictureState)
}

func FuzzParsePictureHello(f *testing.F) {
	fuzzPicture(f, PictureHelloKind, func(b []byte) (PictureHello, error) { return ParsePictureHello(b) }, AppendPictureHello)
}

func FuzzParsePictureAck(f *testing.F) {
	fuzzPicture(f, PictureAckKind, func(b []byte) (PictureAck, error) { return ParsePictureAck(b) }, AppendPictureAck)
}

func FuzzParsePictureRefresh(f *testing.F) {
	fuzzPicture(f, PictureRefreshKind, func(b []byte) (PictureRefresh, error) { return ParsePictureRefresh(b) }, AppendPictureRefresh)
}

func FuzzParsePictureOp(f *testing.F) {
	f.Add(append(AppendPictureOp(nil, PictureOp{Type: OpPalette, Aux: 4, W: 3, H: 3, A: 3}), make([]byte, 30)...), 100, 80)
	f.Add(AppendPictureOp(nil, PictureOp{Type: OpCopy, X: 1, W: 3, H: 3}), 100, 80)
	f.Fuzz(func(t *testing.T, b []byte, w, h int) {
		w, h = w&0x3fff, h&0x3fff
		op, payload, rest, err := ParsePictureOp(b, w, h)
		if err != nil {
			return
		}
		if !op.Rect().In(image.Rect(0, 0, w, h)) || PictureOpSize+len(payload)+len(rest) != len(b) {
			t.Errorf("%+v in %dx%d: %d of payload, %d left of %d", op, w, h, len(payload), len(rest), len(b))
		}
		if got := AppendPictureOp(nil, op); !bytes.Equal(got, b[:PictureOpSize]) {
			t.Errorf("% x became % x", b[:PictureOpSize], got)
		}
	})
}
