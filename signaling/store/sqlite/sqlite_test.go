package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, file string) *Store {
	t.Helper()
	s, err := Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var now = time.UnixMilli(1_700_000_000_000).UTC()

func someone(t *testing.T, s *Store, email string) (store.Profile, store.Console) {
	t.Helper()
	p, err := s.CreateAdmin(t.Context(), store.Profile{
		ID: grant.NewID(), Email: email, Name: "N", Password: "h", Roles: []string{"technician"}, Rights: grant.All, Created: now,
		Company: store.Company{ID: grant.NewID(), Name: "C", MaxSessions: 5, MaxPerProfile: 1, Rights: grant.All},
	})
	if err != nil {
		t.Fatal(err)
	}
	var tok store.NewTokens
	id := grant.NewID()
	copy(tok.Access[:], id[:])
	copy(tok.Refresh[1:], id[:])
	c, err := s.SignIn(t.Context(), p.ID, grant.Key{1: byte(len(email))}, "PC", tok, now)
	if err != nil {
		t.Fatal(err)
	}
	return p, c
}

func invite(p store.Profile, c store.Console) store.Session {
	return store.Session{
		ID: grant.NewID(), Company: p.Company.ID, Profile: p.ID, Console: c.ID, Label: "l", Language: "en", Created: now, InviteExpires: now.Add(time.Hour),
		Offer: grant.Signed{Body: []byte("{}"), Sig: make([]byte, 64)},
	}
}

func TestATransitionIsForOneOnly(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	p, c := someone(t, s, "a@b.c")
	x, err := s.CreateSession(t.Context(), invite(p, c), store.Actor{Kind: "console"})
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			_, err := s.Update(t.Context(), x.ID, store.Actor{Kind: "console", ID: fmt.Sprint(i)}, now, func(s *store.Session) (string, any, error) {
				if s.State != protocol.Invited {
					return "", nil, nil
				}
				s.State = protocol.Answered
				won.Add(1)
				return "session.answered", nil, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	if err := s.Audit(t.Context(), func(e store.Entry) error {
		if e.Kind == "session.answered" {
			n++
		}
		return nil
	}); err != nil || n != 1 || won.Load() != 1 {
		t.Errorf("%d transitions, %d entries, %v", won.Load(), n, err)
	}
	// A failing rule leaves neither change nor entry.
	boom := errors.New("boom")
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), x.ID, store.Actor{}, now, func(s *store.Session) (string, any, error) { s.State = protocol.Ended; return "x", nil, boom }); !errors.Is(err, boom) {
		t.Error(err)
	}
	// Nor does one that the schema refuses: ended without saying by whom.
	if _, err := s.Update(t.Context(), x.ID, store.Actor{}, now, func(s *store.Session) (string, any, error) {
		s.State = protocol.Ended
		return "x", nil, nil
	}); err == nil {
		t.Error("the schema lets a session end without a reason")
	}
	y, err := s.Session(t.Context(), x.ID)
	after, herr := s.Head(t.Context())
	if err != nil || herr != nil || y.State != protocol.Answered || after.Seq != head.Seq {
		t.Errorf("%s %v, %d after %d", y.State, err, after.Seq, head.Seq)
	}
}

func TestAuditIsAppendOnlyAndNewerOrDamagedDataIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	s := open(t, file)
	someone(t, s, "a@b.c")
	for _, q := range []string{"UPDATE audit SET kind = 'x'", "DELETE FROM audit"} {
		if _, err := s.w.ExecContext(t.Context(), q); err == nil {
			t.Errorf("%s worked", q)
		}
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if _, err := s.w.ExecContext(t.Context(), "PRAGMA user_version = 999"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), file); !errors.Is(err, store.ErrNewer) {
		t.Errorf("a newer schema: %v", err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 5000; i < len(b); i++ {
		b[i] ^= 0x5a
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), file); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
	if err := os.WriteFile(file, []byte("not a database, not at all, but long enough to have a header of its own......................................."), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), file); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("not a database: %v", err)
	}
}

func TestAFullDiskLosesNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	p, c := someone(t, s, "a@b.c")
	x, err := s.CreateSession(t.Context(), invite(p, c), store.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	var pages int
	if err := s.w.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.w.ExecContext(t.Context(), fmt.Sprint("PRAGMA max_page_count = ", pages)); err != nil {
		t.Fatal(err)
	}
	note := func() error {
		_, err := s.Update(t.Context(), x.ID, store.Actor{}, now, func(*store.Session) (string, any, error) {
			return "note", map[string]string{"x": string(make([]byte, 3000))}, nil
		})
		return err
	}
	n := 0
	for err = nil; err == nil && n < 1000; n++ {
		err = note()
	}
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("after %d: %v", n, err)
	}
	if y, err := s.Session(t.Context(), x.ID); err != nil || y.Rev != x.Rev+int64(n)-1 {
		t.Errorf("revision %d, want %d: %v", y.Rev, x.Rev+int64(n)-1, err)
	}
	if _, err := s.w.ExecContext(t.Context(), "PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	if err := note(); err != nil {
		t.Errorf("with space again: %v", err)
	}
	var prev store.Hash
	if err := s.Audit(t.Context(), func(e store.Entry) error {
		if e.Prev != prev || e.Sum() != e.Hash {
			return fmt.Errorf("entry %d", e.Seq)
		}
		prev = e.Hash
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestPlacesAreGivenBackAndNeverTwice(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	var made []store.Session
	for i := range 6 {
		p, c := someone(t, s, fmt.Sprintf("%0*d@b.c", i+1, i))
		x, err := s.CreateSession(t.Context(), invite(p, c), store.Actor{})
		var no *store.NoPlace
		if i < 5 && err != nil || i == 5 && (!errors.As(err, &no) || no.Scope != "company" || len(no.Holders) != 5) {
			t.Fatalf("%d: %v", i, err)
		}
		if err != nil {
			if _, err := s.Session(t.Context(), x.ID); !errors.Is(err, store.ErrNotFound) {
				t.Error("a refused session is stored")
			}
			continue
		}
		made = append(made, x)
		_, err = s.CreateSession(t.Context(), invite(p, c), store.Actor{})
		if !errors.As(err, &no) || i < 4 && (no.Scope != "profile" || len(no.Holders) != 1 || no.Holders[0].ID != x.ID) {
			t.Fatalf("second of %d: %v", i, err)
		}
	}
	// Even somebody who writes SQL cannot hold a place twice.
	if _, err := s.w.ExecContext(t.Context(), "UPDATE places SET company_place = 0"); err == nil {
		t.Error("two sessions on one place")
	}
	if _, err := s.Update(t.Context(), made[2].ID, store.Actor{}, now, func(s *store.Session) (string, any, error) {
		s.State, s.Ended, s.EndedBy = protocol.Ended, now, grant.ByCancel
		return "session.ended", nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	p, err := s.Profile(t.Context(), made[2].Profile)
	if err != nil {
		t.Fatal(err)
	}
	if mine, all, err := s.Usage(t.Context(), p.Company.ID, p.ID); err != nil || mine != 0 || all != 4 {
		t.Errorf("%d %d %v", mine, all, err)
	}
	if _, err := s.CreateSession(t.Context(), invite(p, store.Console{ID: made[2].Console}), store.Actor{}); err != nil {
		t.Errorf("the place was not given back: %v", err)
	}
}

func TestReadersDoNotWrite(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	if _, err := s.r.ExecContext(context.Background(), "DELETE FROM companies"); err == nil {
		t.Error("the readers' connections can write")
	}
	var mode, sync string
	if err := errors.Join(s.w.QueryRow("PRAGMA journal_mode").Scan(&mode), s.w.QueryRow("PRAGMA synchronous").Scan(&sync)); err != nil || mode != "wal" || sync != "2" {
		t.Errorf("journal %s, synchronous %s, %v", mode, sync, err)
	}
	var loose sql.NullString
	if err := s.r.QueryRow("SELECT group_concat(name) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'").Scan(&loose); err != nil || loose.Valid {
		t.Errorf("tables that are not STRICT: %s %v", loose.String, err)
	}
}
