// Package factor asks a person for a second step: the step Prove of a journey,
// and its page.
//
//	/login/factor         GET the page, POST a code or the answer of an authenticator
//	/login/factor/begin   POST for a challenge, as JSON, which the page's script answers
//
// With ?flow= it serves a flow of package provider and gets the person back at
// /oauth2/authorize; without one it stands between a half session and the pages of
// this server, and leads to ?to= if web.LocalPath knows that page.
//
// # What is asked
//
// signin.Required decides what a session still needs, anew with every request; see
// there. Only kinds that it names are offered, and only those are
// accepted: a user who must show a key cannot choose a code instead. The answer goes to
// signin.Prove or signin.Enrol.
//
//	half session ──proof──▶ signed in ──policy, acr──▶ proof of another kind ──▶ on
//	                           └──deadline over──▶ enrolment ──▶ on
//
// Each proof and each enrolment gives the browser a new token; the old one is
// no longer valid.
//
// # Enrolment
//
// It opens the account from then on, so it needs a proven address and a sign-in
// within identity.FreshFor when it begins. The key of an authenticator app is shown in
// the session that began, until a code has shown that the app has it.
package factor

import (
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// Prove is the step that asks for a second step, or to enrol one that is overdue.
type Prove struct{}

// Path is /login/factor.
func (Prove) Path() string { return "/login/factor" }

// Pending while the sign-in owes a proof or an enrolment.
func (Prove) Pending(j *storage.FlowState) bool {
	required := signin.RequiredFor(j)
	return required.Incomplete()
}

// Refusal is login_required (OpenID Connect Core 1.0, section 3.1.2.6).
func (Prove) Refusal() string { return "login_required" }

// Config is what Pages need. All of it.
type Config struct {
	Web      *web.Web
	Sessions *session.Manager
	SignIn   *signin.Service
	Identity *identity.Domain
	Factors  *factor.Factors
	Journeys login.Journeys
}

// Pages are the handlers of this package.
type Pages struct {
	web      *web.Web
	sessions *session.Manager
	signIn   *signin.Service
	identity *identity.Domain
	factors  *factor.Factors
	journeys login.Journeys
}

// New returns the pages, or an error if c is not whole.
func New(c Config) (*Pages, error) {
	if c.Web == nil || c.Sessions == nil || c.SignIn == nil || c.Identity == nil || c.Factors == nil || c.Journeys == nil {
		return nil, errors.New("factor: something of the configuration is missing")
	}
	return &Pages{web: c.Web, sessions: c.Sessions, signIn: c.SignIn, identity: c.Identity, factors: c.Factors,
		journeys: c.Journeys}, nil
}

// Mount adds the pages to the route table.
func (p *Pages) Mount(rt *web.Router) {
	rt.Handle("/login/factor", web.Popup(p.web.Handle(p.show)), http.MethodGet)
	rt.Handle("/login/factor", web.Popup(p.web.SameOrigin(p.web.Handle(p.act))), http.MethodPost)
	rt.Handle("/login/factor/begin", web.Popup(p.web.SameOrigin(p.web.HandleJSON(p.begin))), http.MethodPost)
}
