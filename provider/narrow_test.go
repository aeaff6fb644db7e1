package provider_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// What a refresh leaves out of scope is shown nowhere: not by the claims parameter, not in the ID token. org and
// org:<slug> are two spellings of one scope.
func TestANarrowedRefreshShowsNoMore(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		b := p.signedIn(t, harness.Bob)
		const claims = `{"userinfo":{"email":null,"name":null},"id_token":{"phone_number":null,"email":{"essential":true}}}`
		for _, id := range []string{"web", "jwt-rs"} {
			rp := p.peer(id)
			for scope, want := range map[string]struct {
				granted          string
				inInfo, inID     []string
				notInfo, notInID []string
			}{
				"": {"openid profile offline_access org", []string{"email", "name", "nickname", "org_id"}, []string{"phone_number", "email", "org_id"}, nil, nil},
				"openid profile offline_access org:acme-corp": {"openid profile offline_access org",
					[]string{"email", "name", "org_id"}, []string{"phone_number", "email", "org_id"}, nil, nil},
				"openid": {"openid", nil, nil, []string{"email", "name", "nickname", "org_id"}, []string{"phone_number", "email", "org_id"}},
				"openid profile": {"openid profile", []string{"name", "nickname"}, nil, []string{"email", "org_id"},
					[]string{"phone_number", "email", "org_id"}},
				"openid org":           {"openid org", []string{"org_id"}, []string{"org_id"}, []string{"email", "name"}, []string{"phone_number", "email"}},
				"openid org:acme-corp": {"openid org", []string{"org_id"}, []string{"org_id"}, []string{"email", "name"}, []string{"phone_number", "email"}},
			} {
				first := tokensFor(t, b, rp, url.Values{"scope": {"openid profile offline_access org:acme-corp"}, "claims": {claims}})
				form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.RefreshToken}}
				if scope != "" {
					form.Set("scope", scope)
				}
				got := rp.Token(t, form)
				if got.Status != http.StatusOK || got.Scope != want.granted {
					t.Fatalf("%s, %q: %d %s, scope %q, want %q", id, scope, got.Status, got.Error, got.Scope, want.granted)
				}
				_, info := rp.Userinfo(t, got.AccessToken)
				idToken := harness.Claims(t, got.IDToken)
				for where, x := range map[string]struct {
					claims   map[string]any
					has, not []string
				}{"userinfo": {info, want.inInfo, want.notInfo}, "the ID token": {idToken, want.inID, want.notInID}} {
					for _, c := range x.has {
						if x.claims[c] == nil {
							t.Errorf("%s, %q: %s lacks %s: %v", id, scope, where, c, x.claims)
						}
					}
					for _, c := range x.not {
						if x.claims[c] != nil {
							t.Errorf("%s, %q: %s has %s", id, scope, where, c)
						}
					}
				}
			}
		}
		acme := p.peer("acme")
		for scope, want := range map[string]string{"org:acme-corp api:read": "org api:read", "org": "org", "org:tech-startup": "", "org:acme": ""} {
			got := acme.Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
			if got.Scope != want || (want == "") != (got.Error == "invalid_scope") {
				t.Errorf("client_credentials for %q: %d %s, scope %q, want %q", scope, got.Status, got.Error, got.Scope, want)
			}
		}
	})
}
