// Package verify is the verb verify of the customer's program: it checks a
// receipt that was kept, and the record beside it, and says in words what came
// of it. It needs no network and puts nothing on the computer. It must not know
// how a session is carried, shown or removed.
package verify

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/receipt"
	"daypass/hostsvc/host"
)

// Receipt checks the receipt at path (the JSON, or the page beside it) and the
// record beside it, in lang ("de", else English). It returns the exit code: 0:
// genuine, 1: it is not, or it cannot be read.
func Receipt(path, lang string, out, errOut io.Writer) int {
	w, ok := verifyWords[lang]
	if !ok {
		w = verifyWords["en"]
	}
	for _, ext := range []string{".html", ".htm"} { // the page: its signatures are in the file beside it
		if strings.EqualFold(filepath.Ext(path), ext) {
			path = strings.TrimSuffix(path, filepath.Ext(path)) + ".json"
		}
	}
	f, body, err := loadReceipt(path)
	if err != nil {
		printLine(errOut, w[wUnreadable])
		if errors.Is(err, fs.ErrNotExist) {
			printLine(errOut, fmt.Sprintf(w[wNoFile], plain(path)))
		} else {
			printLine(errOut, w[wNoReceipt])
		}
		return 1
	}
	v := receipt.Verify(f, body)
	row := func(head wordID, text string) { printLine(out, fmt.Sprintf("  %-12s %s", w[head], plain(text))) }
	row(wWho, strings.Trim(body.Technician+" · "+body.Company, " ·"))
	row(wComputer, body.Computer)
	row(wBegan, body.Activated.Local().Format("2006-01-02 15:04:05"))
	row(wEnded, body.Ended.Local().Format("2006-01-02 15:04:05"))
	row(wSession, body.Session.String())
	printLine(out, "")
	good := v.Genuine
	check := func(ok, must bool, text, why string) {
		sign := "✓"
		switch {
		case !ok && must:
			sign, good = "✗", false
		case !ok:
			sign = "–"
		}
		if !ok && why != "" {
			text += ": " + plain(why)
		}
		printLine(out, "  "+sign+" "+text)
	}
	for _, c := range v.Checks {
		text, why := w[checkWords[c.Name]], c.Detail
		must := c.Name != receipt.Technician || f.Console != nil
		if !c.OK {
			if text = w[wNot] + " " + text; !must {
				text, why = w[wAlone], ""
			}
		}
		check(c.OK, must, text, why)
	}
	recorded := strings.TrimSuffix(path, filepath.Ext(path)) + ".record.json"
	switch n, err := checkRecord(recorded, body); {
	case errors.Is(err, fs.ErrNotExist):
		check(false, false, w[wNoRecord], "")
	case err != nil:
		check(false, true, w[wBadRecord], err.Error())
	default:
		check(true, true, fmt.Sprintf(w[wRecord], n), "")
	}
	printLine(out, "")
	switch {
	case !good:
		printLine(out, w[wChanged])
		return 1
	case v.Both:
		printLine(out, w[wBoth])
	default:
		printLine(out, w[wOne])
	}
	return 0
}

// loadReceipt reads a file of a bounded size.
func loadReceipt(path string) (receipt.File, receipt.Body, error) {
	b, err := readBounded(path, receipt.MaxFile)
	if err != nil {
		return receipt.File{}, receipt.Body{}, err
	}
	return receipt.Parse(b)
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// checkRecord checks the copy of the record that was saved with the receipt:
// its chain, its signatures, and that it is as long as the removal, which the
// computer signed, says. It returns how many entries it has.
func checkRecord(path string, body receipt.Body) (int, error) {
	b, err := readBounded(path, host.MaxRecordCopy)
	if err != nil {
		return 0, err
	}
	c, err := host.ParseRecordCopy(b)
	if err != nil {
		return 0, err
	}
	if c.HostKey != body.HostKey {
		return 0, errors.New("it is the record of another computer")
	}
	var gone grant.Removed
	if err := grant.Open(body.HostKey, grant.ContextRemoved, body.Facts.Removed, &gone); err != nil {
		return 0, err
	}
	if gone.Record == nil {
		return 0, errors.New("the computer did not sign how long it is")
	}
	v := journal.Check(journal.Chain{Entries: c.Record, Keys: journal.Keys{Console: c.ConsoleKey, Host: body.HostKey}})
	if v.Kind == journal.Tampered {
		return 0, errors.New(v.Reason)
	}
	facts := uint64(len(c.Said))
	for _, e := range c.Record {
		if e.Session != body.Session {
			return 0, errors.New("it is the record of another session")
		}
		if e.Fact != nil {
			facts++
		}
	}
	for _, s := range c.Said {
		if _, err := journal.OpenFact(body.HostKey, body.Session, s); err != nil {
			return 0, err
		}
	}
	end := journal.Head{}
	if n := len(c.Record); n > 0 {
		end = c.Record[n-1].Head()
	}
	if end.Seq < gone.Record.Seq || facts < gone.Record.Facts {
		return 0, errors.New("the end of it is missing")
	}
	if n := gone.Record.Seq; n > 0 && string(c.Record[n-1].Hash[:]) != string(gone.Record.Hash) {
		return 0, errors.New("it is not the one that the computer signed")
	}
	return len(c.Record) + len(c.Said), nil
}

// printLine writes for people; that nobody can read it is nothing the program
// could tell anybody.
func printLine(w io.Writer, line string) { _, _ = io.WriteString(w, line+"\n") }

// plain makes text from a file fit for a terminal: one line, no control
// characters, no change of direction.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

type wordID int

const (
	wUnreadable wordID = iota
	wNoFile
	wNoReceipt
	wWho
	wComputer
	wBegan
	wEnded
	wSession
	wCheckComputer
	wCheckTechnician
	wCheckServer
	wCheckEnd
	wCheckGone
	wNot
	wAlone
	wRecord
	wNoRecord
	wBadRecord
	wChanged
	wBoth
	wOne
	wordCount
)

var checkWords = map[receipt.Name]wordID{
	receipt.Computer: wCheckComputer, receipt.Technician: wCheckTechnician, receipt.Server: wCheckServer, receipt.End: wCheckEnd, receipt.Gone: wCheckGone,
}

var verifyWords = map[string][wordCount]string{
	"en": {
		"This file could not be checked.", "There is no file %s.",
		"It is not a receipt of Daypass, or it was changed so that it cannot be read. Use the file that ends in .json and was saved together with the page.",
		"Who helped", "Computer", "Began", "Ended", "Session",
		"The computer that was helped signed exactly this receipt", "The technician’s program signed the same receipt",
		"The server vouched for the company, the technician and both programs", "The end of the session is signed by one who may end it",
		"The removal is signed, and the list is the signed one",
		"NOT:", "The technician’s program was not there to sign; that alone is no fault",
		"The record beside it is whole and signed (%d entries)", "The record of each single step (.record.json) is not beside this file; it was not checked",
		"NOT: The record beside it is whole and signed",
		"NOT GENUINE. This receipt or the record beside it was changed after it was signed. Do not rely on it.",
		"GENUINE. Nothing in it was changed since both sides signed it.",
		"GENUINE. Nothing in it was changed since the computer that was helped signed it.",
	},
	"de": {
		"Diese Datei konnte nicht geprüft werden.", "Eine Datei %s gibt es nicht.",
		"Sie ist kein Beleg von Daypass oder wurde so verändert, dass sie nicht mehr lesbar ist. Nehmen Sie die Datei mit der Endung .json, die zusammen mit der Seite gespeichert wurde.",
		"Wer half", "Computer", "Beginn", "Ende", "Sitzung",
		"Der Computer, dem geholfen wurde, hat genau diesen Beleg unterschrieben", "Das Programm des Technikers hat denselben Beleg unterschrieben",
		"Der Server bürgt für Firma, Techniker und beide Programme", "Das Ende der Sitzung ist von jemandem unterschrieben, der sie beenden darf",
		"Die Entfernung ist unterschrieben, und die Liste ist die unterschriebene",
		"NICHT:", "Das Programm des Technikers war nicht da, um zu unterschreiben; das allein ist kein Mangel",
		"Das Protokoll daneben ist vollständig und unterschrieben (%d Einträge)", "Das Protokoll jedes einzelnen Schritts (.record.json) liegt nicht neben dieser Datei; es wurde nicht geprüft",
		"NICHT: Das Protokoll daneben ist vollständig und unterschrieben",
		"NICHT ECHT. Dieser Beleg oder das Protokoll daneben wurde verändert, nachdem sie unterschrieben wurden. Verlassen Sie sich nicht darauf.",
		"ECHT. Nichts darin wurde verändert, seit beide Seiten es unterschrieben haben.",
		"ECHT. Nichts darin wurde verändert, seit der Computer, dem geholfen wurde, es unterschrieben hat.",
	},
}
