package desk

import (
	"fmt"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/store"
)

// History returns a page of the stored sessions.
func (d *Desk) History(q store.Query) (store.Page, error) {
	st, err := d.opened()
	if err != nil {
		return store.Page{}, err
	}
	return st.List(d.ctx, q)
}

// HistoryMarks returns where each page of size rows after the first begins.
func (d *Desk) HistoryMarks(q store.Query, size int) ([]string, error) {
	st, err := d.opened()
	if err != nil {
		return nil, err
	}
	return st.Marks(d.ctx, q, size)
}

// HistoryFacets returns what the history can be filtered by.
func (d *Desk) HistoryFacets() (store.Facets, error) {
	st, err := d.opened()
	if err != nil {
		return store.Facets{}, err
	}
	return st.Facets(d.ctx)
}

// Past is what is known of one session, the record excepted.
type Past struct {
	Row   store.Row
	Notes []store.Note
	Tags  []string
	Me    string // the author of this person's note, "" without a profile
}

// Past returns what is known of a session.
func (d *Desk) Past(id grant.ID) (Past, error) {
	st, err := d.opened()
	if err != nil {
		return Past{}, err
	}
	p := Past{Me: d.author()}
	if p.Row, err = st.Get(d.ctx, id); err != nil {
		return Past{}, err
	}
	if p.Notes, err = st.Notes(d.ctx, id); err != nil {
		return Past{}, err
	}
	p.Tags, err = st.Tags(d.ctx, id)
	return p, err
}

// author is the name under which this person writes notes.
func (d *Desk) author() (name string) {
	if err := d.look(func() error {
		if d.profile != nil {
			name = d.profile.Name
		}
		return nil
	}); err != nil {
		return ""
	}
	return name
}

// SetNote stores this person's note beside a session and returns when; an empty
// text removes it.
func (d *Desk) SetNote(id grant.ID, text string) (time.Time, error) {
	st, err := d.opened()
	if err != nil {
		return time.Time{}, err
	}
	me := d.author()
	if me == "" {
		return time.Time{}, fault.New(fault.SignedOut, "history.note", "Nobody is signed in whose note this would be.", "Sign in first.")
	}
	now := time.Now().UTC()
	return now, st.SetNote(d.ctx, id, me, text, now)
}

// AddTag puts a tag on a session.
func (d *Desk) AddTag(id grant.ID, tag string) error {
	st, err := d.opened()
	if err != nil {
		return err
	}
	return st.AddTag(d.ctx, id, tag)
}

// RemoveTag takes a tag off a session.
func (d *Desk) RemoveTag(id grant.ID, tag string) error {
	st, err := d.opened()
	if err != nil {
		return err
	}
	return st.RemoveTag(d.ctx, id, tag)
}

// Timeline returns the record of a session and what checking it found.
func (d *Desk) Timeline(id grant.ID) ([]journal.Entry, journal.Verdict, error) {
	st, err := d.opened()
	if err != nil {
		return nil, journal.Verdict{}, err
	}
	row, err := st.Get(d.ctx, id)
	if err != nil {
		return nil, journal.Verdict{}, err
	}
	entries, err := st.Entries(d.ctx, id)
	if err != nil {
		return nil, journal.Verdict{}, err
	}
	return entries, verdict(row, entries), nil
}

// verdict checks a record, and against the host's last word where there is one.
func verdict(row store.Row, entries []journal.Entry) journal.Verdict {
	if !row.Pruned.IsZero() {
		return journal.Verdict{Kind: journal.Deleted, Entries: int(row.Head.Seq)}
	}
	c := journal.Chain{Entries: entries, Keys: journal.Keys{Console: row.ConsoleKey, Host: row.HostKey}, Head: row.Head}
	if row.Session.Receipt != nil {
		var r grant.Removed
		if grant.Open(row.HostKey, grant.ContextRemoved, *row.Session.Receipt, &r) == nil && r.Session == row.Session.ID {
			c.Host = r.Record
		}
	}
	v := journal.Check(c)
	if v.OK && row.FromServer && !journal.Writers(entries, c.Keys)[row.DocBy] {
		v.OK, v.Kind, v.Reason = false, journal.Unattested, "no console of the record signed what is said beside it"
	}
	return v
}

// RemovalSigned reports whether the host's own signature over its removal is
// kept for the session, and is by the key that was pinned.
func (d *Desk) RemovalSigned(id grant.ID) bool {
	st, err := d.opened()
	if err != nil {
		return false
	}
	row, err := st.Get(d.ctx, id)
	if err != nil || row.Session.Receipt == nil {
		return false
	}
	var r grant.Removed
	return grant.Open(row.HostKey, grant.ContextRemoved, *row.Session.Receipt, &r) == nil && r.Session == id
}

func (d *Desk) opened() (*store.Store, error) {
	var st *store.Store
	if err := d.look(func() error {
		if d.store == nil {
			return notReady()
		}
		st = d.store
		return nil
	}); err != nil {
		return nil, err
	}
	return st, nil
}

// VerdictLevel is how much a verdict is to worry: "complete", "incomplete" (what
// is here is right, and something is not here or not signed yet) or "tampered".
func VerdictLevel(v journal.Verdict) string {
	switch v.Kind {
	case journal.Complete:
		return "complete"
	case journal.Tampered, journal.Contradicted:
		return "tampered"
	}
	return "incomplete"
}

// VerdictWords says in a sentence what a verdict means.
func VerdictWords(v journal.Verdict) string {
	after := ""
	switch {
	case v.Trailing == 1:
		after = " One of them was written after the computer had gone."
	case v.Trailing > 1:
		after = fmt.Sprintf(" %d of them were written after the computer had gone.", v.Trailing)
	}
	switch v.Kind {
	case journal.Complete:
		if v.Closed {
			return fmt.Sprintf("Complete: %d entries, signed by both sides and the same as the customer's copy.", v.Entries) + after
		}
		return fmt.Sprintf("Complete: %d entries, signed by both sides.", v.Entries)
	case journal.Waiting:
		return fmt.Sprintf("Complete: %d entries; %d of them the customer's computer has not signed yet.", v.Entries, v.Waiting)
	case journal.Alone:
		return fmt.Sprintf("Complete: %d entries in an unbroken chain, signed by this console.", v.Entries)
	case journal.Contradicted:
		return "The customer's computer contradicts this record: " + v.Reason + "."
	case journal.Deleted:
		return fmt.Sprintf("Deleted: your company does not keep records for longer. Where its %d entries ended, and the customer's receipt, are kept.", v.Entries)
	case journal.Unattested:
		return fmt.Sprintf("The record's %d entries are whole. What is said beside them (customer, times, state) was not signed by the console that wrote them.", v.Entries)
	case journal.HostKnowsMore:
		return "This record is not complete: " + v.Reason + "."
	}
	return "This record is not whole: " + v.Reason + "."
}
