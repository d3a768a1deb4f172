package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	sqlite3 "github.com/mattn/go-sqlite3"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

// Bounds of what people write beside a session.
const (
	MaxNote = 16 << 10 // bytes of a note
	MaxTag  = 40       // characters of a tag
	MaxTags = 20       // tags of a session
)

// Note is what one person wrote beside a session. It is no part of the record.
type Note struct {
	Author string
	At     time.Time // of the last change
	Text   string
}

// SetNote stores the note of author; an empty text removes it.
func (s *Store) SetNote(ctx context.Context, id grant.ID, author, text string, at time.Time) error {
	if len(text) > MaxNote || !utf8.ValidString(text) {
		return fault.New(fault.Invalid, "store.note", "The note is too long.", "Shorten it.")
	}
	var err error
	if strings.TrimSpace(text) == "" {
		_, err = s.db.ExecContext(ctx, "DELETE FROM note WHERE session = ? AND author = ?", id.String(), author)
	} else {
		_, err = s.db.ExecContext(ctx, "INSERT INTO note (session, author, at, text) VALUES (?,?,?,?) ON CONFLICT (session, author) DO UPDATE SET at = excluded.at, text = excluded.text",
			id.String(), author, at.UnixMicro(), text)
	}
	return unknown(err, "store.note")
}

// Notes returns the notes of a session, the earliest changed first.
func (s *Store) Notes(ctx context.Context, id grant.ID) ([]Note, error) {
	rs, err := s.read.QueryContext(ctx, "SELECT author, at, text FROM note WHERE session = ? ORDER BY at, author", id.String())
	if err != nil {
		return nil, translate(err, "store.note")
	}
	defer rs.Close()
	out := []Note{}
	for rs.Next() {
		var n Note
		var at int64
		if err := rs.Scan(&n.Author, &at, &n.Text); err != nil {
			return nil, translate(err, "store.note")
		}
		n.At = time.UnixMicro(at).UTC()
		out = append(out, n)
	}
	return out, translate(rs.Err(), "store.note")
}

// AddTag puts a tag on a session. Tags that differ in case only are one; the
// writing that is in use already stays.
func (s *Store) AddTag(ctx context.Context, id grant.ID, tag string) error {
	tag = strings.Join(strings.Fields(tag), " ")
	if tag == "" || utf8.RuneCountInString(tag) > MaxTag || !utf8.ValidString(tag) {
		return fault.New(fault.Invalid, "store.tag", "A tag has between 1 and 40 characters.", "Use a shorter word.")
	}
	return unknown(s.tx(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM tag WHERE session = ? AND tag <> ?", id.String(), tag).Scan(&n); err != nil {
			return err
		}
		if n >= MaxTags {
			return fault.New(fault.Limit, "store.tag", "A session has at most 20 tags.", "Remove one first.")
		}
		var known string
		switch err := tx.QueryRowContext(ctx, "SELECT tag FROM tag WHERE tag = ? LIMIT 1", tag).Scan(&known); {
		case err == nil:
			tag = known
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO tag (tag, session) VALUES (?,?) ON CONFLICT DO NOTHING", tag, id.String())
		return err
	}), "store.tag")
}

// RemoveTag takes a tag off a session.
func (s *Store) RemoveTag(ctx context.Context, id grant.ID, tag string) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM tag WHERE tag = ? AND session = ?", tag, id.String())
	return translate(err, "store.tag")
}

// Tags returns the tags of a session, sorted.
func (s *Store) Tags(ctx context.Context, id grant.ID) ([]string, error) {
	rs, err := s.read.QueryContext(ctx, "SELECT tag FROM tag WHERE session = ? ORDER BY tag", id.String())
	if err != nil {
		return nil, translate(err, "store.tag")
	}
	defer rs.Close()
	out := []string{}
	for rs.Next() {
		var t string
		if err := rs.Scan(&t); err != nil {
			return nil, translate(err, "store.tag")
		}
		out = append(out, t)
	}
	return out, translate(rs.Err(), "store.tag")
}

// unknown says that there is no such session where a reference to it failed.
func unknown(err error, op string) error {
	var e sqlite3.Error
	if errors.As(err, &e) && e.ExtendedCode == sqlite3.ErrConstraintForeignKey {
		return fault.New(fault.NotFound, op, "This session is not known here.", "")
	}
	return translate(err, op)
}
