// Package historykey is the company's key to its history: made at a lead's
// console, handed on from lead to lead, replaced when a lead leaves. Details of
// sessions lie at the server sealed to it. The package must not know the server,
// disks or windows; it checks what a server says, which it does not trust.
//
// A generation of the key is a [Doc], signed by the console that made it; it
// names the hash of the generation before. The private key is passed on in
// [Wrap]s: sealed (backend/seal) to another console's device key, and signed by
// the console that passed it on. A console is known if it made a generation, or
// a known console passed the key to it, or the generation's recovery key did. A
// new generation is believed if a known console of the one before signed it; what
// was believed once is pinned. What does not follow from the pin is believed if a
// console that was known says so ([Accept]), or a person who compared
// fingerprints.
package historykey

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/seal"
)

// Contexts of signatures and of sealed messages.
const (
	contextDoc    = "daypass history key v1"
	contextWrap   = "daypass history wrap v1"
	contextDevice = "daypass history device v1"
	contextBox    = "daypass history box v1"
	contextItem   = "daypass history item v1"
	contextAccept = "daypass history accept v1"
)

// MaxGenerations bounds how often a company's key is replaced.
const MaxGenerations = 1000

// X is an X25519 public key. As text it is Crockford base32.
type X [32]byte

// MarshalText writes the key.
func (x X) MarshalText() ([]byte, error) { return grant.Key(x).MarshalText() }

// UnmarshalText reads what MarshalText writes.
func (x *X) UnmarshalText(b []byte) error { return (*grant.Key)(x).UnmarshalText(b) }

// Doc is one generation of the key.
type Doc struct {
	Company  grant.ID  `json:"company"`
	Gen      int       `json:"gen"` // from 1
	Public   X         `json:"public"`
	Maker    grant.Key `json:"maker"` // Ed25519 key of the console that made it
	Made     time.Time `json:"made"`
	Prev     []byte    `json:"prev,omitempty"`    // SHA-256 of the generation before's body; 32 bytes, nothing with Gen 1
	Recovery Device    `json:"recovery,omitzero"` // public halves of the recovery key; zero: there is none
}

// Wrap hands the private key of a generation to a console, or to a recovery key.
type Wrap struct {
	Company grant.ID  `json:"company"`
	Gen     int       `json:"gen"`
	To      grant.Key `json:"to"`
	ToX     X         `json:"to_x"`
	By      grant.Key `json:"by"`
	Box     []byte    `json:"box"`
}

// Device says which X25519 key belongs to a console. The console signs it.
type Device struct {
	Ed grant.Key `json:"ed"`
	X  X         `json:"x"`
}

// Console is a console that takes part: its two private keys.
type Console struct {
	Ed ed25519.PrivateKey
	X  *ecdh.PrivateKey
}

// Key returns the console's public signing key.
func (c Console) Key() grant.Key { return grant.KeyOf(c.Ed) }

// SignDevice returns the console's signed Device.
func (c Console) SignDevice() (grant.Signed, error) {
	return grant.Sign(c.Ed, contextDevice, Device{c.Key(), X(c.X.PublicKey().Bytes())})
}

// OpenDevice checks and reads the Device of the console with key ed.
func OpenDevice(ed grant.Key, s grant.Signed) (Device, error) {
	var d Device
	if err := grant.Open(ed, contextDevice, s, &d); err != nil {
		return d, err
	}
	if d.Ed != ed || d.X == (X{}) {
		return d, errors.New("historykey: a device key of another console")
	}
	return d, nil
}

// Generation is a Doc that was believed, and what is known of it.
type Generation struct {
	Doc   Doc
	Hash  [32]byte           // of its body
	Known map[grant.Key]bool // consoles that a known one, or the recovery key, gave the key
	Wraps map[grant.Key]Wrap // by whom they are for
}

// Pin is the newest generation that a console has believed.
type Pin struct {
	Gen   int         `json:"gen"`
	Hash  []byte      `json:"hash"`
	Known []grant.Key `json:"known,omitempty"` // consoles that were known then: their Accept is believed
}

// Chain is all generations, the first at 0.
type Chain []Generation

// Last returns the newest generation, nil if there is none.
func (c Chain) Last() *Generation {
	if len(c) == 0 {
		return nil
	}
	return &c[len(c)-1]
}

// Gen returns the generation with number n, nil if there is none.
func (c Chain) Gen(n int) *Generation {
	if n < 1 || n > len(c) {
		return nil
	}
	return &c[n-1]
}

// ErrChanged says that the key at the server is not the one that was known, and
// nobody who is known signed the change.
var ErrChanged = errors.New("historykey: the key was changed by somebody who is not known")

// Parse checks what a server says of the company's key: docs in order, and
// wraps in any. Docs after the pin must be signed by consoles that are known; those
// before are bound to it by their hashes. Without a pin (zero) there is nobody to
// know yet, and the chain is believed as it is. A chain that leaves the pin, or goes on by a stranger, is ErrChanged. Wraps that nobody known
// signed are passed over; who is known in a generation may pass on those before.
func Parse(company grant.ID, docs, wraps []grant.Signed, pin Pin) (Chain, error) {
	out, err := linked(company, docs)
	if err != nil {
		return nil, err
	}
	byGen := map[int][]Wrap{}
	for _, s := range wraps {
		var peek Wrap
		if grant.Strict(s.Body, &peek) != nil {
			continue
		}
		var w Wrap
		if grant.Open(peek.By, contextWrap, s, &w) == nil && w.Company == company {
			byGen[w.Gen] = append(byGen[w.Gen], w)
		}
	}
	for i := range out {
		g := &out[i]
		if pin.Gen > 0 && g.Doc.Gen > pin.Gen && (i == 0 || !out[i-1].Known[g.Doc.Maker]) {
			return nil, ErrChanged
		}
		g.learn(byGen[g.Doc.Gen])
	}
	if pin.Gen > 0 {
		g := out.Gen(pin.Gen)
		if g == nil || string(g.Hash[:]) != string(pin.Hash) {
			return nil, ErrChanged
		}
	}
	// Only now: what a later generation's people passed on says nothing about who
	// could make one.
	later := map[grant.Key]bool{}
	for i := len(out) - 1; i >= 0; i-- {
		g := &out[i]
		for _, w := range byGen[g.Doc.Gen] {
			if _, have := g.Wraps[w.To]; !have && later[w.By] {
				g.Wraps[w.To] = w
			}
		}
		maps.Copy(later, g.Known)
		if !g.Doc.Recovery.Ed.IsZero() {
			later[g.Doc.Recovery.Ed] = true
		}
	}
	return out, nil
}

// linked reads docs that are signed by their makers and name each other.
func linked(company grant.ID, docs []grant.Signed) (Chain, error) {
	if len(docs) > MaxGenerations {
		return nil, fmt.Errorf("historykey: %d generations", len(docs))
	}
	var out Chain
	for i, s := range docs {
		var peek, d Doc
		if err := grant.Strict(s.Body, &peek); err != nil {
			return nil, err
		}
		if err := grant.Open(peek.Maker, contextDoc, s, &d); err != nil {
			return nil, err
		}
		if d.Company != company || d.Gen != i+1 || d.Public == (X{}) || d.Recovery.Ed.IsZero() != (d.Recovery.X == (X{})) {
			return nil, fmt.Errorf("historykey: generation %d in place %d", d.Gen, i+1)
		}
		if i > 0 && string(d.Prev) != string(out[i-1].Hash[:]) {
			return nil, ErrChanged
		}
		out = append(out, Generation{Doc: d, Hash: sha256.Sum256(s.Body), Known: map[grant.Key]bool{d.Maker: true}, Wraps: map[grant.Key]Wrap{}})
	}
	return out, nil
}

// learn takes the wraps of those who are known, whom they make known, and so on.
func (g *Generation) learn(wraps []Wrap) {
	rec := g.Doc.Recovery.Ed
	for again := true; again; {
		again = false
		for _, w := range wraps {
			if _, have := g.Wraps[w.To]; have || !g.Known[w.By] && (rec.IsZero() || w.By != rec) {
				continue
			}
			g.Wraps[w.To] = w
			// The recovery key passes on. It makes no generation.
			if !w.To.IsZero() && w.To != rec {
				g.Known[w.To] = true
			}
			again = true
		}
	}
}

// PinOf returns the pin of the newest generation.
func (c Chain) PinOf() Pin {
	g := c.Last()
	if g == nil {
		return Pin{}
	}
	known := slices.SortedFunc(maps.Keys(g.Known), func(a, b grant.Key) int { return bytes.Compare(a[:], b[:]) })
	return Pin{g.Doc.Gen, g.Hash[:], known}
}

// Make makes the next generation after prev (nil: the first) and returns it
// signed with its private key. A zero recovery leaves that of prev.
func Make(company grant.ID, by Console, prev *Generation, recovery Device, now time.Time) (grant.Signed, *ecdh.PrivateKey, error) {
	priv, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return grant.Signed{}, nil, err
	}
	d := Doc{Company: company, Gen: 1, Public: X(priv.PublicKey().Bytes()), Maker: by.Key(), Made: now.UTC().Truncate(time.Millisecond), Recovery: recovery}
	if prev != nil {
		d.Gen, d.Prev = prev.Doc.Gen+1, prev.Hash[:]
		if recovery == (Device{}) {
			d.Recovery = prev.Doc.Recovery
		}
	}
	s, err := grant.Sign(by.Ed, contextDoc, d)
	return s, priv, err
}

func bindWrap(company grant.ID, gen int, to grant.Key) []byte {
	b := append([]byte{}, company[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(gen))
	return append(b, to[:]...)
}

// Give wraps the private key of generation gen for a console or a recovery key.
func Give(company grant.ID, gen int, key *ecdh.PrivateKey, by Console, to grant.Key, x X) (grant.Signed, error) {
	box, err := seal.Seal(x, contextBox, bindWrap(company, gen, to), key.Bytes())
	if err != nil {
		return grant.Signed{}, err
	}
	return grant.Sign(by.Ed, contextWrap, Wrap{company, gen, to, x, by.Key(), box})
}

// Take opens the wrap that is for the holder of key and checks that it is the
// generation's. A wrap that holds another key is a fault of kind Hostile.
func (g *Generation) Take(to grant.Key, key *ecdh.PrivateKey) (*ecdh.PrivateKey, error) {
	w, ok := g.Wraps[to]
	if !ok {
		return nil, fault.New(fault.NotFound, "history.key", "This computer does not have the key to the company's history yet.", "It comes by itself as soon as another lead's console is online.")
	}
	b, err := seal.Open(key, contextBox, bindWrap(w.Company, w.Gen, to), w.Box)
	if err != nil {
		return nil, err
	}
	priv, err := ecdh.X25519().NewPrivateKey(b)
	if err != nil || X(priv.PublicKey().Bytes()) != g.Doc.Public {
		return nil, fault.New(fault.Hostile, "history.key", "What was passed on is not the key to the company's history.", "Ask the lead who passed it on.")
	}
	return priv, nil
}

// bindItem says which item of the history a box is: nobody can put one in
// another's place.
func bindItem(company, session grant.ID, gen int, seq uint64, hash [32]byte) []byte {
	b := append([]byte{}, company[:]...)
	b = append(b, session[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(gen))
	b = binary.BigEndian.AppendUint64(b, seq)
	return append(b, hash[:]...)
}

// Seal closes an item of the history to the generation.
func (g *Generation) Seal(session grant.ID, seq uint64, hash [32]byte, plain []byte) ([]byte, error) {
	return seal.Seal(g.Doc.Public, contextItem, bindItem(g.Doc.Company, session, g.Doc.Gen, seq, hash), plain)
}

// Open opens what Seal closed, with the generation's private key.
func Open(key *ecdh.PrivateKey, company, session grant.ID, gen int, seq uint64, hash [32]byte, box []byte) ([]byte, error) {
	return seal.Open(key, contextItem, bindItem(company, session, gen, seq, hash), box)
}
