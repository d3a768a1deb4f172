package directory

import (
	"context"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

// MailedByServer allows the server to send a session's invitation and puts on
// record that the server knows its password, before it does. Faults: NotFound
// (not a session of this console), Denied (the company's policy is another),
// Conflict (the invitation is of no use any more).
func (d *Directory) MailedByServer(ctx context.Context, a store.Auth, id grant.ID) (store.Session, error) {
	const op = "mail.byserver"
	if mailPolicy(a.Profile.Company) != protocol.MailServer {
		return store.Session{}, fault.New(fault.Denied, op, "Your company's consoles send invitations themselves.", "An admin can change this in the company's policy.")
	}
	return d.update(ctx, op, id, actor(a), func(s *store.Session) (string, any, error) {
		switch {
		case s.ConsoleKey != a.Console.Key || s.Profile != a.Profile.ID:
			return "", nil, errNoSession
		case !protocol.Live(s.State) || s.State == protocol.Active:
			return "", nil, fault.New(fault.Conflict, op, "The invitation is not needed any more.", "The customer is connected, or the session is over.")
		}
		return "session.mailed_by_server", map[string]any{"note": "the server knew the password of this session's link; only the spoken code protects from it"}, nil
	})
}
