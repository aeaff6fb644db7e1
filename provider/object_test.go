package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// RFC 9101, on one server for all of it.
func TestRequestObjects(t *testing.T) {
	p := withPeers(t)
	t.Run("WhichRequestObjectsAreAccepted", func(t *testing.T) { testWhichRequestObjectsAreAccepted(t, p) })
	t.Run("ParametersOutsideARequestObjectDoNotCount", func(t *testing.T) { testParametersOutsideARequestObjectDoNotCount(t, p) })
	t.Run("TheRedirectURIOfARequestObjectIsTheOneThatCounts", func(t *testing.T) { testTheRedirectURIOfARequestObjectIsTheOneThatCounts(t, p) })
	t.Run("NumbersAndObjectsInARequestObjectKeepTheirType", func(t *testing.T) { testNumbersAndObjectsInARequestObjectKeepTheirType(t, p) })
	t.Run("AClientThatMustSignItsRequests", func(t *testing.T) { testAClientThatMustSignItsRequests(t, p) })
	t.Run("ARequestURIThatWouldHaveToBeFetchedIsRefused", func(t *testing.T) { testARequestURIThatWouldHaveToBeFetchedIsRefused(t, p) })
}

// object is the payload of a good request object; a nil in change takes a member away.
func (p *peers) object(client string, change map[string]any) map[string]any {
	claims := map[string]any{"iss": client, "aud": p.Issuer, "client_id": client, "response_type": "code", "redirect_uri": peerRedirect,
		"scope": "openid", "state": "inner state", "nonce": "inner nonce", "exp": p.Clock.Now().Add(time.Minute).Unix()}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// withObject is the URL of a request that is in a request object.
func withObject(client, jws string, more ...string) string {
	q := url.Values{"client_id": {client}, "response_type": {"code"}, "scope": {"openid"}, "request": {jws}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/oauth2/authorize?" + q.Encode()
}

// RFC 9101 sections 4, 6 and 10; OpenID Connect Core 1.0 section 6.1.
func testWhichRequestObjectsAreAccepted(t *testing.T, p *peers) {
	b := p.signedIn(t, harness.Bob)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := p.Clock.Now()
	sign := func(alg string, change map[string]any) string {
		return p.jws(t, alg, "oauth-authz-req+jwt", p.object("object", change))
	}
	const refused = "invalid_request_object"
	for name, tc := range map[string]struct {
		jws, want string
	}{
		"RS256":              {sign("RS256", nil), "code"},
		"PS256":              {sign("PS256", nil), "code"},
		"ES256":              {sign("ES256", nil), "code"},
		"EdDSA":              {sign("EdDSA", nil), "code"},
		"no iss, aud":        {sign("ES256", map[string]any{"iss": nil, "aud": nil}), "code"},
		"an hour":            {sign("ES256", map[string]any{"exp": now.Add(time.Hour).Unix()}), "code"},
		"no exp":             {sign("ES256", map[string]any{"exp": nil}), refused},
		"exp of 0":           {sign("EdDSA", map[string]any{"exp": 0}), refused},
		"two hours":          {sign("ES256", map[string]any{"exp": now.Add(2 * time.Hour).Unix()}), refused},
		"a century":          {sign("RS256", map[string]any{"exp": now.Add(876_000 * time.Hour).Unix()}), refused},
		"no exp but an nbf":  {sign("ES256", map[string]any{"exp": nil, "nbf": now.Unix(), "iat": now.Unix()}), refused},
		"beyond all time":    {sign("ES256", map[string]any{"exp": 1e300}), refused},
		"aud in a list":      {sign("ES256", map[string]any{"aud": []string{"https://other.example", p.Issuer}}), "code"},
		"alg none":           {unsigned(t, p.object("object", nil)), refused},
		"wrong key":          {signedWith(t, stranger, "ES256", "JWT", p.object("object", nil)), refused},
		"HS256":              {signedWith(t, []byte(peerSecret("object")+"0123456789abcdef"), "HS256", "JWT", p.object("object", nil)), refused},
		"expired":            {sign("ES256", map[string]any{"exp": now.Add(-time.Hour).Unix()}), refused},
		"not yet":            {sign("ES256", map[string]any{"nbf": now.Add(time.Hour).Unix()}), refused},
		"from the future":    {sign("ES256", map[string]any{"iat": now.Add(time.Hour).Unix()}), refused},
		"for another server": {sign("ES256", map[string]any{"aud": "https://other.example"}), refused},
		"of another issuer":  {sign("ES256", map[string]any{"iss": "web"}), refused},
		"of another client":  {sign("ES256", map[string]any{"client_id": "web", "iss": nil}), refused},
		"nested object":      {sign("ES256", map[string]any{"request": sign("ES256", nil)}), refused},
		"nested request_uri": {sign("ES256", map[string]any{"request_uri": "https://app.example/object"}), refused},
		"scope in a list":    {sign("ES256", map[string]any{"scope": []string{"openid"}}), refused},
		"state as an object": {sign("ES256", map[string]any{"state": map[string]any{"a": 1}}), refused},
		"max_age broken":     {sign("ES256", map[string]any{"max_age": 1.5}), refused},
		"exp as text":        {sign("ES256", map[string]any{"exp": "tomorrow"}), refused},
		"null":               {sign("ES256", map[string]any{"nonce": json.RawMessage("null")}), refused},
		"a client assertion": {p.jws(t, "ES256", "JWT", p.object("object", map[string]any{"sub": "object"})), refused},
		"another code flow":  {sign("ES256", map[string]any{"response_type": "token"}), refused},
		"no JWS":             {"eyJhbGciOiJub25lIn0", refused},
		"empty":              {"..", refused},
	} {
		// The redirect URI outside is registered, so the error can be told to the client.
		page := b.Get(t, withObject("object", tc.jws, "redirect_uri", peerRedirect, "state", "outer state"))
		if got := outcome(page); got != tc.want {
			t.Errorf("%s: got %s (%v), want %s", name, got, page.Away, tc.want)
		}
		if strings.Contains(page.Body, "%!") || page.Away != nil && strings.Contains(page.Away.String(), "%21") {
			t.Errorf("%s: something was formatted that has no format: %v", name, page.Away)
		}
	}
	// A client without keys cannot have signed anything.
	jws := p.jws(t, "ES256", "JWT", p.object("web", nil))
	if got := outcome(b.Get(t, withObject("web", jws, "redirect_uri", peerRedirect))); got != refused {
		t.Errorf("without keys: %s", got)
	}
}

func unsigned(t testing.TB, payload any) string {
	t.Helper()
	body, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(body) + "."
}

// RFC 9101 section 5: only what was signed counts.
func testParametersOutsideARequestObjectDoNotCount(t *testing.T, p *peers) {
	rp, b := p.peer("object"), p.signedIn(t, harness.Bob)
	jws := p.jws(t, "RS256", "JWT", p.object("object", nil))
	page := b.Get(t, withObject("object", jws, "scope", "openid roles email", "redirect_uri", "https://evil.example/cb", "state", "outer",
		"prompt", "login", "nonce", "outer", "code_challenge", "outer", "max_age", "0", "organization", "nobody", "response_mode", "form_post"))
	if outcome(page) != "code" || page.Away.Host != "app.example" || page.Away.Query().Get("state") != "inner state" {
		t.Fatalf("got %s %v", outcome(page), page.Away)
	}
	tokens := rp.Redeem(t, page.Away.Query().Get("code"), &harness.Request{})
	if id := harness.Claims(t, tokens.IDToken); tokens.Scope != "openid" || id["nonce"] != "inner nonce" {
		t.Errorf("scope %q and nonce %v come from outside", tokens.Scope, id["nonce"])
	}
	// OpenID Connect Core 1.0, section 6.1: what both say must agree.
	if got := outcome(b.Get(t, withObject("object", jws, "response_type", "token", "redirect_uri", peerRedirect))); got != "invalid_request_object" {
		t.Errorf("contradicting response_type: %s", got)
	}
}

// The conformance suite's ensure-request-object-with-redirect-uri: an outer
// redirect URI that is wrong does not count; an inner one that is wrong is a page.
func testTheRedirectURIOfARequestObjectIsTheOneThatCounts(t *testing.T, p *peers) {
	b := p.signedIn(t, harness.Bob)
	for name, tc := range map[string]struct {
		inner map[string]any
		outer string
		want  string
	}{
		"outer wrong, inner right": {nil, "https://evil.example/", "code"},
		"outer right, inner wrong": {map[string]any{"redirect_uri": "https://evil.example/"}, peerRedirect, "page:invalid_redirect_uri"},
		"outer right, none inside": {map[string]any{"redirect_uri": nil}, peerRedirect, "page:missing_redirect_uri"},
		// The error of a refused object goes nowhere but to a URI that is registered.
		"both wrong, expired": {map[string]any{"redirect_uri": "https://evil.example/", "exp": 1}, "https://evil.example/", "page:invalid_redirect_uri"},
	} {
		page := b.Get(t, withObject("object", p.jws(t, "RS256", "JWT", p.object("object", tc.inner)), "redirect_uri", tc.outer))
		if got := outcome(page); got != tc.want {
			t.Errorf("%s: got %s %v, want %s", name, got, page.Away, tc.want)
		}
	}
}

// Fosite formats what is no string, so that max_age and claims are lost.
func testNumbersAndObjectsInARequestObjectKeepTheirType(t *testing.T, p *peers) {
	rp, b := p.peer("object"), p.signedIn(t, harness.Bob)
	change := map[string]any{"max_age": 3600, "claims": map[string]any{"userinfo": map[string]any{"name": map[string]any{"essential": true}},
		"id_token": map[string]any{"email": nil}}}
	page := b.Get(t, withObject("object", p.jws(t, "EdDSA", "JWT", p.object("object", change))))
	if outcome(page) != "code" {
		t.Fatalf("got %s %v", outcome(page), page.Away)
	}
	tokens := rp.Redeem(t, page.Away.Query().Get("code"), &harness.Request{})
	if id := harness.Claims(t, tokens.IDToken); id["email"] != harness.Bob.Email {
		t.Errorf("the ID token says %v, want the email that claims asks for", id)
	}
	if _, info := rp.Userinfo(t, tokens.AccessToken); info["name"] == nil {
		t.Errorf("userinfo says %v, want the name that claims asks for", info)
	}
	p.Clock.Advance(2 * time.Minute)
	change["max_age"] = 60
	if got := outcome(b.Get(t, withObject("object", p.jws(t, "EdDSA", "JWT", p.object("object", change))))); got != "at:/login" {
		t.Errorf("max_age 60 after two minutes: %s, want the sign-in page", got)
	}
}

// RFC 9101, section 10.5: require_signed_request_object leaves no way around.
func testAClientThatMustSignItsRequests(t *testing.T, p *peers) {
	rp, b := p.peer("strict"), p.signedIn(t, harness.Bob)
	if got := ask(t, b, rp, nil); got != "invalid_request" {
		t.Errorf("plain: %s", got)
	}
	var refused problem
	if status, _ := rp.Post(t, "/oauth2/par", rp.Authorize(nil).Params, &refused); status != http.StatusBadRequest || refused.Error != "invalid_request" {
		t.Errorf("pushed plain: %d %+v", status, refused)
	}
	for alg, want := range map[string]string{"ES256": "code", "RS256": "invalid_request_object", "EdDSA": "invalid_request_object"} {
		jws := p.jws(t, alg, "JWT", p.object("strict", nil))
		if got := outcome(b.Get(t, withObject("strict", jws, "redirect_uri", peerRedirect))); got != want {
			t.Errorf("%s where ES256 is registered: %s, want %s", alg, got, want)
		}
		status, _ := rp.Post(t, "/oauth2/par", url.Values{"client_id": {"strict"}, "request": {jws}}, &refused)
		if (status == http.StatusCreated) != (want == "code") {
			t.Errorf("%s pushed: %d %+v", alg, status, refused)
		}
	}
}

// OpenID Connect Core 1.0, section 6.2: request_uri is not offered, and said so to the client.
func testARequestURIThatWouldHaveToBeFetchedIsRefused(t *testing.T, p *peers) {
	b := p.signedIn(t, harness.Bob)
	for _, uri := range []string{"https://app.example/object", "http://169.254.169.254/", "file:///etc/passwd", "urn:other"} {
		page := b.Get(t, p.peer("object").Authorize(url.Values{"request_uri": {uri}}).URL)
		if got := outcome(page); got != "request_uri_not_supported" || page.Away.Host != "app.example" {
			t.Errorf("%s: %s", uri, got)
		}
	}
}
