package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
)

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row
}

func insert(ctx context.Context, tx *sql.Tx, e *journal.Entry, aside bool, sent int) error {
	sigs, err := json.Marshal(e.Signatures)
	if err != nil {
		return err
	}
	var details, fact any
	if e.Details != nil {
		details = string(e.Details)
	}
	if e.Fact != nil {
		b, err := json.Marshal(e.Fact)
		if err != nil {
			return err
		}
		fact = string(b)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO entry (session, seq, aside, v, at, actor, kind, text, details, fact, prev, hash, signatures, sent) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		e.Session.String(), int64(e.Seq), aside, e.V, e.At.UnixMicro(), e.Actor, e.Kind, e.Text, details, fact, e.Prev[:], e.Hash[:], string(sigs), sent)
	return err
}

func (s *Store) entries(ctx context.Context, db querier, cond string, args ...any) ([]journal.Entry, error) {
	rs, err := db.QueryContext(ctx, "SELECT session, seq, v, at, actor, kind, text, details, fact, prev, hash, signatures FROM entry "+cond, args...)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	var out []journal.Entry
	for rs.Next() {
		var e journal.Entry
		var at int64
		var id, sigs string
		var details, fact sql.NullString
		var prev, hash []byte
		if err := rs.Scan(&id, &e.Seq, &e.V, &at, &e.Actor, &e.Kind, &e.Text, &details, &fact, &prev, &hash, &sigs); err != nil {
			return nil, err
		}
		if e.Session, err = grant.ParseID(id); err != nil {
			return nil, err
		}
		e.At = time.UnixMicro(at).UTC()
		copy(e.Prev[:], prev)
		copy(e.Hash[:], hash)
		if details.Valid {
			e.Details = json.RawMessage(details.String)
		}
		if fact.Valid {
			err = json.Unmarshal([]byte(fact.String), &e.Fact)
		}
		if err := errors.Join(err, json.Unmarshal([]byte(sigs), &e.Signatures)); err != nil {
			return nil, fault.Wrap(err, fault.Corrupt, "store.read", "A stored entry cannot be read.", "")
		}
		out = append(out, e)
	}
	return out, rs.Err()
}

// EntriesFrom returns at most limit entries of a session's record, from the one
// with number seq on.
func (s *Store) EntriesFrom(ctx context.Context, id grant.ID, seq uint64, limit int) ([]journal.Entry, error) {
	out, err := s.entries(ctx, s.db, "WHERE session = ? AND aside = 0 AND seq >= ? ORDER BY seq LIMIT ?", id.String(), int64(seq), limit)
	return out, translate(err, "store.entries")
}

// Aside returns entries that lost where the record was continued in two places.
func (s *Store) Aside(ctx context.Context, id grant.ID) ([]journal.Entry, error) {
	out, err := s.entries(ctx, s.db, "WHERE session = ? AND aside = 1 ORDER BY seq, hash", id.String())
	return out, translate(err, "store.aside")
}

// Facts returns how many of the host's facts the record holds.
func (s *Store) Facts(ctx context.Context, id grant.ID) (uint64, error) {
	var n uint64
	err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM entry WHERE session = ? AND aside = 0 AND fact IS NOT NULL", id.String()).Scan(&n)
	return n, translate(err, "store.facts")
}

// FirstUnsigned returns the number of the first entry of version 2 that has one
// signature only, 0 if there is none.
func (s *Store) FirstUnsigned(ctx context.Context, id grant.ID) (uint64, error) {
	var n sql.NullInt64
	err := s.db.QueryRowContext(ctx, "SELECT min(seq) FROM entry WHERE session = ? AND aside = 0 AND v > 1 AND json_array_length(signatures) < 2", id.String()).Scan(&n)
	return uint64(n.Int64), translate(err, "store.entries")
}

// Cosign adds the host's signatures to entries of the record. The caller has
// checked them. Entries that are not there are passed over.
func (s *Store) Cosign(ctx context.Context, entries []journal.Entry) error {
	err := s.tx(ctx, func(tx *sql.Tx) error {
		for i := range entries {
			e := &entries[i]
			sigs, err := json.Marshal(e.Signatures)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "UPDATE entry SET signatures = ? WHERE session = ? AND seq = ? AND hash = ?", string(sigs), e.Session.String(), int64(e.Seq), e.Hash[:]); err != nil {
				return err
			}
		}
		return nil
	})
	return translate(err, "store.cosign")
}

// Adopt makes entries, which the host holds and the caller has checked, the
// session's record from the first of them on. They must continue an entry that
// is there (or be the beginning). What the record had in their place is put
// aside; what had come after it too, unless the entries are what it had. It
// returns the record's new head.
func (s *Store) Adopt(ctx context.Context, id grant.ID, entries []journal.Entry) (head journal.Head, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		for i := range entries {
			if err := adopt(ctx, tx, &entries[i], 0); err != nil {
				return err
			}
		}
		head, err = headOf(ctx, tx, id)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE session SET head_seq = ?, head_hash = ? WHERE id = ?", int64(head.Seq), head.Hash[:], id.String())
		return err
	})
	return head, translate(err, "store.adopt")
}

func headOf(ctx context.Context, tx *sql.Tx, id grant.ID) (journal.Head, error) {
	var h journal.Head
	var hash []byte
	err := tx.QueryRowContext(ctx, "SELECT seq, hash FROM entry WHERE session = ? AND aside = 0 ORDER BY seq DESC LIMIT 1", id.String()).Scan(&h.Seq, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return h, nil
	}
	copy(h.Hash[:], hash)
	return h, err
}

func adopt(ctx context.Context, tx *sql.Tx, e *journal.Entry, sent int) error {
	var hash []byte
	var aside bool
	err := tx.QueryRowContext(ctx, "SELECT hash, aside FROM entry WHERE session = ? AND seq = ? AND hash = ?", e.Session.String(), int64(e.Seq), e.Hash[:]).Scan(&hash, &aside)
	known := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	sigs, err := json.Marshal(e.Signatures)
	if err != nil {
		return err
	}
	if known && !aside {
		_, err := tx.ExecContext(ctx, "UPDATE entry SET signatures = ?, sent = max(sent, ?) WHERE session = ? AND seq = ? AND hash = ? AND json_array_length(signatures) < json_array_length(?)",
			string(sigs), sent, e.Session.String(), int64(e.Seq), e.Hash[:], string(sigs))
		return err
	}
	if e.Seq > 1 {
		err := tx.QueryRowContext(ctx, "SELECT 1 FROM entry WHERE session = ? AND seq = ? AND hash = ? AND aside = 0", e.Session.String(), int64(e.Seq-1), e.Prev[:]).Scan(new(int))
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.Conflict, "store.adopt", "The record of this session has a gap.", "It is read again from the beginning.")
		}
		if err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE entry SET aside = 1 WHERE session = ? AND seq >= ? AND aside = 0", e.Session.String(), int64(e.Seq)); err != nil {
		return err
	}
	if known {
		_, err := tx.ExecContext(ctx, "UPDATE entry SET aside = 0, signatures = ? WHERE session = ? AND seq = ? AND hash = ?", string(sigs), e.Session.String(), int64(e.Seq), e.Hash[:])
		return err
	}
	return insert(ctx, tx, e, false, sent)
}

// document returns what is stored of the session and what it is found by.
func document(r Row) (doc []byte, search string, err error) {
	x := r.Session
	if doc, err = json.Marshal(x); err != nil {
		return nil, "", err
	}
	text := []string{x.Customer.Email, x.Customer.Name, x.Customer.Subject, x.Technician}
	if x.Host != nil {
		text = append(text, x.Host.Computer, x.Host.User, x.Host.OS)
	}
	return doc, strings.ToLower(strings.Join(text, "\n")), nil
}

// Unsent is what the server does not have of one session.
type Unsent struct {
	Row     Row
	Doc     bool // the session's document too
	Sum     [32]byte
	Entries []journal.Entry
}

// Unsent returns up to sessions sessions of this console with something that the
// server does not have, each with at most limit entries. Entries that the host
// has not signed are there only if they are older than wait, so that most are
// sent once. Aside ones are sent as well.
func (s *Store) Unsent(ctx context.Context, now time.Time, wait time.Duration, sessions, limit int) ([]Unsent, error) {
	out, err := s.unsent(ctx, now, wait, sessions, limit)
	return out, translate(err, "store.unsent")
}

// texts reads the one column of rs and closes it: the connection is wanted again.
func texts(rs *sql.Rows) (out []string, err error) {
	defer func() { err = errors.Join(err, rs.Close()) }()
	for rs.Next() {
		var x string
		if err := rs.Scan(&x); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, rs.Err()
}

func (s *Store) unsent(ctx context.Context, now time.Time, wait time.Duration, sessions, limit int) ([]Unsent, error) {
	// Nobody signs any more what comes after the end.
	const due = "(sent < 2 AND json_array_length(signatures) > 1 OR sent = 0 AND (at < ? OR session IN (SELECT id FROM session WHERE state IN ('ended', 'removed', 'unconfirmed'))))"
	before := now.Add(-wait).UnixMicro()
	rs, err := s.db.QueryContext(ctx, `SELECT id FROM session WHERE origin = 'here' AND pruned IS NULL AND (sent IS NULL OR id IN (SELECT session FROM entry WHERE `+due+` AND sent < 2)) ORDER BY created LIMIT ?`, before, sessions)
	if err != nil {
		return nil, err
	}
	ids, err := texts(rs)
	if err != nil {
		return nil, err
	}
	var out []Unsent
	for _, id := range ids {
		rows, err := s.rows(ctx, "WHERE id = ?", id)
		if err != nil {
			return nil, err
		}
		u := Unsent{Row: rows[0]}
		var sent []byte
		if err := s.db.QueryRowContext(ctx, "SELECT sent FROM session WHERE id = ?", id).Scan(&sent); err != nil {
			return nil, err
		}
		if u.Sum, err = docSum(u.Row); err != nil {
			return nil, err
		}
		u.Doc = string(sent) != string(u.Sum[:])
		if u.Entries, err = s.entries(ctx, s.db, "WHERE session = ? AND "+due+" ORDER BY seq LIMIT ?", id, before, limit); err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

func docSum(r Row) ([32]byte, error) {
	doc, _, err := document(r)
	// The word in front is of the form in which it travels: signed.
	return sha256.Sum256(slices.Concat([]byte("signed\x00"), doc, r.ConsoleKey[:], r.HostKey[:])), err
}

// Sent says that the server took what Unsent returned.
func (s *Store) Sent(ctx context.Context, u Unsent) error {
	err := s.tx(ctx, func(tx *sql.Tx) error {
		id := u.Row.Session.ID.String()
		for i := range u.Entries {
			e := &u.Entries[i]
			n := 1
			if len(e.Signatures) > 1 {
				n = 2
			}
			if _, err := tx.ExecContext(ctx, "UPDATE entry SET sent = max(sent, ?) WHERE session = ? AND seq = ? AND hash = ?", n, id, int64(e.Seq), e.Hash[:]); err != nil {
				return err
			}
		}
		if !u.Doc {
			return nil
		}
		_, err := tx.ExecContext(ctx, "UPDATE session SET sent = ? WHERE id = ?", u.Sum[:], id)
		return err
	})
	return translate(err, "store.sent")
}

// Resend makes everything of this console unsent: the server lost it, or the
// company has another history key.
func (s *Store) Resend(ctx context.Context) error {
	err := s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE entry SET sent = 0 WHERE session IN (SELECT id FROM session WHERE origin = 'here')"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE session SET sent = NULL WHERE origin = 'here'")
		return err
	})
	return translate(err, "store.resend")
}
