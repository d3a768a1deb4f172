//go:build linux

package host

import (
	"context"
	"image"
	"image/color"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"

	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/picture"
	"daypass/backend/wire"
	"daypass/hostsvc/clip"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/encode"
	"daypass/hostsvc/input"
	"daypass/hostsvc/screen"
	"daypass/hostsvc/screen/screentest"
)

// consoleBox is the console's end of the fake server's mailbox, class 'C'.
type consoleBox struct {
	s  *fakeServer
	in chan []byte
}

func (c *consoleBox) Send(_ context.Context, b []byte) error {
	c.s.boxes[0].in <- append([]byte(nil), b...)
	return nil
}
func (c *consoleBox) Receive() <-chan []byte { return c.in }
func (c *consoleBox) Online() bool           { return true }

// barView is the test's customer with the real bar.
type barView struct {
	*fakeView
	bar consent.View
}

func (v *barView) Show(m consent.Model)   { v.fakeView.Show(m); v.bar.Show(m) }
func (v *barView) Bar() consent.BarHealth { return v.bar.Bar() }

// The real bar, link, capture, encoder, decoder, injector and clipboard, on an X server of its own: the picture arrives
// exactly, the pointer moves, text is set, Stop stops it all, and the end leaves nothing.
func TestWithARealScreenAndARealLink(t *testing.T) {
	t.Setenv("DISPLAY", screentest.Xvfb(t, "640x400"))
	r := newRig(t)
	log := slog.New(slog.DiscardHandler)
	bar, err := consent.Open(consent.KindNone, "en", log)
	if err != nil {
		t.Fatal(err)
	}
	defer bar.Close()
	r.cfg.View = &barView{r.view, bar}
	r.cfg.System.Displays = func() error { return nil }
	r.cfg.System.Screen = func() (screen.Source, error) { return screen.Default(log) }
	r.cfg.System.Injector = func() (Injector, error) { return input.Default(log) }
	r.cfg.System.Clipboard = func() (Clipboard, error) { return clip.Default(log) }
	r.cfg.System.Serve = func(ctx context.Context, src screen.Source, d uint32, out Sender, fb <-chan []byte, log *slog.Logger) error {
		r.count(d, 1)
		defer r.count(d, -1)
		return encode.Serve(ctx, src, d, out, fb, log)
	}
	r.cfg.System.Listen = func(ctx context.Context, c peer.Config) Link {
		c.LAN = true
		return peer.Listen(ctx, c)
	}
	r.server.toConsole = make(chan []byte, 256)
	r.start()
	r.view.screen(t, consent.EnterCode)
	r.do(consent.Action{Kind: consent.SubmitCode, Text: r.server.code.Grouped(), Rights: Offered})
	r.view.screen(t, consent.Connected)
	var pin *pairing.Pin
	r.eventually("console's pin", func() bool {
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		pin = r.server.consoleP
		return pin != nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := peer.Dial(ctx, peer.Config{
		Device: r.server.dev, Pin: pin, Epochs: &pairing.MemoryEpochs{}, Mailbox: &consoleBox{r.server, r.server.toConsole}, LAN: true, Hello: []byte("console"), Log: log,
	})
	defer func() {
		c, stop := context.WithTimeout(context.Background(), 3*time.Second)
		defer stop()
		if err := l.Close(c, "test"); err != nil {
			t.Log(err)
		}
	}()
	var hello *wire.HostHello
	limit := time.After(30 * time.Second)
	for hello == nil {
		select {
		case e := <-l.Events():
			if e.PeerHello != nil {
				m, err := wire.ParseControl(e.PeerHello)
				if err != nil {
					t.Fatal(err)
				}
				hello = m.(*wire.HostHello)
			}
		case <-limit:
			t.Fatal("no connection")
		}
	}
	if len(hello.Displays) != 1 || hello.Displays[0].Width != 640 || hello.Rights != Offered {
		t.Fatalf("%+v", hello)
	}
	control := make(chan wire.Control, 256)
	go func() {
		defer close(control)
		for b := range l.Control().Receive() {
			if m, err := wire.ParseControl(b); err == nil {
				control <- m
			}
		}
	}()
	next := func(what string, ok func(wire.Control) bool) {
		t.Helper()
		limit := time.After(20 * time.Second)
		for {
			select {
			case m, open := <-control:
				if !open {
					t.Fatalf("closed before %s", what)
				}
				if ref, is := m.(*wire.Refused); is {
					t.Fatalf("refused: %+v", ref)
				}
				if ok(m) {
					return
				}
			case <-limit:
				t.Fatalf("never %s", what)
			}
		}
	}
	say := func(m wire.Control) {
		t.Helper()
		b, err := wire.AppendControl(nil, m)
		if err == nil {
			err = l.Control().Send(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s := picture.NewScreen(picture.Options{})
	go func() {
		for {
			select {
			case b := <-s.Feedback():
				_ = l.Picture().Send(b)
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() {
		for b := range l.Picture().Receive() {
			if err := s.Packet(b); err != nil {
				t.Errorf("picture: %v", err)
			}
		}
	}()
	say(&wire.Open{})
	next("opened", func(m wire.Control) bool { _, ok := m.(*wire.Opened); return ok })

	x, err := xgb.NewConn()
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	root := xproto.Setup(x).DefaultScreen(x).Root
	paint := func(rgb uint32, rect xproto.Rectangle) {
		gc, err := xproto.NewGcontextId(x)
		if err != nil {
			t.Fatal(err)
		}
		xproto.CreateGC(x, gc, xproto.Drawable(root), xproto.GcForeground, []uint32{rgb})
		if err := xproto.PolyFillRectangleChecked(x, xproto.Drawable(root), gc, []xproto.Rectangle{rect}).Check(); err != nil {
			t.Fatal(err)
		}
	}
	paint(0x20a040, xproto.Rectangle{Width: 640, Height: 400})
	paint(0xd01030, xproto.Rectangle{X: 100, Y: 150, Width: 33, Height: 21})
	at := func(x, y int) color.RGBA {
		img := s.Snapshot()
		if img == nil || !image.Pt(x, y).In(img.Bounds()) {
			return color.RGBA{}
		}
		return img.RGBAAt(x, y)
	}
	r.eventually("the picture", func() bool {
		return at(1, 390) == color.RGBA{0x20, 0xa0, 0x40, 255} && at(110, 160) == color.RGBA{0xd0, 0x10, 0x30, 255} && at(133, 160) == color.RGBA{0x20, 0xa0, 0x40, 255}
	})

	move := func(px, py uint16) {
		b, err := wire.AppendInput(nil, &wire.Input{Kind: wire.InputMove, X: px, Y: py})
		if err == nil {
			err = l.Input().Send(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	pointer := func() image.Point {
		q, err := xproto.QueryPointer(x, root).Reply()
		if err != nil {
			t.Fatal(err)
		}
		return image.Pt(int(q.RootX), int(q.RootY))
	}
	move(321, 123)
	r.eventually("the pointer", func() bool { return pointer() == image.Pt(321, 123) })

	say(&wire.Clip{ID: 1, Last: true, Text: "grüße"})
	r.view.until(t, "clipboard set", func(m consent.Model) bool {
		return slices.ContainsFunc(m.Events, func(l consent.Line) bool { return l.Kind == consent.LineClipboardIn })
	})
	say(&wire.ClipGet{ID: 2})
	next("clipboard text", func(m wire.Control) bool { c, ok := m.(*wire.Clip); return ok && c.Text == "grüße" && c.ID == 2 })

	begin := time.Now()
	r.do(consent.Action{Kind: consent.Stop})
	r.eventually("capture stopped", func() bool { return r.running(hello.Displays[0].ID) == 0 })
	t.Logf("stopped after %v", time.Since(begin))
	next("paused", func(m wire.Control) bool { p, ok := m.(*wire.Paused); return ok && p.By == "customer" })
	move(10, 10)
	paint(0x0000ff, xproto.Rectangle{Width: 640, Height: 400})
	r.do(consent.Action{Kind: consent.Resume})
	next("resumed", func(m wire.Control) bool { p, ok := m.(*wire.Paused); return ok && p.By == "" })
	if p := pointer(); p != image.Pt(321, 123) {
		t.Errorf("the pointer moved to %v while stopped", p)
	}
	if c := at(1, 390); c != (color.RGBA{0x20, 0xa0, 0x40, 255}) {
		t.Errorf("the picture went on while stopped: %v", c)
	}
	say(&wire.Open{})
	next("opened again", func(m wire.Control) bool { _, ok := m.(*wire.Opened); return ok })
	r.eventually("the new picture", func() bool { return at(1, 390) == color.RGBA{0, 0, 255, 255} })

	say(&wire.End{Ended: r.endedSigned(r.server.dev.Ed, grant.ByTechnician)})
	next("removed", func(m wire.Control) bool {
		v, ok := m.(*wire.Removed)
		if !ok {
			return false
		}
		var f grant.Removed
		if err := grant.Open(r.server.hostKey, grant.ContextRemoved, v.Removed, &f); err != nil || !f.Clean {
			t.Errorf("%+v, %v", f, err)
		}
		return true
	})
	r.view.screen(t, consent.Removed)
	r.do(consent.Action{Kind: consent.Leave})
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(r.cfg.Base); !os.IsNotExist(err) {
		t.Error("something is left")
	}
}
