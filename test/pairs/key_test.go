package pairs

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"daypass/backend/desk"
	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/signalingtest"
	"daypass/signaling/store/sqlite"
)

func (k *tech) invites(marker string) string {
	k.t.Helper()
	x, err := k.d.Create(k.t.Context(), desk.Invite{Email: marker + "@example.com", Name: "Anna", Subject: marker, Language: "en"})
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.d.End(x.ID); err != nil {
		k.t.Fatal(err)
	}
	id, err := grant.ParseID(x.ID)
	if err != nil {
		k.t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(k.srv.Config.DataDir, "*.db"))
	if err != nil || len(files) != 1 {
		k.t.Fatal(files, err)
	}
	st, err := sqlite.Open(k.t.Context(), files[0])
	if err != nil {
		k.t.Fatal(err)
	}
	defer st.Close()
	list, err := st.Companies(k.t.Context())
	if err != nil || len(list) != 1 {
		k.t.Fatal(list, err)
	}
	company := list[0].ID
	k.historyKey("everything at the server", func(h desk.HistoryKey) bool {
		k.d.SyncNow()
		p, err := st.History(k.t.Context(), company, 0)
		if err != nil {
			k.t.Fatal(err)
		}
		return slices.ContainsFunc(p.Items, func(it protocol.HistoryItem) bool { return it.Session == id && it.Seq == 0 && it.Kind == "ended" }) && h.Unsent == 0
	})
	return x.ID
}

// past waits until the session is in this console's history, with its customer.
func (k *tech) past(id, email string) {
	k.t.Helper()
	g, err := grant.ParseID(id)
	if err != nil {
		k.t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		k.d.SyncNow()
		p, err := k.d.Past(g)
		if err == nil && p.Row.Session.Customer.Email == email {
			return
		}
		if time.Now().After(end) {
			h, _ := k.d.HistoryKey()
			k.t.Fatalf("%s: %+v %v %+v", k.name, p.Row.Session, err, h)
		}
	}
}

// The only lead's console is gone. With the printed key another one opens what was
// there before the key was printed and after, and goes on with a key of its own.
func TestThePrintedKeyOpensTheHistoryOnANewConsole(t *testing.T) {
	t.Parallel()
	srv := signalingtest.Start(t)
	first := newTech(t, srv, "first")
	first.up()
	first.historyKey("a first key", func(h desk.HistoryKey) bool { return h.State == "ready" && h.Generation == 1 && !h.Recovery })
	before := first.invites("before")
	dropped, err := first.d.NewRecovery()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.d.DropRecovery(); err != nil {
		t.Fatal(err)
	}
	if err := first.d.KeepRecovery(); fault.KindOf(err) != fault.NotFound {
		t.Fatal("a key that was dropped was kept", err)
	}
	old, err := first.d.NewRecovery()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.d.KeepRecovery(); err != nil {
		t.Fatal(err)
	}
	words, err := first.d.NewRecovery()
	if err != nil || words == old {
		t.Fatal(err)
	}
	if err := first.d.KeepRecovery(); err != nil {
		t.Fatal(err)
	}
	first.historyKey("a recovery key", func(h desk.HistoryKey) bool { return h.State == "ready" && h.Generation == 3 && h.Recovery })
	after := first.invites("after")
	if err := first.d.SignOut(); err != nil {
		t.Fatal(err)
	}
	next := newTech(t, srv, "next")
	next.up()
	next.historyKey("that nobody has the key", func(h desk.HistoryKey) bool { return h.State == "lost" && h.Recovery })
	if err := next.d.KeepRecovery(); err == nil {
		t.Fatal("a console without the key made a recovery key")
	}
	if err := next.d.UseRecovery(dropped); fault.KindOf(err) != fault.Denied {
		t.Fatal("a recovery key that was never kept", err)
	}
	slip := []byte(words)
	slip[10] ^= 1
	if err := next.d.UseRecovery(string(slip)); fault.KindOf(err) != fault.Invalid {
		t.Fatal("a slip", err)
	}
	if err := next.d.UseRecovery(words); err != nil {
		t.Fatal(err)
	}
	next.historyKey("a key of its own", func(h desk.HistoryKey) bool {
		next.d.SyncNow()
		return h.State == "ready" && h.Generation == 4 && h.Recovery
	})
	next.past(before, "before@example.com")
	next.past(after, "after@example.com")
	// It is known: it passes the key on, and another console that comes believes it.
	third := newTech(t, srv, "third")
	third.up()
	third.historyKey("the key", func(h desk.HistoryKey) bool { next.d.SyncNow(); third.d.SyncNow(); return h.State == "ready" })
	third.past(after, "after@example.com")
	for kind, want := range map[string]int{"history.recovery_made": 2, "history.recovered": 1} {
		if n := audit(t, srv)[kind]; n != want {
			t.Errorf("%s: %d entries in the audit", kind, n)
		}
	}
}

// Somebody begins with another key. A console that knew the one before sends
// nothing to it until a person there has compared the fingerprint.
func TestAChangedKeyIsShownAndAcceptedByAPerson(t *testing.T) {
	t.Parallel()
	srv := signalingtest.Start(t)
	knew := newTech(t, srv, "knew")
	knew.up()
	first := knew.historyKey("a first key", func(h desk.HistoryKey) bool { return h.State == "ready" })
	before := knew.invites("before")
	knew.down()
	// Nobody is there to pass it on, and there is no printed key.
	anew := newTech(t, srv, "anew")
	anew.up()
	anew.historyKey("waiting", func(h desk.HistoryKey) bool { return h.State == "waiting" && h.Known == first.Known })
	if err := anew.d.AcceptKey(first.Known); fault.KindOf(err) != fault.Conflict {
		t.Fatal("there was nothing to accept", err)
	}
	if err := anew.d.RenewKey(); err != nil {
		t.Fatal(err)
	}
	fresh := anew.historyKey("a key of its own", func(h desk.HistoryKey) bool { return h.State == "ready" && h.Generation == 2 })
	if fresh.Known == first.Known || len(fresh.Known) != 19 {
		t.Fatal(fresh.Known)
	}
	knew.up()
	got := knew.historyKey("that it was changed", func(h desk.HistoryKey) bool { return h.State == "changed" })
	if got.Known != first.Known || got.Claimed != fresh.Known || got.ClaimedGen != 2 || got.ClaimedBy == "" || got.Fault == nil {
		t.Fatalf("%+v", got)
	}
	x, err := knew.d.Create(t.Context(), desk.Invite{Email: "held-back@example.com", Name: "Anna", Language: "en"})
	if err != nil {
		t.Fatal(err)
	}
	knew.d.SyncNow()
	time.Sleep(3 * time.Second) // longer than news wait for company: still nothing is sent
	anew.d.SyncNow()
	id, err := grant.ParseID(x.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := anew.d.Past(id); fault.KindOf(err) != fault.NotFound {
		t.Fatal("it was sent to a key that nobody accepted", err)
	}
	if err := knew.d.AcceptKey(first.Known); fault.KindOf(err) != fault.Hostile {
		t.Fatal("another fingerprint was accepted", err)
	}
	for name, f := range map[string]func() error{
		"renew":    knew.d.RenewKey,
		"recovery": func() error { _, err := knew.d.NewRecovery(); return err },
		"keep":     func() error { return knew.d.UseRecovery("") },
	} {
		if f() == nil {
			t.Errorf("%s: before it was accepted", name)
		}
	}
	if err := knew.d.AcceptKey(fresh.Known); err != nil {
		t.Fatal(err)
	}
	knew.historyKey("the new key", func(h desk.HistoryKey) bool {
		knew.d.SyncNow()
		anew.d.SyncNow()
		return h.State == "ready" && h.Known == fresh.Known
	})
	// What was lost to the new key is sent again.
	anew.past(x.ID, "held-back@example.com")
	anew.past(before, "before@example.com")
	if n := audit(t, srv)["history.accepted"]; n != 2 {
		t.Errorf("%d of 2 decisions are in the audit", n)
	}
	if n := audit(t, srv)["history.renewed"]; n != 1 {
		t.Errorf("renewed: %d", n)
	}
}
