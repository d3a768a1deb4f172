//go:build !windows && !linux && !freebsd && !openbsd && !netbsd

package input

import (
	"log/slog"

	"daypass/backend/fault"
)

// Default says that this system is not supported.
func Default(*slog.Logger) (Injector, error) {
	return nil, fault.New(fault.Unsupported, "input.open", "Daypass cannot control this kind of computer.", "Go on by watching only.")
}
