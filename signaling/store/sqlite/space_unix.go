//go:build unix

package sqlite

import (
	"errors"
	"syscall"
)

// noSpace reports whether err says that the disk or the quota is full.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
