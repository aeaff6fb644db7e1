package factor

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
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
	enrolVerify   = "verify"    // the mail that proves the address
)

// sendEnrolment is the page of what comes first: the address, a fresh sign-in, the choice.
func (p *Pages) sendEnrolment(w http.ResponseWriter, v *pageRequest, status int, sentence string) error {
	step := p.step(v)
	step.Error = sentence
	switch {
	case !v.seen.User.EmailVerified():
		return v.Render(w, p.web, status, templates.FactorUnproven{Step: step, Requirer: v.requirer()})
	case !p.signIn.IsFresh(v.seen):
		page := templates.FactorAgain{Step: step, Requirer: v.requirer()}
		if v.Journey == nil {
			page.SignInURL = v.Path("/login")
		}
		return v.Render(w, p.web, status, page)
	}
	offers := func(kind string) bool { return slices.Contains(v.owed.Enrol, kind) }
	page := templates.FactorEnrol{Step: step, Requirer: v.requirer(), TOTP: offers(storage.FactorTOTP), Passkey: offers(storage.FactorWebAuthn) && p.factors.HasWebAuthn()}
	if page.Passkey {
		page.Begin = v.Path("/login/factor/begin")
	}
	if !page.Passkey && !page.TOTP { // an issuer without a domain name, which only a developer has
		page.Error = "Only a passkey will do, and passkeys do not work at this address."
	}
	return v.Render(w, p.web, status, page)
}

// requirer is the organization whose deadline is over; "" for the installation.
func (v *pageRequest) requirer() string {
	if q := v.owed.EnrolFor; q != nil && q.Organization != nil {
		return q.Organization.Name
	}
	return ""
}

// enrol takes a form of these pages.
func (p *Pages) enrol(w http.ResponseWriter, r *http.Request, v *pageRequest, form url.Values) error {
	what := form.Get("enrol")
	switch {
	case what == enrolVerify && !v.seen.User.EmailVerified():
		return p.sendVerification(w, r, v)
	case v.seen.Status != session.Valid,
		what != enrolTOTPCode && what != enrolWebAuthn && !p.signIn.IsFresh(v.seen): // what has begun may end a little later
		return p.sendEnrolment(w, v, http.StatusUnprocessableEntity, "")
	}
	e := signin.Enrolment{Session: v.seen, Allowed: v.owed.Enrol}
	switch what {
	case enrolTOTP:
		return p.offerTOTP(w, r, v)
	case enrolTOTPCode:
		e.Kind, e.Answer = storage.FactorTOTP, form.Get("code")
	case enrolWebAuthn:
		e.Kind, e.Answer = storage.FactorWebAuthn, form.Get("credential")
	default:
		return web.SeeOther(w, r, v.Path("/login/factor"))
	}
	in, err := p.signIn.Enrol(r.Context(), v.from, e)
	if what == enrolTOTPCode && errors.Is(err, factor.ErrVerification) {
		page := templates.FactorTOTP{Step: p.step(v), Back: v.Path("/login/factor")}
		page.Error = wrongCode
		return v.Render(w, p.web, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return p.refuseEnrolment(w, v, err)
	}
	return p.enrolled(w, r, v, in)
}

// offerTOTP shows the key of an app, the one that waits in this session if one does.
func (p *Pages) offerTOTP(w http.ResponseWriter, r *http.Request, v *pageRequest) error {
	offer, err := p.factors.BeginTOTP(r.Context(), p.signIn.Subject(v.from, v.seen, v.owed.Enrol), "")
	if err != nil {
		return p.refuseEnrolment(w, v, err)
	}
	return v.Render(w, p.web, http.StatusOK, templates.FactorTOTP{Step: p.step(v), Back: v.Path("/login/factor"),
		Secret: offer.Secret, QR: offer.ImageURL()})
}

// enrolled leads on, over the recovery codes if there are new ones. Where the session has ended
// meanwhile, the factor is asked for at the next sign-in.
func (p *Pages) enrolled(w http.ResponseWriter, r *http.Request, v *pageRequest, in *signin.Result) error {
	p.sessions.SetCookies(w, r, in.Token, in.Device)
	next := v.Next()
	if in.Token == "" {
		next = v.signIn()
	}
	if len(in.RecoveryCodes) == 0 {
		return web.SeeOther(w, r, next)
	}
	page := templates.FactorCodes{Codes: in.RecoveryCodes, Email: in.User.Email, NextURL: next,
		Added: "Your authenticator app", Keys: v.hasKey()}
	if in.Factor.Kind == storage.FactorWebAuthn {
		page.Added, page.Keys = "Your passkey", true
	}
	if v.Journey != nil {
		page.AppName = v.Journey.Client.Name()
	}
	return v.Render(w, p.web, http.StatusOK, page)
}

// refuseEnrolment shows the page again with the reason; an address that is yet to be
// confirmed is the page's own subject.
func (p *Pages) refuseEnrolment(w http.ResponseWriter, v *pageRequest, err error) error {
	sentence := factor.EnrolmentText(err)
	switch {
	case sentence == "":
		return err
	case errors.Is(err, factor.ErrEmailUnverified):
		sentence = ""
	}
	return p.sendEnrolment(w, v, http.StatusUnprocessableEntity, sentence)
}

// sendVerification mails the link that proves the address.
func (p *Pages) sendVerification(w http.ResponseWriter, r *http.Request, v *pageRequest) error {
	actor := identity.Actor{UserID: v.seen.User.ID, RequestID: v.from.RequestID}
	err := p.identity.Registrations.RequestVerification(r.Context(), actor, p.signIn.Origin(v.from))
	if many, ok := errors.AsType[*identity.TooManyMails](err); ok {
		web.SetRetryAfter(w.Header(), many.RetryAfter)
		return p.sendEnrolment(w, v, http.StatusTooManyRequests,
			"We have sent you several mails already. Look for them, also among the spam, or try again in "+web.Wait(many.RetryAfter)+".")
	} else if err != nil {
		return err
	}
	return v.Render(w, p.web, http.StatusOK, templates.FactorUnproven{Step: p.step(v), Requirer: v.requirer(), Sent: true})
}

// begin answers the page's script with a challenge: to prove, or to enrol.
func (p *Pages) begin(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	if _, err := p.form(r, v); err != nil {
		return err
	}
	var options json.RawMessage
	switch {
	case v.seen == nil:
		return web.JSON(w, http.StatusForbidden, problem{"You are signed out. Load the page again."})
	case len(v.owed.Verify) > 0:
		options, err = p.factors.ChallengeWebAuthn(r.Context(), p.signIn.Subject(v.from, v.seen, v.owed.Verify))
	case len(v.owed.Enrol) > 0 && p.signIn.IsFresh(v.seen):
		options, err = p.factors.BeginWebAuthn(r.Context(), p.signIn.Subject(v.from, v.seen, v.owed.Enrol))
	default:
		return web.JSON(w, http.StatusForbidden, problem{"This page is out of date. Load it again."})
	}
	if errors.Is(err, storage.ErrNotFound) { // the user has no key
		err = factor.ErrNotAllowed
	}
	return login.SendChallenge(w, options, http.StatusForbidden, err)
}

// problem is what passkey.js shows.
type problem struct {
	Error string `json:"error"`
}
