//go:build linux || freebsd || openbsd || netbsd

package clip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"daypass/backend/fault"
	"daypass/hostsvc/xserver"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

const (
	chunk     = 64 << 10        // bytes of one property; larger texts go by INCR (ICCCM 2.7.2)
	patience  = 5 * time.Second // for each step of the other program
	maxServes = 32              // INCR transfers at a time
)

// Default returns the clipboard of the X server of $DISPLAY.
func Default(log *slog.Logger) (Clipboard, error) {
	return openX11(os.Getenv("DISPLAY"), log)
}

// x11 is requestor and owner of the CLIPBOARD selection on one window.
type x11 struct {
	conn *xgb.Conn
	log  *slog.Logger
	win  xproto.Window
	done chan struct{} // closed when the reader of events ended

	clipboard, targets, utf8, text, textPlain, incr, property, timestamp, multiple xproto.Atom

	getting sync.Mutex // one Get at a time

	mu     sync.Mutex
	closed bool
	// own is the text we own, owns whether we do; since is when that began.
	own   string
	owns  bool
	since xproto.Timestamp
	// get is who waits for events of the conversion; nil when nobody does.
	get    chan any
	stamp  chan xproto.Timestamp
	serves map[serveKey]*serve
}

// serve is a large text on its way to a requestor.
type serveKey struct {
	win  xproto.Window
	prop xproto.Atom
}

type serve struct {
	rest   string
	target xproto.Atom
	ended  bool // the empty property that ends it was written
	began  time.Time
}

func openX11(display string, log *slog.Logger) (*x11, error) {
	unavailable := func(err error) error {
		return fault.Wrap(err, fault.Unsupported, "clipboard.open", "The customer's clipboard cannot be reached.", "Go on without it.")
	}
	if display == "" {
		return nil, unavailable(errors.New("no DISPLAY"))
	}
	c, err := xserver.Dial(display)
	if err != nil {
		return nil, unavailable(err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	x := &x11{conn: c, log: log, done: make(chan struct{}), serves: map[serveKey]*serve{}, stamp: make(chan xproto.Timestamp, 1)}
	if err := x.setUp(); err != nil {
		c.Close()
		return nil, unavailable(err)
	}
	go x.listen()
	return x, nil
}

func (x *x11) setUp() error {
	for _, a := range []struct {
		to   *xproto.Atom
		name string
	}{
		{&x.clipboard, "CLIPBOARD"},
		{&x.targets, "TARGETS"},
		{&x.utf8, "UTF8_STRING"},
		{&x.text, "TEXT"},
		{&x.textPlain, "text/plain;charset=utf-8"},
		{&x.incr, "INCR"},
		{&x.property, "DAYPASS_CLIPBOARD"},
		{&x.timestamp, "TIMESTAMP"},
		{&x.multiple, "MULTIPLE"},
	} {
		r, err := xproto.InternAtom(x.conn, false, uint16(len(a.name)), a.name).Reply()
		if err != nil {
			return err
		}
		*a.to = r.Atom
	}
	id, err := xproto.NewWindowId(x.conn)
	if err != nil {
		return err
	}
	x.win = id
	s := xproto.Setup(x.conn).DefaultScreen(x.conn)
	return xproto.CreateWindowChecked(x.conn, 0, x.win, s.Root, -10, -10, 1, 1, 0, xproto.WindowClassInputOnly, s.RootVisual,
		xproto.CwEventMask, []uint32{xproto.EventMaskPropertyChange}).Check()
}

// listen reads events and never waits for one itself, so that a requestor or
// an owner that hangs stops nothing else.
func (x *x11) listen() {
	defer close(x.done)
	for {
		ev, err := x.conn.WaitForEvent()
		switch {
		case ev == nil && err == nil:
			return
		case err != nil:
			x.log.Debug("x clipboard", "err", err) // a requestor whose window is gone
			continue
		}
		x.mu.Lock()
		switch e := ev.(type) {
		case xproto.SelectionNotifyEvent:
			if e.Selection == x.clipboard {
				x.tell(e)
			}
		case xproto.PropertyNotifyEvent:
			x.changed(e)
		case xproto.SelectionClearEvent:
			if e.Selection == x.clipboard {
				x.own, x.owns = "", false
			}
		case xproto.SelectionRequestEvent:
			x.request(e)
		}
		x.mu.Unlock()
	}
}

func (x *x11) tell(ev any) {
	if x.get != nil {
		select {
		case x.get <- ev:
		default: // it gave up
		}
	}
}

func (x *x11) changed(e xproto.PropertyNotifyEvent) {
	if e.Window == x.win {
		if e.State != xproto.PropertyNewValue {
			return
		}
		switch e.Atom {
		case x.property:
			x.tell(e)
		case x.timestamp:
			select {
			case x.stamp <- e.Time:
			default:
			}
		}
		return
	}
	k := serveKey{e.Window, e.Atom}
	if s := x.serves[k]; s != nil && e.State == xproto.PropertyDelete {
		x.serveMore(k, s)
	}
}

// serveMore writes the next part of a large text; the empty one ends it.
func (x *x11) serveMore(k serveKey, s *serve) {
	if s.ended {
		delete(x.serves, k)
		x.watch(k.win, false)
		return
	}
	part := s.rest[:min(len(s.rest), chunk)]
	s.rest, s.ended = s.rest[len(part):], part == ""
	xproto.ChangeProperty(x.conn, xproto.PropModeReplace, k.win, k.prop, s.target, 8, uint32(len(part)), []byte(part))
	s.began = time.Now()
}

func (x *x11) watch(win xproto.Window, on bool) {
	for k := range x.serves {
		if k.win == win && !on {
			return // another transfer to it goes on
		}
	}
	mask := uint32(0)
	if on {
		mask = xproto.EventMaskPropertyChange
	}
	xproto.ChangeWindowAttributes(x.conn, win, xproto.CwEventMask, []uint32{mask})
}

// request answers a program that pastes.
func (x *x11) request(e xproto.SelectionRequestEvent) {
	prop := e.Property
	if prop == 0 {
		prop = e.Target // clients of before ICCCM 2
	}
	ok := x.owns && e.Selection == x.clipboard && (e.Time == 0 || int32(e.Time-x.since) >= 0)
	if ok {
		switch e.Target {
		case x.targets:
			list := []xproto.Atom{x.targets, x.timestamp, x.utf8, x.textPlain, x.text, xproto.AtomString}
			b := make([]byte, 4*len(list))
			for i, a := range list {
				xgb.Put32(b[4*i:], uint32(a))
			}
			xproto.ChangeProperty(x.conn, xproto.PropModeReplace, e.Requestor, prop, xproto.AtomAtom, 32, uint32(len(list)), b)
		case x.timestamp:
			b := make([]byte, 4)
			xgb.Put32(b, uint32(x.since))
			xproto.ChangeProperty(x.conn, xproto.PropModeReplace, e.Requestor, prop, xproto.AtomInteger, 32, 1, b)
		case x.utf8, x.textPlain:
			ok = x.give(e.Requestor, prop, e.Target, x.own)
		case x.text:
			ok = x.give(e.Requestor, prop, x.utf8, x.own)
		case xproto.AtomString:
			ok = x.give(e.Requestor, prop, xproto.AtomString, latin1(x.own))
		default:
			ok = false
		}
	}
	if !ok {
		prop = 0
	}
	n := xproto.SelectionNotifyEvent{Time: e.Time, Requestor: e.Requestor, Selection: e.Selection, Target: e.Target, Property: prop}
	xproto.SendEvent(x.conn, false, e.Requestor, 0, string(n.Bytes()))
}

// give puts text into the requestor's property, or begins to.
func (x *x11) give(win xproto.Window, prop, target xproto.Atom, text string) bool {
	if len(text) <= chunk {
		xproto.ChangeProperty(x.conn, xproto.PropModeReplace, win, prop, target, 8, uint32(len(text)), []byte(text))
		return true
	}
	for k, s := range x.serves {
		if time.Since(s.began) > patience {
			delete(x.serves, k)
		}
	}
	if len(x.serves) >= maxServes {
		return false
	}
	x.watch(win, true)
	x.serves[serveKey{win, prop}] = &serve{rest: text, target: target, began: time.Now()}
	b := make([]byte, 4)
	xgb.Put32(b, uint32(len(text)))
	xproto.ChangeProperty(x.conn, xproto.PropModeReplace, win, prop, x.incr, 32, 1, b)
	return true
}

// latin1 is what STRING holds: characters it lacks become question marks.
func latin1(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > 0xff {
			r = '?'
		}
		b.WriteByte(byte(r))
	}
	return b.String()
}

func fromLatin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

func (x *x11) Get(ctx context.Context) (string, error) {
	x.getting.Lock()
	defer x.getting.Unlock()
	x.mu.Lock()
	switch {
	case x.closed:
		x.mu.Unlock()
		return "", errClosed
	case x.owns:
		own := x.own
		x.mu.Unlock()
		return clean(own)
	}
	// Room for every event of the conversion's step, so that none is dropped.
	events := make(chan any, 64)
	x.get = events
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		x.get = nil
		x.mu.Unlock()
	}()
	owner, err := xproto.GetSelectionOwner(x.conn, x.clipboard).Reply()
	if err != nil {
		return "", silent(err)
	}
	if owner.Owner == 0 {
		return "", errEmpty
	}
	for _, target := range []xproto.Atom{x.utf8, xproto.AtomString} {
		b, ok, err := x.convert(ctx, target, events)
		switch {
		case err != nil:
			return "", err
		case ok && target == xproto.AtomString:
			return clean(fromLatin1(b))
		case ok:
			return clean(string(b))
		}
	}
	return "", errEmpty
}

// convert asks the owner for the selection as target; ok is false when it does
// not have it as such.
func (x *x11) convert(ctx context.Context, target xproto.Atom, events <-chan any) (b []byte, ok bool, err error) {
	xproto.DeleteProperty(x.conn, x.win, x.property)
	xproto.ConvertSelection(x.conn, x.win, x.clipboard, target, x.property, xproto.TimeCurrentTime)
	for {
		ev, err := x.wait(ctx, events)
		if err != nil {
			return nil, false, err
		}
		n, is := ev.(xproto.SelectionNotifyEvent)
		if !is || n.Target != target {
			continue
		}
		if n.Property == 0 {
			return nil, false, nil
		}
		break
	}
	b, kind, err := x.read()
	if err != nil || kind != x.incr {
		return b, err == nil && (kind == target || kind == x.utf8 || kind == xproto.AtomString), err
	}
	// Reading deleted the property, which told the owner to begin.
	b = nil
	for {
		ev, err := x.wait(ctx, events)
		if err != nil {
			return nil, false, err
		}
		if _, is := ev.(xproto.PropertyNotifyEvent); !is {
			continue
		}
		part, kind, err := x.read()
		if err != nil {
			return nil, false, err
		}
		if kind == 0 || kind == x.incr {
			continue // the notice of what was read before
		}
		if len(part) == 0 {
			return b, true, nil
		}
		if b = append(b, part...); len(b) > MaxText {
			return nil, false, errLarge
		}
	}
}

func (x *x11) wait(ctx context.Context, events <-chan any) (any, error) {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case ev := <-events:
		return ev, nil
	case <-t.C:
		return nil, silent(fmt.Errorf("nothing for %v", patience))
	case <-x.done:
		return nil, silent(errors.New("the X connection ended"))
	case <-ctx.Done():
		return nil, fault.Of(ctx.Err())
	}
}

// read takes our property and deletes it. kind is 0 when it is not there.
func (x *x11) read() (b []byte, kind xproto.Atom, err error) {
	r, err := xproto.GetProperty(x.conn, true, x.win, x.property, xproto.GetPropertyTypeAny, 0, (MaxText+4)/4).Reply()
	if err != nil {
		return nil, 0, silent(err)
	}
	if r.BytesAfter > 0 {
		xproto.DeleteProperty(x.conn, x.win, x.property)
		return nil, 0, errLarge
	}
	return r.Value, r.Type, nil
}

func (x *x11) Set(ctx context.Context, text string) error {
	if len(text) > MaxText {
		return errTooMuch
	}
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "�")
	x.getting.Lock()
	defer x.getting.Unlock()
	x.mu.Lock()
	if x.closed {
		x.mu.Unlock()
		return errClosed
	}
	select {
	case <-x.stamp:
	default:
	}
	x.mu.Unlock()
	// The server's time, as ICCCM wants it: from a property that changes.
	xproto.ChangeProperty(x.conn, xproto.PropModeReplace, x.win, x.timestamp, xproto.AtomInteger, 32, 0, nil)
	var now xproto.Timestamp
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case now = <-x.stamp:
	case <-t.C:
		return silent(errors.New("no time from the X server"))
	case <-x.done:
		return silent(errors.New("the X connection ended"))
	case <-ctx.Done():
		return fault.Of(ctx.Err())
	}
	x.mu.Lock()
	// Before the server knows: requests come only after it does.
	x.own, x.owns, x.since = text, true, now
	x.mu.Unlock()
	xproto.SetSelectionOwner(x.conn, x.win, x.clipboard, now)
	r, err := xproto.GetSelectionOwner(x.conn, x.clipboard).Reply()
	if err == nil && r.Owner == x.win {
		return nil
	}
	x.mu.Lock()
	x.own, x.owns = "", false
	x.mu.Unlock()
	return fault.Wrap(err, fault.Conflict, "clipboard.set", "Another program took the customer's clipboard.", "Try again.")
}

func (x *x11) Close() error {
	x.mu.Lock()
	if x.closed {
		x.mu.Unlock()
		return nil
	}
	x.closed = true
	x.own, x.owns = "", false
	x.mu.Unlock()
	x.conn.Close()
	<-x.done
	return nil
}
