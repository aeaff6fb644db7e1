package provider

import (
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/storage"
)

// errInvalidTarget is the refusal of RFC 8707, section 2. It does not tell whether the resource exists.
var errInvalidTarget = refuse("invalid_target", "The resource is not the identifier of one resource server whose scopes were granted or may be asked for.")

// errNoResourceScope: the scope parameter leaves nothing of the resource that is asked for.
var errNoResourceScope = refuse("invalid_scope", "None of the requested scopes belongs to the requested resource.")

// resourceParam is the resource that a request names, "" if it names none. One
// access token is for one resource, so that no resource server can use it at another.
func resourceParam(params url.Values) (string, *Error) {
	named := slices.DeleteFunc(slices.Clone(params["resource"]), func(r string) bool { return r == "" })
	switch len(named) {
	case 0:
		return "", nil
	case 1:
		return named[0], nil
	}
	return "", refuse("invalid_target", "The parameter resource may have one value: ask for a token for each resource.")
}

// scopesAt keeps the scopes that the resource defines.
func scopesAt(index *storage.ScopeIndex, resource string, scopes []string) []string {
	defined := index.ResourceScopes(resource)
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool {
		_, ok := defined[s]
		return !ok
	})
}

// restrictToResource makes the access token of an exchange one for a single resource:
// that of the token request, else that of the authorization request (RFC 8707,
// section 2.2). scopes are those that the token would have otherwise. The grant is
// not changed, so the next refresh may name another of its resources.
func (t *tokenRequest) restrictToResource(index *storage.ScopeIndex, scopes []string) error {
	resource, e := resourceParam(t.form)
	if e != nil {
		return e
	}
	authorized := t.auth.Grant.Resource
	switch {
	case resource == "":
		resource = authorized
	case authorized != "" && authorized != resource:
		return errInvalidTarget
	}
	if resource == "" {
		return nil
	}
	if len(scopesAt(index, resource, t.auth.Grant.Scopes)) == 0 {
		return errInvalidTarget
	}
	if t.resourceScopes = scopesAt(index, resource, scopes); len(t.resourceScopes) == 0 {
		return errNoResourceScope
	}
	t.resource = resource
	return nil
}

// audienceOf is the aud of an access token: the resources of its scopes, else this server.
func (p *Provider) audienceOf(index *storage.ScopeIndex, scopes []string) []string {
	var audience []string
	for _, s := range scopes {
		audience = appendMissing(audience, index.Audience(s)...)
	}
	if len(audience) == 0 {
		return []string{p.issuer}
	}
	return audience
}
