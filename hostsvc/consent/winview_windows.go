package consent

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"log/slog"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// winWidth is the width of the window's inside, in layout units.
const winWidth = 520

// winView is the window on Windows: controls of the system's on a window of
// ours. Everything under "the loop's thread" is touched by it alone.
type winView struct {
	p   *presenter
	log *slog.Logger
	bar *winBar
	l   *loop

	// the loop's thread
	win, body   hwnd
	look        *look
	page        Page
	head, foot  int // heights
	lead, title *ctl
	parts       []*part
	buttons     []*ctl
	ctls        map[hwnd]*ctl
	code        [2]*ctl
	full        bool // eight digits are there
	link        *ctl
	quiet       bool // we change a control ourselves
	opened      bool // the details are unfolded
	phase       int  // of progress without an end
	deco        []func(c canvas)
	picture     []byte // of the body
	size        image.Point
	offset      int    // of the body in view
	ground      [3]int // what paint depends on
	last        hwnd
	placed      bool
	frame       image.Rectangle // where we put it
	saving      bool
	ids         int
	lists       map[int]*part // by the number of their control
}

// part is the controls of one Block.
type part struct {
	b      Block
	main   *ctl // takes the keyboard, or is the text
	text   *ctl
	detail *ctl
	list   []Item // what the list's control holds
}

// openWin opens the window.
func openWin(p *presenter, log *slog.Logger) (*winView, error) {
	v := &winView{p: p, log: log, ctls: map[hwnd]*ctl{}, lists: map[int]*part{}}
	var err error
	if v.bar, err = newBar(p, v.present, log); err != nil {
		return nil, err
	}
	if _, err = startLoop(p, log, v.build, v.end); err != nil {
		v.bar.close()
		return nil, err
	}
	return v, nil
}

// Show replaces what is shown.
func (v *winView) Show(m Model) {
	v.p.show(m)
	v.bar.update()
	v.l.do(v.render)
}

// Actions gives what the customer did.
func (v *winView) Actions() <-chan Action { return v.p.actions }

// Bar tells whether the bar is seen.
func (v *winView) Bar() BarHealth { return v.bar.health() }

// Close takes window and bar away.
func (v *winView) Close() error {
	v.l.do(v.endSave)
	v.l.quit()
	v.bar.close()
	v.p.close()
	return nil
}

// present shows the window over others.
func (v *winView) present() { v.l.do(v.front) }

func (v *winView) front() {
	if call(procIsIconic, uintptr(v.win)) != 0 {
		call(procShowWindow, uintptr(v.win), swRestore)
	}
	call(procSetForeground, uintptr(v.win))
	if hwnd(call(procGetForeground)) != v.win { // another program is being used: the system lets us ask only
		call(procFlashWindow, uintptr(v.win), 1)
	}
}

func (v *winView) build(l *loop) error {
	v.l = l
	l.main = func() hwnd { return v.win }
	l.keys = v.keys
	v.win = newWindow(className, v.p.w.WindowTitle, wsCaption|wsSysMenu|wsMinimize|wsClip, wsExControlParent, 0, 0, v.proc)
	if v.win == 0 {
		return fmt.Errorf("consent: window: %w", windows.GetLastError())
	}
	v.look = newLook(dpiOf(v.win))
	v.look.frameOf(v.win)
	v.lead = v.label(v.win, "", 15, false)
	v.title = v.label(v.win, "", 22, true)
	v.body = newWindow(className, "", wsChild|wsVisible|wsClip|wsScroll, wsExControlParent, v.win, 0, v.bodyProc)
	if v.body == 0 {
		return fmt.Errorf("consent: window: %w", windows.GetLastError())
	}
	v.look.scrollbars(v.body)
	v.win.send(0x127, 3, 0) // WM_CHANGEUISTATE, UIS_INITIALIZE
	v.render()
	call(procShowWindow, uintptr(v.win), swShow)
	call(procSetForeground, uintptr(v.win))
	v.focus(v.page.Focus)
	return nil
}

// end is the last on the thread.
func (v *winView) end() {
	if v.win != 0 {
		call(procDestroyWindow, uintptr(v.win))
	}
	if v.look != nil {
		v.look.free()
	}
}

func (v *winView) proc(m uint32, w, l uintptr) (uintptr, bool) {
	switch m {
	case wmClose:
		v.p.shut()
		v.l.do(v.render)
		return 0, true
	case wmEraseBkgnd:
		return 1, true
	case wmPaint:
		painting(v.win, v.paint)
		return 0, true
	case wmActivate:
		if low(w) == 0 {
			v.last = focused()
		} else if v.last != 0 {
			v.last.focus()
		} else {
			v.focus(v.page.Focus)
		}
		return 0, true
	case wmSetFocus:
		if v.last != 0 {
			v.last.focus()
		}
		return 0, true
	case wmDpiChanged:
		r := at[rect](&l).image()
		v.appearance()
		call(procSetWindowPos, uintptr(v.win), 0, uintptr(r.Min.X), uintptr(r.Min.Y), 0, 0, swpNoSize|swpNoZ|swpNoActivate)
		return 0, true
	case wmSettingChange, wmSysColor, wmThemeChanged, wmDisplayChange:
		v.l.do(v.appearance)
		return 0, false
	case wmTimer:
		v.phase++
		for _, p := range v.parts {
			if p.b.Kind == BlockProgress && p.b.Fraction < 0 {
				p.main.h.invalidate()
			}
		}
		return 0, true
	case wmMouseWheel:
		v.scroll(v.offset - high(w)*v.look.u(72)/120)
		return 0, true
	case wmCommand:
		v.command(hwnd(l), high(w))
		return 0, true
	case wmCtlStatic, wmCtlEdit, wmCtlListBox:
		return v.colors(w, hwnd(l))
	case 0x0400: // DM_GETDEFID: the keyboard is ours, see keys
		return 0, true
	}
	return 0, false
}

func (v *winView) bodyProc(m uint32, w, l uintptr) (uintptr, bool) {
	switch m {
	case wmEraseBkgnd:
		return 1, true
	case wmPaint:
		painting(v.body, func(dc uintptr) { blit(dc, 0, -v.offset, v.size, v.picture) })
		return 0, true
	case wmVScroll:
		info := scrollInfo{mask: 0x17}
		info.size = uint32(unsafe.Sizeof(info))
		call(procGetScrollInfo, uintptr(v.body), 1, uintptr(unsafe.Pointer(&info)))
		to := v.offset
		switch w & 0xffff {
		case 0:
			to -= v.look.u(40)
		case 1:
			to += v.look.u(40)
		case 2:
			to -= int(info.page)
		case 3:
			to += int(info.page)
		case 4, 5:
			to = int(info.trackPos)
		case 6:
			to = 0
		case 7:
			to = v.size.Y
		}
		v.scroll(to)
		return 0, true
	case wmLButtonDown: // beside the text of a field
		at := image.Pt(low(l), high(l)+v.offset)
		for _, c := range []*ctl{v.link, v.code[0], v.code[1]} {
			if c != nil && at.In(c.r.Inset(-v.look.u(16))) {
				c.h.focus()
				break
			}
		}
		return 0, true
	case wmMeasureItem:
		mi := at[measureItem](&l)
		if p := v.lists[int(mi.id)]; p != nil {
			mi.height = uint32(v.itemHeight(p, int(mi.item)))
		}
		return 1, true
	case wmDrawItem:
		v.drawItem(at[drawItem](&l))
		return 1, true
	case wmMouseWheel:
		v.scroll(v.offset - high(w)*v.look.u(72)/120)
		return 0, true
	case wmCommand:
		v.command(hwnd(l), high(w))
		return 0, true
	case wmCtlStatic, wmCtlEdit, wmCtlListBox:
		return v.colors(w, hwnd(l))
	}
	return 0, false
}

// colors answers what the system draws a control's text with.
func (v *winView) colors(dc uintptr, h hwnd) (uintptr, bool) {
	c := v.ctls[h]
	if c == nil {
		return 0, false
	}
	call(procSetTextColor, dc, colorRef(c.ink))
	call(procSetBkColor, dc, colorRef(c.ground))
	return v.look.brush(c.ground), true
}

// paint draws the head and the ground of the foot.
func (v *winView) paint(dc uintptr) {
	a := v.look
	size := v.win.client()
	p := a.paper(image.Pt(size.X, v.head), a.c.Paper)
	x, y := float64(a.u(28))+11*a.k, float64(a.u(22))+11*a.k
	p.arc(x, y, 9.2*a.k, 3.5*a.k, 1, a.c.Line)
	p.arc(x, y, 9.2*a.k, 3.5*a.k, 0.78, a.c.Accent)
	p.show(dc, image.Point{})
	if v.foot > 0 {
		f := a.paper(image.Pt(size.X, v.foot), a.c.Raised)
		f.fill(image.Rect(0, 0, size.X, max(1, a.u(1))), a.c.Line)
		f.show(dc, image.Pt(0, size.Y-v.foot))
	}
}

// add keeps c and gives it its font.
func (v *winView) add(c *ctl) *ctl {
	c.a = func() *look { return v.look }
	v.ctls[c.h] = c
	if c.size > 0 {
		c.h.send(wmSetFont, v.look.font(c.size, c.bold), 1)
	}
	return c
}

// number is an identifier for a control.
func (v *winView) number() int {
	v.ids = v.ids%0x7fff + 1
	return v.ids
}

// label is a text of the system's.
func (v *winView) label(parent hwnd, s string, size float64, bold bool) *ctl {
	c := &ctl{ground: v.look.c.Paper, ink: v.look.c.Ink, size: size, bold: bold}
	c.make("STATIC", s, ssNoPrefix|ssEditControl, parent, 0)
	return v.add(c)
}

// appearance takes over changed settings: everything is made anew.
func (v *winView) appearance() {
	old := v.look
	v.look = newLook(dpiOf(v.win))
	v.look.frameOf(v.win)
	v.look.scrollbars(v.body)
	for _, c := range []*ctl{v.lead, v.title} {
		c.ground = v.look.c.Paper
		c.h.send(wmSetFont, v.look.font(c.size, c.bold), 1)
	}
	was := v.input()
	v.clear()
	v.page.Key = ""
	v.render()
	v.restore(was)
	old.free()
	v.picture = nil
	v.redraw()
	v.win.invalidate()
	v.bar.update()
}

// input is what is typed.
func (v *winView) input() input {
	var in input
	if v.link != nil {
		in.Link = v.link.h.text()
	}
	if v.code[0] != nil {
		in.Code = v.code[0].h.text() + v.code[1].h.text()
	}
	return in
}

func (v *winView) restore(in input) {
	v.quiet = true
	defer func() { v.quiet = false }()
	if in.Link != "" && v.link != nil {
		v.link.h.setText(in.Link)
	}
	if s := digits(in.Code); s != "" && v.code[0] != nil {
		v.code[0].h.setText(s[:min(4, len(s))])
		v.code[1].h.setText(s[min(4, len(s)):])
		v.full = len(s) == 8
	}
}

// clear takes the controls of the page away.
func (v *winView) clear() {
	drop := func(c *ctl) {
		if c != nil {
			delete(v.ctls, c.h)
			call(procDestroyWindow, uintptr(c.h))
		}
	}
	for _, p := range v.parts {
		drop(p.text)
		drop(p.detail)
		if p.b.Kind != BlockCode {
			drop(p.main)
		}
	}
	for _, c := range v.code {
		drop(c)
	}
	for _, b := range v.buttons {
		drop(b)
	}
	for h, c := range v.ctls { // names of fields
		if c != v.lead && c != v.title {
			delete(v.ctls, h)
			call(procDestroyWindow, uintptr(h))
		}
	}
	v.parts, v.buttons, v.code, v.link, v.last = nil, nil, [2]*ctl{}, nil, 0
	clear(v.lists)
}

// render shows the presenter's page.
func (v *winView) render() {
	p := v.p.page()
	v.win.setText(p.Window)
	m, _ := v.p.current()
	same := strings.SplitN(p.Key, "|", 2)[0] == strings.SplitN(v.page.Key, "|", 2)[0]
	if p.Key == v.page.Key && len(v.parts) == len(p.Blocks) {
		v.page = p
		labels := v.labels()
		for i, b := range p.Blocks {
			v.refresh(v.parts[i], b, labels[b.ID])
		}
		v.layout()
		return
	}
	was := input{}
	if same {
		was = v.input() // what was typed survives a problem that is shown below it
	} else {
		v.offset, v.opened = 0, false
	}
	if (m.Code == CodeWrong || m.Code == CodeNew) && v.p.problem() == "" {
		was.Code = ""
	}
	keep := ""
	if c := v.ctls[focused()]; same && c != nil && c.btn == nil {
		keep = c.id
	}
	v.clear()
	v.page = p
	labels := v.labels()
	for _, b := range p.Blocks {
		v.parts = append(v.parts, v.make(b, labels[b.ID]))
	}
	for i := range p.Buttons {
		b := p.Buttons[i]
		c := &ctl{id: b.ID, btn: &b, draw: drawPush, ground: v.look.c.Raised, label: labels["/"+b.ID], size: 15, bold: true}
		c.msg = v.stops(c)
		c.make("BUTTON", c.label, wsTab, v.win, v.number())
		v.buttons = append(v.buttons, v.add(c))
	}
	v.restore(was)
	v.layout()
	call(procRedraw, uintptr(v.win), 0, 0, 0x1|0x80|0x100) // RDW_INVALIDATE, ALLCHILDREN, UPDATENOW: the new page at once, not piece by piece
	moving := false
	for _, b := range p.Blocks {
		moving = moving || b.Kind == BlockProgress && b.Fraction < 0
	}
	if moving {
		call(procSetTimer, uintptr(v.win), 1, 60, 0)
	} else {
		call(procKillTimer, uintptr(v.win), 1)
	}
	if keep != "" && keep != "code" && keep != "link" {
		v.focus(keep)
	} else {
		v.focus(p.Focus)
	}
	if !same { // screen readers read what it is about now
		call(procNotifyEvent, 2, uintptr(v.title.h), objidClient, 0)
	}
	if (m.Screen == Removed || m.Screen == Refused || !m.RebootAt.IsZero() || m.Asked&m.Rights != 0 && m.Screen == Connected) && !same && v.placed {
		v.front() // the last word and a question are seen, also by who had put the window away
	}
}

// stops makes a Stop button act at the press: a hand that trembles off it
// still stops.
func (v *winView) stops(c *ctl) proc {
	if c.id != "stop" {
		return nil
	}
	return func(m uint32, _, _ uintptr) (uintptr, bool) {
		if m != wmLButtonDown {
			return 0, false
		}
		v.press(c.id)
		return 0, true
	}
}

// labels are the texts of all that can be pressed, with mnemonics.
func (v *winView) labels() map[string]string {
	var ids, texts []string
	for i := len(v.page.Buttons) - 1; i >= 0; i-- { // the important one has the best letter
		ids, texts = append(ids, "/"+v.page.Buttons[i].ID), append(texts, v.page.Buttons[i].Text)
	}
	for _, b := range v.page.Blocks {
		switch b.Kind {
		case BlockCheck, BlockSwitch, BlockPick:
			ids, texts = append(ids, b.ID), append(texts, b.Text)
		case BlockDetails:
			ids, texts = append(ids, b.ID), append(texts, b.Label)
		}
	}
	out := map[string]string{}
	for i, s := range mnemonics(texts) {
		out[ids[i]] = s
	}
	return out
}

// focus gives the keyboard to what id names.
func (v *winView) focus(id string) {
	var c *ctl
	switch {
	case id == "code" && v.code[0] != nil:
		// Eight digits that did not do are selected from the start: who types
		// them again just types.
		c = v.code[0]
		if n := len(v.input().Code); n >= 4 && n < 8 {
			c = v.code[1]
		}
		c.h.send(emSetSel, 0, ^uintptr(0))
	case id == "link" && v.link != nil:
		c = v.link
	default:
		for _, o := range v.ctls {
			if o.id == id && id != "" {
				c = o
			}
		}
	}
	if c == nil {
		v.last = 0
		return
	}
	v.last = c.h
	if hwnd(call(procGetForeground)) == v.win {
		c.h.focus()
	}
}

// command is a control that was used.
func (v *winView) command(h hwnd, what int) {
	c := v.ctls[h]
	if c == nil || v.quiet {
		return
	}
	switch {
	case c.kind == BlockField || c.kind == BlockCode:
		switch what {
		case enSetFocus, enKillFocus:
			v.reveal(c)
			v.redraw()
		case enChange:
			if c.kind == BlockCode {
				i := 0
				if c == v.code[1] {
					i = 1
				}
				v.l.do(func() { v.typed(i) }) // not inside the change itself
			}
		}
	case c.kind == BlockList:
		if what == 4 || what == 5 { // LBN_SETFOCUS, LBN_KILLFOCUS
			v.redraw()
		}
	case what != bnClicked:
	case c.btn != nil || c.kind == BlockPick:
		v.press(c.id)
	case c.kind == BlockCheck, c.kind == BlockSwitch:
		v.p.set(c.b.Right, c.checked())
		if c.kind == BlockCheck {
			v.l.do(v.render) // one may change another
		}
	case c.kind == BlockDetails && c.btn == nil && c.draw != nil:
		v.opened = !v.opened
		v.l.do(v.render)
	}
}

func (v *winView) press(id string) {
	if id == "save-receipt" {
		v.l.do(v.save)
		return
	}
	if v.p.press(id, v.input()) {
		v.l.do(v.render)
	}
}

// typed orders the digits after field i changed.
func (v *winView) typed(i int) {
	if v.code[0] == nil {
		return
	}
	a, b := v.code[0].h.text(), v.code[1].h.text()
	x, y := halves(i, a, b, v.full)
	v.full = len(x)+len(y) == 8
	v.quiet = true
	end := func(c *ctl, n int) { c.h.send(emSetSel, uintptr(n), uintptr(n)) }
	if x != a {
		v.code[0].h.setText(x)
		end(v.code[0], len(x))
	}
	if y != b {
		v.code[1].h.setText(y)
		end(v.code[1], len(y))
	}
	v.quiet = false
	if i == 0 && len(x) == 4 && len(a) >= 4 {
		v.code[1].h.focus()
		end(v.code[1], len(y))
	}
}

// escapes are the buttons that Esc presses: those that change nothing.
var escapes = map[string]bool{"back": true, "keep": true, "not-now": true, "reboot-no": true}

// keys are what the keyboard does on every page.
func (v *winView) keys(m *msg) bool {
	if m.message != wmKeyDown || m.window != v.win && call(procIsChild, uintptr(v.win), uintptr(m.window)) == 0 {
		return false
	}
	c := v.ctls[m.window]
	edit := c != nil && (c.kind == BlockField || c.kind == BlockCode)
	switch m.w {
	case vkReturn:
		if c != nil && (c.btn != nil || c.kind == BlockPick || c.kind == BlockDetails && c.draw != nil) {
			c.h.send(bmClick, 0, 0)
			return true
		}
		for _, b := range v.page.Buttons {
			if b.Primary {
				v.press(b.ID)
			}
		}
		return true
	case vkEscape:
		for _, b := range v.page.Buttons {
			if escapes[b.ID] {
				v.press(b.ID)
			}
		}
		return true
	case vkBack:
		if c != nil && c == v.code[1] && c.h.text() == "" {
			v.code[0].h.focus()
			v.code[0].h.send(emSetSel, 4, 4)
			return true
		}
	case 'A':
		if edit && int16(call(procKeyState, 17)) < 0 {
			c.h.send(emSetSel, 0, ^uintptr(0))
			return true
		}
	case vkPrior, vkNext:
		if c == nil || c.kind != BlockList {
			step := v.body.client().Y * 3 / 4
			if m.w == vkPrior {
				step = -step
			}
			v.scroll(v.offset + step)
			return true
		}
	case vkF6:
		v.bar.reach()
		return true
	}
	return false
}

// scroll moves the body so that y is its first line.
func (v *winView) scroll(y int) {
	y = max(0, min(y, v.size.Y-v.body.client().Y))
	if y == v.offset {
		return
	}
	by := v.offset - y
	v.offset = y
	call(procScrollWindow, uintptr(v.body), 0, uintptr(by), 0, 0, 0, 0, 7) // children, invalidate, erase
	for _, c := range v.ctls {
		if c != v.lead && c != v.title && c.btn == nil {
			c.at = c.at.Add(image.Pt(0, by))
		}
	}
	v.scrollbar()
}

func (v *winView) scrollbar() {
	info := scrollInfo{mask: 7, max: int32(max(0, v.size.Y-1)), page: uint32(v.body.client().Y), pos: int32(v.offset)}
	info.size = uint32(unsafe.Sizeof(info))
	call(procSetScrollInfo, uintptr(v.body), 1, uintptr(unsafe.Pointer(&info)), 1)
}

// reveal scrolls until c is seen.
func (v *winView) reveal(c *ctl) {
	if v.body == 0 || c.btn != nil {
		return
	}
	seen := v.body.client().Y
	switch {
	case c.r.Max.Y > v.offset+seen:
		v.scroll(c.r.Max.Y - seen + v.look.u(12))
	case c.r.Min.Y < v.offset:
		v.scroll(c.r.Min.Y - v.look.u(12))
	}
}

// redraw paints the body's ground anew.
func (v *winView) redraw() {
	if v.size.X == 0 {
		return
	}
	c := newCanvas(v.size.X, v.size.Y)
	c.fill(c.Bounds(), v.look.c.Paper)
	for _, f := range v.deco {
		f(c)
	}
	if b := c.bits(); !bytes.Equal(b, v.picture) { // the same again would be a change of the screen for whoever captures it
		v.picture = b
		v.body.invalidate()
	}
}

func (v *winView) fieldLine(h hwnd) (color.RGBA, float64) {
	if focused() == h {
		return v.look.c.Accent, 2 * v.look.k
	}
	return mix(v.look.c.Line, v.look.c.Muted, 0.45), max(1, v.look.k)
}
