package broker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type world struct {
	*testing.T
	br   *Broker
	url  string
	s    store.Session
	told atomic.Int32
}

// newWorld serves one session: /console and /host?i=…&client=… are its sockets.
func newWorld(t *testing.T) *world {
	w := &world{T: t, s: store.Session{ID: grant.NewID(), ConsoleKey: grant.Key{1}, State: protocol.Invited, Rev: 1}}
	w.br = New(Config{
		Lookup: func(_ context.Context, id grant.ID) (store.Session, error) {
			if id != w.s.ID {
				return store.Session{}, store.ErrNotFound
			}
			return w.s, nil
		},
		View: func(s store.Session) protocol.Session { return protocol.Session{ID: s.ID, State: s.State, Rev: s.Rev} },
		Told: func(grant.ID, protocol.Instance) { w.told.Add(1) },
	})
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		accept := func(ping func()) (*websocket.Conn, error) {
			return websocket.Accept(rw, r, &websocket.AcceptOptions{OnPingReceived: func(context.Context, []byte) bool { ping(); return true }})
		}
		var err error
		if r.URL.Path == "/console" {
			err = w.br.ServeConsole(r.Context(), accept, w.s.ConsoleKey, r.URL.Query().Get("client"), []store.Session{w.s})
		} else {
			i, perr := protocol.ParseInstance(r.URL.Query().Get("i"))
			if perr != nil {
				t.Error(perr)
			}
			err = w.br.ServeHost(r.Context(), accept, w.s, i, grant.Key{2}, r.URL.Query().Get("client"))
		}
		if errors.Is(err, ErrDraining) {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	w.url = srv.URL
	t.Cleanup(func() { w.br.Close(); srv.Close() })
	return w
}

type conn struct {
	*world
	c       *websocket.Conn
	console bool
}

func (w *world) dial(path string) *conn {
	w.Helper()
	tr := &http.Transport{}
	c, _, err := websocket.Dial(w.Context(), w.url+path, &websocket.DialOptions{HTTPClient: &http.Client{Transport: tr}})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { c.CloseNow(); tr.CloseIdleConnections() })
	c.SetReadLimit(protocol.MaxMessage)
	return &conn{w, c, strings.HasPrefix(path, "/console")}
}

func (c *conn) write(f protocol.Frame) {
	c.Helper()
	if err := c.c.Write(c.Context(), websocket.MessageBinary, f.Append(nil, c.console)); err != nil {
		c.Fatal(err)
	}
}

// until reads to the first frame of an op.
func (c *conn) until(op protocol.Op) protocol.Frame {
	c.Helper()
	for {
		ctx, cancel := context.WithTimeout(c.Context(), 20*time.Second)
		_, b, err := c.c.Read(ctx)
		cancel()
		if err != nil {
			c.Fatalf("waiting for op %d: %v", op, err)
		}
		f, err := protocol.ParseFrame(b, c.console)
		if err != nil {
			c.Fatal(err)
		}
		if f.Op == op {
			return f
		}
	}
}

func TestASendIsTakenOnceAndDeliveredUntilReceived(t *testing.T) {
	w := newWorld(t)
	i := protocol.NewInstance()
	path := "/host?i=" + i.String() + "&client=a"
	h := w.dial(path)
	h.write(protocol.Frame{Op: protocol.OpSend, ID: 1, Body: []byte("one")})
	if f := h.until(protocol.OpTaken); f.ID != 1 || f.Result != protocol.Taken {
		t.Fatalf("%+v", f)
	}
	h.c.CloseNow() // the answer might have been lost: the client sends again
	h = w.dial(path)
	h.write(protocol.Frame{Op: protocol.OpSend, ID: 1, Body: []byte("one")})
	if f := h.until(protocol.OpTaken); f.Result != protocol.Taken {
		t.Fatalf("%+v", f)
	}
	h.write(protocol.Frame{Op: protocol.OpSend, ID: 2, Body: []byte("two")})
	h.until(protocol.OpTaken)

	c := w.dial("/console?client=c")
	if f := c.until(protocol.OpDeliver); string(f.Body) != "one" || f.Instance != i || f.Session != w.s.ID {
		t.Fatalf("%+v", f)
	}
	c.c.CloseNow() // never acknowledged
	c = w.dial("/console?client=c")
	f := c.until(protocol.OpDeliver)
	if string(f.Body) != "one" {
		t.Fatalf("lost with its connection: got %q", f.Body)
	}
	if f = c.until(protocol.OpDeliver); string(f.Body) != "two" {
		t.Fatalf("got %q", f.Body)
	}
	c.write(protocol.Frame{Op: protocol.OpReceived, Seq: f.Seq})
	// A new run of the program counts from one again.
	h2 := w.dial("/host?i=" + i.String() + "&client=b")
	h2.write(protocol.Frame{Op: protocol.OpSend, ID: 1, Body: []byte("three")})
	if f := c.until(protocol.OpDeliver); string(f.Body) != "three" {
		t.Fatalf("got %q", f.Body)
	}
}

func TestAnOlderSocketIsReplaced(t *testing.T) {
	w := newWorld(t)
	path := "/host?client=a&i=" + protocol.NewInstance().String()
	first := w.dial(path)
	first.until(protocol.OpEvent)
	w.dial(path).until(protocol.OpEvent)
	for {
		_, _, err := first.c.Read(t.Context())
		if err == nil {
			continue
		}
		if websocket.CloseStatus(err) != protocol.CloseReplaced {
			t.Errorf("%v", err)
		}
		return
	}
}

func TestStrangersAndTheDeadGetNoMail(t *testing.T) {
	w := newWorld(t)
	c := w.dial("/console?client=c")
	for n, to := range []struct {
		s grant.ID
		i protocol.Instance
	}{{grant.NewID(), protocol.NewInstance()}, {w.s.ID, protocol.NewInstance()}} {
		c.write(protocol.Frame{Op: protocol.OpSend, ID: uint32(n + 1), Session: to.s, Instance: to.i, Body: []byte("x")})
		if f := c.until(protocol.OpTaken); f.Result != protocol.Unknown {
			t.Errorf("%d: %+v", n, f)
		}
	}
	i := protocol.NewInstance()
	h := w.dial("/host?client=a&i=" + i.String())
	h.until(protocol.OpEvent)
	over := w.s
	over.State, over.Rev, over.EndedFact = protocol.Ending, 2, &grant.Signed{Body: []byte("{}")}
	w.br.Changed(over)
	for {
		var e protocol.Event
		if err := json.Unmarshal(h.until(protocol.OpEvent).Body, &e); err != nil {
			t.Fatal(err)
		}
		if e.Ended != nil {
			break
		}
	}
	over.State, over.Rev = protocol.Ended, 3
	w.br.Changed(over)
	c.write(protocol.Frame{Op: protocol.OpSend, ID: 9, Session: w.s.ID, Instance: i, Body: []byte("x")})
	if f := c.until(protocol.OpTaken); f.Result != protocol.Unknown {
		t.Errorf("a session that is over: %+v", f)
	}
	for deadline := time.Now().Add(20 * time.Second); w.told.Load() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("nobody noted that the host was told")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestDrainingSaysWhenToComeBackAndLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	h := w.dial("/host?client=a&i=" + protocol.NewInstance().String())
	h.until(protocol.OpEvent)
	w.br.Drain(time.Second)
	for {
		_, _, err := h.c.Read(t.Context())
		if err == nil {
			continue
		}
		var e websocket.CloseError
		if !errors.As(err, &e) || e.Code != protocol.CloseGoingAway || !strings.HasPrefix(e.Reason, "retry=") {
			t.Errorf("%v", err)
		}
		break
	}
	tr := &http.Transport{DisableKeepAlives: true}
	_, resp, err := websocket.Dial(t.Context(), w.url+"/console?client=c", &websocket.DialOptions{HTTPClient: &http.Client{Transport: tr}})
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%v", err)
	}
	if n := w.br.Sockets(); n != 0 {
		t.Errorf("%d sockets", n)
	}
}

func TestMailboxesAreBoundedInNumberAgeAndPerSender(t *testing.T) {
	b := &box{console: true, dirty: map[grant.ID]bool{}}
	now := time.Now()
	for i := range protocol.MaxMailbox + 1 {
		if got := b.push(address{}, []byte("x"), now); got != (i < protocol.MaxMailbox) {
			t.Fatalf("message %d: %v", i, got)
		}
	}
	if !b.push(address{}, []byte("y"), now.Add(protocol.MessageTTL+time.Second)) || len(b.queue) != 1 {
		t.Errorf("%d messages after their time", len(b.queue))
	}
	br := &Broker{}
	one, other := address{instance: protocol.Instance{1}}, address{instance: protocol.Instance{2}}
	b.queue = nil
	for br.fits(b, one) {
		b.push(one, nil, time.Now())
	}
	if len(b.queue) != protocol.MaxMailbox/2 || !br.fits(b, other) {
		t.Errorf("one sender has %d of %d places", len(b.queue), protocol.MaxMailbox)
	}
}

func TestForgottenMailboxesGoAway(t *testing.T) {
	w := newWorld(t)
	h := w.dial("/host?client=a&i=" + protocol.NewInstance().String())
	h.until(protocol.OpEvent)
	h.c.CloseNow()
	for deadline := time.Now().Add(20 * time.Second); w.br.Sockets() != 0; {
		if time.Now().After(deadline) {
			t.Fatal("still online")
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.br.forget(time.Now().Add(forgetAfter + time.Minute))
	w.br.mu.Lock()
	defer w.br.mu.Unlock()
	if len(w.br.hosts) != 0 || len(w.br.routes) != 0 {
		t.Errorf("%d hosts, %d routes", len(w.br.hosts), len(w.br.routes))
	}
}

func TestAReaderThatDoesNotCollectIsDisconnected(t *testing.T) {
	w := newWorld(t)
	s := &sock{wake: make(chan struct{}, 1)}
	b := &box{sock: s, queue: []message{{seq: 1, body: []byte("x"), at: time.Now()}}}
	if f, _, err := w.br.next(b, s); err != nil || f == nil || f.Op != protocol.OpDeliver {
		t.Fatalf("%+v %v", f, err)
	}
	if f, _, err := w.br.next(b, s); f != nil || err != nil {
		t.Fatalf("delivered twice on one socket: %+v %v", f, err)
	}
	b.queue[0].when = time.Now().Add(-protocol.AckWithin - time.Second)
	var c *closing
	if _, _, err := w.br.next(b, s); !errors.As(err, &c) || c.code != protocol.CloseSlow {
		t.Errorf("%v", err)
	}
	if _, _, err := w.br.next(b, &sock{}); !errors.As(err, &c) || c.code != protocol.CloseReplaced {
		t.Errorf("%v", err)
	}
}

// A console's socket that opens between a claim and the word of it brings the
// claimed session first. The host hears of the claim all the same.
func TestAClaimIsToldWhoeverBringsItFirst(t *testing.T) {
	w := newWorld(t)
	w.s.State, w.s.HostKey, w.s.HostInstance = protocol.Active, grant.Key{2}, protocol.Instance{7}
	h := w.dial("/host?i=" + protocol.Instance{7}.String() + "&client=h")
	next := w.s
	next.Rev++
	next.ClaimKey, next.ClaimUntil, next.ClaimOffer = grant.Key{3}, time.Now().Add(time.Hour), &grant.Signed{Body: []byte("offer")}
	for {
		var e protocol.Event
		if err := json.Unmarshal(h.until(protocol.OpEvent).Body, &e); err != nil {
			t.Fatal(err)
		}
		if e.Console != nil {
			break // the host is there, and has heard what there was
		}
	}
	w.br.mu.Lock()
	w.br.put(next) // as ServeConsole does with the sessions of a console
	w.br.mu.Unlock()
	w.br.Changed(next)
	for {
		var e protocol.Event
		if err := json.Unmarshal(h.until(protocol.OpEvent).Body, &e); err != nil {
			t.Fatal(err)
		}
		if e.Claim != nil {
			return
		}
	}
}
