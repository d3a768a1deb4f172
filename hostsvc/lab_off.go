//go:build !lab

package main

// lab is whether this is a build for the laboratory: with --headless it shows
// no bar, and it says so at every start. Never in what customers get.
const lab = false
