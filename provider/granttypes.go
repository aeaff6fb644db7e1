package provider

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/web"
)

// grantType is a row of the token endpoint. Discovery lists the rows, identity lets
// clients register them and no others, and introspection accepts what they issue.
type grantType struct {
	name string
	// forClient: its tokens are the client's own, without the grant of a person.
	forClient bool
	// validate reads and checks what the request presents, and notes in it what is granted.
	validate func(*Provider, context.Context, *tokenRequest) error
	// issuers are the handlers of fosite that make the tokens, in their order.
	issuers func(*handlers) []fosite.TokenEndpointHandler
	// commit writes with one statement what was made.
	commit func(*Provider, context.Context, *tokenRequest) error
}

// grantTypes is the table of the token endpoint, in the order of discovery.
var grantTypes = []grantType{
	{name: oauth.GrantAuthorizationCode, validate: (*Provider).validateCode,
		issuers: (*handlers).forCode, commit: (*Provider).commitCode},
	{name: oauth.GrantRefreshToken, validate: (*Provider).validateRefresh,
		issuers: (*handlers).forRefresh, commit: (*Provider).commitRefresh},
	{name: oauth.GrantClientCredentials, forClient: true, validate: (*Provider).validateClient,
		issuers: (*handlers).forClient, commit: (*Provider).commitClient},
}

// GrantTypes returns the names of the grant types that the token endpoint offers.
func GrantTypes() []string {
	var names []string
	for _, g := range grantTypes {
		names = append(names, g.name)
	}
	return names
}

// grantType returns the row with that name, nil if there is none.
func (p *Provider) grantType(name string) *grantType {
	n := slices.IndexFunc(p.grants, func(g grantType) bool { return g.name == name })
	if n < 0 {
		return nil
	}
	return &p.grants[n]
}

// tokenResponse is RFC 6749, section 5.1 with id_token of OpenID Connect Core 1.0, section 3.1.3.3.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// token is the token endpoint: read the request, authenticate the client, look up the
// grant type, validate, issue, commit.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) (err error) {
	label := "unknown" // the metric's; a name that was sent is not bounded
	defer func() {
		outcome := "issued"
		if err != nil {
			outcome = protocolError(err).Code
		}
		p.counts.TokenRequest(label, outcome)
	}()
	form, err := web.Form(r, "resource")
	if err != nil {
		return err
	}
	name := form.Get("grant_type")
	grant := p.grantType(name)
	if grant != nil {
		label = grant.name
	}
	t := &tokenRequest{now: p.now(), form: form, grant: grant}
	ctx := withTokenRequest(r.Context(), t)
	if t.client, err = p.authenticate(ctx, r, form, pathToken); err != nil {
		return err
	}
	web.AllowOrigin(w, r, t.client.allowsOrigin)
	web.Annotate(ctx, "grant_type", label)
	switch {
	case name == "":
		return refuse("invalid_request", "The parameter grant_type is missing.")
	case grant == nil:
		return refuse("unsupported_grant_type",
			describeValue("grant_type", name)+" is not supported; grant_types_supported of the discovery document lists those that are.")
	case !t.client.hasGrantType(name):
		return refuse("unauthorized_client", "The client is not registered for the grant_type "+name+".")
	}
	if err := grant.validate(p, ctx, t); err != nil {
		return err
	}
	response, err := p.issueTokens(ctx, r.WithContext(ctx), t)
	if err != nil {
		return err
	}
	if err := grant.commit(p, ctx, t); err != nil {
		return err
	}
	p.usage.record(t)
	return respondJSON(w, http.StatusOK, response)
}

// issueTokens lets fosite check the request once more and make the tokens.
func (p *Provider) issueTokens(ctx context.Context, r *http.Request, t *tokenRequest) (*tokenResponse, error) {
	ar, err := p.fosite.NewAccessRequest(ctx, r, newSession())
	if err != nil {
		return nil, err
	}
	for _, scope := range t.scopes {
		ar.GrantScope(scope)
	}
	for _, audience := range t.audience {
		ar.GrantAudience(audience)
	}
	made, err := p.fosite.NewAccessResponse(ctx, ar)
	if err != nil {
		return nil, err
	}
	out := &tokenResponse{AccessToken: made.GetAccessToken(), TokenType: tokenType,
		Scope: strings.Join(t.access.Scopes, " "), ExpiresIn: int64(t.access.ExpiresAt.Sub(t.now) / time.Second)}
	out.RefreshToken, _ = made.GetExtra("refresh_token").(string)
	out.IDToken, _ = made.GetExtra("id_token").(string)
	return out, nil
}

// invalidGrant is a refusal of what the request presents, with the reason for the log alone.
func invalidGrant(reason string) error { return errInvalidGrant.because(errors.New(reason)) }
