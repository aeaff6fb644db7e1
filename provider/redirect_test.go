package provider_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/manifest"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// redirectClients are a web and a native client with the redirect URIs that the
// tests twist. None is asked for consent where that can be avoided, so that a URI
// that slips through gets a code at once.
const redirectClients = `
version: 1
clients:
  - client_id: portal
    redirect_uris:
      - https://good.example/cb
      - https://good.example/cb?tenant=1
    grant_types: [authorization_code, refresh_token]
    scope: openid profile offline_access
    skip_consent: true
    secret: portal_secret_for_redirect_tests
  - client_id: one-uri
    redirect_uris: [https://good.example/only]
    skip_consent: true
    secret: one_uri_secret_for_redirect_tests
  - client_id: web-loopback
    redirect_uris: ["http://127.0.0.1:9000/cb", "http://[::1]:9000/cb"]
    post_logout_redirect_uris: ["http://127.0.0.1:9000/out"]
    skip_consent: true
    secret: loopback_secret_for_redirect_tests
  - client_id: native
    application_type: native
    redirect_uris:
      - http://127.0.0.1/cb
      - http://[::1]:7000/six?a=1
      - https://127.0.0.1/tls
      - http://localhost/name
      - com.example.app:/cb
    post_logout_redirect_uris: ["http://127.0.0.1/out", "http://[::1]:7000/out?a=1", "http://localhost/out", "com.example.app:/out"]
    skip_consent: true
    secret: native_secret_for_redirect_tests
  - client_id: disabled
    redirect_uris: [https://good.example/cb]
    skip_consent: true
    secret: disabled_secret_for_redirect_tests
`

func redirectPortal(s *harness.Server) *harness.RP {
	return s.RP("portal", "portal_secret_for_redirect_tests", "https://good.example/cb", "openid")
}

var shownError = regexp.MustCompile(`<main[^>]*data-error="([^"]*)"`)

// errorShown is the code of an error page, "" if p is none.
func errorShown(p *harness.Page) string {
	if m := shownError.FindStringSubmatch(p.Body); m != nil {
		return m[1]
	}
	return ""
}

// bobsGrants counts what was authorized so far: an attempt that must not succeed leaves it.
func bobsGrants(t *testing.T, s *harness.Server) int {
	t.Helper()
	bob, err := s.App.Store.UserByEmail(t.Context(), harness.Bob.Email)
	if err != nil {
		t.Fatal(err)
	}
	grants, err := s.App.Store.UserGrants(t.Context(), bob.ID, uuid.Max, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(grants)
}

// wrongRedirects are variants of https://good.example/cb that some parser, proxy
// or browser takes for it, or that lead elsewhere while they look like it.
var wrongRedirects = []string{
	// Path confusion (RFC 9700, section 4.1): one segment more, dot segments, parameters, escapes, case.
	"https://good.example/cb/", "https://good.example/cb/evil", "https://good.example/cb/..", "https://good.example/cb/../evil",
	"https://good.example/./cb", "https://good.example//cb", "https://good.example/cb//", "https://good.example/x/../cb", "https://good.example/cb;x",
	"https://good.example/cb;x=1", "https://good.example/%2e%2e/cb", "https://good.example/cb/%2e%2e/", "https://good.example/cb%2f..", "https://good.example/cb%2e",
	"https://good.example/%63b", "https://good.example/cb%20", "https://good.example/cb ", " https://good.example/cb", "https://good.example/CB",
	"https://good.example/cb.", "https://good.example/c", "https://good.example/", "https://good.example", "https://good.example/cb%00",
	"https://good.example\\cb", "https://good.example/cb\\", "https://good.example/cb%5c..%5cevil", "https:/good.example/cb", "https:good.example/cb", "https:///good.example/cb",
	// Query and fragment.
	"https://good.example/cb?", "https://good.example/cb?x=1", "https://good.example/cb?tenant=2", "https://good.example/cb?tenant=1&x=1",
	"https://good.example/cb?tenant=1#x", "https://good.example/cb?Tenant=1", "https://good.example/cb?tenant=%31", "https://good.example/cb&x=1",
	"https://good.example/cb#", "https://good.example/cb#frag", "https://good.example/cb%23frag", "https://good.example/cb%3Ftenant=1",
	// Authority confusion: user info, back slash, null, control characters, look-alikes (CVE-2023-6291).
	"https://good.example@evil.example/cb", "https://good.example:443@evil.example/cb", "https://good.example%40evil.example/cb",
	"https://user@good.example/cb", "https://user:pw@good.example/cb", "https://@good.example/cb", "https://good.example\\@evil.example/cb",
	"https://evil.example\\@good.example/cb", "https://good.example%00.evil.example/cb", "https://good.example%2eevil.example/cb", "https://good.example%0a.evil.example/cb",
	"https://good.example\t.evil.example/cb", "https://good.example\n/cb", "https://good.example\r\n/cb", "https\t://good.example/cb", "https://good.example/\tcb", "\thttps://good.example/cb",
	"https://good.example;.evil.example/cb", "https://good.example#@evil.example/cb", "https://good.example?@evil.example/cb", "https://evil.example#https://good.example/cb",
	"https://evil.example?https://good.example/cb", "https://evil.example/https://good.example/cb", "https://good.example.evil.example/cb", "https://evilgood.example/cb",
	"https://goodXexample/cb", "https://good.example./cb", "https://GOOD.example/cb", "https://good.example:443/cb", "https://good.example:8443/cb", "https://good.example:/cb",
	"https://g\u043e\u043ed.example/cb", "https://good\u3002example/cb", "https://good.example\u2215cb", "https://\u202egood.example/cb", "https://xn--god-1na.example/cb",
	// Scheme confusion.
	"http://good.example/cb", "HTTPS://good.example/cb", "//good.example/cb", "/cb", "cb", "good.example/cb", "ftp://good.example/cb",
	"javascript://good.example/cb%0aalert(1)", "javascript:alert(1)//https://good.example/cb", "data:text/html,https://good.example/cb", "vbscript:https://good.example/cb",
	"file:///good.example/cb", "blob:https://good.example/cb", "view-source:https://good.example/cb", "intent://good.example/cb", "*", "https://*/cb", "https://good.example/*", "https://*.example/cb",
	// Several at once, and far too long.
	"https://good.example/cb https://evil.example/", "https://good.example/cb,https://evil.example/", "https://evil.example/\nhttps://good.example/cb", "https://good.example/cb" + strings.Repeat("/", 4000),
}

// The redirect URI of a request is a registered string or the
// request ends here, on our page, with nothing stored. The browser is signed in and
// owes no answer: whatever matched would get a code.
func TestOnlyARegisteredRedirectURIIsEverRedirectedTo(t *testing.T) {
	if len(wrongRedirects) < 60 {
		t.Fatalf("the corpus has %d strings, want at least 60", len(wrongRedirects))
	}
	harness.EachEngine(t, harness.Options{Clients: redirectClients}, func(t *testing.T, s *harness.Server) {
		rp, b := redirectPortal(s), s.Browser(t)
		rp.SignIn(t, b, harness.Bob, nil)
		before := bobsGrants(t, s)
		for _, uri := range wrongRedirects {
			p := b.Get(t, rp.Authorize(url.Values{"redirect_uri": {uri}}).URL)
			if p.Away != nil || p.Status != http.StatusBadRequest || !slices.Contains([]string{"invalid_redirect_uri", "invalid_request"}, errorShown(p)) {
				t.Errorf("redirect_uri %q ends with %d %q, away %v; want a page here", uri, p.Status, errorShown(p), p.Away)
			}
			if strings.Contains(p.Body, `href="`+uri) || p.Header.Get("Location") != "" {
				t.Errorf("redirect_uri %q is linked or redirected to", uri)
			}
		}
		if after := bobsGrants(t, s); after != before {
			t.Errorf("%d grants were made for URIs that are not registered", after-before)
		}
		for _, uri := range []string{"https://good.example/cb", "https://good.example/cb?tenant=1"} {
			p := b.Get(t, rp.Authorize(url.Values{"redirect_uri": {uri}}).URL)
			if p.Away == nil || !strings.HasPrefix(p.Away.String(), uri) || p.Away.Query().Get("code") == "" {
				t.Errorf("redirect_uri %q ends with %d %q, away %v; want a code there", uri, p.Status, errorShown(p), p.Away)
			}
		}
		t.Run("none", func(t *testing.T) { redirectURIIsRequired(t, s, b) })
		t.Run("native", func(t *testing.T) { loopbackPorts(t, s, b) })
		t.Run("after signing out", func(t *testing.T) { loopbackPortsAfterLogout(t, s) })
		t.Run("errors stay", func(t *testing.T) { errorsStayHere(t, s, b) })
	})
}

// OpenID Connect requires the parameter, whether one or two are registered.
func redirectURIIsRequired(t *testing.T, s *harness.Server, b *harness.Browser) {
	for _, id := range []string{"portal", "one-uri"} {
		for name, v := range map[string][]string{"absent": nil, "empty": {""}} {
			p := b.Get(t, s.RP(id, "", "", "openid").Authorize(url.Values{"redirect_uri": v}).URL)
			if p.Away != nil || errorShown(p) != "missing_redirect_uri" {
				t.Errorf("%s, redirect_uri %s: %d %q, away %v; want missing_redirect_uri here", id, name, p.Status, errorShown(p), p.Away)
			}
		}
	}
}

// RFC 8252, section 7.3, and the defect of fosite that compares neither scheme nor
// user: any port of a literal http loopback URI, for native clients, and nothing else.
func loopbackPorts(t *testing.T, s *harness.Server, b *harness.Browser) {
	for _, tc := range []struct {
		client, uri string
		ok          bool
	}{
		{"native", "http://127.0.0.1/cb", true},
		{"native", "http://127.0.0.1:51004/cb", true},
		{"native", "http://127.0.0.1:1/cb", true},
		{"native", "http://[::1]:51004/six?a=1", true},
		{"native", "http://[::1]/six?a=1", true},
		{"native", "https://127.0.0.1/tls", true},
		{"native", "http://localhost/name", true},
		{"native", "com.example.app:/cb", true},
		{"native", "http://127.0.0.1:51004/cb2", false},
		{"native", "http://127.0.0.1:51004/cb/", false},
		{"native", "http://127.0.0.1:51004/cb?x=1", false},
		{"native", "http://127.0.0.1:51004/cb#x", false},
		{"native", "http://127.0.0.1:51004", false},
		{"native", "http://127.0.0.1:/cb", false},
		{"native", "http://127.0.0.1:x/cb", false},
		{"native", "http://127.0.0.1:-1/cb", false},
		{"native", "http://127.0.0.1:123456/cb", false},
		{"native", "http://127.0.0.1:65536/cb", false},
		{"native", "http://127.0.0.1:0/cb", false},
		{"native", "http://127.0.0.1:080/cb", false},
		{"native", "http://127.0.0.1:80:80/cb", false},
		{"native", "http://127.0.0.1:80@evil.example/cb", false},
		{"native", "http://127.0.0.1:80.evil.example/cb", false},
		{"native", "http://127.0.0.1.evil.example/cb", false},
		{"native", "http://user@127.0.0.1:51004/cb", false},
		{"native", "http://user:pw@127.0.0.1:51004/cb", false},
		{"native", "http://127.0.0.2/cb", false},
		{"native", "http://127.1/cb", false},
		{"native", "http://2130706433/cb", false},
		{"native", "http://0.0.0.0/cb", false},
		{"native", "http://[::1]:51004/cb", false},
		{"native", "http://[::1]:51004/six?a=2", false},
		{"native", "http://[::1%25lo]:51004/six?a=1", false},
		{"native", "http://[0:0:0:0:0:0:0:1]/six?a=1", false},
		{"native", "http://[::ffff:127.0.0.1]/cb", false},
		{"native", "http://localhost:51004/cb", false},
		{"native", "http://localhost:51004/name", false},
		{"native", "https://127.0.0.1:51004/tls", false},
		{"native", "http://127.0.0.1/tls", false},
		{"native", "http://127.0.0.1:51004/tls", false},
		{"native", "https://127.0.0.1:51004/cb", false},
		{"native", "com.example.app:/cb2", false},
		{"native", "com.example.app://cb", false},
		{"native", "com.example.app:51004/cb", false},
		{"web-loopback", "http://127.0.0.1:9000/cb", true},
		{"web-loopback", "http://127.0.0.1:9001/cb", false},
		{"web-loopback", "http://127.0.0.1/cb", false},
		{"web-loopback", "http://[::1]:9001/cb", false},
	} {
		p := b.Get(t, s.RP(tc.client, "", tc.uri, "openid").Authorize(nil).URL)
		got := p.Away != nil && strings.HasPrefix(p.Away.String(), tc.uri) && p.Away.Query().Get("code") != ""
		if got != tc.ok || (!tc.ok && errorShown(p) != "invalid_redirect_uri") {
			t.Errorf("%s may be answered at %s: %v (%d %q, away %v), want %v", tc.client, tc.uri, got, p.Status, errorShown(p), p.Away, tc.ok)
		}
	}
}

// A native app listens on any port for the answer to a logout too (RFC 8252, section 7.3).
func loopbackPortsAfterLogout(t *testing.T, s *harness.Server) {
	b := s.Browser(t)
	for _, tc := range []struct {
		client, uri string
		ok          bool
	}{
		{"native", "http://127.0.0.1/out", true},
		{"native", "http://127.0.0.1:51004/out", true},
		{"native", "http://127.0.0.1:1/out", true},
		{"native", "http://[::1]:51004/out?a=1", true},
		{"native", "http://[::1]/out?a=1", true},
		{"native", "http://localhost/out", true},
		{"native", "com.example.app:/out", true},
		{"native", "http://127.0.0.1:51004/out2", false},
		{"native", "http://127.0.0.1:51004/cb", false},
		{"native", "http://127.0.0.1:0/out", false},
		{"native", "http://127.0.0.1:80@evil.example/out", false},
		{"native", "http://[::1]:51004/out", false},
		{"native", "http://localhost:51004/out", false},
		{"native", "https://127.0.0.1:51004/out", false},
		{"web-loopback", "http://127.0.0.1:9000/out", true},
		{"web-loopback", "http://127.0.0.1:9001/out", false},
	} {
		p := b.Get(t, "/oauth2/logout?"+url.Values{"client_id": {tc.client}, "post_logout_redirect_uri": {tc.uri}, "state": {"x"}}.Encode())
		if got := p.Away != nil && strings.HasPrefix(p.Away.String(), tc.uri) && p.Away.Query().Get("state") == "x"; got != tc.ok {
			t.Errorf("%s is left for %s: %v (%d %q, away %v), want %v", tc.client, tc.uri, got, p.Status, errorShown(p), p.Away, tc.ok)
		}
	}
}

// RFC 9700 section 4.11.2: as long as client and redirect URI are not known
// to be good no error of any kind is redirected: an open redirector would be the result.
func errorsStayHere(t *testing.T, s *harness.Server, b *harness.Browser) {
	registry := s.App.Identity
	if err := registry.Clients.Disable(t.Context(), identity.Operator(), "disabled"); err != nil {
		t.Fatal(err)
	}
	if err := s.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	mistakes := []url.Values{
		{}, {"scope": {"api:write"}}, {"scope": {""}}, {"response_type": {"token"}}, {"response_type": nil}, {"prompt": {"none"}}, {"prompt": {"none login"}},
		{"response_mode": {"web_message"}}, {"response_mode": {"form_post"}}, {"request": {"e30.e30."}}, {"request_uri": {"https://evil.example/object"}},
		{"registration": {"{}"}}, {"max_age": {"-1"}}, {"claims": {"{"}}, {"id_token_hint": {"x"}}, {"code_challenge_method": {"plain"}},
	}
	for name, wrong := range map[string]url.Values{
		"unknown client":  {"client_id": {"nobody"}},
		"no client":       {"client_id": nil},
		"disabled client": {"client_id": {"disabled"}},
		"unregistered":    {"redirect_uri": {"https://evil.example/cb"}},
		"of another":      {"redirect_uri": {"https://good.example/only"}},
		"no redirect":     {"redirect_uri": nil},
	} {
		for _, mistake := range mistakes {
			r := redirectPortal(s).Authorize(nil)
			for _, changes := range []url.Values{mistake, wrong} {
				for k, v := range changes {
					r.Params[k] = v
				}
			}
			p := b.Get(t, s.Issuer+"/oauth2/authorize?"+r.Params.Encode())
			want := "unknown_client"
			if _, ok := wrong["redirect_uri"]; ok {
				want = "invalid_redirect_uri"
			}
			if name == "no redirect" {
				want = "missing_redirect_uri"
			}
			if p.Away != nil || p.Status != http.StatusBadRequest || errorShown(p) != want {
				t.Errorf("%s and %v: %d %q, away %v; want %s here", name, mistake, p.Status, errorShown(p), p.Away, want)
			}
		}
	}
}

// A registration is literal. What looks like a pattern is refused before it can be one.
func TestARegistrationHoldsNoPatterns(t *testing.T) {
	s := harness.Start(t, storage.SQLite, harness.Options{})
	for _, uri := range []string{"https://*.example/cb", "https://good.example/*", "https://good.example/cb#x", "http://good.example/cb", "javascript:alert(1)",
		"data:text/html,x", "https://user@good.example/cb", "https://good.example/../cb", "https://good.example\\cb", "myapp:/cb"} {
		m := manifest.Read("clients.yaml", []byte("version: 1\nclients:\n  - client_id: x\n    secret: a_secret_of_a_client_in_a_test\n    redirect_uris: ['"+uri+"']\n"), manifest.Source{})
		if _, err := s.App.Manifest.Apply(t.Context(), identity.Operator(), m, nil); err == nil {
			t.Errorf("%q was registered as a redirect URI", uri)
		}
	}
}
