//go:build !linux

package service

// FindDesktop finds no desktop: this system has another way.
func FindDesktop(int, string) (Desktop, bool) { return Desktop{}, false }
