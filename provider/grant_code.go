package provider

import (
	"cmp"
	"context"
	"errors"

	"github.com/ory/fosite"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// forCode are the handlers of a code. OpenID Connect and PKCE come after what makes the access token.
func (h *handlers) forCode() []fosite.TokenEndpointHandler {
	return []fosite.TokenEndpointHandler{h.code, h.idToken, h.pkce}
}

// validateCode reads the code, and spends it at once if its verifier is wrong: there is
// one try (RFC 9700, section 4.5.3). A code of another client is not touched by the
// attempt (RFC 6749, section 10.5).
func (p *Provider) validateCode(ctx context.Context, t *tokenRequest) error {
	code := t.form.Get("code")
	if code == "" {
		return refuse("invalid_request", "The parameter code is missing.")
	}
	if !isWellFormed(code, codePrefix) {
		return invalidGrant("the code does not look like one of this server")
	}
	t.form.Del("scope") // it means nothing here, and fosite would read it
	var err error
	t.code, t.auth, err = p.store.Code(ctx, secret.HashOf(code))
	switch {
	case err != nil:
		return replace(err, storage.ErrNotFound, invalidGrant("the code is unknown"))
	case t.code.ClientID != t.client.ID:
		return invalidGrant("the code is of another client")
	case !t.code.SpentAt.IsZero():
		return p.revokeReplayed(ctx, t, storage.EventCodeReplayed)
	case !t.now.Before(t.code.ExpiresAt):
		return invalidGrant("the code has expired")
	}
	if reason := t.auth.InactiveReason(t.now); reason != "" {
		return invalidGrant(reason)
	}
	if !verifyChallenge(t.code.Challenge, t.form.Get("code_verifier")) {
		err := p.store.SpendCode(ctx, t.code.Hash, t.client.ID)
		if errors.Is(err, storage.ErrSpent) {
			return p.revokeReplayed(ctx, t, storage.EventCodeReplayed) // the right verifier was faster: two have the code
		} else if err != nil {
			return err
		}
		return invalidGrant("the code_verifier does not match")
	}
	// A deadline may have passed since the code was issued.
	if err := p.checkPolicies(ctx, t.auth, t.now); err != nil {
		return err
	}
	index, err := p.registry.Scopes(ctx)
	if err != nil {
		return err
	}
	return t.restrictToResource(index, t.auth.Grant.Scopes)
}

// commitCode spends the code and stores its tokens.
func (p *Provider) commitCode(ctx context.Context, t *tokenRequest) error {
	t.redemption.Hash, t.redemption.ClientID, t.redemption.GrantID = t.code.Hash, t.client.ID, t.auth.Grant.ID
	err := p.store.RedeemCode(ctx, t.redemption)
	switch {
	case errors.Is(err, storage.ErrWithdrawn):
		return errInvalidGrant.because(err)
	case errors.Is(err, storage.ErrSpent):
		return p.revokeReplayed(ctx, t, storage.EventCodeReplayed)
	}
	return err
}

// revokeReplayed revokes the grant of a code or refresh token that was used before, and
// returns the refusal (RFC 6749, section 4.1.2; RFC 9700, section 4.14.2). fosite would
// refuse also where the revocation has failed (CVE-2020-15223).
func (p *Provider) revokeReplayed(ctx context.Context, t *tokenRequest, event storage.EventType) error {
	g := &t.auth.Grant
	err := p.store.RevokeGrant(ctx, g.ID, string(event), &storage.Event{Type: event, Organization: g.OrganizationID, User: g.UserID,
		Client: t.client.ID, RequestID: web.RequestID(ctx), Facts: map[string]any{"grant": g.ID.String()}})
	return cmp.Or(err, invalidGrant("it was used before; its grant is revoked"))
}

// newRefreshToken returns the row of a refresh token of this exchange.
func (t *tokenRequest) newRefreshToken(token string) *storage.RefreshToken {
	g := &t.auth.Grant
	row := &storage.RefreshToken{Hash: secret.HashOf(token), GrantID: g.ID, ClientID: t.client.ID,
		Salt: secret.Random(16), CreatedAt: t.now, ExpiresAt: t.now.Add(refreshTokenIdle)}
	if g.ExpiresAt.Before(row.ExpiresAt) {
		row.ExpiresAt = g.ExpiresAt
	}
	return row
}

// newAccessToken returns the row of an access token of this exchange, without its hash.
func (t *tokenRequest) newAccessToken(r fosite.Requester) *storage.AccessToken {
	row := &storage.AccessToken{ClientID: t.client.ID, Scopes: r.GetGrantedScopes(), Audience: r.GetGrantedAudience(),
		CreatedAt: t.now, ExpiresAt: t.now.Add(accessTokenLifetime)}
	if t.resource != "" {
		row.Scopes, row.Audience = t.resourceScopes, []string{t.resource}
	}
	if t.auth == nil {
		row.OrganizationID = t.client.Organization
		return row
	}
	row.GrantID = t.auth.Grant.ID
	if end := t.auth.Grant.ExpiresAt; end.Before(row.ExpiresAt) {
		row.ExpiresAt = end // a token does not outlive the grant it was made from
	}
	return row
}
