// Package seal closes messages to the holder of an X25519 key: HPKE (RFC 9180)
// with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305, from the
// standard library. It must not know what the messages say, who holds keys or
// where they lie.
//
// The info of HPKE is the context, a zero byte and what the message is bound to
// (a session, a place in a record), so that one cannot be passed off as another.
package seal

import (
	"crypto/ecdh"
	"crypto/hpke"

	"daypass/backend/fault"
)

// Overhead is how much longer a sealed message is, in bytes.
const Overhead = 32 + 16

func info(context string, bind []byte) []byte {
	return append([]byte(context+"\x00"), bind...)
}

// Seal closes plain to the holder of the key to (an X25519 public key, 32
// bytes). Keys that no honest side makes are a fault of kind Invalid.
func Seal(to [32]byte, context string, bind, plain []byte) ([]byte, error) {
	pub, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(to[:])
	if err == nil {
		var out []byte
		if out, err = hpke.Seal(pub, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info(context, bind), plain); err == nil {
			return out, nil
		}
	}
	return nil, fault.Wrap(err, fault.Invalid, "seal", "The key to protect this with cannot be used.", "")
}

// Open opens what Seal closed to key, for the same context and binding. Anything
// else is a fault of kind Hostile.
func Open(key *ecdh.PrivateKey, context string, bind, sealed []byte) ([]byte, error) {
	k, err := hpke.NewDHKEMPrivateKey(key)
	if err == nil {
		var out []byte
		if out, err = hpke.Open(k, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info(context, bind), sealed); err == nil {
			return out, nil
		}
	}
	return nil, fault.Wrap(err, fault.Hostile, "seal.open", "This was not protected for this key, or was changed on its way.", "")
}
