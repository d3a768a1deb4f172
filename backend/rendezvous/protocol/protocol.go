// Package protocol is what travels between the clients in backend/rendezvous
// and the signaling server: paths, JSON bodies, the proof of possession on
// every request, and the byte layout of the mailbox socket. Both sides import
// it, so this file is the specification. It must not know what a mailbox
// message contains, how a session is paired, or how anything is stored.
//
// # Requests
//
// Every request but health, page, download and invitation is signed by an
// Ed25519 key (a console's or a host's): headers Daypass-Key, Daypass-Time
// (unix milliseconds), Daypass-Nonce (16 bytes) and Daypass-Signature over the
// lines of [Statement] under grant.ContextRequest. A server takes a request
// within [Window] of its own time, never from before its own start, and a nonce
// once. Consoles add "Authorization: Daypass <token>", which the signature
// covers. Every answer carries Daypass-Time, so that a client with a wrong
// clock can sign with the server's.
//
// # Socket
//
// Binary WebSocket messages, subprotocol [Subprotocol], first byte = [Op]:
//
//	1 send      c→s  u8 op, u32 id, [console: 16 session, 16 instance], body
//	2 taken     s→c  u8 op, u32 id, u8 result
//	3 deliver   s→c  u8 op, u64 seq, [console: 16 session, 16 instance], body
//	4 received  c→s  u8 op, u64 seq        (cumulative)
//	5 event     s→c  u8 op, JSON (Event)
//
// All integers are big endian. A body has at most [MaxBody] bytes. Send ids
// rise by one from 1 for the life of a client ("client" in the query, 8 random
// bytes), so that a message sent again after a reconnect is taken once.
package protocol

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

// Caps of the protocol.
const (
	MaxBody      = 48 << 10        // bytes of one mailbox message
	MaxMessage   = 64 << 10        // bytes of one socket message
	MaxRequest   = 64 << 10        // bytes of a request's body
	MaxResponse  = 1 << 20         // bytes of an answer that a client reads
	MaxMailbox   = 32              // undelivered messages a mailbox holds
	MaxInstances = 8               // hosts on one link before it is activated
	Window       = 2 * time.Minute // how far a request's time may be from the server's
	MessageTTL   = 90 * time.Second
	PingEvery    = 20 * time.Second // clients ping; a server that hears nothing for [SilentAfter] closes
	SilentAfter  = 50 * time.Second
	AckWithin    = 6 * time.Second // a message not taken or not received in this time means a dead socket
)

// Subprotocol names the version of the socket protocol.
const Subprotocol = "daypass.v1"

// Base is the path under which the API lives.
const Base = "/api/v1"

// Headers of a signed request and of an answer.
const (
	HeaderKey       = "Daypass-Key"
	HeaderTime      = "Daypass-Time"
	HeaderNonce     = "Daypass-Nonce"
	HeaderSignature = "Daypass-Signature"
	TokenScheme     = "Daypass "
)

// Close codes of the socket (RFC 6455 §7.4.2, private range).
const (
	CloseReplaced  = 4001 // the same client opened a newer socket
	CloseOver      = 4002 // the session is over, or the sign-in ended; do not come back with this
	CloseProtocol  = 4003 // the client broke the protocol
	CloseSlow      = 4004 // the client did not read in time; come back
	CloseGoingAway = 1001 // the server restarts; come back after the hint in the reason, "retry=<ms>"
)

// Instance is one running host program: 16 random bytes made at its start (and
// kept where it is installed). The server routes by session and instance.
type Instance [16]byte

// NewInstance returns a random Instance.
func NewInstance() Instance {
	var i Instance
	rand.Read(i[:]) // never fails (crypto/rand, Go 1.24)
	return i
}

// ParseInstance reads the 26 characters that String writes.
func ParseInstance(s string) (Instance, error) {
	id, err := grant.ParseID(s)
	return Instance(id), err
}

// String returns 26 characters of Crockford base32.
func (i Instance) String() string { return grant.ID(i).String() }

// MarshalText writes the 26-character form.
func (i Instance) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads the 26-character form.
func (i *Instance) UnmarshalText(b []byte) (err error) {
	*i, err = ParseInstance(string(b))
	return err
}

// States of a session on the server.
const (
	Invited     = "invited"  // link is out; lapses after 24 h
	Answered    = "answered" // a host is there
	Pairing     = "pairing"  // the code is being typed
	Active      = "active"   // both sides activated; 24 h
	Ending      = "ending"   // ended; the host has not heard of it yet
	Ended       = "ended"    // ended; the host knows, or there never was one
	Removed     = "removed"  // the host says everything is gone
	Unconfirmed = "unconfirmed"
)

// States are all states, in their order.
var States = []string{Invited, Answered, Pairing, Active, Ending, Ended, Removed, Unconfirmed}

// Live reports whether a session in this state holds a place.
func Live(state string) bool {
	return state == Invited || state == Answered || state == Pairing || state == Active
}

// Statement returns the bytes that a request's signature covers, under
// grant.ContextRequest: method, authority, path with query, time, nonce, token
// and body, the last two hashed, one a line.
func Statement(method, authority, uri, at, nonce, token string, body []byte) []byte {
	t, b := sha256.Sum256([]byte(token)), sha256.Sum256(body)
	s := method + "\n" + authority + "\n" + uri + "\n" + at + "\n" + nonce + "\n" + hex.EncodeToString(t[:]) + "\n" + hex.EncodeToString(b[:])
	return append([]byte(grant.ContextRequest+"\x00"), s...)
}

// SignRequest sets the four headers on h. authority is the host[:port] the
// request goes to, uri the path with query; token may be empty; now is the
// server's time as the client knows it.
func SignRequest(h http.Header, key ed25519.PrivateKey, method, authority, uri, token string, body []byte, now time.Time) {
	var n [16]byte
	rand.Read(n[:])
	nonce, at := grant.Crockford.EncodeToString(n[:]), strconv.FormatInt(now.UnixMilli(), 10)
	pub := key.Public().(ed25519.PublicKey)
	h.Set(HeaderKey, grant.Crockford.EncodeToString(pub))
	h.Set(HeaderTime, at)
	h.Set(HeaderNonce, nonce)
	h.Set(HeaderSignature, grant.Crockford.EncodeToString(ed25519.Sign(key, Statement(method, authority, uri, at, nonce, token, body))))
	if token != "" {
		h.Set("Authorization", TokenScheme+token)
	}
}

// Proof is what a request's headers claim, its signature verified but its time
// and nonce not yet judged.
type Proof struct {
	Key   grant.Key
	At    time.Time
	Nonce [16]byte
	Token string
}

// ErrProof says that a request's proof of possession is missing or wrong.
var ErrProof = errors.New("protocol: proof of possession is missing or wrong")

// OpenProof reads and verifies the four headers. The caller judges time and
// nonce. It returns ErrProof for everything that does not verify.
func OpenProof(h http.Header, method, authority, uri string, body []byte) (Proof, error) {
	var p Proof
	key, err := grant.DecodeCrockford(h.Get(HeaderKey))
	if err != nil || len(key) != ed25519.PublicKeySize {
		return p, ErrProof
	}
	nonce, err := grant.DecodeCrockford(h.Get(HeaderNonce))
	if err != nil || len(nonce) != len(p.Nonce) {
		return p, ErrProof
	}
	sig, err := grant.DecodeCrockford(h.Get(HeaderSignature))
	if err != nil || len(sig) != ed25519.SignatureSize {
		return p, ErrProof
	}
	ms, err := strconv.ParseInt(h.Get(HeaderTime), 10, 64)
	if err != nil {
		return p, ErrProof
	}
	if a := h.Get("Authorization"); a != "" {
		if len(a) <= len(TokenScheme) || len(a) > 256 || a[:len(TokenScheme)] != TokenScheme {
			return p, ErrProof
		}
		p.Token = a[len(TokenScheme):]
	}
	copy(p.Key[:], key)
	copy(p.Nonce[:], nonce)
	p.At = time.UnixMilli(ms)
	if !ed25519.Verify(key, Statement(method, authority, uri, h.Get(HeaderTime), h.Get(HeaderNonce), p.Token, body), sig) {
		return Proof{}, ErrProof
	}
	return p, nil
}

// Op is the first byte of a socket message.
type Op byte

// The ops; layouts in the package comment.
const (
	OpSend     Op = 1
	OpTaken    Op = 2
	OpDeliver  Op = 3
	OpReceived Op = 4
	OpEvent    Op = 5
)

// Result says what became of a sent message.
type Result byte

// The results.
const (
	Taken    Result = 0 // stored for the other side
	Full     Result = 1 // the mailbox holds MaxMailbox messages
	Unknown  Result = 2 // no such session or instance, or it is over
	TooLarge Result = 3
)

// Frame is one socket message. Which fields count depends on Op.
type Frame struct {
	Op       Op
	ID       uint32   // send, taken
	Result   Result   // taken
	Seq      uint64   // deliver, received
	Session  grant.ID // send, deliver on a console's socket
	Instance Instance // send, deliver on a console's socket
	Body     []byte   // send, deliver; event: JSON. Parse aliases its input
}

// ErrFrame says that a socket message does not follow the protocol.
var ErrFrame = errors.New("protocol: malformed socket message")

// Append appends the frame to dst. console says whether the socket is a
// console's (addressed) or a host's.
func (f Frame) Append(dst []byte, console bool) []byte {
	dst = append(dst, byte(f.Op))
	switch f.Op {
	case OpSend:
		dst = binary.BigEndian.AppendUint32(dst, f.ID)
	case OpTaken:
		dst = binary.BigEndian.AppendUint32(dst, f.ID)
		return append(dst, byte(f.Result))
	case OpDeliver:
		dst = binary.BigEndian.AppendUint64(dst, f.Seq)
	case OpReceived:
		return binary.BigEndian.AppendUint64(dst, f.Seq)
	}
	if console && f.Op != OpEvent {
		dst = append(dst, f.Session[:]...)
		dst = append(dst, f.Instance[:]...)
	}
	return append(dst, f.Body...)
}

// ParseFrame reads one socket message. Body aliases b. It refuses unknown ops,
// wrong lengths and bodies that are empty or larger than MaxBody.
func ParseFrame(b []byte, console bool) (Frame, error) {
	if len(b) == 0 || len(b) > MaxMessage {
		return Frame{}, ErrFrame
	}
	f := Frame{Op: Op(b[0])}
	b = b[1:]
	switch f.Op {
	case OpSend:
		if len(b) < 4 {
			return Frame{}, ErrFrame
		}
		f.ID, b = binary.BigEndian.Uint32(b), b[4:]
	case OpTaken:
		if len(b) != 5 {
			return Frame{}, ErrFrame
		}
		f.ID, f.Result = binary.BigEndian.Uint32(b), Result(b[4])
		return f, nil
	case OpDeliver:
		if len(b) < 8 {
			return Frame{}, ErrFrame
		}
		f.Seq, b = binary.BigEndian.Uint64(b), b[8:]
	case OpReceived:
		if len(b) != 8 {
			return Frame{}, ErrFrame
		}
		f.Seq = binary.BigEndian.Uint64(b)
		return f, nil
	case OpEvent:
		if len(b) == 0 {
			return Frame{}, ErrFrame
		}
		f.Body = b
		return f, nil
	default:
		return Frame{}, ErrFrame
	}
	if console {
		if len(b) < 32 {
			return Frame{}, ErrFrame
		}
		copy(f.Session[:], b)
		copy(f.Instance[:], b[16:])
		b = b[32:]
	}
	if len(b) == 0 || len(b) > MaxBody {
		return Frame{}, ErrFrame
	}
	f.Body = b
	return f, nil
}

// Event is what the server tells on a socket besides messages. Zero fields say
// nothing.
type Event struct {
	Hello    *Hello        `json:"hello,omitempty"`    // first on every socket
	Session  *Session      `json:"session,omitempty"`  // console: this session changed
	Console  *bool         `json:"console,omitempty"`  // host: is the console there
	Ended    *grant.Signed `json:"ended,omitempty"`    // host: the session is over (grant.Ended, by technician or server)
	Claim    *grant.Signed `json:"claim,omitempty"`    // host: another console asks to go on with the session (grant.Offer)
	Rejected *Fault        `json:"rejected,omitempty"` // host: this program cannot go on with this session
}

// Hello opens a socket.
type Hello struct {
	Boot string    `json:"boot"` // random a server start; delivery numbers restart with it
	Time time.Time `json:"time"`
}

// Holder is a session that holds a place.
type Holder struct {
	ID         grant.ID  `json:"id"`
	Label      string    `json:"label"`
	Technician string    `json:"technician"`
	State      string    `json:"state"`
	Since      time.Time `json:"since"`
	Mine       bool      `json:"mine"`
}

// Fault is an error on the wire.
type Fault struct {
	Kind    fault.Kind `json:"kind"`
	Code    string     `json:"code,omitempty"` // finer than kind, for programs: "clock", "token", "totp", "not_yet"
	Message string     `json:"message"`
	Hint    string     `json:"hint,omitempty"`
	RetryMS int64      `json:"retry_ms,omitempty"`
	Holders []Holder   `json:"holders,omitempty"` // limit: who holds the places
	Scope   string     `json:"scope,omitempty"`   // limit: "profile" or "company"
}

// Codes of Fault.
const (
	CodeClock  = "clock"   // the request's time is outside the window; sign again with Daypass-Time
	CodeToken  = "token"   // the access token is over; refresh
	CodeTOTP   = "totp"    // a one-time code is needed
	CodeNotYet = "not_yet" // the other side has not activated yet
)

// Health answers GET /healthz and Base/health.
type Health struct {
	OK       bool      `json:"ok"`
	Version  string    `json:"version"`
	Time     time.Time `json:"time"`
	Draining bool      `json:"draining"`
	LAN      bool      `json:"lan"`      // loopback or LAN mode: such addresses are wanted as candidates
	Insecure bool      `json:"insecure"` // plain HTTP
	Key      grant.Key `json:"key"`      // server's signing key
}

// SignIn is the body of POST Base/signin.
type SignIn struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	TOTP     string `json:"totp,omitempty"` // one-time code, or a recovery code
	Console  string `json:"console"`        // name of the computer, for the list of consoles
}

// Tokens answers signin and refresh. Access and refresh are opaque 256-bit
// values, useless without the console's key.
type Tokens struct {
	Access  string    `json:"access"`
	Refresh string    `json:"refresh"`
	Expires time.Time `json:"expires"` // of Access
}

// SignedIn answers signin.
type SignedIn struct {
	Tokens  Tokens  `json:"tokens"`
	Profile Profile `json:"profile"`
}

// Refresh is the body of POST Base/refresh.
type Refresh struct {
	Refresh string `json:"refresh"`
}

// Usage is how many places are taken.
type Usage struct {
	Used int `json:"used"`
	Max  int `json:"max"`
}

// Limits are the places of a profile and of its company.
type Limits struct {
	Mine    Usage `json:"mine"`
	Company Usage `json:"company"`
}

// Profile is who is signed in.
type Profile struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Email   string       `json:"email"`
	Company string       `json:"company"`
	Roles   []string     `json:"roles"` // technician, lead, admin; additive
	Rights  grant.Rights `json:"rights"`
	Limits  Limits       `json:"limits"`

	TOTP     bool   `json:"totp"`      // has a second factor
	MustTOTP bool   `json:"must_totp"` // role or policy demand one
	Enrol    bool   `json:"enrol"`     // it must be set up before anything else is allowed; see CodeEnrol
	Recovery int    `json:"recovery"`  // recovery codes that are left
	Local    bool   `json:"local"`     // the account of the computer that the server runs on, inside the console
	Mail     string `json:"mail"`      // the company's policy: MailConsole or MailServer
}

// NewSession is the body of POST Base/sessions.
type NewSession struct {
	Subject  string `json:"subject"`  // label the technician chooses, ≤ 120 bytes; all the server learns of the customer
	Language string `json:"language"` // "en" or "de": of the page
}

// Session is a session as its console sees it.
type Session struct {
	ID           grant.ID      `json:"id"`
	State        string        `json:"state"`
	Label        string        `json:"label"`
	Language     string        `json:"language"`
	Technician   string        `json:"technician"`
	TechnicianID string        `json:"technician_id"`
	Created      time.Time     `json:"created"`
	Expires      time.Time     `json:"expires"`   // end of the invitation, then of the session
	Activated    time.Time     `json:"activated"` // zero before
	Ended        time.Time     `json:"ended"`     // zero before
	EndedBy      grant.EndedBy `json:"ended_by,omitempty"`
	HostOnline   bool          `json:"host_online"`
	HostSince    time.Time     `json:"host_since"` // since when HostOnline is what it is; zero if no host was seen since the server started
	Host         *Instance     `json:"host,omitempty"`
	Offer        grant.Signed  `json:"offer"`
	Grant        *grant.Signed `json:"grant,omitempty"`
	Removed      *grant.Signed `json:"removed,omitempty"`
	EndedFact    *grant.Signed `json:"ended_fact,omitempty"`
	ServerKey    grant.Key     `json:"server_key"`
	Claim        *grant.Signed `json:"claim,omitempty"`   // grant.Offer to another console of the same profile, which asks to go on with the session
	Waiting      []Instance    `json:"waiting,omitempty"` // hosts on the link, before activation, online now
	Knock        *Knock        `json:"knock,omitempty"`   // a program that was turned away; kept in memory only
	Rev          int64         `json:"rev"`               // rises with each stored change
}

// Knock is a program that came with the link of a session and was turned away,
// because another computer uses it or because the session is over.
type Knock struct {
	At time.Time `json:"at"` // of the latest; at most one a minute is told
}

// SessionList answers GET Base/sessions.
type SessionList struct {
	Sessions []Session `json:"sessions"`
	Mine     Usage     `json:"mine"`
	Company  Usage     `json:"company"`
}

// SetState is the body of POST Base/sessions/{id}/state.
type SetState struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Fact is the body of the requests that bring a signed fact, and the answer to
// activate (the grant).
type Fact struct {
	Fact grant.Signed `json:"fact"`
}

// Invitation answers GET Base/invitations/{id}: what anybody with the link may
// know.
type Invitation struct {
	Session    grant.ID  `json:"session"`
	State      string    `json:"state"`
	Company    string    `json:"company"`
	Technician string    `json:"technician"`
	Language   string    `json:"language"`
	Expires    time.Time `json:"expires"`
	ServerKey  grant.Key `json:"server_key"`
	Now        time.Time `json:"now"`
	LAN        bool      `json:"lan"`
}

// ICEServer is one STUN or TURN server (RFC 7064, 7065).
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// ICE answers GET …/ice.
type ICE struct {
	Servers []ICEServer `json:"servers"`
}
