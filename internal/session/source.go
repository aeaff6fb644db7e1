package session

import (
	"net/http"
	"net/netip"

	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Source is where a request comes from, in values, for what makes sessions without seeing the
// request.
type Source struct {
	// Token is the hash of the token that the request came with, zero for none: a browser's, or
	// with API a program's.
	Token secret.Hash
	// API: a session token is to be the answer, not a cookie.
	API     bool
	Device  device.Device
	Address netip.Addr
	// Browser tells in words which browser it is ("Firefox on Linux"), Network4 and Network6
	// from which network (the /24 or the /56, never the exact address).
	Browser, Network4, Network6 string
	RequestID                   string
}

// Source reads where a browser's request comes from.
func (m *Manager) Source(r *http.Request) Source {
	from := Source{Token: m.Browser(r), Device: m.devices.Read(r), Address: m.address(r),
		Browser: browserName(r.UserAgent()), RequestID: m.requestID(r.Context())}
	from.Network4, from.Network6 = networks(from.Address)
	return from
}

// SourceByToken is Source for a program, which has a session token instead of a cookie.
func (m *Manager) SourceByToken(r *http.Request) Source {
	from := m.Source(r)
	from.Token, from.API = m.Token(r), true
	return from
}
