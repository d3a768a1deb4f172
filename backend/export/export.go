// Package export writes sessions and their records for people and programs
// elsewhere: CSV for a spreadsheet, JSON with every signature so that others can
// check it (docs/export.md), and a page to print. It is pure: sessions go in one
// after the other and bytes come out. It must not know where sessions are kept
// or files lie.
package export

import (
	"io"
	"strings"
	"time"

	"daypass/backend/journal"
	"daypass/backend/session"
)

// Format is what is written.
type Format string

// The formats.
const (
	CSV  Format = "csv"
	JSON Format = "json"
	HTML Format = "html"
)

// Options say how to write. The zero value is English, UTC, strict.
type Options struct {
	German bool
	Zone   *time.Location // of the times in CSV and HTML; nil: UTC
	// Excel makes CSV open well there: a byte order mark and, in German,
	// semicolons.
	Excel bool
	// Record makes CSV one line an entry of the record instead of one a session.
	Record bool
	Title  string    // of the HTML page: what was asked for, in words
	Now    time.Time // when it was written
}

// Item is a session to write.
type Item struct {
	Session session.Session
	Keys    journal.Keys
	Head    journal.Head
	Entries []journal.Entry
	Verdict journal.Verdict
	Words   string // the verdict, in words
	Notes   []Note
	Tags    []string
}

// Note is what one person wrote beside a session.
type Note struct {
	Author string    `json:"author"`
	At     time.Time `json:"at"`
	Text   string    `json:"text"`
}

// Writer takes sessions. Close ends what was written; it does not close what
// lies below. After an error nothing written is of use.
type Writer interface {
	Add(Item) error
	Close() error
}

// New returns a writer of the format to w, and false if there is none.
func New(f Format, w io.Writer, o Options) (Writer, bool) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	switch f {
	case CSV:
		return newCSV(w, o), true
	case JSON:
		return &jsonWriter{w: w, o: o}, true
	case HTML:
		return &htmlWriter{w: w, o: o}, true
	}
	return nil, false
}

// words are the texts of CSV headers and of the page, English and German.
var words = map[string][2]string{
	"session": {"Session", "Sitzung"}, "created": {"Created", "Angelegt"}, "activated": {"Connected", "Verbunden"}, "ended": {"Ended", "Beendet"},
	"minutes": {"Minutes", "Minuten"}, "state": {"State", "Zustand"}, "endedBy": {"Ended by", "Beendet von"}, "technician": {"Technician", "Techniker"},
	"customer": {"Customer", "Kunde"}, "email": {"E-mail", "E-Mail"}, "subject": {"Case", "Fall"}, "computer": {"Computer", "Computer"}, "os": {"System", "System"},
	"user": {"User", "Benutzer"}, "rights": {"Allowed", "Erlaubt"}, "tags": {"Tags", "Schlagwörter"}, "notes": {"Notes", "Notizen"},
	"entries": {"Entries", "Einträge"}, "verdict": {"Checked", "Geprüft"}, "number": {"No.", "Nr."}, "time": {"Time", "Zeit"}, "actor": {"Who", "Wer"},
	"kind": {"Kind", "Art"}, "text": {"What", "Was"}, "signedBy": {"Signed by", "Unterschrieben von"}, "details": {"Details", "Einzelheiten"},
	"hash": {"SHA-256", "SHA-256"}, "removal": {"Removal", "Entfernung"}, "title": {"History of support sessions", "Verlauf der Hilfesitzungen"},
	"written": {"Written by Daypass on", "Von Daypass geschrieben am"}, "timesIn": {"Times are in", "Zeiten sind in"},
	"wording": {
		"The words of an entry are those that were signed. The export as JSON holds the signatures.",
		"Der Wortlaut der Einträge ist der, der unterschrieben wurde. Der Export als JSON enthält die Unterschriften.",
	},
	"none": {"No session.", "Keine Sitzung."},

	"s:invited": {"Invited", "Eingeladen"}, "s:answered": {"Computer found", "Computer gefunden"}, "s:pairing": {"Waiting for the code", "Wartet auf den Code"},
	"s:active": {"Active", "Aktiv"}, "s:ending": {"Ending", "Wird beendet"}, "s:ended": {"Ended", "Beendet"}, "s:removed": {"Removed", "Entfernt"},
	"s:unconfirmed": {"Removal not confirmed", "Entfernung nicht bestätigt"},

	"b:technician": {"Technician", "Techniker"}, "b:lead": {"Lead", "Lead"}, "b:customer": {"Customer", "Kunde"}, "b:expiry": {"End of the day", "Ablauf des Tages"},
	"b:lapse": {"Invitation lapsed", "Einladung verfallen"}, "b:lock": {"Too many wrong codes", "Zu viele falsche Codes"}, "b:cancel": {"Cancelled", "Zurückgezogen"}, "b:server": {"Server", "Server"},

	"a:technician": {"Technician", "Techniker"}, "a:customer": {"Customer", "Kunde"}, "a:host": {"Customer’s computer", "Computer des Kunden"},
	"a:console": {"Console", "Konsole"}, "a:server": {"Server", "Server"}, "a:lead": {"Lead", "Lead"},

	"v:complete": {"Complete", "Vollständig"}, "v:alone": {"Signed by the console alone", "Nur von der Konsole unterschrieben"},
	"v:waiting": {"Not signed by the computer yet", "Vom Computer noch nicht unterschrieben"}, "v:contradicted": {"Contradicted by the computer", "Vom Computer bestritten"},
	"v:host_knows_more": {"Not complete", "Nicht vollständig"}, "v:tampered": {"Changed", "Verändert"}, "v:deleted": {"Deleted, not kept any more", "Gelöscht, nicht mehr aufbewahrt"},

	"r:view": {"see the screen", "Bildschirm sehen"}, "r:control": {"mouse and keyboard", "Maus und Tastatur"}, "r:clipboard": {"clipboard", "Zwischenablage"},
	"r:files": {"files", "Dateien"}, "r:dashboard": {"repair tools", "Reparaturwerkzeuge"}, "r:terminal": {"command line", "Befehlszeile"},
}

// word is the text for key; one that is not known is its own text.
func (o Options) word(key string) string {
	w, ok := words[key]
	switch {
	case !ok:
		_, plain, _ := strings.Cut(key, ":")
		return plain
	case o.German:
		return w[1]
	}
	return w[0]
}

func (o Options) at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(o.Zone).Format("2006-01-02 15:04:05")
}

func (o Options) rights(x session.Session) string {
	if !x.WasActive {
		return ""
	}
	var out []string
	for _, n := range session.Names(x.Rights) {
		out = append(out, o.word("r:"+n))
	}
	return strings.Join(out, ", ")
}

func host(x session.Session) session.Host {
	if x.Host == nil || !x.WasActive {
		return session.Host{}
	}
	return *x.Host
}
