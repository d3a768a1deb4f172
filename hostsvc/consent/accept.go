package consent

import "strings"

// acceptXTEST lets XTEST events press buttons at any time. It is e2e, a
// constant that only builds with that tag set, and a variable only so that
// this package's tests can look at both.
var acceptXTEST = e2e

// origin is where one press or key came from.
type origin struct {
	sent  bool   // by XSendEvent of another program
	known bool   // the physical source device is known
	name  string // its name
}

// injected reports whether the event was made by a program rather than by a
// device: the X server calls the sources of XTEST "Virtual core XTEST pointer",
// "Xvfb XTEST keyboard" and alike, one pair for each master device. A source
// that is not known counts as injected.
func (o origin) injected() bool {
	return !o.known || strings.Contains(o.name, "XTEST")
}

// accept decides whether one press or key may act on what m shows. See the
// package comment.
func accept(m *Model, o origin) bool {
	if o.sent {
		return false
	}
	if !o.injected() || acceptXTEST {
		return true
	}
	return m.Screen != Connected && m.Screen != Ending && !m.Watching && !m.Again
}
