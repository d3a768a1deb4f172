package pairs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"daypass/backend/desk"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/hostsvc/consent"
	"daypass/signaling/signalingtest"
)

func (k *tech) historyKey(what string, ok func(desk.HistoryKey) bool) desk.HistoryKey {
	k.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		h, err := k.d.HistoryKey()
		if err != nil {
			k.t.Fatal(err)
		}
		if ok(h) {
			return h
		}
		if time.Now().After(end) {
			k.t.Fatalf("%s: waited in vain for %s: %+v", k.name, what, h)
		}
	}
}

// One console of a lead works, another one reads: it gets the key from the
// first, opens what lies at the server, and checks the record with the network
// gone. The server's files hold nothing of what was said. A console that is
// signed out does not get what comes after.
func TestLeadsReadTheCompanysHistory(t *testing.T) {
	t.Parallel()
	srv := signalingtest.Start(t)
	k := newTech(t, srv, "works")
	k.up()
	k.historyKey("a first key", func(h desk.HistoryKey) bool { return h.State == "ready" && h.Generation == 1 })
	x, err := k.d.Create(t.Context(), desk.Invite{Email: "quokka-marker@example.com", Name: "Anna", Subject: "numbat-marker", Language: "en"})
	if err != nil {
		t.Fatal(err)
	}
	c := newCustomer(t, x.Link, "wombat-marker")
	c.up()
	settle(t, k, x.ID, c)
	c.do(consent.Action{Kind: consent.SetRight, Rights: grant.Clipboard, On: false})
	k.session("the right", x.ID, func(s desk.Session) bool { return len(s.Rights) == 2 })
	lead := newTech(t, srv, "reads")
	lead.up()
	lead.historyKey("the key to be passed on", func(h desk.HistoryKey) bool { return h.State == "waiting" || h.State == "ready" })
	k.d.SyncNow()
	lead.historyKey("the key", func(h desk.HistoryKey) bool { lead.d.SyncNow(); return h.State == "ready" })
	if err := k.d.End(x.ID); err != nil {
		t.Fatal(err)
	}
	k.session("the receipt", x.ID, func(s desk.Session) bool { return s.State == "removed" })
	k.historyKey("everything at the server", func(h desk.HistoryKey) bool { k.d.SyncNow(); return h.Unsent == 0 })
	id, err := grant.ParseID(x.ID)
	if err != nil {
		t.Fatal(err)
	}
	ours, want := k.record(x.ID)
	var es []journal.Entry
	var v journal.Verdict
	for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		k.d.SyncNow()
		lead.d.SyncNow()
		es, v, err = lead.d.Timeline(id)
		if err == nil && v.Kind == want.Kind && v.Closed == want.Closed && len(es) == len(ours) {
			break
		}
		if time.Now().After(end) {
			h, _ := lead.d.HistoryKey()
			mine, _ := k.d.HistoryKey()
			t.Fatalf("the lead has %v %+v\n%s\nwanted %+v\n%s\n%+v\n%+v", err, v, kinds(es), want, kinds(ours), h, mine)
		}
	}
	for i := range es {
		if es[i].Hash != ours[i].Hash {
			t.Fatalf("entry %d differs", i+1)
		}
	}
	p, err := lead.d.Past(id)
	if err != nil || p.Row.Session.Customer.Email != "quokka-marker@example.com" || !p.Row.FromServer {
		t.Fatalf("%+v %v", p.Row, err)
	}
	// With the server gone it can still be read.
	srv.Down(t)
	if _, v, err := lead.d.Timeline(id); err != nil || v.Kind != want.Kind {
		t.Fatal(v, err)
	}
	files, err := filepath.Glob(filepath.Join(srv.Config.DataDir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // a folder
		}
		for _, marker := range []string{"uokka-marker", "umbat-marker", "ombat-marker", "Allowed from now on"} {
			if bytes.Contains(b, []byte(marker)) {
				t.Errorf("%s holds %q in the clear", filepath.Base(f), marker)
			}
		}
	}
	srv.Up(t)
	// The second console is signed out: the key is replaced, and it is not told.
	k.until("online again", func(s desk.Snapshot) bool { return s.Server.Online })
	lead.until("online again", func(s desk.Snapshot) bool { return s.Server.Online })
	if err := lead.d.SignOut(); err != nil {
		t.Fatal(err)
	}
	h := k.historyKey("another key", func(h desk.HistoryKey) bool { k.d.SyncNow(); return h.Generation == 2 })
	for _, o := range h.Holders {
		if o.Has && !o.This {
			t.Errorf("%s has the new key", o.Name)
		}
	}
}
