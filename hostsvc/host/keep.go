package host

import (
	"context"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/removal"
	"daypass/hostsvc/service"
)

// Keeper brings the program back after a crash, a sign-out and a restart of the
// computer, and restarts it. folder is the session's state folder. Its methods
// may be called from any goroutine.
type Keeper interface {
	// Items lists what Keep puts on the computer.
	Items(folder string) []removal.Item
	// Keep puts it there. It may be repeated.
	Keep(ctx context.Context, folder string) error
	// Begin starts the supervision.
	Begin(ctx context.Context, folder string) error
	// After is what brings the program back as things stand.
	After(folder string) service.After
	// CanRaise reports whether Raise may be offered.
	CanRaise(folder string) bool
	// RootItems lists what Raise puts on the computer.
	RootItems(folder string) []removal.Item
	// Raise asks the customer for administrator rights, in the system's own
	// window, and keeps the program for the whole computer until the given end. A
	// refusal is a fault of kind Cancelled or Denied.
	Raise(ctx context.Context, folder string, until time.Time) error
	// Leave tells root's service, if there is one, that the session is over.
	Leave(folder string)
	// CanReboot reports whether Reboot may be tried.
	CanReboot(folder string) bool
	// Reboot restarts the computer. It returns when the system has taken the
	// request.
	Reboot(ctx context.Context, folder string) error
}

// keep puts down what brings the program back. What does not work is no reason
// to end a session: the customer and the technician are told what will be.
func (s *session) keep() {
	k := s.cfg.Keep
	if k == nil {
		return
	}
	dir := s.st.journal.Dir()
	ctx, cancel := context.WithTimeout(s.ctx, keepTimeout)
	err := k.Keep(ctx, dir)
	cancel()
	if err != nil {
		s.log.Warn("nothing brings the program back after a restart", "cause", err)
	} else if !s.cfg.Resume {
		s.beside(func() {
			if err := k.Begin(s.ctx, dir); err != nil {
				s.log.Warn("the program is not supervised until the next sign-in", "cause", err)
			}
		})
	}
	s.standing()
}

// standing looks what will be after a restart, shows it, and returns it.
func (s *session) standing() wire.Standing {
	w := wire.Standing{NoDesktop: s.cfg.NoDesktop != nil}
	k := s.cfg.Keep
	if k == nil {
		return w
	}
	dir := s.st.journal.Dir()
	after, raise := k.After(dir), k.CanRaise(dir)
	w.After, w.Reboot = string(after), k.CanReboot(dir)
	if s.model.After != string(after) || s.model.CanRaise != raise || !s.model.Keeps {
		s.show(func(m *consent.Model) { m.Keeps, m.After, m.CanRaise = true, string(after), raise })
	}
	return w
}

// raise asks for administrator rights because the customer wants it.
func (s *session) raise() {
	k := s.cfg.Keep
	if k == nil || s.raising || !k.CanRaise(s.st.journal.Dir()) {
		return
	}
	dir := s.st.journal.Dir()
	for _, it := range k.RootItems(dir) {
		if err := s.st.journal.Add(it); err != nil {
			s.show(func(m *consent.Model) { m.RaiseFault = fault.Of(err) })
			return
		}
	}
	s.raising = true
	s.show(func(m *consent.Model) { m.Raising, m.RaiseFault = true, nil })
	until := s.st.grant.Expires
	s.beside(func() {
		err := k.Raise(s.ctx, dir, until)
		s.post(func() {
			s.raising = false
			if err != nil {
				s.log.Warn("not kept for the whole computer", "cause", err)
			}
			s.show(func(m *consent.Model) { m.Raising, m.RaiseFault = false, fault.Of(err) })
			now := s.standing()
			s.send(&now)
			if err == nil {
				s.line(consent.Line{Kind: consent.LineRaised})
			}
		})
	})
}

// rebootAsked: the technician wants to restart the computer. The customer is
// told and may refuse; where nobody is signed in there is nobody to ask.
func (s *session) rebootAsked() {
	if !s.rebootAt.IsZero() {
		s.send(s.rebooting())
		return
	}
	k := s.cfg.Keep
	err := s.may("host.reboot", grant.Control)
	if err == nil && (k == nil || !k.CanReboot(s.st.journal.Dir())) {
		err = fault.New(fault.Unsupported, "host.reboot", "This computer cannot be restarted from here.", "Ask the customer to restart it.")
	}
	if err != nil {
		s.rebootFailed(err)
		return
	}
	left := rebootCountdown
	if s.cfg.NoDesktop != nil {
		left = 0
	}
	s.rebootAt = time.Now().Add(left)
	s.line(consent.Line{Kind: consent.LineRebootAsked})
	s.send(s.rebooting())
	s.show(func(m *consent.Model) { m.RebootAt = s.rebootAt })
	s.beside(func() {
		t := time.NewTimer(left)
		defer t.Stop()
		select {
		case <-t.C:
			s.post(s.rebootNow)
		case <-s.ctx.Done():
		}
	})
}

// rebooting is what the console is told while the customer may still refuse.
func (s *session) rebooting() *wire.Rebooting {
	return &wire.Rebooting{State: wire.RebootAsked, Left: max(0, int(time.Until(s.rebootAt).Round(time.Second)/time.Second))}
}

func (s *session) rebootFailed(err error) {
	f := fault.Of(err)
	s.log.Warn("not restarted", "kind", f.Kind, "cause", err)
	s.send(&wire.Rebooting{State: wire.RebootFailed, Message: cut(f.Message), Hint: cut(f.Hint)})
}

// rebootRefused: the customer does not want it.
func (s *session) rebootRefused() {
	if s.rebootAt.IsZero() {
		return
	}
	s.rebootAt = time.Time{}
	s.line(consent.Line{Kind: consent.LineRebootNot})
	s.send(&wire.Rebooting{State: wire.RebootRefused})
	s.show(func(m *consent.Model) { m.RebootAt = time.Time{} })
}

// rebootNow restarts the computer. Everything is stored already; the next start
// takes the session up.
func (s *session) rebootNow() {
	if s.rebootAt.IsZero() || s.ended != nil {
		return
	}
	s.rebootAt = time.Time{}
	s.line(consent.Line{Kind: consent.LineReboot})
	s.send(&wire.Rebooting{State: wire.RebootNow})
	s.show(func(m *consent.Model) { m.RebootAt = time.Time{} })
	s.tick(true) // stored, so that the time until now counts
	k, dir, ch := s.cfg.Keep, s.st.journal.Dir(), s.link.Control()
	s.beside(func() {
		ctx, cancel := context.WithTimeout(s.ctx, goodbyeTimeout)
		_ = ch.Writable(ctx, 0) // that the console knows it is a courtesy, no condition
		cancel()
		ctx, cancel = context.WithTimeout(s.ctx, rebootTimeout)
		err := k.Reboot(ctx, dir)
		cancel()
		if err != nil {
			s.post(func() {
				s.rebootFailed(err)
				s.line(consent.Line{Kind: consent.LineRebootFailed})
			})
		}
	})
}

// leave tells root's service, if there is one, that the session in folder is
// over: what is root's is waited for at the end of the removal.
func (r *run) leave(folder string) {
	if k := r.cfg.Keep; k != nil {
		k.Leave(folder)
	}
}

// Reinstall keeps the sessions of this user that go on ready after a restart
// and returns how many there are. It needs only Base and Keep of cfg.
func Reinstall(ctx context.Context, cfg Config) (int, error) {
	n := 0
	for _, dir := range folders(cfg.Base) {
		st, err := loadState(dir)
		if err != nil || st.EndedBy != "" || st.Grant == nil {
			continue
		}
		if cfg.Keep == nil {
			return n, fault.New(fault.Unsupported, "host.keep", "Nothing on this computer brings the program back after a restart.", "After a restart open the program once more.")
		}
		for _, it := range cfg.Keep.Items(dir) {
			if err := st.journal.Add(it); err != nil {
				return n, err
			}
		}
		if err := cfg.Keep.Keep(ctx, dir); err != nil {
			return n, err
		}
		if err := cfg.Keep.Begin(ctx, dir); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
