package store

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/session"
)

func save(t *testing.T, s *Store, r Row, es []journal.Entry) {
	t.Helper()
	if err := s.Save(t.Context(), r, es); err != nil {
		t.Fatal(err)
	}
}

func said(r Row, kinds ...string) []journal.Entry {
	var out []journal.Entry
	var head journal.Head
	for _, k := range kinds {
		kind, text, _ := strings.Cut(k, ":")
		e := head.With(r.Session.ID, time.Now(), "technician", kind, text, journal.Details{Name: "x" + kind}.JSON())
		e.Sign(journal.Console, signer)
		head = e.Head()
		out = append(out, e)
	}
	return out
}

var day = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)

// filled has 25 sessions, one an hour from day on.
func filled(t *testing.T) *Store {
	t.Helper()
	s := opened(t, filepath.Join(t.TempDir(), "a.db"))
	for i := range 25 {
		r := sample(i)
		r.Session.Created = day.Add(time.Duration(i) * time.Hour)
		r.Session.Customer.Name = []string{"Änne Weber", "Jonas Kim", "Zoë Lindt"}[i%3]
		if i%5 == 0 {
			r.Session.State, r.Session.EndedBy = session.Removed, grant.ByCustomer
			r.Session.Host = &session.Host{Computer: "PC-ANNA", OS: "Debian 12"}
			r.Session.Activated, r.Session.EndedAt = r.Session.Created, r.Session.Created.Add(time.Duration(i+1)*time.Minute)
		}
		if i%4 == 0 {
			r.Session.Technician, r.Session.Mine = "Tom Brandt", false
		}
		switch i {
		case 7:
			save(t, s, r, said(r, "created:Session prepared.", "file_sent:File budget-2026.pdf sent."))
		case 8:
			save(t, s, r, said(r, "created:Session prepared.", "command_run:Ran ipconfig.", "file_sent:File a.txt sent."))
		default:
			save(t, s, r, nil)
		}
	}
	return s
}

func TestTheHistoryIsSearchedFilteredAndCounted(t *testing.T) {
	s := filled(t)
	all, err := s.List(t.Context(), Query{Limit: 100})
	if err != nil || all.Total != 25 || all.Behind != 0 {
		t.Fatalf("%+v %v", all, err)
	}
	eight := all.Rows[25-1-8].Session.ID
	if err := s.SetNote(t.Context(), eight, "Mia Roth", "Waits for a spare Fuser", time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"Escalated", "vip customer"} {
		if err := s.AddTag(t.Context(), eight, tag); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		q     Query
		total int
	}{
		{Query{}, 25},
		{Query{Text: "ANNA7@"}, 1},
		{Query{Text: "anna7@exam"}, 1},
		{Query{Text: "anne"}, 9}, // accents do not count
		{Query{Text: "ÄNNE zoe"}, 0},
		{Query{Text: "zoe lindt"}, 8},
		{Query{Text: "pc-anna debian"}, 5},
		{Query{Text: "100% 'x\" OR 1"}, 0},
		{Query{Text: "100%"}, 25},
		{Query{Text: "print"}, 25},
		{Query{Text: "brandt"}, 7},
		{Query{Text: "\" * ( % -"}, 25},
		{Query{Text: "budget-2026"}, 1},
		{Query{Text: "xfile"}, 2}, // details of entries
		{Query{Text: "fuser"}, 1},
		{Query{Text: "vip"}, 1},
		{Query{Text: "fuser ipconfig vip anna8"}, 1},
		{Query{State: "live"}, 20},
		{Query{State: "over"}, 5},
		{Query{State: "removed"}, 5},
		{Query{EndedBy: grant.ByCustomer}, 5},
		{Query{EndedBy: grant.ByExpiry}, 0},
		{Query{Technician: "Tom Brandt"}, 7},
		{Query{Technician: "Tom"}, 0},
		{Query{Customer: "Anna3@example.com"}, 1},
		{Query{From: day.Add(5 * time.Hour), To: day.Add(10 * time.Hour)}, 5},
		{Query{Text: "printer", From: day.Add(20 * time.Hour)}, 5},
		{Query{Has: journal.HasFiles}, 2},
		{Query{Has: journal.HasFiles | journal.HasCommands}, 1},
		{Query{Has: journal.HasRecording}, 0},
		{Query{Tag: "escalated"}, 1},
		{Query{Tag: "none"}, 0},
		{Query{Whose: "mine"}, 18},
		{Query{Whose: "others"}, 7},
		{Query{Whose: "others", Text: "debian", State: "removed"}, 2},
	} {
		for _, order := range []Sort{"", Oldest, ByName, Longest} {
			c.q.Limit, c.q.Sort = 100, order
			p, err := s.List(t.Context(), c.q)
			if err != nil || p.Total != c.total || len(p.Rows) != c.total {
				t.Errorf("%+v: %d of %d, want %d, %v", c.q, len(p.Rows), p.Total, c.total, err)
			}
		}
	}
	f, err := s.Facets(t.Context())
	if err != nil || f.Total != 25 || f.Mine != 18 || f.Has != journal.HasFiles|journal.HasCommands || len(f.Technicians) != 2 || f.Technicians[1] != (Count{"Tom Brandt", 7}) || len(f.Tags) != 2 {
		t.Fatalf("%+v %v", f, err)
	}
}

// Every page and every mark together are the list, whatever the order.
func TestPagesAreTheListInEveryOrder(t *testing.T) {
	s := filled(t)
	for _, order := range []Sort{Newest, Oldest, ByName, Longest} {
		for _, text := range []string{"", "printer", "anna1"} {
			q := Query{Sort: order, Text: text, Limit: 100}
			whole, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var ids []grant.ID
			q.Limit = 4
			starts := []string{""}
			for after := ""; ; {
				q.After = after
				p, err := s.List(t.Context(), q)
				if err != nil || p.Total != whole.Total {
					t.Fatal(p.Total, err)
				}
				for _, r := range p.Rows {
					ids = append(ids, r.Session.ID)
				}
				if len(p.Rows) < 4 {
					break
				}
				after = p.Rows[3].Mark
				starts = append(starts, after)
			}
			if len(ids) != len(whole.Rows) {
				t.Fatalf("%s %q: %d rows of %d", order, text, len(ids), len(whole.Rows))
			}
			for i, r := range whole.Rows {
				if r.Session.ID != ids[i] {
					t.Fatalf("%s %q: row %d differs", order, text, i)
				}
				if i == 0 {
					continue
				}
				a, b := whole.Rows[i-1].Session, r.Session
				ok := map[Sort]bool{
					Newest: a.Created.After(b.Created), Oldest: a.Created.Before(b.Created),
					ByName: strings.ToLower(a.Customer.Label()) <= strings.ToLower(b.Customer.Label()), Longest: a.EndedAt.Sub(a.Activated) >= b.EndedAt.Sub(b.Activated),
				}[order]
				if !ok {
					t.Errorf("%s: %s before %s", order, a.Customer.Email, b.Customer.Email)
				}
			}
			q.After = ""
			marks, err := s.Marks(t.Context(), q, 4)
			if err != nil || strings.Join(append([]string{""}, marks...), " ") != strings.Join(starts, " ") {
				t.Fatalf("%s %q: marks %q, pages began at %q, %v", order, text, marks, starts, err)
			}
		}
	}
	for _, q := range []Query{{Sort: "none"}, {After: "x"}, {After: "1:x", Sort: Longest}} {
		if _, err := s.List(t.Context(), q); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestTheListFollowsWhatIsSaved(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "a.db"))
	r := sample(1)
	same := sample(2) // created in the same millisecond
	same.Session.Created = r.Session.Created
	save(t, s, r, nil)
	save(t, s, same, nil)
	find := func(text string, want int) {
		t.Helper()
		p, err := s.List(t.Context(), Query{Text: text, Limit: 10})
		if err != nil || p.Total != want || len(p.Rows) != want {
			t.Fatalf("%q: %d, %v", text, p.Total, err)
		}
	}
	find("", 2)
	find("anna", 2)
	r.Session.Customer.Name = "Bea Winter"
	es := said(r, "created:one", "file_sent:orchard.png")
	save(t, s, r, es[:1])
	find("weber", 1)
	find("winter", 1)
	save(t, s, r, es[1:])
	find("orchard", 1)
	// Put aside, it is no part of the record any more.
	if _, err := s.db.Exec("UPDATE entry SET aside = 1 WHERE seq = 2"); err != nil {
		t.Fatal(err)
	}
	find("orchard", 0)
	if err := s.SetNote(t.Context(), r.Session.ID, "Mia", "hedgehog", time.Now()); err != nil {
		t.Fatal(err)
	}
	find("hedgehog", 1)
	if err := s.SetNote(t.Context(), r.Session.ID, "Mia", " ", time.Now()); err != nil {
		t.Fatal(err)
	}
	find("hedgehog", 0)
	if err := s.AddTag(t.Context(), r.Session.ID, "urgent"); err != nil {
		t.Fatal(err)
	}
	find("urge", 1)
	if err := s.RemoveTag(t.Context(), r.Session.ID, "URGENT"); err != nil {
		t.Fatal(err)
	}
	find("urge", 0)
	if err := s.check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestNotesAndTags(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "a.db"))
	r, other := sample(1), sample(2)
	save(t, s, r, nil)
	save(t, s, other, nil)
	at := time.UnixMicro(1_800_000_000_000_001).UTC()
	for author, text := range map[string]string{"Mia": "first", "Tom": "his"} {
		if err := s.SetNote(t.Context(), r.Session.ID, author, text, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetNote(t.Context(), r.Session.ID, "Mia", "second", at.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	got, err := s.Notes(t.Context(), r.Session.ID)
	if err != nil || fmt.Sprint(got) != fmt.Sprint([]Note{{"Tom", at, "his"}, {"Mia", at.Add(time.Second), "second"}}) {
		t.Fatal(got, err)
	}
	if err := s.SetNote(t.Context(), grant.NewID(), "Mia", "x", at); fault.KindOf(err) != fault.NotFound {
		t.Error(err)
	}
	if err := s.SetNote(t.Context(), r.Session.ID, "Mia", strings.Repeat("x", MaxNote+1), at); fault.KindOf(err) != fault.Invalid {
		t.Error(err)
	}
	if err := s.AddTag(t.Context(), r.Session.ID, "  VIP   customer "); err != nil {
		t.Fatal(err)
	}
	// The same in another writing is the same tag, here and at another session.
	for _, id := range []grant.ID{r.Session.ID, other.Session.ID} {
		if err := s.AddTag(t.Context(), id, "vip Customer"); err != nil {
			t.Fatal(err)
		}
		if tags, err := s.Tags(t.Context(), id); err != nil || fmt.Sprint(tags) != "[VIP customer]" {
			t.Errorf("%q %v", tags, err)
		}
	}
	for _, tag := range []string{"", "  ", strings.Repeat("x", MaxTag+1), "\xff"} {
		if err := s.AddTag(t.Context(), r.Session.ID, tag); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", tag, err)
		}
	}
	if err := s.AddTag(t.Context(), grant.NewID(), "x"); fault.KindOf(err) != fault.NotFound {
		t.Error(err)
	}
	for i := range MaxTags - 1 {
		if err := s.AddTag(t.Context(), r.Session.ID, fmt.Sprint("t", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddTag(t.Context(), r.Session.ID, "one more"); fault.KindOf(err) != fault.Limit {
		t.Error(err)
	}
	if err := s.AddTag(t.Context(), r.Session.ID, "vip customer"); err != nil {
		t.Error("a tag that is there already was refused", err)
	}
}

// What makes the history fast at any size is that SQLite goes by the indexes.
func TestQueriesGoByIndexes(t *testing.T) {
	s := filled(t)
	if _, err := s.List(t.Context(), Query{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{}, "SCAN h\n"}, // by its key, and only as far as the page goes
		{Query{After: "9"}, "SEARCH h USING INTEGER PRIMARY KEY (rowid<?)"},
		{Query{Text: "anna"}, "SCAN history_words VIRTUAL TABLE INDEX"},
		{Query{Text: "anna", Technician: "Tom"}, "SEARCH h USING COVERING INDEX history_technician (technician=? AND key=?"},
		{Query{Technician: "Tom"}, "INDEX history_technician (technician=?)"},
		{Query{Customer: "x@y"}, "INDEX history_customer (customer=?)"},
		{Query{Customer: "x@y", After: "9"}, "INDEX history_customer (customer=? AND key<?)"},
		{Query{State: "removed"}, "INDEX history_state (state=?)"},
		{Query{EndedBy: "expiry"}, "INDEX history_ended_by (ended_by=?)"},
		{Query{From: day, To: day.Add(time.Hour)}, "SEARCH h USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"},
		{Query{Tag: "vip"}, "SEARCH tag USING PRIMARY KEY (tag=?)"},
		{Query{Sort: ByName}, "INDEX history_label"},
		{Query{Sort: ByName, After: "1:anna"}, "SEARCH h USING COVERING INDEX history_label (label>?)"},
		{Query{Sort: Longest}, "INDEX history_lasted"},
		{Query{Sort: Longest, After: "1:5"}, "SEARCH h USING COVERING INDEX history_lasted (lasted<?)"},
	} {
		p, err := c.q.plan()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.page(c.q.After); err != nil {
			t.Fatal(err)
		}
		plan := explained(t, s, pageSQL(p), append(p.args, 10)...)
		if !strings.Contains(plan, c.want) {
			t.Errorf("%+v:\n%s\nlacks %s", c.q, plan, c.want)
		}
		if c.q.Tag == "" && strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%+v is sorted after it was found:\n%s", c.q, plan)
		}
		if !strings.Contains(plan, "SEARCH s USING INDEX sqlite_autoindex_session_1 (id=?)") {
			t.Errorf("%+v walks all sessions:\n%s", c.q, plan)
		}
	}
	if plan := explained(t, s, "SELECT seq FROM entry WHERE session = ? AND aside = 0 ORDER BY seq", "x"); !strings.Contains(plan, "(session=?") || strings.Contains(plan, "TEMP B-TREE") {
		t.Error(plan)
	}
}

func explained(t *testing.T, s *Store, query string, args ...any) string {
	t.Helper()
	rs, err := s.read.Query("EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(query, err)
	}
	defer rs.Close()
	var out strings.Builder
	for rs.Next() {
		var a, b, c int
		var detail string
		if err := rs.Scan(&a, &b, &c, &detail); err != nil {
			t.Fatal(err)
		}
		out.WriteString(detail + "\n")
	}
	if err := rs.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A store that was filled before there was a history is taken over.
func TestAnOldStoreIsTakenIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "old.db")
	old, err := sql.Open("sqlite3", "file:"+file+"?_journal_mode=WAL")
	if err != nil {
		t.Fatal(err)
	}
	first, err := migrations.ReadFile("migrations/0001_sessions.sql")
	if err != nil {
		t.Fatal(err)
	}
	exec := func(q string, args ...any) {
		t.Helper()
		if _, err := old.Exec(q, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(string(first))
	exec("PRAGMA user_version = 1")
	const n = refreshStep + 20
	zero := make([]byte, 32)
	var one Row
	for i := range n {
		r := sample(i)
		r.Session.Created = day // all in the same millisecond
		doc, _, err := document(r)
		if err != nil {
			t.Fatal(err)
		}
		e := said(r, "created:Session prepared for number"+fmt.Sprint(i))[0]
		exec("INSERT INTO session (id, state, email, search, created, doc, head_seq, head_hash, console_key, host_key) VALUES (?,?,?,'',?,?,1,?,?,?)",
			r.Session.ID.String(), string(r.Session.State), r.Session.Customer.Email, day.UnixMicro(), string(doc), e.Hash[:], r.ConsoleKey[:], zero)
		exec("INSERT INTO entry (session, seq, at, actor, kind, text, prev, hash, signatures) VALUES (?,1,?,?,?,?,?,?,'[]')", r.Session.ID.String(), e.At.UnixMicro(), e.Actor, e.Kind, e.Text, zero, e.Hash[:])
		one = r
	}
	exec("INSERT INTO setting VALUES ('language', 'de')")
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s := opened(t, file)
	p, err := s.List(t.Context(), Query{Limit: 10})
	if err != nil || p.Behind != 20 || p.Total != refreshStep {
		t.Fatalf("%d, %d behind, %v", p.Total, p.Behind, err)
	}
	p, err = s.List(t.Context(), Query{Limit: 500})
	if err != nil || p.Behind != 0 || p.Total != n || len(p.Rows) != n {
		t.Fatalf("%d, %d behind, %v", p.Total, p.Behind, err)
	}
	p, err = s.List(t.Context(), Query{Text: fmt.Sprintf("anna%d@ number%d weber", n-1, n-1), Limit: 10})
	if err != nil || p.Total != 1 || p.Rows[0].Session.ID != one.Session.ID {
		t.Fatalf("%+v %v", p, err)
	}
	if es, err := s.Entries(t.Context(), one.Session.ID); err != nil || len(es) != 1 || es[0].V != 1 {
		t.Fatal(es, err)
	}
	if v, err := s.Setting(t.Context(), "language"); v != "de" || err != nil {
		t.Fatal(v, err)
	}
}

// A second console on the same file: each sees what the other stored, and no
// record is continued twice.
func TestTwoConsolesOnOneStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	one, two := opened(t, file), opened(t, file)
	r := sample(1)
	es := entries(r, journal.Head{}, 2)
	save(t, one, r, es[:1])
	if p, err := two.List(t.Context(), Query{Text: "anna", Limit: 10}); err != nil || p.Total != 1 {
		t.Fatal(p, err)
	}
	save(t, two, r, es[1:])
	if err := one.Save(t.Context(), r, entries(r, es[0].Head(), 1)); fault.KindOf(err) != fault.Conflict {
		t.Fatal(err)
	}
	if got, err := one.Entries(t.Context(), r.Session.ID); err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
}

// The list goes on being read where nothing can be written.
func TestAFullDiskLeavesTheListReadable(t *testing.T) {
	s := filled(t)
	if _, err := s.List(t.Context(), Query{}); err != nil {
		t.Fatal(err)
	}
	var pages int
	if err := s.db.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := s.db.QueryRow(fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	var full error
	for range 400 {
		p, err := s.List(t.Context(), Query{Limit: 1})
		if err != nil {
			full = err
			break
		}
		if err := s.SetNote(t.Context(), p.Rows[0].Session.ID, fmt.Sprint(time.Now().UnixNano()), strings.Repeat("words without end ", 100), time.Now()); err != nil {
			full = err
			break
		}
	}
	if fault.KindOf(full) != fault.Full {
		t.Fatal(full)
	}
	p, err := s.List(t.Context(), Query{Text: "printer", Limit: 100})
	if err != nil || p.Total != 25 {
		t.Fatalf("%d, %d behind, %v", p.Total, p.Behind, err)
	}
}

// A large file is opened at once; that it is damaged is said later.
func TestALargeFileIsCheckedWhenThereIsTime(t *testing.T) {
	defer func(n int64) { checkAtOnce = n }(checkAtOnce)
	checkAtOnce = 0
	file := filepath.Join(t.TempDir(), "a.db")
	s := opened(t, file)
	for i := range 50 {
		r := sample(i)
		save(t, s, r, entries(r, journal.Head{}, 20))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s = opened(t, file); s.checked {
		t.Fatal("a large file was read at once")
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
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
	if s, err = Open(t.Context(), file); err != nil {
		return // the damage is where the schema was needed: said at once
	}
	defer s.Close()
	if err := s.Check(t.Context()); fault.KindOf(err) != fault.Corrupt {
		t.Fatal(err)
	}
}
