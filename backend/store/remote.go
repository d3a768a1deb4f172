package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
)

// PutRemote stores a colleague's session as the server had it, and entries of
// its record, in any order; what is there already stays. doc nil: the session is
// there already. The caller has checked that doc.DocBy signed it.
//
// Anybody who knows the company's public key can have sealed any of it. So keys
// that are known do not change, a document takes another's place only if a console
// of the record signed it, and an entry only if it has more of the signatures of
// the console and the computer that are known.
func (s *Store) PutRemote(ctx context.Context, id grant.ID, doc *Row, entries []journal.Entry) error {
	err := s.tx(ctx, func(tx *sql.Tx) error {
		if gone, err := isPruned(ctx, tx, id); err != nil || gone {
			return err // it is not kept any more, also if the server still is to delete it
		}
		row, err := remote(ctx, tx, id)
		if errors.Is(err, sql.ErrNoRows) {
			if doc == nil {
				return fault.New(fault.NotFound, "store.put", "Entries came before their session.", "")
			}
			if err := putDoc(ctx, tx, *doc); err != nil {
				return err
			}
			row, doc = *doc, nil
			row.FromServer = true
		} else if err != nil {
			return err
		}
		if !row.FromServer {
			return nil // what we wrote ourselves we have better
		}
		if doc != nil && row.ConsoleKey.IsZero() { // entries came before it
			row.ConsoleKey = doc.ConsoleKey
		}
		if doc != nil && row.HostKey.IsZero() {
			row.HostKey = doc.HostKey
		}
		for i := range entries {
			if err := s.putEntry(ctx, tx, &row, &entries[i]); err != nil {
				return err
			}
		}
		if doc != nil {
			if err := s.replaceDoc(ctx, tx, id, *doc); err != nil {
				return err
			}
		}
		head, err := headOf(ctx, tx, id)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE session SET head_seq = ?, head_hash = ? WHERE id = ?", int64(head.Seq), head.Hash[:], id.String())
		return err
	})
	return translate(err, "store.put")
}

// remote reads the keys of a session.
func remote(ctx context.Context, tx *sql.Tx, id grant.ID) (r Row, err error) {
	var ck, hk, by []byte
	err = tx.QueryRowContext(ctx, "SELECT origin = 'server', console_key, host_key, doc_by FROM session WHERE id = ?", id.String()).Scan(&r.FromServer, &ck, &hk, &by)
	copy(r.ConsoleKey[:], ck)
	copy(r.HostKey[:], hk)
	copy(r.DocBy[:], by)
	return r, err
}

// replaceDoc stores another document of a session that is here.
func (s *Store) replaceDoc(ctx context.Context, tx *sql.Tx, id grant.ID, next Row) error {
	row, err := remote(ctx, tx, id)
	if err != nil {
		return err
	}
	begun := false // the record's beginning is here
	proven := false
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM entry WHERE session = ?1 AND seq = 1 AND aside = 0),
		EXISTS (SELECT 1 FROM entry WHERE session = ?1 AND aside = 0 AND (fact IS NOT NULL OR json_array_length(signatures) > 1))`, id.String()).Scan(&begun, &proven); err != nil {
		return err
	}
	same := !next.DocBy.IsZero() && next.DocBy == row.DocBy
	if !row.DocBy.IsZero() && !same && next.DocBy != row.ConsoleKey {
		moved, err := s.moved(ctx, tx, id, row.HostKey)
		if err != nil || !moved[next.DocBy] {
			return err // by nobody who wrote this record: what is here stays
		}
	}
	// Who signed before may correct what nothing has been proven with yet: the host
	// that was pinned for a moment, and who began a record that was not here.
	if row.ConsoleKey.IsZero() || same && row.ConsoleKey == row.DocBy && !begun {
		row.ConsoleKey = next.ConsoleKey
	}
	if row.HostKey.IsZero() || same && !proven {
		row.HostKey = next.HostKey
	}
	next.ConsoleKey, next.HostKey = row.ConsoleKey, row.HostKey
	return putDoc(ctx, tx, next)
}

func putDoc(ctx context.Context, tx *sql.Tx, r Row) error {
	doc, search, err := document(r)
	if err != nil {
		return err
	}
	x := r.Session
	_, err = tx.ExecContext(ctx, `INSERT INTO session (id, state, email, search, created, doc, console_key, host_key, doc_by, origin)
		VALUES (?,?,?,?,?,?,?,?,?,'server') ON CONFLICT (id) DO UPDATE SET state=excluded.state, email=excluded.email, search=excluded.search,
		created=excluded.created, doc=excluded.doc, console_key=excluded.console_key, host_key=excluded.host_key, doc_by=excluded.doc_by WHERE origin = 'server'`,
		x.ID.String(), string(x.State), x.Customer.Email, search, x.Created.UnixMicro(), string(doc), r.ConsoleKey[:], r.HostKey[:], r.DocBy[:])
	return err
}

// moved returns the consoles that the host says the record went on at.
func (s *Store) moved(ctx context.Context, tx *sql.Tx, id grant.ID, host grant.Key) (map[grant.Key]bool, error) {
	es, err := s.entries(ctx, tx, "WHERE session = ? AND kind = ? AND fact IS NOT NULL AND aside = 0", id.String(), journal.KindMovedHere)
	if err != nil {
		return nil, err
	}
	return journal.Writers(es, journal.Keys{Host: host}), nil
}

// worth is how much speaks for an entry: its console signed it, that console is
// one of the record, the computer that is pinned signed it. 0: it is no entry.
func (s *Store) worth(ctx context.Context, tx *sql.Tx, row *Row, e *journal.Entry) (n int, err error) {
	c := e.SignatureOf(journal.Console)
	if c == nil || !e.SignedAs(journal.Console, c.Key) {
		return 0, nil
	}
	n = 1
	if known := c.Key == row.ConsoleKey; known {
		n++
	} else {
		moved, err := s.moved(ctx, tx, e.Session, row.HostKey)
		if err != nil {
			return 0, err
		}
		if moved[c.Key] {
			n++
		}
	}
	if e.SignedAs(journal.Host, row.HostKey) {
		n += 2
	}
	return n, nil
}

// putEntry stores an entry. Where the record was continued in two places the one
// with more true signatures is the record and the other is put aside.
func (s *Store) putEntry(ctx context.Context, tx *sql.Tx, row *Row, e *journal.Entry) error {
	worth, err := s.worth(ctx, tx, row, e)
	if err != nil || worth == 0 {
		return err
	}
	here, err := s.entries(ctx, tx, "WHERE session = ? AND seq = ? AND (aside = 0 OR hash = ?) ORDER BY aside", e.Session.String(), int64(e.Seq), e.Hash[:])
	if err != nil {
		return err
	}
	better, known := len(here) == 0, false
	for i := range here {
		if here[i].Hash == e.Hash {
			known = true
		}
		if i == 0 {
			has, err := s.worth(ctx, tx, row, &here[0])
			if err != nil {
				return err
			}
			better = worth > has
		}
	}
	switch {
	case !known && len(here) == 0:
		return insert(ctx, tx, e, false, 2)
	case !known && !better:
		return insert(ctx, tx, e, true, 2)
	case !better:
		return nil
	}
	if _, err := tx.ExecContext(ctx, "UPDATE entry SET aside = 1 WHERE session = ? AND seq = ? AND aside = 0 AND hash <> ?", e.Session.String(), int64(e.Seq), e.Hash[:]); err != nil {
		return err
	}
	if !known {
		return insert(ctx, tx, e, false, 2)
	}
	b, err := json.Marshal(e.Signatures)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE entry SET aside = 0, signatures = ? WHERE session = ? AND seq = ? AND hash = ?", string(b), e.Session.String(), int64(e.Seq), e.Hash[:])
	return err
}
