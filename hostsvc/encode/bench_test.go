package encode

import (
	"image"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"daypass/backend/picture"
	"daypass/backend/wire"
	"daypass/hostsvc/screen"
)

// desk paints contents like those of a customer's desktop.
type desk struct {
	f      *screen.Frame
	r      *rand.Rand
	glyphs [64][]uint32 // 9x15 coverage of the three colours, as sub-pixel text has it
	photo  []uint32     // 1024x1024
	n      int
}

const glyphW, glyphH = 9, 15

func newDesk(w, h int) *desk {
	d := &desk{f: screen.NewFrame(w, h), r: rand.New(rand.NewPCG(1, 2))}
	for i := range d.glyphs {
		g := make([]uint32, glyphW*glyphH)
		for k := range 3 + d.r.IntN(3) { // strokes
			x, y := 1+d.r.IntN(6), 2+d.r.IntN(9)
			for j := range 3 + d.r.IntN(6) {
				px, py := x, y
				if k%2 == 0 {
					px = min(x+j, 7)
				} else {
					py = min(y+j, 13)
				}
				g[py*glyphW+px] = 0xffffff
				if px > 0 && g[py*glyphW+px-1] == 0 {
					g[py*glyphW+px-1] = 0x0040a0
				}
				if g[py*glyphW+px+1] == 0 {
					g[py*glyphW+px+1] = 0xa04000
				}
			}
		}
		d.glyphs[i] = g
	}
	d.photo = make([]uint32, 1024*1024)
	// Value noise in three octaves and grain.
	for c := range 3 {
		for oct, amp := range []int{120, 60, 30} {
			step := 256 >> (2 * oct)
			n := 1024/step + 2
			grid := make([]int, n*n)
			for i := range grid {
				grid[i] = d.r.IntN(amp)
			}
			for y := range 1024 {
				for x := range 1024 {
					gx, gy, fx, fy := x/step, y/step, x%step, y%step
					a := grid[gy*n+gx]*(step-fx) + grid[gy*n+gx+1]*fx
					b := grid[(gy+1)*n+gx]*(step-fx) + grid[(gy+1)*n+gx+1]*fx
					v := (a*(step-fy) + b*fy) / (step * step)
					d.photo[y*1024+x] += uint32(v) << (8 * c)
				}
			}
		}
	}
	for i := range d.photo {
		d.photo[i] += uint32(d.r.IntN(4)) * 0x010101
	}
	return d
}

func (d *desk) fill(r image.Rectangle, c uint32) {
	r = r.Intersect(d.f.Bounds())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := d.f.Row(y, r.Min.X, r.Max.X)
		for i := range row {
			row[i] = c
		}
	}
}

func (d *desk) glyph(x, y, n int, paper, ink uint32) {
	g := d.glyphs[n&63]
	for j := range glyphH {
		for i := range glyphW {
			if !image.Pt(x+i, y+j).In(d.f.Bounds()) {
				continue
			}
			v := uint32(0)
			for s := 0; s < 24; s += 8 {
				a := int(g[j*glyphW+i] >> s & 255)
				p, k := int(paper>>s&255), int(ink>>s&255)
				v |= uint32((p*(255-a)+k*a)/255) << s
			}
			d.f.Row(y+j, x+i, x+i+1)[0] = v
		}
	}
}

func (d *desk) line(x0, x1, y int, paper uint32) {
	inks := []uint32{0, 0, 0, 0xc00000, 0x1f3864}
	ink := inks[d.r.IntN(len(inks))]
	if paper < 0x808080 {
		ink = []uint32{0xd4d4d4, 0x569cd6, 0xce9178, 0x6a9955}[d.r.IntN(4)]
	}
	for x := x0; x+glyphW <= x1; x += glyphW {
		if d.r.IntN(6) > 0 {
			d.glyph(x, y, d.r.IntN(64), paper, ink)
		}
	}
}

func (d *desk) document(r image.Rectangle, paper uint32) {
	d.fill(r, paper)
	for y := r.Min.Y + 4; y+19 <= r.Max.Y; y += 19 {
		d.line(r.Min.X+12, r.Max.X-12-d.r.IntN(r.Dx()/3), y, paper)
	}
}

func (d *desk) blit(r image.Rectangle, ox, oy int) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := d.f.Row(y, r.Min.X, r.Max.X)
		for i := range row {
			row[i] = d.photo[(y+oy)&1023*1024+(r.Min.X+i+ox)&1023]
		}
	}
}

// content is one of the contents of the design's table: step changes the frame
// and returns the damage, fps says how often a second.
type content struct {
	name string
	fps  int
	init func(d *desk)
	step func(d *desk) image.Rectangle
}

var contents = []content{
	{"typing", 15, func(d *desk) { d.document(d.f.Bounds(), 0xffffff) }, func(d *desk) image.Rectangle {
		d.n++
		x, y := 40+d.n%150*glyphW, 40+d.n/150%40*19
		d.glyph(x, y, d.r.IntN(64), 0xffffff, 0)
		return image.Rect(x, y, x+glyphW, y+glyphH)
	}},
	{"scroll", 30, func(d *desk) { d.document(d.f.Bounds(), 0xffffff) }, func(d *desk) image.Rectangle {
		r := image.Rect(200, 100, 1700, 1000)
		for y := r.Min.Y; y < r.Max.Y-19; y++ {
			copy(d.f.Row(y, r.Min.X, r.Max.X), d.f.Row(y+19, r.Min.X, r.Max.X))
		}
		d.fill(image.Rect(r.Min.X, r.Max.Y-19, r.Max.X, r.Max.Y), 0xffffff)
		d.line(r.Min.X+12, r.Max.X-300, r.Max.Y-17, 0xffffff)
		return r
	}},
	{"terminal", 30, func(d *desk) { d.document(d.f.Bounds(), 0x1e1e1e) }, func(d *desk) image.Rectangle {
		// Some lines at a time, as a build prints.
		r := image.Rect(300, 150, 1500, 150+40*19)
		n := 1 + d.r.IntN(6)
		for y := r.Min.Y; y < r.Max.Y-19*n; y++ {
			copy(d.f.Row(y, r.Min.X, r.Max.X), d.f.Row(y+19*n, r.Min.X, r.Max.X))
		}
		for i := range n {
			y := r.Max.Y - 19*(i+1)
			d.fill(image.Rect(r.Min.X, y, r.Max.X, y+19), 0x1e1e1e)
			d.line(r.Min.X+4, r.Max.X-d.r.IntN(900), y+2, 0x1e1e1e)
		}
		return r
	}},
	{"drag", 30, func(d *desk) { d.blit(d.f.Bounds(), 0, 0) }, func(d *desk) image.Rectangle {
		at := func(n int) image.Rectangle {
			p := image.Pt(100+n*13%900, 80+n*5%190)
			return image.Rectangle{Min: p, Max: p.Add(image.Pt(800, 600))}
		}
		old := at(d.n)
		d.n++
		now := at(d.n)
		r := d.r
		d.blit(old, 0, 0)
		d.r = rand.New(rand.NewPCG(5, 5))
		d.document(now, 0xffffff)
		d.fill(image.Rect(now.Min.X, now.Min.Y, now.Max.X, now.Min.Y+30), 0x2060c0)
		d.r = r
		return old.Union(now)
	}},
	{"video", 30, func(d *desk) { d.document(d.f.Bounds(), 0xffffff) }, func(d *desk) image.Rectangle {
		d.n++
		r := image.Rect(400, 300, 1040, 660)
		d.blit(r, d.n*3, d.n*2)
		for y := r.Min.Y; y < r.Max.Y; y++ {
			row := d.f.Row(y, r.Min.X, r.Max.X)
			for i := range row {
				row[i] += d.r.Uint32() & 0x030303
			}
		}
		return r
	}},
	{"switch", 1, func(d *desk) { d.document(d.f.Bounds(), 0xffffff) }, func(d *desk) image.Rectangle {
		d.n++
		if d.n%2 == 0 {
			d.document(d.f.Bounds(), 0xffffff)
		} else {
			d.fill(d.f.Bounds(), 0xf0f0f0)
			d.document(image.Rect(0, 40, 400, 1080), 0x1e1e1e)
			d.document(image.Rect(400, 40, 1500, 1080), 0x1e1e1e)
			d.blit(image.Rect(1520, 60, 1900, 400), d.n, 0)
		}
		return d.f.Bounds()
	}},
}

// BenchmarkContents measures one update of 1920x1080 of each content: host and
// console time and bits a second. The copy of the capture is not in it.
func BenchmarkContents(b *testing.B) {
	for _, c := range contents {
		b.Run(c.name, func(b *testing.B) {
			d := newDesk(1920, 1080)
			e, err := newEncoder(d.f.W, d.f.H)
			if err != nil {
				b.Fatal(err)
			}
			s := &server{enc: e, out: &counter{}, motion: &jpegCodec{}, stream: 1}
			e.motion = s.motion
			e.restart()
			scr := picture.NewScreen(picture.Options{})
			s.out = &counter{to: scr.Packet}
			if err := s.out.Send(wire.AppendPictureConfig(nil, wire.PictureConfig{Width: d.f.W, Height: d.f.H, Stream: 1})); err != nil {
				b.Fatal(err)
			}
			now := time.Unix(1000, 0)
			var enc, dec time.Duration
			update := func(r image.Rectangle) int {
				now = now.Add(time.Second / time.Duration(c.fps))
				for y := r.Min.Y; y < r.Max.Y; y++ {
					copy(e.cur.Row(y, r.Min.X, r.Max.X), d.f.Row(y, r.Min.X, r.Max.X))
				}
				t := time.Now()
				size := 0
				for rects := []image.Rectangle{r}; len(rects) > 0; t = time.Now() {
					u, rest, ok, err := e.encode(rects, now, 64<<20, true, s.seq == 0, nil)
					enc += time.Since(t)
					if err != nil || !ok {
						b.Fatal(ok, err)
					}
					t = time.Now()
					s.seq++
					if !s.sendParts(wire.PictureUpdate{Packed: uint32(len(u.packed)), Plain: uint32(u.plain), Aside: uint32(len(u.aside))}, u) {
						b.Fatal("the console refused")
					}
					dec += time.Since(t)
					size += u.size()
					rects = slices.Clone(rest)
				}
				return size
			}
			c.init(d)
			first := update(d.f.Bounds())
			firstTime := enc
			for range 8 { // until moving regions are known
				update(c.step(d))
			}
			enc, dec = 0, 0
			bytes := 0
			for b.Loop() {
				b.StopTimer()
				r := c.step(d)
				b.StartTimer()
				bytes += update(r)
			}
			n := float64(b.N)
			b.ReportMetric(enc.Seconds()*1000/n, "enc-ms")
			b.ReportMetric(dec.Seconds()*1000/n, "dec-ms")
			b.ReportMetric(float64(bytes)*8*float64(c.fps)/1000/n, "kbit/s")
			b.ReportMetric(float64(first)/1000, "first-kB")
			b.ReportMetric(firstTime.Seconds()*1000, "first-ms")
		})
	}
}

type counter struct{ to func([]byte) error }

func (c *counter) Send(p []byte) error { return c.to(p) }
func (c *counter) Buffered() int       { return 0 }
