package provider

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/ory/fosite"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// forClient is the handler of the client_credentials grant.
func (h *handlers) forClient() []fosite.TokenEndpointHandler {
	return []fosite.TokenEndpointHandler{h.client}
}

// validateClient makes the scope parameter of client_credentials what the client may
// have for itself: scopes of resources, and org if it has an organization. A request
// without scope gets all of those; scopes about a person are refused.
func (p *Provider) validateClient(ctx context.Context, t *tokenRequest) error {
	index, err := p.registry.Scopes(ctx)
	if err != nil {
		return err
	}
	resource, e := resourceParam(t.form)
	if e != nil {
		return e
	}
	own := t.client.ownScopes(index)
	granted := own
	if asked := strings.Fields(t.form.Get("scope")); len(asked) > 0 {
		if granted, err = p.selectOwnScopes(ctx, t.client, index, asked); err != nil {
			return err
		}
	}
	if resource != "" {
		if len(scopesAt(index, resource, own)) == 0 {
			return errInvalidTarget
		}
		if granted = scopesAt(index, resource, granted); len(granted) == 0 {
			return errNoResourceScope
		}
		t.resource, t.resourceScopes = resource, granted
	}
	t.form.Set("scope", strings.Join(granted, " "))
	t.scopes, t.audience = granted, p.audienceOf(index, granted)
	return nil
}

// selectOwnScopes returns those of the requested scopes that the client can have for
// itself. Unknown scopes are ignored.
func (p *Provider) selectOwnScopes(
	ctx context.Context, c *client, index *storage.ScopeIndex, asked []string,
) ([]string, error) {
	own := c.ownScopes(index)
	var granted []string
	for _, s := range asked {
		if slug, named := strings.CutPrefix(s, oauth.ScopeOrgPrefix); named && c.Organization != uuid.Nil {
			o, err := p.clientOrganization(ctx, c)
			if err != nil {
				return nil, err
			}
			if o.Slug != slug {
				return nil, refuse("invalid_scope", "The scope org:<slug> names another organization than the client's own.")
			}
			s = oauth.ScopeOrg
		}
		switch {
		case slices.Contains(own, s):
			granted = appendMissing(granted, s)
		case index.Audience(s) != nil || oauth.IsStandardScope(s):
			return nil, refuse("invalid_scope",
				"The scope "+s+" is not registered for this client, or is one that only a person can grant.")
		}
	}
	return granted, nil
}

// ownScopes returns the registered scopes that the client can have for itself, without a
// person: those of resources, and org if the client has an organization.
func (c *client) ownScopes(index *storage.ScopeIndex) []string {
	var own []string
	for _, s := range c.scopes {
		if index.Audience(s) != nil || (s == oauth.ScopeOrg && c.Organization != uuid.Nil) {
			own = appendMissing(own, s)
		}
	}
	return own
}

// errClientGone: the client was disabled while its token was made.
var errClientGone = errInvalidClient.because(errors.New("the client is disabled"))

// commitClient stores the token of a client; a JWT has no row.
func (p *Provider) commitClient(ctx context.Context, t *tokenRequest) error {
	if t.redemption.Access == nil {
		return nil
	}
	return replace(p.store.CreateClientToken(ctx, t.redemption.Access), storage.ErrSpent, errClientGone)
}
