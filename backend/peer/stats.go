package peer

import (
	"net/netip"
	"time"

	"github.com/pion/ice/v4"
)

// Stats returns a snapshot. It may take a lock of the transport; once or twice
// a second is fine.
func (l *Link) Stats() Stats {
	s := Stats{
		State: l.State(), RTT: l.smoothed(), Last: time.Duration(l.last.Load()),
		OurFingerprint: fingerprint(l.certDER),
		Control:        l.ctl.traffic(), Input: l.lanes[input].traffic(), Picture: l.lanes[picture].traffic(), Bulk: l.lanes[bulk].traffic(),
		Connections: int(l.opens.Load()), Restarts: int(l.revive.Load()), Epoch: l.epoch.Load(),
	}
	c := l.active.Load()
	if c == nil || s.State == Closed {
		return s
	}
	s.SinceHeard = max(time.Since(l.start)-time.Duration(c.heardAt.Load()), 0)
	_, peer := c.certs()
	s.PeerFingerprint = fingerprint(peer)
	p := c.pc.pair()
	if p == nil {
		return s
	}
	s.Path = pathOf(p)
	s.LocalType, s.RemoteType = p.Local.Type().String(), p.Remote.Type().String()
	s.LocalAddr, s.RemoteAddr = addrPort(p.Local), addrPort(p.Remote)
	s.LocalProtocol = p.Local.NetworkType().NetworkShort()
	if t, ok := c.pc.agent.GetSelectedCandidatePairStats(); ok {
		s.TransportSent, s.TransportGot = t.BytesSent, t.BytesReceived
	}
	return s
}

func (c *conn) currentPath() string {
	p := c.pc.pair()
	if p == nil {
		return ""
	}
	return pathOf(p)
}

func pathOf(p *ice.CandidatePair) string {
	if p.Local.Type() == ice.CandidateTypeRelay || p.Remote.Type() == ice.CandidateTypeRelay {
		return PathRelay
	}
	return PathDirect
}

func addrPort(c ice.Candidate) netip.AddrPort {
	a, err := netip.ParseAddr(c.Address())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, uint16(c.Port()))
}
