package consent

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// x11View is the window drawn by ourselves, where GTK is missing. It is for
// the keyboard and the mouse; screen readers need GTK.
type x11View struct {
	p    *presenter
	bar  *bar
	log  *slog.Logger
	x    *xconn
	kick chan struct{}
	lift chan struct{}
	quit chan struct{}
	done chan struct{}

	// run's goroutine alone
	win      xproto.Window
	gc       xproto.Gcontext
	f        *faces
	colors   *palette
	page     Page
	controls []control
	focus    string
	hover    string
	pressed  string
	link     string
	code     string
	size     image.Point
	view     image.Rectangle // part of the window where the body is seen
	bodyH    int
	offset   int // of the body in view
	picture  canvas
	folded   bool
	phase    int // of progress without an end
	keys     *xproto.GetKeyboardMappingReply
	atoms    struct{ protocols, del, clipboard, utf8, paste xproto.Atom }
}

// control is something on the page that can be pressed or typed in.
type control struct {
	id   string
	kind BlockKind
	btn  bool
	r    image.Rectangle // in the window
	body bool            // moves with offset
	b    Block
}

// openX11 opens the window on $DISPLAY.
func openX11(p *presenter, log *slog.Logger) (*x11View, error) {
	x, err := dialX("")
	if err != nil {
		return nil, err
	}
	v := &x11View{
		p: p, log: log, x: x, kick: make(chan struct{}, 1), lift: make(chan struct{}, 1), quit: make(chan struct{}),
		done: make(chan struct{}), colors: &light, folded: true,
	}
	if wantsDark() {
		v.colors = &dark
	}
	if v.f, err = newFonts(x.scale()); err == nil {
		err = v.create()
	}
	if err != nil {
		x.Close()
		return nil, err
	}
	go v.run()
	v.wake()
	return v, nil
}

func (v *x11View) create() error {
	var err error
	if v.win, err = xproto.NewWindowId(v.x.Conn); err != nil {
		return fmt.Errorf("consent: window: %w", err)
	}
	if v.gc, err = xproto.NewGcontextId(v.x.Conn); err != nil {
		return fmt.Errorf("consent: window: %w", err)
	}
	v.size = image.Pt(v.u(winWidth), v.u(420))
	at := image.Pt((int(v.x.root.WidthInPixels)-v.size.X)/2, max(0, (int(v.x.root.HeightInPixels)-v.size.Y)/3))
	err = xproto.CreateWindowChecked(v.x.Conn, v.x.root.RootDepth, v.win, v.x.root.Root, int16(at.X), int16(at.Y), uint16(v.size.X), uint16(v.size.Y), 0,
		xproto.WindowClassInputOutput, v.x.root.RootVisual, xproto.CwEventMask,
		[]uint32{xproto.EventMaskExposure | xproto.EventMaskStructureNotify | xproto.EventMaskPropertyChange}).Check()
	if err != nil {
		return fmt.Errorf("consent: window: %w", err)
	}
	xproto.CreateGC(v.x.Conn, v.gc, xproto.Drawable(v.win), 0, nil)
	v.atoms.protocols, v.atoms.del = v.x.atom("WM_PROTOCOLS"), v.x.atom("WM_DELETE_WINDOW")
	v.atoms.clipboard, v.atoms.utf8, v.atoms.paste = v.x.atom("CLIPBOARD"), v.x.atom("UTF8_STRING"), v.x.atom("DAYPASS_PASTE")
	del := make([]byte, 4)
	xgb.Put32(del, uint32(v.atoms.del))
	v.prop(v.atoms.protocols, xproto.AtomAtom, 32, del)
	v.prop(xproto.AtomWmClass, xproto.AtomString, 8, []byte("daypass-host\x00Daypass-host\x00"))
	first, last := v.x.setup.MinKeycode, v.x.setup.MaxKeycode
	if v.keys, err = xproto.GetKeyboardMapping(v.x.Conn, first, byte(last-first+1)).Reply(); err != nil {
		return fmt.Errorf("consent: keyboard: %w", err)
	}
	return v.x.selectInput(v.win, true)
}

func (v *x11View) prop(name, typ xproto.Atom, format byte, data []byte) {
	xproto.ChangeProperty(v.x.Conn, xproto.PropModeReplace, v.win, name, typ, format, uint32(len(data)/(int(format)/8)), data)
}

// Show replaces what is shown.
func (v *x11View) Show(m Model) {
	v.p.show(m)
	if v.bar != nil {
		v.bar.update()
	}
	v.wake()
}

func (v *x11View) wake() {
	select {
	case v.kick <- struct{}{}:
	default:
	}
}

func (v *x11View) present() {
	select {
	case v.lift <- struct{}{}:
	default:
	}
}

// Actions gives what the customer did.
func (v *x11View) Actions() <-chan Action { return v.p.actions }

// Bar tells whether the bar is seen.
func (v *x11View) Bar() BarHealth { return barHealth(v.p, v.bar) }

// Close takes window and bar away.
func (v *x11View) Close() error {
	close(v.quit)
	<-v.done
	if v.bar != nil {
		v.bar.close()
	}
	v.p.close()
	return nil
}

func (v *x11View) run() {
	defer close(v.done)
	core, end := v.x.pump(v.log)
	defer func() {
		end()
	}()
	mapped := false
	tick := time.NewTicker(80 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-v.quit:
			return
		case <-v.kick:
			v.render()
			if !mapped {
				xproto.MapWindow(v.x.Conn, v.win)
				mapped = true
			}
		case <-v.lift:
			xproto.ConfigureWindow(v.x.Conn, v.win, xproto.ConfigWindowStackMode, []uint32{xproto.StackModeAbove})
			v.activate()
		case <-tick.C:
			for _, b := range v.page.Blocks {
				if b.Kind == BlockProgress && b.Fraction < 0 {
					v.phase++
					v.paint()
				}
			}
		case raw := <-v.x.wire.events:
			if e, ok := v.x.decodeXI(raw); ok && e.Window == v.win {
				v.device(e)
			}
		case ev, ok := <-core:
			if !ok {
				v.log.Warn("the connection of the window to the display was lost")
				return
			}
			v.event(ev)
		}
	}
}

// activate asks the window manager for the focus (EWMH _NET_ACTIVE_WINDOW).
func (v *x11View) activate() {
	e := xproto.ClientMessageEvent{Format: 32, Window: v.win, Type: v.x.atom("_NET_ACTIVE_WINDOW"), Data: xproto.ClientMessageDataUnionData32New([]uint32{1, 0, 0, 0, 0})}
	xproto.SendEvent(v.x.Conn, false, v.x.root.Root, xproto.EventMaskSubstructureNotify|xproto.EventMaskSubstructureRedirect, string(e.Bytes()))
}

func (v *x11View) u(n float64) int { return int(n*v.f.scale + 0.5) }

// render takes the presenter's page and draws it.
func (v *x11View) render() {
	p := v.p.page()
	if p.Key != v.page.Key {
		m, _ := v.p.current()
		if (m.Code == CodeWrong || m.Code == CodeNew) && v.p.problem() == "" || m.Screen != EnterCode {
			v.code = ""
		}
		if strings.SplitN(p.Key, "|", 2)[0] != strings.SplitN(v.page.Key, "|", 2)[0] {
			v.focus, v.offset, v.folded = p.Focus, 0, true
		} else if p.Title != v.page.Title {
			v.focus = p.Focus
		}
	}
	v.page = p
	title := []byte(p.Window)
	v.prop(v.x.atom("_NET_WM_NAME"), v.atoms.utf8, 8, title)
	v.prop(xproto.AtomWmName, v.atoms.utf8, 8, title)
	v.paint()
}

// paint lays out and draws everything.
func (v *x11View) paint() {
	c := v.colors
	pad := v.u(28)
	w := v.u(winWidth)
	inner := w - 2*pad
	v.controls = v.controls[:0]
	// the head
	title, lead := v.f.get(22, true), v.f.get(15, false)
	lines := title.wrap(v.page.Title, inner)
	headH := v.u(22) + v.u(24) + v.u(14) + len(lines)*title.height + v.u(6)
	// the body, as tall as it is
	body := newCanvas(w, v.u(4000))
	body.fill(body.Bounds(), c.Paper)
	y := v.u(8)
	var card image.Rectangle
	for i, b := range v.page.Blocks {
		row := b.Kind == BlockCheck || b.Kind == BlockSwitch || b.Kind == BlockPick
		if row && i > 0 && v.page.Blocks[i-1].Kind != b.Kind {
			if card = (image.Rectangle{}); v.page.Blocks[i-1].Kind == BlockSwitch {
				y += v.u(8)
			}
		}
		if row && card.Empty() {
			n := 0
			for _, o := range v.page.Blocks[i:] {
				if o.Kind != b.Kind {
					break
				}
				n++
			}
			card = image.Rect(pad, y, w-pad, y+n*v.u(44))
			body.round(card, 8*v.f.scale, c.Raised)
			body.frame(card, 8*v.f.scale, max(1, v.f.scale), c.Line)
		} else if !row {
			card = image.Rectangle{}
		}
		y = v.block(body, b, pad, y, inner, row && y > card.Min.Y)
	}
	v.bodyH = y + v.u(20)
	footH := v.u(70)
	if len(v.page.Buttons) == 0 {
		footH = 0
	}
	most := int(v.x.root.HeightInPixels) - v.u(70)
	h := min(headH+v.bodyH+footH, max(v.u(300), most))
	v.view = image.Rect(0, headH, w, h-footH)
	v.offset = max(0, min(v.offset, v.bodyH-v.view.Dy()))

	all := newCanvas(w, h)
	all.fill(all.Bounds(), c.Paper)
	ry := float64(v.u(22)) + 11*v.f.scale
	all.arc(float64(pad)+11*v.f.scale, ry, 9.2*v.f.scale, 3.5*v.f.scale, 1, c.Line)
	all.arc(float64(pad)+11*v.f.scale, ry, 9.2*v.f.scale, 3.5*v.f.scale, 0.78, c.Accent)
	s := v.page.Lead
	if s == "" {
		s = v.p.w.Product
	}
	all.text(lead, pad+v.u(32), v.u(22)+(v.u(22)-lead.height)/2, lead.fit(s, inner-v.u(32)), c.Muted)
	ty := v.u(22) + v.u(24) + v.u(14)
	for _, l := range lines {
		all.text(title, pad, ty, l, c.Ink)
		ty += title.height
	}
	draw.Draw(all.RGBA, v.view, body.RGBA, image.Pt(0, v.offset), draw.Src)
	for i := range v.controls {
		if v.controls[i].body {
			v.controls[i].r = v.controls[i].r.Add(image.Pt(0, v.view.Min.Y-v.offset))
		}
	}
	if v.bodyH > v.view.Dy() { // a quiet sign that there is more
		full := float64(v.view.Dy())
		y0 := float64(v.view.Min.Y) + full*float64(v.offset)/float64(v.bodyH)
		y1 := y0 + full*full/float64(v.bodyH)
		all.round(image.Rect(w-v.u(8), int(y0), w-v.u(3), int(y1)), 2.5*v.f.scale, mix(c.Line, c.Muted, 0.4))
	}
	v.foot(all, pad, h-footH, inner)
	v.picture = all
	if v.size != image.Pt(w, h) {
		v.size = image.Pt(w, h)
		x, yy := (int(v.x.root.WidthInPixels)-w)/2, max(v.u(24), (int(v.x.root.HeightInPixels)-h)/2)
		xproto.ConfigureWindow(v.x.Conn, v.win, xproto.ConfigWindowX|xproto.ConfigWindowY|xproto.ConfigWindowWidth|xproto.ConfigWindowHeight,
			[]uint32{uint32(x), uint32(yy), uint32(w), uint32(h)})
		hints := make([]byte, 18*4)
		xgb.Put32(hints, 4|8|16|32) // PPosition is ours, PSize, PMinSize, PMaxSize
		for i, n := range []int{w, h, w, h} {
			xgb.Put32(hints[(5+i)*4:], uint32(n))
		}
		v.prop(xproto.AtomWmNormalHints, xproto.AtomWmSizeHints, 32, hints)
	}
	v.flush()
}

func (v *x11View) flush() {
	if v.picture.RGBA == nil {
		return
	}
	if err := v.x.put(xproto.Drawable(v.win), v.gc, v.picture); err != nil {
		v.log.Warn("the window could not be drawn", "err", err)
	}
}

// ringAround is the focus ring.
func (v *x11View) ringAround(c canvas, r image.Rectangle) {
	g := v.u(3)
	c.frame(r.Inset(-g), 9*v.f.scale, 2*v.f.scale, v.colors.Accent)
}

func (v *x11View) foot(all canvas, pad, y, inner int) {
	if len(v.page.Buttons) == 0 {
		return
	}
	c := v.colors
	w := inner + 2*pad
	all.fill(image.Rect(0, y, w, y+v.u(70)), c.Raised)
	all.fill(image.Rect(0, y, w, y+max(1, v.u(1))), c.Line)
	f := v.f.get(15, true)
	right := w - pad
	for i := len(v.page.Buttons) - 1; i >= 0; i-- {
		b := v.page.Buttons[i]
		bw := f.width(b.Text) + v.u(38)
		r := image.Rect(right-bw, y+v.u(14), right, y+v.u(56))
		if i == 0 && len(v.page.Buttons) > 1 {
			r = image.Rect(pad, y+v.u(14), pad+bw, y+v.u(56))
		}
		right = r.Min.X - v.u(10)
		fill, ink := c.Raised, c.Ink
		switch {
		case b.Danger:
			fill, ink = c.Danger, c.OnDanger
		case b.Primary:
			fill, ink = c.Accent, c.OnAccent
		}
		if v.hover == b.ID {
			fill = mix(fill, c.Ink, 0.1)
		}
		all.round(r, 6*v.f.scale, fill)
		if !b.Danger && !b.Primary {
			all.frame(r, 6*v.f.scale, max(1, v.f.scale), mix(c.Line, c.Muted, 0.45))
		}
		if v.focus == b.ID {
			v.ringAround(all, r)
		}
		all.text(f, r.Min.X+v.u(19), r.Min.Y+(r.Dy()-f.height)/2, b.Text, ink)
		v.controls = append(v.controls, control{id: b.ID, btn: true, r: r})
	}
}

// para draws wrapped text and returns the y below it.
func (v *x11View) para(c canvas, f *face, x, y, w int, s string, col color.RGBA) int {
	for _, l := range f.wrap(s, w) {
		c.text(f, x, y, l, col)
		y += f.height
	}
	return y
}

// block draws one block of the body and returns the y below it.
func (v *x11View) block(c canvas, b Block, x, y, w int, ruled bool) int {
	p, sc := v.colors, v.f.scale
	text, small, bold := v.f.get(15, false), v.f.get(14, false), v.f.get(15, true)
	ink, wash := p.tone(b.Tone)
	hit := func(r image.Rectangle) {
		v.controls = append(v.controls, control{id: b.ID, kind: b.Kind, r: r, body: true, b: b})
		if v.focus == b.ID && b.Kind != BlockField && b.Kind != BlockCode {
			c.frame(r.Inset(v.u(3)), 6*sc, 2*sc, p.Accent)
		}
	}
	switch b.Kind {
	case BlockHead:
		return v.para(c, bold, x, y+v.u(14), w, b.Text, p.Ink) + v.u(8)
	case BlockStatus:
		v.sign(c, b.Tone, x, y+v.u(6), bold.height)
		return v.para(c, bold, x+v.u(22), y+v.u(6), w-v.u(22), b.Text, ink) + v.u(2)
	case BlockNote:
		y += v.u(12)
		in := v.u(14)
		tx := x + in
		if b.Tone.Glyph() != "" {
			tx += v.u(22)
		}
		f := text
		if b.Detail != "" {
			f = bold
		}
		n := len(f.wrap(b.Text, x+w-in-tx)) * f.height
		d := 0
		if b.Detail != "" {
			d = len(small.wrap(b.Detail, w-2*in))*small.height + v.u(2)
		}
		r := image.Rect(x, y, x+w, y+n+d+2*v.u(12))
		c.round(r, 8*sc, wash)
		v.sign(c, b.Tone, x+in, y+v.u(12), f.height)
		v.para(c, f, tx, y+v.u(12), x+w-in-tx, b.Text, ink)
		if d > 0 {
			v.para(c, small, x+in, y+v.u(14)+n, w-2*in, b.Detail, p.Ink)
		}
		return r.Max.Y
	case BlockField:
		y = v.para(c, bold, x, y+v.u(8), w, b.Label, p.Ink) + v.u(6)
		r := image.Rect(x, y, x+w, y+v.u(42))
		v.box(c, r, v.focus == b.ID)
		s, col := v.link, p.Ink
		if s == "" {
			s, col = "https://…", p.Muted
		}
		for text.width(s) > r.Dx()-v.u(26) { // the end is what was typed last
			s = string([]rune(s)[1:])
		}
		end := c.text(text, x+v.u(12), y+(r.Dy()-text.height)/2, s, col)
		if v.focus == b.ID {
			if v.link == "" {
				end = x + v.u(12)
			}
			c.fill(image.Rect(end+1, y+v.u(10), end+1+v.u(1.5), y+v.u(32)), p.Ink)
		}
		hit(r)
		return r.Max.Y + v.u(4)
	case BlockCode:
		big := v.f.get(34, false)
		cell := big.width("0") + v.u(8)
		bw := 4*cell + v.u(32)
		for i := range 2 {
			r := image.Rect(x+i*(bw+v.u(14)), y, x+i*(bw+v.u(14))+bw, y+v.u(64))
			at := len(v.code) / 4
			if len(v.code) == 8 {
				at = 1
			}
			v.box(c, r, v.focus == b.ID && i == at)
			for j := range 4 {
				n := 4*i + j
				cx := r.Min.X + v.u(16) + j*cell
				if n < len(v.code) {
					c.text(big, cx+v.u(4), y+(r.Dy()-big.height)/2, v.code[n:n+1], p.Ink)
				} else {
					c.fill(image.Rect(cx+v.u(5), r.Max.Y-v.u(16), cx+cell-v.u(5), r.Max.Y-v.u(14)), p.Line)
				}
				if v.focus == b.ID && n == len(v.code) {
					c.fill(image.Rect(cx+v.u(2), y+v.u(14), cx+v.u(4), y+v.u(50)), p.Ink)
				}
			}
		}
		hit(image.Rect(x, y, x+2*bw+v.u(14), y+v.u(64)))
		return y + v.u(64)
	case BlockCheck, BlockSwitch:
		r := image.Rect(x, y, x+w, y+v.u(44))
		if ruled {
			c.fill(image.Rect(x, y, x+w, y+max(1, v.u(1))), p.Line)
		}
		my := (r.Min.Y + r.Max.Y) / 2
		if b.Kind == BlockCheck {
			k := image.Rect(x+v.u(14), my-v.u(10), x+v.u(34), my+v.u(10))
			if b.On {
				c.round(k, 4*sc, p.Accent)
				kx, ky := float64(k.Min.X), float64(k.Min.Y)
				c.line(kx+5*sc, ky+10*sc, kx+8.7*sc, ky+14*sc, 2*sc, p.OnAccent)
				c.line(kx+8*sc, ky+14*sc, kx+15*sc, ky+6*sc, 2*sc, p.OnAccent)
			} else {
				c.round(k, 4*sc, p.Raised)
				c.frame(k, 4*sc, max(1, sc), mix(p.Line, p.Muted, 0.6))
			}
			c.text(text, x+v.u(46), my-text.height/2, text.fit(b.Text, w-v.u(60)), p.Ink)
		} else {
			c.text(text, x+v.u(14), my-text.height/2, text.fit(b.Text, w-v.u(90)), p.Ink)
			k := image.Rect(x+w-v.u(14)-v.u(44), my-v.u(12), x+w-v.u(14), my+v.u(12))
			fill, knob := mix(p.Line, p.Muted, 0.35), float64(k.Min.X)+12*sc
			if b.On {
				fill, knob = p.Accent, float64(k.Max.X)-12*sc
			}
			c.round(k, 12*sc, fill)
			c.disc(knob, float64(my), 9*sc, hex(0xFFFFFF))
		}
		hit(r)
		return r.Max.Y
	case BlockPick:
		r := image.Rect(x, y, x+w, y+v.u(44))
		if v.hover == b.ID {
			c.round(r.Inset(v.u(2)), 6*sc, p.PlainWash)
		}
		if ruled {
			c.fill(image.Rect(x, y, x+w, y+max(1, v.u(1))), p.Line)
		}
		my := (r.Min.Y + r.Max.Y) / 2
		end := x + w - v.u(32)
		c.text(text, end+v.u(8), my-text.height/2, "›", p.Muted)
		if b.Detail != "" {
			s := small.fit(b.Detail, w/2)
			end -= small.width(s) + v.u(6)
			c.text(small, end, my-small.height/2, s, p.Muted)
		}
		c.text(text, x+v.u(14), my-text.height/2, text.fit(b.Text, end-x-v.u(22)), p.Accent)
		hit(r)
		return r.Max.Y
	case BlockRing:
		y += v.u(14)
		cx, cy := float64(x)+17*sc, float64(y)+19*sc
		c.arc(cx, cy, 14.5*sc, 4.5*sc, 1, p.Line)
		c.arc(cx, cy, 14.5*sc, 4.5*sc, b.Fraction, p.Accent)
		c.text(bold, x+v.u(46), y, b.Text, p.Ink)
		return v.para(c, small, x+v.u(46), y+bold.height, w-v.u(46), b.Detail, p.Muted) + v.u(2)
	case BlockProgress:
		y = v.para(c, text, x, y+v.u(12), w, b.Text, p.Ink) + v.u(10)
		r := image.Rect(x, y, x+w, y+v.u(6))
		c.round(r, 3*sc, p.Line)
		if b.Fraction >= 0 {
			r.Max.X = x + max(v.u(6), int(float64(w)*b.Fraction))
		} else {
			part := w / 4
			at := v.phase * v.u(12) % (2 * (w - part))
			if at > w-part {
				at = 2*(w-part) - at
			}
			r.Min.X, r.Max.X = x+at, x+at+part
		}
		c.round(r, 3*sc, p.Accent)
		return r.Max.Y + v.u(12)
	case BlockList:
		items := b.Items
		if len(items) > 12 {
			items = items[:12]
		}
		col := 0
		for _, it := range items {
			col = max(col, small.width(it.Lead))
		}
		if col > 0 {
			col += v.u(12)
		}
		in := v.u(14)
		h := v.u(12)
		for _, it := range items {
			h += len(small.wrap(it.Text, w-2*in-col))*small.height + v.u(6)
		}
		r := image.Rect(x, y, x+w, y+h)
		c.round(r, 8*sc, p.Raised)
		c.frame(r, 8*sc, max(1, sc), p.Line)
		y += v.u(9)
		for _, it := range items {
			c.text(small, x+in, y, it.Lead, p.Muted)
			y = v.para(c, small, x+in+col, y, w-2*in-col, it.Text, p.Ink) + v.u(6)
		}
		return r.Max.Y
	case BlockDetails:
		y += v.u(10)
		r := image.Rect(x, y, x+w, y+v.u(32))
		sign := "▸  "
		if !v.folded {
			sign = "▾  "
		}
		c.text(small, x, y+v.u(6), sign+b.Label, p.Muted)
		hit(r)
		if v.folded {
			return r.Max.Y
		}
		return v.para(c, small, x, r.Max.Y, w, b.Text, p.Muted)
	}
	if b.Tone == Muted {
		return v.para(c, small, x, y+v.u(6), w, b.Text, p.Muted) + v.u(6)
	}
	return v.para(c, text, x, y+v.u(6), w, b.Text, ink) + v.u(6)
}

// box is the frame of a field.
func (v *x11View) box(c canvas, r image.Rectangle, focused bool) {
	c.round(r, 6*v.f.scale, v.colors.Raised)
	if focused {
		c.frame(r, 6*v.f.scale, 2*v.f.scale, v.colors.Accent)
	} else {
		c.frame(r, 6*v.f.scale, max(1, v.f.scale), mix(v.colors.Line, v.colors.Muted, 0.45))
	}
}

// sign draws the glyph of a tone in a line of height h.
func (v *x11View) sign(c canvas, t Tone, x, y, h int) {
	ink, _ := v.colors.tone(t)
	sc := v.f.scale
	cx, cy := float64(x)+7*sc, float64(y)+float64(h)/2
	switch t {
	case Good:
		c.disc(cx, cy, 5.5*sc, ink)
	case Quiet:
		c.arc(cx, cy, 4.7*sc, 1.6*sc, 1, ink)
	case Waiting:
		c.arc(cx, cy, 4.7*sc, 1.6*sc, 1, ink)
		c.arc(cx, cy, 2.4*sc, 4.8*sc, 0.5, ink)
	case Danger:
		c.path(ink, image.Rect(x, y, x+v.u(16), y+h), triangle(cx, cy-6*sc, cx+6.5*sc, cy+5*sc, cx-6.5*sc, cy+5*sc))
	}
}

func (v *x11View) event(ev xgb.Event) {
	switch e := ev.(type) {
	case xproto.ExposeEvent:
		if e.Count == 0 {
			v.flush()
		}
	case xproto.ClientMessageEvent:
		if e.Type == v.atoms.protocols && len(e.Data.Data32) > 0 && xproto.Atom(e.Data.Data32[0]) == v.atoms.del {
			v.p.shut()
			v.render()
		}
	case xproto.SelectionNotifyEvent:
		if e.Property != xproto.AtomNone {
			v.pasted()
		}
	case xproto.MappingNotifyEvent:
		first, last := v.x.setup.MinKeycode, v.x.setup.MaxKeycode
		if k, err := xproto.GetKeyboardMapping(v.x.Conn, first, byte(last-first+1)).Reply(); err == nil {
			v.keys = k
		}
	}
}

// paste asks the owner of the clipboard for its text.
func (v *x11View) paste(selection xproto.Atom) {
	xproto.ConvertSelection(v.x.Conn, v.win, selection, v.atoms.utf8, v.atoms.paste, xproto.TimeCurrentTime)
}

func (v *x11View) pasted() {
	r, err := xproto.GetProperty(v.x.Conn, true, v.win, v.atoms.paste, xproto.GetPropertyTypeAny, 0, maxLink).Reply()
	if err != nil || r.Format != 8 {
		return
	}
	s := clean(string(r.Value), maxLink)
	switch v.focus {
	case "link":
		v.link = s
	case "code":
		v.code = digits(s)
	}
	v.paint()
}

func (v *x11View) at(x, y int) *control {
	for i := range v.controls {
		c := &v.controls[i]
		if image.Pt(x, y).In(c.r) && (!c.body || image.Pt(x, y).In(v.view)) {
			return c
		}
	}
	return nil
}

func (v *x11View) device(e xevent) {
	if e.Type == xiMotion {
		h := ""
		if c := v.at(e.X, e.Y); c != nil {
			h = c.id
		}
		if h != v.hover {
			v.hover = h
			v.paint()
		}
		return
	}
	if e.Type == xiButtonPress || e.Type == xiKeyPress {
		wheel := e.Type == xiButtonPress && (e.Detail == 4 || e.Detail == 5)
		if !wheel && !v.p.accepts(e.origin) {
			v.log.Info("a click or key in the window that no person made was ignored")
			return
		}
	}
	switch e.Type {
	case xiButtonPress:
		switch e.Detail {
		case 1:
			v.pressed = ""
			if c := v.at(e.X, e.Y); c != nil {
				v.pressed, v.focus = c.id, c.id
				if c.id == "stop" {
					v.activateControl(c) // at the press, see the bar
					v.pressed = ""
				}
				v.paint()
			}
		case 2:
			v.paste(xproto.AtomPrimary)
		case 4:
			v.offset -= v.u(48)
			v.paint()
		case 5:
			v.offset += v.u(48)
			v.paint()
		}
	case xiButtonRelease:
		if e.Detail == 1 {
			if c := v.at(e.X, e.Y); c != nil && c.id == v.pressed {
				v.activateControl(c)
			}
			v.pressed = ""
		}
	case xiKeyPress:
		v.key(e)
	}
}

// activateControl presses a button or changes a switch.
func (v *x11View) activateControl(c *control) {
	switch {
	case c.btn:
		v.p.press(c.id, input{Link: v.link, Code: v.code})
	case c.kind == BlockCheck || c.kind == BlockSwitch:
		v.p.set(c.b.Right, !c.b.On)
	case c.kind == BlockPick:
		v.p.press(c.id, input{Link: v.link, Code: v.code})
	case c.kind == BlockDetails:
		v.folded = !v.folded
	}
	v.render()
}

// keysym is what a key means with its modifiers (X protocol, keyboards).
func (v *x11View) keysym(code, mods uint32, group byte) xproto.Keysym {
	per := int(v.keys.KeysymsPerKeycode)
	i := (int(code) - int(v.x.setup.MinKeycode)) * per
	if i < 0 || i+per > len(v.keys.Keysyms) {
		return 0
	}
	syms := v.keys.Keysyms[i : i+per]
	g := 2 * int(group&1)
	if g+1 >= per || syms[g] == 0 {
		g = 0
	}
	if mods&1 != 0 && g+1 < per && syms[g+1] != 0 { // Shift
		return syms[g+1]
	}
	if s := syms[g]; s >= 'a' && s <= 'z' && mods&2 != 0 { // Caps Lock
		return s - 32
	}
	// keypad with Num Lock
	if g+1 < per && syms[g+1] >= 0xffb0 && syms[g+1] <= 0xffb9 && mods&16 != 0 {
		return syms[g+1]
	}
	return syms[g]
}

func (v *x11View) key(e xevent) {
	s := v.keysym(e.Detail, e.Mods, e.Group)
	ctrl := e.Mods&4 != 0
	var now *control
	for i := range v.controls {
		if v.controls[i].id == v.focus {
			now = &v.controls[i]
		}
	}
	typing := v.focus == "link" || v.focus == "code"
	switch {
	case ctrl && (s == 'v' || s == 'V'), s == 0xff63 && e.Mods&1 != 0: // Shift+Insert
		v.paste(v.atoms.clipboard)
		return
	case s == 0xff09, s == 0xfe20: // Tab, Shift+Tab
		v.step(map[bool]int{true: -1, false: 1}[e.Mods&1 != 0 || s == 0xfe20])
	case s == 0xff0d, s == 0xff8d: // Return, Enter
		if now != nil && now.btn {
			v.activateControl(now)
			return
		}
		for _, b := range v.page.Buttons {
			if b.Primary {
				v.p.press(b.ID, input{Link: v.link, Code: v.code})
			}
		}
		v.render()
		return
	case s == ' ' && now != nil && !typing:
		v.activateControl(now)
		return
	case s == 0xff08: // Backspace
		if v.focus == "code" && v.code != "" {
			v.code = v.code[:len(v.code)-1]
		}
		if r := []rune(v.link); v.focus == "link" && len(r) > 0 {
			v.link = string(r[:len(r)-1])
		}
	case s == 0xff55: // Page Up
		v.offset -= v.view.Dy() / 2
	case s == 0xff56: // Page Down
		v.offset += v.view.Dy() / 2
	case ctrl:
		return
	default:
		r := rune(s)
		switch {
		case s >= 0xffb0 && s <= 0xffb9:
			r = rune('0' + s - 0xffb0)
		case s&0xff000000 == 0x01000000:
			r = rune(s & 0xffffff)
		case s > 0xff:
			return
		}
		if !unicode.IsPrint(r) {
			return
		}
		switch v.focus {
		case "code":
			v.code = digits(v.code + string(r))
		case "link":
			if len(v.link) < maxLink {
				v.link += string(r)
			}
		}
	}
	v.paint()
}

// step moves the focus in reading order: the body, then the foot from left to right.
func (v *x11View) step(by int) {
	var ids []string
	for _, c := range v.controls {
		if c.body {
			ids = append(ids, c.id)
		}
	}
	foot := len(ids)
	for _, b := range v.page.Buttons {
		ids = append(ids, b.ID)
	}
	if len(ids) == 0 {
		return
	}
	at := -1
	for i, id := range ids {
		if id == v.focus {
			at = i
		}
	}
	at = (at + by + len(ids)) % len(ids)
	v.focus = ids[at]
	if at < foot { // bring it into view
		for _, c := range v.controls {
			if c.id == v.focus && c.body {
				if c.r.Max.Y > v.view.Max.Y {
					v.offset += c.r.Max.Y - v.view.Max.Y + v.u(8)
				} else if c.r.Min.Y < v.view.Min.Y {
					v.offset -= v.view.Min.Y - c.r.Min.Y + v.u(8)
				}
			}
		}
	}
}
