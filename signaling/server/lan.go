package server

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// LANAddress is an address by which others on a network reach this computer.
type LANAddress struct {
	Address netip.Addr
	Name    string // of the network interface
}

// virtual are beginnings of names of interfaces that lead to containers,
// virtual machines and VPNs rather than to a network with people.
var virtual = []string{"docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "tun", "tap", "wg", "tailscale", "zt", "utun", "podman", "cni", "lxc", "lxd", "vEthernet"}

// LANAddresses returns this computer's IPv4 addresses for others, the likeliest
// first: real interfaces before virtual ones.
func LANAddresses() ([]LANAddress, error) {
	ifs, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []LANAddress
	for _, i := range ifs {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it went away in between
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLinkLocalUnicast() {
				out = append(out, LANAddress{p.Addr(), i.Name})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b LANAddress) int { return rank(a.Name) - rank(b.Name) })
	return out, nil
}

func rank(name string) int {
	if slices.ContainsFunc(virtual, func(v string) bool { return strings.HasPrefix(name, v) }) {
		return 1
	}
	return 0
}

// localPrefixes returns every address of this computer with its network.
func localPrefixes() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()))
		}
	}
	return out, nil
}
