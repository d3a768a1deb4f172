package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestOfFindsTheFirstErrorInTheChain(t *testing.T) {
	inner := New(Limit, "session.create", "All places are taken.", "End a session first.")
	got := Of(fmt.Errorf("outer: %w", inner))
	if got != inner {
		t.Fatalf("got %v", got)
	}
	if KindOf(fmt.Errorf("x: %w", inner)) != Limit {
		t.Fatal("kind lost")
	}
}

func TestOfClassifiesUnknownErrorsWithoutLeakingThem(t *testing.T) {
	for err, want := range map[error]Kind{
		errors.New("sqlite: secret path"):                     Internal,
		context.Canceled:                                      Cancelled,
		fmt.Errorf("dial: %w", context.DeadlineExceeded):      Offline,
		Wrap(errors.New("x"), Corrupt, "store.open", "m", ""): Corrupt,
	} {
		e := Of(err)
		if e.Kind != want {
			t.Errorf("%v: kind %q, want %q", err, e.Kind, want)
		}
		if strings.Contains(e.Message+e.Hint, "secret") {
			t.Errorf("%v: cause leaks into words for people: %q", err, e.Message)
		}
	}
	if Of(nil) != nil || KindOf(nil) != "" {
		t.Error("nil must stay nil")
	}
}

func TestIsComparesKindAndOperation(t *testing.T) {
	e := fmt.Errorf("x: %w", New(Expired, "pairing.code", "m", "h"))
	if !errors.Is(e, &Error{Kind: Expired}) || !errors.Is(e, &Error{Kind: Expired, Op: "pairing.code"}) {
		t.Error("same kind must match")
	}
	if errors.Is(e, &Error{Kind: Limit}) || errors.Is(e, &Error{Kind: Expired, Op: "other"}) {
		t.Error("other kind or operation must not match")
	}
}
