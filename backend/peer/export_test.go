package peer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"

	"daypass/backend/pairing"
)

// BreakHandshake replaces the Noise handshake by one that hides and
// authenticates nothing, as if it were broken. Tags still use key, which the
// attacker does not have; without binding any tag is accepted.
func BreakHandshake(console, host *Config, key []byte, binding bool) {
	console.seams = seams{noBinding: !binding, dialer: func() (dialer, error) {
		return &openly{role: pairing.RoleConsole, key: key}, nil
	}}
	host.seams = seams{noBinding: !binding, answerer: func() (answerer, error) {
		return clearAnswerer{&openly{role: pairing.RoleHost, key: key}}, nil
	}}
}

// Raw sends b on channel i (0 control … 3 bulk) without any check of ours.
func (l *Link) Raw(i int, b []byte) error {
	return l.active.Load().dcs[i].Load().Send(b)
}

type openly struct {
	role   pairing.Role
	key    []byte
	answer []byte
}

func (c *openly) Seal(b []byte) ([]byte, error) { return b, nil }
func (c *openly) Open(m []byte) ([]byte, error) { return m, nil }
func (c *openly) Epoch() uint64                 { return 1 }
func (c *openly) Tag(role pairing.Role, sender, receiver []byte) [32]byte {
	m := hmac.New(sha256.New, c.key)
	m.Write([]byte{byte(role)})
	for _, cert := range [][]byte{sender, receiver} {
		h := sha256.Sum256(cert)
		m.Write(h[:])
	}
	return [32]byte(m.Sum(nil))
}

func (c *openly) CheckTag(tag, peer, ours []byte) bool {
	other := pairing.RoleHost
	if c.role == pairing.RoleHost {
		other = pairing.RoleConsole
	}
	want := c.Tag(other, peer, ours)
	return hmac.Equal(tag, want[:])
}

func (c *openly) Nonce() (n [32]byte)                     { rand.Read(n[:]); return n }
func (c *openly) CheckChallenge([]byte) bool              { return true }
func (c *openly) Offer(_, payload []byte) ([]byte, error) { return payload, nil }
func (c *openly) Answer(msg []byte) ([]byte, error)       { return msg, nil }

type clearAnswerer struct{ *openly }

func (c clearAnswerer) Challenge([32]byte) ([]byte, error) { return make([]byte, 72), nil }
func (c clearAnswerer) Offer(msg []byte) ([]byte, error)   { return msg, nil }
func (c clearAnswerer) Answered() []byte                   { return c.answer }
func (c clearAnswerer) Answer(p []byte) ([]byte, error) {
	if c.answer == nil {
		c.openly.answer = p
	}
	return c.openly.answer, nil
}
