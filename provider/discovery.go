package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// metadata is OpenID Connect Discovery 1.0, section 3, with RFC 8414, 9126, 9207
// and RP-Initiated Logout 1.0. Every value comes from what is wired.
type metadata struct {
	Issuer                     string   `json:"issuer"`
	AuthorizationEndpoint      string   `json:"authorization_endpoint"`
	TokenEndpoint              string   `json:"token_endpoint"`
	UserinfoEndpoint           string   `json:"userinfo_endpoint"`
	JWKSURI                    string   `json:"jwks_uri"`
	EndSessionEndpoint         string   `json:"end_session_endpoint"`
	IntrospectionEndpoint      string   `json:"introspection_endpoint"`
	RevocationEndpoint         string   `json:"revocation_endpoint"`
	PushedRequestEndpoint      string   `json:"pushed_authorization_request_endpoint"`
	ScopesSupported            []string `json:"scopes_supported"`
	ResponseTypesSupported     []string `json:"response_types_supported"`
	ResponseModesSupported     []string `json:"response_modes_supported"`
	GrantTypesSupported        []string `json:"grant_types_supported"`
	ACRValuesSupported         []string `json:"acr_values_supported"`
	SubjectTypesSupported      []string `json:"subject_types_supported"`
	PromptValuesSupported      []string `json:"prompt_values_supported"`
	IDTokenAlgs                []string `json:"id_token_signing_alg_values_supported"`
	UserinfoAlgs               []string `json:"userinfo_signing_alg_values_supported"`
	RequestObjectAlgs          []string `json:"request_object_signing_alg_values_supported"`
	TokenAuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs              []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuthMethods   []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs      []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthMethods      []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs         []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	ClaimsSupported            []string `json:"claims_supported"`
	ClaimTypesSupported        []string `json:"claim_types_supported"`
	UILocalesSupported         []string `json:"ui_locales_supported"`
	CodeChallengeMethods       []string `json:"code_challenge_methods_supported"`
	ClaimsParameterSupported   bool     `json:"claims_parameter_supported"`
	RequestParameterSupported  bool     `json:"request_parameter_supported"`
	RequestURISupported        bool     `json:"request_uri_parameter_supported"`
	RequirePushedRequests      bool     `json:"require_pushed_authorization_requests"`
	AuthorizationResponseIssue bool     `json:"authorization_response_iss_parameter_supported"`
}

// document is ready bytes with their ETag, for one version of the scopes.
type document struct {
	scopes *storage.ScopeIndex
	body   []byte
	etag   string
}

// discovery serves the metadata.
type discovery struct {
	p     *Provider
	ready atomic.Pointer[document]
}

// discoveryCache is how long relying parties may keep the metadata and, as
// internal/keys counts on, the key set.
const discoveryCache = "public, max-age=300"

func (d *discovery) serve(w http.ResponseWriter, r *http.Request) error {
	// The scopes of resources are cached; without a database the last document goes on.
	scopes, err := d.p.registry.Scopes(r.Context())
	doc := d.ready.Load()
	if err != nil && doc == nil {
		return err
	}
	if err == nil && (doc == nil || doc.scopes != scopes) {
		if doc, err = d.p.document(scopes); err != nil {
			return err
		}
		d.ready.Store(doc)
	}
	return static(w, r, doc.body, doc.etag, "application/json")
}

func (p *Provider) document(scopes *storage.ScopeIndex) (*document, error) {
	body, err := json.Marshal(p.metadata(scopes.Scopes()))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return &document{scopes: scopes, body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, nil
}

func (p *Provider) metadata(resourceScopes []string) metadata {
	at := func(path string) string { return p.issuer + path }
	algs, clientAlgs, authMethods := oauth.SigningAlgs(), oauth.ClientAlgs(), oauth.AuthMethods()
	confidential := slices.DeleteFunc(oauth.AuthMethods(), func(m string) bool { return m == oauth.AuthNone })
	return metadata{
		Issuer: p.issuer, AuthorizationEndpoint: at(pathAuthorize), TokenEndpoint: at(pathToken), UserinfoEndpoint: at(pathUserinfo),
		JWKSURI: at(pathJWKS), EndSessionEndpoint: at(pathLogout), IntrospectionEndpoint: at(pathIntrospect),
		RevocationEndpoint: at(pathRevoke), PushedRequestEndpoint: at(pathPushed),
		ScopesSupported:        append(oauth.StandardScopes(), resourceScopes...),
		ResponseTypesSupported: oauth.ResponseTypes(), ResponseModesSupported: oauth.ResponseModes(), GrantTypesSupported: GrantTypes(),
		ACRValuesSupported: assurance.ACRs(), SubjectTypesSupported: []string{"public"}, PromptValuesSupported: oauth.Prompts(),
		IDTokenAlgs: algs, UserinfoAlgs: algs, RequestObjectAlgs: clientAlgs,
		TokenAuthMethods: authMethods, TokenAuthAlgs: clientAlgs, IntrospectionAuthMethods: confidential, IntrospectionAuthAlgs: clientAlgs,
		RevocationAuthMethods: authMethods, RevocationAuthAlgs: clientAlgs,
		ClaimsSupported: append(idTokenClaimNames(), oauth.ScopeClaims()...), ClaimTypesSupported: []string{"normal"}, UILocalesSupported: []string{"en"},
		CodeChallengeMethods: []string{oauth.ChallengeS256}, ClaimsParameterSupported: true, RequestParameterSupported: true,
		AuthorizationResponseIssue: true,
	}
}

func (p *Provider) jwks(w http.ResponseWriter, r *http.Request) error {
	body, etag := p.keys.JWKS()
	return static(w, r, body, etag, "application/jwk-set+json")
}

// static answers with ready bytes that anybody may cache.
func static(w http.ResponseWriter, r *http.Request, body []byte, etag, contentType string) error {
	h := w.Header()
	h["Cache-Control"] = []string{discoveryCache}
	h["Etag"] = []string{etag}
	if match := r.Header.Get("If-None-Match"); match != "" && strings.Contains(match, etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h["Content-Type"] = []string{contentType}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
	return nil
}

// knownOrigin lets a preflight pass that comes from a page of any enabled client;
// whose token it is is only known from the request itself.
func (p *Provider) knownOrigin(r *http.Request, origin string) bool {
	ok, err := p.registry.KnownOrigin(r.Context(), origin)
	if err != nil {
		web.Annotate(r.Context(), "error", err.Error())
	}
	return ok
}
