package desk

import (
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/peer"
	"daypass/backend/session"
	"daypass/backend/wire"
)

// Times of interruptions and restarts.
const (
	notedAfter   = 3 * time.Second  // a shorter interruption is none in the timeline
	rebootAnswer = 10 * time.Second // for the host to say that it heard
	rebootLimit  = 10 * time.Minute // for the computer to come back; then it is simply offline
)

// rebooting is a restart that was asked for.
type rebooting struct {
	state string // "asked" or "restarting"
	since time.Time
	until time.Time // of asked
}

// mayReboot says why the computer cannot be asked to restart now, or nil.
func (d *Desk) mayReboot(l *live) error {
	x, c := &l.row.Session, l.conn
	switch {
	case x.State != session.Active:
		return fault.New(fault.Conflict, "remote.reboot", "The session is not active.", "It can be used from the moment the customer has typed the code until it ends.")
	case !x.Rights.Has(grant.Control):
		return fault.New(fault.Denied, "remote.reboot", "The customer does not allow control.", "Ask the customer to switch it on in the bar.")
	case c == nil || c.state != peer.Open:
		return fault.New(fault.Offline, "remote.reboot", "There is no connection to the computer.", "Try again when it is back.")
	case !c.standing.Reboot:
		return fault.New(fault.Unsupported, "remote.reboot", "This computer cannot be restarted from here.", "Ask the customer to restart it.")
	case c.paused == "customer":
		return fault.New(fault.Denied, "remote.reboot", "The customer stopped the connection.", "Ask the customer to press Resume.")
	case l.reboot != nil:
		return fault.New(fault.Conflict, "remote.reboot", "The restart is on its way.", "Wait until the computer is back.")
	}
	return nil
}

// Reboot asks the computer to restart. What becomes of it is in the session;
// Remote Control that is open comes back by itself.
func (d *Desk) Reboot(id string) error {
	return d.do(func() error {
		l, err := d.get(id)
		if err != nil {
			return err
		}
		if err := d.mayReboot(l); err != nil {
			return err
		}
		if err := d.send(l.conn, &wire.Reboot{}); err != nil {
			return err
		}
		d.clearNotice("reboot-" + l.id().String())
		now := time.Now()
		l.reboot = &rebooting{state: "asked", since: now, until: now.Add(rebootAnswer)}
		d.note(l, session.Technician, session.KindReboot, "Restart of the computer asked for.")
		return nil
	})
}

// rebooting takes what the host says of a restart. What became of it the host
// says for the record itself: nobody else may in its name.
func (d *Desk) rebooting(l *live, m *wire.Rebooting) {
	b := l.reboot
	if b == nil {
		return // asked for by nobody here
	}
	now := time.Now()
	switch m.State {
	case wire.RebootAsked:
		b.until = now.Add(time.Duration(m.Left) * time.Second)
	case wire.RebootNow:
		l.reboot = &rebooting{state: "restarting", since: now}
	case wire.RebootRefused:
		l.reboot = nil
		d.rebootNotice(l, fault.New(fault.Denied, "remote.reboot", "The customer did not let the computer restart.", "Speak with the customer, then ask again."))
	case wire.RebootFailed:
		l.reboot = nil
		d.rebootNotice(l, fault.New(fault.Unsupported, "remote.reboot", m.Message, m.Hint))
	}
}

func (d *Desk) rebootNotice(l *live, err error) {
	d.notice("reboot-"+l.id().String(), "warn", err)
}

// rebooted: another start of the program is there.
func (d *Desk) rebooted(l *live) {
	if b := l.reboot; b != nil && b.state == "restarting" {
		l.reboot = nil
		d.note(l, session.ConsoleA, session.KindReboot, "The computer is back after the restart.")
	}
}

// watchLink is what time does to a link: it notes an interruption that lasts,
// and gives up on a restart that does not come.
func (d *Desk) watchLink(l *live) {
	if c := l.conn; c != nil && !c.lost.IsZero() && !c.noted && time.Since(c.lost) >= notedAfter {
		c.noted = true
		d.note(l, session.ConsoleA, session.KindDisconnected, "Connection lost; connecting again.")
		d.dirty = true
	}
	b := l.reboot
	switch {
	case b == nil:
	case l.row.Session.State != session.Active, b.state == "restarting" && time.Since(b.since) > rebootLimit:
		l.reboot, d.dirty = nil, true
	case b.state == "asked" && time.Since(b.until) > rebootAnswer && l.conn != nil && l.conn.state == peer.Open:
		l.reboot, d.dirty = nil, true
		d.rebootNotice(l, fault.New(fault.Offline, "remote.reboot", "The computer did not answer.", "Try again."))
	}
}
