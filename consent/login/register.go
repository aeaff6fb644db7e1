package login

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/templates"
)

// taken is said about an address that has an account, only where CONFIRM_EMAIL is off.
const taken = "This address has an account already. Sign in, or choose another address."

// registerURL is where a user without an account goes. From an invitation that is the invitation itself, because the
// account that it makes joins the organization at once.
func (p *Pages) registerURL(q *page.Request) string {
	switch mode := p.Identity.Registrations.Mode(); {
	case mode != identity.RegistrationClosed && q.Flow == nil && strings.HasPrefix(q.ReturnTo, "/invite?"):
		return q.ReturnTo
	case mode == identity.RegistrationOpen:
		return q.Path("/register")
	}
	return ""
}

// closedCodes are the error codes of the modes in which the registration page is closed.
var closedCodes = map[string]string{
	identity.RegistrationClosed: "registration_closed", identity.RegistrationInvite: "registration_invited",
}

// checkRegistrationOpen refuses where users cannot register by themselves.
func (p *Pages) checkRegistrationOpen(q *page.Request) error {
	code := closedCodes[p.Identity.Registrations.Mode()]
	if code == "" {
		return nil
	}
	return &web.Error{Status: http.StatusForbidden, Code: code, BackURL: q.Path(loginPath), BackLabel: "Go to sign in"}
}

// showRegister is the form.
func (p *Pages) showRegister(w http.ResponseWriter, r *http.Request, q *page.Request) error {
	if err := p.checkRegistrationOpen(q); err != nil {
		return err
	}
	if !q.IsNext(loginPath) {
		return web.SeeOther(w, r, q.NextURL())
	}
	return q.Render(w, http.StatusOK, p.registerForm(q))
}

// registerForm is the form before anything was typed.
func (p *Pages) registerForm(q *page.Request) templates.Register {
	form := templates.Register{Flow: q.FlowToken, To: q.To(), CSRF: csrf(q, actRegister),
		Password: templates.NewPassword{MinLength: p.PasswordMinLength}, SignInURL: q.Path(loginPath), CancelURL: q.CancelURL()}
	if f := q.Flow; f != nil {
		m := &f.Client.Metadata
		form.AppName, form.AppLogo, form.PolicyURI, form.TosURI = f.Client.Name(), f.Client.LogoPath(), m.PolicyURI, m.TosURI
	}
	return form
}

// register begins an account. Where CONFIRM_EMAIL is on nothing is made yet, and the answer is the same page for every
// address; else the account is made and the user signed in.
func (p *Pages) register(w http.ResponseWriter, r *http.Request, q *page.Request, form url.Values) error {
	email := form.Get("email")
	in, err := p.SignIn.Register(r.Context(), p.Sessions.Source(r), identity.Registration{Email: email, Name: form.Get("name"),
		Password: form.Get("password"), Browser: q.Browser, Flow: q.FlowToken, To: q.To()})
	if err != nil {
		return p.refuseRegister(w, q, form, err)
	}
	if in == nil {
		return p.checkMail(w, email, templates.CheckMail{AgainURL: q.Path("/register"), SignInURL: q.Path(loginPath)})
	}
	p.Sessions.SetCookies(w, r, in.Token, in.Device)
	if q.Flow == nil && q.ReturnTo == "/" {
		return web.SeeOther(w, r, "/account")
	}
	return web.SeeOther(w, r, q.NextURL())
}

// refuseRegister shows the form again with what was typed, except for the password.
func (p *Pages) refuseRegister(w http.ResponseWriter, q *page.Request, form url.Values, cause error) error {
	status, texts := formRefusal(w, cause)
	if errors.Is(cause, identity.ErrRegistered) {
		status, texts = http.StatusUnprocessableEntity, map[string]string{"email": taken}
	}
	if status == 0 {
		return cause
	}
	again := p.registerForm(q)
	again.Name, again.Email = page.Shorten(form.Get("name")), page.Shorten(form.Get("email"))
	again.NameError, again.EmailError, again.Password.Error, again.Error = texts["name"], texts["email"], texts["password"], texts[""]
	return q.Render(w, status, again)
}
