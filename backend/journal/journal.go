// Package journal is the record of a session: entries chained by hash, so that
// none can be changed, left out or put in afterwards, each open to signatures of
// both sides. It must not know where entries are kept or who reads them.
//
// An entry's hash is SHA-256 over the context "daypass journal v1", a zero byte
// and the length-prefixed fields session, sequence number, time in unix
// microseconds, actor, kind, text and the hash of the entry before it (32 zero
// bytes for the first). A signature is Ed25519 over the context "daypass journal
// entry v1", a zero byte and the hash: who signs an entry signs all before it.
package journal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"daypass/backend/grant"
)

// Bounds of an entry.
const (
	MaxText = 4 << 10 // bytes of an entry's text
	MaxName = 64      // bytes of an actor or a kind
)

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
	Session    grant.ID    `json:"session"`
	Seq        uint64      `json:"seq"` // from 1, without gaps
	At         time.Time   `json:"at"`  // UTC, microseconds
	Actor      string      `json:"actor"`
	Kind       string      `json:"kind"`
	Text       string      `json:"text"`
	Prev       [32]byte    `json:"prev"`
	Hash       [32]byte    `json:"hash"`
	Signatures []Signature `json:"signatures"`
}

// Head is the end of a chain: what the next entry continues.
type Head struct {
	Seq  uint64
	Hash [32]byte
}

// Next makes the entry that continues head. Text longer than MaxText is cut at
// a character. The result has no signature yet.
func (h Head) Next(session grant.ID, at time.Time, actor, kind, text string) Entry {
	e := Entry{
		Session: session, Seq: h.Seq + 1, At: at.UTC().Truncate(time.Microsecond),
		Actor: cut(actor, MaxName), Kind: cut(kind, MaxName), Text: cut(text, MaxText), Prev: h.Hash,
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

func (e *Entry) sum() [32]byte {
	b := make([]byte, 0, 256+len(e.Text))
	b = append(b, "daypass journal v1\x00"...)
	b = append(b, e.Session[:]...)
	b = binary.BigEndian.AppendUint64(b, e.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMicro()))
	for _, s := range []string{e.Actor, e.Kind, e.Text} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = append(b, e.Prev[:]...)
	return sha256.Sum256(b)
}

func signed(hash [32]byte) []byte {
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

// SignedBy returns the sides that signed, in the order of signing.
func (e *Entry) SignedBy() []string {
	out := []string{}
	for _, s := range e.Signatures {
		out = append(out, string(s.Side))
	}
	return out
}

// Keys are the public keys that may sign a session's record. A zero Host key
// means that no host was pinned yet, so that no host signature is accepted.
type Keys struct{ Console, Host grant.Key }

// Verdict is what Verify found.
type Verdict struct {
	OK      bool
	Entries int
	Signed  int    // entries that the console signed
	Both    int    // entries that both sides signed
	Bad     uint64 // sequence number of the first entry that fails, 0 if none
	Reason  string // why, in words; empty if OK
}

// Verify checks that the entries are one unbroken chain from the beginning and
// that the console signed each. head is the end that is known from elsewhere
// (the store keeps it beside the entries); a zero head is not compared. It
// shows a cut-off end only if head is given.
func Verify(entries []Entry, keys Keys, head Head) Verdict {
	v := Verdict{Entries: len(entries)}
	bad := func(seq uint64, format string, a ...any) Verdict {
		v.Bad, v.Reason = seq, fmt.Sprintf(format, a...)
		return v
	}
	var prev Head
	for i := range entries {
		e := &entries[i]
		switch {
		case e.Seq != prev.Seq+1:
			return bad(prev.Seq+1, "entry %d is missing", prev.Seq+1)
		case e.Prev != prev.Hash:
			return bad(e.Seq, "entry %d does not continue the one before it", e.Seq)
		case e.sum() != e.Hash:
			return bad(e.Seq, "entry %d was changed", e.Seq)
		case i > 0 && e.Session != entries[0].Session:
			return bad(e.Seq, "entry %d belongs to another session", e.Seq)
		}
		sides := 0
		for _, s := range e.Signatures {
			want := keys.Console
			if s.Side == Host {
				want = keys.Host
			}
			if want.IsZero() || s.Key != want || len(s.Sig) != ed25519.SignatureSize ||
				!ed25519.Verify(want[:], signed(e.Hash), s.Sig) {
				return bad(e.Seq, "a signature of entry %d does not match", e.Seq)
			}
			if s.Side == Console {
				v.Signed++
			}
			sides++
		}
		if sides == 2 {
			v.Both++
		}
		prev = e.Head()
	}
	if head != (Head{}) && head != prev {
		return bad(prev.Seq+1, "the record ends at entry %d but should end at %d", prev.Seq, head.Seq)
	}
	if v.Signed != len(entries) {
		return bad(0, "%d of %d entries are not signed", len(entries)-v.Signed, len(entries))
	}
	v.OK = true
	return v
}
