package pairs

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"daypass/backend/desk"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/receipt"
	"daypass/hostsvc/consent"
	"daypass/signaling/server"
	"daypass/signaling/signalingtest"
)

// The customer ends with the network down; the technician, who cannot reach the
// computer, ends as well. That nobody confirmed the removal is shown until the
// computer is back, the next day: then the signed removal arrives, whoever is
// first to look.
func TestUnconfirmedUntilTheComputerIsBack(t *testing.T) {
	t.Parallel()
	srv := signalingtest.Start(t)
	k := newTech(t, srv, "console")
	k.removalWait = time.Second
	k.up()
	x := k.invite()
	c := newCustomer(t, x.Link, "anna")
	c.up()
	settle(t, k, x.ID, c)
	k.verdict("both signatures", x.ID, func(v journal.Verdict) bool { return v.Kind == journal.Complete })
	c.down()
	c.offline = true
	c.up()
	c.until("the session", func(m consent.Model) bool { return m.Screen == consent.Connected })
	c.do(consent.Action{Kind: consent.EndAndRemove})
	m := c.until("the report", func(m consent.Model) bool { return m.Screen == consent.Removed })
	if !m.Report.Clean || m.Report.Told || len(m.Report.Waiting) == 0 || m.Report.By != grant.ByCustomer {
		t.Errorf("%+v", m.Report)
	}
	c.down()
	if err := k.d.End(x.ID); err != nil {
		t.Fatal(err)
	}
	k.session("nobody confirms", x.ID, func(s desk.Session) bool {
		return s.State == "unconfirmed" && s.Removal != nil && s.Removal.State == "unconfirmed"
	})
	es, _ := k.record(x.ID)
	if got := kinds(es); !strings.Contains(got, "removal_unconfirmed") {
		t.Errorf("the history says nothing: %s", got)
	}
	k.down() // the console is away, too, and back
	k.up()
	k.session("still nobody", x.ID, func(s desk.Session) bool { return s.State == "unconfirmed" })

	c.offline = false
	c.up() // the next day
	k.session("the receipt", x.ID, func(s desk.Session) bool {
		return s.State == "removed" && s.Removal != nil && s.Removal.State == "clean"
	})
	es, v := k.record(x.ID)
	if got := kinds(es); !strings.Contains(got, " removal_unconfirmed") || !strings.Contains(got, " removed") || v.Kind != journal.Complete {
		t.Errorf("%+v: %s", v, got)
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // and the computer has nothing left
		if _, err := os.Lstat(c.base); os.IsNotExist(err) || empty(c.base) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the note stays though the server was told")
		}
	}
}

// empty reports whether no session has left anything in dir.
func empty(dir string) bool {
	es, err := os.ReadDir(dir)
	for _, e := range es {
		if e.IsDir() {
			return false
		}
	}
	return err == nil
}

// A lead ends the session of somebody else: the computer removes itself, and
// says to the customer, in the window and in the receipt, who ended it.
func TestALeadEndsASession(t *testing.T) {
	t.Parallel()
	srv := signalingtest.Start(t)
	k, x, c := begun(t, srv, "console")
	a, err := server.CreateAdmin(t.Context(), srv.Config.DataDir, "lea@example.org", "Lea", srv.Account.Company)
	if err != nil {
		t.Fatal(err)
	}
	lead, key := srv.ConsoleOf(t, a)
	id, err := grant.ParseID(x.ID)
	if err != nil {
		t.Fatal(err)
	}
	f, err := grant.Sign(key, grant.ContextEnded, grant.Ended{Session: id, By: grant.ByLead})
	if err != nil {
		t.Fatal(err)
	}
	if err := lead.End(t.Context(), id, f); err != nil {
		t.Fatal(err)
	}
	m := c.until("the report", func(m consent.Model) bool { return m.Screen == consent.Removed })
	if m.Report.By != grant.ByLead || !m.Report.Clean || !m.Report.Told {
		t.Errorf("%+v", m.Report)
	}
	said := ""
	for _, b := range consent.Describe(m, "en").Blocks {
		said += b.Text + " " + b.Detail + "\n"
	}
	if !strings.Contains(said, "A lead of Mia Roth’s company ended the session.") {
		t.Error(said)
	}
	page, err := os.ReadFile(c.report)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "a lead of the technician’s company") {
		t.Error("the receipt does not say who ended it")
	}
	raw, err := os.ReadFile(strings.TrimSuffix(c.report, ".html") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var file receipt.File
	var body receipt.Body
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file.Receipt, &body); err != nil {
		t.Fatal(err)
	}
	if v := receipt.Verify(file, body); !v.Genuine || body.EndedBy != grant.ByLead {
		t.Errorf("%+v", v)
	}
	if s := k.session("the receipt", x.ID, func(s desk.Session) bool { return s.State == "removed" }); s.EndedBy != string(grant.ByLead) {
		t.Errorf("%+v", s)
	}
}
