package login

import (
	"net/http"
	"slices"

	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// home says what this server is and who is signed in. Until there is a superadmin it leads to the set-up.
func (p *Pages) home(w http.ResponseWriter, r *http.Request) error {
	if open, err := p.Identity.Installation.NeedsSetup(r.Context()); err != nil {
		return err
	} else if open {
		return web.SeeOther(w, r, "/setup")
	}
	home := templates.Home{Issuer: p.Issuer, SignOutAction: "/logout"}
	current, err := p.Sessions.Current(r)
	switch {
	case err != nil:
		return err
	case current == nil:
		if home.Notice, err = p.whySignedOut(r); err != nil {
			return err
		}
	case signin.NeedsSecondFactor(current.SessionContext):
		return web.SeeOther(w, r, "/login/factor")
	default:
		home.Account = page.AccountOf(&current.User)
		home.Setup = slices.Contains(current.User.PlatformRoles, storage.RoleSuperadmin)
	}
	if browser := p.Sessions.Browser(r); !browser.IsZero() {
		home.CSRF = p.Sessions.CSRFToken(browser, page.ActLogout)
	}
	return p.Web.Page(w, http.StatusOK, home)
}

// logout ends the session of this browser, if it has one.
func (p *Pages) logout(w http.ResponseWriter, r *http.Request) error {
	current, err := p.Sessions.Current(r)
	if err != nil {
		return err
	}
	if current == nil { // a second click: the first one has ended the session
		return web.SeeOther(w, r, "/")
	}
	q, err := p.ReadRequest(r)
	if err != nil {
		return err
	}
	if _, err := q.Form(r, page.ActLogout, "/"); err != nil {
		return err
	}
	if err := p.Sessions.SignOut(w, r); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/")
}
