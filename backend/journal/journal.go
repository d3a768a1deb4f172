// Package journal is the record of a session: entries chained by hash, so that
// none can be changed, left out or put in afterwards, signed by both sides. It
// must not know where entries are kept, how they travel or who reads them.
//
// The console writes the record. What only the host can know (the customer took
// a right back, pressed Stop, ended it while the network was down) the host says
// as a numbered, signed [Fact], which the console puts into the record word for
// word. The host signs each entry that does not contradict what it saw, and keeps
// a copy.
//
// An entry's hash is SHA-256 over a context, a zero byte and the length-prefixed
// fields session, sequence number, time in unix microseconds, actor, kind, text
// and the hash of the entry before it (32 zero bytes for the first). The context
// is "daypass journal v1" for entries without details (version 1) and "daypass
// journal v2" for others, where details and the host's fact (body, signature)
// follow the text. A signature is Ed25519 over the context "daypass journal entry
// v1", a zero byte and the hash: who signs an entry signs all before it.
package journal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"daypass/backend/grant"
)

// Bounds of an entry.
const (
	MaxText    = 4 << 10 // bytes of an entry's text
	MaxName    = 64      // bytes of an actor or a kind
	MaxDetails = 4 << 10 // bytes of an entry's details as JSON
	MaxFact    = 12 << 10
	// MaxEntries bounds a session's record. A console stops writing anything but
	// its end there.
	MaxEntries = 20_000
)

// Version is of the entries that this program writes.
const Version = 2

// Hash is SHA-256 of an entry. As text it is hexadecimal.
type Hash [32]byte

// MarshalText writes the hash in hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != 2*len(h) {
		return errors.New("journal: a hash has 64 hexadecimal digits")
	}
	_, err := hex.Decode(h[:], b)
	return err
}

// Side says who signed.
type Side string

// The sides.
const (
	Console Side = "console"
	Host    Side = "host"
)

// Signature is one side's signature over an entry's hash.
type Signature struct {
	Side Side      `json:"side"`
	Key  grant.Key `json:"key"`
	Sig  []byte    `json:"sig"` // 64 bytes
}

// Entry is one line of the record.
type Entry struct {
	V          int             `json:"v"` // 1 or Version
	Session    grant.ID        `json:"session"`
	Seq        uint64          `json:"seq"` // from 1, without gaps
	At         time.Time       `json:"at"`  // UTC, microseconds
	Actor      string          `json:"actor"`
	Kind       string          `json:"kind"`
	Text       string          `json:"text"`
	Details    json.RawMessage `json:"details,omitempty"` // Details as JSON, nil: none
	Fact       *grant.Signed   `json:"fact,omitempty"`    // the host's own word, which the entry repeats
	Prev       Hash            `json:"prev"`
	Hash       Hash            `json:"hash"`
	Signatures []Signature     `json:"signatures"`
}

// Head is the end of a chain: what the next entry continues.
type Head struct {
	Seq  uint64 `json:"seq"`
	Hash Hash   `json:"hash"`
}

// Next makes the entry that continues head. Text longer than MaxText is cut at
// a character. The result has no signature yet.
func (h Head) Next(session grant.ID, at time.Time, actor, kind, text string) Entry {
	return h.With(session, at, actor, kind, text, nil)
}

// With is Next with details, as Details.JSON returns them.
func (h Head) With(session grant.ID, at time.Time, actor, kind, text string, details json.RawMessage) Entry {
	e := Entry{
		V: Version, Session: session, Seq: h.Seq + 1, At: at.UTC().Truncate(time.Microsecond),
		Actor: cut(actor, MaxName), Kind: cut(kind, MaxName), Text: cut(text, MaxText), Details: details, Prev: h.Hash,
	}
	e.Hash = e.sum()
	return e
}

// Repeat makes the entry that puts the host's fact into the record. f is what
// signed says (OpenFact).
func (h Head) Repeat(f Fact, signed grant.Signed) Entry {
	e := Entry{
		V: Version, Session: f.Session, Seq: h.Seq + 1, At: f.At.UTC().Truncate(time.Microsecond),
		Actor: f.Actor, Kind: f.Kind, Text: f.Text, Details: f.Details, Fact: &signed, Prev: h.Hash,
	}
	e.Hash = e.sum()
	return e
}

// Head returns the chain's end after e.
func (e *Entry) Head() Head { return Head{e.Seq, e.Hash} }

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

func (e *Entry) sum() Hash {
	b := make([]byte, 0, 512+len(e.Text)+len(e.Details))
	b = fmt.Appendf(b, "daypass journal v%d\x00", e.V)
	b = append(b, e.Session[:]...)
	b = binary.BigEndian.AppendUint64(b, e.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMicro()))
	field := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	field(e.Actor)
	field(e.Kind)
	field(e.Text)
	if e.V >= 2 {
		field(string(e.Details))
		if e.Fact == nil {
			field("")
			field("")
		} else {
			field(string(e.Fact.Body))
			field(string(e.Fact.Sig))
		}
	}
	b = append(b, e.Prev[:]...)
	return sha256.Sum256(b)
}

// Check reports whether e is well formed: within its bounds, its hash right, its
// fact saying what the entry says. It does not check signatures or what came
// before.
func (e *Entry) Check() error {
	switch {
	case e.V != 1 && e.V != Version:
		return fmt.Errorf("journal: version %d", e.V)
	case e.V == 1 && (e.Details != nil || e.Fact != nil):
		return errors.New("journal: an entry of version 1 has no details")
	case e.Seq == 0 || len(e.Actor) > MaxName || len(e.Kind) > MaxName || len(e.Text) > MaxText || len(e.Signatures) > 2:
		return errors.New("journal: an entry out of bounds")
	case !utf8.ValidString(e.Actor) || !utf8.ValidString(e.Kind) || !utf8.ValidString(e.Text):
		return errors.New("journal: text that is not UTF-8")
	case !e.At.Equal(e.At.Truncate(time.Microsecond)) || e.At.Year() < 1970 || e.At.Year() > 9999:
		return errors.New("journal: a time that cannot be written")
	}
	if err := checkDetails(e.Details); err != nil {
		return err
	}
	if e.Fact != nil && len(e.Fact.Body)+len(e.Fact.Sig) > MaxFact {
		return errors.New("journal: a fact out of bounds")
	}
	if e.Hash != e.sum() {
		return ErrHash
	}
	return nil
}

// ErrHash says that an entry is not the one that its hash was made of.
var ErrHash = errors.New("journal: the entry does not have its hash")

// checkDetails: one JSON object in the form that encoding/json writes, so that it
// survives being carried inside other JSON.
func checkDetails(d json.RawMessage) error {
	if d == nil {
		return nil
	}
	if len(d) > MaxDetails || len(d) < 2 || d[0] != '{' || !utf8.Valid(d) {
		return errors.New("journal: details out of bounds")
	}
	c, err := json.Marshal(d)
	if err != nil || !bytes.Equal(c, d) {
		return errors.New("journal: details in another form than the canonical one")
	}
	return nil
}

// Parse reads one entry as JSON, strictly, and checks it as Check does.
func Parse(b []byte) (Entry, error) {
	var e Entry
	if len(b) > 2*(MaxText+MaxDetails+MaxFact)+8192 {
		return e, errors.New("journal: an entry too large")
	}
	if err := grant.Strict(b, &e); err != nil {
		return e, err
	}
	return e, e.Check()
}

func signed(hash Hash) []byte {
	return append([]byte("daypass journal entry v1\x00"), hash[:]...)
}

// Sign adds the side's signature with key, replacing an earlier one of that
// side.
func (e *Entry) Sign(side Side, key ed25519.PrivateKey) {
	e.AddSignature(Signature{Side: side, Key: grant.KeyOf(key), Sig: ed25519.Sign(key, signed(e.Hash))})
}

// AddSignature adds a signature that was made elsewhere. Verify checks it.
func (e *Entry) AddSignature(s Signature) {
	for i := range e.Signatures {
		if e.Signatures[i].Side == s.Side {
			e.Signatures[i] = s
			return
		}
	}
	e.Signatures = append(e.Signatures, s)
}

// SignatureOf returns the side's signature, nil if it did not sign.
func (e *Entry) SignatureOf(side Side) *Signature {
	for i := range e.Signatures {
		if e.Signatures[i].Side == side {
			return &e.Signatures[i]
		}
	}
	return nil
}

// SignedAs reports whether side signed the entry with key. It checks the
// signature, not the entry's hash.
func (e *Entry) SignedAs(side Side, key grant.Key) bool {
	s := e.SignatureOf(side)
	return s != nil && !key.IsZero() && s.Key == key && len(s.Sig) == ed25519.SignatureSize && ed25519.Verify(key[:], signed(e.Hash), s.Sig)
}

// SignedBy returns the sides that signed, in the order of signing.
func (e *Entry) SignedBy() []string {
	out := []string{}
	for _, s := range e.Signatures {
		out = append(out, string(s.Side))
	}
	return out
}
