package pairing

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"daypass/backend/grant"
	"daypass/backend/pairing/cpace"
)

// Bounds of an activation.
const (
	TriesPerCode    = 3                // wrong codes before the technician must make a new one
	TriesPerSession = 9                // wrong codes before the session is locked for good
	CodeLife        = 10 * time.Minute // of one code
	maxText         = 256              // bytes of each text of a report
	maxReport       = 4 << 10          // bytes of an encoded report
	maxHellos       = 32               // console hellos one host answers
)

// HostReport is what the host says about its computer. The technician sees it
// before reading out the code, and again, proven by the code, afterwards. Each
// text has at most 256 bytes; longer ones are cut.
type HostReport struct {
	Computer string `json:"computer"`
	OS       string `json:"os"`
	User     string `json:"user"`
	Arch     string `json:"arch"`
	TimeZone string `json:"time_zone"`
	Language string `json:"language"`
	Version  string `json:"version"`
}

func (r *HostReport) cut() {
	for _, s := range []*string{&r.Computer, &r.OS, &r.User, &r.Arch, &r.TimeZone, &r.Language, &r.Version} {
		*s = cutText(*s)
	}
}

func cutText(s string) string {
	s = string(bytes.ToValidUTF8([]byte(s), []byte("?")))
	if len(s) > maxText {
		s = string(bytes.ToValidUTF8([]byte(s[:maxText]), nil))
	}
	return s
}

// EventKind says what a message meant.
type EventKind int

// The events. C: at the console, H: at the host, B: at both.
const (
	None          EventKind = iota
	HostAnswered            // C: a host holding the link is there: Report, Peer. Choose or Reject it
	Invited                 // H: Offer, verified. Show who invites; the code is not asked for before this
	NeedCode                // H: the technician sees a code now (again): ask for it
	Checking                // C: the customer typed a code, which is being checked; Left, SessionLeft after the charge
	WrongCode               // B: Left, SessionLeft; ask again
	NewCodeNeeded           // B: the code expired or its tries are used up; Left, SessionLeft. SetCode makes the next
	Locked                  // B: the session's tries are used up; nothing but a new session helps
	OtherChosen             // H: the technician chose another computer
	Confirmed               // B: the code was right: Rights. Result has the pin. Now sign Activated
	Waiting                 // H: the console knows this computer; the technician has not chosen it yet. The link is the right one
	Done                    // C: the host holds its pin too. H does not get it: for it Confirmed is the end
)

// Event is what Handle found out. Fields beyond Kind are set as its kind says.
type Event struct {
	Kind              EventKind
	Peer              Identity
	Report            HostReport    // C: HostAnswered, Confirmed
	Offer             grant.Offer   // H: Invited
	ServerKey         grant.Key     // H: Invited
	Rights            grant.Rights  // Confirmed: what is granted
	Left, SessionLeft int           // tries
	ClockOff          time.Duration // Confirmed: the other side's clock minus ours
}

// Budget is the console's limit of wrong codes. A try is charged when our
// share leaves and given back only on success, so the caller must store it
// before it sends what Handle returned. One Budget is shared by all computers
// that wait on a session.
type Budget struct {
	Left        int `json:"left"`         // for this code
	SessionLeft int `json:"session_left"` // for this session
}

// NewBudget returns a full one.
func NewBudget() *Budget { return &Budget{Left: TriesPerCode, SessionLeft: TriesPerSession} }

func (b *Budget) charge() bool {
	if b.Left <= 0 || b.SessionLeft <= 0 {
		return false
	}
	b.Left--
	b.SessionLeft--
	return true
}

func (b *Budget) refund() { b.Left++; b.SessionLeft++ }

// side is what both machines share.
type side struct {
	role    Role
	dev     *Device
	secret  Secret
	sid     grant.ID
	now     func() time.Time
	nonce   [32]byte // ours
	macKey  []byte   // for what we send
	peerKey []byte   // for what we check

	host, console hello
	th            [32]byte // hash of both hellos
	run           *run
	pin           *Pin
	transcript    [32]byte
}

// hello is one side's hello without what is sealed in it.
type hello struct {
	id   Identity
	body []byte
	hash [32]byte
}

// run is one try: one code typed, one CPace.
type run struct {
	attempt         uint32
	state           *cpace.State
	share, peer     []byte
	th              [32]byte
	confirm, verify []byte // confirmation keys
	seal, open      []byte // AEAD keys, each for one message
	psk, doneKey    []byte
	sent            []byte // latest message of this run, to be sent again
	hostConfirm     []byte
	wrong           bool // known to have failed
}

func newSide(role Role, dev *Device, secret Secret, sid grant.ID, now func() time.Time) side {
	s := side{role: role, dev: dev, secret: secret, sid: sid, now: now}
	rand.Read(s.nonce[:]) // never fails (crypto/rand, Go 1.24)
	s.macKey = derive(secret[:], 32, []byte("mac"), []byte{byte(role)})
	s.peerKey = derive(secret[:], 32, []byte("mac"), []byte{byte(role.other())})
	return s
}

// authentic checks the MAC under the link's password for a context.
func (s *side) authentic(context, m []byte) bool {
	body, tag := m[:len(m)-macSize], m[len(m)-macSize:]
	return hmac.Equal(tag, mac(s.peerKey, []byte("message"), context, body))
}

func (s *side) helloSeal(role Role, nonce []byte) []byte {
	return derive(s.secret[:], chacha20poly1305.KeySize, []byte("hello"), []byte{byte(role)}, nonce)
}

// makeHello builds our hello; info is sealed under the link's password, so that
// the server learns neither the computer's name nor who uses it.
func (s *side) makeHello(prefix, info []byte) (hello, error) {
	id := s.dev.Public()
	b := append([]byte{}, s.sid[:]...)
	b = append(b, prefix...)
	b = append(b, s.nonce[:]...)
	b = append(b, id.Ed[:]...)
	b = append(b, id.X[:]...)
	sealed, err := aead(s.helloSeal(s.role, s.nonce[:]), info, b)
	if err != nil {
		return hello{}, err
	}
	b = appendBlob(b, sealed)
	return hello{id: id, body: b, hash: sha256.Sum256(b)}, nil
}

// readHello parses a hello whose MAC was checked, and opens what is sealed.
func (s *side) readHello(role Role, prefix, body []byte) (hello, []byte, error) {
	r := reader{b: body}
	var sid grant.ID
	var nonce [32]byte
	h := hello{body: bytes.Clone(body), hash: sha256.Sum256(body)}
	r.copy(sid[:])
	given := r.take(len(prefix))
	r.copy(nonce[:])
	r.copy(h.id.Ed[:])
	r.copy(h.id.X[:])
	clear := len(body) - len(r.b)
	sealed := r.blob()
	if r.done() != nil || sid != s.sid || !bytes.Equal(given, prefix) {
		return h, nil, fmt.Errorf("%w: hello for something else", ErrDropped)
	}
	mine := s.dev.Public()
	if h.id.Ed == mine.Ed || h.id.X == mine.X {
		return h, nil, fmt.Errorf("%w: our own keys", ErrDropped)
	}
	info, err := unseal(s.helloSeal(role, nonce[:]), sealed, body[:clear])
	if err != nil {
		return h, nil, fmt.Errorf("%w: hello not sealed", ErrDropped)
	}
	return h, info, nil
}

func (s *side) bindHellos() {
	s.th = sha256.Sum256(cpace.LV([]byte("daypass activation v1"), s.host.body, s.console.body))
	s.run = nil
}

// begin starts a try with a code.
func (s *side) begin(attempt uint32, code Code) (*run, error) {
	prs := cpace.LV([]byte("rs1-prs"), s.secret[:], code[:])
	h, t := s.host.id, s.console.id
	ci := cpace.LV([]byte("rs1-ci"), []byte("host"), h.Ed[:], h.X[:], []byte("tech"), t.Ed[:], t.X[:])
	sid := cpace.LV([]byte("rs1-sid"), s.th[:], be.AppendUint32(nil, attempt))
	st, err := cpace.Start(prs, ci, sid, nil, s.role == RoleHost)
	if err != nil {
		return nil, err
	}
	return &run{attempt: attempt, state: st, share: st.Share()}, nil
}

// finish consumes the other side's share. Nothing is authenticated yet.
func (s *side) finish(r *run, peer []byte) error {
	isk, err := r.state.Finish(peer, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDropped, err)
	}
	defer clear(isk)
	r.peer = bytes.Clone(peer)
	a, b := r.share, r.peer
	if s.role == RoleConsole {
		a, b = b, a
	}
	r.th = sha256.Sum256(cpace.LV([]byte("rs1-th2"), s.th[:], be.AppendUint32(nil, r.attempt), a, b))
	key := func(label string, role Role) []byte {
		return derive(isk, 32, []byte(label), []byte{byte(role)}, r.th[:])
	}
	r.confirm, r.verify = key("confirm", s.role), key("confirm", s.role.other())
	r.seal, r.open = key("seal", s.role), key("seal", s.role.other())
	both := append(append([]byte{}, isk...), s.secret[:]...)
	r.psk = derive(both, 32, []byte("psk"), r.th[:])
	r.doneKey = derive(both, 32, []byte("done"), r.th[:])
	clear(both)
	return nil
}

// confirmBody is attempt, tag and what is sealed under the tag.
func (s *side) confirmBody(r *run, payload any) ([]byte, error) {
	plain, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("pairing: encode: %w", err)
	}
	tag := mac(r.confirm, []byte("confirm"), r.th[:])
	sealed, err := aead(r.seal, plain, tag)
	if err != nil {
		return nil, err
	}
	return appendBlob(append(be.AppendUint32(nil, r.attempt), tag...), sealed), nil
}

// readConfirm checks the other side's tag and opens its payload.
func (s *side) readConfirm(r *run, body []byte, payload any) error {
	rd := reader{b: body}
	rd.u32()
	tag := rd.take(32)
	sealed := rd.blob()
	if rd.done() != nil {
		return fmt.Errorf("%w: confirm", ErrDropped)
	}
	if !hmac.Equal(tag, mac(r.verify, []byte("confirm"), r.th[:])) {
		return ErrCode
	}
	plain, err := unseal(r.open, sealed, tag)
	if err != nil {
		return ErrCode
	}
	if err := grant.Strict(plain, payload); err != nil {
		return fmt.Errorf("%w: %w", ErrCode, err)
	}
	return nil
}

func (s *side) pinned(r *run, hostConfirm, consoleConfirm []byte, rights grant.Rights, server grant.Key) {
	peer := s.console.id
	if s.role == RoleConsole {
		peer = s.host.id
	}
	s.pin = &Pin{
		Session: s.sid, Role: s.role, PeerEd: peer.Ed, PeerX: peer.X, PSK: [32]byte(r.psk),
		Expires: s.now().Add(grant.Limit).UTC(), Rights: rights, ServerKey: server,
	}
	s.transcript = sha256.Sum256(cpace.LV([]byte("daypass transcript v1"), r.th[:], hostConfirm, consoleConfirm))
}

func (r *run) wipe() {
	if r == nil {
		return
	}
	r.state.Wipe()
	for _, k := range [][]byte{r.confirm, r.verify, r.seal, r.open, r.psk, r.doneKey} {
		clear(k)
	}
}

// Result returns the pin and the transcript's hash, equal on both sides, after
// Confirmed. Before, it fails with ErrState. The pin belongs to the caller.
func (s *side) Result() (*Pin, [32]byte, error) {
	if s.pin == nil {
		return nil, [32]byte{}, ErrState
	}
	p := *s.pin
	return &p, s.transcript, nil
}

// Wipe overwrites the secrets of the activation. The machine is of no use
// afterwards; pins that Result returned are not touched.
func (s *side) Wipe() {
	s.run.wipe()
	s.secret.Wipe()
	clear(s.macKey)
	clear(s.peerKey)
	if s.pin != nil {
		s.pin.Wipe()
		s.pin = nil
	}
}

// aead seals plain under a key that seals this one message only.
func aead(key, plain, ad []byte) ([]byte, error) {
	a, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, fmt.Errorf("pairing: seal: %w", err)
	}
	return a.Seal(nil, make([]byte, a.NonceSize()), plain, ad), nil
}

func unseal(key, sealed, ad []byte) ([]byte, error) {
	a, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, fmt.Errorf("pairing: open: %w", err)
	}
	return a.Open(nil, make([]byte, a.NonceSize()), sealed, ad)
}

// What is sealed in the messages.
type consoleInfo struct {
	ServerKey grant.Key    `json:"server_key"`
	Offer     grant.Signed `json:"offer"`
}

type hostProof struct {
	Report  HostReport   `json:"report"`
	Allowed grant.Rights `json:"allowed"`
	Clock   time.Time    `json:"clock"`
}

type consoleProof struct {
	Rights grant.Rights `json:"rights"`
	Clock  time.Time    `json:"clock"`
}

// states of a status message
const (
	statusReady  byte = 1 // a code is shown: type it
	statusWrong  byte = 2 // attempt was wrong, tries are left
	statusNoCode byte = 3 // no code is shown: it expired or its tries are used up
	statusLocked byte = 4
)
