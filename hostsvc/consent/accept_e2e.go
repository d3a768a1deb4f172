//go:build e2e

package consent

// e2e accepts XTEST events on the window and the bar: end-to-end tests have no
// other hands. A program built with this tag must not be given to customers.
const e2e = true
