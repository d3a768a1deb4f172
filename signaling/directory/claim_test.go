package directory

import (
	"crypto/ed25519"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

// second signs the same person in on another console.
func (w *world) second() (ed25519.PrivateKey, store.Auth) {
	w.Helper()
	k := key(w)
	in, err := w.d.SignIn(w.Context(), grant.KeyOf(k), lo, protocol.SignIn{Email: w.account.Email, Password: w.account.Password, Console: "Laptop"})
	if err != nil {
		w.Fatal(err)
	}
	a, err := w.d.Authenticate(w.Context(), in.Tokens.Access, grant.KeyOf(k))
	if err != nil {
		w.Fatal(err)
	}
	return k, a
}

func word(t testing.TB, id grant.ID, console, host, signer ed25519.PrivateKey, transcript byte) grant.Signed {
	a := grant.Activated{Session: id, TechnicianKey: grant.KeyOf(console), HostKey: grant.KeyOf(host), Transcript: make([]byte, 32)}
	a.Transcript[0] = transcript
	return sign(t, signer, grant.ContextActivated, a)
}

func (w *world) active(host ed25519.PrivateKey) (store.Session, protocol.Instance) {
	w.Helper()
	s, i := w.create(), protocol.NewInstance()
	c, h := w.act(s, host, 1)
	if _, err := w.d.ActivateHost(w.Context(), s.ID, i, grant.KeyOf(host), h); !notYetErr(err) {
		w.Fatal(err)
	}
	if _, err := w.d.ActivateConsole(w.Context(), w.auth, s.ID, c); err != nil {
		w.Fatal(err)
	}
	return w.state(s.ID), i
}

func TestAClaimMovesASessionOnlyOnBothWordsAndNeverItsEnd(t *testing.T) {
	w := newWorld(t)
	host := key(t)
	s, i := w.active(host)
	k2, a2 := w.second()
	w.now = w.now.Add(3 * time.Hour)

	// Before a claim the second console has no say.
	if _, err := w.d.ActivateConsole(t.Context(), a2, s.ID, word(t, s.ID, k2, host, k2, 2)); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("without a claim: %v", err)
	}
	c, err := w.d.Claim(t.Context(), a2, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	var offer grant.Offer
	if err := grant.Open(w.d.Key(), grant.ContextOffer, *c.ClaimOffer, &offer); err != nil || offer.TechnicianKey != grant.KeyOf(k2) || !offer.Expires.Equal(w.now.Add(claimFor)) {
		t.Fatalf("offer %+v, %v", offer, err)
	}
	if c.State != protocol.Active || c.ConsoleKey != grant.KeyOf(w.console) || c.ClaimKey != grant.KeyOf(k2) {
		t.Fatalf("a claim alone changed the session: %+v", c)
	}
	if rev := c.Rev; rev != 0 {
		if again, err := w.d.Claim(t.Context(), a2, s.ID); err != nil || again.Rev != rev {
			t.Fatalf("a claim is not idempotent: %d, %v", again.Rev, err)
		}
	}
	// Neither word alone moves it, nor words that differ, nor another host's.
	if _, err := w.d.ActivateConsole(t.Context(), a2, s.ID, word(t, s.ID, k2, host, k2, 2)); !notYetErr(err) {
		t.Fatal(err)
	}
	if _, err := w.d.ActivateHost(t.Context(), s.ID, i, grant.KeyOf(host), word(t, s.ID, k2, host, host, 3)); !notYetErr(err) {
		t.Fatalf("other transcript: %v", err)
	}
	stranger := key(t)
	if _, err := w.d.ActivateHost(t.Context(), s.ID, i, grant.KeyOf(stranger), word(t, s.ID, k2, stranger, stranger, 2)); fault.KindOf(err) != fault.Conflict || notYetErr(err) {
		t.Fatalf("another host: %v", err)
	}
	// The first console still is the session's.
	if _, err := w.d.ActiveConsole(t.Context(), w.auth, s.ID); err != nil {
		t.Fatal(err)
	}
	h2 := word(t, s.ID, k2, host, host, 2)
	g1, err := w.d.ActivateHost(t.Context(), s.ID, i, grant.KeyOf(host), h2)
	if err != nil {
		t.Fatal(err)
	}
	g2, err := w.d.ActivateConsole(t.Context(), a2, s.ID, word(t, s.ID, k2, host, k2, 2))
	if err != nil || string(g1.Body) != string(g2.Body) {
		t.Fatalf("the grant is not the same for both: %v", err)
	}
	if g3, err := w.d.ActivateHost(t.Context(), s.ID, i, grant.KeyOf(host), h2); err != nil || string(g3.Body) != string(g1.Body) {
		t.Fatalf("not idempotent: %v", err)
	}
	var g grant.Grant
	if err := grant.Open(w.d.Key(), grant.ContextGrant, g1, &g); err != nil {
		t.Fatal(err)
	}
	now := w.state(s.ID)
	if !g.Expires.Equal(s.Expires) || !now.Expires.Equal(s.Expires) || !g.Issued.Equal(s.Activated) || g.TechnicianKey != grant.KeyOf(k2) || g.HostKey != grant.KeyOf(host) {
		t.Fatalf("grant %+v, session ends %v instead of %v", g, now.Expires, s.Expires)
	}
	if now.ConsoleKey != grant.KeyOf(k2) || now.ClaimOffer != nil || now.Claim != (grant.ID{}) {
		t.Fatalf("after it: %+v", now)
	}
	if _, err := w.d.ActiveConsole(t.Context(), w.auth, s.ID); err == nil {
		t.Fatal("the first console still gets relays")
	}
	if _, err := w.d.ActivateConsole(t.Context(), w.auth, s.ID, word(t, s.ID, w.console, host, w.console, 1)); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("the first console's old word: %v", err)
	}
	kinds := map[string]int{}
	if err := w.st.Audit(t.Context(), func(e store.Entry) error { kinds[e.Kind]++; return nil }); err != nil {
		t.Fatal(err)
	}
	if kinds["session.claimed"] != 1 || kinds["session.reactivated"] != 1 || kinds["session.active"] != 1 {
		t.Fatalf("audit: %v", kinds)
	}
	if _, _, err := Verify(t.Context(), w.st, w.d.Key()); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheSamePersonClaims(t *testing.T) {
	w := newWorld(t)
	s, _ := w.active(key(t))
	_, a := w.second()
	other := a
	other.Profile.ID = grant.NewID()
	other.Profile.Roles = []string{"lead", "admin"}
	if _, err := w.d.Claim(t.Context(), other, s.ID); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("another person: %v", err)
	}
	w.now = w.now.Add(grant.Limit)
	if _, err := w.d.Claim(t.Context(), a, s.ID); fault.KindOf(err) != fault.Expired {
		t.Fatalf("after its end: %v", err)
	}
}

// A console that lost its keys, and nothing else, needs no other key.
func TestTheSameConsoleActivatesAnew(t *testing.T) {
	w := newWorld(t)
	host := key(t)
	s, i := w.active(host)
	c2, h2 := w.act(s, host, 2)
	if _, err := w.d.ActivateConsole(t.Context(), w.auth, s.ID, c2); !notYetErr(err) {
		t.Fatal(err)
	}
	g, err := w.d.ActivateHost(t.Context(), s.ID, i, grant.KeyOf(host), h2)
	if err != nil {
		t.Fatal(err)
	}
	var is grant.Grant
	if err := grant.Open(w.d.Key(), grant.ContextGrant, g, &is); err != nil || !is.Expires.Equal(s.Expires) {
		t.Fatalf("%+v %v", is, err)
	}
}

func TestAnInvitationMovesAtOnce(t *testing.T) {
	w := newWorld(t)
	s := w.create()
	k2, a2 := w.second()
	m, err := w.d.Claim(t.Context(), a2, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	var o grant.Offer
	if err := grant.Open(w.d.Key(), grant.ContextOffer, m.Offer, &o); err != nil || o.TechnicianKey != grant.KeyOf(k2) || !o.Expires.Equal(s.InviteExpires) || m.ConsoleKey != grant.KeyOf(k2) {
		t.Fatalf("%+v %v", o, err)
	}
	if err := w.d.SetState(t.Context(), w.auth, s.ID, protocol.Invited, protocol.Answered); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("the first console still speaks for it: %v", err)
	}
}

func TestAClaimEndsWithItsTimeAndWithTheSession(t *testing.T) {
	w := newWorld(t)
	s, _ := w.active(key(t))
	_, a2 := w.second()
	if _, err := w.d.Claim(t.Context(), a2, s.ID); err != nil {
		t.Fatal(err)
	}
	if l, err := w.d.Mine(t.Context(), a2); err != nil || len(l) != 1 {
		t.Fatalf("%v, %v", l, err)
	}
	w.now = w.now.Add(claimFor)
	if l, err := w.d.Mine(t.Context(), a2); err != nil || len(l) != 0 {
		t.Fatalf("a claim that is over is told: %v, %v", l, err)
	}
	e := sign(t, w.console, grant.ContextEnded, grant.Ended{Session: s.ID, By: grant.ByTechnician, At: w.now})
	if err := w.d.EndConsole(t.Context(), w.auth, s.ID, e); err != nil {
		t.Fatal(err)
	}
	if s := w.state(s.ID); s.ClaimOffer != nil || s.State != protocol.Ending {
		t.Fatalf("%+v", s)
	}
}
