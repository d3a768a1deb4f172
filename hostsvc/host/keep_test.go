package host

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/peer"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/lease"
	"daypass/hostsvc/removal"
	"daypass/hostsvc/screen"
	"daypass/hostsvc/service"
)

// fakeKeeper is a computer's service manager: one file is its entry.
type fakeKeeper struct {
	entry string
	root  string
	mu    sync.Mutex
	began int
	deny  error // of Raise and Reboot
	boots int
	left  int
}

func (k *fakeKeeper) Items(string) []removal.Item {
	return []removal.Item{{Kind: removal.File, Path: k.entry, What: "the entry", Last: true}}
}

func (k *fakeKeeper) Keep(context.Context, string) error { return os.WriteFile(k.entry, nil, 0o600) }

func (k *fakeKeeper) Begin(context.Context, string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.began++
	return nil
}

func (k *fakeKeeper) After(string) service.After {
	if _, err := os.Stat(k.root); err == nil {
		return service.Boot
	}
	if _, err := os.Stat(k.entry); err == nil {
		return service.Login
	}
	return service.Never
}
func (k *fakeKeeper) CanRaise(f string) bool { return k.After(f) == service.Login }
func (k *fakeKeeper) RootItems(string) []removal.Item {
	return []removal.Item{{Kind: removal.System, Path: k.root, What: "root's entry", Last: true}}
}

func (k *fakeKeeper) Raise(context.Context, string, time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.deny != nil {
		return k.deny
	}
	return os.WriteFile(k.root, nil, 0o600)
}

func (k *fakeKeeper) Leave(string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left++
	_ = os.Remove(k.root)
}
func (k *fakeKeeper) CanReboot(string) bool { return true }
func (k *fakeKeeper) Reboot(context.Context, string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.boots++
	return k.deny
}

func (k *fakeKeeper) get(f func() int) int { k.mu.Lock(); defer k.mu.Unlock(); return f() }

func keptRig(t *testing.T) (*rig, *fakeKeeper) {
	t.Helper()
	r := newRig(t)
	d := t.TempDir()
	k := &fakeKeeper{entry: filepath.Join(d, "entry"), root: filepath.Join(d, "root")}
	r.cfg.Keep = k
	return r, k
}

// again starts the program as its service does.
func (r *rig) again() {
	r.link, r.cfg.Link, r.cfg.Resume = newLink(), nil, true
	r.view = newView()
	r.cfg.View = r.view
	r.start()
}

// opened opens the console's link and returns what the host says then.
func (r *rig) opened() *wire.HostHello {
	r.t.Helper()
	r.link.events <- peer.Event{State: peer.Open, PeerHello: []byte{}, NewInstance: true, Fresh: true}
	return hear[*wire.HostHello](r.t, r.link)
}

func TestKeptSessionSaysHowItComesBackAndTakesItsEntryAway(t *testing.T) {
	r, k := keptRig(t)
	r.activate()
	if s := r.opened().Standing; s.After != "login" || !s.Reboot || s.NoDesktop {
		t.Errorf("%+v", s)
	}
	r.eventually("supervision", func() bool { return k.get(func() int { return k.began }) == 1 })
	r.view.until(t, "words", func(m consent.Model) bool { return m.Keeps && m.After == "login" && m.CanRaise })
	r.do(consent.Action{Kind: consent.Raise})
	if s := hear[*wire.Standing](t, r.link); s.After != "boot" {
		t.Errorf("%+v", s)
	}
	r.view.until(t, "words", func(m consent.Model) bool { return m.After == "boot" && !m.CanRaise && !m.Raising })
	r.do(consent.Action{Kind: consent.EndAndRemove})
	m := r.view.screen(t, consent.Removed)
	if !m.Report.Clean || k.After("") != service.Never || k.left != 1 {
		t.Errorf("%+v, %q", m.Report, k.After(""))
	}
	r.do(consent.Action{Kind: consent.Leave})
	if err := r.wait(); err != nil {
		t.Error(err)
	}
}

func TestRefusedRightsChangeNothing(t *testing.T) {
	r, k := keptRig(t)
	k.deny = fault.New(fault.Cancelled, "raise", "No password.", "")
	r.activate()
	r.do(consent.Action{Kind: consent.Raise})
	if s := hear[*wire.Standing](t, r.link); s.After != "login" {
		t.Errorf("%+v", s)
	}
	r.view.until(t, "the refusal", func(m consent.Model) bool { return m.RaiseFault != nil && !m.Raising && m.After == "login" })
	r.remote()
}

func TestServiceTakesTheSessionUpWithAndWithoutADesktop(t *testing.T) {
	r, _ := keptRig(t)
	r.activate()
	r.cancel() // the power goes
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.clock = lease.Reading{Wall: r.clock.Wall.Add(3 * time.Minute), Mono: 5 * time.Second, Boot: "after"}
	r.mu.Unlock()
	r.cfg.NoDesktop = fault.New(fault.Unsupported, "host.desktop", "Nobody is signed in.", "Wait.")
	r.src.err = screen.ErrNoDisplay
	r.again()
	r.view.screen(t, consent.Connected)
	if s := r.opened().Standing; !s.NoDesktop {
		t.Errorf("%+v", s)
	}
	r.link.say(t, &wire.Open{})
	if f := hear[*wire.Refused](t, r.link); f.Message != "Nobody is signed in." {
		t.Errorf("%+v", f)
	}
	r.cancel() // somebody signs in: the service starts another one there
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	r.cfg.NoDesktop, r.src.err = nil, nil
	r.again()
	r.view.until(t, "the session", func(m consent.Model) bool {
		return m.Screen == consent.Connected && m.Technician == "Mia Roth" && len(m.Events) > 0 && m.Events[0].Kind == consent.LineBack
	})
	if s := r.opened().Standing; s.NoDesktop || s.After != "login" {
		t.Errorf("%+v", s)
	}
	r.remote()
}

func TestServiceWithNothingToTakeUpEnds(t *testing.T) {
	r, _ := keptRig(t)
	r.cfg.Resume, r.cfg.Link = true, nil
	r.start()
	if err := r.wait(); err != nil {
		t.Error(err)
	}
}

func TestOffForThirtyHoursWithoutNetworkRemovesItself(t *testing.T) {
	r, k := keptRig(t)
	r.activate()
	r.cancel()
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	r.server.mu.Lock()
	r.server.down = true
	r.server.mu.Unlock()
	r.mu.Lock()
	r.clock = lease.Reading{Wall: r.clock.Wall.Add(30 * time.Hour), Mono: 2 * time.Minute, Boot: "after"}
	r.mu.Unlock()
	r.again()
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	left := folders(r.cfg.Base)
	if len(left) != 1 || Pending(r.cfg.Base) != 1 { // the note for the server, and what brings it back to tell
		t.Fatalf("%q", left)
	}
	if _, err := os.Stat(filepath.Join(left[0], stateName)); err == nil {
		t.Error("the keys are still there")
	}
	r.server.mu.Lock()
	r.server.down = false
	r.server.mu.Unlock()
	r.again()
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if k.After("") != service.Never || len(folders(r.cfg.Base)) != 0 {
		t.Errorf("left: %q %q", k.After(""), folders(r.cfg.Base))
	}
}

func TestRestartIsAskedAndCanBeRefused(t *testing.T) {
	r, k := keptRig(t)
	r.activate()
	r.link.say(t, &wire.Reboot{})
	if m := hear[*wire.Rebooting](t, r.link); m.State != wire.RebootAsked || m.Left < 1 {
		t.Errorf("%+v", m)
	}
	r.view.until(t, "the question", func(m consent.Model) bool { return !m.RebootAt.IsZero() })
	r.do(consent.Action{Kind: consent.RebootNo})
	if m := hear[*wire.Rebooting](t, r.link); m.State != wire.RebootRefused {
		t.Errorf("%+v", m)
	}
	r.view.until(t, "the answer", func(m consent.Model) bool { return m.RebootAt.IsZero() })
	r.link.say(t, &wire.Reboot{})
	hear[*wire.Rebooting](t, r.link)
	r.do(consent.Action{Kind: consent.RebootNow})
	if m := hear[*wire.Rebooting](t, r.link); m.State != wire.RebootNow {
		t.Errorf("%+v", m)
	}
	r.eventually("a restart", func() bool { return k.get(func() int { return k.boots }) == 1 })
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Control})
	hear[*wire.RightsNow](t, r.link)
	r.link.say(t, &wire.Reboot{}) // who may not control may not restart
	if m := hear[*wire.Rebooting](t, r.link); m.State != wire.RebootFailed || m.Hint == "" {
		t.Errorf("%+v", m)
	}
}

func TestRestartGoesOnWhenNobodyAnswersAndSaysWhenTheSystemRefuses(t *testing.T) {
	was := rebootCountdown
	rebootCountdown = 50 * time.Millisecond
	t.Cleanup(func() { rebootCountdown = was })
	r, k := keptRig(t)
	k.deny = fault.New(fault.Denied, "reboot", "This computer does not allow it.", "Ask the customer.")
	r.activate()
	r.link.say(t, &wire.Reboot{})
	for _, want := range []string{wire.RebootAsked, wire.RebootNow, wire.RebootFailed} {
		if m := hear[*wire.Rebooting](t, r.link); m.State != want {
			t.Errorf("%+v, want %s", m, want)
		}
	}
}
