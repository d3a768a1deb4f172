package journal

import (
	"fmt"

	"daypass/backend/grant"
)

// Keys are the public keys that may sign a session's record. Console is the key
// of the console that began it. A zero Host key means that no host was pinned
// yet, so that no host signature is accepted.
type Keys struct{ Console, Host grant.Key }

// Kind of a verdict.
type Kind string

// The verdicts.
const (
	// Complete: every entry is there and signed by both sides.
	Complete Kind = "complete"
	// Alone: every entry is there and signed by the console; no host was part of
	// it, or it was written before hosts signed.
	Alone Kind = "alone"
	// Waiting: the same, and the host has not signed Verdict.Waiting entries yet.
	Waiting Kind = "waiting"
	// Contradicted: the host refused to sign entries (Verdict.Objections).
	Contradicted Kind = "contradicted"
	// HostKnowsMore: the host's own count says that something is missing here.
	HostKnowsMore Kind = "host_knows_more"
	// Tampered: the entries are not what was written (Verdict.Bad).
	Tampered Kind = "tampered"
	// Unattested: the record is whole, and what is said beside it (customer, times,
	// state) was signed by none of its consoles. Check never says so.
	Unattested Kind = "unattested"
	// Deleted: the record is not kept any more, by the company's rule. Check never
	// says so.
	Deleted Kind = "deleted"
)

// Objection is an entry that the host contradicts.
type Objection struct {
	Seq    uint64
	Reason string
}

// Verdict is what checking a record found.
type Verdict struct {
	Kind       Kind
	OK         bool // Complete, Alone or Waiting
	Entries    int
	Signed     int    // entries that the console signed
	Both       int    // entries that both sides signed
	Waiting    int    // entries that the host has not signed yet
	Bad        uint64 // sequence number of the first entry that fails, 0 if none
	Missing    int    // HostKnowsMore: how much the host counted beyond what is here
	Objections []Objection
	Trailing   int    // entries written after the host's last word: it had gone and could not sign them
	Closed     bool   // the host's last word about its copy was compared
	Reason     string // why, in words; empty if OK
}

// Writers returns the consoles that may have signed entries: the one that began
// the record, and those that the host itself says it went on at. Only the host's
// own signature is asked for, not whether the record is whole.
func Writers(entries []Entry, keys Keys) map[grant.Key]bool {
	out := map[grant.Key]bool{}
	if !keys.Console.IsZero() {
		out[keys.Console] = true
	}
	for i := range entries {
		e := &entries[i]
		if e.Kind != KindMovedHere || keys.Host.IsZero() {
			continue
		}
		if _, ok := e.Repeats(keys.Host); ok {
			if k := e.Detail().ConsoleKey; k != nil {
				out[*k] = true
			}
		}
	}
	return out
}

// Chain is a record and what is known from elsewhere about it.
type Chain struct {
	Entries []Entry
	Keys    Keys
	Head    Head              // where it is known to end; zero: not compared
	Host    *grant.RecordHead // the host's signed last word about its copy; nil: none yet
}

// Verify is Check without the host's last word.
func Verify(entries []Entry, keys Keys, head Head) Verdict {
	return Check(Chain{Entries: entries, Keys: keys, Head: head})
}

// Check checks that the entries are one unbroken chain from the beginning, that
// the console signed each and the host each that it does not contradict, that
// none of the host's facts is missing, and that it is what the host has.
func Check(c Chain) Verdict {
	v := Verdict{Entries: len(c.Entries)}
	bad := func(seq uint64, format string, a ...any) Verdict {
		v.Kind, v.Bad, v.Reason = Tampered, seq, fmt.Sprintf(format, a...)
		return v
	}
	var prev Head
	var facts uint64
	console := c.Keys.Console
	refused := map[Head]string{}
	unsigned := []Head{}
	old := 0
	for i := range c.Entries {
		e := &c.Entries[i]
		switch err := e.Check(); {
		case e.Seq != prev.Seq+1:
			return bad(prev.Seq+1, "entry %d is missing", prev.Seq+1)
		case e.Prev != prev.Hash:
			return bad(e.Seq, "entry %d does not continue the one before it", e.Seq)
		case err != nil:
			return bad(e.Seq, "entry %d was changed", e.Seq)
		case i > 0 && e.Session != c.Entries[0].Session:
			return bad(e.Seq, "entry %d belongs to another session", e.Seq)
		}
		if e.Fact != nil {
			f, err := OpenFact(c.Keys.Host, e.Session, *e.Fact)
			switch {
			case c.Keys.Host.IsZero() || err != nil || !e.repeats(f):
				return bad(e.Seq, "entry %d says what the customer's computer did not sign", e.Seq)
			case f.N != facts+1:
				return bad(e.Seq, "before entry %d something that the customer's computer said is missing", e.Seq)
			}
			facts = f.N
			d := e.Detail()
			if e.Kind == KindMovedHere && d.ConsoleKey != nil {
				console = *d.ConsoleKey
			}
			if e.Kind == KindObjection && d.OfHash != nil {
				refused[Head{d.Of, *d.OfHash}] = d.Error
			}
		}
		for _, s := range e.Signatures {
			want := console
			if s.Side == Host {
				want = c.Keys.Host
			}
			if s.Side != Host && s.Side != Console || !e.SignedAs(s.Side, want) {
				return bad(e.Seq, "a signature of entry %d does not match", e.Seq)
			}
		}
		if e.SignatureOf(Console) != nil {
			v.Signed++
		}
		switch {
		case e.SignatureOf(Console) != nil && e.SignatureOf(Host) != nil:
			v.Both++
		case e.V == 1:
			old++
		case e.SignatureOf(Host) == nil:
			unsigned = append(unsigned, e.Head())
		}
		prev = e.Head()
	}
	if c.Head != (Head{}) && c.Head != prev {
		return bad(prev.Seq+1, "the record ends at entry %d but should end at %d", prev.Seq, c.Head.Seq)
	}
	if v.Signed != len(c.Entries) {
		return bad(0, "%d of %d entries are not signed", len(c.Entries)-v.Signed, len(c.Entries))
	}
	for _, h := range unsigned {
		why, no := refused[h]
		switch {
		case no:
			v.Objections = append(v.Objections, Objection{h.Seq, why})
		case c.Host != nil && h.Seq > c.Host.Seq:
			v.Trailing++
		case c.Host != nil:
			v.Both++ // the host's last word is signed and names the end of what it holds
		default:
			v.Waiting++
		}
	}
	if c.Host != nil {
		v.Closed = true
		if k, done := v.against(c, facts); done {
			return k
		}
	}
	switch {
	case len(v.Objections) > 0:
		v.Kind, v.Reason = Contradicted, fmt.Sprintf("the customer's computer contradicts entry %d: %s", v.Objections[0].Seq, v.Objections[0].Reason)
		return v
	case c.Keys.Host.IsZero() || v.Both == 0 && old > 0 && old == len(c.Entries):
		v.Kind, v.Waiting = Alone, 0
	case v.Waiting > 0:
		v.Kind = Waiting
	case old > 0:
		v.Kind = Alone
	default:
		v.Kind = Complete
	}
	v.OK = true
	return v
}

// against compares the record with the host's last word about its copy.
func (v Verdict) against(c Chain, facts uint64) (Verdict, bool) {
	h := c.Host
	more := func(n uint64, format string, a ...any) (Verdict, bool) {
		v.Kind, v.Missing, v.Reason = HostKnowsMore, int(min(n, 1<<20)), fmt.Sprintf(format, a...)
		return v, true
	}
	last := uint64(len(c.Entries))
	switch {
	case h.Seq > last:
		return more(h.Seq-last, "the customer's computer has %d entries, here are %d", h.Seq, last)
	case h.Seq > 0 && [32]byte(c.Entries[h.Seq-1].Hash) != toHash(h.Hash):
		v.Kind, v.Bad, v.Reason = Tampered, h.Seq, fmt.Sprintf("entry %d is another one in the copy of the customer's computer", h.Seq)
		return v, true
	case h.Facts > facts:
		return more(h.Facts-facts, "the customer's computer said %d things that are not in this record", h.Facts-facts)
	}
	return v, false
}

func toHash(b []byte) (h [32]byte) { copy(h[:], b); return h }

// repeats reports whether the entry says what the fact says, word for word.
func (e *Entry) repeats(f Fact) bool {
	return e.Session == f.Session && e.At.Equal(f.At) && e.Actor == f.Actor && e.Kind == f.Kind && e.Text == f.Text && string(e.Details) == string(f.Details)
}

// Repeats opens the entry's fact with the host's key and reports whether the
// entry says the same; n is the fact's number. An entry without a fact does not.
func (e *Entry) Repeats(host grant.Key) (n uint64, ok bool) {
	if e.Fact == nil {
		return 0, false
	}
	f, err := OpenFact(host, e.Session, *e.Fact)
	return f.N, err == nil && e.repeats(f)
}
