package host

import (
	"context"
	"image"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"daypass/backend/grant"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/screen"
)

// countChannel counts what is sent, and may hold a message up on its way.
type countChannel struct {
	fakeChannel
	sent atomic.Int64
}

func (c *countChannel) Send([]byte) error { c.sent.Add(1); return nil }

// However many pictures are on their way when it is stopped: once stop has
// returned none is sent any more.
func TestNothingIsSentAfterStop(t *testing.T) {
	for range 50 {
		ch := &countChannel{}
		begun := make(chan struct{}, 4)
		s := startShowing(func(ctx context.Context, _ screen.Source, _ uint32, out Sender, _ <-chan []byte, _ *slog.Logger) error {
			var wg sync.WaitGroup
			for range 4 { // capture that does not notice for a while
				wg.Go(func() {
					for i := 0; i < 200 || ctx.Err() == nil; i++ {
						if out.Send(nil) == nil && i == 0 {
							begun <- struct{}{}
						}
					}
				})
			}
			wg.Wait()
			return nil
		}, nil, 0, ch, &feed{}, slog.New(slog.DiscardHandler), func(err error) { t.Error(err) })
		<-begun
		s.stop()
		n := ch.sent.Load()
		s.wait()
		if m := ch.sent.Load(); m != n {
			t.Fatalf("%d sent after stop had returned", m-n)
		}
	}
}

// A limit stops the picture and lets go of what is held by itself, with nobody
// asking; one that is lifted does not.
func TestLimitsActByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := &countChannel{}
		s := startShowing(func(ctx context.Context, _ screen.Source, _ uint32, out Sender, _ <-chan []byte, _ *slog.Logger) error {
			for ctx.Err() == nil {
				_ = out.Send(nil)
				time.Sleep(time.Second)
			}
			return nil
		}, nil, 0, ch, &feed{}, slog.New(slog.DiscardHandler), func(err error) { t.Error(err) })
		inj := &fakeInjector{}
		lets := func() int { inj.mu.Lock(); defer inj.mu.Unlock(); return inj.released }
		g := newGate(slog.New(slog.DiscardHandler))
		g.use(inj)
		g.Open(image.Rect(0, 0, 800, 600))
		g.Limit(time.Minute)
		s.limit(time.Minute)
		time.Sleep(59 * time.Second)
		g.Limit(15 * time.Minute)
		s.limit(15 * time.Minute)
		time.Sleep(14 * time.Minute)
		if n := ch.sent.Load(); n < 14*60 || lets() != 0 {
			t.Errorf("%d pictures, released %d", n, lets())
		}
		time.Sleep(2 * time.Minute)
		<-s.done // capture has ended
		if n := ch.sent.Load(); n > 16*60 || lets() != 1 {
			t.Errorf("%d pictures, released %d", n, lets())
		}
		g.Close()
	})
}

// Switching off seeing or pressing Stop works while the session is busy with
// something that hangs.
func TestSwitchesActWhileTheSessionIsBusy(t *testing.T) {
	for name, a := range map[string]consent.Action{
		"view off": {Kind: consent.SetRight, Rights: grant.View}, "stop": {Kind: consent.Stop}, "end": {Kind: consent.EndAndRemove},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			hang, free := make(chan struct{}), make(chan struct{})
			var once sync.Once
			r.src.look = func() {
				select {
				case <-hang:
					once.Do(func() { <-free }) // the session's loop is in here
				default:
				}
			}
			r.activate()
			r.remote()
			r.input(wire.Input{Kind: wire.InputButton, Buttons: 1, Down: true})
			r.eventually("the button", func() bool { return r.inj.count() == 1 })
			close(hang)
			r.link.say(t, &wire.Open{}) // looks at the displays
			r.do(a)
			r.eventually("capture has ended", func() bool { return r.running(7) == 0 })
			r.eventually("the button is let go", func() bool { r.inj.mu.Lock(); defer r.inj.mu.Unlock(); return r.inj.released > 0 })
			r.input(wire.Input{Kind: wire.InputMove, X: 1})
			close(free)
			switch a.Kind {
			case consent.EndAndRemove:
				r.view.screen(t, consent.Removed)
				r.do(consent.Action{Kind: consent.Leave})
				if err := r.wait(); err != nil {
					t.Fatal(err)
				}
			case consent.SetRight:
				r.view.until(t, "the switch", func(m consent.Model) bool { return !m.Allowed.Has(grant.View) && m.Doing == 0 })
				r.do(consent.Action{Kind: consent.SetRight, Rights: grant.View, On: true})
				r.eventually("it goes on", func() bool { return r.running(7) == 1 })
			case consent.Stop:
				r.view.until(t, "stopped", func(m consent.Model) bool { return m.Paused })
			}
			if r.inj.count() != 1 {
				t.Error("input after that")
			}
		})
	}
}
