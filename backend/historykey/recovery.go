package historykey

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

// NewRecovery makes a recovery key: what is to be printed, and its two keys. It
// takes part as a console that lies in a safe: it is given each generation, and
// passes them on to the console that it is typed into.
func NewRecovery() (words string, key Console, err error) {
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		return "", Console{}, err
	}
	if key, err = recoveryOf(seed); err != nil {
		return "", Console{}, err
	}
	sum := recoverySum(seed)
	text := grant.Crockford.EncodeToString(append(seed, sum[:3]...)) // 35 bytes, 56 characters
	var groups []string
	for i := 0; i < len(text); i += 7 {
		groups = append(groups, text[i:i+7])
	}
	return strings.Join(groups, "-"), key, nil
}

func recoverySum(seed []byte) [32]byte {
	return sha256.Sum256(append([]byte("daypass recovery v1"), seed...))
}

// recoveryOf derives the two keys of a recovery key.
func recoveryOf(seed []byte) (Console, error) {
	ed, err := hkdf.Key(sha256.New, seed, nil, "daypass recovery sign v1", ed25519.SeedSize)
	if err != nil {
		return Console{}, err
	}
	b, err := hkdf.Key(sha256.New, seed, nil, "daypass recovery open v1", 32)
	if err != nil {
		return Console{}, err
	}
	x, err := ecdh.X25519().NewPrivateKey(b)
	return Console{ed25519.NewKeyFromSeed(ed), x}, err
}

// Device returns the public halves of the console's keys.
func (c Console) Device() Device { return Device{c.Key(), X(c.X.PublicKey().Bytes())} }

// ParseRecovery reads a recovery key as somebody typed it: case, spaces, dashes
// and the letters that look like digits do not count. A slip is a fault of kind
// Invalid.
func ParseRecovery(s string) (Console, error) {
	bad := func(err error) (Console, error) {
		return Console{}, fault.Wrap(err, fault.Invalid, "history.recovery", "This is not a recovery key, or it has a slip.", "It has eight groups of seven letters and digits. Compare them with the printed page.")
	}
	if len(s) > 200 {
		return bad(errors.New("too long"))
	}
	b, err := grant.DecodeCrockford(strings.Join(strings.Fields(s), ""))
	if err != nil || len(b) != 35 {
		return bad(err)
	}
	sum := recoverySum(b[:32])
	if string(sum[:3]) != string(b[32:]) {
		return bad(errors.New("check digits"))
	}
	k, err := recoveryOf(b[:32])
	if err != nil {
		return bad(err)
	}
	return k, nil
}
