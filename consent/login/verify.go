package login

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/templates"
)

// Codes in ?notice=: each chooses a sentence that a page shows after the page before it redirected there.
const (
	noticeVerified   = "verified"
	noticeReset      = "reset"
	noticeRegistered = "registered"
)

var notices = map[string]string{
	noticeVerified:   "Your address is confirmed. Sign in to go on.",
	noticeReset:      "Your password is set. Sign in with it.",
	noticeRegistered: "This address has an account already. Sign in to it.",
}

// tokenPurpose ties a form to the link that it uses.
func tokenPurpose(act, token string) string { return act + ":" + secret.HashOf(token).String() }

// needLink is open for the page behind a mailed link.
func (p *Pages) needLink(w http.ResponseWriter, r *http.Request) (v PageRequest, token string, err error) {
	if v, err = ReadRequest(r, p.journeys, p.sessions); err != nil {
		return v, "", err
	}
	v.Browser, err = p.sessions.Ensure(w, r)
	return v, v.Query.Get("token"), err
}

// linkForm is form for the page behind a mailed link.
func (p *Pages) linkForm(r *http.Request, v PageRequest, act string) (url.Values, error) {
	return p.form(r, v, tokenPurpose(act, v.Query.Get("token")))
}

// sendLinkPage answers with a page behind a mailed link. Its form may lead on through the
// flow that the link was asked for in, up to the app.
func (p *Pages) sendLinkPage(w http.ResponseWriter, status int, page templates.Page) error {
	web.OmitFormAction(w)
	return p.web.Page(w, status, page)
}

// linkGone is the page for a link that was used, has expired or never was one.
// Which is not told; what to do now is the same.
func linkGone(err error, code, again, label string) error {
	if !errors.Is(err, identity.ErrLink) {
		return busy(err)
	}
	return &web.Error{Status: http.StatusBadRequest, Code: code, Err: err, BackURL: again, BackLabel: label}
}

func verifyGone(err error) error { return linkGone(err, "verify_link", "/login", "Go to sign in") }

// showVerify is what the link is about. Opening it uses nothing.
func (p *Pages) showVerify(w http.ResponseWriter, r *http.Request) error {
	v, token, err := p.needLink(w, r)
	if err != nil {
		return err
	}
	about, err := p.identity.Registrations.OpenVerification(r.Context(), token)
	if err != nil {
		return verifyGone(err)
	}
	here, err := p.sessions.Current(r)
	if err != nil {
		return err
	}
	return p.sendLinkPage(w, http.StatusOK, p.verifyPage(v, token, about, currentUser(here)))
}

// verifyPage is the page behind the link. Where nobody could be mailed another link,
// who has to choose a password does it here: an answer that is lost on the way to
// the next page would lock them out.
func (p *Pages) verifyPage(v PageRequest, token string, about *identity.Verification, signedInAs uuid.UUID) templates.Verify {
	return templates.Verify{Token: token, CSRF: p.sessions.CSRFToken(v.Browser, v.Purpose(tokenPurpose(actVerify, token))),
		Account: templates.Account{Name: about.Name, Email: about.Email}, Registration: about.Registration,
		Choose: !p.identity.Registrations.IsRecoveryOpen() && !about.KeepsPassword(v.Browser, signedInAs), Password: templates.NewPassword{MinLength: p.minLength}}
}

// verify uses the link. It signs nobody in: whoever knows the password does that
// next, and where nobody is known to, a new one is chosen first.
func (p *Pages) verify(w http.ResponseWriter, r *http.Request) error {
	v, err := ReadRequest(r, p.journeys, p.sessions)
	if err != nil {
		return err
	}
	form, err := p.linkForm(r, v, actVerify)
	if err != nil {
		return err
	}
	here, err := p.sessions.Current(r)
	if err != nil {
		return err
	}
	ctx, token := r.Context(), v.Query.Get("token")
	proven, err := p.identity.Registrations.Verify(ctx, token, identity.VerifyInput{Browser: v.Browser, SignedInAs: currentUser(here), NewPassword: form.Get("password"),
		From: p.origin(r), RequestID: web.RequestID(ctx)})
	faults, faulty := errors.AsType[identity.FieldErrors](err)
	switch {
	case faulty:
		about, err := p.identity.Registrations.OpenVerification(ctx, token)
		if err != nil {
			return verifyGone(err)
		}
		page := p.verifyPage(v, token, about, currentUser(here))
		page.Choose, page.Password.Error = true, sentences(faults)["password"]
		return p.sendLinkPage(w, http.StatusUnprocessableEntity, page)
	case errors.Is(err, identity.ErrRegistered):
		return web.SeeOther(w, r, "/login?notice="+noticeRegistered)
	case err != nil:
		return verifyGone(err)
	case proven.PasswordToken != "":
		return web.SeeOther(w, r, "/recover/reset?token="+url.QueryEscape(proven.PasswordToken)+"&notice="+noticeVerified)
	case currentUser(here) == proven.User.ID:
		return Done(p.sessions, w, r, "/account", "confirmed")
	}
	return web.SeeOther(w, r, p.signInAt(r, proven.Flow, proven.To, noticeVerified, proven.User.Email))
}

// signInAt is the sign-in page with a notice and the address filled in, for the
// flow if that still waits for this browser, or for the page to ("" for none).
func (p *Pages) signInAt(r *http.Request, flow, to, notice, email string) string {
	query := url.Values{"notice": {notice}, "email": {email}}
	if to != "" {
		query.Set("to", to)
	}
	if flow != "" {
		again := r.Clone(r.Context())
		again.URL = &url.URL{Path: "/login", RawQuery: url.Values{"flow": {flow}}.Encode()}
		if _, err := p.journeys.LoadFlow(again); err == nil {
			query.Set("flow", flow)
		}
	}
	return "/login?" + query.Encode()
}
