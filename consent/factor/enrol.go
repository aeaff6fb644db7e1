package factor

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// Values of the field enrol: the step that a form of an enrolment sends.
const (
	enrolTOTP     = "totp"      // a new key for an authenticator app
	enrolTOTPCode = "totp-code" // its first code
	enrolWebAuthn = "webauthn"  // a passkey or security key that has answered
	enrolVerify   = "verify"    // the mail that verifies the address
)

// renderEnrolment answers with the page of what comes first: the address, a fresh sign-in, the choice of a factor.
func (p Pages) renderEnrolment(w http.ResponseWriter, v *pageRequest, status int, sentence string) error {
	step := v.step()
	step.Error = sentence
	switch {
	case !v.current.User.EmailVerified():
		return v.Render(w, status, templates.FactorUnproven{Step: step, Requirer: v.requirer()})
	case !p.SignIn.IsFresh(v.current):
		again := templates.FactorAgain{Step: step, Requirer: v.requirer()}
		if v.Flow == nil {
			again.SignInURL = v.Path("/login")
		}
		return v.Render(w, status, again)
	}
	offers := func(kind string) bool { return slices.Contains(v.required.Enrol, kind) }
	choice := templates.FactorEnrol{Step: step, Requirer: v.requirer(), TOTP: offers(storage.FactorTOTP),
		Passkey: offers(storage.FactorWebAuthn) && p.Factors.HasWebAuthn()}
	if choice.Passkey {
		choice.Begin = v.Path(path + "/begin")
	}
	if !choice.Passkey && !choice.TOTP { // an issuer without a domain name, which only a developer has
		choice.Error = "Only a passkey will do, and passkeys do not work at this address."
	}
	return v.Render(w, status, choice)
}

// requirer is the organization whose deadline is over; "" for the installation.
func (v *pageRequest) requirer() string {
	if by := v.required.EnrolFor; by != nil && by.Organization != nil {
		return by.Organization.Name
	}
	return ""
}

// enrol takes a form of these pages. What has begun while the sign-in was fresh may end a little later.
func (p Pages) enrol(w http.ResponseWriter, r *http.Request, v *pageRequest, form url.Values) error {
	what := form.Get("enrol")
	switch {
	case what == enrolVerify && !v.current.User.EmailVerified():
		return p.sendVerification(w, r, v)
	case v.current.Status != session.Valid, what != enrolTOTPCode && what != enrolWebAuthn && !p.SignIn.IsFresh(v.current):
		return p.renderEnrolment(w, v, http.StatusUnprocessableEntity, "")
	}
	e := signin.Enrolment{Session: v.current, Allowed: v.required.Enrol}
	switch what {
	case enrolTOTP:
		return p.offerTOTP(w, r, v)
	case enrolTOTPCode:
		e.Kind, e.Answer = storage.FactorTOTP, form.Get("code")
	case enrolWebAuthn:
		e.Kind, e.Answer = storage.FactorWebAuthn, form.Get("credential")
	default:
		return web.SeeOther(w, r, v.Path(path))
	}
	in, err := p.SignIn.Enrol(r.Context(), v.from, e)
	if what == enrolTOTPCode && errors.Is(err, factor.ErrVerification) {
		again := templates.FactorTOTP{Step: v.step(), Back: v.Path(path)}
		again.Error = wrongCode
		return v.Render(w, http.StatusUnprocessableEntity, again)
	}
	if err != nil {
		return p.refuseEnrolment(w, v, err)
	}
	return p.enrolled(w, r, v, in)
}

// offerTOTP shows the key of an app: the one that waits in this session, or else a new one.
func (p Pages) offerTOTP(w http.ResponseWriter, r *http.Request, v *pageRequest) error {
	offer, err := p.Factors.BeginTOTP(r.Context(), p.SignIn.Subject(v.from, v.current, v.required.Enrol), "")
	if err != nil {
		return p.refuseEnrolment(w, v, err)
	}
	return v.Render(w, http.StatusOK, templates.FactorTOTP{Step: v.step(), Back: v.Path(path), Secret: offer.Secret, QR: offer.ImageURL()})
}

// enrolled leads on, by way of the recovery codes if there are new ones. If the session has ended meanwhile, the factor
// is asked for at the next sign-in.
func (p Pages) enrolled(w http.ResponseWriter, r *http.Request, v *pageRequest, in *signin.Result) error {
	p.Sessions.SetCookies(w, r, in.Token, in.Device)
	next := v.NextURL()
	if in.Token == "" {
		next = v.signInURL()
	}
	if len(in.RecoveryCodes) == 0 {
		return web.SeeOther(w, r, next)
	}
	codes := templates.FactorCodes{Codes: in.RecoveryCodes, Email: in.User.Email, NextURL: next, AppName: v.appName(),
		Added: "Your authenticator app", Keys: v.hasKey()}
	if in.Factor.Kind == storage.FactorWebAuthn {
		codes.Added, codes.Keys = "Your passkey", true
	}
	return v.Render(w, http.StatusOK, codes)
}

// refuseEnrolment shows the page again with the reason. An unverified address needs no reason: the page is about it.
func (p Pages) refuseEnrolment(w http.ResponseWriter, v *pageRequest, err error) error {
	sentence := factor.EnrolmentText(err)
	switch {
	case sentence == "":
		return err
	case errors.Is(err, factor.ErrEmailUnverified):
		sentence = ""
	}
	return p.renderEnrolment(w, v, http.StatusUnprocessableEntity, sentence)
}

// sendVerification mails the link that verifies the address.
func (p Pages) sendVerification(w http.ResponseWriter, r *http.Request, v *pageRequest) error {
	actor := identity.Actor{UserID: v.current.User.ID, RequestID: v.from.RequestID}
	err := p.Identity.Registrations.RequestVerification(r.Context(), actor, p.SignIn.Origin(v.from))
	if wait := page.Wait(w, err); wait != "" {
		return p.renderEnrolment(w, v, http.StatusTooManyRequests,
			"We have sent you several mails already. Look for them, also among the spam, or try again in "+wait+".")
	}
	if err != nil {
		return err
	}
	return v.Render(w, http.StatusOK, templates.FactorUnproven{Step: v.step(), Requirer: v.requirer(), Sent: true})
}

// begin answers the page's script with a challenge, to verify or to enrol.
func (p Pages) begin(w http.ResponseWriter, r *http.Request) error {
	v, err := p.readRequest(r)
	if err != nil {
		return err
	}
	if _, err := v.form(r); err != nil {
		return err
	}
	var options json.RawMessage
	switch {
	case v.current == nil:
		return page.ScriptError(w, http.StatusForbidden, "You are signed out. Load the page again.")
	case len(v.required.Verify) > 0:
		options, err = p.Factors.ChallengeWebAuthn(r.Context(), p.SignIn.Subject(v.from, v.current, v.required.Verify))
	case len(v.required.Enrol) > 0 && p.SignIn.IsFresh(v.current):
		options, err = p.Factors.BeginWebAuthn(r.Context(), p.SignIn.Subject(v.from, v.current, v.required.Enrol))
	default:
		return page.ScriptError(w, http.StatusForbidden, "This page is out of date. Load it again.")
	}
	if errors.Is(err, storage.ErrNotFound) { // the user has no key
		err = factor.ErrNotAllowed
	}
	return page.SendChallenge(w, options, http.StatusForbidden, err)
}
