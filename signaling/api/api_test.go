package api

import (
	"net/netip"
	"testing"
	"time"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

func TestANonceCountsOnceWithinTheWindow(t *testing.T) {
	n := &nonces{}
	now := time.Unix(1_700_000_000, 0)
	p := protocol.Proof{Key: grant.Key{1}, Nonce: [16]byte{1}}
	if !n.fresh(p, now) || n.fresh(p, now) {
		t.Fatal("a nonce was taken twice, or never")
	}
	other := p
	other.Key = grant.Key{2}
	if !n.fresh(other, now) {
		t.Error("another key's nonce collides")
	}
	// A proof may be Window old and come from a clock Window ahead: it must be
	// remembered for twice that, whenever the generations turn.
	for at := time.Duration(0); at <= 2*protocol.Window; at += 10 * time.Second {
		if n.fresh(p, now.Add(at)) {
			t.Fatalf("replayed after %v", at)
		}
	}
	n = &nonces{}
	n.fresh(protocol.Proof{}, now)
	n.fresh(p, now.Add(2*protocol.Window-time.Second)) // late in its generation
	for at := 2 * protocol.Window; at <= 4*protocol.Window-2*time.Second; at += 10 * time.Second {
		if n.fresh(p, now.Add(at)) {
			t.Fatalf("replayed after %v", at)
		}
	}
}

func TestAnAddressIsSlowedDownAloneAndSocketsAreCounted(t *testing.T) {
	r := &rates{m: map[netip.Addr]*rateOf{}}
	a, b := netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("2.2.2.2")
	n := 0
	for r.allow(a) && n < 10000 {
		n++
	}
	if n < 300 || n > 1000 {
		t.Errorf("%d requests at once", n)
	}
	if !r.allow(b) {
		t.Error("another address is slowed down, too")
	}
	c := &counter{m: map[netip.Addr]int{}}
	for i := range MaxOpenSockets + 1 {
		if got := c.add(a, MaxOpenSockets); got != (i < MaxOpenSockets) {
			t.Fatalf("socket %d: %v", i+1, got)
		}
	}
	if !c.add(b, MaxOpenSockets) {
		t.Error("another address has no place")
	}
	for range MaxOpenSockets {
		c.sub(a)
	}
	c.sub(b)
	if len(c.m) != 0 {
		t.Errorf("%v left", c.m)
	}
}
