package identity

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// isScopeToken checks the grammar of RFC 6749, section 3.3, without the escapes, which no scope needs.
func isScopeToken(s string) bool {
	return s != "" && len(s) <= 128 &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

// maxScopeBytes bounds the scopes of a client, as one text.
const maxScopeBytes = 4096

// CheckScopes checks the scopes that a client may request; known reports scopes of resources.
func CheckScopes(faults *FieldErrors, m *storage.Metadata, known func(string) bool) {
	if len(m.Scope) > maxScopeBytes { // CheckMetadata refuses it; the comparison below would take minutes
		return
	}
	scopes := strings.Fields(m.Scope)
	for n, s := range scopes {
		standard := oauth.IsStandardScope(s)
		switch {
		case slices.Contains(scopes[:n], s):
			faults.Add("scope", fmt.Sprintf("names %q twice", Clip(s)), "remove one")
		case strings.HasPrefix(s, oauth.ScopeOrgPrefix):
			faults.Add("scope", fmt.Sprintf("names %q", Clip(s)), "register org, which allows org:<slug> too")
		case !isScopeToken(s) || !standard && !known(s):
			faults.Add("scope", fmt.Sprintf("names %q, which nothing defines", Clip(s)),
				"define it under resources, or remove it")
		case standard && !slices.Contains(m.GrantTypes, oauth.GrantAuthorizationCode):
			faults.Add("scope", fmt.Sprintf("names %q, which is about a person", s),
				"add the grant type authorization_code, or remove the scope")
		case s == oauth.ScopeOfflineAccess && !slices.Contains(m.GrantTypes, oauth.GrantRefreshToken):
			faults.Add("scope", "names offline_access without the grant type refresh_token",
				"add the grant type, or remove the scope")
		}
	}
}

// IsOwnURI reports whether a URI is the ISSUER or below it. No resource may have such an identifier, because its
// tokens would be valid at this server itself.
func (rs *Resources) IsOwnURI(raw string) bool {
	u, err := url.Parse(raw)
	own, ownErr := url.Parse(rs.issuer)
	return err == nil && ownErr == nil && strings.EqualFold(u.Scheme, own.Scheme) &&
		strings.EqualFold(u.Hostname(), own.Hostname()) && portOf(u) == portOf(own)
}

func portOf(u *url.URL) string {
	return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)])
}

// CheckResource checks a resource server by itself; IsOwnURI is the rule that needs the ISSUER.
func CheckResource(r *storage.Resource) FieldErrors {
	var faults FieldErrors
	if err := checkURI(r.Identifier, uriKind{loopback: true, localhost: true, custom: true}); err != nil {
		faults.Add("identifier", fmt.Sprintf("%q %s", Clip(r.Identifier), err),
			"use an absolute URI such as https://api.example.com (RFC 8707)")
	}
	checkName(&faults, "name", r.Name, 100)
	for _, name := range slices.Sorted(maps.Keys(r.Scopes)) {
		field := "scopes." + Clip(name)
		switch {
		case !isScopeToken(name) || strings.HasPrefix(name, oauth.ScopeOrgPrefix) || oauth.IsStandardScope(name):
			faults.Add(field, "is not a name a resource can define", "choose another, such as api:read")
		default:
			checkName(&faults, field, r.Scopes[name], 200)
		}
	}
	return faults
}
