package directory

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

// Life of tokens.
const (
	accessLife  = 15 * time.Minute
	refreshLife = 30 * 24 * time.Hour
)

// hasher runs argon2id (RFC 9106: 64 MiB, 3 passes, 1 lane), two at a time at
// most, so that sign-ins cannot take the memory.
type hasher struct {
	slots chan struct{}
	dummy string
}

// Cost of new hashes; tests of this package lower it.
var (
	argonMemory uint32 = 64 << 10 // KiB
	argonPasses uint32 = 3
)

func newHasher() *hasher {
	var salt, sum [16]byte
	rand.Read(salt[:])
	rand.Read(sum[:])
	return &hasher{slots: make(chan struct{}, 2), dummy: encode(salt[:], append(sum[:], sum[:]...))}
}

func encode(salt, sum []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, argonMemory, argonPasses,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// HashPassword returns the encoded argon2id hash that is stored.
func HashPassword(password string) string {
	var salt [16]byte
	rand.Read(salt[:])
	return encode(salt[:], argon2.IDKey([]byte(password), salt[:], argonPasses, argonMemory, 1, 32))
}

// make returns the hash of a password that a person chose.
func (h *hasher) make(ctx context.Context, password string) (string, error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return HashPassword(password), nil
}

func (h *hasher) check(ctx context.Context, encoded, password string) (bool, error) {
	if encoded == "" {
		encoded = h.dummy // the same work for those who do not exist
	}
	var version, memory, passes, lanes int
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errors.New("directory: unknown password hash")
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &lanes); err != nil || version != argon2.Version ||
		memory < 8 || memory > 1<<20 || passes < 1 || passes > 16 || lanes < 1 || lanes > 16 {
		return false, errors.New("directory: unknown password hash")
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, err
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) < 16 {
		return false, errors.New("directory: unknown password hash")
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	got := argon2.IDKey([]byte(password), salt, uint32(passes), uint32(memory), uint8(lanes), uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// limits bounds sign-in tries: 5 a minute an account, 20 a minute an address,
// and after failures in a row a growing pause for that address. A console that
// has signed in to an account before has an own bucket, so that strangers
// cannot lock its owner out.
type limits struct {
	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	tokens  float64
	at      time.Time
	failed  int
	blocked time.Time
}

const maxBuckets = 20000

func newLimits() *limits { return &limits{buckets: map[string]*bucket{}} }

func (l *limits) get(key string, now time.Time, perMinute float64) *bucket {
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.makeRoom(now)
		}
		b = &bucket{tokens: perMinute, at: now}
		l.buckets[key] = b
	}
	b.tokens = min(perMinute, b.tokens+now.Sub(b.at).Minutes()*perMinute)
	b.at = now
	return b
}

// makeRoom forgets what is old, and at least the one that was not asked for
// longest: a flood of names must not make later ones uncounted.
func (l *limits) makeRoom(now time.Time) {
	var oldest string
	for k, o := range l.buckets {
		if now.Sub(o.at) > 10*time.Minute && now.After(o.blocked) {
			delete(l.buckets, k)
			continue
		}
		if first := l.buckets[oldest]; first == nil || o.at.Before(first.at) {
			oldest = k
		}
	}
	if len(l.buckets) >= maxBuckets {
		delete(l.buckets, oldest)
	}
}

// take spends a token of each, and returns how long to wait if there is none.
// An empty account is not counted.
func (l *limits) take(account, address string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := map[*bucket]float64{l.get("i "+address, now, 20): 20}
	if account != "" {
		of[l.get("a "+account, now, 5)] = 5
	}
	var wait time.Duration
	for b, per := range of {
		if b.tokens < 1 {
			wait = max(wait, time.Duration((1-b.tokens)/per*float64(time.Minute)))
		}
		if now.Before(b.blocked) {
			wait = max(wait, b.blocked.Sub(now))
		}
	}
	if wait == 0 {
		for b := range of {
			b.tokens--
		}
	}
	return wait
}

// note records how a try went.
func (l *limits) note(address string, now time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.get("i "+address, now, 20)
	if ok {
		b.failed, b.blocked = 0, time.Time{}
		return
	}
	if b.failed++; b.failed >= 5 {
		b.blocked = now.Add(min(time.Second<<min(b.failed-5, 10), 5*time.Minute))
	}
}

func newTokens(now time.Time) (protocol.Tokens, store.NewTokens) {
	one := func() string {
		var b [32]byte
		rand.Read(b[:])
		return grant.Crockford.EncodeToString(b[:])
	}
	t := protocol.Tokens{Access: one(), Refresh: one(), Expires: now.Add(accessLife)}
	return t, store.NewTokens{Access: store.HashToken(t.Access), Refresh: store.HashToken(t.Refresh), AccessExpires: t.Expires, RefreshExpires: now.Add(refreshLife)}
}

// SignIn checks address, password and second factor and binds new tokens to the
// console's key, whose possession the caller has verified. from is the network
// address. Where a second factor is demanded and missing, the sign-in is good
// for setting one up and nothing else; see Enrolled.
func (d *Directory) SignIn(ctx context.Context, key grant.Key, from netip.Addr, in protocol.SignIn) (protocol.SignedIn, error) {
	const op = "account.signin"
	if len(in.Email) > 254 || len(in.Password) > protocol.MaxPassword || len(in.TOTP) > maxCode {
		return protocol.SignedIn{}, fault.New(fault.Invalid, op, "That is too long.", "Check address and password.")
	}
	p, err := d.cfg.Store.ProfileByEmail(ctx, in.Email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return protocol.SignedIn{}, stored(op, err)
	}
	exists := err == nil
	account := strings.ToLower(in.Email)
	if exists {
		known, err := d.cfg.Store.KnownConsole(ctx, p.ID, key)
		if err != nil {
			return protocol.SignedIn{}, stored(op, err)
		}
		if known {
			account += " " + string(key[:])
		}
	}
	address := network(from)
	if err := d.pause(op, account, address); err != nil {
		return protocol.SignedIn{}, err
	}
	ok, err := d.hash.check(ctx, p.Password, in.Password)
	if err != nil {
		return protocol.SignedIn{}, stored(op, err)
	}
	if !ok || p.Password == "" {
		d.login.note(address, d.Now(), false)
		if exists {
			d.failed(ctx, p, from, "password")
		}
		return protocol.SignedIn{}, fault.New(fault.SignedOut, op, "Address or password is wrong.", "Check both and try again.")
	}
	if err := d.admitted(op, p, from); err != nil {
		d.failed(ctx, p, from, "refused")
		return protocol.SignedIn{}, err
	}
	if err := d.guarded(ctx, op, key, p, in.TOTP); err != nil {
		var e *Error
		if asked := in.TOTP == ""; errors.As(err, &e) && e.Code == protocol.CodeTOTP {
			d.login.note(address, d.Now(), asked)
			if !asked {
				d.failed(ctx, p, from, "totp")
			}
		}
		return protocol.SignedIn{}, err
	}
	d.login.note(address, d.Now(), true)
	return d.signedIn(ctx, op, p, key, in.Console)
}

// admitted says whether an account may be used at all.
func (d *Directory) admitted(op string, p store.Profile, from netip.Addr) error {
	switch {
	case p.Company.Suspended:
		return fault.New(fault.Denied, op, "Your company's use of this server is suspended.", "Ask whoever operates the server.")
	case p.Disabled:
		return fault.New(fault.Denied, op, "This account is switched off.", "Ask the administrator of your company.")
	case p.Local && d.cfg.Own != nil && !d.cfg.Own(from):
		return fault.New(fault.Denied, op, "This account works on the server's own computer only.", "Ask an administrator for an invitation of your own.")
	}
	return nil
}

// failed notes a sign-in that failed. The limits of sign-in bound how many
// there are.
func (d *Directory) failed(ctx context.Context, p store.Profile, from netip.Addr, why string) {
	if err := d.cfg.Store.Note(ctx, p.Company.ID, store.Actor{Kind: "server"}, d.Now(), "console.signin_failed", map[string]any{"profile": p.ID, "why": why, "from": from.String()}); err != nil {
		d.cfg.Log.Error("a failed sign-in could not be noted", "error", err)
	}
}

// signedIn starts a sign-in of somebody who proved to be p.
func (d *Directory) signedIn(ctx context.Context, op string, p store.Profile, key grant.Key, computer string) (protocol.SignedIn, error) {
	name, err := text(op, "name of this computer", computer, 1, 120)
	if err != nil {
		name = "Console"
	}
	now := d.Now()
	t, hashed := newTokens(now)
	if _, err := d.cfg.Store.SignIn(ctx, p.ID, key, name, hashed, now); err != nil {
		return protocol.SignedIn{}, stored(op, err)
	}
	prof, err := d.ProfileOf(ctx, p)
	return protocol.SignedIn{Tokens: t, Profile: prof}, err
}

// network returns what counts as one address in limits.
func network(from netip.Addr) string {
	if from.Is6() && !from.Is4In6() {
		if pre, err := from.WithZone("").Prefix(64); err == nil {
			return pre.String() // one customer has a whole /64
		}
	}
	return from.Unmap().WithZone("").String()
}

// pause spends a try, or says how long to wait for one.
func (d *Directory) pause(op, account, address string) error {
	wait := d.login.take(account, address, d.Now())
	if wait == 0 {
		return nil
	}
	return &Error{Retry: wait, Fault: fault.New(fault.Limit, op, "There were too many tries.", fmt.Sprintf("Wait %d seconds and try again.", int(wait/time.Second)+1))}
}

// Refresh rotates tokens.
func (d *Directory) Refresh(ctx context.Context, key grant.Key, refresh string) (protocol.Tokens, error) {
	const op = "account.refresh"
	now := d.Now()
	t, hashed := newTokens(now)
	c, _, err := d.cfg.Store.Rotate(ctx, store.HashToken(refresh), key, hashed, now)
	switch {
	case errors.Is(err, store.ErrReuse):
		d.cfg.Log.Warn("a refresh token was used twice; the sign-in is revoked", "console", c.ID)
		if d.cfg.Revoked != nil {
			d.cfg.Revoked(c.Key)
		}
		fallthrough
	case errors.Is(err, store.ErrNotFound):
		return protocol.Tokens{}, fault.New(fault.SignedOut, op, "This sign-in is over.", "Sign in again.")
	case err != nil:
		return protocol.Tokens{}, stored(op, err)
	}
	return t, nil
}

// Authenticate returns whom a token speaks for; key is the one whose possession
// was proved.
func (d *Directory) Authenticate(ctx context.Context, token string, key grant.Key) (store.Auth, error) {
	const op = "account.token"
	if token == "" {
		return store.Auth{}, fault.New(fault.SignedOut, op, "You are signed out.", "Sign in.")
	}
	a, err := d.cfg.Store.Access(ctx, store.HashToken(token), d.Now())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Auth{}, stored(op, err)
	}
	if err != nil || a.Console.Key != key {
		return store.Auth{}, &Error{Code: protocol.CodeToken, Fault: fault.New(fault.SignedOut, op, "This sign-in needs to be renewed.", "Sign in again.")}
	}
	return a, nil
}

// SignOut ends the sign-in of a.
func (d *Directory) SignOut(ctx context.Context, a store.Auth) error {
	if err := d.cfg.Store.Revoke(ctx, a.Family, d.Now()); err != nil {
		return stored("account.signout", err)
	}
	if d.cfg.Revoked != nil {
		d.cfg.Revoked(a.Console.Key)
	}
	return nil
}
