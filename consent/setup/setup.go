// Package setup is the first run: from a server that nobody administers to one with an administrator, a brand, and an
// app that demonstrably signs in.
//
//	/setup          GET the token's page, then the administrator's; later the list of steps
//	/setup/passkey  a passkey for the administrator; …/begin answers its script
//	/setup/brand    name, colour, logo
//	/setup/client   the first app; the answer shows its secret, once
//	/setup/test     POST begins a test of an app, GET takes its code
//	/setup/done     what comes next
//
// # Access
//
//	no administrator ──token, administrator──▶ signed in ──▶ passkey ──▶ brand ──▶ client ──▶ test ──▶ done
//
// While there is no superadmin, /setup admits every user who has the token that was printed last
// (identity.NewSetupToken), wherever they come from: a proxy is loopback too. From then on page.Gate admits superadmins
// alone, and for others the pages do not exist. Each step but the first can be skipped, and found again at /setup.
//
// # The test
//
// It is the code flow as an app runs it, in this browser: internal/clienttest does it, and these pages begin it and show
// the result.
package setup

import (
	"context"
	"net/http"

	"github.com/sallyport-id/sallyport/internal/clienttest"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Config is what the pages need besides page.Deps.
type Config struct {
	Tester *clienttest.Tester
	// Fixed is the configured brand; what it says cannot be set here.
	Fixed templates.Brand
	// Rebrand makes this process show at once what was set.
	Rebrand func(ctx context.Context) error
	// Production suppresses suggestions of addresses on this machine for an app.
	Production bool
}

// Pages are the handlers of this package.
type Pages struct {
	page.Gate
	Config
}

// New returns the pages.
func New(d *page.Deps, c Config) *Pages {
	return &Pages{page.Gate{Deps: d, Path: "/setup", Role: storage.RoleSuperadmin, Repeatable: []string{"scope"}}, c}
}

// Mount adds the pages to the route table.
func (p *Pages) Mount(rt *web.Router) {
	p.Deps.Mount(rt, nil,
		page.Route{Path: "/setup", Show: p.show, Act: p.begin},
		page.Route{Path: "/setup/passkey", Show: p.afterSetup(p.Page(page.Fresh, p.showPasskey)), Act: p.afterSetup(p.Act(page.Fresh, p.addPasskey))},
		page.Route{Path: "/setup/brand", Show: p.afterSetup(p.Page(page.SignedIn, p.showBrand)), Act: p.afterSetup(p.Act(page.SignedIn, p.saveBrand))},
		page.Route{Path: "/setup/client", Show: p.afterSetup(p.Page(page.SignedIn, p.showClient)), Act: p.afterSetup(p.Act(page.SignedIn, p.createClient))},
		page.Route{Path: "/setup/test", Show: p.afterSetup(p.Page(page.SignedIn, p.finishTest)), Act: p.afterSetup(p.Act(page.SignedIn, p.startTest))},
		page.Route{Path: "/setup/done", Show: p.afterSetup(p.Page(page.SignedIn, p.done))})
	p.MountPasskeyScript(rt, "/setup/passkey")
}

// afterSetup leads to the first page for as long as there is no administrator.
func (p *Pages) afterSetup(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		open, err := p.Identity.Installation.NeedsSetup(r.Context())
		if err != nil {
			return err
		}
		if open {
			return web.SeeOther(w, r, "/setup")
		}
		return h(w, r)
	}
}

// errAbsent is the answer where a page does not exist.
var errAbsent = &web.Error{Status: http.StatusNotFound}

// RedirectWhileOpen leads to the set-up for as long as there is no administrator, and is absent afterwards.
func (p *Pages) RedirectWhileOpen(w http.ResponseWriter, r *http.Request) error {
	return p.afterSetup(func(http.ResponseWriter, *http.Request) error { return errAbsent })(w, r)
}

// step is what every page has.
func (p *Pages) step(r *http.Request, number int) templates.SetupStep {
	return templates.SetupStep{CSRF: p.CSRF(r), Number: number}
}
