package consent

import (
	"image"
	"image/color"
	"slices"
	"unsafe"
)

// The most that a list shows at once, in layout units; it scrolls by itself.
const listHeight = 216

// make makes the controls of b.
func (v *winView) make(b Block, label string) *part {
	a := v.look
	p := &part{b: b}
	// what can be pressed or typed in
	take := func(c *ctl) *ctl {
		c.id, c.kind, c.b, c.label = b.ID, b.Kind, b, label
		c.a = func() *look { return v.look }
		inner := c.msg
		c.msg = func(m uint32, w, l uintptr) (uintptr, bool) {
			if m == wmSetFocus {
				v.l.do(func() { v.reveal(c) })
			}
			if inner != nil {
				return inner(m, w, l)
			}
			return 0, false
		}
		return c
	}
	row := func(style uint32) *ctl {
		c := take(&ctl{draw: drawRow, ground: a.c.Raised, size: 15})
		c.make("BUTTON", label, wsTab|style, v.body, v.number())
		return v.add(c)
	}
	edit := func(size float64, style uint32) *ctl {
		c := take(&ctl{ground: a.c.Raised, ink: a.c.Ink, size: size})
		c.make("EDIT", "", wsTab|esAutoH|style, v.body, v.number())
		return v.add(c)
	}
	switch b.Kind {
	case BlockHead:
		p.text = v.label(v.body, b.Text, 15, true)
	case BlockStatus:
		p.text = v.label(v.body, b.Text, 15, true)
	case BlockNote:
		p.text = v.label(v.body, b.Text, 15, b.Detail != "")
		if b.Detail != "" {
			p.detail = v.label(v.body, b.Detail, 14, false)
		}
	case BlockField:
		p.text = v.label(v.body, b.Label, 15, true)
		p.main = edit(15, 0)
		p.main.h.send(emLimitText, maxLink+1, 0)
		p.main.h.send(emCueBanner, 1, uintptr(unsafe.Pointer(wide("https://…"))))
		v.link = p.main
	case BlockCode:
		for i, name := range []string{b.Label, b.Label2} { // the text before a field is its name
			n := v.label(v.body, name, 14, false)
			n.r = image.Rect(0, 0, 1, 1)
			n.h.place(n.r)
			v.code[i] = edit(34, esCenter)
			v.code[i].h.send(emLimitText, 64, 0)
		}
		p.main = v.code[0]
	case BlockCheck, BlockSwitch:
		p.main = row(bsAutoCheck)
	case BlockPick:
		p.main = row(0)
	case BlockRing:
		p.text, p.detail = v.label(v.body, b.Text, 15, true), v.label(v.body, b.Detail, 14, false)
	case BlockProgress:
		p.text = v.label(v.body, b.Text, 15, false)
		p.main = &ctl{draw: drawProgress(&v.phase), ground: a.c.Paper, kind: b.Kind, b: b}
		p.main.a = func() *look { return v.look }
		p.main.make("msctls_progress32", b.Text, 0, v.body, v.number())
		v.add(p.main)
		p.main.h.send(pbmSetRange, 0, 100<<16)
	case BlockList:
		p.main = take(&ctl{ground: a.c.Raised, ink: a.c.Ink, size: 14})
		p.main.num = v.number()
		v.lists[p.main.num] = p
		p.main.make("LISTBOX", "", wsTab|wsScroll|lbsNotify|lbsVariable|lbsStrings|lbsNoIntegral, v.body, p.main.num)
		v.add(p.main)
		a.scrollbars(p.main.h)
	case BlockDetails:
		p.main = take(&ctl{draw: drawRow, ground: a.c.Paper, size: 14})
		p.main.make("BUTTON", label, wsTab, v.body, v.number())
		v.add(p.main)
		if v.opened {
			v.unfold(p)
		}
	default:
		size := 15.0
		if b.Tone == Muted {
			size = 14
		}
		p.text = v.label(v.body, b.Text, size, false)
	}
	v.refresh(p, b, label)
	return p
}

// unfold makes the text of details: it can be selected and copied.
func (v *winView) unfold(p *part) {
	p.detail = &ctl{ground: v.look.c.Paper, ink: v.look.c.Muted, size: 14}
	p.detail.msg = func(m uint32, _, _ uintptr) (uintptr, bool) {
		if m == wmGetDlgCode { // Tab and Enter stay the page's
			return 0x0089, true // DLGC_WANTCHARS | HASSETSEL | WANTARROWS
		}
		return 0, false
	}
	p.detail.make("EDIT", p.b.Text, wsTab|esMulti|esReadOnly, v.body, v.number())
	v.add(p.detail)
}

// refresh gives p the values of b, which has the same kind.
func (v *winView) refresh(p *part, b Block, label string) {
	a := v.look
	ink, wash := a.tone(b.Tone)
	old := p.b
	p.b = b
	if p.main != nil {
		fraction := p.main.b.Fraction
		p.main.b = b
		p.main.b.On = b.On
		if p.main.label != label && p.main.draw != nil && b.Kind != BlockProgress {
			p.main.label = label
			p.main.h.invalidate()
		}
		if fraction != b.Fraction {
			p.main.h.invalidate()
		}
	}
	if p.text != nil {
		p.text.ground, p.text.ink = a.c.Paper, a.c.Ink
		switch {
		case b.Kind == BlockNote:
			p.text.ground, p.text.ink = wash, ink
		case b.Kind == BlockStatus, b.Kind == BlockText && b.Tone != Plain:
			p.text.ink = ink
		}
		text := b.Text
		if b.Kind == BlockField {
			text = b.Label
		}
		p.text.h.setText(text)
		if old.Tone != b.Tone {
			p.text.h.invalidate()
		}
	}
	if p.detail != nil && b.Kind != BlockDetails {
		p.detail.ground, p.detail.ink = a.c.Paper, a.c.Muted
		if b.Kind == BlockNote {
			p.detail.ground, p.detail.ink = wash, a.c.Ink
		}
		p.detail.h.setText(b.Detail)
	}
	switch b.Kind {
	case BlockCheck, BlockSwitch:
		p.main.check(b.On)
		p.main.h.setText(label)
	case BlockPick:
		if b.Detail != "" {
			label += "  ·  " + b.Detail
		}
		p.main.h.setText(label)
		if old.Detail != b.Detail {
			p.main.h.invalidate()
		}
	case BlockProgress:
		if b.Fraction >= 0 {
			p.main.h.send(pbmSetPos, uintptr(b.Fraction*100), 0)
		}
		p.main.h.setText(b.Text)
	case BlockDetails:
		p.main.b.On = v.opened
		if old.On != v.opened {
			p.main.h.invalidate()
		}
		p.b.On = v.opened
		if v.opened == (p.detail == nil) {
			if v.opened {
				v.unfold(p)
			} else {
				delete(v.ctls, p.detail.h)
				call(procDestroyWindow, uintptr(p.detail.h))
				p.detail = nil
			}
		}
	case BlockList:
		if !slices.Equal(p.list, b.Items) {
			p.list = b.Items
			p.main.h.send(0x0b, 0, 0)
			p.main.h.send(lbResetContent, 0, 0)
			for _, it := range b.Items {
				s := it.Text
				if it.Lead != "" {
					s = it.Lead + "  " + it.Text
				}
				p.main.h.send(lbAddString, 0, uintptr(unsafe.Pointer(wide(s))))
			}
			p.main.h.send(0x0b, 1, 0)
			p.main.h.invalidate()
		}
	}
}

// column is how wide the first column of a list is.
func (v *winView) column(items []Item) int {
	n := 0
	for _, it := range items {
		if it.Lead != "" {
			n = max(n, v.look.measure(v.look.font(14, false), it.Lead, 0, dtNoPrefix).X)
		}
	}
	if n > 0 {
		n += v.look.u(12)
	}
	return n
}

// listInner is the width of a list's rows.
func (v *winView) listInner() int { return v.look.u(winWidth) - 2*v.look.u(28) - 2*v.look.u(6) }

func (v *winView) itemHeight(p *part, i int) int {
	if i < 0 || i >= len(p.list) {
		return v.look.u(26)
	}
	w := v.listInner() - v.column(p.list) - 2*v.look.u(8) - v.look.u(18)
	return min(250, v.look.measure(v.look.font(14, false), p.list[i].Text, w, dtNoPrefix).Y+v.look.u(8)) // the system's own limit is 255
}

func (v *winView) drawItem(d *drawItem) {
	c := v.ctls[d.window]
	if c == nil || c.kind != BlockList {
		return
	}
	p := v.lists[c.num]
	i := int(int32(d.item))
	if p == nil || i < 0 || i >= len(p.list) {
		return
	}
	a := v.look
	r := d.r.image()
	ground := a.c.Raised
	lead, ink := a.c.Muted, a.c.Ink
	if d.state&1 != 0 && focused() == d.window { // selected: where the keyboard is
		ground = a.c.PlainWash
		if a.contrast {
			ground, lead, ink = a.c.Accent, a.c.OnAccent, a.c.OnAccent
		}
	}
	pic := a.paper(r.Size(), ground)
	x, y := a.u(8), a.u(4)
	pic.write(a.font(14, false), image.Rect(x, y, r.Dx(), r.Dy()), p.list[i].Lead, lead, dtSingle|dtNoPrefix)
	pic.write(a.font(14, false), image.Rect(x+v.column(p.list), y, r.Dx()-a.u(8), r.Dy()), p.list[i].Text, ink, dtWrap|dtEdit|dtNoPrefix)
	pic.show(d.dc, r.Min)
}

// layout puts everything in its place and makes the window as tall as that needs.
func (v *winView) layout() {
	a := v.look
	pad, w := a.u(28), a.u(winWidth)
	inner := w - 2*pad
	lead := v.page.Lead
	if lead == "" {
		lead = v.p.w.Product
	}
	v.lead.ink, v.title.ink = a.c.Muted, a.c.Ink
	small := a.font(15, false)
	v.lead.h.setText(a.fit(small, lead, inner-a.u(32)))
	lh := a.measure(small, "X", 0, 0).Y
	v.lead.move(image.Rect(pad+a.u(32), a.u(33)-lh/2, w-pad, a.u(33)-lh/2+lh))
	v.title.h.setText(v.page.Title)
	th := a.measure(a.font(22, true), v.page.Title, inner, dtNoPrefix).Y
	v.title.move(image.Rect(pad, a.u(60), w-pad, a.u(60)+th))
	v.head = a.u(60) + th + a.u(6)

	v.deco = nil
	y := a.u(8)
	for i := 0; i < len(v.parts); {
		n := i
		for n < len(v.parts) && isRow(v.parts[n].b.Kind) {
			n++
		}
		if n > i {
			y = v.card(v.parts[i:n], pad, y, inner)
			i = n
			continue
		}
		y = v.lay(v.parts[i], pad, y, inner)
		i++
	}
	full := y + a.u(20)
	v.foot = v.footer(inner)
	v.fit(w, full)
	v.redraw()
	if g := [3]int{v.head, v.foot, v.win.client().Y}; g != v.ground {
		v.ground = g
		v.win.invalidate()
	}
}

func isRow(k BlockKind) bool { return k == BlockCheck || k == BlockSwitch || k == BlockPick }

// put says where c lies on the body; fit moves it there.
func (v *winView) put(c *ctl, r image.Rectangle) { c.r = r }

// para places a text and returns the y below it.
func (v *winView) para(c *ctl, x, y, w int) int {
	h := v.look.measure(v.look.font(c.size, c.bold), c.h.text(), w, dtNoPrefix).Y
	v.put(c, image.Rect(x, y, x+w, y+h))
	return y + h
}

// card places rows on a sheet of their own.
func (v *winView) card(rows []*part, x, y, w int) int {
	a := v.look
	top := y
	var lines []int
	for i, p := range rows {
		side := a.u(64)
		if p.b.Kind == BlockPick {
			side = a.u(44)
			if p.b.Detail != "" {
				side += min((w-a.u(8))/2, a.measure(a.font(14, false), p.b.Detail, 0, dtNoPrefix).X) + a.u(12)
			}
		}
		h := max(a.u(44), a.measure(a.font(15, false), p.main.label, w-a.u(8)-a.u(10)-side, 0).Y+a.u(20))
		if i > 0 {
			lines = append(lines, y)
		}
		v.put(p.main, image.Rect(x+a.u(4), y+a.u(3), x+w-a.u(4), y+h-a.u(2)))
		y += h
	}
	r := image.Rect(x, top, x+w, y)
	v.deco = append(v.deco, func(c canvas) {
		c.round(r, 8*a.k, a.c.Raised)
		c.frame(r, 8*a.k, max(1, a.k), a.c.Line)
		for _, l := range lines {
			c.fill(image.Rect(r.Min.X, l, r.Max.X, l+max(1, a.u(1))), a.c.Line)
		}
	})
	return y
}

// lay places one block that is no row and returns the y below it.
func (v *winView) lay(p *part, x, y, w int) int {
	a, b := v.look, p.b
	line := a.measure(a.font(15, true), "X", 0, 0).Y
	switch b.Kind {
	case BlockHead:
		return v.para(p.text, x, y+a.u(14), w) + a.u(8)
	case BlockStatus:
		at := y + a.u(6)
		v.deco = append(v.deco, func(c canvas) { a.sign(c, b.Tone, x, at, line) })
		return v.para(p.text, x+a.u(22), at, w-a.u(22)) + a.u(2)
	case BlockNote:
		top := y + a.u(12)
		in, tx := a.u(14), x+a.u(14)
		if b.Tone.Glyph() != "" {
			tx += a.u(22)
		}
		y = v.para(p.text, tx, top+a.u(12), x+w-in-tx)
		if p.detail != nil {
			y = v.para(p.detail, tx, y+a.u(3), x+w-in-tx)
		}
		r := image.Rect(x, top, x+w, y+a.u(12))
		_, wash := a.tone(b.Tone)
		v.deco = append(v.deco, func(c canvas) {
			c.round(r, 8*a.k, wash)
			if a.contrast || b.Tone == Plain {
				c.frame(r, 8*a.k, max(1, a.k), a.c.Line)
			}
			a.sign(c, b.Tone, x+in, top+a.u(12), line)
		})
		return r.Max.Y
	case BlockField:
		y = v.para(p.text, x, y+a.u(8), w) + a.u(6)
		v.field(p.main, image.Rect(x, y, x+w, y+a.u(42)))
		return y + a.u(46)
	case BlockCode:
		bw := a.u(150)
		for i, c := range v.code {
			left := x + i*(bw+a.u(14))
			v.field(c, image.Rect(left, y, left+bw, y+a.u(64)))
		}
		return y + a.u(66)
	case BlockRing:
		y += a.u(14)
		cx, cy := float64(x)+17*a.k, float64(y)+19*a.k
		v.deco = append(v.deco, func(c canvas) {
			c.arc(cx, cy, 14.5*a.k, 4.5*a.k, 1, mix(a.c.Line, a.c.Muted, 0.1))
			c.arc(cx, cy, 14.5*a.k, 4.5*a.k, b.Fraction, a.c.Accent)
		})
		y = v.para(p.text, x+a.u(46), y, w-a.u(46))
		return v.para(p.detail, x+a.u(46), y, w-a.u(46)) + a.u(2)
	case BlockProgress:
		y = v.para(p.text, x, y+a.u(12), w) + a.u(10)
		v.put(p.main, image.Rect(x, y, x+w, y+a.u(6)))
		return y + a.u(18)
	case BlockList:
		h := 0
		for i := range p.list {
			h += v.itemHeight(p, i)
		}
		h = min(h, a.u(listHeight))
		r := image.Rect(x, y, x+w, y+h+2*a.u(6))
		v.put(p.main, r.Inset(a.u(6)))
		v.deco = append(v.deco, func(c canvas) {
			c.round(r, 8*a.k, a.c.Raised)
			col, width := a.c.Line, max(1, a.k)
			if focused() == p.main.h {
				col, width = a.c.Accent, 2*a.k
			}
			c.frame(r, 8*a.k, width, col)
		})
		return r.Max.Y
	case BlockDetails:
		y += a.u(10)
		n := a.measure(a.font(14, false), b.Label, 0, dtNoPrefix).X + a.u(32)
		v.put(p.main, image.Rect(x, y, x+n, y+a.u(32)))
		y += a.u(32)
		if p.detail != nil {
			h := a.measure(a.font(14, false), b.Text, w-a.u(24), dtNoPrefix).Y
			v.put(p.detail, image.Rect(x+a.u(16), y, x+w, y+h+a.u(6)))
			y += h + a.u(6)
		}
		return y
	}
	return v.para(p.text, x, y+a.u(6), w) + a.u(6)
}

// field places an edit inside the frame that the page draws for it.
func (v *winView) field(c *ctl, r image.Rectangle) {
	a := v.look
	h := a.measure(a.font(c.size, false), "0", 0, 0).Y + 1
	top := r.Min.Y + (r.Dy()-h)/2
	v.put(c, image.Rect(r.Min.X+a.u(12), top, r.Max.X-a.u(12), top+h))
	v.deco = append(v.deco, func(pic canvas) {
		pic.round(r, 6*a.k, a.c.Raised)
		var col color.RGBA
		col, width := v.fieldLine(c.h)
		pic.frame(r, 6*a.k, width, col)
	})
}

// footer measures the buttons and returns how tall the foot is. What does not
// fit beside the others stands above them.
func (v *winView) footer(inner int) int {
	a := v.look
	n := len(v.buttons)
	if n == 0 {
		return 0
	}
	width := func(c *ctl) int { return a.measure(a.font(15, true), c.btn.Text, 0, dtNoPrefix).X + a.u(46) }
	gap, h := a.u(6), a.u(48)
	rows := [][]*ctl{{v.buttons[n-1]}} // from below
	used := width(v.buttons[n-1])
	first := n > 1
	if first && used+gap+width(v.buttons[0]) > inner {
		first = false
	} else if first {
		used += gap + width(v.buttons[0])
	}
	low := 0
	if first {
		low = 1
	}
	for i := n - 2; i >= low; i-- {
		c := v.buttons[i]
		if used+gap+width(c) > inner {
			rows, used = append(rows, nil), -gap
		}
		used += gap + width(c)
		rows[len(rows)-1] = append(rows[len(rows)-1], c)
	}
	foot := 2*a.u(11) + len(rows)*h + (len(rows)-1)*a.u(4)
	for i, row := range rows {
		top := foot - a.u(11) - (i+1)*h - i*a.u(4)
		right := a.u(winWidth) - a.u(28) + a.u(4) // the ring's room
		for _, c := range row {
			cw := width(c)
			c.r = image.Rect(right-cw, top, right, top+h)
			right -= cw + gap
		}
		if i == 0 && first {
			cw := width(v.buttons[0])
			v.buttons[0].r = image.Rect(a.u(24), top, a.u(24)+cw, top+h)
		}
	}
	return foot
}

// fit sizes the window: as tall as the page, at most as tall as the screen.
func (v *winView) fit(w, full int) {
	a := v.look
	r := rect{right: int32(w), bottom: 1000}
	const style, ex = wsCaption | wsSysMenu | wsMinimize | wsClip, wsExControlParent
	if call(procAdjustRect, uintptr(unsafe.Pointer(&r)), style, 0, ex, uintptr(a.dpi)) == 0 {
		call(procAdjustRectOld, uintptr(unsafe.Pointer(&r)), style, 0, ex)
	}
	frame := image.Pt(int(r.right-r.left)-w, int(r.bottom-r.top)-1000)
	work, _ := workArea(v.win)
	h := min(v.head+full+v.foot, max(a.u(240), work.Dy()-frame.Y-a.u(16)))
	size := image.Pt(w, h).Add(frame)
	now := v.win.bounds()
	to := now.Min
	if !v.placed || now == v.frame { // nobody moved it: in the middle, a little above
		to = image.Pt(work.Min.X+(work.Dx()-size.X)/2, work.Min.Y+(work.Dy()-size.Y)*2/5)
	}
	if room := a.u(barHeight + 2*barMargin); size.Y <= work.Dy()-room { // beside the bar, not under it
		to.Y = max(to.Y, work.Min.Y+room)
	}
	to.Y = max(work.Min.Y, min(to.Y, work.Max.Y-size.Y))
	if next := (image.Rectangle{Min: to, Max: to.Add(size)}); next != now {
		v.win.place(next)
		if off := h - v.win.client().Y; off != 0 { // the frame is not as tall as the system said
			next.Max.Y += off
			v.win.place(next)
			h = v.win.client().Y
		}
		v.bar.look() // it stays over us
	} else {
		h = v.win.client().Y
	}
	if now == v.frame || !v.placed {
		v.frame = v.win.bounds()
	}
	v.placed = true
	seen := h - v.head - v.foot
	v.body.place(image.Rect(0, v.head, w, v.head+seen))
	v.size = image.Pt(w, max(full, seen))
	v.offset = max(0, min(v.offset, full-seen))
	v.scrollbar()
	for _, p := range v.parts {
		for _, c := range []*ctl{p.main, p.text, p.detail} {
			if c != nil {
				c.move(c.r.Sub(image.Pt(0, v.offset)))
			}
		}
	}
	if c := v.code[1]; c != nil {
		c.move(c.r.Sub(image.Pt(0, v.offset)))
	}
	for _, b := range v.buttons {
		b.move(b.r.Add(image.Pt(0, h-v.foot)))
	}
}
