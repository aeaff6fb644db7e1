package provider

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/handler/pkce"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// Lifetimes of what this server issues.
const (
	codeLifetime        = 60 * time.Second
	accessTokenLifetime = 15 * time.Minute
	idTokenLifetime     = time.Hour
	refreshTokenIdle    = 30 * 24 * time.Hour
	offlineLifetime     = 90 * 24 * time.Hour // of a grant with refresh tokens, whatever their use
	refreshGrace        = 10 * time.Second    // within which a repeated refresh gets the same successor
	pushedLifetime      = 5 * time.Minute
	flowLifetime        = 30 * time.Minute
	bindWithin          = 60 * time.Second // within which a browser must take a flow that came by POST
)

// errNoOpenID makes fosite's OpenID Connect handler step aside: the request is plain OAuth 2.0.
var errNoOpenID = openid.ErrNoSessionFound

// handlers are the parts of fosite that the rows of grantTypes choose from.
type handlers struct {
	code             *oauth2.AuthorizeExplicitGrantHandler
	idToken          *openid.OpenIDConnectExplicitHandler
	pkce             *pkce.Handler
	refresh          *refreshHandler
	refreshedIDToken *openid.OpenIDConnectRefreshHandler
	client           *oauth2.ClientCredentialsGrantHandler
}

// compose wires fosite. The order of the handlers matters: OpenID Connect and PKCE
// come after what makes the code.
func compose(p *Provider, successors secret.Subkeys) *fosite.Fosite {
	st, strategy := &store{}, &strategy{p}
	base := &fosite.Config{
		AccessTokenLifespan: accessTokenLifetime, AuthorizeCodeLifespan: codeLifetime, IDTokenLifespan: idTokenLifetime,
		RefreshTokenLifespan: refreshTokenIdle, IDTokenIssuer: p.issuer, AccessTokenIssuer: p.issuer,
		ScopeStrategy:               fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:    fosite.ExactAudienceMatchingStrategy,
		EnforcePKCEForPublicClients: true,
		RefreshTokenScopes:          []string{oauth.ScopeOfflineAccess},
		OmitRedirectScopeParam:      true,
		GlobalSecret:                secret.Random(32), // no strategy of ours uses it
		ClientSecretsHasher:         noHasher{},
		ClientAuthenticationStrategy: func(ctx context.Context, _ *http.Request, _ url.Values) (fosite.Client, error) {
			return tokenRequestOf(ctx).client, nil // authenticated before fosite is asked
		},
		// Redirect URIs were matched with the registration, which refuses insecure ones.
		RedirectSecureChecker: func(context.Context, *url.URL) bool { return true },
	}
	id := &openid.IDTokenHandleHelper{IDTokenStrategy: strategy}
	access := &oauth2.HandleHelper{AccessTokenStrategy: strategy, AccessTokenStorage: st, Config: base}
	h := &handlers{
		code: &oauth2.AuthorizeExplicitGrantHandler{AccessTokenStrategy: strategy, RefreshTokenStrategy: strategy,
			AuthorizeCodeStrategy: strategy, CoreStorage: st, TokenRevocationStorage: st, Config: base},
		idToken: &openid.OpenIDConnectExplicitHandler{OpenIDConnectRequestStorage: st, IDTokenHandleHelper: id, Config: base,
			OpenIDConnectRequestValidator: openid.NewOpenIDConnectRequestValidator(nil, base)},
		pkce:             &pkce.Handler{AuthorizeCodeStrategy: strategy, Storage: st, Config: base},
		refresh:          &refreshHandler{HandleHelper: access, successors: successors},
		refreshedIDToken: &openid.OpenIDConnectRefreshHandler{IDTokenHandleHelper: id, Config: base},
		client:           &oauth2.ClientCredentialsGrantHandler{HandleHelper: access, Config: base},
	}
	base.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{h.code, h.idToken, h.pkce}
	for _, g := range p.grants {
		base.TokenEndpointHandlers = append(base.TokenEndpointHandlers, g.issuers(h)...)
	}
	return &fosite.Fosite{Store: st, Config: base}
}

// noHasher stands where fosite would put bcrypt; client secrets are checked in clientauth.go.
type noHasher struct{}

// Compare is never called.
func (noHasher) Compare(context.Context, []byte, []byte) error { return errUnused }

// Hash is never called.
func (noHasher) Hash(context.Context, []byte) ([]byte, error) { return nil, errUnused }
