package desk_test

import (
	"testing"

	"daypass/backend/desk"
	"daypass/backend/grant"
	"daypass/backend/wire"
	"daypass/signaling/server"
	"daypass/signaling/signalingtest"
)

// A lead ends a technician's session, or the company is suspended: the console
// passes the server's signed word on over the link, so that a host that has lost
// its own way to the server ends, too.
func TestAnEndThatTheServerSignedIsPassedOnOverTheLink(t *testing.T) {
	for _, by := range []grant.EndedBy{grant.ByLead, grant.ByServer} {
		t.Run(string(by), func(t *testing.T) {
			s := signalingtest.Start(t)
			b := newBench(t)
			b.ready(s)
			x := b.create()
			h := pair(b, x)
			id, err := grant.ParseID(x.ID)
			if err != nil {
				t.Fatal(err)
			}
			if by == grant.ByLead {
				a, err := server.CreateAdmin(t.Context(), s.Config.DataDir, "lea@example.org", "Lea", s.Account.Company)
				if err != nil {
					t.Fatal(err)
				}
				lead, key := s.ConsoleOf(t, a)
				f, err := grant.Sign(key, grant.ContextEnded, grant.Ended{Session: id, By: grant.ByLead})
				if err != nil {
					t.Fatal(err)
				}
				if err := lead.End(t.Context(), id, f); err != nil {
					t.Fatal(err)
				}
			} else if err := server.SuspendCompany(t.Context(), s.Config.DataDir, s.Account.Company, true); err != nil {
				t.Fatal(err)
			}
			end := expect[*wire.End](h)
			var e grant.Ended
			if err := grant.Open(h.pin.ServerKey, grant.ContextEnded, end.Ended, &e); err != nil || e.By != by || e.Session != id {
				t.Fatalf("%+v %v", e, err)
			}
			b.session("ended", x.ID, func(x desk.Session) bool { return x.EndedBy == string(by) })
		})
	}
}
