package consent

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"daypass/hostsvc/xserver"

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

// dialX connects to display (empty: $DISPLAY).
func dialX(display string) (*xconn, error) {
	nc, screen, err := xserver.Raw(display)
	if err != nil {
		return nil, fmt.Errorf("consent: %w", err)
	}
	w := &wire{Conn: nc, r: bufio.NewReaderSize(nc, 64<<10), events: make(chan []byte, 1024)}
	c, err := xserver.Over(w, screen)
	if err != nil {
		return nil, fmt.Errorf("consent: %w", err)
	}
	x := &xconn{Conn: c, setup: xproto.Setup(c), wire: w, names: map[uint16]string{}}
	x.root = *x.setup.DefaultScreen(c)
	if err := x.initXI(); err != nil {
		c.Close()
		return nil, err
	}
	return x, nil
}

// wire is the connection as xgb sees it: generic events (type 35, longer than
// 32 bytes) go to events instead.
type wire struct {
	net.Conn
	r       *bufio.Reader
	ready   bool   // set-up was read
	pending []byte // read, not yet taken by xgb
	events  chan []byte
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

// pump hands the core events on, one at a time, until the connection is lost or
// ended; then the channel is closed. end closes the connection and waits.
func (x *xconn) pump(log *slog.Logger) (events <-chan xgb.Event, end func()) {
	core, stop := make(chan xgb.Event), make(chan struct{})
	var g sync.WaitGroup
	g.Go(func() {
		defer close(core)
		for {
			ev, err := x.WaitForEvent()
			if ev == nil && err == nil {
				return
			}
			if ev == nil {
				log.Debug("consent: X error", "err", err)
				continue
			}
			select {
			case core <- ev:
			case <-stop:
			}
		}
	})
	return core, func() {
		close(stop)
		x.Close()
		g.Wait()
	}
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
