package directory

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

func TestARefreshTokenUsedTwiceEndsTheSignIn(t *testing.T) {
	w := newWorld(t)
	var gone []grant.Key
	w.d.cfg.Revoked = func(k grant.Key) { gone = append(gone, k) }
	me := grant.KeyOf(w.console)
	in, err := w.d.SignIn(t.Context(), me, lo, protocol.SignIn{Email: w.account.Email, Password: w.account.Password})
	if err != nil {
		t.Fatal(err)
	}
	first, err := w.d.Refresh(t.Context(), me, in.Tokens.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	// The answer got lost: the same again is no theft, and replaces it.
	second, err := w.d.Refresh(t.Context(), me, in.Tokens.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.d.Refresh(t.Context(), me, first.Refresh); fault.KindOf(err) != fault.SignedOut || len(gone) != 0 {
		t.Errorf("what was replaced: %v", err)
	}
	third, err := w.d.Refresh(t.Context(), me, second.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.d.Refresh(t.Context(), grant.KeyOf(key(t)), third.Refresh); fault.KindOf(err) != fault.SignedOut || len(gone) != 0 {
		t.Errorf("with another console's key: %v", err)
	}
	// Its successor was used: somebody else has it.
	if _, err := w.d.Refresh(t.Context(), me, in.Tokens.Refresh); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("used twice: %v", err)
	}
	if _, err := w.d.Refresh(t.Context(), me, third.Refresh); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("the family goes on: %v", err)
	}
	if _, err := w.d.Authenticate(t.Context(), third.Access, me); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("the access token: %v", err)
	}
	if len(gone) != 1 || gone[0] != me {
		t.Errorf("%d sockets were closed", len(gone))
	}
	if !w.noted("console.token_reuse") {
		t.Error("not in the audit chain")
	}
}

// noted reports whether the chain has an entry of a kind.
func (w *world) noted(kind string) bool {
	w.Helper()
	found := false
	if err := w.st.Audit(w.Context(), func(e store.Entry) error { found = found || e.Kind == kind; return nil }); err != nil {
		w.Fatal(err)
	}
	return found
}

func TestOneTimeCodesOfNeighbouringStepsCountAndEachOnce(t *testing.T) {
	w := newWorld(t)
	a, err := CreateAdmin(t.Context(), w.st, "ada@example.org", "Ada", "Contoso", w.now)
	if err != nil {
		t.Fatal(err)
	}
	in := func(code string) error {
		_, err := w.d.SignIn(t.Context(), grant.KeyOf(key(t)), lo, protocol.SignIn{Email: a.Email, Password: a.Password, TOTP: code, Console: "PC"})
		return err
	}
	for _, far := range []int64{-2, 2} {
		if err := in(w.code(a, far)); fault.KindOf(err) != fault.SignedOut {
			t.Errorf("%d steps away: %v", far, err)
		}
	}
	w.now = w.now.Add(time.Minute)
	for _, step := range []int64{-1, 0, 1} {
		if err := in(w.code(a, step)); err != nil {
			t.Errorf("%d steps away: %v", step, err)
		}
		w.now = w.now.Add(time.Second) // stay within the step
	}
	w.now = w.now.Add(10 * time.Minute)
	code := w.code(a, 0)
	if err := in(code[:3] + " " + code[3:]); err != nil {
		t.Errorf("as the telephone shows it: %v", err)
	}
	for _, again := range []string{code, w.code(a, -1)} {
		if err := in(again); fault.KindOf(err) != fault.SignedOut {
			t.Errorf("used, or before one that was: %v", err)
		}
	}
	if !w.noted("console.signin_failed") {
		t.Error("failures are not in the audit chain")
	}
}

func TestPasswordsThatEverybodyTriesFirst(t *testing.T) {
	for pw, ok := range map[string]bool{
		"wooden boats drift slowly": true, "Übergrößenträger!": true, "correct horse battery": true, "x7#Qm2!vLp9z": true,
		"short": false, "elevenchars": false, "aaaaaaaaaaaaaaaa": false, "abababababababab": false, "123456789012": false, "Password2026!": false,
		"passwort1234": false, "qwertzuiopasdf": false, "mia@example.org": false, "mia123456789": false, "Contoso Support": false, strings.Repeat("abcdefg ", 200): false, "\xff\xfeabcdefghijklm": false,
	} {
		if err := password("test", pw, "mia@example.org", "Mia Roth", "Contoso Support"); (err == nil) != ok {
			t.Errorf("%q: %v", pw, err)
		}
	}
}

func TestALocalAccountFromElsewhereIsRefused(t *testing.T) {
	w := newWorld(t)
	w.d.cfg.Own = func(from netip.Addr) bool { return from.IsLoopback() }
	in := protocol.SignIn{Email: w.account.Email, Password: w.account.Password, Console: "PC"}
	if _, err := w.d.SignIn(t.Context(), grant.KeyOf(w.console), netip.MustParseAddr("192.0.2.7"), in); fault.KindOf(err) != fault.Denied {
		t.Errorf("from elsewhere: %v", err)
	}
	if _, err := w.d.SignIn(t.Context(), grant.KeyOf(w.console), lo, in); err != nil {
		t.Error(err)
	}
}

func TestGuessingInsideASignInIsBounded(t *testing.T) {
	w := newWorld(t)
	var last error
	for range 8 {
		last = w.d.prove(t.Context(), "test", w.auth, "guess", "")
	}
	if fault.KindOf(last) != fault.Limit {
		t.Errorf("%v", last)
	}
}

// Who has the password, or a code for a new one, guesses the second factor no
// faster for having many addresses, and keeps the owner's own console out of
// nothing.
func TestGuessingTheSecondFactorFromManyAddressesIsBounded(t *testing.T) {
	w := newWorld(t)
	a, err := CreateAdmin(t.Context(), w.st, "ada@example.org", "Ada", "Fabrikam", w.now)
	if err != nil {
		t.Fatal(err)
	}
	own := grant.KeyOf(key(t))
	if _, err := w.d.SignIn(t.Context(), own, lo, protocol.SignIn{Email: a.Email, Password: a.Password, TOTP: w.code(a, 0), Console: "PC"}); err != nil {
		t.Fatal(err)
	}
	p, err := w.st.ProfileByEmail(t.Context(), a.Email)
	if err != nil {
		t.Fatal(err)
	}
	_, code, _, err := reset(t.Context(), w.st, p, grant.ID{}, local, w.now)
	if err != nil {
		t.Fatal(err)
	}
	guess := func(i int) error {
		from := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		_, err := w.d.Join(t.Context(), grant.KeyOf(key(t)), from, protocol.Join{Code: code, Password: "wooden boats drift slowly", TOTP: "000000", Console: "PC"})
		return err
	}
	tried := 0
	for i := range 200 { // in ten minutes
		if fault.KindOf(guess(i)) != fault.Limit {
			tried++
		}
		w.now = w.now.Add(3 * time.Second)
	}
	if tried > 20 {
		t.Errorf("%d guesses in ten minutes", tried)
	}
	if _, err := w.d.Join(t.Context(), own, lo, protocol.Join{Code: code, Password: "wooden boats drift slowly", TOTP: w.code(a, 1), Console: "PC"}); err != nil {
		t.Error(err)
	}
}

func TestLocalCommandsAreFollowedOnce(t *testing.T) {
	w := newWorld(t)
	var gone int
	w.d.cfg.Revoked = func(grant.Key) { gone++ }
	at, err := w.d.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := w.create()
	if err := SuspendCompany(t.Context(), w.st, "Contoso", true, w.now); err != nil {
		t.Fatal(err)
	}
	head := at
	if head, err = w.d.Follow(t.Context(), head); err != nil || gone != 1 {
		t.Fatal(gone, err)
	}
	if x := w.state(s.ID); x.EndedBy != grant.ByServer || x.EndedFact == nil {
		t.Errorf("%+v", x)
	}
	var f grant.Ended
	if err := grant.Open(w.d.Key(), grant.ContextEnded, *w.state(s.ID).EndedFact, &f); err != nil || f.By != grant.ByServer {
		t.Error(err)
	}
	if _, err := w.d.Follow(t.Context(), head); err != nil || gone != 1 {
		t.Errorf("followed twice: %d %v", gone, err)
	}
	if err := SuspendCompany(t.Context(), w.st, "Contoso", true, w.now); err != nil {
		t.Error(err)
	}
	if again, err := w.d.Follow(t.Context(), head); err != nil || gone != 1 || again < head {
		t.Errorf("suspended already: %d %v", gone, err)
	}
}

func FuzzReadCodes(f *testing.F) {
	f.Add("ABCDE-FGH1J-KMNPQ-RST0V")
	f.Add("abcd-efgh-jkmn-pqrs")
	f.Add("1700000000000-ZY1P6E5J4AX9ME6EJAD53A1ZNM")
	f.Fuzz(func(t *testing.T, s string) {
		for _, size := range []int{10, codeBytes} {
			if c, ok := readCode(s, size); ok {
				if again, ok := readCode(strings.ToLower(c), size); !ok || again != c {
					t.Fatalf("%q: %q, %q", s, c, again)
				}
			}
		}
		if at, id, err := readMark(s); err == nil && s != "" && (at.IsZero() || id == (grant.ID{}) && !strings.HasSuffix(s, strings.Repeat("0", 26))) {
			t.Fatalf("%q: %v %v", s, at, id)
		}
	})
}
