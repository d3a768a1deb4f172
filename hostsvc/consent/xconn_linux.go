package consent

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// XInput 2 numbers (XI2proto.h).
const (
	xiSelectEvents  = 46
	xiQueryVersion  = 47
	xiQueryDevice   = 48
	xiKeyPress      = 2
	xiKeyRelease    = 3
	xiButtonPress   = 4
	xiButtonRelease = 5
	xiMotion        = 6
	xiAllMasters    = 1
)

// xevent is one XInput 2 device event (xXIDeviceEvent).
type xevent struct {
	Type         uint16
	Detail       uint32 // button or keycode
	Window       xproto.Window
	RootX, RootY int
	X, Y         int
	Source       uint16
	Mods         uint32
	Group        byte
	origin       origin
}

// xconn is a connection to the X server that understands XInput 2. xgb reads
// every event as 32 bytes, while those of XInput 2 are longer: wire takes them
// out of the stream before xgb sees them.
type xconn struct {
	*xgb.Conn
	setup *xproto.SetupInfo
	root  xproto.ScreenInfo
	xi    byte // major opcode
	wire  *wire

	mu    sync.Mutex
	names map[uint16]string // devices by ID
}

// quietXGB keeps xgb from writing to the customer's terminal: it reports what
// is no error here (a server without access control) on standard error.
var quietXGB = sync.OnceFunc(func() { xgb.Logger = log.New(io.Discard, "", 0) })

// dialX connects to display (empty: $DISPLAY).
func dialX(display string) (*xconn, error) {
	if display == "" {
		display = os.Getenv("DISPLAY")
	}
	host, number, err := splitDisplay(display)
	if err != nil {
		return nil, err
	}
	var (
		nc  net.Conn
		dn  net.Dialer
		ctx = context.Background()
	)
	if host == "" {
		nc, err = dn.DialContext(ctx, "unix", "/tmp/.X11-unix/X"+number)
	} else {
		n, _ := strconv.Atoi(number) // checked by splitDisplay
		nc, err = dn.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(6000+n)))
	}
	if err != nil {
		return nil, fmt.Errorf("consent: X display %s: %w", display, err)
	}
	w := &wire{Conn: nc, r: bufio.NewReaderSize(nc, 64<<10), cookie: authority(number), events: make(chan []byte, 1024)}
	quietXGB()
	c, err := xgb.NewConnNet(w)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("consent: X display %s: %w", display, err)
	}
	x := &xconn{Conn: c, setup: xproto.Setup(c), wire: w, names: map[uint16]string{}}
	x.root = x.setup.Roots[0]
	if err := x.initXI(); err != nil {
		c.Close()
		return nil, err
	}
	return x, nil
}

func splitDisplay(d string) (host, number string, err error) {
	i := strings.LastIndexByte(d, ':')
	if i < 0 {
		return "", "", fmt.Errorf("consent: %q is no X display", d)
	}
	host, number = d[:i], d[i+1:]
	number, _, _ = strings.Cut(number, ".")
	if n, err := strconv.Atoi(number); err != nil || n < 0 || n > 59535 {
		return "", "", fmt.Errorf("consent: %q is no X display", d)
	}
	if host == "unix" || strings.HasPrefix(host, "/") {
		host = ""
	}
	return host, number, nil
}

// authority finds the MIT-MAGIC-COOKIE-1 of display number, or nil.
func authority(number string) []byte {
	name := os.Getenv("XAUTHORITY")
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil
		}
		name = filepath.Join(home, ".Xauthority")
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil // servers without access control need none
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return findCookie(b, host, number)
}

// findCookie looks through an Xauthority file (Xau(3): family u16, then
// address, number, name and data, each with a u16 length, all big endian).
func findCookie(b []byte, host, number string) []byte {
	field := func() ([]byte, bool) {
		if len(b) < 2 {
			return nil, false
		}
		n := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+n {
			return nil, false
		}
		f := b[2 : 2+n]
		b = b[2+n:]
		return f, true
	}
	var second []byte
	for len(b) >= 2 {
		family := binary.BigEndian.Uint16(b)
		b = b[2:]
		var f [4][]byte
		for i := range f {
			var ok bool
			if f[i], ok = field(); !ok {
				return second
			}
		}
		if string(f[2]) != "MIT-MAGIC-COOKIE-1" || (len(f[1]) > 0 && string(f[1]) != number) {
			continue
		}
		if family == 65535 || (family == 256 && string(f[0]) == host) {
			return f[3]
		}
		if second == nil {
			second = f[3]
		}
	}
	return second
}

// wire is the connection as xgb sees it: the set-up carries our cookie, and
// generic events (type 35, longer than 32 bytes) go to events instead.
type wire struct {
	net.Conn
	r       *bufio.Reader
	cookie  []byte
	wrote   bool
	ready   bool   // set-up was read
	pending []byte // read, not yet taken by xgb
	events  chan []byte
}

// Write passes b on; the first one is xgb's set-up request, which is replaced.
func (w *wire) Write(b []byte) (int, error) {
	if w.wrote {
		return w.Conn.Write(b)
	}
	w.wrote = true
	const scheme = "MIT-MAGIC-COOKIE-1"
	name := ""
	if len(w.cookie) > 0 {
		name = scheme
	}
	pad := func(n int) int { return (n + 3) &^ 3 }
	s := make([]byte, 12+pad(len(name))+pad(len(w.cookie)))
	s[0] = 'l'
	binary.LittleEndian.PutUint16(s[2:], 11)
	binary.LittleEndian.PutUint16(s[6:], uint16(len(name)))
	binary.LittleEndian.PutUint16(s[8:], uint16(len(w.cookie)))
	copy(s[12:], name)
	copy(s[12+pad(len(name)):], w.cookie)
	if _, err := w.Conn.Write(s); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Read gives xgb everything but generic events.
func (w *wire) Read(b []byte) (int, error) {
	for len(w.pending) == 0 {
		if err := w.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, w.pending)
	w.pending = w.pending[n:]
	return n, nil
}

func (w *wire) next() error {
	if !w.ready {
		head := make([]byte, 8)
		if _, err := io.ReadFull(w.r, head); err != nil {
			return err
		}
		w.pending = make([]byte, 8+4*int(binary.LittleEndian.Uint16(head[6:])))
		copy(w.pending, head)
		w.ready = true
		_, err := io.ReadFull(w.r, w.pending[8:])
		return err
	}
	head := make([]byte, 32)
	if _, err := io.ReadFull(w.r, head); err != nil {
		return err
	}
	generic := head[0]&127 == 35
	if head[0] == 1 || generic {
		n := int(binary.LittleEndian.Uint32(head[4:]))
		if n > 16<<20 {
			return errors.New("consent: X reply too long")
		}
		head = append(head, make([]byte, 4*n)...)
		if _, err := io.ReadFull(w.r, head[32:]); err != nil {
			return err
		}
	}
	if generic {
		select {
		case w.events <- head:
		default: // a thousand unread: nobody is there to act on them
		}
		return nil
	}
	w.pending = head
	return nil
}

// initXI finds XInput and says that we speak 2.0.
func (x *xconn) initXI() error {
	const name = "XInputExtension"
	q, err := xproto.QueryExtension(x.Conn, uint16(len(name)), name).Reply()
	if err != nil {
		return fmt.Errorf("consent: XInput: %w", err)
	}
	if !q.Present {
		return errors.New("consent: the X server has no XInput 2")
	}
	x.xi = q.MajorOpcode
	b := make([]byte, 8)
	b[0], b[1] = x.xi, xiQueryVersion
	binary.LittleEndian.PutUint16(b[2:], 2)
	binary.LittleEndian.PutUint16(b[4:], 2)
	ck := x.NewCookie(true, true)
	x.NewRequest(b, ck)
	if _, err := ck.Reply(); err != nil {
		return fmt.Errorf("consent: XInput 2: %w", err)
	}
	return x.queryDevices()
}

// queryDevices learns the names of all devices.
func (x *xconn) queryDevices() error {
	b := make([]byte, 8)
	b[0], b[1] = x.xi, xiQueryDevice
	binary.LittleEndian.PutUint16(b[2:], 2)
	ck := x.NewCookie(true, true)
	x.NewRequest(b, ck)
	r, err := ck.Reply()
	if err != nil {
		return fmt.Errorf("consent: XInput devices: %w", err)
	}
	names := decodeDevices(r)
	x.mu.Lock()
	x.names = names
	x.mu.Unlock()
	return nil
}

// decodeDevices reads the reply to XIQueryDevice. What is cut short is left out.
func decodeDevices(r []byte) map[uint16]string {
	names := map[uint16]string{}
	if len(r) < 32 {
		return names
	}
	n := int(binary.LittleEndian.Uint16(r[8:]))
	b := r[32:]
	for range n {
		if len(b) < 12 {
			break
		}
		id, classes := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[6:]))
		size := int(binary.LittleEndian.Uint16(b[8:]))
		padded := (size + 3) &^ 3
		if len(b) < 12+padded {
			break
		}
		names[id] = string(b[12 : 12+size])
		b = b[12+padded:]
		for range classes {
			if len(b) < 4 {
				return names
			}
			size := 4 * int(binary.LittleEndian.Uint16(b[2:]))
			if size < 4 || len(b) < size {
				return names
			}
			b = b[size:]
		}
	}
	return names
}

// originOf tells where an event of device source came from.
func (x *xconn) originOf(source uint16) origin {
	x.mu.Lock()
	name, ok := x.names[source]
	x.mu.Unlock()
	if !ok { // plugged in since
		if err := x.queryDevices(); err == nil {
			x.mu.Lock()
			name, ok = x.names[source]
			x.mu.Unlock()
		}
	}
	return origin{known: ok, name: name}
}

// selectInput asks for pointer, and keys too when wanted, on win.
func (x *xconn) selectInput(win xproto.Window, keys bool) error {
	mask := uint32(1<<xiButtonPress | 1<<xiButtonRelease | 1<<xiMotion)
	if keys {
		mask |= 1 << xiKeyPress
	}
	b := make([]byte, 20)
	b[0], b[1] = x.xi, xiSelectEvents
	binary.LittleEndian.PutUint16(b[2:], 5)
	binary.LittleEndian.PutUint32(b[4:], uint32(win))
	binary.LittleEndian.PutUint16(b[8:], 1)
	binary.LittleEndian.PutUint16(b[12:], xiAllMasters)
	binary.LittleEndian.PutUint16(b[14:], 1)
	binary.LittleEndian.PutUint32(b[16:], mask)
	ck := x.NewCookie(true, false)
	x.NewRequest(b, ck)
	if err := ck.Check(); err != nil {
		return fmt.Errorf("consent: XInput events: %w", err)
	}
	return nil
}

// decodeXI reads one generic event; ok is false for those of others.
func (x *xconn) decodeXI(b []byte) (e xevent, ok bool) {
	if e, ok = decodeDevice(b, x.xi); ok && e.Type != xiMotion {
		e.origin = x.originOf(e.Source)
	}
	return e, ok
}

func decodeDevice(b []byte, opcode byte) (e xevent, ok bool) {
	if len(b) < 80 || b[1] != opcode {
		return e, false
	}
	le := binary.LittleEndian
	fixed := func(i int) int { return int(int32(le.Uint32(b[i:])) >> 16) }
	e = xevent{
		Type: le.Uint16(b[8:]), Detail: le.Uint32(b[16:]), Window: xproto.Window(le.Uint32(b[24:])),
		RootX: fixed(32), RootY: fixed(36), X: fixed(40), Y: fixed(44),
		Source: le.Uint16(b[52:]), Mods: le.Uint32(b[72:]), Group: b[79],
	}
	return e, e.Type >= xiKeyPress && e.Type <= xiMotion
}

// atom interns name.
func (x *xconn) atom(name string) xproto.Atom {
	r, err := xproto.InternAtom(x.Conn, false, uint16(len(name)), name).Reply()
	if err != nil {
		return xproto.AtomNone
	}
	return r.Atom
}

// scale is how many pixels one layout unit has: Xft.dpi / 96 or $GDK_SCALE,
// whichever is more, at least 1.
func (x *xconn) scale() float64 {
	least := 1.0
	if s, err := strconv.Atoi(os.Getenv("GDK_SCALE")); err == nil && s >= 1 && s <= 4 {
		least = float64(s)
	}
	r, err := xproto.GetProperty(x.Conn, false, x.root.Root, xproto.AtomResourceManager, xproto.AtomString, 0, 16<<10).Reply()
	if err != nil {
		return least
	}
	for _, l := range strings.Split(string(r.Value), "\n") {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "Xft.dpi" {
			if dpi, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil && dpi > 96 && dpi <= 480 {
				return max(least, dpi/96)
			}
		}
	}
	return least
}
