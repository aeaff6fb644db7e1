package provider

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// forRefresh are the handlers of a refresh: the ID token comes after its access token.
func (h *handlers) forRefresh() []fosite.TokenEndpointHandler {
	return []fosite.TokenEndpointHandler{h.refresh, h.refreshedIDToken}
}

// validateRefresh checks the refresh token and what is asked of it (RFC 6749, section 6).
//
// A refresh token is spent by its first use. Its successor is derived from it, so that
// a client that did not hear the answer gets the same one by asking again within
// refreshGrace, while that successor is unspent. Any other second use is a theft: the
// grant with all its tokens ends.
func (p *Provider) validateRefresh(ctx context.Context, t *tokenRequest) error {
	token := t.form.Get("refresh_token")
	if token == "" {
		return refuse("invalid_request", "The parameter refresh_token is missing.")
	}
	if !isWellFormed(token, refreshPrefix) {
		return invalidGrant("the refresh token does not look like one of this server")
	}
	err := p.readRefreshToken(ctx, t)
	if err != nil {
		return err
	}
	if t.scopes, err = t.restrictScope(strings.Fields(t.form.Get("scope"))); err != nil {
		return err
	}
	index, err := p.registry.Scopes(ctx)
	if err != nil {
		return err
	}
	t.audience = p.audienceOf(index, t.scopes)
	return t.restrictToResource(index, t.scopes)
}

// readRefreshToken finds the token and decides whether it may be used, once more or at
// all. The client is compared first: another client's attempt changes nothing.
func (p *Provider) readRefreshToken(ctx context.Context, t *tokenRequest) error {
	row, auth, err := p.store.RefreshToken(ctx, secret.HashOf(t.form.Get("refresh_token")))
	if err != nil {
		return replace(err, storage.ErrNotFound, invalidGrant("the refresh token is unknown, or expired long ago"))
	}
	if row.ClientID != t.client.ID {
		return invalidGrant("the refresh token belongs to another client")
	}
	t.refresh, t.auth = row, auth
	if reason := auth.InactiveReason(t.now); reason != "" {
		return invalidGrant(reason)
	}
	if err := p.checkPolicies(ctx, auth, t.now); err != nil {
		return err
	}
	switch {
	case row.SpentAt.IsZero() && !t.now.Before(row.ExpiresAt):
		return invalidGrant("the refresh token has expired")
	case row.SpentAt.IsZero():
		return nil
	case !row.SuccessorSpent && t.now.Before(row.SpentAt.Add(refreshGrace)):
		t.isRepeat = true
		return nil
	}
	return p.revokeReplayed(ctx, t, storage.EventRefreshTokenReplayed)
}

// restrictScope returns the scope of the new access token: what is asked for, or all
// that was granted, without what the client has lost since.
func (t *tokenRequest) restrictScope(asked []string) ([]string, error) {
	granted := t.auth.Grant.Scopes
	for n, s := range asked {
		slug, named := strings.CutPrefix(s, oauth.ScopeOrgPrefix)
		if named {
			if t.auth.Organization == nil || t.auth.Organization.Slug != slug {
				return nil, refuse("invalid_scope", "A refresh cannot change the organization.")
			}
			asked[n] = oauth.ScopeOrg // as it was granted
		}
		if !slices.Contains(granted, asked[n]) {
			return nil, refuse("invalid_scope",
				describeValue("scope", asked[n])+" was not granted, and a refresh cannot ask for more.")
		}
	}
	var scopes []string
	for _, s := range granted {
		if slices.Contains(t.client.scopes, s) && (len(asked) == 0 || slices.Contains(asked, s)) {
			scopes = append(scopes, s)
		}
	}
	return scopes, nil
}

// refreshHandler makes the tokens of a refresh in place of fosite's handler, which
// ignores scope, slides for ever and answers a lost race with 500.
type refreshHandler struct {
	*oauth2.HandleHelper
	successors secret.Subkeys
}

// CanSkipClientAuth requires the client's authentication.
func (*refreshHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest accepts refreshes alone.
func (*refreshHandler) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return r.GetGrantTypes().ExactOne(oauth.GrantRefreshToken)
}

// HandleTokenEndpointRequest continues the grant that validateRefresh has found.
func (*refreshHandler) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	t := tokenRequestOf(ctx)
	r.SetID(t.auth.Grant.ID.String())
	r.GetSession().(*grantSession).setAuthorization(t.auth)
	return nil
}

// PopulateTokenEndpointResponse makes the tokens; commitRefresh stores them.
func (h *refreshHandler) PopulateTokenEndpointResponse(
	ctx context.Context, r fosite.AccessRequester, resp fosite.AccessResponder,
) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	if _, err := h.IssueAccessToken(ctx, accessTokenLifetime, r, resp); err != nil {
		return err
	}
	t := tokenRequestOf(ctx)
	successor, err := h.successor(t)
	if err != nil {
		return err
	}
	t.redemption.Refresh = t.newRefreshToken(successor)
	resp.SetExtra("refresh_token", successor)
	return nil
}

// successor derives the next token of the chain from this one and the salt in its row.
// On a repeat it is the one whose hash was stored, under whichever of the server's keys
// made it.
func (h *refreshHandler) successor(t *tokenRequest) (string, error) {
	token := []byte(t.form.Get("refresh_token"))
	for _, mac := range h.successors.MACs(token, t.refresh.Salt) {
		next := refreshPrefix + base64.RawURLEncoding.EncodeToString(mac[:])
		if !t.isRepeat || secret.HashOf(next) == t.refresh.SuccessorHash {
			return next, nil
		}
	}
	return "", invalidGrant("the key that derived the successor is gone")
}

// commitRefresh writes what a refresh made. The loser of a race against a parallel use
// of the same token looks once more: within the grace it gets the same answer.
func (p *Provider) commitRefresh(ctx context.Context, t *tokenRequest) error {
	if !t.isRepeat {
		t.redemption.Hash, t.redemption.ClientID, t.redemption.GrantID = t.refresh.Hash, t.client.ID, t.auth.Grant.ID
		err := p.store.Rotate(ctx, t.redemption)
		if !errors.Is(err, storage.ErrSpent) {
			return err
		}
		if err := p.readRefreshToken(ctx, t); err != nil {
			return err
		}
		if !t.isRepeat || t.refresh.SuccessorHash != t.redemption.Refresh.Hash {
			return invalidGrant("another use of the refresh token was faster")
		}
	}
	if t.redemption.Access == nil {
		return nil // a JWT has no row
	}
	// ErrSpent, which is invalid_grant: the successor was used, or the grant ended, a moment ago.
	return p.store.RepeatAccess(ctx, t.redemption.Access, t.refresh.SuccessorHash)
}
