package store

import (
	"bytes"
	"crypto/ed25519"
	"path/filepath"
	"testing"

	"daypass/backend/grant"
	"daypass/backend/journal"
)

func TestWhatTheServerMakesUpTakesNoPlaceOfWhatWasSigned(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "a.db"))
	key := func(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)) }
	host, second, eve := key(2), key(3), key(4)
	r := sample(1)
	r.HostKey, r.DocBy = grant.KeyOf(host), r.ConsoleKey
	id := r.Session.ID
	es := entries(r, journal.Head{}, 3)
	for i := range es {
		es[i].Sign(journal.Host, host)
	}
	put := func(doc *Row, es ...journal.Entry) {
		t.Helper()
		if err := s.PutRemote(t.Context(), id, doc, es); err != nil {
			t.Fatal(err)
		}
	}
	whole := func(doc Row, want ...journal.Entry) {
		t.Helper()
		row, err := s.Get(t.Context(), id)
		if err != nil || row.ConsoleKey != r.ConsoleKey || row.HostKey != r.HostKey || row.DocBy != doc.DocBy || row.Session.Customer.Name != doc.Session.Customer.Name {
			t.Fatalf("%+v %v", row, err)
		}
		got, err := s.Entries(t.Context(), id)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d entries %v", len(got), err)
		}
		for i := range want {
			if got[i].Hash != want[i].Hash || len(got[i].Signatures) != len(want[i].Signatures) {
				t.Fatalf("entry %d is another one", i+1)
			}
		}
		if v := journal.Verify(got, journal.Keys{Console: row.ConsoleKey, Host: row.HostKey}, row.Head); v.Kind == journal.Tampered {
			t.Fatalf("%+v", v)
		}
	}
	put(&r, es[:2]...)

	// A document of a stranger's, and one that nobody signed.
	for _, by := range []grant.Key{grant.KeyOf(eve), {}} {
		forged := r
		forged.Session.Customer.Name, forged.DocBy = "Somebody else", by
		forged.ConsoleKey, forged.HostKey = grant.KeyOf(eve), grant.KeyOf(eve)
		put(&forged)
		whole(r, es[:2]...)
	}
	// Its own console changes what is said, and no keys.
	next := r
	next.Session.Customer.Name, next.ConsoleKey, next.HostKey = "Anna Weber-Kim", grant.KeyOf(eve), grant.KeyOf(eve)
	put(&next)
	whole(next, es[:2]...)

	// Two signatures of nobody's are not more than two of those who are known.
	false3 := es[1].Head().Next(id, es[2].At, "technician", "note", "made up")
	false3.Sign(journal.Console, eve)
	false3.Sign(journal.Host, eve)
	none := es[1].Head().Next(id, es[2].At, "technician", "note", "unsigned")
	none.Signatures = []journal.Signature{{Side: journal.Console, Key: r.ConsoleKey, Sig: make([]byte, 64)}, {Side: journal.Host, Key: r.HostKey, Sig: make([]byte, 64)}}
	put(nil, none)
	whole(next, es[:2]...)
	put(nil, false3)
	alone := es[2]
	alone.Signatures = alone.Signatures[:1]
	put(nil, alone) // comes later, and is the one that its console signed
	whole(next, es[0], es[1], alone)
	put(nil, false3, es[2])
	whole(next, es...)
	put(nil, false3, none)
	whole(next, es...)

	// The console that the host says it went on at speaks for the record from then on.
	over := next
	over.DocBy, over.Session.Customer.Name = grant.KeyOf(second), "Anna W."
	put(&over)
	whole(next, es...)
	k := grant.KeyOf(second)
	signed, err := grant.Sign(host, journal.ContextFact, journal.NewFact(id, 1, es[2].At, "host", journal.KindMovedHere, "Another console goes on.", journal.Details{ConsoleKey: &k}))
	if err != nil {
		t.Fatal(err)
	}
	f, err := journal.OpenFact(r.HostKey, id, signed)
	if err != nil {
		t.Fatal(err)
	}
	moved := es[2].Head().Repeat(f, signed)
	moved.Sign(journal.Console, second)
	put(&over, moved)
	whole(over, append(es, moved)...)
}
