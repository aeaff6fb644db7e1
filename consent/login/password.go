package login

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
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
	v, err := p.open(r)
	if err != nil {
		return err
	}
	form, err := p.form(r, v, actLogin)
	if v.overtaken(err) {
		return web.SeeOther(w, r, v.next())
	}
	if err != nil {
		return err
	}
	ctx := r.Context()
	attempt, err := p.limits.Begin(identity.AccountOf(form.Get("email")), p.source(r))
	if err != nil {
		return p.refuseLogin(w, v, form, err)
	}
	defer attempt.End(ctx)
	c, err := p.identity.CheckCredentials(ctx, form.Get("email"), form.Get("password"), attempt)
	if err == nil {
		err = p.enter(w, r, c.User, attempt.Known(), session.SignIn{User: c.User.ID, PasswordHash: c.PasswordHash,
			ACR: identity.ACRPassword, AMR: []string{identity.AMRPassword}})
		if err == nil {
			attempt.Succeeded(ctx, w)
			return web.SeeOther(w, r, v.onward(c.User, identity.ACRPassword))
		}
	}
	// storage.ErrConflict: the password was changed, or the person disabled, since it was read.
	if !errors.Is(err, identity.ErrCredentials) && !errors.Is(err, storage.ErrConflict) {
		return p.refuseLogin(w, v, form, err)
	}
	if errors.Is(err, secret.ErrBadHash) {
		web.Annotate(ctx, "password_hash", err.Error())
	}
	if err := attempt.Failed(ctx, c.User.ID); err != nil {
		return err
	}
	return p.refuseLogin(w, v, form, identity.ErrCredentials)
}

// overtaken reports whether a form is out of date because another tab has signed in
// for the flow meanwhile: there is nothing more to do here.
func (v visit) overtaken(err error) bool {
	return errors.Is(err, ErrStale) && v.journey != nil && !(Identify{}).Pending(v.journey)
}

// enter signs a person in in this browser: whose known device it is not, they are
// told of it by mail, and newcomers are welcomed. The errors are those of
// session.Manager.SignIn.
func (p *Pages) enter(w http.ResponseWriter, r *http.Request, u *storage.User, known bool, in session.SignIn) (err error) {
	// A password alone signs nobody in who has a second step, which mails by itself.
	in.Half = identity.Half(u.Factors, in.ACR)
	switch {
	case in.Half && p.limits.Devices.KnownSince(p.source(r).Device, u.EmailKey, device.ByFactor).IsZero():
		in.Owed, err = p.identity.WatchSecondStep()
	case !in.Half && !known:
		in.Notice, err = p.identity.NoticeOfSignIn(r.Context(), u, p.origin(r))
	}
	if err != nil {
		return err
	}
	if err := p.sessions.SignIn(w, r, in); err != nil {
		return err
	}
	if u.FirstSignInAt.IsZero() {
		// The person is in. What is left undone is done at the next sign-in.
		if err := p.identity.Welcome(r.Context(), u); err != nil {
			web.Annotate(r.Context(), "welcome", err.Error())
		}
	}
	return nil
}

// onward is where a person goes who has just signed in: to the second step at
// once, if no flow asks for it.
func (v visit) onward(u *storage.User, acr string) string {
	if v.journey == nil && identity.Half(u.Factors, acr) {
		return v.path("/login/factor")
	}
	return v.next()
}

// source is where a request came from, for what limits guessing.
func (p *Pages) source(r *http.Request) limit.Source { return p.limits.Source(r, web.ClientIP(r)) }

// origin is where a request came from, for the mail that tells of it.
func (p *Pages) origin(r *http.Request) identity.Origin {
	device, network := p.sessions.Device(r)
	return identity.Origin{Device: device, Network: network}
}

// present is who is signed in in the browser, nil for nobody.
func (p *Pages) present(r *http.Request) (*storage.Visit, error) {
	browser := p.sessions.Browser(r)
	if browser.IsZero() {
		return nil, nil
	}
	v, err := p.store.Visit(r.Context(), storage.VisitQuery{Browser: browser})
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	standing, err := p.sessions.Check(r, v)
	if err != nil || standing == session.SignedOut {
		return nil, err
	}
	return v, nil
}

// half reports whether somebody is present who still owes their second step.
func half(v *storage.Visit) bool { return v != nil && identity.Half(v.User.Factors, v.Session.ACR) }

// presentUser is the id of who is present, the nil UUID for nobody.
func presentUser(v *storage.Visit) uuid.UUID {
	if v == nil || half(v) {
		return uuid.Nil
	}
	return v.User.ID
}

// cut keeps what may be megabytes short.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxTyped)], "") }

// refuseLogin shows the form again, with what was typed but for the password.
func (p *Pages) refuseLogin(w http.ResponseWriter, v visit, form url.Values, cause error) error {
	page := p.loginPage(v)
	page.Email, page.Notice = cut(form.Get("email")), ""
	if sentence, ok := tooMany(w, cause); ok {
		page.Error = sentence
		return p.send(w, v, http.StatusTooManyRequests, page)
	}
	if !errors.Is(cause, identity.ErrCredentials) {
		return busy(cause)
	}
	page.Error = failed
	if p.identity.ConfirmsEmail() {
		page.Error = failedOrToConfirm
	}
	return p.send(w, v, http.StatusUnprocessableEntity, page)
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
