package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"daypass/backend/fault"
	"daypass/backend/peer"
	"daypass/backend/peer/peertest"
)

// middle is an attacker who owns the mailbox and has broken the handshake: it
// answers the console as the host, calls the host as the console, each with its
// own certificate, and passes on what it reads. The console may start over, as
// it does with a host that is slow to answer; the attacker starts over with it.
type middle struct {
	t                     *testing.T
	console, host         *side
	holdConsole, holdHost bool // what it keeps for itself: the console's messages, the host's

	mu   sync.Mutex
	now  *round
	read bytes.Buffer
}

// round is the attack on one negotiation, known by its eight bytes.
type round struct {
	id       string
	toC, toH *webrtc.PeerConnection
}

func intercept(t *testing.T, console, host *side) *middle {
	t.Helper()
	m := &middle{t: t, console: console, host: host}
	t.Cleanup(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.now.close(t)
		m.now = nil
	})
	console.box.Tap(func(b []byte) []byte {
		switch b[1] {
		case 3: // offer: kind(1) connection(8) SDP after the head of 10
			go m.swap(b)
			return nil
		case 5:
			return nil
		}
		return b
	})
	host.box.Tap(func(b []byte) []byte {
		switch b[1] {
		case 4:
			go m.answered(b)
			return nil
		case 5:
			return nil
		}
		return b
	})
	return m
}

func (r *round) close(t *testing.T) {
	if r == nil {
		return
	}
	for _, pc := range []*webrtc.PeerConnection{r.toC, r.toH} {
		if err := pc.GracefulClose(); err != nil {
			t.Log(err)
		}
	}
}

// begin makes the attacker's two ends of a negotiation and joins their
// channels. The caller holds m.mu.
func (m *middle) begin(id string) error {
	se := webrtc.SettingEngine{}
	se.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithSettingEngine(se))
	toC, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	toH, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return errors.Join(err, toC.Close())
	}
	m.now = &round{id, toC, toH}
	arrives := map[string]func(*webrtc.DataChannel){}
	for _, label := range []string{"control", "input", "picture", "bulk"} {
		dh, err := toH.CreateDataChannel(label, nil)
		if err != nil {
			return err
		}
		fromH, fromC := make(chan []byte, 1000), make(chan []byte, 1000)
		dh.OnMessage(func(x webrtc.DataChannelMessage) { fromH <- x.Data })
		dh.OnOpen(func() { go m.pass(fromC, dh, true, m.holdConsole) })
		arrives[label] = func(dc *webrtc.DataChannel) {
			dc.OnMessage(func(x webrtc.DataChannelMessage) { fromC <- x.Data })
			dc.OnOpen(func() { go m.pass(fromH, dc, false, m.holdHost) })
		}
	}
	toC.OnDataChannel(func(dc *webrtc.DataChannel) { arrives[dc.Label()](dc) })
	return nil
}

// pass carries messages of one direction; the other goes on when it ends.
func (m *middle) pass(from <-chan []byte, to *webrtc.DataChannel, note, hold bool) {
	for {
		select {
		case b := <-from:
			if note {
				m.mu.Lock()
				m.read.Write(b)
				m.mu.Unlock()
			}
			if !hold && to.Send(b) != nil {
				return
			}
		case <-m.t.Context().Done():
			return
		}
	}
}

func (m *middle) answered(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.now; r != nil && r.id == string(b[2:10]) && r.toH.SignalingState() == webrtc.SignalingStateHaveLocalOffer {
		if err := r.toH.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(b[11:])}); err != nil {
			m.t.Error(err)
		}
	}
}

// swap answers an offer in the host's place and makes one in the console's.
func (m *middle) swap(offer []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := string(offer[2:10])
	if m.t.Context().Err() != nil || m.now != nil && m.now.id == id {
		return // repeated
	}
	m.now.close(m.t)
	check := func(err error) {
		if err != nil {
			m.t.Error(err)
		}
	}
	check(m.begin(id))
	toC, toH := m.now.toC, m.now.toH
	head := func(kind byte) []byte { return append([]byte{'C', kind}, id...) }

	check(toC.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(offer[19:])}))
	gathered := webrtc.GatheringCompletePromise(toC)
	a, err := toC.CreateAnswer(nil)
	check(err)
	check(toC.SetLocalDescription(a))
	<-gathered
	m.console.box.Inject(append(append(head(4), 1), toC.LocalDescription().SDP...))

	gathered = webrtc.GatheringCompletePromise(toH)
	o, err := toH.CreateOffer(nil)
	check(err)
	check(toH.SetLocalDescription(o))
	<-gathered
	m.host.box.Inject(append(append(head(3), offer[10:19]...), toH.LocalDescription().SDP...))
}

func (m *middle) saw(what string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Contains(m.read.Bytes(), []byte(what))
}

func underAttack(t *testing.T, binding bool, set func(*middle)) (console, host *side, m *middle) {
	console, host = twoSides(t, func(c, h *peer.Config) {
		peer.BreakHandshake(c, h, []byte("known to the two sides only"), binding)
		c.Hello = []byte("CONSOLE HELLO")
		h.Mailbox.(*peertest.Mailbox).SetOffline(true)
		c.Mailbox.(*peertest.Mailbox).SetOffline(true)
	})
	m = intercept(t, console, host)
	set(m)
	host.box.SetOffline(false)
	console.box.SetOffline(false)
	return console, host, m
}

// Each side notices by itself; the attacker keeps the other's tag, so that
// neither depends on the other's being quick.
func TestSwappedCertificateClosesLink(t *testing.T) {
	for name, set := range map[string]func(*middle){
		"the console notices": func(m *middle) { m.holdConsole = true },
		"the host notices":    func(m *middle) { m.holdHost = true },
	} {
		t.Run(name, func(t *testing.T) {
			console, host, m := underAttack(t, true, set)
			if err := console.Control().Send([]byte("the secret")); err != nil {
				t.Fatal(err)
			}
			notices, other := console, host
			if m.holdHost {
				notices, other = host, console
			}
			e := notices.until("closed", func(e peer.Event) bool { return e.State == peer.Closed })
			if fault.KindOf(e.Err) != fault.Hostile || notices.seen.PeerHello != nil {
				t.Errorf("event: %+v", e)
			}
			if m.saw("the secret") || m.saw("CONSOLE HELLO") {
				t.Error("something was served before the tag was verified")
			}
			if other.State() == peer.Open {
				t.Error("the other side serves")
			}
		})
	}
}

// Without the binding the same attack succeeds: the test above tests something.
func TestWithoutBindingTheAttackerReads(t *testing.T) {
	console, host, m := underAttack(t, false, func(*middle) {})
	console.open()
	host.open()
	if err := console.Control().Send([]byte("the secret")); err != nil {
		t.Fatal(err)
	}
	if got := string(receive(t, host.Control())); got != "the secret" || !m.saw("the secret") {
		t.Errorf("host got %q, the attacker read it: %v", got, m.saw("the secret"))
	}
}

// A server that changes, cuts or invents negotiation messages delays, no more.
func TestTamperedNegotiation(t *testing.T) {
	simulatedWith(t, func(c, h *peer.Config) {
		for _, cfg := range []*peer.Config{c, h} {
			n := 0
			cfg.Mailbox.(*peertest.Mailbox).Tap(func(b []byte) []byte {
				n++
				if n%3 == 0 {
					return b
				}
				if n%3 == 1 && len(b) > 20 {
					return b[:len(b)-1-n%10]
				}
				b[len(b)-1-n%(len(b)-2)] ^= 1 << (n % 8)
				return b
			})
		}
	}, func(t *testing.T, _ *wire, console, host *side) {
		if s := console.Stats(); s.PeerFingerprint != host.Stats().OurFingerprint {
			t.Error("not the host's certificate")
		}
	})
}

// What was recorded is worth nothing later.
func TestReplayedNegotiation(t *testing.T) {
	var mu sync.Mutex
	var tape [][]byte
	console, host := twoSides(t, func(c, _ *peer.Config) {
		c.Mailbox.(*peertest.Mailbox).Tap(func(b []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			tape = append(tape, bytes.Clone(b))
			return b
		})
	})
	console.open()
	host.open()
	epoch := host.Stats().Epoch
	mu.Lock()
	for range 2 {
		for _, b := range tape {
			host.box.Inject(b)
		}
	}
	mu.Unlock()
	for i := range 20 {
		m := fmt.Sprintf("message %d", i)
		if err := console.Control().Send([]byte(m)); err != nil {
			t.Fatal(err)
		}
		if got := string(receive(t, host.Control())); got != m {
			t.Fatalf("got %q", got)
		}
	}
	if s := host.Stats(); s.Connections != 1 || s.Epoch != epoch {
		t.Errorf("a recording moved the host: %+v", s)
	}
}

func TestHostilePeer(t *testing.T) {
	for name, attack := range map[string]struct {
		channel int
		message []byte
	}{
		"oversize picture":        {2, make([]byte, peer.MaxMessage+1)},
		"oversize bulk":           {3, make([]byte, 65_000)},
		"oversize control":        {0, append([]byte{3, 0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, peer.MaxMessage+1)...)},
		"unknown control message": {0, []byte{99}},
		"gap in control":          {0, append([]byte{3, 0, 0, 0, 0, 0, 0, 0, 9}, 'x')},
		"second tag":              {0, append([]byte{1}, make([]byte, 32)...)},
		"acknowledges the future": {0, []byte{6, 0, 0, 0, 0, 0, 0, 9, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			console, host := twoSides(t, nil)
			console.open()
			host.open()
			if err := host.Raw(attack.channel, attack.message); err != nil {
				t.Fatal(err)
			}
			e := console.until("closed", func(e peer.Event) bool { return e.State == peer.Closed })
			if fault.KindOf(e.Err) != fault.Hostile {
				t.Errorf("console's event: %+v", e)
			}
			if err := console.Control().Send([]byte("x")); fault.KindOf(err) != fault.Cancelled {
				t.Errorf("send after the end: %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := console.Picture().Writable(ctx, 0); fault.KindOf(err) != fault.Cancelled {
				t.Errorf("writable after the end: %v", err)
			}
		})
	}
}

func TestUnusableConfig(t *testing.T) {
	l := peer.Dial(t.Context(), peer.Config{})
	select {
	case e := <-l.Events():
		if e.State != peer.Closed || fault.KindOf(e.Err) != fault.Internal {
			t.Errorf("event: %+v", e)
		}
	case <-time.After(patience):
		t.Fatal("no event")
	}
	if err := l.Close(t.Context(), ""); err != nil {
		t.Error(err)
	}
}
