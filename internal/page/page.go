package page

import (
	"net/http"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Deps is what the handlers of pages need.
type Deps struct {
	Web      *web.Web
	Store    *storage.Store
	Registry *storage.Registry
	Sessions *session.Manager
	SignIn   *signin.Service
	Identity *identity.Domain
	Factors  *factor.Factors
	// LoadFlow returns the flow of ?flow= as far as the browser of the request has come with it, with its next step
	// and the address where it resumes. Its errors are answers, ready to be returned.
	LoadFlow func(r *http.Request) (*storage.FlowState, error)
	Issuer   string
	// PasswordMinLength is what pages say about a new password, in characters; 0 is 8.
	PasswordMinLength int
	Now               func() time.Time
}

// Route is a page with its handlers; nil for a method that it does not answer.
type Route struct {
	Path string
	Show web.Handler // GET
	Act  web.Handler // POST
}

// Mount adds routes to the route table. wrap, if not nil, goes around every handler. A POST must come from a page of
// this server.
func (d *Deps) Mount(rt *web.Router, wrap func(http.Handler) http.Handler, routes ...Route) {
	if wrap == nil {
		wrap = func(h http.Handler) http.Handler { return h }
	}
	for _, route := range routes {
		if route.Show != nil {
			rt.Handle(route.Path, wrap(d.Web.Handle(route.Show)), http.MethodGet)
		}
		if route.Act != nil {
			rt.Handle(route.Path, wrap(d.Web.SameOrigin(d.Web.Handle(route.Act))), http.MethodPost)
		}
	}
}

// AccountOf is a user as pages show them.
func AccountOf(u *storage.User) templates.Account {
	return templates.Account{Name: u.Profile.Name, Email: u.Email}
}
