package provider

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// claimsRequest is the claims parameter (OpenID Connect Core 1.0, section 5.5).
// Members that are not known are kept out, as the section wants them ignored.
type claimsRequest struct {
	Userinfo map[string]*claimRequest `json:"userinfo,omitempty"`
	IDToken  map[string]*claimRequest `json:"id_token,omitempty"`
}

type claimRequest struct {
	Essential bool  `json:"essential,omitempty"`
	Value     any   `json:"value,omitempty"`
	Values    []any `json:"values,omitempty"`
}

// all are the string values that are asked for.
func (c *claimRequest) all() []string {
	var out []string
	for _, v := range append([]any{c.Value}, c.Values...) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// maxClaims bounds the claims parameter in bytes.
const maxClaims = 8 << 10

func parseClaimsRequest(raw string) (*claimsRequest, error) {
	if len(raw) > maxClaims {
		return nil, errors.New("it is too large")
	}
	dec := json.NewDecoder(strings.NewReader(raw))
	var c *claimsRequest
	if err := dec.Decode(&c); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF || c == nil {
		return nil, errors.New("it is not one JSON object")
	}
	return c, nil
}

// claimScope tells which scope lets a claim be asked for by name. Claims that are
// not here cannot be.
var claimScope = map[string]string{
	"name": "profile", "given_name": "profile", "family_name": "profile", "middle_name": "profile", "nickname": "profile",
	"preferred_username": "profile", "profile": "profile", "picture": "profile", "website": "profile", "gender": "profile",
	"birthdate": "profile", "zoneinfo": "profile", "locale": "profile", "updated_at": "profile",
	"email": "email", "email_verified": "email",
	"phone_number": "phone", "phone_number_verified": "phone",
	"address": "address",
}

// permit drops the claims whose scope is not registered for the client, and
// returns the scopes of the rest: a claim is agreed to like the scope it belongs to,
// so that asking for it by name gets around neither registration nor consent.
func (c *claimsRequest) permit(registered []string) []string {
	var scopes []string
	for _, part := range []map[string]*claimRequest{c.Userinfo, c.IDToken} {
		maps.DeleteFunc(part, func(claim string, _ *claimRequest) bool {
			scope, known := claimScope[claim]
			if known && slices.Contains(registered, scope) {
				scopes = appendMissing(scopes, scope)
			}
			return known && !slices.Contains(registered, scope)
		})
	}
	slices.Sort(scopes) // the form of the consent page is made for them in their order
	return scopes
}

// supportedClaims is claims_supported of discovery.
var supportedClaims = []string{
	"sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "amr", "sid", "nonce", "azp", "at_hash",
	"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
	"gender", "birthdate", "zoneinfo", "locale", "updated_at", "email", "email_verified", "phone_number",
	"phone_number_verified", "address", "org_id", "org_slug", "org_name", "org_roles", "organizations",
	"groups", "groups_truncated", "roles",
}

// set adds a claim unless it is empty.
func set(claims map[string]any, name string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case []string:
		if v == nil {
			return
		}
	case *storage.Address:
		if v == nil {
			return
		}
	}
	claims[name] = value
}

// personClaims adds the standard claims of OpenID Connect Core 1.0, section 5.4,
// for which want returns true. scopes are those of the token.
func personClaims(claims map[string]any, u *storage.User, scopes []string, want func(claim string) bool) {
	f := u.Profile
	for _, c := range []struct {
		name  string
		value any
	}{
		{"name", f.Name}, {"given_name", f.GivenName}, {"family_name", f.FamilyName}, {"middle_name", f.MiddleName},
		{"nickname", f.Nickname}, {"preferred_username", preferredUsername(u, scopes)}, {"profile", f.ProfileURL},
		{"picture", f.Picture},
		{"website", f.Website}, {"gender", f.Gender}, {"birthdate", f.Birthdate}, {"zoneinfo", f.Zoneinfo}, {"locale", f.Locale},
		{"updated_at", u.UpdatedAt.Unix()},
		{"email", u.Email}, {"email_verified", !u.EmailVerifiedAt.IsZero()},
		{"phone_number", f.PhoneNumber}, {"address", f.Address},
	} {
		if want(c.name) {
			set(claims, c.name, c.value)
		}
	}
	if f.PhoneNumber != "" && want("phone_number_verified") {
		claims["phone_number_verified"] = f.PhoneNumberVerified
	}
}

// preferredUsername is what an app may call a person: nothing that they typed, so that nobody calls themselves like
// another, or like an administrator. It is the address if the app may see that and the person has proven it.
func preferredUsername(u *storage.User, scopes []string) string {
	if u.Proven() && slices.Contains(scopes, "profile") && slices.Contains(scopes, "email") {
		return u.Email
	}
	return u.Sub.String()
}

// organizationClaims adds what the scopes org and roles show: the token's one
// organization, and the platform's roles.
func organizationClaims(claims map[string]any, a *storage.Authorization, scopes []string) {
	if o := a.Organization; o != nil && slices.Contains(scopes, "org") {
		claims["org_id"] = o.ID.String()
		claims["org_slug"] = o.Slug
		claims["org_name"] = o.Name
		roles := []string{}
		if a.Role != "" {
			roles = append(roles, a.Role)
		}
		claims["org_roles"] = roles
	}
	if slices.Contains(scopes, "roles") {
		roles := a.User.PlatformRoles
		if roles == nil {
			roles = []string{}
		}
		claims["roles"] = roles
	}
}

// organizationEntry is an element of the claim organizations.
type organizationEntry struct {
	ID    uuid.UUID `json:"id"`
	Slug  string    `json:"slug"`
	Name  string    `json:"name"`
	Roles []string  `json:"roles"`
}

// organizationList is the claim organizations, an array even if it is empty.
func organizationList(all []storage.Membership) []organizationEntry {
	list := make([]organizationEntry, len(all))
	for n, m := range all {
		list[n] = organizationEntry{m.Organization.ID, m.Organization.Slug, m.Organization.Name, []string{m.Role}}
	}
	return list
}

// organizationScopes are the scopes that decide which organization claims an access
// token tells. A token that has scopes of resources only still names the organization
// that was granted: a resource server must know for whom it acts.
func organizationScopes(scopes, granted []string) []string {
	if slices.Contains(granted, "org") && !slices.ContainsFunc(scopes, isStandardScope) {
		return append(slices.Clone(scopes), "org")
	}
	return scopes
}

// showsNamed reports whether a claim that the claims parameter asked for by name is shown with a token that has scopes.
// Such a claim is agreed to like its scope without being one, so that a token that was narrowed to fewer scopes than the
// grant's shows it only by its own scope. What the client is no longer registered for is not shown either.
func (c *client) showsNamed(claim string, granted, scopes []string) bool {
	scope := claimScope[claim]
	isNarrowed := slices.ContainsFunc(granted, func(s string) bool { return !slices.Contains(scopes, s) })
	return slices.Contains(c.scopes, scope) && (!isNarrowed || slices.Contains(scopes, scope))
}

// userinfoClaims are the answer of the userinfo endpoint for a token with scopes.
func userinfoClaims(c *client, a *storage.Authorization, scopes []string) map[string]any {
	claims := map[string]any{"sub": a.User.Sub.String()}
	var asked map[string]*claimRequest
	if r := readClaims(a.Grant.Claims); r != nil {
		asked = r.Userinfo
	}
	personClaims(claims, &a.User, scopes, func(claim string) bool {
		if _, named := asked[claim]; named && c.showsNamed(claim, a.Grant.Scopes, scopes) {
			return true
		}
		return slices.Contains(scopes, claimScope[claim])
	})
	organizationClaims(claims, a, scopes)
	if slices.Contains(scopes, "orgs") {
		claims["organizations"] = organizationList(a.Memberships)
	}
	if slices.Contains(scopes, "groups") {
		if slices.Contains(scopes, "orgs") {
			groupsOfAll(claims, a)
		} else {
			claims["groups"] = groupsOfOne(a)
		}
	}
	return claims
}

// authenticationClaims are those that tell how and when the person signed in.
func authenticationClaims(claims map[string]any, g *storage.Grant) {
	claims["auth_time"] = g.AuthTime.Unix()
	set(claims, "acr", g.ACR)
	set(claims, "amr", g.AMR)
	if g.SessionID != uuid.Nil {
		claims["sid"] = g.SessionID.String()
	}
}

// idTokenClaims are an ID token's (OpenID Connect Core 1.0, section 2).
func (p *Provider) idTokenClaims(c *client, a *storage.Authorization, scopes []string, nonce, atHash string, now time.Time) map[string]any {
	g := &a.Grant
	claims := map[string]any{
		"iss": p.issuer, "sub": a.User.Sub.String(), "aud": c.ID,
		"iat": now.Unix(), "exp": now.Add(idTokenLifetime).Unix(),
	}
	authenticationClaims(claims, g)
	set(claims, "nonce", nonce)
	set(claims, "at_hash", atHash)
	organizationClaims(claims, a, scopes)
	if slices.Contains(scopes, "groups") {
		claims["groups"] = groupsOfOne(a)
	}
	var asked map[string]*claimRequest
	if r := readClaims(g.Claims); r != nil {
		asked = r.IDToken
	}
	if len(asked) > 0 || c.Metadata.ClaimsInIDToken {
		personClaims(claims, &a.User, scopes, func(claim string) bool {
			if _, named := asked[claim]; named && c.showsNamed(claim, g.Scopes, scopes) {
				return true
			}
			return c.Metadata.ClaimsInIDToken && slices.Contains(scopes, claimScope[claim])
		})
	}
	return claims
}

// readClaims parses what checkClaims stored.
func readClaims(stored string) *claimsRequest {
	if stored == "" {
		return nil
	}
	var c claimsRequest
	if json.Unmarshal([]byte(stored), &c) != nil {
		return nil
	}
	return &c
}

// accessTokenClaims are a JWT access token's (RFC 9068, section 2.2). A token of
// the client_credentials grant has a zero authorization and the client as subject.
func (p *Provider) accessTokenClaims(c *client, a *storage.Authorization, t *storage.AccessToken, granted []string, jti string) map[string]any {
	claims := map[string]any{
		"iss": p.issuer, "sub": c.ID, "aud": audienceClaim(t.Audience), "client_id": c.ID, "jti": jti,
		"iat": t.CreatedAt.Unix(), "exp": t.ExpiresAt.Unix(), "scope": strings.Join(t.Scopes, " "),
	}
	if a.Grant.ID != uuid.Nil {
		claims["sub"] = a.User.Sub.String()
		claims["gid"] = a.Grant.ID.String()
		authenticationClaims(claims, &a.Grant)
	}
	organizationClaims(claims, a, organizationScopes(t.Scopes, granted))
	if a.Grant.ID == uuid.Nil {
		delete(claims, "roles")
	}
	return claims
}

// audienceClaim is one string where there is one audience (RFC 7519, section 4.1.3).
func audienceClaim(audience []string) any {
	if len(audience) == 1 {
		return audience[0]
	}
	return audience
}
