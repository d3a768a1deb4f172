package consent

import (
	"image"
	"image/color"
	"strings"
	"unicode"
	"unsafe"
)

// ctl is one control of the system's on a page. What it looks like is ours
// where draw is set; its role, state and name stay the system's, so that
// screen readers and keyboards find what they know.
type ctl struct {
	h      hwnd
	a      func() *look
	draw   func(c *ctl, p *paper)
	msg    proc       // before everything else; may be nil
	ground color.RGBA // behind it
	ink    color.RGBA // of texts that the system draws
	size   float64    // of those
	bold   bool
	r      image.Rectangle // in its page, not moved by scrolling
	at     image.Rectangle // in its window, now
	hot    bool

	num   int    // its number in its window
	id    string // of the block or button
	kind  BlockKind
	btn   *Button
	label string // what is drawn of it, with its mnemonic
	b     Block
}

// make creates c as a control of class.
func (c *ctl) make(class, text string, style uint32, parent hwnd, id int) *ctl {
	var f proc
	if c.draw != nil || c.msg != nil {
		f = c.proc
	}
	c.num = id
	c.h = newWindow(class, text, style|wsChild|wsVisible|wsClipSiblings, 0, parent, id, f)
	return c
}

// move places c in its window. What it showed where it was is not taken along:
// it may have been drawn in other colours.
func (c *ctl) move(r image.Rectangle) {
	if c.at != r {
		c.at = r
		call(procSetWindowPos, uintptr(c.h), 0, uintptr(r.Min.X), uintptr(r.Min.Y), uintptr(r.Dx()), uintptr(r.Dy()), swpNoZ|swpNoActivate|0x100) // SWP_NOCOPYBITS
	}
}

// old lets the system handle a message of c and then paints c anew.
func (c *ctl) old(m uint32, w, l uintptr) uintptr {
	procs.Lock()
	e := procs.m[c.h]
	procs.Unlock()
	// without this the control would paint its own look for a moment
	call(procDefWindowProc, uintptr(c.h), 0x0b, 0, 0) // WM_SETREDRAW
	r := call(procCallWindowProc, e.old, uintptr(c.h), uintptr(m), w, l)
	call(procDefWindowProc, uintptr(c.h), 0x0b, 1, 0)
	c.h.invalidate()
	return r
}

func (c *ctl) proc(m uint32, w, l uintptr) (uintptr, bool) {
	if c.msg != nil {
		if r, done := c.msg(m, w, l); done {
			return r, true
		}
	}
	if c.draw == nil {
		return 0, false
	}
	switch m {
	case wmPaint:
		painting(c.h, func(dc uintptr) {
			p := c.a().paper(c.h.client(), c.ground)
			c.draw(c, p)
			p.show(dc, image.Point{})
		})
		return 0, true
	case wmEraseBkgnd:
		return 1, true
	case wmMouseMove:
		if !c.hot {
			c.hot = true
			track := struct {
				size, flags uint32
				window      hwnd
				hover       uint32
			}{flags: 2, window: c.h}
			track.size = uint32(unsafe.Sizeof(track))
			call(procTrackMouse, uintptr(unsafe.Pointer(&track)))
			c.h.invalidate()
		}
	case wmMouseLeave:
		c.hot = false
		c.h.invalidate()
	case wmSetFocus, wmKillFocus, bmSetCheck, 0xf3, 0xf4, 0x0a, wmUIState, wmLButtonDown, wmLButtonUp, wmCaptureLost: // BM_SETSTATE, BM_SETSTYLE, WM_ENABLE
		return c.old(m, w, l), true
	case 0x0c: // WM_SETTEXT
		return c.old(m, w, l), true
	}
	return 0, false
}

func (c *ctl) checked() bool { return c.h.send(bmGetCheck, 0, 0) == 1 }

func (c *ctl) check(on bool) {
	if c.checked() != on {
		v := uintptr(0)
		if on {
			v = 1
		}
		c.h.send(bmSetCheck, v, 0)
	}
}

// prefix hides the lines under mnemonics until Alt is pressed, as the system's
// settings say.
func (c *ctl) prefix() uintptr {
	if c.h.send(wmQueryUIState, 0, 0)&2 != 0 {
		return dtHidePrefix
	}
	return 0
}

// ring is the focus ring, inside r.
func (c *ctl) ring(p *paper, r image.Rectangle) {
	if focused() == c.h {
		p.frame(r, 7*p.a.k, max(2, 2*p.a.k), p.a.c.Accent)
	}
}

// drawPush paints a button at the foot and in the bar.
func drawPush(c *ctl, p *paper) {
	a := p.a
	r := p.Bounds()
	in := r
	if c.ground != a.c.Raised || c.btn != nil { // room for the ring outside
		in = r.Inset(a.u(4))
	}
	fill, ink, line := a.c.Raised, a.c.Ink, mix(a.c.Line, a.c.Muted, 0.45)
	switch {
	case c.btn.Danger:
		fill, ink, line = a.c.Danger, a.c.OnDanger, a.c.Danger
	case c.btn.Primary:
		fill, ink, line = a.c.Accent, a.c.OnAccent, a.c.Accent
	}
	if a.contrast {
		line = a.c.Ink
	}
	down := c.h.send(bmGetState, 0, 0)&4 != 0
	if (c.hot || down) && !a.contrast {
		fill = mix(fill, a.c.Ink, 0.1)
		if down {
			fill = mix(fill, a.c.Ink, 0.1)
		}
	}
	p.round(in, 6*a.k, fill)
	p.frame(in, 6*a.k, max(1, a.k), line)
	c.ring(p, r)
	p.write(a.font(15, true), in, c.label, ink, dtSingle|dtVCenter|dtCenter|c.prefix())
}

// drawRow paints a line of a card: a box to tick, a switch, or a row to press.
func drawRow(c *ctl, p *paper) {
	a := p.a
	r := p.Bounds()
	sc := a.k
	if c.hot && !a.contrast && c.kind == BlockPick {
		p.round(r, 6*sc, a.c.PlainWash)
	}
	my := r.Dy() / 2
	text := image.Rect(a.u(10), 0, r.Dx()-a.u(10), r.Dy())
	ink := a.c.Ink
	switch c.kind {
	case BlockCheck:
		k := image.Rect(a.u(10), my-a.u(10), a.u(30), my+a.u(10))
		if c.checked() {
			p.round(k, 4*sc, a.c.Accent)
			kx, ky := float64(k.Min.X), float64(k.Min.Y)
			p.line(kx+5*sc, ky+10*sc, kx+8.7*sc, ky+14*sc, 2*sc, a.c.OnAccent)
			p.line(kx+8*sc, ky+14*sc, kx+15*sc, ky+6*sc, 2*sc, a.c.OnAccent)
		} else {
			p.round(k, 4*sc, a.c.Raised)
			p.frame(k, 4*sc, max(1, sc), mix(a.c.Line, a.c.Muted, 0.6))
		}
		text.Min.X = a.u(42)
	case BlockSwitch:
		k := image.Rect(r.Dx()-a.u(54), my-a.u(11), r.Dx()-a.u(10), my+a.u(11))
		if c.checked() {
			p.round(k, 11*sc, a.c.Accent)
			p.disc(float64(k.Max.X)-11*sc, float64(my), 7*sc, a.c.OnAccent)
		} else {
			p.round(k, 11*sc, a.c.Raised)
			p.frame(k, 11*sc, max(1, sc), mix(a.c.Line, a.c.Muted, 0.8))
			p.disc(float64(k.Min.X)+11*sc, float64(my), 6*sc, mix(a.c.Line, a.c.Muted, 0.9))
		}
		text.Max.X = k.Min.X - a.u(12)
	case BlockPick:
		ink = a.c.Accent
		if a.contrast {
			ink = a.c.Ink
		}
		x, d := float64(r.Dx()-a.u(18)), 4.5*sc
		p.line(x-d/2, float64(my)-d, x+d/2, float64(my)+0.3, 1.6*sc, a.c.Muted)
		p.line(x+d/2, float64(my)-0.3, x-d/2, float64(my)+d, 1.6*sc, a.c.Muted)
		text.Max.X = r.Dx() - a.u(30)
		if c.b.Detail != "" {
			f := a.font(14, false)
			n := min(r.Dx()/2, a.measure(f, c.b.Detail, 0, dtNoPrefix).X)
			p.write(f, image.Rect(text.Max.X-n, 0, text.Max.X, r.Dy()), c.b.Detail, a.c.Muted, dtSingle|dtVCenter|dtNoPrefix|dtEllipsis)
			text.Max.X -= n + a.u(12)
		}
	case BlockDetails:
		x, y, d := float64(a.u(8)), float64(my), 4*sc
		if c.b.On {
			p.line(x-d, y-d/2, x+0.3, y+d/2, 1.6*sc, a.c.Muted)
			p.line(x-0.3, y+d/2, x+d, y-d/2, 1.6*sc, a.c.Muted)
		} else {
			p.line(x-d/2, y-d, x+d/2, y+0.3, 1.6*sc, a.c.Muted)
			p.line(x+d/2, y-0.3, x-d/2, y+d, 1.6*sc, a.c.Muted)
		}
		p.write(a.font(14, false), image.Rect(a.u(20), 0, r.Dx(), r.Dy()), c.label, a.c.Muted, dtSingle|dtVCenter|c.prefix())
		c.ring(p, r)
		return
	}
	h := a.measure(a.font(15, false), c.label, text.Dx(), 0).Y
	text.Min.Y = max(0, (r.Dy()-h)/2)
	p.write(a.font(15, false), text, c.label, ink, dtWrap|dtEdit|c.prefix())
	c.ring(p, r)
}

// drawProgress paints how far something is; phase moves what has no end.
func drawProgress(phase *int) func(c *ctl, p *paper) {
	return func(c *ctl, p *paper) {
		a := p.a
		r := p.Bounds()
		p.round(r, 3*a.k, a.c.Line)
		if a.contrast {
			p.round(r, 3*a.k, a.c.Paper)
			p.frame(r, 3*a.k, 1, a.c.Ink)
		}
		if c.b.Fraction >= 0 {
			r.Max.X = max(a.u(6), int(float64(r.Dx())*c.b.Fraction))
		} else {
			part := r.Dx() / 4
			x := *phase * a.u(8) % (2 * (r.Dx() - part))
			if x > r.Dx()-part {
				x = 2*(r.Dx()-part) - x
			}
			r.Min.X, r.Max.X = x, x+part
		}
		p.round(r, 3*a.k, a.c.Accent)
	}
}

// mnemonics gives each text a letter that Alt presses it with, the first of a
// word where it is free, and no letter twice. The result is as the system
// wants it: "&" before the letter, "&&" for the sign itself.
func mnemonics(texts []string) []string {
	used := map[rune]bool{}
	out := make([]string, len(texts))
	for i, s := range texts {
		r := []rune(s)
		at := -1
		for pass := 0; pass < 2 && at < 0; pass++ {
			for j, c := range r {
				start := j == 0 || unicode.IsSpace(r[j-1])
				if l := unicode.ToLower(c); (start || pass == 1) && l >= 'a' && l <= 'z' && !used[l] {
					at = j
					used[l] = true
					break
				}
			}
		}
		var b strings.Builder
		for j, c := range r {
			if j == at {
				b.WriteByte('&')
			}
			if c == '&' {
				b.WriteByte('&')
			}
			b.WriteRune(c)
		}
		out[i] = b.String()
	}
	return out
}
