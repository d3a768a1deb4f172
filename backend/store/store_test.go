package store

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/session"
)

func opened(t *testing.T, file string) *Store {
	t.Helper()
	s, err := Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var signer = ed25519.NewKeyFromSeed(make([]byte, 32))

func sample(n int) Row {
	x, _ := session.Create(grant.NewID(), "Mia Roth", session.Customer{
		Email: fmt.Sprintf("anna%d@example.com", n), Name: "Anna Weber", Subject: "printer 100%", Language: "de",
	}, time.UnixMilli(1_700_000_000_000+int64(n)), time.UnixMilli(1_700_100_000_000))
	return Row{Session: x, ConsoleKey: grant.KeyOf(signer)}
}

func entries(r Row, head journal.Head, n int) []journal.Entry {
	var out []journal.Entry
	for range n {
		e := head.Next(r.Session.ID, time.Now(), "technician", "note", "text")
		e.Sign(journal.Console, signer)
		head = e.Head()
		out = append(out, e)
	}
	return out
}

func TestRecordsSurviveReopeningAndVerify(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a ?#%.db")
	s := opened(t, file)
	r := sample(1)
	es := entries(r, journal.Head{}, 3)
	if err := s.Save(t.Context(), r, es[:2]); err != nil {
		t.Fatal(err)
	}
	r.Session.State = session.Answered
	if err := s.Save(t.Context(), r, es[2:]); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, file)
	got, err := s.Get(t.Context(), r.Session.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Session.State != session.Answered || got.Session.Customer != r.Session.Customer || got.Head != es[2].Head() {
		t.Fatalf("%+v", got)
	}
	back, err := s.Entries(t.Context(), r.Session.ID)
	if err != nil {
		t.Fatal(err)
	}
	if v := journal.Verify(back, journal.Keys{Console: got.ConsoleKey, Host: got.HostKey}, got.Head); !v.OK || v.Entries != 3 {
		t.Fatalf("%+v", v)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("the file names customers and is readable by others: %v %v", st.Mode(), err)
	}
}

func TestAForkedRecordIsRefusedWhole(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "a.db"))
	r := sample(1)
	es := entries(r, journal.Head{}, 2)
	if err := s.Save(t.Context(), r, es); err != nil {
		t.Fatal(err)
	}
	r.Session.State = session.Ended
	if err := s.Save(t.Context(), r, entries(r, journal.Head{}, 1)); fault.KindOf(err) != fault.Conflict {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), r.Session.ID)
	if err != nil || got.Session.State != session.Invited {
		t.Fatal("the state was stored without its entry", err)
	}
}

func TestTheDatabaseItselfRefusesToChangeARecord(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "a.db"))
	r := sample(1)
	if err := s.Save(t.Context(), r, entries(r, journal.Head{}, 1)); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"DELETE FROM entry", "UPDATE entry SET text = 'x'"} {
		if _, err := s.db.Exec(q); err == nil {
			t.Errorf("%s went through", q)
		}
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	s := opened(t, file)
	if _, err := s.db.Exec("PRAGMA user_version = 999"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(t.Context(), file); fault.KindOf(err) != fault.Unsupported {
		t.Fatal(err)
	}
}

func TestDamageIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	s := opened(t, file)
	for i := range 50 {
		r := sample(i)
		if err := s.Save(t.Context(), r, entries(r, journal.Head{}, 20)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 2; i < len(b)/2+8192; i++ {
		b[i] ^= 0x5a
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), file); fault.KindOf(err) != fault.Corrupt {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("this is not a database at all, but it is long enough to be looked at closely by anyone who opens it......"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), file); fault.KindOf(err) != fault.Corrupt {
		t.Fatal(err)
	}
}

func TestAFullDiskIsSaidAndLosesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	s := opened(t, file)
	r := sample(1)
	es := entries(r, journal.Head{}, 1)
	if err := s.Save(t.Context(), r, es); err != nil {
		t.Fatal(err)
	}
	// SQLite's own way of having no space left: no page more than now.
	var pages int
	if err := s.db.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := s.db.QueryRow(fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	head := es[0].Head()
	var full error
	stored := uint64(1)
	for range 200 {
		more := entries(r, head, 10)
		if full = s.Save(t.Context(), r, more); full != nil {
			break
		}
		head = more[9].Head()
		stored = head.Seq
	}
	if e := fault.Of(full); e == nil || e.Kind != fault.Full || e.Hint == "" {
		t.Fatalf("%v", full)
	}
	back, err := s.Entries(t.Context(), r.Session.ID)
	if err != nil || uint64(len(back)) != stored {
		t.Fatalf("%d entries of %d, %v", len(back), stored, err)
	}
	// Space again: what was refused is stored now.
	if err := s.db.QueryRow("PRAGMA max_page_count = 100000").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), r, entries(r, head, 10)); err != nil {
		t.Fatal(err)
	}
}

func TestUnfinishedKeepsWhatMayStillChange(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "a.db"))
	now := time.Now()
	for i, st := range []session.State{session.Invited, session.Answered, session.Pairing, session.Active, session.Ending, session.Ended, session.Removed, session.Unconfirmed} {
		r := sample(i)
		r.Session.State, r.Session.Created = st, now
		if err := s.Save(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.Unfinished(t.Context(), now)
	if err != nil || len(rows) != 6 {
		t.Fatalf("%d %v", len(rows), err)
	}
	rows, err = s.Unfinished(t.Context(), now.Add(10*24*time.Hour))
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d %v", len(rows), err)
	}
}

func TestSettings(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "a.db"))
	for _, v := range []string{"", "a", "b", ""} {
		if err := s.SetSetting(t.Context(), "k", v); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Setting(t.Context(), "k"); err != nil || got != v {
			t.Fatal(got, err)
		}
	}
}

func TestFoldersThatCannotBeWritten(t *testing.T) {
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "no", "such", "a.db")); err == nil {
		t.Fatal("opened in a folder that is not there")
	}
	file := filepath.Join(t.TempDir(), "a.db")
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), file); err == nil || fault.Of(err).Message == "" {
		t.Fatal(err)
	}
}

func TestPragmasHold(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "a.db"))
	for q, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := s.db.QueryRow("PRAGMA " + q).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s, %v", q, got, err)
		}
	}
	var loose int
	if err := s.db.QueryRow("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'").Scan(&loose); err != nil || loose != 0 {
		t.Errorf("%d tables are not STRICT, %v", loose, err)
	}
}

func TestCancelledContextStaysOne(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "a.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Save(ctx, sample(1), nil); fault.KindOf(err) != fault.Cancelled {
		t.Fatal(err)
	}
}
