package pairing

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"

	"daypass/backend/fault"
)

// CodeSize is the number of digits of a security code: seven random ones and a
// check digit.
const CodeSize = 8

// Code is the security code that the technician reads out and the customer
// types: eight ASCII digits, the last a Damm check digit, so that any single
// wrong digit and any two swapped neighbours are a slip and cost no try.
type Code [CodeSize]byte

// damm is the totally anti-symmetric quasigroup of order 10 from H. M. Damm's
// thesis (2004), page 111.
var damm = [10][10]byte{
	{0, 3, 1, 7, 5, 9, 8, 6, 4, 2},
	{7, 0, 9, 2, 1, 5, 4, 8, 6, 3},
	{4, 2, 0, 6, 8, 7, 1, 3, 5, 9},
	{1, 7, 5, 0, 9, 8, 3, 4, 2, 6},
	{6, 1, 2, 3, 0, 4, 5, 9, 7, 8},
	{3, 6, 7, 4, 2, 0, 9, 5, 8, 1},
	{5, 8, 6, 9, 7, 2, 0, 1, 3, 4},
	{8, 9, 4, 5, 3, 6, 2, 0, 1, 7},
	{9, 4, 3, 8, 6, 1, 7, 2, 0, 5},
	{2, 5, 8, 1, 4, 3, 6, 7, 9, 0},
}

func check(digits []byte) byte {
	var s byte
	for _, d := range digits {
		s = damm[s][d-'0']
	}
	return s
}

// NewCode returns a random code: 10⁷ equally likely ones.
func NewCode() Code {
	n, err := rand.Int(rand.Reader, big.NewInt(10_000_000))
	if err != nil {
		panic("pairing: crypto/rand failed: " + err.Error()) // cannot happen (crypto/rand, Go 1.24)
	}
	var c Code
	copy(c[:], fmt.Sprintf("%07d", n))
	c[7] = '0' + check(c[:7])
	return c
}

// ParseCode reads a typed code: eight digits with any spaces, hyphens or dots
// between them. A slip is a fault of kind Invalid and must not cost a try.
func ParseCode(text string) (Code, error) {
	var c Code
	n := 0
	if len(text) > 64 {
		text = text[:64] + "x"
	}
	for _, r := range text {
		switch {
		case strings.ContainsRune(" \t-.\u00a0\u2009\u202f\r\n", r):
			continue
		case r < '0' || r > '9':
			return Code{}, fault.New(fault.Invalid, "pairing.code", "A security code has only digits.", "Type the eight digits that you are told.")
		case n == CodeSize:
			return Code{}, fault.New(fault.Invalid, "pairing.code", "These are too many digits.", "A security code has eight digits.")
		}
		c[n] = byte(r)
		n++
	}
	if n < CodeSize {
		return Code{}, fault.New(fault.Invalid, "pairing.code", "Some digits are missing.", "A security code has eight digits.")
	}
	if check(c[:]) != 0 {
		return Code{}, fault.New(fault.Invalid, "pairing.code", "There is a slip in these digits.", "Compare them with what you were told and type them again. This did not count as a try.")
	}
	return c, nil
}

// Digits returns the eight digits.
func (c Code) Digits() string { return string(c[:]) }

// Grouped returns the code as people read it out: "4711 8862".
func (c Code) Grouped() string { return string(c[:4]) + " " + string(c[4:]) }

// String hides the code from logs and error texts.
func (c Code) String() string { return "(code)" }

// Wipe overwrites the code in place.
func (c *Code) Wipe() { clear(c[:]) }
