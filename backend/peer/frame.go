package peer

import (
	"encoding/binary"
	"errors"
)

// Messages of the control channel. All integers are big endian.
//
//	1 tag    u8 1, 32 bytes                     first message, both ways
//	2 hello  u8 2, u8 version, 16 instance, 16 instance of the peer as known, u64 got, hello ≤ 16 KiB
//	3 data   u8 3, u64 seq, payload 1..60 KiB   seq rises by one from 1 for a pair of instances
//	4 ping   u8 4, u32 id, u16 next, u64 taken  the next ping follows in at most next ms, 0 if that is not promised
//	5 pong   u8 5, u32 id, u64 taken
//	6 ack    u8 6, u64 taken
//	7 bye    u8 7, reason ≤ 256 bytes
//	8 byeAck u8 8
//
// "got" is the highest seq received from the other side, "taken" the highest
// its program has taken. Messages of the other channels are the payload alone.
const (
	frameTag byte = iota + 1
	frameHello
	frameData
	framePing
	framePong
	frameAck
	frameBye
	frameByeAck
)

const (
	frameVersion  = 2
	tagFrameSize  = 1 + 32
	helloHead     = 1 + 1 + 16 + 16 + 8
	dataHead      = 1 + 8
	pingFrameSize = 1 + 4 + 2 + 8
	pongFrameSize = 1 + 4 + 8
	ackFrameSize  = 1 + 8
)

var be = binary.BigEndian

var errFrame = errors.New("malformed control message")

// frame is a parsed control message; only the fields of its kind are set, and
// slices point into the parsed bytes.
type frame struct {
	kind     byte
	tag      [32]byte
	version  byte
	instance [16]byte
	known    [16]byte
	n        uint64 // got, seq or taken
	id       uint32
	next     uint16 // milliseconds
	body     []byte // hello, payload, reason
}

// parseFrame reads one control message of a possibly hostile peer.
func parseFrame(b []byte) (frame, error) {
	var f frame
	if len(b) == 0 {
		return f, errFrame
	}
	f.kind = b[0]
	switch f.kind {
	case frameTag:
		if len(b) != tagFrameSize {
			return f, errFrame
		}
		copy(f.tag[:], b[1:])
	case frameHello:
		if len(b) < helloHead || len(b) > helloHead+MaxHello {
			return f, errFrame
		}
		f.version = b[1]
		copy(f.instance[:], b[2:])
		copy(f.known[:], b[18:])
		f.n = be.Uint64(b[34:])
		f.body = b[helloHead:]
	case frameData:
		if len(b) <= dataHead || len(b) > dataHead+MaxMessage {
			return f, errFrame
		}
		f.n = be.Uint64(b[1:])
		f.body = b[dataHead:]
	case framePing:
		if len(b) != pingFrameSize {
			return f, errFrame
		}
		f.id = be.Uint32(b[1:])
		f.next = be.Uint16(b[5:])
		f.n = be.Uint64(b[7:])
	case framePong:
		if len(b) != pongFrameSize {
			return f, errFrame
		}
		f.id = be.Uint32(b[1:])
		f.n = be.Uint64(b[5:])
	case frameAck:
		if len(b) != ackFrameSize {
			return f, errFrame
		}
		f.n = be.Uint64(b[1:])
	case frameBye:
		if len(b) > 1+MaxReason {
			return f, errFrame
		}
		f.body = b[1:]
	case frameByeAck:
		if len(b) != 1 {
			return f, errFrame
		}
	default:
		return f, errFrame
	}
	return f, nil
}

func appendHello(instance, known [16]byte, got uint64, hello []byte) []byte {
	b := make([]byte, 0, helloHead+len(hello))
	b = append(b, frameHello, frameVersion)
	b = append(b, instance[:]...)
	b = append(b, known[:]...)
	b = be.AppendUint64(b, got)
	return append(b, hello...)
}

func dataFrame(seq uint64, payload []byte) []byte {
	b := make([]byte, 0, dataHead+len(payload))
	b = append(b, frameData)
	b = be.AppendUint64(b, seq)
	return append(b, payload...)
}

func pingFrame(id uint32, next uint16, taken uint64) []byte {
	b := make([]byte, 0, pingFrameSize)
	b = append(b, framePing)
	b = be.AppendUint32(b, id)
	b = be.AppendUint16(b, next)
	return be.AppendUint64(b, taken)
}

func pongFrame(id uint32, taken uint64) []byte {
	b := make([]byte, 0, pongFrameSize)
	b = append(b, framePong)
	b = be.AppendUint32(b, id)
	return be.AppendUint64(b, taken)
}

func ackFrame(taken uint64) []byte {
	return be.AppendUint64([]byte{frameAck}, taken)
}
