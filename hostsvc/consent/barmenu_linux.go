package consent

import (
	"image"

	"github.com/jezek/xgb/xproto"

	"daypass/backend/grant"
)

// row is one line of the menu.
type row struct {
	id    string
	right grant.Rights // 0: shows the window
	on    bool
	r     image.Rectangle
}

// drawMenu paints the rows under the bar.
func (b *bar) drawMenu(s *strip, c canvas, rows []row, f *faces, colors *palette, w int) {
	u := func(v float64) int { return int(v*f.scale + 0.5) }
	what := f.get(14, false)
	for i := range rows {
		r := &rows[i]
		r.r = image.Rect(u(8), u(barHeight)+u(3)+i*u(barRow), w-u(8), u(barHeight)+u(3)+(i+1)*u(barRow))
		if s.hover == r.id {
			c.round(r.r, 6*f.scale, colors.PlainWash)
		}
		mid := (r.r.Min.Y + r.r.Max.Y) / 2
		if r.right != 0 {
			at := image.Pt(u(16), mid-u(10))
			track, knob := colors.Line, at.X+u(10)
			if r.on {
				track, knob = colors.Accent, at.X+u(26)
			}
			c.round(image.Rect(at.X, at.Y, at.X+u(36), at.Y+u(20)), 10*f.scale, track)
			c.disc(float64(knob), float64(mid), 7*f.scale, colors.Raised)
		}
		c.text(what, u(62), mid-what.height/2, what.fit(r.id, w-u(74)), colors.Ink)
		if s.at == i {
			c.frame(r.r, 6*f.scale, 2*f.scale, colors.Ink)
		}
	}
}

// again draws what has changed.
func (b *bar) again() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// menu is what the bar unfolds to: a switch for each right, and the window.
func (b *bar) menu(text Bar) []row {
	var out []row
	for _, w := range text.Switches {
		if w.Right != 0 {
			out = append(out, row{id: w.Text, right: w.Right, on: w.On})
		}
	}
	if b.open != nil {
		out = append(out, row{id: text.Open})
	}
	return out
}

// unfold opens the menu, which takes the keyboard, or closes it and gives the
// keyboard back.
func (b *bar) unfold(s *strip, on bool) {
	if s.menu == on {
		return
	}
	s.menu, s.at = on, 0
	if on {
		if f, err := xproto.GetInputFocus(b.x.Conn).Reply(); err == nil {
			s.before = f.Focus
		}
		xproto.SetInputFocus(b.x.Conn, xproto.InputFocusPointerRoot, s.win, xproto.TimeCurrentTime)
	} else if s.before != 0 {
		xproto.SetInputFocus(b.x.Conn, xproto.InputFocusPointerRoot, s.before, xproto.TimeCurrentTime)
	}
	b.again()
}

// choose does what a row of the menu says.
func (b *bar) choose(s *strip, r row) {
	if r.right != 0 {
		b.p.set(r.right, !r.on)
		return
	}
	s.menu, s.before = false, 0 // the window takes the keyboard
	b.open()
	b.again()
}

// Keysyms of the menu (keysymdef.h).
const (
	symTab, symBackTab, symReturn, symEnter, symEscape, symUp, symDown, symSpace = 0xff09, 0xfe20, 0xff0d, 0xff8d, 0xff1b, 0xff52, 0xff54, 0x20
)

// key acts on a key while the menu has the keyboard.
func (b *bar) key(s *strip, e xevent) {
	i := (int(e.Detail) - int(b.x.setup.MinKeycode)) * int(b.keys.KeysymsPerKeycode)
	if !s.menu || i < 0 || i >= len(b.keys.Keysyms) {
		return
	}
	n := len(s.rows) + 1 // and the button
	sym := b.keys.Keysyms[i]
	switch {
	case sym == symUp, sym == symBackTab, sym == symTab && e.Mods&1 != 0:
		s.at = (s.at + n - 1) % n
	case sym == symDown, sym == symTab:
		s.at = (s.at + 1) % n
	case sym == symEscape:
		b.unfold(s, false)
	case sym != symSpace && sym != symReturn && sym != symEnter:
		return
	case s.at == n-1:
		b.press(s)
	case s.at < len(s.rows):
		b.choose(s, s.rows[s.at])
	}
	b.again()
}

// press is Stop, or Resume.
func (b *bar) press(s *strip) {
	id := "stop"
	if s.text.Action == Resume {
		id = "resume"
	}
	b.p.press(id, input{})
}
