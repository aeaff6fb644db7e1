package provider_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/harness"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// keyring is what clients of these tests sign with.
type keyring map[string]crypto.Signer

func newKeyring(t *testing.T) keyring {
	t.Helper()
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
	return keyring{"rsa": rsaKey, "ec": ecKey, "ed": edKey}
}

// set is the JWK set of the public keys, kid being their names.
func (k keyring) set(t *testing.T) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, kid := range slices.Sorted(maps.Keys(k)) {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k[kid].Public(), KeyID: kid})
	}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// keyedClients registers "keyed", which signs with any of its keys, "pinned", which
// uses PS256, and "second", another client with the same keys.
func keyedClients(t *testing.T, k keyring) string {
	t.Helper()
	jwks := k.set(t)
	client := `  - {"client_id": %q, "grant_types": ["client_credentials"], "scope": "api:read", "token_endpoint_auth_method": "private_key_jwt", "jwks": %s%s}` + "\n"
	return "version: 1\nclients:\n" + fmt.Sprintf(client, "keyed", jwks, "") + fmt.Sprintf(client, "second", jwks, "") +
		fmt.Sprintf(client, "pinned", jwks, `, "token_endpoint_auth_signing_alg": "PS256"`)
}

// claims of a good assertion, changed; nil takes one away.
func assertionClaims(s *harness.Server, client string, change map[string]any) map[string]any {
	now := s.Clock.Now()
	c := map[string]any{"iss": client, "sub": client, "aud": s.Issuer, "jti": uuid.NewString(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	for name, v := range change {
		if v == nil {
			delete(c, name)
		} else {
			c[name] = v
		}
	}
	return c
}

// signJWT signs claims; header adds to or overrides the header.
func signJWT(t *testing.T, alg string, key any, header map[string]any, claims any) string {
	t.Helper()
	o := &jose.SignerOptions{}
	for name, v := range header {
		o = o.WithHeader(jose.HeaderKey(name), v)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(claims)
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

// unsignedJWT is a JWT with any header and an empty or given signature.
func unsignedJWT(t *testing.T, header, claims any, signature string) string {
	t.Helper()
	parts := make([]string, 0, 3)
	for _, v := range []any{header, claims} {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(raw))
	}
	return strings.Join(append(parts, signature), ".")
}

// asserted is a token request with an assertion.
func asserted(assertion string) says {
	return says{form: url.Values{"client_assertion_type": {assertionType}, "client_assertion": {assertion}}}
}

// RFC 8725, sections 3.1 to 3.10: only keys that are registered for the
// client verify, with the algorithms that are accepted; what the header offers is
// never used and nothing is fetched for it.
func TestAnAssertionIsVerifiedWithRegisteredKeysOnly(t *testing.T) {
	keys, evil := newKeyring(t), newKeyring(t)
	var fetched atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		w.Write(evil.set(t))
	}))
	defer trap.Close()
	harness.EachEngine(t, harness.Options{Clients: keyedClients(t, keys)}, func(t *testing.T, s *harness.Server) {
		hc := s.RP("", "", "", "").HTTP
		good := func(client string) map[string]any { return assertionClaims(s, client, nil) }
		for alg, kid := range map[string]string{"RS256": "rsa", "PS256": "rsa", "ES256": "ec", "EdDSA": "ed"} {
			for _, header := range []map[string]any{{"kid": kid}, {}} {
				if status, _, code := asserted(signJWT(t, alg, keys[kid], header, good("keyed"))).send(t, s, hc); status != 200 {
					t.Errorf("%s with %v: %d %s, want 200", alg, header, status, code)
				}
			}
		}
		public := keys["rsa"].Public()
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		jwk, err := json.Marshal(jose.JSONWebKey{Key: public, KeyID: "rsa"})
		if err != nil {
			t.Fatal(err)
		}
		right := signJWT(t, "RS256", keys["rsa"], map[string]any{"kid": "rsa"}, good("keyed"))
		rightParts := strings.Split(right, ".")
		evilJWK := jose.JSONWebKey{Key: evil["rsa"].Public(), KeyID: "rsa"}
		attacks := map[string]string{
			"none":                     unsignedJWT(t, map[string]any{"alg": "none"}, good("keyed"), ""),
			"None":                     unsignedJWT(t, map[string]any{"alg": "None", "kid": "rsa"}, good("keyed"), ""),
			"no alg":                   unsignedJWT(t, map[string]any{"kid": "rsa"}, good("keyed"), ""),
			"none, with a signature":   unsignedJWT(t, map[string]any{"alg": "none"}, good("keyed"), rightParts[2]),
			"HS256 by the PEM":         signJWT(t, "HS256", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), map[string]any{"kid": "rsa"}, good("keyed")),
			"HS256 by the DER":         signJWT(t, "HS256", der, map[string]any{"kid": "rsa"}, good("keyed")),
			"HS256 by the JWK":         signJWT(t, "HS256", jwk, map[string]any{"kid": "rsa"}, good("keyed")),
			"HS256 by the modulus":     signJWT(t, "HS256", public.(*rsa.PublicKey).N.Bytes(), map[string]any{"kid": "rsa"}, good("keyed")),
			"HS512 by nothing":         signJWT(t, "HS512", make([]byte, 64), nil, good("keyed")),
			"RS512":                    signJWT(t, "RS512", keys["rsa"], map[string]any{"kid": "rsa"}, good("keyed")),
			"RS256 for a PS256 client": signJWT(t, "RS256", keys["rsa"], map[string]any{"kid": "rsa"}, good("pinned")),
			"ES256 for a PS256 client": signJWT(t, "ES256", keys["ec"], map[string]any{"kid": "ec"}, good("pinned")),
			"another key, its kid":     signJWT(t, "RS256", evil["rsa"], map[string]any{"kid": "rsa"}, good("keyed")),
			"another key, no kid":      signJWT(t, "ES256", evil["ec"], nil, good("keyed")),
			"kid of another type":      signJWT(t, "RS256", keys["rsa"], map[string]any{"kid": "ec"}, good("keyed")),
			"kid is a path":            signJWT(t, "RS256", evil["rsa"], map[string]any{"kid": "../../../../dev/null"}, good("keyed")),
			"kid is SQL":               signJWT(t, "RS256", evil["rsa"], map[string]any{"kid": "' UNION SELECT 'x' --"}, good("keyed")),
			"kid is a URL":             signJWT(t, "RS256", evil["rsa"], map[string]any{"kid": trap.URL}, good("keyed")),
			"jwk in the header":        signJWT(t, "RS256", evil["rsa"], map[string]any{"jwk": evilJWK}, good("keyed")),
			"jku in the header":        signJWT(t, "RS256", evil["rsa"], map[string]any{"kid": "rsa", "jku": trap.URL + "/jwks"}, good("keyed")),
			"x5u in the header":        signJWT(t, "RS256", evil["rsa"], map[string]any{"x5u": trap.URL + "/cert"}, good("keyed")),
			"unknown crit":             signJWT(t, "RS256", keys["rsa"], map[string]any{"kid": "rsa", "crit": []string{"exp"}, "exp": 1}, good("keyed")),
			"b64":                      signJWT(t, "RS256", keys["rsa"], map[string]any{"kid": "rsa", "crit": []string{"b64"}, "b64": true}, good("keyed")),
			"b64, not critical":        signJWT(t, "RS256", keys["rsa"], map[string]any{"kid": "rsa", "b64": true}, good("keyed")),
			"other claims, same proof": unsignedJWT(t, map[string]any{"alg": "RS256", "kid": "rsa"}, good("keyed"), rightParts[2]),
			"signature cut":            right[:len(right)-4],
			"signature longer":         right + "AAAA",
			"four parts":               right + ".x",
			"two parts":                strings.Join(rightParts[:2], "."),
			"JSON serialization":       `{"payload":"` + rightParts[1] + `","protected":"` + rightParts[0] + `","signature":"` + rightParts[2] + `"}`,
			"a million dots":           strings.Repeat(".", 60_000),
			"very large":               signJWT(t, "ES256", keys["ec"], nil, assertionClaims(s, "keyed", map[string]any{"pad": strings.Repeat("x", 20_000)})),
			"key of another client":    signJWT(t, "RS256", keys["rsa"], map[string]any{"kid": "rsa"}, good("basic")),
			"not even text":            "\u202e",
		}
		for name, assertion := range attacks {
			if status, _, code := asserted(assertion).send(t, s, hc); status != 401 || code != "invalid_client" {
				t.Errorf("%s: %d %s, want 401 invalid_client", name, status, code)
			}
		}
		if n := fetched.Load(); n != 0 {
			t.Errorf("%d fetches were made for keys that a header named", n)
		}
		if status, _, code := asserted(right).send(t, s, hc); status != 200 {
			t.Errorf("the true assertion gets %d %s after all these, want 200", status, code)
		}
		if status, _, code := asserted(signJWT(t, "PS256", keys["rsa"], nil, good("pinned"))).send(t, s, hc); status != 200 {
			t.Errorf("PS256 for a PS256 client: %d %s, want 200", status, code)
		}
	})
}

// RFC 7523, section 3. The jti is spent last: an assertion that is refused for
// anything else can be corrected and sent again.
func TestAnAssertionIsForThisServerNowAndOnce(t *testing.T) {
	keys := newKeyring(t)
	harness.EachEngine(t, harness.Options{Clients: keyedClients(t, keys)}, func(t *testing.T, s *harness.Server) {
		node := s.Node(t)
		hc, other := s.RP("", "", "", "").HTTP, node.RP("", "", "", "").HTTP
		sign := func(client string, change map[string]any) string {
			return signJWT(t, "ES256", keys["ec"], map[string]any{"kid": "ec"}, assertionClaims(s, client, change))
		}
		in := func(d time.Duration) int64 { return s.Clock.Now().Add(d).Unix() }
		for name, change := range map[string]map[string]any{
			"aud is the issuer": nil, "aud is the token endpoint": {"aud": s.Issuer + "/oauth2/token"}, "aud is a list of one": {"aud": []string{s.Issuer}},
			"exp in five minutes": {"exp": in(5 * time.Minute)}, "no iat": {"iat": nil}, "nbf now": {"nbf": in(0)}, "exp with a fraction": {"exp": float64(in(time.Minute)) + 0.5},
			"a long jti": {"jti": uuid.NewString() + strings.Repeat("x", 200)},
		} {
			if status, _, code := asserted(sign("keyed", change)).send(t, s, hc); status != 200 {
				t.Errorf("%s: %d %s, want 200", name, status, code)
			}
		}
		for name, change := range map[string]map[string]any{
			"iss of another": {"iss": "second"}, "no iss": {"iss": nil}, "sub of another": {"sub": "second"}, "no sub": {"sub": nil}, "sub of nobody": {"sub": "nobody", "iss": "nobody"}, "NUL in sub": {"sub": "keyed\x00"},
			"no aud": {"aud": nil}, "empty aud": {"aud": ""}, "aud empty list": {"aud": []string{}}, "aud of two, both good": {"aud": []string{s.Issuer, s.Issuer + "/oauth2/token"}},
			"aud of two, one good": {"aud": []string{s.Issuer, "https://other.example"}}, "aud with slash": {"aud": s.Issuer + "/"}, "aud elsewhere": {"aud": "https://other.example"},
			"aud is the pushed endpoint": {"aud": s.Issuer + "/oauth2/par"}, "aud is introspection": {"aud": s.Issuer + "/oauth2/introspect"}, "aud is a number": {"aud": 1},
			"aud starts like it": {"aud": s.Issuer + ".evil.example"}, "aud with query": {"aud": s.Issuer + "/oauth2/token?x"},
			"no exp": {"exp": nil}, "exp past": {"exp": in(-time.Minute)}, "exp in six minutes": {"exp": in(6 * time.Minute)}, "exp in a year": {"exp": in(365 * 24 * time.Hour)},
			"exp a string": {"exp": fmt.Sprint(in(time.Minute))}, "exp negative": {"exp": -1}, "exp huge": {"exp": json.Number("1e300")}, "exp max": {"exp": json.Number("9223372036854775807")},
			"iat in the future": {"iat": in(2 * time.Minute)}, "nbf in the future": {"nbf": in(2 * time.Minute)},
		} {
			jti := uuid.NewString()
			with := map[string]any{"jti": jti}
			maps.Copy(with, change)
			if status, _, code := asserted(sign("keyed", with)).send(t, s, hc); status != 401 || code != "invalid_client" {
				t.Errorf("%s: %d %s, want 401 invalid_client", name, status, code)
			}
			if status, _, code := asserted(sign("keyed", map[string]any{"jti": jti})).send(t, s, hc); status != 200 {
				t.Errorf("%s: corrected, with the same jti: %d %s, want 200", name, status, code)
			}
		}
		for name, jti := range map[string]any{"no jti": nil, "empty jti": "", "jti of 256": strings.Repeat("x", 256), "jti is a number": 1} {
			if status, _, code := asserted(sign("keyed", map[string]any{"jti": jti})).send(t, s, hc); status != 401 || code != "invalid_client" {
				t.Errorf("%s: %d %s, want 401 invalid_client", name, status, code)
			}
		}
		for name, form := range map[string]url.Values{
			"type missing":          {"client_assertion": {sign("keyed", nil)}},
			"type of SAML":          {"client_assertion": {sign("keyed", nil)}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}},
			"assertion missing":     {"client_assertion_type": {assertionType}, "client_id": {"keyed"}},
			"client_id of another":  {"client_assertion": {sign("keyed", nil)}, "client_assertion_type": {assertionType}, "client_id": {"second"}},
			"client_id, no proof":   {"client_id": {"keyed"}},
			"client_id of a public": {"client_assertion": {sign("keyed", nil)}, "client_assertion_type": {assertionType}, "client_id": {"acme-mobile-001"}},
		} {
			if status, _, code := (says{form: form}).send(t, s, hc); status != 401 || code != "invalid_client" {
				t.Errorf("%s: %d %s, want 401 invalid_client", name, status, code)
			}
		}
		t.Run("once", func(t *testing.T) { assertionOnce(t, s, hc, other, sign) })
	})
}

// A jti is spent on all nodes, by one of those who come at once, for one client.
func assertionOnce(t *testing.T, s *harness.Server, hc, other *http.Client, sign func(string, map[string]any) string) {
	jti := uuid.NewString()
	once := asserted(sign("keyed", map[string]any{"jti": jti}))
	if status, _, code := once.send(t, s, hc); status != 200 {
		t.Errorf("first use: %d %s, want 200", status, code)
	}
	for n, hc := range []*http.Client{hc, other} {
		for _, again := range []says{once, asserted(sign("keyed", map[string]any{"jti": jti, "exp": s.Clock.Now().Add(2 * time.Minute).Unix()}))} {
			if status, _, code := again.send(t, s, hc); status != 401 || code != "invalid_client" {
				t.Errorf("node %d, again: %d %s, want 401 invalid_client", n, status, code)
			}
		}
	}
	if status, _, code := asserted(sign("second", map[string]any{"jti": jti})).send(t, s, hc); status != 200 {
		t.Errorf("the same jti of another client: %d %s, want 200", status, code)
	}
	s.Clock.Advance(85 * time.Second) // it has expired, but not by more than clocks may differ
	if status, _, _ := once.send(t, s, other); status != 401 {
		t.Errorf("at the end of its leeway: %d, want 401", status)
	}
	form := asserted(sign("keyed", nil)).form
	form.Set("grant_type", "client_credentials")
	won := 0
	nodes := []*harness.RP{{Issuer: s.Issuer, ClientID: "keyed", HTTP: hc}, {Issuer: s.Issuer, ClientID: "keyed", HTTP: other}}
	for _, got := range together(t, 16, form, nodes...) {
		switch {
		case got.Status == http.StatusOK:
			won++
		case got.Status != http.StatusUnauthorized || got.Error != "invalid_client":
			t.Errorf("at once: %d %s, want 200 or 401", got.Status, got.Error)
		}
	}
	if won != 1 {
		t.Errorf("%d of 16 at once passed, want 1", won)
	}
}
