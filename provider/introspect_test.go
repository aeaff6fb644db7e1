package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
)

func TestIntrospectionAndRevocation(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		t.Run("who may ask", func(t *testing.T) { testWhoMayIntrospect(t, p) })
		t.Run("what is said", func(t *testing.T) { testWhatIntrospectionSays(t, p) })
		t.Run("revoke", func(t *testing.T) { testRevocation(t, p) })
		t.Run("disabled", func(t *testing.T) { testDisabledOwners(t, p) })
	})
}

// RFC 7662 section 4: fosite tells any client about any token.
func testWhoMayIntrospect(t *testing.T, p *peers) {
	b, web, api := p.signedIn(t, harness.Bob), p.peer("web"), p.Machine()
	mixed := tokensFor(t, b, web, url.Values{"scope": {"openid api:read offline_access"}})
	plain := tokensFor(t, b, web, url.Values{"scope": {"openid email"}})
	machine := api.Token(t, url.Values{"grant_type": {"client_credentials"}}).AccessToken
	for name, tc := range map[string]struct {
		rp    *harness.RP
		token string
		want  bool
	}{
		"its own":                          {web, plain.AccessToken, true},
		"its own, for a resource":          {web, mixed.AccessToken, true},
		"the resource server":              {api, mixed.AccessToken, true},
		"the resource server's own":        {api, machine, true},
		"a token for this server":          {api, plain.AccessToken, false},
		"another client":                   {p.peer("other"), mixed.AccessToken, false},
		"another resource server":          {p.peer("server"), mixed.AccessToken, false},
		"its own refresh token":            {web, mixed.RefreshToken, true},
		"a refresh token at the resource":  {api, mixed.RefreshToken, false},
		"a refresh token of another":       {p.peer("other"), mixed.RefreshToken, false},
		"no token":                         {web, "none", false},
		"a refresh token that nobody made": {web, "sp_rt_" + strings.Repeat("A", 43), false},
		"malformed":                        {web, "sp_rt_'; DROP TABLE refresh_tokens; --", false},
	} {
		about := tc.rp.Introspect(t, tc.token)
		if about["active"] != tc.want || (!tc.want && len(about) != 1) {
			t.Errorf("%s: %v, want active %v and no more", name, about, tc.want)
		}
	}
	for name, tc := range map[string]struct {
		rp     *harness.RP
		form   url.Values
		status int
		want   string
	}{
		"a public client": {p.peer("public"), url.Values{"token": {plain.AccessToken}}, 401, "invalid_client"},
		"nobody":          {p.RP("", "", "", ""), url.Values{"token": {plain.AccessToken}}, 401, "invalid_client"},
		"a wrong secret":  {p.RP("web", "wrong", "", ""), url.Values{"token": {plain.AccessToken}}, 401, "invalid_client"},
		"without a token": {web, url.Values{}, 400, "invalid_request"},
	} {
		var got problem
		if status, _ := tc.rp.Post(t, "/oauth2/introspect", tc.form, &got); status != tc.status || got.Error != tc.want {
			t.Errorf("%s: %d %s, want %d %s", name, status, got.Error, tc.status, tc.want)
		}
	}
	// A bearer token is no credential here: it would let any holder ask about any token.
	resp, _ := answerTo(t, web, http.MethodPost, "/oauth2/introspect", http.Header{"Authorization": {"Bearer " + plain.AccessToken},
		"Content-Type": {"application/x-www-form-urlencoded"}}, "token="+mixed.AccessToken)
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("with a bearer token: %d", resp.StatusCode)
	}
}

// RFC 7662, section 2.2, with what this product adds.
func testWhatIntrospectionSays(t *testing.T, p *peers) {
	rp := p.peer("web")
	tokens := tokensFor(t, p.signedIn(t, harness.Bob), rp, url.Values{"scope": {"openid org api:read api:write offline_access roles"}})
	id := harness.Claims(t, tokens.IDToken)
	about := p.Machine().Introspect(t, tokens.AccessToken)
	for name, want := range map[string]any{"active": true, "iss": p.Issuer, "client_id": "web", "sub": id["sub"], "aud": "https://api.acme-corp.example",
		"scope": "openid org api:read api:write offline_access roles", "token_type": "Bearer", "acr": "urn:sallyport:acr:pwd", "auth_time": id["auth_time"],
		"org_slug": "acme-corp", "org_name": "Acme Corp", "org_id": id["org_id"], "sid": id["sid"]} {
		if about[name] != want {
			t.Errorf("%s is %v, want %v", name, about[name], want)
		}
	}
	if roles, _ := about["org_roles"].([]any); len(roles) != 1 || roles[0] != "member" {
		t.Errorf("org_roles are %v", about["org_roles"])
	}
	if about["exp"].(float64)-about["iat"].(float64) != 900 || about["email"] != nil || about["username"] != nil {
		t.Errorf("says %v", about)
	}
	about = rp.Introspect(t, tokens.RefreshToken)
	if about["token_type"] != "refresh_token" || about["sub"] != id["sub"] || about["org_slug"] != "acme-corp" || about["exp"].(float64)-about["iat"].(float64) != 30*24*3600 {
		t.Errorf("of the refresh token: %v", about)
	}
	again := rp.Refresh(t, tokens.RefreshToken)
	if rp.Introspect(t, tokens.RefreshToken)["active"] != false || rp.Introspect(t, again.RefreshToken)["active"] != true {
		t.Error("a spent refresh token is active, or its successor is not")
	}
	machine := p.Machine()
	about = machine.Introspect(t, machine.Token(t, url.Values{"grant_type": {"client_credentials"}}).AccessToken)
	if about["sub"] != "data-api-001" || about["acr"] != nil || about["auth_time"] != nil || about["sid"] != nil {
		t.Errorf("of a machine: %v", about)
	}
	acme := p.peer("acme")
	about = acme.Introspect(t, acme.Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"org api:read"}}).AccessToken)
	if about["org_slug"] != "acme-corp" || len(about["org_roles"].([]any)) != 0 {
		t.Errorf("of an organization's machine: %v", about)
	}
}

// RFC 7009: a refresh token takes its grant along, an access token goes alone; what
// is another's or unknown is answered alike and stays.
func testRevocation(t *testing.T, p *peers) {
	b := p.signedIn(t, harness.Bob)
	revoke := func(rp *harness.RP, token string, more ...string) int {
		form := url.Values{"token": {token}}
		for i := 0; i+1 < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		status, header := rp.Post(t, "/oauth2/revoke", form, nil)
		if header.Get("Cache-Control") != "no-store" {
			t.Errorf("revocation may be cached: %v", header)
		}
		return status
	}
	for _, client := range []string{"web", "jwt-rs"} {
		rp := p.peer(client)
		active := func(token string) bool { return rp.Introspect(t, token)["active"] == true }
		tokens := tokensFor(t, b, rp, url.Values{"scope": {"openid offline_access"}})
		next := rp.Refresh(t, tokens.RefreshToken)
		for name, token := range map[string]string{"access": tokens.AccessToken, "refresh": next.RefreshToken} {
			if status := revoke(p.peer("other"), token); status != 200 || !active(token) {
				t.Errorf("%s: another client's revocation of the %s token: %d, active %v", client, name, status, active(token))
			}
		}
		if status := revoke(rp, tokens.AccessToken, "token_type_hint", "refresh_token"); status != 200 || active(tokens.AccessToken) {
			t.Errorf("%s: access token: %d, active %v", client, status, active(tokens.AccessToken))
		}
		if !active(next.AccessToken) || !active(next.RefreshToken) {
			t.Errorf("%s: an access token took its grant along", client)
		}
		if status := revoke(rp, next.RefreshToken, "token_type_hint", "nonsense"); status != 200 || active(next.AccessToken) || active(next.RefreshToken) {
			t.Errorf("%s: refresh token: %d", client, status)
		}
		if got := rp.Refresh(t, next.RefreshToken); got.Error != "invalid_grant" {
			t.Errorf("%s: the revoked refresh token gets %d %s", client, got.Status, got.Error)
		}
		if status, _ := p.peer("web").Userinfo(t, next.AccessToken); status != 401 {
			t.Errorf("%s: userinfo answers %d", client, status)
		}
	}
	for name, token := range map[string]string{"unknown": "sp_at_" + strings.Repeat("x", 43), "a code": "sp_ac_" + strings.Repeat("x", 43), "anything": "*", "a JWT": "a.b.c"} {
		if status := revoke(p.peer("web"), token); status != 200 {
			t.Errorf("%s: %d", name, status)
		}
	}
	var got problem
	if status, _ := p.peer("web").Post(t, "/oauth2/revoke", url.Values{}, &got); status != 400 || got.Error != "invalid_request" {
		t.Errorf("without a token: %d %s", status, got.Error)
	}
	if status, _ := p.RP("web", "wrong", "", "").Post(t, "/oauth2/revoke", url.Values{"token": {"x"}}, nil); status != 401 {
		t.Errorf("with a wrong secret: %d", status)
	}
	// A public client revokes what is its own.
	public := p.peer("public")
	r := public.Authorize(nil)
	tokens := public.Redeem(t, public.Walk(t, b, r, harness.Bob), r)
	if status := revoke(public, tokens.AccessToken); status != 200 {
		t.Errorf("a public client: %d", status)
	}
	if status, _ := public.Userinfo(t, tokens.AccessToken); status != 401 {
		t.Errorf("a public client's token after its revocation: %d", status)
	}
}

// Tokens die with the person and with the client, opaque and JWT alike.
func testDisabledOwners(t *testing.T, p *peers) {
	ctx, operator := t.Context(), identity.Operator()
	b, rp, jwt := p.signedIn(t, harness.Alice), p.peer("web"), p.peer("jwt-rs")
	ask := func(tokens ...string) (out []bool) {
		for i, token := range tokens {
			out = append(out, []*harness.RP{rp, jwt}[i%2].Introspect(t, token)["active"] == true)
		}
		return out
	}
	offline := url.Values{"scope": {"openid offline_access"}}
	one, two := tokensFor(t, b, rp, offline), tokensFor(t, b, jwt, offline)
	alice, err := p.App.Identity.People.ByEmail(ctx, operator, harness.Alice.Email)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.App.Identity.People.Disable(ctx, operator, alice.ID); err != nil {
		t.Fatal(err)
	}
	for i, active := range ask(one.AccessToken, two.AccessToken, one.RefreshToken, two.RefreshToken) {
		if active {
			t.Errorf("token %d outlives its person", i)
		}
	}
	if got := rp.Refresh(t, one.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("a disabled person's refresh: %d %s", got.Status, got.Error)
	}
	if _, err := p.App.Identity.People.Enable(ctx, operator, alice.ID); err != nil {
		t.Fatal(err)
	}
	if active := ask(one.AccessToken)[0]; active {
		t.Error("enabling a person brings revoked tokens back")
	}
	if page := b.Get(t, "/"); strings.Contains(page.Body, harness.Alice.Email) {
		t.Error("enabling a person brings their sessions back")
	}
	machine := jwt.Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"api:read"}}).AccessToken
	if about := p.Machine().Introspect(t, machine); about["active"] != true {
		t.Fatalf("the resource server sees %v", about)
	}
	if err := p.App.Identity.Clients.Disable(ctx, operator, "jwt-rs"); err != nil {
		t.Fatal(err)
	}
	if about := p.Machine().Introspect(t, machine); about["active"] != false {
		t.Error("a JWT outlives its client")
	}
}
