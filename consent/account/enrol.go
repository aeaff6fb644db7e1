package account

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// showApp shows the key that waits for its first code in this session, or else a new one.
func (p *Pages) showApp(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	offer, err := p.Factors.BeginTOTP(r.Context(), c.Subject, "")
	if err != nil {
		return p.refuseEnrolment(w, r, err)
	}
	return p.Web.Page(w, http.StatusOK, templates.AccountTOTP{AccountPart: p.part(r), Secret: offer.Secret,
		QR: offer.ImageURL()})
}

// addApp takes the first code. A wrong one does not show the key again: it is in the app, or the user starts again.
func (p *Pages) addApp(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values) error {
	in, err := p.SignIn.Enrol(r.Context(), c.Source, signin.Enrolment{Session: c.Current, Kind: storage.FactorTOTP,
		Name: form.Get("name"), Answer: form.Get("code")})
	switch {
	case errors.Is(err, factor.ErrVerification):
		return p.Web.Page(w, http.StatusUnprocessableEntity, templates.AccountTOTP{AccountPart: p.part(r), Name: form.Get("name"),
			Errors: map[string]string{"code": "This code is not right. Enter the one that your app shows now."}})
	case errors.Is(err, factor.ErrChallenge) && !p.SignIn.IsFresh(c.Current):
		return web.SeeOther(w, r, page.ReauthURL(r.URL.Path)) // no key waits, and a new one requires a fresh sign-in
	case err != nil:
		return p.refuseEnrolment(w, r, err)
	}
	return p.enrolled(w, r, in, "app")
}

// showPasskey explains what the browser is about to ask.
func (p *Pages) showPasskey(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	if !c.User.EmailVerified() || !p.Factors.HasWebAuthn() {
		return web.SeeOther(w, r, securityPath)
	}
	return p.Web.Page(w, http.StatusOK, templates.AccountPasskey{AccountPart: p.part(r), Name: c.From.Device})
}

// addPasskey stores what the authenticator answered.
func (p *Pages) addPasskey(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values) error {
	in, err := p.SignIn.Enrol(r.Context(), c.Source, signin.Enrolment{Session: c.Current, Kind: storage.FactorWebAuthn,
		Name: form.Get("name"), Answer: form.Get("credential")})
	switch why := factor.EnrolmentText(err); {
	case why != "" && !p.SignIn.IsFresh(c.Current):
		return web.SeeOther(w, r, page.ReauthURL(r.URL.Path))
	case why != "":
		part := p.part(r)
		part.Error = why
		return p.Web.Page(w, http.StatusUnprocessableEntity, templates.AccountPasskey{AccountPart: part, Name: form.Get("name")})
	case err != nil:
		return err
	}
	what := "key"
	if in.Factor.Passkey {
		what = "passkey"
	}
	return p.enrolled(w, r, in, what)
}

// enrolled shows the recovery codes that come with the first second factor, or says what was added.
func (p *Pages) enrolled(w http.ResponseWriter, r *http.Request, in *signin.Result, what string) error {
	p.Sessions.SetCookies(w, r, in.Token, in.Device)
	if len(in.RecoveryCodes) == 0 {
		return p.RedirectDone(w, r, securityPath, what)
	}
	return p.Web.Page(w, http.StatusOK, templates.FactorCodes{Email: in.User.Email, Codes: in.RecoveryCodes,
		NextURL: securityPath, Added: addedWords[what], Keys: in.Factor.Kind == storage.FactorWebAuthn})
}

// refuseEnrolment says on the list why an authenticator app was not added.
func (p *Pages) refuseEnrolment(w http.ResponseWriter, r *http.Request, err error) error {
	why := factor.EnrolmentText(err)
	switch {
	case why == "":
		return err
	case errors.Is(err, factor.ErrEmailUnverified):
		return web.SeeOther(w, r, "/account/email")
	}
	part := p.part(r)
	part.Error = why
	return p.Web.Page(w, http.StatusUnprocessableEntity, templates.AccountTOTP{AccountPart: part})
}

// confirmNewCodes says what making new recovery codes does.
func (p *Pages) confirmNewCodes(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	if len(c.User.Factors) == 0 {
		return web.SeeOther(w, r, securityPath)
	}
	return p.Web.Page(w, http.StatusOK, templates.AccountConfirm{AccountPart: p.part(r), Title: "Make new recovery codes?",
		Lead:   "They are shown once, to be printed or kept in your password manager.",
		Losses: []string{"The codes you have now stop working, wherever you keep them.", "Every other device and every app there has to sign in again, and your personal access tokens stop working. You stay signed in here."},
		Action: "/account/security/codes", Button: "Make new codes", Busy: "Making…", Back: securityPath, Safe: true})
}

func (p *Pages) makeCodes(w http.ResponseWriter, r *http.Request, c *page.Caller, _ url.Values) error {
	codes, err := p.Factors.RegenerateRecoveryCodes(r.Context(), c.Subject)
	if errors.Is(err, storage.ErrConflict) {
		return web.SeeOther(w, r, securityPath)
	}
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, templates.FactorCodes{Email: c.User.Email, Codes: codes, NextURL: securityPath, Renewed: true,
		Keys: slices.Contains(c.User.Factors, storage.FactorWebAuthn)})
}
