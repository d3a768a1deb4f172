//go:build !race

// Drawing and comparing ten seconds of pixels takes minutes under the race
// detector, which sees the same goroutines in the exactness tests.

package encode_test

import (
	"context"
	"image"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"daypass/backend/picture"
	"daypass/hostsvc/encode"
	"daypass/hostsvc/screen"
	"daypass/hostsvc/screen/screentest"
)

// thinLink carries messages at a rate and with a delay, in the bubble's time.
type thinLink struct {
	rate  float64 // bytes a second
	delay time.Duration
	to    chan timed

	mu sync.Mutex
	// mu guards all following
	free time.Time
	held int
}

type timed struct {
	b  []byte
	at time.Time
}

func (w *thinLink) Send(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); w.free.Before(now) {
		w.free = now
	}
	w.free = w.free.Add(time.Duration(float64(len(b)+60) / w.rate * float64(time.Second)))
	w.held += len(b)
	w.to <- timed{append([]byte(nil), b...), w.free.Add(w.delay)}
	return nil
}

func (w *thinLink) Buffered() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held
}

func (w *thinLink) arrived(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held -= n
}

// TestAThinLinkStaysResponsive scrolls and plays over 2 Mbit/s and 50 ms: the
// picture keeps coming, a key shows in time, and rest is exact.
func TestAThinLinkStaysResponsive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := screentest.New(1280, 720)
		sc := &scene{r: rand.New(rand.NewPCG(4, 4))}
		f.Draw(func(m *screen.Frame) []image.Rectangle { return sc.fill(m, m.Bounds()) })
		scr := picture.NewScreen(picture.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		w := &thinLink{rate: 2e6 / 8, delay: 25 * time.Millisecond, to: make(chan timed, 10000)}
		back, feedback := make(chan timed, 10000), make(chan []byte, 10000)
		var wg sync.WaitGroup
		wg.Go(func() { _ = encode.Serve(ctx, f, 0, w, feedback, slog.New(slog.DiscardHandler)) })
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-w.to:
					time.Sleep(time.Until(m.at))
					w.arrived(len(m.b))
					if err := scr.Packet(m.b); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-scr.Feedback():
					back <- timed{m, time.Now().Add(25 * time.Millisecond)}
				}
			}
		})
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-back:
					time.Sleep(time.Until(m.at))
					feedback <- m.b
				}
			}
		})
		defer wg.Wait()
		defer cancel()
		time.Sleep(time.Second)
		exact := func(what string, limit time.Duration) {
			t.Helper()
			for began := time.Now(); ; {
				synctest.Wait()
				n := differences(f.Copy(), scr.Snapshot())
				if n == 0 {
					t.Logf("%s: exact after %v", what, time.Since(began))
					return
				}
				if time.Since(began) > limit {
					t.Errorf("%s: %d pixels differ after %v", what, n, limit)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
		pane := image.Rect(100, 100, 900, 600)
		f.Draw(func(m *screen.Frame) []image.Rectangle { return sc.text(m, pane) })
		exact("text of a pane", 3*time.Second)

		before := scr.Stats().Updates
		for range 5 * 60 {
			f.Draw(func(m *screen.Frame) []image.Rectangle {
				sc.move(m, image.Rect(100, 108, 900, 600), image.Pt(0, -8))
				sc.text(m, image.Rect(100, 592, 900, 600))
				return []image.Rectangle{pane}
			})
			time.Sleep(time.Second / 60)
		}
		perSecond := float64(scr.Stats().Updates-before) / 5
		t.Logf("scroll: %.1f updates a second", perSecond)
		if perSecond < 10 {
			t.Errorf("scroll: %.1f updates a second", perSecond)
		}
		exact("scroll", 1500*time.Millisecond)

		before = scr.Stats().Updates
		film := image.Rect(300, 200, 620, 380)
		worst := time.Duration(0)
		began := time.Now()
		for i := range 5 * 30 {
			f.Draw(func(m *screen.Frame) []image.Rectangle { return sc.photo(m, film) })
			if i > 60 && i%15 == 0 {
				f.Draw(func(m *screen.Frame) []image.Rectangle { return sc.fill(m, image.Rect(50, 650, 60, 668)) })
				want := f.Copy().Row(655, 55, 56)[0]
				for pressed := time.Now(); ; time.Sleep(time.Millisecond) {
					p := scr.Snapshot().RGBAAt(55, 655)
					if uint32(p.R)<<16|uint32(p.G)<<8|uint32(p.B) == want {
						worst = max(worst, time.Since(pressed))
						break
					}
					if time.Since(pressed) > 2*time.Second {
						t.Fatal("a key never showed")
					}
				}
			}
			time.Sleep(time.Second / 30)
		}
		perSecond = float64(scr.Stats().Updates-before) / time.Since(began).Seconds()
		t.Logf("film: %.1f updates a second, a key shows after %v at most", perSecond, worst)
		if perSecond < 10 || worst > 400*time.Millisecond {
			t.Errorf("film: %.1f updates a second, a key shows after %v", perSecond, worst)
		}
		exact("film", 8*time.Second)
	})
}
