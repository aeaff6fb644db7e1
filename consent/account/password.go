package account

import (
	"errors"
	"github.com/sallyport-id/sallyport/internal/page"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// hasPassword reports whether the user has a password. Users who came by passkey or another identity provider have none.
func (p *Pages) hasPassword(r *http.Request, c *page.Caller) (bool, error) {
	_, hash, err := p.Store.UserWithPassword(r.Context(), c.User.EmailKey)
	return hash != "", err
}

func (p *Pages) passwordPage(r *http.Request, c *page.Caller, has bool) templates.AccountPassword {
	return templates.AccountPassword{AccountPart: p.part(r), Email: c.User.Email, HasPassword: has,
		Password: templates.NewPassword{MinLength: p.PasswordMinLength}}
}

func (p *Pages) showPassword(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	has, err := p.hasPassword(r, c)
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, p.passwordPage(r, c, has))
}

// changePassword requires the present password too: see signin.ChangePassword.
func (p *Pages) changePassword(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values) error {
	mark, err := p.SignIn.ChangePassword(r.Context(), c.Source, c.Current,
		form.Get("current_password"), form.Get("password"))
	if err != nil {
		return p.refusePassword(w, r, c, err)
	}
	p.Sessions.SetCookies(w, r, "", mark)
	return p.RedirectDone(w, r, "/account", "password")
}

// refusePassword shows the form again and says why.
func (p *Pages) refusePassword(w http.ResponseWriter, r *http.Request, c *page.Caller, cause error) error {
	has, err := p.hasPassword(r, c)
	if err != nil {
		return err
	}
	view := p.passwordPage(r, c, has)
	faults, isFault := errors.AsType[identity.FieldErrors](cause)
	status := http.StatusUnprocessableEntity
	switch wait := page.Wait(w, cause); {
	case wait != "":
		status, view.Error = http.StatusTooManyRequests, "There were too many wrong passwords for this account. Try again in "+wait+"."
	case isFault:
		view.Password.Error = page.FieldTexts(faults, nil)["password"]
	case errors.Is(cause, identity.ErrWrongPassword):
		view.CurrentError = "This is not your current password. Nothing was changed."
	case errors.Is(cause, storage.ErrConflict):
		view.Error = "Your password was changed somewhere else a moment ago. Nothing was changed here."
	default:
		return cause
	}
	return p.Web.Page(w, status, view)
}
