package factor

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// What the forms of an enrolment ask for, in their field enrol.
const (
	enrolTOTP     = "totp"      // a new key for an authenticator app
	enrolTOTPCode = "totp-code" // its first code
	enrolWebAuthn = "webauthn"  // a passkey or security key that has answered
	enrolVerify   = "verify"    // the mail that proves the address
)

// sendEnrolment is the page of what comes first: the address, a fresh sign-in, the choice.
func (p *Pages) sendEnrolment(w http.ResponseWriter, v *visit, status int, sentence string) error {
	step := p.step(v)
	step.Error = sentence
	switch {
	case !v.seen.User.Proven():
		return p.send(w, v, status, templates.FactorUnproven{Step: step, Requirer: v.requirer()})
	case !p.fresh(v):
		page := templates.FactorAgain{Step: step, Requirer: v.requirer()}
		if v.journey == nil {
			page.SignInURL = v.page("/login")
		}
		return p.send(w, v, status, page)
	}
	offers := func(kind string) bool { return slices.Contains(v.owed.Enrol, kind) }
	page := templates.FactorEnrol{Step: step, Requirer: v.requirer(), TOTP: offers(storage.FactorTOTP), Passkey: offers(storage.FactorWebAuthn) && p.factors.WebAuthn()}
	if page.Passkey {
		page.Begin = v.page("/login/factor/begin")
	}
	if !page.Passkey && !page.TOTP { // an issuer without a domain name, which only a developer has
		page.Error = "Only a passkey will do, and passkeys do not work at this address."
	}
	return p.send(w, v, status, page)
}

// requirer is the organization whose deadline is over; "" for the installation.
func (v *visit) requirer() string {
	if q := v.owed.Overdue; q != nil && q.Organization != nil {
		return q.Organization.Name
	}
	return ""
}

// fresh: whoever has only found a browser signed in must not make a second step of
// their own of it.
func (p *Pages) fresh(v *visit) bool { return v.good && p.identity.Fresh(v.seen) }

// enrol takes a form of these pages.
func (p *Pages) enrol(w http.ResponseWriter, r *http.Request, v *visit, form url.Values) error {
	what := form.Get("enrol")
	switch {
	case what == enrolVerify && !v.seen.User.Proven():
		return p.sendVerification(w, r, v)
	case !v.good || what != enrolTOTPCode && what != enrolWebAuthn && !p.fresh(v): // what has begun may end a little later
		return p.sendEnrolment(w, v, http.StatusUnprocessableEntity, "")
	}
	who := p.who(r, v, v.owed.Enrol)
	switch what {
	case enrolTOTP:
		return p.offerTOTP(w, r, v, who)
	case enrolTOTPCode:
		added, err := p.factors.ConfirmTOTP(r.Context(), who, form.Get("code"), "")
		if errors.Is(err, factor.ErrWrong) {
			page := templates.FactorTOTP{Step: p.step(v), Back: v.page("/login/factor")}
			page.Error = wrongCode
			return p.send(w, v, http.StatusUnprocessableEntity, page)
		}
		return p.enrolled(w, r, v, added, err)
	case enrolWebAuthn:
		added, err := p.factors.ConfirmWebAuthn(r.Context(), who, "", json.RawMessage(form.Get("credential")))
		return p.enrolled(w, r, v, added, err)
	}
	return web.SeeOther(w, r, v.page("/login/factor"))
}

// offerTOTP shows the key of an app, the one that waits in this session if one does.
func (p *Pages) offerTOTP(w http.ResponseWriter, r *http.Request, v *visit, who factor.Who) error {
	offer, err := p.factors.BeginTOTP(r.Context(), who, "")
	if err != nil {
		return p.refuseEnrolment(w, v, err)
	}
	return p.send(w, v, http.StatusOK, templates.FactorTOTP{Step: p.step(v), Back: v.page("/login/factor"), Secret: offer.Secret,
		QR: "data:image/png;base64," + base64.StdEncoding.EncodeToString(offer.QR)})
}

// enrolled steps the session up and shows the recovery codes, if there are new ones.
func (p *Pages) enrolled(w http.ResponseWriter, r *http.Request, v *visit, added *factor.Enrolment, err error) error {
	if err != nil {
		return p.refuseEnrolment(w, v, err)
	}
	next := v.next()
	switch err = p.raise(w, r, v, added.Proof, nil); {
	case err == nil:
		p.limits.Devices.Remember(w, p.limits.Devices.Read(r), v.seen.User.EmailKey, device.ByFactor)
	case len(added.RecoveryCodes) > 0: // what was added is added, and the codes can be shown this once only
		web.Annotate(r.Context(), "session", err.Error())
		next = v.signIn()
	case errors.Is(err, storage.ErrConflict): // the session ended meanwhile; the factor is asked for at the next sign-in
		return web.SeeOther(w, r, v.signIn())
	default:
		return err
	}
	if len(added.RecoveryCodes) == 0 {
		return web.SeeOther(w, r, next)
	}
	page := templates.FactorCodes{Codes: added.RecoveryCodes, Email: v.seen.User.Email, NextURL: next, Added: "Your authenticator app", Keys: v.hasKey()}
	if added.Factor.Kind == storage.FactorWebAuthn {
		page.Added, page.Keys = "Your passkey", true
	}
	if v.journey != nil {
		page.AppName = v.journey.Client.Name()
	}
	return p.send(w, v, http.StatusOK, page)
}

func (p *Pages) refuseEnrolment(w http.ResponseWriter, v *visit, err error) error {
	sentence := ""
	switch {
	case errors.Is(err, factor.ErrWrong):
		sentence = wrongKey
	case errors.Is(err, factor.ErrChallenge):
		sentence = wrongTime
	case errors.Is(err, factor.ErrNotAllowed), errors.Is(err, factor.ErrUnavailable):
		sentence = "That is not accepted here. Choose another way."
	case errors.Is(err, factor.ErrTooMany):
		sentence = "There are as many as there can be. Remove one on your account page first."
	case errors.Is(err, storage.ErrExists):
		sentence = "This passkey or security key is set up already."
	case errors.Is(err, factor.ErrUnproven):
	default:
		return err
	}
	return p.sendEnrolment(w, v, http.StatusUnprocessableEntity, sentence)
}

// sendVerification mails the link that proves the address.
func (p *Pages) sendVerification(w http.ResponseWriter, r *http.Request, v *visit) error {
	actor := identity.Actor{UserID: v.seen.User.ID, RequestID: web.RequestID(r.Context())}
	err := p.identity.RequestVerification(r.Context(), actor, p.origin(r))
	if many, ok := errors.AsType[*identity.TooManyMails](err); ok {
		web.SetRetryAfter(w.Header(), many.RetryAfter)
		return p.sendEnrolment(w, v, http.StatusTooManyRequests,
			"We have sent you several mails already. Look for them, also among the spam, or try again in "+web.Wait(many.RetryAfter)+".")
	} else if err != nil {
		return err
	}
	return p.send(w, v, http.StatusOK, templates.FactorUnproven{Step: p.step(v), Requirer: v.requirer(), Sent: true})
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
	case len(v.owed.Prove) > 0:
		options, err = p.factors.ChallengeWebAuthn(r.Context(), p.who(r, v, v.owed.Prove))
	case len(v.owed.Enrol) > 0 && p.fresh(v):
		options, err = p.factors.BeginWebAuthn(r.Context(), p.who(r, v, v.owed.Enrol))
	default:
		return web.JSON(w, http.StatusForbidden, problem{"This page is out of date. Load it again."})
	}
	switch {
	case err == nil:
		return web.JSON(w, http.StatusOK, options)
	case errors.Is(err, factor.ErrNotAllowed), errors.Is(err, factor.ErrUnavailable), errors.Is(err, storage.ErrNotFound):
		return web.JSON(w, http.StatusForbidden, problem{"A passkey is not accepted here. Choose another way."})
	case errors.Is(err, factor.ErrUnproven):
		return web.JSON(w, http.StatusForbidden, problem{"Confirm your email first."})
	case errors.Is(err, factor.ErrTooMany):
		return web.JSON(w, http.StatusForbidden, problem{"There are as many as there can be. Remove one on your account page first."})
	}
	return err
}

// problem is what passkey.js shows.
type problem struct {
	Error string `json:"error"`
}
