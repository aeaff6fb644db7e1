package login

import (
	"net/http"

	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Identify is the step that asks who somebody is.
type Identify struct{}

// Path is /login.
func (Identify) Path() string { return "/login" }

// Pending while nobody is signed in, or not recently enough for this flow.
func (Identify) Pending(j *storage.FlowState) bool { return signin.RequiredFor(j).SignIn }

// Refusal is login_required (OpenID Connect Core 1.0, section 3.1.2.6).
func (Identify) Refusal() string { return "login_required" }

// showLogin is the form.
func (p *Pages) showLogin(w http.ResponseWriter, r *http.Request) error {
	v, err := ReadRequest(r, p.journeys, p.sessions)
	if err != nil {
		return err
	}
	if v.Journey != nil && !signin.RequiredFor(v.Journey).SignIn {
		return web.SeeOther(w, r, v.Next())
	}
	if v.Browser, err = p.sessions.Ensure(w, r); err != nil {
		return err
	}
	notice := v.Query.Get("notice")
	var here *session.Current
	if v.Journey == nil || notice == NoticeFresh {
		if here, err = p.sessions.Current(r); err != nil {
			return err
		}
	}
	page := p.loginPage(r, v)
	switch page.Done = notices[notice]; {
	case page.Done != "":
		page.Notice = ""
	case v.Journey == nil && here != nil:
		page.Notice = "You are signed in already. Signing in again replaces that."
	case page.Notice == "":
		if page.Notice, err = p.whySignedOut(r); err != nil {
			return err
		}
	}
	if notice == NoticeCodes {
		page.Notice = "There were too many wrong codes for your second step. Sign in again to try once more."
	}
	if notice == NoticeFresh && here != nil {
		page.Notice, page.Email = "This can change who gets into your account. Sign in again, so that we know it is you.", here.User.Email
	}
	if email := v.Query.Get("email"); email != "" {
		page.Email = cut(email)
	}
	return p.renderLogin(w, v, http.StatusOK, page)
}

// whySignedOut says why the browser's last session ended, "" where somebody is signed in.
func (p *Pages) whySignedOut(r *http.Request) (string, error) {
	reason, err := p.sessions.EndReason(r)
	return templates.SessionEndText(reason), err
}

// loginPage is the form as it is before anything was typed.
func (p *Pages) loginPage(r *http.Request, v PageRequest) templates.Login {
	page := templates.Login{Flow: v.Flow, To: v.local(), CSRF: p.sessions.CSRFToken(v.Browser, v.Purpose(actLogin)),
		RegisterURL: p.registerURL(v), CancelURL: v.CancelURL(), Connections: p.loginConnections(r, v)}
	if p.factors.HasWebAuthn() {
		page.PasskeyCSRF = p.sessions.CSRFToken(v.Browser, v.Purpose(actPasskey))
	}
	if p.identity.Registrations.IsRecoveryOpen() {
		page.ForgotURL = v.Path("/recover")
	}
	if j := v.Journey; j != nil {
		m := &j.Client.Metadata
		page.AppName, page.AppLogo, page.PolicyURI, page.TosURI = j.Client.Name(), j.Client.LogoPath(), m.PolicyURI, m.TosURI
		page.Email, page.Notice = whom(j), why(j)
	}
	return page
}

// NoticeCodes is the ?notice= of a browser whose half session has used up its wrong codes.
const NoticeCodes = "codes"

// NoticeFresh is the ?notice= of somebody who wants to do what needs a sign-in of
// just now.
const NoticeFresh = "fresh"

// switched: the person said "not you?".
func switched(j *storage.FlowState) bool { return j.Flow.SignInAfter.After(j.Flow.RequestedAt) }

// whom the form should be filled in for: who is signed in, unless they said it is
// not them, else whom the app expects.
func whom(j *storage.FlowState) string {
	switch {
	case switched(j):
		return ""
	case j.Session != nil:
		return j.Session.User.Email
	}
	return j.LoginHint
}

// why somebody who is signed in is asked again.
func why(j *storage.FlowState) string {
	switch {
	case j.Session == nil:
		return ""
	case switched(j):
		return "Sign in again, or as somebody else. Until then you stay signed in as you are."
	}
	return j.Client.Name() + " asks you to sign in again, to be sure that it is you."
}
