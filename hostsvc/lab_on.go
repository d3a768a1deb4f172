//go:build lab

package main

// lab is whether this is a build for the laboratory.
const lab = true
