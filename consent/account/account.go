// Package account is where people look after their own account: /account.
//
//	/account                        what there is
//	/account/profile                names and other standard claims
//	/account/email                  another mail to prove the address
//	/account/password         fresh change or set it
//	/account/security               second steps; below it one of them by its id
//	/account/security/app     fresh add an authenticator app
//	/account/security/passkey fresh add a passkey or security key; …/begin answers its script
//	/account/security/codes   fresh new recovery codes
//	/account/security/ID/remove fresh
//	/account/sessions               where the person is signed in; …/ID/end, …/end-others
//	/account/linked                 identities of other providers; …/confirm, …/remove fresh
//	/account/apps                   apps that were let in; …/disconnect
//	/account/organizations          where the person belongs
//	/account/data             fresh all that is held about them, as a file
//	/account/delete           fresh the end of it
//
// The gate (gate.go) admits a session only when its sign-in is complete: one that still
// needs its second factor sees nothing here. The organizations alone
// are shown to a person who has yet to set up what one of them requires. What is marked fresh
// weakens the account or tells all about it, and asks for a sign-in within the last
// five minutes first, when the page is opened and again when it acts.
//
// A page of its own says what an act will lose before it is done. A GET changes
// nothing, but for the key of an authenticator app that waits to be confirmed.
package account

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Config is what Pages need. All of it, but for PasswordMinLength.
type Config struct {
	Web      *web.Web
	Store    *storage.Store
	Registry *storage.Registry
	Sessions *session.Manager
	SignIn   *signin.Service
	Identity *identity.Domain
	Factors  *factor.Factors
	// PasswordMinLength is what the page says; 0 is 8.
	PasswordMinLength int
	Now               func() time.Time
}

// Pages are the handlers of this package.
type Pages struct {
	Config
	door login.Door
}

// New returns the pages, or an error if c is not whole.
func New(c Config) (*Pages, error) {
	if c.Web == nil || c.Store == nil || c.Registry == nil || c.Sessions == nil || c.SignIn == nil ||
		c.Identity == nil || c.Factors == nil || c.Now == nil {
		return nil, errors.New("account: something of the configuration is missing")
	}
	return &Pages{c, login.Door{Sessions: c.Sessions, SignIn: c.SignIn}}, nil
}

// Mount adds the pages to the route table.
func (p *Pages) Mount(rt *web.Router) {
	show := func(path string, n login.Need, h handler) {
		rt.Handle(path, p.Web.Handle(p.gate(n, h)), http.MethodGet)
	}
	act := func(path string, n login.Need, h handler) {
		rt.Handle(path, p.Web.SameOrigin(p.Web.Handle(p.gate(n, h))), http.MethodPost)
	}
	show("/account", login.SignedIn, p.overview)
	show("/account/profile", login.SignedIn, p.showProfile)
	act("/account/profile", login.SignedIn, p.saveProfile)
	show("/account/email", login.SignedIn, p.showEmail)
	act("/account/email", login.SignedIn, p.sendVerification)
	show("/account/password", login.Fresh, p.showPassword)
	act("/account/password", login.Fresh, p.changePassword)
	show("/account/security", login.SignedIn, p.security)
	show("/account/security/app", login.Fresh, p.showApp)
	act("/account/security/app", login.Good, p.addApp)
	show("/account/security/passkey", login.Fresh, p.showPasskey)
	act("/account/security/passkey", login.Good, p.addPasskey)
	rt.Handle("/account/security/passkey/begin", p.Web.SameOrigin(p.Web.HandleJSON(p.beginPasskey)), http.MethodPost)
	show("/account/security/codes", login.Fresh, p.askCodes)
	act("/account/security/codes", login.Fresh, p.makeCodes)
	show("/account/security/{id}", login.SignedIn, p.showFactor)
	act("/account/security/{id}", login.SignedIn, p.renameFactor)
	show("/account/security/{id}/remove", login.Fresh, p.askRemoval)
	act("/account/security/{id}/remove", login.Fresh, p.removeFactor)
	show("/account/sessions", login.SignedIn, p.sessions)
	show("/account/sessions/end-others", login.SignedIn, p.askEndOthers)
	act("/account/sessions/end-others", login.SignedIn, p.endOthers)
	show("/account/sessions/{id}/end", login.SignedIn, p.askEnd)
	act("/account/sessions/{id}/end", login.SignedIn, p.end)
	show("/account/apps", login.SignedIn, p.apps)
	show("/account/apps/disconnect", login.SignedIn, p.askDisconnect)
	act("/account/apps/disconnect", login.SignedIn, p.disconnect)
	p.mountLinked(show, act)
	show("/account/organizations", login.Enrolling, p.organizations)
	show("/account/data", login.Fresh, p.showData)
	act("/account/data", login.Fresh, p.download)
	show("/account/delete", login.Fresh, p.askDeletion)
	act("/account/delete", login.Fresh, p.deleteAccount)
}

// actAccount is what the forms of all these pages are made for.
const actAccount = "account"

// part is what every page has: the form's token, and once what was just done.
func (p *Pages) part(r *http.Request) templates.AccountPart {
	part := templates.AccountPart{CSRF: p.Sessions.CSRFToken(p.Sessions.Browser(r), actAccount), Now: p.Now()}
	if what := r.URL.Query().Get("done"); login.WasDone(p.Sessions, r, what) {
		part.Done = doneWords[what]
	}
	return part
}

// form reads a POST and checks that this browser was given the form.
func (p *Pages) form(r *http.Request) (url.Values, error) {
	form, err := web.Form(r)
	if err != nil {
		return nil, err
	}
	if err := login.CheckForm(p.Sessions, p.Sessions.Browser(r), actAccount, form.Get("csrf"), "/account"); err != nil {
		return nil, err
	}
	return form, nil
}

// done sends the person to a page that says what was done.
func (p *Pages) done(w http.ResponseWriter, r *http.Request, path, what string) error {
	return login.Done(p.Sessions, w, r, path, what)
}
