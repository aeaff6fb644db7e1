package factor

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/consent/login"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// The sentences of a refusal. They do not tell a used, a late and a wrong code apart.
const (
	wrongCode     = "That code is not right. Check it, or wait for the next one, and try again."
	wrongRecovery = "That recovery code is not right, or was used before. Try another one."
	wrongKey      = "That passkey or security key did not confirm it. Try again, or use another one."
	wrongTime     = "That took too long, or was used before. Try again."
	wrongKind     = "This needs another way to confirm that it is you."
)

// wrongOf is the sentence for a wrong answer, by kind.
var wrongOf = map[string]string{
	storage.FactorTOTP: wrongCode, assurance.FactorRecovery: wrongRecovery, storage.FactorWebAuthn: wrongKey,
}

// show is the page for what the session needs: a verification or an enrolment.
func (p Pages) show(w http.ResponseWriter, r *http.Request) error {
	v, err := p.readRequest(r)
	switch {
	case err != nil:
		return err
	case v.current == nil:
		return web.SeeOther(w, r, v.signInURL())
	case len(v.required.Verify) > 0:
		return v.Render(w, http.StatusOK, v.verifyForm(v.Query.Get("method")))
	case len(v.required.Enrol) > 0:
		return p.renderEnrolment(w, v, http.StatusOK, "")
	}
	return web.SeeOther(w, r, v.NextURL())
}

// act takes a form of the page, whatever it asks for.
func (p Pages) act(w http.ResponseWriter, r *http.Request) error {
	v, err := p.readRequest(r)
	if err != nil {
		return err
	}
	form, err := v.form(r)
	switch {
	case errors.Is(err, page.ErrStale) && v.current == nil:
		return web.SeeOther(w, r, v.signInURL())
	case errors.Is(err, page.ErrStale) && !v.required.Incomplete(): // another tab was faster
		return web.SeeOther(w, r, v.NextURL())
	case err != nil:
		return err
	case v.current == nil:
		return web.SeeOther(w, r, v.signInURL())
	case len(v.required.Verify) > 0:
		return p.verify(w, r, v, form)
	case len(v.required.Enrol) > 0:
		return p.enrol(w, r, v, form)
	}
	return web.SeeOther(w, r, v.NextURL())
}

// verifyForm asks for one of the required kinds. The user may prefer a method; one that is not accepted is not shown.
func (v *pageRequest) verifyForm(method string) templates.Factor {
	accepts := func(kind string) bool { return slices.Contains(v.required.Verify, kind) }
	form := templates.Factor{Step: v.step(), Why: v.reason()}
	recovery := accepts(assurance.FactorRecovery)
	switch {
	case recovery && method == assurance.FactorRecovery:
		form.Kind, form.CodeURL = assurance.FactorRecovery, form.Action
		return form
	case accepts(storage.FactorTOTP):
		form.Kind = storage.FactorTOTP
	}
	if form.Passkey = accepts(storage.FactorWebAuthn); form.Passkey {
		form.Begin = v.Path(path + "/begin")
	}
	if form.Kind == "" && !recovery {
		form.KeyOnly = v.keyRequirer()
	}
	if recovery {
		form.RecoveryURL = v.Path(path, "method", assurance.FactorRecovery)
	}
	return form
}

// keyRequirer names the organization or app that accepts only a passkey or security key.
func (v *pageRequest) keyRequirer() string {
	switch by := v.required.VerifyFor; {
	case by != nil && by.Organization != nil:
		return by.Organization.Name
	case by == nil && v.Flow != nil:
		return v.appName()
	}
	return "This service"
}

// hasKey reports whether the user has a passkey or security key.
func (v *pageRequest) hasKey() bool {
	return slices.Contains(v.current.User.Factors, storage.FactorWebAuthn)
}

// reason says why a user is asked who has already shown the second factor of their own, "" for others.
func (v *pageRequest) reason() string {
	if signin.NeedsSecondFactor(v.current.SessionContext) {
		return ""
	}
	subject, verb, f := "This", " needs", v.Flow
	switch {
	case f != nil && len(f.ACR) > 0 && !assurance.Satisfies(v.current.Session.ACR, f.ACR):
		subject, verb = v.appName(), " asks for"
	case f != nil && f.Organization != nil:
		subject, verb = f.Organization.Name, " asks for"
	}
	return subject + verb + " more than the way you have signed in."
}

// verify takes the user's answer. A failure is shown with 422: not 401, which would owe the browser a challenge, and not
// 200, which password managers take for success.
func (p Pages) verify(w http.ResponseWriter, r *http.Request, v *pageRequest, form url.Values) error {
	kind := form.Get("kind")
	proof := signin.Proof{Session: v.current, Flow: v.Flow, Kind: kind, Answer: form.Get("code")}
	if kind == storage.FactorWebAuthn {
		proof.Answer = form.Get("credential")
	}
	in, err := p.SignIn.Prove(r.Context(), v.from, v.required, proof)
	status, sentence := http.StatusUnprocessableEntity, ""
	switch wait := page.Wait(w, err); {
	case err == nil:
		p.Sessions.SetCookies(w, r, in.Token, in.Device)
		return v.verified(w, r, in)
	case errors.Is(err, signin.ErrTooManyCodes):
		return web.SeeOther(w, r, v.Path("/login", "notice", login.NoticeCodes))
	case errors.Is(err, signin.ErrSessionEnded):
		return web.SeeOther(w, r, v.signInURL())
	case wait != "":
		status, sentence = http.StatusTooManyRequests, "There were too many wrong codes. Nothing is lost: try again in "+wait+"."
	case errors.Is(err, factor.ErrChallenge):
		sentence = wrongTime
	case errors.Is(err, factor.ErrNotAllowed), errors.Is(err, factor.ErrUnavailable):
		kind, sentence = "", wrongKind
	case errors.Is(err, factor.ErrVerification):
		sentence = cmp.Or(wrongOf[kind], wrongCode)
	default:
		return err
	}
	again := v.verifyForm(kind)
	again.Error = sentence
	return v.Render(w, status, again)
}

// verified leads on. A user who had to use a recovery code is shown the new ones if it was the last, else how many are
// left and where to replace what was lost.
func (v *pageRequest) verified(w http.ResponseWriter, r *http.Request, in *signin.Result) error {
	switch {
	case !in.Recovered:
		return web.SeeOther(w, r, v.NextURL())
	case in.RecoveryCodes != nil:
		return v.Render(w, http.StatusOK, templates.FactorCodes{Codes: in.RecoveryCodes, Email: in.User.Email, NextURL: v.NextURL(),
			AppName: v.appName(), Last: true, Keys: v.hasKey()})
	}
	return v.Render(w, http.StatusOK, templates.FactorRecovered{Left: in.CodesLeft, NextURL: v.NextURL(), AppName: v.appName()})
}
