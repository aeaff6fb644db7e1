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
	"github.com/sallyport-id/sallyport/internal/oauth"
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

// stringValues are the string values that are asked for.
func (c *claimRequest) stringValues() []string {
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

// permit drops the claims whose scope is not registered for the client, and
// returns the scopes of the rest: a claim is agreed to like the scope it belongs to,
// so that asking for it by name gets around neither registration nor consent.
func (c *claimsRequest) permit(registered []string) []string {
	var scopes []string
	for _, part := range []map[string]*claimRequest{c.Userinfo, c.IDToken} {
		maps.DeleteFunc(part, func(claim string, _ *claimRequest) bool {
			scope := oauth.ClaimScope(claim)
			if scope == "" || !slices.Contains(registered, scope) {
				return scope != ""
			}
			scopes = appendMissing(scopes, scope)
			return false
		})
	}
	slices.Sort(scopes) // the form of the consent page is made for them in their order
	return scopes
}

// idTokenClaimNames are the claims of an ID token that no scope asks for.
func idTokenClaimNames() []string {
	return []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "amr", "sid", "nonce", "azp", "at_hash"}
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

// personClaims adds the standard claims of OpenID Connect Core 1.0, section 5.4, to a
// token's: those that the claims parameter asked for by name, and with byScope those of
// the token's scopes.
func (c *client) personClaims(
	claims map[string]any, a *storage.Authorization, scopes []string, asked map[string]*claimRequest, byScope bool,
) {
	shows := func(claim string) bool {
		_, named := asked[claim]
		return named && c.showsNamed(claim, a.Grant.Scopes, scopes) ||
			byScope && slices.Contains(scopes, oauth.ClaimScope(claim))
	}
	u, f := &a.User, &a.User.Profile
	for _, claim := range []struct {
		name  string
		value any
	}{
		{"name", f.Name}, {"given_name", f.GivenName}, {"family_name", f.FamilyName}, {"middle_name", f.MiddleName},
		{"nickname", f.Nickname}, {"preferred_username", preferredUsername(u, scopes)}, {"profile", f.ProfileURL},
		{"picture", f.Picture}, {"website", f.Website}, {"gender", f.Gender}, {"birthdate", f.Birthdate}, {"zoneinfo", f.Zoneinfo},
		{"locale", f.Locale}, {"updated_at", u.UpdatedAt.Unix()},
		{"email", u.Email}, {"email_verified", !u.EmailVerifiedAt.IsZero()},
		{"phone_number", f.PhoneNumber}, {"address", f.Address},
	} {
		if shows(claim.name) {
			set(claims, claim.name, claim.value)
		}
	}
	if f.PhoneNumber != "" && shows("phone_number_verified") {
		claims["phone_number_verified"] = f.PhoneNumberVerified
	}
}

// preferredUsername is what a client may call a user. It is never a text that the user chose, because they could choose
// the name of another user or of an administrator: it is the verified address if the client may see it, else the sub.
func preferredUsername(u *storage.User, scopes []string) string {
	if u.EmailVerified() && slices.Contains(scopes, oauth.ScopeProfile) && slices.Contains(scopes, oauth.ScopeEmail) {
		return u.Email
	}
	return u.Sub.String()
}

// organizationClaims adds what the scopes org and roles show: the token's one
// organization, and the platform's roles.
func organizationClaims(claims map[string]any, a *storage.Authorization, scopes []string) {
	if o := a.Organization; o != nil && slices.Contains(scopes, oauth.ScopeOrg) {
		claims["org_id"], claims["org_slug"], claims["org_name"] = o.ID.String(), o.Slug, o.Name
		roles := []string{} // never null
		if a.Role != "" {
			roles = append(roles, a.Role)
		}
		claims["org_roles"] = roles
	}
	if slices.Contains(scopes, oauth.ScopeRoles) && a.Grant.ID != uuid.Nil {
		claims["roles"] = append([]string{}, a.User.PlatformRoles...)
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
	if slices.Contains(granted, oauth.ScopeOrg) && !slices.ContainsFunc(scopes, oauth.IsStandardScope) {
		return append(slices.Clone(scopes), oauth.ScopeOrg)
	}
	return scopes
}

// showsNamed reports whether a claim that the claims parameter asked for by name is shown with a token that has scopes.
// Such a claim is agreed to like its scope without being one, so that a token that was narrowed to fewer scopes than the
// grant's shows it only by its own scope. What the client is no longer registered for is not shown either.
func (c *client) showsNamed(claim string, granted, scopes []string) bool {
	scope := oauth.ClaimScope(claim)
	isNarrowed := slices.ContainsFunc(granted, func(s string) bool { return !slices.Contains(scopes, s) })
	return slices.Contains(c.scopes, scope) && (!isNarrowed || slices.Contains(scopes, scope))
}

// userinfoClaims are the answer of the userinfo endpoint for a token with scopes.
func userinfoClaims(c *client, a *storage.Authorization, scopes []string) map[string]any {
	claims := map[string]any{"sub": a.User.Sub.String()}
	c.personClaims(claims, a, scopes, readClaims(a.Grant.Claims).Userinfo, true)
	organizationClaims(claims, a, scopes)
	if slices.Contains(scopes, oauth.ScopeOrgs) {
		claims["organizations"] = organizationList(a.Memberships)
	}
	if slices.Contains(scopes, oauth.ScopeGroups) {
		if slices.Contains(scopes, oauth.ScopeOrgs) {
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
	if slices.Contains(scopes, oauth.ScopeGroups) {
		claims["groups"] = groupsOfOne(a)
	}
	if asked := readClaims(g.Claims).IDToken; len(asked) > 0 || c.Metadata.ClaimsInIDToken {
		c.personClaims(claims, a, scopes, asked, c.Metadata.ClaimsInIDToken)
	}
	return claims
}

// readClaims parses what checkClaims stored; it is empty where that was nothing.
func readClaims(stored string) (c claimsRequest) {
	if stored != "" && json.Unmarshal([]byte(stored), &c) != nil {
		return claimsRequest{}
	}
	return c
}

// accessTokenClaims are a JWT access token's (RFC 9068, section 2.2). A token of
// the client_credentials grant has a zero authorization and the client as subject.
func (p *Provider) accessTokenClaims(c *client, a *storage.Authorization, t *storage.AccessToken, granted []string,
	jti string) map[string]any {
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
	return claims
}

// audienceClaim is one string where there is one audience (RFC 7519, section 4.1.3).
func audienceClaim(audience []string) any {
	if len(audience) == 1 {
		return audience[0]
	}
	return audience
}
