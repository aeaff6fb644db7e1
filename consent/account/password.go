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

// changePassword wants the present password too: a browser left open is not enough
// to take an account over. Guessing it here counts like guessing it at /login, in
// the same budgets.
func (p *Pages) changePassword(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	ctx, account := r.Context(), identity.AccountOf(v.User.Email)
	attempt, err := p.Limits.Begin(account, p.Limits.Source(r, web.ClientIP(r)))
	if err != nil {
		return p.refusePassword(w, r, v, true, err)
	}
	defer attempt.End(ctx)
	claimant, err := p.Identity.Claim(ctx, account, attempt)
	has := claimant == nil || claimant.PasswordHash != ""
	if err != nil {
		return p.refusePassword(w, r, v, has, err)
	}
	err = p.Identity.ChangePassword(ctx, v.Actor, form.Get("current_password"), form.Get("password"), v.Session.ID, v.From)
	if errors.Is(err, identity.ErrWrongPassword) {
		err = errors.Join(err, attempt.Failed(ctx, v.User.ID))
	}
	if err != nil {
		return p.refusePassword(w, r, v, has, err)
	}
	if has {
		attempt.Succeeded(ctx, w)
	}
	return p.done(w, r, "/account", "password")
}

// refusePassword shows the form again and says why.
func (p *Pages) refusePassword(w http.ResponseWriter, r *http.Request, v *person, has bool, cause error) error {
	page := p.passwordPage(r, v, has)
	if blocked, ok := errors.AsType[*limit.Blocked](cause); ok {
		web.SetRetryAfter(w.Header(), blocked.RetryAfter)
		page.Error = "There were too many wrong passwords for this account. Try again in " + web.Wait(blocked.RetryAfter) + "."
		return p.Web.Page(w, http.StatusTooManyRequests, page)
	}
	faults, isFault := errors.AsType[identity.Faults](cause)
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
