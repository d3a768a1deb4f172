// Package view carries the picture of a remote display to the page that paints
// it, and the page's input back, over the loopback: by a WebSocket on
// 127.0.0.1, or where the page may not open one, by long polls through the
// handler that also serves the page. Both carry the same messages. It must not
// know where the picture comes from, who may do what, nor the window around
// the page.
//
// To the page goes one view message (frame, cursor shape, pointer position) a
// WebSocket message or poll answer. From the page comes, one a WebSocket
// message, or each behind a length byte in the body of a send:
//
//	u8 1, u32 seq, u32 microseconds   a frame was painted, in order
//	u8 2, an input message            as wire.ParseInput reads it
//	u8 3                              paint everything anew
package view

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"daypass/backend/fault"
	"daypass/backend/wire"

	"github.com/coder/websocket"
)

// Prefix is where the handler wants its requests.
const Prefix = "/view/"

const (
	protocol     = "daypass.view.1"  // WebSocket subprotocol; the token is offered behind it
	tokenHeader  = "X-Daypass-Token" // of polls
	attachHeader = "X-Daypass-Page"  // which attachment a poll belongs to

	window    = 2                 // frames sent and not yet painted
	maxPage   = 1 + wire.MaxInput // largest message of the page
	maxSend   = 16 << 10          // body of one send
	maxFrame  = 8                 // bytes before a frame's seq
	pollPause = 20 * time.Second  // an empty poll is answered after it
)

// Source gives the newest view message whenever it is asked. Next is called
// from one goroutine at a time: it blocks until there is something newer,
// appends one view message to dst[:0] and returns it, or ctx's error.
// Invalidate makes the next frame a full repaint; it may be called any time.
type Source interface {
	Next(ctx context.Context, dst []byte) ([]byte, error)
	Invalidate()
}

// Config says who may open a view.
type Config struct {
	// Origins are the page's origins beside wails://wails and
	// http://wails.localhost, exactly as a browser sends them.
	Origins []string
	Log     *slog.Logger // nil: none
}

// Ticket is what the page needs to show one stream. The token is a secret of
// this run; it opens this stream only.
type Ticket struct {
	Socket string `json:"socket"` // ws://127.0.0.1:port/view/socket, or "" when only polls are there
	Path   string `json:"path"`   // of the polls on the page's own origin: "/view/"
	Token  string `json:"token"`
}

// Stats are what one stream did since it was opened.
type Stats struct {
	Transport   string        // "socket", "poll", or "" while no page is attached
	Attached    uint64        // pages that attached so far
	Frames      uint64        // frames sent
	Painted     uint64        // frames acknowledged
	Bytes       uint64        // of all view messages
	Inputs      uint64        // input messages passed on
	Refused     uint64        // input messages that the receiver refused
	Outstanding int           // frames sent and not yet painted
	Paint       time.Duration // of the last frame, as the page measured it
	PaintMean   time.Duration // exponential mean over about 16 frames
}

// Server opens streams to the page. Its methods may be called from any
// goroutine.
type Server struct {
	log     *slog.Logger
	origins []string
	host    string // "" without a listener
	http    *http.Server
	done    sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	streams map[[32]byte]*Stream // by hash of the token
}

// New starts to listen on a free port of 127.0.0.1. Where that is refused, it
// logs so and leaves the polls. The caller must Close the server.
func New(cfg Config) (*Server, error) {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		log:     log,
		origins: append([]string{"wails://wails", "http://wails.localhost"}, cfg.Origins...),
		streams: map[[32]byte]*Stream{},
	}
	if slices.Contains(s.origins, "") || slices.Contains(s.origins, "*") || slices.Contains(s.origins, "null") {
		return nil, fault.New(fault.Internal, "view.new", "The picture cannot be shown.", "Restart Daypass.")
	}
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		log.Warn("no loopback port for the picture: polls only", "err", err)
		return s, nil
	}
	s.host = ln.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Prefix+"socket", s.socket)
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	s.done.Go(func() {
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("loopback listener ended", "err", err)
		}
	})
	return s, nil
}

// Open begins a stream from src. input is called, one call at a time, with
// each input message that the page sends, and with a release when a page is
// gone; it must not keep the bytes, should
// return at once, and its error only counts. The caller must Close the stream.
func (s *Server) Open(src Source, input func([]byte) error) (*Stream, Ticket) {
	var raw [32]byte
	rand.Read(raw[:]) // never fails, crypto/rand
	t := Ticket{Path: Prefix, Token: base64.RawURLEncoding.EncodeToString(raw[:])}
	if s.host != "" {
		t.Socket = "ws://" + s.host + Prefix + "socket"
	}
	st := &Stream{server: s, key: sha256.Sum256([]byte(t.Token)), src: src, input: input}
	st.ctx, st.cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		st.cancel()
	} else {
		s.streams[st.key] = st
	}
	return st, t
}

// Close ends all streams and the listener and waits for their goroutines.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	var all []*Stream
	for _, st := range s.streams {
		all = append(all, st)
	}
	s.mu.Unlock()
	for _, st := range all {
		st.Close()
	}
	if s.http != nil {
		if err := s.http.Close(); err != nil {
			s.log.Debug("closing the loopback listener", "err", err)
		}
	}
	s.done.Wait()
}

func (s *Server) find(token string) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[sha256.Sum256([]byte(token))]
}

// socket serves the WebSocket. Origin and Host are checked exactly: a page of
// somebody else, or a name that was made to resolve to us, gets nothing.
func (s *Server) socket(w http.ResponseWriter, r *http.Request) {
	if r.Host != s.host || !slices.Contains(s.origins, r.Header.Get("Origin")) {
		http.Error(w, "not for you", http.StatusForbidden)
		return
	}
	offered := splitProtocols(r.Header.Get("Sec-WebSocket-Protocol"))
	if len(offered) != 2 || offered[0] != protocol {
		http.Error(w, "protocol", http.StatusBadRequest)
		return
	}
	st := s.find(offered[1])
	if st == nil {
		http.Error(w, "no such stream", http.StatusGone)
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{protocol},
		InsecureSkipVerify: true, // the origin was checked above, more strictly
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		s.log.Debug("view socket", "err", err)
		return
	}
	c.SetReadLimit(maxPage)
	a, ok := st.attach("socket", func(ctx context.Context, msg []byte) error {
		return c.Write(ctx, websocket.MessageBinary, msg)
	})
	if !ok {
		closeSocket(c, websocket.StatusNormalClosure)
		return
	}
	defer st.detach(a)
	// Read must not be cancelled by a context of its own: cancellation of the
	// attachment closes the connection in order, so that the page knows why.
	stop := context.AfterFunc(a.ctx, func() { closeSocket(c, websocket.StatusNormalClosure) })
	defer stop()
	buf := make([]byte, maxPage)
	for {
		kind, rd, err := c.Reader(context.Background())
		if err != nil {
			return
		}
		n, err := io.ReadFull(rd, buf)
		if kind != websocket.MessageBinary || (err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF)) {
			closeSocket(c, websocket.StatusPolicyViolation)
			return
		}
		if err == nil { // the buffer is full: the message must end here
			if _, err := rd.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				closeSocket(c, websocket.StatusPolicyViolation)
				return
			}
		}
		if err := a.page(buf[:n]); err != nil {
			s.log.Warn("view page", "err", err)
			closeSocket(c, websocket.StatusPolicyViolation)
			return
		}
	}
}

func closeSocket(c *websocket.Conn, code websocket.StatusCode) {
	// The page may be gone already; there is nobody left to tell.
	_ = c.Close(code, "")
}

func splitProtocols(h string) []string {
	var out []string
	for len(h) > 0 && len(out) < 4 {
		i := 0
		for i < len(h) && h[i] != ',' {
			i++
		}
		p := h[:i]
		for len(p) > 0 && p[0] == ' ' {
			p = p[1:]
		}
		for len(p) > 0 && p[len(p)-1] == ' ' {
			p = p[:len(p)-1]
		}
		out = append(out, p)
		h = h[min(i+1, len(h)):]
	}
	return out
}

// Handler answers the polls, for the scheme or server that serves the page.
// All are POST with the token in X-Daypass-Token:
//
//	attach  takes the stream over; the answer is the attachment's number,
//	        to be sent in X-Daypass-Page with what follows
//	next    waits for a view message; 204 when there was none for 20 s
//	send    messages of the page, each behind one length byte
//
// 410 says that the stream is over or another page took it over.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Prefix+"attach", s.poll(s.pollAttach))
	mux.HandleFunc("POST "+Prefix+"next", s.poll(s.pollNext))
	mux.HandleFunc("POST "+Prefix+"send", s.poll(s.pollSend))
	return mux
}

func (s *Server) poll(f func(http.ResponseWriter, *http.Request, *Stream)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "application/octet-stream")
		if o := r.Header.Get("Origin"); o != "" && !slices.Contains(s.origins, o) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		st := s.find(r.Header.Get(tokenHeader))
		if st == nil {
			w.WriteHeader(http.StatusGone)
			return
		}
		f(w, r, st)
	}
}

func (s *Server) pollAttach(w http.ResponseWriter, _ *http.Request, st *Stream) {
	box := make(chan []byte)
	taken := make(chan struct{})
	a, ok := st.attach("poll", func(ctx context.Context, msg []byte) error {
		select {
		case box <- msg:
		case <-ctx.Done():
			return ctx.Err()
		}
		<-taken // the poll wrote it or gave up; msg is ours again
		return nil
	})
	if !ok {
		w.WriteHeader(http.StatusGone)
		return
	}
	a.setBox(box, taken)
	_, _ = fmt.Fprintf(w, "%d", a.number) // the page may be gone; the next one attaches anew
}

func (s *Server) pollNext(w http.ResponseWriter, r *http.Request, st *Stream) {
	a := st.attachment(r.Header.Get(attachHeader))
	if a == nil {
		w.WriteHeader(http.StatusGone)
		return
	}
	pause := time.NewTimer(pollPause)
	defer pause.Stop()
	select {
	case msg := <-a.box:
		w.Header().Set("Content-Length", strconv.Itoa(len(msg)))
		_, err := w.Write(msg)
		a.taken <- struct{}{}
		if err != nil {
			st.detach(a) // a frame is lost: the page must attach anew
		}
	case <-pause.C:
		w.WriteHeader(http.StatusNoContent)
	case <-r.Context().Done():
	case <-a.ctx.Done():
		w.WriteHeader(http.StatusGone)
	}
}

func (s *Server) pollSend(w http.ResponseWriter, r *http.Request, st *Stream) {
	a := st.attachment(r.Header.Get(attachHeader))
	if a == nil {
		w.WriteHeader(http.StatusGone)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxSend+1))
	if err != nil || len(body) > maxSend {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for len(body) > 0 {
		n := int(body[0])
		if len(body) < 1+n {
			err = errors.New("a message is cut")
			break
		}
		if err = a.page(body[1 : 1+n]); err != nil {
			break
		}
		body = body[1+n:]
	}
	if err != nil {
		s.log.Warn("view page", "err", err)
		st.detach(a)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Stream is one Remote Control. At most one page is attached at a time; a new
// one takes over.
type Stream struct {
	server *Server
	key    [32]byte
	src    Source
	input  func([]byte) error
	ctx    context.Context
	cancel context.CancelFunc

	inputMu sync.Mutex // one call of input at a time

	mu      sync.Mutex
	current *attachment   // nil while no page is attached
	next    uint64        // number of the last attachment
	running chan struct{} // closed when the current or last pump ended; nil before
	stats   Stats
}

// attachment is one page on a stream.
type attachment struct {
	stream *Stream
	number uint64
	ctx    context.Context
	cancel context.CancelFunc
	acked  chan struct{} // has a value when the window opened

	box   chan []byte // polls only
	taken chan struct{}

	mu   sync.Mutex
	sent []uint32 // seq of frames on their way, oldest first, at most window
}

// attach makes a new attachment, ends the one before and starts to pump. ok is
// false when the stream is over.
func (st *Stream) attach(transport string, write func(context.Context, []byte) error) (a *attachment, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ctx.Err() != nil {
		return nil, false
	}
	replaced := st.current != nil
	if replaced {
		st.current.cancel()
	}
	st.next++
	a = &attachment{stream: st, number: st.next, acked: make(chan struct{}, 1), sent: make([]uint32, 0, window)}
	a.ctx, a.cancel = context.WithCancel(st.ctx)
	before, done := st.running, make(chan struct{})
	st.current, st.running = a, done
	st.stats.Transport = transport
	st.stats.Attached++
	st.stats.Outstanding = 0
	go func() {
		defer close(done)
		defer a.cancel()
		if before != nil {
			<-before // Next has one caller at a time
		}
		if a.ctx.Err() != nil {
			return
		}
		if replaced {
			st.letGo()
		}
		st.src.Invalidate()
		if err := a.pump(write); err != nil && a.ctx.Err() == nil {
			st.server.log.Debug("view stream", "err", err)
		}
	}()
	return a, true
}

func (st *Stream) detach(a *attachment) {
	a.cancel()
	st.mu.Lock()
	was := st.current == a
	if was {
		st.current = nil
		st.stats.Transport, st.stats.Outstanding = "", 0
	}
	st.mu.Unlock()
	if was {
		st.letGo()
	}
}

// letGo tells the other side to release what a page that is gone held down.
func (st *Stream) letGo() {
	st.inputMu.Lock()
	defer st.inputMu.Unlock()
	if st.ctx.Err() != nil {
		return // Close promised that input is not called any more
	}
	if err := st.input([]byte{byte(wire.InputRelease), 0, 0, 0}); err != nil {
		st.server.log.Debug("releasing what a page held", "err", err)
	}
}

func (st *Stream) attachment(number string) *attachment {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if a := st.current; a != nil && a.number == n && a.ctx.Err() == nil && a.box != nil {
		return a
	}
	return nil
}

// Stats returns what the stream did so far.
func (st *Stream) Stats() Stats {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.stats
}

// Close ends the stream and waits until Source and input are not called any
// more. It may be called twice, but not by input or Source.
func (st *Stream) Close() {
	st.server.mu.Lock()
	delete(st.server.streams, st.key)
	st.server.mu.Unlock()
	st.cancel()
	st.mu.Lock()
	running := st.running
	st.current = nil
	st.stats.Transport, st.stats.Outstanding = "", 0
	st.mu.Unlock()
	if running != nil {
		<-running
	}
	st.inputMu.Lock() // a call that began before is over, and none begins: see page
	defer st.inputMu.Unlock()
}

func (a *attachment) setBox(box chan []byte, taken chan struct{}) {
	a.stream.mu.Lock()
	defer a.stream.mu.Unlock()
	a.box, a.taken = box, taken
}

// pump asks the source for the newest only while the page has fewer than
// window frames to paint, so that nothing stale ever waits.
func (a *attachment) pump(write func(context.Context, []byte) error) error {
	var buf []byte
	for {
		a.mu.Lock()
		full := len(a.sent) == window
		a.mu.Unlock()
		if full {
			select {
			case <-a.acked:
				continue
			case <-a.ctx.Done():
				return a.ctx.Err()
			}
		}
		msg, err := a.stream.src.Next(a.ctx, buf[:0])
		if err != nil {
			return err
		}
		buf = msg
		frame := len(msg) >= maxFrame+4 && msg[0] == 1
		if frame {
			a.mu.Lock()
			a.sent = append(a.sent, binary.LittleEndian.Uint32(msg[maxFrame:]))
			a.mu.Unlock()
		}
		a.stream.count(a, func(s *Stats) {
			s.Bytes += uint64(len(msg))
			if frame {
				s.Frames++
				s.Outstanding++
			}
		})
		if err := write(a.ctx, msg); err != nil {
			return err
		}
	}
}

func (st *Stream) count(a *attachment, f func(*Stats)) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.current == a {
		f(&st.stats)
	}
}

// page acts on one message of the page. An error means that it is not our page
// or has a defect; it must attach anew.
func (a *attachment) page(b []byte) error {
	if len(b) == 0 {
		return errors.New("an empty message")
	}
	st := a.stream
	switch b[0] {
	case 1:
		if len(b) != 9 {
			return fmt.Errorf("acknowledgement of %d bytes", len(b))
		}
		seq, micros := binary.LittleEndian.Uint32(b[1:]), binary.LittleEndian.Uint32(b[5:])
		a.mu.Lock()
		ok := len(a.sent) > 0 && a.sent[0] == seq
		if ok {
			a.sent = a.sent[:copy(a.sent, a.sent[1:])]
		}
		a.mu.Unlock()
		if !ok {
			return fmt.Errorf("acknowledgement of frame %d out of turn", seq)
		}
		select {
		case a.acked <- struct{}{}:
		default:
		}
		st.count(a, func(s *Stats) {
			s.Painted++
			s.Outstanding--
			s.Paint = time.Duration(micros) * time.Microsecond
			if s.PaintMean == 0 {
				s.PaintMean = s.Paint
			}
			s.PaintMean += (s.Paint - s.PaintMean) / 16
		})
		return nil
	case 2:
		if _, err := wire.ParseInput(b[1:]); err != nil {
			return err
		}
		st.inputMu.Lock()
		defer st.inputMu.Unlock()
		if a.ctx.Err() != nil {
			return nil // taken over or closed: a late message of an old page
		}
		err := st.input(b[1:])
		st.count(a, func(s *Stats) {
			s.Inputs++
			if err != nil {
				s.Refused++
			}
		})
		return nil
	case 3:
		if len(b) != 1 {
			return fmt.Errorf("refresh of %d bytes", len(b))
		}
		st.src.Invalidate()
		return nil
	}
	return fmt.Errorf("message of kind %d", b[0])
}
