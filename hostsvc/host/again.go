package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
)

// againFor is how long a claim is answered that no console takes up.
const againFor = 10 * time.Minute

// helloEvery is how often an activation that the server has not signed says
// hello, so that a console that was started again finds it.
const helloEvery = 6 * time.Second

// renewed is a pairing that replaces the session's once the server agrees.
type renewed struct {
	Pin        []byte       `json:"pin"`
	Transcript []byte       `json:"transcript"`
	Company    string       `json:"company"`
	Technician string       `json:"technician"`
	Allowed    grant.Rights `json:"allowed"`
}

// again is a re-activation under a session that goes on: the technician's
// console was set up anew or is another one. Nothing of the session changes
// before the customer typed the fresh code and the server signed.
type again struct {
	offer  grant.Offer // of the claim; then the one that the console showed
	act    *pairing.HostActivation
	asking bool // the customer sees it
	since  time.Time
	hello  time.Time // when ours was sent last
}

// claimed begins a re-activation. The customer is not bothered before a console
// has proved that it holds the invitation's link.
func (s *session) claimed(signed grant.Signed) {
	var offer grant.Offer
	err := grant.Open(s.st.pin.ServerKey, grant.ContextOffer, signed, &offer)
	if err != nil || offer.Session != s.st.Session || offer.TechnicianKey.IsZero() {
		s.log.Warn("a claim that the server did not sign")
		return
	}
	now := time.Now()
	if t, ok := s.box.ServerTime(); ok {
		now = t
	}
	if s.st.Secret == "" || s.ended != nil || !now.Before(offer.Expires) || s.claim != nil && bytes.Equal(s.claim.Body, signed.Body) {
		return // nothing to answer with, too late, or answered already
	}
	secret, err := pairing.ParseSecret(s.st.Secret)
	if err != nil {
		s.log.Error("the link's password cannot be read", "cause", err)
		return
	}
	act, err := pairing.NewHostActivation(s.st.dev, secret, s.st.Session, s.cfg.System.Report(), time.Now)
	secret.Wipe()
	if err != nil {
		s.log.Error("re-activation cannot begin", "cause", err)
		return
	}
	s.dropAgain()
	act.PinServer(s.st.pin.ServerKey)
	act.Spent(s.st.Tries)
	s.claim, s.again = &signed, &again{offer: offer, act: act, since: time.Now()}
	s.log.Info("another console asks to go on with the session")
	if s.againTick == nil {
		s.againTick = time.NewTicker(resendEvery)
	}
	s.resendAgain()
}

// againC ticks while there is a re-activation.
func (s *session) againC() <-chan time.Time {
	if s.againTick == nil {
		return nil
	}
	return s.againTick.C
}

// resendAgain sends again what may have been lost. The hello goes on until the
// server signed: a console that was started again knows us by nothing else.
func (s *session) resendAgain() {
	a := s.again
	switch {
	case a == nil:
		return
	case !a.asking && s.st.Next == nil && time.Since(a.since) > againFor:
		s.dropAgain()
		return
	}
	out := a.act.Pending()
	if time.Since(a.hello) >= helloEvery {
		a.hello = time.Now()
		out = append(out, a.act.Hello())
	}
	s.mailOut(out)
}

// mailOut sends messages of an activation, in order, beside the loop.
func (s *session) mailOut(out [][]byte) {
	if len(out) == 0 {
		return
	}
	s.beside(func() {
		for _, m := range out {
			c, stop := context.WithTimeout(s.ctx, 5*time.Second)
			err := s.box.Send(c, m)
			stop()
			if err != nil {
				s.log.Debug("activation message not sent", "cause", err)
			}
		}
	})
}

// mailAgain takes a message of the activation, and reports whether it was one of
// the re-activation.
func (s *session) mailAgain(b []byte) bool {
	a := s.again
	if a == nil {
		return false
	}
	out, ev, err := a.act.Handle(b)
	if err != nil {
		s.log.Debug("re-activation message", "cause", err)
		if len(out) == 0 && ev.Kind == pairing.None {
			return false
		}
	}
	if !s.countAgain(a) {
		return true
	}
	switch ev.Kind {
	case pairing.Invited:
		s.forgetNext()
		a.offer, a.asking, a.since = ev.Offer, false, time.Now()
	case pairing.NeedCode:
		s.askAgain(consent.CodeAsk, 0)
	case pairing.WrongCode:
		s.askAgain(consent.CodeWrong, ev.Left)
	case pairing.NewCodeNeeded:
		s.askAgain(consent.CodeNew, 0)
	case pairing.Locked, pairing.OtherChosen:
		s.mailOut(out)
		s.line(consent.Line{Kind: consent.LineAgainNot})
		s.dropAgain()
		return true
	case pairing.Confirmed:
		if err := s.confirmedAgain(a); err != nil {
			s.log.Error("re-activation could not be stored", "cause", err)
			s.dropAgain()
			return true
		}
	}
	s.mailOut(out)
	return true
}

// countAgain stores how many wrong codes were tried before anything that one
// more could be checked against leaves. They count over the whole session.
func (s *session) countAgain(a *again) bool {
	n := a.act.Tried()
	if n == s.st.Tries {
		return true
	}
	old := s.st.Tries
	s.st.Tries = n
	if err := s.st.save(); err != nil {
		s.log.Error("a try could not be stored", "cause", err)
		s.st.Tries = old
		return n < old // a try given back may be lost
	}
	return true
}

// askAgain shows the customer who asks, and the code's fields.
func (s *session) askAgain(c consent.CodeState, left int) {
	a := s.again
	a.asking = true
	s.show(func(m *consent.Model) {
		m.Screen, m.Again, m.Code, m.CodeLeft = consent.EnterCode, true, c, left
		m.Company, m.Technician = a.offer.Company, a.offer.Technician
		m.Rights, m.Allowed = a.offer.Rights&Offered, s.st.Allowed
	})
}

// typedAgain takes the code that the customer typed.
func (s *session) typedAgain(text string, allowed grant.Rights) {
	a := s.again
	if a == nil || !a.asking {
		return
	}
	code, err := pairing.ParseCode(text)
	if err != nil {
		s.askAgain(consent.CodeSlip, s.model.CodeLeft)
		return
	}
	out, err := a.act.Enter(code, allowed&Offered)
	code.Wipe()
	switch {
	case errors.Is(err, pairing.ErrLocked):
		s.line(consent.Line{Kind: consent.LineAgainNot})
		s.dropAgain()
	case err != nil:
		s.log.Debug("code not taken", "cause", err)
	default:
		s.mailOut(out)
		s.show(func(m *consent.Model) { m.Screen, m.Progress = consent.Connecting, consent.CheckingCode })
	}
}

// declinedAgain: the customer does not want it.
func (s *session) declinedAgain() {
	s.line(consent.Line{Kind: consent.LineAgainNot})
	s.dropAgain()
}

// asked reports whether the window is about a re-activation.
func (s *session) askedAgain() bool { return s.again != nil && s.again.asking }

// dropAgain leaves the session as it is.
func (s *session) dropAgain() {
	a := s.again
	if a == nil {
		return
	}
	s.again = nil
	if s.againTick != nil {
		s.againTick.Stop()
		s.againTick = nil
	}
	s.forgetNext()
	a.act.Wipe()
	s.showSession()
}

// showSession shows the session's own page.
func (s *session) showSession() {
	if s.ended != nil || !s.model.Again {
		return
	}
	s.show(func(m *consent.Model) {
		m.Screen, m.Again, m.Company, m.Technician = consent.Connected, false, s.st.Company, s.st.Technician
		m.Rights, m.Allowed = s.st.Rights, s.st.Allowed
	})
}

func (s *session) forgetNext() {
	s.stopNext()
	s.stopNext = func() {}
	if s.st.Next == nil {
		return
	}
	s.st.Next = nil
	if err := s.st.save(); err != nil {
		s.log.Error("a re-activation that was dropped could not be forgotten", "cause", err)
	}
}

// confirmedAgain stores the new pairing beside the old, before the console can
// hear of it, and tells the server.
func (s *session) confirmedAgain(a *again) error {
	pin, transcript, err := a.act.Result()
	if err != nil {
		return err
	}
	pin.Rights &= Offered
	pin.Expires = s.st.pin.Expires // nobody can extend
	pin.Epoch = s.epochs.now()
	raw, err := pin.MarshalBinary()
	if err != nil {
		return err
	}
	s.st.Next = &renewed{Pin: raw, Transcript: transcript[:], Company: a.offer.Company, Technician: a.offer.Technician, Allowed: pin.Rights}
	if err := s.st.save(); err != nil {
		s.st.Next = nil
		return err
	}
	s.tellNext()
	return nil
}

// tellNext brings our word about the new pairing to the server until it has the
// console's too.
func (s *session) tellNext() {
	n := s.st.Next
	if n == nil {
		return
	}
	pin, err := pairing.ParsePin(n.Pin)
	var word grant.Signed
	if err == nil {
		word, err = grant.Sign(s.st.dev.Ed, grant.ContextActivated, grant.Activated{
			Session: s.st.Session, TechnicianKey: pin.PeerEd, HostKey: grant.KeyOf(s.st.dev.Ed), Transcript: n.Transcript,
		})
	}
	if err != nil {
		s.log.Error("re-activation", "cause", err)
		s.forgetNext()
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.stopNext = cancel
	s.beside(func() {
		defer cancel()
		g, err := rendezvous.RetryActivate(ctx, func(c context.Context) (grant.Signed, error) { return s.box.Activate(c, word) })
		s.post(func() {
			if s.st.Next != n || s.ended != nil {
				return
			}
			if err == nil {
				err = s.renew(pin, n, g)
			}
			if err != nil && ctx.Err() == nil {
				s.log.Warn("the session was not activated anew", "cause", err)
				s.forgetNext()
				s.dropAgain()
			}
		})
	})
}

// renew puts the new pairing in the place of the old one. The end of the session
// and the count of connections stay.
func (s *session) renew(pin *pairing.Pin, n *renewed, signed grant.Signed) error {
	g, err := openGrant(signed, pin, s.st.dev)
	if err == nil && g.Expires.After(s.st.grant.Expires) {
		err = errors.New("host: the grant extends the session")
	}
	if err != nil {
		return fault.Wrap(err, fault.Hostile, "host.grant", "The server's answer does not belong to this session.", "")
	}
	next := s.st.stored
	pin.Rights &= g.Rights
	next.Pin, next.Transcript, next.Grant, next.Next = n.Pin, n.Transcript, &signed, nil
	next.Company, next.Technician, next.Rights, next.Allowed, next.Leases = g.Company, g.Technician, pin.Rights, n.Allowed&pin.Rights, nil
	old := s.st.stored
	s.st.stored = next
	if err := s.st.save(); err != nil {
		s.st.stored = old
		return err
	}
	s.closeRemote("")
	was, wasPin := s.link, s.st.pin
	pin.Epoch = max(pin.Epoch, s.epochs.now())
	s.st.pin, s.st.grant = pin, g
	s.wanted, s.online = nil, false
	if a := s.again; a != nil {
		a.act.Commit()
		if s.act != nil {
			s.act.Wipe()
		}
		s.act, s.again = a.act, nil
	}
	if s.againTick != nil {
		s.againTick.Stop()
		s.againTick = nil
	}
	s.claim = nil
	s.beside(func() { // the old console's link ends; its keys open nothing any more
		bye, stop := context.WithTimeout(s.ctx, goodbyeTimeout)
		defer stop()
		if err := was.Close(bye, "another console goes on"); err != nil {
			s.log.Debug("old link not closed", "cause", err)
		}
		wasPin.Wipe()
	})
	s.recordMoved()
	if err := s.connect(); err != nil {
		return err
	}
	if err := s.lock.Name(who(s.st.Technician, s.st.Company)); err != nil {
		s.log.Warn("lock not named", "cause", err)
	}
	s.log.Info("session activated anew by another console")
	s.done()
	s.show(func(m *consent.Model) { m.Again = true })
	s.showSession()
	s.openGate()
	return nil
}

// connect listens for the console of the present pin.
func (s *session) connect() error {
	hello, err := wire.AppendControl(nil, s.hello())
	if err != nil {
		return err
	}
	box := s.box
	s.cbox = &connectBox{box: box, in: make(chan []byte, 64)}
	link := s.cfg.System.Listen(s.ctx, peer.Config{
		Device: s.st.dev, Pin: s.st.pin, Epochs: s.epochs, Mailbox: s.cbox, ICE: func(c context.Context) ([]rendezvous.ICEServer, error) { return box.ICE(c) },
		LAN: s.st.LAN, Hello: hello, Log: s.log,
	})
	s.link, s.relinked = link, true
	s.beside(func() { s.feed.run(link.Picture().Receive()) })
	s.beside(func() { s.takeInput(link.Input().Receive()) })
	return nil
}

// checkNext reads what a state file says of an unfinished re-activation.
func (n *renewed) check(session grant.ID) error {
	pin, err := pairing.ParsePin(n.Pin)
	if err != nil {
		return err
	}
	defer pin.Wipe()
	if pin.Session != session || pin.Role != pairing.RoleHost || len(n.Transcript) != 32 || n.Allowed&^grant.All != 0 {
		return fmt.Errorf("host: a re-activation that does not fit")
	}
	return nil
}
