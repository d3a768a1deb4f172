// Package cpace is CPACE-RISTR255-SHA512 of draft-irtf-cfrg-cpace-21 in
// initiator-responder mode: a balanced password-authenticated key exchange
// over ristretto255 (RFC 9496). One run gives whoever is in the middle exactly
// one guess of the password and nothing to try offline.
//
// Group arithmetic is entirely github.com/gtank/ristretto255. The package must
// not know what the password is made of, who the parties are or how messages
// travel; daypass/backend/pairing does. It awaits outside review, see
// docs/threat-model.md.
package cpace

import (
	"bytes"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"

	"github.com/gtank/ristretto255"
)

// ShareSize is the size of a share (Ya, Yb) in bytes.
const ShareSize = 32

// KeySize is the size of the intermediate session key in bytes.
const KeySize = 64

const (
	dsi    = "CPaceRistretto255"
	dsiISK = "CPaceRistretto255_ISK"
	block  = 128 // input block of SHA-512 in bytes, H.s_in_bytes in the draft
)

// ErrPeer says that the other side's share is not acceptable: not a canonical
// encoding, the identity, or our own share sent back.
var ErrPeer = errors.New("cpace: the share of the other side is not valid")

// ErrUsed says that a State was finished before. A state is for one run.
var ErrUsed = errors.New("cpace: this run was finished before")

// LV returns the draft's lv_cat of parts: each with its length in front as
// LEB128, so that no two lists of parts have the same encoding.
func LV(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		n := len(p)
		for ; n >= 0x80; n >>= 7 {
			out = append(out, byte(n)|0x80)
		}
		out = append(append(out, byte(n)), p...)
	}
	return out
}

// generator maps password, channel identifier and session id to a group
// element of unknown discrete logarithm (draft section 7.3, calculate_generator).
func generator(prs, ci, sid []byte) (*ristretto255.Element, error) {
	zeros := max(0, block-1-len(LV(prs))-len(LV([]byte(dsi))))
	h := sha512.Sum512(LV([]byte(dsi), prs, make([]byte, zeros), ci, sid))
	g, err := ristretto255.NewIdentityElement().SetUniformBytes(h[:])
	if err != nil {
		return nil, fmt.Errorf("cpace: generator: %w", err)
	}
	return g, nil
}

// State is one side of one run. It is not safe for concurrent use.
type State struct {
	y         *ristretto255.Scalar
	share     []byte
	ad, sid   []byte
	initiator bool
}

// Start begins a run. prs is the password-related string, ci the channel
// identifier (both identities with their roles), sid a session id that both
// sides contributed to, ad this side's associated data, which travels in clear
// and is authenticated. The slices are kept until Finish and not changed.
func Start(prs, ci, sid, ad []byte, initiator bool) (*State, error) {
	var r [64]byte
	rand.Read(r[:]) // never fails (crypto/rand, Go 1.24)
	y, err := ristretto255.NewScalar().SetUniformBytes(r[:])
	if err != nil {
		return nil, fmt.Errorf("cpace: scalar: %w", err)
	}
	return start(prs, ci, sid, ad, initiator, y)
}

func start(prs, ci, sid, ad []byte, initiator bool, y *ristretto255.Scalar) (*State, error) {
	g, err := generator(prs, ci, sid)
	if err != nil {
		return nil, err
	}
	share := ristretto255.NewIdentityElement().ScalarMult(y, g).Bytes()
	return &State{y: y, share: share, ad: ad, sid: sid, initiator: initiator}, nil
}

// Share returns a copy of this side's share, ShareSize bytes, to be sent.
func (s *State) Share() []byte { return bytes.Clone(s.share) }

// Finish consumes the other side's share and associated data and returns the
// intermediate session key, KeySize bytes, and wipes the secret scalar. The key
// is NOT authentication: both sides must confirm that they hold the same one
// before anything depends on it.
func (s *State) Finish(peerShare, peerAD []byte) ([]byte, error) {
	if s.y == nil {
		return nil, ErrUsed
	}
	y := s.y
	s.y = nil
	defer y.Zero()
	p, err := ristretto255.NewIdentityElement().SetCanonicalBytes(peerShare)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPeer, err)
	}
	if bytes.Equal(peerShare, s.share) {
		return nil, ErrPeer
	}
	k := ristretto255.NewIdentityElement().ScalarMult(y, p)
	if k.Equal(ristretto255.NewIdentityElement()) == 1 {
		return nil, ErrPeer
	}
	mine, theirs := LV(s.share, s.ad), LV(peerShare, peerAD)
	if !s.initiator {
		mine, theirs = theirs, mine
	}
	h := sha512.New()
	h.Write(LV([]byte(dsiISK), s.sid, k.Bytes()))
	h.Write(mine)
	h.Write(theirs)
	return h.Sum(nil), nil
}

// Wipe zeroes the secret scalar when a run is given up; Finish does it itself.
func (s *State) Wipe() {
	if s.y != nil {
		s.y.Zero()
		s.y = nil
	}
}
