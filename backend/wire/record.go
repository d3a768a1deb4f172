package wire

import (
	"crypto/ed25519"
	"fmt"

	"daypass/backend/grant"
	"daypass/backend/journal"
)

// MaxRecord is how many entries or signatures one message carries.
const MaxRecord = 64

// Record carries entries of the session's record, in order. From the console:
// new ones, each with its signature. From the host: those that were asked for,
// with the signatures of both.
type Record struct {
	Entries []journal.Entry `json:"entries"` // 1..MaxRecord
}

// RecordHave says how far the host's copy of the record goes. Signatures are the
// host's over the entries from From on, which it took last; an empty one says
// that it refuses to sign that entry.
type RecordHave struct {
	Head       journal.Head `json:"head"`
	From       uint64       `json:"from,omitempty"`
	Signatures [][]byte     `json:"signatures,omitempty"` // at most MaxRecord
}

// RecordFact is something that the host says for the record: a journal.Fact. The
// console puts it into the record word for word.
type RecordFact struct {
	Fact grant.Signed `json:"fact"`
}

// RecordAsk asks for the host's copy from the entry From on; Record answers,
// with as many as fit, or RecordHave and every RecordFact that the record does not
// hold, where there are none.
type RecordAsk struct {
	From uint64 `json:"from"` // from 1
}

func (*Record) kind() Kind     { return KindRecord }
func (*RecordHave) kind() Kind { return KindRecordHave }
func (*RecordFact) kind() Kind { return KindRecordFact }
func (*RecordAsk) kind() Kind  { return KindRecordAsk }

func (m *Record) check() error {
	if len(m.Entries) == 0 || len(m.Entries) > MaxRecord {
		return fmt.Errorf("%d entries", len(m.Entries))
	}
	for i := range m.Entries {
		if err := m.Entries[i].Check(); err != nil {
			return err
		}
		if i > 0 && m.Entries[i].Seq != m.Entries[i-1].Seq+1 {
			return fmt.Errorf("entry %d after %d", m.Entries[i].Seq, m.Entries[i-1].Seq)
		}
	}
	return nil
}

func (m *RecordHave) check() error {
	if len(m.Signatures) > MaxRecord || m.Head.Seq > journal.MaxEntries || len(m.Signatures) > 0 && (m.From == 0 || m.From > m.Head.Seq) {
		return fmt.Errorf("%d signatures from %d", len(m.Signatures), m.From)
	}
	for _, s := range m.Signatures {
		if len(s) != 0 && len(s) != ed25519.SignatureSize {
			return fmt.Errorf("signature of %d bytes", len(s))
		}
	}
	return nil
}

func (m *RecordFact) check() error { return signed(m.Fact) }

func (m *RecordAsk) check() error {
	if m.From == 0 || m.From > journal.MaxEntries+1 {
		return fmt.Errorf("entries from %d", m.From)
	}
	return nil
}

// Pack returns as many of entries, from the first on, as one Record carries;
// at least one unless there are none.
func Pack(entries []journal.Entry) *Record {
	size, n := 0, 0
	for ; n < len(entries) && n < MaxRecord; n++ {
		e := &entries[n]
		s := 1024 + escaped(e.Text) + len(e.Details)
		if e.Fact != nil {
			s += 3 * len(e.Fact.Body) / 2
		}
		if size += s; n > 0 && size > MaxControl-2048 {
			break
		}
	}
	return &Record{Entries: entries[:n]}
}

// escaped is the most that s takes in JSON.
func escaped(s string) int {
	n := len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 || c == 0x7f:
			n += 5
		case c == '"' || c == '\\' || c == 0xe2: // U+2028 and U+2029 are escaped, too
			n += 4
		}
	}
	return n
}
