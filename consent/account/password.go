package account

import (
	"errors"
	"net/http"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// busyRetry is when there is room to hash again.
const busyRetry = 2 * time.Second

// hasPassword: people who came by passkey or another identity provider have none.
func (p *Pages) hasPassword(r *http.Request, v *person) (bool, error) {
	_, hash, err := p.Store.UserWithPassword(r.Context(), v.User.EmailKey)
	return hash != "", err
}

func (p *Pages) passwordPage(r *http.Request, v *person, has bool) templates.AccountPassword {
	return templates.AccountPassword{AccountPart: p.part(r), Email: v.User.Email, HasPassword: has, Password: templates.NewPassword{MinLength: p.PasswordMinLength}}
}

func (p *Pages) showPassword(w http.ResponseWriter, r *http.Request, v *person) error {
	has, err := p.hasPassword(r, v)
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, p.passwordPage(r, v, has))
}

// changePassword wants the present password too: see signin.ChangePassword.
func (p *Pages) changePassword(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	mark, err := p.SignIn.ChangePassword(r.Context(), v.Source, v.Current,
		form.Get("current_password"), form.Get("password"))
	if err != nil {
		return p.refusePassword(w, r, v, err)
	}
	p.Sessions.SetCookies(w, r, "", mark)
	return p.done(w, r, "/account", "password")
}

// refusePassword shows the form again and says why.
func (p *Pages) refusePassword(w http.ResponseWriter, r *http.Request, v *person, cause error) error {
	has, err := p.hasPassword(r, v)
	if err != nil {
		return err
	}
	page := p.passwordPage(r, v, has)
	if blocked, ok := errors.AsType[*limit.Blocked](cause); ok {
		web.SetRetryAfter(w.Header(), blocked.RetryAfter)
		page.Error = "There were too many wrong passwords for this account. Try again in " + web.Wait(blocked.RetryAfter) + "."
		return p.Web.Page(w, http.StatusTooManyRequests, page)
	}
	faults, isFault := errors.AsType[identity.FieldErrors](cause)
	switch {
	case isFault:
		page.Password.Error = faulty(faults)["password"]
	case errors.Is(cause, identity.ErrWrongPassword):
		page.CurrentError = "This is not your current password. Nothing was changed."
	case errors.Is(cause, storage.ErrConflict):
		page.Error = "Your password was changed somewhere else a moment ago. Nothing was changed here."
	case errors.Is(cause, secret.ErrBusy):
		return &web.Error{Status: http.StatusServiceUnavailable, RetryAfter: busyRetry, Err: cause}
	default:
		return cause
	}
	return p.Web.Page(w, http.StatusUnprocessableEntity, page)
}
