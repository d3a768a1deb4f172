//go:build !dev

package main

// policy lets the page load what is ours and talk to the loopback stream; a
// text of the customer's computer that became markup could do nothing with it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; " +
	"connect-src 'self' ws://127.0.0.1:*; worker-src 'self' blob:; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; object-src 'none'"

func viewOrigins() []string { return nil }
