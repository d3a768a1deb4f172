package wire

import (
	"encoding/binary"
	"image"

	"daypass/backend/fault"
)

// The picture protocol, version 1, on the Picture channel. Numbers are little
// endian, pixels are counted from the display's top left corner, one message
// is at most MaxPictureMessage bytes.
//
// Host to console:
//
//	config  u8 1, u8 version, u16 W, u16 H, u8 motion codec, u8 0, u32 stream, u32 display      16 bytes
//	part    u8 2, u8 flags (1 first, 2 last), u16 index, u32 stream, u32 seq                     12 bytes
//	        first part only: u32 packed, u32 plain, u32 aside, u32 capture, u32 encode, u32 rtt  24 bytes
//	        then payload
//	shape   u8 3, u8 0, u16 w, u16 h, u16 hotX, u16 hotY, w*h*4 bytes R G B A (straight alpha)
//	pointer u8 4, u8 visible, u16 x, u16 y
//	state   u8 5, u8 state
//
// A config starts a stream: a surface of W x H black pixels and a fresh zstd
// context (window at most PictureWindow). Updates of a stream are numbered
// from 1 without gaps; each is the concatenation of its parts' payloads:
// `packed` bytes that continue the stream's one zstd frame and decompress to
// exactly `plain` bytes of operations, then `aside` bytes that are not
// compressed again (the motion codec's data in the order of its operations).
// capture, encode and rtt are microseconds measured by the host.
//
// An operation is u8 type, u8 aux, u16 x, y, w, h, a, b and a payload:
//
//	1 copy    from (a,b), same size, may overlap (memmove); no payload
//	2 solid   R G B 0
//	3 palette aux = 1, 4 or 8 bits an index; a = colours (2..256); a*3 bytes RGB, then h rows of ceil(w*aux/8) bytes, MSB first
//	4 rgb     w*h*3 bytes RGB; each pixel but the first of a row is the difference to its left neighbour, modulo 256
//	5 motion  a + b<<16 = bytes of `aside` that hold the rectangle in the motion codec
//
// Console to host:
//
//	hello   u8 0x81, u8 version, u16 0, u32 motion codecs the console decodes (bit n = codec n)    8 bytes
//	ack     u8 0x82, u8 0, u16 0, u32 stream, u32 seq (all up to it applied), u32 decode µs        16 bytes
//	refresh u8 0x83, u8 0, u16 0, u32 stream that cannot be applied any more                       8 bytes
//
// The host answers a hello and a refresh with a config and a whole picture.
const (
	// PictureVersion is the version of this protocol; another is refused.
	PictureVersion = 1
	// MaxPictureMessage is the most bytes of one message.
	MaxPictureMessage = 60 << 10
	// MaxPictureSide is the most pixels of a display's width or height.
	MaxPictureSide = 16384
	// MaxPicturePixels is the most pixels of a display: 8K and a little more.
	MaxPicturePixels = 1 << 25
	// MaxPictureUpdate is the most bytes of one update's packed, plain or
	// aside part: a whole display, raw, with the operations' heads.
	MaxPictureUpdate = MaxPicturePixels*3 + 1<<22
	// MaxPictureTile is the longest side of a palette or rgb operation.
	MaxPictureTile = 64
	// MaxPictureMotion is the longest side of a motion operation.
	MaxPictureMotion = 1024
	// MaxPictureCursor is the longest side of a cursor shape.
	MaxPictureCursor = 96
	// PictureWindow is the zstd window in bytes a decoder must allow.
	PictureWindow = 8 << 20
	// PictureOpSize is the size of an operation without its payload.
	PictureOpSize = 14
	// PicturePartSize and PictureFirstSize are what a part's and a first
	// part's heads take.
	PicturePartSize  = 12
	PictureFirstSize = 36
)

// PictureKind is the first byte of a message on the Picture channel.
type PictureKind uint8

// The kinds, host to console below 0x80, console to host above.
const (
	PictureConfigKind  PictureKind = 1
	PicturePartKind    PictureKind = 2
	PictureShapeKind   PictureKind = 3
	PicturePointerKind PictureKind = 4
	PictureStateKind   PictureKind = 5
	PictureHelloKind   PictureKind = 0x81
	PictureAckKind     PictureKind = 0x82
	PictureRefreshKind PictureKind = 0x83
)

// PictureCodec names the coder of moving regions. Others than JPEG plug in
// here: the console offers what it decodes in its hello, the host chooses and
// says so in each config.
type PictureCodec uint8

// PictureJPEG is baseline JPEG, a rectangle an image: what every console decodes.
const PictureJPEG PictureCodec = 0

// PictureState says why no picture comes, or that it does.
type PictureState uint8

// The states.
const (
	PictureLive      PictureState = 0 // the picture is what the display shows
	PictureLocked    PictureState = 1 // the session is locked
	PictureOff       PictureState = 2 // the display is switched off to save power
	PictureNoDisplay PictureState = 3 // there is no display any more
	PictureFailed    PictureState = 4 // capture failed; it is tried again
)

// The types of operations.
const (
	OpCopy    = 1
	OpSolid   = 2
	OpPalette = 3
	OpRGB     = 4
	OpMotion  = 5
)

// PictureConfig starts a stream.
type PictureConfig struct {
	Width, Height int // pixels
	Motion        PictureCodec
	Stream        uint32 // never the one before
	Display       uint32 // screen.Display.ID
}

// PicturePart is one message of an update. Payload aliases the message.
type PicturePart struct {
	First, Last bool
	Index       uint16 // 0 for the first part, rising by 1, wrapping
	Stream, Seq uint32
	Update      PictureUpdate // only when First
	Payload     []byte
}

// PictureUpdate is what the first part says of the whole update. Byte counts
// are at most MaxPictureUpdate; times are microseconds at the host.
type PictureUpdate struct {
	Packed, Plain, Aside uint32
	Capture, Encode, RTT uint32
}

// PictureShape is a cursor's image; RGBA aliases the message. Width and
// Height 0 mean that the cursor is hidden.
type PictureShape struct {
	Width, Height, HotX, HotY int
	RGBA                      []byte // Width*Height*4, straight alpha
}

// PicturePointer is where the host's pointer is.
type PicturePointer struct {
	Visible bool // on this display
	X, Y    uint16
}

// PictureHello announces a console that can show a picture.
type PictureHello struct {
	Motion uint32 // bit n: PictureCodec n is decoded
}

// PictureAck says that all updates up to Seq are on the console's surface.
type PictureAck struct {
	Stream, Seq uint32
	Decode      uint32 // microseconds from complete update to surface
}

// PictureRefresh asks for a new stream in place of Stream.
type PictureRefresh struct {
	Stream uint32
}

// PictureOp is the head of an operation.
type PictureOp struct {
	Type, Aux  uint8
	X, Y, W, H uint16
	A, B       uint16
}

// Rect returns the rectangle the operation writes.
func (o PictureOp) Rect() image.Rectangle {
	return image.Rect(int(o.X), int(o.Y), int(o.X)+int(o.W), int(o.Y)+int(o.H))
}

var (
	errPicture        = fault.New(fault.Hostile, "picture.parse", "The other side sent a picture message that breaks the protocol.", "Close the remote view and open it again.")
	errPictureVersion = fault.New(fault.Unsupported, "picture.parse", "The two programs speak different versions of the picture protocol.", "Update Daypass and make a new session.")
)

var le = binary.LittleEndian

// PictureMessageKind returns the kind of a message, 0 for an empty one.
func PictureMessageKind(b []byte) PictureKind {
	if len(b) == 0 {
		return 0
	}
	return PictureKind(b[0])
}

// ValidPictureSize reports whether a surface of w x h pixels is allowed.
func ValidPictureSize(w, h int) bool {
	return w > 0 && h > 0 && w <= MaxPictureSide && h <= MaxPictureSide && w*h <= MaxPicturePixels
}

// AppendPictureConfig appends the message to dst. The size must be valid.
func AppendPictureConfig(dst []byte, c PictureConfig) []byte {
	dst = append(dst, byte(PictureConfigKind), PictureVersion)
	dst = le.AppendUint16(dst, uint16(c.Width))
	dst = le.AppendUint16(dst, uint16(c.Height))
	dst = append(dst, byte(c.Motion), 0)
	dst = le.AppendUint32(dst, c.Stream)
	return le.AppendUint32(dst, c.Display)
}

// ParsePictureConfig parses a config strictly. The error is Hostile, or
// Unsupported for another version.
func ParsePictureConfig(b []byte) (PictureConfig, error) {
	if len(b) < 2 || PictureKind(b[0]) != PictureConfigKind {
		return PictureConfig{}, errPicture
	}
	if b[1] != PictureVersion {
		return PictureConfig{}, errPictureVersion
	}
	if len(b) != 16 || b[7] != 0 {
		return PictureConfig{}, errPicture
	}
	c := PictureConfig{Width: int(le.Uint16(b[2:])), Height: int(le.Uint16(b[4:])), Motion: PictureCodec(b[6]), Stream: le.Uint32(b[8:]), Display: le.Uint32(b[12:])}
	if !ValidPictureSize(c.Width, c.Height) {
		return PictureConfig{}, errPicture
	}
	if c.Motion != PictureJPEG {
		return PictureConfig{}, errPictureVersion
	}
	return c, nil
}

// AppendPicturePart appends the message to dst, payload included.
func AppendPicturePart(dst []byte, p PicturePart) []byte {
	flags := byte(0)
	if p.First {
		flags |= 1
	}
	if p.Last {
		flags |= 2
	}
	dst = append(dst, byte(PicturePartKind), flags)
	dst = le.AppendUint16(dst, p.Index)
	dst = le.AppendUint32(dst, p.Stream)
	dst = le.AppendUint32(dst, p.Seq)
	if p.First {
		u := p.Update
		for _, v := range [...]uint32{u.Packed, u.Plain, u.Aside, u.Capture, u.Encode, u.RTT} {
			dst = le.AppendUint32(dst, v)
		}
	}
	return append(dst, p.Payload...)
}

// ParsePicturePart parses a part strictly. Payload aliases b.
func ParsePicturePart(b []byte) (PicturePart, error) {
	if len(b) < PicturePartSize || len(b) > MaxPictureMessage || PictureKind(b[0]) != PicturePartKind || b[1] > 3 {
		return PicturePart{}, errPicture
	}
	p := PicturePart{First: b[1]&1 != 0, Last: b[1]&2 != 0, Index: le.Uint16(b[2:]), Stream: le.Uint32(b[4:]), Seq: le.Uint32(b[8:]), Payload: b[PicturePartSize:]}
	if p.First {
		if len(b) < PictureFirstSize || p.Index != 0 {
			return PicturePart{}, errPicture
		}
		p.Update = PictureUpdate{Packed: le.Uint32(b[12:]), Plain: le.Uint32(b[16:]), Aside: le.Uint32(b[20:]), Capture: le.Uint32(b[24:]), Encode: le.Uint32(b[28:]), RTT: le.Uint32(b[32:])}
		p.Payload = b[PictureFirstSize:]
		u := p.Update
		if u.Packed > MaxPictureUpdate || u.Plain > MaxPictureUpdate || u.Aside > MaxPictureUpdate || (u.Packed == 0) != (u.Plain == 0) {
			return PicturePart{}, errPicture
		}
	}
	return p, nil
}

// AppendPictureShape appends the message to dst. Sides are at most
// MaxPictureCursor and the hot spot lies inside.
func AppendPictureShape(dst []byte, s PictureShape) []byte {
	dst = append(dst, byte(PictureShapeKind), 0)
	for _, v := range [...]int{s.Width, s.Height, s.HotX, s.HotY} {
		dst = le.AppendUint16(dst, uint16(v))
	}
	return append(dst, s.RGBA...)
}

// ParsePictureShape parses a cursor shape strictly. RGBA aliases b.
func ParsePictureShape(b []byte) (PictureShape, error) {
	if len(b) < 10 || PictureKind(b[0]) != PictureShapeKind || b[1] != 0 {
		return PictureShape{}, errPicture
	}
	s := PictureShape{Width: int(le.Uint16(b[2:])), Height: int(le.Uint16(b[4:])), HotX: int(le.Uint16(b[6:])), HotY: int(le.Uint16(b[8:])), RGBA: b[10:]}
	hidden := s.Width == 0 && s.Height == 0 && s.HotX == 0 && s.HotY == 0
	shown := s.Width > 0 && s.Height > 0 && s.Width <= MaxPictureCursor && s.Height <= MaxPictureCursor && s.HotX < s.Width && s.HotY < s.Height
	if !hidden && !shown || len(s.RGBA) != s.Width*s.Height*4 {
		return PictureShape{}, errPicture
	}
	return s, nil
}

// AppendPicturePointer appends the message to dst.
func AppendPicturePointer(dst []byte, p PicturePointer) []byte {
	v := byte(0)
	if p.Visible {
		v = 1
	}
	dst = append(dst, byte(PicturePointerKind), v)
	dst = le.AppendUint16(dst, p.X)
	return le.AppendUint16(dst, p.Y)
}

// ParsePicturePointer parses a pointer position strictly.
func ParsePicturePointer(b []byte) (PicturePointer, error) {
	if len(b) != 6 || PictureKind(b[0]) != PicturePointerKind || b[1] > 1 {
		return PicturePointer{}, errPicture
	}
	return PicturePointer{Visible: b[1] == 1, X: le.Uint16(b[2:]), Y: le.Uint16(b[4:])}, nil
}

// AppendPictureState appends the message to dst.
func AppendPictureState(dst []byte, s PictureState) []byte {
	return append(dst, byte(PictureStateKind), byte(s))
}

// ParsePictureState parses a state strictly.
func ParsePictureState(b []byte) (PictureState, error) {
	if len(b) != 2 || PictureKind(b[0]) != PictureStateKind || PictureState(b[1]) > PictureFailed {
		return 0, errPicture
	}
	return PictureState(b[1]), nil
}

// AppendPictureHello appends the message to dst.
func AppendPictureHello(dst []byte, h PictureHello) []byte {
	dst = append(dst, byte(PictureHelloKind), PictureVersion, 0, 0)
	return le.AppendUint32(dst, h.Motion)
}

// ParsePictureHello parses a hello strictly. The error is Hostile, or
// Unsupported for another version.
func ParsePictureHello(b []byte) (PictureHello, error) {
	if len(b) < 2 || PictureKind(b[0]) != PictureHelloKind {
		return PictureHello{}, errPicture
	}
	if b[1] != PictureVersion {
		return PictureHello{}, errPictureVersion
	}
	if len(b) != 8 || b[2] != 0 || b[3] != 0 {
		return PictureHello{}, errPicture
	}
	return PictureHello{Motion: le.Uint32(b[4:])}, nil
}

// AppendPictureAck appends the message to dst.
func AppendPictureAck(dst []byte, a PictureAck) []byte {
	dst = append(dst, byte(PictureAckKind), 0, 0, 0)
	dst = le.AppendUint32(dst, a.Stream)
	dst = le.AppendUint32(dst, a.Seq)
	return le.AppendUint32(dst, a.Decode)
}

// ParsePictureAck parses an acknowledgement strictly.
func ParsePictureAck(b []byte) (PictureAck, error) {
	if len(b) != 16 || PictureKind(b[0]) != PictureAckKind || b[1] != 0 || b[2] != 0 || b[3] != 0 {
		return PictureAck{}, errPicture
	}
	return PictureAck{Stream: le.Uint32(b[4:]), Seq: le.Uint32(b[8:]), Decode: le.Uint32(b[12:])}, nil
}

// AppendPictureRefresh appends the message to dst.
func AppendPictureRefresh(dst []byte, r PictureRefresh) []byte {
	dst = append(dst, byte(PictureRefreshKind), 0, 0, 0)
	return le.AppendUint32(dst, r.Stream)
}

// ParsePictureRefresh parses a refresh strictly.
func ParsePictureRefresh(b []byte) (PictureRefresh, error) {
	if len(b) != 8 || PictureKind(b[0]) != PictureRefreshKind || b[1] != 0 || b[2] != 0 || b[3] != 0 {
		return PictureRefresh{}, errPicture
	}
	return PictureRefresh{Stream: le.Uint32(b[4:])}, nil
}

// AppendPictureOp appends the head of an operation; its payload follows.
func AppendPictureOp(dst []byte, o PictureOp) []byte {
	return append(dst, o.Type, o.Aux, byte(o.X), byte(o.X>>8), byte(o.Y), byte(o.Y>>8), byte(o.W), byte(o.W>>8),
		byte(o.H), byte(o.H>>8), byte(o.A), byte(o.A>>8), byte(o.B), byte(o.B>>8))
}

// ParsePictureOp takes the first operation off b and checks it against a
// surface of w x h pixels. payload and rest alias b. Palette indices are not
// looked at; a decoder must bound them by op.A. A motion operation has no
// payload here: take op.A + op.B<<16 bytes of the update's aside part.
func ParsePictureOp(b []byte, w, h int) (op PictureOp, payload, rest []byte, err error) {
	if len(b) < PictureOpSize {
		return op, nil, nil, errPicture
	}
	op = PictureOp{Type: b[0], Aux: b[1], X: le.Uint16(b[2:]), Y: le.Uint16(b[4:]), W: le.Uint16(b[6:]), H: le.Uint16(b[8:]), A: le.Uint16(b[10:]), B: le.Uint16(b[12:])}
	b = b[PictureOpSize:]
	ow, oh := int(op.W), int(op.H)
	if ow == 0 || oh == 0 || int(op.X)+ow > w || int(op.Y)+oh > h {
		return op, nil, nil, errPicture
	}
	n, ok := 0, false
	switch op.Type {
	case OpCopy:
		ok = op.Aux == 0 && int(op.A)+ow <= w && int(op.B)+oh <= h
	case OpSolid:
		n, ok = 4, op.Aux == 0 && op.A == 0 && op.B == 0 && len(b) >= 4 && b[3] == 0
	case OpPalette:
		n = int(op.A)*3 + (ow*int(op.Aux)+7)/8*oh
		ok = (op.Aux == 1 || op.Aux == 4 || op.Aux == 8) && op.A >= 2 && int(op.A) <= 1<<op.Aux && op.B == 0 && ow <= MaxPictureTile && oh <= MaxPictureTile
	case OpRGB:
		n, ok = ow*oh*3, op.Aux == 0 && op.A == 0 && op.B == 0 && ow <= MaxPictureTile && oh <= MaxPictureTile
	case OpMotion:
		ok = op.Aux == 0 && ow <= MaxPictureMotion && oh <= MaxPictureMotion && (op.A != 0 || op.B != 0)
	}
	if !ok || len(b) < n {
		return op, nil, nil, errPicture
	}
	return op, b[:n:n], b[n:], nil
}
