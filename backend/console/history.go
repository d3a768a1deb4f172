package console

import (
	"slices"
	"time"

	"daypass/backend/desk"
	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/session"
	"daypass/backend/store"
)

// History is the list of all sessions and their records.
type History struct {
	desk *desk.Desk
	win  Window
	work work
}

// HistoryQuery asks for sessions. The zero value asks for all. Times are unix
// milliseconds, 0 for none.
type HistoryQuery struct {
	Query      string   `json:"query"`      // words, each the beginning of one
	State      string   `json:"state"`      // one state, "live", "over" or ""
	EndedBy    string   `json:"endedBy"`    // grant.EndedBy or ""
	Technician string   `json:"technician"` // display name or ""
	Customer   string   `json:"customer"`   // e-mail or ""
	From       int64    `json:"from"`
	To         int64    `json:"to"`
	Has        []string `json:"has"` // "files", "commands", "recording", "chat"
	Tag        string   `json:"tag"`
	Whose      string   `json:"whose"` // "mine", "others" or ""
	Sort       string   `json:"sort"`  // "newest", "oldest", "name", "longest"
	After      string   `json:"after"` // HistoryRow.Mark or one of Marks
	Limit      int      `json:"limit"` // 0: 100
}

var has = []struct {
	bit  journal.Has
	name string
}{
	{journal.HasFiles, "files"}, {journal.HasCommands, "commands"}, {journal.HasRecording, "recording"}, {journal.HasChat, "chat"},
}

func hasNames(h journal.Has) []string {
	out := []string{}
	for _, x := range has {
		if h&x.bit != 0 {
			out = append(out, x.name)
		}
	}
	return out
}

func (q HistoryQuery) store() (store.Query, error) {
	if err := bounded(254, append(q.Has, q.Query, q.State, q.EndedBy, q.Technician, q.Customer, q.Tag, q.Whose, q.Sort)...); err != nil {
		return store.Query{}, err
	}
	if err := bounded(1024, q.After); err != nil {
		return store.Query{}, err
	}
	out := store.Query{
		Text: q.Query, State: q.State, EndedBy: grant.EndedBy(q.EndedBy), Technician: q.Technician, Customer: q.Customer,
		Tag: q.Tag, Whose: q.Whose, Sort: store.Sort(q.Sort), After: q.After, Limit: q.Limit,
	}
	if q.Limit == 0 {
		out.Limit = 100
	}
	if q.From != 0 {
		out.From = time.UnixMilli(q.From)
	}
	if q.To != 0 {
		out.To = time.UnixMilli(q.To)
	}
	for _, x := range has {
		if slices.Contains(q.Has, x.name) {
			out.Has |= x.bit
		}
	}
	return out, nil
}

// HistoryRow is one session of the history.
type HistoryRow struct {
	ID         string   `json:"id"`
	Mark       string   `json:"mark"` // its place in the order asked for
	Mine       bool     `json:"mine"`
	Label      string   `json:"label"`
	Email      string   `json:"email"`
	Subject    string   `json:"subject"`
	Technician string   `json:"technician"`
	Computer   string   `json:"computer"`
	OS         string   `json:"os"`
	State      string   `json:"state"`
	Has        []string `json:"has"`
	CreatedAt  int64    `json:"createdAt"`
	StartedAt  int64    `json:"startedAt,omitempty"` // activated
	EndedAt    int64    `json:"endedAt,omitempty"`
	EndedBy    string   `json:"endedBy,omitempty"`
	DeletedAt  int64    `json:"deletedAt,omitempty"` // the record is not kept any more, by the company's rule
}

// HistoryPage is a page of the history.
type HistoryPage struct {
	Total  int          `json:"total"`
	Rows   []HistoryRow `json:"rows"`
	Behind int          `json:"behind"` // stored, and listed a moment later
}

// HistoryCount is a value and how many sessions have it.
type HistoryCount struct {
	Value string `json:"value"`
	N     int    `json:"n"`
}

// HistoryFacets is what the history can be filtered by.
type HistoryFacets struct {
	Total       int            `json:"total"`
	Mine        int            `json:"mine"`
	Technicians []HistoryCount `json:"technicians"`
	Tags        []HistoryCount `json:"tags"`
	Has         []string       `json:"has"`
}

// TimelineRow is one entry of a record.
type TimelineRow struct {
	Seq      uint64   `json:"seq"`
	At       int64    `json:"at"`
	Actor    string   `json:"actor"`
	Kind     string   `json:"kind"`
	Text     string   `json:"text"`
	SignedBy []string `json:"signedBy"`
}

// Verdict says whether a record is whole.
type Verdict struct {
	OK    bool   `json:"ok"`
	Level string `json:"level"` // "complete", "incomplete", "tampered"
	Kind  string `json:"kind"`  // journal.Kind
	Bad   uint64 `json:"bad"`   // number of the entry that fails, 0: none
	Text  string `json:"text"`
}

// Timeline is the record of a session.
type Timeline struct {
	Rows    []TimelineRow `json:"rows"`
	Verdict Verdict       `json:"verdict"`
}

// HistoryNote is what one person wrote beside a session.
type HistoryNote struct {
	Author string `json:"author"`
	At     int64  `json:"at"`
	Text   string `json:"text"`
}

// HistoryDetail is what is known of one session.
type HistoryDetail struct {
	Row        HistoryRow    `json:"row"`
	FromServer bool          `json:"fromServer"` // a colleague's, from the company's server
	User       string        `json:"user"`
	TimeZone   string        `json:"timeZone"`
	Version    string        `json:"version"` // of the customer's program
	Rights     []string      `json:"rights"`
	Paths      []string      `json:"paths"`   // "direct", "relay": in the order of their first use
	Removal    string        `json:"removal"` // "", "pending", "clean", "unclean", "unconfirmed"
	Lines      []string      `json:"lines"`   // of the removal report
	Receipt    bool          `json:"receipt"` // the host's signature over its removal is kept and right
	Notes      []HistoryNote `json:"notes"`   // of others
	Note       HistoryNote   `json:"note"`    // this person's own
	Tags       []string      `json:"tags"`
	Timeline   Timeline      `json:"timeline"`
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func historyRow(r store.Row) HistoryRow {
	x := r.Session
	row := HistoryRow{
		ID: x.ID.String(), Mark: r.Mark, Mine: x.Mine, Label: x.Customer.Label(), Email: x.Customer.Email, Subject: x.Customer.Subject, Technician: x.Technician,
		State: string(x.State), Has: hasNames(r.Has), CreatedAt: unixMilli(x.Created), StartedAt: unixMilli(x.Activated), EndedAt: unixMilli(x.EndedAt), EndedBy: string(x.EndedBy), DeletedAt: unixMilli(r.Pruned),
	}
	if x.Host != nil && x.WasActive {
		row.Computer, row.OS = x.Host.Computer, x.Host.OS
	}
	return row
}

// List returns a page of the history.
func (h *History) List(q HistoryQuery) (HistoryPage, error) {
	out := HistoryPage{Rows: []HistoryRow{}}
	sq, err := q.store()
	if err != nil {
		return out, err
	}
	p, err := h.desk.History(sq)
	out.Total, out.Behind = p.Total, p.Behind
	for _, r := range p.Rows {
		out.Rows = append(out.Rows, historyRow(r))
	}
	return out, crossed(err)
}

// Marks returns where each page of Limit rows after the first begins.
func (h *History) Marks(q HistoryQuery) ([]string, error) {
	sq, err := q.store()
	if err != nil {
		return []string{}, err
	}
	m, err := h.desk.HistoryMarks(sq, sq.Limit)
	if m == nil {
		m = []string{}
	}
	return m, crossed(err)
}

// Facets returns what the history can be filtered by.
func (h *History) Facets() (HistoryFacets, error) {
	f, err := h.desk.HistoryFacets()
	counts := func(in []store.Count) []HistoryCount {
		out := []HistoryCount{}
		for _, c := range in {
			out = append(out, HistoryCount(c))
		}
		return out
	}
	return HistoryFacets{Total: f.Total, Mine: f.Mine, Technicians: counts(f.Technicians), Tags: counts(f.Tags), Has: hasNames(f.Has)}, crossed(err)
}

func parsed(id, op string) (grant.ID, error) {
	g, err := grant.ParseID(id)
	if err != nil {
		return g, crossed(fault.New(fault.NotFound, op, "This session is not known here.", ""))
	}
	return g, nil
}

// Timeline returns the record of one session and whether it is whole.
func (h *History) Timeline(id string) (Timeline, error) {
	g, err := parsed(id, "history.timeline")
	if err != nil {
		return Timeline{}, err
	}
	entries, v, err := h.desk.Timeline(g)
	return timeline(h.desk, g, entries, v), crossed(err)
}

func timeline(d *desk.Desk, id grant.ID, entries []journal.Entry, v journal.Verdict) Timeline {
	out := Timeline{Rows: []TimelineRow{}}
	removal := d.RemovalSigned(id)
	for i := range entries {
		e := &entries[i]
		by := e.SignedBy()
		if removal && e.Kind == session.KindRemoved && !slices.Contains(by, string(journal.Host)) {
			by = append(by, string(journal.Host)) // not the entry, but what it says: grant.Removed
		}
		out.Rows = append(out.Rows, TimelineRow{Seq: e.Seq, At: e.At.UnixMilli(), Actor: e.Actor, Kind: e.Kind, Text: e.Text, SignedBy: by})
	}
	out.Verdict = Verdict{OK: v.OK, Level: desk.VerdictLevel(v), Kind: string(v.Kind), Bad: v.Bad, Text: desk.VerdictWords(v)}
	return out
}

// Open returns everything that is known of a session.
func (h *History) Open(id string) (HistoryDetail, error) {
	g, err := parsed(id, "history.open")
	if err != nil {
		return HistoryDetail{}, err
	}
	p, err := h.desk.Past(g)
	if err != nil {
		return HistoryDetail{}, crossed(err)
	}
	entries, v, err := h.desk.Timeline(g)
	if err != nil {
		return HistoryDetail{}, crossed(err)
	}
	x := p.Row.Session
	out := HistoryDetail{
		FromServer: p.Row.FromServer, Rights: session.Names(x.Rights), Paths: []string{}, Lines: x.Report, Receipt: h.desk.RemovalSigned(g),
		Notes: []HistoryNote{}, Tags: p.Tags, Note: HistoryNote{Author: p.Me}, Timeline: timeline(h.desk, g, entries, v),
	}
	for i := range entries {
		p.Row.Has |= journal.Contains(entries[i].Kind)
		if path := entries[i].Detail().Path; entries[i].Kind == session.KindConnected && path != "" && !slices.Contains(out.Paths, path) {
			out.Paths = append(out.Paths, path)
		}
	}
	out.Row = historyRow(p.Row)
	if out.Lines == nil {
		out.Lines = []string{}
	}
	if x.Host != nil && x.WasActive {
		out.User, out.TimeZone, out.Version = x.Host.User, x.Host.TimeZone, x.Host.Version
	}
	switch {
	case x.State == session.Ending:
		out.Removal = "pending"
	case x.State == session.Unconfirmed:
		out.Removal = "unconfirmed"
	case x.State == session.Removed && x.Clean:
		out.Removal = "clean"
	case x.State == session.Removed:
		out.Removal = "unclean"
	}
	for _, n := range p.Notes {
		note := HistoryNote{n.Author, n.At.UnixMilli(), n.Text}
		if n.Author == p.Me {
			out.Note = note
		} else {
			out.Notes = append(out.Notes, note)
		}
	}
	return out, nil
}

// SetNote stores this person's note and returns when; an empty text removes it.
func (h *History) SetNote(id, text string) (int64, error) {
	g, err := parsed(id, "history.note")
	if err != nil {
		return 0, err
	}
	if err := bounded(store.MaxNote, text); err != nil {
		return 0, err
	}
	at, err := h.desk.SetNote(g, text)
	return at.UnixMilli(), crossed(err)
}

// AddTag puts a tag on a session.
func (h *History) AddTag(id, tag string) error {
	g, err := parsed(id, "history.tag")
	if err != nil {
		return err
	}
	if err := bounded(8*store.MaxTag, tag); err != nil {
		return err
	}
	return crossed(h.desk.AddTag(g, tag))
}

// RemoveTag takes a tag off a session.
func (h *History) RemoveTag(id, tag string) error {
	g, err := parsed(id, "history.tag")
	if err != nil {
		return err
	}
	if err := bounded(8*store.MaxTag, tag); err != nil {
		return err
	}
	return crossed(h.desk.RemoveTag(g, tag))
}
