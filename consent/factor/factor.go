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
// What a sign-in owes is decided in one place, identity.Assure, anew with every
// request; see there. Only kinds that it names are offered, and only those are
// accepted: who must show a key cannot choose a code instead.
//
//	half session ──proof──▶ signed in ──policy, acr──▶ proof of another kind ──▶ on
//	                           └──deadline over──▶ enrolment ──▶ on
//
// Each proof and each enrolment gives the browser a new token; the old one is
// nobody's any more.
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
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// Prove is the step that asks for a second step, or to enrol one that is overdue.
type Prove struct{}

// Path is /login/factor.
func (Prove) Path() string { return "/login/factor" }

// Pending while the sign-in owes a proof or an enrolment.
func (Prove) Pending(j *storage.Journey) bool {
	a := Owed(j)
	return a.Owes()
}

// Refusal is login_required (OpenID Connect Core 1.0, section 3.1.2.6).
func (Prove) Refusal() string { return "login_required" }

// Owed is what a journey's sign-in still owes; nothing before there is one.
func Owed(j *storage.Journey) identity.Assurance {
	if !j.SignedIn() {
		return identity.Assurance{}
	}
	s := &j.Visit.Session
	return identity.Assure(identity.Situation{Factors: j.Visit.User.Factors, ACR: s.ACR, AMR: s.AMR,
		Requirements: j.Requirements, Wanted: j.ACR, Now: j.Now})
}

// Config is what Pages need. All of it.
type Config struct {
	Web      *web.Web
	Store    *storage.Store
	Registry *storage.Registry
	Sessions *session.Manager
	Limits   *limit.Guard
	Identity *identity.Identity
	Factors  *factor.Factors
	Journeys Journeys
	Now      func() time.Time
}

// Pages are the handlers of this package.
type Pages struct {
	web      *web.Web
	store    *storage.Store
	registry *storage.Registry
	sessions *session.Manager
	limits   *limit.Guard
	identity *identity.Identity
	factors  *factor.Factors
	journeys Journeys
	now      func() time.Time
}

// New returns the pages, or an error if c is not whole.
func New(c Config) (*Pages, error) {
	if c.Web == nil || c.Store == nil || c.Registry == nil || c.Sessions == nil || c.Limits == nil || c.Identity == nil || c.Factors == nil || c.Journeys == nil || c.Now == nil {
		return nil, errors.New("factor: something of the configuration is missing")
	}
	return &Pages{web: c.Web, store: c.Store, registry: c.Registry, sessions: c.Sessions, limits: c.Limits, identity: c.Identity,
		factors: c.Factors, journeys: c.Journeys, now: c.Now}, nil
}

// Mount adds the pages to the route table.
func (p *Pages) Mount(rt *web.Router) {
	rt.Handle("/login/factor", web.Popup(p.web.Handle(p.show)), http.MethodGet)
	rt.Handle("/login/factor", web.Popup(p.web.SameOrigin(p.web.Handle(p.act))), http.MethodPost)
	rt.Handle("/login/factor/begin", web.Popup(p.web.SameOrigin(p.web.HandleJSON(p.begin))), http.MethodPost)
}
