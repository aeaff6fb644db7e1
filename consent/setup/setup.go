// Package setup is the first run: from a server that nobody administers to one
// with an administrator, a brand, and an app that demonstrably signs in.
//
//	/setup          GET the token's page, then the administrator's; later the list of steps
//	/setup/passkey  a passkey for the administrator; …/begin answers its script
//	/setup/brand    name, colour, logo
//	/setup/client   the first app; the answer shows its secret, once
//	/setup/test     POST begins a test of an app, GET takes its code
//	/setup/done     what comes next
//
// # Who may be here
//
//	nobody administers it ──token, administrator──▶ signed in ──▶ passkey ──▶ brand ──▶ client ──▶ test ──▶ done
//
// While there is no superadmin, /setup is for whoever has the token that was
// printed last (identity.NewSetupToken), wherever they come from: a proxy is
// loopback too. From then on all of it is for superadmins, and does not exist for
// others. Each step but the first can be skipped, and found again at /setup.
//
// # The test
//
// It is the code flow as an app runs it, in this browser: internal/clienttest does it,
// and these pages begin it and show what came of it.
package setup

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/clienttest"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Config is what Pages need. All of it, but for PasswordMinLength, Fixed and Production.
type Config struct {
	Web      *web.Web
	Store    *storage.Store
	Registry *storage.Registry
	Sessions *session.Manager
	SignIn   *signin.Service
	Identity *identity.Domain
	Factors  *factor.Factors
	Tester   *clienttest.Tester
	Issuer   string
	// Fixed is the configured brand; what it says cannot be set here.
	Fixed templates.Brand
	// Rebrand makes this process show what was set, at once.
	Rebrand func(ctx context.Context) error
	// PasswordMinLength is what the page says; 0 is 8.
	PasswordMinLength int
	// Production: nothing on this machine is suggested as an app's address.
	Production bool
	Now        func() time.Time
}

// Pages are the handlers of this package.
type Pages struct {
	Config
	door login.Door
}

// New returns the pages, or an error if c is not whole.
func New(c Config) (*Pages, error) {
	if c.Web == nil || c.Store == nil || c.Registry == nil || c.Sessions == nil || c.SignIn == nil || c.Identity == nil ||
		c.Factors == nil || c.Tester == nil || c.Issuer == "" || c.Rebrand == nil || c.Now == nil {
		return nil, errors.New("setup: something of the configuration is missing")
	}
	return &Pages{Config: c, door: login.Door{Sessions: c.Sessions, SignIn: c.SignIn}}, nil
}

// Mount adds the pages to the route table.
func (p *Pages) Mount(rt *web.Router) {
	show := func(path string, h web.Handler) { rt.Handle(path, p.Web.Handle(h), http.MethodGet) }
	act := func(path string, h web.Handler) {
		rt.Handle(path, p.Web.SameOrigin(p.Web.Handle(h)), http.MethodPost)
	}
	show("/setup", p.show)
	act("/setup", p.begin)
	show("/setup/passkey", p.gate(login.Fresh, p.showPasskey))
	act("/setup/passkey", p.gate(login.Fresh, p.addPasskey))
	rt.Handle("/setup/passkey/begin", p.Web.SameOrigin(p.Web.HandleJSON(p.beginPasskey)), http.MethodPost)
	show("/setup/brand", p.gate(login.SignedIn, p.showBrand))
	act("/setup/brand", p.gate(login.SignedIn, p.saveBrand))
	show("/setup/client", p.gate(login.SignedIn, p.showClient))
	act("/setup/client", p.gate(login.SignedIn, p.createClient))
	show("/setup/test", p.gate(login.SignedIn, p.finishTest))
	act("/setup/test", p.gate(login.SignedIn, p.startTest))
	show("/setup/done", p.gate(login.SignedIn, p.done))
}

// person is the superadmin that a request comes from.
type person = login.Person

// handler answers a superadmin.
type handler func(w http.ResponseWriter, r *http.Request, v *person) error

// errAbsent: these pages do not exist for others.
var errAbsent = &web.Error{Status: http.StatusNotFound}

// gate is the one door to every page behind the first.
func (p *Pages) gate(n login.Need, h handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		open, err := p.Identity.Installation.NeedsSetup(r.Context())
		if err != nil {
			return err
		}
		if open {
			return web.SeeOther(w, r, "/setup")
		}
		v, elsewhere, err := p.enter(r, n)
		if err != nil {
			return err
		}
		if elsewhere != "" {
			return web.SeeOther(w, r, elsewhere)
		}
		return h(w, r, v)
	}
}

// enter finds out who asks, and where they must go first; "" for nowhere.
func (p *Pages) enter(r *http.Request, n login.Need) (v *person, elsewhere string, err error) {
	v, elsewhere, err = p.door.Enter(r, n, storage.RoleSuperadmin)
	if errors.Is(err, storage.ErrNotFound) {
		err = errAbsent
	}
	return v, elsewhere, err
}

// actSetup is what the forms of all these pages are made for.
const actSetup = "setup"

// step is what every page has.
func (p *Pages) step(r *http.Request, number int) templates.SetupStep {
	return templates.SetupStep{CSRF: p.Sessions.CSRFToken(p.Sessions.Browser(r), actSetup), Number: number}
}

// form reads a POST and checks that this browser was given the form.
func (p *Pages) form(r *http.Request, repeatable ...string) (url.Values, error) {
	form, err := web.Form(r, repeatable...)
	if err != nil {
		return nil, err
	}
	if err := login.CheckForm(p.Sessions, p.Sessions.Browser(r), actSetup, form.Get("csrf"), "/setup"); err != nil {
		return nil, err
	}
	return form, nil
}
