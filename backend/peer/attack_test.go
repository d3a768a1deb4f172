package peer_test

import (
	"bytes"
	"context"
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
// own certificate, and passes on what it reads.
type middle struct {
	t        *testing.T
	mu       sync.Mutex
	toC, toH *webrtc.PeerConnection
	read     bytes.Buffer
	channel  map[string]func(*webrtc.DataChannel)
}

func intercept(t *testing.T, console, host *side) *middle {
	t.Helper()
	m := &middle{t: t, channel: map[string]func(*webrtc.DataChannel){}}
	se := webrtc.SettingEngine{}
	se.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithSettingEngine(se))
	var err error
	if m.toC, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	if m.toH, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, pc := range []*webrtc.PeerConnection{m.toC, m.toH} {
			if err := pc.GracefulClose(); err != nil {
				t.Log(err)
			}
		}
	})
	for _, label := range []string{"control", "input", "picture", "bulk"} {
		dh, err := m.toH.CreateDataChannel(label, nil)
		if err != nil {
			t.Fatal(err)
		}
		both := make(chan *webrtc.DataChannel, 1)
		fromH, fromC := make(chan []byte, 1000), make(chan []byte, 1000)
		dh.OnMessage(func(x webrtc.DataChannelMessage) { fromH <- x.Data })
		openH := make(chan struct{})
		dh.OnOpen(func() { close(openH) })
		m.channel[label] = func(dc *webrtc.DataChannel) {
			dc.OnMessage(func(x webrtc.DataChannelMessage) { fromC <- x.Data })
			both <- dc
		}
		go func() {
			var dc *webrtc.DataChannel
			select {
			case dc = <-both:
			case <-t.Context().Done():
				return
			}
			select {
			case <-openH:
			case <-t.Context().Done():
				return
			}
			for {
				var err error
				select {
				case b := <-fromH:
					err = dc.Send(b)
				case b := <-fromC:
					m.mu.Lock()
					m.read.Write(b)
					m.mu.Unlock()
					err = dh.Send(b)
				case <-t.Context().Done():
					return
				}
				if err != nil {
					return
				}
			}
		}()
	}
	m.toC.OnDataChannel(func(dc *webrtc.DataChannel) { m.channel[dc.Label()](dc) })
	console.box.Tap(func(b []byte) []byte {
		switch b[1] {
		case 3: // offer: kind(1) connection(8) SDP after the head of 10
			go m.swap(b, console, host)
			return nil
		case 5:
			return nil
		}
		return b
	})
	host.box.Tap(func(b []byte) []byte {
		switch b[1] {
		case 4:
			go func() {
				m.mu.Lock()
				defer m.mu.Unlock()
				if m.toH.SignalingState() == webrtc.SignalingStateHaveLocalOffer {
					if err := m.toH.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(b[11:])}); err != nil {
						t.Error(err)
					}
				}
			}()
			return nil
		case 5:
			return nil
		}
		return b
	})
	return m
}

// swap answers an offer in the host's place and makes one in the console's.
func (m *middle) swap(offer []byte, console, host *side) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.toC.RemoteDescription() != nil {
		return // repeated
	}
	check := func(err error) {
		if err != nil {
			m.t.Error(err)
		}
	}
	head := func(kind byte) []byte { return append([]byte{'C', kind}, offer[2:10]...) }

	check(m.toC.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(offer[19:])}))
	gathered := webrtc.GatheringCompletePromise(m.toC)
	a, err := m.toC.CreateAnswer(nil)
	check(err)
	check(m.toC.SetLocalDescription(a))
	<-gathered
	console.box.Inject(append(append(head(4), 1), m.toC.LocalDescription().SDP...))

	gathered = webrtc.GatheringCompletePromise(m.toH)
	o, err := m.toH.CreateOffer(nil)
	check(err)
	check(m.toH.SetLocalDescription(o))
	<-gathered
	host.box.Inject(append(append(head(3), offer[10:19]...), m.toH.LocalDescription().SDP...))
}

func (m *middle) saw(what string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Contains(m.read.Bytes(), []byte(what))
}

func underAttack(t *testing.T, binding bool) (console, host *side, m *middle) {
	console, host = twoSides(t, func(c, h *peer.Config) {
		peer.BreakHandshake(c, h, []byte("known to the two sides only"), binding)
		c.Hello = []byte("CONSOLE HELLO")
		h.Mailbox.(*peertest.Mailbox).SetOffline(true)
		c.Mailbox.(*peertest.Mailbox).SetOffline(true)
	})
	m = intercept(t, console, host)
	host.box.SetOffline(false)
	console.box.SetOffline(false)
	return console, host, m
}

func TestSwappedCertificateClosesLink(t *testing.T) {
	console, host, m := underAttack(t, true)
	if err := console.Control().Send([]byte("the secret")); err != nil {
		t.Fatal(err)
	}
	e := console.until("closed", func(e peer.Event) bool { return e.State == peer.Closed })
	if fault.KindOf(e.Err) != fault.Hostile || console.seen.PeerHello != nil {
		t.Errorf("console's event: %+v", e)
	}
	if m.saw("the secret") || m.saw("CONSOLE HELLO") {
		t.Error("something was served before the tag was verified")
	}
	if host.State() == peer.Open {
		t.Error("the host serves")
	}
}

// Without the binding the same attack succeeds: the test above tests something.
func TestWithoutBindingTheAttackerReads(t *testing.T) {
	console, host, m := underAttack(t, false)
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
