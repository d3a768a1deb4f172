package peer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v4/vnet"

	"daypass/backend/peer"
)

// wire is a simulated network with two machines on it, in simulated time.
type wire struct {
	router  *vnet.Router
	cut     atomic.Bool
	packets atomic.Int64
}

func newWire(t *testing.T) (w *wire, console, host *vnet.Net) {
	t.Helper()
	w = &wire{}
	var err error
	w.router, err = vnet.NewRouter(&vnet.RouterConfig{
		CIDR: "198.51.100.0/24", MinDelay: 20 * time.Millisecond, QueueSize: 10_000, LoggerFactory: logging.NewDefaultLoggerFactory(),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.router.AddChunkFilter(func(vnet.Chunk) bool {
		w.packets.Add(1)
		return !w.cut.Load()
	})
	var nets [2]*vnet.Net
	for i := range nets {
		if nets[i], err = vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{fmt.Sprintf("198.51.100.%d", 10+i)}}); err != nil {
			t.Fatal(err)
		}
		if err = w.router.AddNet(nets[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err = w.router.Start(); err != nil {
		t.Fatal(err)
	}
	return w, nets[0], nets[1]
}

// simulated runs f in simulated time with two open links.
func simulated(t *testing.T, f func(t *testing.T, w *wire, console, host *side)) {
	t.Helper()
	simulatedWith(t, nil, f)
}

// simulatedWith is simulated with another configuration.
func simulatedWith(t *testing.T, change func(console, host *peer.Config), f func(t *testing.T, w *wire, console, host *side)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, cn, hn := newWire(t)
		t.Cleanup(func() {
			if err := w.router.Stop(); err != nil {
				t.Error(err)
			}
		})
		console, host := twoSides(t, func(c, h *peer.Config) {
			c.Net, h.Net, c.LAN, h.LAN = cn, hn, false, false
			if change != nil {
				change(c, h)
			}
		})
		console.open()
		host.open()
		f(t, w, console, host)
	})
}

// chatter sends numbered messages both ways until stop and checks that each
// arrives once and in order. The last one of each direction is marked.
func chatter(t *testing.T, a, b peer.Channel, stop <-chan struct{}) (wait func() (received int)) {
	t.Helper()
	const last = 1 << 63
	results := make(chan int, 2)
	for _, d := range [][2]peer.Channel{{a, b}, {b, a}} {
		go func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			mark := uint64(0)
			for n := uint64(0); mark == 0; n++ {
				select {
				case <-tick.C:
				case <-stop:
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
				if len(m) != 8 {
					t.Errorf("message %d has %d bytes", n, len(m))
					return
				}
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
	return func() int { return <-results + <-results }
}

func TestCutsHeal(t *testing.T) {
	for _, c := range []struct {
		cut       time.Duration
		signaling bool // cut as well
	}{{3 * time.Second, true}, {30 * time.Second, true}, {30 * time.Second, false}, {10 * time.Minute, true}} {
		t.Run(fmt.Sprintf("%v signaling=%v", c.cut, c.signaling), func(t *testing.T) {
			simulated(t, func(t *testing.T, w *wire, console, host *side) {
				console.SetBusy(true)
				host.SetBusy(true)
				stop := make(chan struct{})
				if c.cut > time.Minute {
					close(stop) // the window would fill: one message each way
				}
				wait := chatter(t, console.Control(), host.Control(), stop)
				time.Sleep(time.Second)
				w.cut.Store(true)
				console.box.SetOffline(c.signaling)
				host.box.SetOffline(c.signaling)
				time.Sleep(c.cut)
				if s := console.State(); s == peer.Open {
					t.Error("console believes the path is alive")
				}
				if s := host.State(); s == peer.Open {
					t.Error("host believes the path is alive")
				}
				w.cut.Store(false)
				console.box.SetOffline(false)
				host.box.SetOffline(false)
				mended := time.Now()
				console.open()
				host.open()
				t.Logf("open %v after the mend (simulated time); %d connections", time.Since(mended), console.Stats().Connections)
				if c.cut <= time.Minute {
					time.Sleep(time.Second)
					close(stop)
				}
				t.Logf("%d control messages, each once", wait())
			})
		})
	}
}

// TestQuietHeartbeats: an open link on which nothing passes sends little, and
// both sides still notice a dead path in time.
func TestQuietHeartbeats(t *testing.T) {
	simulated(t, func(t *testing.T, w *wire, console, host *side) {
		console.SetBusy(true)
		host.SetBusy(true)
		time.Sleep(10 * time.Second)
		w.packets.Store(0)
		time.Sleep(20 * time.Second)
		if n := float64(w.packets.Load()) / 20; n > 11 {
			t.Errorf("%.1f packets a second", n)
		} else {
			t.Logf("%.1f packets a second", n)
		}
		if console.Stats().RTT == 0 || host.Stats().RTT == 0 {
			t.Error("a side does not know the round trip")
		}
		w.cut.Store(true)
		time.Sleep(500*time.Millisecond + 1200*time.Millisecond + 50*time.Millisecond)
		for _, s := range []*side{console, host} {
			if s.State() == peer.Open {
				t.Errorf("%s believes the path is alive", s.name)
			}
		}
		w.cut.Store(false)
		console.open()
		host.open()
	})
}

// TestIdleHeartbeats: a link that nobody uses stays what it is: no side waits
// for a heartbeat that the other never meant to send.
func TestIdleHeartbeats(t *testing.T) {
	simulated(t, func(t *testing.T, w *wire, console, host *side) {
		for range 600 { // of 100 ms
			for _, s := range []*side{console, host} {
				if state := s.State(); state != peer.Open {
					t.Fatalf("%s: %v, though every packet arrives", s.name, state)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// TestBusyHeartbeats: the same while messages pass in one direction only.
func TestBusyHeartbeats(t *testing.T) {
	simulated(t, func(t *testing.T, w *wire, console, host *side) {
		console.SetBusy(true)
		host.SetBusy(true)
		for range 50 {
			if err := host.Picture().Send([]byte("picture")); err != nil {
				t.Fatal(err)
			}
			receive(t, console.Picture())
			time.Sleep(100 * time.Millisecond)
		}
		w.cut.Store(true)
		time.Sleep(250*time.Millisecond + 1200*time.Millisecond + 50*time.Millisecond)
		for _, s := range []*side{console, host} {
			if s.State() == peer.Open {
				t.Errorf("%s believes the path is alive", s.name)
			}
		}
	})
}

func TestPeerRestart(t *testing.T) {
	simulated(t, func(t *testing.T, w *wire, console, host *side) {
		for range 3 {
			if err := console.Control().Send([]byte("before")); err != nil {
				t.Fatal(err)
			}
			receive(t, host.Control())
		}
		// The host's program dies without a word: nothing of it reaches anyone.
		w.cut.Store(true)
		host.box.SetOffline(true)
		host.end("")
		w.cut.Store(false)
		host.box.SetOffline(false)
		host.Link = peer.Listen(t.Context(), host.cfg)
		began := time.Now()
		host.open()
		if e := console.open(); !e.NewInstance || !e.Fresh || string(e.PeerHello) != "I am the host" {
			t.Errorf("console's event: %+v", e)
		}
		t.Logf("open %v after the restart (simulated time)", time.Since(began))
		if err := console.Control().Send([]byte("after")); err != nil {
			t.Fatal(err)
		}
		if got := string(receive(t, host.Control())); got != "after" {
			t.Errorf("got %q", got)
		}
	})
}

func TestStaleGatesWriters(t *testing.T) {
	simulated(t, func(t *testing.T, w *wire, console, host *side) {
		host.SetBusy(true)
		w.cut.Store(true)
		console.box.SetOffline(true)
		host.box.SetOffline(true)
		host.until("stale", func(e peer.Event) bool { return e.State == peer.Stale })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := host.Picture().Writable(ctx, 1<<20); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("writable on a stale path: %v", err)
		}
		sent := 0
		for ; host.Input().Send(make([]byte, 1000)) == nil; sent++ {
			if sent > 1000 {
				t.Fatal("a dead path takes without bound")
			}
		}
		w.cut.Store(false)
		console.box.SetOffline(false)
		host.box.SetOffline(false)
		if err := host.Input().Writable(t.Context(), 0); err != nil { // everything arrived
			t.Error(err)
		}
		for range sent {
			receive(t, console.Input())
		}
	})
}
