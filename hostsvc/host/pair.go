package host

import (
	"context"
	"errors"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/faultpoint"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/lease"
)

// linkState says in which way a text is not a link.
func linkState(text string) consent.LinkState {
	if strings.Contains(text, "/s/") {
		return consent.LinkCut
	}
	return consent.LinkUnknown
}

// pair is the way from an invitation to an activated session.
type pair struct {
	run        *run
	link       pairing.Link
	dev        *pairing.Device
	instance   rendezvous.Instance
	box        Mailbox
	told       rendezvous.HostInfo // by the server, not vouched for by the console
	serverName string
	act        *pairing.HostActivation
	offer      grant.Offer
}

// info asks the server about the invitation while the customer may leave.
func (p *pair) info(ctx context.Context) (rendezvous.HostInfo, error) {
	r := p.run
	r.show(func(m *consent.Model) {
		m.Screen, m.Progress, m.Server = consent.Connecting, consent.ReachingServer, p.serverName
	})
	ctx, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	type answer struct {
		info rendezvous.HostInfo
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		info, err := p.box.Info(ctx)
		got <- answer{info, err}
	}()
	for {
		select {
		case a := <-got:
			if a.err == nil {
				switch a.info.State {
				case rendezvous.Active, rendezvous.Ending:
					a.err = fault.New(fault.Conflict, "host.info", "This invitation was used on another computer.", "Ask for a new invitation.")
				case rendezvous.Ended, rendezvous.Removed, rendezvous.Unconfirmed:
					a.err = fault.New(fault.Expired, "host.info", "This invitation is over.", "Ask for a new invitation.")
				}
			}
			return a.info, a.err
		case a, ok := <-r.actions:
			if !ok {
				cancel()
				<-got
				return rendezvous.HostInfo{}, errLeave
			}
			switch a.Kind {
			case consent.Cancel, consent.EndAndRemove:
				r.bin = true
				fallthrough
			case consent.Leave:
				cancel()
				<-got
				return rendezvous.HostInfo{}, errLeave
			}
		}
	}
}

// granted is the outcome of telling the server.
type granted struct {
	signed grant.Signed
	err    error
}

// pair runs the activation: until the customer typed the right code, the
// server granted the session, and everything is stored.
func (p *pair) pair(ctx context.Context) (*state, next, error) {
	r := p.run
	var err error
	p.act, err = pairing.NewHostActivation(p.dev, p.link.Secret, p.link.Session, r.cfg.System.Report(), time.Now)
	if err != nil {
		return nil, done, r.refuse(ctx, consent.RefusedFault, err)
	}
	r.show(func(m *consent.Model) {
		m.Screen, m.Progress = consent.Connecting, consent.WaitingForTechnician
		m.Company, m.Technician = p.told.Company, p.told.Technician
	})
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan []byte, 64)
	sent := make(chan struct{})
	go func() { // one sender, so that order is kept and the loop never waits for the network
		defer close(sent)
		for b := range out {
			c, stop := context.WithTimeout(ctx, 5*time.Second)
			faultpoint.Message("host/sends", b)
			if err := p.box.Send(c, b); err != nil {
				r.log.Debug("activation message not sent", "cause", err)
			}
			faultpoint.Message("host/sent", b)
			stop()
		}
	}()
	defer func() { cancel(); close(out); <-sent }()
	send := func(ms [][]byte) {
		for _, b := range ms {
			select {
			case out <- b:
			default: // the network is slow; Pending comes again
			}
		}
	}
	send([][]byte{p.act.Hello()})
	again := time.NewTicker(resendEvery)
	defer again.Stop()
	var (
		wrongAt  time.Time // a console is there and does not know our link: then it is the wrong one
		hello    = time.Now()
		present  bool
		known    bool
		st       *state
		outcome  = make(chan granted, 1)
		stopTell = func() {}
	)
	defer func() { stopTell() }()
	forget := func() { // a pairing that was not granted
		stopTell()
		if st != nil {
			if err := st.journal.Discard(); err != nil {
				r.log.Warn("a pairing that was not granted could not be removed", "cause", err)
			}
			st = nil
		}
	}
	refuse := func(why consent.Refusal, err error) (*state, next, error) {
		forget()
		return nil, done, r.refuse(ctx, why, err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil, done, ctx.Err() // what is stored stays, and is taken up by the next run
		case <-again.C:
			send(p.act.Pending())
			if known && time.Since(hello) >= helloEvery { // a console that was started again knows us by nothing else
				hello = time.Now()
				send([][]byte{p.act.Hello()})
			}
			if present && !known && !wrongAt.IsZero() && time.Since(wrongAt) >= wrongFile {
				return nil, askAgain, nil
			}
		case e, ok := <-p.box.Events():
			if !ok {
				return nil, done, errLeave
			}
			if e.ConsolePresent != present {
				present = e.ConsolePresent
				if wrongAt = (time.Time{}); present {
					wrongAt = time.Now()
					if known { // it may be one that was started again, which knows us by nothing else
						hello = time.Now()
						send([][]byte{p.act.Hello()})
					}
					send(p.act.Pending())
				}
			}
			if e.Rejected != nil && fault.KindOf(e.Rejected) != fault.Offline && st == nil {
				return refuse(refusalOf(e.Rejected), e.Rejected)
			}
			if e.Ended != nil {
				if end, ok := p.over(*e.Ended); ok {
					why := consent.TechnicianCancelled
					switch end.By {
					case grant.ByExpiry, grant.ByLapse:
						why = consent.LinkExpired
					case grant.ByLock:
						why = consent.Locked
					}
					return refuse(why, fault.New(fault.Expired, "host.pair", "The technician took this invitation back.", "Ask for a new invitation."))
				}
			}
		case b, ok := <-p.box.Receive():
			if !ok {
				return nil, done, errLeave
			}
			if len(b) == 0 || b[0] != pairing.ClassActivation {
				continue
			}
			faultpoint.Message("host/hears", b)
			msgs, ev, err := p.act.Handle(b)
			if err != nil {
				r.log.Debug("activation message", "cause", err)
				if errors.Is(err, pairing.ErrVersion) && !known {
					return refuse(consent.RefusedFault, fault.Wrap(err, fault.Unsupported, "host.pair", "This program and the technician's are of different versions.", "Ask for a new invitation; its program fits."))
				}
			}
			switch ev.Kind {
			case pairing.Waiting:
				known = true
			case pairing.Invited:
				known = true
				forget()
				p.offer = ev.Offer
				r.show(func(m *consent.Model) {
					m.Screen, m.Progress = consent.Connecting, consent.WaitingForTechnician
					m.Company, m.Technician = ev.Offer.Company, ev.Offer.Technician
					m.Rights = ev.Offer.Rights & Offered
					m.Allowed = m.Rights
				})
				if err := r.lock.Name(who(ev.Offer.Technician, ev.Offer.Company)); err != nil {
					return refuse(consent.RefusedFault, err)
				}
			case pairing.NeedCode:
				r.ask(consent.CodeAsk, 0)
			case pairing.WrongCode:
				r.ask(consent.CodeWrong, ev.Left)
			case pairing.NewCodeNeeded:
				r.ask(consent.CodeNew, 0)
			case pairing.Locked:
				r.bin = true
				send(msgs)
				return refuse(consent.Locked, fault.New(fault.Limit, "host.pair", "Too many wrong codes were typed.", "Ask for a new invitation."))
			case pairing.OtherChosen:
				return refuse(consent.OtherChosen, fault.New(fault.Conflict, "host.pair", "The technician chose another computer.", ""))
			case pairing.Confirmed:
				if st, err = p.confirmed(); err != nil {
					return refuse(consent.RefusedFault, err)
				}
				tell, stop := context.WithCancel(ctx)
				stopTell = stop
				outcome = p.tell(tell, st) // before the console hears of it, everything is stored
				r.show(func(m *consent.Model) {
					m.Screen, m.Progress, m.Allowed = consent.Connecting, consent.Securing, ev.Rights
				})
			}
			send(msgs)
			faultpoint.Message("host/heard", b)
		case g := <-outcome:
			if st == nil || errors.Is(g.err, context.Canceled) {
				continue
			}
			if g.err != nil {
				return refuse(refusalOf(g.err), g.err)
			}
			if err := st.activated(g.signed, r.cfg.System.Clock()); err != nil {
				return refuse(consent.RefusedFault, err)
			}
			p.act.Commit()
			faultpoint.Hit("host/committed", "")
			return st, done, nil
		case a, ok := <-r.actions:
			if !ok {
				return nil, done, errLeave
			}
			switch a.Kind {
			case consent.SubmitCode:
				code, err := pairing.ParseCode(a.Text)
				if err != nil {
					r.ask(consent.CodeSlip, r.model.CodeLeft)
					continue
				}
				msgs, err := p.act.Enter(code, a.Rights&Offered)
				code.Wipe()
				switch {
				case errors.Is(err, pairing.ErrLocked):
					return refuse(consent.Locked, fault.New(fault.Limit, "host.pair", "Too many wrong codes were typed.", "Ask for a new invitation."))
				case err != nil:
					r.log.Debug("code not taken", "cause", err)
					continue
				}
				send(msgs)
				r.show(func(m *consent.Model) {
					m.Screen, m.Progress, m.Allowed = consent.Connecting, consent.CheckingCode, a.Rights&m.Rights
				})
			case consent.Cancel, consent.EndAndRemove:
				r.bin = true
				forget()
				r.tellWhy(ctx, pairing.WhyDeclined)()
				return nil, done, errLeave
			case consent.Leave:
				forget()
				r.tellWhy(ctx, pairing.WhyDeclined)()
				return nil, done, errLeave
			}
		}
	}
}

func (r *run) ask(c consent.CodeState, left int) {
	r.show(func(m *consent.Model) { m.Screen, m.Code, m.CodeLeft = consent.EnterCode, c, left })
}

// lockAgain takes the lock back after a removal of its file.
func (r *run) lockAgain() {
	r.lock.Release()
	if l, err := Acquire(r.cfg.Base, r.cfg.Display); err == nil {
		r.lock = l
	} else {
		r.log.Warn("lock not taken again", "cause", err)
	}
}

// over checks a signed end that came before activation.
func (p *pair) over(s grant.Signed) (grant.Ended, bool) {
	keys := []grant.Key{p.told.ServerKey}
	if p.offer.Session == p.link.Session {
		keys = append(keys, p.offer.TechnicianKey)
	}
	return openEnded(s, p.link.Session, keys...)
}

func openEnded(s grant.Signed, session grant.ID, keys ...grant.Key) (grant.Ended, bool) {
	for _, k := range keys {
		var e grant.Ended
		if !k.IsZero() && grant.Open(k, grant.ContextEnded, s, &e) == nil && e.Session == session {
			return e, true
		}
	}
	return grant.Ended{}, false
}

// confirmed stores the pairing.
func (p *pair) confirmed() (*state, error) {
	pin, transcript, err := p.act.Result()
	if err != nil {
		return nil, err
	}
	pin.Rights &= Offered
	return newState(p.run.cfg.Base, p, pin, transcript, p.run.cfg.Program, p.run.lock.Path())
}

// tell brings our signed activation to the server until it has both sides'.
func (p *pair) tell(ctx context.Context, st *state) chan granted {
	c := make(chan granted, 1)
	act, err := st.signActivated()
	if err != nil {
		c <- granted{err: err}
		return c
	}
	faultpoint.Hit("host/activated signed", "")
	go func() {
		g, err := rendezvous.RetryActivate(ctx, func(ctx context.Context) (grant.Signed, error) { return p.box.Activate(ctx, act) })
		faultpoint.Hit("host/grant heard", "")
		c <- granted{g, err}
	}()
	return c
}

func (s *state) signActivated() (grant.Signed, error) {
	return grant.Sign(s.dev.Ed, grant.ContextActivated, grant.Activated{
		Session: s.Session, TechnicianKey: s.pin.PeerEd, HostKey: grant.KeyOf(s.dev.Ed), Transcript: s.Transcript,
	})
}

// activated stores the server's grant and begins the lease.
func (s *state) activated(signed grant.Signed, now lease.Reading) error {
	g, err := openGrant(signed, s.pin, s.dev)
	if err != nil {
		return fault.Wrap(err, fault.Hostile, "host.grant", "The server's answer does not belong to this session.", "Ask for a new invitation.")
	}
	s.grant, s.Grant = g, &signed
	s.Rights &= g.Rights
	s.Allowed &= g.Rights
	s.rec = lease.Begin(g.Expires, g.Issued, now)
	if err := s.rec.Save(s.path(leaseName)); err != nil {
		return fault.Wrap(err, fault.Full, "host.store", "The program cannot store what it needs.", "Make some room on the disk, then try again.")
	}
	faultpoint.Hit("host/lease begun", "")
	return s.save()
}

// who names a technician in a phrase.
func who(technician, company string) string {
	if company == "" {
		return technician
	}
	return technician + ", " + company
}
