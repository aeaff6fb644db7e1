package provider

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/ory/fosite"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// refreshGrant is the refresh_token grant (RFC 6749, section 6) in place of
// fosite's, which ignores scope, slides for ever and answers a lost race with 500.
//
// A refresh token is spent by its first use. Its successor is derived from it, so
// that a client that did not hear the answer gets the same one by asking again
// within refreshGrace, while that successor is unspent. Any other second use is
// a theft: the grant with all its tokens ends.
type refreshGrant struct {
	p        *Provider
	strategy *strategy
}

func (g *refreshGrant) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (g *refreshGrant) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return r.GetGrantTypes().ExactOne("refresh_token")
}

// HandleTokenEndpointRequest checks the token and narrows the scope.
func (g *refreshGrant) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	u := unitOf(ctx)
	if !u.client.may("refresh_token") {
		return fositeErrors["unauthorized_client"]
	}
	token := r.GetRequestForm().Get("refresh_token")
	if token == "" {
		return refuse("invalid_request", "The parameter refresh_token is missing.")
	}
	if !wellFormed(token, refreshPrefix) {
		return errInvalidGrant.because(errors.New("the refresh token does not look like one of this server"))
	}
	if err := g.read(ctx, u, token); err != nil {
		return err
	}
	scopes, err := g.narrow(ctx, u, r.GetRequestedScopes())
	if err != nil {
		return err
	}
	r.SetID(u.auth.Grant.ID.String())
	r.GetSession().(*grantSession).speakOf(u.auth)
	for _, s := range scopes {
		r.GrantScope(s)
	}
	index, rerr := g.p.registry.Scopes(ctx)
	if rerr != nil {
		return rerr
	}
	for _, aud := range g.p.audienceOf(index, scopes) {
		r.GrantAudience(aud)
	}
	return u.restrictToResource(index, r.GetRequestForm(), scopes)
}

// read finds the token and decides whether it may be used, once more or at all.
// Whose it is comes first: another client's attempt changes nothing.
func (g *refreshGrant) read(ctx context.Context, u *unit, token string) error {
	rt, auth, err := g.p.store.RefreshToken(ctx, secret.HashOf(token))
	if errors.Is(err, storage.ErrNotFound) {
		return errInvalidGrant.because(errors.New("the refresh token is unknown, or expired long ago"))
	} else if err != nil {
		return err
	}
	if rt.ClientID != u.client.ID {
		return errInvalidGrant.because(errors.New("the refresh token belongs to another client"))
	}
	u.refresh, u.auth = rt, auth
	if dead := auth.Dead(u.now); dead != "" {
		return errInvalidGrant.because(errors.New(dead))
	}
	if err := g.p.checkPolicies(ctx, auth, u.now); err != nil {
		return err
	}
	if rt.SpentAt.IsZero() {
		if !u.now.Before(rt.ExpiresAt) {
			return errInvalidGrant.because(errors.New("the refresh token has expired"))
		}
		return nil
	}
	if !rt.SuccessorSpent && u.now.Before(rt.SpentAt.Add(refreshGrace)) {
		u.repeat = true
		return nil
	}
	if err := g.p.revokeReplayed(ctx, auth.Grant.ID, "refresh_token.replayed"); err != nil {
		return err
	}
	return errInvalidGrant.because(errors.New("the refresh token was used before; its grant is revoked"))
}

// narrow is the scope of the new access token: what is asked for, all that was
// granted if nothing is, without what the client has lost since.
func (g *refreshGrant) narrow(_ context.Context, u *unit, asked []string) ([]string, error) {
	asked = slices.Clone(asked)
	for n, s := range asked {
		slug, isOrg := strings.CutPrefix(s, "org:")
		if !isOrg {
			continue
		}
		if u.auth.Organization == nil || u.auth.Organization.Slug != slug {
			return nil, refuse("invalid_scope", "A refresh cannot change the organization.")
		}
		asked[n] = "org" // as it was granted
	}
	var scopes []string
	for _, s := range u.auth.Grant.Scopes {
		if slices.Contains(u.client.scopes, s) && (len(asked) == 0 || slices.Contains(asked, s)) {
			scopes = append(scopes, s)
		}
	}
	for _, s := range asked {
		if !slices.Contains(u.auth.Grant.Scopes, s) {
			return nil, refuse("invalid_scope", describeValue("scope", s)+" was not granted, and a refresh cannot ask for more.")
		}
	}
	return scopes, nil
}

// PopulateTokenEndpointResponse makes the tokens; the flush stores them.
func (g *refreshGrant) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, resp fosite.AccessResponder) error {
	if !g.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	u := unitOf(ctx)
	access, _, err := g.strategy.GenerateAccessToken(ctx, r)
	if err != nil {
		return err
	}
	if !u.jwt {
		u.redemption.Access = u.newAccessToken(r)
		u.redemption.Access.Hash = secret.HashOf(access)
	}
	successor, err := g.successor(u, r.GetRequestForm().Get("refresh_token"))
	if err != nil {
		return err
	}
	u.redemption.Hash = u.refresh.Hash
	u.redemption.Refresh = u.newRefreshToken(successor)
	resp.SetAccessToken(access)
	resp.SetTokenType("bearer")
	resp.SetScopes(r.GetGrantedScopes())
	resp.SetExtra("refresh_token", successor)
	return nil
}

// successor derives the next token of the chain from this one and the salt in its
// row. On a repeat it is the one whose hash was stored, under whichever of the
// server's keys made it.
func (g *refreshGrant) successor(u *unit, token string) (string, error) {
	if !u.repeat {
		mac := g.p.successors.MAC([]byte(token), u.refresh.Salt)
		return refreshPrefix + base64.RawURLEncoding.EncodeToString(mac[:]), nil
	}
	for _, mac := range g.p.successors.MACs([]byte(token), u.refresh.Salt) {
		next := refreshPrefix + base64.RawURLEncoding.EncodeToString(mac[:])
		if secret.HashOf(next) == u.refresh.SuccessorHash {
			return next, nil
		}
	}
	return "", errInvalidGrant.because(errors.New("the key that derived the successor is gone"))
}

// flushRefresh writes what a refresh made. Who loses the race against a parallel
// use of the same token has one more look: within the grace it gets the same answer.
func (g *refreshGrant) flush(ctx context.Context, u *unit, token string) error {
	if u.repeat {
		if u.redemption.Access == nil {
			return nil
		}
		return g.repeatAccess(ctx, u)
	}
	u.redemption.ClientID, u.redemption.GrantID = u.client.ID, u.auth.Grant.ID
	err := g.p.store.Rotate(ctx, u.redemption)
	if !errors.Is(err, storage.ErrSpent) {
		return err
	}
	if err := g.read(ctx, u, token); err != nil {
		return err
	}
	if !u.repeat || u.refresh.SuccessorHash != u.redemption.Refresh.Hash {
		return errInvalidGrant.because(errors.New("another use of the refresh token was faster"))
	}
	if u.redemption.Access == nil {
		return nil
	}
	return g.repeatAccess(ctx, u)
}

// repeatAccess stores the access token of a repeated answer.
func (g *refreshGrant) repeatAccess(ctx context.Context, u *unit) error {
	err := g.p.store.RepeatAccess(ctx, u.redemption.Access, u.refresh.SuccessorHash)
	if errors.Is(err, storage.ErrSpent) {
		return errInvalidGrant.because(err) // the successor was used, or the grant ended, a moment ago
	}
	return err
}
