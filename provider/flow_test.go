package provider_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// The main job: a relying party sends a browser, the person signs in, agrees, and
// the relying party holds tokens that say who, for which organization, in which roles.
func TestARelyingPartyCompletesALogin(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		rp, b := s.Portal(), s.Browser(t)
		tokens := rp.SignIn(t, b, harness.Bob, nil)
		id := harness.Claims(t, tokens.IDToken)
		if id["iss"] != s.Issuer || id["aud"] != rp.ClientID || id["org_slug"] != "acme-corp" || id["acr"] != "urn:sallyport:acr:pwd" {
			t.Errorf("the ID token says %v", id)
		}
		status, info := rp.Userinfo(t, tokens.AccessToken)
		if status != http.StatusOK || info["sub"] != id["sub"] || info["email"] != harness.Bob.Email || info["email_verified"] != true {
			t.Errorf("userinfo answers %d %v", status, info)
		}
		again := rp.Refresh(t, tokens.RefreshToken)
		if again.Status != http.StatusOK || again.RefreshToken == tokens.RefreshToken || again.RefreshToken == "" {
			t.Errorf("the refresh answers %d %s, refresh token %q", again.Status, again.Error, again.RefreshToken)
		}
		// The second time nobody is asked: the session lives and the consent is remembered.
		r := rp.Authorize(url.Values{"prompt": {"none"}})
		if p := b.Get(t, r.URL); p.Away == nil || p.Away.Query().Get("code") == "" {
			t.Errorf("prompt=none ends at %s with %d, away %v", p.URL, p.Status, p.Away)
		}
	})
}

func TestAMachineGetsATokenForItsResource(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		rp := s.Machine()
		tokens := rp.Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"api:read"}})
		if tokens.Status != http.StatusOK || tokens.Scope != "api:read" || tokens.RefreshToken != "" || tokens.IDToken != "" {
			t.Fatalf("client_credentials answers %+v", tokens)
		}
		about := rp.Introspect(t, tokens.AccessToken)
		if about["active"] != true || about["aud"] != "https://api.acme-corp.example" || about["sub"] != rp.ClientID {
			t.Errorf("introspection says %v", about)
		}
	})
}
