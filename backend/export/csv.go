package export

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// csvWriter writes RFC 4180: commas, CRLF, a header. No cell is taken for a
// formula by a spreadsheet.
type csvWriter struct {
	w    io.Writer
	c    *csv.Writer
	o    Options
	head bool
}

func newCSV(w io.Writer, o Options) *csvWriter {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	if o.Excel && o.German {
		c.Comma = ';'
	}
	return &csvWriter{w: w, c: c, o: o}
}

// harmless keeps a spreadsheet from running a cell that somebody else wrote: the
// apostrophe makes it text.
func harmless(cell string) string {
	// encoding/csv writes a carriage return as it is; spreadsheets differ about it.
	cell = strings.ReplaceAll(strings.ReplaceAll(cell, "\r\n", "\n"), "\x00", "")
	if cell != "" && strings.ContainsRune("=+-@\t\r\n|%", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func (w *csvWriter) row(cells ...string) error {
	for i := range cells {
		cells[i] = harmless(cells[i])
	}
	return w.c.Write(cells)
}

func (w *csvWriter) header() error {
	if w.head {
		return nil
	}
	w.head = true
	if w.o.Excel {
		if _, err := io.WriteString(w.w, "\ufeff"); err != nil {
			return err
		}
	}
	keys := []string{"session", "created", "activated", "ended", "minutes", "state", "endedBy", "technician", "customer", "email", "subject", "computer", "os", "user", "rights", "tags", "notes", "entries", "verdict"}
	if w.o.Record {
		keys = []string{"session", "number", "time", "actor", "kind", "text", "details", "signedBy", "hash"}
	}
	for i, k := range keys {
		keys[i] = w.o.word(k)
		switch k {
		case "created", "activated", "ended", "time":
			keys[i] += " (" + w.o.Zone.String() + ")"
		}
	}
	return w.c.Write(keys)
}

// Add writes a session, or its record.
func (w *csvWriter) Add(x Item) error {
	if err := w.header(); err != nil {
		return err
	}
	s, o := x.Session, w.o
	if o.Record {
		for i := range x.Entries {
			e := &x.Entries[i]
			if err := w.row(s.ID.String(), strconv.FormatUint(e.Seq, 10), e.At.In(o.Zone).Format("2006-01-02 15:04:05.000000"), o.word("a:"+e.Actor), e.Kind, e.Text,
				string(e.Details), strings.Join(e.SignedBy(), ", "), text(e.Hash)); err != nil {
				return err
			}
		}
		w.c.Flush()
		return w.c.Error()
	}
	minutes := ""
	if !s.Activated.IsZero() && s.EndedAt.After(s.Activated) {
		minutes = strconv.Itoa(int(s.EndedAt.Sub(s.Activated).Minutes()))
	}
	notes := []string{}
	for _, n := range x.Notes {
		notes = append(notes, n.Author+": "+n.Text)
	}
	by := ""
	if s.EndedBy != "" {
		by = o.word("b:" + string(s.EndedBy))
	}
	h := host(s)
	if err := w.row(s.ID.String(), o.at(s.Created), o.at(s.Activated), o.at(s.EndedAt), minutes, o.word("s:"+string(s.State)), by, s.Technician, s.Customer.Name, s.Customer.Email,
		s.Customer.Subject, h.Computer, h.OS, h.User, o.rights(s), strings.Join(x.Tags, ", "), strings.Join(notes, "\n"), strconv.Itoa(len(x.Entries)), o.word("v:"+string(x.Verdict.Kind))); err != nil {
		return err
	}
	w.c.Flush()
	return w.c.Error()
}

// Close writes the header if there was no session.
func (w *csvWriter) Close() error {
	if err := w.header(); err != nil {
		return err
	}
	w.c.Flush()
	return w.c.Error()
}
