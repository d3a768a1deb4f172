//go:build linux || freebsd || openbsd || netbsd

package screen

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"daypass/hostsvc/xserver"
)

// xconn is a connection to an X server with the few requests capture needs
// (X11 protocol, release 7). It is not xgb for two reasons: a general binding
// passes each request and reply through four goroutines, which is most of the
// time a small grab takes; and its tables of event types are shared between all
// connections of the process and written while others read them.
//
// Requests may come from any goroutine. Events are given to handler by the
// reading goroutine, which must not wait for a reply.
type xconn struct {
	c       net.Conn
	r       *bufio.Reader
	handler func(ev []byte) // 32 bytes, valid during the call; nil ends
	stopped chan struct{}   // closed when the reading goroutine ended
	root    uint32
	depth   byte
	width   int
	height  int
	plain   bool // 32 bits a pixel, low byte first
	idBase  uint32
	idMask  uint32

	mu sync.Mutex
	// mu guards all following
	lastID  uint32
	buf     []byte // the open batch
	seq     uint16
	pending []*xcall
	dead    error // why nothing can be asked any more
}

// xcall is a request that is waited for.
type xcall struct {
	seq   uint16
	void  bool // has no reply; done when a later request has one
	done  chan struct{}
	reply []byte
	err   error
}

// xerror is an error of the X server.
type xerror struct{ code, major byte }

func (e xerror) Error() string {
	return fmt.Sprintf("X error %d for request %d", e.code, e.major)
}

var errXClosed = errors.New("the X connection is closed")

// dialX connects. handler gets all events from the first on.
func dialX(display string, handler func(ev []byte)) (*xconn, error) {
	c, screen, err := xserver.Raw(display)
	if err != nil {
		return nil, err
	}
	x := &xconn{c: c, r: bufio.NewReaderSize(c, 32<<10), handler: handler, stopped: make(chan struct{})}
	if err := x.setup(screen); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	go x.read()
	return x, nil
}

func pad4(n int) int { return (n + 3) &^ 3 }

// setup does the handshake; xserver.Raw puts the request in the place of ours.
func (x *xconn) setup(screen int) error {
	if _, err := x.c.Write(make([]byte, 12)); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(x.r, head[:]); err != nil {
		return err
	}
	d := make([]byte, int(binary.LittleEndian.Uint16(head[6:]))*4)
	if _, err := io.ReadFull(x.r, d); err != nil {
		return err
	}
	if head[0] != 1 {
		reason := d[:min(len(d), int(head[1]))]
		return fmt.Errorf("the X server refused: %s", strings.TrimSpace(string(reason)))
	}
	bad := errors.New("the X server's greeting cannot be understood")
	if len(d) < 32 {
		return bad
	}
	le := binary.LittleEndian
	x.idBase, x.idMask = le.Uint32(d[4:]), le.Uint32(d[8:])
	roots, formats, order := int(d[20]), int(d[21]), d[22]
	vendor := pad4(int(le.Uint16(d[16:])))
	if len(d) < 32+vendor+formats*8 {
		return bad
	}
	f := d[32+vendor:]
	s := f[formats*8:]
	f = f[:formats*8]
	for i := range roots {
		if len(s) < 40 {
			return bad
		}
		if i == screen {
			x.root, x.depth = le.Uint32(s), s[38]
			x.width, x.height = int(le.Uint16(s[20:])), int(le.Uint16(s[22:]))
			for ; len(f) > 0; f = f[8:] {
				if f[0] == x.depth {
					x.plain = f[1] == 32 && x.depth >= 24 && order == 0
				}
			}
			return nil
		}
		depths := int(s[39])
		for s = s[40:]; depths > 0; depths-- {
			if len(s) < 8 {
				return bad
			}
			n := 8 + 24*int(le.Uint16(s[2:]))
			if len(s) < n {
				return bad
			}
			s = s[n:]
		}
	}
	return bad
}

// read is the reading goroutine.
func (x *xconn) read() {
	defer close(x.stopped)
	err := x.readAll()
	x.mu.Lock()
	if x.dead == nil {
		x.dead = err
	}
	pending := x.pending
	x.pending = nil
	x.mu.Unlock()
	for _, c := range pending {
		c.err = errXClosed
		close(c.done)
	}
	_ = x.c.Close()
	x.handler(nil)
}

func (x *xconn) readAll() error {
	var b [32]byte
	for {
		if _, err := io.ReadFull(x.r, b[:]); err != nil {
			return err
		}
		switch b[0] {
		case 0, 1:
			seq := binary.LittleEndian.Uint16(b[2:])
			var reply []byte
			if b[0] == 1 {
				n := binary.LittleEndian.Uint32(b[4:])
				if n > 1<<22 {
					return errors.New("an X reply of unlikely size")
				}
				reply = make([]byte, 32+4*int(n))
				copy(reply, b[:])
				if _, err := io.ReadFull(x.r, reply[32:]); err != nil {
					return err
				}
			}
			x.answer(seq, reply, xerror{b[1], b[10]})
		case 35: // a generic event; none was asked for
			if _, err := io.CopyN(io.Discard, x.r, 4*int64(binary.LittleEndian.Uint32(b[4:]))); err != nil {
				return err
			}
		default:
			x.handler(b[:])
		}
	}
}

// answer completes the call with that number and all void ones before it.
func (x *xconn) answer(seq uint16, reply []byte, e xerror) {
	x.mu.Lock()
	at := -1
	for i, c := range x.pending {
		if c.seq == seq {
			at = i
			break
		}
	}
	if at < 0 {
		// An error of a request nobody waits for: a capture that is being
		// closed, or a display that is.
		x.mu.Unlock()
		return
	}
	calls := append([]*xcall(nil), x.pending[:at+1]...)
	x.pending = append(x.pending[:0], x.pending[at+1:]...)
	x.mu.Unlock()
	for i, c := range calls {
		if i == at {
			c.reply = reply
			if reply == nil {
				c.err = e
			}
		}
		close(c.done)
	}
}

// put adds a request to the open batch; its length field is filled in. A call
// is returned when it is waited for. mu is held.
func (x *xconn) put(req []byte, waited, void bool) *xcall {
	start := len(x.buf)
	x.buf = append(x.buf, req...)
	x.buf = append(x.buf, make([]byte, pad4(len(req))-len(req))...)
	binary.LittleEndian.PutUint16(x.buf[start+2:], uint16((len(x.buf)-start)/4))
	x.seq++
	if !waited {
		return nil
	}
	c := &xcall{seq: x.seq, void: void, done: make(chan struct{})}
	x.pending = append(x.pending, c)
	return c
}

// flush writes the batch. mu is held.
func (x *xconn) flush() error {
	if x.dead != nil {
		x.buf = x.buf[:0]
		for _, c := range x.pending {
			c.err = errXClosed
			close(c.done)
		}
		x.pending = nil
		return x.dead
	}
	_, err := x.c.Write(x.buf)
	x.buf = x.buf[:0]
	if err != nil {
		_ = x.c.Close() // the reading goroutine ends all calls
	}
	return err
}

func (c *xcall) wait() ([]byte, error) {
	<-c.done
	return c.reply, c.err
}

// ask sends a request and waits for its reply of at least 32 bytes.
func (x *xconn) ask(req []byte) ([]byte, error) {
	x.mu.Lock()
	c := x.put(req, true, false)
	err := x.flush()
	x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return c.wait()
}

// do sends a request without a reply and waits until the server did it.
func (x *xconn) do(req []byte) error {
	x.mu.Lock()
	c := x.put(req, true, true)
	f := x.put([]byte{43, 0, 0, 0}, true, false) // GetInputFocus, for its reply
	err := x.flush()
	x.mu.Unlock()
	if err != nil {
		return err
	}
	if _, err := f.wait(); err != nil {
		return err
	}
	_, err = c.wait()
	return err
}

// newID returns a fresh resource identifier.
func (x *xconn) newID() uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lastID += x.idMask & -x.idMask
	return x.idBase | x.lastID&x.idMask
}

// close ends the connection and waits for the reading goroutine. It may be
// called twice, but not by handler.
func (x *xconn) close() {
	x.mu.Lock()
	if x.dead == nil {
		x.dead = errXClosed
	}
	x.mu.Unlock()
	_ = x.c.Close()
	<-x.stopped
}

// words makes a request: opcode, second byte, then 32-bit words.
func words(op, minor byte, w ...uint32) []byte {
	b := make([]byte, 4, 4+4*len(w))
	b[0], b[1] = op, minor
	for _, v := range w {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// extension is what QueryExtension says.
type extension struct {
	ok    bool
	major byte
	event byte
}

func (x *xconn) extension(name string) extension {
	req := append(words(98, 0, uint32(len(name))), name...)
	r, err := x.ask(req)
	if err != nil || r[8] == 0 {
		return extension{}
	}
	return extension{ok: true, major: r[9], event: r[10]}
}

// version asks an extension's version, offering major and minor.
func (x *xconn) version(e extension, major, minor uint32) (uint32, uint32, error) {
	r, err := x.ask(words(e.major, 0, major, minor))
	if err != nil {
		return 0, 0, err
	}
	return binary.LittleEndian.Uint32(r[8:]), binary.LittleEndian.Uint32(r[12:]), nil
}

func (x *xconn) atomName(a uint32) string {
	r, err := x.ask(words(17, 0, a))
	if err != nil {
		return ""
	}
	n := int(binary.LittleEndian.Uint16(r[8:]))
	return string(r[32:min(len(r), 32+n)])
}

// monitor is one entry of RandR's GetMonitors.
type monitor struct {
	name       uint32
	primary    bool
	x, y, w, h int
}

func (x *xconn) monitors(e extension) ([]monitor, error) {
	r, err := x.ask(words(e.major, 42, x.root, 1))
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	n := int(le.Uint32(r[12:]))
	var list []monitor
	for b := r[32:]; n > 0 && len(b) >= 24; n-- {
		list = append(list, monitor{
			name: le.Uint32(b), primary: b[4] != 0,
			x: int(int16(le.Uint16(b[8:]))), y: int(int16(le.Uint16(b[10:]))), w: int(le.Uint16(b[12:])), h: int(le.Uint16(b[14:])),
		})
		b = b[min(len(b), 24+4*int(le.Uint16(b[6:]))):]
	}
	return list, nil
}

// size asks the root window's size now.
func (x *xconn) size() (w, h int, err error) {
	r, err := x.ask(words(14, 0, x.root))
	if err != nil {
		return 0, 0, err
	}
	return int(binary.LittleEndian.Uint16(r[16:])), int(binary.LittleEndian.Uint16(r[18:])), nil
}
