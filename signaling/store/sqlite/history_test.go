package sqlite

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

func TestHistoryIsKeptOnceAndReadInOrder(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	company, session := grant.NewID(), grant.NewID()
	if _, err := s.w.ExecContext(ctx, "PRAGMA foreign_keys = 0"); err != nil { // only the history is of interest here
		t.Fatal(err)
	}
	item := func(seq uint64, h byte, signed bool) protocol.HistoryItem {
		hash := make([]byte, 32)
		hash[0] = h
		return protocol.HistoryItem{Session: session, Seq: seq, Hash: hash, At: time.UnixMilli(5), Actor: "technician", Kind: "note", Gen: 1, Cosigned: signed, Box: []byte{h, 1}}
	}
	put := func(items ...protocol.HistoryItem) error { return s.PutHistory(ctx, company, session, items) }
	read := func(after int64) protocol.HistoryPage {
		p, err := s.History(ctx, company, after)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if err := errors.Join(put(item(0, 9, false), item(1, 1, false), item(2, 2, true)), put(item(1, 1, false), item(2, 2, true))); err != nil {
		t.Fatal(err)
	}
	p := read(0)
	if len(p.Items) != 3 || p.More || p.Total != 3 {
		t.Fatalf("%+v", p)
	}
	last := p.Items[2].Rev
	// The host's signature comes later; a newer document takes the older's place.
	if err := put(item(1, 1, true), item(0, 8, false)); err != nil {
		t.Fatal(err)
	}
	p = read(last)
	if len(p.Items) != 2 || !p.Items[0].Cosigned || p.Items[1].Hash[0] != 8 || p.Items[0].Rev <= last {
		t.Fatalf("%+v", p)
	}
	// One that was signed is not taken back.
	if err := put(item(1, 1, false)); err != nil || len(read(last).Items) != 2 {
		t.Fatal(err)
	}
	if p = read(0); len(p.Items) != 3 {
		t.Fatalf("%+v", p)
	}
	// Another entry in the same place stays beside it, up to a bound.
	for h := range byte(protocol.MaxHistoryFork - 1) {
		if err := put(item(2, 100+h, false)); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(item(2, 200, false)); !errors.Is(err, store.ErrConflict) {
		t.Fatal(err)
	}
	if p, err := s.History(ctx, grant.NewID(), 0); err != nil || len(p.Items) != 0 {
		t.Fatal("another company reads it", err)
	}
}

func TestHistoryKeysComeOneAfterTheOther(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.w.ExecContext(ctx, "PRAGMA foreign_keys = 0"); err != nil {
		t.Fatal(err)
	}
	company := grant.NewID()
	by := store.Actor{Kind: "console"}
	doc := grant.Signed{Body: []byte("{}"), Sig: make([]byte, 64)}
	wraps := []protocol.HistoryWrap{{Gen: 1, To: grant.Key{1}, Wrap: doc}}
	add := func(gen int) error {
		return s.AddHistoryKey(ctx, company, gen, doc, wraps, grant.Key{9}, "history.key", by, time.Now())
	}
	if err := add(2); !errors.Is(err, store.ErrConflict) {
		t.Fatal(err)
	}
	if err := add(1); err != nil {
		t.Fatal(err)
	}
	if err := add(1); !errors.Is(err, store.ErrConflict) {
		t.Fatal("a generation was replaced", err)
	}
	if err := s.AddHistoryWraps(ctx, company, wraps, grant.Key{9}, "history.key", by, time.Now()); err != nil {
		t.Fatal(err)
	}
	k, err := s.HistoryKeys(ctx, company)
	if err != nil || len(k.Docs) != 1 || len(k.Wraps) != 1 {
		t.Fatalf("%+v %v", k, err)
	}
}

// A lead who does not hold a generation makes the next one only by saying that it
// begins anew; and nobody fills what the consoles are answered.
func TestWhoMakesAHistoryKeyHoldsTheOneBefore(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.w.ExecContext(ctx, "PRAGMA foreign_keys = 0"); err != nil {
		t.Fatal(err)
	}
	company, by := grant.NewID(), store.Actor{Kind: "console"}
	doc := grant.Signed{Body: []byte("{}"), Sig: make([]byte, 64)}
	anna, eve := grant.Key{1}, grant.Key{2}
	add := func(gen int, maker grant.Key, kind string) error {
		return s.AddHistoryKey(ctx, company, gen, doc, []protocol.HistoryWrap{{Gen: gen, To: maker, Wrap: doc}}, maker, kind, by, time.Now())
	}
	if err := add(1, anna, "history.key"); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"history.key", "history.recovery_made"} {
		if err := add(2, eve, kind); !errors.Is(err, store.ErrNotHolder) {
			t.Fatal(kind, err)
		}
	}
	if err := add(2, anna, "history.key"); err != nil {
		t.Fatal(err)
	}
	if err := add(3, eve, "history.renewed"); err != nil {
		t.Fatal("a new beginning", err)
	}
	big := grant.Signed{Body: make([]byte, 2000), Sig: make([]byte, 64)}
	for n := range 2000 {
		to := grant.Key{byte(n), byte(n >> 8), 1}
		if err = s.AddHistoryWraps(ctx, company, []protocol.HistoryWrap{{Gen: 3, To: to, Wrap: big}}, eve, "history.passed_on", by, time.Now()); err != nil {
			break
		}
	}
	k, e := s.HistoryKeys(ctx, company)
	if e != nil || !errors.Is(err, store.ErrTooMany) || len(k.Wraps) < 100 {
		t.Fatalf("%d wraps, %v, %v", len(k.Wraps), err, e)
	}
	if b, err := json.Marshal(k); err != nil || len(b) > protocol.MaxResponse {
		t.Fatalf("an answer of %d bytes %v", len(b), err)
	}
}
