package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"html"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/lease"
	"daypass/hostsvc/removal"
)

// receipt is the customer's own copy of what happened: a page to read and the
// same as JSON with the signed facts, so that others can check it.
type receipt struct {
	body receiptBody
	seal grant.Signed
	also *grant.Signed // the same, signed by the technician's console; nil: it was not there in time
	lang string
}

type receiptBody struct {
	Session    grant.ID       `json:"session"`
	Company    string         `json:"company"`
	Technician string         `json:"technician"`
	Computer   string         `json:"computer"`
	Server     string         `json:"server"`
	Activated  time.Time      `json:"activated"`
	Ended      time.Time      `json:"ended"`
	EndedBy    grant.EndedBy  `json:"ended_by"`
	Rights     []string       `json:"rights"`
	Done       []receiptLine  `json:"done"`
	Removal    removal.Report `json:"removal"`
	HostKey    grant.Key      `json:"host_key"`
	ConsoleKey grant.Key      `json:"console_key"`
	Facts      receiptFacts   `json:"signed"`
}

type receiptLine struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

type receiptFacts struct {
	Grant   *grant.Signed `json:"grant"`   // by the server
	Ended   *grant.Signed `json:"ended"`   // by whoever ended it
	Removed grant.Signed  `json:"removed"` // by this computer
}

var rightNames = []struct {
	right  grant.Rights
	en, de string
}{
	{grant.View, "see the screen", "Bildschirm sehen"},
	{grant.Control, "use the mouse and the keyboard", "Maus und Tastatur benutzen"},
	{grant.Clipboard, "exchange copied text", "kopierten Text austauschen"},
}

func rightsText(r grant.Rights, lang string) (out []string) {
	for _, n := range rightNames {
		if r.Has(n.right) {
			if lang == "de" {
				out = append(out, n.de)
			} else {
				out = append(out, n.en)
			}
		}
	}
	return out
}

func lineText(l consent.Line, lang string) string {
	en := map[consent.LineKind]string{
		consent.LineActivated: "You allowed the session.", consent.LineWatching: "The screen was opened.", consent.LineLeft: "The screen was closed.",
		consent.LineRightOn: "You allowed: %s", consent.LineRightOff: "You took back: %s", consent.LineStopped: "You stopped the connection.", consent.LineResumed: "You resumed the connection.",
		consent.LineClipboardIn: "Text was put on the clipboard.", consent.LineClipboardOut: "Text was fetched from the clipboard.",
		consent.LineOffline: "The connection was lost.", consent.LineOnline: "The connection came back.", consent.LineText: "%s",
	}
	de := map[consent.LineKind]string{
		consent.LineActivated: "Sie haben die Sitzung erlaubt.", consent.LineWatching: "Der Bildschirm wurde geöffnet.", consent.LineLeft: "Der Bildschirm wurde geschlossen.",
		consent.LineRightOn: "Sie haben erlaubt: %s", consent.LineRightOff: "Sie haben zurückgenommen: %s", consent.LineStopped: "Sie haben die Verbindung angehalten.", consent.LineResumed: "Sie haben die Verbindung fortgesetzt.",
		consent.LineClipboardIn: "Text wurde in die Zwischenablage gelegt.", consent.LineClipboardOut: "Text wurde aus der Zwischenablage geholt.",
		consent.LineOffline: "Die Verbindung wurde unterbrochen.", consent.LineOnline: "Die Verbindung ist wieder da.", consent.LineText: "%s",
	}
	f := en[l.Kind]
	if lang == "de" {
		f = de[l.Kind]
	}
	if !strings.Contains(f, "%s") {
		return f
	}
	what := l.Text
	if l.Kind != consent.LineText {
		what = strings.Join(rightsText(l.Rights, lang), ", ")
	}
	return fmt.Sprintf(f, what)
}

// newReceipt makes the receipt and signs it with the device's key.
func newReceipt(s *session, e *ending, rep removal.Report, removed grant.Signed) *receipt {
	host := s.cfg.System.Report()
	r := &receipt{lang: host.Language, body: receiptBody{
		Session: s.st.Session, Company: s.st.Company, Technician: s.st.Technician, Computer: host.Computer, Server: s.st.server.Host,
		Activated: s.st.Since, Ended: time.Now().UTC(), EndedBy: e.by, Rights: rightsText(s.st.Rights, host.Language), Removal: rep,
		HostKey: grant.KeyOf(s.st.dev.Ed), ConsoleKey: s.st.pin.PeerEd, Facts: receiptFacts{Grant: s.st.Grant, Ended: e.signed, Removed: removed},
	}}
	for _, l := range s.model.Events {
		r.body.Done = append(r.body.Done, receiptLine{l.At.UTC(), lineText(l, host.Language)})
	}
	b, err := json.Marshal(r.body)
	if err == nil {
		h := sha256.Sum256(b)
		r.seal, err = grant.Sign(s.st.dev.Ed, grant.ContextReceipt, grant.Receipt{Session: s.st.Session, SHA256: h[:]})
	}
	if err != nil {
		s.log.Error("the receipt could not be signed", "cause", err)
	}
	return r
}

// style is the page's own; nothing comes from elsewhere.
const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1c2530}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}th{font-weight:600}code{font-size:.8rem;overflow-wrap:anywhere}`

// witnessTimeout bounds the wait for the console's signature.
const witnessTimeout = 2 * time.Second

// witness asks the console to sign the receipt as well, while the link is open.
func (s *session) witness(ctx context.Context, r *receipt) {
	if !s.online || r.seal.Body == nil {
		return
	}
	s.send(&wire.Receipt{Seal: r.seal})
	t := time.NewTimer(witnessTimeout)
	defer t.Stop()
	for {
		select {
		case b, ok := <-s.link.Control().Receive():
			if !ok {
				return
			}
			m, err := wire.ParseControl(b)
			if err != nil {
				continue
			}
			got, is := m.(*wire.Receipt)
			var same grant.Receipt
			if is && bytes.Equal(got.Seal.Body, r.seal.Body) && grant.Open(s.st.pin.PeerEd, grant.ContextReceipt, got.Seal, &same) == nil {
				r.also = &got.Seal
				return
			}
		case f := <-s.posts:
			f()
		case <-t.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// html writes the page. html/template would be the tool, but it makes every
// method of the program reachable and the download by a fifth larger; each text
// goes through esc.
func (r *receipt) html() []byte {
	const stamp = "2006-01-02 15:04:05"
	t, ok := receiptWords[r.lang]
	if !ok {
		t = receiptWords["en"]
	}
	esc := html.EscapeString
	var b bytes.Buffer
	row := func(head string, cells ...string) {
		for i := range cells {
			cells[i] = esc(cells[i])
		}
		fmt.Fprintf(&b, "<tr><th>%s<td>%s\n", esc(head), strings.Join(cells, "<br>"))
	}
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"%s\"><meta charset=\"utf-8\"><title>%s</title>\n<style>%s</style>\n<h1>%s</h1>\n<table>\n", esc(r.lang), t["Title"], style, t["Title"])
	row(t["Who"], who(r.body.Technician, r.body.Company))
	row(t["Computer"], r.body.Computer)
	row(t["From"], r.body.Activated.Local().Format(stamp))
	row(t["To"], r.body.Ended.Local().Format(stamp))
	row(t["May"], slices.Clone(r.body.Rights)...)
	row(t["Server"], r.body.Server)
	fmt.Fprintf(&b, "</table>\n<h2>%s</h2>\n<table>\n", t["Done"])
	for _, l := range r.body.Done {
		row(l.At.Local().Format(stamp), l.What)
	}
	head := t["Clean"]
	if !r.body.Removal.Clean {
		head = t["Unclean"]
	}
	fmt.Fprintf(&b, "</table>\n<h2>%s</h2>\n<ul>\n", head)
	for _, l := range r.body.Removal.Removed {
		fmt.Fprintf(&b, "<li>%s: %s\n", t["Removed"], esc(l))
	}
	for _, l := range r.body.Removal.Left {
		fmt.Fprintf(&b, "<li><strong>%s: %s</strong>\n", t["Left"], esc(l))
	}
	signed := t["Alone"]
	if r.also != nil {
		signed = t["Both"]
	}
	fmt.Fprintf(&b, "</ul>\n<h2>%s</h2>\n<p>%s</p>\n<p>%s</p>\n<p><code>%s</code></p>\n</html>\n", t["Proof"], signed, t["ProofText"], esc(r.body.Session.String()))
	return b.Bytes()
}

var receiptWords = map[string]map[string]string{
	"en": {
		"Title": "Receipt of a support session", "Who": "Who helped", "Computer": "Computer", "From": "Began", "To": "Ended", "May": "Allowed", "Server": "Server", "Done": "What was done",
		"Clean": "Everything was removed", "Unclean": "Not everything could be removed", "Removed": "Removed", "Left": "Left", "Proof": "How to check this",
		"Both": "Signed by this computer and by the technician’s program.", "Alone": "Signed by this computer only: the technician’s program could not be reached in time.",
		"ProofText": "The file of the same name that ends in .json holds this receipt with its signatures.",
	},
	"de": {
		"Title": "Beleg über eine Hilfesitzung", "Who": "Wer geholfen hat", "Computer": "Computer", "From": "Beginn", "To": "Ende", "May": "Erlaubt war", "Server": "Server", "Done": "Was getan wurde",
		"Clean": "Alles wurde entfernt", "Unclean": "Nicht alles konnte entfernt werden", "Removed": "Entfernt", "Left": "Noch da", "Proof": "Wie man das prüft",
		"Both": "Unterschrieben von diesem Computer und vom Programm des Technikers.", "Alone": "Nur von diesem Computer unterschrieben: Das Programm des Technikers war nicht rechtzeitig zu erreichen.",
		"ProofText": "Die gleichnamige Datei mit der Endung .json enthält diesen Beleg mit seinen Unterschriften.",
	},
}

// save writes the page at path and the JSON beside it.
func (r *receipt) save(path string) error {
	if path == "" || !filepath.IsAbs(path) {
		return fault.New(fault.Invalid, "host.receipt", "There is no place for the receipt.", "Choose a folder of yours.")
	}
	if ext := filepath.Ext(path); !strings.EqualFold(ext, ".html") && !strings.EqualFold(ext, ".htm") {
		path += ".html"
	}
	js, err := r.json()
	if err != nil {
		return err
	}
	if err := lease.WriteFile(path, r.html()); err != nil {
		return fault.Wrap(err, fault.Full, "host.receipt", "The receipt could not be saved there.", "Choose another folder.")
	}
	if err := lease.WriteFile(strings.TrimSuffix(path, filepath.Ext(path))+".json", js); err != nil {
		return fault.Wrap(err, fault.Full, "host.receipt", "The receipt could not be saved there.", "Choose another folder.")
	}
	return nil
}

// json is the receipt with this computer's signature over its exact bytes.
func (r *receipt) json() ([]byte, error) {
	body, err := json.Marshal(r.body)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "host.receipt", "The receipt could not be made.", "")
	}
	b, err := json.Marshal(struct {
		Receipt json.RawMessage `json:"receipt"`
		Seal    grant.Signed    `json:"seal"`              // by this computer
		Console *grant.Signed   `json:"console,omitempty"` // the same, by the technician's console
	}{body, r.seal, r.also})
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "host.receipt", "The receipt could not be made.", "")
	}
	return b, nil
}
