// Package receipt is the customer's copy of a session: what it says, how it is
// stored as JSON, and how anybody checks it later without asking a server. The
// host writes and signs it, the technician's console signs the same bytes. It
// must not know how a session is carried, removed or shown.
package receipt

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

// MaxFile bounds a receipt file, in bytes.
const MaxFile = 1 << 20

const (
	maxLines = 2000 // of what was done
	maxItems = 4096 // of the removal
)

// Body is what the receipt says. Its JSON is what is signed.
type Body struct {
	Session    grant.ID      `json:"session"`
	Company    string        `json:"company"`
	Technician string        `json:"technician"`
	Computer   string        `json:"computer"`
	Server     string        `json:"server"`
	Activated  time.Time     `json:"activated"`
	Ended      time.Time     `json:"ended"`
	EndedBy    grant.EndedBy `json:"ended_by"`
	Rights     []string      `json:"rights"`  // offered at activation, in the customer's language
	Allowed    []string      `json:"allowed"` // of those, what was allowed at the end
	Done       []Line        `json:"done"`    // what was done, rights given and taken back among it
	Removal    Removal       `json:"removal"`
	HostKey    grant.Key     `json:"host_key"`
	ConsoleKey grant.Key     `json:"console_key"`
	ServerKey  grant.Key     `json:"server_key"`
	Facts      Facts         `json:"signed"`
}

// Line is one thing that was done.
type Line struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// Removal is what was put on the computer, what is gone and what is not.
type Removal struct {
	Clean   bool     `json:"clean"`
	Removed []string `json:"removed"`
	Left    []string `json:"left"`
	Last    []string `json:"last"`   // goes when the server has been told
	Report  []string `json:"report"` // the signed lines, the comparison of before and after among them
}

// Facts are the signed facts of the session.
type Facts struct {
	Grant   *grant.Signed `json:"grant"`   // by the server
	Ended   *grant.Signed `json:"ended"`   // by whoever ended it
	Removed grant.Signed  `json:"removed"` // by the customer's computer
}

// File is a receipt with its signatures. Receipt holds the exact bytes of the
// Body that were signed.
type File struct {
	Receipt json.RawMessage `json:"receipt"`
	Seal    grant.Signed    `json:"seal"`              // by the customer's computer
	Console *grant.Signed   `json:"console,omitempty"` // the same, by the technician's console
}

// Marshal returns body's exact bytes and their hash.
func Marshal(body Body) (raw []byte, sum [32]byte, err error) {
	raw, err = json.Marshal(body)
	if err != nil {
		return nil, sum, fmt.Errorf("receipt: %w", err)
	}
	return raw, sha256.Sum256(raw), nil
}

// Parse reads a receipt file strictly. What no host would have written is a
// fault of kind Invalid. It checks no signature: see Verify.
func Parse(b []byte) (File, Body, error) {
	bad := func(err error) (File, Body, error) {
		return File{}, Body{}, fault.Wrap(err, fault.Invalid, "receipt.parse", "This is not a receipt of Daypass, or it was changed.", "Choose the file that ends in .json and was saved together with the page.")
	}
	if len(b) > MaxFile {
		return bad(errors.New("too large"))
	}
	var f File
	if err := grant.Strict(b, &f); err != nil {
		return bad(err)
	}
	var body Body
	if err := grant.Strict(f.Receipt, &body); err != nil {
		return bad(err)
	}
	if len(body.Done) > maxLines || len(body.Removal.Removed)+len(body.Removal.Left)+len(body.Removal.Last)+len(body.Removal.Report) > maxItems {
		return bad(errors.New("too many lines"))
	}
	return f, body, nil
}

// Check is one thing that Verify looked at.
type Check struct {
	Name   Name   `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // why not, in English; "" when OK
}

// Name names a check. Values are shown by others in words of theirs.
type Name string

// The checks.
const (
	Computer   Name = "computer"   // the customer's computer signed exactly this receipt
	Technician Name = "technician" // the technician's console signed the same
	Server     Name = "server"     // the server's grant names this session, company, technician and both keys
	End        Name = "end"        // the end is signed by one who may
	Gone       Name = "gone"       // the removal is signed and its list is the signed one
)

// Words says in English what a check that holds means.
func (n Name) Words() string {
	return map[Name]string{
		Computer:   "The customer's computer signed exactly this receipt",
		Technician: "The technician's program signed the same receipt",
		Server:     "The server vouches for company, technician and both programs",
		End:        "The end of the session is signed by one who may end it",
		Gone:       "The removal is signed, and the list is the signed one",
	}[n]
}

// Verdict is what came of a verification.
type Verdict struct {
	// Genuine: nothing that is signed was changed. A receipt without the
	// technician's signature can be genuine: the console was not there.
	Genuine bool
	Both    bool // both sides signed it
	Checks  []Check
}

// Verify checks every signature of a receipt and whether the signed facts say
// what the text says. It trusts the keys that the receipt itself names: compare
// Body.ServerKey, or HostKey with your own record of the session, to know that
// it is the receipt of yours.
func Verify(f File, body Body) Verdict {
	v := Verdict{Genuine: true}
	add := func(n Name, err error) {
		c := Check{Name: n, OK: err == nil}
		if err != nil {
			c.Detail = err.Error()
		}
		v.Checks = append(v.Checks, c)
		if err != nil && (n != Technician || f.Console != nil) {
			v.Genuine = false
		}
	}
	add(Computer, sealed(body.HostKey, f.Seal, f.Receipt, body.Session))
	if f.Console == nil {
		add(Technician, errors.New("the technician's program was not there to sign"))
	} else {
		err := sealed(body.ConsoleKey, *f.Console, f.Receipt, body.Session)
		v.Both = err == nil
		add(Technician, err)
	}
	add(Server, granted(body))
	add(End, ended(body))
	add(Gone, removed(body))
	return v
}

func sealed(key grant.Key, s grant.Signed, raw []byte, id grant.ID) error {
	var r grant.Receipt
	if err := grant.Open(key, grant.ContextReceipt, s, &r); err != nil {
		return err
	}
	if sum := sha256.Sum256(raw); !bytes.Equal(sum[:], r.SHA256) {
		return errors.New("the text is not the signed one")
	}
	if r.Session != id {
		return errors.New("signed for another session")
	}
	return nil
}

func granted(b Body) error {
	if b.Facts.Grant == nil {
		return errors.New("no grant")
	}
	var g grant.Grant
	if err := grant.Open(b.ServerKey, grant.ContextGrant, *b.Facts.Grant, &g); err != nil {
		return err
	}
	if g.Session != b.Session || g.HostKey != b.HostKey || g.Company != b.Company || g.Technician != b.Technician {
		return errors.New("the grant is for something else")
	}
	// A console that came later by the customer's fresh code has another key than
	// the first: then its own grant is the one that is kept.
	if g.TechnicianKey != b.ConsoleKey {
		return errors.New("the grant is for another technician's program")
	}
	return nil
}

func ended(b Body) error {
	if b.Facts.Ended == nil {
		return errors.New("no signed end")
	}
	for _, k := range []grant.Key{b.HostKey, b.ConsoleKey, b.ServerKey} {
		var e grant.Ended
		if grant.Open(k, grant.ContextEnded, *b.Facts.Ended, &e) == nil && e.Session == b.Session && e.By == b.EndedBy {
			return nil
		}
	}
	return grant.ErrSignature
}

func removed(b Body) error {
	var r grant.Removed
	if err := grant.Open(b.HostKey, grant.ContextRemoved, b.Facts.Removed, &r); err != nil {
		return err
	}
	if sum := grant.HashReport(b.Removal.Report); !bytes.Equal(sum[:], r.Report) || r.Session != b.Session || r.Clean != b.Removal.Clean {
		return errors.New("the list is not the signed one")
	}
	return nil
}
