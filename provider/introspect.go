package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// introspect tells a client about its own tokens, and a resource server about
// tokens that are meant for it.
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	c, err := p.authenticate(ctx, r, form, pathIntrospect)
	if err != nil {
		return err
	}
	token := form.Get("token")
	switch {
	case token == "":
		return refuse("invalid_request", "The parameter token is missing.")
	case c.Public():
		return errInvalidClient.because(errors.New("a public client cannot introspect"))
	}
	claims, err := p.introspection(ctx, c, token)
	if errors.Is(err, errInactive) {
		claims, err = map[string]any{"active": false}, nil
	}
	if err != nil {
		return err
	}
	return respondJSON(w, http.StatusOK, claims)
}

// introspection is the answer for an active token (RFC 7662, section 2.2). It is errInactive for a token that does not
// count, and for one that is none of the client's business.
func (p *Provider) introspection(ctx context.Context, c *client, token string) (map[string]any, error) {
	if strings.HasPrefix(token, refreshPrefix) {
		return p.refreshIntrospection(ctx, c, token)
	}
	t, err := p.lookupToken(ctx, token)
	if err != nil {
		return nil, err
	}
	index, err := p.registry.Scopes(ctx)
	if err != nil {
		return nil, err
	}
	if t.token.ClientID != c.ID && !index.Serves(c.ID, t.token.Audience) {
		return nil, errInactive
	}
	claims := map[string]any{"active": true, "token_type": tokenType, "iss": p.issuer,
		"client_id": t.token.ClientID, "sub": t.token.ClientID, "aud": audienceClaim(t.token.Audience), "scope": strings.Join(t.token.Scopes, " "),
		"iat": t.token.CreatedAt.Unix(), "exp": t.token.ExpiresAt.Unix()}
	set(claims, "jti", t.jti)
	if t.token.GrantID != uuid.Nil {
		claims["sub"] = t.auth.User.Sub.String()
		authenticationClaims(claims, &t.auth.Grant)
	}
	organizationClaims(claims, t.auth, organizationScopes(t.token.Scopes, t.granted))
	return claims, nil
}

// refreshIntrospection is the answer for a refresh token, to its own client alone.
func (p *Provider) refreshIntrospection(ctx context.Context, c *client, token string) (map[string]any, error) {
	if !isWellFormed(token, refreshPrefix) {
		return nil, errInactive
	}
	t, a, err := p.store.RefreshToken(ctx, secret.HashOf(token))
	if err != nil {
		return nil, replace(err, storage.ErrNotFound, errInactive)
	}
	now := p.now()
	if t.ClientID != c.ID || !t.SpentAt.IsZero() || !now.Before(t.ExpiresAt) || a.InactiveReason(now) != "" {
		return nil, errInactive
	}
	if err := p.withholdOrganizations(ctx, a, now); err != nil {
		return nil, err
	}
	claims := map[string]any{"active": true, "token_type": "refresh_token", "iss": p.issuer, "client_id": c.ID,
		"sub": a.User.Sub.String(), "scope": strings.Join(a.Grant.Scopes, " "), "iat": t.CreatedAt.Unix(), "exp": t.ExpiresAt.Unix()}
	authenticationClaims(claims, &a.Grant)
	organizationClaims(claims, a, a.Grant.Scopes)
	return claims, nil
}

// revoke ends a token of the client (RFC 7009): a refresh token with all of its
// grant, an access token alone. Unknown tokens and those of others succeed too: the
// caller wanted it gone, and an error would let it probe.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	c, err := p.authenticate(ctx, r, form, pathRevoke)
	if err != nil {
		return err
	}
	web.AllowOrigin(w, r, c.allowsOrigin)
	if form.Get("token") == "" {
		return refuse("invalid_request", "The parameter token is missing.")
	}
	if err := p.revokeToken(ctx, c, form); err != nil {
		return err
	}
	return respondBody(w, http.StatusOK, "application/json", nil)
}

func (p *Provider) revokeToken(ctx context.Context, c *client, form url.Values) error {
	token := form.Get("token")
	event := &storage.Event{Type: storage.EventTokenRevoked, Client: c.ID, RequestID: web.RequestID(ctx),
		Facts: map[string]any{"kind": "access_token"}}
	switch {
	case isWellFormed(token, refreshPrefix):
		event.Facts["kind"] = "refresh_token"
		return p.store.RevokeRefreshToken(ctx, secret.HashOf(token), c.ID, event)
	case isWellFormed(token, accessPrefix):
		return p.store.RevokeAccessToken(ctx, secret.HashOf(token), c.ID, event)
	case strings.Count(token, ".") != 2:
		return nil
	}
	// A token that is inactive now is revoked too: a client that has lost a scope, or whose user still has to set up a
	// second factor, may get it back before the token expires.
	t, claims, err := p.verifyJWT(ctx, token)
	if err != nil || t.ClientID != c.ID {
		return nil
	}
	event.Facts["jti"] = claims.ID
	return p.store.RevokeJWT(ctx, revokedID(claims.ID), t.GrantID, t.ExpiresAt, event)
}
