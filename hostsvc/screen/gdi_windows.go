package screen

import (
	"errors"
	"fmt"
	"image"
	"time"
	"unsafe"

	"github.com/kbinani/screenshot"
)

// How often the floor looks. GDI has no event that says what changed, so it
// reads everything while something happens, and samples rows, an eighth of them
// each time, while nothing does.
const (
	gdiBusy   = 30 * time.Millisecond
	gdiLinger = time.Second // how long busy lasts after a change or an input
	gdiBands  = 8           // of eight rows each, taken in turn
)

// gdi reads a display from the screen's device context into one bitmap that
// stays. Where that cannot be made it falls back to kbinani/screenshot, which
// makes one for each reading.
type gdi struct {
	at     image.Rectangle // on the desktop
	screen uintptr
	memory uintptr
	bitmap uintptr
	old    uintptr
	pix    []uint32 // of the bitmap
	slow   bool     // by kbinani/screenshot

	whole time.Time // when everything was read last
	busy  time.Time // until then
	input uint32    // tick of the last input
	band  int
}

func newGDI(at image.Rectangle) (*gdi, error) {
	g := &gdi{at: at}
	err := g.bitmapOf(at.Dx(), at.Dy())
	if err == nil {
		return g, nil
	}
	g.close()
	if _, e := screenshot.CaptureRect(image.Rectangle{Min: at.Min, Max: at.Min.Add(image.Pt(1, 1))}); e != nil {
		return nil, errors.Join(err, e)
	}
	return &gdi{at: at, slow: true}, nil
}

func (g *gdi) bitmapOf(w, h int) error {
	var err error
	if g.screen, _, err = procGetDC.Call(0); g.screen == 0 {
		return fmt.Errorf("GetDC: %w", err)
	}
	if g.memory, _, err = procCompatibleDC.Call(g.screen); g.memory == 0 {
		return fmt.Errorf("CreateCompatibleDC: %w", err)
	}
	head := topDown(w, h)
	var bits unsafe.Pointer
	if g.bitmap, _, err = procDIBSection.Call(g.screen, uintptr(unsafe.Pointer(&head)), 0, uintptr(unsafe.Pointer(&bits)), 0, 0); g.bitmap == 0 || bits == nil {
		return fmt.Errorf("CreateDIBSection: %w", err)
	}
	if g.old, _, err = procSelect.Call(g.memory, g.bitmap); g.old == 0 {
		return fmt.Errorf("SelectObject: %w", err)
	}
	g.pix = unsafe.Slice((*uint32)(bits), w*h)
	return nil
}

func (g *gdi) name() string { return "gdi" }

func (g *gdi) close() {
	if g.old != 0 {
		procSelect.Call(g.memory, g.old)
	}
	if g.bitmap != 0 {
		procDeleteObject.Call(g.bitmap)
	}
	if g.memory != 0 {
		procDeleteDC.Call(g.memory)
	}
	if g.screen != 0 {
		procReleaseDC.Call(0, g.screen)
	}
	*g = gdi{at: g.at}
}

// read copies r, in the display's coordinates, into frame and reports whether
// that changed it.
func (g *gdi) read(frame *Frame, r image.Rectangle) (changed bool, err error) {
	if g.slow {
		m, err := screenshot.CaptureRect(r.Add(g.at.Min))
		if err != nil {
			return false, err
		}
		copyRGBA(frame, r, m)
		return true, nil
	}
	ok, _, err := procBitBlt.Call(g.memory, uintptr(r.Min.X), uintptr(r.Min.Y), uintptr(r.Dx()), uintptr(r.Dy()),
		g.screen, uintptr(g.at.Min.X+r.Min.X), uintptr(g.at.Min.Y+r.Min.Y), srcCopy)
	if ok == 0 {
		return false, fmt.Errorf("BitBlt: %w", err)
	}
	procGdiFlush.Call()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		from, to := g.pix[y*frame.W+r.Min.X:y*frame.W+r.Max.X], frame.Row(y, r.Min.X, r.Max.X)
		for i, v := range from {
			if v &= 0xffffff; to[i] != v {
				to[i], changed = v, true
			}
		}
	}
	return changed, nil
}

// inputTick changes with every input of a person or a program.
func inputTick() uint32 {
	in := struct{ size, tick uint32 }{size: 8}
	if ok, _, _ := procLastInput.Call(uintptr(unsafe.Pointer(&in))); ok == 0 {
		return 0
	}
	return in.tick
}

func (g *gdi) next(frame *Frame, wait time.Duration) ([]image.Rectangle, error) {
	begin := time.Now()
	if t := inputTick(); t != g.input {
		g.input, g.busy = t, begin.Add(gdiLinger)
	}
	if g.whole.IsZero() || begin.Before(g.busy) {
		if left := g.whole.Add(gdiBusy).Sub(begin); left > 0 {
			time.Sleep(min(left, wait))
		}
		first := g.whole.IsZero()
		g.whole = time.Now()
		changed, err := g.read(frame, frame.Bounds())
		if err != nil || !changed && !first {
			return nil, err
		}
		g.busy = time.Now().Add(gdiLinger)
		return []image.Rectangle{frame.Bounds()}, nil
	}
	var out []image.Rectangle
	for y := g.band * 8; y < frame.H; y += gdiBands * 8 {
		r := image.Rect(0, y, frame.W, min(y+8, frame.H))
		changed, err := g.read(frame, r)
		if err != nil {
			return nil, err
		}
		if changed {
			out = append(out, r)
		}
	}
	g.band = (g.band + 1) % gdiBands
	if len(out) > 0 {
		g.busy = time.Now().Add(gdiLinger) // read the rest now
		return out, nil
	}
	time.Sleep(wait - min(time.Since(begin), wait))
	return nil, nil
}
