//go:build linux

package screen

// WithoutSharedMemory makes captures of s that are opened later read through
// the floor.
func WithoutSharedMemory(s Source) { s.(*x11Source).noShared = true }
