package consent

import (
	"image"
	"image/color"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// look is the appearance of the windows of one thread on one monitor: what the
// system's settings ask for. Its GDI objects live until free.
type look struct {
	k        float64 // pixels of one layout unit
	dpi      int
	c        palette
	dark     bool
	contrast bool // a high-contrast theme: its colours only
	face     [32]uint16
	fonts    map[fontKey]uintptr
	brushes  map[color.RGBA]uintptr
	dc       uintptr // to measure with
}

type fontKey struct {
	size float64
	bold bool
}

// dpiOf is the resolution that h is shown with. Tests put another here.
var dpiOf = func(h hwnd) int {
	if d := int(call(procDpiForWindow, uintptr(h))); d > 0 {
		return d
	}
	dc := call(procGetDC, 0)
	defer call(procReleaseDC, 0, dc)
	return max(96, int(call(procDeviceCaps, dc, 88))) // LOGPIXELSX
}

// highContrast is whether a high-contrast theme is on. Tests put another here.
var highContrast = func() bool {
	hc := struct {
		size, flags uint32
		scheme      uintptr
	}{}
	hc.size = uint32(unsafe.Sizeof(hc))
	return call(procSystemParameters, 0x42, uintptr(hc.size), uintptr(unsafe.Pointer(&hc)), 0) != 0 && hc.flags&1 != 0
}

// newLook reads the system's settings. The caller must free it on its thread.
func newLook(dpi int) *look {
	a := &look{dpi: dpi, fonts: map[fontKey]uintptr{}, brushes: map[color.RGBA]uintptr{}, dc: call(procCreateCompatibleDC, 0)}
	text := setting(`Software\Microsoft\Accessibility`, "TextScaleFactor", 100)
	a.k = float64(dpi) / 96 * float64(min(225, max(100, text))) / 100
	a.dark = setting(`Software\Microsoft\Windows\CurrentVersion\Themes\Personalize`, "AppsUseLightTheme", 1) == 0
	a.c = light
	if a.dark {
		a.c = dark
	}
	if highContrast() {
		a.contrast, a.dark = true, false
		a.c = systemColors()
	}
	copy(a.face[:], []uint16{'S', 'e', 'g', 'o', 'e', ' ', 'U', 'I'})
	var metrics struct {
		size                                         uint32
		border, scrollW, scrollH, captionW, captionH int32
		caption                                      logFont
		smallW, smallH                               int32
		small                                        logFont
		menuW, menuH                                 int32
		menu, status, message                        logFont
		padded                                       int32
	}
	metrics.size = uint32(unsafe.Sizeof(metrics))
	if call(procSystemParameters, 0x29, uintptr(metrics.size), uintptr(unsafe.Pointer(&metrics)), 0) != 0 && metrics.message.face[0] != 0 {
		a.face = metrics.message.face
	}
	return a
}

// setting is a number of this user's settings.
func setting(key, name string, otherwise int) int {
	k, err := registry.OpenKey(registry.CURRENT_USER, key, registry.QUERY_VALUE)
	if err != nil {
		return otherwise // not set
	}
	defer k.Close()
	v, _, err := k.GetIntegerValue(name)
	if err != nil {
		return otherwise
	}
	return int(v)
}

// systemColors are those of a high-contrast theme.
func systemColors() palette {
	get := func(i uintptr) color.RGBA {
		v := call(procSysColor, i)
		return color.RGBA{R: uint8(v), G: uint8(v >> 8), B: uint8(v >> 16), A: 255}
	}
	paper, ink, button, buttonInk := get(5), get(8), get(15), get(18)
	mark, markInk, gray := get(13), get(14), get(8)
	return palette{
		Paper: paper, Raised: paper, Ink: ink, Muted: gray, Line: ink,
		Accent: mark, OnAccent: markInk, Active: ink, Waiting: ink, Quiet: ink,
		Danger: button, OnDanger: buttonInk, WaitingWash: paper, DangerWash: paper, ActiveWash: paper, PlainWash: paper,
	}
}

// tone is as palette.tone; in high contrast every text is in the one colour.
func (a *look) tone(t Tone) (text, wash color.RGBA) {
	if a.contrast {
		return a.c.Ink, a.c.Paper
	}
	return a.c.tone(t)
}

// free gives everything back.
func (a *look) free() {
	for _, f := range a.fonts {
		call(procDeleteObject, f)
	}
	for _, b := range a.brushes {
		call(procDeleteObject, b)
	}
	call(procDeleteDC, a.dc)
	a.fonts, a.brushes, a.dc = nil, nil, 0
}

func (a *look) u(n float64) int { return int(n*a.k + 0.5) }

// font is the system's font, size layout units high.
func (a *look) font(size float64, bold bool) uintptr {
	key := fontKey{size, bold}
	if f := a.fonts[key]; f != 0 {
		return f
	}
	lf := logFont{height: -int32(size*a.k + 0.5), weight: 400, charset: 1, quality: 5, face: a.face}
	if bold {
		lf.weight = 600
	}
	f := call(procCreateFont, uintptr(unsafe.Pointer(&lf)))
	a.fonts[key] = f
	return f
}

func colorRef(c color.RGBA) uintptr { return uintptr(c.R) | uintptr(c.G)<<8 | uintptr(c.B)<<16 }

func (a *look) brush(c color.RGBA) uintptr {
	if b := a.brushes[c]; b != 0 {
		return b
	}
	b := call(procCreateBrush, colorRef(c))
	a.brushes[c] = b
	return b
}

// measure is how large s is, wrapped at width when that is more than 0.
func (a *look) measure(font uintptr, s string, width int, flags uintptr) image.Point {
	old := call(procSelectObject, a.dc, font)
	defer call(procSelectObject, a.dc, old)
	if s == "" {
		s = " "
	}
	text, err := windows.UTF16FromString(s)
	if err != nil {
		return image.Point{}
	}
	r := rect{right: int32(width)}
	flags |= dtCalc
	if width > 0 {
		flags |= dtWrap | dtEdit
	} else {
		flags |= dtSingle
	}
	call(procDrawText, a.dc, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)-1), uintptr(unsafe.Pointer(&r)), flags)
	return image.Pt(int(r.right), int(r.bottom))
}

// fit shortens s with an ellipsis to at most max pixels.
func (a *look) fit(font uintptr, s string, max int) string {
	if a.measure(font, s, 0, dtNoPrefix).X <= max {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && a.measure(font, string(r)+"…", 0, dtNoPrefix).X > max {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}

// sheet is something being painted: a picture, then text over it.
type paper struct {
	canvas
	a     *look
	texts []paperText
}

type paperText struct {
	s     string
	font  uintptr
	r     image.Rectangle
	col   color.RGBA
	flags uintptr
}

func (a *look) paper(size image.Point, ground color.RGBA) *paper {
	p := &paper{canvas: newCanvas(max(1, size.X), max(1, size.Y)), a: a}
	p.fill(p.Bounds(), ground)
	return p
}

func (p *paper) write(font uintptr, r image.Rectangle, s string, col color.RGBA, flags uintptr) {
	p.texts = append(p.texts, paperText{s, font, r, col, flags})
}

// bits are the picture as the system wants it: blue first.
func (c canvas) bits() []byte {
	b := make([]byte, len(c.Pix))
	for i := 0; i+3 < len(b); i += 4 {
		b[i], b[i+1], b[i+2], b[i+3] = c.Pix[i+2], c.Pix[i+1], c.Pix[i], 255
	}
	return b
}

// blit copies bits of size to dc at x, y.
func blit(dc uintptr, x, y int, size image.Point, bits []byte) {
	if len(bits) == 0 {
		return
	}
	info := bitmapInfo{size: 40, width: int32(size.X), height: -int32(size.Y), planes: 1, bits: 32}
	call(procBitsToDevice, dc, uintptr(x), uintptr(y), uintptr(size.X), uintptr(size.Y), 0, 0, 0, uintptr(size.Y),
		uintptr(unsafe.Pointer(&bits[0])), uintptr(unsafe.Pointer(&info)), 0)
}

// show puts p into dc at once: nothing flickers.
func (p *paper) show(dc uintptr, to image.Point) {
	size := p.Bounds().Size()
	mem := call(procCreateCompatibleDC, dc)
	bmp := call(procCompatibleBitmap, dc, uintptr(size.X), uintptr(size.Y))
	old := call(procSelectObject, mem, bmp)
	defer func() {
		call(procSelectObject, mem, old)
		call(procDeleteObject, bmp)
		call(procDeleteDC, mem)
	}()
	blit(mem, 0, 0, size, p.bits())
	call(procSetBkMode, mem, 1)
	for _, t := range p.texts {
		was := call(procSelectObject, mem, t.font)
		call(procSetTextColor, mem, colorRef(t.col))
		if text, err := windows.UTF16FromString(t.s); err == nil && len(text) > 1 {
			r := rect{int32(t.r.Min.X), int32(t.r.Min.Y), int32(t.r.Max.X), int32(t.r.Max.Y)}
			call(procDrawText, mem, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)-1), uintptr(unsafe.Pointer(&r)), t.flags)
		}
		call(procSelectObject, mem, was)
	}
	call(procBitBlt, dc, uintptr(to.X), uintptr(to.Y), uintptr(size.X), uintptr(size.Y), mem, 0, 0, 0x00cc0020)
}

// painting answers WM_PAINT of h with f.
func painting(h hwnd, f func(dc uintptr)) {
	var ps paintStruct
	dc := call(procBeginPaint, uintptr(h), uintptr(unsafe.Pointer(&ps)))
	if dc != 0 {
		f(dc)
	}
	call(procEndPaint, uintptr(h), uintptr(unsafe.Pointer(&ps)))
}

// frame makes the title bar of h dark or light, where Windows can.
func (a *look) frameOf(h hwnd) {
	on := uint32(0)
	if a.dark {
		on = 1
	}
	if int32(call(procDwmAttribute, uintptr(h), 20, uintptr(unsafe.Pointer(&on)), 4)) < 0 { // from 2004 on
		call(procDwmAttribute, uintptr(h), 19, uintptr(unsafe.Pointer(&on)), 4) // 1809 to 1909
	}
}

// scrollbars makes those of h dark or light, where Windows can.
func (a *look) scrollbars(h hwnd) {
	name := "Explorer"
	if a.dark {
		name = "DarkMode_Explorer"
	}
	call(procWindowTheme, uintptr(h), uintptr(unsafe.Pointer(wide(name))), 0)
}

// workArea is the part of h's monitor that the task bar leaves, and the monitor.
func workArea(h hwnd) (work, all image.Rectangle) {
	m := call(procMonitorFromWindow, uintptr(h), 2)
	info := monitorInfo{}
	info.size = uint32(unsafe.Sizeof(info))
	if call(procMonitorInfo, m, uintptr(unsafe.Pointer(&info))) == 0 {
		return image.Rect(0, 0, 1024, 768), image.Rect(0, 0, 1024, 768)
	}
	return info.work.image(), info.monitor.image()
}

// sign draws the glyph of a tone in a line of height h.
func (a *look) sign(c canvas, t Tone, x, y, h int) {
	ink, _ := a.tone(t)
	sc := a.k
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
		c.path(ink, image.Rect(x, y, x+a.u(16), y+h), triangle(cx, cy-6*sc, cx+6.5*sc, cy+5*sc, cx-6.5*sc, cy+5*sc))
	}
}
