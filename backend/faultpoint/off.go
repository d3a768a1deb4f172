//go:build !fault

package faultpoint

// Armed is whether this build can be killed at its steps.
const Armed = false

// Hit is a step of the protocol; what says which one of several. In this build
// nothing happens.
func Hit(string, string) {}

// Message is Hit for a mailbox message, told apart by its type. In this build
// nothing happens.
func Message(string, []byte) {}
