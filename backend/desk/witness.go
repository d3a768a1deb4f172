package desk

import (
	"daypass/backend/grant"
	"daypass/backend/session"
	"daypass/backend/wire"
)

// witness signs the receipt that the host gives its customer, so that neither
// side can put another one in its place later. The signature says that the
// host of this session made this receipt when the session ended; what is in it
// is the host's word.
func (d *Desk) witness(l *live, c *conn, seal grant.Signed) {
	var r grant.Receipt
	if err := grant.Open(l.pin.parsed.PeerEd, grant.ContextReceipt, seal, &r); err != nil || r.Session != l.id() || len(r.SHA256) != 32 {
		d.log.Warn("receipt not sealed by the pinned host", "session", l.id(), "error", err)
		return
	}
	if l.row.Session.State != session.Ending {
		return // nothing is over
	}
	ours, err := grant.Sign(d.dev.Ed, grant.ContextReceipt, r)
	if err == nil {
		err = d.send(c, &wire.Receipt{Seal: ours})
	}
	if err != nil {
		d.log.Info("the customer's receipt was not signed here", "session", l.id(), "error", err)
		return
	}
	d.note(l, session.ConsoleA, "receipt_signed", "The customer's receipt was signed here as well.")
}
