//go:build !linux || (!production && !dev)

package main

// watchSideButtons has nothing to do where the web view gives the page every
// button.
func watchSideButtons(func(button int, down bool)) {}
