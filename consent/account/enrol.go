package account

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// showApp shows the key that waits for its first code in this session, a new one if
// none does.
func (p *Pages) showApp(w http.ResponseWriter, r *http.Request, v *person) error {
	offer, err := p.Factors.BeginTOTP(r.Context(), v.Who(), "")
	if err != nil {
		return p.refuseEnrolment(w, r, err)
	}
	return p.Web.Page(w, http.StatusOK, templates.AccountTOTP{AccountPart: p.part(r), Secret: offer.Secret,
		QR: "data:image/png;base64," + base64.StdEncoding.EncodeToString(offer.QR)})
}

// addApp takes the first code. A wrong one does not show the key again: it is in
// the app, or the person starts again.
func (p *Pages) addApp(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	enrolment, err := p.Factors.ConfirmTOTP(r.Context(), v.Who(), form.Get("code"), form.Get("name"))
	switch {
	case errors.Is(err, factor.ErrWrong):
		return p.Web.Page(w, http.StatusUnprocessableEntity, templates.AccountTOTP{AccountPart: p.part(r), Name: form.Get("name"),
			Errors: map[string]string{"code": "This code is not right. Enter the one that your app shows now."}})
	case errors.Is(err, factor.ErrChallenge) && !p.Identity.Fresh(v.Visit):
		return web.SeeOther(w, r, login.AgainAt(r.URL.Path)) // nothing waits, and to begin anew it takes more
	case err != nil:
		return p.refuseEnrolment(w, r, err)
	}
	return p.enrolled(w, r, v, enrolment, "app")
}

// showPasskey explains what the browser is about to ask.
func (p *Pages) showPasskey(w http.ResponseWriter, r *http.Request, v *person) error {
	if !v.User.Proven() || !p.Factors.WebAuthn() {
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
	options, err := p.Factors.BeginWebAuthn(r.Context(), v.Who())
	if err == nil {
		return web.JSON(w, http.StatusOK, options)
	}
	if why := enrolmentWords(err); why != "" {
		return web.JSON(w, http.StatusUnprocessableEntity, map[string]string{"error": why})
	}
	return err
}

// addPasskey stores what the authenticator answered.
func (p *Pages) addPasskey(w http.ResponseWriter, r *http.Request, v *person) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	enrolment, err := p.Factors.ConfirmWebAuthn(r.Context(), v.Who(), form.Get("name"), json.RawMessage(form.Get("credential")))
	why := enrolmentWords(err)
	if why != "" && !p.Identity.Fresh(v.Visit) {
		return web.SeeOther(w, r, login.AgainAt(r.URL.Path))
	}
	if why != "" {
		return p.refusePasskey(w, r, form, why)
	}
	if err != nil {
		return err
	}
	what := "key"
	if enrolment.Factor.Passkey {
		what = "passkey"
	}
	return p.enrolled(w, r, v, enrolment, what)
}

func (p *Pages) refusePasskey(w http.ResponseWriter, r *http.Request, form url.Values, why string) error {
	part := p.part(r)
	part.Error = why
	return p.Web.Page(w, http.StatusUnprocessableEntity, templates.AccountPasskey{AccountPart: part, Name: form.Get("name")})
}

// enrolled steps the session up, for the person has just shown what they added, and
// gives out the recovery codes that come with the first second step.
func (p *Pages) enrolled(w http.ResponseWriter, r *http.Request, v *person, e *factor.Enrolment, what string) error {
	acr, amr := e.Over(v.Session.ACR, v.Session.AMR)
	err := p.Sessions.SignIn(w, r, session.SignIn{User: v.User.ID, StepUp: true, ACR: acr, AMR: amr})
	switch {
	case err == nil:
		p.Limits.Devices.Remember(w, p.Limits.Devices.Read(r), v.User.EmailKey, device.ByFactor)
	case len(e.RecoveryCodes) > 0: // what was added is added, and the codes can be shown this once only
		web.Annotate(r.Context(), "session", err.Error())
	case !errors.Is(err, storage.ErrConflict): // conflict: the session ended meanwhile
		return err
	}
	if len(e.RecoveryCodes) == 0 {
		return p.done(w, r, "/account/security", what)
	}
	return p.Web.Page(w, http.StatusOK, templates.FactorCodes{Email: v.User.Email, Codes: e.RecoveryCodes, NextURL: "/account/security", Added: addedWords[what],
		Keys: e.Factor.Kind == storage.FactorWebAuthn})
}

// enrolmentWords say why a second step was not added; "" for faults of ours.
func enrolmentWords(err error) string {
	switch {
	case errors.Is(err, factor.ErrUnproven):
		return "Confirm your email address first."
	case errors.Is(err, factor.ErrTooMany):
		return "You have as many of this kind as anybody may have. Remove one first."
	case errors.Is(err, factor.ErrUnavailable), errors.Is(err, factor.ErrNotAllowed):
		return "This cannot be used here."
	case errors.Is(err, storage.ErrExists):
		return "This passkey or security key is set up already."
	case errors.Is(err, factor.ErrChallenge):
		return "That took too long, or the page was opened twice. Nothing was added. Try again."
	case errors.Is(err, factor.ErrWrong):
		return "What the passkey or security key answered is not right. Nothing was added. Try again."
	}
	return ""
}

// refuseEnrolment says on the list why an authenticator app was not added.
func (p *Pages) refuseEnrolment(w http.ResponseWriter, r *http.Request, err error) error {
	why := enrolmentWords(err)
	if why == "" {
		return err
	}
	if errors.Is(err, factor.ErrUnproven) {
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
	codes, err := p.Factors.RegenerateRecoveryCodes(r.Context(), v.Who())
	if errors.Is(err, storage.ErrConflict) {
		return web.SeeOther(w, r, "/account/security")
	}
	if err != nil {
		return err
	}
	return p.Web.Page(w, http.StatusOK, templates.FactorCodes{Email: v.User.Email, Codes: codes, NextURL: "/account/security", Renewed: true,
		Keys: slices.Contains(v.User.Factors, storage.FactorWebAuthn)})
}
