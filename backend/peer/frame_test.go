package peer

import (
	"bytes"
	"crypto/x509"
	"net"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"
)

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte{})
	f.Add(append([]byte{frameTag}, make([]byte, 32)...))
	f.Add(appendHello([16]byte{1}, [16]byte{2}, 3, []byte("hello")))
	f.Add(dataFrame(7, []byte("payload")))
	f.Add(pingFrame(1, 500, 2))
	f.Add(pongFrame(1, 2))
	f.Add(ackFrame(9))
	f.Add([]byte{frameBye, 'x'})
	f.Add([]byte{frameByeAck})
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := parseFrame(b)
		if err != nil {
			return
		}
		var back []byte
		switch x.kind {
		case frameTag:
			back = append([]byte{frameTag}, x.tag[:]...)
		case frameHello:
			back = appendHello(x.instance, x.known, x.n, x.body)
			back[1] = x.version
		case frameData:
			back = dataFrame(x.n, x.body)
		case framePing:
			back = pingFrame(x.id, x.next, x.n)
		case framePong:
			back = pongFrame(x.id, x.n)
		case frameAck:
			back = ackFrame(x.n)
		case frameBye:
			back = append([]byte{frameBye}, x.body...)
		case frameByeAck:
			back = []byte{frameByeAck}
		}
		if !bytes.Equal(back, b) {
			t.Fatalf("%x was read as %x", b, back)
		}
	})
}

func FuzzParseSignal(f *testing.F) {
	for k := range byte(8) {
		for _, n := range []int{0, 16, 32, 96} {
			f.Add(sigMsg(k, nid{1, 2}, make([]byte, n)))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSignal(b)
		if err != nil {
			return
		}
		var head [][]byte
		switch s.kind {
		case sigChallenge:
			head = [][]byte{s.instance[:], s.conn[:]}
		case sigWant:
			head = [][]byte{s.instance[:]}
		}
		if back := sigMsg(s.kind, s.nid, append(head, s.body)...); !bytes.Equal(back, b) {
			t.Fatalf("%x was read as %x", b, back)
		}
	})
}

func FuzzParseOffer(f *testing.F) {
	f.Add(offerBody(offerNew, nid{1}, "v=0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if kind, conn, sdp, err := parseOffer(b); err == nil && !bytes.Equal(offerBody(kind, conn, sdp), b) {
			t.Fatal("not the same")
		}
		if result, sdp, err := parseAnswer(b); err == nil && !bytes.Equal(append([]byte{result}, sdp...), b) {
			t.Fatal("not the same")
		}
	})
}

func TestUsableAddresses(t *testing.T) {
	for addr, want := range map[string][2]bool{ // usable outside, usable in LAN mode
		"192.168.1.7": {true, true}, "203.0.113.9": {true, true}, "2001:db8::1": {true, true},
		"127.0.0.1": {false, true}, "::1": {false, true}, "::ffff:127.0.0.1": {false, true},
		"224.0.0.251": {false, false}, "ff02::fb": {false, false}, "0.0.0.0": {false, false}, "::": {false, false},
		"255.255.255.255": {false, false},
	} {
		ip := net.ParseIP(addr)
		if usable(ip, false) != want[0] || usable(ip, true) != want[1] {
			t.Errorf("%s: %v outside, %v in LAN mode", addr, usable(ip, false), usable(ip, true))
		}
	}
	if usable(net.IP{1, 2}, true) {
		t.Error("two bytes are no address")
	}
}

func TestCertificateFingerprint(t *testing.T) {
	cert, der, err := newCertificate()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	fps, err := webrtc.CertificateFromX509(cert.PrivateKey, parsed).GetFingerprints() // another implementation
	if err != nil {
		t.Fatal(err)
	}
	if len(fps) != 1 || !strings.EqualFold(fps[0].Value, fingerprint(der)) {
		t.Errorf("%v, ours %s", fps, fingerprint(der))
	}
}

func FuzzParseDescription(f *testing.F) {
	f.Add("v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=setup:actpass\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 " +
		strings.Repeat("AA:", 31) + "AA\r\na=candidate:1 1 udp 2130706431 192.0.2.1 4242 typ host\r\n")
	f.Fuzz(func(t *testing.T, sdp string) {
		d, err := parseDescription(sdp)
		if err != nil {
			return
		}
		if d.ufrag == "" || d.pwd == "" || len(d.fingerprint) != 95 || len(d.candidates) > maxCandidates {
			t.Errorf("%+v", d)
		}
	})
}
