// Command hands is the hands of a person at the desktop that build/wine/with.sh
// makes: it moves the mouse and presses keys of the X display, which Wine takes
// for hardware, and takes pictures of it. What programs inside Wine do with
// SendInput is injected; these are not. It must not be used outside tests.
//
//	hands FILE    listens on this computer only and writes its address to FILE
//
// One command a line, answered by "ok" or what went wrong:
//
//	move X Y | down | up | click X Y | key NAME... | type TEXT | shot FILE
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "hands FILE")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type hands struct {
	mu   sync.Mutex
	x    *xgb.Conn
	root xproto.Window
	keys *xproto.GetKeyboardMappingReply
	min  xproto.Keycode
}

func serve(file string) error {
	x, err := xgb.NewConn()
	if err != nil {
		return err
	}
	defer x.Close()
	if err := xtest.Init(x); err != nil {
		return err
	}
	s := xproto.Setup(x)
	h := &hands{x: x, root: s.DefaultScreen(x).Root, min: s.MinKeycode}
	if h.keys, err = xproto.GetKeyboardMapping(x, s.MinKeycode, byte(s.MaxKeycode-s.MinKeycode+1)).Reply(); err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(l.Addr().String()+"\n"), 0o600); err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			in := bufio.NewScanner(c)
			for in.Scan() {
				answer := "ok"
				if err := h.do(in.Text()); err != nil {
					answer = err.Error()
				}
				if _, err := fmt.Fprintln(c, answer); err != nil {
					return
				}
			}
		}()
	}
}

// pace is how long a person's finger needs, and Wine to see one thing after another.
const pace = 25 * time.Millisecond

func (h *hands) fake(kind, detail byte, x, y int) error {
	err := xtest.FakeInputChecked(h.x, kind, detail, 0, h.root, int16(x), int16(y), 0).Check()
	time.Sleep(pace)
	return err
}

func (h *hands) do(line string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "move", "click":
		a, b, _ := strings.Cut(rest, " ")
		x, e1 := strconv.Atoi(a)
		y, e2 := strconv.Atoi(b)
		if err := errors.Join(e1, e2); err != nil {
			return err
		}
		if err := h.fake(xproto.MotionNotify, 0, x, y); err != nil || word == "move" {
			return err
		}
		return errors.Join(h.fake(xproto.ButtonPress, 1, 0, 0), h.fake(xproto.ButtonRelease, 1, 0, 0))
	case "down":
		return h.fake(xproto.ButtonPress, 1, 0, 0)
	case "up":
		return h.fake(xproto.ButtonRelease, 1, 0, 0)
	case "type":
		for _, r := range rest {
			if err := h.press(xproto.Keysym(r)); err != nil {
				return err
			}
		}
		return nil
	case "key":
		return h.chord(strings.Fields(rest))
	case "shot":
		return h.shot(rest)
	}
	return fmt.Errorf("unknown command %q", word)
}

var names = map[string]xproto.Keysym{
	"Return": 0xff0d, "space": ' ', "Tab": 0xff09, "Escape": 0xff1b, "BackSpace": 0xff08, "ctrl": 0xffe3, "alt": 0xffe9, "shift": 0xffe1,
	"Home": 0xff50, "End": 0xff57, "Down": 0xff54, "Up": 0xff52, "Next": 0xff56, "Prior": 0xff55, "F4": 0xffc1, "F6": 0xffc3,
}

func (h *hands) find(s xproto.Keysym) (code xproto.Keycode, shift bool, err error) {
	per := int(h.keys.KeysymsPerKeycode)
	for i, k := range h.keys.Keysyms {
		if k == s && i%per < 2 {
			return h.min + xproto.Keycode(i/per), i%per == 1, nil
		}
	}
	return 0, false, fmt.Errorf("no key writes %#x", s)
}

func (h *hands) press(s xproto.Keysym) error {
	code, shift, err := h.find(s)
	if err != nil {
		return err
	}
	if shift {
		sh, _, err := h.find(names["shift"])
		if err != nil {
			return err
		}
		if err := h.fake(xproto.KeyPress, byte(sh), 0, 0); err != nil {
			return err
		}
		defer func() { _ = h.fake(xproto.KeyRelease, byte(sh), 0, 0) }()
	}
	return errors.Join(h.fake(xproto.KeyPress, byte(code), 0, 0), h.fake(xproto.KeyRelease, byte(code), 0, 0))
}

// chord presses the keys one after another and lets them go in turn.
func (h *hands) chord(keys []string) error {
	var codes []byte
	for _, k := range keys {
		s, ok := names[k]
		if !ok {
			s = xproto.Keysym([]rune(k)[0])
		}
		code, _, err := h.find(s)
		if err != nil {
			return err
		}
		codes = append(codes, byte(code))
	}
	var errs []error
	for _, c := range codes {
		errs = append(errs, h.fake(xproto.KeyPress, c, 0, 0))
	}
	for i := len(codes) - 1; i >= 0; i-- {
		errs = append(errs, h.fake(xproto.KeyRelease, codes[i], 0, 0))
	}
	return errors.Join(errs...)
}

func (h *hands) shot(file string) error {
	g, err := xproto.GetGeometry(h.x, xproto.Drawable(h.root)).Reply()
	if err != nil {
		return err
	}
	r, err := xproto.GetImage(h.x, xproto.ImageFormatZPixmap, xproto.Drawable(h.root), 0, 0, g.Width, g.Height, ^uint32(0)).Reply()
	if err != nil {
		return err
	}
	img := image.NewRGBA(image.Rect(0, 0, int(g.Width), int(g.Height)))
	for i := 0; i+3 < len(r.Data) && i+3 < len(img.Pix); i += 4 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = r.Data[i+2], r.Data[i+1], r.Data[i], 255
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, img), f.Close())
}
