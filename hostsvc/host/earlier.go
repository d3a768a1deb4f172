package host

import (
	"context"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/lease"
)

// abandoned calls f for each state folder that no running program serves: those
// of our own display, whose lock we hold, and those of displays whose lock is
// free. A program that runs on another display is left alone.
func (r *run) abandoned(f func(dir string, own bool)) {
	for _, dir := range folders(r.cfg.Base) {
		d := displayOf(dir)
		if d == fileName(r.cfg.Display) {
			f(dir, true)
			continue
		}
		l, err := Acquire(r.cfg.Base, d)
		if err != nil {
			continue
		}
		f(dir, false)
		l.Release()
	}
}

// leftover looks for a session that an earlier process began on this display.
// Those that are over are removed, of other displays too; the other is returned.
func (r *run) leftover(ctx context.Context) *state {
	var found *state
	cleaned := false
	r.abandoned(func(dir string, own bool) {
		if n, err := loadNote(dir); err == nil { // over: what is left is to finish and to tell
			r.settle(ctx, n)
			cleaned = cleaned || own
			return
		}
		st, err := loadState(dir)
		if err != nil {
			r.log.Warn("what an earlier start left cannot be read: it is removed", "cause", err)
			r.sweep(ctx, dir)
			cleaned = cleaned || own
			return
		}
		by := st.over(r.cfg.System.Clock())
		if by == "" && own && found != nil {
			by = grant.ByCustomer // there can be but one
		}
		switch {
		case by != "":
			r.finishOld(ctx, st, by)
			cleaned = cleaned || own
		case own:
			found = st
		}
	})
	if cleaned {
		r.lockAgain() // the journal named the lock's file as well
	}
	return found
}

// over says by whom the session is over, as far as this computer knows; "" when
// it is not.
func (s *state) over(now lease.Reading) grant.EndedBy {
	switch {
	case s.EndedBy != "":
		return s.EndedBy
	case s.Grant != nil && s.rec.Tick(now, time.Time{}) == lease.Expired:
		return grant.ByExpiry
	case s.Grant == nil && now.Wall.Sub(s.Since) > lease.Limit:
		return grant.ByLapse
	}
	return ""
}

// earlier decides between the session of an earlier start and the link this
// start is for, which may be nil. It returns the link to go on with, and whether
// the earlier session is to be taken up instead.
func (r *run) earlier(ctx context.Context, st *state, link *pairing.Link) (_ *pairing.Link, resume bool, err error) {
	if link == nil && r.cfg.Typed == nil {
		return nil, true, nil // whoever opens the program again means what is there
	}
	if link != nil && link.Session == st.Session {
		return link, true, nil
	}
	r.show(func(m *consent.Model) {
		m.Screen, m.Progress, m.Server = consent.Connecting, consent.ReachingServer, st.server.Hostname()
	})
	is := r.standing(ctx, st)
	if link == nil && (is != gone || st.Grant == nil) { // what was not granted may still be, when it is this link's
		if link, err = r.typedLink(ctx); err != nil || link == nil || link.Session == st.Session {
			return link, err == nil, err
		}
	}
	if is == gone || (is == unknown && r.cfg.Lab) {
		r.log.Warn("a session of an earlier start is over: it is removed", "session", st.Session, "server", st.server.Host)
		by := grant.ByServer
		if is == unknown {
			by = grant.ByCustomer
		}
		r.finishOld(ctx, st, by)
		r.lockAgain()
		return link, false, nil
	}
	r.invited = link
	other := who(st.Technician, st.Company)
	r.show(func(m *consent.Model) { m.Other = other })
	f := fault.New(fault.Conflict, "host.earlier", "A session was begun on this computer and is not over: "+other+".",
		"To continue it, start the program with that session's link. To end it, run the program with the verb uninstall.")
	switch r.asked(ctx, consent.EarlierSession, f) {
	case consent.Retry:
		return link, true, nil
	case consent.EndAndRemove:
		r.finishOld(ctx, st, grant.ByCustomer)
		r.lockAgain()
		return link, false, nil
	}
	return nil, false, f
}

// standing is what the server says of an earlier session.
type standing int

const (
	unknown standing = iota // it cannot be reached, or says neither
	alive
	gone
)

// standing asks the server about an earlier session.
func (r *run) standing(ctx context.Context, st *state) standing {
	instance, err := st.instance()
	if err != nil {
		return gone
	}
	box := r.connect(pairing.Link{Server: st.server, Session: st.Session}, st.dev.Ed, instance)
	defer r.hangUp(box)
	ctx, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	if st.Grant != nil {
		_, err = box.ICE(ctx)
		return standingOf(err)
	}
	info, err := box.Info(ctx)
	if err == nil && info.State != rendezvous.Active && info.State != rendezvous.Ending {
		return gone // it was never granted
	}
	return standingOf(err)
}

// standingOf reads what the server answers to the host of an active session.
func standingOf(err error) standing {
	if err == nil {
		return alive
	}
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Expired, fault.Conflict:
		return gone
	}
	return unknown
}

// typedLink waits for a link on the input, until the input ends or has been
// silent for a while: then there is none.
func (r *run) typedLink(ctx context.Context) (*pairing.Link, error) {
	r.show(func(m *consent.Model) { m.Screen, m.Link = consent.AskLink, consent.LinkAsk })
	silent := time.NewTimer(typedTimeout)
	defer silent.Stop()
	typed := r.cfg.Typed
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-silent.C:
			return nil, nil
		case <-typed:
			typed = nil
			silent.Reset(100 * time.Millisecond) // its last line may be on its way
		case a, ok := <-r.actions:
			if !ok {
				return nil, errLeave
			}
			switch a.Kind {
			case consent.SubmitLink:
				if l, err := pairing.ParseLink(a.Text); err == nil {
					return &l, nil
				}
				r.show(func(m *consent.Model) { m.Link = linkState(a.Text) })
			case consent.Cancel, consent.EndAndRemove, consent.Leave:
				return nil, errLeave
			}
		}
	}
}

// resume takes up a session of an earlier process. again means that it came to
// nothing and was removed, and that the invitation can be tried anew.
func (r *run) resume(ctx context.Context, st *state) (again bool, err error) {
	instance, err := st.instance()
	if err != nil {
		return false, r.refuse(ctx, consent.RefusedFault, err)
	}
	r.show(func(m *consent.Model) {
		m.Screen, m.Progress, m.Server = consent.Connecting, consent.Securing, st.server.Hostname()
		m.Company, m.Technician = st.Company, st.Technician
	})
	box := r.connect(pairing.Link{Server: st.server, Session: st.Session}, st.dev.Ed, instance)
	if st.Grant == nil {
		if again, err := r.regrant(ctx, st, box); again || err != nil {
			r.hangUp(box)
			return again, err
		}
	}
	return false, r.serve(ctx, st, box, nil)
}

// regrant finishes an activation that was interrupted after the code: the
// server may have both sides' word already. While the server cannot be asked
// nothing is thrown away.
func (r *run) regrant(ctx context.Context, st *state, box Mailbox) (again bool, err error) {
	p := &pair{run: r, box: box}
	for {
		tell, cancel := context.WithTimeout(ctx, regrantTimeout)
		g := <-p.tell(tell, st)
		late := tell.Err() != nil
		cancel()
		if g.err == nil {
			if err := st.activated(g.signed, r.cfg.System.Clock()); err != nil {
				return false, r.refuse(ctx, consent.RefusedFault, err)
			}
			return false, nil
		}
		if ctx.Err() != nil {
			return false, ctx.Err() // the next start tries again
		}
		if late { // the console's word is missing, or the server
			ask, cancel := context.WithTimeout(ctx, infoTimeout)
			_, err := box.Info(ask)
			cancel()
			if err != nil {
				g.err = err
			} else {
				r.log.Warn("the technician's side never confirmed: the code is asked for again")
			}
			if err != nil && standingOf(err) == unknown {
				if !r.refused(ctx, refusalOf(err), err) {
					return false, fault.Of(err)
				}
				continue
			}
		}
		if err := st.journal.Discard(); err != nil {
			r.log.Warn("a pairing that was not granted could not be removed", "cause", err)
		}
		if late && standingOf(g.err) != gone {
			return true, nil
		}
		return false, r.refuse(ctx, refusalOf(g.err), g.err)
	}
}
