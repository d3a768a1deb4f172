package host

import (
	"bytes"
	"crypto/ed25519"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daypass/backend/grant"
	"daypass/backend/journal"
)

func twoSides() (session grant.ID, host, console ed25519.PrivateKey) {
	return grant.NewID(), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
}

// A console that writes and writes neither fills the disk nor makes the copy so
// large that it is lost at the next start.
func TestAConsoleCannotMakeTheCopyTooLargeToBeRead(t *testing.T) {
	file, room := maxRecordFile, factRoom
	maxRecordFile, factRoom = 64<<10, 16<<10
	defer func() { maxRecordFile, factRoom = file, room }()
	id, host, console := twoSides()
	path := filepath.Join(t.TempDir(), recordName)
	r, err := openRecord(path, id, host, grant.KeyOf(console), grant.All)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		e := r.head.Next(id, time.Now(), "technician", "note", strings.Repeat("x", journal.MaxText))
		e.Sign(journal.Console, console)
		if _, _, err := r.take([]journal.Entry{e}); err != nil {
			break
		}
		if i > 100 {
			t.Fatal("there is no end to it")
		}
	}
	for range maxFacts {
		if r.count(recordLine{Asked: true}) != nil {
			break
		}
	}
	if _, err := r.say(endedFact(grant.ByCustomer)); err != nil {
		t.Fatalf("no room for the customer's word: %v", err)
	}
	want := r.head
	if err := r.detach(); err != nil {
		t.Fatal(err)
	}
	again, err := openRecord(path, id, host, grant.KeyOf(console), grant.All)
	if err != nil || again.head != want || len(again.facts) != 1 {
		t.Fatalf("%v: entry %d of %d, %d facts", err, again.head.Seq, want.Seq, len(again.facts))
	}
	if err := again.detach(); err != nil {
		t.Fatal(err)
	}
}

// A console that tells one untruth after the other does not use up what the host
// may say.
func TestUntruthsDoNotSilenceTheHost(t *testing.T) {
	id, host, console := twoSides()
	r, err := openRecord(filepath.Join(t.TempDir(), recordName), id, host, grant.KeyOf(console), grant.All)
	if err != nil {
		t.Fatal(err)
	}
	first := journal.Head{}.Next(id, time.Now(), "technician", "created", "")
	first.Sign(journal.Console, console)
	if _, _, err := r.take([]journal.Entry{first}); err != nil {
		t.Fatal(err)
	}
	said := 0
	for i := range 3 * maxObjections {
		other := journal.Head{}.Next(id, time.Unix(int64(i+1), 0), "technician", "created", "")
		other.Sign(journal.Console, console)
		_, say, err := r.take([]journal.Entry{other})
		if err != nil {
			t.Fatal(err)
		}
		said += len(say)
	}
	if said != maxObjections || len(r.objects) > maxObjections {
		t.Errorf("%d objections, %d remembered", said, len(r.objects))
	}
	if err := r.detach(); err != nil {
		t.Fatal(err)
	}
}
