package host

import (
	"slices"
	"testing"

	"daypass/backend/fault"
	"daypass/backend/pairing"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/screen"
)

func (s *fakeServer) whys() []pairing.Why {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

// What only this computer knows is told to the technician while the customer
// reads it, once, and before the program is gone.
func TestTheTechnicianIsToldWhy(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*rig)
		want   []pairing.Why
	}{
		"no display":   {func(r *rig) { r.src.err = screen.ErrNoDisplay }, []pairing.Why{pairing.WhyNoDisplay}},
		"wayland":      {func(r *rig) { r.src.err = screen.ErrWayland }, []pairing.Why{pairing.WhyWayland}},
		"unsupported":  {func(r *rig) { r.src.err = fault.New(fault.Unsupported, "", "old", "") }, []pairing.Why{pairing.WhyUnsupported}},
		"the server's": {func(r *rig) { r.server.infoErr = fault.New(fault.Denied, "", "suspended", "") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			c.change(r)
			r.start()
			r.view.screen(t, consent.Refused)
			r.do(consent.Action{Kind: consent.Leave})
			r.wait()
			if got := r.server.whys(); !slices.Equal(got, c.want) {
				t.Errorf("told %v, want %v", got, c.want)
			}
			for _, b := range r.server.boxes {
				select {
				case <-b.closed:
				default:
					t.Error("a mailbox stays open")
				}
			}
		})
	}
}

func TestTheTechnicianIsToldThatTheCustomerDeclined(t *testing.T) {
	r := newRig(t)
	r.start()
	r.view.screen(t, consent.EnterCode)
	r.do(consent.Action{Kind: consent.Cancel})
	r.wait()
	if got := r.server.whys(); !slices.Equal(got, []pairing.Why{pairing.WhyDeclined}) {
		t.Errorf("told %v", got)
	}
}

// The same link opened twice on one computer is no refusal; another session's is
// one, for that session's technician.
func TestAProgramThatRunsAlreadyIsTold(t *testing.T) {
	r := newRig(t)
	r.activate()
	twice := newRig(t)
	twice.cfg.Base, twice.server = r.cfg.Base, r.server
	twice.cfg.Link, twice.cfg.System.Connect = r.cfg.Link, r.server.connect
	other := newRig(t)
	other.cfg.Base = r.cfg.Base
	for _, second := range []*rig{twice, other} {
		second.start()
		if m := second.view.screen(t, consent.Refused); m.Refusal != consent.AlreadyThere {
			t.Errorf("refusal %d", m.Refusal)
		}
		second.do(consent.Action{Kind: consent.Leave})
		second.wait()
	}
	if got := r.server.whys(); len(got) != 0 {
		t.Errorf("its own technician was told %v", got)
	}
	if got := other.server.whys(); !slices.Equal(got, []pairing.Why{pairing.WhyRunning}) {
		t.Errorf("told %v", got)
	}
}

func TestAnEarlierSessionIsTold(t *testing.T) {
	r := killed(t)
	n := r.next()
	n.start()
	if m := n.view.screen(t, consent.Refused); m.Refusal != consent.EarlierSession {
		t.Fatalf("refusal %d", m.Refusal)
	}
	n.eventually("the technician to be told", func() bool { return slices.Equal(n.server.whys(), []pairing.Why{pairing.WhyEarlier}) })
	n.do(consent.Action{Kind: consent.EndAndRemove}) // and goes on with the new one
	n.view.screen(t, consent.EnterCode)
}
