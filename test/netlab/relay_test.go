//go:build linux

package netlab_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"daypass/backend/grant"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/server"
	"daypass/signaling/signalingtest"
	"daypass/test/netlab"
)

const (
	relayAddr = "203.0.113.3"
	// relayMark makes this program, run again on a node, the signaling server.
	relayMark = "DAYPASS_NETLAB_RELAY"
)

// credentials are what the server gives the two sides of one session.
type credentials struct{ Console, Host []protocol.ICEServer }

// TestRelayServer is the server of TestRelay, on a node of its own: it brings a
// session to active, prints what its two sides got, ends the session when told
// to and goes on until its input ends.
func TestRelayServer(t *testing.T) {
	if os.Getenv(relayMark) == "" {
		t.Skip("started by TestRelay")
	}
	srv := signalingtest.Start(t, func(c *server.Config) {
		c.Embedded, c.InsecureLAN, c.Listen, c.TURN.Listen = false, true, relayAddr+":0", ""
	})
	c, key := srv.Console(t)
	s, err := c.CreateSession(t.Context(), rendezvous.NewSession{Subject: "Anna W.", Language: "de"})
	if err != nil {
		t.Fatal(err)
	}
	m, h := srv.Host(t, s.ID)
	signalingtest.Activate(t, c, key, m, h.Key, s.ID)
	var got credentials
	if got.Console, err = c.ICE(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	if got.Host, err = m.ICE(t.Context()); err != nil {
		t.Fatal(err)
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(got); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(os.Stdin)
	if !in.Scan() {
		return
	}
	end, err := grant.Sign(key, grant.ContextEnded, grant.Ended{Session: s.ID, By: grant.ByTechnician, At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.End(t.Context(), s.ID, end); err != nil {
		t.Fatal(err)
	}
	if err := out.Encode("ended"); err != nil {
		t.Fatal(err)
	}
	in.Scan()
}

// startRelay runs TestRelayServer on node. end ends its session.
func startRelay(t *testing.T, lab *netlab.Lab, node string) (got credentials, end func()) {
	t.Helper()
	cmd := lab.Command(context.WithoutCancel(t.Context()), node, os.Args[0], "-test.run=^TestRelayServer$", "-test.count=1")
	cmd.Env = append(os.Environ(), relayMark+"=1")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v\n%s", err, errs.String())
		}
	})
	out := bufio.NewReader(pipe)
	read := func(v any) {
		t.Helper()
		line, err := out.ReadString('\n')
		if err == nil {
			err = json.Unmarshal([]byte(line), v)
		}
		if err != nil {
			t.Fatalf("the server said %q: %v\n%s", line, err, errs.String())
		}
	}
	read(&got)
	return got, func() {
		t.Helper()
		if _, err := in.Write([]byte("end\n")); err != nil {
			t.Fatal(err)
		}
		var word string
		read(&word)
	}
}

// TestRelay: two computers that cannot reach each other, only the server, work
// through its relay, as long as their session lives.
func TestRelay(t *testing.T) {
	if err := netlab.Missing(); err != nil {
		if netlab.Required() {
			t.Fatalf("this test needs network namespaces: %v", err)
		}
		t.Skipf("no namespaces: %v", err)
	}
	lab := netlab.New(t)
	lab.Add("console", netip.MustParsePrefix("203.0.113.1/24"))
	lab.Add("host", netip.MustParsePrefix("203.0.113.2/24"))
	lab.Add("server", netip.MustParsePrefix(relayAddr+"/24"))
	lab.Isolate("console")
	lab.Isolate("host")
	if _, err := exec.LookPath("ping"); err == nil {
		if lab.Command(t.Context(), "console", "ping", "-c", "1", "-W", "1", "203.0.113.2").Run() == nil {
			t.Fatal("the console reaches the host without the relay")
		}
	}
	got, end := startRelay(t, lab, "server")
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			console, host := connectWith(t, network{console: lab.Net("console"), host: lab.Net("host")}, func(c, h *peer.Config) {
				c.ICE, h.ICE = only(transport, got.Console), only(transport, got.Host)
			})
			for _, s := range []*side{console, host} {
				x := s.Stats()
				if x.Path != peer.PathRelay {
					t.Errorf("%s: path %q: %+v", s.name, x.Path, x)
				}
				t.Logf("%s: %s %s to %s %s", s.name, x.LocalType, x.LocalAddr, x.RemoteType, x.RemoteAddr)
			}
			stop := stream(t, console.Control(), host.Control())
			carry(t, host.Picture(), console.Picture(), 200, peer.MaxMessage)
			carry(t, console.Input(), host.Input(), 200, 20)
			t.Logf("%d control messages, each once and in order, beside 200 pictures", stop())
		})
	}
	if err := allocate(t, lab.Net("console"), got.Console); err != nil {
		t.Fatalf("while the session lives: %v", err)
	}
	end()
	for who, servers := range map[string][]protocol.ICEServer{"console": got.Console, "host": got.Host} {
		if err := allocate(t, lab.Net(who), servers); err == nil {
			t.Errorf("the relay serves the %s of a session that is over", who)
		}
	}
}

// only keeps the STUN servers and the relay's address for one transport.
func only(transport string, all []protocol.ICEServer) func(context.Context) ([]protocol.ICEServer, error) {
	var out []protocol.ICEServer
	for _, s := range all {
		var urls []string
		for _, u := range s.URLs {
			if !strings.HasPrefix(u, "turn") || strings.HasSuffix(u, "="+transport) {
				urls = append(urls, u)
			}
		}
		s.URLs = urls
		out = append(out, s)
	}
	return func(context.Context) ([]protocol.ICEServer, error) { return out, nil }
}

// carry sends n messages of size bytes and checks that each arrives in order.
func carry(t *testing.T, from, to peer.Channel, n, size int) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			if err := from.Writable(t.Context(), 1<<20); err != nil {
				sent <- err
				return
			}
			if err := from.Send(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range n {
		select {
		case m := <-to.Receive():
			if !bytes.Equal(m, bytes.Repeat([]byte{byte(i)}, size)) {
				t.Fatalf("message %d is another one, of %d bytes", i, len(m))
			}
		case <-time.After(patience):
			t.Fatalf("message %d never came", i)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// allocate asks the relay for an address, over UDP.
func allocate(t *testing.T, n interface {
	ListenPacket(network, address string) (net.PacketConn, error)
}, servers []protocol.ICEServer,
) error {
	t.Helper()
	for _, s := range servers {
		for _, u := range s.URLs {
			at, ok := strings.CutSuffix(strings.TrimPrefix(u, "turn:"), "?transport=udp")
			if !ok {
				continue
			}
			pc, err := n.ListenPacket("udp4", "0.0.0.0:0")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			lf := logging.NewDefaultLoggerFactory()
			lf.DefaultLogLevel = logging.LogLevelDisabled
			c, err := turn.NewClient(&turn.ClientConfig{TURNServerAddr: at, Conn: pc, Username: s.Username, Password: s.Credential, LoggerFactory: lf})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Listen(); err != nil {
				t.Fatal(err)
			}
			a, err := c.Allocate()
			if err != nil {
				return err
			}
			return a.Close()
		}
	}
	t.Fatalf("no relay over UDP in %+v", servers)
	return nil
}
