// Package login asks a person who they are and for which organization they act:
// the steps Identify and Choose of a journey, and the page "/" with the way out.
//
//	/login            GET the form, POST email and password
//	/login/switch     POST "not you?": the flow asks who somebody is once more
//	/org              GET the picker, POST the slug
//	/                 GET who is signed in
//	/logout           POST the way out
//
// With ?flow= a page serves a flow of package provider, which finds it for this
// browser (Journeys) and gets the person back at /oauth2/authorize after each
// step; a page whose step is not pending sends them there at once. That is the only
// place they are ever sent, so there is no return address to be abused. Without
// ?flow= somebody signs in to this server itself and ends at "/".
//
// # A password
//
// One statement reads the person, the hash and the guessing counters; then one
// comparison is made whatever it found, and an unknown, a disabled and a
// password-less person get the same answer after the same work as a wrong password
// (password.go).
package login

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// Journeys finds the journey of a request's ?flow= for the browser that asks. Its
// errors are answers, ready to be returned.
type Journeys interface {
	Journey(r *http.Request) (*storage.Journey, error)
}

// Config is what Pages need. All of it.
type Config struct {
	Web       *web.Web
	Store     *storage.Store
	Sessions  *session.Manager
	Limits    *limit.Guard
	Passwords *secret.Passwords
	Journeys  Journeys
	Issuer    string
	// Development: "/" says how to make the first administrator.
	Development bool
}

// Pages are the handlers of this package.
type Pages struct {
	web         *web.Web
	store       *storage.Store
	sessions    *session.Manager
	limits      *limit.Guard
	passwords   *secret.Passwords
	journeys    Journeys
	issuer      string
	development bool
}

// New returns the pages, or an error if c is not whole.
func New(c Config) (*Pages, error) {
	if c.Web == nil || c.Store == nil || c.Sessions == nil || c.Limits == nil || c.Passwords == nil || c.Journeys == nil || c.Issuer == "" {
		return nil, errors.New("login: something of the configuration is missing")
	}
	return &Pages{web: c.Web, store: c.Store, sessions: c.Sessions, limits: c.Limits, passwords: c.Passwords, journeys: c.Journeys,
		issuer: c.Issuer, development: c.Development}, nil
}

// Mount adds the pages to the route table.
func (p *Pages) Mount(rt *web.Router) {
	// Popup: apps show the way to a code in a popup window.
	show := func(h web.Handler) http.Handler { return web.Popup(p.web.Handle(h)) }
	act := func(h web.Handler) http.Handler { return web.Popup(p.web.SameOrigin(p.web.Handle(h))) }
	rt.Handle("/login", show(p.showLogin), http.MethodGet)
	rt.Handle("/login", act(p.login), http.MethodPost)
	rt.Handle("/login/switch", act(p.switchPerson), http.MethodPost)
	rt.Handle("/org", show(p.showOrganizations), http.MethodGet)
	rt.Handle("/org", act(p.chooseOrganization), http.MethodPost)
	rt.Handle("/", show(p.home), http.MethodGet)
	rt.Handle("/logout", act(p.logout), http.MethodPost)
}

// visit is one request to a page of this package.
type visit struct {
	flow    string           // as in the URL, "" without one
	journey *storage.Journey // nil without a flow
	browser secret.Hash      // zero if the browser has no token
}

// open finds out who asks for which flow. The browser is given to the journey's
// forms, not trusted by itself: a flow's journey is only found for its own.
func (p *Pages) open(r *http.Request) (v visit, err error) {
	query, err := web.Query(r)
	if err != nil {
		return v, err
	}
	v.flow = query.Get("flow")
	if query.Has("flow") {
		if v.journey, err = p.journeys.Journey(r); err != nil {
			return v, err
		}
	}
	v.browser = p.sessions.Browser(r)
	return v, nil
}

// needFlow is open for pages that are nothing without a flow.
func (p *Pages) needFlow(r *http.Request) (visit, error) {
	v, err := p.open(r)
	if err == nil && v.journey == nil {
		err = &web.Error{Status: http.StatusNotFound}
	}
	return v, err
}

// purpose ties a form to what it does and in which flow.
func (v visit) purpose(act string) string {
	if v.journey == nil {
		return act
	}
	return act + ":" + v.journey.Flow.IDHash.String()
}

// next is where the person goes from here: all steps are asked again there.
func (v visit) next() string {
	if v.journey == nil {
		return "/"
	}
	return "/oauth2/authorize?flow=" + url.QueryEscape(v.flow)
}

// cancel is the way back to the app without an answer.
func (v visit) cancel() string {
	if v.journey == nil {
		return ""
	}
	return v.next() + "&cancel=1"
}

// form reads a POST and checks that this browser was given the form for act. v is
// nil for an error.
func (p *Pages) form(r *http.Request, v visit, act string) (url.Values, error) {
	form, err := web.Form(r)
	if err != nil {
		return nil, err
	}
	if !p.sessions.VerifyCSRF(v.browser, v.purpose(act), form.Get("csrf")) {
		return nil, errStale
	}
	return form, nil
}

// errStale: the form was not made for this browser as it is now. Mostly another
// tab signed in meanwhile.
var errStale = &web.Error{Status: http.StatusForbidden, Code: "csrf"}

// redirect sends a person on. 303: what comes next is a GET, whatever this was.
func redirect(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// SwitchForm returns where a page of this flow posts "not you?", and the form's token.
func SwitchForm(sessions *session.Manager, browser secret.Hash, flow string, j *storage.Journey) (action, csrf string) {
	v := visit{flow: flow, journey: j}
	return "/login/switch?flow=" + url.QueryEscape(flow), sessions.CSRFToken(browser, v.purpose(actSwitch))
}

// The acts that forms are made for.
const (
	actLogin  = "login"
	actSwitch = "switch"
	actOrg    = "org"
	actLogout = "logout"
)

// switchPerson makes the flow ask who is there once more. Nobody is signed out
// before somebody else has signed in.
func (p *Pages) switchPerson(w http.ResponseWriter, r *http.Request) error {
	v, err := p.needFlow(r)
	if err != nil {
		return err
	}
	if _, err := p.form(r, v, actSwitch); err != nil {
		return err
	}
	err = p.store.AskAgain(r.Context(), v.journey.Flow.IDHash, v.browser)
	if errors.Is(err, storage.ErrSpent) {
		return redirect(w, r, v.next())
	} else if err != nil {
		return err
	}
	return redirect(w, r, "/login?flow="+url.QueryEscape(v.flow))
}
