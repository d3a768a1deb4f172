package pairing

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/flynn/noise"

	"daypass/backend/pairing/cpace"
)

// Sizes of connect messages in bytes.
const (
	NonceSize     = 32
	ChallengeSize = 32 + 8 + macSize
	TagSize       = 32
	MaxPayload    = 32 << 10 // of an offer or an answer
	MaxTrickle    = 1024     // sealed messages each way in one negotiation
)

var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256)

// EpochStore keeps the number of the latest connection, so that a recorded
// handshake is worth nothing even to a restored snapshot of an old run.
type EpochStore interface {
	// Advance stores epoch durably (fsync on the host) before it returns. It
	// refuses an epoch that is not greater than the stored one with ErrReplay.
	Advance(epoch uint64) error
}

// MemoryEpochs is an EpochStore for a side that keeps nothing. The zero value
// starts at epoch 0. It is safe for concurrent use.
type MemoryEpochs struct {
	mu    sync.Mutex
	epoch uint64
}

// Advance implements EpochStore.
func (m *MemoryEpochs) Advance(epoch uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if epoch <= m.epoch {
		return ErrReplay
	}
	m.epoch = epoch
	return nil
}

// negotiation is what both ends of one handshake share.
type negotiation struct {
	dev     *Device
	pin     *Pin
	store   EpochStore
	nonce   [NonceSize]byte // console's
	hc      [32]byte        // host's
	send    noise.Cipher
	recv    noise.Cipher
	binding []byte
	next    uint64
	seen    [MaxTrickle / 64]uint64
}

// One handshake: Noise_KKpsk0_25519_ChaChaPoly_SHA256, initiator is the
// console. The prologue holds version, session, all four public keys and both
// fresh challenges, so a handshake fits one negotiation of one pairing.
func (n *negotiation) handshake(random io.Reader) (*noise.HandshakeState, error) {
	me, peer := n.dev.Public(), n.pin.Peer()
	h, t := me, peer
	if n.pin.Role == RoleConsole {
		h, t = peer, me
	}
	hs, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Pattern: noise.HandshakeKK, Initiator: n.pin.Role == RoleConsole, Random: random,
		Prologue: cpace.LV([]byte("daypass connect"), []byte{Version}, n.pin.Session[:],
			h.Ed[:], h.X[:], t.Ed[:], t.X[:], n.hc[:], n.nonce[:]),
		StaticKeypair: noise.DHKey{Private: n.dev.X.Bytes(), Public: me.X[:]}, PeerStatic: peer.X[:],
		PresharedKey: n.pin.PSK[:], PresharedKeyPlacement: 0,
	})
	if err != nil {
		return nil, fmt.Errorf("pairing: noise: %w", err)
	}
	return hs, nil
}

func (n *negotiation) challengeMAC(body []byte) []byte {
	return mac(derive(n.pin.PSK[:], 32, []byte("challenge")), []byte{Version}, n.pin.Session[:], n.nonce[:], body)
}

// established keeps the two cipher states; a is initiator to responder.
func (n *negotiation) established(hs *noise.HandshakeState, a, b *noise.CipherState) {
	n.send, n.recv = a.Cipher(), b.Cipher()
	if n.pin.Role == RoleHost {
		n.send, n.recv = n.recv, n.send
	}
	n.binding = bytes.Clone(hs.ChannelBinding())
}

// Established reports whether the handshake is complete on this side.
func (n *negotiation) Established() bool { return n.send != nil }

// Epoch returns the pin's epoch: that of this negotiation once it is accepted.
func (n *negotiation) Epoch() uint64 { return n.pin.Epoch }

// Seal returns b as a numbered transport message, for trickled candidates:
// 8 bytes number, ciphertext. Numbers make loss and disorder harmless. It
// fails with ErrState before the handshake and after MaxTrickle messages.
func (n *negotiation) Seal(b []byte) ([]byte, error) {
	if n.send == nil || n.next >= MaxTrickle || len(b) > MaxPayload {
		return nil, ErrState
	}
	m := be.AppendUint64(nil, n.next)
	m = n.send.Encrypt(m, n.next, m[:8:8], b)
	n.next++
	return m, nil
}

// Open opens what the other side's Seal returned, in any order, each once: a
// repeat is ErrReplay.
func (n *negotiation) Open(m []byte) ([]byte, error) {
	if n.recv == nil {
		return nil, ErrState
	}
	if len(m) < 8 || len(m) > MaxPayload+64 {
		return nil, ErrDropped
	}
	no := be.Uint64(m)
	if no >= MaxTrickle {
		return nil, ErrDropped
	}
	b, err := n.recv.Decrypt(nil, no, m[:8], m[8:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDropped, err)
	}
	if n.seen[no/64]&(1<<(no%64)) != 0 {
		return nil, ErrReplay
	}
	n.seen[no/64] |= 1 << (no % 64)
	return b, nil
}

// Tag returns what role sends as its first data-channel message: an HMAC over
// the role and the SHA-256 hashes of both DTLS certificates really used (DER,
// the sender's first), under a key that only this handshake gives. Both sides
// compute both tags and compare with CheckTag; nothing else may be served
// before. Before the handshake is complete it returns zeros that never match.
func (n *negotiation) Tag(role Role, certSender, certReceiver []byte) [TagSize]byte {
	if n.binding == nil {
		return [TagSize]byte{}
	}
	a, b := sha256.Sum256(certSender), sha256.Sum256(certReceiver)
	return [TagSize]byte(mac(n.channelKey(), []byte{byte(role)}, a[:], b[:]))
}

// CheckTag reports whether tag is what the other side must send first, given
// its certificate and ours.
func (n *negotiation) CheckTag(tag, certPeer, certOurs []byte) bool {
	if n.binding == nil || len(certPeer) == 0 || len(certOurs) == 0 {
		return false
	}
	want := n.Tag(n.pin.Role.other(), certPeer, certOurs)
	return hmac.Equal(tag, want[:])
}

func (n *negotiation) channelKey() []byte {
	return derive(append(bytes.Clone(n.binding), n.pin.PSK[:]...), 32, []byte("channel"))
}

// Dialer is the console's end of one negotiation. It is not safe for
// concurrent use; a pin has one negotiation at a time.
type Dialer struct {
	negotiation
	ephemeral [32]byte // of this handshake, to rebuild its state
	plain     []byte   // what message 1 seals
	offer     []byte
}

// NewDialer begins a negotiation at the console. dev must be the device that
// was paired. pin.Epoch is advanced by Offer; store, which may be nil, keeps it.
func NewDialer(dev *Device, pin *Pin, store EpochStore) (*Dialer, error) {
	if pin.Role != RoleConsole {
		return nil, ErrState
	}
	d := &Dialer{negotiation: negotiation{dev: dev, pin: pin, store: store}}
	rand.Read(d.nonce[:]) // never fails (crypto/rand, Go 1.24)
	return d, nil
}

// Nonce is what the console sends in clear to ask for a challenge. An answer
// to it proves that the paired host is there now.
func (d *Dialer) Nonce() [NonceSize]byte { return d.nonce }

// CheckChallenge reports whether challenge is the paired host's answer to our
// nonce: a probe of its presence that no server can fake.
func (d *Dialer) CheckChallenge(challenge []byte) bool {
	return len(challenge) == ChallengeSize && hmac.Equal(challenge[40:], d.challengeMAC(challenge[:40]))
}

// Offer takes the host's challenge and returns Noise message 1 with payload
// (the SDP offer) and the next epoch sealed in it. Calling it again returns
// the same message, to be sent again until it is answered.
func (d *Dialer) Offer(challenge, payload []byte) ([]byte, error) {
	if d.offer != nil {
		return bytes.Clone(d.offer), nil
	}
	if len(payload) > MaxPayload {
		return nil, ErrState
	}
	if !d.CheckChallenge(challenge) {
		return nil, ErrDropped
	}
	copy(d.hc[:], challenge)
	epoch := max(d.pin.Epoch, be.Uint64(challenge[32:])) + 1
	if epoch == 0 {
		return nil, ErrReplay
	}
	if d.store != nil {
		if err := d.store.Advance(epoch); err != nil {
			return nil, err
		}
	}
	d.pin.Epoch = epoch
	rand.Read(d.ephemeral[:]) // never fails (crypto/rand, Go 1.24)
	d.plain = append(be.AppendUint64(nil, epoch), payload...)
	_, m, err := d.begun()
	if err != nil {
		return nil, err
	}
	d.offer = m
	return bytes.Clone(m), nil
}

// begun returns the handshake after message 1. The library's state does not
// survive a message that fails (its rollback forgets the cipher's key), so it
// is rebuilt, from the same ephemeral key and to the same bytes, for each
// message 2 that comes: junk from a server must not spoil a handshake.
func (d *Dialer) begun() (*noise.HandshakeState, []byte, error) {
	hs, err := d.handshake(bytes.NewReader(d.ephemeral[:]))
	if err != nil {
		return nil, nil, err
	}
	m, _, _, err := hs.WriteMessage(nil, d.plain)
	if err != nil {
		return nil, nil, fmt.Errorf("pairing: noise: %w", err)
	}
	return hs, m, nil
}

// Answer takes Noise message 2 and returns the SDP answer in it. A message
// that does not fit is ErrDropped and changes nothing; a repeat is ErrReplay.
func (d *Dialer) Answer(msg []byte) ([]byte, error) {
	switch {
	case d.Established():
		return nil, ErrReplay
	case d.offer == nil:
		return nil, ErrState
	case len(msg) > MaxPayload+256:
		return nil, ErrDropped
	}
	hs, _, err := d.begun()
	if err != nil {
		return nil, err
	}
	p, a, b, err := hs.ReadMessage(nil, msg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDropped, err)
	}
	d.established(hs, a, b)
	clear(d.ephemeral[:])
	return p, nil
}

// Answerer is the host's end of one negotiation. It is not safe for concurrent
// use; a pin has one negotiation at a time.
type Answerer struct {
	negotiation
	challenge []byte
	hs        *noise.HandshakeState
	offer     [32]byte // hash of the accepted message 1
	answer    []byte
}

// NewAnswerer begins a negotiation at the host. dev must be the device that
// was paired. pin.Epoch is advanced when an offer is accepted, after store.
func NewAnswerer(dev *Device, pin *Pin, store EpochStore) (*Answerer, error) {
	if pin.Role != RoleHost || store == nil {
		return nil, ErrState
	}
	return &Answerer{negotiation: negotiation{dev: dev, pin: pin, store: store}}, nil
}

// Challenge answers a console's nonce: 32 fresh random bytes, our epoch and a
// MAC under the pairing's key. The same nonce gets the same challenge; another
// nonce needs another Answerer and is ErrState.
func (a *Answerer) Challenge(nonce [NonceSize]byte) ([]byte, error) {
	if a.challenge != nil {
		if nonce != a.nonce {
			return nil, ErrState
		}
		return bytes.Clone(a.challenge), nil
	}
	a.nonce = nonce
	rand.Read(a.hc[:]) // never fails (crypto/rand, Go 1.24)
	body := be.AppendUint64(bytes.Clone(a.hc[:]), a.pin.Epoch)
	a.challenge = append(body, a.challengeMAC(body)...)
	return bytes.Clone(a.challenge), nil
}

// Offer takes Noise message 1, stores its epoch durably and returns the SDP
// offer in it. A message that does not fit is ErrDropped and changes nothing.
// The accepted message again is ErrReplay: send what Answered returns again.
func (a *Answerer) Offer(msg []byte) ([]byte, error) {
	sum := sha256.Sum256(msg)
	switch {
	case a.challenge == nil:
		return nil, ErrState
	case len(msg) > MaxPayload+256:
		return nil, ErrDropped
	case a.hs != nil || a.answer != nil:
		if sum == a.offer {
			return nil, ErrReplay
		}
		return nil, ErrDropped
	}
	hs, err := a.handshake(rand.Reader) // a new one for each message, so that junk leaves no trace
	if err != nil {
		return nil, err
	}
	p, _, _, err := hs.ReadMessage(nil, msg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDropped, err)
	}
	if len(p) < 8 {
		return nil, fmt.Errorf("%w: %w", ErrDropped, errors.New("no epoch"))
	}
	epoch := be.Uint64(p)
	if epoch <= a.pin.Epoch {
		return nil, ErrReplay
	}
	if err := a.store.Advance(epoch); err != nil {
		return nil, err
	}
	a.pin.Epoch = epoch
	a.hs, a.offer = hs, sum
	return p[8:], nil
}

// Answer returns Noise message 2 with payload (the SDP answer) sealed in it,
// and completes the handshake. Calling it again returns the same message.
func (a *Answerer) Answer(payload []byte) ([]byte, error) {
	if a.answer != nil {
		return a.Answered(), nil
	}
	if a.hs == nil || len(payload) > MaxPayload {
		return nil, ErrState
	}
	m, c1, c2, err := a.hs.WriteMessage(nil, payload)
	if err != nil {
		return nil, fmt.Errorf("pairing: noise: %w", err)
	}
	a.established(a.hs, c1, c2)
	a.hs, a.answer = nil, m
	return a.Answered(), nil
}

// Answered returns the message that Answer made, to be sent again, or nil.
func (a *Answerer) Answered() []byte { return bytes.Clone(a.answer) }
