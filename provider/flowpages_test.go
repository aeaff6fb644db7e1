package provider_test

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// homeClients are clients by where a person can start again with them.
const homeClients = `
version: 1
clients:
  - {client_id: site, redirect_uris: [https://site.example/cb], secret: secret-of-site-Zr8wq1LkVbX0}
  - {client_id: development, redirect_uris: ["http://localhost:5001/cb"], secret: secret-of-site-Zr8wq1LkVbX0}
  - {client_id: bare, redirect_uris: ["http://127.0.0.1/cb"], token_endpoint_auth_method: none}
  - {client_id: cli, application_type: native, redirect_uris: ["http://127.0.0.1/cb"], token_endpoint_auth_method: none}
  - {client_id: cli6, application_type: native, redirect_uris: ["http://[::1]:7000/cb"], token_endpoint_auth_method: none}
  - {client_id: named, application_type: native, redirect_uris: ["http://localhost/cb"], token_endpoint_auth_method: none}
  - {client_id: scheme, application_type: native, redirect_uris: ["com.example.app:/cb"], token_endpoint_auth_method: none}
  - {client_id: mixed, application_type: native, redirect_uris: ["http://127.0.0.1/cb", "com.example.app:/cb", "https://mixed.example/cb"], token_endpoint_auth_method: none}
  - {client_id: presented, application_type: native, client_uri: "https://presented.example/start", redirect_uris: ["http://127.0.0.1/cb"], token_endpoint_auth_method: none}
`

var backLink = regexp.MustCompile(`id="back" href="([^"]*)"`)

// A flow that a browser cannot go on with ends on a page that says why, with the way to
// the app; a program on the person's device has no address to go to.
func TestAFlowThatEndedLeadsToItsApp(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: homeClients}, func(t *testing.T, s *harness.Server) {
		b, other := s.Browser(t), s.Browser(t)
		other.Get(t, "/login")
		shows := func(name string, p *harness.Page, code, back string) {
			t.Helper()
			got := ""
			if m := backLink.FindStringSubmatch(p.Body); m != nil {
				got = m[1]
			}
			if p.Status != http.StatusBadRequest || errorShown(p) != code || got != back {
				t.Errorf("%s: %d %q with the way to %q, want %s and %q", name, p.Status, errorShown(p), got, code, back)
			}
		}
		late := map[string]*harness.Page{}
		clients := []struct{ id, redirectURI, home string }{
			{"site", "https://site.example/cb", "https://site.example"},
			{"development", "http://localhost:5001/cb", "http://localhost:5001"},
			{"bare", "http://127.0.0.1/cb", ""},
			{"cli", "http://127.0.0.1:51004/cb", ""},
			{"cli6", "http://[::1]:51004/cb", ""},
			{"named", "http://localhost/cb", ""},
			{"scheme", "com.example.app:/cb", ""},
			{"mixed", "http://127.0.0.1:51004/cb", "https://mixed.example"},
			{"presented", "http://127.0.0.1/cb", "https://presented.example/start"},
		}
		for _, c := range clients {
			rp := s.RP(c.id, "", c.redirectURI, "openid")
			late[c.id] = b.Get(t, rp.Authorize(nil).URL)
			page := b.Get(t, rp.Authorize(nil).URL)
			shows(c.id+", another browser", other.Get(t, page.URL.String()), "flow_elsewhere", c.home)
			shows(c.id+", no cookie", s.Browser(t).Get(t, page.URL.String()), "missing_cookie", c.home)
			if p := b.Get(t, "/oauth2/authorize?flow="+page.URL.Query().Get("flow")+"&cancel=1"); outcome(p) != "access_denied" {
				t.Fatalf("%s, cancelled: %s", c.id, outcome(p))
			}
			shows(c.id+", finished", b.Get(t, page.URL.String()), "flow_finished", c.home)
			shows(c.id+", finished, seen by another", other.Get(t, page.URL.String()), "flow_finished", c.home)
		}
		s.Clock.Advance(31 * time.Minute)
		for _, c := range clients {
			shows(c.id+", expired", b.Get(t, late[c.id].URL.String()), "flow_expired", c.home)
		}
	})
}
