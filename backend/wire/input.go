package wire

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"daypass/backend/fault"
)

// Input messages go from console to host on the input channel, one event a
// message, little endian. All begin with
//
//	u8 kind, u8 flags, u16 seq
//
// where seq counts the messages of one page, modulo 2^16, for statistics; a
// host never acts on it. Behind it, by kind:
//
//	move     u16 x, u16 y, u8 buttons, u8 0                        10 bytes
//	button   u16 x, u16 y, u8 buttons, u8 button, u8 down, u8 0    12 bytes
//	wheel    u16 x, u16 y, i16 dx, i16 dy                          12 bytes
//	key      u16 usage, u8 mods, u8 down                            8 bytes
//	text     1..64 bytes of UTF-8                                   5..68 bytes
//	release                                                         4 bytes
//
// x and y are pixels of the display that is shown, from its top left.
const (
	// MaxInput is the largest input message, in bytes.
	MaxInput = inputHead + MaxInputText
	// MaxInputText is the largest text of one message, in bytes.
	MaxInputText = 64
	// WheelNotch is one notch of a wheel; DX and DY count in it.
	WheelNotch = 120

	inputHead = 4
)

// InputKind is the first byte of an input message.
type InputKind uint8

// The input messages. Values are part of the protocol and never change meaning.
const (
	InputMove    InputKind = 1 // the pointer moved
	InputButton  InputKind = 2 // a button of the pointer went down or up
	InputWheel   InputKind = 3 // a wheel turned
	InputKey     InputKind = 4 // a key, named by its place on the keyboard
	InputText    InputKind = 5 // characters to be typed, whatever the host's layout
	InputRelease InputKind = 6 // let go of every key and button that is down
)

// The pointer's buttons, as MouseEvent.button numbers
// them. Bit 1<<button of Input.Buttons is set while it is down.
const (
	ButtonLeft    = 0
	ButtonMiddle  = 1
	ButtonRight   = 2
	ButtonBack    = 3
	ButtonForward = 4
	buttonCount   = 5
)

// The modifiers in Input.Mods: what the technician's system believes to be
// down when the event happened.
const (
	ModShift = 1 << iota
	ModControl
	ModAlt
	ModMeta  // Windows, Command or Super key
	ModAltGr // third level of the technician's layout; Control and Alt are then not set
	modAll   = 1<<iota - 1
)

// Flags of Input.Flags; which kind each belongs to is part of its meaning, all
// others must be 0.
const (
	// FlagRepeat, of a key that goes down: it was down already and repeats.
	FlagRepeat = 1
	// FlagChord, of text: Control, Alt and Meta that are down stay so, the text
	// is one character and stands for the key of a shortcut.
	FlagChord = 1
)

// Input is one event. Which fields count depends on Kind; the others are zero.
// It holds no references, so it may be copied and kept.
type Input struct {
	Kind    InputKind
	Flags   uint8
	Seq     uint16
	X, Y    uint16 // move, button, wheel: pixels of the display shown
	Buttons uint8  // move, button: mask of those down after the event
	Button  uint8  // button: ButtonLeft..ButtonForward
	Down    bool   // button, key
	DX, DY  int16  // wheel: 1/120 notch, right and down positive
	Usage   uint16 // key: HID usage of page 7, one of Keys
	Mods    uint8  // key: ModShift..ModAltGr
	text    [MaxInputText]byte
	ntext   uint8
}

// Text returns the bytes of a text message: valid UTF-8 without control
// characters but tab and newline. They belong to m.
func (m *Input) Text() []byte { return m.text[:m.ntext] }

// SetText makes m carry s, which must be 1 to MaxInputText bytes of what Text
// promises.
func (m *Input) SetText(s string) error {
	if why := badText(s); why != "" {
		return fmt.Errorf("wire: input text %s", why)
	}
	m.text = [MaxInputText]byte{}
	m.ntext = uint8(copy(m.text[:], s))
	return nil
}

func badText[T string | []byte](s T) string {
	if len(s) == 0 || len(s) > MaxInputText {
		return "of a length that is not allowed"
	}
	for i := 0; i < len(s); {
		var r rune
		n := 1
		if s[i] < utf8.RuneSelf {
			r = rune(s[i])
		} else if r, n = utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)])); r == utf8.RuneError && n <= 1 {
			return "that is not UTF-8"
		}
		if (r < 0x20 && r != '\n' && r != '\t') || (r >= 0x7f && r < 0xa0) {
			return "with a control character"
		}
		i += n
	}
	return ""
}

func (m *Input) check() string {
	switch m.Kind {
	case InputMove, InputButton, InputWheel:
		if m.X >= MaxSide || m.Y >= MaxSide {
			return "outside any display"
		}
		if m.Buttons >= 1<<buttonCount {
			return "with an unknown button"
		}
		if m.Kind == InputButton && (m.Button >= buttonCount || m.Down != (m.Buttons>>m.Button&1 == 1)) {
			return "with a button that contradicts its mask"
		}
		if m.Flags != 0 {
			return "with unknown flags"
		}
	case InputKey:
		if !KnownUsage(m.Usage) {
			return "with an unknown key"
		}
		if m.Mods&^modAll != 0 {
			return "with an unknown modifier"
		}
		if m.Flags&^FlagRepeat != 0 || (m.Flags == FlagRepeat && !m.Down) {
			return "with unknown flags"
		}
	case InputText:
		if why := badText(m.text[:m.ntext]); why != "" {
			return why
		}
		if m.Flags&^FlagChord != 0 {
			return "with unknown flags"
		}
		if m.Flags == FlagChord && utf8.RuneCount(m.text[:m.ntext]) != 1 {
			return "that is a shortcut of several characters"
		}
	case InputRelease:
		if m.Flags != 0 {
			return "with unknown flags"
		}
	default:
		return "of an unknown kind"
	}
	return ""
}

// AppendInput appends the message to b and returns it. It allocates only when b
// is too small. A message outside the bounds ParseInput keeps is an error and
// nothing is appended.
func AppendInput(b []byte, m *Input) ([]byte, error) {
	if why := m.check(); why != "" {
		return b, fmt.Errorf("wire: input message %d %s", m.Kind, why)
	}
	le := binary.LittleEndian
	b = append(b, byte(m.Kind), m.Flags)
	b = le.AppendUint16(b, m.Seq)
	down := byte(0)
	if m.Down {
		down = 1
	}
	switch m.Kind {
	case InputMove:
		b = le.AppendUint16(le.AppendUint16(b, m.X), m.Y)
		b = append(b, m.Buttons, 0)
	case InputButton:
		b = le.AppendUint16(le.AppendUint16(b, m.X), m.Y)
		b = append(b, m.Buttons, m.Button, down, 0)
	case InputWheel:
		b = le.AppendUint16(le.AppendUint16(b, m.X), m.Y)
		b = le.AppendUint16(le.AppendUint16(b, uint16(m.DX)), uint16(m.DY))
	case InputKey:
		b = append(le.AppendUint16(b, m.Usage), m.Mods, down)
	case InputText:
		b = append(b, m.text[:m.ntext]...)
	case InputRelease:
	}
	return b, nil
}

// ParseInput reads exactly one input message. Everything else is a fault of
// kind Hostile. It does not allocate when it succeeds and does not keep b.
func ParseInput(b []byte) (Input, error) {
	var m Input
	if len(b) < inputHead || len(b) > MaxInput {
		return Input{}, hostileInput("message of a size that no kind has")
	}
	le := binary.LittleEndian
	m.Kind, m.Flags, m.Seq = InputKind(b[0]), b[1], le.Uint16(b[2:])
	p := b[inputHead:]
	want, zero := 0, byte(0)
	switch m.Kind {
	case InputMove:
		if want = 6; len(p) == want {
			m.X, m.Y, m.Buttons, zero = le.Uint16(p), le.Uint16(p[2:]), p[4], p[5]
		}
	case InputButton:
		if want = 8; len(p) == want {
			m.X, m.Y, m.Buttons, m.Button, m.Down, zero = le.Uint16(p), le.Uint16(p[2:]), p[4], p[5], p[6] == 1, p[7]|p[6]&^1
		}
	case InputWheel:
		if want = 8; len(p) == want {
			m.X, m.Y = le.Uint16(p), le.Uint16(p[2:])
			m.DX, m.DY = int16(le.Uint16(p[4:])), int16(le.Uint16(p[6:]))
		}
	case InputKey:
		if want = 4; len(p) == want {
			m.Usage, m.Mods, m.Down, zero = le.Uint16(p), p[2], p[3] == 1, p[3]&^1
		}
	case InputText:
		want = len(p)
		m.ntext = uint8(copy(m.text[:], p))
	case InputRelease:
	default:
		return Input{}, hostileInput("message of an unknown kind")
	}
	if len(p) != want {
		return Input{}, hostileInput("message of a size that its kind does not have")
	}
	if zero != 0 {
		return Input{}, hostileInput("message with a byte that must be 0 or 1")
	}
	if why := m.check(); why != "" {
		return Input{}, hostileInput("message " + why)
	}
	return m, nil
}

func hostileInput(why string) error {
	return fault.Wrap(fmt.Errorf("input %s", why), fault.Hostile, "wire.input", "The other side sent something that this version does not understand.", "Update both programs, then connect again.")
}
