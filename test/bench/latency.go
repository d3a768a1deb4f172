package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

// dist is a summary of samples in milliseconds.
type dist struct {
	N      int     `json:"n"`
	Missed int     `json:"missed"`
	P50    float64 `json:"p50_ms"`
	P95    float64 `json:"p95_ms"`
	Max    float64 `json:"max_ms"`
}

func summary(v []float64, missed int) dist {
	if len(v) == 0 {
		return dist{Missed: missed}
	}
	s := slices.Sorted(slices.Values(v))
	q := func(p float64) float64 { return s[int(p*float64(len(s)-1)+0.5)] }
	return dist{len(s), missed, q(.5), q(.95), s[len(s)-1]}
}

type hand struct {
	x    *xgb.Conn
	root xproto.Window
}

func newHand(display string) *hand {
	x, err := xgb.NewConnDisplay(display)
	check(err)
	check(xtest.Init(x))
	return &hand{x, xproto.Setup(x).DefaultScreen(x).Root}
}

// event sends one XTEST event: 2/3 key, 4/5 button, 6 motion.
func (h *hand) event(kind, detail byte, x, y int) {
	xtest.FakeInput(h.x, kind, detail, 0, h.root, int16(x), int16(y), 0)
}

// place is where the customer's picture is in the technician's display.
type place struct{ x, y int }

// find looks for the picture: what turns from black to white with the desktop.
func find(s *stage) (place, error) {
	settle := func() {
		last, since := s.bs.sum(), time.Now()
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end) && time.Since(since) < 400*time.Millisecond; time.Sleep(20 * time.Millisecond) {
			if h := s.bs.sum(); h != last {
				last, since = h, time.Now()
			}
		}
	}
	var p place
	ok := false
	for end := time.Now().Add(40 * time.Second); !ok && time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		s.content.show(0)
		time.Sleep(200 * time.Millisecond)
		settle()
		dark := make([]byte, viewW*viewH)
		for y := range viewH {
			for x := range viewW {
				dark[y*viewW+x] = byte(s.bs.light(x, y))
			}
		}
		s.content.show(1)
		time.Sleep(200 * time.Millisecond)
		settle()
		cols, rows := make([]int, viewW), make([]int, viewH)
		for y := range viewH {
			for x := range viewW {
				if s.bs.light(x, y)-int(dark[y*viewW+x]) > 150 {
					cols[x]++
					rows[y]++
				}
			}
		}
		x0 := slices.IndexFunc(cols, func(n int) bool { return n > deskH/2 })
		y0 := slices.IndexFunc(rows, func(n int) bool { return n > deskW/2 })
		w, h := 0, 0
		for _, n := range cols {
			if n > deskH/2 {
				w++
			}
		}
		for _, n := range rows {
			if n > deskW/2 {
				h++
			}
		}
		p, ok = place{x0, y0}, w == deskW && h == deskH
	}
	s.content.show(-1)
	if !ok {
		return p, fmt.Errorf("the picture is not in the viewer 1:1 (viewer: %s)", s.log("viewer"))
	}
	settle()
	return p, nil
}

// lit reads the block on a screen, 0 black, 1 white, -1 neither.
func lit(sc *screen, p place) int {
	v := sc.light(p.x+blockX+blockW/2, p.y+blockY+blockH/2)
	w := sc.light(p.x+blockX+blockW-4, p.y+blockY+blockH-4)
	switch {
	case v < 60 && w < 60:
		return 0
	case v > 195 && w > 195:
		return 1
	}
	return -1
}

type samples struct {
	all, in, out []float64
	missed       int
	noise        []float64 // percent of a core that others used, a round
}

// trials measures input to photon, one event at a time with random pauses.
func trials(s *stage, h *hand, p place, kind string, n int, rnd *rand.Rand, to *samples) {
	h.event(6, 0, p.x+clickX, p.y+clickY)
	time.Sleep(200 * time.Millisecond)
	for range n {
		time.Sleep(time.Duration(120+rnd.IntN(350)) * time.Millisecond)
		was := lit(s.as, place{})
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end) && (was < 0 || lit(s.bs, p) != was); time.Sleep(5 * time.Millisecond) {
			was = lit(s.as, place{})
		}
		key := byte(24 + rnd.IntN(10))
		t0 := time.Now()
		if kind == "key" {
			h.event(2, key, 0, 0)
		} else {
			h.event(4, 1, 0, 0)
		}
		up := func() {
			if kind == "key" {
				h.event(3, key, 0, 0)
			} else {
				h.event(5, 1, 0, 0)
			}
		}
		var ta, tb time.Duration
		released := false
		for tb == 0 && time.Since(t0) < 2*time.Second {
			now := time.Since(t0)
			if ta == 0 && lit(s.as, place{}) == 1-was {
				ta = now
			}
			if lit(s.bs, p) == 1-was {
				tb = now
			}
			if !released && now > 70*time.Millisecond {
				up()
				released = true
			}
			time.Sleep(200 * time.Microsecond)
		}
		if !released {
			time.Sleep(30 * time.Millisecond)
			up()
		}
		if ta == 0 || tb == 0 {
			to.missed++
			continue
		}
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		to.all, to.in, to.out = append(to.all, ms(tb)), append(to.in, ms(ta)), append(to.out, ms(tb-ta))
	}
}

func latency(bin string, names []string, rounds, n int) map[string]any {
	runtime.LockOSThread()
	fmt.Printf("\nInput to changed pixels, %d rounds of %d trials; peers take turns\n", rounds, n)
	got := map[string]*samples{}
	var own map[string]any
	for round := range rounds {
		for _, name := range names {
			pr, ok := peers[name]
			if !ok {
				fail("unknown peer " + name)
			}
			s := newStage()
			check(pr.start(s, bin))
			p, err := find(s)
			check(err)
			h := newHand(s.b)
			h.event(6, 0, p.x+clickX, p.y+clickY)
			time.Sleep(100 * time.Millisecond)
			h.event(4, 1, 0, 0) // one click gives the viewer the keyboard
			time.Sleep(60 * time.Millisecond)
			h.event(5, 1, 0, 0)
			time.Sleep(1500 * time.Millisecond)
			rnd := rand.New(rand.NewPCG(uint64(round), 7))
			for _, kind := range []string{"key", "click"} {
				k := name + " " + kind
				if got[k] == nil {
					got[k] = &samples{}
				}
				before := s.now()
				trials(s, h, p, kind, n/rounds, rnd, got[k])
				got[k].noise = append(got[k].noise, s.now().foreign(before))
			}
			if name == "daypass" {
				own = stats(s)
			}
			h.x.Close()
			cleanup()
		}
	}
	out := map[string]any{}
	fmt.Printf("%-16s %6s %6s %8s %8s %8s   %-22s   %-22s %s\n", "", "n", "missed", "p50 ms", "p95 ms", "max ms", "to customer's screen", "from there to viewer", "others used of a core, a round")
	for _, kind := range []string{"key", "click"} {
		for _, name := range names {
			v := got[name+" "+kind]
			a, i, o := summary(v.all, v.missed), summary(v.in, 0), summary(v.out, 0)
			fmt.Printf("%-16s %6d %6d %8.1f %8.1f %8.1f   p50 %5.1f p95 %5.1f      p50 %5.1f p95 %5.1f      %.0f %%\n", name+" "+kind, a.N, a.Missed, a.P50, a.P95, a.Max, i.P50, i.P95, o.P50, o.P95, v.noise)
			out[name+" "+kind] = map[string]any{"all": a, "input": i, "picture": o, "foreign_cpu_percent": v.noise}
		}
		if d, t := got["daypass "+kind], got["tigervnc "+kind]; d != nil && t != nil {
			a, b := summary(d.all, 0), summary(t.all, 0)
			if b.N > 0 {
				fmt.Printf("%-16s ratio to TigerVNC: p50 %.2f, p95 %.2f\n", kind, a.P50/b.P50, a.P95/b.P95)
				out[kind+" ratio"] = map[string]float64{"p50": a.P50 / b.P50, "p95": a.P95 / b.P95}
			}
		}
	}
	if own != nil {
		fmt.Println("Where the time goes, as Daypass itself measures it in its last second:")
		for _, k := range []string{"captureMs", "encodeMs", "networkMs", "decodeMs", "paintMs", "rttMs", "updatesPerSec", "kbitPerSec"} {
			if v, ok := own[k].(float64); ok {
				fmt.Printf("  %-14s %8.2f\n", k, v)
			}
		}
		out["daypass stages"] = own
	}
	return out
}
