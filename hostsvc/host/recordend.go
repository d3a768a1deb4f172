package host

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/pairing"
	"daypass/backend/seal"
	"daypass/hostsvc/removal"
)

// maxTrail is how much of what the console did not take goes with the last word,
// in bytes before sealing. A signed fact holds at most grant.MaxSigned.
const maxTrail = 5 << 10

// trail seals what the record does not hold yet to the console's key, the oldest
// first, as much as fits; nil if there is nothing.
func (r *record) trail(to pairing.PublicX) []byte {
	out := []grant.Signed{}
	size := 2
	for _, f := range r.pending() {
		b, err := json.Marshal(f)
		if err != nil || size+len(b)+1 > maxTrail {
			break // the last word counts what is missing
		}
		size += len(b) + 1
		out = append(out, f)
	}
	if len(out) == 0 {
		return nil
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil
	}
	sealed, err := seal.Seal(to, grant.ContextTrail, r.session[:], b)
	if err != nil {
		return nil
	}
	return sealed
}

func endedFact(by grant.EndedBy) journal.Fact {
	f := journal.Fact{Actor: actorHost, Kind: "ended", Text: "Session ended.", Details: journal.Details{By: string(by)}.JSON()}
	switch by {
	case grant.ByCustomer:
		f.Actor, f.Text = actorCustomer, "Session ended by the customer."
	case grant.ByExpiry:
		f.Text = "Session ended: its 24 hours are over."
	case grant.ByServer:
		f.Text = "Session ended: the server does not know it any more."
	}
	return f
}

func removedFact(rep removal.Report) journal.Fact {
	clean := rep.Clean
	f := journal.Fact{
		Actor: actorHost, Kind: "removed", Text: "The host removed itself; nothing is left on the computer.",
		Details: journal.Details{Clean: &clean, Lines: cutLines(rep.Left)}.JSON(),
	}
	if !clean {
		f.Text = "The host could not remove everything."
	}
	return f
}

// sayEnded says for the record that the session ended here.
func (s *session) sayEnded(by grant.EndedBy) { s.sayFact(endedFact(by)) }

// lastSaid says for the record what became of the removal, lets the console take
// it, and puts the end of the copy into the last word.
func (s *session) lastSaid(rep removal.Report, gone *grant.Removed) {
	s.sayFact(removedFact(rep))
	s.settleRecord()
	gone.Record, gone.Trail = s.rec.end(), s.rec.trail(s.st.pin.PeerX)
}

// lastSaid is the same where no console is there.
func (n *note) lastSaid(rep removal.Report, gone *grant.Removed) {
	if n.rec == nil {
		return
	}
	// A disk that does not take it keeps nothing from being signed.
	_, _ = n.rec.say(removedFact(rep))
	gone.Record = n.rec.end()
	if len(n.PeerX) == len(pairing.PublicX{}) {
		gone.Trail = n.rec.trail(pairing.PublicX(n.PeerX))
	}
}

// keepRecord makes rec the record that goes with the last word and the receipt.
func (n *note) keepRecord(rec *record, console pairing.PublicX) {
	n.rec, n.PeerX = rec, console[:]
}

// findRecord opens the copy of a session whose removal was interrupted.
func (n *note) findRecord() {
	path := filepath.Join(n.journal.Dir(), recordName)
	if _, err := os.Lstat(path); err != nil {
		return
	}
	if rec, err := openRecord(path, n.Body.Session, n.dev.Ed, n.Body.ConsoleKey, grant.All); err == nil {
		n.rec = rec
	}
}

// MaxRecordCopy bounds the file of a RecordCopy, in bytes.
const MaxRecordCopy = 64 << 20

// RecordCopy is the customer's copy of the record, as it is saved with the
// receipt: each entry with the signatures of both sides, and what this computer
// said for it that the technician's program did not take any more.
type RecordCopy struct {
	Record     []journal.Entry `json:"record"`
	Said       []grant.Signed  `json:"said"`
	HostKey    grant.Key       `json:"host_key"`
	ConsoleKey grant.Key       `json:"console_key"` // of the console that began it
}

// ParseRecordCopy reads such a file strictly. It checks no signature: see
// journal.Check.
func ParseRecordCopy(b []byte) (RecordCopy, error) {
	var c RecordCopy
	if len(b) > MaxRecordCopy {
		return c, errors.New("host: the copy of the record is too large")
	}
	if err := grant.Strict(b, &c); err != nil {
		return RecordCopy{}, err
	}
	if len(c.Record) > journal.MaxEntries || len(c.Said) > maxFacts {
		return RecordCopy{}, errors.New("host: the copy of the record has too many entries")
	}
	return c, nil
}

// copyJSON is the copy as the customer gets it.
func (r *record) copyJSON() ([]byte, error) {
	f := RecordCopy{Record: r.from(1), Said: r.pending(), HostKey: r.host}
	if len(f.Record) == 0 && len(f.Said) == 0 {
		return nil, nil
	}
	if len(f.Record) > 0 {
		if s := f.Record[0].SignatureOf(journal.Console); s != nil {
			f.ConsoleKey = s.Key
		}
	}
	return json.Marshal(f) // not indented: details are part of the hash as they are
}

// lastRecord reads the copy of a session that is about to be removed by a later
// start, and says its end if nobody else did. nil: there is none, or it cannot be
// read.
func (s *state) lastRecord(by grant.EndedBy, own bool) *record {
	path := s.path(recordName)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	rec, err := openRecord(path, s.Session, s.dev.Ed, s.pin.PeerEd, s.Rights)
	if err != nil {
		return nil
	}
	if own && !rec.said("ended") {
		if _, err := rec.say(endedFact(by)); err != nil {
			return nil
		}
	}
	return rec
}

// said reports whether this computer said something of this kind.
func (r *record) said(kind string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.facts {
		if f, err := journal.OpenFact(r.host, r.session, s); err == nil && f.Kind == kind {
			return true
		}
	}
	return false
}
