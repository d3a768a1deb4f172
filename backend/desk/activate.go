package desk

import (
	"context"
	"errors"
	"slices"
	"time"

	"daypass/backend/fault"
	"daypass/backend/faultpoint"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
)

// classActivation is the first byte of a mailbox message of the activation.
const classActivation = 'A'

const maxHosts = 8 // on one link; the server has the same bound

// envelope takes a message from a host.
func (d *Desk) envelope(e rendezvous.Envelope) {
	l := d.live[e.Session]
	if l == nil || len(e.Body) == 0 {
		return
	}
	switch e.Body[0] {
	case classActivation:
		d.activation(l, e)
	case peer.Class:
		if l.conn != nil && l.pin != nil && e.Instance == l.pin.Instance {
			l.conn.box.put(e.Body)
		}
	}
}

func (d *Desk) activation(l *live, e rendezvous.Envelope) {
	if l.row.Session.State.Over() || l.row.Session.State == session.Ending {
		return
	}
	if pairing.IsRefusal(e.Body) {
		d.refusal(l, e.Instance, e.Body)
		return
	}
	w := l.hosts[e.Instance]
	if w == nil {
		if l.secret == nil || l.srv == nil || len(l.hosts) >= maxHosts || !l.row.Session.State.Open() {
			return
		}
		act, err := pairing.NewConsoleActivation(d.dev, *l.secret, l.id(), l.offer(), l.srv.ServerKey, l.budget, time.Now)
		if err != nil {
			d.log.Error("activation cannot begin", "session", l.id(), "error", err)
			l.fault = FaultOf(fault.Wrap(err, fault.Hostile, "session.offer", "The server's offer for this session is not valid.", "Cancel it and start a new session."))
			return
		}
		w = &waiting{act: act, since: time.Now(), heard: time.Now()}
		l.hosts[e.Instance] = w
	}
	before := *l.budget
	faultpoint.Message("console/hears", e.Body)
	out, ev, err := w.act.Handle(e.Body)
	if errors.Is(err, pairing.ErrReplay) && pairing.IsHostHello(e.Body) && d.startedAnew(l, e.Instance) {
		d.activation(l, e)
		return
	}
	if err != nil {
		d.log.Debug("activation message", "session", l.id(), "error", err)
		if ev.Kind == pairing.None && len(out) == 0 {
			if _, answered := w.act.Host(); !answered {
				w.act.Wipe()
				delete(l.hosts, e.Instance) // a stranger without the secret
			}
			return
		}
	}
	w.heard = time.Now()
	if *l.budget != before {
		// The charge must survive a restart before our share leaves.
		if err := d.keepLink(l); err != nil {
			d.notice("vault", "error", err)
			*l.budget = before
			return
		}
		faultpoint.Hit("console/try charged", "")
	}
	d.sendAll(l, e.Instance, out)
	if ev.Kind != pairing.None {
		d.happened(l, e.Instance, w, ev)
	}
	faultpoint.Message("console/heard", e.Body)
}

func (d *Desk) happened(l *live, i rendezvous.Instance, w *waiting, ev pairing.Event) {
	d.dirty = true
	switch ev.Kind {
	case pairing.HostAnswered:
		w.report = ev.Report
		if d.must(l, session.Answer{Host: hostOf(ev.Report)}) && !l.row.Session.Again {
			d.serverState(l, rendezvous.Invited, rendezvous.Answered)
		}
		d.autoChoose(l)
	case pairing.WrongCode:
		if l.code != nil {
			l.code.state = "wrong"
		}
		d.must(l, session.WrongCode{Left: ev.Left, SessionLeft: ev.SessionLeft})
	case pairing.NewCodeNeeded:
		if l.code != nil && l.code.state != "expired" {
			if ev.Left <= 0 {
				d.must(l, session.WrongCode{Left: ev.Left, SessionLeft: ev.SessionLeft})
			}
			l.code.state = "expired"
		}
	case pairing.Locked:
		if l.code != nil {
			l.code.state = "locked"
		}
		if l.row.Session.Again {
			d.notice("take-over", "error", fault.New(fault.Limit, "session.code", "Too many wrong codes were typed for this session.", "End it at the server and start a new one."))
			if err := d.giveUp(l); err != nil {
				d.log.Error("lock", "error", err)
			}
			return
		}
		if l.row.Session.State.Open() {
			if err := d.end(l, grant.ByLock, session.End{By: grant.ByLock}); err != nil {
				d.log.Error("lock", "error", err)
			}
		}
	case pairing.Confirmed:
		d.confirmed(l, i, w, ev)
	case pairing.Done:
		if l.pin != nil && l.pin.Instance == i && !l.pin.Done {
			l.pin.Done, l.pin.loaded = true, time.Now()
			if err := d.keepPin(l); err != nil {
				d.notice("vault", "error", err)
			}
		}
	}
}

func hostOf(r pairing.HostReport) session.Host {
	return session.Host{Computer: r.Computer, OS: r.OS, User: r.User, TimeZone: r.TimeZone, Version: r.Version}
}

// there returns the computers that answered and are believed to be there.
func (l *live) there() []rendezvous.Instance {
	var out []rendezvous.Instance
	for i, w := range l.hosts {
		if _, ok := w.act.Host(); ok && l.present(i, w) {
			out = append(out, i)
		}
	}
	return out
}

func (l *live) present(i rendezvous.Instance, w *waiting) bool {
	return time.Since(w.heard) < 3*time.Second || l.row.Session.Again && time.Since(w.heard) < 20*time.Second || l.srv == nil || slices.Contains(l.srv.Waiting, i)
}

// autoChoose takes the computer if it is the only one. If another one answers
// afterwards, nothing goes on until a person has chosen.
func (d *Desk) autoChoose(l *live) {
	if l.pin != nil {
		if !d.stale(l) {
			return
		}
		d.dropPin(l)
	}
	if l.byHand {
		return
	}
	there := l.there()
	switch {
	case len(there) == 1 && l.chosen != there[0]:
		if err := d.choose(l, there[0], true); err != nil {
			d.log.Warn("choose", "session", l.id(), "error", err)
		}
	case len(there) > 1:
		// Whoever answered first may not be the customer: the code that was shown
		// for it must not let it in any more.
		if w := l.hosts[l.chosen]; w != nil {
			d.sendAll(l, l.chosen, w.act.Withdraw())
			d.hideCode(l)
		}
		l.chosen = rendezvous.Instance{}
	}
}

// Choose says which of several computers is the customer's.
func (d *Desk) Choose(id, instance string) error {
	return d.do(func() error {
		l, err := d.get(id)
		if err != nil {
			return err
		}
		i, err := rendezvous.ParseInstance(instance)
		if err != nil || l.hosts[i] == nil {
			return fault.New(fault.NotFound, "session.choose", "That computer is not there any more.", "Ask the customer to start the program again.")
		}
		if l.pin != nil {
			return fault.New(fault.Conflict, "session.choose", "A computer is connected already.", "")
		}
		return d.choose(l, i, false)
	})
}

func (d *Desk) choose(l *live, i rendezvous.Instance, automatic bool) error {
	w := l.hosts[i]
	out, err := w.act.Choose()
	if err != nil {
		return fault.Wrap(err, fault.Conflict, "session.choose", "That computer cannot be chosen.", "Ask the customer to start the program again.")
	}
	if err := d.apply(l, session.Choose{Host: hostOf(w.report), Automatic: automatic}); err != nil {
		return err
	}
	again := l.chosen == i
	l.chosen, l.byHand = i, !automatic
	if !automatic {
		for j, o := range l.hosts {
			if j != i {
				d.sendAll(l, j, o.act.Reject())
			}
		}
	}
	w.sent = time.Now()
	d.sendAll(l, i, out)
	if from := rendezvous.Answered; l.srv != nil && !l.row.Session.Again && l.srv.State != rendezvous.Pairing {
		d.serverState(l, from, rendezvous.Pairing)
	}
	if again && l.code != nil && l.code.state == "shown" {
		return nil
	}
	return d.newCode(l)
}

// NewCode makes a fresh code after one expired or its tries were used up.
func (d *Desk) NewCode(id string) error {
	return d.do(func() error {
		l, err := d.get(id)
		if err != nil {
			return err
		}
		return d.newCode(l)
	})
}

func (d *Desk) newCode(l *live) error {
	w := l.hosts[l.chosen]
	if w == nil || l.pin != nil || l.row.Session.State != session.Pairing {
		return fault.New(fault.Conflict, "session.code", "There is no computer to show a code for.", "Wait until the customer has started the program.")
	}
	c := pairing.NewCode()
	deadline := time.Now().Add(pairing.CodeLife)
	out, err := w.act.SetCode(c, deadline)
	if err != nil {
		if errors.Is(err, pairing.ErrLocked) {
			return fault.Wrap(err, fault.Limit, "session.code", "Too many wrong codes were typed for this session.", "Start a new session.")
		}
		return fault.Wrap(err, fault.Conflict, "session.code", "A code cannot be shown now.", "Wait until the customer has started the program.")
	}
	if err := d.keepLink(l); err != nil {
		return err
	}
	d.hideCode(l)
	l.code = &code{code: c, expires: deadline, state: "shown"}
	d.sendAll(l, l.chosen, out)
	return d.apply(l, session.CodeShown{})
}

// confirmed: the code was right. The pin is kept before the server hears of it.
func (d *Desk) confirmed(l *live, i rendezvous.Instance, w *waiting, ev pairing.Event) {
	pin, transcript, err := w.act.Result()
	if err != nil {
		d.log.Error("no result after a confirmation", "error", err)
		return
	}
	if x := l.row.Session; x.Again && pin.Expires.After(x.Invite) {
		pin.Expires = x.Invite // nobody can extend
	}
	raw, err := pin.MarshalBinary()
	if err != nil {
		d.log.Error("pin", "error", err)
		return
	}
	act, err := grant.Sign(d.dev.Ed, grant.ContextActivated, grant.Activated{
		Session: l.id(), TechnicianKey: grant.KeyOf(d.dev.Ed), HostKey: pin.PeerEd, Transcript: transcript[:],
	})
	if err != nil {
		d.log.Error("sign activated", "error", err)
		return
	}
	faultpoint.Hit("console/activated signed", "")
	l.pin = &pinned{Pin: raw, Instance: i, Report: ev.Report, Activated: act, parsed: pin}
	l.row.HostKey = pin.PeerEd
	if err := d.keepPin(l); err != nil {
		// Works for this run; the notice says that a restart would lose it.
		d.notice("vault", "error", err)
	}
	faultpoint.Hit("console/pin stored", "")
	d.hideCode(l)
	for j, o := range l.hosts {
		if j != i {
			d.sendAll(l, j, o.act.Reject())
		}
	}
	d.activate(l)
}

// activate brings our signature to the server until both sides' are there.
func (d *Desk) activate(l *live) {
	sig := d.sig
	if l.pin == nil || l.activating == l.pin || sig == nil || !l.row.Session.State.Open() {
		return
	}
	if l.stopAct != nil {
		l.stopAct() // an earlier pairing, which failed
	}
	id, act, pin := l.id(), l.pin.Activated, l.pin
	l.activating = pin
	mine, stop := context.WithCancel(d.ctx)
	l.stopAct = stop
	d.async(func(context.Context) {
		defer stop()
		ctx, cancel := context.WithTimeout(mine, 5*time.Minute)
		defer cancel()
		signed, err := rendezvous.RetryActivate(ctx, func(ctx context.Context) (grant.Signed, error) {
			c, cancel := context.WithTimeout(ctx, serverTimeout)
			defer cancel()
			return sig.Activate(c, id, act)
		})
		faultpoint.Hit("console/grant heard", "")
		d.post(func() {
			if l.activating == pin {
				l.activating = nil
			}
			if l.pin != pin {
				return // given up; another one may be on its way
			}
			if err != nil {
				if d.ctx.Err() == nil {
					d.log.Warn("not activated", "session", id, "error", err)
					l.fault = FaultOf(err)
				}
				return
			}
			d.activated(l, signed)
		})
	})
}

func (d *Desk) activated(l *live, signed grant.Signed) {
	var g grant.Grant
	pin := l.pin.parsed
	err := grant.Open(pin.ServerKey, grant.ContextGrant, signed, &g)
	if err == nil && (g.Session != l.id() || g.HostKey != pin.PeerEd || g.TechnicianKey != grant.KeyOf(d.dev.Ed)) {
		err = errors.New("desk: the grant is for others")
	}
	if err != nil {
		l.fault = FaultOf(fault.Wrap(err, fault.Hostile, "session.grant", "The server's confirmation of this session is not valid.", "End the session and start a new one."))
		return
	}
	l.fault = nil
	d.must(l, session.Activate{Host: hostOf(l.pin.Report), Rights: pin.Rights & g.Rights, Since: g.Issued, Expires: g.Expires})
	faultpoint.Hit("console/grant stored", "")
	d.refreshSoon()
}

// sendAll sends messages to one host in order. What cannot be sent now is sent
// again by tick (pairing's Pending).
func (d *Desk) sendAll(l *live, i rendezvous.Instance, msgs [][]byte) {
	if len(msgs) == 0 || d.mailbox == nil {
		return
	}
	box, id := d.mailbox, l.id()
	prev := l.tail
	done := make(chan struct{})
	l.tail = done
	d.async(func(ctx context.Context) {
		defer close(done)
		if prev != nil {
			<-prev // one after the other
		}
		for _, m := range msgs {
			c, cancel := context.WithTimeout(ctx, 5*time.Second)
			faultpoint.Message("console/sends", m)
			err := box.Send(c, rendezvous.Envelope{Session: id, Instance: i, Body: m})
			cancel()
			if err != nil {
				d.log.Debug("not sent", "session", id, "error", err)
				return
			}
			faultpoint.Message("console/sent", m)
		}
	})
}

// serverState tells the server how far the invitation is; it only informs the
// customer's page and leads, so that failing is no harm.
func (d *Desk) serverState(l *live, from, to string) {
	sig, id := d.sig, l.id()
	if sig == nil {
		return
	}
	d.async(func(ctx context.Context) {
		c, cancel := context.WithTimeout(ctx, serverTimeout)
		defer cancel()
		if err := sig.SetState(c, id, from, to); err != nil && fault.KindOf(err) != fault.Conflict {
			d.log.Debug("state not set", "session", id, "to", to, "error", err)
		}
	})
}
