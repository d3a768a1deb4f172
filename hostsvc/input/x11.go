//go:build linux || freebsd || openbsd || netbsd

package input

import (
	"errors"
	"image"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"daypass/backend/fault"
	"daypass/backend/wire"
	"daypass/hostsvc/xserver"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

const (
	evdevOffset = 8                // X keycode of evdev code 0
	mainBlock   = 97               // keycodes up to here belong to the letters' block of a keyboard
	spareRest   = time.Second      // a spare keycode is not given another character sooner: programs read the map late
	spareKeep   = 10 * time.Second // then spare keycodes are given back
	maxClicks   = 60               // wheel clicks of one message
)

// Default returns the injector of the X server of $DISPLAY.
func Default(log *slog.Logger) (Injector, error) {
	return openX11(os.Getenv("DISPLAY"), log)
}

func openX11(display string, log *slog.Logger) (*player, error) {
	if display == "" {
		if os.Getenv("WAYLAND_DISPLAY") != "" {
			return nil, fault.New(fault.Unsupported, "input.open", "This desktop runs Wayland, which does not let Daypass use the mouse and keyboard.", "Ask the customer to sign in again with an X11 session (the gear on the sign-in screen).")
		}
		return nil, fault.New(fault.Unsupported, "input.open", "There is no desktop here that could take input.", "Start Daypass inside the customer's desktop session.")
	}
	c, err := xserver.Dial(display)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unsupported, "input.open", "The customer's desktop cannot be reached.", "Start Daypass inside the customer's desktop session.")
	}
	if err := xtest.Init(c); err != nil {
		c.Close()
		return nil, fault.Wrap(err, fault.Unsupported, "input.open", "The customer's desktop does not allow remote mouse and keyboard.", "Enable the X server's XTEST extension, or go on by watching only.")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := &x11{conn: c, log: log, root: xproto.Setup(c).DefaultScreen(c).Root, spares: map[xproto.Keycode]*spare{}, done: make(chan struct{})}
	d.stale.Store(true)
	go d.listen()
	p := newPlayer(d)
	d.restore = time.AfterFunc(time.Hour, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.closed {
			d.giveBack()
		}
	})
	d.restore.Stop()
	return p, nil
}

// x11 plays input by XTEST. The player's mutex guards it.
type x11 struct {
	conn *xgb.Conn
	log  *slog.Logger
	root xproto.Window
	done chan struct{} // closed when listen ended

	stale   atomic.Bool // the layout changed since it was read
	gone    atomic.Bool // the connection ended
	layout  layout
	spares  map[xproto.Keycode]*spare
	restore *time.Timer

	wheelX, wheelY int

	put        image.Point // where the pointer was put last
	wasPut     bool
	seen       image.Point // where Blocked saw it last
	seenBefore bool
	misses     int
}

// spare is a keycode without a meaning that was lent to one or two characters,
// the second with Shift.
type spare struct {
	syms [2]xproto.Keysym
	used time.Time
}

func (d *x11) listen() {
	defer close(d.done)
	for {
		ev, err := d.conn.WaitForEvent()
		if ev == nil && err == nil {
			d.gone.Store(true)
			return
		}
		if err != nil {
			d.log.Debug("x server refused input", "err", err)
			continue
		}
		if _, ok := ev.(xproto.MappingNotifyEvent); ok {
			d.stale.Store(true)
		}
	}
}

func (d *x11) fake(kind, detail byte, x, y int) error {
	if d.gone.Load() {
		return lost(errors.New("the X connection ended"))
	}
	xtest.FakeInput(d.conn, kind, detail, 0, d.root, int16(x), int16(y), 0)
	return nil
}

func (d *x11) move(p image.Point) error {
	if p.X < 0 || p.Y < 0 || p.X > 32767 || p.Y > 32767 {
		return fault.New(fault.Invalid, "input.move", "This place is outside the customer's desktop.", "Choose the display again.")
	}
	d.put, d.wasPut = p, true
	return d.fake(xproto.MotionNotify, 0, p.X, p.Y)
}

// X numbers of wire's buttons: left, middle, right, back, forward.
var xButton = [...]byte{1, 2, 3, 8, 9}

func (d *x11) button(b uint8, down bool) error {
	kind := byte(xproto.ButtonRelease)
	if down {
		kind = xproto.ButtonPress
	}
	return d.fake(kind, xButton[b], 0, 0)
}

// wheel collects parts of notches; X knows whole clicks of buttons 4 to 7.
func (d *x11) wheel(dx, dy int16) error {
	if err := d.clicks(&d.wheelY, int(dy), 4, 5); err != nil {
		return err
	}
	return d.clicks(&d.wheelX, int(dx), 6, 7)
}

func (d *x11) clicks(sum *int, delta int, back, forth byte) error {
	if delta == 0 {
		return nil
	}
	if *sum != 0 && (*sum < 0) != (delta < 0) {
		*sum = 0 // turned round: what was left over belonged to the other way
	}
	*sum += delta
	n, b := *sum/wire.WheelNotch, forth
	*sum %= wire.WheelNotch
	if n < 0 {
		n, b = -n, back
	}
	for range min(n, maxClicks) {
		if err := d.fake(xproto.ButtonPress, b, 0, 0); err != nil {
			return err
		}
		if err := d.fake(xproto.ButtonRelease, b, 0, 0); err != nil {
			return err
		}
	}
	return nil
}

func (d *x11) key(usage uint16, down, repeat bool) error {
	k, ok := wire.KeyOf(usage)
	if !ok {
		return unknownKey(usage)
	}
	if repeat {
		return nil // the X server repeats a key that is held
	}
	return d.code(xproto.Keycode(k.Evdev+evdevOffset), down)
}

func (d *x11) code(c xproto.Keycode, down bool) error {
	kind := byte(xproto.KeyRelease)
	if down {
		kind = xproto.KeyPress
	}
	return d.fake(kind, byte(c), 0, 0)
}

func (d *x11) tap(c xproto.Keycode) error {
	if err := d.code(c, true); err != nil {
		return err
	}
	return d.code(c, false)
}

// layout is the host's keyboard as it is now.
type layout struct {
	min    xproto.Keycode
	per    int
	syms   []xproto.Keysym
	level3 xproto.Keycode // 0: none
	shift  xproto.Keycode
	caps   xproto.Keycode
	free   []xproto.Keycode // without a meaning
	chars  [4]map[xproto.Keysym]stroke
}

// stroke is a key with the modifiers that give a level.
type stroke struct {
	code  xproto.Keycode
	level uint8 // bit 0: Shift, bit 1: third-level Shift
}

// levels are the columns of a core keyboard map that hold the four levels of a
// group (X Keyboard Extension protocol, section 17.1.3).
var levels = [2][4]int{{0, 1, 4, 5}, {2, 3, 6, 7}}

func (d *x11) readLayout() error {
	d.stale.Store(false) // before reading: a change meanwhile is read next time
	setup := xproto.Setup(d.conn)
	n := int(setup.MaxKeycode) - int(setup.MinKeycode) + 1
	r, err := xproto.GetKeyboardMapping(d.conn, setup.MinKeycode, byte(n)).Reply()
	if err != nil || r.KeysymsPerKeycode == 0 || len(r.Keysyms) < n*int(r.KeysymsPerKeycode) {
		d.stale.Store(true)
		return lost(errors.Join(err, errors.New("no keyboard map")))
	}
	l := layout{min: setup.MinKeycode, per: int(r.KeysymsPerKeycode), syms: r.Keysyms}
	for g := range levels {
		l.chars[g] = map[xproto.Keysym]stroke{}
	}
	for i := range n {
		code := l.min + xproto.Keycode(i)
		row := l.syms[i*l.per : (i+1)*l.per]
		if s, lent := d.spares[code]; lent {
			if row[0] == s.syms[0] {
				continue
			}
			delete(d.spares, code) // the customer changed the layout: it is theirs again
		}
		if !slices.ContainsFunc(row, func(s xproto.Keysym) bool { return s != 0 }) {
			l.free = append(l.free, code)
			continue
		}
		switch {
		case row[0] == symLevel3Shift && (l.level3 == 0 || code < l.level3):
			l.level3 = code
		case row[0] == symCapsLock && l.caps == 0:
			l.caps = code
		case row[0] == 0xffe1 && l.shift == 0:
			l.shift = code
		}
		for g, columns := range levels {
			for level, column := range columns {
				if column >= l.per || row[column] == 0 {
					continue
				}
				s := row[column]
				if ch := runeOf(s); ch != 0 {
					s = symOf(ch) // one name a character
				} else if s>>8 != 0xfe {
					continue // neither a character nor a dead key
				}
				new := stroke{code, uint8(level)}
				if old, ok := l.chars[g][s]; !ok || better(new, old) {
					l.chars[g][s] = new
				}
			}
		}
	}
	// The highest keycodes are the least likely to mean anything to a program.
	slices.Reverse(l.free)
	d.layout = l
	return nil
}

// better prefers the letters' block, then fewer modifiers, then the lower key.
func better(a, b stroke) bool {
	if (a.code > mainBlock) != (b.code > mainBlock) {
		return a.code <= mainBlock
	}
	if a.level != b.level {
		return a.level < b.level
	}
	return a.code < b.code
}

func (l *layout) find(group int, s xproto.Keysym) (stroke, bool) {
	if group >= len(levels) {
		return stroke{}, false
	}
	k, ok := l.chars[group][s]
	if ok && (k.level&2 != 0 && l.level3 == 0 || k.level&1 != 0 && l.shift == 0) {
		return stroke{}, false
	}
	return k, ok
}

// strokes says how to write r: by a key, by a dead key and a letter, or by a
// spare keycode that is lent to it.
func (d *x11) strokes(dst []stroke, group int, r rune) ([]stroke, error) {
	if k, ok := d.layout.find(group, symOf(r)); ok {
		return append(dst, k), nil
	}
	if p, ok := composed[r]; ok {
		if a, ok := d.layout.find(group, p.sym); ok {
			if b, ok := d.layout.find(group, symOf(p.base)); ok {
				return append(dst, a, b), nil
			}
		}
	}
	k, err := d.lend(symOf(r))
	return append(dst, k), err
}

// lend gives a keycode without a meaning to a keysym. Programs read the new
// map when they come to its notice, so a keycode keeps its meanings for a while
// after they were used; a second one beside the first disturbs nobody.
func (d *x11) lend(s xproto.Keysym) (stroke, error) {
	now := time.Now()
	var code, half, oldest xproto.Keycode
	for c, sp := range d.spares {
		for level, sym := range sp.syms {
			if sym == s {
				sp.used = now
				return stroke{c, uint8(level)}, nil
			}
		}
		if sp.syms[1] == 0 && d.layout.shift != 0 {
			half = c
		}
		if oldest == 0 || sp.used.Before(d.spares[oldest].used) {
			oldest = c
		}
	}
	lent := &spare{syms: [2]xproto.Keysym{s}, used: now}
	level := uint8(0)
	switch {
	case len(d.layout.free) > 0:
		code = d.layout.free[0]
		d.layout.free = d.layout.free[1:]
	case half != 0:
		code, level = half, 1
		lent.syms = [2]xproto.Keysym{d.spares[half].syms[0], s}
	case oldest != 0:
		code = oldest
		if wait := spareRest - now.Sub(d.spares[code].used); wait > 0 {
			time.Sleep(wait)
			lent.used = time.Now()
		}
	default:
		return stroke{}, fault.New(fault.Unsupported, "input.text", "This character cannot be typed on the customer's keyboard layout.", "Send it through the clipboard.")
	}
	shifted := lent.syms[1]
	if shifted == 0 {
		shifted = s // one character needs no Shift and minds none
	}
	if err := xproto.ChangeKeyboardMappingChecked(d.conn, 1, code, 2, []xproto.Keysym{lent.syms[0], shifted}).Check(); err != nil {
		return stroke{}, lost(err)
	}
	d.spares[code] = lent
	d.restore.Reset(spareKeep)
	return stroke{code, level}, nil
}

// giveBack takes all lent keycodes' meanings away again.
func (d *x11) giveBack() {
	for code := range d.spares {
		xproto.ChangeKeyboardMapping(d.conn, 1, code, 2, []xproto.Keysym{0, 0})
	}
	clear(d.spares)
}

func (d *x11) text(s string, chord bool, held []uint16) error {
	if d.gone.Load() {
		return lost(errors.New("the X connection ended"))
	}
	if d.stale.Load() {
		if err := d.readLayout(); err != nil {
			return err
		}
	}
	state, err := xproto.QueryPointer(d.conn, d.root).Reply()
	if err != nil {
		return lost(err)
	}
	group := int(state.Mask >> 13 & 3)
	if chord {
		return d.chord(s, group, held)
	}
	for _, u := range held {
		if err := d.key(u, false, false); err != nil {
			return err
		}
	}
	caps := state.Mask&xproto.ModMaskLock != 0 && d.layout.caps != 0 && strings.ToUpper(s) != strings.ToLower(s)
	if caps {
		if err := d.tap(d.layout.caps); err != nil {
			return err
		}
	}
	level := uint8(0)
	var buf [2]stroke
	var failed error
	for _, r := range s {
		ks, err := d.strokes(buf[:0], group, r)
		if err != nil {
			failed = err // the rest is typed all the same
			continue
		}
		for _, k := range ks {
			if err := d.setLevel(&level, k.level); err != nil {
				return err
			}
			if err := d.tap(k.code); err != nil {
				return err
			}
		}
	}
	if err := d.setLevel(&level, 0); err != nil {
		return err
	}
	if caps {
		if err := d.tap(d.layout.caps); err != nil {
			return err
		}
	}
	for _, u := range held {
		if err := d.key(u, true, false); err != nil {
			return err
		}
	}
	return failed
}

func (d *x11) setLevel(now *uint8, want uint8) error {
	change := *now ^ want
	*now = want
	if change&1 != 0 {
		if err := d.code(d.layout.shift, want&1 != 0); err != nil {
			return err
		}
	}
	if change&2 != 0 {
		return d.code(d.layout.level3, want&2 != 0)
	}
	return nil
}

// chord presses the key of a character together with the modifiers held.
func (d *x11) chord(s string, group int, held []uint16) error {
	r := []rune(s)[0]
	k, ok := d.layout.find(group, symOf(r))
	for g := 0; !ok && g < len(levels); g++ {
		k, ok = d.layout.find(g, symOf(r)) // shortcuts of a Cyrillic layout are on its Latin sister
	}
	if !ok {
		var err error
		if k, err = d.lend(symOf(r)); err != nil {
			return err
		}
	}
	if slices.Contains(held, 0xe1) || slices.Contains(held, 0xe5) {
		k.level &^= 1 // Shift is down already
	}
	level := uint8(0)
	if err := d.setLevel(&level, k.level); err != nil {
		return err
	}
	if err := d.tap(k.code); err != nil {
		return err
	}
	return d.setLevel(&level, 0)
}

// blocked compares where the pointer was put with where it is. A customer who
// moves the mouse meanwhile moves it; a desktop that takes nothing leaves it
// where it was seen before.
func (d *x11) blocked() error {
	if d.gone.Load() {
		return lost(errors.New("the X connection ended"))
	}
	r, err := xproto.QueryPointer(d.conn, d.root).Reply()
	if err != nil {
		return lost(err)
	}
	now := image.Pt(int(r.RootX), int(r.RootY))
	switch {
	case !d.wasPut || now == d.put || !d.seenBefore || now != d.seen:
		d.misses = 0
	default:
		d.misses++
	}
	d.seen, d.seenBefore = now, true
	d.wasPut = d.wasPut && d.misses > 0
	if d.misses == 0 {
		return nil
	}
	return fault.New(fault.Denied, "input.blocked", "The customer's desktop does not let the mouse be moved from outside at the moment.", "Ask the customer to close what holds the mouse, or to unlock the screen.")
}

func (d *x11) close() error {
	d.restore.Stop()
	if !d.gone.Load() {
		d.giveBack()
		// A round trip: everything is done before the connection ends.
		if _, err := xproto.GetInputFocus(d.conn).Reply(); err != nil {
			d.log.Debug("closing the x connection", "err", err)
		}
	}
	d.conn.Close()
	<-d.done
	return nil
}
