package session

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"unicode"

	"github.com/mileusna/useragent"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// Status is what SESSION_PROTECTION makes of a session.
type Status int

const (
	// Ended: the session has been ended; nobody is signed in any more.
	Ended Status = iota
	// Stale: it is used from elsewhere; sensitive acts need a fresh sign-in.
	Stale
	// Valid: it is used from where it was made.
	Valid
)

// Check holds the visit's session against the browser and network of the request.
// Under strong protection a session that is used from another browser or network
// is ended with its grants that are not offline, and so is one that has idled out: the
// caller must go on as if nobody were signed in. It costs nothing as long as nothing has changed.
func (m *Manager) Check(r *http.Request, visit *storage.SessionContext) (Status, error) {
	s := &visit.Session
	if over, err := m.hasIdledOut(r.Context(), s); over || err != nil {
		return Ended, err
	}
	if m.protection == Off {
		return Valid, nil
	}
	network4, network6 := networks(m.address(r))
	otherBrowser := browserName(r.UserAgent()) != s.Browser
	otherNetwork := !s.AnyNetwork && (moved(s.Network4, network4) || moved(s.Network6, network6))
	switch {
	case (otherBrowser || otherNetwork) && m.protection == Basic:
		return Stale, nil
	case otherBrowser:
		return Ended, m.end(r, s.TokenHash, storage.EndBrowser)
	case otherNetwork:
		return Ended, m.endMoved(r, visit)
	}
	// A device with both families uses now one, now the other; the first of each counts.
	if network4 != "" && s.Network4 == "" || network6 != "" && s.Network6 == "" {
		if err := m.store.RecordNetwork(r.Context(), s.ID, network4, network6); err != nil {
			return Ended, err
		}
	}
	return Valid, nil
}

// endMoved ends a session because the network has changed. Only the browser's own device
// cookie, which the person's sign-in gave it, counts towards the exemption of such a
// browser: whoever has stolen the other cookie cannot bring it about.
func (m *Manager) endMoved(r *http.Request, visit *storage.SessionContext) error {
	var here secret.Hash
	if d := m.devices.Read(r); !m.devices.KnownSince(d, visit.User.EmailKey, device.ByPassword).IsZero() {
		here = deviceHash(d)
	}
	return m.store.EndMoved(r.Context(), visit.Session.TokenHash, here, m.requestID(r.Context()))
}

// deviceHash is what a device is known by in the database; zero for a browser without one.
func deviceHash(d device.Device) secret.Hash { return tokenHash(d.Token) }

// EndReason tells why the session of the browser, or of the token that the request bears,
// has ended: one of the reasons of package storage. It is "" where somebody is signed in,
// and where nobody was.
func (m *Manager) EndReason(r *http.Request) (string, error) {
	token := m.Browser(r)
	if r.Header.Get("Authorization") != "" {
		token = m.Token(r)
	}
	if token.IsZero() {
		return "", nil
	}
	reason, err := m.store.SessionEnd(r.Context(), token)
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	return reason, err
}

func moved(recorded, current string) bool {
	return recorded != "" && current != "" && recorded != current
}

// networks returns the /24 of an IPv4 address or the /56 of an IPv6 one: what
// stays while a provider hands out new addresses.
func networks(addr netip.Addr) (network4, network6 string) {
	addr = addr.Unmap().WithZone("")
	switch {
	case addr.Is4():
		return netip.PrefixFrom(addr, 24).Masked().String(), ""
	case addr.Is6():
		return "", netip.PrefixFrom(addr, 56).Masked().String()
	}
	return "", ""
}

// browserName is family and operating system without versions, "Firefox on
// Linux": what stays over updates, and what people recognise in a list.
func browserName(userAgent string) string {
	ua := useragent.Parse(userAgent[:min(len(userAgent), 512)])
	return plain(ua.Name, "Unknown browser") + " on " + plain(ua.OS, "unknown system")
}

// plain keeps what a browser claims about itself short and printable.
func plain(s, fallback string) string {
	s = strings.Map(func(c rune) rune {
		if c > unicode.MaxASCII || !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, s)
	if s == "" {
		return fallback
	}
	return s[:min(len(s), 40)]
}
