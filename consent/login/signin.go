package login

import (
	"net/http"

	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// loginPath is the step of a flow that asks for a sign-in.
const loginPath = "/login"

// NoticeCodes is the ?notice= after too many wrong codes for a second factor.
const NoticeCodes = "codes"

// showLogin is the form.
func (p *Pages) showLogin(w http.ResponseWriter, r *http.Request, q *page.Request) error {
	if !q.IsNext(loginPath) {
		return web.SeeOther(w, r, q.NextURL())
	}
	notice := q.Query.Get("notice")
	var current *session.Current
	var err error
	if q.Flow == nil || notice == page.NoticeFresh {
		if current, err = p.Sessions.Current(r); err != nil {
			return err
		}
	}
	form := p.loginForm(r, q)
	switch form.Done = notices[notice]; {
	case form.Done != "":
		form.Notice = ""
	case q.Flow == nil && current != nil:
		form.Notice = "You are signed in already. Signing in again replaces that."
	case form.Notice == "":
		if form.Notice, err = p.whySignedOut(r); err != nil {
			return err
		}
	}
	if notice == NoticeCodes {
		form.Notice = "There were too many wrong codes for your second step. Sign in again to try once more."
	}
	if notice == page.NoticeFresh && current != nil {
		form.Notice, form.Email = "This can change who gets into your account. Sign in again, so that we know it is you.", current.User.Email
	}
	if email := q.Query.Get("email"); email != "" {
		form.Email = page.Shorten(email)
	}
	return p.renderLogin(w, q, http.StatusOK, form)
}

// whySignedOut says why the browser's last session ended, "" while a user is signed in.
func (p *Pages) whySignedOut(r *http.Request) (string, error) {
	reason, err := p.Sessions.EndReason(r)
	return templates.SessionEndText(reason), err
}

// loginForm is the form before anything was typed.
func (p *Pages) loginForm(r *http.Request, q *page.Request) templates.Login {
	form := templates.Login{Flow: q.FlowToken, To: q.To(), CSRF: csrf(q, actLogin),
		RegisterURL: p.registerURL(q), CancelURL: q.CancelURL(), Connections: p.loginConnections(r, q)}
	if p.Factors.HasWebAuthn() {
		form.PasskeyCSRF = csrf(q, actPasskey)
	}
	if p.Identity.Registrations.IsRecoveryOpen() {
		form.ForgotURL = q.Path("/recover")
	}
	if f := q.Flow; f != nil {
		m := &f.Client.Metadata
		form.AppName, form.AppLogo, form.PolicyURI, form.TosURI = f.Client.Name(), f.Client.LogoPath(), m.PolicyURI, m.TosURI
		form.Email, form.Notice = expectedEmail(f), whyAgain(f)
	}
	return form
}

// isSwitching reports whether the user has said "not you?".
func isSwitching(f *storage.FlowState) bool { return f.Flow.SignInAfter.After(f.Flow.RequestedAt) }

// expectedEmail is the address that the form is filled in with: that of the signed-in user unless they have said it is
// not them, else the one that the app expects.
func expectedEmail(f *storage.FlowState) string {
	switch {
	case isSwitching(f):
		return ""
	case f.Session != nil:
		return f.Session.User.Email
	}
	return f.LoginHint
}

// whyAgain says why a signed-in user is asked to sign in again.
func whyAgain(f *storage.FlowState) string {
	switch {
	case f.Session == nil:
		return ""
	case isSwitching(f):
		return "Sign in again, or as somebody else. Until then you stay signed in as you are."
	}
	return f.Client.Name() + " asks you to sign in again, to be sure that it is you."
}
