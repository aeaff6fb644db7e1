package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/ory/fosite"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// tokenResponse is RFC 6749, section 5.1 with id_token of OpenID Connect Core 1.0, section 3.1.3.3.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// token is the token endpoint: authenticate, check and make by fosite, write with
// one statement, answer.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) (err error) {
	grantType := knownGrant("")
	defer func() {
		outcome := "issued"
		if err != nil {
			outcome = protocolError(err).Code
		}
		p.counts.TokenRequest(grantType, outcome)
	}()
	form, err := web.Form(r, "resource")
	if err != nil {
		return err
	}
	grantType = knownGrant(form.Get("grant_type"))
	ctx := withUnit(r.Context(), &unit{now: p.now()})
	u := unitOf(ctx)
	if u.client, err = p.authenticate(ctx, r, form, endpointToken); err != nil {
		return err
	}
	web.AllowOrigin(w, r, u.client.allowsOrigin)
	web.Annotate(ctx, "grant_type", grantType)
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return refuse("invalid_request", "The parameter grant_type is missing.")
	case !slices.Contains(grantTypes, grant):
		return refuse("unsupported_grant_type",
			describeValue("grant_type", grant)+" is not supported; grant_types_supported of the discovery document lists those that are.")
	case !u.client.may(grant):
		return refuse("unauthorized_client", "The client is not registered for the grant_type "+grant+".")
	case grant == "authorization_code":
		err = p.checkRedemption(ctx, form)
	case grant == "client_credentials":
		err = p.scopeForClient(ctx, u.client, form)
	}
	if err != nil {
		return err
	}
	resp, err := p.exchange(ctx, r.WithContext(ctx))
	if err != nil {
		return err
	}
	p.usage.record(u)
	return answer(w, http.StatusOK, resp)
}

func knownGrant(g string) string {
	if slices.Contains(grantTypes, g) {
		return g
	}
	return "unknown"
}

// checkRedemption refuses what cannot be a code, and spends a code at once whose
// verifier is wrong: there is one try (RFC 9700, section 4.5.3).
func (p *Provider) checkRedemption(ctx context.Context, form url.Values) error {
	u := unitOf(ctx)
	code := form.Get("code")
	switch {
	case code == "":
		return refuse("invalid_request", "The parameter code is missing.")
	case !wellFormed(code, codePrefix):
		return errInvalidGrant.because(errors.New("the code does not look like one of this server"))
	}
	form.Del("scope") // it means nothing here, and fosite would read it
	// This is the one read of the code; fosite's own are answered from the unit.
	_, err := (&store{p}).GetAuthorizeCodeSession(ctx, code, newSession())
	switch {
	case errors.Is(err, fosite.ErrInvalidatedAuthorizeCode):
		// Not left to fosite, which says invalid_grant also where the revocation failed (CVE-2020-15223).
		return p.usedTwice(ctx)
	case errors.Is(err, fosite.ErrNotFound):
		return errInvalidGrant.because(errors.New("the code is unknown, of another client, expired, or its grant is dead"))
	case err != nil:
		return err
	}
	if verifyChallenge(u.code.Challenge, form.Get("code_verifier")) {
		// A deadline may have passed since the code was issued.
		if err := p.checkPolicies(ctx, u.auth, u.now); err != nil {
			return err
		}
		index, err := p.registry.Scopes(ctx)
		if err != nil {
			return err
		}
		return u.restrictToResource(index, form, u.auth.Grant.Scopes)
	}
	err = p.store.SpendCode(ctx, u.code.Hash, u.client.ID)
	if errors.Is(err, storage.ErrSpent) {
		return p.usedTwice(ctx) // the right verifier was faster, and somebody else has the code too
	} else if err != nil {
		return err
	}
	return errInvalidGrant.because(errors.New("the code_verifier does not match"))
}

// usedTwice answers who comes with a code after another use of it, and revokes what
// that one got (RFC 6749, section 4.1.2).
func (p *Provider) usedTwice(ctx context.Context) error {
	if err := p.revokeReplayed(ctx, unitOf(ctx).auth.Grant.ID, "code.replayed"); err != nil {
		return err
	}
	return errInvalidGrant.because(errors.New("the code was used before; its grant is revoked"))
}

// exchange lets fosite check the request and make the tokens, and writes them.
func (p *Provider) exchange(ctx context.Context, r *http.Request) (*tokenResponse, error) {
	u := unitOf(ctx)
	ar, err := p.fosite.NewAccessRequest(ctx, r, newSession())
	if err != nil {
		return nil, err
	}
	if ar.GetGrantTypes().ExactOne("client_credentials") {
		index, err := p.registry.Scopes(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range ar.GetRequestedScopes() {
			ar.GrantScope(s)
		}
		for _, aud := range p.audienceOf(index, ar.GetRequestedScopes()) {
			ar.GrantAudience(aud)
		}
	}
	made, err := p.fosite.NewAccessResponse(ctx, ar)
	if err != nil {
		return nil, err
	}
	if err := p.flush(ctx, ar); err != nil {
		return nil, err
	}
	token := u.newAccessToken(ar)
	out := &tokenResponse{AccessToken: made.GetAccessToken(), TokenType: "Bearer", Scope: strings.Join(token.Scopes, " "),
		ExpiresIn: int64(token.ExpiresAt.Sub(u.now) / time.Second)}
	out.RefreshToken, _ = made.GetExtra("refresh_token").(string)
	out.IDToken, _ = made.GetExtra("id_token").(string)
	return out, nil
}

// flush writes what an exchange made: one statement for each grant.
func (p *Provider) flush(ctx context.Context, ar fosite.AccessRequester) error {
	u := unitOf(ctx)
	form := ar.GetRequestForm()
	switch form.Get("grant_type") {
	case "authorization_code":
		u.redemption.ClientID, u.redemption.GrantID = u.client.ID, u.auth.Grant.ID
		err := p.store.RedeemCode(ctx, u.redemption)
		if errors.Is(err, storage.ErrWithdrawn) {
			return errInvalidGrant.because(err)
		}
		if errors.Is(err, storage.ErrSpent) {
			return p.usedTwice(ctx)
		}
		return err
	case "refresh_token":
		return p.refresh.flush(ctx, u, form.Get("refresh_token"))
	}
	if u.redemption.Access == nil {
		return nil // a JWT has no row
	}
	err := p.store.CreateClientToken(ctx, u.redemption.Access)
	if errors.Is(err, storage.ErrSpent) {
		return errInvalidClient.because(err)
	}
	return err
}

// scopeForClient makes the scope parameter of client_credentials what the client
// may have for itself: scopes of resources, and org if it has an organization.
// Nothing asked means all of those; a person's scopes are refused.
func (p *Provider) scopeForClient(ctx context.Context, c *client, form url.Values) error {
	index, err := p.registry.Scopes(ctx)
	if err != nil {
		return err
	}
	u := unitOf(ctx)
	resource, e := resourceParam(form)
	if e != nil {
		return e
	}
	own := c.ownScopes(index)
	granted := own
	if asked := strings.Fields(form.Get("scope")); len(asked) > 0 {
		granted = nil
		for _, s := range asked {
			if slug, isOrg := strings.CutPrefix(s, "org:"); isOrg && c.Organization != uuid.Nil {
				o, err := p.clientOrganization(ctx, c)
				if err != nil {
					return err
				}
				if o.Slug != slug {
					return refuse("invalid_scope", "The scope org:<slug> names another organization than the client's own.")
				}
				s = "org"
			}
			switch {
			case slices.Contains(own, s):
				granted = appendMissing(granted, s)
			case index.Audience(s) != nil || isStandardScope(s):
				return refuse("invalid_scope", "The scope "+s+" is not registered for this client, or is one that only a person can grant.")
			}
		}
	}
	if resource != "" {
		if len(scopesAt(index, resource, own)) == 0 {
			return errInvalidTarget
		}
		if granted = scopesAt(index, resource, granted); len(granted) == 0 {
			return errNoResourceScope
		}
		u.resource, u.resourceScopes = resource, granted
	}
	form.Set("scope", strings.Join(granted, " "))
	return nil
}

// ownScopes are the registered scopes that the client can have for itself, without a
// person: those of resources, and org if the client has an organization.
func (c *client) ownScopes(index *storage.ScopeIndex) []string {
	var own []string
	for _, s := range c.scopes {
		if index.Audience(s) != nil || (s == "org" && c.Organization != uuid.Nil) {
			own = appendMissing(own, s)
		}
	}
	return own
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

// allowsOrigin reports whether the client's own pages may read an answer.
func (c *client) allowsOrigin(origin string) bool { return slices.Contains(c.origins, origin) }
