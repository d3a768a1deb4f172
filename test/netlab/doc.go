//go:build !linux

// Package netlab builds networks of namespaces for tests. There are none on
// this system.
package netlab
