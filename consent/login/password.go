package login

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
)

// failed is the one sentence for everything that is wrong with an address and a password: saying which of the two, or
// why, would tell whether the address has an account. That a new account must be confirmed is said to everyone.
const (
	failed            = "Wrong email or password. Check both and try again."
	failedOrToConfirm = failed + " A new account has to be confirmed first: open the link in the mail you got."
)

// login compares a password and signs in. It answers a failure with the form again and 422: not 401, which would owe the
// browser a challenge (RFC 9110, section 15.5.2), and not 200, which password managers take for success.
func (p *Pages) login(w http.ResponseWriter, r *http.Request, q *page.Request, form url.Values) error {
	if done, err := p.emailFirst(w, r, q, form); done || err != nil {
		return err
	}
	in, err := p.SignIn.Password(r.Context(), p.Sessions.Source(r), form.Get("email"), form.Get("password"))
	if err != nil {
		return p.refuseLogin(w, r, q, form, err)
	}
	return p.signedIn(w, r, q, in)
}

// signedIn gives the browser its session and leads on. Without a flow the second factor comes next at once.
func (p *Pages) signedIn(w http.ResponseWriter, r *http.Request, q *page.Request, in *signin.Result) error {
	p.Sessions.SetCookies(w, r, in.Token, in.Device)
	if q.Flow == nil && in.NeedsSecondFactor {
		return web.SeeOther(w, r, q.Path("/login/factor"))
	}
	return web.SeeOther(w, r, q.NextURL())
}

// refuseLogin shows the form again with what was typed, except for the password.
func (p *Pages) refuseLogin(w http.ResponseWriter, r *http.Request, q *page.Request, form url.Values, cause error) error {
	if errors.Is(cause, secret.ErrBadHash) {
		web.Annotate(r.Context(), "password_hash", cause.Error())
	}
	again := p.loginForm(r, q)
	again.Email, again.Notice = page.Shorten(form.Get("email")), ""
	if form.Get("use_password") != "" {
		again.Connections = usePassword(again.Connections)
	}
	if again.Error = tooManyAttempts(w, cause); again.Error != "" {
		return p.renderLogin(w, q, http.StatusTooManyRequests, again)
	}
	if !errors.Is(cause, identity.ErrCredentials) {
		return cause
	}
	again.Error = failed
	if p.Identity.Registrations.ConfirmsEmail() {
		again.Error = failedOrToConfirm
	}
	return p.renderLogin(w, q, http.StatusUnprocessableEntity, again)
}

// tooManyAttempts is the sentence for a user who must wait, "" for another cause.
func tooManyAttempts(w http.ResponseWriter, cause error) string {
	if wait := page.Wait(w, cause); wait != "" {
		return "There were too many attempts. Try again in " + wait + "."
	}
	return ""
}

// formRefusal returns the status of a refused form with a sentence for each of its fields, "" for the whole form. The
// status is 0 if the cause is not for the user to mend.
func formRefusal(w http.ResponseWriter, cause error) (status int, texts map[string]string) {
	if sentence := tooManyAttempts(w, cause); sentence != "" {
		return http.StatusTooManyRequests, map[string]string{"": sentence}
	}
	if faults, ok := errors.AsType[identity.FieldErrors](cause); ok {
		return http.StatusUnprocessableEntity, page.FieldTexts(faults, nouns)
	}
	return 0, nil
}

// nouns name the fields of these pages in sentences.
var nouns = map[string]string{"name": "This name", "email": "This address", "password": "This password"}

// currentUser is the id of the signed-in user, the nil UUID if no user is signed in.
func currentUser(c *session.Current) uuid.UUID {
	if c == nil || signin.NeedsSecondFactor(c.SessionContext) {
		return uuid.Nil
	}
	return c.User.ID
}
