package directory

import (
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

func (w *world) item(s grant.ID, seq uint64, hash byte) protocol.HistoryItem {
	it := protocol.HistoryItem{Session: s, Seq: seq, Hash: make([]byte, 32), At: w.now, Actor: "technician", Kind: "note", Gen: 1, Box: []byte("sealed")}
	it.Hash[0] = hash
	return it
}

func (w *world) upload(items ...protocol.HistoryItem) error {
	return w.d.PutHistory(w.Context(), w.auth, protocol.HistoryUpload{Items: items})
}

// An upload may come twice, in parts, and long after the end.
func TestUploadsMayComeAgainAndLate(t *testing.T) {
	w := newWorld(t)
	s := w.create()
	one, two := w.item(s.ID, 1, 1), w.item(s.ID, 2, 2)
	for range 3 {
		if err := w.upload(one, two); err != nil {
			t.Fatal(err)
		}
	}
	w.end(s)
	w.now = w.now.Add(60 * 24 * time.Hour)
	w.again()
	if err := w.upload(two, w.item(s.ID, 3, 3)); err != nil {
		t.Fatal("sixty days after the end:", err)
	}
	p, err := w.d.History(t.Context(), w.auth, 0)
	if err != nil || len(p.Items) != 3 || p.More {
		t.Fatalf("%+v %v", p, err)
	}
	if err := w.upload(w.item(grant.NewID(), 1, 1)); fault.KindOf(err) != fault.NotFound {
		t.Fatal("of a session that is not there", err)
	}
	stranger := w.auth
	stranger.Profile.ID = grant.NewID()
	if err := w.d.PutHistory(t.Context(), stranger, protocol.HistoryUpload{Items: []protocol.HistoryItem{one}}); fault.KindOf(err) != fault.NotFound {
		t.Fatal("of a colleague's session", err)
	}
	mixed := w.item(grant.NewID(), 4, 4)
	if err := w.upload(one, mixed); fault.KindOf(err) != fault.Invalid {
		t.Fatal("of two sessions at once", err)
	}
}

// Technicians bring, and do not read.
func TestTechniciansDoNotReadTheHistory(t *testing.T) {
	w := newWorld(t)
	s := w.create()
	if err := w.upload(w.item(s.ID, 1, 1)); err != nil {
		t.Fatal(err)
	}
	tech := w.auth
	tech.Profile.Roles = []string{protocol.RoleTechnician}
	if _, err := w.d.History(t.Context(), tech, 0); fault.KindOf(err) != fault.Denied {
		t.Fatal("a technician reads the company's history", err)
	}
	doc := grant.Signed{Body: []byte("{}"), Sig: make([]byte, 64)}
	for name, in := range map[string]protocol.HistoryGen{"key": {Doc: &doc}, "wrap": {Wraps: []protocol.HistoryWrap{{Gen: 1, Wrap: doc}}}} {
		gen := 0
		if in.Doc != nil {
			gen = 1
		}
		if err := w.d.AddHistoryKey(t.Context(), tech, gen, in); fault.KindOf(err) != fault.Denied {
			t.Errorf("a technician adds a %s: %v", name, err)
		}
	}
	if err := w.d.AddHistoryKey(t.Context(), w.auth, 0, protocol.HistoryGen{Wraps: []protocol.HistoryWrap{}, Why: "because"}); fault.KindOf(err) != fault.Invalid {
		t.Error("a reason that nobody knows", err)
	}
	good := protocol.HistoryAccept{Accept: doc, Gen: 2, Fingerprint: "0123-4567-89AB-CDEF"}
	if err := w.d.AcceptHistoryKey(t.Context(), tech, good); err != nil {
		t.Error(err)
	}
	if !w.noted("history.accepted") {
		t.Error("what somebody accepted is not in the audit")
	}
	k, err := w.d.HistoryKeys(t.Context(), tech)
	if err != nil || len(k.Accepts) != 1 {
		t.Fatalf("%+v %v", k, err)
	}
	for _, f := range []string{"", "0123-4567-89AB-CDE", "0123-4567-89AB-CDEU", "<script>"} {
		bad := good
		bad.Fingerprint = f
		if err := w.d.AcceptHistoryKey(t.Context(), tech, bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", f, err)
		}
	}
}

// The company says for how long; the server's timer deletes, and the audit tells.
func TestHistoryIsDeletedByTheCompanysPolicy(t *testing.T) {
	w := newWorld(t)
	old := w.create()
	if err := w.upload(w.item(old.ID, 1, 1)); err != nil {
		t.Fatal(err)
	}
	w.end(old)
	prune := func(left int) {
		t.Helper()
		if err := w.d.PruneHistory(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p, err := w.d.History(t.Context(), w.auth, 0); err != nil || len(p.Items) != left {
			t.Fatalf("%d items of %d: %v", len(p.Items), left, err)
		}
	}
	w.now = w.now.AddDate(0, 4, 0)
	w.again()
	young := w.create()
	if err := w.upload(w.item(young.ID, 1, 1)); err != nil {
		t.Fatal(err)
	}
	prune(2) // no rule: for good
	set := func(n int) error {
		_, err := w.d.SetCompany(t.Context(), w.auth, protocol.SetCompany{HistoryMonths: &n})
		w.again()
		return err
	}
	for _, n := range []int{-1, 241} {
		if err := set(n); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d months: %v", n, err)
		}
	}
	if err := set(6); err != nil {
		t.Fatal(err)
	}
	prune(2)
	if err := set(3); err != nil {
		t.Fatal(err)
	}
	if k, err := w.d.HistoryKeys(t.Context(), w.auth); err != nil || k.Months != 3 {
		t.Fatalf("%+v %v", k, err)
	}
	if c, err := w.d.Company(t.Context(), w.auth); err != nil || c.HistoryMonths != 3 {
		t.Fatalf("%+v %v", c, err)
	}
	prune(1)
	if !w.noted("history.pruned") || !w.noted("company.policy") {
		t.Error("not in the audit")
	}
	lead := w.auth
	lead.Profile.Roles = []string{protocol.RoleLead}
	n := 0
	if _, err := w.d.SetCompany(t.Context(), lead, protocol.SetCompany{HistoryMonths: &n}); fault.KindOf(err) != fault.Denied {
		t.Error("a lead sets the policy", err)
	}
}

func (w *world) again() {
	w.Helper()
	in, err := w.d.SignIn(w.Context(), grant.KeyOf(w.console), lo, protocol.SignIn{Email: w.account.Email, Password: w.account.Password, Console: "PC"})
	if err != nil {
		w.Fatal(err)
	}
	if w.auth, err = w.d.Authenticate(w.Context(), in.Tokens.Access, grant.KeyOf(w.console)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) end(s store.Session) {
	w.Helper()
	if err := w.d.EndConsole(w.Context(), w.auth, s.ID, sign(w.T, w.console, grant.ContextEnded, grant.Ended{Session: s.ID, By: grant.ByTechnician, At: w.now})); err != nil {
		w.Fatal(err)
	}
}
