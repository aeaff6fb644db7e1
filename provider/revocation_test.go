package provider_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/storage"
)

// forge signs claims as somebody can who has stolen the key that signs for alg.
func (p *peers) forge(t testing.TB, alg, typ string, claims map[string]any) string {
	t.Helper()
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := p.App.Keys.SignJWT(alg, typ, body)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// changed is claims with changes; nil takes a member away.
func changed(claims map[string]any, change map[string]any) map[string]any {
	claims = maps.Clone(claims)
	maps.Copy(claims, change)
	return claims
}

// activeAt reports at which of introspection and userinfo an access token works.
func (p *peers) activeAt(t testing.TB, token string) (introspection, userinfo bool) {
	t.Helper()
	for _, rp := range []*harness.RP{p.Machine(), p.peer("jwt-rs"), p.peer("web")} {
		introspection = introspection || rp.Introspect(t, token)["active"] == true
	}
	resp, _ := answerTo(t, p.peer("web"), http.MethodGet, "/oauth2/userinfo", http.Header{"Authorization": {"Bearer " + token}}, "")
	return introspection, resp.StatusCode == http.StatusOK
}

// algKey is the id of the key that signs for alg.
func algKey(t testing.TB, s *harness.Server, alg string) string {
	t.Helper()
	for _, k := range s.App.Keys.List() {
		if k.Alg == alg && k.State == storage.KeyActive {
			return k.KID
		}
	}
	t.Fatalf("no key signs for %s", alg)
	return ""
}

// replaceKey lets another key sign for alg, in the time that `keys rotate --immediately` takes.
func (p *peers) replaceKey(t testing.TB, alg string) {
	t.Helper()
	if _, err := p.App.Keys.Rotate(t.Context(), keys.Rotation{Alg: alg, Immediately: true}); err != nil {
		t.Fatal(err)
	}
	p.Clock.Advance(5 * time.Second)
	if err := p.App.Keys.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A signature does not make a token: with a stolen key nothing is had here that the
// grant or the client does not have anyway, and once the key is replaced nothing at all.
func TestAForgedAccessTokenIsGoodForNothing(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		b, rp := p.signedIn(t, harness.Bob), p.peer("jwt-rs")
		ofBob := tokensFor(t, b, rp, url.Values{"scope": {"openid email api:read"}})
		ofAlice := tokensFor(t, p.signedIn(t, harness.Alice), p.peer("jwt-es"), url.Values{"scope": {"openid"}})
		ofMachine := rp.Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"api:read"}})
		person, machine, alice := harness.Claims(t, ofBob.AccessToken), harness.Claims(t, ofMachine.AccessToken), harness.Claims(t, ofAlice.AccessToken)
		now := p.Clock.Now().Unix()
		for name, claims := range map[string]map[string]any{"a person's": person, "a machine's": machine} {
			if introspection, userinfo := p.activeAt(t, p.forge(t, "ES256", keys.TypeAccessToken, changed(claims, nil))); !introspection || userinfo != (claims["gid"] != nil) {
				t.Fatalf("%s as it is issued: introspection %v, userinfo %v", name, introspection, userinfo)
			}
		}
		forged := map[string]map[string]any{
			"300 days, scopes of nobody": {"iss": p.Issuer, "client_id": "data-api-001", "scope": "api:read roles x", "aud": "https://api.acme-corp.example", "exp": now + 300*86400},
			"300 days, otherwise well": {"iss": p.Issuer, "client_id": "data-api-001", "sub": "data-api-001", "scope": "api:read", "jti": "x",
				"aud": "https://api.acme-corp.example", "iat": now, "exp": now + 300*86400},
			"a second too long":            changed(machine, map[string]any{"exp": now + 901, "iat": now}),
			"no iat":                       changed(machine, map[string]any{"iat": nil}),
			"an iat before time":           changed(machine, map[string]any{"iat": -1 << 62}),
			"issued tomorrow":              changed(machine, map[string]any{"iat": now + 86400, "exp": now + 86400 + 900}),
			"no jti, so never revoked":     changed(machine, map[string]any{"jti": nil}),
			"a scope more":                 changed(machine, map[string]any{"scope": "api:read files:read"}),
			"a person's scope":             changed(machine, map[string]any{"scope": "api:read roles"}),
			"openid without a person":      changed(machine, map[string]any{"scope": "openid", "aud": p.Issuer}),
			"a scope of nobody":            changed(machine, map[string]any{"scope": "api:read x"}),
			"a client without the grant":   changed(machine, map[string]any{"client_id": "web", "sub": "web"}),
			"no such client":               changed(machine, map[string]any{"client_id": "nobody", "sub": "nobody"}),
			"a person for a machine":       changed(machine, map[string]any{"sub": person["sub"]}),
			"another audience":             changed(machine, map[string]any{"aud": "https://files.example"}),
			"an audience more":             changed(machine, map[string]any{"aud": []string{"https://api.acme-corp.example", "https://files.example"}}),
			"this server for audience":     changed(machine, map[string]any{"aud": p.Issuer}),
			"no audience":                  changed(machine, map[string]any{"aud": nil}),
			"another issuer":               changed(machine, map[string]any{"iss": "https://other.example"}),
			"a person's token, more scope": changed(person, map[string]any{"scope": "openid email api:read api:write"}),
			"a person's token, roles":      changed(person, map[string]any{"scope": "openid email api:read roles"}),
			"another person":               changed(person, map[string]any{"sub": alice["sub"]}),
			"another's grant":              changed(person, map[string]any{"gid": alice["gid"]}),
			"another client":               changed(person, map[string]any{"client_id": "web"}),
			"a grant of nobody":            changed(person, map[string]any{"gid": "01890a5d-ac96-774b-bcce-b302099a8057"}),
		}
		for name, claims := range forged {
			for _, alg := range []string{"ES256", "RS256"} {
				if introspection, userinfo := p.activeAt(t, p.forge(t, alg, keys.TypeAccessToken, maps.Clone(claims))); introspection || userinfo {
					t.Errorf("%s: introspection %v, userinfo %v", name, introspection, userinfo)
				}
			}
		}

		// Signed by the old key after it was replaced, whatever they say.
		later := map[string]string{}
		for name, at := range map[string]int64{"in its time": now, "after it": now + 20} {
			later[name] = p.forge(t, "ES256", keys.TypeAccessToken, changed(person, map[string]any{"iat": at, "exp": at + 900}))
		}
		p.replaceKey(t, "ES256")
		p.Clock.Advance(30 * time.Second)
		for name, token := range later {
			introspection, userinfo := p.activeAt(t, token)
			if want := name == "in its time"; introspection != want || userinfo != want {
				t.Errorf("issued %s by a key that was replaced: introspection %v, userinfo %v, want %v", name, introspection, userinfo, want)
			}
		}
	})
}

// One poll after `keys revoke`, no node accepts or publishes the key, and what did not
// come from it goes on.
func TestARevokedKeyIsOutOnEveryNode(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		b := p.signedIn(t, harness.Bob)
		jwt, opaque, web := p.peer("jwt-es"), p.peer("opaque"), p.peer("web")
		withKey := tokensFor(t, b, jwt, url.Values{"scope": {"openid email offline_access"}})
		without := tokensFor(t, b, opaque, url.Values{"scope": {"openid email offline_access"}})
		alice := p.forge(t, "ES256", keys.TypeIDToken, changed(harness.Claims(t, withKey.IDToken), map[string]any{"sub": "somebody else"}))
		hints := map[string]string{"true": withKey.IDToken, "forged": alice}
		if got := ask(t, b, jwt, url.Values{"prompt": {"none"}, "id_token_hint": {alice}}); got != "login_required" {
			t.Fatalf("a hint at another person gets %s before, want login_required", got)
		}
		kid := algKey(t, p.Server, "ES256")
		if _, err := p.App.Keys.Revoke(t.Context(), keys.Revocation{KID: kid}); err != nil {
			t.Fatal(err)
		}
		node := &peers{Server: p.Node(t), keys: p.keys}
		for _, n := range []*peers{p, node} {
			if err := n.App.Keys.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if introspection, userinfo := n.activeAt(t, withKey.AccessToken); introspection || userinfo {
				t.Errorf("its access token: introspection %v, userinfo %v", introspection, userinfo)
			}
			if introspection := n.peer("opaque").Introspect(t, without.AccessToken)["active"]; introspection != true {
				t.Error("an opaque token died with the key")
			}
			_, set := answerTo(t, n.peer("web"), http.MethodGet, "/.well-known/jwks.json", nil, "")
			if strings.Contains(set, kid) || strings.Count(set, `"kid"`) < 3 {
				t.Errorf("published: %s", set)
			}
			for name, hint := range hints {
				// As if there were no hint: the session alone decides who signs in.
				if got := ask(t, b, n.peer("jwt-es"), url.Values{"prompt": {"none"}, "id_token_hint": {hint}}); got != "code" {
					t.Errorf("a %s hint of the key gets %s, want code", name, got)
				}
			}
		}
		for name, garbage := range map[string]string{"another signature": alice[:len(alice)-8] + "AAAAAAAA", "no such key": p.jws(t, "ES256", "JWT", map[string]any{"sub": "x"})} {
			if got := ask(t, b, jwt, url.Values{"prompt": {"none"}, "id_token_hint": {garbage}}); got != "invalid_request" {
				t.Errorf("%s as hint: %s, want invalid_request", name, got)
			}
		}

		// A logout asks, for the hint that would save the question is none, and needs client_id to find its way back.
		page := b.Get(t, logoutURL("id_token_hint", withKey.IDToken, "client_id", "jwt-es", "post_logout_redirect_uri", peerOut))
		if outcome(page) != "at:/oauth2/logout" || !strings.Contains(page.Body, `id="logout-yes"`) || !p.in(t, b) {
			t.Errorf("logout with a hint of the key ends at %s", outcome(page))
		}
		page = b.Get(t, logoutURL("id_token_hint", withKey.IDToken, "post_logout_redirect_uri", peerOut))
		if got := outcome(page); got != "page:missing_client" {
			t.Errorf("logout with nothing but a hint of the key: %s", got)
		}

		// The grants stay: refreshing gives tokens of the successor.
		fresh := jwt.Refresh(t, withKey.RefreshToken)
		header, _ := p.verified(t, fresh.AccessToken)
		if introspection, userinfo := p.activeAt(t, fresh.AccessToken); !userinfo || header.KeyID == kid || header.KeyID != algKey(t, p.Server, "ES256") {
			t.Errorf("after a refresh: introspection %v, userinfo %v, signed by %s", introspection, userinfo, header.KeyID)
		}
		if got := web.Refresh(t, without.RefreshToken); got.Error != "invalid_grant" {
			t.Errorf("another client's refresh token: %s", got.Error)
		}
		states := []storage.KeyState{}
		for _, k := range p.App.Keys.List() {
			if k.Alg == "ES256" {
				states = append(states, k.State)
			}
		}
		if want := []storage.KeyState{storage.KeyActive, storage.KeyRevoked}; !slices.Equal(states, want) {
			t.Errorf("the keys are %v, want %v", states, want)
		}
	})
}
