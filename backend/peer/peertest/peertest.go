// Package peertest gives other packages' tests what a peer.Link needs: a pair
// of mailboxes in memory that can lose, repeat and stop, and the configuration
// of two paired sides. It must not know what is tested with them.
package peertest

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/peer"
)

// ErrOffline is what Send returns while a mailbox is offline.
var ErrOffline = errors.New("peertest: mailbox is offline")

// maxStored is what a mailbox holds for a receiver that is offline or slow, as
// the server does; older messages are dropped.
const maxStored = 32

// Mailbox is one end of a pair in memory. It implements peer.Mailbox. All
// methods are safe for concurrent use.
type Mailbox struct {
	other *Mailbox
	in    chan []byte
	wake  chan struct{}
	done  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup

	mu      sync.Mutex
	offline bool
	loss    float64
	repeat  float64
	rnd     *mathrand.Rand
	stored  [][]byte
	sent    int
	tap     func(body []byte) []byte
}

// NewMailboxes returns the two ends, online and faultless. Close both.
func NewMailboxes() (console, host *Mailbox) {
	console, host = newMailbox(1), newMailbox(2)
	console.other, host.other = host, console
	for _, m := range []*Mailbox{console, host} {
		m.wg.Go(m.deliver)
	}
	return console, host
}

func newMailbox(seed uint64) *Mailbox {
	return &Mailbox{
		in: make(chan []byte), wake: make(chan struct{}, 1), done: make(chan struct{}),
		rnd: mathrand.New(mathrand.NewPCG(seed, seed)),
	}
}

// Send implements peer.Mailbox.
func (m *Mailbox) Send(ctx context.Context, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if m.offline {
		m.mu.Unlock()
		return ErrOffline
	}
	m.sent++
	n := 1
	if m.rnd.Float64() < m.loss {
		n = 0
	} else if m.rnd.Float64() < m.repeat {
		n = 2
	}
	tap := m.tap
	m.mu.Unlock()
	b := append([]byte(nil), body...)
	if tap != nil {
		if b = tap(b); b == nil {
			return nil
		}
	}
	for range n {
		m.other.put(append([]byte(nil), b...))
	}
	return nil
}

// Inject puts body into this mailbox as if the other side had sent it.
func (m *Mailbox) Inject(body []byte) { m.put(append([]byte(nil), body...)) }

func (m *Mailbox) put(b []byte) {
	m.mu.Lock()
	if len(m.stored) == maxStored {
		m.stored = m.stored[1:]
	}
	m.stored = append(m.stored, b)
	m.mu.Unlock()
	m.poke()
}

func (m *Mailbox) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// deliver moves stored messages to the receiver while online.
func (m *Mailbox) deliver() {
	defer close(m.in)
	for {
		m.mu.Lock()
		var b []byte
		if !m.offline && len(m.stored) > 0 {
			b, m.stored = m.stored[0], m.stored[1:]
		}
		m.mu.Unlock()
		if b == nil {
			select {
			case <-m.wake:
				continue
			case <-m.done:
				return
			}
		}
		select {
		case m.in <- b:
		case <-m.done:
			return
		}
	}
}

// Receive implements peer.Mailbox.
func (m *Mailbox) Receive() <-chan []byte { return m.in }

// Online implements peer.Mailbox.
func (m *Mailbox) Online() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.offline
}

// SetOffline cuts this end off the server, or brings it back. Messages to it
// are stored meanwhile, the newest 32.
func (m *Mailbox) SetOffline(offline bool) {
	m.mu.Lock()
	m.offline = offline
	m.mu.Unlock()
	m.poke()
}

// SetFaults sets the share, 0 to 1, of messages sent from this end that are
// lost, and of the others that arrive twice. The choice is pseudo-random with a
// fixed seed.
func (m *Mailbox) SetFaults(loss, repeat float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loss, m.repeat = loss, repeat
}

// Tap lets f see and change each message sent from this end; nil drops it. A
// nil f ends that.
func (m *Mailbox) Tap(f func(body []byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tap = f
}

// Sent returns how many messages were handed to this end.
func (m *Mailbox) Sent() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent
}

// Close ends this end and waits for its goroutine.
func (m *Mailbox) Close() {
	m.once.Do(func() { close(m.done) })
	m.wg.Wait()
}

// Configs returns the configuration of two sides that are paired with each
// other, with mailboxes in memory, epochs in memory and loopback candidates
// allowed. Close the mailboxes after the Links.
func Configs() (console, host peer.Config) {
	cm, hm := NewMailboxes()
	cd, hd := pairing.NewDevice(), pairing.NewDevice()
	cp, hp := Pins(cd, hd)
	console = peer.Config{Device: cd, Pin: cp, Epochs: &pairing.MemoryEpochs{}, Mailbox: cm, LAN: true}
	host = peer.Config{Device: hd, Pin: hp, Epochs: &pairing.MemoryEpochs{}, Mailbox: hm, LAN: true}
	return console, host
}

// Pins returns what an activation of the two devices would have left.
func Pins(consoleDev, hostDev *pairing.Device) (console, host *pairing.Pin) {
	var psk [32]byte
	rand.Read(psk[:]) // never fails (crypto/rand, Go 1.24)
	sid := grant.NewID()
	expires := time.Now().Add(grant.Limit)
	c, h := consoleDev.Public(), hostDev.Public()
	console = &pairing.Pin{Session: sid, Role: pairing.RoleConsole, PeerEd: h.Ed, PeerX: h.X, PSK: psk, Expires: expires, Rights: grant.All}
	host = &pairing.Pin{Session: sid, Role: pairing.RoleHost, PeerEd: c.Ed, PeerX: c.X, PSK: psk, Expires: expires, Rights: grant.All}
	return console, host
}
