package provider

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ory/fosite"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// The paths of the protocol.
const (
	pathDiscovery  = "/.well-known/openid-configuration"
	pathMetadata   = "/.well-known/oauth-authorization-server"
	pathJWKS       = "/.well-known/jwks.json"
	pathAuthorize  = "/oauth2/authorize"
	pathPushed     = "/oauth2/par"
	pathToken      = "/oauth2/token"
	pathUserinfo   = "/oauth2/userinfo"
	pathIntrospect = "/oauth2/introspect"
	pathRevoke     = "/oauth2/revoke"
	pathLogout     = "/oauth2/logout"
)

// Failures counts wrong client secrets.
type Failures interface {
	// ClientFailure records one and returns a refusal once there are too many.
	ClientFailure(ctx context.Context, clientID string) error
	// ClientBlocked returns the refusal that the client's next failure would get. It
	// costs no query.
	ClientBlocked(clientID string) error
}

// Budgets bound the rows that requests leave before anybody has signed in.
type Budgets interface {
	// FlowBudget is the budget for a flow of a person (uuid.Nil if nobody is signed in), of the
	// browser, or else of the address.
	FlowBudget(r *http.Request, person uuid.UUID, address netip.Addr) storage.FlowBudget
	// PushBudget is the budget for a request that a client pushes from an address.
	PushBudget(c *storage.Client, address netip.Addr) storage.Budget
}

// Counts are the metrics of this package. All words are of bounded sets: a grant type,
// an outcome and a code as RFC 6749 and its relatives name them, a route template.
type Counts interface {
	// TokenRequest counts an answer of the token endpoint: the outcome is "issued" or
	// the code of the error.
	TokenRequest(grantType, outcome string)
	// Refused counts an error that was answered, at any endpoint.
	Refused(endpoint, code string)
}

// Config is what a Provider is made from.
type Config struct {
	Issuer   string
	Store    *storage.Store
	Registry *storage.Registry
	Identity *identity.Domain
	Sessions *session.Manager
	Keys     *keys.Keyset
	Secrets  *secret.Keyring
	Web      *web.Web
	Failures Failures
	Budgets  Budgets
	Counts   Counts
	// NextStep returns the path of the page that a flow needs next, "" when a code can be issued.
	NextStep func(*storage.FlowState) string
	// OutboundAllow are networks that a client's jwks_uri may be in besides public ones.
	OutboundAllow []netip.Prefix
	Now           func() time.Time
	Log           *slog.Logger
}

// Provider is the authorization server. It is safe for concurrent use.
type Provider struct {
	issuer    string
	store     *storage.Store
	registry  *storage.Registry
	identity  *identity.Domain
	sessions  *session.Manager
	keys      *keys.Keyset
	web       *web.Web
	failures  Failures
	budgets   Budgets
	counts    Counts
	clock     func() time.Time
	grants    []grantType
	fetcher   *fetcher
	fosite    *fosite.Fosite
	discovery *discovery
	usage     *usage
	nextStep  func(*storage.FlowState) string
}

// New returns a Provider.
func New(c Config) *Provider {
	p := &Provider{issuer: c.Issuer, store: c.Store, registry: c.Registry, identity: c.Identity, sessions: c.Sessions, keys: c.Keys,
		web: c.Web, failures: c.Failures, budgets: c.Budgets, counts: c.Counts, clock: c.Now, nextStep: c.NextStep,
		grants:  slices.Clone(grantTypes),
		fetcher: newFetcher(c.OutboundAllow, c.Now), usage: newUsage(c)}
	p.fosite = compose(p, c.Secrets.Subkeys("refresh token successor"))
	p.discovery = &discovery{p: p}
	return p
}

// Mount adds the routes. Pages are for browsers; the rest is for machines, with
// CORS for the pages of registered clients.
func (p *Provider) Mount(rt *web.Router) {
	anyOrigin := func(path string, h web.Handler) {
		rt.Handle(path, web.AnyOrigin(p.web.HandleJSON(p.jsonEndpoint(path, h))), http.MethodGet, http.MethodOptions)
	}
	anyOrigin(pathDiscovery, p.discovery.serve)
	anyOrigin(pathMetadata, p.discovery.serve)
	anyOrigin(pathJWKS, p.jwks)

	clients := func(path string, h web.Handler, methods ...string) {
		handler := web.ClientOrigins(p.web.HandleJSON(p.jsonEndpoint(path, h)), p.knownOrigin, methods...)
		rt.Handle(path, handler, append(methods, http.MethodOptions)...)
	}
	clients(pathToken, p.token, http.MethodPost)
	clients(pathPushed, p.push, http.MethodPost)
	clients(pathRevoke, p.revoke, http.MethodPost)
	clients(pathUserinfo, p.userinfo, http.MethodGet, http.MethodPost)
	rt.Handle(pathIntrospect, p.web.HandleJSON(p.jsonEndpoint(pathIntrospect, p.introspect)), http.MethodPost)

	rt.Handle(pathAuthorize, web.Popup(p.web.Handle(p.pageEndpoint(pathAuthorize, p.authorize))), http.MethodGet)
	rt.Handle(pathAuthorize, web.Popup(p.web.Handle(p.pageEndpoint(pathAuthorize, p.authorizePost))), http.MethodPost)
	rt.Handle(pathLogout, p.web.Handle(p.pageEndpoint(pathLogout, p.offerSignOut(p.endSession))), http.MethodGet)
	rt.Handle(pathLogout, p.web.Handle(p.pageEndpoint(pathLogout, p.offerSignOut(p.endSessionPost))), http.MethodPost)
}
