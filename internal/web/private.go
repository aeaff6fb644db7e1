package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Private lets programs through to h, and people who type its address, and refuses what a page in their browser sends.
//
// A page of another site can make a browser send requests to a listener on loopback or in a private network. Where the
// name of that site is made to resolve to such an address (DNS rebinding), the page could also read the response, so the
// Host must be an IP address, localhost or one of hosts: those are not an attacker's to resolve. Other requests of a
// page carry Origin or Sec-Fetch-Site.
func Private(hosts []string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case !isPrivateHost(r.Host, hosts):
			http.Error(w, "The request came for the host "+printableHost(r)+", and this listener answers to IP addresses, localhost and the names in ADMIN_HOSTS.",
				http.StatusMisdirectedRequest)
		case isFromPage(r.Header):
			http.Error(w, "This listener does not answer requests that a web page sends.", http.StatusForbidden)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// isPrivateHost reports whether the Host is an IP address, localhost or one of names, with any port or none.
func isPrivateHost(host string, names []string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else if inside, ok := strings.CutPrefix(host, "["); ok {
		name = strings.TrimSuffix(inside, "]")
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.ToLower(name)
	return name == "localhost" || slices.Contains(names, name)
}

// isFromPage reports whether a page made a browser send the request, rather than a person who typed the address (for
// whom browsers say "none") or a program (which says nothing).
func isFromPage(h http.Header) bool {
	if _, ok := h["Origin"]; ok {
		return true
	}
	return slices.ContainsFunc(h["Sec-Fetch-Site"], func(site string) bool { return site != "none" })
}
