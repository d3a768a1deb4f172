package server_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"daypass/backend/grant"
	"daypass/signaling/server"
	"daypass/signaling/signalingtest"
)

// What ICE hands out must work, over UDP and over TCP on the web port, and stop
// working when the session ends.
func TestTheRelayServesMembersUntilTheSessionEnds(t *testing.T) {
	for name, change := range map[string]func(*server.Config){
		"loopback":       func(*server.Config) {},
		"every address":  func(c *server.Config) { c.Listen, c.InsecureLAN, c.PublicURL = ":0", true, "" },
		"every IPv4":     func(c *server.Config) { c.Listen, c.InsecureLAN = "0.0.0.0:0", true },
		"own TURN place": func(c *server.Config) { c.TURN.Listen = "127.0.0.1:0" },
	} {
		t.Run(name, func(t *testing.T) {
			srv := signalingtest.Start(t, func(c *server.Config) { c.TURN.Listen = ""; change(c) })
			c, ck := srv.Console(t)
			s := session(t, c)
			m, h := srv.Host(t, s.ID)
			signalingtest.Activate(t, c, ck, m, h.Key, s.ID)
			ice, err := m.ICE(t.Context())
			if err != nil || len(ice) != 2 || len(ice[1].URLs) != 2 {
				t.Fatalf("%+v %v", ice, err)
			}
			clients := map[string]*turn.Client{}
			for _, u := range ice[1].URLs {
				at, transport, _ := strings.Cut(strings.TrimPrefix(u, "turn:"), "?transport=")
				var pc net.PacketConn
				if transport == "tcp" {
					conn, err := net.Dial("tcp", at)
					if err != nil {
						t.Fatal(err)
					}
					pc = turn.NewSTUNConn(conn)
				} else if pc, err = net.ListenPacket("udp4", ":0"); err != nil {
					t.Fatal(err)
				}
				lf := logging.NewDefaultLoggerFactory()
				lf.DefaultLogLevel = logging.LogLevelDisabled
				cl, err := turn.NewClient(&turn.ClientConfig{STUNServerAddr: at, TURNServerAddr: at, Conn: pc, Username: ice[1].Username, Password: ice[1].Credential, LoggerFactory: lf, RTO: 200 * time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				defer pc.Close()
				defer cl.Close()
				if err := cl.Listen(); err != nil {
					t.Fatal(err)
				}
				a, err := cl.Allocate()
				if err != nil {
					t.Fatalf("%s: %v", u, err)
				}
				defer a.Close()
				if ip := a.LocalAddr().(*net.UDPAddr).IP; ip.IsUnspecified() {
					t.Errorf("%s: relayed address %v", u, ip)
				}
				if cl.CreatePermission(&net.UDPAddr{IP: net.ParseIP("169.254.169.254"), Port: 80}) == nil {
					t.Errorf("%s: metadata address allowed", u)
				}
				clients[u] = cl
			}
			if err := c.End(t.Context(), s.ID, ended(t, ck, s.ID, grant.ByTechnician)); err != nil {
				t.Fatal(err)
			}
			for u, cl := range clients {
				if cl.CreatePermission(&net.UDPAddr{IP: net.ParseIP("8.8.8.8"), Port: 80}) == nil {
					t.Errorf("%s: still relays for a session that is over", u)
				}
			}
		})
	}
}
