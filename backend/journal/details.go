package journal

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"daypass/backend/grant"
)

// Details are what an entry says besides its words, so that it can be filtered,
// counted and told in another language. Which fields are set depends on the
// kind. Fields are only ever added: an older program ignores those it does not
// know.
type Details struct {
	To         string       `json:"to,omitempty"`          // mailed, mail_failed, corrected: address
	From       string       `json:"from,omitempty"`        // corrected: address before
	Computer   string       `json:"computer,omitempty"`    // answered, chosen, activated
	OS         string       `json:"os,omitempty"`          // the same
	User       string       `json:"user,omitempty"`        // the same
	Rights     []string     `json:"rights,omitempty"`      // activated, rights: what is allowed from now on; none: nothing
	Path       string       `json:"path,omitempty"`        // connected: "direct" or "relay"; file_*: path on the computer
	ViewOnly   bool         `json:"view_only,omitempty"`   // remote_opened, view_only
	Display    string       `json:"display,omitempty"`     // display: its name
	Keys       string       `json:"keys,omitempty"`        // chord: its name
	Bytes      int64        `json:"bytes,omitempty"`       // clipboard_*, file_*: size
	Left       int          `json:"left,omitempty"`        // wrong_code: tries left for the code
	By         string       `json:"by,omitempty"`          // ended, paused: who or what
	Until      *time.Time   `json:"until,omitempty"`       // lease: when the permission ends
	Folder     string       `json:"folder,omitempty"`      // lease: folder that it is bound to
	Name       string       `json:"name,omitempty"`        // file_*, command_*: what it is about
	Count      int          `json:"count,omitempty"`       // file_*: how many
	SHA256     string       `json:"sha256,omitempty"`      // file_*: hexadecimal
	Command    string       `json:"command,omitempty"`     // command_*
	Exit       *int         `json:"exit,omitempty"`        // command_*
	Clean      *bool        `json:"clean,omitempty"`       // removed
	Lines      []string     `json:"lines,omitempty"`       // removed: what was left
	Error      string       `json:"error,omitempty"`       // *_failed, objection: why
	Of         uint64       `json:"of,omitempty"`          // objection: sequence number of the entry that the host contradicts
	OfHash     *Hash        `json:"of_hash,omitempty"`     // objection: its hash
	ConsoleKey *grant.Key   `json:"console_key,omitempty"` // moved_here: the console's key from now on
	What       string       `json:"what,omitempty"`        // activity: which
	Changed    grant.Rights `json:"changed,omitempty"`     // rights, activity: the rights that it is about
	Restart    string       `json:"restart,omitempty"`     // restart_asked: "normal" or "safe"
	Allowed    grant.Rights `json:"allowed,omitempty"`     // activated, rights: the same as Rights, as bits
}

// Kinds that this package gives a meaning to.
const (
	// KindObjection is the host's word that an entry contradicts what it saw.
	KindObjection = "objection"
	// KindMovedHere is the host's word that another console, named by its key,
	// goes on with the record.
	KindMovedHere = "moved_here"
	// The host knows whether these happened.
	KindOpened      = "remote_opened"
	KindClipSent    = "clipboard_sent"
	KindClipFetched = "clipboard_fetched"
)

// JSON returns the details as an entry carries them; nil if there are none.
// Texts that would not fit are shortened, lists first.
func (d Details) JSON() json.RawMessage {
	for i := 0; ; i++ {
		b, err := json.Marshal(d)
		if err != nil || string(b) == "{}" {
			return nil // no field can fail to be written
		}
		if len(b) <= MaxDetails {
			return b
		}
		switch n := MaxDetails / 8; {
		case len(d.Lines) > 0:
			d.Lines = d.Lines[:len(d.Lines)/2]
		case i > 16:
			return nil
		default:
			for _, s := range []*string{&d.To, &d.From, &d.Computer, &d.OS, &d.User, &d.Path, &d.Display, &d.Folder, &d.Name, &d.Command, &d.Error} {
				*s = cut(*s, max(n>>(i/2), 16))
			}
		}
	}
}

// Detail returns the entry's details, the zero value where it has none or they
// cannot be read.
func (e *Entry) Detail() Details {
	var d Details
	if e.Details != nil && json.Unmarshal(e.Details, &d) != nil {
		return Details{}
	}
	return d
}

// Has is what a session's record contains, for filters.
type Has uint8

// The contents.
const (
	HasFiles Has = 1 << iota
	HasCommands
	HasRecording
	HasChat
)

// Contains returns what an entry of this kind is a sign of.
func Contains(kind string) Has {
	switch {
	case strings.HasPrefix(kind, "file_"):
		return HasFiles
	case strings.HasPrefix(kind, "command_"):
		return HasCommands
	case strings.HasPrefix(kind, "recording_"):
		return HasRecording
	case strings.HasPrefix(kind, "chat"):
		return HasChat
	}
	return 0
}

// ContextFact is the context of a fact's signature.
const ContextFact = "daypass journal fact v1"

// Fact is something that the host says for the record. N counts the facts of a
// session from 1, so that none can be left out unnoticed.
type Fact struct {
	Session grant.ID        `json:"session"`
	N       uint64          `json:"n"`
	At      time.Time       `json:"at"` // UTC, microseconds, by the host's clock
	Actor   string          `json:"actor"`
	Kind    string          `json:"kind"`
	Text    string          `json:"text"`
	Details json.RawMessage `json:"details,omitempty"`
}

// NewFact makes a fact within the bounds of an entry.
func NewFact(session grant.ID, n uint64, at time.Time, actor, kind, text string, d Details) Fact {
	return Fact{session, n, at.UTC().Truncate(time.Microsecond), cut(actor, MaxName), cut(kind, MaxName), cut(text, MaxText/2), d.JSON()}
}

// OpenFact checks and reads a fact that key's holder signed for the session.
func OpenFact(key grant.Key, session grant.ID, s grant.Signed) (Fact, error) {
	var f Fact
	if err := grant.Open(key, ContextFact, s, &f); err != nil {
		return f, err
	}
	if f.Session != session || f.N == 0 {
		return f, fmt.Errorf("journal: a fact of another session")
	}
	// What an entry must be, its fact must be, too: the console repeats it.
	e := Head{}.Repeat(f, s)
	if !f.At.Equal(e.At) {
		return f, fmt.Errorf("journal: a fact's time has microseconds")
	}
	return f, e.Check()
}
