package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/server"
	"daypass/signaling/signalingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within fails the test when f has not come true in a generous time.
func within(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-c:
		if !ok {
			t.Fatal("channel closed")
		}
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

func session(t *testing.T, c *rendezvous.Client) rendezvous.Session {
	t.Helper()
	s, err := c.CreateSession(t.Context(), rendezvous.NewSession{Subject: "Anna W.", Language: "de"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ended(t *testing.T, key []byte, id grant.ID, by grant.EndedBy) grant.Signed {
	t.Helper()
	f, err := grant.Sign(key, grant.ContextEnded, grant.Ended{Session: id, By: by, At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWholeSessionFromInvitationToRemoval(t *testing.T) {
	srv := signalingtest.Start(t)
	c, ck := srv.Console(t)
	s := session(t, c)
	var offer grant.Offer
	if err := grant.Open(s.ServerKey, grant.ContextOffer, s.Offer, &offer); err != nil {
		t.Fatal(err)
	}
	if offer.Company != "Contoso IT" || offer.Technician != "Mia Roth" || offer.TechnicianKey != grant.KeyOf(ck) || offer.Rights != grant.View|grant.Control|grant.Clipboard {
		t.Errorf("offer %+v", offer)
	}
	box := c.Open(t.Context())
	defer box.Close()
	m, h := srv.Host(t, s.ID)
	info, err := m.Info(t.Context())
	if err != nil || info.Company != "Contoso IT" || info.State != rendezvous.Invited || info.Language != "de" || info.ServerKey != s.ServerKey {
		t.Fatalf("info %+v, %v", info, err)
	}
	if err := m.Send(t.Context(), []byte("A hello")); err != nil {
		t.Fatal(err)
	}
	e := receive(t, box.Receive())
	if e.Session != s.ID || e.Instance != h.Instance || string(e.Body) != "A hello" {
		t.Fatalf("got %v %v %q", e.Session, e.Instance, e.Body)
	}
	for i := range 20 {
		if err := box.Send(t.Context(), rendezvous.Envelope{Session: s.ID, Instance: h.Instance, Body: fmt.Append(nil, "C ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		if got, want := string(receive(t, m.Receive())), fmt.Sprint("C ", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if err := c.SetState(t.Context(), s.ID, rendezvous.Invited, rendezvous.Pairing); err != nil {
		t.Fatal(err)
	}
	if err := c.SetState(t.Context(), s.ID, rendezvous.Invited, rendezvous.Answered); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a stale transition: %v", err)
	}
	if _, err := c.ICE(t.Context(), s.ID); fault.KindOf(err) != fault.Conflict {
		t.Errorf("ICE before activation: %v", err)
	}
	g := signalingtest.Activate(t, c, ck, m, h.Key, s.ID)
	var gr grant.Grant
	if err := grant.Open(s.ServerKey, grant.ContextGrant, g, &gr); err != nil || gr.HostKey != grant.KeyOf(h.Key) || gr.Expires.Sub(gr.Issued) != grant.Limit {
		t.Fatalf("grant %+v, %v", gr, err)
	}
	ice, err := m.ICE(t.Context())
	if err != nil || len(ice) != 2 || ice[1].Credential == "" || !strings.HasPrefix(ice[1].URLs[0], "turn:127.0.0.1:") {
		t.Errorf("ICE %+v, %v", ice, err)
	}

	// Another computer with the same link is told.
	other, _ := srv.Host(t, s.ID)
	within(t, "another host is refused", func() bool {
		ev := receive(t, other.Events())
		return ev.Rejected != nil && ev.Rejected.Kind == fault.Conflict
	})

	if err := c.End(t.Context(), s.ID, ended(t, ck, s.ID, grant.ByTechnician)); err != nil {
		t.Fatal(err)
	}
	within(t, "the host hears of the end", func() bool {
		ev := receive(t, m.Events())
		if ev.Ended == nil {
			return false
		}
		var f grant.Ended
		return grant.Open(grant.KeyOf(ck), grant.ContextEnded, *ev.Ended, &f) == nil && f.By == grant.ByTechnician
	})
	within(t, "the session is ended", func() bool {
		v, err := c.Session(t.Context(), s.ID)
		return err == nil && v.State == rendezvous.Ended
	})
	r, err := grant.Sign(h.Key, grant.ContextRemoved, grant.Removed{Session: s.ID, At: time.Now(), Clean: true, Report: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // idempotent
		if err := m.Removed(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	v, err := c.Session(t.Context(), s.ID)
	if err != nil || v.State != rendezvous.Removed || v.Removed == nil || v.EndedBy != grant.ByTechnician {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := m.Info(t.Context()); fault.KindOf(err) != fault.Expired {
		t.Errorf("info of a session that is over: %v", err)
	}
	if err := c.End(t.Context(), s.ID, ended(t, ck, s.ID, grant.ByTechnician)); err != nil {
		t.Errorf("ending twice: %v", err)
	}
	n, cp, err := server.Verify(t.Context(), srv.Config.DataDir)
	if err != nil || n < 8 {
		t.Errorf("audit: %d entries, %d checkpoints, %v", n, cp, err)
	}
}

func TestLimitsHoldUnderFiftyConcurrentCreators(t *testing.T) {
	srv := signalingtest.Start(t)
	var clients []*rendezvous.Client
	for i := range 10 {
		a, err := server.CreateAdmin(t.Context(), srv.Config.DataDir, fmt.Sprintf("t%d@example.org", i), fmt.Sprintf("Tech %d", i), "Contoso IT")
		if err != nil {
			t.Fatal(err)
		}
		c, _ := srv.ConsoleOf(t, a)
		clients = append(clients, c)
	}
	var made, company, profile atomic.Int32
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			_, err := clients[i%10].CreateSession(t.Context(), rendezvous.NewSession{Subject: fmt.Sprint("case ", i), Language: "en"})
			var l *rendezvous.LimitError
			switch {
			case err == nil:
				made.Add(1)
			case errors.As(err, &l) && fault.KindOf(err) == fault.Limit && l.Scope == "company" && len(l.Holders) == 5:
				company.Add(1)
			case errors.As(err, &l) && l.Scope == "profile" && len(l.Holders) == 1 && l.Holders[0].Mine:
				profile.Add(1)
			default:
				t.Errorf("creator %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 5 || company.Load()+profile.Load() != 45 {
		t.Errorf("%d sessions, %d refused by company, %d by profile; want 5 and 45", made.Load(), company.Load(), profile.Load())
	}
	t.Logf("refused by company %d, by profile %d", company.Load(), profile.Load())
}

func TestAPlaceIsFreeAgainAfterCancelling(t *testing.T) {
	srv := signalingtest.Start(t)
	c, k := srv.Console(t)
	s := session(t, c)
	_, err := c.CreateSession(t.Context(), rendezvous.NewSession{Subject: "second", Language: "en"})
	var l *rendezvous.LimitError
	if !errors.As(err, &l) || l.Scope != "profile" || len(l.Holders) != 1 || l.Holders[0].Label != "Anna W." || l.Holders[0].Technician != "Mia Roth" {
		t.Fatalf("%v", err)
	}
	if err := c.End(t.Context(), s.ID, ended(t, k, s.ID, grant.ByCancel)); err != nil {
		t.Fatal(err)
	}
	session(t, c)
}

func TestServerRestartKeepsSessionsAndBringsEverybodyBack(t *testing.T) {
	srv := signalingtest.Start(t)
	c, ck := srv.Console(t)
	s := session(t, c)
	box := c.Open(t.Context())
	defer box.Close()
	m, h := srv.Host(t, s.ID)
	within(t, "both online", func() bool { return box.Online() && m.Online() })
	signalingtest.Activate(t, c, ck, m, h.Key, s.ID)
	url := srv.URL()
	srv.Down(t)
	within(t, "both offline", func() bool { return !box.Online() && !m.Online() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := m.Send(ctx, []byte("x")); fault.KindOf(err) != fault.Offline {
		t.Errorf("sending while offline: %v", err)
	}
	if _, err := c.Sessions(t.Context()); fault.KindOf(err) != fault.Offline {
		t.Errorf("asking while offline: %v", err)
	}
	sent := make(chan error, 1)
	go func() { sent <- m.Send(t.Context(), []byte("C waits for the server")) }()
	srv.Up(t)
	if srv.URL() != url {
		t.Fatalf("the embedded server moved from %s to %s: links are dead", url, srv.URL())
	}
	if err := receive(t, sent); err != nil {
		t.Fatal(err)
	}
	if e := receive(t, box.Receive()); string(e.Body) != "C waits for the server" {
		t.Fatalf("%q", e.Body)
	}
	v, err := c.Session(t.Context(), s.ID)
	if err != nil || v.State != rendezvous.Active || !v.HostOnline {
		t.Fatalf("%+v %v", v, err)
	}
}

func TestMessagesWaitForAPeerThatReconnects(t *testing.T) {
	srv := signalingtest.Start(t)
	c, _ := srv.Console(t)
	s := session(t, c)
	m, _ := srv.Host(t, s.ID)
	for i := range protocol.MaxMailbox / 2 {
		if err := m.Send(t.Context(), fmt.Append(nil, "A", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Send(t.Context(), []byte("one too many")); fault.KindOf(err) != fault.Limit {
		t.Errorf("a full mailbox: %v", err)
	}
	box := c.Open(t.Context())
	for i := range protocol.MaxMailbox / 2 {
		if e := receive(t, box.Receive()); string(e.Body) != fmt.Sprint("A", i) {
			t.Fatalf("message %d: %q", i, e.Body)
		}
	}
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPresenceIsTold(t *testing.T) {
	srv := signalingtest.Start(t)
	c, _ := srv.Console(t)
	s := session(t, c)
	box := c.Open(t.Context())
	defer box.Close()
	m, h := srv.Host(t, s.ID)
	within(t, "the console sees the host", func() bool {
		e := receive(t, box.Events())
		return e.Session != nil && e.Session.HostOnline && len(e.Session.Waiting) == 1 && e.Session.Waiting[0] == h.Instance
	})
	within(t, "the host sees the console", func() bool { return receive(t, m.Events()).ConsolePresent })
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	within(t, "the console sees the host leave", func() bool {
		e := receive(t, box.Events())
		return e.Session != nil && !e.Session.HostOnline && !e.Session.HostSince.IsZero()
	})
}

func TestTokensRotateAreBoundToTheKeyAndEndWithSignOut(t *testing.T) {
	srv := signalingtest.Start(t)
	mem := &signalingtest.Memory{}
	key := signalingtest.Key(t)
	c := rendezvous.NewClient(rendezvous.ConsoleConfig{Server: srv.Address, Key: key, Tokens: mem})
	defer c.Close()
	if _, err := c.Profile(t.Context()); fault.KindOf(err) != fault.SignedOut {
		t.Fatalf("before sign-in: %v", err)
	}
	if _, err := c.SignIn(t.Context(), rendezvous.SignIn{Email: "MIA@example.org", Password: srv.Account.Password}); err != nil {
		t.Fatal(err)
	}
	stolen, err := mem.Load()
	if err != nil {
		t.Fatal(err)
	}
	thiefStore := &signalingtest.Memory{}
	if err := thiefStore.Save(stolen); err != nil {
		t.Fatal(err)
	}
	thief := rendezvous.NewClient(rendezvous.ConsoleConfig{Server: srv.Address, Key: signalingtest.Key(t), Tokens: thiefStore})
	defer thief.Close()
	if _, err := thief.Profile(t.Context()); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("stolen tokens with another key: %v", err)
	}
	// An old refresh token after its successor was used ends the sign-in.
	refresh := func(tok rendezvous.Tokens) *signalingtest.Memory {
		st := &signalingtest.Memory{}
		tok.Access, tok.Expires = "", time.Time{}
		if err := st.Save(tok); err != nil {
			t.Fatal(err)
		}
		x := rendezvous.NewClient(rendezvous.ConsoleConfig{Server: srv.Address, Key: key, Tokens: st})
		defer x.Close()
		_, err := x.Profile(t.Context())
		if got, lerr := st.Load(); lerr == nil && (err == nil) != (got.Refresh != "") {
			t.Errorf("%v, but tokens %v", err, got.Refresh != "")
		}
		return st
	}
	second := refresh(stolen)
	lost := refresh(stolen) // the answer got lost: allowed, replaces the second
	tok, _ := lost.Load()
	third := refresh(tok)
	if tok, _ := third.Load(); tok.Refresh == "" {
		t.Fatal("an ordinary refresh failed")
	}
	if tok, _ := second.Load(); tok.Refresh != "" {
		if tok, _ := refresh(tok).Load(); tok.Refresh != "" {
			t.Error("a replaced token still works")
		}
	}
	if tok, _ := refresh(stolen).Load(); tok.Refresh != "" {
		t.Error("reuse was not noticed")
	}
	tok, _ = third.Load()
	if tok, _ := refresh(tok).Load(); tok.Refresh != "" {
		t.Error("reuse did not end the sign-in")
	}

	if _, err := c.SignIn(t.Context(), rendezvous.SignIn{Email: srv.Account.Email, Password: srv.Account.Password}); err != nil {
		t.Fatal(err)
	}
	if err := c.SignOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Profile(t.Context()); fault.KindOf(err) != fault.SignedOut {
		t.Errorf("after sign-out: %v", err)
	}
}

func TestStrangersCannotLockAnAccountOut(t *testing.T) {
	srv := signalingtest.Start(t)
	c, key := srv.Console(t)
	stranger := rendezvous.NewClient(rendezvous.ConsoleConfig{Server: srv.Address, Key: signalingtest.Key(t), Tokens: &signalingtest.Memory{}})
	defer stranger.Close()
	limited := false
	for range 8 {
		_, err := stranger.SignIn(t.Context(), rendezvous.SignIn{Email: srv.Account.Email, Password: "guess"})
		switch fault.KindOf(err) {
		case fault.SignedOut:
		case fault.Limit:
			limited = true
		default:
			t.Fatal(err)
		}
	}
	if !limited {
		t.Error("guessing was not slowed down")
	}
	_ = key
	// The pause is the stranger's address's; the owner's console refreshes.
	if _, err := c.Profile(t.Context()); err != nil {
		t.Errorf("the owner: %v", err)
	}
}

func get(t *testing.T, url string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestRequestsOutsideTheBoundsAreRefused(t *testing.T) {
	srv := signalingtest.Start(t)
	c, _ := srv.Console(t)
	s := session(t, c)
	path := protocol.Base + "/host/" + s.ID.String() + "/socket?client=0123456789abcdef&instance=" + rendezvous.NewInstance().String()
	key := signalingtest.Key(t)
	signed := func(r *http.Request) {
		protocol.SignRequest(r.Header, key, http.MethodGet, r.Host, r.URL.RequestURI(), "", nil, time.Now())
	}
	for name, tc := range map[string]struct {
		path   string
		change func(*http.Request)
		status int
	}{
		"origin":           {path, func(r *http.Request) { r.Header.Set("Origin", srv.URL()); signed(r) }, http.StatusForbidden},
		"unsigned":         {path, nil, http.StatusUnauthorized},
		"foreign name":     {path, func(r *http.Request) { r.Host = "evil.example"; signed(r) }, http.StatusMisdirectedRequest},
		"signed elsewhere": {path, func(r *http.Request) { signed(r); r.URL.RawQuery += "&x=1" }, http.StatusUnauthorized},
		"old": {path, func(r *http.Request) {
			protocol.SignRequest(r.Header, key, http.MethodGet, r.Host, r.URL.RequestURI(), "", nil, time.Now().Add(-time.Hour))
		}, http.StatusUnauthorized},
		"no such":   {protocol.Base + "/invitations/" + grant.NewID().String(), nil, http.StatusNotFound},
		"no path":   {protocol.Base + "/nothing", nil, http.StatusNotFound},
		"traversal": {"/d/..%2fdaypass.db", nil, http.StatusNotFound},
	} {
		resp, body := get(t, srv.URL()+tc.path, tc.change)
		if resp.StatusCode != tc.status {
			t.Errorf("%s: status %d, want %d: %s", name, resp.StatusCode, tc.status, body)
		}
	}

	// A replayed request is refused.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL()+protocol.Base+"/refresh", nil)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"refresh":"x","more":1}`)
	post := func(body []byte, r *http.Request) (int, string) {
		r = r.Clone(t.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Type", "application/json")
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	protocol.SignRequest(req.Header, key, req.Method, req.URL.Host, req.URL.RequestURI(), "", body, time.Now())
	if st, b := post(body, req); st != http.StatusUnprocessableEntity {
		t.Errorf("unknown field: %d %s", st, b)
	}
	if st, b := post(body, req); st != http.StatusUnauthorized || !strings.Contains(b, "sent before") {
		t.Errorf("replay: %d %s", st, b)
	}
	big := bytes.Repeat([]byte(" "), protocol.MaxRequest+1)
	protocol.SignRequest(req.Header, key, req.Method, req.URL.Host, req.URL.RequestURI(), "", big, time.Now())
	if st, b := post(big, req); st != http.StatusRequestEntityTooLarge {
		t.Errorf("large body: %d %s", st, b)
	}
}

func TestASocketThatBreaksTheProtocolIsClosed(t *testing.T) {
	srv := signalingtest.Start(t)
	c, _ := srv.Console(t)
	s := session(t, c)
	for name, send := range map[string]func(*websocket.Conn) error{
		"text":       func(w *websocket.Conn) error { return w.Write(t.Context(), websocket.MessageText, []byte("hi")) },
		"unknown op": func(w *websocket.Conn) error { return w.Write(t.Context(), websocket.MessageBinary, []byte{9}) },
		"too large": func(w *websocket.Conn) error {
			return w.Write(t.Context(), websocket.MessageBinary, make([]byte, protocol.MaxMessage+1))
		},
	} {
		key := signalingtest.Key(t)
		path := protocol.Base + "/host/" + s.ID.String() + "/socket?client=0123456789abcdef&instance=" + rendezvous.NewInstance().String()
		h := http.Header{}
		protocol.SignRequest(h, key, http.MethodGet, srv.Address.Host, path, "", nil, time.Now())
		tr := &http.Transport{}
		w, _, err := websocket.Dial(t.Context(), srv.URL()+path, &websocket.DialOptions{HTTPHeader: h, Subprotocols: []string{protocol.Subprotocol}, HTTPClient: &http.Client{Transport: tr}})
		if err != nil {
			t.Fatal(err)
		}
		if err := send(w); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, _, err = w.Read(t.Context())
		}
		if st := websocket.CloseStatus(err); st != protocol.CloseProtocol && st != websocket.StatusMessageTooBig {
			t.Errorf("%s: %v", name, err)
		}
		w.CloseNow()
		tr.CloseIdleConnections()
	}
}

func TestHostsOnOneLinkAreBounded(t *testing.T) {
	srv := signalingtest.Start(t)
	c, _ := srv.Console(t)
	s := session(t, c)
	var boxes []*rendezvous.HostMailbox
	for range protocol.MaxInstances {
		m, _ := srv.Host(t, s.ID)
		boxes = append(boxes, m)
	}
	within(t, "all online", func() bool {
		for _, m := range boxes {
			if !m.Online() {
				return false
			}
		}
		return true
	})
	late, _ := srv.Host(t, s.ID)
	within(t, "one too many is refused", func() bool {
		e := receive(t, late.Events())
		return e.Rejected != nil && e.Rejected.Kind == fault.Limit
	})
	v, err := c.Session(t.Context(), s.ID)
	if err != nil || len(v.Waiting) != protocol.MaxInstances {
		t.Errorf("%d waiting, %v", len(v.Waiting), err)
	}
	// A place is free again when one leaves.
	if err := boxes[0].Close(); err != nil {
		t.Fatal(err)
	}
	next, _ := srv.Host(t, s.ID)
	within(t, "the next comes in", func() bool { return next.Online() || receive(t, next.Events()).Online })
}

func TestPortInUsePlainHTTPAndBadAddressHaveWords(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, tc := range map[string]struct {
		cfg  server.Config
		kind fault.Kind
	}{
		"in use":     {server.Config{Listen: l.Addr().String()}, fault.Conflict},
		"plain HTTP": {server.Config{Listen: "0.0.0.0:0"}, fault.Denied},
		"nonsense":   {server.Config{Listen: "nonsense"}, fault.Invalid},
		"public":     {server.Config{Listen: "127.0.0.1:0", PublicURL: "ftp://x"}, fault.Invalid},
		"TLS":        {server.Config{Listen: "127.0.0.1:0", TLSCert: "none.pem"}, fault.Invalid},
	} {
		tc.cfg.DataDir = t.TempDir()
		s, err := server.Start(t.Context(), tc.cfg)
		if fault.KindOf(err) != tc.kind || fault.Of(err).Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
		if s != nil {
			s.Close(t.Context())
		}
	}
}

func TestEmbeddedServerMovesWhenItsOldPortIsTaken(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := os.WriteFile(filepath.Join(dir, "port"), []byte(port), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(t.Context(), server.Config{DataDir: dir, Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	if strings.HasSuffix(s.URL(), ":"+port) {
		t.Error("two listeners on one port")
	}
}

func TestBackupIsWholeAndRestores(t *testing.T) {
	srv := signalingtest.Start(t)
	c, _ := srv.Console(t)
	s := session(t, c)
	to := filepath.Join(t.TempDir(), "backup")
	if err := server.Backup(t.Context(), srv.Config.DataDir, to); err != nil {
		t.Fatal(err)
	}
	if err := server.Restore(t.Context(), to, srv.Config.DataDir); fault.KindOf(err) != fault.Conflict {
		t.Errorf("restore over data: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if err := server.Restore(t.Context(), to, dir); err != nil {
		t.Fatal(err)
	}
	s2, err := server.Start(t.Context(), server.Config{DataDir: dir, TURN: server.TURNConfig{Disabled: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer s2.Close(t.Context())
	if s2.Key() != srv.Key() {
		t.Error("another signing key")
	}
	resp, body := get(t, s2.URL()+protocol.Base+"/invitations/"+s.ID.String(), nil)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "Mia Roth") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	for _, f := range []string{filepath.Join(dir, server.KeyFile), filepath.Join(dir, server.DatabaseFile)} {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, st.Mode(), err)
		}
	}
}

func TestHealthAndTURNOnTheSamePort(t *testing.T) {
	srv := signalingtest.Start(t)
	_, body := get(t, srv.URL()+"/healthz", nil)
	var h protocol.Health
	if err := json.Unmarshal([]byte(body), &h); err != nil || !h.OK || h.Key != srv.Key() || !h.Insecure {
		t.Fatalf("%s %v", body, err)
	}
	conn, err := net.Dial("tcp", srv.Address.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// STUN binding request, RFC 8489 §5.
	req := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, []byte("transaction!")...)
	if _, err := conn.Write(req); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 20)
	if _, err := io.ReadFull(conn, got); err != nil || got[0] != 1 || got[1] != 1 || string(got[8:]) != "transaction!" {
		t.Errorf("%x %v", got, err)
	}
}
