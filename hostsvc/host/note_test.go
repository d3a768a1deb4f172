package host

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/receipt"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
)

// names lists a folder, sorted.
func names(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	var out []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".tmp") {
			out = append(out, e.Name())
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// ended is a rig whose session ended while the server was down, and whose
// program was closed before it could tell.
func ended(t *testing.T) (r *rig, receiptAt string) {
	t.Helper()
	r = newRig(t)
	receiptAt = filepath.Join(t.TempDir(), "receipt.html")
	r.cfg.ReceiptPath = func() string { return receiptAt }
	r.activate()
	r.server.set(func() { r.server.down = true })
	r.do(consent.Action{Kind: consent.EndAndRemove})
	hear[*wire.Removed](t, r.link)
	r.view.until(t, "telling", func(m consent.Model) bool { return m.Progress == consent.TellingServer })
	return r, receiptAt
}

func TestWhatTheServerDoesNotKnowYetIsToldTheNextDay(t *testing.T) {
	before := tellTimeout
	tellTimeout = 2 * time.Second
	t.Cleanup(func() { tellTimeout = before })
	r, at := ended(t)
	m := r.view.screen(t, consent.Removed)
	if !m.Report.Clean || m.Report.Told || len(m.Report.Waiting) == 0 || m.Report.SavedTo != at {
		t.Errorf("%+v", m.Report)
	}
	dir := folders(r.cfg.Base)
	if len(dir) != 1 || names(t, dir[0]) != "before.json journal.json note.json record.log steps.log" || Pending(r.cfg.Base) != 1 {
		t.Fatalf("%v %s", dir, names(t, dir[0]))
	}
	b, err := os.ReadFile(filepath.Join(dir[0], noteName))
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil || raw["pin"] != nil || raw["secret"] != nil || strings.Contains(string(b), r.server.link.Secret.Text()) {
		t.Errorf("%v: the note holds more than it needs", err)
	}
	r.do(consent.Action{Kind: consent.Leave})
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	r.mu.Lock()
	r.clock.Wall, r.clock.Mono, r.clock.Boot = r.clock.Wall.Add(26*time.Hour), time.Minute, "next"
	r.mu.Unlock()
	r.server.set(func() { r.server.down = false; r.server.infoErr = fault.New(fault.Expired, "info", "over", "") })
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	r.start() // the next day, for whatever reason
	m = r.view.screen(t, consent.Refused)
	if m.Refusal != consent.LinkExpired {
		t.Errorf("%+v", m)
	}
	r.do(consent.Action{Kind: consent.Leave})
	_ = r.wait() // the link is over
	if len(r.server.removed) != 1 || !r.server.removed[0].Clean || len(r.server.ended) != 1 || r.server.ended[0].By != grant.ByCustomer {
		t.Errorf("%+v %+v", r.server.removed, r.server.ended)
	}
	if _, err := os.Lstat(r.cfg.Base); !os.IsNotExist(err) {
		t.Errorf("left: %v", folders(r.cfg.Base))
	}
	if _, err := os.Lstat(at); err == nil {
		t.Error("the receipt was saved twice")
	}
	_, v := checkReceipt(t, strings.TrimSuffix(at, ".html")+".json", r.server.hostKey)
	if v.Both {
		t.Error("the console did not sign")
	}
}

func TestANoteThatNobodyTakesGoesAfterItsTime(t *testing.T) {
	r, _ := ended(t)
	r.cancel() // the computer is switched off
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	dir := folders(r.cfg.Base)
	n, err := loadNote(dir[0])
	if err != nil {
		t.Fatal(err)
	}
	n.Since = n.Since.Add(-noteLimit)
	if err := n.save(); err != nil {
		t.Fatal(err)
	}
	r.server.set(func() { r.server.infoErr = fault.New(fault.Expired, "info", "over", "") })
	r.start()
	r.view.until(t, "the next start", func(m consent.Model) bool { return m.Screen == consent.Refused })
	r.do(consent.Action{Kind: consent.Leave})
	_ = r.wait() // the link is over
	if len(r.server.removed) != 0 || len(folders(r.cfg.Base)) != 0 {
		t.Errorf("%+v %v", r.server.removed, folders(r.cfg.Base))
	}
}

// Whatever was changed in a receipt, the check says so.
func TestAReceiptCannotBeChanged(t *testing.T) {
	r := newRig(t)
	at := filepath.Join(t.TempDir(), "r.html")
	r.cfg.ReceiptPath = func() string { return at }
	r.activate()
	r.remote()
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Clipboard, On: false})
	hear[*wire.RightsNow](t, r.link)
	r.link.say(t, &wire.End{Ended: r.endedSigned(r.server.dev.Ed, grant.ByTechnician)})
	seal := hear[*wire.Receipt](t, r.link)
	var fact grant.Receipt
	if err := grant.Open(r.server.hostKey, grant.ContextReceipt, seal.Seal, &fact); err != nil {
		t.Fatal(err)
	}
	also, err := grant.Sign(r.server.dev.Ed, grant.ContextReceipt, fact)
	if err != nil {
		t.Fatal(err)
	}
	r.link.say(t, &wire.Receipt{Seal: also})
	m := r.view.screen(t, consent.Removed)
	if !m.Report.Both || m.Report.SavedTo != at {
		t.Errorf("%+v", m.Report)
	}
	r.do(consent.Action{Kind: consent.Leave})
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	js := strings.TrimSuffix(at, ".html") + ".json"
	body, v := checkReceipt(t, js, r.server.hostKey)
	if !v.Both || body.EndedBy != grant.ByTechnician || len(body.Done) != 3 || slices.Contains(body.Allowed, "exchange copied text") || !slices.Contains(body.Rights, "exchange copied text") {
		t.Errorf("%+v %+v", body, v)
	}
	b, err := os.ReadFile(js)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{"Mia Roth", "Mia Rott"}, {`"clean":true`, `"clean":false`}, {"the keys of the session", "the keys of the sessiom"}, {`"ended_by":"technician"`, `"ended_by":"customer"`}} {
		f, body, err := receipt.Parse([]byte(strings.Replace(string(b), change[0], change[1], 1)))
		if err != nil {
			t.Fatal(err)
		}
		if receipt.Verify(f, body).Genuine {
			t.Errorf("%q changed and nobody sees it", change[0])
		}
	}
}

func TestHostileNamesStayTextInTheReceipt(t *testing.T) {
	evil := `<script>alert(1)</script>"'&`
	c := &copyOf{lang: "en", body: receipt.Body{
		Company: evil, Technician: evil, Computer: evil, Server: evil, Rights: []string{evil}, Allowed: []string{evil}, EndedBy: grant.EndedBy(evil),
		Done: []receipt.Line{{What: evil}}, Removal: receipt.Removal{Removed: []string{evil}, Left: []string{evil}, Last: []string{evil}, Report: []string{"compared: " + evil}},
	}}
	page := string(c.html())
	if strings.Contains(page, "<script") || strings.Contains(page, `"'&`) {
		t.Error(page)
	}
}

func FuzzParseRecordCopy(f *testing.F) {
	f.Add([]byte(`{"record":[],"said":[],"host_key":"","console_key":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseRecordCopy(b)
		if err != nil && (c.Record != nil || c.Said != nil) {
			t.Fatal("something came of a file that was refused")
		}
	})
}

func FuzzParseNote(f *testing.F) {
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseNote(b) })
}
