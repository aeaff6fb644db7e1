package web

import (
	"cmp"
	"net/http"
	"net/netip"
	"strings"
)

// maxForwardedHops bounds the work on X-Forwarded-For; no honest chain is near it.
const maxForwardedHops = 16

func peerAddr(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

func (web *Web) isTrusted(addr netip.Addr) bool {
	for _, p := range web.trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// clientAddr walks X-Forwarded-For from the right, from proxy to proxy, and stops at the first address that is not a
// trusted proxy's: what stands left of it was written by strangers. An entry that is no address ends the walk too.
func (web *Web) clientAddr(r *http.Request, trusted bool) netip.Addr {
	addr := peerAddr(r)
	if !trusted {
		return addr
	}
	lines := r.Header["X-Forwarded-For"]
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		rest := lines[i]
		for more := true; more; {
			var entry string
			rest, entry, more = cutLast(rest)
			next, ok := parseHop(entry)
			if hops++; !ok || hops > maxForwardedHops {
				return addr
			}
			if addr = next; !web.isTrusted(addr) {
				return addr
			}
		}
	}
	return addr
}

// forwardingHeaders name the client that a proxy speaks for.
var forwardingHeaders = []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip"}

// noteUntrusted remembers the first untrusted peer that speaks for a client, and logs it once: a proxy that is missing in
// TRUSTED_PROXIES gives everybody its own address, and the limits of that one address. The header's value is a
// stranger's text and is not logged.
func (web *Web) noteUntrusted(r *http.Request) {
	if web.untrusted.Load() != nil {
		return
	}
	for _, name := range forwardingHeaders {
		if len(r.Header[name]) == 0 {
			continue
		}
		network := networkOf(peerAddr(r))
		if network.IsValid() && web.untrusted.CompareAndSwap(nil, &network) {
			web.log.Warn("an untrusted peer sends "+name+", which is not believed", "network", network.String(),
				"remedy", "if this is your proxy, list its network in TRUSTED_PROXIES and let it send X-Forwarded-For; "+
					"until then everybody behind it shares one address and its limits")
		}
		return
	}
}

// UntrustedPeer returns the network of the first peer outside TrustedProxies that spoke for a client behind it, and the
// zero Prefix if none has.
func (web *Web) UntrustedPeer() netip.Prefix {
	if network := web.untrusted.Load(); network != nil {
		return *network
	}
	return netip.Prefix{}
}

// networkOf is an IPv4 address alone or an IPv6 /64, which are one customer's; the zero Prefix for no address.
func networkOf(addr netip.Addr) netip.Prefix {
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}

// cutLast splits "a, b, c" into "a, b" and "c".
func cutLast(list string) (rest, last string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", strings.TrimSpace(list), false
	}
	return list[:i], strings.TrimSpace(list[i+1:]), true
}

// parseHop reads an address, with a port or without, as proxies write them.
func parseHop(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

func schemeOf(r *http.Request, trusted bool) string {
	if trusted {
		_, proto, _ := cutLast(r.Header.Get("X-Forwarded-Proto"))
		if proto == "https" || proto == "http" {
			return proto
		}
	}
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// useForwardedHost puts the Host that a trusted proxy was asked for in the place of the one it asked us for. It is
// compared with the issuer's and never used to build anything.
func useForwardedHost(r *http.Request) {
	if _, host, _ := cutLast(r.Header.Get("X-Forwarded-Host")); host != "" {
		r.Host = host
	}
}

// isOurs reports whether the request is for the issuer's host, and then gives r.Host the issuer's spelling, which is
// also that of Origin.
func (web *Web) isOurs(r *http.Request) bool {
	if r.Host == web.host {
		return true
	}
	if strings.EqualFold(strings.TrimSuffix(r.Host, web.defaultPort), web.host) {
		r.Host = web.host
		return true
	}
	return web.anyHost[r.URL.Path]
}

// printableHost is the Host of a request for an error and its log line, without what could pass for other text there.
func printableHost(r *http.Request) string {
	const longestName = 255
	host := strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' || strings.ContainsRune("\"'`\\<>", c) {
			return '?'
		}
		return c
	}, r.Host[:min(len(r.Host), longestName)])
	return cmp.Or(host, "(none)")
}

// isPlainPath reports whether a path has one spelling only: nothing encoded that need not be, no empty or dot segment.
// None of ours needs more, and a path that two programs read differently is how checks in front are gone around.
func isPlainPath(r *http.Request) bool {
	path := r.URL.Path
	if path == "" || path[0] != '/' || r.URL.RawPath != "" {
		return false
	}
	for i := range len(path) {
		c := path[i]
		if c < 0x20 || c == 0x7f || c == '\\' {
			return false
		}
		if c == '/' && i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.' && isDotSegment(path[i+1:])) {
			return false
		}
	}
	return true
}

func isDotSegment(s string) bool {
	segment, _, _ := strings.Cut(s, "/")
	return segment == "." || segment == ".."
}
