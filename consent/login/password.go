package login

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
)

const (
	// busyRetry is when there is room to hash again.
	busyRetry = 2 * time.Second
	// maxTyped bounds what is shown again; addresses have at most 254 bytes.
	maxTyped = 320
)

// failed is the one sentence for everything that is wrong with an address and a
// password. Which of the two it is, and why, is not said; what a new account waits
// for is said to everybody.
const (
	failed            = "This email and password do not belong together. Check both and try again."
	failedOrToConfirm = failed + " A new account has to be confirmed first: open the link in the mail you got."
)

// login compares a password and signs in. It answers a failure with the form
// again and 422: not 401, which would owe the browser a challenge (RFC 9110,
// section 15.5.2), and not 200, which password managers take for a success.
func (p *Pages) login(w http.ResponseWriter, r *http.Request) error {
	v, err := ReadRequest(r, p.journeys, p.sessions)
	if err != nil {
		return err
	}
	form, err := p.form(r, v, actLogin)
	if v.alreadySignedIn(err) {
		return web.SeeOther(w, r, v.Next())
	}
	if err != nil {
		return err
	}
	if done, err := p.emailFirst(w, r, v, form); done || err != nil {
		return err
	}
	in, err := p.signIn.Password(r.Context(), p.sessions.Source(r), form.Get("email"), form.Get("password"))
	if err != nil {
		return p.refuseLogin(w, r, v, form, err)
	}
	return p.signedIn(w, r, v, in)
}

// alreadySignedIn reports whether a form is out of date because another tab has signed in
// for the flow meanwhile: there is nothing more to do here.
func (v *PageRequest) alreadySignedIn(err error) bool {
	return errors.Is(err, ErrStale) && v.Journey != nil && !signin.RequiredFor(v.Journey).SignIn
}

// signedIn gives the browser its session and leads on: to the second step at once, if no flow
// asks for it.
func (p *Pages) signedIn(w http.ResponseWriter, r *http.Request, v PageRequest, in *signin.Result) error {
	p.sessions.SetCookies(w, r, in.Token, in.Device)
	if v.Journey == nil && in.NeedsSecondFactor {
		return web.SeeOther(w, r, v.Path("/login/factor"))
	}
	return web.SeeOther(w, r, v.Next())
}

// origin is where a request came from, for the mail that tells of it.
func (p *Pages) origin(r *http.Request) request.Info { return p.signIn.Origin(p.sessions.Source(r)) }

// currentUser is the id of who is signed in, the nil UUID for nobody.
func currentUser(c *session.Current) uuid.UUID {
	if c == nil || signin.NeedsSecondFactor(c.SessionContext) {
		return uuid.Nil
	}
	return c.User.ID
}

// cut keeps what may be megabytes short.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxTyped)], "") }

// refuseLogin shows the form again, with what was typed but for the password.
func (p *Pages) refuseLogin(w http.ResponseWriter, r *http.Request, v PageRequest, form url.Values, cause error) error {
	if errors.Is(cause, secret.ErrBadHash) {
		web.Annotate(r.Context(), "password_hash", cause.Error())
	}
	page := p.loginPage(r, v)
	page.Email, page.Notice = cut(form.Get("email")), ""
	if form.Get("use_password") != "" {
		page.Connections = usePassword(page.Connections)
	}
	if sentence, ok := tooMany(w, cause); ok {
		page.Error = sentence
		return p.renderLogin(w, v, http.StatusTooManyRequests, page)
	}
	if !errors.Is(cause, identity.ErrCredentials) {
		return busy(cause)
	}
	page.Error = failed
	if p.identity.Registrations.ConfirmsEmail() {
		page.Error = failedOrToConfirm
	}
	return p.renderLogin(w, v, http.StatusUnprocessableEntity, page)
}

// tooMany is the sentence for who has to wait, and says when in the header.
func tooMany(w http.ResponseWriter, cause error) (sentence string, ok bool) {
	blocked, ok := errors.AsType[*limit.Blocked](cause)
	if !ok {
		return "", false
	}
	web.SetRetryAfter(w.Header(), blocked.RetryAfter)
	return "There were too many attempts. Try again in " + web.Wait(blocked.RetryAfter) + ".", true
}

// busy is the answer when there is no room to hash a password.
func busy(err error) error {
	if errors.Is(err, secret.ErrBusy) {
		return &web.Error{Status: http.StatusServiceUnavailable, RetryAfter: busyRetry, Err: err}
	}
	return err
}
