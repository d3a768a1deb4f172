package service

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type fakeAgent struct {
	in      string
	done    chan struct{}
	once    sync.Once
	stopped atomic.Bool
}

func (a *fakeAgent) Done() <-chan struct{} { return a.done }
func (a *fakeAgent) end()                  { a.once.Do(func() { close(a.done) }) }
func (a *fakeAgent) Stop()                 { a.stopped.Store(true); a.end() }

// world is what a supervisor sees.
type world struct {
	mu      sync.Mutex
	wanted  bool
	held    bool
	display string
	fails   int
	agents  []*fakeAgent
}

func (w *world) do(f func()) { w.mu.Lock(); defer w.mu.Unlock(); f() }

func (w *world) count() int { w.mu.Lock(); defer w.mu.Unlock(); return len(w.agents) }

func (w *world) last() *fakeAgent {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.agents) == 0 {
		return nil
	}
	return w.agents[len(w.agents)-1]
}

func (w *world) supervisor() *Supervisor {
	get := func(f func() bool) func() bool {
		return func() bool { w.mu.Lock(); defer w.mu.Unlock(); return f() }
	}
	return &Supervisor{
		Wanted: get(func() bool { return w.wanted }), Held: get(func() bool { return w.held }), Log: slog.New(slog.DiscardHandler),
		Desktop: func() (Desktop, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return Desktop{Display: w.display}, w.display != ""
		},
		Start: func(_ context.Context, d *Desktop) (Agent, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.fails > 0 {
				w.fails--
				return nil, errors.New("no")
			}
			a := &fakeAgent{done: make(chan struct{})}
			if d != nil {
				a.in = d.Display
			}
			w.agents = append(w.agents, a)
			return a, nil
		},
	}
}

func TestAgentFollowsTheDesktop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{wanted: true}
		done := make(chan error, 1)
		go func() { done <- w.supervisor().Run(t.Context()) }()
		time.Sleep(3 * time.Second)
		login := w.last()
		if login == nil || login.in != "" {
			t.Fatalf("with nobody signed in: %+v", login)
		}
		w.do(func() { w.display = ":1" })
		time.Sleep(2 * time.Second)
		if a := w.last(); a.in != ":1" || !login.stopped.Load() {
			t.Fatalf("after sign-in: %+v, the one before was stopped: %v", a, login.stopped.Load())
		}
		w.do(func() { w.display = "" })
		time.Sleep(2 * time.Second)
		if a := w.last(); a.in != "" || w.count() != 3 {
			t.Fatalf("after sign-out: %+v of %d", a, w.count())
		}
		w.do(func() { w.wanted = false })
		w.last().end()
		if err := <-done; err != nil || w.count() != 3 {
			t.Fatalf("%v, %d agents", err, w.count())
		}
	})
}

func TestAgentComesBackAndNotInARush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{wanted: true, display: ":0", fails: 1}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.supervisor().Run(ctx) }()
		time.Sleep(3 * time.Second)
		killed := time.Now()
		w.last().end()
		for w.count() < 2 {
			time.Sleep(100 * time.Millisecond)
		}
		if d := time.Since(killed); d > 4*time.Second {
			t.Errorf("back after %v", d)
		}
		for range 300 { // one that ends at once, for five minutes
			w.last().end()
			time.Sleep(time.Second)
		}
		if n := w.count(); n < 5 || n > 20 {
			t.Errorf("%d starts in five minutes", n)
		}
		time.Sleep(time.Minute)
		steadyOne := w.last()
		time.Sleep(2 * time.Minute)
		before := w.count()
		steadyOne.end()
		time.Sleep(3 * time.Second)
		if w.count() != before+1 {
			t.Error("one that lived long is not back at once")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || !w.last().stopped.Load() {
			t.Errorf("%v, stopped %v", err, w.last().stopped.Load())
		}
	})
}

func TestProgramOfThePersonIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{wanted: true, held: true, display: ":0"}
		done := make(chan error, 1)
		go func() { done <- w.supervisor().Run(t.Context()) }()
		time.Sleep(time.Minute)
		if w.last() != nil {
			t.Fatal("a second one beside it")
		}
		w.do(func() { w.held = false }) // killed
		time.Sleep(2 * time.Second)
		if w.last() == nil {
			t.Fatal("nobody took over")
		}
		w.do(func() { w.wanted = false })
		w.last().end()
		<-done
	})
}
