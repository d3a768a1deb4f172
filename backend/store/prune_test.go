package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/session"
)

// What is not kept any more is gone: from the answers, from the search, from the
// file. Times, the head of the record and the host's last word stay.
func TestPruneDeletesWhatIsOlder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.db")
	s := opened(t, file)
	limit := time.UnixMilli(1_700_000_000_000).UTC()
	receipt := &grant.Signed{Body: []byte(`{"kept":1}`), Sig: make([]byte, 64)}
	add := func(n int, state session.State, ended time.Time) Row {
		r := sample(n)
		r.Session.Created = limit.Add(-100*24*time.Hour + time.Duration(n)*time.Second)
		r.Session.Customer.Name, r.Session.Customer.Subject = "Wombatina", "quokkaprinter"
		r.Session.Host = &session.Host{Computer: "NUMBATPC"}
		r.Session.State, r.Session.EndedAt, r.Session.Receipt = state, ended, receipt
		e := journal.Head{}.Next(r.Session.ID, time.Now(), "technician", "note", "bilbyword")
		e.Sign(journal.Console, signer)
		save(t, s, r, []journal.Entry{e})
		return r
	}
	old := add(1, session.Removed, limit.Add(-time.Hour))
	young := add(2, session.Removed, limit.Add(time.Hour))
	live := add(3, session.Active, time.Time{})
	never := add(4, session.Ended, time.Time{}) // nothing says when: from its beginning
	colleague := sample(5)
	colleague.Session.Created, colleague.Session.EndedAt, colleague.Session.State = limit.Add(-50*24*time.Hour), limit.Add(-49*24*time.Hour), session.Ended
	es := entries(colleague, journal.Head{}, 3)
	if err := s.PutRemote(t.Context(), colleague.Session.ID, &colleague, es); err != nil {
		t.Fatal(err)
	}
	if err := s.SetNote(t.Context(), old.Session.ID, "Mia", "dingonote", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.AddTag(t.Context(), old.Session.ID, "emutag"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.List(t.Context(), Query{Text: "bilbyword", Limit: 10}); err != nil {
		t.Fatal(err)
	}
	now := limit.Add(24 * time.Hour)
	n, err := s.Prune(t.Context(), limit, now)
	if err != nil || n != 3 {
		t.Fatal(n, err)
	}
	if n, err := s.Prune(t.Context(), limit, now); n != 0 || err != nil {
		t.Fatal("again", n, err)
	}
	for _, id := range []grant.ID{old.Session.ID, never.Session.ID, colleague.Session.ID} {
		r, err := s.Get(t.Context(), id)
		if err != nil || !r.Pruned.Equal(now) || r.Session.Customer != (session.Customer{}) || r.Session.Host != nil || r.Head.Seq == 0 {
			t.Fatalf("%+v %v", r, err)
		}
		if es, err := s.Entries(t.Context(), id); err != nil || len(es) != 0 {
			t.Fatal(es, err)
		}
	}
	r, err := s.Get(t.Context(), old.Session.ID)
	if err != nil || r.Session.Receipt == nil || string(r.Session.Receipt.Body) != string(receipt.Body) || r.Session.Technician != "Mia Roth" {
		t.Fatalf("%+v %v", r, err)
	}
	for _, id := range []grant.ID{young.Session.ID, live.Session.ID} {
		r, err := s.Get(t.Context(), id)
		if err != nil || !r.Pruned.IsZero() || r.Session.Customer.Name != "Wombatina" {
			t.Fatalf("%+v %v", r, err)
		}
		if es, err := s.Entries(t.Context(), id); err != nil || len(es) != 1 {
			t.Fatal(es, err)
		}
	}
	l, err := s.List(t.Context(), Query{Text: "bilbyword", Limit: 10})
	if err != nil || len(l.Rows) != 2 {
		t.Fatalf("%+v %v", l, err)
	}
	if err := s.check(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The server does not bring it back, and is not sent what is left.
	if err := s.PutRemote(t.Context(), colleague.Session.ID, &colleague, es); err != nil {
		t.Fatal(err)
	}
	if es, err := s.Entries(t.Context(), colleague.Session.ID); err != nil || len(es) != 0 {
		t.Fatal(es, err)
	}
	if err := s.Resend(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, err := s.Unsent(t.Context(), time.Now(), 0, 100, 10)
	if err != nil || len(u) != 2 {
		t.Fatal(len(u), err)
	}
	// Others still cannot delete from a record.
	if _, err := s.db.ExecContext(t.Context(), "DELETE FROM entry WHERE session = ?", young.Session.ID.String()); err == nil {
		t.Fatal("an entry that is kept was deleted")
	}
	// With the two that are young gone too, none of the words is in any file.
	if n, err := s.Prune(t.Context(), limit.Add(48*time.Hour), now); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	live.Session.State, live.Session.EndedAt = session.Ended, limit
	save(t, s, live, nil)
	if n, err := s.Prune(t.Context(), limit.Add(48*time.Hour), now); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(file + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range []string{"ombatina", "uokkaprinter", "UMBATPC", "ilbyword", "ingonote", "mutag", "umbatpc", "anna1@"} {
			if bytes.Contains(b, []byte(w)) {
				t.Errorf("%s holds %q", filepath.Base(f), w)
			}
		}
	}
}
