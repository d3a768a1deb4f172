package host

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/receipt"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/lease"
)

// copyOf is the customer's own copy of what happened: a page to read and the
// same as JSON with the signed facts, so that others can check it.
type copyOf struct {
	body receipt.Body
	seal grant.Signed
	also *grant.Signed // the same, signed by the technician's console; nil: it was not there in time
	lang string
	rec  *record // nil: none
}

// receipt is the customer's copy as the note has it.
func (n *note) receipt() *copyOf {
	c := &copyOf{body: n.Body, also: n.Console, lang: n.Language, rec: n.rec}
	if n.Seal != nil {
		c.seal = *n.Seal
	}
	return c
}

func rightsText(r grant.Rights, lang string) []string {
	out := []string{}
	for right := grant.Rights(1); right <= grant.All; right <<= 1 {
		if r.Has(right) {
			if s := consent.RightText(right, lang); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// body is what the receipt says of the session, but for its end.
func (s *state) body(rep pairing.HostReport, done []consent.Line) receipt.Body {
	b := receipt.Body{
		Session: s.Session, Company: s.Company, Technician: s.Technician, Computer: rep.Computer, Server: s.server.Host,
		Activated: s.Since.Truncate(time.Second), Rights: rightsText(s.Rights, rep.Language), Allowed: rightsText(s.Allowed, rep.Language), Done: []receipt.Line{},
		HostKey: grant.KeyOf(s.dev.Ed), ConsoleKey: s.pin.PeerEd, ServerKey: s.pin.ServerKey, Facts: receipt.Facts{Grant: s.Grant},
	}
	for _, l := range done {
		b.Done = append(b.Done, receipt.Line{At: l.At.UTC().Truncate(time.Second), What: consent.LineWords(l, rep.Language, s.Technician)})
	}
	return b
}

// style is the page's own; nothing comes from elsewhere.
const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1c2530}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}th{font-weight:600;white-space:nowrap}.small{font-size:.8rem;overflow-wrap:anywhere}@media print{body{margin:0}h2{break-after:avoid}tr,li{break-inside:avoid}}`

// witnessTimeout bounds the wait for the console's signature.
const witnessTimeout = 2 * time.Second

// witness asks the console to sign the receipt as well, while the link is open.
func (s *session) witness(ctx context.Context, n *note) {
	if !s.online || n.Seal == nil || n.Console != nil {
		return
	}
	s.send(&wire.Receipt{Seal: *n.Seal})
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
			if is && bytes.Equal(got.Seal.Body, n.Seal.Body) && grant.Open(s.st.pin.PeerEd, grant.ContextReceipt, got.Seal, &same) == nil {
				n.Console = &got.Seal
				n.keep(s.log)
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
func (r *copyOf) html() []byte {
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
		fmt.Fprintf(&b, "<tr><th scope=\"row\">%s<td>%s\n", esc(head), strings.Join(cells, "<br>"))
	}
	list := func(word string, strong bool, lines []string) {
		for _, l := range lines {
			if strong {
				fmt.Fprintf(&b, "<li><strong>%s: %s</strong>\n", t[word], esc(consent.Native(l, r.lang)))
			} else {
				fmt.Fprintf(&b, "<li>%s: %s\n", t[word], esc(consent.Native(l, r.lang)))
			}
		}
	}
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"%s\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>%s</title>\n<style>%s</style>\n<h1>%s</h1>\n<table>\n", esc(r.lang), t["Title"], style, t["Title"])
	row(t["Who"], who(r.body.Technician, r.body.Company))
	row(t["Computer"], r.body.Computer)
	row(t["From"], r.body.Activated.Local().Format(stamp))
	row(t["To"], r.body.Ended.Local().Format(stamp))
	row(t["By"], t["by "+string(r.body.EndedBy)])
	row(t["May"], slices.Clone(r.body.Rights)...)
	allowed := slices.Clone(r.body.Allowed)
	if len(allowed) == 0 {
		allowed = []string{t["Nothing"]}
	}
	row(t["AtEnd"], allowed...)
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
	list("Left", true, r.body.Removal.Left)
	list("Removed", false, r.body.Removal.Removed)
	list("Last", false, r.body.Removal.Last)
	fmt.Fprintf(&b, "</ul>\n<p>%s</p>\n<ul class=\"small\">\n", t["Compared"])
	for _, l := range r.body.Removal.Report {
		if rest, is := strings.CutPrefix(l, "compared: "); is {
			fmt.Fprintf(&b, "<li>%s\n", esc(rest))
		}
	}
	signed := t["Alone"]
	if r.also != nil {
		signed = t["Both"]
	}
	fmt.Fprintf(&b, "</ul>\n<h2>%s</h2>\n<p>%s</p>\n<p>%s</p>\n<p>%s</p>\n", t["Proof"], signed, t["ProofText"], t["ProofHow"])
	key, _ := r.body.HostKey.MarshalText() // never fails: 32 bytes
	server, _ := r.body.ServerKey.MarshalText()
	b.WriteString("<table class=\"small\">\n")
	row(t["Session"], r.body.Session.String())
	row(t["HostKey"], string(key))
	row(t["ServerKey"], string(server))
	if f := r.body.Facts.Removed; len(f.Sig) > 0 {
		row(t["Signature"], base64.StdEncoding.EncodeToString(f.Sig))
	}
	b.WriteString("</table>\n</html>\n")
	return b.Bytes()
}

var receiptWords = map[string]map[string]string{
	"en": {
		"Title": "Receipt of a support session", "Who": "Who helped", "Computer": "Computer", "From": "Began", "To": "Ended", "By": "Ended by", "May": "Offered", "AtEnd": "Allowed at the end", "Nothing": "nothing", "Server": "Server", "Done": "What was done",
		"Clean": "Everything was removed", "Unclean": "Not everything could be removed", "Removed": "Removed", "Left": "Left", "Last": "Goes when the server has been told", "Proof": "How to check this",
		"Compared": "The places that the program used on this computer, before it came and after it had gone:",
		"Both":     "Signed by this computer and by the technician’s program.", "Alone": "Signed by this computer only: the technician’s program could not be reached in time.",
		"ProofText": "The file of the same name that ends in .json holds this receipt with its signatures. If one letter of it is changed the check fails.",
		"ProofHow":  "To check it, give that file to the company that helped you: History, Verify a receipt. Or download the program again (this one removed itself) and start it in a terminal, with the word verify and the file’s name behind it. Checking needs no network, and nothing is put on the computer.",
		"Session":   "Session", "HostKey": "This computer’s key", "ServerKey": "The server’s key", "Signature": "Signature of the removal",
		"by technician": "the technician", "by lead": "a lead of the technician’s company", "by customer": "you", "by expiry": "the end of the 24 hours", "by server": "the server does not know the session any more", "by lapse": "it was never used", "by lock": "too many wrong codes", "by cancel": "the technician",
	},
	"de": {
		"Title": "Beleg über eine Hilfesitzung", "Who": "Wer geholfen hat", "Computer": "Computer", "From": "Beginn", "To": "Ende", "By": "Beendet durch", "May": "Angeboten", "AtEnd": "Am Ende erlaubt", "Nothing": "nichts", "Server": "Server", "Done": "Was getan wurde",
		"Clean": "Alles wurde entfernt", "Unclean": "Nicht alles konnte entfernt werden", "Removed": "Entfernt", "Left": "Noch da", "Last": "Geht, sobald der Server benachrichtigt ist", "Proof": "Wie man das prüft",
		"Compared": "Die Stellen, die das Programm auf diesem Computer benutzt hat, bevor es kam und nachdem es weg war:",
		"Both":     "Unterschrieben von diesem Computer und vom Programm des Technikers.", "Alone": "Nur von diesem Computer unterschrieben: Das Programm des Technikers war nicht rechtzeitig zu erreichen.",
		"ProofText": "Die gleichnamige Datei mit der Endung .json enthält diesen Beleg mit seinen Unterschriften. Wird darin ein einziger Buchstabe geändert, schlägt die Prüfung fehl.",
		"ProofHow":  "Zum Prüfen geben Sie diese Datei der Firma, die Ihnen geholfen hat: Verlauf, Beleg prüfen. Oder laden Sie das Programm noch einmal herunter (dieses hat sich entfernt) und starten Sie es in einem Terminal, dahinter das Wort verify und der Name der Datei. Das Prüfen braucht kein Netz und legt nichts auf den Computer.",
		"Session":   "Sitzung", "HostKey": "Schlüssel dieses Computers", "ServerKey": "Schlüssel des Servers", "Signature": "Unterschrift der Entfernung",
		"by technician": "den Techniker", "by lead": "die Leitung der Firma des Technikers", "by customer": "Sie", "by expiry": "das Ende der 24 Stunden", "by server": "Der Server kennt die Sitzung nicht mehr", "by lapse": "Sie wurde nie benutzt", "by lock": "zu viele falsche Codes", "by cancel": "den Techniker",
	},
}

// files are the names under which save writes: the page, the JSON, the record.
func (r *copyOf) files(path string) [3]string {
	ext := filepath.Ext(path)
	if !strings.EqualFold(ext, ".html") && !strings.EqualFold(ext, ".htm") {
		path, ext = path+".html", ".html"
	}
	stem := strings.TrimSuffix(path, ext)
	return [3]string{path, stem + ".json", stem + ".record.json"}
}

// sweep removes what a process that was killed in save left half written.
func (r *copyOf) sweep(path string) error {
	var err error
	for _, f := range r.files(path) {
		err = errors.Join(err, lease.SweepFile(f))
	}
	return err
}

// save writes the page at path, the JSON and the record beside it. What is there under
// these names is replaced: the window asked.
func (r *copyOf) save(path string) error {
	if path == "" || !filepath.IsAbs(path) {
		return fault.New(fault.Invalid, "host.receipt", "There is no place for the receipt.", "Choose a folder of yours.")
	}
	to := r.files(path)
	js, err := r.json()
	if err != nil {
		return err
	}
	if err := lease.WriteFile(to[0], r.html()); err != nil {
		return fault.Wrap(err, fault.Full, "host.receipt", "The receipt could not be saved there.", "Choose another folder.")
	}
	if err := lease.WriteFile(to[1], js); err != nil {
		return fault.Wrap(err, fault.Full, "host.receipt", "The receipt could not be saved there.", "Choose another folder.")
	}
	if r.rec == nil {
		return nil
	}
	b, err := r.rec.copyJSON()
	if err == nil && b != nil {
		err = lease.WriteFile(to[2], b)
	}
	if err != nil {
		return fault.Wrap(err, fault.Full, "host.receipt", "The receipt could not be saved there.", "Choose another folder.")
	}
	return nil
}

// json is the receipt with this computer's signature over its exact bytes.
func (r *copyOf) json() ([]byte, error) {
	body, _, err := receipt.Marshal(r.body)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "host.receipt", "The receipt could not be made.", "")
	}
	b, err := json.Marshal(receipt.File{Receipt: body, Seal: r.seal, Console: r.also})
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "host.receipt", "The receipt could not be made.", "")
	}
	return b, nil
}
