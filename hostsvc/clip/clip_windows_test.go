package clip

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"daypass/backend/fault"
)

func TestTextGoesThroughTheSystemsClipboard(t *testing.T) {
	a, err := Default(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Default(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"plain", "two\nlines\n", "Umlaute äöü €, 日本 😀", strings.Repeat("x", MaxText)} {
		if err := a.Set(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Get(t.Context()); err != nil || got != s {
			t.Fatalf("set %.40q, got %.40q, %v", s, got, err)
		}
	}
	if err := a.Set(t.Context(), strings.Repeat("x", MaxText+1)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("too large: %v", err)
	}
	// Many at once wait for each other.
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if err := a.Set(context.Background(), "again"); err != nil {
					t.Error(err)
				}
				if got, err := b.Get(context.Background()); err != nil || got != "again" {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	all.Wait()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Get(t.Context()); fault.KindOf(err) != fault.Cancelled {
		t.Errorf("closed: %v", err)
	}
	if got, err := b.Get(t.Context()); err != nil || got != "again" {
		t.Errorf("after the one who set it closed: %q, %v", got, err)
	}
}
