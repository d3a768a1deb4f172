package store

import (
	"context"
	"database/sql"
	"time"

	"daypass/backend/grant"
	"daypass/backend/session"
)

// pruneStep bounds the sessions of one transaction: others wait for it.
const pruneStep = 100

// Prune deletes what is here of sessions that ended before ended: whom they were
// for, the record, notes and tags. What stays is said by Row.Pruned's session:
// times, technician, how it ended, the head of the record and the host's signed
// last word, so that a copy that somebody else kept can still be checked. It
// returns how many sessions that were. What is deleted is overwritten in the
// file.
func (s *Store) Prune(ctx context.Context, ended, now time.Time) (int, error) {
	all := 0
	for {
		n, err := s.pruneSome(ctx, ended, now)
		if all += n; err != nil || n == 0 {
			if err == nil && all > 0 {
				err = s.wipe(ctx)
			}
			return all, translate(err, "store.prune")
		}
	}
}

func (s *Store) pruneSome(ctx context.Context, ended, now time.Time) (int, error) {
	if _, err := s.db.ExecContext(ctx, "PRAGMA secure_delete = ON"); err != nil {
		return 0, err
	}
	n := 0
	err := s.tx(ctx, func(tx *sql.Tx) error {
		// A session lasts for days at most; one without an end counts from its beginning.
		ids, err := list(ctx, tx, `SELECT id FROM session WHERE pruned IS NULL AND created < ?1 AND state IN ('ended','removed','unconfirmed')
			AND coalesce(julianday(json_extract(doc, '$.ended_at')), 0) < julianday(?2) ORDER BY created LIMIT ?3`,
			ended.UnixMicro(), ended.UTC().Format(time.RFC3339), pruneStep)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := prune(ctx, tx, id, now); err != nil {
				return err
			}
		}
		n = len(ids)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func prune(ctx context.Context, tx *sql.Tx, id string, now time.Time) error {
	r, err := oneRow(ctx, tx, id)
	if err != nil {
		return err
	}
	x := r.Session
	r.Session = session.Session{
		ID: x.ID, State: x.State, Mine: x.Mine, Technician: x.Technician, Created: x.Created, Invite: x.Invite, Rights: x.Rights, Activated: x.Activated, Expires: x.Expires,
		EndedAt: x.EndedAt, EndedBy: x.EndedBy, WasActive: x.WasActive, Clean: x.Clean, Receipt: x.Receipt, Put: true,
	}
	doc, search, err := document(r)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{"UPDATE session SET pruned = ?, doc = ?, search = ?, email = '' WHERE id = ?", []any{now.UnixMicro(), string(doc), search, id}},
		{"DELETE FROM entry WHERE session = ?", []any{id}},
		{"DELETE FROM note WHERE session = ?", []any{id}},
		{"DELETE FROM tag WHERE session = ?", []any{id}},
	} {
		if _, err := tx.ExecContext(ctx, step.sql, step.args...); err != nil {
			return err
		}
	}
	return index(ctx, tx, id)
}

func oneRow(ctx context.Context, tx *sql.Tx, id string) (Row, error) {
	rs, err := tx.QueryContext(ctx, "SELECT "+columns+" FROM session s WHERE id = ?", id)
	if err != nil {
		return Row{}, err
	}
	defer rs.Close()
	var r Row
	if !rs.Next() {
		return r, sql.ErrNoRows
	}
	err = scan(rs, &r)
	return r, err
}

// wipe takes deleted words out of the index, and what was deleted out of the
// journal of SQLite.
func (s *Store) wipe(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, "INSERT INTO history_words (history_words) VALUES ('optimize')"); err != nil {
		return err
	}
	// Readers may hold the journal: then the next checkpoint does it.
	_, err := s.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// Pruned returns how many sessions of the history were deleted by Prune.
func (s *Store) Pruned(ctx context.Context) (int, error) {
	var n int
	err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM session WHERE pruned IS NOT NULL").Scan(&n)
	return n, translate(err, "store.prune")
}

func isPruned(ctx context.Context, q querier, id grant.ID) (bool, error) {
	var yes bool
	err := q.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM session WHERE id = ? AND pruned IS NOT NULL)", id.String()).Scan(&yes)
	return yes, err
}
