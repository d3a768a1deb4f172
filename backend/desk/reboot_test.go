package desk_test

import (
	"context"
	"strings"
	"testing"

	"daypass/backend/desk"
	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/wire"
	"daypass/signaling/signalingtest"
)

func TestARestartIsAskedForRefusedAndDone(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	h := pair(b, x)
	b.session("open", x.ID, func(s desk.Session) bool { return s.LinkState == "open" && s.Standing != nil })
	if err := b.d.Reboot(x.ID); fault.KindOf(err) != fault.Unsupported {
		t.Fatalf("a host that cannot: %v", err)
	}
	h.send(&wire.Standing{After: "login", Reboot: true})
	y := b.session("it can", x.ID, func(s desk.Session) bool { return s.Verbs.Reboot })
	if y.Standing.After != "login" || y.Standing.NoDesktop {
		t.Errorf("%+v", y.Standing)
	}
	// The customer says no.
	if err := b.d.Reboot(x.ID); err != nil {
		t.Fatal(err)
	}
	expect[*wire.Reboot](h)
	if err := b.d.Reboot(x.ID); fault.KindOf(err) != fault.Conflict {
		t.Errorf("twice: %v", err)
	}
	h.send(&wire.Rebooting{State: wire.RebootAsked, Left: 30})
	b.session("asked", x.ID, func(s desk.Session) bool { return s.Reboot != nil && s.Reboot.State == "asked" && s.Reboot.Until > 0 })
	h.send(&wire.Rebooting{State: wire.RebootRefused})
	b.session("refused", x.ID, func(s desk.Session) bool { return s.Reboot == nil && s.Verbs.Reboot })
	// Once more no: one notice tells it, and the next question takes it away.
	if err := b.d.Reboot(x.ID); err != nil {
		t.Fatal(err)
	}
	expect[*wire.Reboot](h)
	if n := b.snap().Notices; len(n) != 0 {
		t.Errorf("an old refusal is still told: %+v", n)
	}
	h.send(&wire.Rebooting{State: wire.RebootRefused})
	b.until("one notice", func(s desk.Snapshot) bool { return len(s.Notices) == 1 && s.Notices[0].ID == "reboot-"+x.ID })
	// And yes: it goes down and another start of the program answers. Remote
	// Control that was open is asked for anew.
	if _, err := b.d.OpenRemote(x.ID, false); err != nil {
		t.Fatal(err)
	}
	expect[*wire.Open](h)
	if err := b.d.Reboot(x.ID); err != nil {
		t.Fatal(err)
	}
	expect[*wire.Reboot](h)
	h.send(&wire.Rebooting{State: wire.RebootNow})
	b.session("restarting", x.ID, func(s desk.Session) bool { return s.Reboot != nil && s.Reboot.State == "restarting" })
	h.restart()
	b.session("back", x.ID, func(s desk.Session) bool { return s.Reboot == nil && s.LinkState == "open" })
	expect[*wire.Open](h)
	k := kinds(t, b, x.ID)
	if strings.Count(k, "reboot") != 4 { // asked three times, and back; what became of it the host says itself
		t.Error(k)
	}
	// Who may not control may not restart.
	h.send(&wire.Standing{After: "boot", Reboot: true})
	b.session("it can again", x.ID, func(s desk.Session) bool { return s.Verbs.Reboot })
	h.send(&wire.RightsNow{Rights: grant.View})
	b.session("not", x.ID, func(s desk.Session) bool { return !s.Verbs.Reboot })
	if err := b.d.Reboot(x.ID); fault.KindOf(err) != fault.Denied {
		t.Errorf("%v", err)
	}
}

// restart is another start of the host's program, with the same keys.
func (h *host) restart() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.conn.Close(ctx, "host stops"); err != nil {
		h.t.Log(err) // the console may be slow to say goodbye
	}
	h.listen()
}
