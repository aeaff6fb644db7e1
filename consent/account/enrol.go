package account

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// showApp shows the key that waits for its first code in this session, a new one if
// none does.
func (p *Pages) showApp(w http.ResponseWriter, r *http.Request, v *person) error {
	offer, err := p.Factors.BeginTOTP(r.Context(), v.Subject, "")
	if err != nil {
		return p.refuseEnrolment(w, r, err)
	}
	return p.Web.Page(w, http.StatusOK, templates.AccountTOTP{AccountPart: p.part(r), Secret: offer.Secret,
		QR: offer.ImageURL()})
}

// addApp takes the first code. A wrong one does not show the key again: it is in
// the app, or the person starts again.
func (p *Pages) addApp(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	in, err := p.SignIn.Enrol(r.Context(), v.Source, signin.Enrolment{Session: v.Current, Kind: storage.FactorTOTP,
		Name: form.Get("name"), Answer: form.Get("code")})
	switch {
	case errors.Is(err, factor.ErrVerification):
		return p.Web.Page(w, http.StatusUnprocessableEntity, templates.AccountTOTP{AccountPart: p.part(r), Name: form.Get("name"),
			Errors: map[string]string{"code": "This code is not right. Enter the one that your app shows now."}})
	case errors.Is(err, factor.ErrChallenge) && !p.SignIn.IsFresh(v.Current):
		return web.SeeOther(w, r, login.AgainAt(r.URL.Path)) // nothing waits, and to begin anew it takes more
	case err != nil:
		return p.refuseEnrolment(w, r, err)
	}
	return p.enrolled(w, r, in, "app")
}

// showPasskey explains what the browser is about to ask.
func (p *Pages) showPasskey(w http.ResponseWriter, r *http.Request, v *person) error {
	if !v.User.EmailVerified() || !p.Factors.HasWebAuthn() {
		return web.SeeOther(w, r, "/account/security")
	}
	return p.Web.Page(w, http.StatusOK, templates.AccountPasskey{AccountPart: p.part(r), Name: v.From.Device})
}

// beginPasskey answers the page's script: {"publicKey": …}, or {"error": sentence}.
func (p *Pages) beginPasskey(w http.ResponseWriter, r *http.Request) error {
	v, elsewhere, err := p.enter(r, login.Fresh)
	if err != nil {
		return err
	}
	if elsewhere != "" {
		return web.JSON(w, http.StatusForbidden, map[string]string{"error": "You have to sign in again first. Load the page again."})
	}
	if _, err := p.form(r); err != nil {
		return err
	}
	options, err := p.Factors.BeginWebAuthn(r.Context(), v.Subject)
	return login.SendChallenge(w, options, http.StatusUnprocessableEntity, err)
}

// addPasskey stores what the authenticator answered.
func (p *Pages) addPasskey(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	in, err := p.SignIn.Enrol(r.Context(), v.Source, signin.Enrolment{Session: v.Current, Kind: storage.FactorWebAuthn,
		Name: form.Get("name"), Answer: form.Get("credential")})
	why := factor.EnrolmentText(err)
	if why != "" && !p.SignIn.IsFresh(v.Current) {
		return web.SeeOther(w, r, login.AgainAt(r.URL.Path))
	}
	if why != "" {
		return p.refusePasskey(w, r, form, why)
	}
	if err != nil {
		return err
	}
	what := "key"
	if in.Factor.Passkey {
		what = "passkey"
	}
	return p.enrolled(w, r, in, what)
}

func (p *Pages) refusePasskey(w http.ResponseWriter, r *http.Request, form url.Values, why string) error {
	part := p.part(r)
	part.Error = why
	return p.Web.Page(w, http.StatusUnprocessableEntity, templates.AccountPasskey{AccountPart: part, Name: form.Get("name")})
}

// enrolled gives out the recovery codes that come with the first second step, or says what was added.
func (p *Pages) enrolled(w http.ResponseWriter, r *http.Request, in *signin.Result, what string) error {
	p.Sessions.SetCookies(w, r, in.Token, in.Device)
	if len(in.RecoveryCodes) == 0 {
		return p.done(w, r, "/account/security", what)
	}
	return p.Web.Page(w, http.StatusOK, templates.FactorCodes{Email: in.User.Email, Codes: in.RecoveryCodes,
		NextURL: "/account/security", Added: addedWords[what], Keys: in.Factor.Kind == storage.FactorWebAuthn})
}

// refuseEnrolment says on the list why an authenticator app was not added.
func (p *Pages) refuseEnrolment(w http.ResponseWriter, r *http.Request, err error) error {
	why := factor.EnrolmentText(err)
	if why == "" {
		return err
	}
	if errors.Is(err, factor.ErrEmailUnverified) {
		return web.SeeOther(w, r, "/account/email")
	}
	part := p.part(r)
	part.Error = why
	return p.Web.Page(w, http.StatusUnprocessableEntity, templates.AccountTOTP{AccountPart: part})
}

// askCodes says what making new recovery codes does.
func (p *Pages) askCodes(w http.ResponseWriter, r *http.Request, v *person) error {
	if len(v.User.Factors) == 0 {
		return web.SeeOther(w, r, "/account/security")
	}
	return p.Web.Page(w, http.StatusOK, templates.AccountConfirm{AccountPart: p.part(r), Title: "Make new recovery codes?",
		Lead:   "They are shown once, to be printed or kept in your password manager.",
		Losses: []string{"The codes you have now stop working, wherever you keep them.", "Every other device and every app there has to sign in again, and your personal access tokens stop working. You stay signed in here."},
		Action: "/account/security/codes", Button: "Make new codes", Busy: "Making…", Back: "/account/security", Safe: true})
}

func (p *Pages) makeCodes(w http.ResponseWriter, r *http.Request, v *person) error {
	if _, err := p.form(r); err != nil {
		return err
	}
	codes, err := p.Factors.RegenerateRecoveryCodes(r.Context(), v.Subject)
	if errors.Is(err, storage.ErrConflict) {
		return web.SeeOther(w, r, "/account/security")
	}
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, templates.FactorCodes{Email: v.User.Email, Codes: codes, NextURL: "/account/security", Renewed: true,
		Keys: slices.Contains(v.User.Factors, storage.FactorWebAuthn)})
}
