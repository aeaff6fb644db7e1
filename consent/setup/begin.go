package setup

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

const (
	badToken = "This token does not count: it was used, is more than an hour old, or a newer one was printed since."
	// The command refuses an unverified address: strangers can have made the account.
	taken = "This address has an account already. Choose another one, or give that one the role with sallyport users add-role superadmin on the server, which says what to do if nobody has proven the address."
)

// show is the first page while there is no administrator, and afterwards the administrator's list of steps.
func (p *Pages) show(w http.ResponseWriter, r *http.Request) error {
	open, err := p.Identity.Installation.NeedsSetup(r.Context())
	if err != nil {
		return err
	}
	if !open {
		return p.Page(page.SignedIn, p.list)(w, r)
	}
	query, err := web.Query(r)
	if err != nil {
		return err
	}
	if _, err := p.Sessions.Ensure(w, r); err != nil {
		return err
	}
	token := query.Get("token")
	if token == "" {
		return p.askToken(w, r, http.StatusOK, "")
	}
	return p.takeToken(w, r, token)
}

func (p *Pages) askToken(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	return p.Web.Page(w, status, templates.SetupToken{CSRF: p.step(r, 0).CSRF, Error: problem})
}

// takeToken goes on to the administrator's page with a valid token. The token is spent only there: looking at the page
// again must not use it up.
func (p *Pages) takeToken(w http.ResponseWriter, r *http.Request, token string) error {
	err := p.Identity.Installation.CheckSetupToken(r.Context(), token)
	if errors.Is(err, identity.ErrSetupToken) {
		return p.askToken(w, r, http.StatusForbidden, badToken)
	} else if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, p.administrator(r, token))
}

func (p *Pages) administrator(r *http.Request, token string) templates.SetupAdministrator {
	return templates.SetupAdministrator{CSRF: p.step(r, 0).CSRF, Token: token, Password: templates.NewPassword{MinLength: p.PasswordMinLength}}
}

// begin takes the token, or with it the administrator.
func (p *Pages) begin(w http.ResponseWriter, r *http.Request) error {
	open, err := p.Identity.Installation.NeedsSetup(r.Context())
	if err != nil {
		return err
	}
	if !open { // another tab has just done it
		return p.Page(page.SignedIn, func(w http.ResponseWriter, r *http.Request, _ *page.Caller) error {
			return web.SeeOther(w, r, "/setup")
		})(w, r)
	}
	form, err := p.Form(r)
	if err != nil {
		return err
	}
	if form.Get("act") != "administrator" {
		return p.takeToken(w, r, strings.TrimSpace(form.Get("token")))
	}
	n := identity.NewUser{Email: form.Get("email"), Password: form.Get("password"), Profile: storage.Profile{Name: form.Get("name")}}
	u, hash, err := p.Identity.Installation.Bootstrap(r.Context(), form.Get("token"), n, web.RequestID(r.Context()))
	if err != nil {
		return p.refuse(w, r, form, err)
	}
	in, err := p.SignIn.NewSession(r.Context(), p.Sessions.Source(r), u, hash)
	if err != nil {
		return err
	}
	p.Sessions.SetCookies(w, r, in.Token, in.Device)
	return web.SeeOther(w, r, "/setup/passkey")
}

// refuse shows the form again with what was typed, except for the password.
func (p *Pages) refuse(w http.ResponseWriter, r *http.Request, form url.Values, cause error) error {
	view := p.administrator(r, form.Get("token"))
	view.Name, view.Email = page.Shorten(form.Get("name")), page.Shorten(form.Get("email"))
	faults, isFault := errors.AsType[identity.FieldErrors](cause)
	switch {
	case errors.Is(cause, identity.ErrSetupToken):
		return p.askToken(w, r, http.StatusForbidden, badToken)
	case errors.Is(cause, identity.ErrAlreadySetUp):
		return errAbsent
	case errors.Is(cause, identity.ErrRegistered):
		view.EmailError = taken
	case isFault:
		texts := page.FieldTexts(faults, nil)
		view.NameError, view.EmailError, view.Password.Error = texts["name"], texts["email"], texts["password"]
	default:
		return cause
	}
	return p.Web.Page(w, http.StatusUnprocessableEntity, view)
}
