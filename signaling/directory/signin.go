package directory

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/mail"
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
func (l *limits) take(account, address string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ip := l.get("a "+account, now, 5), l.get("i "+address, now, 20)
	var wait time.Duration
	for b, per := range map[*bucket]float64{a: 5, ip: 20} {
		if b.tokens < 1 {
			wait = max(wait, time.Duration((1-b.tokens)/per*float64(time.Minute)))
		}
		if now.Before(b.blocked) {
			wait = max(wait, b.blocked.Sub(now))
		}
	}
	if wait == 0 {
		a.tokens--
		ip.tokens--
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

// SignIn checks address and password and binds new tokens to the console's key,
// whose possession the caller has verified. from is the network address.
func (d *Directory) SignIn(ctx context.Context, key grant.Key, from netip.Addr, in protocol.SignIn) (protocol.SignedIn, error) {
	const op = "account.signin"
	if len(in.Email) > 254 || len(in.Password) > 1024 || len(in.TOTP) > 16 {
		return protocol.SignedIn{}, fault.New(fault.Invalid, op, "That is too long.", "Check address and password.")
	}
	name, err := text(op, "name of this computer", in.Console, 1, 120)
	if err != nil {
		name = "Console"
	}
	p, err := d.cfg.Store.ProfileByEmail(ctx, in.Email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return protocol.SignedIn{}, stored(op, err)
	}
	account := strings.ToLower(in.Email)
	if err == nil {
		known, err := d.cfg.Store.KnownConsole(ctx, p.ID, key)
		if err != nil {
			return protocol.SignedIn{}, stored(op, err)
		}
		if known {
			account += " " + string(key[:])
		}
	}
	address := from.Unmap().WithZone("").String()
	if from.Is6() && !from.Is4In6() {
		if pre, err := from.WithZone("").Prefix(64); err == nil {
			address = pre.String() // one customer has a whole /64
		}
	}
	if wait := d.login.take(account, address, d.Now()); wait > 0 {
		return protocol.SignedIn{}, &Error{Retry: wait, Fault: fault.New(fault.Limit, op, "There were too many tries.", fmt.Sprintf("Wait %d seconds and try again.", int(wait/time.Second)+1))}
	}
	ok, err := d.hash.check(ctx, p.Password, in.Password)
	if err != nil {
		return protocol.SignedIn{}, stored(op, err)
	}
	ok = ok && p.Password != ""
	if !ok {
		d.login.note(address, d.Now(), false)
		return protocol.SignedIn{}, fault.New(fault.SignedOut, op, "Address or password is wrong.", "Check both and try again.")
	}
	if p.Disabled || p.Company.Suspended {
		return protocol.SignedIn{}, fault.New(fault.Denied, op, "This account is switched off.", "Ask the administrator of your company.")
	}
	if len(p.TOTP) > 0 {
		step, ok := totpStep(p.TOTP, in.TOTP, d.Now())
		if ok {
			if ok, err = d.cfg.Store.UseTOTP(ctx, p.ID, step); err != nil {
				return protocol.SignedIn{}, stored(op, err)
			}
		}
		if !ok {
			d.login.note(address, d.Now(), in.TOTP == "")
			return protocol.SignedIn{}, &Error{Code: protocol.CodeTOTP, Fault: fault.New(fault.SignedOut, op, "A one-time code is needed.", "Type the code that your authenticator shows now.")}
		}
	}
	d.login.note(address, d.Now(), true)
	now := d.Now()
	t, hashed := newTokens(now)
	if _, err := d.cfg.Store.SignIn(ctx, p.ID, key, name, hashed, now); err != nil {
		return protocol.SignedIn{}, stored(op, err)
	}
	prof, err := d.ProfileOf(ctx, p)
	return protocol.SignedIn{Tokens: t, Profile: prof}, err
}

// totpStep returns the time step (RFC 6238: SHA-1, 30 s, 6 digits) that code
// belongs to, one step of clock error either way.
func totpStep(seed []byte, code string, now time.Time) (int64, bool) {
	at := now.Unix() / 30
	for _, step := range []int64{at, at - 1, at + 1} {
		m := hmac.New(sha1.New, seed)
		m.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
		s := m.Sum(nil)
		o := s[len(s)-1] & 15
		want := fmt.Sprintf("%06d", (binary.BigEndian.Uint32(s[o:])&0x7fffffff)%1_000_000)
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return step, true
		}
	}
	return 0, false
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

// Account is a new admin's complete sign-in, as `admin create` prints it.
type Account struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	Name     string `json:"name"`
	Company  string `json:"company"`
	TOTPSeed string `json:"totp_seed,omitempty"`
	Server   string `json:"server,omitempty"`
}

// CreateAdmin adds an admin with a random password (100 bits). Empty name and
// company get plain defaults. It is the only way to the first account, and
// needs the server's disk.
func CreateAdmin(ctx context.Context, st store.Store, email, name, company string, now time.Time) (Account, error) {
	const op = "admin.create"
	if a, err := mail.ParseAddress(email); err != nil || a.Address != email || len(email) > 254 {
		return Account{}, fault.New(fault.Invalid, op, "This is not an e-mail address.", "Give it as somebody@example.org.")
	}
	if name == "" {
		name, _, _ = strings.Cut(email, "@")
	}
	if company == "" {
		company = "My company"
	}
	name, err := text(op, "name", name, 1, 120)
	if err != nil {
		return Account{}, err
	}
	if company, err = text(op, "company", company, 1, 120); err != nil {
		return Account{}, err
	}
	password := newPassword()
	_, err = st.CreateAdmin(ctx, store.Profile{
		ID: grant.NewID(), Email: email, Name: name, Password: HashPassword(password), Roles: []string{"admin", "lead", "technician"}, Rights: grant.All, Created: now,
		Company: store.Company{ID: grant.NewID(), Name: company, MaxSessions: 5, MaxPerProfile: 1, Rights: grant.All},
	})
	if errors.Is(err, store.ErrConflict) {
		return Account{}, fault.Wrap(err, fault.Conflict, op, "There is an account with this address already.", "Use another address.")
	}
	if err != nil {
		return Account{}, stored(op, err)
	}
	return Account{Email: email, Password: password, Name: name, Company: company}, nil
}

// newPassword returns 100 random bits in a form that can be typed.
func newPassword() string {
	var b [13]byte
	rand.Read(b[:])
	s := strings.ToLower(grant.Crockford.EncodeToString(b[:])[:20])
	return s[:5] + "-" + s[5:10] + "-" + s[10:15] + "-" + s[15:]
}

// ResetPassword gives an account a new random password and ends all its
// sign-ins. Like CreateAdmin it needs the server's disk.
func ResetPassword(ctx context.Context, st store.Store, email string, now time.Time) (Account, error) {
	password := newPassword()
	p, err := st.SetPassword(ctx, email, HashPassword(password), now)
	if errors.Is(err, store.ErrNotFound) {
		return Account{}, fault.Wrap(err, fault.NotFound, "admin.reset", "There is no account with this address.", "Make one with admin create.")
	}
	if err != nil {
		return Account{}, stored("admin.reset", err)
	}
	return Account{Email: p.Email, Password: password, Name: p.Name, Company: p.Company.Name}, nil
}
