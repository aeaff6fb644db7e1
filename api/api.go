package api

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// Config is what an API needs, all of it.
type Config struct {
	Web      *web.Web
	Store    *storage.Store
	Registry *storage.Registry
	Sessions *session.Manager
	SignIn   *signin.Service
	Identity *identity.Domain
	Factors  *factor.Factors
	Keys     *secret.Keyring
}

// API serves /api/v1. It is safe for concurrent use.
type API struct {
	web      *web.Web
	store    *storage.Store
	registry *storage.Registry
	sessions *session.Manager
	signIn   *signin.Service
	identity *identity.Domain
	factors  *factor.Factors
	cursors  secret.Subkeys
}

// New returns an API, or an error if a part of c is missing.
func New(c Config) (*API, error) {
	if c.Web == nil || c.Store == nil || c.Registry == nil || c.Sessions == nil || c.SignIn == nil ||
		c.Identity == nil || c.Factors == nil || c.Keys == nil {
		return nil, errors.New("api: something of the configuration is missing")
	}
	return &API{web: c.Web, store: c.Store, registry: c.Registry, sessions: c.Sessions, signIn: c.SignIn,
		identity: c.Identity, factors: c.Factors, cursors: c.Keys.Subkeys("API cursor")}, nil
}

// prefix begins every path.
const prefix = "/api/v1"

// Mount adds the endpoints to the route table.
func (a *API) Mount(rt *web.Router) {
	methods := map[string][]string{}
	for _, e := range endpoints() {
		methods[e.path] = append(methods[e.path], e.method)
	}
	for _, e := range endpoints() {
		rt.Handle(prefix+e.path, a.handler(e), e.method)
	}
	for path, taken := range methods {
		rt.Handle(prefix+path, a.web.APIOrigins(nil, taken...), http.MethodOptions)
	}
}

// handler returns the http.Handler of one row of the route table.
func (a *API) handler(e endpoint) http.Handler {
	return a.web.APIOrigins(a.web.HandleAPI(func(w http.ResponseWriter, r *http.Request) error {
		c, err := a.call(w, r, e)
		if err != nil {
			return err
		}
		out, err := e.handle(a, c)
		if err != nil {
			return apiError(err)
		}
		status := cmp.Or(out.status, http.StatusOK)
		return web.JSON(w, status, web.NewEnvelope(r.Context(), status, out.message, out.data, out.meta))
	}), e.method)
}

// response is what a handler answers when it succeeds.
type response struct {
	status  int // 0 is 200
	message string
	data    any
	meta    any
}
