// Package input plays the technician's pointer and keyboard on the customer's
// desktop: keys by their place, characters whatever the layout, pointer and
// wheel in pixels of the display that is shown. It keeps the table of what it
// holds down and lets go of everything when told. It must not know who sends
// input nor whether they may; its caller is the gate.
package input

import (
	"errors"
	"fmt"
	"image"
	"sync"

	"daypass/backend/fault"
	"daypass/backend/wire"
)

// Injector plays input. Methods may be called from any goroutine and act in
// the order they are called.
type Injector interface {
	// Apply plays one message. display is where the display that the message's
	// coordinates belong to lies on the desktop, in pixels; coordinates beyond
	// it are moved to its edge. An error is a *fault.Error; what the message
	// held down is then in the table all the same and is released later.
	Apply(msg wire.Input, display image.Rectangle) error
	// ReleaseAll lets go of every key and button that Apply holds down. It
	// goes on after an error and returns the first.
	ReleaseAll() error
	// Blocked returns why the system does not let input through at the moment,
	// in words for the technician, or nil. Ask about once a second.
	Blocked() error
	// Close releases all, undoes what was changed on the desktop and ends.
	// It may be called twice.
	Close() error
}

// device is what a system offers. One goroutine at a time calls it.
type device interface {
	move(p image.Point) error
	button(b uint8, down bool) error
	wheel(dx, dy int16) error
	// key presses or releases the key of a usage; repeat: it is down already.
	key(usage uint16, down, repeat bool) error
	// text types s; held are the modifiers' usages that are down and shall be
	// again afterwards. chord: the one character of s is a shortcut's key, to
	// be pressed together with them.
	text(s string, chord bool, held []uint16) error
	blocked() error
	close() error
}

var errClosed = fault.New(fault.Cancelled, "input.apply", "Remote input has ended.", "")

// player is the part of an Injector that all systems share.
type player struct {
	mu      sync.Mutex
	dev     device
	closed  bool
	keys    [256]bool // down by usage
	buttons uint8     // down by wire's numbers
	at      image.Point
	moved   bool // at is where the pointer was put last
}

func newPlayer(dev device) *player { return &player{dev: dev} }

func (p *player) Apply(msg wire.Input, display image.Rectangle) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	switch msg.Kind {
	case wire.InputMove, wire.InputButton, wire.InputWheel:
		if display.Empty() {
			return fault.New(fault.Conflict, "input.apply", "There is no display to point at.", "Choose a display.")
		}
		return p.pointer(&msg, display)
	case wire.InputKey:
		return p.key(&msg)
	case wire.InputText:
		return p.dev.text(string(msg.Text()), msg.Flags&wire.FlagChord != 0, p.heldModifiers())
	case wire.InputRelease:
		return p.releaseAll()
	}
	return fault.New(fault.Invalid, "input.apply", "This kind of input is not known.", "Update both programs, then connect again.")
}

func (p *player) pointer(msg *wire.Input, display image.Rectangle) error {
	to := image.Pt(min(display.Min.X+int(msg.X), display.Max.X-1), min(display.Min.Y+int(msg.Y), display.Max.Y-1))
	// A move that says nothing new still is one: the customer may have moved
	// the pointer meanwhile.
	if err := p.dev.move(to); err != nil {
		return err
	}
	p.at, p.moved = to, true
	switch msg.Kind {
	case wire.InputMove:
		// A release that was lost with a page or a link; never a press.
		for b := range uint8(8) {
			if p.buttons>>b&1 == 1 && msg.Buttons>>b&1 == 0 {
				if err := p.press(b, false); err != nil {
					return err
				}
			}
		}
	case wire.InputButton:
		return p.press(msg.Button, msg.Down)
	case wire.InputWheel:
		return p.dev.wheel(msg.DX, msg.DY)
	}
	return nil
}

func (p *player) press(b uint8, down bool) error {
	if p.buttons>>b&1 == 1 == down {
		return nil
	}
	p.buttons ^= 1 << b
	return p.dev.button(b, down)
}

func (p *player) key(msg *wire.Input) error {
	u := msg.Usage
	if err := p.syncModifiers(u, msg.Mods); err != nil {
		return err
	}
	was := p.keys[u]
	if !was && !msg.Down {
		return nil
	}
	p.keys[u] = msg.Down
	if was && msg.Down {
		if wire.ModOf(u) != 0 {
			return nil
		}
		return p.dev.key(u, true, true)
	}
	return p.dev.key(u, msg.Down, false)
}

// Modifier keys that syncModifiers presses, by modifier.
var leftOf = [...]struct {
	mod   uint8
	usage uint16
}{{wire.ModShift, 0xe1}, {wire.ModControl, 0xe0}, {wire.ModAlt, 0xe2}, {wire.ModMeta, 0xe3}}

// syncModifiers makes the modifiers other than the message's own key what the
// technician's system says they are: one that was let go or pressed while the
// page did not see it must not turn the next key into a shortcut. The right
// Alt key is left out, since its meaning depends on both layouts.
func (p *player) syncModifiers(own uint16, mods uint8) error {
	for _, m := range leftOf {
		if wire.ModOf(own)&m.mod != 0 {
			continue
		}
		right := m.usage + 4
		if m.mod == wire.ModAlt {
			right = 0
		}
		switch want := mods&m.mod != 0; {
		case !want:
			for _, u := range [...]uint16{m.usage, right} {
				if u != 0 && p.keys[u] {
					p.keys[u] = false
					if err := p.dev.key(u, false, false); err != nil {
						return err
					}
				}
			}
		case !p.keys[m.usage] && !p.keys[m.usage+4]:
			p.keys[m.usage] = true
			if err := p.dev.key(m.usage, true, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *player) heldModifiers() []uint16 {
	var held []uint16
	for u := uint16(0xe0); u <= 0xe7; u++ {
		if p.keys[u] {
			held = append(held, u)
		}
	}
	return held
}

func (p *player) releaseAll() error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	// Other keys before modifiers, so that nothing turns into another key.
	for u := range p.keys {
		if p.keys[u] {
			p.keys[u] = false
			keep(p.dev.key(uint16(u), false, false))
		}
	}
	for b := range uint8(8) {
		if p.buttons>>b&1 == 1 {
			keep(p.press(b, false))
		}
	}
	return first
}

func (p *player) ReleaseAll() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	return p.releaseAll()
}

func (p *player) Blocked() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	return p.dev.blocked()
}

func (p *player) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	err := p.releaseAll()
	p.closed = true
	return errors.Join(err, p.dev.close())
}

func lost(err error) error {
	return fault.Wrap(err, fault.Offline, "input.apply", "The customer's desktop does not take input any more.", "Close Remote Control and open it again.")
}

func unknownKey(usage uint16) error {
	return fault.Wrap(fmt.Errorf("usage %#x", usage), fault.Unsupported, "input.key", "The customer's computer does not have this key.", "")
}
