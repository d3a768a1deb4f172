//go:build dev

package main

import "os"

// In development Wails serves the page over HTTP to a browser as well; its
// bridge is a WebSocket on that address.
const policy = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; " +
	"connect-src 'self' ws: http:; worker-src 'self' blob:; frame-src 'self'; base-uri 'none'; form-action 'none'; object-src 'none'"

func viewOrigins() []string {
	if s := os.Getenv("devserver"); s != "" {
		return []string{"http://" + s}
	}
	return []string{"http://localhost:34115"}
}
