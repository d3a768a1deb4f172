package pairs

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"daypass/backend/desk"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/receipt"
	"daypass/hostsvc/consent"
	"daypass/signaling/signalingtest"
)

// listed are the lines of "What was done" as the customer reads them.
func listed(m consent.Model) (out []string) {
	for _, b := range consent.Describe(m, "en").Blocks {
		if b.ID == "done" {
			for _, it := range b.Items {
				out = append(out, it.Text)
			}
		}
	}
	slices.Reverse(out) // newest first in the window
	return out
}

// What the customer reads comes from the record that both sides keep, outlives
// the program, and is what the receipt tells.
func TestWhatWasDoneComesFromTheRecord(t *testing.T) {
	t.Parallel()
	srv := signalingtest.Start(t)
	k, x, c := begun(t, srv, "console")
	in := func(what string) func(consent.Model) bool {
		return func(m consent.Model) bool { return m.Screen == consent.Connected && slices.Contains(listed(m), what) }
	}
	c.until("the code", in("You typed the code"))
	c.do(consent.Action{Kind: consent.SetRight, Rights: grant.Clipboard, On: true, For: 30 * time.Minute})
	c.until("the limit", in("You allowed: exchange copied text, for 30 minutes"))
	k.session("the right", x.ID, func(s desk.Session) bool { return slices.Contains(s.Rights, "clipboard") })
	c.do(consent.Action{Kind: consent.SetRight, Rights: grant.Clipboard})
	c.until("no clipboard", in("You no longer allow: exchange copied text"))
	c.do(consent.Action{Kind: consent.Stop})
	c.until("Stop", in("You pressed Stop"))
	k.verdict("both signatures", x.ID, func(v journal.Verdict) bool { return v.Kind == journal.Complete })
	before := listed(c.until("the list", func(m consent.Model) bool { return m.Paused }))

	c.down() // the program ends and is started again
	c.up()
	m := c.until("the program again", in("The program came back by itself"))
	if after := listed(m); !slices.Equal(after[:min(len(before), len(after))], before) {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if !m.Paused {
		t.Error("the start of the program undid Stop")
	}
	c.do(consent.Action{Kind: consent.Resume})
	c.until("Resume", in("You pressed Resume"))
	settle(t, k, x.ID, c)
	k.verdict("both signatures", x.ID, func(v journal.Verdict) bool { return v.Kind == journal.Complete })
	last := listed(c.until("the session", func(m consent.Model) bool { return !m.Paused }))

	k.down() // nobody there takes more
	c.do(consent.Action{Kind: consent.EndAndRemove})
	c.until("the report", func(m consent.Model) bool { return m.Screen == consent.Removed })
	c.do(consent.Action{Kind: consent.SaveReceipt})
	c.until("the saved receipt", func(m consent.Model) bool { return m.Report.SavedTo != "" })
	raw, err := os.ReadFile(strings.TrimSuffix(c.report, ".html") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var f receipt.File
	var body receipt.Body
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(f.Receipt, &body); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, l := range body.Done {
		told = append(told, l.What)
		if time.Since(l.At) > time.Hour || time.Since(l.At) < -time.Minute {
			t.Errorf("%q at %v", l.What, l.At)
		}
	}
	if !slices.Equal(told, last) {
		t.Errorf("window:\n%s\nreceipt:\n%s", strings.Join(last, "\n"), strings.Join(told, "\n"))
	}
}
