package rendezvous

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func serve(t *testing.T, h http.HandlerFunc) *url.URL {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func host(t *testing.T, u *url.URL) *HostMailbox {
	t.Helper()
	m := DialHost(HostConfig{Server: u, Session: grant.NewID(), Instance: NewInstance(), Key: testKey(t)})
	t.Cleanup(func() { m.Close() })
	return m
}

func next(t *testing.T, m *HostMailbox, what string, f func(HostEvent) bool) HostEvent {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case e := <-m.Events():
			if f(e) {
				return e
			}
		case <-late:
			t.Fatal("never: " + what)
		}
	}
}

// socketServer accepts sockets and gives each to the next of the functions.
func socketServer(t *testing.T, conns ...func(ctx context.Context, c *websocket.Conn)) *url.URL {
	var n atomic.Int32
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		i := int(n.Add(1)) - 1
		if i >= len(conns) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{protocol.Subprotocol}})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(protocol.MaxMessage)
		hello, err := json.Marshal(protocol.Event{Hello: &protocol.Hello{Boot: "b", Time: time.Now()}})
		if err != nil {
			t.Error(err)
		}
		if err := c.Write(r.Context(), websocket.MessageBinary, protocol.Frame{Op: protocol.OpEvent, Body: hello}.Append(nil, false)); err != nil {
			return
		}
		conns[i](r.Context(), c)
	})
}

func TestAMessageLostWithItsConnectionIsSentAgainAndADeliveryOnlyOnce(t *testing.T) {
	deliver := protocol.Frame{Op: protocol.OpDeliver, Seq: 1, Body: []byte("once")}.Append(nil, false)
	ids := make(chan uint32, 2)
	stay := make(chan struct{})
	defer close(stay)
	u := socketServer(t,
		func(ctx context.Context, c *websocket.Conn) {
			if err := c.Write(ctx, websocket.MessageBinary, deliver); err != nil {
				t.Error(err)
			}
			for {
				_, b, err := c.Read(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				if f, err := protocol.ParseFrame(b, false); err == nil && f.Op == protocol.OpSend {
					ids <- f.ID
					return // dies without an answer
				}
			}
		},
		func(ctx context.Context, c *websocket.Conn) {
			if err := c.Write(ctx, websocket.MessageBinary, deliver); err != nil { // its acknowledgement was lost
				t.Error(err)
			}
			if err := c.Write(ctx, websocket.MessageBinary, protocol.Frame{Op: protocol.OpDeliver, Seq: 2, Body: []byte("then")}.Append(nil, false)); err != nil {
				t.Error(err)
			}
			for {
				_, b, err := c.Read(ctx)
				if err != nil {
					return
				}
				if f, err := protocol.ParseFrame(b, false); err == nil && f.Op == protocol.OpSend {
					ids <- f.ID
					if err := c.Write(ctx, websocket.MessageBinary, protocol.Frame{Op: protocol.OpTaken, ID: f.ID}.Append(nil, false)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	m := host(t, u)
	if err := m.Send(t.Context(), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if a, b := <-ids, <-ids; a != b {
		t.Errorf("sent as %d, then as %d: the server could not know that it is the same", a, b)
	}
	if a, b := <-m.Receive(), <-m.Receive(); string(a) != "once" || string(b) != "then" {
		t.Errorf("%q, %q", a, b)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := <-m.Receive(); ok {
		t.Error("Receive is open after Close")
	}
	if err := m.Send(t.Context(), []byte("x")); fault.KindOf(err) != fault.Cancelled {
		t.Errorf("send after close: %v", err)
	}
}

func TestTheServersHintWhenToComeBackIsKept(t *testing.T) {
	back := make(chan time.Time, 1)
	u := socketServer(t,
		func(_ context.Context, c *websocket.Conn) { c.Close(protocol.CloseGoingAway, "retry=600") },
		func(ctx context.Context, c *websocket.Conn) { back <- time.Now(); <-c.CloseRead(ctx).Done() })
	started := time.Now()
	m := host(t, u)
	if d := (<-back).Sub(started); d < 300*time.Millisecond {
		t.Errorf("back after %v, asked for 600 ms with jitter", d)
	}
	m.Close()
}

func TestAWrongClockIsCorrectedByTheServers(t *testing.T) {
	theirs := time.Now().Add(48 * time.Hour)
	asked := 0
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set(protocol.HeaderTime, strconv.FormatInt(theirs.UnixMilli(), 10))
		p, err := protocol.OpenProof(r.Header, r.Method, r.Host, r.RequestURI, nil)
		if err != nil {
			t.Error(err)
		}
		if d := p.At.Sub(theirs).Abs(); d > time.Minute {
			w.WriteHeader(http.StatusUnauthorized)
			w.Write([]byte(`{"error":{"kind":"denied","code":"clock","message":"m"}}`))
			return
		}
		w.Write([]byte(`{"servers":[]}`))
	})
	c := newCaller(u, testKey(t), nil, nil)
	defer c.close()
	var out protocol.ICE
	if err := c.call(t.Context(), "op", http.MethodGet, "/x", "", nil, &out); err != nil || asked != 2 {
		t.Fatalf("%v after %d requests", err, asked)
	}
	if d := c.now().Sub(theirs).Abs(); d > time.Minute {
		t.Errorf("server's time is off by %v", d)
	}
}

func TestWhatAnswersInAnotherFormBecomesAFaultWithWords(t *testing.T) {
	for body, want := range map[string]fault.Kind{
		"200 <html>login</html>": fault.Hostile,
		"404 not found":          fault.Hostile,
		"502 bad gateway":        fault.Offline,
		"429 slow":               fault.Limit,
		"302 elsewhere":          fault.Hostile,
		`410 {"error":{"kind":"expired","message":"over"}}`:  fault.Expired,
		`400 {"error":{"kind":"nonsense","message":"x"}}`:    fault.Internal,
		"200 " + strings.Repeat("x", protocol.MaxResponse+1): fault.Hostile,
	} {
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			st, b, _ := strings.Cut(body, " ")
			n, err := strconv.Atoi(st)
			if err != nil {
				t.Error(err)
			}
			w.WriteHeader(n)
			w.Write([]byte(b))
		})
		c := newCaller(u, testKey(t), nil, nil)
		err := c.call(t.Context(), "op", http.MethodGet, "/x", "", nil, &struct{ A int }{})
		c.close()
		if f := fault.Of(err); f.Kind != want || f.Message == "" {
			t.Errorf("%.40s: %v", body, err)
		}
	}
	c := newCaller(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, testKey(t), nil, nil)
	if err := c.call(t.Context(), "op", http.MethodGet, "/x", "", nil, nil); fault.KindOf(err) != fault.Offline {
		t.Errorf("nobody there: %v", err)
	}
}

func TestARefusedSocketIsToldAndKept(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusGone)
		w.Write([]byte(`{"error":{"kind":"expired","message":"This session is over.","hint":"Ask for a new invitation."}}`))
	})
	m := host(t, u)
	e := next(t, m, "rejected", func(e HostEvent) bool { return e.Rejected != nil })
	if e.Rejected.Kind != fault.Expired || e.Rejected.Hint == "" || e.Online {
		t.Errorf("%+v", e)
	}
	m.Close()
}

func TestOnlyTheOutboxIsKeptWhileOffline(t *testing.T) {
	m := host(t, &url.URL{Scheme: "http", Host: "127.0.0.1:1"})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	errs := make(chan error, 2*protocol.MaxMailbox)
	for range cap(errs) {
		go func() { errs <- m.Send(ctx, []byte("x")) }()
	}
	for range cap(errs) {
		if err := <-errs; fault.KindOf(err) != fault.Offline {
			t.Errorf("%v", err)
		}
	}
	if n := len(m.sock.outbox); n != 0 {
		t.Errorf("%d messages left that nobody waits for", n)
	}
	if err := m.Send(t.Context(), make([]byte, protocol.MaxBody+1)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("too large: %v", err)
	}
}

func TestRetryActivateEndsOnAnyOtherAnswer(t *testing.T) {
	n := 0
	_, err := RetryActivate(t.Context(), func(context.Context) (grant.Signed, error) {
		if n++; n < 3 {
			return grant.Signed{}, fault.Wrap(ErrNotYet, fault.Conflict, "o", "m", "h")
		}
		return grant.Signed{}, fault.New(fault.Expired, "o", "m", "h")
	})
	if n != 3 || fault.KindOf(err) != fault.Expired {
		t.Errorf("%d tries, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = RetryActivate(ctx, func(context.Context) (grant.Signed, error) { cancel(); return grant.Signed{}, ErrNotYet })
	if fault.KindOf(err) != fault.Cancelled || errors.Is(err, ErrNotYet) {
		t.Errorf("%v", err)
	}
}

func FuzzParseInstance(f *testing.F) {
	f.Add(NewInstance().String())
	f.Fuzz(func(t *testing.T, s string) {
		if i, err := ParseInstance(s); err == nil && len(i.String()) != 26 {
			t.Fatal(s)
		}
	})
}

func FuzzServersFaults(f *testing.F) {
	f.Add(404, []byte(`{"error":{"kind":"limit","message":"m","holders":[{"label":"x"}]}}`))
	f.Fuzz(func(t *testing.T, status int, b []byte) {
		err := toError("op", readFault(status, b))
		if e := fault.Of(err); e.Kind == "" || len([]rune(e.Message)) > 401 {
			t.Fatalf("%v", err)
		}
	})
}
