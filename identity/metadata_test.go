package identity

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	rsaKey     = `{"kty":"RSA","kid":"r","use":"sig","alg":"PS256","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`
	ecKey      = `{"kty":"EC","kid":"e","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
	edKey      = `{"kty":"OKP","kid":"d","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	offCurve   = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"}`
	privateKey = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`
)

func web() storage.Metadata {
	return storage.Metadata{RedirectURIs: []string{"https://a.example/cb"}}
}

// RFC 7591 section 2 gives the defaults; stored registrations say everything.
func TestDefaultsOfARegistration(t *testing.T) {
	m := web()
	if faults := CheckMetadata("app", &m, true); len(faults) > 0 {
		t.Fatal(faults)
	}
	want := storage.Metadata{RedirectURIs: []string{"https://a.example/cb"}, ApplicationType: "web", GrantTypes: []string{"authorization_code"},
		ResponseTypes: []string{"code"}, Scope: "openid profile email", TokenEndpointAuthMethod: "client_secret_basic",
		IDTokenSignedResponseAlg: "RS256", AccessTokenFormat: "opaque"}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	m = web()
	m.TokenEndpointAuthMethod, m.GrantTypes = "none", []string{"authorization_code", "refresh_token"}
	if faults := CheckMetadata("app", &m, true); len(faults) > 0 || m.RequirePKCE != storage.PKCERequired || m.Scope != "openid profile email offline_access" {
		t.Errorf("a public client: got %+v, %v", m, faults)
	}
}

// One rule a row: the field that must be named, and the change that breaks it.
func TestARegistrationThatBreaksARule(t *testing.T) {
	negative := int64(-1)
	for name, tc := range map[string]struct {
		field string
		wreck func(m *storage.Metadata)
	}{
		"application type":    {"application_type", func(m *storage.Metadata) { m.ApplicationType = "desktop" }},
		"auth method":         {"token_endpoint_auth_method", func(m *storage.Metadata) { m.TokenEndpointAuthMethod = "client_secret_jwt" }},
		"auth method tls":     {"token_endpoint_auth_method", func(m *storage.Metadata) { m.TokenEndpointAuthMethod = "tls_client_auth" }},
		"id token alg none":   {"id_token_signed_response_alg", func(m *storage.Metadata) { m.IDTokenSignedResponseAlg = "none" }},
		"id token alg HS256":  {"id_token_signed_response_alg", func(m *storage.Metadata) { m.IDTokenSignedResponseAlg = "HS256" }},
		"userinfo alg":        {"userinfo_signed_response_alg", func(m *storage.Metadata) { m.UserinfoSignedResponseAlg = "HS256" }},
		"request object none": {"request_object_signing_alg", func(m *storage.Metadata) { m.RequestObjectSigningAlg = "none" }},
		"token format":        {"access_token_format", func(m *storage.Metadata) { m.AccessTokenFormat = "JWT" }},
		"implicit":            {"grant_types", func(m *storage.Metadata) { m.GrantTypes = append(m.GrantTypes, "implicit") }},
		"password grant":      {"grant_types", func(m *storage.Metadata) { m.GrantTypes = []string{"authorization_code", "password"} }},
		"grant twice":         {"grant_types", func(m *storage.Metadata) { m.GrantTypes = []string{"authorization_code", "authorization_code"} }},
		"no grant":            {"grant_types", func(m *storage.Metadata) { m.GrantTypes = []string{} }},
		"refresh without code": {"grant_types", func(m *storage.Metadata) {
			m.GrantTypes, m.RedirectURIs = []string{"client_credentials", "refresh_token"}, nil
		}},
		"public machine": {"grant_types", func(m *storage.Metadata) {
			m.GrantTypes, m.TokenEndpointAuthMethod = []string{"authorization_code", "client_credentials"}, "none"
		}},
		"response type token":    {"response_types", func(m *storage.Metadata) { m.ResponseTypes = []string{"code", "token"} }},
		"response type id_token": {"response_types", func(m *storage.Metadata) { m.ResponseTypes = []string{"code id_token"} }},
		"no response type":       {"response_types", func(m *storage.Metadata) { m.ResponseTypes = []string{} }},
		"no redirect":            {"redirect_uris", func(m *storage.Metadata) { m.RedirectURIs = nil }},
		"redirect of a machine":  {"redirect_uris", func(m *storage.Metadata) { m.GrantTypes = []string{"client_credentials"} }},
		"javascript":             {"redirect_uris", func(m *storage.Metadata) { m.RedirectURIs = []string{"javascript:alert(1)"} }},
		"custom scheme of web":   {"redirect_uris", func(m *storage.Metadata) { m.RedirectURIs = []string{"com.example.app:/cb"} }},
		"plain http":             {"redirect_uris", func(m *storage.Metadata) { m.RedirectURIs = []string{"http://a.example/cb"} }},
		"loopback in production": {"redirect_uris", func(m *storage.Metadata) { m.RedirectURIs = []string{"http://127.0.0.1/cb"} }},
		"redirect twice":         {"redirect_uris", func(m *storage.Metadata) { m.RedirectURIs = append(m.RedirectURIs, m.RedirectURIs[0]) }},
		"too many redirects":     {"redirect_uris", func(m *storage.Metadata) { m.RedirectURIs = slices.Repeat([]string{"https://a.example/"}, 51) }},
		"post logout fragment":   {"post_logout_redirect_uris", func(m *storage.Metadata) { m.PostLogoutRedirectURIs = []string{"https://a.example/#x"} }},
		"logo":                   {"logo_uri", func(m *storage.Metadata) { m.LogoURI = "data:image/png;base64,AAAA" }},
		"policy":                 {"policy_uri", func(m *storage.Metadata) { m.PolicyURI = "javascript:alert(1)" }},
		"tos":                    {"tos_uri", func(m *storage.Metadata) { m.TosURI = "http://a.example/tos" }},
		"home page":              {"client_uri", func(m *storage.Metadata) { m.ClientURI = "file:///etc/passwd" }},
		"initiate login":         {"initiate_login_uri", func(m *storage.Metadata) { m.InitiateLoginURI = "com.example.app:/login" }},
		"key set address":        {"jwks_uri", func(m *storage.Metadata) { m.JWKSURI = "http://169.254.169.254/jwks" }},
		"origin with a path":     {"web_origins", func(m *storage.Metadata) { m.WebOrigins = []string{"https://a.example/x"} }},
		"any origin":             {"web_origins", func(m *storage.Metadata) { m.WebOrigins = []string{"*"} }},
		"keys twice": {"jwks_uri", func(m *storage.Metadata) {
			m.JWKS, m.JWKSURI = json.RawMessage(`{"keys":[`+ecKey+`]}`), "https://a.example/jwks"
		}},
		"assertion without keys":  {"token_endpoint_auth_method", func(m *storage.Metadata) { m.TokenEndpointAuthMethod = "private_key_jwt" }},
		"alg without assertion":   {"token_endpoint_auth_signing_alg", func(m *storage.Metadata) { m.TokenEndpointAuthSigningAlg = "ES256" }},
		"objects without keys":    {"request_object_signing_alg", func(m *storage.Metadata) { m.RequireSignedRequestObject = true }},
		"public without asking":   {"skip_consent", func(m *storage.Metadata) { m.TokenEndpointAuthMethod, m.SkipConsent = "none", true }},
		"public management":       {"management", func(m *storage.Metadata) { m.TokenEndpointAuthMethod, m.Management = "none", true }},
		"name of two lines":       {"client_name", func(m *storage.Metadata) { m.ClientName = "Acme\nPortal" }},
		"name that turns around":  {"client_name", func(m *storage.Metadata) { m.ClientName = "Acme \u202elatrop" }},
		"contact":                 {"contacts", func(m *storage.Metadata) { m.Contacts = []string{"a@b@c"} }},
		"negative age":            {"default_max_age", func(m *storage.Metadata) { m.DefaultMaxAge = &negative }},
		"acr of two words":        {"default_acr_values", func(m *storage.Metadata) { m.DefaultACRValues = []string{"a b"} }},
		"unknown scope":           {"scope", func(m *storage.Metadata) { m.Scope = "openid api:none" }},
		"scope twice":             {"scope", func(m *storage.Metadata) { m.Scope = "openid openid" }},
		"scope of one org":        {"scope", func(m *storage.Metadata) { m.Scope = "openid org org:acme-corp" }},
		"offline without refresh": {"scope", func(m *storage.Metadata) { m.Scope = "openid offline_access" }},
		"a machine's openid": {"scope", func(m *storage.Metadata) {
			m.GrantTypes, m.RedirectURIs, m.Scope = []string{"client_credentials"}, nil, "openid"
		}},
		"long scope": {"scope", func(m *storage.Metadata) { m.Scope = strings.Repeat("a", 5000) }},
	} {
		t.Run(name, func(t *testing.T) {
			m := web()
			SetDefaults(&m)
			tc.wreck(&m)
			faults := CheckMetadata("app", &m, true)
			CheckScopes(&faults, &m, func(s string) bool { return s == "api:read" })
			if !slices.ContainsFunc(faults, func(f FieldError) bool { return f.Field == tc.field }) {
				t.Errorf("got %v, want a fault of %s", faults, tc.field)
			}
		})
	}
	for _, id := range []string{"", " ", "a b", "-a", "a\n", "ä", `a"b`, "a<b", "a?b", "a#b", "a%20b", strings.Repeat("a", 129)} {
		m := web()
		if faults := CheckMetadata(id, &m, true); len(faults) != 1 || faults[0].Field != "client_id" {
			t.Errorf("client_id %q: got %v", id, faults)
		}
	}
}

func TestRegistrationsThatKeepTheRules(t *testing.T) {
	for name, m := range map[string]storage.Metadata{
		"machine": {GrantTypes: []string{"client_credentials"}, Scope: "api:read"},
		"native": {ApplicationType: "native", TokenEndpointAuthMethod: "none", RedirectURIs: []string{"http://127.0.0.1/cb", "com.example.app:/cb"},
			GrantTypes: []string{"authorization_code", "refresh_token"}, Scope: "openid org orgs roles offline_access"},
		"keys": {RedirectURIs: []string{"https://a.example/cb"}, TokenEndpointAuthMethod: "private_key_jwt", TokenEndpointAuthSigningAlg: "PS256",
			JWKS: json.RawMessage(`{"keys":[` + rsaKey + `,` + ecKey + `,` + edKey + `]}`), RequireSignedRequestObject: true, RequestObjectSigningAlg: "EdDSA"},
		"first-party": {RedirectURIs: []string{"https://a.example/cb"}, SkipConsent: true, Management: true, WebOrigins: []string{"https://a.example"}},
	} {
		faults := CheckMetadata("app", &m, true)
		CheckScopes(&faults, &m, func(s string) bool { return s == "api:read" })
		if len(faults) > 0 {
			t.Errorf("%s: got %v, want none", name, faults)
		}
	}
}

// RFC 8725: a key set is public keys of the kinds we verify with, each once.
func TestKeySets(t *testing.T) {
	keys := func(k ...string) string { return `{"keys":[` + strings.Join(k, ",") + `]}` }
	for set, want := range map[string]string{
		keys(rsaKey, ecKey, edKey):                           "",
		keys(privateKey):                                     "private member",
		keys(offCurve):                                       "not a point",
		keys(ecKey, ecKey):                                   "same kid",
		keys(`{"kty":"oct","k":"c2VjcmV0"}`):                 "private member",
		keys(`{"kty":"oct"}`):                                "of a kind",
		keys(`{"kty":"RSA","e":"AQAB","n":"sXch"}`):          "24 bits",
		keys(strings.Replace(rsaKey, `"AQAB"`, `"AQ"`, 1)):   "impossible",
		keys(strings.Replace(rsaKey, `"AQAB"`, `"AA"`, 1)):   "impossible",
		keys(strings.Replace(rsaKey, "PS256", "HS256", 1)):   "alg",
		keys(strings.Replace(rsaKey, `"sig"`, `"enc"`, 1)):   "not for signatures",
		keys(strings.Replace(ecKey, "P-256", "P-384", 1)):    "not a key on P-256",
		keys(strings.Replace(edKey, "Ed25519", "X25519", 1)): "not an Ed25519",
		keys(`{"kty":1}`):                                    "of a kind",
		keys():                                               "not a key set",
		keys(slices.Repeat([]string{edKey}, 21)...):          "not a key set",
		`{"keys":[],"d":"x"}`:                                "not a key set",
		`{"keys":null}`:                                      "not a key set",
		`[]`:                                                 "not a key set",
		keys(edKey) + `{}`:                                   "not a key set",
		keys(strings.Repeat(" ", maxJWKSBytes)):              "larger than",
		keys(strings.Replace(edKey, `"kid"`, `"x5c":"`+strings.Repeat("A", 5000)+`","kid"`, 1)): "too long",
	} {
		_, err := checkJWKS(json.RawMessage(set))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.100s: got %v, want %q", set, err, want)
		}
	}
	// A member that is written twice is read differently by different software.
	canonical, err := checkJWKS(json.RawMessage(keys(strings.Replace(edKey, `"kty"`, `"kid":"first","kty"`, 1))))
	if err != nil || strings.Count(string(canonical), `"kid"`) != 1 {
		t.Errorf("a member twice: got %s, %v", canonical, err)
	}
}

func FuzzJWKS(f *testing.F) {
	f.Add(`{"keys":[` + rsaKey + `]}`)
	f.Add(`{"keys":[` + privateKey + `]}`)
	f.Fuzz(func(t *testing.T, s string) {
		canonical, err := checkJWKS(json.RawMessage(s))
		if err != nil {
			return
		}
		if again, err := checkJWKS(canonical); err != nil || string(again) != string(canonical) {
			t.Errorf("%s became %s, then %s, %v", s, canonical, again, err)
		}
	})
}
