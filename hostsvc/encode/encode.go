// Package encode is the host half of the picture path: it turns what a display
// shows into the update stream of wire/picture and decides when to send. It
// must not know window systems, connections or consoles.
package encode

// Sender is the Picture channel as this package sees it.
type Sender interface {
	// Send queues one message; the callee copies it or is done with it when
	// it returns. An error means that the connection is away.
	Send([]byte) error
	// Buffered is the number of bytes queued and not yet handed to the network.
	Buffered() int
}
