// Package grant holds the signed facts of a session that console, host and
// server share: who may do what on which session until when, that both ends
// activated it, that it ended and that the host is gone. It is a leaf: it must
// not know how a session is paired, carried or stored, so that the server can
// import it without being able to read a session.
//
// Every fact is signed as Ed25519 over a context string, a zero byte and the
// exact bytes that travel (RFC 8032; contexts prevent a signature made for one
// purpose from being used for another). Verification happens before parsing.
package grant

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Limit is how long an activated session lasts, on every clock that is
// believed. Nobody can extend it.
const Limit = 24 * time.Hour

// MaxSigned bounds a signed fact on the wire, in bytes, body and signature.
const MaxSigned = 8 << 10

// Crockford is the base32 alphabet of links, codes and file names: no I, L, O,
// U, case-insensitive on input.
var Crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// DecodeCrockford decodes s whatever its case, reading I and L as 1 and O as 0
// and ignoring hyphens. It refuses other characters and non-canonical ends, so
// that one value has one canonical form.
func DecodeCrockford(s string) ([]byte, error) {
	s = strings.NewReplacer("I", "1", "L", "1", "O", "0", "-", "").Replace(strings.ToUpper(s))
	b, err := Crockford.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("grant: not base32: %w", err)
	}
	if Crockford.EncodeToString(b) != s {
		return nil, errors.New("grant: base32 with a non-canonical end")
	}
	return b, nil
}

// ID is a session's address, 128 random bits made by the server. It is not a
// secret.
type ID [16]byte

// NewID returns a random ID.
func NewID() ID {
	var id ID
	rand.Read(id[:]) // never fails (crypto/rand, Go 1.24)
	return id
}

// ParseID reads the 26 characters that String writes.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 26 {
		return id, errors.New("grant: a session ID has 26 characters")
	}
	b, err := DecodeCrockford(s)
	if err != nil {
		return id, err
	}
	copy(id[:], b)
	return id, nil
}

// String returns the ID as 26 characters of Crockford base32.
func (id ID) String() string { return Crockford.EncodeToString(id[:]) }

// MarshalText and UnmarshalText use the 26-character form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the 26-character form.
func (id *ID) UnmarshalText(b []byte) (err error) { *id, err = ParseID(string(b)); return err }

// Key is an Ed25519 public key, 32 bytes, base64 in JSON.
type Key [ed25519.PublicKeySize]byte

// KeyOf returns the public half of k.
func KeyOf(k ed25519.PrivateKey) Key { return Key(k.Public().(ed25519.PublicKey)) }

// IsZero reports whether no key is set.
func (k Key) IsZero() bool { return k == Key{} }

// MarshalText writes the key as Crockford base32.
func (k Key) MarshalText() ([]byte, error) { return []byte(Crockford.EncodeToString(k[:])), nil }

// UnmarshalText reads what MarshalText writes.
func (k *Key) UnmarshalText(b []byte) error {
	d, err := DecodeCrockford(string(b))
	if err != nil {
		return err
	}
	if len(d) != len(k) {
		return errors.New("grant: a key has 32 bytes")
	}
	copy(k[:], d)
	return nil
}

// Rights is the set of things a technician may do. Unknown bits are refused.
type Rights uint32

// The rights. A right that a version does not implement is not offered by it.
const (
	View      Rights = 1 << iota // see the screen
	Control                      // mouse and keyboard
	Clipboard                    // text clipboard, each way by explicit choice
	Files                        // file manager
	Dashboard                    // system information and repair tools
	Terminal                     // command line

	All = View | Control | Clipboard | Files | Dashboard | Terminal
)

// Has reports whether every right in want is in r.
func (r Rights) Has(want Rights) bool { return r&want == want }

// Offer is what the server signs for a session before activation: who invites
// and what may at most be granted. The console carries it to the host inside
// the activation, so that the host can show a company name that the server
// vouches for.
type Offer struct {
	Session       ID        `json:"session"`
	Company       string    `json:"company"`        // display name, ≤ 120 bytes
	Technician    string    `json:"technician"`     // display name, ≤ 120 bytes
	TechnicianKey Key       `json:"technician_key"` // console's Ed25519 key
	Rights        Rights    `json:"rights"`         // entitlements: the most that can be granted
	Issued        time.Time `json:"issued"`
	Expires       time.Time `json:"expires"` // end of the invitation
}

// Grant is what the server signs once both sides have signed Activated.
type Grant struct {
	Session       ID        `json:"session"`
	Company       string    `json:"company"`
	Technician    string    `json:"technician"`
	TechnicianKey Key       `json:"technician_key"`
	HostKey       Key       `json:"host_key"`
	Rights        Rights    `json:"rights"`
	Issued        time.Time `json:"issued"`
	Expires       time.Time `json:"expires"` // Issued + Limit at most
}

// Activated is signed by the console and by the host, each over the same
// fields, when pairing has succeeded.
type Activated struct {
	Session       ID     `json:"session"`
	TechnicianKey Key    `json:"technician_key"`
	HostKey       Key    `json:"host_key"`
	Transcript    []byte `json:"transcript"` // 32-byte hash of the activation's transcript; equal on both sides
}

// Ended is signed by whoever ends a session: technician, lead, customer (the
// host), or the host at expiry.
type Ended struct {
	Session ID        `json:"session"`
	By      EndedBy   `json:"by"`
	At      time.Time `json:"at"`
}

// HashReport is what Removed.Report holds: SHA-256 over the report's lines, each
// ended by a newline.
func HashReport(lines []string) [32]byte {
	return sha256.Sum256([]byte(strings.Join(lines, "\n") + "\n"))
}

// EndedBy names who or what ended a session.
type EndedBy string

// Who ends a session.
const (
	ByTechnician EndedBy = "technician"
	ByLead       EndedBy = "lead"
	ByCustomer   EndedBy = "customer"
	ByExpiry     EndedBy = "expiry"
	ByLapse      EndedBy = "lapse" // invitation never activated within its time
	ByLock       EndedBy = "lock"  // too many wrong codes
	ByCancel     EndedBy = "cancel"
	ByServer     EndedBy = "server" // the server does not know the session any more
)

// Removed is signed by the host as its last act: everything it put on the
// computer is gone, or what could not be removed.
type Removed struct {
	Session ID        `json:"session"`
	At      time.Time `json:"at"`
	Clean   bool      `json:"clean"`  // nothing is left
	Report  []byte    `json:"report"` // 32-byte SHA-256 of the removal report
	// Record is the end of the host's copy of the session's record; nil where a
	// host could not read it any more.
	Record *RecordHead `json:"record,omitempty"`
	// Trail is what the host said for the record and the console did not take
	// before the host went: facts, sealed to the console's key (backend/seal,
	// ContextTrail, bound to the session), because the server passes this on.
	Trail []byte `json:"trail,omitempty"`
}

// RecordHead is what the host says of its copy of the session's record
// (backend/journal): the last entry it holds, and how many facts it said for
// the record.
type RecordHead struct {
	Seq   uint64 `json:"seq"`
	Hash  []byte `json:"hash"` // of that entry, 32 bytes; empty with Seq 0
	Facts uint64 `json:"facts"`
}

// Receipt is signed by the host over the receipt that it gives the customer,
// and by the console as a witness: that this is the receipt of this session, as
// this host made it, and was made when the session ended.
type Receipt struct {
	Session ID     `json:"session"`
	SHA256  []byte `json:"sha256"` // of the receipt's JSON, 32 bytes
}

// Contexts of the signatures. They are part of the protocol.
const (
	ContextOffer     = "daypass offer v1"
	ContextGrant     = "daypass grant v1"
	ContextActivated = "daypass activated v1"
	ContextEnded     = "daypass ended v1"
	ContextRemoved   = "daypass removed v1"
	ContextRequest   = "daypass api request v1"  // proof of possession on API requests
	ContextTrail     = "daypass record trail v1" // sealed, not signed: Removed.Trail
	ContextReceipt   = "daypass receipt v1"      // customer's receipt, signed by host and console
)

// Signed is a fact and its signature: the exact bytes that were signed, so
// that no re-encoding can break or forge it.
type Signed struct {
	Body []byte `json:"body"` // JSON of the fact
	Sig  []byte `json:"sig"`  // 64 bytes
}

// Sign encodes fact and signs it under context.
func Sign(key ed25519.PrivateKey, context string, fact any) (Signed, error) {
	body, err := json.Marshal(fact)
	if err != nil {
		return Signed{}, fmt.Errorf("grant: encode: %w", err)
	}
	if len(body)+ed25519.SignatureSize > MaxSigned {
		return Signed{}, errors.New("grant: fact too large")
	}
	return Signed{Body: body, Sig: ed25519.Sign(key, message(context, body))}, nil
}

// ErrSignature says that a signature does not match.
var ErrSignature = errors.New("grant: signature does not match")

// Open verifies s under context with key and then decodes it strictly into
// fact (a pointer): unknown fields, trailing data and duplicate objects fail.
func Open(key Key, context string, s Signed, fact any) error {
	if len(s.Body) > MaxSigned || len(s.Sig) != ed25519.SignatureSize {
		return ErrSignature
	}
	if !ed25519.Verify(key[:], message(context, s.Body), s.Sig) {
		return ErrSignature
	}
	return Strict(s.Body, fact)
}

// Strict decodes exactly one JSON value from b into v and refuses unknown
// fields and anything behind it.
func Strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("grant: decode: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("grant: decode: data behind the value")
	}
	return nil
}

func message(context string, body []byte) []byte {
	m := make([]byte, 0, len(context)+1+len(body))
	m = append(m, context...)
	m = append(m, 0)
	return append(m, body...)
}
