package provider_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// Two of the three resources of the peers. The clients both and both-jwt may have
// scopes of these, and of the third one none.
const (
	acmeAPI  = "https://api.acme-corp.example"
	filesAPI = "https://files.example"
)

func (p *peers) both(id string) *harness.RP {
	return p.RP(id, peerSecret(id), peerRedirect, "openid email offline_access org api:read api:write files:read")
}

// told is what one resource server learns of a token, and whether userinfo takes it.
func (p *peers) told(t testing.TB, token string) (scopeAtAPI, scopeAtFiles string, userinfo int) {
	t.Helper()
	api, files := p.Machine().Introspect(t, token), p.peer("server").Introspect(t, token)
	scopeAtAPI, _ = api["scope"].(string)
	scopeAtFiles, _ = files["scope"].(string)
	userinfo, _ = p.peer("web").Userinfo(t, token)
	return scopeAtAPI, scopeAtFiles, userinfo
}

// RFC 8707, section 2.2: wherever the resource is named, the token is for it alone.
func TestATokenForAResourceIsForThatResourceAlone(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		b := p.signedIn(t, harness.Bob)
		for _, id := range []string{"both", "both-jwt"} {
			rp := p.both(id)
			redeem := func(request, token url.Values) *harness.Tokens {
				r := rp.Authorize(request)
				code := b.Get(t, r.URL).Away.Query().Get("code")
				form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {peerRedirect}, "code_verifier": {r.Verifier}}
				for name, v := range token {
					form[name] = v
				}
				return rp.Token(t, form)
			}
			pushed := func(resource string) *harness.Tokens {
				var answer struct {
					URI string `json:"request_uri"`
				}
				r := rp.Authorize(url.Values{"resource": {resource}})
				if status, _ := rp.Post(t, "/oauth2/par", r.Params, &answer); status != http.StatusCreated {
					t.Fatalf("%s: pushing answers %d", id, status)
				}
				code := b.Get(t, "/oauth2/authorize?"+url.Values{"client_id": {id}, "request_uri": {answer.URI}}.Encode()).Away.Query().Get("code")
				return rp.Redeem(t, code, r)
			}
			full := redeem(nil, nil)
			refresh := func(form url.Values) *harness.Tokens {
				form.Set("grant_type", "refresh_token")
				form.Set("refresh_token", full.RefreshToken)
				got := rp.Token(t, form)
				if got.RefreshToken != "" {
					full.RefreshToken = got.RefreshToken
				}
				return got
			}
			machine := func(form url.Values) *harness.Tokens {
				form.Set("grant_type", "client_credentials")
				return rp.Token(t, form)
			}
			authorized := redeem(url.Values{"resource": {acmeAPI}}, nil)
			for _, tc := range []struct {
				name       string
				got        *harness.Tokens
				api, files string
				idToken    bool
			}{
				{"at authorize", authorized, "api:read api:write", "", true},
				{"at authorize, by POST", redeemPosted(t, p, b, rp, acmeAPI), "api:read api:write", "", true},
				{"at authorize, without a scope", redeem(url.Values{"resource": {filesAPI}, "scope": nil}, nil), "", "files:read", false},
				{"at authorize, with some of its scopes", redeem(url.Values{"resource": {acmeAPI}, "scope": {"openid api:read files:read"}}, nil), "api:read", "", true},
				{"at authorize and token", redeem(url.Values{"resource": {filesAPI}}, url.Values{"resource": {filesAPI}}), "", "files:read", true},
				{"pushed", pushed(filesAPI), "", "files:read", true},
				{"at token", redeem(nil, url.Values{"resource": {acmeAPI}}), "api:read api:write", "", true},
				{"at refresh", refresh(url.Values{"resource": {filesAPI}}), "", "files:read", true},
				{"at the next refresh", refresh(url.Values{"resource": {acmeAPI}, "scope": {"api:write files:read"}}), "api:write", "", false},
				{"at a refresh of a grant for it", rp.Refresh(t, authorized.RefreshToken), "api:read api:write", "", true},
				{"a machine's", machine(url.Values{"resource": {filesAPI}}), "", "files:read", false},
				{"a machine's, with scopes", machine(url.Values{"resource": {acmeAPI}, "scope": {"api:read files:read"}}), "api:read", "", false},
			} {
				api, files, userinfo := p.told(t, tc.got.AccessToken)
				if api != tc.api || files != tc.files || userinfo == http.StatusOK || tc.got.Scope != strings.TrimSpace(tc.api+tc.files) || (tc.got.IDToken != "") != tc.idToken {
					t.Errorf("%s, %s: the API is told %q, the files %q, userinfo %d, answer %d %s scope %q, ID token %v",
						id, tc.name, api, files, userinfo, tc.got.Status, tc.got.Error, tc.got.Scope, tc.got.IDToken != "")
				}
				about, want := rp.Introspect(t, tc.got.AccessToken), acmeAPI
				if tc.files != "" {
					want = filesAPI
				}
				// A resource server must know for whom it acts, if the client asked for an organization at all.
				organization := !strings.Contains(tc.name, "at authorize, with") && (id == "both" || !strings.HasPrefix(tc.name, "a machine"))
				if about["aud"] != want || (about["org_slug"] == "acme-corp") != organization {
					t.Errorf("%s, %s: aud %v, organization %v", id, tc.name, about["aud"], about["org_slug"])
				}
			}
			// The grant has kept everything: a refresh that names no resource gets it.
			api, files, userinfo := p.told(t, refresh(url.Values{}).AccessToken)
			if all := "openid email offline_access org api:read api:write files:read"; api != all || files != all || userinfo != http.StatusOK {
				t.Errorf("%s: a refresh without resource: the API is told %q, the files %q, userinfo %d", id, api, files, userinfo)
			}
		}
	})
}

// redeemPosted begins with a form, and so goes through a stored flow.
func redeemPosted(t testing.TB, p *peers, b *harness.Browser, rp *harness.RP, resource string) *harness.Tokens {
	t.Helper()
	r := rp.Authorize(url.Values{"resource": {resource}})
	page := b.Post(t, "/oauth2/authorize", r.Params)
	if outcome(page) != "code" {
		t.Fatalf("the posted request ends at %s", outcome(page))
	}
	return rp.Redeem(t, page.Away.Query().Get("code"), r)
}

// RFC 8707, section 2: a resource that is unknown or not the client's is invalid_target,
// at every endpoint, and nothing is spent by asking.
func TestAResourceThatIsNotTheClientsIsRefused(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		b, rp := p.signedIn(t, harness.Bob), p.both("both")
		full := tokensFor(t, b, rp, url.Values{"scope": {"openid offline_access api:read"}})
		bound := tokensFor(t, b, rp, url.Values{"resource": {filesAPI}})
		for _, resource := range [][]string{{"https://other.example"}, {"https://unknown.example"}, {acmeAPI + "/"}, {"HTTPS://API.ACME-CORP.EXAMPLE"},
			{p.Issuer}, {p.Issuer + "/api/v1"}, {"api"}, {acmeAPI, filesAPI}, {acmeAPI, acmeAPI}} {
			const want = "invalid_target"
			if got := ask(t, b, rp, url.Values{"resource": resource}); got != want {
				t.Errorf("%q at authorize: %s", resource, got)
			}
			var refused problem
			if status, _ := rp.Post(t, "/oauth2/par", rp.Authorize(url.Values{"resource": resource}).Params, &refused); status != http.StatusBadRequest || refused.Error != want {
				t.Errorf("%q pushed: %d %s", resource, status, refused.Error)
			}
			if got := rp.Token(t, url.Values{"grant_type": {"client_credentials"}, "resource": resource}); got.Status != http.StatusBadRequest || got.Error != want {
				t.Errorf("%q by client_credentials: %d %s", resource, got.Status, got.Error)
			}
			r := rp.Authorize(url.Values{"scope": {"openid api:read"}})
			code := b.Get(t, r.URL).Away.Query().Get("code")
			form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {peerRedirect}, "code_verifier": {r.Verifier}, "resource": resource}
			if got := rp.Token(t, form); got.Status != http.StatusBadRequest || got.Error != want {
				t.Errorf("%q with a code: %d %s", resource, got.Status, got.Error)
			}
			rp.Redeem(t, code, r) // it was not spent
			form = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {full.RefreshToken}, "resource": resource}
			if got := rp.Token(t, form); got.Status != http.StatusBadRequest || got.Error != want {
				t.Errorf("%q at refresh: %d %s", resource, got.Status, got.Error)
			}
		}
		// Known and the client's, but not granted: the grant has no scope of it, or was made for another.
		for name, token := range map[string]string{filesAPI: full.RefreshToken, acmeAPI: bound.RefreshToken} {
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "resource": {name}}
			if got := rp.Token(t, form); got.Error != "invalid_target" {
				t.Errorf("a refresh for %s, which was not granted: %d %s", name, got.Status, got.Error)
			}
		}
		if got := rp.Refresh(t, full.RefreshToken); got.Status != http.StatusOK {
			t.Errorf("the refresh token was spent by the refusals: %d %s", got.Status, got.Error)
		}
		// A scope that is not the resource's leaves nothing to issue.
		if got := ask(t, b, rp, url.Values{"resource": {filesAPI}, "scope": {"openid api:read"}}); got != "invalid_scope" {
			t.Errorf("scopes of another resource: %s, want invalid_scope", got)
		}
		if got := rp.Token(t, url.Values{"grant_type": {"client_credentials"}, "resource": {filesAPI}, "scope": {"api:read"}}); got.Error != "invalid_scope" {
			t.Errorf("a machine with scopes of another resource: %d %s, want invalid_scope", got.Status, got.Error)
		}
	})
}

// A token that one party holds is of no use to it elsewhere.
func TestATokenOfOnePartyIsRefusedAtAnother(t *testing.T) {
	eachEngineWithPeers(t, func(t *testing.T, p *peers) {
		b, rp := p.signedIn(t, harness.Bob), p.both("both-jwt")
		forFiles := tokensFor(t, b, rp, url.Values{"resource": {filesAPI}})
		opaque := tokensFor(t, b, p.both("both"), url.Values{"resource": {filesAPI}})
		tokens := map[string]string{"JWT access token": forFiles.AccessToken, "opaque access token": opaque.AccessToken,
			"ID token": forFiles.IDToken, "refresh token": forFiles.RefreshToken}
		for name, token := range tokens {
			bearer := http.Header{"Authorization": {"Bearer " + token}}
			for _, path := range []string{"/api/v1/users/me", "/api/v1/auth/me", "/oauth2/userinfo"} {
				if resp, _ := answerTo(t, rp, http.MethodGet, path, bearer, ""); resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
					t.Errorf("%s at %s: %d", name, path, resp.StatusCode)
				}
			}
			for _, stranger := range []*harness.RP{p.Machine(), p.peer("web")} {
				if about := stranger.Introspect(t, token); about["active"] != false || len(about) != 1 {
					t.Errorf("%s tells %s %v", name, stranger.ClientID, about)
				}
				if got := stranger.Refresh(t, token); got.AccessToken != "" {
					t.Errorf("%s refreshed by %s", name, stranger.ClientID)
				}
			}
		}
		// Its resource server has it from the client, and can use it nowhere but at home.
		if about := p.peer("server").Introspect(t, forFiles.AccessToken); about["active"] != true || about["scope"] != "files:read" {
			t.Errorf("its resource server is told %v", about)
		}
		claims := harness.Claims(t, forFiles.AccessToken)
		for _, personal := range []string{"email", "name", "roles", "organizations"} {
			if claims[personal] != nil {
				t.Errorf("the token for files tells %s", personal)
			}
		}
		if !slices.Contains([]any{filesAPI}, claims["aud"]) {
			t.Errorf("aud is %v", claims["aud"])
		}
	})
}
