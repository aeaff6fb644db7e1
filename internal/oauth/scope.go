package oauth

import "slices"

// Scope is a scope about a person, with the claims that it shows. Every other scope is
// defined by a resource server.
type Scope struct {
	Name   string
	Claims []string
	// ByName: the claims parameter may ask for one of its claims without the scope
	// (OpenID Connect Core 1.0, section 5.5).
	ByName bool
}

// The scopes of OpenID Connect Core 1.0, sections 5.4 and 11, and those of this server.
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopePhone         = "phone"
	ScopeAddress       = "address"
	ScopeOfflineAccess = "offline_access"
	ScopeOrg           = "org"
	ScopeOrgs          = "orgs"
	ScopeGroups        = "groups"
	ScopeRoles         = "roles"
)

// ScopeOrgPrefix begins org:<slug>, which names an organization and is granted as ScopeOrg.
const ScopeOrgPrefix = ScopeOrg + ":"

// scopes are the standard scopes in the order of discovery.
var scopes = []Scope{
	{Name: ScopeOpenID},
	{Name: ScopeProfile, ByName: true, Claims: []string{"name", "given_name", "family_name", "middle_name", "nickname",
		"preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"}},
	{Name: ScopeEmail, ByName: true, Claims: []string{"email", "email_verified"}},
	{Name: ScopePhone, ByName: true, Claims: []string{"phone_number", "phone_number_verified"}},
	{Name: ScopeAddress, ByName: true, Claims: []string{"address"}},
	{Name: ScopeOfflineAccess},
	{Name: ScopeOrg, Claims: []string{"org_id", "org_slug", "org_name", "org_roles"}},
	{Name: ScopeOrgs, Claims: []string{"organizations"}},
	{Name: ScopeGroups, Claims: []string{"groups", "groups_truncated"}},
	{Name: ScopeRoles, Claims: []string{"roles"}},
}

// StandardScopes returns the scopes about a person in the order of discovery.
func StandardScopes() []string {
	names := make([]string, len(scopes))
	for n, s := range scopes {
		names[n] = s.Name
	}
	return names
}

// IsStandardScope reports whether a scope is one of StandardScopes.
func IsStandardScope(scope string) bool {
	return slices.ContainsFunc(scopes, func(s Scope) bool { return s.Name == scope })
}

// ScopeClaims returns all claims that standard scopes show, in the order of discovery.
func ScopeClaims() []string {
	var claims []string
	for _, s := range scopes {
		claims = append(claims, s.Claims...)
	}
	return claims
}

// ClaimScope returns the scope of a claim that the claims parameter may ask for by
// name; "" for every other claim.
func ClaimScope(claim string) string {
	for _, s := range scopes {
		if s.ByName && slices.Contains(s.Claims, claim) {
			return s.Name
		}
	}
	return ""
}
