//go:build !windows && !linux && !freebsd && !openbsd && !netbsd

package clip

import (
	"log/slog"

	"daypass/backend/fault"
)

// Default says that this system is not supported.
func Default(*slog.Logger) (Clipboard, error) {
	return nil, fault.New(fault.Unsupported, "clipboard.open", "Daypass cannot use this computer's clipboard.", "Go on without it.")
}
