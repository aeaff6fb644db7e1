package provider_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Which grants there are, for whom, and with which scopes. The
// password grant is not one of them (RFC 9700, section 2.4).
func TestGrantsAreThoseAClientIsRegisteredFor(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: redirectClients}, func(t *testing.T, s *harness.Server) {
		machine, web, noRefresh := s.Machine(), redirectPortal(s), s.RP("one-uri", "one_uri_secret_for_redirect_tests", "https://good.example/only", "openid")
		for _, tc := range []struct {
			rp   *harness.RP
			form url.Values
			want string
		}{
			{web, url.Values{"grant_type": {"password"}, "username": {harness.Bob.Email}, "password": {harness.Bob.Password}}, "unsupported_grant_type"},
			{web, url.Values{"grant_type": {"implicit"}}, "unsupported_grant_type"},
			{web, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {"x"}}, "unsupported_grant_type"},
			{web, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}}, "unsupported_grant_type"},
			{web, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {"x"}}, "unsupported_grant_type"},
			{web, url.Values{"grant_type": {"authorization_code refresh_token"}}, "unsupported_grant_type"},
			{web, url.Values{"grant_type": {"AUTHORIZATION_CODE"}}, "unsupported_grant_type"},
			{web, url.Values{"grant_type": {"authorization_code", "refresh_token"}}, "invalid_request"},
			{web, url.Values{"grant_type": {""}}, "invalid_request"},
			{web, url.Values{}, "invalid_request"},
			{web, url.Values{"grant_type": {"client_credentials"}}, "unauthorized_client"},
			{s.Mobile(), url.Values{"grant_type": {"client_credentials"}}, "unauthorized_client"},
			{machine, url.Values{"grant_type": {"authorization_code"}, "code": {secret.NewToken("sp_ac_")}}, "unauthorized_client"},
			{machine, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {secret.NewToken("sp_rt_")}}, "unauthorized_client"},
			{noRefresh, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {secret.NewToken("sp_rt_")}}, "unauthorized_client"},
			{machine, url.Values{"grant_type": {"client_credentials"}, "scope": {"openid offline_access"}}, "invalid_scope"},
			{machine, url.Values{"grant_type": {"client_credentials"}, "scope": {"api:read profile"}}, "invalid_scope"},
			{machine, url.Values{"grant_type": {"client_credentials"}, "scope": {"org"}}, "invalid_scope"},
			{machine, url.Values{"grant_type": {"client_credentials"}, "scope": {"roles"}}, "invalid_scope"},
		} {
			got := tc.rp.Token(t, tc.form)
			if got.Status != http.StatusBadRequest || got.Error != tc.want || got.AccessToken != "" || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s with %v: %d %s, want 400 %s that no cache keeps", tc.rp.ClientID, tc.form, got.Status, got.Error, tc.want)
			}
		}
		for asked, want := range map[string]string{"": "api:read api:write", "api:write": "api:write", "nonsense api:read API:READ api:read": "api:read"} {
			got := machine.Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {asked}})
			if got.Status != http.StatusOK || got.Scope != want || got.RefreshToken != "" || got.IDToken != "" || got.ExpiresIn != 900 || got.TokenType != "Bearer" {
				t.Errorf("client_credentials for %q: %+v, want %q, a bearer token for 900 s and nothing else", asked, got, want)
			}
			about := machine.Introspect(t, got.AccessToken)
			if about["sub"] != machine.ClientID || about["client_id"] != machine.ClientID || about["auth_time"] != nil || about["sid"] != nil {
				t.Errorf("introspection says %v, want the client for sub and no person", about)
			}
			if status, claims := web.Userinfo(t, got.AccessToken); status != http.StatusForbidden && status != http.StatusUnauthorized || claims["sub"] != nil {
				t.Errorf("userinfo of a machine answers %d %v", status, claims)
			}
		}
	})
}
