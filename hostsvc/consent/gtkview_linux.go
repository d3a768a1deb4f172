package consent

import (
	"errors"
	"fmt"
	"image/color"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Layout of the window at 96 dpi. GTK scales by whole numbers itself; what the
// system's text size and resolution ask for beyond that is gtkView.k.
const (
	winWidth = 520
	winChars = 52
)

// gtkView is the window in GTK 3. Everything under "GTK's thread" is touched
// by run's goroutine alone, which is locked to its OS thread.
type gtkView struct {
	p    *presenter
	log  *slog.Logger
	bar  *bar
	done chan struct{} // the thread has left GTK, or is stuck in it for ever
	once sync.Once

	mu      sync.Mutex // guards the next two
	queue   []func()
	stopped bool

	// GTK's thread
	win, body, foot, title, ring, lead, scroll obj
	hold                                       obj // in scroll; holds body
	css                                        obj
	dark                                       bool
	k                                          float64 // 1 at 96 dpi
	page                                       Page
	ids                                        []uintptr // handlers of the page
	blocks                                     map[string]*gtkBlock
	buttons                                    map[string]obj
	code                                       [2]obj
	full                                       bool // eight digits are there
	link, chooser                              obj
	quiet                                      bool // we change a widget ourselves
	drain                                      uintptr
	settings                                   obj
}

// gtkBlock is the widgets of one Block.
type gtkBlock struct {
	b                   Block
	box                 obj // what is in the page; class carries the tone
	text, detail, aside obj
	tone                string
	fraction            float64
}

// openGTK opens the window. It fails with an error where GTK or a display is missing.
func openGTK(p *presenter, log *slog.Logger) (*gtkView, error) {
	if err := loadGTK(); err != nil {
		return nil, err
	}
	v := &gtkView{p: p, log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go v.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return v, nil
}

// run is GTK's thread.
func (v *gtkView) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer v.finish()
	gtk.allowBackends("x11")
	gtk.setPrgname("daypass-host")
	tameBus()
	if !gtk.initCheck(0, 0) {
		started <- errors.New("consent: GTK cannot open the display")
		return
	}
	c := calls()
	handlers.Lock()
	handlers.m[lostID] = func(uintptr) uintptr {
		// Xlib ends the process when this returns. It must not: the session
		// has to be ended and removed by then. So this thread stays here.
		v.log.Warn("the connection of the window to the display was lost")
		v.finish()
		select {}
	}
	handlers.Unlock()
	gtk.ioErrorHandler(c.ioError)
	filter := register(func(ev uintptr) uintptr {
		if v.pass(ev) {
			gtk.doEvent(ev)
		}
		return 0
	})
	gtk.eventHandler(c.handler, filter, 0)
	v.drain = register(func(uintptr) uintptr { v.work(); return 0 })
	tick := register(func(uintptr) uintptr { v.pulse(); return 1 })
	gtk.timeoutAdd(120, c.pulse, tick)
	v.build()
	started <- nil
	gtk.main()
	v.endSave(0)
	gtk.destroy(v.win)
	gtk.eventHandler(0, 0, 0)
	unregister(append(v.ids, filter, v.drain, tick)...)
}

func (v *gtkView) finish() {
	v.once.Do(func() {
		v.mu.Lock()
		v.stopped = true
		v.mu.Unlock()
		close(v.done)
	})
}

// do runs f on GTK's thread, later.
func (v *gtkView) do(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stopped {
		return
	}
	v.queue = append(v.queue, f)
	if len(v.queue) == 1 {
		gtk.idleAdd(calls().idle, v.drain)
	}
}

func (v *gtkView) work() {
	v.mu.Lock()
	q := v.queue
	v.queue = nil
	v.mu.Unlock()
	for _, f := range q {
		f()
	}
}

// Show replaces what is shown.
func (v *gtkView) Show(m Model) {
	v.p.show(m)
	if v.bar != nil {
		v.bar.update()
	}
	v.do(v.render)
}

// Actions gives what the customer did.
func (v *gtkView) Actions() <-chan Action { return v.p.actions }

// Bar tells whether the bar is seen.
func (v *gtkView) Bar() BarHealth { return barHealth(v.p, v.bar) }

// Close takes everything away.
func (v *gtkView) Close() error {
	v.do(func() {
		v.mu.Lock()
		v.stopped = true
		v.mu.Unlock()
		gtk.quit()
	})
	<-v.done
	if v.bar != nil {
		v.bar.close()
	}
	v.p.close()
	return nil
}

// pass decides about every event before GTK sees it.
func (v *gtkView) pass(ev uintptr) bool {
	t := gtk.eventType(ev)
	press := false
	switch {
	case t >= gdkButtonPress && t <= gdkKeyPress, t == gdkScroll, t >= gdkTouchBegin && t <= gdkTouchEnd:
		press = true
	}
	if !press || t == gdkButtonRelease {
		return true
	}
	o := origin{sent: sentEvent(ev)}
	if d := gtk.eventSource(ev); d != 0 {
		o.known, o.name = true, gtk.deviceName(d)
	}
	if v.p.accepts(o) {
		return true
	}
	if t != gdkScroll {
		v.log.Info("a click or key in the window that no person made was ignored")
	}
	return false
}

// present shows the window over others.
func (v *gtkView) present() { v.do(func() { gtk.windowPresent(v.win) }) }

func (v *gtkView) build() {
	c := calls()
	v.win = gtk.windowNew(0)
	v.settings = gtk.settings()
	v.css = gtk.cssNew()
	gtk.cssAdd(gtk.screenDefault(), v.css, 800)
	v.appearance()
	look := register(func(uintptr) uintptr { v.appearance(); return 0 })
	gtk.connect(v.settings, "notify::gtk-theme-name", c.notify, look, 0, 0)
	if s := desktopSettings(); s != 0 {
		gtk.connect(s, "changed::color-scheme", c.notify, look, 0, 0)
	}
	gtk.windowTitle(v.win, v.p.w.WindowTitle)
	gtk.windowSize(v.win, v.px(winWidth), -1)
	gtk.windowPos(v.win, 3) // in the middle, also when a page is longer
	gtk.windowIcon(v.win, "help-browser")
	class(v.win, "daypass")
	shut := register(func(uintptr) uintptr {
		v.p.shut()
		v.render()
		return 1
	})
	gtk.connect(v.win, "delete-event", c.event, shut, 0, 0)

	all := gtk.boxNew(1, 0)
	// the height a window needs is that at its least width: make it this one
	gtk.sizeRequest(all, v.px(winWidth), -1)
	gtk.add(v.win, all)
	head := gtk.boxNew(1, 0)
	class(head, "head")
	gtk.packStart(all, head, false, false, 0)
	row := gtk.boxNew(0, 10)
	gtk.packStart(head, row, false, false, 0)
	v.ring = gtk.drawingNew()
	gtk.sizeRequest(v.ring, v.px(22), v.px(22))
	gtk.valign(v.ring, gtkAlignCenter)
	logo := register(func(cr uintptr) uintptr { v.drawRing(cr, 22*v.k, 3.5*v.k, 0.78); return 0 })
	gtk.connect(v.ring, "draw", c.draw, logo, 0, 0)
	gtk.packStart(row, v.ring, false, false, 0)
	v.lead = label("", "lead")
	gtk.packStart(row, v.lead, true, true, 0)
	v.title = label("", "title")
	gtk.packStart(head, v.title, false, false, 0)

	v.scroll = gtk.scrolledNew(0, 0)
	gtk.scrolledPol(v.scroll, 2, 1) // never sideways, downwards when needed
	v.hold = gtk.boxNew(1, 0)
	gtk.add(v.scroll, v.hold)
	gtk.packStart(all, v.scroll, true, true, 0)
	v.foot = gtk.boxNew(0, 10)
	class(v.foot, "foot")
	gtk.packEnd(all, v.foot, false, false, 0)
	v.render()
	gtk.showAll(v.win)
	gtk.windowPresent(v.win)
}

// render shows the presenter's page.
func (v *gtkView) render() {
	p := v.p.page()
	gtk.windowTitle(v.win, p.Window)
	gtk.labelText(v.title, p.Title)
	lead := p.Lead
	if lead == "" {
		lead = v.p.w.Product
	}
	gtk.labelText(v.lead, lead)
	v.quiet = true
	defer func() { v.quiet = false }()
	if p.Key == v.page.Key && v.body != 0 {
		for i := range p.Blocks {
			v.refresh(v.blocks[p.Blocks[i].ID], p.Blocks[i])
		}
		v.page = p
		return
	}
	// what was typed survives a problem that is shown below it
	was := input{}
	same := strings.SplitN(p.Key, "|", 2)[0] == strings.SplitN(v.page.Key, "|", 2)[0]
	if same {
		was = v.input()
	}
	m, _ := v.p.current()
	if m.Code == CodeWrong || m.Code == CodeNew {
		if v.p.problem() == "" {
			was.Code = ""
		}
	}
	if v.body != 0 {
		gtk.destroy(v.body)
	}
	for _, b := range v.buttons {
		gtk.destroy(b)
	}
	unregister(v.ids...)
	v.ids, v.blocks, v.buttons = nil, map[string]*gtkBlock{}, map[string]obj{}
	v.code, v.link = [2]obj{}, 0
	v.body = gtk.boxNew(1, 0)
	class(v.body, "body")
	var card obj
	for i := range p.Blocks {
		b := p.Blocks[i]
		if b.Kind == BlockCheck || b.Kind == BlockSwitch || b.Kind == BlockPick {
			if card == 0 {
				card = gtk.boxNew(1, 0)
				class(card, "card")
				gtk.packStart(v.body, card, false, false, 0)
			}
			g := v.block(b)
			v.blocks[b.ID] = g
			gtk.packStart(card, g.box, false, false, 0)
			continue
		}
		card = 0
		g := v.block(b)
		v.blocks[b.ID] = g
		gtk.packStart(v.body, g.box, false, false, 0)
	}
	gtk.packStart(v.hold, v.body, true, true, 0)
	v.footer(p)
	v.page = p
	gtk.showAll(v.scroll)
	gtk.showAll(v.foot)
	gtk.visible(v.foot, len(p.Buttons) > 0)
	if was.Link != "" && v.link != 0 {
		gtk.entryText(v.link, was.Link)
	}
	if was.Code != "" && v.code[0] != 0 {
		v.setCode(was.Code)
	}
	var least, natural int32
	gtk.heightFor(v.hold, v.px(winWidth), &least, &natural)
	gtk.scrolledMin(v.scroll, min(natural, max(240, gtk.screenHeight(gtk.screenDefault())-v.px(270))))
	gtk.windowResize(v.win, v.px(winWidth), 1)
	v.focus(p.Focus)
	if (m.Screen == Removed || m.Screen == Refused || !m.RebootAt.IsZero()) && !same {
		gtk.windowPresent(v.win) // the last word is seen, also by who had put the window away
	}
}

func (v *gtkView) footer(p Page) {
	for i, b := range p.Buttons {
		w := gtk.buttonNew(b.Text)
		switch {
		case b.Danger:
			class(w, "stop")
		case b.Primary:
			class(w, "primary")
		}
		id := b.ID
		v.on(w, "clicked", func() {
			if id == "save-receipt" {
				v.save()
				return
			}
			if v.p.press(id, v.input()) {
				v.render()
			}
		})
		if i == 0 && len(p.Buttons) > 1 {
			gtk.packStart(v.foot, w, false, false, 0)
		} else {
			gtk.packEnd(v.foot, w, false, false, 0)
		}
		v.buttons[b.ID] = w
		if b.Primary {
			gtk.canDefault(w, true)
			gtk.windowDefault(v.win, w)
		}
	}
}

func (v *gtkView) focus(id string) {
	switch {
	case id == "code" && v.code[0] != 0:
		// Eight digits that did not do are selected from the start: who types
		// them again just types.
		if n := len(gtk.entryGet(v.code[0])) + len(gtk.entryGet(v.code[1])); n >= 4 && n < 8 {
			gtk.grabFocus(v.code[1])
		} else {
			gtk.grabFocus(v.code[0])
		}
	case id == "link" && v.link != 0:
		gtk.grabFocus(v.link)
	case v.buttons[id] != 0:
		gtk.grabFocus(v.buttons[id])
	}
}

func (v *gtkView) input() input {
	var in input
	if v.link != 0 {
		in.Link = gtk.entryGet(v.link)
	}
	if v.code[0] != 0 {
		in.Code = gtk.entryGet(v.code[0]) + gtk.entryGet(v.code[1])
	}
	return in
}

// on connects a signal of the page.
func (v *gtkView) on(w obj, signal string, f func()) {
	id := register(func(uintptr) uintptr { f(); return 0 })
	v.ids = append(v.ids, id)
	fn := calls().plain
	if strings.HasPrefix(signal, "notify::") {
		fn = calls().notify
	}
	gtk.connect(w, signal, fn, id, 0, 0)
}

func class(w obj, names ...string) {
	s := gtk.styleOf(w)
	for _, n := range names {
		gtk.addClass(s, n)
	}
}

func label(s string, classes ...string) obj {
	l := gtk.labelNew(s)
	gtk.labelAlign(l, 0)
	gtk.labelWrap(l, true)
	gtk.labelWrapMode(l, 2)
	gtk.labelMax(l, winChars)
	class(l, classes...)
	return l
}

func name(w obj, s string) { gtk.atkName(gtk.accessible(w), s) }

var toneClass = map[Tone]string{Plain: "plain", Muted: "muted", Good: "good", Waiting: "waiting", Quiet: "quiet", Danger: "danger"}

// pickText is a row to press, with its present value.
func pickText(b Block) string {
	if b.Detail == "" {
		return b.Text
	}
	return b.Text + "  ·  " + b.Detail
}

// block makes the widgets of b.
func (v *gtkView) block(b Block) *gtkBlock {
	g := &gtkBlock{b: b, fraction: b.Fraction}
	switch b.Kind {
	case BlockHead:
		g.box = label(b.Text, "section")
		g.text = g.box
	case BlockStatus:
		g.box = label("", "status")
		g.text = g.box
	case BlockNote:
		g.box = gtk.boxNew(1, 2)
		class(g.box, "note")
		g.text = label("", "note-text")
		gtk.packStart(g.box, g.text, false, false, 0)
		if b.Detail != "" {
			g.detail = label(b.Detail, "note-detail")
			gtk.packStart(g.box, g.detail, false, false, 0)
			class(g.text, "strong")
		}
	case BlockField:
		g.box = gtk.boxNew(1, 6)
		class(g.box, "field")
		gtk.packStart(g.box, label(b.Label, "field-label"), false, false, 0)
		v.link = gtk.entryNew()
		gtk.entryDefault(v.link, true)
		gtk.entryHint(v.link, "https://…")
		name(v.link, b.Label)
		gtk.packStart(g.box, v.link, false, false, 0)
	case BlockCode:
		v.codeBlock(g)
	case BlockCheck:
		g.box = gtk.checkNew(b.Text)
		class(g.box, "row")
		gtk.toggleSet(g.box, b.On)
		r := b.Right
		v.on(g.box, "toggled", func() {
			if !v.quiet {
				v.p.set(r, gtk.toggleGet(g.box))
				v.do(v.render)
			}
		})
	case BlockSwitch:
		g.box = gtk.boxNew(0, 12)
		class(g.box, "row")
		g.text = label(b.Text)
		gtk.packStart(g.box, g.text, true, true, 0)
		g.aside = gtk.switchNew()
		gtk.valign(g.aside, gtkAlignCenter)
		name(g.aside, b.Text)
		gtk.switchSet(g.aside, b.On)
		gtk.packEnd(g.box, g.aside, false, false, 0)
		r := b.Right
		v.on(g.aside, "notify::active", func() {
			if !v.quiet {
				v.p.set(r, gtk.switchGet(g.aside))
			}
		})
	case BlockPick:
		g.box = gtk.buttonNew(pickText(b))
		class(g.box, "pick")
		id := b.ID
		v.on(g.box, "clicked", func() {
			if v.p.press(id, v.input()) {
				v.do(v.render)
			}
		})
		g.text = gtk.binChild(g.box)
		gtk.labelAlign(g.text, 0)
	case BlockRing:
		g.box = gtk.boxNew(0, 12)
		class(g.box, "time")
		g.aside = gtk.drawingNew()
		gtk.sizeRequest(g.aside, v.px(34), v.px(34))
		gtk.valign(g.aside, gtkAlignCenter)
		id := register(func(cr uintptr) uintptr { v.drawRing(cr, 34*v.k, 4.5*v.k, g.fraction); return 0 })
		v.ids = append(v.ids, id)
		gtk.connect(g.aside, "draw", calls().draw, id, 0, 0)
		gtk.packStart(g.box, g.aside, false, false, 0)
		texts := gtk.boxNew(1, 0)
		g.text, g.detail = label(b.Text, "strong"), label(b.Detail, "muted")
		gtk.packStart(texts, g.text, false, false, 0)
		gtk.packStart(texts, g.detail, false, false, 0)
		gtk.packStart(g.box, texts, true, true, 0)
	case BlockProgress:
		g.box = gtk.boxNew(1, 10)
		class(g.box, "progress")
		g.text = label(b.Text)
		g.aside = gtk.progressNew()
		name(g.aside, b.Text)
		gtk.packStart(g.box, g.text, false, false, 0)
		gtk.packStart(g.box, g.aside, false, false, 0)
	case BlockList:
		g.box = gtk.boxNew(1, 0)
		class(g.box, "card", "list")
		g.b.Items = nil
	case BlockDetails:
		g.box = gtk.expanderNew(b.Label)
		class(g.box, "details")
		g.text = label(b.Text, "mono")
		gtk.labelSelect(g.text, true)
		gtk.add(g.box, g.text)
	default:
		g.box = label(b.Text, "text")
		g.text = g.box
	}
	v.refresh(g, b)
	return g
}

// refresh gives g the values of b, which has the same kind.
func (v *gtkView) refresh(g *gtkBlock, b Block) {
	if g == nil {
		return
	}
	if c := toneClass[b.Tone]; c != g.tone {
		s := gtk.styleOf(g.box)
		if g.tone != "" {
			gtk.removeClass(s, g.tone)
		}
		gtk.addClass(s, c)
		g.tone = c
	}
	text := b.Text
	if b.Kind == BlockPick {
		text = pickText(b)
	}
	if b.Kind == BlockStatus || b.Kind == BlockNote {
		if s := b.Tone.Glyph(); s != "" {
			text = s + "  " + text
		}
	}
	switch b.Kind {
	case BlockCheck:
		if gtk.toggleGet(g.box) != b.On {
			gtk.toggleSet(g.box, b.On)
		}
	case BlockSwitch:
		if gtk.switchGet(g.aside) != b.On {
			gtk.switchSet(g.aside, b.On)
		}
	case BlockRing:
		if g.fraction != b.Fraction {
			g.fraction = b.Fraction
			gtk.queueDraw(g.aside)
		}
	case BlockProgress:
		g.fraction = b.Fraction
		if b.Fraction >= 0 {
			gtk.progressSet(g.aside, b.Fraction)
		}
	case BlockList:
		v.list(g, b)
	}
	if g.text != 0 {
		gtk.labelText(g.text, text)
	}
	if g.detail != 0 {
		gtk.labelText(g.detail, b.Detail)
	}
	g.b = b
}

// list fills a list anew when its rows have changed.
func (v *gtkView) list(g *gtkBlock, b Block) {
	if g.text == 0 && g.aside != 0 && slices.Equal(g.b.Items, b.Items) {
		return
	}
	if g.aside != 0 {
		gtk.destroy(g.aside)
	}
	g.aside = gtk.boxNew(1, 0)
	for _, it := range b.Items {
		row := gtk.boxNew(0, 12)
		class(row, "item")
		if it.Lead != "" {
			l := label(it.Lead, "when")
			gtk.valign(l, gtkAlignStart)
			gtk.packStart(row, l, false, false, 0)
		}
		gtk.packStart(row, label(it.Text), true, true, 0)
		gtk.packStart(g.aside, row, false, false, 0)
	}
	gtk.add(g.box, g.aside)
	gtk.showAll(g.aside)
}

// codeBlock makes the two fields of four digits. Digits that are too many for
// the first go on in the second, so that pasting the whole code works in both.
func (v *gtkView) codeBlock(g *gtkBlock) {
	g.box = gtk.boxNew(0, 14)
	class(g.box, "code")
	gtk.halign(g.box, gtkAlignStart)
	for i := range v.code {
		e := gtk.entryNew()
		v.code[i] = e
		gtk.entryWidth(e, 5)
		gtk.entryAlign(e, 0.5)
		gtk.entryPurpose(e, 2)
		gtk.entryDefault(e, true)
		class(e, "digits")
		name(e, []string{g.b.Label, g.b.Label2}[i])
		gtk.packStart(g.box, e, false, false, 0)
		v.on(e, "changed", func() {
			if !v.quiet {
				v.do(func() { v.typed(i) }) // not inside the change itself
			}
		})
	}
	id := register(func(ev uintptr) uintptr {
		var key uint32
		if gtk.eventKeyval(ev, &key) && key == gdkKeyBackspace && v.code[1] != 0 && gtk.entryGet(v.code[1]) == "" {
			gtk.grabFocus(v.code[0])
			gtk.entryPosition(v.code[0], -1)
			return 1
		}
		return 0
	})
	v.ids = append(v.ids, id)
	gtk.connect(v.code[1], "key-press-event", calls().event, id, 0, 0)
}

// typed orders the digits after field i changed.
func (v *gtkView) typed(i int) {
	if v.code[0] == 0 {
		return
	}
	a, b := gtk.entryGet(v.code[0]), gtk.entryGet(v.code[1])
	x, y := halves(i, a, b, v.full)
	v.full = len(x)+len(y) == 8
	v.quiet = true
	if x != a {
		gtk.entryText(v.code[0], x)
		gtk.entryPosition(v.code[0], -1)
	}
	if y != b {
		gtk.entryText(v.code[1], y)
		gtk.entryPosition(v.code[1], -1)
	}
	v.quiet = false
	if i == 0 && len(x) == 4 && len(a) >= 4 {
		gtk.grabFocus(v.code[1])
		gtk.entryPosition(v.code[1], -1)
	}
}

func (v *gtkView) setCode(s string) {
	s = digits(s)
	gtk.entryText(v.code[0], s[:min(4, len(s))])
	gtk.entryText(v.code[1], s[min(4, len(s)):])
	v.full = len(s) == 8
}

// pulse moves bars whose end is not known.
func (v *gtkView) pulse() {
	for _, g := range v.blocks {
		if g.b.Kind == BlockProgress && g.fraction < 0 {
			gtk.progressPulse(g.aside)
		}
	}
}

func (v *gtkView) drawRing(cr obj, size, width, fraction float64) {
	c := &light
	if v.dark {
		c = &dark
	}
	set := func(k color.RGBA) {
		gtk.cairoColor(cr, float64(k.R)/255, float64(k.G)/255, float64(k.B)/255)
	}
	r := size/2 - width/2
	gtk.cairoWidth(cr, width)
	set(c.Line)
	gtk.cairoArc(cr, size/2, size/2, r, 0, 2*math.Pi)
	gtk.cairoStroke(cr)
	if fraction > 0 {
		set(c.Accent)
		gtk.cairoArc(cr, size/2, size/2, r, -math.Pi/2, -math.Pi/2+2*math.Pi*min(1, fraction))
		gtk.cairoStroke(cr)
	}
}

// save asks where the receipt goes. It does not wait for the answer, so that
// the window can be closed under it.
func (v *gtkView) save() {
	if v.chooser != 0 {
		return
	}
	w := v.p.w
	d := gtk.chooserNew(w.SaveTitle, v.win, 1, w.SaveReceipt, w.Back)
	v.chooser = d
	def := ReceiptPath(w.Lang)
	gtk.chooserAsk(d, true)
	gtk.chooserModal(d, true)
	gtk.chooserFolder(d, filepath.Dir(def))
	gtk.chooserName(d, filepath.Base(def))
	var id uintptr
	id = register(func(response uintptr) uintptr {
		path := ""
		if int32(response) == gtkResponseAccept {
			path = takeString(gtk.chooserFile(d))
		}
		v.do(func() { v.endSave(id) }) // not inside its own signal
		if path != "" {
			v.p.press("save-receipt", input{Path: path})
		}
		return 0
	})
	gtk.connect(d, "response", calls().notify, id, 0, 0)
	gtk.chooserShow(d)
}

func (v *gtkView) endSave(id uintptr) {
	unregister(id)
	if v.chooser != 0 {
		gtk.chooserEnd(v.chooser)
		gtk.unref(v.chooser)
		v.chooser = 0
	}
}

// desktopSettings is GSettings of the desktop when it tells a colour scheme.
func desktopSettings() obj {
	if !hasBus() {
		return 0
	}
	src := gtk.schemaDefault()
	if src == 0 {
		return 0
	}
	s := gtk.schemaLookup(src, "org.gnome.desktop.interface", true)
	if s == 0 || !gtk.schemaHasKey(s, "color-scheme") {
		return 0
	}
	return gtk.settingsNew("org.gnome.desktop.interface")
}

// isDark tells whether the system wants dark windows.
func (v *gtkView) isDark() bool {
	if t := os.Getenv("GTK_THEME"); t != "" {
		return strings.HasSuffix(strings.ToLower(t), "dark")
	}
	if strings.HasSuffix(strings.ToLower(propString(v.settings, "gtk-theme-name")), "-dark") {
		return true
	}
	if s := desktopSettings(); s != 0 {
		defer gtk.unref(s)
		if takeString(gtk.settingsString(s, "color-scheme")) == "prefer-dark" {
			return true
		}
	}
	return false
}

// appearance follows the system.
func (v *gtkView) appearance() {
	v.dark = v.isDark()
	c := &light
	if v.dark {
		c = &dark
	}
	setPropBool(v.settings, "gtk-application-prefer-dark-theme", v.dark)
	v.k = min(3, max(1, float64(propInt(v.settings, "gtk-xft-dpi"))/1024/96))
	gtk.cssLoad(v.css, css(c, v.k), -1, nil)
	if v.bar != nil {
		v.bar.setDark(v.dark)
	}
	if v.ring != 0 {
		gtk.queueDraw(v.ring)
	}
}

// px is n layout units.
func (v *gtkView) px(n float64) int32 { return int32(n*v.k + 0.5) }

// css is the style sheet for one palette, k times as large. Hairlines stay.
func css(c *palette, k float64) string {
	var large strings.Builder
	for i, part := range strings.Split(sheet, "px") {
		if i > 0 {
			large.WriteString("px")
		}
		text := strings.TrimRight(part, "0123456789")
		if n, err := strconv.Atoi(part[len(text):]); err == nil && n > 2 {
			part = text + strconv.Itoa(int(float64(n)*k+0.5))
		}
		large.WriteString(part)
	}
	h := func(k color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", k.R, k.G, k.B) }
	r := strings.NewReplacer(
		"$paper", h(c.Paper), "$raised", h(c.Raised), "$ink", h(c.Ink), "$muted", h(c.Muted), "$line", h(c.Line),
		"$accenthover", h(mix(c.Accent, c.Ink, 0.15)), "$accent", h(c.Accent), "$onaccent", h(c.OnAccent),
		"$good", h(c.Active), "$waitingwash", h(c.WaitingWash), "$waiting", h(c.Waiting), "$quiet", h(c.Quiet),
		"$dangerwash", h(c.DangerWash), "$dangerhover", h(mix(c.Danger, c.Ink, 0.15)), "$danger", h(c.Danger), "$ondanger", h(c.OnDanger),
		"$activewash", h(c.ActiveWash), "$plainwash", h(c.PlainWash),
		"$field", h(mix(c.Line, c.Muted, 0.45)),
	)
	return r.Replace(large.String())
}

const sheet = `
window.daypass, window.daypass .background { background-color: $paper; background-image: none; color: $ink; }
.daypass label { color: $ink; font-size: 15px; }
.daypass .head { padding: 22px 28px 0 28px; }
.daypass label.lead { color: $muted; font-size: 15px; }
.daypass label.title { font-size: 22px; font-weight: 600; padding-top: 14px; }
.daypass scrolledwindow, .daypass viewport { background-color: $paper; background-image: none; border: none; }
.daypass .body { padding: 10px 28px 20px 28px; }
.daypass label.text { padding: 6px 0; }
.daypass label.muted { color: $muted; font-size: 14px; }
.daypass label.section { font-weight: 600; padding: 16px 0 8px 0; }
.daypass label.strong { font-weight: 600; }
.daypass label.status { font-weight: 600; padding: 6px 0 2px 0; }
.daypass label.status.good { color: $good; }
.daypass label.status.waiting { color: $waiting; }
.daypass label.status.quiet { color: $quiet; }
.daypass label.status.danger { color: $danger; }
.daypass .note { background-color: $plainwash; background-image: none; border: 1px solid $line; border-radius: 8px; padding: 12px 14px; margin-top: 12px; }
.daypass .note.waiting { background-color: $waitingwash; border-color: $waitingwash; }
.daypass .note.waiting label.note-text { color: $waiting; }
.daypass .note.danger { background-color: $dangerwash; border-color: $dangerwash; }
.daypass .note.danger label.note-text { color: $danger; }
.daypass .note.good { background-color: $activewash; border-color: $activewash; }
.daypass .note.good label.note-text { color: $good; }
.daypass label.note-detail { color: $ink; font-size: 14px; }
.daypass .field { padding: 8px 0 4px 0; }
.daypass label.field-label { font-weight: 600; }
.daypass entry { background-color: $raised; background-image: none; color: $ink; caret-color: $ink; border: 1px solid $field; border-radius: 6px; box-shadow: none; min-height: 40px; padding: 0 12px; font-size: 15px; }
.daypass entry:focus { border-color: $accent; box-shadow: inset 0 0 0 1px $accent; }
.daypass entry selection { background-color: $accent; color: $onaccent; }
.daypass entry.digits { font-size: 34px; font-weight: 500; letter-spacing: 6px; min-height: 62px; padding: 0 10px; font-feature-settings: "tnum"; }
.daypass .card { background-color: $raised; background-image: none; border: 1px solid $line; border-radius: 8px; }
.daypass .card .row { padding: 10px 14px; border-top: 1px solid $line; min-height: 24px; }
.daypass .card .row:first-child { border-top: none; }
.daypass .list { padding: 6px 0; }
.daypass .item { padding: 4px 14px; }
.daypass .item label { font-size: 14px; }
.daypass label.when { color: $muted; font-feature-settings: "tnum"; }
.daypass .time { padding: 14px 0 2px 0; }
.daypass .progress { padding: 12px 0; }
.daypass progressbar trough { background-color: $line; background-image: none; border: none; border-radius: 3px; min-height: 6px; }
.daypass progressbar progress { background-color: $accent; background-image: none; border: none; border-radius: 3px; min-height: 6px; }
.daypass label.mono { font-family: monospace; font-size: 12px; color: $muted; padding: 8px 0; }
.daypass .details { margin-top: 14px; color: $muted; }
.daypass .details title label, .daypass .details > label { color: $muted; font-size: 14px; }
.daypass .foot { padding: 14px 28px; border-top: 1px solid $line; background-color: $raised; background-image: none; }
.daypass button.pick { background-color: transparent; background-image: none; border: none; border-radius: 6px; box-shadow: none; text-shadow: none; min-height: 40px; padding: 0 14px; }
.daypass button.pick label { color: $accent; }
.daypass button.pick:hover { background-color: $plainwash; }
.daypass button.pick:focus { outline: 2px solid $accent; outline-offset: -2px; -gtk-outline-radius: 6px; }
.daypass .foot button { background-color: $raised; background-image: none; color: $ink; border: 1px solid $field; border-radius: 6px; box-shadow: none; text-shadow: none; -gtk-icon-shadow: none; min-height: 40px; padding: 0 18px; outline-offset: -1px; }
.daypass .foot button label { color: $ink; font-weight: 600; }
.daypass .foot button:hover { background-color: $plainwash; }
.daypass .foot button:focus { outline: 2px solid $accent; outline-offset: 2px; -gtk-outline-radius: 8px; }
.daypass .foot button.primary { background-color: $accent; border-color: $accent; }
.daypass .foot button.primary:hover { background-color: $accenthover; }
.daypass .foot button.primary label { color: $onaccent; }
.daypass .foot button.stop { background-color: $danger; border-color: $danger; }
.daypass .foot button.stop:hover { background-color: $dangerhover; }
.daypass .foot button.stop label { color: $ondanger; }
.daypass checkbutton:focus, .daypass switch:focus { outline: 2px solid $accent; outline-offset: 2px; -gtk-outline-radius: 6px; }
.daypass checkbutton check { background-color: $raised; background-image: none; border: 1px solid $field; border-radius: 4px; min-width: 18px; min-height: 18px; margin-right: 10px; box-shadow: none; color: $onaccent; -gtk-icon-shadow: none; }
.daypass checkbutton check:checked { background-color: $accent; border-color: $accent; }
.daypass switch { background-color: $line; background-image: none; border: 1px solid $field; border-radius: 13px; color: transparent; box-shadow: none; font-size: 1px; min-height: 22px; min-width: 44px; text-shadow: none; }
.daypass switch:checked { background-color: $accent; border-color: $accent; }
.daypass switch slider { background-color: #ffffff; background-image: none; border: 1px solid $field; border-radius: 11px; min-width: 20px; min-height: 20px; box-shadow: none; margin: 0; }
`
