package desk

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"rsc.io/qr"

	"daypass/backend/fault"
	"daypass/backend/rendezvous"
)

// Enrolment is the secret of a second step, to scan or to type. It is shown,
// never stored or logged.
type Enrolment struct {
	Secret string `json:"secret"` // base32 in groups of four
	QR     QR     `json:"qr"`
}

// QR is a QR code: the path of an SVG in a square of Size modules.
type QR struct {
	Size int    `json:"size"`
	Path string `json:"path"`
}

// NeedsCode reports whether a sign-in failed for want of the second step's code
// only.
func NeedsCode(err error) bool { return errors.Is(err, rendezvous.ErrTOTP) }

// signInBy signs in at the present server by f and goes on from there.
func (d *Desk) signInBy(f func(context.Context, Signaling) (rendezvous.Profile, error)) error {
	var sig Signaling
	if err := d.look(func() error {
		if d.phase == PhaseReady || d.phase == PhaseEnrol || d.sig == nil {
			return notReady()
		}
		sig = d.sig
		return nil
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(d.ctx, serverTimeout)
	defer cancel()
	p, err := f(ctx, sig)
	if err != nil {
		return err
	}
	return d.do(func() error { return d.begin(sig, p) })
}

// begin goes on with a sign-in: into the console, or to the second step that
// has to be set up first. In the loop.
func (d *Desk) begin(sig Signaling, p rendezvous.Profile) error {
	if d.sig != sig {
		return errClosed
	}
	d.joining, d.signedOut = "", nil
	if p.Enrol {
		d.profile, d.phase, d.server.Online = &p, PhaseEnrol, true
		return nil
	}
	gone := make(chan struct{})
	ctx, cancel := context.WithCancel(d.ctx)
	d.stopSrv, d.srvGone = cancel, gone
	d.entered(sig, p)
	d.wg.Go(func() { defer close(gone); d.carry(ctx, sig) })
	return nil
}

// Leave goes from a second step that has to be set up back to signing in.
func (d *Desk) Leave() error {
	var sig Signaling
	if err := d.look(func() error {
		if sig = d.sig; d.phase != PhaseEnrol || sig == nil {
			return notReady()
		}
		return nil
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(d.ctx, serverTimeout)
	defer cancel()
	if err := sig.SignOut(ctx); err != nil && fault.KindOf(err) != fault.Offline {
		return err
	}
	return d.do(func() error {
		if d.sig == sig {
			d.phase, d.profile = PhaseSignIn, nil
		}
		return nil
	})
}

// mustEnrol stops what a sign-in without its second step may not do any more:
// the company asks for one now. In the loop.
func (d *Desk) mustEnrol(sig Signaling) {
	if d.sig != sig || d.phase != PhaseReady || d.stopSrv == nil {
		return
	}
	d.stopSrv()
	d.phase, d.mailbox = PhaseEnrol, nil
}

// outOf tells the person that this console was signed out, as whom, and keeps
// everything else. In the loop.
func (d *Desk) outOf(email string) {
	d.signedOut = &SignedOut{Email: email, Fault: *FaultOf(fault.New(fault.SignedOut, "account.revoked", "The sign-in of this console was ended from elsewhere.",
		"An administrator did it, or you yourself at another console, or by a new password. Sign in again."))}
}

// BeginTOTP makes the secret of a new second step; ConfirmTOTP puts it into
// force.
func (d *Desk) BeginTOTP(password, totp string) (Enrolment, error) {
	return asked(d, func(ctx context.Context, s Signaling) (Enrolment, error) {
		t, err := s.StartTOTP(ctx, password, totp)
		if err != nil {
			return Enrolment{}, err
		}
		code, err := qr.Encode(t.URI, qr.M)
		if err != nil {
			return Enrolment{}, fault.Wrap(err, fault.Internal, "account.totp", "The QR code could not be drawn.", "Try again.")
		}
		return Enrolment{Secret: inFours(t.Secret), QR: QR{Size: code.Size, Path: path(code)}}, nil
	})
}

func inFours(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// path draws the dark modules, row by row, neighbours in one stroke.
func path(c *qr.Code) string {
	var b strings.Builder
	for y := range c.Size {
		for x := 0; x < c.Size; x++ {
			if !c.Black(x, y) {
				continue
			}
			from := x
			for x < c.Size && c.Black(x, y) {
				x++
			}
			n := strconv.Itoa(x - from)
			b.WriteString("M" + strconv.Itoa(from) + " " + strconv.Itoa(y) + "h" + n + "v1h-" + n + "z")
		}
	}
	return b.String()
}

// ConfirmTOTP puts the second step into force and returns the recovery codes,
// to be shown this once.
func (d *Desk) ConfirmTOTP(code string) ([]string, error) {
	codes, err := asked(d, func(ctx context.Context, s Signaling) ([]string, error) { return s.ConfirmTOTP(ctx, code) })
	if err == nil {
		d.refreshSelf()
	}
	return codes, err
}

// Kept says that the recovery codes are kept: a sign-in that waited for the
// second step goes on.
func (d *Desk) Kept() error {
	var sig Signaling
	if err := d.look(func() error {
		if d.phase == PhaseEnrol {
			sig = d.sig
		}
		return nil
	}); err != nil || sig == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(d.ctx, serverTimeout)
	defer cancel()
	p, err := sig.Profile(ctx)
	if err != nil {
		return err
	}
	return d.do(func() error {
		if d.phase != PhaseEnrol {
			return nil
		}
		return d.begin(sig, p)
	})
}

// NewRecoveryCodes replaces one's recovery codes.
func (d *Desk) NewRecoveryCodes(password, totp string) ([]string, error) {
	codes, err := asked(d, func(ctx context.Context, s Signaling) ([]string, error) {
		return s.NewRecoveryCodes(ctx, password, totp)
	})
	if err == nil {
		d.refreshSelf()
	}
	return codes, err
}

// RemoveTOTP removes one's second step, where neither role nor policy ask for
// it.
func (d *Desk) RemoveTOTP(password, totp string) error {
	err := told(d, func(ctx context.Context, s Signaling) error { return s.RemoveTOTP(ctx, password, totp) })
	if err == nil {
		d.refreshSelf()
	}
	return err
}

// ChangePassword sets another password; other consoles of the person are signed
// out.
func (d *Desk) ChangePassword(old, now string) error {
	return told(d, func(ctx context.Context, s Signaling) error { return s.ChangePassword(ctx, old, now) })
}

// refreshSelf asks the server who we are and what the company allows, and
// returns when the page can know it. It says nothing of what goes wrong: the
// next minute asks again.
func (d *Desk) refreshSelf() {
	var sig Signaling
	if err := d.look(func() error { sig = d.sig; return nil }); err == nil && sig != nil {
		d.readSelf(d.ctx, sig)
	}
}

func (d *Desk) readSelf(ctx context.Context, sig Signaling) {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	p, err := sig.Profile(ctx)
	if err != nil {
		d.log.Info("profile not read", "error", err)
		return
	}
	c, err := sig.Company(ctx)
	if err != nil {
		if errors.Is(err, rendezvous.ErrEnrol) {
			d.post(func() { d.mustEnrol(sig) })
		} else {
			d.log.Info("company not read", "error", err)
		}
	}
	if derr := d.do(func() error {
		if d.sig != sig || d.profile == nil {
			return nil
		}
		d.profile = &p
		if err == nil {
			d.company = &c
		}
		if b, err := json.Marshal(p); err == nil && d.phase == PhaseReady {
			return d.store.SetSetting(d.ctx, "profile", string(b))
		}
		return nil
	}); derr != nil {
		d.log.Warn("profile not stored", "error", derr)
	}
}
