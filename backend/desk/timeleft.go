package desk

import (
	"fmt"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/mail"
	"daypass/backend/session"
)

// skewLimit is how far the clock of this computer may be off before the page
// counts by the server's.
const skewLimit = 2 * time.Second

func timeNotice(id grant.ID) string { return "time:" + id.String() }

// warnTime tells the technician that a session ends soon: in the page, and on
// the desktop, where another window may be in front. It is called once for each
// of session.WarnAt, also over restarts: the session remembers it.
func (d *Desk) warnTime(l *live, minutes int) {
	who := l.row.Session.Customer.Label()
	message := "Less than an hour is left of the session with " + who + "."
	if minutes <= 10 {
		message = "Less than ten minutes are left of the session with " + who + "."
	}
	d.notice(timeNotice(l.id()), "warn", fault.New(fault.Expired, "session.time", message,
		"Nobody can extend it. For more time start a new session with the same customer afterwards; it goes through all steps again."))
	if d.cfg.Notify == nil {
		return
	}
	title, text := "Daypass", fmt.Sprintf("The session with %s ends in less than %d minutes.", who, minutes)
	if d.settings.Language == mail.German {
		text = fmt.Sprintf("Die Sitzung mit %s endet in weniger als %d Minuten.", who, minutes)
	}
	notify := d.cfg.Notify
	d.wg.Go(func() {
		if err := notify(title, text); err != nil {
			d.log.Info("the desktop shows no notification", "error", err)
		}
	})
}

// now is the believable time: the server's, where the clock of this computer
// is wrong.
func (d *Desk) now() time.Time {
	if d.sig != nil {
		return d.sig.Now()
	}
	return time.Now()
}

// soon says which of session.WarnAt applies to a session now.
func (d *Desk) soon(x session.Session) int {
	if x.State != session.Active {
		return 0
	}
	return session.Soon(x.Expires.Sub(d.now()))
}

// Again returns what a new session with the customer of an earlier one is
// prepared with. It goes through all steps again, and needs a place.
func (d *Desk) Again(id string) (Invite, error) {
	g, err := grant.ParseID(id)
	if err != nil {
		return Invite{}, fault.New(fault.NotFound, "session", "This session does not exist any more.", "")
	}
	st, err := d.opened()
	if err != nil {
		return Invite{}, err
	}
	row, err := st.Get(d.ctx, g)
	if err != nil {
		return Invite{}, err
	}
	c := row.Session.Customer
	if c.Email == "" {
		return Invite{}, fault.New(fault.NotFound, "session.again", "The customer's address is not known on this computer.", "Start a new session and enter it.")
	}
	return Invite{Email: c.Email, Name: c.Name, Subject: c.Subject, Language: c.Language}, nil
}
