package relay

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"
	"go.uber.org/goleak"

	"daypass/backend/grant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDenyListAndTheLANAllowance(t *testing.T) {
	a := ACL{Relay: []netip.Addr{netip.MustParseAddr("198.51.100.7")}, Own: []netip.Addr{netip.MustParseAddr("8.8.4.4")}}
	for ip, want := range map[string]bool{
		"8.8.8.8": true, "8.8.4.4": false, "127.0.0.1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false, "10.1.2.3": false, "169.254.169.254": false,
		"64:ff9b::a00:1": false, "2002:0a00:0001::": false, "fe80::1": false, "fd00::1": false, "2a00:1450::1": true, "198.51.100.7": true, "255.255.255.255": false,
		"224.0.0.1": false, "::ffff:10.0.0.1": false, "100.64.1.1": false,
	} {
		if got := a.Allows(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
	a.Allow = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("127.0.0.0/8")}
	for ip, want := range map[string]bool{"10.1.2.3": true, "10.2.0.1": false, "127.0.0.1": false, "169.254.169.254": false} {
		if got := a.Allows(netip.MustParseAddr(ip)); got != want {
			t.Errorf("with a LAN, %s: %v", ip, got)
		}
	}
}

func start(t *testing.T, live func(grant.ID) bool) (*Relay, string) {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lo := netip.MustParseAddr("127.0.0.1")
	r, err := Start(Config{UDP: pc, Public: lo, Bind: lo, Live: live})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, pc.LocalAddr().String()
}

func client(t *testing.T, at, user, password string) *turn.Client {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lf := logging.NewDefaultLoggerFactory()
	lf.DefaultLogLevel = logging.LogLevelDisabled
	c, err := turn.NewClient(&turn.ClientConfig{STUNServerAddr: at, TURNServerAddr: at, Conn: pc, Username: user, Password: password, Realm: realm, LoggerFactory: lf, RTO: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); pc.Close() })
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOnlyMembersOfALiveSessionRelayAndNeverIntoTheServer(t *testing.T) {
	id, dead := grant.NewID(), grant.NewID()
	r, at := start(t, func(x grant.ID) bool { return x == id })

	user, pass := r.Credentials(dead, "host", time.Now().Add(time.Hour))
	if _, err := client(t, at, user, pass).Allocate(); err == nil {
		t.Error("a session that is not live got an allocation")
	}
	user, pass = r.Credentials(id, "host", time.Now().Add(-time.Second))
	if _, err := client(t, at, user, pass).Allocate(); err == nil {
		t.Error("credentials work after the session's end")
	}
	user, _ = r.Credentials(id, "host", time.Now().Add(time.Hour))
	if _, err := client(t, at, user, "guess").Allocate(); err == nil {
		t.Error("a wrong password works")
	}

	user, pass = r.Credentials(id, "host", time.Now().Add(time.Hour))
	c := client(t, at, user, pass)
	a, err := c.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, ip := range []string{"127.0.0.2", "169.254.169.254", "10.0.0.1", "192.168.1.1"} {
		if err := c.CreatePermission(&net.UDPAddr{IP: net.ParseIP(ip), Port: 80}); err == nil {
			t.Errorf("permission for %s granted", ip)
		}
	}

	// A service on the server's own address does not hear the relay, another
	// relayed socket does.
	svc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer svc.Close()
	c2 := client(t, at, user, pass)
	b, err := c2.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.WriteTo([]byte("x"), a.LocalAddr()); err != nil { // opens b for a
		t.Fatal(err)
	}
	if _, err := a.WriteTo([]byte("into the server"), svc.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.WriteTo([]byte("to the peer"), b.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if err := b.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, _, err := b.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "to the peer" {
		t.Fatalf("relay to relay: %q, %v", buf[:n], err)
	}
	// Sent before what arrived, over the same loopback: it would be here.
	if err := svc.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := svc.ReadFrom(buf); err == nil {
		t.Errorf("the service heard %q through the relay", buf[:n])
	}

	if r.Allocations() != 2 {
		t.Errorf("%d allocations, want 2", r.Allocations())
	}
	r.End(id)
	if r.Allocations() != 0 {
		t.Error("the session's end left relayed sockets")
	}
}

func TestQuotaOfASession(t *testing.T) {
	id := grant.NewID()
	r, at := start(t, func(grant.ID) bool { return true })
	user, pass := r.Credentials(id, "console", time.Now().Add(time.Hour))
	for i := range perSession + 1 {
		a, err := client(t, at, user, pass).Allocate()
		if (err == nil) != (i < perSession) {
			t.Fatalf("allocation %d: %v", i+1, err)
		}
		if err == nil {
			defer a.Close()
		}
	}
}

func FuzzParseUser(f *testing.F) {
	f.Add("1700000000:" + grant.NewID().String() + ":host")
	f.Add("::")
	f.Fuzz(func(t *testing.T, s string) {
		id, side, _, err := ParseUser(s)
		if err == nil && !strings.HasSuffix(s, ":"+side) {
			t.Fatalf("%q: %v %q", s, id, side)
		}
	})
}
