package setup

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

const (
	// busyRetry is when there is room to hash again.
	busyRetry = 2 * time.Second
	// maxTyped bounds what is shown again, in bytes.
	maxTyped = 320
)

const (
	badToken = "This token does not count: it was used, is more than an hour old, or a newer one was printed since."
	// The command refuses an address that nobody has proven: strangers can have made the account.
	taken = "This address has an account already. Choose another one, or give that one the role with sallyport users add-role superadmin on the server, which says what to do if nobody has proven the address."
)

// show is the beginning while nobody administers the server, and afterwards the
// list of steps for who does.
func (p *Pages) show(w http.ResponseWriter, r *http.Request) error {
	open, err := p.Identity.Installation.NeedsSetup(r.Context())
	if err != nil {
		return err
	}
	if !open {
		return p.gate(login.SignedIn, p.list)(w, r)
	}
	query, err := web.Query(r)
	if err != nil {
		return err
	}
	if _, err := p.Sessions.Ensure(w, r); err != nil {
		return err
	}
	token := query.Get("token")
	if token == "" {
		return p.askToken(w, r, http.StatusOK, "")
	}
	return p.takeToken(w, r, token)
}

// RedirectWhileOpen leads to the setup for as long as there is no administrator, and is absent afterwards.
func (p *Pages) RedirectWhileOpen(w http.ResponseWriter, r *http.Request) error {
	open, err := p.Identity.Installation.NeedsSetup(r.Context())
	if err == nil && !open {
		err = errAbsent
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/setup")
}

func (p *Pages) askToken(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	return p.Web.Page(w, status, templates.SetupToken{CSRF: p.step(r, 0).CSRF, Error: problem})
}

// takeToken goes on to the administrator's page with a token that counts. It is
// spent only there: looking at the page again must not use it up.
func (p *Pages) takeToken(w http.ResponseWriter, r *http.Request, token string) error {
	err := p.Identity.Installation.CheckSetupToken(r.Context(), token)
	if errors.Is(err, identity.ErrSetupToken) {
		return p.askToken(w, r, http.StatusForbidden, badToken)
	} else if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, p.administrator(r, token))
}

func (p *Pages) administrator(r *http.Request, token string) templates.SetupAdministrator {
	return templates.SetupAdministrator{CSRF: p.step(r, 0).CSRF, Token: token, Password: templates.NewPassword{MinLength: p.PasswordMinLength}}
}

// begin takes the token, or with it the administrator.
func (p *Pages) begin(w http.ResponseWriter, r *http.Request) error {
	open, err := p.Identity.Installation.NeedsSetup(r.Context())
	if err != nil {
		return err
	}
	if !open { // who has just done it in another tab goes on
		return p.gate(login.SignedIn, func(w http.ResponseWriter, r *http.Request, _ *person) error { return web.SeeOther(w, r, "/setup") })(w, r)
	}
	form, err := p.form(r)
	if err != nil {
		return err
	}
	if form.Get("act") != "administrator" {
		return p.takeToken(w, r, strings.TrimSpace(form.Get("token")))
	}
	n := identity.NewUser{Email: form.Get("email"), Password: form.Get("password"), Profile: storage.Profile{Name: form.Get("name")}}
	u, hash, err := p.Identity.Installation.Bootstrap(r.Context(), form.Get("token"), n, web.RequestID(r.Context()))
	if err != nil {
		return p.refuse(w, r, form, err)
	}
	in, err := p.SignIn.NewSession(r.Context(), p.Sessions.Source(r), u, hash)
	if err != nil {
		return err
	}
	p.Sessions.SetCookies(w, r, in.Token, in.Device)
	return web.SeeOther(w, r, "/setup/passkey")
}

// refuse shows the form again, with what was typed but for the password.
func (p *Pages) refuse(w http.ResponseWriter, r *http.Request, form url.Values, cause error) error {
	page := p.administrator(r, form.Get("token"))
	page.Name, page.Email = cut(form.Get("name")), cut(form.Get("email"))
	faults, isFault := errors.AsType[identity.FieldErrors](cause)
	switch {
	case errors.Is(cause, identity.ErrSetupToken):
		return p.askToken(w, r, http.StatusForbidden, badToken)
	case errors.Is(cause, identity.ErrAlreadySetUp):
		return errAbsent
	case errors.Is(cause, identity.ErrRegistered):
		page.EmailError = taken
	case errors.Is(cause, secret.ErrBusy):
		return &web.Error{Status: http.StatusServiceUnavailable, RetryAfter: busyRetry, Err: cause}
	case isFault:
		page.NameError, page.EmailError, page.Password.Error = said(faults, "name"), said(faults, "email"), said(faults, "password")
	default:
		return cause
	}
	return p.Web.Page(w, http.StatusUnprocessableEntity, page)
}

// said is what is wrong with a field, as a person reads it below.
func said(faults identity.FieldErrors, field string) string {
	var all []string
	for _, f := range faults {
		if f.Field == field {
			all = append(all, sentence(f))
		}
	}
	return strings.Join(all, " ")
}

func sentence(f identity.FieldError) string {
	s := "This " + f.Problem + "."
	if f.Remedy != "" {
		s += " " + capital(f.Remedy) + "."
	}
	return s
}

func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxTyped)], "") }
