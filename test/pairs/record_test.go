package pairs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"daypass/backend/desk"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/host"
	"daypass/signaling/signalingtest"
)

// copied is the customer's copy, as it is saved beside the receipt.
type copied struct {
	Record     []journal.Entry `json:"record"`
	Said       []grant.Signed  `json:"said"`
	HostKey    grant.Key       `json:"host_key"`
	ConsoleKey grant.Key       `json:"console_key"`
}

func (c *customer) copy() copied {
	c.t.Helper()
	c.until("the report", func(m consent.Model) bool { return m.Screen == consent.Removed })
	c.do(consent.Action{Kind: consent.SaveReceipt})
	c.until("the saved receipt", func(m consent.Model) bool { return m.Report.SavedTo != "" })
	raw, err := os.ReadFile(strings.TrimSuffix(c.report, ".html") + ".record.json")
	if err != nil {
		c.t.Fatal(err)
	}
	var out copied
	if err := grant.Strict(raw, &out); err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (k *tech) record(id string) ([]journal.Entry, journal.Verdict) {
	k.t.Helper()
	g, err := grant.ParseID(id)
	if err != nil {
		k.t.Fatal(err)
	}
	es, v, err := k.d.Timeline(g)
	if err != nil {
		k.t.Fatal(err)
	}
	return es, v
}

func (k *tech) verdict(what, id string, ok func(journal.Verdict) bool) journal.Verdict {
	k.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		es, v := k.record(id)
		if ok(v) {
			return v
		}
		if time.Now().After(end) {
			k.t.Fatalf("%s: waited in vain for %s: %+v\n%s", k.name, what, v, kinds(es))
		}
	}
}

func kinds(es []journal.Entry) string {
	var out []string
	for _, e := range es {
		s := e.Kind
		if e.Fact != nil {
			s += "!"
		}
		if e.SignatureOf(journal.Host) == nil {
			s += "?"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// same checks that the customer's copy is what the console has, to its end, and
// that what the customer's computer said is in it.
func same(t *testing.T, ours []journal.Entry, theirs copied) {
	t.Helper()
	if len(theirs.Record) == 0 || len(theirs.Record) > len(ours) {
		t.Fatalf("the customer has %d entries, the console %d:\n%s\n%s", len(theirs.Record), len(ours), kinds(theirs.Record), kinds(ours))
	}
	for i, e := range theirs.Record {
		if e.Hash != ours[i].Hash {
			t.Fatalf("entry %d differs: %s %q, %s %q", e.Seq, e.Kind, e.Text, ours[i].Kind, ours[i].Text)
		}
	}
	v := journal.Verify(theirs.Record, journal.Keys{Console: theirs.ConsoleKey, Host: theirs.HostKey}, journal.Head{})
	if v.Kind != journal.Complete {
		t.Fatalf("the customer's copy by itself: %+v\n%s", v, kinds(theirs.Record))
	}
	rest := ours[len(theirs.Record):]
	for _, s := range theirs.Said {
		f, err := journal.OpenFact(theirs.HostKey, theirs.Record[0].Session, s)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, e := range rest {
			found = found || e.Fact != nil && e.Kind == f.Kind && string(e.Fact.Body) == string(s.Body)
		}
		if !found {
			t.Errorf("what the customer's computer said at its end (%s) is not in the record: %s", f.Kind, kinds(rest))
		}
	}
}

// Both sides live through a random script of switched rights, stops, restarts
// and kills, and an end by either or with one of them away. The records are the
// same, signed by both, and compared with the host's last word.
func TestBothHaveTheSameRecord(t *testing.T) {
	n := 6
	if testing.Short() {
		n = 2
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(seed), 3))
			srv := signalingtest.Start(t)
			k := newTech(t, srv, "console")
			k.up()
			x := k.invite()
			c := newCustomer(t, x.Link, "anna")
			c.up()
			settle(t, k, x.ID, c)
			on, stopped := true, false
			for range 8 {
				switch r.IntN(5) {
				case 0, 1:
					on = !on
					c.do(consent.Action{Kind: consent.SetRight, Rights: grant.Clipboard, On: on})
				case 2:
					if stopped = !stopped; stopped {
						c.do(consent.Action{Kind: consent.Stop})
					} else {
						c.do(consent.Action{Kind: consent.Resume})
					}
				case 3:
					k.down()
					on = !on
					c.do(consent.Action{Kind: consent.SetRight, Rights: grant.Clipboard, On: on}) // with nobody there
					k.up()
					settle(t, k, x.ID, c)
				case 4:
					c.down()
					c.up()
					stopped = false
					settle(t, k, x.ID, c)
				}
			}
			k.verdict("both signatures", x.ID, func(v journal.Verdict) bool { return v.Kind == journal.Complete })
			switch r.IntN(3) {
			case 0:
				if err := k.d.End(x.ID); err != nil {
					t.Fatal(err)
				}
			case 1:
				c.do(consent.Action{Kind: consent.EndAndRemove})
			case 2:
				k.down()
				c.do(consent.Action{Kind: consent.SetRight, Rights: grant.Control, On: false})
				c.do(consent.Action{Kind: consent.EndAndRemove})
				c.until("the end", func(m consent.Model) bool { return m.Screen == consent.Removed && m.Report.Told })
				k.up()
			}
			k.session("the receipt", x.ID, func(s desk.Session) bool { return s.State == "removed" })
			theirs := c.copy()
			v := k.verdict("the host's last word", x.ID, func(v journal.Verdict) bool { return v.Closed })
			es, _ := k.record(x.ID)
			if v.Kind != journal.Complete {
				t.Errorf("%+v\n%s", v, kinds(es))
			}
			same(t, es, theirs)
		})
	}
}

// Another console goes on with the session: it has the whole record from the
// host, and continues it under its own key.
func TestTheRecordMovesWithTheSession(t *testing.T) {
	t.Parallel()
	srv := signalingtest.Start(t)
	old, x, c := begun(t, srv, "old")
	old.verdict("both signatures", x.ID, func(v journal.Verdict) bool { return v.Kind == journal.Complete })
	before, _ := old.record(x.ID)
	k := newTech(t, srv, "new")
	k.up()
	k.session("the session of the other console", x.ID, func(s desk.Session) bool { return !s.Mine && s.State == "active" })
	if _, err := k.d.TakeOver(t.Context(), x.Link); err != nil {
		t.Fatal(err)
	}
	settle(t, k, x.ID, c)
	k.verdict("the whole record", x.ID, func(v journal.Verdict) bool { return v.Kind == journal.Complete && v.Entries > len(before) })
	es, _ := k.record(x.ID)
	for i, e := range before {
		if es[i].Hash != e.Hash {
			t.Fatalf("entry %d is not what the old console wrote: %s, %s", e.Seq, kinds(es), kinds(before))
		}
	}
	if !strings.Contains(kinds(es), journal.KindMovedHere+"!") {
		t.Fatalf("the record does not say that it moved: %s", kinds(es))
	}
	c.do(consent.Action{Kind: consent.SetRight, Rights: host.Offered & grant.Clipboard, On: false})
	time.Sleep(10 * time.Millisecond)
	if err := k.d.End(x.ID); err != nil {
		t.Fatal(err)
	}
	k.session("the receipt", x.ID, func(s desk.Session) bool { return s.State == "removed" })
	v := k.verdict("the host's last word", x.ID, func(v journal.Verdict) bool { return v.Closed })
	es, _ = k.record(x.ID)
	if v.Kind != journal.Complete {
		t.Errorf("%+v\n%s", v, kinds(es))
	}
	same(t, es, c.copy())
}
