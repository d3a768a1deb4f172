package pairing

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/pairing/cpace"
)

// PublicX is an X25519 public key, 32 bytes.
type PublicX [32]byte

// Identity is the public half of a Device.
type Identity struct {
	Ed grant.Key // Ed25519, signs facts
	X  PublicX   // X25519, static key of Noise
}

// Fingerprint returns the SHA-256 of the identity, for people to compare.
func (i Identity) Fingerprint() [32]byte {
	return sha256.Sum256(cpace.LV([]byte("daypass identity v1"), i.Ed[:], i.X[:]))
}

// Device is a long-lived identity: the console's lives in its vault, the
// host's is made for one session. It does not print itself.
type Device struct {
	Ed ed25519.PrivateKey
	X  *ecdh.PrivateKey
}

// NewDevice makes an identity at random.
func NewDevice() *Device {
	_, ed, err := ed25519.GenerateKey(nil)
	if err == nil {
		var x *ecdh.PrivateKey
		if x, err = ecdh.X25519().GenerateKey(rand.Reader); err == nil {
			return &Device{Ed: ed, X: x}
		}
	}
	panic("pairing: crypto/rand failed: " + err.Error()) // cannot happen (crypto/rand, Go 1.24)
}

// Public returns the public half.
func (d *Device) Public() Identity {
	return Identity{Ed: grant.KeyOf(d.Ed), X: PublicX(d.X.PublicKey().Bytes())}
}

// String hides the keys from logs and error texts.
func (d *Device) String() string { return "(device)" }

const deviceSize = 1 + ed25519.SeedSize + 32

// MarshalBinary returns the private keys, 65 bytes: version 1, Ed25519 seed,
// X25519 scalar. The caller stores them protected.
func (d *Device) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, deviceSize)
	b = append(b, 1)
	b = append(b, d.Ed.Seed()...)
	return append(b, d.X.Bytes()...), nil
}

// ParseDevice reads what MarshalBinary returned. Anything else is a fault of
// kind Corrupt.
func ParseDevice(b []byte) (*Device, error) {
	if len(b) != deviceSize || b[0] != 1 {
		return nil, corrupt("pairing.device", errors.New("wrong size or version"))
	}
	x, err := ecdh.X25519().NewPrivateKey(b[33:])
	if err != nil {
		return nil, corrupt("pairing.device", err)
	}
	return &Device{Ed: ed25519.NewKeyFromSeed(b[1:33]), X: x}, nil
}

// Wipe overwrites the signing key; the X25519 key is dropped to the collector.
func (d *Device) Wipe() { clear(d.Ed); d.Ed, d.X = nil, nil }

func corrupt(op string, err error) error {
	return fault.Wrap(err, fault.Corrupt, op, "Stored keys are damaged.", "The computers must be paired again.")
}

// Role says which side of a session someone is.
type Role byte

// The two roles. Values are part of the protocol.
const (
	RoleHost    Role = 'H'
	RoleConsole Role = 'T'
)

func (r Role) other() Role {
	if r == RoleHost {
		return RoleConsole
	}
	return RoleHost
}

// Pin is what survives an activation on one side: whom to talk to, the shared
// key, and until when. It holds a secret: store it protected, Wipe it at the
// end. It is not safe for concurrent use.
type Pin struct {
	Session   grant.ID
	Role      Role // ours
	PeerEd    grant.Key
	PeerX     PublicX
	PSK       [32]byte
	Epoch     uint64 // of the latest connection; grows with each
	Expires   time.Time
	Rights    grant.Rights
	ServerKey grant.Key
}

// Peer returns the pinned identity of the other side.
func (p *Pin) Peer() Identity { return Identity{Ed: p.PeerEd, X: p.PeerX} }

// Wipe overwrites the shared key.
func (p *Pin) Wipe() { clear(p.PSK[:]) }

// String hides the key from logs and error texts.
func (p *Pin) String() string { return "(pin of session " + p.Session.String() + ")" }

const pinSize = 1 + 16 + 1 + 32 + 32 + 32 + 8 + 8 + 4 + 32

// MarshalBinary returns the pin, secret included, in a fixed layout of version
// 1. The caller stores it protected.
func (p *Pin) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, pinSize)
	b = append(b, 1)
	b = append(b, p.Session[:]...)
	b = append(b, byte(p.Role))
	b = append(b, p.PeerEd[:]...)
	b = append(b, p.PeerX[:]...)
	b = append(b, p.PSK[:]...)
	b = be.AppendUint64(b, p.Epoch)
	b = be.AppendUint64(b, uint64(p.Expires.UnixMilli()))
	b = be.AppendUint32(b, uint32(p.Rights))
	return append(b, p.ServerKey[:]...), nil
}

// ParsePin reads what MarshalBinary returned. Anything else is a fault of kind
// Corrupt.
func ParsePin(b []byte) (*Pin, error) {
	if len(b) != pinSize || b[0] != 1 {
		return nil, corrupt("pairing.pin", errors.New("wrong size or version"))
	}
	r := reader{b: b[1:]}
	p := &Pin{}
	r.copy(p.Session[:])
	p.Role = Role(r.u8())
	r.copy(p.PeerEd[:])
	r.copy(p.PeerX[:])
	r.copy(p.PSK[:])
	p.Epoch = r.u64()
	p.Expires = time.UnixMilli(int64(r.u64())).UTC()
	p.Rights = grant.Rights(r.u32())
	r.copy(p.ServerKey[:])
	if err := r.done(); err != nil {
		return nil, corrupt("pairing.pin", err)
	}
	if (p.Role != RoleHost && p.Role != RoleConsole) || p.Rights&^grant.All != 0 {
		return nil, corrupt("pairing.pin", fmt.Errorf("role %d, rights %#x", p.Role, uint32(p.Rights)))
	}
	return p, nil
}

// derive is HKDF-SHA512 with salt "rs1"; labels are bound to what info ends in.
func derive(secret []byte, n int, info ...[]byte) []byte {
	k, err := hkdf.Key(sha512.New, secret, []byte("rs1"), string(cpace.LV(info...)), n)
	if err != nil {
		panic("pairing: hkdf: " + err.Error()) // only for lengths no caller asks for
	}
	return k
}

func mac(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(cpace.LV(parts...))
	return m.Sum(nil)
}
