// Package clip reads and sets the text clipboard of the customer's desktop,
// each only when asked: it watches nothing, so nothing can echo. It must not
// know where the text goes nor who may have it.
package clip

import (
	"context"
	"strings"

	"daypass/backend/fault"
)

// MaxText is the largest text, in bytes of UTF-8.
const MaxText = 1 << 20

// Clipboard is the text clipboard of one desktop. Methods may be called from
// any goroutine.
type Clipboard interface {
	// Get returns the text in the clipboard: valid UTF-8, lines ending in \n.
	// It fails with a fault of kind NotFound when there is no text, Limit when
	// it is larger than MaxText, Offline when its owner does not answer.
	Get(ctx context.Context) (string, error)
	// Set puts text into the clipboard. It stays until something else is
	// copied or, where the system asks the owner for it, until Close. Text
	// larger than MaxText is a fault of kind Invalid.
	Set(ctx context.Context, text string) error
	// Close ends it. It may be called twice.
	Close() error
}

var (
	errEmpty   = fault.New(fault.NotFound, "clipboard.get", "There is no text in the customer's clipboard.", "Ask the customer to copy the text first.")
	errLarge   = fault.New(fault.Limit, "clipboard.get", "The text in the customer's clipboard is larger than 1 MB.", "Copy less text, or send it as a file.")
	errTooMuch = fault.New(fault.Invalid, "clipboard.set", "The text is larger than 1 MB.", "Copy less text, or send it as a file.")
	errClosed  = fault.New(fault.Cancelled, "clipboard", "The clipboard is not shared any more.", "")
)

func silent(err error) error {
	return fault.Wrap(err, fault.Offline, "clipboard.get", "The program that the text was copied from does not answer.", "Ask the customer to copy the text again.")
}

// clean makes what another program gave into what Get promises.
func clean(s string) (string, error) {
	s, _, _ = strings.Cut(s, "\x00")
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\r\n", "\n")
	switch {
	case s == "":
		return "", errEmpty
	case len(s) > MaxText:
		return "", errLarge
	}
	return s, nil
}
