package login

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/templates"
)

// taken is said of an address where CONFIRM_EMAIL is off, or to whom it belongs.
const taken = "This address has an account already. Sign in, or choose another address."

// registerURL is where somebody without an account goes: who comes from an
// invitation goes back to it, since it makes an account that joins at once.
func (p *Pages) registerURL(v PageRequest) string {
	switch mode := p.identity.Registrations.Mode(); {
	case mode != identity.RegistrationClosed && v.Journey == nil && toInvitation(v.ReturnTo):
		return v.ReturnTo
	case mode == identity.RegistrationOpen:
		return v.Path("/register")
	}
	return ""
}

func toInvitation(to string) bool { return strings.HasPrefix(to, "/invite?") }

// openRegister is open where anybody may register.
func (p *Pages) openRegister(r *http.Request) (PageRequest, error) {
	v, err := ReadRequest(r, p.journeys, p.sessions)
	if err != nil {
		return v, err
	}
	return v, p.registers(v)
}

// registers is the refusal where nobody may, or nobody without an invitation.
func (p *Pages) registers(v PageRequest) error {
	code := map[string]string{identity.RegistrationClosed: "registration_closed", identity.RegistrationInvite: "registration_invited"}[p.identity.Registrations.Mode()]
	if code == "" {
		return nil
	}
	return &web.Error{Status: http.StatusForbidden, Code: code, BackURL: v.Path("/login"), BackLabel: "Go to sign in"}
}

// showRegister is the form.
func (p *Pages) showRegister(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openRegister(r)
	if err != nil {
		return err
	}
	if v.Journey != nil && !signin.RequiredFor(v.Journey).SignIn {
		return web.SeeOther(w, r, v.Next())
	}
	if v.Browser, err = p.sessions.Ensure(w, r); err != nil {
		return err
	}
	return v.Render(w, p.web, http.StatusOK, p.registerPage(v))
}

// registerPage is the form as it is before anything was typed.
func (p *Pages) registerPage(v PageRequest) templates.Register {
	page := templates.Register{Flow: v.Flow, To: v.local(), CSRF: p.sessions.CSRFToken(v.Browser, v.Purpose(actRegister)),
		Password: templates.NewPassword{MinLength: p.minLength}, SignInURL: v.Path("/login"), CancelURL: v.CancelURL()}
	if j := v.Journey; j != nil {
		m := &j.Client.Metadata
		page.AppName, page.AppLogo, page.PolicyURI, page.TosURI = j.Client.Name(), j.Client.LogoPath(), m.PolicyURI, m.TosURI
	}
	return page
}

// register begins an account. Where CONFIRM_EMAIL is on nothing is made yet, and
// the answer is one page whatever the address; else the account is there, and the
// person signed in.
func (p *Pages) register(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openRegister(r)
	if err != nil {
		return err
	}
	form, err := p.form(r, v, actRegister)
	if v.alreadySignedIn(err) {
		return web.SeeOther(w, r, v.Next())
	}
	if err != nil {
		return err
	}
	email := form.Get("email")
	in, err := p.signIn.Register(r.Context(), p.sessions.Source(r), identity.Registration{Email: email, Name: form.Get("name"),
		Password: form.Get("password"), Browser: v.Browser, Flow: v.Flow, To: v.local()})
	if err != nil {
		return p.refuseRegister(w, v, form, err)
	}
	if in == nil {
		return p.web.Page(w, http.StatusOK, templates.CheckMail{Email: cut(email), AgainURL: v.Path("/register"),
			SignInURL: v.Path("/login"), OutboxURL: p.outbox})
	}
	p.sessions.SetCookies(w, r, in.Token, in.Device)
	if v.Journey == nil && v.ReturnTo == "/" {
		return web.SeeOther(w, r, "/account")
	}
	return web.SeeOther(w, r, v.Next())
}

// refuseRegister shows the form again, with what was typed but for the password.
func (p *Pages) refuseRegister(w http.ResponseWriter, v PageRequest, form url.Values, cause error) error {
	page := p.registerPage(v)
	page.Name, page.Email = cut(form.Get("name")), cut(form.Get("email"))
	status := http.StatusUnprocessableEntity
	sentence, blocked := tooMany(w, cause)
	faults, faulty := errors.AsType[identity.FieldErrors](cause)
	switch {
	case blocked:
		status, page.Error = http.StatusTooManyRequests, sentence
	case errors.Is(cause, identity.ErrRegistered):
		page.EmailError = taken
	case faulty:
		said := sentences(faults)
		page.NameError, page.EmailError, page.Password.Error, page.Error = said["name"], said["email"], said["password"], said[""]
	default:
		return busy(cause)
	}
	return v.Render(w, p.web, status, page)
}

// sentences says what is wrong with a form, by the name of its field; "" for what
// is none of them.
func sentences(faults identity.FieldErrors) map[string]string {
	nouns := map[string]string{"name": "This name ", "email": "This address ", "password": "This password "}
	said := map[string]string{}
	for _, f := range faults {
		noun, field := nouns[f.Field], f.Field
		if noun == "" {
			noun, field = "Something here ", ""
		}
		text := noun + f.Problem + "."
		if f.Remedy != "" {
			text += " " + capital(f.Remedy) + "."
		}
		said[field] = strings.TrimSpace(said[field] + " " + text)
	}
	return said
}

func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}
