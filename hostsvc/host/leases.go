package host

import (
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/rights"
)

// Bounds of asking the customer for a right again.
const (
	askFor     = 2 * time.Minute // a question waits; then it is a "not now"
	askPause   = time.Minute     // after a "not now", for any right
	askPerHour = 6
)

// asking is the console's wish for rights that are off.
type asking struct {
	rights grant.Rights // what the customer is asked for now; 0: nothing
	since  time.Time
	not    time.Time // of the latest "not now"
	asked  []time.Time
}

// leases is what the customer allows, with its limits.
func (s *state) leases() *rights.Set {
	if s.Leases == nil {
		set := rights.New(s.Allowed)
		s.Leases = &set
	}
	s.Leases.Keep(s.Allowed)
	return s.Leases
}

// allowed is what the customer allows at this moment: the authority of every
// check. A limit that is over counts as off before anybody has noticed.
func (s *session) allowed() grant.Rights {
	if s.st.Leases == nil {
		return s.st.Allowed
	}
	return s.st.Allowed & s.st.Leases.Allowed(s.cfg.System.Clock())
}

// setRight switches one right, as the customer said.
func (s *session) setRight(right grant.Rights, on bool, limit time.Duration, scope string) {
	set := s.st.leases()
	before := set.Of(right)
	if on {
		if err := set.Allow(right, limit, scope, s.cfg.System.Clock()); err != nil {
			s.log.Warn("a right that cannot be given so", "cause", err)
			return
		}
		if now := set.Of(right); before != nil && now != nil && before.For == 0 && now.For == 0 && before.Scope == now.Scope {
			return // it is on already, just so
		}
		s.asking.rights &^= right
		s.changed(s.st.Allowed|right, consent.Line{Kind: consent.LineRightOn, Rights: right, For: limit, Text: scope})
		return
	}
	if before == nil {
		return
	}
	set.Forbid(right)
	s.changed(s.st.Allowed&^right, consent.Line{Kind: consent.LineRightOff, Rights: right})
}

// expireRights switches off what was allowed for a time that is over.
func (s *session) expireRights() {
	if s.st.Leases == nil {
		return
	}
	if over := s.st.Leases.Expire(s.cfg.System.Clock()); over != 0 {
		s.changed(s.st.Allowed&^over, consent.Line{Kind: consent.LineRightOver, Rights: over})
	}
	if s.asking.rights != 0 && time.Since(s.asking.since) > askFor {
		s.notNow()
	}
}

// changed does what follows from another set of rights: the gate first.
func (s *session) changed(allowed grant.Rights, l consent.Line) {
	s.st.Allowed = allowed
	s.openGate() // before anything that takes time, and before anybody is told
	if !allowed.Has(grant.View) {
		s.stopShowing()
	}
	if err := s.st.save(); err != nil {
		s.log.Error("a change of rights could not be stored", "cause", err)
	}
	s.sayFact(rightsFact(allowed, l, time.Now()))
	s.done()
	s.send(s.rightsNow())
	s.show(func(m *consent.Model) { m.Allowed, m.Limits, m.Asked = allowed, s.limits(), s.asking.rights })
	s.leaseTimer()
	if !allowed.Has(grant.View) {
		s.closeRemote("")
		return
	}
	s.goOn()
}

// rightsNow tells the console what is allowed, and how long.
func (s *session) rightsNow() *wire.RightsNow {
	return &wire.RightsNow{Rights: s.st.Allowed, Offered: s.st.Rights, Leases: s.wireLeases()}
}

func (s *session) wireLeases() (out []wire.Lease) {
	if s.st.Leases == nil {
		return nil
	}
	now := s.cfg.System.Clock()
	for i := range s.st.Leases.Leases {
		l := &s.st.Leases.Leases[i]
		left, limited := l.Left(now)
		if (!limited && l.Scope == "") || !s.st.Allowed.Has(l.Right) {
			continue
		}
		w := wire.Lease{Right: l.Right, Scope: l.Scope}
		if limited {
			w.LeftMS = max(1, left.Milliseconds())
		}
		out = append(out, w)
	}
	return out
}

// limits is the same for the window.
func (s *session) limits() (out []consent.Limit) {
	for _, l := range s.wireLeases() {
		c := consent.Limit{Right: l.Right, Scope: l.Scope}
		if l.LeftMS > 0 {
			c.Until = time.Now().Add(time.Duration(l.LeftMS) * time.Millisecond)
		}
		out = append(out, c)
	}
	return out
}

// leaseTimer wakes the loop when the next limit is over.
func (s *session) leaseTimer() {
	if s.leaseEnd != nil {
		s.leaseEnd.Stop()
	}
	next, limited := time.Duration(0), false
	if s.st.Leases != nil {
		next, limited = s.st.Leases.Next(s.cfg.System.Clock())
	}
	if s.asking.rights != 0 {
		if left := askFor - time.Since(s.asking.since); !limited || left < next {
			next, limited = max(0, left), true
		}
	}
	if !limited {
		return
	}
	s.leaseEnd = time.AfterFunc(next+10*time.Millisecond, func() {
		s.post(func() {
			if s.ended == nil {
				s.expireRights()
				s.leaseTimer()
			}
		})
	})
}

// askRight brings the console's question to the customer, a bounded number of
// times: asking is not to become a way to wear somebody down.
func (s *session) askRight(want grant.Rights) {
	now := time.Now()
	refuse := func(kind fault.Kind, message, hint string) {
		s.refuseAsked(wire.KindAskRight, 0, fault.New(kind, "host.ask", message, hint))
	}
	if want &^= s.allowed(); want == 0 {
		s.send(s.rightsNow())
		return
	}
	if want&^s.st.Rights != 0 {
		refuse(fault.Denied, "This was not part of the invitation.", "Start a new session to ask for it.")
		return
	}
	recent := s.asking.asked[:0]
	for _, t := range s.asking.asked {
		if now.Sub(t) < time.Hour {
			recent = append(recent, t)
		}
	}
	s.asking.asked = recent
	switch {
	case s.asking.rights.Has(want):
		refuse(fault.Conflict, "The customer is being asked already.", "Wait for the answer.")
		return
	case !s.asking.not.IsZero() && now.Sub(s.asking.not) < askPause:
		refuse(fault.Limit, "The customer said “not now” a moment ago.", "Talk about it first. You can ask again in a minute.")
		return
	case len(recent) >= askPerHour:
		refuse(fault.Limit, "The customer was asked often enough.", "The customer can switch it on in the window at any time.")
		return
	}
	s.asking.rights, s.asking.since, s.asking.asked = s.asking.rights|want, now, append(recent, now)
	s.line(consent.Line{Kind: consent.LineAsked, Rights: want})
	s.show(func(m *consent.Model) { m.Asked = s.asking.rights })
	s.leaseTimer()
}

// answered is the customer's answer to that.
func (s *session) answered(on bool, limit time.Duration) {
	want := s.asking.rights
	if want == 0 {
		return
	}
	if !on {
		s.notNow()
		return
	}
	s.asking.rights = 0
	if want.Has(grant.Control) && !s.allowed().Has(grant.View) {
		want |= grant.View // controlling needs seeing
	}
	for one := grant.Rights(1); one <= grant.All; one <<= 1 {
		if want.Has(one) {
			s.setRight(one&s.st.Rights, true, limit, "")
		}
	}
	s.show(func(m *consent.Model) { m.Asked = 0 })
}

func (s *session) notNow() {
	want := s.asking.rights
	s.asking.rights, s.asking.not = 0, time.Now()
	s.line(consent.Line{Kind: consent.LineNotNow, Rights: want})
	s.show(func(m *consent.Model) { m.Asked = 0 })
	s.refuseAsked(wire.KindAskRight, 0, fault.New(fault.Denied, "host.ask", "The customer said “not now”.", "Talk about it, then ask again."))
}

// inputLeft is how long input is allowed by the limits of its rights; negative:
// to the end of the session.
func (s *session) inputLeft() time.Duration { return s.left(grant.View, grant.Control) }

// seenLeft is the same for the picture.
func (s *session) seenLeft() time.Duration { return s.left(grant.View) }

func (s *session) left(of ...grant.Rights) time.Duration {
	least := time.Duration(-1)
	if s.st.Leases == nil {
		return least
	}
	now := s.cfg.System.Clock()
	for _, r := range of {
		if l := s.st.Leases.Of(r); l != nil {
			if left, limited := l.Left(now); limited && (least < 0 || left < least) {
				least = left
			}
		}
	}
	return least
}
