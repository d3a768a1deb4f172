//go:build !e2e

package consent

// e2e is whether XTEST events are accepted on the window and the bar. Never in
// what customers get.
const e2e = false
