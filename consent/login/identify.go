package login

import (
	"net/http"

	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Identify is the step that asks who somebody is.
type Identify struct{}

// Path is /login.
func (Identify) Path() string { return "/login" }

// Pending while nobody is signed in, or not recently enough for this flow.
func (Identify) Pending(j *storage.Journey) bool { return !j.SignedIn() }

// Refusal is login_required (OpenID Connect Core 1.0, section 3.1.2.6).
func (Identify) Refusal() string { return "login_required" }

// showLogin is the form.
func (p *Pages) showLogin(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	if v.journey != nil && !(Identify{}).Pending(v.journey) {
		return redirect(w, r, v.next())
	}
	if v.browser, err = p.sessions.Ensure(w, r); err != nil {
		return err
	}
	page := p.loginPage(v)
	if v.journey == nil && p.sessions.Glance(r) {
		page.Notice = "You are signed in already. Signing in again replaces that."
	}
	return p.sendLogin(w, v, http.StatusOK, page)
}

// loginPage is the form as it is before anything was typed.
func (p *Pages) loginPage(v visit) templates.Login {
	page := templates.Login{Flow: v.flow, CSRF: p.sessions.CSRFToken(v.browser, v.purpose(actLogin)), CancelURL: v.cancel()}
	if j := v.journey; j != nil {
		m := &j.Client.Metadata
		page.AppName, page.AppLogo, page.PolicyURI, page.TosURI = j.Client.Name(), m.LogoURI, m.PolicyURI, m.TosURI
		page.Email, page.Notice = whom(j), why(j)
	}
	return page
}

// sendLogin answers with the form; from it the way may lead to the app directly.
func (p *Pages) sendLogin(w http.ResponseWriter, v visit, status int, page templates.Login) error {
	if v.journey != nil {
		web.AllowFormAction(w, v.journey.RedirectURI)
	}
	return p.web.Page(w, status, page)
}

// switched: the person said "not you?".
func switched(j *storage.Journey) bool { return j.Flow.SignInAfter.After(j.Flow.RequestedAt) }

// whom the form should be filled in for: who is signed in, unless they said it is
// not them, else whom the app expects.
func whom(j *storage.Journey) string {
	switch {
	case switched(j):
		return ""
	case j.Visit != nil:
		return j.Visit.User.Email
	}
	return j.LoginHint
}

// why somebody who is signed in is asked again.
func why(j *storage.Journey) string {
	switch {
	case j.Visit == nil:
		return ""
	case switched(j):
		return "Sign in as somebody else. Until then you stay signed in as you are."
	}
	return j.Client.Name() + " asks you to sign in again, to be sure that it is you."
}
