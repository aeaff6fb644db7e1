package login

import (
	"net/http"
	"slices"

	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// home says what this server is and who is signed in. While nobody administers it
// the first run is here.
func (p *Pages) home(w http.ResponseWriter, r *http.Request) error {
	if open, err := p.identity.Installation.NeedsSetup(r.Context()); err != nil {
		return err
	} else if open {
		return web.SeeOther(w, r, "/setup")
	}
	page := templates.Home{Issuer: p.issuer, SignOutAction: "/logout"}
	browser := p.sessions.Browser(r)
	here, err := p.sessions.Current(r)
	if err != nil {
		return err
	}
	if here != nil {
		if signin.NeedsSecondFactor(here.SessionContext) {
			return web.SeeOther(w, r, "/login/factor")
		}
		page.Account = templates.Account{Name: here.User.Profile.Name, Email: here.User.Email}
		page.Setup = slices.Contains(here.User.PlatformRoles, storage.RoleSuperadmin)
	}
	if here == nil {
		if page.Notice, err = p.whySignedOut(r); err != nil {
			return err
		}
	}
	if !browser.IsZero() {
		page.CSRF = p.sessions.CSRFToken(browser, actLogout)
	}
	return p.web.Page(w, http.StatusOK, page)
}

// logout ends the session of this browser, if it has one.
func (p *Pages) logout(w http.ResponseWriter, r *http.Request) error {
	v := PageRequest{Browser: p.sessions.Browser(r)}
	here, err := p.sessions.Current(r)
	if err != nil {
		return err
	}
	if here == nil { // a second click: the first one has ended the session
		return web.SeeOther(w, r, "/")
	}
	if _, err := p.form(r, v, actLogout); err != nil {
		return err
	}
	if err := p.sessions.SignOut(w, r); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/")
}
