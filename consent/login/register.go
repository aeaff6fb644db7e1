package login

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// taken is said of an address where CONFIRM_EMAIL is off, or to whom it belongs.
const taken = "This address has an account already. Sign in, or choose another address."

// registerURL is where somebody without an account goes: who comes from an
// invitation goes back to it, since it makes an account that joins at once.
func (p *Pages) registerURL(v visit) string {
	switch mode := p.identity.RegistrationMode(); {
	case mode != identity.RegistrationClosed && v.journey == nil && toInvitation(v.to):
		return v.to
	case mode == identity.RegistrationOpen:
		return v.path("/register")
	}
	return ""
}

func toInvitation(to string) bool { return strings.HasPrefix(to, "/invite?") }

// openRegister is open where anybody may register.
func (p *Pages) openRegister(r *http.Request) (visit, error) {
	v, err := p.open(r)
	if err != nil {
		return v, err
	}
	return v, p.registers(v)
}

// registers is the refusal where nobody may, or nobody without an invitation.
func (p *Pages) registers(v visit) error {
	code := map[string]string{identity.RegistrationClosed: "registration_closed", identity.RegistrationInvite: "registration_invited"}[p.identity.RegistrationMode()]
	if code == "" {
		return nil
	}
	return &web.Error{Status: http.StatusForbidden, Code: code, BackURL: v.path("/login"), BackLabel: "Go to sign in"}
}

// showRegister is the form.
func (p *Pages) showRegister(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openRegister(r)
	if err != nil {
		return err
	}
	if v.journey != nil && !(Identify{}).Pending(v.journey) {
		return web.SeeOther(w, r, v.next())
	}
	if v.browser, err = p.sessions.Ensure(w, r); err != nil {
		return err
	}
	return p.send(w, v, http.StatusOK, p.registerPage(v))
}

// registerPage is the form as it is before anything was typed.
func (p *Pages) registerPage(v visit) templates.Register {
	page := templates.Register{Flow: v.flow, To: v.local(), CSRF: p.sessions.CSRFToken(v.browser, v.purpose(actRegister)),
		Password: templates.NewPassword{MinLength: p.minLength}, SignInURL: v.path("/login"), CancelURL: v.cancel()}
	if j := v.journey; j != nil {
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
	if v.overtaken(err) {
		return web.SeeOther(w, r, v.next())
	}
	if err != nil {
		return err
	}
	ctx := r.Context()
	if err := p.limits.Take(ctx, limit.Registration, identity.AccountOf(form.Get("email")), p.source(r)); err != nil {
		return p.refuseRegister(w, v, form, err)
	}
	request := identity.Registration{Email: form.Get("email"), Name: form.Get("name"), Password: form.Get("password"),
		Browser: v.browser, Flow: v.flow, To: v.local(), From: p.origin(r), RequestID: web.RequestID(ctx)}
	if p.identity.ConfirmsEmail() {
		if err := p.identity.RequestRegistration(ctx, request); err != nil {
			return p.refuseRegister(w, v, form, err)
		}
		return p.web.Page(w, http.StatusOK, templates.CheckMail{Email: cut(request.Email), AgainURL: v.path("/register"), SignInURL: v.path("/login"), OutboxURL: p.outbox})
	}
	u, hash, err := p.identity.Register(ctx, request)
	if err != nil {
		return p.refuseRegister(w, v, form, err)
	}
	if err := p.enterNew(w, r, u, hash); err != nil {
		return err
	}
	return web.SeeOther(w, r, v.newcomer())
}

// enterNew signs somebody in who has just made their account. The browser is as
// known to it as by the password that was chosen in it.
func (p *Pages) enterNew(w http.ResponseWriter, r *http.Request, u *storage.User, passwordHash string) error {
	err := p.enter(w, r, u, true, session.SignIn{User: u.ID, PasswordHash: passwordHash, ACR: identity.ACRPassword, AMR: []string{identity.AMRPassword}})
	if err != nil {
		return err
	}
	p.limits.Devices.Remember(w, p.source(r).Device, u.EmailKey, device.ByPassword)
	return nil
}

// newcomer is where somebody goes who has a new account.
func (v visit) newcomer() string {
	if v.journey == nil && v.to == "/" {
		return "/account"
	}
	return v.next()
}

// refuseRegister shows the form again, with what was typed but for the password.
func (p *Pages) refuseRegister(w http.ResponseWriter, v visit, form url.Values, cause error) error {
	page := p.registerPage(v)
	page.Name, page.Email = cut(form.Get("name")), cut(form.Get("email"))
	status := http.StatusUnprocessableEntity
	sentence, blocked := tooMany(w, cause)
	faults, faulty := errors.AsType[identity.Faults](cause)
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
	return p.send(w, v, status, page)
}

// sentences says what is wrong with a form, by the name of its field; "" for what
// is none of them.
func sentences(faults identity.Faults) map[string]string {
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
