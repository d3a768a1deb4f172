//go:build !windows

package main

// attach is for Windows, where a program has no terminal by itself.
func attach() {}

// alert is for Windows: elsewhere somebody reads standard error.
func alert(error) {}
