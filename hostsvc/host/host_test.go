package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/receipt"
	"daypass/backend/rendezvous"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/removal"
	"daypass/hostsvc/screen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWholeSessionLeavesNothingBehind(t *testing.T) {
	r := newRig(t)
	program := filepath.Join(t.TempDir(), r.server.link.FileName(""))
	if err := os.WriteFile(program, []byte("ELF"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.cfg.Program = program
	r.activate()
	r.remote()
	r.input(wire.Input{Kind: wire.InputMove, X: 5, Y: 6})
	r.eventually("input", func() bool { return r.inj.count() == 1 })
	m := r.view.until(t, "doing", func(m consent.Model) bool { return m.Watching && m.Doing == grant.View|grant.Control })
	if m.Company != "Contoso IT" || m.Technician != "Mia Roth" || m.Rights != Offered {
		t.Errorf("%+v", m)
	}
	r.link.say(t, &wire.End{Ended: r.endedSigned(r.server.dev.Ed, grant.ByTechnician)})
	ending := hear[*wire.Ending](t, r.link)
	rem := hear[*wire.Removed](t, r.link)
	m = r.view.screen(t, consent.Removed)
	if ending.By != grant.ByTechnician || !m.Report.Clean || !m.Report.Told || m.Report.By != grant.ByTechnician {
		t.Errorf("%+v %+v", ending, m.Report)
	}
	var fact grant.Removed
	if err := grant.Open(r.server.hostKey, grant.ContextRemoved, rem.Removed, &fact); err != nil || !fact.Clean {
		t.Errorf("%+v, %v", fact, err)
	}
	if h := removal.HashLines(rem.Lines); !bytes.Equal(h[:], fact.Report) {
		t.Error("the signed hash is not the report's")
	}
	if r.running(7) != 0 || r.inj.released == 0 {
		t.Error("capture or input goes on")
	}
	for _, p := range []string{program, r.cfg.Base + "/host-_1.lock"} {
		if _, err := os.Lstat(p); !os.IsNotExist(err) {
			t.Errorf("%s is left", p)
		}
	}
	path := filepath.Join(t.TempDir(), "receipt.html")
	r.do(consent.Action{Kind: consent.SaveReceipt, Path: path})
	r.view.until(t, "receipt", func(m consent.Model) bool { return m.Report.SavedTo == path && m.Report.Fault == nil })
	html, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(html), "Mia Roth") || !strings.Contains(string(html), "Mia Roth opened the screen to see and control it") {
		t.Errorf("%s %v", html, err)
	}
	checkReceipt(t, strings.TrimSuffix(path, ".html")+".json", r.server.hostKey)
	r.do(consent.Action{Kind: consent.Leave})
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(r.cfg.Base); !os.IsNotExist(err) {
		e, _ := os.ReadDir(r.cfg.Base)
		t.Errorf("the folder is left: %v", e)
	}
}

func checkReceipt(t *testing.T, path string, key grant.Key) (receipt.Body, receipt.Verdict) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, body, err := receipt.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	v := receipt.Verify(f, body)
	if !v.Genuine || body.HostKey != key {
		t.Errorf("%+v", v)
	}
	return body, v
}

func TestStopWorksAtOnceAndWithoutTheNetwork(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.remote()
	r.input(wire.Input{Kind: wire.InputButton, Button: 0, Buttons: 1, Down: true})
	r.eventually("button", func() bool { return r.inj.count() == 1 })
	r.server.mu.Lock()
	r.server.down = true
	r.server.mu.Unlock()
	r.link.events <- peer.Event{State: peer.Stale}
	r.do(consent.Action{Kind: consent.Stop})
	r.eventually("capture stopped", func() bool { return r.running(7) == 0 })
	p := hear[*wire.Paused](t, r.link)
	if p.By != "customer" {
		t.Errorf("%+v", p)
	}
	r.view.until(t, "paused", func(m consent.Model) bool { return m.Paused && m.Watching && m.Doing == 0 })
	n := r.inj.count()
	r.input(wire.Input{Kind: wire.InputMove, X: 1})
	r.link.say(t, &wire.Open{})
	if ref := hear[*wire.Refused](t, r.link); ref.Asked != wire.KindOpen || ref.Kind != fault.Denied {
		t.Errorf("%+v", ref)
	}
	if r.inj.count() != n || r.inj.released == 0 || r.running(7) != 0 {
		t.Error("something goes on while stopped")
	}
	r.do(consent.Action{Kind: consent.Resume})
	if p := hear[*wire.Paused](t, r.link); p.By != "" {
		t.Errorf("%+v", p)
	}
	r.view.until(t, "resumed", func(m consent.Model) bool { return !m.Paused })
	if r.running(7) != 0 {
		t.Error("shown while the link is away")
	}
	r.link.events <- peer.Event{State: peer.Open}
	hear[*wire.Opened](t, r.link) // what the technician had open goes on
	r.eventually("picture", func() bool { return r.running(7) == 1 })
	r.link.say(t, &wire.Close{})
	r.eventually("closed", func() bool { return r.running(7) == 0 })
	r.do(consent.Action{Kind: consent.Stop})
	hear[*wire.Paused](t, r.link)
	r.do(consent.Action{Kind: consent.Resume})
	hear[*wire.Paused](t, r.link)
	r.view.until(t, "quiet", func(m consent.Model) bool { return !m.Paused && !m.Watching })
}

func TestRightsAreKeptWhateverTheConsoleSends(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.remote()
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Control, On: false})
	if n := hear[*wire.RightsNow](t, r.link); n.Rights != grant.View|grant.Clipboard {
		t.Errorf("%b", n.Rights)
	}
	n := r.inj.count()
	r.input(wire.Input{Kind: wire.InputMove, X: 1})
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Clipboard, On: false})
	hear[*wire.RightsNow](t, r.link)
	r.link.say(t, &wire.ClipGet{ID: 3})
	if ref := hear[*wire.Refused](t, r.link); ref.ID != 3 || ref.Kind != fault.Denied {
		t.Errorf("%+v", ref)
	}
	r.link.say(t, &wire.Clip{ID: 4, Last: true, Text: "x"})
	if ref := hear[*wire.Refused](t, r.link); ref.ID != 4 || r.clip.text != "" {
		t.Errorf("%+v", ref)
	}
	if r.inj.count() != n {
		t.Error("input without the right")
	}
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Terminal, On: true}) // never offered by this version
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Control, On: true})
	if n := hear[*wire.RightsNow](t, r.link); n.Rights != grant.View|grant.Control {
		t.Errorf("%b", n.Rights)
	}
	r.input(wire.Input{Kind: wire.InputMove, X: 2})
	r.eventually("input", func() bool { return r.inj.count() == n+1 })
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.View, On: false})
	r.eventually("capture stopped", func() bool { return r.running(7) == 0 })
	r.link.say(t, &wire.Open{})
	hear[*wire.Refused](t, r.link)
}

// What the server signed is the most, whatever the customer allowed when asked
// and the console would like: the company lost rights since it invited.
func TestTheServersSignedGrantIsTheMost(t *testing.T) {
	r := newRig(t)
	r.server.granted = grant.View
	r.activate()
	r.remote()
	r.input(wire.Input{Kind: wire.InputMove, X: 1})
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Control | grant.Clipboard, On: true})
	r.link.say(t, &wire.ClipGet{ID: 3})
	if ref := hear[*wire.Refused](t, r.link); ref.ID != 3 || ref.Kind != fault.Denied || !strings.Contains(ref.Message, "company") {
		t.Errorf("%+v", ref)
	}
	r.link.say(t, &wire.Clip{ID: 4, Last: true, Text: "x"})
	if ref := hear[*wire.Refused](t, r.link); ref.ID != 4 || r.clip.text != "" {
		t.Errorf("%+v", ref)
	}
	r.input(wire.Input{Kind: wire.InputMove, X: 2})
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.View, On: false})
	if n := hear[*wire.RightsNow](t, r.link); n.Rights != 0 {
		t.Errorf("%b", n.Rights)
	}
	if r.inj.count() != 0 {
		t.Error("input without the right")
	}
}

func TestViewOnlyAndOtherDisplay(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.link.say(t, &wire.Open{ViewOnly: true, Display: 8})
	if o := hear[*wire.Opened](t, r.link); o.Display != 8 {
		t.Errorf("%+v", o)
	}
	r.input(wire.Input{Kind: wire.InputMove, X: 1})
	r.link.say(t, &wire.Display{Display: 7})
	if o := hear[*wire.Opened](t, r.link); o.Display != 7 {
		t.Errorf("%+v", o)
	}
	r.eventually("one picture", func() bool { return r.running(8) == 0 && r.running(7) == 1 })
	if r.inj.count() != 0 {
		t.Error("input while only viewing")
	}
	r.link.say(t, &wire.Open{Display: 7})
	hear[*wire.Opened](t, r.link)
	r.input(wire.Input{Kind: wire.InputMove, X: 799, Y: 599})
	r.input(wire.Input{Kind: wire.InputMove, X: 800, Y: 599}) // beyond it
	r.eventually("input", func() bool { return r.inj.count() == 1 })
	r.link.say(t, &wire.Display{Display: 99})
	if ref := hear[*wire.Refused](t, r.link); ref.Kind != fault.NotFound {
		t.Errorf("%+v", ref)
	}
	r.link.say(t, &wire.Close{})
	r.eventually("closed", func() bool { return r.running(7) == 0 })
	r.view.until(t, "no bar", func(m consent.Model) bool { return !m.Watching && m.Doing == 0 })
}

func TestNothingIsShownWithoutTheBar(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.view.hide(true, time.Now())
	r.link.say(t, &wire.Open{})
	if p := hear[*wire.Paused](t, r.link); p.By != "bar" { // after HiddenLimit
		t.Errorf("%+v", p)
	}
	if r.running(7) != 0 || len(r.link.picture.out) != 0 {
		t.Error("captured without a bar")
	}
	r.view.hide(false, time.Time{})
	if p := hear[*wire.Paused](t, r.link); p.By != "" {
		t.Errorf("%+v", p)
	}
	r.remote()
	r.view.hide(true, time.Now().Add(-3*time.Second)) // hidden for longer than the limit
	if p := hear[*wire.Paused](t, r.link); p.By != "bar" {
		t.Errorf("%+v", p)
	}
	r.eventually("capture stopped", func() bool { return r.running(7) == 0 })
}

func TestClipboardBothWaysByRequest(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.clip.text = strings.Repeat("grüße ", 3000)
	r.link.say(t, &wire.ClipGet{ID: 9})
	var got strings.Builder
	for {
		c := hear[*wire.Clip](t, r.link)
		if c.ID != 9 {
			t.Fatalf("%+v", c)
		}
		got.WriteString(c.Text)
		if c.Last {
			break
		}
	}
	if got.String() != r.clip.text {
		t.Error("text changed on its way")
	}
	r.link.say(t, &wire.Clip{ID: 1, Part: 0, Text: "a"})
	r.link.say(t, &wire.Clip{ID: 1, Part: 1, Last: true, Text: "b"})
	r.eventually("set", func() bool { r.clip.mu.Lock(); defer r.clip.mu.Unlock(); return r.clip.text == "ab" })
	r.link.say(t, &wire.Clip{ID: 2, Part: 1, Last: true, Text: "b"})
	if ref := hear[*wire.Refused](t, r.link); ref.Asked != wire.KindClip || ref.ID != 2 {
		t.Errorf("%+v", ref)
	}
}

func TestOnlyWhoMaySignsAnEnd(t *testing.T) {
	r := newRig(t)
	r.activate()
	stranger := pairing.NewDevice()
	r.link.say(t, &wire.End{Ended: r.endedSigned(stranger.Ed, grant.ByTechnician)})
	other, err := grant.Sign(r.server.dev.Ed, grant.ContextEnded, grant.Ended{Session: grant.NewID(), By: grant.ByTechnician})
	if err != nil {
		t.Fatal(err)
	}
	r.link.say(t, &wire.End{Ended: other})
	r.remote() // still serves
	s := r.endedSigned(r.server.key, grant.ByLead)
	r.server.boxes[0].events <- rendezvous.HostEvent{Online: true, Ended: &s}
	if e := hear[*wire.Ending](t, r.link); e.By != grant.ByLead {
		t.Errorf("%+v", e)
	}
	r.view.screen(t, consent.Removed)
	r.do(consent.Action{Kind: consent.Leave})
	if err := r.wait(); err != nil {
		t.Error(err)
	}
}

func TestCustomerEndsWithTheServerToldAndSigned(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.remote()
	r.do(consent.Action{Kind: consent.EndAndRemove})
	m := r.view.screen(t, consent.Removed)
	if m.Report.By != grant.ByCustomer || !m.Report.Told {
		t.Errorf("%+v", m.Report)
	}
	r.server.mu.Lock()
	if len(r.server.ended) != 1 || r.server.ended[0].By != grant.ByCustomer || len(r.server.removed) != 1 || !r.server.removed[0].Clean {
		t.Errorf("%+v %+v", r.server.ended, r.server.removed)
	}
	r.server.mu.Unlock()
	r.do(consent.Action{Kind: consent.Leave})
	if err := r.wait(); err != nil {
		t.Error(err)
	}
}

func TestRestartTakesTheSessionUpAndExpiryEndsIt(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.cancel()
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	r.link, r.cfg.Link = newLink(), nil // the second start knows no link
	r.view = newView()
	r.cfg.View = r.view
	r.start()
	m := r.view.screen(t, consent.Connected)
	if m.Technician != "Mia Roth" {
		t.Errorf("%+v", m)
	}
	r.link.events <- peer.Event{State: peer.Open, PeerHello: []byte{}, NewInstance: true}
	hear[*wire.HostHello](t, r.link)
	r.cancel()
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.clock.Mono += 25 * time.Hour // a day asleep
	r.mu.Unlock()
	r.view = newView()
	r.cfg.View = r.view
	r.start()
	r.view.screen(t, consent.AskLink) // nothing is left to take up
	r.server.mu.Lock()
	if n := len(r.server.removed); n != 1 || r.server.ended[0].By != grant.ByExpiry {
		t.Errorf("%d removed, ended %+v", n, r.server.ended)
	}
	r.server.mu.Unlock()
	r.do(consent.Action{Kind: consent.Leave})
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(r.cfg.Base); !os.IsNotExist(err) {
		t.Error("something is left")
	}
}

// The customer is told once that the time runs out, also when the program
// starts again in between.
func TestTheLastHourIsToldOnce(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.view.screen(t, consent.Connected)
	told := func(k consent.LineKind, m consent.Model) (n int) {
		for _, l := range m.Events {
			if l.Kind == k {
				n++
			}
		}
		return n
	}
	again := func(passed time.Duration) consent.Model {
		r.cancel()
		if err := r.wait(); err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		r.clock.Mono += passed
		r.mu.Unlock()
		r.link, r.cfg.Link = newLink(), nil
		r.view = newView()
		r.cfg.View = r.view
		r.start()
		r.view.screen(t, consent.Connected)
		r.link.events <- peer.Event{State: peer.Open, PeerHello: []byte{}, NewInstance: true}
		hear[*wire.HostHello](t, r.link) // the first look at the clock is over
		return r.view.screen(t, consent.Connected)
	}
	for _, x := range []struct {
		passed        time.Duration
		hour, minutes int // how often the list says so
	}{{22 * time.Hour, 0, 0}, {65 * time.Minute, 1, 0}, {time.Minute, 1, 0}, {50 * time.Minute, 1, 1}, {time.Minute, 1, 1}} {
		if m := again(x.passed); told(consent.LineHourLeft, m) != x.hour || told(consent.LineMinutesLeft, m) != x.minutes {
			t.Errorf("%+v: %+v", x, m.Events)
		}
	}
	r.do(consent.Action{Kind: consent.EndAndRemove})
	r.view.screen(t, consent.Removed)
	r.do(consent.Action{Kind: consent.Leave})
	if err := r.wait(); err != nil {
		t.Error(err)
	}
}

func TestUninstallFinishesWhatWasInterrupted(t *testing.T) {
	r := newRig(t)
	r.activate()
	if _, err := Uninstall(t.Context(), r.cfg); !errors.As(err, new(*Busy)) {
		t.Errorf("while it runs: %v", err)
	}
	r.cancel()
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	reps, err := Uninstall(t.Context(), r.cfg)
	if err != nil || len(reps) != 1 || !reps[0].Clean {
		t.Fatalf("%+v, %v", reps, err)
	}
	if _, err := os.Lstat(r.cfg.Base); !os.IsNotExist(err) {
		t.Error("something is left")
	}
}

// ---- bad input ----

func TestWrongAndMistypedCodes(t *testing.T) {
	r := newRig(t)
	r.start()
	r.view.screen(t, consent.EnterCode)
	slip := r.server.code
	slip[0] = '0' + (slip[0]-'0'+1)%10
	r.do(consent.Action{Kind: consent.SubmitCode, Text: slip.Digits(), Rights: Offered})
	r.view.until(t, "slip", func(m consent.Model) bool { return m.Code == consent.CodeSlip })
	wrong := pairing.NewCode()
	r.do(consent.Action{Kind: consent.SubmitCode, Text: wrong.Digits(), Rights: Offered})
	m := r.view.until(t, "wrong", func(m consent.Model) bool { return m.Screen == consent.EnterCode && m.Code == consent.CodeWrong })
	if m.CodeLeft != 2 {
		t.Errorf("%d tries left, want 2: the slip must cost none", m.CodeLeft)
	}
	r.do(consent.Action{Kind: consent.SubmitCode, Text: r.server.code.Digits(), Rights: grant.View})
	m = r.view.screen(t, consent.Connected)
	if m.Allowed != grant.View {
		t.Errorf("allowed %b", m.Allowed)
	}
}

func refusedRig(t *testing.T, change func(*rig)) consent.Model {
	t.Helper()
	r := newRig(t)
	change(r)
	r.start()
	m := r.view.screen(t, consent.Refused)
	r.do(consent.Action{Kind: consent.Leave})
	err := r.wait()
	if err == nil || m.Fault == nil || m.Fault.Message == "" {
		t.Errorf("%v %+v", err, m.Fault)
	}
	if _, err := os.Lstat(r.cfg.Base); !os.IsNotExist(err) {
		t.Error("something is left")
	}
	return m
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*rig)
		want   consent.Refusal
	}{
		"no display":        {func(r *rig) { r.src.err = screen.ErrNoDisplay }, consent.NoDisplay},
		"wayland":           {func(r *rig) { r.src.err = screen.ErrWayland }, consent.Wayland},
		"expired link":      {func(r *rig) { r.server.infoErr = fault.New(fault.Expired, "", "over", "") }, consent.LinkExpired},
		"ended session":     {func(r *rig) { r.server.state = rendezvous.Ended }, consent.LinkExpired},
		"used link":         {func(r *rig) { r.server.state = rendezvous.Active }, consent.LinkUsed},
		"suspended company": {func(r *rig) { r.server.infoErr = fault.New(fault.Denied, "", "suspended", "") }, consent.CompanySuspended},
		"server gone":       {func(r *rig) { r.server.infoErr = fault.New(fault.Offline, "", "gone", "") }, consent.ServerUnreachable},
		"other computer":    {func(r *rig) { r.server.reject = true }, consent.OtherChosen},
	} {
		t.Run(name, func(t *testing.T) {
			if m := refusedRig(t, c.change); m.Refusal != c.want {
				t.Errorf("refusal %d, want %d", m.Refusal, c.want)
			}
		})
	}
}

func TestServerThatComesBackIsTriedAgain(t *testing.T) {
	r := newRig(t)
	r.server.infoErr = fault.New(fault.Offline, "", "gone", "")
	r.start()
	r.view.screen(t, consent.Refused)
	r.server.infoErr = nil
	r.do(consent.Action{Kind: consent.Retry})
	r.view.screen(t, consent.EnterCode)
}

func TestAlreadyRunningNamesTheSession(t *testing.T) {
	r := newRig(t)
	r.activate()
	second := newRig(t)
	second.cfg.Base = r.cfg.Base
	second.start()
	m := second.view.screen(t, consent.Refused)
	if m.Refusal != consent.AlreadyThere || m.Other != "Mia Roth, Contoso IT" {
		t.Errorf("%d %q", m.Refusal, m.Other)
	}
	second.do(consent.Action{Kind: consent.Leave})
	if fault.KindOf(second.wait()) != fault.Conflict {
		t.Error("no conflict")
	}
	third := newRig(t) // another display of the same user has its own session
	third.cfg.Base, third.cfg.Display = r.cfg.Base, ":2"
	third.activate()
	third.remote()
	r.remote() // the first goes on
}

func TestWrongFileAsksForTheLink(t *testing.T) {
	r := newRig(t)
	other := r.server.link
	other.Secret = pairing.NewSecret()
	r.cfg.Link = &other
	r.start()
	m := r.view.screen(t, consent.AskLink) // after wrongFile
	if m.Link != consent.LinkFile {
		t.Errorf("%d", m.Link)
	}
	r.do(consent.Action{Kind: consent.SubmitLink, Text: "hello"})
	r.view.until(t, "unknown", func(m consent.Model) bool { return m.Link == consent.LinkUnknown })
	r.do(consent.Action{Kind: consent.SubmitLink, Text: r.server.link.Page() + "#ABC"})
	r.view.until(t, "cut", func(m consent.Model) bool { return m.Link == consent.LinkCut })
	r.server.mu.Lock()
	r.server.act = nil
	r.server.mu.Unlock()
	r.do(consent.Action{Kind: consent.SubmitLink, Text: r.server.link.String()})
	r.view.screen(t, consent.EnterCode)
}

func TestLockedScreenIsSaid(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.src.err = screen.ErrLocked
	r.link.say(t, &wire.Open{})
	if ref := hear[*wire.Refused](t, r.link); !strings.Contains(ref.Message, "locked") {
		t.Errorf("%+v", ref)
	}
}

func TestJunkFromTheConsoleIsHarmless(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.remote()
	for _, b := range [][]byte{{}, {0}, {255, '{', '}'}, bytes.Repeat([]byte{1}, 40000), []byte("\x02{\"x\":1}")} {
		r.link.control.in <- b
		r.link.input.in <- b
		r.link.picture.in <- b
		r.server.boxes[0].in <- b
	}
	r.link.say(t, &wire.Removed{Removed: grant.Signed{Sig: make([]byte, 64)}})
	n := r.inj.count()
	r.input(wire.Input{Kind: wire.InputMove, X: 2})
	r.eventually("input", func() bool { return r.inj.count() == n+1 })
}

func FuzzParseState(f *testing.F) {
	r := newRig(f)
	dev := pairing.NewDevice()
	pin := &pairing.Pin{Role: pairing.RoleHost, Session: r.server.link.Session}
	if err := os.MkdirAll(r.cfg.Base, 0o700); err != nil {
		f.Fatal(err)
	}
	st, err := newState(r.cfg.Base, &pair{run: &run{cfg: r.cfg}, link: r.server.link, dev: dev, instance: rendezvous.NewInstance()}, pin, [32]byte{}, "", r.cfg.Base+"/lock")
	if err != nil {
		f.Fatal(err)
	}
	b, err := json.Marshal(st.stored)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseState(b); err == nil && (s.dev == nil || s.pin == nil || s.server == nil) {
			t.Fatal("half a state")
		}
	})
}

func FuzzParseHolder(f *testing.F) {
	f.Add([]byte(`{"pid":1,"session":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseHolder(b); err == nil && len(h.Session) > 300 {
			t.Fatal("too long")
		}
	})
}

func FuzzParseEpoch(f *testing.F) {
	f.Add([]byte("0000000000000001"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseEpoch(b); err == nil && len(b) != 16 {
			t.Fatalf("%q", b)
		}
	})
}
