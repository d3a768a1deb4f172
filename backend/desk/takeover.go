package desk

import (
	"context"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
	"daypass/backend/store"
)

// claimEvery is how often the server is asked again to let us go on.
const claimEvery = time.Minute

// pinPatience is how long a restarted console gives its own and the host's word
// to meet at the server before it pairs anew.
const pinPatience = 5 * time.Second

// donePatience is how long a host that kept its pin may be away, with another
// program of the same link waiting, before that one is answered.
const donePatience = 30 * time.Second

// TakeOver goes on with a session by the link of its invitation: because this
// console lost its keys, or because it is another one of the same person. An
// active session is this console's when its customer has confirmed a fresh
// code; its end stays.
func (d *Desk) TakeOver(ctx context.Context, text string) (Session, error) {
	const op = "session.take_over"
	link, err := pairing.ParseLink(strings.TrimSpace(text))
	if err != nil {
		return Session{}, fault.Wrap(err, fault.Invalid, op, "This is not a whole link from an invitation.", "Copy it from the mail you sent, with everything behind the # sign.")
	}
	defer link.Secret.Wipe()
	var sig Signaling
	var out *Session
	if err := d.look(func() error {
		switch {
		case d.phase != PhaseReady || d.sig == nil:
			return notReady()
		case !d.server.Online:
			return fault.New(fault.Offline, op, "The server is out of reach.", "Check your connection; Daypass keeps trying.")
		}
		if l := d.live[link.Session]; l != nil && (l.secret != nil && l.row.Session.State.Open() || l.pin != nil) {
			s := d.show(l)
			out = &s
		}
		sig = d.sig
		return nil
	}); err != nil {
		return Session{}, err
	}
	if out != nil {
		return *out, nil // it is here already
	}
	c, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	s, err := sig.Claim(c, link.Session)
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return Session{}, fault.Wrap(err, fault.NotFound, op, "No session of yours at this server belongs to this link.", "Only who sent an invitation can go on with it, signed in to the same server.")
		}
		return Session{}, err
	}
	err = d.do(func() error {
		if d.profile == nil {
			return notReady()
		}
		l, err := d.takeOver(link, s)
		if err != nil {
			return err
		}
		shown := d.show(l)
		out = &shown
		return nil
	})
	if err != nil {
		return Session{}, err
	}
	return *out, nil
}

func (d *Desk) takeOver(link pairing.Link, s rendezvous.Session) (*live, error) {
	l := d.live[s.ID]
	if l == nil {
		row, err := d.store.Get(d.ctx, s.ID)
		if err != nil { // it was never here
			c := session.Customer{Name: s.Label, Language: s.Language}
			row = store.Row{Session: session.Resume(s.ID, d.profile.Name, c, s.Created)}
		}
		l = &live{row: row, head: row.Head}
	}
	l.hosts, l.pin, l.before, l.fault = map[rendezvous.Instance]*waiting{}, nil, false, nil
	if l.head.Seq == 0 { // else it says who began the record; we go on with it by the host's word
		l.row.ConsoleKey = grant.KeyOf(d.dev.Ed)
	}
	secret := link.Secret
	l.secret, l.budget, l.link, l.srv = &secret, pairing.NewBudget(), link.String(), &s
	l.claimedAt, l.chosen, l.byHand = time.Now(), rendezvous.Instance{}, false
	if err := d.keepLink(l); err != nil {
		l.wipe()
		return nil, err
	}
	if err := d.applyStored(l, session.TakeOver{Technician: d.profile.Name, Expires: s.Expires}); err != nil {
		d.forget(linkName(s.ID))
		l.wipe()
		return nil, err
	}
	if s.State != rendezvous.Active { // an invitation that nobody answered: nothing to confirm, it is ours
		l.row.Session.Again = false
		d.save(l)
	}
	delete(d.foreign, s.ID)
	d.live[s.ID] = l
	d.refreshSoon()
	return l, nil
}

// offer is what the server lets us ask the customer under.
func (l *live) offer() grant.Signed {
	if l.row.Session.Again && l.srv.Claim != nil {
		return *l.srv.Claim
	}
	return l.srv.Offer
}

// claimSoon asks the server again where its word is missing: it was over, or an
// activation reached the host only and its keys did not survive here.
func (d *Desk) claimSoon(l *live) {
	x, s, sig := &l.row.Session, l.srv, d.sig
	if l.pin != nil || l.secret == nil || s == nil || sig == nil || s.State != rendezvous.Active || time.Since(l.claimedAt) < claimEvery {
		return
	}
	if s.Claim != nil {
		var o grant.Offer
		if grant.Open(s.ServerKey, grant.ContextOffer, *s.Claim, &o) != nil || x.Again && o.TechnicianKey == grant.KeyOf(d.dev.Ed) {
			return
		}
		l.fault = FaultOf(fault.New(fault.Conflict, "session.take_over", "Another console of yours asks to go on with this session, too.", "Go on there, or give up there first."))
		return
	}
	l.claimedAt = time.Now()
	id := l.id()
	d.async(func(ctx context.Context) {
		c, cancel := context.WithTimeout(ctx, serverTimeout)
		defer cancel()
		s, err := sig.Claim(c, id)
		d.post(func() {
			if err != nil {
				d.log.Warn("not claimed", "session", id, "error", err)
				return
			}
			if l.row.Session.State.Open() && !l.row.Session.Again {
				for _, w := range l.hosts {
					w.act.Wipe()
				}
				l.hosts, l.chosen, l.byHand = map[rendezvous.Instance]*waiting{}, rendezvous.Instance{}, false
				d.hideCode(l)
				d.must(l, session.TakeOver{Technician: l.row.Session.Technician, Expires: s.Expires})
			}
			d.heard(s)
		})
	})
}

// elsewhere notices that the session is another console's now.
func (d *Desk) elsewhere(l *live, s rendezvous.Session) bool {
	x := &l.row.Session
	if x.Again || !x.State.Live() {
		return false
	}
	ours := grant.KeyOf(d.dev.Ed)
	switch {
	case x.State == session.Active && l.pin != nil && s.Grant != nil:
		var g grant.Grant
		if grant.Open(l.pin.parsed.ServerKey, grant.ContextGrant, *s.Grant, &g) != nil || g.Session != l.id() || g.TechnicianKey == ours {
			return false
		}
	case x.State.Open():
		var o grant.Offer
		if grant.Open(s.ServerKey, grant.ContextOffer, s.Offer, &o) != nil || o.Session != l.id() || o.TechnicianKey == ours {
			return false
		}
	default:
		return false
	}
	d.log.Info("another console goes on with the session", "session", l.id())
	d.must(l, session.Moved{})
	delete(d.live, s.ID)
	d.foreign[s.ID] = s
	d.notice("moved-"+l.id().String(), "info", fault.New(fault.Cancelled, "session.moved", "Another console of yours goes on with the session of "+x.Customer.Label()+".", ""))
	return true
}

// giveUp leaves a session that this console asked to go on with as it is.
func (d *Desk) giveUp(l *live) error {
	if err := d.apply(l, session.Cancel{}); err != nil {
		return err
	}
	delete(d.live, l.id())
	d.refreshSoon()
	return nil
}

// stale reports whether the pin is one of a pairing that the host cannot have
// finished: it asks for another one.
func (d *Desk) stale(l *live) bool {
	p := l.pin
	if p == nil || !l.row.Session.State.Open() || !l.row.Session.Again && l.srv != nil && l.srv.State == rendezvous.Active {
		return false
	}
	for i, w := range l.hosts {
		if _, answered := w.act.Host(); !answered {
			continue
		}
		if i == p.Instance {
			if !p.Done && !p.loaded.IsZero() && d.server.Online && time.Since(p.loaded) > pinPatience && time.Since(w.since) > pinPatience/2 {
				return true
			}
			continue
		}
		if o := l.hosts[p.Instance]; o != nil && l.present(p.Instance, o) {
			continue
		}
		if p.Done && time.Since(w.since) < donePatience {
			continue // it kept its pin and may come back with it
		}
		return true // the program was started anew and has forgotten
	}
	return false
}

// startedAnew takes another hello of a computer that is known: under a session
// that goes on its program keeps its instance, and was started again in the
// middle of a re-activation. It reports whether the message is to be read again.
func (d *Desk) startedAnew(l *live, i rendezvous.Instance) bool {
	if !l.row.Session.Again || !l.row.Session.State.Open() {
		return false
	}
	if p := l.pin; p != nil {
		if p.Done && time.Since(p.loaded) < donePatience {
			return false // it kept its pin, and tells the server
		}
		d.dropPin(l)
	}
	if w := l.hosts[i]; w != nil {
		w.act.Wipe()
		delete(l.hosts, i)
	}
	l.chosen, l.byHand = rendezvous.Instance{}, false
	d.hideCode(l)
	return true
}

// dropPin forgets a pairing that the host did not finish.
func (d *Desk) dropPin(l *live) {
	d.note(l, session.ConsoleA, "confirmation_lost", "The computer went away after the code and before the session began.")
	if l.stopAct != nil {
		l.stopAct()
	}
	if w := l.hosts[l.pin.Instance]; w != nil && l.pin.loaded.IsZero() {
		w.act.Wipe()
		delete(l.hosts, l.pin.Instance)
	}
	l.pin.parsed.Wipe()
	clear(l.pin.Pin)
	l.pin, l.activating, l.fault, l.row.HostKey = nil, nil, nil, grant.Key{}
	l.chosen, l.byHand = rendezvous.Instance{}, false
	d.forget(pinName(l.id()))
}
