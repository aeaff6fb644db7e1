package fetch

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// guardDial refuses connections of ours to addresses inside: it is asked with the
// address a name has resolved to, just before the connection is made, so no DNS
// answer gets past it. allow lists what the operator opens (OUTBOUND_ALLOW).
func guardDial(allow []netip.Prefix) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("outbound: %q is no address", address)
		}
		addr := ap.Addr().Unmap().WithZone("")
		if contains(allow, addr) {
			return nil
		}
		if !isPublic(addr) {
			return fmt.Errorf("outbound: %s is not a public address; OUTBOUND_ALLOW can open it", addr)
		}
		if port := ap.Port(); port != 443 && port != 80 && port < 1024 {
			return fmt.Errorf("outbound: port %d is not for the web", port)
		}
		return nil
	}
}

// reserved are the special-purpose blocks (RFC 6890 and its registry) that
// netip's own predicates do not cover.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

func isPublic(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast() && !contains(reserved, a)
}

func contains(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}
