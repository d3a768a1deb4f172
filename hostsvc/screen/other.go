//go:build !windows && !linux && !freebsd && !openbsd && !netbsd

package screen

import "log/slog"

// Default fails on systems whose screen Daypass cannot see.
func Default(*slog.Logger) (Source, error) { return nil, ErrNoDisplay }
