package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/hex"
	"testing"

	"daypass/backend/fault"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 9180 A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base
// mode, the suite of this package, first message (its aad is "Count-0").
func TestVectorOfTheStandard(t *testing.T) {
	priv, err := ecdh.X25519().NewPrivateKey(unhex(t, "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := hpke.NewDHKEMPrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	if pub := hex.EncodeToString(k.PublicKey().Bytes()); pub != "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a" {
		t.Fatal(pub)
	}
	r, err := hpke.NewRecipient(unhex(t, "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"), k, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), unhex(t, "4f6465206f6e2061204772656369616e2055726e"))
	if err != nil {
		t.Fatal(err)
	}
	pt, err := r.Open([]byte("Count-0"), unhex(t, "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"))
	if err != nil || string(pt) != "Beauty is truth, truth beauty" {
		t.Fatal(string(pt), err)
	}
}

func TestOnlyTheRightKeyPlaceAndPurposeOpen(t *testing.T) {
	key := func(b byte) *ecdh.PrivateKey {
		k, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{b}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	a := key(7)
	box, err := Seal([32]byte(a.PublicKey().Bytes()), "context", []byte("place"), []byte("words"))
	if err != nil || len(box) != len("words")+Overhead || bytes.Contains(box, []byte("words")) {
		t.Fatal(len(box), err)
	}
	if got, err := Open(a, "context", []byte("place"), box); err != nil || string(got) != "words" {
		t.Fatal(err)
	}
	changed := bytes.Clone(box)
	changed[40] ^= 1
	for name, f := range map[string]func() ([]byte, error){
		"key":     func() ([]byte, error) { return Open(key(8), "context", []byte("place"), box) },
		"place":   func() ([]byte, error) { return Open(a, "context", []byte("other"), box) },
		"purpose": func() ([]byte, error) { return Open(a, "contex", []byte("t\x00place"), box) },
		"changed": func() ([]byte, error) { return Open(a, "context", []byte("place"), changed) },
		"short":   func() ([]byte, error) { return Open(a, "context", []byte("place"), box[:20]) },
	} {
		if _, err := f(); fault.KindOf(err) != fault.Hostile {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Seal([32]byte{}, "context", nil, []byte("words")); fault.KindOf(err) != fault.Invalid {
		t.Errorf("sealed to a key of nothing: %v", err)
	}
}
