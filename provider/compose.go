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

// grantTypes are the grants of the token endpoint. Discovery and the check of the
// grant_type parameter are made from this list and nothing else.
var grantTypes = []string{"authorization_code", "refresh_token", "client_credentials"}

// compose wires fosite. The order of the handlers matters: OpenID Connect and PKCE
// come after what makes the code, and the ID token of a refresh after its access token.
func compose(p *Provider) *fosite.Fosite {
	st, strategy := &store{p}, &strategy{p}
	base := &fosite.Config{
		AccessTokenLifespan: accessTokenLifetime, AuthorizeCodeLifespan: codeLifetime, IDTokenLifespan: idTokenLifetime,
		RefreshTokenLifespan: refreshTokenIdle, IDTokenIssuer: p.issuer, AccessTokenIssuer: p.issuer,
		ScopeStrategy:               fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:    fosite.ExactAudienceMatchingStrategy,
		EnforcePKCEForPublicClients: true,
		RefreshTokenScopes:          []string{"offline_access"},
		MinParameterEntropy:         1,
		OmitRedirectScopeParam:      true,
		GlobalSecret:                secret.Random(32), // no strategy of ours uses it
		ClientSecretsHasher:         noHasher{},
		ClientAuthenticationStrategy: func(ctx context.Context, _ *http.Request, _ url.Values) (fosite.Client, error) {
			return unitOf(ctx).client, nil // authenticated before fosite is asked
		},
		// Redirect URIs were matched with the registration, which refuses insecure ones.
		RedirectSecureChecker: func(context.Context, *url.URL) bool { return true },
	}
	id := &openid.IDTokenHandleHelper{IDTokenStrategy: strategy}
	explicit := &oauth2.AuthorizeExplicitGrantHandler{AccessTokenStrategy: strategy, RefreshTokenStrategy: strategy,
		AuthorizeCodeStrategy: strategy, CoreStorage: st, TokenRevocationStorage: st, Config: base}
	oidc := &openid.OpenIDConnectExplicitHandler{OpenIDConnectRequestStorage: st, IDTokenHandleHelper: id, Config: base,
		OpenIDConnectRequestValidator: openid.NewOpenIDConnectRequestValidator(nil, base)}
	proof := &pkce.Handler{AuthorizeCodeStrategy: strategy, Storage: st, Config: base}
	base.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{explicit, oidc, proof}
	base.TokenEndpointHandlers = fosite.TokenEndpointHandlers{
		explicit, oidc, proof,
		&refreshGrant{p: p, strategy: strategy},
		&openid.OpenIDConnectRefreshHandler{IDTokenHandleHelper: id, Config: base},
		&oauth2.ClientCredentialsGrantHandler{HandleHelper: &oauth2.HandleHelper{AccessTokenStrategy: strategy, AccessTokenStorage: st, Config: base}, Config: base},
	}
	return &fosite.Fosite{Store: st, Config: base}
}

// noHasher stands where fosite would put bcrypt; client secrets are checked in clientauth.go.
type noHasher struct{}

func (noHasher) Compare(context.Context, []byte, []byte) error { return errUnused }
func (noHasher) Hash(context.Context, []byte) ([]byte, error)  { return nil, errUnused }
