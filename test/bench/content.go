package main

import (
	"fmt"
	"os"
	"sync"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// Places on the customer's desktop, in its pixels.
const (
	deskW, deskH   = 1920, 1080
	blockX, blockY = 60, 860
	blockW, blockH = 256, 64
	clickX, clickY = 560, 890 // where the pointer clicks, away from the block
	textLines      = 40
)

// content is the window on the customer's desktop: text for a background, and
// a block that turns from black to white or back upon each key press or click.
type content struct {
	x     *xgb.Conn
	win   xproto.Window
	black xproto.Gcontext
	white xproto.Gcontext
	mu    sync.Mutex
	lit   bool
	fill  int // -1: text and block; 0, 1: the whole window black or white
}

func newContent(display string) (*content, error) {
	x, err := xgb.NewConnDisplay(display)
	if err != nil {
		return nil, err
	}
	c := &content{x: x, fill: -1}
	scr := xproto.Setup(x).DefaultScreen(x)
	if c.win, err = xproto.NewWindowId(x); err != nil {
		return nil, err
	}
	if err := xproto.CreateWindowChecked(x, scr.RootDepth, c.win, scr.Root, 0, 0, deskW, deskH, 0, xproto.WindowClassInputOutput, scr.RootVisual,
		xproto.CwBackPixel|xproto.CwOverrideRedirect|xproto.CwEventMask,
		[]uint32{0xF4F4F0, 1, xproto.EventMaskButtonPress | xproto.EventMaskKeyPress | xproto.EventMaskExposure}).Check(); err != nil {
		return nil, err
	}
	font, err := xproto.NewFontId(x)
	if err != nil {
		return nil, err
	}
	if err := xproto.OpenFontChecked(x, font, 5, "fixed").Check(); err != nil {
		return nil, err
	}
	gc := func(fg uint32) (g xproto.Gcontext) {
		if g, err = xproto.NewGcontextId(x); err == nil {
			err = xproto.CreateGCChecked(x, g, xproto.Drawable(c.win), xproto.GcForeground|xproto.GcBackground|xproto.GcFont, []uint32{fg, 0xF4F4F0, uint32(font)}).Check()
		}
		return g
	}
	if c.black = gc(0); err != nil {
		return nil, err
	}
	if c.white = gc(0xFFFFFF); err != nil {
		return nil, err
	}
	xproto.MapWindow(x, c.win)
	x.Sync()
	xproto.SetInputFocus(x, xproto.InputFocusParent, c.win, 0)
	go c.events()
	return c, nil
}

func (c *content) events() {
	for {
		ev, err := c.x.WaitForEvent()
		if ev == nil && err == nil {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: content:", err)
			continue
		}
		c.mu.Lock()
		switch ev.(type) {
		case xproto.KeyPressEvent, xproto.ButtonPressEvent:
			c.lit = !c.lit
			c.block()
		case xproto.ExposeEvent:
			c.draw()
		}
		c.mu.Unlock()
	}
}

func (c *content) rect(g xproto.Gcontext, x, y, w, h int) {
	xproto.PolyFillRectangle(c.x, xproto.Drawable(c.win), g, []xproto.Rectangle{{X: int16(x), Y: int16(y), Width: uint16(w), Height: uint16(h)}})
}

func (c *content) block() {
	g := c.black
	if c.lit {
		g = c.white
	}
	c.rect(g, blockX, blockY, blockW, blockH)
	c.x.Sync()
}

func (c *content) draw() {
	if c.fill >= 0 {
		c.rect([]xproto.Gcontext{c.black, c.white}[c.fill], 0, 0, deskW, deskH)
		c.x.Sync()
		return
	}
	xproto.ClearArea(c.x, false, c.win, 0, 0, 0, 0)
	const words = "Remote support is text, windows, scrolling, sometimes a video. A person judges it by how soon a key press shows. "
	for i := range textLines {
		line := (words + words)[i%30:]
		xproto.ImageText8(c.x, byte(min(len(line), 200)), xproto.Drawable(c.win), c.black, 60, int16(40+20*i), line[:min(len(line), 200)])
	}
	c.block()
}

// show sets what is on the desktop: -1 text and block, 0 black, 1 white.
func (c *content) show(fill int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fill = fill
	c.draw()
}

func (c *content) close() { c.x.Close() }
