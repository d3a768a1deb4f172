package encode_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"daypass/backend/fault"
	"daypass/backend/picture"
	"daypass/hostsvc/encode"
	"daypass/hostsvc/screen"
	"daypass/hostsvc/screen/screentest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipe is a reliable, ordered channel that can be paused.
type pipe struct {
	mu     sync.Mutex
	cond   *sync.Cond
	queue  [][]byte
	bytes  int
	total  int
	paused bool
	lost   bool // what is sent is accepted and gone
	closed bool
}

func newPipe() *pipe {
	p := &pipe{}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *pipe) Send(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("closed")
	}
	if p.lost {
		return nil
	}
	p.queue = append(p.queue, append([]byte(nil), b...))
	p.bytes += len(b)
	p.total += len(b)
	p.cond.Broadcast()
	return nil
}

func (p *pipe) Buffered() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

func (p *pipe) pause(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = on
	p.cond.Broadcast()
}

func (p *pipe) lose(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = on
}

func (p *pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.cond.Broadcast()
}

func (p *pipe) receive() ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for (len(p.queue) == 0 || p.paused) && !p.closed {
		p.cond.Wait()
	}
	if p.closed {
		return nil, false
	}
	b := p.queue[0]
	p.queue = p.queue[1:]
	p.bytes -= len(b)
	return b, true
}

// page is what the web view does with view frames.
type page struct {
	mu     sync.Mutex
	canvas *image.RGBA
	frames int
	ops    [5]int
	shapes int
}

func (p *page) apply(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	le := binary.LittleEndian
	switch b[0] {
	case 2:
		p.shapes++
		if want := 12 + 4*int(le.Uint16(b[2:]))*int(le.Uint16(b[4:])); len(b) != want {
			return fmt.Errorf("shape of %d bytes, want %d", len(b), want)
		}
		return nil
	case 3:
		if len(b) != 6 {
			return fmt.Errorf("pointer of %d bytes", len(b))
		}
		return nil
	case 1:
	default:
		return fmt.Errorf("view message %d", b[0])
	}
	p.frames++
	w, h, n := int(le.Uint16(b[2:])), int(le.Uint16(b[4:])), int(le.Uint16(b[6:]))
	if p.canvas == nil || p.canvas.Rect.Dx() != w || p.canvas.Rect.Dy() != h {
		p.canvas = image.NewRGBA(image.Rect(0, 0, w, h))
		if b[1]&1 == 0 {
			return errors.New("a new size without a full repaint")
		}
	}
	m := p.canvas
	b = b[16:]
	for range n {
		t, aux := b[0], int(b[1])
		x, y, ow, oh, a, bb := int(le.Uint16(b[2:])), int(le.Uint16(b[4:])), int(le.Uint16(b[6:])), int(le.Uint16(b[8:])), int(le.Uint16(b[10:])), int(le.Uint16(b[12:]))
		b = b[14:]
		p.ops[t]++
		set := func(i, j int, c []byte) {
			o := m.PixOffset(x+i, y+j)
			m.Pix[o], m.Pix[o+1], m.Pix[o+2], m.Pix[o+3] = c[0], c[1], c[2], 255
		}
		switch t {
		case 1:
			var src []byte
			for j := range oh {
				o := m.PixOffset(a, bb+j)
				src = append(src, m.Pix[o:o+ow*4]...)
			}
			for j := range oh {
				copy(m.Pix[m.PixOffset(x, y+j):][:ow*4], src[j*ow*4:])
			}
		case 2:
			for j := range oh {
				for i := range ow {
					set(i, j, b)
				}
			}
			b = b[4:]
		case 3:
			pal := b[:a*3]
			b = b[a*3:]
			stride := (ow*aux + 7) / 8
			for j := range oh {
				for i := range ow {
					bit := i * aux
					v := int(b[j*stride+bit/8]) >> (8 - aux - bit%8) & (1<<aux - 1)
					set(i, j, pal[v*3:])
				}
			}
			b = b[stride*oh:]
		case 4:
			for j := range oh {
				for i := range ow {
					set(i, j, b[(j*ow+i)*4:])
				}
			}
			b = b[ow*oh*4:]
		default:
			return fmt.Errorf("view operation %d", t)
		}
	}
	if len(b) != 0 {
		return fmt.Errorf("%d bytes after the last operation", len(b))
	}
	return nil
}

func differences(f *screen.Frame, m *image.RGBA) int {
	if m == nil || m.Rect.Dx() != f.W || m.Rect.Dy() != f.H {
		return f.W * f.H
	}
	n := 0
	for i, v := range f.Pix {
		p := m.Pix[i*4 : i*4+4]
		if uint32(p[0])<<16|uint32(p[1])<<8|uint32(p[2]) != v || p[3] != 255 {
			n++
		}
	}
	return n
}

// session is a host half, a console half and a page.
type session struct {
	t     testing.TB
	out   *pipe
	scr   *picture.Screen
	page  *page
	stop  func()
	serve chan error
}

func start(t testing.TB, src screen.Source) *session {
	s := &session{t: t, out: newPipe(), scr: picture.NewScreen(picture.Options{}), page: &page{}, serve: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		s.serve <- encode.Serve(ctx, src, 0, s.out, s.scr.Feedback(), slog.New(slog.DiscardHandler))
	})
	wg.Go(func() {
		for {
			b, ok := s.out.receive()
			if !ok {
				return
			}
			if err := s.scr.Packet(b); err != nil {
				t.Errorf("packet: %v", err)
				return
			}
		}
	})
	wg.Go(func() {
		var buf []byte
		for {
			var err error
			if buf, err = s.scr.Next(ctx, buf); err != nil {
				return
			}
			if err := s.page.apply(buf); err != nil {
				t.Errorf("page: %v", err)
				return
			}
		}
	})
	s.stop = sync.OnceFunc(func() { cancel(); s.out.close(); wg.Wait() })
	return s
}

// canvas returns a copy of what the page shows.
func (s *session) canvas() *image.RGBA {
	s.page.mu.Lock()
	defer s.page.mu.Unlock()
	if s.page.canvas == nil {
		return nil
	}
	c := image.NewRGBA(s.page.canvas.Rect)
	copy(c.Pix, s.page.canvas.Pix)
	return c
}

// scene draws the seeded operations on a frame.
type scene struct {
	r *rand.Rand
}

func (s *scene) rect(m *screen.Frame, minSide int) image.Rectangle {
	w, h := minSide+s.r.IntN(m.W-minSide), minSide+s.r.IntN(m.H-minSide)
	x, y := s.r.IntN(m.W-w+1), s.r.IntN(m.H-h+1)
	return image.Rect(x, y, x+w, y+h)
}

func (s *scene) photo(m *screen.Frame, r image.Rectangle) []image.Rectangle {
	base := s.r.Uint32()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := m.Row(y, r.Min.X, r.Max.X)
		for x := range row {
			row[x] = (base + uint32(x*3+y*2)&255<<16 + uint32(x^y)&255<<8 + s.r.Uint32()&31) & 0xffffff
		}
	}
	return []image.Rectangle{r}
}

func (s *scene) text(m *screen.Frame, r image.Rectangle) []image.Rectangle {
	ink, paper := s.r.Uint32()&0xffffff, s.r.Uint32()&0xffffff
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := m.Row(y, r.Min.X, r.Max.X)
		for x := range row {
			row[x] = paper
			if y%14 < 10 && s.r.IntN(3) == 0 {
				row[x] = ink
			}
		}
	}
	return []image.Rectangle{r}
}

func (s *scene) fill(m *screen.Frame, r image.Rectangle) []image.Rectangle {
	c := s.r.Uint32() & 0xffffff
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := m.Row(y, r.Min.X, r.Max.X)
		for x := range row {
			row[x] = c
		}
	}
	return []image.Rectangle{r}
}

// move copies r by d inside the frame, as a scroll or a window move does.
func (s *scene) move(m *screen.Frame, r image.Rectangle, d image.Point) []image.Rectangle {
	to := r.Add(d).Intersect(m.Bounds())
	from := to.Sub(d)
	src := screen.NewFrame(from.Dx(), from.Dy())
	for y := range src.H {
		copy(src.Row(y, 0, src.W), m.Row(from.Min.Y+y, from.Min.X, from.Max.X))
	}
	for y := range src.H {
		copy(m.Row(to.Min.Y+y, to.Min.X, to.Max.X), src.Row(y, 0, src.W))
	}
	return []image.Rectangle{to}
}

// operation does the n-th of the seeded operations, several of which come as
// bursts without rest.
func (s *scene) operation(f *screentest.Fake) string {
	kind := s.r.IntN(6)
	names := [...]string{"scroll", "drag", "photo", "text", "fill", "video"}
	steps := 1
	if kind < 2 {
		steps = 1 + s.r.IntN(6)
	}
	if kind == 5 {
		steps = 8
	}
	var box image.Rectangle
	var d image.Point
	for i := range steps {
		f.Draw(func(m *screen.Frame) []image.Rectangle {
			if i == 0 {
				box = s.rect(m, 40)
				d = image.Pt(s.r.IntN(41)-20, s.r.IntN(41)-20)
			}
			switch kind {
			case 0:
				rects := s.move(m, box, image.Pt(0, -8))
				if box.Dy() > 20 {
					rects = append(rects, s.text(m, image.Rect(box.Min.X, box.Max.Y-9, box.Max.X, box.Max.Y))...)
				}
				return rects
			case 1:
				if d == (image.Point{}) {
					d.X = 3
				}
				rects := s.move(m, box, d)
				rects = append(rects, s.fill(m, image.Rect(box.Min.X, box.Min.Y, box.Max.X, box.Min.Y+5))...)
				box = box.Add(d).Intersect(m.Bounds())
				if box.Dx() < 30 || box.Dy() < 30 {
					box = m.Bounds()
				}
				return rects
			case 2:
				return s.photo(m, box)
			case 3:
				return s.text(m, box)
			case 4:
				return s.fill(m, box)
			default:
				return s.photo(m, box)
			}
		})
		if steps > 1 {
			time.Sleep(time.Duration(5+s.r.IntN(30)) * time.Millisecond)
		}
	}
	return names[kind]
}

// TestEveryPixelIsExactAtRest does 200 seeded operations and a cut of 5 s; at
// each rest console surface and page are compared with the source, every pixel.
func TestEveryPixelIsExactAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := screentest.New(470, 350)
		s := start(t, f)
		defer s.stop()
		sc := &scene{r: rand.New(rand.NewPCG(7, 11))}
		time.Sleep(time.Second)
		for i := range operations {
			before := f.Copy()
			name := "resize"
			cut := i == operations*3/5
			if cut {
				s.out.pause(true)
			}
			if i%20 == 19 {
				f.Resize(300+sc.r.IntN(300), 200+sc.r.IntN(300))
				f.Draw(func(m *screen.Frame) []image.Rectangle { return sc.text(m, m.Bounds()) })
			} else {
				name = sc.operation(f)
			}
			if cut {
				for range 50 {
					sc.operation(f)
					time.Sleep(100 * time.Millisecond)
				}
				s.out.pause(false)
			}
			after := f.Copy()
			if before.W == after.W && before.H == after.H && fmt.Sprint(before.Pix) == fmt.Sprint(after.Pix) {
				t.Fatalf("operation %d (%s) changed nothing", i, name)
			}
			time.Sleep(1500 * time.Millisecond)
			synctest.Wait()
			if n := differences(after, s.scr.Snapshot()); n > 0 {
				t.Fatalf("operation %d (%s): %d pixels of the surface differ", i, name, n)
			}
			if n := differences(after, s.canvas()); n > 0 {
				t.Fatalf("operation %d (%s): %d pixels of the page differ", i, name, n)
			}
		}
		st := s.scr.Stats()
		if st.Refreshes != 0 {
			t.Errorf("%d refreshes without loss", st.Refreshes)
		}
		if s.page.ops[1] == 0 || s.page.ops[2] == 0 || s.page.ops[3] == 0 || s.page.ops[4] == 0 {
			t.Errorf("not every kind of operation was used: %v", s.page.ops)
		}
		t.Logf("%d updates, %d bytes, %d frames, operations %v", st.Updates, st.Bytes, s.page.frames, s.page.ops)
	})
}

// TestIdleSendsNothing looks at a minute of rest.
func TestIdleSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := screentest.New(640, 480)
		s := start(t, f)
		defer s.stop()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		before := s.out.total
		time.Sleep(time.Minute)
		synctest.Wait()
		if s.out.total != before {
			t.Errorf("%d bytes in a minute of rest", s.out.total-before)
		}
	})
}

// TestStateAndCursorArrive changes what is beside the picture.
func TestStateAndCursorArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := screentest.New(320, 200)
		s := start(t, f)
		defer s.stop()
		time.Sleep(time.Second)
		synctest.Wait()
		if s.scr.State() != nil {
			t.Errorf("state %v", s.scr.State())
		}
		f.SetState(screen.ErrLocked)
		time.Sleep(time.Second)
		synctest.Wait()
		if st := s.scr.State(); st == nil || st.Message != screen.ErrLocked.Message {
			t.Errorf("state %v", st)
		}
		f.SetState(nil)
		// The state is told with the next thing that happens.
		shapes := s.page.shapes
		f.SetCursor(screen.Cursor{Size: image.Pt(200, 100), Hot: image.Pt(199, 99), RGBA: make([]byte, 200*100*4)})
		time.Sleep(time.Second)
		synctest.Wait()
		if s.scr.State() != nil {
			t.Errorf("state %v", s.scr.State())
		}
		if s.page.shapes == shapes {
			t.Error("no cursor shape arrived")
		}
	})
}

// TestTwoServingsOneConsole serves twice over one channel, as a change of the
// display does: the console must take the second as it took the first.
func TestTwoServingsOneConsole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scr := picture.NewScreen(picture.Options{})
		hello := <-scr.Feedback()
		for i, f := range []*screentest.Fake{screentest.New(300, 200), screentest.New(200, 300), screentest.New(200, 300)} {
			sc := &scene{r: rand.New(rand.NewPCG(9, uint64(i)))}
			f.Draw(func(m *screen.Frame) []image.Rectangle { return sc.photo(m, m.Bounds()) })
			ctx, cancel := context.WithCancel(t.Context())
			feedback := make(chan []byte, 64)
			feedback <- hello
			done := make(chan error, 1)
			out := newPipe()
			go func() { done <- encode.Serve(ctx, f, 7, out, feedback, slog.New(slog.DiscardHandler)) }()
			time.Sleep(time.Second)
			synctest.Wait()
			for out.Buffered() > 0 {
				b, _ := out.receive()
				if err := scr.Packet(b); err != nil {
					t.Fatalf("serving %d: %v", i, err)
				}
				for more := true; more; {
					select {
					case m := <-scr.Feedback():
						feedback <- m
					default:
						more = false
					}
				}
				synctest.Wait()
			}
			if n := differences(f.Copy(), scr.Snapshot()); n > 0 {
				t.Errorf("serving %d: %d pixels differ", i, n)
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
}

// TestAHostileConsoleEndsTheServing gives what no console sends.
func TestAHostileConsoleEndsTheServing(t *testing.T) {
	for _, m := range [][]byte{{}, {1}, {0x81}, {0x82, 0}, {0x83, 1, 2}, {0xff}} {
		feedback := make(chan []byte, 1)
		feedback <- m
		err := encode.Serve(t.Context(), screentest.New(64, 64), 0, newPipe(), feedback, slog.New(slog.DiscardHandler))
		if fault.KindOf(err) != fault.Hostile {
			t.Errorf("% x: %v", m, err)
		}
	}
}

// TestABrokenConnectionBeginsAgain loses everything for a while.
func TestABrokenConnectionBeginsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := screentest.New(300, 200)
		s := start(t, f)
		defer s.stop()
		sc := &scene{r: rand.New(rand.NewPCG(1, 9))}
		time.Sleep(time.Second)
		s.out.lose(true)
		for range 20 {
			sc.operation(f)
			time.Sleep(100 * time.Millisecond)
		}
		s.out.lose(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := differences(f.Copy(), s.scr.Snapshot()); n > 0 {
			t.Errorf("%d pixels differ after the connection came back", n)
		}
	})
}

// TestOneChangeIsOneUpdate draws one change in three steps, as programs do, and
// counts what the console applies.
func TestOneChangeIsOneUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := screentest.New(640, 480)
		s := start(t, f)
		defer s.stop()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		before := s.scr.Stats().Updates
		for i := range 3 {
			f.Draw(func(m *screen.Frame) []image.Rectangle {
				r := image.Rect(50*i, 20, 50*i+30, 60)
				for y := r.Min.Y; y < r.Max.Y; y++ {
					row := m.Row(y, r.Min.X, r.Max.X)
					for x := range row {
						row[x] = 0x00ff00
					}
				}
				return []image.Rectangle{r}
			})
			time.Sleep(500 * time.Microsecond)
		}
		time.Sleep(5 * time.Millisecond)
		synctest.Wait()
		if n := s.scr.Stats().Updates - before; n != 1 {
			t.Errorf("one change came as %d updates", n)
		}
		if n := differences(f.Copy(), s.canvas()); n != 0 {
			t.Errorf("%d pixels differ 5 ms after the change", n)
		}
	})
}
