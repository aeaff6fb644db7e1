package login

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/page"
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

// renderLinkPage answers with a page behind a mailed link. Its form may lead through the flow in which the link was
// requested, up to the app.
func (p *Pages) renderLinkPage(w http.ResponseWriter, status int, page templates.Page) error {
	web.OmitFormAction(w)
	return p.Web.Page(w, status, page)
}

// linkGone is the page for a link that was used, has expired or never existed. The page does not tell which, because the
// user does the same in each case.
func linkGone(err error, code, again, label string) error {
	if !errors.Is(err, identity.ErrLink) {
		return err
	}
	return &web.Error{Status: http.StatusBadRequest, Code: code, Err: err, BackURL: again, BackLabel: label}
}

func verifyLinkGone(err error) error {
	return linkGone(err, "verify_link", loginPath, "Go to sign in")
}

// showVerify says what the link is about. Opening it uses nothing.
func (p *Pages) showVerify(w http.ResponseWriter, r *http.Request, q *page.Request) error {
	about, err := p.Identity.Registrations.OpenVerification(r.Context(), q.Query.Get("token"))
	if err != nil {
		return verifyLinkGone(err)
	}
	current, err := p.Sessions.Current(r)
	if err != nil {
		return err
	}
	return p.renderLinkPage(w, http.StatusOK, p.verifyForm(q, about, currentUser(current)))
}

// verifyForm is the page behind the link. Where no further link could be mailed, a user who has to choose a password does
// so here: a response that is lost on the way to the next page would lock them out.
func (p *Pages) verifyForm(q *page.Request, about *identity.Verification, signedInAs uuid.UUID) templates.Verify {
	return templates.Verify{Token: q.Query.Get("token"), CSRF: csrf(q, actVerify),
		Account: templates.Account{Name: about.Name, Email: about.Email}, Registration: about.Registration,
		Choose:   !p.Identity.Registrations.IsRecoveryOpen() && !about.KeepsPassword(q.Browser, signedInAs),
		Password: templates.NewPassword{MinLength: p.PasswordMinLength}}
}

// verify uses the link. It signs no user in: next comes the sign-in with the password, or the choice of a new one where
// no user is known to have it.
func (p *Pages) verify(w http.ResponseWriter, r *http.Request, q *page.Request, form url.Values) error {
	current, err := p.Sessions.Current(r)
	if err != nil {
		return err
	}
	ctx, token := r.Context(), q.Query.Get("token")
	verified, err := p.Identity.Registrations.Verify(ctx, token, identity.VerifyInput{Browser: q.Browser, SignedInAs: currentUser(current),
		NewPassword: form.Get("password"), From: p.SignIn.Origin(p.Sessions.Source(r)), RequestID: web.RequestID(ctx)})
	status, texts := formRefusal(w, err)
	switch {
	case status != 0:
		about, err := p.Identity.Registrations.OpenVerification(ctx, token)
		if err != nil {
			return verifyLinkGone(err)
		}
		again := p.verifyForm(q, about, currentUser(current))
		again.Choose, again.Password.Error = true, texts["password"]
		return p.renderLinkPage(w, status, again)
	case errors.Is(err, identity.ErrRegistered):
		return web.SeeOther(w, r, loginPath+"?notice="+noticeRegistered)
	case err != nil:
		return verifyLinkGone(err)
	case verified.PasswordToken != "":
		return web.SeeOther(w, r, "/recover/reset?token="+url.QueryEscape(verified.PasswordToken)+"&notice="+noticeVerified)
	case currentUser(current) == verified.User.ID:
		return p.RedirectDone(w, r, "/account", "confirmed")
	}
	return web.SeeOther(w, r, p.signInURL(r, verified.Flow, verified.To, noticeVerified, verified.User.Email))
}

// signInURL is the sign-in page with a notice and the address filled in, for the flow if that still waits for this
// browser, or for the page to ("" for none).
func (p *Pages) signInURL(r *http.Request, flow, to, notice, email string) string {
	query := url.Values{"notice": {notice}, "email": {email}}
	if to != "" {
		query.Set("to", to)
	}
	if flow != "" && p.hasFlow(r, flow) {
		query.Set("flow", flow)
	}
	return loginPath + "?" + query.Encode()
}

// returnTo is where a user goes on who opens a mailed link in this browser.
func returnTo(q *page.Request) identity.ReturnTo {
	return identity.ReturnTo{Browser: q.Browser, Flow: q.FlowToken, To: q.To()}
}

// checkMail is the page that tells to look for a mail, the same for every address.
func (p *Pages) checkMail(w http.ResponseWriter, email string, check templates.CheckMail) error {
	check.Email, check.OutboxURL = page.Shorten(email), p.OutboxURL
	return p.Web.Page(w, http.StatusOK, check)
}
