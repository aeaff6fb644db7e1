package login

import (
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// home says what this server is and who is signed in.
func (p *Pages) home(w http.ResponseWriter, r *http.Request) error {
	page := templates.Home{Issuer: p.issuer, SignOutAction: "/logout"}
	browser := p.sessions.Browser(r)
	if !browser.IsZero() {
		account, err := p.account(r)
		if err != nil {
			return err
		}
		page.Account, page.CSRF = account, p.sessions.CSRFToken(browser, actLogout)
	}
	if p.development {
		found, err := p.store.HasSuperadmin(r.Context())
		if err != nil {
			return err
		}
		page.NoAdministrator = !found
	}
	return p.web.Page(w, http.StatusOK, page)
}

// account is who is signed in in the browser; zero for nobody.
func (p *Pages) account(r *http.Request) (none templates.Account, err error) {
	v, err := p.store.Visit(r.Context(), storage.VisitQuery{Browser: p.sessions.Browser(r)})
	if errors.Is(err, storage.ErrNotFound) {
		return none, nil
	} else if err != nil {
		return none, err
	}
	standing, err := p.sessions.Check(r, v)
	if err != nil || standing == session.SignedOut {
		return none, err
	}
	return templates.Account{Name: v.User.Profile.Name, Email: v.User.Email}, nil
}

// logout ends the session of this browser. Who has no cookie is out already.
func (p *Pages) logout(w http.ResponseWriter, r *http.Request) error {
	v := visit{browser: p.sessions.Browser(r)}
	if v.browser.IsZero() {
		return redirect(w, r, "/")
	}
	if _, err := p.form(r, v, actLogout); err != nil {
		return err
	}
	if err := p.sessions.SignOut(w, r); err != nil {
		return err
	}
	return redirect(w, r, "/")
}
