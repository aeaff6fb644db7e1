package provider_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// verified checks a JWT of this server as a relying party does, with the published keys.
func (p *peers) verified(t testing.TB, token string) (jose.Header, map[string]any) {
	t.Helper()
	_, body := answerTo(t, p.peer("web"), http.MethodGet, "/.well-known/jwks.json", nil, "")
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(body), &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	header := jws.Signatures[0].Header
	found := set.Key(header.KeyID)
	if len(found) != 1 {
		t.Fatalf("kid %q is published %d times", header.KeyID, len(found))
	}
	payload, err := jws.Verify(found[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return header, claims
}

func TestJSONWebTokens(t *testing.T) {
	p := withPeers(t)
	t.Run("RFC 9068", func(t *testing.T) { testJWTAccessTokens(t, p) })
	t.Run("a machine's", func(t *testing.T) { testJWTOfAMachine(t, p) })
	t.Run("each for its purpose", func(t *testing.T) { testTokensAreNotTakenForEachOther(t, p) })
	t.Run("hostile", func(t *testing.T) { testHostileTokens(t, p) })
}

// RFC 9068 section 2; OpenID Connect Core 1.0 section 3.1.3.6: at_hash goes by the
// algorithm, and for EdDSA (Ed25519) that is SHA-512.
func testJWTAccessTokens(t *testing.T, p *peers) {
	b := p.signedIn(t, harness.Bob)
	half256 := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	half512 := func(s string) string {
		sum := sha512.Sum512([]byte(s))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	for client, tc := range map[string]struct {
		alg  string
		half func(string) string
	}{"jwt-rs": {"RS256", half256}, "jwt-es": {"ES256", half256}, "jwt-ed": {"EdDSA", half512}, "web": {"RS256", half256}, "opaque": {"EdDSA", half512}} {
		rp := p.peer(client)
		tokens := tokensFor(t, b, rp, url.Values{"scope": {"openid email org:acme-corp roles api:read"}})
		idHeader, id := p.verified(t, tokens.IDToken)
		if idHeader.Algorithm != tc.alg || id["at_hash"] != tc.half(tokens.AccessToken) {
			t.Errorf("%s: ID token signed with %s, at_hash %v, want %s and %s", client, idHeader.Algorithm, id["at_hash"], tc.alg, tc.half(tokens.AccessToken))
		}
		if client == "web" || client == "opaque" {
			if !strings.HasPrefix(tokens.AccessToken, "sp_at_") {
				t.Errorf("%s: access token %.8s…, want an opaque one", client, tokens.AccessToken)
			}
			continue
		}
		header, claims := p.verified(t, tokens.AccessToken)
		if header.Algorithm != tc.alg || header.ExtraHeaders["typ"] != "at+jwt" {
			t.Errorf("%s: header %+v", client, header)
		}
		exp, iat := claims["exp"].(float64), claims["iat"].(float64)
		jti, _ := claims["jti"].(string)
		if claims["iss"] != p.Issuer || claims["aud"] != "https://api.acme-corp.example" || claims["sub"] != id["sub"] || claims["client_id"] != client ||
			claims["scope"] != "openid email org roles api:read" || exp-iat != 900 || len(jti) < 32 || claims["auth_time"] != id["auth_time"] || claims["acr"] != id["acr"] {
			t.Errorf("%s: says %v", client, claims)
		}
		if claims["org_slug"] != "acme-corp" || claims["org_id"] != id["org_id"] || claims["roles"] == nil {
			t.Errorf("%s: organization %v", client, claims)
		}
		if claims["email"] != nil || claims["nonce"] != nil {
			t.Errorf("%s: an access token with %v", client, claims)
		}
		if resp, _ := answerTo(t, rp, http.MethodGet, "/oauth2/userinfo", http.Header{"Authorization": {"Bearer " + tokens.AccessToken}}, ""); resp.StatusCode != 200 {
			t.Errorf("%s: userinfo answers %d", client, resp.StatusCode)
		}
	}
}

func testJWTOfAMachine(t *testing.T, p *peers) {
	rp := p.peer("jwt-rs")
	tokens := rp.Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"api:read"}})
	header, claims := p.verified(t, tokens.AccessToken)
	if header.ExtraHeaders["typ"] != "at+jwt" || claims["sub"] != "jwt-rs" || claims["client_id"] != "jwt-rs" || claims["scope"] != "api:read" || claims["auth_time"] != nil || claims["roles"] != nil {
		t.Errorf("%+v says %v", header, claims)
	}
	if about := rp.Introspect(t, tokens.AccessToken); about["active"] != true || about["jti"] != claims["jti"] || about["sub"] != "jwt-rs" {
		t.Errorf("introspection says %v", about)
	}
	// Its revocation is looked up by jti: there is no row to delete.
	second := rp.Token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"api:read"}})
	if status, _ := p.peer("web").Post(t, "/oauth2/revoke", url.Values{"token": {tokens.AccessToken}}, nil); status != 200 {
		t.Errorf("revoking another's token answers %d, want 200", status)
	}
	if about := rp.Introspect(t, tokens.AccessToken); about["active"] != true {
		t.Error("another client revoked the token")
	}
	for range 2 {
		if status, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {tokens.AccessToken}}, nil); status != 200 {
			t.Errorf("revoking answers %d", status)
		}
	}
	if about := rp.Introspect(t, tokens.AccessToken); about["active"] != false || len(about) != 1 {
		t.Errorf("revoked: %v", about)
	}
	if about := rp.Introspect(t, second.AccessToken); about["active"] != true {
		t.Error("the next token died with it")
	}
}

// RFC 8725 sections 3.11 and 3.12: each kind of token is good for its own purpose.
func testTokensAreNotTakenForEachOther(t *testing.T, p *peers) {
	rp, b := p.peer("jwt-es"), p.signedIn(t, harness.Bob)
	tokens := tokensFor(t, b, rp, url.Values{"scope": {"openid email offline_access"}})
	_, userinfo := answerTo(t, rp, http.MethodGet, "/oauth2/userinfo", http.Header{"Authorization": {"Bearer " + tokens.AccessToken}}, "")
	r := rp.Authorize(nil)
	code := b.Get(t, r.URL).Away.Query().Get("code")
	all := map[string]string{"ID token": tokens.IDToken, "userinfo": userinfo, "refresh token": tokens.RefreshToken, "code": code, "access token": tokens.AccessToken,
		"client assertion": p.assertion(t, "keyed", nil), "request object": p.jws(t, "ES256", "JWT", p.object("object", nil)),
		"self-made at+jwt": p.jws(t, "ES256", "at+jwt", harness.Claims(t, tokens.AccessToken))}
	for name, token := range all {
		resp, _ := answerTo(t, rp, http.MethodGet, "/oauth2/userinfo", http.Header{"Authorization": {"Bearer " + token}}, "")
		if want := map[bool]int{true: 200, false: 401}[name == "access token"]; resp.StatusCode != want {
			t.Errorf("%s as access token: %d, want %d", name, resp.StatusCode, want)
		}
		if active := rp.Introspect(t, token)["active"]; active != (name == "access token" || name == "refresh token") {
			t.Errorf("%s introspected: active %v", name, active)
		}
		if got, want := ask(t, b, rp, url.Values{"id_token_hint": {token}}), map[bool]string{true: "code", false: "invalid_request"}[name == "ID token"]; got != want {
			t.Errorf("%s as id_token_hint: %s, want %s", name, got, want)
		}
		if page := p.Browser(t).Get(t, "/oauth2/logout?id_token_hint="+url.QueryEscape(token)); (outcome(page) == "page:invalid_id_token_hint") == (name == "ID token") {
			t.Errorf("%s as hint of a logout: %s", name, outcome(page))
		}
		if name != "code" {
			got := rp.Token(t, url.Values{"grant_type": {"authorization_code"}, "code": {token}, "redirect_uri": {peerRedirect}, "code_verifier": {r.Verifier}})
			if got.Error != "invalid_grant" {
				t.Errorf("%s as code: %d %s", name, got.Status, got.Error)
			}
		}
		if name != "refresh token" {
			if got := rp.Refresh(t, token); got.Error != "invalid_grant" {
				t.Errorf("%s as refresh token: %d %s", name, got.Status, got.Error)
			}
		}
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"keyed"}, "client_assertion": {token}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
		if got := p.RP("", "", "", "").Token(t, form); name != "client assertion" && got.Error != "invalid_client" {
			t.Errorf("%s as client assertion: %d %s", name, got.Status, got.Error)
		}
	}
}

// Every other string is refused without work, and never with 500.
func testHostileTokens(t *testing.T, p *peers) {
	rp, b := p.peer("jwt-es"), p.signedIn(t, harness.Bob)
	tokens := tokensFor(t, b, rp, nil)
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	parts := strings.Split(tokens.AccessToken, ".")
	for name, token := range map[string]string{
		"dots":              strings.Repeat(".", 20_000),
		"two dots":          "..",
		"a large header":    encode(`{"alg":"ES256","x":"`+strings.Repeat("x", 16_000)+`"}`) + "." + parts[1] + "." + parts[2],
		"nested":            encode(strings.Repeat(`{"a":`, 4_000)+strings.Repeat("}", 4_000)) + "." + parts[1] + "." + parts[2],
		"b64=false":         encode(`{"alg":"ES256","typ":"at+jwt","b64":false,"crit":["b64"]}`) + "." + parts[1] + "." + parts[2],
		"another payload":   parts[0] + "." + encode(`{"sub":"admin"}`) + "." + parts[2],
		"no signature":      parts[0] + "." + parts[1] + ".",
		"alg none":          encode(`{"alg":"none","typ":"at+jwt"}`) + "." + parts[1] + ".",
		"key in the header": encode(`{"alg":"ES256","typ":"at+jwt","jwk":{"kty":"EC"}}`) + "." + parts[1] + "." + parts[2],
		"padding":           parts[0] + "=." + parts[1] + "." + parts[2],
		"line break":        parts[0] + "." + parts[1] + "." + parts[2][:10] + "\n" + parts[2][10:],
	} {
		var about map[string]any
		if status, _ := rp.Post(t, "/oauth2/introspect", url.Values{"token": {token}}, &about); status != 200 || about["active"] != false {
			t.Errorf("%s introspected: %d %v", name, status, about)
		}
		if status, _ := rp.Post(t, "/oauth2/revoke", url.Values{"token": {token}}, nil); status != 200 {
			t.Errorf("%s revoked: %d", name, status)
		}
		if got := ask(t, b, rp, url.Values{"id_token_hint": {token}}); got != "invalid_request" {
			t.Errorf("%s as hint: %s", name, got)
		}
	}
	if about := rp.Introspect(t, tokens.AccessToken); about["active"] != true {
		t.Error("one of them killed the token they were made from")
	}
}
