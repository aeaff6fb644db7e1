package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/ory/fosite"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// client is a registered client as fosite and this package use it: the lists are
// split and the keys parsed once for each version of its registration.
type client struct {
	*storage.Client
	scopes        fosite.Arguments
	grantTypes    fosite.Arguments
	responseTypes fosite.Arguments
	jwks          *jose.JSONWebKeySet // nil if the client has a jwks_uri or no keys
	origins       []string
	homes         []string // those of origins that a person can be sent to
}

// parseClient returns a *client. Grant types that are not in the table do not count,
// whatever is registered.
func (p *Provider) parseClient(c *storage.Client) (any, error) {
	out := &client{
		Client:        c,
		scopes:        strings.Fields(c.Metadata.Scope),
		grantTypes:    slices.Clone(c.Metadata.GrantTypes),
		responseTypes: c.Metadata.ResponseTypes,
		origins:       c.Origins(),
	}
	out.homes = slices.DeleteFunc(slices.Clone(out.origins), out.isProgram)
	if len(out.grantTypes) == 0 { // RFC 7591, section 2
		out.grantTypes = fosite.Arguments{oauth.GrantAuthorizationCode}
	}
	out.grantTypes = slices.DeleteFunc(out.grantTypes, func(name string) bool { return p.grantType(name) == nil })
	if len(out.responseTypes) == 0 {
		out.responseTypes = fosite.Arguments{oauth.ResponseTypeCode}
	}
	if len(c.Metadata.JWKS) > 0 {
		set, err := parseJWKS(c.Metadata.JWKS)
		if err != nil {
			return nil, err
		}
		out.jwks = set
	}
	return out, nil
}

// isProgram reports whether an origin of the client is where a program on the person's
// device listens while it signs them in, and no website (RFC 8252, section 7.3). A web
// client under development is a website on a port that it has registered.
func (c *client) isProgram(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" {
		return false
	}
	return c.Native() || u.Port() == ""
}

func (c *client) GetID() string                      { return c.ID }
func (c *client) GetHashedSecret() []byte            { return nil }
func (c *client) GetRedirectURIs() []string          { return c.Metadata.RedirectURIs }
func (c *client) GetGrantTypes() fosite.Arguments    { return c.grantTypes }
func (c *client) GetResponseTypes() fosite.Arguments { return c.responseTypes }
func (c *client) GetScopes() fosite.Arguments        { return c.scopes }
func (c *client) IsPublic() bool                     { return c.Public() }
func (c *client) GetAudience() fosite.Arguments      { return nil }

// hasGrantType reports whether the client is registered for a grant type.
func (c *client) hasGrantType(name string) bool { return slices.Contains(c.grantTypes, name) }

// idTokenAlg signs the client's ID tokens and JWT access tokens.
func (c *client) idTokenAlg() string {
	return cmp.Or(c.Metadata.IDTokenSignedResponseAlg, oauth.RS256) // OpenID Connect Registration 1.0, section 2
}

// client returns an enabled client. errUnknownClient for all others.
func (p *Provider) client(ctx context.Context, id string) (*client, error) {
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) { // of a Basic header or an assertion; no database holds it
		return nil, errUnknownClient
	}
	parsed, err := p.registry.ParsedClient(ctx, id, p.parseClient)
	if err != nil {
		return nil, replace(err, storage.ErrNotFound, errUnknownClient)
	}
	switch c := parsed.(*client); {
	case c.Active():
		return c, nil
	case c.DeletedAt.IsZero():
		return nil, errDisabledClient
	}
	return nil, errUnknownClient
}

var (
	errUnknownClient = errors.New("no enabled client has this client_id")
	// errDisabledClient is an errUnknownClient whose registration is there.
	errDisabledClient = fmt.Errorf("%w: it is disabled", errUnknownClient)
)

// matchRedirect reports whether raw is a redirect URI of the client.
func (c *client) matchRedirect(raw string) bool { return c.matchURI(c.Metadata.RedirectURIs, raw) }

// matchPostLogout reports whether raw is a URI that the client may have people sent to
// after they have signed out.
func (c *client) matchPostLogout(raw string) bool {
	return c.matchURI(c.Metadata.PostLogoutRedirectURIs, raw)
}

// matchURI reports whether raw is one of the client's URIs: the very string that is
// registered (RFC 9700, section 2.1), or for a native client the same loopback URI with
// another port (RFC 8252, section 7.3). Nothing is parsed, so there is nothing that two
// parsers could read differently.
func (c *client) matchURI(allowed []string, raw string) bool {
	if slices.Contains(allowed, raw) {
		return raw != ""
	}
	if !c.Native() {
		return false
	}
	host, rest, ok := cutLoopback(raw)
	return ok && slices.ContainsFunc(allowed, func(registered string) bool {
		h, r, ok := cutLoopback(registered)
		return ok && h == host && r == rest
	})
}

// cutLoopback splits a literal http loopback URI into its host and what follows
// the port. "localhost" is not literal: it may resolve to anything.
func cutLoopback(uri string) (host, rest string, ok bool) {
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		rest, ok := strings.CutPrefix(uri, "http://"+host)
		if !ok {
			continue
		}
		if after, hasPort := strings.CutPrefix(rest, ":"); hasPort {
			rest = strings.TrimLeft(after, "0123456789")
			port := after[:len(after)-len(rest)]
			if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
				return "", "", false
			}
		}
		if rest != "" && rest[0] != '/' && rest[0] != '?' {
			return "", "", false
		}
		return host, rest, true
	}
	return "", "", false
}

// allowsOrigin reports whether the client's own pages may read an answer.
func (c *client) allowsOrigin(origin string) bool { return slices.Contains(c.origins, origin) }
