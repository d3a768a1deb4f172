// Package peer is the link between a console and a host: four data channels
// over WebRTC that open through NATs, notice a dead path within about a second,
// come back by themselves and prove before anything is served that nobody sits
// in between. It is the only importer of pion/webrtc (in tests: the other stack
// that the link is tried against) and of what that is made of: see rtc.go. It must not know what the
// messages on the channels mean, how the two sides were paired, or how the
// mailbox that carries its negotiation reaches the other side.
//
// # Ownership
//
// One goroutine owns a Link's state; callbacks and methods hand it closures.
// Messages do not pass through it: a Send writes into the transport from the
// caller's goroutine, a received message goes from the transport's reader into
// the channel that Receive returns.
//
// # Negotiation
//
// Every connection and every ICE restart is a new Noise handshake with the next
// epoch (backend/pairing), carried by the mailbox as messages of class 'C'; see
// signal.go for the layout. The console offers, the host answers and may ask
// for a new attempt. Asking for the host's challenge is also the probe: only a
// host that answers it gets an ICE restart or a new connection.
//
// # Control channel
//
// The first message both ways is a tag over both DTLS certificates, the second
// a hello with the state of the control stream, which survives any number of
// ICE restarts and connections of the same two Links; see frame.go.
//
// # Measured choices (docs of each constant in settings.go)
//
// A 20-byte message on an idle link crosses loopback in well under a
// millisecond; pion's SCTP neither bundles in time (no Nagle) nor waits for an
// acknowledgement before it sends within the congestion window. An idle link
// costs under 10 kbit/s, both directions together.
package peer
