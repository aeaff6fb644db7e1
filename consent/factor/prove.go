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
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// The sentences of a refusal. Why a code is not right is not said: a used one, a
// late one and a wrong one are the same.
const (
	wrongCode     = "That code is not right. Check it, or wait for the next one, and try again."
	wrongRecovery = "That recovery code is not right, or was used before. Try another one."
	wrongKey      = "That passkey or security key did not confirm it. Try again, or use another one."
	wrongTime     = "That took too long, or was used before. Try again."
	wrongKind     = "This needs another way to confirm that it is you."
)

// show is the page for what is owed: a proof, or an enrolment.
func (p *Pages) show(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	switch {
	case v.seen == nil:
		return web.SeeOther(w, r, v.signIn())
	case len(v.owed.Verify) > 0:
		return v.Render(w, p.web, http.StatusOK, p.provePage(v, v.Query.Get("method")))
	case len(v.owed.Enrol) > 0:
		return p.sendEnrolment(w, v, http.StatusOK, "")
	}
	return web.SeeOther(w, r, v.Next())
}

// act takes a form of the page, whatever it asks for.
func (p *Pages) act(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	form, err := p.form(r, v)
	if errors.Is(err, login.ErrStale) && (v.seen == nil || !v.owed.Incomplete()) {
		return web.SeeOther(w, r, v.signIn()) // signed out, or another tab was faster; nothing is done here
	}
	switch {
	case err != nil:
		return err
	case v.seen == nil:
		return web.SeeOther(w, r, v.signIn())
	case len(v.owed.Verify) > 0:
		return p.prove(w, r, v, form)
	case len(v.owed.Enrol) > 0:
		return p.enrol(w, r, v, form)
	}
	return web.SeeOther(w, r, v.Next())
}

// provePage asks for one of the kinds that are owed. The person may prefer a
// method; one that is not accepted is not shown.
func (p *Pages) provePage(v *pageRequest, method string) templates.Factor {
	offers := func(kind string) bool { return slices.Contains(v.owed.Verify, kind) }
	page := templates.Factor{Step: p.step(v), Why: v.why()}
	recovery := offers(assurance.FactorRecovery)
	switch {
	case recovery && method == assurance.FactorRecovery:
		page.Kind, page.CodeURL = assurance.FactorRecovery, page.Action
		return page
	case offers(storage.FactorTOTP):
		page.Kind = storage.FactorTOTP
	}
	if page.Passkey = offers(storage.FactorWebAuthn); page.Passkey {
		page.Begin = v.Path("/login/factor/begin")
	}
	if page.Kind == "" && !recovery {
		page.KeyOnly = v.keyOnly()
	}
	if recovery {
		page.RecoveryURL = v.Path("/login/factor", "method", assurance.FactorRecovery)
	}
	return page
}

// keyOnly is who takes nothing but a passkey or security key.
func (v *pageRequest) keyOnly() string {
	switch {
	case v.owed.VerifyFor != nil && v.owed.VerifyFor.Organization != nil:
		return v.owed.VerifyFor.Organization.Name
	case v.owed.VerifyFor == nil && v.Journey != nil:
		return v.Journey.Client.Name()
	}
	return "This service"
}

// hasKey reports whether the person has a passkey or security key.
func (v *pageRequest) hasKey() bool {
	return slices.Contains(v.seen.User.Factors, storage.FactorWebAuthn)
}

// why somebody is asked who has signed in as far as their own factors go.
func (v *pageRequest) why() string {
	if signin.NeedsSecondFactor(v.seen.SessionContext) {
		return ""
	}
	const reason = " asks for more than the way you have signed in."
	j := v.Journey
	switch {
	case j != nil && len(j.ACR) > 0 && !assurance.Satisfies(v.seen.Session.ACR, j.ACR):
		return j.Client.Name() + reason
	case j != nil && j.Organization != nil:
		return j.Organization.Name + reason
	}
	return "This needs more than the way you have signed in."
}

// prove takes what was shown.
func (p *Pages) prove(w http.ResponseWriter, r *http.Request, v *pageRequest, form url.Values) error {
	kind := form.Get("kind")
	proof := signin.Proof{Session: v.seen, Flow: v.Journey, Kind: kind, Answer: form.Get("code")}
	if kind == storage.FactorWebAuthn {
		proof.Answer = form.Get("credential")
	}
	in, err := p.signIn.Prove(r.Context(), v.from, v.owed, proof)
	blocked, isBlocked := errors.AsType[*limit.Blocked](err)
	switch {
	case err == nil:
		p.sessions.SetCookies(w, r, in.Token, in.Device)
		return p.proven(w, r, v, in)
	case errors.Is(err, signin.ErrTooManyCodes):
		return web.SeeOther(w, r, v.Path("/login", "notice", login.NoticeCodes))
	case errors.Is(err, signin.ErrSessionEnded):
		return web.SeeOther(w, r, v.signIn())
	case isBlocked:
		web.SetRetryAfter(w.Header(), blocked.RetryAfter)
		return p.refuse(w, v, kind, http.StatusTooManyRequests,
			"There were too many wrong codes. Nothing is lost: try again in "+web.Wait(blocked.RetryAfter)+".")
	case errors.Is(err, factor.ErrChallenge):
		return p.refuse(w, v, kind, http.StatusUnprocessableEntity, wrongTime)
	case errors.Is(err, factor.ErrNotAllowed), errors.Is(err, factor.ErrUnavailable):
		return p.refuse(w, v, "", http.StatusUnprocessableEntity, wrongKind)
	case errors.Is(err, factor.ErrVerification):
		return p.refuse(w, v, kind, http.StatusUnprocessableEntity, cmp.Or(wrongOf[kind], wrongCode))
	}
	return err
}

// proven leads on. A user who had to use a recovery code is shown the new ones if it was
// the last, else how many are left and where to replace what was lost.
func (p *Pages) proven(w http.ResponseWriter, r *http.Request, v *pageRequest, in *signin.Result) error {
	if !in.Recovered {
		return web.SeeOther(w, r, v.Next())
	}
	app := ""
	if v.Journey != nil {
		app = v.Journey.Client.Name()
	}
	if codes := in.RecoveryCodes; codes != nil {
		return v.Render(w, p.web, http.StatusOK, templates.FactorCodes{Codes: codes, Email: in.User.Email, NextURL: v.Next(),
			AppName: app, Last: true, Keys: v.hasKey()})
	}
	return v.Render(w, p.web, http.StatusOK, templates.FactorRecovered{Left: in.CodesLeft, NextURL: v.Next(), AppName: app})
}

// refuse shows the page again with a sentence. 422: not 401, which would owe the
// browser a challenge, and not 200, which password managers take for a success.
func (p *Pages) refuse(w http.ResponseWriter, v *pageRequest, kind string, status int, sentence string) error {
	page := p.provePage(v, kind)
	page.Error = sentence
	return v.Render(w, p.web, status, page)
}

// wrongOf are the sentences for what is not a code of an app.
var wrongOf = map[string]string{assurance.FactorRecovery: wrongRecovery, storage.FactorWebAuthn: wrongKey}
