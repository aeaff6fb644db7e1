package identity

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

var clientIDGrammar = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~@:/+-]{0,127}$`)

// The values of a registration that discovery does not list; package oauth has the others.
var (
	applicationTypes = []string{"web", "native"}
	tokenFormats     = []string{"opaque", "jwt"}
)

// SetDefaults fills in the defaults of RFC 7591, section 2, and our own, so that a stored registration is complete.
func SetDefaults(m *storage.Metadata) {
	if m.GrantTypes == nil {
		m.GrantTypes = []string{oauth.GrantAuthorizationCode}
	}
	code := slices.Contains(m.GrantTypes, oauth.GrantAuthorizationCode)
	if m.ResponseTypes == nil && code {
		m.ResponseTypes = []string{oauth.ResponseTypeCode}
	}
	m.ApplicationType = cmp.Or(m.ApplicationType, "web")
	m.TokenEndpointAuthMethod = cmp.Or(m.TokenEndpointAuthMethod, oauth.AuthSecretBasic)
	m.IDTokenSignedResponseAlg = cmp.Or(m.IDTokenSignedResponseAlg, oauth.RS256)
	m.AccessTokenFormat = cmp.Or(m.AccessTokenFormat, "opaque")
	if m.Scope == "" && code {
		m.Scope = strings.Join([]string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail}, " ")
		if slices.Contains(m.GrantTypes, oauth.GrantRefreshToken) {
			m.Scope += " " + oauth.ScopeOfflineAccess
		}
	}
	if len(m.Scope) <= maxScopeBytes { // a longer one is refused
		m.Scope = strings.Join(strings.Fields(m.Scope), " ")
	}
	if m.TokenEndpointAuthMethod == oauth.AuthNone {
		m.RequirePKCE = storage.PKCERequired
	}
}

// CheckMetadata fills in the defaults and applies every rule that needs only the registration itself. CheckScopes has
// the others.
func CheckMetadata(clientID string, m *storage.Metadata, production bool) FieldErrors {
	SetDefaults(m)
	var faults FieldErrors
	faults.AddIf(len(clientID) > 128 || !clientIDGrammar.MatchString(clientID), "client_id",
		fmt.Sprintf("%q is not a client_id", Clip(clientID)),
		"use up to 128 letters, digits and ._~@:/+-, beginning with a letter or digit")
	checkChoices(&faults, m)
	checkGrants(&faults, m)
	checkURIFields(&faults, m, production)
	checkKeys(&faults, m)
	checkPresentation(&faults, m)
	public := m.TokenEndpointAuthMethod == oauth.AuthNone
	// Every program can claim to be a public client, so its users are always asked.
	faults.AddIf(m.SkipConsent && public, "skip_consent", "is for confidential clients only",
		"remove it, or give the client a secret or keys")
	faults.AddIf(m.Management && public, "management", "is for confidential clients only",
		"remove it, or give the client a secret or keys")
	return faults
}

func checkChoices(faults *FieldErrors, m *storage.Metadata) {
	for _, c := range []struct {
		field, value string
		allowed      []string
		optional     bool
	}{
		{"application_type", m.ApplicationType, applicationTypes, false},
		{"token_endpoint_auth_method", m.TokenEndpointAuthMethod, oauth.AuthMethods(), false},
		{"id_token_signed_response_alg", m.IDTokenSignedResponseAlg, oauth.SigningAlgs(), false},
		{"userinfo_signed_response_alg", m.UserinfoSignedResponseAlg, oauth.SigningAlgs(), true},
		{"token_endpoint_auth_signing_alg", m.TokenEndpointAuthSigningAlg, oauth.ClientAlgs(), true},
		{"request_object_signing_alg", m.RequestObjectSigningAlg, oauth.ClientAlgs(), true},
		{"access_token_format", m.AccessTokenFormat, tokenFormats, false},
	} {
		faults.AddIf(!slices.Contains(c.allowed, c.value) && !(c.optional && c.value == ""), c.field,
			fmt.Sprintf("%q is not supported", Clip(c.value)), "choose "+strings.Join(c.allowed, ", "))
	}
	checkList(faults, "grant_types", m.GrantTypes, oauth.Names(oauth.GrantTypes()))
	checkList(faults, "response_types", m.ResponseTypes, oauth.ResponseTypes())
}

func checkList(faults *FieldErrors, field string, values, allowed []string) {
	for n, v := range values {
		if !slices.Contains(allowed, v) {
			faults.AddItem(field, n+1, fmt.Sprintf("%q is not supported", Clip(v)),
				"choose from "+strings.Join(allowed, ", "))
		} else if slices.Contains(values[:n], v) {
			faults.AddItem(field, n+1, fmt.Sprintf("%q is listed twice", v), "remove one")
		}
	}
}

func checkGrants(faults *FieldErrors, m *storage.Metadata) {
	code := slices.Contains(m.GrantTypes, oauth.GrantAuthorizationCode)
	faults.AddIf(len(m.GrantTypes) == 0, "grant_types", "is empty", "name at least one")
	faults.AddIf(code != slices.Contains(m.ResponseTypes, oauth.ResponseTypeCode), "response_types",
		"does not go with grant_types", "list code with authorization_code, and nothing without it")
	for _, g := range oauth.GrantTypes() {
		if !slices.Contains(m.GrantTypes, g.Name) {
			continue
		}
		faults.AddIf(g.With != "" && !slices.Contains(m.GrantTypes, g.With), "grant_types",
			"has "+g.Name+" without "+g.With, "add "+g.With+", which it goes with")
		faults.AddIf(g.Confidential && m.TokenEndpointAuthMethod == oauth.AuthNone, "grant_types",
			"has "+g.Name+" for a client that has no credentials", "choose another token_endpoint_auth_method")
	}
	faults.AddIf(code && len(m.RedirectURIs) == 0, "redirect_uris", "is missing",
		"list the URIs that codes are sent to")
	faults.AddIf(!code && len(m.RedirectURIs) > 0, "redirect_uris",
		"is of no use without the grant type authorization_code", "remove it, or add the grant type")
}

// CheckOffered refuses grant types that are known to package oauth but not offered by the token endpoint.
func CheckOffered(faults *FieldErrors, m *storage.Metadata, offered []string) {
	for n, g := range m.GrantTypes {
		if slices.Contains(oauth.Names(oauth.GrantTypes()), g) && !slices.Contains(offered, g) {
			faults.AddItem("grant_types", n+1, fmt.Sprintf("%q is not offered", g),
				"choose from "+strings.Join(offered, ", "))
		}
	}
}

func checkURIFields(faults *FieldErrors, m *storage.Metadata, production bool) {
	redirect, page := redirectKind(m.ApplicationType == "native", production), pageKind(production)
	checkURIs(faults, "redirect_uris", m.RedirectURIs, checkURI, redirect)
	checkURIs(faults, "post_logout_redirect_uris", m.PostLogoutRedirectURIs, checkURI, redirect)
	checkURIs(faults, "web_origins", m.WebOrigins, checkOrigin, page)
	for _, u := range []struct{ field, value string }{
		{"client_uri", m.ClientURI}, {"logo_uri", m.LogoURI}, {"policy_uri", m.PolicyURI}, {"tos_uri", m.TosURI},
		{"initiate_login_uri", m.InitiateLoginURI}, {"jwks_uri", m.JWKSURI},
	} {
		if u.value == "" {
			continue
		}
		if err := checkURI(u.value, page); err != nil {
			faults.Add(u.field, fmt.Sprintf("%q %s", Clip(u.value), err), "")
		}
	}
}

func checkKeys(faults *FieldErrors, m *storage.Metadata) {
	if len(m.JWKS) > 0 {
		canonical, err := checkJWKS(m.JWKS)
		if err != nil {
			faults.Add("jwks", err.Error(), "register public keys only: RSA from 2048 bits, P-256 or Ed25519")
		} else {
			m.JWKS = canonical
		}
	}
	faults.AddIf(len(m.JWKS) > 0 && m.JWKSURI != "", "jwks_uri", "is given together with jwks", "keep one of them")
	keys := len(m.JWKS) > 0 || m.JWKSURI != ""
	assertion := m.TokenEndpointAuthMethod == oauth.AuthPrivateKeyJWT
	faults.AddIf(assertion && !keys, "token_endpoint_auth_method", "is private_key_jwt without keys",
		"give jwks or jwks_uri")
	faults.AddIf(!assertion && m.TokenEndpointAuthSigningAlg != "", "token_endpoint_auth_signing_alg",
		"is of no use without private_key_jwt", "remove it")
	faults.AddIf((m.RequireSignedRequestObject || m.RequestObjectSigningAlg != "") && !keys,
		"request_object_signing_alg", "needs keys to verify request objects with", "give jwks or jwks_uri")
}

func checkPresentation(faults *FieldErrors, m *storage.Metadata) {
	if m.ClientName != "" {
		checkName(faults, "client_name", m.ClientName, 100)
	}
	faults.AddIf(len(m.Contacts) > 20, "contacts", "has more than 20 entries", "remove some")
	for n, c := range m.Contacts {
		if _, err := EmailKey(c); err != nil {
			faults.AddItem("contacts", n+1, fmt.Sprintf("%q is not an email address", Clip(c)), "")
		}
	}
	faults.AddIf(m.DefaultMaxAge != nil && *m.DefaultMaxAge < 0, "default_max_age", "is negative",
		"give seconds, 0 or more")
	for n, acr := range m.DefaultACRValues {
		if !isScopeToken(acr) || n >= 10 {
			faults.AddItem("default_acr_values", n+1, fmt.Sprintf("%q is not an acr value", Clip(acr)),
				"list up to 10, such as urn:sallyport:acr:mfa")
		}
	}
	faults.AddIf(len(m.Scope) > maxScopeBytes, "scope", fmt.Sprintf("is longer than %d bytes", maxScopeBytes),
		"register another client")
}
