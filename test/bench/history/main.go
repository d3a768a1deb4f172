// Command history measures the console's store with many sessions: how long the
// list takes to open, a search to answer and a note to be kept. It makes the
// store itself, the same for the same seed, and prints p50 and p95 of each. It
// must not know the page: docs/history.md says how that was measured.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/session"
	"daypass/backend/store"
)

func main() {
	sessions := flag.Int("sessions", 100_000, "sessions in the store")
	entries := flag.Int("entries", 20, "entries of each session, on average")
	rounds := flag.Int("rounds", 60, "times that each thing is done")
	seed := flag.Uint64("seed", 1, "of the generator")
	keep := flag.String("keep", "", "folder to make the store in and leave it there; one that is there already is used")
	flag.Parse()
	if err := run(*sessions, *entries, *rounds, *seed, *keep); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(sessions, entries, rounds int, seed uint64, dir string) error {
	ctx := context.Background()
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "daypass-history-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	file := filepath.Join(dir, "daypass.db")
	if _, err := os.Stat(file); err != nil {
		if err := fill(ctx, file, sessions, entries, seed); err != nil {
			return err
		}
	}
	st, err := store.Open(ctx, file)
	if err != nil {
		return err
	}
	defer func() {
		if err := st.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "closing the store:", err)
		}
	}()
	begin := time.Now()
	for {
		p, err := st.List(ctx, store.Query{Limit: 1})
		if err != nil {
			return err
		}
		if p.Behind == 0 {
			break
		}
	}
	if d := time.Since(begin); d > time.Second {
		fmt.Printf("index made in %.1f s\n", d.Seconds())
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	fmt.Printf("%d sessions, %d entries each, %d MB\n%-34s %8s %8s %8s\n", sessions, entries, info.Size()>>20, "", "hits", "p50 ms", "p95 ms")
	r := rand.New(rand.NewPCG(seed, 2))
	year := start.AddDate(1, 0, 0)
	for _, c := range []struct {
		name string
		ask  func() store.Query
	}{
		{"open the list", func() store.Query { return store.Query{} }},
		{"search: one letter", func() store.Query { return store.Query{Text: pick(r, "a", "m", "p", "s")} }},
		{"search: beginning of a name", func() store.Query { return store.Query{Text: pick(r, first...)[:3]} }},
		{"search: two words", func() store.Query { return store.Query{Text: pick(r, first...) + " " + pick(r, last...)} }},
		{"search: address", func() store.Query {
			return store.Query{Text: strings.ToLower(pick(r, first...) + "." + pick(r, last...) + "@exam")}
		}},
		{"search: case number", func() store.Query { return store.Query{Text: fmt.Sprint(10_000 + r.IntN(sessions))} }},
		{"search: a text of the record", func() store.Query {
			return store.Query{Text: pick(r, "clipboard", "relay", "wrong code", "remote control closed")}
		}},
		{"search: what is in every session", func() store.Query { return store.Query{Text: "example"} }},
		{"search: nothing", func() store.Query { return store.Query{Text: "zzyzx"} }},
		{"filter: technician", func() store.Query { return store.Query{Technician: pick(r, technicians...)} }},
		{"filter: a month", func() store.Query {
			at := start.AddDate(0, r.IntN(24), 0)
			return store.Query{From: at, To: at.AddDate(0, 1, 0)}
		}},
		{"filter: files, removed, this year", func() store.Query { return store.Query{Has: journal.HasFiles, State: "removed", From: year} }},
		{"search and filter", func() store.Query {
			return store.Query{Text: pick(r, first...), Technician: pick(r, technicians...), State: "removed"}
		}},
		{"sorted by name", func() store.Query { return store.Query{Sort: store.ByName} }},
		{"sorted by length, searched", func() store.Query { return store.Query{Sort: store.Longest, Text: pick(r, first...)} }},
	} {
		hits := 0
		if err := measure(c.name, rounds, &hits, func() error {
			q := c.ask()
			q.Limit = 100
			p, err := st.List(ctx, q)
			hits = p.Total
			return err
		}); err != nil {
			return err
		}
	}
	marks, err := st.Marks(ctx, store.Query{}, 100)
	if err != nil {
		return err
	}
	hits := len(marks)
	if err := measure("where each page begins", min(rounds, 20), &hits, func() error {
		_, err := st.Marks(ctx, store.Query{}, 100)
		return err
	}); err != nil {
		return err
	}
	if err := measure("a page from anywhere", rounds, &hits, func() error {
		q := store.Query{After: marks[r.IntN(len(marks))], Limit: 100}
		_, err := st.List(ctx, q)
		return err
	}); err != nil {
		return err
	}
	p, err := st.List(ctx, store.Query{Limit: 500})
	if err != nil {
		return err
	}
	hits = 1
	if err := measure("keep a note, find it", rounds, &hits, func() error {
		row := p.Rows[r.IntN(len(p.Rows))]
		word := fmt.Sprintf("q%dx", r.Uint32())
		if err := st.SetNote(ctx, row.Session.ID, "Mia Roth", "Seen "+word, time.Now()); err != nil {
			return err
		}
		got, err := st.List(ctx, store.Query{Text: word})
		if err == nil && got.Total != 1 {
			return fmt.Errorf("the note %s is found %d times", word, got.Total)
		}
		return err
	}); err != nil {
		return err
	}
	return measure("read a record", rounds, &hits, func() error {
		_, err := st.Entries(ctx, p.Rows[r.IntN(len(p.Rows))].Session.ID)
		return err
	})
}

func measure(name string, rounds int, hits *int, f func() error) error {
	times := make([]float64, 0, rounds)
	for range rounds {
		begin := time.Now()
		if err := f(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		times = append(times, float64(time.Since(begin).Microseconds())/1000)
	}
	slices.Sort(times)
	fmt.Printf("%-34s %8d %8.1f %8.1f\n", name, *hits, times[len(times)/2], times[len(times)*95/100])
	return nil
}

var (
	start       = time.Date(2024, 1, 2, 8, 0, 0, 0, time.UTC)
	first       = []string{"Anna", "Jonas", "Lea", "Petr", "Ines", "Xaver", "Olga", "Tim", "Sara", "Ben", "Marta", "Henrik", "Zoe", "Emil", "Nora", "Paul", "Mila", "Oskar", "Greta", "Anton"}
	last        = []string{"Weber", "Kim", "Sommer", "Novak", "Alvarez", "Lindt", "Petrova", "Oneill", "Rossi", "Fischer", "Huber", "Wagner", "Moser", "Steiner", "Gruber", "Bauer", "Meier", "Koch", "Wolf", "Braun"}
	technicians = []string{"Mia Roth", "Tom Brandt", "Ines Alvarez", "Lukas Frei", "Ada Nowak", "Per Olsen"}
	systems     = []string{"Windows 11 Pro", "Windows 10", "Debian 12", "Ubuntu 24.04"}
	topics      = []string{"printer", "mail does not arrive", "slow start", "password", "VPN", "update", "scanner", "licence"}
	happenings  = []struct{ kind, text string }{
		{session.KindConnected, "Connected, direct."},
		{session.KindConnected, "Connected over a relay."},
		{session.KindRemoteOpened, "Remote Control opened."},
		{session.KindRemoteClosed, "Remote Control closed."},
		{session.KindClipSent, "Text sent to the computer's clipboard."},
		{session.KindClipFetched, "Text fetched from the computer's clipboard."},
		{session.KindDisplay, "Display 2 shown."},
		{session.KindChord, "Key combination ctrl-alt-del sent."},
		{session.KindDisconnected, "Connection lost; connecting again."},
		{session.KindWrongCode, "Wrong code typed; 4 tries left for this code, 9 for the session."},
		{session.KindPaused, "The customer stopped the connection."},
	}
)

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// fill writes the sessions past the store's own methods, which keep each on the
// disk before the next: only the result is measured. The signatures are made of
// nothing; nobody checks them here.
func fill(ctx context.Context, file string, sessions, entries int, seed uint64) error {
	st, err := store.Open(ctx, file)
	if err != nil {
		return err
	}
	if err := st.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", "file:"+file+"?_synchronous=off&_txlock=immediate")
	if err != nil {
		return err
	}
	defer db.Close()
	begin := time.Now()
	r := rand.New(rand.NewPCG(seed, 1))
	for from := 0; from < sessions; from += 5000 {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for i := from; i < min(from+5000, sessions); i++ {
			if err := one(ctx, tx, r, i, entries); err != nil {
				return err
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	fmt.Printf("filled in %.1f s\n", time.Since(begin).Seconds())
	return nil
}

func one(ctx context.Context, tx *sql.Tx, r *rand.Rand, i, entries int) error {
	var id grant.ID
	for j := range id {
		id[j] = byte(r.Uint32())
	}
	name := [2]string{pick(r, first...), pick(r, last...)}
	at := start.Add(time.Duration(i)*11*time.Minute + time.Duration(r.IntN(600))*time.Second)
	x, _ := session.Create(id, pick(r, technicians...), session.Customer{
		Email: strings.ToLower(name[0]+"."+name[1]) + fmt.Sprintf("%d@example.org", r.IntN(900)), Name: name[0] + " " + name[1],
		Subject: fmt.Sprintf("case %d %s", 10_000+i, pick(r, topics...)), Language: pick(r, "en", "de"),
	}, at, at.Add(session.InviteLimit))
	x.Mine = x.Technician == technicians[0]
	x.State, x.WasActive, x.Clean = session.Removed, true, true
	x.Activated = at.Add(4 * time.Minute)
	x.EndedAt, x.EndedBy = x.Activated.Add(time.Duration(r.IntN(7000))*time.Second), grant.ByTechnician
	x.Host = &session.Host{Computer: fmt.Sprintf("PC-%s-%04d", strings.ToUpper(name[0]), r.IntN(4000)), OS: pick(r, systems...), User: strings.ToLower(name[0])}
	x.Rights = grant.View | grant.Control | grant.Clipboard
	switch r.IntN(20) {
	case 0:
		x.State, x.EndedBy, x.Host, x.WasActive, x.Activated = session.Ended, grant.ByCancel, nil, false, time.Time{}
	case 1:
		x.State, x.EndedBy = session.Unconfirmed, grant.ByExpiry
	}
	doc, err := json.Marshal(x)
	if err != nil {
		return err
	}
	sig := make([]byte, 64)
	for j := range sig {
		sig[j] = byte(r.Uint32())
	}
	sigs, err := json.Marshal([]journal.Signature{{Side: journal.Console, Sig: sig}, {Side: journal.Host, Sig: sig}})
	if err != nil {
		return err
	}
	n := max(2, entries/2+r.IntN(entries+1))
	var head journal.Head
	es := make([]journal.Entry, n)
	for j := range es {
		kind, text := session.KindCreated, "Session prepared for "+x.Customer.Email+"."
		switch h := pick(r, happenings...); {
		case j == 0:
		case j == n-1:
			kind, text = session.KindEnded, "Session ended by the technician."
		case r.IntN(30) == 0:
			kind, text = "file_sent", fmt.Sprintf("File report-%d.pdf sent to Downloads.", r.IntN(5000))
		default:
			kind, text = h.kind, h.text
		}
		es[j] = head.Next(id, at.Add(time.Duration(j)*30*time.Second), "technician", kind, text)
		head = es[j].Head()
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO session (id, state, email, search, created, doc, head_seq, head_hash, console_key, host_key) VALUES (?,?,?,'',?,?,?,?,?,?)",
		id.String(), string(x.State), x.Customer.Email, x.Created.UnixMicro(), string(doc), int64(head.Seq), head.Hash[:], make([]byte, 32), make([]byte, 32)); err != nil {
		return err
	}
	for j := range es {
		e := &es[j]
		if _, err := tx.ExecContext(ctx, "INSERT INTO entry (session, v, seq, at, actor, kind, text, prev, hash, signatures) VALUES (?,?,?,?,?,?,?,?,?,?)",
			id.String(), e.V, int64(e.Seq), e.At.UnixMicro(), e.Actor, e.Kind, e.Text, e.Prev[:], e.Hash[:], string(sigs)); err != nil {
			return err
		}
	}
	return nil
}
