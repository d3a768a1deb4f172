package server_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/server"
	"daypass/signaling/signalingtest"
)

const goodPassword = "wooden boats drift slowly"

// member is somebody signed in.
type member struct {
	*rendezvous.Client
	key     ed25519.PrivateKey
	tokens  *signalingtest.Memory
	profile rendezvous.Profile
	email   string
	seed    string // of the second factor
	codes   []string
}

func (m *member) id(t *testing.T) grant.ID {
	t.Helper()
	id, err := grant.ParseID(m.profile.ID)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func stranger(t *testing.T, srv *signalingtest.Server) *member {
	t.Helper()
	m := &member{key: signalingtest.Key(t), tokens: &signalingtest.Memory{}}
	m.Client = rendezvous.NewClient(rendezvous.ConsoleConfig{Server: srv.Address, Key: m.key, Tokens: m.tokens})
	t.Cleanup(m.Close)
	return m
}

// join invites somebody and has the invitation accepted, without second factor.
func join(t *testing.T, srv *signalingtest.Server, by *rendezvous.Client, email string, roles ...string) *member {
	t.Helper()
	o, err := by.Invite(t.Context(), rendezvous.Invite{Email: email, Name: strings.ToUpper(email[:1]), Roles: roles, Rights: grant.All})
	if err != nil {
		t.Fatal(err)
	}
	m := stranger(t, srv)
	m.email = email
	if m.profile, err = m.AcceptInvite(t.Context(), rendezvous.AcceptInvite{Code: o.Code, Password: goodPassword, ConsoleName: "PC of " + email}); err != nil {
		t.Fatal(err)
	}
	return m
}

// enrol sets up the second factor.
func (m *member) enrol(t *testing.T) *member {
	t.Helper()
	s, err := m.StartTOTP(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	m.seed = s.Secret
	if m.codes, err = m.ConfirmTOTP(t.Context(), signalingtest.Code(t, m.seed, -1)); err != nil || len(m.codes) != 10 {
		t.Fatalf("%v %v", m.codes, err)
	}
	return m
}

// raw sends a signed request and returns the fault's kind and code.
func raw(t *testing.T, srv *signalingtest.Server, m *member, method, path string, in any) (fault.Kind, string) {
	t.Helper()
	var body []byte
	if method == http.MethodPost {
		var err error
		if body, err = json.Marshal(in); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL()+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	tok, err := m.tokens.Load()
	if err != nil {
		t.Fatal(err)
	}
	protocol.SignRequest(req.Header, m.key, method, req.URL.Host, req.URL.RequestURI(), tok.Access, body, time.Now())
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK {
		return "", ""
	}
	var w struct{ Error protocol.Fault }
	if err := json.Unmarshal(b, &w); err != nil || w.Error.Kind == "" {
		return fault.Kind(fmt.Sprint("status ", resp.StatusCode)), ""
	}
	return w.Error.Kind, w.Error.Code
}

// TestWhoMayDoWhat tries every request of a console as everybody: who is not
// named in a row is refused the way the row says.
func TestWhoMayDoWhat(t *testing.T) {
	srv := signalingtest.Start(t)
	boss, _ := srv.Console(t)
	other := stranger(t, srv)
	a, err := server.CreateAdmin(t.Context(), srv.Config.DataDir, "eve@fabrikam.example", "Eve", "Fabrikam")
	if err != nil {
		t.Fatal(err)
	}
	if other.profile, err = other.SignIn(t.Context(), rendezvous.SignIn{Email: a.Email, Password: a.Password, TOTP: signalingtest.Code(t, a.TOTPSeed, 0)}); err != nil {
		t.Fatal(err)
	}
	who := map[string]*member{
		"nobody": stranger(t, srv),
		"tech":   join(t, srv, boss, "tom@example.org"),
		"lead":   join(t, srv, boss, "lea@example.org", rendezvous.RoleLead).enrol(t),
		"admin":  join(t, srv, boss, "ada@example.org", rendezvous.RoleAdmin).enrol(t),
		"other":  other,
		"enrol":  join(t, srv, boss, "new@example.org", rendezvous.RoleLead, rendezvous.RoleAdmin),
	}
	victim := join(t, srv, boss, "vic@example.org")
	s := session(t, victim.Client)
	computers, err := victim.Consoles(t.Context(), victim.id(t))
	if err != nil || len(computers) != 1 || !computers[0].This {
		t.Fatal(computers, err)
	}
	pending, err := boss.Invite(t.Context(), rendezvous.Invite{Email: "pending@example.org", Name: "P"})
	if err != nil {
		t.Fatal(err)
	}
	person, sess := "/people/"+victim.profile.ID, "/sessions/"+s.ID.String()
	fact := protocol.Fact{Fact: grant.Signed{Body: []byte("{}"), Sig: make([]byte, 64)}}
	none := struct{}{}
	type row struct {
		method, route, path string // path: "" = route
		body                any
		ok                  string // those who may
		not                 fault.Kind
		foreign             fault.Kind // for the other company, where it differs from not
	}
	everybody := "tech lead admin other"
	rows := []row{
		{"GET", "/sessions", "", nil, everybody, "", ""},
		{"POST", "/sessions", "", protocol.NewSession{Subject: "x", Language: "xx"}, "", fault.Invalid, ""}, // refused for what it says, not for who says it
		{"GET", "/sessions/{id}", sess, nil, "lead", fault.NotFound, ""},
		{"POST", "/sessions/{id}/state", sess + "/state", protocol.SetState{From: "invited", To: "answered"}, "", fault.NotFound, ""},
		{"POST", "/sessions/{id}/claim", sess + "/claim", none, "", fault.NotFound, ""},
		{"POST", "/sessions/{id}/activate", sess + "/activate", fact, "", fault.NotFound, ""},
		{"POST", "/sessions/{id}/end", sess + "/end", fact, "", fault.Invalid, ""},
		{"GET", "/sessions/{id}/ice", sess + "/ice", nil, "", fault.NotFound, ""},
		{"GET", "/console/socket", "", nil, "", fault.Invalid, ""},
		{"GET", "/company", "", nil, everybody, "", ""},
		{"GET", "/company/sessions", "", nil, "lead other", fault.Denied, ""},
		{"GET", "/people", "", nil, "lead admin other", fault.Denied, ""},
		{"GET", "/people/{id}/consoles", person + "/consoles", nil, "admin", fault.Denied, fault.NotFound},
		{"GET", "/audit", "", nil, "admin other", fault.Denied, ""},
		{"GET", "/audit/verify", "", nil, "admin other", fault.Denied, ""},
		{"POST", "/company", "", protocol.SetCompany{}, "admin other", fault.Denied, ""},
		{"POST", "/people/invite", "", protocol.Invite{Email: "not an address"}, "", fault.Denied, fault.Invalid},
		{"POST", "/people/invites/{id}/revoke", "/people/invites/" + pending.ID.String() + "/revoke", none, "admin", fault.Denied, fault.NotFound},
		{"POST", "/people/{id}", person, protocol.SetPerson{Roles: &[]string{"admin"}}, "admin", fault.Denied, fault.NotFound},
		{"POST", "/people/{id}/totp/reset", person + "/totp/reset", none, "admin", fault.Denied, fault.NotFound},
		{"POST", "/people/{id}/reset", person + "/reset", none, "admin", fault.Denied, fault.NotFound},
		{"POST", "/consoles/{id}/revoke", "/consoles/" + computers[0].ID.String() + "/revoke", none, "admin", fault.NotFound, ""},
		{"POST", "/totp/remove", "", protocol.Proving{Password: "wrong"}, "", fault.Denied, ""},
		{"POST", "/totp/codes", "", protocol.Proving{Password: "wrong"}, "", fault.Denied, ""},
		{"POST", "/sessions/{id}/mail", sess + "/mail", protocol.SendInvitation{}, "", fault.Unsupported, ""}, // no mail server here
		{"POST", "/device", "/history/device", fact, everybody, "", ""},
		{"GET", "/keys", "/history/keys", nil, everybody, "", ""},
		{"POST", "/keys", "/history/keys", protocol.HistoryGen{}, "lead other", fault.Denied, ""},
		{"POST", "/wraps", "/history/wraps", protocol.HistoryGen{}, "lead other", fault.Denied, ""},
		{"POST", "/accept", "/history/accept", protocol.HistoryAccept{Accept: fact.Fact, Gen: 1, Fingerprint: "0123-4567-89AB-CDEF"}, everybody, "", ""},
		{"POST", "/records", "/history/records", protocol.HistoryUpload{}, "", fault.Invalid, ""},
		{"GET", "/records", "/history/records?after=0", nil, "lead other", fault.Denied, ""},
		// What somebody who must set up a second factor may do, too.
		{"GET", "/profile", "", nil, everybody + " enrol", "", ""},
		{"POST", "/password", "", protocol.ChangePassword{Old: "wrong", New: goodPassword + "!"}, "", fault.Denied, ""},
		{"POST", "/totp/start", "", protocol.Proving{}, "tech enrol", fault.Denied, ""},
		{"POST", "/totp/confirm", "", protocol.TOTPConfirm{Code: "x"}, "", fault.Denied, ""},
		{"POST", "/signout", "", none, everybody + " enrol", "", ""},
	}
	// Every request that the server knows is tried, but those without a sign-in.
	routes := map[string]bool{}
	files, err := filepath.Glob("../api/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`Handle\("(GET|POST) "\+b\+"([^"]+)", a\.(?:console|signedIn)`).FindAllSubmatch(src, -1) {
			routes[string(m[1])+" "+string(m[2])] = true
		}
	}
	for _, r := range rows {
		delete(routes, r.method+" "+r.route)
	}
	if len(routes) > 0 {
		t.Errorf("not tried: %v", slices.Collect(maps.Keys(routes)))
	}
	early := []string{"/profile", "/password", "/totp/start", "/totp/confirm", "/signout"}
	for _, r := range rows {
		if r.path == "" {
			r.path = r.route
		}
		for _, name := range []string{"nobody", "enrol", "tech", "lead", "other", "admin"} {
			kind, code := raw(t, srv, who[name], r.method, protocol.Base+r.path, r.body)
			want := r.not
			switch {
			case name == "nobody":
				want = fault.SignedOut
			case name == "enrol" && !slices.Contains(early, r.route):
				want = fault.Denied
				if code != protocol.CodeEnrol {
					t.Errorf("%s %s as %s: code %q", r.method, r.route, name, code)
				}
			case slices.Contains(strings.Fields(r.ok), name):
				want = ""
			case name == "other" && r.foreign != "":
				want = r.foreign
			case r.route == "/people/invite" && name == "admin":
				want = fault.Invalid // allowed, but not like this
			case r.route == "/totp/confirm" && (name == "lead" || name == "admin" || name == "other"):
				want = fault.Conflict // they did not start
			case r.route == "/totp/codes" && name == "tech":
				want = fault.Conflict // there is nothing yet
			}
			if kind != want {
				t.Errorf("%s %s as %s: %q %s, want %q", r.method, r.route, name, kind, code, want)
			}
		}
	}
}

func TestInvitationsWorkOnce(t *testing.T) {
	srv := signalingtest.Start(t)
	boss, _ := srv.Console(t)
	invite := func(email string) rendezvous.OneTime {
		t.Helper()
		o, err := boss.Invite(t.Context(), rendezvous.Invite{Email: email, Roles: []string{rendezvous.RoleLead}, Rights: grant.View})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	o := invite("lea@example.org")
	if !strings.HasPrefix(o.Link, srv.URL()+"/join#") || !strings.HasSuffix(o.Link, o.Code) {
		t.Errorf("link %q", o.Link)
	}
	m := stranger(t, srv)
	info, err := m.LookInvite(t.Context(), strings.ToLower(strings.ReplaceAll(o.Code, "-", " ")))
	if err != nil || info.Company != "Contoso IT" || info.Email != "lea@example.org" || info.Reset || !info.TOTP {
		t.Fatalf("%+v %v", info, err)
	}
	for _, bad := range []string{"short", "aaaaaaaaaaaaaaaa", "password12345", "lea1234567890"} {
		if _, err := m.AcceptInvite(t.Context(), rendezvous.AcceptInvite{Code: o.Code, Name: "Lea", Password: bad}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("password %q: %v", bad, err)
		}
	}
	// Many at once with the same code: one account.
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		c := stranger(t, srv)
		wg.Go(func() {
			_, err := c.AcceptInvite(t.Context(), rendezvous.AcceptInvite{Code: o.Code, Name: "Lea", Password: goodPassword})
			switch {
			case err == nil:
				made.Add(1)
			case fault.KindOf(err) != fault.Conflict:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Fatalf("%d accounts of one code", made.Load())
	}
	if _, err := m.LookInvite(t.Context(), o.Code); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a used code: %v", err)
	}
	if _, err := boss.Invite(t.Context(), rendezvous.Invite{Email: "LEA@example.org"}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("an address with an account: %v", err)
	}
	first, second := invite("rex@example.org"), invite("Rex@example.org")
	if _, err := m.LookInvite(t.Context(), first.Code); fault.KindOf(err) != fault.Expired {
		t.Errorf("a replaced code: %v", err)
	}
	p, err := boss.People(t.Context())
	if err != nil || len(p.Invites) != 1 || p.Invites[0].ID != second.ID || p.Invites[0].By != "Mia Roth" {
		t.Fatalf("%+v %v", p.Invites, err)
	}
	for range 2 {
		if err := boss.RevokeInvite(t.Context(), second.ID); err != nil {
			t.Error(err)
		}
	}
	if _, err := m.AcceptInvite(t.Context(), rendezvous.AcceptInvite{Code: second.Code, Name: "Rex", Password: goodPassword}); fault.KindOf(err) != fault.Expired {
		t.Errorf("a revoked code: %v", err)
	}
	if _, err := m.LookInvite(t.Context(), "AAAAA-AAAAA-AAAAA-AAAAA"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a guess: %v", err)
	}
}

func TestASecondFactorOpensTheDoorAndRecoveryCodesDoOnce(t *testing.T) {
	srv := signalingtest.Start(t)
	boss, _ := srv.Console(t)
	lea := join(t, srv, boss, "lea@example.org", rendezvous.RoleLead)
	if !lea.profile.Enrol || !lea.profile.MustTOTP {
		t.Fatalf("%+v", lea.profile)
	}
	if _, err := lea.Sessions(t.Context()); !errors.Is(err, rendezvous.ErrEnrol) {
		t.Fatalf("before the second factor: %v", err)
	}
	lea.enrol(t)
	if _, err := lea.Sessions(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := lea.RemoveTOTP(t.Context(), goodPassword, lea.codes[0]); fault.KindOf(err) != fault.Denied {
		t.Errorf("a lead without: %v", err)
	}
	in := func(code string) error {
		c := stranger(t, srv)
		_, err := c.SignIn(t.Context(), rendezvous.SignIn{Email: lea.email, Password: goodPassword, TOTP: code})
		return err
	}
	if err := in(""); !errors.Is(err, rendezvous.ErrTOTP) {
		t.Errorf("without: %v", err)
	}
	if err := in(lea.codes[1]); err != nil {
		t.Errorf("recovery code: %v", err)
	}
	if err := in(strings.ToLower(lea.codes[1])); !errors.Is(err, rendezvous.ErrTOTP) {
		t.Errorf("recovery code twice: %v", err)
	}
	if p, err := lea.Profile(t.Context()); err != nil || p.Recovery != 9 {
		t.Errorf("%+v %v", p, err)
	}
	// Each step counts once: the one of setting up does not sign in.
	if err := in(signalingtest.Code(t, lea.seed, -1)); !errors.Is(err, rendezvous.ErrTOTP) {
		t.Errorf("a used step: %v", err)
	}
	fresh, err := lea.NewRecoveryCodes(t.Context(), goodPassword, signalingtest.Code(t, lea.seed, 1))
	if err != nil || len(fresh) != 10 {
		t.Fatal(err)
	}
	if _, err := lea.NewRecoveryCodes(t.Context(), goodPassword, lea.codes[2]); !errors.Is(err, rendezvous.ErrTOTP) {
		t.Errorf("a replaced recovery code: %v", err)
	}
	// The admin's way for a lost telephone: everything ends, and it begins anew.
	if err := boss.ResetTOTP(t.Context(), lea.id(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := lea.Profile(t.Context()); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("after the reset: %v", err)
	}
	if p, err := lea.SignIn(t.Context(), rendezvous.SignIn{Email: lea.email, Password: goodPassword}); err != nil || !p.Enrol {
		t.Errorf("%+v %v", p, err)
	}
	// Technicians may have none, until the policy says so.
	tom := join(t, srv, boss, "tom@example.org").enrol(t)
	if err := tom.RemoveTOTP(t.Context(), goodPassword, tom.codes[0]); err != nil {
		t.Error(err)
	}
	every := rendezvous.TOTPEveryone
	if _, err := boss.SetCompany(t.Context(), rendezvous.SetCompany{TOTP: &every}); err != nil {
		t.Fatal(err)
	}
	if _, err := tom.Sessions(t.Context()); !errors.Is(err, rendezvous.ErrEnrol) {
		t.Errorf("after the policy: %v", err)
	}
}

func TestARevokedConsoleLosesSocketAndSessionsAtOnce(t *testing.T) {
	srv := signalingtest.Start(t)
	boss, _ := srv.Console(t)
	tom := join(t, srv, boss, "tom@example.org")
	s := session(t, tom.Client)
	box := tom.Open(t.Context())
	defer box.Close()
	m, h := srv.Host(t, s.ID)
	within(t, "the console is online", func() bool { return box.Online() })
	signalingtest.Activate(t, tom.Client, tom.key, m, h.Key, s.ID)
	l, err := boss.Consoles(t.Context(), tom.id(t))
	if err != nil || len(l) != 1 || !l[0].Online || l[0].This || l[0].Sessions != 1 || l[0].Name != "PC of tom@example.org" {
		t.Fatalf("%+v %v", l, err)
	}
	if n, err := boss.RevokeConsole(t.Context(), l[0].ID); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	within(t, "the console hears what ended, then that it is signed out", func() bool {
		e := receive(t, box.Events())
		if e.Session != nil && e.Session.EndedBy != "" && e.Session.EndedBy != grant.ByLead {
			t.Errorf("ended by %s", e.Session.EndedBy)
		}
		return e.Fault != nil && e.Fault.Kind == fault.SignedOut
	})
	within(t, "the host is told, signed by the server", func() bool {
		e := receive(t, m.Events())
		var f grant.Ended
		return e.Ended != nil && grant.Open(s.ServerKey, grant.ContextEnded, *e.Ended, &f) == nil && f.By == grant.ByLead
	})
	if _, err := tom.Profile(t.Context()); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("its token: %v", err)
	}
	if l, err := boss.Consoles(t.Context(), tom.id(t)); err != nil || len(l) != 0 {
		t.Errorf("%+v %v", l, err)
	}
	// It may sign in again: it was ended, not banned.
	if _, err := tom.SignIn(t.Context(), rendezvous.SignIn{Email: tom.email, Password: goodPassword}); err != nil {
		t.Error(err)
	}
	if _, err := tom.Profile(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSwitchingSomebodyOffEndsEverythingButNeverTheLastAdmin(t *testing.T) {
	srv := signalingtest.Start(t)
	boss, _ := srv.Console(t)
	me, err := boss.Profile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mine, err := grant.ParseID(me.ID)
	if err != nil {
		t.Fatal(err)
	}
	off, on := true, false
	if _, err := boss.SetPerson(t.Context(), mine, rendezvous.SetPerson{Disabled: &off}); fault.KindOf(err) != fault.Denied {
		t.Errorf("oneself: %v", err)
	}
	if _, err := boss.SetPerson(t.Context(), mine, rendezvous.SetPerson{Roles: &[]string{rendezvous.RoleLead}}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the last admin's role: %v", err)
	}
	ada := join(t, srv, boss, "ada@example.org", rendezvous.RoleAdmin).enrol(t)
	bob := join(t, srv, boss, "bob@example.org", rendezvous.RoleAdmin).enrol(t)
	session(t, bob.Client)
	// Two admins take each other's role, at the same time as the first one goes:
	// somebody stays.
	if _, err := ada.SetPerson(t.Context(), mine, rendezvous.SetPerson{Roles: &[]string{}}); err != nil {
		t.Fatal(err)
	}
	var gone atomic.Int32
	var wg sync.WaitGroup
	for _, x := range [][2]*member{{ada, bob}, {bob, ada}} {
		target := x[1].id(t)
		wg.Go(func() {
			_, err := x[0].SetPerson(t.Context(), target, rendezvous.SetPerson{Disabled: &off})
			switch fault.KindOf(err) {
			case "":
				gone.Add(1)
			case fault.Conflict, fault.SignedOut: // was faster
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if gone.Load() != 1 {
		t.Fatalf("%d of two admins are gone", gone.Load())
	}
	left, out := ada, bob
	if _, err := ada.Profile(t.Context()); err != nil {
		left, out = bob, ada
	}
	if _, err := out.Profile(t.Context()); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("still in: %v", err)
	}
	if _, err := out.SignIn(t.Context(), rendezvous.SignIn{Email: out.email, Password: goodPassword, TOTP: out.codes[0]}); fault.KindOf(err) != fault.Denied {
		t.Errorf("signs in: %v", err)
	}
	p, err := left.People(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range p.People {
		if x.Email == out.email && (!x.Disabled || len(x.Live) != 0 || x.Consoles != 0) {
			t.Errorf("%+v", x)
		}
	}
	c, err := left.SetPerson(t.Context(), out.id(t), rendezvous.SetPerson{Disabled: &on})
	if err != nil || c.Person.Disabled || c.Person.Email != out.email {
		t.Errorf("%+v %v", c, err)
	}
}

func TestAResetPasswordIsSetByItsPersonOnly(t *testing.T) {
	srv := signalingtest.Start(t)
	boss, _ := srv.Console(t)
	lea := join(t, srv, boss, "lea@example.org", rendezvous.RoleLead).enrol(t)
	o, err := boss.ResetPassword(t.Context(), lea.id(t))
	if err != nil || o.Email != lea.email {
		t.Fatal(err)
	}
	if _, err := lea.Profile(t.Context()); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("still in: %v", err)
	}
	if _, err := lea.SignIn(t.Context(), rendezvous.SignIn{Email: lea.email, Password: goodPassword, TOTP: lea.codes[0]}); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("the old password: %v", err)
	}
	info, err := lea.LookInvite(t.Context(), o.Code)
	if err != nil || !info.Reset || !info.TOTP {
		t.Fatalf("%+v %v", info, err)
	}
	// Who has the code still needs the second factor.
	again := rendezvous.AcceptInvite{Code: o.Code, Password: "quiet rivers run deep"}
	if _, err := lea.AcceptInvite(t.Context(), again); !errors.Is(err, rendezvous.ErrTOTP) {
		t.Errorf("without second factor: %v", err)
	}
	again.TOTP = lea.codes[1]
	if p, err := lea.AcceptInvite(t.Context(), again); err != nil || p.Enrol {
		t.Fatalf("%+v %v", p, err)
	}
	elsewhere := stranger(t, srv)
	if _, err := elsewhere.SignIn(t.Context(), rendezvous.SignIn{Email: lea.email, Password: again.Password, TOTP: lea.codes[2]}); err != nil {
		t.Fatal(err)
	}
	if err := lea.ChangePassword(t.Context(), "wrong", goodPassword); fault.KindOf(err) != fault.Denied {
		t.Errorf("without the old one: %v", err)
	}
	if err := lea.ChangePassword(t.Context(), again.Password, goodPassword); err != nil {
		t.Fatal(err)
	}
	if _, err := lea.Profile(t.Context()); err != nil {
		t.Errorf("the console that changed it: %v", err)
	}
	if _, err := elsewhere.Profile(t.Context()); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("the other console: %v", err)
	}
}

func TestEntitlementsReachTheSignedGrant(t *testing.T) {
	srv := signalingtest.Start(t)
	boss, _ := srv.Console(t)
	tom := join(t, srv, boss, "tom@example.org")
	rights := grant.View | grant.Control
	if _, err := boss.SetPerson(t.Context(), tom.id(t), rendezvous.SetPerson{Rights: &rights}); err != nil {
		t.Fatal(err)
	}
	s := session(t, tom.Client)
	var offer grant.Offer
	if err := grant.Open(s.ServerKey, grant.ContextOffer, s.Offer, &offer); err != nil || offer.Rights != rights {
		t.Fatalf("%+v %v", offer, err)
	}
	// What the company loses between invitation and activation counts.
	company := grant.View | grant.Clipboard
	if _, err := boss.SetCompany(t.Context(), rendezvous.SetCompany{Rights: &company}); err != nil {
		t.Fatal(err)
	}
	box := tom.Open(t.Context())
	defer box.Close()
	m, h := srv.Host(t, s.ID)
	signed := signalingtest.Activate(t, tom.Client, tom.key, m, h.Key, s.ID)
	var g grant.Grant
	if err := grant.Open(s.ServerKey, grant.ContextGrant, signed, &g); err != nil || g.Rights != grant.View {
		t.Fatalf("%+v %v", g, err)
	}
	if p, err := tom.Profile(t.Context()); err != nil || p.Rights != grant.View {
		t.Errorf("%+v %v", p, err)
	}
}

func TestALeadSeesAndEndsTheCompanysSessions(t *testing.T) {
	srv := signalingtest.Start(t)
	boss, bossKey := srv.Console(t)
	var all []rendezvous.Session
	for i := range 5 {
		m := join(t, srv, boss, fmt.Sprintf("%c-tech@example.org", 'a'+i))
		s, err := m.CreateSession(t.Context(), rendezvous.NewSession{Subject: fmt.Sprintf("Case 1%d%% of %d", i, i), Language: "en"})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	var seen []grant.ID
	f := rendezvous.SessionFilter{Limit: 2}
	for {
		p, err := boss.CompanySessions(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Sessions {
			seen = append(seen, s.ID)
		}
		if f.Before = p.Next; f.Before == "" {
			break
		}
	}
	slices.SortFunc(all, func(a, b rendezvous.Session) int { // newest first, then by ID, as the pages are
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return bytes.Compare(b.ID[:], a.ID[:])
	})
	if len(seen) != 5 || seen[0] != all[0].ID || seen[4] != all[4].ID {
		t.Fatalf("%v", seen)
	}
	if p, err := boss.CompanySessions(t.Context(), rendezvous.SessionFilter{Text: "13%"}); err != nil || len(p.Sessions) != 1 {
		t.Errorf("%d, %v", len(p.Sessions), err)
	}
	if err := boss.End(t.Context(), all[2].ID, ended(t, bossKey, all[2].ID, grant.ByLead)); err != nil {
		t.Fatal(err)
	}
	if p, err := boss.CompanySessions(t.Context(), rendezvous.SessionFilter{States: []string{rendezvous.Ended}}); err != nil || len(p.Sessions) != 1 || p.Sessions[0].EndedBy != grant.ByLead {
		t.Errorf("%+v, %v", p.Sessions, err)
	}
	if p, err := boss.CompanySessions(t.Context(), rendezvous.SessionFilter{Live: true}); err != nil || len(p.Sessions) != 4 {
		t.Errorf("%d, %v", len(p.Sessions), err)
	}
	if _, err := boss.CompanySessions(t.Context(), rendezvous.SessionFilter{Before: "nonsense"}); fault.KindOf(err) != fault.Invalid {
		t.Error(err)
	}
	// A smaller limit ends nothing, and lets nobody in.
	two := 2
	if c, err := boss.SetCompany(t.Context(), rendezvous.SetCompany{MaxSessions: &two}); err != nil || c.MaxSessions != 2 || c.Used != 4 {
		t.Fatalf("%+v %v", c, err)
	}
	var l *rendezvous.LimitError
	if _, err := boss.CreateSession(t.Context(), rendezvous.NewSession{Subject: "x", Language: "en"}); !errors.As(err, &l) || l.Scope != "company" || len(l.Holders) != 4 {
		t.Errorf("%v", err)
	}
}

func TestASuspendedCompanyStopsAtOnceAndComesBack(t *testing.T) {
	srv := signalingtest.Start(t)
	boss, _ := srv.Console(t)
	tom := join(t, srv, boss, "tom@example.org")
	s := session(t, tom.Client)
	box := tom.Open(t.Context())
	defer box.Close()
	m, h := srv.Host(t, s.ID)
	signalingtest.Activate(t, tom.Client, tom.key, m, h.Key, s.ID)
	within(t, "the console is online", func() bool { return box.Online() })
	// By a local command, as another program does it.
	if err := server.SuspendCompany(t.Context(), srv.Config.DataDir, "Contoso IT", true); err != nil {
		t.Fatal(err)
	}
	within(t, "the host is told, signed by the server it pinned", func() bool {
		e := receive(t, m.Events())
		var f grant.Ended
		return e.Ended != nil && grant.Open(s.ServerKey, grant.ContextEnded, *e.Ended, &f) == nil && f.By == grant.ByServer && f.Session == s.ID
	})
	within(t, "the console is signed out", func() bool {
		e := receive(t, box.Events())
		return e.Fault != nil && e.Fault.Kind == fault.SignedOut
	})
	if _, err := tom.SignIn(t.Context(), rendezvous.SignIn{Email: tom.email, Password: goodPassword}); fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "suspended") {
		t.Errorf("sign-in: %v", err)
	}
	if err := server.SuspendCompany(t.Context(), srv.Config.DataDir, "Contoso IT", false); err != nil {
		t.Fatal(err)
	}
	if _, err := tom.SignIn(t.Context(), rendezvous.SignIn{Email: tom.email, Password: goodPassword}); err != nil {
		t.Errorf("resumed: %v", err)
	}
	if x, err := tom.Session(t.Context(), s.ID); err != nil || x.EndedBy != grant.ByServer {
		t.Errorf("%+v %v", x, err)
	}
}

func TestTheAuditTellsWhoDidWhat(t *testing.T) {
	srv := signalingtest.Start(t)
	boss, _ := srv.Console(t)
	tom := join(t, srv, boss, "tom@example.org")
	session(t, tom.Client)
	if _, err := stranger(t, srv).SignIn(t.Context(), rendezvous.SignIn{Email: tom.email, Password: "not it at all"}); fault.KindOf(err) != fault.SignedOut {
		t.Fatal(err)
	}
	mail := rendezvous.MailServer
	if _, err := boss.SetCompany(t.Context(), rendezvous.SetCompany{Mail: &mail}); err != nil {
		t.Fatal(err)
	}
	other, err := server.CreateAdmin(t.Context(), srv.Config.DataDir, "eve@fabrikam.example", "Eve", "Fabrikam")
	if err != nil || other.TOTPSeed == "" {
		t.Fatal(err)
	}
	var all []rendezvous.AuditEntry
	for f := (rendezvous.AuditFilter{Limit: 3}); ; {
		p, err := boss.Audit(t.Context(), f)
		if err != nil || len(p.Entries) > 3 {
			t.Fatal(err)
		}
		all = append(all, p.Entries...)
		if f.Before = p.Next; f.Before == 0 {
			break
		}
	}
	var got []string
	for _, e := range slices.Backward(all) {
		got = append(got, strings.TrimRight(e.Kind+" "+e.ActorKind+" "+e.Actor+"→"+e.Person+" "+e.Label, " "))
	}
	want := []string{
		"company.create local →", "person.create local →Mia Roth", "console.signin console Mia Roth→Mia Roth", "person.invite console Mia Roth→tom@example.org",
		"person.join server →T", "console.signin console T→T", "session.create console T→T Anna W.", "console.signin_failed server →T", "company.policy console Mia Roth→",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if d := string(all[0].Detail); d != `{"mail":{"from":"console","to":"server"}}` {
		t.Errorf("policy: %s", d)
	}
	count := func(f rendezvous.AuditFilter) int {
		t.Helper()
		p, err := boss.Audit(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return len(p.Entries)
	}
	if n := count(rendezvous.AuditFilter{Kind: "console.signin"}); n != 3 {
		t.Errorf("%d sign-ins", n)
	}
	if n := count(rendezvous.AuditFilter{Person: tom.id(t)}); n != 4 {
		t.Errorf("%d about Tom", n)
	}
	if n := count(rendezvous.AuditFilter{To: time.Now().Add(-time.Hour)}); n != 0 {
		t.Errorf("%d of an hour ago", n)
	}
	v, err := boss.VerifyAudit(t.Context())
	if err != nil || !v.OK || v.Entries != len(all)+2 || v.Key != srv.Key() {
		t.Errorf("%+v %v", v, err)
	}
}

func TestALocalAccountIsOfItsComputerOnly(t *testing.T) {
	srv := signalingtest.Start(t)
	boss, _ := srv.Console(t)
	p, err := boss.Profile(t.Context())
	if err != nil || !p.Local || p.Enrol || p.TOTP {
		t.Fatalf("%+v %v", p, err)
	}
	if err := boss.ChangePassword(t.Context(), srv.Account.Password, goodPassword); fault.KindOf(err) != fault.Denied {
		t.Errorf("its password: %v", err)
	}
	ada := join(t, srv, boss, "ada@example.org", rendezvous.RoleAdmin).enrol(t)
	id, err := grant.ParseID(p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ada.ResetPassword(context.Background(), id); fault.KindOf(err) != fault.Denied {
		t.Errorf("reset: %v", err)
	}
}
