package export

import (
	_ "embed"
	"html/template"
	"io"
	"strings"

	"daypass/backend/journal"
	"daypass/backend/session"
)

//go:embed page.html.tmpl
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// htmlWriter writes a page that needs nothing else, asks for nothing and prints
// one session a sheet.
type htmlWriter struct {
	w    io.Writer
	o    Options
	some bool
}

func (w *htmlWriter) head() error {
	o := w.o
	lang := "en"
	if o.German {
		lang = "de"
	}
	return page.ExecuteTemplate(w.w, "head", map[string]string{
		"Lang": lang, "Title": o.word("title"), "Asked": o.Title, "Wording": o.word("wording"),
		"Written": o.word("written") + " " + o.at(o.Now) + ". " + o.word("timesIn") + " " + o.Zone.String() + ".",
	})
}

type fact struct {
	Name, Value string
	Bad         bool
}

type line struct {
	Seq                 uint64
	At, Actor, Text, By string
}

// Add writes a session.
func (w *htmlWriter) Add(x Item) error {
	if !w.some {
		if err := w.head(); err != nil {
			return err
		}
		w.some = true
	}
	s, o := x.Session, w.o
	h := host(s)
	var facts []fact
	add := func(key, value string, bad bool) {
		if value != "" {
			facts = append(facts, fact{o.word(key), value, bad})
		}
	}
	state := o.word("s:" + string(s.State))
	if s.EndedBy != "" {
		state += " (" + o.word("b:"+string(s.EndedBy)) + ")"
	}
	computer := strings.Trim(strings.Join([]string{h.Computer, h.OS, h.User}, ", "), ", ")
	var notes []string
	for _, n := range x.Notes {
		notes = append(notes, n.Author+", "+o.at(n.At)+": "+n.Text)
	}
	add("technician", s.Technician, false)
	add("customer", strings.TrimSpace(s.Customer.Name+" <"+s.Customer.Email+">"), false)
	add("subject", s.Customer.Subject, false)
	add("computer", computer, false)
	add("created", o.at(s.Created), false)
	add("activated", o.at(s.Activated), false)
	add("ended", o.at(s.EndedAt), false)
	add("state", state, s.State == session.Unconfirmed)
	add("rights", o.rights(s), false)
	add("removal", strings.Join(s.Report, "\n"), s.State == session.Removed && !s.Clean)
	add("tags", strings.Join(x.Tags, ", "), false)
	add("notes", strings.Join(notes, "\n"), false)
	verdict := o.word("v:" + string(x.Verdict.Kind))
	if !o.German && x.Words != "" {
		verdict = x.Words
	}
	add("verdict", verdict, x.Verdict.Kind == journal.Tampered || x.Verdict.Kind == journal.Contradicted)
	add("session", s.ID.String(), false)
	rows := make([]line, len(x.Entries))
	for i := range x.Entries {
		e := &x.Entries[i]
		by := []string{}
		for _, side := range e.SignedBy() {
			by = append(by, o.word("a:"+side))
		}
		rows[i] = line{e.Seq, o.at(e.At), o.word("a:" + e.Actor), e.Text, strings.Join(by, ", ")}
	}
	return page.ExecuteTemplate(w.w, "session", map[string]any{
		"Title": s.Customer.Label() + " · " + o.at(s.Created), "Facts": facts, "Rows": rows,
		"Head": []string{o.word("number"), o.word("time"), o.word("actor"), o.word("text"), o.word("signedBy")},
	})
}

// Close ends the page.
func (w *htmlWriter) Close() error {
	if !w.some {
		if err := w.head(); err != nil {
			return err
		}
		if err := page.ExecuteTemplate(w.w, "none", w.o.word("none")); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w.w, "</html>\n")
	return err
}
