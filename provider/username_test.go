package provider_test

import (
	"net/url"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// preferred_username is the proven address for an app that may see the address, and the sub for others; whatever the
// person has typed, and though they have no name.
func testPreferredUsername(t *testing.T, p *peers) {
	b := p.signedIn(t, harness.Bob)
	for name, tc := range map[string]struct {
		client, scope, claims, refresh string
		inInfo, inID                   string // "email", "sub" or "" for none
	}{
		"profile and email":          {"web", "openid profile email", "", "", "email", ""},
		"profile alone":              {"web", "openid profile", "", "", "sub", ""},
		"email alone":                {"web", "openid email", "", "", "", ""},
		"in the ID token":            {"id-token", "openid profile email", "", "", "email", "email"},
		"in the ID token, profile":   {"id-token", "openid profile", "", "", "sub", "sub"},
		"asked by name":              {"web", "openid", `{"userinfo":{"preferred_username":null},"id_token":{"preferred_username":null}}`, "", "sub", "sub"},
		"asked by name, with email":  {"web", "openid email", `{"id_token":{"preferred_username":null}}`, "", "", "sub"},
		"both asked by name":         {"web", "openid", `{"userinfo":{"preferred_username":null,"email":null}}`, "", "sub", ""},
		"narrowed by a refresh":      {"web", "openid profile email offline_access", "", "openid profile", "sub", ""},
		"narrowed, the ID token too": {"id-token", "openid profile email offline_access", "", "openid profile", "sub", "sub"},
		"a JWT access token":         {"jwt-rs", "openid profile email", "", "", "email", ""},
	} {
		extra := url.Values{"scope": {tc.scope}}
		if tc.claims != "" {
			extra.Set("claims", tc.claims)
		}
		rp := p.peer(tc.client)
		tokens := tokensFor(t, b, rp, extra)
		if tc.refresh != "" {
			tokens = rp.Token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken}, "scope": {tc.refresh}})
		}
		_, info := rp.Userinfo(t, tokens.AccessToken)
		id := harness.Claims(t, tokens.IDToken)
		sub, _ := info["sub"].(string)
		is := map[string]any{"email": harness.Bob.Email, "sub": sub, "": nil}
		if got := info["preferred_username"]; sub == "" || got != is[tc.inInfo] {
			t.Errorf("%s: userinfo says %v, want the %s", name, got, tc.inInfo)
		}
		if got := id["preferred_username"]; got != is[tc.inID] {
			t.Errorf("%s: the ID token says %v, want the %s", name, got, tc.inID)
		}
	}
	// An address that nobody has proven is not told as a name, nor is what the person typed.
	tokens := tokensFor(t, b, p.peer("web"), url.Values{"scope": {"openid profile email"}})
	if _, err := database(t, p.Server).ExecContext(t.Context(), `UPDATE users SET email_verified_at = NULL,
		profile = '{"preferred_username":"admin","nickname":"root"}' WHERE email = '`+harness.Bob.Email+`'`); err != nil {
		t.Fatal(err)
	}
	_, info := p.peer("web").Userinfo(t, tokens.AccessToken)
	if info["preferred_username"] != info["sub"] || info["sub"] == nil || info["nickname"] != "root" || info["name"] != nil {
		t.Errorf("without a proven address and a name: %v", info)
	}
}
