package provider_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/internal/harness"
)

func TestClaims(t *testing.T) {
	p := withPeers(t)
	t.Run("standard", func(t *testing.T) { testStandardClaims(t, p) })
	t.Run("parameter", func(t *testing.T) { testClaimsParameter(t, p) })
	t.Run("not more than agreed", func(t *testing.T) { testClaimsAskForConsent(t, p) })
	t.Run("malformed", func(t *testing.T) { testMalformedClaims(t, p) })
	t.Run("acr", func(t *testing.T) { testAuthenticationContext(t, p) })
	t.Run("sub", func(t *testing.T) { testAskingForOnePerson(t, p) })
	t.Run("preferred_username", func(t *testing.T) { testPreferredUsername(t, p) })
}

// OpenID Connect Core 1.0, sections 2 and 5.4; the conformance suite wants every
// standard claim of a scope, well typed, and none in the ID token of a code flow.
func testStandardClaims(t *testing.T, p *peers) {
	b := p.signedIn(t, harness.Bob)
	tokens := tokensFor(t, b, p.peer("web"), nil)
	status, info := p.peer("web").Userinfo(t, tokens.AccessToken)
	sub, _ := info["sub"].(string)
	updated, _ := info["updated_at"].(float64)
	delete(info, "sub")
	delete(info, "updated_at")
	want := map[string]any{
		"name": "Bob Baker", "given_name": "Bob", "family_name": "Baker", "middle_name": "Benjamin", "nickname": "Bobby", "preferred_username": "bob@acme-corp.com",
		"profile": "https://acme-corp.example/people/bob", "picture": "https://acme-corp.example/people/bob.png", "website": "https://bob.example",
		"gender": "male", "birthdate": "1985-04-12", "zoneinfo": "Europe/Berlin", "locale": "en-GB",
		"email": "bob@acme-corp.com", "email_verified": true, "phone_number": "+49 30 5550100", "phone_number_verified": true,
		"address": map[string]any{"formatted": "1 Road Runner Lane\n10115 Berlin\nGermany", "street_address": "1 Road Runner Lane",
			"locality": "Berlin", "region": "Berlin", "postal_code": "10115", "country": "Germany"},
	}
	if diff := cmp.Diff(want, info); status != 200 || diff != "" {
		t.Errorf("userinfo answers %d, without sub and updated_at (-want +got):\n%s", status, diff)
	}
	if len(sub) != 36 || strings.Contains(sub, "bob") || updated != float64(int64(updated)) || updated == 0 {
		t.Errorf("sub %q and updated_at %v, want a random id and whole seconds", sub, updated)
	}
	id := harness.Claims(t, tokens.IDToken)
	names := func(claims map[string]any) []string {
		var out []string
		for name := range claims {
			out = append(out, name)
		}
		slices.Sort(out)
		return out
	}
	basic := []string{"acr", "amr", "at_hash", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sid", "sub"}
	if diff := cmp.Diff(basic, names(id)); diff != "" {
		t.Errorf("members of the ID token (-want +got):\n%s", diff)
	}
	if id["sub"] != sub || id["aud"] != "web" || id["acr"] != "urn:sallyport:acr:pwd" || cmp.Diff([]any{"pwd"}, id["amr"]) != "" {
		t.Errorf("the ID token says %v", id)
	}
	// Without a nonce there is none (suite: ensure-request-without-nonce-succeeds).
	if id := harness.Claims(t, tokensFor(t, b, p.peer("web"), url.Values{"nonce": nil}).IDToken); id["nonce"] != nil {
		t.Errorf("a nonce %v that nobody sent", id["nonce"])
	}
	// claims_in_id_token, for relying parties that never ask userinfo.
	id = harness.Claims(t, tokensFor(t, b, p.peer("id-token"), url.Values{"scope": {"openid email"}}).IDToken)
	if id["email"] != harness.Bob.Email || id["name"] != nil {
		t.Errorf("claims_in_id_token with the scope email: %v", id)
	}
	// A plain request shares nothing but who it is.
	tokens = tokensFor(t, b, p.peer("web"), url.Values{"scope": {"openid"}})
	if _, info := p.peer("web").Userinfo(t, tokens.AccessToken); len(info) != 1 {
		t.Errorf("openid alone shows %v, want sub", info)
	}
}

// OpenID Connect Core 1.0, section 5.5; suite: oidcc-claims-essential.
func testClaimsParameter(t *testing.T, p *peers) {
	b, rp := p.signedIn(t, harness.Bob), p.peer("web")
	for name, tc := range map[string]struct {
		claims           string
		inInfo, inID     []string
		notInfo, notInID []string
	}{
		"name from userinfo": {`{"userinfo":{"name":{"essential":true}}}`, []string{"name"}, nil, []string{"email"}, []string{"name"}},
		"email in the ID token": {`{"id_token":{"email":null,"email_verified":{"essential":false}}}`,
			nil, []string{"email", "email_verified"}, []string{"email"}, []string{"name"}},
		"both":                  {`{"userinfo":{"phone_number":null},"id_token":{"address":null}}`, []string{"phone_number", "phone_number_verified"}[:1], []string{"address"}, nil, []string{"phone_number"}},
		"unknown ones":          {`{"userinfo":{"shoe_size":{"essential":true},"password":null},"id_token":{"shoe_size":{"value":44}},"x":{}}`, nil, nil, []string{"shoe_size", "password"}, []string{"shoe_size"}},
		"an organization's":     {`{"id_token":{"org_id":null,"roles":{"essential":true}}}`, nil, nil, []string{"org_id", "roles"}, []string{"org_id", "roles"}},
		"auth_time, as always":  {`{"id_token":{"auth_time":{"essential":true}}}`, nil, []string{"auth_time"}, nil, nil},
		"empty":                 {`{}`, nil, nil, []string{"name"}, []string{"name"}},
		"null parts":            {`{"userinfo":null,"id_token":null}`, nil, nil, []string{"name"}, []string{"name"}},
		"a value is no command": {`{"userinfo":{"email":{"value":"alice@acme-corp.com"}}}`, []string{"email"}, nil, nil, nil},
	} {
		tokens := tokensFor(t, b, rp, url.Values{"scope": {"openid"}, "claims": {tc.claims}})
		_, info := rp.Userinfo(t, tokens.AccessToken)
		id := harness.Claims(t, tokens.IDToken)
		check := func(where string, claims map[string]any, want, not []string) {
			for _, c := range want {
				if claims[c] == nil {
					t.Errorf("%s: %s lacks %s: %v", name, where, c, claims)
				}
			}
			for _, c := range not {
				if claims[c] != nil {
					t.Errorf("%s: %s has %s", name, where, c)
				}
			}
		}
		check("userinfo", info, tc.inInfo, tc.notInfo)
		check("the ID token", id, tc.inID, tc.notInID)
		if tokens.Scope != "openid" {
			t.Errorf("%s: scope %q; claims are no scopes", name, tc.claims)
		}
		if info["email"] != nil && info["email"] != harness.Bob.Email {
			t.Errorf("%s: email %v", name, info["email"])
		}
	}
}

// A claim is asked for by name, and agreed to like its scope: neither the person
// nor the client's registration can be gone around with the claims parameter.
func testClaimsAskForConsent(t *testing.T, p *peers) {
	claims := url.Values{"scope": {"openid"}, "claims": {`{"userinfo":{"email":{"essential":true},"name":null},"id_token":{"email":null,"phone_number":null}}`}}
	b, rp := p.signedIn(t, harness.Bob), p.peer("narrow")
	tokens := tokensFor(t, b, rp, claims)
	_, info := rp.Userinfo(t, tokens.AccessToken)
	id := harness.Claims(t, tokens.IDToken)
	if len(info) != 1 || id["email"] != nil || id["phone_number"] != nil {
		t.Errorf("a client that is registered for openid alone gets %v and %v", info, id)
	}

	rp = p.peer("other")
	r := rp.Authorize(claims)
	page := b.Get(t, r.URL)
	for _, scope := range []string{"openid", "email", "profile", "phone"} {
		if !strings.Contains(page.Body, `data-scope="`+scope+`"`) {
			t.Errorf("the consent page does not tell of %s", scope)
		}
	}
	if strings.Contains(page.Body, `data-scope="address"`) {
		t.Error("the consent page tells of address, which nobody asked for")
	}
	page = b.Submit(t, page.FormWith(t, "answer"), "answer", "allow")
	tokens = rp.Redeem(t, page.Away.Query().Get("code"), r)
	if _, info := rp.Userinfo(t, tokens.AccessToken); info["email"] != harness.Bob.Email || info["name"] == nil || info["nickname"] != nil || tokens.Scope != "openid" {
		t.Errorf("agreed: scope %q, userinfo %v", tokens.Scope, info)
	}
	// Remembered like a scope; more is asked about again.
	if got := ask(t, b, rp, claims); got != "code" {
		t.Errorf("again: %s", got)
	}
	claims.Set("claims", `{"userinfo":{"address":null}}`)
	claims.Set("prompt", "none")
	if got := ask(t, b, rp, claims); got != "consent_required" {
		t.Errorf("a further claim with prompt=none: %s", got)
	}
}

func testMalformedClaims(t *testing.T, p *peers) {
	b, rp := p.signedIn(t, harness.Bob), p.peer("web")
	for _, claims := range []string{`{`, `[]`, `null`, `"x"`, `1`, `{} {}`, `{"userinfo":[]}`, `{"userinfo":{"name":true}}`, `{"id_token":"x"}`,
		`{"id_token":{"acr":{"essential":"yes"}}}`, strings.Repeat(`{"userinfo":`, 3000), `{"userinfo":{"` + strings.Repeat("x", 9<<10) + `":null}}`} {
		if got := ask(t, b, rp, url.Values{"claims": {claims}}); got != "invalid_request" {
			t.Errorf("%.40s: %s, want invalid_request", claims, got)
		}
	}
}

// OpenID Connect Core 1.0 section 5.5.1.1: a context that is essential and
// cannot be reached is an error; a voluntary one is not, and nothing is overstated.
func testAuthenticationContext(t *testing.T, p *peers) {
	b, rp := p.signedIn(t, harness.Bob), p.peer("web")
	for name, tc := range map[string]struct {
		extra url.Values
		want  string
	}{
		"voluntary mfa":            {url.Values{"acr_values": {"urn:sallyport:acr:mfa"}}, "code"},
		"unknown values":           {url.Values{"acr_values": {"1 2"}}, "code"},
		"claims, voluntary":        {url.Values{"claims": {`{"id_token":{"acr":{"values":["urn:sallyport:acr:mfa"]}}}`}}, "code"},
		"essential, no value":      {url.Values{"claims": {`{"id_token":{"acr":{"essential":true}}}`}}, "code"},
		"essential password":       {url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"urn:sallyport:acr:pwd"}}}`}}, "code"},
		"essential mfa":            {url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"urn:sallyport:acr:mfa"}}}`}}, "unmet_authentication_requirements"},
		"essential, several":       {url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"values":["phr","urn:sallyport:acr:mfa"]}}}`}}, "unmet_authentication_requirements"},
		"essential, one is enough": {url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"values":["phr","urn:sallyport:acr:pwd"]}}}`}}, "code"},
		"essential, unknown":       {url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"gold"}}}`}}, "unmet_authentication_requirements"},
		"essential mfa, silently": {url.Values{"prompt": {"none"}, "claims": {`{"id_token":{"acr":{"essential":true,"value":"urn:sallyport:acr:mfa"}}}`}},
			"unmet_authentication_requirements"},
	} {
		r := rp.Authorize(tc.extra)
		page := b.Get(t, r.URL)
		if got := outcome(page); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		} else if got == "code" {
			if id := harness.Claims(t, rp.Redeem(t, page.Away.Query().Get("code"), r).IDToken); id["acr"] != "urn:sallyport:acr:pwd" {
				t.Errorf("%s: acr %v after a password", name, id["acr"])
			}
		}
	}
}

// OpenID Connect Core 1.0, sections 3.1.2.1 and 5.5.1: a request about one person is not answered for another.
func testAskingForOnePerson(t *testing.T, p *peers) {
	rp := p.peer("web")
	bobs, alices := p.signedIn(t, harness.Bob), p.signedIn(t, harness.Alice)
	hint := tokensFor(t, bobs, rp, nil).IDToken
	sub := harness.Claims(t, hint)["sub"].(string)
	claims := `{"id_token":{"sub":{"value":"` + sub + `"}}}`
	for name, extra := range map[string]url.Values{"hint": {"id_token_hint": {hint}}, "claims": {"claims": {claims}},
		"both": {"id_token_hint": {hint}, "claims": {claims}}, "userinfo": {"claims": {`{"userinfo":{"sub":{"value":"` + sub + `"}}}`}}} {
		if got := ask(t, bobs, rp, extra); got != "code" {
			t.Errorf("%s, bob: %s", name, got)
		}
		if page := alices.Get(t, rp.Authorize(extra).URL); outcome(page) != "at:/login" {
			t.Errorf("%s, alice: %s, want the sign-in page", name, outcome(page))
		} else if page = alices.Submit(t, page.Form(t, "login"), "email", harness.Alice.Email, "password", harness.Alice.Password); outcome(page) != "login_required" {
			t.Errorf("%s, alice once more: %s, want login_required", name, outcome(page))
		}
		extra.Set("prompt", "none")
		if got := ask(t, bobs, rp, extra); got != "code" {
			t.Errorf("%s, bob silently: %s", name, got)
		}
		if got := ask(t, alices, rp, extra); got != "login_required" {
			t.Errorf("%s, alice silently: %s", name, got)
		}
	}
	both := `{"sub":{"values":["another","` + sub + `"]}}`
	for name, tc := range map[string]struct{ claims, bob string }{
		"one of two":             {`{"id_token":` + both + `}`, "code"},
		"one of two at userinfo": {`{"userinfo":` + both + `}`, "code"},
		"both parts agree":       {`{"id_token":` + both + `,"userinfo":{"sub":{"value":"` + sub + `"}}}`, "code"},
		"both parts differ":      {`{"id_token":` + both + `,"userinfo":{"sub":{"values":["a third"]}}}`, "login_required"},
		"nobody here":            {`{"id_token":{"sub":{"values":["x"]}}}`, "login_required"},
		"no text":                {`{"id_token":{"sub":{"values":[1,null]}}}`, "login_required"},
		"a number":               {`{"userinfo":{"sub":{"value":7}}}`, "login_required"},
	} {
		extra := url.Values{"claims": {tc.claims}, "prompt": {"none"}}
		if got := ask(t, bobs, rp, extra); got != tc.bob {
			t.Errorf("values, %s, bob: %s, want %s", name, got, tc.bob)
		}
		if got := ask(t, alices, rp, extra); got != "login_required" {
			t.Errorf("values, %s, alice: %s, want login_required", name, got)
		}
	}
	for _, claims := range []string{`{"id_token":{"sub":{"values":[]}}}`, `{"id_token":{"sub":null}}`, `{"id_token":{"sub":{"essential":true}}}`} {
		if got := ask(t, alices, rp, url.Values{"claims": {claims}, "prompt": {"none"}}); got != "code" {
			t.Errorf("%s names nobody: %s, want code", claims, got)
		}
	}
	if got := ask(t, alices, rp, url.Values{"id_token_hint": {hint}, "claims": {`{"id_token":{"sub":{"value":"another"}}}`}}); got != "login_required" {
		t.Errorf("a hint and a sub that differ: %s", got)
	}
	// An expired hint is a hint still (section 3.1.2.1).
	p.Clock.Advance(61 * time.Minute)
	if got := ask(t, bobs, rp, url.Values{"id_token_hint": {hint}, "prompt": {"none"}}); got != "code" {
		t.Errorf("an expired hint: %s", got)
	}
	for name, bad := range map[string]string{"not a token": "x.y.z", "alg none": unsigned(t, harness.Claims(t, hint)),
		"signed by a client": p.jws(t, "RS256", "JWT", harness.Claims(t, hint)), "changed": hint[:len(hint)-8] + "AAAAAAAA"} {
		if got := ask(t, bobs, rp, url.Values{"id_token_hint": {bad}}); got != "invalid_request" {
			t.Errorf("hint %s: %s", name, got)
		}
	}
}
