package desk_test

import (
	"strings"
	"testing"

	"daypass/backend/desk"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous"
	"daypass/signaling/signalingtest"
)

// refuse is a computer that opens the invitation and says why it does not go on.
func refuse(b *bench, link string, why pairing.Why, computer string) *rendezvous.HostMailbox {
	b.t.Helper()
	l, err := pairing.ParseLink(link)
	if err != nil {
		b.t.Fatal(err)
	}
	box := rendezvous.DialHost(rendezvous.HostConfig{Server: l.Server, Session: l.Session, Instance: rendezvous.NewInstance(), Key: pairing.NewDevice().Ed})
	b.t.Cleanup(func() { box.Close() })
	m, err := pairing.SealRefusal(l.Secret, l.Session, why, pairing.HostReport{Computer: computer, OS: "Fedora 44"})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := box.Send(b.t.Context(), m); err != nil {
		b.t.Fatal(err)
	}
	if err := box.Send(b.t.Context(), m); err != nil { // once more: changes nothing
		b.t.Fatal(err)
	}
	return box
}

func TestWhyAComputerDoesNotGoOnIsTold(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	refuse(b, x.Link, pairing.WhyWayland, "PC-ANNA")
	y := b.session("wayland", x.ID, func(s desk.Session) bool { return s.Refused != nil && s.Refused.Why == "wayland" })
	if y.State != "invited" || y.Refused.Computer != "PC-ANNA" || y.Refused.At == 0 || y.Link == "" {
		t.Errorf("%+v", y)
	}
	// It is remembered over a restart of the console, and replaced by a newer one.
	b.down()
	b.up()
	b.online()
	b.session("still", x.ID, func(s desk.Session) bool { return s.Refused != nil && s.Refused.Why == "wayland" })
	refuse(b, x.Link, pairing.WhyEarlier, "PC-BERT")
	b.session("earlier", x.ID, func(s desk.Session) bool {
		return s.Refused != nil && s.Refused.Why == "earlier" && s.Refused.Computer == "PC-BERT"
	})
	// Somebody without the link says nothing.
	l, err := pairing.ParseLink(x.Link)
	if err != nil {
		t.Fatal(err)
	}
	l.Secret = pairing.NewSecret()
	refuse(b, l.String(), pairing.WhyDeclined, "PC-EVE")
	// The customer found a way: the computer is there, and the refusal is over.
	h := newHost(t, x.Link)
	h.until(pairing.NeedCode)
	b.session("there", x.ID, func(s desk.Session) bool { return s.Refused == nil && s.Code != nil })
	if k := kinds(t, b, x.ID); strings.Count(k, "refused") != 2 {
		t.Error(k)
	}
	// While it is there a refusal of another one does not disturb it.
	refuse(b, x.Link, pairing.WhyRunning, "PC-ANNA")
	y = b.session("code", x.ID, func(s desk.Session) bool { return s.Code != nil && s.Code.Digits != "" })
	h.enter(y.Code.Digits)
	h.until(pairing.Confirmed)
	h.activate()
	b.session("active", x.ID, func(s desk.Session) bool { return s.State == "active" && s.Refused == nil })
	if k := kinds(t, b, x.ID); strings.Count(k, "refused") != 2 {
		t.Error(k)
	}
}

// A computer that waits for the code and is closed there says so: its code is
// taken back at once.
func TestACustomerWhoClosesTheProgramIsSeenAtOnce(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	h := newHost(t, x.Link)
	h.until(pairing.NeedCode)
	b.session("code", x.ID, func(s desk.Session) bool { return s.Code != nil && s.Code.Digits != "" })
	m, err := pairing.SealRefusal(h.link.Secret, h.link.Session, pairing.WhyDeclined, pairing.HostReport{Computer: "PC-ANNA"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.box.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	b.session("declined", x.ID, func(s desk.Session) bool {
		return s.State == "invited" && s.Code == nil && len(s.Waiting) == 0 && s.Refused != nil && s.Refused.Why == "declined"
	})
}

// The link is opened on another computer while the session goes on, and after
// it: the server turns it away and the technician hears of it.
func TestALinkThatIsOpenedAgainIsTold(t *testing.T) {
	s := signalingtest.Start(t)
	b := newBench(t)
	b.ready(s)
	x := b.create()
	pair(b, x)
	l, err := pairing.ParseLink(x.Link)
	if err != nil {
		t.Fatal(err)
	}
	box := rendezvous.DialHost(rendezvous.HostConfig{Server: l.Server, Session: l.Session, Instance: rendezvous.NewInstance(), Key: pairing.NewDevice().Ed})
	defer box.Close()
	b.until("the notice", func(s desk.Snapshot) bool {
		for _, n := range s.Notices {
			if strings.HasPrefix(n.ID, "used-") && strings.Contains(n.Fault.Message, "Anna Weber") {
				return true
			}
		}
		return false
	})
	b.session("goes on", x.ID, func(s desk.Session) bool { return s.State == "active" && s.LinkState == "open" })
	if k := kinds(t, b, x.ID); strings.Count(k, "used_again") != 1 {
		t.Error(k)
	}
}
