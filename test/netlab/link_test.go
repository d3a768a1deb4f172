//go:build linux

package netlab_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/vnet"
	"go.uber.org/goleak"

	"daypass/backend/peer"
	"daypass/backend/peer/peertest"
	"daypass/test/netlab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait generously; how long things took is printed.
const patience = 60 * time.Second

// network is two machines and a cable that can be cut.
type network struct {
	lab           *netlab.Lab // nil over the simulation
	console, host transport.Net
	cut           func(bool)
}

// build uses namespaces, or the simulated network where they are missing and
// not demanded.
func build(t *testing.T) network {
	t.Helper()
	if err := netlab.Missing(); err == nil {
		l := netlab.New(t)
		l.Add("console", netip.MustParsePrefix("203.0.113.1/24"))
		l.Add("host", netip.MustParsePrefix("203.0.113.2/24"))
		return network{lab: l, console: l.Net("console"), host: l.Net("host"), cut: func(cut bool) {
			if cut {
				l.Cut("host")
			} else {
				l.Mend("host")
			}
		}}
	} else if netlab.Required() {
		t.Fatalf("this test needs network namespaces: %v", err)
	} else {
		t.Logf("over the simulated network: %v", err)
	}
	r, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "203.0.113.0/24", QueueSize: 10_000, LoggerFactory: logging.NewDefaultLoggerFactory()})
	if err != nil {
		t.Fatal(err)
	}
	var dead atomic.Bool
	r.AddChunkFilter(func(vnet.Chunk) bool { return !dead.Load() })
	var nets [2]*vnet.Net
	for i := range nets {
		if nets[i], err = vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{fmt.Sprintf("203.0.113.%d", i+1)}}); err != nil {
			t.Fatal(err)
		}
		if err := r.AddNet(nets[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return network{console: nets[0], host: nets[1], cut: dead.Store}
}

type side struct {
	*peer.Link
	t    *testing.T
	name string
	box  *peertest.Mailbox
	cfg  peer.Config
}

func connect(t *testing.T, n network) (console, host *side) {
	t.Helper()
	return connectWith(t, n, nil)
}

// connectWith is connect with another configuration.
func connectWith(t *testing.T, n network, change func(console, host *peer.Config)) (console, host *side) {
	t.Helper()
	cc, hc := peertest.Configs()
	cc.Net, hc.Net, cc.LAN, hc.LAN = n.console, n.host, false, false
	if change != nil {
		change(&cc, &hc)
	}
	if os.Getenv("PEER_LOG") != "" {
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cc.Log, hc.Log = log.With("side", "console"), log.With("side", "host")
	}
	console = &side{t: t, name: "console", box: cc.Mailbox.(*peertest.Mailbox), cfg: cc}
	host = &side{t: t, name: "host", box: hc.Mailbox.(*peertest.Mailbox), cfg: hc}
	began := time.Now()
	host.Link, console.Link = peer.Listen(t.Context(), hc), peer.Dial(t.Context(), cc)
	t.Cleanup(func() {
		console.end()
		host.end()
		console.box.Close()
		host.box.Close()
	})
	console.open()
	host.open()
	t.Logf("open after %v", time.Since(began).Round(time.Millisecond))
	return console, host
}

func (s *side) end() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Close(ctx, "test over"); err != nil {
		s.t.Errorf("%s: close: %v", s.name, err)
	}
}

func (s *side) open() peer.Event {
	s.t.Helper()
	late := time.After(patience)
	var all peer.Event
	for {
		select {
		case e, ok := <-s.Events():
			if !ok {
				s.t.Fatalf("%s: closed: %v", s.name, all.Err)
			}
			all.NewInstance = all.NewInstance || e.NewInstance
			all.Fresh = all.Fresh || e.Fresh
			all.Err = e.Err
			if e.State == peer.Open {
				return all
			}
		case <-late:
			s.t.Fatalf("%s: not open after %v; %s", s.name, patience, s.State())
		}
	}
}

// stream sends a numbered message every 100 ms both ways until stop, and checks
// that each arrives once and in order.
func stream(t *testing.T, a, b peer.Channel) (stop func() (received int)) {
	const last = 1 << 63
	quit, results := make(chan struct{}), make(chan int, 2)
	for _, d := range [][2]peer.Channel{{a, b}, {b, a}} {
		go func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for n, mark := uint64(0), uint64(0); mark == 0; n++ {
				select {
				case <-tick.C:
				case <-quit:
					mark = last
				}
				if err := d[0].Send(binary.BigEndian.AppendUint64(nil, n|mark)); err != nil {
					t.Errorf("send %d: %v", n, err)
					return
				}
			}
		}()
		go func() {
			n := 0
			defer func() { results <- n }()
			for m := range d[1].Receive() {
				got := binary.BigEndian.Uint64(m)
				if got&^last != uint64(n) {
					t.Errorf("message %d arrived as number %d", got&^last, n)
					return
				}
				n++
				if got&last != 0 {
					return
				}
			}
			t.Errorf("channel closed after %d messages", n)
		}()
	}
	return func() int {
		close(quit)
		return <-results + <-results
	}
}

func TestCutCables(t *testing.T) {
	for _, cut := range []time.Duration{3 * time.Second, 30 * time.Second} {
		t.Run(cut.String(), func(t *testing.T) {
			t.Parallel()
			n := build(t)
			console, host := connect(t, n)
			console.SetBusy(true)
			host.SetBusy(true)
			stop := stream(t, console.Control(), host.Control())
			n.cut(true)
			host.box.SetOffline(true) // signaling shares the cable
			time.Sleep(cut)
			if console.State() == peer.Open || host.State() == peer.Open {
				t.Error("the dead path was not noticed")
			}
			n.cut(false)
			mended := time.Now()
			host.box.SetOffline(false)
			console.open()
			host.open()
			t.Logf("after a cut of %v: open %v after the mend, %d connections, %d ICE restarts", cut, time.Since(mended).Round(time.Millisecond),
				console.Stats().Connections, console.Stats().Restarts)
			t.Logf("%d control messages, each once and in order", stop())
		})
	}
}

func TestPeerProgramRestarts(t *testing.T) {
	n := build(t)
	console, host := connect(t, n)
	n.cut(true) // so that no goodbye gets out
	host.box.SetOffline(true)
	host.end()
	n.cut(false)
	host.box.SetOffline(false)
	began := time.Now()
	host.Link = peer.Listen(t.Context(), host.cfg)
	host.open()
	if e := console.open(); !e.NewInstance || !e.Fresh {
		t.Errorf("console's event: %+v", e)
	}
	t.Logf("open %v after the restart", time.Since(began).Round(time.Millisecond))
	n.check(t, console, host)
}

func (n network) check(t *testing.T, console, host *side) {
	t.Helper()
	stop := stream(t, console.Control(), host.Control())
	t.Logf("%d control messages, each once and in order", stop())
}

func TestChangeOfNetwork(t *testing.T) {
	n := build(t)
	if n.lab == nil {
		t.Skip("the simulated network cannot change addresses")
	}
	console, host := connect(t, n)
	console.SetBusy(true)
	host.SetBusy(true)
	for i, who := range []string{"host", "console"} {
		stop := stream(t, console.Control(), host.Control())
		before := console.Stats()
		n.lab.Readdress(who, netip.MustParsePrefix(fmt.Sprintf("203.0.113.%d/24", 101+i)))
		changed := time.Now()
		for console.Stats().LocalAddr == before.LocalAddr && console.Stats().RemoteAddr == before.RemoteAddr {
			if time.Since(changed) > patience {
				t.Fatalf("%s changed its address and the link did not follow: %+v", who, console.Stats())
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err := console.Control().Writable(t.Context(), 1<<20); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s changed its address: open %v later, %s to %s", who, time.Since(changed).Round(time.Millisecond), console.Stats().LocalAddr, console.Stats().RemoteAddr)
		t.Logf("%d control messages, each once and in order", stop())
	}
}

// TestIdleCost prints what an open link with nothing on it costs, and bounds
// the traffic: it does not depend on the machine.
func TestIdleCost(t *testing.T) {
	n := build(t)
	if n.lab == nil {
		t.Skip("the simulated network counts no bytes")
	}
	console, host := connect(t, n)
	time.Sleep(3 * time.Second) // checks of other candidate pairs end
	const span = 10 * time.Second
	for _, busy := range []bool{false, true} {
		console.SetBusy(busy)
		host.SetBusy(busy)
		b0, p0 := n.lab.Traffic("host")
		c0 := cpu(t)
		time.Sleep(span)
		b1, p1 := n.lab.Traffic("host")
		kbit := float64(b1-b0) * 8 / 1000 / span.Seconds()
		t.Logf("busy %v: %.1f kbit/s and %.1f packets/s, both directions, headers included; %.2f %% of a core for both sides; heartbeat %v",
			busy, kbit, float64(p1-p0)/span.Seconds(), 100*(cpu(t)-c0).Seconds()/span.Seconds(), console.Stats().RTT)
		if !busy && kbit > 20 {
			t.Errorf("an idle link takes %.1f kbit/s, more than 20", kbit)
		}
	}
}

func cpu(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestNodesReachEachOther(t *testing.T) {
	n := build(t)
	if n.lab == nil {
		t.Skip("no namespaces")
	}
	ping := func() error {
		return n.lab.Command(t.Context(), "console", "ping", "-c", "1", "-W", "1", "203.0.113.2").Run()
	}
	if out, err := n.lab.Command(t.Context(), "host", "ip", "-4", "addr", "show", "eth0").Output(); err != nil || len(out) == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := os.Stat("/usr/bin/ping"); err != nil {
		t.Skip("no ping")
	}
	if err := ping(); err != nil {
		t.Fatal(err)
	}
	n.cut(true)
	if err := ping(); err == nil {
		t.Error("a cut cable carries")
	}
	n.cut(false)
	if err := ping(); err != nil {
		t.Error(err)
	}
}
