// Package login asks a person who they are and for which organization they act:
// the steps Identify and Choose of a journey, the pages that give somebody an
// account or give it back, and the page "/" with the way out.
//
//	/login                 GET the form, POST email and password
//	/login/passkey/begin   POST for a challenge, as JSON
//	/login/passkey         POST its answer
//	/login/switch          POST "not you?": the flow asks who somebody is once more
//	/register              GET the form, POST an account to be
//	/verify                GET what a mailed link is about, POST to use it
//	/recover               GET the form, POST an address
//	/recover/reset         GET the form behind a mailed link, POST a password
//	/invite                GET an invitation, POST to accept it or to register by it
//	/org                   GET the picker, POST the slug
//	/                      GET who is signed in
//	/logout                POST the way out
//	/login/NAME            GET the way to the provider of a connection (upstream.go)
//	/login/NAME/callback   GET or POST its answer
//	/login/NAME/logout     POST a logout token of the provider (upstreamlogout.go)
//	/login/link            GET how its identity is linked to an account that there is
//
// With ?flow= a page serves a flow of package provider, which finds it for this
// browser (Journeys) and gets the person back at /oauth2/authorize after each
// step; a page whose step is not pending sends them there at once. Without ?flow=
// somebody signs in to this server itself and ends at ?to= if web.LocalPath knows
// that page, else at "/". They are sent nowhere else, so there is no return
// address to be abused.
//
// # A password
//
// The sign-in itself is internal/signin, which reads and computes the same whatever was
// typed: an unknown, a disabled, an unproven and a password-less account get the same answer
// as a wrong password. A user with a second factor gets a session that still needs it, which
// is good for /login/factor alone.
//
// # Links
//
// A link that was mailed opens a page, and only that page's form uses it: programs
// that look into mails follow links. No link signs anybody in. Its token is in the
// address of its own page and in no other, but for the way back from signing in to
// an invitation. What a page says next is a code of few in ?notice=, never text.
//
// # Who has an account
//
// Nothing here tells, but to whoever has shown that the address is theirs, and
// where CONFIRM_EMAIL is off to whoever registers: requests that depend on it are
// answered before anybody has looked (identity.RequestRegistration, RequestRecovery).
package login

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/upstream"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// Config is what Pages need.
type Config struct {
	Web      *web.Web
	Store    *storage.Store
	Sessions *session.Manager
	SignIn   *signin.Service
	Identity *identity.Domain
	Factors  *factor.Factors
	Journeys Journeys
	Registry *storage.Registry
	Upstream *upstream.Service
	Limits   *limit.Guard
	Issuer   string
	Now      func() time.Time
	// PasswordMinLength is told beforehand, in characters; 0 is 8.
	PasswordMinLength int
	// Outbox is the page that shows mails in development; "" if they leave.
	Outbox string
}

// Pages are the handlers of this package.
type Pages struct {
	web       *web.Web
	store     *storage.Store
	sessions  *session.Manager
	signIn    *signin.Service
	identity  *identity.Domain
	factors   *factor.Factors
	journeys  Journeys
	registry  *storage.Registry
	upstream  *upstream.Service
	limits    *limit.Guard
	now       func() time.Time
	issuer    string
	minLength int
	outbox    string
}

// New returns the pages, or an error if c is not whole.
func New(c Config) (*Pages, error) {
	if c.Web == nil || c.Store == nil || c.Sessions == nil || c.SignIn == nil || c.Identity == nil || c.Factors == nil ||
		c.Journeys == nil || c.Registry == nil || c.Upstream == nil || c.Limits == nil || c.Issuer == "" || c.Now == nil {
		return nil, errors.New("login: something of the configuration is missing")
	}
	return &Pages{web: c.Web, store: c.Store, sessions: c.Sessions, signIn: c.SignIn, identity: c.Identity,
		factors: c.Factors, journeys: c.Journeys, registry: c.Registry, upstream: c.Upstream, limits: c.Limits, now: c.Now, issuer: c.Issuer, minLength: c.PasswordMinLength, outbox: c.Outbox}, nil
}

// Mount adds the pages to the route table.
func (p *Pages) Mount(rt *web.Router) {
	// Popup: apps show the way to a code in a popup window.
	show := func(h web.Handler) http.Handler { return web.Popup(p.web.Handle(h)) }
	act := func(h web.Handler) http.Handler { return web.Popup(p.web.SameOrigin(p.web.Handle(h))) }
	for _, page := range []struct {
		path      string
		show, act web.Handler
	}{
		{"/login", p.showLogin, p.login},
		{"/login/passkey", nil, p.passkey},
		{"/login/passkey/begin", nil, p.beginPasskey},
		{"/login/switch", nil, p.switchPerson},
		{"/register", p.showRegister, p.register},
		{"/verify", p.showVerify, p.verify},
		{"/recover", p.showRecover, p.recover},
		{"/recover/reset", p.showReset, p.reset},
		{"/invite", p.showInvite, p.invite},
		{"/org", p.showOrganizations, p.chooseOrganization},
		{"/", p.home, nil},
		{"/logout", nil, p.logout},
	} {
		if page.show != nil {
			rt.Handle(page.path, show(page.show), http.MethodGet)
		}
		if page.act != nil {
			rt.Handle(page.path, act(page.act), http.MethodPost)
		}
	}
}

// form reads a POST and checks that this browser was given the form for act. v is
// nil for an error.
func (p *Pages) form(r *http.Request, v PageRequest, act string) (url.Values, error) {
	form, err := web.Form(r)
	if err != nil {
		return nil, err
	}
	again := r.URL.RequestURI()
	switch {
	case v.Journey != nil:
		again = v.Next()
	case act == actPasskey:
		again = v.Path("/login")
	case act == actLogout:
		again = "/"
	}
	if err := CheckForm(p.sessions, v.Browser, v.Purpose(act), form.Get("csrf"), again); err != nil {
		return nil, err
	}
	return form, nil
}

// The acts that forms are made for.
const (
	actLogin    = "login"
	actPasskey  = "passkey"
	actSwitch   = "switch"
	actRegister = "register"
	actVerify   = "verify"
	actRecover  = "recover"
	actReset    = "reset"
	actInvite   = "invite"
	actInvited  = "register by invitation"
	actOrg      = "org"
	actLogout   = "logout"
)

// switchPerson makes the flow ask who is there once more. Nobody is signed out
// before somebody else has signed in.
func (p *Pages) switchPerson(w http.ResponseWriter, r *http.Request) error {
	v, err := ReadFlowRequest(r, p.journeys, p.sessions)
	if err != nil {
		return err
	}
	if _, err := p.form(r, v, actSwitch); err != nil {
		return err
	}
	err = p.store.AskAgain(r.Context(), v.Journey.Flow.IDHash, v.Browser)
	if errors.Is(err, storage.ErrSpent) {
		return web.SeeOther(w, r, v.Next())
	} else if err != nil {
		return err
	}
	return web.SeeOther(w, r, v.Path("/login"))
}
