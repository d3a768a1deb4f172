package host

import (
	"image"
	"log/slog"
	"slices"
	"testing"
	"time"

	"daypass/backend/wire"
)

// player counts what comes through a gate.
type player struct {
	usages   []uint16
	released int
}

func (p *player) Apply(m wire.Input, _ image.Rectangle) error {
	p.usages = append(p.usages, m.Usage)
	return nil
}
func (p *player) ReleaseAll() error { p.released++; return nil }
func (p *player) Blocked() error    { return nil }
func (p *player) Close() error      { return nil }

func TestWhatWasTypedBeforeAnInterruptionIsNotTypedAfterIt(t *testing.T) {
	p := &player{}
	g := newGate(slog.New(slog.DiscardHandler))
	g.use(p)
	g.Open(image.Rect(0, 0, 100, 100))
	now := time.Now()
	key := func(usage uint16) {
		t.Helper()
		b, err := wire.AppendInput(nil, &wire.Input{Kind: wire.InputKey, Usage: usage, Down: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Take(b, now); err != nil {
			t.Fatal(err)
		}
	}
	release := func() {
		t.Helper()
		if err := g.Take([]byte{byte(wire.InputRelease), 0, 0, 0}, now); err != nil {
			t.Fatal(err)
		}
	}
	key(4)
	g.Interrupted()
	if p.released != 1 {
		t.Error("an interruption lets nothing go")
	}
	key(5) // on its way since before
	now = now.Add(5 * time.Second)
	g.Resumed(now)
	key(6)
	release() // the console's word about the interruption
	key(7)
	if want := []uint16{4, 7}; !slices.Equal(p.usages, want) {
		t.Errorf("played %v, want %v", p.usages, want)
	}

	// A console that has seen no interruption says nothing about it.
	g.Interrupted()
	g.Resumed(now)
	key(8)
	now = now.Add(deafAfter + time.Millisecond)
	key(9)
	if want := []uint16{4, 7, 9}; !slices.Equal(p.usages, want) {
		t.Errorf("played %v, want %v", p.usages, want)
	}
}
