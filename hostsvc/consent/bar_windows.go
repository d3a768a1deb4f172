package consent

import (
	"fmt"
	"image"
	"image/color"
	"log/slog"
	"math"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// barCheck is how often the bar looks whether it is still seen. A second is
// half of HiddenLimit.
const barCheck = 500 * time.Millisecond

// Sizes of the bar in layout units.
const (
	barHeight = 44
	barMargin = 8
)

// barKeys is whether Ctrl, Alt and Home bring the keyboard to the bar.
const barKeys = true

// winBar is the strip on every monitor. It has a thread of its own, which owns
// every window: Stop is delivered from it without waiting for anything else.
type winBar struct {
	p    *presenter
	log  *slog.Logger
	open func() // shows the main window; nil: there is none
	l    *loop

	mu          sync.Mutex // guards the next five
	wanted      bool
	shown       bool
	checked     time.Time
	hiddenSince time.Time

	// the loop's thread
	strips map[image.Rectangle]*strip
	looks  map[int]*look // by resolution
	before hwnd          // what had the keyboard before the bar
	hotkey bool
}

// strip is the bar of one monitor.
type strip struct {
	bar      *winBar
	monitor  image.Rectangle
	dpi      int
	r        image.Rectangle // where it belongs
	h        hwnd
	a        *look
	name     *ctl // what screen readers read: as long as what is drawn
	button   *ctl
	chevron  *ctl
	text     Bar
	width    int
	pic      *paper
	drag     image.Point // pointer − window at the press
	dragging bool
	mapped   bool
	raised   time.Time
	contrast bool
}

// newBar starts the bar. The caller must close it.
func newBar(p *presenter, open func(), log *slog.Logger) (*winBar, error) {
	b := &winBar{p: p, log: log, open: open, strips: map[image.Rectangle]*strip{}, looks: map[int]*look{}}
	l, err := startLoop(p, log, func(l *loop) error {
		b.l = l
		l.main = b.inUse
		l.keys = b.keys
		l.mu.Lock()
		box := l.box
		l.mu.Unlock()
		procs.Lock()
		f := procs.m[box].f
		procs.m[box] = entry{f: func(m uint32, w, lp uintptr) (uintptr, bool) {
			switch m {
			case wmTimer:
				b.sync()
				return 0, true
			case wmHotKey:
				b.take()
				return 0, true
			}
			return f(m, w, lp)
		}}
		procs.Unlock()
		if call(procSetTimer, uintptr(box), 1, uintptr(barCheck/time.Millisecond), 0) == 0 {
			return fmt.Errorf("consent: timer: %w", windows.GetLastError())
		}
		return nil
	}, b.end)
	if err != nil {
		return nil, err
	}
	b.l = l
	return b, nil
}

// update shows what the presenter has now.
func (b *winBar) update() {
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
	b.l.do(b.sync)
}

// look looks now whether the bar is seen.
func (b *winBar) look() { b.l.do(b.sync) }

// health is BarHealth. A bar whose thread did not look for three rounds counts
// as hidden since then.
func (b *winBar) health() BarHealth {
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

func (b *winBar) close() { b.l.quit() }

// end is the last on the thread.
func (b *winBar) end() {
	b.mu.Lock()
	b.shown = false
	if b.wanted && b.hiddenSince.IsZero() {
		b.hiddenSince = time.Now()
	}
	b.mu.Unlock()
	b.hotKey(false)
	for m, s := range b.strips {
		call(procDestroyWindow, uintptr(s.h))
		delete(b.strips, m)
	}
	for _, a := range b.looks {
		a.free()
	}
}

// hotKey takes Ctrl, Alt and Home while the bar is shown. They only bring the
// keyboard here: what is pressed then is looked at as every press.
func (b *winBar) hotKey(on bool) {
	if on == b.hotkey {
		return
	}
	b.l.mu.Lock()
	box := b.l.box
	b.l.mu.Unlock()
	if !on {
		call(procUnregisterHotKey, uintptr(box), 1)
	} else if call(procRegisterHotKey, uintptr(box), 1, 0x1|0x2|0x4000, vkHome) == 0 {
		b.log.Info("another program has Ctrl, Alt and Home; the bar is reached from the window by F6")
	}
	b.hotkey = on
}

// reach brings the keyboard to the bar.
func (b *winBar) reach() { b.l.do(b.take) }

func (b *winBar) take() {
	var best *strip
	front := hwnd(call(procGetForeground))
	_, at := workArea(front)
	for m, s := range b.strips {
		if s.mapped && (best == nil || m == at) {
			best = s
		}
	}
	if best == nil {
		return
	}
	if front != best.h {
		b.before = front
	}
	call(procSetForeground, uintptr(best.h))
	best.button.h.focus()
}

// inUse is the strip that has the keyboard.
func (b *winBar) inUse() hwnd {
	f := focused()
	for _, s := range b.strips {
		if f != 0 && (f == s.h || call(procIsChild, uintptr(s.h), uintptr(f)) != 0) {
			return s.h
		}
	}
	return 0
}

func (b *winBar) keys(m *msg) bool {
	if m.message != wmKeyDown || b.inUse() == 0 {
		return false
	}
	switch m.w {
	case vkReturn:
		focused().send(bmClick, 0, 0)
		return true
	case vkEscape, vkF6:
		if b.before != 0 {
			call(procSetForeground, uintptr(b.before))
		}
		return true
	}
	return false
}

type found struct {
	r   image.Rectangle
	dpi int
}

var enumMonitor = sync.OnceValue(func() uintptr {
	return windows.NewCallback(func(m, _, _ uintptr, list uintptr) uintptr {
		info := monitorInfo{}
		info.size = uint32(unsafe.Sizeof(info))
		if call(procMonitorInfo, m, uintptr(unsafe.Pointer(&info))) != 0 {
			var x, y uint32
			f := found{r: info.monitor.image(), dpi: 96}
			if p := procMonitorDpi; p.Find() == nil && call(p, m, 0, uintptr(unsafe.Pointer(&x)), uintptr(unsafe.Pointer(&y))) == 0 && x > 0 {
				f.dpi = int(x)
			}
			out := at[[]found](&list)
			*out = append(*out, f)
		}
		return 1
	})
})

// monitors are the screens of the desktop.
func monitors() []found {
	out := new([]found)
	call(procEnumMonitors, 0, 0, enumMonitor(), uintptr(unsafe.Pointer(out)))
	return *out
}

func (b *winBar) lookFor(dpi int) *look {
	a := b.looks[dpi]
	if a == nil {
		a = newLook(dpi)
		b.looks[dpi] = a
	}
	return a
}

// restyle takes over changed settings.
func (b *winBar) restyle() {
	for m, s := range b.strips {
		call(procDestroyWindow, uintptr(s.h))
		delete(b.strips, m)
	}
	for d, a := range b.looks {
		a.free()
		delete(b.looks, d)
	}
	b.sync()
}

// sync makes the strips what the presenter says and looks whether they are seen.
func (b *winBar) sync() {
	text, wanted := b.p.bar()
	have := map[image.Rectangle]bool{}
	if wanted {
		for _, m := range monitors() {
			s := b.strips[m.r]
			if s != nil && s.dpi != dpiOfMonitor(m) {
				call(procDestroyWindow, uintptr(s.h))
				s = nil
			}
			if s == nil {
				if s = b.newStrip(m); s == nil {
					b.log.Warn("the bar could not be made", "cause", windows.GetLastError())
					continue
				}
				b.strips[m.r] = s
			}
			have[m.r] = true
			s.update(text)
		}
	}
	for m, s := range b.strips {
		if !have[m] {
			call(procDestroyWindow, uintptr(s.h))
			delete(b.strips, m)
		}
	}
	b.hotKey(len(b.strips) > 0)
	seen := len(have) > 0
	for _, s := range b.strips {
		seen = s.seen() && seen
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

// dpiOfMonitor is the resolution of m. Tests put another here.
var dpiOfMonitor = func(m found) int { return m.dpi }

func (b *winBar) newStrip(m found) *strip {
	s := &strip{bar: b, monitor: m.r, dpi: dpiOfMonitor(m)}
	s.a = b.lookFor(s.dpi)
	s.h = newWindow(className, b.p.w.BarName, wsPopup|wsClip, wsExTopmost|wsExTool|wsExNoActivate|wsExControlParent, 0, 0, s.proc)
	if s.h == 0 {
		return nil
	}
	a := func() *look { return s.a }
	s.name = &ctl{a: a, ground: s.a.c.Raised, ink: s.a.c.Ink, draw: func(*ctl, *paper) {}}
	s.name.draw = s.drawText
	s.name.make("STATIC", "", ssNoPrefix, s.h, 1)
	s.button = &ctl{a: a, ground: s.a.c.Raised, btn: &Button{ID: "stop", Danger: true}, draw: drawBarButton(s)}
	s.button.msg = func(msg uint32, _, _ uintptr) (uintptr, bool) {
		if msg == wmLButtonDown { // at the press: a hand that trembles off the button still stops
			s.act()
			return 0, true
		}
		return 0, false
	}
	s.button.make("BUTTON", "", wsTab, s.h, 2)
	if b.open != nil {
		s.chevron = &ctl{a: a, ground: s.a.c.Raised, btn: &Button{ID: "open"}, draw: drawChevron}
		s.chevron.make("BUTTON", b.p.w.BarOpen, wsTab, s.h, 3)
	}
	return s
}

func (s *strip) act() {
	id := "stop"
	if s.text.Action == Resume {
		id = "resume"
	}
	s.bar.p.press(id, input{})
}

func (s *strip) proc(m uint32, w, l uintptr) (uintptr, bool) {
	switch m {
	case wmMouseActivate:
		return 3, true // MA_NOACTIVATE: what is being used stays so
	case wmEraseBkgnd:
		return 1, true
	case wmPaint:
		painting(s.h, func(dc uintptr) {
			if s.pic != nil {
				s.pic.show(dc, image.Point{})
			}
		})
		return 0, true
	case wmCommand:
		switch {
		case high(w) != bnClicked:
		case hwnd(l) == s.button.h:
			s.act()
		case s.chevron != nil && hwnd(l) == s.chevron.h:
			s.bar.open()
		}
		return 0, true
	case wmLButtonDown:
		call(procSetCapture, uintptr(s.h))
		s.dragging, s.drag = true, image.Pt(low(l), high(l))
		return 0, true
	case wmMouseMove:
		if s.dragging {
			s.r = s.r.Add(image.Pt(low(l), high(l)).Sub(s.drag))
			s.place()
		}
		return 0, true
	case wmLButtonUp, wmCaptureLost:
		if s.dragging {
			s.dragging = false
			call(procReleaseCapture)
		}
		return 0, true
	case wmClose:
		return 0, true // nobody takes it away
	case wmSettingChange, wmSysColor, wmThemeChanged:
		s.bar.l.do(s.bar.restyle)
		return 0, false
	case wmDisplayChange, wmDpiChanged:
		s.bar.l.do(s.bar.sync)
		return 0, true
	}
	return 0, false
}

// place puts the window at s.r, whole inside its monitor.
func (s *strip) place() {
	m, p := s.monitor, s.r.Min
	p.X = max(m.Min.X, min(p.X, m.Max.X-s.r.Dx()))
	p.Y = max(m.Min.Y, min(p.Y, m.Max.Y-s.r.Dy()))
	s.r = s.r.Add(p.Sub(s.r.Min))
	if s.h.bounds() != s.r {
		s.h.place(s.r)
	}
}

// update paints the strip when what it shows has changed.
func (s *strip) update(text Bar) {
	text.Fraction = math.Round(text.Fraction*96) / 96 // a quarter of an hour is what the ring can show
	if s.mapped && s.text == text {
		return // drawing the same again would be a change of the screen for whoever captures it
	}
	s.text = text
	a := s.a
	c := &a.c
	bold, plain := a.font(14, true), a.font(14, false)
	width := func(f uintptr, t string) int { return a.measure(f, t, 0, dtNoPrefix).X }
	h, pad, gap, ring := a.u(barHeight), a.u(14), a.u(10), a.u(18)
	bw := width(bold, text.Button) + a.u(44)
	chev := 0
	if s.chevron != nil {
		chev = a.u(36)
	}
	fixed := pad + ring + gap + 2*gap + bw + chev + a.u(6)
	limit := min(s.monitor.Dx()-2*a.u(barMargin), a.u(760)) - fixed
	sep := width(plain, "  ·  ")
	left, name := text.Left, text.Who
	need := func() int {
		n := width(bold, name) + sep + width(plain, text.Doing)
		if left != "" {
			n += sep + width(plain, left)
		}
		return n
	}
	if need() > limit {
		left = "" // what is on matters more than until when
	}
	if over := need() - limit; over > 0 {
		name = a.fit(bold, name, max(a.u(60), width(bold, name)-over))
	}
	w := min(fixed+need(), s.monitor.Dx())
	if s.r.Dx() != w || s.r.Dy() != h {
		// keep the middle where it is; new ones stand at the top, in the middle
		mid, top := s.monitor.Min.X+s.monitor.Dx()/2, s.monitor.Min.Y+a.u(barMargin)
		if s.mapped {
			mid, top = s.r.Min.X+s.r.Dx()/2, s.r.Min.Y
		}
		s.r = image.Rect(0, 0, w, h).Add(image.Pt(mid-w/2, top))
		s.place()
	}
	p := a.paper(image.Pt(w, h), c.Raised)
	ink, _ := a.tone(text.Tone)
	p.frame(p.Bounds(), 0, max(1, a.k), c.Line)
	p.fill(image.Rect(0, 0, a.u(4), h), ink)
	x, cy := pad, float64(h)/2
	r := float64(ring) / 2
	p.arc(float64(x)+r, cy, r-1.5*a.k, 2.5*a.k, 1, c.Line)
	if text.Fraction >= 0 {
		p.arc(float64(x)+r, cy, r-1.5*a.k, 2.5*a.k, text.Fraction, c.Accent)
	}
	p.disc(float64(x)+r, cy, 3*a.k, ink)
	x += ring + gap
	say := func(f uintptr, t string, col color.RGBA) {
		n := width(f, t)
		p.write(f, image.Rect(x, 0, x+n+a.u(2), h), t, col, dtSingle|dtVCenter|dtNoPrefix)
		x += n
	}
	say(bold, name, c.Ink)
	say(plain, "  ·  ", c.Muted)
	say(plain, text.Doing, ink)
	whole := text.Who + ", " + text.Doing
	if left != "" {
		say(plain, "  ·  ", c.Muted)
		say(plain, left, c.Muted)
	}
	if text.Left != "" {
		whole += ", " + text.Left
	}
	s.pic = p
	x += 2 * gap
	// the text is one pixel of the window and the name of the group for who
	// does not see it
	s.name.h.setText(s.bar.p.w.BarName + ": " + whole)
	s.name.h.place(image.Rect(0, 0, 1, 1))
	s.button.btn.Danger, s.button.btn.Primary = text.Action == Stop, text.Action == Resume
	label := mnemonics([]string{text.Button})[0]
	s.button.label = text.Button
	s.button.h.setText(label)
	s.button.h.place(image.Rect(x, a.u(4), x+bw, h-a.u(4)))
	s.button.h.invalidate()
	if s.chevron != nil {
		s.chevron.h.place(image.Rect(x+bw, a.u(4), x+bw+chev, h-a.u(4)))
	}
	s.h.invalidate()
	if !s.mapped {
		s.mapped = true
		call(procShowWindow, uintptr(s.h), swShowNoActivate)
		s.raise()
	}
}

// drawText is the one pixel of the text for screen readers: nothing is seen of it.
func (s *strip) drawText(_ *ctl, p *paper) {
	ink, _ := s.a.tone(s.text.Tone)
	p.fill(p.Bounds(), ink)
}

func drawBarButton(s *strip) func(c *ctl, p *paper) {
	return func(c *ctl, p *paper) {
		a := p.a
		r := p.Bounds()
		in := r.Inset(a.u(3))
		fill, on := a.c.Danger, a.c.OnDanger
		if s.text.Action == Resume {
			fill, on = a.c.Accent, a.c.OnAccent
		}
		if c.hot && !a.contrast {
			fill = mix(fill, a.c.Ink, 0.15)
		}
		p.round(in, 6*a.k, fill)
		if a.contrast {
			p.frame(in, 6*a.k, max(1, a.k), a.c.Ink)
		}
		cy := float64(r.Dy()) / 2
		x := in.Min.X + a.u(12)
		if s.text.Action == Stop {
			q := a.u(9)
			p.fill(image.Rect(x, (r.Dy()-q)/2, x+q, (r.Dy()-q)/2+q), on)
		} else {
			f := float64(x)
			p.path(on, in, triangle(f, cy-5*a.k, f, cy+5*a.k, f+9*a.k, cy))
		}
		p.write(a.font(14, true), image.Rect(x+a.u(16), 0, r.Dx(), r.Dy()), c.label, on, dtSingle|dtVCenter|dtNoPrefix)
		c.ring(p, r)
	}
}

func drawChevron(c *ctl, p *paper) {
	a := p.a
	r := p.Bounds()
	if c.hot {
		p.round(r, 6*a.k, a.c.PlainWash)
	}
	mx, cy, d := float64(r.Dx())/2, float64(r.Dy())/2, 4.5*a.k
	p.line(mx-d, cy-d/2, mx+0.3, cy+d/2, 1.8*a.k, a.c.Muted)
	p.line(mx-0.3, cy+d/2, mx+d, cy-d/2, 1.8*a.k, a.c.Muted)
	c.ring(p, r)
}

// raise puts the window on top, at most ten times a second, and once a second
// when that did not help within HiddenLimit: two programs that both want it
// must not burn the computer.
func (s *strip) raise() {
	s.bar.mu.Lock()
	pause := 100 * time.Millisecond
	if h := s.bar.hiddenSince; !h.IsZero() && time.Since(h) > HiddenLimit {
		pause = time.Second
	}
	s.bar.mu.Unlock()
	if time.Since(s.raised) < pause {
		return
	}
	s.raised = time.Now()
	top := ^uintptr(0) // HWND_TOPMOST
	call(procSetWindowPos, uintptr(s.h), top, 0, 0, 0, 0, swpNoMove|swpNoSize|swpNoActivate)
}

// seen looks whether s is shown, in its place and under nothing, and repairs
// what is not so. What it repairs counts as not seen until the next look.
func (s *strip) seen() bool {
	if !s.mapped {
		return false
	}
	if !s.h.visible() || call(procIsIconic, uintptr(s.h)) != 0 {
		call(procShowWindow, uintptr(s.h), swShowNoActivate)
		s.raise()
		return false
	}
	if s.h.bounds() != s.r && !s.dragging {
		s.h.place(s.r)
		return false
	}
	// What a click would meet is what is seen. Overlays that let clicks
	// through, which drivers and screen dimmers use, do not count.
	for i := range 5 {
		x := s.r.Min.X + a4(s.r.Dx(), i)
		y := s.r.Min.Y + s.r.Dy()/2
		h := hwnd(call(procWindowFromPoint, uintptr(uint32(int32(x)))|uintptr(uint32(int32(y)))<<32))
		if h != 0 && h != s.h && hwnd(call(procAncestor, uintptr(h), gaRoot)) != s.h {
			s.raise()
			return false
		}
	}
	return true
}

// a4 is the i-th of five places over a width, the outer ones inside it.
func a4(width, i int) int { return 3 + (width-7)*i/4 }
