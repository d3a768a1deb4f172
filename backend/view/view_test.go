package view

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"daypass/backend/wire"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const origin = "wails://wails"

// film is a source that always has a newer frame.
type film struct {
	mu          sync.Mutex
	seq         uint32
	invalidated int
	inside      int
	overlap     bool
	stop        chan struct{} // when set, Next waits
}

func (f *film) Next(ctx context.Context, dst []byte) ([]byte, error) {
	f.mu.Lock()
	f.inside++
	f.overlap = f.overlap || f.inside > 1
	stop := f.stop
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.inside--
		f.mu.Unlock()
	}()
	if stop != nil {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq++
	dst = append(dst, 1, 0, 1, 0, 1, 0, 0, 0)
	return append(binary.LittleEndian.AppendUint32(dst, f.seq), 0, 0, 0, 0), nil
}

func (f *film) Invalidate() {
	f.mu.Lock()
	f.invalidated++
	f.mu.Unlock()
}

func start(t *testing.T, src Source) (*Server, *Stream, Ticket, chan []byte) {
	t.Helper()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	inputs := make(chan []byte, 16)
	st, ticket := s.Open(src, func(b []byte) error {
		inputs <- bytes.Clone(b)
		return nil
	})
	return s, st, ticket, inputs
}

func dial(t *testing.T, ticket Ticket, origin string, protocols ...string) (*websocket.Conn, int) {
	t.Helper()
	if protocols == nil {
		protocols = []string{protocol, ticket.Token}
	}
	c, r, err := websocket.Dial(t.Context(), ticket.Socket, &websocket.DialOptions{
		Subprotocols: protocols,
		HTTPHeader:   http.Header{"Origin": {origin}},
		HTTPClient:   &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
	if err != nil {
		if r == nil {
			t.Fatal(err)
		}
		return nil, r.StatusCode
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c, 101
}

func frame(t *testing.T, c *websocket.Conn) uint32 {
	t.Helper()
	_, b, err := c.Read(t.Context())
	if err != nil || len(b) != 16 {
		t.Fatalf("frame of %d bytes, %v", len(b), err)
	}
	return binary.LittleEndian.Uint32(b[8:])
}

func ack(seq uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32([]byte{1}, seq), 700)
}

func send(t *testing.T, c *websocket.Conn, b []byte) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageBinary, b); err != nil {
		t.Fatal(err)
	}
}

var release = []byte{byte(wire.InputRelease), 0, 7, 0}

func TestSocketKeepsTwoFramesOnTheirWay(t *testing.T) {
	f := &film{}
	_, st, ticket, inputs := start(t, f)
	c, _ := dial(t, ticket, origin)
	if a, b := frame(t, c), frame(t, c); a != 1 || b != 2 {
		t.Fatalf("frames %d, %d", a, b)
	}
	// Input passes while frames wait; the answer to it proves that no third frame was asked for before.
	send(t, c, append([]byte{2}, release...))
	if got := <-inputs; !bytes.Equal(got, release) {
		t.Errorf("input %x", got)
	}
	f.mu.Lock()
	if f.seq != 2 {
		t.Errorf("%d frames were asked for", f.seq)
	}
	f.mu.Unlock()
	for seq := uint32(1); seq < 50; seq++ {
		send(t, c, ack(seq))
		if got := frame(t, c); got != seq+2 {
			t.Fatalf("frame %d after the acknowledgement of %d", got, seq)
		}
	}
	s := st.Stats()
	if s.Transport != "socket" || s.Frames != 51 || s.Painted != 49 || s.Outstanding != 2 || s.Inputs != 1 || s.Paint != 700*time.Microsecond {
		t.Errorf("%+v", s)
	}
	send(t, c, []byte{3})
	st.Close()
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("after Close: %v", err)
	}
	if _, status := dial(t, ticket, origin); status != http.StatusGone {
		t.Errorf("a closed stream answers %d", status)
	}
}

func TestSocketRefusesStrangers(t *testing.T) {
	_, _, ticket, _ := start(t, &film{stop: make(chan struct{})})
	for _, o := range []string{"", "null", "https://evil.example", "http://wails.localhost:1", "wails://wails.evil", "WAILS://wails"} {
		if _, status := dial(t, ticket, o); status != http.StatusForbidden {
			t.Errorf("origin %q: %d", o, status)
		}
	}
	if _, status := dial(t, ticket, origin, protocol, "wrong"); status != http.StatusGone {
		t.Errorf("wrong token: %d", status)
	}
	for _, p := range [][]string{{ticket.Token}, {protocol}, {ticket.Token, protocol}, {protocol, ticket.Token, "x"}} {
		if _, status := dial(t, ticket, origin, p...); status == 101 {
			t.Errorf("protocols %d accepted", len(p))
		}
	}
	rebound := ticket
	rebound.Socket = strings.Replace(ticket.Socket, "127.0.0.1", "localhost", 1)
	if _, status := dial(t, rebound, origin); status != http.StatusForbidden {
		t.Errorf("another name for us: %d", status)
	}
	if _, status := dial(t, ticket, "http://wails.localhost"); status != 101 {
		t.Errorf("the page of Windows: %d", status)
	}
}

func TestABrokenPageIsCutOff(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":              {},
		"unknown":              {9},
		"short ack":            {1, 0, 0},
		"ack out of turn":      ack(2),
		"input cut":            {2, 6, 0},
		"input unknown":        {2, 99, 0, 0, 0},
		"refresh with more":    {3, 3},
		"longer than any kind": make([]byte, maxPage+1),
	} {
		_, st, ticket, inputs := start(t, &film{})
		c, _ := dial(t, ticket, origin)
		frame(t, c)
		frame(t, c)
		send(t, c, b)
		if _, _, err := c.Read(t.Context()); err == nil {
			t.Errorf("%s: it goes on", name)
		}
		st.Close()
		for len(inputs) > 0 { // a page that is cut off has its keys released, nothing else
			if got := <-inputs; got[0] != byte(wire.InputRelease) {
				t.Errorf("%s: %x was passed on", name, got)
			}
		}
	}
}

func TestANewPageTakesOver(t *testing.T) {
	f := &film{}
	_, st, ticket, _ := start(t, f)
	a, _ := dial(t, ticket, origin)
	frame(t, a)
	frame(t, a)
	b, _ := dial(t, ticket, origin)
	frame(t, b)
	if _, _, err := a.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("the old page: %v", err)
	}
	if s := st.Stats(); s.Attached != 2 {
		t.Errorf("%+v", s)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.invalidated != 2 || f.overlap {
		t.Errorf("repaints %d, two readers at a time %v", f.invalidated, f.overlap)
	}
}

func TestWhatALostPageHeldIsReleased(t *testing.T) {
	_, _, ticket, inputs := start(t, &film{})
	c, _ := dial(t, ticket, origin)
	frame(t, c)
	key := []byte{byte(wire.InputKey), 0, 0, 0, 4, 0, 0, 1}
	send(t, c, append([]byte{2}, key...))
	if got := <-inputs; !bytes.Equal(got, key) {
		t.Errorf("input %x", got)
	}
	if err := c.CloseNow(); err != nil {
		t.Fatal(err)
	}
	if got := <-inputs; got[0] != byte(wire.InputRelease) {
		t.Errorf("after the page was lost: %x", got)
	}
}

func TestPolls(t *testing.T) {
	s, st, ticket, inputs := start(t, &film{})
	page := ""
	post := func(what string, body []byte) (int, []byte) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, ticket.Path+what, bytes.NewReader(body))
		r.Header.Set(tokenHeader, ticket.Token)
		r.Header.Set("Origin", origin)
		r.Header.Set(attachHeader, page)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		b, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, b
	}
	if code, _ := post("next", nil); code != http.StatusGone {
		t.Errorf("next before attach: %d", code)
	}
	_, number := post("attach", nil)
	page = string(number)
	for want := uint32(1); want < 20; want++ {
		code, b := post("next", nil)
		if code != http.StatusOK || binary.LittleEndian.Uint32(b[8:]) != want {
			t.Fatalf("frame %d: %d, %x", want, code, b)
		}
		body := append([]byte{9}, ack(want)...)
		body = append(append(body, byte(1+len(release)), 2), release...)
		if code, _ := post("send", body); code != http.StatusNoContent {
			t.Fatalf("send: %d", code)
		}
		<-inputs
	}
	if s := st.Stats(); s.Transport != "poll" || s.Painted != 19 || s.Inputs != 19 {
		t.Errorf("%+v", s)
	}
	if code, _ := post("send", make([]byte, maxSend+1)); code != http.StatusBadRequest {
		t.Errorf("a large body: %d", code)
	}
	if code, _ := post("send", []byte{200, 1}); code != http.StatusBadRequest {
		t.Errorf("a cut message: %d", code)
	}
	if code, _ := post("next", nil); code != http.StatusGone {
		t.Errorf("next of a page that was cut off: %d", code)
	}
	// A page that may open a socket takes over from polls.
	_, number = post("attach", nil)
	page = string(number)
	c, _ := dial(t, ticket, origin)
	frame(t, c)
	if code, _ := post("next", nil); code != http.StatusGone {
		t.Errorf("next after a socket took over: %d", code)
	}
	st.Close()
	if code, _ := post("attach", nil); code != http.StatusGone {
		t.Errorf("attach after Close: %d", code)
	}
}

func TestNewRefusesOpenOrigins(t *testing.T) {
	for _, o := range []string{"", "*", "null"} {
		if s, err := New(Config{Origins: []string{o}}); err == nil {
			s.Close()
			t.Errorf("origin %q accepted", o)
		}
	}
}

func FuzzPageMessage(f *testing.F) {
	f.Add(ack(1))
	f.Add([]byte{3})
	f.Add(append([]byte{2}, release...))
	s := &Server{streams: map[[32]byte]*Stream{}}
	f.Fuzz(func(t *testing.T, b []byte) {
		st := &Stream{server: s, src: &film{}, input: func(in []byte) error {
			if _, err := wire.ParseInput(in); err != nil {
				t.Fatal(err)
			}
			return nil
		}}
		a := &attachment{stream: st, ctx: t.Context(), acked: make(chan struct{}, 1), sent: []uint32{1, 2}}
		if err := a.page(b); err == nil && len(b) > maxPage {
			t.Fatalf("%d bytes accepted", len(b))
		}
	})
}
