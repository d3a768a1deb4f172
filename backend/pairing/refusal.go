package pairing

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"daypass/backend/grant"
)

// Why is why a customer's computer does not go on with an invitation. Values
// are part of the protocol.
type Why byte

// The reasons.
const (
	WhyOther       Why = 1 // something went wrong there
	WhyRunning     Why = 2 // the program runs there already, for another session
	WhyEarlier     Why = 3 // a session of an earlier start is not over there
	WhyNoDisplay   Why = 4 // there is no desktop
	WhyWayland     Why = 5 // the desktop does not let a program show it
	WhyUnsupported Why = 6 // the system or its version is not supported
	WhyDeclined    Why = 7 // the customer does not want it
)

// Valid reports whether w is one of these.
func (w Why) Valid() bool { return w >= WhyOther && w <= WhyDeclined }

// Refusal is what a host that holds a link says instead of going on with it. It
// is not the word of the customer's computer as the code would prove it: whoever
// holds the link can send one, and the server can send one again.
type Refusal struct {
	ID     [32]byte // of the message: one that comes again is the same
	Why    Why
	Report HostReport
}

// SealRefusal makes the message that tells a console why this computer does not
// go on. It is sealed and authentic under the link's password as a hello is, and
// nothing answers it.
func SealRefusal(secret Secret, sid grant.ID, why Why, report HostReport) ([]byte, error) {
	if !why.Valid() {
		return nil, ErrState
	}
	report.cut()
	text, err := json.Marshal(report)
	if err != nil {
		return nil, fmt.Errorf("pairing: encode: %w", err)
	}
	var nonce [32]byte
	rand.Read(nonce[:]) // never fails (crypto/rand, Go 1.24)
	b := append(append([]byte{}, sid[:]...), nonce[:]...)
	sealed, err := aead(refusalKey(secret, nonce[:]), append([]byte{byte(why)}, text...), b)
	if err != nil {
		return nil, err
	}
	key := derive(secret[:], 32, []byte("mac"), []byte{byte(RoleHost)})
	defer clear(key)
	return frame(key, nil, msgRefusal, appendBlob(b, sealed)), nil
}

func refusalKey(secret Secret, nonce []byte) []byte {
	return derive(secret[:], chacha20poly1305.KeySize, []byte("refusal"), []byte{byte(RoleHost)}, nonce)
}

// IsRefusal reports whether m looks like a refusal. Nothing is checked.
func IsRefusal(m []byte) bool {
	typ, _, err := split(m)
	return err == nil && typ == msgRefusal
}

// OpenRefusal reads a message for which IsRefusal is true. It fails with
// ErrDropped for everything that does not come from a holder of the link's
// password, for this session.
func OpenRefusal(secret Secret, sid grant.ID, m []byte) (Refusal, error) {
	typ, body, err := split(m)
	if err != nil || typ != msgRefusal {
		return Refusal{}, ErrDropped
	}
	s := side{peerKey: derive(secret[:], 32, []byte("mac"), []byte{byte(RoleHost)})}
	defer clear(s.peerKey)
	if !s.authentic(nil, m) {
		return Refusal{}, ErrDropped
	}
	r := reader{b: body}
	var session grant.ID
	r.copy(session[:])
	nonce := r.take(32)
	sealed := r.blob()
	if r.done() != nil || session != sid {
		return Refusal{}, ErrDropped
	}
	text, err := unseal(refusalKey(secret, nonce), sealed, body[:48])
	if err != nil || len(text) < 1 || len(text) > maxReport || !Why(text[0]).Valid() {
		return Refusal{}, ErrDropped
	}
	out := Refusal{ID: sha256.Sum256(body), Why: Why(text[0])}
	if err := grant.Strict(text[1:], &out.Report); err != nil {
		return Refusal{}, fmt.Errorf("%w: %w", ErrDropped, err)
	}
	out.Report.cut()
	return out, nil
}
