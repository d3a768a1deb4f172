package directory

import (
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"go.uber.org/goleak"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
	"daypass/signaling/store/sqlite"
)

func TestMain(m *testing.M) {
	if argonMemory != 64<<10 || argonPasses != 3 {
		panic("the cost of password hashes changed")
	}
	argonMemory, argonPasses = 64, 1
	goleak.VerifyTestMain(m)
}

type world struct {
	*testing.T
	d       *Directory
	st      *sqlite.Store
	file    string
	now     time.Time
	changed []store.Session
	account Account
	console ed25519.PrivateKey
	auth    store.Auth
}

func key(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var lo = netip.MustParseAddr("127.0.0.1")

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: time.UnixMilli(1_700_000_000_000).UTC(), console: key(t), file: filepath.Join(t.TempDir(), "db")}
	var err error
	if w.st, err = sqlite.Open(t.Context(), w.file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.st.Close() })
	w.d = New(Config{Store: w.st, Key: key(t), Now: func() time.Time { return w.now }, Changed: func(s store.Session) { w.changed = append(w.changed, s) }})
	if w.account, err = CreateLocal(t.Context(), w.st, "mia@example.org", "Mia", "Contoso", w.now); err != nil {
		t.Fatal(err)
	}
	in, err := w.d.SignIn(t.Context(), grant.KeyOf(w.console), lo, protocol.SignIn{Email: w.account.Email, Password: w.account.Password, Console: "PC"})
	if err != nil {
		t.Fatal(err)
	}
	if w.auth, err = w.d.Authenticate(t.Context(), in.Tokens.Access, grant.KeyOf(w.console)); err != nil {
		t.Fatal(err)
	}
	return w
}

// code is what a's authenticator shows so many steps from now.
func (w *world) code(a Account, steps int64) string {
	w.Helper()
	seed, err := protocol.ParseSeed(a.TOTPSeed)
	if err != nil {
		w.Fatal(err)
	}
	return protocol.TOTPCode(seed, protocol.TOTPStep(w.now)+steps)
}

func (w *world) create() store.Session {
	w.Helper()
	s, err := w.d.Create(w.Context(), w.auth, protocol.NewSession{Subject: "Anna", Language: "en"})
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *world) state(id grant.ID) store.Session {
	w.Helper()
	s, err := w.d.Lookup(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func sign(t testing.TB, k ed25519.PrivateKey, ctx string, v any) grant.Signed {
	t.Helper()
	f, err := grant.Sign(k, ctx, v)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (w *world) act(s store.Session, host ed25519.PrivateKey, transcript byte) (console, hst grant.Signed) {
	a := grant.Activated{Session: s.ID, TechnicianKey: grant.KeyOf(w.console), HostKey: grant.KeyOf(host), Transcript: make([]byte, 32)}
	a.Transcript[0] = transcript
	return sign(w, w.console, grant.ContextActivated, a), sign(w, host, grant.ContextActivated, a)
}

func notYetErr(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == protocol.CodeNotYet
}

func TestActivationNeedsBothWordsAboutTheSameThing(t *testing.T) {
	w := newWorld(t)
	s := w.create()
	h, other := key(t), key(t)
	i := protocol.NewInstance()
	c1, h1 := w.act(s, h, 1)
	c2, h2 := w.act(s, h, 2)
	_, o1 := w.act(s, other, 1)
	// A stranger speaks first, then the console and the true host.
	if _, err := w.d.ActivateHost(t.Context(), s.ID, protocol.NewInstance(), grant.KeyOf(other), o1); !notYetErr(err) {
		t.Fatal(err)
	}
	if _, err := w.d.ActivateConsole(t.Context(), w.auth, s.ID, c1); !notYetErr(err) {
		t.Fatal(err)
	}
	if _, err := w.d.ActivateHost(t.Context(), s.ID, i, grant.KeyOf(h), h2); !notYetErr(err) {
		t.Fatalf("two transcripts: %v", err)
	}
	if _, err := w.d.ActivateHost(t.Context(), s.ID, i, grant.KeyOf(other), h1); fault.KindOf(err) != fault.Invalid {
		t.Fatalf("another's word: %v", err)
	}
	if _, err := w.d.ActivateConsole(t.Context(), w.auth, s.ID, c2); !notYetErr(err) {
		t.Fatalf("pairing again: %v", err)
	}
	g, err := w.d.ActivateHost(t.Context(), s.ID, i, grant.KeyOf(h), h2)
	if err != nil {
		t.Fatal(err)
	}
	if g2, err := w.d.ActivateConsole(t.Context(), w.auth, s.ID, c2); err != nil || string(g2.Body) != string(g.Body) {
		t.Errorf("repetition: %v", err)
	}
	if _, err := w.d.ActivateConsole(t.Context(), w.auth, s.ID, c1); !notYetErr(err) {
		t.Errorf("one side's other word after activation: %v", err)
	}
	if _, err := w.d.Host(t.Context(), s.ID, protocol.NewInstance(), grant.KeyOf(other), nil); fault.KindOf(err) != fault.Conflict {
		t.Errorf("another computer: %v", err)
	}
	if x := w.state(s.ID); x.State != protocol.Active || !x.Expires.Equal(w.now.Add(24*time.Hour)) || x.HostInstance != i {
		t.Errorf("%+v", x)
	}
}

func TestTimeEndsWhatNobodyEnds(t *testing.T) {
	w := newWorld(t)
	lapsing := w.create()
	w.now = w.now.Add(24*time.Hour - time.Millisecond)
	if wait, err := w.d.Sweep(t.Context()); err != nil || wait > 2*time.Millisecond || w.state(lapsing.ID).State != protocol.Invited {
		t.Fatalf("a millisecond early: %v %v %s", wait, err, w.state(lapsing.ID).State)
	}
	w.now = w.now.Add(time.Millisecond)
	if _, err := w.d.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if x := w.state(lapsing.ID); x.State != protocol.Ended || x.EndedBy != grant.ByLapse {
		t.Fatalf("%s by %s", x.State, x.EndedBy)
	}

	s := w.create()
	h := key(t)
	i := protocol.NewInstance()
	c, hs := w.act(s, h, 1)
	if _, err := w.d.ActivateConsole(t.Context(), w.auth, s.ID, c); !notYetErr(err) {
		t.Fatal(err)
	}
	if _, err := w.d.ActivateHost(t.Context(), s.ID, i, grant.KeyOf(h), hs); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(24*time.Hour + time.Second)
	if _, err := w.d.ActiveHost(t.Context(), s.ID, grant.KeyOf(h)); fault.KindOf(err) != fault.Expired {
		t.Errorf("over its time, before the sweep: %v", err)
	}
	if _, err := w.d.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	x := w.state(s.ID)
	var e grant.Ended
	if err := grant.Open(w.d.Key(), grant.ContextEnded, *x.EndedFact, &e); err != nil || x.State != protocol.Ending || e.By != grant.ByExpiry {
		t.Fatalf("%s %+v %v", x.State, e, err)
	}
	if _, err := w.d.Create(t.Context(), w.auth, protocol.NewSession{Subject: "next", Language: "en"}); err != nil {
		t.Errorf("the place was not given back: %v", err)
	}
	w.now = w.now.Add(16 * time.Minute)
	if _, err := w.d.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if x := w.state(s.ID); x.State != protocol.Unconfirmed {
		t.Fatalf("without a word of removal: %s", x.State)
	}
	r := sign(t, h, grant.ContextRemoved, grant.Removed{Session: s.ID, At: w.now, Clean: true, Report: make([]byte, 32)})
	if err := w.d.Removed(t.Context(), s.ID, i, grant.KeyOf(key(t)), r); fault.KindOf(err) != fault.Invalid {
		t.Errorf("removal told by another: %v", err)
	}
	if err := w.d.Removed(t.Context(), s.ID, i, grant.KeyOf(h), r); err != nil || w.state(s.ID).State != protocol.Removed {
		t.Errorf("late word of removal: %v %s", err, w.state(s.ID).State)
	}
}

func TestOnlyThoseWhoMayEndASession(t *testing.T) {
	w := newWorld(t)
	s := w.create()
	h := key(t)
	i := protocol.NewInstance()
	c, hs := w.act(s, h, 1)
	if _, err := w.d.ActivateConsole(t.Context(), w.auth, s.ID, c); !notYetErr(err) {
		t.Fatal(err)
	}
	if _, err := w.d.ActivateHost(t.Context(), s.ID, i, grant.KeyOf(h), hs); err != nil {
		t.Fatal(err)
	}
	stranger := key(t)
	end := func(k ed25519.PrivateKey, by grant.EndedBy) grant.Signed {
		return sign(t, k, grant.ContextEnded, grant.Ended{Session: s.ID, By: by, At: w.now})
	}
	if err := w.d.EndHost(t.Context(), s.ID, i, grant.KeyOf(stranger), end(stranger, grant.ByCustomer)); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a stranger's host: %v", err)
	}
	if err := w.d.EndConsole(t.Context(), w.auth, s.ID, end(stranger, grant.ByTechnician)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a word that the console did not sign: %v", err)
	}
	if err := w.d.EndHost(t.Context(), s.ID, i, grant.KeyOf(h), end(h, grant.ByTechnician)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("the host in the technician's name: %v", err)
	}
	// A lead of the company may; the server vouches, because the host knows one console.
	a, err := CreateLocal(t.Context(), w.st, "lead@example.org", "Lea", "Contoso", w.now)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := CreateLocal(t.Context(), w.st, "x@example.com", "X", "Other", w.now)
	if err != nil {
		t.Fatal(err)
	}
	enter := func(a Account) (ed25519.PrivateKey, store.Auth) {
		k := key(t)
		in, err := w.d.SignIn(t.Context(), grant.KeyOf(k), lo, protocol.SignIn{Email: a.Email, Password: a.Password})
		if err != nil {
			t.Fatal(err)
		}
		auth, err := w.d.Authenticate(t.Context(), in.Tokens.Access, grant.KeyOf(k))
		if err != nil {
			t.Fatal(err)
		}
		return k, auth
	}
	fk, fa := enter(foreign)
	if err := w.d.EndConsole(t.Context(), fa, s.ID, end(fk, grant.ByLead)); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a lead of another company: %v", err)
	}
	lk, la := enter(a)
	if err := w.d.EndConsole(t.Context(), la, s.ID, end(lk, grant.ByTechnician)); err != nil {
		t.Fatal(err)
	}
	x := w.state(s.ID)
	var e grant.Ended
	if err := grant.Open(w.d.Key(), grant.ContextEnded, *x.EndedFact, &e); err != nil || e.By != grant.ByLead || x.EndedBy != grant.ByLead {
		t.Errorf("%+v %v", e, err)
	}
	if err := w.d.HostTold(t.Context(), s.ID, i); err != nil || w.state(s.ID).State != protocol.Ended {
		t.Errorf("%v %s", err, w.state(s.ID).State)
	}
}

func TestVerifyNoticesEveryKindOfTampering(t *testing.T) {
	for name, q := range map[string]string{
		"changed entry":      "UPDATE audit SET detail = '{\"label\":\"other\"}' WHERE kind = 'session.create'",
		"removed entry":      "DELETE FROM audit WHERE kind = 'session.create'",
		"cut end":            "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
		"forged checkpoint":  "UPDATE checkpoints SET hash = randomblob(32)",
		"moved checkpoint":   "UPDATE checkpoints SET at = at + 1",
		"another's time":     "UPDATE audit SET at = at + 1 WHERE seq = 2",
		"another's identity": "UPDATE audit SET actor_id = 'x' WHERE seq = 2",
	} {
		w := newWorld(t)
		w.create()
		if err := w.d.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, c, err := Verify(t.Context(), w.st, w.d.Key()); err != nil || n != 4 || c != 1 {
			t.Fatalf("untouched: %d %d %v", n, c, err)
		}
		db, err := sql.Open("sqlite3", w.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{"PRAGMA foreign_keys = off", "DROP TRIGGER audit_is_append_only_u", "DROP TRIGGER audit_is_append_only_d", q} {
			if _, err := db.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		db.Close()
		if _, _, err := Verify(t.Context(), w.st, w.d.Key()); fault.KindOf(err) != fault.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignInLimitsGrowAndForget(t *testing.T) {
	l := newLimits()
	now := time.Unix(1_700_000_000, 0)
	for i := range 5 {
		if d := l.take("a", "1.1.1.1", now); d != 0 {
			t.Fatalf("try %d: %v", i, d)
		}
	}
	if d := l.take("a", "2.2.2.2", now); d <= 0 || d > 12*time.Second {
		t.Errorf("sixth try on the account: %v", d)
	}
	if d := l.take("a the owner's console", "2.2.2.2", now); d != 0 {
		t.Errorf("the owner's console is locked out: %v", d)
	}
	for i := range 20 {
		l.take(fmt.Sprint("x", i), "3.3.3.3", now)
	}
	if d := l.take("y", "3.3.3.3", now); d <= 0 {
		t.Error("21 tries of one address in a minute")
	}
	if d := l.take("y", "3.3.3.3", now.Add(time.Minute)); d != 0 {
		t.Errorf("a minute later: %v", d)
	}
	var last time.Duration
	for range 12 {
		l.note("4.4.4.4", now, false)
		d := l.take("z", "4.4.4.4", now)
		if d < last {
			t.Errorf("the pause shrank from %v to %v", last, d)
		}
		last = d
	}
	if last < time.Minute {
		t.Errorf("after 12 failures the pause is %v", last)
	}
	l.note("4.4.4.4", now, true)
	if d := l.take("q", "4.4.4.4", now); d != 0 {
		t.Errorf("after a success: %v", d)
	}
}

// RFC 6238, appendix B, SHA-1, last six of eight digits.
func TestOneTimeCodes(t *testing.T) {
	seed := []byte("12345678901234567890")
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1234567890: "005924", 2000000000: "279037"} {
		if step, ok := totpStep(seed, code, 0, time.Unix(at, 0)); !ok || step != at/30 {
			t.Errorf("%d: %d %v", at, step, ok)
		}
		if _, ok := totpStep(seed, code, 0, time.Unix(at+90, 0)); ok {
			t.Errorf("%d: good for too long", at)
		}
	}
	w := newWorld(t)
	for _, step := range []struct {
		n    int64
		want bool
	}{{10, true}, {10, false}, {9, false}, {11, true}} {
		if ok, err := w.st.UseTOTP(t.Context(), w.auth.Profile.ID, step.n); err != nil || ok != step.want {
			t.Errorf("step %d: %v %v", step.n, ok, err)
		}
	}
}

func TestTextsThatPeopleChooseAreBounded(t *testing.T) {
	w := newWorld(t)
	for _, bad := range []string{"", "  ", "a\nb", "a\u202eb", string(make([]byte, 200)), "\xff"} {
		if _, err := w.d.Create(t.Context(), w.auth, protocol.NewSession{Subject: bad, Language: "en"}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "x", "Mia <mia@example.org>"} {
		if _, err := CreateLocal(t.Context(), w.st, bad, "", "", w.now); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := CreateLocal(t.Context(), w.st, "MIA@example.org", "", "", w.now); fault.KindOf(err) != fault.Conflict {
		t.Errorf("twice: %v", err)
	}
}

func TestANewPasswordEndsEverySignIn(t *testing.T) {
	w := newWorld(t)
	if _, err := ResetAccount(t.Context(), w.st, w.account.Email, w.now); fault.KindOf(err) != fault.Denied {
		t.Errorf("the console's own account: %v", err)
	}
	var err error
	if w.account, err = CreateAdmin(t.Context(), w.st, "ada@example.org", "Ada", "Contoso", w.now); err != nil {
		t.Fatal(err)
	}
	in, err := w.d.SignIn(t.Context(), grant.KeyOf(w.console), lo, protocol.SignIn{Email: w.account.Email, Password: w.account.Password, TOTP: w.code(w.account, 0)})
	if err != nil {
		t.Fatal(err)
	}
	a, err := ResetAccount(t.Context(), w.st, w.account.Email, w.now)
	if err != nil || a.Password == w.account.Password {
		t.Fatal(err)
	}
	if _, err := w.d.Authenticate(t.Context(), in.Tokens.Access, grant.KeyOf(w.console)); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("an old access token: %v", err)
	}
	if _, err := w.d.Refresh(t.Context(), grant.KeyOf(w.console), in.Tokens.Refresh); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("an old refresh token: %v", err)
	}
	if _, err := w.d.SignIn(t.Context(), grant.KeyOf(w.console), lo, protocol.SignIn{Email: a.Email, Password: w.account.Password}); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("the old password: %v", err)
	}
	if _, err := w.d.SignIn(t.Context(), grant.KeyOf(w.console), lo, protocol.SignIn{Email: a.Email, Password: a.Password, TOTP: w.code(a, 0)}); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func TestASuspendedCompanyIsToldOnBothSides(t *testing.T) {
	w := newWorld(t)
	s := w.create()
	db, err := sql.Open("sqlite3", "file:"+w.file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "UPDATE companies SET suspended = 1"); err != nil {
		t.Fatal(err)
	}
	_, err = w.d.Invitation(t.Context(), s.ID) // the customer's page and program
	if f := fault.Of(err); f == nil || f.Kind != fault.Denied || f.Hint == "" {
		t.Errorf("invitation: %v", err)
	}
	_, err = w.d.SignIn(t.Context(), grant.KeyOf(w.console), lo, protocol.SignIn{Email: w.account.Email, Password: w.account.Password, Console: "PC"})
	if f := fault.Of(err); f == nil || f.Kind != fault.Denied || f.Hint == "" {
		t.Errorf("sign-in: %v", err)
	}
}
