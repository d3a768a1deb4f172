package consent

import (
	"image"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xinerama"
	"github.com/jezek/xgb/xproto"
)

// barCheck is how often the bar looks whether it is still seen. A second is
// half of HiddenLimit.
const barCheck = 500 * time.Millisecond

// Sizes of the bar in layout units.
const (
	barHeight = 44
	barMargin = 8
	barRow    = 36 // of the menu
)

// bar is the strip on every monitor. It has a connection and a goroutine of
// its own: run owns every window, and Stop is delivered from it without
// waiting for anything else.
type bar struct {
	p    *presenter
	log  *slog.Logger
	open func() // shows the main window; nil: there is none
	x    *xconn
	keys *xproto.GetKeyboardMappingReply
	kick chan struct{} // something to show; capacity 1
	quit chan struct{}
	done chan struct{}

	mu          sync.Mutex // guards all following
	wanted      bool
	shown       bool
	checked     time.Time
	hiddenSince time.Time
	dark        bool
}

// strip is the bar of one monitor. Only run touches it.
type strip struct {
	monitor  image.Rectangle
	rect     image.Rectangle // where it belongs, root coordinates
	win      xproto.Window
	gc       xproto.Gcontext
	pixmap   canvas
	text     Bar
	look     barLook // what pixmap shows
	button   image.Rectangle
	chevron  image.Rectangle
	rows     []row // of the open menu
	menu     bool
	at       int           // of rows and, after them, the button: what has the keyboard
	before   xproto.Window // had the keyboard before the menu
	mapped   bool
	visible  bool // by VisibilityNotify
	pressed  string
	hover    string
	drag     image.Point // pointer − window at the press
	dragging bool
	raised   time.Time
}

// barLook is everything the picture of a strip depends on.
type barLook struct {
	text  Bar
	menu  bool
	at    int
	dark  bool
	hover string
	width int
}

// newBar connects to the display and starts. The caller must close it.
func newBar(p *presenter, display string, open func(), log *slog.Logger) (*bar, error) {
	x, err := dialX(display)
	if err != nil {
		return nil, err
	}
	// without Xinerama the screen is one monitor
	if err := xinerama.Init(x.Conn); err != nil {
		log.Debug("no Xinerama", "err", err)
	}
	f, err := newFonts(x.scale())
	if err != nil {
		x.Close()
		return nil, err
	}
	first, last := x.setup.MinKeycode, x.setup.MaxKeycode
	keys, err := xproto.GetKeyboardMapping(x.Conn, first, byte(last-first+1)).Reply()
	if err != nil {
		x.Close()
		return nil, err
	}
	b := &bar{p: p, log: log, open: open, x: x, keys: keys, kick: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go b.run(f)
	return b, nil
}

// update shows what the presenter has now.
func (b *bar) update() {
	_, wanted := b.p.bar()
	b.mu.Lock()
	if wanted && !b.wanted {
		b.hiddenSince = time.Now() // until it is seen
	}
	if !wanted {
		b.shown, b.hiddenSince = false, time.Time{}
	}
	b.wanted = wanted
	b.mu.Unlock()
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

func (b *bar) setDark(on bool) {
	b.mu.Lock()
	b.dark = on
	b.mu.Unlock()
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// health is BarHealth. A bar whose goroutine did not look for three rounds
// counts as hidden since then.
func (b *bar) health() BarHealth {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := BarHealth{Wanted: b.wanted}
	if !b.wanted {
		return h
	}
	if b.shown && time.Since(b.checked) > 3*barCheck {
		h.HiddenSince = b.checked
		return h
	}
	h.Shown, h.HiddenSince = b.shown, b.hiddenSince
	return h
}

func (b *bar) close() {
	close(b.quit)
	<-b.done
}

func (b *bar) run(f *faces) {
	defer close(b.done)
	core, end := b.x.pump(b.log)
	strips := map[xproto.Window]*strip{}
	defer func() {
		b.mu.Lock()
		b.shown = false
		if b.wanted && b.hiddenSince.IsZero() {
			b.hiddenSince = time.Now()
		}
		b.mu.Unlock()
		end()
	}()
	tick := time.NewTicker(barCheck)
	defer tick.Stop()
	for {
		select {
		case <-b.quit:
			return
		case <-b.kick:
			b.sync(strips, f)
		case <-tick.C:
			b.sync(strips, f)
		case raw := <-b.x.wire.events:
			if e, ok := b.x.decodeXI(raw); ok {
				if s := strips[e.Window]; s != nil {
					b.device(s, e)
				}
			}
		case ev, ok := <-core:
			if !ok {
				b.log.Warn("the connection of the bar to the display was lost")
				return
			}
			b.event(strips, ev)
		}
	}
}

// monitors are the screens of the display, at least one.
func (b *bar) monitors() []image.Rectangle {
	if r, err := xinerama.QueryScreens(b.x.Conn).Reply(); err == nil {
		var m []image.Rectangle
		for _, s := range r.ScreenInfo {
			q := image.Rect(0, 0, int(s.Width), int(s.Height)).Add(image.Pt(int(s.XOrg), int(s.YOrg)))
			dup := q.Empty()
			for _, o := range m {
				dup = dup || o == q // mirrored
			}
			if !dup {
				m = append(m, q)
			}
		}
		if len(m) > 0 {
			return m
		}
	}
	g, err := xproto.GetGeometry(b.x.Conn, xproto.Drawable(b.x.root.Root)).Reply()
	if err != nil {
		return nil
	}
	return []image.Rectangle{image.Rect(0, 0, int(g.Width), int(g.Height))}
}

// sync makes the strips what the presenter says and looks whether they are seen.
func (b *bar) sync(strips map[xproto.Window]*strip, f *faces) {
	text, wanted := b.p.bar()
	var monitors []image.Rectangle
	if wanted {
		monitors = b.monitors()
	}
	have := map[image.Rectangle]*strip{}
	for w, s := range strips {
		keep := false
		for _, m := range monitors {
			keep = keep || m == s.monitor
		}
		if !keep {
			xproto.DestroyWindow(b.x.Conn, w)
			xproto.FreeGC(b.x.Conn, s.gc)
			delete(strips, w)
			continue
		}
		have[s.monitor] = s
	}
	for _, m := range monitors {
		s := have[m]
		if s == nil {
			var err error
			if s, err = b.newStrip(m); err != nil {
				b.log.Warn("the bar could not be made", "err", err)
				continue
			}
			strips[s.win] = s
		}
		b.draw(s, text, f)
	}
	seen := len(monitors) > 0 && len(strips) >= len(monitors)
	for _, s := range strips {
		seen = b.seen(s, strips) && seen
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.checked = time.Now()
	switch {
	case !wanted:
	case seen:
		b.shown, b.hiddenSince = true, time.Time{}
	default:
		b.shown = false
		if b.hiddenSince.IsZero() {
			b.hiddenSince = time.Now()
		}
	}
}

func (b *bar) newStrip(m image.Rectangle) (*strip, error) {
	win, err := xproto.NewWindowId(b.x.Conn)
	if err != nil {
		return nil, err
	}
	gc, err := xproto.NewGcontextId(b.x.Conn)
	if err != nil {
		return nil, err
	}
	s := &strip{monitor: m, win: win, gc: gc, visible: true}
	s.rect = image.Rect(m.Min.X, m.Min.Y, m.Min.X+10, m.Min.Y+10)
	err = xproto.CreateWindowChecked(b.x.Conn, b.x.root.RootDepth, win, b.x.root.Root, int16(m.Min.X), int16(m.Min.Y), 10, 10, 0,
		xproto.WindowClassInputOutput, b.x.root.RootVisual, xproto.CwOverrideRedirect|xproto.CwEventMask,
		[]uint32{1, xproto.EventMaskExposure | xproto.EventMaskVisibilityChange | xproto.EventMaskStructureNotify | xproto.EventMaskFocusChange}).Check()
	if err != nil {
		return nil, err
	}
	xproto.CreateGC(b.x.Conn, gc, xproto.Drawable(win), 0, nil)
	set := func(prop, typ xproto.Atom, format byte, n int, data []byte) {
		xproto.ChangeProperty(b.x.Conn, xproto.PropModeReplace, win, prop, typ, format, uint32(n), data)
	}
	name := []byte(b.p.w.BarName)
	set(b.x.atom("_NET_WM_NAME"), b.x.atom("UTF8_STRING"), 8, len(name), name)
	set(xproto.AtomWmName, b.x.atom("UTF8_STRING"), 8, len(name), name)
	set(xproto.AtomWmClass, xproto.AtomString, 8, len("daypass-bar\x00Daypass-bar\x00"), []byte("daypass-bar\x00Daypass-bar\x00"))
	dock := make([]byte, 4)
	xgb.Put32(dock, uint32(b.x.atom("_NET_WM_WINDOW_TYPE_DOCK")))
	set(b.x.atom("_NET_WM_WINDOW_TYPE"), xproto.AtomAtom, 32, 1, dock)
	return s, b.x.selectInput(win, true)
}

// draw paints the strip when what it shows has changed.
func (b *bar) draw(s *strip, text Bar, f *faces) {
	b.mu.Lock()
	look := barLook{text: text, menu: s.menu, at: s.at, dark: b.dark, hover: s.hover, width: s.monitor.Dx()}
	b.mu.Unlock()
	look.text.Fraction = math.Round(look.text.Fraction*96) / 96 // a quarter of an hour is what the ring can show
	if s.mapped && s.look == look {
		return // drawing the same again would be a change of the screen for whoever captures it
	}
	s.look = look
	colors := &light
	if look.dark {
		colors = &dark
	}
	u := func(v float64) int { return int(v*f.scale + 0.5) }
	who, what, button := f.get(14, true), f.get(14, false), f.get(14, true)
	h := u(barHeight)
	pad, gap := u(14), u(10)

	left := text.Left
	state := text.Doing
	bw := button.width(text.Button) + u(40)
	chev := 0
	rows := b.menu(text)
	if len(rows) > 0 {
		chev = u(34)
	}
	if s.menu = s.menu && len(rows) > 0; !s.menu {
		rows = nil
	}
	ring := u(18)
	fixed := pad + ring + gap + gap*2 + bw + chev + u(6)
	limit := min(s.monitor.Dx()-2*u(barMargin), u(760)) - fixed
	sep := what.width("  ·  ")
	need := func() int {
		n := who.width(text.Who) + sep + what.width(state)
		if left != "" {
			n += sep + what.width(left)
		}
		return n
	}
	if need() > limit {
		left = "" // what is on matters more than until when
	}
	name := text.Who
	if over := need() - limit; over > 0 {
		name = who.fit(name, max(u(60), who.width(name)-over))
	}
	w := fixed + who.width(name) + sep + what.width(state)
	if left != "" {
		w += sep + what.width(left)
	}
	for _, r := range rows { // the menu's words fit, too
		w = max(w, u(74)+what.width(r.id))
	}
	w = min(w, s.monitor.Dx())
	tall := h + len(rows)*u(barRow)
	if len(rows) > 0 {
		tall += u(6)
	}

	if s.rect.Dx() != w || s.rect.Dy() != tall {
		// keep the middle where it is; new ones stand at the top, in the middle
		mid := s.monitor.Min.X + s.monitor.Dx()/2
		top := s.monitor.Min.Y + u(barMargin)
		if s.mapped {
			mid, top = s.rect.Min.X+s.rect.Dx()/2, s.rect.Min.Y
		}
		s.rect = image.Rect(0, 0, w, tall).Add(image.Pt(mid-w/2, top))
		b.place(s)
	}
	c := newCanvas(w, tall)
	all := c.Bounds()
	c.fill(all, colors.Raised)
	ink, _ := colors.tone(text.Tone)
	c.frame(all, 0, max(1, f.scale), colors.Line)
	c.fill(image.Rect(0, 0, u(4), tall), ink)

	x := pad
	cy := float64(h) / 2
	c.arc(float64(x)+float64(ring)/2, cy, float64(ring)/2-1.5*f.scale, 2.5*f.scale, 1, colors.Line)
	if text.Fraction >= 0 {
		c.arc(float64(x)+float64(ring)/2, cy, float64(ring)/2-1.5*f.scale, 2.5*f.scale, text.Fraction, colors.Accent)
	}
	c.disc(float64(x)+float64(ring)/2, cy, 3*f.scale, ink)
	x += ring + gap
	y := (h - who.height) / 2
	x = c.text(who, x, y, name, colors.Ink)
	x = c.text(what, x, y, "  ·  ", colors.Muted)
	x = c.text(what, x, y, state, ink)
	if left != "" {
		x = c.text(what, x, y, "  ·  ", colors.Muted)
		x = c.text(what, x, y, left, colors.Muted)
	}
	x = max(x+2*gap, w-bw-chev-u(6)) // at the right, also where the menu makes the bar wider
	s.button = image.Rect(x, u(6), x+bw, h-u(6))
	fill, on := colors.Danger, colors.OnDanger
	if text.Action == Resume {
		fill, on = colors.Accent, colors.OnAccent
	}
	if s.hover == "button" {
		fill = mix(fill, colors.Ink, 0.15)
	}
	c.round(s.button, 6*f.scale, fill)
	tx := s.button.Min.X + u(12)
	if text.Action == Stop {
		sq := u(9)
		c.fill(image.Rect(tx, (h-sq)/2, tx+sq, (h-sq)/2+sq), on)
	} else {
		p := float64(tx)
		c.path(on, s.button, triangle(p, cy-5*f.scale, p, cy+5*f.scale, p+9*f.scale, cy))
	}
	c.text(button, tx+u(17), y, text.Button, on)
	if chev > 0 {
		s.chevron = image.Rect(s.button.Max.X+u(2), u(4), s.button.Max.X+u(2)+chev, h-u(4))
		if s.hover == "chevron" {
			c.round(s.chevron, 6*f.scale, colors.PlainWash)
		}
		mx := float64(s.chevron.Min.X+s.chevron.Max.X) / 2
		d, tip := 4.5*f.scale, 2.25*f.scale
		if s.menu {
			tip = -tip
		}
		c.line(mx-d, cy-tip, mx+0.3, cy+tip, 1.8*f.scale, colors.Muted)
		c.line(mx-0.3, cy+tip, mx+d, cy-tip, 1.8*f.scale, colors.Muted)
	}
	if len(rows) > 0 {
		c.fill(image.Rect(u(4), h, w-1, h+max(1, int(f.scale))), colors.Line)
		if s.at == len(rows) {
			c.frame(s.button.Inset(-u(3)), 8*f.scale, 2*f.scale, colors.Ink)
		}
	}
	b.drawMenu(s, c, rows, f, colors, w)
	s.rows = rows
	s.text = text
	s.pixmap = c
	if !s.mapped {
		xproto.MapWindow(b.x.Conn, s.win)
		s.mapped = true
		b.raise(s)
	}
	b.paint(s)
}

func (b *bar) paint(s *strip) {
	if s.pixmap.RGBA == nil {
		return
	}
	if err := b.x.put(xproto.Drawable(s.win), s.gc, s.pixmap); err != nil {
		b.log.Warn("the bar could not be drawn", "err", err)
	}
}

// place puts the window at s.rect, whole inside its monitor.
func (b *bar) place(s *strip) {
	m := s.monitor
	p := s.rect.Min
	p.X = max(m.Min.X, min(p.X, m.Max.X-s.rect.Dx()))
	p.Y = max(m.Min.Y, min(p.Y, m.Max.Y-s.rect.Dy()))
	s.rect = s.rect.Add(p.Sub(s.rect.Min))
	xproto.ConfigureWindow(b.x.Conn, s.win, xproto.ConfigWindowX|xproto.ConfigWindowY|xproto.ConfigWindowWidth|xproto.ConfigWindowHeight,
		[]uint32{uint32(int32(s.rect.Min.X)), uint32(int32(s.rect.Min.Y)), uint32(s.rect.Dx()), uint32(s.rect.Dy())})
}

// raise puts the window on top, at most ten times a second, and once a second
// when that did not help within HiddenLimit (a locked screen keeps itself on
// top): two programs that both want it must not burn the computer.
func (b *bar) raise(s *strip) {
	b.mu.Lock()
	pause := 100 * time.Millisecond
	if !b.hiddenSince.IsZero() && time.Since(b.hiddenSince) > HiddenLimit {
		pause = time.Second
	}
	b.mu.Unlock()
	if time.Since(s.raised) < pause {
		return
	}
	s.raised = time.Now()
	xproto.ConfigureWindow(b.x.Conn, s.win, xproto.ConfigWindowStackMode, []uint32{xproto.StackModeAbove})
}

// seen looks whether s is mapped, in its place and under nothing, and repairs
// what is not so. What it repairs counts as not seen until the next look.
func (b *bar) seen(s *strip, ours map[xproto.Window]*strip) bool {
	if !s.mapped {
		return false
	}
	a, err := xproto.GetWindowAttributes(b.x.Conn, s.win).Reply()
	if err != nil {
		return false
	}
	if a.MapState != xproto.MapStateViewable {
		xproto.MapWindow(b.x.Conn, s.win)
		b.raise(s)
		return false
	}
	g, err := xproto.GetGeometry(b.x.Conn, xproto.Drawable(s.win)).Reply()
	if err != nil {
		return false
	}
	if at := image.Rect(0, 0, int(g.Width), int(g.Height)).Add(image.Pt(int(g.X), int(g.Y))); at != s.rect && !s.dragging {
		b.place(s)
		return false
	}
	tree, err := xproto.QueryTree(b.x.Conn, b.x.root.Root).Reply()
	if err != nil {
		return false
	}
	above := false
	for _, w := range tree.Children { // bottom to top
		switch {
		case w == s.win:
			above = true
		case !above || ours[w] != nil:
		case b.covers(w, s.rect):
			b.raise(s)
			return false
		}
	}
	return true
}

// covers reports whether w hides a part of r.
func (b *bar) covers(w xproto.Window, r image.Rectangle) bool {
	a, err := xproto.GetWindowAttributes(b.x.Conn, w).Reply()
	if err != nil || a.MapState != xproto.MapStateViewable || a.Class != xproto.WindowClassInputOutput {
		return false // gone, or shows nothing
	}
	g, err := xproto.GetGeometry(b.x.Conn, xproto.Drawable(w)).Reply()
	if err != nil {
		return false
	}
	bw := 2 * int(g.BorderWidth)
	q := image.Rect(0, 0, int(g.Width)+bw, int(g.Height)+bw).Add(image.Pt(int(g.X), int(g.Y)))
	return q.Overlaps(r)
}

func (b *bar) event(strips map[xproto.Window]*strip, ev xgb.Event) {
	switch e := ev.(type) {
	case xproto.ExposeEvent:
		if s := strips[e.Window]; s != nil && e.Count == 0 {
			b.paint(s)
		}
	case xproto.VisibilityNotifyEvent:
		if s := strips[e.Window]; s != nil && e.State != xproto.VisibilityUnobscured {
			b.raise(s)
		}
	case xproto.FocusOutEvent: // the customer went on with something else
		if s := strips[e.Event]; s != nil && s.menu && e.Mode == xproto.NotifyModeNormal {
			s.menu = false
			b.again()
		}
	case xproto.UnmapNotifyEvent:
		if s := strips[e.Window]; s != nil {
			xproto.MapWindow(b.x.Conn, s.win)
			b.raise(s)
		}
	}
}

// device acts on one event of a pointer. The decision about injected input is
// made for each press on its own.
func (b *bar) device(s *strip, e xevent) {
	at := image.Pt(e.X, e.Y)
	spot := ""
	switch {
	case at.In(s.button):
		spot = "button"
	case at.In(s.chevron):
		spot = "chevron"
	}
	for _, r := range s.rows {
		if at.In(r.r) {
			spot = r.id
		}
	}
	switch e.Type {
	case xiButtonPress:
		if e.Detail != 1 {
			return
		}
		if !b.p.accepts(e.origin) {
			b.log.Info("a click on the bar that no person made was ignored")
			return
		}
		s.pressed = spot
		if spot == "" {
			s.dragging, s.drag = true, image.Pt(e.RootX, e.RootY).Sub(s.rect.Min)
		}
		if spot == "button" { // at the press: a hand that trembles off the button still stops
			b.press(s)
		}
	case xiButtonRelease:
		if e.Detail != 1 {
			return
		}
		if s.pressed == spot && spot != "" && b.p.accepts(e.origin) {
			if spot == "chevron" {
				b.unfold(s, !s.menu)
			}
			for _, r := range s.rows {
				if r.id == spot {
					b.choose(s, r)
				}
			}
		}
		s.pressed, s.dragging = "", false
	case xiKeyPress:
		if b.p.accepts(e.origin) {
			b.key(s, e)
		} else {
			b.log.Info("a key for the bar that no person pressed was ignored")
		}
	case xiMotion:
		if s.dragging {
			s.rect = s.rect.Add(image.Pt(e.RootX, e.RootY).Sub(s.drag).Sub(s.rect.Min))
			b.place(s)
			return
		}
		if s.hover != spot {
			s.hover = spot
			b.again()
		}
	}
}
