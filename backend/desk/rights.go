package desk

import (
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/session"
	"daypass/backend/wire"
)

// RightState is one right that the customer could allow, as it stands.
type RightState struct {
	Right  string `json:"right"`
	On     bool   `json:"on"`
	Until  int64  `json:"until,omitempty"`  // unix milliseconds; 0: to the end of the session
	Folder string `json:"folder,omitempty"` // of files: the only folder
	Asked  bool   `json:"asked,omitempty"`  // the customer is being asked for it
}

// limitedRight is a limit as the host told it.
type limitedRight struct {
	until  time.Time
	folder string
}

// rightsNow takes what the customer allows, with its limits.
func (c *conn) rightsNow(m *wire.RightsNow) {
	c.offered |= m.Offered | m.Rights
	c.asked &^= m.Rights
	c.limits = map[grant.Rights]limitedRight{}
	for _, l := range m.Leases {
		x := limitedRight{folder: l.Scope}
		if l.LeftMS > 0 {
			x.until = time.Now().Add(time.Duration(l.LeftMS) * time.Millisecond)
		}
		c.limits[l.Right] = x
	}
}

// rightStates is what the page shows of the rights; empty while the host is not
// known.
func (l *live) rightStates() []RightState {
	out := []RightState{}
	x := &l.row.Session
	if l.conn == nil || x.State != session.Active {
		return out
	}
	for r := grant.Rights(1); r <= grant.All; r <<= 1 {
		if !l.conn.offered.Has(r) {
			continue
		}
		s := RightState{Right: session.Names(r)[0], On: x.Rights.Has(r), Asked: l.conn.asked.Has(r)}
		if lim := l.conn.limits[r]; s.On {
			s.Until, s.Folder = ms(lim.until), lim.folder
		}
		out = append(out, s)
	}
	return out
}

// AskRight asks the customer to allow a right that is off. The customer sees the
// question and may say "not now".
func (d *Desk) AskRight(id, right string) error {
	return d.do(func() error {
		l, err := d.get(id)
		if err != nil {
			return err
		}
		if l.conn == nil || l.row.Session.State != session.Active {
			return fault.New(fault.Offline, "rights.ask", "The remote computer is not connected.", "Try again when it is online.")
		}
		for r := grant.Rights(1); r <= grant.All; r <<= 1 {
			if session.Names(r)[0] != right || !l.conn.offered.Has(r) {
				continue
			}
			if err := d.send(l.conn, &wire.AskRight{Rights: r}); err != nil {
				return err
			}
			l.conn.asked |= r
			return nil
		}
		return fault.New(fault.Invalid, "rights.ask", "This was not part of the invitation.", "Start a new session to ask for it.")
	})
}
