package directory

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/url"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

const (
	totpSeed      = 20 // bytes: what RFC 4226 §4 recommends for SHA-1
	recoveryCodes = 10
	maxCode       = 32 // bytes of a one-time or recovery code as typed
)

// newSeed returns the seed of a second factor.
func newSeed() []byte {
	b := make([]byte, totpSeed)
	rand.Read(b)
	return b
}

// totpStep returns the time step that code belongs to, one step of clock error
// either way, if it is after last: each counts once.
func totpStep(seed []byte, code string, last int64, now time.Time) (int64, bool) {
	at := protocol.TOTPStep(now)
	for _, step := range []int64{at, at - 1, at + 1} {
		if step > last && subtle.ConstantTimeCompare([]byte(protocol.TOTPCode(seed, step)), []byte(code)) == 1 {
			return step, true
		}
	}
	return 0, false
}

// newRecovery returns recovery codes (80 bits each) and what is stored of them.
func newRecovery() (codes []string, hashes []store.Hash) {
	for range recoveryCodes {
		var b [10]byte
		rand.Read(b[:])
		s := grant.Crockford.EncodeToString(b[:])
		codes = append(codes, s[:4]+"-"+s[4:8]+"-"+s[8:12]+"-"+s[12:])
		hashes = append(hashes, store.HashToken(s))
	}
	return codes, hashes
}

// readCode returns the canonical form of a code of so many bytes as somebody
// typed it: whatever its case, with or without hyphens and spaces.
func readCode(typed string, size int) (string, bool) {
	if len(typed) > 64 {
		return "", false
	}
	b, err := grant.DecodeCrockford(strings.ReplaceAll(typed, " ", ""))
	if err != nil || len(b) != size {
		return "", false
	}
	return grant.Crockford.EncodeToString(b), true
}

// mustTOTP says whether role or policy demand a second factor. The account that
// a console made for itself on its own computer has none: its random password
// is in that computer's keyring, no person types it, and it works from that
// computer only.
func mustTOTP(p store.Profile) bool {
	return !p.Local && (p.HasRole(protocol.RoleLead) || p.HasRole(protocol.RoleAdmin) || p.Company.Policy.TOTP == protocol.TOTPEveryone)
}

func mustEnrol(p store.Profile) bool { return mustTOTP(p) && len(p.TOTP) == 0 }

// Enrolled refuses who must set up a second factor first. Everything but
// profile, sign-out, password and the setting up asks it.
func (d *Directory) Enrolled(a store.Auth) error {
	if !mustEnrol(a.Profile) {
		return nil
	}
	return &Error{Code: protocol.CodeEnrol, Fault: fault.New(fault.Denied, "account.totp", "This account needs a second factor first.", "Set one up with an authenticator app.")}
}

// second checks the second factor, if p has one, and uses it up.
func (d *Directory) second(ctx context.Context, op string, p store.Profile, code string) error {
	if len(p.TOTP) == 0 {
		return nil
	}
	code = strings.TrimSpace(code)
	if code == "" {
		return &Error{Code: protocol.CodeTOTP, Fault: fault.New(fault.SignedOut, op, "A one-time code is needed.", "Type the code that your authenticator shows now.")}
	}
	if step, ok := totpStep(p.TOTP, strings.ReplaceAll(code, " ", ""), p.Step, d.Now()); ok {
		if ok, err := d.cfg.Store.UseTOTP(ctx, p.ID, step); err != nil || ok {
			return stored(op, err)
		}
	} else if canonical, ok := readCode(code, 10); ok {
		if ok, _, err := d.cfg.Store.UseRecovery(ctx, p.ID, store.HashToken(canonical), d.Now()); err != nil || ok {
			return stored(op, err)
		}
	}
	return &Error{Code: protocol.CodeTOTP, Fault: fault.New(fault.SignedOut, op, "This one-time code is wrong or was used already.", "Type the one that your authenticator shows next, or a recovery code.")}
}

// guarded is second at a sign-in. A person's wrong codes count together, from
// whatever addresses they come: six digits are few for who knows the password, or
// holds a one-time code, and has many addresses. Only such a one can make the
// person wait, and not at a console that signed in before, which has a count of
// its own.
func (d *Directory) guarded(ctx context.Context, op string, key grant.Key, p store.Profile, code string) error {
	if len(p.TOTP) == 0 || code == "" {
		return d.second(ctx, op, p, code)
	}
	who := "second " + p.ID.String()
	known, err := d.cfg.Store.KnownConsole(ctx, p.ID, key)
	if err != nil {
		return stored(op, err)
	}
	if known {
		who += " " + string(key[:])
	}
	if err := d.pause(op, who, who); err != nil {
		return err
	}
	err = d.second(ctx, op, p, code)
	d.login.note(who, d.Now(), err == nil)
	return err
}

// prove checks that who sits at a signed-in console is its person.
func (d *Directory) prove(ctx context.Context, op string, a store.Auth, password, code string) error {
	if len(password) > protocol.MaxPassword || len(code) > maxCode {
		return fault.New(fault.Invalid, op, "That is too long.", "Check what you typed.")
	}
	who := "person " + a.Profile.ID.String()
	if err := d.pause(op, who, who); err != nil {
		return err
	}
	ok, err := d.hash.check(ctx, a.Profile.Password, password)
	if err != nil {
		return stored(op, err)
	}
	if !ok || a.Profile.Password == "" {
		d.login.note(who, d.Now(), false)
		return fault.New(fault.Denied, op, "The password is wrong.", "Type the password that you sign in with.")
	}
	if err := d.second(ctx, op, a.Profile, code); err != nil {
		d.login.note(who, d.Now(), code == "")
		return asDenied(err)
	}
	d.login.note(who, d.Now(), true)
	return nil
}

// asDenied makes a fault of a sign-in one inside a sign-in, which goes on.
func asDenied(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Code != protocol.CodeTOTP {
		return err
	}
	return &Error{Code: e.Code, Fault: fault.New(fault.Denied, e.Fault.Op, e.Fault.Message, e.Fault.Hint)}
}

// StartTOTP makes the seed of a new second factor, which waits for its first
// code. Who has one already proves it.
func (d *Directory) StartTOTP(ctx context.Context, a store.Auth, in protocol.Proving) (protocol.TOTPStarted, error) {
	const op = "account.totp"
	if len(a.Profile.TOTP) > 0 {
		if err := d.prove(ctx, op, a, in.Password, in.TOTP); err != nil {
			return protocol.TOTPStarted{}, err
		}
	}
	seed := newSeed()
	if _, _, err := d.cfg.Store.ChangePerson(ctx, a.Profile.ID, actor(a), d.Now(), func(p *store.Profile) (store.Change, error) {
		p.Pending = seed
		return store.Change{Kind: "person.totp_start", Detail: about(p.ID)}, nil
	}); err != nil {
		return protocol.TOTPStarted{}, stored(op, err)
	}
	secret := protocol.SeedText(seed)
	issuer := "Daypass " + a.Profile.Company.Name
	u := url.URL{
		Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + a.Profile.Email,
		RawQuery: "secret=" + secret + "&issuer=" + url.PathEscape(issuer) + "&algorithm=SHA1&digits=6&period=30",
	}
	return protocol.TOTPStarted{Secret: secret, URI: u.String()}, nil
}

// ConfirmTOTP puts a second factor into force by its first code.
func (d *Directory) ConfirmTOTP(ctx context.Context, a store.Auth, code string) (protocol.RecoveryCodes, error) {
	const op = "account.totp"
	who := "person " + a.Profile.ID.String()
	if err := d.pause(op, who, who); err != nil {
		return protocol.RecoveryCodes{}, err
	}
	codes, hashes := newRecovery()
	_, _, err := d.cfg.Store.ChangePerson(ctx, a.Profile.ID, actor(a), d.Now(), func(p *store.Profile) (store.Change, error) {
		if len(p.Pending) == 0 {
			return store.Change{}, fault.New(fault.Conflict, op, "No second factor is being set up.", "Start again.")
		}
		step, ok := totpStep(p.Pending, strings.ReplaceAll(strings.TrimSpace(code), " ", ""), 0, d.Now())
		if !ok {
			return store.Change{}, &Error{Code: protocol.CodeTOTP, Fault: fault.New(fault.Denied, op, "This code does not fit.", "Type the code that your authenticator shows now, and check the clock of that device.")}
		}
		p.TOTP, p.Pending, p.Step = p.Pending, nil, step
		return store.Change{Kind: "person.totp_on", Detail: about(p.ID), Recovery: &hashes}, nil
	})
	if err != nil {
		d.login.note(who, d.Now(), false)
		return protocol.RecoveryCodes{}, stored(op, err)
	}
	d.login.note(who, d.Now(), true)
	return protocol.RecoveryCodes{Codes: codes}, nil
}

// RemoveTOTP removes one's second factor where none is demanded.
func (d *Directory) RemoveTOTP(ctx context.Context, a store.Auth, in protocol.Proving) error {
	const op = "account.totp"
	if mustTOTP(a.Profile) {
		return fault.New(fault.Denied, op, "Your role or your company demands a second factor.", "You can replace it by another one.")
	}
	if err := d.prove(ctx, op, a, in.Password, in.TOTP); err != nil {
		return err
	}
	_, _, err := d.cfg.Store.ChangePerson(ctx, a.Profile.ID, actor(a), d.Now(), func(p *store.Profile) (store.Change, error) {
		p.TOTP, p.Pending, p.Step = nil, nil, 0
		return store.Change{Kind: "person.totp_off", Detail: about(p.ID), Recovery: &[]store.Hash{}}, nil
	})
	return stored(op, err)
}

// NewRecovery replaces one's recovery codes.
func (d *Directory) NewRecovery(ctx context.Context, a store.Auth, in protocol.Proving) (protocol.RecoveryCodes, error) {
	const op = "account.totp"
	if len(a.Profile.TOTP) == 0 {
		return protocol.RecoveryCodes{}, fault.New(fault.Conflict, op, "This account has no second factor.", "Set one up first; it comes with recovery codes.")
	}
	if err := d.prove(ctx, op, a, in.Password, in.TOTP); err != nil {
		return protocol.RecoveryCodes{}, err
	}
	codes, hashes := newRecovery()
	_, _, err := d.cfg.Store.ChangePerson(ctx, a.Profile.ID, actor(a), d.Now(), func(p *store.Profile) (store.Change, error) {
		return store.Change{Kind: "person.recovery_new", Detail: about(p.ID), Recovery: &hashes}, nil
	})
	if err != nil {
		return protocol.RecoveryCodes{}, stored(op, err)
	}
	return protocol.RecoveryCodes{Codes: codes}, nil
}

func about(who grant.ID) map[string]any { return map[string]any{"profile": who} }
