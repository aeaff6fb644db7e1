// Package login asks users who they are and for which organization they act: the steps /login and /org of a flow, the
// pages that give a user an account or give it back, and the page "/" with the way out.
//
//	/login                 GET the form, POST email and password
//	/login/passkey/begin   POST for a challenge, as JSON
//	/login/passkey         POST its answer
//	/login/switch          POST "not you?": the flow asks for a sign-in once more
//	/register              GET the form, POST a new account
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
//	/login/link            GET how its identity is linked to an account that exists
//
// With ?flow= a page serves a flow of package provider (page.Request), and sends the browser back to the authorization
// endpoint after each step. Without ?flow= the user signs in to this server itself and ends at ?to= if web.LocalPath
// knows that page, else at "/". No other address is ever followed, so there is no open redirect.
//
// # A password
//
// The sign-in itself is internal/signin, which reads and computes the same whatever was typed: an unknown, a disabled, an
// unverified and a password-less account get the same answer as a wrong password. A user with a second factor gets a
// session that still needs it, which is good for /login/factor alone.
//
// # Links
//
// A mailed link opens a page, and only that page's form uses it, because mail scanners follow links. No link signs a user
// in. Its token is in the address of its own page and in no other, except for the way back from signing in to an
// invitation. ?notice= selects the sentence of the next page from a few codes; it never holds text.
//
// # Existence of accounts
//
// No page tells whether an address has an account, except to a user who has shown that the address is theirs, and to
// every registrant where CONFIRM_EMAIL is off. Requests whose outcome depends on it are answered before the account is
// looked up (identity.Registrations.Request, RequestRecovery).
package login

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/upstream"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// Config is what the pages need besides page.Deps.
type Config struct {
	Upstream *upstream.Service
	Limits   *limit.Guard
	// OutboxURL is the page that shows mails in development, "" if mails are sent.
	OutboxURL string
}

// Pages are the handlers of this package.
type Pages struct {
	*page.Deps
	Config
}

// New returns the pages.
func New(d *page.Deps, c Config) *Pages { return &Pages{d, c} }

// Mount adds the pages to the route table. An app may show them in a popup window.
func (p *Pages) Mount(rt *web.Router) {
	p.Deps.Mount(rt, web.Popup,
		page.Route{Path: "/login", Show: p.show(p.showLogin), Act: p.act(actLogin, p.login)},
		page.Route{Path: "/login/passkey", Act: p.act(actPasskey, p.passkey)},
		page.Route{Path: "/login/passkey/begin", Act: p.beginPasskey},
		page.Route{Path: "/login/switch", Act: p.act(page.ActSwitch, p.switchUser)},
		page.Route{Path: "/register", Show: p.show(p.showRegister), Act: p.act(actRegister, p.register)},
		page.Route{Path: "/verify", Show: p.show(p.showVerify), Act: p.act(actVerify, p.verify)},
		page.Route{Path: "/recover", Show: p.show(p.showRecover), Act: p.act(actRecover, p.recover)},
		page.Route{Path: "/recover/reset", Show: p.show(p.showReset), Act: p.act(actReset, p.reset)},
		page.Route{Path: "/invite", Show: p.show(p.showInvite), Act: p.act(actInvite, p.invite)},
		page.Route{Path: organizationPath, Show: p.show(p.showOrganizations), Act: p.act(actOrganization, p.chooseOrganization)},
		page.Route{Path: "/", Show: p.home},
		page.Route{Path: "/logout", Act: p.logout})
}

// The acts that forms are made for.
const (
	actLogin        = "login"
	actPasskey      = "passkey"
	actRegister     = "register"
	actVerify       = "verify"
	actRecover      = "recover"
	actReset        = "reset"
	actInvite       = "invite"
	actOrganization = "organization"
)

// handler answers a request to one of the pages.
type handler func(w http.ResponseWriter, r *http.Request, q *page.Request) error

// formHandler answers a form of one of the pages.
type formHandler func(w http.ResponseWriter, r *http.Request, q *page.Request, form url.Values) error

// show returns a handler that reads the request for h and gives the browser a token for the page's form.
func (p *Pages) show(h handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		q, err := p.ReadRequest(r)
		if err != nil {
			return err
		}
		if err := q.EnsureBrowser(w, r); err != nil {
			return err
		}
		return h(w, r, q)
	}
}

// act returns a handler that reads the request and its form for h. If another tab has signed in for the flow meanwhile,
// a form for signing in has nothing more to do, and the browser goes on.
func (p *Pages) act(act string, h formHandler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		q, err := p.ReadRequest(r)
		if err != nil {
			return err
		}
		if err := p.checkOpen(act, q); err != nil {
			return err
		}
		form, err := p.form(r, q, act)
		signsIn := act == actLogin || act == actPasskey || act == actRegister
		if signsIn && errors.Is(err, page.ErrStale) && !q.IsNext(loginPath) {
			return web.SeeOther(w, r, q.NextURL())
		}
		if err != nil {
			return err
		}
		return h(w, r, q, form)
	}
}

// checkOpen refuses a form that this installation does not offer, before anything in it is looked at.
func (p *Pages) checkOpen(act string, q *page.Request) error {
	switch act {
	case actRegister:
		return p.checkRegistrationOpen(q)
	case actRecover:
		return p.checkRecoveryOpen(q)
	}
	return nil
}

// form reads a POST and checks that this browser was given the form for act.
func (p *Pages) form(r *http.Request, q *page.Request, act string) (url.Values, error) {
	again := r.URL.RequestURI()
	switch {
	case q.Flow != nil:
		again = q.NextURL()
	case act == actPasskey:
		again = q.Path(loginPath)
	}
	return q.Form(r, purpose(act, q), again)
}

// purpose is what a form is made for: act, and for a mailed link that link.
func purpose(act string, q *page.Request) string {
	if act == actVerify || act == actReset || act == actInvite {
		return act + ":" + secret.HashOf(q.Query.Get("token")).String()
	}
	return act
}

// csrf returns the token for the form of an act.
func csrf(q *page.Request, act string) string { return q.CSRF(purpose(act, q)) }

// switchUser makes the flow ask for a sign-in once more. The present user stays signed in until another has signed in.
func (p *Pages) switchUser(w http.ResponseWriter, r *http.Request, q *page.Request, _ url.Values) error {
	if q.Flow == nil {
		return errNoFlow
	}
	err := p.Store.AskAgain(r.Context(), q.Flow.Flow.IDHash, q.Browser)
	if errors.Is(err, storage.ErrSpent) {
		return web.SeeOther(w, r, q.NextURL())
	} else if err != nil {
		return err
	}
	return web.SeeOther(w, r, q.Path(loginPath))
}

// errNoFlow is the answer of pages that exist within a flow only.
var errNoFlow = &web.Error{Status: http.StatusNotFound}
