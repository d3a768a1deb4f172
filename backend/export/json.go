package export

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/session"
)

// Version is of the JSON that is written. docs/export.md describes it; fields are
// only ever added within a version.
const Version = 1

// Document is one session as JSON.
type Document struct {
	ID         grant.ID         `json:"id"`
	State      session.State    `json:"state"`
	Technician string           `json:"technician"`
	Customer   session.Customer `json:"customer"`
	Computer   *session.Host    `json:"computer"` // null: no computer was ever connected
	Rights     []string         `json:"rights"`
	Created    time.Time        `json:"created"`
	Activated  *time.Time       `json:"activated"`
	Expires    *time.Time       `json:"expires"`
	Ended      *time.Time       `json:"ended"`
	EndedBy    grant.EndedBy    `json:"ended_by"`
	Removal    *Removal         `json:"removal"` // null: the computer said nothing
	ConsoleKey grant.Key        `json:"console_key"`
	HostKey    *grant.Key       `json:"host_key"` // null: no computer was pinned
	Head       journal.Head     `json:"head"`
	Entries    []journal.Entry  `json:"entries"`
	Verdict    Verdict          `json:"verdict"`
	Notes      []Note           `json:"notes"`
	Tags       []string         `json:"tags"`
}

// Removal is the host's last word.
type Removal struct {
	Clean  bool          `json:"clean"`
	Lines  []string      `json:"lines"`
	Signed *grant.Signed `json:"signed"` // grant.Removed by the host
}

// Verdict is what Daypass found when it wrote this; whoever reads it checks
// again.
type Verdict struct {
	Kind  journal.Kind `json:"kind"`
	Words string       `json:"words"`
}

func text(h journal.Hash) string { return hex.EncodeToString(h[:]) }

func maybe(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func document(x Item) Document {
	s := x.Session
	d := Document{
		ID: s.ID, State: s.State, Technician: s.Technician, Customer: s.Customer, Rights: session.Names(s.Rights), Created: s.Created.UTC(), Activated: maybe(s.Activated),
		Expires: maybe(s.Expires), Ended: maybe(s.EndedAt), EndedBy: s.EndedBy, ConsoleKey: x.Keys.Console, Head: x.Head, Entries: x.Entries,
		Verdict: Verdict{x.Verdict.Kind, x.Words}, Notes: x.Notes, Tags: x.Tags,
	}
	if s.WasActive {
		d.Computer = s.Host
	}
	if !x.Keys.Host.IsZero() {
		d.HostKey = &x.Keys.Host
	}
	if s.State == session.Removed {
		d.Removal = &Removal{s.Clean, s.Report, s.Receipt}
		if d.Removal.Lines == nil {
			d.Removal.Lines = []string{}
		}
	}
	if d.Entries == nil {
		d.Entries = []journal.Entry{}
	}
	if d.Notes == nil {
		d.Notes = []Note{}
	}
	if d.Tags == nil {
		d.Tags = []string{}
	}
	return d
}

// jsonWriter writes one object with one session a line. It is never indented:
// an entry's hash is over its details exactly as they stand.
type jsonWriter struct {
	w    io.Writer
	o    Options
	some bool
}

func (w *jsonWriter) head() error {
	now, err := json.Marshal(w.o.Now.UTC())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w.w, `{"format":"daypass history","version":%d,"written":%s,"sessions":[`+"\n", Version, now)
	return err
}

// Add writes a session.
func (w *jsonWriter) Add(x Item) error {
	b, err := json.Marshal(document(x))
	if err != nil {
		return err
	}
	if !w.some {
		err = w.head()
	} else {
		_, err = io.WriteString(w.w, ",\n")
	}
	if err != nil {
		return err
	}
	w.some = true
	_, err = w.w.Write(b)
	return err
}

// Close ends the object.
func (w *jsonWriter) Close() error {
	if !w.some {
		if err := w.head(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w.w, "\n]}\n")
	return err
}
