// Package store keeps what a console knows in one SQLite file: sessions, their
// records and settings. It must not know secrets (those lie in the vault of
// backend/account), nor what the facts mean.
package store

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/session"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is one console's database. Its methods are safe for concurrent use;
// writes happen one after the other.
type Store struct {
	db   *sql.DB // the one writer
	read *sql.DB // lists, searches, exports: none waits for a write, nor a write for them

	checked bool // set by Open: the file was read and is sound
}

// Open opens or makes the database in file, brings its schema up to date and
// checks its integrity (a large one's: Check). The folder must exist. Faults: Corrupt when the check
// fails, Unsupported when a newer Daypass wrote it, Full and Denied as the
// disk says.
func Open(ctx context.Context, file string) (*Store, error) {
	// Made first with narrow rights: it names customers.
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, translate(err, "store.open")
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, translate(err, "store.open")
	}
	dsn := "file:" + escape(file) + "?_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_busy_timeout=5000&_txlock=immediate"
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, translate(err, "store.open")
	}
	db.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite3", dsn+"&_query_only=on&_cache_size=-32000")
	if err != nil {
		return nil, translate(errors.Join(err, db.Close()), "store.open")
	}
	read.SetMaxOpenConns(3)
	s := &Store{db: db, read: read}
	if err := s.prepare(ctx, info.Size()); err != nil {
		db.Close()
		read.Close()
		return nil, translate(err, "store.open")
	}
	return s, nil
}

func escape(file string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(filepath.ToSlash(file))
}

// Close writes everything back and closes the file.
func (s *Store) Close() error {
	return translate(errors.Join(s.read.Close(), s.db.Close()), "store.close")
}

// checkAtOnce is the size in bytes up to which Open reads the whole file to see
// that it is sound. A larger one would keep the person waiting: Check does it.
var checkAtOnce int64 = 64 << 20 // a variable for its test

// Check reads the whole file and says whether it is damaged (Corrupt). It may
// take a minute, and nothing waits for it. What Open has checked is not checked
// again.
func (s *Store) Check(ctx context.Context) error {
	if s.checked {
		return nil
	}
	return translate(s.quickCheck(ctx, s.read), "store.check")
}

func (s *Store) quickCheck(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fault.Wrap(errors.New(verdict), fault.Corrupt, "store.open", "The file with your sessions is damaged.",
			"Put back a copy of it, or move it away to begin with an empty one.")
	}
	return nil
}

func (s *Store) prepare(ctx context.Context, size int64) error {
	if size <= checkAtOnce {
		if err := s.quickCheck(ctx, s.db); err != nil {
			return err
		}
		s.checked = true
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	slices.Sort(names)
	var version int
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(names) {
		return fault.New(fault.Unsupported, "store.open", "A newer version of Daypass has written your sessions.",
			"Install that version again; this one would lose data.")
	}
	for i := version; i < len(names); i++ {
		b, err := migrations.ReadFile(names[i])
		if err != nil {
			return err
		}
		if err := s.tx(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, string(b)); err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
			_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", i+1))
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		tx.Rollback()
		return err
	}
	return tx.Commit()
}

// Row is a session as it is stored.
type Row struct {
	Session    session.Session
	Head       journal.Head
	ConsoleKey grant.Key
	HostKey    grant.Key // zero until a host is pinned
	FromServer bool      // a colleague's session that came from the server: to read, not to work on
	DocBy      grant.Key // of one from the server: the console that signed Session and the keys, zero if none did. Save ignores it
	Pruned     time.Time // when what is not kept any more was deleted (Prune); zero: it was not. Save ignores it

	// Mark and Has are of a row that List returned; Save ignores them.
	Mark string // its place in the order asked for: Query.After
	Has  journal.Has
}

// Save writes the row and appends entries, in one transaction: either all of
// it is stored or nothing. Entries must continue the stored chain; otherwise
// it is a Conflict and nothing is written.
func (s *Store) Save(ctx context.Context, r Row, entries []journal.Entry) error {
	doc, search, err := document(r)
	if err != nil {
		return translate(err, "store.save")
	}
	x := r.Session
	err = s.tx(ctx, func(tx *sql.Tx) error {
		var head journal.Head
		var hash []byte
		err := tx.QueryRowContext(ctx, "SELECT head_seq, head_hash FROM session WHERE id = ?", x.ID.String()).Scan(&head.Seq, &hash)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		copy(head.Hash[:], hash)
		if len(entries) > 0 && (entries[0].Seq != head.Seq+1 || entries[0].Prev != head.Hash) {
			return fault.New(fault.Conflict, "store.save", "The record of this session was continued elsewhere.", "Restart Daypass.")
		}
		for i := range entries {
			head = entries[i].Head()
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO session (id, state, email, search, created, doc, head_seq, head_hash, console_key, host_key)
			VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET state=excluded.state, email=excluded.email, search=excluded.search,
			doc=excluded.doc, head_seq=excluded.head_seq, head_hash=excluded.head_hash, console_key=excluded.console_key, host_key=excluded.host_key,
			origin='here', sent=CASE WHEN session.doc = excluded.doc AND session.host_key = excluded.host_key THEN session.sent END`,
			x.ID.String(), string(x.State), x.Customer.Email, search, x.Created.UnixMicro(), string(doc),
			int64(head.Seq), head.Hash[:], r.ConsoleKey[:], r.HostKey[:]); err != nil {
			return err
		}
		for i := range entries {
			if err := insert(ctx, tx, &entries[i], false, 0); err != nil {
				return err
			}
		}
		return nil
	})
	return translate(err, "store.save")
}

// Get returns one session, NotFound if there is none.
func (s *Store) Get(ctx context.Context, id grant.ID) (Row, error) {
	rows, err := s.rows(ctx, "WHERE id = ?", id.String())
	if err != nil {
		return Row{}, translate(err, "store.get")
	}
	if len(rows) == 0 {
		return Row{}, fault.New(fault.NotFound, "store.get", "This session is not known here.", "")
	}
	return rows[0], nil
}

// lastWord is how old a session can be when its host says its last word.
const lastWord = 9 * 24 * time.Hour

// Unfinished returns the sessions that are not over, newest first, and those
// whose host has not said its last word and may: it keeps it for a week after a
// day of session.
func (s *Store) Unfinished(ctx context.Context, now time.Time) ([]Row, error) {
	rows, err := s.rows(ctx, `WHERE origin = 'here' AND (state IN ('invited','answered','pairing','active','ending')
		OR (state = 'unconfirmed' AND created > ?)) ORDER BY created DESC LIMIT 200`, now.Add(-lastWord).UnixMicro())
	return rows, translate(err, "store.unfinished")
}

// columns are what scan reads, of a session s.
const columns = "s.doc, s.head_seq, s.head_hash, s.console_key, s.host_key, s.origin = 'server', s.pruned, s.doc_by"

func scan(rs *sql.Rows, r *Row, more ...any) error {
	var doc string
	var hash, ck, hk, by []byte
	var pruned sql.NullInt64
	if err := rs.Scan(append([]any{&doc, &r.Head.Seq, &hash, &ck, &hk, &r.FromServer, &pruned, &by}, more...)...); err != nil {
		return err
	}
	if pruned.Valid {
		r.Pruned = time.UnixMicro(pruned.Int64).UTC()
	}
	if err := json.Unmarshal([]byte(doc), &r.Session); err != nil {
		return fault.Wrap(err, fault.Corrupt, "store.read", "A stored session cannot be read.", "Put back a copy of the file with your sessions.")
	}
	copy(r.Head.Hash[:], hash)
	copy(r.ConsoleKey[:], ck)
	copy(r.HostKey[:], hk)
	copy(r.DocBy[:], by)
	return nil
}

func (s *Store) rows(ctx context.Context, cond string, args ...any) ([]Row, error) {
	rs, err := s.db.QueryContext(ctx, "SELECT "+columns+" FROM session s "+cond, args...)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	var out []Row
	for rs.Next() {
		var r Row
		if err := scan(rs, &r); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rs.Err()
}

// Entries returns the record of a session, from its beginning.
func (s *Store) Entries(ctx context.Context, id grant.ID) ([]journal.Entry, error) {
	out, err := s.entries(ctx, s.read, "WHERE session = ? AND aside = 0 ORDER BY seq", id.String())
	return out, translate(err, "store.entries")
}

// Setting returns the value of key, "" if it is not set.
func (s *Store) Setting(ctx context.Context, key string) (string, error) {
	var v string
	err := s.db.QueryRowContext(ctx, "SELECT value FROM setting WHERE key = ?", key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, translate(err, "store.setting")
}

// SetSetting stores a setting that is no secret. An empty value removes it.
func (s *Store) SetSetting(ctx context.Context, key, value string) error {
	var err error
	if value == "" {
		_, err = s.db.ExecContext(ctx, "DELETE FROM setting WHERE key = ?", key)
	} else {
		_, err = s.db.ExecContext(ctx, "INSERT INTO setting (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
	}
	return translate(err, "store.setting")
}

func translate(err error, op string) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	const kept = "Nothing that was stored is lost."
	var e sqlite3.Error
	if errors.As(err, &e) {
		switch e.Code {
		case sqlite3.ErrFull:
			return fault.Wrap(err, fault.Full, op, "There is no space left on the disk to store this.", "Free some space and try again. "+kept)
		case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
			return fault.Wrap(err, fault.Corrupt, op, "The file with your sessions is damaged.", "Put back a copy of it, or move it away to begin with an empty one.")
		case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen, sqlite3.ErrAuth:
			return fault.Wrap(err, fault.Denied, op, "The file with your sessions cannot be written.", "Check the rights of the profile folder. "+kept)
		case sqlite3.ErrIoErr:
			return fault.Wrap(err, fault.Full, op, "The disk did not take what was to be stored.", "Check the disk's space and health, then try again. "+kept)
		case sqlite3.ErrBusy, sqlite3.ErrLocked:
			return fault.Wrap(err, fault.Conflict, op, "Another program holds the file with your sessions.", "Close it and try again.")
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return fault.Wrap(err, fault.Denied, op, "The file with your sessions cannot be written.", "Check the rights of the profile folder.")
	}
	if isFull(err) {
		return fault.Wrap(err, fault.Full, op, "There is no space left on the disk to store this.", "Free some space and try again. "+kept)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.Wrap(err, fault.Internal, op, "Your sessions could not be stored or read.", "Restart Daypass. If it happens again, send us the details.")
}
