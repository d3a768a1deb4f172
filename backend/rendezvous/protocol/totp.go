package protocol

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// TOTPPeriod is how long a one-time code is shown.
const TOTPPeriod = 30 * time.Second

var seedText = base32.StdEncoding.WithPadding(base32.NoPadding)

// SeedText writes a seed as authenticator apps take it: base32, no padding.
func SeedText(seed []byte) string { return seedText.EncodeToString(seed) }

// ParseSeed reads what SeedText wrote, whatever its case, with spaces between.
// A seed has 10 to 64 bytes.
func ParseSeed(s string) ([]byte, error) {
	s = strings.ToUpper(strings.TrimRight(strings.ReplaceAll(s, " ", ""), "="))
	b, err := seedText.DecodeString(s)
	if err != nil || len(b) < 10 || len(b) > 64 || seedText.EncodeToString(b) != s {
		return nil, errors.New("protocol: this is not the seed of a second factor")
	}
	return b, nil
}

// TOTPStep returns the number of the time step that t is in.
func TOTPStep(t time.Time) int64 { return t.Unix() / int64(TOTPPeriod/time.Second) }

// TOTPCode returns the code of a time step (RFC 6238: SHA-1, 30 s, 6 digits).
func TOTPCode(seed []byte, step int64) string {
	m := hmac.New(sha1.New, seed)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	s := m.Sum(nil)
	o := s[len(s)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(s[o:])&0x7fffffff)%1_000_000)
}
