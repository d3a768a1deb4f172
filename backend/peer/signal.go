package peer

import (
	"errors"

	"daypass/backend/pairing"
)

// Messages of the mailbox, class 'C'. All integers are big endian; nid names a
// negotiation, chosen at random by the console.
//
//	1 ask        'C' 1 nid(8) ask                  console: "are you there? your challenge, please"
//	2 challenge  'C' 2 nid(8) instance(16) connection(8) challenge
//	3 offer      'C' 3 nid(8) handshake message 1  sealed: u8 kind, connection(8), SDP
//	4 answer     'C' 4 nid(8) handshake message 2  sealed: u8 result, SDP
//	5 candidate  'C' 5 nid(8) sealed candidate, its number included
//	6 want       'C' 6 0(8)   instance(16)         host: "please negotiate"
//
// ask, want and a challenge's instance and connection are hints that nothing
// protects: whoever forges them causes attempts, which the handshake then
// refuses, and never ends a connection that is alive. The challenge carries a
// MAC, so that no server can fake the host's presence. Lost messages are repeated unchanged by whoever waits for the reply.
const (
	sigAsk byte = iota + 1
	sigChallenge
	sigOffer
	sigAnswer
	sigCandidate
	sigWant
)

const (
	sigHead       = 1 + 1 + 8
	maxSignal     = 48 << 10 // bytes of one mailbox message
	maxSDP        = 16 << 10 // bytes of a description; ours have about 1 KiB
	maxCandidate  = 512      // bytes of a candidate
	maxCandidates = 20       // candidates taken or given for one description
)

// Kinds of an offer and results of an answer.
const (
	offerNew     byte = 1 // a new connection
	offerRestart byte = 2 // ICE restart of the named connection
	answerOK     byte = 1
	answerGone   byte = 2 // that connection is not there any more: make a new one
)

var errSignal = errors.New("malformed negotiation message")

type nid [8]byte

// signal is a parsed mailbox message; body points into the parsed bytes.
type signal struct {
	kind     byte
	nid      nid
	instance [16]byte
	conn     nid
	body     []byte
}

// parseSignal reads one mailbox message of a possibly hostile sender.
func parseSignal(b []byte) (signal, error) {
	var s signal
	if len(b) < sigHead || len(b) > maxSignal || b[0] != Class {
		return s, errSignal
	}
	s.kind = b[1]
	copy(s.nid[:], b[2:])
	b = b[sigHead:]
	switch s.kind {
	case sigOffer, sigAnswer, sigCandidate:
	case sigAsk:
		if len(b) != pairing.NonceSize {
			return s, errSignal
		}
	case sigChallenge:
		if len(b) < 24 {
			return s, errSignal
		}
		copy(s.instance[:], b)
		copy(s.conn[:], b[16:])
		b = b[24:]
	case sigWant:
		if len(b) != 16 {
			return s, errSignal
		}
		copy(s.instance[:], b)
		b = nil
	default:
		return s, errSignal
	}
	s.body = b
	return s, nil
}

func sigMsg(kind byte, n nid, parts ...[]byte) []byte {
	b := append(make([]byte, 0, 256), Class, kind)
	b = append(b, n[:]...)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// parseOffer reads the sealed part of an offer.
func parseOffer(b []byte) (kind byte, conn nid, sdp string, err error) {
	if len(b) < 9 || len(b) > 9+maxSDP || (b[0] != offerNew && b[0] != offerRestart) {
		return 0, nid{}, "", errSignal
	}
	copy(conn[:], b[1:])
	return b[0], conn, string(b[9:]), nil
}

func offerBody(kind byte, conn nid, sdp string) []byte {
	return append(append([]byte{kind}, conn[:]...), sdp...)
}

// parseAnswer reads the sealed part of an answer.
func parseAnswer(b []byte) (result byte, sdp string, err error) {
	if len(b) < 1 || len(b) > 1+maxSDP || (b[0] != answerOK && b[0] != answerGone) {
		return 0, "", errSignal
	}
	return b[0], string(b[1:]), nil
}
