package desk

import (
	"fmt"

	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/store"
)

// History returns a page of the stored sessions and the number of all that
// match.
func (d *Desk) History(q store.Query) (int, []store.Row, error) {
	st, err := d.opened()
	if err != nil {
		return 0, nil, err
	}
	return st.List(d.ctx, q)
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
	return entries, journal.Verify(entries, journal.Keys{Console: row.ConsoleKey, Host: row.HostKey}, row.Head), nil
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

// VerdictWords says in a sentence what a verdict means.
func VerdictWords(v journal.Verdict) string {
	switch {
	case !v.OK:
		return "This record is not whole: " + v.Reason + "."
	case v.Entries > 0 && v.Both == v.Entries:
		return fmt.Sprintf("Complete: %d entries, signed by both sides.", v.Entries)
	}
	return fmt.Sprintf("Complete: %d entries in an unbroken chain, signed by this console.", v.Entries)
}
