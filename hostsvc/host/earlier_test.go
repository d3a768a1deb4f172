package host

import (
	"os"
	"strings"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/hostsvc/consent"
)

// killed is a computer on which a host was activated and then killed.
func killed(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.activate()
	r.cancel() // as a crash: nothing is told, everything stays
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	return r
}

// next is a start on the same computer with the link of another session.
func (r *rig) next() *rig {
	n := newRig(r.t)
	n.cfg.Base = r.cfg.Base
	old, mine := r.server, n.server
	n.cfg.System.Connect = func(c rendezvous.HostConfig) Mailbox {
		if c.Session == old.link.Session {
			return old.connect(c)
		}
		return mine.connect(c)
	}
	return n
}

func (s *fakeServer) told() (ended []grant.Ended, removed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]grant.Ended(nil), s.ended...), len(s.removed)
}

func TestANewLinkAfterADeadSessionGoesOn(t *testing.T) {
	for name, err := range map[string]error{
		"unknown to the server": fault.New(fault.NotFound, "", "no such session", ""),
		"over":                  fault.New(fault.Expired, "", "over", ""),
		"on another computer":   fault.New(fault.Conflict, "", "another computer", ""),
	} {
		t.Run(name, func(t *testing.T) {
			r := killed(t)
			r.server.iceErr = err
			n := r.next()
			n.activate()
			if got := folders(r.cfg.Base); len(got) != 1 || !strings.Contains(got[0], n.server.link.Session.String()) {
				t.Errorf("state folders: %v", got)
			}
			if _, removed := r.server.told(); removed != 1 {
				t.Errorf("the removal of the old one was told %d times", removed)
			}
			n.remote()
		})
	}
}

func TestANewLinkDoesNotEndALiveSession(t *testing.T) {
	for name, err := range map[string]error{"alive": nil, "server out of reach": fault.New(fault.Offline, "", "gone", "")} {
		t.Run(name, func(t *testing.T) {
			r := killed(t)
			r.server.iceErr = err
			n := r.next()
			n.start()
			m := n.view.screen(t, consent.Refused)
			if m.Refusal != consent.EarlierSession || m.Other != "Mia Roth, Contoso IT" {
				t.Errorf("%d %q", m.Refusal, m.Other)
			}
			n.do(consent.Action{Kind: consent.Leave})
			if err := n.wait(); fault.KindOf(err) != fault.Conflict {
				t.Errorf("%v", err)
			}
			if ended, removed := r.server.told(); len(ended) != 0 || removed != 0 {
				t.Errorf("ended %v, removed %d", ended, removed)
			}
			// Its own program takes it up.
			r.link, r.view = newLink(), newView()
			r.cfg.View = r.view
			r.start()
			r.view.screen(t, consent.Connected)
		})
	}
}

func TestTheCustomerChoosesBetweenTwoSessions(t *testing.T) {
	t.Run("continue", func(t *testing.T) {
		r := killed(t)
		n := r.next()
		n.start()
		n.view.screen(t, consent.Refused)
		n.do(consent.Action{Kind: consent.Retry})
		n.view.screen(t, consent.Connected)
		if ended, _ := r.server.told(); len(ended) != 0 {
			t.Errorf("ended %v", ended)
		}
	})
	t.Run("end", func(t *testing.T) {
		r := killed(t)
		n := r.next()
		n.start()
		n.view.screen(t, consent.Refused)
		n.do(consent.Action{Kind: consent.EndAndRemove})
		n.view.screen(t, consent.EnterCode)
		if ended, removed := r.server.told(); len(ended) != 1 || ended[0].By != grant.ByCustomer || removed != 1 {
			t.Errorf("ended %v, removed %d", ended, removed)
		}
	})
}

func TestALinkOnTheInputIsNotIgnored(t *testing.T) {
	t.Run("another, the old one dead", func(t *testing.T) {
		r := killed(t)
		r.server.iceErr = fault.New(fault.NotFound, "", "no such session", "")
		n := r.next()
		n.cfg.Link, n.cfg.Typed = nil, make(chan struct{})
		n.start()
		n.view.screen(t, consent.AskLink)
		n.do(consent.Action{Kind: consent.SubmitLink, Text: n.server.link.String()})
		n.view.screen(t, consent.EnterCode)
	})
	t.Run("another, the old one alive", func(t *testing.T) {
		r := killed(t)
		n := r.next()
		n.cfg.Link, n.cfg.Typed = nil, make(chan struct{})
		n.start()
		n.view.screen(t, consent.AskLink)
		n.do(consent.Action{Kind: consent.SubmitLink, Text: n.server.link.String()})
		if m := n.view.screen(t, consent.Refused); m.Refusal != consent.EarlierSession {
			t.Errorf("%d", m.Refusal)
		}
	})
	t.Run("the same", func(t *testing.T) {
		r := killed(t)
		n := r.next()
		n.cfg.Link, n.cfg.Typed = nil, make(chan struct{})
		n.start()
		n.view.screen(t, consent.AskLink)
		n.do(consent.Action{Kind: consent.SubmitLink, Text: r.server.link.String()})
		n.view.screen(t, consent.Connected)
	})
	t.Run("none", func(t *testing.T) {
		r := killed(t)
		n := r.next()
		n.cfg.Link = nil
		typed := make(chan struct{})
		close(typed)
		n.cfg.Typed = typed
		n.start()
		n.view.screen(t, consent.Connected)
	})
}

func TestASessionOfADisplayThatIsGoneIsRemovedAfterItsTime(t *testing.T) {
	r := killed(t)
	n := r.next()
	n.cfg.Display = ":9"
	n.activate() // not disturbed by it, and does not disturb it
	if got := folders(r.cfg.Base); len(got) != 2 {
		t.Fatalf("state folders: %v", got)
	}
	n.cancel()
	if err := n.wait(); err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	n.clock.Mono += 25 * time.Hour
	n.mu.Unlock()
	n.view, n.cfg.Link = newView(), nil
	n.cfg.View = n.view
	n.start()
	n.view.screen(t, consent.AskLink)
	if got := folders(r.cfg.Base); len(got) != 0 {
		t.Errorf("state folders: %v", got)
	}
	if ended, removed := r.server.told(); len(ended) != 1 || ended[0].By != grant.ByExpiry || removed != 1 {
		t.Errorf("ended %v, removed %d", ended, removed)
	}
}

func shorten(t *testing.T, v *time.Duration, to time.Duration) {
	old := *v
	*v = to
	t.Cleanup(func() { *v = old })
}

func (r *rig) box() *fakeBox {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return r.server.boxes[len(r.server.boxes)-1]
}

func TestAServerThatForgotTheSessionEndsItAndAnAbsentOneDoesNot(t *testing.T) {
	shorten(t, &goneAfter, 200*time.Millisecond)
	r := newRig(t)
	r.activate()
	set := func(err error) { r.server.mu.Lock(); r.server.iceErr = err; r.server.mu.Unlock() }
	none := fault.New(fault.NotFound, "host.connect", "There is no such session.", "")

	// It cannot be reached: nothing ends, whatever it said before.
	set(fault.New(fault.Offline, "host.ice", "gone", ""))
	r.box().events <- rendezvous.HostEvent{Online: false, Rejected: none}
	time.Sleep(4 * goneAfter)
	if m := r.view.screen(t, consent.Connected); m.Report != nil {
		t.Fatal("a server that is away ended the session")
	}
	r.remote()
	// It takes the session again.
	set(nil)
	time.Sleep(2 * goneAfter)
	r.view.screen(t, consent.Connected)
	// It says that there is none, and stays with it.
	set(none)
	r.box().events <- rendezvous.HostEvent{Online: false, Rejected: none}
	m := r.view.screen(t, consent.Removed)
	if m.Report.By != grant.ByServer || !m.Report.Clean {
		t.Errorf("%+v", m.Report)
	}
	r.do(consent.Action{Kind: consent.Leave})
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(r.cfg.Base); !os.IsNotExist(err) {
		t.Error("something is left")
	}
}

// interrupted is a computer on which the program was killed after the code was
// accepted and before the server's grant came.
func interrupted(t *testing.T) *rig {
	t.Helper()
	shorten(t, &regrantTimeout, 300*time.Millisecond)
	r := newRig(t)
	r.server.actErr = fault.New(fault.Offline, "host.activate", "gone", "")
	r.start()
	r.view.screen(t, consent.EnterCode)
	r.do(consent.Action{Kind: consent.SubmitCode, Text: r.server.code.Digits(), Rights: Offered})
	r.view.until(t, "accepted", func(m consent.Model) bool { return m.Progress == consent.Securing && m.Screen == consent.Connecting })
	r.cancel()
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	if len(folders(r.cfg.Base)) != 1 {
		t.Fatal("the pairing was not kept")
	}
	r.view, r.link = newView(), newLink()
	r.cfg.View = r.view
	return r
}

func (s *fakeServer) set(f func()) { s.mu.Lock(); defer s.mu.Unlock(); f() }

func TestActivationThatReachedOneSideOnly(t *testing.T) {
	t.Run("the server has it", func(t *testing.T) {
		r := interrupted(t)
		r.server.set(func() { r.server.actErr = nil })
		r.start()
		r.view.screen(t, consent.Connected)
	})
	t.Run("the server is away, nothing is lost", func(t *testing.T) {
		r := interrupted(t)
		r.server.infoErr = fault.New(fault.Offline, "host.info", "gone", "")
		r.start()
		if m := r.view.screen(t, consent.Refused); m.Refusal != consent.ServerUnreachable {
			t.Errorf("%d", m.Refusal)
		}
		if len(folders(r.cfg.Base)) != 1 {
			t.Fatal("the pairing was thrown away")
		}
		r.server.set(func() { r.server.actErr = nil })
		r.do(consent.Action{Kind: consent.Retry})
		r.view.screen(t, consent.Connected)
	})
	t.Run("the technician's side never confirmed", func(t *testing.T) {
		r := interrupted(t)
		r.server.set(func() {
			r.server.actErr = rendezvous.ErrNotYet
			r.server.act, r.server.infoErr = nil, nil
		})
		r.start()
		r.view.screen(t, consent.EnterCode) // a fresh code
		if len(folders(r.cfg.Base)) != 0 {
			t.Error("the old pairing is still there")
		}
	})
	t.Run("the session is over", func(t *testing.T) {
		r := interrupted(t)
		r.server.set(func() { r.server.actErr = fault.New(fault.Expired, "host.activate", "over", "") })
		r.start()
		if m := r.view.screen(t, consent.Refused); m.Refusal != consent.LinkExpired {
			t.Errorf("%d", m.Refusal)
		}
		r.do(consent.Action{Kind: consent.Leave})
		if r.wait() == nil {
			t.Error("no fault")
		}
		if _, err := os.Lstat(r.cfg.Base); !os.IsNotExist(err) {
			t.Error("something is left")
		}
	})
}

func TestTheDayEndsWithTheNetworkDown(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.remote()
	r.server.set(func() { r.server.down = true })
	r.link.events <- peer.Event{State: peer.Reconnecting}
	r.view.until(t, "away", func(m consent.Model) bool { return m.Offline })
	r.mu.Lock()
	r.clock.Mono += 25 * time.Hour
	r.clock.Wall = r.clock.Wall.Add(-48 * time.Hour) // and the clock was set back
	r.mu.Unlock()
	r.link.events <- peer.Event{State: peer.Open} // whatever wakes it
	r.eventually("everything is removed before anybody is told", func() bool {
		d := folders(r.cfg.Base)
		return len(d) == 1 && names(t, d[0]) == "before.json journal.json note.json record.log steps.log" && r.running(7) == 0
	})
	r.server.set(func() { r.server.down = false })
	if m := r.view.screen(t, consent.Removed); m.Report.By != grant.ByExpiry || !m.Report.Clean || !m.Report.Told {
		t.Errorf("%+v", m.Report)
	}
}
