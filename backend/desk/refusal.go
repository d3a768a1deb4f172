package desk

import (
	"daypass/backend/fault"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous"
	"daypass/backend/session"
)

// This file is what is known of computers that opened an invitation and do not
// go on with it: because they said so, sealed under the link's password, or
// because the server turned them away.

// whys are the reasons of a refusal as the session keeps them.
var whys = map[pairing.Why]string{
	pairing.WhyOther: "fault", pairing.WhyRunning: "running", pairing.WhyEarlier: "earlier", pairing.WhyNoDisplay: "no_display",
	pairing.WhyWayland: "wayland", pairing.WhyUnsupported: "unsupported", pairing.WhyDeclined: "declined",
}

// refusal takes a host's refusal. Nothing answers it. One that came already
// changes nothing, and neither does one while another computer is there: the
// customer found a way.
func (d *Desk) refusal(l *live, i rendezvous.Instance, m []byte) {
	if l.secret == nil || !l.row.Session.State.Open() || l.pin != nil {
		return
	}
	r, err := pairing.OpenRefusal(*l.secret, l.id(), m)
	if err != nil {
		d.log.Debug("refusal", "session", l.id(), "error", err)
		return
	}
	if l.refusals[r.ID] || len(l.refusals) >= session.MaxRefused {
		return
	}
	if l.refusals == nil {
		l.refusals = map[[32]byte]bool{}
	}
	l.refusals[r.ID] = true
	d.dirty = true
	if w := l.hosts[i]; w != nil { // it was waiting and gives up
		w.act.Wipe()
		delete(l.hosts, i)
		if l.chosen == i {
			l.chosen, l.byHand = rendezvous.Instance{}, false
			d.hideCode(l)
		}
	}
	if len(l.there()) > 0 {
		d.autoChoose(l)
		return
	}
	d.must(l, session.Refuse{Why: whys[r.Why], Host: hostOf(r.Report)})
}

// knocked takes the server's word that it turned a program with this link away.
func (d *Desk) knocked(l *live, k *rendezvous.Knock) {
	x := &l.row.Session
	if k == nil || !k.At.After(x.Used) || x.Put || x.State != session.Active && !x.State.Over() {
		return
	}
	active, label := x.State == session.Active, x.Customer.Label()
	if !d.must(l, session.Used{At: k.At}) {
		return
	}
	d.dirty = true
	if active {
		d.notice("used-"+l.id().String(), "warn", fault.New(fault.Conflict, "session.used", "The link for "+label+" was opened on another computer, and refused.", "A link works for one computer only. Ask the customer whether it was somebody there."))
		return
	}
	d.notice("used-"+l.id().String(), "info", fault.New(fault.Expired, "session.used", "The link for "+label+" was opened after the session was over.", "If help is still needed, start a new session with the same customer."))
}
