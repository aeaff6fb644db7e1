package provider_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// peers are relying parties beside the sample ones. They live at
// https://app.example and, unless said otherwise, have a secret and skip consent,
// so that a browser that is signed in gets their codes at once.
type peers struct {
	*harness.Server
	keys map[string]crypto.Signer // by alg
}

const (
	peerRedirect = "https://app.example/cb"
	peerScope    = "openid profile email phone address offline_access org orgs groups roles api:read api:write"
)

// peerClients differ from each other in these lines of their registration.
var peerClients = map[string]string{
	"web":      `{}`,
	"other":    `{"skip_consent":false}`,
	"narrow":   `{"scope":"openid"}`,
	"groups":   `{"scope":"openid groups"}`,
	"posted":   `{"token_endpoint_auth_method":"client_secret_post"}`,
	"keyed":    `{"token_endpoint_auth_method":"private_key_jwt","jwks":JWKS}`,
	"object":   `{"jwks":JWKS}`,
	"strict":   `{"jwks":JWKS,"require_signed_request_object":true,"request_object_signing_alg":"ES256"}`,
	"pushing":  `{"require_pushed_authorization_requests":true}`,
	"jwt-rs":   `{"access_token_format":"jwt","grant_types":["authorization_code","refresh_token","client_credentials"]}`,
	"jwt-es":   `{"access_token_format":"jwt","id_token_signed_response_alg":"ES256","userinfo_signed_response_alg":"ES256"}`,
	"jwt-ed":   `{"access_token_format":"jwt","id_token_signed_response_alg":"EdDSA"}`,
	"opaque":   `{"id_token_signed_response_alg":"EdDSA","grant_types":["authorization_code","refresh_token","client_credentials"]}`,
	"id-token": `{"claims_in_id_token":true}`,
	"public":   `{"token_endpoint_auth_method":"none","skip_consent":false}`,
	"server":   `{"grant_types":["client_credentials"],"redirect_uris":[],"response_types":[],"post_logout_redirect_uris":[],"scope":"","skip_consent":false}`,
	"acme":     `{"organization":"acme-corp","grant_types":["authorization_code","refresh_token","client_credentials"]}`,
	"slow":     `{"default_max_age":0}`,
	"both": `{"scope":"openid email offline_access org api:read api:write files:read","organization":"acme-corp",
		"grant_types":["authorization_code","refresh_token","client_credentials"]}`,
	"both-jwt": `{"scope":"openid email offline_access org api:read api:write files:read","access_token_format":"jwt",
		"grant_types":["authorization_code","refresh_token","client_credentials"]}`,
}

// eachEngineWithPeers is harness.EachEngine with the peers registered.
func eachEngineWithPeers(t *testing.T, f func(t *testing.T, p *peers)) {
	t.Helper()
	// No user gets an organization of their own: the tests need users who are in none.
	o := harness.Options{Environ: []string{"SALLYPORT_PERSONAL_ORG=never"}}
	harness.EachEngine(t, o, func(t *testing.T, s *harness.Server) { f(t, newPeers(t, s)) })
}

// withPeers runs f on SQLite alone, for rules that no table decides.
func withPeers(t *testing.T) *peers {
	t.Helper()
	return newPeers(t, harness.Start(t, storage.SQLite, harness.Options{}))
}

func newPeers(t *testing.T, s *harness.Server) *peers {
	t.Helper()
	p := &peers{Server: s, keys: map[string]crypto.Signer{}}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.keys = map[string]crypto.Signer{"RS256": rsaKey, "PS256": rsaKey, "ES256": ecKey, "EdDSA": edKey}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: rsaKey.Public(), KeyID: "rsa"}, {Key: ecKey.Public(), KeyID: "ec"}, {Key: edKey.Public(), KeyID: "ed"}}}
	jwks, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	var yaml strings.Builder
	yaml.WriteString("version: 1\nclients:\n")
	for _, id := range slices.Sorted(maps.Keys(peerClients)) {
		lines := peerClients[id]
		client := map[string]any{"client_id": id, "client_name": "The app " + id, "scope": peerScope, "redirect_uris": []string{peerRedirect},
			"post_logout_redirect_uris": []string{"https://app.example/out"}, "grant_types": []string{"authorization_code", "refresh_token"}, "skip_consent": true}
		var own map[string]any
		if err := json.Unmarshal([]byte(strings.ReplaceAll(lines, "JWKS", string(jwks))), &own); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		maps.Copy(client, own)
		if m := client["token_endpoint_auth_method"]; m != "none" && m != "private_key_jwt" {
			client["secret"] = peerSecret(id)
		}
		line, err := json.Marshal(client)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&yaml, "  - %s\n", line) // JSON is YAML
	}
	yaml.WriteString(`resources:
  - {identifier: 'https://files.example', name: Files, scopes: {'files:read': Read your files}, served_by: [server]}
  - {identifier: 'https://other.example', name: Other, scopes: {'other:read': Read other things}, served_by: [server]}
`)
	s.Apply(t, yaml.String())
	return p
}

func peerSecret(id string) string { return "secret-of-" + id + "-Zr8wq1LkVbX0" }

// peer is one of peerClients with all its scopes but offline_access and organizations.
func (p *peers) peer(id string) *harness.RP {
	secret := peerSecret(id)
	if strings.Contains(peerClients[id], `"none"`) || strings.Contains(peerClients[id], "private_key_jwt") {
		secret = ""
	}
	return p.RP(id, secret, peerRedirect, "openid profile email phone address")
}

// jws signs payload as the peers do, with a header of its own.
func (p *peers) jws(t testing.TB, alg, typ string, payload any) string {
	t.Helper()
	return signedWith(t, p.keys[alg], alg, typ, payload)
}

func signedWith(t testing.TB, key any, alg, typ string, payload any) string {
	t.Helper()
	o := (&jose.SignerOptions{}).WithType(jose.ContentType(typ))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// signedIn is a browser in which somebody has signed in, without any flow.
func (p *peers) signedIn(t testing.TB, who harness.Person) *harness.Browser {
	t.Helper()
	b := p.Browser(t)
	page := b.Get(t, "/login")
	page = b.Submit(t, page.Form(t, "login"), "email", who.Email, "password", who.Password)
	if page.URL.Path != "/" || !strings.Contains(page.Body, who.Email) {
		t.Fatalf("%s cannot sign in: %d at %s", who.Email, page.Status, page.URL)
	}
	return b
}

// outcome says in a word where a request ended: "code", the error the client got,
// "page:" with the error of a page, or "at:" with the path of another page.
func outcome(p *harness.Page) string {
	switch {
	case p.Away != nil && p.Away.Query().Get("code") != "":
		return "code"
	case p.Away != nil:
		return p.Away.Query().Get("error")
	}
	if _, rest, ok := strings.Cut(p.Body, `data-error="`); ok {
		code, _, _ := strings.Cut(rest, `"`)
		return "page:" + code
	}
	return "at:" + p.URL.Path
}

// ask sends a browser with a request and says how it ends without answering a page.
func ask(t testing.TB, b *harness.Browser, rp *harness.RP, extra url.Values) string {
	t.Helper()
	return outcome(b.Get(t, rp.Authorize(extra).URL))
}

// tokensFor exchanges the code that a signed-in browser gets at once.
func tokensFor(t testing.TB, b *harness.Browser, rp *harness.RP, extra url.Values) *harness.Tokens {
	t.Helper()
	r := rp.Authorize(extra)
	page := b.Get(t, r.URL)
	if outcome(page) != "code" {
		t.Fatalf("%s gets %s: %v", rp.ClientID, outcome(page), page.Away)
	}
	return rp.Redeem(t, page.Away.Query().Get("code"), r)
}

// problem is a JSON error (RFC 6749, section 5.2).
type problem struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func decoded(t testing.TB, part string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
