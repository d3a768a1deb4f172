package historykey

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"daypass/backend/grant"
)

// Accept says that a person at console By compared fingerprints and goes on with
// a key that does not follow from the one that was pinned. Consoles that had the
// same pin, in which By is known, believe it; it says nothing to others, so that
// a server cannot use an old one again.
type Accept struct {
	Company grant.ID  `json:"company"`
	Gen     int       `json:"gen"`
	Hash    []byte    `json:"hash"`    // of the generation that is believed now
	Instead []byte    `json:"instead"` // of the one that was pinned
	By      grant.Key `json:"by"`
	At      time.Time `json:"at"`
}

// Claimed returns what a server says without asking whether anybody known
// signed it: only signatures and hashes are right. It is for showing a fingerprint
// to a person, and nothing is to be sealed to it.
func Claimed(company grant.ID, docs []grant.Signed) (Chain, error) { return linked(company, docs) }

// SignAccept returns the console's statement that it goes on with g instead of
// pin.
func (c Console) SignAccept(g *Generation, pin Pin, now time.Time) (grant.Signed, error) {
	return grant.Sign(c.Ed, contextAccept, Accept{g.Doc.Company, g.Doc.Gen, g.Hash[:], pin.Hash, c.Key(), now.UTC().Truncate(time.Millisecond)})
}

// Accepted looks for a statement by a console that was known with the pin, about
// a generation that the server has now. It returns the pin to go on with.
func Accepted(company grant.ID, docs, accepts []grant.Signed, pin Pin) (Pin, Accept, bool) {
	claimed, err := linked(company, docs)
	if err != nil {
		return Pin{}, Accept{}, false
	}
	for _, s := range accepts {
		var peek, a Accept
		if grant.Strict(s.Body, &peek) != nil || !slices.Contains(pin.Known, peek.By) || grant.Open(peek.By, contextAccept, s, &a) != nil {
			continue
		}
		g := claimed.Gen(a.Gen)
		if g == nil || a.Company != company || !bytes.Equal(a.Instead, pin.Hash) || !bytes.Equal(a.Hash, g.Hash[:]) {
			continue
		}
		return Pin{Gen: a.Gen, Hash: a.Hash}, a, true
	}
	return Pin{}, Accept{}, false
}

// Fingerprint is what people compare over the telephone: 80 bits of a
// generation's hash in four groups of four letters and digits. Making another
// generation with the same one is out of reach.
func Fingerprint(hash []byte) string {
	if len(hash) < 10 {
		return ""
	}
	text := grant.Crockford.EncodeToString(hash[:10])
	return strings.Join([]string{text[:4], text[4:8], text[8:12], text[12:]}, "-")
}

// Fingerprint is what people compare over the telephone.
func (g *Generation) Fingerprint() string { return Fingerprint(g.Hash[:]) }
