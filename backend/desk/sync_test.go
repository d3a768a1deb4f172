package desk

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"daypass/backend/grant"
	"daypass/backend/historykey"
	"daypass/backend/journal"
	"daypass/backend/rendezvous"
	"daypass/backend/store"
)

// Anybody who knows the company's public key can seal an item: the server, and
// each technician. What is in the box is not what it says costs nothing but the
// item.
func TestItemsThatAreNotWhatTheySayArePassedOver(t *testing.T) {
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "h.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	priv, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	company, console := grant.NewID(), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	k := &keys{company: company, private: map[int]*ecdh.PrivateKey{1: priv}}
	g := historykey.Generation{Doc: historykey.Doc{Company: company, Gen: 1, Public: historykey.X(priv.PublicKey().Bytes())}}
	item := func(id grant.ID, seq uint64, hash [32]byte, plain []byte) rendezvous.HistoryItem {
		box, err := g.Seal(id, seq, hash, plain)
		if err != nil {
			t.Fatal(err)
		}
		return rendezvous.HistoryItem{Session: id, Seq: seq, Hash: hash[:], Gen: 1, Box: box}
	}
	good := grant.NewID()
	e := journal.Head{}.Next(good, time.Now(), "technician", "created", "Session prepared.")
	e.Sign(journal.Console, console)
	whole, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	items := []rendezvous.HistoryItem{
		item(grant.NewID(), 1, sha256.Sum256([]byte("a")), []byte("no entry")),
		item(grant.NewID(), 0, sha256.Sum256([]byte("b")), []byte(`{"session":{}}`)),
		item(grant.NewID(), 1, e.Hash, whole), // of another session
		item(good, 1, e.Hash, whole),
	}
	d := &Desk{log: slog.New(slog.DiscardHandler)}
	if err := d.takeItems(t.Context(), st, k, items); err != nil {
		t.Fatal(err)
	}
	es, err := st.Entries(t.Context(), good)
	if err != nil || len(es) != 1 || es[0].Hash != e.Hash {
		t.Fatalf("%d %v", len(es), err)
	}
}
