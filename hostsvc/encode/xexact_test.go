//go:build linux

package encode_test

import (
	"fmt"
	"image"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"daypass/hostsvc/screen"
	"daypass/hostsvc/screen/screentest"
)

// TestEveryPixelOfXIsExactAtRest does 200 seeded operations of an X program on
// a real X server, and a cut of 5 s; after each the console's surface must
// become what the server shows, every pixel, and so must the page.
func TestEveryPixelOfXIsExactAtRest(t *testing.T) {
	name := screentest.Xvfb(t, "640x480")
	t.Setenv("DISPLAY", name)
	x := screentest.NewX(t, name)
	src, err := screen.Default(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	s := start(t, src)
	defer s.stop()
	r := rand.New(rand.NewPCG(21, 29))
	sc := &scene{r: r}
	scratch := screen.NewFrame(640, 480)
	rest := func(what string) {
		t.Helper()
		truth := x.Read()
		for end := time.Now().Add(15 * time.Second); ; {
			n, m := differences(truth, s.scr.Snapshot()), differences(truth, s.canvas())
			if n+m == 0 {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %d pixels of the surface and %d of the page differ", what, n, m)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	box := func() image.Rectangle {
		w, h := 40+r.IntN(400), 40+r.IntN(300)
		p := image.Pt(r.IntN(640-w), r.IntN(480-h))
		return image.Rectangle{Min: p, Max: p.Add(image.Pt(w, h))}
	}
	put := func(b image.Rectangle, paint func(*screen.Frame, image.Rectangle) []image.Rectangle) {
		f := screen.NewFrame(b.Dx(), b.Dy())
		paint(f, f.Bounds())
		x.Put(f, b.Min)
	}
	operation := func() string {
		b := box()
		switch r.IntN(6) {
		case 0:
			put(b, sc.text)
			for range 1 + r.IntN(8) {
				x.Scroll(image.Rect(b.Min.X, b.Min.Y+8, b.Max.X, b.Max.Y), image.Pt(0, -8))
				x.Fill(image.Rect(b.Min.X, b.Max.Y-8, b.Max.X, b.Max.Y), r.Uint32()&0xffffff)
			}
			return "scroll"
		case 1:
			for i := range 10 {
				x.Window(true, b.Min.Add(image.Pt(i*7, i*3)))
			}
			x.Fill(image.Rect(0, 0, 5+r.IntN(9), 5), r.Uint32()&0xffffff)
			return "window"
		case 2:
			put(b, sc.photo)
			return "photograph"
		case 3:
			for i := range 5 {
				x.Text(image.Pt(b.Min.X, b.Min.Y+14*i+12), fmt.Sprintf("line %d of %d: %08x", i, r.Uint32(), r.Uint64()), r.Uint32()&0xffffff, r.Uint32()&0xffffff)
			}
			return "text"
		case 4:
			for range 8 { // a film
				put(b, sc.photo)
			}
			return "film"
		default:
			x.Window(false, image.Point{})
			x.Fill(b, r.Uint32()&0xffffff)
			return "fill"
		}
	}
	copy(scratch.Pix, x.Read().Pix)
	rest("start")
	for i := range operations {
		cut := i == operations/2
		if cut {
			s.out.pause(true)
		}
		what := operation()
		if cut {
			for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
				operation()
				<-time.After(50 * time.Millisecond)
			}
			s.out.pause(false)
		}
		now := x.Read()
		same := true
		for y := 0; y < now.H && same; y++ {
			same = string(now.Bytes(y, 0, now.W)) == string(scratch.Bytes(y, 0, now.W))
		}
		if same {
			t.Fatalf("operation %d (%s) changed nothing", i, what)
		}
		scratch = now
		rest(fmt.Sprintf("operation %d (%s)", i, what))
	}
	st := s.scr.Stats()
	if st.Refreshes != 0 {
		t.Errorf("%d refreshes without loss", st.Refreshes)
	}
	t.Logf("%d updates, %d bytes, %d frames, operations %v", st.Updates, st.Bytes, s.page.frames, s.page.ops)
}

// BenchmarkDrawnToPage is the whole picture path but the network and the web
// view: from the X server having drawn a character to the page having the
// frame.
func BenchmarkDrawnToPage(b *testing.B) {
	name := screentest.Xvfb(b, "1920x1080")
	b.Setenv("DISPLAY", name)
	x := screentest.NewX(b, name)
	src, err := screen.Default(slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	s := start(b, src)
	defer s.stop()
	frames := func() int {
		s.page.mu.Lock()
		defer s.page.mu.Unlock()
		return s.page.frames
	}
	for frames() == 0 {
		<-time.After(time.Millisecond)
	}
	var all []time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		<-time.After(40 * time.Millisecond) // rest, as between two keys
		seen := frames()
		b.StartTimer()
		x.Fill(image.Rect(100, 100, 110, 118), uint32(i*7919+1)&0xffffff)
		began := time.Now()
		for frames() == seen {
			<-time.After(20 * time.Microsecond)
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*95/100].Microseconds()), "p95-µs")
}
