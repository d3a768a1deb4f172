//go:build !linux

package service

// Places are where this system keeps entries.
type Places struct{}

// Here returns this computer's places.
func Here() Places { return Places{} }

// ForUser returns nil: nothing keeps the program here without administrator
// rights.
func ForUser(Places) Manager { return nil }

// ForSystem returns nil: nothing keeps the program here yet.
func ForSystem(Places) Manager { return nil }
