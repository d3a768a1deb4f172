package desk

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"daypass/backend/grant"
	"daypass/backend/historykey"
	"daypass/backend/journal"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
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

// keyServer is a server as far as readKeys and accept ask it.
type keyServer struct {
	historian
	all rendezvous.HistoryKeys
}

func (s *keyServer) HistoryKeys(context.Context) (rendezvous.HistoryKeys, error) { return s.all, nil }

func (*keyServer) AcceptHistoryKey(context.Context, grant.Signed, int, string) error { return nil }

// What is pinned is pinned by company: a server that names another company is not
// looked at as for the first time.
func TestAnotherCompanyIsNoFirstLook(t *testing.T) {
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "h.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	console := func() historykey.Console {
		dev := pairing.NewDevice()
		return historykey.Console{Ed: dev.Ed, X: dev.X}
	}
	keysOf := func(company grant.ID, by historykey.Console) rendezvous.HistoryKeys {
		doc, key, err := historykey.Make(company, by, nil, historykey.Device{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w, err := historykey.Give(company, 1, key, by, by.Key(), by.Device().X)
		if err != nil {
			t.Fatal(err)
		}
		return rendezvous.HistoryKeys{Company: company, Docs: []grant.Signed{doc}, Wraps: []grant.Signed{w}}
	}
	d := &Desk{log: slog.New(slog.DiscardHandler)}
	me := console()
	place := companySetting("https://a.example", "Mia@example.com")
	round := func(s *keyServer, place string) (*keys, error) {
		k := &keys{me: me, place: place, private: map[int]*ecdh.PrivateKey{}}
		return k, d.readKeys(t.Context(), s, st, k)
	}
	right := &keyServer{all: keysOf(grant.NewID(), console())}
	k, err := round(right, place)
	if err != nil || k.chain.Last() == nil {
		t.Fatal("the first look", err)
	}
	wrong := &keyServer{all: keysOf(grant.NewID(), console())}
	k, err = round(wrong, place)
	if !errors.Is(err, historykey.ErrChanged) || k.chain != nil || k.claimed.Last() == nil || k.pin.Gen != 1 {
		t.Fatalf("%+v %v", k, err)
	}
	var shown HistoryKey
	d.describeChange(k, &shown)
	if shown.State != "changed" || shown.Known == "" || shown.Claimed != k.claimed.Last().Fingerprint() || shown.Claimed == shown.Known {
		t.Fatalf("%+v", shown)
	}
	if _, err := round(right, place); err != nil {
		t.Fatal("the right one again", err)
	}
	if _, err := round(wrong, companySetting("https://b.example", "mia@example.com")); err != nil {
		t.Fatal("another server has a first look of its own", err)
	}
	// A person compared, and goes on with it.
	if err := d.accept(t.Context(), wrong, st, k, k.claimed.Last()); err != nil {
		t.Fatal(err)
	}
	if k, err := round(wrong, place); err != nil || k.chain.Last() == nil {
		t.Fatal("after it was accepted", err)
	}
	if _, err := round(right, place); !errors.Is(err, historykey.ErrChanged) {
		t.Fatal("the one before is the other one now", err)
	}
}

// Whoever seals something is not believed to be the console of a record: what
// none of its consoles signed is shown as not verified.
func TestADocumentIsSignedByAConsoleOfTheRecord(t *testing.T) {
	console, eve := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	id := grant.NewID()
	e := journal.Head{}.Next(id, time.Now(), "technician", "created", "Session prepared.")
	e.Sign(journal.Console, console)
	doc := document{Session: session.Session{ID: id, State: session.Ended}, ConsoleKey: grant.KeyOf(console)}
	kind := func(plain []byte) journal.Kind {
		t.Helper()
		got, by, err := openDocument(plain)
		if err != nil {
			t.Fatal(err)
		}
		v := verdict(store.Row{Session: got.Session, ConsoleKey: got.ConsoleKey, HostKey: got.HostKey, DocBy: by, Head: e.Head(), FromServer: true}, []journal.Entry{e})
		if v.OK != (v.Kind == journal.Alone) || v.Kind == journal.Unattested && VerdictLevel(v) != "incomplete" {
			t.Fatalf("%+v", v)
		}
		return v.Kind
	}
	own, err := attest(console, doc)
	if err != nil {
		t.Fatal(err)
	}
	if k := kind(own); k != journal.Alone {
		t.Error("its own console signed it:", k)
	}
	foreign, err := attest(eve, doc)
	if err != nil {
		t.Fatal(err)
	}
	if k := kind(foreign); k != journal.Unattested {
		t.Error("a stranger signed it:", k)
	}
	plain, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if k := kind(plain); k != journal.Unattested {
		t.Error("nobody signed it:", k)
	}
	text := func(k ed25519.PrivateKey) []byte {
		return []byte(grant.Crockford.EncodeToString(k.Public().(ed25519.PublicKey)))
	}
	for _, bad := range [][]byte{
		bytes.Replace(own, []byte(`"state":"ended"`), []byte(`"state":"active"`), 1),
		bytes.ReplaceAll(foreign, text(eve), text(console)),
	} {
		if bytes.Equal(bad, own) || bytes.Equal(bad, foreign) {
			t.Fatal("nothing was changed")
		}
		if _, _, err := openDocument(bad); err == nil {
			t.Errorf("believed: %s", bad)
		}
	}
}
