//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"

	"daypass/backend/fault"
)

// lockProfile makes this program the only one on the profile until release is
// called. The lock goes with the process, whatever ends it.
func lockProfile(dir string) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return func() {}, fault.Wrap(err, fault.Denied, "main.lock", "The profile folder cannot be written.", "Check the rights of "+dir+".")
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return func() {}, inUse(err)
	}
	return func() { f.Close() }, nil
}

func inUse(err error) error {
	return fault.Wrap(err, fault.Conflict, "main.lock", "Daypass is already open.", "Use the window that is open, or start this one with --profile and another folder.")
}
