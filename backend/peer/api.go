package peer

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/pion/transport/v4"

	"daypass/backend/fault"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous/protocol"
	"daypass/backend/wire"
)

// Limits of the package's interface.
const (
	// MaxMessage is the largest message on any channel, in bytes. A larger one
	// from the peer is a Hostile fault and closes the connection.
	MaxMessage = wire.MaxMessage
	// MaxHello is the largest Config.Hello, in bytes.
	MaxHello = 16 << 10
	// MaxReason is the largest reason of a Close, in bytes; longer ones are cut.
	MaxReason = 256
	// Class is the first byte of every mailbox message of this package.
	Class = 'C'
)

// Mailbox carries the negotiation of one session to the other side and back. It
// may lose, repeat, delay and reorder messages; it needs to protect nothing.
// Bodies are those of class 'C' only, class byte included, at most 48 KiB.
type Mailbox interface {
	// Send returns when the server took the message. The Link calls it from one
	// goroutine and cancels ctx after a few seconds. It must not keep body.
	Send(ctx context.Context, body []byte) error
	// Receive returns the messages of the other side. The Link owns what it
	// receives. A closed channel means that no more will come.
	Receive() <-chan []byte
	// Online reports whether the server is believed reachable now.
	Online() bool
}

// EpochStore keeps the number of the latest connection where it survives a
// crash (pairing.EpochStore has the same shape).
type EpochStore interface {
	// Advance stores epoch, durably before it returns. It refuses what is not
	// greater than the stored one.
	Advance(epoch uint64) error
}

// Config is what a Link needs. Device, Pin, Epochs and Mailbox are required.
type Config struct {
	Device  *pairing.Device
	Pin     *pairing.Pin // read and, for the epoch, written by the Link until it is closed
	Epochs  EpochStore   // called from the Link's goroutine
	Mailbox Mailbox      // used by this Link alone until it is closed; the caller closes it
	// ICE returns the STUN and TURN servers; called before each connection with
	// 5 s to answer. Without it, or if it fails, the link tries without servers.
	ICE func(context.Context) ([]protocol.ICEServer, error)
	// LAN allows loopback candidates: the demonstration on one machine, and
	// sessions over the console's own server.
	LAN bool
	// Hello is shown to the peer with every connection (Event.PeerHello), after
	// the tag. At most MaxHello bytes; the Link keeps it.
	Hello []byte
	Log   *slog.Logger // nil: discarded
	// Net replaces the operating system's network in tests.
	Net transport.Net

	seams seams // tests of this package
}

// State is where a Link is.
type State int

// The states.
const (
	Connecting   State = iota // never open so far
	Open                      // messages flow
	Stale                     // the connection is silent; may recover by itself
	Reconnecting              // an ICE restart or a new connection is being made
	Closed                    // for good
)

// String returns the state in lower case: connecting, open, stale,
// reconnecting, closed.
func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Open:
		return "open"
	case Stale:
		return "stale"
	case Reconnecting:
		return "reconnecting"
	case Closed:
		return "closed"
	}
	return "unknown"
}

// Paths of a Link.
const (
	PathDirect = "direct"
	PathRelay  = "relay"
)

// Event is what changed. Events coalesce: one that was not taken is merged into
// the next, so that the newest state, error and hello and every flag arrive.
type Event struct {
	State State
	Path  string        // PathDirect, PathRelay or "" while not known
	RTT   time.Duration // smoothed round trip of heartbeats; 0 while not known
	Err   *fault.Error  // why it is not open, or what went wrong; nil if nothing new
	// PeerHello is the peer's Config.Hello, not nil once after each new
	// connection.
	PeerHello []byte
	// Fresh is set when Input, Picture and Bulk began anew, the first time
	// included: what was on its way on them is lost.
	Fresh bool
	// NewInstance is set when the peer's program, or its Link, is another one
	// than before: control messages the old one had not acknowledged are
	// dropped, and the numbering starts again.
	NewInstance bool
	// Bye is the reason the peer gave when it closed its Link. This Link stays
	// and opens again when the peer comes back; Close it if that is not wanted.
	Bye string
}

// Channel is one ordered, reliable stream of messages. All methods are safe for
// concurrent use; concurrent Sends have no order among each other.
type Channel interface {
	// Send hands over b, 1 to MaxMessage bytes, and does not keep it. It never
	// blocks. On Control it succeeds in every state but Closed until the window
	// of unacknowledged messages is full; on the others it needs a Link that is
	// open or stale. Fault kinds: Offline (not open; nothing was sent), Limit
	// (the queue is full: nothing was sent, wait with Writable), Invalid (size),
	// Cancelled (the Link is closed).
	Send(b []byte) error
	// Receive returns the peer's messages; the receiver owns them. It is closed
	// after the Link is. A receiver that does not keep up slows the peer down.
	Receive() <-chan []byte
	// Buffered returns the bytes accepted by Send that the peer's machine has
	// not acknowledged (Control: that the peer's program has not taken).
	Buffered() int
	// Writable waits until the Link is open (not stale) and Buffered ≤ max. It
	// returns ctx's error, or a Cancelled fault if the Link is closed.
	Writable(ctx context.Context, max int) error
}

// Stats is a snapshot of a Link's figures. Counters cover the Link's whole life.
type Stats struct {
	State State
	Path  string        // PathDirect, PathRelay or ""
	RTT   time.Duration // smoothed; 0 while not known
	Last  time.Duration // latest round trip

	LocalType, RemoteType       string // "host", "srflx", "prflx", "relay"
	LocalAddr, RemoteAddr       netip.AddrPort
	LocalProtocol               string // "udp"
	OurFingerprint              string // SHA-256 of the DTLS certificate, upper-case hex with colons
	PeerFingerprint             string
	Control, Input              Traffic
	Picture, Bulk               Traffic
	Connections, Restarts       int    // new connections that opened; ICE restarts that brought the path back
	Epoch                       uint64 // of the latest handshake
	SinceHeard                  time.Duration
	TransportSent, TransportGot uint64 // bytes of DTLS and STUN on the current connection's selected pair
}

// Traffic counts the payload of one channel.
type Traffic struct {
	BytesSent, BytesReceived       uint64
	MessagesSent, MessagesReceived uint64
}
