package pairing

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Class is the first byte of a mailbox message.
const (
	ClassActivation byte = 'A'
	ClassConnect    byte = 'C'
)

// Version is the version of the activation and of the handshake. It is under
// every MAC and in the Noise prologue, so nobody can talk two sides down.
const Version byte = 1

// MaxMessage bounds an activation message in bytes.
const MaxMessage = 24 << 10

// Types of activation messages. Values are part of the protocol.
const (
	msgHostHello      byte = 1
	msgConsoleHello   byte = 2
	msgHostShare      byte = 3
	msgConsoleShare   byte = 4
	msgHostConfirm    byte = 5
	msgConsoleConfirm byte = 6
	msgDone           byte = 7
	msgStatus         byte = 8
	msgReady          byte = 9
	msgReject         byte = 10
	msgWaiting        byte = 11
	msgRefusal        byte = 12
)

const macSize = 32

// Errors of the state machines. Those that a person must hear about arrive as
// events instead; these are for the caller's log and for tests.
var (
	// ErrDropped: the message is not from a holder of the link's password, not
	// for this run, or makes no sense now. Nothing changed, no try was charged.
	ErrDropped = errors.New("pairing: message dropped")
	// ErrCode: the other side proved another code. The try stays charged.
	ErrCode = errors.New("pairing: the code does not match")
	// ErrLocked: no tries are left.
	ErrLocked = errors.New("pairing: no tries are left")
	// ErrReplay: an old message, epoch or number came again.
	ErrReplay = errors.New("pairing: replayed")
	// ErrVersion: the other side speaks another version of the protocol.
	ErrVersion = errors.New("pairing: another version of the protocol")
	// ErrState: the call is not possible now.
	ErrState = errors.New("pairing: not possible now")
)

var be = binary.BigEndian

// reader takes fixed and length-prefixed fields; the first lack sticks.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if r.short || len(r.b) < n {
		r.short, r.b = true, nil
		return make([]byte, n)
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) copy(dst []byte) { copy(dst, r.take(len(dst))) }
func (r *reader) u8() byte        { return r.take(1)[0] }
func (r *reader) u16() uint16     { return be.Uint16(r.take(2)) }
func (r *reader) u32() uint32     { return be.Uint32(r.take(4)) }
func (r *reader) u64() uint64     { return be.Uint64(r.take(8)) }
func (r *reader) blob() []byte    { return r.take(int(r.u16())) }

func (r *reader) done() error {
	if r.short || len(r.b) != 0 {
		return errors.New("pairing: wrong length")
	}
	return nil
}

func appendBlob(b, v []byte) []byte { return append(be.AppendUint16(b, uint16(len(v))), v...) }

// frame returns 'A', version, type, body and the MAC under key over all of it
// and the context, which does not travel.
func frame(key []byte, context []byte, typ byte, body []byte) []byte {
	m := make([]byte, 0, 3+len(body)+macSize)
	m = append(m, ClassActivation, Version, typ)
	m = append(m, body...)
	return append(m, mac(key, []byte("message"), context, m)...)
}

// IsHostHello reports whether m looks like a host's hello. Nothing is checked.
func IsHostHello(m []byte) bool {
	typ, _, err := split(m)
	return err == nil && typ == msgHostHello
}

// split checks the outer shape of an activation message. The MAC is not
// checked: what it covers depends on the state.
func split(m []byte) (typ byte, body []byte, err error) {
	if len(m) < 3+macSize || len(m) > MaxMessage || m[0] != ClassActivation {
		return 0, nil, fmt.Errorf("%w: %d bytes", ErrDropped, len(m))
	}
	if m[1] != Version {
		return 0, nil, fmt.Errorf("%w: %d", ErrVersion, m[1])
	}
	return m[2], m[3 : len(m)-macSize], nil
}
