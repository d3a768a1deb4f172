package host

import (
	"image"
	"log/slog"
	"sync"
	"time"

	"daypass/backend/wire"
)

// gate stands between the link and the injector. It is the authority on input:
// what arrives while it is shut does nothing. Shutting it waits for the event
// that is being injected, then lets go of everything that is held, so that
// nothing happens any more when Shut has returned. It is safe for concurrent
// use.
type gate struct {
	log *slog.Logger

	mu      sync.Mutex // guards all following, and the injector
	inj     Injector
	open    bool
	until   time.Time // then it is shut; zero: no limit
	display image.Rectangle
	deaf    bool      // since the link was interrupted
	hears   time.Time // again from then on; zero: not known yet
	tokens  float64
	filled  time.Time
	failed  error // latest of Apply, until taken
	over    *time.Timer
}

func newGate(log *slog.Logger) *gate { return &gate{log: log, tokens: inputPerSecond} }

// use gives the gate its injector, which it owns from then on.
func (g *gate) use(inj Injector) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inj = inj
}

// Open lets input through to the display with these bounds.
func (g *gate) Open(display image.Rectangle) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open, g.display = g.inj != nil, display
}

// Limit shuts the gate by itself in left from now; a negative one is none. The
// monotonic clock counts, whatever else is busy.
func (g *gate) Limit(left time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over != nil {
		g.over.Stop()
		g.over = nil
	}
	if g.until = (time.Time{}); left >= 0 {
		g.until = time.Now().Add(left)
		g.over = time.AfterFunc(left, g.expire)
	}
}

// expire shuts the gate if its time is over.
func (g *gate) expire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open && !g.until.IsZero() && !time.Now().Before(g.until) {
		g.open = false
		g.release()
	}
}

// Shut stops input and lets go of everything held. It may be called at any
// time, again too.
func (g *gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = false
	g.release()
}

// Release lets go of everything held and stays as it is.
func (g *gate) Release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.release()
}

// Interrupted is Release for a link that has fallen silent. What was sent
// before and arrives later was meant for the past: the gate is deaf until the
// console lets go of everything, which it does when it sees the interruption
// and when that is over, or until deafAfter from Resumed on, for a console
// that has seen none.
func (g *gate) Interrupted() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.release()
	g.deaf, g.hears = true, time.Time{}
}

// Resumed says that the link is open again.
func (g *gate) Resumed(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hears = now.Add(deafAfter)
}

func (g *gate) release() {
	if g.inj == nil {
		return
	}
	if err := g.inj.ReleaseAll(); err != nil {
		g.log.Warn("keys and buttons could not be released", "cause", err)
	}
}

// Take handles one message of the console. now is for the bound: at most
// inputPerSecond messages a second, as many at once. What lets go of something
// is never dropped.
func (g *gate) Take(b []byte, now time.Time) error {
	m, err := wire.ParseInput(b)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.deaf && (m.Kind == wire.InputRelease || (!g.hears.IsZero() && now.After(g.hears))) {
		g.deaf = false
	}
	if g.open && !g.until.IsZero() && !now.Before(g.until) {
		g.open = false
		g.release()
	}
	if !g.open || g.deaf {
		return nil
	}
	if !g.filled.IsZero() {
		g.tokens = min(inputPerSecond, g.tokens+now.Sub(g.filled).Seconds()*inputPerSecond)
	}
	g.filled = now
	lets := m.Kind == wire.InputRelease || ((m.Kind == wire.InputKey || m.Kind == wire.InputButton) && !m.Down)
	if g.tokens < 1 && !lets {
		return nil
	}
	g.tokens = max(0, g.tokens-1)
	if m.Kind == wire.InputRelease {
		g.release()
		return nil
	}
	if (m.Kind == wire.InputMove || m.Kind == wire.InputButton || m.Kind == wire.InputWheel) &&
		(int(m.X) >= g.display.Dx() || int(m.Y) >= g.display.Dy()) {
		if !lets {
			return nil // aimed at a display of another size; the next one fits
		}
		m.X, m.Y = min(m.X, uint16(max(0, g.display.Dx()-1))), min(m.Y, uint16(max(0, g.display.Dy()-1)))
	}
	if err := g.inj.Apply(m, g.display); err != nil {
		g.failed = err
	}
	return nil
}

// Blocked returns why the system lets no input through, or nil. While the gate
// is shut nobody asks.
func (g *gate) Blocked() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open {
		return nil
	}
	return g.inj.Blocked()
}

// Failed returns and forgets why the latest event could not be injected.
func (g *gate) Failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	err := g.failed
	g.failed = nil
	return err
}

// Close shuts the gate and closes the injector.
func (g *gate) Close() {
	g.Shut()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over != nil {
		g.over.Stop()
	}
	if g.inj != nil {
		if err := g.inj.Close(); err != nil {
			g.log.Debug("injector not closed", "cause", err)
		}
		g.inj = nil
	}
}
