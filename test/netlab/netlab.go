//go:build linux

package netlab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/stdnet"
	"golang.org/x/sys/unix"
)

// Missing says what stops namespaces from being used here, or returns nil. It
// tries once a process.
func Missing() error { return missing() }

var missing = sync.OnceValue(func() error {
	if os.Geteuid() != 0 {
		return errors.New("root is missing")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("the program ip (package iproute2) is missing")
	}
	probe := prefix() + "probe"
	if err := ip("netns", "add", probe); err != nil {
		return fmt.Errorf("network namespaces are missing: %w", err)
	}
	return ip("netns", "del", probe)
})

// Required reports whether the environment demands that tests with namespaces
// run (DAYPASS_REQUIRE_NETNS=1), instead of being replaced or left out.
func Required() bool { return os.Getenv("DAYPASS_REQUIRE_NETNS") == "1" }

var labs atomic.Int64

// prefix names this process's namespaces: unique, and recognisable when the
// process died without cleaning up.
func prefix() string { return fmt.Sprintf("dplab-%d-", os.Getpid()) }

// Lab is one network. Its methods fail the test they were given; they are not
// safe for concurrent use, but for Do.
type Lab struct {
	tb    testing.TB
	name  string
	nodes map[string]netip.Prefix
	hub   string
}

// New makes a network without nodes, and removes it when the test ends. It
// sweeps what dead processes left. Call it only where Missing returns nil.
func New(tb testing.TB) *Lab {
	tb.Helper()
	sweep(tb)
	l := &Lab{tb: tb, name: fmt.Sprintf("%s%d-", prefix(), labs.Add(1)), nodes: map[string]netip.Prefix{}}
	l.hub = l.name + "sw"
	tb.Cleanup(func() {
		for n := range l.nodes {
			if err := ip("netns", "del", l.ns(n)); err != nil {
				tb.Error(err)
			}
		}
		if err := ip("netns", "del", l.hub); err != nil {
			tb.Error(err)
		}
	})
	l.must("netns", "add", l.hub)
	l.must("-n", l.hub, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
	l.must("-n", l.hub, "link", "set", "br0", "up")
	return l
}

// sweep removes namespaces of processes that are gone.
func sweep(tb testing.TB) {
	old, err := filepath.Glob("/run/netns/dplab-*")
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range old {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(p), "dplab-"), "-")
		n, err := strconv.Atoi(pid)
		if err != nil || !errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
			continue
		}
		if err := ip("netns", "del", filepath.Base(p)); err != nil {
			tb.Log(err)
		}
	}
}

func ip(args ...string) error {
	if out, err := exec.CommandContext(context.Background(), "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (l *Lab) must(args ...string) {
	l.tb.Helper()
	if err := ip(args...); err != nil {
		l.tb.Fatal(err)
	}
}

func (l *Lab) ns(node string) string   { return l.name + node }
func (l *Lab) port(node string) string { return "p-" + node }

// Add makes a node with one cable to the switch. The name has at most 8 bytes,
// the address is of a documentation network such as 203.0.113.1/24.
func (l *Lab) Add(node string, addr netip.Prefix) {
	l.tb.Helper()
	l.must("netns", "add", l.ns(node))
	l.nodes[node] = addr
	l.must("-n", l.ns(node), "link", "set", "lo", "up")
	l.must("link", "add", "eth0", "netns", l.ns(node), "type", "veth", "peer", "name", l.port(node), "netns", l.hub)
	l.must("-n", l.hub, "link", "set", l.port(node), "master", "br0")
	l.must("-n", l.hub, "link", "set", l.port(node), "up")
	l.must("-n", l.ns(node), "link", "set", "eth0", "up")
	l.must("-n", l.ns(node), "addr", "add", addr.String(), "dev", "eth0", "nodad")
}

// Cut takes the node's port at the switch down: the node keeps its address but
// nothing passes, as when a line dies beyond its router.
func (l *Lab) Cut(node string) {
	l.tb.Helper()
	l.must("-n", l.hub, "link", "set", l.port(node), "nomaster")
}

// Mend undoes Cut.
func (l *Lab) Mend(node string) {
	l.tb.Helper()
	l.must("-n", l.hub, "link", "set", l.port(node), "master", "br0")
}

// Isolate keeps the node from every other isolated node; it still reaches those
// that are not, as two customers of one provider reach its server alone.
func (l *Lab) Isolate(node string) {
	l.tb.Helper()
	l.must("-n", l.hub, "link", "set", l.port(node), "type", "bridge_slave", "isolated", "on")
}

// Readdress gives the node another address, as when it changes to another
// network.
func (l *Lab) Readdress(node string, addr netip.Prefix) {
	l.tb.Helper()
	l.must("-n", l.ns(node), "addr", "flush", "dev", "eth0")
	l.must("-n", l.ns(node), "addr", "add", addr.String(), "dev", "eth0", "nodad")
	l.nodes[node] = addr
}

// Slow shapes what the switch sends to the node with tc-netem(8) words, such as
// "delay 25ms loss 1%".
func (l *Lab) Slow(node, netem string) {
	l.tb.Helper()
	args := append([]string{"-n", l.hub, "qdisc", "replace", "dev", l.port(node), "root", "netem"}, strings.Fields(netem)...)
	if out, err := exec.CommandContext(context.Background(), "tc", args...).CombinedOutput(); err != nil {
		l.tb.Fatalf("tc %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Command prepares a program inside the node's namespace.
func (l *Lab) Command(ctx context.Context, node string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.ns(node)}, args...)...)
}

// Traffic returns the bytes that crossed the node's cable, both directions,
// Ethernet headers included, and the packets.
func (l *Lab) Traffic(node string) (bytes, packets uint64) {
	l.tb.Helper()
	err := l.Do(node, func() error {
		b, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			dev, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
			f := strings.Fields(rest)
			if !ok || dev != "eth0" || len(f) < 10 {
				continue
			}
			var n [4]uint64
			for i, col := range []int{0, 8, 1, 9} {
				if n[i], err = strconv.ParseUint(f[col], 10, 64); err != nil {
					return err
				}
			}
			bytes, packets = n[0]+n[1], n[2]+n[3]
			return nil
		}
		return errors.New("no eth0")
	})
	if err != nil {
		l.tb.Fatal(err)
	}
	return bytes, packets
}

// Do runs f on a thread of its own inside the node's namespace. Sockets that f
// opens stay in the namespace. f must not start goroutines that open more.
func (l *Lab) Do(node string, f func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine and takes the
		// namespace with it.
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+l.ns(node), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			result <- fmt.Errorf("namespace of %s: %w", node, err)
			return
		}
		err = unix.Setns(fd, unix.CLONE_NEWNET)
		if cerr := unix.Close(fd); err == nil {
			err = cerr
		}
		if err != nil {
			result <- fmt.Errorf("setns: %w", err)
			return
		}
		result <- f()
	}()
	return <-result
}

// Net returns the network of a node for a peer.Config: UDP sockets and
// interfaces are the node's, and so are TCP connections to a relay. Names are
// looked up outside.
func (l *Lab) Net(node string) transport.Net { return &nodeNet{Net: &stdnet.Net{}, lab: l, node: node} }

type nodeNet struct {
	*stdnet.Net
	lab  *Lab
	node string
}

func (n *nodeNet) Interfaces() (ifs []*transport.Interface, err error) {
	err = n.lab.Do(n.node, func() error {
		fresh, err := stdnet.NewNet()
		if err == nil {
			ifs, err = fresh.Interfaces()
		}
		return err
	})
	return ifs, err
}

func (n *nodeNet) ListenUDP(network string, a *net.UDPAddr) (c transport.UDPConn, err error) {
	err = n.lab.Do(n.node, func() error {
		u, err := net.ListenUDP(network, a)
		if err == nil {
			c = u
		}
		return err
	})
	return c, err
}

func (n *nodeNet) ListenPacket(network, a string) (c net.PacketConn, err error) {
	err = n.lab.Do(n.node, func() error {
		var lc net.ListenConfig
		c, err = lc.ListenPacket(context.Background(), network, a)
		return err
	})
	return c, err
}

func (n *nodeNet) DialTCP(network string, local, a *net.TCPAddr) (c transport.TCPConn, err error) {
	err = n.lab.Do(n.node, func() error {
		t, err := net.DialTCP(network, local, a)
		if err == nil {
			c = t
		}
		return err
	})
	return c, err
}
