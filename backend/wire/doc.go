// Package wire is the protocol that console and host speak to each other once
// their link is open: the messages of each channel, their byte layouts, their
// caps and the protocol's version. The files are the specification. It must not
// know how messages are carried, encrypted or acted upon; everything it parses
// comes from a hostile peer and is bounded and strict.
//
//   - control.go: control channel, both ways, exactly once and in order
//   - input.go: input channel, console to host
//   - picture.go: picture channel, updates from host, acknowledgements from console
package wire

// Version is the protocol version. Both sides send theirs in Hello; a peer with
// another major version is told so in words and the link is closed.
const Version = 1

// MaxMessage is the largest message on any channel, in bytes.
const MaxMessage = 60 << 10
