// Package sqlite keeps the signaling server's data in one SQLite file: WAL,
// synchronous=FULL, STRICT tables, foreign keys, one writer. It must not know
// HTTP or the rules of a session.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a store.Store in one file.
type Store struct {
	w *sql.DB // the one writer; transactions begin immediate
	r *sql.DB // readers
}

var _ store.Store = (*Store)(nil)

// Open opens or makes the database in file, checks it, and brings its schema up
// to date. Errors: store.ErrCorrupt, store.ErrNewer, store.ErrFull.
func Open(ctx context.Context, file string) (*Store, error) {
	// SQLite would make the file with the umask's mode.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", full(err))
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("sqlite: %w", full(err))
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	base := (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String()
	opts := "?_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&_busy_timeout=5000&_txlock=immediate"
	w, err := sql.Open("sqlite3", base+opts)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	w.SetMaxOpenConns(1)
	r, err := sql.Open("sqlite3", base+"?_query_only=1&_foreign_keys=1&_busy_timeout=5000")
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	r.SetMaxOpenConns(4)
	s := &Store{w: w, r: r}
	if err := s.start(ctx); err != nil {
		s.w.Close()
		s.r.Close()
		return nil, full(err)
	}
	return s, nil
}

func (s *Store) start(ctx context.Context) error {
	var verdict string
	if err := s.w.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("sqlite: integrity check: %w", full(err))
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", store.ErrCorrupt, verdict)
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	slices.Sort(names)
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var have int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	if have > len(names) {
		return fmt.Errorf("%w: schema %d, this program knows %d", store.ErrNewer, have, len(names))
	}
	for i, n := range names {
		if v, err := strconv.Atoi(strings.SplitN(filepath.Base(n), "_", 2)[0]); err != nil || v != i+1 {
			return fmt.Errorf("sqlite: migration %s is not number %d", n, i+1)
		}
		if i < have {
			continue
		}
		b, err := migrations.ReadFile(n)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(b)); err != nil {
			return fmt.Errorf("sqlite: %s: %w", n, err)
		}
	}
	if _, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(len(names))); err != nil {
		return err
	}
	return tx.Commit()
}

// Close folds the write-ahead log into the file and closes it.
func (s *Store) Close() error {
	_, err := s.w.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	return errors.Join(full(err), s.r.Close(), s.w.Close())
}

// Backup writes a consistent copy into file, which must not exist.
func (s *Store) Backup(ctx context.Context, file string) error {
	_, err := s.w.ExecContext(ctx, "VACUUM INTO ?", file)
	if err != nil {
		return fmt.Errorf("sqlite: backup: %w", full(err))
	}
	return os.Chmod(file, 0o600)
}

// full translates SQLite's errors into those of the seam.
func full(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	var e sqlite3.Error
	if errors.As(err, &e) {
		switch e.Code {
		case sqlite3.ErrFull:
			return fmt.Errorf("%w: %w", store.ErrFull, err)
		case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
			return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
		case sqlite3.ErrIoErr:
			// A write that fails for want of space may come as an I/O error.
			if e.SystemErrno != 0 && noSpace(e.SystemErrno) {
				return fmt.Errorf("%w: %w", store.ErrFull, err)
			}
		case sqlite3.ErrConstraint:
			if e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey {
				return fmt.Errorf("%w: %w", store.ErrConflict, err)
			}
		}
	}
	if noSpace(err) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}

// write runs f in the one write transaction.
func (s *Store) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return full(err)
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return full(err)
	}
	return full(tx.Commit())
}

func ms(t time.Time) int64 { return t.UnixMilli() }

func msOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func at(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// audit appends an entry to the chain, inside the caller's transaction.
func audit(ctx context.Context, tx *sql.Tx, now time.Time, company, session grant.ID, by store.Actor, kind string, detail any) error {
	if detail == nil {
		detail = struct{}{}
	}
	d, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	e := store.Entry{At: now, Company: company, Session: session, Actor: by, Kind: kind, Detail: d}
	var prev []byte
	err = tx.QueryRowContext(ctx, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").Scan(&e.Seq, &prev)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	copy(e.Prev[:], prev)
	e.Seq++
	e.Hash = e.Sum()
	_, err = tx.ExecContext(ctx, "INSERT INTO audit (seq, at, company_id, session_id, actor_kind, actor_id, kind, detail, prev, hash) VALUES (?,?,?,?,?,?,?,?,?,?)",
		e.Seq, ms(e.At), e.Company[:], e.Session[:], by.Kind, by.ID, kind, string(d), e.Prev[:], e.Hash[:])
	return err
}

// CreateAdmin adds a profile, and its company where there is none of that name.
func (s *Store) CreateAdmin(ctx context.Context, p store.Profile) (store.Profile, error) {
	err := s.write(ctx, func(tx *sql.Tx) error {
		var id []byte
		err := tx.QueryRowContext(ctx, "SELECT id FROM companies WHERE name = ?", p.Company.Name).Scan(&id)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			c := p.Company
			c.Created = p.Created
			if err := addCompany(ctx, tx, c, store.Actor{Kind: "local"}); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			p.Company.ID = grant.ID(id)
		}
		if err := addProfile(ctx, tx, p); err != nil {
			return err
		}
		return audit(ctx, tx, p.Created, p.Company.ID, grant.ID{}, store.Actor{Kind: "local"}, "person.create", map[string]any{"profile": p.ID, "name": p.Name, "roles": p.Roles, "rights": p.Rights})
	})
	if err != nil {
		return store.Profile{}, err
	}
	return s.Profile(ctx, p.ID)
}

func nilIfEmpty(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func profile(ctx context.Context, q querier, where string, arg any) (store.Profile, error) {
	var (
		p             store.Profile
		id, cid, totp []byte
		pending       []byte
		roles         sql.NullString
		policy        string
		made, cmade   int64
	)
	err := q.QueryRowContext(ctx, `SELECT p.id, p.email, p.name, p.password, p.totp_seed, p.totp_pending, p.totp_last, p.local, p.rights, p.disabled, p.created_at,
		c.id, c.name, c.max_sessions, c.max_per_profile, c.rights, c.suspended, c.policy, c.created_at,
		(SELECT group_concat(role) FROM (SELECT role FROM roles WHERE profile_id = p.id ORDER BY role))
		FROM profiles p JOIN companies c ON c.id = p.company_id WHERE `+where, arg).
		Scan(&id, &p.Email, &p.Name, &p.Password, &totp, &pending, &p.Step, &p.Local, &p.Rights, &p.Disabled, &made,
			&cid, &p.Company.Name, &p.Company.MaxSessions, &p.Company.MaxPerProfile, &p.Company.Rights, &p.Company.Suspended, &policy, &cmade, &roles)
	if err != nil {
		return p, full(err)
	}
	copy(p.ID[:], id)
	copy(p.Company.ID[:], cid)
	if err := json.Unmarshal([]byte(policy), &p.Company.Policy); err != nil {
		return p, fmt.Errorf("%w: policy of %s: %w", store.ErrCorrupt, p.Company.ID, err)
	}
	p.Pending = pending
	p.TOTP, p.Created, p.Company.Created = totp, time.UnixMilli(made).UTC(), time.UnixMilli(cmade).UTC()
	if roles.String != "" {
		p.Roles = strings.Split(roles.String, ",")
	}
	return p, nil
}

// ProfileByEmail finds a person by address, whatever its case.
func (s *Store) ProfileByEmail(ctx context.Context, email string) (store.Profile, error) {
	return profile(ctx, s.r, "p.email = ?", email)
}

// Profile finds a person.
func (s *Store) Profile(ctx context.Context, id grant.ID) (store.Profile, error) {
	return profile(ctx, s.r, "p.id = ?", id[:])
}

func putTokens(ctx context.Context, tx *sql.Tx, family grant.ID, generation int64, t store.NewTokens) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO tokens (hash, family_id, kind, generation, expires_at) VALUES (?,?,'access',?,?), (?,?,'refresh',?,?)",
		t.Access[:], family[:], generation, ms(t.AccessExpires), t.Refresh[:], family[:], generation, ms(t.RefreshExpires))
	return err
}

// SignIn binds the console and starts a family.
func (s *Store) SignIn(ctx context.Context, who grant.ID, key grant.Key, name string, t store.NewTokens, now time.Time) (store.Console, error) {
	c := store.Console{ID: grant.NewID(), Profile: who, Key: key, Name: name}
	err := s.write(ctx, func(tx *sql.Tx) error {
		var id, company []byte
		if err := tx.QueryRowContext(ctx, `INSERT INTO consoles (id, profile_id, key, name, created_at, seen_at) VALUES (?,?,?,?,?,?)
			ON CONFLICT (profile_id, key) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at, revoked_at = NULL RETURNING id`,
			c.ID[:], who[:], key[:], name, ms(now), ms(now)).Scan(&id); err != nil {
			return err
		}
		copy(c.ID[:], id)
		if err := tx.QueryRowContext(ctx, "SELECT company_id FROM profiles WHERE id = ?", who[:]).Scan(&company); err != nil {
			return err
		}
		family := grant.NewID()
		if _, err := tx.ExecContext(ctx, "INSERT INTO families (id, console_id, created_at) VALUES (?,?,?)", family[:], c.ID[:], ms(now)); err != nil {
			return err
		}
		// What is over is of no use to anybody.
		if _, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE expires_at < ?", ms(now.Add(-24*time.Hour))); err != nil {
			return err
		}
		if err := putTokens(ctx, tx, family, 0, t); err != nil {
			return err
		}
		return audit(ctx, tx, now, grant.ID(company), grant.ID{}, store.Actor{Kind: "console", ID: c.ID.String()}, "console.signin", map[string]any{"profile": who})
	})
	return c, err
}

// KnownConsole reports whether key has signed in as the profile before.
func (s *Store) KnownConsole(ctx context.Context, who grant.ID, key grant.Key) (bool, error) {
	var n int
	err := s.r.QueryRowContext(ctx, "SELECT count(*) FROM consoles WHERE profile_id = ? AND key = ? AND revoked_at IS NULL", who[:], key[:]).Scan(&n)
	return n > 0, full(err)
}

// UseTOTP marks a time step as used.
func (s *Store) UseTOTP(ctx context.Context, who grant.ID, step int64) (bool, error) {
	fresh := false
	err := s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE profiles SET totp_last = ? WHERE id = ? AND totp_last < ?", step, who[:], step)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		fresh = n == 1
		return err
	})
	return fresh, err
}

// Access returns whom a token speaks for.
func (s *Store) Access(ctx context.Context, access store.Hash, now time.Time) (store.Auth, error) {
	var (
		a                  store.Auth
		fam, cid, pid, key []byte
	)
	err := s.r.QueryRowContext(ctx, `SELECT f.id, c.id, c.profile_id, c.key, c.name FROM tokens t JOIN families f ON f.id = t.family_id JOIN consoles c ON c.id = f.console_id
		WHERE t.hash = ? AND t.kind = 'access' AND t.expires_at > ? AND f.revoked_at IS NULL AND c.revoked_at IS NULL`, access[:], ms(now)).
		Scan(&fam, &cid, &pid, &key, &a.Console.Name)
	if err != nil {
		return a, full(err)
	}
	copy(a.Family[:], fam)
	copy(a.Console.ID[:], cid)
	copy(a.Console.Profile[:], pid)
	copy(a.Console.Key[:], key)
	a.Profile, err = s.Profile(ctx, a.Console.Profile)
	if err == nil && (a.Profile.Disabled || a.Profile.Company.Suspended) {
		return a, store.ErrNotFound
	}
	return a, err
}

// Rotate replaces a refresh token; see store.Store.
func (s *Store) Rotate(ctx context.Context, refresh store.Hash, key grant.Key, t store.NewTokens, now time.Time) (store.Console, grant.ID, error) {
	var (
		c      store.Console
		family grant.ID
		reuse  bool
	)
	err := s.write(ctx, func(tx *sql.Tx) error {
		var (
			fam, cid, pid, ckey, company []byte
			gen                          int64
			used                         sql.NullInt64
		)
		err := tx.QueryRowContext(ctx, `SELECT f.id, c.id, c.profile_id, c.key, c.name, p.company_id, t.generation, t.used_at
			FROM tokens t JOIN families f ON f.id = t.family_id JOIN consoles c ON c.id = f.console_id JOIN profiles p ON p.id = c.profile_id JOIN companies m ON m.id = p.company_id
			WHERE t.hash = ? AND t.kind = 'refresh' AND t.expires_at > ? AND f.revoked_at IS NULL AND c.revoked_at IS NULL AND p.disabled = 0 AND m.suspended = 0`, refresh[:], ms(now)).
			Scan(&fam, &cid, &pid, &ckey, &c.Name, &company, &gen, &used)
		if err != nil {
			return err
		}
		copy(family[:], fam)
		copy(c.ID[:], cid)
		copy(c.Profile[:], pid)
		copy(c.Key[:], ckey)
		if c.Key != key {
			return store.ErrNotFound // a token without its console's key is worth nothing
		}
		if used.Valid {
			var later int
			if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM tokens WHERE family_id = ? AND (generation > ? OR generation = ? AND used_at IS NOT NULL)",
				family[:], gen+1, gen+1).Scan(&later); err != nil {
				return err
			}
			if later > 0 {
				reuse = true
				if _, err := tx.ExecContext(ctx, "UPDATE families SET revoked_at = ? WHERE id = ?", ms(now), family[:]); err != nil {
					return err
				}
				return audit(ctx, tx, now, grant.ID(company), grant.ID{}, store.Actor{Kind: "server"}, "console.token_reuse", map[string]any{"console": c.ID})
			}
			// The answer got lost: what it carried was never used and is replaced.
			if _, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE family_id = ? AND generation = ?", family[:], gen+1); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "UPDATE tokens SET used_at = ? WHERE hash = ?", ms(now), refresh[:]); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE consoles SET seen_at = ? WHERE id = ?", ms(now), c.ID[:]); err != nil {
			return err
		}
		// Older generations are spent; the last one stays, to notice its reuse.
		if _, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE family_id = ? AND kind = 'access' AND generation < ?", family[:], gen); err != nil {
			return err
		}
		return putTokens(ctx, tx, family, gen+1, t)
	})
	if err == nil && reuse {
		err = store.ErrReuse
	}
	return c, family, err
}

// Revoke ends a sign-in.
func (s *Store) Revoke(ctx context.Context, family grant.ID, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var console, who, company []byte
		err := tx.QueryRowContext(ctx, `UPDATE families SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING console_id,
			(SELECT profile_id FROM consoles c WHERE c.id = console_id), (SELECT p.company_id FROM consoles c JOIN profiles p ON p.id = c.profile_id WHERE c.id = console_id)`,
			ms(now), family[:]).Scan(&console, &who, &company)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, now, grant.ID(company), grant.ID{}, store.Actor{Kind: "console", ID: grant.ID(console).String()}, "console.signout", map[string]any{"profile": grant.ID(who)})
	})
}

// Head returns the newest audit entry.
func (s *Store) Head(ctx context.Context) (store.Entry, error) {
	var e store.Entry
	err := s.entries(ctx, "ORDER BY seq DESC LIMIT 1", func(x store.Entry) error { e = x; return nil })
	return e, err
}

// Audit walks the chain.
func (s *Store) Audit(ctx context.Context, f func(store.Entry) error) error {
	return s.entries(ctx, "ORDER BY seq", f)
}

func (s *Store) entries(ctx context.Context, tail string, f func(store.Entry) error, args ...any) error {
	rows, err := s.r.QueryContext(ctx, "SELECT seq, at, company_id, session_id, actor_kind, actor_id, kind, detail, prev, hash FROM audit "+tail, args...)
	if err != nil {
		return full(err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			e                         store.Entry
			when                      int64
			company, session, prev, h []byte
			detail                    string
		)
		if err := rows.Scan(&e.Seq, &when, &company, &session, &e.Actor.Kind, &e.Actor.ID, &e.Kind, &detail, &prev, &h); err != nil {
			return full(err)
		}
		e.At, e.Detail = time.UnixMilli(when).UTC(), json.RawMessage(detail)
		copy(e.Company[:], company)
		copy(e.Session[:], session)
		copy(e.Prev[:], prev)
		copy(e.Hash[:], h)
		if err := f(e); err != nil {
			return err
		}
	}
	return full(rows.Err())
}

// AddCheckpoint stores a signed checkpoint; one a place in the chain.
func (s *Store) AddCheckpoint(ctx context.Context, c store.Checkpoint) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO checkpoints (seq, hash, at, sig) VALUES (?,?,?,?) ON CONFLICT DO NOTHING", c.Seq, c.Hash[:], ms(c.At), c.Sig)
		return err
	})
}

// Checkpoints returns all checkpoints in order.
func (s *Store) Checkpoints(ctx context.Context) ([]store.Checkpoint, error) {
	rows, err := s.r.QueryContext(ctx, "SELECT seq, hash, at, sig FROM checkpoints ORDER BY seq")
	if err != nil {
		return nil, full(err)
	}
	defer rows.Close()
	var out []store.Checkpoint
	for rows.Next() {
		var (
			c    store.Checkpoint
			h    []byte
			when int64
		)
		if err := rows.Scan(&c.Seq, &h, &when, &c.Sig); err != nil {
			return nil, full(err)
		}
		copy(c.Hash[:], h)
		c.At = time.UnixMilli(when).UTC()
		out = append(out, c)
	}
	return out, full(rows.Err())
}

// Instance binds a host program to its key.
func (s *Store) Instance(ctx context.Context, session grant.ID, i protocol.Instance, key grant.Key, now time.Time, most int, keep []protocol.Instance) error {
	// The usual case, a program that comes back, needs no write.
	var known []byte
	err := s.r.QueryRowContext(ctx, "SELECT key FROM instances WHERE session_id = ? AND instance = ?", session[:], i[:]).Scan(&known)
	if err == nil {
		if grant.Key(known) != key {
			return store.ErrConflict
		}
		return nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return full(err)
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT instance, key FROM instances WHERE session_id = ? ORDER BY seen_at", session[:])
		if err != nil {
			return err
		}
		defer rows.Close()
		n, victim := 0, []byte(nil)
		for rows.Next() {
			var in, k []byte
			if err := rows.Scan(&in, &k); err != nil {
				return err
			}
			if protocol.Instance(in) == i {
				if grant.Key(k) != key {
					return store.ErrConflict
				}
				return nil
			}
			n++
			if victim == nil && !slices.Contains(keep, protocol.Instance(in)) {
				victim = in
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		rows.Close()
		if n >= most {
			if victim == nil {
				return errTooMany
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM instances WHERE session_id = ? AND instance = ?", session[:], victim); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO instances (session_id, instance, key, seen_at) VALUES (?,?,?,?)", session[:], i[:], key[:], ms(now))
		return err
	})
}

var errTooMany = &store.NoPlace{Scope: "instances"}
