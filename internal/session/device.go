package session

import (
	"cmp"
	"net/http"
)

// Device tells in words which browser a request comes from ("Firefox on Linux")
// and from which network ("203.0.113.0/24", never the exact address): what a
// session of it would be listed with, for notices.
func (m *Manager) Device(r *http.Request) (browser, network string) {
	network4, network6 := networks(m.address(r))
	return browserName(r.UserAgent()), cmp.Or(network4, network6)
}
