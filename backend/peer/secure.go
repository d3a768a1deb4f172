package peer

import "daypass/backend/pairing"

// dialer, answerer and keys are what the Link needs of one handshake;
// pairing.Dialer and pairing.Answerer are the real ones.
type (
	keys interface {
		Seal(b []byte) ([]byte, error)
		Open(m []byte) ([]byte, error)
		Tag(role pairing.Role, certSender, certReceiver []byte) [pairing.TagSize]byte
		CheckTag(tag, certPeer, certOurs []byte) bool
		Epoch() uint64
	}
	dialer interface {
		keys
		Nonce() [pairing.NonceSize]byte
		CheckChallenge(challenge []byte) bool
		Offer(challenge, payload []byte) ([]byte, error)
		Answer(msg []byte) ([]byte, error)
	}
	answerer interface {
		keys
		Challenge(nonce [pairing.NonceSize]byte) ([]byte, error)
		Offer(msg []byte) ([]byte, error)
		Answer(payload []byte) ([]byte, error)
		Answered() []byte
	}
)

// seams let the tests of this package take the handshake apart. Other packages
// cannot set them.
type seams struct {
	dialer    func() (dialer, error)
	answerer  func() (answerer, error)
	noBinding bool // accept any tag: shows what the tag is good for
}

func (l *Link) newDialer() (dialer, error) {
	if f := l.cfg.seams.dialer; f != nil {
		return f()
	}
	return pairing.NewDialer(l.cfg.Device, l.cfg.Pin, l.cfg.Epochs)
}

func (l *Link) newAnswerer() (answerer, error) {
	if f := l.cfg.seams.answerer; f != nil {
		return f()
	}
	return pairing.NewAnswerer(l.cfg.Device, l.cfg.Pin, l.cfg.Epochs)
}
